/*
 * rfc822.h - header fields and addresses as real mail writes them. Slices
 * point into the header or the pool. LF and CRLF ends are both good.
 */
#ifndef RFC822_H
#define RFC822_H

#include <stdbool.h>

#include "mem.h"
#include "str.h"

struct field {
	struct str whole;	/* name to last EOL, continuations included */
	struct str name;	/* without colon and white space before it;
				 * empty for a line that is no field */
	struct str value;	/* behind the colon, folded, last EOL cut */
};

/*
 * Cuts the next field off *rest. False at the empty line (which stays in
 * *rest) and at the end. A continuation before any field, or a line
 * without a colon, comes as a field with an empty name.
 */
bool	header_next(struct str *rest, struct field *out);
/* The first field of that name (any case); false when there is none. */
bool	header_find(struct str header, struct str name, struct field *out);
/*
 * value with each line end removed (the white space behind it stays) and
 * white space at both ends cut: RFC 5322 2.2.3. Borrowed when there was
 * nothing to unfold, else in the pool.
 */
struct str	header_unfold(struct pool *pool, struct str value);

/* Address list, RFC 5322 3.4 with obsolete forms, walked item by item. */
enum addr_kind { ADDR_ONE, ADDR_GROUP_BEGIN, ADDR_GROUP_END };

struct addr {
	enum addr_kind kind;
	/* p == NULL is NIL; group: `mailbox` is its name (RFC 3501 7.4.2). */
	struct str name;	/* display name, quotes and escapes undone,
				 * encoded words untouched */
	struct str route;	/* obsolete source route "@a,@b" */
	struct str mailbox;
	struct str host;
};

struct addr_list {
	struct pool *pool;
	struct str rest;
	bool in_group;
	unsigned comment_depth;
};

void	addr_begin(struct addr_list *list, struct pool *pool,
	    struct str value);
/*
 * The next item; false at the end. Never fails: what is no address comes
 * as one with host NIL replaced by ".SYNTAX-ERROR." as UW does. Linear.
 */
bool	addr_next(struct addr_list *list, struct addr *out);

/* Envelope fields, values as in struct field; p == NULL when absent. Where
 * a field stands twice the first counts. */
struct envelope {
	struct str date, subject, from, sender, reply_to, to, cc, bcc,
	    in_reply_to, message_id;
};
void	envelope_read(struct str header, struct envelope *out);

#endif
