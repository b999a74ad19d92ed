/*
 * unit_set.c - sequence sets against a plain array of booleans, and the
 * cases that RFC 3501 names.
 */
#include <stdint.h>
#include <time.h>

#include "../lib/set.h"
#include "unit.h"

enum { ROUNDS = 20000, SPAN = 60 };

static uint64_t rng;
static struct pool *pool;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

/* One range of a set as it is written. */
struct given {
	uint32_t lo, hi;
};

/* The ranges of the set, resolved, as "2,4:7". */
static struct str
shown(const struct given *given, size_t n, uint32_t star)
{
	static char text[200];
	struct set set;
	size_t i, at = 0;

	set_init(&set, pool);
	for (i = 0; i < n; i++)
		set_add(&set, given[i].lo, given[i].hi);
	set_resolve(&set, star);
	text[0] = '\0';
	for (i = 0; i < set.n && at < sizeof(text) - 32; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    set.at[i].lo == set.at[i].hi ? "%s%u" : "%s%u:%u",
		    i ? "," : "", set.at[i].lo, set.at[i].hi);
	return str_c(text);
}

static const struct {
	const char *what;
	struct given given[5];
	size_t n;
	uint32_t star;
	const char *want;
} rows[] = {
	{ "RFC 3501's 2,4:7,9,12:* of 15 messages",
	    { { 2, 2 }, { 4, 7 }, { 9, 9 }, { 12, SET_STAR } }, 4, 15,
	    "2,4:7,9,12:15" },
	{ "RFC 3501's *:4,5:7 of 10 messages",
	    { { SET_STAR, 4 }, { 5, 7 } }, 2, 10, "4:10" },
	{ "RFC 3501's 3291:* takes in the last UID even if it is less",
	    { { 3291, SET_STAR } }, 1, 100, "100:3291" },
	{ "a reversed range is the range", { { 4, 2 } }, 1, 9, "2:4" },
	{ "overlaps and neighbours join",
	    { { 7, 9 }, { 1, 3 }, { 8, 12 }, { 4, 4 }, { 6, 6 } }, 5, 99,
	    "1:4,6:12" },
	{ "a range inside another vanishes",
	    { { 1, 10 }, { 3, 4 }, { 12, 12 } }, 3, 99, "1:10,12" },
	{ "* alone is the last one", { { SET_STAR, SET_STAR } }, 1, 6, "6" },
	{ "in an empty mailbox * is nothing",
	    { { SET_STAR, SET_STAR }, { 3, 3 } }, 2, 0, "3" },
	{ "in an empty mailbox 5:* is 5 alone",
	    { { 5, SET_STAR } }, 1, 0, "5" },
	{ "in an empty mailbox *:5 is 5 alone",
	    { { SET_STAR, 5 } }, 1, 0, "5" },
	{ "the largest number has no neighbour",
	    { { UINT32_MAX, UINT32_MAX }, { 1, 1 }, { 2, 2 } }, 3, 9,
	    "1:2,4294967295" },
	{ "everything behind the largest number joins it",
	    { { 1, UINT32_MAX }, { 5, 6 }, { 2, UINT32_MAX } }, 3, 9,
	    "1:4294967295" },
	{ "an empty set stays empty", { { 0, 0 } }, 0, 5, "" },
};

static void
check_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(rows[i].what,
		    shown(rows[i].given, rows[i].n, rows[i].star),
		    str_c(rows[i].want));
}

/* One random set; true when every answer is that of the booleans. */
static bool
agrees(void)
{
	bool in[SPAN + 2] = { false };
	uint32_t star = rnd(SPAN) + 1, lo, hi, a, b, last = 0, count = 0, i;
	uint32_t n = rnd(12);
	struct set set;

	set_init(&set, pool);
	while (n-- > 0) {
		lo = rnd(6) == 0 ? SET_STAR : rnd(SPAN) + 1;
		hi = rnd(3) == 0 ? lo : rnd(6) == 0 ? SET_STAR : rnd(SPAN) + 1;
		set_add(&set, lo, hi);
		a = lo == SET_STAR ? star : lo;
		b = hi == SET_STAR ? star : hi;
		for (i = a < b ? a : b; i <= (a < b ? b : a); i++)
			in[i] = true;
	}
	set_resolve(&set, star);
	for (i = 0; i <= SPAN; i++) {
		if (set_has(&set, i) != in[i])
			return false;
		if (in[i]) {
			last = i;
			count++;
		}
	}
	for (i = 1; i < set.n; i++)
		if (set.at[i].lo <= set.at[i - 1].hi + 1)
			return false;
	return set_max(&set) == last && set_count(&set) == count;
}

int
main(void)
{
	struct set set;
	uint32_t i, bad = 0;

	rng = (uint64_t)time(NULL) * 2654435761u | 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	pool = pool_new();
	check_rows();
	for (i = 0; i < ROUNDS; i++) {
		bad += !agrees();
		pool_reset(pool);
	}
	CHECK("random sets hold what they name, once, in order", bad == 0);

	set_init(&set, pool);
	for (i = 1; i <= 100000; i++)
		set_add(&set, i, i);
	CHECK("rising numbers cost one range",
	    set.n == 1 && set_count(&set) == 100000);
	set_init(&set, pool);
	for (i = 100000; i > 0; i--)
		set_add(&set, 2 * i, 2 * i);
	set_resolve(&set, 1);
	CHECK("100,000 falling numbers sort",
	    set.n == 100000 && set_has(&set, 2) && !set_has(&set, 3) &&
	    set_max(&set) == 200000);
	set_init(&set, pool);
	CHECK("an empty set has nothing", set_max(&set) == 0 &&
	    set_count(&set) == 0 && !set_has(&set, 0) && !set_has(&set, 1));
	set_add(&set, 1, UINT32_MAX);
	set_resolve(&set, 5);
	CHECK("a set of everything counts 2^32 - 1",
	    set_count(&set) == UINT32_MAX && set_has(&set, UINT32_MAX));
	pool_free(pool);
	return unit_end();
}
