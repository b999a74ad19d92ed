/*
 * unit_changes.c - the log of changes: what one session appends others read,
 * whole and in order, and whatever is wrong with the file ends it and lets
 * nothing through that nobody wrote. Time is made here, so that nothing
 * waits; the disk fails on demand.
 */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../changes_own.h"
#include "../lib/fs.h"
#include "../lib/hash.h"

enum {
	HEAD = 72, AT_CHECK = 8, AT_KEY = 16, AT_GENERATION = 48,
	FRAME = 16, BODY = 24, NAME = 51,
	FORGERIES = 2000, WRITERS = 4, EACH = 200,
	DEV = 0x801, INO = 0xabc, VALIDITY = 7,
};

static char base[] = "/tmp/unit_changes.XXXXXX";
static char dir[64], path[96], other_path[96];
static uint64_t seed;

/* The made world. */
static struct {
	int64_t ns;		/* the clock */
	unsigned pauses;
	bool real;		/* pauses are what they are elsewhere */
	int64_t disk;		/* no byte can be written beyond; -1: none */
	bool killed_there;	/* nor does the process live on */
	int sync_errno;		/* the next syncs of files fail */
	int dir_errno;		/* those of directories */
	int cut_errno;		/* ftruncate fails */
	int read_errno;		/* reads behind the head fail */
	unsigned synced, synced_dirs;
} world = { .disk = -1 };

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	if (world.real)
		return (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_sec = world.ns / 1000000000;
	t->tv_nsec = world.ns % 1000000000;
	return 0;
}

int
nanosleep(const struct timespec *t, struct timespec *rest)
{
	if (world.real)
		return (int)syscall(SYS_nanosleep, t, rest);
	world.pauses++;
	world.ns += t->tv_sec * 1000000000LL + t->tv_nsec;
	return 0;
}

static int
fails(int e)
{
	errno = e;
	return e == 0 ? 0 : -1;
}

/* What has room is written, as by a disk that fills up meanwhile. */
ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t r;

	if (world.disk < 0 || at + (off_t)n <= world.disk)
		return syscall(SYS_pwrite64, fd, p, n, at);
	if (at >= world.disk && !world.killed_there)
		return fails(ENOSPC);
	r = at >= world.disk ? 0 : syscall(SYS_pwrite64, fd, p,
	    (size_t)(world.disk - at), at);
	if (world.killed_there)
		kill(getpid(), SIGKILL);
	return r;
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	if (at >= HEAD && world.read_errno != 0)
		return fails(world.read_errno);
	return syscall(SYS_pread64, fd, p, n, at);
}

int
fdatasync(int fd)
{
	(void)fd;
	world.synced++;
	return fails(world.sync_errno);
}

int
fsync(int fd)
{
	(void)fd;
	world.synced_dirs++;
	return fails(world.dir_errno);
}

int
ftruncate(int fd, off_t size)
{
	return world.cut_errno != 0 ? fails(world.cut_errno) :
	    (int)syscall(SYS_ftruncate, fd, size);
}

static uint32_t
chance(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

/* ---- files ---- */

static struct buf
content(void)
{
	struct buf b = BUF_MAX(CHANGES_MAX * 2);

	if (fs_read(dir, strrchr(path, '/') + 1, &b) != 0)
		exit(99);
	return b;
}

static void
put(const char *at, struct str bytes)
{
	int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
		exit(99);
	close(fd);
}

static int64_t
file_size(void)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void
gone(const char *at)
{
	if (remove(at) != 0 && errno != ENOENT)
		exit(99);
}

static int
remove_one(const char *at, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(at);
}

/* ---- sessions ---- */

static struct changes *
open_log(void)
{
	struct changes *c = changes_open(dir, DEV, INO, VALIDITY, 0, true);

	if (c == NULL) {
		printf("# cannot open: %s\n", strerror(errno));
		exit(99);
	}
	return c;
}

static enum changes_fate
lock(struct changes *c)
{
	struct why why = { "" };
	enum changes_fate fate = CHANGES_LOST;

	if (changes_lock(c, 0, &fate, &why) != E_OK) {
		printf("# cannot lock: %s\n", why.text);
		exit(99);
	}
	return fate;
}

static unsigned
rest(struct changes *c)
{
	struct change got;
	unsigned n = 0;

	while (changes_next(c, &got))
		n++;
	return n;
}

static unsigned
read_rest(struct changes *c)
{
	unsigned n;

	lock(c);
	n = rest(c);
	changes_unlock(c);
	return n;
}

static enum err
add(struct changes *c, const struct change *change, bool sync)
{
	struct why why = { "" };
	enum err e;

	lock(c);
	rest(c);
	e = changes_add(c, change, sync, &why);
	changes_unlock(c);
	return e == E_OK || why.text[0] != '\0' ? e : (enum err)1;
}

static enum err
reset(struct changes *c, bool sync)
{
	struct why why = { "" };
	enum err e;

	lock(c);
	rest(c);
	e = changes_reset(c, sync, &why);
	changes_unlock(c);
	return e == E_OK || why.text[0] != '\0' ? e : (enum err)1;
}

/* By a session that comes for this and goes. */
static void
add_new(const struct change *change)
{
	struct changes *c = open_log();

	if (add(c, change, false) != E_OK)
		exit(99);
	changes_close(c);
}

/* What a session that comes anew finds. */
static unsigned
found(void)
{
	struct changes *c = open_log();
	unsigned n = read_rest(c);

	changes_close(c);
	return n;
}

/* ---- records ---- */

static struct keywords
words(const char *first, const char *second)
{
	struct keywords k = { .n = 0 };

	keyword_add(&k, str_c(first));
	if (second != NULL)
		keyword_add(&k, str_c(second));
	return k;
}

static bool
same_words(const struct keywords *a, const struct keywords *b)
{
	unsigned i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (!str_eq(keyword_name(a, i), keyword_name(b, i)))
			return false;
	return a->n == b->n;
}

static bool
same(const struct change *a, const struct change *b)
{
	return a->kind == b->kind && a->modseq == b->modseq &&
	    a->set == b->set && a->clear == b->clear &&
	    a->clear_words == b->clear_words && a->n == b->n &&
	    same_words(&a->add, &b->add) &&
	    same_words(&a->remove, &b->remove) &&
	    (a->n == 0 || memcmp(a->runs, b->runs, a->n *
	    sizeof(*a->runs)) == 0);
}

static const struct change_run some_runs[] = { { 1, 1 }, { 2, 2 }, { 7, 19 },
    { UINT32_MAX, UINT32_MAX } };

enum { SOME = 5 };

/* One of each kind, flags with and without words. */
static struct change
some(unsigned i)
{
	switch (i % SOME) {
	case 0:
		return (struct change){ .kind = CHANGE_FLAGS, .modseq = 11,
		    .set = FLAG_SEEN | FLAG_OLD, .clear = FLAG_DELETED,
		    .runs = some_runs, .n = 4 };
	case 1:
		return (struct change){ .kind = CHANGE_FLAGS,
		    .modseq = INT64_MAX, .clear_words = true,
		    .add = words("Junk", "$Label1"),
		    .remove = words("12345678901234567890123456789012345678"
		    "901234567890", NULL), .runs = some_runs + 2, .n = 1 };
	case 2:
		return (struct change){ .kind = CHANGE_FLAGS, .modseq = 12,
		    .clear = FLAG_SEEN, .runs = some_runs + 1, .n = 1 };
	case 3:
		return (struct change){ .kind = CHANGE_SEEN, .modseq = 1,
		    .runs = some_runs, .n = 2 };
	default:
		return (struct change){ .kind = CHANGE_SEEN, .modseq = 12,
		    .runs = some_runs + 1, .n = 3 };
	}
}

static void
make(unsigned n)
{
	struct changes *c;
	struct change change;
	unsigned i;

	gone(path);
	c = open_log();
	for (i = 0; i < n; i++) {
		change = some(i);
		if (add(c, &change, false) != E_OK)
			exit(99);
	}
	changes_close(c);
}

/* How many of those a new session finds; -1 when one is none of them. */
static int
found_some(void)
{
	struct changes *c = open_log();
	struct change got, want;
	int n = 0;

	lock(c);
	for (; n >= 0 && changes_next(c, &got); n++) {
		want = some((unsigned)n);
		if (!same(&got, &want))
			n = -2;
	}
	changes_close(c);
	return n;
}

/* Where the n-th record of make() begins. */
static size_t
start_of(struct str all, unsigned n)
{
	size_t at = HEAD;
	uint32_t size;

	for (; n > 0; n--) {
		memcpy(&size, all.p + at, sizeof(size));
		at += FRAME + size;
	}
	return at;
}

/* ---- the tests ---- */

static void
check_round(void)
{
	struct changes *one, *other;
	struct change want, got;
	unsigned i, good = 0;

	gone(path);
	one = open_log();
	other = open_log();
	CHECK("a new log has nothing to read", file_size() == HEAD &&
	    read_rest(one) == 0 && !changes_news(one) &&
	    changes_size(one) == 0);
	for (i = 0; i < SOME; i++) {
		want = some(i);
		CHECK("a record is added", add(one, &want, i % 2) == E_OK);
		CHECK("it is news to another session, not to its own",
		    changes_news(other) && !changes_news(one));
		CHECK("the other goes on, and has it as it was",
		    lock(other) == CHANGES_GOES_ON &&
		    changes_next(other, &got) && same(&got, &want));
		CHECK("it is the last", !changes_next(other, &got));
		changes_unlock(other);
		CHECK("then it is no news", !changes_news(other));
	}
	CHECK("who has added it does not get it", read_rest(one) == 0);
	lock(one);
	changes_rewind(one);
	for (i = 0; changes_next(one, &got); i++) {
		want = some(i);
		good += same(&got, &want);
	}
	CHECK("from the beginning all are there, in order",
	    i == SOME && good == SOME);
	CHECK("and their size is that of the file without its head",
	    changes_size(one) == file_size() - HEAD);
	changes_close(one);
	CHECK("closed, it is not locked", read_rest(other) == 0);
	changes_close(other);
	changes_close(NULL);
}

/* As many as fit, and what has every list as long as it may be. */
static void
check_long(void)
{
	struct change_run *runs = calloc(CHANGE_RUNS_MAX + 1, sizeof(*runs));
	struct change want = { .kind = CHANGE_FLAGS, .runs = runs }, got;
	struct changes *c = open_log(), *other;
	char name[64];
	uint32_t i;

	for (i = 0; i <= CHANGE_RUNS_MAX; i++)
		runs[i] = (struct change_run){ 2 * i + 1, 2 * i + 1 };
	for (i = 0; i < KEYWORDS_MAX; i++) {
		snprintf(name, sizeof(name), "%050u", i);
		keyword_add(&want.add, str_c(name));
		snprintf(name, sizeof(name), "%050u", i + 50);
		keyword_add(&want.remove, str_c(name));
	}
	want.n = CHANGE_RUNS_MAX + 1;
	CHECK("a record of too many runs is refused",
	    add(c, &want, false) == E_LIMIT && file_size() ==
	    changes_size(c) + HEAD);
	want.n = CHANGE_RUNS_MAX;
	if (reset(c, false) != E_OK)
		exit(99);
	CHECK("one of as many as may be is added",
	    add(c, &want, false) == E_OK);
	other = open_log();
	CHECK("and read", lock(other) == CHANGES_GOES_ON &&
	    changes_next(other, &got) && same(&got, &want) &&
	    !changes_next(other, &got));
	changes_close(other);
	for (i = 1; add(c, &want, false) == E_OK; i++)
		continue;
	CHECK("a log gets no longer than it may be", i == CHANGES_MAX /
	    (FRAME + CHANGES_BODY_MAX) && file_size() < CHANGES_MAX);
	CHECK("then this is said, and nothing is lost",
	    add(c, &want, false) == E_LIMIT && found() == i);
	CHECK("and it can be begun anew", reset(c, false) == E_OK &&
	    add(c, &want, false) == E_OK && found() == 1);
	changes_close(c);
	free(runs);
}

/* Of all sizes, so that they lie across the blocks that are read. */
static void
check_many(void)
{
	struct change_run runs[3000];
	struct change want = { .kind = CHANGE_SEEN, .runs = runs }, got;
	uint64_t begun = seed;
	struct changes *c;
	unsigned i, good = 0, n = 200;

	gone(path);
	c = open_log();
	for (i = 0; i < 3000; i++)
		runs[i] = (struct change_run){ 5 * i + 2, 5 * i + 4 };
	for (i = 0; i < n; i++) {
		want.modseq = i;
		want.n = 1 + chance(3000) / (1 + chance(100));
		if (add(c, &want, false) != E_OK)
			exit(99);
	}
	changes_close(c);
	c = open_log();
	seed = begun;
	lock(c);
	for (i = 0; changes_next(c, &got); i++) {
		want.modseq = i;
		want.n = 1 + chance(3000) / (1 + chance(100));
		good += same(&got, &want);
	}
	CHECK("records of all sizes are read as they were written",
	    i == n && good == n);
	changes_close(c);
}

static void
check_reset(void)
{
	struct change change = some(0);
	struct changes *one, *other;
	uint64_t before;

	make(3);
	one = open_log();
	other = open_log();
	read_rest(other);
	before = changes_generation(one);
	CHECK("a log is begun anew", reset(one, true) == E_OK &&
	    file_size() == HEAD && changes_size(one) == 0);
	CHECK("under another number", changes_generation(one) != before);
	CHECK("this is news", changes_news(other) && !changes_news(one));
	add_new(&change);
	CHECK("another session learns of it, and reads from its beginning",
	    lock(other) == CHANGES_ANEW && rest(other) == 1 &&
	    changes_generation(other) == changes_generation(one));
	changes_unlock(other);
	CHECK("once", lock(other) == CHANGES_GOES_ON);
	changes_unlock(other);
	CHECK("who did it goes on", lock(one) == CHANGES_GOES_ON);
	changes_unlock(one);
	changes_close(one);
	changes_close(other);
}

/* Records of an earlier generation behind a head of today. */
static void
check_generations(void)
{
	struct buf old, now;
	struct changes *c;

	make(3);
	old = content();
	c = open_log();
	if (reset(c, false) != E_OK)
		exit(99);
	changes_close(c);
	now = content();
	memcpy(old.p, now.p, HEAD);
	put(path, buf_str(&old));
	CHECK("records of before it was begun anew are none", found() == 0);
	CHECK("and are taken away", file_size() == HEAD);
	buf_free(&old);
	buf_free(&now);
}

/* A log of before, in the place of the one that came after it. */
static void
check_old(void)
{
	struct buf old;
	struct changes *c;
	uint64_t generation;

	make(3);
	old = content();
	c = open_log();
	if (reset(c, false) != E_OK)
		exit(99);
	generation = changes_generation(c);
	put(path, buf_str(&old));
	CHECK("an old log that is put back is told as lost",
	    lock(c) == CHANGES_LOST && rest(c) == 0);
	changes_unlock(c);
	CHECK("and begun anew under a larger number",
	    changes_generation(c) > generation);
	changes_close(c);
	put(path, buf_str(&old));
	c = changes_open(dir, DEV, INO, VALIDITY, generation, true);
	CHECK("who knows that there was a newer one believes it nothing",
	    c != NULL && read_rest(c) == 0 &&
	    changes_generation(c) > generation);
	changes_close(c);
	buf_free(&old);
}

/* Nobody knows of a log that no time gives: who said so lied. */
static void
check_lie(void)
{
	static const uint64_t lies[] = { UINT64_MAX, UINT64_MAX - 1,
	    (uint64_t)1 << 63, INT64_MAX };
	struct changes *c;
	size_t i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make(3);
		c = changes_open(dir, DEV, INO, VALIDITY, lies[i], true);
		CHECK("a log larger than can be known of is begun anew",
		    c != NULL && read_rest(c) == 0 && file_size() == HEAD);
		CHECK("once", lock(c) == CHANGES_GOES_ON);
		changes_unlock(c);
		changes_close(c);
	}
}

/* A whole record at another place than its own. */
static void
check_places(void)
{
	struct buf all, moved = BUF_MAX(1 << 20);
	size_t second;

	make(3);
	all = content();
	second = start_of(buf_str(&all), 1);
	buf_add(&moved, str_sub(buf_str(&all), 0, HEAD));
	buf_add(&moved, str_from(buf_str(&all), second));
	put(path, buf_str(&moved));
	CHECK("a record that is not in its place is none", found() == 0);
	buf_clear(&moved);
	buf_add(&moved, buf_str(&all));
	buf_add(&moved, str_sub(buf_str(&all), HEAD, second - HEAD));
	put(path, buf_str(&moved));
	CHECK("nor is its copy behind others", found_some() == 3);
	buf_free(&all);
	buf_free(&moved);
}

/* Is this, in place of the log that a session has read, told as lost? */
static bool
is_lost(struct str was, struct str is)
{
	struct change change = some(0);
	struct changes *c;
	bool good;

	put(path, was);
	c = open_log();
	read_rest(c);
	put(path, is);
	good = changes_news(c) && lock(c) == CHANGES_LOST && rest(c) == 0 &&
	    changes_add(c, &change, false, NULL) == E_OK;
	changes_unlock(c);
	good = good && lock(c) == CHANGES_GOES_ON && rest(c) == 0;
	changes_close(c);
	return good && found() == 1;
}

/* Puts it there, and counts what is found; -1 also when the log does not go
 * on from there. */
static int
found_in(struct str bytes)
{
	struct change next;
	struct changes *c;
	int n;

	put(path, bytes);
	n = found_some();
	if (n < 0)
		return -1;
	next = some((unsigned)n);
	c = open_log();
	if (changes_news(c) && n == 0)
		n = -1;
	if (add(c, &next, false) != E_OK || found_some() != n + 1)
		n = -1;
	changes_close(c);
	return n;
}

/* Numbers of the head that are wrong, under a right check sum. */
static void
check_heads(void)
{
	static const struct {
		const char *what;
		unsigned at;
	} numbers[] = {
		{ "a head of another device counts for nothing", 32 },
		{ "nor does one of another inode", 40 },
		{ "nor one of another UIDVALIDITY", 56 },
		{ "nor one with something where nothing is", 60 },
	};
	struct buf all, bad = BUF_MAX(1 << 20);
	struct hash_key key;
	struct hash h;
	uint64_t check;
	size_t i;

	make(SOME);
	all = content();
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		buf_clear(&bad);
		buf_add(&bad, buf_str(&all));
		bad.p[numbers[i].at] ^= 1;
		memcpy(&key, bad.p + AT_KEY, sizeof(key));
		hash_init(&h, &key);
		hash_add(&h, (struct str){ bad.p + AT_KEY, HEAD - AT_KEY });
		check = hash_end(&h);
		memcpy(bad.p + AT_CHECK, &check, sizeof(check));
		CHECK(numbers[i].what, found_in(buf_str(&bad)) == 0 &&
		    is_lost(buf_str(&all), buf_str(&bad)));
	}
	buf_free(&all);
	buf_free(&bad);
}

/* What a session has appended itself it has read, too. */
static void
check_own_gone(void)
{
	struct change change = some(2);
	struct changes *c;
	int64_t before;

	make(2);
	before = file_size();
	c = open_log();
	if (add(c, &change, true) != E_OK || truncate(path, before) != 0)
		exit(99);
	CHECK("that one's own last record is gone is told as lost",
	    changes_news(c) && lock(c) == CHANGES_LOST && rest(c) == 0);
	changes_close(c);
}

/* One session finds the damage, and another is the first to mend it. */
static void
check_mended(void)
{
	struct change change = some(0);
	struct changes *c;

	make(2);
	c = open_log();
	read_rest(c);
	put(path, STR("no log"));
	if (found() != 0)
		exit(99);
	CHECK("what another has begun anew after damage is told as lost",
	    changes_news(c) && lock(c) == CHANGES_LOST &&
	    changes_add(c, &change, false, NULL) == E_OK);
	changes_unlock(c);
	CHECK("and is not begun once more", found_some() == 1);
	changes_close(c);
}

/* A session stops before a record that can not be; others put another one in
 * its place. */
static void
check_stale(void)
{
	struct change want = some(3), got;
	struct changes *c;
	struct buf all;

	make(3);
	all = content();
	all.p[all.n - 1] ^= 1;
	put(path, buf_str(&all));
	c = open_log();
	lock(c);
	if (!changes_next(c, &got) || !changes_next(c, &got))
		exit(99);
	changes_unlock(c);
	if (found_some() != 2)
		exit(99);
	add_new(&want);
	CHECK("what was read ahead is read again under the next lock",
	    lock(c) == CHANGES_GOES_ON && changes_next(c, &got) &&
	    same(&got, &want) && !changes_next(c, &got));
	changes_close(c);
	buf_free(&all);
}

static void
check_flips(void)
{
	struct buf all, bad = BUF_MAX(1 << 20);
	unsigned wrong = 0, lost = 0;
	int want = 0;
	size_t i;

	make(SOME);
	all = content();
	for (i = 0; i < all.n; i++) {
		if (want + 1 < SOME && i >= start_of(buf_str(&all),
		    (unsigned)want + 1))
			want++;
		buf_clear(&bad);
		buf_add(&bad, buf_str(&all));
		bad.p[i] ^= (char)(1 << chance(8));
		wrong += found_in(buf_str(&bad)) != want;
		if (i < HEAD)
			lost += is_lost(buf_str(&all), buf_str(&bad));
	}
	CHECK("a byte that is another ends the log before its record, and "
	    "there it goes on", wrong == 0);
	CHECK("a byte of the head that is another: who has the log open is "
	    "told that it was lost", lost == HEAD);
	buf_free(&all);
	buf_free(&bad);
}

static void
check_cuts(void)
{
	struct buf all;
	unsigned wrong = 0, lost = 0;
	int want = 0;
	size_t i;

	make(SOME);
	all = content();
	for (i = 0; i < all.n; i++) {
		if (i >= start_of(buf_str(&all), (unsigned)want + 1))
			want++;
		wrong += found_in(str_sub(buf_str(&all), 0, i)) != want;
		lost += is_lost(buf_str(&all), str_sub(buf_str(&all), 0, i));
	}
	CHECK("where its end is missing it ends with the last whole record",
	    wrong == 0);
	CHECK("that it was longer once is told to who knows", lost == i);
	buf_free(&all);
}

/* What a power cut leaves of the last append: its size, and of its bytes
 * any, the others being zeros, or some of before. */
static void
check_torn(void)
{
	struct buf all, torn = BUF_MAX(1 << 20);
	unsigned i, wrong = 0;
	size_t last, k;

	make(SOME);
	all = content();
	last = start_of(buf_str(&all), SOME - 1);
	for (i = 0; i < 2 * (all.n - last); i++) {
		buf_clear(&torn);
		buf_add(&torn, buf_str(&all));
		for (k = last; k < all.n; k++)
			if (i < all.n - last ? k >= last + i : chance(2))
				torn.p[k] = (char)(chance(2) ? 0 :
				    all.p[k - 8]);
		if (memcmp(torn.p, all.p, all.n) != 0)
			wrong += found_in(buf_str(&torn)) != SOME - 1;
	}
	CHECK("a torn append reads as before it", wrong == 0);
	buf_clear(&torn);
	buf_add(&torn, buf_str(&all));
	for (k = 0; k < 100; k++)
		buf_addc(&torn, '\0');
	CHECK("zeros behind the end are the end",
	    found_in(buf_str(&torn)) == SOME);
	buf_free(&all);
	buf_free(&torn);
}

/* ---- forgery ---- */

static void
fix_frame(struct buf *b, size_t at)
{
	uint64_t place[3] = { 0, at, 0 }, check;
	struct hash_key key;
	struct hash h;
	uint32_t n = (uint32_t)(b->n - at - FRAME);

	memcpy(b->p + at, &n, sizeof(n));
	memcpy(&key, b->p + AT_KEY, sizeof(key));
	memcpy(&place[0], b->p + AT_GENERATION, 8);
	place[2] = n;
	hash_init(&h, &key);
	hash_add(&h, (struct str){ (const char *)place, sizeof(place) });
	hash_add(&h, str_from(buf_str(b), at + FRAME));
	check = hash_end(&h);
	memcpy(b->p + at + AT_CHECK, &check, sizeof(check));
}

static bool
words_hold(const struct keywords *k, const struct keywords *others)
{
	unsigned i, j;

	if (k->n > KEYWORDS_MAX)
		return false;
	for (i = 0; i < k->n; i++) {
		if (k->len[i] > KEYWORD_MAX_BYTES ||
		    !keyword_valid(keyword_name(k, i)))
			return false;
		for (j = 0; j < k->n; j++)
			if (j != i && str_ieq(keyword_name(k, i),
			    keyword_name(k, j)))
				return false;
		for (j = 0; j < others->n; j++)
			if (str_ieq(keyword_name(k, i),
			    keyword_name(others, j)))
				return false;
	}
	return true;
}

/* Said here once more, in other words. */
static bool
holds(const struct change *c)
{
	bool flags = c->set != 0 || c->clear != 0 || c->clear_words ||
	    c->add.n > 0 || c->remove.n > 0;
	uint32_t i;

	if (c->set & 0xc0 || c->clear & 0xc0 || c->set & c->clear ||
	    c->modseq >> 63 || !words_hold(&c->add, &c->remove) ||
	    !words_hold(&c->remove, &c->add) || c->n > CHANGE_RUNS_MAX)
		return false;
	for (i = 0; i < c->n; i++)
		if (c->runs[i].first == 0 ||
		    c->runs[i].last < c->runs[i].first ||
		    (i > 0 && c->runs[i].first <= c->runs[i - 1].last))
			return false;
	switch ((int)c->kind) {
	case CHANGE_FLAGS:
		return c->n > 0;
	case CHANGE_SEEN:
		return c->n > 0 && !flags;
	default:
		return false;
	}
}

/* A number that somebody may have thought of. */
static uint64_t
some_number(uint64_t was)
{
	static const uint64_t odd[] = { 0, 1, 2, INT32_MAX, UINT32_MAX,
	    INT64_MAX, UINT64_MAX, (uint64_t)1 << 63, 64, 255,
	    CHANGE_RUNS_MAX, CHANGE_RUNS_MAX + 1, KEYWORDS_MAX + 1, 51 };

	return chance(2) ? odd[chance(14)] : was + chance(9) - 4;
}

/* Any number of the record at `at`, of any width; or its size is another. */
static void
forge(struct buf *b, size_t at)
{
	size_t width = (size_t)1 << chance(4);
	uint64_t n = 0;

	at += FRAME;
	if (chance(8) == 0) {
		b->n -= chance(2) ? chance((uint32_t)(b->n - at)) : 8;
		buf_addc(b, '\0');
		return;
	}
	at += chance(2) ? chance(BODY) : chance((uint32_t)(b->n - at));
	at = at + width > b->n ? b->n - width : at;
	memcpy(&n, b->p + at, width);
	n = some_number(n);
	memcpy(b->p + at, &n, width);
}

static void
check_forged(void)
{
	struct buf all, b = BUF_MAX(1 << 20);
	unsigned i, k, could = 0, bad = 0;
	struct change got;
	struct changes *c;
	size_t at;

	make(SOME);
	all = content();
	for (i = 0; i < FORGERIES; i++) {
		buf_clear(&b);
		at = start_of(buf_str(&all), 1 + i % SOME);
		buf_add(&b, str_sub(buf_str(&all), 0, at));
		at = start_of(buf_str(&all), i % SOME);
		for (k = 1 + chance(2); k > 0; k--)
			forge(&b, at);
		fix_frame(&b, at);
		put(path, buf_str(&b));
		c = open_log();
		lock(c);
		for (k = 0; changes_next(c, &got); k++)
			bad += !holds(&got);
		could += k > i % SOME;
		bad += k < i % SOME || k > i % SOME + 1;
		bad += file_size() != (int64_t)(k > i % SOME ? b.n : at);
		changes_close(c);
	}
	printf("# %u forgeries, %u could be, seed %" PRIu64 "\n", i, could,
	    seed);
	CHECK("no forged record comes through that can not be",
	    bad == 0 && could > 0 && could < i);
	buf_free(&all);
	buf_free(&b);
}

/* A record that can be, with one thing that can not: by hand, so that every
 * rule is met. */
static void
check_rules(void)
{
	static const struct {
		const char *what;
		unsigned record, at;
		uint8_t n;
	} rules[] = {
		{ "a modseq of 64 bits", 0, 7, 0x80 },
		{ "runs that are not there", 0, 8, 5 },
		{ "runs that are not told", 0, 8, 3 },
		{ "an unknown kind", 3, 12, 3 },
		{ "kind 0", 3, 12, 0 },
		{ "flags in what has none", 3, 13, 1 },
		{ "flags taken in what has none", 3, 14, 1 },
		{ "words taken in what has none", 3, 15, 1 },
		{ "a flag that no file has", 0, 13, 0x40 },
		{ "a flag that no file has, taken", 0, 14, 0x40 },
		{ "a flag set and taken", 0, 13, FLAG_DELETED },
		{ "a truth of 2", 0, 15, 2 },
		{ "a word that is not there", 0, 16, 1 },
		{ "a word that is not there, removed", 0, 17, 1 },
		{ "UID 0", 0, BODY, 0 },
		{ "a run that ends before it begins", 0, BODY + 16, 20 },
		{ "runs that meet", 0, BODY + 8, 1 },
		{ "runs that fall", 0, BODY, 9 },
		{ "an empty word", 1, BODY, 0 },
		{ "a word of 51 bytes", 1, BODY, 51 },
		{ "a word that is none", 1, BODY + 1, '(' },
		{ "a word with more behind it", 1, BODY + 30, 'x' },
		{ "a word not of the whole length", 1, BODY, 3 },
		{ "something where nothing is", 0, 18, 1 },
	};
	struct buf all, b = BUF_MAX(1 << 20);
	size_t i, at;

	make(SOME);
	all = content();
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		buf_clear(&b);
		at = start_of(buf_str(&all), rules[i].record + 1);
		buf_add(&b, str_sub(buf_str(&all), 0, at));
		at = start_of(buf_str(&all), rules[i].record);
		b.p[at + FRAME + rules[i].at] = (char)rules[i].n;
		fix_frame(&b, at);
		put(path, buf_str(&b));
		CHECK(rules[i].what, found_some() == (int)rules[i].record);
	}
	buf_clear(&b);
	at = start_of(buf_str(&all), 2);
	buf_add(&b, str_sub(buf_str(&all), 0, at));
	at = start_of(buf_str(&all), 1);
	memcpy(b.p + at + FRAME + BODY + NAME, b.p + at + FRAME + BODY,
	    NAME);
	b.p[at + FRAME + BODY + NAME + 1] = 'j';
	fix_frame(&b, at);
	put(path, buf_str(&b));
	CHECK("a word twice, in other letters", found_some() == 1);
	memcpy(b.p + at + FRAME + BODY + NAME, all.p + at + FRAME + BODY +
	    NAME, NAME);
	memcpy(b.p + at + FRAME + BODY + 2 * NAME, b.p + at + FRAME + BODY,
	    NAME);
	fix_frame(&b, at);
	put(path, buf_str(&b));
	CHECK("a word added and removed", found_some() == 1);
	buf_clear(&b);
	buf_add(&b, str_sub(buf_str(&all), 0, at));
	at = HEAD;
	b.p[at + 4] = 1;
	put(path, buf_str(&b));
	CHECK("a frame with something where nothing is", found_some() == 0);
	buf_free(&all);
	buf_free(&b);
}

/* More words than there can be, and room for them in the record. */
static void
check_words(void)
{
	struct buf b = BUF_MAX(1 << 20);
	char name[NAME] = { 2 };
	const unsigned n[] = { KEYWORDS_MAX, KEYWORDS_MAX + 1, 255 };
	unsigned i, k, which, bad = 0;
	struct buf all;
	size_t at;

	make(2);
	all = content();
	at = start_of(buf_str(&all), 1);
	for (i = 0; i < 6; i++) {
		which = i % 2;
		buf_clear(&b);
		buf_add(&b, str_sub(buf_str(&all), 0, at + FRAME + BODY));
		b.p[at + FRAME + 16] = 0;
		b.p[at + FRAME + 17] = 0;
		b.p[at + FRAME + 16 + which] = (char)n[i / 2];
		for (k = 0; k < n[i / 2]; k++) {
			name[1] = (char)('A' + k % 24);
			name[2] = (char)('0' + k / 24);
			buf_add(&b, (struct str){ name, NAME });
		}
		buf_add(&b, str_from(buf_str(&all), all.n - 8));
		fix_frame(&b, at);
		put(path, buf_str(&b));
		bad += found() != (i < 2 ? 2 : 1);
	}
	CHECK("30 words are read, and no more", bad == 0);
	buf_free(&all);
	buf_free(&b);
}

/* ---- another file at its name ---- */

static void
check_unlinked(void)
{
	struct change change = some(0);
	struct changes *c;
	struct buf copy;

	make(2);
	c = open_log();
	read_rest(c);
	copy = content();
	gone(path);
	CHECK("removed, it is news", changes_news(c));
	CHECK("it is told as lost, and there is another",
	    lock(c) == CHANGES_LOST && rest(c) == 0 &&
	    changes_add(c, &change, true, NULL) == E_OK);
	changes_unlock(c);
	CHECK("once", lock(c) == CHANGES_GOES_ON);
	changes_unlock(c);
	CHECK("what was added is in that one", found_some() == 1);
	put(other_path, buf_str(&copy));
	if (rename(other_path, path) != 0)
		exit(99);
	CHECK("replaced, it is news", changes_news(c));
	CHECK("it is told as lost, and a copy is believed nothing",
	    lock(c) == CHANGES_LOST && rest(c) == 0);
	changes_unlock(c);
	put(other_path, buf_str(&copy));
	if (rename(other_path, path) != 0)
		exit(99);
	CHECK("its own, too",
	    lock(c) == CHANGES_LOST && rest(c) == 0);
	changes_unlock(c);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	CHECK("and so with its directory", lock(c) == CHANGES_LOST &&
	    changes_add(c, &change, true, NULL) == E_OK &&
	    file_size() > HEAD);
	changes_close(c);
	changes_drop(dir, DEV, INO);
	CHECK("it can be dropped", file_size() == -1);
	changes_drop(dir, DEV, INO);
	buf_free(&copy);
}

/* Things that are not ours alone stand at its name. */
static void
put_thing(char what)
{
	struct change change = some(0);

	if (what != 'd' && what != 'f')
		add_new(&change);
	if ((what == 'd' && mkdir(path, 0700) != 0) ||
	    (what == 'f' && mkfifo(path, 0600) != 0) ||
	    (what == 'l' && link(path, other_path) != 0) ||
	    (what == 's' && (rename(path, other_path) != 0 ||
	    symlink(other_path, path) != 0)) ||
	    (what == 'm' && chmod(path, 0660) != 0) ||
	    (what == 'o' && chown(path, 65534, 65534) != 0))
		exit(99);
}

static void
check_things(void)
{
	static const struct {
		char what;
		const char *refused, *told;
	} things[] = {
		{ 'd', "a directory is no log", "nor while it is open" },
		{ 'f', "a FIFO is no log", "nor while it is open" },
		{ 'l', "a log with a second name is none",
		    "nor while it is open" },
		{ 's', "a link to a log is none", "nor while it is open" },
		{ 'm', "a log that others may write to is none",
		    "nor while it is open" },
		{ 'o', "another user's log is none",
		    "nor while it is open" },
	};
	enum changes_fate fate;
	struct why why = { "" };
	struct changes *c;
	size_t i;

	for (i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
		if (things[i].what == 'o' && getuid() != 0)
			continue;
		gone(path);
		gone(other_path);
		c = open_log();
		if (things[i].what == 'd' || things[i].what == 'f')
			gone(path);
		put_thing(things[i].what);
		errno = 0;
		CHECK(things[i].refused, changes_open(dir, DEV, INO,
		    VALIDITY, 0, true) == NULL && errno != 0);
		CHECK(things[i].told, changes_lock(c, 0, &fate, &why) ==
		    E_IO && why.text[0] != '\0');
		gone(path);
		gone(other_path);
		CHECK("when it is away there is another", lock(c) ==
		    CHANGES_LOST && rest(c) == 0 && file_size() == HEAD);
		changes_close(c);
	}
}

static void
check_open(void)
{
	char deep[PATH_MAX + 100];
	struct changes *c;
	struct stat st;

	gone(path);
	CHECK("only who asks for it gets a new one", changes_open(dir, DEV,
	    INO, VALIDITY, 0, false) == NULL && errno == ENOENT &&
	    file_size() == -1);
	if (rmdir(dir) != 0)
		exit(99);
	CHECK("nor is its directory made", changes_open(dir, DEV, INO,
	    VALIDITY, 0, false) == NULL && stat(dir, &st) != 0);
	make(SOME);
	CHECK("both are for the user alone", stat(dir, &st) == 0 &&
	    (st.st_mode & 0777) == 0700 && stat(path, &st) == 0 &&
	    (st.st_mode & 0777) == 0600);
	c = changes_open(dir, DEV, INO, VALIDITY, 0, false);
	CHECK("one that is there is opened, and said where it is",
	    c != NULL && read_rest(c) == SOME &&
	    str_eq(str_c(changes_path(c)), str_c(path)));
	changes_close(c);
	c = changes_open(dir, DEV, INO + 1, VALIDITY, 0, true);
	CHECK("another file's is another", c != NULL && read_rest(c) == 0 &&
	    found_some() == SOME);
	changes_close(c);
	if (rename(path, strcat(strcpy(deep, path), "1")) != 0)
		exit(99);
	changes_drop(dir, DEV, INO + 1);
	CHECK("and does not count at its name", rename(deep, path) == 0 &&
	    found_some() == SOME);
	c = changes_open(dir, DEV, INO, VALIDITY + 1, 0, true);
	CHECK("of another UIDVALIDITY it is begun anew", c != NULL &&
	    read_rest(c) == 0 && file_size() == HEAD);
	changes_close(c);
	chmod(dir, 0770);
	CHECK("where others may write there is none", changes_open(dir, DEV,
	    INO, VALIDITY, 0, true) == NULL && errno == EPERM);
	chmod(dir, 0700);
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	CHECK("nor at the end of too long a path", changes_open(deep, DEV,
	    INO, VALIDITY, 0, true) == NULL && errno == ENAMETOOLONG);
}

/* A log of another mailbox file under this one's name. */
static void
check_strange(void)
{
	struct changes *c = changes_open(dir, DEV, INO + 1, VALIDITY, 0, true);
	struct change change = some(0);

	if (c == NULL || add(c, &change, false) != E_OK ||
	    rename(changes_path(c), path) != 0)
		exit(99);
	changes_close(c);
	CHECK("the log of another mailbox file is damaged", found() == 0);
	make(1);
	if (truncate(path, CHANGES_MAX + 1) != 0)
		exit(99);
	CHECK("one that is too big, too", found() == 0 &&
	    file_size() == HEAD);
	put(path, STR(""));
	CHECK("and an empty one", found() == 0 && file_size() == HEAD);
}

/* ---- a disk that fails ---- */

/* Adds one record to make(2) while the world is as it was made; then all is
 * well again. True when nothing was added, which is said. */
static bool
adds_nothing(enum err want, bool whole)
{
	struct changes *c = open_log(), *other = open_log();
	struct change change = some(2);
	int64_t before = file_size(), disk = world.disk;
	bool good, sync = world.sync_errno != 0 || world.dir_errno != 0;

	world.disk = -1;
	good = found_some() == 2;
	read_rest(c);
	read_rest(other);
	world.disk = disk;
	lock(c);
	good = changes_add(c, &change, sync, NULL) == want && good;
	good = good && (!whole || file_size() == before);
	world.disk = -1;
	world.sync_errno = world.dir_errno = world.cut_errno = 0;
	good = good && changes_size(c) == before - HEAD;
	changes_unlock(c);
	good = good && (!whole || !changes_news(other)) &&
	    read_rest(other) == 0 && found_some() == 2;
	good = good && add(c, &change, false) == E_OK && found_some() == 3;
	changes_close(c);
	changes_close(other);
	return good;
}

static void
check_full(void)
{
	unsigned good = 0;
	int64_t size;
	int i;

	for (i = 0; i < FRAME + BODY; i++) {
		make(2);
		world.disk = file_size() + i;
		good += adds_nothing(E_FULL, true);
	}
	CHECK("a disk that fills up within a record leaves none of it",
	    good == FRAME + BODY);
	for (good = 0, i = 0; i < FRAME + BODY; i++) {
		make(2);
		size = file_size();
		world.disk = size + i;
		world.cut_errno = EIO;
		good += adds_nothing(E_FULL, false);
	}
	CHECK("nor if even that can not be cut off", good == FRAME + BODY);
	make(2);
	world.sync_errno = EIO;
	CHECK("what is not on the disk is not added",
	    adds_nothing(E_IO, true));
	make(2);
	world.sync_errno = EIO;
	world.cut_errno = EIO;
	CHECK("nor if it can not be cut off", adds_nothing(E_IO, false));
	make(2);
	world.sync_errno = EDQUOT;
	CHECK("a quota may say so late", adds_nothing(E_FULL, true));
	make(2);
	world.dir_errno = EIO;
	CHECK("what is in a file without a name is not added",
	    adds_nothing(E_IO, true));
}

/* The same by the system's own limit. */
static void
check_limit(void)
{
	struct rlimit was, now;
	struct changes *c;
	struct change change = some(0);

	make(2);
	c = open_log();
	read_rest(c);
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &was) != 0)
		exit(99);
	now = was;
	now.rlim_cur = (rlim_t)file_size() + 20;
	if (setrlimit(RLIMIT_FSIZE, &now) != 0)
		exit(99);
	CHECK("so it is at the limit for the size of files",
	    add(c, &change, false) == E_FULL &&
	    file_size() + 20 == (int64_t)now.rlim_cur);
	CHECK("where it can be begun anew", reset(c, true) == E_OK);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK("and goes on", add(c, &change, false) == E_OK &&
	    found() == 1);
	changes_close(c);
}

static void
check_reset_fails(void)
{
	struct change change = some(0);
	struct changes *c, *other;

	make(2);
	c = open_log();
	other = open_log();
	world.disk = HEAD;
	CHECK("a full disk has room to begin it anew", read_rest(c) == 2 &&
	    reset(c, true) == E_OK && file_size() == HEAD);
	world.disk = -1;
	changes_close(c);
	make(2);
	c = open_log();
	read_rest(c);
	world.disk = 0;
	CHECK("where that fails it is said, and all is as it was",
	    reset(c, false) == E_FULL && found_some() == 2);
	world.disk = -1;
	world.cut_errno = EIO;
	CHECK("what is not cut off counts no more", reset(c, false) == E_IO &&
	    found() == 0);
	lock(c);
	CHECK("nor can anything come before it", rest(c) == 0 &&
	    changes_reset(c, false, NULL) == E_IO &&
	    changes_add(c, &change, false, NULL) == E_IO);
	changes_unlock(c);
	world.cut_errno = 0;
	CHECK("and that it failed does no harm", add(c, &change, false) ==
	    E_OK && found_some() == 1);
	world.sync_errno = EIO;
	CHECK("a sync that fails is said", reset(c, true) == E_IO);
	world.sync_errno = 0;
	changes_close(other);
	changes_close(c);
}

static void
check_new_fails(void)
{
	struct changes *c;
	enum changes_fate fate;

	gone(path);
	world.disk = 20;
	CHECK("where there is no room for a new one there is none",
	    changes_open(dir, DEV, INO, VALIDITY, 0, true) == NULL &&
	    errno == ENOSPC);
	world.disk = -1;
	CHECK("nothing of it stays", file_size() <= 0 && found() == 0);
	c = open_log();
	gone(path);
	world.disk = 20;
	CHECK("so it is while it is open",
	    changes_lock(c, 0, &fate, NULL) == E_FULL);
	world.disk = -1;
	CHECK("and nobody is kept out by who has none", found() == 0);
	CHECK("later there is, and it is told", lock(c) == CHANGES_LOST);
	changes_unlock(c);
	CHECK("once", lock(c) == CHANGES_GOES_ON);
	changes_close(c);
}

static void
check_unread(void)
{
	struct change change = some(2);
	struct changes *c;

	make(2);
	c = open_log();
	world.read_errno = EIO;
	lock(c);
	CHECK("what can not be read is not there", rest(c) == 0);
	CHECK("and is not written over",
	    changes_add(c, &change, false, NULL) == E_IO &&
	    changes_reset(c, false, NULL) == E_IO);
	changes_unlock(c);
	CHECK("it is news still", changes_news(c));
	world.read_errno = 0;
	CHECK("all of it is there when it can be read again",
	    lock(c) == CHANGES_GOES_ON && rest(c) == 2 &&
	    changes_add(c, &change, false, NULL) == E_OK);
	changes_close(c);
	CHECK("and it goes on", found_some() == 3);
}

static void
check_synced(void)
{
	struct change change = some(2);
	struct changes *c;

	make(2);
	world.synced = world.synced_dirs = 0;
	c = open_log();
	CHECK("without need the disk is not waited for", add(c, &change,
	    false) == E_OK && world.synced == 0 && world.synced_dirs == 0);
	CHECK("with the first record that is to last, the name is made to",
	    add(c, &change, true) == E_OK && world.synced == 1 &&
	    world.synced_dirs == 1);
	CHECK("once", add(c, &change, true) == E_OK && world.synced == 2 &&
	    world.synced_dirs == 1);
	make(1);
	world.synced_dirs = 0;
	CHECK("and once for the one that takes its place",
	    add(c, &change, true) == E_OK && world.synced_dirs == 1);
	changes_close(c);
}

/* ---- other processes ---- */

/* A process that holds the lock of the log until it is ended, or `ours` is
 * closed. */
static pid_t
holder(int *ours)
{
	struct changes *c;
	int pair[2];
	pid_t pid;
	char byte = 'y';

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
	    (pid = fork()) < 0)
		exit(99);
	if (pid == 0) {
		close(pair[0]);
		c = open_log();
		lock(c);
		if (write(pair[1], &byte, 1) != 1 ||
		    read(pair[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(pair[1]);
	*ours = pair[0];
	if (read(*ours, &byte, 1) != 1)
		exit(99);
	return pid;
}

static void
check_lock(void)
{
	struct changes *c;
	enum changes_fate fate;
	struct why why = { "" };
	pid_t pid;
	int ours;

	make(1);
	pid = holder(&ours);
	c = open_log();
	CHECK("to open it needs no lock", c != NULL && changes_news(c));
	world.pauses = 0;
	CHECK("another's lock is respected", changes_lock(c, 0, &fate,
	    &why) == E_INUSE && why.text[0] != '\0');
	CHECK("with no time there is one try and no pause",
	    world.pauses == 0);
	world.ns = 0;
	CHECK("else it is waited for, in short pauses, and no longer",
	    changes_lock(c, 1, &fate, NULL) == E_INUSE &&
	    world.ns == 1000000000 && world.pauses >= 50);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK("it goes with its process", changes_lock(c, 0, &fate, NULL) ==
	    E_OK && rest(c) == 1);
	close(ours);
	changes_unlock(c);
	changes_unlock(c);
	changes_close(c);
}

static void
check_inherited(void)
{
	struct stat st, log;
	unsigned found_fds = 0, bad = 0;
	struct changes *c;
	int fd;

	make(1);
	c = open_log();
	if (stat(path, &log) != 0)
		exit(99);
	for (fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && st.st_ino == log.st_ino &&
		    st.st_dev == log.st_dev) {
			found_fds++;
			bad += !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		}
	CHECK("no program that is started has it", found_fds == 1 &&
	    bad == 0);
	changes_close(c);
}

static void
append_run(unsigned who)
{
	struct change_run run = { who + 1, who + 1 };
	struct change change = { .kind = CHANGE_SEEN, .runs = &run, .n = 1 };
	enum changes_fate fate;
	struct changes *c;
	struct change got;

	world.real = true;
	c = open_log();
	for (change.modseq = 1; change.modseq <= EACH; change.modseq++) {
		if (changes_lock(c, 300, &fate, NULL) != E_OK ||
		    fate != CHANGES_GOES_ON)
			_exit(1);
		while (changes_next(c, &got))
			continue;
		if (changes_add(c, &change, false, NULL) != E_OK)
			_exit(1);
		changes_unlock(c);
	}
	_exit(0);
}

static void
check_writers(void)
{
	uint64_t last[WRITERS] = { 0 };
	unsigned i, n = 0, bad = 0;
	struct change got;
	struct changes *c;
	int status;

	gone(path);
	fflush(stdout);
	for (i = 0; i < WRITERS; i++)
		if (fork() == 0)
			append_run(i);
	while (wait(&status) > 0)
		bad += status != 0;
	c = open_log();
	lock(c);
	for (; changes_next(c, &got); n++)
		bad += ++last[(got.runs[0].first - 1) % WRITERS] !=
		    got.modseq;
	CHECK("of many who write at once each record is there, in order",
	    bad == 0 && n == WRITERS * EACH);
	changes_close(c);
}

/* Killed when so many bytes of a record are written. */
static bool
is_killed(int64_t after)
{
	struct change change = some(2);
	struct changes *c;
	int status = 0;
	pid_t pid;

	make(2);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		c = open_log();
		world.killed_there = true;
		world.disk = file_size() + after;
		add(c, &change, true);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void
check_killed(void)
{
	struct change change = some(2);
	struct changes *c;
	unsigned good = 0;
	int i;

	for (i = 0; i < FRAME + BODY; i++) {
		if (!is_killed(i) || found_some() != 2)
			continue;
		c = open_log();
		good += add(c, &change, false) == E_OK &&
		    found_some() == 3;
		changes_close(c);
	}
	CHECK("killed within a record, a process leaves none, and the log "
	    "goes on", good == FRAME + BODY);
}

/* ---- misuse ---- */

static bool
aborts(void (*misuse)(struct changes *))
{
	struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	make(1);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		misuse(open_log());
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	    found_some() == 1;
}

static void
lock_twice(struct changes *c)
{
	lock(c);
	lock(c);
}

static void
read_unlocked(struct changes *c)
{
	rest(c);
}

static void
add_unlocked(struct changes *c)
{
	struct change change = some(2);

	changes_add(c, &change, false, NULL);
}

static void
add_unread(struct changes *c)
{
	lock(c);
	add_unlocked(c);
}

static void
reset_unread(struct changes *c)
{
	lock(c);
	changes_reset(c, false, NULL);
}

static void
add_nonsense(struct changes *c)
{
	struct change change = some(0);

	change.clear |= FLAG_SEEN;
	add(c, &change, false);
}

static void
check_misuse(void)
{
	CHECK("to lock it twice is a bug", aborts(lock_twice));
	CHECK("to read it without its lock is", aborts(read_unlocked));
	CHECK("to add without it is", aborts(add_unlocked));
	CHECK("to add to what was not read is", aborts(add_unread));
	CHECK("to begin anew what was not read is", aborts(reset_unread));
	CHECK("to add what can not be is", aborts(add_nonsense));
}

int
main(void)
{
	seed = (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	if (mkdtemp(base) == NULL)
		return 99;
	snprintf(dir, sizeof(dir), "%s/.imapd", base);
	snprintf(path, sizeof(path), "%s/changes.%x.%x", dir, DEV, INO);
	snprintf(other_path, sizeof(other_path), "%s/other", base);
	check_round();
	check_long();
	check_many();
	check_reset();
	check_generations();
	check_old();
	check_lie();
	check_places();
	check_heads();
	check_own_gone();
	check_mended();
	check_stale();
	check_flips();
	check_cuts();
	check_torn();
	check_forged();
	check_rules();
	check_words();
	check_unlinked();
	check_things();
	check_open();
	check_strange();
	check_full();
	check_limit();
	check_reset_fails();
	check_new_fails();
	check_unread();
	check_synced();
	check_lock();
	check_inherited();
	check_writers();
	check_killed();
	check_misuse();
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return unit_end();
}
