/*
 * charset.h - mail text to UTF-8. The only file that knows iconv. US-ASCII,
 * UTF-8, and the common charsets of one byte work without it: in a bare jail,
 * and in a program that was built without iconv, as a static one is. The
 * others are unknown there.
 */
#ifndef CHARSET_H
#define CHARSET_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "str.h"

enum { CHARSET_NAME_MAX = 63 };

/*
 * A converter that stays open while consecutive texts name the same
 * charset. Declare as `struct charset c = { 0 }`; charset_close when done.
 */
struct charset {
	int kind;
	const uint16_t *table;
	void *iconv;
	char name[CHARSET_NAME_MAX + 1];
};

/*
 * Can this charset (any case, no quotes) be converted? Any bytes may be
 * asked about; only letters, digits and "._:()+-" ever reach iconv.
 */
bool	charset_known(struct str name);
/*
 * Appends text, converted to UTF-8, to out. Bytes that do not convert
 * become U+FFFD. An unknown or empty charset is taken for US-ASCII, and in
 * that 8-bit bytes are kept when they are legal UTF-8, else taken for
 * windows-1252; ISO-8859-1 is read as its superset windows-1252: control
 * characters are never what the sender put there. TIS-620 and ISO-8859-8-i
 * are read likewise. A text that does not fit leaves out `over`, cut short at
 * some place.
 */
void	charset_to_utf8(struct charset *c, struct str name, struct str text,
	    struct buf *out);
void	charset_close(struct charset *c);

#endif
