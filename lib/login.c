/*
 * login.c - filling and wiping the struct that carries a password. Decides
 * nothing: auth.c does.
 */
#include "login.h"

#include <string.h>

static int
put(char *to, size_t room, size_t *n, struct str s)
{
	if (s.n > room || (s.n > 0 && memchr(s.p, '\0', s.n) != NULL))
		return -1;
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	*n = s.n;
	return 0;
}

int
login_set(struct login *l, struct str user, struct str authz,
    struct str password)
{
	login_wipe(l, sizeof(*l));
	if (put(l->user, LOGIN_USER_BYTES, &l->user_n, user) == 0 &&
	    put(l->authz, LOGIN_USER_BYTES, &l->authz_n, authz) == 0 &&
	    put(l->password, LOGIN_PASSWORD_BYTES, &l->password_n,
	    password) == 0)
		return 0;
	login_wipe(l, sizeof(*l));
	return -1;
}

int
login_name_ok(struct str user)
{
	size_t i;

	if (user.n == 0 || user.n > LOGIN_USER_BYTES ||
	    user.p[0] == '.' || user.p[0] == '-')
		return 0;
	for (i = 0; i < user.n; i++)
		if (user.p[i] <= ' ' || user.p[i] > '~' ||
		    user.p[i] == '/' || user.p[i] == ':')
			return 0;
	return 1;
}

void
login_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}
