/*
 * Two search programs over a small mailbox: NOT, OR, lists and UIDs give what
 * set algebra gives of the answers; and what can be told from the list of
 * messages alone is told a second time here, in the plainest way.
 */
#include <time.h>

#include "fuzz.h"
#include "../../search.h"
#include "../../lib/date.h"

enum { ALL = 31, BAD = -1, NONE = -2, NOW = 1709467209 };

static char path[] = "/tmp/imapd-search.XXXXXX";
static struct mbox *mbox;
static struct view view;
static struct pool *pool;
static struct io io;

#define TAIL(uid)	"X-UID: " uid "\n\n"

static const char mail[] =
    "From a@x Mon Jan  1 23:30:00 2024\n"
    "From: \"Ann Bee\" <ann@example.org>\nTo: Carl <carl@example.org>\n"
    "Subject: Green\n apples\nDate: Mon, 1 Jan 2024 23:30:00 +0000\n"
    "X-IMAPbase: 1700000000 0000000009 Work later\nStatus: RO\n" TAIL("2")
    "One apple a day\n\n"
    "From b@x Thu Feb  1 12:00:00 2024\n"
    "From: bob@example.org\nCc: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\n"
    "Subject: =?utf-8?q?K=C3=A4se?=\nDate: Fri, 2 Feb 2024 01:00:00 +1300\n"
    "Status: O\nX-Status: AF\n" TAIL("3")
    "Some cheese\n\n"
    "From c@x Fri Mar  1 12:00:00 2024\n"
    "From: g: carl@example.org, \"x\" <y@z>;\nBcc: hidden@example.org\n"
    "Subject: red\nDate: Fri, 1 Mar 2024 12:00:00 +0000\n"
    "Content-Type: multipart/mixed; boundary=b\n"
    "Status: RO\nX-Status: DT\nX-Keywords: Work\n" TAIL("5")
    "--b\n\nSome apples\n--b\nContent-Type: message/rfc822\n\n"
    "Subject: inner\n\n=C3=A4 text\n--b\nContent-Type: text/html;\n"
    " charset=iso-8859-1; name=\"a.html\"\n"
    "Content-Transfer-Encoding: quoted-printable\n\n<p>gr=FC=\nn</p>\n--b\n"
    "Content-Type: image/png\n\napples\n--b--\n\n"
    "From d@x Sat Mar  2 12:00:00 2024\n"
    "From: dan@example.org\nX-Empty:\nStatus: O\nX-Keywords: Work later\n"
    TAIL("6") "nothing\n\n"
    "From e@x Sun Mar  3 12:00:00 2024\n"
    "From: eve@example.org\nSubject: big\n"
    "Content-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: base64\n" TAIL("9") "R3LDvMOfZQ==\n\n";

/* OLDER and YOUNGER find the same on every day. */
time_t
time(time_t *t)
{
	if (t != NULL)
		*t = NOW;
	return NOW;
}

static void
clean(void)
{
	unlink(path);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct why why;
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	setenv("TZ", "UTC", 1);
	MUST(fd >= 0 && write(fd, mail, sizeof(mail) - 1) ==
	    (ssize_t)sizeof(mail) - 1 && close(fd) == 0);
	MUST(mbox_open(&mbox, path, false, NULL, &why) == E_OK);
	view_init(&view, mbox);
	MUST(view.n == 5);
	return atexit(clean);
}

/* Bits of the messages that it finds; *used is how much the line was. */
static int
ask(struct str line, bool uid, bool criteria, size_t *used)
{
	struct search s = { .pool = pool };
	struct outcome o = { 0 };
	struct parser p;
	struct set found;
	uint32_t i;
	int bits = 0;

	fuzz_client(&io, str_sub(line, 0, IO_IN_BYTES), true);
	parse_begin(&p, &io, pool, 65536);
	if ((criteria ? search_parse_criteria : search_parse)(&p, &s) != 0) {
		MUST(p.fault != PARSE_FINE);
		return BAD;
	}
	*used = io.ended ? line.n : io.in_at;
	if (s.charset_unknown)
		return NONE;
	set_init(&found, pool);
	MUST(search_run(&s, mbox, &view, uid, &found, &o) == RES_OK);
	set_resolve(&found, 1);
	for (i = 0; i < view.n; i++)
		if (set_has(&found, uid ? view.at[i].uid : i + 1))
			bits |= 1 << i;
	return bits;
}

struct piece {
	const char *text;
	struct str of;		/* behind it */
};

static int
ask_all(struct str head, const struct piece *pieces, size_t n)
{
	struct buf b = BUF_MAX(1 << 20);
	size_t i, used;
	int r;

	buf_add(&b, head);
	for (i = 0; i < n; i++) {
		buf_add(&b, str_c(pieces[i].text));
		buf_add(&b, pieces[i].of);
	}
	buf_add(&b, STR("\r\n"));
	r = b.n > IO_IN_BYTES ? BAD : ask(buf_str(&b), false, false, &used);
	buf_free(&b);
	return r;
}

/* Nested too deep is no answer; any other must be this. */
#define LAW(head, want, ...) do {					\
	const struct piece pieces_[] = { __VA_ARGS__ };			\
	int got_ = ask_all((head), pieces_,				\
	    sizeof(pieces_) / sizeof(pieces_[0]));			\
	MUST(got_ == BAD || got_ == (want));				\
} while (0)

#define SIZES(word_, sign_)						\
	if (str_ieq(word, STR(word_)))					\
		for (i = 0; i < 5; i++)					\
			bits |= (m[i].size sign_ n) << i

#define AGES(word_, sign_)						\
	if (str_ieq(word, STR(word_)) && n > 0)				\
		for (i = 0; i < 5; i++)					\
			bits |= (NOW - m[i].date sign_ (int64_t)n) << i

#define DAYS(word_, sign_)						\
	if (str_ieq(word, STR(word_)) && day != INT64_MIN)		\
		for (i = 0; i < 5; i++)					\
			bits |= (m[i].date / 86400 sign_ day) << i

/* One key, two words, of those that the list answers; NONE: it is another. */
static int
plainly(struct str line)
{
	const struct msg *m = mbox->msgs;
	struct str word = fuzz_until(&line, ' '), arg = line;
	int64_t day = INT64_MIN;
	uint32_t n = 0;
	int i, bits = 0;

	if (date_day_from_imap(arg, &day) != 0 && !str_u32(arg, &n))
		return NONE;
	if (!str_ieq(word, STR("larger")) && !str_ieq(word, STR("smaller")) &&
	    !str_ieq(word, STR("before")) && !str_ieq(word, STR("on")) &&
	    !str_ieq(word, STR("since")) &&
	    !str_ieq(word, STR("older")) && !str_ieq(word, STR("younger")))
		return NONE;
	SIZES("larger", >);
	SIZES("smaller", <);
	AGES("older", >=);
	AGES("younger", <=);
	DAYS("before", <);
	DAYS("on", ==);
	DAYS("since", >=);
	return bits;
}

static void
laws(struct str head, struct str p, struct str q, int a, int b)
{
	const int both = a & b, either = a | b, not = ALL & ~a;
	const struct str none = STR("");

	LAW(head, not, { "NOT (", p }, { ")", none });
	LAW(head, a, { "NOT NOT (", p }, { ")", none });
	LAW(head, a, { "((", p }, { ") ALL)", none });
	LAW(head, either, { "OR (", p }, { ") (", q }, { ")", none });
	LAW(head, both, { "(", p }, { ") ", q });
	LAW(head, both, { "", q }, { " (", p }, { ")", none });
	LAW(head, ALL & ~either, { "NOT OR (", p }, { ") (", q },
	    { ")", none });
	LAW(head, ALL & ~both, { "OR NOT (", p }, { ") NOT (", q },
	    { ")", none });
}

/* Cut to what it took of the line, without the line end. */
static int
program(struct str head, struct str *p)
{
	struct buf b = BUF_MAX(1 << 20);
	size_t used = 0;
	int bits, by_uid;

	buf_add(&b, head);
	buf_add(&b, *p);
	bits = ask(buf_str(&b), false, false, &used);
	if (bits >= 0) {
		by_uid = ask(buf_str(&b), true, false, &used);
		MUST(by_uid == bits && used >= head.n);
		*p = str_chomp(str_sub(*p, 0, used - head.n));
		if (plainly(*p) != NONE)
			MUST(plainly(*p) == bits);
	}
	buf_free(&b);
	return bits;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const charsets[] = { "", "CHARSET UTF-8 ",
	    "CHARSET \"iso-8859-1\" ", "CHARSET {2+}\r\nUS " };
	struct str in = str_sub(fuzz_input(data, size), 0, 3000), p, q;
	struct str head = str_c(charsets[fuzz_byte(&in) % 4]);
	size_t used;
	int a, b;

	pool = pool_new();
	(void)ask(in, false, true, &used);
	p = fuzz_until(&in, '\0');
	q = in;
	a = program(head, &p);
	b = program(head, &q);
	/* Its own CHARSET is no key among others. */
	if (a >= 0 && b >= 0 && !str_istarts(p, STR("CHARSET")) &&
	    !str_istarts(q, STR("CHARSET")))
		laws(head, p, q, a, b);
	pool_free(pool);
	return 0;
}
