/*
 * unit_folder_change.c - making, removing and renaming mailboxes: what is
 * done, what is refused, and that nobody's mailbox is taken from under his
 * hands.
 */
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#include "disk.h"
#include "../mbox.h"
#include "../rewrite.h"

/*
 * A mailbox that somebody holds. lock.c waits by nanosleep, which is where
 * time passes here: the mailbox is let go, or half an hour is over.
 */
static struct {
	int fd;			/* holds the mailbox */
	const char *name;
	bool patient;		/* and does not let go */
	bool was_there;		/* when somebody waited for it */
	time_t later;
} holder = { .fd = -1 };

static void
let_go(void)
{
	if (holder.fd != -1)
		close(holder.fd);
	holder.fd = -1;
}

int
nanosleep(const struct timespec *for_how_long, struct timespec *left)
{
	(void)for_how_long;
	(void)left;
	holder.was_there = there(holder.name);
	if (holder.patient)
		holder.later += 1800;
	else
		let_go();
	return 0;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	t->tv_sec += holder.later;
	return r;
}

/* ---- CREATE ---- */

static void
test_create(void)
{
	struct mbox *mbox = NULL;
	uint32_t first;
	mode_t old = umask(0);

	begin(NULL);
	CHECK("a mailbox is made with the directories above it",
	    create("a/b/c") == E_OK && look("a/b/c") == E_OK);
	CHECK("the file is the user's alone, and so are the directories",
	    mode_of("a/b/c") == (S_IFREG | 0600) &&
	    mode_of("a/b") == (S_IFDIR | 0700) &&
	    mode_of("a") == (S_IFDIR | 0700) &&
	    mode_of(".imapd") == (S_IFDIR | 0700) &&
	    mode_of(".imapd/uidvalidity") == (S_IFREG | 0600));
	umask(old);
	CHECK("it opens without a message",
	    mbox_open(&mbox, in_home("a/b/c"), false, NULL, NULL) == E_OK &&
	    mbox->n == 0 && mbox->uidnext == 1 && mbox->sticky);
	first = mbox->uidvalidity;
	mbox_close(mbox);
	CHECK("with the UIDVALIDITY that is remembered",
	    draw(0) == first + 1);
	CHECK("it is not made twice",
	    create("a/b/c") == FOLDER_EXISTS && create("~/a/b/c") ==
	    FOLDER_EXISTS && create("a/b/c/") == FOLDER_EXISTS);
	CHECK("nothing is made below a mailbox",
	    create("a/b/c/d") == E_NAME && create("a/b/c/d/e") == E_NAME);
	CHECK("a name in the place of a directory is taken",
	    create("a") == FOLDER_EXISTS && create("a/b/") == FOLDER_EXISTS);
	CHECK("a trailing delimiter makes a directory",
	    create("x/y/") == E_OK && mode_of("x/y") == (S_IFDIR | 0700));
	CHECK("in which a mailbox can be made",
	    create("x/y/z") == E_OK && look("x/y/z") == E_OK);
	CHECK("INBOX is there already", create("INBOX") == FOLDER_EXISTS &&
	    create("inbox/") == FOLDER_EXISTS);
	CHECK("but may have mailboxes below it",
	    create("INBOX/x") == E_OK && look("INBOX/x") == E_OK);
	CHECK("a name may have two levels that need no making",
	    create("x/y/other") == E_OK);
}

static void
test_create_refused(void)
{
	static const char *const names[] = {
		"", "/", "//", "a/", "..", "../x", "a/../x", ".x", "a/.x",
		"x.lock", "x.lock/y", "~x", "~", "~/", "#x", "{x", "/etc/x",
		"a//x", "x//", "a\nb", "a\303\244", "&", "a&AC8-b",
	};
	char deep[64] = "";
	char *before, *after;
	size_t i;
	bool good = true;

	begin(NULL);
	dir("a");
	text("notes", "not mail\n");
	link_to("out", "../elsewhere");
	link_to("dangling", "../elsewhere/none");
	link_to("broken", "nowhere");
	before = look_around(true);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (create(names[i]) == E_OK) {
			printf("# <%s>\n", names[i]);
			good = false;
		}
	CHECK("no forbidden name is made", good);
	CHECK("other files are no room for a mailbox",
	    create("notes") == FOLDER_EXISTS);
	CHECK("a link out of the tree leads nowhere",
	    create("out/x") == E_PERM && create("out/x/y") == E_PERM);
	CHECK("what a dangling link leads to is not made",
	    create("dangling") == FOLDER_EXISTS && create("broken") ==
	    FOLDER_EXISTS && create("dangling/x") != E_OK &&
	    create("broken/x/y") != E_OK && !there("../elsewhere/none"));
	for (i = 0; i < LIST_DEPTH_MAX; i++)
		strcat(deep, "d/");
	strcat(deep, "e");
	CHECK("a mailbox deeper than LIST goes is not made",
	    create("d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/e") ==
	    E_LIMIT);
	after = look_around(true);
	CHECK("and nothing has changed", strcmp(before, after) == 0);
	free(before);
	free(after);
	CHECK("one as deep is", create(deep) == E_OK);
}

static void
test_create_in_mail_dir(void)
{
	begin("mail");
	CHECK("with a mail directory mailboxes are made there",
	    create("x") == E_OK && look("x") == E_OK && there("mail/x"));
	CHECK("by whatever spelling", create("~/mail/y") == E_OK &&
	    create("mail/z") == E_OK && there("mail/y") && there("mail/z"));
	CHECK("also where a level is called like it",
	    create("~/mail/mail/w") == E_OK && there("mail/mail/w"));
	rmdir(in_home("mail/mail"));
	begin("mail");
	rmdir(in_home("mail"));
	begin_in("mail", "/nowhere/alex");
	CHECK("a mail directory that is missing is made",
	    create("x") == E_OK && look("x") == E_OK && there("mail/x"));
	begin("real");
	link_to("link", "real");
	begin_in("link", "/nowhere/alex");
	CHECK("one that is a link is where it leads",
	    create("x") == E_OK && there("real/x"));
	begin(NULL);
	dir("\303\244");
	CHECK("a directory named in UTF-8 is used under its wire form",
	    create("&AOQ-/x") == E_OK && there("\303\244/x") &&
	    !there("&AOQ-"));
	link_to("link", "\303\244");
	CHECK("and through a link", create("link/y") == E_OK &&
	    there("\303\244/y"));
}

static void
test_poor_systems(void)
{
	begin(NULL);
	disk.no_tmpfile = true;
	CHECK("a file system without unnamed files does",
	    create("a/x") == E_OK && look("a/x") == E_OK &&
	    mode_of("a/x") == (S_IFREG | 0600));
	CHECK("and does not write over what is there",
	    create("a/x") == FOLDER_EXISTS);
	disk.no_tmpfile = false;
	disk.no_proc = true;
	CHECK("a system without /proc does", create("a/y") == E_OK &&
	    look("a/y") == E_OK);
	disk.no_proc = false;
	disk.no_noreplace = true;
	CHECK("one that can not rename without replacing does",
	    move("a/x", "b/x") == E_OK && !there("a/x") &&
	    look("b/x") == E_OK && move("b", "c") == E_OK &&
	    look("c/x") == E_OK && !there("b"));
	CHECK("and does not replace", move("a/y", "c/x") == FOLDER_EXISTS &&
	    there("a/y"));
	disk.appears = "new";
	CHECK("not what has just come, either", move("a/y", "new") ==
	    FOLDER_EXISTS && move("c", "new") != E_OK && there("a/y") &&
	    there("c/x") && file("new").n == sizeof(MAIL) - 1);
	disk.no_noreplace = false;
	unlink(in_home("new"));
	CHECK("nor does one that can", move("a/y", "new") == FOLDER_EXISTS &&
	    there("a/y") && file("new").n == sizeof(MAIL) - 1);
	disk.appears = NULL;
}

static int
on_read_only_disk(int (*run)(void))
{
	int e;

	disk.calls = 0;
	disk.fail_at = 2;	/* after the home is opened */
	disk.fail_errno = EROFS;
	disk.armed = true;
	e = run();
	disk.armed = false;
	disk.fail_at = 0;
	return e;
}

static int
make_directory(void)
{
	return create("new/");
}

static void
test_on_disk(void)
{
	begin(NULL);
	create("first");
	disk.synced = 0;
	create("x");
	CHECK("a new mailbox is synced, with its UIDVALIDITY and both names",
	    disk.synced == 4);
	disk.synced = 0;
	move("x", "y");
	CHECK("a new name is, with the UIDVALIDITY that is used up",
	    disk.synced == 4);
	disk.synced = 0;
	delete("y");
	CHECK("a removed one is", disk.synced == 3);
	disk.synced = 0;
	subscribe("x");
	CHECK("a list of subscriptions is, and its name",
	    disk.synced == 2);
	disk.synced = 0;
	create("d/");
	CHECK("a directory is", disk.synced == 1);
	CHECK("a disk that is read-only is no permission",
	    on_read_only_disk(make_directory) == E_PERM);
}

/* ---- DELETE ---- */

static void
test_delete(void)
{
	begin(NULL);
	mail("a");
	dir("d");
	mail("d/x");
	dir("d/empty");
	text("notes", "not mail\n");
	dir("private");
	text("private/.hidden", "");
	mkfifo(in_home("fifo"), 0600);
	CHECK("a mailbox is removed", delete("a") == E_OK && !there("a"));
	CHECK("no dotlock stays behind", !there("a.lock"));
	CHECK("what is not there is not removed",
	    delete("a") == E_NOENT && delete("none/a") == E_NOENT);
	CHECK("a directory with mailboxes is kept",
	    delete("d") == FOLDER_CHILDREN && there("d/x"));
	CHECK("an empty one is removed",
	    delete("d/empty") == E_OK && !there("d/empty"));
	CHECK("one with hidden files is kept",
	    delete("private") == FOLDER_CHILDREN && there("private"));
	CHECK("other files are kept", delete("notes") == E_NOTMBOX &&
	    delete("fifo") == E_NOTMBOX && there("notes") && there("fifo"));
	CHECK("forbidden names are refused", delete("..") == E_NAME &&
	    delete("") == E_NAME && delete("d/../d/x") == E_NAME &&
	    delete("private/.hidden") == E_NAME && delete("d/x/") == E_NAME);
	mail("mbox");
	begin_in(NULL, in_home("mbox"));
	CHECK("INBOX is kept, by whatever name", delete("INBOX") == E_NAME &&
	    delete("inbox") == E_NAME && delete("mbox") == E_NAME &&
	    there("mbox"));
	text("empty", "");
	CHECK("an empty file is a mailbox, and is removed",
	    delete("empty") == E_OK && !there("empty"));
	dir("\303\244");
	mail("\303\244/\303\266");
	CHECK("a file named in UTF-8 is removed by its wire form",
	    delete("&AOQ-/&APY-") == E_OK && !there("\303\244/\303\266"));
}

static void
test_delete_links(void)
{
	begin(NULL);
	dir("a");
	mail("a/real");
	link_to("link", "a/real");
	link_to("absolute", in_home("a/real"));
	link_to("dirlink", "a");
	link_to("out", "../elsewhere/other");
	link_to("outdir", "../elsewhere");
	link_to("dangling", "none");
	CHECK("of a link to a mailbox the link is removed",
	    delete("link") == E_OK && !there("link") && there("a/real"));
	CHECK("of an absolute one too", delete("absolute") == E_OK &&
	    !there("absolute") && there("a/real"));
	CHECK("a link to a directory is kept",
	    delete("dirlink") == E_NOTMBOX && there("dirlink"));
	CHECK("a link out of the tree is kept, and what it leads to",
	    delete("out") == E_PERM && delete("outdir/other") == E_PERM &&
	    delete("outdir/deep") == E_PERM && there("out") &&
	    there("../elsewhere/other") && there("../elsewhere/deep"));
	CHECK("a dangling one leads to no mailbox",
	    delete("dangling") == E_NOENT);
	CHECK("through a link to a directory a mailbox is removed",
	    delete("dirlink/real") == E_OK && !there("a/real"));
	mail("one");
	if (link(in_home("one"), in_home("two")) == -1)
		exit(99);
	CHECK("of a file with two names one is removed",
	    delete("one") == E_OK && !there("one") && there("two"));
	CHECK("and then the other", delete("two") == E_OK && !there("two"));
}

/* ---- RENAME ---- */

static void
test_rename(void)
{
	struct stat before, after;

	begin(NULL);
	mail("a");
	stat(in_home("a"), &before);
	CHECK("a mailbox gets another name, and directories above it",
	    move("a", "x/y/b") == E_OK && !there("a") &&
	    look("x/y/b") == E_OK && mode_of("x/y") == (S_IFDIR | 0700));
	CHECK("it is the same file", stat(in_home("x/y/b"), &after) == 0 &&
	    after.st_ino == before.st_ino && after.st_nlink == 1 &&
	    after.st_mtime == before.st_mtime);
	CHECK("no dotlock stays behind",
	    !there("a.lock") && !there("x/y/b.lock"));
	mail("c");
	text("notes", "not mail\n");
	CHECK("nothing is replaced", move("c", "x/y/b") == FOLDER_EXISTS &&
	    move("c", "x") == FOLDER_EXISTS && move("c", "c") ==
	    FOLDER_EXISTS && move("c", "notes") == FOLDER_EXISTS &&
	    move("c", "INBOX") == FOLDER_EXISTS && look("c") == E_OK &&
	    look("x/y/b") == E_OK);
	CHECK("what is not there is not renamed",
	    move("none", "new") == E_NOENT && move("none/x", "new") ==
	    E_NOENT && !there("new"));
	CHECK("other files are not", move("notes", "new/n") == E_NOTMBOX &&
	    there("notes") && !there("new"));
	CHECK("forbidden names are not", move("c", "../c") == E_NAME &&
	    move("c", ".c") == E_NAME && move("c", "new/c.lock") == E_NAME &&
	    move("../elsewhere/other", "new/c") == E_NAME && move("c",
	    "new/") == E_NAME && !there("new") && look("c") == E_OK);
	CHECK("no name moves below itself", move("c", "c/d") == E_NAME &&
	    move("x", "x/y/z/x") == E_NAME && look("c") == E_OK &&
	    look("x/y/b") == E_OK && !there("x/y/z"));
	CHECK("nor below another mailbox",
	    move("c", "x/y/b/d") == E_NAME && look("c") == E_OK);
	CHECK("INBOX is left to the caller",
	    move("INBOX", "old") == FOLDER_INBOX && !there("old"));
	CHECK("but not when its new name is no good",
	    move("INBOX", "c") == FOLDER_EXISTS && move("INBOX", "../c") ==
	    E_NAME);
}

static void
test_rename_directory(void)
{
	begin(NULL);
	dir("d");
	mail("d/x");
	dir("d/e");
	mail("d/e/y");
	text("d/notes", "not mail\n");
	CHECK("a directory is renamed with all that is in it",
	    move("d", "new/d2") == E_OK && !there("d") &&
	    look("new/d2/x") == E_OK && look("new/d2/e/y") == E_OK &&
	    there("new/d2/notes"));
	CHECK("one below a directory, too", move("new/d2/e", "e2") == E_OK &&
	    look("e2/y") == E_OK && look("new/d2/x") == E_OK);
	dir("empty");
	CHECK("an empty one is renamed", move("empty", "other/empty") ==
	    E_OK && there("other/empty") && !there("empty"));
	dir("project");
	dir("project/.git");
	text("project/main.c", "int main;\n");
	CHECK("one that holds other files, but no mailbox, is left alone",
	    move("project", "new/p") == E_NOTMBOX && there("project/main.c")
	    && !there("new/p"));
	dir("a*b");
	text("a*b/notes", "not mail\n");
	dir("axb");
	mail("axb/mail");
	CHECK("a wildcard in its name finds no other's mailboxes",
	    move("a*b", "new/p") == E_NOTMBOX && there("a*b/notes"));
	dir("spool");
	mail("spool/inbox");
	mail("spool/other");
	begin_in(NULL, in_home("spool/inbox"));
	CHECK("one that holds INBOX is left alone",
	    move("spool", "new/p") == E_NAME && there("spool/inbox"));
	CHECK("nothing was made on the way", !there("new/p"));
	begin("mail");
	dir("mail/d");
	mail("mail/d/x");
	CHECK("in a mail directory, by any spelling",
	    move("~/mail/d", "mail/e") == E_OK && there("mail/e/x"));
}

static void
test_rename_links(void)
{
	begin(NULL);
	dir("a");
	mail("a/real");
	link_to("link", "a/real");
	link_to("dirlink", "a");
	link_to("out", "../elsewhere/other");
	link_to("outdir", "../elsewhere");
	CHECK("a link is not renamed", move("link", "b/link") == E_NOTMBOX &&
	    there("link") && !there("b"));
	CHECK("nor is one to a directory",
	    move("dirlink", "b/d") == E_NOTMBOX && there("dirlink"));
	CHECK("nothing comes in from outside",
	    move("out", "b/x") == E_PERM && move("outdir/other", "b/x") ==
	    E_PERM && move("outdir/deep", "b/x") == E_PERM &&
	    there("../elsewhere/deep/other"));
	CHECK("nothing goes out", move("a/real", "outdir/real") == E_PERM &&
	    move("a", "outdir/a/b") == E_PERM && look("a/real") == E_OK);
	CHECK("through a link within the tree a mailbox is renamed",
	    move("dirlink/real", "dirlink/other") == E_OK &&
	    there("a/other") && !there("a/real"));
}

/* ---- permissions, locks ---- */

static void
test_denied(void)
{
	begin(NULL);
	dir("closed");
	mail("closed/x");
	mail("readable");
	chmod(in_home("closed"), 0555);
	chmod(home, 0555);
	become(65534);
	CHECK("where nothing may be made, nothing is",
	    create("closed/new") == E_PERM && create("new/x") ==
	    E_PERM && create("new/") == E_PERM);
	CHECK("where nothing may be removed, nothing is",
	    delete("closed/x") == E_PERM && there("closed/x"));
	CHECK("nor renamed", move("closed/x", "closed/y") ==
	    E_PERM && there("closed/x"));
	CHECK("nor subscribed to", subscribe("x") == E_PERM);
	CHECK("without ~/.imapd a UIDVALIDITY is the time",
	    draw(0) >= 1700000000 && draw(2000000000) == 2000000000);
	become(0);
	chmod(home, 0755);
	chmod(in_home("closed"), 0755);
}

static void
hold(const char *name, bool patient)
{
	let_go();
	holder.fd = open(in_home(name), O_RDWR);
	holder.name = name;
	holder.patient = patient;
	holder.was_there = false;
	if (holder.fd == -1 || flock(holder.fd, LOCK_EX) == -1)
		exit(99);
}

static void
test_locked(void)
{
	begin(NULL);
	mail("a");
	mail("b");
	hold("a", false);
	CHECK("a mailbox is removed when nobody holds it any more",
	    delete("a") == E_OK && holder.was_there && !there("a"));
	hold("b", false);
	CHECK("and renamed then", move("b", "c") == E_OK &&
	    holder.was_there && there("c"));
	hold("c", true);
	CHECK("who does not let go keeps it", delete("c") == E_INUSE &&
	    move("c", "new/d") == E_INUSE && look("c") == E_OK &&
	    !there("new") && !there("c.lock"));
	holder.later = 0;
	let_go();
}

/* ---- rewrites that were not finished ---- */

#define LETTER(who)	"From " who "@example.org Sat Jan  3 01:05:34 1998\n" \
			"Subject: of " who "\n\nThe text of " who ".\n\n"

static const char three[] = LETTER("alex") LETTER("riley") LETTER("sam");
static const char two[] = LETTER("riley") LETTER("sam");

/* Drops the first of three messages of a mailbox. */
static enum err
drop_first(const char *name)
{
	struct rewrite_item items[3] = { { .drop = true } };
	struct rewrite r = {
		.fd = open(in_home(name), O_RDWR), .path = in_home(name),
		.sync = true, .items = items, .n = 3,
		.size = sizeof(three) - 1,
	};
	char dir[PATH_MAX];
	unsigned i;

	snprintf(dir, sizeof(dir), "%s/.imapd", home);
	r.dir = dir;
	items[0].len = sizeof(three) - sizeof(two);
	items[1].len = sizeof(LETTER("riley")) - 1;
	items[2].len = sizeof(LETTER("sam")) - 1;
	for (i = 1; i < 3; i++)
		items[i].off = items[i - 1].off + items[i - 1].len;
	return rewrite_compact(&r, NULL);
}

/* A mailbox of three messages, and a process that is killed before call n of
 * dropping one. False when it needs fewer. */
static bool
leave_unfinished(const char *name, unsigned n)
{
	int status;
	pid_t pid;

	begin(NULL);
	dir(".imapd");
	chmod(in_home(".imapd"), 0700);
	dir("d");
	text(name, three);
	pid = fork();
	if (pid == 0) {
		disk.calls = 0;
		disk.kill_at = n;
		disk.armed = true;
		_exit(drop_first(name) == E_OK ? 0 : 99);
	}
	if (waitpid(pid, &status, 0) != pid || (WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0))
		exit(99);
	return WIFSIGNALED(status);
}

static bool
unfinished(void)
{
	struct rewrite_pending p;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/.imapd", home);
	return rewrite_pending(dir, &p) == E_OK;
}

/* As it was, or without the message. */
static bool
is_whole(const char *name)
{
	return str_eq(file(name), str_c(three)) ||
	    str_eq(file(name), str_c(two));
}

static void
test_unfinished(void)
{
	unsigned n, hot = 0, bad = 0;

	for (n = 1; leave_unfinished("d/x", n); n++) {
		hot += unfinished();
		bad += move("d/x", "y") != E_OK || unfinished() ||
		    !is_whole("y");
		leave_unfinished("d/x", n);
		bad += move("d", "e") != E_OK || unfinished() ||
		    !is_whole("e/x");
		leave_unfinished("d/x", n);
		bad += delete("d/x") != E_OK || unfinished() || there("d/x");
	}
	CHECK("a rewrite that was killed is finished before the name goes",
	    hot > 3 && bad == 0);
	printf("# %u kills, %u unfinished\n", n - 1, hot);
}

/* The last kill that leaves a rewrite unfinished. */
static unsigned
last_hot(void)
{
	unsigned n, last = 0;

	for (n = 1; leave_unfinished("d/x", n); n++)
		if (unfinished())
			last = n;
	return last;
}

static void
test_unfinished_elsewhere(void)
{
	unsigned n = last_hot();

	leave_unfinished("d/x", n);
	hold("d/x", true);
	CHECK("a directory stays where it is while a rewrite below it can not "
	    "be finished", move("d", "e") == E_INUSE && there("d/x") &&
	    !there("e") && unfinished());
	let_go();
	holder.later = 0;
	leave_unfinished("d/x", n);
	dir("other");
	mail("other/y");
	hold("d/x", true);
	CHECK("a rewrite elsewhere is no hindrance", move("other", "e") ==
	    E_OK && delete("e/y") == E_OK && unfinished());
	let_go();
	leave_unfinished("d/x", n);
	rename(in_home("d/x"), in_home("d/moved"));
	CHECK("nor is one of a file that is no longer there",
	    move("d", "e") == E_OK && there("e/moved"));
	leave_unfinished("d/x", n);
	rename(in_home("d/x"), in_home("kept"));
	mail("d/x");
	hold("d/x", true);
	CHECK("nor one of another file that was of this name",
	    move("d", "e") == E_OK && file("e/x").n == sizeof(MAIL) - 1 &&
	    unfinished());
	let_go();
	holder.later = 0;
}

int
main(void)
{
	umask(077);
	home_make();
	test_create();
	test_create_refused();
	test_create_in_mail_dir();
	test_poor_systems();
	test_on_disk();
	test_delete();
	test_delete_links();
	test_rename();
	test_rename_directory();
	test_rename_links();
	test_denied();
	test_locked();
	test_unfinished();
	test_unfinished_elsewhere();
	home_remove();
	return unit_end();
}
