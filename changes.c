/*
 * changes.c - the log of changes (INDEX has the format): appends records
 * under its own lock and reads them back. Each record has a check sum under
 * a key that stands in the log alone, and counts only whole: what a kill, a
 * power cut or a full disk leaves of one is the end of the log, and is cut
 * off by whoever comes there. It opens nothing but its own file, and its
 * directory to sync that; it knows no mailbox.
 */
#include "changes_own.h"

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "lib/await.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/mem.h"

enum {
	PATH_ROOM = 4096,
	NAME_ROOM = 64,
	BLOCK = 65536,		/* read at once */
	/* Between two tries for the lock: who has it appends some bytes, and
	 * may wait for the disk. */
	PAUSE_MIN_MS = 1,
	PAUSE_MAX_MS = 20,
	/* Times that the file may be another one when we have its lock. */
	TRIES = 16,
};

/* A word that another byte order would read as another number. */
static const uint64_t magic = 0x31474843504d4931;	/* "1IMPCHG1" */

struct head {
	uint64_t magic;
	uint64_t check;		/* of all that stands behind this field */
	struct hash_key key;
	uint64_t dev;		/* of the mailbox file */
	uint64_t ino;
	uint64_t generation;
	uint64_t own;		/* inode of the log itself */
	uint32_t uidvalidity;
	uint32_t zero;
};

/* Before each record's body. */
struct frame {
	uint32_t n;		/* bytes of the body */
	uint32_t zero;
	uint64_t check;
};

enum {
	HEAD = sizeof(struct head),
	FRAME_MAX = sizeof(struct frame) + CHANGES_BODY_MAX,
};

_Static_assert(sizeof(struct head) == 72, "INDEX says so");
_Static_assert(sizeof(struct frame) == 16, "INDEX says so");

struct changes {
	char dir[PATH_ROOM];
	char name[NAME_ROOM];
	char path[PATH_ROOM];
	uint64_t dev;
	uint64_t ino;
	uint32_t uidvalidity;
	uint64_t least;		/* generation */
	int fd;
	struct head head;	/* as we know it */
	int64_t size;		/* of the file, when it was locked */
	int64_t at;		/* where the next record begins */
	int64_t read;		/* the farthest that `at` has been */
	bool locked;
	bool ended;		/* there is no record behind `at` */
	bool again;		/* the last record was known */
	bool failed;		/* nobody knows what there is */
	bool lost;		/* not told yet: it is another one */
	bool named;		/* its name is on the disk */
	char *block;		/* bytes of the file, read ahead */
	size_t block_n;
	int64_t block_at;
	struct change_run *runs;	/* of the last record */
};

static void
name_of(char name[NAME_ROOM], dev_t dev, ino_t ino)
{
	snprintf(name, NAME_ROOM, "changes.%" PRIx64 ".%" PRIx64,
	    (uint64_t)dev, (uint64_t)ino);
}

void
changes_drop(const char *dir, dev_t dev, ino_t ino)
{
	char name[NAME_ROOM];

	name_of(name, dev, ino);
	fs_drop(dir, name);
}

const char *
changes_path(const struct changes *c)
{
	return c->path;
}

int64_t
changes_size(const struct changes *c)
{
	return c->size > HEAD ? c->size - HEAD : 0;
}

uint64_t
changes_generation(const struct changes *c)
{
	return c->head.generation;
}

/* --- The head ------------------------------------------------------- */

static uint64_t
check_head(const struct head *head)
{
	const size_t at = offsetof(struct head, key);
	struct hash h;

	hash_init(&h, &head->key);
	hash_add(&h, str_from((struct str){ (const char *)head,
	    sizeof(*head) }, at));
	return hash_end(&h);
}

/* 1 when it is one of ours, 0, or -1 with errno when nobody can tell. */
static int
read_head(const struct changes *c, struct head *head)
{
	struct stat st;

	if (fs_pread(c->fd, (char *)head, sizeof(*head), 0) != 0)
		return errno == 0 ? 0 : -1;
	if (fstat(c->fd, &st) != 0)
		return -1;
	return head->magic == magic && head->check == check_head(head) &&
	    head->dev == c->dev && head->ino == c->ino &&
	    head->own == (uint64_t)st.st_ino &&
	    head->generation >= c->least &&
	    head->uidvalidity == c->uidvalidity && head->zero == 0;
}

/* From now on it is the log with this head; nothing of it was read. */
static void
adopt(struct changes *c, const struct head *head)
{
	c->head = *head;
	c->at = c->read = HEAD;
	c->ended = false;
}

/*
 * The head is less than a sector, and is rewritten in place: this needs no
 * room, and what stands behind it is no record any more, for each has the
 * key and the generation in its check sum. Cutting that off gives room back.
 */
static int
put_head(struct changes *c, struct head *head)
{
	int e;

	head->check = check_head(head);
	if (fs_pwrite(c->fd, (const char *)head, sizeof(*head), 0) != 0) {
		/* In a new file no part of one shall stay. */
		e = errno;
		if (c->size < HEAD)
			fs_truncate(c->fd, 0);
		errno = e;
		return -1;
	}
	adopt(c, head);
	c->ended = true;
	if (fs_truncate(c->fd, HEAD) != 0)
		return -1;
	c->size = HEAD;
	return 0;
}

/*
 * From the time, so that it is larger than that of each log before, even of
 * one that nobody has seen; larger than those that are known it is anyhow. A
 * known one that no time gives is a lie, behind which no log could come.
 */
static uint64_t
next_generation(struct changes *c)
{
	uint64_t known = c->head.generation > c->least ?
	    c->head.generation : c->least, us = 0;
	struct timespec t;

	if (known > INT64_MAX)
		known = c->least = 0;
	if (clock_gettime(CLOCK_REALTIME, &t) == 0)
		us = (uint64_t)t.tv_sec * 1000000 +
		    (uint64_t)t.tv_nsec / 1000;
	return us > known ? us : known + 1;
}

/* Another key, so that whoever knows the old log sees that this is none that
 * went on from there. */
static int
begin(struct changes *c)
{
	struct head head = {
		.magic = magic, .dev = c->dev, .ino = c->ino,
		.generation = next_generation(c),
		.uidvalidity = c->uidvalidity,
	};
	struct stat st;

	if (fstat(c->fd, &st) != 0 || getrandom(&head.key, sizeof(head.key),
	    0) != sizeof(head.key))
		return -1;
	head.own = (uint64_t)st.st_ino;
	return put_head(c, &head);
}

/* Whatever the caller does on the other side of the lock, what is read
 * without it is a hint. */
bool
changes_news(const struct changes *c)
{
	struct head head;
	struct stat st;

	return fstat(c->fd, &st) != 0 || st.st_nlink == 0 ||
	    st.st_size != c->at ||
	    fs_pread(c->fd, (char *)&head, sizeof(head), 0) != 0 ||
	    memcmp(&head, &c->head, sizeof(head)) != 0;
}

/* --- The lock ------------------------------------------------------- */

static void
pause_ms(int64_t ms)
{
	struct timespec t = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000,
	};

	nanosleep(&t, NULL);
}

/*
 * flock(2), as for the journal: this file is ours alone, and on NFS Linux
 * makes a record lock of it. It belongs to the open file, so that closing
 * another descriptor of the same file does not drop it, it goes when the
 * process goes, and a program that is started does not get it (O_CLOEXEC).
 * A process that only forks has it too: there is none once mail is open.
 */
static int
wait_lock(int fd, int64_t end)
{
	int64_t ms, left;

	for (ms = PAUSE_MIN_MS; flock(fd, LOCK_EX | LOCK_NB) != 0;
	    ms = ms * 2 < PAUSE_MAX_MS ? ms * 2 : PAUSE_MAX_MS) {
		left = end - await_now();
		if ((errno != EWOULDBLOCK && errno != EINTR) || left <= 0)
			return -1;
		pause_ms(ms < left ? ms : left);
	}
	return 0;
}

/* Is this the file of that name, ours alone? Takes its size. */
static bool
is_named(struct changes *c)
{
	struct stat here, there;

	if (fstat(c->fd, &here) != 0 || lstat(c->path, &there) != 0)
		return false;
	c->size = here.st_size;
	return here.st_dev == there.st_dev && here.st_ino == there.st_ino &&
	    here.st_nlink == 1 && here.st_uid == geteuid() &&
	    (here.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int
open_own(struct changes *c, bool create)
{
	int fd;

	if (create && fs_own_dir(c->dir) != 0)
		return -1;
	fd = fs_own(c->dir, c->name, create);
	if (fd < 0)
		return -1;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = fd;
	c->named = false;
	return 0;
}

/* The lock on the file that has the name; EWOULDBLOCK when others keep it. */
static int
take(struct changes *c, int seconds)
{
	int64_t end = await_now() + (int64_t)seconds * 1000;
	int i;

	for (i = 0; i < TRIES; i++) {
		if (wait_lock(c->fd, end) != 0) {
			if (errno == EINTR)
				errno = EWOULDBLOCK;
			return -1;
		}
		if (is_named(c))
			return 0;
		flock(c->fd, LOCK_UN);
		c->lost = true;
		if (open_own(c, true) != 0)
			return -1;
	}
	errno = EWOULDBLOCK;
	return -1;
}

/* What has become of it since we knew it. */
static int
settle(struct changes *c)
{
	struct head now;
	int good = read_head(c, &now);
	bool same = good == 1 && memcmp(&now, &c->head, sizeof(now)) == 0;

	if (good < 0)
		return -1;
	/* Also when somebody has put an old one back. */
	if (good == 0 || c->size > CHANGES_MAX ||
	    now.generation < c->head.generation ||
	    (same && !c->lost && c->size < c->read)) {
		c->lost = true;
		return begin(c);
	}
	if (memcmp(&now.key, &c->head.key, sizeof(now.key)) != 0)
		c->lost = true;
	if (!same || c->lost)
		adopt(c, &now);
	return 0;
}

/* 0, or -1 with errno, and without the lock. */
static int
lock(struct changes *c, int seconds)
{
	int e;

	if (c->locked)
		log_bug("a log of changes is locked twice");
	if (take(c, seconds) != 0)
		return -1;
	/* Others may have cut off and written over what was read ahead. */
	c->block_n = 0;
	c->ended = c->failed = false;
	if (settle(c) != 0) {
		e = errno;
		flock(c->fd, LOCK_UN);
		errno = e;
		return -1;
	}
	c->locked = true;
	return 0;
}

static enum err
failed(struct why *why, const char *what)
{
	return why_set(why, journal_no_room(errno) ? E_FULL : E_IO,
	    "cannot %s the log of changes: %s", what, strerror(errno));
}

enum err
changes_lock(struct changes *c, int seconds, enum changes_fate *fate,
    struct why *why)
{
	uint64_t before = c->head.generation;

	if (lock(c, seconds) != 0) {
		if (errno == EWOULDBLOCK)
			return why_set(why, E_INUSE, "another session keeps "
			    "the log of changes locked");
		return failed(why, "lock");
	}
	*fate = c->lost ? CHANGES_LOST :
	    c->head.generation != before ? CHANGES_ANEW : CHANGES_GOES_ON;
	c->lost = false;
	return E_OK;
}

void
changes_unlock(struct changes *c)
{
	/* It can not fail on a good descriptor. */
	if (c->locked)
		flock(c->fd, LOCK_UN);
	c->locked = false;
}

struct changes *
changes_open(const char *dir, dev_t dev, ino_t ino, uint32_t uidvalidity,
    uint64_t least, bool create)
{
	struct changes *c = xmalloc(sizeof(*c));
	struct head head;
	int n, m, e;

	*c = (struct changes){ .fd = -1, .dev = (uint64_t)dev,
	    .ino = (uint64_t)ino, .uidvalidity = uidvalidity,
	    .least = least };
	name_of(c->name, dev, ino);
	n = snprintf(c->dir, PATH_ROOM, "%s", dir);
	m = snprintf(c->path, PATH_ROOM, "%s/%s", dir, c->name);
	errno = ENAMETOOLONG;
	if (n < 0 || n >= PATH_ROOM || m < 0 || m >= PATH_ROOM ||
	    open_own(c, create) != 0)
		goto fail;
	/* The lock is only for who must write. */
	if (read_head(c, &head) == 1)
		adopt(c, &head);
	else if (lock(c, LOCK_TIMEOUT) != 0)
		goto fail;
	changes_unlock(c);
	c->lost = false;
	return c;
fail:
	e = errno;
	changes_close(c);
	errno = e;
	return NULL;
}

void
changes_close(struct changes *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->block);
	free(c->runs);
	free(c);
}

/* --- Reading -------------------------------------------------------- */

/* A record counts only in its place, in its generation of its log. */
static uint64_t
check_frame(const struct changes *c, const struct frame *frame,
    struct str body)
{
	const uint64_t place[] = { c->head.generation, (uint64_t)c->at,
	    frame->n };
	struct hash h;

	hash_init(&h, &c->head.key);
	hash_add(&h, (struct str){ (const char *)place, sizeof(place) });
	hash_add(&h, body);
	return hash_end(&h);
}

static void
must_be_locked(const struct changes *c)
{
	if (!c->locked)
		log_bug("a log of changes is used without its lock");
}

/*
 * The n bytes from `at` on, n being no more than the file has: 1, 0 when
 * they are not there, -1 with errno.
 */
static int
look(struct changes *c, size_t n, struct str *out)
{
	const int64_t rest = c->size - c->at;
	size_t skip = (size_t)(c->at - c->block_at), want;

	if (c->at < c->block_at || skip > c->block_n ||
	    c->block_n - skip < n) {
		want = n > BLOCK ? n : rest < BLOCK ? (size_t)rest : BLOCK;
		c->block_n = 0;
		c->block = xrealloc(c->block, n > BLOCK ? n : BLOCK, 1);
		if (fs_pread(c->fd, c->block, want, c->at) != 0)
			return errno == 0 ? 0 : -1;
		c->block_n = want;
		c->block_at = c->at;
		skip = 0;
	}
	*out = (struct str){ c->block + skip, n };
	return 1;
}

/* 1, 0 when there is no whole one, -1 with errno. */
static int
read_record(struct changes *c, struct change *out)
{
	const int64_t rest = c->size - c->at;
	struct frame frame;
	struct str bytes;
	int r;

	if (rest < (int64_t)sizeof(frame))
		return 0;
	if ((r = look(c, sizeof(frame), &bytes)) != 1)
		return r;
	memcpy(&frame, bytes.p, sizeof(frame));
	if (frame.zero != 0 || frame.n < CHANGES_BODY_MIN ||
	    frame.n > CHANGES_BODY_MAX ||
	    frame.n > rest - (int64_t)sizeof(frame))
		return 0;
	if ((r = look(c, sizeof(frame) + frame.n, &bytes)) != 1)
		return r;
	bytes = str_from(bytes, sizeof(frame));
	if (frame.check != check_frame(c, &frame, bytes) ||
	    !changes_decode(bytes, &c->runs, out))
		return 0;
	c->at += (int64_t)(sizeof(frame) + frame.n);
	return 1;
}

/*
 * What lies behind the last record is nothing: under the lock nobody is just
 * writing it. Were it left there, the size would not tell whether something
 * has come since. A failure leaves it to the next.
 */
static void
end_here(struct changes *c)
{
	c->ended = true;
	if (c->size > c->at && fs_truncate(c->fd, c->at) == 0)
		c->size = c->at;
	free(c->block);
	free(c->runs);
	c->block = NULL;
	c->runs = NULL;
	c->block_n = 0;
}

bool
changes_next(struct changes *c, struct change *out)
{
	int r;

	must_be_locked(c);
	if (c->failed)
		return false;
	r = read_record(c, out);
	if (r == 0)
		end_here(c);
	c->failed = r < 0;
	c->again = c->at <= c->read;
	if (!c->again)
		c->read = c->at;
	return r == 1;
}

bool
changes_again(const struct changes *c)
{
	return c->again;
}

void
changes_rewind(struct changes *c)
{
	must_be_locked(c);
	c->at = HEAD;
	c->ended = c->failed = false;
}

/* --- Writing -------------------------------------------------------- */

/* That there is such a file must be on the disk, too, and who made it may
 * have been killed before it was. */
static int
sync_all(struct changes *c)
{
	int fd, r;

	if (fs_sync(c->fd) != 0)
		return -1;
	if (c->named)
		return 0;
	fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = fs_sync_dir(fd);
	close(fd);
	c->named = r == 0;
	return r;
}

/* No part of what was to be added shall be found; errno stays. */
static void
take_back(struct changes *c)
{
	static const char zeros[sizeof(struct frame)];
	int e = errno;

	if (fs_truncate(c->fd, c->at) != 0)
		/* Then without a frame; nothing else is left to try. */
		fs_pwrite(c->fd, zeros, sizeof(zeros), c->at);
	errno = e;
}

static int
append(struct changes *c, struct str bytes, bool sync)
{
	/* What could not be cut off before. */
	if (c->size > c->at && fs_truncate(c->fd, c->at) != 0)
		return -1;
	c->size = c->at;
	if (fs_pwrite(c->fd, bytes.p, bytes.n, c->at) != 0 ||
	    (sync && sync_all(c) != 0)) {
		take_back(c);
		return -1;
	}
	c->at = c->read = c->size = c->at + (int64_t)bytes.n;
	return 0;
}

/* The whole record, with its frame. */
static void
encode(const struct changes *c, const struct change *change, struct buf *b)
{
	struct frame frame = { .n = 0 };

	buf_add(b, (struct str){ (const char *)&frame, sizeof(frame) });
	changes_encode(change, b);
	if (b->over)
		log_bug("a record of changes is bigger than any can be");
	frame.n = (uint32_t)(b->n - sizeof(frame));
	frame.check = check_frame(c, &frame, str_from(buf_str(b),
	    sizeof(frame)));
	memcpy(b->p, &frame, sizeof(frame));
}

/* Nothing may be written over what could not be read. */
static enum err
at_end(struct changes *c, struct why *why)
{
	must_be_locked(c);
	if (c->failed)
		return why_set(why, E_IO, "cannot read the log of changes");
	if (!c->ended && c->size > c->at)
		log_bug("a log of changes is written to before it was read");
	return E_OK;
}

enum err
changes_add(struct changes *c, const struct change *change, bool sync,
    struct why *why)
{
	struct buf b = BUF_MAX(FRAME_MAX);
	enum err e = at_end(c, why);

	if (e != E_OK)
		return e;
	if (change->n > CHANGE_RUNS_MAX)
		return why_set(why, E_LIMIT, "too many messages to be "
		    "changed at once");
	if (!changes_can_be(change))
		log_bug("a record of changes can not be");
	encode(c, change, &b);
	if (c->at + (int64_t)b.n > CHANGES_MAX)
		e = why_set(why, E_LIMIT, "the log of changes is full");
	else if (append(c, buf_str(&b), sync) != 0)
		e = failed(why, "write");
	buf_free(&b);
	return e;
}

enum err
changes_reset(struct changes *c, bool sync, struct why *why)
{
	struct head head = c->head;
	enum err e = at_end(c, why);

	if (e != E_OK)
		return e;
	head.generation = next_generation(c);
	if (put_head(c, &head) != 0 || (sync && sync_all(c) != 0))
		return failed(why, "begin");
	return E_OK;
}
