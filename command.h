/*
 * command.h - the command table's row, finding a row, running it, and the
 * one place that turns what a handler returns into a tagged line.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "parse.h"
#include "reply.h"
#include "lib/err.h"
#include "lib/str.h"

struct session;

enum result {
	RES_OK,
	RES_NO,
	RES_BAD,		/* the parser has noted why, or outcome has */
	RES_BYE,		/* the session ends, tagged OK after BYE */
	RES_LOGIN,		/* whose it becomes says the tagged line */
};

/* What a handler has to say besides its result. */
struct outcome {
	const char *code;	/* response code text without brackets */
	char text[200];		/* "" means the result's usual words */
};

/* Fills outcome and returns result. */
enum result	outcome_set(struct outcome *o, enum result result,
		    const char *code, const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));
/* A storage failure in IMAP words: RES_NO with the RFC 5530 code for e. */
enum result	outcome_err(struct outcome *o, enum err e,
		    const struct why *why);

enum state {
	STATE_NOT_AUTH = 1,
	STATE_AUTH = 2,
	STATE_SELECTED = 4,
	STATE_ANY = 7,
};

enum {
	/* RFC 3501 7.4.1: no EXPUNGE "while responding to a FETCH, STORE,
	 * or SEARCH command"; the UID forms may. */
	CMD_NOEXPUNGE = 1,
	CMD_UID = 2,		/* has a UID form */
	CMD_LATER = 4,		/* known, not built yet: NO */
};

struct command {
	const char *name;
	enum result (*run)(struct session *s, struct parser *p,
	    struct outcome *o, bool uid);
	unsigned states;
	unsigned flags;
};

/* The row of that name (any case), or NULL. */
const struct command	*command_find(const struct command *table, size_t n,
			    struct str name);

/*
 * The tagged line: outcome's words, for RES_BAD else the parser's, else the
 * usual ones ("NOOP completed"). An empty tag gives "*". name may be NULL
 * when o->text is set or the result is RES_BAD; p may be NULL.
 */
void	command_tagged(struct reply *r, struct str tag, const char *name,
	    bool uid, enum result result, const struct outcome *o,
	    const struct parser *p);

#endif
