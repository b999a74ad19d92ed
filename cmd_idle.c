/*
 * cmd_idle.c - IDLE (RFC 2177): tells what happens in the mailbox while it
 * happens, until the client says DONE. Looks when a hint comes (watch.h) and,
 * since hints can be lacking, now and then; holds no lock while it waits.
 */
#include "session.h"

#include "watch.h"
#include "lib/await.h"
#include "lib/params.h"

/* What it waits for besides the client and hints, in await_now(). */
struct idle {
	struct watch watch;
	int64_t look;		/* at the mailbox */
	int64_t deaf;		/* until when hints are not heeded */
	int64_t alive;		/* to send something */
	int64_t flush;		/* to write the flags; 0: there are none */
	int64_t end;		/* to log the client out; 0: never */
};

static int64_t
sooner(int64_t a, int64_t b)
{
	return b != 0 && b < a ? b : a;
}

/* With hints, the look is for what gives none. */
static int64_t
next_look(const struct idle *idle)
{
	return await_now() + (idle->watch.fd < 0 ? IDLE_LOOK_BLIND_MS :
	    IDLE_LOOK_MS);
}

static void
begin(struct session *s, struct idle *idle)
{
	int64_t now = await_now();

	*idle = (struct idle){ .watch.fd = -1,
	    .alive = now + IDLE_ALIVE_MS };
	if (s->options->idle_timeout != 0)
		idle->end = now + (int64_t)s->options->idle_timeout * 1000;
	/* What happens from here on gives a hint; what has happened since
	 * the last command is told first. */
	if (s->mbox != NULL) {
		watch_open(&idle->watch, s->mbox->path);
		watch_also(&idle->watch, mbox_changes_path(s->mbox));
	}
	reply_raw(&s->reply, STR("+ idling\r\n"));
	idle->look = now;
}

/* A network that forgets silent connections, as those of phones do, would
 * keep the news from a client who waits for it. */
static void
stay_alive(struct session *s, struct idle *idle)
{
	reply_raw(&s->reply, STR("* OK Still here\r\n"));
	idle->alive = await_now() + IDLE_ALIVE_MS;
}

/*
 * A hint comes with each write of a delivery, a look costs two locks: it is
 * put off a moment, and one look answers all hints of that moment.
 */
static void
take_hint(struct idle *idle)
{
	if (watch_take(&idle->watch) && await_now() >= idle->deaf)
		idle->look = sooner(idle->look, await_now() + IDLE_GATHER_MS);
}

/*
 * A look that fails may have made and removed a dotlock, which is a hint: it
 * would never end.
 */
static void
look(struct session *s, struct idle *idle)
{
	idle->look = next_look(idle);
	if (!session_tell_idle(s))
		idle->look = idle->deaf = await_now() + IDLE_LOOK_BLIND_MS;
	watch_also(&idle->watch, mbox_changes_path(s->mbox));
	if (!mbox_unflushed(s->mbox))
		idle->flush = 0;
	else if (idle->flush == 0)
		idle->flush = await_now() + FLUSH_MS;
}

static void
flush(struct session *s, struct idle *idle)
{
	session_flush(s);
	idle->flush = await_now() + FLUSH_MS;
	idle->look = await_now();
}

static void
when_due(struct session *s, struct idle *idle)
{
	int64_t now = await_now();

	if (s->mbox != NULL && idle->flush != 0 && now >= idle->flush)
		flush(s, idle);
	if (s->mbox != NULL && now >= idle->look)
		look(s, idle);
	if (now >= idle->alive)
		stay_alive(s, idle);
}

/* Until the client says something, or ends: 0 or an IO_ code. */
static int
wait_for_client(struct session *s, struct idle *idle)
{
	int64_t next;
	int r;

	do {
		when_due(s, idle);
		next = sooner(idle->alive, idle->end);
		if (s->mbox != NULL)
			next = sooner(sooner(next, idle->look), idle->flush);
		r = io_wait(&s->io, idle->watch.fd, next);
		if (r == IO_OTHER)
			take_hint(idle);
		else if (r == IO_TIMEOUT && idle->end != 0 &&
		    await_now() >= idle->end)
			return s->io.ended = IO_TIMEOUT;
	} while (r == IO_OTHER || r == IO_TIMEOUT);
	return r;
}

/* idle ::= "IDLE" CRLF "DONE" */
enum result
cmd_idle(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct idle idle;
	struct str word;

	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	begin(s, &idle);
	wait_for_client(s, &idle);
	watch_close(&idle.watch);
	parse_again(p);
	if (parse_word(p, &word) != 0 || parse_end(p) != 0)
		return RES_BAD;
	return str_ieq(word, STR("DONE")) ? RES_OK :
	    (parse_bad(p, "IDLE is ended by DONE"), RES_BAD);
}
