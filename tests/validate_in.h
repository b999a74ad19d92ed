/*
 * validate_in.h - what the validator's own files share. A function named
 * after a rule of the grammar (v_ before it where it is shared) reads that
 * rule at v->p and steps over it. On a breach it notes the first one and
 * returns false; callers return false at once, nothing is tried twice.
 */
#ifndef VALIDATE_IN_H
#define VALIDATE_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "validate.h"

struct slice {
	const char *p;		/* NULL: NIL */
	size_t n;
};

struct message;
struct command_rule;

/* What the stream has told so far, kept by validate_state.c. */
struct state {
	unsigned seen;		/* SEEN_ bits since the last tagged line */
	uint32_t exists;
	/* Numbers to be compared with EXISTS at the tagged line. */
	uint32_t recent, unseen;
	const char *recent_at, *unseen_at;
	struct slice flags;	/* what FLAGS said, with parentheses */
	bool bye;		/* only one tagged line may follow */
	bool closed;		/* and nothing after it */
	/*
	 * Wrong unless the command turns out to be a SELECT: told at the
	 * tagged line.
	 */
	bool doubted;
	struct violation doubt;
	/* A deque: message number i is messages[first + i - 1]. */
	struct message *messages;
	size_t first, n, room;
	/* The command in progress, when the client's commands are known. */
	const char *next_command;
	struct slice tag;
	const struct command_rule *command;
};

struct validator {
	const char *start, *p, *end;
	const struct validate_options *options;
	struct violation *found;
	unsigned depth;		/* of nested bodies or threads */
	struct state state;
};

enum {
	/*
	 * Deeper nesting is refused here so that a hostile stream cannot
	 * take the stack. Far above what the server may send (MIME 100).
	 */
	DEPTH_MAX = 4000,
};

/* Responses and codes, as bits of state.seen. */
enum {
	SEEN_CAPABILITY = 1 << 0,
	SEEN_FLAGS = 1 << 1,
	SEEN_EXISTS = 1 << 2,
	SEEN_RECENT = 1 << 3,
	SEEN_STATUS = 1 << 4,
	SEEN_SEARCH = 1 << 5,	/* or ESEARCH */
	SEEN_SORT = 1 << 6,
	SEEN_THREAD = 1 << 7,
	SEEN_NAMESPACE = 1 << 8,
	SEEN_ID = 1 << 9,
	SEEN_BYE = 1 << 10,
	SEEN_EXPUNGE = 1 << 11,	/* or VANISHED */
	SEEN_UNSEEN = 1 << 12,	/* the code */
	SEEN_READ_ONLY = 1 << 13,	/* the code */
};

/* What one FETCH response told; UINT64_MAX: nothing. */
struct fetched {
	uint64_t uid;
	uint64_t size;		/* RFC822.SIZE */
	uint64_t whole, header, text;	/* octets of BODY[], [HEADER], [TEXT] */
};

/* Which flags a list may hold besides `flag`. */
enum flag_kind {
	FLAG_PLAIN,
	FLAG_FETCH,		/* "\Recent" */
	FLAG_PERM,		/* "\*" */
};

/* Classes of bytes, RFC 3501 section 9. */
enum {
	C_ATOM = 1 << 0,	/* ATOM-CHAR */
	C_ASTRING = 1 << 1,	/* ASTRING-CHAR */
	C_TAG = 1 << 2,		/* ASTRING-CHAR except "+" */
	C_TEXT = 1 << 3,	/* TEXT-CHAR */
	C_QUOTED = 1 << 4,	/* TEXT-CHAR except quoted-specials */
	C_DIGIT = 1 << 5,
	C_BASE64 = 1 << 6,
};

/* A name, and what follows it. */
struct row {
	const char *name;
	/* From behind the name; NULL: nothing follows. */
	bool (*read)(struct validator *v);
	unsigned seen;
};

#define ROWS(table)	(table), sizeof(table) / sizeof(*(table))

/* validate_rules.c: the ground, and rules that several others use. */
bool	v_fail(struct validator *v, const char *at, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
bool	v_class(char c, unsigned class);
bool	v_is(struct slice s, const char *name);
bool	v_next(const struct validator *v, char c);
bool	v_byte(struct validator *v, char c);
bool	v_sp(struct validator *v);
bool	v_crlf(struct validator *v);
bool	v_word(struct validator *v, const char *word);
struct slice	v_run(struct validator *v, unsigned class);
bool	v_number(struct validator *v, uint32_t *n);
bool	v_nz_number(struct validator *v, uint32_t *n);
bool	v_literal(struct validator *v, struct slice *content);
bool	v_string(struct validator *v, struct slice *content);
bool	v_nil(struct validator *v);
bool	v_nstring(struct validator *v, struct slice *content);
bool	v_astring(struct validator *v);
bool	v_text(struct validator *v);
bool	v_flags(struct validator *v, enum flag_kind kind);
bool	v_uid_set(struct validator *v, uint64_t *count);
bool	v_sp_nz_number(struct validator *v);
bool	v_date_time(struct validator *v);
const struct row	*v_row(const struct row *table, size_t n,
			    struct slice name);

/* validate_text.c */
bool	v_capability(struct validator *v, struct slice *name);
bool	v_capability_data(struct validator *v);
bool	v_resp_text(struct validator *v);
bool	v_sp_resp_text(struct validator *v);

/* validate_fetch.c */
bool	v_msg_att(struct validator *v, struct fetched *fetched);

/* validate_state.c: what the grammar cannot say. */
void	state_start(struct validator *v);
void	state_free(struct validator *v);
bool	state_exists(struct validator *v, const char *at, uint32_t n);
bool	state_recent(struct validator *v, const char *at, uint32_t n);
void	state_unseen(struct validator *v, const char *at, uint32_t n);
void	state_flags(struct validator *v, struct slice list);
bool	state_permanent(struct validator *v, struct slice list);
bool	state_expunge(struct validator *v, const char *at, uint32_t number);
bool	state_vanished(struct validator *v, const char *at, uint64_t count);
bool	state_fetch(struct validator *v, const char *at, uint32_t number,
	    const struct fetched *fetched);
bool	state_found(struct validator *v, const char *at, uint32_t number);
bool	state_correlator(struct validator *v, const char *at,
	    struct slice tag);
bool	state_authenticating(const struct validator *v);
bool	state_untagged(struct validator *v);
bool	state_continue(struct validator *v);
bool	state_tagged(struct validator *v, struct slice tag, bool ok);
bool	state_end(struct validator *v);

#endif
