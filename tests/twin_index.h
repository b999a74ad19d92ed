/*
 * twin_index.h - a mailbox opened by its index, and once more without: the
 * truth is what is read. The home directory is home.h's.
 */
#ifndef TWIN_INDEX_H
#define TWIN_INDEX_H

#include <inttypes.h>
#include <time.h>

#include "home.h"
#include "../mbox_own.h"
#include "../lib/buf.h"
#include "../lib/fs.h"

enum { AT_CHECK = 8, AT_KEY = 16 };

#define ONE(n)	"From a@b.c Sat Jan  3 01:05:3" n " 1998\nSubject: " n	\
	"\n\ntext " n "\n\n"
#define THREE	ONE("1") ONE("2") ONE("3")

static char own_dir[PATH_MAX];
static struct mbox_writer writer;

/* Ten seconds later: no file is so young that its times mean nothing. */
int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	t->tv_sec += clock == CLOCK_REALTIME ? 10 : 0;
	return r;
}

static inline struct mbox *
open_box(const char *name)
{
	struct why why = { "" };
	struct mbox *mbox;

	if (mbox_open_writer(&mbox, in_home(name), false, MBOX_SELECT,
	    &writer, &why) != E_OK) {
		printf("# %s: %s\n", name, why.text);
		exit(99);
	}
	return mbox;
}

/* The name of the mailbox's index below ~/.imapd. */
static inline const char *
index_of(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *p = path[turn++ % 4];
	struct stat st;

	if (stat(in_home(name), &st) != 0)
		exit(99);
	snprintf(p, PATH_MAX, "index.%" PRIx64 ".%" PRIx64,
	    (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	return p;
}

static inline struct buf
index_bytes(const char *name)
{
	struct buf b = BUF_MAX(1 << 20);

	if (fs_read(own_dir, index_of(name), &b) != 0)
		exit(99);
	return b;
}

static inline void
put_index(const char *name, struct str bytes)
{
	if (fs_cache(own_dir, index_of(name), bytes) != 0)
		exit(99);
}

/* All that a session could show of it; \Recent it shows but once. */
static inline void
show(struct mbox *mbox, struct buf *out)
{
	struct mbox_text text;
	struct why why;
	uint32_t i;

	buf_clear(out);
	buf_addf(out, "%u %u %u\n", mbox->uidvalidity, mbox->uidnext,
	    mbox->keywords.n);
	for (i = 0; i < mbox->n; i++) {
		const struct msg *m = &mbox->msgs[i];

		buf_addf(out, "%u %" PRIu64 " %" PRId64 " %u %x %x ", m->uid,
		    m->size, m->date, (unsigned)(m->zone + 1000),
		    m->flags & FLAGS_SYSTEM, m->keywords);
		if (mbox_text(mbox, m->uid, true, &text, &why) == E_OK)
			buf_add(out, text.whole);
	}
}

/* Opened once with the index there is, and once without. */
static inline bool
as_read(const char *name, bool *used)
{
	struct buf with = BUF_MAX(1 << 20), without = BUF_MAX(1 << 20);
	struct mbox *mbox = open_box(name);
	bool good;

	*used = mbox->own->indexed.size > 0;
	show(mbox, &with);
	mbox_close(mbox);
	fs_drop(own_dir, index_of(name));
	mbox = open_box(name);
	show(mbox, &without);
	mbox_close(mbox);
	good = str_eq(buf_str(&with), buf_str(&without));
	if (!good)
		printf("# with    <%.*s>\n# without <%.*s>\n", (int)with.n,
		    with.p, (int)without.n, without.p);
	buf_free(&with);
	buf_free(&without);
	return good;
}

/* Mail, with flags and keywords, that a session has seen and left. */
static inline void
make(const char *name, const char *mails)
{
	struct keywords names = { .n = 0 };
	const struct mbox_change change = { .how = MBOX_ADD,
	    .flags = FLAG_SEEN | FLAG_DELETED, .names = &names };
	struct why why;
	struct mbox *mbox;
	uint32_t uid = 2;

	keyword_add(&names, STR("Junk"));
	keyword_add(&names, STR("$Label1"));
	text(name, mails);
	mbox = open_box(name);
	if (mbox_store(mbox, &uid, 1, &change, &why) != E_OK)
		exit(99);
	mbox_close(mbox);
}

static inline void
fix_check(struct buf *b)
{
	struct hash_key key;
	struct hash h;
	uint64_t check;

	memcpy(&key, b->p + AT_KEY, sizeof(key));
	hash_init(&h, &key);
	hash_add(&h, str_from(buf_str(b), AT_KEY));
	check = hash_end(&h);
	memcpy(b->p + AT_CHECK, &check, sizeof(check));
}

#endif
