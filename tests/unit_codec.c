/*
 * unit_codec.c - base64, quoted-printable, encoded words, modified UTF-7
 * and UTF-8 as real mail, strict commands and hostile senders write them.
 */
#include "unit.h"

#include <stdlib.h>

#include "../lib/buf.h"
#include "../lib/codec.h"
#include "../lib/mem.h"
#include "../lib/utf8.h"

enum { BIG = 1 << 20 };

/* A str in a static table. */
#define LIT(text)	{ "" text, sizeof(text) - 1 }

static struct buf got = BUF_MAX(16 * BIG);

/* A million bytes of some pattern over and over; the caller frees it. */
static struct str
many(struct str pattern, size_t times)
{
	char *p = xmalloc(pattern.n * times);
	size_t i;

	for (i = 0; i < times; i++)
		memcpy(p + i * pattern.n, pattern.p, pattern.n);
	return (struct str){ p, pattern.n * times };
}

static void
drop(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

static struct str
b64(struct str in)
{
	buf_clear(&got);
	base64_decode(in, &got);
	return buf_str(&got);
}

static struct str
b64_strict(struct str in)
{
	buf_clear(&got);
	buf_add(&got, STR("<"));
	if (base64_decode_strict(in, &got) != 0)
		buf_add(&got, STR("refused"));
	return buf_str(&got);
}

static struct str
b64_of(struct str in)
{
	buf_clear(&got);
	base64_encode(in, &got);
	return buf_str(&got);
}

static void
test_base64(void)
{
	struct buf small = BUF_MAX(8), back = BUF_MAX(4096);
	char every[256];
	struct str s;
	size_t i;
	bool same = true;

	CHECK_STR("base64 of whole groups", b64(STR("Zm9vYmFy")),
	    STR("foobar"));
	CHECK_STR("two padding characters", b64(STR("Zg==")), STR("f"));
	CHECK_STR("one padding character", b64(STR("Zm8=")), STR("fo"));
	CHECK_STR("missing padding of two", b64(STR("Zm9vYg")), STR("foob"));
	CHECK_STR("missing padding of one", b64(STR("Zm9vYmE")), STR("fooba"));
	CHECK_STR("a lone last character is nothing", b64(STR("Zm9vY")),
	    STR("foo"));
	CHECK_STR("line ends in the middle of a group",
	    b64(STR("Z\r\nm9v\nYmF\r\ny")), STR("foobar"));
	CHECK_STR("foreign bytes are skipped",
	    b64(STR("Z-m*9\0v\xffY mFy")), STR("foobar"));
	CHECK_STR("the first = ends the data",
	    b64(STR("Zm8=\r\n-- \r\nA list footer\r\n")), STR("fo"));
	CHECK_STR("a = in the middle of a group ends it",
	    b64(STR("Zm9vYm=FyZm9v")), STR("foob"));
	CHECK_STR("nothing gives nothing", b64(STR("")), STR(""));
	CHECK_STR("only foreign bytes give nothing", b64(STR("\r\n \t!")),
	    STR(""));
	CHECK_STR("the last two of the alphabet", b64(STR("+/+/")),
	    STR("\xfb\xff\xbf"));

	CHECK_STR("strict: whole groups", b64_strict(STR("Zm9v")),
	    STR("<foo"));
	CHECK_STR("strict: padded", b64_strict(STR("AGEAYg==")),
	    STR("<\0a\0b"));
	CHECK_STR("strict: empty is empty", b64_strict(STR("")), STR("<"));
	CHECK_STR("strict: missing padding", b64_strict(STR("Zg")),
	    STR("<refused"));
	CHECK_STR("strict: one character too many", b64_strict(STR("Zm9vY")),
	    STR("<refused"));
	CHECK_STR("strict: foreign byte", b64_strict(STR("Zm9v Zg=")),
	    STR("<refused"));
	CHECK_STR("strict: NUL", b64_strict(STR("Zm\0v")), STR("<refused"));
	CHECK_STR("strict: = at the front", b64_strict(STR("=AAA")),
	    STR("<refused"));
	CHECK_STR("strict: = in the middle", b64_strict(STR("AAA=BBB=")),
	    STR("<refused"));
	CHECK_STR("strict: only padding", b64_strict(STR("====")),
	    STR("<refused"));
	CHECK_STR("strict: three padding characters",
	    b64_strict(STR("A===")), STR("<refused"));
	CHECK_STR("strict: a lone =", b64_strict(STR("=")), STR("<refused"));
	CHECK_STR("strict: spare bits under one =", b64_strict(STR("Zm9=")),
	    STR("<refused"));
	CHECK_STR("strict: spare bits under two =", b64_strict(STR("Zh==")),
	    STR("<refused"));
	CHECK("strict: too big for the buffer",
	    base64_decode_strict(STR("Zm9vYmFyZm9vYmFy"), &small) == -1 &&
	    small.n == 0);

	CHECK_STR("encode one byte", b64_of(STR("f")), STR("Zg=="));
	CHECK_STR("encode two bytes", b64_of(STR("fo")), STR("Zm8="));
	CHECK_STR("encode three bytes", b64_of(STR("foo")), STR("Zm9v"));
	CHECK_STR("encode nothing", b64_of(STR("")), STR(""));
	CHECK_STR("the challenge \"User Name\" and NUL",
	    b64_of(STR("User Name\0")), STR("VXNlciBOYW1lAA=="));

	for (i = 0; i < sizeof(every); i++)
		every[i] = (char)i;
	for (i = 0; i <= sizeof(every); i++) {
		s = b64_of((struct str){ every, i });
		buf_clear(&back);
		base64_decode(s, &back);
		same = same && str_eq(buf_str(&back),
		    (struct str){ every, i });
		buf_clear(&back);
		same = same && base64_decode_strict(s, &back) == 0 &&
		    str_eq(buf_str(&back), (struct str){ every, i });
	}
	CHECK("what is encoded comes back, at every length", same);

	/* 76 + CRLF has no common factor with the block of the decoder. */
	s = many(STR("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w"
	    "cXJzdHV2d3h5ejAxMjM0NTY3\r\n"), 20000);
	b64(s);
	for (i = 0, same = got.n == 20000 * 60; same && i < 20000; i++)
		same = memcmp(got.p + i * 60, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "abcdefghijklmnopqrstuvwxyz01234567", 60) == 0;
	CHECK("a long body in lines of 76", same);
	drop(s);

	buf_clear(&small);
	base64_decode(STR("Zm9vYmFyZg"), &small);
	CHECK("a buffer of 8 takes 7 bytes", small.n == 7 && !small.over);
	buf_clear(&small);
	base64_decode(STR("Zm9vYmFyZm9v"), &small);
	CHECK("a buffer of 8 says that 9 bytes are too many", small.over);
	buf_free(&small);
	buf_free(&back);
}

static struct str
qp(struct str in)
{
	buf_clear(&got);
	qp_decode(in, false, &got);
	return buf_str(&got);
}

static struct str
q(struct str in)
{
	buf_clear(&got);
	qp_decode(in, true, &got);
	return buf_str(&got);
}

static void
test_qp(void)
{
	struct str s;

	CHECK_STR("plain text stays", qp(STR("a b\tc")), STR("a b\tc"));
	CHECK_STR("escapes in upper case", qp(STR("=41=FF=3D")),
	    STR("A\xff="));
	CHECK_STR("escapes in lower case", qp(STR("=c3=bc")),
	    STR("\xc3\xbc"));
	CHECK_STR("NUL can be written", qp(STR("a=00b")), STR("a\0b"));
	CHECK_STR("soft line breaks of both kinds",
	    qp(STR("Now=\r\n's the=\n time")), STR("Now's the time"));
	CHECK_STR("padding behind a soft line break",
	    qp(STR("one= \t\r\ntwo= \nthree")), STR("onetwothree"));
	CHECK_STR("line ends stay as written", qp(STR("a\r\nb\nc\r\n")),
	    STR("a\r\nb\nc\r\n"));
	CHECK_STR("white space at a line's end goes",
	    qp(STR("a \t\r\nb \nc ")), STR("a\r\nb\nc"));
	CHECK_STR("written white space at a line's end stays",
	    qp(STR("a=20\r\nb =\r\n c=09")), STR("a \r\nb  c\t"));
	CHECK_STR("a line of white space only", qp(STR(" \t \r\n\r\n")),
	    STR("\r\n\r\n"));
	CHECK_STR("= at the very end is a soft line break", qp(STR("abc=")),
	    STR("abc"));
	CHECK_STR("= and padding at the very end", qp(STR("abc= ")),
	    STR("abc"));
	CHECK_STR("broken escapes stay", qp(STR("a=b=zz=4=4g=GG 1=1=2")),
	    STR("a=b=zz=4=4g=GG 1=1=2"));
	CHECK_STR("a broken escape does not hide the next",
	    qp(STR("==41=4=42")), STR("=A=4B"));
	CHECK_STR("an escape does not reach over a line end",
	    qp(STR("x=4\n1")), STR("x=4\n1"));
	CHECK_STR("two = at a line's end", qp(STR("a==\nb")), STR("a=b"));
	CHECK_STR("8-bit and NUL pass through", qp(STR("\xe9\0=\0")),
	    STR("\xe9\0=\0"));
	CHECK_STR("a lone CR is no line end", qp(STR("a\rb=\rc")),
	    STR("a\rb=\rc"));
	CHECK_STR("underscore stays in a body", qp(STR("a_b")), STR("a_b"));
	CHECK_STR("nothing", qp(STR("")), STR(""));

	CHECK_STR("Q: underscore is a space", q(STR("a_b=5F_")),
	    STR("a b_ "));
	CHECK_STR("Q: underscore next to broken escapes", q(STR("=_=4_")),
	    STR("= =4 "));
	CHECK_STR("Q: = at the end stays", q(STR("abc=")), STR("abc="));
	CHECK_STR("Q: white space at the end stays", q(STR("abc ")),
	    STR("abc "));

	s = many(STR("="), BIG);
	CHECK("a million =, one a soft line break", qp(s).n == BIG - 1);
	drop(s);
	s = many(STR("\r\n"), BIG);
	CHECK("a million empty lines", qp(s).n == 2 * BIG);
	drop(s);
	s = many(STR(" "), BIG);
	CHECK("a million spaces at the end", qp(s).n == 0);
	drop(s);
}

static void
test_cte(void)
{
	struct str s;

	CHECK("base64", cte_find(STR("base64")) == CTE_BASE64);
	CHECK("any case", cte_find(STR(" BASE64\r\n")) == CTE_BASE64);
	CHECK("quoted-printable",
	    cte_find(STR("Quoted-Printable")) == CTE_QP);
	CHECK("7bit, 8bit and binary are identity",
	    cte_find(STR("7bit")) == CTE_IDENTITY &&
	    cte_find(STR("8BIT")) == CTE_IDENTITY &&
	    cte_find(STR("binary")) == CTE_IDENTITY);
	CHECK("an empty value is identity",
	    cte_find(STR(" \r\n")) == CTE_IDENTITY);
	CHECK("comments around it",
	    cte_find(STR("(a (nested \\) one)) base64 (b)")) == CTE_BASE64);
	CHECK("a comment right behind it",
	    cte_find(STR("base64(x)")) == CTE_BASE64);
	CHECK("a folded value",
	    cte_find(STR("\r\n quoted-printable")) == CTE_QP);
	CHECK("in quotes", cte_find(STR("\"base64\"")) == CTE_BASE64);
	CHECK("with a semicolon", cte_find(STR("base64;")) == CTE_BASE64);
	CHECK("uuencode is unknown",
	    cte_find(STR("x-uuencode")) == CTE_UNKNOWN);
	CHECK("a longer token is unknown",
	    cte_find(STR("base64x")) == CTE_UNKNOWN);
	CHECK("a shorter token is unknown",
	    cte_find(STR("base6")) == CTE_UNKNOWN);
	CHECK("a comment that never ends hides the rest",
	    cte_find(STR("(base64")) == CTE_IDENTITY);
	CHECK("a comment that ends in a backslash",
	    cte_find(STR("(\\")) == CTE_IDENTITY);
	s = many(STR("("), BIG);
	CHECK("a million open comments", cte_find(s) == CTE_IDENTITY);
	drop(s);
}

/* All pieces as text{charset}, plain ones without braces but with "|". */
static struct str
words(struct str in)
{
	struct buf scratch = BUF_MAX(BIG);
	struct word w;

	buf_clear(&got);
	while (word_next(&in, &scratch, &w)) {
		buf_add(&got, w.text);
		if (w.charset.n > 0) {
			buf_addc(&got, '{');
			buf_add(&got, w.charset);
			buf_addc(&got, '}');
		} else
			buf_addc(&got, '|');
	}
	buf_free(&scratch);
	return buf_str(&got);
}

#define BYTES(s)	{ (s), sizeof(s) - 1 }

/* What a body holds, in it the line ends that its lines had. */
static void
test_cte_decode(void)
{
	static const struct {
		enum cte cte;
		struct str in, want;
		const char *what;
	} bodies[] = {
		{ CTE_QP, BYTES("a=\nb \nc=0A=0D=\r\n=00"),
		    BYTES("ab\r\nc\n\r\0"),
		    "an end that is encoded is none of a line" },
		{ CTE_QP, BYTES("a="), BYTES("a"), "a soft end at the end" },
		{ CTE_BASE64, BYTES("DQ\noA\nCg==\n"), BYTES("\r\n\0\n"),
		    "base64 is octets" },
		{ CTE_UNKNOWN, BYTES("a\n"), BYTES(""), "unknown is nothing" },
	};
	size_t i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		buf_clear(&got);
		cte_decode(bodies[i].cte, bodies[i].in, &got);
		CHECK_STR(bodies[i].what, buf_str(&got), bodies[i].want);
	}
}

static void
test_words_of_the_rfc(void)
{
	CHECK_STR("no encoded word", words(STR("Re: RFC-HDR care")),
	    STR("Re: RFC-HDR care|"));
	CHECK_STR("nothing", words(STR("")), STR(""));
	CHECK_STR("a Q word before plain text",
	    words(STR("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>")),
	    STR("Keith Moore{US-ASCII} <moore@cs.utk.edu>|"));
	CHECK_STR("a B word between parentheses",
	    words(STR("(=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)")),
	    STR("(|\xed\xe5\xec\xf9 \xef\xe1 \xe9\xec\xe8\xf4\xf0"
	    "{iso-8859-8})|"));
	CHECK_STR("two words of two charsets, folded",
	    words(STR("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
	    "    =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=")),
	    STR("If you can read this yo{ISO-8859-1}"
	    "u understand the example.{ISO-8859-2}"));
	CHECK_STR("(a)", words(STR("(=?ISO-8859-1?Q?a?=)")),
	    STR("(|a{ISO-8859-1})|"));
	CHECK_STR("(a b)", words(STR("(=?ISO-8859-1?Q?a?= b)")),
	    STR("(|a{ISO-8859-1} b)|"));
	CHECK_STR("(ab), white space between words is dropped",
	    words(STR("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)")),
	    STR("(|ab{ISO-8859-1})|"));
	CHECK_STR("(ab), folded",
	    words(STR("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)")),
	    STR("(|ab{ISO-8859-1})|"));
	CHECK_STR("(a b), two charsets",
	    words(STR("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)")),
	    STR("(|a{ISO-8859-1} b{ISO-8859-2})|"));
	CHECK_STR("the language of RFC 2231 is cut off",
	    words(STR("=?US-ASCII*EN?Q?Keith_Moore?=")),
	    STR("Keith Moore{US-ASCII}"));
}

static void
test_words_of_real_mail(void)
{
	CHECK_STR("any case of the encoding",
	    words(STR("=?utf-8?b?YQ==?= =?utf-8?q?=62?=")),
	    STR("ab{utf-8}"));
	CHECK_STR("a character split between two words is whole again",
	    words(STR("=?utf-8?B?w7?= =?UTF-8?Q?=C3?=\n =?utf-8?Q?=BC?=")),
	    STR("\xc3\xc3\xbc{utf-8}"));
	CHECK_STR("language does not keep words apart",
	    words(STR("=?utf-8*de?Q?a?= =?utf-8*en?Q?b?=")),
	    STR("ab{utf-8}"));
	CHECK_STR("in a quoted string", words(STR("\"=?utf-8?Q?x?=\" <a@b>")),
	    STR("\"|x{utf-8}\" <a@b>|"));
	CHECK_STR("glued to text", words(STR("foo=?utf-8?Q?x?=bar")),
	    STR("foo|x{utf-8}bar|"));
	CHECK_STR("glued to another word",
	    words(STR("=?utf-8?Q?a?==?utf-8?Q?b?=")), STR("ab{utf-8}"));
	CHECK_STR("spaces and question marks in a Q word",
	    words(STR("=?utf-8?Q?Why not? Who knows?\?= end")),
	    STR("Why not? Who knows?{utf-8} end|"));
	CHECK_STR("base64 padding before the end",
	    words(STR("=?utf-8?B?YWI=?=")), STR("ab{utf-8}"));
	CHECK_STR("a word without a charset", words(STR("=??Q?a=41?= x")),
	    STR("aA| x|"));
	CHECK_STR("an empty word", words(STR("a =?utf-8?Q?\?= b")),
	    STR("a |{utf-8} b|"));
	CHECK_STR("words of more than 75 characters",
	    words(STR("=?utf-8?Q?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?=")),
	    STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{utf-8}"));
	CHECK_STR("folding is undone, its white space stays",
	    words(STR("one\r\n two\n\tthree\r\n")),
	    STR("one| two|\tthree|"));
	CHECK_STR("white space around plain text stays",
	    words(STR("=?a?Q?x?= y  =?a?Q?z?=")), STR("x{a} y  |z{a}"));
	CHECK_STR("folding between a word and text",
	    words(STR("=?a?Q?x?=\r\n y\r\n =?a?Q?z?=")),
	    STR("x{a} y| |z{a}"));
	CHECK_STR("a lone CR is text", words(STR("a\rb")), STR("a\rb|"));
}

static void
test_words_that_are_none(void)
{
	static const struct str none[] = {
		LIT("=?"), LIT("=?utf-8"), LIT("=?utf-8?"),
		LIT("=?utf-8?Q"), LIT("=?utf-8?Q?"),
		LIT("=?utf-8?Q?abc"), LIT("=?utf-8?Q?abc?"),
		LIT("=?utf-8?X?abc?="), LIT("=?utf-8?QB?abc?="),
		LIT("=?utf 8?Q?abc?="), LIT("=?utf-8??abc?="),
		LIT("=?ut\0-8?Q?abc?="), LIT("=?\xc3\xbc?Q?abc?="),
		LIT("=?a\x7f?Q?abc?="),
		LIT("= ?utf-8?Q?abc?="), LIT("?utf-8?Q?abc?="),
	};
	struct buf want = BUF_MAX(100);
	size_t i;
	bool good = true;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		buf_clear(&want);
		buf_add(&want, none[i]);
		buf_addc(&want, '|');
		good = str_eq(words(none[i]), buf_str(&want)) && good;
	}
	CHECK("what is no encoded word stays as it is", good);
	buf_free(&want);
	CHECK_STR("a word does not go over a line end",
	    words(STR("=?utf-8?Q?abc\r\n def?=")),
	    STR("=?utf-8?Q?abc| def?=|"));
	CHECK_STR("a word cut off before another is text",
	    words(STR("=?utf-8?B?YWJj=?utf-8?B?ZGVm?=")),
	    STR("=?utf-8?B?YWJj|def{utf-8}"));
	CHECK_STR("a word behind a false start",
	    words(STR("=?=?=?utf-8?Q?x?=")), STR("=?=?|x{utf-8}"));
	CHECK_STR("a charset longer than any", words(STR("=?aaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "?Q?x?=")), STR("=?aaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "?Q?x?=|"));
}

/* Hostile texts of megabytes: these would take minutes were they squared. */
static void
test_words_hostile(void)
{
	static const struct {
		struct str pattern;
		const char *what;
	} rows[] = {
		{ LIT("=?"), "a million word starts" },
		{ LIT("=?a?q?x"), "a million words that never end" },
		{ LIT("=?a?q?x?= y "), "words and text by turns" },
		{ LIT("=?a?q?x?=\n =?b?q?y?=\r\n "),
		    "adjacent words of two charsets" },
		{ LIT("=?a?q?x?=   \r\n z"), "words, folds and text" },
		{ LIT("\r\n"), "nothing but line ends" },
		{ LIT(" "), "nothing but spaces" },
		{ LIT("?"), "nothing but question marks" },
	};
	struct buf scratch = BUF_MAX(100);
	struct word w;
	struct str s, rest;
	size_t i, total;
	bool over = false;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s = many(rows[i].pattern, BIG);
		CHECK(rows[i].what, words(s).n <= 2 * s.n);
		drop(s);
	}
	s = many(STR("=?a?q?12345678?= "), 1000);
	rest = s;
	for (total = 0; word_next(&rest, &scratch, &w); total += w.text.n)
		over = over || scratch.over || w.text.n > 100;
	CHECK("joined words come in parts when scratch is full",
	    total - 1 == 8000 && !over);
	drop(s);
	s = many(STR("x"), 200);
	buf_clear(&got);
	buf_add(&got, STR("=?a?q?"));
	buf_add(&got, s);
	buf_add(&got, STR("?= =?a?q?y?="));
	rest = buf_str(&got);
	CHECK("a word too big for scratch says so",
	    word_next(&rest, &scratch, &w) && scratch.over);
	CHECK("and the next word comes as ever",
	    word_next(&rest, &scratch, &w) && str_eq(w.text, STR("y")));
	drop(s);
	buf_free(&scratch);
}

static struct str
utf7(struct str in)
{
	buf_clear(&got);
	buf_add(&got, STR("<"));
	if (utf7_to_utf8(in, &got) != 0)
		buf_add(&got, STR("refused"));
	return buf_str(&got);
}

static struct str
to_utf7(struct str in)
{
	buf_clear(&got);
	buf_add(&got, STR("<"));
	if (utf7_from_utf8(in, &got) != 0)
		buf_add(&got, STR("refused"));
	return buf_str(&got);
}

static void
test_utf7(void)
{
	static const struct {
		struct str utf7, utf8;
		const char *what;
	} pairs[] = {
		{ LIT(""), LIT(""), "an empty name" },
		{ LIT("INBOX/a b~"), LIT("INBOX/a b~"), "ASCII" },
		{ LIT("&-"), LIT("&"), "an ampersand" },
		{ LIT("&-&-Jjo-"), LIT("&&Jjo-"), "two ampersands" },
		{ LIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
		    LIT("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/"
		    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"),
		    "the name in RFC 3501" },
		{ LIT("&Jjo-!"), LIT("\xe2\x98\xba!"), "a smile" },
		{ LIT("&Jjo-&-&Jjo-"), LIT("\xe2\x98\xba&\xe2\x98\xba"),
		    "an ampersand between two smiles" },
		{ LIT("&Jjo--"), LIT("\xe2\x98\xba-"),
		    "a hyphen behind a smile" },
		{ LIT("&U,BTF2XlZyyKng-"),
		    LIT("\xe5\x8f\xb0\xe5\x8c\x97\xe6\x97\xa5\xe6\x9c\xac"
		    "\xe8\xaa\x9e"), "five characters in one shift" },
		{ LIT("&2D3eAA-"), LIT("\xf0\x9f\x98\x80"),
		    "a character beyond 16 bits" },
		{ LIT("&2,,f,w-"), LIT("\xf4\x8f\xbf\xbf"),
		    "the last character of all" },
		{ LIT("&AAo-"), LIT("\n"), "a control character" },
		{ LIT("&AH8-"), LIT("\x7f"), "DEL" },
		{ LIT("&AAEAAgAD-"), LIT("\1\2\3"), "three controls" },
	};
	static const struct {
		struct str utf7;
		const char *what;
	} bad[] = {
		{ LIT("&"), "a lone ampersand" },
		{ LIT("a&"), "an ampersand at the end" },
		{ LIT("&Jjo"), "no shift back" },
		{ LIT("&Jjo!"), "no shift back before a !" },
		{ LIT("&U,BTFw-&ZeVnLIqe-"), "a superfluous shift" },
		{ LIT("&AGE-"), "an encoded letter" },
		{ LIT("&AC8-"), "an encoded slash" },
		{ LIT("&ACY-"), "an encoded ampersand" },
		{ LIT("&AH4-"), "an encoded tilde" },
		{ LIT("&ACA-"), "an encoded space" },
		{ LIT("&JjoAYQ-"), "an encoded letter behind a smile" },
		{ LIT("&AAA-"), "NUL" },
		{ LIT("&Jjp-"), "padding bits that are not zero" },
		{ LIT("&JjoA-"), "one character too many" },
		{ LIT("&JjoAA-"), "two characters too many" },
		{ LIT("&J-"), "half a character" },
		{ LIT("&Jj-"), "most of a character" },
		{ LIT("&U/BTFw-"), "a slash in base64" },
		{ LIT("&Jjo=-"), "an equals sign in base64" },
		{ LIT("&Jj o-"), "a space in base64" },
		{ LIT("&2D0-"), "half a surrogate pair" },
		{ LIT("&3gA-"), "the second half alone" },
		{ LIT("&2D0mOg-"), "half a pair before a smile" },
		{ LIT("&2D3YPQ-"), "two first halves" },
		{ LIT("&3gDYPQ-"), "a pair the wrong way round" },
		{ LIT("caf\xc3\xa9"), "raw 8-bit" },
		{ LIT("a\0b"), "a raw NUL" },
		{ LIT("a\nb"), "a raw line feed" },
		{ LIT("a\x7f"), "a raw DEL" },
	};
	struct buf small = BUF_MAX(4), want = BUF_MAX(100);
	struct str s;
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		buf_clear(&want);
		buf_addc(&want, '<');
		buf_add(&want, pairs[i].utf8);
		CHECK_STR(pairs[i].what, utf7(pairs[i].utf7), buf_str(&want));
		buf_clear(&want);
		buf_addc(&want, '<');
		buf_add(&want, pairs[i].utf7);
		CHECK_STR(pairs[i].what, to_utf7(pairs[i].utf8),
		    buf_str(&want));
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_STR(bad[i].what, utf7(bad[i].utf7), STR("<refused"));
	CHECK_STR("to UTF-7: no UTF-8", to_utf7(STR("a\xc3")),
	    STR("<refused"));
	CHECK_STR("to UTF-7: a surrogate", to_utf7(STR("\xed\xa0\x80")),
	    STR("<refused"));
	CHECK_STR("to UTF-7: NUL", to_utf7(STR("a\0")), STR("<refused"));
	CHECK("to UTF-8: too big for the buffer",
	    utf7_to_utf8(STR("abcde"), &small) == -1 && small.n == 0);
	buf_clear(&small);
	CHECK("to UTF-7: too big for the buffer",
	    utf7_from_utf8(STR("\xe2\x98\xba"), &small) == -1 &&
	    small.n == 0);
	s = many(STR("&-&Jjo-"), BIG);
	CHECK("a name of megabytes", utf7(s).n == 1 + 4 * BIG);
	drop(s);
	buf_free(&small);
	buf_free(&want);
}

static void
test_utf8(void)
{
	static const struct {
		struct str s;
		const char *what;
	} bad[] = {
		{ LIT("\x80"), "a continuation byte alone" },
		{ LIT("\xc3"), "a character cut off" },
		{ LIT("\xe2\x98"), "a longer one cut off" },
		{ LIT("\xf0\x9f\x98"), "the longest cut off" },
		{ LIT("\xc3\x28"), "a lead before ASCII" },
		{ LIT("\xc3\xc3"), "a lead before a lead" },
		{ LIT("\xe2\x98\xe2"), "a lead inside a character" },
		{ LIT("\xc0\xaf"), "an overlong slash" },
		{ LIT("\xe0\x80\xaf"), "a longer overlong slash" },
		{ LIT("\xf0\x80\x80\xaf"), "the longest overlong slash" },
		{ LIT("\xc1\xbf"), "overlong DEL" },
		{ LIT("\xe0\x9f\xbf"), "overlong of three" },
		{ LIT("\xf0\x8f\xbf\xbf"), "overlong of four" },
		{ LIT("\xed\xa0\x80"), "the first surrogate" },
		{ LIT("\xed\xbf\xbf"), "the last surrogate" },
		{ LIT("\xf4\x90\x80\x80"), "beyond the last character" },
		{ LIT("\xf5\x80\x80\x80"), "a lead of no character" },
		{ LIT("\xff"), "0xff" },
		{ LIT("abcdefghijklmno\xffp"), "a bad byte far behind" },
	};
	uint32_t cp, back;
	char text[4];
	size_t i, n;
	bool good = true;

	CHECK("ASCII with NUL is valid", utf8_valid(STR("abc\0defghijkl")));
	CHECK("nothing is valid", utf8_valid((struct str){ NULL, 0 }));
	CHECK("characters of every length are valid",
	    utf8_valid(STR("aaaaaaaa\xc3\xbc" "b\xe2\x98\xba" "cccccccc"
	    "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80")));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(bad[i].what, !utf8_valid(bad[i].s));
	CHECK("the legal start of a text",
	    utf8_prefix(STR("abcdefghi\xc3\xbc\xc3x")) == 11);
	CHECK("a continuation byte behind the end is not looked at",
	    utf8_prefix((struct str){ "\xc3\xbc", 1 }) == 0);
	CHECK("the ASCII start of a text",
	    ascii_prefix(STR("abcdefghi\xc3\xbc\xc3x")) == 9);
	for (cp = 0; cp <= 0x10ffff; cp++) {
		n = utf8_put(text, cp);
		i = utf8_get((struct str){ text, n }, &back);
		if (cp >= 0xd800 && cp <= 0xdfff)
			good = good && i == 0;
		else
			good = good && i == n && back == cp;
	}
	CHECK("every character comes back, every surrogate is refused", good);
}

int
main(void)
{
	test_base64();
	test_qp();
	test_cte();
	test_cte_decode();
	test_words_of_the_rfc();
	test_words_of_real_mail();
	test_words_that_are_none();
	test_words_hostile();
	test_utf7();
	test_utf8();
	buf_free(&got);
	return unit_end();
}
