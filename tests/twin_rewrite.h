/*
 * twin_rewrite.h - what a rewrite must leave in the file, by a naive program
 * that builds the whole file in memory; and the one file that both work on.
 */
#ifndef TWIN_REWRITE_H
#define TWIN_REWRITE_H

#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../journal.h"
#include "../rewrite.h"
#include "../lib/buf.h"
#include "../lib/fs.h"

static char dir[64] = "/tmp/unit_rewrite.XXXXXX";
static char path[80];
static struct keywords names;

enum { MESSAGES = 9 };

struct world {
	struct buf file;
	struct rewrite_item items[MESSAGES];
	uint32_t n;
};

static inline void
new_image(const struct world *w, const struct rewrite_item *it,
    struct buf *out)
{
	struct str old = str_sub(buf_str(&w->file), (size_t)it->off,
	    (size_t)it->len);
	size_t from = str_index(old, '\n') + 1, i;

	if (it->stamped) {
		buf_add(out, str_sub(old, 0, from));
		stamp_header(str_sub(old, from, it->head - from), &it->stamp,
		    out);
		buf_add(out, str_from(old, it->head));
	} else
		buf_add(out, old);
	for (i = 0; i < it->eol; i++)
		buf_addc(out, '\n');
}

static inline void
naive(const struct world *w, struct buf *out)
{
	uint32_t i;

	out->max = SIZE_MAX / 2;
	buf_clear(out);
	for (i = 0; i < w->n; i++)
		if (!w->items[i].drop)
			new_image(w, &w->items[i], out);
}

static inline void
put_file(struct str s)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || fs_pwrite(fd, s.p, s.n, 0) != 0)
		exit(99);
	close(fd);
}

static inline void
get_file(struct buf *b)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	b->max = SIZE_MAX / 2;
	buf_clear(b);
	if (fd < 0 || fstat(fd, &st) != 0 || fs_pread(fd,
	    buf_grow(b, (size_t)st.st_size), (size_t)st.st_size, 0) != 0)
		exit(99);
	b->n = (size_t)st.st_size;
	close(fd);
}

/* Equal, but for blanks before an empty line that make a message begin
 * elsewhere than at the old end. */
static inline bool
equal_but_pad(struct str got, struct str want)
{
	size_t i = 0, pad = got.n - want.n, at;

	if (str_eq(got, want))
		return true;
	if (got.n < want.n || pad > 16)
		return false;
	while (i < want.n && got.p[i] == want.p[i])
		i++;
	for (at = i; at < i + pad; at++)
		if (got.p[at] != ' ')
			return false;
	return memcmp(got.p + i + pad, want.p + i, want.n - i) == 0;
}

/* Do the items say where the messages are, and what is left to do? */
static inline bool
items_true(const struct rewrite *r, struct str file)
{
	int64_t at = r->n > 0 ? r->items[0].off : 0;
	uint32_t i;

	for (i = 0; i < r->n; i++) {
		if (r->items[i].off != at || r->items[i].stamped ||
		    r->items[i].eol > 0 || !str_starts(str_from(file,
		    (size_t)at), STR("From a@b Thu")))
			return false;
		at += r->items[i].len;
	}
	return at == (int64_t)file.n;
}

static inline struct rewrite
rewrite_of(struct world *w, int fd)
{
	return (struct rewrite){
		.fd = fd, .path = path, .dir = dir, .names = &names,
		.items = w->items, .n = w->n, .size = (int64_t)w->file.n,
	};
}

#endif
