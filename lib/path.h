/*
 * path.h - a file's path being built in a fixed place, with its length. It
 * ends in NUL at every moment.
 */
#ifndef PATH_H
#define PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "str.h"

struct path {
	size_t n;
	char p[PATH_MAX];
};

/* False, and nothing changed, when it is too long. */
bool	path_set(struct path *path, struct str s);
/* Adds a slash and part; false, and nothing changed, when too long. */
bool	path_add(struct path *path, struct str part);
/* Back to its first n bytes. */
void	path_cut(struct path *path, size_t n);
/* Is path strictly below dir? Both resolved; "" is the root directory. */
bool	path_within(struct str dir, struct str path);

static inline struct str
path_str(const struct path *path)
{
	return (struct str){ path->p, path->n };
}

#endif
