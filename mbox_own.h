/*
 * mbox_own.h - what the files mbox*.c share; nobody else includes it.
 */
#ifndef MBOX_OWN_H
#define MBOX_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "mbox.h"
#include "lib/hash.h"
#include "lib/meta.h"

enum {
	MSG_POINT = 1,		/* boundary only by a known append point */
	MSG_TWIN = 2,		/* one of several alike, some of them gone */
};

/* A copied piece of the file, checked message by message as it is used. */
struct window {
	char *p;
	size_t room;
	int64_t at;
	size_t n;
	int64_t clean;		/* from this offset on it is as on disk */
	bool mapped;		/* p is the map of a spool file */
};

struct mbox_private {
	struct hash_key key;
	int64_t *points;	/* known append points, as in mbox_scan */
	unsigned n_points;
	uint64_t head_edge;	/* hashes of the file's first and last */
	uint64_t tail_edge;	/* bytes, when it was last read */
	struct window window;
	uint32_t text_uid;	/* whose text was last handed out, or 0 */
	struct mbox_text text;
	struct meta meta;
};

/* Nothing in the window counts any more: the file changed. */
void		mbox_forget(struct mbox_private *own);
/* Frees what the window holds. */
void		mbox_free_window(struct mbox_private *own);
/*
 * Takes the read lock on the file that the path names now and brings the
 * list up to it (all of it read when `all`); E_OK with mbox->fd < 0 when
 * there is no file, and then no lock.
 */
enum err	mbox_lock_synced(struct mbox *mbox, bool all, bool *changed,
		    struct why *why);

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
	int64_t no_lf;		/* no LF from the last candidate to here */
	int64_t dull;		/* and no From_ line ends that line */
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
