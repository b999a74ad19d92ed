/*
 * await.h - waiting for descriptors until a deadline or a signal. Reads and
 * writes nothing.
 */
#ifndef AWAIT_H
#define AWAIT_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>

enum {
	AWAIT_TIMEOUT = -1,	/* the deadline has passed */
	AWAIT_STOPPED = -2,	/* *stop is set */
	AWAIT_FAILED = -3,	/* the system failed */
};

/* The clock of deadlines, monotonic, in milliseconds. */
int64_t	await_now(void);
/*
 * Waits until one of n descriptors is ready (0), or until `deadline` (0:
 * none), or a handler sets *stop (NULL: nothing does). Signals are let in
 * only inside ppoll(2), so that none slips in between the look at the flag
 * and the wait; `let_in` is the mask then (NULL: the one that holds now).
 */
int	await_fds(struct pollfd *fds, nfds_t n, int64_t deadline,
	    const volatile sig_atomic_t *stop, const sigset_t *let_in);

#endif
