/*
 * stamp.h - writes what meta.h reads: the metadata fields of one message,
 * as UW-imapd writes them, byte for byte but for more blanks in the first
 * message (mbox.md 2.1), so that every mail program finds nothing to mend. A
 * header here is what stands between the From_ line and the body, with or
 * without its empty line, with line ends of any kind. Visible fields never
 * change.
 */
#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "flags.h"
#include "str.h"

struct stamp {
	uint32_t uid;		/* 0: no X-UID */
	uint32_t keywords;	/* bit i for names->name[i] */
	unsigned flags;		/* FLAGS_SYSTEM and FLAG_OLD; others are not
				 * written */
	bool base;		/* with X-IMAPbase: the first message */
	uint32_t uidvalidity;
	uint32_t uidlast;
	const struct keywords *names;	/* NULL: the mailbox has none */
	bool quoted;		/* with X-IMAPd-Quoted */
};

/*
 * Appends the new header: the old one without any metadata field, then the
 * block, then the empty line, which is the old one if there was one. The
 * block has the line ends of the first line that is kept. A last line that
 * the end of the file cut off is ended first.
 */
void	stamp_header(struct str header, const struct stamp *s,
	    struct buf *out);
/* Length of what stamp_header would append. */
size_t	stamp_header_size(struct str header, const struct stamp *s);

/*
 * New flags and keywords in place: appends bytes that are to overwrite as
 * many at *at of the header; none when it says all that already. 0, or -1
 * when they do not fit, or when the fields at the header's end are not
 * those of a message with this UID. The field names and numbers of X-UID
 * and X-IMAPbase stay as they are and where they are. Looks at neither
 * s->base nor s->quoted. Whether the bytes cross a sector's boundary is
 * the caller's concern.
 */
int	stamp_patch(struct str header, const struct stamp *s, size_t *at,
	    struct buf *out);
/*
 * The same for uidlast and the list of keywords in X-IMAPbase or X-IMAP,
 * with room taken from the padding behind it: fields in between, X-UID
 * among them, may move. -1 also when it holds another UIDVALIDITY.
 */
int	stamp_patch_base(struct str header, const struct stamp *s, size_t *at,
	    struct buf *out);

#endif
