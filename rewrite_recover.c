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
		if ((e = work_line(w, end, size, bytes, &line)) != E_OK)
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
 * Is each grain of the place as it was, or as it is to be? A power cut mixes
 * them as it likes, but a disk writes its sectors whole. Only where a killed
 * write stopped can a grain be half the one and half the other: that one
 * begins as it is to be, all before it are new, and all behind it are old.
 */
static enum err
check_place(struct work *w, const struct record *r)
{
	char piece[GRAIN];
	int64_t at = 0;
	size_t i, n;
	bool is_new, is_old, some_old = false, stopped = false;
	enum err e;

	for (i = 0; at < r->n; i++, at += (int64_t)n) {
		n = grain_len(r->d + at, r->n - at);
		if ((e = work_read(w, r->d + at, n, piece)) != E_OK)
			return e;
		is_new = memcmp(piece, w->win + at, n) == 0;
		is_old = grain_sum(w, piece, n) == w->sums[i];
		if (!is_old && (stopped || (!is_new &&
		    (some_old || piece[0] != w->win[at]))))
			return E_GONE;
		stopped = stopped || (!is_old && !is_new);
		some_old = some_old || !is_new;
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

/* Nothing was moved yet: back to the start. */
static enum err
resume_fill(struct work *w)
{
	struct tail filler;
	enum err e = check_entries(w, 0, w->plan.n);

	if (e == E_OK)
		e = tail_of_filler(w, &filler);
	return e == E_OK ? tail_take_back(w, &filler) : e;
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
		if (r->kind == RECORD_APPEND)
			return append_recover(w, r);
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
	uint32_t line;		/* sum of its first line */
	struct entry entry;
	bool there;
};

struct salvage {
	struct lost *lost;
	uint32_t n;
	uint32_t left;		/* not found yet */
};

static void
add_lost(const struct work *w, struct salvage *s, struct str bytes,
    const struct entry *entry)
{
	size_t n = str_index(bytes, '\n');

	s->lost = xrealloc(s->lost, s->n + 1, sizeof(*s->lost));
	s->lost[s->n++] = (struct lost){
		.bytes = bytes, .entry = *entry,
		.line = grain_sum(w, bytes.p, n < LINE ? n : LINE),
	};
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
		add_lost(w, s, rest, &entry);
		return E_OK;
	}
	if ((e = entry_find(w, r->s, &i)) != E_OK)
		return e;
	for (; i < w->plan.n && rest.n > 0; i++) {
		if ((e = entry_get(w, i, &entry)) != E_OK)
			return e;
		n = (size_t)entry_newlen(&entry);
		if (n > 0)
			add_lost(w, s, str_sub(rest, 0, n), &entry);
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
	uint64_t hash;
	bool same;
	enum err e;

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
	uint32_t i, sum;
	enum err e;

	while (at < size && s->left > 0) {
		if ((e = work_line(w, at, size, bytes, &line)) != E_OK)
			return e;
		begins = begins && str_starts(line, STR("From "));
		sum = begins ? grain_sum(w, line.p, line.n) : 0;
		for (i = 0; begins && i < s->n; i++) {
			if (s->lost[i].there || s->lost[i].line != sum)
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

static void
log_salvage(const struct work *w, uint32_t appended)
{
	char path[300];
	struct str name = str_c(w->plan.path);

	log_clean(name, path, sizeof(path));
	if (w->plan.kind == PLAN_APPEND)
		log_warn("%s: another program changed this mailbox while "
		    "mail was being appended: a part of that may be in it",
		    path);
	else
		log_warn("%s: another program changed this mailbox while a "
		    "rewrite was unfinished: messages appended again: %u; "
		    "others may be there twice", path, appended);
}

static enum err
salvage(struct work *w, const struct record *r, bool found)
{
	struct salvage s = { 0 };
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
	/*
	 * Seams that the other program has taken for messages stay, with the
	 * text behind them: it may hold what that program has made of mail,
	 * and no mail is lost for the sake of order.
	 */
	log_salvage(w, s.left);
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
	/* It is hot still, whatever the reason. */
	return e == E_FULL ? E_IO : e;
}

enum err
rewrite_pending(const char *dir, struct rewrite_pending *out)
{
	struct journal j;
	struct plan plan;
	enum err e;
	int found;

	if ((e = journal_look(&j, dir)) != E_OK)
		return e;
	found = journal_plan(&j, &plan, false);
	journal_close(&j);
	if (found != 1)
		return found < 0 ? E_IO : E_NOENT;
	out->dev = (dev_t)plan.dev;
	out->ino = (ino_t)plan.ino;
	memcpy(out->path, plan.path, sizeof(out->path));
	return E_OK;
}

bool
rewrite_hot(const char *dir, dev_t dev, ino_t ino)
{
	struct rewrite_pending p;
	enum err e = rewrite_pending(dir, &p);

	return e == E_IO || (e == E_OK && p.dev == dev && p.ino == ino);
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
