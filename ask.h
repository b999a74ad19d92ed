/*
 * ask.h - the front's question whether a login is right. Who answers, and in
 * which process, is not its business: the answer comes through a function
 * that main has set. Counts the tries, and holds back a refusal so that its
 * time tells nothing.
 */
#ifndef ASK_H
#define ASK_H

#include <stdbool.h>

#include "lib/io.h"
#include "lib/login.h"

struct ask {
	/* Looks at the login; called in the process that may. */
	enum login_answer (*check)(void *arg, const struct login *l);
	void *arg;
	unsigned tries;		/* that were refused */
};

/*
 * Asks, and wipes l. Anything but LOGIN_YES is held back until a whole
 * multiple of REFUSAL_MS after the call, so that no answer tells by its time
 * who exists (CVE-2016-6210); io is not read meanwhile. Shorter only when a
 * signal comes.
 */
enum login_answer	ask_login(struct ask *ask, struct io *io,
			    struct login *l);
/* No more tries are taken: LOGIN_TRIES were refused. */
bool	ask_is_over(const struct ask *ask);

#endif
