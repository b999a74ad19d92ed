/*
 * A header and a stamp: what was written is read back as it was meant, no
 * visible byte is another one, and a patch changes as much in place. And
 * quoting, in any pieces, comes off as it was put on.
 */
#include "fuzz.h"
#include "../twin_stamp.h"
#include "../../lib/quote.h"

static struct buf got = BUF_MAX(1 << 20), patch = BUF_MAX(1 << 20),
    seen = BUF_MAX(1 << 20), want = BUF_MAX(1 << 20);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	name_keywords();
	return 0;
}

/* The bytes laid over the header at that place. */
static struct str
laid(struct str header, size_t at)
{
	MUST(at + patch.n <= header.n);
	buf_clear(&got);
	buf_add(&got, str_sub(header, 0, at));
	buf_add(&got, buf_str(&patch));
	buf_add(&got, str_from(header, at + patch.n));
	add_visible(&want, header);
	add_visible(&seen, buf_str(&got));
	MUST(str_eq(buf_str(&seen), buf_str(&want)));
	return buf_str(&got);
}

static void
patched(struct str header, struct stamp s)
{
	struct meta before;
	size_t at = 0;

	buf_clear(&patch);
	if (stamp_patch(header, &s, &at, &patch) == 0) {
		read_header(laid(header, at));
		MUST(says_flags(&s));
	} else
		MUST(patch.n == 0);
	read_header(header);
	before = m;
	s.uidvalidity = m.uidvalidity;
	buf_clear(&patch);
	if (m.base == META_NONE ||
	    stamp_patch_base(header, &s, &at, &patch) != 0)
		return;
	read_header(laid(header, at));
	MUST(says_base(&s) && m.flags == before.flags && m.uid == before.uid &&
	    m.bytes == before.bytes && m.ended == before.ended);
	MUST(str_eq(meta_keywords(&m), meta_keywords(&before)));
}

/* Each "From " behind ">"s, found in pieces of any length. */
static void
quoting(struct str text, size_t piece)
{
	struct quote whole = { 0 }, cut = { 0 };
	size_t at = 0, found = 0, from = 0, i, in;
	struct str some;
	char *p;

	buf_clear(&got);
	while (quote_find(&whole, text, &at)) {
		buf_add(&got, str_sub(text, from, at - 5 - from));
		buf_add(&got, STR(">From "));
		from = at;
		found++;
	}
	buf_add(&got, str_from(text, from));
	for (i = 0; i < text.n; i += some.n) {
		some = str_sub(text, i, piece);
		in = 0;
		while (quote_find(&cut, some, &in))
			found--;
	}
	MUST(found == 0);
	p = fuzz_copy(buf_str(&got));
	MUST(str_eq((struct str){ p, quote_remove(p, got.n) }, text));
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 9000), header;
	unsigned how = fuzz_byte(&in);
	const char *bad;
	struct stamp s = { .base = how & 1, .quoted = how & 2,
	    .names = &names, .uid = 1 + fuzz_byte(&in),
	    .flags = fuzz_byte(&in) & (FLAGS_SYSTEM | FLAG_OLD),
	    .keywords = fuzz_byte(&in) & 15, .uidvalidity = 1000000000,
	    .uidlast = 300 };

	quoting(in, 1 + how % 16);
	/* What the caller gives ends at the empty line, as mbox.h cuts it. */
	read_header(in);
	header = m.ended ? str_sub(in, 0, m.bytes) : in;
	buf_clear(&got);
	stamp_header(header, &s, &got);
	bad = judge_stamp(header, &s, buf_str(&got));
	if (bad != NULL)
		fprintf(stderr, "%s\n", bad);
	MUST(bad == NULL);
	patched(header, s);
	if (how & 4) {
		buf_clear(&got);
		stamp_header(header, &s, &got);
		header = (struct str){ fuzz_copy(buf_str(&got)), got.n };
		s.flags ^= how >> 3;
		patched(header, s);
		free((void *)(uintptr_t)header.p);
	}
	return 0;
}
