/*
 * A message: its parts lie in their parents, in order, count what they hold,
 * and nothing but delimiters is between them; sections are slices of it, by
 * the numbers that the tree gives; BODYSTRUCTURE is grammar; and with CRLF
 * line ends throughout it is the same tree of the same sizes.
 */
#include "fetched.h"
#include "../twin_mime.h"
#include "../../body.h"
#include "../../lib/rfc822.h"

static struct pool *pool;

static struct part *
tree_of(struct str text)
{
	size_t n = mime_header_end(text);

	return mime_parse(pool, str_sub(text, 0, n), str_from(text, n));
}

static void
add_crlf(struct str text, struct buf *out)
{
	size_t i;

	for (i = 0; i < text.n; i++) {
		if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			buf_addc(out, '\r');
		buf_addc(out, text.p[i]);
	}
}

static void
same_params(const struct param *a, const struct param *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
		MUST(str_eq(a->name, b->name) && str_eq(a->value, b->value));
	MUST(a == b);
}

static void
same_fields(const struct part *a, const struct part *b)
{
	unsigned i;

	MUST(str_eq(a->type, b->type) && str_eq(a->subtype, b->subtype));
	MUST(str_eq(a->id, b->id) && str_eq(a->encoding, b->encoding));
	MUST(str_eq(a->description, b->description));
	MUST(str_eq(a->md5, b->md5) && str_eq(a->location, b->location));
	MUST(str_eq(a->disposition, b->disposition));
	MUST(a->n_languages == b->n_languages);
	for (i = 0; i < a->n_languages; i++)
		MUST(str_eq(a->languages[i], b->languages[i]));
	same_params(a->params, b->params);
	same_params(a->disposition_params, b->disposition_params);
}

static void
same(const struct part *a, const struct part *b)
{
	same_fields(a, b);
	MUST(a->size == b->size && a->lines == b->lines);
	for (a = a->child, b = b->child; a != NULL && b != NULL;
	    a = a->next, b = b->next)
		same(a, b);
	MUST(a == b);
}

/* From the end of a part to the next: "the initial CRLF is considered to be
 * attached to the boundary delimiter line" (RFC 2046 5.1.1), and that line. */
static void
gaps(const struct part *part)
{
	const struct part *child, *last;
	struct str gap, line, boundary;

	for (child = part->child; child != NULL; child = child->next) {
		gaps(child);
		if (child->next == NULL)
			continue;
		gap.p = child->body.p + child->body.n;
		gap.n = (size_t)(child->next->header.p - gap.p);
		if (gap.n > 0 && gap.p[0] != '-') {
			MUST(str_line(&gap, &line) && str_chomp(line).n == 0);
		} else {
			/* That line end is a header's last. */
			for (last = child; last->child != NULL;)
				for (last = last->child; last->next != NULL;)
					last = last->next;
			MUST(last->body.n == 0 && last->body.p == gap.p);
		}
		MUST(str_line(&gap, &line) && gap.n == 0);
		boundary = param_find(part->params, STR("boundary"));
		while (boundary.n > 0 && ascii_space((unsigned char)
		    boundary.p[boundary.n - 1]))
			boundary.n--;
		MUST(str_starts(line, STR("--")) &&
		    str_starts(str_from(line, 2), boundary));
	}
}

/* RFC 3501 6.4.5's numbers, from the tree to them: those of what is in a
 * message, or of the children of a multipart. */
static void
numbering(struct part *root, struct part *in, uint32_t *numbers, uint32_t n)
{
	struct part *part = in->multipart ? in->child : in;

	for (numbers[n] = 1; part != NULL; numbers[n]++, part = part->next) {
		MUST(mime_find(root, numbers, n + 1) == part);
		if (part->message)
			numbering(root, part->child, numbers, n + 1);
		else if (part->multipart)
			numbering(root, part, numbers, n + 1);
		if (part == in)
			break;
	}
}

/* Every part by its number; what is asked of it lies in the message. */
static void
sections(struct part *root, struct str text, uint32_t *numbers, uint32_t n)
{
	static const enum section_kind kinds[] = { SECTION_PART, SECTION_MIME,
	    SECTION_HEADER, SECTION_TEXT, SECTION_FIELDS, SECTION_FIELDS_NOT };
	struct str name = STR("Subject"), got;
	struct section s = { .numbers = numbers, .n_numbers = n,
	    .fields = &name, .n_fields = 1 };
	size_t head = mime_header_end(text), i;
	struct part *part = mime_find(root, numbers, n);
	enum cte cte;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		s.kind = kinds[i];
		got = body_section(&s, pool, str_sub(text, 0, head),
		    str_from(text, head), text, &root);
		if (n > 0)
			MUST((got.p != NULL) == (part != NULL &&
			    (i < 2 || part->message)));
		MUST(i > 3 || fuzz_inside(got, text));
		got = body_encoded(&s, pool, str_sub(text, 0, head),
		    str_from(text, head), text, &root, &cte);
		MUST(i > 3 || fuzz_inside(got, text));
		MUST(got.n <= text.n);
	}
	if (part == NULL || n == 6)
		return;
	for (i = 1; i < 4; i++) {
		numbers[n] = (uint32_t)i;
		sections(root, text, numbers, n + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_sub(fuzz_input(data, size), 0, 8000);
	struct buf crlf = BUF_MAX(1 << 20);
	uint32_t numbers[MIME_DEPTH_MAX + 8];
	unsigned parts = 0;
	struct part *root, *header;
	struct reply r;

	pool = pool_new();
	root = tree_of(text);
	MUST(sound(root, 0, &parts));
	MUST(root->body.p + root->body.n == text.p + text.n);
	header = mime_header(pool, root->header, false);
	same_fields(root, header);
	MUST(mime_find(root, numbers, 0) == root);
	MUST(!root->message || mime_is_text(root));
	gaps(root);
	numbering(root, root, numbers, 0);
	add_crlf(text, &crlf);
	same(root, tree_of(buf_str(&crlf)));
	sections(root, text, numbers, 0);
	r = fuzz_fetch_begin(size % 2 ? "BODY" : "BODYSTRUCTURE");
	body_structure(&r, pool, root, size % 2 == 0);
	fuzz_fetch_end(&r);
	buf_free(&crlf);
	pool_free(pool);
	return 0;
}
