/*
 * fromline.h - the From_ line that begins a message in an mbox: which lines
 * are one, and what they say. Grammar: mbox.md 1.3, read from the end of
 * the line so that a sender may hold spaces.
 */
#ifndef FROMLINE_H
#define FROMLINE_H

#include "buf.h"
#include "date.h"
#include "str.h"

enum fromline_kind {
	FROMLINE_NOT,		/* no From_ line: body text */
	FROMLINE_LAX,		/* odd date: only with a blank line before */
	FROMLINE_STRICT,
};

struct fromline {
	struct str sender;	/* a slice of the line, may be empty */
	int64_t wall;		/* date as written, seconds, without zone */
	int zone;		/* minutes east of UTC */
	bool has_zone;		/* else `wall` is the server's local time */
};

/*
 * line: from "From " on, with or without its LF or CRLF. Only what the
 * answer needs is set when out is NULL.
 */
enum fromline_kind	fromline_read(struct str line, struct fromline *out);
/* The instant, in the server's zone where the line names none. */
void	fromline_date(const struct fromline *from, struct date *out);
/*
 * Appends the line, with LF, that says this; the sender must hold neither
 * blanks nor controls. The date comes back from it as it was, but for years
 * that no such line can say: of those the nearest is written.
 */
void	fromline_write(struct str sender, const struct date *date,
	    struct buf *out);

/*
 * True when the line (as above) looks like the first line of a header:
 * 1*(33..126 except ":") ":", or ">From ", or an empty line (mbox.md 1.3).
 */
bool	fromline_header_like(struct str line);

#endif
