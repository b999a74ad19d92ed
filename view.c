/*
 * view.c - the client's numbering of the selected mailbox. The mailbox may
 * change at any time; the client's sequence numbers change only by what it
 * is told here, and EXPUNGE is told only where RFC 3501 7.4.1 permits. Reads
 * the mailbox's list, never the file.
 */
#include "view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"

/* What of a message's flags a client can see. */
enum { SHOWN = FLAGS_SYSTEM | FLAG_RECENT };

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * Has the list changed since it was last compared? Comparing 50,000
 * messages after each command of a long pipeline would cost more than the
 * commands. A change that leaves the file's times and size alone is told by
 * mbox_sync, whose caller then sets `stale`.
 */
static bool
moved(const struct view *view, const struct mbox *mbox)
{
	const struct mbox_state *a = &view->state, *b = &mbox->state;

	return view->stale || view->mbox_n != mbox->n ||
	    view->news != mbox->news ||
	    a->dev != b->dev || a->ino != b->ino || a->size != b->size ||
	    !same_time(&a->mtime, &b->mtime) ||
	    !same_time(&a->ctime, &b->ctime);
}

/* New mail has the highest uids, so it can only go to the end. */
static void
append(struct view *view, const struct msg *msg, uint32_t n)
{
	uint32_t i;

	if (n > view->room - view->n) {
		/* Some to spare: new mail often comes one by one. */
		if (__builtin_add_overflow(view->n, n, &view->room) ||
		    __builtin_add_overflow(view->room, 64, &view->room))
			log_fatal("too many messages to number");
		view->at = xrealloc(view->at, view->room, sizeof(*view->at));
	}
	for (i = 0; i < n; i++)
		view->at[view->n++] = (struct view_entry){
			.uid = msg[i].uid,
			.keywords = msg[i].keywords,
			.flags = msg[i].flags & SHOWN,
		};
}

/*
 * Takes over what the message has now, and marks that the client does not
 * know yet. It is told at once, but only after EXPUNGE has moved numbers.
 */
static void
compare(struct view *view, struct view_entry *e, const struct msg *msg)
{
	uint8_t flags = msg->flags & SHOWN;

	/* Somebody took \Deleted back: it is no longer ours to act on. */
	e->marked = e->marked && flags & FLAG_DELETED;
	if (e->flags == flags && e->keywords == msg->keywords)
		return;
	e->flags = flags;
	e->keywords = msg->keywords;
	view->changed += !e->changed;
	e->changed = true;
}

/*
 * Brings the entries in line with the mailbox; both rise by uid. A message
 * whose uid lies between known ones has no place in the client's numbering
 * (RFC 3501 2.3.1.2) and is not shown; mbox.c never makes one.
 */
static void
merge(struct view *view, const struct mbox *mbox)
{
	struct view_entry *e;
	uint32_t i, j = 0, known = view->n;

	view->gone = 0;
	for (i = 0; i < known; i++) {
		e = &view->at[i];
		while (j < mbox->n && mbox->msgs[j].uid < e->uid)
			j++;
		e->gone = j == mbox->n || mbox->msgs[j].uid != e->uid;
		if (e->gone)
			view->gone++;
		else
			compare(view, e, &mbox->msgs[j++]);
	}
	if (j < mbox->n)
		append(view, &mbox->msgs[j], mbox->n - j);
	view->state = mbox->state;
	view->mbox_n = mbox->n;
	view->news = mbox->news;
	view->stale = false;
}

void
view_init(struct view *view, const struct mbox *mbox)
{
	memset(view, 0, sizeof(*view));
	view->uidvalidity = mbox->uidvalidity;
	merge(view, mbox);
}

void
view_free(struct view *view)
{
	free(view->at);
	memset(view, 0, sizeof(*view));
}

/* "* <n><words>"; no printf, for an EXPUNGE may come 50,000 times. */
static void
tell_number(struct reply *reply, uint32_t n, struct str words)
{
	reply_raw(reply, STR("* "));
	reply_number(reply, n);
	reply_raw(reply, words);
}

void
view_tell_size(const struct view *view, struct reply *reply)
{
	tell_number(reply, view->n, STR(" EXISTS\r\n"));
	tell_number(reply, view_recent(view), STR(" RECENT\r\n"));
}

void
view_tell_uids(const struct mbox *mbox, struct reply *reply)
{
	reply_f(reply, "* OK [UIDVALIDITY %" PRIu32 "] UID validity status"
	    "\r\n", mbox->uidvalidity);
	reply_f(reply, "* OK [UIDNEXT %" PRIu32 "] Predicted next UID\r\n",
	    mbox->uidnext);
}

/* RFC 3501 7.1: \* "indicates that it is possible to create new keywords".
 * What FLAGS lists can be changed, all of it. */
static void
changeable(const struct mbox *mbox, struct reply *reply)
{
	struct str gap = STR("");
	unsigned bit, i;

	if (mbox->keywords.n < KEYWORDS_MAX) {
		reply_raw(reply, STR("\\*"));
		gap = STR(" ");
	}
	for (bit = 1; bit & FLAGS_SYSTEM; bit <<= 1) {
		reply_raw(reply, gap);
		reply_raw(reply, flag_name(bit));
		gap = STR(" ");
	}
	for (i = 0; i < mbox->keywords.n; i++) {
		reply_raw(reply, gap);
		reply_raw(reply, keyword_name(&mbox->keywords, i));
	}
}

void
view_tell_flags(struct view *view, const struct mbox *mbox,
    struct reply *reply)
{
	view->keywords = mbox->keywords.n;
	reply_raw(reply, STR("* FLAGS "));
	reply_flags(reply, FLAGS_SYSTEM, (1u << view->keywords) - 1,
	    &mbox->keywords);
	reply_raw(reply, STR("\r\n* OK [PERMANENTFLAGS ("));
	if (view->writable)
		changeable(mbox, reply);
	reply_raw(reply, STR(")] Permanent flags\r\n"));
}

/*
 * Lower numbers first; RFC 3501 7.4.1: "the message sequence number for
 * each successive message in the mailbox is immediately decremented by 1".
 */
static void
tell_expunged(struct view *view, struct reply *reply)
{
	uint32_t i, kept = 0;

	for (i = 0; i < view->n; i++) {
		if (view->at[i].gone) {
			view->changed -= view->at[i].changed;
			tell_number(reply, kept + 1, STR(" EXPUNGE\r\n"));
		} else
			view->at[kept++] = view->at[i];
	}
	view->n = kept;
	view->gone = 0;
}

/*
 * RFC 3501 6.4.8: "server implementations MUST implicitly include the UID
 * message data item as part of any FETCH response caused by a UID command";
 * nobody can tell whether this one is, so UID commands always get it.
 */
static void
tell_changed(struct view *view, const struct mbox *mbox,
    struct reply *reply, bool uid)
{
	struct view_entry *e;
	uint32_t i;

	for (i = 0; i < view->n && view->changed > 0; i++) {
		e = &view->at[i];
		if (!e->changed)
			continue;
		tell_number(reply, i + 1, STR(" FETCH (FLAGS "));
		reply_flags(reply, e->flags, e->keywords, &mbox->keywords);
		if (uid) {
			reply_raw(reply, STR(" UID "));
			reply_number(reply, e->uid);
		}
		reply_raw(reply, STR(")\r\n"));
		e->changed = false;
		view->changed--;
	}
}

/*
 * What the mailbox has is compared with this before anything is told, so a
 * change that somebody else made meanwhile is not lost.
 */
void
view_assume(struct view *view, uint32_t i, unsigned flags, uint32_t keywords,
    bool tell)
{
	struct view_entry *e = &view->at[i];

	e->flags = (uint8_t)flags;
	e->keywords = keywords;
	view->changed += tell && !e->changed;
	e->changed |= tell;
	view->stale = true;
}

/*
 * The order is that of RFC 3501 6.1.2's example: EXPUNGE first, so that the
 * numbers after it are those the client goes on with. UW-imapd repeated the
 * size after EXPUNGE, and the transcripts keep that.
 */
void
view_tell(struct view *view, const struct mbox *mbox, struct reply *reply,
    bool expunge, bool uid)
{
	uint32_t known = view->n;
	bool resized = false;

	if (moved(view, mbox)) {
		merge(view, mbox);
		resized = view->n != known;
	}
	if (expunge && view->gone > 0) {
		tell_expunged(view, reply);
		resized = true;
	}
	if (resized)
		view_tell_size(view, reply);
	if (view->uidvalidity != mbox->uidvalidity) {
		view->uidvalidity = mbox->uidvalidity;
		view_tell_uids(mbox, reply);
	}
	if (view->keywords != mbox->keywords.n)
		view_tell_flags(view, mbox, reply);
	if (view->changed > 0)
		tell_changed(view, mbox, reply, uid);
}

/* Those that are gone count until the client has been told. */
uint32_t
view_recent(const struct view *view)
{
	uint32_t i, n = 0;

	for (i = 0; i < view->n; i++)
		n += (view->at[i].flags & FLAG_RECENT) != 0;
	return n;
}

uint32_t
view_lower(const struct view *view, uint32_t uid)
{
	uint32_t lo = 0, hi = view->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (view->at[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_seq(const struct view *view, uint32_t uid)
{
	uint32_t i = view_lower(view, uid);

	return i < view->n && view->at[i].uid == uid ? i + 1 : 0;
}

/* The first range that ends at `number` or later, or NULL. */
static const struct range *
range_from(const struct set *set, uint32_t number)
{
	size_t lo = 0, hi = set->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (set->at[mid].hi < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < set->n ? &set->at[lo] : NULL;
}

uint32_t
view_next(const struct view *view, const struct set *set, bool uid,
    uint32_t *at)
{
	const struct range *range;
	uint32_t i = *at, number;

	if (i >= view->n)
		return 0;
	number = uid ? view->at[i].uid : i + 1;
	range = range_from(set, number);
	/* No entry in one range's gap of uids: try the next range. */
	while (range != NULL && range->lo > number) {
		i = uid ? view_lower(view, range->lo) : range->lo - 1;
		if (i >= view->n)
			return 0;
		number = uid ? view->at[i].uid : i + 1;
		range = range_from(set, number);
	}
	if (range == NULL)
		return 0;
	return *at = i + 1;
}
