/*
 * auth_file.c - password files of lines user:hash:uid:gid:gecos:home[:...],
 * for mail accounts that the system need not know. Reads and takes apart;
 * whether a password is right it does not know. Whoever stands in the file
 * is decided by it: a line that names a user and is broken is a no, not a
 * user whom the next method might let in.
 */
#include "auth_own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fs.h"

enum { FIELDS = 6 };

static const struct {
	struct str text;
	bool prefix;
} locked[] = {
	/* shadow(5): the line can not be used to log in. The last two: what
	 * other systems write; "x": it stands in another file. */
	{ { "!", 1 }, true },
	{ { "*", 1 }, true },
	{ { "NP", 2 }, true },
	{ { "x", 1 }, false },
};

/* Who may write to it decides who may log in, so nobody else may. */
static enum auth_reason
trusted(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return AUTH_FILE_NONE;
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
	    (st->st_uid != 0 && st->st_uid != geteuid()))
		return AUTH_FILE_OPEN_TO_ALL;
	return AUTH_RIGHT;
}

static enum auth_reason
read_all(int fd, struct buf *out)
{
	enum auth_reason reason;
	struct stat st;
	size_t n;
	char *to;

	if (fstat(fd, &st) != 0)
		return AUTH_FILE_CLOSED;
	errno = 0;
	reason = trusted(&st);
	if (reason != AUTH_RIGHT || st.st_size == 0)
		return reason;
	errno = EFBIG;
	n = (size_t)st.st_size;
	to = buf_grow(out, n);
	if (to == NULL || fs_pread(fd, to, n, 0) != 0)
		return AUTH_FILE_CLOSED;
	out->n += n;
	return AUTH_RIGHT;
}

/* Without waiting for a FIFO's other end. */
enum auth_reason
auth_file_read(const char *path, struct buf *out)
{
	enum auth_reason reason;
	int fd, e;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return AUTH_FILE_CLOSED;
	reason = read_all(fd, out);
	e = errno;
	close(fd);
	errno = e;
	return reason;
}

/* The next line that is no comment, without its end. */
static bool
next_line(struct str *text, struct str *line)
{
	while (str_line(text, line)) {
		*line = str_chomp(*line);
		if (line->n > 0 && line->p[0] != '#')
			return true;
	}
	return false;
}

static bool
split(struct str line, struct str field[FIELDS])
{
	size_t i, n;

	for (i = 0; i < FIELDS; i++) {
		n = str_index(line, ':');
		if (n == line.n && i < FIELDS - 1)
			return false;
		field[i] = str_sub(line, 0, n);
		line = str_from(line, n + 1);
	}
	return true;
}

static bool
is_whole(struct str line, struct auth_entry *e)
{
	struct str field[FIELDS];
	uint32_t uid, gid;

	if (line.n > AUTH_LINE_BYTES || str_index(line, '\0') < line.n ||
	    !split(line, field) || !str_u32(field[2], &uid) ||
	    !str_u32(field[3], &gid))
		return false;
	e->uid = uid;
	e->gid = gid;
	e->hash = field[1];
	e->home = field[5];
	return e->home.n > 0 && e->home.n < PATH_MAX && e->home.p[0] == '/';
}

static struct auth_entry
entry_of(struct str line)
{
	struct auth_entry e = { .whole = false };

	e.user = str_sub(line, 0, str_index(line, ':'));
	e.whole = is_whole(line, &e);
	return e;
}

bool
auth_file_find(struct str text, struct str user, struct auth_entry *entry)
{
	struct str line;

	while (user.n > 0 && next_line(&text, &line)) {
		*entry = entry_of(line);
		if (str_eq(entry->user, user))
			return true;
	}
	return false;
}

struct str
auth_file_hash(struct str text)
{
	struct auth_entry e;
	struct str line;

	while (next_line(&text, &line)) {
		e = entry_of(line);
		if (e.whole && auth_hash_kind(e.hash) == AUTH_RIGHT)
			return e.hash;
	}
	return STR("");
}

/* A letter of the base 64 that crypt(3) writes. */
static bool
is_letter(unsigned char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '.' || c == '/';
}

static bool
all(struct str s, bool (*test)(unsigned char c))
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!test((unsigned char)s.p[i]))
			return false;
	return true;
}

static bool
is_graph(unsigned char c)
{
	return c > ' ' && c <= '~';
}

/*
 * What looks like nothing must not reach crypt(3): any two letters are a
 * setting of the old DES hash to it. That hash itself ends a password after
 * eight letters and is found in hours, so it is refused.
 */
enum auth_reason
auth_hash_kind(struct str hash)
{
	enum { DES_BYTES = 13 };
	size_t i;

	if (hash.n == 0)
		return AUTH_EMPTY_HASH;
	for (i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		if (locked[i].prefix ? str_starts(hash, locked[i].text) :
		    str_eq(hash, locked[i].text))
			return AUTH_LOCKED;
	if (hash.n < DES_BYTES || hash.n >= AUTH_HASH_ROOM ||
	    !all(hash, is_graph))
		return AUTH_NO_HASH;
	if (hash.p[0] == '$' || hash.p[0] == '_')
		return AUTH_RIGHT;
	return hash.n == DES_BYTES && all(hash, is_letter) ? AUTH_DES :
	    AUTH_NO_HASH;
}
