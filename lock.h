/*
 * lock.h - the only file that locks a mailbox. Locks are taken on a
 * descriptor, whole file, never two mailboxes at once, and never held
 * while the client is read from or written to (mbox.md 3.2).
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdbool.h>

#include "lib/err.h"

/*
 * Shared fcntl (OFD where there is) plus flock, waiting up to `seconds`.
 * E_INUSE when another program kept it that long. fd must be readable.
 */
enum err	lock_read(int fd, int seconds, struct why *why);
/* Gives back whatever is held on fd. */
void		lock_drop(int fd);
/* Is anything held? The session asserts that it is not between commands. */
bool		lock_held(void);

#endif
