/*
 * auth_worker.c - the process that looks at one password: how it is set
 * apart, waited for and ended. What it does meanwhile is auth.c's business;
 * nothing of it comes back but some bytes. It ends with _exit and never
 * returns, so that nothing of the session's runs twice.
 */
#include "auth_own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/await.h"
#include "lib/fs.h"
#include "lib/limit.h"
#include "lib/log.h"
#include "lib/params.h"

enum {
	/* yescrypt takes 17 MB, scrypt 66; the modules of PAM their own. */
	WORKER_MEMORY = 268435456,
	/* Seconds: one hash of reasonable cost, on a machine that is not. */
	WORKER_CPU = 30,
	/* Fits into a pipe that nobody has read from yet. */
	RESULT_ROOM = 32768,
};

static bool
nothing_to_say(void)
{
	int ends[2];

	return fs_nowhere(ends) == 0 && dup2(ends[0], 0) == 0 &&
	    dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2;
}

/* Of the parent's descriptors, one, which no program gets that a module
 * starts: whoever has it says who has logged in. */
static bool
keep_only(int *fd)
{
	if (*fd != 3 && dup3(*fd, 3, O_CLOEXEC) < 0)
		return false;
	*fd = 3;
	fs_close(4, INT_MAX);
	return true;
}

static bool
set_limits(void)
{
#ifndef __SANITIZE_ADDRESS__	/* which maps terabytes */
	if (!limit_set(RLIMIT_AS, WORKER_MEMORY))
		return false;
#endif
	return limit_set(RLIMIT_CPU, WORKER_CPU) && limit_set(RLIMIT_CORE, 0);
}

/* PAM's modules wait for helpers of theirs, so SIGCHLD must be as usual. */
static void
reset_signals(void)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		sigaction(i, &usual, NULL);	/* some can not be set */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Away from the client, the terminal and the parent's files: whatever a
 * module prints would reach the client as protocol. The worker's helpers
 * form its group, to be ended with it; it ends with the parent. No core: it
 * would have the neighbours' hashes in it (CVE-1999-1224).
 */
static bool
set_apart(pid_t parent, int *fd)
{
	log_on_fatal(NULL, NULL);
	log_open(LOG_TO_NONE);
	umask(077);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    getppid() != parent || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    !nothing_to_say() || !keep_only(fd) || setsid() < 0 ||
	    chdir("/") != 0 || !set_limits())
		return false;
	reset_signals();
	return true;
}

/* Waits until fd can be read: AUTH_RIGHT. */
static enum auth_reason
await(int fd, int64_t deadline, const sigset_t *let_in,
    const volatile sig_atomic_t *stop)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	switch (await_fds(&pfd, 1, deadline, stop, let_in)) {
	case 0:
		return AUTH_RIGHT;
	case AWAIT_TIMEOUT:
		return AUTH_TIMED_OUT;
	case AWAIT_STOPPED:
		return AUTH_STOPPED;
	default:
		return AUTH_BAD_RESULT;
	}
}

/* The worker's n bytes, not one more and not one less. */
static enum auth_reason
hear(int fd, void *out, size_t n, const sigset_t *let_in,
    const volatile sig_atomic_t *stop)
{
	const int64_t deadline = await_now() + AUTH_TIMEOUT * INT64_C(1000);
	char bytes[RESULT_ROOM + 1];
	enum auth_reason reason;
	ssize_t done = 1;
	size_t have = 0;

	while (done != 0 && have < n) {
		reason = await(fd, deadline, let_in, stop);
		if (reason != AUTH_RIGHT)
			return reason;
		done = read(fd, bytes + have, n + 1 - have);
		if (done < 0 && errno != EINTR)
			return AUTH_BAD_RESULT;
		if (done > 0)
			have += (size_t)done;
	}
	if (have != n)
		return AUTH_BAD_RESULT;
	memcpy(out, bytes, n);
	return AUTH_RIGHT;
}

/* It has said what it had to, or will not. With its helpers, of which some
 * may wait for something that never comes. */
static void
finish(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static _Noreturn void
work(void (*look)(const void *, void *), const void *arg, size_t n, int fd,
    pid_t parent)
{
	char out[RESULT_ROOM] = { 0 };

	if (!set_apart(parent, &fd))
		_exit(1);
	look(arg, out);
	/* A pipe takes all of it or, the parent being gone, ends us. */
	_exit(write(fd, out, n) != (ssize_t)n);
}

/* All signals are blocked, the worker's among them until it is set apart. */
static enum auth_reason
run(void (*look)(const void *, void *), const void *arg, void *out, size_t n,
    const sigset_t *let_in, const volatile sig_atomic_t *stop)
{
	enum auth_reason reason = AUTH_NO_WORKER;
	const pid_t parent = getpid();
	int ends[2], e;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return AUTH_NO_WORKER;
	pid = fork();
	e = errno;
	if (pid == 0)
		work(look, arg, n, ends[1], parent);
	close(ends[1]);
	if (pid > 0) {
		reason = hear(ends[0], out, n, let_in, stop);
		finish(pid);
	}
	close(ends[0]);
	errno = e;
	return reason;
}

/*
 * Where SIGCHLD is ignored, as some starters leave it, a dead worker's number
 * is free before we have waited for it, and could be another process's when
 * we end it.
 */
enum auth_reason
auth_worker(void (*look)(const void *, void *), const void *arg, void *out,
    size_t n, const volatile sig_atomic_t *stop)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	struct sigaction before;
	enum auth_reason reason;
	sigset_t all, let_in;
	int e;

	if (n > RESULT_ROOM)
		log_bug("a worker's result of %zu bytes", n);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &let_in);
	sigaction(SIGCHLD, &usual, &before);
	reason = run(look, arg, out, n, &let_in, stop);
	e = errno;
	sigaction(SIGCHLD, &before, NULL);
	sigprocmask(SIG_SETMASK, &let_in, NULL);
	errno = e;
	return reason;
}
