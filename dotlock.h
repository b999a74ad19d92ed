/*
 * dotlock.h - the file PATH.lock beside a mailbox. For lock.c alone, which
 * holds the exclusive fcntl lock whenever one of these is called.
 */
#ifndef DOTLOCK_H
#define DOTLOCK_H

#include <limits.h>

#include "lib/err.h"

struct dotlock {
	int fd;			/* -1: not held */
	char path[PATH_MAX];	/* with the .lock */
};

/*
 * One try, without waiting; removes a dotlock that nobody can hold any
 * more. mailbox is open on fd.
 *
 * E_INUSE  another program has one; why says who and since when
 * E_PERM   the place does not allow it, and will not soon
 * E_IO     something failed that may go well next time
 */
enum err	dotlock_take(struct dotlock *lock, const char *mailbox, int fd,
		    struct why *why);
/* Makes it as young as it can be. */
void		dotlock_touch(const struct dotlock *lock);
/* Removes it, if it is still ours. */
void		dotlock_drop(struct dotlock *lock);

#endif
