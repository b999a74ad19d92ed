/*
 * twin_wire.h - what a front may say to the monitor, once more: the rules of
 * wire.h byte by byte and without the functions of wire.c.
 */
#ifndef TWIN_WIRE_H
#define TWIN_WIRE_H

#include "../lib/wire.h"

/* The first n bytes of room are the text; 0 behind them, and with `text`
 * nowhere before. */
static inline bool
holds(const void *bytes, uint64_t n, uint64_t room, bool text)
{
	const unsigned char *p = bytes;
	uint64_t i;
	bool good = n <= room && !(text && n == room);

	for (i = 0; i < room; i++) {
		if (i >= n && p[i] != 0)
			good = false;
		if (i < n && text && p[i] == 0)
			good = false;
	}
	return good;
}

/* RFC 3501 section 9, all that an ASTRING-CHAR can be but "+". */
static inline bool
is_tag(const struct wire_request *q)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&',-./:;<=>?@[]^_`|}~";
	uint32_t i, k;
	bool good = q->tag_n >= 1 && q->tag_n <= 64;

	for (i = 0; good && i < q->tag_n; i++) {
		for (k = 0; legal[k] != q->tag[i]; k++)
			if (legal[k + 1] == '\0')
				return false;
	}
	return good && holds(q->tag, q->tag_n, 64, false);
}

/* As much of what was typed as there is room for. */
static inline bool
begins(const struct wire_name *name, const char *typed, uint64_t n)
{
	uint64_t i;
	bool good = n >= 64 ? name->n == 64 : name->n == n;

	for (i = 0; i < n && i < 64; i++)
		if (name->bytes[i] != typed[i])
			good = false;
	return good;
}

static inline bool
request_ok(const struct wire_request *q, uint32_t seq)
{
	return q->magic == 0x696d6131 && q->seq == seq &&
	    (q->kind == WIRE_LOGIN || q->kind == WIRE_PLAIN ||
	    q->kind == WIRE_SASL_LOGIN) && (q->tls == 0 || q->tls == 1) &&
	    is_tag(q) && holds(q->user.bytes, q->user.n, 64, false) &&
	    holds(q->authz.bytes, q->authz.n, 64, false) &&
	    holds(q->login.user, q->login.user_n, 256, true) &&
	    holds(q->login.authz, q->login.authz_n, 256, true) &&
	    holds(q->login.password, q->login.password_n, 512, true) &&
	    (q->login.user_n == 0 ||
	    (begins(&q->user, q->login.user, q->login.user_n) &&
	    begins(&q->authz, q->login.authz, q->login.authz_n)));
}

static inline bool
answer_ok(const struct wire_answer *a, uint32_t seq)
{
	return a->magic == 0x696d6132 && a->seq == seq && a->answer < 5;
}

static inline bool
rest_ok(const struct wire_rest *r)
{
	return r->magic == 0x696d6133 && holds(r->bytes, r->n, 16384, false);
}

#endif
