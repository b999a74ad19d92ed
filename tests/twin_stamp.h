/*
 * twin_stamp.h - reads what lib/stamp.c wrote as other programs will, says in
 * plain words which fields are hidden, and judges a stamped header by both.
 */
#ifndef TWIN_STAMP_H
#define TWIN_STAMP_H

#include "../lib/flags.h"
#include "../lib/meta.h"
#include "../lib/stamp.h"

static const struct hash_key key = { 1, 2 };
static struct meta m;
static struct keywords names;

static inline void
name_keywords(void)
{
	static const char *const words[] = { "$Junk", "Work", "x",
	    "a-keyword-of-just-the-longest-kind-of-fifty-bytes!" };
	size_t i;

	memset(&names, 0, sizeof(names));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		keyword_add(&names, str_c(words[i]));
}

static inline void
read_header(struct str header)
{
	struct str line;

	meta_begin(&m, &key, STR("From a@b Thu Aug 22 12:36:23 2002"));
	while (str_line(&header, &line) && !m.ended)
		meta_line(&m, line);
	meta_end(&m);
}

static inline uint32_t
bits_of(struct str words)
{
	uint32_t bits = 0;
	size_t n;
	int i;

	for (; words.n > 0; words = str_from(words, n + 1)) {
		n = str_index(words, ' ');
		i = keyword_find(&names, str_sub(words, 0, n));
		if (i >= 0)
			bits |= (uint32_t)1 << i;
	}
	return bits;
}

static inline bool
says_flags(const struct stamp *s)
{
	return m.flags == s->flags && m.uid == s->uid &&
	    bits_of(meta_keywords(&m)) == s->keywords;
}

static inline bool
says_base(const struct stamp *s)
{
	return m.base != META_NONE && m.uidvalidity == s->uidvalidity &&
	    m.uidlast == s->uidlast && bits_of(meta_base_keywords(&m)) ==
	    ((uint32_t)1 << names.n) - 1;
}

/* m holds the stamp and nothing else. */
static inline bool
says(const struct stamp *s)
{
	return m.ended && says_flags(s) && m.count[META_QUOTED] == s->quoted &&
	    m.count[META_CONTENT_LENGTH] == 0 && (s->base ?
	    m.base_shaped && m.base == META_XIMAPBASE && says_base(s) :
	    m.base == META_NONE);
}

/* Is the line one that clients do not see? Said again, in plain words. */
static inline bool
is_hidden(struct str line)
{
	static const char *const hidden[] = { "status", "x-status",
	    "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length",
	    "x-imapd-quoted" };
	struct str name = str_sub(line, 0, str_index(line, ':'));
	size_t i;

	while (name.n > 0 && (name.p[name.n - 1] == ' ' ||
	    name.p[name.n - 1] == '\t'))
		name.n--;
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (str_index(line, ':') < line.n &&
		    str_ieq(name, str_c(hidden[i])))
			return true;
	return false;
}

static inline void
add_visible(struct buf *b, struct str header)
{
	struct str line;
	bool hide = false, first = true;

	buf_clear(b);
	for (; str_line(&header, &line); first = false) {
		if (first || (line.p[0] != ' ' && line.p[0] != '\t'))
			hide = is_hidden(line);
		if (!hide)
			buf_add(b, line);
	}
}

/* What is wrong with the stamped header, or NULL. */
static inline const char *
judge_stamp(struct str header, const struct stamp *s, struct str got)
{
	static struct buf want = BUF_MAX(1 << 20), again = BUF_MAX(1 << 20),
	    seen = BUF_MAX(1 << 20);
	const char *bad = NULL;
	bool whole;

	read_header(header);
	whole = m.ended;
	read_header(got);
	if (!says(s))
		bad = "meta reads something else";
	if (m.bytes != got.n)
		bad = "the header ends elsewhere";
	if (stamp_header_size(header, s) != got.n)
		bad = "the size is another one";
	add_visible(&want, header);
	add_visible(&seen, got);
	if (!str_starts(buf_str(&seen), buf_str(&want)))
		bad = "visible bytes changed";
	/* A line end and an empty line, where they were missing. */
	if (seen.n > want.n + (whole ? 0 : 4))
		bad = "visible bytes were added";
	buf_clear(&again);
	stamp_header(got, s, &again);
	if (!str_eq(buf_str(&again), got))
		bad = "a second time gives something else";
	return bad;
}

#endif
