/*
 * unit_index.c - the index of a mailbox: it gives what reading the mailbox
 * gives, and where it is damaged, forged, of another mailbox or of another
 * day, the mailbox is read. The truth is what is read without an index.
 */
#include "twin_index.h"

enum { FORGERIES = 1500 };

static uint64_t seed;

static uint32_t
chance(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void
visit(const char *name)
{
	mbox_close(open_box(name));
}

static bool
used_and_right(const char *name)
{
	bool used, good = as_read(name, &used);

	return good && used;
}

static bool
read_instead(const char *name)
{
	bool used, good = as_read(name, &used);

	return good && !used;
}

static void
append(const char *name, const char *s)
{
	int fd = open(in_home(name), O_WRONLY | O_APPEND);

	if (fd < 0 || write(fd, s, strlen(s)) != (ssize_t)strlen(s))
		exit(99);
	close(fd);
}

/* The same bytes with the Status of what was read another one, its
 * times set back. */
static void
change_status(const char *name, const char *line)
{
	const struct timespec back[2] = { { .tv_sec = 1000 },
	    { .tv_sec = 1000 } };
	struct buf b = BUF_MAX(1 << 20);
	char *at;

	if (fs_read(home, name, &b) != 0)
		exit(99);
	buf_addc(&b, '\0');
	at = strstr(b.p, "Status: RO");
	memcpy(at, line, 10);
	put(name, b.p, b.n - 1);
	buf_free(&b);
	utimensat(AT_FDCWD, in_home(name), back, 0);
}

/* One letter of it. */
static void
change_letter(const char *name)
{
	change_status(name, "Status: O ");
}

static void
check_use(void)
{
	struct buf a, b;

	make("box", THREE);
	CHECK("what a session left is used by the next, and right",
	    used_and_right("box"));
	CHECK("that one leaves it again", used_and_right("box"));
	visit("box");
	a = index_bytes("box");
	visit("box");
	b = index_bytes("box");
	CHECK("who changed nothing writes nothing",
	    str_eq(buf_str(&a), buf_str(&b)));
	buf_free(&a);
	buf_free(&b);
	if (rename(in_home("box"), in_home("new")) != 0)
		exit(99);
	/* Its time of change is another then. */
	CHECK("under another name the mailbox is read once",
	    read_instead("new") && used_and_right("new"));
	text("empty", "");
	visit("empty");
	CHECK("an empty mailbox has none", access(in_home("none"), F_OK) !=
	    0 && read_instead("empty"));
}

static void
check_growth(void)
{
	struct mbox *mbox;

	make("box", THREE);
	append("box", ONE("4"));
	mbox = open_box("box");
	CHECK("of a mailbox that grew the rest is read, under new UIDs",
	    mbox->own->indexed.size > 0 && mbox->n == 4 &&
	    mbox->msgs[3].uid == 4 && mbox->msgs[1].uid == 2);
	mbox_close(mbox);
	CHECK("and that is left for the next", used_and_right("box"));
	visit("box");
	append("box", "more of the last message\n\n");
	CHECK("what grew in another way is read whole", read_instead("box"));
}

/* Two sessions: what one marks, and then mail, between two looks of the
 * other, who expunges, and leaves what it knows. */
static void
check_expunge(void)
{
	const struct mbox_change change = { .how = MBOX_ADD,
	    .flags = FLAG_DELETED };
	struct mbox *one = open_box("box"), *other = open_box("box");
	uint32_t uid = 3, removed = 0;
	struct why why;
	bool changed;

	/* The second is \Deleted already. */
	if (mbox_store(other, &uid, 1, &change, &why) != E_OK)
		exit(99);
	append("box", ONE("4"));
	CHECK("what was marked before mail came is expunged",
	    mbox_sync(one, &changed, &why) == E_OK && one->own->grown &&
	    mbox_expunge(one, NULL, 0, false, &removed, &why) == E_OK &&
	    removed == 2 && one->n == 2);
	mbox_close(one);
	mbox_close(other);
}

/*
 * Others may have changed flags in place before mail was added. The new end
 * does not show that; who has time is told.
 */
static void
check_trust(void)
{
	static char mails[16384], filler[5000];
	struct why why;
	struct mbox *mbox;
	bool changed;

	memset(filler, 'x', sizeof(filler) - 1);
	snprintf(mails, sizeof(mails), "%s%s\n\n" ONE("2") "%s%s\n\n",
	    ONE("1"), filler, ONE("3"), filler);
	make("box", mails);
	change_letter("box");
	append("box", ONE("4"));
	mbox = open_box("box");
	CHECK("a flag that was changed before the mailbox grew shows when "
	    "there is time", mbox->own->grown &&
	    mbox_sync(mbox, &changed, &why) == E_OK &&
	    mbox->msgs[1].flags & FLAG_SEEN &&
	    mbox_confirm(mbox, &changed, &why) == E_OK && changed &&
	    !(mbox->msgs[1].flags & FLAG_SEEN) && mbox->n == 4);
	CHECK("once", mbox_confirm(mbox, &changed, &why) == E_OK && !changed &&
	    !mbox->own->grown);
	mbox_close(mbox);
	make("box", mails);
	check_expunge();
	make("box", THREE);
	mbox = open_box("box");
	CHECK("of one that is as it was there is nothing to be confirmed",
	    !mbox->own->grown);
	mbox_close(mbox);
}

/* Mail that is longer than what is looked at of a file's ends, of which
 * another program has changed a flag before more came. */
static void
make_grown(const char *name)
{
	static char mails[16384], filler[5000];

	memset(filler, 'x', sizeof(filler) - 1);
	snprintf(mails, sizeof(mails), "%s%s\n\n" ONE("2") "%s%s\n\n",
	    ONE("1"), filler, ONE("3"), filler);
	make(name, mails);
	change_letter(name);
	append(name, ONE("4"));
}

/* Nor does a STORE go by what the list says then, nor what writes it. */
static void
check_store_on_grown(void)
{
	const struct mbox_change seen = { .how = MBOX_ADD,
	    .flags = FLAG_SEEN }, flag = { .how = MBOX_ADD,
	    .flags = FLAG_FLAGGED };
	uint32_t uid = 2;
	struct mbox *mbox;
	struct why why;
	bool good;

	make_grown("box");
	mbox = open_box("box");
	good = mbox->own->grown && mbox->msgs[1].flags & FLAG_SEEN &&
	    mbox_store(mbox, &uid, 1, &seen, &why) == E_OK;
	mbox_close(mbox);
	fs_drop(own_dir, index_of("box"));
	mbox = open_box("box");
	CHECK("a flag that the list believes to be there is set all the same",
	    good && mbox->msgs[1].flags & FLAG_SEEN);
	mbox_close(mbox);
	make_grown("box");
	mbox = open_box("box");
	good = mbox->own->grown && mbox->msgs[1].flags & FLAG_SEEN &&
	    mbox_store(mbox, &uid, 1, &flag, &why) == E_OK;
	mbox_close(mbox);
	fs_drop(own_dir, index_of("box"));
	mbox = open_box("box");
	CHECK("and one that it believes to be there is not written with "
	    "another", good && mbox->msgs[1].flags & FLAG_FLAGGED &&
	    !(mbox->msgs[1].flags & FLAG_SEEN));
	mbox_close(mbox);
}

static bool
stores(struct mbox *mbox, enum mbox_how how, unsigned flags)
{
	const struct mbox_change change = { .how = how, .flags = flags };
	uint32_t uid = 1;
	struct why why;

	return mbox_store(mbox, &uid, 1, &change, &why) == E_OK;
}

/* Another session writes what both knew, and then the flag goes. */
static void
check_store_overtaken(void)
{
	const struct mbox_change flag = { .how = MBOX_ADD,
	    .flags = FLAG_FLAGGED };
	struct mbox *one, *other;
	uint32_t uid = 1;
	struct why why;
	bool good;

	make("box", THREE);
	one = open_box("box");
	other = open_box("box");
	good = stores(one, MBOX_ADD, FLAG_FLAGGED) &&
	    stores(other, MBOX_REMOVE, FLAG_FLAGGED) &&
	    mbox_flush(other, false, &why) == E_OK;
	/* Past the look at the file that mbox_store has before. */
	CHECK("who is behind another's write does not leave out a STORE",
	    good && one->msgs[0].flags & FLAG_FLAGGED &&
	    mbox_changes_store(one, &uid, 1, &flag, &why) == E_OK);
	mbox_close(one);
	mbox_close(other);
	one = open_box("box");
	CHECK("and its flag is there", one->msgs[0].flags & FLAG_FLAGGED);
	mbox_close(one);
}

/* ---- what the index says of the log ---- */

static const char *
log_of(const char *name)
{
	static char path[PATH_MAX];
	struct stat st;

	if (stat(in_home(name), &st) != 0)
		exit(99);
	snprintf(path, PATH_MAX, ".imapd/changes.%" PRIx64 ".%" PRIx64,
	    (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	return path;
}

/* A log from a backup: what was undone since is not done again. */
static void
check_old_log(void)
{
	struct buf old = BUF_MAX(1 << 20);
	struct mbox *mbox;
	bool good;

	make("box", THREE);
	mbox = open_box("box");
	good = stores(mbox, MBOX_ADD, FLAG_FLAGGED) &&
	    fs_read(home, log_of("box"), &old) == 0;
	mbox_close(mbox);
	mbox = open_box("box");
	good = good && stores(mbox, MBOX_REMOVE, FLAG_FLAGGED);
	mbox_close(mbox);
	put(log_of("box"), old.p, old.n);
	buf_free(&old);
	mbox = open_box("box");
	CHECK("an old log in the place of the one that the index knows counts "
	    "for nothing", good && mbox->own->indexed.size > 0 &&
	    !(mbox->msgs[0].flags & FLAG_FLAGGED));
	mbox_close(mbox);
}

/* A copy of it, older by its log, takes the mailbox's place. */
static void
check_other_log(void)
{
	struct buf b = BUF_MAX(1 << 20);
	struct mbox *one, *other;
	struct why why;
	bool changed, good;

	make("box", THREE);
	if (fs_read(home, "box", &b) != 0)
		exit(99);
	put("copy", b.p, b.n);
	buf_free(&b);
	other = open_box("copy");
	good = stores(other, MBOX_ADD, FLAG_FLAGGED);
	one = open_box("box");
	good = good && stores(one, MBOX_ADD, FLAG_ANSWERED);
	mbox_close(one);
	one = open_box("box");
	if (rename(in_home("copy"), in_home("box")) != 0)
		exit(99);
	CHECK("the log of the file that takes a mailbox's place may be older",
	    good && mbox_sync(one, &changed, &why) == E_OK &&
	    one->msgs[0].flags & FLAG_FLAGGED);
	mbox_close(one);
	mbox_close(other);
}

/* mbox.md: without O nobody has seen it, whatever there was before. */
static void
check_recent(void)
{
	struct mbox *mbox;

	make("box", THREE);
	change_status("box", "Status: R ");
	mbox = open_box("box");
	CHECK("\\Recent is by the file, not by the index",
	    mbox->own->indexed.size == 0 && mbox->n == 3 &&
	    mbox->msgs[1].flags & FLAG_RECENT &&
	    !(mbox->msgs[0].flags & FLAG_RECENT));
	mbox_close(mbox);
}

/* RFC 7162 3.1.1: the mod-sequence of a message rises with each change of it,
 * for all sessions alike, and outlives them. */
static void
check_modseq(void)
{
	const struct mbox_change flag = { .how = MBOX_ADD,
	    .flags = FLAG_FLAGGED };
	struct mbox *one, *other;
	uint64_t first, second;
	uint32_t uid = 1;
	struct why why;
	bool changed;

	make("box", THREE);
	one = open_box("box");
	first = one->msgs[0].modseq;
	second = one->msgs[1].modseq;
	CHECK("each message has a modseq, what was changed a larger one",
	    first > 0 && one->msgs[2].modseq > 0 && second > first);
	other = open_box("box");
	CHECK("in every session the same", other->msgs[0].modseq == first &&
	    other->msgs[1].modseq == second);
	CHECK("a STORE raises it, for the others too",
	    mbox_store(one, &uid, 1, &flag, &why) == E_OK &&
	    mbox_sync(other, &changed, &why) == E_OK && changed &&
	    one->msgs[0].modseq > second &&
	    other->msgs[0].modseq == one->msgs[0].modseq &&
	    other->msgs[1].modseq == second);
	first = one->msgs[0].modseq;
	mbox_close(other);
	mbox_close(one);
	append("box", ONE("4"));
	one = open_box("box");
	CHECK("the next session knows it, and new mail has a larger one",
	    one->msgs[0].modseq == first && one->msgs[1].modseq == second &&
	    mbox_sync(one, &changed, &why) == E_OK && one->n == 4 &&
	    one->msgs[3].modseq > first);
	mbox_close(one);
	change_letter("box");
	one = open_box("box");
	CHECK("what another program changed, too",
	    mbox_sync(one, &changed, &why) == E_OK &&
	    one->msgs[1].modseq > first && one->msgs[0].modseq == first);
	mbox_close(one);
}

static void
check_others(void)
{
	struct buf old;

	make("box", THREE);
	change_letter("box");
	CHECK("a change in place shows, though its times are set back",
	    read_instead("box"));
	visit("box");
	text("box", ONE("2") ONE("3"));
	CHECK("a mailbox that shrank is read", read_instead("box"));
	make("box", THREE);
	old = index_bytes("box");
	make("box", ONE("5") ONE("6") ONE("7"));
	put_index("box", buf_str(&old));
	CHECK("an index of another day counts for nothing",
	    read_instead("box"));
	buf_free(&old);
	make("box", THREE);
	make("other", ONE("5") ONE("6") ONE("7"));
	old = index_bytes("box");
	put_index("other", buf_str(&old));
	CHECK("nor does another mailbox's", read_instead("other"));
	buf_free(&old);
	make("box", THREE);
	if (unlink(in_home(".imapd/journal")) != 0)
		exit(99);
	CHECK("without a journal it is as good", used_and_right("box"));
}

/* Each byte in turn another one, and each length. */
/* Another program drops the X-UID of the second message; who would judge by
 * the file alone had to give new UIDs from there on. */
static void
check_stripped(void)
{
	struct buf b = BUF_MAX(1 << 20);
	struct mbox *mbox;
	uint32_t uidvalidity;
	char *at;

	make("box", THREE);
	mbox = open_box("box");
	uidvalidity = mbox->uidvalidity;
	mbox_close(mbox);
	if (fs_read(home, "box", &b) != 0)
		exit(99);
	buf_addc(&b, '\0');
	at = strstr(b.p, "X-UID: 2\n");
	memmove(at, at + 9, strlen(at + 9) + 1);
	put("box", b.p, strlen(b.p));
	buf_free(&b);
	mbox = open_box("box");
	CHECK("who rewrites a mailbox without X-UID takes no UID away",
	    mbox->uidvalidity == uidvalidity && mbox->n == 3 &&
	    mbox->msgs[1].uid == 2 && mbox->msgs[2].uid == 3 &&
	    mbox->uidnext == 4);
	mbox_close(mbox);
	CHECK("and it stands in the file again", used_and_right("box"));
}

/* What was expunged comes back under a new UID, what has come since is gone,
 * and no UID that was given since is given again. */
static void
check_restored(void)
{
	struct buf b = BUF_MAX(1 << 20);
	uint32_t removed, uidvalidity;
	struct mbox *mbox;
	struct why why;

	make("box", THREE);
	if (fs_read(home, "box", &b) != 0)
		exit(99);
	append("box", ONE("4"));
	mbox = open_box("box");
	uidvalidity = mbox->uidvalidity;
	if (mbox_expunge(mbox, NULL, 0, false, &removed, &why) != E_OK ||
	    removed != 1)
		exit(99);
	mbox_close(mbox);
	put("box", b.p, b.n);
	buf_free(&b);
	mbox = open_box("box");
	CHECK("a mailbox from a backup keeps its UIDVALIDITY, and what was "
	    "expunged since gets a new UID",
	    mbox->uidvalidity == uidvalidity && mbox->n == 3 &&
	    mbox->msgs[0].uid == 1 && mbox->msgs[1].uid > 4 &&
	    mbox->msgs[2].uid > mbox->msgs[1].uid);
	mbox_close(mbox);
	CHECK("which stand in the file", used_and_right("box"));
}

static void
check_damage(void)
{
	unsigned bad = 0, used_n = 0;
	struct buf whole;
	bool used;
	size_t i;

	make("box", THREE);
	whole = index_bytes("box");
	for (i = 0; i < whole.n; i++) {
		whole.p[i] ^= (char)(1 << chance(8));
		put_index("box", buf_str(&whole));
		bad += !as_read("box", &used);
		used_n += used;
		/* The mailbox is as it was: no session has changed it. */
		buf_free(&whole);
		whole = index_bytes("box");
	}
	CHECK("a byte of it that is another: the mailbox is read",
	    bad == 0 && used_n == 0);
	for (i = 0; i < whole.n; i++) {
		put_index("box", str_sub(buf_str(&whole), 0, i));
		bad += !as_read("box", &used);
		used_n += used;
	}
	CHECK("so it is where its end is missing", bad == 0 && used_n == 0);
	put_index("box", buf_str(&whole));
	CHECK("and not where nothing is wrong", used_and_right("box"));
	buf_free(&whole);
}

/* A number that somebody may have thought of. */
static uint64_t
some_number(uint64_t was)
{
	static const uint64_t odd[] = { 0, 1, 2, INT32_MAX, UINT32_MAX,
	    INT64_MAX, UINT64_MAX, (uint64_t)1 << 63, 64, 255 };

	return chance(2) ? odd[chance(10)] : was + chance(9) - 4;
}

static void
forge(struct buf *b)
{
	size_t width = (size_t)1 << chance(4);
	size_t at = AT_KEY + 16 + chance((uint32_t)(b->n - AT_KEY - 24)) /
	    width * width;
	uint64_t n = 0;

	memcpy(&n, b->p + at, width);
	n = some_number(n);
	memcpy(b->p + at, &n, width);
}

/* One of whose numbers each may be anything, its check sum being right: it
 * may say what is wrong, but nothing is read or given out beyond bounds. */
static void
check_forged(void)
{
	struct buf whole, b, said = BUF_MAX(1 << 20);
	unsigned i, used = 0;
	struct mbox *mbox;
	uint32_t changes;

	make("box", THREE);
	whole = index_bytes("box");
	for (i = 0; i < FORGERIES; i++) {
		b = (struct buf)BUF_MAX(1 << 20);
		buf_add(&b, buf_str(&whole));
		for (changes = 1 + chance(2); changes > 0; changes--)
			forge(&b);
		fix_check(&b);
		put_index("box", buf_str(&b));
		buf_free(&b);
		mbox = open_box("box");
		if (mbox->own->indexed.size > 0)
			used++;
		show(mbox, &said);
		mbox_close(mbox);
		/* What it was told may have led a session to write. */
		buf_free(&whole);
		make("box", THREE);
		whole = index_bytes("box");
	}
	printf("# %u forgeries, %u could be, seed %" PRIu64 "\n", i, used,
	    seed);
	CHECK("forged numbers lead nowhere", i == FORGERIES);
	fs_drop(own_dir, index_of("box"));
	mbox = open_box("box");
	CHECK("and the mail is all there", mbox->n == 3);
	mbox_close(mbox);
	buf_free(&said);
	buf_free(&whole);
}

int
main(void)
{
	seed = (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	home_make();
	begin(NULL);
	snprintf(own_dir, sizeof(own_dir), "%s/.imapd", f.home);
	writer = (struct mbox_writer){ .folders = &f, .dir = own_dir,
	    .user = "alex", .host = "host.example" };
	check_use();
	check_growth();
	check_trust();
	check_store_on_grown();
	check_store_overtaken();
	check_old_log();
	check_other_log();
	check_recent();
	check_modseq();
	check_others();
	check_stripped();
	check_restored();
	check_damage();
	check_forged();
	home_remove();
	return unit_end();
}
