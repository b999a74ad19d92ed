/*
 * body.h - ENVELOPE, BODY and BODYSTRUCTURE of one message, and the bytes
 * that a section names. Emits through reply.h; never reads a mailbox.
 */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>

#include "fetch.h"
#include "reply.h"
#include "lib/codec.h"
#include "lib/mem.h"
#include "lib/mime.h"
#include "lib/str.h"

/*
 * The parenthesised list; missing Sender and Reply-To are filled from From
 * (RFC 3501 7.4.2). Address fields that stand more than once are shown
 * together, so that no mail shows one sender here and another one there;
 * of the other fields the first counts.
 */
void	body_envelope(struct reply *r, struct pool *pool, struct str header);

/* BODY, or with `extended` BODYSTRUCTURE, of a tree of mime_parse. */
void	body_structure(struct reply *r, struct pool *pool,
	    const struct part *root, bool extended);

/*
 * The text of a section; p == NULL when the message has no such part
 * (answered NIL). The tree is parsed only when the section needs it, and
 * kept in *tree. The slice points into header, body or whole, or into the
 * pool (HEADER.FIELDS).
 */
struct str	body_section(const struct section *section, struct pool *pool,
		    struct str header, struct str body, struct str whole,
		    struct part **tree);

/*
 * Of a section of BINARY or BINARY.SIZE: the text, and in *cte how to decode
 * it (RFC 3516 section 3); CTE_UNKNOWN when nobody can. A multipart and a
 * message are what they seem: "it is EXPRESSLY FORBIDDEN to use any encodings
 * other than "7bit", "8bit", or "binary" with any composite media type" (RFC
 * 2045 6.4). So is the whole message.
 */
struct str	body_encoded(const struct section *section,
		    struct pool *pool, struct str header, struct str body,
		    struct str whole, struct part **tree, enum cte *cte);

#endif
