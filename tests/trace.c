/*
 * Runs a program under ptrace(2), numbers the system calls by which it
 * changes files, and lets one of them go wrong:
 *
 *	trace [options] [--] PROGRAM [ARG ...]
 *
 *	--points=changes   what is numbered: calls that change a file, a name
 *			or a lock, sync one, or speak to the client (default)
 *	--points=files	   any call that knows a descriptor or a name
 *	--points=all	   every call
 *	--count		   nothing goes wrong
 *	--kill=N	   SIGKILL before call N has done anything
 *	--kill-after=N	   SIGKILL when call N is done
 *	--torn=N	   some whole sectors of what call N should write, about
 *			half of it, then SIGKILL
 *	--short=N	   half of what call N should write
 *	--fail=N=ERRNO	   call N does nothing and fails; N+=ERRNO: so does
 *			   each behind it that would write or make something
 *			   (ENOMEM: that asks for memory). ERRNO is a number
 *			   or ENOSPC EDQUOT EIO EINTR ENOMEM
 *	--from=L	   numbers begin when line L + 1 of the input is read
 *	--step		   each read of descriptor 0, a regular file, gets one
 *			   line: a client that awaits each answer
 *	--log=FILE	   what was done, in one order
 *
 * At the end it says on descriptor 2
 *
 *	trace: points=N lines=N killed=NAME
 *
 * (lines that the program has read), and exits as the program did, with 128
 * and the signal's number if one ended it. A seccomp filter lets all calls
 * run free that nobody asks for. Nothing here knows IMAP or mailboxes.
 *
 * The log is lines of fields with tabs between; data stands behind its line,
 * and a line end behind that. Calls that fail leave the first line alone.
 *
 *	p N NAME		a numbered call
 *	R LENGTH, W LENGTH	read from, written to the client (fd 0, 1)
 *	w INODE OFFSET LENGTH PATH	written
 *	t INODE SIZE PATH	cut off or made longer
 *	a INODE OFFSET LENGTH MODE PATH	room reserved
 *	s INODE PATH		synced, file or directory
 *	c INODE PATH		a new file; m INODE PATH a new directory
 *	n INODE OLD NEW		renamed; l INODE OLD NEW linked
 *	u INODE PATH		unlinked; d INODE PATH a directory removed
 *	k FD INODE HOW PATH	locked: fcntl or flock, then -r, -w or -u
 *	x FD			closed
 *	? NAME			a change that this log can not tell
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* OFD locks, which some headers do not name. */
#ifndef F_OFD_SETLK
#define F_OFD_SETLK	37
#define F_OFD_SETLKW	38
#endif

enum kind {
	OPEN, CREAT, WRITE, PWRITE, WRITEV, PWRITEV, TRUNCATE, RESERVE, SYNC,
	RENAME, LINK, UNLINK, MAKEDIR, REMOVEDIR, FCNTL, FLOCK, TIMES, CLOSE,
	READ, OTHER,		/* changes that the log can not tell */
	LOOK, MEMORY, ANY
};

struct name {
	int dir, path;		/* numbers of arguments, from 1; 0: none */
};

struct row {
	long nr;
	const char *text;
	enum kind kind;
	struct name from, to;
	int flags;		/* argument that holds them */
};

static const struct row rows[] = {
	{ SYS_openat, "openat", OPEN, { 1, 2 }, { 0, 0 }, 3 },
	{ SYS_write, "write", WRITE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_sendto, "sendto", WRITE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_pwrite64, "pwrite64", PWRITE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_writev, "writev", WRITEV, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_pwritev, "pwritev", PWRITEV, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_ftruncate, "ftruncate", TRUNCATE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_truncate, "truncate", OTHER, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_fallocate, "fallocate", RESERVE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_fsync, "fsync", SYNC, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_fdatasync, "fdatasync", SYNC, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_syncfs, "syncfs", OTHER, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_renameat, "renameat", RENAME, { 1, 2 }, { 3, 4 }, 0 },
	{ SYS_renameat2, "renameat2", RENAME, { 1, 2 }, { 3, 4 }, 0 },
	{ SYS_linkat, "linkat", LINK, { 1, 2 }, { 3, 4 }, 0 },
	{ SYS_symlinkat, "symlinkat", OTHER, { 2, 3 }, { 0, 0 }, 0 },
	{ SYS_unlinkat, "unlinkat", UNLINK, { 1, 2 }, { 0, 0 }, 3 },
	{ SYS_mkdirat, "mkdirat", MAKEDIR, { 1, 2 }, { 0, 0 }, 0 },
	{ SYS_fcntl, "fcntl", FCNTL, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_flock, "flock", FLOCK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_utimensat, "utimensat", TIMES, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_fchmod, "fchmod", TIMES, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_fchown, "fchown", TIMES, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_close, "close", CLOSE, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_copy_file_range, "copy_file_range", OTHER, { 0, 0 }, { 0, 0 },
	    0 },
	{ SYS_sendfile, "sendfile", OTHER, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_splice, "splice", OTHER, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_read, "read", READ, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_recvfrom, "recvfrom", READ, { 0, 0 }, { 0, 0 }, 0 },
#ifdef SYS_open
	{ SYS_open, "open", OPEN, { 0, 1 }, { 0, 0 }, 2 },
	{ SYS_creat, "creat", CREAT, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_rename, "rename", RENAME, { 0, 1 }, { 0, 2 }, 0 },
	{ SYS_link, "link", LINK, { 0, 1 }, { 0, 2 }, 0 },
	{ SYS_symlink, "symlink", OTHER, { 0, 2 }, { 0, 0 }, 0 },
	{ SYS_unlink, "unlink", UNLINK, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_mkdir, "mkdir", MAKEDIR, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_rmdir, "rmdir", REMOVEDIR, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_newfstatat, "newfstatat", LOOK, { 1, 2 }, { 0, 0 }, 0 },
	{ SYS_stat, "stat", LOOK, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_lstat, "lstat", LOOK, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_access, "access", LOOK, { 0, 1 }, { 0, 0 }, 0 },
	{ SYS_poll, "poll", LOOK, { 0, 0 }, { 0, 0 }, 0 },
#endif
	{ SYS_statx, "statx", LOOK, { 1, 2 }, { 0, 0 }, 0 },
	{ SYS_fstat, "fstat", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_fstatfs, "fstatfs", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_lseek, "lseek", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_pread64, "pread64", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_getdents64, "getdents64", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_faccessat, "faccessat", LOOK, { 1, 2 }, { 0, 0 }, 0 },
	{ SYS_readlinkat, "readlinkat", LOOK, { 1, 2 }, { 0, 0 }, 0 },
	{ SYS_dup3, "dup3", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_ppoll, "ppoll", LOOK, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_mmap, "mmap", MEMORY, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_mremap, "mremap", MEMORY, { 0, 0 }, { 0, 0 }, 0 },
	{ SYS_brk, "brk", MEMORY, { 0, 0 }, { 0, 0 }, 0 },
};

static const struct row unknown = { -1, "other", ANY, { 0, 0 }, { 0, 0 }, 0 };

enum points { CHANGES, FILES, ALL };
enum act { COUNT, KILL, KILL_AFTER, TORN, SHORT, FAIL };

/* A call on its way. */
struct call {
	const struct row *row;
	uint64_t arg[6];
	bool there;		/* the name had a file already */
	ino_t ino;		/* of that */
	int other;		/* this argument, from 1, was `was` */
	uint64_t was;
	int error;		/* to be answered, though it was done */
	bool last;		/* the process dies when it is done */
};

enum { TRACEES = 64, DATA = 1 << 16, SECTOR = 512 };

struct tracee {
	pid_t pid;
	struct call call;
};

struct trace {
	enum points points;
	enum act act;
	long n;			/* of the call that goes wrong */
	bool onwards;
	int error;
	long from;
	bool step;
	FILE *log;

	long count, lines;
	bool started;		/* the program itself runs */
	const char *killed;
	struct tracee tracee[TRACEES];
};

static void
fatal(const char *what)
{
	fprintf(stderr, "trace: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- registers */

#if defined(__x86_64__)

static void
poke(pid_t pid, size_t at, uint64_t value)
{
	if (ptrace(PTRACE_POKEUSER, pid, at, value) != 0)
		fatal("registers");
}

/* Argument 1 or 3. */
static void
set_arg(pid_t pid, int which, uint64_t value)
{
	poke(pid, which == 1 ? offsetof(struct user_regs_struct, rdi) :
	    offsetof(struct user_regs_struct, rdx), value);
}

static void
set_result(pid_t pid, int error)
{
	poke(pid, offsetof(struct user_regs_struct, rax),
	    (uint64_t)-(int64_t)error);
}

static void
skip(pid_t pid, int error)
{
	poke(pid, offsetof(struct user_regs_struct, orig_rax), UINT64_MAX);
	set_result(pid, error);
}

#elif defined(__aarch64__)

static void
set_x(pid_t pid, int i, uint64_t value)
{
	struct user_regs_struct regs;
	struct iovec v = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v) != 0)
		fatal("registers");
	regs.regs[i] = value;
	if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &v) != 0)
		fatal("registers");
}

static void
set_arg(pid_t pid, int which, uint64_t value)
{
	set_x(pid, which - 1, value);
}

static void
set_result(pid_t pid, int error)
{
	set_x(pid, 0, (uint64_t)-(int64_t)error);
}

static void
skip(pid_t pid, int error)
{
	int none = -1;
	struct iovec v = { &none, sizeof(none) };

	if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &v) != 0)
		fatal("registers");
	set_result(pid, error);
}

#else
#error "no registers are known of this machine"
#endif

/* ---- what a call speaks of */

static size_t
peek(pid_t pid, uint64_t at, void *to, size_t n)
{
	struct iovec here = { to, n }, there = { (void *)(uintptr_t)at, n };
	ssize_t r = process_vm_readv(pid, &here, 1, &there, 1, 0);

	return r < 0 ? 0 : (size_t)r;
}

/* A name may end just before a page that is not there. */
static void
peek_name(pid_t pid, uint64_t at, char *to, size_t room)
{
	size_t n = 0, page;

	while (n + 1 < room) {
		page = 4096 - (at + n) % 4096;
		if (page > room - 1 - n)
			page = room - 1 - n;
		page = peek(pid, at + n, to + n, page);
		if (page == 0 || memchr(to + n, 0, page) != NULL) {
			n += page;
			break;
		}
		n += page;
	}
	to[n] = '\0';
}

static void
proc_name(char *to, size_t room, pid_t pid, const char *what, int fd)
{
	if (fd >= 0)
		snprintf(to, room, "/proc/%d/%s/%d", (int)pid, what, fd);
	else
		snprintf(to, room, "/proc/%d/%s", (int)pid, what);
}

static void
fd_path(pid_t pid, int fd, char *to, size_t room)
{
	char proc[64];
	ssize_t n;

	proc_name(proc, sizeof(proc), pid, fd == AT_FDCWD ? "cwd" : "fd",
	    fd == AT_FDCWD ? -1 : fd);
	n = readlink(proc, to, room - 1);
	to[n < 0 ? 0 : n] = '\0';
}

static void
path_of(pid_t pid, const struct call *c, struct name name, char *to,
    size_t room)
{
	size_t n;

	peek_name(pid, c->arg[name.path - 1], to, room);
	if (to[0] == '/')
		return;
	char own[PATH_MAX];

	memcpy(own, to, room);
	fd_path(pid, name.dir == 0 ? AT_FDCWD : (int)c->arg[name.dir - 1],
	    to, room);
	n = strlen(to);
	if (own[0] != '\0')
		snprintf(to + n, room - n, "/%s", own);
}

static ino_t
fd_inode(pid_t pid, int fd)
{
	char proc[64];
	struct stat st;

	proc_name(proc, sizeof(proc), pid, "fd", fd);
	return stat(proc, &st) == 0 ? st.st_ino : 0;
}

/* Where a plain write has ended; before one, unless it appends, where it
 * begins. */
static long long
fd_position(pid_t pid, int fd, int *flags)
{
	char proc[64], text[256];
	long long at = 0;
	ssize_t n;
	int f;

	proc_name(proc, sizeof(proc), pid, "fdinfo", fd);
	f = open(proc, O_RDONLY | O_CLOEXEC);
	n = f < 0 ? -1 : read(f, text, sizeof(text) - 1);
	if (f >= 0)
		close(f);
	text[n < 0 ? 0 : n] = '\0';
	sscanf(text, "pos: %lld flags: %o", &at, (unsigned *)flags);
	return at;
}

static long long
next_position(pid_t pid, int fd)
{
	int flags = 0;
	long long at = fd_position(pid, fd, &flags);
	char proc[64];
	struct stat st;

	proc_name(proc, sizeof(proc), pid, "fd", fd);
	if (flags & O_APPEND && stat(proc, &st) == 0)
		at = st.st_size;
	return at;
}

static int
open_flags(const struct call *c)
{
	if (c->row->kind == CREAT)
		return O_CREAT | O_TRUNC;
	return (int)c->arg[c->row->flags - 1];
}

static bool
locks(const struct call *c)
{
	switch ((int)c->arg[1]) {
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return true;
	default:
		return false;
	}
}

static bool
changes(const struct call *c)
{
	switch (c->row->kind) {
	case OPEN:
	case CREAT:
		return open_flags(c) & (O_CREAT | O_TRUNC) ||
		    (open_flags(c) & O_TMPFILE) == O_TMPFILE;
	case FCNTL:
		return locks(c);
	case CLOSE:
	case READ:
	case LOOK:
	case MEMORY:
	case ANY:
		return false;
	default:
		return true;
	}
}

/* Would it need room? Then a full disk refuses it. */
static bool
needs_room(const struct call *c)
{
	switch (c->row->kind) {
	case WRITE:
	case WRITEV:
		return c->arg[0] > 2;
	case PWRITE:
	case PWRITEV:
	case RESERVE:
	case LINK:
	case MAKEDIR:
		return true;
	case OPEN:
	case CREAT:
		return open_flags(c) & O_CREAT ||
		    (open_flags(c) & O_TMPFILE) == O_TMPFILE;
	default:
		return false;
	}
}

static bool
sized(const struct call *c)
{
	return c->row->kind == WRITE || c->row->kind == PWRITE ||
	    c->row->kind == WRITEV || c->row->kind == PWRITEV;
}

/* ---- the log */

static void
log_data(struct trace *t, pid_t pid, uint64_t at, size_t n)
{
	static char data[DATA];
	size_t piece, got;

	while (n > 0) {
		piece = n < sizeof(data) ? n : sizeof(data);
		got = peek(pid, at, data, piece);
		if (got < piece)
			memset(data + got, '?', piece - got);
		fwrite(data, 1, piece, t->log);
		at += piece;
		n -= piece;
	}
}

static void
log_vector(struct trace *t, pid_t pid, const struct call *c, size_t n)
{
	struct iovec v;
	uint64_t i;

	for (i = 0; i < c->arg[2] && n > 0; i++) {
		if (peek(pid, c->arg[1] + i * sizeof(v), &v, sizeof(v)) !=
		    sizeof(v))
			return;
		if (v.iov_len > n)
			v.iov_len = n;
		log_data(t, pid, (uintptr_t)v.iov_base, v.iov_len);
		n -= v.iov_len;
	}
}

static void
log_write(struct trace *t, pid_t pid, const struct call *c, int64_t n)
{
	bool vector = c->row->kind == WRITEV || c->row->kind == PWRITEV;
	int fd = (int)c->arg[0];
	char path[PATH_MAX];
	long long at;
	int flags;

	if (fd == 1) {
		fprintf(t->log, "W\t%lld\n", (long long)n);
	} else {
		fd_path(pid, fd, path, sizeof(path));
		at = c->row->kind == PWRITE || c->row->kind == PWRITEV ?
		    (long long)c->arg[3] : fd_position(pid, fd, &flags) - n;
		fprintf(t->log, "w\t%ju\t%lld\t%lld\t%s\n",
		    (uintmax_t)fd_inode(pid, fd), at, (long long)n, path);
	}
	if (vector)
		log_vector(t, pid, c, (size_t)n);
	else
		log_data(t, pid, c->arg[1], (size_t)n);
	fputc('\n', t->log);
}

static void
log_lock(struct trace *t, pid_t pid, const struct call *c)
{
	char path[PATH_MAX], how = 'u';
	int fd = (int)c->arg[0];
	struct flock want = { .l_type = F_UNLCK };

	if (c->row->kind == FCNTL) {
		peek(pid, c->arg[2], &want, sizeof(want));
		how = want.l_type == F_WRLCK ? 'w' :
		    want.l_type == F_RDLCK ? 'r' : 'u';
	} else {
		how = c->arg[1] & LOCK_EX ? 'w' : c->arg[1] & LOCK_SH ? 'r' :
		    'u';
	}
	fd_path(pid, fd, path, sizeof(path));
	fprintf(t->log, "k\t%d\t%ju\t%s-%c\t%s\n", fd,
	    (uintmax_t)fd_inode(pid, fd), c->row->text, how, path);
}

static void
log_names(struct trace *t, pid_t pid, const struct call *c)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st;

	path_of(pid, c, c->row->from, from, sizeof(from));
	switch (c->row->kind) {
	case OPEN:
	case CREAT:
		if (!c->there && lstat(from, &st) == 0)
			fprintf(t->log, "c\t%ju\t%s\n",
			    (uintmax_t)st.st_ino, from);
		else if (open_flags(c) & O_TRUNC)
			fprintf(t->log, "t\t%ju\t0\t%s\n",
			    (uintmax_t)c->ino, from);
		break;
	case MAKEDIR:
		fprintf(t->log, "m\t%ju\t%s\n", lstat(from, &st) == 0 ?
		    (uintmax_t)st.st_ino : 0, from);
		break;
	case UNLINK:
	case REMOVEDIR:
		fprintf(t->log, "%c\t%ju\t%s\n", c->row->kind == REMOVEDIR ||
		    (c->row->flags > 0 && c->arg[2] & AT_REMOVEDIR) ? 'd' :
		    'u', (uintmax_t)c->ino, from);
		break;
	default:
		path_of(pid, c, c->row->to, to, sizeof(to));
		fprintf(t->log, "%c\t%ju\t%s\t%s\n", c->row->kind == LINK ?
		    'l' : 'n', lstat(to, &st) == 0 ? (uintmax_t)st.st_ino :
		    0, from, to);
	}
}

/* A call that went well. */
static void
log_done(struct trace *t, pid_t pid, const struct call *c, int64_t result)
{
	int fd = (int)c->arg[0];
	char path[PATH_MAX] = "";

	switch (c->row->kind) {
	case WRITE:
	case PWRITE:
	case WRITEV:
	case PWRITEV:
		log_write(t, pid, c, result);
		return;
	case READ:
		if (fd != 0)
			return;
		fprintf(t->log, "R\t%lld\n", (long long)result);
		log_data(t, pid, c->arg[1], (size_t)result);
		fputc('\n', t->log);
		return;
	case FLOCK:
		log_lock(t, pid, c);
		return;
	case FCNTL:
		if (locks(c))
			log_lock(t, pid, c);
		return;
	case CLOSE:
		fprintf(t->log, "x\t%d\n", fd);
		return;
	case OPEN:
	case CREAT:
		if (changes(c))
			log_names(t, pid, c);
		return;
	case RENAME:
	case LINK:
	case UNLINK:
	case MAKEDIR:
	case REMOVEDIR:
		log_names(t, pid, c);
		return;
	case OTHER:
		fprintf(t->log, "?\t%s\n", c->row->text);
		return;
	case TIMES:
	case LOOK:
	case MEMORY:
	case ANY:
		return;
	default:
		break;
	}
	fd_path(pid, fd, path, sizeof(path));
	fprintf(t->log, "%c\t%ju", c->row->kind == TRUNCATE ? 't' :
	    c->row->kind == SYNC ? 's' : 'a', (uintmax_t)fd_inode(pid, fd));
	if (c->row->kind == TRUNCATE)
		fprintf(t->log, "\t%lld", (long long)c->arg[1]);
	if (c->row->kind == RESERVE)
		fprintf(t->log, "\t%lld\t%lld\t%d", (long long)c->arg[2],
		    (long long)c->arg[3], (int)c->arg[1]);
	fprintf(t->log, "\t%s\n", path);
}

/* ---- what goes wrong */

/* How much of the input, which is a file, up to the next line end. */
static uint64_t
one_line(uint64_t most)
{
	char text[4096];
	off_t at = lseek(0, 0, SEEK_CUR);
	uint64_t n = 0;
	const char *end;
	ssize_t r;

	while (n < most && (r = pread(0, text, sizeof(text),
	    at + (off_t)n)) > 0) {
		end = memchr(text, '\n', (size_t)r);
		n += end != NULL ? (uint64_t)(end - text) + 1 : (uint64_t)r;
		if (end != NULL)
			break;
	}
	return n < most ? n : most;
}

/* Until the call is done. */
static void
make_arg(struct tracee *p, int which, uint64_t n)
{
	struct call *c = &p->call;

	if (c->other == 0)
		c->was = c->arg[which - 1];
	c->other = which;
	c->arg[which - 1] = n;
	set_arg(p->pid, which, n);
}

/*
 * A descriptor is closed even if close fails. brk does not answer with an
 * error but with what the end of the data is and stays, as when asked for
 * nothing. True when the call goes on.
 */
static bool
fail(struct tracee *p, int error)
{
	if (p->call.row->kind == CLOSE) {
		p->call.error = error;
		return true;
	}
	if (p->call.row->nr == SYS_brk) {
		make_arg(p, 1, 0);
		return true;
	}
	skip(p->pid, error);
	return false;
}

/*
 * Whole sectors, up to the one in the middle: neither a kill nor a disk cuts
 * a write elsewhere. Of a vector half of its pieces.
 */
static uint64_t
torn_size(const struct tracee *p)
{
	const struct call *c = &p->call;
	uint64_t n = c->arg[2], at, end;

	if (c->row->kind == WRITEV || c->row->kind == PWRITEV)
		return n / 2;
	at = c->row->kind == PWRITE ? c->arg[3] :
	    (uint64_t)next_position(p->pid, (int)c->arg[0]);
	end = (at + n / 2 + SECTOR - 1) / SECTOR * SECTOR;
	if (end >= at + n)
		end = (at + n - 1) / SECTOR * SECTOR;
	return end > at ? end - at : 0;
}

/* The call before it has done anything; whether to stop when it is done. */
static bool
misfortune(struct trace *t, struct tracee *p)
{
	struct call *c = &p->call;
	bool now = t->count == t->n;

	switch (now || (t->onwards && t->count > t->n &&
	    (t->error == ENOMEM ? c->row->kind == MEMORY : needs_room(c))) ?
	    t->act : COUNT) {
	case KILL:
		t->killed = c->row->text;
		kill(p->pid, SIGKILL);
		return false;
	case FAIL:
		return fail(p, t->error);
	case KILL_AFTER:
		c->last = true;
		return true;
	case TORN:
		c->last = true;
		if (sized(c))
			make_arg(p, 3, torn_size(p));
		return true;
	case SHORT:
		if (sized(c) && c->arg[2] > 1)
			make_arg(p, 3, c->arg[2] / 2);
		return true;
	default:
		return t->log != NULL;
	}
}

static bool
numbered(const struct trace *t, const struct call *c)
{
	if (!t->started || t->lines < t->from)
		return false;
	switch (t->points) {
	case CHANGES:
		return changes(c);
	case FILES:
		return c->row->kind < MEMORY;
	default:
		return true;
	}
}

static void
note_name(struct tracee *p)
{
	struct call *c = &p->call;
	char path[PATH_MAX];
	struct stat st;

	path_of(p->pid, c, c->row->from, path, sizeof(path));
	c->there = lstat(path, &st) == 0;
	c->ino = c->there ? st.st_ino : 0;
}

/* Whether to stop when the call is done. */
static bool
begins(struct trace *t, struct tracee *p)
{
	struct call *c = &p->call;

	if (t->log != NULL && c->row->from.path != 0 && changes(c))
		note_name(p);
	if (c->row->kind == READ && c->arg[0] == 0) {
		t->lines++;
		if (t->step)
			make_arg(p, 3, one_line(c->arg[2]));
	}
	if (!numbered(t, c))
		return t->log != NULL || c->other != 0;
	t->count++;
	if (t->log != NULL)
		fprintf(t->log, "p\t%ld\t%s\n", t->count, c->row->text);
	return misfortune(t, p) || c->other != 0;
}

static void
ends(struct trace *t, struct tracee *p, int64_t result)
{
	struct call *c = &p->call;

	if (c->other != 0)
		set_arg(p->pid, c->other, c->was);
	if (c->error != 0)
		set_result(p->pid, c->error);
	if (t->log != NULL && result >= 0)
		log_done(t, p->pid, c, result);
	if (c->last) {
		t->killed = c->row->text;
		kill(p->pid, SIGKILL);
	}
}

/* ---- the program's processes */

static const struct row *
row_of(uint64_t nr)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].nr == (long)nr)
			return &rows[i];
	return &unknown;
}

static struct tracee *
tracee_of(struct trace *t, pid_t pid)
{
	size_t i, empty = TRACEES;

	for (i = 0; i < TRACEES; i++) {
		if (t->tracee[i].pid == pid)
			return &t->tracee[i];
		if (t->tracee[i].pid == 0 && empty == TRACEES)
			empty = i;
	}
	if (empty == TRACEES) {
		errno = EAGAIN;
		fatal("too many processes");
	}
	t->tracee[empty] = (struct tracee){ .pid = pid };
	return &t->tracee[empty];
}

/* Whether to stop again when the call ends. */
static bool
at_call(struct trace *t, struct tracee *p)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) < 0)
		return false;		/* it was killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
		p->call = (struct call){ .row = row_of(info.seccomp.nr) };
		memcpy(p->call.arg, info.seccomp.args, sizeof(p->call.arg));
		return begins(t, p);
	}
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->call.row != NULL)
		ends(t, p, info.exit.rval);
	return false;
}

static void
stopped(struct trace *t, pid_t pid, int status)
{
	struct tracee *p = tracee_of(t, pid);
	int sig = WSTOPSIG(status), event = status >> 16;
	bool again = false;

	if (event == PTRACE_EVENT_EXEC)
		t->started = true;
	if (event == PTRACE_EVENT_SECCOMP || sig == (SIGTRAP | 0x80))
		again = at_call(t, p);
	/* A stop of ptrace's own is no signal of the program's, nor is the
	 * one with which each process begins. */
	if (event != 0 || sig == (SIGTRAP | 0x80) || sig == SIGSTOP)
		sig = 0;
	ptrace(again ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, (long)sig);
}

static int
watch(struct trace *t, pid_t first)
{
	int status, end = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			stopped(t, pid, status);
			continue;
		}
		tracee_of(t, pid)->pid = 0;
		if (pid == first)
			end = WIFEXITED(status) ? WEXITSTATUS(status) :
			    128 + WTERMSIG(status);
	}
	return end;
}

/* ---- beginning */

enum { FILTER_MAX = 3 * sizeof(rows) / sizeof(rows[0]) + 4 };

/* Stops only at calls that are looked at. */
static void
set_filter(const struct trace *t)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog prog = { 0, code };
	struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, nr));
	struct sock_filter load_fd = BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, args));
	struct sock_filter yes = BPF_STMT(BPF_RET | BPF_K,
	    SECCOMP_RET_TRACE);
	struct sock_filter no = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	enum kind most = t->points == ALL ? ANY : t->points == FILES ? LOOK :
	    OTHER;
	unsigned short n = 0;
	size_t i;

	code[n++] = load;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].kind > most)
			continue;
		if (rows[i].kind == READ && t->points == CHANGES) {
			/* Only the client's: descriptor 0. */
			code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP |
			    BPF_JEQ | BPF_K, (uint32_t)rows[i].nr, 0, 4);
			code[n++] = load_fd;
			code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP |
			    BPF_JEQ | BPF_K, 0, 0, 1);
			code[n++] = yes;
			code[n++] = no;
			continue;
		}
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ |
		    BPF_K, (uint32_t)rows[i].nr, 0, 1);
		code[n++] = yes;
	}
	code[n++] = t->points == ALL ? yes : no;
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		fatal("seccomp");
}

static int
run(struct trace *t, char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fatal("fork");
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			fatal("ptrace");
		raise(SIGSTOP);
		set_filter(t);
		execvp(argv[0], argv);
		fatal(argv[0]);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD |
	    PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC |
	    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
	    != 0)
		fatal("ptrace");
	ptrace(PTRACE_CONT, pid, 0, 0);
	return watch(t, pid);
}

static int
error_of(const char *text)
{
	static const struct {
		const char *name;
		int error;
	} errors[] = {
		{ "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "EIO", EIO },
		{ "EINTR", EINTR }, { "ENOMEM", ENOMEM },
	};
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, text) == 0)
			return errors[i].error;
	return (int)strtol(text, NULL, 10);
}

static void
set_act(struct trace *t, enum act act, const char *value)
{
	char *end;

	t->act = act;
	t->n = strtol(value, &end, 10);
	t->onwards = *end == '+';
	if (t->onwards)
		end++;
	if (*end == '=')
		t->error = error_of(end + 1);
	if (t->n < 1 || (act == FAIL && t->error < 1)) {
		errno = EINVAL;
		fatal(value);
	}
}

static void
set_points(struct trace *t, const char *value)
{
	t->points = strcmp(value, "all") == 0 ? ALL :
	    strcmp(value, "files") == 0 ? FILES : CHANGES;
}

static void
options(struct trace *t, int argc, char **argv)
{
	enum { POINTS = FAIL + 1, FROM, STEP, LOG };
	static const struct option table[] = {
		{ "count", no_argument, NULL, COUNT },
		{ "kill", required_argument, NULL, KILL },
		{ "kill-after", required_argument, NULL, KILL_AFTER },
		{ "torn", required_argument, NULL, TORN },
		{ "short", required_argument, NULL, SHORT },
		{ "fail", required_argument, NULL, FAIL },
		{ "points", required_argument, NULL, POINTS },
		{ "from", required_argument, NULL, FROM },
		{ "step", no_argument, NULL, STEP },
		{ "log", required_argument, NULL, LOG },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", table, NULL)) != -1) {
		if (c == '?')
			exit(125);
		else if (c == POINTS)
			set_points(t, optarg);
		else if (c == FROM)
			t->from = strtol(optarg, NULL, 10) + 1;
		else if (c == STEP)
			t->step = true;
		else if (c == LOG)
			t->log = fopen(optarg, "we");
		else if (c != COUNT)
			set_act(t, (enum act)c, optarg);
		if (c == LOG && t->log == NULL)
			fatal(optarg);
	}
	if (optind == argc) {
		fprintf(stderr, "usage: trace [options] PROGRAM [ARG ...]\n");
		exit(125);
	}
}

int
main(int argc, char **argv)
{
	static struct trace t;
	int status;

	options(&t, argc, argv);
	status = run(&t, argv + optind);
	if (t.log != NULL && fclose(t.log) != 0)
		fatal("log");
	fprintf(stderr, "trace: points=%ld lines=%ld killed=%s\n", t.count,
	    t.lines, t.killed == NULL ? "" : t.killed);
	return status;
}
