/*
 * parse.h - the IMAP grammar over io, byte-accurate and blocking: one
 * function per rule of RFC 3501 section 9. Strings have lengths and live in
 * the parser's pool. Nothing here touches a mailbox.
 *
 * Every function returns 0, or -1 after it has noted the fault in the
 * parser; the caller just returns RES_BAD and command.c does the rest.
 */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/date.h"
#include "lib/flags.h"
#include "lib/io.h"
#include "lib/mem.h"
#include "lib/set.h"
#include "lib/str.h"

enum parse_fault {
	PARSE_FINE,
	PARSE_SYNTAX,		/* tagged BAD */
	PARSE_TOO_BIG,		/* tagged BAD too; code says what it was */
	PARSE_FATAL,		/* can not go on: BYE */
	PARSE_ENDED,		/* end of input, deadline, signal (io->ended) */
};

struct parser {
	struct io *io;
	struct pool *pool;
	uint32_t literal_max;	/* one literal */
	uint32_t literals_left;	/* all that this command may still hold */
	uint32_t line_left;	/* bytes of line that may still come */
	uint32_t drain_left;	/* bytes that may still be thrown away */
	unsigned depth;		/* parentheses open now */
	bool at_end;		/* the line end has been taken */
	bool refused;		/* in place of a "+": the rest never came */
	enum parse_fault fault;
	const char *why;	/* our words, for the BAD or BYE */
	const char *code;	/* "TOOBIG", "LIMIT" or NULL, likewise */

	/* Private: whether the bytes taken last announce a literal. */
	unsigned announce;
	uint64_t announced;	/* its size so far, at most UINT64_MAX */
};

void	parse_begin(struct parser *p, struct io *io, struct pool *pool,
	    uint32_t literal_max);
/* Notes a fault in words ("Missing argument") and returns -1. */
int	parse_bad(struct parser *p, const char *why);
/* The same for what is legal but more than we take: BAD [LIMIT]. */
int	parse_limit(struct parser *p, const char *why);

/* The next byte of the line without taking it; '\n' at a line end (LF or
 * CRLF), -1 on any fault. */
int	parse_peek(struct parser *p);

int	parse_tag(struct parser *p, struct str *tag);
int	parse_space(struct parser *p);
int	parse_char(struct parser *p, char c);
/* True, and c is taken, when c is next. */
bool	parse_if(struct parser *p, char c);
/* CRLF or LF; anything else is "Argument given when none expected". */
int	parse_end(struct parser *p);

int	parse_atom(struct parser *p, struct str *out);
/* A run of letters, digits, "." and "-": command and item names. */
int	parse_word(struct parser *p, struct str *out);
int	parse_string(struct parser *p, struct str *out);
int	parse_astring(struct parser *p, struct str *out);
/* out->p == NULL for NIL. */
int	parse_nstring(struct parser *p, struct str *out);
int	parse_number(struct parser *p, uint32_t *out);
int	parse_nz_number(struct parser *p, uint32_t *out);
int	parse_set(struct parser *p, struct set *out);
/* Quoted or bare date of SEARCH; days since 1970. */
int	parse_date(struct parser *p, int64_t *day);
/* astring, not empty, NAME_MAX_BYTES at most; INBOX in any case becomes
 * "INBOX". */
int	parse_mailbox(struct parser *p, struct str *out);
/* list-mailbox: an atom that may hold "%" "*" "]", or a string. */
int	parse_list_mailbox(struct parser *p, struct str *out);

/* After parse_end: the command goes on with another line (IDLE's DONE). */
void	parse_again(struct parser *p);
/*
 * The next line of a SASL exchange (RFC 3501 6.2.2), for which `challenge`,
 * in base64 as it is, is sent now; the line before it has been taken to its
 * end. What comes back is not looked at, but has at most SASL_LINE_BYTES.
 */
int	parse_sasl(struct parser *p, struct str challenge, struct str *out);

/* Quoted date-time of APPEND. */
int	parse_date_time(struct parser *p, struct date *out);

/*
 * Flags with a space between them, in parentheses or without. \Recent is
 * BAD: RFC 3501 2.3.2 has it "can not be used as an argument in a STORE or
 * APPEND command"; other system flags that nobody knows are ignored (7.1).
 */
struct flag_list {
	unsigned flags;		/* of FLAGS_SYSTEM */
	struct keywords names;
	bool over;		/* more or longer keywords than we have */
};
int	parse_flags(struct parser *p, struct flag_list *out);

/*
 * A literal that is taken piece by piece, of any size: its head, with the
 * line end behind it, then its bytes, for which a synchronising one still
 * waits.
 */
struct literal {
	uint64_t left;		/* bytes that are to come */
	bool waits;		/* the client waits for a "+" */
	bool binary;		/* a literal8: it may hold any octet */
};
/* literal / literal8 (RFC 3516) */
int	parse_literal(struct parser *p, struct literal *out);
/* Its next *n bytes, at most `room`; 0 at its end. May hold NUL. */
int	parse_literal_read(struct parser *p, struct literal *l, char *to,
	    size_t room, size_t *n);
/*
 * Or nobody wants it. The tagged answer that is now due comes instead of
 * the "+" and ends the command (p->at_end, p->refused); what is on its way
 * already is read and forgotten, or is too much for that (PARSE_FATAL).
 */
int	parse_literal_refuse(struct parser *p, struct literal *l);

/* "(" and ")", counted against NEST_MAX. */
int	parse_open(struct parser *p);
int	parse_close(struct parser *p);

/*
 * After a fault: swallows the rest of the line and every non-synchronising
 * literal announced in it, so that the next byte begins a command. -1 when
 * that can not be done (p->fault then says PARSE_FATAL or PARSE_ENDED).
 */
int	parse_resync(struct parser *p);

#endif
