/*
 * body.c - what FETCH shows of a message's inside: its envelope, its
 * structure, and the bytes of its sections. Parsing is done below, in
 * lib/rfc822.c and lib/mime.c, and all syntax is written by reply.c. It may
 * neither read a mailbox nor change the text: slices leave as they came.
 */
#include "body.h"

#include <string.h>

#include "lib/rfc822.h"

static void
space(struct reply *r)
{
	reply_raw(r, STR(" "));
}

static void
nil(struct reply *r)
{
	reply_raw(r, STR("NIL"));
}

/* Appends the addresses of one field to the list, which the first address
 * opens: an address list is never empty. Returns whether it is open. */
static bool
addresses(struct reply *r, struct pool *pool, struct str value, bool open)
{
	struct addr_list list;
	struct addr a;

	addr_begin(&list, pool, value);
	while (addr_next(&list, &a)) {
		reply_raw(r, open ? STR("(") : STR("(("));
		open = true;
		reply_nstring(r, a.name);
		space(r);
		reply_nstring(r, a.route);
		space(r);
		reply_nstring(r, a.mailbox);
		space(r);
		reply_nstring(r, a.host);
		reply_raw(r, STR(")"));
	}
	return open;
}

/*
 * "If the Sender or Reply-To lines are absent [...], or are present but
 * empty, the server sets the corresponding member of the envelope to be the
 * same value as the from member" (RFC 3501 7.4.2).
 */
static const struct member {
	struct str name;
	size_t at;
	bool from;	/* From stands in when there is no address */
} members[] = {
	{ { "From", 4 }, offsetof(struct envelope, from), false },
	{ { "Sender", 6 }, offsetof(struct envelope, sender), true },
	{ { "Reply-To", 8 }, offsetof(struct envelope, reply_to), true },
	{ { "To", 2 }, offsetof(struct envelope, to), false },
	{ { "Cc", 2 }, offsetof(struct envelope, cc), false },
	{ { "Bcc", 3 }, offsetof(struct envelope, bcc), false },
};

/*
 * False, and nothing written, when there is no address in it. The header is
 * gone through again only if some address field stands in it twice.
 */
static bool
member(struct reply *r, struct pool *pool, struct str header,
    const struct envelope *envelope, const struct member *m)
{
	const struct str *first = (const struct str *)(const void *)
	    ((const char *)envelope + m->at);
	struct field f;
	bool open;

	if (first->p == NULL)
		return false;
	open = addresses(r, pool, *first, false);
	while (envelope->repeated && header_next(&header, &f))
		if (f.value.p != first->p && str_ieq(f.name, m->name))
			open = addresses(r, pool, f.value, open);
	if (open)
		reply_raw(r, STR(")"));
	return open;
}

/* A string of the envelope: NIL when absent, "" when empty (7.4.2). */
static void
text_member(struct reply *r, struct pool *pool, struct str value)
{
	reply_nstring(r, header_unfold(pool, value));
}

/* date, subject, the six address lists, in-reply-to, message-id. */
void
body_envelope(struct reply *r, struct pool *pool, struct str header)
{
	struct envelope envelope;
	size_t i;

	envelope_read(header, &envelope);
	reply_raw(r, STR("("));
	text_member(r, pool, envelope.date);
	space(r);
	text_member(r, pool, envelope.subject);
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		space(r);
		if (!member(r, pool, header, &envelope, &members[i]) &&
		    !(members[i].from &&
		    member(r, pool, header, &envelope, &members[0])))
			nil(r);
	}
	space(r);
	text_member(r, pool, envelope.in_reply_to);
	space(r);
	text_member(r, pool, envelope.message_id);
	reply_raw(r, STR(")"));
}

/*
 * body-fld-param; `more` is a further pair of ours, or empty. Names and
 * values are the sender's: they may hold anything, and reply.c sees to that.
 */
static void
params(struct reply *r, const struct param *param, struct str more)
{
	struct str before = STR("(");

	if (param == NULL && more.n == 0) {
		nil(r);
		return;
	}
	for (; param != NULL; param = param->next) {
		reply_raw(r, before);
		reply_string(r, param->name);
		space(r);
		reply_string(r, param->value);
		before = STR(" ");
	}
	if (more.n > 0) {
		reply_raw(r, before);
		reply_raw(r, more);
	}
	reply_raw(r, STR(")"));
}

/* "charset", or the same as RFC 2231 writes it: "charset*", "charset*0". */
static bool
has_charset(const struct param *param)
{
	const struct str name = STR("charset");

	for (; param != NULL; param = param->next)
		if (str_istarts(param->name, name) &&
		    (param->name.n == name.n || param->name.p[name.n] == '*'))
			return true;
	return false;
}

/*
 * The members that end the extension data of both kinds of body: body-fld-
 * dsp, -lang and -loc. All are always there, NIL or not: BODYSTRUCTURE of
 * RFC 3501 could stop after any of them, but no client gains by that.
 */
static void
disposition_on(struct reply *r, const struct part *part)
{
	unsigned i;

	if (part->disposition.p == NULL) {
		nil(r);
	} else {
		reply_raw(r, STR("("));
		reply_string(r, part->disposition);
		space(r);
		params(r, part->disposition_params, STR(""));
		reply_raw(r, STR(")"));
	}
	space(r);
	for (i = 0; i < part->n_languages; i++) {
		reply_raw(r, i == 0 ? STR("(") : STR(" "));
		reply_string(r, part->languages[i]);
	}
	reply_raw(r, i == 0 ? STR("NIL") : STR(")"));
	space(r);
	reply_nstring(r, part->location);
}

/* body-type-mpart: "1*body SP media-subtype", and so no space between the
 * bodies. mime_parse sees to it that there is one. */
static void
multipart(struct reply *r, struct pool *pool, const struct part *part,
    bool extended)
{
	const struct part *child;

	for (child = part->child; child != NULL; child = child->next)
		body_structure(r, pool, child, extended);
	space(r);
	reply_string(r, part->subtype);
	if (!extended)
		return;
	space(r);
	params(r, part->params, STR(""));
	space(r);
	disposition_on(r, part);
}

/* body-type-1part. RFC 2046 4.1.2: US-ASCII "must be assumed in the absence
 * of a charset parameter"; the default is said, as RFC 3501 7.4.2 has it. */
static void
single(struct reply *r, struct pool *pool, const struct part *part,
    bool extended)
{
	bool text = str_ieq(part->type, STR("text"));

	reply_string(r, part->type);
	space(r);
	reply_string(r, part->subtype);
	space(r);
	params(r, part->params, text && !has_charset(part->params) ?
	    STR("\"CHARSET\" \"US-ASCII\"") : STR(""));
	space(r);
	reply_nstring(r, part->id);
	space(r);
	reply_nstring(r, part->description);
	space(r);
	reply_string(r, part->encoding);
	space(r);
	reply_number(r, part->size);
	if (part->message) {
		space(r);
		body_envelope(r, pool, part->child->header);
		space(r);
		body_structure(r, pool, part->child, extended);
	}
	if (part->message || text) {
		space(r);
		reply_number(r, part->lines);
	}
	if (!extended)
		return;
	space(r);
	reply_nstring(r, part->md5);
	space(r);
	disposition_on(r, part);
}

void
body_structure(struct reply *r, struct pool *pool, const struct part *root,
    bool extended)
{
	reply_raw(r, STR("("));
	if (root->multipart)
		multipart(r, pool, root, extended);
	else
		single(r, pool, root, extended);
	reply_raw(r, STR(")"));
}

/* The names of HEADER.FIELDS, hashed, as there may be a thousand of them
 * and as many fields. Open addressing; a slot holds an index plus one. */
struct names {
	const struct section *section;
	uint32_t *slots;
	uint32_t mask;
};

/* FNV-1a without case. Whoever aims for collisions asked for the names
 * himself, and waits for himself. */
static uint32_t
name_hash(struct str name)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < name.n; i++)
		h = (h ^ ascii_lower((unsigned char)name.p[i])) * 16777619u;
	return h ^ h >> 15;
}

/* The slot of that name, or the empty one where it would be: at least half
 * of the slots are empty. */
static uint32_t *
name_slot(const struct names *names, struct str name)
{
	uint32_t i = name_hash(name) & names->mask;

	while (names->slots[i] != 0 &&
	    !str_ieq(names->section->fields[names->slots[i] - 1], name))
		i = (i + 1) & names->mask;
	return &names->slots[i];
}

static void
names_begin(struct names *names, struct pool *pool, const struct section *s)
{
	uint32_t i, room = 8;

	while (room / 2 < s->n_fields)
		room *= 2;
	names->section = s;
	names->mask = room - 1;
	names->slots = pool_array(pool, room, sizeof(names->slots[0]));
	for (i = 0; i < s->n_fields; i++)
		*name_slot(names, s->fields[i]) = i + 1;
}

/* Fields that were chosen, neighbours in one piece: HEADER.FIELDS.NOT of a
 * name that is not there is the header itself, and needs no copy. */
struct piece {
	struct str text;
	struct piece *next;
};

static struct str
pieces_join(struct pool *pool, const struct piece *first)
{
	const struct piece *piece;
	size_t n = 0;
	char *to, *p;

	if (first == NULL)
		return STR("");
	if (first->next == NULL)
		return first->text;
	for (piece = first; piece != NULL; piece = piece->next)
		n += piece->text.n;
	p = to = pool_alloc(pool, n);
	for (piece = first; piece != NULL; piece = piece->next) {
		memcpy(p, piece->text.p, piece->text.n);
		p += piece->text.n;
	}
	return (struct str){ to, n };
}

/*
 * RFC 3501 6.4.5: "Subsetting does not exclude the [RFC-2822] delimiting
 * blank line between the header and the body", so that comes last, where
 * the message has one.
 */
static struct str
fields(const struct section *s, struct pool *pool, struct str header)
{
	const bool wanted = s->kind == SECTION_FIELDS;
	struct piece *first = NULL, *last = NULL, *piece;
	struct names names;
	struct field f;
	bool more;

	names_begin(&names, pool, s);
	do {
		more = header_next(&header, &f);
		if (!more)
			f.whole = header;	/* the blank line */
		else if ((*name_slot(&names, f.name) != 0) != wanted)
			continue;
		if (f.whole.n == 0)
			break;
		if (last != NULL && last->text.p + last->text.n == f.whole.p) {
			last->text.n += f.whole.n;
			continue;
		}
		piece = pool_alloc(pool, sizeof(*piece));
		piece->text = f.whole;
		if (last == NULL)
			first = piece;
		else
			last->next = piece;
		last = piece;
	} while (more);
	return pieces_join(pool, first);
}

/* A text that is there, though it may be empty: not NIL. */
static struct str
present(struct str text)
{
	return text.p == NULL ? STR("") : text;
}

struct str
body_section(const struct section *section, struct pool *pool,
    struct str header, struct str body, struct str whole, struct part **tree)
{
	const struct part *part;

	if (section->n_numbers > 0) {
		if (*tree == NULL)
			*tree = mime_parse(pool, header, body);
		part = mime_find(*tree, section->numbers, section->n_numbers);
		if (part != NULL && section->kind == SECTION_PART)
			return part->body;
		if (part != NULL && section->kind == SECTION_MIME)
			return part->header;
		/* What is left is asked of a message: "provided that the
		 * numeric part specifier refers to a part of type
		 * MESSAGE/RFC822" (6.4.5). */
		if (part == NULL || !part->message)
			return (struct str){ NULL, 0 };
		header = part->child->header;
		body = part->child->body;
	}
	switch (section->kind) {
	case SECTION_HEADER:
		return present(header);
	case SECTION_FIELDS:
	case SECTION_FIELDS_NOT:
		return fields(section, pool, header);
	case SECTION_TEXT:
		return present(body);
	default:
		return present(whole);
	}
}

struct str
body_encoded(const struct section *section, struct pool *pool,
    struct str header, struct str body, struct str whole, struct part **tree,
    enum cte *cte)
{
	const struct part *part = NULL;
	struct str text = body_section(section, pool, header, body, whole,
	    tree);

	if (section->n_numbers > 0)
		part = mime_find(*tree, section->numbers, section->n_numbers);
	*cte = part == NULL || part->multipart || part->message ?
	    CTE_IDENTITY : cte_find(part->encoding);
	return text;
}
