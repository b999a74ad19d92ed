/*
 * codec.c - bytes as mail and mailbox names write them: base64,
 * quoted-printable, encoded words, modified UTF-7. Pure functions from a
 * str to a buf, in linear time whatever the input. What decodes mail guesses
 * and goes on; what decodes a command is strict. Knows no charset:
 * charset.c gives decoded bytes their meaning.
 */
#include "codec.h"

#include <string.h>

#include "utf8.h"

enum {
	/* Input that one round of base64_decode takes. */
	BASE64_BLOCK = 4096,
	/* Marks a byte of the alphabet; the low six bits are its value. */
	BASE64_IN = 64,
	/*
	 * Charset and language of an encoded word. The law is 75 for the
	 * whole word (RFC 2047 2), which real mail breaks in the text only.
	 */
	WORD_CHARSET_MAX = 75,
};

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const unsigned char base64_value[256] = {
	['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76,
	['N'] = 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
	['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102,
	['n'] = 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,
	['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
	['+'] = 126, ['/'] = 127,
};

/* Base64 on its way through blocks. */
struct base64 {
	uint32_t bits;		/* of the group that is not yet whole */
	unsigned have;		/* its characters, 0 to 3 */
	bool ended;		/* a "=" was seen */
};

/* Whole groups of four without any foreign byte: nearly all of real mail. */
static size_t
base64_groups(const unsigned char *p, size_t n, char *to)
{
	unsigned a, b, c, d;
	uint32_t v;
	size_t at;

	for (at = 0; n - at >= 4; at += 4, to += 3) {
		a = base64_value[p[at]];
		b = base64_value[p[at + 1]];
		c = base64_value[p[at + 2]];
		d = base64_value[p[at + 3]];
		if ((a & b & c & d & BASE64_IN) == 0)
			break;
		v = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
		to[0] = (char)(v >> 16);
		to[1] = (char)(v >> 8);
		to[2] = (char)v;
	}
	return at;
}

/*
 * Decodes one block and returns the bytes written. "The occurrence of any
 * "=" characters may be taken as evidence that the end of the data has been
 * reached" (RFC 2045 6.8): what some list software adds behind it is text,
 * and would decode to noise.
 */
static size_t
base64_block(struct base64 *b, struct str in, char *to)
{
	const unsigned char *p = (const unsigned char *)in.p;
	char *from = to;
	unsigned v;
	size_t at = 0, n;

	while (at < in.n) {
		if (b->have == 0) {
			n = base64_groups(p + at, in.n - at, to);
			at += n;
			to += n / 4 * 3;
			if (at == in.n)
				break;
		}
		b->ended = p[at] == '=';
		if (b->ended)
			break;
		v = base64_value[p[at++]];
		if (v == 0)
			continue;
		b->bits = b->bits << 6 | (v & 63);
		if (++b->have < 4)
			continue;
		b->have = 0;
		*to++ = (char)(b->bits >> 16);
		*to++ = (char)(b->bits >> 8);
		*to++ = (char)b->bits;
	}
	return (size_t)(to - from);
}

void
base64_decode(struct str in, struct buf *out)
{
	struct base64 b = { 0 };
	struct str block;
	char *to;

	while (in.n > 0 && !b.ended) {
		block = str_sub(in, 0, BASE64_BLOCK);
		in = str_from(in, block.n);
		to = buf_grow(out, (block.n + b.have) / 4 * 3);
		if (to == NULL)
			return;
		out->n += base64_block(&b, block, to);
	}
	/* The last group lacks one or two characters, padded or not. */
	if (b.have >= 2)
		buf_addc(out, (char)(b.bits >> (b.have == 3 ? 10 : 4)));
	if (b.have == 3)
		buf_addc(out, (char)(b.bits >> 2));
}

/*
 * base64 = *(4base64-char) [base64-terminal] (RFC 3501 9). Bits that the
 * padding leaves over must be zero: one text has one encoding.
 */
int
base64_decode_strict(struct str in, struct buf *out)
{
	static const unsigned char spare[] = { 0, 3, 15 };
	struct str data = in;
	unsigned pad = 0, v = 0;
	size_t i, from = out->n;

	if (in.n % 4 != 0)
		return -1;
	while (pad < 2 && data.n > 0 && data.p[data.n - 1] == '=') {
		data.n--;
		pad++;
	}
	for (i = 0; i < data.n; i++) {
		v = base64_value[(unsigned char)data.p[i]];
		if (v == 0)
			return -1;
	}
	if ((v & spare[pad]) != 0)
		return -1;
	base64_decode(data, out);
	if (out->over) {
		out->n = from;
		return -1;
	}
	return 0;
}

void
base64_encode(struct str in, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	uint32_t v;
	size_t i, left;
	char *to;

	to = buf_grow(out, in.n / 3 * 4 + (in.n % 3 != 0 ? 4 : 0));
	if (to == NULL)
		return;
	for (i = 0; i < in.n; i += 3, to += 4, out->n += 4) {
		left = in.n - i;
		v = (uint32_t)p[i] << 16;
		if (left > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			v |= p[i + 2];
		to[0] = base64_alphabet[v >> 18];
		to[1] = base64_alphabet[v >> 12 & 63];
		to[2] = left > 1 ? base64_alphabet[v >> 6 & 63] : '=';
		to[3] = left > 2 ? base64_alphabet[v & 63] : '=';
	}
}

static int
hex(char c)
{
	unsigned v = (unsigned char)c;

	if (v - '0' < 10)
		return (int)(v - '0');
	v = (v | 0x20) - 'a';
	return v < 6 ? (int)v + 10 : -1;
}

/* The byte that "=XX" at the start of s stands for, or -1. */
static int
qp_escape(struct str s)
{
	int high, low;

	if (s.n < 3 || s.p[0] != '=')
		return -1;
	high = hex(s.p[1]);
	low = hex(s.p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* One line without its end. It never grows: room for it is enough. */
static void
qp_line(struct str line, bool underscore, struct buf *out)
{
	char *to = buf_grow(out, line.n), *from = to;
	size_t i, n;
	int c;

	if (to == NULL)
		return;
	while (line.n > 0) {
		c = qp_escape(line);
		if (c >= 0) {
			*to++ = (char)c;
			line = str_from(line, 3);
			continue;
		}
		/* A broken escape goes with the plain bytes behind it. */
		n = 1 + str_index(str_from(line, 1), '=');
		memcpy(to, line.p, n);
		for (i = 0; underscore && i < n; i++)
			if (to[i] == '_')
				to[i] = ' ';
		to += n;
		line = str_from(line, n);
	}
	out->n += (size_t)(to - from);
}

/*
 * "When decoding a Quoted-Printable body, any trailing white space on a
 * line must be deleted" (RFC 2045 6.7 (3)); it may also stand behind the
 * "=" of a soft line break. A part's last line end belongs to the boundary,
 * so a "=" at the very end is a soft line break too.
 */
static void
qp_lines(struct str in, bool crlf, struct buf *out)
{
	struct str line, text, end;
	bool soft;

	while (str_line(&in, &line)) {
		text = str_chomp(line);
		end = str_from(line, text.n);
		while (text.n > 0 && (text.p[text.n - 1] == ' ' ||
		    text.p[text.n - 1] == '\t'))
			text.n--;
		soft = text.n > 0 && text.p[text.n - 1] == '=';
		if (soft)
			text.n--;
		qp_line(text, false, out);
		if (!soft)
			buf_add(out, crlf && end.n > 0 ? STR("\r\n") : end);
	}
}

void
qp_decode(struct str in, bool underscore, struct buf *out)
{
	if (underscore)
		qp_line(in, true, out);
	else
		qp_lines(in, false, out);
}

/* Past white space and comments (RFC 5322 3.2.2), nested or unclosed. */
static struct str
skip_comments(struct str s)
{
	size_t depth = 0;
	char c;

	while (s.n > 0) {
		c = s.p[0];
		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			s = str_from(s, 1);
		else if (depth == 0 && !ascii_space((unsigned char)c))
			break;
		s = str_from(s, 1);
	}
	return s;
}

enum cte
cte_find(struct str value)
{
	static const struct {
		struct str name;
		enum cte cte;
	} mechanisms[] = {
		{ { "", 0 }, CTE_IDENTITY },
		{ { "7bit", 4 }, CTE_IDENTITY },
		{ { "8bit", 4 }, CTE_IDENTITY },
		{ { "binary", 6 }, CTE_IDENTITY },
		{ { "quoted-printable", 16 }, CTE_QP },
		{ { "base64", 6 }, CTE_BASE64 },
	};
	size_t i, n;

	value = skip_comments(value);
	/* The token is sometimes quoted, or followed by ";". */
	if (value.n > 0 && value.p[0] == '"')
		value = str_from(value, 1);
	for (n = 0; n < value.n; n++)
		if (ascii_space((unsigned char)value.p[n]) ||
		    value.p[n] == '"' || value.p[n] == '(' || value.p[n] == ';')
			break;
	for (i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (str_ieq(str_sub(value, 0, n), mechanisms[i].name))
			return mechanisms[i].cte;
	return CTE_UNKNOWN;
}

void
cte_decode(enum cte cte, struct str in, struct buf *out)
{
	if (cte == CTE_BASE64)
		base64_decode(in, out);
	else if (cte == CTE_QP)
		qp_lines(in, true, out);
}

/* An encoded word as it stands in the header. */
struct encoded {
	struct str charset;	/* language cut off */
	struct str text;
	bool base64;
	size_t n;		/* all of it, "=?" to "?=" */
};

/*
 * Length of the encoded text that s begins with, or s.n when it never ends.
 * The text may be too long, or hold white space or "?", as mail programs
 * write it. It ends unfinished at a line end and where another word begins,
 * so no byte is looked at for more than one "=?".
 */
static size_t
encoded_text(struct str s)
{
	size_t i;

	for (i = 0; i + 1 < s.n; i++) {
		if (s.p[i] == '\n')
			break;
		if (s.p[i] != '?')
			continue;
		if (s.p[i + 1] == '=')
			return i;
		if (i > 0 && s.p[i - 1] == '=')
			break;
	}
	return s.n;
}

/*
 * Does s begin with an encoded word? "=?" charset ["*" language] "?"
 * encoding "?" encoded-text "?=" (RFC 2047 2, RFC 2231 5). The charset may
 * be empty; the encoding is Q or B in either case.
 */
static bool
encoded_find(struct str s, struct encoded *w)
{
	struct str text;
	size_t i, n;

	if (s.n < 2 || s.p[0] != '=' || s.p[1] != '?')
		return false;
	w->charset = str_sub(s, 2, WORD_CHARSET_MAX);
	for (i = 0; i < w->charset.n && w->charset.p[i] != '?'; i++)
		if (w->charset.p[i] <= ' ' || w->charset.p[i] > '~')
			return false;
	w->charset.n = i;
	text = str_from(s, 2 + i);
	if (text.n < 3 || text.p[0] != '?' || text.p[2] != '?')
		return false;
	w->base64 = ascii_lower((unsigned char)text.p[1]) == 'b';
	if (!w->base64 && ascii_lower((unsigned char)text.p[1]) != 'q')
		return false;
	w->charset.n = str_index(w->charset, '*');
	text = str_from(text, 3);
	n = encoded_text(text);
	if (n == text.n)
		return false;
	w->text = str_sub(text, 0, n);
	w->n = (size_t)(text.p - s.p) + n + 2;
	return true;
}

static void
encoded_decode(const struct encoded *w, struct buf *out)
{
	if (w->base64)
		base64_decode(w->text, out);
	else
		qp_decode(w->text, true, out);
}

/* "Any 'linear-white-space' that separates a pair of adjacent
 * 'encoded-word's is ignored" (RFC 2047 6.2). */
static bool
encoded_adjacent(struct str *rest, struct encoded *w)
{
	size_t n = 0;

	while (n < rest->n && ascii_space((unsigned char)rest->p[n]))
		n++;
	if (!encoded_find(str_from(*rest, n), w))
		return false;
	*rest = str_from(*rest, n);
	return true;
}

/*
 * Adjacent words of one charset are decoded as one, because many programs
 * split a character between them although RFC 2047 5 forbids it. Ends early
 * when scratch has no room for the next word.
 */
static void
word_encoded(struct str *rest, struct encoded *w, struct buf *scratch,
    struct word *out)
{
	struct str charset = w->charset;

	do {
		encoded_decode(w, scratch);
		*rest = str_from(*rest, w->n);
	} while (encoded_adjacent(rest, w) && str_ieq(w->charset, charset) &&
	    !scratch->over && w->text.n <= scratch->max - scratch->n);
	*out = (struct word){ buf_str(scratch), charset };
}

/* Length of the line end that s begins with, or 0. A lone CR is text. */
static size_t
line_end(struct str s)
{
	if (s.n > 0 && s.p[0] == '\n')
		return 1;
	return s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n' ? 2 : 0;
}

/*
 * Bytes before the next encoded word (then *w is that word) or line end.
 * A word is found anywhere, glued to text or in a quoted string, against
 * RFC 2047 5: that is where mail programs show it decoded.
 */
static size_t
plain_run(struct str s, struct encoded *w)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '=' && encoded_find(str_from(s, i), w))
			return i;
		if (line_end(str_from(s, i)) > 0)
			return i;
	}
	return s.n;
}

bool
word_next(struct str *rest, struct buf *scratch, struct word *out)
{
	struct encoded w;
	size_t n;

	buf_clear(scratch);
	while ((n = line_end(*rest)) > 0)
		*rest = str_from(*rest, n);
	if (rest->n == 0)
		return false;
	n = plain_run(*rest, &w);
	if (n == 0) {
		word_encoded(rest, &w, scratch, out);
		return true;
	}
	*out = (struct word){ .text = str_sub(*rest, 0, n) };
	*rest = str_from(*rest, n);
	return true;
}

/* "Octet values 0x20-0x25 and 0x27-0x7e" and "&", which has "&-". */
static bool
utf7_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/*
 * Adds the character that one or two UTF-16 units make; *high is the first
 * half of a pair. Never what could stand for itself, and never NUL, which
 * no IMAP string but a literal8 can hold.
 */
static bool
utf7_unit(uint32_t *high, uint32_t unit, struct buf *out)
{
	bool low = unit >= 0xdc00 && unit <= 0xdfff;
	char text[4];

	if (low != (*high != 0))
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	if (low)
		unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
	*high = 0;
	if (unit == 0 || utf7_direct(unit))
		return false;
	buf_add(out, (struct str){ text, utf8_put(text, unit) });
	return true;
}

/*
 * Decodes modified base64 from behind its "&". Returns the bytes taken,
 * with the "-", or 0: no "-", a foreign byte, half a surrogate pair, a
 * character too many, or padding bits that are not zero.
 */
static size_t
utf7_shifted(struct str in, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned have = 0, v;
	size_t i;

	for (i = 0; i < in.n && in.p[i] != '-'; i++) {
		v = base64_value[(unsigned char)in.p[i]];
		if (in.p[i] == ',')
			v = base64_value['/'];
		else if (v == 0 || in.p[i] == '/')
			return 0;
		bits = bits << 6 | (v & 63);
		have += 6;
		if (have < 16)
			continue;
		have -= 16;
		if (!utf7_unit(&high, bits >> have & 0xffff, out))
			return 0;
	}
	if (i == in.n || high != 0 || have >= 6 ||
	    (bits & ((1u << have) - 1)) != 0)
		return 0;
	return i + 1;
}

int
utf7_to_utf8(struct str in, struct buf *out)
{
	size_t from = out->n, n;
	bool after_shift = false;	/* then "&" would be a null shift */

	for (; in.n > 0; in = str_from(in, n)) {
		n = 1;
		if (in.p[0] != '&' || str_starts(in, STR("&-"))) {
			if (!utf7_direct((unsigned char)in.p[0]))
				goto bad;
			n = in.p[0] == '&' ? 2 : 1;
			buf_addc(out, in.p[0]);
			after_shift = false;
			continue;
		}
		n = utf7_shifted(str_from(in, 1), out);
		if (n == 0 || after_shift)
			goto bad;
		n++;
		after_shift = true;
	}
	if (!out->over)
		return 0;
bad:
	out->n = from;
	return -1;
}

/* Modified base64 being written. */
struct utf7 {
	uint32_t bits;
	unsigned have;
};

/* Adds n bits, and every six that are complete to out. */
static void
utf7_bits(struct utf7 *u, uint32_t bits, unsigned n, struct buf *out)
{
	char c;

	u->bits = u->bits << n | bits;
	u->have += n;
	while (u->have >= 6) {
		u->have -= 6;
		c = base64_alphabet[u->bits >> u->have & 63];
		buf_addc(out, c == '/' ? ',' : c);
	}
}

/* Encodes what cannot stand for itself. Returns its bytes, 0 when bad. */
static size_t
utf7_shift(struct str in, struct buf *out)
{
	struct utf7 u = { 0 };
	uint32_t cp;
	size_t i, n;

	buf_addc(out, '&');
	for (i = 0; i < in.n; i += n) {
		n = utf8_get(str_from(in, i), &cp);
		if (n == 0 || cp == 0)
			return 0;
		if (utf7_direct(cp))
			break;
		if (cp > 0xffff) {
			cp -= 0x10000;
			utf7_bits(&u, 0xd800 + (cp >> 10), 16, out);
			cp = 0xdc00 + (cp & 0x3ff);
		}
		utf7_bits(&u, cp, 16, out);
	}
	if (u.have > 0)
		utf7_bits(&u, 0, 6 - u.have, out);
	buf_addc(out, '-');
	return i;
}

int
utf7_from_utf8(struct str in, struct buf *out)
{
	size_t from = out->n, n;

	for (; in.n > 0; in = str_from(in, n)) {
		n = 1;
		if (in.p[0] == '&')
			buf_add(out, STR("&-"));
		else if (utf7_direct((unsigned char)in.p[0]))
			buf_addc(out, in.p[0]);
		else if ((n = utf7_shift(in, out)) == 0)
			goto bad;
	}
	if (!out->over)
		return 0;
bad:
	out->n = from;
	return -1;
}
