/*
 * rewrite_patch.c - overwrites a few bytes in place: flags, a UID. A disk
 * writes a sector whole, so a patch within one is all there or not at all.
 * One across a boundary goes through the journal, with the bytes that it
 * replaces: recovery writes only over what is either the old or the new.
 */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "rewrite_own.h"
#include "lib/fs.h"
#include "lib/log.h"

/* In the journal: this, the old bytes, the new ones. */
struct patch {
	int64_t at;
	uint64_t n;
};

static bool
crosses(const struct rewrite_patch *p)
{
	return p->bytes.n > 0 && p->at / SECTOR !=
	    (p->at + (int64_t)p->bytes.n - 1) / SECTOR;
}

static size_t
room_for(const struct rewrite_patch *p)
{
	return sizeof(struct patch) + 2 * p->bytes.n;
}

static enum err
add_patch(struct work *w, const struct rewrite_patch *p)
{
	struct patch head = { .at = p->at, .n = p->bytes.n };
	enum err e;

	memcpy(w->win + w->n, &head, sizeof(head));
	w->n += sizeof(head);
	e = work_read(w, p->at, p->bytes.n, w->win + w->n);
	if (e != E_OK)
		return e;
	w->n += p->bytes.n;
	memcpy(w->win + w->n, p->bytes.p, p->bytes.n);
	w->n += p->bytes.n;
	return E_OK;
}

/* Cuts the first patch off *rest. */
static struct patch
next_patch(struct str *rest, struct str *old, struct str *new)
{
	struct patch head;

	if (rest->n < sizeof(head))
		log_bug("half a patch in the journal");
	memcpy(&head, rest->p, sizeof(head));
	*rest = str_from(*rest, sizeof(head));
	if (head.n > rest->n / 2)
		log_bug("half a patch in the journal");
	*old = str_sub(*rest, 0, (size_t)head.n);
	*new = str_sub(*rest, (size_t)head.n, (size_t)head.n);
	*rest = str_from(*rest, 2 * (size_t)head.n);
	return head;
}

static enum err
write_patches(struct work *w)
{
	struct str rest = { w->win, w->n }, old, new;
	struct patch head;
	enum err e;

	while (rest.n > 0) {
		head = next_patch(&rest, &old, &new);
		if ((e = work_write(w, head.at, new.p, new.n)) != E_OK)
			return e;
	}
	return work_sync(w);
}

/* As many from *i on as go into one window: those that cross. */
static enum err
gather(struct work *w, const struct rewrite_patch *p, size_t n, size_t *i)
{
	enum err e = E_OK;

	for (w->n = 0; *i < n && e == E_OK; ++*i) {
		if (!crosses(&p[*i]))
			continue;
		if (room_for(&p[*i]) > w->j.window)
			return why_set(w->why, E_LIMIT, "a patch is too big");
		if (w->n + room_for(&p[*i]) > w->j.window)
			break;
		e = add_patch(w, &p[*i]);
	}
	return e;
}

static enum err
one_window(struct work *w, const struct rewrite *r,
    const struct rewrite_patch *p, size_t n, size_t *i)
{
	struct record record = {
		.kind = RECORD_PATCH, .seq = w->seq + 1, .slot = 1,
	};
	int64_t size;
	enum err e;

	if ((e = gather(w, p, n, i)) != E_OK || w->n == 0 ||
	    (e = work_size(w, &size)) != E_OK)
		return e;
	w->plan.kind = PLAN_PATCH;
	journal_start(&w->j);
	if ((e = plan_commit(w, size, r->path, false)) != E_OK)
		return e;
	record.n = (int64_t)w->n;
	record.hash = journal_hash(&w->j, w->win, w->n);
	if ((e = work_record(w, &record, NULL)) != E_OK ||
	    (e = write_patches(w)) != E_OK)
		return e;
	return plan_end(w);
}

/* E_PERM, E_FULL: there is no journal. */
static enum err
with_journal(const struct rewrite *r, const struct rewrite_patch *p, size_t n,
    struct why *why)
{
	struct work w;
	size_t i = 0;
	enum err e;

	if ((e = work_cold(&w, r->fd, r->dir, r->sync, why)) != E_OK)
		return e;
	work_room(&w);
	while (i < n && e == E_OK)
		e = one_window(&w, r, p, n, &i);
	if (e == E_GONE)
		why_set(why, e, "another program changed the mailbox");
	if (e != E_OK && (w.begun || journal_clear(&w.j, true) != 0))
		e = E_IO;
	work_end(&w);
	return e;
}

static enum err
in_place(const struct rewrite *r, const struct rewrite_patch *p, size_t n,
    bool crossing, struct why *why)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((!crosses(&p[i]) || crossing) && fs_pwrite(r->fd,
		    p[i].bytes.p, p[i].bytes.n, p[i].at) != 0)
			return why_set(why, E_IO,
			    "cannot write to the mailbox: %s",
			    strerror(errno));
	if (r->sync && fs_sync(r->fd) != 0)
		return why_set(why, E_IO, "cannot write to the mailbox: %s",
		    strerror(errno));
	return E_OK;
}

enum err
rewrite_patch(const struct rewrite *r, const struct rewrite_patch *patches,
    size_t n, struct why *why)
{
	struct stat st;
	size_t i;
	enum err e = E_OK;

	if (fstat(r->fd, &st) != 0)
		return why_set(why, E_IO, "cannot look at the mailbox: %s",
		    strerror(errno));
	for (i = 0; i < n; i++)
		if (patches[i].at + (int64_t)patches[i].bytes.n > st.st_size)
			return why_set(why, E_GONE,
			    "another program changed the mailbox");
	if (rewrite_hot(r->dir, st.st_dev, st.st_ino))
		return why_set(why, E_IO, "the mailbox must be recovered "
		    "first");
	for (i = 0; i < n && !crosses(&patches[i]); i++)
		continue;
	if (i < n)
		e = with_journal(r, patches, n, why);
	if (e != E_OK && e != E_PERM && e != E_FULL)
		return e;
	return in_place(r, patches, n, e != E_OK, why);
}

/* 1 when each byte is the old or the new one. */
static enum err
is_ours(struct work *w, int64_t at, struct str old, struct str new, bool *ours)
{
	size_t i;
	char byte;
	enum err e;

	for (i = 0; i < old.n; i++) {
		if ((e = work_read(w, at + (int64_t)i, 1, &byte)) != E_OK)
			return e;
		if (byte != old.p[i] && byte != new.p[i])
			*ours = false;
	}
	return E_OK;
}

/* A patch over bytes that another program has changed since is dropped. */
enum err
patch_recover(struct work *w)
{
	struct record r;
	struct str rest, old, new;
	struct patch head;
	bool ours;
	enum err e;
	int got;

	got = journal_last(&w->j, &w->plan, &r);
	if (got == 1)
		got = journal_data(&w->j, &r, w->win, NULL);
	if (got < 0)
		return work_io(w, "read the journal");
	rest = (struct str){ w->win, got == 1 ? (size_t)r.n : 0 };
	while (rest.n > 0) {
		head = next_patch(&rest, &old, &new);
		ours = true;
		e = is_ours(w, head.at, old, new, &ours);
		if (e == E_OK && ours)
			e = work_write(w, head.at, new.p, new.n);
		else if (e == E_OK || e == E_GONE)
			log_warn("a mailbox was changed by another program "
			    "before a change of flags was finished");
		if (e != E_OK && e != E_GONE)
			return e;
	}
	if ((e = work_sync(w)) != E_OK)
		return e;
	return plan_end(w);
}
