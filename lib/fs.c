/*
 * fs.c - small file helpers. Maps only files that fs_spool made: nobody
 * else can shorten those, so touching the map can not fault.
 */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
int
fs_spool(const char *dir)
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
