/*
 * doctor_repair.c - imapd --repair FILE. An interrupted change is finished,
 * the original put aside, then two things are done, each by the journaled
 * rewrite and so safe from a kill or a power cut: new UIDs are given as any
 * session gives them, and metadata are written anew and missing line ends
 * added where that is not enough. What is text is never removed, moved or
 * quoted: whose it is a program can not know.
 */
#include "doctor_own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "rewrite.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/params.h"

enum {
	/* Copies that are kept of mailboxes of one name. */
	COPIES_MAX = 10000,
	ROUNDS = 3,
};

static enum err
io(struct why *why, const char *what)
{
	return why_set(why, errno == ENOSPC || errno == EDQUOT ? E_FULL :
	    E_IO, "cannot %s: %s", what, strerror(errno));
}

/* ---- the original is kept ---- */

/* A file without a name: a kill leaves nothing of it. Where there can be
 * none, one with its last name. */
static int
new_copy(int dir, const char *name)
{
	int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR ||
	    errno == EINVAL))
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd;
}

/* Gives the copy its name if it has none yet; EEXIST when that is taken. */
static int
name_copy(int dir, int fd, const char *name)
{
	char self[32];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (st.st_nlink > 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW);
}

/* 0, or -1 with errno; of a copy that failed nothing is left. */
static int
copy_to(int dir, const char *name, int from, int64_t size)
{
	int r, e, fd = new_copy(dir, name);
	struct stat st;

	if (fd < 0)
		return -1;
	errno = EIO;
	r = fs_copy(fd, from, 0, (uint64_t)size) == 0 && fs_sync(fd) == 0 &&
	    name_copy(dir, fd, name) == 0 ? fs_sync_dir(dir) : -1;
	e = errno;
	if (r != 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
		unlinkat(dir, name, 0);
	close(fd);
	errno = e == 0 ? EIO : e;
	return r;
}

static int
copy_if_free(int dir, const char *name, int from, int64_t size)
{
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return copy_to(dir, name, from, size);
}

/* DIR/NAME.before.N, N being the first that is free. */
static enum err
keep_original(const struct doctor *d, const struct reading *r,
    struct why *why)
{
	const char *slash = strrchr(d->path, '/');
	char name[NAME_MAX + 1];
	unsigned i;
	int n = -1, dir;

	if (d->keep == d->writer->dir && fs_own_dir(d->keep) != 0)
		return io(why, "make ~/.imapd for the original");
	dir = open(d->keep, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return io(why, "open the directory for the original");
	errno = EEXIST;
	for (i = 1; i < COPIES_MAX && n != 0 && errno == EEXIST; i++) {
		snprintf(name, sizeof(name), "%.200s.before.%u",
		    slash == NULL ? d->path : slash + 1, i);
		n = copy_if_free(dir, name, r->fd, r->size);
	}
	if (n != 0)
		io(why, "keep a copy of the original");
	close(dir);
	if (n != 0)
		return E_IO;
	doctor_tell("%s: the original is kept as %s/%s\n", d->path, d->keep,
	    name);
	return E_OK;
}

/* ---- what is to be done ---- */

static bool
any_mend(const struct reading *r, enum mend mend)
{
	uint32_t i;

	for (i = 0; i < r->found; i++)
		if (fault_words[r->findings[i].fault].mend == mend)
			return true;
	return false;
}

/* Metadata are stamped beside UIDs; a mailbox without any gets them, if it
 * begins with a message. */
static bool
wants_uids(const struct reading *r)
{
	return r->n > 0 && r->msgs[0].from > 0 && !r->msgs[r->n - 1].cut &&
	    (any_mend(r, MEND_UIDS) ||
	    (!r->based && any_mend(r, MEND_STAMP)));
}

/* The first message that is to change; one that has no From_ line, the text
 * before all others, never is. */
static uint32_t
first_to_change(const struct reading *r)
{
	uint32_t i;

	for (i = 0; i < r->n; i++)
		if (r->msgs[i].from > 0 && ((r->msgs[i].restamp && r->based)
		    || r->msgs[i].eol > 0))
			break;
	return i;
}

static enum err
read_anew(struct reading *r, int fd, struct why *why)
{
	struct stat st;

	doctor_read_free(r);
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	if (fstat(fd, &st) != 0)
		return io(why, "look at the mailbox");
	r->size = st.st_size;
	return doctor_read(r, why);
}

/* The write lock, with no change half done; all is read. */
static enum err
lock_and_read(const struct doctor *d, int fd, struct reading *r,
    struct why *why)
{
	const struct mbox_writer *writer = d->writer;
	struct stat st;
	enum err e;

	e = lock_write(fd, d->path, writer->dotlock, LOCK_TIMEOUT, why);
	if (e != E_OK)
		return e;
	if (fstat(fd, &st) != 0)
		e = io(why, "look at the mailbox");
	else if (rewrite_hot(writer->dir, st.st_dev, st.st_ino)) {
		e = rewrite_recover(writer->dir, fd, writer->sync, why);
		if (e == E_OK)
			doctor_tell("%s: an interrupted change was finished"
			    "\n", d->path);
	}
	if (e == E_OK)
		e = read_anew(r, fd, why);
	if (e != E_OK)
		lock_drop(fd);
	return e;
}

/* ---- mending ---- */

/*
 * As a session does. What an earlier one has kept of the mailbox in ~/.imapd
 * may know UIDs that the file has lost, or may hide what is wrong with it:
 * then it is to be forgotten.
 */
static enum err
give_uids(const struct doctor *d, int fd, bool forget, struct why *why)
{
	struct mbox *mbox;
	struct stat st;
	enum err e;

	if (fstat(fd, &st) != 0)
		return io(why, "look at the mailbox");
	if (forget)
		mbox_index_drop(d->writer->dir, st.st_dev, st.st_ino);
	e = mbox_open_writer(&mbox, d->path, d->inbox, MBOX_EXAMINE,
	    d->writer, why);
	if (e == E_OK && !mbox->writable)
		e = why_set(why, E_PERM, "the UIDs can not be written");
	mbox_close(mbox);
	return e;
}

static void
stamp_of(const struct reading *r, const struct patient *p, bool first,
    struct stamp *out)
{
	*out = (struct stamp){
		.uid = p->uid,
		.keywords = p->keywords,
		.flags = p->flags & (FLAGS_SYSTEM | FLAG_OLD),
		.base = first && r->based && !r->pseudo,
		.uidvalidity = r->uidvalidity,
		.uidlast = r->uidlast,
		.names = &r->keywords,
		.quoted = p->quoted,
	};
}

static void
fill_items(const struct reading *r, uint32_t first, struct rewrite *rw)
{
	const struct patient *p;
	struct rewrite_item *item;
	uint32_t i;

	rw->n = r->n - first;
	rw->items = xrealloc(NULL, rw->n, sizeof(*rw->items));
	for (i = 0; i < rw->n; i++) {
		p = &r->msgs[first + i];
		item = &rw->items[i];
		*item = (struct rewrite_item){
			.off = p->start, .len = p->next - p->start,
			.head = (uint32_t)(p->body - p->start),
			.eol = p->eol,
			.stamped = p->restamp && r->based,
		};
		if (item->stamped)
			stamp_of(r, p, first + i == 0, &item->stamp);
	}
}

/* Under the write lock. */
static enum err
rewrite_messages(const struct doctor *d, const struct reading *r,
    struct why *why)
{
	struct rewrite rw = {
		.fd = r->fd, .path = d->path, .dir = d->writer->dir,
		.sync = d->writer->sync, .names = &r->keywords,
		.size = r->size, .tick = lock_touch,
	};
	unsigned long stamped = 0, ended = 0;
	uint32_t i, first = first_to_change(r);
	enum err e;

	if (first == r->n)
		return E_OK;
	fill_items(r, first, &rw);
	for (i = 0; i < rw.n; i++) {
		stamped += rw.items[i].stamped;
		ended += rw.items[i].eol > 0;
	}
	if ((e = rewrite_all(&rw, why)) == E_OK) {
		/* Others see it, even within one tick of the clock. */
		fs_touch(r->fd);
		if (stamped > 0)
			doctor_tell("%s: metadata written anew: %lu\n",
			    d->path, stamped);
		if (ended > 0)
			doctor_tell("%s: missing line ends added: %lu\n",
			    d->path, ended);
	}
	free(rw.items);
	return e;
}

static bool
is_sick(const struct reading *r)
{
	return wants_uids(r) || first_to_change(r) < r->n;
}

/* *r is what was last read, and is read again in the end. Where no UIDs can
 * be given the rest is mended all the same, and *again is false. */
static enum err
mend_once(const struct doctor *d, int fd, struct reading *r, bool forget,
    bool *again, struct why *why)
{
	enum err e;

	*again = true;
	if (wants_uids(r)) {
		*again = give_uids(d, fd, forget, why) == E_OK;
		if (*again)
			doctor_tell("%s: UIDs given anew\n", d->path);
		else
			doctor_tell("%s: no new UIDs: %s\n", d->path,
			    why->text);
	}
	if ((e = lock_and_read(d, fd, r, why)) != E_OK)
		return e;
	e = rewrite_messages(d, r, why);
	if (e == E_OK)
		e = read_anew(r, fd, why);
	lock_drop(fd);
	return e;
}

/* What is mended may bring to light what it hid. */
static enum err
mend(const struct doctor *d, int fd, struct reading *r, struct why *why)
{
	unsigned rounds;
	bool again = true;
	enum err e;

	if ((e = lock_and_read(d, fd, r, why)) != E_OK)
		return e;
	if (is_sick(r))
		e = keep_original(d, r, why);
	else
		doctor_tell("%s: nothing to be mended\n", d->path);
	lock_drop(fd);
	for (rounds = 0; e == E_OK && again && rounds < ROUNDS &&
	    is_sick(r); rounds++)
		e = mend_once(d, fd, r, rounds > 0, &again, why);
	return e;
}

/* One journal serves all mailboxes of a user. */
static enum err
journal_is_free(const struct doctor *d, const struct stat *st,
    struct why *why)
{
	struct rewrite_pending pending;

	if (rewrite_pending(d->writer->dir, &pending) != E_OK ||
	    (pending.dev == st->st_dev && pending.ino == st->st_ino))
		return E_OK;
	doctor_tell("%s: a change of another mailbox was interrupted: %s\n",
	    d->path, pending.path);
	return why_set(why, E_INUSE, "repair that one first, or open it");
}

static enum err
may_mend(const struct doctor *d, const struct stat *st, struct why *why)
{
	if (!S_ISREG(st->st_mode))
		return why_set(why, E_NOTMBOX, "not a regular file");
	if (st->st_uid != geteuid())
		return why_set(why, E_PERM, "it belongs to another user: "
		    "repair it as its owner");
	if (st->st_nlink > 1)
		return why_set(why, E_PERM, "it has a second name: other "
		    "programs would lock it by that");
	return journal_is_free(d, st, why);
}

int
doctor_repair(const struct doctor *d)
{
	struct why why = { .text = "" };
	struct reading r = { .n = 0 };
	struct stat st;
	enum err e;
	int fd;

	fd = open(d->path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		e = io(&why, "open the mailbox");
	else
		e = may_mend(d, &st, &why);
	if (e == E_OK)
		e = mend(d, fd, &r, &why);
	if (fd >= 0)
		close(fd);
	doctor_read_free(&r);
	return e == E_OK ? doctor_check(d) :
	    doctor_blind(d->path, why.text);
}
