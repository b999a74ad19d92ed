/*
 * The disk under the tests of folder changes: all calls that change
 * something on it pass through here, are counted, and fail or kill on
 * demand. Then what is there, in words, and the operations.
 */
#ifndef DISK_H
#define DISK_H

#include <fcntl.h>
#include <signal.h>

/* home.h has an openat of its own, that makes no files. */
int	home_openat(int at, const char *name, int flags, ...);
#define openat home_openat
#include "home.h"
#undef openat

/* What happens to the calls of the program, from when `armed` is set. */
static struct {
	bool armed;
	unsigned calls;
	unsigned kill_at;	/* the process dies before this call */
	unsigned fail_at;	/* this call fails */
	int fail_errno;
	bool no_tmpfile;	/* file systems and systems that lack things */
	bool no_proc;
	bool no_noreplace;
	const char *appears;	/* just before something is renamed */
	unsigned synced;	/* directories and files */
} disk;

/* One call more; true when it is to fail. */
static inline bool
spoil(void)
{
	if (!disk.armed)
		return false;
	disk.calls++;
	if (disk.calls == disk.kill_at)
		raise(SIGKILL);
	errno = disk.fail_errno;
	return disk.calls == disk.fail_at;
}

/* O_TMPFILE has the bit of O_DIRECTORY too. */
static inline bool
makes_file(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static inline int
lacking(int e)
{
	errno = e;
	return -1;
}

int
openat(int at, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (disk.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE)
		return lacking(EOPNOTSUPP);
	return spoil() ? -1 : (int)syscall(SYS_openat, at, name, flags,
	    mode);
}

int
open(const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return spoil() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, flags,
	    mode);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return spoil() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

int
fsync(int fd)
{
	disk.synced++;
	return spoil() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	disk.synced++;
	return spoil() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
mkdir(const char *path, mode_t mode)
{
	return spoil() ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path,
	    mode);
}

int
mkdirat(int at, const char *path, mode_t mode)
{
	return spoil() ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
}

int
rmdir(const char *path)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path,
	    AT_REMOVEDIR);
}

int
unlink(const char *path)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int
unlinkat(int at, const char *path, int flags)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int
rename(const char *from, const char *to)
{
	return spoil() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from,
	    AT_FDCWD, to, 0);
}

int
renameat(int at, const char *from, int to_at, const char *to)
{
	return spoil() ? -1 : (int)syscall(SYS_renameat2, at, from, to_at,
	    to, 0);
}

int
renameat2(int at, const char *from, int to_at, const char *to,
    unsigned flags)
{
	if (disk.appears != NULL)
		mail(disk.appears);
	if (disk.no_noreplace)
		return lacking(EINVAL);
	return spoil() ? -1 : (int)syscall(SYS_renameat2, at, from, to_at,
	    to, flags);
}

int
linkat(int at, const char *from, int to_at, const char *to, int flags)
{
	if (disk.no_proc && (flags & AT_SYMLINK_FOLLOW))
		return lacking(ENOENT);
	return spoil() ? -1 : (int)syscall(SYS_linkat, at, from, to_at, to,
	    flags);
}

/* ---- what is there ---- */

/*
 * The home in words, a line for each file and link, sorted: what it is, how
 * it begins. Empty directories are shown when they matter; of ~/.imapd only
 * what does not belong there.
 */
static struct {
	char line[64][256];
	unsigned n;
	bool directories;
} seen;

static const char pseudo_end[] = "with the data reset to initial values.\n\n";

static inline bool
is_pseudo(const char *p, size_t n)
{
	size_t tail = sizeof(pseudo_end) - 1;

	return n > tail && strncmp(p, "From MAILER-DAEMON ", 19) == 0 &&
	    memcmp(p + n - tail, pseudo_end, tail) == 0;
}

static inline void
see_file(char *out, size_t room, const char *name, const char *path)
{
	char text[2048];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n < 0)
		exit(99);
	text[n] = '\0';
	snprintf(out, room, "%s: %.160s", name, is_pseudo(text, (size_t)n) ?
	    "new" : text);
}

static inline bool
ends(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

/* Of a process that is dead, or could not remove it: lock.c's matter. */
static inline bool
is_lock(const char *name)
{
	return ends(name, ".lock");
}

/* What a killed process leaves, the next one takes away. */
static inline bool
is_temporary(const char *name)
{
	return ends(name, ".new");
}

static inline int
see(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + strlen(home);
	char *line = seen.line[seen.n];

	(void)ftw;
	if (strcmp(name, "/.imapd/lock") == 0 ||
	    strcmp(name, "/.imapd/uidvalidity") == 0 ||
	    strcmp(name, "/.imapd") == 0 || name[0] == '\0')
		return 0;
	if (is_lock(name) || (!seen.directories && (type == FTW_D ||
	    is_temporary(name))))
		return 0;
	if (type == FTW_D)
		snprintf(line, 256, "%s/", name);
	else if (type == FTW_SL)
		snprintf(line, 256, "%s ->", name);
	else if (S_ISREG(st->st_mode))
		see_file(line, 256, name, path);
	seen.n++;
	return seen.n == 64;
}

static inline int
line_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The whole in one string, which the caller frees. */
static inline char *
look_around(bool directories)
{
	char *all = calloc(64, 257);
	unsigned i;

	seen.n = 0;
	seen.directories = directories;
	nftw(home, see, 16, FTW_PHYS);
	qsort(seen.line, seen.n, sizeof(seen.line[0]), line_order);
	for (i = 0; i < seen.n; i++) {
		strcat(all, seen.line[i]);
		strcat(all, "\n");
	}
	return all;
}

static inline bool
there(const char *name)
{
	struct stat st;

	return lstat(in_home(name), &st) == 0;
}

static inline mode_t
mode_of(const char *name)
{
	struct stat st;

	return lstat(in_home(name), &st) == 0 ? st.st_mode : 0;
}

/* Only root can become somebody else; all else is. */
static inline void
become(uid_t uid)
{
	if (getuid() == 0 && seteuid(uid) == -1)
		exit(99);
}

/* ---- the operations, each with a sentence when it fails ---- */

static inline int
said(int e, const struct why *why)
{
	return e == E_OK || why->text[0] != '\0' ? e : 1;
}

static inline int
create(const char *name)
{
	struct why why = { "" };

	return said(folder_create(&f, str_c(name), "example.org", &why),
	    &why);
}

static inline int
delete(const char *name)
{
	struct why why = { "" };

	return said(folder_delete(&f, str_c(name), DOTLOCK_TRY, &why), &why);
}

static inline int
move(const char *from, const char *to)
{
	struct why why = { "" };

	return said(folder_rename(&f, str_c(from), str_c(to), DOTLOCK_TRY,
	    &why), &why);
}

static inline int
subscribe(const char *name)
{
	struct why why = { "" };

	return said(folder_subscribe(&f, str_c(name), &why), &why);
}

static inline int
unsubscribe(const char *name)
{
	struct why why = { "" };

	return said(folder_unsubscribe(&f, str_c(name), &why), &why);
}

static inline uint32_t
draw(uint32_t at_least)
{
	uint32_t v = 0;

	return folder_uidvalidity(&f, at_least, &v, NULL) == E_OK ? v : 0;
}

static inline struct str
file(const char *name)
{
	static char content[4096];
	int fd = open(in_home(name), O_RDONLY);
	ssize_t n = fd == -1 ? 0 : read(fd, content, sizeof(content));

	close(fd);
	return (struct str){ content, n > 0 ? (size_t)n : 0 };
}

#endif
