/*
 * cmd_message.c - the commands about messages of the selected mailbox:
 * FETCH and SEARCH, in both forms. They parse to the end of the line, turn
 * the client's numbers into the view's, and leave the work to fetch.c and
 * search.c.
 */
#include "session.h"

#include "fetch.h"
#include "search.h"

/*
 * RFC 3501 section 9, seq-number: "The server should respond with a tagged
 * BAD response to a command that uses a message sequence number greater
 * than the number of messages in the selected mailbox. This includes "*" if
 * the selected mailbox is empty." A uid that does not exist is no error.
 */
static enum result
resolve(const struct session *s, struct set *set, bool uid,
    struct outcome *o)
{
	const struct view *view = &s->view;

	if (uid) {
		set_resolve(set, view->n == 0 ? s->mbox->uidnext :
		    view->at[view->n - 1].uid);
		return RES_OK;
	}
	set_resolve(set, view->n);
	if (view->n == 0 || set_max(set) > view->n)
		return outcome_set(o, RES_BAD, NULL,
		    "There is no message of that number");
	return RES_OK;
}

enum result
cmd_fetch(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct fetch_plan plan;
	struct set set;
	enum result r;

	set_init(&set, s->pool);
	if (parse_space(p) != 0 || parse_set(p, &set) != 0 ||
	    parse_space(p) != 0 || fetch_parse(p, &plan) != 0 ||
	    parse_end(p) != 0)
		return RES_BAD;
	r = resolve(s, &set, uid, o);
	if (r != RES_OK)
		return r;
	return fetch_run(&plan, s->mbox, &s->view, &s->reply, &set, uid, o);
}

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
enum result
cmd_search(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct search search = { .pool = s->pool };
	struct set found;
	enum result r;

	if (parse_space(p) != 0 || search_parse(p, &search) != 0)
		return RES_BAD;
	if (search.charset_unknown)
		return outcome_set(o, RES_NO, "BADCHARSET (US-ASCII UTF-8"
		    " ISO-8859-1 ISO-8859-15 WINDOWS-1252)",
		    "Unknown character set");
	set_init(&found, s->pool);
	r = search_run(&search, s->mbox, &s->view, uid, &found, o);
	if (r == RES_OK)
		tell_found(&s->reply, &found);
	return r;
}
