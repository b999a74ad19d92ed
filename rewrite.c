/*
 * rewrite.c - changes an mbox in place so that no crash can lose a message:
 * plans a transaction, writes the plan into the journal, and carries it out.
 * rewrite_recover.c goes on where a dead process stopped; both run the same
 * code on the same plan, read from the journal. It knows offsets and header
 * bytes, no IMAP; it takes no lock of the mailbox: the caller holds it.
 * (Patches in place and appends have their own files, and no bubble.)
 *
 * There are two kinds of plan, never mixed in one transaction. To COMPACT,
 * messages move only towards the start of the file; a header may grow only
 * into room made before it. To EXPAND, messages move only towards the end.
 *
 * BUBBLE  the free bytes between what was moved and what was not yet.
 * SEAM    a small valid message at the start of the bubble, so that another
 *         program that reads a half-done file sees whole messages, then the
 *         seam with old bytes as its text, then whole messages.
 * WINDOW  whole messages that are moved at once. A message too big for any
 *         window is moved in pieces, which the plan holds as entries.
 *
 * What is true at every instant, for window k of 1..n in progress:
 *
 * I1 Windows before k are on the disk at their new place: the mailbox is
 *    synced before record k is written.
 * I2 The sources of windows behind k are untouched: the place of window k
 *    ends before the first of them begins. (To expand: the mirror image.)
 * I3 If the place of window k overlaps its own sources, its new bytes are
 *    on the disk in the journal before the mailbox is touched; if not, its
 *    sources stay whole until record k+1 is on the disk. The data of k is
 *    not overwritten before k+2: there are two places for it.
 * I4 Recovery overwrites or cuts off only bytes that it can account for:
 *    each grain of the place is as the record says it was or as it is to
 *    be, and what stands around is unchanged. Else it only appends.
 *
 * Hence a message that is kept is whole at its new place, at its old place
 * or in the journal, whatever prefix of a write a kill leaves and whatever
 * unsynced sectors a power cut loses. J is the journal, M the mailbox;
 * "|" is a sync of what stands before it:
 *
 *	                 plan |J
 *	compact            |           expand
 *	   +---------------+---------------+
 *	   |                               v
 *	   |                  record FILL |J  filler at the end |M
 *	   v                               v
 *	+->record MOVE |J                  record MOVE |J <-+
 *	|  window and seam |M              window |M        |
 *	+--more?                           seam |M -- more?-+
 *	   |                               |
 *	   v                               |
 *	   record CUT |J  truncate |M      |
 *	   +---------------+---------------+
 *	                   v
 *	              plan wiped |J
 *
 * Mail that programs without locks append meanwhile is moved as well (to
 * compact) or stands behind the filler (to expand). A plan that moves any
 * message changes the size of the file: other programs notice by that.
 */
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite_own.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"

enum err
work_io(struct work *w, const char *what)
{
	return why_set(w->why, E_IO, "cannot %s: %s", what,
	    strerror(errno));
}

enum err
work_size(struct work *w, int64_t *size)
{
	struct stat st;

	*size = 0;
	if (fstat(w->fd, &st) != 0)
		return work_io(w, "look at the mailbox");
	*size = st.st_size;
	return E_OK;
}

/* Reads bytes that the plan says are there. */
static enum err
read_all(struct work *w, int64_t at, size_t n, char *to)
{
	if (fs_pread(w->fd, to, n, at) == 0)
		return E_OK;
	return errno == 0 ? E_GONE : work_io(w, "read the mailbox");
}

/* Small messages share one read: sources are read in the file's order. */
enum err
work_read(struct work *w, int64_t at, size_t n, char *to)
{
	int64_t size;
	size_t want = BLOCK;
	enum err e;

	if (n >= BLOCK)
		return read_all(w, at, n, to);
	if (at < w->block_at ||
	    at + (int64_t)n > w->block_at + (int64_t)w->block_n) {
		w->block_n = 0;
		if ((e = work_size(w, &size)) != E_OK)
			return e;
		if (size - at < (int64_t)n)
			return E_GONE;
		if (size - at < (int64_t)want)
			want = (size_t)(size - at);
		if ((e = read_all(w, at, want, w->block)) != E_OK)
			return e;
		w->block_at = at;
		w->block_n = want;
	}
	if (n > 0)
		memcpy(to, w->block + (at - w->block_at), n);
	return E_OK;
}

enum err
work_line(struct work *w, int64_t at, int64_t size, char to[LINE],
    struct str *line)
{
	size_t n = size - at < LINE ? (size_t)(size - at) : LINE;
	enum err e;

	if ((e = work_read(w, at, n, to)) != E_OK)
		return e;
	*line = (struct str){ to, n };
	line->n = str_index(*line, '\n');
	return E_OK;
}

static void
hash_begin(const struct work *w, struct hash *h)
{
	hash_init(h, &w->j.key);
}

static enum err
hash_range(struct work *w, struct hash *h, int64_t from, int64_t to)
{
	char piece[16384];
	size_t n;
	enum err e;

	for (; from < to; from += (int64_t)n) {
		n = to - from < (int64_t)sizeof(piece) ?
		    (size_t)(to - from) : sizeof(piece);
		if ((e = work_read(w, from, n, piece)) != E_OK)
			return e;
		hash_add(h, (struct str){ piece, n });
	}
	return E_OK;
}

enum err
work_hash(struct work *w, int64_t from, int64_t to, uint64_t *out)
{
	struct hash h;
	enum err e;

	hash_begin(w, &h);
	e = hash_range(w, &h, from, to);
	*out = hash_end(&h);
	return e;
}

/* Some file systems tell only when they sync that there was no room. */
static enum err
not_written(struct work *w)
{
	enum err e = journal_no_room(errno) ? E_FULL : E_IO;

	return why_set(w->why, e, "cannot write to the mailbox: %s",
	    strerror(errno));
}

enum err
work_write(struct work *w, int64_t at, const char *p, size_t n)
{
	w->block_n = 0;
	return fs_pwrite(w->fd, p, n, at) == 0 ? E_OK : not_written(w);
}

enum err
work_sync(struct work *w)
{
	return !w->sync || fs_sync(w->fd) == 0 ? E_OK : not_written(w);
}

enum err
work_begin(struct work *w, int fd, const char *dir, bool sync, bool *hot,
    struct why *why)
{
	enum err e;
	int r;

	*w = (struct work){ .fd = fd, .sync = sync, .why = why };
	w->head.max = w->image.max = SIZE_MAX / 2;
	if ((e = journal_open(&w->j, dir, sync, why)) != E_OK)
		return e;
	r = journal_plan(&w->j, &w->plan, true);
	if (r < 0) {
		work_io(w, "read the journal");
		work_end(w);
		return E_IO;
	}
	*hot = r == 1;
	w->block = xmalloc(BLOCK);
	return E_OK;
}

void
work_room(struct work *w)
{
	w->win = xmalloc(w->j.window);
	w->sums = xmalloc(journal_sums(GRAIN - 1, (int64_t)w->j.window) *
	    sizeof(*w->sums));
}

void
work_end(struct work *w)
{
	free(w->win);
	free(w->sums);
	free(w->block);
	buf_free(&w->head);
	buf_free(&w->image);
	journal_close(&w->j);
}

void
seam_text(const struct work *w, char text[SEAM_BYTES + 1])
{
	snprintf(text, SEAM_BYTES + 1,
	    "From imapd-seam.%016llx Thu Jan  1 00:00:00 1970\n\n",
	    (unsigned long long)w->plan.token);
}

int64_t
entry_newlen(const struct entry *e)
{
	if (e->bits & ENTRY_DROP)
		return 0;
	return e->len - e->head + e->newhead + e->eol;
}

enum err
entry_get(struct work *w, uint32_t i, struct entry *e)
{
	const struct entry *p = journal_entry(&w->j, &w->plan, i);

	*e = p == NULL ? (struct entry){ 0 } : *p;
	if (p == NULL)
		return work_io(w, "read the journal");
	return E_OK;
}

enum err
entry_find(struct work *w, int64_t off, uint32_t *i)
{
	uint32_t low = 0, high = w->plan.n, middle;
	struct entry entry;
	enum err e;

	while (low < high) {
		middle = low + (high - low) / 2;
		if ((e = entry_get(w, middle, &entry)) != E_OK)
			return e;
		if (entry.off < off)
			low = middle + 1;
		else
			high = middle;
	}
	*i = low;
	return E_OK;
}

/* Makes w->image of the old From_ line and header in w->head. */
static void
make_image(struct work *w, const struct entry *e)
{
	const struct stamp stamp = {
		.uid = e->uid,
		.keywords = e->keywords,
		.flags = e->flags,
		.base = e->bits & ENTRY_BASE,
		.uidvalidity = w->plan.uidvalidity,
		.uidlast = w->plan.uidlast,
		.names = &w->plan.names,
		.quoted = e->bits & ENTRY_QUOTED,
	};
	struct str old = buf_str(&w->head);
	size_t from = str_index(old, '\n'), n, i;
	char *p;

	from += from < old.n;
	buf_clear(&w->image);
	buf_add(&w->image, str_sub(old, 0, from));
	stamp_header(str_from(old, from), &stamp, &w->image);
	/* Spaces at the end of the block, before its empty line. */
	if (e->pad > 0 && (p = buf_grow(&w->image, e->pad)) != NULL) {
		n = str_chomp(str_chomp(buf_str(&w->image))).n;
		p = w->image.p;
		memmove(p + n + e->pad, p + n, w->image.n - n);
		for (i = 0; i < e->pad; i++)
			p[n + i] = ' ';
		w->image.n += e->pad;
	}
}

enum err
work_head(struct work *w, int64_t off, uint32_t n)
{
	char *p;
	enum err e;

	buf_clear(&w->head);
	if ((p = buf_grow(&w->head, n)) == NULL)
		return E_LIMIT;
	if ((e = work_read(w, off, n, p)) == E_OK)
		w->head.n = n;
	return e;
}

/* Adds the new bytes of one entry to the window; E_GONE when the old ones
 * are not those that the plan was made of. */
static enum err
add_entry(struct work *w, const struct entry *entry)
{
	size_t body = (size_t)(entry->len - entry->head);
	struct hash h;
	enum err e;

	hash_begin(w, &h);
	if (entry->bits & ENTRY_STAMP) {
		if ((e = work_head(w, entry->off, entry->head)) != E_OK)
			return e;
		hash_add(&h, buf_str(&w->head));
		make_image(w, entry);
		if (w->image.n != entry->newhead)
			return E_GONE;
		memcpy(w->win + w->n, w->image.p, w->image.n);
		w->n += w->image.n;
	}
	e = work_read(w, entry->off + entry->head, body, w->win + w->n);
	if (e != E_OK)
		return e;
	hash_add(&h, (struct str){ w->win + w->n, body });
	w->n += body;
	memset(w->win + w->n, '\n', entry->eol);
	w->n += entry->eol;
	return hash_end(&h) == entry->hash ? E_OK : E_GONE;
}

/* The new bytes of all entries from r->s on, up to r->s2. */
static enum err
add_entries(struct work *w, const struct record *r)
{
	struct entry entry;
	uint32_t i;
	enum err e;

	if ((e = entry_find(w, r->s, &i)) != E_OK)
		return e;
	for (; i < w->plan.n; i++) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		if (entry.off >= r->s2)
			break;
		if (entry.bits & ENTRY_DROP)
			continue;
		if ((int64_t)w->n + entry_newlen(&entry) > r->n)
			return E_GONE;
		if ((e = add_entry(w, &entry)) != E_OK)
			return e;
	}
	return E_OK;
}

enum err
window_fill(struct work *w, const struct record *r)
{
	char seam[SEAM_BYTES + 1];
	enum err e;

	w->n = r->lead;
	memset(w->win, '\n', r->lead);
	if (r->s < w->plan.size)
		e = add_entries(w, r);
	else {
		/* Mail that came after the plan was made, as it is. */
		w->n = (size_t)(r->s2 - r->s);
		e = work_read(w, r->s, w->n, w->win);
	}
	if (e != E_OK)
		return e;
	seam_text(w, seam);
	memcpy(w->win + w->n, seam, r->seam);
	w->n += r->seam;
	return (int64_t)w->n == r->n ? E_OK : E_GONE;
}

/* What an expansion has behind the end of its own region is not its own. */
static int64_t
limit(const struct work *w)
{
	return w->plan.size + w->plan.grow;
}

static enum err
around_compact(struct work *w, const struct record *r, uint64_t *before,
    uint64_t *after)
{
	int64_t end = r->d + r->n;
	enum err e;

	e = work_hash(w, r->d > AROUND ? r->d - AROUND : 0, r->d, before);
	if (r->s2 - AROUND > end)
		end = r->s2 - AROUND;
	return e == E_OK ? work_hash(w, end, r->s2, after) : e;
}

/*
 * Behind the place, and then before it what the next window overwrites: the
 * bubble, and what of the sources the place does not cover. At its start a
 * seam may have been written since, too small for any message. In a bubble
 * bigger than AROUND only the end is looked at: mail can not come into the
 * middle of a file but by a shift, or by cutting off all behind it.
 */
static enum err
around_expand(struct work *w, const struct record *r, uint64_t *before,
    uint64_t *after)
{
	int64_t end = r->d + r->n, from = r->s;
	int64_t to = end + AROUND < limit(w) ? end + AROUND : limit(w);
	struct hash h;
	enum err e;

	if (r->d + r->lead - r->s >= SEAM_BYTES + LEAD)
		from += SEAM_BYTES;
	if (from < r->d - AROUND)
		from = r->d - AROUND;
	e = work_hash(w, r->s > AROUND ? r->s - AROUND : 0, r->s, before);
	if (e != E_OK)
		return e;
	hash_begin(w, &h);
	if ((e = hash_range(w, &h, end, to)) == E_OK)
		e = hash_range(w, &h, from, r->d);
	*after = hash_end(&h);
	return e;
}

enum err
window_around(struct work *w, const struct record *r, uint64_t *before,
    uint64_t *after)
{
	return w->plan.kind == PLAN_COMPACT ?
	    around_compact(w, r, before, after) :
	    around_expand(w, r, before, after);
}

uint32_t
grain_sum(const struct work *w, const char *p, size_t n)
{
	return (uint32_t)journal_hash(&w->j, p, n);
}

/* What stands now where a window goes. */
static enum err
take_sums(struct work *w, int64_t d, int64_t n)
{
	char piece[GRAIN];
	size_t i, len;
	enum err e;

	for (i = 0; n > 0; i++, d += (int64_t)len, n -= (int64_t)len) {
		len = grain_len(d, n);
		if ((e = work_read(w, d, len, piece)) != E_OK)
			return e;
		w->sums[i] = grain_sum(w, piece, len);
	}
	return E_OK;
}

enum err
work_record(struct work *w, struct record *r, const uint32_t *sums)
{
	w->begun = true;
	w->seq = r->seq;
	if (journal_record(&w->j, &w->plan, r, r->slot ? w->win : NULL,
	    sums) != 0)
		return work_io(w, "write to the journal");
	return E_OK;
}

/* One window: journal, then mailbox. All of r is set but what hashes say. */
static enum err
move_window(struct work *w, struct record *r)
{
	enum err e;

	if (w->tick != NULL)
		w->tick();
	r->kind = RECORD_MOVE;
	r->seq = w->seq + 1;
	if ((e = window_fill(w, r)) != E_OK ||
	    (e = window_around(w, r, &r->before, &r->after)) != E_OK ||
	    (e = take_sums(w, r->d, r->n)) != E_OK)
		return e;
	r->hash = journal_hash(&w->j, w->win, w->n);
	if ((e = work_record(w, r, w->sums)) != E_OK ||
	    (e = work_write(w, r->d, w->win, w->n)) != E_OK)
		return e;
	return work_sync(w);
}

/*
 * The window of a compaction that begins with entry i, which is kept: as
 * many more as go in. s2 is where the next one that is kept begins, so that
 * what is dropped in between makes the bubble larger.
 */
static enum err
choose_front(struct work *w, uint32_t i, struct record *r)
{
	struct entry entry = { 0 };
	int64_t n = 0;
	bool full = false;
	enum err e = E_OK;

	for (r->s2 = w->plan.size; i < w->plan.n; i++) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		if (entry.bits & ENTRY_DROP)
			continue;
		full = n > 0 && n + entry_newlen(&entry) + WINDOW_SLACK >
		    (int64_t)w->j.window;
		if (full) {
			r->s2 = entry.off;
			break;
		}
		n += entry_newlen(&entry);
	}
	r->n = n;
	/* A seam inside a message would cut it in two. */
	if (r->s2 - (r->d + n) >= SEAM_BYTES &&
	    !(full && entry.bits & ENTRY_PIECE))
		r->seam = SEAM_BYTES;
	r->n += r->seam;
	r->slot = r->d + r->n > r->s;
	return E_OK;
}

/* The same for what others appended. r->s2 is r->s when that is nothing. */
static enum err
choose_tail(struct work *w, struct record *r)
{
	int64_t size, room = (int64_t)w->j.window - WINDOW_SLACK;
	enum err e;

	if ((e = work_size(w, &size)) != E_OK)
		return e;
	if (size < r->s)
		return E_GONE;
	r->n = size - r->s < room ? size - r->s : room;
	r->s2 = r->s + r->n;
	if (r->s2 == size && r->s2 - (r->d + r->n) >= SEAM_BYTES)
		r->seam = SEAM_BYTES;
	r->n += r->seam;
	r->slot = r->d + r->n > r->s;
	return E_OK;
}

/* Ends a compaction of which [d, s) is the bubble at the file's end. *done
 * is false when more mail has arrived just now. */
static enum err
cut(struct work *w, int64_t d, int64_t s, bool *done)
{
	struct record r = {
		.kind = RECORD_CUT, .seq = w->seq + 1, .d = d, .n = s - d,
	};
	int64_t size;
	enum err e;

	*done = true;
	if (d == s)
		return E_OK;
	if ((e = work_hash(w, d, s, &r.hash)) != E_OK ||
	    (e = work_record(w, &r, NULL)) != E_OK ||
	    (e = work_size(w, &size)) != E_OK)
		return e;
	if (size != s) {
		*done = false;
		return size < s ? E_GONE : E_OK;
	}
	w->block_n = 0;
	if (fs_truncate(w->fd, d) != 0)
		return work_io(w, "shorten the mailbox");
	return work_sync(w);
}

/* First kept entry at or behind *s: *s is where it begins, or the end. */
static enum err
skip_dropped(struct work *w, int64_t *s, uint32_t *i)
{
	struct entry entry;
	enum err e;

	if ((e = entry_find(w, *s, i)) != E_OK)
		return e;
	for (; *i < w->plan.n; ++*i) {
		if ((e = entry_get(w, *i, &entry)) != E_OK)
			return e;
		*s = entry.off;
		if (!(entry.bits & ENTRY_DROP))
			return E_OK;
	}
	if (*s < w->plan.size)
		*s = w->plan.size;
	return E_OK;
}

enum err
plan_end(struct work *w)
{
	if (journal_clear(&w->j, true) != 0)
		return work_io(w, "write to the journal");
	w->begun = false;
	/* Room that only a big message needed; to have it is no duty. */
	journal_shrink(&w->j);
	return E_OK;
}

/* As long as there is no bubble, what does not change need not move. */
static enum err
skip_still(struct work *w, int64_t *d, int64_t *s)
{
	struct entry entry;
	uint32_t i;
	enum err e;

	if (*d != *s || (e = entry_find(w, *s, &i)) != E_OK)
		return *d != *s ? E_OK : e;
	for (; i < w->plan.n; i++) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		if (entry.bits & (ENTRY_DROP | ENTRY_STAMP) || entry.eol > 0)
			break;
		*d = *s = entry.off + entry.len;
	}
	return E_OK;
}

enum err
compact_run(struct work *w, int64_t d, int64_t s)
{
	struct record r;
	bool done = false;
	uint32_t i;
	enum err e;

	while (!done) {
		if ((e = skip_still(w, &d, &s)) != E_OK ||
		    (e = skip_dropped(w, &s, &i)) != E_OK)
			return e;
		r = (struct record){ .d = d, .s = s };
		e = i < w->plan.n ? choose_front(w, i, &r) :
		    choose_tail(w, &r);
		if (e == E_OK && r.s2 == s)
			e = cut(w, d, s, &done);
		else if (e == E_OK) {
			e = move_window(w, &r);
			d += r.n - r.seam;
			s = r.s2;
		}
		if (e != E_OK)
			return e;
	}
	return plan_end(w);
}

/* The window of an expansion whose last entry is i - 1: as many more before
 * it as go in. */
static enum err
choose_back(struct work *w, uint32_t i, int64_t end, struct record *r)
{
	struct entry entry;
	int64_t n = 0;
	bool piece = false;
	enum err e;

	while (i-- > 0) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		if (n > 0 && n + entry_newlen(&entry) + WINDOW_SLACK >
		    (int64_t)w->j.window)
			break;
		n += entry_newlen(&entry);
		r->s = entry.off;
		piece = entry.bits & ENTRY_PIECE;
	}
	/* Never before a piece: the bytes before it are its own message. */
	if (!piece)
		r->lead = end - n - r->s < LEAD ? (uint32_t)(end - n - r->s) :
		    LEAD;
	r->n = n + r->lead;
	r->d = end - r->n;
	r->slot = r->d < r->s2;
	return E_OK;
}

/*
 * Only once the window is on the disk, whose sources it overwrites, and
 * synced by itself: the next record's sums must hold for what a power cut
 * leaves. A message that goes on here in pieces is not cut in two.
 */
enum err
expand_seam(struct work *w, int64_t b, int64_t e)
{
	char seam[SEAM_BYTES + 1];
	struct entry entry;
	uint32_t i;
	enum err r;

	if (e - b < SEAM_BYTES + LEAD)
		return E_OK;
	if ((r = entry_find(w, b, &i)) != E_OK ||
	    (r = entry_get(w, i, &entry)) != E_OK)
		return r;
	if (entry.bits & ENTRY_PIECE)
		return E_OK;
	seam_text(w, seam);
	if ((r = work_write(w, b, seam, SEAM_BYTES)) != E_OK)
		return r;
	return work_sync(w);
}

enum err
expand_run(struct work *w, int64_t b, int64_t e)
{
	struct record r;
	uint32_t i;
	enum err err;

	for (;;) {
		if ((err = entry_find(w, b, &i)) != E_OK)
			return err;
		if (i == 0)
			break;
		r = (struct record){ .s2 = b };
		if ((err = choose_back(w, i, e, &r)) != E_OK ||
		    (err = move_window(w, &r)) != E_OK)
			return err;
		b = r.s;
		e = r.d + r.lead;
		if ((err = expand_seam(w, b, e)) != E_OK)
			return err;
	}
	if (b != e)
		log_bug("an expansion does not end where it began");
	return plan_end(w);
}
