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
	bool changed;		/* flags differ from what was told before */
};

struct view {
	struct view_entry *at;	/* at[seq - 1], uid rising */
	uint32_t n;
	uint32_t room;
	uint32_t gone;		/* entries that are gone */
	uint32_t changed;	/* entries that changed */
	unsigned keywords;	/* keyword names told */
	bool stale;		/* somebody saw the mailbox move on */
	struct mbox_state state;	/* of the mailbox, when last compared */
	uint32_t mbox_n;
};

void	view_init(struct view *view, const struct mbox *mbox);
void	view_free(struct view *view);

/*
 * After a sync: marks vanished entries, appends new ones. Sends, only when
 * `expunge` (RFC 3501 7.4.1), EXPUNGE for vanished entries; EXISTS and
 * RECENT when the number changed; FETCH FLAGS, with the UID when `uid`, for
 * flags that others changed.
 */
void	view_tell(struct view *view, const struct mbox *mbox,
	    struct reply *reply, bool expunge, bool uid);
/* "* n EXISTS" and "* n RECENT". */
void	view_tell_size(const struct view *view, struct reply *reply);
/* "* FLAGS (...)", all that messages of this mailbox can carry. */
void	view_tell_flags(struct view *view, const struct mbox *mbox,
	    struct reply *reply);

uint32_t	view_recent(const struct view *view);
/* Sequence number of a uid, or 0. */
uint32_t	view_seq(const struct view *view, uint32_t uid);
/* First entry (from 0) with a uid >= the given; view->n when none. */
uint32_t	view_lower(const struct view *view, uint32_t uid);

/*
 * Walks the entries that a resolved set names, rising: sequence numbers,
 * or uids when `uid`. Start with *at = 0; returns the entry's index + 1
 * (its sequence number), or 0 at the end. Entries that are gone count.
 */
uint32_t	view_next(const struct view *view, const struct set *set,
		    bool uid, uint32_t *at);

#endif
