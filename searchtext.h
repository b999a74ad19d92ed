/*
 * searchtext.h - does this string stand in that message's text? What a
 * header field or a part says is compared as its reader sees it: transfer
 * encoding, charset, encoded words and folding undone, by i;unicode-casemap
 * (RFC 5051), or i;ascii-casemap where Unicode's tables are left out.
 * Knows no IMAP and no mailbox; bytes in, yes or no out.
 */
#ifndef SEARCHTEXT_H
#define SEARCHTEXT_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/charset.h"
#include "lib/mem.h"
#include "lib/mime.h"
#include "lib/str.h"

/* A string to be found. */
struct needle {
	struct str folded;	/* by casemap_add, line ends as LF */
	struct str core;	/* its longest run without white space */
	bool ascii;		/* folded is */
	bool spaced;		/* holds white space */
	bool lined;		/* holds a line end */
};

/* utf8 is copied to the pool. */
void	searchtext_needle(struct pool *pool, struct str utf8,
	    struct needle *out);

/* The message looked at, and memory that serves one after the other. */
struct searchtext {
	struct str header;
	struct str body;
	/* Private. */
	struct part *tree;	/* NULL: not asked for yet */
	struct pool *pool;
	struct charset charset;
	struct buf line, bytes, utf8, folded, scratch;
};

void	searchtext_begin(struct searchtext *t);
void	searchtext_end(struct searchtext *t);
/* The next message; body may be empty while only its header is asked. */
void	searchtext_set(struct searchtext *t, struct str header,
	    struct str body);

/* A field's value as its reader sees it: encoded words, folding and raw 8-bit
 * text as UTF-8. Valid until the next call with t. */
struct str	searchtext_words(struct searchtext *t, struct str value);

/*
 * In any field of that name, white space around its value not counted. An
 * empty needle is in every field, and in none where there is no field.
 */
bool	searchtext_field(struct searchtext *t, struct str name,
	    const struct needle *n);
/* The same of an address field; also what its envelope structure holds. */
bool	searchtext_addresses(struct searchtext *t, struct str name,
	    const struct needle *n);
/* In the header, field names included, as it stands or decoded. */
bool	searchtext_header(struct searchtext *t, const struct needle *n);
/*
 * In what the body's parts say: text of any kind, and the header of each
 * message inside; with `mime` the headers of parts too (names of attached
 * files). Not in pictures and the like, as RFC 3501 6.4.4 allows, and not
 * between the parts.
 */
bool	searchtext_body(struct searchtext *t, const struct needle *n,
	    bool mime);

#endif
