/*
 * validate.c - the response validator's top: a stream is a greeting, then
 * continuations, data and tagged lines. The tables of responses, STATUS
 * items and mailbox attributes are here: an extension adds its row and the
 * function that reads what follows the name.
 */
#include <string.h>
#include <strings.h>

#include "validate_in.h"

/* struct row for "* 23 NAME": `at` and the number stand before it. */
struct numbered_row {
	const char *name;
	bool (*read)(struct validator *v, const char *at, uint32_t number);
	unsigned seen;
	bool nz;		/* nz-number, not number */
};

static bool	thread_list(struct validator *v);

/*
 * mailbox = "INBOX" / astring
 */
static bool
mailbox(struct validator *v)
{
	return v_astring(v);
}

/*
 * RFC 5161: enable-data = "ENABLED" *(SP capability)
 */
static bool
enable_data(struct validator *v)
{
	struct slice name;

	while (v_next(v, ' ')) {
		v->p++;
		if (!v_capability(v, &name))
			return false;
	}
	return true;
}

/*
 * resp-cond-bye = "BYE" SP resp-text
 */
static bool
resp_cond_bye(struct validator *v)
{
	v->state.bye = true;
	return v_sp_resp_text(v);
}

/*
 * "FLAGS" SP flag-list
 */
static bool
flags(struct validator *v)
{
	struct slice list;

	if (!v_sp(v))
		return false;
	list.p = v->p;
	if (!v_flags(v, FLAG_PLAIN))
		return false;
	list.n = (size_t)(v->p - list.p);
	state_flags(v, list);
	return true;
}

/*
 * mbx-list-oflag = "\Noinferiors" / flag-extension
 * mbx-list-sflag = "\Noselect" / "\Marked" / "\Unmarked"
 *      ; Selectability flags; only one per LIST response
 *
 * A row's bit is its group, of which one may stand. RFC 5258: at most one
 * child-mbox-flag, and "\NonExistent" is a mbx-list-sflag; it "implies"
 * \Noselect, so both are not sent. RFC 6154: the special uses.
 */
static const struct row attributes[] = {
	{ .name = "Noselect", .seen = 1 << 0 },
	{ .name = "Marked", .seen = 1 << 0 },
	{ .name = "Unmarked", .seen = 1 << 0 },
	{ .name = "NonExistent", .seen = 1 << 0 },
	{ .name = "HasChildren", .seen = 1 << 1 },
	{ .name = "HasNoChildren", .seen = 1 << 1 },
	{ .name = "Noinferiors", .seen = 1 << 2 },
	{ .name = "Subscribed", .seen = 1 << 3 },
	{ .name = "Remote", .seen = 1 << 4 },
	{ .name = "All", .seen = 1 << 5 },
	{ .name = "Archive", .seen = 1 << 6 },
	{ .name = "Drafts", .seen = 1 << 7 },
	{ .name = "Flagged", .seen = 1 << 8 },
	{ .name = "Junk", .seen = 1 << 9 },
	{ .name = "Sent", .seen = 1 << 10 },
	{ .name = "Trash", .seen = 1 << 11 },
};

/*
 * mbx-list-flags = *(mbx-list-oflag SP) mbx-list-sflag
 *                  *(SP mbx-list-oflag) /
 *                  mbx-list-oflag *(SP mbx-list-oflag)
 *
 * with its parentheses.
 */
static bool
mbx_list_flags(struct validator *v)
{
	unsigned seen = 0;

	if (!v_byte(v, '('))
		return false;
	while (!v_next(v, ')')) {
		const char *at;
		const struct row *row;

		if (seen != 0 && !v_sp(v))
			return false;
		at = v->p;
		if (!v_byte(v, '\\'))
			return false;
		row = v_row(ROWS(attributes), v_run(v, C_ATOM));
		if (row == NULL)
			return v_fail(v, at, "mbx-list-flags");
		if (seen & row->seen)
			return v_fail(v, at, "one of each kind of attribute");
		seen |= row->seen;
	}
	return v_byte(v, ')');
}

/*
 * (DQUOTE QUOTED-CHAR DQUOTE / nil)
 */
static bool
delimiter(struct validator *v)
{
	const char *at = v->p;
	struct slice c;

	if (!v_next(v, '"'))
		return v_nil(v);
	if (!v_string(v, &c))
		return false;
	return c.n == 1 || v_fail(v, at, "one QUOTED-CHAR in quotes");
}

/*
 * mailbox-list = "(" [mbx-list-flags] ")" SP
 *                (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
 */
static bool
mailbox_list(struct validator *v)
{
	return v_sp(v) && mbx_list_flags(v) && v_sp(v) && delimiter(v) &&
	    v_sp(v) && mailbox(v);
}

/*
 * *(SP nz-number), the results of a search.
 */
static bool
numbers(struct validator *v, bool ascending)
{
	uint32_t number, before = 0;

	while (v_next(v, ' ')) {
		const char *at = ++v->p;

		if (!v_nz_number(v, &number) || !state_found(v, at, number))
			return false;
		if (ascending && number <= before)
			return v_fail(v, at, "a number above %u", before);
		before = number;
	}
	return true;
}

/*
 * "SEARCH" *(SP nz-number)
 *
 * The grammar asks for no order; this server promises a rising one.
 */
static bool
search(struct validator *v)
{
	return numbers(v, true);
}

/*
 * RFC 5256: sort-data = "SORT" *(SP nz-number)
 */
static bool
sort_data(struct validator *v)
{
	return numbers(v, false);
}

/*
 * RFC 5256: thread-nested = 2*thread-list
 */
static bool
thread_nested(struct validator *v)
{
	if (!thread_list(v))
		return false;
	do {
		if (!thread_list(v))
			return false;
	} while (v_next(v, '('));
	return true;
}

/*
 * RFC 5256: thread-members = nz-number *(SP nz-number) [SP thread-nested]
 */
static bool
thread_members(struct validator *v)
{
	const char *at = v->p;
	uint32_t number;

	while (v_nz_number(v, &number) && state_found(v, at, number)) {
		if (!v_next(v, ' '))
			return true;
		at = ++v->p;
		if (v_next(v, '('))
			return thread_nested(v);
	}
	return false;
}

/*
 * RFC 5256: thread-list = "(" (thread-members / thread-nested) ")"
 */
static bool
thread_list(struct validator *v)
{
	bool good;

	if (!v_byte(v, '('))
		return false;
	if (++v->depth > DEPTH_MAX)
		return v_fail(v, v->p, "at most %d nested threads", DEPTH_MAX);
	good = v_next(v, '(') ? thread_nested(v) : thread_members(v);
	v->depth--;
	return good && v_byte(v, ')');
}

/*
 * RFC 5256: thread-data = "THREAD" [SP 1*thread-list]
 */
static bool
thread_data(struct validator *v)
{
	if (!v_next(v, ' '))
		return true;
	v->p++;
	do {
		if (!thread_list(v))
			return false;
	} while (v_next(v, '('));
	return true;
}

static bool
sp_number(struct validator *v)
{
	uint32_t unused;

	return v_sp(v) && v_number(v, &unused);
}

static bool
sp_set(struct validator *v)
{
	uint64_t count;

	return v_sp(v) && v_uid_set(v, &count);
}

/*
 * status-att-val = ("MESSAGES" SP number) / ("RECENT" SP number) /
 *                  ("UIDNEXT" SP nz-number) /
 *                  ("UIDVALIDITY" SP nz-number) / ("UNSEEN" SP number)
 *
 * RFC 4466, which mends RFC 3501 here. The bits tell the rows apart.
 */
static const struct row status_items[] = {
	{ .name = "MESSAGES", .read = sp_number, .seen = 1 << 0 },
	{ .name = "RECENT", .read = sp_number, .seen = 1 << 1 },
	{ .name = "UIDNEXT", .read = v_sp_nz_number, .seen = 1 << 2 },
	{ .name = "UIDVALIDITY", .read = v_sp_nz_number, .seen = 1 << 3 },
	{ .name = "UNSEEN", .read = sp_number, .seen = 1 << 4 },
	/* RFC 7889 5: status-att-val =/ "APPENDLIMIT" SP (number / nil) */
	{ .name = "APPENDLIMIT", .read = sp_number, .seen = 1 << 5 },
};

/*
 * RFC 4731: search-return-data = "MIN" SP nz-number / "MAX" SP nz-number /
 *                                "ALL" SP sequence-set / "COUNT" SP number
 */
static const struct row return_items[] = {
	{ .name = "MIN", .read = v_sp_nz_number, .seen = 1 << 0 },
	{ .name = "MAX", .read = v_sp_nz_number, .seen = 1 << 1 },
	{ .name = "ALL", .read = sp_set, .seen = 1 << 2 },
	{ .name = "COUNT", .read = sp_number, .seen = 1 << 3 },
};

/* One name and its value from a table, which may be told once. */
static bool
item(struct validator *v, const struct row *table, size_t n, unsigned *told)
{
	struct slice name = v_run(v, C_ATOM);
	const struct row *row = v_row(table, n, name);

	if (row == NULL || *told & row->seen)
		return v_fail(v, name.p, row ? "each item once" :
		    "the name of an item");
	*told |= row->seen;
	return row->read(v);
}

/*
 * "STATUS" SP mailbox SP "(" [status-att-list] ")"
 * status-att-list = status-att-val *(SP status-att-val)
 */
static bool
status(struct validator *v)
{
	unsigned told = 0;

	if (!v_sp(v) || !mailbox(v) || !v_sp(v) || !v_byte(v, '('))
		return false;
	while (!v_next(v, ')')) {
		if ((told != 0 && !v_sp(v)) ||
		    !item(v, ROWS(status_items), &told))
			return false;
	}
	return v_byte(v, ')');
}

/*
 * RFC 4466: esearch-response  = "ESEARCH" [search-correlator] [SP "UID"]
 *                               *(SP search-return-data)
 *           search-correlator = SP "(" "TAG" SP tag-string ")"
 *           tag-string        = string
 */
static bool
esearch_response(struct validator *v)
{
	unsigned told = 0;
	struct slice tag;

	if (v->end - v->p >= 2 && v->p[0] == ' ' && v->p[1] == '(') {
		const char *at = v->p += 2;

		if (!v_word(v, "TAG") || !v_sp(v) || !v_string(v, &tag) ||
		    !state_correlator(v, at, tag) || !v_byte(v, ')'))
			return false;
	}
	if (v->end - v->p >= 4 &&
	    v_is((struct slice){ v->p, 4 }, " UID"))
		v->p += 4;
	while (v_next(v, ' ')) {
		v->p++;
		if (!item(v, ROWS(return_items), &told))
			return false;
	}
	return true;
}

/*
 * RFC 7162: expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
 */
static bool
expunged_resp(struct validator *v)
{
	const char *at = v->p;
	bool earlier;
	uint64_t count;

	if (!v_sp(v))
		return false;
	earlier = v_next(v, '(');
	if (earlier && (!v_word(v, "(EARLIER)") || !v_sp(v)))
		return false;
	if (!v_uid_set(v, &count))
		return false;
	if (earlier)
		return true;
	v->state.seen |= SEEN_EXPUNGE;
	return state_vanished(v, at, count);
}

/*
 * RFC 2342: Namespace_Response_Extension = SP string SP
 *               "(" string *(SP string) ")"
 */
static bool
namespace_response_extension(struct validator *v)
{
	struct slice unused;

	if (!v_sp(v) || !v_string(v, &unused) || !v_sp(v) ||
	    !v_byte(v, '(') || !v_string(v, &unused))
		return false;
	while (v_next(v, ' ')) {
		v->p++;
		if (!v_string(v, &unused))
			return false;
	}
	return v_byte(v, ')');
}

/*
 * RFC 2342: Namespace = nil / "(" 1*( "(" string SP
 *               (<"> QUOTED_CHAR <"> / nil)
 *               *(Namespace_Response_Extension) ")" ) ")"
 */
static bool
namespace(struct validator *v)
{
	struct slice prefix;

	if (!v_next(v, '('))
		return v_nil(v);
	v->p++;
	do {
		if (!v_byte(v, '(') || !v_string(v, &prefix) || !v_sp(v) ||
		    !delimiter(v))
			return false;
		while (v_next(v, ' ')) {
			if (!namespace_response_extension(v))
				return false;
		}
		if (!v_byte(v, ')'))
			return false;
	} while (v_next(v, '('));
	return v_byte(v, ')');
}

/*
 * RFC 2342: Namespace_Response = "*" SP "NAMESPACE" SP Namespace SP
 *               Namespace SP Namespace
 */
static bool
namespace_response(struct validator *v)
{
	return v_sp(v) && namespace(v) && v_sp(v) && namespace(v) &&
	    v_sp(v) && namespace(v);
}

/*
 * RFC 2971: id_response    ::= "ID" SPACE id_params_list
 *           id_params_list ::= "(" #(string SPACE nstring) ")" / nil
 *
 * 3.3: "Field strings MUST NOT be longer than 30 octets.  Value strings MUST
 * NOT be longer than 1024 octets.  Implementations MUST NOT send more than
 * 30 field-value pairs"; "MUST NOT send the same field name more than once."
 */
static bool
id_response(struct validator *v)
{
	enum { PAIRS = 30, FIELD = 30, VALUE = 1024 };
	struct slice fields[PAIRS], value;
	size_t n;

	if (!v_sp(v))
		return false;
	if (!v_next(v, '('))
		return v_nil(v);
	v->p++;
	for (n = 0; !v_next(v, ')'); n++) {
		const char *at;

		if (n > 0 && !v_sp(v))
			return false;
		at = v->p;
		if (n == PAIRS)
			return v_fail(v, at, "at most 30 fields");
		if (!v_string(v, &fields[n]) || !v_sp(v) ||
		    !v_nstring(v, &value))
			return false;
		if (fields[n].n > FIELD || value.n > VALUE)
			return v_fail(v, at, "30 and 1024 octets at most");
		for (size_t i = 0; i < n; i++) {
			if (fields[i].n == fields[n].n && strncasecmp(
			    fields[i].p, fields[n].p, fields[n].n) == 0)
				return v_fail(v, at, "each field once");
		}
	}
	return v_byte(v, ')');
}

/*
 * message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))
 */
static bool
fetch(struct validator *v, const char *at, uint32_t number)
{
	struct fetched fetched;

	return v_sp(v) && v_msg_att(v, &fetched) &&
	    state_fetch(v, at, number, &fetched);
}

/*
 * resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text
 * mailbox-data    = "FLAGS" SP flag-list / "LIST" SP mailbox-list /
 *                   "LSUB" SP mailbox-list / "SEARCH" *(SP nz-number) /
 *                   "STATUS" SP mailbox SP "(" [status-att-list] ")" /
 *                   number SP "EXISTS" / number SP "RECENT"
 */
static const struct row responses[] = {
	{ .name = "OK", .read = v_sp_resp_text },
	{ .name = "NO", .read = v_sp_resp_text },
	{ .name = "BAD", .read = v_sp_resp_text },
	{ .name = "BYE", .read = resp_cond_bye, .seen = SEEN_BYE },
	{ .name = "FLAGS", .read = flags, .seen = SEEN_FLAGS },
	{ .name = "LIST", .read = mailbox_list },
	{ .name = "LSUB", .read = mailbox_list },
	{ .name = "SEARCH", .read = search, .seen = SEEN_SEARCH },
	{ .name = "STATUS", .read = status, .seen = SEEN_STATUS },
	{ .name = "CAPABILITY", .read = v_capability_data,
	    .seen = SEEN_CAPABILITY },
	{ .name = "ESEARCH", .read = esearch_response, .seen = SEEN_SEARCH },
	{ .name = "SORT", .read = sort_data, .seen = SEEN_SORT },
	{ .name = "THREAD", .read = thread_data, .seen = SEEN_THREAD },
	{ .name = "VANISHED", .read = expunged_resp },
	{ .name = "ENABLED", .read = enable_data },
	{ .name = "NAMESPACE", .read = namespace_response,
	    .seen = SEEN_NAMESPACE },
	{ .name = "ID", .read = id_response, .seen = SEEN_ID },
};

static const struct numbered_row numbered_responses[] = {
	{ .name = "FETCH", .read = fetch, .nz = true },
	{ .name = "EXISTS", .read = state_exists, .seen = SEEN_EXISTS },
	{ .name = "RECENT", .read = state_recent, .seen = SEEN_RECENT },
	{ .name = "EXPUNGE", .read = state_expunge, .nz = true,
	    .seen = SEEN_EXPUNGE },
};

/* "23 EXISTS" and its like. */
static bool
numbered(struct validator *v)
{
	size_t rows = sizeof(numbered_responses) /
	    sizeof(*numbered_responses);
	const char *at = v->p;
	struct slice name;
	uint32_t number;

	if (!v_number(v, &number) || !v_sp(v))
		return false;
	name = v_run(v, C_ATOM);
	for (size_t i = 0; i < rows; i++) {
		const struct numbered_row *row = &numbered_responses[i];

		if (!v_is(name, row->name))
			continue;
		if (row->nz && *at == '0')
			return v_fail(v, at, "nz-number");
		v->state.seen |= row->seen;
		return row->read(v, at, number);
	}
	return v_fail(v, name.p, "EXISTS, RECENT, EXPUNGE or FETCH");
}

/*
 * response-data = "*" SP (resp-cond-state / resp-cond-bye /
 *                 mailbox-data / message-data / capability-data) CRLF
 */
static bool
response_data(struct validator *v)
{
	const struct row *row;
	struct slice name;

	if (!state_untagged(v) || !v_byte(v, '*') || !v_sp(v))
		return false;
	if (v->p < v->end && v_class(*v->p, C_DIGIT))
		return numbered(v) && v_crlf(v);
	name = v_run(v, C_ATOM);
	row = v_row(ROWS(responses), name);
	if (row == NULL)
		return v_fail(v, name.p, "the name of a response");
	v->state.seen |= row->seen;
	return row->read(v) && v_crlf(v);
}

/*
 * base64          = *(4base64-char) [base64-terminal]
 * base64-terminal = (2base64-char "==") / (3base64-char "=")
 */
static bool
base64(struct validator *v)
{
	struct slice s = v_run(v, C_BASE64);

	for (size_t left = s.n % 4; left != 0 && left < 4; left++) {
		if (left == 1)
			return v_fail(v, v->p, "base64-char");
		if (!v_byte(v, '='))
			return false;
	}
	return true;
}

/*
 * continue-req = "+" SP (resp-text / base64) CRLF
 *
 * No base64 at all is base64. RFC 3501 6.2.2: during AUTHENTICATE the
 * server's challenge is "a BASE64 encoded string".
 */
static bool
continue_req(struct validator *v)
{
	if (!state_continue(v) || !v_byte(v, '+') || !v_sp(v))
		return false;
	if (state_authenticating(v))
		return base64(v) && v_crlf(v);
	return (v_next(v, '\r') || v_resp_text(v)) && v_crlf(v);
}

/*
 * response-tagged = tag SP resp-cond-state CRLF
 * tag             = 1*<any ASTRING-CHAR except "+">
 */
static bool
response_tagged(struct validator *v)
{
	struct slice tag = v_run(v, C_TAG), name;
	bool ok;

	if (tag.n == 0)
		return v_fail(v, tag.p, "\"*\", \"+\" or a tag");
	if (!v_sp(v))
		return false;
	name = v_run(v, C_ATOM);
	ok = v_is(name, "OK");
	if (!ok && !v_is(name, "NO") && !v_is(name, "BAD"))
		return v_fail(v, name.p, "resp-cond-state");
	return v_sp_resp_text(v) && v_crlf(v) && state_tagged(v, tag, ok);
}

/*
 * greeting       = "*" SP (resp-cond-auth / resp-cond-bye) CRLF
 * resp-cond-auth = ("OK" / "PREAUTH") SP resp-text
 */
static bool
greeting(struct validator *v)
{
	struct slice name;

	if (!v_byte(v, '*') || !v_sp(v))
		return false;
	name = v_run(v, C_ATOM);
	if (v_is(name, "BYE"))
		v->state.bye = v->state.closed = true;
	else if (!v_is(name, "OK") && !v_is(name, "PREAUTH"))
		return v_fail(v, name.p, "greeting");
	return v_sp_resp_text(v) && v_crlf(v);
}

/*
 * response = *(continue-req / response-data) response-done
 *
 * and so on to the end of the stream, which may come in the middle of a
 * command but not of a line.
 */
static bool
responses_all(struct validator *v)
{
	while (v->p < v->end) {
		bool good;

		if (*v->p == '*')
			good = response_data(v);
		else if (*v->p == '+')
			good = continue_req(v);
		else
			good = response_tagged(v);
		if (!good)
			return false;
	}
	return state_end(v);
}

/* The number of the line that holds the byte at `offset`. */
static size_t
line_number(const char *stream, size_t offset)
{
	const char *p = stream, *end = stream + offset, *lf;
	size_t line = 1;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		line++;
		p = lf + 1;
	}
	return line;
}

bool
validate(const char *stream, size_t n, const struct validate_options *options,
    struct violation *found)
{
	struct validator v = {
		.start = stream,
		.p = stream,
		.end = stream + n,
		.options = options,
		.found = found,
	};
	bool good;

	*found = (struct violation){ 0 };
	state_start(&v);
	good = greeting(&v) && responses_all(&v);
	state_free(&v);
	if (!good)
		found->line = line_number(stream, found->offset);
	return good;
}
