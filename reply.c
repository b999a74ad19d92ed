/*
 * reply.c - IMAP syntax on its way out. Each kind of value has one function
 * here, and this is the only file that knows how it is written; so what
 * came from a mailbox or a client can not become syntax. Writes into the
 * output buffer of io directly; reads nothing and keeps nothing.
 */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/scan.h"

enum {
	TEXT_MAX_BYTES = 2048,	/* of one reply_f: our own words only */
	NUMBER_MAX_BYTES = 20,
	/* Text is converted in pieces of this size, so that at most as much
	 * of the output buffer goes out unused. */
	PIECE_BYTES = 4096,
};

/* Too long can only be a mistake of ours: no client or mailbox bytes come
 * here, so the length does not hang on them. */
void
reply_f(struct reply *r, const char *fmt, ...)
{
	char *to = io_room(r->io, TEXT_MAX_BYTES);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, TEXT_MAX_BYTES, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= TEXT_MAX_BYTES)
		log_bug("reply_f: text of %d bytes", n);
	r->io->out_n += (size_t)n;
}

void
reply_raw(struct reply *r, struct str s)
{
	io_write(r->io, s);
}

static void
byte(struct reply *r, char c)
{
	*io_room(r->io, 1) = c;
	r->io->out_n++;
}

/* Not printf: FETCH of flags and uids is nearly nothing but numbers. */
void
reply_number(struct reply *r, uint64_t n)
{
	char digits[NUMBER_MAX_BYTES];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	io_write(r->io, (struct str){ digits + at, sizeof(digits) - at });
}

/* NUL is in no string that IMAP can carry (RFC 3501 section 9, note 3). */
static void
octets(struct reply *r, struct str s)
{
	size_t clean;

	while (s.n > 0) {
		clean = str_index(s, '\0');
		io_write(r->io, str_sub(s, 0, clean));
		if (clean == s.n)
			break;
		byte(r, (char)0x80);
		s = str_from(s, clean + 1);
	}
}

static void
literal_head(struct reply *r, uint64_t size)
{
	byte(r, '{');
	reply_number(r, size);
	reply_raw(r, STR("}\r\n"));
}

/* "quoted" holds TEXT-CHARs: 7-bit, but no NUL, CR and LF. */
static bool
quotable(struct str s)
{
	size_t i;
	unsigned char c;

	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c >= 0x80 || c == '\0' || c == '\r' || c == '\n')
			return false;
	}
	return true;
}

/* What lies between two escapes goes out whole. */
static void
quoted(struct reply *r, struct str s)
{
	size_t i, from = 0;

	byte(r, '"');
	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '"' && s.p[i] != '\\')
			continue;
		io_write(r->io, str_sub(s, from, i - from));
		byte(r, '\\');
		from = i;
	}
	io_write(r->io, str_from(s, from));
	byte(r, '"');
}

/*
 * This choice is what keeps a subject with a line end in it from being read
 * as a response of ours: no byte inside a literal is ever syntax.
 */
void
reply_string(struct reply *r, struct str s)
{
	if (quotable(s)) {
		quoted(r, s);
		return;
	}
	literal_head(r, s.n);
	octets(r, s);
}

void
reply_nstring(struct reply *r, struct str s)
{
	if (s.p == NULL)
		reply_raw(r, STR("NIL"));
	else
		reply_string(r, s);
}

/*
 * "]" could stand in an astring and NIL could be one, but clients trip over
 * the first inside BODY[...] and take the second for nothing.
 */
static bool
is_atom(struct str s)
{
	size_t i;
	unsigned char c;

	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		if (c <= ' ' || c >= 0x7f ||
		    memchr("(){%*\"\\]", c, 8) != NULL)
			return false;
	}
	return s.n > 0 && !str_ieq(s, STR("NIL"));
}

void
reply_astring(struct reply *r, struct str s)
{
	if (is_atom(s))
		reply_raw(r, s);
	else
		reply_string(r, s);
}

uint64_t
reply_crlf_size(struct str text)
{
	uint64_t bare = 0;

	scan_lines(text.p, text.n, NULL, &bare);
	return text.n + bare;
}

/* A place in a text that is sent with CRLF line ends. */
struct crlf {
	struct str text;
	size_t at;
	bool cr;		/* the CR that text[at] lacks has been sent */
	bool binary;		/* in a literal8, where NUL may stand */
};

static bool
lacks_cr(const struct crlf *c, size_t at)
{
	return c->text.p[at] == '\n' &&
	    (at == 0 || c->text.p[at - 1] != '\r');
}

/*
 * Writes the next octets of the converted text to `to`, at most room of
 * them; returns how many. Line by line: memchr and memcpy outrun a loop over
 * bytes even on short lines.
 */
static size_t
crlf_fill(struct crlf *c, char *to, size_t room)
{
	const char *p, *lf;
	size_t n, done = 0;

	while (done < room && c->at < c->text.n) {
		p = c->text.p + c->at;
		n = c->text.n - c->at;
		if (n > room - done)
			n = room - done;
		lf = memchr(p, '\n', n);
		if (lf != NULL)
			n = (size_t)(lf - p);
		memcpy(to + done, p, n);
		done += n;
		c->at += n;
		if (lf == NULL)
			continue;
		if (!c->cr && lacks_cr(c, c->at)) {
			to[done++] = '\r';
			c->cr = true;
			if (done == room)
				break;
		}
		to[done++] = '\n';
		c->at++;
		c->cr = false;
	}
	return done;
}

/* In the copy that is about to leave: one byte stays one byte, so the
 * literal's count holds. */
static void
no_nul(char *p, size_t n)
{
	char *end = p + n;

	while ((p = memchr(p, '\0', (size_t)(end - p))) != NULL)
		*p = (char)0x80;
}

/* The next `count` octets. Anything but exactly these would turn what
 * follows the literal into mail, or mail into what follows. */
static void
crlf_send(struct reply *r, struct crlf *c, uint64_t count)
{
	char *to;
	size_t n;

	while (count > 0 && !r->io->gone) {
		to = io_room(r->io, PIECE_BYTES);
		n = crlf_fill(c, to, count < PIECE_BYTES ? (size_t)count :
		    PIECE_BYTES);
		if (n == 0)
			log_bug("literal: %llu octets missing",
			    (unsigned long long)count);
		if (!c->binary)
			no_nul(to, n);
		r->io->out_n += n;
		count -= n;
	}
}

/*
 * Passes over the first `skip` octets: piece by piece, counting, and then
 * byte by byte inside the piece that holds the place. A client that reads a
 * big message in parts pays for the way there each time, but at the speed
 * of scan_lines.
 */
static void
crlf_skip(struct crlf *c, uint64_t skip)
{
	struct str piece;
	uint64_t octets;

	for (;;) {
		/* scan_lines can not see the CR before a piece. */
		piece = str_sub(c->text, c->at, PIECE_BYTES);
		octets = reply_crlf_size(piece);
		if (piece.n > 0 && piece.p[0] == '\n' &&
		    !lacks_cr(c, c->at))
			octets--;
		if (octets > skip || piece.n == 0)
			break;
		skip -= octets;
		c->at += piece.n;
	}
	for (; skip > 0 && c->at < c->text.n; c->at++) {
		octets = lacks_cr(c, c->at) ? 2 : 1;
		if (octets > skip) {
			c->cr = true;
			break;
		}
		skip -= octets;
	}
}

/* A size that does not fit the text is caught here before the client can
 * be made to read on in the wrong place. */
void
reply_literal(struct reply *r, struct str text, uint64_t size)
{
	struct crlf c = { .text = text };

	literal_head(r, size);
	crlf_send(r, &c, size);
	if (c.at < text.n && !r->io->gone)
		log_bug("literal: %zu bytes too many", text.n - c.at);
}

/* Of the octets there are; false, and an empty string, when there is none. */
static bool
part_head(struct reply *r, uint64_t size, uint64_t first, uint64_t *count,
    bool literal8)
{
	if (first >= size) {
		reply_raw(r, STR("\"\""));
		return false;
	}
	if (*count > size - first)
		*count = size - first;
	if (literal8)
		byte(r, '~');
	literal_head(r, *count);
	return true;
}

/* RFC 3501 6.4.5: "If the starting octet is beyond the end of the text, an
 * empty string is returned." Reading beyond the end "is truncated". */
void
reply_literal_part(struct reply *r, struct str text, uint64_t size,
    uint32_t first, uint32_t count)
{
	struct crlf c = { .text = text };
	uint64_t n = count;

	if (!part_head(r, size, first, &n, false))
		return;
	crlf_skip(&c, first);
	crlf_send(r, &c, n);
}

/* RFC 3516 4.3: data that does "not contain the NUL octet, the server SHOULD
 * return [...] in a <string> instead of a <literal8>". */
static bool
has_nul(struct str s)
{
	return str_index(s, '\0') < s.n;
}

void
reply_binary_text(struct reply *r, struct str text, uint64_t size,
    uint64_t first, uint64_t count)
{
	struct crlf c = { .text = text, .binary = has_nul(text) };

	if (!part_head(r, size, first, &count, c.binary))
		return;
	crlf_skip(&c, first);
	crlf_send(r, &c, count);
}

void
reply_binary_data(struct reply *r, struct str data, uint64_t first,
    uint64_t count)
{
	if (part_head(r, data.n, first, &count, has_nul(data)))
		io_write(r->io, str_sub(data, (size_t)first, (size_t)count));
}

static void
flag(struct reply *r, struct str name, bool *any)
{
	if (*any)
		byte(r, ' ');
	reply_raw(r, name);
	*any = true;
}

/*
 * \Recent first, as UW has it, then the order of the FLAGS line. FLAG_OLD is
 * the mailbox's own business. Keywords were checked to be atoms when they
 * were read (keyword_add).
 */
void
reply_flags(struct reply *r, unsigned flags, uint32_t keywords,
    const struct keywords *names)
{
	unsigned bit, i;
	bool any = false;

	byte(r, '(');
	if (flags & FLAG_RECENT)
		flag(r, flag_name(FLAG_RECENT), &any);
	for (bit = 1; bit & FLAGS_SYSTEM; bit <<= 1)
		if (flags & bit)
			flag(r, flag_name(bit), &any);
	for (i = 0; i < names->n; i++)
		if (keywords >> i & 1)
			flag(r, keyword_name(names, i), &any);
	byte(r, ')');
}

void
reply_set(struct reply *r, const struct set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		if (i > 0)
			byte(r, ',');
		reply_number(r, set->at[i].lo);
		if (set->at[i].hi == set->at[i].lo)
			continue;
		byte(r, ':');
		reply_number(r, set->at[i].hi);
	}
}

void
reply_date(struct reply *r, const struct date *date)
{
	char text[27];

	date_to_imap(date, text);
	byte(r, '"');
	io_write(r->io, (struct str){ text, sizeof(text) - 1 });
	byte(r, '"');
}

/* "text = 1*TEXT-CHAR": paths and the system's error texts can hold what is
 * none, above all a line end. */
void
reply_text(struct reply *r, const char *text)
{
	for (; *text != '\0'; text++)
		byte(r, *text >= ' ' && *text <= '~' ? *text : '?');
}
