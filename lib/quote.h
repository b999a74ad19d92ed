/*
 * quote.h - mboxrd quoting (mbox.md 1.4): a line of ">"s, perhaps of none,
 * and then "From " gets one ">" more on its way into an mbox, and loses it
 * on its way out. So no text can be taken for a From_ line, and every text
 * comes back as it was.
 */
#ifndef QUOTE_H
#define QUOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "str.h"

/* Where in its line a text stands; zeroed where a line begins. */
struct quote {
	unsigned at;
	bool marked;		/* the line begins with a ">" */
};

/*
 * Goes on in a text, which may be cut into pieces anywhere, from byte *at of
 * this piece on. True when "From " behind ">"s alone (q->marked: one at
 * least) ends at *at; else *at is the end of the piece.
 */
bool	quote_find(struct quote *q, struct str text, size_t *at);

/* Takes the quoting out of a whole text in place; its new length. */
size_t	quote_remove(char *p, size_t n);

#endif
