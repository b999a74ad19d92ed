/*
 * codec.h - base64, quoted-printable, encoded words, RFC 2231 parameters
 * and modified UTF-7. Decoders take what real mail holds and never fail on
 * mail; they append to a buf, whose maximum bounds them.
 */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>

#include "buf.h"
#include "str.h"

/*
 * Lenient, for mail: bytes outside the alphabet are skipped, a missing
 * padding is no error (RFC 2045 6.8).
 */
void	base64_decode(struct str in, struct buf *out);
/* Strict, for SASL: -1 on any foreign byte, bad length or padding. */
int	base64_decode_strict(struct str in, struct buf *out);
void	base64_encode(struct str in, struct buf *out);

/*
 * RFC 2045 6.7; broken escapes are kept as they stand. LF and CRLF ends are
 * kept as written. `underscore`: "_" is a space (RFC 2047 4.2).
 */
void	qp_decode(struct str in, bool underscore, struct buf *out);

enum cte { CTE_IDENTITY, CTE_QP, CTE_BASE64, CTE_UNKNOWN };
/* The value of a Content-Transfer-Encoding field, comments allowed. */
enum cte	cte_find(struct str value);

/*
 * Next piece of header text (RFC 2047): either a run of plain bytes or one
 * encoded word, decoded to bytes of `charset`. White space between two
 * adjacent encoded words is dropped, folding is undone (the line end goes,
 * the white space stays). Returns false at the end. Slices point into
 * *rest or into scratch, which is cleared by each call.
 */
struct word {
	struct str text;
	struct str charset;	/* n == 0: plain bytes */
};
bool	word_next(struct str *rest, struct buf *scratch, struct word *out);

/*
 * Modified UTF-7 of mailbox names (RFC 3501 5.1.3) to UTF-8 and back. -1
 * when the input is not legal (also: not the shortest form) or out is full.
 */
int	utf7_to_utf8(struct str in, struct buf *out);
int	utf7_from_utf8(struct str in, struct buf *out);

/* True when s is legal UTF-8 without surrogates and overlong forms. */
bool	utf8_valid(struct str s);

#endif
