/*
 * unit_charset_table.c - the built-in charsets: each name and each byte beside
 * this host's iconv where that knows the name, Vietnamese tones, long texts,
 * and that iconv is not asked about them at all.
 */
#include "unit.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#include "../lib/buf.h"
#include "../lib/charset.h"
#include "../lib/charset_table.h"
#include "../lib/mem.h"
#include "../lib/utf8.h"

enum { BIG = 1 << 20 };

#define FFFD		"\xef\xbf\xbd"

/*
 * Names under which we mean more than iconv does: windows-1252 for
 * ISO-8859-1, windows-874 for TIS-620.
 */
static const struct {
	const char *name;
	unsigned first, last;	/* the bytes for which that is so */
} wider[] = {
	{ "8859_1", 0x80, 0x9f }, { "cp819", 0x80, 0x9f },
	{ "csisolatin1", 0x80, 0x9f }, { "ibm819", 0x80, 0x9f },
	{ "iso-8859-1", 0x80, 0x9f }, { "iso-ir-100", 0x80, 0x9f },
	{ "iso8859-1", 0x80, 0x9f }, { "iso88591", 0x80, 0x9f },
	{ "iso_8859-1", 0x80, 0x9f }, { "iso_8859-1:1987", 0x80, 0x9f },
	{ "l1", 0x80, 0x9f }, { "latin1", 0x80, 0x9f },
	{ "iso-ir-166", 0x80, 0xa0 }, { "tis-620", 0x80, 0xa0 },
	{ "tis620", 0x80, 0xa0 }, { "tis620-0", 0x80, 0xa0 },
	{ "tis620.2529-1", 0x80, 0xa0 }, { "tis620.2533-0", 0x80, 0xa0 },
};

static struct buf got = BUF_MAX(16 * BIG);

static struct str
to_utf8(struct str name, struct str text)
{
	struct charset c = { 0 };

	buf_clear(&got);
	charset_to_utf8(&c, name, text, &got);
	if (c.iconv != NULL)
		printf("# iconv was asked about %.*s\n", (int)name.n, name.p);
	charset_close(&c);
	return buf_str(&got);
}

/* What iconv makes of a few bytes, as text that stands alone; U+FFFD when it
 * refuses. */
static struct str
by_iconv(iconv_t cd, struct str text, char out[16])
{
	char in[4], *from = in, *to = out;
	size_t left = text.n, room = 16;

	memcpy(in, text.p, text.n);
	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &from, &left, &to, &room) == (size_t)-1 || left > 0 ||
	    iconv(cd, NULL, NULL, &to, &room) == (size_t)-1)
		return STR(FFFD);
	return (struct str){ out, 16 - room };
}

static bool
means_more(struct str name, unsigned byte)
{
	size_t i;

	for (i = 0; i < sizeof(wider) / sizeof(wider[0]); i++)
		if (str_eq(name, str_c(wider[i].name)))
			return byte >= wider[i].first && byte <= wider[i].last;
	return false;
}

/* Prints each byte that we read otherwise than iconv. */
static bool
same_as_iconv(struct str name, iconv_t cd)
{
	char byte, out[16];
	struct str one = { &byte, 1 };
	bool same = true;
	unsigned i;

	for (i = 0; i < 256; i++) {
		byte = (char)i;
		if (means_more(name, i) || str_eq(to_utf8(name, one),
		    by_iconv(cd, one, out)))
			continue;
		printf("# %.*s: byte 0x%02x\n", (int)name.n, name.p, i);
		same = false;
	}
	return same;
}

static void
test_iconv(void)
{
	bool same = true, known = true, found = true;
	unsigned compared = 0;
	size_t i;

	for (i = 0; i < charset_names_n; i++) {
		struct str name = str_c(charset_names[i].name);
		iconv_t cd = iconv_open("UTF-8", charset_names[i].name);
		struct charset c = { 0 };

		known = charset_known(name) && known;
		buf_clear(&got);
		charset_to_utf8(&c, name, STR(""), &got);
		if (c.table != charset_tables[charset_names[i].table]) {
			printf("# %s\n", charset_names[i].name);
			found = false;
		}
		charset_close(&c);
		if (cd == (iconv_t)-1)
			continue;
		compared++;
		same = same_as_iconv(name, cd) && same;
		iconv_close(cd);
	}
	CHECK("each name is known", known);
	CHECK("each name leads to its table", found);
	CHECK("each byte under each name is what iconv says", same);
	printf("# %u of %zu names are iconv's too\n", compared,
	    charset_names_n);
	CHECK("iconv knows most of the names", compared > charset_names_n / 2);
}

/* As iconv, but for letters that no Vietnamese writes. */
static void
test_tones(void)
{
	static const char tones[] = "\xcc\xd2\xde\xec\xf2";
	iconv_t cd = iconv_open("UTF-8", "CP1258");
	char two[2], out[16];
	struct str text = { two, 2 }, want;
	unsigned i, t, toned = 0;
	bool same = true;

	for (i = 'A'; i < 256 && cd != (iconv_t)-1; i++)
		for (t = 0; t < 5; t++) {
			two[0] = (char)i;
			two[1] = tones[t];
			want = by_iconv(cd, text, out);
			to_utf8(STR("windows-1258"), text);
			/* Two characters: it was left as it is. */
			if (str_eq(buf_str(&got), want))
				toned += utf8_prefix(want) <= 3;
			else if (i >= 0x80 ? got.n < 4 : got.n != 3)
				same = false;
		}
	if (cd != (iconv_t)-1) {
		CHECK("a Vietnamese letter and its tone become one", same &&
		    toned >= 120);
		iconv_close(cd);
	}
	CHECK_STR("tones in a text",
	    to_utf8(STR("windows-1258"),
	    STR("Ti\xea\xecng Vi\xea\xf2t, a\xcc.")),
	    STR("Ti\xe1\xba\xbfng Vi\xe1\xbb\x87t, \xc3\xa0."));
	CHECK_STR("a tone behind plain letters",
	    to_utf8(STR("CP1258"), STR("a\xcc")), STR("\xc3\xa0"));
	CHECK_STR("two tones behind a letter",
	    to_utf8(STR("CP1258"), STR("a\xcc\xcc")),
	    STR("\xc3\xa0\xcc\x80"));
	CHECK_STR("a tone behind no letter",
	    to_utf8(STR("CP1258"), STR("\xcc 1\xec")),
	    STR("\xcc\x80 1\xcc\x81"));
	CHECK_STR("elsewhere these bytes are letters",
	    to_utf8(STR("windows-1252"), STR("a\xcc")),
	    STR("a\xc3\x8c"));
}

static void
test_names(void)
{
	static const char *const names[] = {
		"ISO-8859-1", "Iso-8859-2", "ISO-8859-3", "ISO-8859-4",
		"ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8",
		"ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13",
		"ISO-8859-14", "ISO-8859-15", "ISO-8859-16", "windows-1250",
		"Windows-1251", "windows-1252", "windows-1253",
		"windows-1254", "windows-1255", "windows-1256",
		"windows-1257", "windows-1258", "windows-874", "KOI8-R",
		"KOI8-U", "IBM437", "IBM850", "IBM852", "IBM858", "IBM866",
		"macintosh", "LATIN1", "cp1252", "CP-1251", "x-cp1250",
		"koi8r", "iso-8859-8-i", "TIS-620", "x-mac-roman", "Latin2",
		"csISOLatin5", "iso_8859-2:1987", "latin-9",
	};
	struct charset c = { 0 };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		buf_clear(&got);
		charset_to_utf8(&c, str_c(names[i]), STR("x"), &got);
		if (!CHECK("a common charset needs no iconv", c.table != NULL &&
		    c.iconv == NULL))
			printf("# %s\n", names[i]);
	}
	charset_close(&c);
	CHECK_STR("KOI8-R", to_utf8(STR("KOI8-R"), STR("\xcd\xc9\xd2!")),
	    STR("\xd0\xbc\xd0\xb8\xd1\x80!"));
	CHECK_STR("windows-1251",
	    to_utf8(STR("windows-1251"), STR("\xec\xe8\xf0!")),
	    STR("\xd0\xbc\xd0\xb8\xd1\x80!"));
	CHECK_STR("Hebrew by its mail name",
	    to_utf8(STR("iso-8859-8-i"), STR("\xf9")), STR("\xd7\xa9"));
	CHECK_STR("a byte without a character is replaced, the rest goes on",
	    to_utf8(STR("windows-1253"), STR("a\xaa" "b\xe1\xd2" "c")),
	    STR("a" FFFD "b\xce\xb1" FFFD "c"));
	CHECK_STR("NUL stays", to_utf8(STR("koi8-r"), STR("a\0b\xc1\0")),
	    STR("a\0b\xd0\xb0\0"));
	CHECK("a longer name is another",
	    !charset_known(STR("iso-8859-22")) &&
	    !charset_known(STR("windows-125")));
}

/* A text of n times the letters, its bytes and its characters. */
static void
test_long(void)
{
	static const struct {
		const char *name, *letters, *utf8;
	} rows[] = {
		{ "koi8-r", "\xc1", "\xd0\xb0" },
		{ "koi8-r", "ab\xc1 ", "ab\xd0\xb0 " },
		{ "windows-1252", "\x80", "\xe2\x82\xac" },
		{ "windows-1258", "\xe2\xf2", "\xe1\xba\xad" },
		{ "windows-1258", "e\xcc", "\xc3\xa8" },
	};
	size_t i, j, n, m;
	bool same;
	char *p;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = str_c(rows[i].letters).n;
		m = str_c(rows[i].utf8).n;
		p = xmalloc(BIG * n);
		for (j = 0; j < BIG; j++)
			memcpy(p + j * n, rows[i].letters, n);
		to_utf8(str_c(rows[i].name), (struct str){ p, BIG * n });
		free(p);
		same = got.n == BIG * m;
		for (j = 0; same && j < BIG; j++)
			same = memcmp(got.p + j * m, rows[i].utf8, m) == 0;
		CHECK("a text of a million letters", same);
	}
}

int
main(void)
{
	test_iconv();
	test_tones();
	test_names();
	test_long();
	buf_free(&got);
	return unit_end();
}
