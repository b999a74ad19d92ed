/*
 * sort.c - the order that SORT asks for (RFC 5256 section 3). What a message
 * is sorted by is read once, from its header and only where the list does not
 * know it; then all are compared in memory. Changes nothing.
 */
#include "sort.h"

#include <stdlib.h>

#include "searchtext.h"
#include "lib/casemap.h"
#include "lib/date.h"
#include "lib/rfc822.h"
#include "lib/subject.h"

enum {
	/* Of a text; what comes behind that decides no order. It bounds what
	 * a mailbox full of hostile headers can make us hold. */
	TEXT_MAX = 4096,
	/* Of a field: what a text of that length may be decoded from. */
	FIELD_MAX = 65536,
};

/* One of them for each message and key. */
struct value {
	int64_t number;
	struct str text;	/* by casemap.h; empty: it goes by the number */
};

struct item {
	const struct sort *sort;
	struct value *values;	/* n_keys of them */
	uint32_t seq;
	uint32_t uid;
};

struct sort_row {
	const char *name;
	void (*read)(const struct sort_row *row, struct searchtext *t,
	    struct pool *pool, const struct msg *msg, struct value *out);
	bool header;		/* is in it */
	const char *field;
};

/* The message's bytes, 0 where there is no room for their number. */
static void
read_size(const struct sort_row *row, struct searchtext *t,
    struct pool *pool, const struct msg *msg, struct value *out)
{
	(void)row;
	(void)t;
	(void)pool;
	out->number = msg->size > INT64_MAX ? INT64_MAX : (int64_t)msg->size;
}

static void
read_arrival(const struct sort_row *row, struct searchtext *t,
    struct pool *pool, const struct msg *msg, struct value *out)
{
	(void)row;
	(void)t;
	(void)pool;
	out->number = msg->date;
}

/* RFC 5256 2.2: "If the sent date cannot be determined (a Date: header is
 * missing or cannot be parsed), the INTERNALDATE for that message is used".
 * RFC 5322 3.3: "The year is any numeric year 1900 or later." */
int64_t
sort_sent(const struct searchtext *t, int64_t arrival)
{
	struct field field;
	struct date date;

	if (header_find(t->header, STR("Date"), &field) &&
	    date_from_822(field.value, &date) == 0 &&
	    date_day_written(&date) >= date_day(1900, 1, 1))
		return date.time;
	return arrival;
}

static void
read_date(const struct sort_row *row, struct searchtext *t,
    struct pool *pool, const struct msg *msg, struct value *out)
{
	(void)row;
	(void)pool;
	out->number = sort_sent(t, msg->date);
}

static struct str
collate(struct pool *pool, struct str text)
{
	struct buf b = BUF_MAX(TEXT_MAX);

	casemap_add(str_sub(text, 0, TEXT_MAX), &b);
	text = pool_copy(pool, buf_str(&b));
	buf_free(&b);
	return text;
}

/* "addr-mailbox of the first [...] address": of a group that is its name, by
 * RFC 3501 7.4.2. */
static void
read_mailbox(const struct sort_row *row, struct searchtext *t,
    struct pool *pool, const struct msg *msg, struct value *out)
{
	struct addr_list list;
	struct field field;
	struct addr addr;

	(void)msg;
	if (!header_find(t->header, str_c(row->field), &field))
		return;
	addr_begin(&list, t->pool, str_sub(field.value, 0, FIELD_MAX));
	if (addr_next(&list, &addr))
		out->text = collate(pool, addr.mailbox);
}

struct str
sort_subject(struct searchtext *t, struct pool *pool, bool *answer)
{
	struct field field;
	struct str text = STR("");

	if (header_find(t->header, STR("Subject"), &field))
		text = searchtext_words(t,
		    str_sub(field.value, 0, FIELD_MAX));
	return collate(pool, subject_base(text, &t->folded, answer));
}

static void
read_subject(const struct sort_row *row, struct searchtext *t,
    struct pool *pool, const struct msg *msg, struct value *out)
{
	(void)row;
	(void)msg;
	out->text = sort_subject(t, pool, NULL);
}

static const struct sort_row rows[SORT_KEYS] = {
	{ "ARRIVAL", read_arrival, false, NULL },
	{ "CC", read_mailbox, true, "Cc" },
	{ "DATE", read_date, true, NULL },
	{ "FROM", read_mailbox, true, "From" },
	{ "SIZE", read_size, false, NULL },
	{ "SUBJECT", read_subject, true, NULL },
	{ "TO", read_mailbox, true, "To" },
};

static const struct sort_row *
find(struct str name)
{
	size_t i;

	for (i = 0; i < SORT_KEYS; i++)
		if (str_ieq(name, str_c(rows[i].name)))
			return &rows[i];
	return NULL;
}

/* Messages that one key does not tell apart it does not a second time. */
static void
add_key(struct sort *sort, const struct sort_row *row, bool reverse)
{
	uint32_t i;

	for (i = 0; i < sort->n_keys; i++)
		if (sort->keys[i].row == row)
			return;
	sort->keys[sort->n_keys++] = (struct sort_key){ row, reverse };
}

/* sort-criterion = ["REVERSE" SP] sort-key */
static int
criterion(struct parser *p, struct sort *sort)
{
	const struct sort_row *row;
	struct str name;
	bool reverse;

	if (parse_word(p, &name) != 0)
		return -1;
	reverse = str_ieq(name, STR("REVERSE"));
	if (reverse && (parse_space(p) != 0 || parse_word(p, &name) != 0))
		return -1;
	row = find(name);
	if (row == NULL)
		return parse_bad(p, "Unknown sort key");
	add_key(sort, row, reverse);
	return 0;
}

int
sort_parse(struct parser *p, struct sort *sort)
{
	sort->n_keys = 0;
	if (parse_open(p) != 0)
		return -1;
	do
		if (criterion(p, sort) != 0)
			return -1;
	while (parse_if(p, ' '));
	return parse_close(p);
}

int
sort_compare(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return r != 0 ? r : (a.n > b.n) - (a.n < b.n);
}

/* "In other words, there is an implicit sort criterion of "sequence number"",
 * which REVERSE does not turn round. */
static int
compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	uint32_t i;
	int r;

	for (i = 0; i < x->sort->n_keys; i++) {
		r = (x->values[i].number > y->values[i].number) -
		    (x->values[i].number < y->values[i].number);
		if (r == 0)
			r = sort_compare(x->values[i].text,
			    y->values[i].text);
		if (r != 0)
			return x->sort->keys[i].reverse ? -r : r;
	}
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static bool
needs_header(const struct sort *sort)
{
	uint32_t i;

	for (i = 0; i < sort->n_keys; i++)
		if (sort->keys[i].row->header)
			return true;
	return false;
}

/* What there is to be known of one message. */
static enum err
read_item(struct item *item, struct searchtext *t, struct pool *pool,
    struct mbox *mbox, struct why *why)
{
	const struct sort *sort = item->sort;
	struct mbox_text text;
	struct msg msg;
	int64_t at = mbox_find(mbox, item->uid);
	uint32_t i;
	enum err e;

	if (at < 0)
		return E_GONE;
	msg = mbox->msgs[at];
	if (needs_header(sort)) {
		e = mbox_text(mbox, item->uid, false, &text, why);
		if (e != E_OK)
			return e;
		searchtext_set(t, text.header, STR(""));
	}
	item->values = pool_array(pool, sort->n_keys, sizeof(*item->values));
	for (i = 0; i < sort->n_keys; i++)
		sort->keys[i].row->read(sort->keys[i].row, t, pool, &msg,
		    &item->values[i]);
	return E_OK;
}

/* Of each message that was found and is still there. */
static enum err
read_all(const struct sort *sort, struct pool *pool, struct mbox *mbox,
    const struct view *view, const struct set *found, struct item *items,
    uint32_t *n, struct why *why)
{
	struct searchtext t;
	uint32_t seq, at = 0;
	enum err e = E_OK;

	searchtext_begin(&t);
	while (e == E_OK && (seq = view_next(view, found, false, &at)) != 0) {
		items[*n] = (struct item){ .sort = sort, .seq = seq,
		    .uid = view->at[seq - 1].uid };
		e = read_item(&items[*n], &t, pool, mbox, why);
		if (e == E_OK)
			++*n;
		else if (e == E_GONE)
			e = E_OK;
	}
	searchtext_end(&t);
	mbox_rest(mbox);
	return e;
}

enum result
sort_run(const struct sort *sort, struct pool *pool, struct mbox *mbox,
    const struct view *view, const struct set *found, bool uid,
    uint32_t **numbers, uint32_t *n, struct outcome *o)
{
	size_t room = (size_t)set_count(found);
	struct item *items = pool_array(pool, room, sizeof(*items));
	struct why why = { .text = "" };
	enum err e;
	uint32_t i;

	*n = 0;
	e = read_all(sort, pool, mbox, view, found, items, n, &why);
	if (e != E_OK)
		return outcome_err(o, e, &why);
	if (*n > 0)
		qsort(items, *n, sizeof(*items), compare);
	*numbers = pool_array(pool, *n, sizeof(**numbers));
	for (i = 0; i < *n; i++)
		(*numbers)[i] = uid ? items[i].uid : items[i].seq;
	return RES_OK;
}
