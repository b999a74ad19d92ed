/*
 * cmd_expunge.c - EXPUNGE and UID EXPUNGE, and the messages that LOGOUT takes
 * with it. What has gone is told by the view, after the command, with the
 * new size of the mailbox behind it, as UW-imapd did.
 */
#include "session.h"

#include "lib/log.h"

static bool
any_deleted(const struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if (mbox->msgs[i].flags & FLAG_DELETED)
			return true;
	return false;
}

/* Where nothing is marked no write lock is waited for: clients send CLOSE
 * and EXPUNGE all day. */
enum err
cmd_expunge_all(struct session *s, uint32_t *removed, struct why *why)
{
	bool changed = false;
	enum err e = mbox_sync(s->mbox, &changed, why);

	s->view.stale |= changed;
	*removed = 0;
	if (e != E_OK || !any_deleted(s->mbox))
		return e;
	return mbox_expunge(s->mbox, NULL, 0, false, removed, why);
}

static enum err
expunge_set(struct session *s, struct set *set, uint32_t *removed,
    struct why *why)
{
	struct outcome unused;
	uint32_t n, *uids;

	cmd_message_resolve(s, set, true, &unused);
	uids = cmd_message_uids(s, set, true, &n);
	return n == 0 ? E_OK :
	    mbox_expunge(s->mbox, uids, n, false, removed, why);
}

/* UW-imapd's words, but for one message. */
static enum result
told(uint32_t n, struct outcome *o)
{
	if (n == 0)
		return outcome_set(o, RES_OK, NULL, "No messages deleted, so"
		    " no update needed");
	return outcome_set(o, RES_OK, NULL, n == 1 ? "Expunged %u message" :
	    "Expunged %u messages", n);
}

/*
 * RFC 4315 2.1, of the UID form: "permanently removes all messages that both
 * have the \Deleted flag set and have a UID that is included in the
 * specified sequence set". The other form takes all that are \Deleted in the
 * file, whoever has marked them.
 */
enum result
cmd_expunge(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct set set;
	uint32_t removed = 0;
	enum err e;

	set_init(&set, s->pool);
	if (uid && (parse_space(p) != 0 || parse_set(p, &set) != 0))
		return RES_BAD;
	if (parse_end(p) != 0)
		return RES_BAD;
	if (s->read_only)
		return cmd_message_read_only(o);
	if (!(s->options->expunge_on & ON_EXPUNGE))
		return outcome_set(o, RES_NO, "CANNOT",
		    "This server is set up not to expunge on this command");
	e = uid ? expunge_set(s, &set, &removed, &why) :
	    cmd_expunge_all(s, &removed, &why);
	return e == E_OK ? told(removed, o) : outcome_err(o, e, &why);
}

/* In a read-only mailbox nothing is marked. No answer can carry a failure
 * any more, so the log does. */
void
cmd_expunge_marked(struct session *s)
{
	struct why why = { .text = "" };
	uint32_t i, n = 0, count, *uids;

	if (s->mbox == NULL)
		return;
	uids = pool_array(s->pool, s->view.n, sizeof(*uids));
	for (i = 0; i < s->view.n; i++)
		if (s->view.at[i].marked)
			uids[n++] = s->view.at[i].uid;
	if (n > 0 && mbox_expunge(s->mbox, uids, n, false, &count,
	    &why) != E_OK)
		log_warn("LOGOUT: messages marked as deleted stay: %s",
		    why.text);
}
