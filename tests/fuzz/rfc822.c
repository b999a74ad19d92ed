/*
 * A header: no byte of it is lost between its fields; folded at every blank
 * it says the same; its envelope is grammar; and an address that was read,
 * written in its plainest form, is read again as the same.
 */
#include "fetched.h"
#include "../../body.h"
#include "../../lib/rfc822.h"

static struct pool *pool;

/* A line end before every blank that has none before it. */
static void
fold(struct str s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if ((s.p[i] == ' ' || s.p[i] == '\t') && i > 0 &&
		    s.p[i - 1] != '\n')
			buf_add(out, STR("\r\n"));
		buf_addc(out, s.p[i]);
	}
}

static bool
plain_host(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!ascii_alpha((unsigned char)s.p[i]) &&
		    !ascii_digit((unsigned char)s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0;
}

static void
add_quoted(struct buf *b, struct str s)
{
	size_t i;

	buf_addc(b, '"');
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, s.p[i]);
	}
	buf_addc(b, '"');
}

static bool
same(struct str a, struct str b)
{
	return (a.p == NULL) == (b.p == NULL) && str_eq(a, b);
}

static void
written(const struct addr *a)
{
	struct buf b = BUF_MAX(1 << 20);
	struct addr_list list;
	struct addr back;

	if (a->name.p != NULL)
		add_quoted(&b, a->name);
	buf_add(&b, STR(" <"));
	add_quoted(&b, a->mailbox);
	buf_addc(&b, '@');
	buf_add(&b, a->host);
	buf_addc(&b, '>');
	addr_begin(&list, pool, buf_str(&b));
	MUST(addr_next(&list, &back) && back.kind == ADDR_ONE);
	MUST(same(back.name, a->name) && same(back.mailbox, a->mailbox));
	MUST(same(back.host, a->host) && back.route.p == NULL);
	MUST(!addr_next(&list, &back));
	buf_free(&b);
}

static void
addresses(struct str value, struct str folded)
{
	struct addr_list one, two;
	struct addr a, b;
	size_t n = 0;
	int open = 0;

	addr_begin(&one, pool, value);
	addr_begin(&two, pool, folded);
	while (addr_next(&one, &a)) {
		MUST(n++ <= 2 * value.n && addr_next(&two, &b));
		MUST(a.kind == b.kind && same(a.name, b.name) &&
		    same(a.route, b.route) && same(a.mailbox, b.mailbox) &&
		    same(a.host, b.host));
		MUST(a.name.p == NULL || a.name.n > 0);
		open += (a.kind == ADDR_GROUP_BEGIN) -
		    (a.kind == ADDR_GROUP_END);
		MUST(open == 0 || open == 1);
		if (a.kind == ADDR_ONE)
			MUST(a.host.n > 0 && a.mailbox.p != NULL);
		if (a.kind == ADDR_ONE && plain_host(a.host))
			written(&a);
	}
	MUST(!addr_next(&two, &b) && open == 0 && one.rest.n == 0);
}

static void
field(const struct field *f, struct str header)
{
	struct buf folded = BUF_MAX(1 << 20), value = BUF_MAX(1 << 20);
	struct str rest, plain = header_unfold(pool, f->value), again;
	struct field back;

	MUST(fuzz_inside(f->name, f->whole) && fuzz_inside(f->value, f->whole)
	    && fuzz_inside(f->whole, header));
	again = header_unfold(pool, plain);
	MUST(str_eq(again, plain));
	fold(f->value, &value);
	addresses(f->value, buf_str(&value));
	if (f->name.n > 0) {
		buf_add(&folded, f->name);
		buf_addc(&folded, ':');
		buf_add(&folded, buf_str(&value));
		buf_add(&folded, STR("\n\n"));
		rest = buf_str(&folded);
		MUST(header_next(&rest, &back) && header_ends(rest));
		MUST(str_eq(back.name, f->name));
		MUST(str_eq(header_unfold(pool, back.value), plain));
	}
	buf_free(&folded);
	buf_free(&value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str header = str_sub(fuzz_input(data, size), 0, 8000);
	struct str rest = header;
	struct reply r;
	struct field f, first;
	size_t n = 0;

	pool = pool_new();
	while (header_next(&rest, &f)) {
		MUST(f.whole.p == header.p + n);
		n += f.whole.n;
		MUST(f.name.n == 0 || (header_find(header, f.name, &first) &&
		    first.whole.p <= f.whole.p));
		field(&f, header);
	}
	MUST(n + rest.n == header.n && (rest.n == 0 || header_ends(rest)));
	r = fuzz_fetch_begin("ENVELOPE");
	body_envelope(&r, pool, header);
	fuzz_fetch_end(&r);
	pool_free(pool);
	return 0;
}
