/*
 * subject.h - the base subject of RFC 5256 2.1: what a subject says without
 * the marks of replies and forwards.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <stdbool.h>

#include "buf.h"
#include "str.h"

/*
 * The base subject of a Subject field's value, decoded to UTF-8 (step 1 of
 * RFC 5256 2.1 up to there is the caller's). *out holds it and is cleared
 * before; the slice that is returned points into it. *answer, when not NULL:
 * something of a reply or a forward was removed (section 3, REFERENCES).
 * Takes time linear in the length.
 */
struct str	subject_base(struct str utf8, struct buf *out, bool *answer);

#endif
