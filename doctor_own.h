/*
 * doctor_own.h - what the files doctor*.c share; nobody else includes it.
 */
#ifndef DOCTOR_OWN_H
#define DOCTOR_OWN_H

#include <sys/stat.h>

#include "doctor.h"
#include "lib/err.h"
#include "lib/flags.h"
#include "lib/hash.h"
#include "lib/meta.h"

enum fault {
	FAULT_LEADING,		/* of the whole file */
	FAULT_PREFIX,
	FAULT_NO_BLANK,		/* of boundaries */
	FAULT_GLUED,
	FAULT_NO_DATE,
	FAULT_ODD_DATE,
	FAULT_NO_HEADER,
	FAULT_FROM,
	FAULT_OPEN,		/* of bytes */
	FAULT_NUL,
	FAULT_CR,
	FAULT_MIXED,
	FAULT_LAST,
	FAULT_TWICE,		/* of metadata */
	FAULT_MIDDLE,
	FAULT_LETTERS,
	FAULT_KEYWORD,
	FAULT_LENGTH,
	FAULT_QUOTED,
	FAULT_BASE_BAD,
	FAULT_BASE_ODD,
	FAULT_BASE_SECOND,
	FAULT_UID_BAD,
	FAULT_UID_SAME,
	FAULT_UID_FALLS,
	FAULT_UID_ABOVE,
	FAULT_UID_NO_BASE,
	FAULT_UID_NONE,
	FAULT_DIFFERS,
	FAULTS
};

/* How --repair mends it. */
enum mend {
	MEND_NOT,	/* it would be a judgement on somebody's text */
	MEND_UIDS,	/* by new UIDs, as any session gives them */
	MEND_STAMP,	/* by metadata written anew */
	MEND_LINE,	/* by a line end more */
};

struct fault_words {
	enum mend mend;
	const char *what;	/* is wrong */
	const char *number;	/* what finding.number is, or NULL */
	const char *does;	/* imapd about it */
};
extern const struct fault_words fault_words[FAULTS];

struct finding {
	int64_t at;
	int64_t number;
	uint32_t order;
	uint32_t msg;		/* from 1; 0: before all */
	enum fault fault;
};

/* A message as it was read. */
struct patient {
	int64_t start;
	int64_t body;		/* where the header ends */
	int64_t end;		/* without its empty line */
	int64_t next;		/* where the next begins */
	uint32_t from;		/* bytes of the From_ line; 0: no message */
	uint32_t uid;		/* believed, or 0 */
	uint32_t keywords;
	unsigned flags;
	bool quoted;
	bool cut;		/* its From_ line has no end: first of all
				 * that must be added */
	bool restamp;		/* its metadata are to be written anew */
	uint8_t eol;		/* line ends missing before what follows */
};

/* A pseudo message with fewer UIDs left has nothing to say any more. */
enum { UIDS_LEFT = 0x2000000 };

enum place { PLACE_BEFORE, PLACE_PREFIX, PLACE_HEADER, PLACE_BODY };

/* One pass over a file. */
struct reading {
	int fd;			/* set by the caller, as is size */
	int64_t size;

	struct patient *msgs;
	uint32_t n;
	uint32_t room;
	struct finding *findings;
	uint32_t found;
	uint32_t findings_room;
	bool based;
	bool pseudo;
	uint32_t uidvalidity;
	uint32_t uidlast;
	struct keywords keywords;

	/* Private. */
	char *buf;
	int64_t base;		/* offset of buf[0] */
	size_t have;
	int64_t at;		/* of the next piece */
	int64_t line_at;	/* where its line begins */
	bool begins;		/* it begins a line */
	bool torn;		/* it stands behind NULs, in their line */
	bool blank;		/* the line before is empty */
	enum place place;
	struct patient now;	/* the message being read */
	bool now_pseudo;
	bool daemon;		/* its From_ line is that of a pseudo message */
	uint32_t uid_before;
	uint32_t *uids;		/* believed so far */
	uint32_t n_uids;
	uint32_t uids_room;
	bool base_told;
	bool uid_told;
	int64_t unstamped;	/* first message without X-UID, or -1 */
	uint32_t unstamped_msg;
	/* Bytes of the message. */
	int64_t nul, nul_at, cr, cr_at, lf, crlf, last_lf, last_crlf;
	bool after_cr;
	int64_t solid;		/* behind its last byte that ends no line */
	/* Its header. */
	struct meta meta;
	enum meta_field field;
	int64_t field_at;
	size_t value_n;
	char value[META_VALUE_MAX];
	unsigned count[META_FIELDS];
	int64_t at_field[META_FIELDS];
	int64_t run_at;		/* first metadata field of a run, or -1 */
	bool middle;		/* a run stood before other fields */
	bool field_bad[META_FIELDS];
	int64_t length;		/* Content-Length, or -1 */
};

/* Fills r; to be freed also at a failure. E_IO. */
enum err	doctor_read(struct reading *r, struct why *why);
void		doctor_read_free(struct reading *r);
void		doctor_found(struct reading *r, enum fault fault, int64_t at,
		    uint32_t msg, int64_t number);

/* A message's header, line by line: doctor_head.c. */
void		doctor_head_begin(struct reading *r, struct str from_line);
void		doctor_head_line(struct reading *r, int64_t at,
		    struct str text, bool begins);
/* It ends; judges what it says. */
void		doctor_head_end(struct reading *r);
/* The body of the message is all there: what its length is. */
void		doctor_head_length(struct reading *r, int64_t next);

/* What is printed. */
struct report {
	uint32_t faults;
};
void		doctor_say(struct report *report, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));
/* Without a count: what was done. */
void		doctor_tell(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));

/*
 * What stands around the mailbox open on fd: its owner, mode and names, a
 * dotlock, an interrupted change. Each finding is said.
 */
void		doctor_place(const struct doctor *d, const struct stat *st,
		    struct report *report);
/* Says who holds which lock on the file, as far as the kernel tells. */
void		doctor_holders(const struct stat *st);

#endif
