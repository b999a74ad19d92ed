/*
 * auth.h - is this password right, and whose is it? The only file that knows
 * PAM, crypt(3) and the password files. It sees a struct login and nothing
 * else of the network; it may include floor 0 only.
 *
 * Each try runs in a worker process that looks, answers with a struct
 * identity and is gone: reading one line of /etc/shadow leaves the hashes of
 * its neighbours in memory, so no process that did may become the user.
 */
#ifndef AUTH_H
#define AUTH_H

#include <signal.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/login.h"

enum { AUTH_METHODS = 8 };

enum auth_kind { AUTH_PAM, AUTH_SHADOW, AUTH_FILE };

struct auth_method {
	enum auth_kind kind;
	const char *path;	/* of AUTH_FILE; not copied */
};

struct auth {
	struct auth_method methods[AUTH_METHODS];	/* tried in order */
	size_t n;
};

/*
 * Adds what one --auth says: "pam", "shadow" or "file:PATH". A user whom a
 * file lists is decided by that file alone; pam or shadow comes last and is
 * final, so that no PAM "no" is ever asked again elsewhere. E_LIMIT or E_NAME
 * with why, in words for who wrote the option.
 */
enum err	auth_add(struct auth *a, const char *value, struct why *why);
/* What stands where no --auth was given: pam where it is built in, else
 * shadow, else nothing, and then nobody gets in. */
void	auth_default(struct auth *a);
/* What --auth takes in this program, in words. */
const char	*auth_built_in(void);

/*
 * Looks at one try, in a worker of its own, for at most AUTH_TIMEOUT seconds;
 * ends early (LOGIN_UNAVAILABLE) when *stop gets set. `peer` is the client's
 * numeric address, or "" (PAM_RHOST). Only LOGIN_YES fills *who, and only
 * then with a person who may log in: not uid 0 nor a system user (uid below
 * AUTH_UID_MIN), and when we are not root nobody but ourselves. Why not is
 * written to the log in words, without the password; the client must not
 * learn it. l stays as it is: its owner wipes it.
 */
enum login_answer	auth_check(const struct auth *a,
			    const struct login *l, const char *peer,
			    const volatile sig_atomic_t *stop,
			    struct identity *who);

#endif
