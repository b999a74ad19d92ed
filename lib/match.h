/*
 * match.h - LIST wildcards, without recursion: time is at most pattern
 * times name, whatever the pattern (RFC 3501 6.3.8).
 */
#ifndef MATCH_H
#define MATCH_H

#include <stdbool.h>

#include "str.h"

/* True when name matches; "*" is any bytes, "%" any bytes but delimiter.
 * A leading INBOX component is compared without case when the pattern's
 * own letters there spell it. */
bool	match_list(struct str pattern, struct str name, char delimiter);
/* True when some name that begins with `prefix` could match: whether it is
 * worth to descend into that directory (prefix ends in the delimiter). */
bool	match_list_below(struct str pattern, struct str prefix,
	    char delimiter);

#endif
