/*
 * rewrite.h - the one place that changes the bytes of an mbox: it drops
 * messages, gives others new headers, overwrites a few bytes in place and
 * appends, so that a kill -9 or a power cut at any instant loses no message
 * (mbox.md 4.2; how: rewrite.c). It knows offsets and headers, no IMAP.
 *
 * The caller holds lock_write on the mailbox during every call, has
 * verified that the messages stand where it says, and reads the file anew
 * afterwards unless it trusts what is said below about `items`.
 *
 * When a call fails with E_IO the journal may stay hot: then every later one
 * on this mailbox fails, until rewrite_recover has succeeded.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/stamp.h"

/* A message. */
struct rewrite_item {
	int64_t off;
	int64_t len;		/* with its separator: up to the next item */
	uint32_t head;		/* bytes of From_ line and header, with its
				 * empty line: what a stamp replaces */
	uint8_t eol;		/* line ends to be added at its end, 0 to 2 */
	bool drop;
	bool stamped;		/* is to get the header that `stamp` says */
	struct stamp stamp;	/* its names are rewrite.names */
};

struct rewrite {
	int fd;			/* of the mailbox, for reading and writing */
	const char *path;	/* of the mailbox */
	const char *dir;	/* ~/.imapd, which exists, or NULL */
	bool sync;		/* --fsync=always */
	const struct keywords *names;	/* or NULL */
	/* Without a hole, in file order, up to the end of the file, which
	 * is `size`. What stands before the first is not touched. */
	struct rewrite_item *items;
	uint32_t n;
	int64_t size;
	void (*tick)(void);	/* called between windows, or NULL */
};

/*
 * rewrite_compact drops what is to be dropped, and stamps where a header
 * does not grow or grows by less than the room made before it.
 * rewrite_expand stamps where a header does not shrink, and ends the last
 * line of the file; nothing may be dropped. rewrite_all does the one, then
 * the other, as far as needed.
 *
 * On E_OK `items`, `n` and `size` say what the file holds now: the dropped
 * are gone, `stamped` and `eol` are cleared where done. What others
 * appended meanwhile stands behind `size`, untouched.
 *
 * E_GONE	the file is not as `items` say: nothing was changed
 * E_PERM	no journal can be made, and messages would have to move
 * E_INUSE	the journal is hot for another mailbox: rewrite_pending
 * E_LIMIT	a header is too big
 * E_FULL	the disk has no room: for the journal that so many messages
 *		need (take fewer at once), or for what the mailbox is to
 *		gain. Nothing was changed but what `items` say
 * E_IO		see above
 */
enum err	rewrite_compact(struct rewrite *r, struct why *why);
enum err	rewrite_expand(struct rewrite *r, struct why *why);
enum err	rewrite_all(struct rewrite *r, struct why *why);

/*
 * Overwrites bytes in place, all of them durable at the end (when r->sync).
 * Those that lie across a disk sector's boundary go through the journal, so
 * that a power cut can not tear them; where there is none they do not.
 * Patches are many at once, in file order, and do not overlap; each is all
 * there or not at all. One that ends beyond the end of the file is the
 * caller's mistake: E_GONE, and none is done. Of r, the items and the size
 * are not looked at.
 */
struct rewrite_patch {
	int64_t at;
	struct str bytes;
};
enum err	rewrite_patch(const struct rewrite *r,
		    const struct rewrite_patch *patches, size_t n,
		    struct why *why);

/*
 * Appends, behind r->size which is the end of the file, n bytes that fill
 * hands over in order. All or nothing: at a failure, and after a kill or a
 * power cut when rewrite_recover has run, nothing of them is left in the
 * file. Once it returned E_OK they stay. Of r, the items are not looked at;
 * on E_OK r->size is the caller's to renew. Where there is no journal, a
 * kill or power cut may leave a part of them.
 *
 * E_FULL	the disk or the quota has no room
 * E_GONE	the file is not r->size long
 */
struct rewrite_source {
	/* The next n bytes; 0, or -1 with errno. */
	int (*fill)(void *ctx, char *to, size_t n);
	void *ctx;
	int64_t n;
};
enum err	rewrite_append(const struct rewrite *r,
		    const struct rewrite_source *source, struct why *why);

/* May an interrupted rewrite of this file be in the journal? Who can not read
 * that must think so. Cheap. Under a lock of the mailbox, since one that goes
 * on looks the same. */
bool		rewrite_hot(const char *dir, dev_t dev, ino_t ino);
/* Carries it to its end, or back to its start; E_OK too when there is none.
 * Of what others did to the file meanwhile nothing is undone. */
enum err	rewrite_recover(const char *dir, int fd, bool sync,
		    struct why *why);

/* For which file the journal is hot: E_OK, E_NOENT or E_IO. */
struct rewrite_pending {
	dev_t dev;
	ino_t ino;
	char path[4096];
};
enum err	rewrite_pending(const char *dir, struct rewrite_pending *out);
/*
 * That file is no longer where it was, so it can not be recovered: puts the
 * journal aside (for a person to look at) to have an empty one.
 */
enum err	rewrite_abandon(const char *dir, struct why *why);

#endif
