/*
 * ask.h - the front's question whether a login is right. Who answers is not
 * its business: the answer comes from the other end of a channel (wire.h),
 * and in its own time.
 */
#ifndef ASK_H
#define ASK_H

#include <stdbool.h>

#include "lib/wire.h"

struct ask {
	int channel;
	uint32_t seq;
	unsigned refused;
};

/* What a client says of itself; any bytes, of any length. */
struct credentials {
	struct str user;
	struct str authz;	/* empty: the same as user */
	struct str password;
};

/*
 * Asks, and waits for the answer; LOGIN_UNAVAILABLE when nobody is there to
 * give one. What is too long or has a NUL is wrong like any other. No copy of
 * the password is left.
 */
enum login_answer	ask_login(struct ask *ask, enum wire_kind kind,
			    bool tls, struct str tag,
			    const struct credentials *c);
/* No more tries are taken: LOGIN_TRIES were refused. */
bool	ask_is_over(const struct ask *ask);
/* After a yes: the session is to begin with these bytes of the client's, as
 * many as IO_IN_BYTES. -1 when nobody is there to take them. */
int	ask_hand_over(const struct ask *ask, struct str rest);

#endif
