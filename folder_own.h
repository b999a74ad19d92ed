/*
 * folder_own.h - what the files of folder.h share and no other file needs:
 * above all the rules that look-up and LIST must both keep, so that what is
 * shown can be opened and the other way round.
 */
#ifndef FOLDER_OWN_H
#define FOLDER_OWN_H

#include <sys/stat.h>

#include <fcntl.h>

#include "folder.h"
#include "lib/buf.h"
#include "lib/params.h"
#include "lib/path.h"

enum {
	/* Never waits, and never takes a symlink for what it leads to. */
	FOLDER_OPEN = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW |
	    O_CLOEXEC,
	/* A shown name with what is added on the way: its UTF-8, the next
	 * level. */
	FOLDER_SHOWN_MAX = 2 * NAME_MAX_BYTES,
};

/* folder.c */

/* What errno means for one file; E_IO for what is no matter of the file. */
enum err	folder_errno(int e);
/*
 * Sets path to the root. E_PERM when the mail directory is (or has become)
 * a link that leads away.
 */
enum err	folder_root(const struct folders *f, struct path *path);
/*
 * Puts the file that a symlink leads to in its place, if that file may be
 * named: one in the tree, by names that are visible, or the INBOX file.
 */
enum err	folder_follow(const struct folders *f, struct path *path);
/*
 * Opens a file, known to be a regular one, to see whether it is a mailbox.
 * st is of what was opened.
 */
enum err	folder_sniff(int at, const char *name, struct stat *st);

/* folder_state.c */

/* Sets path to ~/.imapd, which need not exist; 0, or -1 with errno. */
int		folder_state_dir(const struct folders *f, struct path *path);

/* folder_name.c */

/* Cuts the part before the next slash off; false when there is none:
 * rest->p then is NULL. */
bool	folder_part(struct str *rest, struct str *part);
/* May this component be named and shown at all? */
bool	folder_visible(struct str part);
bool	folder_all_visible(struct str name);
/* May a name begin like this? What may not is no name of ours. */
bool	folder_ours(struct str name);
/* Is this the name of a mailbox, once its lead is cut off? */
bool	folder_good(struct str name);
/* A component of a good name in UTF-8, if that is another name. */
bool	folder_raw(struct str part, struct buf *raw);
/* Appends the name under which a file is shown; false: there is none. */
bool	folder_shown(struct str raw, struct buf *out);
/* Bytes of "~/" or of the home directory's path at the start of name. */
size_t	folder_home_lead(const struct folders *f, struct str name);
/* Bytes at the start of name that only say where the root is. */
size_t	folder_lead(const struct folders *f, struct str name);

#endif
