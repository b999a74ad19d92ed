/*
 * quote.c - finds the lines that mboxrd quoting is about. One pass, a few
 * bytes of state, whatever the pieces and however long a line: neither a
 * line nor its run of ">"s need be in memory. Whether a text is quoted at
 * all is not known here.
 */
#include "quote.h"

#include <string.h>

enum {
	FROM_BYTES = sizeof("From ") - 1,
	/* quote.at where this line can be none of ours any more. */
	ELSEWHERE = FROM_BYTES,
};

bool
quote_find(struct quote *q, struct str text, size_t *at)
{
	size_t i = *at;

	while (i < text.n) {
		if (q->at == ELSEWHERE) {
			i += str_index(str_from(text, i), '\n');
			if (i == text.n)
				break;
			i++;
			*q = (struct quote){ .at = 0 };
		} else if (q->at == 0 && text.p[i] == '>') {
			q->marked = true;
			i++;
		} else if (text.p[i] == "From "[q->at]) {
			i++;
			if (++q->at == FROM_BYTES) {
				*at = i;
				return true;
			}
		} else
			q->at = ELSEWHERE;
	}
	*at = i;
	return false;
}

/* The ">" that goes is the one before "From ": all of them are alike. */
size_t
quote_remove(char *p, size_t n)
{
	struct quote q = { .at = 0 };
	struct str text = { p, n };
	size_t at = 0, from = 0, to = 0, cut;

	while (quote_find(&q, text, &at)) {
		if (!q.marked)
			continue;
		cut = at - FROM_BYTES - 1;
		memmove(p + to, p + from, cut - from);
		to += cut - from;
		from = cut + 1;
	}
	if (to < from)
		memmove(p + to, p + from, n - from);
	return to + n - from;
}
