/*
 * session.h - the session struct: what one connection knows. Only floors 5
 * and 6 look inside; the lower ones pass it through.
 */
#ifndef SESSION_H
#define SESSION_H

#include "command.h"
#include "folder.h"
#include "mbox.h"
#include "reply.h"
#include "view.h"
#include "lib/io.h"
#include "lib/mem.h"

struct options {
	const char *inbox;	/* template: %u user, ~ home; NULL default */
	const char *mail_dir;
	int idle_timeout;	/* seconds, 0: never */
};

struct session {
	struct io io;
	struct reply reply;
	struct pool *pool;	/* one command's memory */
	enum state state;
	const struct options *options;
	const char *user;	/* NULL before login */
	const char *host;	/* our name, for greeting and goodbye */
	const char *peer;	/* the client in log lines: [192.0.2.7] */
	struct folders folders;	/* after login */
	char own_dir[PATH_MAX + 8];	/* ~/.imapd, made when it is needed */
	/* The selected mailbox, when state is STATE_SELECTED. */
	struct mbox *mbox;
	struct view view;
	unsigned bad;		/* bad commands in a row */
};

/* Greets, serves until LOGOUT or the end of input, and returns the exit
 * status: 0 after LOGOUT, else 1. */
int	session_run(struct session *s);

/* Writes "IMAP4rev1 ..." for this state, without "CAPABILITY " before. */
void	cmd_any_capabilities(struct session *s);
/* Leaves the selected mailbox, if any. */
void	cmd_folder_leave(struct session *s);

#define COMMAND(name)							\
	enum result name(struct session *, struct parser *,		\
	    struct outcome *, bool)

/* cmd_any.c */
COMMAND(cmd_capability);
COMMAND(cmd_noop);
COMMAND(cmd_logout);
COMMAND(cmd_id);
COMMAND(cmd_namespace);
/* cmd_folder.c */
COMMAND(cmd_select);
COMMAND(cmd_status);
COMMAND(cmd_close);
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

#endif
