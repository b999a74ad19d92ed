/*
 * lock.h - the only file that locks a mailbox. Locks are taken on a
 * descriptor, whole file, never two mailboxes at once, and never held
 * while the client is read from or written to (mbox.md 3.2).
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdbool.h>

#include "lib/err.h"

/* --dotlock: PATH.lock where the system lets us, or else not at all. */
enum lock_dotlock { DOTLOCK_TRY, DOTLOCK_REQUIRE, DOTLOCK_NO };

/*
 * Shared fcntl (OFD where there is) plus flock, waiting up to `seconds`.
 * E_INUSE when another program kept it that long. fd must be readable.
 */
enum err	lock_read(int fd, int seconds, struct why *why);
/*
 * Exclusive fcntl and flock, and PATH.lock as `dot` says, waiting up to
 * `seconds`. fd must be writable. Nothing may be held before, not even for
 * reading: two readers who both wait to become writers wait for ever.
 *
 * E_INUSE  another program kept it that long; why names it if it can
 * E_GONE   path is no longer the one name of the file on fd: reopen
 * E_PERM   no dotlock can be made, and it is required
 */
enum err	lock_write(int fd, const char *path, enum lock_dotlock dot,
		    int seconds, struct why *why);
/* Keeps a dotlock young: call it often during long work, it is cheap. */
void		lock_touch(void);
/* Gives back whatever is held on fd. */
void		lock_drop(int fd);
/* Is anything held? The session asserts that it is not between commands. */
bool		lock_held(void);

#endif
