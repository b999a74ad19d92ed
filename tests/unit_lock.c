/*
 * unit_lock.c - lock.c against locks of a second process, as other mail
 * programs hold them. Time is made here: nanosleep moves a clock forward
 * and lets the other process act, so that nothing waits and nothing races.
 */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../lock.h"

static char path[] = "/tmp/unit_lock.XXXXXX";

/* The made world. */
static struct {
	int64_t ns;		/* the clock */
	unsigned pauses;
	bool bad_pause;		/* one was shorter or longer than allowed */
	int64_t left;		/* what `seconds` still allow, in ns */
	unsigned release_at;	/* the pause at which the other lets go */
	bool no_ofd;		/* a kernel before 3.15 */
	bool nfs;
} world;

/* The other process: does one thing per byte and answers each. */
static int other;

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

int
nanosleep(const struct timespec *t, struct timespec *rest)
{
	int64_t ns = t->tv_sec * 1000000000LL + t->tv_nsec;

	(void)rest;
	world.pauses++;
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
	if (world.no_ofd && cmd == F_OFD_SETLK) {
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

/* Gives everything back and takes the lock of that letter; 'y' or 'n'. */
static char
obey(int fd, char what)
{
	struct flock lock = { .l_whence = SEEK_SET };
	int r = -1;

	lock.l_type = F_UNLCK;
	fcntl(fd, F_SETLK, &lock);
	flock(fd, LOCK_UN);
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
	if (fork() != 0) {
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

/* lock_read with a fresh world that lets it wait `seconds`. */
static enum err
lock_for(int fd, int seconds, struct why *why)
{
	world.pauses = 0;
	world.bad_pause = false;
	world.left = seconds * 1000000000LL;
	return lock_read(fd, seconds, why);
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

/* Runs lock_read on a second file while fd is held; true when it aborted. */
static bool
aborts(int fd)
{
	struct rlimit none = { 0, 0 };
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		lock_read(fd, 0, NULL);
		lock_read(open("/dev/null", O_RDONLY), 0, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
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
	CHECK("two mailboxes at once are a bug", aborts(fd));
}

int
main(void)
{
	int fd = mkstemp(path);

	if (fd == -1 || write(fd, "From\n", 5) != 5)
		return 99;
	other_run();
	test_alone(fd);
	test_refused(fd);
	test_waiting(fd);
	test_kernels(fd);
	test_misuse(fd);
	close(other);
	wait(NULL);
	close(fd);
	unlink(path);
	return unit_end();
}
