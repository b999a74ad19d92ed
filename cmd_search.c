/*
 * cmd_search.c - SEARCH, SORT and THREAD, in both forms: which messages of the
 * selected mailbox match, in which order, and which answers which. They parse
 * to the end of the line and leave the work to search.c, sort.c and thread.c.
 * What they answer are numbers; nothing is changed by them.
 */
#include "session.h"

#include "search.h"
#include "sort.h"
#include "thread.h"
#include "lib/casemap.h"

static void
tell_found(struct reply *reply, const struct set *found)
{
	uint64_t number;
	size_t i;

	reply_raw(reply, STR("* SEARCH"));
	for (i = 0; i < found->n; i++)
		for (number = found->at[i].lo; number <= found->at[i].hi;
		    number++) {
			reply_raw(reply, STR(" "));
			reply_number(reply, number);
		}
	reply_raw(reply, STR("\r\n"));
}

/*
 * RFC 3501 6.4.4: "If the server does not support the specified [CHARSET],
 * it MUST return a tagged NO response (not a BAD)." Named are those that
 * work without iconv.
 */
static enum result
bad_charset(struct outcome *o)
{
	return outcome_set(o, RES_NO, "BADCHARSET (US-ASCII UTF-8"
	    " ISO-8859-1 ISO-8859-15 WINDOWS-1252)",
	    "Unknown character set");
}

enum result
cmd_search(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct search search = { .pool = s->pool };
	struct set found;
	enum result r;

	if (parse_space(p) != 0 || search_parse(p, &search) != 0)
		return RES_BAD;
	if (search.charset_unknown)
		return bad_charset(o);
	set_init(&found, s->pool);
	r = search_run(&search, s->mbox, &s->view, uid, &found, o);
	if (r == RES_OK)
		tell_found(&s->reply, &found);
	return r;
}

/* sort-data = "SORT" *(SP nz-number) (RFC 5256 section 5) */
static void
tell_sorted(struct reply *reply, const uint32_t *numbers, uint32_t n)
{
	uint32_t i;

	reply_raw(reply, STR("* SORT"));
	for (i = 0; i < n; i++) {
		reply_raw(reply, STR(" "));
		reply_number(reply, numbers[i]);
	}
	reply_raw(reply, STR("\r\n"));
}

/*
 * RFC 5256 section 7: who offers it "MUST collate strings according to the
 * i;unicode-casemap collation". Where that is not built in it is not offered.
 */
enum result
cmd_sort(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct search search = { .pool = s->pool };
	uint32_t *numbers, n;
	struct sort sort;
	struct set found;
	enum result r;

	if (!casemap_known())
		return outcome_set(o, RES_NO, NULL, "SORT is not built in");
	if (parse_space(p) != 0 || sort_parse(p, &sort) != 0 ||
	    parse_space(p) != 0 || search_parse_criteria(p, &search) != 0)
		return RES_BAD;
	if (search.charset_unknown)
		return bad_charset(o);
	set_init(&found, s->pool);
	r = search_run(&search, s->mbox, &s->view, false, &found, o);
	if (r != RES_OK)
		return r;
	r = sort_run(&sort, s->pool, s->mbox, &s->view, &found, uid,
	    &numbers, &n, o);
	if (r == RES_OK)
		tell_sorted(&s->reply, numbers, n);
	return r;
}

/* thread-alg = "ORDEREDSUBJECT" / "REFERENCES" / thread-alg-ext */
static int
parse_how(struct parser *p, enum thread_how *out)
{
	struct str name;

	if (parse_atom(p, &name) != 0)
		return -1;
	*out = THREAD_REFERENCES;
	if (str_ieq(name, STR("ORDEREDSUBJECT")))
		*out = THREAD_ORDEREDSUBJECT;
	else if (!str_ieq(name, STR("REFERENCES")))
		return parse_bad(p, "Unknown THREAD algorithm");
	return 0;
}

/* Behind the last of a chain: closes it, and all that end with it. The next
 * node to be said, whose "(" is said, or 0. */
static uint32_t
close_chain(struct reply *reply, const struct thread_node *at, uint32_t node)
{
	for (;;) {
		reply_raw(reply, STR(")"));
		/* What has no sibling, before or behind, began no chain. */
		while (at[node].up != 0 && at[node].next == 0 &&
		    at[at[node].up].child == node)
			node = at[node].up;
		if (at[node].next != 0) {
			reply_raw(reply, STR("("));
			return at[node].next;
		}
		node = at[node].up;
		if (node == 0)
			return 0;
	}
}

/*
 * thread-list = "(" (thread-members / thread-nested) ")", thread-members =
 * nz-number *(SP nz-number) [SP thread-nested], thread-nested = 2*thread-list
 * (RFC 5256 section 5).
 */
static void
tell_threads(struct reply *reply, const struct thread_node *at)
{
	uint32_t node = at[0].child, child;

	reply_raw(reply, node != 0 ? STR("* THREAD (") : STR("* THREAD"));
	while (node != 0) {
		child = at[node].child;
		if (at[node].number != 0)
			reply_number(reply, at[node].number);
		if (child == 0) {
			node = close_chain(reply, at, node);
			continue;
		}
		if (at[node].number != 0)
			reply_raw(reply, STR(" "));
		if (at[child].next != 0)
			reply_raw(reply, STR("("));
		node = child;
	}
	reply_raw(reply, STR("\r\n"));
}

enum result
cmd_thread(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct search search = { .pool = s->pool };
	enum thread_how how;
	struct thread thread;
	struct set found;
	enum result r;

	if (!casemap_known())
		return outcome_set(o, RES_NO, NULL, "THREAD is not built in");
	if (parse_space(p) != 0 || parse_how(p, &how) != 0 ||
	    parse_space(p) != 0 || search_parse_criteria(p, &search) != 0)
		return RES_BAD;
	if (search.charset_unknown)
		return bad_charset(o);
	set_init(&found, s->pool);
	r = search_run(&search, s->mbox, &s->view, false, &found, o);
	if (r == RES_OK)
		r = thread_run(how, s->pool, s->mbox, &s->view, &found, uid,
		    &thread, o);
	if (r == RES_OK)
		tell_threads(&s->reply, thread.at);
	return r;
}
