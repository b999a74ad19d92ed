/*
 * folder.h - mailbox names and the files behind them: which names are
 * allowed, where they lead, which are shown. DESIGN 6 has the rules: no
 * "..", no component that begins with a dot or ends in ".lock", nothing
 * outside the tree, regular mbox files only. Names are kept on disk in
 * the wire form (modified UTF-7).
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <limits.h>

#include "lock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"

struct folders {
	char *home;		/* resolved, no slash at its end */
	char *given;		/* the same as it was given to us */
	char *root;		/* home or home/mail-dir, resolved */
	char *subdir;		/* mail-dir as given, or "" */
	char *inbox;		/* path of the INBOX file, resolved */
};

/*
 * home must be a directory. mail_dir may be NULL; it is a path below home.
 * inbox is an absolute path. E_* with why. folder_free is due either way.
 */
enum err	folder_init(struct folders *f, const char *home,
		    const char *mail_dir, const char *inbox,
		    struct why *why);
void		folder_free(struct folders *f);

struct folder {
	char path[PATH_MAX];	/* resolved */
	bool inbox;
};

/*
 * The file behind a name. E_NAME for a forbidden name, E_NOENT when there
 * is nothing (out->path then is where it would be), E_NOTMBOX for what is
 * no regular mbox file, E_PERM for what leads out of the tree. INBOX is
 * E_OK even when its file is missing.
 */
enum err	folder_path(const struct folders *f, struct str name,
		    struct folder *out, struct why *why);

enum {
	FOLDER_NOSELECT = 1,
	FOLDER_NOINFERIORS = 2,
	FOLDER_HASCHILDREN = 4,
	FOLDER_HASNOCHILDREN = 8,
};

/* Called for each name in order of its bytes; the name is borrowed. */
typedef void folder_show(void *ctx, struct str name, unsigned attributes);

/*
 * LIST: reference and pattern as the client gave them (RFC 3501 6.3.8); the
 * empty pattern is the caller's. Nothing is shown unless all is: a list
 * that lacks a directory would make clients forget what they hold of it.
 */
enum err	folder_list(const struct folders *f, struct pool *pool,
		    struct str reference, struct str pattern,
		    folder_show *show, void *ctx, struct why *why);
/* LSUB: names of ~/.mailboxlist, or Dovecot's .subscriptions if it alone
 * exists; a parent matched by "%" is shown \Noselect (RFC 3501 6.3.9). */
enum err	folder_lsub(const struct folders *f, struct pool *pool,
		    struct str reference, struct str pattern,
		    folder_show *show, void *ctx, struct why *why);

/* What a change answers besides enum err. */
enum folder_no {
	FOLDER_EXISTS = -100,	/* the new name is taken */
	FOLDER_CHILDREN = -101,	/* other names or files lie below it */
	FOLDER_INBOX = -102,	/* INBOX is not renamed, but emptied into the
				 * new mailbox: by the caller */
};

/*
 * These change the tree: E_OK, or an enum err or folder_no with why; then
 * everything is as it was. What they did is on the disk when they return
 * (if a directory can not be synced behind it, the log says so), and a kill
 * at any moment leaves the old state or the new one, at worst with empty
 * directories on the way to a new name.
 *
 * A new mailbox holds UW's pseudo message and nothing else; host is our
 * name in it. A name that ends in "/" makes a directory.
 */
int		folder_create(const struct folders *f, struct str name,
		    const char *host, struct why *why);
/*
 * Removes a mailbox, or a directory that is empty. Of a symbolic link or a
 * file with several names only this name goes.
 */
int		folder_delete(const struct folders *f, struct str name,
		    enum lock_dotlock dot, struct why *why);
/*
 * Renames a mailbox, or a directory with all in it if that is a mailbox, or
 * nothing at all. Symbolic links are refused.
 */
int		folder_rename(const struct folders *f, struct str from,
		    struct str to, enum lock_dotlock dot, struct why *why);

/*
 * A UIDVALIDITY that no mailbox of this user has had: the time, or more if
 * the last one was as high, and at_least that (as long as that is below
 * 2^31). It is kept in ~/.imapd before it is used; where that directory can
 * not be made the time must do, and the log says so.
 */
enum err	folder_uidvalidity(const struct folders *f, uint32_t at_least,
		    uint32_t *out, struct why *why);
/*
 * A number for a mailbox without mail, which can keep none: it shall have
 * this one if it gets mail. since is the time from when on it has been as it
 * is, so that all sessions that look at it find the same number. Nothing is
 * written.
 */
enum err	folder_uidvalidity_peek(const struct folders *f,
		    int64_t since, uint32_t *out);
/* Is v the number that came into use last? */
bool		folder_uidvalidity_last(const struct folders *f, uint32_t v);
/*
 * v is in use now: later ones are larger. Costs one small read when an as
 * large one was. Where ~/.imapd can not be had, nothing is remembered.
 */
enum err	folder_uidvalidity_used(const struct folders *f, uint32_t v,
		    struct why *why);
/*
 * Only one session at a time changes our small files. The descriptor whose
 * closing gives the right back, or -1 with errno. Taken last, when other
 * locks are held, and for no longer than one such file takes to be written.
 */
int		folder_state_lock(const struct folders *f);

/*
 * ~/.mailboxlist with one name more, or without one. The mailbox need not
 * exist. E_OK where nothing is to be added, E_NOENT where the name is not
 * in the list, E_NAME for what no mailbox can be called.
 */
enum err	folder_subscribe(const struct folders *f, struct str name,
		    struct why *why);
enum err	folder_unsubscribe(const struct folders *f, struct str name,
		    struct why *why);

#endif
