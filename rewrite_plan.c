/*
 * rewrite_plan.c - from what the caller wants to a plan in the journal:
 * which stamps fit into which kind of transaction, where each message will
 * be, what is cut into pieces. Then rewrite.c carries the plan out. Nothing
 * of the mailbox is written here, but for the one case without a journal.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite_own.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"

enum {
	/* Spaces that are tried in a header, to have a message begin
	 * elsewhere. */
	PADS = 16,
};

/* A transaction being planned. */
struct draft {
	struct rewrite *r;
	struct work w;
	uint32_t *newhead;	/* per item, or LEFT */
	uint32_t first;		/* item that changes, r->n when none does */
	uint32_t pad;		/* spaces in the header of that */
	int64_t grow;
	int64_t before;		/* size of the file before all of it */
	struct stamp base;	/* the one with a base, or none */
};

static bool
wanted(const struct rewrite_item *item)
{
	return item->stamped || item->eol > 0;
}

/* Caller's mistakes, which would destroy mail. */
static void
check_items(const struct rewrite *r)
{
	const struct rewrite_item *item;
	int64_t at = r->n > 0 ? r->items[0].off : r->size;
	uint32_t i;

	for (i = 0; i < r->n; i++) {
		item = &r->items[i];
		if (item->off != at || item->len <= 0 ||
		    item->head > item->len || item->eol > 2)
			log_bug("message %u of a rewrite is out of place", i);
		at += item->len;
	}
	if (at != r->size)
		log_bug("a rewrite does not end at the end of the file");
}

static bool
same_file(struct work *w, const struct stat *st)
{
	return w->plan.dev == (uint64_t)st->st_dev &&
	    w->plan.ino == (uint64_t)st->st_ino;
}

enum err
work_cold(struct work *w, int fd, const char *dir, bool sync,
    struct why *why)
{
	struct stat st;
	bool hot;
	enum err e;

	if ((e = work_begin(w, fd, dir, sync, &hot, why)) != E_OK)
		return e;
	if (fstat(fd, &st) != 0)
		e = work_io(w, "look at the mailbox");
	else if (hot)
		e = same_file(w, &st) ?
		    why_set(why, E_IO, "the mailbox must be recovered first") :
		    why_set(why, E_INUSE, "another mailbox must be recovered "
		    "first");
	if (e != E_OK) {
		work_end(w);
		return e;
	}
	memset(&w->plan, 0, sizeof(w->plan));
	w->plan.dev = (uint64_t)st.st_dev;
	w->plan.ino = (uint64_t)st.st_ino;
	return E_OK;
}

static enum err
draft_begin(struct draft *d, struct rewrite *r, struct why *why)
{
	enum err e;

	check_items(r);
	*d = (struct draft){ .r = r };
	if ((e = work_cold(&d->w, r->fd, r->dir, r->sync, why)) != E_OK)
		return e;
	d->w.tick = r->tick;
	d->first = r->n;
	d->newhead = xrealloc(NULL, r->n, sizeof(*d->newhead));
	return E_OK;
}

static void
draft_end(struct draft *d)
{
	free(d->newhead);
	work_end(&d->w);
}

/* Bytes of From_ line and header that an item would have. */
static enum err
measure(struct draft *d, const struct rewrite_item *item, uint32_t *out)
{
	struct stamp stamp = item->stamp;
	struct str old;
	size_t from, n;
	enum err e;

	*out = item->head;
	if (!item->stamped)
		return E_OK;
	if ((e = work_head(&d->w, item->off, item->head)) != E_OK)
		return e;
	old = buf_str(&d->w.head);
	from = str_index(old, '\n');
	from += from < old.n;
	stamp.names = d->r->names;
	n = from + stamp_header_size(str_from(old, from), &stamp);
	if (n > JOURNAL_WINDOW_MAX - WINDOW_SLACK - PADS)
		return why_set(d->w.why, E_LIMIT,
		    "the header of a message is too big");
	*out = (uint32_t)n;
	return E_OK;
}

static int64_t
growth(const struct rewrite_item *item, uint32_t newhead)
{
	return (int64_t)newhead - item->head + item->eol;
}

static void
take(struct draft *d, uint32_t i, uint32_t newhead)
{
	const struct rewrite_item *item = &d->r->items[i];

	d->newhead[i] = newhead;
	if (d->first == d->r->n)
		d->first = i;
	if (newhead != LEFT && item->stamped && item->stamp.base)
		d->base = item->stamp;
}

/*
 * A header grows into less than the whole bubble: a transaction that moves
 * a message must change the size of the file, or else programs that look
 * at no more than that go on with their old offsets (mbox.md 4.2).
 */
static enum err
draft_compact(struct draft *d)
{
	const struct rewrite_item *item;
	int64_t bubble = 0, more;
	uint32_t i, newhead;
	enum err e;

	for (i = 0; i < d->r->n; i++) {
		item = &d->r->items[i];
		d->newhead[i] = LEFT;
		if (item->drop) {
			take(d, i, LEFT);
			bubble += item->len;
		} else if (wanted(item)) {
			if ((e = measure(d, item, &newhead)) != E_OK)
				return e;
			more = growth(item, newhead);
			if (more > 0 && more >= bubble)
				continue;
			take(d, i, newhead);
			bubble -= more;
		}
	}
	return E_OK;
}

/*
 * Would some message begin where the file ended before, or end at the old
 * size, with the first changed header longer by `pad`? A program that
 * remembers that place would take it for new mail there, or see no change.
 */
static bool
meets_old_end(const struct draft *d, uint32_t pad)
{
	int64_t shift = pad, at;
	uint32_t i;

	for (i = d->first; i < d->r->n; i++) {
		at = d->r->items[i].off + shift;
		if (i > d->first && (at == d->r->size || at == d->before))
			return true;
		if (d->newhead[i] != LEFT)
			shift += growth(&d->r->items[i], d->newhead[i]);
	}
	return d->r->size + shift == d->before;
}

/*
 * During an expansion the file ends in line ends, and mail delivered then
 * counts on them: what stood at the end before must end in one as well.
 */
static enum err
end_last_line(struct draft *d)
{
	struct rewrite_item *last = &d->r->items[d->r->n - 1];
	char byte;
	enum err e;

	if (last->eol > 0)
		return E_OK;
	e = work_read(&d->w, last->off + last->len - 1, 1, &byte);
	if (e == E_OK && byte != '\n')
		last->eol = 2;
	return e;
}

static enum err
draft_expand(struct draft *d)
{
	const struct rewrite_item *item;
	uint32_t i, newhead;
	enum err e;

	if (d->r->n > 0 && (e = end_last_line(d)) != E_OK)
		return e;
	for (i = 0; i < d->r->n; i++) {
		item = &d->r->items[i];
		d->newhead[i] = LEFT;
		if (item->drop)
			log_bug("an expansion drops no message");
		if (!wanted(item))
			continue;
		if ((e = measure(d, item, &newhead)) != E_OK)
			return e;
		if (growth(item, newhead) < 0)
			continue;
		take(d, i, newhead);
		d->grow += growth(item, newhead);
	}
	if (d->grow > 0 && d->r->items[d->first].stamped)
		while (d->pad < PADS && meets_old_end(d, d->pad))
			d->pad++;
	d->grow += d->pad;
	return E_OK;
}

static int64_t
new_length(const struct draft *d, uint32_t i)
{
	const struct rewrite_item *item = &d->r->items[i];

	if (item->drop)
		return 0;
	return item->len + d->pad + (d->newhead[i] == LEFT ? 0 :
	    growth(item, d->newhead[i]));
}

/* Room in the journal for all messages, in pieces where a window can not
 * be made big enough for the biggest. */
static enum err
reserve(struct draft *d)
{
	struct work *w = &d->w;
	uint64_t n = d->r->n - d->first;
	int64_t big = 0, room;
	uint32_t i;

	for (i = d->first; i < d->r->n; i++)
		if (new_length(d, i) > big)
			big = new_length(d, i);
	big += WINDOW_SLACK;
	if (big > JOURNAL_WINDOW_MAX)
		big = JOURNAL_WINDOW_MAX;
	if (big > (int64_t)w->j.window)
		journal_reserve(&w->j, n, (size_t)big);
	room = (int64_t)w->j.window - WINDOW_SLACK;
	for (i = d->first; i < d->r->n; i++) {
		if (d->newhead[i] != LEFT && d->newhead[i] + PADS > room)
			return why_set(w->why, E_LIMIT,
			    "the header of a message is too big");
		/* The first piece may be hardly more than the header. */
		if (new_length(d, i) > room)
			n += (uint64_t)(d->r->items[i].len / room + 2);
	}
	if (journal_reserve(&w->j, n, w->j.window) != 0)
		return why_set(w->why, journal_no_room(errno) ? E_FULL :
		    E_IO, "no room to rewrite so many messages: %s",
		    strerror(errno));
	return E_OK;
}

static enum err
plan_entry(struct work *w, struct entry *entry)
{
	enum err e;

	e = work_hash(w, entry->off, entry->off + entry->len, &entry->hash);
	if (e == E_OK && journal_add(&w->j, entry) != 0)
		e = work_io(w, "write to the journal");
	return e;
}

static void
stamp_entry(struct entry *entry, const struct rewrite_item *item,
    uint32_t newhead, uint32_t pad)
{
	entry->bits |= ENTRY_STAMP;
	if (item->stamp.base)
		entry->bits |= ENTRY_BASE;
	if (item->stamp.quoted)
		entry->bits |= ENTRY_QUOTED;
	entry->head = item->head;
	entry->newhead = newhead + pad;
	entry->pad = pad;
	entry->uid = item->stamp.uid;
	entry->keywords = item->stamp.keywords;
	entry->flags = (uint16_t)item->stamp.flags;
}

enum err
plan_item(struct work *w, const struct rewrite_item *item, uint32_t newhead,
    uint32_t pad)
{
	int64_t room = (int64_t)w->j.window - WINDOW_SLACK - item->eol;
	int64_t left = item->len;
	struct entry entry = { .off = item->off, .len = item->len };
	enum err e;

	if (item->drop) {
		entry.bits = ENTRY_DROP;
		return plan_entry(w, &entry);
	}
	if (newhead != LEFT && item->stamped)
		stamp_entry(&entry, item, newhead, pad);
	for (;;) {
		entry.len = left;
		if (left - entry.head > room - entry.newhead)
			entry.len = entry.head + room - entry.newhead;
		left -= entry.len;
		if (left == 0 && newhead != LEFT)
			entry.eol = item->eol;
		if ((e = plan_entry(w, &entry)) != E_OK || left == 0)
			return e;
		entry = (struct entry){
			.off = entry.off + entry.len, .bits = ENTRY_PIECE,
		};
	}
}

enum err
plan_commit(struct work *w, int64_t size, const char *path, bool now)
{
	w->plan.size = size;
	if (path != NULL)
		memccpy(w->plan.path, path, '\0',
		    sizeof(w->plan.path) - 1);
	if (journal_commit(&w->j, &w->plan, now) != 0)
		return work_io(w, "write to the journal");
	return E_OK;
}

static enum err
write_plan(struct draft *d, enum plan_kind kind)
{
	struct work *w = &d->w;
	uint32_t i;
	enum err e;

	if ((e = reserve(d)) != E_OK)
		return e;
	w->plan.kind = kind;
	w->plan.grow = d->grow;
	w->plan.uidvalidity = d->base.uidvalidity;
	w->plan.uidlast = d->base.uidlast;
	if (d->r->names != NULL)
		w->plan.names = *d->r->names;
	journal_start(&w->j);
	for (i = d->first; i < d->r->n; i++)
		if ((e = plan_item(w, &d->r->items[i], d->newhead[i],
		    i == d->first ? d->pad : 0)) != E_OK)
			return e;
	return plan_commit(w, d->r->size, d->r->path, true);
}

/* The caller's items as the file has them now. */
static void
settle(struct draft *d)
{
	struct rewrite_item *items = d->r->items;
	int64_t at = items[d->first].off;
	uint32_t i, n = d->first;

	for (i = d->first; i < d->r->n; i++) {
		if (items[i].drop)
			continue;
		items[n] = items[i];
		items[n].off = at;
		if (d->newhead[i] != LEFT) {
			items[n].len += growth(&items[i], d->newhead[i]);
			items[n].head = d->newhead[i];
			items[n].stamped = false;
			items[n].eol = 0;
		}
		if (i == d->first) {
			items[n].len += d->pad;
			items[n].head += d->pad;
		}
		at += items[n++].len;
	}
	d->r->n = n;
	d->r->size = at;
}

/*
 * What a failure means. Before the first record nothing has been done, so
 * the plan can be taken back; if that fails too, recovery does it.
 */
static enum err
give_up(struct draft *d, enum err e)
{
	if (e == E_GONE)
		why_set(d->w.why, e, "another program changed the mailbox");
	if (!d->w.begun && journal_clear(&d->w.j, true) == 0)
		return e;
	return E_IO;
}

static enum err
carry_out(struct draft *d, enum plan_kind kind)
{
	struct work *w = &d->w;
	int64_t start = d->r->items[d->first].off;
	enum err e;

	if ((e = write_plan(d, kind)) == E_OK) {
		work_room(w);
		if (kind == PLAN_COMPACT)
			e = compact_run(w, start, start);
		else if ((e = expand_fill(w)) == E_OK)
			e = expand_run(w, d->r->size, d->r->size + d->grow);
	}
	if (e != E_OK)
		return give_up(d, e);
	settle(d);
	return E_OK;
}

/*
 * Without a journal messages can not move: after a crash nobody could tell
 * which of two copies is the old one. To drop the last ones, nothing moves.
 */
static enum err
only_cut(struct rewrite *r, enum err no_journal, struct why *why)
{
	uint32_t n = r->n, i;
	struct stat st;
	int64_t end;

	while (n > 0 && r->items[n - 1].drop)
		n--;
	for (i = 0; i < n; i++)
		if (r->items[i].drop)
			return no_journal;
	if (n == r->n)
		return no_journal;
	end = r->items[n].off;
	if (fstat(r->fd, &st) != 0 || st.st_size != r->size)
		return why_set(why, E_GONE,
		    "another program changed the mailbox");
	if (fs_truncate(r->fd, end) != 0 || (r->sync && fs_sync(r->fd) != 0))
		return why_set(why, E_IO, "cannot shorten the mailbox: %s",
		    strerror(errno));
	r->n = n;
	r->size = end;
	return E_OK;
}

enum err
rewrite_compact(struct rewrite *r, struct why *why)
{
	struct draft d;
	enum err e;

	e = draft_begin(&d, r, why);
	if (e == E_PERM || e == E_FULL)
		return only_cut(r, e, why);
	if (e != E_OK)
		return e;
	e = draft_compact(&d);
	if (e == E_OK && d.first < r->n)
		e = carry_out(&d, PLAN_COMPACT);
	else if (e != E_OK)
		e = give_up(&d, e);
	draft_end(&d);
	return e;
}

static enum err
expand(struct rewrite *r, int64_t before, struct why *why)
{
	struct draft d;
	enum err e;

	if ((e = draft_begin(&d, r, why)) != E_OK)
		return e;
	d.before = before;
	e = draft_expand(&d);
	if (e == E_OK && d.first < r->n)
		e = carry_out(&d, PLAN_EXPAND);
	else if (e != E_OK)
		e = give_up(&d, e);
	draft_end(&d);
	return e;
}

enum err
rewrite_expand(struct rewrite *r, struct why *why)
{
	return expand(r, r->size, why);
}

enum err
rewrite_all(struct rewrite *r, struct why *why)
{
	int64_t before = r->size;
	uint32_t i;
	enum err e;

	if ((e = rewrite_compact(r, why)) != E_OK)
		return e;
	for (i = 0; i < r->n; i++)
		if (wanted(&r->items[i]))
			return expand(r, before, why);
	return E_OK;
}
