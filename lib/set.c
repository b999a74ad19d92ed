/*
 * set.c - sets of message numbers as ranges. A set grows in its pool and
 * keeps the order in which it was built until set_resolve; whoever asks
 * set_has, set_max or set_count has called that first. It neither parses
 * nor prints.
 */
#include "set.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

void
set_init(struct set *set, struct pool *pool)
{
	*set = (struct set){ .pool = pool };
}

/*
 * Does lo:hi begin inside the last range or right behind it? Only ranges
 * that rise and do not name "*" are joined early; UINT32_MAX has nothing
 * behind it.
 */
static bool
continues(const struct range *last, uint32_t lo, uint32_t hi)
{
	return last->lo != SET_STAR && last->lo <= last->hi &&
	    lo <= hi && lo >= last->lo && lo - 1 <= last->hi;
}

/*
 * An array that has grown too small stays behind in the pool, which can not
 * give back a part; all of them together are no larger than the last.
 */
void
set_add(struct set *set, uint32_t lo, uint32_t hi)
{
	struct range *last, *more;

	last = set->n == 0 ? NULL : &set->at[set->n - 1];
	if (last != NULL && continues(last, lo, hi)) {
		if (hi > last->hi)
			last->hi = hi;
		return;
	}
	if (set->n == set->room) {
		set->room = set->room == 0 ? FIRST_ROOM : set->room * 2;
		more = pool_array(set->pool, set->room, sizeof(*more));
		if (set->n > 0)
			memcpy(more, set->at, set->n * sizeof(*more));
		set->at = more;
	}
	set->at[set->n++] = (struct range){ lo, hi };
}

static int
by_lo(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

/*
 * RFC 3501 section 9: "all values between these two regardless of order",
 * so 3291:* with a last UID of 100 is 100:3291. False when nothing is left
 * of the range: "*" of an empty mailbox.
 */
static bool
settle(struct range *range, uint32_t star)
{
	uint32_t lo = range->lo == SET_STAR ? star : range->lo;
	uint32_t hi = range->hi == SET_STAR ? star : range->hi;

	if (lo == 0)
		lo = hi;
	if (hi == 0)
		hi = lo;
	*range = lo <= hi ? (struct range){ lo, hi } : (struct range){ hi, lo };
	return lo != 0;
}

/*
 * In place: a range is never written behind the one read last, and joining
 * makes no more of them, so the set_add below takes no memory. Most sets
 * come sorted, and sorting those again would cost more than all the rest.
 */
void
set_resolve(struct set *set, uint32_t star)
{
	struct range *at = set->at;
	size_t i, n = 0;
	bool sorted = true;

	for (i = 0; i < set->n; i++) {
		if (!settle(&at[i], star))
			continue;
		if (n > 0 && at[n - 1].lo > at[i].lo)
			sorted = false;
		at[n++] = at[i];
	}
	if (!sorted)
		qsort(at, n, sizeof(*at), by_lo);
	set->n = 0;
	for (i = 0; i < n; i++)
		set_add(set, at[i].lo, at[i].hi);
}

bool
set_has(const struct set *set, uint32_t number)
{
	size_t low = 0, high = set->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (number > set->at[mid].hi)
			low = mid + 1;
		else if (number < set->at[mid].lo)
			high = mid;
		else
			return true;
	}
	return false;
}

uint32_t
set_max(const struct set *set)
{
	return set->n == 0 ? 0 : set->at[set->n - 1].hi;
}

uint64_t
set_count(const struct set *set)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < set->n; i++)
		count += (uint64_t)set->at[i].hi - set->at[i].lo + 1;
	return count;
}
