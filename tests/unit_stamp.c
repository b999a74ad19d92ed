/*
 * What lib/stamp.c writes: UW's block byte for byte, read back by
 * lib/meta.c as it was meant, and no visible byte another one. Patches are
 * laid over the header and judged by what then stands there.
 */
#include "../lib/flags.h"
#include "../lib/meta.h"
#include "../lib/stamp.h"
#include "unit.h"
#include "twin_stamp.h"

#include <stdlib.h>
#include <time.h>

#define TWENTY	"                    "

enum { ROUNDS = 20000, ALL_FLAGS = FLAGS_SYSTEM | FLAG_OLD };

static uint64_t rng;

static uint32_t
chance(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

/* ---- random headers and stamps ---- */

static struct stamp
random_stamp(void)
{
	struct stamp s = {
		.uid = chance(9) == 0 ? 0 : 1 + chance(4000000000u),
		.keywords = chance(2) == 0 ? 0 : chance(1u << names.n),
		.flags = chance(ALL_FLAGS + 1),
		.base = chance(4) == 0,
		.uidvalidity = 1 + chance(2147483647),
		.uidlast = chance(2147483647),
		.names = &names,
		.quoted = chance(4) == 0,
	};

	return s;
}

enum { LF_ENDS, CRLF_ENDS, MIXED_ENDS, STYLES };

static void
add_end(struct buf *b, unsigned style)
{
	if (style == CRLF_ENDS || (style == MIXED_ENDS && chance(2) == 0))
		buf_addc(b, '\r');
	buf_addc(b, '\n');
}

static void
add_line(struct buf *b, const char *text, unsigned style)
{
	buf_add(b, str_c(text));
	add_end(b, style);
}

/* Fields that a sender may choose, continuations, rubbish. */
static void
add_fields(struct buf *b, unsigned n, unsigned style)
{
	static const char *const texts[] = {
		"Subject: s", "Received: by x", "From: a", " folded", "\tx",
		"Status: R", "STATUS: RO", "status : O", "X-Status: DFAT",
		"x-sTATUS:", "X-Keywords: $Junk Work", "X-Keywords:     ",
		"X-KEYWORDS:\t x", "X-UID: 7", "x-uid: 4294967296",
		"X-UID: 0000000009  ", "X-UID:", "X-IMAPbase: 5 9 x",
		"X-IMAP: 0000000005 0000000009", "X-IMAPbase: 5",
		"Content-Length: 5", "X-IMAPd-Quoted: rd", "Lines: 3",
		"lines :", "Statuses: R", "Status", ":", " ", "\t: R",
		"Status\t \t: D", "X-UIDL: 5", "\rx", "X-Status\r: D",
	};

	while (n-- > 0) {
		if (chance(40) == 0)
			buf_add(b, STR("X-N\0UL: \0"));
		add_line(b, texts[chance(sizeof(texts) / sizeof(texts[0]))],
		    style);
	}
}

/* The end of a header in the layouts of programs, padding and all. */
static void
add_run(struct buf *b, unsigned style)
{
	static const char *const layouts[][8] = {
		{ "X-IMAPbase: 5 9", "Status: RO", "X-Status: ",
		    "X-Keywords:                       ", "X-UID: 7" },
		{ "X-IMAPbase: 5 0000000009 $Junk Work", "X-UID: 7     ",
		    "Status: O", "X-Status: AF", "X-Keywords: $Junk      ",
		    "Content-Length: 2000" },
		{ "X-UID: 7                          ", "Status: O",
		    "Content-Length: 2000" },
		{ "X-UID: 7               ", "X-Keywords: $Junk",
		    "Status: RO", "X-Status: F", "Content-Length: 5",
		    "Lines: 1" },
		{ "X-IMAP: 0000000005 0000000009        ", "Status: RO" },
		{ "Status: R", "X-UID: 7", "X-Status: F", "Status: O" },
		{ "X-IMAPbase: 5 9 x", "X-Keywords: x", " Work", "  ",
		    "X-UID: 7   ", " " },
	};
	const char *const *text =
	    layouts[chance(sizeof(layouts) / sizeof(layouts[0]))];

	for (; *text != NULL; text++)
		add_line(b, *text, style);
}

static void
random_header(struct buf *b)
{
	unsigned style = chance(STYLES);
	struct stamp s = random_stamp();
	struct buf inner = BUF_MAX(1 << 20);

	buf_clear(b);
	switch (chance(4)) {
	case 0:
		add_fields(b, chance(12), style);
		break;
	case 1:
		add_fields(&inner, chance(6), style);
		stamp_header(buf_str(&inner), &s, b);
		buf_free(&inner);
		return;
	default:
		add_fields(b, chance(3), style);
		if (chance(4) > 0)
			add_line(b, "A: visible", style);
		add_run(b, style);
	}
	if (chance(5) > 0)
		add_end(b, style);
	else if (chance(3) == 0 && b->n > 0)
		b->n -= 1 + chance(b->n < 9 ? (uint32_t)b->n : 9);
}

static void
show(const char *what, struct str bytes)
{
	size_t i;

	printf("# %s <", what);
	for (i = 0; i < bytes.n && i < 2000; i++)
		if (bytes.p[i] >= ' ')
			putchar(bytes.p[i]);
		else
			printf("\\%03o", (unsigned char)bytes.p[i]);
	printf(">\n");
}

/* ---- stamp_header ---- */

static void
check_bytes(void)
{
	static const struct stamp with_base = {
		.uid = 17, .keywords = 3, .flags = ALL_FLAGS, .base = true,
		.uidvalidity = 1031661383, .uidlast = 42, .names = &names,
	};
	struct stamp s = { .uid = 4294967295, .flags = FLAG_OLD };
	struct buf out = BUF_MAX(4096);

	stamp_header(STR("Subject: s\n\n"), &s, &out);
	CHECK_STR("the block is UW's, with padding up to 50", buf_str(&out),
	    STR("Subject: s\nStatus: O\nX-Status: \n"
	    "X-Keywords:                  \nX-UID: 4294967295\n\n"));
	buf_clear(&out);
	stamp_header(STR("Subject: s\n\n"), &with_base, &out);
	CHECK_STR("with X-IMAPbase, up to 200", buf_str(&out),
	    STR("Subject: s\nX-IMAPbase: 1031661383 "
	    "0000000042 $Junk Work x a-keyword-of-just-the-longest-kind-of-"
	    "fifty-bytes!\nStatus: RO\nX-Status: DFAT\n"
	    "X-Keywords: $Junk Work" TWENTY TWENTY "              \n"
	    "X-UID: 17\n\n"));
	s = (struct stamp){ .uid = 1, .base = true, .uidvalidity = 1,
	    .quoted = true };
	buf_clear(&out);
	stamp_header(STR("Subject: s\r\n\r\n"), &s, &out);
	CHECK_STR("line ends are the header's, all fields inside the block",
	    buf_str(&out), STR("Subject: s\r\nX-IMAPbase: 1 0000000000\r\n"
	    "Status: \r\nX-Status: \r\nX-Keywords:" TWENTY TWENTY TWENTY
	    TWENTY TWENTY TWENTY TWENTY " \r\n"
	    "X-IMAPd-Quoted: rd\r\nX-UID: 1\r\n\r\n"));
	buf_clear(&out);
	s = (struct stamp){ 0 };
	stamp_header(STR(""), &s, &out);
	CHECK_STR("without a header and a UID there is a block still",
	    buf_str(&out), STR("Status: \nX-Status: \n"
	    "X-Keywords:                   \n\n"));
	buf_clear(&out);
	stamp_header(STR("Subject: s"), &s, &out);
	CHECK("a line that was cut off is ended",
	    str_starts(buf_str(&out), STR("Subject: s\nStatus: \n")));
	buf_clear(&out);
	stamp_header(STR("A: 1\n\r"), &s, &out);
	CHECK("and a CR cut off from its LF makes no empty line",
	    str_starts(buf_str(&out), STR("A: 1\n\r\r\nStatus: \n")));
	buf_clear(&out);
	stamp_header(STR("Status: R\r\nSubject: s\n\r\nFrom here on\n"), &s,
	    &out);
	CHECK_STR("the first visible line sets the line ends; the empty line "
	    "and what is behind it stay", buf_str(&out), STR("Subject: s\n"
	    "Status: \nX-Status: \nX-Keywords:                   \n"
	    "\r\nFrom here on\n"));
	buf_clear(&out);
	stamp_header(STR("Status: R\n R\n\tR\nA: 1\n a\nx-UID: 1\n 2\n\n"),
	    &s, &out);
	CHECK("fields go with their continuations and leave others' alone",
	    str_starts(buf_str(&out), STR("A: 1\n a\nStatus: \n")));
	buf_free(&out);
}

static void
check_stamps(void)
{
	struct buf header = BUF_MAX(1 << 20), out = BUF_MAX(1 << 20);
	struct stamp s;
	const char *bad;
	unsigned i, n = 0;

	for (i = 0; i < ROUNDS; i++) {
		random_header(&header);
		s = random_stamp();
		buf_clear(&out);
		stamp_header(buf_str(&header), &s, &out);
		bad = judge_stamp(buf_str(&header), &s, buf_str(&out));
		if (bad != NULL && n++ == 0) {
			show(bad, buf_str(&header));
			show("gives", buf_str(&out));
		}
	}
	CHECK("any header, stamped: says the stamp, shows what it showed, "
	    "has the size foretold, and twice is once", n == 0);
	buf_free(&header);
	buf_free(&out);
}

/* ---- stamp_patch ---- */

/* The header with the patch laid over it. */
static void
lay(struct buf *to, struct str header, size_t at, struct str patch)
{
	buf_clear(to);
	buf_add(to, str_sub(header, 0, at));
	buf_add(to, patch);
	buf_add(to, str_from(header, at + patch.n));
}

/* The patched header must be `want` byte for byte; NULL: no patch fits. */
static void
check_patch(const char *what, const char *header, const struct stamp *s,
    const char *want, int (*patch)(struct str, const struct stamp *,
    size_t *, struct buf *))
{
	struct buf out = BUF_MAX(8192), got = BUF_MAX(8192);
	size_t at;
	int r = patch(str_c(header), s, &at, &out);

	if (want == NULL) {
		CHECK(what, r == -1 && out.n == 0);
	} else if (CHECK(what, r == 0)) {
		lay(&got, str_c(header), at, buf_str(&out));
		CHECK_STR(what, buf_str(&got), str_c(want));
	}
	buf_free(&out);
	buf_free(&got);
}

static void
check_layouts(void)
{
	static const struct {
		const char *what;
		unsigned flags;
		uint32_t keywords;
		const char *header, *want;
	} rows[] = {
		{ "UW's block takes a keyword out of its padding",
		    FLAG_SEEN | FLAG_OLD | FLAG_FLAGGED, 1,
		    "A: 1\nStatus: O\nX-Status: \nX-Keywords:        \n"
		    "X-UID: 7\n\n",
		    "A: 1\nStatus: RO\nX-Status: F\nX-Keywords: $Junk\n"
		    "X-UID: 7\n\n" },
		{ "UW's block gives it back", FLAG_OLD, 0,
		    "A: 1\nStatus: RO\nX-Status: F\nX-Keywords: $Junk\n"
		    "X-UID: 7\n\n",
		    "A: 1\nStatus: O\nX-Status: \nX-Keywords:        \n"
		    "X-UID: 7\n\n" },
		{ "a keyword longer than the padding does not fit",
		    FLAG_OLD, 8,
		    "A: 1\nStatus: RO\nX-Status: F\nX-Keywords: $Junk\n"
		    "X-UID: 7\n\n", NULL },
		{ "Dovecot's padding behind X-UID gives all fields",
		    FLAG_SEEN | FLAG_DELETED, 1,
		    "A: 1\nX-UID: 7                                          \n"
		    "Content-Length: 2000\n\n",
		    "A: 1\nX-UID: 7\nStatus: R\nX-Status: D\nX-Keywords: "
		    "$Junk  \nContent-Length: 2000\n\n" },
		{ "Dovecot's padding behind X-UID stays there", FLAG_OLD, 0,
		    "X-UID: 7                \r\nStatus: RO\r\n\r\n",
		    "X-UID: 7                 \r\nStatus: O\r\n\r\n" },
		{ "padding in two places becomes one",
		    FLAG_SEEN | FLAG_OLD, 2,
		    "X-IMAPbase: 5 0000000009 $Junk Work\n"
		    "X-UID: 7      \nStatus: O\nX-Keywords: $Junk  \n"
		    "Content-Length: 2000\n\n",
		    "X-IMAPbase: 5 0000000009 $Junk Work\n"
		    "X-UID: 7\nStatus: RO\nX-Keywords: Work        \n"
		    "Content-Length: 2000\n\n" },
		{ "mutt's Status stands behind X-UID, a new X-Status before",
		    FLAG_OLD | FLAG_FLAGGED, 0,
		    "X-Keywords:              \nX-UID: 7\nStatus: O\n"
		    "Content-Length: 5\nLines: 1\n\n",
		    "X-Status: F\nX-Keywords:  \nX-UID: 7\nStatus: O\n"
		    "Content-Length: 5\nLines: 1\n\n" },
		{ "what has no room in one place goes to another",
		    FLAG_OLD | FLAG_FLAGGED, 0,
		    "X-Keywords:\nX-UID: 7               \nStatus: O\n\n",
		    "X-Keywords:\nX-UID: 7   \nStatus: O\nX-Status: F\n\n" },
		{ "a letter less leaves a blank", FLAG_OLD, 0,
		    "X-UID: 7\nLines: 1\nStatus: RO\nX-Status: F\n\n",
		    "X-UID: 7\nLines: 1\nStatus: O\nX-Status:   \n\n" },
		{ "a letter more needs room", FLAG_SEEN | FLAG_OLD, 0,
		    "X-UID: 7\nStatus: O\n\n", NULL },
		{ "a field twice, folded and misspelled is written once",
		    FLAG_SEEN, 2, "status: R\nStatus: O\nX-KEYWORDS: x\n"
		    "\t$Junk\nX-UID: 7\n\n",
		    "Status: R\nX-Keywords: Work              \n"
		    "X-UID: 7\n\n" },
		{ "a second field on its own leaves nothing to pad",
		    FLAG_SEEN, 0, "Status: O\nX-UID: 7\nContent-Length: 1\n"
		    "Status: R\n\n", NULL },
		{ "another UID is another message", 0, 0,
		    "Status: \nX-Keywords:      \nX-UID: 8\n\n", NULL },
		{ "two UIDs are none", 0, 0,
		    "Status: \nX-UID: 7\nX-UID: 7\n\n", NULL },
		{ "a run that a visible field follows is left alone", 0, 0,
		    "Status: R\nX-UID: 7\nA: 1\n\n", NULL },
		{ "no metadata, no patch", 0, 0, "A: 1\n\n", NULL },
		{ "nor an end of file in their midst", 0, 0,
		    "X-UID: 7\nStatus: R", NULL },
		{ "a header without its empty line is patched", 0, 0,
		    "X-UID: 7\nStatus: R\n", "X-UID: 7 \nStatus: \n" },
	};
	size_t i;

	check_patch("Lines alone is no run",
	    "Status: R\nA: 1\nLines: 3\n\n", &(struct stamp){ .uid = 0 },
	    NULL, stamp_patch);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_patch(rows[i].what, rows[i].header, &(struct stamp){
		    .uid = 7, .flags = rows[i].flags, .names = &names,
		    .keywords = rows[i].keywords }, rows[i].want,
		    stamp_patch);
}

/*
 * From all flags to all flags in a block of ours: the patch gives what
 * stamping anew would, and writes few bytes.
 */
static void
check_all_flags(void)
{
	struct buf old = BUF_MAX(8192), new = BUF_MAX(8192),
	    out = BUF_MAX(8192), got = BUF_MAX(8192);
	struct keywords few = { .n = 0 };
	struct stamp s = { .uid = 5, .uidvalidity = 6, .uidlast = 7,
	    .names = &few };
	unsigned from, to, bad = 0, most = 0;
	size_t at;
	int crlf;

	keyword_add(&few, STR("$Junk"));
	for (crlf = 0; crlf < 2; crlf++)
		for (from = 0; from < 256; from++) {
			s.flags = from & ALL_FLAGS;
			s.base = from & 64;
			s.quoted = from & 128;
			buf_clear(&old);
			stamp_header(crlf ? STR("A: 1\r\n") : STR("A: 1\n"),
			    &s, &old);
			for (to = 0; to <= ALL_FLAGS; to++) {
				s.flags = to;
				buf_clear(&new);
				buf_clear(&out);
				stamp_header(buf_str(&old), &s, &new);
				if (stamp_patch(buf_str(&old), &s, &at,
				    &out) != 0)
					bad++;
				lay(&got, buf_str(&old), at, buf_str(&out));
				if (!str_eq(buf_str(&got), buf_str(&new)))
					bad++;
				if (out.n > most)
					most = (unsigned)out.n;
			}
		}
	printf("# longest patch: %u bytes\n", most);
	CHECK("in our own block all flags can follow on all others, as "
	    "stamped anew", bad == 0);
	CHECK("such a patch is short", most > 0 && most < 100);
	buf_free(&old);
	buf_free(&new);
	buf_free(&out);
	buf_free(&got);
}

/*
 * Whatever a block of ours says: if a new one is as long, the patch gives
 * it; if there is room, there is a patch.
 */
static void
check_own_blocks(void)
{
	struct buf old = BUF_MAX(8192), new = BUF_MAX(8192),
	    out = BUF_MAX(8192), got = BUF_MAX(8192);
	unsigned i, same = 0, bad = 0;
	struct stamp s, to;
	size_t at;
	int r;

	for (i = 0; i < ROUNDS; i++) {
		s = to = random_stamp();
		to.flags = chance(ALL_FLAGS + 1);
		to.keywords = chance(3) == 0 ? s.keywords :
		    chance(1u << names.n);
		buf_clear(&old);
		buf_clear(&new);
		buf_clear(&out);
		stamp_header(chance(2) ? STR("A: 1\r\n\r\n") :
		    STR("A: 1\n\n"), &s, &old);
		stamp_header(buf_str(&old), &to, &new);
		r = stamp_patch(buf_str(&old), &to, &at, &out);
		if ((new.n <= old.n) != (r == 0))
			bad++;
		if (new.n != old.n || r != 0)
			continue;
		same++;
		lay(&got, buf_str(&old), at, buf_str(&out));
		if (!str_eq(buf_str(&got), buf_str(&new)))
			bad++;
		if (out.n > 0 && (out.p[0] == old.p[at] ||
		    out.p[out.n - 1] == old.p[at + out.n - 1]))
			bad++;
	}
	printf("# %u of the same length\n", same);
	CHECK("our own block is patched if and only if there is room, to "
	    "what stamping anew gives, without a byte that stays",
	    bad == 0 && same > ROUNDS / 10);
	buf_free(&old);
	buf_free(&new);
	buf_free(&out);
	buf_free(&got);
}

/* Does what came out of a patch show and hide the same bytes? */
static const char *
judge_patch(struct str header, struct str got)
{
	static struct buf want = BUF_MAX(1 << 20), seen = BUF_MAX(1 << 20);

	if (got.n != header.n)
		return "the length is another one";
	add_visible(&want, header);
	add_visible(&seen, got);
	if (!str_eq(buf_str(&want), buf_str(&seen)))
		return "visible bytes changed";
	return NULL;
}

/* Fields of X-UID and the base, at the same places in both? */
static bool
fixed_stay(struct str a, struct str b)
{
	struct str rest = a, line;
	size_t at = 0;

	while (str_line(&rest, &line)) {
		enum meta_field f = meta_which(line);

		if ((f == META_XUID || f == META_XIMAP ||
		    f == META_XIMAPBASE) && !str_starts(str_from(b, at),
		    str_trim(line)))
			return false;
		at += line.n;
	}
	return true;
}

static void
check_patches(void)
{
	struct buf header = BUF_MAX(1 << 20), out = BUF_MAX(1 << 20),
	    got = BUF_MAX(1 << 20);
	unsigned i, fits = 0, refused = 0, n = 0;
	const char *bad;
	struct meta before;
	struct stamp s;
	size_t at;

	for (i = 0; i < ROUNDS; i++) {
		random_header(&header);
		read_header(buf_str(&header));
		before = m;
		s = random_stamp();
		if (chance(20) > 0)
			s.uid = m.uid;
		buf_clear(&out);
		if (stamp_patch(buf_str(&header), &s, &at, &out) != 0) {
			n += out.n > 0;
			refused++;
			continue;
		}
		fits++;
		lay(&got, buf_str(&header), at, buf_str(&out));
		bad = judge_patch(buf_str(&header), buf_str(&got));
		read_header(buf_str(&got));
		if (!says_flags(&s))
			bad = "meta reads other flags";
		if (m.base != before.base || m.base_shaped !=
		    before.base_shaped || m.uidlast != before.uidlast ||
		    m.bytes != before.bytes || m.ended != before.ended ||
		    m.hidden != before.hidden || !fixed_stay(buf_str(&header),
		    buf_str(&got)))
			bad = "more than flags changed";
		if (bad != NULL && n++ == 0) {
			show(bad, buf_str(&header));
			show("becomes", buf_str(&got));
		}
	}
	printf("# %u patched, %u refused\n", fits, refused);
	CHECK("any header, patched: as long, says the new flags, all else "
	    "as before", n == 0);
	CHECK("many could be patched and many not", fits > ROUNDS / 5 &&
	    refused > ROUNDS / 5);
	buf_free(&header);
	buf_free(&out);
	buf_free(&got);
}

/* ---- stamp_patch_base ---- */

static void
check_bases(void)
{
	static const struct {
		const char *what;
		uint32_t uidlast;
		const char *header, *want;
	} rows[] = {
		{ "ten digits rise in place", 12,
		    "A: 1\nX-IMAPbase: 5 0000000009 $Junk Work\nX-UID: 7\n\n",
		    "A: 1\nX-IMAPbase: 5 0000000012 $Junk Work\nX-UID: 7\n\n"
		    },
		{ "the pseudo message's rise too", 12,
		    "X-IMAP: 0000000005 0000000009 $Junk Work\nStatus: RO\n\n",
		    "X-IMAP: 0000000005 0000000012 $Junk Work\nStatus: RO\n\n"
		    },
		{ "UW's short number gets ten digits out of X-Keywords", 10,
		    "X-IMAPbase: 5 9 $Junk Work\nStatus: O\nX-Status: \n"
		    "X-Keywords: x            \nX-UID: 7\n\n",
		    "X-IMAPbase: 5 0000000010 $Junk Work\nStatus: O\n"
		    "X-Status: \nX-Keywords: x   \nX-UID: 7\n\n" },
		{ "or as many as there is room for", 10,
		    "X-IMAPbase: 5 9 $Junk Work\nStatus: O\nX-Status: \n"
		    "X-Keywords: x \nX-UID: 7\n\n",
		    "X-IMAPbase: 5 10 $Junk Work\nStatus: O\nX-Status: \n"
		    "X-Keywords: x\nX-UID: 7\n\n" },
		{ "new keywords come out of X-Keywords", 9,
		    "X-IMAPbase: 5 0000000009\r\nStatus: O\r\nX-Status: \r\n"
		    "X-Keywords:             \r\nX-UID: 7\r\n\r\n",
		    "X-IMAPbase: 5 0000000009 $Junk Work\r\nStatus: O\r\n"
		    "X-Status: \r\nX-Keywords:  \r\nX-UID: 7\r\n\r\n" },
		{ "or out of Dovecot's X-UID", 9,
		    "X-IMAPbase: 5 0000000009 Work\nX-UID: 7       \n"
		    "X-Keywords: Work\nStatus: RO\n\n",
		    "X-IMAPbase: 5 0000000009 $Junk Work\nX-UID: 7 \n"
		    "X-Keywords: Work\nStatus: RO\n\n" },
		{ "or out of the field's own padding", 9,
		    "X-IMAP: 0000000005 0000000009             \nStatus: RO\n"
		    "\n",
		    "X-IMAP: 0000000005 0000000009 $Junk Work  \nStatus: RO\n"
		    "\n" },
		{ "what is left of its padding stays there", 9,
		    "X-IMAPbase: 5 9 $Junk                  \n"
		    "X-Keywords: \nX-UID: 7\n\n",
		    "X-IMAPbase: 5 0000000009 $Junk Work    \n"
		    "X-Keywords: \nX-UID: 7\n\n" },
		{ "a shorter field leaves room for X-Keywords", 9,
		    "X-IMAPbase: 5 0000000009 $Junk Work\n\tmore\n"
		    "X-Keywords:\nX-UID: 7\n\n",
		    "X-IMAPbase: 5 0000000009 $Junk Work\n"
		    "X-Keywords:      \nX-UID: 7\n\n" },
		{ "without room there is no patch", 9,
		    "X-IMAPbase: 5 0000000009\nX-Keywords:   \nX-UID: 7\n\n",
		    NULL },
		{ "a blank continuation is no padding", 9,
		    "X-IMAPbase: 5 0000000009\nX-Keywords: x\n           \n"
		    "X-UID: 7\n\n", NULL },
		{ "nor at a field of no known program", 10,
		    "X-IMAPbase: 5 9 $Junk Work\nContent-Length: 7   \n\n",
		    NULL },
		{ "another UIDVALIDITY is another mailbox", 9,
		    "X-IMAPbase: 6 0000000009 $Junk Work\nX-UID: 7\n\n", NULL },
		{ "two base fields are none", 9,
		    "X-IMAPbase: 5 9 $Junk Work\nX-IMAP: 5 9 $Junk Work\n\n",
		    NULL },
		{ "one number is none", 9,
		    "X-IMAPbase: 5 \nX-Keywords:                       \n\n",
		    NULL },
		{ "no base field, no patch", 9, "X-UID: 7\nStatus: \n\n",
		    NULL },
	};
	size_t i;

	names.n = 2;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_patch(rows[i].what, rows[i].header, &(struct stamp){
		    .uidvalidity = 5, .uidlast = rows[i].uidlast,
		    .names = &names }, rows[i].want, stamp_patch_base);
	name_keywords();
}

static void
check_random_bases(void)
{
	struct buf header = BUF_MAX(1 << 20), out = BUF_MAX(1 << 20),
	    got = BUF_MAX(1 << 20);
	unsigned i, fits = 0, n = 0, all = names.n;
	const char *bad;
	struct meta before;
	struct stamp s;
	size_t at;

	for (i = 0; i < ROUNDS; i++) {
		names.n = chance(all + 1);
		random_header(&header);
		names.n = all;
		read_header(buf_str(&header));
		before = m;
		s = random_stamp();
		if (m.base == META_NONE)
			continue;
		s.uidvalidity = m.uidvalidity;
		names.n = 1 + chance(all);
		buf_clear(&out);
		if (stamp_patch_base(buf_str(&header), &s, &at, &out) != 0) {
			n += out.n > 0;
			continue;
		}
		fits++;
		lay(&got, buf_str(&header), at, buf_str(&out));
		bad = judge_patch(buf_str(&header), buf_str(&got));
		read_header(buf_str(&got));
		if (!says_base(&s))
			bad = "meta reads another base";
		if (m.flags != before.flags || m.uid != before.uid ||
		    m.base_shaped != before.base_shaped ||
		    m.bytes != before.bytes || m.ended != before.ended ||
		    !str_eq(meta_keywords(&m), meta_keywords(&before)))
			bad = "more than the base changed";
		if (bad != NULL && n++ == 0) {
			show(bad, buf_str(&header));
			show("becomes", buf_str(&got));
		}
	}
	names.n = all;
	printf("# %u patched\n", fits);
	CHECK("any base, patched: as long, says the new numbers and words, "
	    "all else as before", n == 0);
	CHECK("many could be patched", fits > ROUNDS / 20);
	buf_free(&header);
	buf_free(&out);
	buf_free(&got);
}

/* ---- hostile ---- */

static void
check_huge(void)
{
	enum { HUGE = 1 << 20 };
	struct buf header = BUF_MAX(4 * HUGE), out = BUF_MAX(4 * HUGE);
	struct stamp s = { .uid = 7, .names = &names };
	size_t at, i;

	buf_add(&header, STR("A: 1\nX-UID: 7\nX-Keywords:"));
	for (i = 0; i < HUGE; i++)
		buf_add(&header, STR(" x\n"));
	buf_add(&header, STR("Status: R\n\n"));
	CHECK("a run of megabytes is not patched",
	    stamp_patch(buf_str(&header), &s, &at, &out) == -1 &&
	    stamp_patch_base(buf_str(&header), &s, &at, &out) == -1);
	stamp_header(buf_str(&header), &s, &out);
	CHECK("it is stamped away", out.n < 100 &&
	    out.n == stamp_header_size(buf_str(&header), &s));
	buf_clear(&header);
	for (i = 0; i < 30; i++)
		buf_add(&header, STR("Status: R\n"));
	s.uid = 0;
	CHECK("a run of thirty fields is not patched",
	    stamp_patch(buf_str(&header), &s, &at, &out) == -1);
	s.uid = 7;
	buf_add(&header, STR("A: 1\nX-UID: 7\nStatus: R\n\n"));
	buf_clear(&out);
	CHECK("many fields that are not the last run are in nobody's way",
	    stamp_patch(buf_str(&header), &s, &at, &out) == 0 &&
	    out.n > 0 && out.n < 20 && at > header.n - 20);
	out.max = out.n;
	CHECK("no room for the patch, no patch",
	    stamp_patch(buf_str(&header), &s, &at, &out) == -1 && out.over);
	buf_free(&header);
	buf_free(&out);
}

/* Thirty of the longest keywords: the longest block there can be. */
static void
check_longest(void)
{
	struct keywords many = { .n = 0 };
	struct stamp s = { .uid = UINT32_MAX, .keywords = 0x3fffffff,
	    .flags = ALL_FLAGS, .base = true, .uidvalidity = INT32_MAX,
	    .uidlast = INT32_MAX - 1, .names = &many, .quoted = true };
	struct buf out = BUF_MAX(8192), patch = BUF_MAX(8192);
	char word[KEYWORD_MAX_BYTES];
	size_t at;

	memset(word, 'k', sizeof(word));
	while (many.n < KEYWORDS_MAX) {
		word[0] = (char)('a' + many.n / 10);
		word[1] = (char)('0' + many.n % 10);
		keyword_add(&many, (struct str){ word, sizeof(word) });
	}
	stamp_header(STR("A: 1\r\n\r\n"), &s, &out);
	read_header(buf_str(&out));
	CHECK("the longest block is written and read whole",
	    m.uid == s.uid && m.base_shaped && m.uidlast == s.uidlast &&
	    meta_keywords(&m).n == 30 * 51 - 1 &&
	    meta_base_keywords(&m).n == 30 * 51);
	s.keywords = 1;
	CHECK("and patched", stamp_patch(buf_str(&out), &s, &at, &patch) ==
	    0 && patch.n > 1000 && stamp_patch_base(buf_str(&out), &s, &at,
	    &patch) == 0);
	s.keywords = UINT32_MAX;
	patch.n = 0;
	CHECK("bits without a name are not written; what stands there "
	    "already is no patch", stamp_patch(buf_str(&out), &s, &at,
	    &patch) == 0 && patch.n == 0);
	buf_free(&out);
	buf_free(&patch);
}

int
main(int argc, char **argv)
{
	rng = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	rng |= 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	name_keywords();
	check_bytes();
	check_stamps();
	check_layouts();
	check_all_flags();
	check_own_blocks();
	check_patches();
	check_bases();
	check_random_bases();
	check_huge();
	check_longest();
	return unit_end();
}
