/*
 * login.h - one attempt to log in, and who it turns out to be: what passes
 * between the side that reads the network and the side that may look at
 * passwords. Fixed sizes and lengths, never text that must be taken apart
 * again (CVE-2008-1218: a TAB in a password became a field of its own).
 */
#ifndef LOGIN_H
#define LOGIN_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "str.h"

enum {
	/* PAM and crypt(3) take no more than 511 bytes of password. */
	LOGIN_USER_BYTES = 255,
	LOGIN_PASSWORD_BYTES = 511,
	LOGIN_GROUPS = 256,
};

/* All bytes behind a length are zero. */
struct login {
	size_t user_n;
	size_t authz_n;		/* 0: the same as user */
	size_t password_n;
	char user[LOGIN_USER_BYTES + 1];
	char authz[LOGIN_USER_BYTES + 1];
	char password[LOGIN_PASSWORD_BYTES + 1];
};

enum login_answer {
	LOGIN_NO,		/* whatever of it was wrong */
	LOGIN_YES,
	LOGIN_EXPIRED,		/* the password was right, but is too old */
	LOGIN_NOT_AS,		/* right, but not for acting as authz */
	LOGIN_UNAVAILABLE,	/* nobody could be asked */
};

/* A person, as the system knows it. */
struct identity {
	uid_t uid;
	gid_t gid;
	size_t groups_n;
	gid_t groups[LOGIN_GROUPS];
	char user[LOGIN_USER_BYTES + 1];
	char home[PATH_MAX];
};

/*
 * Fills l; -1, and l as if nothing had been typed, when a part is too long
 * or holds a NUL, which no password file can have.
 */
int	login_set(struct login *l, struct str user, struct str authz,
	    struct str password);
/* A name that can stand in a path, in a log line and in a PAM module's call:
 * printable ASCII without space, "/" and ":", no "." or "-" in front. */
int	login_name_ok(struct str user);
/* Overwrites memory that held a secret; the compiler may not leave it out. */
void	login_wipe(void *p, size_t n);

#endif
