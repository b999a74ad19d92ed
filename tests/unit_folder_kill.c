/*
 * unit_folder_kill.c - what folder changes leave behind when a system call
 * fails, and when the process is killed at one: the old state or the new.
 */
#include <sys/wait.h>
#include <time.h>

#include "disk.h"

static void
prepare(void)
{
	begin(NULL);
	mail("a");
	dir("d");
	mail("d/x");
	dir("d/e");
	mail("d/e/y");
	dir("empty");
	text(".mailboxlist", "one\ntwo\n");
}

static int create_deep(void) { return create("n/m/x"); }
static int create_here(void) { return create("x"); }
static int create_dir(void) { return create("n/m/"); }
static int delete_file(void) { return delete("a"); }
static int delete_dir(void) { return delete("empty"); }
static int move_file(void) { return move("a", "n/m/b"); }
static int move_dir(void) { return move("d", "n/m/d"); }
static int move_empty(void) { return move("empty", "n/m/e"); }
static int subscribe_one(void) { return subscribe("three"); }
static int unsubscribe_one(void) { return unsubscribe("one"); }

static const struct scenario {
	const char *name;
	int (*run)(void);
	/* A failure may come when it is too late to go back. */
	bool late;
} scenarios[] = {
	{ "CREATE", create_here, false },
	{ "CREATE with directories", create_deep, false },
	{ "CREATE of a directory", create_dir, false },
	{ "DELETE", delete_file, false },
	{ "DELETE of a directory", delete_dir, false },
	{ "RENAME", move_file, false },
	{ "RENAME of a directory", move_dir, false },
	{ "RENAME of an empty directory", move_empty, false },
	{ "SUBSCRIBE", subscribe_one, true },
	{ "UNSUBSCRIBE", unsubscribe_one, true },
};

/* States before and after, with and without directories. */
struct states {
	char *old[2], *new[2];
	unsigned calls;
};

static void
take_states(const struct scenario *sc, struct states *s)
{
	prepare();
	s->old[0] = look_around(false);
	s->old[1] = look_around(true);
	disk.calls = 0;
	disk.armed = true;
	if (sc->run() != E_OK)
		exit(99);
	disk.armed = false;
	s->calls = disk.calls;
	s->new[0] = look_around(false);
	s->new[1] = look_around(true);
}

static void
free_states(struct states *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		free(s->old[i]);
		free(s->new[i]);
	}
}

/* Every call fails once, in each of these ways. */
static void
test_failures(const struct scenario *sc)
{
	static const int errors[] = { EIO, ENOSPC, EACCES, EROFS, EXDEV };
	struct states s;
	char name[128], *now;
	unsigned i, bad = 0, tried = 0;
	bool old, new;
	int e;

	take_states(sc, &s);
	for (i = 0; i < s.calls * 5; i++, tried++) {
		prepare();
		disk.calls = 0;
		disk.fail_at = i / 5 + 1;
		disk.fail_errno = errors[i % 5];
		disk.armed = true;
		e = sc->run();
		disk.armed = false;
		disk.fail_at = 0;
		now = look_around(true);
		old = strcmp(now, s.old[1]) == 0;
		new = strcmp(now, s.new[1]) == 0;
		if (!(e == E_OK ? new : old || (sc->late && new))) {
			printf("# call %u, errno %d: %d\n%s", i / 5 + 1,
			    errors[i % 5], e, now);
			bad++;
		}
		free(now);
	}
	snprintf(name, sizeof(name), "%s, any call failing: done, or all as "
	    "it was", sc->name);
	CHECK(name, tried > 0 && bad == 0);
	printf("# %u tried\n", tried);
	free_states(&s);
}

/* In a process that dies before call n. True when it did. */
static bool
killed(const struct scenario *sc, unsigned n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		disk.calls = 0;
		disk.kill_at = n;
		disk.armed = true;
		_exit(sc->run() == E_OK ? 0 : 1);
	}
	if (waitpid(pid, &status, 0) != pid)
		exit(99);
	return WIFSIGNALED(status);
}

/* Before every call, and then all is done once more. */
static void
test_kills(const struct scenario *sc)
{
	struct states s;
	char name[128], *now;
	unsigned n, bad = 0;
	bool good;
	int e;

	take_states(sc, &s);
	for (n = 1; prepare(), killed(sc, n); n++) {
		now = look_around(false);
		good = strcmp(now, s.old[0]) == 0 || strcmp(now, s.new[0]) ==
		    0;
		if (!good)
			printf("# before call %u:\n%s", n, now);
		free(now);
		e = sc->run();
		now = look_around(false);
		if (strcmp(now, s.new[0]) != 0) {
			printf("# again after call %u: %d\n%s", n, e, now);
			good = false;
		}
		bad += !good;
		free(now);
	}
	snprintf(name, sizeof(name), "%s, killed at any call: the old state "
	    "or the new one", sc->name);
	CHECK(name, n == s.calls + 1 && bad == 0);
	printf("# %u tried\n", n - 1);
	free_states(&s);
}

/* What a killed process may have told before is not given again. */
static void
test_killed_draw(void)
{
	uint32_t told, v;
	unsigned n, bad = 0;
	int status, fds[2];
	pid_t pid;

	begin(NULL);
	for (n = 1;; n++) {
		if (pipe(fds) == -1 || (pid = fork()) == -1)
			exit(99);
		if (pid == 0) {
			disk.calls = 0;
			disk.kill_at = n;
			disk.armed = true;
			v = draw(0);
			_exit(write(fds[1], &v, sizeof(v)) != sizeof(v));
		}
		close(fds[1]);
		if (waitpid(pid, &status, 0) != pid)
			exit(99);
		if (read(fds[0], &told, sizeof(told)) != sizeof(told))
			told = 0;
		close(fds[0]);
		v = draw(0);
		bad += v <= told || v <= (uint32_t)time(NULL) - 60;
		if (!WIFSIGNALED(status))
			break;
	}
	CHECK("a UIDVALIDITY told before a kill is not told again",
	    bad == 0 && n > 5);
}

int
main(void)
{
	size_t i;

	umask(077);
	home_make();
	for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		test_failures(&scenarios[i]);
		test_kills(&scenarios[i]);
	}
	test_killed_draw();
	disk.no_tmpfile = true;
	test_failures(&scenarios[0]);
	home_remove();
	return unit_end();
}
