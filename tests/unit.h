/*
 * unit.h - the whole unit test helper: TAP for prove. A test file is a
 * main() of CHECK lines that ends in `return unit_end();`.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../lib/str.h"

static int unit_n, unit_bad;

static inline bool
unit_check(bool good, const char *what, const char *file, int line)
{
	unit_n++;
	printf("%sok %d - %s\n", good ? "" : "not ", unit_n, what);
	if (!good) {
		unit_bad++;
		printf("# %s:%d\n", file, line);
	}
	return good;
}

/* One test point, named in words. */
#define CHECK(what, condition)						\
	unit_check((condition), (what), __FILE__, __LINE__)

static inline void
unit_str(struct str got, struct str want, const char *what,
    const char *file, int line)
{
	if (!unit_check(got.n == want.n && (got.n == 0 ||
	    memcmp(got.p, want.p, got.n) == 0), what, file, line))
		printf("# got  <%.*s>\n# want <%.*s>\n", (int)got.n,
		    got.p ? got.p : "", (int)want.n, want.p ? want.p : "");
}

#define CHECK_STR(what, got, want)					\
	unit_str((got), (want), (what), __FILE__, __LINE__)

static inline int
unit_end(void)
{
	printf("1..%d\n", unit_n);
	return unit_bad ? 1 : 0;
}

#endif
