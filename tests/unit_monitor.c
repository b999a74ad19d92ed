/*
 * unit_monitor.c - the monitor against fronts that say what they like, and
 * how long it holds a refusal back. Its passwords are in a file; its time is
 * made: a wait with nothing to wait for moves a clock forward, each look at a
 * password takes as long as the test says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../monitor.h"
#include "../lib/ending.h"
#include "../lib/log.h"

static int64_t clock_ms = 1790000000000;
static int took;	/* milliseconds for a look at a password */
static int refused;	/* how often something was held back */
static int64_t held[8];

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	(void)clock;
	t->tv_sec = clock_ms / 1000;
	t->tv_nsec = clock_ms % 1000 * 1000000;
	return 0;
}

/* glibc says that it only writes to fds. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

/* The real one for what other processes do, without the clock. */
int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *left,
    const sigset_t *mask)
{
	static int64_t since;
	int r;

	if (n == 0) {
		clock_ms += left->tv_sec * 1000 + left->tv_nsec / 1000000 + 1;
		held[refused++ % 8] = clock_ms - 1 - since;
		return 0;
	}
	/* A worker's pipe, or the front that begins another try. */
	if ((fcntl(fds->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		clock_ms += took;
	else
		since = clock_ms;
	r = (int)syscall(SYS_ppoll, fds, n, left->tv_sec == 0 &&
	    left->tv_nsec == 0 ? left : NULL, mask, 8);
	clock_ms += r == 0;
	return r;
}

static char passwords[] = "/tmp/unit_monitor.XXXXXX";

/* "secret" */
#define HASH	"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n" \
	"0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"

static void
make_passwords(void)
{
	int fd = mkstemp(passwords);
	unsigned uid = geteuid() == 0 ? 1234 : geteuid();

	if (fd < 0 || dprintf(fd, "riley:" HASH ":%u:%u::/home/riley\n", uid,
	    geteuid() == 0 ? 1234 : getegid()) < 0 || close(fd) != 0)
		abort();
}

/* One connection: what the front does, and what it was told. */
struct play {
	void (*front)(int channel);
	int told;		/* a pipe: the front's answers */
};

static enum login_answer
ask(int channel, uint32_t seq, const char *password)
{
	struct wire_request q;
	struct wire_answer a;

	wire_request_set(&q, seq, WIRE_PLAIN, false, STR("a1"));
	wire_name_set(&q.user, STR("riley"));
	login_set(&q.login, STR("riley"), STR(""), str_c(password));
	if (wire_send(channel, &q, sizeof(q)) != 0 ||
	    wire_receive(channel, &a, sizeof(a)) != 1 ||
	    !wire_answer_ok(&a, seq))
		_exit(ENDING_CUT);
	return (enum login_answer)a.answer;
}

static int
run_front(void *arg, int channel)
{
	const struct play *play = arg;

	/* Those that stay for ever, too, where a test dies. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	play->front(channel);
	return ENDING_LOGIN;
}

static bool
monitor(void (*front)(int), struct monitor *m)
{
	static struct auth auth;
	static const struct peer peer = { .address = "192.0.2.7",
	    .host = "[192.0.2.7]" };
	struct play play = { .front = front };
	static char method[64];
	struct why why;
	bool in;

	snprintf(method, sizeof(method), "file:%s", passwords);
	auth.n = 0;
	if (auth_add(&auth, method, &why) != E_OK)
		abort();
	refused = 0;
	*m = (struct monitor){ .auth = &auth, .peer = &peer, .timeout = 180,
	    .front = run_front, .arg = &play };
	/* A test that hangs is a test that fails. */
	alarm(60);
	in = monitor_run(m);
	alarm(0);
	return in;
}

/* ---- those who play by the rules ---- */

static void
logs_in(int channel)
{
	struct wire_rest r;

	if (ask(channel, 1, "wrong") != LOGIN_NO ||
	    ask(channel, 2, "secret") != LOGIN_YES)
		_exit(ENDING_CUT);
	wire_rest_set(&r, STR("a2 NOOP\r\n"));
	if (wire_send(channel, &r, sizeof(r)) != 0)
		_exit(ENDING_CUT);
}

static void
fails_thrice(int channel)
{
	uint32_t i;

	for (i = 1; i <= LOGIN_TRIES; i++)
		if (ask(channel, i, "wrong") != LOGIN_NO)
			_exit(ENDING_CUT);
	_exit(ENDING_REFUSED);
}

static void
leaves(int channel)
{
	(void)channel;
	_exit(ENDING_LOGOUT);
}

static void
check_rules(void)
{
	struct monitor m;
	bool in = monitor(logs_in, &m);

	CHECK("a second try that is right logs in", in &&
	    str_eq(str_c(m.who.user), STR("riley")) && m.refused == 1);
	CHECK("with the command, its tag and what came behind it", in &&
	    m.kind == WIRE_PLAIN && !m.tls &&
	    str_eq((struct str){ m.tag, m.tag_n }, STR("a1")) &&
	    str_eq((struct str){ m.rest.bytes, m.rest.n },
	    STR("a2 NOOP\r\n")));
	CHECK("and without a process that is left", m.front_pid == 0 &&
	    waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	CHECK("three refusals are no login", !monitor(fails_thrice, &m) &&
	    m.refused == 3);
	CHECK("nor is a client that leaves", !monitor(leaves, &m));
}

/* Whatever looking took, a refusal leaves after 3, 6, 9 ... seconds. */
static void
check_held_back(void)
{
	static const struct {
		int took;
		int held;
	} table[] = {
		{ 0, 3000 }, { 1, 3000 }, { 29, 3000 }, { 2999, 3000 },
		{ 3000, 6000 }, { 3001, 6000 }, { 8999, 9000 },
	};
	struct monitor m;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		took = table[i].took;
		monitor(fails_thrice, &m);
		CHECK("held back for a whole multiple of 3 s (CVE-2016-6210)",
		    refused == 3 && held[0] == table[i].held &&
		    held[1] == table[i].held && held[2] == table[i].held);
	}
	took = 0;
}

/* ---- those who do not ---- */

static struct wire_request bad;

/* Says `bad` and stays there. */
static void
says_it(int channel)
{
	if (wire_send(channel, &bad, sizeof(bad)) == 0)
		for (;;)
			pause();
}

static void
says_half(int channel)
{
	wire_send(channel, &bad, sizeof(bad) - 1);
	for (;;)
		pause();
}

static void
says_more(int channel)
{
	char more[sizeof(bad) + 1] = { 0 };

	memcpy(more, &bad, sizeof(bad));
	wire_send(channel, more, sizeof(more));
	for (;;)
		pause();
}

static void
good(void)
{
	wire_request_set(&bad, 1, WIRE_LOGIN, false, STR("a1"));
	wire_name_set(&bad.user, STR("riley"));
	login_set(&bad.login, STR("riley"), STR(""), STR("secret"));
}

static void
keeps_quiet(int channel)
{
	(void)channel;
	close(channel);
	for (;;)
		pause();
}

static void
tries_a_fourth_time(int channel)
{
	uint32_t i;

	for (i = 1; i <= LOGIN_TRIES; i++)
		ask(channel, i, "wrong");
	ask(channel, i, "secret");
}

static void
asks_twice_the_same(int channel)
{
	ask(channel, 1, "wrong");
	ask(channel, 1, "secret");
}

static void
is_in_without_the_rest(int channel)
{
	ask(channel, 1, "secret");
	_exit(ENDING_LOGIN);
}

static void
is_in_and_asks_on(int channel)
{
	ask(channel, 1, "secret");
	ask(channel, 2, "secret");
}

static void
is_in_and_stays(int channel)
{
	struct wire_rest r;

	ask(channel, 1, "secret");
	wire_rest_set(&r, STR(""));
	wire_send(channel, &r, sizeof(r));
	close(channel);
	for (;;)
		pause();
}

#define SAYS(what, change) do {						\
	good();								\
	change;								\
	CHECK(what, !monitor(says_it, &m) && m.refused == 0);		\
} while (0)

static void
check_liars(void)
{
	struct monitor m;

	SAYS("another magic ends the front", bad.magic++);
	SAYS("so does a number out of order", bad.seq = 2);
	SAYS("an unknown command", bad.kind = WIRE_KINDS);
	SAYS("a flag that is no flag", bad.tls = 2);
	SAYS("TLS where there is none", bad.tls = 1);
	SAYS("no tag", bad.tag_n = 0);
	SAYS("a tag with a line end in it", bad.tag[1] = '\n');
	SAYS("a tag with a space in it", bad.tag[1] = ' ');
	SAYS("a tag that is too long", bad.tag_n = TAG_MAX_BYTES + 1);
	SAYS("bytes behind the tag", bad.tag[5] = 'x');
	SAYS("a name that is too long", bad.user.n = WIRE_NAME_BYTES + 1);
	SAYS("bytes behind a name", bad.authz.bytes[3] = 'x');
	SAYS("a user that is too long", bad.login.user_n = 256);
	SAYS("a user of more bytes than there are",
	    bad.login.user_n = SIZE_MAX);
	SAYS("a NUL in a user", bad.login.user_n = 6);
	SAYS("bytes behind a user", bad.login.user[20] = 'x');
	SAYS("a password that is too long", bad.login.password_n = 512);
	SAYS("bytes behind the password", bad.login.password[100] = 'x');
	good();
	CHECK("half a request", !monitor(says_half, &m) && m.refused == 0);
	CHECK("one with more behind it", !monitor(says_more, &m) &&
	    m.refused == 0);
	CHECK("silence for ever", !monitor(keeps_quiet, &m));
	CHECK("a fourth try (CVE-2015-6563: an order of its own)",
	    !monitor(tries_a_fourth_time, &m) && m.refused == 3);
	CHECK("the same number twice", !monitor(asks_twice_the_same, &m));
	CHECK("a login without its rest",
	    !monitor(is_in_without_the_rest, &m));
	CHECK("another request after the yes",
	    !monitor(is_in_and_asks_on, &m));
	CHECK("a front that does not go", !monitor(is_in_and_stays, &m));
}

/* What the front has said so far, which is a process of its own. */
static unsigned long *said;

/* A request that is refused, or one that is none: bits of it turned, half of
 * them where the numbers are. */
static void
lie(uint32_t seq)
{
	unsigned char *p = (unsigned char *)&bad;
	size_t k;

	good();
	bad.seq = seq;
	login_set(&bad.login, STR("riley"), STR(""), STR("wrong"));
	for (k = (size_t)random() % 4; k-- > 0; )
		p[(size_t)random() % (k % 2 ? 24 : sizeof(bad))] ^=
		    (unsigned char)(1 << random() % 8);
}

/* With a descriptor of ours, which nobody has asked for. */
static ssize_t
send_descriptor(int channel)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
	    .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec io = { &bad, sizeof(bad) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &channel, sizeof(channel));
	return sendmsg(channel, &m, MSG_NOSIGNAL);
}

static ssize_t
say_somehow(int channel)
{
	static char more[sizeof(bad) + 1];

	switch (random() % 16) {
	case 0:
		memcpy(more, &bad, sizeof(bad));
		return send(channel, more, sizeof(more), MSG_NOSIGNAL);
	case 1:
		/* Not empty: nobody could tell that from the end, and the
		 * wait for that would be long. */
		return send(channel, &bad, 1 + (size_t)random() %
		    (sizeof(bad) - 1), MSG_NOSIGNAL);
	case 2:
		return send_descriptor(channel);
	default:
		return send(channel, &bad, sizeof(bad), MSG_NOSIGNAL);
	}
}

static void
lies_on(int channel)
{
	struct wire_answer a;
	uint32_t seq;

	for (seq = 1; seq <= LOGIN_TRIES + 2; seq++) {
		lie(seq);
		++*said;
		if (say_somehow(channel) < 0 ||
		    wire_receive(channel, &a, sizeof(a)) != 1)
			break;
	}
	_exit(ENDING_CUT);
}

static int
next_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* P4: at random, most of it nearly right. LIES: how many requests. */
static void
check_random(void)
{
	const char *count = getenv("LIES");
	unsigned long n = count != NULL ? strtoul(count, NULL, 10) : 300;
	unsigned long in = 0;
	const int next = next_descriptor();
	unsigned fronts;
	struct monitor m;

	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		abort();
	for (fronts = 1; *said < n; fronts++) {
		srandom(fronts);
		in += monitor(lies_on, &m);
		if (m.refused > LOGIN_TRIES || m.front_pid != 0)
			in++;
	}
	printf("# %lu requests of %u fronts\n", *said, fronts - 1);
	CHECK("nothing that is random ever logs in", in == 0);
	CHECK("and no descriptor that came with it stays",
	    next_descriptor() == next);
}

int
main(void)
{
	log_open(LOG_TO_NONE);
	make_passwords();
	check_rules();
	check_held_back();
	check_liars();
	check_random();
	unlink(passwords);
	return unit_end();
}
