/*
 * mbox_store.c - flags: into the log, where there is one, and into the file,
 * under the write lock: over the old ones in place where they fit (mbox.md
 * 2.3), else by a new header. They are applied to what the header says at
 * that moment, so that nothing another program has set is undone. Knows
 * nothing of who asks.
 */
#include "mbox_own.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/mem.h"

/* What a message is to have. */
struct edit {
	uint32_t i;		/* in the list */
	uint32_t keywords;
	uint8_t flags;		/* all that the list has of them */
	bool grows;		/* no room in place */
};

struct edits {
	struct edit *at;
	uint32_t n;
	struct rewrite_patch *patches;
	size_t n_patches;
	struct buf bytes;	/* of the patches, one behind the other */
};

/* The change with its keywords as bits of the mailbox. */
struct wanted {
	enum mbox_how how;
	unsigned flags;
	uint32_t keywords;
};

static void
edits_init(struct edits *e, uint32_t n)
{
	*e = (struct edits){ .bytes = BUF_MAX(SIZE_MAX / 2) };
	e->at = xrealloc(NULL, n, sizeof(*e->at));
	e->patches = xrealloc(NULL, n, sizeof(*e->patches));
}

static void
edits_free(struct edits *e)
{
	free(e->at);
	free(e->patches);
	buf_free(&e->bytes);
}

/*
 * Takes over what the header says now. A message whose UID does not stand
 * there has the flags that it was given at first sight.
 */
static void
refresh(struct mbox *mbox, struct msg *msg)
{
	const struct meta *meta = &mbox->own->meta;

	if (msg->bits & MSG_UNSTAMPED)
		return;
	/* Another session has claimed it since the list was made. */
	if (mbox->own->claims && meta->flags & FLAG_OLD &&
	    !(msg->flags & FLAG_OLD) && !(msg->bits & MSG_STUCK))
		msg->flags &= (uint8_t)~FLAG_RECENT;
	msg->flags = (uint8_t)((meta->flags & ~msg->drop) | msg->add |
	    (msg->flags & FLAG_RECENT));
	msg->keywords = (mbox_keyword_bits(&mbox->keywords,
	    meta_keywords(meta)) & ~msg->drop_words) | msg->add_words;
}

static void
apply(const struct wanted *want, const struct msg *msg, struct edit *edit)
{
	unsigned other = msg->flags & ~(unsigned)FLAGS_SYSTEM;

	switch (want->how) {
	case MBOX_SET:
		edit->flags = (uint8_t)(other | want->flags);
		edit->keywords = want->keywords;
		break;
	case MBOX_ADD:
		edit->flags = (uint8_t)(msg->flags | want->flags);
		edit->keywords = msg->keywords | want->keywords;
		break;
	case MBOX_REMOVE:
		edit->flags = (uint8_t)(msg->flags & ~want->flags);
		edit->keywords = msg->keywords & ~want->keywords;
		break;
	}
}

/* The stamp that goes with an edit. */
static void
edit_stamp(const struct mbox *mbox, const struct edit *edit,
    struct stamp *out)
{
	struct msg msg = mbox->msgs[edit->i];

	mbox_stamp_of(mbox, &mbox->msgs[edit->i], out);
	msg.flags = edit->flags;
	out->flags = msg.flags & (FLAGS_SYSTEM | FLAG_OLD);
	out->keywords = edit->keywords;
}

/* header is From_ line and header as they stand in the file. */
static void
add_patch(struct mbox *mbox, struct edits *e, struct edit *edit,
    struct str header)
{
	const struct msg *msg = &mbox->msgs[edit->i];
	size_t before = e->bytes.n, at;
	struct stamp stamp;

	edit_stamp(mbox, edit, &stamp);
	edit->grows = msg->bits & MSG_UNSTAMPED ||
	    stamp_patch(str_from(header, msg->from), &stamp, &at,
	    &e->bytes) != 0;
	if (!edit->grows && e->bytes.n > before)
		e->patches[e->n_patches++] = (struct rewrite_patch){
			.at = msg->start + msg->from + (int64_t)at,
			.bytes.n = e->bytes.n - before,
		};
}

/* Looks at one message; nothing is added when it has all that already. */
static enum err
add_edit(struct mbox *mbox, struct edits *e, uint32_t i,
    const struct wanted *want, unsigned old, struct why *why)
{
	struct msg *msg = &mbox->msgs[i];
	struct edit edit = { .i = i };
	struct str header;
	enum err err;

	if ((err = mbox_header(mbox, msg, &header, why)) != E_OK)
		return err;
	refresh(mbox, msg);
	apply(want, msg, &edit);
	edit.flags |= (uint8_t)old;
	if (edit.flags == msg->flags && edit.keywords == msg->keywords)
		return E_OK;
	add_patch(mbox, e, &edit, header);
	e->at[e->n++] = edit;
	return E_OK;
}

/* All that fits, in one go; the messages are in the file's order. */
static enum err
patch(struct mbox *mbox, struct edits *e, struct why *why)
{
	size_t i, at = 0;

	for (i = 0; i < e->n_patches; i++) {
		e->patches[i].bytes.p = e->bytes.p + at;
		at += e->patches[i].bytes.n;
	}
	return mbox_patch(mbox, e->patches, e->n_patches, why);
}

/* New headers for what did not fit. */
static enum err
restamp(struct mbox *mbox, struct edits *e, struct why *why)
{
	struct rewrite r;
	uint32_t i, first;
	enum err err;

	for (i = 0; i < e->n && !e->at[i].grows; i++)
		continue;
	if (i == e->n)
		return E_OK;
	first = e->at[i].i;
	err = mbox_items(mbox, first, &r, why);
	for (; i < e->n; i++) {
		if (!e->at[i].grows)
			continue;
		r.items[e->at[i].i - first].stamped = true;
		edit_stamp(mbox, &e->at[i],
		    &r.items[e->at[i].i - first].stamp);
	}
	if (err == E_OK)
		err = mbox_rewrite(mbox, first, &r, why);
	free(r.items);
	return err;
}

static void
take(struct mbox *mbox, const struct edits *e, bool grown)
{
	uint32_t i;

	for (i = 0; i < e->n; i++)
		if (!e->at[i].grows || grown) {
			mbox->msgs[e->at[i].i].flags = e->at[i].flags;
			mbox->msgs[e->at[i].i].keywords = e->at[i].keywords;
		}
}

/* The keywords of a change as bits, those made known that are new. */
static enum err
find_names(struct mbox *mbox, const struct mbox_change *change,
    uint32_t *bits, struct why *why)
{
	struct keywords names = mbox->keywords;
	unsigned i;
	int bit;

	*bits = 0;
	for (i = 0; change->names != NULL && i < change->names->n; i++) {
		struct str name = keyword_name(change->names, i);

		bit = change->how == MBOX_REMOVE ?
		    keyword_find(&names, name) : keyword_add(&names, name);
		if (bit < 0 && change->how != MBOX_REMOVE)
			return why_set(why, E_LIMIT,
			    "the mailbox has no room for another keyword");
		if (bit >= 0)
			*bits |= (uint32_t)1 << bit;
	}
	if (names.n == mbox->keywords.n)
		return E_OK;
	return mbox_base(mbox, mbox->uidnext - 1, &names, why);
}

/* The edits into the file; the list has those that were made. */
static enum err
carry_out(struct mbox *mbox, struct edits *e, struct why *why)
{
	enum err err;

	if ((err = patch(mbox, e, why)) != E_OK)
		return err;
	take(mbox, e, false);
	err = restamp(mbox, e, why);
	if (err == E_OK)
		take(mbox, e, true);
	return err;
}

static enum err
store(struct mbox *mbox, const uint32_t *uids, uint32_t n,
    const struct mbox_change *change, struct why *why)
{
	struct wanted want = { change->how, change->flags, 0 };
	struct edits e;
	uint32_t i;
	int64_t at;
	enum err err;

	err = find_names(mbox, change, &want.keywords, why);
	edits_init(&e, n);
	for (i = 0; i < n && err == E_OK; i++)
		if ((at = mbox_find(mbox, uids[i])) >= 0)
			err = add_edit(mbox, &e, (uint32_t)at, &want, 0,
			    why);
	if (err == E_OK)
		err = carry_out(mbox, &e, why);
	edits_free(&e);
	return err;
}

/* ---- what the log has ---- */

/* Is it only to be no longer \Recent? That is not worth a new header. */
static bool
is_claim(const struct msg *msg)
{
	return msg->add == FLAG_OLD && msg->drop == 0 &&
	    msg->add_words == 0 && msg->drop_words == 0;
}

/* The message as the list says it. */
static enum err
add_known(struct mbox *mbox, struct edits *e, uint32_t i, struct why *why)
{
	struct msg *msg = &mbox->msgs[i];
	struct edit *edit = &e->at[e->n];
	struct str header;
	enum err err;

	if ((err = mbox_header(mbox, msg, &header, why)) != E_OK)
		return err;
	refresh(mbox, msg);
	*edit = (struct edit){
		.i = i, .flags = msg->flags, .keywords = msg->keywords,
	};
	add_patch(mbox, e, edit, header);
	if (edit->grows && is_claim(msg))
		msg->bits |= MSG_STUCK;
	else
		e->n++;
	return E_OK;
}

static enum err
flush(struct mbox *mbox, struct why *why)
{
	uint32_t i, words = 0;
	struct edits e;
	enum err err = E_OK;

	for (i = 0; i < mbox->n; i++)
		words |= mbox->msgs[i].add_words;
	if (words != 0)
		err = mbox_base(mbox, mbox->uidnext - 1, &mbox->keywords,
		    why);
	edits_init(&e, mbox->n);
	for (i = 0; i < mbox->n && err == E_OK; i++)
		if (mbox_changes_of(&mbox->msgs[i]))
			err = add_known(mbox, &e, i, why);
	if (err == E_OK)
		err = carry_out(mbox, &e, why);
	edits_free(&e);
	return err;
}

enum err
mbox_flush_locked(struct mbox *mbox, struct why *why)
{
	enum err e = mbox_changes_begin(mbox, why);
	bool any;

	if (e != E_OK)
		return e;
	any = mbox_changes_any(mbox);
	if (any)
		e = flush(mbox, why);
	mbox_changes_end(mbox, e == E_OK && (any ||
	    mbox_changes_many(mbox)));
	return e;
}

enum err
mbox_flush(struct mbox *mbox, bool hurry, struct why *why)
{
	bool changed = false;
	enum err e;

	if (!mbox_changes_any(mbox) && !mbox_changes_many(mbox))
		return E_OK;
	/* Another program has begun other UIDs. */
	if (!mbox->writable)
		return why_set(why, E_PERM, "the mailbox can not be written");
	mbox->own->hurried = hurry;
	e = mbox_lock_write(mbox, &changed, why);
	mbox->own->hurried = false;
	if (e != E_OK || mbox->fd < 0)
		return e;
	e = mbox_flush_locked(mbox, why);
	mbox_unlock(mbox);
	return e;
}

bool
mbox_unflushed(const struct mbox *mbox)
{
	return mbox->writable && mbox_changes_any(mbox);
}

/* ---- STORE ---- */

static bool
knows_all(const struct mbox *mbox, const struct mbox_change *change)
{
	unsigned i;

	if (change->names == NULL || change->how == MBOX_REMOVE)
		return true;
	for (i = 0; i < change->names->n; i++)
		if (keyword_find(&mbox->keywords,
		    keyword_name(change->names, i)) < 0)
			return false;
	return true;
}

/* New keywords go into the file, which says what all of them are. */
static enum err
learn(struct mbox *mbox, const struct mbox_change *change, struct why *why)
{
	bool changed = false;
	uint32_t bits;
	enum err e = mbox_lock_write(mbox, &changed, why);

	if (e != E_OK || mbox->fd < 0)
		return e;
	e = find_names(mbox, change, &bits, why);
	mbox_unlock(mbox);
	return e;
}

/* Where no log can be had. */
static enum err
store_into_file(struct mbox *mbox, const uint32_t *uids, uint32_t n,
    const struct mbox_change *change, struct why *why)
{
	bool changed = false;
	enum err e = mbox_lock_write(mbox, &changed, why);

	if (e != E_OK || mbox->fd < 0)
		return e;
	/* What the log still says would undo it. */
	e = mbox_flush_locked(mbox, why);
	if (e == E_OK)
		e = store(mbox, uids, n, change, why);
	mbox_unlock(mbox);
	return e;
}

enum err
mbox_store(struct mbox *mbox, const uint32_t *uids, uint32_t n,
    const struct mbox_change *change, struct why *why)
{
	enum err e = mbox_sync(mbox, NULL, why);

	if (e == E_OK && !knows_all(mbox, change))
		e = learn(mbox, change, why);
	if (e != E_OK || mbox->fd < 0)
		return e;
	e = mbox_changes_store(mbox, uids, n, change, why);
	/* If this fails there is still the log. */
	if (e == E_OK && mbox_changes_many(mbox))
		mbox_flush(mbox, true, NULL);
	return e == E_OK || e == E_INUSE ? e :
	    store_into_file(mbox, uids, n, change, why);
}

bool
mbox_is_fresh(const struct msg *msg)
{
	return !(msg->flags & FLAG_OLD) &&
	    !(msg->bits & (MSG_STUCK | MSG_UNSTAMPED));
}

uint32_t
mbox_fresh(const struct mbox *mbox)
{
	uint32_t i, n = 0;

	for (i = 0; i < mbox->n; i++)
		n += mbox_is_fresh(&mbox->msgs[i]);
	return n;
}

enum err
mbox_claim(struct mbox *mbox, struct why *why)
{
	const struct wanted nothing = { .how = MBOX_ADD };
	uint32_t i, n = mbox_fresh(mbox);
	struct edits e;
	enum err err = E_OK;

	edits_init(&e, n);
	for (i = 0; i < mbox->n && n > 0 && err == E_OK; i++)
		if (mbox_is_fresh(&mbox->msgs[i]))
			err = add_edit(mbox, &e, i, &nothing, FLAG_OLD, why);
	if (err == E_OK)
		err = patch(mbox, &e, why);
	if (err == E_OK)
		take(mbox, &e, false);
	for (i = 0; i < e.n; i++)
		if (e.at[i].grows)
			mbox->msgs[e.at[i].i].bits |= MSG_STUCK;
	edits_free(&e);
	return err;
}
