/*
 * body.h - ENVELOPE, BODY and BODYSTRUCTURE of one message, and the bytes
 * that a section names. Emits through reply.h; never reads a mailbox.
 */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>

#include "fetch.h"
#include "reply.h"
#include "lib/mem.h"
#include "lib/mime.h"
#include "lib/str.h"

/* The parenthesised list; missing Sender and Reply-To are filled from
 * From (RFC 3501 7.4.2). */
void	body_envelope(struct reply *r, struct pool *pool, struct str header);

/* BODY, or with `extended` BODYSTRUCTURE. */
void	body_structure(struct reply *r, struct pool *pool,
	    const struct part *root, bool extended);

/*
 * The text of a section; p == NULL when the message has no such part
 * (answered NIL). tree is asked for only when the section needs it. The
 * slice points into whole, or into the pool (HEADER.FIELDS).
 */
struct str	body_section(const struct section *section, struct pool *pool,
		    struct str header, struct str body, struct str whole,
		    struct part **tree);

#endif
