/*
 * search.h - SEARCH keys: parsed into a tree, ordered so that what costs
 * least is asked first, evaluated over the messages of a view. The tree
 * and its evaluation know nothing of how results are shown, so ESEARCH and
 * SORT can use them.
 */
#ifndef SEARCH_H
#define SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "mbox.h"
#include "parse.h"
#include "view.h"

struct key;

struct search {
	struct pool *pool;
	struct key *key;
	struct str charset;	/* as given, or empty */
	bool charset_unknown;	/* then NO [BADCHARSET (...)] and no run */
};

/* [CHARSET astring SP] search-key *(SP search-key), to the line's end. */
int	search_parse(struct parser *p, struct search *search);
/* search-criteria of SORT and THREAD (RFC 5256 section 5): astring SP
 * search-key *(SP search-key), to the line's end. */
int	search_parse_criteria(struct parser *p, struct search *search);

/*
 * Adds the sequence numbers (uids when `uid`) of all matching messages, in
 * rising order, to *found.
 */
enum result	search_run(struct search *search, struct mbox *mbox,
		    struct view *view, bool uid, struct set *found,
		    struct outcome *o);

#endif
