/*
 * mime.h - the MIME part tree of one message (RFC 2045, 2046), built in a
 * pool in time linear in the message. Slices point into the message. It
 * never fails: what is broken is shown as RFC 2045 5.2 says, as text/plain,
 * and what lies beyond a cap as one opaque part, application/octet-stream.
 */
#ifndef MIME_H
#define MIME_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"
#include "str.h"

struct param {
	struct str name;	/* as written */
	struct str value;	/* quotes and escapes undone */
	struct param *next;
};

struct part {
	struct str header;	/* with its empty line, if that is there and its
				 * line end is no delimiter's */
	struct str body;
	struct str type;	/* as written, or the default */
	struct str subtype;
	struct param *params;
	struct str id;		/* unfolded; p == NULL is NIL, so below too */
	struct str description;
	struct str encoding;	/* as written, default "7BIT" */
	struct str md5;
	struct str disposition;
	struct param *disposition_params;
	struct str *languages;	/* n_languages of them */
	unsigned n_languages;
	struct str location;
	uint64_t size;		/* octets of body with CRLF line ends */
	uint64_t lines;		/* line ends of body */
	bool multipart;		/* has a boundary; at least one child */
	bool message;		/* message/rfc822: child is the one inside */
	struct part *child;
	struct part *next;
	struct part *up;
};

/*
 * header and body of a whole message; depth and count caps of params.h.
 * A multipart in whose body no part begins gets an empty text/plain part:
 * body-type-mpart of RFC 3501 needs one. A multipart without a boundary is
 * text/plain. A message/rfc822 is looked into whatever its encoding says,
 * as RFC 2046 5.2.1 permits none that would change anything.
 */
struct part	*mime_parse(struct pool *pool, struct str header,
		    struct str body);
/* Only the fields of one header, no children looked for. `digest`: default
 * type is message/rfc822 (RFC 2046 5.1.5). */
struct part	*mime_header(struct pool *pool, struct str header,
		    bool digest);

/*
 * The part that section numbers name (RFC 3501 6.4.5): part 1 of a message
 * that is not multipart is its body. NULL when there is none.
 */
struct part	*mime_find(struct part *root, const uint32_t *numbers,
		    size_t n);

/* Where header ends and body begins in text: right behind the first empty
 * line, or all of it when there is none. */
size_t	mime_header_end(struct str text);
/* The value of parameter `name` (any case) or {NULL, 0}. */
struct str	param_find(const struct param *params, struct str name);
/* Does the part hold text of a human (text type, or message header)? */
bool	mime_is_text(const struct part *part);

#endif
