/*
 * limit.h - what the system lets a process use.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

/* Of RLIMIT_`what`, no more than `most` from now on; a smaller limit that the
 * starter has set stays. False, with errno, when the system refuses. */
bool	limit_set(int what, rlim_t most);

#endif
