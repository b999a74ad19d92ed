/*
 * rewrite_recover.c - what a dead process left half-done. It finds out from
 * the newest record how far that process came, checks that the mailbox is
 * what the record says, and goes on (I1 to I4 and the diagram: rewrite.c).
 * Killed itself, it is simply run again: it repeats the same bytes.
 *
 * Where the mailbox is anything else, another program has rewritten it in
 * between, and no offset means anything. Then nothing is overwritten: of
 * the one window that may be torn, the messages that are no longer there
 * are appended from the journal; all others are whole in what that program
 * saw. Copies may stay behind, mail is not lost.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite_own.h"
#include "lib/fromline.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"

enum {
	/* As much of a line as is looked at to tell a From_ line. */
	LINE = 1024,
};

/* Are entries [from, to) as they were? */
static enum err
check_entries(struct work *w, uint32_t from, uint32_t to)
{
	struct entry entry;
	uint64_t hash;
	enum err e;

	for (; from < to; from++) {
		if ((e = entry_get(w, from, &entry)) != E_OK ||
		    (e = work_hash(w, entry.off, entry.off + entry.len,
		    &hash)) != E_OK)
			return e;
		if (hash != entry.hash)
			return E_GONE;
	}
	return E_OK;
}

/* Those that record r says were not moved yet. */
static enum err
check_unmoved(struct work *w, const struct record *r)
{
	uint32_t i;
	enum err e;

	if (w->plan.kind == PLAN_COMPACT) {
		e = entry_find(w, r->s2, &i);
		return e == E_OK ? check_entries(w, i, w->plan.n) : e;
	}
	e = entry_find(w, r->s, &i);
	return e == E_OK ? check_entries(w, 0, i) : e;
}

/* The line at `at` as far as it is there; at most LINE bytes. */
static enum err
read_line(struct work *w, int64_t at, int64_t size, char *to, struct str *line)
{
	size_t n = size - at < LINE ? (size_t)(size - at) : LINE;
	enum err e;

	if ((e = work_read(w, at, n, to)) != E_OK)
		return e;
	*line = (struct str){ to, n };
	line->n = str_index(*line, '\n');
	return E_OK;
}

/* What others appended begins a message: the end is where it was. Some
 * programs write an empty line before. */
static enum err
check_end(struct work *w, int64_t end, int64_t size)
{
	char bytes[LINE];
	struct str line;
	enum err e;

	if (size < end)
		return E_GONE;
	for (; end < size; end++) {
		if ((e = read_line(w, end, size, bytes, &line)) != E_OK)
			return e;
		if (line.n > 0 && !str_eq(line, STR("\r")))
			return fromline_read(line, NULL) != FROMLINE_NOT ?
			    E_OK : E_GONE;
	}
	return E_OK;
}

/* All but the place itself. */
static enum err
check_around(struct work *w, const struct record *r)
{
	uint64_t before, after;
	int64_t size;
	enum err e;

	if ((e = work_size(w, &size)) != E_OK)
		return e;
	if (size < w->plan.size || size < r->s2)
		return E_GONE;
	if (w->plan.kind == PLAN_EXPAND && (e = check_end(w,
	    w->plan.size + w->plan.grow, size)) != E_OK)
		return e;
	if ((e = window_around(w, r, &before, &after)) != E_OK)
		return e;
	if (before != r->before || after != r->after)
		return E_GONE;
	return check_unmoved(w, r);
}

/*
 * Is each sector of the place as it was, or as it is to be? In one of them
 * a killed write may have stopped: that one begins as it is to be.
 */
static enum err
check_place(struct work *w, const struct record *r)
{
	char piece[SECTOR];
	int64_t at = 0;
	size_t i, n;
	bool stopped = false;
	enum err e;

	for (i = 0; at < r->n; i++, at += (int64_t)n) {
		n = SECTOR - (size_t)((r->d + at) % SECTOR);
		if ((int64_t)n > r->n - at)
			n = (size_t)(r->n - at);
		if ((e = work_read(w, r->d + at, n, piece)) != E_OK)
			return e;
		if (memcmp(piece, w->win + at, n) == 0 ||
		    sector_sum(w, piece, n) == w->sums[i])
			continue;
		if (stopped || piece[0] != w->win[at])
			return E_GONE;
		stopped = true;
	}
	return E_OK;
}

/* Has the window of r at its place, or finds that it was *not begun. */
static enum err
redo(struct work *w, const struct record *r, bool *begun)
{
	uint64_t hash;
	enum err e;
	int got;

	*begun = true;
	if ((e = work_hash(w, r->d, r->d + r->n, &hash)) != E_OK)
		return e;
	if (hash == r->hash)
		return E_OK;
	if ((got = journal_data(&w->j, r, w->win, w->sums)) < 0)
		return work_io(w, "read the journal");
	*begun = got == 1;
	if (!*begun)
		return E_OK;
	if (!r->slot) {
		if ((e = window_fill(w, r)) != E_OK)
			return e;
		if (journal_hash(&w->j, w->win, w->n) != r->hash)
			return E_GONE;
	}
	if ((e = check_place(w, r)) != E_OK ||
	    (e = work_write(w, r->d, w->win, (size_t)r->n)) != E_OK)
		return e;
	return work_sync(w);
}

static enum err
resume_move(struct work *w, const struct record *r)
{
	bool begun;
	enum err e;

	if ((e = check_around(w, r)) != E_OK ||
	    (e = redo(w, r, &begun)) != E_OK)
		return e;
	if (w->plan.kind == PLAN_COMPACT)
		return begun ? compact_run(w, r->d + r->n - r->seam, r->s2) :
		    compact_run(w, r->d, r->s);
	if (!begun)
		return expand_run(w, r->s2, r->d + r->n);
	if ((e = expand_seam(w, r->s, r->d + r->lead)) != E_OK)
		return e;
	return expand_run(w, r->s, r->d + r->lead);
}

static enum err
seam_at(struct work *w, int64_t at, int64_t size, bool *seam)
{
	char text[SEAM_BYTES + 1], there[SEAM_BYTES];
	enum err e;

	*seam = false;
	if (size - at < SEAM_BYTES)
		return E_OK;
	if ((e = work_read(w, at, SEAM_BYTES, there)) != E_OK)
		return e;
	seam_text(w, text);
	*seam = memcmp(text, there, SEAM_BYTES) == 0;
	return E_OK;
}

/* Was the file cut off, and what stands there now came after? Then all is
 * done. Bytes that are not those of the record are never cut off. */
static enum err
resume_cut(struct work *w, const struct record *r)
{
	int64_t size;
	uint64_t hash;
	bool seam;
	enum err e;

	if ((e = work_size(w, &size)) != E_OK)
		return e;
	if (size < r->d)
		return E_GONE;
	if (size >= r->d + r->n) {
		if ((e = work_hash(w, r->d, r->d + r->n, &hash)) != E_OK)
			return e;
		if (hash == r->hash)
			return compact_run(w, r->d, r->d + r->n);
	}
	if ((e = seam_at(w, r->d, size, &seam)) != E_OK)
		return e;
	return seam ? E_GONE : plan_end(w);
}

/* Is [plan.size, end) what a torn filler can look like? */
static enum err
is_filler(struct work *w, int64_t end, bool *yes)
{
	char there[4096], seam[SEAM_BYTES + 1];
	int64_t at = 0, n = end - w->plan.size;
	size_t i, len;
	enum err e;

	seam_text(w, seam);
	*yes = n <= w->plan.grow;
	for (; *yes && at < n; at += (int64_t)len) {
		len = n - at < (int64_t)sizeof(there) ? (size_t)(n - at) :
		    sizeof(there);
		e = work_read(w, w->plan.size + at, len, there);
		if (e != E_OK)
			return e;
		for (i = 0; i < len; i++)
			if (there[i] != '\0' && there[i] != '\n' && there[i] !=
			    filler_byte(w, seam, at + (int64_t)i))
				*yes = false;
	}
	return E_OK;
}

/* The first From_ line behind plan.size that is not our filler's. It need
 * not begin a line: a torn filler may end in NULs. */
static enum err
find_delivered(struct work *w, int64_t size, int64_t *at)
{
	char bytes[LINE], seam[SEAM_BYTES + 1];
	struct fromline from;
	struct str line;
	bool ours;
	enum err e;

	seam_text(w, seam);
	for (*at = w->plan.size; *at < size; ++*at) {
		if ((e = read_line(w, *at, size, bytes, &line)) != E_OK)
			return e;
		if (!str_starts(line, STR("From "))) {
			line.n = line.n < 5 ? line.n : line.n - 4;
			*at += (int64_t)str_index(str_from(line, 1), 'F');
			continue;
		}
		if (fromline_read(line, &from) == FROMLINE_NOT ||
		    str_starts(line, (struct str){ seam, 32 }))
			continue;
		e = is_filler(w, *at + (int64_t)line.n, &ours);
		if (e != E_OK || !ours)
			return e;
	}
	return E_GONE;
}

/*
 * Whoever delivered saw that the file ends in a line end (or in a NUL, after
 * which a message can begin as well). Where what stood before the filler
 * does not, that one byte stays.
 */
static enum err
keep_line_end(struct work *w, int64_t *mail)
{
	char before, byte;
	enum err e;

	if (*mail == w->plan.size || w->plan.size == 0)
		return E_OK;
	if ((e = work_read(w, w->plan.size - 1, 1, &before)) != E_OK ||
	    (e = work_read(w, *mail - 1, 1, &byte)) != E_OK)
		return e;
	if (before != '\n' && (byte == '\n' || byte == '\0'))
		--*mail;
	return E_OK;
}

/* Mail was delivered behind a torn filler: a compaction takes the filler
 * out. Its plan replaces the expansion's in one step and must be done. */
static enum err
drop_filler(struct work *w, int64_t mail, int64_t size)
{
	struct rewrite_item filler = { .off = w->plan.size, .drop = true };
	struct rewrite_item kept = { 0 };
	enum err e;

	if ((e = keep_line_end(w, &mail)) != E_OK)
		return e;
	filler.len = mail - filler.off;
	kept.off = mail;
	kept.len = size - mail;
	w->plan.kind = PLAN_COMPACT;
	w->plan.grow = 0;
	w->plan.must = 1;
	w->seq = 0;
	journal_start(&w->j);
	if ((filler.len > 0 &&
	    (e = plan_item(w, &filler, LEFT, 0)) != E_OK) ||
	    (e = plan_item(w, &kept, LEFT, 0)) != E_OK ||
	    (e = plan_commit(w, size, NULL)) != E_OK)
		return e;
	return compact_run(w, filler.off, filler.off);
}

/* Nothing was moved yet: back to the start. */
static enum err
resume_fill(struct work *w)
{
	int64_t size, mail;
	bool filler;
	enum err e;

	if ((e = work_size(w, &size)) != E_OK)
		return e;
	if (size < w->plan.size)
		return E_GONE;
	if ((e = check_entries(w, 0, w->plan.n)) != E_OK ||
	    (e = is_filler(w, size, &filler)) != E_OK)
		return e;
	if (!filler) {
		e = find_delivered(w, size, &mail);
		return e == E_OK ? drop_filler(w, mail, size) : e;
	}
	if (fs_truncate(w->fd, w->plan.size) != 0)
		return work_io(w, "shorten the mailbox");
	if ((e = work_sync(w)) != E_OK)
		return e;
	return plan_end(w);
}

static enum err
resume(struct work *w, const struct record *r, bool found)
{
	struct entry first;
	enum err e;

	if (w->plan.kind == PLAN_PATCH)
		return patch_recover(w);
	if (found) {
		w->seq = r->seq;
		if (r->kind == RECORD_FILL)
			return resume_fill(w);
		return r->kind == RECORD_CUT ? resume_cut(w, r) :
		    resume_move(w, r);
	}
	if (!w->plan.must)
		return plan_end(w);
	if ((e = entry_get(w, 0, &first)) != E_OK ||
	    (e = check_entries(w, 0, w->plan.n)) != E_OK)
		return e;
	return compact_run(w, first.off, first.off);
}

/* A message of the window that may be torn. */
struct lost {
	struct str bytes;	/* as it was to be, in w->win */
	struct entry entry;
	bool there;
};

struct salvage {
	struct lost *lost;
	uint32_t n;
	uint32_t left;		/* not found yet */
};

static void
add_lost(struct salvage *s, struct str bytes, const struct entry *entry)
{
	s->lost = xrealloc(s->lost, s->n + 1, sizeof(*s->lost));
	s->lost[s->n++] = (struct lost){ .bytes = bytes, .entry = *entry };
	s->left = s->n;
}

/* The messages of the window that w->win holds. */
static enum err
list_lost(struct work *w, const struct record *r, struct salvage *s)
{
	struct entry entry = { .len = -1 };
	struct str rest = { w->win + r->lead,
	    (size_t)(r->n - r->lead - r->seam) };
	size_t n;
	uint32_t i;
	enum err e;

	/* Of mail that came later the plan knows no parts. */
	if (r->s >= w->plan.size) {
		add_lost(s, rest, &entry);
		return E_OK;
	}
	if ((e = entry_find(w, r->s, &i)) != E_OK)
		return e;
	for (; i < w->plan.n && rest.n > 0; i++) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		n = (size_t)entry_newlen(&entry);
		if (n > 0)
			add_lost(s, str_sub(rest, 0, n), &entry);
		rest = str_from(rest, n);
	}
	return E_OK;
}

/* Does the file hold these bytes at `at`? */
static enum err
same_bytes(struct work *w, int64_t at, int64_t size, struct str bytes,
    bool *same)
{
	char piece[4096];
	size_t n;
	enum err e;

	*same = size - at >= (int64_t)bytes.n;
	for (; *same && bytes.n > 0; bytes = str_from(bytes, n)) {
		n = bytes.n < sizeof(piece) ? bytes.n : sizeof(piece);
		if ((e = work_read(w, at, n, piece)) != E_OK)
			return e;
		*same = memcmp(piece, bytes.p, n) == 0;
		at += (int64_t)n;
	}
	return E_OK;
}

/* Is it at `at`, as it was to be or as it was? */
static enum err
is_at(struct work *w, int64_t at, int64_t size, struct lost *lost)
{
	const struct entry *old = &lost->entry;
	struct str line = lost->bytes;
	uint64_t hash;
	bool same;
	enum err e;

	line.n = str_index(line, '\n');
	if ((e = same_bytes(w, at, size, line, &same)) != E_OK || !same)
		return e;
	if ((e = same_bytes(w, at, size, lost->bytes, &same)) != E_OK)
		return e;
	lost->there = same;
	if (same || old->len < 0 || size - at < old->len)
		return E_OK;
	if ((e = work_hash(w, at, at + old->len, &hash)) != E_OK)
		return e;
	lost->there = hash == old->hash;
	return E_OK;
}

/* Looks for each of them at each line that begins with "From ". */
static enum err
look_for(struct work *w, int64_t size, struct salvage *s)
{
	char bytes[LINE];
	struct str line;
	bool begins = true;
	int64_t at = 0;
	uint32_t i;
	enum err e;

	while (at < size && s->left > 0) {
		if ((e = read_line(w, at, size, bytes, &line)) != E_OK)
			return e;
		begins = begins && str_starts(line, STR("From "));
		for (i = 0; begins && i < s->n; i++) {
			if (s->lost[i].there)
				continue;
			if ((e = is_at(w, at, size, &s->lost[i])) != E_OK)
				return e;
			s->left -= s->lost[i].there;
		}
		begins = line.n < LINE;
		at += (int64_t)line.n + begins;
	}
	return E_OK;
}

/* Behind an empty line, in one write. A piece of a big message gets a seam
 * as its From_ line: whoever looks finds it. */
static enum err
append_lost(struct work *w, int64_t size, const struct salvage *s)
{
	struct buf out = BUF_MAX(SIZE_MAX / 2);
	char seam[SEAM_BYTES + 1], end[2] = { '\n', '\n' };
	uint32_t i;
	enum err e = E_OK;

	if (size >= 2)
		e = work_read(w, size - 2, 2, end);
	else if (size == 1)
		e = work_read(w, 0, 1, end + 1);
	if (end[1] != '\n')
		buf_add(&out, STR("\n\n"));
	else if (end[0] != '\n')
		buf_addc(&out, '\n');
	seam_text(w, seam);
	for (i = 0; i < s->n; i++) {
		if (s->lost[i].there)
			continue;
		if (!str_starts(s->lost[i].bytes, STR("From ")))
			buf_add(&out, (struct str){ seam, SEAM_BYTES });
		buf_add(&out, s->lost[i].bytes);
	}
	if (e == E_OK)
		e = work_write(w, size, out.p, out.n);
	if (e == E_OK)
		e = work_sync(w);
	buf_free(&out);
	return e;
}

static enum err
append_missing(struct work *w, const struct record *r, struct salvage *s)
{
	int64_t size;
	enum err e;
	int got = journal_data(&w->j, r, w->win, w->sums);

	if (got < 0)
		return work_io(w, "read the journal");
	if (got == 0)
		return E_OK;
	if ((e = list_lost(w, r, s)) != E_OK ||
	    (e = work_size(w, &size)) != E_OK ||
	    (e = look_for(w, size, s)) != E_OK || s->left == 0)
		return e;
	return append_lost(w, size, s);
}

static enum err
salvage(struct work *w, const struct record *r, bool found)
{
	struct salvage s = { 0 };
	char path[300];
	enum err e = E_OK;

	if (found && r->kind == RECORD_MOVE && r->slot)
		e = append_missing(w, r, &s);
	free(s.lost);
	/* The file is shorter than it was a moment ago: again later. */
	if (e == E_GONE)
		return why_set(w->why, E_IO,
		    "another program changes the mailbox");
	if (e != E_OK)
		return e;
	log_warn("%s: another program changed this mailbox while a rewrite "
	    "was unfinished: messages appended again: %u; others may be there "
	    "twice", log_clean(str_c(w->plan.path), path, sizeof(path)),
	    s.left);
	return plan_end(w);
}

enum err
rewrite_recover(const char *dir, int fd, bool sync, struct why *why)
{
	struct record r = { 0 };
	struct work w;
	struct stat st;
	bool hot;
	enum err e;
	int found;

	if (fstat(fd, &st) != 0)
		return why_set(why, E_IO, "cannot look at the mailbox: %s",
		    strerror(errno));
	if (!rewrite_hot(dir, st.st_dev, st.st_ino))
		return E_OK;
	if ((e = work_begin(&w, fd, dir, sync, &hot, why)) != E_OK)
		return e;
	work_room(&w);
	if (!hot) {
		e = plan_end(&w);
	} else if (w.plan.dev == (uint64_t)st.st_dev &&
	    w.plan.ino == (uint64_t)st.st_ino) {
		found = journal_last(&w.j, &w.plan, &r);
		e = found < 0 ? work_io(&w, "read the journal") :
		    resume(&w, &r, found == 1);
		if (e == E_GONE)
			e = salvage(&w, &r, found == 1);
	}
	work_end(&w);
	return e;
}

enum err
rewrite_pending(const char *dir, struct rewrite_pending *out)
{
	struct journal j;
	struct plan plan;
	enum err e = E_NOENT;

	if (journal_look(&j, dir) != E_OK)
		return E_NOENT;
	if (journal_plan(&j, &plan, false) == 1) {
		out->dev = (dev_t)plan.dev;
		out->ino = (ino_t)plan.ino;
		memcpy(out->path, plan.path, sizeof(out->path));
		e = E_OK;
	}
	journal_close(&j);
	return e;
}

bool
rewrite_hot(const char *dir, dev_t dev, ino_t ino)
{
	struct rewrite_pending p;

	return rewrite_pending(dir, &p) == E_OK && p.dev == dev &&
	    p.ino == ino;
}

enum err
rewrite_abandon(const char *dir, struct why *why)
{
	struct journal j;
	enum err e;

	if ((e = journal_open(&j, dir, true, why)) != E_OK)
		return e;
	log_warn("the journal of a rewrite whose mailbox is gone is kept "
	    "as journal.aside");
	if (journal_aside(&j) != 0)
		e = why_set(why, E_IO, "cannot put the journal aside: %s",
		    strerror(errno));
	journal_close(&j);
	return e;
}
