/*
 * lock.c - the locks that other mail programs respect: a record lock of
 * fcntl(2) over the whole file, flock(2) beside it, for on a local disk
 * neither kind sees the other, and to write a dotlock too (mbox.md 3.1). It
 * knows nothing of what the file holds, never closes the descriptor, and
 * never waits for one lock while it holds another: whoever takes them in
 * any other order can not block us, nor we him.
 *
 * The one static variable below is what is locked. It stands for a rule of
 * the whole process, not for the state of one mailbox: never two mailboxes
 * at once, and none at all between two commands.
 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "dotlock.h"
#include "lock.h"
#include "lib/await.h"
#include "lib/log.h"

enum {
	NONE = -1,
	/* Between two tries. The spread keeps two waiting programs that
	 * refuse each other from meeting again and again. */
	PAUSE_MIN_MS = 50,
	PAUSE_MAX_MS = 500,
	/* maildrop takes a dotlock for stale that is 60 s the same. */
	TOUCH_MS = 10000,
	/* A path in a log line: 64 bytes of it, at most 4 each. */
	CLEAN_ROOM = 260,
};

struct holding {
	int fd;
	bool write;
	struct dotlock dot;
	int64_t touched;	/* the dotlock, in await_now */
	bool told;		/* the log knows that there are none */
};

static struct holding held = { .fd = NONE, .dot = { .fd = NONE } };

/*
 * Sets, drops or asks for the fcntl lock, without waiting. An OFD lock
 * belongs to the open file, so it is not lost when some other descriptor of
 * the same file is closed, as a POSIX lock silently is. Kernels before 3.15
 * answer EINVAL. l_len 0 is "to the end, however it grows": procmail locks
 * only what lies behind the end of the file, and a lock of today's size
 * would not meet it.
 */
static int
lock_fcntl(int fd, short type, pid_t *holder)
{
	struct flock whole = { .l_type = type, .l_whence = SEEK_SET };
	int r;

	r = fcntl(fd, holder ? F_OFD_GETLK : F_OFD_SETLK, &whole);
	if (r == -1 && errno == EINVAL)
		r = fcntl(fd, holder ? F_GETLK : F_SETLK, &whole);
	if (holder != NULL)
		*holder = r == -1 || whole.l_type == F_UNLCK ? 0 :
		    whole.l_pid;
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

static void
drop_kernel(int fd, bool with_flock)
{
	/* Neither can fail on a good descriptor, and nothing could be done
	 * about it here: the kernel drops both when the file is closed. */
	if (with_flock)
		flock(fd, LOCK_UN);
	lock_fcntl(fd, F_UNLCK, NULL);
}

/* One try at both. When one is refused neither is kept: waiting for the
 * second while holding the first is how two programs block each other. */
static enum err
try_kernel(int fd, bool write, bool with_flock)
{
	int e;

	if (lock_fcntl(fd, write ? F_WRLCK : F_RDLCK, NULL) == -1)
		return errno == EAGAIN || errno == EACCES || errno == EINTR ?
		    E_INUSE : E_IO;
	if (!with_flock ||
	    flock(fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return E_OK;
	e = errno;
	drop_kernel(fd, false);
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

/* False when the time is over, else after a pause. */
static bool
may_wait(int64_t end)
{
	int64_t left = end - await_now();

	if (left > 0)
		pause_random(left);
	return left > 0;
}

static enum err
failed(struct why *why)
{
	return why_set(why, E_IO, "cannot lock the mailbox: %s",
	    strerror(errno));
}

enum err
lock_read(int fd, int seconds, struct why *why)
{
	bool with_flock;
	int64_t end;
	enum err e;

	if (held.fd != NONE && held.fd != fd)
		log_bug("a second mailbox is locked while one is held");
	if (held.write)
		log_bug("a mailbox locked to write is locked to read");
	with_flock = !flock_is_fcntl(fd);
	end = await_now() + (int64_t)seconds * 1000;
	while ((e = try_kernel(fd, false, with_flock)) == E_INUSE)
		if (!may_wait(end))
			return why_set(why, E_INUSE,
			    "another program keeps the mailbox locked");
	if (e != E_OK)
		return failed(why);
	held.fd = fd;
	return E_OK;
}

/* The holder has no number when it is on another host or in a container,
 * or when its lock is an OFD lock or a flock. */
static enum err
in_use(int fd, struct why *why)
{
	pid_t pid;

	lock_fcntl(fd, F_WRLCK, &pid);
	if (pid > 0)
		return why_set(why, E_INUSE, "process %ld keeps the mailbox "
		    "locked", (long)pid);
	return why_set(why, E_INUSE, "another program keeps the mailbox "
	    "locked");
}

/*
 * The dotlock, or leave to go without. fcntl and flock hold off most
 * programs; where the spool is closed to us (mbox.md 3.3) they must do, and
 * the log says so once.
 */
static enum err
try_dotlock(int fd, const char *path, enum lock_dotlock dot, struct why *why)
{
	char clean[CLEAN_ROOM];
	struct why no = { "" };
	enum err e;

	if (dot == DOTLOCK_NO)
		return E_OK;
	e = dotlock_take(&held.dot, path, fd, &no);
	if (e == E_OK) {
		held.touched = await_now();
		return E_OK;
	}
	if (e != E_PERM || dot == DOTLOCK_REQUIRE)
		return why_set(why, e, "%s", no.text);
	if (!held.told)
		log_warn("only fcntl and flock lock %s: %s",
		    log_clean(str_c(path), clean, sizeof(clean)), no.text);
	held.told = true;
	return E_OK;
}

/*
 * mbox.md 3.2 rule 5: who waited may have waited for a file that has been
 * replaced, and what is written to that is lost. Nor may the file have a
 * second name: another program would lock it by that.
 */
static bool
is_the_file(int fd, const char *path)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && lstat(path, &there) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino &&
	    S_ISREG(here.st_mode) && here.st_nlink == 1;
}

/* One try at all three, by the rule of try_kernel. */
static enum err
try_write(int fd, const char *path, enum lock_dotlock dot, bool with_flock,
    struct why *why)
{
	enum err e;

	e = try_kernel(fd, true, with_flock);
	if (e != E_OK)
		return e == E_INUSE ? in_use(fd, why) : failed(why);
	e = try_dotlock(fd, path, dot, why);
	if (e != E_OK)
		drop_kernel(fd, with_flock);
	return e;
}

enum err
lock_write(int fd, const char *path, enum lock_dotlock dot, int seconds,
    struct why *why)
{
	bool with_flock;
	int64_t end;
	enum err e;

	if (held.fd != NONE)
		log_bug("a mailbox is locked to write while one is held");
	with_flock = !flock_is_fcntl(fd);
	end = await_now() + (int64_t)seconds * 1000;
	while ((e = try_write(fd, path, dot, with_flock, why)) == E_INUSE)
		if (!may_wait(end))
			break;
	if (e != E_OK)
		return e;
	held.fd = fd;
	held.write = true;
	if (is_the_file(fd, path))
		return E_OK;
	lock_drop(fd);
	return why_set(why, E_GONE, "the mailbox was replaced, or has a "
	    "second name");
}

void
lock_touch(void)
{
	int64_t now;

	if (held.dot.fd == NONE)
		return;
	now = await_now();
	if (now - held.touched < TOUCH_MS)
		return;
	held.touched = now;
	dotlock_touch(&held.dot);
}

void
lock_drop(int fd)
{
	if (fd != held.fd)
		return;
	if (held.dot.fd != NONE)
		dotlock_drop(&held.dot);
	drop_kernel(fd, !flock_is_fcntl(fd));
	held.fd = NONE;
	held.write = false;
}

bool
lock_held(void)
{
	return held.fd != NONE;
}
