/*
 * wire.c - fills, checks and moves the structs that pass between the front
 * and the monitor. Runs as root, too: it takes nothing apart, and no length
 * in it is believed before it is checked.
 */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { REQUEST = 0x696d6131, ANSWER = 0x696d6132, REST = 0x696d6133 };

void
wire_request_set(struct wire_request *q, uint32_t seq, enum wire_kind kind,
    bool tls, struct str tag)
{
	memset(q, 0, sizeof(*q));
	q->magic = REQUEST;
	q->seq = seq;
	q->kind = kind;
	q->tls = tls;
	q->tag_n = (uint32_t)(tag.n < sizeof(q->tag) ? tag.n :
	    sizeof(q->tag));
	memcpy(q->tag, tag.p, q->tag_n);
}

void
wire_name_set(struct wire_name *name, struct str s)
{
	memset(name, 0, sizeof(*name));
	name->n = (uint32_t)(s.n < sizeof(name->bytes) ? s.n :
	    sizeof(name->bytes));
	if (name->n > 0)
		memcpy(name->bytes, s.p, name->n);
}

void
wire_answer_set(struct wire_answer *a, uint32_t seq,
    enum login_answer answer)
{
	*a = (struct wire_answer){ ANSWER, seq, answer };
}

void
wire_rest_set(struct wire_rest *r, struct str bytes)
{
	memset(r, 0, sizeof(*r));
	r->magic = REST;
	r->n = (uint32_t)(bytes.n < sizeof(r->bytes) ? bytes.n :
	    sizeof(r->bytes));
	if (r->n > 0)
		memcpy(r->bytes, bytes.p, r->n);
}

/* n bytes of room, and nothing behind them. */
static bool
filled(const char *p, size_t n, size_t room)
{
	size_t i;

	if (n > room)
		return false;
	for (i = n; i < room; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

/* The same, ended by a NUL, with none before. */
static bool
is_string(const char *p, size_t n, size_t room)
{
	return n < room && filled(p, n, room) && memchr(p, '\0', n) == NULL;
}

static bool
name_ok(const struct wire_name *name)
{
	return filled(name->bytes, name->n, sizeof(name->bytes));
}

static bool
login_ok(const struct login *l)
{
	return is_string(l->user, l->user_n, sizeof(l->user)) &&
	    is_string(l->authz, l->authz_n, sizeof(l->authz)) &&
	    is_string(l->password, l->password_n, sizeof(l->password));
}

/*
 * It goes out in the answer. RFC 3501 section 9: tag = 1*<any ASTRING-CHAR
 * except "+">; what is left are the printable characters but eight.
 */
static bool
tag_ok(const struct wire_request *q)
{
	uint32_t i;

	if (q->tag_n == 0 || !filled(q->tag, q->tag_n, sizeof(q->tag)))
		return false;
	for (i = 0; i < q->tag_n; i++)
		if (q->tag[i] <= ' ' || q->tag[i] > '~' ||
		    memchr("(){%*\"\\+", q->tag[i], 8) != NULL)
			return false;
	return true;
}

/* The beginning of what was typed, as far as there is room for it. */
static bool
is_of(const struct wire_name *name, const char *typed, size_t n)
{
	if (n > sizeof(name->bytes))
		n = sizeof(name->bytes);
	return name->n == n && memcmp(name->bytes, typed, n) == 0;
}

/* Who is tried is who is logged. What can be nobody's name is not in the
 * login, and only in the log. */
static bool
names_ok(const struct wire_request *q)
{
	const struct login *l = &q->login;

	return l->user_n == 0 || (is_of(&q->user, l->user, l->user_n) &&
	    is_of(&q->authz, l->authz, l->authz_n));
}

bool
wire_request_ok(const struct wire_request *q, uint32_t seq)
{
	return q->magic == REQUEST && q->seq == seq &&
	    q->kind < WIRE_KINDS && q->tls <= 1 && tag_ok(q) &&
	    name_ok(&q->user) && name_ok(&q->authz) &&
	    login_ok(&q->login) && names_ok(q);
}

bool
wire_answer_ok(const struct wire_answer *a, uint32_t seq)
{
	return a->magic == ANSWER && a->seq == seq &&
	    a->answer <= LOGIN_UNAVAILABLE;
}

bool
wire_rest_ok(const struct wire_rest *r)
{
	return r->magic == REST &&
	    filled(r->bytes, r->n, sizeof(r->bytes));
}

int
wire_send(int fd, const void *p, size_t n)
{
	ssize_t done;

	do
		done = send(fd, p, n, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	return done == (ssize_t)n ? 0 : -1;
}

/* MSG_TRUNC: the length that was sent, whatever the room. A descriptor that
 * is sent along is closed by the system, as none is asked for. */
int
wire_receive(int fd, void *p, size_t n)
{
	ssize_t done;

	do
		done = recv(fd, p, n, MSG_TRUNC);
	while (done < 0 && errno == EINTR);
	if (done == 0 || (done < 0 && errno == ECONNRESET))
		return 0;
	return done == (ssize_t)n ? 1 : -1;
}
