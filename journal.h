/*
 * journal.h - one file per user, ~/.imapd/journal, in which a rewrite says
 * what it is about to do before it does it (mbox.md 4.2). It is made once,
 * with all the room it needs, so that mail can be expunged on a full disk.
 *
 * Two places for a plan, two for a record, two for data: what is valid is
 * never overwritten by what takes its place. Every part carries a hash
 * under a key that stands in the journal alone, so mail can not pose as one.
 * Numbers are this machine's own: a plan names a device and an inode.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/flags.h"
#include "lib/hash.h"

enum {
	/* Messages in a plan, and bytes of a window, that always have room:
	 * with two places for each the journal takes 18.6 MB. */
	JOURNAL_ENTRIES = 54600,
	JOURNAL_WINDOW = 6291456,
	/* A window grows, where the disk has room, to take a whole message
	 * of up to this size; a bigger one is moved in pieces. */
	JOURNAL_WINDOW_MAX = 67108864,
	/* What a disk writes whole. */
	SECTOR = 512,
	/* A record has a sum of so many bytes: no message is as small. */
	GRAIN = 64,
};

enum plan_kind { PLAN_COMPACT = 1, PLAN_EXPAND, PLAN_PATCH, PLAN_APPEND };

struct plan {
	uint64_t magic;
	uint64_t gen;		/* of two valid plans the higher counts */
	uint64_t token;		/* names this plan; also in its seams */
	uint64_t dev, ino;
	int64_t size;		/* of the mailbox when the plan was made */
	int64_t grow;		/* expansion, append: bytes it gains */
	uint64_t sum;		/* hash of the entries */
	uint32_t kind;
	uint32_t n;		/* entries */
	uint32_t must;		/* to be carried out even if not begun */
	uint32_t uidvalidity;	/* of the one stamp with a base */
	uint32_t uidlast;
	uint32_t unused;
	struct keywords names;
	char path[4096];	/* of the mailbox, for people and callers */
	uint64_t hash;		/* of all above */
};

enum {
	ENTRY_DROP = 1,
	ENTRY_STAMP = 2,
	ENTRY_BASE = 4,
	ENTRY_QUOTED = 8,
	ENTRY_PIECE = 16,	/* goes on the message of the entry before */
};

/* A message, or a piece of a big one. The first begins where the change
 * does, each next one where the one before ends, the last ends at `size`. */
struct entry {
	int64_t off, len;	/* before */
	uint64_t hash;		/* of the bytes before */
	uint32_t head;		/* bytes at the front that are replaced */
	uint32_t newhead;	/* by that many */
	uint32_t uid;
	uint32_t keywords;
	uint32_t pad;		/* spaces in the header beyond the stamp's */
	uint16_t flags;
	uint8_t bits;
	uint8_t eol;		/* line ends added behind */
};

enum record_kind {
	RECORD_FILL = 1, RECORD_MOVE, RECORD_CUT, RECORD_PATCH, RECORD_APPEND,
};

struct record {
	uint64_t token;		/* of the plan it belongs to */
	uint64_t seq;		/* the highest counts; decides the place */
	uint32_t kind;
	uint32_t slot;		/* the new bytes are in the data place too */
	uint32_t lead;		/* line ends before the messages' bytes */
	uint32_t seam;		/* bytes of seam behind them */
	int64_t d, n;		/* where the new bytes go, and how many */
	int64_t s, s2;		/* the range that they come from */
	uint64_t hash;		/* of the new bytes */
	uint64_t sums;		/* of the sums of the grains before */
	uint64_t before, after;	/* of what stands around */
	uint64_t self;		/* of all above */
};

struct journal {
	int fd;
	bool sync;
	const char *dir;	/* borrowed */
	struct hash_key key;
	uint32_t entries;	/* room in a plan */
	size_t window;		/* room for data */
	int live;		/* which plan place is valid, or -1 */
	int older;		/* a valid one that it replaced, or -1 */
	uint64_t gen;
	uint32_t added;		/* entries of the plan being written */
	struct hash sum;
	uint32_t cached;	/* first entry in `cache` */
	uint32_t n_cached;
	struct entry *cache;
};

/*
 * Opens dir/journal, made if need be, and locks it, waiting for another
 * session of this user, who waits for nothing but the disk. E_PERM when
 * there can be none, E_FULL when there is no room for it; E_IO. With !sync
 * no power cut is provided for.
 */
enum err	journal_open(struct journal *j, const char *dir, bool sync,
		    struct why *why);
/* Opens only what is there and takes no lock; E_NOENT, E_IO. To look at
 * plans. */
enum err	journal_look(struct journal *j, const char *dir);
void		journal_close(struct journal *j);

/* Gives a journal with no valid plan so much room; a failure leaves what
 * it had. 0, or -1 with errno. */
int	journal_make(struct journal *j, uint32_t entries, size_t window);
/* The same, of room so big at least. */
int	journal_reserve(struct journal *j, uint64_t entries, size_t window);

/* Gives back what room only one big message needed; may fail in silence. */
void	journal_shrink(struct journal *j);

/* The valid plan: 1, 0 when there is none, -1. Without `whole` the entries
 * are not read, so that it may turn out to be invalid later. */
int	journal_plan(struct journal *j, struct plan *out, bool whole);
/*
 * A new plan takes the place of the valid one, if any, in one step: start,
 * add (cached, in order), then commit, which sets what of *plan the journal
 * knows best (magic, gen, token, n, sum). Without `now` the plan is on the
 * disk only together with its first record: it must need that one. 0 or -1.
 */
void	journal_start(struct journal *j);
int	journal_add(struct journal *j, const struct entry *e);
int	journal_commit(struct journal *j, struct plan *plan, bool now);
/* Entry i of the valid plan, valid until the next call; NULL with errno. */
const struct entry	*journal_entry(struct journal *j,
			    const struct plan *plan, uint32_t i);
/* There is no valid plan any more; without `now` a power cut may bring it
 * back. */
int	journal_clear(struct journal *j, bool now);

/* Grains that [d, d + n) touches: so many sums has a record. */
static inline size_t
journal_sums(int64_t d, int64_t n)
{
	return n == 0 ? 0 :
	    (size_t)((d + n - 1) / GRAIN - d / GRAIN + 1);
}

/*
 * Writes a record and what it speaks of, by its sequence number beside the
 * one before: data unless NULL, and sums. Fills token, hash of sums, self.
 */
int	journal_record(struct journal *j, const struct plan *plan,
	    struct record *r, const char *data, const uint32_t *sums);
/* The newest record of the plan: 1, 0 when there is none, -1. */
int	journal_last(struct journal *j, const struct plan *plan,
	    struct record *out);
/* What it speaks of: 1, 0 when that never reached the disk (so the mailbox
 * was not touched), -1. to has room for r->n bytes, or is NULL. */
int	journal_data(struct journal *j, const struct record *r, char *to,
	    uint32_t *sums);

/* Keeps the journal with its valid plan under another name, aside. */
int	journal_aside(struct journal *j);

uint64_t	journal_hash(const struct journal *j, const void *p,
		    size_t n);

/* Does this errno say that the disk or the quota is full? */
bool	journal_no_room(int error);

#endif
