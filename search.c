/*
 * search.c - SEARCH keys: the grammar, and which messages match. Whether a
 * string stands in a message's text is searchtext.c's affair. Shows nothing
 * to the client and changes nothing, neither flags nor mailbox.
 *
 * Reading the mailbox file is what costs. So every key is asked twice: once
 * without reading, when it may answer MAYBE, and only if the whole search
 * then says MAYBE of a message is the file read, the header before the body.
 * Keys that stand side by side are sorted by what they cost (sort_keys).
 */
#include "search.h"

#include <time.h>

#include "searchtext.h"
#include "lib/charset.h"
#include "lib/date.h"
#include "lib/rfc822.h"

enum truth { NO, YES, MAYBE };

/* What a key needs to give its answer. */
enum cost { COST_LIST, COST_HEADER, COST_BODY, COSTS };

/* One row of the table: a word of the grammar. */
struct asking;
struct row {
	const char *name;
	int (*parse)(struct parser *p, struct search *s, struct key *key);
	enum truth (*test)(const struct key *key, struct asking *a);
	enum cost cost;
	/* What the row adds: */
	unsigned mask;		/* these flags ... */
	unsigned want;		/* ... are so; for keywords, any is "set" */
	const char *field;	/* of the header */
	bool below;		/* the number lies below the one given, */
	bool at;		/* is the one given, */
	bool above;		/* lies above it */
};

/* A row with its arguments. */
struct key {
	const struct row *row;
	enum cost cost;		/* the row's, or the dearest child's */
	struct key *child;	/* of NOT, OR and a list */
	struct key *next;	/* beside it */
	struct set set;
	struct str word;	/* keyword or field name */
	struct needle needle;
	int64_t number;		/* size, day since 1970, or seconds: an
				 * interval, a time while a search runs */
	uint32_t bit;		/* of the keyword, while a search runs */
};

/* One search while it runs, and the message that is looked at. */
struct asking {
	struct mbox *mbox;
	uint32_t hint;		/* place of the next message in mbox->msgs */
	uint32_t seq;
	struct msg msg;		/* a copy: reading may sync the mailbox */
	unsigned flags;
	bool reading;		/* else text is answered MAYBE */
	bool has_header;
	bool has_body;
	bool body_asked;
	uint32_t headers;	/* messages of which some text was asked, */
	uint32_t bodies;	/* and the body */
	struct searchtext text;
	enum err err;		/* of the last read */
	struct why why;
};

static int	search_key(struct parser *p, struct search *s,
		    struct key **out);

/* Arguments. Each parse function begins behind the key's name. */

static int
parse_none(struct parser *p, struct search *s, struct key *key)
{
	(void)p;
	(void)s;
	(void)key;
	return 0;
}

static int
parse_day(struct parser *p, struct search *s, struct key *key)
{
	(void)s;
	if (parse_space(p) != 0)
		return -1;
	return parse_date(p, &key->number);
}

static int
parse_size(struct parser *p, struct search *s, struct key *key)
{
	uint32_t n;

	(void)s;
	if (parse_space(p) != 0 || parse_number(p, &n) != 0)
		return -1;
	key->number = n;
	return 0;
}

/* RFC 5032: "search-key =/ ( "OLDER" / "YOUNGER" ) SP nz-number" */
static int
parse_interval(struct parser *p, struct search *s, struct key *key)
{
	uint32_t n;

	(void)s;
	if (parse_space(p) != 0 || parse_nz_number(p, &n) != 0)
		return -1;
	key->number = n;
	return 0;
}

/* "flag-keyword = atom" */
static int
parse_keyword(struct parser *p, struct search *s, struct key *key)
{
	(void)s;
	if (parse_space(p) != 0)
		return -1;
	return parse_atom(p, &key->word);
}

static int
parse_uids(struct parser *p, struct search *s, struct key *key)
{
	(void)s;
	if (parse_space(p) != 0)
		return -1;
	return parse_set(p, &key->set);
}

/*
 * "It indicates the [CHARSET] of the strings that appear in the search
 * criteria" (RFC 3501 6.4.4). Clients that name none and send 8-bit bytes
 * all the same are understood as mail without a charset is.
 */
static int
parse_text(struct parser *p, struct search *s, struct key *key)
{
	struct buf utf8 = BUF_MAX(4 * LITERAL_MAX_BYTES);
	struct charset charset = { 0 };
	struct str text;

	if (parse_space(p) != 0 || parse_astring(p, &text) != 0)
		return -1;
	if (!s->charset_unknown) {
		charset_to_utf8(&charset, s->charset, text, &utf8);
		searchtext_needle(s->pool, buf_str(&utf8), &key->needle);
	}
	charset_close(&charset);
	buf_free(&utf8);
	return 0;
}

static int
parse_field(struct parser *p, struct search *s, struct key *key)
{
	key->word = str_c(key->row->field);
	return parse_text(p, s, key);
}

/* "HEADER" SP header-fld-name SP astring */
static int
parse_header(struct parser *p, struct search *s, struct key *key)
{
	if (parse_space(p) != 0 || parse_astring(p, &key->word) != 0)
		return -1;
	return parse_text(p, s, key);
}

/* NOT and OR nest as parentheses do, and count together with them. */
static int
parse_operand(struct parser *p, struct search *s, struct key **out)
{
	if (p->depth >= NEST_MAX)
		return parse_limit(p, "Search keys nested too deep");
	p->depth++;
	if (parse_space(p) != 0 || search_key(p, s, out) != 0)
		return -1;
	p->depth--;
	return 0;
}

static int
parse_not(struct parser *p, struct search *s, struct key *key)
{
	return parse_operand(p, s, &key->child);
}

static int
parse_or(struct parser *p, struct search *s, struct key *key)
{
	if (parse_operand(p, s, &key->child) != 0)
		return -1;
	return parse_operand(p, s, &key->child->next);
}

/* Answers. */

static enum truth
truth(bool yes)
{
	return yes ? YES : NO;
}

static enum truth
test_flags(const struct key *key, struct asking *a)
{
	return truth((a->flags & key->row->mask) == key->row->want);
}

static enum truth
test_keyword(const struct key *key, struct asking *a)
{
	bool set = (a->msg.keywords & key->bit) != 0;

	return truth(set == (key->row->want != 0));
}

static enum truth
test_seq(const struct key *key, struct asking *a)
{
	return truth(set_has(&key->set, a->seq));
}

static enum truth
test_uid(const struct key *key, struct asking *a)
{
	return truth(set_has(&key->set, a->msg.uid));
}

static enum truth
compare(const struct key *key, int64_t number)
{
	const struct row *row = key->row;

	return truth(number < key->number ? row->below :
	    number > key->number ? row->above : row->at);
}

static enum truth
test_size(const struct key *key, struct asking *a)
{
	if (a->msg.size > INT64_MAX)
		return truth(key->row->above);
	return compare(key, (int64_t)a->msg.size);
}

/* The day as the date is shown, in its own zone: "internal date
 * (disregarding time and timezone)". */
static enum truth
test_date(const struct key *key, struct asking *a)
{
	struct date date;

	msg_date(&a->msg, &date);
	return compare(key, date_day_written(&date));
}

/* "exact matching, to the resolution of a second" (RFC 5032 section 3) */
static enum truth
test_age(const struct key *key, struct asking *a)
{
	return compare(key, a->msg.date);
}

/*
 * Reads the message's header, or all of it. Where one message in eight was
 * read a second time for its body it is quicker to read all at once: going
 * back costs mbox_text its read-ahead.
 */
static bool
read_text(struct asking *a, bool body)
{
	bool all = body || a->bodies > a->headers / 8;
	struct mbox_text text;

	a->err = mbox_text(a->mbox, a->msg.uid, all, &text, &a->why);
	if (a->err != E_OK)
		return false;
	searchtext_set(&a->text, text.header, all ? text.body : STR(""));
	a->headers += !a->has_header;
	a->has_header = true;
	a->has_body = all;
	return true;
}

/*
 * Sees to it that the text is there. False, for MAYBE, in the round without
 * reading and when reading failed.
 */
static bool
have(struct asking *a, bool body)
{
	if (!a->reading || a->err != E_OK)
		return false;
	if (body && !a->body_asked) {
		a->body_asked = true;
		a->bodies++;
	}
	return a->has_body || (a->has_header && !body) || read_text(a, body);
}

/* A message without a Date that can be read is of no day at all. */
static enum truth
test_sent(const struct key *key, struct asking *a)
{
	struct field field;
	struct date date;

	if (!have(a, false))
		return MAYBE;
	if (!header_find(a->text.header, STR("Date"), &field) ||
	    date_from_822(field.value, &date) != 0)
		return NO;
	return compare(key, date_day_written(&date));
}

static enum truth
test_field(const struct key *key, struct asking *a)
{
	if (!have(a, false))
		return MAYBE;
	return truth(searchtext_field(&a->text, key->word, &key->needle));
}

static enum truth
test_addresses(const struct key *key, struct asking *a)
{
	if (!have(a, false))
		return MAYBE;
	return truth(searchtext_addresses(&a->text, key->word, &key->needle));
}

/* An empty string is in every message: nothing need be read. */
static enum truth
test_body(const struct key *key, struct asking *a)
{
	if (key->needle.folded.n > 0 && !have(a, true))
		return MAYBE;
	return truth(searchtext_body(&a->text, &key->needle, false));
}

static enum truth
test_text(const struct key *key, struct asking *a)
{
	if (key->needle.folded.n > 0 && !have(a, true))
		return MAYBE;
	return truth(searchtext_header(&a->text, &key->needle) ||
	    searchtext_body(&a->text, &key->needle, true));
}

static enum truth
ask(const struct key *key, struct asking *a)
{
	return key->row->test(key, a);
}

static enum truth
test_not(const struct key *key, struct asking *a)
{
	enum truth t = ask(key->child, a);

	return t == MAYBE ? MAYBE : truth(t == NO);
}

/* `end` from one of them settles it; else MAYBE from any leaves it open. */
static enum truth
ask_all(const struct key *key, struct asking *a, enum truth end,
    enum truth none)
{
	const struct key *child;
	enum truth t, r = none;

	for (child = key->child; child != NULL; child = child->next) {
		t = ask(child, a);
		if (t == end)
			return end;
		if (t == MAYBE)
			r = MAYBE;
	}
	return r;
}

static enum truth
test_or(const struct key *key, struct asking *a)
{
	return ask_all(key, a, YES, NO);
}

static enum truth
test_and(const struct key *key, struct asking *a)
{
	return ask_all(key, a, NO, YES);
}

/* The grammar's words (RFC 3501 section 9, search-key). */

#define KEY(name_, parse_, test_, cost_, ...) {				\
	.name = (name_), .parse = (parse_), .test = (test_),		\
	.cost = (cost_), __VA_ARGS__ }
#define FLAGS(name_, mask_, want_)					\
	KEY(name_, parse_none, test_flags, COST_LIST,			\
	    .mask = (mask_), .want = (want_))
#define FIELD(name_, test_)						\
	KEY(name_, parse_field, test_, COST_HEADER, .field = (name_))

static const struct row rows[] = {
	FLAGS("ALL", 0, 0),
	FLAGS("ANSWERED", FLAG_ANSWERED, FLAG_ANSWERED),
	FLAGS("DELETED", FLAG_DELETED, FLAG_DELETED),
	FLAGS("DRAFT", FLAG_DRAFT, FLAG_DRAFT),
	FLAGS("FLAGGED", FLAG_FLAGGED, FLAG_FLAGGED),
	FLAGS("NEW", FLAG_RECENT | FLAG_SEEN, FLAG_RECENT),
	FLAGS("OLD", FLAG_RECENT, 0),
	FLAGS("RECENT", FLAG_RECENT, FLAG_RECENT),
	FLAGS("SEEN", FLAG_SEEN, FLAG_SEEN),
	FLAGS("UNANSWERED", FLAG_ANSWERED, 0),
	FLAGS("UNDELETED", FLAG_DELETED, 0),
	FLAGS("UNDRAFT", FLAG_DRAFT, 0),
	FLAGS("UNFLAGGED", FLAG_FLAGGED, 0),
	FLAGS("UNSEEN", FLAG_SEEN, 0),
	KEY("KEYWORD", parse_keyword, test_keyword, COST_LIST, .want = 1),
	KEY("UNKEYWORD", parse_keyword, test_keyword, COST_LIST, .want = 0),
	KEY("UID", parse_uids, test_uid, COST_LIST),
	KEY("LARGER", parse_size, test_size, COST_LIST, .above = true),
	KEY("SMALLER", parse_size, test_size, COST_LIST, .below = true),
	KEY("BEFORE", parse_day, test_date, COST_LIST, .below = true),
	KEY("ON", parse_day, test_date, COST_LIST, .at = true),
	KEY("SINCE", parse_day, test_date, COST_LIST, .at = true,
	    .above = true),
	KEY("OLDER", parse_interval, test_age, COST_LIST, .below = true,
	    .at = true),
	KEY("YOUNGER", parse_interval, test_age, COST_LIST, .at = true,
	    .above = true),
	KEY("SENTBEFORE", parse_day, test_sent, COST_HEADER, .below = true),
	KEY("SENTON", parse_day, test_sent, COST_HEADER, .at = true),
	KEY("SENTSINCE", parse_day, test_sent, COST_HEADER, .at = true,
	    .above = true),
	FIELD("BCC", test_addresses),
	FIELD("CC", test_addresses),
	FIELD("FROM", test_addresses),
	FIELD("SUBJECT", test_field),
	FIELD("TO", test_addresses),
	KEY("HEADER", parse_header, test_field, COST_HEADER),
	KEY("BODY", parse_text, test_body, COST_BODY),
	KEY("TEXT", parse_text, test_text, COST_BODY),
	KEY("NOT", parse_not, test_not, COST_LIST),
	KEY("OR", parse_or, test_or, COST_LIST),
};

/* Keys that are no word. */
static const struct row row_seq = { .test = test_seq };
static const struct row row_list = { .test = test_and };

static const struct row *
row_find(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_ieq(name, str_c(rows[i].name)))
			return &rows[i];
	return NULL;
}

/* Cheap children first, those of one cost in the order given. */
static void
sort_keys(struct key *parent)
{
	struct key *first[COSTS] = { NULL }, **end[COSTS], *key;
	struct key **link = &parent->child;
	enum cost c;

	for (c = 0; c < COSTS; c++)
		end[c] = &first[c];
	for (key = parent->child; key != NULL; key = key->next) {
		*end[key->cost] = key;
		end[key->cost] = &key->next;
	}
	for (c = 0; c < COSTS; c++) {
		if (first[c] == NULL)
			continue;
		parent->cost = c;
		*link = first[c];
		link = end[c];
	}
	*link = NULL;
}

static struct key *
key_new(struct search *s, const struct row *row)
{
	struct key *key = pool_alloc(s->pool, sizeof(*key));

	key->row = row;
	key->cost = row->cost;
	return key;
}

/* The rest of a key that begins with this word. */
static int
named_key(struct parser *p, struct search *s, struct str name,
    struct key **out)
{
	const struct row *row = row_find(name);
	struct key *key;

	if (row == NULL)
		return parse_bad(p, "Unknown search key");
	key = key_new(s, row);
	if (row->parse(p, s, key) != 0)
		return -1;
	if (key->child != NULL)
		sort_keys(key);
	*out = key;
	return 0;
}

/* search-key *(SP search-key), the first being there already. */
static int
more_keys(struct parser *p, struct search *s, struct key *first,
    struct key **out)
{
	struct key **link = &first->next;

	while (parse_if(p, ' ')) {
		if (search_key(p, s, link) != 0)
			return -1;
		link = &(*link)->next;
	}
	*out = first;
	if (first->next == NULL)
		return 0;
	*out = key_new(s, &row_list);
	(*out)->child = first;
	sort_keys(*out);
	return 0;
}

/* "(" search-key *(SP search-key) ")" */
static int
key_list(struct parser *p, struct search *s, struct key **out)
{
	struct key *first;

	if (parse_open(p) != 0 || search_key(p, s, &first) != 0 ||
	    more_keys(p, s, first, out) != 0)
		return -1;
	return parse_close(p);
}

/* Recursion is bounded by NEST_MAX: parse_open and parse_operand. */
static int
search_key(struct parser *p, struct search *s, struct key **out)
{
	struct str name;
	int c = parse_peek(p);

	if (c == '(')
		return key_list(p, s, out);
	if (c == '*' || (c >= '0' && c <= '9')) {
		*out = key_new(s, &row_seq);
		return parse_set(p, &(*out)->set);
	}
	if (parse_word(p, &name) != 0)
		return -1;
	return named_key(p, s, name, out);
}

/* astring SP */
static int
parse_charset(struct parser *p, struct search *s)
{
	if (parse_astring(p, &s->charset) != 0 || parse_space(p) != 0)
		return -1;
	s->charset_unknown = !charset_known(s->charset);
	return 0;
}

/*
 * The first key is the one place where a word may be CHARSET instead, so
 * the word is read here.
 */
static int
first_key(struct parser *p, struct search *s, struct key **out)
{
	struct str name;
	int c = parse_peek(p);

	if (c < 0 || !ascii_alpha((unsigned char)c))
		return search_key(p, s, out);
	if (parse_word(p, &name) != 0)
		return -1;
	if (!str_ieq(name, STR("CHARSET")))
		return named_key(p, s, name, out);
	if (parse_space(p) != 0 || parse_charset(p, s) != 0)
		return -1;
	return search_key(p, s, out);
}

int
search_parse(struct parser *p, struct search *s)
{
	struct key *first;

	s->charset = STR("");
	s->charset_unknown = false;
	if (first_key(p, s, &first) != 0 ||
	    more_keys(p, s, first, &s->key) != 0)
		return -1;
	return parse_end(p);
}

int
search_parse_criteria(struct parser *p, struct search *s)
{
	struct key *first;

	if (parse_charset(p, s) != 0 || search_key(p, s, &first) != 0 ||
	    more_keys(p, s, first, &s->key) != 0)
		return -1;
	return parse_end(p);
}

/* Running it. */

/*
 * Gives sets, keywords and ages their meaning in this mailbox, now. Numbers
 * that no message has are no error here: "SEARCH 99" finds nothing, as
 * elsewhere.
 */
static void
settle(struct key *key, const struct mbox *mbox, const struct view *view,
    time_t now)
{
	uint32_t last = view->n == 0 ? 0 : view->at[view->n - 1].uid;
	struct key *child;
	int i;

	if (key->row->test == test_seq)
		set_resolve(&key->set, view->n);
	if (key->row->test == test_uid)
		set_resolve(&key->set, last);
	/* "subtracting the time interval the client presents from the
	 * current date and time of the server" */
	if (key->row->test == test_age)
		key->number = (int64_t)now - key->number;
	if (key->row->test == test_keyword) {
		i = keyword_find(&mbox->keywords, key->word);
		key->bit = i < 0 ? 0 : UINT32_C(1) << i;
	}
	for (child = key->child; child != NULL; child = child->next)
		settle(child, mbox, view, now);
}

/* Turns to the message of this entry; false when it is there no more. */
static bool
turn_to(struct asking *a, const struct view *view, uint32_t i)
{
	const struct view_entry *entry = &view->at[i];
	const struct mbox *mbox = a->mbox;
	int64_t at = a->hint;

	if (entry->gone)
		return false;
	if (at >= mbox->n || mbox->msgs[at].uid != entry->uid)
		at = mbox_find(mbox, entry->uid);
	if (at < 0)
		return false;
	a->hint = (uint32_t)at + 1;
	a->seq = i + 1;
	a->msg = mbox->msgs[at];
	a->flags = (a->msg.flags & FLAGS_SYSTEM) |
	    (entry->flags & FLAG_RECENT);
	a->reading = a->has_header = a->has_body = a->body_asked = false;
	return true;
}

/* A message that goes while it is read leaves it at MAYBE, which is no
 * match, not even of NOT. */
static bool
matches(struct asking *a, const struct key *key)
{
	enum truth t = ask(key, a);

	if (t == MAYBE) {
		a->reading = true;
		a->err = E_OK;
		t = ask(key, a);
	}
	return t == YES;
}

enum result
search_run(struct search *s, struct mbox *mbox, struct view *view,
    bool uid, struct set *found, struct outcome *o)
{
	struct asking a = { .mbox = mbox };
	uint32_t i, number;

	settle(s->key, mbox, view, time(NULL));
	searchtext_begin(&a.text);
	for (i = 0; i < view->n; i++) {
		if (!turn_to(&a, view, i))
			continue;
		if (matches(&a, s->key)) {
			number = uid ? a.msg.uid : a.seq;
			set_add(found, number, number);
		}
		if (a.err != E_OK && a.err != E_GONE)
			break;
	}
	searchtext_end(&a.text);
	mbox_rest(mbox);
	if (i < view->n)
		return outcome_err(o, a.err, &a.why);
	return RES_OK;
}
