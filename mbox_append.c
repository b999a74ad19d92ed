/*
 * mbox_append.c - adds the messages of a draft to a mailbox (mbox.md 4.3):
 * under the write lock, behind a tail that is whole, with UIDs that the file
 * has promised before; and then looks whether they stand there as they were
 * meant. Nothing is gathered in memory but one header at a time: the bytes
 * are made while rewrite.c takes them.
 */
#include "mbox_own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/fromline.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/path.h"

/* What comes next of what is to be appended. */
enum part { PART_TAIL, PART_HEAD, PART_BODY, PART_GAP };

/* The bytes to be appended, in their order. */
struct feed {
	struct mbox *mbox;
	const struct draft *draft;
	struct str text;	/* of the draft */
	struct keywords names;	/* of the mailbox, once it is there */
	uint32_t bits[KEYWORDS_MAX];	/* of the draft's names, in them */
	bool carries;		/* the first message takes over the field
				 * that says them */
	uint32_t first;		/* uid of the first message */
	uint8_t eol;		/* line ends that the file's tail lacks */
	/* What has been handed over. */
	enum part part;
	uint32_t i;
	struct str rest;	/* of the part before */
	struct buf head;	/* From_ line and header of message i */
};

static uint32_t
keyword_bits(const struct feed *f, uint32_t bits)
{
	uint32_t here = 0;
	unsigned i;

	for (i = 0; i < f->draft->names.n; i++)
		if (bits >> i & 1)
			here |= f->bits[i];
	return here;
}

/* The first message of a mailbox says what holds for all of it. */
static void
make_head(struct feed *f)
{
	const struct draft_message *m = &f->draft->messages[f->i];
	const struct mbox *mbox = f->mbox;
	const struct date date = { .time = m->date, .zone = m->zone };
	const struct stamp stamp = {
		.uid = f->first + f->i,
		.keywords = keyword_bits(f, m->keywords),
		.flags = m->flags | (mbox->own->claims ? FLAG_OLD : 0),
		.base = (f->carries || !mbox->own->based) && f->i == 0,
		.uidvalidity = mbox->uidvalidity,
		.uidlast = f->first + f->draft->n - 1,
		.names = &f->names,
		.quoted = m->quoted,
	};

	buf_clear(&f->head);
	fromline_write(str_sub(f->text, (size_t)m->at - m->sender,
	    m->sender), &date, &f->head);
	stamp_header(str_sub(f->text, (size_t)m->at, m->head), &stamp,
	    &f->head);
}

/* The next part is f->rest; false at the end. */
static bool
next_part(struct feed *f)
{
	const struct draft_message *m = &f->draft->messages[f->i];

	switch (f->part) {
	case PART_TAIL:
		f->rest = str_sub(STR("\n\n"), 0, f->eol);
		break;
	case PART_HEAD:
		if (f->i == f->draft->n)
			return false;
		make_head(f);
		f->rest = buf_str(&f->head);
		break;
	case PART_BODY:
		f->rest = str_sub(f->text, (size_t)m->at + m->head,
		    (size_t)m->body);
		break;
	case PART_GAP:
		f->rest = STR("\n");
		f->i++;
		break;
	}
	f->part = f->part == PART_GAP ? PART_HEAD : f->part + 1;
	return true;
}

/* rewrite_append's source. */
static int
fill(void *ctx, char *to, size_t n)
{
	struct feed *f = ctx;
	size_t piece;

	while (n > 0) {
		while (f->rest.n == 0)
			if (!next_part(f)) {
				errno = EINVAL;
				return -1;
			}
		piece = n < f->rest.n ? n : f->rest.n;
		memcpy(to, f->rest.p, piece);
		f->rest = str_from(f->rest, piece);
		to += piece;
		n -= piece;
	}
	return 0;
}

/* How many bytes there are to be; the feed then stands at their start. */
static int64_t
measure(struct feed *f)
{
	int64_t n = 0;

	while (next_part(f))
		n += (int64_t)f->rest.n;
	f->part = PART_TAIL;
	f->i = 0;
	f->rest.n = 0;
	return n;
}

/*
 * An INBOX that is not there yet. Where the spool does not let us make it
 * only a delivery can (DESIGN 6). Another process may be as fast as we are.
 */
static enum err
make_inbox(const struct mbox *mbox, struct why *why)
{
	const char *name = strrchr(mbox->path, '/') + 1;
	struct path dir;
	int fd, r = -1;

	path_set(&dir, (struct str){ mbox->path,
	    (size_t)(name - mbox->path) });
	fd = open(dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		r = fs_create(fd, name, STR(""));
		close(fd);
	}
	if (r == 0 || errno == EEXIST)
		return E_OK;
	return why_set(why, errno == ENOSPC || errno == EDQUOT ? E_FULL :
	    E_PERM, "the INBOX file can not be made: %s", strerror(errno));
}

static enum err
lock(struct mbox *mbox, struct why *why)
{
	unsigned tries;
	bool changed = false;
	enum err e;

	for (tries = 0; tries < MBOX_TRIES; tries++) {
		e = mbox_lock_write(mbox, &changed, why);
		if (e != E_OK || mbox->fd >= 0)
			return e;
		if ((e = make_inbox(mbox, why)) != E_OK)
			return e;
	}
	return why_set(why, E_INUSE, "the INBOX file comes and goes");
}

/* Fills f->bits from f->names, which get those they lack if `add`. */
static void
map_keywords(struct feed *f, bool add)
{
	struct str name;
	unsigned i;
	int k;

	f->names = f->mbox->keywords;
	for (i = 0; i < f->draft->names.n; i++) {
		name = keyword_name(&f->draft->names, i);
		k = add ? keyword_add(&f->names, name) :
		    keyword_find(&f->names, name);
		f->bits[i] = k < 0 ? 0 : (uint32_t)1 << k;
	}
}

/*
 * "RESERVE BEFORE EXPOSE" (mbox.md 2.4): no X-UID above the last one that
 * the file speaks of is believed, so that comes first. Where only UW's
 * pseudo message is left and has no room for a new keyword, the first of
 * ours is to replace it; else the messages go without.
 */
static enum err
promise(struct feed *f, struct why *why)
{
	struct mbox *mbox = f->mbox;
	uint32_t n = f->draft->n;
	bool changed = false;
	enum err e;

	f->first = mbox->uidnext;
	if (n > INT32_MAX - f->first)
		return why_set(why, E_LIMIT, "the mailbox has no UIDs left");
	if ((e = mbox_fix_uidvalidity(mbox, why)) != E_OK)
		return e;
	map_keywords(f, true);
	e = mbox_base(mbox, f->first + n - 1, &f->names, why);
	if ((e != E_LIMIT && e != E_PERM) ||
	    f->names.n == mbox->keywords.n)
		return e;
	if ((e = mbox_sync_locked(mbox, true, &changed, why)) != E_OK)
		return e;
	f->carries = mbox->n == 0 && mbox->own->pseudo_head > 0;
	map_keywords(f, f->carries);
	return mbox_base(mbox, f->first + n - 1, &mbox->keywords, why);
}

/*
 * The pseudo message goes after the first of ours stands there: see
 * move_base. If it can not, it counts, and the new keywords are left out.
 */
static enum err
take_over(struct feed *f, struct why *why)
{
	bool changed = false;
	enum err e = mbox_drop_pseudo(f->mbox, why);

	if (e != E_OK && e != E_LIMIT && e != E_FULL)
		return e;
	e = mbox_sync_locked(f->mbox, true, &changed, why);
	map_keywords(f, false);
	return e;
}

/* LFs that the file lacks to end in an empty line. */
static enum err
tail_eol(const struct mbox *mbox, uint8_t *eol, struct why *why)
{
	int64_t start = mbox->n == 0 ? 0 : mbox->msgs[mbox->n - 1].start;

	*eol = 0;
	return mbox->state.size == 0 ? E_OK :
	    mbox_missing_eol(mbox, start, mbox->state.size, eol, why);
}

/* RFC822.SIZE that the message is to have: without its metadata fields. */
static uint64_t
visible(struct feed *f, const struct draft_message *m)
{
	struct meta *meta = &f->mbox->own->meta;
	struct str rest = str_sub(f->text, (size_t)m->at, m->head), line;

	meta_begin(meta, &f->mbox->own->key, STR("From "));
	while (str_line(&rest, &line))
		meta_line(meta, line);
	meta_end(meta);
	return m->size - meta->hidden - meta->hidden_bare;
}

/* Is the message what the draft says it is? */
static bool
is_right(struct feed *f, const struct msg *msg,
    const struct draft_message *m, uint32_t uid)
{
	return msg->uid == uid && !(msg->bits & MSG_UNSTAMPED) &&
	    (msg->flags & FLAGS_SYSTEM) == m->flags &&
	    msg->keywords == keyword_bits(f, m->keywords) &&
	    msg->size == visible(f, m);
}

/*
 * The list was read from the file again: are they there? What was \Recent
 * to nobody yet is so here. If not, the fault is ours; but what is in the
 * file stays there, since taking it away needs to know what it is.
 */
static enum err
check(struct feed *f, struct why *why)
{
	struct mbox *mbox = f->mbox;
	int64_t at = mbox_find(mbox, f->first);
	uint32_t i, n = f->draft->n;

	for (i = 0; at >= 0 && i < n && at + i < mbox->n; i++) {
		if (!is_right(f, &mbox->msgs[at + i],
		    &f->draft->messages[i], f->first + i))
			break;
		mbox->msgs[at + i].flags |= FLAG_RECENT;
	}
	if (i == n)
		return E_OK;
	log_warn("appended messages do not read as they were meant, from "
	    "uid %u on", f->first + i);
	return why_set(why, E_IO, "the mailbox does not hold what was "
	    "appended");
}

static enum err
append(struct feed *f, struct why *why)
{
	struct rewrite_source source = { .fill = fill, .ctx = f };
	struct mbox *mbox = f->mbox;
	uint32_t before = mbox->n;
	struct rewrite r;
	bool changed = false;
	enum err e;

	if ((e = promise(f, why)) != E_OK ||
	    (e = tail_eol(mbox, &f->eol, why)) != E_OK)
		return e;
	source.n = measure(f);
	mbox_rewrite_setup(mbox, &r);
	e = mbox_rewritten(mbox, rewrite_append(&r, &source, why), why);
	if (e == E_OK)
		e = mbox_sync_locked(mbox, !mbox->own->based, &changed, why);
	if (e == E_OK && f->carries)
		e = take_over(f, why);
	if (e == E_OK)
		e = check(f, why);
	if (e != E_OK)
		return e;
	mbox_written(mbox);
	/* Unless others do not heed the lock, nothing else is new. */
	if (mbox->n == before + f->draft->n)
		mbox->own->unsettled = false;
	return E_OK;
}

enum err
mbox_append(struct mbox *mbox, struct draft *draft, uint32_t *first,
    struct why *why)
{
	struct feed f = {
		.mbox = mbox, .draft = draft, .text = draft_text(draft),
		.head = BUF_MAX(SIZE_MAX / 2),
	};
	enum err e;

	if (f.text.p == NULL)
		return why_set(why, E_LIMIT, "no memory for so big a "
		    "message");
	e = lock(mbox, why);
	if (e != E_OK)
		return e;
	e = append(&f, why);
	*first = f.first;
	mbox_unlock(mbox);
	buf_free(&f.head);
	return e;
}
