/*
 * twin_scan.h - what scan.h defines, written down as naively as possible, a
 * byte at a time.
 */
#ifndef TWIN_SCAN_H
#define TWIN_SCAN_H

#include "../lib/str.h"

static inline bool
bare_at(const char *p, size_t i)
{
	return p[i] == '\n' && (i == 0 || p[i - 1] != '\r');
}

static inline size_t
naive_from(const char *p, size_t n, size_t at, uint64_t *bare)
{
	size_t i;

	for (i = at; i < n; i++) {
		*bare += bare_at(p, i);
		if ((p[i] == '\n' || p[i] == '\0') && i + 6 <= n &&
		    memcmp(p + i + 1, "From ", 5) == 0)
			return i;
	}
	return n;
}

static inline size_t
naive_find(const char *p, size_t n, size_t at, const char *needle, size_t m)
{
	size_t i, k;

	for (i = at; i <= n && m <= n - i; i++) {
		for (k = 0; k < m; k++)
			if ((char)ascii_lower((unsigned char)p[i + k]) !=
			    needle[k])
				break;
		if (k == m)
			return i;
	}
	return n;
}

#endif
