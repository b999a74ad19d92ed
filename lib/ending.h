/*
 * ending.h - how a connection ended, and the line in the log for it. A front
 * that may not log says it with its exit status, so it can forge nothing.
 */
#ifndef ENDING_H
#define ENDING_H

enum ending {
	ENDING_NONE,		/* it goes on */
	ENDING_LOGOUT,
	ENDING_CUT,		/* the client is gone */
	ENDING_REFUSED,		/* we hung up */
	ENDING_TIMEOUT,
	ENDING_STOPPED,		/* by a signal to us */
	ENDING_LOGIN,		/* to go on as a session */
	ENDING_NO_TLS,		/* no handshake */
	ENDING_INJECTED,	/* something stood behind STARTTLS */
	ENDINGS
};

/* "Logout user=alex host=[192.0.2.7]"; user may be NULL. */
void	ending_log(enum ending ending, const char *user, const char *host);

#endif
