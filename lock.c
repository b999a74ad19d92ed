/*
 * lock.c - the locks that other mail programs respect: a record lock of
 * fcntl(2) over the whole file, and flock(2) beside it, for on a local disk
 * neither kind sees the other (mbox.md 3.1). It knows nothing of what the
 * file holds, never closes a descriptor, and never waits while it holds
 * only one of the two.
 *
 * The one static variable below is the descriptor that is locked. It stands
 * for a rule of the whole process, not for the state of one mailbox: never
 * two mailboxes at once, and none at all between two commands.
 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "lock.h"
#include "lib/log.h"

enum {
	NONE = -1,
	/* Between two tries. The spread keeps two waiting programs that
	 * refuse each other from meeting again and again. */
	PAUSE_MIN_MS = 50,
	PAUSE_MAX_MS = 500,
};

static int held = NONE;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Sets or drops the fcntl lock, without waiting. An OFD lock belongs to the
 * open file, so it is not lost when some other descriptor of the same file
 * is closed, as a POSIX lock silently is. Kernels before 3.15 answer EINVAL.
 * l_len 0 is "to the end, however it grows": procmail locks only what lies
 * behind the end of the file, and a lock of today's size would not meet it.
 */
static int
lock_fcntl(int fd, short type)
{
	struct flock whole = { .l_type = type, .l_whence = SEEK_SET };
	int r;

	r = fcntl(fd, F_OFD_SETLK, &whole);
	if (r == -1 && errno == EINVAL)
		r = fcntl(fd, F_SETLK, &whole);
	return r;
}

/*
 * On these file systems Linux turns flock into a record lock on the server.
 * Taking both kinds there would be taking one lock twice.
 */
static bool
flock_is_fcntl(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1)
		return false;
	/* f_type is signed on some machines, and two of these have the top
	 * bit set. */
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* One try at both. When one is refused neither is kept: waiting for the
 * second while holding the first is how two programs block each other. */
static enum err
try_read(int fd, bool with_flock)
{
	int e;

	if (lock_fcntl(fd, F_RDLCK) == -1)
		return errno == EAGAIN || errno == EACCES || errno == EINTR ?
		    E_INUSE : E_IO;
	if (!with_flock || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return E_OK;
	e = errno;
	lock_fcntl(fd, F_UNLCK);
	errno = e;
	return e == EWOULDBLOCK || e == EINTR ? E_INUSE : E_IO;
}

/* Sleeps PAUSE_MIN_MS to PAUSE_MAX_MS, but not beyond `left`. A signal may
 * end it early; that costs one more try. */
static void
pause_random(int64_t left)
{
	uint16_t random = 0;
	int64_t ms;
	struct timespec t;

	/* Without entropy (first seconds after boot) the pause is the
	 * shortest; nothing but patience hangs on it. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == -1)
		random = 0;
	ms = PAUSE_MIN_MS + random % (PAUSE_MAX_MS - PAUSE_MIN_MS + 1);
	if (ms > left)
		ms = left;
	t.tv_sec = ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000;
	nanosleep(&t, NULL);
}

enum err
lock_read(int fd, int seconds, struct why *why)
{
	int64_t end, left;
	bool with_flock;
	enum err e;

	if (held != NONE && held != fd)
		log_bug("a second mailbox is locked while one is held");
	with_flock = !flock_is_fcntl(fd);
	end = now_ms() + (int64_t)seconds * 1000;
	while ((e = try_read(fd, with_flock)) == E_INUSE) {
		left = end - now_ms();
		if (left <= 0)
			return why_set(why, E_INUSE,
			    "another program keeps the mailbox locked");
		pause_random(left);
	}
	if (e != E_OK)
		return why_set(why, e, "cannot lock the mailbox: %s",
		    strerror(errno));
	held = fd;
	return E_OK;
}

void
lock_drop(int fd)
{
	if (fd != held)
		return;
	/* Neither can fail on a good descriptor, and nothing could be done
	 * about it here: the kernel drops both when the file is closed. */
	if (!flock_is_fcntl(fd))
		flock(fd, LOCK_UN);
	lock_fcntl(fd, F_UNLCK);
	held = NONE;
}

bool
lock_held(void)
{
	return held != NONE;
}
