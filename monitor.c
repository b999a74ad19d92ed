/*
 * monitor.c - keeps the rights until somebody is logged in. Starts the front,
 * has each of its requests looked at by auth.c, counts the refused ones and
 * holds them back, and writes the lines in the log. It parses nothing, opens
 * nothing, and ends the front for the first thing that is not as wire.h says.
 */
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/await.h"
#include "lib/log.h"
#include "lib/params.h"

enum {
	/* Milliseconds for the front to say goodbye. */
	GRACE_MS = 2000,
	/* For the last bytes of a session to a client that is slow. */
	RELAY_MS = 10000,
};

/* A page by itself, neither swapped nor dumped: it holds a password. */
static bool
make_request(struct monitor *m)
{
	void *page = mmap(NULL, sizeof(*m->q), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return false;
	/* Both are more than is needed, and may be refused. */
	mlock(page, sizeof(*m->q));
	madvise(page, sizeof(*m->q), MADV_DONTDUMP);
	m->q = page;
	return true;
}

static void
drop_request(struct monitor *m)
{
	login_wipe(m->q, sizeof(*m->q));
	munmap(m->q, sizeof(*m->q));
	m->q = NULL;
}

static bool
start_front(struct monitor *m)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	m->front_pid = fork();
	if (m->front_pid == 0) {
		close(ends[0]);
		_exit(m->front(m->arg, ends[1]));
	}
	close(ends[1]);
	m->channel = ends[0];
	return m->front_pid > 0;
}

/* Until the front has something to say or is gone. It knows the deadline,
 * too, and is given time to say so. */
static int
await_front(const struct monitor *m, int64_t deadline)
{
	struct pollfd pfd = { .fd = m->channel, .events = POLLIN };

	return await_fds(&pfd, 1, deadline, m->stop, NULL);
}

/*
 * Waits `ms` at most for its process to end, and ends it otherwise; the wait
 * status. It closes the channel by ending and in no other way, and a kill
 * does not change how a process has ended. Behind a session, which may not
 * kill it, it ends by itself, and is not waited for any longer.
 */
static int
reap(struct monitor *m, int ms)
{
	struct pollfd pfd = { .fd = m->channel, .events = POLLIN };
	int status = 0, flags;

	await_fds(&pfd, 1, await_now() + ms, NULL, NULL);
	flags = kill(m->front_pid, SIGKILL) == 0 ? 0 : WNOHANG;
	while (waitpid(m->front_pid, &status, flags) < 0 && errno == EINTR)
		continue;
	close(m->channel);
	m->front_pid = 0;
	return status;
}

/*
 * These lines are read by programs that shut out attackers; neither the
 * wording nor the order may change. Nothing stands behind the address, and
 * no byte of a name can end one field and begin another (log_clean).
 */
static void
log_refused(const struct monitor *m, enum login_answer answer)
{
	const struct wire_name *user = &m->q->user, *as = &m->q->authz;
	char name[257], auth[257];

	if (as->n == 0)
		as = user;
	log_clean((struct str){ as->bytes, as->n }, name, sizeof(name));
	log_clean((struct str){ user->bytes, user->n }, auth, sizeof(auth));
	log_info("Login %s user=%s auth=%s host=%s",
	    answer == LOGIN_UNAVAILABLE ? "unavailable" :
	    m->refused >= LOGIN_TRIES ? "excessive login failures" :
	    "failed", name, auth, m->peer->host);
}

/*
 * Looking at a password takes 0.1 ms for a name that nobody has and up to
 * 100 ms for one that somebody has. What is slower than one step is held
 * back for the next, so only the number of steps can be told
 * (CVE-2016-6210). A client that is gone, or chose his moment, is told no
 * sooner.
 */
static void
hold_back(const struct monitor *m, int64_t since)
{
	int64_t steps = (await_now() - since) / REFUSAL_MS + 1;

	await_fds(NULL, 0, since + steps * REFUSAL_MS, m->stop, NULL);
}

static enum login_answer
look(struct monitor *m)
{
	int64_t since = await_now();
	enum login_answer answer = auth_check(m->auth, &m->q->login,
	    m->peer->address, m->stop, &m->who);

	login_wipe(&m->q->login, sizeof(m->q->login));
	if (answer != LOGIN_YES) {
		m->refused++;
		log_refused(m, answer);
		hold_back(m, since);
	}
	return answer;
}

/* One request, from the front that has become readable. */
static enum login_answer
serve(struct monitor *m, bool *heard)
{
	enum login_answer answer;
	struct wire_answer a;
	int r = wire_receive(m->channel, m->q, sizeof(*m->q));

	*heard = false;
	if (r == 0)
		return LOGIN_NO;
	if (r < 0 || m->refused >= LOGIN_TRIES ||
	    !wire_request_ok(m->q, m->seq + 1) ||
	    (m->q->tls && !m->may_tls)) {
		log_warn("the front says what it may not host=%s",
		    m->peer->host);
		kill(m->front_pid, SIGKILL);
		return LOGIN_NO;
	}
	m->seq++;
	answer = look(m);
	wire_answer_set(&a, m->seq, answer);
	*heard = wire_send(m->channel, &a, sizeof(a)) == 0;
	/* A refusal that was held back beyond the deadline is said. */
	if (m->deadline < await_now() + GRACE_MS)
		m->deadline = await_now() + GRACE_MS;
	return answer;
}

/* What the answer to the command needs, and what the client has sent behind
 * it. Without TLS the front ends. */
static bool
take_over(struct monitor *m)
{
	int status;

	m->kind = (enum wire_kind)m->q->kind;
	m->tls = m->q->tls;
	m->tag_n = m->q->tag_n;
	memcpy(m->tag, m->q->tag, m->tag_n);
	if (await_front(m, await_now() + GRACE_MS) != 0 ||
	    wire_receive(m->channel, &m->rest, sizeof(m->rest)) != 1 ||
	    !wire_rest_ok(&m->rest))
		return false;
	if (m->tls)
		return true;
	status = reap(m, GRACE_MS);
	return WIFEXITED(status) && WEXITSTATUS(status) == ENDING_LOGIN;
}

/* How the front ended, which is how the connection did. */
static void
log_end(struct monitor *m, int status)
{
	int ending = WIFEXITED(status) ? WEXITSTATUS(status) : ENDING_NONE;

	if (ending > ENDING_NONE && ending < ENDINGS &&
	    ending != ENDING_LOGIN)
		ending_log(m->ending = (enum ending)ending, NULL,
		    m->peer->host);
	else
		log_warn("the front has died (status %#x) host=%s", status,
		    m->peer->host);
}

/* Asks the front to say goodbye. */
static bool
end_front(struct monitor *m, int why)
{
	if (why == AWAIT_STOPPED)
		kill(m->front_pid, SIGTERM);
	log_end(m, reap(m, GRACE_MS));
	return false;
}

static bool
run(struct monitor *m)
{
	enum login_answer answer;
	char user[257];
	bool heard;
	int r;

	for (;;) {
		r = await_front(m, m->deadline);
		if (r != 0)
			return end_front(m, r);
		answer = serve(m, &heard);
		if (!heard)
			return end_front(m, 0);
		if (answer == LOGIN_YES)
			break;
	}
	if (take_over(m))
		return true;
	log_warn("the front is gone in the middle of a login user=%s host=%s",
	    log_clean(str_c(m->who.user), user, sizeof(user)),
	    m->peer->host);
	if (m->front_pid != 0)
		reap(m, 0);
	return false;
}

bool
monitor_run(struct monitor *m)
{
	bool in;

	m->deadline = await_now() + (int64_t)m->timeout * 1000 + GRACE_MS;
	if (!make_request(m) || !start_front(m)) {
		log_warn("can not start a front: %s host=%s",
		    strerror(errno), m->peer->host);
		return false;
	}
	in = run(m);
	drop_request(m);
	return in;
}

void
monitor_end(struct monitor *m)
{
	if (m->front_pid != 0)
		reap(m, RELAY_MS);
}
