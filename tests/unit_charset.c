/*
 * unit_charset.c - conversion to UTF-8 with and without iconv, and names of
 * charsets that hostile mail sends.
 */
#include "unit.h"

#include <stdlib.h>

#include "../lib/buf.h"
#include "../lib/charset.h"
#include "../lib/codec.h"
#include "../lib/mem.h"
#include "../lib/utf8.h"

enum { BIG = 1 << 20 };

/* A str in a static table. */
#define LIT(text)	{ "" text, sizeof(text) - 1 }
#define FFFD		"\xef\xbf\xbd"

static struct buf got = BUF_MAX(16 * BIG);

static struct str
to_utf8(struct str name, struct str text)
{
	struct charset c = { 0 };

	buf_clear(&got);
	charset_to_utf8(&c, name, text, &got);
	charset_close(&c);
	return buf_str(&got);
}

static struct str
filled(char c, size_t n)
{
	char *p = xmalloc(n);

	memset(p, c, n);
	return (struct str){ p, n };
}

static void
drop(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

static void
test_known(void)
{
	static const struct str yes[] = {
		LIT("US-ASCII"), LIT("us-ascii"), LIT("ASCII"), LIT("UTF-8"),
		LIT("utf8"), LIT("Iso-8859-1"), LIT("latin1"),
		LIT("ISO-8859-15"), LIT("windows-1252"), LIT("CP1252"),
		LIT("ISO_8859-1:1987"),
		LIT("koi8-r"), LIT("ISO-2022-JP"), LIT("GB2312"),
		LIT("ks_c_5601-1987"), LIT("x-sjis"), LIT("iso-8859-8-i"),
		LIT("unicode-1-1-utf-7"),
	};
	static const struct str no[] = {
		LIT(""), LIT("x-unknown"), LIT("unknown-8bit"),
		LIT("default_charset"),
		LIT("UTF-8//TRANSLIT"), LIT("KOI8-R//IGNORE"), LIT("KOI8-R//"),
		LIT("KOI8-R/"), LIT("/"), LIT("//"), LIT("../../tmp/x"),
		LIT("KOI8-R,"), LIT("UTF-8\0"), LIT("\0"), LIT("UTF-8\0KOI8-R"),
		LIT("UTF 8"), LIT(" UTF-8"), LIT("UTF-8\n"), LIT("\"UTF-8\""),
		LIT("UTF-8*en"), LIT("UTF=8"), LIT("%n%n%n"), LIT("\xff"),
		LIT("+"), LIT("-"), LIT("."), LIT("()"), LIT("+:()-._"),
	};
	char padded[CHARSET_NAME_MAX + 1];
	struct str s;
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!CHECK("a charset of real mail is known",
		    charset_known(yes[i])))
			printf("# %s\n", yes[i].p);
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (!CHECK("a name that is no charset is not known",
		    !charset_known(no[i])))
			printf("# %s\n", no[i].p);
	/* glibc drops parentheses: only the length keeps the second out. */
	memset(padded, '(', sizeof(padded));
	memcpy(padded, "koi8-r", 6);
	CHECK("a name of 63 bytes may be known",
	    charset_known((struct str){ padded, CHARSET_NAME_MAX }));
	CHECK("a name of 64 bytes is not",
	    !charset_known((struct str){ padded, CHARSET_NAME_MAX + 1 }));
	s = filled('A', BIG);
	CHECK("a name of a megabyte is not known", !charset_known(s));
	CHECK_STR("and text in it is taken for ASCII", to_utf8(s, STR("x")),
	    STR("x"));
	drop(s);
}

static void
test_builtin(void)
{
	char high[128];
	size_t i;

	CHECK_STR("UTF-8 stays", to_utf8(STR("UTF-8"),
	    STR("a\xc3\xbc\xf0\x9f\x98\x80")),
	    STR("a\xc3\xbc\xf0\x9f\x98\x80"));
	CHECK_STR("NUL stays", to_utf8(STR("UTF-8"), STR("a\0b")),
	    STR("a\0b"));
	CHECK_STR("bad UTF-8 is replaced, the rest goes on",
	    to_utf8(STR("utf-8"), STR("a\xff" "b\xc3(\xc0\xaf\xe2\x98")),
	    STR("a" FFFD "b" FFFD "(" FFFD FFFD FFFD FFFD));
	CHECK_STR("ISO-8859-1",
	    to_utf8(STR("ISO-8859-1"), STR("J\xf8rn\xa0\xff")),
	    STR("J\xc3\xb8rn\xc2\xa0\xc3\xbf"));
	CHECK_STR("curly quotes under the name ISO-8859-1",
	    to_utf8(STR("iso-8859-1"), STR("\x93x\x94 \x80")),
	    STR("\xe2\x80\x9cx\xe2\x80\x9d \xe2\x82\xac"));
	CHECK_STR("windows-1252",
	    to_utf8(STR("Windows-1252"), STR("\x99\x9f\xe9")),
	    STR("\xe2\x84\xa2\xc5\xb8\xc3\xa9"));
	CHECK_STR("what windows-1252 leaves empty is replaced",
	    to_utf8(STR("cp1252"), STR("\x81\x8d\x8f\x90\x9d")),
	    STR(FFFD FFFD FFFD FFFD FFFD));
	CHECK_STR("the eight of ISO-8859-15",
	    to_utf8(STR("ISO-8859-15"),
	    STR("\xa4\xa6\xa8\xb4\xb8\xbc\xbd\xbe\xe9")),
	    STR("\xe2\x82\xac\xc5\xa0\xc5\xa1\xc5\xbd\xc5\xbe\xc5\x92\xc5\x93"
	    "\xc5\xb8\xc3\xa9"));
	for (i = 0; i < sizeof(high); i++)
		high[i] = (char)(0x80 + i);
	CHECK("every 8-bit byte gives UTF-8 in the 8-bit charsets",
	    utf8_valid(to_utf8(STR("l1"), (struct str){ high, 128 })) &&
	    utf8_valid(to_utf8(STR("latin9"), (struct str){ high, 128 })));
}

static void
test_unknown(void)
{
	CHECK_STR("ASCII", to_utf8(STR("us-ascii"), STR("abc")), STR("abc"));
	CHECK_STR("UTF-8 under the name ASCII",
	    to_utf8(STR("us-ascii"), STR("\xc3\xbc")), STR("\xc3\xbc"));
	CHECK_STR("windows-1252 under the name ASCII",
	    to_utf8(STR("us-ascii"), STR("caf\xe9 \x93")),
	    STR("caf\xc3\xa9 \xe2\x80\x9c"));
	CHECK_STR("no charset at all, both in one text",
	    to_utf8(STR(""), STR("\xc3\xbc \xfc")),
	    STR("\xc3\xbc \xc3\xbc"));
	CHECK_STR("an unknown charset",
	    to_utf8(STR("unknown-8bit"), STR("\xfc\xc3\xbc")),
	    STR("\xc3\xbc\xc3\xbc"));
	CHECK_STR("a hostile charset",
	    to_utf8(STR("KOI8-R//TRANSLIT"), STR("\xc1")),
	    STR("\xc3\x81"));
	CHECK_STR("nothing", to_utf8(STR("utf-8"), STR("")), STR(""));
	CHECK_STR("nothing through iconv", to_utf8(STR("big5"), STR("")),
	    STR(""));
	CHECK_STR("nothing through a table", to_utf8(STR("koi8-r"), STR("")),
	    STR(""));
}

static void
test_iconv(void)
{
	struct charset c = { 0 };
	struct buf small = BUF_MAX(10);
	struct str s;

	CHECK_STR("ISO-2022-JP",
	    to_utf8(STR("iso-2022-jp"), STR("\x1b$B%5!<\x1b(B!")),
	    STR("\xe3\x82\xb5\xe3\x83\xbc!"));
	CHECK_STR("GB2312 is read as its superset",
	    to_utf8(STR("gb2312"), STR("\xc4\xe3\x81\x40")),
	    STR("\xe4\xbd\xa0\xe4\xb8\x82"));
	CHECK_STR("a byte that does not convert is replaced",
	    to_utf8(STR("big5"), STR("a\xff" "b\xa4\xa4")),
	    STR("a" FFFD "b\xe4\xb8\xad"));
	CHECK_STR("a character cut off at the end is replaced once",
	    to_utf8(STR("utf-16be"), STR("\0a\0")), STR("a" FFFD));
	CHECK_STR("a character that waits for an accent is not lost",
	    to_utf8(STR("tcvn"), STR("xa")), STR("xa"));
	CHECK_STR("beyond Unicode is replaced",
	    to_utf8(STR("ucs-4be"), STR("\0\0\0a\x7f\xff\xff\xff\0\0\0b")),
	    STR("a" FFFD FFFD FFFD FFFD FFFD FFFD "b"));

	buf_clear(&got);
	charset_to_utf8(&c, STR("iso-2022-jp"), STR("\x1b$B%5"), &got);
	charset_to_utf8(&c, STR("ISO-2022-JP"), STR("ab"), &got);
	CHECK_STR("each text begins in ASCII mode", buf_str(&got),
	    STR("\xe3\x82\xb5" "ab"));
	buf_clear(&got);
	charset_to_utf8(&c, STR("euc-jp"), STR("\xa5\xb5"), &got);
	charset_to_utf8(&c, STR(""), STR(" \xc3\xbc "), &got);
	CHECK("plain text leaves the converter open",
	    str_eq(str_c(c.name), STR("euc-jp")) && c.iconv != NULL);
	charset_to_utf8(&c, STR("EUC-JP"), STR("\xa5\xb5"), &got);
	charset_to_utf8(&c, STR("windows-1251"), STR("\xe0"), &got);
	charset_to_utf8(&c, STR("utf-8"), STR("\xc3\xa4"), &got);
	charset_to_utf8(&c, STR("no-such"), STR("x"), &got);
	charset_to_utf8(&c, STR("no-such"), STR("\xe4"), &got);
	CHECK_STR("one converter, many charsets", buf_str(&got),
	    STR("\xe3\x82\xb5 \xc3\xbc \xe3\x82\xb5\xd0\xb0\xc3\xa4x"
	    "\xc3\xa4"));

	charset_to_utf8(&c, STR("big5"),
	    STR("\xa4\xa4\xa4\xa4\xa4\xa4\xa4\xa4"), &small);
	CHECK("a full buffer says so", small.over && small.n <= 10);
	buf_clear(&small);
	charset_to_utf8(&c, STR("koi8-r"), STR("\xc1\xc1\xc1\xc1\xc1\xc1"),
	    &small);
	CHECK("from a table too", small.over && small.n <= 10);
	buf_clear(&small);
	s = filled('%', BIG);
	memcpy((void *)(uintptr_t)s.p, "\x1b$B", 3);
	buf_clear(&small);
	charset_to_utf8(&c, STR("iso-2022-jp"), s, &small);
	buf_clear(&got);
	charset_to_utf8(&c, STR("iso-2022-jp"), STR("ab"), &got);
	CHECK_STR("a text that was cut short leaves no mode behind",
	    buf_str(&got), STR("ab"));
	drop(s);
	charset_close(&c);
	charset_close(&c);
	CHECK("closing twice does no harm", c.iconv == NULL);
	buf_free(&small);
}

/* Megabytes that do not convert: these would hang were they squared. */
static void
test_hostile(void)
{
	struct str s = filled('\xff', BIG);

	CHECK("a megabyte of bad UTF-8",
	    to_utf8(STR("utf-8"), s).n == 3 * BIG);
	CHECK("a megabyte of bad GB2312",
	    to_utf8(STR("gb2312"), s).n == 3 * BIG);
	CHECK("a megabyte of 8-bit without a name",
	    to_utf8(STR(""), s).n == 2 * BIG);
	drop(s);
	s = filled('\x1b', BIG);
	CHECK("a megabyte of escapes in ISO-2022-JP",
	    utf8_valid(to_utf8(STR("iso-2022-jp"), s)));
	drop(s);
	s = filled('\xa4', BIG);
	CHECK("a megabyte through more than one block",
	    to_utf8(STR("big5"), s).n == 3 * BIG / 2);
	drop(s);
}

int
main(void)
{
	test_known();
	test_builtin();
	test_unknown();
	test_iconv();
	test_hostile();
	buf_free(&got);
	return unit_end();
}
