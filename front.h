/*
 * front.h - who speaks with a client before it is logged in: a process of its
 * own, without rights, files or a log.
 */
#ifndef FRONT_H
#define FRONT_H

#include "options.h"
#include "session.h"

struct front {
	struct session *session;
	const struct start *start;
	/* For TLS, or -1: where the session's bytes go, and the session's own
	 * end of that. */
	int relay, other;
	pid_t monitor;	/* when that dies, so does this */
};

/*
 * For struct monitor, whose contract it has: arg is a struct front. Gives up
 * what the process has, greets, and serves until somebody is logged in; with
 * TLS, passes the session's bytes from then on.
 */
int	front_run(void *arg, int channel);

#endif
