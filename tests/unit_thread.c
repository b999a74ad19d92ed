/*
 * unit_thread.c - THREAD's trees: each rule of RFC 5256 section 3 by itself,
 * a forest beside one that walks, a hundred thousand answers to one another
 * in each order, and mail at random, of which each message must be there
 * once. And the Message IDs by which they find one another.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "unit.h"
#include "twin_thread.h"
#include "../thread_own.h"
#include "../lib/buf.h"
#include "../lib/msgid.h"

enum { MOST = 16, DEEP = 100000 };

static struct pool *pool;
static uint64_t seed = 20261125;

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

/* --- Message IDs. --- */

static void
test_ids(void)
{
	static const struct {
		const char *what, *text, *ids;
	} cases[] = {
		{ "an id", " <a@b>", "a@b|" },
		{ "some of them", "<a@b> <c@d>\r\n <e@f>", "a@b|c@d|e@f|" },
		{ "RFC 5256's own example", "<\"01KF8JCEOCBS0045PS\"@xxx.yyy"
		    ".com>", "01KF8JCEOCBS0045PS@xxx.yyy.com|" },
		{ "an escape", "<\"a\\\"b\"@c>", "a\"b@c|" },
		{ "what is quoted ends nothing", "<\"a>b@\"@c>", "a>b@@c|" },
		{ "a fold in the middle", "<a@\r\n b>", "a@b|" },
		{ "phrases round them", "Your message of <Monday> \"x\" <a@b>"
		    " (mine)", "a@b|" },
		{ "none", "a@b", "" },
		{ "not without @", "<a>", "" },
		{ "nor without its sides", "<@b><a@>", "" },
		{ "nor without an end", "<a@b", "" },
		{ "one that begins anew", "<a@<b@c>", "b@c|" },
		{ "letter case stays", "<A@b>", "A@b|" },
	};
	struct buf b = BUF_MAX(4096);
	struct str rest, id;
	char big[3000];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&b);
		rest = str_c(cases[i].text);
		while (msgid_next(pool, &rest, &id)) {
			buf_add(&b, id);
			buf_addc(&b, '|');
		}
		CHECK_STR(cases[i].what, buf_str(&b), str_c(cases[i].ids));
	}
	memset(big, 'x', sizeof(big));
	memcpy(big, "<a@", 3);
	memcpy(big + 2990, "><c@d>", 6);
	rest = (struct str){ big, sizeof(big) };
	CHECK("one that is too long is none", msgid_next(pool, &rest, &id) &&
	    str_eq(id, STR("c@d")));
	buf_free(&b);
}

/* --- The forest. --- */

static void
test_forest(void)
{
	enum { N = 40, ROUNDS = 200000 };
	struct thread_forest *f = thread_forest_new(pool, N);
	uint32_t up[N + 1] = { 0 }, i, v, to, wrong = 0, links = 0;

	for (i = 0; i < ROUNDS; i++) {
		v = 1 + below(N);
		to = 1 + below(N);
		if (up[v] != 0 && below(2) == 0) {
			thread_forest_cut(f, v);
			up[v] = 0;
		}
		if (up[v] == 0 && walk(up, to) != v) {
			thread_forest_link(f, v, to);
			up[v] = to;
			links++;
		}
		v = 1 + below(N);
		wrong += thread_forest_root(f, v) != walk(up, v);
	}
	CHECK("who is whose ancestor, after each change", wrong == 0);
	CHECK("of which there were many", links > ROUNDS / 10);
}

/* --- Small cases. --- */

/* "id refs... / subject / date": "-" is none; "+" before a subject says that
 * it answers something. */
static void
add(struct thread_mail *mail, const char *line)
{
	struct thread_message *m = &mail->at[mail->n++];
	struct str rest = str_c(line), word;
	bool first = true;
	size_t n;

	m->number = mail->n;
	m->ref = mail->n_refs;
	while (rest.n > 0 && rest.p[0] != '/') {
		n = str_index(rest, ' ');
		word = str_sub(rest, 0, n);
		rest = str_from(rest, n + 1);
		if (!first)
			mail->refs[mail->n_refs++] = word;
		else if (!str_eq(word, STR("-")))
			m->id = word;
		first = false;
	}
	m->n_refs = mail->n_refs - m->ref;
	rest = str_from(rest, 2);
	m->answer = rest.n > 0 && rest.p[0] == '+';
	rest = str_from(rest, m->answer);
	n = str_index(rest, ' ');
	m->subject = str_sub(rest, 0, n);
	if (str_eq(m->subject, STR("-")))
		m->subject = STR("");
	m->sent = atoi(rest.p + n + 2);
}

/* As RFC 5256 section 5 writes it. */
static void
show(const struct thread_node *at, uint32_t node, struct buf *out)
{
	uint32_t child = at[node].child;

	if (at[node].number != 0)
		buf_addf(out, "%" PRIu32, at[node].number);
	if (child == 0)
		return;
	if (at[node].number != 0)
		buf_addc(out, ' ');
	if (at[child].next == 0) {
		show(at, child, out);
		return;
	}
	for (; child != 0; child = at[child].next) {
		buf_addc(out, '(');
		show(at, child, out);
		buf_addc(out, ')');
	}
}

static void
check(const char *what, bool references, const char *const *lines,
    const char *want)
{
	struct thread_message at[MOST] = { { .number = 0 } };
	struct str refs[MOST * MOST];
	struct thread_mail mail = { .pool = pool, .at = at, .refs = refs };
	struct buf out = BUF_MAX(4096);
	struct thread thread;
	uint32_t node;

	while (*lines != NULL)
		add(&mail, *lines++);
	(references ? thread_by_references : thread_by_subject)(&mail,
	    &thread);
	for (node = thread.at[0].child; node != 0;
	    node = thread.at[node].next) {
		buf_addc(&out, '(');
		show(thread.at, node, &out);
		buf_addc(&out, ')');
	}
	CHECK_STR(what, buf_str(&out), str_c(want));
	buf_free(&out);
	pool_reset(pool);
}

#define THREADS(what, want, ...)					\
	check((what), true, (const char *const[]){ __VA_ARGS__, NULL },	\
	    (want))
#define SUBJECTS(what, want, ...)					\
	check((what), false, (const char *const[]){ __VA_ARGS__, NULL },\
	    (want))

static void
test_rules(void)
{
	SUBJECTS("ORDEREDSUBJECT: by subject, then by date", "(3 (1)(4))(2)",
	    "a / x / 2", "b / y / 5", "c / x / 1", "d / x / 3");
	SUBJECTS("of one date as they stand", "(1 2)(3)",
	    "a / x / 1", "b / x / 1", "c / y / 1");
	SUBJECTS("and none at all", "(1)", "- / - / 1");

	THREADS("nobody answers", "(2)(1)", "a / x / 2", "b / y / 1");
	THREADS("an answer", "(1 2)", "a / x / 1", "b a / x / 2");
	THREADS("whoever comes first", "(2 1)", "b a / x / 2",
	    "a / x / 1");
	THREADS("answers to one", "(1 (3)(2))", "a / x / 1", "b a / x / 3",
	    "c a / x / 2");
	THREADS("1: an ancestor that nobody has", "(1 2)", "a / x / 1",
	    "c a b / x / 2");
	THREADS("1: two of which nobody has the first", "((1)(2))",
	    "b a / - / 1", "c a / - / 2");
	THREADS("1: of equal ids the first counts", "(1 3)(2)", "a / - / 1",
	    "a / - / 2", "b a / - / 3");
	THREADS("1: without an id", "(1)(2)", "- / - / 1", "- / - / 2");
	THREADS("1.A: an existing link stays", "(1 2 3 4)", "a / - / 1",
	    "b a / - / 2", "c b / - / 3", "d a c / - / 4");
	THREADS("1.A: no loop", "(2 1)", "a b / - / 1", "b a b / - / 2");
	THREADS("1.A: nobody is his own parent", "(1)", "a a / - / 1");
	THREADS("1.B: the last reference is the parent", "(1 (2)(3 4))",
	    "a / - / 1", "b a / - / 2", "c a / - / 3", "d b c / - / 4");
	THREADS("1.B: a wrong link is broken", "(2)(3 1)", "z a b / - / 3",
	    "a / - / 1", "b / - / 2");
	THREADS("3: dummies in a row", "(1 2)", "a / - / 1",
	    "e a b c d / - / 2");
	THREADS("3: one with one child below the root", "(1)",
	    "c a b / - / 1");
	THREADS("3: children of a dummy among their uncles",
	    "(1 (2)(3)(4))", "a / - / 1", "b a / - / 2", "d a c / - / 3",
	    "e a c / - / 4");
	THREADS("4: a dummy stands where its first child does",
	    "(3)((2)(1))", "b a / - / 5", "c a / - / 2", "x / - / 1");
	THREADS("5: answers without references", "(1 (2)(3))", "a / x / 1",
	    "b / +x / 2", "c / +x / 3");
	THREADS("5: the answer is the older one", "(2 1)", "b / +x / 1",
	    "a / x / 2");
	THREADS("5: two that answer nobody", "((1)(2))", "a / x / 1",
	    "b / x / 2");
	THREADS("5: and a third", "((1)(2)(3))", "a / x / 1", "b / x / 2",
	    "c / x / 3");
	THREADS("5: with a dummy", "((1)(2)(3))", "b a / x / 1",
	    "c a / x / 2", "d / x / 3");
	THREADS("5: two dummies", "((1)(2)(3)(4))", "b a / x / 1",
	    "c a / x / 2", "e d / x / 3", "f d / x / 4");
	THREADS("5: a dummy that was deleted is none", "(1 2)",
	    "c a b / x / 1", "d / +x / 2");
	THREADS("5: a dummy's subject is its earliest child's",
	    "((2)(1)(3))", "b a / x / 5", "c a / y / 2", "d / +y / 9");
	THREADS("5: no subject joins nobody", "(1)(2)", "a / - / 1",
	    "b / - / 2");
	THREADS("5: only threads are joined, not those within",
	    "(1 2)(3)", "a / x / 1", "b a / y / 2", "c / y / 3");
	THREADS("6: siblings by date, then as they stand",
	    "(1 (4)(2)(3))", "a / - / 1", "b a / - / 5", "c a / - / 5",
	    "d a / - / 2");
}

/* --- Large ones. --- */

static struct str
name(uint32_t i)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "m%" PRIu32, i);

	return pool_copy(pool, (struct str){ text, (size_t)n });
}

static void
test_deep(const char *what, uint32_t (*of)(uint32_t i))
{
	struct thread_mail mail = { .pool = pool, .n = DEEP };
	struct thread thread;
	uint32_t i, depth;

	mail.at = pool_array(pool, DEEP, sizeof(*mail.at));
	mail.refs = pool_array(pool, DEEP, sizeof(*mail.refs));
	for (i = 0; i < DEEP; i++) {
		mail.at[i] = (struct thread_message){ .number = i + 1,
		    .sent = i, .subject = STR(""), .id = name(of(i)),
		    .ref = mail.n_refs, .n_refs = of(i) > 0 };
		if (of(i) > 0)
			mail.refs[mail.n_refs++] = name(of(i) - 1);
	}
	thread_by_references(&mail, &thread);
	CHECK(what, whole(&thread, DEEP, &depth) && depth == DEEP);
	pool_reset(pool);
}

static uint32_t
rising(uint32_t i)
{
	return i;
}

static uint32_t
falling(uint32_t i)
{
	return DEEP - 1 - i;
}

/* First every second one, so that halves are joined. */
static uint32_t
in_halves(uint32_t i)
{
	return i < DEEP / 2 ? 2 * i : 2 * (i - DEEP / 2) + 1;
}

static void
test_random(void)
{
	enum { ROUNDS = 3000, N = 60, REFS = 5 };
	struct thread_mail mail;
	struct thread thread;
	uint32_t round, i, k, depth, bad = 0;

	for (round = 0; round < ROUNDS; round++) {
		mail = (struct thread_mail){ .pool = pool,
		    .n = 1 + below(N) };
		mail.at = pool_array(pool, mail.n, sizeof(*mail.at));
		mail.refs = pool_array(pool, (size_t)mail.n * REFS,
		    sizeof(*mail.refs));
		for (i = 0; i < mail.n; i++) {
			mail.at[i] = (struct thread_message){
			    .number = i + 1, .sent = below(20),
			    .subject = below(2) == 0 ? STR("") :
			    name(below(8)), .answer = below(2) == 0,
			    .ref = mail.n_refs, .n_refs = below(REFS) };
			if (below(8) != 0)
				mail.at[i].id = name(below(N));
			for (k = 0; k < mail.at[i].n_refs; k++)
				mail.refs[mail.n_refs++] = name(below(N));
		}
		thread_by_references(&mail, &thread);
		bad += !whole(&thread, mail.n, &depth);
		thread_by_subject(&mail, &thread);
		bad += !whole(&thread, mail.n, &depth) || depth > 2;
		pool_reset(pool);
	}
	CHECK("mail at random: each message is there once", bad == 0);
}

int
main(void)
{
	pool = pool_new();
	printf("# seed %" PRIu64 "\n", seed);
	test_ids();
	test_forest();
	test_rules();
	test_deep("a hundred thousand answers to one another", rising);
	test_deep("the last one first", falling);
	test_deep("every second one first", in_halves);
	test_random();
	pool_free(pool);
	return unit_end();
}
