/*
 * draft.h - messages on their way into a mailbox, made before any lock is
 * taken: the text that a client sends, or that is copied from another
 * mailbox, in the form in which an mbox holds it. Line ends become LF, NUL
 * becomes 0x80, a line that could be taken for a From_ line is quoted the
 * mboxrd way (mbox.md 1.4), a header or body that ends within a line is
 * ended, and a header has its empty line. Big drafts go to an unlinked file.
 */
#ifndef DRAFT_H
#define DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/date.h"
#include "lib/err.h"
#include "lib/flags.h"
#include "lib/str.h"

struct draft_message {
	int64_t at;		/* where its header begins in the text */
	uint32_t head;		/* bytes of header, with its empty line */
	int64_t body;		/* bytes behind it, ending in LF or none */
	/* RFC822.SIZE: in CRLF and without quoting, but with the metadata
	 * fields, which a client will not see. */
	uint64_t size;
	int64_t date;
	int32_t zone;		/* minutes east */
	uint32_t keywords;	/* bits of draft->names */
	uint16_t sender;	/* bytes of the From_ line's sender, which
				 * stand before `at` in the text */
	uint8_t flags;		/* of FLAGS_SYSTEM */
	bool quoted;		/* some line was */
};

struct draft {
	struct draft_message *messages;
	uint32_t n;
	struct keywords names;	/* of all messages */
	struct draft_private *own;
};

/* dir is where big drafts go to (~/.imapd; made when needed), borrowed.
 * draft_free takes NULL too. */
struct draft	*draft_new(const char *dir);
void		draft_free(struct draft *d);

/*
 * Begins a message. sender is what stands between "From " and the date in
 * its From_ line; what can not stand there is left out. names (or NULL) are
 * keywords by name: false when the draft has no room for them, and then no
 * message is begun.
 */
bool		draft_begin(struct draft *d, struct str sender,
		    const struct date *date, unsigned flags,
		    const struct keywords *names);
/*
 * Goes on with its text, in pieces of any size. E_FULL or E_LIMIT with why
 * when there is no room for it; then the draft is good for nothing but
 * draft_free.
 */
enum err	draft_add(struct draft *d, struct str piece,
		    struct why *why);
/* Ends it. Same failures. */
enum err	draft_end(struct draft *d, struct why *why);

/*
 * The text of all messages, that `at` counts in, valid until draft_free.
 * Nothing may be added any more. p is NULL when it can not be had.
 */
struct str	draft_text(struct draft *d);

#endif
