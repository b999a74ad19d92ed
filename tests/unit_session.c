/*
 * unit_session.c - what of a session hangs on the clock: when a silent
 * client is logged out, when flags are written into the mailbox, how many
 * logins may be refused, and that UIDVALIDITY rises from session to session
 * where UIDs did not last. Time is made here: ppoll moves a clock forward and
 * lets the client speak when it is due, so that nothing waits.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../session.h"

enum { START = 1790000000, CHANNEL = 999 };

/* What the client says after so many seconds of silence. */
struct line {
	int after;
	const char *text;
};

/* The made world. */
static struct {
	int64_t ms;		/* the clock, since 1970 */
	int64_t said;		/* when the client said something last */
	unsigned lines;		/* that it said */
	bool read[8];		/* what the mailbox held then: "RO"? */
	const struct line *next;	/* ends in a NULL text: says no more */
	int say;		/* descriptor, and its other end */
	int hear;
	enum login_answer answer;
	struct wire_request q;	/* the last one */
	unsigned asked;
} world;

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	(void)clock;
	t->tv_sec = world.ms / 1000;
	t->tv_nsec = world.ms % 1000 * 1000000;
	return 0;
}

time_t
time(time_t *t)
{
	time_t now = world.ms / 1000;

	if (t != NULL)
		*t = now;
	return now;
}

static char inbox[64];

/* Does the mailbox file say that its message was read? */
static bool
is_read(void)
{
	char text[4096];
	int fd = open(inbox, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return n > 0 && memmem(text, (size_t)n, "Status: RO", 10) != NULL;
}

/* Only the input is ever waited for: output goes to a file. */
int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *left,
    const sigset_t *mask)
{
	int64_t room = left == NULL ? INT64_MAX : left->tv_sec * 1000 +
	    left->tv_nsec / 1000000;
	int64_t due;
	struct str text;
	int unread = 0;

	(void)mask;
	/* It has spoken already. */
	if (n > 0 && ioctl(world.hear, FIONREAD, &unread) == 0 &&
	    unread > 0) {
		fds[0].revents = POLLIN;
		return 1;
	}
	if (world.next->text == NULL || n == 0)
		due = room;
	else
		due = world.said + world.next->after * INT64_C(1000) -
		    world.ms;
	/* IDLE waits for hints, too; there are none. */
	if (n > 2 || room == INT64_MAX)
		abort();
	if (due >= room) {
		world.ms += room + 1;
		return 0;
	}
	if (due > 0)
		world.ms += due;
	world.said = world.ms;
	world.read[world.lines++ % 8] = is_read();
	text = str_c((world.next++)->text);
	if (write(world.say, text.p, text.n) != (ssize_t)text.n)
		abort();
	fds[0].revents = POLLIN;
	return 1;
}

static char home[] = "/tmp/unit_session.XXXXXX";
static char other_name[64];	/* of the INBOX file, for a while */

/* The monitor, as far as a front knows it. */
ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	(void)flags;
	if (fd != CHANNEL || n != sizeof(world.q))
		abort();
	memcpy(&world.q, p, n);
	world.asked++;
	return (ssize_t)n;
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	(void)flags;
	if (fd != CHANNEL || n != sizeof(struct wire_answer))
		abort();
	wire_answer_set(p, world.q.seq, world.answer);
	world.ms += 3000;
	return (ssize_t)n;
}

/* One whole session; what was said, as a string. */
static const char *
session(const struct line *lines, bool login, int idle_timeout)
{
	static char said[65536];
	const struct options options = { .idle_timeout = idle_timeout,
	    .login_timeout = LOGIN_TIMEOUT };
	struct session s = { .state = STATE_NOT_AUTH, .plaintext = true,
	    .ask.channel = CHANNEL };
	struct why why = { "" };
	int fds[2], out = memfd_create("out", 0);
	ssize_t n;

	if (out < 0 || pipe(fds) != 0)
		abort();
	world.next = lines;
	world.lines = 0;
	world.said = world.ms;
	world.say = fds[1];
	world.hear = fds[0];
	io_init(&s.io, fds[0], out, NULL);
	s.reply.io = &s.io;
	s.pool = pool_new();
	s.options = &options;
	s.host = "host.example";
	s.peer = "UNKNOWN";
	if (!login && session_open(&s, "u", home, inbox, &why) != E_OK)
		abort();
	session_run(&s);
	folder_free(&s.folders);
	pool_free(s.pool);
	n = pread(out, said, sizeof(said) - 1, 0);
	said[n < 0 ? 0 : n] = '\0';
	close(fds[0]);
	close(fds[1]);
	close(out);
	return said;
}

/* Seconds that a session lasted. */
static int64_t
lasted(const struct line *lines, bool login, int idle_timeout,
    const char **said)
{
	int64_t start = world.ms;

	*said = session(lines, login, idle_timeout);
	return (world.ms - start) / 1000;
}

/*
 * RFC 3501 5.4: "If a server has an inactivity autologout timer, the
 * duration of that timer MUST be at least 30 minutes."
 */
static void
check_autologout(void)
{
	static const struct line silent[] = { { 0, NULL } };
	static const struct line slow[] = {
		{ 1799, "a1 NOOP\r\n" },
		{ 1799, "a2 STATUS INBOX (MESSAGES)\r\n" },
		{ 1799, "a3 LOGOUT\r\n" },
		{ 0, NULL }
	};
	static const struct line gone[] = { { 1000, "a1 NOOP\r\n" },
	    { 0, NULL } };
	static const struct line half[] = { { 0, "a1 NO" }, { 0, NULL } };
	const char *said;
	int64_t t;

	t = lasted(silent, false, IDLE_TIMEOUT, &said);
	CHECK("a silent client has thirty minutes", t >= 1800);
	CHECK("and no more, and is told why",
	    t <= 1801 && strstr(said, "\r\n* BYE Autologout") != NULL);
	t = lasted(slow, false, IDLE_TIMEOUT, &said);
	CHECK("any command begins the thirty minutes anew", t == 3 * 1799 &&
	    strstr(said, "a1 OK") != NULL && strstr(said, "a2 OK") != NULL &&
	    strstr(said, "a3 OK") != NULL);
	t = lasted(gone, false, IDLE_TIMEOUT, &said);
	CHECK("they are counted from the last command", t >= 2800);
	/* Not inactivity, but a command that does not come to its end. */
	t = lasted(half, false, IDLE_TIMEOUT, &said);
	CHECK("half a command is waited for five minutes",
	    t >= COMMAND_TIMEOUT && t <= COMMAND_TIMEOUT + 1);
	CHECK("and ends with a word, unanswered",
	    strstr(said, "\r\n* BYE ") != NULL &&
	    strstr(said, "a1 ") == NULL);
	t = lasted(silent, true, IDLE_TIMEOUT, &said);
	CHECK("before login it is less",
	    t >= LOGIN_TIMEOUT && t <= LOGIN_TIMEOUT + 1);
	CHECK("and said as well",
	    strstr(said, "\r\n* BYE Autologout") != NULL);
}

/* How often the text stands in what was said. */
static unsigned
times(const char *said, const char *text)
{
	unsigned n = 0;

	while ((said = strstr(said, text)) != NULL) {
		said += strlen(text);
		n++;
	}
	return n;
}

/* RFC 2177: "it MAY log the client off implicitly at the end of its timeout
 * period." */
static void
check_idle(void)
{
	static const struct line silent[] = { { 0, "a1 IDLE\r\n" },
	    { 0, NULL } };
	static const struct line done[] = { { 0, "a1 SELECT INBOX\r\n" },
	    { 0, "a2 IDLE\r\n" }, { 300, "DONE\r\n" },
	    { 0, "a3 LOGOUT\r\n" }, { 0, NULL } };
	const char *said;
	int64_t t;

	t = lasted(silent, false, IDLE_TIMEOUT, &said);
	CHECK("IDLE lasts thirty minutes, then the client is logged out",
	    t >= 1800 && t <= 1801 &&
	    strstr(said, "\r\n* BYE Autologout") != NULL);
	CHECK("meanwhile it has a sign of life every two minutes",
	    times(said, "* OK Still here\r\n") == 14);
	t = lasted(done, false, IDLE_TIMEOUT, &said);
	CHECK("DONE ends it at once", t == 300 &&
	    times(said, "* OK Still here\r\n") == 2 &&
	    strstr(said, "a2 OK IDLE completed\r\n") != NULL);
}

static void	put(const char *mailbox);

/* Flags wait for a minute of silence, in IDLE as well. */
static void
check_flush(void)
{
	static const struct line plain[] = { { 0, "a1 SELECT INBOX\r\n" },
	    { 0, "a2 STORE 1 +FLAGS (\\Seen)\r\n" }, { 59, "a3 NOOP\r\n" },
	    { 59, "a4 NOOP\r\n" }, { 61, "a5 NOOP\r\n" },
	    { 0, "a6 LOGOUT\r\n" }, { 0, NULL } };
	static const struct line idle[] = { { 0, "a1 SELECT INBOX\r\n" },
	    { 0, "a2 STORE 1 +FLAGS (\\Seen)\r\n" }, { 0, "a3 IDLE\r\n" },
	    { 59, "DONE\r\n" }, { 0, "a4 IDLE\r\n" },
	    { 61, "DONE\r\n" }, { 0, "a5 LOGOUT\r\n" }, { 0, NULL } };
	static const char mail[] = "From a@b.c Sat Jan  3 01:05:34 1998\n"
	    "Subject: x\nX-IMAPbase: 937243866 0000000007\nStatus: O\n"
	    "X-Status: \nX-Keywords:               \nX-UID: 7\n\nhi\n\n";

	put(mail);
	session(plain, false, IDLE_TIMEOUT);
	CHECK("a client that says something each minute has its flags in the "
	    "log", !world.read[2] && !world.read[3]);
	CHECK("after a minute of silence they are in the mailbox",
	    world.read[4]);
	put(mail);
	session(idle, false, IDLE_TIMEOUT);
	CHECK("in IDLE it is the same", !world.read[3] && !world.read[4] &&
	    world.read[5]);
	put(mail);
	session(plain, false, 30);
	CHECK("and leaving writes them", is_read());
}

#define WRONG "a1 LOGIN riley wrong\r\n"

static void
check_tries(void)
{
	static const struct line thrice[] = {
		{ 0, "a1 AUTHENTICATE GSSAPI\r\n" },
		{ 0, "a2 AUTHENTICATE PLAIN\r\n" }, { 0, "*\r\n" },
		{ 0, WRONG WRONG WRONG WRONG }, { 0, NULL } };
	static const struct line late[] = { { 179, WRONG }, { 0, NULL } };
	const char *said;
	int64_t t;

	world.answer = LOGIN_NO;
	world.asked = 0;
	t = lasted(thrice, true, IDLE_TIMEOUT, &said);
	/* Unknown mechanisms and cancelled exchanges are none. */
	CHECK("the third refused try ends the connection",
	    world.asked == 3 && t == 9 &&
	    strstr(said, "\r\n* BYE Too many login failures\r\n"));
	t = lasted(late, true, IDLE_TIMEOUT, &said);
	/* Who sends it just before the deadline learns nothing by its time. */
	CHECK("a refusal is held back beyond the deadline, which then holds",
	    t == 179 + 3 && strstr(said, "a1 NO") != NULL &&
	    strstr(said, "* BYE Autologout") != NULL);
}

static void
put(const char *mailbox)
{
	int fd = open(inbox, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t n = strlen(mailbox);

	if (fd < 0 || write(fd, mailbox, n) != (ssize_t)n)
		abort();
	close(fd);
}

/* Of a session that selects INBOX. */
static uint32_t
uidvalidity(void)
{
	static const struct line lines[] = { { 0, "a1 SELECT INBOX\r\n" },
	    { 0, "a2 LOGOUT\r\n" }, { 0, NULL } };
	static const char code[] = "[UIDVALIDITY ";
	const char *at = strstr(session(lines, false, IDLE_TIMEOUT), code);
	struct str s;
	uint32_t n;

	if (at == NULL)
		return 0;
	s = str_c(at + sizeof(code) - 1);
	return str_u32(str_sub(s, 0, str_index(s, ']')), &n) ? n : 0;
}

#define ONE "From a@b.c Sat Jan  3 01:05:34 1998\nSubject: x\n"
#define TWO "From a@b.c Sat Jan  3 01:05:35 1998\nSubject: y\n\nho\n\n"

/*
 * RFC 3501 2.3.1.1: "If unique identifiers from an earlier session fail to
 * persist in this session, the unique identifier validity value MUST be
 * greater than the one used in the earlier session." Here message 1 leaves,
 * and its number is the other's then. A file with two names is not written
 * to, so its UIDs last no longer than a session.
 */
static void
check_not_lasting(void)
{
	uint32_t first, second;

	put(ONE "\nhi\n\n" TWO);
	if (link(inbox, other_name) != 0)
		abort();
	first = uidvalidity();
	world.ms += 1000;
	put(TWO);
	second = uidvalidity();
	CHECK("UIDVALIDITY rises where UIDs do not last",
	    first != 0 && second > first);
	put(ONE "X-IMAPbase: 937243866 0000000007\nX-UID: 7\n\nhi\n\n");
	CHECK("stamped messages keep theirs", uidvalidity() == 937243866);
	world.ms += 1000;
	put(ONE "X-IMAPbase: 937243866 0000000007\nX-UID: 7\n\nhi\n\n" TWO);
	CHECK("one without a stamp makes it rise",
	    uidvalidity() > 937243866);
	put(ONE "X-IMAPbase: 2000000000 0000000007\nX-UID: 7\n\nhi\n\n" TWO);
	first = uidvalidity();
	CHECK("also one that lies ahead of the clock", first > 2000000000);
	world.ms += 1000;
	put(ONE "X-IMAPbase: 2000000000 0000000007\nX-UID: 7\n\nho\n\n");
	CHECK("which is kept when all are stamped",
	    uidvalidity() == 2000000000);
	put(ONE "X-IMAPbase: 2000000000 0000000007\nX-UID: 7\n\nho\n\n" TWO);
	second = uidvalidity();
	CHECK("and rises in each session where they are not",
	    second > first);
	unlink(other_name);
}

/* The same where the file can be written: UIDs last, and so does it. */
static void
check_lasting(void)
{
	uint32_t first, second;

	put(ONE "\nhi\n\n" TWO);
	first = uidvalidity();
	world.ms += 1000;
	CHECK("UIDVALIDITY stays from session to session",
	    first != 0 && uidvalidity() == first);
	put(TWO);
	second = uidvalidity();
	CHECK("and rises when another program took the stamps away",
	    second > first);
	put(ONE "X-IMAPbase: 937243866 0000000007\nX-UID: 7\n\nhi\n\n" TWO);
	CHECK("what is stamped in part is stamped whole, under the same",
	    uidvalidity() == 937243866);
	put(TWO);
	CHECK("no mailbox gets one twice, not even in the same second",
	    uidvalidity() > second);
}

static int
remove_one(const char *path, const struct stat *st, int kind,
    struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

int
main(void)
{
	world.ms = START * INT64_C(1000);
	if (mkdtemp(home) == NULL)
		return 1;
	snprintf(inbox, sizeof(inbox), "%s/inbox", home);
	check_autologout();
	check_idle();
	check_flush();
	check_tries();
	snprintf(other_name, sizeof(other_name), "%s/other", home);
	check_not_lasting();
	check_lasting();
	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return unit_end();
}
