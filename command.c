/*
 * command.c - from a command's name to its row, and from what its handler
 * returned to the tagged line: the one place that says OK, NO or BAD. Knows
 * neither the commands nor the session.
 */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>

/* A walk: the table is short, and the rows that clients ask for most stand
 * first. */
const struct command *
command_find(const struct command *table, size_t n, struct str name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_ieq(str_c(table[i].name), name))
			return &table[i];
	return NULL;
}

/* A text that is too long is cut: it is for a human. */
enum result
outcome_set(struct outcome *o, enum result result, const char *code,
    const char *fmt, ...)
{
	va_list ap;

	o->code = code;
	va_start(ap, fmt);
	vsnprintf(o->text, sizeof(o->text), fmt, ap);
	va_end(ap);
	return result;
}

/*
 * RFC 5530 codes. E_IO is UNAVAILABLE, "Temporary failure because a
 * subsystem is down": SERVERBUG would blame the wrong one.
 */
enum result
outcome_err(struct outcome *o, enum err e, const struct why *why)
{
	static const struct {
		enum err err;
		const char *code;
		const char *text;
	} words[] = {
		{ E_NOENT, "NONEXISTENT", "No such mailbox" },
		{ E_PERM, "NOPERM", "Access denied" },
		{ E_NAME, "CANNOT", "Invalid mailbox name" },
		{ E_NOTMBOX, "CANNOT", "Not a mailbox" },
		{ E_INUSE, "INUSE", "Mailbox is locked by another program" },
		{ E_GONE, "EXPUNGEISSUED", "Message is no longer there" },
		{ E_LIMIT, "LIMIT", "Limit exceeded" },
		{ E_FULL, "OVERQUOTA", "No room on the disk" },
		{ E_CTE, "UNKNOWN-CTE", "Unknown transfer encoding" },
	};
	const char *code = "UNAVAILABLE", *text = "Internal error";
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].err != e)
			continue;
		code = words[i].code;
		text = words[i].text;
	}
	if (why != NULL && why->text[0] != '\0')
		text = why->text;
	return outcome_set(o, RES_NO, code, "%s", text);
}

static const char *
result_name(enum result result)
{
	switch (result) {
	case RES_NO:
		return "NO";
	case RES_BAD:
		return "BAD";
	default:
		return "OK";
	}
}

/* "UID FETCH completed", "UID FETCH failed". No row, no name: the command
 * was not understood. */
static void
usual_words(struct outcome *o, enum result result, const char *name,
    bool uid)
{
	if (result == RES_BAD)
		outcome_set(o, result, o->code, "Command not understood");
	else
		outcome_set(o, result, o->code, "%s%s %s", uid ? "UID " : "",
		    name, result == RES_NO ? "failed" : "completed");
}

/*
 * A tag that could not be read is answered untagged (RFC 3501 7.1.3: the
 * untagged form of BAD "indicates a protocol-level error for which the
 * associated command can not be determined").
 */
void
command_tagged(struct reply *r, struct str tag, const char *name, bool uid,
    enum result result, const struct outcome *o, const struct parser *p)
{
	struct outcome words = *o;

	if (words.text[0] == '\0' && result == RES_BAD && p != NULL &&
	    p->fault != PARSE_FINE)
		outcome_set(&words, result, p->code, "%s", p->why);
	if (words.text[0] == '\0')
		usual_words(&words, result, name, uid);
	reply_raw(r, tag.n > 0 ? tag : STR("*"));
	reply_f(r, " %s ", result_name(result));
	/* COPYUID has two sets in it, of any length. */
	if (words.code != NULL) {
		reply_raw(r, STR("["));
		reply_raw(r, str_c(words.code));
		reply_raw(r, STR("] "));
	}
	reply_text(r, words.text);
	reply_raw(r, STR("\r\n"));
}
