/*
 * Base64, quoted-printable and encoded words: what is encoded comes back;
 * what others encoded is what decoding it byte by byte gives; what is cut at
 * a place where it may be cut is the same in pieces.
 */
#include "fuzz.h"
#include "../../lib/codec.h"

enum { MOST = 20000 };

static struct buf one = BUF_MAX(1 << 20), two = BUF_MAX(1 << 20),
    three = BUF_MAX(1 << 20);

/* By the bit, as RFC 2045 6.8 tells it. */
static void
slow_base64(struct str in, struct buf *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0, k;
	size_t i;

	for (i = 0; i < in.n && in.p[i] != '='; i++) {
		for (k = 0; k < 64 && letters[k] != in.p[i]; k++)
			continue;
		if (k == 64)
			continue;
		bits = (bits << 6 | k) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (char)(bits >> have));
		}
	}
}

static void
base64(struct str in)
{
	buf_clear(&one);
	buf_clear(&two);
	base64_encode(in, &one);
	base64_decode(buf_str(&one), &two);
	MUST(str_eq(buf_str(&two), in));
	buf_clear(&two);
	MUST(base64_decode_strict(buf_str(&one), &two) == 0);
	MUST(str_eq(buf_str(&two), in));
	buf_clear(&two);
	cte_decode(CTE_BASE64, buf_str(&one), &two);
	MUST(str_eq(buf_str(&two), in));

	buf_clear(&one);
	buf_clear(&two);
	base64_decode(in, &one);
	slow_base64(in, &two);
	MUST(str_eq(buf_str(&one), buf_str(&two)));

	buf_clear(&one);
	buf_clear(&two);
	if (base64_decode_strict(in, &one) == 0) {
		base64_encode(buf_str(&one), &two);
		MUST(str_eq(buf_str(&two), in));
	} else
		MUST(one.n == 0);
}

/* What is cut short says so. */
static void
no_room(struct str in, size_t room)
{
	struct buf small = BUF_MAX(room), strict = BUF_MAX(room);

	buf_clear(&one);
	base64_decode(in, &one);
	base64_decode(in, &small);
	MUST(small.over || one.n <= room);
	MUST(small.n <= room && str_starts(buf_str(&one), buf_str(&small)));
	if (base64_decode_strict(in, &strict) != 0)
		MUST(strict.n == 0);
	buf_clear(&small);
	base64_encode(in, &small);
	buf_clear(&small);
	qp_decode(in, false, &small);
	MUST(small.n <= room);
	buf_free(&small);
	buf_free(&strict);
}

static void
quoted_printable(struct str in, size_t cut)
{
	struct str rest = in, line;
	size_t i;

	buf_clear(&one);
	buf_clear(&two);
	for (i = 0; i < in.n; i++)
		buf_addf(&one, "%s=%02X", i % 25 == 24 ? "= \r\n" : "",
		    (unsigned char)in.p[i]);
	qp_decode(buf_str(&one), cut & 1 && in.n < 25, &two);
	MUST(str_eq(buf_str(&two), in));

	buf_clear(&two);
	cte_decode(CTE_QP, buf_str(&one), &two);
	MUST(str_eq(buf_str(&two), in));

	buf_clear(&one);
	buf_clear(&two);
	cte_decode(CTE_QP, in, &one);
	for (i = 0; i < one.n; i++)
		two.over |= one.p[i] == '\n' && (i == 0 ||
		    one.p[i - 1] != '\r');
	/* A lone LF can only have been an escape. */
	for (i = 0; two.over && i + 2 < in.n; i++)
		if (str_ieq(str_sub(in, i, 3), STR("=0A")))
			two.over = false;
	MUST(!two.over);
	buf_clear(&one);
	buf_clear(&two);
	qp_decode(in, false, &one);
	MUST(one.n <= in.n);
	while (str_line(&rest, &line))
		qp_decode(line, false, &two);
	MUST(str_eq(buf_str(&one), buf_str(&two)));
}

/* All of it, one behind the other; how many pieces were encoded. */
static size_t
words(struct str in, size_t room, struct buf *out, bool *over)
{
	struct buf scratch = BUF_MAX(room);
	struct str rest = in;
	struct word w;
	size_t n = 0;

	*over = false;
	buf_clear(out);
	while (word_next(&rest, &scratch, &w)) {
		MUST(fuzz_inside(rest, in) && fuzz_inside(w.charset, in));
		MUST(fuzz_inside(w.text, in) ||
		    fuzz_inside(w.text, buf_str(&scratch)));
		buf_add(out, w.text);
		*over |= scratch.over;
		n += !fuzz_inside(w.text, in);
	}
	MUST(rest.n == 0);
	buf_free(&scratch);
	return n;
}

static void
encoded_words(struct str in, size_t room)
{
	struct str rest = in, part;
	bool over;

	words(in, 1 << 18, &one, &over);
	MUST(!over && one.n <= in.n);
	words(in, room, &two, &over);
	MUST(over || str_eq(buf_str(&one), buf_str(&two)));

	/* Words of 30 bytes, in both encodings, beside one another. */
	buf_clear(&three);
	while (rest.n > 0) {
		part = str_sub(rest, 0, 30);
		rest = str_from(rest, part.n);
		buf_add(&three, STR("=?x*en?b?"));
		base64_encode(part, &three);
		buf_add(&three, STR("?=\r\n =?X?q?"));
		part = str_sub(rest, 0, 30);
		rest = str_from(rest, part.n);
		for (; part.n > 0; part = str_from(part, 1))
			if (part.p[0] == ' ')
				buf_addc(&three, '_');
			else
				buf_addf(&three, "=%02x",
				    (unsigned char)part.p[0]);
		buf_add(&three, STR("?=\t"));
	}
	words(str_trim(buf_str(&three)), 1 << 18, &two, &over);
	MUST(str_eq(buf_str(&two), in));
}

static void
encoding(struct str in)
{
	enum cte cte = cte_find(in);

	buf_clear(&one);
	buf_add(&one, STR("(a (b) \\) )\r\n\t"));
	buf_add(&one, in);
	MUST(cte_find(buf_str(&one)) == cte);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, MOST), some;
	size_t room = 1 + fuzz_byte(&in);
	unsigned times = fuzz_byte(&in);

	base64(in);
	/* Longer than any block that is decoded at once. */
	if (times > 128 && in.n > 0) {
		buf_clear(&three);
		while (three.n < MOST / 3)
			buf_add(&three, in);
		some = buf_str(&three);
		base64(some);
	}
	no_room(in, room);
	quoted_printable(in, room);
	encoding(in);
	encoded_words(in, room);
	return 0;
}
