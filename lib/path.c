/*
 * path.c - paths in fixed memory: nothing is cut off silently, a path that
 * does not fit is refused. Knows bytes only and asks no file system.
 */
#include "path.h"

#include <string.h>

bool
path_set(struct path *path, struct str s)
{
	if (s.n >= sizeof(path->p))
		return false;
	memcpy(path->p, s.p, s.n);
	path_cut(path, s.n);
	return true;
}

bool
path_add(struct path *path, struct str part)
{
	if (part.n >= sizeof(path->p) - path->n - 1)
		return false;
	path->p[path->n] = '/';
	memcpy(path->p + path->n + 1, part.p, part.n);
	path_cut(path, path->n + 1 + part.n);
	return true;
}

void
path_cut(struct path *path, size_t n)
{
	path->n = n;
	path->p[n] = '\0';
}

bool
path_within(struct str dir, struct str path)
{
	return str_starts(path, dir) && path.n > dir.n + 1 &&
	    path.p[dir.n] == '/';
}
