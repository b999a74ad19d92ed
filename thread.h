/*
 * thread.h - THREAD (RFC 5256): which message answers which. Is told what was
 * found, and makes a tree; the client's form of it is the command's.
 */
#ifndef THREAD_H
#define THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "mbox.h"
#include "view.h"

enum thread_how { THREAD_ORDEREDSUBJECT, THREAD_REFERENCES };

/* Places in thread.at; 0 is the root, whose children are the threads, and
 * where it is somebody's child or sibling, nobody. */
struct thread_node {
	uint32_t number;	/* sequence number or UID; 0: a dummy */
	uint32_t up;
	uint32_t child;		/* the first */
	uint32_t next;		/* beside it */
};

struct thread {
	struct thread_node *at;	/* in the pool */
};

/* The messages whose sequence numbers `found` holds, resolved. One that is
 * gone by now is left out. */
enum result	thread_run(enum thread_how how, struct pool *pool,
		    struct mbox *mbox, const struct view *view,
		    const struct set *found, bool uid, struct thread *thread,
		    struct outcome *o);

#endif
