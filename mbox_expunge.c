/*
 * mbox_expunge.c - removes messages, under the write lock: those whose
 * header says \Deleted at that moment, whatever the list remembers. What
 * must outlive the first message (X-IMAPbase) moves on to the next one that
 * stays, or into UW's pseudo message. Who may ask for it is not known here.
 */
#include "mbox_own.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/pseudo.h"

/* Marks in drop[], which is as long as the list, what is to go. */
static enum err
choose_one(struct mbox *mbox, uint32_t i, bool any, bool *drop,
    struct why *why)
{
	const struct msg *msg = &mbox->msgs[i];
	struct str header;
	enum err e;

	if ((e = mbox_header(mbox, msg, &header, why)) != E_OK)
		return e;
	/* At first sight of new mail \Deleted does not count (mbox.md 2.3);
	 * the list knows better then. */
	drop[i] = any || (msg->bits & MSG_UNSTAMPED ? msg->flags :
	    (mbox->own->meta.flags & ~msg->drop) | msg->add) & FLAG_DELETED;
	return E_OK;
}

static enum err
choose(struct mbox *mbox, const uint32_t *uids, uint32_t n, bool any,
    bool *drop, struct why *why)
{
	uint32_t i;
	int64_t at;
	enum err e = E_OK;

	memset(drop, 0, mbox->n * sizeof(*drop));
	/* Of all messages only those are looked at that may be marked: the
	 * list is that of a file which nobody else can change now. */
	for (i = 0; uids == NULL && i < mbox->n && e == E_OK; i++)
		if (any || mbox->msgs[i].flags & FLAG_DELETED)
			e = choose_one(mbox, i, any, drop, why);
	for (i = 0; uids != NULL && i < n && e == E_OK; i++)
		if ((at = mbox_find(mbox, uids[i])) >= 0)
			e = choose_one(mbox, (uint32_t)at, any, drop, why);
	return e;
}

static uint32_t
count(const bool *drop, uint32_t n)
{
	uint32_t i, all = 0;

	for (i = 0; i < n; i++)
		all += drop[i];
	return all;
}

static int
fill_lines(void *ctx, char *to, size_t n)
{
	(void)ctx;
	memset(to, '\n', n);
	return 0;
}

/* The file is at least so long: empty lines behind the last message. */
static enum err
lengthen(struct mbox *mbox, const struct rewrite *r, int64_t size,
    struct why *why)
{
	const struct rewrite_source lines = {
		.fill = fill_lines, .n = size - r->size,
	};
	enum err e;

	if (lines.n <= 0)
		return E_OK;
	e = rewrite_append(r, &lines, why);
	if (e == E_OK)
		mbox->state.size = size;
	return e;
}

/* From_ line and header, with its empty line. */
static uint32_t
head_bytes(struct str text)
{
	const char *end = memmem(text.p, text.n, "\n\n", 2);

	return end == NULL ? 0 : (uint32_t)(end + 2 - text.p);
}

/* Cuts the file off behind the pseudo message, of so many bytes. */
static enum err
cut_behind(struct mbox *mbox, int64_t size, struct why *why)
{
	struct rewrite_item rest = {
		.off = size, .len = mbox->state.size - size, .drop = true,
	};
	struct rewrite r;

	if (rest.len == 0)
		return E_OK;
	mbox_rewrite_setup(mbox, &r);
	r.items = &rest;
	r.n = 1;
	return mbox_rewritten(mbox, rewrite_compact(&r, why), why);
}

/*
 * No message stays. UW's pseudo message is written over the first ones in
 * one step, then the rest is cut off; a crash in between leaves it with
 * those that were not overwritten, which are then expunged another time.
 * They are in the list until they are gone, and so keep their UIDs.
 */
static enum err
empty(struct mbox *mbox, struct why *why)
{
	struct mbox_private *own = mbox->own;
	struct date now = { .time = time(NULL) };
	struct buf text = BUF_MAX(16384);
	struct rewrite_patch patch = { .at = 0 };
	struct rewrite r;
	enum err e;

	date_to_local(&now);
	pseudo_message(&text, str_c(own->writer->host), &now,
	    mbox->uidvalidity, mbox->uidnext - 1, &mbox->keywords);
	patch.bytes = buf_str(&text);
	mbox_rewrite_setup(mbox, &r);
	e = lengthen(mbox, &r, (int64_t)text.n, why);
	if (e == E_OK)
		e = mbox_patch(mbox, &patch, 1, why);
	if (e == E_OK)
		e = cut_behind(mbox, (int64_t)text.n, why);
	if (e == E_OK) {
		mbox->n = 0;
		own->pseudo = 0;
		own->pseudo_head = head_bytes(buf_str(&text));
		mbox->state.size = (int64_t)text.n;
		mbox_written(mbox);
	}
	buf_free(&text);
	return e;
}

/* The first one that stays, or the list's length. */
static uint32_t
first_kept(const struct mbox *mbox, const bool *drop)
{
	uint32_t i;

	for (i = 0; i < mbox->n && drop[i]; i++)
		continue;
	return i;
}

/*
 * Does the header of msgs[i], with X-IMAPbase, go into the room that the
 * messages before it leave?
 */
static enum err
base_fits(struct mbox *mbox, uint32_t i, const struct stamp *stamp,
    bool *fits, struct why *why)
{
	const struct msg *msg = &mbox->msgs[i];
	struct str header;
	enum err e;

	e = mbox_header(mbox, msg, &header, why);
	if (e == E_OK)
		*fits = (int64_t)stamp_header_size(str_from(header,
		    msg->from), stamp) <= msg->head + msg->start -
		    mbox->msgs[0].start;
	return e;
}

/*
 * The base field moves to the first message that stays, in the same
 * transaction if it can be; else that one gets it before the others go.
 */
static enum err
keep_base(struct mbox *mbox, const bool *drop, struct rewrite *r,
    struct why *why)
{
	uint32_t i = first_kept(mbox, drop);
	struct rewrite_item *item = &r->items[i];
	struct rewrite alone;
	bool fits = false;
	enum err e;

	mbox_stamp_of(mbox, &mbox->msgs[i], &item->stamp);
	item->stamp.base = true;
	e = base_fits(mbox, i, &item->stamp, &fits, why);
	if (e != E_OK || fits) {
		item->stamped = e == E_OK;
		return e;
	}
	e = mbox_items(mbox, i, &alone, why);
	alone.items[0].stamped = true;
	alone.items[0].stamp = item->stamp;
	if (e == E_OK)
		e = mbox_rewrite(mbox, i, &alone, why);
	free(alone.items);
	if (e == E_OK) {
		free(r->items);
		e = mbox_items(mbox, 0, r, why);
	}
	return e;
}

static enum err
remove_all(struct mbox *mbox, const bool *drop, struct why *why)
{
	bool pseudo = mbox->own->pseudo_head > 0;
	uint32_t first = 0, i;
	struct rewrite r;
	enum err e;

	if (!pseudo && first_kept(mbox, drop) == mbox->n)
		return empty(mbox, why);
	while (!drop[first])
		first++;
	e = mbox_items(mbox, first, &r, why);
	if (e == E_OK && first == 0 && !pseudo)
		e = keep_base(mbox, drop, &r, why);
	for (i = 0; i < r.n; i++)
		r.items[i].drop = drop[first + i];
	if (e == E_OK)
		e = mbox_rewrite(mbox, first, &r, why);
	free(r.items);
	return e;
}

enum err
mbox_expunge(struct mbox *mbox, const uint32_t *uids, uint32_t n, bool any,
    uint32_t *removed, struct why *why)
{
	bool changed = false, *drop = NULL;
	enum err e;

	*removed = 0;
	e = mbox_confirm(mbox, &changed, why);
	if (e == E_OK)
		e = mbox_lock_write(mbox, &changed, why);
	if (e != E_OK || mbox->fd < 0)
		return e;
	drop = xrealloc(NULL, mbox->n, sizeof(*drop));
	/* Where a header can not grow, mail can still go. */
	e = mbox_flush_locked(mbox, why);
	if (e == E_OK || e == E_LIMIT || e == E_FULL)
		e = choose(mbox, uids, n, any, drop, why);
	if (e == E_OK && (n = count(drop, mbox->n)) > 0) {
		e = remove_all(mbox, drop, why);
		*removed = e == E_OK ? n : 0;
	}
	mbox_unlock(mbox);
	free(drop);
	return e;
}
