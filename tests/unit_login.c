/*
 * unit_login.c - login.c: what may be typed at all, and that nothing of it
 * stays behind.
 */
#include "unit.h"
#include "../lib/login.h"

static struct login l;

static bool
empty(void)
{
	static const struct login none;

	return memcmp(&l, &none, sizeof(l)) == 0;
}

static bool
set(size_t user, size_t authz, size_t password)
{
	static const char x[1024] = { [0 ... 1023] = 'x' };

	memset(&l, 'z', sizeof(l));
	return login_set(&l, (struct str){ x, user },
	    (struct str){ x, authz }, (struct str){ x, password }) == 0;
}

static void
test_set(void)
{
	struct str nul = STR("a\0b"), a = STR("alex");

	memset(&l, 'z', sizeof(l));
	CHECK("three parts are taken", login_set(&l, a, STR("other"),
	    STR("pass:\tword")) == 0);
	CHECK("the user, with NULs behind it", l.user_n == 4 &&
	    strcmp(l.user, "alex") == 0 && l.user[LOGIN_USER_BYTES] == '\0');
	CHECK("whom to act as", l.authz_n == 5 &&
	    strcmp(l.authz, "other") == 0);
	CHECK("the password, as it was typed", l.password_n == 10 &&
	    strcmp(l.password, "pass:\tword") == 0 && l.password[400] == 0);
	CHECK("what was there before is gone", login_set(&l, STR(""),
	    STR(""), (struct str){ NULL, 0 }) == 0 && empty());
	CHECK("255 bytes of user", set(255, 0, 1) && l.user_n == 255);
	CHECK("256 are too many", !set(256, 0, 1) && empty());
	CHECK("255 bytes of another", set(1, 255, 1) && l.authz_n == 255);
	CHECK("256 are too many", !set(1, 256, 1) && empty());
	CHECK("511 bytes of password", set(1, 0, 511) &&
	    l.password_n == 511 && l.password[511] == '\0');
	CHECK("512 are too many", !set(1, 0, 512) && empty());
	CHECK("no NUL in a user", login_set(&l, nul, STR(""), a) == -1 &&
	    empty());
	CHECK("none in another", login_set(&l, a, nul, a) == -1 && empty());
	CHECK("none in a password (CVE-2008-1218)",
	    login_set(&l, a, STR(""), nul) == -1 && empty());
}

static void
test_name(void)
{
	static const char *const good[] = {
		"a", "alex", "Alex.Smith", "alex@example.org", "a-b_c+d", "0",
		"%n%s", "a.", "\\", "[x]", "*", "~",
	};
	static const char *const bad[] = {
		"", ".", "..", ".alex", "-a", "a b", " a", "a ", "a/b", "/a",
		"a:b", ":", "a\tb", "a\nb", "a\rb", "\001", "a\177",
		"\303\274", "a\377",
	};
	char many[LOGIN_USER_BYTES + 1];
	size_t i;

	memset(many, 'a', sizeof(many));
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK("a name that a user can have",
		    login_name_ok(str_c(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK("a name that no user can have",
		    !login_name_ok(str_c(bad[i])));
	CHECK("no NUL in it", !login_name_ok(STR("a\0b")));
	CHECK("255 bytes",
	    login_name_ok((struct str){ many, LOGIN_USER_BYTES }));
	CHECK("not 256",
	    !login_name_ok((struct str){ many, LOGIN_USER_BYTES + 1 }));
}

int
main(void)
{
	test_set();
	test_name();
	memset(&l, 'z', sizeof(l));
	login_wipe(&l, sizeof(l));
	CHECK("a wiped login is zeros", empty());
	return unit_end();
}
