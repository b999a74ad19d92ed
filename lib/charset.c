/*
 * charset.c - bytes of some charset to UTF-8. The only file that knows
 * iconv, and the wall before it: a charset's name comes out of mail, so only
 * harmless names get through, and only those that charset_table.c does not
 * have.
 * Nothing here fails: what does not convert becomes U+FFFD and the rest
 * goes on, in time linear in the text.
 */
#include "charset.h"

#include <errno.h>
#ifndef WITHOUT_ICONV
#include <iconv.h>
#endif
#include <stdint.h>
#include <string.h>

#include "charset_table.h"
#include "utf8.h"

enum kind {
	KIND_NONE,		/* no charset was named yet */
	KIND_UNKNOWN,		/* read as ASCII is */
	KIND_ASCII,
	KIND_UTF8,
	KIND_TABLE,
	KIND_ICONV,
};

enum {
	REPLACEMENT = 0xfffd,
	/* What is converted goes through this much stack at a time. */
	CHUNK = 4096,
};

/*
 * What mail calls ASCII and UTF-8, and names that iconv lacks or takes too
 * narrowly. The label of the national standard has long meant its
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
	{ "unicode-1-1-utf-7", KIND_ICONV, "UTF-7" },
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

/* As strcmp(3) of the name in small letters. */
static int
compare(struct str name, const char *other)
{
	size_t i;
	int r;

	for (i = 0; i < name.n; i++) {
		r = ascii_lower((unsigned char)name.p[i]) -
		    (unsigned char)other[i];
		if (r != 0)
			return r;
	}
	return other[i] == '\0' ? 0 : -1;
}

static const uint16_t *
find_table(struct str name)
{
	size_t low = 0, high = charset_names_n, at;
	int r;

	while (low < high) {
		at = (low + high) / 2;
		r = compare(name, charset_names[at].name);
		if (r == 0)
			return charset_tables[charset_names[at].table];
		if (r < 0)
			high = at;
		else
			low = at + 1;
	}
	return NULL;
}

#ifdef WITHOUT_ICONV
static void *
iconv_begin(const char *name)
{
	(void)name;
	return NULL;
}

static void
iconv_end(void *cd)
{
	(void)cd;
}
#else
static void *
iconv_begin(const char *name)
{
	iconv_t cd = iconv_open("UTF-8", name);

	return cd == (iconv_t)-1 ? NULL : cd;
}

static void
iconv_end(void *cd)
{
	(void)iconv_close(cd);
}
#endif

/* Makes c, which is closed, convert from the harmless charset `name`. */
static void
open_as(struct charset *c, struct str name)
{
	const char *iconv_name = c->name;
	size_t i;

	memcpy(c->name, name.p, name.n);
	c->name[name.n] = '\0';
	c->kind = KIND_TABLE;
	c->table = find_table(name);
	if (c->table != NULL)
		return;
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
	c->iconv = iconv_begin(iconv_name);
	if (c->iconv == NULL)
		c->kind = KIND_UNKNOWN;
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
		iconv_end(c->iconv);
	*c = (struct charset){ 0 };
}

static void
add_char(uint32_t cp, struct buf *out)
{
	char text[4];

	buf_add(out, (struct str){ text, utf8_put(text, cp) });
}

static uint32_t
table_char(const uint16_t *table, char byte)
{
	unsigned char c = (unsigned char)byte;

	return c < 0x80 ? c : table[c - 0x80];
}

/* The character that the two make; 0 when they do not. */
static uint32_t
with_tone(uint32_t letter, uint32_t tone)
{
	size_t i, t;

	for (t = 0; t < CHARSET_TONES && charset_tones[t] != tone; t++)
		continue;
	for (i = 0; t < CHARSET_TONES && charset_toned[i].letter != 0; i++)
		if (charset_toned[i].letter == letter)
			return charset_toned[i].with[t];
	return 0;
}

/* Returns how many bytes of text it has converted: those up to a longer
 * stretch of ASCII, for which there is a faster way. */
static size_t
table_some(const uint16_t *table, struct str text, struct buf *out)
{
	/* Where windows-1258 has its first tone others have letters. */
	const bool toned = table_char(table, '\xcc') == charset_tones[0];
	char chunk[CHUNK];
	uint32_t cp, both;
	size_t i = 0, n = 0, plain = 0;

	while (i < text.n && n + 3 <= sizeof(chunk) && plain < 8) {
		cp = table_char(table, text.p[i++]);
		both = toned && i < text.n ?
		    with_tone(cp, table_char(table, text.p[i])) : 0;
		if (both != 0) {
			cp = both;
			i++;
		}
		plain = cp < 0x80 ? plain + 1 : 0;
		if (cp < 0x80)
			chunk[n++] = (char)cp;
		else
			n += utf8_put(chunk + n, cp);
	}
	buf_add(out, (struct str){ chunk, n });
	return i;
}

static void
from_table(const uint16_t *table, struct str text, struct buf *out)
{
	size_t n;

	while (text.n > 0 && !out->over) {
		n = ascii_prefix(text);
		/* The last letter may have a tone behind it. */
		if (n > 0 && n < text.n)
			n--;
		buf_add(out, str_sub(text, 0, n));
		text = str_from(text, n);
		text = str_from(text, table_some(table, text, out));
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
		    table_char(charset_tables[0], text.p[n]), out);
		text = str_from(text, n + 1);
	}
}

#ifdef WITHOUT_ICONV
static void
from_iconv(void *cd, struct str text, struct buf *out)
{
	(void)cd;
	from_utf8(KIND_UNKNOWN, text, out);
}
#else
/*
 * One call of iconv over *in, which is cut; when that is empty, what iconv
 * held back for a character to come. Returns 0 or errno. What it wrote is
 * looked at again: glibc makes UCS-4 beyond Unicode into five or six bytes.
 */
static int
iconv_some(iconv_t cd, struct str *in, struct buf *out)
{
	char chunk[CHUNK], *to = chunk;
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
#endif

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
	case KIND_TABLE:
		from_table(c->table, text, out);
		break;
	default:
		from_utf8(kind, text, out);
	}
}
