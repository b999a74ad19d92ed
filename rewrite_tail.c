/*
 * rewrite_tail.c - what a rewrite adds at the end of the mailbox, and how
 * that is taken back when it did not get on: the filler of an expansion,
 * or a part of what was to be appended. Only bytes that are known to be
 * ours are cut off (I4 in rewrite.c). What stands behind them was delivered
 * by others: then a compaction takes ours out, and carries that along.
 */
#include <string.h>

#include "rewrite_own.h"
#include "lib/fromline.h"
#include "lib/fs.h"

/*
 * Byte i of the filler of an expansion: a seam as long as the whole bubble,
 * or, where that is shorter, line ends that belong to the message before.
 */
static char
filler_byte(const struct tail *t, const char *seam, int64_t i)
{
	i -= t->lead;
	return t->n < t->lead + SEAM_BYTES || i < 0 || i >= SEAM_BYTES ?
	    '\n' : seam[i];
}

/* A last line without an end is ended first: what is glued to it would be
 * its text for other programs. */
enum err
tail_of_filler(struct work *w, struct tail *out)
{
	char byte = '\n';
	enum err e = E_OK;

	*out = (struct tail){
		.from = w->plan.size, .at = w->plan.size, .n = w->plan.grow,
	};
	if (out->from > 0)
		e = work_read(w, out->from - 1, 1, &byte);
	out->lead = byte == '\n' ? 0 : LEAD;
	return e;
}

/* Can this be byte i of a tail? A power cut leaves NULs where the size has
 * reached the disk and the bytes have not. */
static bool
is_ours(const struct tail *t, const char *seam, int64_t i, char byte)
{
	if (i >= t->n)
		return false;
	if (t->bytes != NULL)
		return byte == '\0' || byte == t->bytes[i];
	return byte == '\0' || byte == '\n' ||
	    byte == filler_byte(t, seam, i);
}

/* The first byte, from t->at on, that is not ours; or `size`. */
static enum err
first_other(struct work *w, const struct tail *t, int64_t size, int64_t *at)
{
	char there[4096], seam[SEAM_BYTES + 1];
	size_t i, n;
	enum err e;

	seam_text(w, seam);
	for (*at = t->at; *at < size; *at += (int64_t)n) {
		n = size - *at < (int64_t)sizeof(there) ?
		    (size_t)(size - *at) : sizeof(there);
		if ((e = work_read(w, *at, n, there)) != E_OK)
			return e;
		for (i = 0; i < n && is_ours(t, seam,
		    *at - t->at + (int64_t)i, there[i]); i++)
			continue;
		if (i < n) {
			*at += (int64_t)i;
			return E_OK;
		}
	}
	return E_OK;
}

/* Does a From_ line begin at `at`, and where does it end? */
static enum err
from_at(struct work *w, int64_t at, int64_t size, bool *from, int64_t *end)
{
	char bytes[LINE];
	struct str line;
	enum err e = work_line(w, at, size, bytes, &line);

	*from = e == E_OK && fromline_read(line, NULL) != FROMLINE_NOT;
	*end = at + (e == E_OK ? (int64_t)line.n : 0);
	return e;
}

/*
 * Line ends that stand before mail at `at` were put there to end what was
 * ours. They go with it, if there is an empty line before that, too: else
 * the message before would grow by them.
 */
static enum err
behind_line_ends(struct work *w, const struct tail *t, int64_t other,
    int64_t at, int64_t *mail)
{
	char end[3] = { '\n', '\n', '\n' };
	enum err e = E_OK;

	if (t->from >= 3)
		e = work_read(w, t->from - 3, 3, end);
	*mail = end[2] == '\n' && (end[1] == '\n' ||
	    (end[1] == '\r' && end[0] == '\n')) ? at : other;
	return e;
}

/*
 * Where the mail begins of which `other` is the first byte that can not be
 * ours. Bytes before may be equal by chance, so its From_ line is looked for
 * there first; it need not begin a line. Else line ends stand before it.
 */
static enum err
find_mail(struct work *w, const struct tail *t, int64_t other, int64_t size,
    int64_t *mail)
{
	int64_t at, end;
	char byte;
	bool from;
	enum err e;

	for (at = other; at >= t->at && at > other - LINE; at--) {
		if ((e = from_at(w, at, size, &from, &end)) != E_OK)
			return e;
		*mail = at;
		if (from && end > other)
			return E_OK;
	}
	for (at = other; at < size; at++) {
		if ((e = work_read(w, at, 1, &byte)) != E_OK)
			return e;
		if (byte != '\n' && byte != '\r')
			break;
	}
	if (at == size)
		return E_GONE;
	e = from_at(w, at, size, &from, &end);
	if (e == E_OK && !from)
		return E_GONE;
	return e == E_OK ? behind_line_ends(w, t, other, at, mail) : e;
}

/*
 * All of [*from, *mail) is ours and can go. But where what stood before does
 * not end its line, mail that others delivered counts on a line end of ours,
 * if it does not bring one: those at our start stay, or else the last byte,
 * if it is one, or the NUL of one.
 */
static enum err
keep_line_end(struct work *w, int64_t *from, int64_t *mail)
{
	int64_t start = *from;
	char byte = '\n';
	enum err e = E_OK;

	if (start > 0)
		e = work_read(w, start - 1, 1, &byte);
	if (e != E_OK || byte == '\n')
		return e;
	for (; *from < *mail && *from < start + 2; ++*from) {
		if ((e = work_read(w, *from, 1, &byte)) != E_OK)
			return e;
		if (byte != '\n')
			break;
	}
	if (*from > start)
		return E_OK;
	if ((e = work_read(w, *mail, 1, &byte)) != E_OK || byte == '\n')
		return e;
	e = work_read(w, *mail - 1, 1, &byte);
	if (e == E_OK && (byte == '\n' || byte == '\0'))
		--*mail;
	return e;
}

/* A compaction drops [from, mail). Its plan replaces the valid one in one
 * step, and must be carried out. */
static enum err
drop(struct work *w, int64_t from, int64_t mail, int64_t size)
{
	const struct rewrite_item ours = {
		.off = from, .len = mail - from, .drop = true,
	};
	const struct rewrite_item kept = { .off = mail, .len = size - mail };
	enum err e;

	w->plan.kind = PLAN_COMPACT;
	w->plan.grow = 0;
	w->plan.must = 1;
	w->seq = 0;
	journal_start(&w->j);
	if ((e = plan_item(w, &ours, LEFT, 0)) != E_OK ||
	    (e = plan_item(w, &kept, LEFT, 0)) != E_OK ||
	    (e = plan_commit(w, size, NULL, true)) != E_OK)
		return e;
	return compact_run(w, from, from);
}

static enum err
cut_off(struct work *w, const struct tail *t)
{
	enum err e;

	w->block_n = 0;
	if (fs_truncate(w->fd, t->from) != 0)
		return work_io(w, "shorten the mailbox");
	if ((e = work_sync(w)) != E_OK)
		return e;
	return plan_end(w);
}

enum err
tail_take_back(struct work *w, const struct tail *t)
{
	int64_t size, now, other, mail, from = t->from;
	enum err e;

	if (t->at + t->n == t->from)
		return plan_end(w);
	for (;;) {
		if ((e = work_size(w, &size)) != E_OK)
			return e;
		if (size < t->at)
			return E_GONE;
		if ((e = first_other(w, t, size, &other)) != E_OK)
			return e;
		if (other < size)
			break;
		/* More may have been delivered just now. */
		if ((e = work_size(w, &now)) != E_OK)
			return e;
		if (now == size)
			return cut_off(w, t);
	}
	if ((e = find_mail(w, t, other, size, &mail)) != E_OK)
		return e;
	if (mail > from && (e = keep_line_end(w, &from, &mail)) != E_OK)
		return e;
	return mail > from ? drop(w, from, mail, size) : plan_end(w);
}

/* First nothing but line ends: mail that is delivered behind a torn
 * extension then begins on a line of its own. Over them the seam. */
static enum err
write_filler(struct work *w, const struct tail *t)
{
	int64_t at = t->from, end = at + t->n;
	char seam[SEAM_BYTES + 1];
	size_t n;
	enum err e;

	w->block_n = 0;
	for (; at < end; at += (int64_t)n) {
		n = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
		memset(w->block, '\n', n);
		if ((e = work_write(w, at, w->block, n)) != E_OK)
			return e;
	}
	seam_text(w, seam);
	if (t->n >= t->lead + SEAM_BYTES &&
	    (e = work_write(w, t->from + t->lead, seam, SEAM_BYTES)) != E_OK)
		return e;
	return work_sync(w);
}

enum err
tail_failed(struct work *w, const struct tail *t, enum err failure)
{
	struct why *why = w->why;
	enum err e;

	/* The first failure is the one to be told. */
	w->why = NULL;
	e = tail_take_back(w, t);
	w->why = why;
	return e == E_OK ? failure : E_IO;
}

enum err
expand_fill(struct work *w)
{
	struct tail filler;
	struct record r = { .kind = RECORD_FILL };
	int64_t size;
	enum err e;

	if ((e = tail_of_filler(w, &filler)) != E_OK ||
	    (e = work_record(w, &r, NULL)) != E_OK ||
	    (e = work_size(w, &size)) != E_OK)
		return e;
	if (size != w->plan.size) {
		w->begun = false;
		return E_GONE;
	}
	e = write_filler(w, &filler);
	return e == E_OK ? E_OK : tail_failed(w, &filler, e);
}
