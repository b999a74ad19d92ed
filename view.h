/*
 * view.h - one client's numbering of one mailbox: sequence numbers, what
 * it has been told, and what it may be told now.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "mbox.h"
#include "reply.h"
#include "lib/set.h"

struct view_entry {
	uint32_t uid;
	uint32_t keywords;	/* as last told */
	uint8_t flags;		/* as last told, FLAG_RECENT included */
	bool gone;		/* no longer in the mailbox, not yet told */
};

struct view {
	struct view_entry *at;	/* at[seq - 1], uid rising */
	uint32_t n;
	uint32_t room;
	bool stale;		/* the mailbox moved on; view_tell is due */
};

void	view_init(struct view *view, const struct mbox *mbox);
void	view_free(struct view *view);

/*
 * After a sync: marks vanished entries, appends new ones. Sends EXISTS and
 * RECENT when the number grew, FETCH FLAGS for flags that others changed,
 * and, only when `expunge` (RFC 3501 7.4.1), EXPUNGE for vanished entries.
 */
void	view_tell(struct view *view, const struct mbox *mbox,
	    struct reply *reply, bool expunge);

uint32_t	view_recent(const struct view *view);
/* Sequence number of a uid, or 0. */
uint32_t	view_seq(const struct view *view, uint32_t uid);
/* First entry (from 0) with a uid >= the given; view->n when none. */
uint32_t	view_lower(const struct view *view, uint32_t uid);

/*
 * Walks the entries that a resolved set names, rising: sequence numbers,
 * or uids when `uid`. Start with *at = 0; returns the entry's index + 1
 * (its sequence number), or 0 at the end.
 */
uint32_t	view_next(const struct view *view, const struct set *set,
		    bool uid, uint32_t *at);

#endif
