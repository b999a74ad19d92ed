/*
 * rewrite_seam.c - takes out the seams of a rewrite that can not be carried
 * to its end because another program has changed the mailbox since: that one
 * took them for messages (mbox.md 4.2, SALVAGE). A seam goes with the text
 * behind it, which is the rest of a message that stands elsewhere. Only
 * seams with the token of the plan count, which no sender can know.
 */
#include "rewrite_own.h"
#include "lib/fromline.h"

/* Lines of the file, one behind the other. */
struct lines {
	int64_t at;		/* of the line */
	int64_t next;		/* behind it */
	int64_t size;
	bool empty;
	char bytes[LINE];
	struct str text;	/* without its end, and cut off at LINE */
};

/* The next line; *more is false behind the last. */
static enum err
step(struct work *w, struct lines *l, bool *more)
{
	enum err e;

	l->at = l->next;
	*more = l->at < l->size;
	if (!*more)
		return E_OK;
	/* A longer line comes in pieces; none of them is looked for. */
	if ((e = work_line(w, l->at, l->size, l->bytes, &l->text)) != E_OK)
		return e;
	l->next = l->at + (int64_t)l->text.n;
	l->next += l->next < l->size && l->text.n < LINE;
	l->empty = l->text.n == 0 || str_eq(l->text, STR("\r"));
	return E_OK;
}

/* Does a message begin with the line? As mbox_scan.c sees it, but for known
 * append points. */
static enum err
is_message(struct work *w, const struct lines *l, bool empty_before,
    bool *message)
{
	struct lines behind = *l;
	enum fromline_kind kind;
	bool more, header;
	enum err e;

	*message = false;
	if (!str_starts(l->text, STR("From ")))
		return E_OK;
	kind = fromline_read(l->text, NULL);
	if (kind == FROMLINE_NOT)
		return E_OK;
	if ((e = step(w, &behind, &more)) != E_OK)
		return e;
	header = more && fromline_header_like(behind.text);
	*message = kind == FROMLINE_STRICT ? empty_before || header :
	    empty_before && header;
	return E_OK;
}

/*
 * The next seam at or behind l->next, and where the message behind it
 * begins, or the end of the file; *found is false when there is none.
 */
static enum err
find_seam(struct work *w, struct lines *l, struct rewrite_item *seam,
    bool *found)
{
	char text[SEAM_BYTES + 1];
	struct str line = { text, SEAM_BYTES - 2 }, got;
	bool more, message, empty = true;
	enum err e;

	seam_text(w, text);
	*seam = (struct rewrite_item){ .drop = true };
	for (*found = false; ; empty = l->empty) {
		if ((e = step(w, l, &more)) != E_OK || !more)
			break;
		got = l->text;
		got.n -= got.n > 0 && got.p[got.n - 1] == '\r';
		message = false;
		if (!*found && str_eq(got, line)) {
			*found = true;
			seam->off = l->at;
		} else if (*found)
			e = is_message(w, l, empty, &message);
		if (e != E_OK || message)
			break;
	}
	seam->len = l->at - seam->off;
	l->next = l->at;
	return e;
}

static enum err
keep_up_to(struct work *w, int64_t from, int64_t to)
{
	const struct rewrite_item kept = { .off = from, .len = to - from };

	return from < to ? plan_item(w, &kept, LEFT, 0) : E_OK;
}

/* A plan that drops all seams from `first` on takes the place of ours. */
static enum err
drop_from(struct work *w, struct lines *l, const struct rewrite_item *first)
{
	struct rewrite_item seam = *first;
	int64_t at = first->off;
	bool found = true;
	enum err e = E_OK;

	w->plan.kind = PLAN_COMPACT;
	w->plan.grow = 0;
	w->plan.must = 1;
	w->seq = 0;
	journal_start(&w->j);
	while (found && e == E_OK) {
		if ((e = keep_up_to(w, at, seam.off)) != E_OK ||
		    (e = plan_item(w, &seam, LEFT, 0)) != E_OK)
			return e;
		at = seam.off + seam.len;
		e = find_seam(w, l, &seam, &found);
	}
	if (e != E_OK || (e = keep_up_to(w, at, l->size)) != E_OK ||
	    (e = plan_commit(w, l->size, NULL, true)) != E_OK)
		return e;
	return compact_run(w, first->off, first->off);
}

enum err
seams_drop(struct work *w)
{
	struct lines l = { .at = 0 };
	struct rewrite_item seam;
	bool found;
	enum err e;

	if ((e = work_size(w, &l.size)) != E_OK ||
	    (e = find_seam(w, &l, &seam, &found)) != E_OK)
		return e;
	return found ? drop_from(w, &l, &seam) : plan_end(w);
}
