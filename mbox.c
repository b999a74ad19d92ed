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
	/* Rounds of "the file was replaced while we took the lock". */
	OPEN_TRIES = 5,
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
 * a link that took the resolved path's place.
 */
static enum err
open_file(const char *path, int *fd, struct why *why)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (*fd < 0)
		return from_errno(why, "open");
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return E_OK;
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

/* Hash of the EDGE_BYTES from `at` on, or what there is; -1 if unreadable. */
static int
edge(const struct mbox *mbox, int64_t at, int64_t size, uint64_t *out)
{
	char text[EDGE_BYTES];
	struct hash h;
	size_t n = sizeof(text);

	if ((int64_t)n > size - at)
		n = (size_t)(size - at);
	if (fs_pread(mbox->fd, text, n, at) != 0)
		return -1;
	hash_init(&h, &mbox->own->key);
	hash_add(&h, (struct str){ text, n });
	*out = hash_end(&h);
	return 0;
}

static int
edges(const struct mbox *mbox, int64_t size, uint64_t *head, uint64_t *tail)
{
	int64_t at = size > EDGE_BYTES ? size - EDGE_BYTES : 0;

	return edge(mbox, 0, size, head) != 0 ||
	    edge(mbox, at, size, tail) != 0 ? -1 : 0;
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
	scan.based = mbox->sticky;
	scan.uid_before = scan.uidlast = mbox->uidnext - 1;
	scan.keywords = mbox->keywords;
	e = mbox_scan(&scan, why);
	if (e == E_OK) {
		keep_points(mbox->own, &scan);
		mbox_append(mbox, &scan);
	}
	mbox_scan_free(&scan);
	return e;
}

static enum err
sync_all(struct mbox *mbox, const struct stat *st, bool intact, bool first,
    struct why *why)
{
	struct mbox_scan scan;
	enum err e;

	scan_setup(mbox, &scan, st);
	if (!intact)
		scan.old_end = -1;
	e = mbox_scan(&scan, why);
	if (e == E_OK)
		keep_points(mbox->own, &scan);
	if (e == E_OK && first)
		mbox_number(mbox, &scan);
	else if (e == E_OK)
		mbox_match(mbox, &scan);
	mbox_scan_free(&scan);
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
 * or when nothing was read before. The read lock is held. A racy state is
 * confirmed by content once, which makes it older.
 */
static enum err
sync_locked(struct mbox *mbox, bool all, bool *changed, struct why *why)
{
	struct mbox_state *state = &mbox->state;
	bool intact, first = mbox->uidnext == 0;
	enum err e = E_NOTMBOX;
	struct stat st;

	if (fstat(mbox->fd, &st) != 0)
		return from_errno(why, "look at");
	all = all || first || state->racy;
	if (!all && same_state(state, &st))
		return E_OK;
	*changed = true;
	mbox_forget(mbox->own);
	intact = is_intact(mbox, &st);
	if (!all && intact && state->size > 0 && st.st_size > state->size)
		e = sync_tail(mbox, &st, why);
	if (e == E_NOTMBOX)
		e = sync_all(mbox, &st, intact, first, why);
	if (e != E_OK)
		return e;
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

/* The INBOX file is gone: an MUA may remove an empty one (Debian 11.6). */
static void
file_is_gone(struct mbox *mbox, bool *changed)
{
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox->fd = -1;
	*changed = *changed || mbox->n > 0;
	mbox->n = 0;
	mbox_forget(mbox->own);
	memset(&mbox->state, 0, sizeof(mbox->state));
}

/*
 * Makes fd the file that the path names now: who replaces a mailbox by
 * rename leaves us with a file that nobody delivers to. A mailbox other
 * than INBOX that was deleted stays readable through its descriptor until
 * it is closed.
 */
static enum err
renew(struct mbox *mbox, bool *changed, struct why *why)
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
	e = open_file(mbox->path, &fd, why);
	if (e == E_NOENT && mbox->inbox) {
		file_is_gone(mbox, changed);
		return E_OK;
	}
	if (e != E_OK)
		return e;
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox->fd = fd;
	/* Whatever is known of a state is that of another file. */
	memset(&mbox->state, 0, sizeof(mbox->state));
	mbox_forget(mbox->own);
	return E_OK;
}

/* Does the path lead to the file that we have open, or, deleted, nowhere? */
static bool
is_current(const struct mbox *mbox)
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
	enum err e;

	for (tries = 0; tries < OPEN_TRIES; tries++) {
		e = renew(mbox, changed, why);
		if (e != E_OK || mbox->fd < 0)
			return e;
		e = lock_read(mbox->fd, LOCK_TIMEOUT, why);
		if (e != E_OK)
			return e;
		if (is_current(mbox)) {
			e = sync_locked(mbox, all, changed, why);
			if (e != E_OK)
				lock_drop(mbox->fd);
			return e;
		}
		lock_drop(mbox->fd);
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
	bool ignored;
	enum err e;

	if (changed == NULL)
		changed = &ignored;
	*changed = false;
	if (!all && is_unchanged(mbox))
		return E_OK;
	e = mbox_lock_synced(mbox, all, changed, why);
	if (e == E_OK && mbox->fd >= 0)
		lock_drop(mbox->fd);
	return e;
}

enum err
mbox_sync(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_file(mbox, false, changed, why);
}

enum err
mbox_verify(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_file(mbox, true, changed, why);
}

enum err
mbox_open(struct mbox **out, const char *path, bool inbox, struct why *why)
{
	struct mbox *mbox = xmalloc(sizeof(*mbox));
	struct mbox_scan empty = { .n = 0 };
	enum err e;

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
	e = sync_file(mbox, true, NULL, why);
	if (e == E_OK && mbox->uidnext == 0)
		mbox_number(mbox, &empty);
	if (e == E_OK && mbox->fd < 0 && !inbox)
		e = why_set(why, E_NOENT, "no such mailbox");
	if (e != E_OK) {
		mbox_close(mbox);
		mbox = NULL;
	}
	*out = mbox;
	return e;
}

void
mbox_close(struct mbox *mbox)
{
	if (mbox == NULL)
		return;
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox_free_window(mbox->own);
	free(mbox->own->points);
	free(mbox->own);
	free(mbox->msgs);
	free(mbox->path);
	free(mbox);
}

int64_t
mbox_find(const struct mbox *mbox, uint32_t uid)
{
	uint32_t lo = 0, hi = mbox->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (mbox->msgs[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < mbox->n && mbox->msgs[lo].uid == uid ? (int64_t)lo : -1;
}

void
msg_date(const struct msg *msg, struct date *out)
{
	out->time = msg->date;
	out->zone = msg->zone;
}
