/*
 * mime.c - the MIME fields of a header, and the tree of parts. The body is
 * walked once from front to back; each line that begins with "--" is held
 * against the boundaries of all multiparts that are open at that place, and
 * all sizes come from one running count, so depth costs nothing but those
 * comparisons. Recursion ends at MIME_DEPTH_MAX. Nothing is decoded here.
 */
#include "mime.h"

#include <string.h>

#include "params.h"
#include "rfc822.h"
#include "scan.h"

static const struct str default_type = { "TEXT", 4 };
static const struct str default_subtype = { "PLAIN", 5 };

/* RFC 2045 5.1: what is in no token, besides controls and 8-bit bytes. */
static const bool tspecial[128] = {
	[' '] = true, ['('] = true, [')'] = true, ['<'] = true,
	['>'] = true, ['@'] = true, [','] = true, [';'] = true,
	[':'] = true, ['\\'] = true, ['"'] = true, ['/'] = true,
	['['] = true, [']'] = true, ['?'] = true, ['='] = true,
};

static bool
at(struct str s, char c)
{
	return s.n > 0 && *s.p == c;
}

/*
 * Takes a token and the white space and comments around it ("comments are
 * allowed in accordance with RFC 822 rules", RFC 2045 5.1); n == 0 when none
 * is there.
 */
static struct str
token(struct str *rest)
{
	struct str out;
	size_t n;
	unsigned char c;

	lex_space(rest, NULL);
	for (n = 0; n < rest->n; n++) {
		c = (unsigned char)rest->p[n];
		if (c < ' ' || c >= 127 || tspecial[c])
			break;
	}
	out = str_sub(*rest, 0, n);
	*rest = str_from(*rest, n);
	lex_space(rest, NULL);
	return out;
}

/*
 * A quoted-string, or what stands there up to white space, a comment or a
 * semicolon: boundaries and names with unquoted tspecials are common, and
 * have no other meaning.
 */
static struct str
param_value(struct pool *pool, struct str *rest)
{
	struct str out;
	size_t n;
	char *to;

	if (!at(*rest, '"')) {
		for (n = 0; n < rest->n; n++)
			if (ascii_space((unsigned char)rest->p[n]) ||
			    rest->p[n] == ';' || rest->p[n] == '(')
				break;
		out = str_sub(*rest, 0, n);
		*rest = str_from(*rest, n);
		return out;
	}
	out = lex_quoted(rest);
	for (n = 0; n < out.n; n++)
		if (out.p[n] == '\\' || out.p[n] == '\r' || out.p[n] == '\n')
			break;
	if (n < out.n) {
		to = pool_alloc(pool, out.n);
		out.n = lex_unquote(to, out);
		out.p = to;
	}
	return out;
}

/*
 * *(";" parameter). The semicolon may be missing, and what is no parameter
 * is skipped. Those beyond the cap are not there: mail with thousands of
 * them has been used to keep servers busy (CVE-2026-27859).
 */
static struct param *
params_list(struct pool *pool, struct str rest)
{
	struct param *first = NULL, **tail = &first, *param;
	struct str name;
	unsigned n = 0;

	while (rest.n > 0 && n < MIME_PARAMS_MAX) {
		name = token(&rest);
		if (name.n == 0 || !at(rest, '=')) {
			rest = str_from(rest, str_index(rest, ';') + 1);
			continue;
		}
		rest = str_from(rest, 1);
		lex_space(&rest, NULL);
		param = pool_alloc(pool, sizeof(*param));
		param->name = name;
		param->value = param_value(pool, &rest);
		*tail = param;
		tail = &param->next;
		n++;
		lex_space(&rest, NULL);
		if (at(rest, ';'))
			rest = str_from(rest, 1);
	}
	return first;
}

/*
 * The link to piece `number` of a value cut up by RFC 2231 section 3, named
 * "base*number", or "base*number*" with escapes (*coded); NULL for none.
 */
static struct param **
piece_find(struct param **link, struct str base, uint32_t number, bool *coded)
{
	struct str name, digits;
	uint32_t n;

	for (; *link != NULL; link = &(*link)->next) {
		name = (*link)->name;
		if (!str_istarts(name, base) || name.n < base.n + 2 ||
		    name.p[base.n] != '*')
			continue;
		*coded = name.p[name.n - 1] == '*';
		digits = str_from(name, base.n + 1);
		digits.n -= *coded;
		if (str_u32(digits, &n) && n == number)
			return link;
	}
	return NULL;
}

/* Behind an escaped piece a plain one must not seem to hold escapes. */
static size_t
piece_put(char *to, struct str piece, bool escape)
{
	size_t i, n = 0;

	for (i = 0; i < piece.n; i++) {
		to[n++] = piece.p[i];
		if (escape && piece.p[i] == '%') {
			memcpy(to + n, "25", 2);
			n += 2;
		}
	}
	return n;
}

/* Appends the pieces behind *head to it, and takes them off the list. */
static void
pieces_join(struct pool *pool, struct param **first, struct param *head,
    struct str base, bool head_coded)
{
	struct param **link;
	size_t room = head->value.n;
	uint32_t i;
	bool coded;
	char *to;

	for (i = 1; (link = piece_find(first, base, i, &coded)); i++)
		room += (*link)->value.n * (head_coded && !coded ? 3 : 1);
	if (i == 1)
		return;
	to = pool_alloc(pool, room);
	memcpy(to, head->value.p, head->value.n);
	head->value.p = to;
	for (i = 1; (link = piece_find(first, base, i, &coded)); i++) {
		head->value.n += piece_put(to + head->value.n, (*link)->value,
		    head_coded && !coded);
		*link = (*link)->next;
	}
}

/*
 * RFC 2231 6: "IMAP4 [RFC-2060] servers SHOULD decode parameter value
 * continuations when generating the BODY and BODYSTRUCTURE fetch
 * attributes." "name*0*" becomes "name*": the escapes stay.
 */
static struct param *
params_read(struct pool *pool, struct str rest)
{
	struct param *first = params_list(pool, rest), *head;
	struct str base;
	bool coded;

	for (head = first; head != NULL; head = head->next) {
		base = head->name;
		coded = base.n > 0 && base.p[base.n - 1] == '*';
		base.n -= coded;
		if (base.n < 3 || base.p[base.n - 2] != '*' ||
		    base.p[base.n - 1] != '0')
			continue;
		base.n -= 2;
		head->name.n = base.n + coded;
		pieces_join(pool, &first, head, base, coded);
	}
	return first;
}

struct str
param_find(const struct param *params, struct str name)
{
	for (; params != NULL; params = params->next)
		if (str_ieq(params->name, name))
			return params->value;
	return (struct str){ NULL, 0 };
}

/*
 * The boundary of a multipart; n == 0 when there is none. RFC 2046 5.1.1: a
 * boundary does not end in white space, and "must be presumed" not to where
 * it seems so.
 */
static struct str
boundary_read(const struct param *params)
{
	struct str out = param_find(params, STR("boundary"));

	while (out.n > 0 && ascii_space((unsigned char)out.p[out.n - 1]))
		out.n--;
	return out;
}

/* RFC 2045 5.2 recommends the default "when a syntactically invalid
 * Content-Type header field is encountered". */
static void
type_read(struct pool *pool, struct part *part, struct str value)
{
	struct str type, subtype = { NULL, 0 };

	type = token(&value);
	if (at(value, '/')) {
		value = str_from(value, 1);
		subtype = token(&value);
	}
	if (type.n > 0 && subtype.n > 0) {
		part->type = type;
		part->subtype = subtype;
	} else {
		part->type = default_type;
		part->subtype = default_subtype;
	}
	part->params = params_read(pool, value);
}

static void
encoding_read(struct pool *pool, struct part *part, struct str value)
{
	struct str encoding = token(&value);

	(void)pool;
	if (encoding.n > 0)
		part->encoding = encoding;
}

static void
disposition_read(struct pool *pool, struct part *part, struct str value)
{
	struct str disposition = token(&value);

	if (disposition.n == 0)
		return;
	part->disposition = disposition;
	part->disposition_params = params_read(pool, value);
}

/* 1#Language-tag (RFC 3282). */
static void
languages_read(struct pool *pool, struct part *part, struct str value)
{
	struct str tags[MIME_PARAMS_MAX];
	unsigned n = 0;

	while (value.n > 0 && n < MIME_PARAMS_MAX) {
		tags[n] = token(&value);
		if (tags[n].n > 0)
			n++;
		value = str_from(value, str_index(value, ',') + 1);
	}
	part->languages = pool_array(pool, n, sizeof(tags[0]));
	memcpy(part->languages, tags, n * sizeof(tags[0]));
	part->n_languages = n;
}

/* A field is either structured, or unfolded to where `to` says. */
static const struct row {
	struct str name;
	void (*read)(struct pool *, struct part *, struct str);
	size_t to;
} rows[] = {
	{ .name = { "Content-Type", 12 }, .read = type_read },
	{ .name = { "Content-Transfer-Encoding", 25 },
	    .read = encoding_read },
	{ .name = { "Content-Disposition", 19 }, .read = disposition_read },
	{ .name = { "Content-Language", 16 }, .read = languages_read },
	{ .name = { "Content-ID", 10 }, .to = offsetof(struct part, id) },
	{ .name = { "Content-Description", 19 },
	    .to = offsetof(struct part, description) },
	{ .name = { "Content-MD5", 11 }, .to = offsetof(struct part, md5) },
	{ .name = { "Content-Location", 16 },
	    .to = offsetof(struct part, location) },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/*
 * Where a field stands twice, the first counts, as everywhere here. No
 * MIME-Version is asked for: RFC 2045 4 lets readers do without, and mail
 * with parts but without that field is common.
 */
static void
fields_read(struct pool *pool, struct part *part)
{
	struct str rest = part->header;
	struct field f;
	bool seen[ROWS] = { false };
	size_t i;

	while (header_next(&rest, &f)) {
		if (!str_istarts(f.name, STR("Content-")))
			continue;
		for (i = 0; i < ROWS; i++)
			if (str_ieq(rows[i].name, f.name))
				break;
		if (i == ROWS || seen[i])
			continue;
		seen[i] = true;
		if (rows[i].read != NULL)
			rows[i].read(pool, part, f.value);
		else
			*(struct str *)(void *)((char *)part + rows[i].to) =
			    header_unfold(pool, f.value);
	}
}

/* The fields of a header over the defaults; what kind of part that makes. */
static void
header_set(struct pool *pool, struct part *part, struct str header,
    bool digest)
{
	part->header = header;
	part->type = digest ? STR("MESSAGE") : default_type;
	part->subtype = digest ? STR("RFC822") : default_subtype;
	part->encoding = STR("7BIT");
	fields_read(pool, part);
	if (str_ieq(part->type, STR("multipart"))) {
		part->multipart = boundary_read(part->params).n > 0;
		/* RFC 2045 5.1: "the "boundary" parameter is required". */
		if (!part->multipart) {
			part->type = default_type;
			part->subtype = default_subtype;
		}
	}
	part->message = str_ieq(part->type, STR("message")) &&
	    str_ieq(part->subtype, STR("rfc822"));
}

struct part *
mime_header(struct pool *pool, struct str header, bool digest)
{
	struct part *part = pool_alloc(pool, sizeof(*part));

	header_set(pool, part, header, digest);
	return part;
}

/* Beyond a cap: what is in it stays where it is, but is not looked into. */
static void
opaque(struct part *part)
{
	part->type = STR("APPLICATION");
	part->subtype = STR("OCTET-STREAM");
	part->multipart = part->message = false;
}

enum { HIT_END = -1 };	/* no delimiter: the text ended */

/* The walk. rest is always at the begin of a line. */
struct walk {
	struct pool *pool;
	struct str rest;
	const char *counted;	/* lf and bare count up to here */
	uint64_t lf, bare;
	unsigned depth;		/* multiparts and messages around */
	unsigned parts;
	unsigned n_open;	/* multiparts around */
	struct str open[MIME_DEPTH_MAX];
	/* What ended the text being read, if anything did yet. */
	bool ended;
	const char *stop;	/* where that text ends */
	int hit;		/* index into open */
	bool closing;		/* the last delimiter of that multipart */
	bool given;		/* the line end before it is its own already */
};

static void	body_walk(struct walk *, struct part *);

/* Where the next header or body begins; what has ended is empty. */
static const char *
here(const struct walk *w)
{
	return w->ended ? w->stop : w->rest.p;
}

/*
 * The walk calls this at each place where a part begins or ends, and these
 * come in rising order. A part's size is the difference of two counts, so
 * that bytes below many parts are counted once, not once for each.
 */
static void
count(struct walk *w, const char *to)
{
	uint64_t lf, bare;

	scan_lines(w->counted, (size_t)(to - w->counted), &lf, &bare);
	w->lf += lf;
	w->bare += bare;
	w->counted = to;
}

/*
 * Is the line at rest a delimiter of an open multipart? If so it is taken.
 * RFC 2046 5.1.2: "required to recognize outer level boundary markers at ANY
 * level of inner nesting". 5.1.1: "it is sufficient that the boundary appear
 * in its entirety following the CRLF", so a boundary may be the begin of
 * another one: a match of the whole line is better than one of its begin,
 * the longest is better than a shorter one, then the innermost.
 */
static bool
delimiter(struct walk *w)
{
	struct str line, after, best = { NULL, 0 };
	size_t i, solid;
	bool whole, closing, best_whole = false;

	if (w->rest.n < 2 || w->rest.p[0] != '-' || w->rest.p[1] != '-')
		return false;
	line = str_sub(w->rest, 0, str_index(w->rest, '\n') + 1);
	after = str_from(line, 2);
	for (solid = after.n; solid > 0; solid--)
		if (!ascii_space((unsigned char)after.p[solid - 1]))
			break;
	for (i = w->n_open; i-- > 0;) {
		if (!str_starts(after, w->open[i]))
			continue;
		closing = str_starts(str_from(after, w->open[i].n),
		    STR("--"));
		whole = w->open[i].n + (closing ? 2 : 0) >= solid;
		if (best.p != NULL && (whole != best_whole ? best_whole :
		    w->open[i].n <= best.n))
			continue;
		best = w->open[i];
		best_whole = whole;
		w->hit = (int)i;
		w->closing = closing;
	}
	if (best.p == NULL)
		return false;
	w->ended = true;
	w->given = false;
	w->stop = line.p;
	w->rest = str_from(w->rest, line.n);
	return true;
}

/* Over text without parts in it, up to a delimiter or the end. It begins at
 * rest, or at a line before that which has been taken already. */
static void
text_walk(struct walk *w, const char *begin)
{
	struct str line;

	if (w->ended)
		return;
	while (w->n_open > 0 && !delimiter(w))
		if (!str_line(&w->rest, &line))
			break;
	if (!w->ended) {
		w->rest = str_from(w->rest, w->rest.n);
		w->stop = w->rest.p;
		w->hit = HIT_END;
		w->ended = w->given = true;
		return;
	}
	/* "the initial CRLF is considered to be attached to the boundary
	 * delimiter line rather than part of the preceding part" */
	line = (struct str){ begin, (size_t)(w->stop - begin) };
	w->stop = begin + str_chomp(line).n;
	w->given = line.n > 0;
}

/* A header may lack its empty line: then a delimiter, or the end, ends it. */
static void
header_walk(struct walk *w, struct part *part, bool digest)
{
	const char *begin = here(w);
	struct str line;

	while (!w->ended && !header_ends(w->rest) && !delimiter(w))
		if (!str_line(&w->rest, &line))
			break;
	if (!w->ended)
		str_line(&w->rest, &line);	/* the empty one */
	header_set(w->pool, part,
	    (struct str){ begin, (size_t)(here(w) - begin) }, digest);
	if ((part->multipart || part->message) &&
	    (w->depth == MIME_DEPTH_MAX || w->parts >= MIME_PARTS_MAX))
		opaque(part);
}

static struct part *
part_new(struct walk *w, struct part *up)
{
	struct part *part = pool_alloc(w->pool, sizeof(*part));

	part->up = up;
	w->parts++;
	return part;
}

/* A part without a header: all defaults. */
static void
headless(struct walk *w, struct part *part)
{
	header_set(w->pool, part, (struct str){ here(w), 0 }, false);
}

/*
 * preamble, parts, epilogue. Any text may end at a delimiter of a multipart
 * further out (w->hit < mine) or at the end of the message; then this one
 * ends there as well, closed or not.
 */
static void
multipart_walk(struct walk *w, struct part *part)
{
	const unsigned mine = w->n_open;
	const bool digest = str_ieq(part->subtype, STR("digest"));
	struct part *child, **tail = &part->child;

	w->open[w->n_open++] = boundary_read(part->params);
	text_walk(w, here(w));
	while (w->hit == (int)mine && !w->closing) {
		w->ended = false;
		child = part_new(w, part);
		*tail = child;
		tail = &child->next;
		if (w->parts > MIME_PARTS_MAX) {
			/* All the rest of the message in one. */
			headless(w, child);
			opaque(child);
			w->n_open = 0;
		} else {
			header_walk(w, child, digest);
		}
		body_walk(w, child);
	}
	w->n_open = mine;
	if (w->hit == (int)mine) {
		/* The closing line and the epilogue, which may be nothing:
		 * then that line's end is the next delimiter's. */
		w->ended = false;
		text_walk(w, w->stop);
	}
	if (part->child == NULL) {
		part->child = part_new(w, part);
		headless(w, part->child);
		part->child->body = part->child->header;
	}
}

/* RFC 2046 5.1.2: it "has no terminating condition other than running out of
 * data", or the delimiter of a multipart around it. */
static void
message_walk(struct walk *w, struct part *part)
{
	part->child = part_new(w, part);
	header_walk(w, part->child, false);
	body_walk(w, part->child);
}

/*
 * Nothing is between a header and a delimiter: then the header's last line
 * end is the delimiter's. RFC 2046 5.1.1 has "body-part := MIME-part-headers
 * [CRLF *OCTET]", so that a part without that CRLF has no body.
 */
static void
header_gives(struct walk *w, struct part *part)
{
	struct str line_end = part->header;
	struct part *child;
	uint64_t lf, bare;

	part->header = str_chomp(part->header);
	line_end = str_from(line_end, part->header.n);
	scan_lines(line_end.p, line_end.n, &lf, &bare);
	w->lf -= lf;
	w->bare -= bare;
	w->stop = w->counted = line_end.p;
	w->given = line_end.n > 0;
	/* What is in it is as empty, and there. */
	for (child = part->child; child != NULL; child = child->child)
		child->header.p = child->body.p = w->stop;
}

/* The body of a part whose header has just been read. */
static void
body_walk(struct walk *w, struct part *part)
{
	const char *begin = here(w);
	uint64_t lf, bare;

	count(w, begin);
	lf = w->lf;
	bare = w->bare;
	w->depth++;
	if (part->multipart)
		multipart_walk(w, part);
	else if (part->message)
		message_walk(w, part);
	else
		text_walk(w, begin);
	w->depth--;
	if (w->stop == begin && !w->given) {
		header_gives(w, part);
		begin = w->stop;
		lf = w->lf;
		bare = w->bare;
	}
	count(w, w->stop);
	part->body = (struct str){ begin, (size_t)(w->stop - begin) };
	part->size = part->body.n + (w->bare - bare);
	part->lines = w->lf - lf;
}

/* The walk is too large for the stack of a deep caller, so it is in the pool
 * as well. header and body need not lie together. */
struct part *
mime_parse(struct pool *pool, struct str header, struct str body)
{
	struct walk *w = pool_alloc(pool, sizeof(*w));
	struct part *root;

	w->pool = pool;
	w->rest = body.p == NULL ? STR("") : body;
	w->counted = w->rest.p;
	root = part_new(w, NULL);
	header_set(pool, root, header.p == NULL ? STR("") : header, false);
	body_walk(w, root);
	return root;
}

/* The k-th child, counted from 1. */
static struct part *
child_find(struct part *part, uint32_t k)
{
	struct part *child = k == 0 ? NULL : part->child;

	while (child != NULL && --k > 0)
		child = child->next;
	return child;
}

/*
 * RFC 3501 6.4.5: "Every message has at least one part number." So a number
 * counts the parts of a multipart, or is 1 and names the body of a message
 * that is none; "A part of type MESSAGE/RFC822 also has nested part numbers,
 * referring to parts of the MESSAGE part's body."
 */
struct part *
mime_find(struct part *root, const uint32_t *numbers, size_t n)
{
	struct part *part = root;
	size_t i;

	for (i = 0; i < n && part != NULL; i++) {
		if (i > 0 && part->message)
			part = part->child;
		else if (i > 0 && !part->multipart)
			return NULL;
		if (part->multipart)
			part = child_find(part, numbers[i]);
		else if (numbers[i] != 1)
			return NULL;
	}
	return part;
}

size_t
mime_header_end(struct str text)
{
	struct str rest = text, line;

	while (!header_ends(rest))
		if (!str_line(&rest, &line))
			return text.n;
	str_line(&rest, &line);
	return text.n - rest.n;
}

bool
mime_is_text(const struct part *part)
{
	return part->message || str_ieq(part->type, STR("text"));
}
