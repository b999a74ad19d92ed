/*
 * unit_dotlock.c - dotlock.c against the dotlocks of other programs, dead
 * and alive, and against what is no dotlock at all but has its name. The
 * age of a file and the failures of the system are made here.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../dotlock.h"

static char dir[] = "/tmp/unit_dotlock.XXXXXX";
enum { TEXT = 200, LONG_UP = 10000000 };

static char mailbox[64], lock_path[80], victim[80], fresh[TEXT];
static char host[65];
static int fd;
static struct dotlock lock = { .fd = -1 };
static struct why why;

/* The made world. */
static struct {
	int lock_age, mailbox_age;	/* seconds added to what is true */
	int clock_behind;		/* so is the file system's clock */
	int link_error;			/* linkat fails so */
	bool link_lies;			/* ... but has linked */
	bool no_proc;
	bool kill_before, kill_after;	/* at linkat */
	int write_error, kill_error;
	time_t up;			/* since the host's start, s */
	bool write_short;
	unsigned looks;			/* lstat at the lock so far */
	unsigned act_at, act_after;	/* at this one, act */
	void (*act)(void);
} world;

static bool
is_lock(const char *path)
{
	size_t n = strlen(path);

	return n > 5 && strcmp(path + n - 5, ".lock") == 0;
}

static void
make_older(struct stat *st, int seconds)
{
	st->st_mtime -= seconds;
	st->st_ctime -= seconds;
}

int
lstat(const char *path, struct stat *st)
{
	if (is_lock(path) && ++world.looks == world.act_at)
		world.act();
	if (fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (is_lock(path))
		make_older(st, world.lock_age);
	if (is_lock(path) && world.looks == world.act_after)
		world.act();
	return 0;
}

int
fstat(int of, struct stat *st)
{
	if (fstatat(of, "", st, AT_EMPTY_PATH) == -1)
		return -1;
	make_older(st, of == fd ? world.mailbox_age : world.clock_behind);
	return 0;
}

/* How long this machine is up is nobody's business but the test's. */
int
clock_gettime(clockid_t id, struct timespec *t)
{
	if (syscall(SYS_clock_gettime, id, t) == -1)
		return -1;
	if (id == CLOCK_BOOTTIME)
		t->tv_sec = world.up;
	return 0;
}

int
kill(pid_t pid, int signal)
{
	if (world.kill_error != 0) {
		errno = world.kill_error;
		return -1;
	}
	return (int)syscall(SYS_kill, pid, signal);
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	long r;

	if (world.kill_before)
		raise(SIGKILL);
	if (world.no_proc && strncmp(from, "/proc", 5) == 0) {
		errno = ENOENT;
		return -1;
	}
	if (world.link_error != 0 && !world.link_lies) {
		errno = world.link_error;
		return -1;
	}
	r = syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
	if (world.kill_after)
		raise(SIGKILL);
	if (world.link_lies) {
		errno = world.link_error;
		return -1;
	}
	return (int)r;
}

ssize_t
write(int to, const void *p, size_t n)
{
	if (world.write_error != 0) {
		errno = world.write_error;
		return -1;
	}
	return syscall(SYS_write, to, p, world.write_short ? n / 2 : n);
}

/* How many there are in the directory besides the mailbox. */
static unsigned
files(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d)) != NULL)
		n++;
	closedir(d);
	return n - 3;		/* it and the two dots */
}

static void
put(const char *path, const char *text, mode_t mode)
{
	int to = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (to == -1 || fchmod(to, mode) == -1 ||
	    syscall(SYS_write, to, text, strlen(text)) != (long)strlen(text))
		exit(99);
	close(to);
}

static struct str
content(const char *path)
{
	static char text[400];
	int from = open(path, O_RDONLY | O_NOFOLLOW);
	ssize_t n = from == -1 ? -1 : read(from, text, sizeof(text));

	if (from != -1)
		close(from);
	return (struct str){ text, n < 0 ? 0 : (size_t)n };
}

static enum err
take(void)
{
	world.looks = 0;
	why.text[0] = '\0';
	return dotlock_take(&lock, mailbox, fd, &why);
}

static bool
taken(void)
{
	if (take() != E_OK)
		return false;
	dotlock_drop(&lock);
	return files() == 0;
}

/* The answer to a foreign dotlock of that text, which is taken away. */
static enum err
meet(const char *text)
{
	enum err e;

	put(lock_path, text, 0644);
	e = take();
	if (e == E_OK)
		dotlock_drop(&lock);
	else
		unlink(lock_path);
	return e;
}

static void
says(char text[TEXT], long pid)
{
	snprintf(text, TEXT, "%ld:%s", pid, host);
}

/* The number of a process that is no more. */
static pid_t
dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static void
test_alone(void)
{
	char want[TEXT];
	struct stat st;

	umask(077);
	CHECK("where there is none it is made", take() == E_OK);
	CHECK("it is a file of one name that all may read",
	    lstat(lock_path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1 && (st.st_mode & 07777) == 0644);
	says(want, getpid());
	CHECK_STR("it says which process of which host, and no more",
	    content(lock_path), str_c(want));
	CHECK("nothing else is left in the directory", files() == 1);
	CHECK("a program that we start does not inherit it",
	    fcntl(lock.fd, F_GETFD) == FD_CLOEXEC);
	dotlock_drop(&lock);
	CHECK("it is gone when given back", files() == 0 && lock.fd == -1);
	umask(022);
}

static void
test_touch(void)
{
	struct timespec past[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	take();
	utimensat(AT_FDCWD, lock_path, past, 0);
	dotlock_touch(&lock);
	CHECK("touched, it is as young as can be",
	    lstat(lock_path, &st) == 0 && st.st_mtime > 1000 &&
	    st.st_atime > 1000 && st.st_mtime == st.st_ctime);
	dotlock_drop(&lock);
}

static void
test_owners(void)
{
	char dead[TEXT], text[2 * TEXT];
	pid_t live = getppid();

	says(dead, dead_pid());
	CHECK("the dotlock of a dead process is taken over at once",
	    meet(dead) == E_OK);
	snprintf(text, sizeof(text), "%s\n", dead);
	CHECK("also with a line end", meet(text) == E_OK);
	says(text, getpid());
	CHECK("so is that of a dead one with our own number",
	    meet(text) == E_OK);
	says(text, live);
	CHECK("that of a live process stands", meet(text) == E_INUSE);
	snprintf(text, sizeof(text), "process %ld on %s holds a dotlock on "
	    "the mailbox, 0 s old", (long)live, host);
	CHECK_STR("and its holder is named", str_c(why.text), str_c(text));
	world.kill_error = EPERM;
	CHECK("another user's process is one that lives",
	    meet(dead) == E_INUSE);
	world.kill_error = 0;
	snprintf(text, sizeof(text), "%s.other.host", dead);
	CHECK("a process of another host is not taken for dead",
	    meet(text) == E_INUSE);
	dead[strcspn(dead, ":")] = '\0';
	CHECK("nor one of a host that is not told", meet(dead) == E_INUSE);
	CHECK("whose number is named all the same",
	    strstr(why.text, dead) != NULL && strstr(why.text, " on ") ==
	    strstr(why.text, " on the mailbox"));
	strcat(dead, ":");
	CHECK("nor one of a host without a name", meet(dead) == E_INUSE);
	CHECK("a dotlock that says nothing stands", meet("") == E_INUSE);
	CHECK_STR("and its holder is another program", str_c(why.text),
	    STR("another program holds a dotlock on the mailbox, 0 s old"));
	CHECK("nothing was left behind", files() == 0);
}

static void
test_texts(void)
{
	static const char *const numbers[] = { "0", "-1", "4294967297",
	    "2147483648", " 1 2", "1x", "", "99999999999999999999" };
	char text[400];
	bool stand = true, named = false;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(text, sizeof(text), "%s:%s", numbers[i], host);
		stand = meet(text) == E_INUSE && stand;
		named = strstr(why.text, "process") != NULL || named;
	}
	CHECK("what is no process's number is nobody's", stand && !named);
	CHECK("a host's name can forge no line",
	    meet("77:a\nb\r\033[1m\x80") == E_INUSE &&
	    strstr(why.text, "process 77 on a\\x0ab\\x0d\\x1b") != NULL);
	memset(text, 'h', sizeof(text));
	memcpy(text, "77:", 3);
	text[sizeof(text) - 1] = '\0';
	CHECK("a long text is cut", meet(text) == E_INUSE &&
	    strstr(why.text, "0 s old") != NULL);
	put(lock_path, "", 0);
	CHECK("one that may not be read, as Postfix makes it, stands",
	    take() == E_INUSE);
	unlink(lock_path);
}

static void
test_age(void)
{
	static const struct {
		int lock, mailbox;
		enum err want;
		const char *what;
	} ages[] = {
		{ 0, 1000, E_INUSE, "a young dotlock stands" },
		{ 295, 1000, E_INUSE, "one of nearly 300 s stands" },
		{ 302, 1000, E_OK, "an older one is removed" },
		{ 302, 122, E_OK, "120 s without change are enough" },
		{ 302, 115, E_INUSE, "but not while the mailbox changes" },
		{ 9999, 0, E_INUSE, "however old the dotlock is" },
		{ -1000, 1000, E_INUSE, "one of the future stands" },
	};
	static const struct {
		time_t up;
		int lock, mailbox;
		enum err named, silent;
		const char *what;
	} starts[] = {
		{ 1000, 900, 0, E_INUSE, E_INUSE,
		    "one made since the host's start stands" },
		{ 1000, 1600, 0, E_OK, E_INUSE,
		    "one made before is nobody's when it names the host" },
		{ 1000, 1600, 1600, E_OK, E_OK,
		    "and no one's when the mailbox has not changed since" },
	};
	struct timespec past[2] = { { 1000, 0 }, { 1000, 0 } };
	char live[TEXT];
	size_t i;

	says(live, getppid());
	for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		world.lock_age = ages[i].lock;
		world.mailbox_age = ages[i].mailbox;
		CHECK(ages[i].what, meet("") == ages[i].want &&
		    meet(live) == ages[i].want);
	}
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		world.up = starts[i].up;
		world.lock_age = starts[i].lock;
		world.mailbox_age = starts[i].mailbox;
		CHECK(starts[i].what, meet(live) == starts[i].named &&
		    meet("") == starts[i].silent);
	}
	world.up = LONG_UP;
	world.lock_age = -1000;
	world.mailbox_age = 1000;
	meet(live);
	CHECK("the age is told, and never less than none",
	    strstr(why.text, ", 0 s old") != NULL);
	world.lock_age = world.mailbox_age = world.clock_behind = 1000;
	CHECK("the clock that counts is the file system's",
	    meet("") == E_INUSE);
	world.clock_behind = 0;
	world.lock_age = 100;
	CHECK("the age is told", meet("") == E_INUSE &&
	    strstr(why.text, ", 10") != NULL);
	world.lock_age = 0;
	put(lock_path, "", 0644);
	utimensat(AT_FDCWD, lock_path, past, 0);
	CHECK("an old mtime that was put there makes none stale",
	    take() == E_INUSE);
	unlink(lock_path);
	world.mailbox_age = 0;
}

static void
put_directory(void)
{
	mkdir(lock_path, 0700);
}

static void
put_fifo(void)
{
	mkfifo(lock_path, 0600);
}

static void
put_socket(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", lock_path);
	bind(s, (struct sockaddr *)&name, sizeof(name));
	close(s);
}

static void
put_symlink(void)
{
	if (symlink(victim, lock_path) == -1)
		exit(99);
}

static void
put_dangling(void)
{
	if (symlink("nowhere", lock_path) == -1)
		exit(99);
}

static void
put_hard_link(void)
{
	if (link(victim, lock_path) == -1)
		exit(99);
}

static void
put_mailbox(void)
{
	if (link(mailbox, lock_path) == -1)
		exit(99);
}

static void
test_strange(void)
{
	static const struct {
		void (*put)(void);
		const char *what;
		enum err old;
	} kinds[] = {
		{ put_directory, "a directory", E_PERM },
		{ put_fifo, "a FIFO", E_OK },
		{ put_socket, "a socket", E_OK },
		{ put_symlink, "a symbolic link", E_OK },
		{ put_dangling, "a symbolic link to nothing", E_OK },
		{ put_hard_link, "a hard link", E_OK },
		{ put_mailbox, "a hard link to the mailbox", E_OK },
	};
	char what[100];
	size_t i;
	enum err e;

	put(victim, "Once upon a time", 0600);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		world.lock_age = world.mailbox_age = 0;
		kinds[i].put();
		snprintf(what, sizeof(what), "%s stands", kinds[i].what);
		CHECK(what, take() == E_INUSE && files() == 1);
		world.lock_age = world.mailbox_age = 1000;
		snprintf(what, sizeof(what), "%s, old, is %s", kinds[i].what,
		    kinds[i].old == E_OK ? "removed" : "left");
		e = take();
		CHECK(what, e == kinds[i].old && files() == 1);
		if (e == E_OK)
			dotlock_drop(&lock);
		rmdir(lock_path);
	}
	world.lock_age = world.mailbox_age = 0;
	CHECK_STR("what links led to is as it was", content(victim),
	    STR("Once upon a time"));
	CHECK_STR("the mailbox too", content(mailbox), STR("From\n"));
	CHECK("and nothing is where the link to nothing led",
	    access("nowhere", F_OK) == -1);
	unlink(victim);
}

static void
put_fresh(void)
{
	unlink(lock_path);
	put(lock_path, fresh, 0644);
}

static void
remove_it(void)
{
	unlink(lock_path);
}

static void
fifo_instead(void)
{
	unlink(lock_path);
	put_fifo();
}

static void
symlink_instead(void)
{
	unlink(lock_path);
	put_symlink();
}

/* Looks at the lock: 1 after the failed link, 2 to see whose it is, 3 to see
 * that it is still the same. */
static void
test_races(void)
{
	char text[TEXT];

	says(fresh, getppid());
	says(text, dead_pid());
	world.act = remove_it;
	for (world.act_at = 1; world.act_at <= 3; world.act_at++)
		CHECK("one that vanishes while looked at is taken over",
		    meet(text) == E_OK && files() == 0);
	world.act = put_fresh;
	for (world.act_at = 1; world.act_at <= 3; world.act_at++) {
		put(lock_path, text, 0644);
		CHECK("one that another took over meanwhile stands",
		    take() == E_INUSE);
		CHECK_STR("and is not removed", content(lock_path),
		    str_c(fresh));
		unlink(lock_path);
	}
	world.act_at = 0;
	world.act_after = 2;
	world.act = fifo_instead;
	CHECK("a FIFO in its place is not waited for",
	    meet("") == E_INUSE);
	put(victim, text, 0600);
	world.act = symlink_instead;
	CHECK("a symbolic link in its place is not followed",
	    meet("") == E_INUSE);
	unlink(victim);
	world.act_after = 0;
}

/* The name that a process's dotlock has before its own. */
static const char *
left_by(pid_t pid)
{
	static char left[200];

	snprintf(left, sizeof(left), "%s/.imapd-%ld-%s.lock", dir, (long)pid,
	    host);
	return left;
}

static void
test_no_proc(void)
{
	char dead[TEXT];

	world.no_proc = true;
	CHECK("without /proc it is made from a file with a name",
	    take() == E_OK && files() == 1 && content(lock_path).n > 0);
	dotlock_drop(&lock);
	put(left_by(getpid()), "half", 0600);
	CHECK("such a file that a killed one left is removed", taken());
	CHECK("another's dotlock stands", meet("") == E_INUSE);
	says(dead, dead_pid());
	CHECK("a dead one's does not", meet(dead) == E_OK);
	CHECK("nothing is left behind", files() == 0);
	world.no_proc = false;
}

static void
test_failures(void)
{
	static const struct {
		int error;
		enum err want;
	} errors[] = {
		{ EACCES, E_PERM }, { EPERM, E_PERM }, { EROFS, E_PERM },
		{ ENOENT, E_PERM }, { ENOSPC, E_PERM }, { EDQUOT, E_PERM },
		{ ENAMETOOLONG, E_PERM }, { EOPNOTSUPP, E_PERM },
		{ EIO, E_IO }, { ENOMEM, E_IO }, { EMFILE, E_IO },
	};
	char text[200];
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		world.link_error = errors[i].error;
		snprintf(text, sizeof(text), "%s: %s", strerror(
		    errors[i].error), errors[i].want == E_PERM ?
		    "the place allows no dotlock" : "the system failed");
		CHECK(text, take() == errors[i].want && files() == 0 &&
		    strstr(why.text, strerror(errors[i].error)) != NULL);
	}
	world.link_lies = true;
	CHECK("a link that says it failed, but has not, is ours",
	    taken());
	world.link_lies = false;
	world.link_error = 0;
	world.write_error = ENOSPC;
	CHECK("on a full disk there is none, and nothing is left",
	    take() == E_PERM && files() == 0);
	world.write_error = 0;
	world.write_short = true;
	CHECK("half a text is none", take() == E_PERM && files() == 0);
	world.write_short = false;
	CHECK("all is well afterwards", taken());
}

static void
test_no_place(void)
{
	char text[TEXT];

	world.link_error = EACCES;
	CHECK("where we may make none another's is respected",
	    meet("") == E_INUSE);
	says(text, dead_pid());
	put(lock_path, text, 0644);
	CHECK("a dead one's is not", take() == E_PERM);
	CHECK_STR("and it is not removed", content(lock_path), str_c(text));
	unlink(lock_path);
	world.lock_age = world.mailbox_age = 1000;
	CHECK("nor is an old one", meet("") == E_PERM);
	world.lock_age = world.mailbox_age = 0;
	world.link_error = 0;
}

static void
test_long_names(void)
{
	char name[PATH_MAX];

	memset(name, 'n', sizeof(name));
	snprintf(name, sizeof(name), "%s/", dir);
	name[strlen(name)] = 'n';
	name[strlen(dir) + 1 + NAME_MAX - 4] = '\0';
	CHECK("a name that .lock makes too long has no dotlock",
	    dotlock_take(&lock, name, fd, NULL) == E_PERM && files() == 0);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 5] = '\0';
	CHECK("nor has such a path",
	    dotlock_take(&lock, name, fd, NULL) == E_PERM);
	if (chdir(dir) == -1)
		exit(99);
	put(left_by(getpid()), "half", 0600);
	world.no_proc = true;
	CHECK("a path without a slash is one of this directory",
	    dotlock_take(&lock, "mbox", fd, NULL) == E_OK && files() == 1 &&
	    content(lock_path).n > 0);
	world.no_proc = false;
	dotlock_drop(&lock);
}

static void
test_taken_away(void)
{
	take();
	put_fresh();
	dotlock_drop(&lock);
	CHECK_STR("what another put in our dotlock's place is not removed",
	    content(lock_path), str_c(fresh));
	unlink(lock_path);
	take();
	unlink(lock_path);
	dotlock_drop(&lock);
	CHECK("a dotlock that was removed is given back", lock.fd == -1 &&
	    files() == 0);
}

/* A process that kills itself at the link; files() it leaves. */
static unsigned
killed(bool before)
{
	pid_t pid;

	world.kill_before = before;
	world.kill_after = !before;
	pid = fork();
	if (pid == 0) {
		take();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	world.kill_before = world.kill_after = false;
	return files();
}

static void
test_kill(void)
{
	CHECK("killed before it has its name, nothing is left",
	    killed(true) == 0);
	CHECK("killed after, it is left", killed(false) == 1);
	CHECK("and the next takes it over at once", taken());
	world.no_proc = true;
	CHECK("killed with two names, both are left", killed(false) == 2);
	world.no_proc = false;
	CHECK("and the next removes both", taken());
}

int
main(void)
{
	if (mkdtemp(dir) == NULL || gethostname(host, sizeof(host)) == -1)
		return 99;
	world.up = LONG_UP;
	snprintf(mailbox, sizeof(mailbox), "%s/mbox", dir);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", mailbox);
	snprintf(victim, sizeof(victim), "%s/../unit_dotlock.victim.%ld", dir,
	    (long)getpid());
	put(mailbox, "From\n", 0600);
	fd = open(mailbox, O_RDWR);
	test_alone();
	test_touch();
	test_owners();
	test_texts();
	test_age();
	test_strange();
	test_races();
	test_no_proc();
	test_failures();
	test_no_place();
	test_long_names();
	test_taken_away();
	test_kill();
	close(fd);
	unlink(mailbox);
	rmdir(dir);
	return unit_end();
}
