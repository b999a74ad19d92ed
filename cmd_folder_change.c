/*
 * cmd_folder_change.c - CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE.
 * What they do is folder.h's; here is what a client may ask for while it
 * has a mailbox selected, and the response codes. The selected mailbox is
 * neither deleted nor renamed, as with UW: its messages have numbers that
 * the client goes on to use.
 */
#include "session.h"

#include <string.h>

#include "lib/log.h"
#include "lib/path.h"

/* ALREADYEXISTS is RFC 5530's, HASCHILDREN RFC 9051's (7.1). */
static enum result
answer(struct outcome *o, int e, const struct why *why)
{
	switch (e) {
	case E_OK:
		return RES_OK;
	case FOLDER_EXISTS:
		return outcome_set(o, RES_NO, "ALREADYEXISTS", "%s",
		    why->text);
	case FOLDER_CHILDREN:
		return outcome_set(o, RES_NO, "HASCHILDREN", "%s",
		    why->text);
	default:
		return outcome_err(o, (enum err)e, why);
	}
}

static int
one_mailbox(struct parser *p, struct str *name)
{
	if (parse_space(p) != 0 || parse_mailbox(p, name) != 0)
		return -1;
	return parse_end(p);
}

/*
 * Does the name lead to the selected mailbox, or to a directory of it? INBOX
 * is left to the others: they have more to say about it.
 */
static bool
is_selected(const struct session *s, struct str name)
{
	struct folder folder;
	struct str path;
	enum err e;

	if (s->mbox == NULL)
		return false;
	e = folder_path(&s->folders, name, &folder, NULL);
	path = str_c(s->mbox->path);
	if (e == E_OK)
		return !folder.inbox && str_eq(str_c(folder.path), path);
	return e == E_NOTMBOX && path_within(str_c(folder.path), path);
}

static enum result
in_use(struct outcome *o)
{
	return outcome_set(o, RES_NO, "INUSE", "The mailbox is selected");
}

/* The one that was last written to may be what now loses its name. */
static void
forget_other(struct session *s)
{
	mbox_close(s->other);
	s->other = NULL;
}

enum result
cmd_create(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct str name;

	(void)uid;
	if (one_mailbox(p, &name) != 0)
		return RES_BAD;
	return answer(o, folder_create(&s->folders, name, s->host, &why),
	    &why);
}

enum result
cmd_delete(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct str name;

	(void)uid;
	if (one_mailbox(p, &name) != 0)
		return RES_BAD;
	if (is_selected(s, name))
		return in_use(o);
	forget_other(s);
	return answer(o, folder_delete(&s->folders, name,
	    s->options->dotlock, &why), &why);
}

static bool
has_mail(struct session *s, struct str name)
{
	struct mbox *mbox = NULL;
	struct folder folder;
	bool empty;

	empty = folder_path(&s->folders, name, &folder, NULL) == E_OK &&
	    mbox_open(&mbox, folder.path, false, NULL, NULL) == E_OK &&
	    mbox->n == 0;
	mbox_close(mbox);
	return !empty;
}

/*
 * RFC 3501 6.3.5, of renaming INBOX: "It moves all messages in INBOX to a
 * new mailbox with the given name, leaving INBOX empty." If they do not get
 * there the new mailbox goes again. One that has them stays, whatever went
 * wrong behind it: better twice than not at all.
 */
static enum result
move_inbox(struct session *s, struct str to, struct outcome *o)
{
	struct why why = { .text = "" };
	enum result result;
	int e;

	e = folder_create(&s->folders, to, s->host, &why);
	if (e != E_OK)
		return answer(o, e, &why);
	result = cmd_copy_inbox(s, to, o);
	forget_other(s);
	if (result != RES_OK && !has_mail(s, to) &&
	    folder_delete(&s->folders, to, s->options->dotlock, &why) != E_OK)
		log_warn("a new mailbox is left empty: %s", why.text);
	return result;
}

enum result
cmd_rename(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct str from, to;
	int e;

	(void)uid;
	if (parse_space(p) != 0 || parse_mailbox(p, &from) != 0 ||
	    one_mailbox(p, &to) != 0)
		return RES_BAD;
	if (is_selected(s, from))
		return in_use(o);
	forget_other(s);
	e = folder_rename(&s->folders, from, to, s->options->dotlock, &why);
	return e == FOLDER_INBOX ? move_inbox(s, to, o) : answer(o, e, &why);
}

enum result
cmd_subscribe(struct session *s, struct parser *p, struct outcome *o,
    bool uid)
{
	struct why why = { .text = "" };
	struct str name;

	(void)uid;
	if (one_mailbox(p, &name) != 0)
		return RES_BAD;
	return answer(o, folder_subscribe(&s->folders, name, &why), &why);
}

enum result
cmd_unsubscribe(struct session *s, struct parser *p, struct outcome *o,
    bool uid)
{
	struct why why = { .text = "" };
	struct str name;

	(void)uid;
	if (one_mailbox(p, &name) != 0)
		return RES_BAD;
	return answer(o, folder_unsubscribe(&s->folders, name, &why), &why);
}
