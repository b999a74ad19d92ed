/*
 * folder.c - where a user's mail lies, and the file behind a name. A path is
 * not trusted until folder_follow has seen where it leads. Nothing here
 * blocks: FIFOs and devices are told by their type and not opened. Files
 * are opened only to see how they begin, never while a lock is held (with
 * POSIX locks that would lose it), and nothing is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "folder_own.h"
#include "lib/fromline.h"

/* How much of a file is read to see whether it begins as an mbox. */
enum { SNIFF_BYTES = 1024 };

enum err
folder_errno(int e)
{
	switch (e) {
	case ENOENT:
	case ENOTDIR:
		return E_NOENT;
	case EACCES:
	case EPERM:
	case ELOOP:
	case EROFS:
		return E_PERM;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return E_FULL;
	case ENAMETOOLONG:
		return E_NAME;
	case ENXIO:
	case ENODEV:
		return E_NOTMBOX;
	default:
		return E_IO;
	}
}

enum err
folder_follow(const struct folders *f, struct path *path)
{
	struct str root = str_c(f->root), end;
	char real[PATH_MAX];

	if (realpath(path->p, real) == NULL)
		return folder_errno(errno);
	end = str_c(real);
	if (!str_eq(end, str_c(f->inbox)) && (!path_within(root, end) ||
	    !folder_all_visible(str_from(end, root.n + 1))))
		return E_PERM;
	return path_set(path, end) ? E_OK : E_NAME;
}

enum err
folder_root(const struct folders *f, struct path *path)
{
	char real[PATH_MAX];

	if (!path_set(path, str_c(f->root)))
		return E_NAME;
	if (path->n == 0)
		return E_OK;
	if (realpath(path->p, real) == NULL)
		return folder_errno(errno);
	return str_eq(str_c(real), path_str(path)) ? E_OK : E_PERM;
}

/*
 * One component down, by its wire form or by the same name in UTF-8. path
 * is resolved before, and after when this succeeds; on E_NOENT it is where
 * the file would be.
 */
static enum err
step(const struct folders *f, struct path *path, struct str part,
    struct stat *st)
{
	struct buf raw = BUF_MAX(FOLDER_SHOWN_MAX);
	size_t was = path->n;
	enum err e;

	if (!path_add(path, part))
		return E_NAME;
	e = lstat(path->p, st) == 0 ? E_OK : folder_errno(errno);
	if (e == E_NOENT && folder_raw(part, &raw)) {
		path_cut(path, was);
		if (path_add(path, buf_str(&raw)) && lstat(path->p, st) == 0) {
			e = E_OK;
		} else {
			path_cut(path, was);
			path_add(path, part);
		}
	}
	buf_free(&raw);
	if (e == E_OK && S_ISLNK(st->st_mode)) {
		e = folder_follow(f, path);
		if (e == E_OK && lstat(path->p, st) == -1)
			e = folder_errno(errno);
	}
	return e;
}

/* The path of a good name. On E_NOENT it is where the file would be. */
static enum err
resolve(const struct folders *f, struct str name, struct path *path,
    struct stat *st)
{
	struct str part;
	enum err e;

	e = folder_root(f, path);
	while ((e == E_OK || e == E_NOENT) && folder_part(&name, &part)) {
		if (e == E_OK)
			e = step(f, path, part, st);
		else if (!path_add(path, part))
			e = E_NAME;
	}
	return e;
}

/*
 * Leading blank lines and NULs are skipped (mbox.md 1.3). What does not end
 * its From_ line within text is not believed to be one.
 */
static bool
begins_as_mbox(struct str text)
{
	struct str line;

	while (text.n > 0 && (text.p[0] == '\n' || text.p[0] == '\r' ||
	    text.p[0] == '\0'))
		text = str_from(text, 1);
	return str_line(&text, &line) &&
	    fromline_read(line, NULL) != FROMLINE_NOT;
}

/*
 * The time of last access is left alone where that is allowed: by it shells
 * and mutt tell whether there is new mail. A file under a lease (Samba's
 * oplocks are such) can not be opened without waiting; it passes for a
 * mailbox, for one that is gone from LIST for a moment costs a client all
 * that it holds of it.
 */
enum err
folder_sniff(int at, const char *name, struct stat *st)
{
	char text[SNIFF_BYTES];
	ssize_t n;
	enum err e = E_NOTMBOX;
	int fd;

	fd = openat(at, name, FOLDER_OPEN | O_NOATIME);
	if (fd == -1 && errno == EPERM)
		fd = openat(at, name, FOLDER_OPEN);
	if (fd == -1 && errno == EWOULDBLOCK &&
	    fstatat(at, name, st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISREG(st->st_mode) ? E_OK : E_NOTMBOX;
	if (fd == -1)
		return folder_errno(errno);
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) {
		n = read(fd, text, sizeof(text));
		if (n == 0 || (n > 0 &&
		    begins_as_mbox((struct str){ text, (size_t)n })))
			e = E_OK;
	}
	close(fd);
	return e;
}

/*
 * RFC 3501 5.1: INBOX, in any case, is "the primary mailbox for this user
 * on this server". It opens whatever its file holds, and when there is
 * none; only something that is no file at all stands in the way.
 */
static enum err
inbox_path(const struct folders *f, struct path *path)
{
	struct stat st;
	enum err e;

	if (!path_set(path, str_c(f->inbox)))
		return E_NAME;
	if (stat(path->p, &st) == 0)
		return S_ISREG(st.st_mode) ? E_OK : E_NOTMBOX;
	e = folder_errno(errno);
	return e == E_NOENT ? E_OK : e;
}

/* The sentence for a failed look-up; errno is looked at for E_IO only. */
static enum err
explain(struct why *why, enum err e)
{
	switch (e) {
	case E_OK:
		return E_OK;
	case E_NOENT:
		return why_set(why, e, "there is no such mailbox");
	case E_PERM:
		return why_set(why, e, "access to this mailbox is denied");
	case E_NAME:
		return why_set(why, e, "not a name that a mailbox may have");
	case E_NOTMBOX:
		return why_set(why, e, "this is not a mailbox");
	default:
		return why_set(why, e, "cannot look for the mailbox: %s",
		    strerror(errno));
	}
}

enum err
folder_path(const struct folders *f, struct str name, struct folder *out,
    struct why *why)
{
	struct path path = { 0 };
	struct stat st;
	enum err e = E_OK;

	name = str_from(name, folder_lead(f, name));
	out->inbox = str_ieq(name, STR("INBOX"));
	if (!out->inbox) {
		e = folder_good(name) ? resolve(f, name, &path, &st) : E_NAME;
		out->inbox = (e == E_OK || e == E_NOENT) &&
		    str_eq(path_str(&path), str_c(f->inbox));
	}
	if (out->inbox)
		e = inbox_path(f, &path);
	else if (e == E_OK)
		e = S_ISREG(st.st_mode) ?
		    folder_sniff(AT_FDCWD, path.p, &st) : E_NOTMBOX;
	memcpy(out->path, path.p, sizeof(out->path));
	return explain(why, e);
}

/* ---- where the mail of a user lies ---- */

static char *
keep(struct str s)
{
	char *p = xmalloc(s.n + 1);

	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

/* A path without the slashes at its end; "/" becomes "". */
static struct str
no_slash(const char *path)
{
	struct str s = str_c(path);

	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

/*
 * A mail directory that is missing may come later. One that leads out of
 * the home directory is never entered (folder_root sees that it is not
 * where it should be), but INBOX is there all the same.
 */
static enum err
init_root(struct folders *f, const char *mail_dir, struct why *why)
{
	struct str sub = no_slash(mail_dir != NULL ? mail_dir : "");
	struct str rest = sub, part;
	struct path path;
	char real[PATH_MAX];

	while (sub.n > 0 && folder_part(&rest, &part))
		if (part.n == 0 || part.p[0] == '~' ||
		    str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return why_set(why, E_NAME, "the mail directory must "
			    "be a path below the home directory");
	if (!path_set(&path, str_c(f->home)) ||
	    (sub.n > 0 && !path_add(&path, sub)))
		return why_set(why, E_NAME, "the mail directory's path is "
		    "too long");
	f->subdir = keep(sub);
	if (sub.n > 0 && realpath(path.p, real) != NULL &&
	    path_within(str_c(f->home), str_c(real)))
		f->root = keep(str_c(real));
	else
		f->root = keep(path_str(&path));
	return E_OK;
}

/* The INBOX file may be missing, and its directory too. */
static void
init_inbox(struct folders *f, const char *inbox)
{
	struct str name = str_c(inbox);
	struct path path;
	char real[PATH_MAX];
	size_t base = name.n;

	while (inbox[base - 1] != '/')
		base--;
	if (realpath(inbox, real) != NULL) {
		f->inbox = keep(str_c(real));
		return;
	}
	if (path_set(&path, str_sub(name, 0, base)) &&
	    realpath(path.p, real) != NULL &&
	    path_set(&path, no_slash(real)) &&
	    path_add(&path, str_from(name, base)))
		f->inbox = keep(path_str(&path));
	else
		f->inbox = keep(name);
}

enum err
folder_init(struct folders *f, const char *home, const char *mail_dir,
    const char *inbox, struct why *why)
{
	char real[PATH_MAX];
	struct stat st;

	memset(f, 0, sizeof(*f));
	if (home[0] != '/' || inbox[0] != '/')
		return why_set(why, E_NAME, "the paths of the home directory "
		    "and of INBOX must begin with a slash");
	if (realpath(home, real) == NULL || stat(real, &st) == -1)
		return why_set(why, folder_errno(errno),
		    "no home directory: %s", strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return why_set(why, E_NOENT, "the home is no directory");
	f->home = keep(no_slash(real));
	f->given = keep(no_slash(home));
	init_inbox(f, inbox);
	return init_root(f, mail_dir, why);
}

void
folder_free(struct folders *f)
{
	free(f->home);
	free(f->given);
	free(f->root);
	free(f->subdir);
	free(f->inbox);
	memset(f, 0, sizeof(*f));
}
