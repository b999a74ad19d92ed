/*
 * buf.h - growable bytes with a hard maximum. Declare as
 * `struct buf b = BUF_MAX(limit)`; buf_free when done. The owner is whoever
 * declared it. An addition that would pass the maximum changes nothing and
 * sets `over`, so that a chain of additions can be checked once at its end.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "str.h"

struct buf {
	char *p;
	size_t n;
	size_t room;
	size_t max;
	bool over;
};

#define BUF_MAX(limit)	{ .max = (limit) }

void	buf_add(struct buf *b, struct str s);
void	buf_addc(struct buf *b, char c);
/* Formats our own text; never for client or mailbox data. */
void	buf_addf(struct buf *b, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/*
 * Makes room for n more bytes and returns where they go; the caller adds
 * what it wrote to b->n. NULL (and over) beyond the maximum.
 */
char	*buf_grow(struct buf *b, size_t n);
/* Empties, keeps the memory. */
void	buf_clear(struct buf *b);
void	buf_free(struct buf *b);

static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

#endif
