/*
 * unit_wire.c - what a front may say: each rule by itself, then a million
 * structs at random, most of them nearly right, judged by wire.c and by the
 * same rules written down once more, byte by byte and without its functions.
 * And the datagrams that carry them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "twin_wire.h"
#include "../lib/wire.h"

static uint64_t seed = 20261124;

/* xorshift64* */
static uint32_t
below(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * UINT64_C(2685821657736338717) >> 32) * n >>
	    32);
}

/* --- At random. --- */

static char
any_byte(void)
{
	static const char odd[] = { 0, 1, '\n', '\r', ' ', '(', ')', '{',
	    '%', '*', '"', '\\', '+', '~', 0x7f, (char)0x80, (char)0xff };

	return below(2) == 0 ? (char)below(256) : odd[below(sizeof(odd))];
}

/* Mostly within what there is room for; now and then an end of it. */
static struct str
any_text(char *to, uint32_t room)
{
	uint32_t i, n = below(4) == 0 ? room - below(2) : below(room / 4);

	for (i = 0; i < n; i++)
		to[i] = (char)('a' + below(26));
	return (struct str){ to, n };
}

static void
any_request(struct wire_request *q)
{
	char tag[64], user[256], authz[256], password[512];
	struct str t = any_text(tag, sizeof(tag));
	struct str u = any_text(user, sizeof(user));
	struct str a = any_text(authz, sizeof(authz));
	struct str p = any_text(password, sizeof(password));

	if (t.n == 0)
		t = STR("a");
	wire_request_set(q, 1 + below(3), below(WIRE_KINDS), below(2), t);
	wire_name_set(&q->user, u);
	wire_name_set(&q->authz, a);
	login_set(&q->login, u, a, p);
}

static uint64_t
any_number(uint64_t was)
{
	static const uint64_t ends[] = { 0, 1, 63, 64, 65, 255, 256, 257, 511,
	    512, 513, 16384, 16385, 0x7fffffff, 0x80000000, 0xffffffff,
	    0x100000000, INT64_MAX, UINT64_MAX };

	switch (below(3)) {
	case 0:
		return ends[below(sizeof(ends) / sizeof(ends[0]))];
	case 1:
		return was + 1;
	default:
		return was - 1;
	}
}

/* One thing wrong, or something that is as right as it was. */
static void
spoil(struct wire_request *q)
{
	unsigned char *p = (unsigned char *)q;
	uint32_t *const small[] = { &q->magic, &q->seq, &q->kind, &q->tls,
	    &q->tag_n, &q->user.n, &q->authz.n };
	size_t *const big[] = { &q->login.user_n, &q->login.authz_n,
	    &q->login.password_n };
	struct { char *p; uint32_t n, room; } texts[] = {
		{ q->tag, q->tag_n, 64 },
		{ q->user.bytes, q->user.n, 64 },
		{ q->authz.bytes, q->authz.n, 64 },
		{ q->login.user, (uint32_t)q->login.user_n, 256 },
		{ q->login.authz, (uint32_t)q->login.authz_n, 256 },
		{ q->login.password, (uint32_t)q->login.password_n, 512 },
	};
	uint32_t i = below(6);

	switch (below(5)) {
	case 0:
		p[below(sizeof(*q))] ^= (unsigned char)(1 << below(8));
		break;
	case 1:
		i = below(7);
		*small[i] = (uint32_t)any_number(*small[i]);
		break;
	case 2:
		i = below(3);
		*big[i] = (size_t)any_number(*big[i]);
		break;
	case 3:
		texts[i].p[below(texts[i].room)] = any_byte();
		break;
	default:
		/* Just at the end, where an error by one would lie. */
		if (texts[i].n < texts[i].room)
			texts[i].p[texts[i].n] = any_byte();
	}
}

static void
noise(void *to, size_t n)
{
	unsigned char *p = to;

	while (n-- > 0)
		p[n] = (unsigned char)below(256);
}

static void
test_random(unsigned long n)
{
	struct wire_request q;
	unsigned long i, right = 0, wrong = 0, differ = 0;
	uint32_t k, seq;

	for (i = 0; i < n; i++) {
		if (i % 100 == 0)
			noise(&q, sizeof(q));
		else
			any_request(&q);
		for (k = below(3); k > 0; k--)
			spoil(&q);
		seq = 1 + below(3);
		if (below(8) != 0)
			seq = q.seq;
		if (wire_request_ok(&q, seq) != request_ok(&q, seq) &&
		    differ++ == 0)
			printf("# number %lu\n", i);
		if (request_ok(&q, seq))
			right++;
		else
			wrong++;
	}
	printf("# %lu right, %lu wrong\n", right, wrong);
	CHECK("a million requests: the rules have been kept", differ == 0);
	CHECK("many of them right, many not", right > n / 5 && wrong > n / 5);
}

static void
test_random_others(unsigned long n)
{
	struct wire_answer a;
	static struct wire_rest r;
	unsigned long i, differ = 0, right = 0;

	for (i = 0; i < n; i++) {
		wire_answer_set(&a, below(3), (enum login_answer)below(7));
		if (below(2) == 0)
			((unsigned char *)&a)[below(sizeof(a))] ^=
			    (unsigned char)(1 << below(8));
		differ += wire_answer_ok(&a, 1) != answer_ok(&a, 1);
	}
	CHECK("and answers", differ == 0);
	for (i = 0; i < n / 200; i++) {
		wire_rest_set(&r, STR(""));
		r.n = below(2) == 0 ? below(sizeof(r.bytes) + 1) :
		    (uint32_t)any_number(below(40));
		for (uint32_t k = 0; k < r.n && k < sizeof(r.bytes); k++)
			r.bytes[k] = any_byte();
		if (below(3) == 0)
			r.bytes[below(sizeof(r.bytes))] = any_byte();
		if (below(20) == 0)
			r.magic++;
		differ += wire_rest_ok(&r) != rest_ok(&r);
		right += rest_ok(&r);
	}
	CHECK("and what was sent behind them", differ == 0);
	CHECK("with many right ones", right > n / 1000);
}

/* --- One rule at a time. --- */

static struct wire_request q;

static void
good(void)
{
	wire_request_set(&q, 1, WIRE_LOGIN, true, STR("a1"));
	wire_name_set(&q.user, STR("riley"));
	wire_name_set(&q.authz, STR(""));
	login_set(&q.login, STR("riley"), STR(""), STR("secret"));
}

#define REFUSED(what, change) do {					\
	good();								\
	change;								\
	CHECK(what, !wire_request_ok(&q, 1) && !request_ok(&q, 1));	\
} while (0)

static void
test_rules(void)
{
	uint32_t c, n = 0;

	good();
	CHECK("what is right", wire_request_ok(&q, 1) && request_ok(&q, 1));
	REFUSED("a magic of another struct", q.magic = 0x696d6132);
	REFUSED("another number", q.seq = 2);
	REFUSED("a kind that there is not", q.kind = WIRE_KINDS);
	REFUSED("a flag that is none", q.tls = 2);
	REFUSED("no tag", q.tag_n = 0; q.tag[0] = q.tag[1] = '\0');
	REFUSED("a tag beyond its room", q.tag_n = 65);
	REFUSED("bytes behind a tag", q.tag[63] = 'x');
	REFUSED("bytes behind a name", q.user.bytes[63] = 'x');
	REFUSED("a name beyond its room", q.user.n = 65);
	REFUSED("another name for the log than is tried",
	    wire_name_set(&q.user, STR("alex")));
	REFUSED("and its beginning", wire_name_set(&q.user, STR("rile")));
	REFUSED("another to act as", wire_name_set(&q.authz, STR("alex")));
	good();
	login_set(&q.login, STR("ri\0ley"), STR(""), STR("secret"));
	CHECK("what can be nobody's name stands in the log alone",
	    wire_request_ok(&q, 1) && request_ok(&q, 1));
	REFUSED("a user that has no end", q.login.user_n = 256;
	    memset(q.login.user, 'x', 256));
	REFUSED("a password that has no end", q.login.password_n = 512;
	    memset(q.login.password, 'x', 512));
	REFUSED("a NUL in a password", q.login.password[2] = '\0');
	REFUSED("a length that wraps", q.login.password_n = SIZE_MAX);
	for (c = 0; c < 256; c++) {
		good();
		q.tag[1] = (char)c;
		n += wire_request_ok(&q, 1);
		if (wire_request_ok(&q, 1) != request_ok(&q, 1))
			break;
	}
	CHECK("a tag has the 86 signs that it can have", c == 256 && n == 86);
}

/* Whatever is typed, what we make of it is right, or is not sent. */
static void
test_set(void)
{
	static char x[20000];
	static struct wire_rest r;

	memset(x, 'x', sizeof(x));
	wire_request_set(&q, 7, WIRE_PLAIN, false, (struct str){ x, 1000 });
	wire_name_set(&q.user, (struct str){ x, 1000 });
	wire_name_set(&q.authz, STR("\0\xff\r\n"));
	login_set(&q.login, (struct str){ x, 256 }, STR(""), STR("x"));
	CHECK("what is too long is cut", wire_request_ok(&q, 7) &&
	    request_ok(&q, 7) && q.tag_n == 64 && q.user.n == 64 &&
	    q.authz.n == 4);
	wire_rest_set(&r, (struct str){ x, sizeof(x) });
	CHECK("the rest, too", wire_rest_ok(&r) && r.n == IO_IN_BYTES);
	memset(&q, 'x', sizeof(q));
	wire_request_set(&q, 7, WIRE_PLAIN, false, STR("a"));
	CHECK("and no byte of what was there before stays",
	    memchr((char *)&q.tag[1], 'x', sizeof(q) -
	    offsetof(struct wire_request, tag) - 1) == NULL);
}

/* --- Datagrams. --- */

static int
receive(int type, size_t n, bool leave)
{
	static char bytes[sizeof(struct wire_request) + 1];
	struct wire_request to;
	int ends[2], r;

	if (socketpair(AF_UNIX, type, 0, ends) != 0)
		abort();
	if (!leave && send(ends[1], bytes, n, 0) != (ssize_t)n)
		abort();
	close(ends[1]);
	r = wire_receive(ends[0], &to, sizeof(to));
	close(ends[0]);
	return r;
}

static void
test_datagrams(void)
{
	const size_t n = sizeof(struct wire_request);
	size_t k;
	int wrong = 0;

	CHECK("a whole one", receive(SOCK_SEQPACKET, n, false) == 1);
	CHECK("nobody is there", receive(SOCK_SEQPACKET, 0, true) == 0);
	/* Not to be told from the end, and the same to the monitor. */
	CHECK("an empty one", receive(SOCK_SEQPACKET, 0, false) == 0);
	for (k = 1; k < n; k++)
		wrong += receive(SOCK_SEQPACKET, k, false) != -1;
	CHECK("one of each smaller size", wrong == 0);
	CHECK("one with a byte more", receive(SOCK_SEQPACKET, n + 1, false) ==
	    -1);
	CHECK("no socket", wire_receive(-1, &q, sizeof(q)) == -1 &&
	    wire_send(-1, &q, sizeof(q)) == -1);
}

/* unit_wire [requests [seed]] */
int
main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10) | 1;
	printf("# seed %" PRIu64 "\n", seed);
	test_rules();
	test_set();
	test_datagrams();
	test_random(n);
	test_random_others(n);
	return unit_end();
}
