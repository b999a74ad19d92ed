/*
 * cmd_folder_change.c - CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE.
 * What they do is folder.h's; here is what a client may ask for while it
 * has a mailbox selected, and the response codes. The selected mailbox is
 * neither deleted nor renamed, as with UW: its messages have numbers that
 * the client goes on to use.
 */
#include "session.h"

#include <string.h>

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
	case FOLDER_INBOX:
		return outcome_set(o, RES_NO, "CANNOT", "%s", why->text);
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
	return answer(o, folder_delete(&s->folders, name, DOTLOCK_TRY, &why),
	    &why);
}

enum result
cmd_rename(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct why why = { .text = "" };
	struct str from, to;

	(void)uid;
	if (parse_space(p) != 0 || parse_mailbox(p, &from) != 0 ||
	    one_mailbox(p, &to) != 0)
		return RES_BAD;
	if (is_selected(s, from))
		return in_use(o);
	return answer(o, folder_rename(&s->folders, from, to, DOTLOCK_TRY,
	    &why), &why);
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
