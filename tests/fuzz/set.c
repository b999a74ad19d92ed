/*
 * Ranges as a client may name them: the set holds what an array of booleans
 * holds, in order, once; and printed it is read again as the same.
 */
#include "fuzz.h"
#include "../../parse.h"
#include "../../reply.h"

enum { SPAN = 250 };

static struct io io, printed;

static void
same_again(const struct set *set, struct pool *pool)
{
	struct reply r = { &printed };
	struct parser p;
	struct set back;
	size_t i;

	fuzz_listen(&printed);
	reply_set(&r, set);
	fuzz_client(&io, fuzz_output(&printed), true);
	parse_begin(&p, &io, pool, 0);
	MUST(parse_set(&p, &back) == 0 && parse_end(&p) == 0);
	set_resolve(&back, 1);
	MUST(back.n == set->n);
	for (i = 0; i < set->n; i++)
		MUST(back.at[i].lo == set->at[i].lo &&
		    back.at[i].hi == set->at[i].hi);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 2000);
	struct pool *pool = pool_new();
	bool has[SPAN + 2] = { false };
	uint32_t star = fuzz_byte(&in) % SPAN, lo, hi, a, b, i, last = 0, n = 0;
	struct set set;

	set_init(&set, pool);
	while (in.n > 0) {
		lo = fuzz_byte(&in) % (SPAN + 1);
		hi = fuzz_byte(&in) % (SPAN + 1);
		set_add(&set, lo, hi);
		a = lo == SET_STAR ? star : lo;
		b = hi == SET_STAR ? star : hi;
		a = a == 0 ? b : a;
		b = b == 0 ? a : b;
		for (i = a < b ? a : b; i > 0 && i <= (a < b ? b : a); i++)
			has[i] = true;
	}
	set_resolve(&set, star);
	for (i = 0; i <= SPAN; i++) {
		MUST(set_has(&set, i) == has[i]);
		n += has[i];
		last = has[i] ? i : last;
	}
	for (i = 1; i < set.n; i++)
		MUST(set.at[i].lo > set.at[i - 1].hi + 1);
	MUST(set_max(&set) == last && set_count(&set) == n);
	if (set.n > 0)
		same_again(&set, pool);
	pool_free(pool);
	return 0;
}
