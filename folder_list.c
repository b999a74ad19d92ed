/*
 * folder_list.c - LIST and LSUB: which names there are. LIST walks the tree
 * once, whatever the pattern; a directory is read once, and a file is opened
 * only when its name matches or when it matters whether its directory holds
 * any mailbox. What can not be looked at is hidden, but when the system
 * itself fails all of LIST does: a client that is shown half a list throws
 * away what it keeps of the other half.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "folder_own.h"
#include "lib/fs.h"
#include "lib/match.h"

/* The list of subscriptions; a busy user has some hundreds. */
enum { SUBSCRIPTIONS_MAX_BYTES = 1048576 };

struct row {
	struct str name;
	unsigned attributes;
};

struct rows {
	struct pool *pool;
	struct row *at;
	size_t n;
	size_t room;
};

static void
rows_add(struct rows *rows, struct str name, unsigned attributes)
{
	struct row *more;

	if (rows->n == rows->room) {
		rows->room = rows->room == 0 ? 64 : rows->room * 2;
		more = pool_array(rows->pool, rows->room, sizeof(*more));
		if (rows->n > 0)
			memcpy(more, rows->at, rows->n * sizeof(*more));
		rows->at = more;
	}
	rows->at[rows->n++] = (struct row){ name, attributes };
}

static int
row_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int r = memcmp(x->name.p, y->name.p, n);

	return r != 0 ? r : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* Shows each name once, with the attributes that all its rows have. */
static void
rows_show(struct rows *rows, folder_show *show, void *ctx)
{
	struct row *row, *end;

	if (rows->n == 0)
		return;
	qsort(rows->at, rows->n, sizeof(*rows->at), row_compare);
	end = rows->at + rows->n;
	for (row = rows->at; row < end; row++) {
		if (row + 1 < end && row_compare(row, row + 1) == 0)
			row[1].attributes &= row[0].attributes;
		else
			show(ctx, row->name, row->attributes);
	}
}

/*
 * RFC 3501 6.3.8: the canonical form "is normally the reference name
 * appended with the mailbox name", but leading "break out characters"
 * "override the current working directory", as "/" and "~" do in its
 * examples and here.
 */
static enum err
interpret(struct pool *pool, struct str reference, struct str pattern,
    struct str *out, struct why *why)
{
	char *p;

	if (pattern.n > 0 && (pattern.p[0] == '/' || pattern.p[0] == '~'))
		reference.n = 0;
	/* No name is as long, so nothing is missed; and the time to match
	 * grows with the pattern. */
	if (reference.n > NAME_MAX_BYTES || pattern.n > NAME_MAX_BYTES ||
	    reference.n + pattern.n > NAME_MAX_BYTES)
		return why_set(why, E_LIMIT, "reference and pattern together "
		    "are longer than %d bytes", NAME_MAX_BYTES);
	p = pool_alloc(pool, reference.n + pattern.n);
	if (reference.n > 0)
		memcpy(p, reference.p, reference.n);
	if (pattern.n > 0)
		memcpy(p + reference.n, pattern.p, pattern.n);
	*out = (struct str){ p, reference.n + pattern.n };
	return E_OK;
}

/* ---- LIST ---- */

struct walk {
	const struct folders *f;
	struct str pattern;
	struct rows rows;
	struct buf name;	/* as it is shown, of what is being looked at */
	struct stat inbox;	/* the INBOX file, st_ino 0 when missing */
	bool inbox_parent;	/* there are mailboxes INBOX/... */
	enum err err;
	struct why *why;
};

/* One directory on the way down. */
struct dir {
	struct path *path;	/* resolved */
	int fd;
	unsigned depth;		/* 0 is the root */
	bool linked;		/* reached through a symlink */
	bool listed;		/* names in it can match the pattern */
	bool wanted;		/* it is shown if it holds a mailbox */
	bool found;		/* it holds one */
};

static void	walk(struct walk *w, struct dir *d);

static void
walk_failed(struct walk *w, int e)
{
	if (folder_errno(e) == E_IO)
		w->err = why_set(w->why, E_IO,
		    "cannot read the mail directory: %s", strerror(e));
}

static void
list_file(struct walk *w, struct dir *d, int at, const char *name)
{
	struct stat st;
	bool matched;
	enum err e;

	matched = d->listed && match_list(w->pattern, buf_str(&w->name), '/');
	if (!matched && (!d->wanted || d->found))
		return;
	e = folder_sniff(at, name, &st);
	if (e == E_IO)
		walk_failed(w, errno);
	if (e != E_OK || (st.st_ino == w->inbox.st_ino &&
	    st.st_dev == w->inbox.st_dev))
		return;
	d->found = true;
	/* RFC 3348: with \Noinferiors "the \HasNoChildren attribute is
	 * redundant and SHOULD be omitted". */
	if (matched)
		rows_add(&w->rows, pool_copy(w->rows.pool, buf_str(&w->name)),
		    FOLDER_NOINFERIORS);
}

/* A directory is shown where it matches and holds a mailbox. */
static void
list_dir(struct walk *w, struct dir *d, int at, const char *name,
    struct path *path, bool inbox)
{
	struct dir sub = { .path = path, .depth = d->depth + 1 };
	size_t was = w->name.n;
	bool matched;

	matched = d->listed && match_list(w->pattern, buf_str(&w->name), '/');
	sub.linked = d->linked || path != d->path;
	sub.wanted = matched || (d->wanted && !d->found);
	buf_addc(&w->name, '/');
	sub.listed = d->listed &&
	    match_list_below(w->pattern, buf_str(&w->name), '/');
	if (sub.depth > LIST_DEPTH_MAX || (!sub.listed && !sub.wanted))
		return;
	sub.fd = openat(at, name, FOLDER_OPEN | O_DIRECTORY);
	if (sub.fd == -1) {
		walk_failed(w, errno);
		return;
	}
	walk(w, &sub);
	if (!sub.found)
		return;
	d->found = true;
	if (matched && inbox)
		w->inbox_parent = true;
	else if (matched)
		rows_add(&w->rows, pool_copy(w->rows.pool,
		    str_sub(buf_str(&w->name), 0, was)),
		    FOLDER_NOSELECT | FOLDER_HASCHILDREN);
}

/*
 * What a symlink leads to. A directory above is not entered again; and of
 * links to directories only one is followed on any way down, for links
 * among n directories make more than 2^n ways.
 */
static void
list_link(struct walk *w, struct dir *d, const char *name, bool inbox)
{
	struct path path = *d->path;
	struct stat st;
	enum err e;

	if (!path_add(&path, str_c(name)))
		return;
	e = folder_follow(w->f, &path);
	if (e == E_IO)
		walk_failed(w, errno);
	if (e != E_OK || lstat(path.p, &st) == -1)
		return;
	if (S_ISREG(st.st_mode) && !inbox)
		list_file(w, d, AT_FDCWD, path.p);
	else if (S_ISDIR(st.st_mode) && !d->linked &&
	    !str_eq(path_str(&path), path_str(d->path)) &&
	    !path_within(path_str(&path), path_str(d->path)))
		list_dir(w, d, AT_FDCWD, path.p, &path, inbox);
}

/*
 * Appends the name of a directory entry in its shown form; false when it
 * has none, is hidden, or could not be asked for: where a name of the same
 * shown form stands beside it, folder_path finds that one.
 */
static bool
list_name(struct walk *w, struct dir *d, struct str raw)
{
	struct str shown;
	struct stat st;
	size_t was = w->name.n;

	if (!folder_visible(raw) || !folder_shown(raw, &w->name) ||
	    w->name.n > NAME_MAX_BYTES)
		return false;
	shown = str_from(buf_str(&w->name), was);
	if (d->depth == 0 && !folder_ours(shown))
		return false;
	if (str_eq(shown, raw))
		return true;
	buf_addc(&w->name, '\0');
	if (fstatat(d->fd, w->name.p + was, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return false;
	w->name.n--;
	return true;
}

/* One entry; w->name is that of the directory, and is left longer. */
static void
list_entry(struct walk *w, struct dir *d, const struct dirent *entry)
{
	unsigned char type = entry->d_type;
	size_t was = w->name.n, path_was = d->path->n;
	struct stat st;
	bool inbox;

	if (!list_name(w, d, str_c(entry->d_name)))
		return;
	/* The name INBOX is taken in any case, whatever stands there. */
	inbox = d->depth == 0 &&
	    str_ieq(str_from(buf_str(&w->name), was), STR("INBOX"));
	if (type == DT_UNKNOWN && fstatat(d->fd, entry->d_name, &st,
	    AT_SYMLINK_NOFOLLOW) == 0)
		type = IFTODT(st.st_mode);
	if (type == DT_REG && !inbox) {
		list_file(w, d, d->fd, entry->d_name);
	} else if (type == DT_LNK) {
		list_link(w, d, entry->d_name, inbox);
	} else if (type == DT_DIR &&
	    path_add(d->path, str_c(entry->d_name))) {
		list_dir(w, d, d->fd, entry->d_name, d->path, inbox);
		path_cut(d->path, path_was);
	}
}

/*
 * Reads one directory and closes it. list_dir bounds the recursion, and with
 * it the number of open descriptors.
 */
static void
walk(struct walk *w, struct dir *d)
{
	const struct dirent *entry;
	size_t was = w->name.n;
	DIR *stream;

	stream = fdopendir(d->fd);
	if (stream == NULL) {
		walk_failed(w, errno);
		close(d->fd);
		return;
	}
	while (w->err == E_OK && (d->listed || !d->found)) {
		errno = 0;
		entry = readdir(stream);
		if (entry == NULL) {
			if (errno != 0)
				walk_failed(w, errno);
			break;
		}
		list_entry(w, d, entry);
		w->name.n = was;
	}
	closedir(stream);
}

/*
 * Walks from the root. The names are shown as the pattern spells the root
 * ("~/", "/home/alex/"), so that they match it. Below a mail directory
 * "~/" is still the home, in which the mail directory is all there is.
 */
static void
walk_root(struct walk *w)
{
	struct path path;
	struct dir top = { .path = &path, .listed = true };
	size_t home = folder_home_lead(w->f, w->pattern);
	struct str root = STR("");
	enum err e;

	buf_add(&w->name, str_sub(w->pattern, 0, home));
	if (w->f->subdir[0] != '\0' && folder_lead(w->f, w->pattern) > 0) {
		buf_add(&w->name, str_c(w->f->subdir));
		root = pool_copy(w->rows.pool, buf_str(&w->name));
		buf_addc(&w->name, '/');
	}
	top.wanted = root.n > 0 && match_list(w->pattern, root, '/');
	e = folder_root(w->f, &path);
	if (e != E_OK) {
		if (e == E_IO)
			walk_failed(w, errno);
		return;
	}
	top.fd = open(path.n > 0 ? path.p : "/", FOLDER_OPEN | O_DIRECTORY);
	if (top.fd == -1) {
		walk_failed(w, errno);
		return;
	}
	walk(w, &top);
	if (top.wanted && top.found)
		rows_add(&w->rows, root, FOLDER_NOSELECT | FOLDER_HASCHILDREN);
}

enum err
folder_list(const struct folders *f, struct pool *pool, struct str reference,
    struct str pattern, folder_show *show, void *ctx, struct why *why)
{
	struct walk w = { .f = f, .rows = { .pool = pool }, .why = why,
	    .name = BUF_MAX(FOLDER_SHOWN_MAX) };

	w.err = interpret(pool, reference, pattern, &w.pattern, why);
	if (w.err != E_OK)
		return w.err;
	if (stat(f->inbox, &w.inbox) == -1)
		w.inbox.st_ino = 0;
	walk_root(&w);
	buf_free(&w.name);
	if (w.err != E_OK)
		return w.err;
	if (match_list(w.pattern, STR("INBOX"), '/'))
		rows_add(&w.rows, STR("INBOX"), w.inbox_parent ?
		    FOLDER_HASCHILDREN : FOLDER_HASNOCHILDREN);
	rows_show(&w.rows, show, ctx);
	return E_OK;
}

/* ---- LSUB ---- */

/* Reads a whole list of subscriptions; E_NOENT when there is none. */
static enum err
list_read(const char *dir, const char *name, struct buf *out,
    struct why *why)
{
	struct path path;
	struct stat st;
	enum err e = E_OK;
	int fd;

	if (!path_set(&path, str_c(dir)) || !path_add(&path, str_c(name)))
		return E_NOENT;
	fd = open(path.p, FOLDER_OPEN);
	if (fd == -1)
		return folder_errno(errno) == E_NOENT ? E_NOENT : why_set(why,
		    folder_errno(errno), "cannot read %s: %s", name,
		    strerror(errno));
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		e = why_set(why, E_IO, "%s is not a plain file", name);
	else if (st.st_size > SUBSCRIPTIONS_MAX_BYTES)
		e = why_set(why, E_LIMIT, "%s is too large", name);
	else if (fs_pread(fd, buf_grow(out, (size_t)st.st_size),
	    (size_t)st.st_size, 0) == -1)
		e = why_set(why, E_IO, "cannot read %s", name);
	else
		out->n = (size_t)st.st_size;
	close(fd);
	return e;
}

/*
 * Makes the names of Dovecot's second format like all others: it begins
 * "V", TAB, "2", and keeps a TAB between levels. What it escapes (0x01)
 * is no name that a mailbox of ours may have.
 */
static struct str
list_plain(struct buf *list)
{
	struct str head = STR("V\t2\n");
	size_t i;

	if (!str_starts(buf_str(list), head))
		return buf_str(list);
	for (i = head.n; i < list->n; i++)
		if (list->p[i] == '\t')
			list->p[i] = '/';
	return str_from(buf_str(list), head.n);
}

/*
 * One subscribed name. RFC 3501 6.3.9, of "foo/bar" that is subscribed when
 * "foo" is not: "A "%" wildcard to LSUB must return foo, not foo/bar, in the
 * LSUB response, and it MUST be flagged with the \Noselect attribute."
 */
static void
subscribed(const struct folders *f, struct rows *rows, struct str pattern,
    struct str name)
{
	struct str parent;
	size_t i;

	if (str_ieq(name, STR("INBOX")))
		name = STR("INBOX");
	if (!folder_good(str_from(name, folder_lead(f, name))))
		return;
	if (match_list(pattern, name, '/')) {
		rows_add(rows, pool_copy(rows->pool, name), 0);
		return;
	}
	if (str_index(pattern, '%') == pattern.n)
		return;
	name = pool_copy(rows->pool, name);
	for (i = 1; i < name.n; i++) {
		parent = str_sub(name, 0, i);
		if (name.p[i] == '/' && match_list(pattern, parent, '/'))
			rows_add(rows, parent, FOLDER_NOSELECT);
	}
}

enum err
folder_lsub(const struct folders *f, struct pool *pool, struct str reference,
    struct str pattern, folder_show *show, void *ctx, struct why *why)
{
	struct buf list = BUF_MAX(SUBSCRIPTIONS_MAX_BYTES);
	struct buf name = BUF_MAX(FOLDER_SHOWN_MAX);
	struct rows rows = { .pool = pool };
	struct str text, line;
	enum err e;

	e = interpret(pool, reference, pattern, &pattern, why);
	if (e == E_OK)
		e = list_read(f->home, ".mailboxlist", &list, why);
	if (e == E_NOENT)
		e = list_read(f->root, ".subscriptions", &list, why);
	text = list_plain(&list);
	while (e == E_OK && str_line(&text, &line)) {
		buf_clear(&name);
		if (folder_shown(str_chomp(line), &name))
			subscribed(f, &rows, pattern, buf_str(&name));
	}
	if (e == E_NOENT)
		e = E_OK;
	if (e == E_OK)
		rows_show(&rows, show, ctx);
	buf_free(&name);
	buf_free(&list);
	return e;
}
