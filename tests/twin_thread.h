/*
 * twin_thread.h - what must be so of any tree that THREAD makes, and a forest
 * that simply walks.
 */
#ifndef TWIN_THREAD_H
#define TWIN_THREAD_H

#include <stdlib.h>

#include "../thread_own.h"

static inline uint32_t
walk(const uint32_t *up, uint32_t v)
{
	while (up[v] != 0)
		v = up[v];
	return v;
}

/* Each message once, and nobody else; the longest way down. */
static inline bool
whole(const struct thread *thread, uint32_t n, uint32_t *depth)
{
	bool *seen = calloc((size_t)n + 1, sizeof(*seen));
	uint32_t node = thread->at[0].child, found = 0, at = 1, odd = 0;

	*depth = 0;
	while (node != 0) {
		if (thread->at[node].number != 0) {
			if (thread->at[node].number > n ||
			    seen[thread->at[node].number])
				odd++;
			else
				seen[thread->at[node].number] = true;
			found++;
		} else if (thread->at[node].up != 0) {
			odd++;
		}
		if (at > *depth)
			*depth = at;
		if (thread->at[node].child != 0) {
			node = thread->at[node].child;
			at++;
			continue;
		}
		while (node != 0 && thread->at[node].next == 0) {
			node = thread->at[node].up;
			at--;
		}
		node = node == 0 ? 0 : thread->at[node].next;
	}
	free(seen);
	return found == n && odd == 0;
}

#endif
