/*
 * reply.h - the only writer of IMAP syntax. Whatever comes from disk or
 * client leaves as a quoted string if it is clean, else as a literal; NUL
 * leaves only in a literal8, else it becomes 0x80, as with UW.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/date.h"
#include "lib/flags.h"
#include "lib/io.h"
#include "lib/set.h"
#include "lib/str.h"

struct reply {
	struct io *io;
};

/* Fixed protocol text of ours, numbers: never client or mailbox bytes. */
void	reply_f(struct reply *r, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	reply_raw(struct reply *r, struct str s);
void	reply_number(struct reply *r, uint64_t n);

/* string: quoted when every byte is 7-bit, no CR LF NUL; else a literal. */
void	reply_string(struct reply *r, struct str s);
/* The same, NIL when s.p == NULL. */
void	reply_nstring(struct reply *r, struct str s);
/* astring: an atom when it can be one. Mailbox names go out so. */
void	reply_astring(struct reply *r, struct str s);

/* Bytes of text after CRLF conversion (lone LF counts two). */
uint64_t	reply_crlf_size(struct str text);
/* A literal of text, lone LF sent as CRLF; size as above, counted before. */
void	reply_literal(struct reply *r, struct str text, uint64_t size);
/*
 * The literal of octets [first, first + count) of text as converted; an
 * empty string when first is beyond its end. `size` as above.
 */
void	reply_literal_part(struct reply *r, struct str text, uint64_t size,
	    uint32_t first, uint32_t count);
/*
 * For BINARY (RFC 3516), `count` octets from `first` on: of text as converted,
 * with its NULs, or of data as it is. A literal8 when there is any NUL in all
 * of it, else a literal; an empty string when first is beyond the end.
 */
void	reply_binary_text(struct reply *r, struct str text, uint64_t size,
	    uint64_t first, uint64_t count);
void	reply_binary_data(struct reply *r, struct str data, uint64_t first,
	    uint64_t count);

/* "(\Seen word)" of the bits in flags and keywords. */
void	reply_flags(struct reply *r, unsigned flags, uint32_t keywords,
	    const struct keywords *names);
/* Ranges of a resolved set, "1:3,5". */
void	reply_set(struct reply *r, const struct set *set);
/* "17-Jul-1996 02:44:25 -0700" with its quotes. */
void	reply_date(struct reply *r, const struct date *date);

/* Human text: bytes that are not printable ASCII leave as "?". */
void	reply_text(struct reply *r, const char *text);

#endif
