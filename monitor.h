/*
 * monitor.h - the process that inetd started, before anybody is logged in: it
 * keeps the rights, and reads nothing that a client has sent but what the
 * front brings in a struct wire_request. May include floor 0, auth.h and
 * priv.h only: what it runs, runs as root.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "auth.h"
#include "lib/ending.h"
#include "lib/peer.h"
#include "lib/wire.h"

struct monitor {
	const struct auth *auth;
	const struct peer *peer;
	int timeout;		/* seconds until somebody must be logged in */
	bool may_tls;		/* a front may go on, and pass the bytes */
	const volatile sig_atomic_t *stop;
	/* The front: runs in a process of its own until the connection is
	 * over or the client is logged in, and returns an enum ending. */
	int (*front)(void *arg, int channel);
	void *arg;

	enum ending ending;	/* where nobody has logged in */

	/* After a login. */
	struct identity who;
	enum wire_kind kind;	/* of the command that is to be answered */
	bool tls;		/* the front goes on, and passes the bytes */
	size_t tag_n;
	char tag[TAG_MAX_BYTES];
	struct wire_rest rest;	/* what the client has sent behind it */

	/* Its own. */
	pid_t front_pid;
	int channel;
	uint32_t seq;
	unsigned refused;
	int64_t deadline;
	struct wire_request *q;	/* in memory that is never written to disk */
};

/*
 * Serves until somebody is logged in: then true, with no password left in
 * this process, and no front either unless m->tls. Else false: the connection
 * is over, and that is logged.
 */
bool	monitor_run(struct monitor *m);
/* The end of a session behind a front that passed its bytes: waits some
 * seconds for it to send the last of them. */
void	monitor_end(struct monitor *m);

#endif
