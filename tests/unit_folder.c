/*
 * unit_folder.c - names, paths, LIST and LSUB over a home directory made
 * anew for each group. openat and readdir pass through here, to count what
 * is opened and to fail on demand.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"
#include "../folder_own.h"
#include "../lib/buf.h"
#include "../lib/params.h"

#define MAIL	"From alex@example.org Sat Jan  3 01:05:34 1998\n" \
		"Subject: x\n\ntext\n\n"

/* The made world. */
static struct {
	unsigned opened;	/* files opened by name, without directories */
	unsigned opened_dirs;
	unsigned entries;	/* of directories, read */
	bool opened_special;	/* a FIFO, a socket or a device was */
	int readdir_errno;	/* every directory fails after its first */
} world;

static char base[] = "/tmp/unit_folder.XXXXXX";
static char home[64];
static struct folders f;

int
openat(int at, const char *name, int flags, ...)
{
	struct stat st;

	if ((flags & O_DIRECTORY) != 0) {
		world.opened_dirs++;
	} else {
		world.opened++;
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISREG(st.st_mode))
			world.opened_special = true;
	}
	return (int)syscall(SYS_openat, at, name, flags, 0);
}

struct dirent *
readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (world.readdir_errno != 0) {
		errno = world.readdir_errno;
		return NULL;
	}
	world.entries++;
	return real(dir);
}

/* ---- a home directory ---- */

static const char *
in_home(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", home, name);
	return p;
}

static void
put(const char *name, const char *text, size_t n)
{
	int fd = open(in_home(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd == -1 || write(fd, text, n) != (ssize_t)n)
		exit(99);
	close(fd);
}

static void
mail(const char *name)
{
	put(name, MAIL, sizeof(MAIL) - 1);
}

static void
text(const char *name, const char *s)
{
	put(name, s, strlen(s));
}

static void
dir(const char *name)
{
	if (mkdir(in_home(name), 0755) == -1)
		exit(99);
}

/* A link in the home; `to` below the home unless it is absolute. */
static void
link_to(const char *name, const char *to)
{
	if (symlink(to, in_home(name)) == -1)
		exit(99);
}

static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
begin_in(const char *mail_dir, const char *inbox)
{
	struct why why;

	folder_free(&f);
	if (folder_init(&f, home, mail_dir, inbox, &why) != E_OK)
		exit(99);
}

/* Makes the home anew, empty, with the spool beside it. */
static void
begin(const char *mail_dir)
{
	char inbox[PATH_MAX];

	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(home, 0755) == -1)
		exit(99);
	if (mail_dir != NULL)
		dir(mail_dir);
	snprintf(inbox, sizeof(inbox), "%s/spool/alex", base);
	begin_in(mail_dir, inbox);
}

/* ---- look-up ---- */

static struct folder found;

static enum err
look(const char *name)
{
	struct why why = { "" };
	enum err e = folder_path(&f, str_c(name), &found, &why);

	return (e == E_OK) == (why.text[0] == '\0') ? e : (enum err)1;
}

/* Does the name lead to that path in the home, with that outcome? */
static bool
leads(const char *name, enum err e, const char *to)
{
	return look(name) == e && strcmp(found.path, in_home(to)) == 0 &&
	    !found.inbox;
}

static void
test_refused(void)
{
	static const char *const names[] = {
		"", "..", ".", "../x", "a/..", "a/../b", "a/./b", "./a",
		"~/..", "~/../alex/a", "/etc/passwd", "/", "//", "//a", "a//b",
		"a/", "~", "~/", "~/a/", "~//a", "~other", "~other/a",
		"~root/a", "{host}a", "{", "#mh/a", "#", "#news.x", ".ssh",
		".ssh/id", ".forward", ".procmailrc", "a/.b", "a/.b/c",
		".imapd/x", ".mailboxlist", "a.lock", "a/b.lock", ".lock",
		"a.lock/b", "a\nb", "a\rb", "a\tb", "\001", "a\177b",
		"a\303\244", "\344", "&", "a&b", "&AC8-", "a&AC8-b",
		"&AC4-&AC4-", "&AAA-", "&AAo-", "&Jjo!", "&U,BTFw-&ZeVnLIqe-",
	};
	char longer[NAME_MAX_BYTES + 2];
	struct why why;
	struct str nul = STR("a\0b");
	size_t i;
	bool good = true;

	begin(NULL);
	mail("a");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (look(names[i]) != E_NAME) {
			printf("# <%s>\n", names[i]);
			good = false;
		}
	CHECK("every forbidden name is refused as a name", good);
	CHECK("a NUL in a name is refused",
	    folder_path(&f, nul, &found, &why) == E_NAME);
	snprintf(longer, sizeof(longer), "%s2/a", home);
	CHECK("a path that only begins like the home is refused",
	    look(longer) == E_NAME);
	CHECK("the home itself is no mailbox name",
	    look(home) == E_NAME && look(in_home("")) == E_NAME);
	memset(longer, 'a', sizeof(longer));
	for (i = 200; i < sizeof(longer); i += 200)
		longer[i] = '/';
	CHECK("a name of the greatest length is looked for",
	    folder_path(&f, (struct str){ longer, NAME_MAX_BYTES }, &found,
	    &why) == E_NOENT);
	CHECK("a longer name is refused",
	    folder_path(&f, (struct str){ longer, NAME_MAX_BYTES + 1 },
	    &found, &why) == E_NAME);
	memset(longer, 'a', sizeof(longer));
	CHECK("a component that no file system takes is refused",
	    folder_path(&f, (struct str){ longer, 500 }, &found, &why) ==
	    E_NAME);
}

static void
test_spellings(void)
{
	char way[PATH_MAX], junk[PATH_MAX];

	begin(NULL);
	dir("stuff");
	mail("stuff/junk");
	CHECK("a name is a path below the home",
	    leads("stuff/junk", E_OK, "stuff/junk"));
	CHECK("~/x is x", leads("~/stuff/junk", E_OK, "stuff/junk"));
	CHECK("an absolute path below the home is x",
	    leads(in_home("stuff/junk"), E_OK, "stuff/junk"));
	snprintf(way, sizeof(way), "%s/way", base);
	snprintf(junk, sizeof(junk), "%s/way/stuff/junk", base);
	if (symlink(home, way) == -1)
		exit(99);
	folder_free(&f);
	folder_init(&f, way, NULL, "/nowhere/alex", NULL);
	CHECK("a home given through a symlink is known by that path",
	    leads(junk, E_OK, "stuff/junk"));
	CHECK("and by its own",
	    leads(in_home("stuff/junk"), E_OK, "stuff/junk"));
	unlink(way);
	CHECK("names keep their case",
	    look("stuff/JUNK") == E_NOENT && look("Stuff/junk") == E_NOENT);
	CHECK("spaces, wildcards and quotes may be in names",
	    look("a b*%\"c\\d") == E_NOENT);
	CHECK("~ and # and { may stand inside a name",
	    look("a~#{") == E_NOENT && look("a/~b") == E_NOENT);
}

static void
test_files(void)
{
	char big[3000];

	begin(NULL);
	mail("good");
	text("empty", "");
	text("blank", "\n\r\n\n" MAIL);
	put("nuls", "\0\0\0" MAIL, sizeof(MAIL) + 2);
	text("plain", "Dear From alex,\n");
	text("from", "From here to eternity\n");
	text("newline", "\n");
	text("short", "From");
	memset(big, 'x', sizeof(big));
	memcpy(big, "From ", 5);
	put("long", big, sizeof(big));
	dir("dir");
	CHECK("a file that begins with a From_ line is a mailbox",
	    leads("good", E_OK, "good"));
	CHECK("an empty file is one", leads("empty", E_OK, "empty"));
	CHECK("blank lines may come first", look("blank") == E_OK);
	CHECK("NULs may come first", look("nuls") == E_OK);
	CHECK("other text is none", leads("plain", E_NOTMBOX, "plain"));
	CHECK("five bytes of From do not make one",
	    look("from") == E_NOTMBOX && look("short") == E_NOTMBOX);
	CHECK("a line end alone does not", look("newline") == E_NOTMBOX);
	CHECK("a first line without end is none", look("long") == E_NOTMBOX);
	CHECK("a directory is none", leads("dir", E_NOTMBOX, "dir"));
	CHECK("a missing one is told, with its place",
	    leads("dir/new", E_NOENT, "dir/new"));
	CHECK("so is one in a missing directory",
	    leads("no/dir/new", E_NOENT, "no/dir/new"));
	CHECK("nothing lies below a file",
	    leads("good/x", E_NOENT, "good/x"));
}

static void
test_special(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	begin(NULL);
	mkfifo(in_home("fifo"), 0666);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", home);
	bind(s, (struct sockaddr *)&un, sizeof(un));
	close(s);
	link_to("zero", "/dev/zero");
	link_to("fifolink", "fifo");
	world.opened_special = false;
	CHECK("a FIFO is no mailbox", look("fifo") == E_NOTMBOX);
	CHECK("a socket is no mailbox", look("socket") == E_NOTMBOX);
	CHECK("a link to a FIFO is no mailbox",
	    look("fifolink") == E_NOTMBOX);
	CHECK("a link to a device leads out", look("zero") == E_PERM);
	CHECK("none of them was opened", !world.opened_special);
	mail("secret");
	chmod(in_home("secret"), 0);
	if (geteuid() == 0 && seteuid(65534) == -1)
		exit(99);
	CHECK("a file that may not be read is denied",
	    look("secret") == E_PERM);
	if (getuid() == 0 && seteuid(0) == -1)
		exit(99);
	mail("others");
	if (geteuid() == 0 && seteuid(65534) == -1)
		exit(99);
	CHECK("another's file that may be read is a mailbox",
	    look("others") == E_OK);
	if (getuid() == 0 && seteuid(0) == -1)
		exit(99);
}

static void
test_links(void)
{
	begin(NULL);
	dir("a");
	mail("a/real");
	link_to("inside", "a/real");
	link_to("dirlink", "a");
	link_to("absolute", in_home("a/real"));
	link_to("out", "../elsewhere/other");
	link_to("outdir", "../elsewhere");
	link_to("up", "..");
	link_to("root", "/");
	link_to("self", ".");
	link_to("loop", "loop");
	link_to("dangling", "a/none");
	dir(".ssh");
	mail(".ssh/id");
	mail("a.lock");
	link_to("hidden", ".ssh/id");
	link_to("hiddendir", ".ssh");
	link_to("lock", "a.lock");
	link_to("twice", "dirlink/real");
	CHECK("a link within the tree is followed",
	    leads("inside", E_OK, "a/real"));
	CHECK("an absolute one too", leads("absolute", E_OK, "a/real"));
	CHECK("and one to a directory",
	    leads("dirlink/real", E_OK, "a/real"));
	CHECK("and one through another", leads("twice", E_OK, "a/real"));
	CHECK("what is missing is looked for where the link leads",
	    leads("dirlink/new", E_NOENT, "a/new"));
	CHECK("a link out of the tree is denied", look("out") == E_PERM);
	CHECK("so is a way through one",
	    look("outdir/deep/other") == E_PERM && look("up/spool/other") ==
	    E_PERM && look("root/etc/passwd") == E_PERM);
	CHECK("so is one to the root itself", look("self/a/real") == E_PERM);
	CHECK("so is one to a hidden file",
	    look("hidden") == E_PERM && look("hiddendir/id") == E_PERM);
	CHECK("so is one to a lock file", look("lock") == E_PERM);
	CHECK("a link to itself is denied", look("loop") == E_PERM);
	CHECK("a dangling link leads to nothing",
	    look("dangling") == E_NOENT);
}

static void
test_inbox(void)
{
	char spool[PATH_MAX];

	begin(NULL);
	snprintf(spool, sizeof(spool), "%s/spool/alex", base);
	CHECK("INBOX opens when there is no file",
	    look("INBOX") == E_OK && found.inbox &&
	    strcmp(found.path, spool) == 0);
	text("../spool/alex", "no mail at all\n");
	CHECK("INBOX opens whatever its file holds",
	    look("INBOX") == E_OK && found.inbox);
	CHECK("INBOX is known in any case",
	    look("inbox") == E_OK && look("iNbOx") == E_OK && found.inbox &&
	    strcmp(found.path, spool) == 0);
	CHECK("and as ~/INBOX", look("~/InBox") == E_OK && found.inbox);
	mail("inbox");
	CHECK("a file of that name in the home is not it",
	    look("inbox") == E_OK && strcmp(found.path, spool) == 0);
	unlink(spool);
	dir("../spool/alex");
	CHECK("a directory in its place is no mailbox",
	    look("INBOX") == E_NOTMBOX);
	rmdir(spool);
	mkfifo(spool, 0666);
	CHECK("neither is a FIFO", look("INBOX") == E_NOTMBOX);
	unlink(spool);
	dir("INBOX");
	mail("INBOX/x");
	CHECK("INBOX/x lies in an ordinary directory",
	    leads("INBOX/x", E_OK, "INBOX/x"));

	mail("mbox");
	link_to("link", "mbox");
	begin_in(NULL, in_home("mbox"));
	CHECK("an INBOX in the home is INBOX by its own name too",
	    look("mbox") == E_OK && found.inbox &&
	    strcmp(found.path, in_home("mbox")) == 0);
	CHECK("and by a link", look("link") == E_OK && found.inbox);
	unlink(in_home("mbox"));
	CHECK("and when it is missing",
	    look("mbox") == E_OK && found.inbox);
	mail("../spool/alex");
	link_to("spoollink", spool);
	begin_in(NULL, spool);
	CHECK("a link out of the tree may lead to INBOX",
	    look("spoollink") == E_OK && found.inbox);
	unlink(spool);
	begin_in(NULL, "/nowhere/at/all");
	CHECK("INBOX opens without even a spool", look("INBOX") == E_OK &&
	    strcmp(found.path, "/nowhere/at/all") == 0);
}

static void
test_raw_names(void)
{
	struct buf out = BUF_MAX(NAME_MAX_BYTES);

	begin(NULL);
	mail("Entw&APw-rfe");
	mail("Entw\303\274rfe2");
	dir("\303\244");
	mail("\303\244/R&D");
	mail("R&D");
	text("&AOQ-2", "no mail");
	mail("\303\2442");
	buf_add(&out, STR("kept"));
	CHECK("a name without a wire form leaves nothing behind",
	    !folder_shown(STR("a\303\244\344"), &out));
	CHECK_STR("what was there stays", buf_str(&out), STR("kept"));
	buf_free(&out);
	CHECK("a name on disk is in the wire form",
	    leads("Entw&APw-rfe", E_OK, "Entw&APw-rfe"));
	CHECK("a file named in UTF-8 is found by its wire form",
	    leads("Entw&APw-rfe2", E_OK, "Entw\303\274rfe2"));
	CHECK("so is one with a plain ampersand",
	    leads("R&-D", E_OK, "R&D"));
	CHECK("each level may be of either kind",
	    leads("&AOQ-/R&-D", E_OK, "\303\244/R&D"));
	CHECK("where both stand, the wire form is meant",
	    leads("&AOQ-2", E_NOTMBOX, "&AOQ-2"));
	CHECK("what is missing will have the wire form",
	    leads("&AOQ-/&APw-", E_NOENT, "\303\244/&APw-"));
}

static void
test_mail_dir(void)
{
	begin("mail");
	mail("mail/x");
	mail("x2");
	CHECK("a name is a path below the mail directory",
	    leads("x", E_OK, "mail/x"));
	CHECK("what lies beside it is not there",
	    leads("x2", E_NOENT, "mail/x2"));
	CHECK("~/x is x", leads("~/x", E_OK, "mail/x"));
	CHECK("~/mail/x is x", leads("~/mail/x", E_OK, "mail/x"));
	CHECK("the absolute path is x",
	    leads(in_home("mail/x"), E_OK, "mail/x"));
	CHECK("mail/x is x", leads("mail/x", E_OK, "mail/x"));
	CHECK("mail/ alone is no name", look("mail/") == E_NAME);
	CHECK("mailx is not below mail", look("mailx") == E_NOENT);
	dir("mail/mail");
	CHECK("unless the mail directory has its own \"mail\"",
	    leads("mail/x", E_NOENT, "mail/mail/x"));
	CHECK("~/mail/x stays x", leads("~/mail/x", E_OK, "mail/x"));
	mail("mail/mail/y");
	CHECK("~/mail/mail/y is that one",
	    leads("~/mail/mail/y", E_OK, "mail/mail/y"));
	mail(".profile");
	link_to("mail/link", "../x2");
	CHECK("a link out of the mail directory is denied",
	    look("link") == E_PERM);
	nftw(in_home("mail"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
	CHECK("a mail directory that is gone holds nothing",
	    leads("x", E_NOENT, "mail/x"));
	link_to("mail", "../spool");
	CHECK("one that became a link out of the home is denied",
	    look("x") == E_PERM);
	begin_in("mail", "/nowhere/alex");
	CHECK("one that was a link from the start too", look("x") == E_PERM);
	CHECK("INBOX is there all the same", look("INBOX") == E_OK);
	unlink(in_home("mail"));
	dir("store");
	mail("store/x");
	link_to("mail", "store");
	begin_in("mail", "/nowhere/alex");
	CHECK("one that is a link within the home is followed",
	    leads("x", E_OK, "store/x"));
}

static void
test_init(void)
{
	static const char *const bad[] = {
		"..", "a/../..", "/etc", "a//b", "~/mail", "./mail",
	};
	struct why why = { "" };
	struct folders g;
	bool good = true;
	size_t i;

	begin(NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		good = good && folder_init(&g, home, bad[i], "/a/b", NULL) ==
		    E_NAME;
		folder_free(&g);
	}
	CHECK("a mail directory is a path below the home", good);
	CHECK("a home that is not there is an error",
	    folder_init(&g, in_home("none"), NULL, "/a/b", &why) == E_NOENT &&
	    why.text[0] != '\0');
	folder_free(&g);
	text("file", "");
	CHECK("a home that is a file is one",
	    folder_init(&g, in_home("file"), NULL, "/a/b", NULL) == E_NOENT);
	folder_free(&g);
	CHECK("an INBOX without a leading slash is one",
	    folder_init(&g, home, NULL, "mbox", NULL) == E_NAME);
	folder_free(&g);
	folder_free(&f);
	CHECK("the root directory may be a home",
	    folder_init(&f, "/", NULL, "/alex", NULL) == E_OK &&
	    look("tmp") == E_NOTMBOX && strcmp(found.path, "/tmp") == 0 &&
	    look("/tmp") == E_NOTMBOX && look("~/tmp") == E_NOTMBOX &&
	    look("INBOX") == E_OK && strcmp(found.path, "/alex") == 0);
}

/* ---- LIST ---- */

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
	if (mkdtemp(base) == NULL || chmod(base, 0755) == -1)
		return 99;
	snprintf(home, sizeof(home), "%s/home", base);
	pool = pool_new();
	if (mkdir(home, 0755) == -1)
		return 99;
	dir("../spool");
	mail("../spool/other");
	dir("../elsewhere");
	dir("../elsewhere/deep");
	mail("../elsewhere/other");
	mail("../elsewhere/deep/other");
	test_refused();
	test_spellings();
	test_files();
	test_special();
	test_links();
	test_inbox();
	test_raw_names();
	test_mail_dir();
	test_init();
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
	folder_free(&f);
	buf_free(&shown);
	pool_free(pool);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return unit_end();
}
