/*
 * auth_user.c - who a person is: what the system's own files say of a user,
 * and whether such a person may log in at all. Whether a password is right
 * it does not know. Runs in the worker, but for auth_may_log_in.
 */
#include "auth_own.h"

#ifndef WITHOUT_NSS
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#endif
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/params.h"

enum auth_reason
auth_may_log_in(uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0)
		return AUTH_ROOT;
	/* To setresuid(2) it means: change nothing. */
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return AUTH_NO_ID;
	if (uid < AUTH_UID_MIN)
		return AUTH_SYSTEM_USER;
	if (geteuid() != 0 && (uid != geteuid() || gid != getegid()))
		return AUTH_OTHER_USER;
	return AUTH_RIGHT;
}

enum auth_reason
auth_identity(struct identity *who, struct str user, struct str home,
    uid_t uid, gid_t gid)
{
	memset(who, 0, sizeof(*who));
	if (!login_name_ok(user))
		return AUTH_BAD_NAME;
	if (home.n == 0 || home.n >= sizeof(who->home) || home.p[0] != '/')
		return AUTH_NO_HOME;
	memcpy(who->user, user.p, user.n);
	memcpy(who->home, home.p, home.n);
	who->uid = uid;
	who->gid = gid;
	return auth_may_log_in(uid, gid);
}

#ifdef WITHOUT_NSS

/* A jail has no users but those of a password file; and what asks the system
 * for its users loads libraries, which a static program should not. */
void
auth_groups(struct identity *who)
{
	who->groups_n = 1;
	who->groups[0] = who->gid;
}

enum auth_reason
auth_user(const char *name, struct identity *who, struct str *hash,
    enum auth_reason *age)
{
	(void)name;
	(void)who;
	(void)hash;
	(void)age;
	return AUTH_UNKNOWN;
}

#else

/*
 * Without root's, and without "mail": in a spool of that group it would let a
 * session read everybody's mail, through a link in the user's own home
 * (CVE-2008-1199). The gid itself stays what the system says. In a user of
 * the same name but with another uid the system knows somebody else.
 */
void
auth_groups(struct identity *who)
{
	const struct passwd *pw = getpwnam(who->user);
	const struct group *mail = getgrnam("mail");
	const gid_t without = mail == NULL ? (gid_t)-1 : mail->gr_gid;
	gid_t groups[LOGIN_GROUPS];
	int i, n = LOGIN_GROUPS;

	who->groups_n = 0;
	groups[0] = who->gid;
	if (pw == NULL || pw->pw_uid != who->uid || geteuid() != 0)
		n = 1;
	else if (getgrouplist(who->user, who->gid, groups, &n) < 0)
		n = LOGIN_GROUPS;	/* as many as have room */
	for (i = 0; i < n; i++)
		if (groups[i] != without && groups[i] != 0)
			who->groups[who->groups_n++] = groups[i];
}

/*
 * shadow(5), in days since 1970; -1 stands for an empty field. A password
 * that has its longest age is refused though it could still be changed: we
 * can not offer that, and with pam_unix too it is no login. A change that
 * lies in the future is a clock's mistake, and counts as today's.
 */
static enum auth_reason
age_of(const struct spwd *sp)
{
	const long today = (long)(time(NULL) / 86400);

	if (sp->sp_expire >= 0 && today >= sp->sp_expire)
		return AUTH_EXPIRED;
	if (sp->sp_lstchg == 0)
		return AUTH_MUST_CHANGE;
	if (sp->sp_lstchg > 0 && sp->sp_max >= 0 &&
	    today - sp->sp_lstchg > sp->sp_max)
		return AUTH_PASSWORD_OLD;
	return AUTH_RIGHT;
}

/* Where shadow knows nothing of the user, passwd may hold the hash. */
enum auth_reason
auth_user(const char *name, struct identity *who, struct str *hash,
    enum auth_reason *age)
{
	const struct passwd *pw = getpwnam(name);
	const struct spwd *sp;
	enum auth_reason reason;

	if (pw == NULL)
		return AUTH_UNKNOWN;
	reason = auth_identity(who, str_c(pw->pw_name), str_c(pw->pw_dir),
	    pw->pw_uid, pw->pw_gid);
	if (reason != AUTH_RIGHT)
		return reason;
	sp = getspnam(who->user);
	*hash = str_c(sp != NULL ? sp->sp_pwdp : pw->pw_passwd);
	*age = sp != NULL ? age_of(sp) : AUTH_RIGHT;
	return AUTH_RIGHT;
}

#endif
