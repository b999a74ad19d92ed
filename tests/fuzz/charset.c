/*
 * Text of some charset: what comes out is UTF-8; a converter that has been
 * used is as good as a new one; and what is cut between two characters is the
 * same in pieces.
 */
#include "fuzz.h"
#include "../../lib/charset.h"
#include "../../lib/utf8.h"

static struct buf one = BUF_MAX(1 << 22), two = BUF_MAX(1 << 22),
    three = BUF_MAX(1 << 22);

/* Charsets whose bytes each are a character, whatever stood before. */
static bool
is_simple(struct str name)
{
	static const char *const names[] = { "iso-8859-1", "iso-8859-2",
	    "koi8-r", "windows-1251", "windows-1252", "iso-8859-15",
	    "windows-1253", "ibm866", "macintosh" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(name, str_c(names[i])))
			return true;
	return false;
}

static void
fresh(struct str name, struct str text, struct buf *out)
{
	struct charset c = { 0 };

	charset_to_utf8(&c, name, text, out);
	charset_close(&c);
}

static void
in_pieces(struct str name, struct str text, size_t cut)
{
	if (!is_simple(name) && cut < text.n &&
	    ((unsigned char)text.p[cut] & 0xc0) == 0x80)
		return;
	buf_clear(&two);
	fresh(name, str_sub(text, 0, cut), &two);
	fresh(name, str_from(text, cut), &two);
	MUST(str_eq(buf_str(&two), buf_str(&one)));
}

/* So often that it is longer than what is converted at once. */
static void
often(struct str name, struct str text)
{
	size_t times = 9000 / text.n + 1, i;

	buf_clear(&three);
	for (i = 0; i < times; i++)
		buf_add(&three, text);
	buf_clear(&two);
	fresh(name, buf_str(&three), &two);
	MUST(two.n == one.n * times);
	for (i = 0; i < times; i++)
		MUST(one.n == 0 || memcmp(two.p + i * one.n, one.p,
		    one.n) == 0);
}

static void
convert(struct str name, struct str text, size_t cut)
{
	struct charset c = { 0 };
	struct buf small = BUF_MAX(cut);
	bool utf8 = str_ieq(name, STR("utf-8"));

	buf_clear(&one);
	fresh(name, text, &one);
	MUST(utf8_valid(buf_str(&one)));
	MUST(!utf8 || !utf8_valid(text) || str_eq(text, buf_str(&one)));
	/* Over and over, with another one in between. */
	buf_clear(&two);
	charset_to_utf8(&c, name, str_sub(text, 0, cut), &two);
	charset_to_utf8(&c, STR(""), text, &two);
	buf_clear(&two);
	charset_to_utf8(&c, name, text, &two);
	MUST(str_eq(buf_str(&two), buf_str(&one)));
	charset_close(&c);
	fresh(name, text, &small);
	MUST(small.over == (one.n > cut) || small.over);
	if (utf8 || is_simple(name)) {
		in_pieces(name, text, cut);
		if (text.n > 0 && (is_simple(name) || utf8_valid(text)))
			often(name, text);
	}
	buf_free(&small);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 4000), name, none;
	size_t cut = fuzz_byte(&in);

	name = fuzz_until(&in, '\n');
	if (!charset_known(name)) {
		/* Then it is as if none had been named. */
		none = STR("");
		buf_clear(&two);
		fresh(none, in, &two);
		buf_clear(&three);
		fresh(name, in, &three);
		MUST(str_eq(buf_str(&two), buf_str(&three)));
	}
	convert(name, in, cut);
	(void)charset_known(in);
	return 0;
}
