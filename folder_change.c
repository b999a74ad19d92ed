/*
 * folder_change.c - CREATE, DELETE and RENAME: the only file that makes,
 * removes or renames mailboxes. Writes no byte of an existing one, but lets
 * rewrite.c finish what it has begun. A name is looked up by folder.c; then
 * the way to it is walked anew from the home, directory by directory and
 * through no symbolic link, so that nothing that happens in between can lead
 * out of the tree.
 *
 * Each change is one system call, with all that must be on the disk before
 * it done before and the directory synced behind it: whoever is killed in
 * here leaves the old state or the new one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "folder_own.h"
#include "mbox_write.h"
#include "rewrite.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pseudo.h"

/* Larger than a pseudo message can be. */
enum { PSEUDO_MAX_BYTES = 4096 };

/* A place in the tree: a directory and a name in it. */
struct place {
	struct path path;	/* resolved but for its last name */
	const char *name;	/* the last one, in path */
	int dir;		/* the directory, open; -1: not yet */
	size_t made;		/* length of the path of the first directory
				 * that was made on the way; 0: none */
};

/* errno in words, under the enum err that it means. */
static int
failed(struct why *why, const char *what)
{
	enum err e = folder_errno(errno);

	return why_set(why, e, "%s: %s", what, strerror(errno));
}

static int
refused(struct why *why, enum folder_no no, const char *text)
{
	why_set(why, E_OK, "%s", text);
	return no;
}

/* ---- the way to a name ---- */

static void
close_place(struct place *at)
{
	if (at->dir >= 0)
		close(at->dir);
	at->dir = -1;
}

/* Removes the directories that were made, unless others use them by now. */
static void
take_back(struct place *at)
{
	struct path path = at->path;
	size_t n = path.n;

	while (at->made > 0 && n > at->made) {
		while (path.p[--n] != '/')
			continue;
		path_cut(&path, n);
		rmdir(path.p);
	}
	at->made = 0;
}

/* Goes one directory down, making it if it is missing and `make` is set.
 * part is a piece of at->path. */
static int
step_down(struct place *at, struct str part, bool make)
{
	char name[NAME_MAX + 1];
	int fd;

	if (part.n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, part.p, part.n);
	name[part.n] = '\0';
	fd = openat(at->dir, name, FOLDER_OPEN | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(at->dir, name, 0700) == 0) {
			if (at->made == 0)
				at->made = (size_t)(part.p + part.n -
				    at->path.p);
		} else if (errno != EEXIST)
			return -1;
		if (fs_sync_dir(at->dir) != 0)
			return -1;
		fd = openat(at->dir, name, FOLDER_OPEN | O_DIRECTORY);
	}
	if (fd < 0)
		return -1;
	close(at->dir);
	at->dir = fd;
	return 0;
}

/*
 * Opens the directory of at->path, which lies below the home. close_place
 * is due either way, after take_back if what was made is not wanted.
 */
static int
open_place(const struct folders *f, struct place *at, bool make,
    struct why *why)
{
	struct str rest = str_from(path_str(&at->path), str_c(f->home).n + 1);
	struct str part;

	at->dir = open(f->home[0] != '\0' ? f->home : "/",
	    FOLDER_OPEN | O_DIRECTORY);
	if (at->dir < 0)
		return failed(why, "cannot open the home directory");
	while (folder_part(&rest, &part) && rest.p != NULL) {
		if (step_down(at, part, make) == 0)
			continue;
		if (errno == ENOTDIR)
			return why_set(why, E_NAME, "a mailbox, or another "
			    "file, has no mailboxes below it");
		return failed(why, "cannot enter the directory");
	}
	at->name = part.p;
	return E_OK;
}

/*
 * Where the name itself stands, as it is on the disk, without following it
 * if it is a symbolic link. The name leads to something.
 */
static int
find_place(const struct folders *f, struct str name, struct place *at,
    struct stat *st, struct why *why)
{
	struct buf raw = BUF_MAX(FOLDER_SHOWN_MAX);
	size_t lead = folder_lead(f, name), n = name.n;
	struct folder above;
	enum err e;

	at->dir = -1;
	at->made = 0;
	while (n > lead && name.p[n - 1] != '/')
		n--;
	if (n == lead)
		e = folder_root(f, &at->path);
	else {
		/* What a directory is called by folder_path. */
		e = folder_path(f, str_sub(name, 0, n - 1), &above, NULL);
		if (e == E_NOTMBOX)
			e = path_set(&at->path, str_c(above.path)) ? E_OK :
			    E_NAME;
	}
	if (e == E_OK && !path_add(&at->path, str_from(name, n)))
		e = E_NAME;
	if (e == E_OK && lstat(at->path.p, st) != 0) {
		path_cut(&at->path, at->path.n - (name.n - n) - 1);
		if (!folder_raw(str_from(name, n), &raw) ||
		    !path_add(&at->path, buf_str(&raw)) ||
		    lstat(at->path.p, st) != 0)
			e = E_NOENT;
	}
	buf_free(&raw);
	return e == E_OK ? E_OK : why_set(why, e, "there is no such mailbox");
}

/*
 * Finds where a new name is to be. LIST goes so deep and no deeper, and a
 * mailbox that it does not show would be as good as lost.
 */
static int
find_vacant(const struct folders *f, struct str name, struct place *at,
    struct why *why)
{
	struct str rest = str_from(name, folder_lead(f, name)), part;
	struct folder to;
	unsigned above = 0;
	enum err e;

	at->dir = -1;
	at->made = 0;
	e = folder_path(f, name, &to, why);
	if (e == E_OK)
		return refused(why, FOLDER_EXISTS, "there is such a mailbox");
	if (e == E_NOTMBOX)
		return refused(why, FOLDER_EXISTS, "there is a directory, or "
		    "another file, of this name");
	if (e != E_NOENT)
		return e;
	while (folder_part(&rest, &part) && rest.p != NULL)
		above++;
	if (above > LIST_DEPTH_MAX)
		return why_set(why, E_LIMIT, "more than %d levels",
		    LIST_DEPTH_MAX);
	return path_set(&at->path, str_c(to.path)) ? E_OK :
	    why_set(why, E_NAME, "the path is too long");
}

/* ---- CREATE ---- */

static int
create_mailbox(const struct folders *f, struct place *at, const char *host,
    struct why *why)
{
	static const struct keywords none;
	struct buf text = BUF_MAX(PSEUDO_MAX_BYTES);
	struct date now = { .time = time(NULL) };
	uint32_t uidvalidity;
	int e;

	e = folder_uidvalidity(f, 0, &uidvalidity, why);
	if (e != E_OK)
		return e;
	date_to_local(&now);
	pseudo_message(&text, str_c(host), &now, uidvalidity, 0, &none);
	if (fs_create(at->dir, at->name, buf_str(&text)) != 0)
		e = errno == EEXIST ? refused(why, FOLDER_EXISTS,
		    "there is something of this name") :
		    failed(why, "cannot make the mailbox");
	buf_free(&text);
	return e;
}

static int
create_directory(struct place *at, struct why *why)
{
	int e;

	if (mkdirat(at->dir, at->name, 0700) != 0)
		return errno == EEXIST ? refused(why, FOLDER_EXISTS,
		    "there is something of this name") :
		    failed(why, "cannot make the directory");
	if (fs_sync_dir(at->dir) == 0)
		return E_OK;
	e = failed(why, "cannot make the directory");
	unlinkat(at->dir, at->name, AT_REMOVEDIR);
	return e;
}

/*
 * RFC 3501 6.3.3: a trailing delimiter "is a declaration that the client
 * intends to create mailbox names under this name", and "the name created
 * is without the trailing hierarchy delimiter."
 */
int
folder_create(const struct folders *f, struct str name, const char *host,
    struct why *why)
{
	bool directory = name.n > 0 && name.p[name.n - 1] == '/';
	struct place at;
	int e;

	if (directory)
		name.n--;
	e = find_vacant(f, name, &at, why);
	if (e != E_OK)
		return e;
	e = open_place(f, &at, true, why);
	if (e == E_OK)
		e = directory ? create_directory(&at, why) :
		    create_mailbox(f, &at, host, why);
	if (e != E_OK)
		take_back(&at);
	close_place(&at);
	return e;
}

/* ---- DELETE ---- */

/*
 * A name has been used up to now, perhaps with a UIDVALIDITY that another
 * program took from the clock: whatever is made under it later, within this
 * second or after, has a larger one. RFC 3501 6.3.4 wants that. Deleting
 * must be possible on a full disk, so a failure is only noted.
 */
static void
retire_name(const struct folders *f)
{
	struct why why = { .text = "" };
	time_t now = time(NULL);
	uint32_t unused;

	if (now > 0 && now < INT32_MAX && folder_uidvalidity(f,
	    (uint32_t)now + 1, &unused, &why) != E_OK)
		log_warn("%s", why.text);
}

static void
unlock_mailbox(int fd)
{
	if (fd < 0)
		return;
	lock_drop(fd);
	close(fd);
}

/*
 * Waits until no program is at work on the mailbox; the descriptor holds
 * the lock. A rewrite of it that a dead process left unfinished is finished:
 * the journal knows the mailbox by the name that it now loses. A file that
 * has another name lives on under that, so it does not matter who writes to
 * it, and lock_write would refuse it.
 */
static int
lock_mailbox(const struct folders *f, const struct place *at,
    const struct stat *st, enum lock_dotlock dot, int *fd, struct why *why)
{
	struct path dir;
	enum err e;

	*fd = -1;
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
		return E_OK;
	*fd = openat(at->dir, at->name, O_RDWR | O_NONBLOCK | O_NOCTTY |
	    O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return failed(why, "cannot open the mailbox");
	e = lock_write(*fd, at->path.p, dot, LOCK_TIMEOUT, why);
	if (e == E_GONE)
		e = why_set(why, E_INUSE, "another program has just replaced "
		    "the mailbox");
	if (e == E_OK && folder_state_dir(f, &dir) == 0)
		e = rewrite_recover(dir.p, *fd, true, why);
	if (e != E_OK) {
		unlock_mailbox(*fd);
		*fd = -1;
	}
	return e;
}

/*
 * It is done and can not be taken back: NO would be a lie. What a power cut
 * can bring back is the old name.
 */
static void
sync_after(const struct place *at)
{
	if (fs_sync_dir(at->dir) != 0)
		log_warn("cannot sync a mail directory: %s", strerror(errno));
}

static int
delete_directory(struct place *at, struct why *why)
{
	if (unlinkat(at->dir, at->name, AT_REMOVEDIR) == 0)
		return E_OK;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return refused(why, FOLDER_CHILDREN, "there are mailboxes or "
		    "other files below this name");
	return failed(why, "cannot remove the directory");
}

static int
delete_mailbox(const struct folders *f, struct place *at,
    const struct stat *st, enum lock_dotlock dot, struct why *why)
{
	struct path own;
	int e, fd;

	retire_name(f);
	e = lock_mailbox(f, at, st, dot, &fd, why);
	if (e == E_OK && unlinkat(at->dir, at->name, 0) != 0)
		e = failed(why, "cannot remove the mailbox");
	unlock_mailbox(fd);
	if (e == E_OK && st->st_nlink == 1 && folder_state_dir(f, &own) == 0)
		mbox_gone(own.p, st->st_dev, st->st_ino);
	return e;
}

/*
 * A symbolic link to a mailbox is a name of it and goes alone; one to a
 * directory is no mailbox and stays.
 */
int
folder_delete(const struct folders *f, struct str name,
    enum lock_dotlock dot, struct why *why)
{
	struct place at;
	struct folder found;
	struct stat st;
	bool directory;
	int e;

	e = folder_path(f, name, &found, why);
	if (found.inbox)
		return why_set(why, E_NAME, "INBOX is never deleted");
	if (e != E_OK && e != E_NOTMBOX)
		return e;
	directory = e == E_NOTMBOX;
	e = find_place(f, name, &at, &st, why);
	if (e != E_OK)
		return e;
	if (directory && !S_ISDIR(st.st_mode))
		return why_set(why, E_NOTMBOX, "this is not a mailbox");
	e = open_place(f, &at, false, why);
	if (e == E_OK)
		e = directory ? delete_directory(&at, why) :
		    delete_mailbox(f, &at, &st, dot, why);
	if (e == E_OK)
		sync_after(&at);
	close_place(&at);
	return e;
}

/* ---- RENAME ---- */

/* What LIST shows below a directory. */
struct below {
	struct str lead;	/* the directory's name and a slash */
	bool mailbox;
};

static void
see_below(void *ctx, struct str name, unsigned attributes)
{
	struct below *below = ctx;

	if (str_starts(name, below->lead) && !(attributes & FOLDER_NOSELECT))
		below->mailbox = true;
}

/* Does LIST show a mailbox below the directory of this name? */
static int
look_below(const struct folders *f, struct str name, bool *mailbox,
    struct why *why)
{
	struct pool *pool = pool_new();
	struct buf lead = BUF_MAX(FOLDER_SHOWN_MAX);
	struct below below = { .mailbox = false };
	int e;

	buf_add(&lead, name);
	buf_addc(&lead, '/');
	below.lead = buf_str(&lead);
	e = folder_list(f, pool, below.lead, STR("*"), see_below, &below,
	    why);
	*mailbox = below.mailbox;
	buf_free(&lead);
	pool_free(pool);
	return e;
}

/*
 * Where the file system can not refuse by itself to rename over something.
 * A mailbox has both names for a moment, but at no time none. A directory
 * can only take the place of an empty one.
 */
static int
move_stepwise(const struct place *from, const struct place *to,
    bool directory)
{
	if (directory)
		return renameat(from->dir, from->name, to->dir, to->name);
	return linkat(from->dir, from->name, to->dir, to->name, 0) == 0 ?
	    unlinkat(from->dir, from->name, 0) : -1;
}

static int
move(const struct place *from, const struct place *to, bool directory,
    struct why *why)
{
	int r = renameat2(from->dir, from->name, to->dir, to->name,
	    RENAME_NOREPLACE);

	if (r != 0 && (errno == EINVAL || errno == ENOSYS))
		r = move_stepwise(from, to, directory);
	if (r == 0)
		return E_OK;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return refused(why, FOLDER_EXISTS, "there is something of "
		    "this name");
	if (errno == EXDEV)
		return why_set(why, E_NAME, "the new name lies on another "
		    "file system");
	return failed(why, "cannot rename");
}

/*
 * A directory without a mailbox is nothing that LIST shows, and if it holds
 * other files it is none of ours: the home is full of such. rmdir tells an
 * empty one from those.
 */
static int
move_empty(const struct place *from, struct place *to, struct why *why)
{
	int e = create_directory(to, why);

	if (e != E_OK || unlinkat(from->dir, from->name, AT_REMOVEDIR) == 0)
		return e;
	e = errno == ENOTEMPTY || errno == EEXIST ?
	    why_set(why, E_NOTMBOX, "there is no mailbox below this name") :
	    failed(why, "cannot rename the directory");
	unlinkat(to->dir, to->name, AT_REMOVEDIR);
	return e;
}

/* The mailbox below a directory whose rewrite is not finished, if any: one
 * journal is all that a user has. */
static bool
find_unfinished(const struct folders *f, const struct place *directory,
    struct place *at, struct stat *st)
{
	struct rewrite_pending p;

	if (folder_state_dir(f, &at->path) != 0 ||
	    rewrite_pending(at->path.p, &p) != E_OK ||
	    !path_within(path_str(&directory->path), str_c(p.path)) ||
	    !path_set(&at->path, str_c(p.path)))
		return false;
	at->dir = AT_FDCWD;
	at->name = at->path.p;
	return lstat(at->path.p, st) == 0 && st->st_dev == p.dev &&
	    st->st_ino == p.ino;
}

/*
 * Finishes it. A session that begins another rewrite right behind it can do
 * that where the mailbox then is: it has it open.
 */
static int
finish_below(const struct folders *f, const struct place *directory,
    enum lock_dotlock dot, struct why *why)
{
	struct place at;
	struct stat st;
	int e, fd;

	if (!find_unfinished(f, directory, &at, &st))
		return E_OK;
	e = lock_mailbox(f, &at, &st, dot, &fd, why);
	unlock_mailbox(fd);
	if (e == E_OK && find_unfinished(f, directory, &at, &st))
		e = why_set(why, E_INUSE, "a mailbox below this name is "
		    "being rewritten");
	return e;
}

/* RFC 3501 6.3.5: "inferior hierarchical names MUST also be renamed." */
static int
rename_directory(const struct folders *f, struct str name,
    const struct place *from, struct place *to, enum lock_dotlock dot,
    struct why *why)
{
	bool mailbox;
	int e;

	if (path_within(path_str(&from->path), str_c(f->inbox)))
		return why_set(why, E_NAME, "INBOX lies below this name");
	e = look_below(f, name, &mailbox, why);
	if (e != E_OK)
		return e;
	if (!mailbox)
		return move_empty(from, to, why);
	retire_name(f);
	e = finish_below(f, from, dot, why);
	return e == E_OK ? move(from, to, true, why) : e;
}

static int
rename_mailbox(const struct folders *f, const struct place *from,
    const struct place *to, const struct stat *st, enum lock_dotlock dot,
    struct why *why)
{
	int e, fd;

	if (S_ISLNK(st->st_mode))
		return why_set(why, E_NOTMBOX, "a symbolic link is not "
		    "renamed, it might then lead elsewhere");
	retire_name(f);
	e = lock_mailbox(f, from, st, dot, &fd, why);
	if (e == E_OK)
		e = move(from, to, false, why);
	unlock_mailbox(fd);
	return e;
}

/* What is renamed, once it is known what it is and where it goes. */
static int
rename_place(const struct folders *f, struct str name,
    struct place *from, struct place *to, const struct stat *st,
    enum lock_dotlock dot, struct why *why)
{
	int e;

	if (path_within(path_str(&from->path), path_str(&to->path)))
		return why_set(why, E_NAME, "a name can not move below "
		    "itself");
	e = open_place(f, from, false, why);
	if (e == E_OK)
		e = open_place(f, to, true, why);
	if (e == E_OK)
		e = S_ISDIR(st->st_mode) ?
		    rename_directory(f, name, from, to, dot, why) :
		    rename_mailbox(f, from, to, st, dot, why);
	if (e == E_OK) {
		sync_after(to);
		sync_after(from);
	} else
		take_back(to);
	close_place(to);
	close_place(from);
	return e;
}

int
folder_rename(const struct folders *f, struct str from, struct str to,
    enum lock_dotlock dot, struct why *why)
{
	struct place old, new;
	struct folder found;
	struct stat st;
	enum err looked;
	int e;

	looked = folder_path(f, from, &found, why);
	if (looked != E_OK && looked != E_NOTMBOX)
		return looked;
	e = find_vacant(f, to, &new, why);
	if (e != E_OK)
		return e;
	if (found.inbox)
		return refused(why, FOLDER_INBOX, "INBOX is emptied, not "
		    "renamed");
	e = find_place(f, from, &old, &st, why);
	if (e != E_OK)
		return e;
	if (looked == E_NOTMBOX && !S_ISDIR(st.st_mode))
		return why_set(why, E_NOTMBOX, "this is not a mailbox");
	return rename_place(f, from, &old, &new, &st, dot, why);
}
