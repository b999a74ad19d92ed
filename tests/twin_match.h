/*
 * twin_match.h - LIST patterns by the recursive definition of RFC 3501 6.3.8:
 * exponential, so for small ones only. Shares nothing with lib/match.c.
 */
#ifndef TWIN_MATCH_H
#define TWIN_MATCH_H

#include "../lib/str.h"

static inline bool
same(struct str name, size_t at, char c)
{
	bool inbox = name.n >= 5 && (name.n == 5 || name.p[5] == '/') &&
	    str_ieq(str_sub(name, 0, 5), STR("INBOX"));

	if (inbox && at < 5)
		return ascii_lower((unsigned char)name.p[at]) ==
		    ascii_lower((unsigned char)c);
	return name.p[at] == c;
}

/* The definition: exponential, and plain to see. */
static inline bool
slow(struct str p, struct str name, size_t at, bool below)
{
	char c;

	if (at == name.n && below && p.n > 0)
		return true;
	if (p.n == 0)
		return at == name.n && !below;
	c = p.p[0];
	if (c != '*' && c != '%')
		return at < name.n && same(name, at, c) &&
		    slow(str_from(p, 1), name, at + 1, below);
	if (slow(str_from(p, 1), name, at, below))
		return true;
	return at < name.n && (c == '*' || name.p[at] != '/') &&
	    slow(p, name, at + 1, below);
}

#endif
