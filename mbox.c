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
	/* Read ahead when messages are asked for in their order. */
	WINDOW_BYTES = 262144,
	/* Head and tail of the known file that must not have changed when
	 * only the rest is to be scanned. */
	EDGE_BYTES = 4096,
	/*
	 * A time stamp younger than this may be shared by a later change:
	 * clocks of the kernel tick, 10 ms at most (mbox.md 5.2).
	 */
	RACY_MS = 50,
	/* Rounds of "the file was replaced while we took the lock". */
	OPEN_TRIES = 5,
};

/* A copied piece of the file, checked message by message as it is used. */
struct window {
	char *p;
	size_t room;
	int64_t at;
	size_t n;
	int64_t clean;		/* from this offset on it is as on disk */
	bool mapped;		/* p is the map of a spool file */
};

struct mbox_private {
	struct hash_key key;
	int64_t *points;	/* known append points (mbox_own.h) */
	unsigned n_points;
	uint64_t head_edge;	/* hashes of EDGE_BYTES */
	uint64_t tail_edge;
	struct window window;
	uint32_t text_uid;	/* whose text was last handed out, or 0 */
	struct mbox_text text;
	struct meta meta;
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
	    strerror(errno));
}

static void
forget_window(struct mbox_private *own)
{
	own->window.n = 0;
	own->text_uid = 0;
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
	state->racy = age > -RACY_MS && age < RACY_MS;
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
	uint64_t head, tail;
	enum err e;

	if (edges(mbox, mbox->state.size, &head, &tail) != 0)
		return from_errno(why, "read");
	if (head != mbox->own->head_edge || tail != mbox->own->tail_edge)
		return E_NOTMBOX;
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
sync_all(struct mbox *mbox, const struct stat *st, bool first,
    struct why *why)
{
	struct mbox_scan scan;
	enum err e;

	scan_setup(mbox, &scan, st);
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

enum how { SYNC_FIRST, SYNC_CHANGED, SYNC_ALL };

/*
 * Brings the list up to the file as it is now. The read lock is held. A
 * racy state is confirmed by content once, which makes it older.
 */
static enum err
sync_locked(struct mbox *mbox, enum how how, bool *changed, struct why *why)
{
	struct mbox_state *state = &mbox->state;
	enum err e = E_NOTMBOX;
	struct stat st;

	if (fstat(mbox->fd, &st) != 0)
		return from_errno(why, "look at");
	if (how == SYNC_CHANGED && !state->racy && same_state(state, &st))
		return E_OK;
	*changed = true;
	forget_window(mbox->own);
	if (how == SYNC_CHANGED && !state->racy && state->size > 0 &&
	    st.st_ino == state->ino && st.st_dev == state->dev &&
	    st.st_size > state->size)
		e = sync_tail(mbox, &st, why);
	if (e == E_NOTMBOX)
		e = sync_all(mbox, &st, how == SYNC_FIRST, why);
	if (e != E_OK)
		return e;
	if (edges(mbox, st.st_size, &mbox->own->head_edge,
	    &mbox->own->tail_edge) != 0)
		return from_errno(why, "read");
	set_state(state, &st);
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
	forget_window(mbox->own);
	memset(&mbox->state, 0, sizeof(mbox->state));
}

/*
 * Makes fd the file that the path names now: who replaces a mailbox by
 * rename leaves us with a file that nobody delivers to. *same tells that
 * nothing needs a closer look. A mailbox other than INBOX that was deleted
 * stays readable through its descriptor until it is closed.
 */
static enum err
renew(struct mbox *mbox, bool *same, bool *changed, struct why *why)
{
	struct stat st;
	enum err e;
	int fd;

	*same = false;
	if (lstat(mbox->path, &st) != 0) {
		if (errno != ENOENT)
			return from_errno(why, "look at");
		*same = true;
		if (mbox->inbox)
			file_is_gone(mbox, changed);
		return E_OK;
	}
	if (mbox->fd >= 0 && st.st_dev == mbox->state.dev &&
	    st.st_ino == mbox->state.ino) {
		*same = same_state(&mbox->state, &st) && !mbox->state.racy;
		return E_OK;
	}
	e = open_file(mbox->path, &fd, why);
	if (e != E_OK)
		return e;
	if (mbox->fd >= 0)
		close(mbox->fd);
	mbox->fd = fd;
	forget_window(mbox->own);
	return E_OK;
}

/* Does the path still lead to the file that we hold locked? */
static bool
still_there(const struct mbox *mbox)
{
	struct stat here, there;

	return fstat(mbox->fd, &here) == 0 &&
	    lstat(mbox->path, &there) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/*
 * Takes the read lock on the file that the path names at that moment
 * (mbox.md 3.2 rule 5). With no file there is nothing to lock: fd is -1.
 */
static enum err
lock_current(struct mbox *mbox, bool *same, bool *changed, struct why *why)
{
	unsigned tries;
	enum err e;

	for (tries = 0; tries < OPEN_TRIES; tries++) {
		e = renew(mbox, same, changed, why);
		if (e != E_OK || mbox->fd < 0)
			return e;
		e = lock_read(mbox->fd, LOCK_TIMEOUT, why);
		if (e != E_OK)
			return e;
		if (*same || still_there(mbox))
			return E_OK;
		lock_drop(mbox->fd);
	}
	return why_set(why, E_INUSE, "the mailbox is being replaced");
}

static enum err
sync_how(struct mbox *mbox, enum how how, bool *changed, struct why *why)
{
	bool same, dummy = false;
	enum err e;

	if (changed == NULL)
		changed = &dummy;
	*changed = false;
	e = renew(mbox, &same, changed, why);
	if (e != E_OK || mbox->fd < 0 || (same && how == SYNC_CHANGED))
		return e;
	e = lock_current(mbox, &same, changed, why);
	if (e != E_OK || mbox->fd < 0)
		return e;
	e = sync_locked(mbox, how, changed, why);
	lock_drop(mbox->fd);
	return e;
}

enum err
mbox_sync(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_how(mbox, SYNC_CHANGED, changed, why);
}

enum err
mbox_verify(struct mbox *mbox, bool *changed, struct why *why)
{
	return sync_how(mbox, SYNC_ALL, changed, why);
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
	e = sync_how(mbox, SYNC_FIRST, NULL, why);
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

static void
free_window(struct window *w)
{
	if (w->mapped)
		fs_unmap(w->p, w->room);
	else
		free(w->p);
	memset(w, 0, sizeof(*w));
}

void
mbox_close(struct mbox *mbox)
{
	if (mbox == NULL)
		return;
	if (mbox->fd >= 0)
		close(mbox->fd);
	free_window(&mbox->own->window);
	free(mbox->own->points);
	free(mbox->own);
	free(mbox->msgs);
	free(mbox->path);
	free(mbox);
}

void
mbox_rest(struct mbox *mbox)
{
	if (mbox->own->window.room > WINDOW_BYTES) {
		free_window(&mbox->own->window);
		forget_window(mbox->own);
	}
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

/* Bytes of the message that a text with or without body needs. */
static uint64_t
text_bytes(const struct msg *msg, bool body)
{
	return body ? (uint64_t)(msg->end - msg->start) :
	    (uint64_t)msg->from + msg->head;
}

/*
 * A message too big for memory goes to an unlinked file of ours; mapping
 * that is safe, since nobody else can shorten it.
 */
static enum err
fill_spool(struct mbox *mbox, int64_t at, uint64_t need, struct why *why)
{
	struct window *w = &mbox->own->window;
	const char *dir = mbox->spool;
	enum err e = E_OK;
	int fd = -1;

	free_window(w);
	if (dir != NULL)
		fd = fs_spool(dir);
	if (fd < 0 && (dir = getenv("TMPDIR")) != NULL)
		fd = fs_spool(dir);
	if (fd < 0)
		return why_set(why, E_LIMIT, "no room for a message of "
		    "%llu bytes", (unsigned long long)need);
	if (fs_copy(fd, mbox->fd, at, need) != 0 ||
	    (w->p = fs_map(fd, need)) == NULL)
		e = why_set(why, E_LIMIT, "cannot copy a message of %llu "
		    "bytes: %s", (unsigned long long)need, strerror(errno));
	else {
		w->mapped = true;
		w->room = w->n = (size_t)need;
		w->at = w->clean = at;
	}
	close(fd);
	return e;
}

/* Copies [at, at + need), and more when that goes on where we were. */
static enum err
fill(struct mbox *mbox, int64_t at, uint64_t need, struct why *why)
{
	struct window *w = &mbox->own->window;
	bool onward = at >= w->at &&
	    at <= w->at + (int64_t)w->n + WINDOW_BYTES;
	size_t n;

	forget_window(mbox->own);
	if (need > MBOX_MEMORY_BYTES)
		return fill_spool(mbox, at, need, why);
	n = (size_t)need;
	if (onward && n < WINDOW_BYTES)
		n = WINDOW_BYTES;
	if ((int64_t)n > mbox->state.size - at)
		n = (size_t)(mbox->state.size - at);
	if (w->p == NULL || w->mapped || w->room < n) {
		free_window(w);
		w->room = n > WINDOW_BYTES ? n : WINDOW_BYTES;
		w->p = xmalloc(w->room);
	}
	if (n < need || fs_pread(mbox->fd, w->p, n, at) != 0)
		return why_set(why, E_IO, "cannot read the mailbox: %s",
		    errno ? strerror(errno) : "it shrank");
	w->at = w->clean = at;
	w->n = n;
	return E_OK;
}

/*
 * The message's bytes into the window, under the lock. Syncs first: the
 * offset is that of the file as it is now.
 */
static enum err
fill_for(struct mbox *mbox, uint32_t uid, bool body, struct why *why)
{
	bool same, changed = false;
	const struct msg *msg;
	int64_t i;
	enum err e;

	e = lock_current(mbox, &same, &changed, why);
	if (e != E_OK || mbox->fd < 0)
		return e;
	if (!same)
		e = sync_locked(mbox, SYNC_CHANGED, &changed, why);
	i = mbox_find(mbox, uid);
	if (e == E_OK && i >= 0) {
		msg = &mbox->msgs[i];
		e = fill(mbox, msg->start, text_bytes(msg, body), why);
	}
	lock_drop(mbox->fd);
	return e;
}

/*
 * Are the bytes at p the message that the list means? Leaves what its
 * header says in own->meta. A damaged INBOX's prefix has no header: its
 * text is looked at, when it is there.
 */
static bool
verify(struct mbox_private *own, const struct msg *msg, const char *p,
    bool body)
{
	struct str rest = { p + msg->from, msg->head }, line;

	if (msg->from == 0) {
		own->meta.hidden = 0;
		return !body || msg->hash == mbox_prefix_hash(&own->key,
		    (struct str){ p, (size_t)msg->end });
	}
	if (!str_starts((struct str){ p, msg->from }, STR("From ")) ||
	    p[msg->from - 1] != '\n')
		return false;
	meta_begin(&own->meta, &own->key, (struct str){ p, msg->from });
	while (str_line(&rest, &line) && !own->meta.ended)
		meta_line(&own->meta, line);
	return meta_end(&own->meta) == msg->hash;
}

/*
 * Takes the metadata fields out of a header in place: visible lines move
 * to its front, then all of them to its end, next to the body. Returns
 * where the header now begins.
 */
static char *
hide_metadata(char *header, size_t n, uint64_t hidden)
{
	struct str rest = { header, n }, line;
	bool hide = false;
	size_t kept = 0;

	if (hidden == 0)
		return header;
	while (str_line(&rest, &line)) {
		if (line.p[0] != ' ' && line.p[0] != '\t')
			hide = meta_which(line) != META_NONE;
		if (hide)
			continue;
		memmove(header + kept, line.p, line.n);
		kept += line.n;
	}
	memmove(header + n - kept, header, kept);
	return header + n - kept;
}

/* Behind the header that was last handed out comes its body. */
static void
add_body(struct mbox_text *text, const struct msg *msg)
{
	text->body = (struct str){ text->header.p + text->header.n,
	    (size_t)(msg->end - msg->start) - msg->from - msg->head };
	text->whole.n = text->header.n + text->body.n;
}

/* The text of a message in the window; false when it is another's. */
static bool
take_text(struct mbox *mbox, const struct msg *msg, bool body)
{
	struct mbox_private *own = mbox->own;
	struct window *w = &own->window;
	char *p = w->p + (msg->start - w->at), *header;

	if (!verify(own, msg, p, body))
		return false;
	p += msg->from;
	header = hide_metadata(p, msg->head, own->meta.hidden);
	if (header != p)
		w->clean = msg->start + msg->from + msg->head;
	own->text.header = (struct str){ header,
	    (size_t)(p + msg->head - header) };
	own->text.body = (struct str){ NULL, 0 };
	own->text.whole = own->text.header;
	if (body)
		add_body(&own->text, msg);
	own->text_uid = msg->uid;
	return true;
}

/* Is what is asked for in the window, untouched by hide_metadata? */
static bool
in_window(const struct window *w, const struct msg *msg, bool body,
    int64_t clean)
{
	return w->n > 0 && msg->start >= clean &&
	    (uint64_t)(msg->start - w->at) + text_bytes(msg, body) <= w->n;
}

/*
 * The same uid again, perhaps now with its body: its header in the window
 * is no longer as on disk, so what was handed out is handed out again.
 */
static bool
again(struct mbox *mbox, uint32_t uid, bool body, struct mbox_text *out)
{
	struct mbox_private *own = mbox->own;
	int64_t i;

	if (own->text_uid != uid)
		return false;
	if (body && own->text.body.p == NULL) {
		i = mbox_find(mbox, uid);
		if (i < 0 || !in_window(&own->window, &mbox->msgs[i], true,
		    own->window.at))
			return false;
		add_body(&own->text, &mbox->msgs[i]);
	}
	*out = own->text;
	if (!body) {
		out->body = (struct str){ NULL, 0 };
		out->whole = out->header;
	}
	return true;
}

/*
 * Two rounds: what is found at the offset may not be the message meant
 * although the file's times say that nothing changed; then all is read.
 */
enum err
mbox_text(struct mbox *mbox, uint32_t uid, bool body, struct mbox_text *out,
    struct why *why)
{
	const struct window *w = &mbox->own->window;
	unsigned round;
	enum err e;
	int64_t i;

	if (again(mbox, uid, body, out))
		return E_OK;
	for (round = 0; round < 2; round++) {
		i = mbox_find(mbox, uid);
		if (i >= 0 && !in_window(w, &mbox->msgs[i], body,
		    w->clean)) {
			e = fill_for(mbox, uid, body, why);
			if (e != E_OK)
				return e;
			i = mbox_find(mbox, uid);
		}
		if (i < 0)
			return why_set(why, E_GONE, "the message is gone");
		if (take_text(mbox, &mbox->msgs[i], body)) {
			*out = mbox->own->text;
			return E_OK;
		}
		e = mbox_verify(mbox, NULL, why);
		if (e != E_OK)
			return e;
	}
	return why_set(why, E_IO, "the message changes while it is read");
}
