/*
 * buf.c - growable bytes with a hard maximum. An addition happens whole or
 * not at all.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

char *
buf_grow(struct buf *b, size_t n)
{
	size_t need, room;

	if (b->over || __builtin_add_overflow(b->n, n, &need) ||
	    need > b->max) {
		b->over = true;
		return NULL;
	}
	if (need > b->room || b->p == NULL) {
		room = b->room > b->max / 2 ? b->max : b->room * 2;
		if (room < need)
			room = need;
		if (room < 64)
			room = b->max < 64 ? need : 64;
		b->p = xrealloc(b->p, room, 1);
		b->room = room;
	}
	return b->p + b->n;
}

void
buf_add(struct buf *b, struct str s)
{
	char *to = buf_grow(b, s.n);

	if (to == NULL || s.n == 0)
		return;
	memcpy(to, s.p, s.n);
	b->n += s.n;
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, (struct str){ &c, 1 });
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		b->over = true;
	else
		buf_add(b, (struct str){ text, (size_t)n });
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->over = false;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = b->room = 0;
	b->over = false;
}
