/*
 * mbox_index.c - the list of a mailbox as we last knew it, kept in ~/.imapd
 * so that a mailbox that nobody has changed since need not be read again, and
 * messages are known again in one that somebody has (INDEX has the format).
 * A help, never a witness: offsets count only for the file state that it
 * names, every number in it is checked, and whatever is wrong with it means
 * that there is none. Without it the mailbox is read.
 */
#include "mbox_own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/mem.h"

enum {
	/* Of 4 million messages. */
	INDEX_MAX = 268435456,
	NAME_ROOM = 64,
	/* What may be kept of a message's bits: the others are of things
	 * that are not done yet. */
	LASTING = MSG_POINT | MSG_TWIN | MSG_QUOTED | MSG_OPEN,
	UNDONE = MSG_UNSTAMPED | MSG_NEW | MSG_STUCK,
};

/* A word that another byte order would read as another number. */
static const uint64_t magic = 0x32584449504d4931;	/* "1IMPIDX2" */

struct head {
	uint64_t magic;
	uint64_t check;		/* of all that stands behind this field */
	struct hash_key key;
	uint64_t dev;
	uint64_t ino;
	int64_t size;
	int64_t mtime[2];	/* seconds, nanoseconds */
	int64_t ctime[2];
	uint64_t head_edge;
	uint64_t tail_edge;
	uint64_t head_n;
	int64_t pseudo;
	uint32_t pseudo_head;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t uidlast;
	uint32_t n;		/* messages */
	uint32_t n_points;
	uint32_t n_names;	/* keywords */
	uint32_t grown;		/* 1: not all was read in its last state */
	uint64_t modseq;	/* the highest */
	uint64_t log;		/* generation of the log of changes, or 0 */
};

struct name {
	uint8_t n;
	char bytes[KEYWORD_MAX_BYTES];
};

/* struct msg, without what the compiler may leave between its fields. */
struct record {
	int64_t start;
	int64_t end;
	uint64_t size;
	uint64_t hash;
	int64_t date;
	uint32_t head;
	uint32_t uid;
	uint32_t keywords;
	uint16_t from;
	int16_t zone;
	uint8_t flags;
	uint8_t bits;
	uint8_t zero[6];
	uint64_t modseq;
};

_Static_assert(sizeof(struct head) == 168, "INDEX says so");
_Static_assert(sizeof(struct name) == 51, "INDEX says so");
_Static_assert(sizeof(struct record) == 72, "INDEX says so");

/* One for each mailbox file, whatever its name, so RENAME leaves none over. */
static void
name_of(char name[NAME_ROOM], dev_t dev, ino_t ino)
{
	snprintf(name, NAME_ROOM, "index.%" PRIx64 ".%" PRIx64,
	    (uint64_t)dev, (uint64_t)ino);
}

void
mbox_index_drop(const char *dir, dev_t dev, ino_t ino)
{
	char name[NAME_ROOM];

	name_of(name, dev, ino);
	fs_drop(dir, name);
}

static uint64_t
check_of(const struct head *head, struct str all)
{
	const size_t at = offsetof(struct head, key);
	struct hash h;

	hash_init(&h, &head->key);
	hash_add(&h, str_from(all, at));
	return hash_end(&h);
}

/* --- To the file ---------------------------------------------------- */

static bool
any_undone(const struct mbox *mbox)
{
	uint32_t i;

	for (i = 0; i < mbox->n; i++)
		if (mbox->msgs[i].bits & UNDONE ||
		    mbox_changes_of(&mbox->msgs[i]) || (i > 0 &&
		    mbox->msgs[i].start < mbox->msgs[i - 1].start))
			return true;
	return false;
}

static bool
same(const struct mbox_state *a, const struct mbox_state *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime.tv_sec == b->mtime.tv_sec &&
	    a->mtime.tv_nsec == b->mtime.tv_nsec &&
	    a->ctime.tv_sec == b->ctime.tv_sec &&
	    a->ctime.tv_nsec == b->ctime.tv_nsec;
}

/* Is there something to keep that is not kept yet, and is it all true? */
static bool
worth_it(const struct mbox *mbox)
{
	const struct mbox_private *own = mbox->own;
	struct mbox_state now;

	if (own->writer == NULL || mbox->fd < 0 || !mbox->writable ||
	    !mbox->sticky || !own->based || !own->shown ||
	    mbox->uidnext != own->uidlast + 1 || mbox->state.racy ||
	    same(&mbox->state, &own->indexed) || any_undone(mbox))
		return false;
	return mbox_look_at(mbox, &now) && same(&mbox->state, &now);
}

static void
fill_head(struct head *head, const struct mbox *mbox)
{
	const struct mbox_private *own = mbox->own;
	const struct mbox_state *state = &mbox->state;

	*head = (struct head){
		.magic = magic, .key = own->key,
		.dev = state->dev, .ino = state->ino, .size = state->size,
		.mtime = { state->mtime.tv_sec, state->mtime.tv_nsec },
		.ctime = { state->ctime.tv_sec, state->ctime.tv_nsec },
		.head_edge = own->head_edge, .tail_edge = own->tail_edge,
		.head_n = own->head_n, .pseudo = own->pseudo,
		.pseudo_head = own->pseudo_head,
		.uidvalidity = mbox->uidvalidity, .uidnext = mbox->uidnext,
		.uidlast = own->uidlast, .n = mbox->n,
		.n_points = own->n_points, .n_names = mbox->keywords.n,
		.grown = own->grown, .modseq = own->modseq,
		.log = own->log == NULL ? own->log_least :
		    changes_generation(own->log),
	};
}

static void
add_bytes(struct buf *b, const void *p, size_t n)
{
	buf_add(b, (struct str){ p, n });
}

/* Whether a message is \Recent is told by its "O" when it is read again. */
static void
add_record(struct buf *b, const struct msg *msg)
{
	struct record r = {
		.start = msg->start, .end = msg->end, .size = msg->size,
		.hash = msg->hash, .date = msg->date, .head = msg->head,
		.uid = msg->uid, .keywords = msg->keywords,
		.from = msg->from, .zone = msg->zone,
		.flags = msg->flags & (FLAGS_SYSTEM | FLAG_OLD),
		.bits = msg->bits & LASTING, .modseq = msg->modseq,
	};

	add_bytes(b, &r, sizeof(r));
}

static void
add_all(struct buf *b, const struct mbox *mbox)
{
	struct head head;
	struct name name;
	struct str s;
	uint32_t i;

	fill_head(&head, mbox);
	add_bytes(b, &head, sizeof(head));
	for (i = 0; i < mbox->keywords.n; i++) {
		s = keyword_name(&mbox->keywords, i);
		memset(&name, 0, sizeof(name));
		name.n = (uint8_t)s.n;
		memcpy(name.bytes, s.p, s.n);
		add_bytes(b, &name, sizeof(name));
	}
	add_bytes(b, mbox->own->points,
	    mbox->own->n_points * sizeof(*mbox->own->points));
	for (i = 0; i < mbox->n; i++)
		add_record(b, &mbox->msgs[i]);
	if (b->over)
		return;
	head.check = check_of(&head, buf_str(b));
	memcpy(b->p, &head, sizeof(head));
}

/* A failure costs the next session the time to read the mailbox. */
void
mbox_index_save(struct mbox *mbox)
{
	struct buf b = BUF_MAX(INDEX_MAX);
	char name[NAME_ROOM];
	const char *dir;

	if (!worth_it(mbox))
		return;
	dir = mbox->own->writer->dir;
	add_all(&b, mbox);
	name_of(name, mbox->state.dev, mbox->state.ino);
	if (!b.over && fs_own_dir(dir) == 0 &&
	    fs_cache(dir, name, buf_str(&b)) == 0)
		mbox->own->indexed = mbox->state;
	buf_free(&b);
}

/* --- From the file -------------------------------------------------- */

/* The parts behind the head; nothing of them need be aligned. */
struct parts {
	struct str names;
	struct str points;
	struct str records;
};

static bool
cut(struct str *rest, size_t n, size_t size, struct str *out)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > rest->n)
		return false;
	*out = str_sub(*rest, 0, bytes);
	*rest = str_from(*rest, bytes);
	return true;
}

static bool
split(struct str all, struct head *head, struct parts *parts)
{
	struct str rest;

	if (all.n < sizeof(*head))
		return false;
	memcpy(head, all.p, sizeof(*head));
	if (head->magic != magic || head->check != check_of(head, all))
		return false;
	rest = str_from(all, sizeof(*head));
	return cut(&rest, head->n_names, sizeof(struct name),
	    &parts->names) && cut(&rest, head->n_points, sizeof(int64_t),
	    &parts->points) && cut(&rest, head->n, sizeof(struct record),
	    &parts->records) && rest.n == 0;
}

static bool
sane_head(const struct head *h, const struct mbox_state *now)
{
	return h->dev == now->dev && h->ino == now->ino && h->size >= 0 &&
	    h->head_n <= (uint64_t)h->size &&
	    h->head_n <= MBOX_HEAD_MAX && h->pseudo >= 0 &&
	    h->pseudo <= h->size && h->pseudo_head <= h->size - h->pseudo &&
	    h->uidvalidity > 0 && h->uidvalidity <= INT32_MAX &&
	    h->uidlast < INT32_MAX - UIDS_SPARE &&
	    h->uidnext == h->uidlast + 1 && h->n_names <= KEYWORDS_MAX &&
	    h->grown <= 1 && h->modseq <= MODSEQ_MOST;
}

static bool
take_names(struct str bytes, struct keywords *out)
{
	struct name name;
	unsigned i;

	out->n = 0;
	for (i = 0; i < bytes.n / sizeof(name); i++) {
		memcpy(&name, bytes.p + i * sizeof(name), sizeof(name));
		if (name.n > KEYWORD_MAX_BYTES || keyword_add(out,
		    (struct str){ name.bytes, name.n }) != (int)i)
			return false;
	}
	return true;
}

static bool
sane(const struct record *r, const struct record *before,
    const struct head *h)
{
	const int64_t least = (int64_t)r->from + r->head;

	return r->start >= before->end && r->start <= r->end &&
	    r->end <= h->size && r->from > 0 && least <= r->end - r->start &&
	    r->uid > before->uid && r->uid < h->uidnext &&
	    r->modseq <= h->modseq &&
	    !(r->flags & ~(FLAGS_SYSTEM | FLAG_OLD)) &&
	    !(r->bits & ~LASTING) &&
	    (uint64_t)r->keywords < (uint64_t)1 << h->n_names;
}

/* NULL when one of them can not be. */
static struct msg *
take_records(struct str bytes, const struct head *h)
{
	struct msg *msgs = xrealloc(NULL, h->n, sizeof(*msgs));
	struct record r, before = { .end = 0 };
	uint32_t i;

	for (i = 0; i < h->n; i++, before = r) {
		memcpy(&r, bytes.p + i * sizeof(r), sizeof(r));
		if (!sane(&r, &before, h)) {
			free(msgs);
			return NULL;
		}
		msgs[i] = (struct msg){
			.start = r.start, .end = r.end, .size = r.size,
			.hash = r.hash, .date = r.date, .head = r.head,
			.uid = r.uid, .keywords = r.keywords,
			.from = r.from, .zone = r.zone, .bits = r.bits,
			.modseq = r.modseq,
			.flags = r.flags & FLAG_OLD ? r.flags :
			    (uint8_t)(r.flags | FLAG_RECENT),
		};
	}
	return msgs;
}

static bool
take_points(struct mbox_private *own, struct str bytes,
    const struct head *h)
{
	unsigned i;

	own->points = xrealloc(own->points, h->n_points,
	    sizeof(*own->points));
	if (bytes.n > 0)
		memcpy(own->points, bytes.p, bytes.n);
	own->n_points = h->n_points;
	for (i = 0; i < own->n_points; i++)
		if (own->points[i] < 0 || own->points[i] > h->size)
			own->n_points = 0;
	return own->n_points == h->n_points;
}

/* All of it is believed now; where the file is not as it was then, the caller
 * looks what of that still stands there. */
static void
take_head(struct mbox *mbox, const struct head *h)
{
	struct mbox_private *own = mbox->own;

	mbox->state = (struct mbox_state){
		.dev = (dev_t)h->dev, .ino = (ino_t)h->ino, .size = h->size,
		.mtime = { .tv_sec = h->mtime[0], .tv_nsec = h->mtime[1] },
		.ctime = { .tv_sec = h->ctime[0], .tv_nsec = h->ctime[1] },
	};
	mbox->n = mbox->room = h->n;
	mbox->uidvalidity = h->uidvalidity;
	mbox->uidnext = h->uidnext;
	mbox->writable = own->may_write;
	mbox->sticky = true;
	own->key = h->key;
	own->head_edge = h->head_edge;
	own->tail_edge = h->tail_edge;
	own->head_n = h->head_n;
	own->pseudo = h->pseudo;
	own->pseudo_head = h->pseudo_head;
	own->uidlast = h->uidlast;
	own->based = own->shown = own->unsettled = own->relist = true;
	own->grown = h->grown;
	own->modseq = h->modseq;
	own->log_least = h->log;
	own->indexed = mbox->state;
}

static bool
take(struct mbox *mbox, struct str all, const struct mbox_state *now)
{
	struct keywords names;
	struct parts parts;
	struct head head;
	struct msg *msgs;

	if (!split(all, &head, &parts) || !sane_head(&head, now) ||
	    !take_names(parts.names, &names) ||
	    !take_points(mbox->own, parts.points, &head))
		return false;
	msgs = take_records(parts.records, &head);
	if (msgs == NULL) {
		mbox->own->n_points = 0;
		return false;
	}
	free(mbox->msgs);
	mbox->msgs = msgs;
	mbox->keywords = names;
	take_head(mbox, &head);
	return true;
}

bool
mbox_index_load(struct mbox *mbox)
{
	struct buf b = BUF_MAX(INDEX_MAX);
	struct mbox_state now;
	char name[NAME_ROOM];
	bool good;

	if (mbox->dir == NULL || !mbox_look_at(mbox, &now))
		return false;
	name_of(name, now.dev, now.ino);
	good = fs_read(mbox->dir, name, &b) == 0 &&
	    take(mbox, buf_str(&b), &now);
	buf_free(&b);
	return good;
}

void
mbox_index_forget(struct mbox *mbox)
{
	mbox->n = 0;
	mbox->uidnext = mbox->uidvalidity = 0;
	mbox->keywords.n = 0;
	mbox->own->n_points = 0;
	mbox->own->shown = mbox->own->based = false;
	memset(&mbox->state, 0, sizeof(mbox->state));
	memset(&mbox->own->indexed, 0, sizeof(mbox->own->indexed));
}
