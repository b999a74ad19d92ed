/*
 * meta.h - the metadata fields that mail programs keep inside a message's
 * header in an mbox: Status, X-Status, X-Keywords, X-UID, X-IMAP,
 * X-IMAPbase, Content-Length, X-IMAPd-Quoted. This list is frozen: every
 * occurrence in any case is hidden from clients for ever, so that stamping
 * never changes what a client sees (mbox.md 2.3).
 *
 * A header is fed line by line, so a line of any length needs no memory.
 */
#ifndef META_H
#define META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "str.h"

enum meta_field {
	META_NONE,		/* a field that clients see */
	META_STATUS,
	META_XSTATUS,
	META_XKEYWORDS,
	META_XUID,
	META_XIMAP,
	META_XIMAPBASE,
	META_CONTENT_LENGTH,
	META_QUOTED,
	META_FIELDS
};

/* Longest value of a metadata field that is read; more is hidden, unread. */
enum { META_VALUE_MAX = 4096 };
/* What of a long line must be in its first piece. */
enum { META_PIECE_MIN = 1024 };

struct meta {
	uint64_t bytes;		/* header so far, with its empty line */
	uint64_t bare;		/* LFs in it that no CR precedes */
	uint64_t hidden;	/* bytes of hidden fields */
	uint64_t hidden_bare;
	bool ended;		/* the empty line has been seen */
	bool pseudo_subject;	/* Subject is that of a pseudo message */

	/* What follows comes from the last run of metadata fields alone. */
	unsigned flags;		/* FLAG_ bits of Status and X-Status */
	uint32_t uid;		/* 0: no X-UID that is one 32-bit number */
	/*
	 * X-IMAPbase or X-IMAP (META_NONE: neither), and whether it stands
	 * as we, UW and Dovecot write it: once in the header, spelled so,
	 * before any X-UID in a run that ends the header, both numbers below
	 * 2^31 and not 0 (uidlast may be).
	 */
	enum meta_field base;
	bool base_shaped;
	uint32_t uidvalidity;
	uint32_t uidlast;
	/*
	 * X-IMAPd-Quoted: rd, where lib/stamp.c puts it: once, between
	 * X-Keywords and X-UID. One that a sender wrote never gets there
	 * when a program stamps his mail.
	 */
	bool quoted;

	/* Private: the field being read, and what was seen before it. */
	enum meta_field field;
	enum meta_field before;	/* of the same run, or META_NONE */
	bool mark;		/* X-IMAPd-Quoted, but for what follows it */
	bool hashing;
	bool visible_after;
	bool cr;
	bool base_spelled;
	bool base_first;
	unsigned hashed;
	unsigned count[META_FIELDS];
	unsigned base_count;
	struct hash hash;
	size_t keywords_n;
	size_t base_n;
	size_t value_n;
	char keywords[META_VALUE_MAX];
	char base_words[META_VALUE_MAX];
	char value[META_VALUE_MAX];
};

/* Begins a header; the From_ line, without its EOL, opens the hash. */
void	meta_begin(struct meta *m, const struct hash_key *key,
	    struct str from_line);
/*
 * One line with its EOL. A line longer than the caller can hold comes as a
 * first piece of META_PIECE_MIN at least, then meta_more for the rest. True
 * when the line was the empty one that ends the header.
 */
bool	meta_line(struct meta *m, struct str line);
void	meta_more(struct meta *m, struct str piece);
/* No more lines: settles the last field; returns the stable hash. */
uint64_t	meta_end(struct meta *m);

/* Words, SP-separated, of X-Keywords and behind the numbers of the base
 * field; borrowed from *m. */
struct str	meta_keywords(const struct meta *m);
struct str	meta_base_keywords(const struct meta *m);

/* Which metadata field a header line begins, or META_NONE. */
enum meta_field	meta_which(struct str line);
/* Does it begin mutt's Lines, which clients see, but which may stand among
 * the metadata fields? */
bool	meta_transparent(struct str line);

/* Subject and first words of the body of a pseudo message (mbox.md 2.1). */
extern const struct str meta_pseudo_subject;
extern const struct str meta_pseudo_body;

#endif
