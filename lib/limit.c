/*
 * limit.c - what the system lets a process use. It only ever lowers a
 * limit, both the one that holds and the one that it could be raised to.
 */
#include "limit.h"

bool
limit_set(int what, rlim_t most)
{
	struct rlimit r;

	if (getrlimit(what, &r) != 0)
		return false;
	if (r.rlim_cur > most)
		r.rlim_cur = most;
	if (r.rlim_max > most)
		r.rlim_max = most;
	return setrlimit(what, &r) == 0;
}
