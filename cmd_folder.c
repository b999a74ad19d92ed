/*
 * cmd_folder.c - the commands about mailboxes as a whole: SELECT, EXAMINE,
 * STATUS, CLOSE, UNSELECT, CHECK, LIST and LSUB. Order and words of the
 * untagged lines are those that UW-imapd has sent for twenty years. Here a
 * session opens its mailboxes: the selected one, and one other that it
 * writes to or looks at.
 */
#include "session.h"

#include <string.h>

#include "rewrite.h"
#include "lib/log.h"
#include "lib/params.h"

/* INBOX opens even where its file is not there yet (DESIGN 6). */
static enum err
find(const struct session *s, struct str name, struct folder *folder,
    struct why *why)
{
	enum err e = folder_path(&s->folders, name, folder, why);

	return e == E_NOENT && folder->inbox ? E_OK : e;
}

void
cmd_folder_leave(struct session *s)
{
	mbox_close(s->other);
	s->other = NULL;
	if (s->mbox == NULL)
		return;
	view_free(&s->view);
	mbox_close(s->mbox);
	s->mbox = NULL;
	s->state = STATE_AUTH;
}

/* The one of that path that is open already, as it now is, or NULL. */
static enum err
find_open(struct session *s, const char *path, struct mbox **out,
    struct why *why)
{
	bool changed = false;
	enum err e;

	*out = NULL;
	if (s->mbox != NULL && strcmp(path, s->mbox->path) == 0) {
		e = mbox_sync(s->mbox, &changed, why);
		s->view.stale |= changed;
		*out = s->mbox;
		return e;
	}
	if (s->other == NULL || strcmp(path, s->other->path) != 0)
		return E_OK;
	/* No client holds numbers of it: if somebody else has been at it, to
	 * begin anew is the simplest way to be right. */
	if (mbox_sync(s->other, &changed, NULL) == E_OK && !changed)
		*out = s->other;
	return E_OK;
}

enum err
cmd_folder_other(struct session *s, struct str name, struct mbox **out,
    struct why *why)
{
	struct folder folder;
	enum err e = find(s, name, &folder, why);

	if (e == E_OK)
		e = find_open(s, folder.path, out, why);
	if (e != E_OK || *out != NULL)
		return e;
	mbox_close(s->other);
	e = mbox_open_writer(&s->other, folder.path, folder.inbox,
	    MBOX_EXAMINE, &s->writer, why);
	*out = s->other;
	return e;
}

/* "* OK [CODE n] words"; code ends in its space, words in the line end. */
static void
tell_code(struct reply *r, struct str code, uint32_t n, struct str words)
{
	reply_raw(r, STR("* OK ["));
	reply_raw(r, code);
	reply_number(r, n);
	reply_raw(r, STR("] "));
	reply_raw(r, words);
}

/*
 * RFC 3501 section 9 has "UNSEEN" SP nz-number, so with nothing unseen there
 * is no line. The path tells people with a shell where their mail is.
 */
static void
tell_unseen(struct session *s)
{
	uint32_t i;

	for (i = 0; i < s->view.n; i++)
		if (!(s->view.at[i].flags & FLAG_SEEN))
			break;
	if (i == s->view.n)
		return;
	tell_code(&s->reply, STR("UNSEEN "), i + 1,
	    STR("first unseen message in "));
	reply_text(&s->reply, s->mbox->path);
	reply_raw(&s->reply, STR("\r\n"));
}

static void
tell_mailbox(struct session *s)
{
	struct reply *r = &s->reply;

	view_tell_size(&s->view, r);
	view_tell_uids(s->mbox, r);
	/* RFC 4315 section 3: "returned in an untagged NO response to the
	 * SELECT command". */
	if (!s->mbox->sticky)
		reply_raw(r, STR("* NO [UIDNOTSTICKY] Non-persistent"
		    " UIDs\r\n"));
	view_tell_flags(&s->view, s->mbox, r);
	tell_unseen(s);
}

/*
 * What --expunge-on has happen here, whoever marked the messages. RFC 3501
 * 6.4.2: "No messages are removed, and no error is given, if the mailbox is
 * selected by an EXAMINE command or is otherwise selected read-only."
 */
static enum err
expunge_on(struct session *s, unsigned when, struct why *why)
{
	uint32_t removed;

	if (s->mbox == NULL || s->read_only ||
	    !(s->options->expunge_on & when))
		return E_OK;
	return cmd_expunge_all(s, &removed, why);
}

/*
 * RFC 3501 6.3.1: "automatically deselects any currently selected mailbox
 * before attempting the new selection. Consequently, if a mailbox is
 * selected and a SELECT command that fails is attempted, no mailbox is
 * selected." So what can not be removed from the old one does not keep the
 * client from the new one.
 */
static void
deselect(struct session *s)
{
	struct why why = { .text = "" };

	mbox_leave(s->mbox, true);
	if (expunge_on(s, ON_SELECT, &why) != E_OK) {
		log_warn("SELECT: deleted messages stay: %s", why.text);
		reply_raw(&s->reply, STR("* NO Deleted messages stay: "));
		reply_text(&s->reply, why.text);
		reply_raw(&s->reply, STR("\r\n"));
	}
	cmd_folder_leave(s);
}

static enum result
open_mailbox(struct session *s, struct parser *p, struct outcome *o,
    enum mbox_mode mode)
{
	struct folder folder;
	struct why why = { .text = "" };
	struct str name;
	enum err e;

	if (parse_space(p) != 0 || parse_mailbox(p, &name) != 0 ||
	    parse_end(p) != 0)
		return RES_BAD;
	deselect(s);
	e = find(s, name, &folder, &why);
	if (e == E_OK)
		e = mbox_open_writer(&s->mbox, folder.path, folder.inbox,
		    mode, &s->writer, &why);
	if (e != E_OK)
		return outcome_err(o, e, &why);
	s->read_only = mode == MBOX_EXAMINE || !s->mbox->writable;
	view_init(&s->view, s->mbox);
	s->view.writable = !s->read_only;
	s->state = STATE_SELECTED;
	tell_mailbox(s);
	o->code = s->read_only ? "READ-ONLY" : "READ-WRITE";
	return RES_OK;
}

enum result
cmd_select(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)uid;
	return open_mailbox(s, p, o, MBOX_SELECT);
}

/* RFC 3501 6.3.2: "MUST NOT cause messages to lose the \Recent flag". */
enum result
cmd_examine(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)uid;
	return open_mailbox(s, p, o, MBOX_EXAMINE);
}

/*
 * RFC 3501 6.4.2 knows no NO to CLOSE; but what it says of OK, "permanently
 * removes all messages that have the \Deleted flag set [...] and returns to
 * the authenticated state", is not so when they can not be removed. Then the
 * mailbox stays selected, and the client can try again or UNSELECT.
 */
enum result
cmd_close(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	enum err e;

	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	mbox_leave(s->mbox, true);
	e = expunge_on(s, ON_CLOSE, &why);
	if (e != E_OK) {
		mbox_leave(s->mbox, false);
		return outcome_err(o, e, &why);
	}
	cmd_folder_leave(s);
	return RES_OK;
}

/* RFC 3691 2: "the same actions as CLOSE, except that no messages are
 * permanently removed". */
enum result
cmd_unselect(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	cmd_folder_leave(s);
	return RES_OK;
}

/* Says whether the file can be read and is in order, unlike NOOP, which
 * "always succeeds" (RFC 3501 6.1.2). All that was done is on the disk. */
enum result
cmd_check(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	bool changed = false;
	enum err e;

	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	e = mbox_verify(s->mbox, &changed, &why);
	s->view.stale |= changed;
	if (e == E_OK)
		e = mbox_flush(s->mbox, false, &why);
	if (e == E_OK)
		e = expunge_on(s, ON_CHECK, &why);
	return e == E_OK ? RES_OK : outcome_err(o, e, &why);
}

enum status_item {
	STATUS_MESSAGES,
	STATUS_RECENT,
	STATUS_UIDNEXT,
	STATUS_UIDVALIDITY,
	STATUS_UNSEEN,
	STATUS_APPENDLIMIT,	/* RFC 7889 3.1 */
	STATUS_ITEMS
};

static const char *const status_names[STATUS_ITEMS] = {
	[STATUS_MESSAGES] = "MESSAGES",
	[STATUS_RECENT] = "RECENT",
	[STATUS_UIDNEXT] = "UIDNEXT",
	[STATUS_UIDVALIDITY] = "UIDVALIDITY",
	[STATUS_UNSEEN] = "UNSEEN",
	[STATUS_APPENDLIMIT] = "APPENDLIMIT",
};

static int
status_item(struct parser *p, unsigned *items)
{
	struct str word;
	unsigned i;

	if (parse_word(p, &word) != 0)
		return -1;
	for (i = 0; i < STATUS_ITEMS; i++)
		if (str_ieq(word, str_c(status_names[i]))) {
			*items |= 1u << i;
			return 0;
		}
	return parse_bad(p, "Unknown STATUS item");
}

/* "(" status-att *(SP status-att) ")" */
static int
status_list(struct parser *p, unsigned *items)
{
	if (parse_open(p) != 0 || status_item(p, items) != 0)
		return -1;
	while (parse_peek(p) == ' ')
		if (parse_space(p) != 0 || status_item(p, items) != 0)
			return -1;
	return parse_close(p);
}

static uint32_t
count_flag(const struct mbox *mbox, unsigned mask, unsigned want)
{
	uint32_t i, n = 0;

	for (i = 0; i < mbox->n; i++)
		n += (mbox->msgs[i].flags & mask) == want;
	return n;
}

static uint32_t
status_value(const struct mbox *mbox, enum status_item item)
{
	switch (item) {
	case STATUS_MESSAGES:
		return mbox->n;
	case STATUS_RECENT:
		return count_flag(mbox, FLAG_RECENT, FLAG_RECENT);
	case STATUS_UIDNEXT:
		return mbox->uidnext;
	case STATUS_UIDVALIDITY:
		return mbox->uidvalidity;
	case STATUS_UNSEEN:
		return count_flag(mbox, FLAG_SEEN, 0);
	case STATUS_APPENDLIMIT:
		return APPEND_MAX_BYTES;
	case STATUS_ITEMS:
		break;
	}
	log_bug("no STATUS item %d", (int)item);
}

/* The items come in a fixed order, each once, however they were asked. */
static void
tell_status(struct reply *r, struct str name, const struct mbox *mbox,
    unsigned items)
{
	struct str gap = STR(" (");
	unsigned i;

	reply_raw(r, STR("* STATUS "));
	reply_astring(r, name);
	for (i = 0; i < STATUS_ITEMS; i++) {
		if (!(items & 1u << i))
			continue;
		reply_raw(r, gap);
		reply_raw(r, str_c(status_names[i]));
		reply_raw(r, STR(" "));
		reply_number(r, status_value(mbox, (enum status_item)i));
		gap = STR(" ");
	}
	reply_raw(r, STR(")\r\n"));
}

/*
 * A mailbox that is not open, of which only its messages are counted, is
 * read and forgotten: their UIDs need not be fixed for that.
 */
static enum err
count_only(struct session *s, struct str name, struct mbox **out,
    bool *ours, struct why *why)
{
	struct folder folder;
	enum err e = find(s, name, &folder, why);

	if (e == E_OK)
		e = find_open(s, folder.path, out, why);
	*ours = e == E_OK && *out == NULL;
	return *ours ? mbox_open(out, folder.path, folder.inbox,
	    s->own_dir, why) : e;
}

/*
 * Of the selected mailbox too, truly and without complaint: clients ask for
 * it (mission), although RFC 3501 6.3.10 says they SHOULD NOT.
 */
enum result
cmd_status(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	const unsigned uids = 1u << STATUS_UIDNEXT | 1u << STATUS_UIDVALIDITY;
	struct rewrite_pending pending;
	struct mbox *mbox = NULL;
	struct why why = { .text = "" };
	struct str name;
	unsigned items = 0;
	bool ours = false;
	enum err e;

	(void)uid;
	if (parse_space(p) != 0 || parse_mailbox(p, &name) != 0 ||
	    parse_space(p) != 0 || status_list(p, &items) != 0 ||
	    parse_end(p) != 0)
		return RES_BAD;
	/* What was interrupted in the middle is mended before it is counted. */
	if (items & uids || rewrite_pending(s->own_dir, &pending) == E_OK)
		e = cmd_folder_other(s, name, &mbox, &why);
	else
		e = count_only(s, name, &mbox, &ours, &why);
	if (e != E_OK)
		return outcome_err(o, e, &why);
	tell_status(&s->reply, name, mbox, items);
	if (ours)
		mbox_close(mbox);
	return RES_OK;
}

/* What a listing needs for each name. */
struct listing {
	struct reply *reply;
	struct str word;
};

/* One line of LIST or LSUB. The name is from the disk: reply_astring knows
 * how to say it. */
static void
show(void *ctx, struct str name, unsigned attributes)
{
	static const struct {
		unsigned bit;
		const char *word;
	} table[] = {
		{ FOLDER_NOSELECT, "\\Noselect" },
		{ FOLDER_NOINFERIORS, "\\Noinferiors" },
		{ FOLDER_HASCHILDREN, "\\HasChildren" },
		{ FOLDER_HASNOCHILDREN, "\\HasNoChildren" },
	};
	const struct listing *listing = ctx;
	struct reply *r = listing->reply;
	struct str gap = STR("");
	unsigned i;

	reply_raw(r, listing->word);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!(attributes & table[i].bit))
			continue;
		reply_raw(r, gap);
		reply_raw(r, str_c(table[i].word));
		gap = STR(" ");
	}
	reply_raw(r, STR(") \"/\" "));
	reply_astring(r, name);
	reply_raw(r, STR("\r\n"));
}

/* list / lsub = word SP mailbox SP list-mailbox; the reference may be "". */
static int
list_arguments(struct parser *p, struct str *reference, struct str *pattern)
{
	if (parse_space(p) != 0 || parse_astring(p, reference) != 0 ||
	    parse_space(p) != 0 || parse_list_mailbox(p, pattern) != 0)
		return -1;
	return parse_end(p);
}

enum result
cmd_list(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct listing listing = { &s->reply, STR("* LIST (") };
	struct str reference, pattern;
	struct why why = { .text = "" };
	enum err e;

	(void)uid;
	if (list_arguments(p, &reference, &pattern) != 0)
		return RES_BAD;
	if (pattern.n == 0) {
		/* RFC 3501 6.3.8: "return the hierarchy delimiter and the
		 * root name of the name given in the reference". */
		show(&listing, str_starts(reference, STR("/")) ? STR("/") :
		    STR(""), FOLDER_NOSELECT);
		return RES_OK;
	}
	e = folder_list(&s->folders, s->pool, reference, pattern, show,
	    &listing, &why);
	return e == E_OK ? RES_OK : outcome_err(o, e, &why);
}

/* LSUB "" "" has no meaning of its own: RFC 3501 6.3.9 knows it not. */
enum result
cmd_lsub(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct listing listing = { &s->reply, STR("* LSUB (") };
	struct str reference, pattern;
	struct why why = { .text = "" };
	enum err e;

	(void)uid;
	if (list_arguments(p, &reference, &pattern) != 0)
		return RES_BAD;
	e = folder_lsub(&s->folders, s->pool, reference, pattern, show,
	    &listing, &why);
	return e == E_OK ? RES_OK : outcome_err(o, e, &why);
}
