/*
 * A library for LD_PRELOAD that counts the calls by which a program changes
 * files (pwrite, write, ftruncate, posix_fallocate, fdatasync, fsync,
 * rename, unlink, and open with O_CREAT) and lets one of them go wrong:
 *
 *	SHIM_KILL=n	the process dies (SIGKILL) instead of call n
 *	SHIM_TORN=n	it dies when call n, a write, is half done
 *	SHIM_FAIL=n:e	call n fails with errno e; n+ instead of n: every
 *			call from n on
 *	SHIM_SHORT=n	call n, a write, writes half
 *	SHIM_ROOM=i:n	the file with inode i can not grow beyond n bytes:
 *			what fits is written, the rest is ENOSPC
 *	SHIM_UNREAD=i	the file with inode i can not be read: EIO
 *	SHIM_LOG=file	each call is logged, with what it writes
 *	SHIM_COUNT=file	the number of calls, at exit
 *	SHIM_NOSYNC=1	syncs are counted and not done: for speed, where
 *			only kills matter
 *
 * What a log holds, in the machine's own byte order: a letter (w write, t
 * truncate, s sync), then 64-bit inode, offset and length, then the bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t	pread64(int fd, void *p, size_t n, off64_t at);
ssize_t	pwrite64(int fd, const void *p, size_t n, off64_t at);
int	ftruncate64(int fd, off64_t size);
int	posix_fallocate64(int fd, off64_t at, off64_t n);

static long calls;
static int log_fd = -1;

static long
number(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? -1 : strtol(value, NULL, 10);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *name = getenv("SHIM_LOG");

	if (name != NULL)
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, name,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((destructor)) static void
end(void)
{
	const char *name = getenv("SHIM_COUNT");
	char text[32];
	int fd, n;

	if (name == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	n = snprintf(text, sizeof(text), "%ld\n", calls);
	syscall(SYS_write, fd, text, n);
	syscall(SYS_close, fd);
}

static void
die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
}

/* Counts; true when this call is to fail, with errno set. */
static int
fails(void)
{
	const char *fail = getenv("SHIM_FAIL"), *colon;
	long n;

	calls++;
	if (calls == number("SHIM_KILL"))
		die();
	if (fail == NULL || (colon = strchr(fail, ':')) == NULL)
		return 0;
	n = strtol(fail, NULL, 10);
	if (calls != n && !(colon[-1] == '+' && calls > n))
		return 0;
	errno = (int)strtol(colon + 1, NULL, 10);
	return 1;
}

static void
put(char kind, int fd, int64_t at, const void *p, int64_t n)
{
	struct stat st;
	int64_t head[3];

	if (log_fd < 0 || fstat(fd, &st) != 0)
		return;
	head[0] = (int64_t)st.st_ino;
	head[1] = at;
	head[2] = n;
	syscall(SYS_write, log_fd, &kind, 1);
	syscall(SYS_write, log_fd, head, sizeof(head));
	if (p != NULL)
		syscall(SYS_write, log_fd, p, n);
}

/* How much of a write has room: less than n, or 0 with errno. */
static size_t
fitting(int fd, size_t n, int64_t at)
{
	const char *room = getenv("SHIM_ROOM"), *colon;
	struct stat st;
	long limit;

	if (room == NULL || (colon = strchr(room, ':')) == NULL ||
	    fstat(fd, &st) != 0 ||
	    (long)st.st_ino != strtol(room, NULL, 10))
		return n;
	limit = strtol(colon + 1, NULL, 10);
	if (at + (int64_t)n <= limit)
		return n;
	errno = ENOSPC;
	return at < limit ? (size_t)(limit - at) : 0;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (fails())
		return -1;
	if (calls == number("SHIM_TORN")) {
		syscall(SYS_pwrite64, fd, p, n / 2, at);
		die();
	}
	if (calls == number("SHIM_SHORT") && n > 1)
		n /= 2;
	if (n > 0 && (n = fitting(fd, n, at)) == 0)
		return -1;
	put('w', fd, at, p, (int64_t)n);
	return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

ssize_t
pread64(int fd, void *p, size_t n, off64_t at)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && (long)st.st_ino == number("SHIM_UNREAD")) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	return pread64(fd, p, n, at);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (fails())
		return -1;
	return syscall(SYS_write, fd, p, n);
}

int
ftruncate64(int fd, off64_t size)
{
	if (fails())
		return -1;
	put('t', fd, size, NULL, 0);
	return (int)syscall(SYS_ftruncate, fd, size);
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int
posix_fallocate64(int fd, off64_t at, off64_t n)
{
	if (fails())
		return errno;
	return syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
	return posix_fallocate64(fd, at, n);
}

static int
sync_by(long call, int fd)
{
	if (fails())
		return -1;
	put('s', fd, 0, NULL, 0);
	if (number("SHIM_NOSYNC") == 1)
		return 0;
	return (int)syscall(call, fd);
}

int
fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

int
rename(const char *from, const char *to)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int
unlink(const char *name)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
}

int
open64(const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (flags & O_CREAT && fails())
		return -1;
	return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}

int
open(const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open64(name, flags, mode);
}
