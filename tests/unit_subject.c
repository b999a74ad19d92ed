/*
 * unit_subject.c - base subjects: what each rule of RFC 5256 takes away and
 * what it leaves; the marks that tell an answer; and a megabyte of marks,
 * nested and in rows. Then the collation by which they are compared.
 */
#include <stdlib.h>

#include "unit.h"
#include "../lib/casemap.h"
#include "../lib/subject.h"

enum { BIG = 1 << 20 };

static struct buf out = BUF_MAX(2 * BIG);

static const struct {
	const char *what;
	const char *text;
	const char *base;
	bool answer;
} cases[] = {
	{ "nothing to remove", "gutters", "gutters", false },
	{ "an empty one", "", "", false },
	{ "white space alone", " \t\r\n ", "", false },
	{ "1: white space becomes one space", "a\t b \r\n  c", "a b c", false },
	{ "2: a trailer", "x (fwd)", "x", true },
	{ "2: trailers in rows, any case", "x (FWD)(fwd) (Fwd)  ", "x", true },
	{ "2: no trailer", "x (fwd) y", "x (fwd) y", false },
	{ "3: a reply", "Re: x", "x", true },
	{ "3: re, fw, fwd, any case", "RE:fw: FWD: x", "x", true },
	{ "3: white space before the colon", "Re : x", "x", true },
	{ "3: a blob in a reply", "Re[2]: x", "x", true },
	{ "3: one with spaces round it", "Re [2] : x", "x", true },
	{ "3: blobs before a reply", "[a] [b] Re: x", "x", true },
	{ "3: no colon, no reply", "Re x", "Re x", false },
	{ "3: a longer word is none", "Rex: x", "Rex: x", false },
	{ "3: nor one cut short", "R: x", "R: x", false },
	{ "4: a blob", "[list] x", "x", false },
	{ "4: blobs", "[a][b] [c] x", "x", false },
	{ "4: a blob alone stays", "[list]", "[list]", false },
	{ "4: the last of some stays", "[a] [b]", "[b]", false },
	{ "4: an open bracket is no blob", "[list x", "[list x", false },
	{ "4: nor is one in one", "[a[b]] x", "[a[b]] x", false },
	{ "5: leaders and blobs in turn", "Re: [a] Fwd: [b] Re: x", "x",
	    true },
	{ "6: a forward", "[fwd: x]", "x", true },
	{ "6: one in one", "[Fwd: [fwd: x (fwd)] ]", "x", true },
	{ "6: and what it holds", "Re: [Fwd: Re: [list] x]", "x", true },
	{ "6: not without its end", "[fwd: x] y", "y", false },
	{ "nothing is left", "Re: (fwd)", "", true },
	{ "Fwd of nothing", "[fwd:]", "", true },
	{ "other letters", "Re: \xc3\xa4 x", "\xc3\xa4 x", true },
};

static void
test_cases(void)
{
	bool answer;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_STR(cases[i].what, subject_base(str_c(cases[i].text),
		    &out, &answer), str_c(cases[i].base));
		if (answer != cases[i].answer)
			CHECK("whether it is an answer", false);
	}
	CHECK_STR("nobody asks whether it is an answer",
	    subject_base(STR("Re: x"), &out, NULL), STR("x"));
}

/* If each mark were looked for from each place these would take hours. */
static void
test_long(void)
{
	static const struct {
		const char *what, *mark, *last, *base;
	} rows[] = {
		{ "a megabyte of replies", "re: ", "x", "x" },
		{ "of blobs", "[a]", "x", "x" },
		{ "of blobs before a reply", "[a]", "re: x", "x" },
		{ "of blobs and replies", "[a]re[1]:", "x", "x" },
		{ "of forwards that do not end", "[fwd:", "x", NULL },
		{ "of brackets", "[", "]", NULL },
		{ "of trailers", "(fwd)", "", "" },
	};
	struct str base, mark;
	char *text = malloc(BIG + 16);
	size_t i, n;

	for (i = 0; text != NULL && i < sizeof(rows) / sizeof(rows[0]); i++) {
		mark = str_c(rows[i].mark);
		for (n = 0; n + mark.n <= BIG; n += mark.n)
			memcpy(text + n, mark.p, mark.n);
		memcpy(text + n, rows[i].last, str_c(rows[i].last).n);
		n += str_c(rows[i].last).n;
		base = subject_base((struct str){ text, n }, &out, NULL);
		if (rows[i].base == NULL)
			CHECK(rows[i].what, base.n == n);
		else
			CHECK_STR(rows[i].what, base, str_c(rows[i].base));
	}
	for (n = 0; text != NULL && n < BIG / 6; n++) {
		memcpy(text + 5 * n, "[fwd:", 5);
		text[BIG - 1 - n] = ']';
	}
	memset(text + 5 * n, ' ', BIG - 6 * n);
	CHECK_STR("and forwards in forwards", subject_base(
	    (struct str){ text, BIG }, &out, NULL), STR(""));
	free(text);
}

static struct str
map(struct str text)
{
	buf_clear(&out);
	casemap_add(text, &out);
	return buf_str(&out);
}

static void
test_casemap(void)
{
	struct buf small = BUF_MAX(4);
	char all[256];
	int i;

	for (i = 0; i < 128; i++)
		all[i] = (char)i;
	CHECK_STR("ASCII: capitals, and nothing else",
	    map((struct str){ all + '[', 0x80 - '[' }),
	    STR("[\\]^_`ABCDEFGHIJKLMNOPQRSTUVWXYZ{|}~\x7f"));
	CHECK_STR("bytes that are no UTF-8 pass", map(STR("a\xff\xc3" "b")),
	    STR("A\xff\xc3" "B"));
	casemap_add(STR("abcdef"), &small);
	CHECK("what does not fit is told", small.over);
	buf_free(&small);
	if (!casemap_known())
		return;
	CHECK_STR("RFC 5051's own example", map(STR("\xc7\x84")),
	    STR("Dz\xcc\x8c"));
	CHECK_STR("a letter with a mark, both ways to write it",
	    map(STR("\xc3\xa9")), map(STR("E\xcc\x81")));
	CHECK_STR("other scripts", map(STR("\xd1\x8f")), STR("\xd0\xaf"));
	CHECK_STR("what stands for others", map(STR("\xef\xac\x81")),
	    STR("fi"));
	CHECK_STR("syllables of Hangul stay whole", map(STR("\xea\xb0\x80")),
	    STR("\xea\xb0\x80"));
	CHECK("the longest of all", map(STR("\xef\xb7\xba")).n > 30);
}

int
main(void)
{
	test_cases();
	test_long();
	test_casemap();
	buf_free(&out);
	return unit_end();
}
