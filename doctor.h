/*
 * doctor.h - imapd --check FILE and --repair FILE: says in words what is
 * wrong with a mailbox, and mends what can be mended without losing a byte
 * of any text. Called by main instead of a session; no client is there.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "mbox_write.h"

struct doctor {
	const char *path;	/* resolved */
	bool inbox;		/* it is the caller's INBOX */
	const char *keep;	/* where --repair leaves the original */
	const struct mbox_writer *writer;
};

/* Exit statuses. */
enum { DOCTOR_SOUND = 0, DOCTOR_FAULTS = 1, DOCTOR_BLIND = 2 };

/*
 * Reads all of the file under the read lock and prints a line for each
 * finding, then one line that counts them. Changes nothing.
 */
int	doctor_check(const struct doctor *d);
/*
 * Under the write lock: finishes an interrupted change, puts a copy of the
 * file aside when there is something to be mended, mends it, and checks
 * again. Text is never removed, moved or quoted.
 */
int	doctor_repair(const struct doctor *d);
/* The file can not be looked at at all: says why. DOCTOR_BLIND. */
int	doctor_blind(const char *path, const char *why);

#endif
