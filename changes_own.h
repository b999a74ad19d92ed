/*
 * changes_own.h - what stands in a record of the log of changes, for
 * changes.c and changes_record.c alone.
 */
#ifndef CHANGES_OWN_H
#define CHANGES_OWN_H

#include "changes.h"
#include "lib/buf.h"

enum {
	CHANGES_BODY_MIN = 24,
	CHANGES_BODY_MAX = CHANGES_BODY_MIN +
	    2 * KEYWORDS_MAX * (1 + KEYWORD_MAX_BYTES) +
	    CHANGE_RUNS_MAX * 8,
};

/* Could it be a record? What is written is asked, too: one that can not be
 * would end the log for whoever reads it. */
bool	changes_can_be(const struct change *change);
/* Adds the body of a record that can be. */
void	changes_encode(const struct change *change, struct buf *b);
/* A body of at least CHANGES_BODY_MIN bytes; false when it can not be. The
 * runs go to *runs, which grows as they need. */
bool	changes_decode(struct str body, struct change_run **runs,
	    struct change *out);

#endif
