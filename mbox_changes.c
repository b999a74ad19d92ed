/*
 * mbox_changes.c - flags that the mailbox file is yet to get (changes.h has
 * the log in which all sessions tell each other of them). A message has them
 * in the list at once, with masks that say which of them the file lacks, so
 * that nothing that another program has set is undone when they are written.
 * The log is read behind the mailbox, and what it says of messages that are
 * not there is passed over. Writes nothing into the mailbox.
 */
#include "mbox_own.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/params.h"

enum {
	/* Bits of struct msg's flags that go by way of the log. */
	LOGGED = FLAGS_SYSTEM | FLAG_OLD,
	/* Of a log: then the file gets it all. */
	LOG_BIG = 262144,
};

/* ---- masks ---- */

bool
mbox_changes_of(const struct msg *msg)
{
	return msg->add != 0 || msg->drop != 0 || msg->add_words != 0 ||
	    msg->drop_words != 0;
}

bool
mbox_changes_any(const struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; mbox->own->dirty && i < mbox->n; i++)
		if (mbox_changes_of(&mbox->msgs[i]))
			return true;
	return false;
}

static void
clean(struct msg *msg)
{
	msg->add = msg->drop = 0;
	msg->add_words = msg->drop_words = 0;
	msg->ours = 0;
	msg->our_words = 0;
}

static void
clean_all(struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		clean(&mbox->msgs[i]);
	mbox->own->dirty = false;
}

/*
 * Of a log that was lost nobody knows whether it was flushed before that, so
 * what others had put there may be older than what the file says. What we
 * put there ourselves, and nobody has changed since, is put again.
 */
static void
keep_ours(struct mbox *mbox)
{
	struct msg *msg;
	uint32_t i;

	for (i = 0; i < mbox->n; i++) {
		msg = &mbox->msgs[i];
		msg->add &= msg->ours;
		msg->drop &= msg->ours;
		msg->add_words &= msg->our_words;
		msg->drop_words &= msg->our_words;
	}
	mbox->own->overtaken = true;
}

/* What the client is to see of a message of whose flags the file says what
 * the list says. True if that is anything else. */
static bool
wear(struct msg *msg)
{
	uint8_t flags = (uint8_t)((msg->flags & ~msg->drop) | msg->add);
	uint32_t words = (msg->keywords & ~msg->drop_words) |
	    msg->add_words;

	/* Another session was the first to show it. */
	if (msg->add & FLAG_OLD && !(msg->flags & FLAG_OLD))
		flags &= (uint8_t)~FLAG_RECENT;
	if (flags == msg->flags && words == msg->keywords)
		return false;
	msg->flags = flags;
	msg->keywords = words;
	return true;
}

static bool
wear_all(struct mbox *mbox)
{
	bool changed = false;
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if (mbox_changes_of(&mbox->msgs[i]))
			changed = wear(&mbox->msgs[i]) || changed;
	return changed;
}

/* Bits by one list of names, by another. With `add`, words that this one
 * lacks are added to it, and stand in the file when the flags do. */
static uint32_t
translate(uint32_t bits, const struct keywords *from, struct keywords *to,
    bool add)
{
	uint32_t out = 0;
	unsigned i;
	int k;

	for (i = 0; i < from->n; i++) {
		if (!(bits >> i & 1))
			continue;
		k = add ? keyword_add(to, keyword_name(from, i)) :
		    keyword_find(to, keyword_name(from, i));
		if (k >= 0)
			out |= UINT32_C(1) << k;
	}
	return out;
}

void
mbox_changes_apply(struct mbox *mbox, const struct keywords *names)
{
	struct msg *msg;
	uint32_t i;

	for (i = 0; i < mbox->n; i++) {
		msg = &mbox->msgs[i];
		if (!mbox_changes_of(msg))
			continue;
		msg->add_words = translate(msg->add_words, names,
		    &mbox->keywords, true);
		msg->drop_words = translate(msg->drop_words, names,
		    &mbox->keywords, false);
		msg->our_words = translate(msg->our_words, names,
		    &mbox->keywords, false);
		wear(msg);
	}
}

/* ---- the log ---- */

/* UIDs that are of one session, or that the file may yet lose with all that
 * stands in it, are not for a log. */
static bool
can_log(const struct mbox *mbox)
{
	return mbox->dir != NULL && mbox->fd >= 0 && mbox->sticky &&
	    mbox->own->based && mbox->uidvalidity != 0;
}

static bool
have_log(struct mbox *mbox, bool create)
{
	struct mbox_private *own = mbox->own;
	struct mbox_state now;

	if (!can_log(mbox))
		return false;
	if (own->log != NULL)
		return true;
	if (!mbox_look_at(mbox, &now))
		return false;
	own->log = changes_open(mbox->dir, now.dev, now.ino,
	    mbox->uidvalidity, own->log_least, create);
	own->relist = true;
	/* What we know is not in this one. */
	own->adrift = mbox_changes_any(mbox);
	return own->log != NULL;
}

void
mbox_changes_leave(struct mbox *mbox)
{
	changes_close(mbox->own->log);
	mbox->own->log = NULL;
	/* That was of this file's. */
	mbox->own->log_least = 0;
}

/* Who waits for news makes the file where they will stand. */
const char *
mbox_changes_path(struct mbox *mbox)
{
	return have_log(mbox, mbox->own->writer != NULL) ?
	    changes_path(mbox->own->log) : NULL;
}

/* RFC 7162 3.1: rises with each change. The time is larger than all that were
 * given under a log that was lost. */
static uint64_t
next_modseq(struct mbox_private *own)
{
	struct timespec now;
	uint64_t us = 0;

	if (clock_gettime(CLOCK_REALTIME, &now) == 0)
		us = (uint64_t)now.tv_sec * 1000000 +
		    (uint64_t)now.tv_nsec / 1000;
	own->modseq = us > own->modseq ? us : own->modseq + 1;
	return own->modseq;
}

/* Who has put something into the log. */
enum whose {
	OURS,
	THEIRS,
	/* It is read again: as it was. */
	SAME,
};

/* One change to the masks of one message. */
struct masks {
	uint8_t add;
	uint8_t drop;
	uint32_t add_words;
	uint32_t drop_words;
};

static void
take_masks(struct mbox *mbox, struct msg *msg, const struct masks *m,
    enum whose whose)
{
	const uint8_t flags = m->add | m->drop;
	const uint32_t words = m->add_words | m->drop_words;

	mbox->own->dirty = true;
	if (whose == OURS) {
		msg->ours |= flags;
		msg->our_words |= words;
	} else if (whose == THEIRS) {
		msg->ours &= (uint8_t)~flags;
		msg->our_words &= ~words;
	}
	msg->add = (uint8_t)((msg->add & ~m->drop) | m->add);
	msg->drop = (uint8_t)((msg->drop & ~m->add) | m->drop);
	msg->add_words = (msg->add_words & ~m->drop_words) | m->add_words;
	msg->drop_words = (msg->drop_words & ~m->add_words) | m->drop_words;
}

static void
take_record(struct mbox *mbox, const struct change *c)
{
	struct mbox_private *own = mbox->own;
	const enum whose whose = changes_again(own->log) ? SAME : THEIRS;
	struct masks m = { c->set, c->clear, 0, 0 };
	struct msg *msg;
	uint32_t i, r;

	if (c->modseq > own->modseq && c->modseq <= MODSEQ_MOST)
		own->modseq = c->modseq;
	if (c->kind == CHANGE_FLAGS) {
		m.add_words = translate(UINT32_MAX, &c->add,
		    &mbox->keywords, true);
		m.drop_words = c->clear_words ? ~m.add_words :
		    translate(UINT32_MAX, &c->remove, &mbox->keywords, false);
	}
	for (r = 0; r < c->n; r++)
		for (i = mbox_lower(mbox, c->runs[r].first); i < mbox->n &&
		    mbox->msgs[i].uid <= c->runs[r].last; i++) {
			msg = &mbox->msgs[i];
			take_masks(mbox, msg, &m, whose);
			if (c->modseq > msg->modseq &&
			    c->modseq <= MODSEQ_MOST)
				msg->modseq = c->modseq;
		}
}

/* The messages that are to be changed: places in the list, rising. */
struct chosen {
	uint32_t *at;
	uint32_t n;
};

/* Those as runs of UIDs. What lies between two in the list is nobody's, so
 * that a record of all messages is one run. */
static struct change_run *
runs_of(const struct mbox *mbox, const struct chosen *chosen,
    uint32_t *n_runs)
{
	struct change_run *runs = xrealloc(NULL, chosen->n, sizeof(*runs));
	const uint32_t *at = chosen->at;
	uint32_t i, k = 0;

	for (i = 0; i < chosen->n; i++) {
		if (i == 0 || at[i] != at[i - 1] + 1)
			runs[k++].first = mbox->msgs[at[i]].uid;
		runs[k - 1].last = mbox->msgs[at[i]].uid;
	}
	*n_runs = k;
	return runs;
}

/* One change to all of them, in as many records as it takes. At a failure
 * some may be in the log. */
static enum err
add(struct mbox *mbox, struct change *c, const struct chosen *chosen,
    bool sync, struct why *why)
{
	uint32_t n, at;
	struct change_run *runs = runs_of(mbox, chosen, &n);
	enum err e = E_OK;

	for (at = 0; at < n && e == E_OK; at += c->n) {
		c->runs = runs + at;
		c->n = n - at < CHANGE_RUNS_MAX ? n - at : CHANGE_RUNS_MAX;
		e = changes_add(mbox->own->log, c, sync && at + c->n == n,
		    why);
	}
	free(runs);
	return e;
}

static bool
same_masks(const struct msg *a, const struct msg *b)
{
	return a->add == b->add && a->drop == b->drop &&
	    a->add_words == b->add_words && a->drop_words == b->drop_words;
}

/* The first message from i on with anything to be put, or mbox->n; *end is
 * the first behind it that has other masks. */
static uint32_t
next_stretch(const struct mbox *mbox, uint32_t i, uint32_t *end)
{
	while (i < mbox->n && !mbox_changes_of(&mbox->msgs[i]))
		i++;
	for (*end = i; *end < mbox->n; ++*end)
		if (!same_masks(&mbox->msgs[i], &mbox->msgs[*end]))
			break;
	return i;
}

/* The masks as records, one for each stretch of messages with the same. */
static enum err
put_masks(struct mbox *mbox, struct why *why)
{
	struct change_run run;
	struct change c;
	const struct msg *msg;
	uint32_t i, end, next, after;
	enum err e = E_OK;

	for (i = next_stretch(mbox, 0, &end); i < mbox->n && e == E_OK;
	    i = next, end = after) {
		next = next_stretch(mbox, end, &after);
		msg = &mbox->msgs[i];
		run = (struct change_run){ msg->uid, mbox->msgs[end - 1].uid };
		c = (struct change){
			.kind = CHANGE_FLAGS, .modseq = next_modseq(mbox->own),
			.set = msg->add, .clear = msg->drop,
			.runs = &run, .n = 1,
		};
		translate(msg->add_words, &mbox->keywords, &c.add, true);
		translate(msg->drop_words, &mbox->keywords, &c.remove, true);
		/* The last one takes those before it to the disk. */
		e = changes_add(mbox->own->log, &c, mbox->own->writer->sync &&
		    next == mbox->n, why);
	}
	return e;
}

/*
 * Messages that are new, or were changed by another program, are so from now
 * on: for RFC 7162 no more is asked. Whoever comes first says so to all.
 */
static void
mark(struct mbox *mbox)
{
	struct change c = { .kind = CHANGE_SEEN };
	struct chosen chosen = { .n = 0 };
	uint32_t i;

	if (!mbox->own->unmarked || mbox->own->writer == NULL ||
	    !mbox->writable)
		return;
	mbox->own->unmarked = false;
	chosen.at = xrealloc(NULL, mbox->n, sizeof(*chosen.at));
	for (i = 0; i < mbox->n; i++)
		if (mbox->msgs[i].bits & MSG_NEW)
			/* Later: it may get another UID before it is shown. */
			mbox->own->unmarked = true;
		else if (mbox->msgs[i].modseq == 0)
			chosen.at[chosen.n++] = i;
	c.modseq = next_modseq(mbox->own);
	if (chosen.n > 0)
		add(mbox, &c, &chosen, false, NULL);
	for (i = 0; i < chosen.n; i++)
		mbox->msgs[chosen.at[i]].modseq = c.modseq;
	free(chosen.at);
}

/*
 * Takes the log's lock, and over what others have put there since. Where it
 * was lost what we put there goes into the new one. To read it again from its
 * beginning does no harm: records only say what a flag is to be.
 */
static enum err
lock(struct mbox *mbox, bool *changed, struct why *why)
{
	struct mbox_private *own = mbox->own;
	enum changes_fate fate;
	struct change c;
	bool any;
	enum err e;

	e = changes_lock(own->log, own->hurried ? FLUSH_LOCK_TIMEOUT :
	    LOCK_TIMEOUT, &fate, why);
	if (e != E_OK)
		return e;
	if (fate == CHANGES_LOST)
		keep_ours(mbox);
	if (own->adrift)
		fate = CHANGES_LOST;
	/* What there was to write another session has written, with more
	 * than we know of. What has become of it since the file says. */
	if (fate == CHANGES_ANEW) {
		own->overtaken = true;
		clean_all(mbox);
	}
	if (fate == CHANGES_GOES_ON && own->relist)
		changes_rewind(own->log);
	own->relist = false;
	for (any = false; changes_next(own->log, &c); any = true)
		take_record(mbox, &c);
	if (any && wear_all(mbox)) {
		*changed = true;
		mbox->news++;
	}
	own->adrift = fate == CHANGES_LOST && own->writer != NULL &&
	    mbox_changes_any(mbox);
	if (own->adrift)
		e = put_masks(mbox, why);
	own->adrift = own->adrift && e != E_OK;
	if (e == E_OK) {
		/* What was in it meanwhile may stand in the file. */
		own->overtaken = own->overtaken || own->log_failed;
		own->log_failed = false;
		mark(mbox);
	} else {
		changes_unlock(own->log);
	}
	return e;
}

/*
 * Until there is one again flags go straight into the file, and what we put
 * into the log first. What others have put there they may have written by
 * now, and changed.
 */
static void
do_without(struct mbox *mbox, const struct why *why)
{
	struct mbox_private *own = mbox->own;
	uint64_t least = changes_generation(own->log);

	if (!own->log_failed) {
		log_warn("no log of flags: %s", why == NULL ? "" : why->text);
		keep_ours(mbox);
	}
	mbox_changes_leave(mbox);
	own->log_least = least;
	own->log_failed = true;
}

enum err
mbox_changes_read(struct mbox *mbox, bool *changed, struct why *why)
{
	struct mbox_private *own = mbox->own;
	enum err e;

	if (!have_log(mbox, false) || (!own->relist && !own->unmarked &&
	    !changes_news(own->log)))
		return E_OK;
	e = lock(mbox, changed, why);
	if (e == E_OK)
		changes_unlock(own->log);
	else if (e != E_INUSE)
		do_without(mbox, why);
	return e == E_INUSE ? e : E_OK;
}

/* ---- additions ---- */

static enum err
begin(struct mbox *mbox, struct why *why)
{
	bool changed = false;

	if (mbox->own->writer == NULL || !mbox->writable ||
	    !have_log(mbox, true))
		return why_set(why, E_PERM, "no log of flags can be kept");
	return lock(mbox, &changed, why);
}

/* In the list, too. Who asked for it knows. */
static void
take(struct mbox *mbox, const struct change *c, const struct masks *m,
    const struct chosen *chosen)
{
	struct msg *msg;
	uint32_t i;

	for (i = 0; i < chosen->n; i++) {
		msg = &mbox->msgs[chosen->at[i]];
		take_masks(mbox, msg, m, OURS);
		wear(msg);
		msg->modseq = c->modseq;
	}
}

static struct masks
masks_of(const struct mbox_change *change, uint32_t words)
{
	struct masks m = { 0, 0, 0, 0 };

	if (change->how == MBOX_REMOVE) {
		m.drop = (uint8_t)change->flags;
		m.drop_words = words;
		return m;
	}
	m.add = (uint8_t)change->flags;
	m.add_words = words;
	if (change->how == MBOX_SET) {
		m.drop = (uint8_t)(FLAGS_SYSTEM & ~change->flags);
		m.drop_words = ~words;
	}
	return m;
}

/* Would it have the message any other than it is? */
static bool
alters(const struct masks *m, const struct msg *msg)
{
	return m->add & ~msg->flags || m->drop & msg->flags ||
	    m->add_words & ~msg->keywords || m->drop_words & msg->keywords;
}

/* What the list says counts only if all of the file was read. */
static void
choose(const struct mbox *mbox, const uint32_t *uids, uint32_t n,
    const struct masks *m, struct chosen *out)
{
	bool sure = !mbox->own->overtaken && !mbox->own->grown;
	uint32_t i;
	int64_t at;

	out->at = xrealloc(NULL, n, sizeof(*out->at));
	out->n = 0;
	for (i = 0; i < n; i++)
		if ((at = mbox_find(mbox, uids[i])) >= 0 &&
		    (!sure || alters(m, &mbox->msgs[at])))
			out->at[out->n++] = (uint32_t)at;
}

enum err
mbox_changes_store(struct mbox *mbox, const uint32_t *uids, uint32_t n,
    const struct mbox_change *change, struct why *why)
{
	struct chosen chosen;
	struct change c = { .kind = CHANGE_FLAGS };
	uint32_t words = 0;
	struct masks m;
	enum err e;

	if (mbox->own->writer != NULL && mbox->own->writer->flags_now)
		return why_set(why, E_PERM, "flags are written at once");
	if ((e = begin(mbox, why)) != E_OK)
		return e;
	if (change->names != NULL)
		words = translate(UINT32_MAX, change->names,
		    &mbox->keywords, false);
	m = masks_of(change, words);
	choose(mbox, uids, n, &m, &chosen);
	c.modseq = next_modseq(mbox->own);
	c.set = m.add;
	c.clear = m.drop;
	c.clear_words = change->how == MBOX_SET;
	translate(m.add_words, &mbox->keywords, &c.add, true);
	if (!c.clear_words)
		translate(m.drop_words, &mbox->keywords, &c.remove, true);
	if (chosen.n > 0)
		e = add(mbox, &c, &chosen, mbox->own->writer->sync, why);
	if (e == E_OK)
		take(mbox, &c, &m, &chosen);
	changes_unlock(mbox->own->log);
	free(chosen.at);
	return e;
}

/*
 * Who comes first to say so under the lock has them as \Recent. If that does
 * not survive a power cut they are so once more, which harms nobody.
 */
enum err
mbox_changes_claim(struct mbox *mbox, struct why *why)
{
	const struct masks m = { .add = FLAG_OLD };
	struct change c = { .kind = CHANGE_FLAGS, .set = FLAG_OLD };
	struct chosen chosen = { .n = 0 };
	uint32_t i;
	enum err e;

	if ((e = begin(mbox, why)) != E_OK)
		return e;
	/* Others may have been faster, and the file says so by now. */
	if (mbox->own->overtaken) {
		changes_unlock(mbox->own->log);
		return why_set(why, E_GONE, "the mailbox must be read again");
	}
	chosen.at = xrealloc(NULL, mbox->n, sizeof(*chosen.at));
	for (i = 0; i < mbox->n; i++)
		if (mbox_is_fresh(&mbox->msgs[i]))
			chosen.at[chosen.n++] = i;
	c.modseq = next_modseq(mbox->own);
	if (chosen.n > 0)
		e = add(mbox, &c, &chosen, false, why);
	for (i = 0; i < chosen.n && e == E_OK; i++) {
		take_masks(mbox, &mbox->msgs[chosen.at[i]], &m, OURS);
		mbox->msgs[chosen.at[i]].flags |= FLAG_OLD;
	}
	changes_unlock(mbox->own->log);
	free(chosen.at);
	/* From now on these are the messages that others know. */
	mbox->own->shown = mbox->own->shown || e == E_OK;
	return e;
}

/* ---- the file has it ---- */

enum err
mbox_changes_begin(struct mbox *mbox, struct why *why)
{
	bool changed = false;
	enum err e;

	if (!have_log(mbox, false))
		return E_OK;
	e = lock(mbox, &changed, why);
	if (e == E_OK || e == E_INUSE)
		return e;
	do_without(mbox, why);
	return E_OK;
}

bool
mbox_changes_many(const struct mbox *mbox)
{
	return mbox->own->log != NULL &&
	    changes_size(mbox->own->log) > LOG_BIG;
}

/*
 * The log is begun anew, which needs no room on the disk, and no wait for it:
 * at worst flags are written another time.
 */
void
mbox_changes_end(struct mbox *mbox, bool flushed)
{
	struct mbox_private *own = mbox->own;
	struct why why = { .text = "" };

	if (flushed)
		clean_all(mbox);
	if (own->log == NULL)
		return;
	if (flushed && changes_reset(own->log, false, &why) != E_OK)
		log_warn("flags may be set another time: %s", why.text);
	changes_unlock(own->log);
}
