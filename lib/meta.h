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
#include <stdint.h>

#include "hash.h"
#include "str.h"

enum meta_field {
	META_NONE,
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

struct meta {
	uint64_t bytes;		/* header so far, with its empty line */
	uint64_t bare;		/* LFs in it that no CR precedes */
	uint64_t hidden;	/* bytes of hidden fields */
	uint64_t hidden_bare;
	bool ended;		/* the empty line has been seen */

	/* From the last run of metadata fields, which alone is read. */
	unsigned flags;		/* FLAG_ bits of Status and X-Status */
	uint32_t uid;		/* 0: none, or no number */
	bool uid_bad;		/* an X-UID that is no 32-bit number */
	bool has_status;
	/* X-IMAPbase or X-IMAP of that run. */
	enum meta_field base;	/* META_NONE when there is none */
	bool base_shaped;	/* stands as UW, Dovecot or we write it */
	uint32_t uidvalidity;
	uint32_t uidlast;
	/* Values with folding undone: keyword lists, space-separated. */
	uint16_t keywords_n;
	uint16_t base_keywords_n;
	char keywords[META_VALUE_MAX];
	char base_keywords[META_VALUE_MAX];
	/* Subject of the pseudo message seen (mbox.md 2.1). */
	bool pseudo_subject;

	/* Private. */
	struct hash hash;
	enum meta_field field;	/* of the line last begun */
	bool hashing;
	bool visible_after;	/* a visible field followed the run */
	unsigned seen_hash;
	unsigned order;
	unsigned count[META_FIELDS];
	bool cr;
	size_t value_n;
	char value[META_VALUE_MAX];
};

/* Begins a header; from_line without EOL opens the stable hash. */
void	meta_begin(struct meta *m, const struct hash_key *key,
	    struct str from_line);
/*
 * One line with its EOL. A line longer than the caller can hold comes as a
 * first piece of at least 1 KiB, then meta_more for the rest. Returns true
 * when the line was the empty one that ends the header.
 */
bool	meta_line(struct meta *m, struct str line);
void	meta_more(struct meta *m, struct str piece);
/* No more lines: settles the last field; returns the stable hash. */
uint64_t	meta_end(struct meta *m);

/* Which metadata field the header line begins, or META_NONE. */
enum meta_field	meta_which(struct str line);

#endif
