/*
 * rewrite_own.h - what rewrite.c and the files rewrite_x.c share; nobody
 * else includes it.
 */
#ifndef REWRITE_OWN_H
#define REWRITE_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal.h"
#include "rewrite.h"
#include "lib/buf.h"
#include "lib/str.h"

enum {
	SEAM_BYTES = 59,
	/* Line ends before a moved message, whatever stands before them. */
	LEAD = 2,
	/* A window has room for both besides. */
	WINDOW_SLACK = SEAM_BYTES + LEAD,
	/* Bytes around a window that must be as they were: shifts by
	 * another program show there. */
	AROUND = 65536,
	/* Read and written at once when nothing bigger is at hand. */
	BLOCK = 262144,
	/* As much of a line as is looked at to tell a From_ line. */
	LINE = 1024,
};

/* One transaction under way, or being recovered. */
struct work {
	struct journal j;
	struct plan plan;
	int fd;
	bool sync;
	bool begun;		/* a record was written: only recovery helps */
	void (*tick)(void);
	struct why *why;
	uint64_t seq;		/* of the last record */
	char *win;		/* new bytes of a window, j.window at most */
	size_t n;
	uint32_t *sums;		/* of what stands where they go */
	struct buf head, image;	/* old and new header of one message */
	char *block;
	int64_t block_at;	/* what of the file is in `block` */
	size_t block_n;
};

/* Opens the journal and fills w; work_end frees. E_OK even when it is hot:
 * *hot says so. */
enum err	work_begin(struct work *w, int fd, const char *dir, bool sync,
		    bool *hot, struct why *why);
/* The same, but fails when it is hot for whatever mailbox; w->plan names
 * this file then and nothing more. */
enum err	work_cold(struct work *w, int fd, const char *dir, bool sync,
		    struct why *why);
void		work_end(struct work *w);
/* Room for windows, once the journal has its size. */
void		work_room(struct work *w);

/* These return E_OK, E_IO with why, or E_GONE where the file is shorter or
 * other than it must be; those that write E_FULL too. */
enum err	work_size(struct work *w, int64_t *size);
enum err	work_hash(struct work *w, int64_t from, int64_t to,
		    uint64_t *out);
enum err	work_read(struct work *w, int64_t at, size_t n, char *to);
/* The line at `at`, without its end and as far as LINE bytes hold it, of a
 * file of so many bytes. */
enum err	work_line(struct work *w, int64_t at, int64_t size,
		    char to[LINE], struct str *line);
enum err	work_write(struct work *w, int64_t at, const char *p,
		    size_t n);
enum err	work_sync(struct work *w);
/* n bytes at off into w->head. */
enum err	work_head(struct work *w, int64_t off, uint32_t n);
enum err	work_io(struct work *w, const char *what);
/* Record r, with w->win when it has a slot: the mailbox may be touched. */
enum err	work_record(struct work *w, struct record *r,
		    const uint32_t *sums);

/* Builds the bytes that record r stands for in w->win. */
enum err	window_fill(struct work *w, const struct record *r);
/* Hash of the bytes before and behind the place of r that must not change. */
enum err	window_around(struct work *w, const struct record *r,
		    uint64_t *before, uint64_t *after);
/* Of a window's n bytes at d, so many lie in its first grain. */
static inline size_t
grain_len(int64_t d, int64_t n)
{
	int64_t len = GRAIN - d % GRAIN;

	return (size_t)(len < n ? len : n);
}
/* Sum of one grain, or of the part that a window touches; or of a line. */
uint32_t	grain_sum(const struct work *w, const char *p, size_t n);

int64_t		entry_newlen(const struct entry *e);
/* First entry at or behind file offset `off`, or plan.n. E_IO. */
enum err	entry_find(struct work *w, int64_t off, uint32_t *i);
enum err	entry_get(struct work *w, uint32_t i, struct entry *e);

/* The seam of w->plan. */
void		seam_text(const struct work *w, char text[SEAM_BYTES + 1]);

/*
 * The rest of a transaction, with w->seq that of the last record. The
 * bubble is [d, s): all before d has been moved, all from s on not yet. To
 * expand it is [b, e): all from e on has been moved, all before b not yet.
 */
enum err	compact_run(struct work *w, int64_t d, int64_t s);
enum err	expand_run(struct work *w, int64_t b, int64_t e);
/* After a window of an expansion: a seam where the bubble begins now. */
enum err	expand_seam(struct work *w, int64_t b, int64_t e);

/* All is done: the journal is cold again. */
enum err	plan_end(struct work *w);

/* What a plan adds, or may have added, at the end of the file. */
struct tail {
	int64_t from;		/* the file ended here before */
	int64_t at;		/* up to here all of it is ours */
	const char *bytes;	/* what goes there, or NULL: filler */
	int64_t n;
	int64_t lead;		/* of filler: line ends before its seam */
};
/* That of the filler. */
enum err	tail_of_filler(struct work *w, struct tail *out);
/* The filler that makes an expansion's bubble. When there is no room for it
 * (E_FULL) it is taken back. */
enum err	expand_fill(struct work *w);
/* Takes out what there is of it, and ends the plan. E_GONE: there are bytes
 * that nobody can account for. */
enum err	tail_take_back(struct work *w, const struct tail *t);
/* The same after a failure, which is what it returns. */
enum err	tail_failed(struct work *w, const struct tail *t,
		    enum err failure);

/* newhead of an item that a plan leaves as it is. */
enum { LEFT = UINT32_MAX };
/*
 * Makes a plan between journal_start and plan_commit, which w->plan's
 * kind, grow, must, names and numbers go into as they are.
 */
enum err	plan_item(struct work *w, const struct rewrite_item *item,
		    uint32_t newhead, uint32_t pad);
/* The path NULL: as it is. `now`: see journal_commit. */
enum err	plan_commit(struct work *w, int64_t size, const char *path,
		    bool now);

/* Carries a plan of patches to its end. */
enum err	patch_recover(struct work *w);
/* Takes back what was appended, unless it is all there. */
enum err	append_recover(struct work *w, const struct record *r);

#endif
