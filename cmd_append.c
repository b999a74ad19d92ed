/*
 * cmd_append.c - APPEND, with one message or several (RFC 3502). What the
 * client sends goes into a draft, piece by piece; only when the command's
 * last byte is there is the mailbox opened and locked. So a client that
 * stalls or vanishes stops nobody and leaves nothing behind.
 *
 * A reason to refuse it all that is known before a literal is sent is told
 * instead of the "+". From a client that does not wait for it the rest is
 * read and forgotten.
 */
#include "session.h"

#include <inttypes.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/params.h"

/* One command. */
struct append {
	struct session *s;
	struct draft *draft;
	struct buf sender;
	enum result result;	/* RES_NO: why stands in *o */
	struct outcome *o;
};

/* The first reason stands. */
static void
refuse(struct append *a, const char *code, const char *text)
{
	if (a->result == RES_OK)
		a->result = outcome_set(a->o, RES_NO, code, "%s", text);
}

static void
refuse_err(struct append *a, enum err e, const struct why *why)
{
	if (a->result != RES_OK)
		return;
	a->result = outcome_err(a->o, e, why);
	/* RFC 3501 6.3.11: "Unless it is certain that the destination
	 * mailbox can not be created, the server MUST send the response code
	 * "[TRYCREATE]"". */
	if (e == E_NOENT)
		a->o->code = "TRYCREATE";
}

/* Is there such a mailbox? Opens none. */
static void
look(struct append *a, struct str name)
{
	struct why why = { .text = "" };
	struct folder folder;
	enum err e = folder_path(&a->s->folders, name, &folder, &why);

	if (e != E_OK && !(e == E_NOENT && folder.inbox))
		refuse_err(a, e, &why);
}

/*
 * [SP flag-list] [SP date-time] SP. RFC 3501 6.3.11 on the date: "set to the
 * current date and time by default". It has the flags only SHOULD be set: a
 * keyword that the mailbox has no room for is left out, since the mail is
 * worth more. One that no mailbox of ours can hold is refused, as an "error
 * in flags".
 */
static int
begin_message(struct append *a, struct parser *p)
{
	struct flag_list flags = { .flags = 0 };
	struct date date = { .time = time(NULL) };

	date_to_local(&date);
	if (parse_space(p) != 0)
		return -1;
	if (parse_peek(p) == '(' && (parse_flags(p, &flags) != 0 ||
	    parse_space(p) != 0))
		return -1;
	if (parse_peek(p) == '"' && (parse_date_time(p, &date) != 0 ||
	    parse_space(p) != 0))
		return -1;
	if (flags.over || !draft_begin(a->draft, buf_str(&a->sender), &date,
	    flags.flags, &flags.names))
		refuse(a, "LIMIT", "Too many keywords, or too long ones");
	return 0;
}

/*
 * RFC 3516 4.4: "If the destination mailbox does not support the storage of
 * binary content, the server MUST fail the request". In an mbox a line ends in
 * LF, and NUL ends what many of its readers know of it.
 */
static bool
is_binary(struct str s, bool *cr)
{
	size_t i, n;

	if (str_index(s, '\0') < s.n)
		return true;
	for (i = 0; i < s.n; i = n + 1) {
		n = i + str_index(str_from(s, i), '\n');
		if (n < s.n && !(n == 0 ? *cr : s.p[n - 1] == '\r'))
			return true;
	}
	*cr = s.n > 0 ? s.p[s.n - 1] == '\r' : *cr;
	return false;
}

/* The message itself; once the command is refused nothing is kept. */
static int
receive(struct append *a, struct parser *p, struct literal *l)
{
	struct why why = { .text = "" };
	char piece[IO_IN_BYTES];
	enum err e = E_OK;
	bool cr = false;
	size_t n;

	for (;;) {
		if (parse_literal_read(p, l, piece, sizeof(piece), &n) != 0)
			return -1;
		if (n == 0)
			break;
		if (l->binary && is_binary((struct str){ piece, n }, &cr))
			refuse(a, "UNKNOWN-CTE", "A mailbox can not hold "
			    "binary data");
		if (a->result == RES_OK)
			e = draft_add(a->draft, (struct str){ piece, n },
			    &why);
		if (e != E_OK)
			refuse_err(a, e, &why);
	}
	if (a->result == RES_OK &&
	    (e = draft_end(a->draft, &why)) != E_OK)
		refuse_err(a, e, &why);
	return 0;
}

/*
 * RFC 3502: "A zero-length message literal argument is an error, and MUST
 * return a NO. This can be used to cancel the append." RFC 7889 section 4:
 * what "exceeds the maximum upload size" is rejected "with a tagged TOOBIG
 * response code".
 */
static int
message(struct append *a, struct parser *p)
{
	struct literal l;

	if (begin_message(a, p) != 0 || parse_literal(p, &l) != 0)
		return -1;
	if (l.left == 0)
		refuse(a, NULL, "APPEND cancelled by an empty message");
	if (l.left > APPEND_MAX_BYTES)
		refuse(a, "TOOBIG", "Message too big");
	if (a->result != RES_OK && (l.waits || l.left > APPEND_MAX_BYTES))
		return parse_literal_refuse(p, &l);
	return receive(a, p, &l);
}

/*
 * RFC 4315 3: "the UID set form of the APPENDUID response code MUST NOT be
 * used if only a single message was appended." A mailbox whose UIDs do not
 * last "will not return an APPENDUID".
 */
static const char *
appenduid(struct append *a, const struct mbox *mbox, uint32_t first)
{
	struct buf code = BUF_MAX(64);
	struct str text;

	if (!mbox->sticky)
		return NULL;
	buf_addf(&code, "APPENDUID %" PRIu32 " %" PRIu32, mbox->uidvalidity,
	    first);
	if (a->draft->n > 1)
		buf_addf(&code, ":%" PRIu32, first + a->draft->n - 1);
	text = pool_copy(a->s->pool, buf_str(&code));
	buf_free(&code);
	return text.p;
}

/* All of the command is there. */
static void
store(struct append *a, struct str name)
{
	struct session *s = a->s;
	struct why why = { .text = "" };
	struct mbox *mbox;
	uint32_t first;
	enum err e;

	e = cmd_folder_other(s, name, &mbox, &why);
	if (e == E_OK && !mbox->writable)
		e = why_set(&why, E_PERM, "The mailbox can not be written");
	if (e == E_OK) {
		e = mbox_append(mbox, a->draft, &first, &why);
		s->view.stale |= mbox == s->mbox;
		mbox_rest(mbox);
		/* An INBOX that can not be made (DESIGN 6). */
		if (e == E_PERM && mbox->fd < 0)
			e = E_NOTMBOX;
	}
	if (e == E_OK)
		a->o->code = appenduid(a, mbox, first);
	else
		refuse_err(a, e, &why);
}

static int
command(struct append *a, struct parser *p)
{
	struct str name;

	if (parse_space(p) != 0 || parse_mailbox(p, &name) != 0)
		return -1;
	look(a, name);
	do
		if (message(a, p) != 0)
			return -1;
	while (!p->at_end && parse_peek(p) == ' ');
	if (parse_end(p) != 0)
		return -1;
	if (a->result == RES_OK)
		store(a, name);
	return 0;
}

enum result
cmd_append(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct append a = {
		.s = s, .o = o, .result = RES_OK,
		.draft = draft_new(s->own_dir), .sender = BUF_MAX(1024),
	};

	(void)uid;
	buf_add(&a.sender, str_c(s->user));
	buf_addc(&a.sender, '@');
	buf_add(&a.sender, str_c(s->host));
	if (command(&a, p) != 0) {
		*o = (struct outcome){ .code = NULL };
		a.result = RES_BAD;
	}
	buf_free(&a.sender);
	draft_free(a.draft);
	return a.result;
}
