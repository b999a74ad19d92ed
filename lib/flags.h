/*
 * flags.h - system flags and keywords: their IMAP names, and their letters
 * in the Status and X-Status fields of an mbox.
 */
#ifndef FLAGS_H
#define FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "params.h"
#include "str.h"

enum {
	FLAG_ANSWERED = 1 << 0,
	FLAG_FLAGGED = 1 << 1,
	FLAG_DELETED = 1 << 2,
	FLAG_DRAFT = 1 << 3,
	FLAG_SEEN = 1 << 4,
	FLAGS_SYSTEM = (1 << 5) - 1,	/* all that a client may set */
	FLAG_OLD = 1 << 5,		/* "O": some session has seen it */
	FLAG_RECENT = 1 << 6,		/* \Recent, of this session only */
};

/* The bit of a system flag "\Seen" etc. in any case, \Recent included; 0
 * when it is no such flag. */
unsigned	flag_find(struct str name);
/* "\Seen" and so on for one bit. */
struct str	flag_name(unsigned bit);

/* Bits of the letters R O D F A T of a Status or X-Status value. Unknown
 * letters are ignored. mbox.md 2.1. */
unsigned	status_read(struct str value);

/* Keywords of one mailbox; a message holds bit i for name[i]. */
struct keywords {
	unsigned n;
	uint8_t len[KEYWORDS_MAX];
	char name[KEYWORDS_MAX][KEYWORD_MAX_BYTES];
};

/* True when s may be a flag-keyword: a legal atom (RFC 3501 section 9)
 * of 1 to KEYWORD_MAX_BYTES bytes. */
bool	keyword_valid(struct str s);
/* Index of s (ASCII case-insensitive) or -1. */
int	keyword_find(const struct keywords *k, struct str s);
/* Adds s when valid and there is room; its index, or -1. */
int	keyword_add(struct keywords *k, struct str s);
struct str	keyword_name(const struct keywords *k, unsigned i);

#endif
