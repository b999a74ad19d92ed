/*
 * mbox_own.h - what mbox.c and mbox_scan.c share; nobody else includes it.
 */
#ifndef MBOX_OWN_H
#define MBOX_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "mbox.h"
#include "lib/hash.h"
#include "lib/meta.h"

enum {
	MSG_STAMPED = 1,	/* its X-UID was believed: not first sight */
	MSG_POINT = 2,		/* boundary only by a known append point */
};

/*
 * One pass over a mailbox file, or over its tail. The caller holds the read
 * lock from the fstat that gave `size` to the end of the pass.
 */
struct mbox_scan {
	/* Set by the caller. */
	int fd;
	int64_t at;		/* 0, or where the tail begins */
	int64_t size;
	int64_t mtime;
	bool inbox;
	bool tail;		/* only what was appended at old_end = at */
	int64_t old_end;	/* end of file at our last locked look */
	struct hash_key key;
	/*
	 * Offsets that were end of file when something was appended there
	 * with a From_ line that only this makes a boundary (mbox.md 1.3).
	 */
	int64_t *points;
	unsigned n_points;

	/* Found; for a tail the caller sets what the head has told. */
	struct msg *msgs;	/* in file order; uid 0: none believable */
	uint32_t n;
	uint32_t room;
	bool based;		/* UIDVALIDITY and keywords are the file's */
	uint32_t uidvalidity;
	uint32_t uidlast;
	uint32_t uid_before;	/* the highest believed so far */
	struct keywords keywords;

	/* Private. */
	char *buf;
	int64_t base;		/* file offset of buf[0] */
	size_t have;
	struct meta meta;
};

/*
 * Fills msgs and what the metadata tell; mbox_scan_free forgets all but
 * points. E_NOTMBOX (never for an INBOX), E_IO, E_LIMIT. A tail that does
 * not begin with a boundary is E_NOTMBOX too: then scan the whole file.
 */
enum err	mbox_scan(struct mbox_scan *s, struct why *why);
void		mbox_scan_free(struct mbox_scan *s);

/*
 * Gives each message of a full scan its place in the mailbox's list: known
 * ones keep their uid, new ones come behind (mbox.md 5.3). Takes over
 * scan->msgs.
 */
void		mbox_match(struct mbox *mbox, struct mbox_scan *scan);
/* The same for a tail: all are new. */
void		mbox_append(struct mbox *mbox, struct mbox_scan *scan);
/* For the first scan: takes the file's UIDs when every message has a
 * believable one, else numbers for this session. */
void		mbox_number(struct mbox *mbox, struct mbox_scan *scan);

/* Hash of a text that has no header: the prefix of a damaged INBOX. */
uint64_t	mbox_prefix_hash(const struct hash_key *key,
		    struct str text);

#endif
