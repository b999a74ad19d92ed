/*
 * What a front that was taken over may send: structs of any bytes, which
 * wire.c must judge as the rules said once more do; and what we send comes.
 */
#include <sys/socket.h>

#include "fuzz.h"
#include "../twin_wire.h"

/* Begins with what is right, so that one change is near the border. */
static void
good_request(struct wire_request *q, struct str in)
{
	struct str tag = fuzz_until(&in, '\n'), user = fuzz_until(&in, '\n');
	struct str authz = fuzz_until(&in, '\n');

	wire_request_set(q, 1, WIRE_PLAIN, true, tag.n == 0 ? STR("a") : tag);
	wire_name_set(&q->user, user);
	wire_name_set(&q->authz, authz);
	login_set(&q->login, user, authz, in);
}

/* "at, width, value", again and again, over n bytes. */
static void
spoil(void *to, size_t n, struct str *in)
{
	unsigned char *p = to;
	size_t at, width;
	uint64_t v;

	while (in->n >= 4 && in->p[0] != '\n') {
		at = fuzz_number(in, 2) % n;
		width = fuzz_byte(in) % 8 + 1;
		v = fuzz_number(in, (unsigned)width);
		memcpy(p + at, &v, width < n - at ? width : n - at);
	}
	fuzz_byte(in);
}

/* Each rule where it is just kept, and just not. */
static void
borders(const struct wire_request *q)
{
	static struct wire_request other;
	size_t *const lengths[] = { &other.login.user_n, &other.login.authz_n,
	    &other.login.password_n };
	char *const texts[] = { other.login.user, other.login.authz,
	    other.login.password };
	const size_t rooms[] = { sizeof(other.login.user),
	    sizeof(other.login.authz), sizeof(other.login.password) };
	size_t i;
	uint32_t n;

	for (n = 0; n < 5; n++) {
		other = *q;
		other.kind = n;
		MUST(wire_request_ok(&other, 1) == request_ok(&other, 1));
		other = *q;
		other.tls = n;
		MUST(wire_request_ok(&other, 1) == request_ok(&other, 1));
	}
	other = *q;
	other.tag_n = 0;
	memset(other.tag, 0, sizeof(other.tag));
	MUST(wire_request_ok(&other, 1) == request_ok(&other, 1));
	for (i = 0; i < 3; i++)
		for (n = 0; n < 2; n++) {
			other = *q;
			*lengths[i] = rooms[i] - n;
			memset(texts[i], 'x', rooms[i]);
			texts[i][rooms[i] - 1] = n ? '\0' : 'x';
			wire_name_set(&other.user, (struct str){
			    other.login.user, other.login.user_n });
			wire_name_set(&other.authz, (struct str){
			    other.login.authz, other.login.authz_n });
			MUST(wire_request_ok(&other, 1) ==
			    request_ok(&other, 1));
		}
}

static void
send_it(const void *p, size_t n, size_t less)
{
	static struct wire_rest got;
	int ends[2], r;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
	MUST(wire_send(ends[0], p, n - less) == 0);
	r = wire_receive(ends[1], &got, n);
	MUST(less == 0 ? r == 1 && memcmp(&got, p, n) == 0 :
	    r == (less == n ? 0 : -1));
	close(ends[0]);
	MUST(wire_receive(ends[1], &got, n) == 0);
	MUST(wire_send(ends[1], p, n) == -1);
	close(ends[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_request q;
	static struct wire_rest rest;
	struct wire_answer a;
	struct str in = fuzz_input(data, size);
	unsigned how = fuzz_byte(&in);
	struct str changes = fuzz_until(&in, '\t');

	good_request(&q, in);
	MUST(changes.n > 0 || wire_request_ok(&q, 1) == request_ok(&q, 1));
	borders(&q);
	spoil(&q, sizeof(q), &changes);
	MUST(wire_request_ok(&q, 1) == request_ok(&q, 1));
	wire_answer_set(&a, 1, (enum login_answer)(how % 5));
	MUST(wire_answer_ok(&a, 1) && !wire_answer_ok(&a, 2));
	spoil(&a, sizeof(a), &changes);
	MUST(wire_answer_ok(&a, 1) == answer_ok(&a, 1));
	wire_rest_set(&rest, in);
	MUST(wire_rest_ok(&rest));
	spoil(&rest, sizeof(rest), &changes);
	MUST(wire_rest_ok(&rest) == rest_ok(&rest));
	if (how & 64)
		send_it(&q, sizeof(q), how & 128 ? fuzz_byte(&in) : 0);
	return 0;
}
