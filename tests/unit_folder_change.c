/*
 * unit_folder_change.c - making, removing and renaming mailboxes, the list
 * of subscriptions, and the memory of UIDVALIDITYs: what they do, what they
 * leave behind when a system call fails, and when the process is killed at
 * one. All calls that change something on the disk pass through here, are
 * counted, and fail or kill on demand.
 */
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

/* home.h has an openat of its own, that makes no files. */
int	home_openat(int at, const char *name, int flags, ...);
#define openat home_openat
#include "home.h"
#undef openat
#include "../mbox.h"

/* What happens to the calls of the program, from when `armed` is set. */
static struct {
	bool armed;
	unsigned calls;
	unsigned kill_at;	/* the process dies before this call */
	unsigned fail_at;	/* this call fails */
	int fail_errno;
	bool no_tmpfile;	/* file systems and systems that lack things */
	bool no_proc;
	bool no_noreplace;
	const char *appears;	/* just before something is renamed */
	unsigned synced;	/* directories and files */
} disk;

/* One call more; true when it is to fail. */
static bool
spoil(void)
{
	if (!disk.armed)
		return false;
	disk.calls++;
	if (disk.calls == disk.kill_at)
		raise(SIGKILL);
	errno = disk.fail_errno;
	return disk.calls == disk.fail_at;
}

/* O_TMPFILE has the bit of O_DIRECTORY too. */
static bool
makes_file(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int
lacking(int e)
{
	errno = e;
	return -1;
}

int
openat(int at, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (disk.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE)
		return lacking(EOPNOTSUPP);
	return spoil() ? -1 : (int)syscall(SYS_openat, at, name, flags,
	    mode);
}

int
open(const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return spoil() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, flags,
	    mode);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return spoil() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

int
fsync(int fd)
{
	disk.synced++;
	return spoil() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	disk.synced++;
	return spoil() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
mkdir(const char *path, mode_t mode)
{
	return spoil() ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path,
	    mode);
}

int
mkdirat(int at, const char *path, mode_t mode)
{
	return spoil() ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
}

int
rmdir(const char *path)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path,
	    AT_REMOVEDIR);
}

int
unlink(const char *path)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int
unlinkat(int at, const char *path, int flags)
{
	return spoil() ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int
rename(const char *from, const char *to)
{
	return spoil() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from,
	    AT_FDCWD, to, 0);
}

int
renameat(int at, const char *from, int to_at, const char *to)
{
	return spoil() ? -1 : (int)syscall(SYS_renameat2, at, from, to_at,
	    to, 0);
}

int
renameat2(int at, const char *from, int to_at, const char *to,
    unsigned flags)
{
	if (disk.appears != NULL)
		mail(disk.appears);
	if (disk.no_noreplace)
		return lacking(EINVAL);
	return spoil() ? -1 : (int)syscall(SYS_renameat2, at, from, to_at,
	    to, flags);
}

int
linkat(int at, const char *from, int to_at, const char *to, int flags)
{
	if (disk.no_proc && (flags & AT_SYMLINK_FOLLOW))
		return lacking(ENOENT);
	return spoil() ? -1 : (int)syscall(SYS_linkat, at, from, to_at, to,
	    flags);
}

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

static bool	there(const char *name);

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

/* ---- what is there ---- */

/*
 * The home in words, a line for each file and link, sorted: what it is, how
 * it begins. Empty directories are shown when they matter; of ~/.imapd only
 * what does not belong there.
 */
static struct {
	char line[64][256];
	unsigned n;
	bool directories;
} seen;

static const char pseudo_end[] = "with the data reset to initial values.\n\n";

static bool
is_pseudo(const char *p, size_t n)
{
	size_t tail = sizeof(pseudo_end) - 1;

	return n > tail && strncmp(p, "From MAILER-DAEMON ", 19) == 0 &&
	    memcmp(p + n - tail, pseudo_end, tail) == 0;
}

static void
see_file(char *out, size_t room, const char *name, const char *path)
{
	char text[2048];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n < 0)
		exit(99);
	text[n] = '\0';
	snprintf(out, room, "%s: %.160s", name, is_pseudo(text, (size_t)n) ?
	    "new" : text);
}

static bool
ends(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

/* Of a process that is dead, or could not remove it: lock.c's matter. */
static bool
is_lock(const char *name)
{
	return ends(name, ".lock");
}

/* What a killed process leaves, the next one takes away. */
static bool
is_temporary(const char *name)
{
	return ends(name, ".new");
}

static int
see(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + strlen(home);
	char *line = seen.line[seen.n];

	(void)ftw;
	if (strcmp(name, "/.imapd/lock") == 0 ||
	    strcmp(name, "/.imapd/uidvalidity") == 0 ||
	    strcmp(name, "/.imapd") == 0 || name[0] == '\0')
		return 0;
	if (is_lock(name) || (!seen.directories && (type == FTW_D ||
	    is_temporary(name))))
		return 0;
	if (type == FTW_D)
		snprintf(line, 256, "%s/", name);
	else if (type == FTW_SL)
		snprintf(line, 256, "%s ->", name);
	else if (S_ISREG(st->st_mode))
		see_file(line, 256, name, path);
	seen.n++;
	return seen.n == 64;
}

static int
line_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The whole in one string, which the caller frees. */
static char *
look_around(bool directories)
{
	char *all = calloc(64, 257);
	unsigned i;

	seen.n = 0;
	seen.directories = directories;
	nftw(home, see, 16, FTW_PHYS);
	qsort(seen.line, seen.n, sizeof(seen.line[0]), line_order);
	for (i = 0; i < seen.n; i++) {
		strcat(all, seen.line[i]);
		strcat(all, "\n");
	}
	return all;
}

static bool
there(const char *name)
{
	struct stat st;

	return lstat(in_home(name), &st) == 0;
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	return lstat(in_home(name), &st) == 0 ? st.st_mode : 0;
}

/* ---- the operations, each with a sentence when it fails ---- */

static int
said(int e, const struct why *why)
{
	return e == E_OK || why->text[0] != '\0' ? e : 1;
}

static int
create(const char *name)
{
	struct why why = { "" };

	return said(folder_create(&f, str_c(name), "example.org", &why),
	    &why);
}

static int
delete(const char *name)
{
	struct why why = { "" };

	return said(folder_delete(&f, str_c(name), DOTLOCK_TRY, &why), &why);
}

static int
move(const char *from, const char *to)
{
	struct why why = { "" };

	return said(folder_rename(&f, str_c(from), str_c(to), DOTLOCK_TRY,
	    &why), &why);
}

static int
subscribe(const char *name)
{
	struct why why = { "" };

	return said(folder_subscribe(&f, str_c(name), &why), &why);
}

static int
unsubscribe(const char *name)
{
	struct why why = { "" };

	return said(folder_unsubscribe(&f, str_c(name), &why), &why);
}

static uint32_t
draw(uint32_t at_least)
{
	uint32_t v = 0;

	return folder_uidvalidity(&f, at_least, &v, NULL) == E_OK ? v : 0;
}

static struct str
file(const char *name)
{
	static char content[4096];
	int fd = open(in_home(name), O_RDONLY);
	ssize_t n = fd == -1 ? 0 : read(fd, content, sizeof(content));

	close(fd);
	return (struct str){ content, n > 0 ? (size_t)n : 0 };
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
	    mbox_open(&mbox, in_home("a/b/c"), false, NULL) == E_OK &&
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
become(uid_t uid)
{
	if (getuid() == 0 && seteuid(uid) == -1)
		exit(99);
}

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

/* ---- UIDVALIDITY ---- */

static void
test_uidvalidity(void)
{
	uint32_t v;

	begin(NULL);
	v = draw(0);
	CHECK("the first UIDVALIDITY is the time",
	    v >= (uint32_t)time(NULL) - 5 && v <= (uint32_t)time(NULL));
	CHECK("each one is larger", draw(0) > v && draw(0) > v + 1);
	CHECK("one can be asked for", draw(2000000000) == 2000000000);
	CHECK("and is not given again", draw(2000000000) == 2000000001 &&
	    draw(5) == 2000000002);
	CHECK_STR("the last one is on the disk",
	    file(".imapd/uidvalidity"), STR("2000000002\n"));
	text(".imapd/uidvalidity", "2147483646\n");
	CHECK("the largest is below 2^31", draw(0) == INT32_MAX);
	CHECK("when all are used up they begin anew", draw(0) < 2000000000 &&
	    draw(0) < 2000000000);
	CHECK("what is too large can not be asked for",
	    draw(UINT32_MAX) < 2000000000 && draw(INT32_MAX) == INT32_MAX);
	text(".imapd/uidvalidity", "no number\n");
	CHECK("a damaged memory is none", draw(0) >= v && draw(0) >= v);
	put(".imapd/uidvalidity", pseudo_end, sizeof(pseudo_end));
	CHECK("nor is one that is too long", draw(0) >= v);
	text(".imapd/uidvalidity.new", "left by a process that was killed");
	CHECK("what a killed process left is no hindrance",
	    draw(0) > v && !there(".imapd/uidvalidity.new"));
	begin(NULL);
	text(".imapd", "");
	CHECK("a file in the way means no memory, but a number",
	    draw(0) >= v && draw(2000000000) == 2000000000);
	begin(NULL);
	link_to(".imapd", "../elsewhere");
	CHECK("a link is not followed", draw(0) >= v &&
	    !there("../elsewhere/uidvalidity"));
	begin(NULL);
	CHECK("a name that is used again has a larger one",
	    create("x") == E_OK && (v = draw(0)) > 0 && delete("x") == E_OK
	    && draw(0) > v + 1);
}

/* ---- subscriptions ---- */

static void
test_subscribe(void)
{
	begin(NULL);
	CHECK("a name can be subscribed to before it exists",
	    subscribe("a/b") == E_OK && subscribe("inbox") == E_OK);
	CHECK_STR("and is in the list, INBOX in capitals",
	    file(".mailboxlist"), STR("a/b\nINBOX\n"));
	CHECK("the list is the user's alone",
	    mode_of(".mailboxlist") == (S_IFREG | 0600));
	disk.synced = 0;
	CHECK("subscribing again is all right, and writes nothing",
	    subscribe("a/b") == E_OK && subscribe("InBox") == E_OK &&
	    disk.synced == 0);
	text(".mailboxlist", "Entw\303\274rfe\n../x\r\n\n inbox\ninBox\nend");
	CHECK("a line in UTF-8 is its wire form",
	    subscribe("Entw&APw-rfe") == E_OK && subscribe("new") == E_OK);
	CHECK_STR("other lines stay as they are", file(".mailboxlist"),
	    STR("Entw\303\274rfe\n../x\r\n\n inbox\ninBox\nend\nnew\n"));
	CHECK("all spellings of INBOX go",
	    unsubscribe("INBOX") == E_OK && unsubscribe("Entw&APw-rfe") ==
	    E_OK && unsubscribe("end") == E_OK);
	CHECK_STR("and no other line", file(".mailboxlist"),
	    STR("../x\r\n\n inbox\nnew\n"));
	CHECK("what is not in the list can not be taken out",
	    unsubscribe("end") == E_NOENT && unsubscribe("ne") == E_NOENT);
	CHECK("a line that names no mailbox can",
	    unsubscribe("../x") == E_OK);
	CHECK("a forbidden name is not subscribed to",
	    subscribe("../x") == E_NAME && subscribe(".x") == E_NAME &&
	    subscribe("a/") == E_NAME && subscribe("") == E_NAME &&
	    subscribe("a\nb") == E_NAME && subscribe("{x}y") == E_NAME);
	CHECK("a spelling of the home is kept as it is",
	    subscribe("~/mail/x") == E_OK && unsubscribe("mail/x") ==
	    E_NOENT && unsubscribe("~/mail/x") == E_OK);
}

static void
test_subscriptions_of_dovecot(void)
{
	begin("mail");
	text("mail/.subscriptions", "V\t2\n\na\tb\nc\n");
	CHECK("what is not in Dovecot's list can not be taken out",
	    unsubscribe("x") == E_NOENT && !there(".mailboxlist"));
	CHECK("Dovecot's list is taken over with the first change",
	    unsubscribe("c") == E_OK && subscribe("d") == E_OK);
	CHECK_STR("whole", file(".mailboxlist"), STR("a/b\nd\n"));
	CHECK_STR("and left as it was", file("mail/.subscriptions"),
	    STR("V\t2\n\na\tb\nc\n"));
	CHECK("an empty list is one", unsubscribe("a/b") == E_OK &&
	    unsubscribe("d") == E_OK && unsubscribe("c") == E_NOENT &&
	    there(".mailboxlist"));
}

static void
test_odd_lists(void)
{
	char *big = malloc(1048576);

	begin(NULL);
	dir(".imapd");
	chmod(in_home(".imapd"), 0777);
	CHECK("where others may write no lock of ours is taken",
	    subscribe("a") == E_PERM && !there(".mailboxlist"));
	begin(NULL);
	link_to(".mailboxlist", "../elsewhere/list");
	CHECK("a list that is a link is left alone",
	    subscribe("a") == E_PERM && !there("../elsewhere/list"));
	unlink(in_home(".mailboxlist"));
	mkfifo(in_home(".mailboxlist"), 0600);
	CHECK("so is a FIFO", subscribe("a") == E_PERM);
	unlink(in_home(".mailboxlist"));
	dir(".mailboxlist");
	CHECK("so is a directory", subscribe("a") != E_OK);
	rmdir(in_home(".mailboxlist"));
	memset(big, 'x', 1048576);
	put(".mailboxlist", big, 1048576);
	CHECK("a list that is full takes no more",
	    subscribe("a") == E_LIMIT && file(".mailboxlist").n == 4096);
	put(".mailboxlist", big, 1048576 - 3);
	CHECK("and what fits, fits", subscribe("a") == E_OK &&
	    subscribe("b") == E_LIMIT);
	unlink(in_home(".imapd/lock"));
	rmdir(in_home(".imapd"));
	text(".imapd", "");
	CHECK("without a lock nothing is changed",
	    subscribe("c") == E_PERM);
	free(big);
}

/* ---- several at once ---- */

enum { CHILDREN = 6, TURNS = 20 };

/* Starts that many processes; a child gets its number from 1, the parent
 * 0 when all have ended well, else -1. */
static int
several(void)
{
	int i, status, r = 0;

	for (i = 1; i <= CHILDREN; i++)
		if (fork() == 0)
			return i;
	while (wait(&status) > 0)
		if (status != 0)
			r = -1;
	return r;
}

static int
number_order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
test_numbers_at_once(void)
{
	uint32_t v, all[CHILDREN * TURNS];
	int i, me, fds[2];
	bool good = true;

	begin(NULL);
	if (pipe(fds) == -1)
		exit(99);
	me = several();
	for (i = 0; me > 0 && i < TURNS; i++) {
		v = draw(0);
		if (v == 0 || write(fds[1], &v, sizeof(v)) != sizeof(v))
			_exit(1);
	}
	if (me > 0)
		_exit(0);
	close(fds[1]);
	for (i = 0; i < CHILDREN * TURNS; i++)
		if (read(fds[0], &all[i], sizeof(v)) != sizeof(v))
			exit(99);
	qsort(all, CHILDREN * TURNS, sizeof(v), number_order);
	for (i = 1; i < CHILDREN * TURNS; i++)
		good = good && all[i] > all[i - 1];
	CHECK("sessions at the same time draw different UIDVALIDITYs",
	    me == 0 && good);
	close(fds[0]);
}

static void
test_names_at_once(void)
{
	char name[32];
	struct str list;
	int i, me, e;

	begin(NULL);
	me = several();
	for (i = 0; me > 0 && i < TURNS; i++) {
		snprintf(name, sizeof(name), "%d/%02d", me, i);
		if (subscribe(name) != E_OK)
			_exit(1);
		e = create("race/x/y");
		if (e != E_OK && e != FOLDER_EXISTS)
			_exit(2);
	}
	if (me > 0)
		_exit(0);
	list = file(".mailboxlist");
	CHECK("of several that subscribe none is forgotten",
	    me == 0 && list.n == CHILDREN * TURNS * 5);
	CHECK("of several that make a mailbox one does",
	    look("race/x/y") == E_OK);
}

/* ---- failures and kills ---- */

static void
prepare(void)
{
	begin(NULL);
	mail("a");
	dir("d");
	mail("d/x");
	dir("d/e");
	mail("d/e/y");
	dir("empty");
	text(".mailboxlist", "one\ntwo\n");
}

static int create_deep(void) { return create("n/m/x"); }
static int create_here(void) { return create("x"); }
static int create_dir(void) { return create("n/m/"); }
static int delete_file(void) { return delete("a"); }
static int delete_dir(void) { return delete("empty"); }
static int move_file(void) { return move("a", "n/m/b"); }
static int move_dir(void) { return move("d", "n/m/d"); }
static int move_empty(void) { return move("empty", "n/m/e"); }
static int subscribe_one(void) { return subscribe("three"); }
static int unsubscribe_one(void) { return unsubscribe("one"); }

static const struct scenario {
	const char *name;
	int (*run)(void);
	/* A failure may come when it is too late to go back. */
	bool late;
} scenarios[] = {
	{ "CREATE", create_here, false },
	{ "CREATE with directories", create_deep, false },
	{ "CREATE of a directory", create_dir, false },
	{ "DELETE", delete_file, false },
	{ "DELETE of a directory", delete_dir, false },
	{ "RENAME", move_file, false },
	{ "RENAME of a directory", move_dir, false },
	{ "RENAME of an empty directory", move_empty, false },
	{ "SUBSCRIBE", subscribe_one, true },
	{ "UNSUBSCRIBE", unsubscribe_one, true },
};

/* States before and after, with and without directories. */
struct states {
	char *old[2], *new[2];
	unsigned calls;
};

static void
take_states(const struct scenario *sc, struct states *s)
{
	prepare();
	s->old[0] = look_around(false);
	s->old[1] = look_around(true);
	disk.calls = 0;
	disk.armed = true;
	if (sc->run() != E_OK)
		exit(99);
	disk.armed = false;
	s->calls = disk.calls;
	s->new[0] = look_around(false);
	s->new[1] = look_around(true);
}

static void
free_states(struct states *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		free(s->old[i]);
		free(s->new[i]);
	}
}

/* Every call fails once, in each of these ways. */
static void
test_failures(const struct scenario *sc)
{
	static const int errors[] = { EIO, ENOSPC, EACCES, EROFS, EXDEV };
	struct states s;
	char name[128], *now;
	unsigned i, bad = 0, tried = 0;
	bool old, new;
	int e;

	take_states(sc, &s);
	for (i = 0; i < s.calls * 5; i++, tried++) {
		prepare();
		disk.calls = 0;
		disk.fail_at = i / 5 + 1;
		disk.fail_errno = errors[i % 5];
		disk.armed = true;
		e = sc->run();
		disk.armed = false;
		disk.fail_at = 0;
		now = look_around(true);
		old = strcmp(now, s.old[1]) == 0;
		new = strcmp(now, s.new[1]) == 0;
		if (!(e == E_OK ? new : old || (sc->late && new))) {
			printf("# call %u, errno %d: %d\n%s", i / 5 + 1,
			    errors[i % 5], e, now);
			bad++;
		}
		free(now);
	}
	snprintf(name, sizeof(name), "%s, any call failing: done, or all as "
	    "it was", sc->name);
	CHECK(name, tried > 0 && bad == 0);
	printf("# %u tried\n", tried);
	free_states(&s);
}

/* In a process that dies before call n. True when it did. */
static bool
killed(const struct scenario *sc, unsigned n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		disk.calls = 0;
		disk.kill_at = n;
		disk.armed = true;
		_exit(sc->run() == E_OK ? 0 : 1);
	}
	if (waitpid(pid, &status, 0) != pid)
		exit(99);
	return WIFSIGNALED(status);
}

/* Before every call, and then all is done once more. */
static void
test_kills(const struct scenario *sc)
{
	struct states s;
	char name[128], *now;
	unsigned n, bad = 0;
	bool good;
	int e;

	take_states(sc, &s);
	for (n = 1; prepare(), killed(sc, n); n++) {
		now = look_around(false);
		good = strcmp(now, s.old[0]) == 0 || strcmp(now, s.new[0]) ==
		    0;
		if (!good)
			printf("# before call %u:\n%s", n, now);
		free(now);
		e = sc->run();
		now = look_around(false);
		if (strcmp(now, s.new[0]) != 0) {
			printf("# again after call %u: %d\n%s", n, e, now);
			good = false;
		}
		bad += !good;
		free(now);
	}
	snprintf(name, sizeof(name), "%s, killed at any call: the old state "
	    "or the new one", sc->name);
	CHECK(name, n == s.calls + 1 && bad == 0);
	printf("# %u tried\n", n - 1);
	free_states(&s);
}

/* What a killed process may have told before is not given again. */
static void
test_killed_draw(void)
{
	uint32_t told, v;
	unsigned n, bad = 0;
	int status, fds[2];
	pid_t pid;

	begin(NULL);
	for (n = 1;; n++) {
		if (pipe(fds) == -1 || (pid = fork()) == -1)
			exit(99);
		if (pid == 0) {
			disk.calls = 0;
			disk.kill_at = n;
			disk.armed = true;
			v = draw(0);
			_exit(write(fds[1], &v, sizeof(v)) != sizeof(v));
		}
		close(fds[1]);
		if (waitpid(pid, &status, 0) != pid)
			exit(99);
		if (read(fds[0], &told, sizeof(told)) != sizeof(told))
			told = 0;
		close(fds[0]);
		v = draw(0);
		bad += v <= told || v <= (uint32_t)time(NULL) - 60;
		if (!WIFSIGNALED(status))
			break;
	}
	CHECK("a UIDVALIDITY told by a process that is killed is not told "
	    "again", bad == 0 && n > 5);
}

int
main(void)
{
	size_t i;

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
	test_uidvalidity();
	test_subscribe();
	test_subscriptions_of_dovecot();
	test_odd_lists();
	test_numbers_at_once();
	test_names_at_once();
	for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		test_failures(&scenarios[i]);
		test_kills(&scenarios[i]);
	}
	test_killed_draw();
	disk.no_tmpfile = true;
	test_failures(&scenarios[0]);
	home_remove();
	return unit_end();
}
