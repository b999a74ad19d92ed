/*
 * fs.c - small file helpers. Maps only files that fs_spool made: nobody
 * else can shorten those, so touching the map can not fault.
 */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { COPY_BYTES = 262144 };

int
fs_pread(int fd, char *to, size_t n, int64_t at)
{
	ssize_t r;

	while (n > 0) {
		r = pread(fd, to, n, at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = 0;
			return -1;
		}
		to += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/* Kernels and file systems without O_TMPFILE get a name for a moment. */
static int
spool_in(const char *dir)
{
	char name[4096];
	int fd, n;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT && mkdir(dir, 0700) == 0)
		fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR &&
	    errno != EINVAL))
		return fd;
	n = snprintf(name, sizeof(name), "%s/spool.XXXXXX", dir);
	if (n < 0 || (size_t)n >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0 && unlink(name) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
fs_spool(const char *dir)
{
	int fd = -1;

	errno = ENOENT;
	if (dir != NULL)
		fd = spool_in(dir);
	if (fd < 0 && (dir = getenv("TMPDIR")) != NULL)
		fd = spool_in(dir);
	return fd;
}

static int
write_all(int fd, const char *p, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = write(fd, p, n);
		if (r < 0 && errno != EINTR)
			return -1;
		if (r > 0) {
			p += r;
			n -= (size_t)r;
		}
	}
	return 0;
}

int
fs_copy(int to, int from, int64_t at, uint64_t n)
{
	char *buf = malloc(COPY_BYTES);
	size_t piece;
	int r = buf == NULL ? -1 : 0;

	while (r == 0 && n > 0) {
		piece = n < COPY_BYTES ? (size_t)n : COPY_BYTES;
		if (fs_pread(from, buf, piece, at) != 0 ||
		    write_all(to, buf, piece) != 0)
			r = -1;
		at += (int64_t)piece;
		n -= piece;
	}
	free(buf);
	return r;
}

char *
fs_map(int fd, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
fs_unmap(char *p, size_t n)
{
	munmap(p, n);
}

int
fs_pwrite(int fd, const char *p, size_t n, int64_t at)
{
	ssize_t r;

	while (n > 0) {
		r = pwrite(fd, p, n, at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = ENOSPC;
			return -1;
		}
		p += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int
fs_sync(int fd)
{
	int r;

	while ((r = fdatasync(fd)) != 0 && errno == EINTR)
		continue;
	return r;
}

int
fs_touch(int fd)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	if (clock_gettime(CLOCK_REALTIME, &times[1]) != 0)
		return -1;
	return futimens(fd, times);
}

int
fs_truncate(int fd, int64_t size)
{
	int r;

	while ((r = ftruncate(fd, size)) != 0 && errno == EINTR)
		continue;
	return r;
}

int
fs_reserve(int fd, int64_t size)
{
	int e;

	while ((e = posix_fallocate(fd, 0, size)) == EINTR)
		continue;
	errno = e;
	return e == 0 ? 0 : -1;
}

static int
path_in(char *path, size_t room, const char *dir, const char *name)
{
	int n = snprintf(path, room, "%s/%s", dir, name);

	if (n >= 0 && (size_t)n < room)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* A name that was just made must outlive a power cut. */
static int
sync_names(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

/* Nobody but us may have put this file here, or may write to it. */
static bool
is_own(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && st.st_nlink == 1 &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int
fs_own(const char *dir, const char *name, bool create)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	char path[4096];
	int fd;

	if (path_in(path, sizeof(path), dir, name) != 0)
		return -1;
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT && create) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
		if (fd < 0 && errno == EEXIST)
			fd = open(path, flags);
		else if (fd >= 0 && sync_names(dir) != 0)
			goto fail;
	}
	if (fd < 0 || is_own(fd))
		return fd;
	errno = EPERM;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

int
fs_rename_own(const char *dir, const char *from, const char *to)
{
	char old[4096], new[4096];

	if (path_in(old, sizeof(old), dir, from) != 0 ||
	    path_in(new, sizeof(new), dir, to) != 0 ||
	    rename(old, new) != 0)
		return -1;
	return sync_names(dir);
}

int
fs_sync_dir(int fd)
{
	/* Some file systems have no fsync for directories; there is then
	 * nothing that could be done. */
	return fsync(fd) == 0 || errno == EINVAL ? 0 : -1;
}

/* The directory that holds `path`. */
static int
sync_parent(const char *path)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (n == 0 || n >= sizeof(parent))
		return 0;
	memcpy(parent, path, n);
	parent[n] = '\0';
	return sync_names(parent);
}

int
fs_own_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0) {
		if (sync_parent(dir) != 0)
			return -1;
	} else if (errno != EEXIST)
		return -1;
	if (lstat(dir, &st) != 0)
		return -1;
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	errno = EPERM;
	return -1;
}

int
fs_read(const char *dir, const char *name, struct buf *out)
{
	char path[4096], *to;
	struct stat st;
	int fd, r = -1;

	if (path_in(path, sizeof(path), dir, name) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		errno = EPERM;
	else if ((to = buf_grow(out, (size_t)st.st_size)) == NULL)
		errno = EFBIG;
	else if ((r = fs_pread(fd, to, (size_t)st.st_size, 0)) == 0)
		out->n += (size_t)st.st_size;
	close(fd);
	return r;
}

/* Writes, and waits until the disk has it. */
static int
fill(int fd, struct str bytes)
{
	return fs_pwrite(fd, bytes.p, bytes.n, 0) == 0 ? fs_sync(fd) : -1;
}

/* Removes what a failure would leave behind; errno stays. */
static void
take_back(int dir, const char *name)
{
	int e = errno;

	unlinkat(dir, name, 0);
	errno = e;
}

/* By way of which a file gets its new bytes. */
struct temporary {
	char name[256];
	char path[4096];
};

static int
temporary_of(struct temporary *t, const char *dir, const char *name)
{
	int n = snprintf(t->name, sizeof(t->name), "%s.new", name);

	if (n < 0 || (size_t)n >= sizeof(t->name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return path_in(t->path, sizeof(t->path), dir, t->name);
}

int
fs_replace(const char *dir, const char *name, struct str bytes)
{
	struct temporary t;
	int fd, r;

	if (temporary_of(&t, dir, name) != 0)
		return -1;
	/* A process that was killed may have left one. */
	if (unlink(t.path) != 0 && errno != ENOENT)
		return -1;
	fd = open(t.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	r = fill(fd, bytes);
	if (close(fd) != 0)
		r = -1;
	if (r == 0)
		r = fs_rename_own(dir, t.name, name);
	if (r != 0)
		take_back(AT_FDCWD, t.path);
	return r;
}

/* Ours to fill: nobody else is at it, and it still has the name. */
static int
claim(int fd, const char *path)
{
	struct stat here, there;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &here) != 0 ||
	    lstat(path, &there) != 0)
		return -1;
	if (here.st_dev == there.st_dev && here.st_ino == there.st_ino &&
	    S_ISREG(here.st_mode) && here.st_nlink == 1)
		return 0;
	errno = EWOULDBLOCK;
	return -1;
}

int
fs_cache(const char *dir, const char *name, struct str bytes)
{
	struct temporary t;
	int fd, r;

	if (temporary_of(&t, dir, name) != 0)
		return -1;
	fd = open(t.path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	r = claim(fd, t.path);
	if (r == 0 && (ftruncate(fd, 0) != 0 || fs_pwrite(fd, bytes.p,
	    bytes.n, 0) != 0 || fs_rename_own(dir, t.name, name) != 0)) {
		take_back(AT_FDCWD, t.path);
		r = -1;
	}
	close(fd);
	return r;
}

int
fs_drop(const char *dir, const char *name)
{
	char path[4096];

	if (path_in(path, sizeof(path), dir, name) != 0)
		return -1;
	return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

/*
 * Gives the file its name only when all of it is on the disk. EOPNOTSUPP
 * where that can not be done: on some file systems, and without /proc.
 */
static int
create_whole(int dir, const char *name, struct str bytes)
{
	char self[32];
	int r, fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0) {
		if (errno == EISDIR || errno == EINVAL)
			errno = EOPNOTSUPP;
		return -1;
	}
	r = fill(fd, bytes);
	if (r == 0) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		r = linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW);
		if (r != 0 && errno != EEXIST)
			errno = EOPNOTSUPP;
	}
	close(fd);
	return r;
}

/* A process that is killed in here leaves an empty file. */
static int
create_named(int dir, const char *name, struct str bytes)
{
	int r, fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	r = fill(fd, bytes);
	if (close(fd) != 0)
		r = -1;
	if (r != 0)
		take_back(dir, name);
	return r;
}

int
fs_create(int dir, const char *name, struct str bytes)
{
	int r = create_whole(dir, name, bytes);

	if (r != 0 && errno == EOPNOTSUPP)
		r = create_named(dir, name, bytes);
	if (r == 0 && (r = fs_sync_dir(dir)) != 0)
		take_back(dir, name);
	return r;
}

/* Linux before 5.9 has no call for it, and 1,024 is what a process may have
 * open there unless somebody has said otherwise. */
void
fs_close(int first, int last)
{
	int fd;

	if (first > last ||
	    close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
	for (fd = first; fd <= last && fd < 1024; fd++)
		close(fd);
}

int
fs_nowhere(int ends[2])
{
	ends[0] = ends[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return ends[0] >= 0 ? 0 : pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}
