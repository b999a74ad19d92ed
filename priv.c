/*
 * priv.c - the one place where the process changes who it is. It does not
 * believe the system's "done": it tries every way back, and a way that is
 * open ends the process. Nothing here is optional.
 */
#include "priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#ifndef WITHOUT_NSS
#include <pwd.h>
#endif
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"

/* "nobody" by number, where the front has no user of its own: a host or a
 * jail may not know the name. */
enum { NOBODY = 65534 };

static void
must(int r, const char *what)
{
	if (r != 0)
		log_fatal("can not give up root: %s: %s", what,
		    strerror(errno));
}

static void
must_not(bool bad, const char *what)
{
	if (bad)
		log_fatal("root is not given up: %s", what);
}

/* Real, effective and saved: the saved one is the way back. */
static void
prove_ids(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	must(getresuid(&r, &e, &s), "getresuid");
	must(getresgid(&rg, &eg, &sg), "getresgid");
	must_not(r != uid || e != uid || s != uid, "a uid is another");
	must_not(rg != gid || eg != gid || sg != gid, "a gid is another");
}

/* PR_SET_KEEPCAPS and the securebits(7) are inherited; where one of them was
 * set, capabilities outlive the uid. */
static void
prove_no_capability(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	size_t i;

	memset(data, 0xff, sizeof(data));
	must((int)syscall(SYS_capget, &head, data), "capget");
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		must_not(data[i].effective != 0 || data[i].permitted != 0,
		    "a capability is left");
}

static void
prove_no_way_back(const struct identity *who)
{
	prove_ids(who->uid, who->gid);
	must_not(getgroups(0, NULL) != (int)who->groups_n,
	    "the groups are others");
	must_not(setgroups(0, NULL) == 0, "setgroups works");
	must_not(setgid(0) == 0, "setgid works");
	must_not(setuid(0) == 0, "setuid works");
	prove_no_capability();
}

/*
 * What a program could have that is started from here: none is. Who has not
 * the right to drop them (CAP_SETPCAP) keeps them, for nothing: no_new_privs
 * lets nobody use them.
 */
static void
drop_bounds(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/*
 * Groups first, then gid, then uid: each needs rights that the next takes
 * away.
 */
static void
change(const struct identity *who)
{
	must_not(who->uid == 0 || who->gid == 0, "asked to become root");
	must_not(who->uid == (uid_t)-1 || who->gid == (gid_t)-1,
	    "asked to become nobody");
	must_not(who->groups_n > LOGIN_GROUPS, "too many groups");
	must(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)");
	drop_bounds();
	must(setgroups(who->groups_n, who->groups), "setgroups");
	must(setresgid(who->gid, who->gid, who->gid), "setresgid");
	must(setresuid(who->uid, who->uid, who->uid), "setresuid");
	prove_no_way_back(who);
}

/* There are passwords in it, and later mail; setresuid(2) gives back what was
 * taken here. */
void
priv_hide(void)
{
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)");
}

void
priv_become(const struct identity *who)
{
	if (geteuid() == 0)
		change(who);
	else
		prove_ids(who->uid, who->gid);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
	    "prctl(PR_SET_NO_NEW_PRIVS)");
	priv_hide();
}

/* An empty directory whose name is gone: nothing can ever be made in it, not
 * by root either. -1 where none can be made. */
static int
nameless_directory(void)
{
	static const char *const at[] = { "/run", "/tmp", "" };
	char name[32];
	int fd = -1;
	size_t i;

	for (i = 0; fd < 0 && i < sizeof(at) / sizeof(at[0]); i++) {
		snprintf(name, sizeof(name), "%s/imapd.XXXXXX", at[i]);
		if (mkdtemp(name) == NULL)
			continue;
		fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
		if (rmdir(name) != 0 && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	return fd;
}

/* The ids are what counts: without CAP_SYS_CHROOT it goes on. */
static void
leave_files(void)
{
	int fd = nameless_directory();

	if (fd < 0 || fchdir(fd) != 0 || chroot(".") != 0)
		log_warn("the front keeps its root directory: %s",
		    strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* A program without the system's users knows nobody by name. */
static void
find_front(struct identity *who)
{
#ifndef WITHOUT_NSS
	const struct passwd *pw = getpwnam(PRIV_FRONT_USER);

	if (pw != NULL) {
		who->uid = pw->pw_uid;
		who->gid = pw->pw_gid;
		return;
	}
#endif
	who->uid = NOBODY;
	who->gid = NOBODY;
}

void
priv_front(void)
{
	struct identity who = { .uid = geteuid(), .gid = getegid() };

	if (who.uid == 0) {
		find_front(&who);
		leave_files();
	}
	priv_become(&who);
}
