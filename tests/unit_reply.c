/*
 * unit_reply.c - what leaves is IMAP syntax, whatever went in; literals hold
 * exactly as many octets as they say; and each result has its tagged line.
 * The client is a file in memory.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../command.h"
#include "../reply.h"
#include "unit.h"

static struct io io;
static struct reply r = { &io };

static void
begin(void)
{
	if (io.wfd > 0)
		close(io.wfd);
	io_init(&io, STDIN_FILENO, memfd_create("client", 0), NULL);
}

/* All that was sent since begin(). */
static struct str
sent(void)
{
	static char bytes[2000000];
	ssize_t n;

	io_flush(&io);
	n = pread(io.wfd, bytes, sizeof(bytes), 0);
	return (struct str){ bytes, n < 0 ? 0 : (size_t)n };
}

static void
numbers(void)
{
	begin();
	reply_number(&r, 0);
	reply_raw(&r, STR(" "));
	reply_number(&r, 10);
	reply_raw(&r, STR(" "));
	reply_number(&r, UINT64_MAX);
	reply_f(&r, " %s %d", "x", -1);
	CHECK_STR("numbers are written in full", sent(),
	    STR("0 10 18446744073709551615 x -1"));
}

static void
strings(void)
{
	begin();
	reply_string(&r, STR(""));
	CHECK_STR("an empty string is quoted", sent(), STR("\"\""));
	begin();
	reply_string(&r, STR("a \"b\\\tc\""));
	CHECK_STR("quotes and backslashes are escaped", sent(),
	    STR("\"a \\\"b\\\\\tc\\\"\""));
	begin();
	reply_string(&r, STR("a\r\n* BYE"));
	CHECK_STR("a line end makes a literal", sent(),
	    STR("{8}\r\na\r\n* BYE"));
	begin();
	reply_string(&r, STR("\xc3\xa9"));
	CHECK_STR("so does an 8-bit byte", sent(), STR("{2}\r\n\xc3\xa9"));
	begin();
	reply_string(&r, STR("a\0\0b\0"));
	CHECK_STR("NUL leaves as 0x80", sent(),
	    STR("{5}\r\na\x80\x80" "b\x80"));
	begin();
	reply_nstring(&r, (struct str){ NULL, 0 });
	reply_nstring(&r, STR("NIL"));
	CHECK_STR("nothing is NIL, the word is quoted", sent(),
	    STR("NIL\"NIL\""));
}

static void
astrings(void)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "newbox", "newbox" }, { "a/b.c-d_&AOk-", "a/b.c-d_&AOk-" },
		{ "", "\"\"" }, { "two words", "\"two words\"" },
		{ "a]b", "\"a]b\"" }, { "a%b", "\"a%b\"" },
		{ "a*", "\"a*\"" }, { "(x", "\"(x\"" }, { "x)", "\"x)\"" },
		{ "{1}", "\"{1}\"" }, { "a\"b", "\"a\\\"b\"" },
		{ "a\\b", "\"a\\\\b\"" }, { "nil", "\"nil\"" },
		{ "a\tb", "\"a\tb\"" }, { "\x7f", "\"\x7f\"" },
		{ "\xe9", "{1}\r\n\xe9" }, { "a\nb", "{3}\r\na\nb" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		reply_astring(&r, str_c(cases[i].name));
		CHECK_STR("an astring is an atom only where it can be one",
		    sent(), str_c(cases[i].want));
	}
}

/* The conversion in its plainest form. */
static struct str
converted(struct str text)
{
	static char *to;
	size_t i, n = 0;

	to = realloc(to, text.n * 2 + 1);
	for (i = 0; i < text.n; i++) {
		if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			to[n++] = '\r';
		to[n++] = text.p[i] == '\0' ? (char)0x80 : text.p[i];
	}
	return (struct str){ to, n };
}

/* Was exactly this sent, as a literal? */
static bool
sent_literal(struct str want)
{
	struct str got = sent();
	char head[32];
	int n;

	n = snprintf(head, sizeof(head), "{%zu}\r\n", want.n);
	return got.n == (size_t)n + want.n &&
	    memcmp(got.p, head, (size_t)n) == 0 &&
	    memcmp(got.p + n, want.p, want.n) == 0;
}

static bool
literal_good(struct str text)
{
	struct str want = converted(text);
	uint64_t size = reply_crlf_size(text);

	begin();
	reply_literal(&r, text, size);
	return size == want.n && sent_literal(want);
}

static bool
part_good(struct str text, uint32_t first, uint32_t count)
{
	struct str want = str_sub(converted(text), first, count);

	begin();
	reply_literal_part(&r, text, reply_crlf_size(text), first, count);
	if (first >= reply_crlf_size(text))
		return str_eq(sent(), STR("\"\""));
	return sent_literal(want);
}

static void
fill(char *p, size_t n, unsigned *seed, const char *from, size_t from_n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		*seed = *seed * 1103515245 + 12345;
		p[i] = from[(*seed >> 16) % from_n];
	}
}

static void
literals(void)
{
	const char mix[] = "\n\r\0a";
	static char text[300000];
	unsigned seed = 1;
	size_t n, good = 0, parts = 0, all = 0;
	uint32_t first, count;

	CHECK("an empty text is a literal too", literal_good(STR("")));
	CHECK("LF leaves as CRLF", literal_good(STR("a\n\nb\n")));
	CHECK("CRLF stays", literal_good(STR("\r\na\r\n\r\r\n")));
	CHECK("a lone CR stays", literal_good(STR("a\rb\r")));
	for (n = 0; n < 12; n++) {
		fill(text, n, &seed, mix, 4);
		good += literal_good((struct str){ text, n });
		for (first = 0; first < 2 * n + 2; first++)
			for (count = 1; count < 2 * n + 2; count++, all++)
				parts += part_good((struct str){ text, n },
				    first, count);
	}
	CHECK("mixed texts keep their count", good == n);
	CHECK("each part of them is the same octets", parts == all);

	fill(text, sizeof(text), &seed, mix, 4);
	CHECK("a long text of short lines", literal_good((struct str){
	    text, sizeof(text) }));
	good = 0;
	for (first = 0; first < 40000; first += 97)
		good += part_good((struct str){ text, 20000 }, first, 5000);
	CHECK("parts across the pieces", good == (40000 + 96) / 97);
	memset(text, '\n', sizeof(text));
	CHECK("nothing but LF", literal_good((struct str){ text, 300000 }));
	CHECK("its odd part", part_good((struct str){ text, 300000 },
	    100001, 200001));
	memset(text, 'x', sizeof(text));
	CHECK("no line end at all", literal_good((struct str){ text,
	    300000 }));
	for (n = 0; n < sizeof(text); n++)
		text[n] = n % 2 ? '\n' : '\r';
	CHECK("nothing but CRLF", literal_good((struct str){ text, 300000 }));
	CHECK("its part from an odd place",
	    part_good((struct str){ text + 1, 99999 }, 50001, 3));
	CHECK("the largest numbers of a part",
	    part_good(STR("a\nb"), UINT32_MAX, UINT32_MAX) &&
	    part_good(STR("a\nb"), 2, UINT32_MAX));
}

static void
flags_sets_dates(void)
{
	struct keywords k = { 0 };
	struct pool *pool = pool_new();
	struct set set;

	keyword_add(&k, STR("$Label1"));
	keyword_add(&k, STR("Junk"));
	begin();
	reply_flags(&r, 0, 0, &k);
	CHECK_STR("no flags", sent(), STR("()"));
	begin();
	reply_flags(&r, FLAG_SEEN | FLAG_ANSWERED | FLAG_OLD | FLAG_RECENT,
	    2, &k);
	CHECK_STR("flags and keywords", sent(),
	    STR("(\\Recent \\Answered \\Seen Junk)"));
	begin();
	reply_flags(&r, FLAGS_SYSTEM, UINT32_MAX, &k);
	CHECK_STR("all flags in the order of the FLAGS line", sent(),
	    STR("(\\Answered \\Flagged \\Deleted \\Draft \\Seen $Label1 "
	    "Junk)"));
	set_init(&set, pool);
	begin();
	reply_set(&r, &set);
	CHECK_STR("an empty set is nothing", sent(), STR(""));
	set_add(&set, 1, 3);
	set_add(&set, 5, 5);
	set_add(&set, 9, UINT32_MAX);
	reply_set(&r, &set);
	CHECK_STR("ranges of a set", sent(), STR("1:3,5,9:4294967295"));
	begin();
	reply_date(&r, &(struct date){ 837596665, -420 });
	CHECK_STR("a date", sent(), STR("\"17-Jul-1996 02:44:25 -0700\""));
	begin();
	reply_text(&r, "a\r\n\xc3\xa9 ~");
	CHECK_STR("human text is printable ASCII", sent(), STR("a???? ~"));
	pool_free(pool);
}

static void
tagged_lines(void)
{
	static const struct command table[] = {
		{ .name = "NOOP" }, { .name = "FETCH" },
	};
	struct parser p = { .fault = PARSE_SYNTAX, .why = "Bad thing" };
	struct outcome o = { 0 };
	struct why why = { "disk \xff" };

	CHECK("a command is found in any case",
	    command_find(table, 2, STR("fetch")) == &table[1]);
	CHECK("and only by its whole name",
	    command_find(table, 2, STR("NOO")) == NULL);
	begin();
	command_tagged(&r, STR("a"), "NOOP", false, RES_OK, &o, NULL);
	command_tagged(&r, STR("b"), "FETCH", true, RES_NO, &o, NULL);
	CHECK_STR("the usual words", sent(),
	    STR("a OK NOOP completed\r\nb NO UID FETCH failed\r\n"));
	begin();
	command_tagged(&r, STR("a"), NULL, false, RES_BAD, &o, &p);
	p.code = "LIMIT";
	command_tagged(&r, STR(""), NULL, false, RES_BAD, &o, &p);
	CHECK_STR("the parser's words, and no tag", sent(),
	    STR("a BAD Bad thing\r\n* BAD [LIMIT] Bad thing\r\n"));
	begin();
	outcome_set(&o, RES_OK, "READ-ONLY", "%s", "");
	command_tagged(&r, STR("a"), "SELECT", false, RES_OK, &o, &p);
	CHECK("a failure of storage is a NO",
	    outcome_err(&o, E_IO, &why) == RES_NO);
	command_tagged(&r, STR("b"), "SELECT", false, RES_NO, &o, &p);
	outcome_err(&o, E_NOENT, NULL);
	command_tagged(&r, STR("c"), "SELECT", false, RES_NO, &o, &p);
	CHECK_STR("codes and the words of a handler", sent(),
	    STR("a OK [READ-ONLY] SELECT completed\r\n"
	    "b NO [UNAVAILABLE] disk ?\r\n"
	    "c NO [NONEXISTENT] No such mailbox\r\n"));
}

int
main(void)
{
	numbers();
	strings();
	astrings();
	literals();
	flags_sets_dates();
	tagged_lines();
	return unit_end();
}
