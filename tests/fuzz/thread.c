/*
 * Mail that answers other mail in any way: each message is once in the tree;
 * whose descendant anybody is, a forest that walks says as well; and a
 * Message ID that was found, written with quotes, is found again.
 */
#include "fuzz.h"
#include "../twin_thread.h"
#include "../../lib/msgid.h"

enum { NODES = 30, MESSAGES = 60, REFS = 4 };

static struct pool *pool;

static void
ids(struct str text)
{
	struct str rest = text, more, id, back;
	struct buf b = BUF_MAX(1 << 20);
	size_t i, at;

	while (msgid_next(pool, &rest, &id)) {
		MUST(fuzz_inside(rest, text) && id.n > 2 && id.n <= 1000);
		at = str_index(id, '@');
		MUST(at < id.n);
		buf_clear(&b);
		buf_add(&b, STR("x <"));
		for (i = 0; i < id.n; i++)
			buf_addf(&b, id.p[i] == '@' && i > 0 ? "%c" :
			    id.p[i] == '"' || id.p[i] == '\\' ?
			    "\"\\%c\" " : "\"%c\" ", id.p[i]);
		buf_add(&b, STR("> y"));
		/* NUL ends what buf_addf writes, and blanks go. */
		if (memchr(id.p, '\0', id.n) != NULL)
			continue;
		for (i = 0; i < id.n; i++)
			if (ascii_space((unsigned char)id.p[i]))
				break;
		if (i < id.n)
			continue;
		more = buf_str(&b);
		/* One of the very longest has no room for a blank. */
		if (at == id.n - 1 || at == 0 || id.n == 1000)
			continue;
		MUST(msgid_next(pool, &more, &back) && str_eq(id, back));
		MUST(!msgid_next(pool, &more, &back));
	}
	buf_free(&b);
}

/* Any text with quotes around it, but for its blanks. */
static void
quoted(struct str in)
{
	struct buf b = BUF_MAX(1 << 10), want = BUF_MAX(1 << 10);
	struct str rest, id;

	buf_add(&b, STR("<\""));
	for (in = str_sub(in, 0, 60); in.n > 0; in = str_from(in, 1)) {
		if (ascii_space((unsigned char)in.p[0]))
			continue;
		if (in.p[0] == '"' || in.p[0] == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, in.p[0]);
		buf_addc(&want, in.p[0]);
	}
	buf_add(&b, STR("\"@h>"));
	buf_add(&want, STR("@h"));
	rest = buf_str(&b);
	if (want.n > 2)
		MUST(msgid_next(pool, &rest, &id) && rest.n == 0 &&
		    str_eq(id, buf_str(&want)));
	buf_free(&b);
	buf_free(&want);
}

static void
forest(struct str in)
{
	struct thread_forest *f = thread_forest_new(pool, NODES);
	uint32_t up[NODES + 1] = { 0 }, v, to;

	while (in.n > 1) {
		v = fuzz_byte(&in);
		to = 1 + fuzz_byte(&in) % NODES;
		if (up[1 + v % NODES] != 0 && (v & 128)) {
			v = 1 + v % NODES;
			thread_forest_cut(f, v);
			up[v] = 0;
		} else
			v = 1 + v % NODES;
		if (up[v] == 0 && walk(up, to) != v) {
			thread_forest_link(f, v, to);
			up[v] = to;
		}
		MUST(thread_forest_root(f, to) == walk(up, to));
		MUST(thread_forest_root(f, v) == walk(up, v));
	}
}

/* One of some names. */
static struct str
name(struct str *in)
{
	unsigned c = fuzz_byte(in) % 64;
	char text[2] = { (char)('A' + c % 32), 'x' };

	return c == 0 ? (struct str){ NULL, 0 } :
	    pool_copy(pool, (struct str){ text, 2 });
}

static void
trees(struct str in)
{
	struct thread_mail mail = { .pool = pool };
	struct thread_message *msg;
	struct thread thread;
	uint32_t depth;
	unsigned how;

	mail.at = pool_array(pool, MESSAGES, sizeof(*mail.at));
	mail.refs = pool_array(pool, MESSAGES * REFS, sizeof(*mail.refs));
	while (in.n > 0 && mail.n < MESSAGES) {
		msg = &mail.at[mail.n++];
		how = fuzz_byte(&in);
		msg->number = mail.n;
		msg->answer = how & 1;
		msg->sent = how >> 4;
		msg->id = name(&in);
		msg->subject = (how & 2) ? name(&in) : STR("");
		if (msg->subject.p == NULL)
			msg->subject = STR("");
		msg->ref = mail.n_refs;
		for (how = how >> 2 & 3; how > 0; how--) {
			mail.refs[mail.n_refs] = name(&in);
			if (mail.refs[mail.n_refs].p != NULL)
				mail.n_refs++;
		}
		msg->n_refs = mail.n_refs - msg->ref;
	}
	thread_by_references(&mail, &thread);
	MUST(whole(&thread, mail.n, &depth));
	thread_by_subject(&mail, &thread);
	MUST(whole(&thread, mail.n, &depth) && depth <= 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 4000);

	pool = pool_new();
	ids(in);
	quoted(in);
	forest(in);
	trees(in);
	pool_free(pool);
	return 0;
}
