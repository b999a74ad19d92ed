/*
 * fetch.c - FETCH: the grammar of its items, and one untagged answer per
 * message. An answer is begun only when everything it needs has been read,
 * so that no failure leaves half of one behind. Changes nothing in the
 * mailbox; of the view only what the client has been told.
 */
#include "fetch.h"

#include <inttypes.h>
#include <string.h>

#include "body.h"
#include "lib/log.h"
#include "lib/params.h"

enum {
	FETCH_FAST = FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE,
	FETCH_ALL = FETCH_FAST | FETCH_ENVELOPE,
	FETCH_FULL = FETCH_ALL | FETCH_BODY,
	/* A tree is no deeper; one more for part 1 of what is no multipart. */
	NUMBERS_MAX = MIME_DEPTH_MAX + 1,
};

struct item {
	const char *name;
	unsigned items;
};

static const struct item items[] = {
	{ "FLAGS", FETCH_FLAGS },
	{ "UID", FETCH_UID },
	{ "INTERNALDATE", FETCH_INTERNALDATE },
	{ "RFC822.SIZE", FETCH_SIZE },
	{ "ENVELOPE", FETCH_ENVELOPE },
	{ "BODYSTRUCTURE", FETCH_BODYSTRUCTURE },
	{ NULL, 0 },
};

/* RFC 3501 6.4.5: "A macro must be used by itself, and not in conjunction
 * with other macros or data items." */
static const struct item macros[] = {
	{ "ALL", FETCH_ALL },
	{ "FAST", FETCH_FAST },
	{ "FULL", FETCH_FULL },
	{ NULL, 0 },
};

/* "Functionally equivalent to BODY[]", BODY.PEEK[HEADER], BODY[TEXT]. */
static const struct {
	const char *name;
	enum section_kind kind;
	bool sets_seen;
} old_sections[] = {
	{ "RFC822", SECTION_ALL, true },
	{ "RFC822.HEADER", SECTION_HEADER, false },
	{ "RFC822.TEXT", SECTION_TEXT, true },
};

static const char *const kind_names[] = {
	[SECTION_ALL] = "",
	[SECTION_PART] = "",
	[SECTION_HEADER] = "HEADER",
	[SECTION_FIELDS] = "HEADER.FIELDS",
	[SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
	[SECTION_TEXT] = "TEXT",
	[SECTION_MIME] = "MIME",
};

static const struct {
	const char *name;
	enum section_form form;
	bool sets_seen;
	bool partial;		/* [partial] may follow */
} binaries[] = {
	{ "BINARY", SECTION_BINARY, true, true },
	{ "BINARY.PEEK", SECTION_BINARY, false, true },
	{ "BINARY.SIZE", SECTION_BINARY_SIZE, false, false },
};

static const char *const form_names[] = {
	[SECTION_AS_SENT] = "BODY[",
	[SECTION_BINARY] = "BINARY[",
	[SECTION_BINARY_SIZE] = "BINARY.SIZE[",
};

/* A plan while it is read; tail is where the next section goes. */
struct draft {
	struct parser *p;
	struct fetch_plan *plan;
	struct section **tail;
};

/* Sections are answered in the order asked, and as often. */
static struct section *
section_add(struct draft *d)
{
	struct section *s = pool_alloc(d->p->pool, sizeof(*s));

	*d->tail = s;
	d->tail = &s->next;
	return s;
}

static unsigned
item_find(const struct item *table, struct str name)
{
	for (; table->name != NULL; table++)
		if (str_ieq(str_c(table->name), name))
			return table->items;
	return 0;
}

/*
 * section-part. *text is set when a period follows the last number, and so
 * a section-text must.
 */
static int
part_numbers(struct parser *p, struct section *s, bool *text)
{
	uint32_t numbers[NUMBERS_MAX];
	int c;

	do {
		if (s->n_numbers == NUMBERS_MAX)
			return parse_bad(p, "Too many part numbers");
		if (parse_nz_number(p, &numbers[s->n_numbers]) != 0)
			return -1;
		s->n_numbers++;
		*text = parse_if(p, '.');
		c = parse_peek(p);
	} while (*text && c >= '0' && c <= '9');
	s->numbers = pool_array(p->pool, s->n_numbers, sizeof(numbers[0]));
	memcpy(s->numbers, numbers, s->n_numbers * sizeof(numbers[0]));
	return 0;
}

/*
 * header-fld-name is an astring, but "field-name (as defined in
 * [RFC-2822])"; nothing else could match, and the answer repeats it.
 */
static int
field_name(struct parser *p, struct str *out)
{
	size_t i;

	if (parse_astring(p, out) != 0)
		return -1;
	for (i = 0; i < out->n; i++)
		if (out->p[i] <= ' ' || out->p[i] > '~' || out->p[i] == ':')
			break;
	if (i < out->n || out->n == 0)
		return parse_bad(p, "Invalid header field name");
	return 0;
}

static int
field_names(struct parser *p, struct section *s)
{
	struct str *more;
	uint32_t room = 0;

	if (parse_space(p) != 0 || parse_open(p) != 0)
		return -1;
	do {
		if (s->n_fields == room) {
			room = room == 0 ? 8 : room * 2;
			more = pool_array(p->pool, room, sizeof(*more));
			if (s->n_fields > 0)
				memcpy(more, s->fields,
				    s->n_fields * sizeof(*more));
			s->fields = more;
		}
		if (field_name(p, &s->fields[s->n_fields]) != 0)
			return -1;
		s->n_fields++;
	} while (parse_if(p, ' '));
	return parse_close(p);
}

/* section-msgtext / "MIME", which "MUST be prefixed by one or more numeric
 * part specifiers". */
static int
section_text(struct parser *p, struct section *s)
{
	struct str word;
	unsigned kind;

	if (parse_word(p, &word) != 0)
		return -1;
	for (kind = SECTION_HEADER; kind <= SECTION_MIME; kind++)
		if (str_ieq(str_c(kind_names[kind]), word))
			break;
	if (kind > SECTION_MIME ||
	    (kind == SECTION_MIME && s->n_numbers == 0))
		return parse_bad(p, "Invalid section");
	s->kind = kind;
	if (kind == SECTION_FIELDS || kind == SECTION_FIELDS_NOT)
		return field_names(p, s);
	return 0;
}

/* "<" number "." nz-number ">", directly behind the section. */
static int
partial(struct parser *p, struct section *s)
{
	if (!parse_if(p, '<'))
		return 0;
	s->partial = true;
	if (parse_number(p, &s->first) != 0 || parse_char(p, '.') != 0 ||
	    parse_nz_number(p, &s->count) != 0)
		return -1;
	return parse_char(p, '>');
}

/* section = "[" [section-spec] "]", and what may follow it */
static int
section(struct draft *d)
{
	struct section *s = section_add(d);
	struct parser *p = d->p;
	bool text;
	int c;

	if (parse_char(p, '[') != 0)
		return -1;
	c = parse_peek(p);
	text = c != ']';
	if (c >= '0' && c <= '9') {
		s->kind = SECTION_PART;
		if (part_numbers(p, s, &text) != 0)
			return -1;
	}
	if (text && section_text(p, s) != 0)
		return -1;
	return parse_char(p, ']') != 0 ? -1 : partial(p, s);
}

/* BODY, BODY[...], BODY.PEEK[...] */
static int
body(struct draft *d, bool peek)
{
	if (!peek && parse_peek(d->p) != '[') {
		d->plan->items |= FETCH_BODY;
		return 0;
	}
	d->plan->sets_seen |= !peek;
	return section(d);
}

/* section-binary = "[" [section-part] "]" */
static int
binary(struct draft *d, size_t i)
{
	struct section *s = section_add(d);
	bool text = false;

	s->form = binaries[i].form;
	d->plan->sets_seen |= binaries[i].sets_seen;
	if (parse_char(d->p, '[') != 0)
		return -1;
	if (parse_peek(d->p) != ']') {
		s->kind = SECTION_PART;
		if (part_numbers(d->p, s, &text) != 0)
			return -1;
	}
	if (text)
		return parse_bad(d->p, "Invalid section");
	if (parse_char(d->p, ']') != 0)
		return -1;
	return binaries[i].partial ? partial(d->p, s) : 0;
}

/* RFC822 and its kin, once each, however often they are asked for. */
static void
old_section(struct draft *d, size_t i)
{
	struct section *s;

	d->plan->sets_seen |= old_sections[i].sets_seen;
	for (s = d->plan->sections; s != NULL; s = s->next)
		if (s->rfc822 == old_sections[i].name)
			return;
	s = section_add(d);
	s->kind = old_sections[i].kind;
	s->rfc822 = old_sections[i].name;
}

static int
fetch_att(struct draft *d, struct str name)
{
	unsigned found = item_find(items, name);
	size_t i;

	if (found != 0) {
		d->plan->items |= found;
		return 0;
	}
	if (str_ieq(name, STR("BODY")))
		return body(d, false);
	if (str_ieq(name, STR("BODY.PEEK")))
		return body(d, true);
	for (i = 0; i < sizeof(old_sections) / sizeof(old_sections[0]); i++) {
		if (str_ieq(name, str_c(old_sections[i].name))) {
			old_section(d, i);
			return 0;
		}
	}
	for (i = 0; i < sizeof(binaries) / sizeof(binaries[0]); i++)
		if (str_ieq(name, str_c(binaries[i].name)))
			return binary(d, i);
	return parse_bad(d->p, "Unknown FETCH item");
}

int
fetch_parse(struct parser *p, struct fetch_plan *plan)
{
	struct draft d = { p, plan, &plan->sections };
	struct str name;

	memset(plan, 0, sizeof(*plan));
	if (parse_peek(p) != '(') {
		if (parse_word(p, &name) != 0)
			return -1;
		plan->items = item_find(macros, name);
		return plan->items != 0 ? 0 : fetch_att(&d, name);
	}
	if (parse_open(p) != 0)
		return -1;
	do {
		if (parse_word(p, &name) != 0 || fetch_att(&d, name) != 0)
			return -1;
	} while (parse_if(p, ' '));
	return parse_close(p);
}

/*
 * How much of each message must be read. Most of what clients ask for all
 * day (flags, sizes, envelopes) needs no body, and bodies are most of a
 * mailbox.
 */
enum need { NEED_RECORD, NEED_HEADER, NEED_WHOLE };

/* One command at work. */
struct run {
	const struct fetch_plan *plan;
	unsigned items;
	enum need need;
	struct mbox *mbox;
	struct view *view;
	struct reply *reply;
	struct pool *pool;	/* one message's memory */
};

/* One message being answered. */
struct answer {
	struct run *run;
	const struct msg *msg;
	struct mbox_text text;
	struct part *tree;	/* once something needs it */
	bool any;		/* an item has been sent */
};

static enum need
plan_need(const struct fetch_plan *plan)
{
	const struct section *s;
	enum need need = NEED_RECORD;

	if (plan->items & (FETCH_BODY | FETCH_BODYSTRUCTURE))
		return NEED_WHOLE;
	if (plan->items & FETCH_ENVELOPE)
		need = NEED_HEADER;
	for (s = plan->sections; s != NULL; s = s->next) {
		if (s->n_numbers > 0 || s->kind == SECTION_ALL ||
		    s->kind == SECTION_TEXT)
			return NEED_WHOLE;
		need = NEED_HEADER;
	}
	return need;
}

static void
separate(struct answer *a)
{
	if (a->any)
		reply_raw(a->run->reply, STR(" "));
	a->any = true;
}

static void
item(struct answer *a, struct str name)
{
	separate(a);
	reply_raw(a->run->reply, name);
}

/* What is told here need not be told again by the view. */
static void
flags(struct answer *a, struct view_entry *e)
{
	struct run *run = a->run;

	run->view->changed -= e->changed;
	e->changed = false;
	e->flags = a->msg->flags & (FLAGS_SYSTEM | FLAG_RECENT);
	e->keywords = a->msg->keywords;
	item(a, STR("FLAGS "));
	reply_flags(run->reply, e->flags, e->keywords, &run->mbox->keywords);
}

/*
 * What the mailbox's list knows without a look into the file. RFC 3501
 * 6.4.5, of \Seen set by this very command: "if this causes the flags to
 * change, they SHOULD be included as part of the FETCH responses."
 */
static void
record(struct answer *a, struct view_entry *e)
{
	unsigned wanted = a->run->items | (e->changed ? FETCH_FLAGS : 0);
	struct reply *reply = a->run->reply;
	struct date date;

	if (wanted & FETCH_UID) {
		item(a, STR("UID "));
		reply_number(reply, e->uid);
	}
	if (wanted & FETCH_FLAGS)
		flags(a, e);
	if (wanted & FETCH_INTERNALDATE) {
		msg_date(a->msg, &date);
		item(a, STR("INTERNALDATE "));
		reply_date(reply, &date);
	}
	if (wanted & FETCH_SIZE) {
		item(a, STR("RFC822.SIZE "));
		reply_number(reply, a->msg->size);
	}
}

/* What is computed from the bytes. The tree serves the sections too. */
static void
structures(struct answer *a)
{
	struct run *run = a->run;

	if (run->items & FETCH_ENVELOPE) {
		item(a, STR("ENVELOPE "));
		body_envelope(run->reply, run->pool, a->text.header);
	}
	if (run->items & (FETCH_BODY | FETCH_BODYSTRUCTURE) &&
	    a->tree == NULL)
		a->tree = mime_parse(run->pool, a->text.header, a->text.body);
	if (run->items & FETCH_BODY) {
		item(a, STR("BODY "));
		body_structure(run->reply, run->pool, a->tree, false);
	}
	if (run->items & FETCH_BODYSTRUCTURE) {
		item(a, STR("BODYSTRUCTURE "));
		body_structure(run->reply, run->pool, a->tree, true);
	}
}

/* BODY[1.2.HEADER.FIELDS (Date From)]<0>, as asked but without .PEEK. */
static void
section_name(struct reply *reply, const struct section *s)
{
	uint32_t i;

	if (s->rfc822 != NULL) {
		reply_raw(reply, str_c(s->rfc822));
		return;
	}
	reply_raw(reply, str_c(form_names[s->form]));
	for (i = 0; i < s->n_numbers; i++) {
		if (i > 0)
			reply_raw(reply, STR("."));
		reply_number(reply, s->numbers[i]);
	}
	if (s->n_numbers > 0 && s->kind != SECTION_PART)
		reply_raw(reply, STR("."));
	reply_raw(reply, str_c(kind_names[s->kind]));
	for (i = 0; i < s->n_fields; i++) {
		reply_raw(reply, i == 0 ? STR(" (") : STR(" "));
		reply_astring(reply, s->fields[i]);
	}
	reply_raw(reply, s->n_fields > 0 ? STR(")]") : STR("]"));
	if (s->partial) {
		reply_raw(reply, STR("<"));
		reply_number(reply, s->first);
		reply_raw(reply, STR(">"));
	}
}

/*
 * The literal's size is always counted from the very bytes that go out. It
 * can differ from the size that was told only when another program changed
 * the body in place and kept its length: then the mail is still whole, and
 * to read it is better than to hang up each time it is asked for.
 */
static uint64_t
count(const struct answer *a, const struct section *s, struct str text)
{
	uint64_t size = reply_crlf_size(text);

	if (s->kind == SECTION_ALL && size != a->msg->size)
		log_warn("uid %" PRIu32 ": RFC822.SIZE %" PRIu64
		    ", but the message has %" PRIu64 " octets",
		    a->msg->uid, a->msg->size, size);
	return size;
}

/* A part that the message does not have is NIL: "msg-att-static = [...]
 * "BODY" section ["<" number ">"] SP nstring". */
static void
section_send(struct answer *a, const struct section *s)
{
	struct reply *reply = a->run->reply;
	struct str text;
	uint64_t size;

	text = body_section(s, a->run->pool, a->text.header, a->text.body,
	    a->text.whole, &a->tree);
	separate(a);
	section_name(reply, s);
	reply_raw(reply, STR(" "));
	if (text.p == NULL) {
		reply_raw(reply, STR("NIL"));
		return;
	}
	size = count(a, s, text);
	if (s->partial)
		reply_literal_part(reply, text, size, s->first, s->count);
	else
		reply_literal(reply, text, size);
}

/*
 * What BINARY and BINARY.SIZE answer: the same octets, sent or counted. A part
 * that the message does not have is NIL, and its size none.
 */
static void
binary_send(struct answer *a, const struct section *s)
{
	const uint64_t count = s->partial ? s->count : UINT64_MAX;
	struct reply *reply = a->run->reply;
	struct buf decoded = { .max = SIZE_MAX };
	bool encoded;
	struct str text;
	uint64_t size;
	enum cte cte;

	text = body_encoded(s, a->run->pool, a->text.header, a->text.body,
	    a->text.whole, &a->tree, &cte);
	encoded = cte != CTE_IDENTITY;
	if (encoded)
		cte_decode(cte, text, &decoded);
	size = encoded ? decoded.n : reply_crlf_size(text);
	separate(a);
	section_name(reply, s);
	reply_raw(reply, STR(" "));
	if (s->form == SECTION_BINARY_SIZE)
		reply_number(reply, size);
	else if (text.p == NULL)
		reply_raw(reply, STR("NIL"));
	else if (encoded)
		reply_binary_data(reply, buf_str(&decoded), s->first, count);
	else
		reply_binary_text(reply, text, size, s->first, count);
	buf_free(&decoded);
}

/*
 * RFC 3516 4.3: "If the server does not know how to decode the section's CTE,
 * it MUST fail the request": before any of it is answered.
 */
static enum err
decodable(struct answer *a, struct why *why)
{
	const struct section *s;
	enum cte cte;

	for (s = a->run->plan->sections; s != NULL; s = s->next) {
		if (s->form == SECTION_AS_SENT)
			continue;
		body_encoded(s, a->run->pool, a->text.header, a->text.body,
		    a->text.whole, &a->tree, &cte);
		if (cte == CTE_UNKNOWN)
			return why_set(why, E_CTE, "A part has a transfer "
			    "encoding that is not known");
	}
	return E_OK;
}

/* The untagged FETCH of one entry of the view. */
static enum err
answer(struct run *run, uint32_t seq, struct why *why)
{
	struct view_entry *e = &run->view->at[seq - 1];
	struct answer a = { .run = run };
	const struct section *s;
	enum err err;
	int64_t i;

	if (run->need != NEED_RECORD) {
		err = mbox_text(run->mbox, e->uid, run->need == NEED_WHOLE,
		    &a.text, why);
		if (err == E_OK)
			err = decodable(&a, why);
		if (err != E_OK)
			return err;
	}
	/* Only now: mbox_text may have moved the list. */
	i = mbox_find(run->mbox, e->uid);
	if (i < 0)
		return why_set(why, E_GONE, "A message is no longer there");
	a.msg = &run->mbox->msgs[i];
	reply_raw(run->reply, STR("* "));
	reply_number(run->reply, seq);
	reply_raw(run->reply, STR(" FETCH ("));
	record(&a, e);
	structures(&a);
	for (s = run->plan->sections; s != NULL; s = s->next)
		(s->form == SECTION_AS_SENT ? section_send : binary_send)(&a,
		    s);
	reply_raw(run->reply, STR(")\r\n"));
	pool_reset(run->pool);
	return E_OK;
}

/*
 * Does one failure end the command? A message that is gone, or too big or too
 * strange for us, does not keep the others from being answered; a mailbox
 * that can not be read or locked would fail, slowly, for each of them.
 */
static bool
fails_all(enum err err)
{
	return err != E_OK && err != E_GONE && err != E_LIMIT &&
	    err != E_CTE;
}

/* Is there still someone to answer? A mailbox takes seconds to send; a
 * system that is going down does not wait so long. */
static bool
stopped(const struct io *io)
{
	return io->gone || (io->stop != NULL && *io->stop);
}

/*
 * Memory is one message's, whatever the set names. Where something fails
 * the last failure is the one that is told; all that could be answered has
 * been.
 */
enum result
fetch_run(const struct fetch_plan *plan, struct mbox *mbox,
    struct view *view, struct reply *reply, const struct set *set, bool uid,
    struct outcome *o)
{
	struct run run = {
		.plan = plan,
		.items = plan->items | (uid ? FETCH_UID : 0),
		.need = plan_need(plan),
		.mbox = mbox,
		.view = view,
		.reply = reply,
		.pool = pool_new(),
	};
	struct why why = { "" };
	enum result result = RES_OK;
	enum err err = E_OK;
	uint32_t seq, at = 0;

	while (!fails_all(err) && !stopped(reply->io) &&
	    (seq = view_next(view, set, uid, &at)) != 0) {
		err = answer(&run, seq, &why);
		/* RFC 3501 6.4.8: "A non-existent unique identifier is
		 * ignored without any error message generated." */
		if (err != E_OK && !(err == E_GONE && uid))
			result = outcome_err(o, err, &why);
	}
	if (result == RES_OK && stopped(reply->io))
		result = outcome_set(o, RES_NO, "UNAVAILABLE",
		    "Server shutting down");
	pool_free(run.pool);
	return result;
}
