/*
 * unit_folder.c - which names are refused, and where the others lead.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "home.h"

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

int
main(void)
{
	home_make();
	test_refused();
	test_spellings();
	test_files();
	test_special();
	test_links();
	test_inbox();
	test_raw_names();
	test_mail_dir();
	test_init();
	home_remove();
	return unit_end();
}
