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
#include <limits.h>

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

#endif
