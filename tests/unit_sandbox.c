/*
 * unit_sandbox.c - what the front and the session can still do once
 * sandbox.c is through with them, tried for real, each in a process of its
 * own; the filter for system calls is read as the program that it is, too.
 * Root tries it as the users that it becomes for that.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../lib/log.h"
#include "../priv.h"
#include "../sandbox.h"

enum { USER = 1234, CALLS = 1024, LANDLOCK_FIRST = 444 };

/* What this kernel and this build can do. */
static struct {
	bool filter;
	bool root;		/* change the root directory */
	int landlock;		/* its version, or below 1 */
} can;

/* A kernel that can less; set in children. */
static bool no_filter;
static int landlock_max = INT_MAX;

/* The filter as it was handed to the kernel. */
static struct {
	size_t n;
	struct sock_filter code[4096];
} heard;

static struct identity who;
static char top[] = "/tmp/unit_sandbox.XXXXXX";
static char home[64], other[64], shelf[64];

int
prctl(int what, ...)
{
	const struct sock_fprog *prog;
	unsigned long a[4];
	va_list ap;
	int i;

	va_start(ap, what);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (what == PR_SET_SECCOMP) {
		prog = (const void *)a[1];
		heard.n = prog->len;
		memcpy(heard.code, prog->filter,
		    prog->len * sizeof(heard.code[0]));
		errno = EINVAL;
		if (no_filter)
			return -1;
	}
	return (int)syscall(SYS_prctl, what, a[0], a[1], a[2], a[3]);
}

/* Reads six arguments where there may be fewer, as the kernel does. */
__attribute__((no_sanitize("address"))) long
syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6], r;
	va_list ap;
	int i;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number >= LANDLOCK_FIRST && number < LANDLOCK_FIRST + 3 &&
	    landlock_max == 0) {
		errno = ENOSYS;
		return -1;
	}
	r = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == LANDLOCK_FIRST && a[0] == 0 && r > landlock_max)
		r = landlock_max;
	return r;
}

/* ---- the filter as a program */

static uint32_t
judge(uint32_t arch, uint32_t nr, const uint64_t *args)
{
	struct seccomp_data data = { .arch = arch, .nr = (int)nr };
	const struct sock_filter *c;
	uint32_t a = 0;
	size_t at;
	bool yes;

	if (args != NULL)
		memcpy(data.args, args, sizeof(data.args));
	for (at = 0; at < heard.n; at++) {
		c = &heard.code[at];
		switch (c->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (char *)&data + c->k, sizeof(a));
			break;
		case BPF_RET | BPF_K:
			return c->k;
		default:
			yes = BPF_OP(c->code) == BPF_JEQ ? a == c->k :
			    BPF_OP(c->code) == BPF_JGE ? a >= c->k :
			    (a & c->k) != 0;
			at += yes ? c->jt : c->jf;
		}
	}
	return 0;
}

#ifdef __x86_64__
#define HERE	AUDIT_ARCH_X86_64
#define THERE	AUDIT_ARCH_I386
#else
#define HERE	AUDIT_ARCH_AARCH64
#define THERE	AUDIT_ARCH_ARM
#endif

static bool
is_errno(uint32_t verdict, int e)
{
	return verdict == (SECCOMP_RET_ERRNO | (uint32_t)e);
}

static unsigned
count(uint32_t verdict)
{
	unsigned n = 0;
	uint32_t nr;

	for (nr = 0; nr < CALLS; nr++)
		n += judge(HERE, nr, NULL) == verdict;
	return n;
}

/* Both of mmap and mprotect, whose third argument says what for. */
static bool
maps(uint32_t call, uint64_t prot, uint32_t verdict)
{
	const uint64_t args[6] = { 0, 4096, prot };

	return judge(HERE, call, args) == verdict;
}

static bool
other_machines_end(void)
{
	uint32_t nr;

	for (nr = 0; nr < CALLS; nr++) {
		if (judge(THERE, nr, NULL) != SECCOMP_RET_KILL_PROCESS)
			return false;
#ifdef __x86_64__
		if (judge(HERE, nr | 0x40000000, NULL) !=
		    SECCOMP_RET_KILL_PROCESS)
			return false;
#endif
	}
	return true;
}

static void
read_front_filter(void)
{
	const uint32_t refused = SECCOMP_RET_ERRNO | EACCES;

	no_filter = true;
	/* Not in a child: limits and Landlock stay. Hence at the very end. */
	sandbox_front();
	printf("# %u system calls are allowed\n", count(SECCOMP_RET_ALLOW));
	CHECK("the front may make 25 system calls at most",
	    count(SECCOMP_RET_ALLOW) <= 25 && count(SECCOMP_RET_ALLOW) > 15);
	CHECK("the front may map memory and write to it",
	    maps(SYS_mmap, PROT_READ | PROT_WRITE, SECCOMP_RET_ALLOW) &&
	    maps(SYS_mprotect, PROT_READ | PROT_WRITE, SECCOMP_RET_ALLOW));
	CHECK("but not run what is in it", maps(SYS_mmap, PROT_EXEC, refused) &&
	    maps(SYS_mprotect, PROT_READ | PROT_EXEC, refused));
	CHECK("files are out of reach",
	    is_errno(judge(HERE, SYS_openat, NULL), EACCES) &&
	    is_errno(judge(HERE, 437, NULL), EACCES) &&
	    is_errno(judge(HERE, SYS_newfstatat, NULL), EACCES) &&
	    is_errno(judge(HERE, SYS_statx, NULL), EACCES));
	CHECK("calls that nobody knows are not there",
	    is_errno(judge(HERE, 1000, NULL), ENOSYS));
	CHECK("numbers of another machine end the front", other_machines_end());
}

/* What the kernel would refuse an ordinary user in any case. */
static bool
are_refused(void)
{
	static const uint32_t calls[] = { SYS_execveat, SYS_chroot,
	    SYS_pivot_root, SYS_mount, SYS_umount2, 428, 429, 430, 442,
	    SYS_setns, SYS_unshare, SYS_ptrace, SYS_process_vm_readv,
	    SYS_process_vm_writev, SYS_add_key, SYS_request_key, SYS_keyctl,
	    425, 426, 427, SYS_userfaultfd, SYS_bpf, SYS_perf_event_open,
	    SYS_kexec_load, SYS_init_module, SYS_finit_module,
	    SYS_delete_module, 424, 438, SYS_tkill };
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!is_errno(judge(HERE, calls[i], NULL), EPERM)) {
			printf("# %u\n", calls[i]);
			return false;
		}
	return true;
}

static void
read_session_filter(void)
{
	const uint64_t inet[6] = { AF_INET }, local[6] = { AF_UNIX };
	const uint64_t term[6] = { 1, SIGTERM }, none[6] = { 1, 0 };
	const uint64_t own[6] = { (uint64_t)getpid(), 0, SIGABRT };
	const uint64_t push[6] = { 0, TIOCSTI };

	no_filter = true;
	sandbox_session(NULL, 0);
	printf("# %u system calls are refused\n",
	    count(SECCOMP_RET_ERRNO | EPERM));
	CHECK("the session has most of them",
	    count(SECCOMP_RET_ALLOW) > CALLS - 80);
	CHECK("and none that holes in kernels are reached by",
	    are_refused());
	CHECK("no socket but AF_UNIX",
	    is_errno(judge(HERE, SYS_socket, inet), EPERM) &&
	    judge(HERE, SYS_socket, local) == SECCOMP_RET_ALLOW);
	CHECK("no signal to others but 0",
	    is_errno(judge(HERE, SYS_kill, term), EPERM) &&
	    judge(HERE, SYS_kill, none) == SECCOMP_RET_ALLOW &&
	    is_errno(judge(HERE, SYS_tgkill, term), EPERM) &&
	    judge(HERE, SYS_tgkill, own) == SECCOMP_RET_ALLOW);
	CHECK("types nothing into a terminal",
	    is_errno(judge(HERE, SYS_ioctl, push), EPERM) &&
	    judge(HERE, SYS_ioctl, none) == SECCOMP_RET_ALLOW);
	CHECK("numbers of another machine end the session, too",
	    other_machines_end());
}

/* ---- children that try something */

static int
run(void (*before)(void), int (*attempt)(void))
{
	int status = 0, r;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		before();
		errno = 0;
		r = attempt();
		_exit(r == -1 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

enum { BY_SIGSYS = 1000 + SIGSYS, BY_SIGABRT = 1000 + SIGABRT };

static void
as_front(void)
{
	priv_front();
	sandbox_front();
}

static void
as_session(void)
{
	const struct sandbox_dir dirs[] = { { "/nowhere", true },
	    { home, true }, { shelf, false } };

	priv_become(&who);
	sandbox_session(dirs, 3);
}

struct row {
	const char *what;
	int (*attempt)(void);
	int result;	/* 0, an errno, or 1000 + a signal */
};

static void
check_rows(const char *whose, void (*before)(void), const struct row *rows,
    size_t n)
{
	char what[128];
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		snprintf(what, sizeof(what), "%s %s", whose, rows[i].what);
		r = run(before, rows[i].attempt);
		if (!CHECK(what, r == rows[i].result))
			printf("# %d, not %d\n", r, rows[i].result);
	}
}

#define CHECK_ROWS(whose, before, rows)					\
	check_rows(whose, before, rows, sizeof(rows) / sizeof((rows)[0]))

static int
read_passwd(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int
read_shadow(void)
{
	return open("/etc/shadow", O_RDONLY);
}

static int
read_above(void)
{
	return open("../../../../etc/passwd", O_RDONLY);
}

static int
read_memory(void)
{
	return open("/proc/self/mem", O_RDWR);
}

static int
make_file(void)
{
	return open("/made", O_WRONLY | O_CREAT, 0600);
}

static int
see_passwd(void)
{
	struct stat st;

	return stat("/etc/passwd", &st);
}

static int
see_access(void)
{
	return access("/etc/passwd", R_OK);
}

static int
inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int
inet6_socket(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int
netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static int
local_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int
make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return (int)pid;
}

static int
make_process3(void)
{
	return (int)syscall(435, NULL, 0);
}

static int
run_program(void)
{
	char name[] = "/bin/true", *argv[] = { name, NULL };

	return execve(name, argv, argv + 1);
}

static int
trace_parent(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

/* Were it let through, the test would be over. */
static int
end_parent(void)
{
	return kill(getppid(), SIGTERM);
}

/* A process of the same user, outside. */
static struct {
	pid_t pid;
	int end;
} neighbour;

static void
start_neighbour(void)
{
	char c = 'x';
	int pair[2];

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
	    (neighbour.pid = fork()) < 0)
		exit(99);
	if (neighbour.pid == 0) {
		close(pair[1]);
		if (geteuid() == 0 && setresuid(USER, USER, USER) != 0)
			_exit(99);
		_exit(write(pair[0], &c, 1) != 1 || read(pair[0], &c, 1) != 0);
	}
	close(pair[0]);
	neighbour.end = pair[1];
	if (read(neighbour.end, &c, 1) != 1)
		exit(99);
}

static bool
neighbour_is_well(void)
{
	int status = 1;

	close(neighbour.end);
	return waitpid(neighbour.pid, &status, 0) == neighbour.pid &&
	    status == 0;
}

static int
see_neighbour(void)
{
	return kill(neighbour.pid, 0);
}

static int
end_neighbour(void)
{
	return kill(neighbour.pid, SIGTERM);
}

static int
abort_self(void)
{
	abort();
}

static int
become_root(void)
{
	return (int)syscall(SYS_setuid, 0);
}

static int
become_root_group(void)
{
	return (int)syscall(SYS_setgid, 0);
}

static int
map_program(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
make_program(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 0 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
own_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
own_keyring(void)
{
	return (int)syscall(SYS_keyctl, 0, -3, 0, 0, 0);
}

static int
own_ring(void)
{
	char params[256] = "";

	return (int)syscall(425, 1, params);
}

static int
other_root(void)
{
	return chroot(home);
}

/* A pair of descriptors that the front had before, and memory. */
static int ends[2];

static int
talk(void)
{
	struct pollfd pfd = { .fd = ends[1], .events = POLLIN };
	const struct timespec none = { 0, 0 };
	struct timespec t;
	char c = 'x';

	if (write(ends[0], &c, 1) != 1 || poll(&pfd, 1, 0) != 1 ||
	    ppoll(&pfd, 1, &none, NULL) != 1 || read(ends[1], &c, 1) != 1 ||
	    send(ends[1], &c, 1, MSG_NOSIGNAL) != 1 ||
	    recv(ends[0], &c, 1, MSG_TRUNC) != 1 ||
	    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) != 0 ||
	    shutdown(ends[0], SHUT_WR) != 0 || close(ends[1]) != 0)
		return -1;
	return 0;
}

static int
take_memory(void)
{
	const size_t n = 1 << 20;
	char *p = malloc(n), *small[64];
	int i;

	if (p == NULL)
		return -1;
	memset(p, 1, n);
	p = realloc(p, 3 * n);
	if (p == NULL || p[n - 1] != 1)
		return -1;
	free(p);
	p = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mremap(p, n, 2 * n, MREMAP_MAYMOVE) ==
	    MAP_FAILED)
		return -1;
	for (i = 0; i < 64; i++)
		if ((small[i] = malloc(9000)) == NULL)
			return -1;
	for (i = 0; i < 64; i++)
		free(small[i]);
	return 0;
}

static int
block_signals(void)
{
	sigset_t all, old;

	sigfillset(&all);
	return sigprocmask(SIG_BLOCK, &all, &old) != 0 ? -1 :
	    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* ---- the front */

static const struct row front_works[] = {
	{ "still talks over what it has", talk, 0 },
	{ "has memory", take_memory, 0 },
	{ "blocks signals", block_signals, 0 },
};

static const struct row front_filtered[] = {
	{ "can not open /etc/passwd", read_passwd, EACCES },
	{ "can not open /etc/shadow", read_shadow, EACCES },
	{ "can not open what is above it", read_above, EACCES },
	{ "can not open its own memory", read_memory, EACCES },
	{ "can not make a file", make_file, EACCES },
	{ "can not look whether a file is there", see_passwd, EACCES },
	{ "can not ask whether it might read one", see_access, EACCES },
	{ "ends for a socket", inet_socket, BY_SIGSYS },
	{ "ends for a local socket", local_socket, BY_SIGSYS },
	{ "ends for a fork", make_process, BY_SIGSYS },
	{ "ends for clone3", make_process3, BY_SIGSYS },
	{ "ends for a program", run_program, BY_SIGSYS },
	{ "ends for tracing the parent", trace_parent, BY_SIGSYS },
	{ "ends for ending the parent", end_parent, BY_SIGSYS },
	{ "can not become root", become_root, ENOSYS },
	{ "can not become root's group", become_root_group, ENOSYS },
	{ "has no memory to run code in", map_program, EACCES },
	{ "can not make any such", make_program, EACCES },
	{ "has no io_uring", own_ring, ENOSYS },
};

static void
as_front_unfiltered(void)
{
	no_filter = true;
	as_front();
}

/* Landlock, and as root an empty directory that is root's. */
static int
no_file(void)
{
	const char *paths[] = { "/etc/passwd", "../../../etc/passwd",
	    "/proc/self/mem", "/tmp" };
	size_t i;

	for (i = 0; i < 4; i++)
		if (open(paths[i], O_RDONLY) >= 0)
			return 0;
	return -1;
}

static int
no_descriptor(void)
{
	int i;

	for (i = 0; i < 64; i++)
		if (dup(0) < 0)
			return i < 8 ? -1 : 0;
	return 0;
}

static int
send_to_file(void)
{
	char name[80];
	int fd;

	snprintf(name, sizeof(name), "%s/out", home);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || dup2(ends[0], 1) < 0)
		_exit(99);
	as_front();
	return write(fd, "x", 1) == 1 ? 0 : -1;
}

static int
answer_to_file(void)
{
	char name[80];
	int fd;

	snprintf(name, sizeof(name), "%s/out", home);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || dup2(fd, 1) < 0)
		_exit(99);
	as_front();
	return write(1, "x", 1) == 1 ? 0 : -1;
}

static void
nothing(void)
{
	signal(SIGXFSZ, SIG_IGN);
}

/* What is left of it where the kernel has no filters. */
static void
test_front_unfiltered(void)
{
	if (geteuid() != 0 && can.landlock < 1)
		CHECK("unfiltered # SKIP no Landlock in this kernel", true);
	else
		CHECK("without a filter it can not open files either",
		    run(as_front_unfiltered, no_file) == EACCES);
	CHECK("without a filter it has eight descriptors at most",
	    run(as_front_unfiltered, no_descriptor) == EMFILE);
#ifdef __SANITIZE_ADDRESS__
	CHECK("fork # SKIP allowed in a sanitised build", true);
#else
	CHECK("without a filter it makes no process",
	    run(as_front_unfiltered, make_process) == EAGAIN);
#endif
	CHECK("without a filter it can not become root",
	    run(as_front_unfiltered, become_root) == EPERM);
	CHECK("without a filter it can not become root's group",
	    run(as_front_unfiltered, become_root_group) == EPERM);
	if (can.landlock < 6)
		CHECK("signals # SKIP not guarded by this kernel", true);
	else
		CHECK("without a filter it can not end the parent",
		    run(as_front_unfiltered, end_parent) == EPERM);
	CHECK("without a filter no file grows",
	    run(nothing, send_to_file) == EFBIG);
	CHECK("but for one that answers go to",
	    run(nothing, answer_to_file) == 0);
}

static void
test_front(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		exit(99);
	CHECK_ROWS("the front", as_front, front_works);
	if (can.filter)
		CHECK_ROWS("the front", as_front, front_filtered);
	else
		CHECK("the front's filter # SKIP none here", true);
	test_front_unfiltered();
}

/* ---- /proc/PID/status, from outside */

static bool
line_is(const char *status, const char *name, const char *value)
{
	const char *at = strstr(status, name);

	return at != NULL && strncmp(at + strlen(name), value,
	    strlen(value)) == 0;
}

static bool
status_of(pid_t pid, char *text, size_t room)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool
root_is_gone(pid_t pid)
{
	char path[64], to[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%ld/root", (long)pid);
	n = readlink(path, to, sizeof(to) - 1);
	to[n < 0 ? 0 : n] = '\0';
	return strstr(to, " (deleted)") != NULL;
}

static void
look_at(const char *whose, pid_t pid, bool front)
{
	char text[8192], what[128], ids[64];
	uid_t uid;
	bool good = status_of(pid, text, sizeof(text));

	snprintf(what, sizeof(what), "%s is not root, four times", whose);
	uid = !front ? who.uid : geteuid() != 0 ? geteuid() :
	    getpwnam(PRIV_FRONT_USER) == NULL ? 65534 :
	    getpwnam(PRIV_FRONT_USER)->pw_uid;
	snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	CHECK(what, good && uid != 0 && line_is(text, "\nUid:\t", ids));
	snprintf(what, sizeof(what), "%s has no capability", whose);
	CHECK(what, line_is(text, "\nCapEff:\t", "0000000000000000\n") &&
	    line_is(text, "\nCapPrm:\t", "0000000000000000\n"));
	snprintf(what, sizeof(what), "%s can gain none", whose);
	CHECK(what, line_is(text, "\nNoNewPrivs:\t", "1\n"));
	snprintf(what, sizeof(what), "%s is filtered%s", whose,
	    can.filter ? "" : " # SKIP not here");
	CHECK(what, !can.filter || line_is(text, "\nSeccomp:\t", "2\n"));
	if (front)
		CHECK(can.root ? "its root directory has no name" :
		    "root directory # SKIP needs the rights of root",
		    !can.root || root_is_gone(pid));
}

static void
look_from_outside(const char *whose, void (*before)(void), bool front)
{
	char c = 'x', what[128];
	int pair[2], status = 1;
	pid_t pid;

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		exit(99);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		before();
		_exit(write(pair[1], &c, 1) != 1 || read(pair[1], &c, 1) < 0);
	}
	close(pair[1]);
	if (read(pair[0], &c, 1) == 1)
		look_at(whose, pid, front);
	close(pair[0]);
	snprintf(what, sizeof(what), "%s ends when the client is gone", whose);
	CHECK(what, waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- the session */

static const char *
in(const char *dir, const char *name)
{
	static char path[2][128];
	static int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static int
use_home(void)
{
	char text[4] = "";
	int fd = open(in(home, "mail"), O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || write(fd, "abc", 3) != 3 || ftruncate(fd, 2) != 0 ||
	    pread(fd, text, 3, 0) != 2 || close(fd) != 0 ||
	    truncate(in(home, "mail"), 1) != 0 ||
	    link(in(home, "mail"), in(home, "mail.lock")) != 0 ||
	    unlink(in(home, "mail.lock")) != 0 ||
	    mkdir(in(home, "sub"), 0700) != 0 ||
	    rename(in(home, "mail"), in(home, "sub/mail")) != 0 ||
	    rename(in(home, "sub"), in(home, "sub2")) != 0 ||
	    unlink(in(home, "sub2/mail")) != 0 ||
	    rmdir(in(home, "sub2")) != 0)
		return -1;
	return 0;
}

/* As dotlock.c and lib/fs.c make files. */
static int
name_nameless(void)
{
	int fd = open(home, O_TMPFILE | O_WRONLY, 0600);
	char self[64];

	if (fd < 0)
		return errno == EOPNOTSUPP ? 0 : -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, in(home, "named"),
	    AT_SYMLINK_FOLLOW) != 0 ? -1 : unlink(in(home, "named"));
}

static int
list_home(void)
{
	return open(home, O_RDONLY | O_DIRECTORY);
}

static int
read_shelf(void)
{
	return open(in(shelf, "book"), O_RDONLY);
}

static int
write_shelf(void)
{
	return open(in(shelf, "book"), O_RDWR);
}

static int
clear_shelf(void)
{
	return unlink(in(shelf, "book"));
}

static int
read_other(void)
{
	return open(in(other, "secret"), O_RDONLY);
}

static int
write_other(void)
{
	return open(in(other, "secret"), O_WRONLY);
}

static int
cut_other(void)
{
	return truncate(in(other, "secret"), 0);
}

static int
list_other(void)
{
	return open(other, O_RDONLY | O_DIRECTORY);
}

static int
make_other(void)
{
	return open(in(other, "new"), O_WRONLY | O_CREAT, 0600);
}

static int
remove_other(void)
{
	return unlink(in(other, "secret"));
}

static int
follow_link(void)
{
	return open(in(home, "link"), O_RDONLY);
}

static int
climb(void)
{
	return open(in(home, "../other/secret"), O_RDONLY);
}

static int
fetch_other(void)
{
	return rename(in(other, "secret"), in(home, "mine"));
}

static int
lend_other(void)
{
	return link(in(other, "secret"), in(home, "mine"));
}

/* A module of its own, and one that needs another's library. */
static int
convert(void)
{
	char from[] = "\x1b$B$\"\x1b(B", to[16];
	char *in_at = from, *out_at = to;
	size_t in_n = sizeof(from) - 1, out_n = sizeof(to);
	iconv_t cd = iconv_open("UTF-8", "ISO-2022-JP");
	iconv_t simple = iconv_open("UTF-8", "KOI8-R");

	if (cd == (iconv_t)-1 || simple == (iconv_t)-1)
		return -1;
	errno = EILSEQ;
	return iconv(cd, &in_at, &in_n, &out_at, &out_n) == 0 &&
	    out_at == to + 3 && memcmp(to, "\xe3\x81\x82", 3) == 0 ? 0 : -1;
}

static int
know_time(void)
{
	const time_t t = 0;
	struct tm tm;

	if (setenv("TZ", "Asia/Tokyo", 1) != 0)
		return -1;
	tzset();
	errno = ERANGE;
	return localtime_r(&t, &tm) != NULL && tm.tm_hour == 9 ? 0 : -1;
}

static int
type_into_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}

static const struct row session_works[] = {
	{ "reads and writes its home", use_home, 0 },
	{ "gives a name to what has none", name_nameless, 0 },
	{ "lists its home", list_home, 0 },
	{ "reads what it may read", read_shelf, 0 },
	{ "has local sockets", local_socket, 0 },
	{ "can ask whether a process lives", see_neighbour, 0 },
	{ "can abort", abort_self, BY_SIGABRT },
	{ "has memory", take_memory, 0 },
};

static const struct row session_files[] = {
	{ "does not write what it may read", write_shelf, EACCES },
	{ "does not remove it either", clear_shelf, EACCES },
	{ "does not read elsewhere", read_other, EACCES },
	{ "does not write elsewhere", write_other, EACCES },
	{ "does not list elsewhere", list_other, EACCES },
	{ "does not make files elsewhere", make_other, EACCES },
	{ "does not remove them there", remove_other, EACCES },
	{ "does not follow a link out of its home", follow_link, EACCES },
	{ "does not climb out of it", climb, EACCES },
	{ "does not rename into its home", fetch_other, EACCES },
	/* Landlock's word where both ends are within a user's rights. */
	{ "does not link into it", lend_other, EXDEV },
	{ "does not read /etc/passwd", read_passwd, EACCES },
};

static const struct row session_filtered[] = {
	{ "has no IPv4", inet_socket, EPERM },
	{ "has no IPv6", inet6_socket, EPERM },
	{ "has no netlink", netlink_socket, EPERM },
	{ "makes no process", make_process, EPERM },
	{ "makes none by clone3", make_process3, ENOSYS },
	{ "runs no program", run_program, EPERM },
	{ "traces nobody", trace_parent, EPERM },
	{ "ends nobody", end_neighbour, EPERM },
	{ "has no namespace of its own", own_namespace, EPERM },
	{ "has no keyring", own_keyring, EPERM },
	{ "has no io_uring", own_ring, EPERM },
	{ "takes no other root directory", other_root, EPERM },
	{ "types nothing into a terminal", type_into_terminal, EPERM },
};

static void
as_session_of_all(void)
{
	const struct sandbox_dir all = { "", false };

	priv_become(&who);
	sandbox_session(&all, 1);
}

static void
as_session_old_landlock(void)
{
	landlock_max = 1;
	as_session();
}

static void
as_session_unfiltered(void)
{
	no_filter = true;
	as_session();
}

static int
listen_inet(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? 0 : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* What a host lacks the sandbox can not take away. */
static void
check_kept(const char *what, int (*attempt)(void))
{
	char skip[128];

	snprintf(skip, sizeof(skip), "%s # SKIP not on this host", what);
	if (run(nothing, attempt) == 0)
		CHECK(what, run(as_session, attempt) == 0);
	else
		CHECK(skip, true);
}

static void
test_session(void)
{
	start_neighbour();
	CHECK_ROWS("the session", as_session, session_works);
	check_kept("the session knows charsets", convert);
	check_kept("the session knows time zones", know_time);
	if (can.landlock >= 2)
		CHECK_ROWS("the session", as_session, session_files);
	else
		CHECK("its files # SKIP no Landlock for them here", true);
	if (can.landlock >= 3)
		CHECK("the session does not cut files elsewhere",
		    run(as_session, cut_other) == EACCES);
	else
		CHECK("cutting files # SKIP not guarded here", true);
	if (can.landlock >= 4)
		CHECK("without a filter it still has no TCP port",
		    run(as_session_unfiltered, listen_inet) == EACCES);
	else
		CHECK("TCP # SKIP not guarded here", true);
	if (can.filter)
		CHECK_ROWS("the session", as_session, session_filtered);
	else
		CHECK("the session's filter # SKIP none here", true);
	CHECK("a home that is the root directory is one",
	    run(as_session_of_all, read_passwd) == 0);
	CHECK("its neighbour is well", neighbour_is_well());
	CHECK("Landlock that forbids to rename mailboxes is left alone",
	    run(as_session_old_landlock, use_home) == 0);
}

/* ---- what is said where the kernel can not */

static void
without_landlock(void)
{
	landlock_max = 0;
}

static void
without_filter(void)
{
	no_filter = true;
}

/* How many lines `sandbox` logs, of a kernel that lacks something. */
static int
lines_of(void (*lack)(void), void (*sandbox)(void), const char *word)
{
	char text[4096];
	int pair[2], i, lines = 0;
	ssize_t n;
	pid_t pid;

	fflush(stdout);
	if (pipe(pair) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(pair[1], 2);
		log_open(LOG_TO_STDERR);
		lack();
		sandbox();
		_exit(0);
	}
	close(pair[1]);
	waitpid(pid, NULL, 0);
	n = read(pair[0], text, sizeof(text) - 1);
	close(pair[0]);
	text[n < 0 ? 0 : n] = '\0';
	for (i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines > 0 && strstr(text, word) == NULL ? -1 : lines;
}

static void
test_words(void)
{
#ifdef __SANITIZE_ADDRESS__	/* is not to have one */
	const int told = 0, most = 0;
#else
	const int told = 1, most = can.filter ? 0 : 1;
#endif

	if (can.landlock < 2) {
		CHECK("words # SKIP no Landlock here", true);
		return;
	}
	CHECK("where all is there nothing is said",
	    lines_of(nothing, as_front, "filter") == most &&
	    lines_of(nothing, as_session, "filter") == most);
	CHECK("a front without Landlock says so once",
	    lines_of(without_landlock, as_front, "Landlock") == 1 + most);
	CHECK("a session without Landlock says so once",
	    lines_of(without_landlock, as_session, "Landlock") == 1 + most);
	CHECK("a front without a filter says so once",
	    lines_of(without_filter, as_front, "filter") == told);
	CHECK("a session without a filter says so once",
	    lines_of(without_filter, as_session, "filter") == told);
}

/* ---- the ground */

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) != 0)
		exit(99);
}

static void
own(const char *path)
{
	if (geteuid() == 0 && chown(path, USER, USER) != 0)
		exit(99);
}

static void
set_ground(void)
{
	if (mkdtemp(top) == NULL || chmod(top, 0755) != 0)
		exit(99);
	snprintf(home, sizeof(home), "%s/home", top);
	snprintf(other, sizeof(other), "%s/other", top);
	snprintf(shelf, sizeof(shelf), "%s/shelf", top);
	if (mkdir(home, 0755) != 0 || mkdir(other, 0755) != 0 ||
	    mkdir(shelf, 0755) != 0)
		exit(99);
	put(in(other, "secret"), "secret");
	put(in(shelf, "book"), "book");
	if (symlink("../other/secret", in(home, "link")) != 0)
		exit(99);
	own(home);
	own(other);
	own(shelf);
	own(in(other, "secret"));
	own(in(shelf, "book"));
}

static void
clear_ground(void)
{
	const char *const names[][2] = { { home, "link" }, { home, "out" },
	    { home, "mine" }, { other, "secret" }, { other, "new" },
	    { shelf, "book" } };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in(names[i][0], names[i][1]));
	rmdir(home);
	rmdir(other);
	rmdir(shelf);
	CHECK("nothing is left behind", rmdir(top) == 0);
}

/* Both leave this very process locked in: nothing can follow. */
static int
read_filter(void (*reads)(void))
{
	int status = 0, pair[2], n[2] = { 0, 0 };
	pid_t pid;

	fflush(stdout);
	if (pipe(pair) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		reads();
		fflush(stdout);
		n[0] = unit_n;
		n[1] = unit_bad;
		_exit(write(pair[1], n, sizeof(n)) != sizeof(n));
	}
	close(pair[1]);
	if (waitpid(pid, &status, 0) != pid || status != 0 ||
	    read(pair[0], n, sizeof(n)) != sizeof(n))
		exit(99);
	close(pair[0]);
	unit_n = n[0];
	unit_bad = n[1];
	return 0;
}

int
main(void)
{
	who = (struct identity){ .uid = USER, .gid = USER, .user = "alex",
	    .home = "/" };
	if (geteuid() != 0) {
		who.uid = geteuid();
		who.gid = getegid();
	}
	can.root = chroot("/") == 0;
	can.landlock = (int)syscall(LANDLOCK_FIRST, NULL, 0, 1);
#if !defined(__SANITIZE_ADDRESS__) && \
    (defined(__x86_64__) || defined(__aarch64__))
	/* EFAULT says that it would take a filter. */
	can.filter = syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
	    NULL, 0, 0) == -1 && errno == EFAULT;
#endif
	set_ground();
	test_front();
	test_session();
	look_from_outside("the front", as_front, true);
	look_from_outside("the session", as_session, false);
	test_words();
	if (can.filter) {
		read_filter(read_front_filter);
		read_filter(read_session_filter);
	} else {
		CHECK("reading filters # SKIP none here", true);
	}
	clear_ground();
	return unit_end();
}
