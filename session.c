/*
 * session.c - one connection from greeting to goodbye: read a command, check
 * that it is legal now, run it, tell what has changed in the mailbox, send
 * the tagged line. The table of commands is here; what they do is not. No
 * lock is held, and no mailbox file is touched, between two commands.
 */
#include "session.h"

#include "lock.h"
#include "lib/await.h"
#include "lib/log.h"
#include "lib/params.h"

enum {
	/* command-auth of RFC 3501 section 9. */
	STATES_AUTH = STATE_AUTH | STATE_SELECTED,
};

/*
 * RFC 3501 7.4.1 is in the flags: "An EXPUNGE response MUST NOT be sent
 * [...] while responding to a FETCH, STORE, or SEARCH command." RFC 5256
 * section 3 says the same of SORT and THREAD.
 */
static const struct command commands[] = {
	{ "CAPABILITY", cmd_capability, STATE_ANY, 0 },
	{ "NOOP", cmd_noop, STATE_ANY, 0 },
	{ "LOGOUT", cmd_logout, STATE_ANY, 0 },
	{ "ID", cmd_id, STATE_ANY, 0 },
	{ "FETCH", cmd_fetch, STATE_SELECTED, CMD_UID | CMD_NOEXPUNGE },
	{ "SEARCH", cmd_search, STATE_SELECTED, CMD_UID | CMD_NOEXPUNGE },
	{ "SORT", cmd_sort, STATE_SELECTED, CMD_UID | CMD_NOEXPUNGE },
	{ "THREAD", cmd_thread, STATE_SELECTED, CMD_UID | CMD_NOEXPUNGE },
	{ "SELECT", cmd_select, STATES_AUTH, 0 },
	{ "EXAMINE", cmd_examine, STATES_AUTH, 0 },
	{ "STATUS", cmd_status, STATES_AUTH, 0 },
	{ "CREATE", cmd_create, STATES_AUTH, 0 },
	{ "DELETE", cmd_delete, STATES_AUTH, 0 },
	{ "RENAME", cmd_rename, STATES_AUTH, 0 },
	{ "SUBSCRIBE", cmd_subscribe, STATES_AUTH, 0 },
	{ "UNSUBSCRIBE", cmd_unsubscribe, STATES_AUTH, 0 },
	{ "LIST", cmd_list, STATES_AUTH, 0 },
	{ "LSUB", cmd_lsub, STATES_AUTH, 0 },
	{ "NAMESPACE", cmd_namespace, STATES_AUTH, 0 },
	{ "CHECK", cmd_check, STATE_SELECTED, 0 },
	{ "CLOSE", cmd_close, STATE_SELECTED, 0 },
	{ "UNSELECT", cmd_unselect, STATE_SELECTED, 0 },
	{ "STORE", cmd_store, STATE_SELECTED, CMD_UID | CMD_NOEXPUNGE },
	{ "COPY", cmd_copy, STATE_SELECTED, CMD_UID },
	{ "MOVE", cmd_move, STATE_SELECTED, CMD_UID },
	{ "EXPUNGE", cmd_expunge, STATE_SELECTED, CMD_UID },

	{ "APPEND", cmd_append, STATES_AUTH, 0 },
	{ "IDLE", cmd_idle, STATES_AUTH, 0 },
	{ "LOGIN", cmd_login, STATE_NOT_AUTH, 0 },
	{ "AUTHENTICATE", cmd_authenticate, STATE_NOT_AUTH, 0 },
	{ "STARTTLS", cmd_starttls, STATE_NOT_AUTH, 0 },

	{ "ENABLE", NULL, STATES_AUTH, CMD_LATER },
};

/* One command on its way through. */
struct request {
	struct parser p;
	struct str tag;
	const struct command *row;	/* NULL until it is found */
	bool uid;
	bool whole;		/* all of it had come when it was answered */
	struct outcome o;
};

static void
say_bye(struct session *s, const char *code, const char *text)
{
	reply_raw(&s->reply, STR("* BYE "));
	if (code != NULL)
		reply_f(&s->reply, "[%s] ", code);
	reply_text(&s->reply, text);
	reply_raw(&s->reply, STR("\r\n"));
}

/* Looked at between commands too: a long pipeline never has to wait. */
static bool
stopped(const struct session *s)
{
	return s->io.stop != NULL && *s->io.stop;
}

static void
greet(struct session *s)
{
	reply_raw(&s->reply, s->state == STATE_NOT_AUTH ?
	    STR("* OK [") : STR("* PREAUTH ["));
	reply_raw(&s->reply, str_c(cmd_any_capabilities(s)));
	reply_raw(&s->reply, STR("] "));
	reply_text(&s->reply, s->host);
	reply_raw(&s->reply, STR(" IMAP4rev1 " IMAPD_NAME " " IMAPD_VERSION
	    " server ready\r\n"));
}

/* In words that help who types the commands by hand. */
static const char *
wrong_state(const struct session *s, const struct command *row)
{
	if (row->states == STATE_NOT_AUTH)
		return "Already logged in";
	return s->state == STATE_NOT_AUTH ? "Not logged in yet" :
	    "No mailbox is selected";
}

/* Reads the command's name and finds its row, if it is legal now. */
static int
find(const struct session *s, struct request *q)
{
	struct str name;

	if (parse_word(&q->p, &name) != 0)
		return -1;
	q->uid = str_ieq(name, STR("UID"));
	if (q->uid && (parse_space(&q->p) != 0 ||
	    parse_word(&q->p, &name) != 0))
		return -1;
	q->row = command_find(commands, sizeof(commands) /
	    sizeof(commands[0]), name);
	if (q->row == NULL)
		return parse_bad(&q->p, "Unknown command");
	if (q->uid && !(q->row->flags & CMD_UID))
		return parse_bad(&q->p, "Command has no UID form");
	if (!(q->row->states & s->state))
		return parse_bad(&q->p, wrong_state(s, q->row));
	return 0;
}

/*
 * The arguments of a command that is not built yet are left to
 * parse_resync: a literal that waits for "+" is so refused unsent.
 */
static enum result
run(struct session *s, struct request *q)
{
	if (parse_tag(&q->p, &q->tag) != 0 || parse_space(&q->p) != 0 ||
	    find(s, q) != 0)
		return RES_BAD;
	s->tag = q->tag;
	if (q->row->flags & CMD_LATER)
		return outcome_set(&q->o, RES_NO, NULL,
		    "%s%s is not available in this version",
		    q->uid ? "UID " : "", q->row->name);
	return q->row->run(s, &q->p, &q->o, q->uid);
}

/*
 * A mailbox that can not be read just now is a warning: RFC 3501 7.1.2, "The
 * untagged form indicates a warning; the command can still complete
 * successfully."
 */
static void
tell(struct session *s, enum err e, bool changed, const struct why *why,
    bool expunge, bool uid)
{
	if (e != E_OK) {
		log_warn("can not look for changes: %s", why->text);
		reply_raw(&s->reply, STR("* NO Can not look for changes: "));
		reply_text(&s->reply, why->text);
		reply_raw(&s->reply, STR("\r\n"));
	}
	s->view.stale |= changed;
	view_tell(&s->view, s->mbox, &s->reply, expunge, uid);
}

void
session_tell(struct session *s, bool expunge, bool uid)
{
	struct why why = { .text = "" };
	bool changed = false;
	enum err e;

	mbox_rest(s->mbox);
	e = mbox_sync(s->mbox, &changed, &why);
	tell(s, e, changed, &why, expunge, uid);
}

bool
session_tell_idle(struct session *s)
{
	struct why why = { .text = "" };
	bool changed = false;
	enum err e;

	mbox_rest(s->mbox);
	e = mbox_confirm(s->mbox, &changed, &why);
	tell(s, e, changed, &why, true, false);
	return e == E_OK;
}

void
session_flush(struct session *s)
{
	struct why why = { .text = "" };

	if (mbox_flush(s->mbox, true, &why) != E_OK)
		log_warn("flags are not in the mailbox file yet: %s",
		    why.text);
}

/* Waits for the client a while, and uses his silence. The autologout at its
 * end flushes as well. */
static void
use_silence(struct session *s)
{
	const int quiet = FLUSH_MS / 1000;
	int most = s->options->idle_timeout;

	s->io.patience = most;
	if (s->mbox == NULL || s->io.in_at < s->io.in_n)
		return;
	while (mbox_unflushed(s->mbox) && (most == 0 ||
	    s->io.patience > quiet) &&
	    io_wait(&s->io, -1, await_now() + FLUSH_MS) == IO_TIMEOUT) {
		session_flush(s);
		s->io.patience -= most == 0 ? 0 : quiet;
	}
}

/*
 * After each command, so that the numbers in the next one are those that
 * the client knows, and new mail is told with whatever it asks next. RFC
 * 3501 7.4.1: "a command is not "in progress" during the negotiation of
 * command continuation."
 */
static void
tell_changes(struct session *s, const struct request *q)
{
	session_tell(s, q->whole &&
	    (q->uid || !(q->row->flags & CMD_NOEXPUNGE)), q->uid);
}

/*
 * The rest of the line could not be read to its end, or is too much to
 * read. RFC 7888 section 4 permits "an untagged BYE response explaining the
 * reason"; a cut-off command is answered, but was not run.
 */
static enum ending
give_up(struct session *s, const struct request *q)
{
	if (q->p.fault == PARSE_FATAL) {
		say_bye(s, q->p.code, q->p.why);
		return ENDING_REFUSED;
	}
	if (s->io.ended == IO_EOF)
		command_tagged(&s->reply, q->tag, NULL, q->uid, RES_BAD, &q->o,
		    &q->p);
	return ENDING_CUT;
}

/* Who sends only nonsense speaks another protocol, or probes. */
static enum ending
count_bad(struct session *s)
{
	unsigned most = s->state == STATE_NOT_AUTH ? BAD_MAX_PREAUTH : BAD_MAX;

	if (++s->bad < most)
		return ENDING_NONE;
	say_bye(s, NULL, "Too many bad commands");
	return ENDING_REFUSED;
}

/* What the tagged line means for the session. */
static enum ending
conclude(struct session *s, enum result r)
{
	if (s->goodbye != NULL) {
		say_bye(s, NULL, s->goodbye);
		return s->injected ? ENDING_INJECTED : ENDING_REFUSED;
	}
	if (s->shake_hands)
		return cmd_tls_begin(s);
	if (r == RES_BAD)
		return count_bad(s);
	s->bad = 0;
	return r == RES_BYE ? ENDING_LOGOUT : ENDING_NONE;
}

/* All of the command has been read and what there was to do is done. */
static enum ending
answer(struct session *s, const struct request *q, enum result r)
{
	if (s->mbox != NULL && (r == RES_OK || r == RES_NO))
		tell_changes(s, q);
	if (lock_held())
		log_bug("a lock is held between commands");
	command_tagged(&s->reply, q->tag, q->row == NULL ? NULL :
	    q->row->name, q->uid, r, &q->o, &q->p);
	return conclude(s, r);
}

/*
 * Until somebody is logged in any command may hold a password, misspelt or
 * cut off as it may be; afterwards what looks like a login.
 */
static void
wipe(struct session *s)
{
	pool_wipe(s->pool);
	io_wipe(&s->io);
}

/* One command, from its first byte to its tagged line. */
static enum ending
serve(struct session *s)
{
	bool stranger = s->state == STATE_NOT_AUTH;
	struct request q = { .row = NULL };
	enum ending end;
	enum result r;

	/* Nobody reads what io_peek would send before it waits? */
	if (s->io.in_at == s->io.in_n)
		io_flush(&s->io);
	use_silence(s);
	if (s->io.gone || stopped(s) || io_peek(&s->io) < 0)
		return ENDING_CUT;
	s->io.patience = COMMAND_TIMEOUT;
	pool_reset(s->pool);
	parse_begin(&q.p, &s->io, s->pool, s->state == STATE_NOT_AUTH ?
	    LITERAL_MAX_PREAUTH : LITERAL_MAX_BYTES);
	r = run(s, &q);
	if (r == RES_LOGIN)
		return wipe(s), ENDING_LOGIN;
	q.whole = q.p.at_end && !q.p.refused;
	if (!q.whole && parse_resync(&q.p) != 0)
		end = give_up(s, &q);
	else
		end = answer(s, &q, r);
	if (stranger || (q.row != NULL && q.row->states == STATE_NOT_AUTH))
		wipe(s);
	return end;
}

/* Says goodbye to a client that did not, where it can still be said. */
static enum ending
farewell(struct session *s, enum ending end)
{
	if (end != ENDING_CUT)
		return end;
	if (stopped(s)) {
		say_bye(s, NULL, "Server shutting down");
		return ENDING_STOPPED;
	}
	if (s->io.ended == IO_TIMEOUT) {
		say_bye(s, NULL, "Autologout (idle for too long)");
		return ENDING_TIMEOUT;
	}
	return ENDING_CUT;
}

/*
 * The process must end at once (no memory): the client is told, unless that
 * would land inside a line, or a lock is held, which must not wait for a
 * client. Inside a literal it can not be told from data; then, too, the
 * closed connection says it.
 */
static void
last_words(void *arg, const char *text)
{
	struct session *s = arg;

	if (lock_held())
		return;
	if (s->io.out_n == 0 || s->io.out[s->io.out_n - 1] == '\n')
		say_bye(s, NULL, text);
	io_flush(&s->io);
}

static enum ending
serve_all(struct session *s, enum ending end)
{
	while (end == ENDING_NONE)
		end = serve(s);
	end = farewell(s, end);
	io_flush(&s->io);
	cmd_folder_leave(s);
	log_on_fatal(NULL, NULL);
	return end;
}

enum ending
session_run(struct session *s)
{
	log_on_fatal(last_words, s);
	/* Before login one deadline stands for all; no byte moves it. */
	if (s->state == STATE_NOT_AUTH)
		io_deadline(&s->io, s->options->login_timeout);
	greet(s);
	return serve_all(s, ENDING_NONE);
}

enum ending
session_resume(struct session *s, struct str tag, const char *name)
{
	struct outcome o = { .code = NULL };
	enum result r;

	log_on_fatal(last_words, s);
	r = session_become(s, &o);
	command_tagged(&s->reply, tag, name, false, r, &o, NULL);
	return serve_all(s, conclude(s, r));
}
