/*
 * charset.c - bytes of some charset to UTF-8, and UTF-8 folded for
 * comparing. The only file that knows iconv, and the wall before it: a
 * charset's name comes out of mail, so only harmless names get through.
 * Nothing here fails: what does not convert becomes U+FFFD and the rest
 * goes on, in time linear in the text.
 */
#include "charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

enum kind {
	KIND_NONE,		/* no charset was named yet */
	KIND_UNKNOWN,		/* read as ASCII is */
	KIND_ASCII,
	KIND_UTF8,
	KIND_LATIN1,		/* ISO-8859-1 and windows-1252 */
	KIND_LATIN9,		/* ISO-8859-15 */
	KIND_ICONV,
};

enum {
	REPLACEMENT = 0xfffd,
	/* iconv writes into this much stack at a time. */
	ICONV_OUT = 4096,
};

/*
 * What mail calls the built-in charsets, and names that iconv lacks or takes
 * too narrowly. The label of the national standard has long meant its
 * superset in mail (GB2312 is GBK, KS C 5601 is UHC and so on); as a
 * superset it converts all the rest as well. iconv_name NULL: as given.
 */
static const struct {
	const char *name;
	enum kind kind;
	const char *iconv_name;
} names[] = {
	{ "us-ascii", KIND_ASCII, NULL },
	{ "ascii", KIND_ASCII, NULL },
	{ "us", KIND_ASCII, NULL },
	{ "iso646-us", KIND_ASCII, NULL },
	{ "ansi_x3.4-1968", KIND_ASCII, NULL },
	{ "utf-8", KIND_UTF8, NULL },
	{ "utf8", KIND_UTF8, NULL },
	{ "unicode-1-1-utf-8", KIND_UTF8, NULL },
	{ "iso-8859-1", KIND_LATIN1, NULL },
	{ "iso8859-1", KIND_LATIN1, NULL },
	{ "iso_8859-1", KIND_LATIN1, NULL },
	{ "iso_8859-1:1987", KIND_LATIN1, NULL },
	{ "iso88591", KIND_LATIN1, NULL },
	{ "latin1", KIND_LATIN1, NULL },
	{ "latin-1", KIND_LATIN1, NULL },
	{ "l1", KIND_LATIN1, NULL },
	{ "cp819", KIND_LATIN1, NULL },
	{ "ibm819", KIND_LATIN1, NULL },
	{ "windows-1252", KIND_LATIN1, NULL },
	{ "cp1252", KIND_LATIN1, NULL },
	{ "cp-1252", KIND_LATIN1, NULL },
	{ "x-cp1252", KIND_LATIN1, NULL },
	{ "iso-8859-15", KIND_LATIN9, NULL },
	{ "iso8859-15", KIND_LATIN9, NULL },
	{ "iso_8859-15", KIND_LATIN9, NULL },
	{ "latin9", KIND_LATIN9, NULL },
	{ "latin-9", KIND_LATIN9, NULL },
	{ "gb2312", KIND_ICONV, "GB18030" },
	{ "gbk", KIND_ICONV, "GB18030" },
	{ "x-gbk", KIND_ICONV, "GB18030" },
	{ "euc-kr", KIND_ICONV, "UHC" },
	{ "ks_c_5601-1987", KIND_ICONV, "UHC" },
	{ "ks_c_5601-1989", KIND_ICONV, "UHC" },
	{ "ksc5601", KIND_ICONV, "UHC" },
	{ "shift_jis", KIND_ICONV, "CP932" },
	{ "shift-jis", KIND_ICONV, "CP932" },
	{ "x-sjis", KIND_ICONV, "CP932" },
	{ "x-euc-jp", KIND_ICONV, "EUC-JP" },
	{ "x-big5", KIND_ICONV, "BIG5" },
	{ "tis-620", KIND_ICONV, "CP874" },
	{ "iso-8859-8-i", KIND_ICONV, "ISO-8859-8" },
	{ "iso-8859-8-e", KIND_ICONV, "ISO-8859-8" },
	{ "unicode-1-1-utf-7", KIND_ICONV, "UTF-7" },
	{ "x-mac-roman", KIND_ICONV, "MACINTOSH" },
};

/*
 * 0x80 to 0x9f of windows-1252. Mail that says ISO-8859-1 means it too:
 * control characters are never what the sender put there.
 */
static const uint16_t windows_1252[32] = {
	0x20ac, REPLACEMENT, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, REPLACEMENT, 0x017d,
	REPLACEMENT,
	REPLACEMENT, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, REPLACEMENT, 0x017e, 0x0178,
};

/* Where ISO-8859-15 differs from ISO-8859-1. */
static const struct {
	unsigned char byte;
	uint16_t cp;
} latin9[] = {
	{ 0xa4, 0x20ac }, { 0xa6, 0x0160 }, { 0xa8, 0x0161 },
	{ 0xb4, 0x017d }, { 0xb8, 0x017e }, { 0xbc, 0x0152 },
	{ 0xbd, 0x0153 }, { 0xbe, 0x0178 },
};

/*
 * May the name go to iconv_open? "/" would begin its options, "," means the
 * locale's charset to glibc, and so does a name without a letter or digit.
 */
static bool
harmless(struct str name)
{
	bool any = false;
	size_t i;

	if (name.n > CHARSET_NAME_MAX)
		return false;
	for (i = 0; i < name.n; i++) {
		if (ascii_alpha((unsigned char)name.p[i]) ||
		    ascii_digit((unsigned char)name.p[i]))
			any = true;
		else if (memchr("._:()+-", name.p[i], 7) == NULL)
			return false;
	}
	return any;
}

/* Makes c, which is closed, convert from the harmless charset `name`. */
static void
open_as(struct charset *c, struct str name)
{
	const char *iconv_name = c->name;
	iconv_t cd;
	size_t i;

	memcpy(c->name, name.p, name.n);
	c->name[name.n] = '\0';
	c->kind = KIND_ICONV;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!str_ieq(name, str_c(names[i].name)))
			continue;
		c->kind = names[i].kind;
		if (names[i].iconv_name != NULL)
			iconv_name = names[i].iconv_name;
		break;
	}
	if (c->kind != KIND_ICONV)
		return;
	cd = iconv_open("UTF-8", iconv_name);
	if (cd == (iconv_t)-1)
		c->kind = KIND_UNKNOWN;
	else
		c->iconv = cd;
}

/* Does c stand open for this name already? */
static bool
is_open(const struct charset *c, struct str name)
{
	return c->kind != KIND_NONE && str_ieq(name, str_c(c->name));
}

bool
charset_known(struct str name)
{
	struct charset c = { 0 };
	bool known;

	if (!harmless(name))
		return false;
	open_as(&c, name);
	known = c.kind != KIND_UNKNOWN;
	charset_close(&c);
	return known;
}

void
charset_close(struct charset *c)
{
	if (c->kind == KIND_ICONV)
		(void)iconv_close(c->iconv);
	*c = (struct charset){ 0 };
}

static void
add_char(uint32_t cp, struct buf *out)
{
	char text[4];

	buf_add(out, (struct str){ text, utf8_put(text, cp) });
}

/* A byte from 0x80 on. */
static uint32_t
latin_char(enum kind kind, unsigned char byte)
{
	size_t i;

	if (byte < 0xa0)
		return windows_1252[byte - 0x80];
	for (i = 0; kind == KIND_LATIN9 &&
	    i < sizeof(latin9) / sizeof(latin9[0]); i++)
		if (latin9[i].byte == byte)
			return latin9[i].cp;
	return byte;
}

static void
from_latin(enum kind kind, struct str text, struct buf *out)
{
	size_t n;

	while (text.n > 0) {
		n = ascii_prefix(text);
		buf_add(out, str_sub(text, 0, n));
		for (; n < text.n && (unsigned char)text.p[n] >= 0x80; n++)
			add_char(latin_char(kind, (unsigned char)text.p[n]),
			    out);
		text = str_from(text, n);
	}
}

/*
 * UTF-8, or what should be ASCII: there a byte that is no UTF-8 is taken
 * for windows-1252, the commonest 8-bit charset of mail without a label.
 */
static void
from_utf8(enum kind kind, struct str text, struct buf *out)
{
	size_t n;

	while (text.n > 0) {
		n = utf8_prefix(text);
		buf_add(out, str_sub(text, 0, n));
		if (n == text.n)
			break;
		add_char(kind == KIND_UTF8 ? REPLACEMENT :
		    latin_char(KIND_LATIN1, (unsigned char)text.p[n]), out);
		text = str_from(text, n + 1);
	}
}

/*
 * One call of iconv over *in, which is cut; when that is empty, what iconv
 * held back for a character to come. Returns 0 or errno. What it wrote is
 * looked at again: glibc makes UCS-4 beyond Unicode into five or six bytes.
 */
static int
iconv_some(iconv_t cd, struct str *in, struct buf *out)
{
	char chunk[ICONV_OUT], *to = chunk;
	/* iconv's prototype lacks a const; it does not write there. */
	char *from = (char *)(uintptr_t)in->p;
	size_t room = sizeof(chunk);
	int error = 0;

	if (iconv(cd, in->n > 0 ? &from : NULL, &in->n, &to, &room) ==
	    (size_t)-1)
		error = errno;
	in->p = from;
	from_utf8(KIND_UTF8, (struct str){ chunk, sizeof(chunk) - room }, out);
	return error;
}

/*
 * One byte is skipped for each that does not convert, so every round makes
 * progress. In charsets of two-byte units the rest is then read one byte
 * off: such text was broken before.
 */
static void
from_iconv(iconv_t cd, struct str text, struct buf *out)
{
	while (text.n > 0 && !out->over) {
		switch (iconv_some(cd, &text, out)) {
		case 0:
		case E2BIG:
			break;
		case EINVAL:
			/* A character that the text's end cuts off. */
			add_char(REPLACEMENT, out);
			text.n = 0;
			break;
		default:
			add_char(REPLACEMENT, out);
			text = str_from(text, 1);
		}
	}
	/* This also puts cd back to where the next text begins. */
	text.n = 0;
	(void)iconv_some(cd, &text, out);
}

void
charset_to_utf8(struct charset *c, struct str name, struct str text,
    struct buf *out)
{
	enum kind kind = KIND_UNKNOWN;

	/* The open converter outlives plain text between encoded words. */
	if (harmless(name)) {
		if (!is_open(c, name)) {
			charset_close(c);
			open_as(c, name);
		}
		kind = (enum kind)c->kind;
	}
	switch (kind) {
	case KIND_ICONV:
		from_iconv(c->iconv, text, out);
		break;
	case KIND_LATIN1:
	case KIND_LATIN9:
		from_latin(kind, text, out);
		break;
	default:
		from_utf8(kind, text, out);
	}
}

/*
 * Every `step`-th character from first to last folds to itself plus add.
 * Rows of a script rise and do not overlap.
 */
struct fold {
	uint16_t first;
	uint16_t last;
	uint16_t step;
	int add;
};

/*
 * Capital to small letter, by the simple mappings of Unicode. Letters that
 * RFC 5051 makes one by their titlecase or decomposition are one here too:
 * dotless i, long s, final sigma, micro, Kelvin and Angstrom sign. No
 * character gets longer in UTF-8. Limits: nothing else is decomposed, so a
 * combining accent differs from an accented letter; sharp s is not "ss";
 * Armenian, Georgian and rarer scripts keep their case.
 */
static const struct fold latin[] = {
	{ 0x00b5, 0x00b5, 1, 0x03bc - 0x00b5 },
	{ 0x00c0, 0x00d6, 1, 32 },
	{ 0x00d8, 0x00de, 1, 32 },
	{ 0x0100, 0x012e, 2, 1 },
	{ 0x0130, 0x0130, 1, 'i' - 0x0130 },
	{ 0x0131, 0x0131, 1, 'i' - 0x0131 },
	{ 0x0132, 0x0136, 2, 1 },
	{ 0x0139, 0x0147, 2, 1 },
	{ 0x014a, 0x0176, 2, 1 },
	{ 0x0178, 0x0178, 1, 0x00ff - 0x0178 },
	{ 0x0179, 0x017d, 2, 1 },
	{ 0x017f, 0x017f, 1, 's' - 0x017f },
	{ 0x0200, 0x021e, 2, 1 },
};

static const struct fold greek[] = {
	{ 0x0386, 0x0386, 1, 38 },
	{ 0x0388, 0x038a, 1, 37 },
	{ 0x038c, 0x038c, 1, 64 },
	{ 0x038e, 0x038f, 1, 63 },
	{ 0x0391, 0x03a1, 1, 32 },
	{ 0x03a3, 0x03ab, 1, 32 },
	{ 0x03c2, 0x03c2, 1, 1 },
};

static const struct fold cyrillic[] = {
	{ 0x0400, 0x040f, 1, 80 },
	{ 0x0410, 0x042f, 1, 32 },
	{ 0x0460, 0x0480, 2, 1 },
	{ 0x048a, 0x04be, 2, 1 },
	{ 0x04c0, 0x04c0, 1, 15 },
	{ 0x04c1, 0x04cd, 2, 1 },
	{ 0x04d0, 0x052e, 2, 1 },
};

/* Vietnamese and Welsh letters; wide letters of East Asian text. */
static const struct fold beyond[] = {
	{ 0x1e00, 0x1e94, 2, 1 },
	{ 0x1e9e, 0x1e9e, 1, 0x00df - 0x1e9e },
	{ 0x1ea0, 0x1efe, 2, 1 },
	{ 0x212a, 0x212a, 1, 'k' - 0x212a },
	{ 0x212b, 0x212b, 1, 0x00e5 - 0x212b },
	{ 0xff21, 0xff3a, 1, 32 },
};

#define ROWS(table)	(table), sizeof(table) / sizeof((table)[0])

/* Each script is asked for characters below `end`. */
static const struct {
	uint32_t end;
	const struct fold *rows;
	size_t n;
} scripts[] = {
	{ 0x0370, ROWS(latin) },
	{ 0x0400, ROWS(greek) },
	{ 0x0530, ROWS(cyrillic) },
	{ 0x10000, ROWS(beyond) },
};

static uint32_t
fold_char(uint32_t cp)
{
	const struct fold *row, *end;
	size_t i = 0;

	while (cp >= scripts[i].end)
		if (++i == sizeof(scripts) / sizeof(scripts[0]))
			return cp;
	row = scripts[i].rows;
	end = row + scripts[i].n;
	while (row < end && cp > row->last)
		row++;
	if (row == end || cp < row->first || (cp - row->first) % row->step != 0)
		return cp;
	return (uint32_t)((int)cp + row->add);
}

/*
 * Copies the ASCII bytes that s begins with, in lower case, and returns how
 * many. Eight at a time, as nearly all text of mail passes here: adding
 * 0x80 - 'A' sets the top bit of a byte from 'A' on, and 0x7f - 'Z' that of
 * a byte beyond 'Z'; no sum reaches the next byte.
 */
static size_t
lower_ascii(struct str s, char *to)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t eight, upper;
	size_t i = 0;

	for (; s.n - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, s.p + i, sizeof(eight));
		if ((eight & ones * 0x80) != 0)
			break;
		upper = (eight + ones * (0x80 - 'A')) &
		    ~(eight + ones * (0x7f - 'Z')) & ones * 0x80;
		eight |= upper >> 2;
		memcpy(to + i, &eight, sizeof(eight));
	}
	for (; i < s.n && (unsigned char)s.p[i] < 0x80; i++)
		to[i] = (char)ascii_lower((unsigned char)s.p[i]);
	return i;
}

void
charset_fold(struct str utf8, struct buf *out)
{
	char *to = buf_grow(out, utf8.n), *from = to;
	uint32_t cp;
	size_t n;

	if (to == NULL)
		return;
	while (utf8.n > 0) {
		n = lower_ascii(utf8, to);
		to += n;
		utf8 = str_from(utf8, n);
		while (utf8.n > 0 && (unsigned char)utf8.p[0] >= 0x80) {
			n = utf8_get(utf8, &cp);
			if (n > 0)
				to += utf8_put(to, fold_char(cp));
			else
				*to++ = utf8.p[0];
			utf8 = str_from(utf8, n > 0 ? n : 1);
		}
	}
	out->n += (size_t)(to - from);
}
