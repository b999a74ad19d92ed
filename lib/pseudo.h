/*
 * pseudo.h - the message that UW and Dovecot put into a mailbox without
 * mail: it marks the file as an mbox and keeps what must outlive the last
 * message (mbox.md 2.1). Reading it is meta.h's.
 */
#ifndef PSEUDO_H
#define PSEUDO_H

#include <stdint.h>

#include "buf.h"
#include "date.h"
#include "flags.h"
#include "str.h"

/*
 * Appends the message, with the empty line behind it, as UW's CREATE writes
 * it. now is in the server's zone (date_to_local), host our name.
 */
void	pseudo_message(struct buf *out, struct str host,
	    const struct date *now, uint32_t uidvalidity, uint32_t uidlast,
	    const struct keywords *names);

#endif
