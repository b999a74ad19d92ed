/*
 * casemap.h - the collation i;unicode-casemap (RFC 5051), by which texts are
 * sorted. The only file that knows utf8proc.
 */
#ifndef CASEMAP_H
#define CASEMAP_H

#include <stdbool.h>

#include "buf.h"
#include "str.h"

/* Was it built with Unicode's tables? Without them only ASCII is known. */
bool	casemap_known(void);
/*
 * Appends the "titlecased canonicalized UTF-8" of RFC 5051 section 2: texts
 * that are equal, or sort one before the other, do so byte by byte now. Bytes
 * that are no UTF-8 pass through. What does not fit leaves out `over`.
 */
void	casemap_add(struct str utf8, struct buf *out);

#endif
