/*
 * mbox_write.h - changing a mailbox: flags, expunge, append, and the UIDs
 * that other programs' new mail gets. UIDs stand in the file before a client
 * sees them; flags go into the log that all sessions share (changes.h) and
 * into the file later, or straight into it where there can be no log. Every
 * function takes and gives back the locks itself; when it returns E_OK what it
 * did is on the disk (with writer->sync), and mbox->msgs says so. When it
 * fails nothing was changed, unless it says otherwise.
 *
 * E_INUSE, E_PERM, E_FULL, E_LIMIT and E_IO may come from each of them, with
 * why; E_IO may mean that a rewrite stopped half-way, which the next look at
 * the mailbox, by whomever, carries to its end.
 */
#ifndef MBOX_WRITE_H
#define MBOX_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "draft.h"
#include "folder.h"
#include "lock.h"
#include "mbox.h"

/* How a session writes; the caller keeps it as long as its mailboxes. */
struct mbox_writer {
	const struct folders *folders;	/* who remembers UIDVALIDITYs */
	const char *dir;	/* ~/.imapd: journal and spool files */
	const char *user;
	const char *host;	/* our name */
	enum lock_dotlock dotlock;
	bool sync;		/* --fsync=always */
	bool flags_now;		/* into the file, whether there can be a log
				 * or not */
};

enum mbox_mode {
	/* New mail gets UIDs, but stays \Recent for another session: for
	 * EXAMINE, STATUS, and what APPEND and COPY write to. */
	MBOX_EXAMINE,
	/* New mail is \Recent here and nowhere else. */
	MBOX_SELECT,
};

/*
 * mbox_open for one that may be changed. Where the file permits that,
 * mbox->writable; else, or where no UID can be stamped, it is read-only,
 * and its UIDs are for this session alone unless the file has them all
 * (mbox->sticky). Carries an interrupted rewrite to its end first.
 */
enum err	mbox_open_writer(struct mbox **out, const char *path,
		    bool inbox, enum mbox_mode mode,
		    const struct mbox_writer *writer, struct why *why);

/* Forgets what ~/.imapd (dir) holds of a mailbox file that is no more; or
 * only which message had which UID. */
void		mbox_gone(const char *dir, dev_t dev, ino_t ino);
void		mbox_index_drop(const char *dir, dev_t dev, ino_t ino);

/* STORE's three forms. */
enum mbox_how { MBOX_SET, MBOX_ADD, MBOX_REMOVE };
struct mbox_change {
	enum mbox_how how;
	unsigned flags;		/* of FLAGS_SYSTEM */
	const struct keywords *names;	/* keywords by name, or NULL; those
				 * unknown to the mailbox are made known */
};

/*
 * Changes the flags of the messages with these uids, rising; those that are
 * not there (any more) are skipped. E_LIMIT when the mailbox has no room for
 * another keyword: then no flag was changed. Where some headers must grow
 * and can not, those with room may have been changed; the list says which.
 */
enum err	mbox_store(struct mbox *mbox, const uint32_t *uids,
		    uint32_t n, const struct mbox_change *change,
		    struct why *why);

/*
 * Writes into the file what sessions have so far only told each other: flags.
 * E_OK too where there is nothing. At a failure they know it still, and so
 * does who opens the mailbox next. With `hurry` it waits for no lock for
 * long. mbox_close does so for MBOX_SELECT.
 */
enum err	mbox_flush(struct mbox *mbox, bool hurry, struct why *why);
/* Is there anything of the kind? */
bool		mbox_unflushed(const struct mbox *mbox);

/*
 * Removes, of the messages with these uids, rising, (uids NULL: of all)
 * those that are \Deleted in the file now; with `any`, all of them.
 * *removed says how many those were.
 */
enum err	mbox_expunge(struct mbox *mbox, const uint32_t *uids,
		    uint32_t n, bool any, uint32_t *removed,
		    struct why *why);

/*
 * Adds the messages of a draft, all or nothing; their uids are *first,
 * *first + 1 and so on. Keywords for which the mailbox has no room are left
 * out. An INBOX file that is not there is made.
 */
enum err	mbox_append(struct mbox *mbox, struct draft *draft,
		    uint32_t *first, struct why *why);

#endif
