/*
 * unit_auth.c - auth.c with all its refusals, in a made world: users, groups,
 * hashes' ages, PAM, the caller's own uid and the clock are what the test
 * says, so that it all runs as any user. The worker process is real; what it
 * answers can be forged on its way out. Real PAM: pam.t.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <shadow.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifndef WITHOUT_PAM
#include <security/pam_appl.h>
#endif

#include "unit.h"
#include "../auth.h"
#include "../auth_own.h"
#include "../lib/log.h"
#include "../lib/params.h"

enum { TODAY = 20000, MAIL_GID = 8, FILE_ROOM = 65536 };

/* As in auth.c: what comes through the pipe. */
struct result {
	uint32_t magic;
	uint32_t reason;
	uint32_t method;
	int32_t detail;
	struct identity who;
};

/* What the worker's fate is when it has its answer, and what was seen of it
 * then; shared with it. */
static struct {
	void (*forge)(struct result *r, size_t *n);
	int clock_ahead;	/* seconds */
	unsigned hashes;	/* crypt_r was called so often */
	char phrase[600];
	char setting[400];
	pid_t worker;
	bool apart;		/* from the parent's files, signals, ... */
	char pam[2000];		/* the calls of PAM, in words */
} *world;

/* The rest of the made world: the worker has a copy. */
static struct {
	uid_t euid;
	gid_t egid;
	uid_t owner;		/* of our files */
	bool no_dev;
	int fork_error, pipe_error;
	bool no_setsid;
	char *crypt_says;	/* instead of the truth; "": NULL */
} made;

/* The one user whom the system knows. */
static struct user {
	const char *name, *passwd, *shadow, *home;
	uid_t uid;
	gid_t gid;
	long last, max, expire, inactive;
	const gid_t *groups;
	int groups_n;
} u;

static const gid_t some_groups[] = { 1235, 4, MAIL_GID, 100 };
static char good[128];		/* the hash of "secret" */
static char path[] = "/tmp/unit_auth.XXXXXX";
static char text[1024];		/* what was logged */
static int log_fd, own_stderr;
static pid_t test_pid;
static volatile sig_atomic_t stop;
static struct auth a;
static struct identity who;

/* --- The made world ------------------------------------------------ */

uid_t
geteuid(void)
{
	return made.euid;
}

gid_t
getegid(void)
{
	return made.egid;
}

time_t
time(time_t *t)
{
	const time_t now = (time_t)TODAY * 86400 + 7;

	if (t != NULL)
		*t = now;
	return now;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	if (world != NULL)
		t->tv_sec += world->clock_ahead;
	return r;
}

int
fstat(int fd, struct stat *st)
{
	if (fstatat(fd, "", st, AT_EMPTY_PATH) == -1)
		return -1;
	if (st->st_uid == getuid())
		st->st_uid = made.owner;
	return 0;
}

int
open(const char *name, int flags, ...)
{
	if (made.no_dev && strcmp(name, "/dev/null") == 0) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, name, flags, 0);
}

int
pipe2(int ends[2], int flags)
{
	if (made.pipe_error != 0) {
		errno = made.pipe_error;
		return -1;
	}
	return (int)syscall(SYS_pipe2, ends, flags);
}

pid_t
fork(void)
{
	static pid_t (*real)(void);

	if (made.fork_error != 0) {
		errno = made.fork_error;
		return -1;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fork");
	return real();
}

pid_t
setsid(void)
{
	return made.no_setsid ? -1 : (pid_t)syscall(SYS_setsid);
}

char *
crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	(void)data;
	world->hashes++;
	snprintf(world->phrase, sizeof(world->phrase), "%s", phrase);
	snprintf(world->setting, sizeof(world->setting), "%s", setting);
	if (made.crypt_says == NULL)
		return crypt(phrase, setting);
	return *made.crypt_says == '\0' ? NULL : made.crypt_says;
}

struct passwd *
getpwnam(const char *name)
{
	static struct passwd pw;
	static char copy[4][5000];

	if (u.name == NULL || strcmp(u.name, name) != 0)
		return NULL;
	pw.pw_name = strcpy(copy[0], u.name);
	pw.pw_passwd = strcpy(copy[1], u.passwd);
	pw.pw_dir = strcpy(copy[2], u.home);
	pw.pw_uid = u.uid;
	pw.pw_gid = u.gid;
	return &pw;
}

struct spwd *
getspnam(const char *name)
{
	static struct spwd sp;
	static char copy[400];

	if (u.shadow == NULL || strcmp(u.name, name) != 0)
		return NULL;
	sp.sp_pwdp = strcpy(copy, u.shadow);
	sp.sp_lstchg = u.last;
	sp.sp_max = u.max;
	sp.sp_expire = u.expire;
	sp.sp_inact = u.inactive;
	return &sp;
}

struct group *
getgrnam(const char *name)
{
	static struct group mail = { .gr_gid = MAIL_GID };

	return strcmp(name, "mail") == 0 ? &mail : NULL;
}

int
getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n)
{
	int i;

	(void)name;
	(void)gid;
	for (i = 0; i < u.groups_n && i < *n; i++)
		groups[i] = u.groups != NULL ? u.groups[i] :
		    (gid_t)(1000 + i);
	i = u.groups_n > *n ? -1 : u.groups_n;
	*n = u.groups_n;
	return i;
}

/* Is the worker as it should be, before strangers' code runs in it? */
static bool
is_apart(void)
{
	struct rlimit core, cpu, memory;
	struct sigaction action;
	struct stat st;
	char cwd[8];
	sigset_t mask;
	int fd, i;

	for (fd = 0; fd <= 2; fd++)
		if (fstatat(fd, "", &st, AT_EMPTY_PATH) != 0 ||
		    (made.no_dev ? !S_ISFIFO(st.st_mode) :
		    st.st_rdev != 0x103))
			return false;
	for (i = 1; i < 32; i++)
		if (sigaction(i, NULL, &action) != 0 ||
		    action.sa_handler != SIG_DFL)
			return false;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_CPU, &cpu);
	getrlimit(RLIMIT_AS, &memory);
#ifdef __SANITIZE_ADDRESS__
	memory.rlim_max = 1;
#endif
	return !sigismember(&mask, SIGTERM) && core.rlim_max == 0 &&
	    cpu.rlim_max <= 30 && memory.rlim_max <= 256 << 20 &&
	    umask(0) == 077 && prctl(PR_GET_DUMPABLE) == 0 &&
	    getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, "/") == 0 &&
	    getsid(0) == getpid() &&
	    /* A module's helper that has the pipe would be believed. */
	    fcntl(3, F_GETFD) == FD_CLOEXEC;
}

/* The worker's answer, on its way out. */
ssize_t
write(int fd, const void *p, size_t n)
{
	char bytes[sizeof(struct result) + 64] = { 0 };

	if (getpid() == test_pid || n != sizeof(struct result))
		return syscall(SYS_write, fd, p, n);
	world->worker = getpid();
	world->apart = is_apart();
	memcpy(bytes, p, n);
	if (world->forge != NULL)
		world->forge((struct result *)bytes, &n);
	return syscall(SYS_write, fd, bytes, n);
}

/* --- Trying -------------------------------------------------------- */

static void
file_of(const char *bytes, size_t n)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_TRUNC | O_CREAT, 0600);

	if (fd < 0 || syscall(SYS_write, fd, bytes, n) != (ssize_t)n ||
	    fchmod(fd, 0600) != 0)
		exit(99);
	close(fd);
}

/* "%H" stands for the good hash. */
static void
file(const char *lines)
{
	char out[FILE_ROOM];
	size_t n = 0;

	for (; *lines != '\0'; lines++)
		if (lines[0] == '%' && lines[1] == 'H') {
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s",
			    good);
			lines++;
		} else
			out[n++] = *lines;
	file_of(out, n);
}

static void
methods(const char *first, const char *second)
{
	static char value[64];
	struct why why;

	a.n = 0;
	snprintf(value, sizeof(value), "file:%s", path);
	if (auth_add(&a, strcmp(first, "file") == 0 ? value : first,
	    &why) != E_OK || (second != NULL && auth_add(&a, second,
	    &why) != E_OK))
		exit(99);
}

static enum login_answer
try_as(const char *user, const char *authz, const char *password)
{
	enum login_answer answer;
	struct login l;
	ssize_t n;

	if (login_set(&l, str_c(user), str_c(authz), str_c(password)) != 0)
		exit(99);
	memset(&who, 'z', sizeof(who));
	world->hashes = 0;
	world->phrase[0] = world->setting[0] = world->pam[0] = '\0';
	if (ftruncate(log_fd, 0) != 0 || lseek(log_fd, 0, SEEK_SET) != 0 ||
	    dup2(log_fd, 2) != 2)
		exit(99);
	fflush(stdout);
	answer = auth_check(&a, &l, "192.0.2.1", &stop, &who);
	dup2(own_stderr, 2);
	n = pread(log_fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	world->clock_ahead = 0;
	stop = 0;
	return answer;
}

static enum login_answer
try(const char *user, const char *password)
{
	return try_as(user, "", password);
}

static bool
untouched(void)
{
	struct identity z;

	memset(&z, 'z', sizeof(z));
	return memcmp(&who, &z, sizeof(who)) == 0;
}

/* One log line that says so, unless it was a yes, and not the password. */
static bool
logged(const char *words)
{
	const char *end = strchr(text, '\n');

	if (words == NULL)
		return text[0] == '\0';
	return end != NULL && end[1] == '\0' &&
	    strstr(text, "]: no login for ") != NULL &&
	    strstr(text, words) != NULL && strstr(text, "secret") == NULL;
}

/*
 * One try: its answer, its line in the log, and that a hash was computed,
 * exactly one, of this very password, whatever the answer.
 */
static void
point(const char *what, const char *user, const char *password,
    enum login_answer want, const char *words)
{
	enum login_answer got = try(user, password);
	bool fine = got == want && logged(words) &&
	    (got == LOGIN_YES || untouched()) && world->hashes == 1 &&
	    strcmp(world->phrase, password) == 0;

	if (!CHECK(what, fine))
		printf("# answer %d, %u hashes of \"%s\", log: %s\n", got,
		    world->hashes, world->phrase, text);
}

/* --- What --auth says ---------------------------------------------- */

static bool
takes(const char *value)
{
	struct why why = { "" };
	enum err e = auth_add(&a, value, &why);

	return (e == E_OK) == (why.text[0] == '\0') && e == E_OK;
}

static void
test_add(void)
{
	struct why why;
	int i;

	a.n = 0;
	CHECK("a file", takes("file:/etc/imap.passwd") && a.n == 1 &&
	    a.methods[0].kind == AUTH_FILE &&
	    strcmp(a.methods[0].path, "/etc/imap.passwd") == 0);
	CHECK("another file", takes("file:/b") && a.n == 2);
	CHECK("not a file that depends on where we were started",
	    !takes("file:b") && a.n == 2);
	CHECK("no file without a name", !takes("file:") && !takes("file"));
	CHECK("no other words", !takes("") && !takes("Shadow") &&
	    !takes("shadow ") && !takes("shadow,pam") && !takes("passwd"));
	CHECK("then shadow", takes("shadow") && a.n == 3 &&
	    a.methods[2].kind == AUTH_SHADOW);
	CHECK("which has the last word", !takes("file:/c") &&
	    !takes("shadow") && !takes("pam") && a.n == 3);
	for (a.n = 0, i = 0; i < AUTH_METHODS; i++)
		if (!takes("file:/a"))
			break;
	CHECK("eight methods", i == AUTH_METHODS);
	CHECK("and not a ninth", auth_add(&a, "file:/a", &why) == E_LIMIT);
	auth_default(&a);
#ifdef WITHOUT_PAM
	CHECK("without PAM: shadow", a.n == 1 &&
	    a.methods[0].kind == AUTH_SHADOW);
	a.n = 0;
	CHECK("pam is not to be had", !takes("pam") && a.n == 0);
#else
	CHECK("by itself: PAM", a.n == 1 && a.methods[0].kind == AUTH_PAM);
	CHECK("which has the last word", !takes("file:/c"));
#endif
}

/* --- A password file, as an ordinary user -------------------------- */

static const char usual[] = "# users\n\nalex:%H:1234:1235:Alex:/home/alex\n"
    "bob:%H:1234:1235::/home/bob:/bin/sh:more\n";

static void
test_file(void)
{
	char nothing_at_all[] = "", failed[] = "*0", shorter[] = "$6$";

	methods("file", NULL);
	file(usual);
	point("right", "alex", "secret", LOGIN_YES, NULL);
	CHECK("who it is", who.uid == 1234 && who.gid == 1235 &&
	    strcmp(who.user, "alex") == 0 &&
	    strcmp(who.home, "/home/alex") == 0 && who.groups_n == 1 &&
	    who.groups[0] == 1235);
	CHECK("the worker was set apart", world->apart);
	CHECK("and is gone", kill(world->worker, 0) == -1 && errno == ESRCH);
	point("wrong", "alex", "Secret", LOGIN_NO, "wrong password");
	point("a longer password", "alex", "secret ", LOGIN_NO, "wrong");
	point("its beginning", "alex", "secre", LOGIN_NO, "wrong");
	point("an empty password", "alex", "", LOGIN_NO, "empty");
	point("another's fields", "bob", "secret", LOGIN_YES, NULL);
	CHECK("more fields do not matter",
	    strcmp(who.home, "/home/bob") == 0);
	point("the lower-case name, where the given one is unknown", "ALEX",
	    "secret", LOGIN_YES, NULL);
	CHECK("it is that one", strcmp(who.user, "alex") == 0);
	point("unknown", "carl", "secret", LOGIN_NO, "no such user");
	CHECK("the dummy is the file's first hash",
	    strcmp(world->setting, good) == 0);
	point("a comment is nobody", "# users", "secret", LOGIN_NO,
	    "no user can have");
	file("#alex:%H:1234:1235::/home/alex\n");
	point("nor is one without white space", "#alex", "secret", LOGIN_NO,
	    "no such user");
	file(usual);
	point("the beginning of a name", "ale", "secret", LOGIN_NO,
	    "no such user");
	point("a name with a field in it", "alex:x", "secret", LOGIN_NO,
	    "no user can have");
	point("no name", "", "secret", LOGIN_NO, "no user can have");
	point("a name out of another directory", "../alex", "secret",
	    LOGIN_NO, "no user can have");
	point("a forged line in the log", "alex\nimapd: Login user=x",
	    "wrong", LOGIN_NO, "for alex\\x0aimapd:\\x20Login\\x20user=x: ");
	made.crypt_says = nothing_at_all;
	point("crypt_r says NULL", "alex", "secret", LOGIN_UNAVAILABLE,
	    "can not compute it");
	made.crypt_says = failed;
	point("crypt_r says *0", "alex", "secret", LOGIN_UNAVAILABLE,
	    "can not compute it");
	made.crypt_says = shorter;
	point("crypt_r says something shorter", "alex", "secret", LOGIN_NO,
	    "wrong");
	made.crypt_says = NULL;
}

static void
line(const char *what, const char *lines, const char *words)
{
	file(lines);
	point(what, "alex", "secret", words == NULL ? LOGIN_YES : LOGIN_NO,
	    words);
}

static void
test_lines(void)
{
	static char big[FILE_ROOM];

	line("CRLF, and no line end at all",
	    "x:y\r\n\r\nalex:%H:1234:1235:a:/home/alex\r", NULL);
	line("CRLF does not get into the home",
	    "alex:%H:1234:1235:a:/home/alex\r\n", NULL);
	CHECK("it is the home", strcmp(who.home, "/home/alex") == 0);
	line("no line end", "alex:%H:1234:1235:a:/home/alex", NULL);
	line("the first of two counts", "alex:%H:1234:1235:a:/home/alex\n"
	    "alex:!:1234:1235:a:/home/alex\n", NULL);
	line("and not the second", "alex:!:1234:1235:a:/home/alex\n"
	    "alex:%H:1234:1235:a:/home/alex\n", "locked");
	line("nor after a broken one", "alex:%H:1234:1235:a\n"
	    "alex:%H:1234:1235:a:/home/alex\n", "the line is not");
	line("an empty file", "", "no such user");
	line("too few fields", "alex:%H:1234:1235:/home/alex\n", "line is");
	line("a name alone", "alex\n", "line is not");
	line("no uid", "alex:%H::1235:a:/home/alex\n", "line is not");
	line("a uid with a sign", "alex:%H:+1234:1235:a:/h\n", "line is not");
	line("a uid with white space", "alex:%H: 1234:1235:a:/h\n", "line is");
	line("a uid in hex", "alex:%H:0x4d2:1235:a:/h\n", "line is not");
	line("a uid of 33 bits", "alex:%H:4294968530:1235:a:/h\n", "line is");
	line("a gid that is none", "alex:%H:1234:users:a:/h\n", "line is");
	line("no home", "alex:%H:1234:1235:a:\n", "line is not");
	line("a relative home", "alex:%H:1234:1235:a:home\n", "line is not");
	line("uid 0", "alex:%H:0:1235:a:/h\n", "uid and gid 0");
	line("gid 0", "alex:%H:1234:0:a:/h\n", "uid and gid 0");
	line("uid 00", "alex:%H:00:1235:a:/h\n", "uid and gid 0");
	line("uid -1", "alex:%H:4294967295:1235:a:/h\n", "nobody's number");
	line("gid -1", "alex:%H:1234:4294967295:a:/h\n", "nobody's number");
	line("a system user", "alex:%H:99:1235:a:/h\n", "the system's own");
	line("another uid than ours", "alex:%H:1233:1235:a:/h\n",
	    "not the user that this server runs as");
	line("another gid than ours", "alex:%H:1234:1234:a:/h\n",
	    "not the user that this server runs as");
	snprintf(big, sizeof(big), "alex:%%H:1234:1235:%*s:/h\n", 8000, "x");
	line("a line of nearly 8 KiB", big, NULL);
	snprintf(big, sizeof(big), "alex:%%H:1234:1235:%*s:/h\n", 8192, "x");
	line("a longer one is no entry", big, "line is not");
	snprintf(big, sizeof(big), "alex:%%H:1234:1235::/%0*d\n", 4095, 0);
	line("a home as long as PATH_MAX", big, "line is not");
	file_of("alex:\0:1234:1235::/h\n", 21);
	point("a NUL in a line", "alex", "secret", LOGIN_NO, "line is not");
}

static void
hash(const char *what, const char *field, const char *words)
{
	char lines[FILE_ROOM];

	snprintf(lines, sizeof(lines), "alex:%s:1234:1235:a:/h\n", field);
	file(lines);
	point(what, "alex", "secret", LOGIN_NO, words);
	CHECK("crypt_r saw the dummy alone",
	    strncmp(world->setting, "$y$j9T$", 7) == 0);
}

/* None of these may come to crypt(3). */
static void
test_hashes(void)
{
	char field[1024];

	hash("an empty hash", "", "no password is set");
	hash("locked: !", "!", "locked");
	hash("locked: !!", "!!", "locked");
	hash("locked: *", "*", "locked");
	hash("locked: *LK*", "*LK*", "locked");
	hash("locked: NP", "NP", "locked");
	hash("locked: x", "x", "locked");
	hash("locked: ! before the hash", "!%H", "locked");
	hash("locked: * before the hash", "*%H", "locked");
	hash("two letters: a setting of DES", "ab", "should be a hash");
	hash("clear text", "secret", "should be a hash");
	hash("clear text of 13 letters, not of DES", "secret-secret",
	    "should be a hash");
	hash("clear text that is longer", "secretsecretsecret",
	    "should be a hash");
	hash("a short setting", "$6$ab", "should be a hash");
	hash("a hash of another program", "{SHA512-CRYPT}$6$a$bcdefgh",
	    "should be a hash");
	hash("white space before it", " %H", "should be a hash");
	hash("a hash with a byte of no text", "$6$saltsalt\001$aaaaaaaaaa",
	    "should be a hash");
	hash("DES", crypt("secret", "ab"), "DES");
	snprintf(field, sizeof(field), "$6$%0*d", 381, 0);
	hash("more than crypt(3) ever writes", field, "should be a hash");
	file("alex:$6$saltsaltsalt$:1234:1235:a:/h\n");
	point("a setting without a hash", "alex", "secret", LOGIN_NO,
	    "wrong");
}

static void
broken(const char *what, const char *words)
{
	enum login_answer got = try("alex", "secret");

	if (!CHECK(what, got == LOGIN_UNAVAILABLE && logged(words) &&
	    untouched()))
		printf("# answer %d, log: %s\n", got, text);
}

/* Whatever is wrong with the file: nobody gets in, and nobody else is
 * asked. */
static void
test_file_itself(void)
{
	char other[64];

	u = (struct user){ .name = "alex", .passwd = good, .home = "/",
	    .uid = 1234, .gid = 1235 };
	made.euid = made.owner = 0;
	methods("file", "shadow");
	file("bob:x\n");
	point("not listed: shadow is asked", "alex", "secret", LOGIN_YES,
	    NULL);
	file("alex:!:1234:1235::/\n");
	point("listed: it is not", "alex", "secret", LOGIN_NO, "locked");
	file("alex\n");
	point("not even when the line is broken", "alex", "secret", LOGIN_NO,
	    "line is not");
	file("aLex:!:1234:1235::/\nalex:!:1234:1235::/\n");
	point("nor when listed in lower case", "Alex", "secret", LOGIN_NO,
	    "locked");
	file("bob:x\n");
	chmod(path, 0620);
	broken("a file that its group may write to", "may write to it");
	chmod(path, 0602);
	broken("a file that anybody may write to", "may write to it");
	chmod(path, 0644);
	point("a file that all may read", "alex", "secret", LOGIN_YES, NULL);
	made.owner = 4242;
	broken("a file of another user", "may write to it");
	made.euid = 1234;
	made.owner = 0;
	file(usual);
	methods("file", NULL);
	point("root's file, for an ordinary user", "alex", "secret",
	    LOGIN_YES, NULL);
	made.owner = 4242;
	broken("a third one's", "may write to it");
	made.owner = 1234;
	snprintf(other, sizeof(other), "%s.x", path);
	if (rename(path, other) != 0 || symlink(other, path) != 0)
		exit(99);
	point("a link to a file", "alex", "secret", LOGIN_YES, NULL);
	unlink(path);
	unlink(other);
	broken("no file", "can not read it: No such file");
	if (mkfifo(path, 0600) != 0)
		exit(99);
	broken("a FIFO, without waiting", "no regular file");
	unlink(path);
	if (mkdir(path, 0700) != 0)
		exit(99);
	broken("a directory", "no regular file");
	rmdir(path);
	file(usual);
	if (truncate(path, 16777217) != 0)
		exit(99);
	broken("a file that is too big", "too large");
	file(usual);
}

/* --- The system's users, as root ----------------------------------- */

static struct user
alex(void)
{
	return (struct user){ .name = "alex", .passwd = "x", .shadow = good,
	    .home = "/home/alex", .uid = 1234, .gid = 1235, .last = 19000,
	    .max = 99999, .expire = -1, .inactive = -1,
	    .groups = some_groups, .groups_n = 4 };
}

static void
person(const char *what, enum login_answer want, const char *words)
{
	point(what, "alex", "secret", want, words);
	u = alex();
}

static void
test_shadow(void)
{
	made.euid = made.owner = 0;
	methods("shadow", NULL);
	u = alex();
	point("shadow: right", "alex", "secret", LOGIN_YES, NULL);
	CHECK("the system's groups, but mail", who.groups_n == 3 &&
	    who.groups[0] == 1235 && who.groups[1] == 4 &&
	    who.groups[2] == 100 && who.gid == 1235);
	point("wrong", "alex", "x", LOGIN_NO, "shadow: wrong password");
	point("unknown", "bob", "secret", LOGIN_NO, "no such user");
	CHECK("the dummy is of Debian's cost",
	    strncmp(world->setting, "$y$j9T$", 7) == 0);
	point("lower case", "AleX", "secret", LOGIN_YES, NULL);
	point("empty password", "alex", "", LOGIN_NO, "empty");
	u.passwd = good;
	u.shadow = NULL;
	person("a hash in passwd", LOGIN_YES, NULL);
	u.passwd = good;
	u.shadow = "*";
	person("shadow knows better", LOGIN_NO, "locked");
	u.shadow = NULL;
	person("x in passwd, nothing in shadow", LOGIN_NO, "locked");
	u.shadow = "";
	person("an empty hash", LOGIN_NO, "no password is set");
	u.uid = 0;
	person("uid 0", LOGIN_NO, "uid and gid 0");
	u.gid = 0;
	person("gid 0", LOGIN_NO, "uid and gid 0");
	u.uid = 99;
	person("a system user", LOGIN_NO, "system's own");
	u.uid = 100;
	person("the first that is none", LOGIN_YES, NULL);
	u.home = "home";
	person("a relative home", LOGIN_NO, "home is no absolute path");
	u.home = "";
	person("no home", LOGIN_NO, "home is no absolute path");
	u.name = "al ex";
	point("a name with a space", "al ex", "secret", LOGIN_NO,
	    "no user can have");
	u = alex();
	made.euid = 1234;
	point("who is not root can not ask", "alex", "secret",
	    LOGIN_UNAVAILABLE, "only root may ask it");
	made.euid = 0;
}

static void
test_ages(void)
{
	u.expire = TODAY;
	person("an account that expired today", LOGIN_EXPIRED,
	    "expired account");
	u.expire = TODAY + 1;
	person("one that will tomorrow", LOGIN_YES, NULL);
	u.expire = 0;
	person("one that did in 1970", LOGIN_EXPIRED, "expired account");
	u.expire = TODAY - 1;
	point("who does not know the password is not told", "alex", "x",
	    LOGIN_NO, "wrong password");
	u = alex();
	u.last = 0;
	person("a password that must be changed", LOGIN_EXPIRED, "changed");
	u.last = TODAY - 90;
	u.max = 90;
	person("the last day of a password", LOGIN_YES, NULL);
	u.last = TODAY - 91;
	u.max = 90;
	person("the day after it", LOGIN_EXPIRED, "too old");
	u.last = TODAY - 91;
	u.max = 90;
	u.inactive = 30;
	person("also where it could still be changed", LOGIN_EXPIRED, "old");
	u.last = TODAY + 5;
	u.max = 0;
	person("one that was changed tomorrow", LOGIN_YES, NULL);
	u.last = -1;
	u.max = 1;
	person("one that nobody knows the age of", LOGIN_YES, NULL);
	u.max = -1;
	person("one that may have any age", LOGIN_YES, NULL);
	u.last = LONG_MAX;
	u.max = LONG_MAX;
	person("ages beyond reason", LOGIN_YES, NULL);
}

static void
test_groups(void)
{
	methods("file", NULL);
	file("alex:%H:1234:1235:a:/h\n");
	point("root's file: right", "alex", "secret", LOGIN_YES, NULL);
	CHECK("groups of the system's user of that name and uid",
	    who.groups_n == 3 && who.groups[2] == 100);
	u.uid = 1233;
	point("another uid in the system", "alex", "secret", LOGIN_YES,
	    NULL);
	CHECK("then the gid alone", who.uid == 1234 && who.groups_n == 1 &&
	    who.groups[0] == 1235);
	u.name = NULL;
	point("not in the system", "alex", "secret", LOGIN_YES, NULL);
	CHECK("then the gid alone", who.groups_n == 1 &&
	    who.groups[0] == 1235);
	u = alex();
	u.groups = NULL;
	u.groups_n = 1000;
	point("a thousand groups", "alex", "secret", LOGIN_YES, NULL);
	CHECK("as many as have room", who.groups_n == LOGIN_GROUPS &&
	    who.groups[255] == 1255);
	u.groups_n = LOGIN_GROUPS;
	point("256 groups", "alex", "secret", LOGIN_YES, NULL);
	CHECK("have room", who.groups_n == LOGIN_GROUPS);
	file("alex:%H:1234:8:a:/h\n");
	u.name = NULL;
	point("mail as a user's own group", "alex", "secret", LOGIN_YES,
	    NULL);
	CHECK("stays that, and gives no other", who.gid == MAIL_GID &&
	    who.groups_n == 0);
	u = alex();
	file(usual);
}

/* --- PAM ----------------------------------------------------------- */

#ifndef WITHOUT_PAM

/* What the modules do. */
static struct {
	int start, authenticate, account;
	int styles[40];		/* of the messages they send, ended by 0 */
	int n;			/* instead of their number, if not 0 */
	int rounds;
	const char *user;	/* whom they make of it; "": none at all */
} stack;

static const struct pam_conv *conv;
static int (*delay)(int status, unsigned usec, void *arg);

static void
note(const char *fmt, ...)
{
	size_t n = strlen(world->pam);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(world->pam + n, sizeof(world->pam) - n, fmt, ap);
	va_end(ap);
}

int
pam_start(const char *service, const char *user, const struct pam_conv *c,
    pam_handle_t **pam)
{
	note("start %s %s;", service, user);
	conv = c;
	*pam = stack.start == PAM_SUCCESS ? (pam_handle_t *)&stack : NULL;
	if (stack.user == NULL)
		stack.user = strdup(user);
	return stack.start;
}

int
pam_set_item(pam_handle_t *pam, int type, const void *item)
{
	(void)pam;
	if (type == PAM_FAIL_DELAY)
		*(const void **)&delay = item;
	else
		note("%s %s;", type == PAM_RHOST ? "rhost" :
		    type == PAM_TTY ? "tty" : "item", (const char *)item);
	return PAM_SUCCESS;
}

int
pam_get_item(const pam_handle_t *pam, int type, const void **item)
{
	(void)pam;
	if (type != PAM_USER || *stack.user == '\0')
		return PAM_BAD_ITEM;
	*item = stack.user;
	return PAM_SUCCESS;
}

/* Asks what the modules ask; notes what they hear. */
static int
ask(void)
{
	struct pam_message m[40];
	const struct pam_message *list[40];
	struct pam_response *out = (void *)8;
	int i, n, r;

	for (n = 0; stack.styles[n] != 0; n++) {
		m[n].msg_style = stack.styles[n];
		m[n].msg = "?";
		list[n] = &m[n];
	}
	r = conv->conv(stack.n != 0 ? stack.n : n, list, &out,
	    conv->appdata_ptr);
	if (r != PAM_SUCCESS) {
		note(out == (void *)8 ? "refused;" : "refused, and more;");
		return r;
	}
	for (i = 0; i < n; i++) {
		note("<%s>", out[i].resp == NULL ? "" : out[i].resp);
		free(out[i].resp);
	}
	free(out);
	return PAM_SUCCESS;
}

int
pam_authenticate(pam_handle_t *pam, int flags)
{
	int i, r = PAM_SUCCESS;

	(void)pam;
	note("auth%s%s;", flags & PAM_SILENT ? " silent" : "",
	    flags & PAM_DISALLOW_NULL_AUTHTOK ? " nonull" : "");
	delay(PAM_AUTH_ERR, 4000000, NULL);
	for (i = 0; i < stack.rounds && r == PAM_SUCCESS; i++)
		r = ask();
	return r != PAM_SUCCESS ? r : stack.authenticate;
}

int
pam_acct_mgmt(pam_handle_t *pam, int flags)
{
	(void)pam;
	(void)flags;
	note("account;");
	return stack.account;
}

int
pam_end(pam_handle_t *pam, int status)
{
	(void)pam;
	note("end %d;", status);
	return PAM_SUCCESS;
}

static void
usual_stack(void)
{
	memset(&stack, 0, sizeof(stack));
	stack.rounds = 1;
	stack.styles[0] = PAM_PROMPT_ECHO_OFF;
}

/* A hash is computed here only where PAM has not computed its own. */
static void
pam(const char *what, const char *user, enum login_answer want,
    const char *words, const char *calls)
{
	enum login_answer got = try(user, "secret");

	if (!CHECK(what, got == want && logged(words) &&
	    (got == LOGIN_YES || untouched()) &&
	    strstr(world->pam, calls) != NULL))
		printf("# answer %d, %s, log: %s\n", got, world->pam, text);
	usual_stack();
	u = alex();
}

static void
test_pam(void)
{
	methods("pam", NULL);
	usual_stack();
	u = alex();
	pam("PAM: right", "alex", LOGIN_YES, NULL,
	    "start imap alex;tty imap;rhost 192.0.2.1;auth silent nonull;"
	    "<secret>account;end 0;");
	CHECK("who it is", who.uid == 1234 && who.groups_n == 3 &&
	    strcmp(who.home, "/home/alex") == 0);
	CHECK("PAM has spent the time", world->hashes == 0);
	stack.authenticate = PAM_AUTH_ERR;
	pam("wrong", "alex", LOGIN_NO, "pam: refused: ", "<secret>end 7;");
	stack.authenticate = PAM_USER_UNKNOWN;
	pam("unknown: PAM is asked, and counts", "bob", LOGIN_NO,
	    "pam: refused: ", "start imap bob;");
	CHECK("it takes as long as for others", world->hashes == 1 &&
	    strcmp(world->phrase, "secret") == 0);
	pam("known to PAM, not to the system", "bob", LOGIN_NO,
	    "system does not know", "account;end 0;");
	pam("lower case", "Alex", LOGIN_YES, NULL, "start imap alex;");
	u.shadow = "";
	pam("an empty hash is not shown to PAM", "alex", LOGIN_NO,
	    "no password is set", "");
	CHECK("at all", world->pam[0] == '\0' && world->hashes == 1);
	u.uid = 0;
	pam("nor is root", "alex", LOGIN_NO, "uid and gid 0", "");
	CHECK("at all", world->pam[0] == '\0' && world->hashes == 1);
	u.uid = 99;
	pam("nor a system user", "alex", LOGIN_NO, "system's own", "");
	CHECK("at all", world->pam[0] == '\0' && world->hashes == 1);
	point("an empty password is not shown to it", "alex", "", LOGIN_NO,
	    "empty");
	CHECK("at all", world->pam[0] == '\0');
	u.shadow = "!";
	stack.authenticate = PAM_AUTH_ERR;
	pam("a locked hash is PAM's to refuse", "alex", LOGIN_NO, "refused",
	    "auth");
	CHECK("but takes as long as another", world->hashes == 1);
	made.euid = 1234;
	point("who is not root can not ask", "alex", "secret",
	    LOGIN_UNAVAILABLE, "only root may ask it");
	made.euid = 0;
	stack.start = PAM_ABORT;
	pam("pam_start fails", "alex", LOGIN_UNAVAILABLE, "pam: failed: ",
	    "start imap alex;");
}

static void
test_pam_account(void)
{
	static const struct {
		int number;
		enum login_answer authenticate, account;
	} rows[] = {
		{ PAM_AUTH_ERR, LOGIN_NO, LOGIN_NO },
		{ PAM_PERM_DENIED, LOGIN_NO, LOGIN_NO },
		{ PAM_USER_UNKNOWN, LOGIN_NO, LOGIN_NO },
		{ PAM_MAXTRIES, LOGIN_NO, LOGIN_NO },
		{ PAM_CONV_ERR, LOGIN_NO, LOGIN_NO },
		{ PAM_IGNORE, LOGIN_NO, LOGIN_NO },
		{ PAM_TRY_AGAIN, LOGIN_NO, LOGIN_NO },
		{ PAM_INCOMPLETE, LOGIN_NO, LOGIN_NO },
		{ PAM_CRED_INSUFFICIENT, LOGIN_NO, LOGIN_NO },
		{ 1000, LOGIN_NO, LOGIN_NO },
		{ -1, LOGIN_NO, LOGIN_NO },
		{ PAM_ACCT_EXPIRED, LOGIN_NO, LOGIN_EXPIRED },
		{ PAM_AUTHTOK_EXPIRED, LOGIN_NO, LOGIN_EXPIRED },
		{ PAM_NEW_AUTHTOK_REQD, LOGIN_NO, LOGIN_EXPIRED },
		{ PAM_AUTHINFO_UNAVAIL, LOGIN_UNAVAILABLE,
		    LOGIN_UNAVAILABLE },
		{ PAM_ABORT, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_SYSTEM_ERR, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_BUF_ERR, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_OPEN_ERR, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_SYMBOL_ERR, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_SERVICE_ERR, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
		{ PAM_MODULE_UNKNOWN, LOGIN_UNAVAILABLE, LOGIN_UNAVAILABLE },
	};
	char what[100];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		stack.authenticate = rows[i].number;
		snprintf(what, sizeof(what), "pam_authenticate says %d",
		    rows[i].number);
		pam(what, "alex", rows[i].authenticate, "pam: ",
		    "auth silent nonull;<secret>end");
		stack.account = rows[i].number;
		snprintf(what, sizeof(what), "pam_acct_mgmt says %d",
		    rows[i].number);
		pam(what, "alex", rows[i].account, "pam: ", "account;end");
	}
}

static void
test_pam_talk(void)
{
	int i;

	stack.styles[0] = PAM_TEXT_INFO;
	stack.styles[1] = PAM_PROMPT_ECHO_ON;
	stack.styles[2] = PAM_ERROR_MSG;
	stack.styles[3] = PAM_PROMPT_ECHO_OFF;
	pam("words, a question for the name, one for the password", "Alex",
	    LOGIN_YES, NULL, "<><alex><><secret>account");
	stack.styles[1] = PAM_PROMPT_ECHO_OFF;
	pam("a second hidden question", "alex", LOGIN_NO, "refused: ",
	    "refused;end");
	stack.rounds = 2;
	pam("in another round", "alex", LOGIN_NO, "refused: ",
	    "<secret>refused;end");
	stack.styles[1] = PAM_BINARY_PROMPT;
	pam("a question in no words", "alex", LOGIN_NO, "refused: ",
	    "refused;end");
	stack.styles[0] = 99;
	pam("a message of no kind", "alex", LOGIN_NO, "refused: ",
	    "refused;end");
	stack.n = -1;
	pam("-1 messages", "alex", LOGIN_NO, "refused: ", "refused;end");
	stack.n = 33;
	pam("33 messages", "alex", LOGIN_NO, "refused: ", "refused;end");
	for (i = 0; i < 31; i++)
		stack.styles[i] = PAM_TEXT_INFO;
	stack.styles[31] = PAM_PROMPT_ECHO_OFF;
	pam("32 messages", "alex", LOGIN_YES, NULL, "<secret>account");
}

static void
test_pam_user(void)
{
	char name[300] = { 0 };

	stack.user = "alex";
	pam("PAM names another user: that one it is", "bob", LOGIN_YES, NULL,
	    "start imap bob;");
	CHECK("the one it names", strcmp(who.user, "alex") == 0);
	stack.user = "carl";
	pam("PAM names one whom the system does not know", "alex", LOGIN_NO,
	    "system does not know", "end 0;");
	stack.user = "ALEX";
	pam("under exactly that name", "alex", LOGIN_NO,
	    "system does not know", "end 0;");
	stack.user = "";
	pam("PAM names nobody", "alex", LOGIN_NO, "does not know", "end");
	stack.user = "al/ex";
	pam("PAM names one that can be no user", "alex", LOGIN_NO,
	    "no user can have", "end");
	memset(name, 'a', 256);
	stack.user = name;
	pam("PAM names one that is too long", "alex", LOGIN_NO,
	    "no user can have", "end");
	stack.user = "alex";
	u.uid = 0;
	pam("PAM names root", "bob", LOGIN_NO, "uid and gid 0", "end 0;");
	stack.user = "alex";
	u.uid = 42;
	pam("PAM names a system user", "bob", LOGIN_NO, "system's own",
	    "end 0;");
	stack.user = "alex";
	u.shadow = "";
	pam("PAM names one with an empty hash", "bob", LOGIN_NO,
	    "no password is set", "end 0;");
}

#endif

/* --- Acting as another --------------------------------------------- */

static void
test_authz(void)
{
	made.euid = made.owner = 1234;
	methods("file", NULL);
	CHECK("acting as oneself", try_as("alex", "alex", "secret") ==
	    LOGIN_YES);
	CHECK("by the name as it was given",
	    try_as("ALEX", "ALEX", "secret") == LOGIN_YES);
	CHECK("by the name as it is", try_as("ALEX", "alex", "secret") ==
	    LOGIN_YES);
	CHECK("not as another", try_as("alex", "bob", "secret") ==
	    LOGIN_NOT_AS && logged("act as another") && untouched());
	CHECK("of which only who knows the password is told",
	    try_as("alex", "bob", "x") == LOGIN_NO && logged("wrong"));
}

/* --- A worker that lies or dies ------------------------------------ */

static void
one_byte_less(struct result *r, size_t *n)
{
	(void)r;
	--*n;
}

static void
one_byte_more(struct result *r, size_t *n)
{
	(void)r;
	++*n;
}

static void
nothing(struct result *r, size_t *n)
{
	(void)r;
	*n = 0;
}

static void
all_zero(struct result *r, size_t *n)
{
	memset(r, 0, *n);
}

static void
all_ones(struct result *r, size_t *n)
{
	memset(r, 0xff, *n);
}

static void
wrong_magic(struct result *r, size_t *n)
{
	(void)n;
	r->magic++;
}

static void
no_reason(struct result *r, size_t *n)
{
	(void)n;
	r->reason = 0;
}

static void
big_reason(struct result *r, size_t *n)
{
	(void)n;
	r->reason = AUTH_REASONS;
}

static void
huge_reason(struct result *r, size_t *n)
{
	(void)n;
	r->reason = UINT32_MAX;
}

static void
big_method(struct result *r, size_t *n)
{
	(void)n;
	r->method = 2;
}

static void
uid_0(struct result *r, size_t *n)
{
	(void)n;
	r->who.uid = 0;
}

static void
gid_0(struct result *r, size_t *n)
{
	(void)n;
	r->who.gid = 0;
}

static void
uid_99(struct result *r, size_t *n)
{
	(void)n;
	r->who.uid = 99;
}

static void
uid_none(struct result *r, size_t *n)
{
	(void)n;
	r->who.uid = (uid_t)-1;
}

static void
uid_other(struct result *r, size_t *n)
{
	(void)n;
	r->who.uid = 1233;
}

static void
user_endless(struct result *r, size_t *n)
{
	(void)n;
	memset(r->who.user, 'a', sizeof(r->who.user));
}

static void
user_more(struct result *r, size_t *n)
{
	(void)n;
	r->who.user[sizeof(r->who.user) - 1] = 'a';
}

static void
user_none(struct result *r, size_t *n)
{
	(void)n;
	memset(r->who.user, 0, sizeof(r->who.user));
}

static void
user_path(struct result *r, size_t *n)
{
	(void)n;
	r->who.user[1] = '/';
}

static void
home_endless(struct result *r, size_t *n)
{
	(void)n;
	memset(r->who.home, '/', sizeof(r->who.home));
}

static void
home_relative(struct result *r, size_t *n)
{
	(void)n;
	r->who.home[0] = '.';
}

static void
home_more(struct result *r, size_t *n)
{
	(void)n;
	r->who.home[sizeof(r->who.home) - 1] = '/';
}

static void
groups_257(struct result *r, size_t *n)
{
	(void)n;
	r->who.groups_n = LOGIN_GROUPS + 1;
}

static void
groups_all(struct result *r, size_t *n)
{
	(void)n;
	r->who.groups_n = SIZE_MAX;
}

static void
dies(struct result *r, size_t *n)
{
	(void)r;
	(void)n;
	syscall(SYS_kill, getpid(), SIGKILL);
}

static void
ends(struct result *r, size_t *n)
{
	(void)r;
	(void)n;
	_exit(0);
}

static void
test_forged(void)
{
	static const struct {
		const char *what;
		void (*forge)(struct result *r, size_t *n);
	} rows[] = {
		{ "a byte less", one_byte_less },
		{ "a byte more", one_byte_more },
		{ "nothing", nothing }, { "zeros", all_zero },
		{ "ones", all_ones }, { "another magic", wrong_magic },
		{ "no reason", no_reason },
		{ "a reason too big", big_reason },
		{ "a huge reason", huge_reason },
		{ "a method that is not there", big_method },
		{ "uid 0", uid_0 }, { "gid 0", gid_0 },
		{ "a system user", uid_99 }, { "uid -1", uid_none },
		{ "another user than we are", uid_other },
		{ "a name without end", user_endless },
		{ "bytes behind the name", user_more },
		{ "no name", user_none }, { "a path for a name", user_path },
		{ "a home without end", home_endless },
		{ "a relative home", home_relative },
		{ "bytes behind the home", home_more },
		{ "257 groups", groups_257 },
		{ "endless groups", groups_all },
		{ "death", dies }, { "its end", ends },
	};
	char what[100];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world->forge = rows[i].forge;
		snprintf(what, sizeof(what), "the worker answers with %s",
		    rows[i].what);
		broken(what, "no login for alex: ");
	}
	world->forge = NULL;
}

/* --- A worker that does not come back ------------------------------ */

static int gone[2];		/* held open by whoever is not gone */
static bool sets_stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = sets_stop;
}

static _Noreturn void
wait_for_ever(void)
{
	for (;;)
		pause();
}

/* With a helper that hangs, too, and that wants to hear of no end. */
static void
hangs(struct result *r, size_t *n)
{
	(void)r;
	(void)n;
	if (fork() == 0) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		wait_for_ever();
	}
	if (!sets_stop)
		world->clock_ahead = AUTH_TIMEOUT + 1;
	syscall(SYS_kill, getppid(), SIGUSR1);
	wait_for_ever();
}

static void
kills_parent(struct result *r, size_t *n)
{
	(void)r;
	(void)n;
	syscall(SYS_kill, getppid(), SIGKILL);
	wait_for_ever();
}

/* Is nobody left who has our pipe? */
static bool
all_gone(void)
{
	struct pollfd pfd = { .fd = gone[0], .events = POLLIN };
	bool hung_up;

	close(gone[1]);
	hung_up = poll(&pfd, 1, 60000) == 1 && (pfd.revents & POLLHUP) != 0;
	close(gone[0]);
	return hung_up;
}

static void
test_hanging(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	world->forge = hangs;
	sets_stop = true;
	if (pipe(gone) != 0)
		exit(99);
	broken("a worker that hangs, and the server is to end",
	    "the server is ending");
	CHECK("neither it nor its helper is left", all_gone());
	sets_stop = false;
	if (pipe(gone) != 0)
		exit(99);
	broken("a worker that hangs for a minute", "no answer in time");
	CHECK("neither it nor its helper is left", all_gone());
	stop = 1;
	broken("no worker is waited for when the server is ending already",
	    "ending");
	world->forge = kills_parent;
	if (pipe(gone) != 0)
		exit(99);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		test_pid = getpid();
		try("alex", "secret");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	CHECK("the worker ends with its parent", all_gone());
	world->forge = NULL;
}

/* --- The parent, before and after ---------------------------------- */

static unsigned
open_fds(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A struct that says another length than it has is nobody's typing. */
static bool
aborts_on(size_t user_n, char behind)
{
	struct rlimit none = { 0, 0 };
	struct login l;
	int status;
	pid_t pid;

	login_set(&l, STR("alex"), STR(""), STR("secret"));
	l.user_n = user_n;
	l.password[100] = behind;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		log_open(LOG_TO_NONE);
		auth_check(&a, &l, "", NULL, &who);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGABRT;
}

static void
test_parent(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, after;
	unsigned fds;
	sigset_t mask;

	sigaction(SIGCHLD, &ignore, NULL);
	fds = open_fds();
	CHECK("SIGCHLD ignored by who started us",
	    try("alex", "secret") == LOGIN_YES);
	sigaction(SIGCHLD, NULL, &after);
	CHECK("it still is", after.sa_handler == SIG_IGN);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK("no signal stays blocked", !sigismember(&mask, SIGTERM) &&
	    !sigismember(&mask, SIGCHLD));
	CHECK("no descriptor stays open", open_fds() == fds);
	CHECK("no child is left", waitpid(-1, NULL, WNOHANG) == -1 &&
	    errno == ECHILD);
	signal(SIGCHLD, SIG_DFL);
	made.fork_error = EAGAIN;
	broken("no process can be made", "process that looks: Resource");
	made.fork_error = 0;
	made.pipe_error = EMFILE;
	broken("no pipe can be made", "process that looks: Too many");
	made.pipe_error = 0;
	made.no_setsid = true;
	broken("a worker that can not be set apart does nothing", "died");
	CHECK("at all", world->hashes == 0);
	made.no_setsid = false;
	made.no_dev = true;
	point("a jail without /dev", "alex", "secret", LOGIN_YES, NULL);
	CHECK("there too the worker is set apart", world->apart);
	made.no_dev = false;
	CHECK("a length that is not true", aborts_on(3, '\0'));
	CHECK("a length beyond all", aborts_on(SIZE_MAX, '\0'));
	CHECK("bytes behind the password", aborts_on(4, 'x'));
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_pid = getpid();
	made.euid = made.owner = 1234;
	made.egid = 1235;
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	log_fd = mkstemp(path);
	own_stderr = dup(2);
	if (world == MAP_FAILED || log_fd < 0 || own_stderr < 0 ||
	    unlink(path) != 0)
		return 99;
	snprintf(good, sizeof(good), "%s",
	    crypt("secret", "$6$rounds=1000$saltsalt"));
	log_open(LOG_TO_STDERR);
	test_add();
	test_file();
	test_lines();
	test_hashes();
	test_file_itself();
	test_shadow();
	test_ages();
	test_groups();
#ifndef WITHOUT_PAM
	test_pam();
	test_pam_account();
	test_pam_talk();
	test_pam_user();
#endif
	test_authz();
	test_forged();
	test_hanging();
	test_parent();
	unlink(path);
	return unit_end();
}
