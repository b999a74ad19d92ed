/*
 * journal.c - the file in which a rewrite writes down what it is about to
 * do. It knows where plans, records and data stand in that file and which
 * of them are valid; it knows nothing of mail and touches no mailbox.
 *
 * The file:
 *	layout		sector 0: how much room there is, and the key
 *	record 0, 1	a sector each, at 4096 and 8192
 *	plan 0, 1	head, then entries
 *	data 0, 1	new bytes, then a sum per grain of what stood there
 *
 * The layout changes only while no plan is valid, after the heads of both
 * plans at their new places were wiped: what lies there by chance is no plan.
 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/mem.h"

/* The last byte is the version of all structures. */
static const uint64_t magic = 0x696d6170644a0001;

enum {
	PAGE = 4096,
	HEAD = 2 * PAGE,	/* of a plan */
	CACHED = 1024,		/* entries read or written at once */
};

_Static_assert(sizeof(struct plan) <= HEAD, "a plan's head has its room");
_Static_assert(sizeof(struct entry) == 48, "no padding in an entry");
_Static_assert(sizeof(struct record) == 104, "no padding in a record");

struct layout {
	uint64_t magic;
	uint64_t entries;
	uint64_t window;
	struct hash_key key;
	uint64_t hash;		/* of all above */
};

static uint64_t
hash_of(const struct hash_key *key, const void *p, size_t n)
{
	struct hash h;

	hash_init(&h, key);
	hash_add(&h, (struct str){ p, n });
	return hash_end(&h);
}

uint64_t
journal_hash(const struct journal *j, const void *p, size_t n)
{
	return hash_of(&j->key, p, n);
}

bool
journal_no_room(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static int
sync_journal(const struct journal *j)
{
	return j->sync ? fs_sync(j->fd) : 0;
}

/* Room of a data place: the sums, four bytes for a grain, stand behind. */
static int64_t
data_room(size_t window)
{
	size_t n = window + window / GRAIN * sizeof(uint32_t) + PAGE;

	return (int64_t)(n + PAGE - n % PAGE);
}

static int64_t
plan_room(uint64_t entries)
{
	uint64_t n = HEAD + entries * sizeof(struct entry);

	return (int64_t)(n + PAGE - n % PAGE);
}

static int64_t
record_at(uint64_t seq)
{
	return PAGE + (int64_t)(seq % 2) * PAGE;
}

static int64_t
plan_at(uint64_t entries, int which)
{
	return 3 * PAGE + which * plan_room(entries);
}

static int64_t
data_at(const struct journal *j, uint64_t seq)
{
	return plan_at(j->entries, 2) +
	    (int64_t)(seq % 2) * data_room(j->window);
}

static int64_t
file_size(uint64_t entries, size_t window)
{
	return plan_at(entries, 2) + 2 * data_room(window);
}

/* Does sector 0 describe this file? 1, 0, or -1 when nobody can tell: what
 * can not be read now may be a valid plan nevertheless. */
static int
read_layout(struct journal *j)
{
	struct layout l;
	struct stat st;

	if (fstat(j->fd, &st) != 0)
		return -1;
	if (fs_pread(j->fd, (char *)&l, sizeof(l), 0) != 0)
		return errno == 0 ? 0 : -1;
	if (l.magic != magic ||
	    l.hash != hash_of(&l.key, &l, offsetof(struct layout, hash)) ||
	    l.entries > UINT32_MAX || l.window > JOURNAL_WINDOW_MAX ||
	    st.st_size < file_size(l.entries, (size_t)l.window))
		return 0;
	j->entries = (uint32_t)l.entries;
	j->window = (size_t)l.window;
	j->key = l.key;
	return 1;
}

static int
wipe(const struct journal *j, int64_t at)
{
	static const char zero[SECTOR];

	return fs_pwrite(j->fd, zero, sizeof(zero), at);
}

static int
write_layout(struct journal *j, uint32_t entries, size_t window)
{
	struct layout l = {
		.magic = magic, .entries = entries, .window = window,
	};

	if (getrandom(&l.key, sizeof(l.key), 0) != sizeof(l.key) ||
	    fs_reserve(j->fd, file_size(entries, window)) != 0 ||
	    wipe(j, plan_at(entries, 0)) != 0 ||
	    wipe(j, plan_at(entries, 1)) != 0 ||
	    wipe(j, record_at(0)) != 0 || wipe(j, record_at(1)) != 0 ||
	    sync_journal(j) != 0)
		return -1;
	l.hash = hash_of(&l.key, &l, offsetof(struct layout, hash));
	if (fs_pwrite(j->fd, (const char *)&l, sizeof(l), 0) != 0 ||
	    sync_journal(j) != 0)
		return -1;
	j->entries = entries;
	j->window = window;
	j->key = l.key;
	return 0;
}

/* What the file has behind `size` is given back; should this fail, it has
 * it still. */
static void
give_back(const struct journal *j, int64_t size)
{
	int e = errno;

	fs_truncate(j->fd, size);
	errno = e;
}

int
journal_make(struct journal *j, uint32_t entries, size_t window)
{
	int e;

	if (write_layout(j, entries, window) == 0) {
		give_back(j, file_size(entries, window));
		return 0;
	}
	/* The old layout counts, or the new one when only its last sync
	 * failed. Room that was got but does not suffice is for others. */
	e = errno;
	switch (read_layout(j)) {
	case 0:
		give_back(j, 0);
		break;
	case 1:
		give_back(j, file_size(j->entries, j->window));
		break;
	}
	errno = e;
	return -1;
}

int
journal_reserve(struct journal *j, uint64_t entries, size_t window)
{
	if (entries > UINT32_MAX || window > JOURNAL_WINDOW_MAX) {
		errno = EFBIG;
		return -1;
	}
	if (entries < j->entries)
		entries = j->entries;
	if (window < j->window)
		window = j->window;
	if (entries == j->entries && window == j->window)
		return 0;
	return journal_make(j, (uint32_t)entries, window);
}

void
journal_shrink(struct journal *j)
{
	if (j->window > JOURNAL_WINDOW)
		journal_make(j, j->entries, JOURNAL_WINDOW);
}

static void
init(struct journal *j, const char *dir, bool sync)
{
	*j = (struct journal){
		.fd = -1, .dir = dir, .sync = sync, .live = -1, .older = -1,
	};
}

/* Is this still the file of that name? */
static bool
is_named(int fd, const char *dir)
{
	struct stat st, named;
	int other = fs_own(dir, "journal", false);
	bool same;

	if (other < 0)
		return false;
	same = fstat(fd, &st) == 0 && fstat(other, &named) == 0 &&
	    st.st_ino == named.st_ino && st.st_dev == named.st_dev;
	close(other);
	return same;
}

/*
 * The lock is flock(2): this file is ours alone, and on NFS Linux makes a
 * record lock of it. Whoever had it may have put the file aside: then the
 * name stands for another file by now, which is the one to lock.
 */
static int
open_locked(const char *dir)
{
	int fd, r;

	for (;;) {
		fd = fs_own(dir, "journal", true);
		if (fd < 0)
			return -1;
		while ((r = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
			continue;
		if (r == 0 && is_named(fd, dir))
			return fd;
		close(fd);
		if (r != 0)
			return -1;
	}
}

/* E_OK when the journal has its layout, which it may get just now. */
static enum err
lay_out(struct journal *j, struct why *why)
{
	int r = read_layout(j);

	if (r < 0)
		return why_set(why, E_IO, "cannot read the journal: %s",
		    strerror(errno));
	if (r == 1 || journal_make(j, JOURNAL_ENTRIES, JOURNAL_WINDOW) == 0)
		return E_OK;
	return why_set(why, journal_no_room(errno) ? E_FULL : E_PERM,
	    "cannot make a journal: %s", strerror(errno));
}

enum err
journal_open(struct journal *j, const char *dir, bool sync, struct why *why)
{
	enum err e;

	init(j, dir, sync);
	if (dir == NULL)
		return why_set(why, E_PERM, "there is no place for a journal");
	j->fd = open_locked(dir);
	if (j->fd < 0)
		return why_set(why,
		    journal_no_room(errno) ? E_FULL : E_PERM,
		    "cannot open a journal: %s", strerror(errno));
	if ((e = lay_out(j, why)) != E_OK) {
		journal_close(j);
		return e;
	}
	j->cache = xmalloc(CACHED * sizeof(*j->cache));
	return E_OK;
}

enum err
journal_look(struct journal *j, const char *dir)
{
	int r = 0;

	init(j, dir, false);
	if (dir != NULL)
		j->fd = fs_own(dir, "journal", false);
	if (j->fd >= 0)
		r = read_layout(j);
	if (r == 1)
		return E_OK;
	journal_close(j);
	return r < 0 ? E_IO : E_NOENT;
}

void
journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	free(j->cache);
	j->cache = NULL;
}

static int
read_entries(struct journal *j, int which, uint32_t i, uint32_t n)
{
	j->cached = i;
	j->n_cached = 0;
	if (fs_pread(j->fd, (char *)j->cache, n * sizeof(*j->cache),
	    plan_at(j->entries, which) + HEAD +
	    (int64_t)(i * sizeof(*j->cache))) != 0)
		return -1;
	j->n_cached = n;
	return 0;
}

/* Are all entries there as the head says? 1, 0, -1. */
static int
entries_valid(struct journal *j, int which, const struct plan *plan)
{
	struct hash sum;
	uint32_t i, n;

	hash_init(&sum, &j->key);
	for (i = 0; i < plan->n; i += n) {
		n = plan->n - i < CACHED ? plan->n - i : CACHED;
		if (read_entries(j, which, i, n) != 0)
			return -1;
		hash_add(&sum, (struct str){ (const char *)j->cache,
		    n * sizeof(*j->cache) });
	}
	return hash_end(&sum) == plan->sum;
}

/* 1, 0, -1. */
static int
read_plan(struct journal *j, int which, struct plan *plan, bool whole)
{
	if (fs_pread(j->fd, (char *)plan, sizeof(*plan),
	    plan_at(j->entries, which)) != 0)
		return -1;
	if (plan->magic != magic || plan->n > j->entries ||
	    plan->path[sizeof(plan->path) - 1] != '\0' ||
	    plan->hash != journal_hash(j, plan, offsetof(struct plan, hash)))
		return 0;
	return whole ? entries_valid(j, which, plan) : 1;
}

int
journal_plan(struct journal *j, struct plan *out, bool whole)
{
	struct plan *plan = xmalloc(sizeof(*plan));
	int which, r = 0;

	j->live = j->older = -1;
	j->gen = 0;
	for (which = 0; which < 2 && r >= 0; which++) {
		r = read_plan(j, which, plan, whole);
		if (r != 1)
			continue;
		if (j->live >= 0 && plan->gen < j->gen) {
			j->older = which;
			continue;
		}
		j->older = j->live;
		j->live = which;
		j->gen = plan->gen;
		*out = *plan;
	}
	free(plan);
	/* They may be those of the plan that does not count. */
	j->n_cached = 0;
	return r < 0 ? -1 : j->live >= 0;
}

void
journal_start(struct journal *j)
{
	j->added = j->n_cached = 0;
	hash_init(&j->sum, &j->key);
}

static int
place_for_new(const struct journal *j)
{
	return j->live == 0 ? 1 : 0;
}

static int
flush_entries(struct journal *j)
{
	size_t n = j->n_cached * sizeof(*j->cache);

	hash_add(&j->sum, (struct str){ (const char *)j->cache, n });
	j->n_cached = 0;
	return fs_pwrite(j->fd, (const char *)j->cache, n,
	    plan_at(j->entries, place_for_new(j)) + HEAD +
	    (int64_t)(j->added * sizeof(*j->cache)) - (int64_t)n);
}

int
journal_add(struct journal *j, const struct entry *e)
{
	if (j->added == j->entries) {
		errno = ENOSPC;
		return -1;
	}
	j->cache[j->n_cached++] = *e;
	j->added++;
	return j->n_cached < CACHED ? 0 : flush_entries(j);
}

int
journal_commit(struct journal *j, struct plan *plan, bool now)
{
	int which = place_for_new(j);

	if (flush_entries(j) != 0)
		return -1;
	plan->magic = magic;
	plan->gen = (j->live >= 0 ? j->gen : 0) + 1;
	plan->n = j->added;
	plan->sum = hash_end(&j->sum);
	/* Names the plan's records: those of plans before are void. */
	if (getrandom(&plan->token, sizeof(plan->token), 0) !=
	    sizeof(plan->token))
		return -1;
	plan->hash = journal_hash(j, plan, offsetof(struct plan, hash));
	if (fs_pwrite(j->fd, (const char *)plan, sizeof(*plan),
	    plan_at(j->entries, which)) != 0 ||
	    (now && sync_journal(j) != 0))
		return -1;
	j->older = j->live;
	j->live = which;
	j->gen = plan->gen;
	return 0;
}

const struct entry *
journal_entry(struct journal *j, const struct plan *plan, uint32_t i)
{
	uint32_t first, n;

	if (i >= plan->n)
		log_bug("a plan has no entry %u", i);
	if (i < j->cached || i - j->cached >= j->n_cached) {
		/* An expansion goes backwards: half of them lie before. */
		first = i < CACHED / 2 ? 0 : i - CACHED / 2;
		n = plan->n - first < CACHED ? plan->n - first : CACHED;
		if (read_entries(j, j->live, first, n) != 0)
			return NULL;
	}
	return &j->cache[i - j->cached];
}

static int
wipe_plan(struct journal *j, int which, bool now)
{
	if (wipe(j, plan_at(j->entries, which)) != 0)
		return -1;
	return now ? sync_journal(j) : 0;
}

/*
 * The older first: the newer one must not be gone while that still counts.
 * With none valid, heads of plans that were never whole are wiped.
 */
int
journal_clear(struct journal *j, bool now)
{
	if (j->live < 0)
		return wipe_plan(j, 0, false) == 0 ? wipe_plan(j, 1, now) : -1;
	if (j->older >= 0 && wipe_plan(j, j->older, true) != 0)
		return -1;
	j->older = -1;
	if (wipe_plan(j, j->live, now) != 0)
		return -1;
	j->live = -1;
	return 0;
}

int
journal_record(struct journal *j, const struct plan *plan, struct record *r,
    const char *data, const uint32_t *sums)
{
	int64_t at = data_at(j, r->seq);
	size_t n = journal_sums(r->d, r->n) * sizeof(*sums);

	r->token = plan->token;
	r->slot = data != NULL;
	if (data != NULL && fs_pwrite(j->fd, data, (size_t)r->n, at) != 0)
		return -1;
	if (sums != NULL) {
		r->sums = journal_hash(j, sums, n);
		if (fs_pwrite(j->fd, (const char *)sums, n,
		    at + (int64_t)j->window) != 0)
			return -1;
	}
	r->self = journal_hash(j, r, offsetof(struct record, self));
	if (fs_pwrite(j->fd, (const char *)r, sizeof(*r),
	    record_at(r->seq)) != 0)
		return -1;
	return sync_journal(j);
}

int
journal_last(struct journal *j, const struct plan *plan, struct record *out)
{
	struct record r;
	uint64_t seq;
	int found = 0;

	for (seq = 0; seq < 2; seq++) {
		if (fs_pread(j->fd, (char *)&r, sizeof(r),
		    record_at(seq)) != 0)
			return -1;
		if (r.token != plan->token ||
		    r.self != journal_hash(j, &r,
		    offsetof(struct record, self)) ||
		    (found && r.seq < out->seq))
			continue;
		*out = r;
		found = 1;
	}
	return found;
}

int
journal_data(struct journal *j, const struct record *r, char *to,
    uint32_t *sums)
{
	int64_t at = data_at(j, r->seq);
	size_t n = journal_sums(r->d, r->n) * sizeof(*sums);

	if (sums != NULL && (fs_pread(j->fd, (char *)sums, n,
	    at + (int64_t)j->window) != 0))
		return -1;
	if (sums != NULL && r->sums != journal_hash(j, sums, n))
		return 0;
	if (to == NULL || !r->slot)
		return 1;
	if (fs_pread(j->fd, to, (size_t)r->n, at) != 0)
		return -1;
	return r->hash == journal_hash(j, to, (size_t)r->n);
}

int
journal_aside(struct journal *j)
{
	return fs_rename_own(j->dir, "journal", "journal.aside");
}
