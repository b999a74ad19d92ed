/*
 * A pattern and a name: LIST's matcher beside the recursive definition where
 * that ends soon, and beside itself where a directory is to be entered.
 */
#include "fuzz.h"
#include "../twin_match.h"
#include "../../lib/match.h"

enum { WILD = 5, SMALL = 24 };

static bool
is_small(struct str pattern, struct str name)
{
	size_t i, wild = 0;

	for (i = 0; i < pattern.n; i++)
		wild += pattern.p[i] == '*' || pattern.p[i] == '%';
	return wild <= WILD && pattern.n <= SMALL && name.n <= SMALL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = fuzz_input(data, size), pattern, name, above;
	bool match, below;
	size_t i;

	pattern = fuzz_until(&in, '\n');
	name = in;
	match = match_list(pattern, name, '/');
	below = match_list_below(pattern, name, '/');
	if (is_small(pattern, name)) {
		MUST(match == slow(pattern, name, 0, false));
		MUST(below == slow(pattern, name, 0, true));
	}
	/* Who looks for it must have gone into each directory on the way,
	 * but of INBOX the letters there are others'. */
	for (i = 0; match && i + 1 < name.n; i++) {
		above = str_sub(name, 0, i + 1);
		if (name.p[i] == '/' && name.n <= 1024)
			MUST(match_list_below(pattern, above, '/'));
	}
	return 0;
}
