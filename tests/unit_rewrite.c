/*
 * unit_rewrite.c - what a rewrite leaves in the file, byte for byte, against
 * a naive program that builds the whole file in memory; and the journal.
 * With arguments it is the program that crash_rewrite.t kills:
 *
 *	unit_rewrite DIR MBOX OP SYNC < items
 *
 * OP: compact, expand, all; recover; patch; append (all of its input);
 * journal-N (makes a journal with windows of N bytes). An item is "off len
 * head drop stamped eol uid flags keywords base", a patch "at text". Exit
 * status 0, or 10 - the error.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "twin_rewrite.h"
#include "unit.h"

static void
make_names(void)
{
	keyword_add(&names, STR("Important"));
	keyword_add(&names, STR("$Label1"));
}

/* ---- the program to be killed */

static uint32_t
read_items(struct rewrite_item *items, uint32_t room)
{
	struct rewrite_item *it;
	uint32_t n = 0;
	int drop, stamped, base, eol;

	for (n = 0; n < room; n++) {
		it = &items[n];
		memset(it, 0, sizeof(*it));
		if (scanf("%ld %ld %u %d %d %d %u %u %u %d", &it->off,
		    &it->len, &it->head, &drop, &stamped, &eol,
		    &it->stamp.uid, &it->stamp.flags, &it->stamp.keywords,
		    &base) != 10)
			break;
		it->drop = drop;
		it->stamped = stamped;
		it->eol = (uint8_t)eol;
		it->stamp.base = base;
		it->stamp.uidvalidity = 1000000000;
		it->stamp.uidlast = 77;
	}
	return n;
}

static enum err
read_patches(const struct rewrite *r, struct why *why)
{
	struct rewrite_patch p[64];
	char text[64][700];
	size_t n;

	for (n = 0; n < 64; n++) {
		if (scanf("%ld %699s", &p[n].at, text[n]) != 2)
			break;
		p[n].bytes = (struct str){ text[n], strlen(text[n]) };
	}
	return rewrite_patch(r, p, n, why);
}

struct input {
	char bytes[100000];
	size_t at, n;
	size_t fails;		/* at which byte, or SIZE_MAX */
};

static int
next_input(void *ctx, char *to, size_t n)
{
	struct input *in = ctx;

	if (in->at + n > in->fails) {
		errno = EIO;
		return -1;
	}
	memcpy(to, in->bytes + in->at, n);
	in->at += n;
	return 0;
}

static enum err
append_input(const struct rewrite *r, struct why *why)
{
	static struct input in = { .fails = SIZE_MAX };
	struct rewrite_source source = { .fill = next_input, .ctx = &in };

	in.n = fread(in.bytes, 1, sizeof(in.bytes), stdin);
	source.n = (int64_t)in.n;
	return rewrite_append(r, &source, why);
}

/* Journals of this run can not be bigger than this one is: a disk with no
 * room for more. */
static enum err
small_journal(const char *in, const char *windows)
{
	struct journal j;
	struct why why;
	enum err e = journal_open(&j, in, true, &why);

	if (e == E_OK && journal_make(&j, 300, strtoul(windows, NULL, 10)) != 0)
		e = E_IO;
	journal_close(&j);
	return e;
}

static void
limit_size(void)
{
	const char *limit = getenv("LIMIT");
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	if (limit == NULL)
		return;
	r.rlim_cur = r.rlim_max = strtoul(limit, NULL, 10);
	setrlimit(RLIMIT_FSIZE, &r);
}

static int
program(char **argv)
{
	static struct rewrite_item items[2000];
	struct rewrite r = {
		.fd = open(argv[2], O_RDWR), .path = argv[2], .dir = argv[1],
		.sync = argv[4][0] == '1', .names = &names, .items = items,
	};
	const char *op = argv[3];
	struct why why = { "" };
	struct stat st;
	enum err e = E_LIMIT;

	limit_size();
	if (strncmp(op, "journal-", 8) == 0)
		e = small_journal(r.dir, op + 8);
	else if (r.fd < 0 || fstat(r.fd, &st) != 0)
		e = E_NOENT;
	else if (strcmp(op, "recover") == 0)
		e = rewrite_recover(r.dir, r.fd, r.sync, &why);
	else if (strcmp(op, "patch") == 0)
		e = read_patches(&r, &why);
	else if (strcmp(op, "append") == 0) {
		r.size = st.st_size;
		e = append_input(&r, &why);
	} else {
		r.n = read_items(items, 2000);
		r.size = st.st_size;
		if (strcmp(op, "compact") == 0)
			e = rewrite_compact(&r, &why);
		else if (strcmp(op, "expand") == 0)
			e = rewrite_expand(&r, &why);
		else
			e = rewrite_all(&r, &why);
	}
	if (e != E_OK)
		fprintf(stderr, "%s\n", why.text);
	return e == E_OK ? 0 : 10 - e;
}

/* ---- the naive program */

/* What a message's header has at its end. */
static const char *const blocks[] = {
	"",
	"Status: RO\nX-Status: A\n"
	"X-Keywords: Important                        \nX-UID: 7\n",
	"Status: O\nContent-Length: 000000000000000000000000000000000012\n"
	"X-Keywords:                                                       "
	"                                                                  "
	"                                                      \nX-UID: 3\n",
	"X-IMAPbase: 1000000000 0000000077\nStatus: RO\nX-Status: \n"
	"X-Keywords:\nX-UID: 1\n",
};

static unsigned long seed = 1;

static unsigned
chance(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Text with line ends of a kind: 0 LF, 1 CRLF, 2 now so, now so. */
static void
add_text(struct buf *b, const char *text, int kind)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n' && (kind == 1 || (kind == 2 && chance(2))))
			buf_addc(b, '\r');
		buf_addc(b, *text);
	}
}

static void
add_message(struct world *w, const char *block, int kind, bool last)
{
	struct rewrite_item *it = &w->items[w->n++];
	unsigned i, lines = chance(12);

	memset(it, 0, sizeof(*it));
	it->off = (int64_t)w->file.n;
	add_text(&w->file, "From a@b Thu Nov 29 22:33:52 2001\n"
	    "From: a@b\nSubject: x\n", kind);
	add_text(&w->file, block, kind);
	add_text(&w->file, "\n", kind);
	it->head = (uint32_t)((int64_t)w->file.n - it->off);
	for (i = 0; i < lines; i++)
		add_text(&w->file, "text of a message, line by line\n", kind);
	if (!last || chance(3) > 0)
		add_text(&w->file, "\n", kind);
	it->len = (int64_t)w->file.n - it->off;
}

static void
stamp_item(struct rewrite_item *it, uint32_t uid)
{
	it->stamped = true;
	it->stamp = (struct stamp){
		.uid = uid, .flags = chance(32), .keywords = chance(4),
		.base = uid == 1, .uidvalidity = 1000000000, .uidlast = 77,
		.names = &names,
	};
}

/* Which block and which stamps: the patterns of growth. */
enum { PATTERNS = 8 };

static void
make_world(struct world *w, uint32_t n, unsigned dropped, int pattern,
    int kind)
{
	static const int block_of[PATTERNS] = { 0, 1, 2, 3, -1, -1, -1, -1 };
	uint32_t i;
	int block;

	w->file.max = SIZE_MAX / 2;
	buf_clear(&w->file);
	w->n = 0;
	for (i = 0; i < n; i++) {
		block = block_of[pattern];
		if (block < 0)
			block = (int)chance(4);
		add_message(w, blocks[block], kind, i == n - 1);
		w->items[i].drop = dropped & 1u << i;
		if (pattern < 5 || chance(2))
			stamp_item(&w->items[i], i + 1);
		if (pattern == 6 && chance(3) == 0)
			w->items[i].eol = (uint8_t)chance(3);
	}
}

/* Nothing dropped, and stamps for those messages that `stamped` says, if
 * their headers do not shrink. */
static void
only_growing(struct world *w, unsigned stamped)
{
	struct rewrite_item *it;
	struct str header;
	uint32_t i;

	for (i = 0; i < w->n; i++) {
		it = &w->items[i];
		it->drop = it->stamped = false;
		if (!(stamped & 1u << i))
			continue;
		stamp_item(it, i + 1);
		header = str_sub(buf_str(&w->file), (size_t)it->off,
		    it->head);
		header = str_from(header, str_index(header, '\n') + 1);
		it->stamped = stamp_header_size(header, &it->stamp) >=
		    header.n;
	}
}

/* One mailbox; how many things were wrong. */
static unsigned
one(struct world *w, bool expand)
{
	struct buf want = BUF_MAX(SIZE_MAX / 2), got = BUF_MAX(SIZE_MAX / 2);
	struct rewrite r;
	struct why why = { "" };
	unsigned bad = 0;
	enum err e;

	naive(w, &want);
	put_file(buf_str(&w->file));
	r = rewrite_of(w, open(path, O_RDWR));
	e = expand ? rewrite_expand(&r, &why) : rewrite_all(&r, &why);
	close(r.fd);
	get_file(&got);
	if (e != E_OK || !equal_but_pad(buf_str(&got), buf_str(&want)) ||
	    !items_true(&r, buf_str(&got))) {
		bad = 1;
		printf("# %d %s\n", e, why.text);
	}
	/* What moves changes the size, and nothing begins at the old end. */
	if (got.n > w->file.n && str_starts(str_from(buf_str(&got),
	    w->file.n), STR("From ")))
		bad++;
	buf_free(&want);
	buf_free(&got);
	return bad;
}

static void
every_subset(const char *what, size_t window, bool expand)
{
	struct world w = { 0 };
	char text[128];
	unsigned n, dropped, bad = 0, tried = 0;
	int pattern, kind;
	struct journal j;

	if (journal_open(&j, dir, false, NULL) != E_OK ||
	    journal_make(&j, 2000, window) != 0)
		exit(99);
	journal_close(&j);
	for (kind = 0; kind < 3; kind++)
		for (pattern = 0; pattern < PATTERNS; pattern++)
			for (n = 1; n < MESSAGES; n++)
				for (dropped = 0; dropped < 1u << n;
				    dropped++, tried++) {
					make_world(&w, n, dropped, pattern,
					    kind);
					if (expand)
						only_growing(&w, dropped);
					bad += one(&w, expand);
				}
	snprintf(text, sizeof(text), "%s (%u mailboxes)", what, tried);
	CHECK(text, bad == 0);
	buf_free(&w.file);
}

/* ---- single things */

static int tail_left;

/* A program without locks, between two windows. */
static void
deliver(void)
{
	static const char mail[] =
	    "From late@x Thu Nov 29 22:33:53 2001\n\nlate\n\n";
	int fd;

	if (tail_left-- <= 0)
		return;
	fd = open(path, O_WRONLY | O_APPEND);
	if (write(fd, mail, sizeof(mail) - 1) < 0)
		exit(99);
	close(fd);
}

static void
carried(void)
{
	struct world w = { 0 };
	struct buf want = BUF_MAX(SIZE_MAX / 2), got = BUF_MAX(SIZE_MAX / 2);
	struct rewrite r;
	unsigned n, bad = 0, came = 0;
	int i;

	for (n = 0; n < 100; n++) {
		make_world(&w, 7, 1 + chance(126), 7, 0);
		for (i = 0; i < 7; i++)
			w.items[i].stamped = false;
		naive(&w, &want);
		put_file(buf_str(&w.file));
		r = rewrite_of(&w, open(path, O_RDWR));
		r.tick = deliver;
		tail_left = 3;
		bad += rewrite_compact(&r, NULL) != E_OK;
		bad += r.size != (int64_t)want.n;
		for (i = tail_left < 0 ? 0 : tail_left; i < 3; i++, came++)
			buf_add(&want, STR("From late@x Thu Nov 29 22:33:53 "
			    "2001\n\nlate\n\n"));
		close(r.fd);
		get_file(&got);
		bad += got.n != want.n || memcmp(got.p, want.p, want.n) != 0;
	}
	CHECK("mail that arrives meanwhile is carried along",
	    bad == 0 && came > 100);
	buf_free(&w.file);
	buf_free(&want);
	buf_free(&got);
}

static void
flip(const char *name, int64_t at)
{
	char file[128], byte;
	int fd;

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	fd = open(file, O_RDWR);
	if (fs_pread(fd, &byte, 1, at) != 0)
		exit(99);
	byte ^= 1;
	if (fs_pwrite(fd, &byte, 1, at) != 0)
		exit(99);
	close(fd);
}

/* A hot journal for a file: a plan that nobody has begun. */
static void
leave_plan(const struct stat *st, int64_t size)
{
	struct journal j;
	static struct plan plan;
	struct entry entry = { .len = size };

	if (journal_open(&j, dir, false, NULL) != E_OK)
		exit(99);
	journal_plan(&j, &plan, true);
	memset(&plan, 0, sizeof(plan));
	plan.kind = PLAN_COMPACT;
	plan.dev = (uint64_t)st->st_dev;
	plan.ino = (uint64_t)st->st_ino;
	plan.size = size;
	memcpy(plan.path, path, sizeof(path));
	journal_start(&j);
	journal_add(&j, &entry);
	if (journal_commit(&j, &plan, true) != 0)
		exit(99);
	journal_close(&j);
}

static void
hot(void)
{
	struct world w = { 0 };
	struct rewrite_pending pending;
	struct rewrite_patch patch = { 1, STR("r") };
	struct rewrite r;
	struct stat st, other;
	struct why why = { "" };
	int fd;

	make_world(&w, 3, 1, 0, 0);
	put_file(buf_str(&w.file));
	fd = open(path, O_RDWR);
	fstat(fd, &st);
	other = st;
	other.st_ino++;
	CHECK("a finished rewrite leaves no plan",
	    !rewrite_hot(dir, st.st_dev, st.st_ino) &&
	    rewrite_pending(dir, &pending) == E_NOENT);

	leave_plan(&st, (int64_t)w.file.n);
	r = rewrite_of(&w, fd);
	CHECK("a plan makes the journal hot for its file alone",
	    rewrite_hot(dir, st.st_dev, st.st_ino) &&
	    !rewrite_hot(dir, other.st_dev, other.st_ino));
	CHECK("what is hot is neither rewritten nor patched",
	    rewrite_compact(&r, &why) == E_IO &&
	    rewrite_patch(&r, &patch, 1, &why) == E_IO);
	CHECK("recovery of a plan not begun drops it",
	    rewrite_recover(dir, fd, false, &why) == E_OK &&
	    !rewrite_hot(dir, st.st_dev, st.st_ino));

	leave_plan(&st, (int64_t)w.file.n);
	/* The head of plan 0 is at 12288, its entries are 8192 behind. */
	flip("journal", 12288 + 8192 + 3);
	CHECK("a plan that is not whole counts for nothing",
	    rewrite_recover(dir, fd, false, &why) == E_OK &&
	    !rewrite_hot(dir, st.st_dev, st.st_ino) &&
	    rewrite_compact(&r, &why) == E_OK);
	leave_plan(&st, (int64_t)w.file.n);
	flip("journal", 12288 + 40);
	CHECK("nor does one with a wrong head",
	    !rewrite_hot(dir, st.st_dev, st.st_ino));

	leave_plan(&other, (int64_t)w.file.n);
	CHECK("a journal hot for another mailbox says which",
	    rewrite_compact(&r, &why) == E_INUSE &&
	    rewrite_pending(dir, &pending) == E_OK &&
	    pending.ino == other.st_ino && strcmp(pending.path, path) == 0);
	CHECK("recovery here does not touch it",
	    rewrite_recover(dir, fd, false, &why) == E_OK &&
	    rewrite_pending(dir, &pending) == E_OK);
	CHECK("it can be put aside",
	    rewrite_abandon(dir, &why) == E_OK &&
	    rewrite_pending(dir, &pending) == E_NOENT &&
	    rewrite_compact(&r, &why) == E_OK);
	close(fd);
	buf_free(&w.file);
}

/* A power cut may leave the head of a new plan without its entries. */
static void
half_plan(void)
{
	struct journal j;
	static struct plan plan;
	struct entry entry = { .len = 111 };
	const struct entry *got;
	struct stat st = { 0 };

	leave_plan(&st, 111);
	if (journal_open(&j, dir, false, NULL) != E_OK)
		exit(99);
	journal_plan(&j, &plan, true);
	entry.len = 222;
	journal_start(&j);
	journal_add(&j, &entry);
	plan.size = 222;
	journal_commit(&j, &plan, true);
	/* Its place is behind that of the first, which takes so much. */
	flip("journal", 12288 + 8192 + 8192 + 3 + (j.entries *
	    (int64_t)sizeof(entry) / 4096 + 1) * 4096);
	journal_close(&j);
	if (journal_open(&j, dir, false, NULL) != E_OK)
		exit(99);
	CHECK("before a plan that is not whole the older one counts",
	    journal_plan(&j, &plan, true) == 1 && plan.size == 111 &&
	    (got = journal_entry(&j, &plan, 0)) != NULL && got->len == 111);
	journal_clear(&j, true);
	journal_close(&j);
}

static void
patches(void)
{
	struct buf got = BUF_MAX(SIZE_MAX / 2);
	char text[3000], want[3000];
	struct rewrite_patch p[40];
	struct rewrite r = { .path = path, .dir = dir, .names = &names };
	unsigned round, i, bad = 0;
	int64_t at;

	for (round = 0; round < 200; round++) {
		memset(text, 'a', sizeof(text));
		memcpy(want, text, sizeof(want));
		put_file((struct str){ text, sizeof(text) });
		for (i = 0, at = chance(99); i < 40 && at < 2900; i++) {
			p[i].at = at;
			p[i].bytes = (struct str){ "RO    X-Status: AF  ",
			    chance(21) };
			memcpy(want + at, p[i].bytes.p, p[i].bytes.n);
			at += 20 + chance(99);
		}
		r.fd = open(path, O_RDWR);
		r.dir = round % 3 ? dir : NULL;
		if (rewrite_patch(&r, p, i, NULL) != E_OK)
			bad++;
		close(r.fd);
		get_file(&got);
		if (got.n != sizeof(want) ||
		    memcmp(got.p, want, sizeof(want)) != 0)
			bad++;
	}
	CHECK("patches change their bytes and no other", bad == 0);
	put_file((struct str){ want, sizeof(want) });
	memset(text, 'p', 700);
	memcpy(text + 700, want + 700, sizeof(want) - 700);
	small_journal(dir, "7000");
	r.fd = open(path, O_RDWR);
	r.dir = dir;
	p[0] = (struct rewrite_patch){ 0, { text, 700 } };
	CHECK("the first bytes, across sectors",
	    rewrite_patch(&r, p, 1, NULL) == E_OK);
	close(r.fd);
	get_file(&got);
	CHECK("and nothing else", got.n == sizeof(text) &&
	    memcmp(got.p, text, sizeof(text)) == 0);
	r.fd = open(path, O_RDWR);
	p[0].at = 2990;
	p[0].bytes = STR("0123456789x");
	CHECK("a patch never makes the file longer",
	    rewrite_patch(&r, p, 1, NULL) == E_GONE);
	close(r.fd);
	buf_free(&got);
}

static void
no_journal(void)
{
	struct world w = { 0 };
	struct rewrite r;
	struct why why = { "" };
	struct stat st;
	char file[128];

	make_world(&w, 3, 2, 7, 0);
	put_file(buf_str(&w.file));
	r = rewrite_of(&w, open(path, O_RDWR));
	r.dir = NULL;
	CHECK("without a journal nothing moves",
	    rewrite_compact(&r, &why) == E_PERM && fstat(r.fd, &st) == 0 &&
	    st.st_size == (int64_t)w.file.n);
	w.items[2].drop = true;
	CHECK("but the last messages can go",
	    rewrite_compact(&r, &why) == E_OK && fstat(r.fd, &st) == 0 &&
	    st.st_size == w.items[0].len && r.n == 1 &&
	    r.size == st.st_size);
	close(r.fd);

	make_world(&w, 3, 1, 7, 0);
	put_file(buf_str(&w.file));
	r = rewrite_of(&w, open(path, O_RDWR));
	snprintf(file, sizeof(file), "%s/journal", dir);
	unlink(file);
	CHECK("a symbolic link is no journal",
	    symlink(path, file) == 0 && rewrite_compact(&r, &why) == E_PERM);
	unlink(file);
	CHECK("nor is a file with a second name",
	    link(path, file) == 0 && rewrite_compact(&r, &why) == E_PERM);
	unlink(file);
	CHECK("nor a directory",
	    mkdir(file, 0700) == 0 && rewrite_compact(&r, &why) == E_PERM);
	rmdir(file);
	CHECK("the journal is made with the room that it will need",
	    rewrite_compact(&r, &why) == E_OK && stat(file, &st) == 0 &&
	    (st.st_mode & 0777) == 0600 && st.st_size > 17000000 &&
	    st.st_size < 20000000 && st.st_blocks >= st.st_size / 512);
	close(r.fd);
	buf_free(&w.file);
}

/*
 * The power goes while a message that does not end its line is to get more
 * header: what was added at the end is there, and none of its bytes. Mail
 * that comes before recovery has a line end of its own in front of it.
 */
static void
torn_tail(void)
{
	static const char text[] = "From a@b.c Sat Jan  3 01:05:34 1998\n"
	    "Subject: x\n\nno end";
	static const char mail[] = "\nFrom u@x.y Thu Nov 29 22:33:40 2001\n"
	    "\nhi\n\n";
	const struct str old = str_c(text), came = str_c(mail);
	struct rewrite_item item = { .len = (int64_t)old.n, .head = 48,
	    .eol = 2, .stamped = true, .stamp = { .uid = 1, .base = true } };
	struct rewrite r = { .path = path, .dir = dir, .sync = true,
	    .names = &names, .items = &item, .n = 1,
	    .size = (int64_t)old.n };
	struct buf got = BUF_MAX(1 << 20);
	struct stat st;
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	struct journal j;
	pid_t child;
	int64_t i;

	put_file(old);
	r.fd = open(path, O_RDWR);
	if (journal_open(&j, dir, false, NULL) != E_OK)
		exit(99);
	journal_close(&j);
	if ((child = fork()) == 0) {
		/* The first window lies farther on in the journal. */
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(rewrite_expand(&r, NULL) == E_OK ? 1 : 2);
	}
	waitpid(child, NULL, 0);
	if (fstat(r.fd, &st) != 0)
		exit(99);
	for (i = (int64_t)old.n; i < st.st_size; i++)
		fs_pwrite(r.fd, "", 1, i);
	fs_pwrite(r.fd, came.p, came.n, st.st_size);
	CHECK("what was added and never reached the disk goes, with its NULs,"
	    " before mail that came since", st.st_size > (int64_t)old.n &&
	    rewrite_recover(dir, r.fd, true, NULL) == E_OK);
	get_file(&got);
	CHECK("and the mail stays", got.n == old.n + came.n &&
	    memcmp(got.p, old.p, old.n) == 0 &&
	    memcmp(got.p + old.n, came.p, came.n) == 0);
	close(r.fd);
	buf_free(&got);
}

static void
changed(void)
{
	struct world w = { 0 };
	struct rewrite r;
	struct why why = { "" };
	struct stat st;

	make_world(&w, 3, 0, 0, 0);
	put_file(buf_str(&w.file));
	tail_left = 1;
	deliver();
	r = rewrite_of(&w, open(path, O_RDWR));
	CHECK("an expansion of a file that has grown does nothing",
	    rewrite_expand(&r, &why) == E_GONE && fstat(r.fd, &st) == 0 &&
	    st.st_size == (int64_t)w.file.n + 44 &&
	    !rewrite_hot(dir, st.st_dev, st.st_ino));
	close(r.fd);
	CHECK("50,000 messages take less than 5 MB",
	    50000 * (sizeof(struct rewrite_item) + sizeof(uint32_t)) <
	    5000000);
	buf_free(&w.file);
}

static struct rewrite
append_to(const char *text, const char *journal_dir)
{
	put_file((struct str){ text, strlen(text) });
	return (struct rewrite){
		.fd = open(path, O_RDWR), .path = path, .dir = journal_dir,
		.size = (int64_t)strlen(text), .names = &names,
	};
}

static bool
holds(const char *text, const struct input *in, size_t n)
{
	struct buf got = BUF_MAX(SIZE_MAX / 2);
	size_t old = strlen(text);
	bool same;

	get_file(&got);
	same = got.n == old + n && memcmp(got.p, text, old) == 0 &&
	    memcmp(got.p + old, in->bytes, n) == 0;
	buf_free(&got);
	return same;
}

/* With and without a journal: all of the input, or nothing. */
static void
appended(const char *what, const char *journal_dir, struct input *in)
{
	struct rewrite_source source = { .fill = next_input, .ctx = in };
	const char *text = "From a@b Thu Nov 29 22:33:52 2001\n\nold\n\n";
	struct rewrite r;
	struct rlimit limit = { 89000, RLIM_INFINITY };
	struct why why = { "" };
	char name[128];
	size_t n;
	unsigned bad = 0;

	for (n = 0; n < sizeof(in->bytes); n = n * 3 + 1) {
		r = append_to(text, journal_dir);
		in->at = 0;
		source.n = (int64_t)n;
		bad += rewrite_append(&r, &source, &why) != E_OK;
		bad += !holds(text, in, n);
		close(r.fd);
	}
	snprintf(name, sizeof(name), "appended %s", what);
	CHECK(name, bad == 0);

	r = append_to(text, journal_dir);
	source.n = 90000;
	for (in->fails = 1; in->fails < 90000; in->fails *= 5) {
		in->at = 0;
		bad += rewrite_append(&r, &source, &why) != E_IO;
		bad += !holds(text, in, 0);
	}
	in->fails = SIZE_MAX;
	snprintf(name, sizeof(name), "nothing when its source fails, %s", what);
	CHECK(name, bad == 0);

	/* The journal, which has its room, is smaller than that. */
	in->at = 0;
	setrlimit(RLIMIT_FSIZE, &limit);
	bad += rewrite_append(&r, &source, &why) != E_FULL;
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	bad += !holds(text, in, 0);
	snprintf(name, sizeof(name), "nothing when there is no room, %s", what);
	CHECK(name, bad == 0);

	r.size++;
	snprintf(name, sizeof(name), "nothing to a file that has changed, %s",
	    what);
	CHECK(name, rewrite_append(&r, &source, &why) == E_GONE &&
	    holds(text, in, 0));
	close(r.fd);
}

static void
appends(void)
{
	static struct input in = { .n = sizeof(in.bytes), .fails = SIZE_MAX };
	size_t i;

	for (i = 0; i < sizeof(in.bytes); i++)
		in.bytes[i] = (char)('a' + chance(26));
	small_journal(dir, "7000");
	appended("by windows", dir, &in);
	appended("without a journal", NULL, &in);
}

/* Quota for no journal, but for mail. */
static void
full(void)
{
	struct world w = { 0 };
	struct rewrite_patch patch = { 500, STR("across two sectors") };
	struct rlimit limit = { 100000, RLIM_INFINITY };
	struct input in = { .bytes = "From x", .fails = SIZE_MAX };
	struct rewrite_source source = { next_input, &in, 6 };
	struct rewrite r;
	struct why why = { "" };
	struct stat st;
	char file[128];

	snprintf(file, sizeof(file), "%s/journal", dir);
	unlink(file);
	setrlimit(RLIMIT_FSIZE, &limit);
	make_world(&w, 7, 2, 0, 0);
	put_file(buf_str(&w.file));
	r = rewrite_of(&w, open(path, O_RDWR));
	CHECK("with no room for a journal nothing moves",
	    rewrite_compact(&r, &why) == E_FULL &&
	    rewrite_expand(&r, &why) == E_FULL && stat(file, &st) == 0 &&
	    st.st_size == 0);
	CHECK("but flags are set, and mail is appended",
	    rewrite_patch(&r, &patch, 1, &why) == E_OK &&
	    rewrite_append(&r, &source, &why) == E_OK &&
	    fstat(r.fd, &st) == 0 && st.st_size == r.size + 6);
	close(r.fd);
	put_file(buf_str(&w.file));
	w.items[1].drop = false;
	w.items[6].drop = true;
	r = rewrite_of(&w, open(path, O_RDWR));
	CHECK("and the last message can go", rewrite_compact(&r, &why) ==
	    E_OK && r.n == 6 && fstat(r.fd, &st) == 0 &&
	    st.st_size == r.size);
	close(r.fd);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	buf_free(&w.file);
}

/* A message bigger than any window, with room for a bigger journal. */
static void
big(void)
{
	struct world w = { 0 };
	struct buf want = BUF_MAX(SIZE_MAX / 2), got = BUF_MAX(SIZE_MAX / 2);
	struct rewrite r;
	struct why why = { "" };
	size_t i;
	char file[128];
	struct stat st;

	make_world(&w, 2, 1, 4, 0);
	for (i = 0; i < 300000; i++)
		buf_add(&w.file, STR("a line of a very big message\n"));
	w.items[1].len = (int64_t)w.file.n - w.items[1].off;
	naive(&w, &want);
	put_file(buf_str(&w.file));
	r = rewrite_of(&w, open(path, O_RDWR));
	CHECK("a message bigger than a window is moved",
	    rewrite_all(&r, &why) == E_OK);
	get_file(&got);
	CHECK("whole", got.n == want.n &&
	    memcmp(got.p, want.p, want.n) == 0);
	snprintf(file, sizeof(file), "%s/journal", dir);
	CHECK("and what the journal took for it is given back",
	    stat(file, &st) == 0 && st.st_size < 20000000);
	close(r.fd);
	buf_free(&w.file);
	buf_free(&want);
	buf_free(&got);
}

int
main(int argc, char **argv)
{
	struct rlimit limit = { 0, 0 };

	make_names();
	if (argc == 5)
		return program(argv);
	signal(SIGXFSZ, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/mbox", dir);
	torn_tail();
	no_journal();
	big();
	every_subset("every subset, one window", 100000, false);
	/* With no room for more a window holds but a few messages. */
	limit.rlim_cur = 400000;
	limit.rlim_max = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	every_subset("every subset, windows of 3,000 bytes", 3000, false);
	every_subset("every subset, messages in pieces", 700, false);
	every_subset("expansions", 700, true);
	carried();
	patches();
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	hot();
	half_plan();
	changed();
	appends();
	full();
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	if (system(path) != 0)
		return 99;
	return unit_end();
}
