/*
 * cmd_search.c - SEARCH and SORT, in both forms: which messages of the
 * selected mailbox match, and in which order. They parse to the end of the
 * line and leave the work to search.c and sort.c. What they answer is a list
 * of numbers; nothing is changed by them.
 */
#include "session.h"

#include "search.h"
#include "sort.h"
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
