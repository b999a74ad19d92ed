/*
 * unit_lock.c - lock.c against locks of a second process, as other mail
 * programs hold them. Time is made here: nanosleep moves a clock forward
 * and lets the other process act, so that nothing waits and nothing races.
 */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../lib/log.h"
#include "../lock.h"

static char dir[] = "/tmp/unit_lock.XXXXXX";
static char path[64], dotlock[80], second_name[64];

/* The made world. */
static struct {
	int64_t ns;		/* the clock */
	unsigned pauses;
	bool bad_pause;		/* one was shorter or longer than allowed */
	int64_t left;		/* what `seconds` still allow, in ns */
	unsigned release_at;	/* the pause at which the other lets go */
	const char *free;	/* must be free in a pause: x, X, d */
	bool kept;		/* it was not */
	bool no_dotlock;	/* a spool closed to us */
	bool no_ofd;		/* a kernel before 3.15 */
	bool nfs;
} world;

/* The other process: does one thing per byte and answers each. */
static int other;
static pid_t other_pid;

static char
ask(char what)
{
	char answer = '?';

	if (write(other, &what, 1) != 1 || read(other, &answer, 1) != 1)
		exit(99);
	return answer;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	t->tv_sec = world.ns / 1000000000;
	t->tv_nsec = world.ns % 1000000000;
	return 0;
}

/* May a stranger take all of these? */
static bool
are_free(const char *what)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR);
	bool all = true;

	for (; *what != '\0'; what++)
		if (*what == 'x')
			all = fcntl(fd, F_OFD_SETLK, &lock) == 0 && all;
		else if (*what == 'X')
			all = flock(fd, LOCK_EX | LOCK_NB) == 0 && all;
		else
			all = access(dotlock, F_OK) == -1 && all;
	close(fd);
	return all;
}

int
nanosleep(const struct timespec *t, struct timespec *rest)
{
	int64_t ns = t->tv_sec * 1000000000LL + t->tv_nsec;

	(void)rest;
	world.pauses++;
	world.kept = world.kept || !are_free(world.free);
	world.ns += ns;
	world.left -= ns;
	if (ns > 500000000 || (ns < 50000000 && world.left > 0))
		world.bad_pause = true;
	if (world.pauses == world.release_at)
		ask('u');
	return 0;
}

int
fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (world.no_ofd && (cmd == F_OFD_SETLK || cmd == F_OFD_GETLK)) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

int
fstatfs(int fd, struct statfs *fs)
{
	int r = (int)syscall(SYS_fstatfs, fd, fs);

	if (world.nfs)
		fs->f_type = NFS_SUPER_MAGIC;
	return r;
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (world.no_dotlock) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* As the other process writes it. */
static int
put_dotlock(void)
{
	char text[100] = "";
	int to = open(dotlock, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (to == -1)
		return -1;
	snprintf(text, sizeof(text), "%ld:", (long)getpid());
	gethostname(text + strlen(text), sizeof(text) - strlen(text));
	if (write(to, text, strlen(text)) == -1)
		exit(99);
	return close(to);
}

/* Gives everything back and takes the lock of that letter; 'y' or 'n'. */
static char
obey(int fd, char what)
{
	static bool have_dotlock;
	struct flock lock = { .l_whence = SEEK_SET };
	int r = -1;

	lock.l_type = F_UNLCK;
	fcntl(fd, F_SETLK, &lock);
	flock(fd, LOCK_UN);
	if (have_dotlock)
		unlink(dotlock);
	have_dotlock = false;
	switch (what) {
	case 'u':
		return 'y';
	case 'p':		/* procmail: from the end of the file on */
		lock.l_start = lseek(fd, 0, SEEK_END);
		/* FALLTHROUGH */
	case 'x':
		lock.l_type = F_WRLCK;
		r = fcntl(fd, F_SETLK, &lock);
		break;
	case 's':
		lock.l_type = F_RDLCK;
		r = fcntl(fd, F_SETLK, &lock);
		break;
	case 'X':
		r = flock(fd, LOCK_EX | LOCK_NB);
		break;
	case 'S':
		r = flock(fd, LOCK_SH | LOCK_NB);
		break;
	case 'd':
		r = put_dotlock();
		have_dotlock = r == 0;
		break;
	}
	return r == 0 ? 'y' : 'n';
}

static void
other_run(void)
{
	int pair[2];
	int fd;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		exit(99);
	fflush(stdout);
	other_pid = fork();
	if (other_pid != 0) {
		close(pair[1]);
		other = pair[0];
		return;
	}
	close(pair[0]);
	fd = open(path, O_RDWR);
	while (read(pair[1], &c, 1) == 1) {
		c = obey(fd, c);
		if (write(pair[1], &c, 1) != 1)
			break;
	}
	_exit(0);
}

/* A fresh world that lets us wait `seconds`. */
static void
fresh_world(int seconds, const char *must_be_free)
{
	world.pauses = 0;
	world.bad_pause = false;
	world.kept = false;
	world.free = must_be_free;
	world.left = seconds * 1000000000LL;
}

static enum err
lock_for(int fd, int seconds, struct why *why)
{
	fresh_world(seconds, "");
	return lock_read(fd, seconds, why);
}

static enum err
write_for(int fd, int seconds, struct why *why)
{
	fresh_world(seconds, "");
	return lock_write(fd, path, DOTLOCK_TRY, seconds, why);
}

static void
test_alone(int fd)
{
	CHECK("nothing is held at first", !lock_held());
	CHECK("a free mailbox is locked at once",
	    lock_for(fd, 30, NULL) == E_OK && world.pauses == 0);
	CHECK("the lock is held", lock_held());
	CHECK("another reader may share it by fcntl", ask('s') == 'y');
	CHECK("another reader may share it by flock", ask('S') == 'y');
	CHECK("no writer gets past it by fcntl", ask('x') == 'n');
	CHECK("no writer gets past it by flock", ask('X') == 'n');
	CHECK("no writer gets past it by a lock from the end on",
	    ask('p') == 'n');
	lock_drop(fd);
	CHECK("nothing is held after the drop", !lock_held());
	CHECK("the fcntl lock is given back", ask('x') == 'y');
	CHECK("the flock is given back", ask('X') == 'y');
	ask('u');
	lock_drop(fd);
	CHECK("a second drop does no harm", !lock_held());
}

static void
test_refused(int fd)
{
	struct why why = { "" };

	ask('x');
	CHECK("a writer's fcntl lock is respected",
	    lock_for(fd, 0, &why) == E_INUSE);
	CHECK("with no time there is one try and no pause",
	    world.pauses == 0);
	CHECK("there is a sentence about it", why.text[0] != '\0');
	CHECK("nothing is held after a refusal", !lock_held());
	ask('p');
	CHECK("a lock from the end of the file on is respected",
	    lock_for(fd, 0, NULL) == E_INUSE);
	ask('X');
	CHECK("a writer's flock is respected",
	    lock_for(fd, 0, NULL) == E_INUSE);
	CHECK("the fcntl lock is not kept when flock is refused",
	    ask('x') == 'y');
	CHECK("a lock that stays is given up after the time allowed",
	    lock_for(fd, 30, NULL) == E_INUSE && world.left == 0);
	CHECK("each pause lasts 50 to 500 ms", !world.bad_pause);
	CHECK("it tries again and again", world.pauses >= 60);
	ask('u');
}

static void
test_waiting(int fd)
{
	static const struct {
		char lock;
		const char *what;
	} kinds[] = {
		{ 'x', "a released fcntl lock is taken over" },
		{ 'p', "a released lock from the end on is taken over" },
		{ 'X', "a released flock is taken over" },
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ask(kinds[i].lock);
		world.release_at = 3;
		CHECK(kinds[i].what, lock_for(fd, 30, NULL) == E_OK &&
		    world.pauses == 3 && lock_held());
		world.release_at = 0;
		lock_drop(fd);
	}
}

static void
test_kernels(int fd)
{
	int second;

	lock_for(fd, 0, NULL);
	second = open(path, O_RDONLY);
	close(second);
	CHECK("the lock outlives a second descriptor of the same file",
	    ask('x') == 'n');
	lock_drop(fd);

	world.no_ofd = true;
	CHECK("without OFD locks a POSIX lock is taken",
	    lock_for(fd, 0, NULL) == E_OK && ask('x') == 'n');
	lock_drop(fd);
	CHECK("and given back", ask('x') == 'y');
	CHECK("and a writer is respected",
	    lock_for(fd, 0, NULL) == E_INUSE);
	world.no_ofd = false;

	world.nfs = true;
	ask('X');
	CHECK("on NFS no flock is taken", lock_for(fd, 0, NULL) == E_OK);
	CHECK("on NFS the fcntl lock is", ask('x') == 'n');
	lock_drop(fd);
	world.nfs = false;
	ask('u');
}

/* Does it abort, in a process of its own? */
static bool
aborts(void (*misuse)(int), int fd)
{
	struct rlimit none = { 0, 0 };
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		misuse(fd);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	unlink(dotlock);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
read_two(int fd)
{
	lock_read(fd, 0, NULL);
	lock_read(open("/dev/null", O_RDONLY), 0, NULL);
}

static void
write_then_read(int fd)
{
	write_for(fd, 0, NULL);
	lock_read(fd, 0, NULL);
}

static void
read_then_write(int fd)
{
	lock_read(fd, 0, NULL);
	write_for(fd, 0, NULL);
}

static void
write_twice(int fd)
{
	write_for(fd, 0, NULL);
	write_for(fd, 0, NULL);
}

static void
test_misuse(int fd)
{
	struct why why = { "" };
	int write_only = open(path, O_WRONLY);

	CHECK("a descriptor that can not read is no lock, but an error",
	    lock_for(write_only, 30, &why) == E_IO && world.pauses == 0);
	CHECK("the error is told", why.text[0] != '\0');
	CHECK("nothing is held after an error", !lock_held());
	close(write_only);
	CHECK("a closed descriptor is an error",
	    lock_for(write_only, 30, NULL) == E_IO && !lock_held());
	CHECK("locking the held file once more is allowed",
	    lock_for(fd, 0, NULL) == E_OK && lock_for(fd, 0, NULL) == E_OK);
	lock_drop(fd);
	CHECK("one drop then gives everything back",
	    !lock_held() && ask('x') == 'y' && ask('X') == 'y');
	ask('u');
	CHECK("two mailboxes at once are a bug", aborts(read_two, fd));
	CHECK("to read what is locked to write is a bug",
	    aborts(write_then_read, fd));
	CHECK("a reader who wants to write is a bug",
	    aborts(read_then_write, fd));
	CHECK("to lock twice to write is a bug", aborts(write_twice, fd));
}

static void
test_write(int fd)
{
	static const char kinds[] = "sSxXpd";
	const char *kind;
	char what[80];

	CHECK("a free mailbox is locked to write at once",
	    write_for(fd, 30, NULL) == E_OK && world.pauses == 0 &&
	    lock_held());
	for (kind = kinds; *kind != '\0'; kind++) {
		snprintf(what, sizeof(what), "a writer keeps out %c", *kind);
		CHECK(what, ask(*kind) == 'n');
	}
	lock_drop(fd);
	CHECK("nothing is held after the drop", !lock_held());
	for (kind = kinds; *kind != '\0'; kind++) {
		snprintf(what, sizeof(what), "after it %c is free", *kind);
		CHECK(what, ask(*kind) == 'y');
	}
	ask('u');
	lock_drop(fd);
	lock_drop(-1);
	CHECK("a second drop does no harm", !lock_held());
	CHECK("a reader may follow", lock_for(fd, 0, NULL) == E_OK);
	lock_drop(fd);
}

/* What is refused, and what must be free while we wait for that: never is
 * one lock held while another is waited for. */
static void
test_write_waits(int fd)
{
	static const struct {
		char lock;
		const char *free, *what;
	} kinds[] = {
		{ 's', "Xd", "a reader's fcntl lock" },
		{ 'x', "Xd", "a writer's fcntl lock" },
		{ 'p', "Xd", "a lock from the end on" },
		{ 'S', "xd", "a reader's flock" },
		{ 'X', "xd", "a writer's flock" },
		{ 'd', "xX", "a dotlock" },
	};
	char what[80];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ask(kinds[i].lock);
		snprintf(what, sizeof(what), "%s is respected",
		    kinds[i].what);
		CHECK(what, write_for(fd, 0, NULL) == E_INUSE &&
		    world.pauses == 0 && !lock_held());
		snprintf(what, sizeof(what), "%s is waited for",
		    kinds[i].what);
		fresh_world(30, kinds[i].free);
		CHECK(what, lock_write(fd, path, DOTLOCK_TRY, 30, NULL) ==
		    E_INUSE && world.left == 0 && world.pauses >= 60 &&
		    !world.bad_pause);
		snprintf(what, sizeof(what), "%s: nothing is held meanwhile",
		    kinds[i].what);
		CHECK(what, !world.kept && are_free(kinds[i].free));
		world.release_at = 3;
		snprintf(what, sizeof(what), "%s, released, is taken over",
		    kinds[i].what);
		CHECK(what, write_for(fd, 30, NULL) == E_OK &&
		    world.pauses == 3 && lock_held());
		world.release_at = 0;
		lock_drop(fd);
	}
}

static void
test_holders(int fd)
{
	struct why why = { "" };
	char pid[32];

	snprintf(pid, sizeof(pid), "process %ld ", (long)other_pid);
	ask('x');
	write_for(fd, 0, &why);
	CHECK("the holder of an fcntl lock is named",
	    strstr(why.text, pid) == why.text);
	world.no_ofd = true;
	why.text[0] = '\0';
	write_for(fd, 0, &why);
	CHECK("also on kernels without OFD locks",
	    strstr(why.text, pid) == why.text);
	world.no_ofd = false;
	ask('d');
	write_for(fd, 0, &why);
	CHECK("the holder of a dotlock is named",
	    strstr(why.text, pid) == why.text &&
	    strstr(why.text, "dotlock") != NULL);
	ask('X');
	write_for(fd, 0, &why);
	CHECK_STR("the holder of a flock is another program",
	    str_c(why.text), STR("another program keeps the mailbox locked"));
	ask('u');
}

/* Tries to lock with stderr to a file; how many lines came. */
static unsigned
warnings(int fd, unsigned times)
{
	FILE *log = tmpfile();
	int c, was = dup(STDERR_FILENO);
	unsigned lines = 0;

	dup2(fileno(log), STDERR_FILENO);
	log_open(LOG_TO_STDERR);
	while (times-- > 0) {
		write_for(fd, 0, NULL);
		lock_drop(fd);
	}
	log_open(LOG_TO_NONE);
	dup2(was, STDERR_FILENO);
	close(was);
	rewind(log);
	while ((c = getc(log)) != EOF)
		lines += c == '\n';
	fclose(log);
	return lines;
}

static void
test_options(int fd)
{
	struct why why = { "" };

	CHECK("with --dotlock=no none is made", lock_write(fd, path,
	    DOTLOCK_NO, 0, NULL) == E_OK && access(dotlock, F_OK) == -1);
	CHECK("but the other locks are taken", ask('x') == 'n' &&
	    ask('X') == 'n');
	lock_drop(fd);
	ask('d');
	CHECK("and none is respected", lock_write(fd, path, DOTLOCK_NO, 0,
	    NULL) == E_OK);
	lock_drop(fd);
	CHECK("another's is not removed with ours", access(dotlock, F_OK) ==
	    0);
	ask('u');

	CHECK("all is quiet where dotlocks can be made", warnings(fd, 3) ==
	    0);
	world.no_dotlock = true;
	CHECK("where they can not the log says so once",
	    warnings(fd, 3) == 1);
	CHECK("--dotlock=try goes on without one", write_for(fd, 0, NULL) ==
	    E_OK && ask('x') == 'n' && ask('X') == 'n');
	lock_drop(fd);
	CHECK("--dotlock=require does not", lock_write(fd, path,
	    DOTLOCK_REQUIRE, 30, &why) == E_PERM && !lock_held());
	CHECK("and says why", strstr(why.text, strerror(EACCES)) != NULL);
	CHECK("nothing is kept then", ask('x') == 'y' && ask('X') == 'y');
	ask('d');
	CHECK("another's dotlock is respected all the same",
	    write_for(fd, 0, NULL) == E_INUSE);
	ask('u');
	world.no_dotlock = false;
	CHECK("--dotlock=require makes one where it can", lock_write(fd, path,
	    DOTLOCK_REQUIRE, 0, NULL) == E_OK && access(dotlock, F_OK) == 0);
	lock_drop(fd);
}

/* Locks the mailbox when its name is not that of the file any more. */
static bool
is_gone(int fd)
{
	struct why why = { "" };

	return write_for(fd, 30, &why) == E_GONE && world.pauses == 0 &&
	    why.text[0] != '\0' && !lock_held() &&
	    access(dotlock, F_OK) == -1 && ask('x') == 'y' &&
	    ask('X') == 'y' && ask('u') == 'y';
}

static void
test_replaced(int fd)
{
	int pair[2];

	if (link(path, second_name) == -1)
		return;
	CHECK("a mailbox with a second name is not locked", is_gone(fd));
	unlink(path);
	CHECK("nor one that was removed", is_gone(fd));
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CHECK("nor one that was replaced", is_gone(fd));
	unlink(path);
	if (symlink(second_name, path) == 0)
		CHECK("nor one that is a link now", is_gone(fd));
	rename(second_name, path);
	CHECK("but with its own name back it is",
	    write_for(fd, 0, NULL) == E_OK);
	lock_drop(fd);
	if (pipe(pair) == 0)
		CHECK("what is no file is not locked to write",
		    write_for(pair[1], 0, NULL) != E_OK && !lock_held());
	close(pair[0]);
	close(pair[1]);
}

static time_t
dotlock_time(void)
{
	struct stat st;

	return stat(dotlock, &st) == 0 ? st.st_mtime : -1;
}

static void
test_touch(int fd)
{
	struct timespec past[2] = { { 1000, 0 }, { 1000, 0 } };

	lock_touch();
	CHECK("with nothing held there is nothing to touch",
	    access(dotlock, F_OK) == -1);
	write_for(fd, 0, NULL);
	utimensat(AT_FDCWD, dotlock, past, 0);
	world.ns += 9999000000;
	lock_touch();
	CHECK("a dotlock younger than 10 s is left", dotlock_time() == 1000);
	world.ns += 1000000;
	lock_touch();
	CHECK("one of 10 s is made young", dotlock_time() > 1000);
	utimensat(AT_FDCWD, dotlock, past, 0);
	world.ns += 9999000000;
	lock_touch();
	CHECK("the next 10 s count from then", dotlock_time() == 1000);
	lock_drop(fd);
	CHECK("and it is given back", access(dotlock, F_OK) == -1);
	lock_read(fd, 0, NULL);
	world.ns += 20000000000;
	lock_touch();
	CHECK("a reader has none to touch", access(dotlock, F_OK) == -1);
	lock_drop(fd);
}

static void
test_write_kernels(int fd)
{
	int read_only = open(path, O_RDONLY);

	CHECK("a descriptor that can not write is no lock, but an error",
	    write_for(read_only, 30, NULL) == E_IO && world.pauses == 0 &&
	    !lock_held());
	close(read_only);
	world.no_ofd = true;
	CHECK("without OFD locks a POSIX lock is taken to write",
	    write_for(fd, 0, NULL) == E_OK && ask('s') == 'n');
	lock_drop(fd);
	CHECK("and given back", ask('x') == 'y');
	ask('u');
	world.no_ofd = false;
	world.nfs = true;
	ask('S');
	CHECK("on NFS no flock is taken to write",
	    write_for(fd, 0, NULL) == E_OK && ask('s') == 'n');
	lock_drop(fd);
	world.nfs = false;
	ask('u');
}

/* A process that holds everything is killed. */
static void
test_killed(int fd)
{
	char c = '?';
	int pair[2], own;
	pid_t pid;

	if (pipe(pair) == -1)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		own = open(path, O_RDWR);
		c = write_for(own, 0, NULL) == E_OK ? 'y' : 'n';
		if (write(pair[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	if (read(pair[0], &c, 1) != 1)
		c = '?';
	CHECK("a process that holds everything keeps us out", c == 'y' &&
	    write_for(fd, 0, NULL) == E_INUSE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK("killed, it leaves its dotlock", access(dotlock, F_OK) == 0);
	CHECK("and that stops us for no moment",
	    write_for(fd, 0, NULL) == E_OK && world.pauses == 0);
	lock_drop(fd);
	CHECK("then it is gone", access(dotlock, F_OK) == -1);
	close(pair[0]);
	close(pair[1]);
}

int
main(void)
{
	int fd;

	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/mbox", dir);
	snprintf(dotlock, sizeof(dotlock), "%s.lock", path);
	snprintf(second_name, sizeof(second_name), "%s/second", dir);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd == -1 || write(fd, "From\n", 5) != 5)
		return 99;
	world.free = "";
	other_run();
	test_alone(fd);
	test_refused(fd);
	test_waiting(fd);
	test_kernels(fd);
	test_misuse(fd);
	test_write(fd);
	test_write_waits(fd);
	test_holders(fd);
	test_options(fd);
	test_replaced(fd);
	test_touch(fd);
	test_write_kernels(fd);
	test_killed(fd);
	close(other);
	wait(NULL);
	close(fd);
	unlink(path);
	rmdir(dir);
	return unit_end();
}
