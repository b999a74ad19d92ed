/*
 * unit_folder_list.c - which names LIST and LSUB show, and what looking for
 * them costs.
 */
#include "home.h"
#include "../lib/mem.h"

static void
show(void *ctx, struct str name, unsigned attributes)
{
	struct buf *out = ctx;

	if (out->n > 0)
		buf_addc(out, ' ');
	buf_add(out, name);
	buf_addc(out, '=');
	if (attributes & FOLDER_NOSELECT)
		buf_addc(out, 'N');
	if (attributes & FOLDER_NOINFERIORS)
		buf_addc(out, 'I');
	if (attributes & FOLDER_HASCHILDREN)
		buf_addc(out, '+');
	if (attributes & FOLDER_HASNOCHILDREN)
		buf_addc(out, '-');
}

typedef enum err lister(const struct folders *, struct pool *, struct str,
    struct str, folder_show *, void *, struct why *);

static struct pool *pool;
static struct buf shown = BUF_MAX(1 << 24);
static enum err listed;

/* All rows in one line, "name=attributes" each. */
static struct str
rows_of(lister *run, const char *reference, const char *pattern)
{
	struct why why = { "" };

	pool_reset(pool);
	buf_clear(&shown);
	world.opened = world.opened_dirs = world.entries = 0;
	listed = run(&f, pool, str_c(reference), str_c(pattern), show, &shown,
	    &why);
	if ((listed == E_OK) != (why.text[0] == '\0'))
		buf_add(&shown, STR("why?"));
	return buf_str(&shown);
}

static struct str
list(const char *reference, const char *pattern)
{
	return rows_of(folder_list, reference, pattern);
}

static void
make_tree(void)
{
	begin(NULL);
	mail("zebra");
	text("empty", "");
	text("notes.txt", "Dear diary\n");
	mail(".hidden");
	mail("old.lock");
	dir("stuff");
	mail("stuff/junk");
	text("stuff/todo", "buy milk\n");
	dir("stuff/deep");
	mail("stuff/deep/mail");
	mail("stuff-x");
	dir("src");
	dir("src/lib");
	text("src/lib/a.c", "int a;\n");
	dir("bare");
	dir(".config");
	mail(".config/mail");
	mkfifo(in_home("fifo"), 0666);
}

static void
test_list(void)
{
	make_tree();
	world.opened_special = false;
	CHECK_STR("* shows mailboxes and the directories that hold some",
	    list("", "*"), STR("INBOX=- empty=I stuff=N+ stuff-x=I "
	    "stuff/deep=N+ stuff/deep/mail=I stuff/junk=I zebra=I"));
	CHECK("only plain files are opened", !world.opened_special);
	CHECK_STR("% shows one level", list("", "%"),
	    STR("INBOX=- empty=I stuff=N+ stuff-x=I zebra=I"));
	CHECK_STR("so it does below a directory", list("", "stuff/%"),
	    STR("stuff/deep=N+ stuff/junk=I"));
	CHECK_STR("the reference is put before the pattern",
	    list("stuff/", "%"), STR("stuff/deep=N+ stuff/junk=I"));
	CHECK_STR("whatever it ends in", list("stuff", "*k"),
	    STR("stuff/junk=I"));
	CHECK_STR("a pattern may be a plain name", list("", "zebra"),
	    STR("zebra=I"));
	CHECK_STR("a directory may be named", list("", "stuff"),
	    STR("stuff=N+"));
	CHECK_STR("a directory without mailboxes is not shown",
	    list("", "src*"), STR(""));
	CHECK_STR("a file that is no mailbox is not", list("", "notes.txt"),
	    STR(""));
	CHECK_STR("hidden files are not, even when named",
	    list("", ".hidden"), STR(""));
	CHECK_STR("nor what is in hidden directories",
	    list(".config/", "*"), STR(""));
	CHECK_STR("wildcards stand anywhere", list("", "s*/%l"),
	    STR("stuff/deep/mail=I"));
	CHECK_STR("names keep their case", list("", "ZEBRA"), STR(""));
}

static void
test_list_breakout(void)
{
	char pattern[PATH_MAX], want[PATH_MAX];

	make_tree();
	CHECK_STR("~/ is kept in what is shown", list("", "~/%"),
	    STR("~/empty=I ~/stuff=N+ ~/stuff-x=I ~/zebra=I"));
	CHECK_STR("also as a reference", list("~/stuff/", "%"),
	    STR("~/stuff/deep=N+ ~/stuff/junk=I"));
	snprintf(pattern, sizeof(pattern), "%s/z*", home);
	snprintf(want, sizeof(want), "%s/zebra=I", home);
	CHECK_STR("so is the home's own path", list("", pattern),
	    str_c(want));
	CHECK_STR("a pattern from the home on overrides the reference",
	    list("stuff/", "~/z%"), STR("~/zebra=I"));
	CHECK_STR("an absolute one too", list("stuff/", pattern),
	    str_c(want));
	CHECK_STR("nothing is above the home", list("", "../*"), STR(""));
	CHECK_STR("nor by a reference", list("../", "*"), STR(""));
	CHECK_STR("nor in the middle", list("stuff/../", "*"), STR(""));
	CHECK_STR("nor from the root on",
	    list("", "/*"), STR(""));
	CHECK_STR("nor in other homes", list("~root/", "*"), STR(""));
	CHECK_STR("nor in other namespaces", list("#mh/", "*"), STR(""));
	CHECK_STR("nor on other hosts", list("", "{host}*"), STR(""));
	CHECK_STR("an unfinished ~ is no name", list("~", "%"), STR(""));
}

static void
test_list_inbox(void)
{
	begin(NULL);
	mail("Inbox");
	mail("a");
	link_to("iNBOX", "a");
	dir("d");
	mail("d/inbox");
	CHECK_STR("INBOX is shown once, its namesakes not", list("", "*"),
	    STR("INBOX=- a=I d=N+ d/inbox=I"));
	CHECK_STR("INBOX is asked for in any case", list("", "inbox"),
	    STR("INBOX=-"));
	CHECK_STR("by a part of it", list("", "IN%"), STR("INBOX=-"));
	CHECK_STR("not below a reference", list("a/", "INBOX"), STR(""));
	begin(NULL);
	dir("INBOX");
	CHECK_STR("an empty directory INBOX changes nothing",
	    list("", "*"), STR("INBOX=-"));
	mail("INBOX/x");
	CHECK_STR("one with mailboxes gives it children", list("", "*"),
	    STR("INBOX=+ INBOX/x=I"));
	CHECK_STR("also when they are not asked for", list("", "INBOX"),
	    STR("INBOX=+"));
	CHECK_STR("they are shown", list("INBOX/", "%"), STR("INBOX/x=I"));
	dir("in");
	mail("in/mbox");
	begin_in(NULL, in_home("in/mbox"));
	CHECK_STR("an INBOX file in the home is not shown a second time",
	    list("", "*"), STR("INBOX=+ INBOX/x=I"));
	link_to("link", "in/mbox");
	CHECK_STR("nor by a link", list("", "l*"), STR(""));
}

static void
test_list_links(void)
{
	char name[] = "xx";
	int i;

	begin(NULL);
	dir("a");
	mail("a/real");
	dir("a/sub");
	link_to("a/sub/up", "..");
	dir("b");
	link_to("b/toa", "../a");
	link_to("a/tob", "../b");
	link_to("a/up", "..");
	link_to("a/self", ".");
	link_to("file", "a/real");
	link_to("out", "/etc");
	link_to("spool", "../spool/other");
	link_to("null", "/dev/null");
	link_to("dangling", "nowhere");
	link_to("round", "round");
	dir(".ssh");
	mail(".ssh/id");
	link_to("key", ".ssh/id");
	CHECK_STR("links in the tree are followed, loops and others not",
	    list("", "*"), STR("INBOX=- a=N+ a/real=I b=N+ b/toa=N+ "
	    "b/toa/real=I file=I"));
	begin(NULL);
	for (i = '0'; i <= '9'; i++) {
		name[1] = (char)i;
		name[0] = 'd';
		dir(name);
		name[0] = 'l';
		link_to(name, "m");
	}
	mail("m");
	mail("d5/x");
	CHECK_STR("links and directories may stand in any order",
	    list("", "*"), STR("INBOX=- d5=N+ d5/x=I l0=I l1=I l2=I l3=I l4=I "
	    "l5=I l6=I l7=I l8=I l9=I m=I"));
}

static void
test_list_depth(void)
{
	char path[3 * LIST_DEPTH_MAX + 20] = "";
	struct str got;
	size_t n = 0;
	int i;

	begin(NULL);
	for (i = 0; i <= LIST_DEPTH_MAX; i++) {
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%sd",
		    i == 0 ? "" : "/");
		dir(path);
		if (i == LIST_DEPTH_MAX - 1) {
			snprintf(path + n, sizeof(path) - n, "/last");
			mail(path);
			path[n] = '\0';
		}
	}
	snprintf(path + n, sizeof(path) - n, "/beyond");
	mail(path);
	got = list("", "*last");
	CHECK("LIST descends as deep as the limit",
	    got.n > 6 && memcmp(got.p + got.n - 6, "last=I", 6) == 0);
	CHECK_STR("and no deeper", list("", "*beyond"), STR(""));
	CHECK("which can be opened by name still", look(path) == E_OK);
}

static void
test_list_cost(void)
{
	enum { MANY = 10000 };
	char name[32];
	size_t rows = 0, i;
	int n;

	begin(NULL);
	dir("outer");
	dir("outer/inner");
	for (n = 0; n < 50; n++) {
		snprintf(name, sizeof(name), "outer/inner/f%d", n);
		mail(name);
	}
	CHECK_STR("a directory is looked into to its depth",
	    list("", "outer"), STR("outer=N+"));
	CHECK("until one mailbox is found", world.opened == 1);
	CHECK("and no further", world.entries < 20);
	CHECK_STR("also where names in it could match", list("", "*r"),
	    STR("outer=N+ outer/inner=N+"));
	CHECK("not one file more is opened", world.opened == 1);
	dir("big");
	mail("first");
	for (n = 0; n < MANY; n++) {
		snprintf(name, sizeof(name), "big/f%d", n);
		text(name, n % 100 == 0 ? "" : "text");
	}
	CHECK_STR("a name among many is found", list("", "big/f4200"),
	    STR("big/f4200=I"));
	CHECK("and only its file was opened", world.opened == 1);
	list("", "f%");
	CHECK("a directory that can not match is not read",
	    world.opened == 1 && world.opened_dirs == 0);
	list("", "big/*");
	for (i = 0; i < shown.n; i++)
		rows += shown.p[i] == '=';
	CHECK("all mailboxes among many are shown", rows == MANY / 100);
	CHECK("each file was opened once", world.opened == MANY);
	list("", "*");
	CHECK("also when the directory itself is shown",
	    world.opened == MANY + 1 + 50);
}

static void
test_list_names(void)
{
	begin(NULL);
	mail("\303\244");
	mail("&AOQ-2");
	mail("R&D");
	mail("\303\2443");
	text("&AOQ-3", "no mail");
	mail("latin\3441");
	mail("two\nlines");
	mail("~tilde");
	mail("{brace");
	mail("#hash");
	dir("d");
	mail("d/#x");
	CHECK_STR("shown names are wire forms that can be asked for",
	    list("", "*"), STR("&AOQ-=I &AOQ-2=I INBOX=- R&-D=I d=N+ "
	    "d/#x=I"));
	CHECK("they lead where they should", look("&AOQ-") == E_OK &&
	    look("R&-D") == E_OK && look("d/#x") == E_OK);
}

static void
test_list_mail_dir(void)
{
	char pattern[PATH_MAX], want[PATH_MAX];

	begin("mail");
	mail("other");
	mail("mail/x");
	dir("mail/d");
	mail("mail/d/y");
	CHECK_STR("names are short below a mail directory", list("", "*"),
	    STR("INBOX=- d=N+ d/y=I x=I"));
	CHECK_STR("~/mail/ is understood", list("", "~/mail/%"),
	    STR("~/mail/d=N+ ~/mail/x=I"));
	CHECK_STR("in the home there is the mail directory only",
	    list("~/", "%"), STR("~/mail=N+"));
	CHECK_STR("and what is in it", list("~/", "*"),
	    STR("~/mail=N+ ~/mail/d=N+ ~/mail/d/y=I ~/mail/x=I"));
	snprintf(pattern, sizeof(pattern), "%s/mail/x*", home);
	snprintf(want, sizeof(want), "%s/mail/x=I", home);
	CHECK_STR("the absolute path is understood", list("", pattern),
	    str_c(want));
	CHECK_STR("mail/ is understood", list("mail/", "*"),
	    STR("mail/d=N+ mail/d/y=I mail/x=I"));
	dir("mail/mail");
	CHECK_STR("unless there is one", list("mail/", "*"), STR(""));
	mail("mail/mail/z");
	CHECK_STR("which then is meant", list("mail/", "*"),
	    STR("mail/z=I"));
	nftw(in_home("mail"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
	CHECK_STR("a missing mail directory leaves INBOX", list("", "*"),
	    STR("INBOX=-"));
	link_to("mail", "..");
	CHECK_STR("one that leads out of the home too", list("", "*"),
	    STR("INBOX=-"));
}

static void
test_list_failure(void)
{
	char longer[NAME_MAX_BYTES + 2];

	make_tree();
	world.readdir_errno = EIO;
	CHECK_STR("a disk error shows nothing at all", list("", "*"),
	    STR(""));
	CHECK("and is told", listed == E_IO);
	world.readdir_errno = 0;
	memset(longer, '*', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK_STR("a pattern beyond any name is refused", list("", longer),
	    STR(""));
	CHECK("as a limit", listed == E_LIMIT);
	list("a", longer + 1);
	CHECK("also together with the reference", listed == E_LIMIT);
	list("", longer + 1);
	CHECK("one that just fits is not", listed == E_OK && shown.n > 0);
	chmod(in_home("stuff"), 0);
	if (geteuid() == 0 && seteuid(65534) == -1)
		exit(99);
	CHECK_STR("a directory that may not be read is hidden",
	    list("", "s*"), STR("stuff-x=I"));
	CHECK("and no error", listed == E_OK);
	if (getuid() == 0 && seteuid(0) == -1)
		exit(99);
	chmod(in_home("stuff"), 0755);
}

/* ---- LSUB ---- */

static struct str
lsub(const char *reference, const char *pattern)
{
	return rows_of(folder_lsub, reference, pattern);
}

static void
test_lsub(void)
{
	begin(NULL);
	CHECK_STR("without a list nothing is subscribed", lsub("", "*"),
	    STR(""));
	CHECK("which is no error", listed == E_OK);
	text(".subscriptions", "dove\nfoo/bar\n");
	CHECK_STR("Dovecot's list is read", lsub("", "*"),
	    STR("dove= foo/bar="));
	text(".subscriptions", "V\t2\n\nfoo\tbar\nEntw&APw-rfe\n"
	    "a\0011b\n\303\244\n");
	CHECK_STR("in its second format too", lsub("", "*"),
	    STR("&AOQ-= Entw&APw-rfe= foo/bar="));
	text(".mailboxlist", "zoo\r\ninbox\nfoo/bar\nfoo/baz\n~/old\n"
	    "../etc\n.ssh\n{host}x\n#mh/x\na\tb\n\nzoo\nlast");
	CHECK_STR("UW's list counts when both are there; bad names do not",
	    lsub("", "*"),
	    STR("INBOX= foo/bar= foo/baz= last= zoo= ~/old="));
	CHECK_STR("a parent is shown for %, once", lsub("", "%"),
	    STR("INBOX= foo=N last= zoo= ~=N"));
	CHECK_STR("not for a plain pattern", lsub("", "foo"), STR(""));
	CHECK_STR("the level asked for is shown", lsub("", "foo/%"),
	    STR("foo/bar= foo/baz="));
	CHECK_STR("the reference counts", lsub("foo/", "%r"),
	    STR("foo/bar="));
	CHECK_STR("names stay as they were subscribed", lsub("~/", "%"),
	    STR("~/old="));
	text(".mailboxlist", "foo/bar/deep\nfoo\n");
	CHECK_STR("a parent that is subscribed is not \\Noselect",
	    lsub("", "%"), STR("foo="));
	CHECK_STR("parents stand on every level", lsub("", "%/%"),
	    STR("foo/bar=N"));
	text(".mailboxlist", "");
	CHECK_STR("an empty list is a list", lsub("", "*"), STR(""));
	begin("mail");
	text("mail/.subscriptions", "x\n");
	CHECK_STR("Dovecot's lies in the mail directory", lsub("", "*"),
	    STR("x="));
}

static void
test_lsub_hostile(void)
{
	enum { TOO_LARGE = 1048576 + 1 };
	char *big = calloc(1, TOO_LARGE);

	begin(NULL);
	text("names", "secret\n");
	link_to(".mailboxlist", "names");
	CHECK_STR("a list that is a link is not read", lsub("", "*"),
	    STR(""));
	CHECK("and is told", listed == E_PERM);
	unlink(in_home(".mailboxlist"));
	mkfifo(in_home(".mailboxlist"), 0666);
	lsub("", "*");
	CHECK("a list that is a FIFO does not hang", listed == E_IO);
	unlink(in_home(".mailboxlist"));
	dir(".mailboxlist");
	lsub("", "*");
	CHECK("a list that is a directory is an error", listed == E_IO);
	rmdir(in_home(".mailboxlist"));
	if (big == NULL)
		exit(99);
	put(".mailboxlist", big, TOO_LARGE);
	lsub("", "*");
	CHECK("a huge list is refused", listed == E_LIMIT);
	put(".mailboxlist", big, TOO_LARGE - 1);
	CHECK_STR("NULs are no names", lsub("", "*"), STR(""));
	memset(big, 'a', TOO_LARGE);
	put(".mailboxlist", big, 1000000);
	CHECK_STR("a line longer than any name is none", lsub("", "*"),
	    STR(""));
	CHECK("nor an error", listed == E_OK);
	free(big);
}

int
main(void)
{
	pool = pool_new();
	home_make();
	test_list();
	test_list_breakout();
	test_list_inbox();
	test_list_links();
	test_list_depth();
	test_list_cost();
	test_list_names();
	test_list_mail_dir();
	test_list_failure();
	test_lsub();
	test_lsub_hostile();
	home_remove();
	buf_free(&shown);
	pool_free(pool);
	return unit_end();
}
