/*
 * cmd_message.c - the commands that look at messages of the selected mailbox
 * or change their flags: FETCH and STORE, in both forms. They parse to the end
 * of the line, turn the client's numbers into the view's, and leave the work
 * to fetch.c and mbox_write.h. The answers to STORE
 * are the view's: what is to be told is marked there.
 */
#include "session.h"

#include "fetch.h"
#include "lib/log.h"

/*
 * RFC 3501 section 9, seq-number: "The server should respond with a tagged
 * BAD response to a command that uses a message sequence number greater
 * than the number of messages in the selected mailbox. This includes "*" if
 * the selected mailbox is empty." A uid that does not exist is no error.
 */
enum result
cmd_message_resolve(const struct session *s, struct set *set, bool uid,
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

uint32_t *
cmd_message_uids(const struct session *s, const struct set *set, bool uid,
    uint32_t *n)
{
	uint32_t at = 0, seq, count = 0, *uids;

	while (view_next(&s->view, set, uid, &at) != 0)
		count++;
	uids = pool_array(s->pool, count, sizeof(*uids));
	*n = at = 0;
	while ((seq = view_next(&s->view, set, uid, &at)) != 0)
		if (!s->view.at[seq - 1].gone)
			uids[(*n)++] = s->view.at[seq - 1].uid;
	return uids;
}

/* RFC 3501 7.1, READ-ONLY: "The mailbox is selected read-only". */
enum result
cmd_message_read_only(struct outcome *o)
{
	return outcome_set(o, RES_NO, "READ-ONLY",
	    "The mailbox is selected read-only");
}

/* Does the mailbox have the message, without that flag? */
static bool
lacks(const struct mbox *mbox, uint32_t uid, unsigned flag)
{
	int64_t i = mbox_find(mbox, uid);

	return i >= 0 && !(mbox->msgs[i].flags & flag);
}

/*
 * RFC 3501 6.4.5, BODY[]: "The \Seen flag is implicitly set". All at once,
 * before the texts are sent: a lock for each would cost more than the texts.
 * Mail that can not be marked can still be read.
 */
static void
set_seen(struct session *s, const struct set *set, bool uid)
{
	static const struct mbox_change seen = { MBOX_ADD, FLAG_SEEN, NULL };
	struct why why = { .text = "" };
	const struct view_entry *e;
	uint32_t i, at, n, all, *uids = cmd_message_uids(s, set, uid, &all);

	for (i = n = 0; i < all; i++)
		if (lacks(s->mbox, uids[i], FLAG_SEEN))
			uids[n++] = uids[i];
	if (n == 0)
		return;
	if (mbox_store(s->mbox, uids, n, &seen, &why) != E_OK) {
		log_warn("can not set \\Seen: %s", why.text);
		reply_raw(&s->reply, STR("* NO Can not set \\Seen: "));
		reply_text(&s->reply, why.text);
		reply_raw(&s->reply, STR("\r\n"));
		return;
	}
	for (i = 0; i < n; i++) {
		at = view_seq(&s->view, uids[i]) - 1;
		e = &s->view.at[at];
		view_assume(&s->view, at, e->flags | FLAG_SEEN, e->keywords,
		    true);
	}
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
	r = cmd_message_resolve(s, &set, uid, o);
	if (r != RES_OK)
		return r;
	if (plan.sets_seen && !s->read_only)
		set_seen(s, &set, uid);
	return fetch_run(&plan, s->mbox, &s->view, &s->reply, &set, uid, o);
}

/* What a STORE asks for. */
struct store {
	struct flag_list list;
	struct mbox_change change;
	bool silent;
};

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP ... */
static int
store_flags(struct parser *p, struct store *st)
{
	struct str word;

	*st = (struct store){ .change.how = MBOX_SET };
	if (parse_if(p, '+'))
		st->change.how = MBOX_ADD;
	else if (parse_if(p, '-'))
		st->change.how = MBOX_REMOVE;
	if (parse_word(p, &word) != 0)
		return -1;
	st->silent = str_ieq(word, STR("FLAGS.SILENT"));
	if (!st->silent && !str_ieq(word, STR("FLAGS")))
		return parse_bad(p, "Unknown STORE item");
	if (parse_space(p) != 0 || parse_flags(p, &st->list) != 0)
		return -1;
	st->change.flags = st->list.flags;
	st->change.names = &st->list.names;
	return 0;
}

static uint32_t
apply(enum mbox_how how, uint32_t old, uint32_t bits)
{
	switch (how) {
	case MBOX_ADD:
		return old | bits;
	case MBOX_REMOVE:
		return old & ~bits;
	default:
		return bits;
	}
}

/* What the client knows now without being told, and whose \Deleted it is. */
static void
stored(struct view *view, uint32_t i, const struct store *st, uint32_t bits)
{
	const struct mbox_change *change = &st->change;
	struct view_entry *e = &view->at[i];
	unsigned flags = apply(change->how, e->flags & FLAGS_SYSTEM,
	    change->flags);

	view_assume(view, i, flags | (e->flags & FLAG_RECENT),
	    apply(change->how, e->keywords, bits), !st->silent);
	/* The view takes the mark away with the flag. */
	if (change->how != MBOX_REMOVE && change->flags & FLAG_DELETED)
		e->marked = true;
}

/* Takes over what was done; false when some of the set were not there. */
static bool
all_stored(struct session *s, const struct set *set, bool uid,
    const struct store *st)
{
	const struct keywords *known = &s->mbox->keywords;
	uint32_t at = 0, seq, bits = 0;
	bool all = true;
	unsigned i;
	int bit;

	for (i = 0; i < st->list.names.n; i++) {
		bit = keyword_find(known, keyword_name(&st->list.names, i));
		if (bit >= 0)
			bits |= UINT32_C(1) << bit;
	}
	while ((seq = view_next(&s->view, set, uid, &at)) != 0)
		if (mbox_find(s->mbox, s->view.at[seq - 1].uid) >= 0)
			stored(&s->view, seq - 1, st, bits);
		else
			all = false;
	return all;
}

/*
 * RFC 2180 4.2: with .SILENT "the server SHOULD return a tagged OK", else it
 * "MAY set the flags and return a FETCH response for the non-expunged
 * messages along with a tagged NO".
 */
static enum result
some_gone(const struct store *st, struct outcome *o)
{
	return outcome_set(o, st->silent ? RES_OK : RES_NO, "EXPUNGEISSUED",
	    "Some of the messages are no longer there");
}

enum result
cmd_store(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct store st;
	struct set set;
	uint32_t n, *uids;
	enum result r;
	enum err e = E_OK;

	set_init(&set, s->pool);
	if (parse_space(p) != 0 || parse_set(p, &set) != 0 ||
	    parse_space(p) != 0 || store_flags(p, &st) != 0 ||
	    parse_end(p) != 0)
		return RES_BAD;
	r = cmd_message_resolve(s, &set, uid, o);
	if (r != RES_OK)
		return r;
	if (s->read_only)
		return cmd_message_read_only(o);
	if (st.list.over)
		return outcome_set(o, RES_NO, "LIMIT", "At most %d keywords"
		    " of %d bytes", KEYWORDS_MAX, KEYWORD_MAX_BYTES);
	uids = cmd_message_uids(s, &set, uid, &n);
	if (n > 0)
		e = mbox_store(s->mbox, uids, n, &st.change, &why);
	if (e != E_OK)
		return outcome_err(o, e, &why);
	return all_stored(s, &set, uid, &st) || uid ? RES_OK :
	    some_gone(&st, o);
}
