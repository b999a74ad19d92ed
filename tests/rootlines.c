/*
 * For rootlines.t, linked before the program's own calls by -Wl,--wrap: what
 * was counted is written out where a process stops being root or ends as
 * root, and counted anew from there. What is counted later is never written.
 */
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* libgcov's; its header is a compiler's of today. */
void	__gcov_dump(void);
void	__gcov_reset(void);

int	__real_setresuid(uid_t r, uid_t e, uid_t s);
ssize_t	__real_write(int fd, const void *p, size_t n);
void	__real__exit(int status) __attribute__((noreturn));

int	__wrap_setresuid(uid_t r, uid_t e, uid_t s);
int	__wrap_chroot(const char *path);
ssize_t	__wrap_write(int fd, const void *p, size_t n);
void	__wrap__exit(int status) __attribute__((noreturn));

static void
note(void)
{
	if (geteuid() != 0)
		return;
	__gcov_dump();
	__gcov_reset();
}

int
__wrap_setresuid(uid_t r, uid_t e, uid_t s)
{
	int done;

	note();
	done = __real_setresuid(r, e, s);
	__gcov_reset();
	return done;
}

/* Not really: in another root directory nothing could be written out. */
int
__wrap_chroot(const char *path)
{
	(void)path;
	return 0;
}

/* A worker is killed as soon as its answer has come. */
ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	note();
	return __real_write(fd, p, n);
}

void
__wrap__exit(int status)
{
	note();
	__real__exit(status);
}
