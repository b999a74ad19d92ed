/*
 * set.h - sequence sets and sets of found numbers: ranges of 1..2^32-1,
 * kept as given until set_resolve sorts and joins them.
 */
#ifndef SET_H
#define SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem.h"

/* The "*" of a sequence set, until set_resolve knows the largest number. */
enum { SET_STAR = 0 };

struct range {
	uint32_t lo;
	uint32_t hi;
};

struct set {
	struct range *at;
	size_t n;
	size_t room;
	struct pool *pool;	/* owns the ranges */
};

void	set_init(struct set *set, struct pool *pool);
/* Adds lo:hi as written; either end may be SET_STAR. Joins with the last
 * range when it continues it, so that rising numbers cost no memory. */
void	set_add(struct set *set, uint32_t lo, uint32_t hi);
/*
 * Puts `star` in place of "*", swaps reversed ends, sorts and joins:
 * afterwards ranges rise and do not touch (RFC 3501 section 9, seq-range).
 * With star 0 (an empty mailbox) ranges that name "*" vanish unless their
 * other end is a number, which then stands alone.
 */
void	set_resolve(struct set *set, uint32_t star);
/* The following need a resolved set. */
bool	set_has(const struct set *set, uint32_t number);
uint32_t	set_max(const struct set *set);		/* 0 when empty */
uint64_t	set_count(const struct set *set);

#endif
