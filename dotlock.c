/*
 * dotlock.c - the oldest lock of all: whoever makes the file PATH.lock has
 * the mailbox. Some programs know no other (mbox.md 3.1). It says in it who
 * made it, "pid:hostname", so that what a killed process leaves behind can
 * be told from a lock that is held.
 *
 * The file gets its name only when all of it is written: a kill leaves none
 * or a whole one. What others leave at that name is looked at, never
 * followed, written to, or waited for.
 */
#include "dotlock.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"

enum {
	HOST_ROOM = 65,		/* Linux: 64 bytes and a NUL */
	TEXT_ROOM = 128,	/* more of a foreign dotlock is not read */
	NAME_ROOM = PATH_MAX + TEXT_ROOM,
	/* The path in a log line: 64 bytes of it, at most 4 each. */
	CLEAN_ROOM = 260,
	/* Seconds without a change, of the dotlock and of the mailbox. UW,
	 * mail.local and liblockfile too give a dotlock 300. */
	OLD_LOCK = 300,
	OLD_MAILBOX = 120,
	/* Clocks may be set while a host starts. */
	BOOT_SLACK = 5,
};

/* What stands at the name that we want. */
struct other {
	struct stat st;
	uint32_t pid;		/* 0: not told */
	char host[HOST_ROOM];	/* fit to print; empty: not told */
	bool here;		/* the host is this one */
};

static void
this_host(char host[HOST_ROOM])
{
	if (gethostname(host, HOST_ROOM) == -1)
		host[0] = '\0';
	host[HOST_ROOM - 1] = '\0';
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A copied or restored file keeps its mtime; nobody can set a ctime. */
static int64_t
last_change(const struct stat *st)
{
	return st->st_mtime > st->st_ctime ? st->st_mtime : st->st_ctime;
}

/*
 * No line end behind the host: Dovecot compares to the last byte. The mode
 * does not depend on a umask: whoever waits, as whatever user, must be able
 * to read whom for.
 */
static int
fill(int fd)
{
	char host[HOST_ROOM], text[TEXT_ROOM];
	ssize_t done;
	int n;

	this_host(host);
	n = snprintf(text, sizeof(text), "%ld:%s", (long)getpid(), host);
	if (fchmod(fd, 0644) == -1)
		return -1;
	done = write(fd, text, (size_t)n);
	if (done >= 0 && done != n)
		errno = ENOSPC;
	return done == n ? 0 : -1;
}

/*
 * Gives our file, open as fd, the name of the lock. 0, or an errno: EEXIST
 * when another file has it. The answer of link is not the last word, for
 * over NFS it gets lost and the second asking finds the name taken, by us.
 * *now becomes the time in the file system's own clock.
 */
static int
name_it(struct dotlock *lock, int fd, const char *from, int flags,
    int64_t *now)
{
	struct stat own, there;
	int e = EEXIST;

	if (fill(fd) == -1 || fstat(fd, &own) == -1)
		return errno;
	*now = last_change(&own);
	if (linkat(AT_FDCWD, from, AT_FDCWD, lock->path, flags) == -1)
		e = errno;
	if (lstat(lock->path, &there) == -1 || !same_file(&own, &there))
		return e;
	lock->fd = fd;
	return 0;
}

/* The directory of the lock, as far as its last slash. */
static int
directory(const struct dotlock *lock, char dir[PATH_MAX])
{
	const char *slash = strrchr(lock->path, '/');

	return slash == NULL ? snprintf(dir, PATH_MAX, "./") :
	    snprintf(dir, PATH_MAX, "%.*s", (int)(slash + 1 - lock->path),
	    lock->path);
}

/* From a file that had no name before: a kill leaves nothing else behind. */
static int
make_unnamed(struct dotlock *lock, int64_t *now)
{
	char dir[PATH_MAX], from[32];
	int fd, e;

	directory(lock, dir);
	fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return errno;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	e = name_it(lock, fd, from, AT_SYMLINK_FOLLOW, now);
	if (e != 0)
		close(fd);
	return e;
}

/* A hidden name that no two live processes make. */
static void
hidden_name(const struct dotlock *lock, pid_t pid, char name[NAME_ROOM])
{
	char host[HOST_ROOM];
	int n;

	this_host(host);
	n = directory(lock, name);
	snprintf(name + n, NAME_ROOM - (size_t)n, ".imapd-%ld-%s.lock",
	    (long)pid, host);
}

/*
 * From a file with a hidden name: on NFS, and in a jail without /proc. A
 * file that has it already is what a killed process with our number left.
 */
static int
make_named(struct dotlock *lock, int64_t *now)
{
	const int how = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC;
	char from[NAME_ROOM];
	int fd, e;

	hidden_name(lock, getpid(), from);
	fd = open(from, how, 0600);
	if (fd == -1 && errno == EEXIST && unlink(from) == 0)
		fd = open(from, how, 0600);
	if (fd == -1)
		return errno;
	e = name_it(lock, fd, from, 0, now);
	unlink(from);
	if (e != 0)
		close(fd);
	return e;
}

/* 0, or an errno: EEXIST when the name is taken. */
static int
make(struct dotlock *lock, int64_t *now)
{
	struct timespec t;
	int e;

	clock_gettime(CLOCK_REALTIME, &t);
	*now = t.tv_sec;	/* where no file can tell it better */
	e = make_unnamed(lock, now);
	return e == 0 || e == EEXIST ? e : make_named(lock, now);
}

/* Reads "pid:host", with or without a line end, or a pid alone. */
static void
read_text(const char *path, struct other *other)
{
	char bytes[TEXT_ROOM], host[HOST_ROOM];
	struct str text = { bytes, sizeof(bytes) };
	struct stat st;
	size_t colon;
	int fd;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return;
	if (other->st.st_size < (off_t)text.n)
		text.n = (size_t)other->st.st_size;
	if (fstat(fd, &st) == 0 && same_file(&st, &other->st) &&
	    fs_pread(fd, bytes, text.n, 0) == 0) {
		text = str_trim(text);
		colon = str_index(text, ':');
		if (!str_u32(str_sub(text, 0, colon), &other->pid) ||
		    other->pid > INT_MAX)
			other->pid = 0;
		text = str_from(text, colon + 1);
		this_host(host);
		other->here = text.n > 0 && str_eq(text, str_c(host));
		log_clean(text, other->host, sizeof(other->host));
	}
	close(fd);
}

/* False when there is nothing. */
static bool
look(const char *path, struct other *other)
{
	memset(other, 0, sizeof(*other));
	if (lstat(path, &other->st) == -1)
		return false;
	if (S_ISREG(other->st.st_mode))
		read_text(path, other);
	return true;
}

/* Was it made before this host started? */
static bool
before_boot(const struct stat *st)
{
	struct timespec now, up;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	    clock_gettime(CLOCK_BOOTTIME, &up) == 0 &&
	    last_change(st) < (int64_t)now.tv_sec - up.tv_sec - BOOT_SLACK;
}

/* Our own number is that of a dead one too: we hold nothing yet. */
static bool
is_dead(const struct other *other)
{
	pid_t pid = (pid_t)other->pid;

	return pid > 0 && other->here && (pid == getpid() ||
	    before_boot(&other->st) ||
	    (kill(pid, 0) == -1 && errno == ESRCH));
}

/*
 * mbox.md 3.2 rule 6: the maker died here; or neither dotlock nor mailbox
 * changed for long, or since this host started: a power cut leaves the name
 * of a dotlock, but often not its text. That the maker has no fcntl lock we
 * know: we have it.
 */
static bool
is_stale(const struct other *other, int fd, int64_t now)
{
	struct stat mailbox;

	if (is_dead(other))
		return true;
	if (fstat(fd, &mailbox) != 0)
		return false;
	return (now - last_change(&other->st) > OLD_LOCK &&
	    now - last_change(&mailbox) > OLD_MAILBOX) ||
	    (before_boot(&other->st) && before_boot(&mailbox));
}

/*
 * Removes what was looked at, not what took its place meanwhile, and the
 * second name that its maker had no time to take away; 0 or an errno. A
 * directory stays: no mail program makes one.
 */
static int
remove_stale(const struct dotlock *lock, const struct other *other,
    int64_t now)
{
	char clean[CLEAN_ROOM], name[NAME_ROOM];
	struct stat st;

	if (lstat(lock->path, &st) == -1 || !same_file(&st, &other->st) ||
	    st.st_ctim.tv_sec != other->st.st_ctim.tv_sec ||
	    st.st_ctim.tv_nsec != other->st.st_ctim.tv_nsec)
		return 0;
	if (unlink(lock->path) == -1)
		return errno;
	if (is_dead(other)) {
		hidden_name(lock, (pid_t)other->pid, name);
		unlink(name);
	}
	log_info("removed the stale dotlock %s, %lld s old",
	    log_clean(str_c(lock->path), clean, sizeof(clean)),
	    (long long)(now - last_change(&other->st)));
	return 0;
}

static enum err
in_use(const struct other *other, int64_t now, struct why *why)
{
	long long age = now - last_change(&other->st);

	if (age < 0)
		age = 0;
	if (other->pid == 0)
		return why_set(why, E_INUSE, "another program holds a "
		    "dotlock on the mailbox, %lld s old", age);
	return why_set(why, E_INUSE, "process %lu%s%s holds a dotlock on "
	    "the mailbox, %lld s old", (unsigned long)other->pid,
	    other->host[0] == '\0' ? "" : " on ", other->host, age);
}

static enum err
cannot(int e, struct why *why)
{
	enum err kind = E_IO;

	switch (e) {
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOENT:
	case EISDIR:
	case ENAMETOOLONG:
	case EOPNOTSUPP:
	case ENOSPC:		/* removing mail must be possible, above all */
	case EDQUOT:		/* where there is no room for more of it */
		kind = E_PERM;
	}
	return why_set(why, kind, "no dotlock can be made: %s", strerror(e));
}

/*
 * Where we may make none, another's is respected all the same; but one that
 * is stale, and that we may not remove, stops us no more than it should.
 */
enum err
dotlock_take(struct dotlock *lock, const char *mailbox, int fd,
    struct why *why)
{
	struct other other;
	unsigned tries;
	int64_t now;
	int n, e;

	n = snprintf(lock->path, sizeof(lock->path), "%s.lock", mailbox);
	if (n < 0 || (size_t)n >= sizeof(lock->path))
		return cannot(ENAMETOOLONG, why);
	/* Twice: the first may end with a stale one removed. */
	for (tries = 0; tries < 2; tries++) {
		e = make(lock, &now);
		if (e == 0)
			return E_OK;
		if (look(lock->path, &other)) {
			if (!is_stale(&other, fd, now))
				return in_use(&other, now, why);
			if (e == EEXIST)
				e = remove_stale(lock, &other, now);
		} else if (e == EEXIST)
			e = 0;
		if (e != 0)
			return cannot(e, why);
	}
	return why_set(why, E_INUSE, "other programs take dotlocks on the "
	    "mailbox");
}

void
dotlock_touch(const struct dotlock *lock)
{
	/* A lock that can not be made younger is still one. */
	futimens(lock->fd, NULL);
}

void
dotlock_drop(struct dotlock *lock)
{
	struct stat own, there;
	char clean[CLEAN_ROOM];

	log_clean(str_c(lock->path), clean, sizeof(clean));
	if (fstat(lock->fd, &own) == -1 || lstat(lock->path, &there) == -1 ||
	    !same_file(&own, &there))
		log_warn("our dotlock %s was taken away", clean);
	else if (unlink(lock->path) == -1)
		log_warn("cannot remove our dotlock %s: %s", clean,
		    strerror(errno));
	close(lock->fd);
	lock->fd = -1;
}
