/*
 * changes_record.c - one record of the log of changes as bytes (INDEX has
 * them), and back. Believes nothing: counts must fit the size to the byte,
 * and each value must be one that could have been meant. Opens and writes no
 * file.
 */
#include "changes_own.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"

enum { ALL_FLAGS = FLAGS_SYSTEM | FLAG_OLD };

/* Then names that are added, names that are removed, and runs. */
struct body {
	uint64_t modseq;
	uint32_t n_runs;
	uint8_t kind;
	uint8_t set;
	uint8_t clear;
	uint8_t clear_words;
	uint8_t n_add;
	uint8_t n_remove;
	uint8_t zero[6];
};

struct name {
	uint8_t n;
	char bytes[KEYWORD_MAX_BYTES];
};

_Static_assert(sizeof(struct body) == CHANGES_BODY_MIN, "INDEX says so");
_Static_assert(sizeof(struct name) == 51, "INDEX says so");
_Static_assert(sizeof(struct change_run) == 8, "INDEX says so");

static bool
names_can_be(const struct keywords *k, const struct keywords *others)
{
	struct str name;
	unsigned i;

	for (i = 0; i < k->n; i++) {
		name = keyword_name(k, i);
		if (!keyword_valid(name) || keyword_find(k, name) != (int)i ||
		    keyword_find(others, name) >= 0)
			return false;
	}
	return true;
}

static bool
runs_can_be(const struct change_run *runs, uint32_t n)
{
	uint32_t i, before = 0;

	for (i = 0; i < n; before = runs[i++].last)
		if (runs[i].first <= before || runs[i].last < runs[i].first)
			return false;
	return true;
}

bool
changes_can_be(const struct change *c)
{
	const uint8_t flags = c->set | c->clear;

	if ((c->kind != CHANGE_FLAGS && c->kind != CHANGE_SEEN) ||
	    c->modseq > INT64_MAX || (flags & ~ALL_FLAGS) != 0 ||
	    (c->set & c->clear) != 0 || c->n == 0 ||
	    c->n > CHANGE_RUNS_MAX || c->add.n > KEYWORDS_MAX ||
	    c->remove.n > KEYWORDS_MAX)
		return false;
	if (c->kind == CHANGE_SEEN && (flags != 0 || c->clear_words ||
	    c->add.n > 0 || c->remove.n > 0))
		return false;
	return names_can_be(&c->add, &c->remove) &&
	    names_can_be(&c->remove, &c->add) && runs_can_be(c->runs, c->n);
}

static void
add_bytes(struct buf *b, const void *p, size_t n)
{
	buf_add(b, (struct str){ p, n });
}

static void
add_names(struct buf *b, const struct keywords *k)
{
	struct name name;
	struct str s;
	unsigned i;

	for (i = 0; i < k->n; i++) {
		s = keyword_name(k, i);
		memset(&name, 0, sizeof(name));
		name.n = (uint8_t)s.n;
		memcpy(name.bytes, s.p, s.n);
		add_bytes(b, &name, sizeof(name));
	}
}

void
changes_encode(const struct change *change, struct buf *b)
{
	const struct body body = {
		.modseq = change->modseq, .n_runs = change->n,
		.kind = (uint8_t)change->kind, .set = change->set,
		.clear = change->clear, .clear_words = change->clear_words,
		.n_add = (uint8_t)change->add.n,
		.n_remove = (uint8_t)change->remove.n,
	};

	add_bytes(b, &body, sizeof(body));
	add_names(b, &change->add);
	add_names(b, &change->remove);
	if (change->n > 0)
		add_bytes(b, change->runs,
		    change->n * sizeof(*change->runs));
}

/* Cuts n names off the rest. They may still be any bytes. */
static bool
take_names(struct str *rest, unsigned n, struct keywords *out)
{
	static const char zeros[KEYWORD_MAX_BYTES];
	struct name name;

	for (out->n = 0; out->n < n; out->n++) {
		memcpy(&name, rest->p, sizeof(name));
		*rest = str_from(*rest, sizeof(name));
		if (name.n > KEYWORD_MAX_BYTES || memcmp(name.bytes + name.n,
		    zeros, KEYWORD_MAX_BYTES - name.n) != 0)
			return false;
		out->len[out->n] = name.n;
		memcpy(out->name[out->n], name.bytes, name.n);
	}
	return true;
}

/* The runs go to memory of our own: in a file nothing need be aligned. */
bool
changes_decode(struct str bytes, struct change_run **runs, struct change *out)
{
	static const struct body none;
	struct body body;

	memcpy(&body, bytes.p, sizeof(body));
	if (body.n_add > KEYWORDS_MAX || body.n_remove > KEYWORDS_MAX ||
	    body.n_runs > CHANGE_RUNS_MAX || body.clear_words > 1 ||
	    memcmp(body.zero, none.zero, sizeof(none.zero)) != 0 ||
	    bytes.n != sizeof(body) + (size_t)(body.n_add + body.n_remove) *
	    sizeof(struct name) + body.n_runs * sizeof(struct change_run))
		return false;
	out->kind = (enum change_kind)body.kind;
	out->modseq = body.modseq;
	out->set = body.set;
	out->clear = body.clear;
	out->clear_words = body.clear_words;
	out->n = body.n_runs;
	bytes = str_from(bytes, sizeof(body));
	if (!take_names(&bytes, body.n_add, &out->add) ||
	    !take_names(&bytes, body.n_remove, &out->remove))
		return false;
	*runs = xrealloc(*runs, out->n, sizeof(**runs));
	if (bytes.n > 0)
		memcpy(*runs, bytes.p, bytes.n);
	out->runs = *runs;
	return changes_can_be(out);
}
