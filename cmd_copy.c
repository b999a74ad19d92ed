/*
 * cmd_copy.c - COPY and MOVE, in both forms, and the mail of RENAME INBOX.
 * The texts are gathered in a draft, message by message, and then added to
 * the other mailbox at once: all or nothing. Of the two mailboxes never more
 * than one is locked.
 */
#include "session.h"

#include <inttypes.h>

#include "lib/buf.h"

/* Messages on their way. */
struct copy {
	struct mbox *from;
	uint32_t *uids;		/* rising */
	uint32_t n;
	struct mbox *to;
	uint32_t first;		/* the uid there of the first, then rising */
};

/*
 * RFC 3501 6.4.7: "The flags and internal date of the message(s) SHOULD be
 * preserved". Keywords go by name: the other mailbox has bits of its own.
 */
static enum err
add(struct draft *d, struct mbox *from, uint32_t uid, struct why *why)
{
	struct keywords names = { .n = 0 };
	struct mbox_text text;
	const struct msg *msg;
	struct date date;
	int64_t at;
	unsigned i;
	enum err e;

	if ((e = mbox_text(from, uid, true, &text, why)) != E_OK)
		return e;
	if ((at = mbox_find(from, uid)) < 0)
		return why_set(why, E_GONE, "A message is no longer there");
	msg = &from->msgs[at];
	for (i = 0; i < from->keywords.n; i++)
		if (msg->keywords >> i & 1)
			keyword_add(&names, keyword_name(&from->keywords, i));
	msg_date(msg, &date);
	if (!draft_begin(d, mbox_sender(&text), &date,
	    msg->flags & FLAGS_SYSTEM, &names))
		return why_set(why, E_LIMIT, "too many keywords");
	if ((e = draft_add(d, text.whole, why)) != E_OK)
		return e;
	return draft_end(d, why);
}

/*
 * A message that has gone meanwhile ends it all, or is left out if
 * `skip_gone`; then c->uids are those that were copied.
 */
static enum err
copy(struct session *s, struct copy *c, bool skip_gone, struct why *why)
{
	struct draft *d = draft_new(s->own_dir);
	uint32_t i, kept = 0;
	enum err e = E_OK;

	for (i = 0; i < c->n && e == E_OK; i++) {
		e = add(d, c->from, c->uids[i], why);
		if (e == E_OK)
			c->uids[kept++] = c->uids[i];
		else if (e == E_GONE && skip_gone)
			e = E_OK;
	}
	c->n = kept;
	if (e == E_OK && kept > 0)
		e = mbox_append(c->to, d, &c->first, why);
	draft_free(d);
	mbox_rest(c->from);
	mbox_rest(c->to);
	return e;
}

/*
 * Where they go to. That a mailbox can not be written is found out before
 * all the mail is gathered for it. E_NOENT is what a client should be told
 * [TRYCREATE].
 */
static enum err
destination(struct session *s, struct str name, struct mbox **to,
    struct why *why)
{
	enum err e = cmd_folder_other(s, name, to, why);

	if (e == E_OK && !(*to)->writable)
		e = why_set(why, E_PERM, "The mailbox can not be written");
	return e;
}

/* Ranges of uids, as UID sets have them. */
static void
add_uids(struct buf *b, const uint32_t *uids, uint32_t n)
{
	uint32_t i, last;

	for (i = 0; i < n; i = last + 1) {
		for (last = i; last + 1 < n; last++)
			if (uids[last + 1] != uids[last] + 1)
				break;
		buf_addf(b, "%s%" PRIu32, i == 0 ? "" : ",", uids[i]);
		if (last > i)
			buf_addf(b, ":%" PRIu32, uids[last]);
	}
}

/*
 * "COPYUID 38505 304,319:320 3956:3958". RFC 4315 3: "Neither of the UID sets
 * may contain extraneous UIDs". NULL for a mailbox whose UIDs do not last: it
 * "will not return an APPENDUID or COPYUID response code".
 */
static const char *
copyuid(struct session *s, const struct copy *c)
{
	struct buf b = BUF_MAX(SIZE_MAX / 2);
	struct str code;

	if (!c->to->sticky)
		return NULL;
	buf_addf(&b, "COPYUID %" PRIu32 " ", c->to->uidvalidity);
	add_uids(&b, c->uids, c->n);
	buf_addf(&b, " %" PRIu32, c->first);
	if (c->n > 1)
		buf_addf(&b, ":%" PRIu32, c->first + c->n - 1);
	code = pool_copy(s->pool, buf_str(&b));
	buf_free(&b);
	return code.p;
}

static int
arguments(struct parser *p, struct set *set, struct str *name)
{
	if (parse_space(p) != 0 || parse_set(p, set) != 0 ||
	    parse_space(p) != 0 || parse_mailbox(p, name) != 0)
		return -1;
	return parse_end(p);
}

/*
 * What COPY and MOVE have in common. RFC 2180 4.4.1 lets a COPY be refused
 * "because some of the requested messages were expunged"; a uid that is not
 * there is ignored (RFC 3501 6.4.8). RES_OK with c->n 0: there was nothing
 * to be copied.
 */
static enum result
prepare(struct session *s, struct set *set, struct str name, bool uid,
    struct copy *c, struct outcome *o)
{
	struct why why = { .text = "" };
	enum result r = cmd_message_resolve(s, set, uid, o);
	enum err e = E_OK;

	if (r != RES_OK)
		return r;
	c->from = s->mbox;
	c->uids = cmd_message_uids(s, set, uid, &c->n);
	if (!uid && c->n < set_count(set))
		e = why_set(&why, E_GONE, "Some of the messages are no"
		    " longer there");
	else if (c->n > 0)
		e = destination(s, name, &c->to, &why);
	if (e == E_NOENT)
		return outcome_set(o, RES_NO, "TRYCREATE",
		    "There is no such mailbox");
	if (e == E_OK && c->n > 0)
		e = copy(s, c, uid, &why);
	return e == E_OK ? RES_OK : outcome_err(o, e, &why);
}

/* RFC 4315 has the words. */
static enum result
nothing(struct outcome *o, const char *done)
{
	return outcome_set(o, RES_OK, NULL,
	    "No matching messages, so nothing %s", done);
}

enum result
cmd_copy(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct copy c = { .n = 0 };
	struct set set;
	struct str name;
	enum result r;

	set_init(&set, s->pool);
	if (arguments(p, &set, &name) != 0)
		return RES_BAD;
	r = prepare(s, &set, name, uid, &c, o);
	if (r == RES_OK && c.n == 0)
		return nothing(o, "copied");
	if (r == RES_OK)
		o->code = copyuid(s, &c);
	return r;
}

/*
 * RFC 6851 4.3: "advised to send the COPYUID response code in an untagged OK
 * before sending EXPUNGE".
 */
static void
tell_moved(struct session *s, const struct copy *c)
{
	const char *code = copyuid(s, c);

	if (code == NULL)
		return;
	reply_raw(&s->reply, STR("* OK ["));
	reply_raw(&s->reply, str_c(code));
	reply_raw(&s->reply, STR("] Copied\r\n"));
}

/*
 * The second half of a move. RFC 6851 3.3: "The server MUST leave each
 * message in a state where it is in at least one of the source or target
 * mailboxes"; where this fails they are in both. The copies are not taken
 * back then: a rewrite that was interrupted may yet be carried to its end.
 */
static enum result
remove_moved(const struct copy *c, struct outcome *o)
{
	struct why why = { .text = "" };
	uint32_t removed;
	enum err e;

	e = mbox_expunge(c->from, c->uids, c->n, true, &removed, &why);
	if (e == E_OK)
		return RES_OK;
	outcome_err(o, e, &why);
	return outcome_set(o, RES_NO, o->code, "Copied, but not removed"
	    " here: %s", why.text);
}

enum result
cmd_move(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct copy c = { .n = 0 };
	struct set set;
	struct str name;
	enum result r;

	set_init(&set, s->pool);
	if (arguments(p, &set, &name) != 0)
		return RES_BAD;
	if (s->read_only)
		return cmd_message_read_only(o);
	r = prepare(s, &set, name, uid, &c, o);
	if (r == RES_OK && c.n == 0)
		return nothing(o, "moved");
	if (r != RES_OK)
		return r;
	tell_moved(s, &c);
	return remove_moved(&c, o);
}

/* All that is in INBOX now; what arrives meanwhile stays there. */
static enum result
move_all(struct session *s, struct copy *c, struct outcome *o)
{
	struct why why = { .text = "" };
	uint32_t i;
	enum err e;

	if (!c->from->writable)
		return outcome_set(o, RES_NO, "NOPERM",
		    "INBOX can not be written");
	c->n = c->from->n;
	c->uids = pool_array(s->pool, c->n, sizeof(*c->uids));
	for (i = 0; i < c->n; i++)
		c->uids[i] = c->from->msgs[i].uid;
	e = copy(s, c, true, &why);
	if (e != E_OK)
		return outcome_err(o, e, &why);
	return c->n == 0 ? RES_OK : remove_moved(c, o);
}

/* cmd_folder_other has room for one; the new mailbox is the caller's here. */
enum result
cmd_copy_inbox(struct session *s, struct str to, struct outcome *o)
{
	struct why why = { .text = "" };
	struct copy c = { .n = 0 };
	struct folder folder;
	enum result r;
	enum err e;

	e = folder_path(&s->folders, to, &folder, &why);
	if (e == E_OK)
		e = mbox_open_writer(&c.to, folder.path, false, MBOX_EXAMINE,
		    &s->writer, &why);
	if (e == E_OK)
		e = cmd_folder_other(s, STR("INBOX"), &c.from, &why);
	if (e == E_OK && !c.to->writable)
		e = why_set(&why, E_PERM, "The mailbox can not be written");
	r = e == E_OK ? move_all(s, &c, o) : outcome_err(o, e, &why);
	mbox_close(c.to);
	return r;
}
