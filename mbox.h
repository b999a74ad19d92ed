/*
 * mbox.h - an mbox file as a list of messages: finding them, keeping up
 * with what others do to the file, and handing out their bytes. Knows no
 * IMAP. Every byte handed out was copied under the read lock, after the
 * place was verified to hold the message meant (mbox.md 5.3).
 */
#ifndef MBOX_H
#define MBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/date.h"
#include "lib/err.h"
#include "lib/flags.h"
#include "lib/hash.h"
#include "lib/str.h"

/* One message, 80 bytes. Offsets are of the file. */
struct msg {
	int64_t start;		/* of the From_ line */
	int64_t end;		/* of the body: frozen at first sight */
	uint64_t size;		/* RFC822.SIZE: visible, in CRLF */
	uint64_t hash;		/* stable hash (meta.h) */
	int64_t date;		/* internal date */
	uint32_t head;		/* bytes of header, with empty line */
	uint32_t uid;
	uint32_t keywords;	/* bits of mbox->keywords */
	uint32_t add_words;	/* of them, what the file is yet to get */
	uint32_t drop_words;	/* or to lose */
	uint16_t from;		/* bytes of the From_ line, with EOL */
	int16_t zone;		/* of date, minutes east */
	uint8_t flags;		/* FLAG_ bits, FLAG_RECENT included */
	uint8_t bits;		/* private */
	uint8_t add;		/* of flags, as add_words and drop_words */
	uint8_t drop;
	uint8_t ours;		/* of add and drop: nobody's after us */
	uint32_t our_words;
	uint64_t modseq;	/* of its last change that is known; or 0 */
};

/* What makes a file state (mbox.md 5.2). */
struct mbox_state {
	dev_t dev;
	ino_t ino;
	int64_t size;
	struct timespec mtime;
	struct timespec ctime;
	bool racy;		/* too young to be trusted once more */
};

struct mbox {
	char *path;
	bool inbox;		/* opens whatever the file looks like */
	int fd;			/* -1: there is no file; then it is empty */
	struct mbox_state state;
	struct msg *msgs;	/* in IMAP order, uid rising */
	uint32_t n;
	uint32_t room;
	uint32_t uidvalidity;
	uint32_t uidnext;
	bool sticky;		/* UIDs last beyond this session */
	bool writable;		/* by mbox_write.h */
	uint32_t news;		/* counts what became known of flags without
				 * a change of the file */
	struct keywords keywords;
	/* ~/.imapd, or NULL: what is remembered of mailboxes is there, and a
	 * message too big for memory is copied there, unlinked. */
	const char *dir;
	struct mbox_private *own;
};

/*
 * Opens, for reading only, and scans what `dir` (as above; the caller keeps
 * it) does not know. path must be resolved already (folder_path). A missing
 * INBOX is an empty one. On failure *out is NULL:
 * E_NOENT, E_PERM, E_NOTMBOX, E_INUSE, E_IO. mbox_close frees; NULL is fine.
 */
enum err	mbox_open(struct mbox **out, const char *path, bool inbox,
		    const char *dir, struct why *why);
/* Before the last change to a mailbox (NULL is fine) that is about to be
 * closed: mail that is found from now on is left \Recent for somebody who will
 * be told of it. False takes that back. */
void		mbox_leave(struct mbox *mbox, bool leaving);
void		mbox_close(struct mbox *mbox);

/*
 * Looks whether the file has changed and takes over what has: afterwards
 * msgs is what the file holds; a message that stayed kept its uid. Sets
 * *changed (when not NULL). On failure the list is what it was.
 */
enum err	mbox_sync(struct mbox *mbox, bool *changed, struct why *why);
/*
 * The same, but of a mailbox that had grown it reads all, once: flags that
 * others changed in place before do not show in its new end. For when nobody
 * waits, or much hangs on it.
 */
enum err	mbox_confirm(struct mbox *mbox, bool *changed,
		    struct why *why);
/* The same after reading the whole file, whatever its times say: CHECK. */
enum err	mbox_verify(struct mbox *mbox, bool *changed, struct why *why);

/* The file in which sessions tell each other of flags, for watch.h; NULL when
 * there can be none. Valid until the next call on this mbox. */
const char	*mbox_changes_path(struct mbox *mbox);

/* Index in msgs, or -1. */
int64_t		mbox_find(const struct mbox *mbox, uint32_t uid);

/*
 * The bytes of the message with this uid, as a client may see them (without
 * metadata fields), valid until the next call on this mbox. Without `body`
 * only the header is read. May sync, so indexes and struct msg
 * pointers taken before are void; E_GONE when the message left.
 */
struct mbox_text {
	struct str from;	/* the From_ line */
	struct str header;	/* with its empty line */
	struct str body;	/* p == NULL when it was not asked for */
	struct str whole;	/* both, or the header alone */
};
enum err	mbox_text(struct mbox *mbox, uint32_t uid, bool body,
		    struct mbox_text *out, struct why *why);
/* Who has sent it, as its From_ line says. */
struct str	mbox_sender(const struct mbox_text *text);

/* Ends a command's reading: gives back what a big message took. */
void		mbox_rest(struct mbox *mbox);

void		msg_date(const struct msg *msg, struct date *out);

#endif
