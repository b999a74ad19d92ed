/*
 * await.c - waiting for descriptors until a deadline or a signal. Reads and
 * writes nothing.
 */
#include "await.h"

#include <errno.h>
#include <time.h>

int64_t
await_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One ppoll(2): above 0 when one is ready, 0 to be called again. */
static int
wait_once(struct pollfd *fds, nfds_t n, int64_t deadline,
    const sigset_t *let_in)
{
	int64_t ms = deadline == 0 ? 0 : deadline - await_now();
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
	int r;

	if (ms < 0)
		return AWAIT_TIMEOUT;
	r = ppoll(fds, n, deadline == 0 ? NULL : &left, let_in);
	return r >= 0 ? r : errno == EINTR ? 0 : AWAIT_FAILED;
}

int
await_fds(struct pollfd *fds, nfds_t n, int64_t deadline,
    const volatile sig_atomic_t *stop, const sigset_t *let_in)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	do
		r = stop != NULL && *stop ? AWAIT_STOPPED :
		    wait_once(fds, n, deadline, let_in != NULL ? let_in :
		    &old);
	while (r == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r > 0 ? 0 : r;
}
