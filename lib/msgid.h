/*
 * msgid.h - the Message IDs of a header field (RFC 5322 3.6.4), in the one
 * form in which they can be compared.
 */
#ifndef MSGID_H
#define MSGID_H

#include <stdbool.h>

#include "mem.h"
#include "str.h"

/*
 * Cuts the text up to the end of its next msg-id off *rest; false when there
 * is none any more. *id, in the pool, is without "<" and ">", white space
 * and the quotes that RFC 5256 section 3 calls "multiple ways of expressing
 * the same Message ID". What has no "@" with something on both sides of it,
 * or more than 1,000 bytes, is none.
 */
bool	msgid_next(struct pool *pool, struct str *rest, struct str *id);

#endif
