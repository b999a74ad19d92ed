/*
 * unit_priv.c - priv.c where the system refuses what it asks for, and where
 * it says "done" and lies: the process must end, and never go on with
 * rights left over. What is done for real needs root.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "unit.h"
#include "../lib/log.h"
#include "../priv.h"

/* The calls of priv.c, in its order. */
enum call { NONE, PLACE, PLACE_GONE, ROOT, KEEPCAPS, GROUPS, GID, UID,
    SEE_UID, SEE_GID, SEE_GROUPS, BACK_GROUPS, BACK_GID, BACK_UID,
    CAPGET, NO_NEW_PRIVS, DUMPABLE };
enum fate { FAIL, LIE };

/* One of them does not do what it should; shared with the child. */
static struct {
	enum call call;
	enum fate fate;
	enum call order[64];
	unsigned n;
	bool went_on;		/* priv_become or priv_front returned */
	bool front;		/* priv_front instead */
	bool empty;		/* its root directory, seen by root */
	const struct passwd *front_user;
} *world;

static struct identity who;

/* 0: go on for real. Else the caller returns *r. */
static bool
fated(enum call call, int *r)
{
	if (world == NULL)	/* before main */
		return false;
	if (world->n < 64)
		world->order[world->n++] = call;
	if (world->call != call)
		return false;
	errno = EPERM;
	*r = world->fate == FAIL ? -1 : 0;
	return true;
}

struct passwd *
getpwnam(const char *name)
{
	static struct passwd found;

	if (strcmp(name, PRIV_FRONT_USER) != 0 || world->front_user == NULL)
		return NULL;
	found = *world->front_user;
	return &found;
}

char *
mkdtemp(char *name)
{
	static char *(*real)(char *);
	int r;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "mkdtemp");
	return fated(PLACE, &r) ? NULL : real(name);
}

/* Done all the same: nothing is left behind. */
int
rmdir(const char *name)
{
	int done = (int)syscall(SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR);
	int r;

	return fated(PLACE_GONE, &r) ? r : done;
}

int
chroot(const char *path)
{
	int r;

	return fated(ROOT, &r) ? r : (int)syscall(SYS_chroot, path);
}

int
setgroups(size_t n, const gid_t *groups)
{
	int r;

	return fated(geteuid() == 0 ? GROUPS : BACK_GROUPS, &r) ? r :
	    (int)syscall(SYS_setgroups, n, groups);
}

int
setresgid(gid_t r, gid_t e, gid_t s)
{
	int x;

	return fated(GID, &x) ? x : (int)syscall(SYS_setresgid, r, e, s);
}

int
setresuid(uid_t r, uid_t e, uid_t s)
{
	int x;

	/* The lie that hurts: the saved one stays. */
	if (fated(UID, &x))
		return x != 0 ? x : (int)syscall(SYS_setresuid, r, e, 0);
	return (int)syscall(SYS_setresuid, r, e, s);
}

int
getresuid(uid_t *r, uid_t *e, uid_t *s)
{
	int x;

	if (fated(SEE_UID, &x) && x != 0)
		return x;
	return (int)syscall(SYS_getresuid, r, e, s);
}

int
getresgid(gid_t *r, gid_t *e, gid_t *s)
{
	int x;

	if (fated(SEE_GID, &x) && x != 0)
		return x;
	return (int)syscall(SYS_getresgid, r, e, s);
}

int
getgroups(int n, gid_t *groups)
{
	int x;

	if (fated(SEE_GROUPS, &x))
		return x == 0 ? 77 : x;
	return (int)syscall(SYS_getgroups, n, groups);
}

int
setgid(gid_t gid)
{
	int x;

	return fated(BACK_GID, &x) ? x : (int)syscall(SYS_setgid, gid);
}

int
setuid(uid_t uid)
{
	int x;

	return fated(BACK_UID, &x) ? x : (int)syscall(SYS_setuid, uid);
}

/* Root looks, who may look everywhere. */
static bool
holds_nothing(void)
{
	struct dirent *e;
	DIR *d;
	int n = 0;

	d = opendir("/");
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n == 0 && open("/x", O_WRONLY | O_CREAT, 0600) < 0 &&
	    errno == ENOENT && access("/etc/passwd", F_OK) != 0 &&
	    access("../../../etc/passwd", F_OK) != 0;
}

int
prctl(int what, ...)
{
	enum call call = what == PR_SET_KEEPCAPS ? KEEPCAPS :
	    what == PR_SET_NO_NEW_PRIVS ? NO_NEW_PRIVS : DUMPABLE;
	unsigned long value;
	va_list ap;
	int x;

	va_start(ap, what);
	value = va_arg(ap, unsigned long);
	va_end(ap);
	if (what == PR_CAPBSET_READ || what == PR_CAPBSET_DROP)
		return (int)syscall(SYS_prctl, what, value, 0, 0, 0);
	if (call == KEEPCAPS && world != NULL && world->front)
		world->empty = holds_nothing();
	if (fated(call, &x))
		return x;
	return (int)syscall(SYS_prctl, what, value, 0, 0, 0);
}

/* Reads six arguments where there may be fewer, as the kernel does. */
__attribute__((no_sanitize("address"))) long
syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;
	int i, x;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_capget && fated(CAPGET, &x) && x != 0)
		return x;
	x = (int)real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_capget && world != NULL && world->call == CAPGET) {
		struct __user_cap_data_struct *data = (void *)a[1];

		data[1].permitted |= 1;
	}
	return x;
}

/* Becomes `who` in a child, and looks there; the child's exit status. */
static int
become(bool (*look)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	world->went_on = false;
	world->n = 0;
	pid = fork();
	if (pid == 0) {
		if (world->front)
			priv_front();
		else
			priv_become(&who);
		world->went_on = true;
		_exit(look == NULL || look() ? 0 : 1);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool
ends_when(enum call call, enum fate fate)
{
	int status;

	world->call = call;
	world->fate = fate;
	status = become(NULL);
	world->call = NONE;
	return status == EX_SOFTWARE && !world->went_on;
}

/* Nor could a program have any. */
static bool
is_bound(void)
{
	unsigned long cap;

	for (cap = 0; cap < 64; cap++)
		if (syscall(SYS_prctl, PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			return false;
	return true;
}

static bool
is_alex(void)
{
	uid_t u[3];
	gid_t g[3], groups[4];

	return getresuid(&u[0], &u[1], &u[2]) == 0 && u[0] == 1234 &&
	    u[1] == 1234 && u[2] == 1234 &&
	    getresgid(&g[0], &g[1], &g[2]) == 0 && g[0] == 1235 &&
	    g[1] == 1235 && g[2] == 1235 &&
	    syscall(SYS_getgroups, 4, groups, 0, 0, 0, 0) == 2 &&
	    groups[0] == 1235 && groups[1] == 4321 &&
	    syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	    syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	    access("/proc/self/fd/0", F_OK) == 0;
}

static bool
order_is(const enum call *want)
{
	unsigned at = 0, i;

	for (i = 0; i < world->n && want[at] != NONE; i++)
		if (world->order[i] == want[at])
			at++;
		else if (world->order[i] < want[at] && at < 4)
			return false;
	return want[at] == NONE;
}

static void
test_failures(const char *whose)
{
	static const struct {
		const char *what;
		enum call call;
		enum fate fate;
	} rows[] = {
		{ "prctl(PR_SET_KEEPCAPS) fails", KEEPCAPS, FAIL },
		{ "setgroups fails", GROUPS, FAIL },
		{ "setgroups lies", GROUPS, LIE },
		{ "setresgid fails", GID, FAIL },
		{ "setresgid lies", GID, LIE },
		{ "setresuid fails", UID, FAIL },
		{ "setresuid leaves the saved uid", UID, LIE },
		{ "getresuid fails", SEE_UID, FAIL },
		{ "getresgid fails", SEE_GID, FAIL },
		{ "getgroups fails", SEE_GROUPS, FAIL },
		{ "the groups are others", SEE_GROUPS, LIE },
		{ "setgroups works still", BACK_GROUPS, LIE },
		{ "setgid(0) works", BACK_GID, LIE },
		{ "setuid(0) works", BACK_UID, LIE },
		{ "capget fails", CAPGET, FAIL },
		{ "a capability is left", CAPGET, LIE },
		{ "prctl(PR_SET_NO_NEW_PRIVS) fails", NO_NEW_PRIVS, FAIL },
		{ "prctl(PR_SET_DUMPABLE) fails", DUMPABLE, FAIL },
	};
	char what[100];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Where there are no groups a lie about them is none. */
		if (world->front && rows[i].call == GROUPS &&
		    rows[i].fate == LIE)
			continue;
		snprintf(what, sizeof(what), "%s ends when %s", whose,
		    rows[i].what);
		CHECK(what, ends_when(rows[i].call, rows[i].fate));
	}
}

static bool
refused(uid_t uid, gid_t gid, size_t groups_n)
{
	const struct identity before = who;
	int status;

	who.uid = uid;
	who.gid = gid;
	who.groups_n = groups_n;
	status = become(NULL);
	who = before;
	return status == EX_SOFTWARE && !world->went_on;
}

/* What a starter may have set, and a child inherits. */
static int
become_with_securebits(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (syscall(SYS_prctl, PR_SET_SECUREBITS,
		    SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0)
			_exit(1);
		priv_become(&who);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
	    WEXITSTATUS(status) : -1;
}

static int
become_with_keepcaps(void)
{
	int status;

	syscall(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	status = become(is_alex);
	syscall(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return status;
}

static void
test_root(void)
{
	static const enum call order[] = { KEEPCAPS, GROUPS, GID, UID,
	    SEE_UID, CAPGET, NO_NEW_PRIVS, NONE };

	CHECK("becomes the user, all three ids, groups and no more",
	    become(is_alex) == 0);
	CHECK("no capability can be gained", become(is_bound) == 0);
	CHECK("groups, then gid, then uid, then the proof", order_is(order));
	CHECK("PR_SET_KEEPCAPS of a starter is undone",
	    become_with_keepcaps() == 0);
	CHECK("capabilities that outlive the uid end the process",
	    become_with_securebits() == EX_SOFTWARE);
	test_failures("it");
	CHECK("never becomes uid 0", refused(0, 1235, 2));
	CHECK("never gid 0", refused(1234, 0, 2));
	CHECK("never uid -1, which means: as it is",
	    refused((uid_t)-1, 1235, 2));
	CHECK("never gid -1", refused(1234, (gid_t)-1, 2));
	CHECK("never more groups than there is room for",
	    refused(1234, 1235, LOGIN_GROUPS + 1));
}

static bool
is_nobody(void)
{
	uid_t u[3];
	gid_t g[3];

	return getresuid(&u[0], &u[1], &u[2]) == 0 && u[0] == 65534 &&
	    u[1] == 65534 && u[2] == 65534 &&
	    getresgid(&g[0], &g[1], &g[2]) == 0 && g[0] == 65534 &&
	    g[1] == 65534 && g[2] == 65534 &&
	    syscall(SYS_getgroups, 0, NULL) == 0 &&
	    syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	    syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* It can not even be looked into: it was root's. */
static bool
is_nowhere(void)
{
	return access("/", R_OK) != 0 && access("/etc/passwd", F_OK) != 0 &&
	    access("../../../etc/passwd", F_OK) != 0 &&
	    open("/x", O_WRONLY | O_CREAT, 0600) < 0;
}

static bool
is_somewhere(void)
{
	return is_nobody() && access("/etc/passwd", R_OK) == 0;
}

static bool
is_its_own(void)
{
	return getuid() == 1240 && getgid() == 1241 && is_nowhere();
}

/* The names that priv_front makes, wherever. */
static int
places(void)
{
	static const char *const at[] = { "/run", "/tmp", "/" };
	struct dirent *e;
	size_t i;
	int n = 0;
	DIR *d;

	for (i = 0; i < 3; i++) {
		d = opendir(at[i]);
		while (d != NULL && (e = readdir(d)) != NULL)
			n += strncmp(e->d_name, "imapd.", 6) == 0;
		if (d != NULL)
			closedir(d);
	}
	return n;
}

static bool
front_goes_on_when(enum call call, bool (*look)(void))
{
	int status;

	world->call = call;
	world->fate = FAIL;
	status = become(look);
	world->call = NONE;
	return status == 0;
}

static const struct passwd front_users[] = {
	{ .pw_uid = 1240, .pw_gid = 1241 },
	{ .pw_uid = 0, .pw_gid = 1241 },
	{ .pw_uid = 1240, .pw_gid = 0 },
};

static int
front_as(int i)
{
	int status;

	world->front_user = &front_users[i];
	status = become(is_its_own);
	world->front_user = NULL;
	return status;
}

static void
test_front(void)
{
	static const enum call order[] = { PLACE, PLACE_GONE, ROOT, KEEPCAPS,
	    GROUPS, GID, UID, NONE };
	const int before = places();

	world->front = true;
	if (syscall(SYS_chroot, "/") != 0) {
		CHECK("the front # SKIP may not change its root", true);
		return;
	}
	CHECK("the front is number 65534 where it has no user",
	    become(is_nobody) == 0);
	CHECK("in a directory where not even root finds or makes a file",
	    world->empty);
	CHECK("and it can not even look there", become(is_nowhere) == 0);
	CHECK("it was there before it was another", order_is(order));
	CHECK("it is " PRIV_FRONT_USER " where there is one",
	    front_as(0) == 0);
	CHECK("but never with uid 0", front_as(1) == EX_SOFTWARE);
	CHECK("nor with gid 0", front_as(2) == EX_SOFTWARE);
	CHECK("it goes on where chroot is refused",
	    front_goes_on_when(ROOT, is_somewhere));
	CHECK("and where there is no place for a directory",
	    front_goes_on_when(PLACE, is_somewhere));
	CHECK("and where its name can not be taken away",
	    front_goes_on_when(PLACE_GONE, is_somewhere));
	test_failures("the front");
	CHECK("nothing is left behind", places() == before);
	world->front = false;
}

/* As an ordinary user; root becomes one for it. */
static void
test_user(void)
{
	if (geteuid() == 0 && (syscall(SYS_setgroups, 0, NULL) != 0 ||
	    syscall(SYS_setresgid, 1235, 1235, 1235) != 0 ||
	    syscall(SYS_setresuid, 1234, 1234, 1234) != 0))
		exit(99);
	who.uid = geteuid();
	who.gid = getegid();
	CHECK("a user stays the same user", become(NULL) == 0);
	CHECK("for which ids are looked at, and no program can give rights",
	    world->n == 4 && world->order[0] == SEE_UID &&
	    world->order[1] == SEE_GID &&
	    world->order[2] == NO_NEW_PRIVS && world->order[3] == DUMPABLE);
	CHECK("and becomes no other", refused(who.uid + 1, who.gid, 0));
	CHECK("nor gets another gid", refused(who.uid, who.gid + 1, 0));
	CHECK("nor root", refused(0, 0, 0));
	world->front = true;
	CHECK("the front stays that user, too", become(NULL) == 0);
	CHECK("and keeps its root directory", world->n == 4 &&
	    world->order[2] == NO_NEW_PRIVS && world->order[3] == DUMPABLE);
	CHECK("and ends when no_new_privs can not be set",
	    ends_when(NO_NEW_PRIVS, FAIL));
	world->front = false;
	CHECK("ends when getresuid fails", ends_when(SEE_UID, FAIL));
	CHECK("ends when getresgid fails", ends_when(SEE_GID, FAIL));
	CHECK("ends when no_new_privs can not be set",
	    ends_when(NO_NEW_PRIVS, FAIL));
}

int
main(void)
{
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED)
		return 99;
	who = (struct identity){ .uid = 1234, .gid = 1235, .groups_n = 2,
	    .groups = { 1235, 4321 }, .user = "alex", .home = "/" };
	if (geteuid() == 0) {
		test_root();
		test_front();
	} else {
		CHECK("becoming a user # SKIP needs root", true);
	}
	test_user();
	return unit_end();
}
