/*
 * mbox_text.c - hands out the bytes of one message. They are copied under
 * the read lock into a window, and checked there: From_ line and stable hash
 * must be those of the message meant, whatever offset led to it (mbox.md
 * 5.3). The metadata fields are taken out in the window, and so is the
 * quoting of what we stored, so a message is one contiguous text for whoever
 * asks. Never maps the mailbox.
 */
#include "mbox_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "lib/fromline.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/params.h"
#include "lib/quote.h"

enum {
	/* Read ahead when messages are asked for in their order. */
	WINDOW_BYTES = 262144,
};

void
mbox_forget(struct mbox_private *own)
{
	own->window.n = 0;
	own->text_uid = 0;
}

void
mbox_free_window(struct mbox_private *own)
{
	struct window *w = &own->window;

	if (w->mapped)
		fs_unmap(w->p, w->room);
	else
		free(w->p);
	memset(w, 0, sizeof(*w));
}

void
mbox_rest(struct mbox *mbox)
{
	if (mbox->own->window.room > WINDOW_BYTES) {
		mbox_free_window(mbox->own);
		mbox_forget(mbox->own);
	}
}

/* Bytes of the message that a text with or without body needs. */
static uint64_t
text_bytes(const struct msg *msg, bool body)
{
	return body ? (uint64_t)(msg->end - msg->start) :
	    (uint64_t)msg->from + msg->head;
}

/*
 * A message too big for memory goes to an unlinked file of ours; mapping
 * that is safe, since nobody else can shorten it.
 */
static enum err
fill_spool(struct mbox *mbox, int64_t at, uint64_t need, struct why *why)
{
	struct window *w = &mbox->own->window;
	enum err e = E_OK;
	int fd;

	mbox_free_window(mbox->own);
	fd = fs_spool(mbox->dir);
	if (fd < 0)
		return why_set(why, E_LIMIT, "no room for a message of "
		    "%llu bytes", (unsigned long long)need);
	if (fs_copy(fd, mbox->fd, at, need) != 0)
		e = why_set(why, errno == 0 ? E_IO : E_LIMIT,
		    "cannot copy a message of %llu bytes: %s",
		    (unsigned long long)need,
		    errno == 0 ? "it shrank" : strerror(errno));
	else if ((w->p = fs_map(fd, (size_t)need)) == NULL)
		e = why_set(why, E_LIMIT, "no memory for a message of %llu "
		    "bytes", (unsigned long long)need);
	else {
		w->mapped = true;
		w->room = w->n = (size_t)need;
		w->at = w->clean = at;
	}
	close(fd);
	return e;
}

/* Copies [at, at + need), and more when that goes on where we were. */
static enum err
fill(struct mbox *mbox, int64_t at, uint64_t need, struct why *why)
{
	struct window *w = &mbox->own->window;
	bool onward = at >= w->at &&
	    at <= w->at + (int64_t)w->n + WINDOW_BYTES;
	size_t n;

	mbox_forget(mbox->own);
	if (need > MBOX_MEMORY_BYTES)
		return fill_spool(mbox, at, need, why);
	n = (size_t)need;
	if (onward && n < WINDOW_BYTES)
		n = WINDOW_BYTES;
	if ((int64_t)n > mbox->state.size - at)
		n = (size_t)(mbox->state.size - at);
	if (w->p == NULL || w->mapped || w->room < n) {
		mbox_free_window(mbox->own);
		w->room = n > WINDOW_BYTES ? n : WINDOW_BYTES;
		w->p = xmalloc(w->room);
	}
	if (n < need || fs_pread(mbox->fd, w->p, n, at) != 0)
		return why_set(why, E_IO, "cannot read the mailbox: %s",
		    errno ? strerror(errno) : "it shrank");
	w->at = w->clean = at;
	w->n = n;
	return E_OK;
}

/*
 * The message's bytes into the window, under the lock. Syncs first: the
 * offset is that of the file as it is now.
 */
static enum err
fill_for(struct mbox *mbox, uint32_t uid, bool body, struct why *why)
{
	const struct msg *msg;
	bool changed = false;
	int64_t i;
	enum err e;

	e = mbox_lock_synced(mbox, false, &changed, why);
	if (e != E_OK || mbox->fd < 0)
		return e;
	i = mbox_find(mbox, uid);
	if (i >= 0) {
		msg = &mbox->msgs[i];
		e = fill(mbox, msg->start, text_bytes(msg, body), why);
	}
	lock_drop(mbox->fd);
	return e;
}

/*
 * Are the bytes at p the message that the list means? Leaves what its
 * header says in own->meta. A damaged INBOX's prefix has no header: its
 * text is looked at, when it is there.
 */
static bool
verify(struct mbox_private *own, const struct msg *msg, const char *p,
    bool body)
{
	struct str rest = { p + msg->from, msg->head }, line;

	if (msg->from == 0) {
		own->meta.hidden = 0;
		own->meta.quoted = false;
		return !body || msg->hash == mbox_prefix_hash(&own->key,
		    (struct str){ p, (size_t)msg->end });
	}
	if (!str_starts((struct str){ p, msg->from }, STR("From ")) ||
	    (p[msg->from - 1] != '\n' && msg->head > 0))
		return false;
	meta_begin(&own->meta, &own->key, (struct str){ p, msg->from });
	while (str_line(&rest, &line) && !own->meta.ended)
		meta_line(&own->meta, line);
	/* A header that grew (a Status field) ends elsewhere now. */
	return meta_end(&own->meta) == msg->hash &&
	    own->meta.quoted == ((msg->bits & MSG_QUOTED) != 0) &&
	    own->meta.bytes == msg->head && (own->meta.ended ||
	    msg->head >= HEADER_MAX_BYTES ||
	    msg->end == msg->start + msg->from + msg->head);
}

/*
 * Takes the metadata fields out of a header in place: visible lines move
 * to its front, then all of them to its end, next to the body. Returns
 * where the header now begins.
 */
static char *
hide_metadata(char *header, size_t n, uint64_t hidden)
{
	struct str rest = { header, n }, line;
	bool hide = false;
	size_t kept = 0;

	if (hidden == 0)
		return header;
	while (str_line(&rest, &line)) {
		if (line.p[0] != ' ' && line.p[0] != '\t')
			hide = meta_which(line) != META_NONE;
		if (hide)
			continue;
		memmove(header + kept, line.p, line.n);
		kept += line.n;
	}
	memmove(header + n - kept, header, kept);
	return header + n - kept;
}

/* The header, which begins at p in the window, as clients see it. */
static struct str
show_header(const struct mbox_private *own, const struct msg *msg, char *p)
{
	char *header = hide_metadata(p, msg->head, own->meta.hidden);
	size_t n = (size_t)(p + msg->head - header), gone;

	if (msg->bits & MSG_QUOTED) {
		gone = n - quote_remove(header, n);
		if (gone > 0)
			memmove(header + gone, header, n - gone);
		header += gone;
		n -= gone;
	}
	return (struct str){ header, n };
}

/* Behind the header that was last handed out comes its body. */
static void
add_body(struct mbox_private *own, const struct msg *msg)
{
	struct mbox_text *text = &own->text;
	struct window *w = &own->window;
	int64_t at = msg->start + msg->from + msg->head;
	size_t n = (size_t)(msg->end - at), kept = n;
	char *body = w->p + (at - w->at);

	if (msg->bits & MSG_QUOTED)
		kept = quote_remove(body, n);
	if (kept < n)
		w->clean = msg->end;
	text->body = (struct str){ body, kept };
	text->whole.n = text->header.n + kept;
}

/* The text of a message in the window; false when it is another's. */
static bool
take_text(struct mbox *mbox, const struct msg *msg, bool body)
{
	struct mbox_private *own = mbox->own;
	struct window *w = &own->window;
	char *p = w->p + (msg->start - w->at);

	if (!verify(own, msg, p, body))
		return false;
	own->text.from = (struct str){ p, msg->from };
	own->text.header = show_header(own, msg, p + msg->from);
	if (own->text.header.n < msg->head)
		w->clean = msg->start + msg->from + msg->head;
	own->text.body = (struct str){ NULL, 0 };
	own->text.whole = own->text.header;
	if (body)
		add_body(own, msg);
	own->text_uid = msg->uid;
	return true;
}

/* Is what is asked for in the window, as it is on disk? */
static bool
in_window(const struct window *w, const struct msg *msg, bool body,
    int64_t clean)
{
	return w->n > 0 && msg->start >= clean &&
	    (uint64_t)(msg->start - w->at) + text_bytes(msg, body) <= w->n;
}

/*
 * The same uid again, perhaps now with its body: its header in the window
 * is no longer as on disk, so what was handed out is handed out again.
 */
static bool
again(struct mbox *mbox, uint32_t uid, bool body, struct mbox_text *out)
{
	struct mbox_private *own = mbox->own;
	int64_t i;

	if (own->text_uid != uid)
		return false;
	if (body && own->text.body.p == NULL) {
		i = mbox_find(mbox, uid);
		if (i < 0 || !in_window(&own->window, &mbox->msgs[i], true,
		    own->window.at))
			return false;
		add_body(own, &mbox->msgs[i]);
	}
	*out = own->text;
	if (!body) {
		out->body = (struct str){ NULL, 0 };
		out->whole = out->header;
	}
	return true;
}

/*
 * Two rounds: what is found at the offset may not be the message meant
 * although the file's times say that nothing changed; then all is read.
 */
enum err
mbox_text(struct mbox *mbox, uint32_t uid, bool body, struct mbox_text *out,
    struct why *why)
{
	const struct window *w = &mbox->own->window;
	unsigned round;
	enum err e;
	int64_t i;

	if (again(mbox, uid, body, out))
		return E_OK;
	for (round = 0; round < 2; round++) {
		i = mbox_find(mbox, uid);
		if (i >= 0 && !in_window(w, &mbox->msgs[i], body,
		    w->clean)) {
			e = fill_for(mbox, uid, body, why);
			if (e != E_OK)
				return e;
			i = mbox_find(mbox, uid);
		}
		if (i < 0)
			return why_set(why, E_GONE, "the message is gone");
		if (take_text(mbox, &mbox->msgs[i], body)) {
			*out = mbox->own->text;
			return E_OK;
		}
		e = mbox_verify(mbox, NULL, why);
		if (e != E_OK)
			return e;
	}
	return why_set(why, E_IO, "the message changes while it is read");
}

enum err
mbox_header(struct mbox *mbox, const struct msg *msg, struct str *out,
    struct why *why)
{
	struct mbox_private *own = mbox->own;
	const struct window *w = &own->window;
	enum err e = E_OK;
	const char *p;

	own->text_uid = 0;
	if (!in_window(w, msg, false, w->clean))
		e = fill(mbox, msg->start, text_bytes(msg, false), why);
	if (e != E_OK)
		return e;
	p = w->p + (msg->start - w->at);
	if (!verify(own, msg, p, false))
		return why_set(why, E_GONE, "the message is gone");
	*out = (struct str){ p, (size_t)text_bytes(msg, false) };
	return E_OK;
}

struct str
mbox_sender(const struct mbox_text *text)
{
	struct fromline from = { .sender = STR("") };

	fromline_read(text->from, &from);
	return from.sender;
}
