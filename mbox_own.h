/*
 * mbox_own.h - what the files mbox*.c share; nobody else includes it.
 */
#ifndef MBOX_OWN_H
#define MBOX_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "mbox.h"
#include "changes.h"
#include "mbox_write.h"
#include "rewrite.h"
#include "lib/hash.h"
#include "lib/meta.h"
#include "lib/stamp.h"

enum {
	/* Rounds of "the file was replaced while we took the lock". */
	MBOX_TRIES = 5,
	/* So many UIDs below the highest one there are no more of them:
	 * nobody need think of that within a session. */
	UIDS_SPARE = 0x2000000,
	/* Of the head that must not have changed when a file grew. */
	MBOX_HEAD_MAX = 1048576,
};

/* RFC 7162 3.1: 63 bits; one that is far beyond the time, which ours come
 * from, is not of us and would leave no room. */
#define MODSEQ_MOST	(UINT64_C(1) << 62)

enum {
	MSG_POINT = 1,		/* boundary only by a known append point */
	MSG_TWIN = 2,		/* one of several alike, some of them gone */
	MSG_QUOTED = 4,		/* we stored it, with lines quoted */
	MSG_UNSTAMPED = 8,	/* its uid does not stand in the file */
	MSG_NEW = 16,		/* no client has seen its uid */
	MSG_STUCK = 32,		/* no room to stamp it or to mark it as old */
	MSG_OPEN = 64,		/* its header is cut off: no empty line */
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
	/* For writing. */
	const struct mbox_writer *writer;	/* NULL: reads only */
	bool claims;		/* MBOX_SELECT: new mail is \Recent here */
	bool leaving;		/* but not what nobody will be told of */
	bool may_write;		/* the system lets us */
	bool unsettled;		/* something of the list is to be stamped */
	bool shown;		/* the list's UIDs count: somebody may know
				 * them, or they stand in the file */
	bool grown;		/* only a tail was read since all was, by us
				 * or by those who left the index */
	bool based;		/* uidvalidity stands in the file */
	uint32_t uidlast;	/* and so does this, as last UID */
	uint32_t uidvalidity_before;	/* one whose UIDs are used up, or 0 */
	size_t head_n;		/* bytes that head_edge is of */
	struct mbox_state indexed;	/* what the index in ~/.imapd is of */
	uint64_t log_least;	/* generation that the log has at least */
	struct changes *log;	/* of flags that the file is to get, or NULL */
	bool relist;		/* the log is to be read from its beginning:
				 * there are messages of which it may know */
	bool overtaken;		/* the file says more than the list knows */
	bool log_failed;	/* it could not be had when last tried */
	bool hurried;		/* waits for no lock for long */
	bool dirty;		/* messages may have what the file lacks */
	bool adrift;		/* not all that the list has is in the log */
	bool unmarked;		/* messages may have no modseq yet */
	uint64_t modseq;	/* the highest that is known */
	/* UW's pseudo message, which holds it then: From_ line and header
	 * begin at offset pseudo, of so many bytes; 0 when there is none. */
	int64_t pseudo;
	uint32_t pseudo_head;
};

/* The first message with a uid not below this one, or mbox->n. */
uint32_t	mbox_lower(const struct mbox *mbox, uint32_t uid);
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

/* What it stands on: fd is the file that the path names now, or -1; is it
 * still, now that the lock is held; the list is what the file holds. */
enum err	mbox_renew(struct mbox *mbox, bool *changed,
		    struct why *why);
bool		mbox_is_current(const struct mbox *mbox);
enum err	mbox_sync_locked(struct mbox *mbox, bool all, bool *changed,
		    struct why *why);
/* mbox_open for whichever purpose. */
enum err	mbox_open_as(struct mbox **out, const char *path,
		    bool inbox, const char *dir,
		    const struct mbox_writer *writer, bool claims,
		    struct why *why);

/* Under either lock: was a rewrite of this file interrupted, as far as we
 * may write to it? Under none: carries it to its end. */
bool		mbox_is_hot(const struct mbox *mbox);
enum err	mbox_recover(struct mbox *mbox, struct why *why);
/* Under no lock: what is new in the list gets its UID in the file. What can
 * not have one is shown for this session alone, or not yet. */
enum err	mbox_settle(struct mbox *mbox, bool *changed,
		    struct why *why);
/* Takes out of the list what nobody has seen. True if there was any: the
 * file must be read again to find it. */
bool		mbox_drop_new(struct mbox *mbox);
/* Numbers the list anew, for this session alone. */
void		mbox_number_session(struct mbox *mbox);

/*
 * The same with the write lock (the file open for writing), after an
 * interrupted rewrite of it has been carried to its end, and with all UIDs
 * in the file; E_OK with mbox->fd < 0 where there is no INBOX file. To be
 * given back by mbox_unlock.
 */
enum err	mbox_lock_write(struct mbox *mbox, bool *changed,
		    struct why *why);
void		mbox_unlock(struct mbox *mbox);
/*
 * The rest is for under that lock.
 *
 * We have changed the file, and the list and state.size say all of it: what
 * others do from now on will be seen.
 */
void		mbox_written(struct mbox *mbox);
/*
 * X-IMAPbase (or that of the pseudo message) is to say uidlast and the
 * names, which begin with mbox->keywords as they are and become them. May
 * move messages. E_OK too while there is no message that could hold it: the
 * first one that is stamped will.
 */
enum err	mbox_base(struct mbox *mbox, uint32_t uidlast,
		    const struct keywords *names, struct why *why);
/* Takes UW's pseudo message out of the file: the first message of the list
 * bears its field already. */
enum err	mbox_drop_pseudo(struct mbox *mbox, struct why *why);
/* The stamp that the message is to have as the list says it; with the base
 * field when it is the first and there is no pseudo message. */
void		mbox_stamp_of(const struct mbox *mbox,
		    const struct msg *msg, struct stamp *out);
/* What all rewriting of this mailbox has in common; no items. */
void		mbox_rewrite_setup(const struct mbox *mbox,
		    struct rewrite *r);
/* What such a rewrite answered, in words for the client where the engine's
 * say too little; at a failure nothing known of the file counts any more. */
enum err	mbox_rewritten(struct mbox *mbox, enum err e,
		    struct why *why);
/* LFs that the text from `start` to `end` lacks to end in an empty line. */
enum err	mbox_missing_eol(const struct mbox *mbox, int64_t start,
		    int64_t end, uint8_t *out, struct why *why);
/* The number under which UIDs are given stays so from now on. */
enum err	mbox_fix_uidvalidity(struct mbox *mbox, struct why *why);
/* rewrite_patch; the list and the state are as good as before. */
enum err	mbox_patch(struct mbox *mbox,
		    const struct rewrite_patch *patches, size_t n,
		    struct why *why);
/*
 * Fills r with the messages from msgs[first] on, for the caller to say what
 * is to become of them (he frees r->items, also at a failure); mbox_rewrite
 * then does it, and the list follows.
 */
enum err	mbox_items(struct mbox *mbox, uint32_t first,
		    struct rewrite *r, struct why *why);
enum err	mbox_rewrite(struct mbox *mbox, uint32_t first,
		    struct rewrite *r, struct why *why);
/* Could it be marked as old? How many could; and to do so in the file. */
bool		mbox_is_fresh(const struct msg *msg);
uint32_t	mbox_fresh(const struct mbox *mbox);
enum err	mbox_claim(struct mbox *mbox, struct why *why);
/*
 * Under either lock, synced: From_ line and header of the message as they
 * are in the file, and in own->meta what they say; valid until the next call.
 * E_GONE when the message is not there.
 */
enum err	mbox_header(struct mbox *mbox, const struct msg *msg,
		    struct str *out, struct why *why);

/*
 * What sessions tell each other by the log in ~/.imapd (changes.h). Where
 * there is none all of this does nothing, and mbox_changes_store, _claim say
 * E_PERM: then the file itself is to be written.
 *
 * Under no lock of the log, with or without one of the mailbox: takes over
 * what others have done. _leave: the file is another now.
 */
enum err	mbox_changes_read(struct mbox *mbox, bool *changed,
		    struct why *why);
void		mbox_changes_leave(struct mbox *mbox);
/* Adds what a STORE does to the messages with these uids, or that what is
 * \Recent here is so nowhere else. */
enum err	mbox_changes_store(struct mbox *mbox, const uint32_t *uids,
		    uint32_t n, const struct mbox_change *change,
		    struct why *why);
enum err	mbox_changes_claim(struct mbox *mbox, struct why *why);
/* Under the write lock: keeps others from adding to the log until _end; then,
 * if `flushed`, the file has all that was in it. */
enum err	mbox_changes_begin(struct mbox *mbox, struct why *why);
void		mbox_changes_end(struct mbox *mbox, bool flushed);
/* Has it become so big that the file should get it all? */
bool		mbox_changes_many(const struct mbox *mbox);
/* What a list from another scan has, with what the file is yet to get;
 * `names` are those by which the messages' add_words and drop_words go. */
void		mbox_changes_apply(struct mbox *mbox,
		    const struct keywords *names);
/* Is the file to get anything, of one message, or of any? */
bool		mbox_changes_of(const struct msg *msg);
bool		mbox_changes_any(const struct mbox *mbox);
/* Under the write lock, synced: writes all that into the file. */
enum err	mbox_flush_locked(struct mbox *mbox, struct why *why);

/* The state of the open file, as it is now. */
bool		mbox_look_at(const struct mbox *mbox,
		    struct mbox_state *now);
/*
 * The list as some session left it in ~/.imapd, if it is of this file: then
 * all is set as after a first scan, the state being that of the index. _save
 * keeps it there, where all of it stands in the file; _forget makes the
 * mailbox one of which nothing is known.
 */
bool		mbox_index_load(struct mbox *mbox);
void		mbox_index_save(struct mbox *mbox);
void		mbox_index_forget(struct mbox *mbox);

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
	int64_t pseudo;		/* as in struct mbox_private */
	uint32_t pseudo_head;

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
void		mbox_add_tail(struct mbox *mbox, struct mbox_scan *scan);
/* For the first scan: takes the file's UIDs when every message has a
 * believable one, else numbers for this session. */
void		mbox_number(struct mbox *mbox, struct mbox_scan *scan);

/* Bits of the words, SP-separated, that are keywords of this mailbox. */
uint32_t	mbox_keyword_bits(const struct keywords *k, struct str words);

/* Hash of a text that has no header: the prefix of a damaged INBOX. */
uint64_t	mbox_prefix_hash(const struct hash_key *key,
		    struct str text);

#endif
