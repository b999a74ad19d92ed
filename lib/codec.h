/*
 * codec.h - base64, quoted-printable, encoded words and modified UTF-7.
 * Decoders take what real mail holds and never fail on mail; they append to
 * a buf, whose maximum bounds them: what does not fit is cut short at some
 * place, and `over` tells.
 */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "str.h"

/*
 * Lenient, for mail: bytes outside the alphabet are skipped, a missing
 * padding is no error, the first "=" ends the data (RFC 2045 6.8). Room
 * for three quarters of `in` is enough.
 */
void	base64_decode(struct str in, struct buf *out);
/*
 * Strict, for SASL: -1, and out as it was, on any foreign byte, bad length
 * or padding, or when out is full. A lone "=" is for the caller to know.
 */
int	base64_decode_strict(struct str in, struct buf *out);
void	base64_encode(struct str in, struct buf *out);

/*
 * RFC 2045 6.7; broken escapes are kept as they stand. LF and CRLF ends are
 * kept as written; white space before them goes, and a "=" there or at the
 * very end is a soft line break. `underscore`: in is one Q-encoded text
 * (RFC 2047 4.2), "_" is a space, and there are no lines.
 */
void	qp_decode(struct str in, bool underscore, struct buf *out);

enum cte { CTE_IDENTITY, CTE_QP, CTE_BASE64, CTE_UNKNOWN };
/*
 * The value of a Content-Transfer-Encoding field, comments allowed; empty
 * is CTE_IDENTITY.
 */
enum cte	cte_find(struct str value);
/*
 * Appends what a body that was sent in base64 or quoted-printable holds. Line
 * ends that are not encoded themselves become CRLF. Of another encoding
 * nothing. Room for twice `in` is enough.
 */
void	cte_decode(enum cte cte, struct str in, struct buf *out);

/*
 * Next piece of header text (RFC 2047): either a run of plain bytes or an
 * encoded word, decoded to bytes of `charset`. Adjacent words of the same
 * charset come as one, so that a character split between them is whole
 * again. White space between two adjacent encoded words is dropped, folding
 * is undone (the line end goes, the white space stays). Returns false at
 * the end. Slices point into *rest or into scratch, which is cleared by
 * each call; a single word that is too big for scratch leaves it `over`.
 */
struct word {
	struct str text;
	struct str charset;	/* n == 0: plain bytes, or none was named */
};
bool	word_next(struct str *rest, struct buf *scratch, struct word *out);

/*
 * Modified UTF-7 of mailbox names (RFC 3501 5.1.3) to UTF-8 and back. -1,
 * and out as it was, when the input is not legal (also: not the shortest
 * form, or NUL) or out is full.
 */
int	utf7_to_utf8(struct str in, struct buf *out);
int	utf7_from_utf8(struct str in, struct buf *out);

#endif
