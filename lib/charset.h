/*
 * charset.h - mail text to UTF-8, and the folding under which SEARCH
 * compares. The only file that knows iconv. US-ASCII, UTF-8, ISO-8859-1,
 * ISO-8859-15 and windows-1252 work without iconv (in a bare jail).
 */
#ifndef CHARSET_H
#define CHARSET_H

#include <stdbool.h>

#include "buf.h"
#include "str.h"

/*
 * A converter that stays open while consecutive texts name the same
 * charset. Declare as `struct charset c = { 0 }`; charset_close when done.
 */
struct charset {
	int kind;
	void *iconv;
	char name[64];
};

/* Can this charset (any case, no quotes) be converted? */
bool	charset_known(struct str name);
/*
 * Appends text, converted to UTF-8, to out. Bytes that do not convert
 * become U+FFFD; an unknown or empty charset is taken for US-ASCII with
 * 8-bit bytes kept when they are legal UTF-8, else as windows-1252.
 */
void	charset_to_utf8(struct charset *c, struct str name, struct str text,
	    struct buf *out);
void	charset_close(struct charset *c);

/*
 * Appends UTF-8 text folded for comparing: letters of all scripts that we
 * know in one case (i;ascii-casemap at the least, simple Unicode folding of
 * Latin, Greek and Cyrillic), line ends and runs of white space unchanged.
 */
void	charset_fold(struct str utf8, struct buf *out);

#endif
