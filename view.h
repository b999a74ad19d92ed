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
	bool marked;		/* \Deleted was set by this session */
	bool changed;		/* flags differ from what was told before */
};

struct view {
	struct view_entry *at;	/* at[seq - 1], uid rising */
	uint32_t n;
	uint32_t room;
	uint32_t gone;		/* entries that are gone */
	uint32_t changed;	/* entries that changed */
	unsigned keywords;	/* keyword names told */
	uint32_t uidvalidity;	/* told */
	bool writable;		/* the client may change flags */
	bool stale;		/* somebody saw the mailbox move on */
	struct mbox_state state;	/* of the mailbox, when last compared */
	uint32_t news;
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
/* UIDVALIDITY and UIDNEXT, as SELECT tells them. */
void	view_tell_uids(const struct mbox *mbox, struct reply *reply);
/* "* n EXISTS" and "* n RECENT". */
void	view_tell_size(const struct view *view, struct reply *reply);
/*
 * The client takes the flags of at[i] to be these; `marked` is not touched.
 * The next view_tell says what they are: if they are others, or if `tell`.
 */
void	view_assume(struct view *view, uint32_t i, unsigned flags,
	    uint32_t keywords, bool tell);
/* "* FLAGS (...)", all that messages of this mailbox can carry, and
 * PERMANENTFLAGS, what of it the client may change. */
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
