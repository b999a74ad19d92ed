/*
 * unit_tls_session.c - the relay of bytes to a session behind TLS, and
 * STARTTLS. unit_tls.h has the clients.
 */
#include "unit.h"

#ifdef WITHOUT_TLS

int
main(void)
{
	printf("1..0 # SKIP built without TLS\n");
	return 0;
}

#else

#include "unit_tls.h"

enum { RELAYED = 10 * MEGA };

static void
load_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct why why;

	write_certificate("cert", "w", key, -DAY, DAY);
	write_key("key", "w", key, NULL);
	EVP_PKEY_free(key);
	keys = tls_load(at("cert"), at("key"), &why);
}

/* --- The relay. --- */

/* Sends what is left of RELAYED bytes, as many as go now. */
struct flow {
	size_t sent, got;
	size_t to_send, to_get;
	size_t slow;		/* single bytes are read before this one */
	bool wrong;
};

static bool
flow_check(struct flow *f, const char *p, ssize_t n)
{
	ssize_t i;

	for (i = 0; i < n; i++)
		f->wrong |= p[i] != pattern(f->got + (size_t)i);
	f->got += n > 0 ? (size_t)n : 0;
	return !f->wrong;
}

static size_t
flow_next(const struct flow *f, char *p, size_t room)
{
	size_t i, n = f->to_send - f->sent;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++)
		p[i] = pattern(f->sent + i);
	return n;
}

/* One side of a session; ssl NULL: the session's own, in the clear. */
static int
flow_run(struct flow *f, SSL *ssl, int fd)
{
	char buf[20000];
	struct pollfd pfd = { .fd = fd };
	ssize_t put, got;
	size_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (ssl != NULL)
		SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
		    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (f->sent < f->to_send || f->got < f->to_get) {
		n = flow_next(f, buf, sizeof(buf));
		put = n == 0 ? 0 : ssl != NULL ? SSL_write(ssl, buf, (int)n) :
		    send(fd, buf, n, MSG_NOSIGNAL);
		f->sent += put > 0 ? (size_t)put : 0;
		n = f->got == f->to_get ? 0 : f->got < f->slow ? 1 :
		    sizeof(buf);
		got = n == 0 ? -1 : ssl != NULL ? SSL_read(ssl, buf, (int)n) :
		    recv(fd, buf, n, 0);
		if (!flow_check(f, buf, got))
			return 10;
		if (got == 0)
			return 11;
		pfd.events = (short)((f->got < f->to_get ? POLLIN : 0) |
		    (f->sent < f->to_send ? POLLOUT : 0));
		if (got < 0 && put <= 0 && pfd.events != 0 &&
		    poll(&pfd, 1, -1) < 0)
			return 12;
	}
	fcntl(fd, F_SETFL, 0);
	return 0;
}

static struct flow client_flow, session_flow;

/* The session's side of a relay, as a process. */
static pid_t
start_session(struct link *l, int *fd, int (*talk)(int fd, struct link *l))
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		abort();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(&world, 0, sizeof(world));
		world.client = world.session = -1;
		close(l->server);
		close(l->tell);
		close(ends[0]);
		_exit(talk(ends[1], l));
	}
	close(ends[1]);
	*fd = ends[0];
	world.session = *fd;
	world.client = l->server;
	world.up = world.up_most = world.down = world.down_most = 0;
	world.idle = world.idle_most = 0;
	world.counting = true;
	return pid;
}

static int
flow_client(SSL *ssl, struct link *l)
{
	int r;

	if (SSL_connect(ssl) != 1)
		return 1;
	r = flow_run(&client_flow, ssl, l->client);
	if (r != 0)
		return r;
	/* Now the session may end. */
	if (SSL_shutdown(ssl) < 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
flow_session(int fd, struct link *l)
{
	int r = flow_run(&session_flow, NULL, fd);
	char c;

	(void)l;
	if (r != 0)
		return r;
	return recv(fd, &c, 1, 0) == 0 ? 0 : 20;
}

static size_t
memory(void)
{
	long pages = 0, own = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &pages, &own) != 2)
		own = 0;
	if (f != NULL)
		fclose(f);
	return (size_t)own * 4096;
}

static void
test_flow(const char *what, struct flow client, struct flow session,
    int version)
{
	struct link *l = &link_;
	size_t before;
	pid_t pid;
	int fd;

	client_flow = client;
	session_flow = session;
	begin(l, version, flow_client);
	pid = start_session(l, &fd, flow_session);
	before = memory();
	CHECK(what, tls_relay(&l->io, fd) == 0);
	close(fd);
	CHECK("the client has all of it", went_well(l->pid));
	CHECK("the session has all of it", went_well(pid));
	CHECK("one buffer is held each way, and a record",
	    world.up_most < 3 * 16384 && world.down_most < 3 * 16384);
	CHECK("no wait is in vain", world.idle_most <= 2);
#ifndef __SANITIZE_ADDRESS__
	CHECK("memory does not grow", memory() < before + MEGA);
#else
	(void)before;
#endif
	disconnect(l);
}

/* Ends of one side while the other has more to say. */
static int
leave_at_once(int fd, struct link *l)
{
	char c;

	(void)l;
	session_flow = (struct flow){ .to_send = 300000 };
	if (flow_run(&session_flow, NULL, fd) != 0)
		return 1;
	shutdown(fd, SHUT_WR);
	/* The client's command is not waited for, but taken. */
	while (recv(fd, &c, 1, 0) > 0)
		;
	return 0;
}

static int
hear_rest(SSL *ssl, struct link *l)
{
	client_flow = (struct flow){ .to_get = 300000, .slow = 100 };
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, "x", 1) != 1)
		return 1;
	if (flow_run(&client_flow, ssl, l->client) != 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
close_first(SSL *ssl, struct link *l)
{
	client_flow = (struct flow){ .to_get = 300000 };
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, "x", 1) != 1 ||
	    SSL_shutdown(ssl) != 0)
		return 1;
	if (flow_run(&client_flow, ssl, l->client) != 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
answer_the_end(int fd, struct link *l)
{
	char c[2];

	(void)l;
	if (recv(fd, c, 2, 0) != 1 || recv(fd, c, 1, 0) != 0)
		return 1;
	session_flow = (struct flow){ .to_send = 300000 };
	return flow_run(&session_flow, NULL, fd);
}

static int
vanish(SSL *ssl, struct link *l)
{
	(void)l;
	return SSL_connect(ssl) != 1;
}

/* Says ten megabytes to nobody, and hears that nobody is there. */
static int
talk_to_nobody(int fd, struct link *l)
{
	char c;

	(void)l;
	if (recv(fd, &c, 1, 0) != 0)
		return 1;
	session_flow = (struct flow){ .to_send = RELAYED };
	fcntl(fd, F_SETFL, 0);
	while (session_flow.sent < RELAYED) {
		static char zeros[20000];
		ssize_t n = send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);

		if (n <= 0)
			return 2;
		session_flow.sent += (size_t)n;
	}
	return 0;
}

/* What fits into the way to the relay, and not into that to the client. */
static int
say_and_go(int fd, struct link *l)
{
	session_flow = (struct flow){ .to_send = 100000 };
	(void)l;
	return flow_run(&session_flow, NULL, fd);
}

static int
wait_for_end(int fd, struct link *l)
{
	char c;

	(void)l;
	return recv(fd, &c, 1, 0) == 0 ? 0 : 1;
}

static void
test_ends(const char *what, int (*client)(SSL *, struct link *),
    int (*session)(int, struct link *), int want, bool hurry)
{
	struct link *l = &link_;
	pid_t pid;
	int fd, r, small = 4096;

	begin(l, TLS1_3_VERSION, client);
	setsockopt(l->server, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	pid = start_session(l, &fd, session);
	world.hurry = hurry;
	if (want == IO_SIGNAL)
		stop = 1;
	r = tls_relay(&l->io, fd);
	if (!CHECK(what, r == want))
		printf("# it returned %d\n", r);
	close(fd);
	if (hurry)
		CHECK("after ten seconds", world.skew / 1000 >=
		    TLS_END_TIMEOUT && world.skew / 1000 <=
		    TLS_END_TIMEOUT + 2);
	CHECK("it is the end of TLS", l->io.gone && l->io.inner == NULL);
	if (client == read_nothing)
		say(l->tell);
	CHECK("the client agrees", went_well(l->pid));
	CHECK("so does the session", went_well(pid));
	disconnect(l);
}

static void
test_relay(void)
{
	struct flow all = { .to_send = RELAYED, .to_get = RELAYED };
	struct flow slow = { .to_send = RELAYED, .to_get = RELAYED,
	    .slow = 200000 };

	test_flow("ten megabytes each way", all, all, TLS1_3_VERSION);
	test_flow("also with TLS 1.2", all, all, TLS1_2_VERSION);
	test_flow("a session that is slow to read", all, slow,
	    TLS1_3_VERSION);
	test_flow("a client that is slow to read", slow, all,
	    TLS1_3_VERSION);
	test_ends("a session that ends is heard to the end", hear_rest,
	    leave_at_once, 0, false);
	test_ends("a client that ends hears the answer", close_first,
	    answer_the_end, 0, false);
	test_ends("to one who is gone nothing is said, but all is taken",
	    vanish, talk_to_nobody, 0, false);
	test_ends("one who does not read the end does not keep us",
	    read_nothing, say_and_go, IO_TIMEOUT, true);
	test_ends("a signal ends a relay", only_shake_hands, wait_for_end,
	    IO_SIGNAL, false);
}

/* --- STARTTLS. --- */

static const struct options options = { .login_timeout = 180,
    .idle_timeout = 1800 };

static enum ending
serve(struct link *l, struct tls_keys *k)
{
	static struct session s;
	enum ending end;

	memset(&s, 0, sizeof(s));
	memcpy(&s.io, &l->io, sizeof(s.io));
	s.reply.io = &s.io;
	s.pool = pool_new();
	s.state = STATE_NOT_AUTH;
	s.options = &options;
	s.host = "host";
	s.peer = "[192.0.2.7]";
	s.tls = k;
	end = session_run(&s);
	tls_close(&s.io);
	pool_free(s.pool);
	return end;
}

/* What the other side hears of a session in the clear. */
static enum ending
serve_text(const char *text, struct tls_keys *k, size_t first, char *heard,
    size_t room)
{
	struct link *l = &link_;
	struct str s = str_c(text);
	enum ending end;
	ssize_t n;

	connect_ends(l);
	if (write(l->client, s.p, s.n) != (ssize_t)s.n)
		abort();
	shutdown(l->client, SHUT_WR);
	world.first_read = first;
	end = serve(l, k);
	n = recv(l->client, heard, room - 1, MSG_DONTWAIT);
	heard[n > 0 ? n : 0] = '\0';
	disconnect(l);
	return end;
}

static void
test_injection(void)
{
	static const char text[] = "a STARTTLS\r\nb NOOP\r\nc LOGOUT\r\n";
	enum { LINE = 12 };
	char heard[4096];
	enum ending end;
	unsigned fine = 0;
	size_t k;

	for (k = 1; k < sizeof(text); k++) {
		end = serve_text(text, keys, k, heard, sizeof(heard));
		/* With the line alone there is an OK, and what comes then is
		 * no handshake. */
		if (strstr(heard, "\r\nb ") == NULL &&
		    strstr(heard, "\r\nc ") == NULL &&
		    (strstr(heard, "\r\na BAD ") != NULL ?
		    end == ENDING_INJECTED &&
		    strstr(heard, "\r\n* BYE ") != NULL :
		    k <= LINE && end == ENDING_NO_TLS &&
		    strstr(heard, "\r\na OK ") != NULL))
			fine++;
		else
			printf("# at %zu: %d <%s>\n", k, end, heard);
	}
	CHECK("what stands behind STARTTLS is never run, however it comes",
	    fine == sizeof(text) - 1);
	end = serve_text("a STARTTLS\r\n", keys, 0, heard, sizeof(heard));
	CHECK("a client that leaves instead", end == ENDING_NO_TLS);
	CHECK("it was offered", strstr(heard, " STARTTLS ") != NULL);
}

static void
test_refusals(void)
{
	char heard[4096];
	enum ending end;

	end = serve_text("a STARTTLS\r\nb LOGOUT\r\n", NULL, 0, heard,
	    sizeof(heard));
	CHECK("without a certificate it is not there",
	    strstr(heard, "\r\na NO ") != NULL);
	CHECK("nor offered", strstr(heard, "* OK ") == heard &&
	    strstr(heard, " STARTTLS ") == strstr(heard, " STARTTLS is"));
	CHECK("and the session goes on", end == ENDING_LOGOUT);
	end = serve_text("a STARTTLS x\r\nb LOGOUT\r\n", keys, 0, heard,
	    sizeof(heard));
	CHECK("it takes no argument", end == ENDING_LOGOUT &&
	    strstr(heard, "\r\na BAD ") != NULL);
	end = serve_text("a BAD\r\nb BAD\r\nc STARTTLS\r\n", keys, 0, heard,
	    sizeof(heard));
	CHECK("it may come late", strstr(heard, "\r\nc OK ") != NULL);
}

/* Sends a line, and reads until the answer to it. */
static bool
command(SSL *ssl, const char *line, const char *answer, char *heard,
    size_t room)
{
	struct str s = str_c(line);
	size_t n = 0;
	int got;

	if (SSL_write(ssl, s.p, (int)s.n) != (int)s.n)
		return false;
	do {
		got = SSL_read(ssl, heard + n, (int)(room - n - 1));
		if (got <= 0)
			return false;
		n += (size_t)got;
		heard[n] = '\0';
	} while (strstr(heard, answer) == NULL && n < room - 1);
	return strstr(heard, answer) != NULL;
}

static bool
until_line(int fd, const char *word)
{
	char line[1024];
	size_t n = 0;

	do {
		if (n == sizeof(line) - 1 ||
		    syscall(SYS_read, fd, line + n, 1) != 1)
			return false;
	} while (line[n++] != '\n');
	line[n] = '\0';
	return strstr(line, word) != NULL;
}

static int
use_starttls(SSL *ssl, struct link *l)
{
	char heard[4096];

	if (!until_line(l->client, " STARTTLS LOGINDISABLED] "))
		return 1;
	if (write(l->client, "x BAD\r\n", 7) != 7 ||
	    !until_line(l->client, "x BAD "))
		return 2;
	if (write(l->client, "a STARTTLS\r\n", 12) != 12 ||
	    !until_line(l->client, "a OK Begin TLS negotiation now\r\n"))
		return 3;
	if (SSL_connect(ssl) != 1)
		return 4;
	if (!command(ssl, "b CAPABILITY\r\n", "b OK ", heard, 4096) ||
	    strstr(heard, " SASL-IR AUTH=PLAIN AUTH=LOGIN") == NULL ||
	    strstr(heard, "STARTTLS") != NULL ||
	    strstr(heard, "LOGINDISABLED") != NULL)
		return 5;
	if (!command(ssl, "c STARTTLS\r\n", "c BAD TLS is on", heard, 4096))
		return 6;
	if (!command(ssl, "d LOGOUT\r\n", "d OK ", heard, 4096))
		return 7;
	return ended_well(ssl) ? 0 : 8;
}

/* Three in a row are too many, TLS or not. */
static int
be_bad(SSL *ssl, struct link *l)
{
	char heard[4096];

	if (!until_line(l->client, " STARTTLS ") ||
	    write(l->client, "x BAD\r\ny BAD\r\n", 14) != 14 ||
	    !until_line(l->client, "x BAD ") ||
	    !until_line(l->client, "y BAD ") ||
	    write(l->client, "a STARTTLS\r\n", 12) != 12 ||
	    !until_line(l->client, "a OK ") || SSL_connect(ssl) != 1)
		return 1;
	return command(ssl, "z BAD\r\n", "* BYE ", heard, 4096) ? 0 : 2;
}

static void
test_starttls(void)
{
	struct link *l = &link_;
	enum ending end;

	connect_ends(l);
	start(l, TLS1_3_VERSION, use_starttls);
	end = serve(l, keys);
	CHECK("STARTTLS", end == ENDING_LOGOUT);
	CHECK("and what is offered then", went_well(l->pid));
	disconnect(l);
	connect_ends(l);
	start(l, TLS1_2_VERSION, be_bad);
	end = serve(l, keys);
	CHECK("what was counted before is not forgotten",
	    end == ENDING_REFUSED);
	CHECK("and the client hears it", went_well(l->pid));
	disconnect(l);
}

int
main(void)
{
	if (!begin_tests())
		return 2;
	load_key();
	/* From here on no file is there to be read any more. */
	clean_up();
	if (!CHECK("a certificate and its key", keys != NULL))
		return unit_end();
	test_relay();
	test_injection();
	test_refusals();
	test_starttls();
	tls_free(keys);
	return unit_end();
}

#endif
