/*
 * sort.h - SORT (RFC 5256): the criteria, and the order of found messages. It
 * is told what was found, and shows nothing, so that ESORT can use it.
 */
#ifndef SORT_H
#define SORT_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "mbox.h"
#include "parse.h"
#include "view.h"

/* As many as there are keys: a second one of a kind decides nothing. */
enum { SORT_KEYS = 7 };

struct searchtext;
struct sort_row;
struct sort_key {
	const struct sort_row *row;
	bool reverse;
};

struct sort {
	struct sort_key keys[SORT_KEYS];
	uint32_t n_keys;
};

/* sort-criteria = "(" sort-criterion *(SP sort-criterion) ")" */
int	sort_parse(struct parser *p, struct sort *sort);

/*
 * Puts the messages whose sequence numbers `found` holds, resolved, in order:
 * *n of them into **numbers, in the pool, or their UIDs. One that is gone by
 * now is left out.
 */
enum result	sort_run(const struct sort *sort, struct pool *pool,
		    struct mbox *mbox, const struct view *view,
		    const struct set *found, bool uid, uint32_t **numbers,
		    uint32_t *n, struct outcome *o);

/*
 * What THREAD goes by, too, of the header that was set in t. The sent date
 * (RFC 5256 2.2), seconds since 1970; `arrival` is the internal date's. The
 * base subject in the bytes by which it is compared, in the pool; *answer as
 * in subject.h, may be NULL.
 */
int64_t		sort_sent(const struct searchtext *t, int64_t arrival);
struct str	sort_subject(struct searchtext *t, struct pool *pool,
		    bool *answer);
/* As qsort(3) has it: the shorter of two first that begin alike. */
int		sort_compare(struct str a, struct str b);

#endif
