/*
 * thread_own.h - what the files of thread.c share: the messages that are to
 * be threaded, lists of siblings, and a forest that knows whose descendant
 * anybody is. For thread.c and thread_*.c alone.
 */
#ifndef THREAD_OWN_H
#define THREAD_OWN_H

#include "thread.h"
#include "lib/mem.h"

/* One that was found; they rise by sequence number. */
struct thread_message {
	uint32_t number;	/* as the client wants it */
	int64_t sent;
	struct str subject;	/* by sort_subject; empty: none */
	bool answer;		/* a reply or a forward */
	struct str id;		/* of msgid.h; p == NULL: none */
	uint32_t ref;		/* the first of its references, in refs, */
	uint32_t n_refs;	/* and how many there are */
};

struct thread_mail {
	struct pool *pool;
	struct thread_message *at;
	uint32_t n;
	struct str *refs;	/* Message IDs, of all messages */
	uint32_t n_refs;
};

/* Siblings in their order: by the date sent, then as they stand in the
 * mailbox (RFC 5256 2.2). `first` is the number of a list's first message. */
struct thread_order {
	int64_t sent;
	uint32_t first;		/* in mail->at */
	uint32_t node;
};
/* Sorts them, and makes them the children of `up`, which has no others. */
void	thread_children(struct thread *thread, uint32_t up,
	    struct thread_order *order, uint32_t n);

/* Nodes 1 to n are mail->at[0] to [n - 1]; makes the tree. */
void	thread_by_subject(const struct thread_mail *mail,
	    struct thread *thread);
void	thread_by_references(const struct thread_mail *mail,
	    struct thread *thread);

/*
 * A forest of nodes 1 to n, as link-cut trees (Sleator and Tarjan 1983): a
 * step costs the logarithm of n, in the mean, whatever the shape, where a walk
 * up to the root costs the depth. Hostile mail is 100,000 answers deep.
 */
struct thread_forest;
struct thread_forest *thread_forest_new(struct pool *pool, uint32_t n);
/* The root of the tree that holds v. */
uint32_t thread_forest_root(struct thread_forest *f, uint32_t v);
/* Makes the root `child` a child of `up`, which is in another tree. */
void	thread_forest_link(struct thread_forest *f, uint32_t child,
	    uint32_t up);
/* Takes v, with what hangs on it, from its parent. */
void	thread_forest_cut(struct thread_forest *f, uint32_t v);

#endif
