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

/* Does text begin with an empty line, LF or CRLF? */
bool	header_ends(struct str text);
/*
 * Cuts the next field off *rest. False at the empty line (which stays in
 * *rest) and at the end. A continuation before any field, a line without a
 * colon, and one whose name is no field-name of RFC 5322 3.6.8 come as a
 * field with an empty name, the line itself as value.
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

/*
 * The tokens of RFC 5322 3.2 that structured fields share. What is not
 * closed ends where the text ends. Cuts white space and comments off *rest;
 * true when there were any. comment, when not NULL, becomes the inside of
 * the last one that has something in it.
 */
bool	lex_space(struct str *rest, struct str *comment);
/* *rest begins with a quote: cuts the quoted-string off, returns its inside
 * as written. */
struct str	lex_quoted(struct str *rest);
/* Copies the inside of a quoted-string or comment to `to` (room for raw.n),
 * escapes and line ends undone; returns the length. */
size_t	lex_unquote(char *to, struct str raw);

/* Address list, RFC 5322 3.4 with obsolete forms, walked item by item. */
enum addr_kind { ADDR_ONE, ADDR_GROUP_BEGIN, ADDR_GROUP_END };

/*
 * p == NULL is NIL. Of a group, `mailbox` is the name (RFC 3501 7.4.2) at
 * its begin, NIL at its end, and all else is NIL. An address without a host
 * has host ".MISSING-HOST-NAME.", as NIL there would say group; one without
 * a mailbox has mailbox "INVALID_ADDRESS"; one without both has that and
 * host ".SYNTAX-ERROR.". These are the words of UW-imapd, which clients
 * know. An address never has an empty name: that is NIL.
 */
struct addr {
	enum addr_kind kind;
	struct str name;	/* display name, else the last comment; quotes
				 * and escapes undone, encoded words not */
	struct str route;	/* obsolete source route "@a,@b" */
	struct str mailbox;	/* quotes and escapes undone */
	struct str host;
};

/* A walk; all of it is addr_next's own. */
struct addr_list {
	struct str rest;
	struct str comment;	/* the last one seen in this item */
	char *out;		/* where the next text goes */
	const char *plain;	/* up to here no "<" comes */
	bool in_group;
};

void	addr_begin(struct addr_list *list, struct pool *pool,
	    struct str value);
/*
 * The next item; false at the end. Never fails, and takes time linear in
 * the value. A semicolon outside a group counts as a comma; where a comma is
 * missing between two addresses both come; a group that is not closed ends
 * with the value; groups do not nest (RFC 5322 3.4).
 */
bool	addr_next(struct addr_list *list, struct addr *out);

/*
 * Envelope fields, values as in struct field; p == NULL when absent. Where a
 * field stands twice the first is here; `repeated` says that one of the
 * address fields does.
 */
struct envelope {
	struct str date, subject, from, sender, reply_to, to, cc, bcc,
	    in_reply_to, message_id;
	bool repeated;
};
void	envelope_read(struct str header, struct envelope *out);

#endif
