/*
 * mbox_write.c - what every change of a mailbox stands on: the write lock
 * with everything that must be true under it, the UIDs that new mail gets in
 * the file before a client sees them, and the field that holds UIDVALIDITY,
 * the last UID and the keywords. Which bytes a header gets is stamp.c's, how
 * they come into the file without danger rewrite.c's.
 */
#include "mbox_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "rewrite.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/params.h"

/*
 * A file that we may only read is not recovered: what a reader of a
 * half-done rewrite sees is whole messages, some of them twice.
 */
bool
mbox_is_hot(const struct mbox *mbox)
{
	const struct mbox_private *own = mbox->own;
	struct stat st;

	return own->writer != NULL && own->may_write &&
	    fstat(mbox->fd, &st) == 0 &&
	    rewrite_hot(own->writer->dir, st.st_dev, st.st_ino);
}

static enum err
lock(struct mbox *mbox, struct why *why)
{
	const struct mbox_writer *writer = mbox->own->writer;

	if (!mbox->own->may_write)
		return why_set(why, E_PERM, "the mailbox can not be written");
	return lock_write(mbox->fd, mbox->path, writer->dotlock,
	    mbox->own->hurried ? FLUSH_LOCK_TIMEOUT : LOCK_TIMEOUT, why);
}

enum err
mbox_recover(struct mbox *mbox, struct why *why)
{
	const struct mbox_writer *writer = mbox->own->writer;
	enum err e = lock(mbox, why);

	/* Another session has replaced the file: the caller looks again. */
	if (e != E_OK)
		return e == E_GONE ? E_OK : e;
	e = rewrite_recover(writer->dir, mbox->fd, writer->sync, why);
	lock_drop(mbox->fd);
	return e;
}

/* That of another mailbox, which the journal is in the way with. */
static enum err
recover_pending(const struct mbox_writer *writer,
    const struct rewrite_pending *pending, struct why *why)
{
	struct stat st;
	enum err e;
	int fd;

	fd = open(pending->path, O_RDWR | O_NONBLOCK | O_NOCTTY |
	    O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_dev != pending->dev ||
	    st.st_ino != pending->ino) {
		if (fd >= 0)
			close(fd);
		log_warn("an interrupted change of a mailbox can not be "
		    "finished: the file is not there any more");
		return rewrite_abandon(writer->dir, why);
	}
	e = lock_write(fd, pending->path, writer->dotlock, LOCK_TIMEOUT,
	    why);
	if (e == E_OK) {
		e = rewrite_recover(writer->dir, fd, writer->sync, why);
		lock_drop(fd);
	}
	close(fd);
	return e;
}

/* One journal serves all mailboxes of a user, so it must be cold, or hot
 * for this one, before the lock of this one is taken. */
static enum err
clear_way(const struct mbox *mbox, struct why *why)
{
	const struct mbox_writer *writer = mbox->own->writer;
	struct rewrite_pending pending;
	struct stat st;

	/* Without it there is no journal, and we do with less. */
	if (fs_own_dir(writer->dir) != 0)
		log_warn("no journal: cannot have ~/.imapd: %s",
		    strerror(errno));
	if (rewrite_pending(writer->dir, &pending) != E_OK)
		return E_OK;
	if (fstat(mbox->fd, &st) == 0 && st.st_dev == pending.dev &&
	    st.st_ino == pending.ino)
		return E_OK;
	return recover_pending(writer, &pending, why);
}

/* ---- Rewriting, and the list after it ---- */

enum err
mbox_rewritten(struct mbox *mbox, enum err e, struct why *why)
{
	if (e == E_OK)
		return E_OK;
	memset(&mbox->state, 0, sizeof(mbox->state));
	if (e == E_GONE)
		return why_set(why, E_INUSE, "another program changes the "
		    "mailbox without a lock");
	return e;
}

void
mbox_rewrite_setup(const struct mbox *mbox, struct rewrite *r)
{
	const struct mbox_writer *writer = mbox->own->writer;

	*r = (struct rewrite){
		.fd = mbox->fd, .path = mbox->path, .dir = writer->dir,
		.sync = writer->sync, .names = &mbox->keywords,
		.size = mbox->state.size, .tick = lock_touch,
	};
}

enum err
mbox_patch(struct mbox *mbox, const struct rewrite_patch *patches, size_t n,
    struct why *why)
{
	struct rewrite r;
	enum err e;

	if (n == 0)
		return E_OK;
	mbox_rewrite_setup(mbox, &r);
	e = mbox_rewritten(mbox, rewrite_patch(&r, patches, n, why), why);
	if (e == E_OK)
		mbox_written(mbox);
	return e;
}

void
mbox_stamp_of(const struct mbox *mbox, const struct msg *msg,
    struct stamp *out)
{
	*out = (struct stamp){
		.uid = msg->uid,
		.keywords = msg->keywords,
		.flags = msg->flags & (FLAGS_SYSTEM | FLAG_OLD),
		.base = msg == mbox->msgs && mbox->own->pseudo_head == 0,
		.uidvalidity = mbox->uidvalidity,
		.uidlast = mbox->uidnext - 1,
		.names = &mbox->keywords,
		.quoted = msg->bits & MSG_QUOTED,
	};
}

enum err
mbox_missing_eol(const struct mbox *mbox, int64_t start, int64_t end,
    uint8_t *out, struct why *why)
{
	char tail[3] = { '\0', '\0', '\0' };
	size_t n = end - start < 3 ? (size_t)(end - start) : 3;

	if (fs_pread(mbox->fd, tail + 3 - n, n, end - (int64_t)n) != 0)
		return why_set(why, E_IO, "cannot read the mailbox: %s",
		    errno == 0 ? "it shrank" : strerror(errno));
	*out = tail[2] != '\n' ? 2 :
	    tail[1] != '\n' && (tail[1] != '\r' || tail[0] != '\n');
	return E_OK;
}

/*
 * A message ends where the next begins. An unfinished line is ended, so that
 * no From_ line is ever glued to it (mbox.md 1.1).
 */
static enum err
item_of(const struct mbox *mbox, uint32_t i, struct rewrite_item *item,
    struct why *why)
{
	const struct msg *msg = &mbox->msgs[i];
	bool last = i + 1 == mbox->n;
	int64_t end = last ? mbox->state.size : msg[1].start;

	*item = (struct rewrite_item){
		.off = msg->start, .len = end - msg->start,
		.head = msg->from + msg->head,
	};
	if (!last && !(msg[1].bits & MSG_POINT))
		return E_OK;
	return mbox_missing_eol(mbox, msg->start, end, &item->eol, why);
}

enum err
mbox_items(struct mbox *mbox, uint32_t first, struct rewrite *r,
    struct why *why)
{
	uint32_t i;
	enum err e = E_OK;

	mbox_rewrite_setup(mbox, r);
	r->n = mbox->n - first;
	r->items = xrealloc(NULL, r->n, sizeof(*r->items));
	for (i = 0; i < r->n && e == E_OK; i++)
		e = item_of(mbox, first + i, &r->items[i], why);
	return e;
}

/* Where messages that are boundaries only for us stand now. */
static void
renew_points(struct mbox *mbox)
{
	struct mbox_private *own = mbox->own;
	uint32_t i;

	own->n_points = 0;
	for (i = 0; i < mbox->n; i++) {
		if (!(mbox->msgs[i].bits & MSG_POINT))
			continue;
		own->points = xrealloc(own->points, own->n_points + 1,
		    sizeof(*own->points));
		own->points[own->n_points++] = mbox->msgs[i].start;
	}
}

/* What a stamp does to a message in the list. */
static void
take_item(struct msg *msg, const struct rewrite_item *item, bool stamped)
{
	int64_t body = msg->end - msg->start - msg->from - msg->head;

	msg->start = item->off;
	msg->head = item->head - msg->from;
	msg->end = item->off + item->head + body;
	if (stamped)
		msg->bits &= (uint8_t)~(MSG_UNSTAMPED | MSG_NEW | MSG_STUCK);
}

/* The list after r was carried out: before[] is what r's items were. */
static void
take_items(struct mbox *mbox, uint32_t first, const struct rewrite *r,
    const struct rewrite_item *before, uint32_t n)
{
	uint32_t i, to = first, item = 0;

	for (i = 0; i < n; i++) {
		if (before[i].drop)
			continue;
		mbox->msgs[to] = mbox->msgs[first + i];
		take_item(&mbox->msgs[to++], &r->items[item++],
		    before[i].stamped);
	}
	mbox->n = to;
	mbox->state.size = r->size;
	renew_points(mbox);
	mbox_written(mbox);
}

enum err
mbox_rewrite(struct mbox *mbox, uint32_t first, struct rewrite *r,
    struct why *why)
{
	struct rewrite_item *before = xrealloc(NULL, r->n, sizeof(*before));
	uint32_t n = r->n;
	enum err e;

	memcpy(before, r->items, n * sizeof(*before));
	e = mbox_rewritten(mbox, rewrite_all(r, why), why);
	if (e == E_OK)
		take_items(mbox, first, r, before, n);
	free(before);
	return e;
}

/* ---- X-IMAPbase ---- */

/* From_ line and header of what holds it. */
static enum err
read_base(struct mbox *mbox, struct buf *out, int64_t *at, struct why *why)
{
	const struct mbox_private *own = mbox->own;
	struct str text;
	char *p;
	enum err e;

	if (own->pseudo_head == 0) {
		*at = mbox->msgs[0].start;
		e = mbox_header(mbox, &mbox->msgs[0], &text, why);
		if (e == E_OK)
			buf_add(out, text);
		return e;
	}
	*at = own->pseudo;
	p = buf_grow(out, own->pseudo_head);
	if (p == NULL || fs_pread(mbox->fd, p, own->pseudo_head, *at) != 0)
		return why_set(why, E_IO, "cannot read the mailbox: %s",
		    strerror(errno));
	out->n += own->pseudo_head;
	return E_OK;
}

enum err
mbox_drop_pseudo(struct mbox *mbox, struct why *why)
{
	struct mbox_private *own = mbox->own;
	struct rewrite_item *before;
	struct rewrite r;
	enum err e;

	if ((e = mbox_items(mbox, 0, &r, why)) != E_OK) {
		free(r.items);
		return e;
	}
	before = xrealloc(NULL, r.n + 1, sizeof(*before));
	memcpy(before + 1, r.items, r.n * sizeof(*before));
	before[0] = (struct rewrite_item){
		.off = own->pseudo, .len = before[1].off - own->pseudo,
		.head = own->pseudo_head, .drop = true,
	};
	r.n++;
	r.items = xrealloc(r.items, r.n, sizeof(*r.items));
	memcpy(r.items, before, r.n * sizeof(*before));
	e = mbox_rewritten(mbox, rewrite_compact(&r, why), why);
	if (e == E_OK) {
		own->pseudo_head = 0;
		take_items(mbox, 0, &r, before + 1, mbox->n);
	}
	free(before);
	free(r.items);
	return e;
}

/*
 * The first message gets a header with the field; a pseudo message that had
 * it is then no longer needed. In this order: at any moment it must stand
 * somewhere, and where it stands twice the pseudo message counts.
 */
static enum err
move_base(struct mbox *mbox, uint32_t uidlast, struct why *why)
{
	struct rewrite r;
	enum err e;

	if (mbox->n == 0)
		return why_set(why, E_LIMIT, "no room for another keyword");
	e = mbox_items(mbox, 0, &r, why);
	r.items[0].stamped = true;
	mbox_stamp_of(mbox, &mbox->msgs[0], &r.items[0].stamp);
	r.items[0].stamp.base = true;
	r.items[0].stamp.uidlast = uidlast;
	if (e == E_OK)
		e = mbox_rewrite(mbox, 0, &r, why);
	free(r.items);
	if (e == E_OK && mbox->own->pseudo_head > 0)
		e = mbox_drop_pseudo(mbox, why);
	return e;
}

enum err
mbox_base(struct mbox *mbox, uint32_t uidlast, const struct keywords *names,
    struct why *why)
{
	struct mbox_private *own = mbox->own;
	struct keywords known = mbox->keywords;
	struct stamp stamp = {
		.uidvalidity = mbox->uidvalidity, .uidlast = uidlast,
		.names = names,
	};
	struct buf head = BUF_MAX(SIZE_MAX / 2), bytes = BUF_MAX(65536);
	struct rewrite_patch patch;
	size_t from, at;
	enum err e;

	mbox->keywords = *names;
	if (!own->based)
		return E_OK;
	if ((e = read_base(mbox, &head, &patch.at, why)) != E_OK)
		goto out;
	from = str_index(buf_str(&head), '\n') + 1;
	if (stamp_patch_base(str_from(buf_str(&head), from), &stamp, &at,
	    &bytes) != 0)
		e = move_base(mbox, uidlast, why);
	else if (bytes.n > 0) {
		patch.at += (int64_t)(from + at);
		patch.bytes = buf_str(&bytes);
		e = mbox_patch(mbox, &patch, 1, why);
	}
out:
	if (e == E_OK)
		own->uidlast = uidlast;
	else
		mbox->keywords = known;
	buf_free(&head);
	buf_free(&bytes);
	return e;
}

/* ---- UIDs for what is new ---- */

static int
by_start(const void *a, const void *b)
{
	const struct msg *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Is the list in the file's order? */
static bool
is_straight(const struct mbox *mbox)
{
	uint32_t i;

	for (i = 1; i < mbox->n; i++)
		if (mbox->msgs[i].start < mbox->msgs[i - 1].start)
			return false;
	return true;
}

/*
 * The list in the file's order, with uids that rise. A message that was put
 * between others has a higher uid than those behind it: from it on, all get
 * new ones, as with Dovecot.
 */
static void
straighten(struct mbox *mbox)
{
	uint32_t i, first = mbox->n, low = UINT32_MAX;

	if (is_straight(mbox))
		return;
	qsort(mbox->msgs, mbox->n, sizeof(*mbox->msgs), by_start);
	for (i = mbox->n; i-- > 0; low = low < mbox->msgs[i].uid ? low :
	    mbox->msgs[i].uid)
		if (mbox->msgs[i].uid > low)
			first = i;
	for (i = first; i < mbox->n; i++) {
		mbox->msgs[i].uid = mbox->uidnext++;
		mbox->msgs[i].bits |= MSG_UNSTAMPED | MSG_NEW;
	}
}

/* The first message that is to be stamped, or mbox->n. */
static uint32_t
first_unstamped(const struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if ((mbox->msgs[i].bits & (MSG_UNSTAMPED | MSG_STUCK)) ==
		    MSG_UNSTAMPED)
			break;
	return i;
}

static bool
any_bits(const struct mbox *mbox, uint8_t bits)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if (mbox->msgs[i].bits & bits)
			return true;
	return false;
}

enum err
mbox_fix_uidvalidity(struct mbox *mbox, struct why *why)
{
	const struct folders *folders = mbox->own->writer->folders;

	if (mbox->own->based)
		return E_OK;
	if (mbox->uidvalidity == 0)
		return folder_uidvalidity(folders,
		    mbox->own->uidvalidity_before + 1,
		    &mbox->uidvalidity, why);
	return folder_uidvalidity_used(folders, mbox->uidvalidity, why);
}

/* Stamps all that is to be, from msgs[first] on. */
static enum err
stamp_from(struct mbox *mbox, uint32_t first, struct why *why)
{
	const bool claims = mbox->own->claims && !mbox->own->leaving;
	bool open = any_bits(mbox, MSG_OPEN), changed = false;
	struct rewrite r;
	struct msg *msg;
	uint32_t i;
	enum err e;

	/* The unfinished line before a message that is glued to it. */
	first -= first > 0 && mbox->msgs[first].bits & MSG_POINT;
	e = mbox_items(mbox, first, &r, why);
	for (i = 0; i < r.n; i++) {
		msg = &mbox->msgs[first + i];
		if (!(msg->bits & MSG_UNSTAMPED))
			continue;
		r.items[i].stamped = true;
		mbox_stamp_of(mbox, msg, &r.items[i].stamp);
		if (claims)
			r.items[i].stamp.flags |= FLAG_OLD;
	}
	if (e == E_OK)
		e = mbox_rewrite(mbox, first, &r, why);
	for (i = 0; i < r.n && e == E_OK && claims; i++)
		if (r.items[i].stamp.uid != 0)
			mbox->msgs[first + i].flags |= FLAG_OLD;
	free(r.items);
	if (e == E_OK)
		mbox->own->shown = true;
	/* A header that was cut off has an empty line now. */
	if (e == E_OK && open)
		e = mbox_sync_locked(mbox, true, &changed, why);
	return e;
}

/*
 * "RESERVE BEFORE EXPOSE" (mbox.md 2.4): where the file has a place for the
 * last UID, that comes first. Then, if there is no room for the stamps, the
 * messages can be shown all the same: at worst they are shown again later,
 * as new ones.
 */
static enum err
stamp_new(struct mbox *mbox, struct why *why)
{
	struct mbox_private *own = mbox->own;
	uint32_t i, first = own->based ? first_unstamped(mbox) : 0;
	bool reserved = false;
	enum err e;

	if (first >= mbox->n)
		return E_OK;
	if ((e = mbox_fix_uidvalidity(mbox, why)) != E_OK)
		return e;
	if (own->based) {
		e = mbox_base(mbox, mbox->uidnext - 1, &mbox->keywords, why);
		reserved = e == E_OK;
	}
	if (e == E_OK)
		e = stamp_from(mbox, first, why);
	if (e == E_OK) {
		own->based = true;
		own->uidlast = mbox->uidnext - 1;
	} else if (reserved && e != E_IO && e != E_INUSE) {
		log_warn("new mail keeps its UIDs for this session only: %s",
		    why == NULL ? "" : why->text);
		for (i = first; i < mbox->n; i++) {
			mbox->msgs[i].bits &= (uint8_t)~MSG_NEW;
			if (mbox->msgs[i].bits & MSG_UNSTAMPED)
				mbox->msgs[i].bits |= MSG_STUCK;
		}
		own->shown = true;
		e = mbox_sync_locked(mbox, true, &reserved, why);
	}
	return e;
}

/* What is \Recent here is so nowhere else: by the log, if there can be one. */
static enum err
claim(struct mbox *mbox, struct why *why)
{
	return mbox->own->claims && !mbox->own->leaving &&
	    mbox_fresh(mbox) > 0 ? mbox_changes_claim(mbox, why) : E_OK;
}

/* Under the write lock, synced. */
static enum err
settle_locked(struct mbox *mbox, struct why *why)
{
	struct mbox_private *own = mbox->own;
	uint32_t i;
	enum err e;

	if (mbox->n > 0 && mbox->msgs[0].from == 0)
		return why_set(why, E_PERM, "the mailbox does not begin with "
		    "a message");
	straighten(mbox);
	e = stamp_new(mbox, why);
	if (e == E_OK && claim(mbox, why) != E_OK &&
	    mbox_claim(mbox, why) != E_OK)
		log_warn("new mail stays \\Recent: %s",
		    why == NULL ? "" : why->text);
	if (e != E_OK)
		return e;
	for (i = 0; i < mbox->n; i++)
		mbox->msgs[i].bits &= (uint8_t)~MSG_NEW;
	own->unsettled = false;
	return E_OK;
}

/*
 * What has no UID in the file is not shown. At first sight that would be
 * all of it: then all is shown, under numbers for this session.
 */
static enum err
unsettled(struct mbox *mbox, enum err e, const struct why *why)
{
	if (!mbox->own->shown && e != E_INUSE && e != E_IO) {
		log_warn("UIDs for one session only: %s", why->text);
		if (!mbox->own->based)
			mbox->uidvalidity = mbox->own->uidvalidity_before;
		mbox_number_session(mbox);
		return E_OK;
	}
	mbox_drop_new(mbox);
	memset(&mbox->state, 0, sizeof(mbox->state));
	return e;
}

/* lock_write wants the file to have this one name. */
static enum err
replaced(struct mbox *mbox, struct why *why)
{
	struct stat st;

	if (fstat(mbox->fd, &st) != 0 || st.st_nlink < 2)
		return why_set(why, E_INUSE, "the mailbox is being replaced");
	mbox->writable = false;
	return why_set(why, E_PERM, "the mailbox file has a second name");
}

/* A round ends early where the file was replaced while we waited. */
enum err
mbox_lock_write(struct mbox *mbox, bool *changed, struct why *why)
{
	const struct mbox_writer *writer = mbox->own->writer;
	unsigned tries;
	enum err e;

	for (tries = 0; tries < MBOX_TRIES; tries++) {
		if ((e = mbox_renew(mbox, changed, why)) != E_OK ||
		    mbox->fd < 0)
			return e;
		if ((e = clear_way(mbox, why)) != E_OK)
			return e;
		if ((e = lock(mbox, why)) == E_GONE)
			continue;
		if (e != E_OK)
			return e;
		if (mbox_is_hot(mbox))
			e = rewrite_recover(writer->dir, mbox->fd,
			    writer->sync, why);
		if (e == E_OK)
			e = mbox_sync_locked(mbox, false, changed, why);
		if (e == E_OK)
			e = mbox_changes_read(mbox, changed, why);
		if (e == E_OK && mbox->own->overtaken)
			e = mbox_sync_locked(mbox, true, changed, why);
		if (e == E_OK)
			mbox->own->overtaken = false;
		if (e == E_OK && !mbox->writable)
			e = why_set(why, E_PERM, "the mailbox can not be "
			    "written, or has new UIDs by another program");
		if (e == E_OK && mbox->own->unsettled)
			e = settle_locked(mbox, why);
		if (e != E_OK)
			lock_drop(mbox->fd);
		return e;
	}
	return replaced(mbox, why);
}

void
mbox_unlock(struct mbox *mbox)
{
	if (mbox->fd >= 0)
		lock_drop(mbox->fd);
}

/* Are there UIDs to be written into the file? */
static bool
needs_stamps(const struct mbox *mbox)
{
	return first_unstamped(mbox) < mbox->n || !is_straight(mbox);
}

enum err
mbox_settle(struct mbox *mbox, bool *changed, struct why *why)
{
	struct mbox_private *own = mbox->own;
	struct why unused;
	enum err e = E_OK;

	if (!mbox->writable)
		return E_OK;
	if (why == NULL)
		why = &unused;
	if (own->unsettled && mbox->fd >= 0 &&
	    (needs_stamps(mbox) || claim(mbox, why) != E_OK)) {
		e = mbox_lock_write(mbox, changed, why);
		if (e != E_OK)
			return unsettled(mbox, e, why);
		mbox_unlock(mbox);
	}
	own->unsettled = false;
	if (mbox->uidvalidity == 0)
		e = folder_uidvalidity_peek(own->writer->folders,
		    mbox->fd >= 0 ? mbox->state.ctime.tv_sec : time(NULL),
		    &mbox->uidvalidity);
	return e;
}

/*
 * The journal takes its room on the disk now, so that mail can be expunged
 * when the disk is full.
 */
static void
prepare_journal(const struct mbox_writer *writer)
{
	struct journal j;

	if (journal_look(&j, writer->dir) == E_OK ||
	    (fs_own_dir(writer->dir) == 0 &&
	    journal_open(&j, writer->dir, writer->sync, NULL) == E_OK))
		journal_close(&j);
}

enum err
mbox_open_writer(struct mbox **out, const char *path, bool inbox,
    enum mbox_mode mode, const struct mbox_writer *writer, struct why *why)
{
	enum err e;

	if (mode == MBOX_SELECT)
		prepare_journal(writer);
	e = mbox_open_as(out, path, inbox, writer->dir, writer,
	    mode == MBOX_SELECT, why);
	/* If the file loses it, the next one must be larger. */
	if (e == E_OK && (*out)->own->based)
		folder_uidvalidity_used(writer->folders, (*out)->uidvalidity,
		    NULL);
	return e;
}
