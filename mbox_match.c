/*
 * mbox_match.c - which message of a new scan is which of those we know
 * (mbox.md 5.3). A known message keeps its uid wherever it now stands in
 * the file; what is new gets a uid behind all others, so the list stays in
 * order of uid. Looks only at what the scan found, never at the mail.
 */
#include "mbox_own.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/mem.h"

/* Newlines that a writer may add behind a message we have seen. */
enum { THAW_MAX = 64 };

static const uint32_t none = UINT32_MAX;

/*
 * A message is known again by its stable hash and the length of its body:
 * mutt adds a Lines field to a header that it rewrites, and the message is
 * still the same; text added to a body makes it another.
 */
static int64_t
body_bytes(const struct msg *msg)
{
	return msg->end - msg->start - msg->from - msg->head;
}

/*
 * The known messages by hash and body, for finding each in the order of the
 * list: first[] heads the chain of a bucket, next[] leads on.
 */
struct table {
	const struct mbox *mbox;
	uint32_t *first;
	uint32_t *next;
	uint32_t *new_of;	/* per known message: the scan's, or none */
	uint32_t *twins;	/* at the first of equal ones: how many */
	uint64_t mask;
};

/*
 * The length counts in the bucket, so that a sender of many messages with
 * one header can not make chains long.
 */
static uint32_t *
bucket(const struct table *t, uint64_t hash, int64_t body)
{
	return &t->first[(hash ^ (uint64_t)body * 0x9e3779b97f4a7c15) &
	    t->mask];
}

static void
table_fill(struct table *t, const struct mbox *mbox)
{
	uint64_t size = 16;
	uint32_t i, *head;

	while (size < (uint64_t)mbox->n * 2)
		size *= 2;
	t->mbox = mbox;
	t->mask = size - 1;
	t->first = xrealloc(NULL, size, sizeof(*t->first));
	t->next = xrealloc(NULL, mbox->n, sizeof(*t->next));
	t->new_of = xrealloc(NULL, mbox->n, sizeof(*t->new_of));
	t->twins = xrealloc(NULL, mbox->n, sizeof(*t->twins));
	memset(t->first, 0xff, size * sizeof(*t->first));
	memset(t->new_of, 0xff, mbox->n * sizeof(*t->new_of));
	for (i = mbox->n; i-- > 0; ) {
		head = bucket(t, mbox->msgs[i].hash,
		    body_bytes(&mbox->msgs[i]));
		t->next[i] = *head;
		*head = i;
		t->twins[i] = 0;
	}
}

static void
table_free(struct table *t)
{
	free(t->first);
	free(t->next);
	free(t->new_of);
	free(t->twins);
}

/* The first of the known messages of that hash and length, or none. */
static uint32_t
table_first(const struct table *t, uint64_t hash, int64_t body)
{
	const struct msg *msg;
	uint32_t i;

	for (i = *bucket(t, hash, body); i != none; i = t->next[i]) {
		msg = &t->mbox->msgs[i];
		if (msg->hash == hash && body_bytes(msg) == body)
			break;
	}
	return i;
}

/*
 * Marks the found messages of which more were known than are found: cron
 * can write two in one second that differ in their text alone. Which of
 * them has left nobody can tell, so none of them keeps its uid; rather is a
 * message fetched again than taken for another.
 */
static void
mark_twins(struct table *t, struct mbox_scan *scan)
{
	const struct mbox *mbox = t->mbox;
	uint32_t i, j, pass;

	for (i = 0; i < mbox->n; i++)
		t->twins[table_first(t, mbox->msgs[i].hash,
		    body_bytes(&mbox->msgs[i]))]++;
	for (pass = 0; pass < 2; pass++)
		for (j = 0; j < scan->n; j++) {
			i = table_first(t, scan->msgs[j].hash,
			    body_bytes(&scan->msgs[j]));
			if (i == none || t->twins[i] == 0)
				continue;
			if (pass == 0)
				t->twins[i]--;
			else
				scan->msgs[j].bits |= MSG_TWIN;
		}
}

/*
 * The first known message of that hash and length that is still free, taken
 * off its chain, or none. Equal messages are found one after another.
 */
static uint32_t
table_take(struct table *t, uint64_t hash, int64_t body)
{
	uint32_t *at = bucket(t, hash, body);
	const struct msg *msg;
	uint32_t i;

	while ((i = *at) != none) {
		msg = &t->mbox->msgs[i];
		if (t->new_of[i] != none) {
			*at = t->next[i];
			continue;
		}
		if (msg->hash == hash && body_bytes(msg) == body) {
			*at = t->next[i];
			return i;
		}
		at = &t->next[i];
	}
	return none;
}

/*
 * The known message to which newlines were added behind: maildrop writes
 * its empty line before the next message. A size once shown must not
 * change, so they stay outside (mbox.md 1.3, "FROZEN").
 */
static uint32_t
take_frozen(struct table *t, struct msg *new)
{
	int64_t body = body_bytes(new);
	size_t n = body < THAW_MAX ? (size_t)body : THAW_MAX, k;
	uint64_t size = new->size;
	char tail[THAW_MAX];
	uint32_t i;

	if (n == 0 || fs_pread(t->mbox->fd, tail, n,
	    new->end - (int64_t)n) != 0)
		return none;
	for (k = n; k-- > 0 && (tail[k] == '\n' || tail[k] == '\r'); ) {
		size -= 1 + (tail[k] == '\n' &&
		    (k == 0 || tail[k - 1] != '\r'));
		i = table_take(t, new->hash, body - (int64_t)(n - k));
		if (i != none) {
			new->end -= (int64_t)(n - k);
			new->size = size;
			return i;
		}
	}
	return none;
}

/* A believable X-UID that names a known message like it. */
static uint32_t
take_by_uid(struct table *t, const struct msg *new)
{
	const struct mbox *mbox = t->mbox;
	int64_t i;

	if (new->uid == 0)
		return none;
	i = mbox_find(mbox, new->uid);
	if (i < 0 || t->new_of[i] != none ||
	    mbox->msgs[i].hash != new->hash ||
	    body_bytes(&mbox->msgs[i]) != body_bytes(new))
		return none;
	return (uint32_t)i;
}

static void
add_new(struct mbox *mbox, struct msg *msg)
{
	/* An X-UID that we know to have been given is nobody's now. */
	if (msg->uid < mbox->uidnext) {
		msg->uid = mbox->uidnext;
		if (mbox->writable)
			msg->bits |= MSG_UNSTAMPED | MSG_NEW;
		if (mbox->inbox)
			msg->flags &= (uint8_t)~FLAG_DELETED;
	}
	mbox->uidnext = msg->uid + 1;
	if (mbox->n == mbox->room) {
		mbox->room = mbox->room < 64 ? 64 :
		    mbox->room + mbox->room / 2;
		mbox->msgs = xrealloc(mbox->msgs, mbox->room,
		    sizeof(*mbox->msgs));
	}
	mbox->msgs[mbox->n++] = *msg;
	mbox->own->relist = mbox->own->unmarked = true;
}

/*
 * Was it \Recent only as long as nobody had claimed it? We looked under the
 * read lock, and before we had the other another session did.
 */
static bool
claimed(const struct mbox *mbox, const struct msg *old, const struct msg *new)
{
	return mbox->own->claims && new->flags & FLAG_OLD &&
	    !(old->flags & FLAG_OLD) && !(old->bits & MSG_STUCK);
}

/* Has somebody changed its flags in the file? */
static bool
is_altered(const struct msg *old, const struct msg *new)
{
	const unsigned flags = (new->flags & ~old->drop) | old->add;

	return (flags ^ old->flags) & FLAGS_SYSTEM ||
	    ((new->keywords & ~old->drop_words) | old->add_words) !=
	    old->keywords;
}

/* The known message in its new place, with what is only this session's. */
static struct msg
renewed(const struct mbox *mbox, const struct msg *old,
    const struct msg *new)
{
	struct msg msg = *new;

	if (msg.uid != old->uid) {
		msg.bits |= MSG_UNSTAMPED | (old->bits & MSG_STUCK);
		msg.flags &= (uint8_t)~FLAG_DELETED;
		msg.flags |= old->flags & FLAG_DELETED;
	}
	msg.uid = old->uid;
	msg.flags &= (uint8_t)~FLAG_RECENT;
	if (!claimed(mbox, old, new))
		msg.flags |= old->flags & FLAG_RECENT;
	/* Whoever has claimed it by the log, that is known. */
	msg.flags |= old->flags & old->add & FLAG_OLD;
	msg.add = old->add;
	msg.drop = old->drop;
	msg.add_words = old->add_words;
	msg.drop_words = old->drop_words;
	msg.ours = old->ours;
	msg.our_words = old->our_words;
	msg.modseq = is_altered(old, new) ? 0 : old->modseq;
	mbox->own->unmarked |= msg.modseq == 0;
	return msg;
}

/* Fills table.new_of; known[j] tells which of the scan's were known. */
static void
find_known(struct table *t, struct mbox_scan *scan, bool *known)
{
	uint32_t i, j;

	mark_twins(t, scan);
	for (j = 0; j < scan->n; j++) {
		i = take_by_uid(t, &scan->msgs[j]);
		known[j] = i != none;
		if (i != none)
			t->new_of[i] = j;
	}
	/* A UID that we have not given was given by another, who has told it
	 * to his client: however well we know the message, it is a new one. */
	for (j = 0; j < scan->n; j++) {
		if (known[j] || scan->msgs[j].bits & MSG_TWIN ||
		    scan->msgs[j].uid >= t->mbox->uidnext)
			continue;
		i = table_take(t, scan->msgs[j].hash,
		    body_bytes(&scan->msgs[j]));
		if (i == none)
			i = take_frozen(t, &scan->msgs[j]);
		known[j] = i != none;
		if (i != none)
			t->new_of[i] = j;
	}
}

/*
 * Adds those that were not known: first, `stamped`, those to which another
 * program gave a UID, then the others behind all that it has given.
 */
static void
add_unknown(struct mbox *mbox, struct mbox_scan *scan, bool *known,
    bool stamped)
{
	struct msg *msg;
	uint32_t j;

	for (j = 0; j < scan->n; j++) {
		msg = &scan->msgs[j];
		if (known[j] || (stamped && msg->uid < mbox->uidnext))
			continue;
		add_new(mbox, msg);
		known[j] = true;
	}
}

/*
 * The X-UIDs of a scan mean something here only while both speak under the
 * same UIDVALIDITY: another program may have begun a new one.
 */
static bool
same_uids(const struct mbox *mbox, const struct mbox_scan *scan)
{
	return mbox->sticky && scan->based &&
	    scan->uidvalidity == mbox->uidvalidity;
}

/*
 * A UID that was not shown is not kept either: another session may by now
 * have given the message another one.
 */
bool
mbox_drop_new(struct mbox *mbox)
{
	uint32_t n = mbox->n;

	while (mbox->n > 0 && mbox->msgs[mbox->n - 1].bits & MSG_NEW)
		mbox->uidnext = mbox->msgs[--mbox->n].uid;
	return mbox->n < n;
}

/*
 * Of a mailbox that has been empty since we saw it first nobody was told a
 * UID. The UIDVALIDITY that was announced for it stood nowhere, and another
 * session, which got to stamp the first mail, chose its own: that holds. One
 * that no session has used is the sender's (mbox.md 2.3).
 */
static void
take_over(struct mbox *mbox, const struct mbox_scan *scan)
{
	if (mbox->sticky && mbox->writable && scan->based &&
	    mbox->uidnext == 1 && folder_uidvalidity_last(
	    mbox->own->writer->folders, scan->uidvalidity))
		mbox->uidvalidity = scan->uidvalidity;
}

void
mbox_match(struct mbox *mbox, struct mbox_scan *scan)
{
	bool *known = xrealloc(NULL, scan->n, sizeof(*known));
	const struct keywords names = mbox->keywords;
	struct table table;
	uint32_t i, j, n = 0;
	bool same;

	take_over(mbox, scan);
	same = same_uids(mbox, scan);
	/* Another program began anew, under a number that its clients know
	 * by now: what we know is good for this session, not for the file. */
	if (scan->based && !same)
		mbox->writable = mbox->sticky = false;
	for (j = 0; j < scan->n && !same; j++)
		scan->msgs[j].uid = 0;
	table_fill(&table, mbox);
	find_known(&table, scan, known);
	for (i = 0; i < mbox->n; i++)
		if (table.new_of[i] != none)
			mbox->msgs[n++] = renewed(mbox, &mbox->msgs[i],
			    &scan->msgs[table.new_of[i]]);
	mbox->n = n;
	add_unknown(mbox, scan, known, true);
	if (same && scan->uidlast >= mbox->uidnext)
		mbox->uidnext = scan->uidlast + 1;
	add_unknown(mbox, scan, known, false);
	if (scan->based)
		mbox->keywords = scan->keywords;
	mbox->own->based = same;
	mbox_changes_apply(mbox, &names);
	table_free(&table);
	free(known);
}

void
mbox_add_tail(struct mbox *mbox, struct mbox_scan *scan)
{
	uint32_t i;

	for (i = 0; i < scan->n; i++)
		add_new(mbox, &scan->msgs[i]);
}

static bool
all_stamped(const struct mbox_scan *scan)
{
	uint32_t i;

	for (i = 0; i < scan->n; i++)
		if (scan->msgs[i].uid == 0)
			return false;
	return scan->based;
}

/*
 * A UIDVALIDITY for one session, larger than the file's own: RFC 4315 3,
 * UIDNOTSTICKY, "UIDVALIDITY will be different each time". It is the time;
 * where the file's own lies ahead of the clock, the seconds since 2026 on
 * top of that, so that it still rises.
 */
static uint32_t
session_uidvalidity(uint32_t files)
{
	const uint32_t epoch = 1767225600;
	uint32_t v = (uint32_t)time(NULL) & INT32_MAX;

	if (v <= files)
		v = files + 1 + (v > epoch ? v - epoch : 0);
	return v > INT32_MAX ? INT32_MAX : v;
}

void
mbox_number_session(struct mbox *mbox)
{
	uint32_t i;

	mbox->sticky = mbox->writable = false;
	mbox->uidvalidity = session_uidvalidity(mbox->uidvalidity);
	mbox->uidnext = mbox->n + 1;
	for (i = 0; i < mbox->n; i++) {
		mbox->msgs[i].uid = i + 1;
		mbox->msgs[i].bits &= (uint8_t)~(MSG_UNSTAMPED | MSG_NEW);
	}
}

/* Are so many UIDs left that nobody need think of it in this session? */
static bool
uids_left(const struct mbox_scan *scan)
{
	return scan->uidlast < INT32_MAX - UIDS_SPARE;
}

/*
 * All UIDs are to stand in the file. The first message without one, and
 * what stands behind it, gets new ones: UIDs that do not rise through the
 * file would make UW throw away all of them, and Dovecot some.
 */
static void
number_lasting(struct mbox *mbox, const struct mbox_scan *scan)
{
	struct msg *msg = mbox->msgs, *end = msg + mbox->n;

	mbox->own->based = scan->based;
	if (mbox->writable && scan->based && !uids_left(scan)) {
		mbox->own->based = false;
		mbox->own->uidvalidity_before = mbox->uidvalidity;
		mbox->uidvalidity = 0;
	}
	mbox->uidnext = mbox->own->based ? scan->uidlast + 1 : 1;
	while (msg < end && msg->uid != 0 && mbox->own->based)
		msg++;
	for (; msg < end; msg++) {
		msg->uid = mbox->uidnext++;
		msg->bits |= MSG_UNSTAMPED | MSG_NEW;
	}
}

void
mbox_number(struct mbox *mbox, struct mbox_scan *scan)
{
	free(mbox->msgs);
	mbox->keywords = scan->keywords;
	mbox->msgs = scan->msgs;
	mbox->n = scan->n;
	mbox->room = scan->room;
	mbox->uidvalidity = scan->based ? scan->uidvalidity : 0;
	mbox->writable = mbox->own->may_write &&
	    (scan->n == 0 || scan->msgs[0].from > 0);
	mbox->sticky = mbox->writable || all_stamped(scan);
	if (mbox->sticky)
		number_lasting(mbox, scan);
	else
		mbox_number_session(mbox);
	mbox->own->relist = mbox->own->unmarked = true;
	scan->msgs = NULL;
	scan->n = scan->room = 0;
}
