/*
 * stamp.c - writes the metadata fields of a message: into a new header, or
 * over the old ones without a byte more or less. Which bytes stand in the
 * file is decided here alone, how they get there is not known here.
 *
 * A patch works on the run of metadata fields that ends the header, which
 * is what meta.c reads. It looks for no program's layout: what it must not
 * touch are fixed points, the bytes between them are areas of fixed length
 * to be filled anew. So UW's block, Dovecot's and what mutt makes of either
 * are all the same to it.
 */
#include "stamp.h"

#include "meta.h"

enum {
	/*
	 * Of all bytes up to the end of X-Keywords, as UW pads them. With
	 * X-IMAPbase UW has 80; 120 more, so that new keywords are added to
	 * the list in place and no message needs to move for them.
	 */
	PAD = 50,
	PAD_BASE = 80 + 120,
	/* uidlast, so that it can rise in place for ever. */
	UIDLAST_DIGITS = 10,
	/* The two lists of keywords, each with its blanks, and the rest. */
	BLOCK_MAX = 2 * KEYWORDS_MAX * (KEYWORD_MAX_BYTES + 1) + 256,
	/*
	 * A longer run is not patched: no program writes one, and meta.c
	 * reads no longer value.
	 */
	RUN_MAX = META_VALUE_MAX,
	RUN_FIELDS = 24,
	/* The fields that a patch fills in: they come first in meta.h. */
	TEXTS = META_XKEYWORDS + 1,
};

_Static_assert(BLOCK_MAX <= RUN_MAX, "our own block can be patched");
_Static_assert(META_STATUS == 1 && META_XSTATUS == 2 && META_XKEYWORDS == 3,
    "the fields that are filled in come first, in UW's order");

/* Memory of a fixed size as a buffer that never allocates. */
#define BUF_ON(bytes)	{ .p = (bytes), .room = sizeof(bytes), \
	    .max = sizeof(bytes) }

/* In the order in which UW writes them; status_read() takes any. */
static const struct {
	enum meta_field which;
	unsigned bit;
	char letter;
} letters[] = {
	{ META_STATUS, FLAG_SEEN, 'R' },
	{ META_STATUS, FLAG_OLD, 'O' },
	{ META_XSTATUS, FLAG_DELETED, 'D' },
	{ META_XSTATUS, FLAG_FLAGGED, 'F' },
	{ META_XSTATUS, FLAG_ANSWERED, 'A' },
	{ META_XSTATUS, FLAG_DRAFT, 'T' },
};

static void
add_number(struct buf *b, uint32_t n, size_t width)
{
	char digits[UIDLAST_DIGITS];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0 || (at > 0 && sizeof(digits) - at < width));
	buf_add(b, (struct str){ digits + at, sizeof(digits) - at });
}

static void
add_blanks(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_addc(b, ' ');
}

static void
add_keywords(struct buf *b, const struct keywords *names, uint32_t bits)
{
	unsigned i;

	for (i = 0; names != NULL && i < names->n; i++)
		if (bits & (uint32_t)1 << i) {
			buf_addc(b, ' ');
			buf_add(b, keyword_name(names, i));
		}
}

/* Status, X-Status or X-Keywords, without line end and padding. */
static void
add_text(struct buf *b, enum meta_field which, const struct stamp *s)
{
	size_t i;

	if (which == META_XKEYWORDS) {
		buf_add(b, STR("X-Keywords:"));
		add_keywords(b, s->names, s->keywords);
		return;
	}
	buf_add(b, which == META_STATUS ? STR("Status: ") : STR("X-Status: "));
	for (i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].which == which && s->flags & letters[i].bit)
			buf_addc(b, letters[i].letter);
}

/* uidlast and the keywords: what of the base field ever changes. */
static void
add_base(struct buf *b, const struct stamp *s, size_t width)
{
	add_number(b, s->uidlast, width);
	add_keywords(b, s->names, UINT32_MAX);
}

/*
 * The block without its empty line. X-IMAPd-Quoted has our own fields on
 * both sides: one that came with the mail can not be taken for it, when
 * another program stamps that mail.
 */
static void
add_block(struct buf *b, const struct stamp *s, struct str eol)
{
	size_t pad = s->base ? PAD_BASE : PAD;

	if (s->base) {
		buf_add(b, STR("X-IMAPbase: "));
		add_number(b, s->uidvalidity, 1);
		buf_addc(b, ' ');
		add_base(b, s, UIDLAST_DIGITS);
		buf_add(b, eol);
	}
	add_text(b, META_STATUS, s);
	buf_add(b, eol);
	add_text(b, META_XSTATUS, s);
	buf_add(b, eol);
	add_text(b, META_XKEYWORDS, s);
	if (b->n < pad)
		add_blanks(b, pad - b->n);
	buf_add(b, eol);
	if (s->quoted) {
		buf_add(b, STR("X-IMAPd-Quoted: rd"));
		buf_add(b, eol);
	}
	if (s->uid != 0) {
		buf_add(b, STR("X-UID: "));
		add_number(b, s->uid, 1);
		buf_add(b, eol);
	}
}

/* The end of the first line of s, also of one that is cut off at its LF. */
static struct str
line_end(struct str s)
{
	size_t i = str_index(s, '\n');

	if (i > 0 && s.p[i - 1] == '\r')
		return STR("\r\n");
	return STR("\n");
}

static bool
is_ended(struct str line)
{
	return line.n > 0 && line.p[line.n - 1] == '\n';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The field at *at with its continuations, and *at behind it; false at the
 * empty line and at the end. What begins the header with a blank continues
 * nothing: it is a field, as meta.c has it.
 */
static bool
next_field(struct str header, size_t *at, struct str *field)
{
	struct str rest = str_from(header, *at);
	struct str line;

	*field = str_sub(rest, 0, 0);
	if (!str_line(&rest, &line) || str_chomp(line).n == 0)
		return false;
	do
		field->n += line.n;
	while (str_line(&rest, &line) && is_blank(line.p[0]));
	*at += field->n;
	return true;
}

/* Adds s unless only the size is asked for; returns its length. */
static size_t
put(struct buf *out, struct str s)
{
	if (out != NULL)
		buf_add(out, s);
	return s.n;
}

static size_t
write_header(struct str header, const struct stamp *s, struct buf *out)
{
	char room[BLOCK_MAX];
	struct buf block = BUF_ON(room);
	struct str eol = line_end(header);
	struct str field, rest;
	struct str last = { "\n", 1 };
	size_t at = 0, n = 0;

	while (next_field(header, &at, &field)) {
		if (meta_which(field) != META_NONE)
			continue;
		if (n == 0)
			eol = line_end(field);
		n += put(out, field);
		last = field;
	}
	/* A CR at the end stays what it is: LF could make a line empty. */
	if (!is_ended(last))
		n += put(out, last.p[last.n - 1] == '\r' ? STR("\r\n") : eol);
	add_block(&block, s, eol);
	n += put(out, buf_str(&block));
	rest = str_from(header, at);
	return n + put(out, rest.n > 0 ? rest : eol);
}

void
stamp_header(struct str header, const struct stamp *s, struct buf *out)
{
	write_header(header, s, out);
}

size_t
stamp_header_size(struct str header, const struct stamp *s)
{
	return write_header(header, s, NULL);
}

/* The fields behind the last visible one; `Lines` is between them. */
struct run {
	struct field {
		enum meta_field which;	/* META_NONE: Lines */
		size_t at;		/* from where the run begins */
		struct str text;
	} fields[RUN_FIELDS];
	unsigned n;
	size_t at;		/* where in the header it begins */
	struct str text;	/* the whole of it */
};

/* A field that a patch fills in. */
static bool
is_text(enum meta_field which)
{
	return which >= META_STATUS && which <= META_XKEYWORDS;
}

/* False when there is none, or none that can be patched. */
static bool
find_run(struct str header, struct run *run)
{
	struct str field;
	enum meta_field which;
	size_t at = 0, n = 0, from;
	bool any = false;	/* Lines alone is no run */

	while (from = at, next_field(header, &at, &field)) {
		which = meta_which(field);
		if (which == META_NONE && !meta_transparent(field)) {
			n = 0;
			any = false;
			continue;
		}
		if (n == 0)
			run->at = from;
		if (n < RUN_FIELDS)
			run->fields[n] = (struct field){ which,
			    from - run->at, field };
		n++;
		any |= which != META_NONE;
	}
	if (!any || n > RUN_FIELDS)
		return false;
	run->n = (unsigned)n;
	run->text = str_sub(header, run->at, at - run->at);
	return run->text.n <= RUN_MAX && is_ended(run->text);
}

static struct str
value_of(struct str field)
{
	return str_trim(str_from(field, str_index(field, ':') + 1));
}

/* The UID that meta.c reads out of the run. */
static uint32_t
run_uid(const struct run *run)
{
	const struct field *f;
	uint32_t uid = 0;
	unsigned count = 0;

	for (f = run->fields; f < run->fields + run->n; f++)
		if (f->which == META_XUID) {
			count++;
			if (!str_u32(value_of(f->text), &uid))
				uid = 0;
		}
	return count == 1 ? uid : 0;
}

/*
 * A stretch of the run that is filled anew: the fields of TEXTS that stand
 * side by side there, and the blanks and the line end of an X-UID before
 * them, since Dovecot keeps its padding there.
 */
struct area {
	size_t at, end;		/* from where the run begins */
	struct str eol;		/* as its first line has it */
	bool tail;		/* it begins with the end of X-UID's line */
	bool holds[TEXTS];
};

struct areas {
	struct area area[RUN_FIELDS + 1];
	unsigned n;
	bool held[TEXTS];	/* some area holds it */
	struct str texts[TEXTS];	/* what is to stand there */
};

static void
add_area(struct areas *areas, const struct run *run, struct area a)
{
	if (a.end == a.at)
		return;
	a.eol = line_end(str_sub(run->text, a.at, a.end - a.at));
	areas->area[areas->n++] = a;
}

/* Of a field that stands twice the second is room, no more. */
static void
find_areas(const struct run *run, struct areas *areas)
{
	const struct field *f;
	struct area a = { .at = 0 };

	for (f = run->fields; f < run->fields + run->n; f++) {
		if (is_text(f->which)) {
			if (!areas->held[f->which])
				a.holds[f->which] = true;
			areas->held[f->which] = true;
			a.end = f->at + f->text.n;
			continue;
		}
		add_area(areas, run, a);
		a = (struct area){ .end = f->at + f->text.n };
		a.at = a.end;
		a.tail = f->which == META_XUID;
		while (a.tail &&
		    ascii_space((unsigned char)run->text.p[a.at - 1]))
			a.at--;
	}
	add_area(areas, run, a);
}

static size_t
area_need(const struct areas *areas, const struct area *a)
{
	size_t need = a->tail ? a->eol.n : 0;
	unsigned i;

	for (i = META_STATUS; i < TEXTS; i++)
		if (a->holds[i])
			need += areas->texts[i].n + a->eol.n;
	return need;
}

/* Finds room for a field that stands nowhere yet. */
static bool
place(struct areas *areas, unsigned which)
{
	struct area *a;

	for (a = areas->area; a < areas->area + areas->n; a++) {
		a->holds[which] = true;
		if (area_need(areas, a) <= a->end - a->at)
			return true;
		a->holds[which] = false;
	}
	return false;
}

/*
 * Fills an area. What is left over becomes blanks: at the end of X-Keywords
 * if it is here, else of X-UID, else of the last field. False when there is
 * too little room, or nothing to put blanks behind.
 */
static bool
fill(struct buf *b, const struct areas *areas, const struct area *a)
{
	size_t need = area_need(areas, a), left = a->end - a->at;
	unsigned i, padded = META_NONE;

	for (i = META_STATUS; i < TEXTS; i++)
		if (a->holds[i] && (i == META_XKEYWORDS || !a->tail))
			padded = i;
	if (need > left || (padded == META_NONE && !a->tail))
		return false;
	left -= need;
	if (a->tail) {
		add_blanks(b, padded == META_NONE ? left : 0);
		buf_add(b, a->eol);
	}
	for (i = META_STATUS; i < TEXTS; i++)
		if (a->holds[i]) {
			buf_add(b, areas->texts[i]);
			add_blanks(b, padded == i ? left : 0);
			buf_add(b, a->eol);
		}
	return true;
}

/*
 * Adds what differs between the run and its new bytes, and says where it
 * begins in the header.
 */
static int
add_change(const struct run *run, struct str bytes, size_t *at,
    struct buf *out)
{
	size_t i = 0, n = bytes.n;

	while (i < n && run->text.p[i] == bytes.p[i])
		i++;
	while (n > i && run->text.p[n - 1] == bytes.p[n - 1])
		n--;
	*at = run->at + i;
	buf_add(out, str_sub(bytes, i, n - i));
	return out->over ? -1 : 0;
}

/* What is to stand in the file, in memory of b. */
static void
make_texts(struct buf *b, const struct stamp *s, struct areas *areas)
{
	unsigned i;
	size_t from;

	for (i = META_STATUS; i < TEXTS; i++) {
		from = b->n;
		add_text(b, (enum meta_field)i, s);
		areas->texts[i] = str_from(buf_str(b), from);
	}
}

/* Each field that says something and stands nowhere yet gets an area. */
static bool
place_missing(struct areas *areas)
{
	unsigned i;

	for (i = META_STATUS; i < TEXTS; i++)
		if (!areas->held[i] && value_of(areas->texts[i]).n > 0 &&
		    !place(areas, i))
			return false;
	return true;
}

int
stamp_patch(struct str header, const struct stamp *s, size_t *at,
    struct buf *out)
{
	char text_room[BLOCK_MAX], room[RUN_MAX];
	struct buf text = BUF_ON(text_room), b = BUF_ON(room);
	struct areas areas = { .n = 0 };
	struct run run;
	const struct area *a;

	if (!find_run(header, &run) || run_uid(&run) != s->uid)
		return -1;
	make_texts(&text, s, &areas);
	find_areas(&run, &areas);
	if (!place_missing(&areas))
		return -1;
	for (a = areas.area; a < areas.area + areas.n; a++) {
		buf_add(&b, str_sub(run.text, b.n, a->at - b.n));
		if (!fill(&b, &areas, a))
			return -1;
	}
	buf_add(&b, str_from(run.text, b.n));
	return add_change(&run, buf_str(&b), at, out);
}

/* The base field of the run, if it is the only one; else NULL. */
static const struct field *
find_base(const struct run *run)
{
	const struct field *f, *base = NULL;

	for (f = run->fields; f < run->fields + run->n; f++)
		if (f->which == META_XIMAP || f->which == META_XIMAPBASE) {
			if (base != NULL)
				return NULL;
			base = f;
		}
	return base;
}

/* Cuts the number behind blanks off *rest; empty when there is none. */
static struct str
next_number(struct str *rest)
{
	struct str number;
	size_t n = 0;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = str_from(*rest, 1);
	while (n < rest->n && ascii_digit((unsigned char)rest->p[n]))
		n++;
	number = str_sub(*rest, 0, n);
	*rest = str_from(*rest, n);
	return number;
}

/*
 * The new base field without its line end: all up to uidlast as it is,
 * uidlast with ten digits or (wide false) with as many as there were.
 */
static bool
make_base(struct buf *b, const struct field *base, const struct stamp *s,
    bool wide)
{
	struct str rest = str_from(base->text,
	    str_index(base->text, ':') + 1);
	struct str number = next_number(&rest);
	uint32_t uidvalidity;

	if (!str_u32(number, &uidvalidity) || uidvalidity != s->uidvalidity)
		return false;
	number = next_number(&rest);
	if (number.n == 0)
		return false;
	buf_add(b, str_sub(base->text, 0, (size_t)(number.p -
	    base->text.p)));
	add_base(b, s, wide ? UIDLAST_DIGITS : number.n);
	return true;
}

/*
 * Blanks at the end of a field that could be less. On a line of their own
 * they are none: without them it would be the empty line.
 */
static size_t
padding(const struct field *f)
{
	struct str text = str_chomp(f->text);
	size_t n = text.n;

	if (str_index(text, '\n') < text.n)
		return 0;
	while (n > 0 && is_blank(text.p[n - 1]))
		n--;
	return text.n - n;
}

/*
 * The field behind the base field that gives `more` bytes of padding, or
 * takes what is left over: X-Keywords before all others. NULL: none does.
 */
static const struct field *
find_spare(const struct run *run, const struct field *base, size_t more)
{
	const struct field *f, *spare = NULL;

	for (f = base + 1; f < run->fields + run->n; f++)
		if ((is_text(f->which) || f->which == META_XUID) &&
		    padding(f) >= more && (f->which == META_XKEYWORDS ||
		    (more > 0 && spare == NULL)))
			spare = f;
	return spare;
}

/*
 * The run with `text` instead of the base field; what it takes more comes
 * out of some padding, what it leaves over goes there. False: no room.
 */
static bool
fit_base(struct buf *b, const struct run *run, const struct field *base,
    struct str text)
{
	struct str eol = line_end(base->text);
	size_t old = base->text.n - eol.n;
	size_t more = text.n > old ? text.n - old : 0;
	size_t less = text.n < old ? old - text.n : 0;
	size_t behind = base->at + base->text.n;
	const struct field *spare = NULL;
	size_t cut;

	/* Blanks that were here stay here: no other field moves. */
	if (more > 0 || (less > 0 && padding(base) == 0))
		spare = find_spare(run, base, more);
	if (more > 0 && spare == NULL)
		return false;
	buf_add(b, str_sub(run->text, 0, base->at));
	buf_add(b, text);
	if (spare == NULL)
		add_blanks(b, less);
	buf_add(b, eol);
	if (spare != NULL) {
		cut = spare->at + str_chomp(spare->text).n;
		buf_add(b, str_sub(run->text, behind, cut - more - behind));
		add_blanks(b, less);
		behind = cut;
	}
	buf_add(b, str_from(run->text, behind));
	return true;
}

int
stamp_patch_base(struct str header, const struct stamp *s, size_t *at,
    struct buf *out)
{
	char text_room[RUN_MAX + BLOCK_MAX], room[RUN_MAX];
	struct run run;
	const struct field *base;
	int wide;

	if (!find_run(header, &run) || (base = find_base(&run)) == NULL)
		return -1;
	for (wide = 1; wide >= 0; wide--) {
		struct buf text = BUF_ON(text_room), b = BUF_ON(room);

		if (!make_base(&text, base, s, wide))
			return -1;
		if (fit_base(&b, &run, base, buf_str(&text)))
			return add_change(&run, buf_str(&b), at, out);
	}
	return -1;
}
