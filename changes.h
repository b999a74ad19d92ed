/*
 * changes.h - the log of what sessions have changed in a mailbox and its file
 * does not say yet: flags, and when they were changed. One file for each
 * mailbox file in ~/.imapd (INDEX has the format), shared by all sessions of
 * the user: each appends, and reads what the others have appended. Knows
 * nothing of mailboxes but UIDs and flags.
 *
 * It is a help, never a witness: what it says counts for messages that are
 * there. Whatever is wrong with it means that there is nothing more in it.
 */
#ifndef CHANGES_H
#define CHANGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/flags.h"

enum {
	/* Runs in one record; a caller who has more splits them. */
	CHANGE_RUNS_MAX = 500000,
	/* Bytes of a log: it is begun anew long before. One that is bigger
	 * was not made by us. */
	CHANGES_MAX = 16777216,
};

enum change_kind {
	/* Flags that the file is to get. */
	CHANGE_FLAGS = 1,
	/* Changed by another program, or new: has a modseq, no flags. */
	CHANGE_SEEN = 2,
};

/* UIDs first to last. */
struct change_run {
	uint32_t first;
	uint32_t last;
};

/* One record. Only FLAGS has flags; each has runs. No name is in both
 * lists. */
struct change {
	enum change_kind kind;
	uint64_t modseq;
	uint8_t set;		/* of FLAGS_SYSTEM | FLAG_OLD */
	uint8_t clear;		/* the same; none is in both */
	bool clear_words;	/* all keywords go that `add` does not name */
	struct keywords add;
	struct keywords remove;
	const struct change_run *runs;	/* rising, apart from each other */
	uint32_t n;
};

/* An open log. */
struct changes;

/*
 * Opens the log of the mailbox file with that device and inode, for the UIDs
 * under that uidvalidity; one that is damaged at its head, a copy of another
 * file, or of another uidvalidity, is begun anew, and so is one whose
 * generation is below `least`: somebody has put an old one back. With
 * `create` it is made where there is none. NULL with errno when it can not be
 * had for writing. changes_close frees; NULL is fine.
 */
struct changes	*changes_open(const char *dir, dev_t dev, ino_t ino,
		    uint32_t uidvalidity, uint64_t least, bool create);
void		changes_close(struct changes *c);
/* Removes it, for a mailbox file that is no more. */
void		changes_drop(const char *dir, dev_t dev, ino_t ino);
/* Its file's path, for watch.h; lives as long as c. */
const char	*changes_path(const struct changes *c);

/*
 * Without a lock, by one fstat and one short read: is there anything that
 * was not read yet, or is it not what it was? A hint.
 */
bool		changes_news(const struct changes *c);

/*
 * Takes it for this process alone, waiting up to `seconds`. Always after the
 * mailbox's lock where both are held, never the other way. E_INUSE when
 * somebody kept it that long; E_FULL, E_IO when it can not be had: it stays
 * open, and may be tried again. With E_OK *fate tells what became of it:
 */
enum changes_fate {
	CHANGES_GOES_ON,	/* what was read stands there, and maybe more */
	/* All that we had appended was flushed, and it was begun anew. */
	CHANGES_ANEW,
	/* It was removed or damaged: what we had appended may never have
	 * been read by others. Another one is open, as from its beginning. */
	CHANGES_LOST,
};
enum err	changes_lock(struct changes *c, int seconds,
		    enum changes_fate *fate, struct why *why);
void		changes_unlock(struct changes *c);

/*
 * The rest is for under that lock.
 *
 * The next record; false at the end, and when it can not be read: then
 * nothing can be added, either. What it points to is valid until the next
 * call on c.
 */
bool		changes_next(struct changes *c, struct change *out);
/* The next one is the first again. */
void		changes_rewind(struct changes *c);
/* Had we read or added it before, the one that changes_next gave last? */
bool		changes_again(const struct changes *c);
/*
 * Appends a record, which counts as read; all were read before. On the disk
 * when it returns E_OK, with `sync`. At a failure (E_FULL, E_IO; E_LIMIT for
 * too many runs, or when the log must be begun anew first) nothing was added.
 */
enum err	changes_add(struct changes *c, const struct change *change,
		    bool sync, struct why *why);
/* Begins it anew: empty, and so it is found by others. Needs no room on the
 * disk. Only when all was read, and the mailbox file has all flags, on the
 * disk. After E_IO it may be anew nevertheless: its generation tells. */
enum err	changes_reset(struct changes *c, bool sync, struct why *why);

/* Bytes that its records take. */
int64_t		changes_size(const struct changes *c);
/* Which log this is: a larger number after each changes_reset, and in each
 * that takes its place. */
uint64_t	changes_generation(const struct changes *c);

#endif
