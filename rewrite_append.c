/*
 * rewrite_append.c - appends to the mailbox so that all of it is there, or
 * nothing. What is appended goes through the journal, window by window, so
 * that after a crash it is known which bytes at the end of the file are
 * ours: those are cut off again (rewrite_tail.c). "|" is a sync:
 *
 *	plan, record 1 |J  window 1 |M  record 2 |J  window 2 |M  plan wiped
 *
 * Every record tells the hash of all windows before its own, which are on
 * the disk by then. A plan whose bytes are all there is a finished one.
 * Hence the wiping need not be synced where all was in one window. (Should
 * another program then cut off the end of just that, and the power fail
 * before the disk has the wiped plan, the rest of it goes as well.)
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite_own.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"

static enum err
fill(const struct rewrite_source *source, char *to, size_t n,
    struct why *why)
{
	if (source->fill(source->ctx, to, n) == 0)
		return E_OK;
	return why_set(why, E_IO, "cannot read what is to be appended: %s",
	    strerror(errno));
}

static enum err
changed(struct why *why)
{
	return why_set(why, E_GONE, "another program changed the mailbox");
}

/* The window that w->win holds, at d, where the file has to end. *touched
 * when some of it may be there. */
static enum err
put_window(struct work *w, int64_t d, struct hash before, bool *touched)
{
	struct record r = {
		.kind = RECORD_APPEND, .seq = w->seq + 1, .slot = 1,
		.d = d, .n = (int64_t)w->n, .before = hash_end(&before),
		.hash = journal_hash(&w->j, w->win, w->n),
	};
	int64_t size;
	enum err e;

	if ((e = work_record(w, &r, NULL)) != E_OK ||
	    (e = work_size(w, &size)) != E_OK)
		return e;
	if (size != d)
		return changed(w->why);
	*touched = true;
	if ((e = work_write(w, d, w->win, w->n)) != E_OK)
		return e;
	return work_sync(w);
}

/* All windows; *t says at every instant what of them is in the file. */
static enum err
put_all(struct work *w, const struct rewrite_source *source, struct tail *t)
{
	int64_t end = t->from + source->n;
	struct hash hash;
	bool touched;
	enum err e;

	hash_init(&hash, &w->j.key);
	for (; t->at < end; t->at += t->n) {
		w->n = end - t->at < (int64_t)w->j.window ?
		    (size_t)(end - t->at) : w->j.window;
		t->n = 0;
		if ((e = fill(source, w->win, w->n, w->why)) != E_OK)
			return e;
		touched = false;
		e = put_window(w, t->at, hash, &touched);
		if (touched)
			t->n = (int64_t)w->n;
		if (e != E_OK)
			return e;
		hash_add(&hash, (struct str){ w->win, w->n });
	}
	return E_OK;
}

static enum err
with_journal(struct work *w, const struct rewrite *r,
    const struct rewrite_source *source)
{
	struct tail tail = { .from = r->size, .at = r->size };
	enum err e;

	work_room(w);
	tail.bytes = w->win;
	w->tick = r->tick;
	w->plan.kind = PLAN_APPEND;
	w->plan.grow = source->n;
	journal_start(&w->j);
	e = plan_commit(w, r->size, r->path, false);
	if (e == E_OK)
		e = put_all(w, source, &tail);
	if (e != E_OK)
		return tail_failed(w, &tail, e);
	/* Should it stay hot, recovery will find all there. */
	journal_clear(&w->j, w->seq > 1);
	return E_OK;
}

/*
 * Cuts off what has been written of the n bytes at d, and all before it from
 * r->size on, if nobody else has appended meanwhile.
 */
static void
cut_back(const struct rewrite *r, int64_t d, const char *bytes, size_t n)
{
	char there[4096];
	struct stat st;
	int64_t at;
	size_t len;

	if (fstat(r->fd, &st) != 0 || st.st_size > d + (int64_t)n)
		goto stays;
	for (at = d; at < st.st_size; at += (int64_t)len) {
		len = st.st_size - at < (int64_t)sizeof(there) ?
		    (size_t)(st.st_size - at) : sizeof(there);
		if (fs_pread(r->fd, there, len, at) != 0 ||
		    memcmp(there, bytes + (at - d), len) != 0)
			goto stays;
	}
	if (st.st_size <= r->size || fs_truncate(r->fd, r->size) == 0)
		return;
stays:
	log_warn("a part of a message that could not be appended stays in "
	    "its mailbox");
}

/* As safe as can be had without a journal. */
static enum err
without_journal(const struct rewrite *r, const struct rewrite_source *source,
    struct why *why)
{
	int64_t d = r->size, end = d + source->n;
	char *bytes = xmalloc(BLOCK);
	size_t n = 0;
	enum err e = E_OK;

	for (; d < end && e == E_OK; d += (int64_t)n) {
		n = end - d < BLOCK ? (size_t)(end - d) : BLOCK;
		if ((e = fill(source, bytes, n, why)) != E_OK)
			cut_back(r, d, bytes, 0);
		else if (fs_pwrite(r->fd, bytes, n, d) != 0 ||
		    (d + (int64_t)n == end && r->sync &&
		    fs_sync(r->fd) != 0)) {
			e = why_set(why, journal_no_room(errno) ? E_FULL :
			    E_IO, "cannot write to the mailbox: %s",
			    strerror(errno));
			cut_back(r, d, bytes, n);
		}
	}
	free(bytes);
	return e;
}

enum err
rewrite_append(const struct rewrite *r, const struct rewrite_source *source,
    struct why *why)
{
	struct work w;
	struct stat st;
	enum err e;

	if (fstat(r->fd, &st) != 0)
		return why_set(why, E_IO, "cannot look at the mailbox: %s",
		    strerror(errno));
	if (st.st_size != r->size)
		return changed(why);
	if (source->n > INT64_MAX - r->size)
		return why_set(why, E_LIMIT, "the mailbox is too big");
	e = work_cold(&w, r->fd, r->dir, r->sync, why);
	if (e == E_PERM || e == E_FULL)
		return without_journal(r, source, why);
	if (e != E_OK)
		return e;
	e = with_journal(&w, r, source);
	work_end(&w);
	return e;
}

/*
 * So many bytes of the last window are there, if nothing but line ends is
 * missing; else -1. Some programs take those off the end of a mailbox, and
 * what they leave must not pass for half a message.
 */
static enum err
whole_but_line_ends(struct work *w, const struct record *r, int64_t *n)
{
	int64_t size, i;
	uint64_t hash;
	enum err e;

	*n = -1;
	if ((e = work_size(w, &size)) != E_OK)
		return e;
	if (size < r->d)
		return E_GONE;
	if (r->d + r->n != w->plan.size + w->plan.grow)
		return E_OK;
	size -= r->d;
	if (size > r->n)
		size = r->n;
	for (i = size; i < r->n; i++)
		if (w->win[i] != '\n' && w->win[i] != '\r')
			return E_OK;
	e = work_hash(w, r->d, r->d + size, &hash);
	if (e == E_OK && hash == journal_hash(&w->j, w->win, (size_t)size))
		*n = size;
	return e;
}

/* Record r has its data: all is there, or nothing of it stays. */
static enum err
finish_or_take_back(struct work *w, const struct record *r,
    const struct tail *tail)
{
	int64_t n;
	enum err e;

	if ((e = whole_but_line_ends(w, r, &n)) != E_OK)
		return e;
	if (n < 0)
		return tail_take_back(w, tail);
	e = work_write(w, r->d + n, w->win + n, (size_t)(r->n - n));
	if (e == E_OK)
		e = work_sync(w);
	return e == E_OK ? plan_end(w) : e;
}

enum err
append_recover(struct work *w, const struct record *r)
{
	struct tail tail = {
		.from = w->plan.size, .at = r->d, .bytes = w->win,
	};
	int got = journal_data(&w->j, r, w->win, NULL);
	uint64_t before;
	enum err e;

	if (got < 0)
		return work_io(w, "read the journal");
	if ((e = work_hash(w, tail.from, r->d, &before)) != E_OK)
		return e;
	if (before != r->before)
		return E_GONE;
	/* Else nothing of that window was written. */
	if (got == 0)
		return tail_take_back(w, &tail);
	tail.n = r->n;
	return finish_or_take_back(w, r, &tail);
}
