/*
 * twin_mime.h - all that mime.h says of a tree, asked of every part: where it
 * lies, in which order, and what was counted.
 */
#ifndef TWIN_MIME_H
#define TWIN_MIME_H

#include "../lib/mime.h"
#include "../lib/params.h"

/* What size and lines mean, a byte at a time. */
static inline bool
counted(const struct part *part)
{
	uint64_t size = 0, lines = 0;
	size_t i;

	for (i = 0; i < part->body.n; i++) {
		size += part->body.p[i] == '\n' &&
		    (i == 0 || part->body.p[i - 1] != '\r') ? 2 : 1;
		lines += part->body.p[i] == '\n';
	}
	return part->size == size && part->lines == lines;
}

static inline bool
inside(struct str in, struct str of)
{
	return in.p >= of.p && in.p + in.n <= of.p + of.n;
}

/* True when all that mime.h says of a tree holds; *parts counts. */
static inline bool
sound(const struct part *part, unsigned depth, unsigned *parts)
{
	const struct part *child;
	bool good = counted(part) && depth <= MIME_DEPTH_MAX &&
	    part->header.p != NULL && part->body.p != NULL &&
	    part->type.n > 0 && part->subtype.n > 0 && part->encoding.n > 0;

	++*parts;
	good &= (part->multipart || part->message) == (part->child != NULL);
	good &= !(part->message && part->child->next != NULL);
	for (child = part->child; child != NULL; child = child->next) {
		good &= child->up == part && inside(child->header, part->body)
		    && inside(child->body, part->body);
		good &= child->header.p + child->header.n == child->body.p;
		good &= child->next == NULL || child->body.p + child->body.n
		    <= child->next->header.p;
		good &= sound(child, depth + 1, parts);
	}
	return good;
}

#endif
