/*
 * ask.c - asks whether a login is right, and counts the refusals. Decides
 * nothing about passwords, and tells the client nothing: cmd_login.c does.
 */
#include "ask.h"

static int
exchange(struct ask *ask, struct wire_request *q, struct wire_answer *a)
{
	int r = wire_send(ask->channel, q, sizeof(*q));

	login_wipe(q, sizeof(*q));
	if (r != 0 || wire_receive(ask->channel, a, sizeof(*a)) != 1)
		return -1;
	return wire_answer_ok(a, ask->seq) ? 0 : -1;
}

enum login_answer
ask_login(struct ask *ask, enum wire_kind kind, bool tls, struct str tag,
    const struct credentials *c)
{
	struct wire_request q;
	struct wire_answer a;

	wire_request_set(&q, ++ask->seq, kind, tls, tag);
	wire_name_set(&q.user, c->user);
	wire_name_set(&q.authz, c->authz);
	login_set(&q.login, c->user, c->authz, c->password);
	if (exchange(ask, &q, &a) != 0) {
		ask->refused = LOGIN_TRIES;
		return LOGIN_UNAVAILABLE;
	}
	if (a.answer != LOGIN_YES)
		ask->refused++;
	return (enum login_answer)a.answer;
}

bool
ask_is_over(const struct ask *ask)
{
	return ask->refused >= LOGIN_TRIES;
}

int
ask_hand_over(const struct ask *ask, struct str rest)
{
	struct wire_rest r;
	int sent;

	wire_rest_set(&r, rest);
	sent = wire_send(ask->channel, &r, sizeof(r));
	login_wipe(&r, sizeof(r));
	return sent;
}
