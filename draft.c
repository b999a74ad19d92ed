/*
 * draft.c - turns messages as clients send them into the text of an mbox,
 * piece by piece and in one pass. Small drafts stay in memory, big ones go
 * to an unlinked file of ours. Touches no mailbox and takes no lock: a
 * client may take hours to send.
 *
 * Nothing of a text is changed but what draft.h says. The metadata fields
 * that it may hold are dropped when its header is stamped.
 */
#include "draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/params.h"
#include "lib/quote.h"

enum {
	/* One addition to the buffer. */
	ADD_BYTES = 65536,
	/* What stays in the buffer: before it a ">" may have to be put. */
	KEEP_BYTES = sizeof("From ") - 1,
};

struct draft_private {
	const char *dir;
	int fd;			/* -1: all is in the buffer */
	int64_t flushed;	/* bytes in the file */
	struct buf buf;		/* what follows them */
	char *map;		/* of the file */
	enum err failed;
	struct why why;
	uint32_t room;		/* of draft->messages */
	/* The message that was begun. */
	struct draft_message now;
	struct quote quote;
	bool empty;		/* the line holds nothing so far */
	bool bare;		/* nor does it end in CR, but for */
	bool cr;		/* a CR held back: an LF may follow */
	bool in_header;
};

struct draft *
draft_new(const char *dir)
{
	struct draft *d = xmalloc(sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->own = xmalloc(sizeof(*d->own));
	memset(d->own, 0, sizeof(*d->own));
	d->own->dir = dir;
	d->own->fd = -1;
	d->own->buf.max = DRAFT_MEMORY + ADD_BYTES + 1;
	return d;
}

void
draft_free(struct draft *d)
{
	if (d == NULL)
		return;
	if (d->own->map != NULL)
		fs_unmap(d->own->map, (size_t)d->own->flushed);
	if (d->own->fd >= 0)
		close(d->own->fd);
	buf_free(&d->own->buf);
	free(d->own);
	free(d->messages);
	free(d);
}

/* The first failure stands; no byte is taken behind it. */
static void
fail(struct draft_private *own, enum err e, const char *what)
{
	if (own->failed == E_OK)
		own->failed = why_set(&own->why, e, "%s", what);
}

/* Moves the buffer to the file, but for its last `keep` bytes. */
static void
flush(struct draft_private *own, size_t keep)
{
	size_t n = own->buf.n - keep;

	if (own->fd < 0 && (own->fd = fs_spool(own->dir)) < 0) {
		fail(own, E_LIMIT, "no room for so big a message");
		return;
	}
	if (fs_pwrite(own->fd, own->buf.p, n, own->flushed) != 0) {
		fail(own, errno == ENOSPC || errno == EDQUOT ||
		    errno == EFBIG ? E_FULL : E_IO,
		    "no room for so big a message");
		return;
	}
	own->flushed += (int64_t)n;
	memmove(own->buf.p, own->buf.p + n, keep);
	own->buf.n = keep;
}

/* "CHAR8 = any OCTET except NUL": what no literal can hold becomes 0x80, as
 * with UW. */
static void
replace_nuls(char *p, size_t n)
{
	char *end = p + n;

	while ((p = memchr(p, '\0', (size_t)(end - p))) != NULL)
		*p++ = '\x80';
}

/* Bytes as they are to stand in the mailbox. */
static void
add(struct draft_private *own, struct str s)
{
	size_t n;

	for (; s.n > 0 && own->failed == E_OK; s = str_from(s, n)) {
		n = s.n < ADD_BYTES ? s.n : ADD_BYTES;
		buf_add(&own->buf, str_sub(s, 0, n));
		replace_nuls(own->buf.p + own->buf.n - n, n);
		if (own->buf.n >= DRAFT_MEMORY)
			flush(own, KEEP_BYTES);
	}
}

/* The text ends in "From " at a line's start, or behind ">"s there. */
static void
add_mark(struct draft_private *own)
{
	char *from;

	buf_addc(&own->buf, ' ');
	from = own->buf.p + own->buf.n - 1 - KEEP_BYTES;
	memmove(from + 1, from, KEEP_BYTES);
	*from = '>';
	own->now.quoted = true;
}

/* Adds text, quoted where need be. */
static void
put(struct draft_private *own, struct str s)
{
	size_t at = 0, from = 0;

	own->now.size += s.n;
	while (quote_find(&own->quote, s, &at)) {
		add(own, str_sub(s, from, at - from));
		if (own->failed != E_OK)
			return;
		add_mark(own);
		from = at;
	}
	add(own, str_from(s, from));
}

/* Adds a line's text, or a part of it, without its end. */
static void
put_text(struct draft_private *own, struct str s)
{
	if (s.n == 0)
		return;
	own->empty = false;
	own->bare = s.p[s.n - 1] != '\r';
	put(own, s);
}

static int64_t
end_of_text(const struct draft_private *own)
{
	return own->flushed + (int64_t)own->buf.n;
}

/* Adds the end of a line. The first empty one ends the header. */
static void
end_line(struct draft_private *own)
{
	put(own, STR("\n"));
	own->now.size += own->bare;
	if (own->in_header && own->empty) {
		own->in_header = false;
		own->now.head = (uint32_t)(end_of_text(own) - own->now.at);
	}
	own->empty = own->bare = true;
}

/*
 * s is a line or a piece of one. A CR at its end waits for what follows: LF
 * makes it the line's end. With another CR before it both stay, for a reader
 * would put one CR before the LF, not two.
 */
static void
add_line(struct draft_private *own, struct str s)
{
	bool ended = s.p[s.n - 1] == '\n';

	s.n -= ended;
	if (own->cr && s.n > 0) {
		put_text(own, STR("\r"));
		own->cr = false;
	}
	if (s.n > 0 && s.p[s.n - 1] == '\r') {
		s.n--;
		own->cr = true;
	}
	put_text(own, s);
	if (!ended)
		return;
	if (own->cr && !own->bare)
		put_text(own, STR("\r"));
	own->cr = false;
	end_line(own);
}

static void
add_sender(struct draft_private *own, struct str sender)
{
	size_t i;
	char c;

	for (i = 0; i < sender.n && own->now.sender < SENDER_MAX_BYTES;
	    i++) {
		c = sender.p[i];
		/* A blank parts words for those who read this line from
		 * its front: Dovecot would not see the message. */
		if ((unsigned char)c <= ' ' || c == '\x7f')
			continue;
		add(own, (struct str){ &c, 1 });
		own->now.sender++;
	}
	if (own->now.sender > 0)
		return;
	add(own, STR("MAILER-DAEMON"));
	own->now.sender = STR("MAILER-DAEMON").n;
}

/* The bits of these names in the draft's own list; false: no room. */
static bool
map_keywords(struct draft *d, const struct keywords *names, uint32_t *bits)
{
	struct keywords all = d->names;
	unsigned i;
	int k;

	*bits = 0;
	for (i = 0; names != NULL && i < names->n; i++) {
		k = keyword_add(&all, keyword_name(names, i));
		if (k < 0)
			return false;
		*bits |= (uint32_t)1 << k;
	}
	d->names = all;
	return true;
}

bool
draft_begin(struct draft *d, struct str sender, const struct date *date,
    unsigned flags, const struct keywords *names)
{
	struct draft_private *own = d->own;

	memset(&own->now, 0, sizeof(own->now));
	if (!map_keywords(d, names, &own->now.keywords))
		return false;
	own->now.date = date->time;
	own->now.zone = date->zone;
	own->now.flags = (uint8_t)(flags & FLAGS_SYSTEM);
	add_sender(own, sender);
	own->now.at = end_of_text(own);
	own->quote = (struct quote){ .at = 0 };
	own->empty = own->bare = own->in_header = true;
	own->cr = false;
	return true;
}

static enum err
result(const struct draft_private *own, struct why *why)
{
	if (own->failed != E_OK && why != NULL)
		*why = own->why;
	return own->failed;
}

enum err
draft_add(struct draft *d, struct str piece, struct why *why)
{
	struct draft_private *own = d->own;
	size_t n;

	while (piece.n > 0 && own->failed == E_OK) {
		n = str_index(piece, '\n');
		n += n < piece.n;
		add_line(own, str_sub(piece, 0, n));
		piece = str_from(piece, n);
		if (own->in_header &&
		    end_of_text(own) - own->now.at > DRAFT_HEAD_MAX)
			fail(own, E_LIMIT, "the header is too big");
	}
	return result(own, why);
}

enum err
draft_end(struct draft *d, struct why *why)
{
	struct draft_private *own = d->own;

	if (own->cr || !own->empty)
		add_line(own, STR("\n"));
	if (own->in_header)
		end_line(own);
	own->now.body = end_of_text(own) - own->now.at - own->now.head;
	if (own->failed != E_OK)
		return result(own, why);
	if (d->n == own->room) {
		own->room = own->room == 0 ? 4 : own->room * 2;
		d->messages = xrealloc(d->messages, own->room,
		    sizeof(*d->messages));
	}
	d->messages[d->n++] = own->now;
	return E_OK;
}

struct str
draft_text(struct draft *d)
{
	struct draft_private *own = d->own;

	if (own->fd < 0)
		return buf_str(&own->buf);
	if (own->map == NULL && own->failed == E_OK) {
		flush(own, 0);
		buf_free(&own->buf);
		if (own->failed == E_OK)
			own->map = fs_map(own->fd, (size_t)own->flushed);
	}
	return (struct str){ own->map, own->map == NULL ? 0 :
	    (size_t)own->flushed };
}
