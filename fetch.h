/*
 * fetch.h - FETCH: what to send (parsed to the end before any message is
 * touched), and sending it message by message.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "mbox.h"
#include "parse.h"
#include "reply.h"
#include "view.h"

enum section_kind {
	SECTION_ALL,		/* BODY[] */
	SECTION_PART,		/* BODY[1.2] */
	SECTION_HEADER,
	SECTION_FIELDS,		/* HEADER.FIELDS */
	SECTION_FIELDS_NOT,
	SECTION_TEXT,
	SECTION_MIME,
};

enum section_form {
	SECTION_AS_SENT,	/* BODY[...] */
	SECTION_BINARY,		/* decoded (RFC 3516) */
	SECTION_BINARY_SIZE,	/* octets of that */
};

struct section {
	enum section_kind kind;
	enum section_form form;
	const char *rfc822;	/* answer under this name: RFC822.HEADER... */
	uint32_t *numbers;	/* of the part */
	uint32_t n_numbers;
	struct str *fields;	/* names of HEADER.FIELDS, as the client */
	uint32_t n_fields;	/* wrote them */
	bool partial;
	uint32_t first;
	uint32_t count;
	struct section *next;
};

enum {
	FETCH_FLAGS = 1 << 0,
	FETCH_UID = 1 << 1,
	FETCH_INTERNALDATE = 1 << 2,
	FETCH_SIZE = 1 << 3,
	FETCH_ENVELOPE = 1 << 4,
	FETCH_BODY = 1 << 5,		/* without extension data */
	FETCH_BODYSTRUCTURE = 1 << 6,
};

struct fetch_plan {
	unsigned items;
	bool sets_seen;		/* a section without .PEEK */
	struct section *sections;	/* in the order asked, pool */
};

/* fetch-att, the macros, or a list of fetch-att (RFC 3501 section 9; BINARY
 * of RFC 3516). */
int	fetch_parse(struct parser *p, struct fetch_plan *plan);

/*
 * Answers for every message of the view that the resolved set names.
 * RES_NO with [EXPUNGEISSUED] when one of them is gone, with [UNKNOWN-CTE]
 * when BINARY asks for what can not be decoded: the others are still answered
 * (RFC 2180 4.1.3).
 */
enum result	fetch_run(const struct fetch_plan *plan, struct mbox *mbox,
		    struct view *view, struct reply *reply,
		    const struct set *set, bool uid, struct outcome *o);

#endif
