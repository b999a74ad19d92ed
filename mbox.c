/*
 * mbox.c - an mbox file as a list of messages: open, keep up with what
 * other programs do to the file, hand out bytes. Reads only, never maps the
 * mailbox, holds the read lock only while it copies or scans, and trusts
 * no offset: before bytes are handed out the From_ line and the stable hash
 * of the message are checked in the copy (mbox.md 5.3).
 */
#include "mbox_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/params.h"

enum {
	/* Head and tail of the known file that must not have changed when
	 * only the rest is to be scanned. */
	EDGE_BYTES = 4096,
	/*
	 * A time stamp younger than this may be shared by a later change:
	 * clocks of the kernel tick, 10 ms at most (mbox.md 5.2).
	 */
	RACY_MS = 50,
	/* The same where stamps have whole seconds: NFS, old file systems. */
	RACY_SECONDS_MS = 2000,
};

static enum err
from_errno(struct why *why, const char *what)
{
	enum err e = E_IO;

	if (errno == ENOENT || errno == ENOTDIR)
		e = E_NOENT;
	else if (errno == EACCES || errno == EPERM || errno == ELOOP)
		e = E_PERM;
	return why_set(why, e, "cannot %s the mailbox: %s", what,
	    errno == 0 ? "it shrank" : strerror(errno));
}

/*
 * Opens the file without waiting for a FIFO's writer and without following
 * a link that took the resolved path's place; for writing too, if somebody
 * wants to write. A file that has a second name is for reading only: who
 * holds that name does not know our locks.
 */
static enum err
open_file(struct mbox *mbox, int *fd, struct why *why)
{
	const int flags = O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;
	bool write = mbox->own->writer != NULL;
	struct stat st;

	*fd = -1;
	if (write)
		*fd = open(mbox->path, O_RDWR | flags);
	write = *fd >= 0;
	if (!write)
		*fd = open(mbox->path, O_RDONLY | flags);
	if (*fd < 0)
		return from_errno(why, "open");
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
		mbox->own->may_write = write && st.st_nlink == 1;
		return E_OK;
	}
	close(*fd);
	*fd = -1;
	return why_set(why, E_NOTMBOX, "not a regular file");
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_state(const struct mbox_state *state, const struct stat *st)
{
	return state->dev == st->st_dev && state->ino == st->st_ino &&
	    state->size == st->st_size &&
	    same_time(state->mtime, st->st_mtim) &&
	    same_time(state->ctime, st->st_ctim);
}

static void
set_state(struct mbox_state *state, const struct stat *st)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = ((int64_t)now.tv_sec - st->st_ctim.tv_sec) * 1000 +
	    (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
	state->dev = st->st_dev;
	state->ino = st->st_ino;
	state->size = st->st_size;
	state->mtime = st->st_mtim;
	state->ctime = st->st_ctim;
	state->racy = age > -RACY_MS && age < (st->st_ctim.tv_nsec == 0 ?
	    RACY_SECONDS_MS : RACY_MS);
}

bool
mbox_look_at(const struct mbox *mbox, struct mbox_state *now)
{
	struct stat st;

	if (fstat(mbox->fd, &st) != 0)
		return false;
	set_state(now, &st);
	return true;
}

/* Hash of n bytes from `at` on; -1 if unreadable. */
static int
edge(const struct mbox *mbox, int64_t at, size_t n, uint64_t *out)
{
	char text[EDGE_BYTES];
	struct hash h;
	size_t piece;

	hash_init(&h, &mbox->own->key);
	for (; n > 0; n -= piece, at += (int64_t)piece) {
		piece = n < sizeof(text) ? n : sizeof(text);
		if (fs_pread(mbox->fd, text, piece, at) != 0)
			return -1;
		hash_add(&h, (struct str){ text, piece });
	}
	*out = hash_end(&h);
	return 0;
}

static int
edges(const struct mbox *mbox, int64_t size, uint64_t *head, uint64_t *tail)
{
	int64_t n = size < EDGE_BYTES ? size : EDGE_BYTES;

	return edge(mbox, 0, mbox->own->head_n, head) != 0 ||
	    edge(mbox, size - n, (size_t)n, tail) != 0 ? -1 : 0;
}

/*
 * How much of the file's head must not have changed: with the field in it
 * that says which UIDs have been given.
 */
static size_t
head_bytes(const struct mbox *mbox, int64_t size)
{
	const struct mbox_private *own = mbox->own;
	int64_t end = EDGE_BYTES, n = 0;

	if (own->pseudo_head > 0)
		n = own->pseudo + own->pseudo_head;
	else if (mbox->n > 0)
		n = mbox->msgs[0].start + mbox->msgs[0].from +
		    mbox->msgs[0].head;
	if (n > end)
		end = n < MBOX_HEAD_MAX ? n : MBOX_HEAD_MAX;
	return (size_t)(end < size ? end : size);
}

static void
scan_setup(const struct mbox *mbox, struct mbox_scan *scan,
    const struct stat *st)
{
	memset(scan, 0, offsetof(struct mbox_scan, meta));
	scan->fd = mbox->fd;
	scan->size = st->st_size;
	scan->mtime = st->st_mtim.tv_sec;
	scan->inbox = mbox->inbox;
	scan->key = mbox->own->key;
	scan->points = mbox->own->points;
	scan->n_points = mbox->own->n_points;
	scan->old_end = mbox->state.size;
}

/* Remembers the boundary that a later full scan could not find by itself. */
static void
keep_points(struct mbox_private *own, const struct mbox_scan *scan)
{
	uint32_t i;

	for (i = 0; i < scan->n; i++) {
		if (!(scan->msgs[i].bits & MSG_POINT) ||
		    scan->msgs[i].start != scan->old_end)
			continue;
		own->points = xrealloc(own->points, own->n_points + 1,
		    sizeof(*own->points));
		own->points[own->n_points++] = scan->msgs[i].start;
	}
}

/*
 * Scans only what was appended. E_NOTMBOX when the rest of the file, or
 * what stands at its old end, is not as expected: then all must be read.
 */
static enum err
sync_tail(struct mbox *mbox, const struct stat *st, struct why *why)
{
	struct mbox_scan scan;
	enum err e;

	scan_setup(mbox, &scan, st);
	scan.tail = true;
	scan.at = mbox->state.size;
	scan.based = mbox->own->based;
	scan.uid_before = mbox->uidnext - 1;
	scan.uidlast = mbox->own->uidlast;
	scan.keywords = mbox->keywords;
	e = mbox_scan(&scan, why);
	if (e == E_OK) {
		keep_points(mbox->own, &scan);
		mbox_add_tail(mbox, &scan);
	}
	mbox_scan_free(&scan);
	return e;
}

/* What the list is, that a scan of all is to be compared with. */
enum known {
	KNOWN_NOTHING,		/* there is none */
	KNOWN_INDEX,		/* what an earlier session left */
	KNOWN_LIST,		/* this session's */
};

/*
 * An index is good for telling which message is which while the file speaks
 * of the same UIDs. It may be an old one, so where the file does not say how
 * many were given since it says nothing, either.
 */
static bool
is_of(const struct mbox *mbox, const struct mbox_scan *scan)
{
	return mbox->own->may_write && scan->based &&
	    scan->uidvalidity == mbox->uidvalidity &&
	    scan->uidlast < INT32_MAX - UIDS_SPARE;
}

/* Nobody has seen these messages in this session. */
static void
set_recent(struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if (mbox->msgs[i].flags & FLAG_OLD)
			mbox->msgs[i].flags &= (uint8_t)~FLAG_RECENT;
		else
			mbox->msgs[i].flags |= FLAG_RECENT;
}

static void
take_scan(struct mbox *mbox, struct mbox_scan *scan, enum known known)
{
	keep_points(mbox->own, scan);
	mbox->own->pseudo = scan->pseudo;
	mbox->own->pseudo_head = scan->pseudo_head;
	mbox->own->uidlast = scan->based ? scan->uidlast : 0;
	if (known == KNOWN_INDEX && !is_of(mbox, scan)) {
		mbox_index_forget(mbox);
		known = KNOWN_NOTHING;
	}
	if (known == KNOWN_NOTHING)
		mbox_number(mbox, scan);
	else
		mbox_match(mbox, scan);
	if (known == KNOWN_INDEX)
		set_recent(mbox);
}

static enum err
sync_all(struct mbox *mbox, const struct stat *st, bool intact,
    enum known known, struct why *why)
{
	struct mbox_scan scan;
	enum err e;

	scan_setup(mbox, &scan, st);
	if (!intact)
		scan.old_end = -1;
	/* Where X-IMAPbase is lost, the words still mean what they meant. */
	if (known == KNOWN_LIST)
		scan.keywords = mbox->keywords;
	e = mbox_scan(&scan, why);
	if (e == E_OK)
		take_scan(mbox, &scan, known);
	mbox_scan_free(&scan);
	return e;
}

/* What was left in the index may be of a list that only grew. */
static enum err
read_all(struct mbox *mbox, const struct stat *st, bool intact,
    enum known known, struct why *why)
{
	enum err e = sync_all(mbox, st, intact, known, why);

	if (e == E_OK && (mbox->own->grown || known == KNOWN_INDEX))
		memset(&mbox->own->indexed, 0, sizeof(mbox->own->indexed));
	if (e == E_OK)
		mbox->own->grown = false;
	return e;
}

/*
 * Was the file only appended to, as far as its edges tell? If not, no
 * offset known so far is an append point any more.
 */
static bool
is_intact(struct mbox *mbox, const struct stat *st)
{
	const struct mbox_state *state = &mbox->state;
	uint64_t head, tail;

	if (st->st_ino == state->ino &&
	    st->st_dev == state->dev && st->st_size >= state->size &&
	    edges(mbox, state->size, &head, &tail) == 0 &&
	    head == mbox->own->head_edge && tail == mbox->own->tail_edge)
		return true;
	mbox->own->n_points = 0;
	return false;
}

/*
 * Brings the list up to the file as it is now; all of it is read when `all`
 * or when nothing was read before. A racy state is confirmed by content
 * once, which makes it older.
 */
enum err
mbox_sync_locked(struct mbox *mbox, bool all, bool *changed, struct why *why)
{
	struct mbox_state *state = &mbox->state;
	enum known known = mbox->own->shown ? KNOWN_LIST : KNOWN_NOTHING;
	enum err e = E_NOTMBOX;
	bool intact;
	struct stat st;

	if (fstat(mbox->fd, &st) != 0)
		return from_errno(why, "look at");
	if (known == KNOWN_NOTHING && !all && mbox_index_load(mbox)) {
		known = KNOWN_INDEX;
		*changed = true;
	}
	all = all || known == KNOWN_NOTHING || state->racy;
	if (!all && same_state(state, &st))
		return E_OK;
	*changed = true;
	mbox->own->unsettled = true;
	all = mbox_drop_new(mbox) || all;
	mbox_forget(mbox->own);
	intact = is_intact(mbox, &st);
	if (!all && intact && state->size > 0 && st.st_size > state->size)
		e = sync_tail(mbox, &st, why);
	/* New mail that can not be stamped makes all numbers the session's. */
	if (e == E_OK && known == KNOWN_INDEX && !mbox->own->may_write)
		e = E_NOTMBOX;
	mbox->own->grown = mbox->own->grown || e == E_OK;
	if (e == E_NOTMBOX)
		e = read_all(mbox, &st, intact && known != KNOWN_INDEX,
		    known, why);
	if (e != E_OK)
		return e;
	mbox->own->head_n = head_bytes(mbox, st.st_size);
	if (edges(mbox, st.st_size, &mbox->own->head_edge,
	    &mbox->own->tail_edge) != 0) {
		/* The list is ahead of the state: no tail may be added. */
		memset(state, 0, sizeof(*state));
		return from_errno(why, "read");
	}
	set_state(state, &st);
	/* Who ignores the lock changed it while we read: once more. */
	if (fstat(mbox->fd, &st) != 0 || !same_state(state, &st))
		state->racy = true;
	return E_OK;
}

/*
 * What others do from now on must show, even within one tick of the clock
 * by which the kernel stamps files: the stamp we set is finer.
 */
void
mbox_written(struct mbox *mbox)
{
	struct mbox_state *state = &mbox->state;
	int64_t known = state->size;
	struct stat st;
	bool fine;

	mbox_forget(mbox->own);
	mbox->own->head_n = head_bytes(mbox, known);
	fine = fs_touch(mbox->fd) == 0;
	if (fstat(mbox->fd, &st) != 0 || edges(mbox, known,
	    &mbox->own->head_edge, &mbox->own->tail_edge) != 0) {
		/* All will be read again; but the list is right. */
		memset(state, 0, sizeof(*state));
		state->size = known;
		return;
	}
	set_state(state, &st);
	state->racy = state->racy && !fine;
	/* Mail that came meanwhile, from somebody who takes no lock. */
	if (st.st_size != known) {
		state->size = known;
		memset(&state->mtime, 0, sizeof(state->mtime));
	}
}

/* The INBOX file is gone: an MUA may remove an empty one (Debian 11.6). */
static void
file_is_gone(struct mbox *mbox, bool *changed)
{
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox->fd = -1;
	mbox_changes_leave(mbox);
	*changed = *changed || mbox->n > 0;
	mbox->n = 0;
	mbox_forget(mbox->own);
	memset(&mbox->state, 0, sizeof(mbox->state));
}

void
mbox_gone(const char *dir, dev_t dev, ino_t ino)
{
	mbox_index_drop(dir, dev, ino);
	changes_drop(dir, dev, ino);
}

/* The file that we have has lost its name. What others did to its flags goes
 * along; what is remembered of it is of no more use. */
static void
leave_file(struct mbox *mbox, bool *changed)
{
	struct stat st;

	if (mbox->fd < 0)
		return;
	mbox_changes_read(mbox, changed, NULL);
	mbox_changes_leave(mbox);
	if (mbox->own->writer != NULL && fstat(mbox->fd, &st) == 0 &&
	    st.st_nlink == 0) {
		mbox_gone(mbox->dir, st.st_dev, st.st_ino);
	}
	close(mbox->fd);
	mbox->fd = -1;
}

/*
 * Makes fd the file that the path names now: who replaces a mailbox by
 * rename leaves us with a file that nobody delivers to. A mailbox other
 * than INBOX that was deleted stays readable through its descriptor until
 * it is closed.
 */
enum err
mbox_renew(struct mbox *mbox, bool *changed, struct why *why)
{
	struct stat st;
	enum err e;
	int fd;

	if (lstat(mbox->path, &st) != 0) {
		if (errno != ENOENT)
			return from_errno(why, "look at");
		if (mbox->inbox)
			file_is_gone(mbox, changed);
		return E_OK;
	}
	if (mbox->fd >= 0 && st.st_dev == mbox->state.dev &&
	    st.st_ino == mbox->state.ino)
		return E_OK;
	if (!S_ISREG(st.st_mode))
		return why_set(why, E_NOTMBOX, "not a regular file");
	e = open_file(mbox, &fd, why);
	if (e == E_NOENT && mbox->inbox) {
		file_is_gone(mbox, changed);
		return E_OK;
	}
	if (e != E_OK)
		return e;
	leave_file(mbox, changed);
	mbox->fd = fd;
	/* Whatever is known of a state is that of another file. */
	memset(&mbox->state, 0, sizeof(mbox->state));
	mbox_forget(mbox->own);
	return E_OK;
}

/* Does the path lead to the file that we have open, or, deleted, nowhere? */
bool
mbox_is_current(const struct mbox *mbox)
{
	struct stat here, there;

	if (lstat(mbox->path, &there) != 0)
		return errno == ENOENT && !mbox->inbox;
	return fstat(mbox->fd, &here) == 0 && here.st_dev == there.st_dev &&
	    here.st_ino == there.st_ino;
}

/*
 * The locked file must be the one that the path names at that moment
 * (mbox.md 3.2 rule 5). With no file there is nothing to lock: fd is -1.
 */
enum err
mbox_lock_synced(struct mbox *mbox, bool all, bool *changed, struct why *why)
{
	unsigned tries;
	bool hot;
	enum err e;

	for (tries = 0; tries < MBOX_TRIES; tries++) {
		e = mbox_renew(mbox, changed, why);
		if (e != E_OK || mbox->fd < 0)
			return e;
		e = lock_read(mbox->fd, LOCK_TIMEOUT, why);
		if (e != E_OK)
			return e;
		hot = mbox_is_hot(mbox);
		if (!hot && mbox_is_current(mbox)) {
			e = mbox_sync_locked(mbox, all, changed, why);
			if (e != E_OK)
				lock_drop(mbox->fd);
			return e;
		}
		lock_drop(mbox->fd);
		if (hot && (e = mbox_recover(mbox, why)) != E_OK)
			return e;
	}
	return why_set(why, E_INUSE, "the mailbox is being replaced");
}

/* Most commands find that nobody touched the file: one lstat tells. */
static bool
is_unchanged(const struct mbox *mbox)
{
	struct stat st;

	if (lstat(mbox->path, &st) != 0)
		return errno == ENOENT && (mbox->fd < 0 || !mbox->inbox);
	return mbox->fd >= 0 && same_state(&mbox->state, &st) &&
	    !mbox->state.racy;
}

static enum err
sync_file(struct mbox *mbox, bool all, bool *changed, struct why *why)
{
	unsigned tries = 0;
	bool ignored;
	enum err e;

	if (changed == NULL)
		changed = &ignored;
	*changed = false;
	do {
		all = all || mbox->own->overtaken;
		if (all || !is_unchanged(mbox)) {
			e = mbox_lock_synced(mbox, all, changed, why);
			if (e != E_OK)
				return e;
			mbox->own->overtaken = false;
			if (mbox->fd >= 0)
				lock_drop(mbox->fd);
		}
		e = mbox_changes_read(mbox, changed, why);
		if (e != E_OK)
			return e;
	} while (mbox->own->overtaken && ++tries < MBOX_TRIES);
	e = mbox_settle(mbox, changed, why);
	/* What only we know, others can learn from the file alone. */
	if (e == E_OK && mbox->own->log_failed && mbox_unflushed(mbox))
		mbox_flush(mbox, true, NULL);
	return e;
}

enum err
mbox_sync(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_file(mbox, false, changed, why);
}

enum err
mbox_confirm(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_file(mbox, mbox->own->grown, changed, why);
}

enum err
mbox_verify(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_file(mbox, true, changed, why);
}

static struct mbox *
new_mbox(const char *path, bool inbox)
{
	struct mbox *mbox = xmalloc(sizeof(*mbox));

	memset(mbox, 0, sizeof(*mbox));
	mbox->own = xmalloc(sizeof(*mbox->own));
	memset(mbox->own, 0, sizeof(*mbox->own));
	mbox->fd = -1;
	mbox->inbox = inbox;
	mbox->path = xmalloc(str_c(path).n + 1);
	memcpy(mbox->path, path, str_c(path).n + 1);
	/* Without random bytes the key is known, the hash still a hash. */
	if (getrandom(&mbox->own->key, sizeof(mbox->own->key),
	    GRND_NONBLOCK) < 0)
		mbox->own->key.k0 = (uint64_t)time(NULL);
	return mbox;
}

enum err
mbox_open_as(struct mbox **out, const char *path, bool inbox,
    const char *dir, const struct mbox_writer *writer, bool claims,
    struct why *why)
{
	struct mbox *mbox = new_mbox(path, inbox);
	struct mbox_scan empty = { .n = 0 };
	bool changed = false;
	enum err e;

	mbox->own->writer = writer;
	mbox->own->claims = claims;
	/* Where there is no file, one may come. */
	mbox->own->may_write = writer != NULL;
	mbox->dir = dir;
	e = sync_file(mbox, false, NULL, why);
	/* Read, it may be good for a session at least. */
	if (e != E_OK && e != E_INUSE && e != E_IO && mbox->own->shown) {
		mbox_index_forget(mbox);
		e = sync_file(mbox, true, NULL, why);
	}
	if (e == E_OK && mbox->uidnext == 0) {
		mbox_number(mbox, &empty);
		e = mbox_settle(mbox, &changed, why);
	}
	if (e == E_OK && mbox->fd < 0 && !inbox)
		e = why_set(why, E_NOENT, "no such mailbox");
	mbox->own->shown = true;
	if (e != E_OK) {
		mbox_close(mbox);
		mbox = NULL;
	}
	*out = mbox;
	return e;
}

enum err
mbox_open(struct mbox **out, const char *path, bool inbox, const char *dir,
    struct why *why)
{
	return mbox_open_as(out, path, inbox, dir, NULL, false, why);
}

void
mbox_leave(struct mbox *mbox, bool leaving)
{
	if (mbox != NULL)
		mbox->own->leaving = leaving;
}

void
mbox_close(struct mbox *mbox)
{
	struct why why = { .text = "" };

	if (mbox == NULL)
		return;
	mbox_leave(mbox, true);
	if (mbox->own->claims && mbox_flush(mbox, true, &why) != E_OK)
		log_warn("flags are not in the mailbox file yet: %s",
		    why.text);
	mbox_index_save(mbox);
	mbox_changes_leave(mbox);
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox_free_window(mbox->own);
	free(mbox->own->points);
	free(mbox->own);
	free(mbox->msgs);
	free(mbox->path);
	free(mbox);
}

uint32_t
mbox_lower(const struct mbox *mbox, uint32_t uid)
{
	uint32_t lo = 0, hi = mbox->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (mbox->msgs[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int64_t
mbox_find(const struct mbox *mbox, uint32_t uid)
{
	uint32_t i = mbox_lower(mbox, uid);

	return i < mbox->n && mbox->msgs[i].uid == uid ? (int64_t)i : -1;
}

void
msg_date(const struct msg *msg, struct date *out)
{
	out->time = msg->date;
	out->zone = msg->zone;
}
