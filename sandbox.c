/*
 * sandbox.c - takes away what this process could do and never does, so that
 * a hole in a parser is no way into the host: Landlock for files, seccomp for
 * system calls, rlimits for what is left. It opens a place only to name it to
 * Landlock, and reads nothing. Whatever the kernel refuses is logged and is no
 * end: priv.c is where failure ends the process.
 *
 * Landlock's and the newer calls' numbers stand here since the headers of a
 * build host may be older than the kernel that the program meets.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/limit.h"
#include "lib/log.h"

/* From 424 on a call has the same number on every machine. */
enum {
	NR_PIDFD_SEND_SIGNAL = 424, NR_IO_URING_SETUP = 425,
	NR_IO_URING_ENTER = 426, NR_IO_URING_REGISTER = 427,
	NR_OPEN_TREE = 428, NR_MOVE_MOUNT = 429, NR_FSOPEN = 430,
	NR_FSCONFIG = 431, NR_FSMOUNT = 432, NR_FSPICK = 433,
	NR_CLONE3 = 435, NR_CLOSE_RANGE = 436, NR_OPENAT2 = 437,
	NR_PIDFD_GETFD = 438, NR_FACCESSAT2 = 439, NR_MOUNT_SETATTR = 442,
	NR_LANDLOCK_CREATE = 444, NR_LANDLOCK_ADD = 445,
	NR_LANDLOCK_RESTRICT = 446,
};

/* landlock(7): the rights, and what a domain may not reach. */
enum {
	FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4, FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7, FS_MAKE_REG = 1 << 8, FS_MAKE_SYM = 1 << 12,
	FS_FIRST = (1 << 13) - 1,	/* all of version 1 */
	FS_REFER = 1 << 13,		/* 2 */
	FS_TRUNCATE = 1 << 14,		/* 3 */
	FS_IOCTL_DEV = 1 << 15,		/* 5 */
	NET_TCP = 3,			/* 4: to bind, to connect */
	SCOPE_ALL = 3,			/* 6: abstract sockets, signals */
	ASK_VERSION = 1,
	RULE_PATH = 1,

	READS = FS_READ_FILE | FS_READ_DIR,
	/* A mailbox that is a link is renamed as one. */
	WRITES = READS | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
	    FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE,
	/* The rest makes no sense for a file, and is refused for one. */
	ON_FILES = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE,
};

/* Of a front, with TLS for weeks: seconds, and bytes of address space. It
 * needs a tenth of either. */
enum { FRONT_CPU = 3600, FRONT_MEMORY = 256 << 20 };

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scope;
};

struct path_rule {
	uint64_t fs;
	int32_t fd;
} __attribute__((packed));

/* What libraries read. Without it iconv knows UTF-8 alone, and a changed
 * zone file is UTC; neither says so. */
static const struct sandbox_dir of_libraries[] = {
	{ "/usr/lib/x86_64-linux-gnu/gconv", false },
	{ "/usr/lib/aarch64-linux-gnu/gconv", false },
	{ "/usr/lib/i386-linux-gnu/gconv", false },
	{ "/usr/lib/arm-linux-gnueabihf/gconv", false },
	{ "/usr/lib/riscv64-linux-gnu/gconv", false },
	{ "/usr/lib/powerpc64le-linux-gnu/gconv", false },
	{ "/usr/lib/s390x-linux-gnu/gconv", false },
	{ "/usr/lib64/gconv", false },
	{ "/usr/lib/gconv", false },
	{ "/usr/share/zoneinfo", false },
	{ "/etc/localtime", false },
#ifdef __SANITIZE_ADDRESS__	/* its reports, and the search for leaks */
	{ "/proc/self", false },
#endif
};

static struct ruleset
rules_of(int version)
{
	struct ruleset r = { .fs = FS_FIRST };

	if (version >= 2)
		r.fs |= FS_REFER;
	if (version >= 3)
		r.fs |= FS_TRUNCATE;
	if (version >= 4)
		r.net = NET_TCP;
	if (version >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (version >= 6)
		r.scope = SCOPE_ALL;
	return r;
}

/* A place that can not be opened can not be opened later either: no rule. */
static int
allow_place(int rules, uint64_t handled, const struct sandbox_dir *dir)
{
	const char *path = dir->path[0] != '\0' ? dir->path : "/";
	int fd = open(path, O_PATH | O_CLOEXEC), r;
	struct path_rule rule = { dir->write ? WRITES : READS, fd };
	struct stat st;

	if (fd < 0)
		return 0;
	rule.fs &= handled;
	r = fstat(fd, &st);
	if (r == 0) {
		if (!S_ISDIR(st.st_mode))
			rule.fs &= ON_FILES;
		r = (int)syscall(NR_LANDLOCK_ADD, rules, RULE_PATH, &rule, 0);
	}
	close(fd);
	return r;
}

static int
allow_places(int rules, uint64_t handled, const struct sandbox_dir *dirs,
    size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (allow_place(rules, handled, &dirs[i]) != 0)
			return -1;
	return 0;
}

static int
landlock_version(void)
{
	return (int)syscall(NR_LANDLOCK_CREATE, NULL, 0, ASK_VERSION);
}

static void
no_landlock(const char *why)
{
	log_info("sandbox: Landlock does not guard files here: %s", why);
}

/* No place, no port, nobody else's socket or process. */
static void
lock_all(void)
{
	struct ruleset all = rules_of(landlock_version());
	int rules = (int)syscall(NR_LANDLOCK_CREATE, &all, sizeof(all), 0);

	if (rules < 0 || syscall(NR_LANDLOCK_RESTRICT, rules, 0) != 0)
		no_landlock(strerror(errno));
	if (rules >= 0)
		close(rules);
}

/*
 * Version 1 (Linux 5.13 to 5.18) lets nobody move a file from one directory
 * to another: no RENAME, so it is left alone. No scope: dotlock.c asks with
 * signal 0 whether the maker of a lock lives, and syslogd may listen on an
 * abstract socket.
 */
static void
lock_places(const struct sandbox_dir *dirs, size_t n)
{
	int version = landlock_version(), rules;
	struct ruleset most = rules_of(version);

	if (version < 2) {
		no_landlock(version < 0 ? strerror(errno) :
		    "this kernel's would not let mailboxes be renamed");
		return;
	}
	most.scope = 0;
	rules = (int)syscall(NR_LANDLOCK_CREATE, &most, sizeof(most), 0);
	if (rules < 0 || allow_places(rules, most.fs, dirs, n) != 0 ||
	    allow_places(rules, most.fs, of_libraries,
	    sizeof(of_libraries) / sizeof(of_libraries[0])) != 0 ||
	    syscall(NR_LANDLOCK_RESTRICT, rules, 0) != 0)
		no_landlock(strerror(errno));
	if (rules >= 0)
		close(rules);
}

#if defined(__x86_64__)
#define MACHINE	AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define MACHINE	AUDIT_ARCH_AARCH64
#endif

#ifdef __SANITIZE_ADDRESS__	/* which calls what it likes */
#undef MACHINE
#endif

#ifdef MACHINE
enum {
	ALLOW = SECCOMP_RET_ALLOW,
	NO_ACCESS = SECCOMP_RET_ERRNO | EACCES,
	NO_PERM = SECCOMP_RET_ERRNO | EPERM,
	NO_CALL = SECCOMP_RET_ERRNO | ENOSYS,
};
/* Before Linux 4.14 it reads as the end of the thread, which is all of us. */
#define END	SECCOMP_RET_KILL_PROCESS

/* Of an argument the low half: the kernel takes an int where we look. */
enum test { ALWAYS, HAS, IS, IS_NOT };

struct rule {
	uint32_t call;
	uint32_t verdict;
	enum test test;
	uint32_t value;
	unsigned argument;
};

/*
 * What the front asks for while it reads, answers, and speaks TLS. The clocks
 * are asked only where the vDSO can not tell; getpid is OpenSSL's, to notice a
 * fork.
 */
static const struct rule front_rules[] = {
	{ .call = SYS_read, ALLOW }, { .call = SYS_write, ALLOW },
	{ .call = SYS_ppoll, ALLOW }, { .call = SYS_rt_sigprocmask, ALLOW },
	{ .call = SYS_sendto, ALLOW }, { .call = SYS_recvfrom, ALLOW },
	{ .call = SYS_close, ALLOW }, { .call = NR_CLOSE_RANGE, ALLOW },
	{ .call = SYS_shutdown, ALLOW },
	{ .call = SYS_rt_sigreturn, ALLOW },
	{ .call = SYS_restart_syscall, ALLOW },
	{ .call = SYS_clock_gettime, ALLOW },
	{ .call = SYS_gettimeofday, ALLOW },
	{ .call = SYS_mmap, NO_ACCESS, HAS, PROT_EXEC, 2 },
	{ .call = SYS_mprotect, NO_ACCESS, HAS, PROT_EXEC, 2 },
	{ .call = SYS_mmap, ALLOW }, { .call = SYS_mprotect, ALLOW },
	{ .call = SYS_munmap, ALLOW }, { .call = SYS_mremap, ALLOW },
	{ .call = SYS_brk, ALLOW }, { .call = SYS_madvise, ALLOW },
	{ .call = SYS_futex, ALLOW }, { .call = SYS_getpid, ALLOW },
	{ .call = SYS_getrandom, ALLOW }, { .call = SYS_exit_group, ALLOW },

	{ .call = SYS_openat, NO_ACCESS }, { .call = NR_OPENAT2, NO_ACCESS },
	{ .call = SYS_newfstatat, NO_ACCESS },
	{ .call = SYS_statx, NO_ACCESS },
	{ .call = SYS_faccessat, NO_ACCESS },
	{ .call = NR_FACCESSAT2, NO_ACCESS },

	{ .call = SYS_execve, END }, { .call = SYS_execveat, END },
	{ .call = SYS_clone, END }, { .call = NR_CLONE3, END },
	{ .call = SYS_socket, END }, { .call = SYS_socketpair, END },
	{ .call = SYS_connect, END }, { .call = SYS_bind, END },
	{ .call = SYS_listen, END }, { .call = SYS_accept, END },
	{ .call = SYS_accept4, END }, { .call = SYS_ptrace, END },
	{ .call = SYS_process_vm_readv, END },
	{ .call = SYS_process_vm_writev, END },
	{ .call = SYS_kill, END }, { .call = SYS_tkill, END },
	{ .call = SYS_tgkill, END }, { .call = NR_PIDFD_SEND_SIGNAL, END },
	{ .call = SYS_mount, END }, { .call = SYS_umount2, END },
#ifdef __x86_64__	/* what newer machines do without */
	{ .call = SYS_poll, ALLOW }, { .call = SYS_time, ALLOW },
	{ .call = SYS_open, NO_ACCESS }, { .call = SYS_creat, NO_ACCESS },
	{ .call = SYS_stat, NO_ACCESS }, { .call = SYS_lstat, NO_ACCESS },
	{ .call = SYS_access, NO_ACCESS },
	{ .call = SYS_fork, END }, { .call = SYS_vfork, END },
#endif
};

/*
 * What no session asks for, and what holes in kernels are reached by. ENOSYS
 * for clone3, whose callers then turn to clone. A terminal that is our input
 * would run what TIOCSTI types into it.
 */
static const struct rule session_rules[] = {
	{ .call = SYS_execve, NO_PERM }, { .call = SYS_execveat, NO_PERM },
	{ .call = SYS_clone, NO_PERM }, { .call = NR_CLONE3, NO_CALL },
	{ .call = SYS_socket, NO_PERM, IS_NOT, AF_UNIX, 0 },
	{ .call = SYS_ioctl, NO_PERM, IS, TIOCSTI, 1 },
	{ .call = SYS_kill, NO_PERM, IS_NOT, 0, 1 },
	{ .call = SYS_tkill, NO_PERM },
	{ .call = SYS_rt_sigqueueinfo, NO_PERM },
	{ .call = SYS_rt_tgsigqueueinfo, NO_PERM },
	{ .call = NR_PIDFD_SEND_SIGNAL, NO_PERM },
	{ .call = NR_PIDFD_GETFD, NO_PERM },
	{ .call = SYS_ptrace, NO_PERM },
	{ .call = SYS_process_vm_readv, NO_PERM },
	{ .call = SYS_process_vm_writev, NO_PERM },
	{ .call = SYS_kcmp, NO_PERM },
	{ .call = SYS_mount, NO_PERM }, { .call = SYS_umount2, NO_PERM },
	{ .call = SYS_pivot_root, NO_PERM }, { .call = SYS_chroot, NO_PERM },
	{ .call = NR_OPEN_TREE, NO_PERM }, { .call = NR_MOVE_MOUNT, NO_PERM },
	{ .call = NR_FSOPEN, NO_PERM }, { .call = NR_FSCONFIG, NO_PERM },
	{ .call = NR_FSMOUNT, NO_PERM }, { .call = NR_FSPICK, NO_PERM },
	{ .call = NR_MOUNT_SETATTR, NO_PERM },
	{ .call = SYS_setns, NO_PERM }, { .call = SYS_unshare, NO_PERM },
	{ .call = SYS_add_key, NO_PERM }, { .call = SYS_keyctl, NO_PERM },
	{ .call = SYS_request_key, NO_PERM },
	{ .call = NR_IO_URING_SETUP, NO_PERM },
	{ .call = NR_IO_URING_ENTER, NO_PERM },
	{ .call = NR_IO_URING_REGISTER, NO_PERM },
	{ .call = SYS_userfaultfd, NO_PERM }, { .call = SYS_bpf, NO_PERM },
	{ .call = SYS_perf_event_open, NO_PERM },
	{ .call = SYS_kexec_load, NO_PERM },
	{ .call = SYS_kexec_file_load, NO_PERM },
	{ .call = SYS_init_module, NO_PERM },
	{ .call = SYS_finit_module, NO_PERM },
	{ .call = SYS_delete_module, NO_PERM },
	{ .call = SYS_reboot, NO_PERM }, { .call = SYS_acct, NO_PERM },
	{ .call = SYS_swapon, NO_PERM }, { .call = SYS_swapoff, NO_PERM },
	{ .call = SYS_personality, NO_PERM },
#ifdef __x86_64__	/* what newer machines do without */
	{ .call = SYS_fork, NO_PERM }, { .call = SYS_vfork, NO_PERM },
	{ .call = SYS_iopl, NO_PERM }, { .call = SYS_ioperm, NO_PERM },
	{ .call = SYS_modify_ldt, NO_PERM },
#endif
};

struct filter {
	unsigned short n;
	struct sock_filter code[512];
};

/* A jump goes this many instructions further, by what was found. */
static void
add(struct filter *f, unsigned code, uint32_t k, unsigned yes, unsigned no)
{
	if (f->n == sizeof(f->code) / sizeof(f->code[0]))
		log_bug("a filter for system calls is too long");
	f->code[f->n++] = (struct sock_filter){ (uint16_t)code, (uint8_t)yes,
	    (uint8_t)no, k };
}

static void
add_load(struct filter *f, size_t at)
{
	add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

/*
 * The other machine of this processor has other numbers: x86-64 runs i386's
 * calls, and its own with a bit set (x32).
 */
static void
add_head(struct filter *f)
{
	add_load(f, offsetof(struct seccomp_data, arch));
	add(f, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	add(f, BPF_RET | BPF_K, END, 0, 0);
	add_load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	add(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	add(f, BPF_RET | BPF_K, END, 0, 0);
#endif
}

static void
add_rule(struct filter *f, const struct rule *r)
{
	const unsigned jump = r->test == HAS ? BPF_JSET : BPF_JEQ;
	const bool otherwise = r->test == IS_NOT;

	add(f, BPF_JMP | BPF_JEQ | BPF_K, r->call, 0,
	    r->test == ALWAYS ? 1 : 4);
	if (r->test != ALWAYS) {
		add_load(f, offsetof(struct seccomp_data, args) +
		    r->argument * sizeof(uint64_t));
		add(f, BPF_JMP | jump | BPF_K, r->value, otherwise,
		    !otherwise);
	}
	add(f, BPF_RET | BPF_K, r->verdict, 0, 0);
	if (r->test != ALWAYS)
		add_load(f, offsetof(struct seccomp_data, nr));
}

static void
load(struct filter *f, const struct rule *rules, size_t n, uint32_t other)
{
	struct sock_fprog prog;
	size_t i;

	for (i = 0; i < n; i++)
		add_rule(f, &rules[i]);
	add(f, BPF_RET | BPF_K, other, 0, 0);
	prog = (struct sock_fprog){ f->n, f->code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) != 0)
		log_info("sandbox: system calls are not filtered: %s",
		    strerror(errno));
}

static void
filter_front(void)
{
	struct filter f = { .n = 0 };

	add_head(&f);
	load(&f, front_rules, sizeof(front_rules) / sizeof(front_rules[0]),
	    NO_CALL);
}

/* abort(3) sends itself a signal. */
static void
filter_session(void)
{
	const struct rule itself = { .call = SYS_tgkill, NO_PERM, IS_NOT,
	    (uint32_t)getpid(), 0 };
	struct filter f = { .n = 0 };

	add_head(&f);
	add_rule(&f, &itself);
	load(&f, session_rules, sizeof(session_rules) /
	    sizeof(session_rules[0]), ALLOW);
}
#else
/* A sanitizer needs calls that these processes do not. */
static void
filter_front(void)
{
}

static void
filter_session(void)
{
}
#endif

static void
limit(int what, rlim_t most)
{
	if (!limit_set(what, most))
		log_info("sandbox: a limit is not set: %s", strerror(errno));
}

/* Where there is no filter these are what is left. poll(2) counts against
 * NOFILE, too. */
static void
limit_front(void)
{
	struct stat st;

	if (fstat(1, &st) != 0 || !S_ISREG(st.st_mode))
		limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, 8);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, FRONT_CPU);
#ifndef __SANITIZE_ADDRESS__	/* looks for leaks from a process beside */
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_AS, FRONT_MEMORY);
#endif
}

void
sandbox_front(void)
{
	lock_all();
	limit_front();
	filter_front();
}

/* A session before a login has it from priv.c; its caller's own, only here. */
void
sandbox_session(const struct sandbox_dir *dirs, size_t n)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		log_info("sandbox: no_new_privs: %s", strerror(errno));
	lock_places(dirs, n);
	filter_session();
}
