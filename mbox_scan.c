/*
 * mbox_scan.c - finds the messages of an mbox file: where each begins and
 * ends (grammar of mbox.md 1.3), its size as a client sees it, and what its
 * metadata fields say. Reads the file once, block by block, through one
 * buffer; neither a line nor a header need fit into it. It locks nothing
 * and writes nothing.
 *
 * Delivered mail is hostile: Content-Length is never used, and metadata is
 * believed only as far as believe() says.
 */
#include "mbox_own.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fromline.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/params.h"
#include "lib/quote.h"
#include "lib/scan.h"

enum {
	/* Small enough to stay in the cache between read and scan. */
	BUF_BYTES = 262144,
	/* Longest From_ line with its end: struct msg has 16 bits for it. */
	FROM_MAX = 65535,
	/* What must be seen of the line behind a From_ line, or of a header
	 * line, to know its kind. */
	PEEK = META_PIECE_MIN,
	/* Of a quoted message, to be looked at once more. */
	PIECE_BYTES = 32768,
	/* Bytes kept before a place: to see an empty line there. */
	BEFORE = 8,
};

/*
 * The bytes from file offset `at` on, at least `want` of them unless the
 * file ends before; .p is NULL when reading failed. The BEFORE bytes in
 * front of `at` are in the buffer too. Void after the next look.
 */
static struct str
look(struct mbox_scan *s, int64_t at, size_t want)
{
	size_t skip = (size_t)(at - s->base);
	ssize_t n;

	if (at < s->base) {	/* back to the start: a damaged INBOX */
		s->base = at;
		s->have = skip = 0;
	}
	if (s->have >= skip + want ||
	    (s->have >= skip && s->base + (int64_t)s->have >= s->size))
		return (struct str){ s->buf + skip, s->have - skip };
	skip = skip > BEFORE ? skip - BEFORE : 0;
	memmove(s->buf, s->buf + skip, s->have - skip);
	s->base += (int64_t)skip;
	s->have -= skip;
	while (s->have < BUF_BYTES && s->base + (int64_t)s->have < s->size) {
		want = BUF_BYTES - s->have;
		if ((int64_t)want > s->size - s->base - (int64_t)s->have)
			want = (size_t)(s->size - s->base) - s->have;
		n = pread(s->fd, s->buf + s->have, want,
		    s->base + (int64_t)s->have);
		if (n < 0 && errno == EINTR)
			continue;
		/* Shorter than fstat said: someone ignores the lock. */
		if (n <= 0)
			return (struct str){ NULL, 0 };
		s->have += (size_t)n;
	}
	skip = (size_t)(at - s->base);
	return (struct str){ s->buf + skip, s->have - skip };
}

static enum err
fail(struct why *why)
{
	return why_set(why, E_IO, "cannot read the mailbox: %s",
	    errno ? strerror(errno) : "it shrank");
}

/* Is the line before offset `at` empty, or is there none? */
static bool
blank_before(const struct mbox_scan *s, int64_t at)
{
	size_t i = (size_t)(at - s->base);

	if (at == 0)
		return true;
	if (i < 2 || s->buf[i - 1] != '\n')
		return at == 1 && i == 1 && s->buf[0] == '\n';
	if (s->buf[i - 2] == '\n')
		return true;
	return s->buf[i - 2] == '\r' && (at == 2 ||
	    (i >= 3 && s->buf[i - 3] == '\n'));
}

static bool
is_point(const struct mbox_scan *s, int64_t at)
{
	unsigned i;

	if (at == s->old_end)
		return true;
	for (i = 0; i < s->n_points; i++)
		if (s->points[i] == at)
			return true;
	return false;
}

/* A From_ line as found, with the judgement over it. */
struct from {
	size_t n;		/* bytes with EOL */
	enum fromline_kind kind;
	struct fromline line;	/* slices of the buffer */
	bool point;
};

/*
 * Bytes of text, which begins at `at`, before its LF. Behind NULs there may
 * be thousands of candidates in one line: each byte is searched once.
 */
static size_t
before_lf(struct mbox_scan *s, int64_t at, struct str text)
{
	size_t known = s->no_lf > at ? (size_t)(s->no_lf - at) : 0, n;

	if (known > text.n)
		known = text.n;
	n = known + str_index(str_from(text, known), '\n');
	s->no_lf = at + (int64_t)n;
	return n;
}

/*
 * The decision of mbox.md 1.3 for the bytes at `at`, which stand behind an
 * LF or NUL, at the start of the file or at a known append point. 1 yes, 0
 * no, -1 when reading failed. Rules by number in that order.
 */
static int
is_boundary(struct mbox_scan *s, int64_t at, struct from *out)
{
	struct str text, line, next;
	bool blank, header, glued;
	char before;

	text = look(s, at, 2 * PEEK);
	if (text.p == NULL)
		return -1;
	if (!str_starts(text, STR("From ")) ||
	    (at < s->dull && !is_point(s, at)))
		return 0;
	if (before_lf(s, at, text) + PEEK > text.n) {
		text = look(s, at, FROM_MAX + PEEK);
		if (text.p == NULL)
			return -1;
	}
	line = str_sub(text, 0, before_lf(s, at, text));
	if (line.n >= FROM_MAX)
		return 0;
	if (line.n < text.n)
		line.n++;
	next = str_sub(text, line.n, PEEK);
	next.n = str_index(next, '\n') + (str_index(next, '\n') < next.n);
	*out = (struct from){ .n = line.n };
	out->kind = fromline_read(line, &out->line);
	header = next.n > 0 && fromline_header_like(next);
	blank = blank_before(s, at);
	before = at == 0 ? '\n' : s->buf[at - s->base - 1];
	glued = before != '\n' && before != '\0';
	if (!glued && out->kind == FROMLINE_STRICT &&
	    (blank || header || before == '\0'))
		return 1;				/* 1 and 4 */
	if (!glued && out->kind == FROMLINE_LAX && blank && header)
		return 1;				/* 2 */
	/* 3. In the middle of a line only with a date: text that was seen
	 * half written may go on with "From ". */
	out->point = header && is_point(s, at) &&
	    (!glued || out->kind != FROMLINE_NOT);
	if (!out->point && out->kind != FROMLINE_STRICT)
		s->dull = at + (int64_t)line.n;
	return out->point;
}

/* LFs without CR in [from, to), which the buffer holds. */
static unsigned
recount(const struct mbox_scan *s, int64_t from, int64_t to)
{
	size_t i = (size_t)(from - s->base), end = (size_t)(to - s->base);
	unsigned n = 0;

	for (; i < end; i++)
		n += s->buf[i] == '\n' && (i == 0 || s->buf[i - 1] != '\r');
	return n;
}

/* The nearest known append point behind `at`, or the end of the file. */
static int64_t
next_point(const struct mbox_scan *s, int64_t at)
{
	int64_t best = s->size;
	unsigned i;

	if (s->old_end > at && s->old_end < best)
		best = s->old_end;
	for (i = 0; i < s->n_points; i++)
		if (s->points[i] > at && s->points[i] < best)
			best = s->points[i];
	return best;
}

/*
 * The first boundary at or behind `from`, with its From_ line in *next, or
 * s->size; -1 when reading failed. Adds the bare LFs of [from, that place)
 * to *bare.
 */
static int64_t
find_boundary(struct mbox_scan *s, int64_t from, uint64_t *bare,
    struct from *next)
{
	const int64_t straddle = sizeof("\nFrom ") - 2;
	struct str text;
	int64_t at = from, tried = from - 1, point, end;
	size_t i, n;
	int r;

	/* The LF right before `from` may be the one before a From_ line; it
	 * is counted below and is not ours. */
	text = look(s, at, 1);
	if (text.p != NULL && at > s->base && text.p[-1] == '\n') {
		at--;
		*bare -= at == s->base || text.p[-2] != '\r';
	}
	for (;;) {
		text = look(s, at, (size_t)straddle + 1);
		if (text.p == NULL)
			return -1;
		point = next_point(s, at > tried ? at : tried);
		n = s->have;
		if (point < s->base + (int64_t)n)
			n = (size_t)(point - s->base);
		i = scan_from(s->buf, n, (size_t)(at - s->base), bare);
		end = s->base + (int64_t)n;
		tried = i < n ? s->base + (int64_t)i + 1 : end;
		if (tried == s->size)
			return tried;
		if (i < n || end == point) {
			r = is_boundary(s, tried, next);
			if (r != 0)
				return r < 0 ? -1 : tried;
		}
		if (i < n) {
			at = tried;
			continue;
		}
		/* A candidate may lie across the end of what was scanned. */
		at = end - straddle > at ? end - straddle : at;
		*bare -= recount(s, at, end);
	}
}

/*
 * A line that does not fit into the buffer: its rest in pieces. Returns
 * the offset behind it, or -1.
 */
static int64_t
long_line(struct mbox_scan *s, int64_t at)
{
	struct str text;
	size_t n;

	do {
		text = look(s, at, 1);
		if (text.p == NULL)
			return -1;
		n = str_index(text, '\n');
		if (n < text.n)
			n++;
		meta_more(&s->meta, str_sub(text, 0, n));
		at += (int64_t)n;
	} while (n > 0 && s->buf[at - s->base - 1] != '\n' &&
	    s->meta.bytes < HEADER_MAX_BYTES);
	return at;
}

/*
 * A header line of n bytes that holds NULs: a tail torn by a power loss,
 * with a message delivered behind it in the same line (mbox.md 1.3, 4)?
 * Feeds what stands before that and returns its length; else 0, or -1.
 */
static int
torn_line(struct mbox_scan *s, int64_t at, size_t n, struct from *next)
{
	struct str text;
	size_t i = 0;
	int r;

	for (;;) {
		text = str_sub(look(s, at, n), 0, n);
		i += str_index(str_from(text, i), '\0') + 1;
		if (i >= text.n || i > INT_MAX)
			return 0;
		if ((r = is_boundary(s, at + (int64_t)i, next)) != 0)
			break;
	}
	if (r < 0)
		return -1;
	meta_line(&s->meta, str_sub(look(s, at, i), 0, i));
	return (int)i;
}

/*
 * Feeds the header that begins at `at` to s->meta; returns the offset
 * behind its empty line (or behind HEADER_MAX_BYTES: what follows is body),
 * or where a boundary or the end of file cuts it off; -1 when reading
 * failed.
 */
static int64_t
scan_header(struct mbox_scan *s, int64_t at, struct from *next)
{
	struct str text;
	size_t n;
	int r;

	while (s->meta.bytes < HEADER_MAX_BYTES) {
		text = look(s, at, PEEK);
		if (text.p == NULL)
			return -1;
		if (text.n == 0)
			return at;
		if (text.p[0] == 'F' && str_starts(text, STR("From "))) {
			if ((r = is_boundary(s, at, next)) != 0)
				return r < 0 ? -1 : at;
			text = look(s, at, PEEK);
		}
		n = str_index(text, '\n');
		if (n == text.n) {
			meta_line(&s->meta, text);
			at = long_line(s, at + (int64_t)n);
			if (at < 0)
				return -1;
			continue;
		}
		if (memchr(text.p, '\0', n) != NULL &&
		    (r = torn_line(s, at, n, next)) != 0)
			return r < 0 ? -1 : at + r;
		at += (int64_t)n + 1;
		if (meta_line(&s->meta, str_sub(text, 0, n + 1)))
			return at;
	}
	s->meta.ended = true;
	return at;
}

static struct msg *
new_msg(struct mbox_scan *s)
{
	if (s->n == s->room) {
		s->room = s->room == 0 ? 64 : s->room + s->room / 2;
		s->msgs = xrealloc(s->msgs, s->room, sizeof(*s->msgs));
	}
	memset(&s->msgs[s->n], 0, sizeof(s->msgs[0]));
	return &s->msgs[s->n++];
}

/*
 * Where the body [from, next) ends: the empty line before a boundary, or
 * at the end of the file, belongs to the boundary. *bare follows.
 */
static int64_t
body_end(const struct mbox_scan *s, int64_t from, int64_t next,
    uint64_t *bare)
{
	if (next == from || next < 2 || !blank_before(s, next))
		return next;
	if (s->buf[next - s->base - 2] == '\n') {
		--*bare;
		return next - 1;
	}
	return next - 2 < from ? next : next - 2;
}

uint32_t
mbox_keyword_bits(const struct keywords *k, struct str words)
{
	struct str word;
	uint32_t bits = 0;
	size_t n;
	int i;

	while (words.n > 0) {
		n = str_index(words, ' ');
		word = str_sub(words, 0, n);
		words = str_from(words, n + 1);
		if (word.n > 0 && (i = keyword_find(k, word)) >= 0)
			bits |= (uint32_t)1 << i;
	}
	return bits;
}

static void
take_base(struct mbox_scan *s)
{
	struct str words = meta_base_keywords(&s->meta);
	size_t n;

	s->based = true;
	s->uidvalidity = s->meta.uidvalidity;
	s->uidlast = s->meta.uidlast;
	s->keywords.n = 0;
	while (words.n > 0) {
		n = str_index(words, ' ');
		if (n > 0)
			keyword_add(&s->keywords, str_sub(words, 0, n));
		words = str_from(words, n + 1);
	}
}

/*
 * What of the metadata counts (mbox.md 2.3): X-IMAPbase only in the first
 * message, in the shape in which programs write it, and not contradicted
 * by that message's own X-UID; an X-UID only when it rises and is not above
 * uidlast; keywords only those that the base field lists. An INBOX message
 * without such a UID is seen for the first time: a sender must not have it
 * expunged by \Deleted.
 */
static void
believe(struct mbox_scan *s, struct msg *msg, bool first)
{
	const struct meta *m = &s->meta;

	if (first && m->base == META_XIMAPBASE && m->base_shaped &&
	    m->uid != 0 && m->uid <= m->uidlast)
		take_base(s);
	msg->flags = (uint8_t)m->flags;
	if (s->based && m->uid > s->uid_before && m->uid <= s->uidlast)
		msg->uid = s->uid_before = m->uid;
	else if (s->inbox)
		msg->flags &= (uint8_t)~FLAG_DELETED;
	if (!(msg->flags & FLAG_OLD))
		msg->flags |= FLAG_RECENT;
	msg->keywords = mbox_keyword_bits(&s->keywords, meta_keywords(m));
}

/*
 * Is the first message, whose body begins at `body`, UW's or Dovecot's
 * pseudo message? A forged one fails on the sender, since every MDA writes
 * the real one, or is harmless: it must look like the real one throughout.
 * One whose UIDs are used up has nothing to say any more.
 */
static bool
is_pseudo(struct mbox_scan *s, struct str sender, int64_t body)
{
	return s->meta.base == META_XIMAP && s->meta.base_spelled &&
	    s->meta.base_count == 1 && s->meta.pseudo_subject &&
	    s->meta.uidlast < INT32_MAX - UIDS_SPARE &&
	    (str_eq(sender, STR("MAILER-DAEMON")) ||
	    str_eq(sender, STR("MAILER_DAEMON"))) &&
	    str_starts(look(s, body, meta_pseudo_body.n), meta_pseudo_body);
}

static void
date_message(const struct mbox_scan *s, const struct from *from,
    struct msg *msg)
{
	struct date date = { .time = s->mtime };

	if (from->kind == FROMLINE_NOT)
		date_to_local(&date);
	else
		fromline_date(&from->line, &date);
	msg->date = date.time;
	msg->zone = (int16_t)date.zone;
}

/*
 * We stored the message with quoted lines: its size is that without the
 * quoting. Reads it once more, which few messages cost. 0, or -1.
 */
static int
unquote(const struct mbox_scan *s, struct msg *msg)
{
	struct quote q = { .at = 0 };
	char piece[PIECE_BYTES];
	int64_t at = msg->start + msg->from;
	size_t n, i;

	msg->bits |= MSG_QUOTED;
	while (at < msg->end) {
		n = sizeof(piece);
		if ((int64_t)n > msg->end - at)
			n = (size_t)(msg->end - at);
		if (fs_pread(s->fd, piece, n, at) != 0)
			return -1;
		i = 0;
		while (quote_find(&q, (struct str){ piece, n }, &i))
			msg->size -= q.marked;
		at += (int64_t)n;
	}
	return 0;
}

/*
 * Reads the message whose From_ line `from` begins at `at`, and adds it
 * unless it is a pseudo message. Returns the offset of the next one, whose
 * From_ line is then in `from`; or -1.
 */
static int64_t
scan_message(struct mbox_scan *s, int64_t at, struct from *from)
{
	bool first = !s->tail && s->n == 0 && !s->based;
	char sender[16];
	struct msg msg = { .start = at, .from = (uint16_t)from->n };
	struct str name = str_sub(from->line.sender, 0, sizeof(sender));
	uint64_t bare = 0;
	int64_t body, next;

	if (name.n > 0)
		memcpy(sender, name.p, name.n);
	name.p = sender;
	date_message(s, from, &msg);
	meta_begin(&s->meta, &s->key, str_sub(look(s, at, from->n), 0,
	    from->n));
	if (from->point)
		msg.bits |= MSG_POINT;
	body = scan_header(s, at + (int64_t)from->n, from);
	if (body < 0)
		return -1;
	msg.hash = meta_end(&s->meta);
	if (!s->meta.ended)
		msg.bits |= MSG_OPEN;
	msg.head = (uint32_t)s->meta.bytes;
	if (first && is_pseudo(s, name, body)) {
		take_base(s);
		s->pseudo = at;
		s->pseudo_head = (uint32_t)(body - at);
		return find_boundary(s, body, &bare, from);
	}
	believe(s, &msg, first);
	next = s->meta.ended ? find_boundary(s, body, &bare, from) : body;
	if (next < 0)
		return -1;
	msg.end = body_end(s, body, next, &bare);
	msg.size = s->meta.bytes - s->meta.hidden + s->meta.bare -
	    s->meta.hidden_bare + (uint64_t)(msg.end - body) + bare;
	if (s->meta.quoted && unquote(s, &msg) != 0)
		return -1;
	*new_msg(s) = msg;
	return next;
}

uint64_t
mbox_prefix_hash(const struct hash_key *key, struct str text)
{
	struct hash h;

	hash_init(&h, key);
	hash_add(&h, str_sub(text, 0, PEEK));
	return hash_end(&h);
}

/*
 * The first line of an INBOX is damaged: what stands before the first
 * boundary is shown as a message without a header (mbox.md 1.3, "never
 * refuse INBOX"). Returns the offset of the next message, or -1.
 */
static int64_t
scan_prefix(struct mbox_scan *s, struct from *from)
{
	const struct from none = { .kind = FROMLINE_NOT };
	struct msg msg = { .flags = FLAG_RECENT };
	char text[PEEK];
	uint64_t bare = 0;
	int64_t next;
	size_t n;

	date_message(s, &none, &msg);
	next = find_boundary(s, 0, &bare, from);
	if (next < 0)
		return -1;
	msg.end = body_end(s, 0, next, &bare);
	msg.size = (uint64_t)msg.end + bare;
	n = msg.end < PEEK ? (size_t)msg.end : PEEK;
	if (fs_pread(s->fd, text, n, 0) != 0)
		return -1;
	msg.hash = mbox_prefix_hash(&s->key, (struct str){ text, n });
	*new_msg(s) = msg;
	return next;
}

/*
 * Where the first message begins: behind empty lines and NULs. *r is what
 * is_boundary says there.
 */
static int64_t
skip_blank(struct mbox_scan *s, struct from *from, int *r)
{
	int64_t at = s->at;
	struct str text;
	size_t i;

	do {
		text = look(s, at, 1);
		for (i = 0; i < text.n && (text.p[i] == '\n' ||
		    text.p[i] == '\r' || text.p[i] == '\0'); i++)
			;
		at += (int64_t)i;
	} while (i > 0 && i == text.n);
	*r = text.p == NULL ? -1 : at == s->size ? 0 :
	    is_boundary(s, at, from);
	return at;
}

/*
 * At the end that we knew an appended message may follow at once, glued to
 * an unterminated line, or behind the newlines that its writer put first.
 */
static int64_t
first_boundary(struct mbox_scan *s, struct from *from, int *r)
{
	int64_t at = s->at;

	if (s->tail && (*r = is_boundary(s, at, from)) != 0)
		return at;
	at = skip_blank(s, from, r);
	if (*r != 0 || at == s->size || s->tail)
		return at;
	return s->inbox ? 0 : -1;
}

enum err
mbox_scan(struct mbox_scan *s, struct why *why)
{
	struct from from;
	int64_t at;
	int r;

	errno = 0;
	s->buf = xmalloc(BUF_BYTES);
	s->base = s->at > BEFORE ? s->at - BEFORE : 0;
	s->have = 0;
	if (look(s, s->at, (size_t)(s->at - s->base) + 1).p == NULL)
		return fail(why);
	at = first_boundary(s, &from, &r);
	if (r < 0)
		return fail(why);
	if (at < 0 || (s->tail && r == 0 && at < s->size))
		return why_set(why, E_NOTMBOX, "not a mailbox file");
	if (r == 0 && at < s->size)
		at = scan_prefix(s, &from);
	while (at >= 0 && at < s->size) {
		if (s->n == INT32_MAX)
			return why_set(why, E_LIMIT, "too many messages");
		at = scan_message(s, at, &from);
	}
	return at < 0 ? fail(why) : E_OK;
}

void
mbox_scan_free(struct mbox_scan *s)
{
	free(s->buf);
	free(s->msgs);
	s->buf = NULL;
	s->msgs = NULL;
	s->n = s->room = 0;
}
