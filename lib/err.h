/*
 * err.h - the few ways in which storage can fail, and the sentence for a
 * human that goes with one. Floors 0 to 2 return 0 or one of these;
 * only the commands turn them into IMAP response codes.
 */
#ifndef ERR_H
#define ERR_H

enum err {
	E_OK = 0,
	E_NOENT = -1,		/* there is no such mailbox */
	E_PERM = -2,		/* the system refused */
	E_NAME = -3,		/* not a name that a mailbox may have */
	E_NOTMBOX = -4,		/* the file is there, but is no mailbox */
	E_INUSE = -5,		/* another program holds the lock */
	E_GONE = -6,		/* the message is no longer there */
	E_LIMIT = -7,		/* a limit of ours */
	E_IO = -8,		/* the disk or the system failed */
	E_FULL = -9,		/* the disk or the quota has no room */
	E_CTE = -10,		/* a transfer encoding that nobody knows */
};

/* Why something failed, for the client and the log. Never client bytes. */
struct why {
	char text[160];
};

/*
 * Fills why (when not NULL) and returns e, so that a failing function can
 * say `return why_set(why, E_PERM, "cannot open: %s", ...)`.
 */
enum err	why_set(struct why *why, enum err e, const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));

#endif
