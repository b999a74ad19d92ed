/*
 * Mailbox names: one name has one form in modified UTF-7 and one in UTF-8, so
 * that what is read in one is written as it was; and what has none is refused
 * without a trace.
 */
#include "fuzz.h"
#include "../../lib/codec.h"
#include "../../lib/utf8.h"

static const struct str before = { "<", 1 };

/* Into a buffer that has no room for all of it. */
static void
no_room(int (*code)(struct str, struct buf *), struct str in, size_t n)
{
	struct buf small = BUF_MAX(n);

	buf_add(&small, before);
	MUST(code(in, &small) == -1 && str_eq(buf_str(&small), before));
	buf_free(&small);
}

/* There, and if that can be, back. */
static bool
round_trip(struct str in, int (*there)(struct str, struct buf *),
    int (*back)(struct str, struct buf *))
{
	struct buf one = BUF_MAX(1 << 20), two = BUF_MAX(1 << 20);
	bool good;

	buf_add(&one, before);
	good = there(in, &one) == 0;
	if (good) {
		MUST(back(str_from(buf_str(&one), 1), &two) == 0);
		MUST(str_eq(buf_str(&two), in));
		if (one.n > 1)
			no_room(there, in, one.n - 1);
	} else
		MUST(str_eq(buf_str(&one), before));
	buf_free(&one);
	buf_free(&two);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = fuzz_input(data, size);
	bool name = utf8_valid(in) && str_index(in, '\0') == in.n;

	MUST(round_trip(in, utf7_from_utf8, utf7_to_utf8) == name);
	if (round_trip(in, utf7_to_utf8, utf7_from_utf8))
		MUST(ascii_prefix(in) == in.n);
	return 0;
}
