/*
 * session.h - the session struct: what one connection knows. Only floors 5
 * and 6 look inside; the lower ones pass it through.
 */
#ifndef SESSION_H
#define SESSION_H

#include "ask.h"
#include "command.h"
#include "folder.h"
#include "mbox_write.h"
#include "reply.h"
#include "view.h"
#include "lib/ending.h"
#include "lib/io.h"
#include "lib/mem.h"

/* --expunge-on: what removes \Deleted messages. */
enum {
	ON_EXPUNGE = 1,
	ON_CLOSE = 2,
	ON_LOGOUT = 4,		/* those that this session marked */
	ON_SELECT = 8,
	ON_CHECK = 16,
};

struct options {
	const char *inbox;	/* template: %u user, ~ home; NULL default */
	const char *mail_dir;
	int idle_timeout;	/* seconds, 0: never */
	int login_timeout;	/* seconds until somebody is logged in */
	enum lock_dotlock dotlock;
	bool no_sync;		/* --fsync=never */
	bool flags_now;		/* --flags=now */
	unsigned expunge_on;	/* bits of ON_ */
};

struct session {
	struct io io;
	struct reply reply;
	struct pool *pool;	/* one command's memory */
	enum state state;
	const struct options *options;
	struct ask ask;		/* who knows about passwords */
	bool plaintext;		/* passwords may be sent on this connection */
	struct tls_keys *tls;	/* for STARTTLS, or NULL */
	bool tls_on;
	bool shake_hands;	/* behind the tagged line of STARTTLS */
	bool injected;		/* something stood behind STARTTLS */
	struct str tag;		/* of the command that is served */
	struct identity who;	/* filled by a login */
	const char *mechanism;	/* of AUTHENTICATE; NULL: by LOGIN */
	const char *user;	/* NULL before login */
	const char *host;	/* our name, for greeting and goodbye */
	const char *peer;	/* the client in log lines: [192.0.2.7] */
	struct folders folders;	/* after login */
	char own_dir[PATH_MAX + 8];	/* ~/.imapd, made when it is needed */
	struct mbox_writer writer;	/* after login */
	/* The selected mailbox, when state is STATE_SELECTED. */
	struct mbox *mbox;
	struct view view;
	bool read_only;		/* by EXAMINE, or the file can not be written */
	/* Another one that was written to or looked at last: a client that
	 * appends a thousand messages has it read once. Or NULL. */
	struct mbox *other;
	unsigned bad;		/* bad commands in a row */
	/* BYE in these words follows the tagged line. */
	const char *goodbye;
};

/*
 * Greets, and serves until the connection is over, which the caller writes to
 * the log (ending.h); or, when it began with nobody logged in, until
 * ENDING_LOGIN: then the monitor has said yes, and s->io holds what the
 * client has sent behind that command.
 */
enum ending	session_run(struct session *s);
/* After a login, by the command `name` with that tag: becomes s->who, answers
 * the command and goes on as session_run. */
enum ending	session_resume(struct session *s, struct str tag,
		    const char *name);
/*
 * From now on it is the session of `user`: finds the mailboxes and how they
 * are written, and enters the authenticated state. INBOX is what --inbox
 * says, else `mail`, else (NULL) the user's file in the spool. The strings
 * must live as long as the session.
 */
enum err	session_open(struct session *s, const char *user,
		    const char *home, const char *mail, struct why *why);
/* Gives up, for good, all files but those of this user's mail, and what else
 * a session has no use for (sandbox.h). */
void	session_close_in(const struct session *s);
/* After a login: becomes s->who, for good, and opens that session. On RES_NO
 * the session ends with the answer: there is no way back. */
enum result	session_become(struct session *s, struct outcome *o);

/*
 * Looks whether the selected mailbox has changed and tells the client what it
 * may be told: EXPUNGE too when `expunge`, flags with their UIDs when `uid`.
 * The second, for when the client waits for nothing, looks more closely, and
 * returns false when it could not look.
 */
void	session_tell(struct session *s, bool expunge, bool uid);
bool	session_tell_idle(struct session *s);

/* Writes into the selected mailbox's file what it is yet to get, because the
 * client is quiet. A failure is only logged: it will be tried again. */
void	session_flush(struct session *s);

/* "CAPABILITY IMAP4rev1 ..." for this state, in the command's pool. */
const char	*cmd_any_capabilities(struct session *s);
/* After the tagged line of STARTTLS: ENDING_NONE, and what comes from now on
 * comes through TLS. Otherwise nothing can be said any more. */
enum ending	cmd_tls_begin(struct session *s);
/* Leaves the selected mailbox, if any, and closes s->other. */
void	cmd_folder_leave(struct session *s);
/*
 * The mailbox of that name as it now is, to be written to or looked at: the
 * selected one, or s->other, which is it from now on. E_NOENT where a client
 * should be told [TRYCREATE]. Never free it. It can not be written to unless
 * it is `writable`.
 */
enum err	cmd_folder_other(struct session *s, struct str name,
		    struct mbox **out, struct why *why);
/*
 * For RENAME INBOX: moves all mail of INBOX into the mailbox `to`, which was
 * just made. On RES_NO what has come there may still be in INBOX as well.
 */
enum result	cmd_copy_inbox(struct session *s, struct str to,
		    struct outcome *o);
/* Removes what is \Deleted in the selected mailbox, whoever marked it. */
enum err	cmd_expunge_all(struct session *s, uint32_t *removed,
		    struct why *why);
/* LOGOUT: removes the messages that this session marked \Deleted and that
 * still are. A failure is only logged. */
void	cmd_expunge_marked(struct session *s);
/* Makes a resolved set of the client's numbers. BAD for a sequence number
 * that does not exist, while a uid that does not is no error. */
enum result	cmd_message_resolve(const struct session *s,
		    struct set *set, bool uid, struct outcome *o);
/* The uids, rising, of the messages that a resolved set names; those that
 * are known to be gone are left out. In the command's pool. */
uint32_t	*cmd_message_uids(const struct session *s,
		    const struct set *set, bool uid, uint32_t *n);
/* NO to who would change a mailbox that is selected read-only. */
enum result	cmd_message_read_only(struct outcome *o);

#define COMMAND(name)							\
	enum result name(struct session *, struct parser *,		\
	    struct outcome *, bool)

/* cmd_any.c */
COMMAND(cmd_capability);
COMMAND(cmd_noop);
COMMAND(cmd_logout);
COMMAND(cmd_id);
COMMAND(cmd_namespace);
/* cmd_idle.c */
COMMAND(cmd_idle);
/* cmd_login.c */
COMMAND(cmd_login);
/* cmd_tls.c */
COMMAND(cmd_starttls);
COMMAND(cmd_authenticate);
/* cmd_folder.c */
COMMAND(cmd_select);
COMMAND(cmd_examine);
COMMAND(cmd_status);
COMMAND(cmd_close);
COMMAND(cmd_unselect);
COMMAND(cmd_check);
COMMAND(cmd_list);
COMMAND(cmd_lsub);
/* cmd_folder_change.c */
COMMAND(cmd_create);
COMMAND(cmd_delete);
COMMAND(cmd_rename);
COMMAND(cmd_subscribe);
COMMAND(cmd_unsubscribe);
/* cmd_message.c */
COMMAND(cmd_fetch);
COMMAND(cmd_search);
COMMAND(cmd_sort);
COMMAND(cmd_thread);
COMMAND(cmd_store);
/* cmd_expunge.c */
COMMAND(cmd_expunge);
/* cmd_copy.c */
COMMAND(cmd_copy);
COMMAND(cmd_move);
/* cmd_append.c */
COMMAND(cmd_append);

#endif
