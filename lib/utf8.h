/*
 * utf8.h - UTF-8, character by character.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

/* True when s is legal UTF-8 without surrogates and overlong forms. */
bool	utf8_valid(struct str s);
/* Bytes at the start of s that are legal UTF-8, or ASCII. */
size_t	utf8_prefix(struct str s);
size_t	ascii_prefix(struct str s);
/* Length of the character that s begins with, 1 to 4; 0 when it is none. */
size_t	utf8_get(struct str s, uint32_t *cp);
/* Writes cp, at most U+10FFFF, and returns its length. */
size_t	utf8_put(char to[4], uint32_t cp);

#endif
