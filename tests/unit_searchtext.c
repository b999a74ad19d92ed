/*
 * unit_searchtext.c - what a search finds in one message's text, case by
 * case; and at random, that looking at raw bytes where that is quicker
 * gives the answer that decoding everything would have given.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../searchtext.h"
#include "../lib/casemap.h"
#include "../lib/codec.h"
#include "../lib/rfc822.h"
#include "../lib/utf8.h"
#include "unit.h"

/* A struct str that can stand in a static table. */
#define S(literal)	{ literal, sizeof(literal) - 1 }

enum { ROUNDS = 20000, SIZE = 2048 };

static struct searchtext text;
static struct pool *pool;

static struct needle
needle(struct str s)
{
	struct needle n;

	searchtext_needle(pool, s, &n);
	return n;
}

static void
set_message(struct str message)
{
	size_t end = mime_header_end(message);

	searchtext_set(&text, str_sub(message, 0, end),
	    str_from(message, end));
}

static bool
in_field(struct str header, struct str name, struct str s)
{
	struct needle n = needle(s);

	searchtext_set(&text, header, STR(""));
	return searchtext_field(&text, name, &n);
}

static bool
in_header(struct str header, struct str s)
{
	struct needle n = needle(s);

	searchtext_set(&text, header, STR(""));
	return searchtext_header(&text, &n);
}

static bool
in_body(struct str message, struct str s, bool mime)
{
	struct needle n = needle(s);

	set_message(message);
	return searchtext_body(&text, &n, mime);
}

static const struct {
	const char *what;
	struct str header;
	struct str name;
	struct str find;
	bool want;
} fields[] = {
	{ "a field holds a substring in any case",
	    S("From: a\nSubject: Big Green Book\n\n"), S("subject"),
	    S("gREEN b"), true },
	{ "another field's text does not count",
	    S("From: green\nSubject: Book\n\n"), S("SUBJECT"), S("green"),
	    false },
	{ "every occurrence of a field is looked at",
	    S("To: a@x\nTo: b@x\n\n"), S("to"), S("b@x"), true },
	{ "white space between name and colon is no matter",
	    S("Subject : word\n\n"), S("subject"), S("word"), true },
	{ "the name is no part of the value",
	    S("Subject: word\n\n"), S("subject"), S("subject"), false },
	{ "white space around the value is no part of it",
	    S("Subject:  word \n\n"), S("subject"), S(" word"), false },
	{ "an empty string is in an empty field",
	    S("X-A:\n\n"), S("x-a"), S(""), true },
	{ "an empty string is in no field that is not there",
	    S("X-B: b\n\n"), S("x-a"), S(""), false },
	{ "the text behind the header's end does not count",
	    S("A: a\n\nSubject: word\n"), S("subject"), S("word"), false },
	{ "folding counts as one space",
	    S("Subject: one\n \ttwo\r\n three\n\n"), S("subject"),
	    S("one two three"), true },
	{ "a line end is not in a folded field",
	    S("Subject: one\n two\n\n"), S("subject"), S("one\n two"),
	    false },
	{ "a word broken by folding is two words",
	    S("Subject: on\n e\n\n"), S("subject"), S("one"), false },
	{ "an encoded word is decoded",
	    S("Subject: =?iso-8859-1?Q?K=E4se?= am\n Stiel\n\n"),
	    S("subject"), S("K\xc3\x84SE AM stiel"), true },
	{ "adjacent encoded words join without the space between",
	    S("Subject: =?utf-8?b?w6Q=?=\n =?utf-8?q?b?=\n\n"),
	    S("subject"), S("\xc3\xa4" "b"), true },
	{ "a character split over two words is whole",
	    S("Subject: =?utf-8?q?=C3?= =?utf-8?q?=A4?=\n\n"),
	    S("subject"), S("\xc3\xa4"), true },
	{ "the encoding of a word is not its text",
	    S("Subject: =?utf-8?q?K=C3=A4se?=\n\n"), S("subject"),
	    S("utf-8"), false },
	{ "an ASCII string is found behind an encoded word",
	    S("From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example>\n\n"), S("from"),
	    S("<joerg@example>"), true },
	{ "raw UTF-8 in a header is text",
	    S("Subject: K\xc3\xa4se\n\n"), S("subject"), S("k\xc3\x84se"),
	    true },
	{ "raw 8-bit that is no UTF-8 is windows-1252",
	    S("Subject: K\xe4se\n\n"), S("subject"), S("k\xc3\xa4se"),
	    true },
	{ "the letter k matches the Kelvin sign, s the long s",
	    S("Subject: \xe2\x84\xaa \xc5\xbf\n\n"), S("subject"), S("k s"),
	    true },
	{ "in an encoded word too",
	    S("Subject: =?utf-8?q?=E2=84=AA_=C5=BF?=\n\n"), S("subject"),
	    S("k s"), true },
	{ "a letter matches itself with an accent",
	    S("Subject: Caf\xc3\xa9\n\n"), S("subject"), S("cafe"), true },
	{ "not the other way round",
	    S("Subject: Cafe\n\n"), S("subject"), S("caf\xc3\xa9"), false },
	{ "an accent of its own is the same letter",
	    S("Subject: Cafe\xcc\x81\n\n"), S("subject"), S("CAF\xc3\x89"),
	    true },
	{ "a ligature is its letters",
	    S("Subject: \xef\xac\x81ne\n\n"), S("subject"), S("FIN"), true },
	{ "a no-break space is a space",
	    S("Subject: a\xc2\xa0" "b\n\n"), S("subject"), S("a b"), true },
	{ "the Kelvin sign matches the letter k and itself",
	    S("Subject: oK\n\n"), S("subject"), S("\xe2\x84\xaa"), true },
	{ "a dotted capital I matches itself",
	    S("Subject: \xc4\xb0zmir\n\n"), S("subject"), S("\xc4\xb0zmir"),
	    true },
};

static const struct {
	const char *what;
	struct str header;
	struct str find;
	bool want;
} headers[] = {
	{ "TEXT finds a field's name", S("Subject: a\n\n"), S("subject: a"),
	    true },
	{ "TEXT finds decoded words", S("Subject: =?utf-8?q?K=C3=A4se?=\n\n"),
	    S("k\xc3\xa4se"), true },
	{ "TEXT decodes before it compares",
	    S("Subject: =?utf-8?q?K=C3=A4se?=\n\n"), S("=C3=A4"), false },
	{ "TEXT looks through folding", S("Subject: one\n\ttwo\n\n"),
	    S("one two"), true },
	{ "TEXT finds raw folding, as CRLF or LF",
	    S("A: one\n two\nB: 3\r\n 4\n\n"), S("one\r\n two"), true },
	{ "TEXT with CRLF finds a line end stored as CRLF",
	    S("A: one\n two\nB: 3\r\n 4\n\n"), S("3\r\n 4"), true },
	{ "TEXT with LF finds a line end stored as CRLF",
	    S("A: one\n two\nB: 3\r\n 4\n\n"), S("3\n 4"), true },
	{ "TEXT does not find what is not there",
	    S("A: one =?utf-8?q?x?=\n two\nB: \xc3\xa4\n\n"), S("one two y"),
	    false },
	{ "an empty string is in an empty header", S(""), S(""), true },
};

#define MIXED								\
	"Content-Type: multipart/mixed; boundary=xx\n\n"		\
	"preamble-word\n--xx\n"						\
	"Content-Type: text/plain; charset=utf-8\n"			\
	"Content-Transfer-Encoding: quoted-printable\n\n"		\
	"hello w=C3=B6rld soft=\nbreak\n--xx\n"				\
	"Content-Type: application/pdf; name=\"report.pdf\"\n"		\
	"Content-Transfer-Encoding: base64\n\n"				\
	"YmluYXJ5\n--xx\n"						\
	"Content-Type: message/rfc822\n\n"				\
	"Subject: =?utf-8?q?inn=C3=A9r?=\n"				\
	"Content-Type: text/html; charset=iso-8859-1\n\n"		\
	"<b>b\xe9ta</b>\n--xx\n"					\
	"Content-Type: text/plain\n"					\
	"Content-Transfer-Encoding: BASE64\n\n"				\
	"bGluZSBvbmUNCmxpbmUgdHdvDQo=\n--xx--\nepilogue-word\n"

static const struct {
	const char *what;
	struct str message;
	struct str find;
	bool body;
	bool text;		/* with `mime` */
} bodies[] = {
	{ "a plain body is searched in any case",
	    S("A: b\n\nOne Two\n"), S("e tW"), true, true },
	{ "the header is not the body", S("A: b\n\nOne\n"), S("A: b"),
	    false, false },
	{ "quoted-printable is decoded", S(MIXED), S("W\xc3\x96RLD"), true,
	    true },
	{ "a soft line break is none", S(MIXED), S("softbreak"), true,
	    true },
	{ "the encoded form is not found", S(MIXED), S("=C3=B6"), false,
	    false },
	{ "binary parts are not searched", S(MIXED), S("binary"), false,
	    false },
	{ "nor their encoded form", S(MIXED), S("YmluYXJ5"), false, false },
	{ "an attachment's name is in TEXT", S(MIXED), S("report.pdf"),
	    false, true },
	{ "the header of a message inside is in BODY", S(MIXED),
	    S("inn\xc3\xa9r"), true, true },
	{ "the text of a message inside is in BODY, converted", S(MIXED),
	    S("b\xc3\xa9ta"), true, true },
	{ "CRLF inside base64 is a line end", S(MIXED), S("one\nline"),
	    true, true },
	{ "and is CRLF as well", S(MIXED), S("one\r\nline"), true, true },
	{ "what stands before the first part is not searched", S(MIXED),
	    S("preamble-word"), false, false },
	{ "nor what stands behind the last", S(MIXED), S("epilogue-word"),
	    false, false },
	{ "an unknown transfer encoding is taken for none",
	    S("Content-Transfer-Encoding: 8-bit\n\nplain=20text\n"),
	    S("plain=20"), true, true },
	{ "8-bit text without a charset is UTF-8 if it can be",
	    S("A: b\n\nk\xc3\xa4se\n"), S("K\xc3\x84SE"), true, true },
	{ "and windows-1252 if not",
	    S("A: b\n\nk\xe4se\n"), S("K\xc3\x84SE"), true, true },
	{ "ISO-2022-JP is converted",
	    S("Content-Type: text/plain; charset=ISO-2022-JP\n\n"
	    "\x1b$B$\"\x1b(B\n"), S("\xe3\x81\x82"), true, true },
	{ "and its escaped bytes are no ASCII text",
	    S("Content-Type: text/plain; charset=ISO-2022-JP\n\n"
	    "\x1b$B$\"\x1b(B\n"), S("$B$\""), false, false },
	{ "the second byte of Shift_JIS is no letter",
	    S("Content-Type: text/plain; charset=shift_jis\n\n"
	    "\x83\x41\n"), S("A"), false, false },
	{ "UTF-16 in base64 is converted",
	    S("Content-Type: text/plain; charset=utf-16le\n"
	    "Content-Transfer-Encoding: base64\n\nYQBiAA==\n"), S("AB"),
	    true, true },
	{ "the letter k matches the Kelvin sign",
	    S("A: b\n\n\xe2\x84\xaa\n"), S("k"), true, true },
	{ "an empty string is in an empty body", S("A: b\n\n"), S(""), true,
	    true },
	{ "a picture alone is not searched",
	    S("Content-Type: image/png\n\nword\n"), S("word"), false,
	    false },
	{ "a delivery report is", S("Content-Type: message/delivery-status"
	    "\n\nStatus: 5.1.1\n"), S("5.1.1"), true, true },
};

/* The slow and sure way: all is decoded, then compared. */

static bool
stands_in(struct str s, struct str in)
{
	struct buf a = BUF_MAX(SIZE * 8), b = BUF_MAX(SIZE * 8);
	bool found;
	size_t i;

	casemap_add(in, &a);
	casemap_add(s, &b);
	for (i = 0; i < a.n; i++)
		a.p[i] = (char)ascii_lower((unsigned char)a.p[i]);
	for (i = 0; i < b.n; i++)
		b.p[i] = (char)ascii_lower((unsigned char)b.p[i]);
	found = b.n == 0 || (a.n > 0 && memmem(a.p, a.n, b.p, b.n) != NULL);
	buf_free(&a);
	buf_free(&b);
	return found;
}

static void
strict(struct buf *b, struct str ws)
{
	struct str line;
	while (str_line(&ws, &line))
		buf_add(b, str_chomp(line));
}

static bool
slow_line(struct str s, struct str value, bool one)
{
	struct buf flat = BUF_MAX(SIZE * 8), utf8 = BUF_MAX(SIZE * 8);
	struct buf scratch = BUF_MAX(SIZE * 8);
	struct charset charset = { 0 };
	struct word word;
	struct str rest;
	size_t i, k;
	bool found;

	for (i = 0; i < value.n; i = k) {
		bool fold = false;

		for (k = i; k < value.n &&
		    ascii_space((unsigned char)value.p[k]); k++)
			fold |= value.p[k] == '\n';
		if (k == i)
			buf_addc(&flat, value.p[k++]);
		else if (fold && one)
			buf_addc(&flat, ' ');
		else if (fold)
			strict(&flat, str_sub(value, i, k - i));
		else
			buf_add(&flat, str_sub(value, i, k - i));
	}
	rest = buf_str(&flat);
	while (word_next(&rest, &scratch, &word))
		charset_to_utf8(&charset, word.charset, word.text, &utf8);
	found = stands_in(s, buf_str(&utf8));
	charset_close(&charset);
	buf_free(&flat);
	buf_free(&utf8);
	buf_free(&scratch);
	return found;
}

static bool
slow_field(struct str s, struct str value)
{
	return slow_line(s, value, true) || slow_line(s, value, false);
}

static bool
slow_header(struct str s, struct str header)
{
	struct str rest = header;
	struct field field;
	bool found = needle(s).ascii && !stands_in(STR("=?"), header) &&
	    stands_in(s, header);

	while (header_next(&rest, &field))
		found |= slow_field(s, str_trim(field.whole));
	return found;
}

static bool
slow_part(struct str s, const struct part *part)
{
	struct buf bytes = BUF_MAX(SIZE * 8), utf8 = BUF_MAX(SIZE * 8);
	struct charset charset = { 0 };
	bool found;

	if (cte_find(part->encoding) == CTE_QP)
		qp_decode(part->body, false, &bytes);
	else if (cte_find(part->encoding) == CTE_BASE64)
		base64_decode(part->body, &bytes);
	else
		buf_add(&bytes, part->body);
	charset_to_utf8(&charset, param_find(part->params, STR("charset")),
	    buf_str(&bytes), &utf8);
	found = stands_in(s, buf_str(&utf8));
	charset_close(&charset);
	buf_free(&bytes);
	buf_free(&utf8);
	return found;
}

/* Texts at random, of pieces that meet each other's edges. */

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

static const struct str pieces[] = {
	S("a"), S("B"), S("ab"), S("k"), S("s"), S("i"), S(" "), S("  "),
	S("\xc3\xa4"), S("\xc3\x84"), S("\xe4"), S("\xe2\x84\xaa"),
	S("\xc5\xbf"), S("\xc4\xb0"), S("="), S("="), S("=C3=A4"), S("=20"),
	S("\n "), S("\r\n\t"), S(" \n  "), S("=?utf-8?q?a=C3=A4_?="),
	S("=?iso-8859-1?Q?=E4b?="), S("=?utf-8?B?w4RhYg==?="),
	S("=?us-ascii?q?Ab?="), S("=?"), S("?="), S("\x1b$B$\"\x1b(B"),
	S("\x83\x41"), S("=\n"), S("YWLDpA=="), S("YWI="),
};

enum { PIECES = sizeof(pieces) / sizeof(pieces[0]), CALM = 14 };

static void
add_pieces(struct buf *out, uint32_t count, uint32_t kinds)
{
	while (count-- > 0)
		buf_add(out, pieces[rnd(kinds)]);
}

struct tally {
	unsigned wrong;
	unsigned yes;
	unsigned no;
};

static void
note(struct tally *t, bool got, bool want, struct str find, struct str in)
{
	t->yes += want;
	t->no += !want;
	if (got == want)
		return;
	if (t->wrong++ == 0)
		printf("# want %d: <%.*s> in\n# <%.*s>\n", want,
		    (int)find.n, find.p, (int)in.n, in.p);
}

/* What rnd makes for a search: no line ends, no encoding. */
static void
add_find(struct buf *out)
{
	buf_clear(out);
	while (out->n == 0)
		add_pieces(out, 1 + rnd(3), CALM);
}

static void
random_headers(struct tally *t)
{
	struct buf header = BUF_MAX(SIZE * 4), find = BUF_MAX(SIZE);
	struct field field;
	struct str rest;
	struct needle n;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		buf_clear(&header);
		buf_add(&header, STR("X: "));
		add_pieces(&header, rnd(12), rnd(2) ? PIECES : CALM);
		buf_add(&header, STR("\nY:"));
		add_pieces(&header, rnd(4), PIECES);
		buf_add(&header, STR("\n\n"));
		add_find(&find);
		pool_reset(pool);
		n = needle(buf_str(&find));
		searchtext_set(&text, buf_str(&header), STR(""));
		note(t, searchtext_header(&text, &n),
		    slow_header(buf_str(&find), buf_str(&header)),
		    buf_str(&find), buf_str(&header));
		rest = buf_str(&header);
		if (!header_next(&rest, &field))
			continue;
		note(t, searchtext_field(&text, STR("x"), &n),
		    str_ieq(field.name, STR("X")) &&
		    slow_field(buf_str(&find), str_trim(field.value)),
		    buf_str(&find), buf_str(&header));
	}
	buf_free(&header);
	buf_free(&find);
}

static void
random_bodies(struct tally *t)
{
	static const char *const charsets[] = {
		"us-ascii", "UTF-8", "iso-8859-1", "windows-1252", "x-none",
		"iso-2022-jp", "shift_jis", "windows-1258", "koi8-r",
	};
	static const char *const encodings[] = {
		"8bit", "quoted-printable", "base64", "x-none",
	};
	struct buf message = BUF_MAX(SIZE * 4), find = BUF_MAX(SIZE);
	struct needle n;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		buf_clear(&message);
		buf_addf(&message, "Content-Type: text/plain; charset=%s\n",
		    charsets[rnd(9)]);
		buf_addf(&message, "Content-Transfer-Encoding: %s\n\n",
		    encodings[rnd(4)]);
		add_pieces(&message, rnd(12), rnd(2) ? PIECES : CALM);
		add_find(&find);
		pool_reset(pool);
		n = needle(buf_str(&find));
		set_message(buf_str(&message));
		note(t, searchtext_body(&text, &n, false),
		    slow_part(buf_str(&find), mime_parse(pool, text.header,
		    text.body)), buf_str(&find), buf_str(&message));
	}
	buf_free(&message);
	buf_free(&find);
}

static void
cases(void)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		CHECK(fields[i].what, in_field(fields[i].header,
		    fields[i].name, fields[i].find) == fields[i].want);
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		CHECK(headers[i].what, in_header(headers[i].header,
		    headers[i].find) == headers[i].want);
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		CHECK(bodies[i].what, in_body(bodies[i].message,
		    bodies[i].find, false) == bodies[i].body &&
		    in_body(bodies[i].message, bodies[i].find, true) ==
		    bodies[i].text);
	}
}

int
main(int argc, char **argv)
{
	struct tally header = { 0 }, body = { 0 };

	rng = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	rng |= 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	pool = pool_new();
	searchtext_begin(&text);

	cases();
	random_headers(&header);
	printf("# headers: %u yes, %u no\n", header.yes, header.no);
	CHECK("in random headers the quick way answers as the slow one",
	    header.wrong == 0 && header.yes > 1000 && header.no > 1000);
	random_bodies(&body);
	printf("# bodies: %u yes, %u no\n", body.yes, body.no);
	CHECK("in random bodies the quick way answers as the slow one",
	    body.wrong == 0 && body.yes > 1000 && body.no > 1000);

	searchtext_end(&text);
	pool_free(pool);
	return unit_end();
}
