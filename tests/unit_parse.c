/*
 * unit_parse.c - the IMAP grammar as a client may send it and as it may
 * not: every rule, the sizes of literals, and what is swallowed after a
 * fault. The client is a file in memory; what it is sent lands in another.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../parse.h"
#include "../lib/params.h"
#include "unit.h"

/* A struct str that can stand in a static table. */
#define STR_INIT(literal)	{ literal, sizeof(literal) - 1 }

static struct io io;
static struct pool *pool;
static struct parser p;

static int
memory_file(struct str bytes)
{
	int fd = memfd_create("client", 0);

	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

static void
again(void)
{
	pool_reset(pool);
	parse_begin(&p, &io, pool, LITERAL_MAX_BYTES);
}

/* A connection that says these bytes and then ends. */
static void
client(struct str bytes)
{
	if (pool == NULL)
		pool = pool_new();
	else {
		close(io.rfd);
		close(io.wfd);
	}
	io_init(&io, memory_file(bytes), memory_file(STR("")), NULL);
	io.in_file = false;
	again();
}

#define CLIENT(bytes)	client(STR(bytes))

/* What the client has been sent so far. */
static struct str
sent(void)
{
	static char bytes[4096];
	ssize_t n;

	io_flush(&io);
	n = pread(io.wfd, bytes, sizeof(bytes), 0);
	return (struct str){ bytes, n < 0 ? 0 : (size_t)n };
}

/* After resync: is the next command the one tagged "next"? */
static bool
next_command(void)
{
	struct str tag;

	if (parse_resync(&p) != 0)
		return false;
	again();
	return parse_tag(&p, &tag) == 0 && str_eq(tag, STR("next"));
}

static bool
why(const char *text)
{
	return p.why != NULL && strcmp(p.why, text) == 0;
}

static bool
code(const char *text)
{
	return p.code != NULL && strcmp(p.code, text) == 0;
}

/* n copies of c between two texts. */
static struct str
padded(struct str before, char c, size_t n, struct str after)
{
	static char *bytes;
	size_t all = before.n + n + after.n;

	bytes = realloc(bytes, all);
	memcpy(bytes, before.p, before.n);
	memset(bytes + before.n, c, n);
	memcpy(bytes + before.n + n, after.p, after.n);
	return (struct str){ bytes, all };
}

static void
tags(void)
{
	struct str tag;

	CLIENT("A1.b-]x NOOP\r\n");
	CHECK("a tag is read", parse_tag(&p, &tag) == 0);
	CHECK_STR("all characters of a tag are kept", tag, STR("A1.b-]x"));
	CLIENT("a+b NOOP\r\n");
	CHECK("a plus is no part of a tag", parse_tag(&p, &tag) != 0);
	CHECK("a bad tag is not handed out", tag.n == 0);
	CLIENT("\r\nnext x");
	CHECK("an empty line is a null command",
	    parse_tag(&p, &tag) != 0 && why("Null command"));
	CHECK("after an empty line the next command is read",
	    next_command());
	client(padded(STR(""), 't', TAG_MAX_BYTES, STR(" NOOP\r\n")));
	CHECK("the longest tag is read",
	    parse_tag(&p, &tag) == 0 && tag.n == TAG_MAX_BYTES);
	client(padded(STR(""), 't', TAG_MAX_BYTES + 1, STR(" NOOP\r\n")));
	CHECK("a longer tag is refused",
	    parse_tag(&p, &tag) != 0 && tag.n == 0);
	CLIENT("a1\r\n");
	CHECK("a tag alone is a tag", parse_tag(&p, &tag) == 0);
	CHECK("and lacks a command", parse_space(&p) != 0);
}

static void
atoms_and_strings(void)
{
	struct str s;

	CLIENT("abc]");
	CHECK("an atom ends before ]", parse_atom(&p, &s) == 0 && s.n == 3);
	CLIENT("BODY.PEEK[");
	CHECK("a word is letters, digits, period and minus",
	    parse_word(&p, &s) == 0 && str_eq(s, STR("BODY.PEEK")));
	CLIENT("a]b%");
	CHECK("an astring may hold ]", parse_astring(&p, &s) == 0);
	CHECK_STR("and ends before %", s, STR("a]b"));
	CLIENT("a]*%b c");
	CHECK("a list pattern holds wildcards",
	    parse_list_mailbox(&p, &s) == 0 && s.n == 5);
	CLIENT("\"\" ");
	CHECK("an empty quoted string is a string",
	    parse_string(&p, &s) == 0 && s.p != NULL && s.n == 0);
	CLIENT("\"a \\\"b\\\\ \t\xc3\xa9\"");
	CHECK("a quoted string is read", parse_astring(&p, &s) == 0);
	CHECK_STR("escapes are undone, 8-bit bytes kept", s,
	    STR("a \"b\\ \t\xc3\xa9"));
	CLIENT("nil ");
	CHECK("NIL in any case is no string",
	    parse_nstring(&p, &s) == 0 && s.p == NULL);
	CLIENT("\"NIL\"");
	CHECK("a quoted NIL is a string",
	    parse_nstring(&p, &s) == 0 && s.n == 3);
	CLIENT("NILS ");
	CHECK("NILS is neither", parse_nstring(&p, &s) != 0);
	CLIENT("caf\xc3\xa9 ");
	CHECK("an 8-bit byte ends an atom",
	    parse_atom(&p, &s) == 0 && s.n == 3 && parse_space(&p) != 0);
}

static void
broken_strings(void)
{
	static const struct str bad[] = {
		{ "\"abc\r\nnext x", 13 },
		{ "\"abc\\\r\nnext x", 14 },
		{ "\"a\\bc\"\r\nnext x", 15 },
		{ "\"a\0b\"\r\nnext x", 14 },
		{ "\"a\\\0\"\r\nnext x", 14 },
		{ "\"a\rb\"\r\nnext x", 14 },
		{ "(a\r\nnext x", 10 },
		{ "\x7f\r\nnext x", 9 },
		{ "\r\nnext x", 8 },
	};
	struct str s;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		client(bad[i]);
		CHECK("a broken string is refused",
		    parse_astring(&p, &s) != 0 &&
		    p.fault == PARSE_SYNTAX);
		CHECK("and the next command is found", next_command());
	}
}

/* NUL, and a CR that no LF follows, in each place of a command. */
static void
forbidden_bytes(void)
{
	const struct str good = STR("a LIST \"x\\\"y\" {3}\r\nabc ok%*");
	char bytes[64];
	struct str s, t;
	unsigned char c;
	size_t i, refused[2] = { 0, 0 };

	for (c = 0; c < 2; c++)
		for (i = 0; i < good.n; i++) {
			memcpy(bytes, good.p, good.n);
			memcpy(bytes + good.n, "\r\nnext x", 8);
			bytes[i] = c == 0 ? '\0' : '\r';
			client((struct str){ bytes, good.n + 8 });
			refused[c] += parse_tag(&p, &t) != 0 ||
			    parse_space(&p) != 0 ||
			    parse_word(&p, &t) != 0 ||
			    parse_space(&p) != 0 ||
			    parse_mailbox(&p, &s) != 0 ||
			    parse_space(&p) != 0 ||
			    parse_mailbox(&p, &s) != 0 ||
			    parse_space(&p) != 0 ||
			    parse_list_mailbox(&p, &s) != 0 ||
			    parse_end(&p) != 0;
		}
	CHECK("NUL is refused wherever it stands", refused[0] == good.n);
	/* Three bytes are the literal's, one is a CR already. */
	CHECK("a bare CR is refused outside literals",
	    refused[1] == good.n - 4);
}

static void
line_ends(void)
{
	struct str s;

	CLIENT("a\n\nb\r\n");
	CHECK("a bare LF ends a line",
	    parse_atom(&p, &s) == 0 && parse_end(&p) == 0);
	CHECK("nothing behind the end is looked at",
	    parse_peek(&p) == '\n' && parse_end(&p) == 0);
	again();
	CHECK("the next line is untouched, be it empty",
	    parse_peek(&p) == '\n' && parse_end(&p) == 0);
	again();
	CHECK("and the one after it",
	    parse_atom(&p, &s) == 0 && str_eq(s, STR("b")) &&
	    parse_end(&p) == 0);
	CLIENT("a \r\n");
	CHECK("a space before the end is an argument too many",
	    parse_atom(&p, &s) == 0 && parse_end(&p) != 0 &&
	    why("Argument given when none expected"));
	CLIENT("a");
	CHECK("a connection cut off in a line did not end it",
	    parse_atom(&p, &s) != 0 && p.fault == PARSE_ENDED &&
	    parse_resync(&p) != 0);
	CLIENT("a");
	io.in_file = true;
	CHECK("the end of a file ends its last line",
	    parse_atom(&p, &s) == 0 && parse_end(&p) == 0);
	CLIENT("a");
	io.in_file = true;
	parse_bad(&p, "no");
	CHECK("also for resync", parse_resync(&p) == 0 && p.at_end);
	client(padded(STR(""), 'x', LINE_MAX_BYTES, STR("\r\nnext x")));
	CHECK("the longest line is read",
	    parse_atom(&p, &s) == 0 && parse_end(&p) == 0 &&
	    s.n == LINE_MAX_BYTES);
	client(padded(STR(""), 'x', LINE_MAX_BYTES + 1, STR("\r\nnext x")));
	CHECK("a longer one is refused with LIMIT",
	    parse_atom(&p, &s) != 0 && code("LIMIT"));
	CHECK("and swallowed to its end", next_command());
}

static void
literals(void)
{
	struct str s;

	CLIENT("{5}\r\na\r\nb\" next");
	CHECK("a literal is read", parse_string(&p, &s) == 0);
	CHECK_STR("a literal keeps its bytes", s, STR("a\r\nb\""));
	CHECK_STR("a synchronising literal is asked for", sent(),
	    STR("+ Ready for argument\r\n"));
	CLIENT("{5+}\r\nabcde\r\n");
	CHECK("a non-synchronising literal is read",
	    parse_astring(&p, &s) == 0 && parse_end(&p) == 0 && s.n == 5);
	CHECK("and not asked for", sent().n == 0);
	CLIENT("{0}\r\n\r\n");
	CHECK("an empty literal is read", parse_string(&p, &s) == 0 &&
	    s.n == 0 && parse_end(&p) == 0);
	CLIENT("{2+}\nab\n");
	CHECK("LF alone may stand before a literal",
	    parse_string(&p, &s) == 0 && s.n == 2);
	client((struct str){ "{3+}\r\na\0b\r\nnext x", 18 });
	CHECK("NUL in a literal is refused", parse_string(&p, &s) != 0 &&
	    p.fault == PARSE_SYNTAX && next_command());
	CLIENT("{9+}\r\nab");
	CHECK("a literal that is cut off ends the connection",
	    parse_string(&p, &s) != 0 && p.fault == PARSE_ENDED);
	CLIENT("{4}\r\n2020");
	CHECK("a date is no literal", parse_date(&p, &(int64_t){ 0 }) != 0 &&
	    sent().n == 0);
}

static void
literal_sizes(void)
{
	static const char *const bad[] = {
		"{}", "{+}", "{-1}", "{+1}", "{1e3}", "{ 5}", "{5 }", "{05}",
		"{00}", "{5}x", "{5", "{5+", "{5++}", "{0x5}", "{5}{5}",
		"{5+}\r",
		"{99999999999999999999999999999999999999999}x",
	};
	static const char *const big[] = {
		"67108865", "2147483647", "2147483648", "4294967295",
		"4294967296", "4294967301", "18446744073709551615",
		"18446744073709551616", "18446744073709551621",
		"9999999999999999999999999999999999999999",
	};
	char line[128];
	struct str s;
	size_t i, good[5] = { 0 };
	int n;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		n = snprintf(line, sizeof(line), "%s\r\nnext x", bad[i]);
		client((struct str){ line, (size_t)n });
		good[0] += parse_string(&p, &s) != 0 &&
		    p.fault == PARSE_SYNTAX && next_command() &&
		    sent().n == 0;
	}
	CHECK("sizes that are no numbers are syntax errors",
	    good[0] == sizeof(bad) / sizeof(bad[0]));
	for (i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
		n = snprintf(line, sizeof(line), "{%s}\r\nnext x", big[i]);
		client((struct str){ line, (size_t)n });
		good[1] += parse_string(&p, &s) != 0 &&
		    p.fault == PARSE_TOO_BIG && code("TOOBIG");
		good[2] += pool_used(pool) == 0 && sent().n == 0;
		good[3] += next_command();
		n = snprintf(line, sizeof(line), "{%s+}\r\nnext x", big[i]);
		client((struct str){ line, (size_t)n });
		good[4] += parse_string(&p, &s) != 0 && code("TOOBIG") &&
		    pool_used(pool) == 0 && parse_resync(&p) != 0;
	}
	CHECK("a literal too big is refused", good[1] == i);
	CHECK("before it is asked for, without memory", good[2] == i);
	CHECK("and the command ends there", good[3] == i);
	CHECK("one that comes unasked ends the connection", good[4] == i);
}

static void
literal_limits(void)
{
	struct str s;
	int n;

	client(padded(STR("{65536+}\r\n"), 'x', 65536, STR("\r\n")));
	CHECK("the biggest literal is read", parse_string(&p, &s) == 0 &&
	    s.n == 65536 && parse_end(&p) == 0);
	client(padded(STR("{65537+}\r\n"), 'x', 65537,
	    STR(" {3+}\r\na\r\n\r\nnext x")));
	CHECK("a bigger one is thrown away and refused",
	    parse_string(&p, &s) != 0 && p.fault == PARSE_TOO_BIG &&
	    code("TOOBIG") && pool_used(pool) == 0);
	CHECK("with what follows it in its command", next_command());

	CLIENT("{65537}\r\nnext x");
	CHECK("or refused before it is asked for",
	    parse_string(&p, &s) != 0 && code("TOOBIG") &&
	    sent().n == 0 && next_command());

	client(padded(STR("{60000+}\r\n"), 'x', 60000, STR("\r\nnext x")));
	p.literals_left = 60000;
	CHECK("the last bytes of all literals together may be used",
	    parse_string(&p, &s) == 0 && p.literals_left == 0);
	CLIENT("{1}\r\n");
	p.literals_left = 0;
	CHECK("but no more", parse_string(&p, &s) != 0 && code("TOOBIG"));

	client(padded(STR(""), '(', NEST_MAX + 1, STR("\r\nnext x")));
	for (n = 0; parse_open(&p) == 0; n++)
		;
	CHECK("parentheses nest so deep and no deeper",
	    n == NEST_MAX && code("LIMIT") && next_command());
}

/* Memory of a command that never ends, inside each kind of token. */
static void
endless(void)
{
	static const struct {
		struct str before;
		char fill;
	} kinds[] = {
		{ { "", 0 }, 'x' }, { { "\"", 1 }, 'x' },
		{ { "\"", 1 }, '\\' }, { { "{", 1 }, '1' },
		{ { "", 0 }, ' ' }, { { "", 0 }, '(' }, { { "", 0 }, '\r' },
	};
	struct str s;
	size_t i, most = 0, faults = 0;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		client(padded(kinds[i].before, kinds[i].fill, 1000000,
		    STR("\r\nnext x")));
		faults += parse_astring(&p, &s) != 0;
		if (pool_used(pool) > most)
			most = pool_used(pool);
		faults += next_command();
	}
	CHECK("a token without end is refused, and swallowed",
	    faults == 2 * i);
	CHECK("it is held in no more than a few lines' memory",
	    most <= 4 * LINE_MAX_BYTES);
	client(padded(STR(""), 'x', 1000000, STR("")));
	p.drain_left = 900000;
	CHECK("a line is not swallowed for ever",
	    parse_astring(&p, &s) != 0 && parse_resync(&p) != 0 &&
	    p.fault == PARSE_FATAL);
	client(padded(STR(""), '\r', 1000000, STR("")));
	p.drain_left = 900000;
	CHECK("nor one of CRs", parse_astring(&p, &s) != 0 &&
	    parse_resync(&p) != 0 && p.fault == PARSE_FATAL);
}

static void
many_literals(void)
{
	static char bytes[10000 * 12];
	struct str s;
	size_t i, n = 0;

	for (i = 0; i < 10000; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n,
		    "TEXT {2+}\r\n");
	client((struct str){ bytes, n });
	for (i = 0; parse_word(&p, &s) == 0 && parse_space(&p) == 0 &&
	    parse_string(&p, &s) == 0; i++)
		;
	CHECK("thousands of literals are taken or clearly refused",
	    i > 5000 && code("LIMIT"));
	CHECK("in bounded memory", pool_used(pool) < 2 * 1024 * 1024);
}

static void
resync(void)
{
	static const struct str lines[] = {
		STR_INIT("x\r\n"),
		STR_INIT("x {5+}\r\na1 ab\r\n"),
		STR_INIT("x {5+}\r\na1 ab {3+}\r\na\r\n \"\r\n"),
		STR_INIT("x \"{5+}\r\na1 ab\r\n"),
		STR_INIT("x {5}\r\n"),
		STR_INIT("x {5+}x\r\n"),
		STR_INIT("x {5+} \r\n"),
		STR_INIT("x {5+}\r\r\n"),
		STR_INIT("x {+5}\r\n"),
		STR_INIT("x {+}\r\n"),
		STR_INIT("x {5 +}\r\n"),
		STR_INIT("x {0+}\r\n\r\n"),
		STR_INIT("x {00000000000000000000000000005+}\r\na1 ab\r\n"),
		STR_INIT("x {{5+}\r\na1 ab\r\n"),
		STR_INIT("x {5+}\na1 ab\n"),
		STR_INIT("x \r{5+}\r\na1 ab\r\n"),
	};
	char bytes[128];
	size_t i, n, good[2] = { 0, 0 };
	int early;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (early = 0; early < 2; early++) {
			n = lines[i].n;
			memcpy(bytes, lines[i].p, n);
			memcpy(bytes + n, "next x\r\n", 8);
			client((struct str){ bytes, n + 8 });
			/* The fault may lie before or behind the "x". */
			if (!early)
				parse_char(&p, 'x');
			parse_bad(&p, "no");
			good[early] += next_command();
		}
	CHECK("resync takes the line and the literals announced in it",
	    good[0] == i);
	CHECK("wherever the fault was", good[1] == i);
	CLIENT("x {67108865+}\r\nnext");
	CHECK("a literal too big to swallow ends the connection",
	    parse_bad(&p, "no") != 0 && parse_resync(&p) != 0 &&
	    p.fault == PARSE_FATAL && code("TOOBIG"));
	CLIENT("APPEND x {5+}\r\nhello\r\nnext x");
	CHECK("arguments of a command not built are swallowed",
	    next_command());
	CLIENT("a b\r\n");
	parse_bad(&p, "first");
	parse_bad(&p, "second");
	CHECK("the first complaint stands", why("first"));
}

static void
numbers(void)
{
	static const struct {
		const char *text;
		bool number, nz;
	} cases[] = {
		{ "0 ", true, false }, { "1 ", true, true },
		{ "007 ", true, false }, { "4294967295 ", true, true },
		{ "4294967296 ", false, false },
		{ "18446744073709551617 ", false, false },
		{ "-1 ", false, false }, { "+1 ", false, false },
		{ "x ", false, false }, { " ", false, false },
		{ "\r\n", false, false },
	};
	size_t i, good = 0;
	uint32_t n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		client((struct str){ cases[i].text, strlen(cases[i].text) });
		good += (parse_number(&p, &n) == 0) == cases[i].number;
		client((struct str){ cases[i].text, strlen(cases[i].text) });
		good += (parse_nz_number(&p, &n) == 0) == cases[i].nz;
	}
	CHECK("numbers are 32 bits, nz-numbers begin with 1 to 9",
	    good == 2 * i);
	CLIENT("4294967295");
	io.in_file = true;
	CHECK("the largest number keeps its value",
	    parse_number(&p, &n) == 0 && n == 4294967295u);
}

static void
sets(void)
{
	static const char *const bad[] = {
		"0 ", "1:0 ", "1, ", ",1 ", "1: ", ":1 ", "1:2:3x ", "1,,2 ",
		"** ", "1:** ", "4294967296 ", "-1 ", "01 ", "$ ", "a ",
		"1-2 ", "\r\n",
	};
	struct set set;
	size_t i, good = 0;

	CLIENT("2,4:7,9,12:* ");
	CHECK("a sequence set is read",
	    parse_set(&p, &set) == 0 && set.n == 4);
	CHECK("with its star", set.at[3].lo == 12 &&
	    set.at[3].hi == SET_STAR);
	CLIENT("*:4,5:7 ");
	CHECK("the star may come first",
	    parse_set(&p, &set) == 0 && set.at[0].lo == SET_STAR &&
	    set.at[0].hi == 4);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		client((struct str){ bad[i], strlen(bad[i]) });
		good += parse_set(&p, &set) != 0 || parse_space(&p) != 0;
	}
	CHECK("what is no sequence set is refused", good == i);
}

static void
names_and_dates(void)
{
	struct str s;
	int64_t day;

	CLIENT("iNbOx ");
	CHECK("INBOX is INBOX in any case", parse_mailbox(&p, &s) == 0 &&
	    str_eq(s, STR("INBOX")));
	CLIENT("{5+}\r\ninbox ");
	CHECK("and in any form", parse_mailbox(&p, &s) == 0 &&
	    str_eq(s, STR("INBOX")));
	CLIENT("inbox/x ");
	CHECK("a name that begins so is another", parse_mailbox(&p, &s) == 0 &&
	    str_eq(s, STR("inbox/x")));
	CLIENT("\"\" ");
	CHECK("an empty name is refused", parse_mailbox(&p, &s) != 0);
	CLIENT("\"\" ");
	CHECK("an empty pattern is not",
	    parse_list_mailbox(&p, &s) == 0 && s.n == 0);
	client(padded(STR(""), 'n', NAME_MAX_BYTES, STR(" ")));
	CHECK("the longest name is read", parse_mailbox(&p, &s) == 0);
	client(padded(STR(""), 'n', NAME_MAX_BYTES + 1, STR(" ")));
	CHECK("a longer one is refused",
	    parse_mailbox(&p, &s) != 0 && code("LIMIT"));

	CLIENT("1-Feb-1970 ");
	CHECK("a date is read", parse_date(&p, &day) == 0 && day == 31);
	CLIENT("\"01-feb-1970\" ");
	CHECK("also in quotes", parse_date(&p, &day) == 0 && day == 31);
	CLIENT("31-Foo-1970 ");
	CHECK("a date that is none is refused", parse_date(&p, &day) != 0);
	CLIENT("\"\" ");
	CHECK("an empty date is refused", parse_date(&p, &day) != 0);
}

/* The bytes of a literal in pieces of `room`, with "|" between them. */
static struct str
pieces(struct literal *l, size_t room)
{
	static char out[256];
	size_t n, at = 0;

	for (;;) {
		if (parse_literal_read(&p, l, out + at, room, &n) != 0)
			return STR("fault");
		if (n == 0)
			return (struct str){ out, at };
		at += n;
		out[at++] = '|';
	}
}

static void
literal_pieces(void)
{
	struct literal l;

	CLIENT("{7}\r\nab\0c\r\nd x");
	CHECK("the head of a literal tells its size",
	    parse_literal(&p, &l) == 0 && l.left == 7 && l.waits);
	CHECK("nothing is sent before its bytes are wanted", sent().n == 0);
	CHECK_STR("then they come in pieces, NUL too", pieces(&l, 3),
	    STR("ab\0|c\r\n|d|"));
	CHECK_STR("one + is sent", sent(), STR("+ Ready for argument\r\n"));
	CHECK("and the line goes on", parse_space(&p) == 0);
	CLIENT("{3+}\r\nabcd");
	CHECK("the other kind does not wait", parse_literal(&p, &l) == 0 &&
	    !l.waits);
	CHECK_STR("and is read at once", pieces(&l, 8), STR("abc|"));
	CHECK("with no +", sent().n == 0 && parse_char(&p, 'd') == 0);
	CLIENT("{99999999999999999999}\r\n");
	CHECK("any size can be announced", parse_literal(&p, &l) == 0 &&
	    l.left == UINT64_MAX);
	CHECK("and refused: the command ends there",
	    parse_literal_refuse(&p, &l) == 0 && p.at_end && p.refused &&
	    parse_end(&p) == 0 && sent().n == 0);
	CLIENT("{3+}\r\nabc x");
	CHECK("what comes at once is read and forgotten",
	    parse_literal(&p, &l) == 0 && parse_literal_refuse(&p, &l) == 0
	    && !p.at_end && !p.refused && parse_space(&p) == 0);
	CLIENT("{67108865+}\r\nabc x");
	CHECK("unless it is too much", parse_literal(&p, &l) == 0 &&
	    parse_literal_refuse(&p, &l) != 0 && p.fault == PARSE_FATAL);
	CLIENT("{5+}\r\nabc");
	parse_literal(&p, &l);
	CHECK_STR("one that is cut off is a fault", pieces(&l, 8),
	    STR("fault"));
	CHECK("the connection has ended", p.fault == PARSE_ENDED);
}

static bool
flags_are(struct flag_list *list, unsigned flags, unsigned names)
{
	return parse_flags(&p, list) == 0 && list->flags == flags &&
	    list->names.n == names && parse_peek(&p) == '\n';
}

static void
flag_lists(void)
{
	struct flag_list list;
	struct date date;

	CLIENT("(\\Seen \\deleted Work)\r\n");
	CHECK("flags in parentheses", flags_are(&list, FLAG_SEEN |
	    FLAG_DELETED, 1) && !list.over);
	CLIENT("()\r\n");
	CHECK("none at all", flags_are(&list, 0, 0));
	CLIENT("\\Draft $a $b $A\r\n");
	CHECK("without parentheses; a keyword has no case",
	    flags_are(&list, FLAG_DRAFT, 2));
	CLIENT("(\\Flagged \\Nobody)\r\n");
	CHECK("an unknown one is ignored", flags_are(&list, FLAG_FLAGGED,
	    0));
	CLIENT("(a123456789b123456789c123456789d123456789e123456789f)\r\n");
	CHECK("a keyword that is too long is told", flags_are(&list, 0, 0) &&
	    list.over);
	CLIENT("(\\Recent)");
	CHECK("\\Recent can not be set", parse_flags(&p, &list) != 0);
	CLIENT("(\\Seen");
	CHECK("parentheses are closed", parse_flags(&p, &list) != 0);
	CLIENT("(\\Seen  Work)");
	CHECK("one space is between two", parse_flags(&p, &list) != 0);
	CLIENT("\" 7-Feb-1994 22:43:04 -0800\"x");
	CHECK("a date and time", parse_date_time(&p, &date) == 0 &&
	    date.time == 760689784 && date.zone == -480);
	CLIENT("\"7-Feb-1994 22:43:04 -0800\"");
	CHECK("whose day has two places", parse_date_time(&p, &date) != 0);
	CLIENT(" 7-Feb-1994 22:43:04 -0800");
	CHECK("and which is quoted", parse_date_time(&p, &date) != 0);
}

/* Two lines of an exchange, each asked for when it is its turn. */
static void
sasl_exchange(void)
{
	struct str first, second;

	CLIENT("a\r\nAGE{5+}\r\nAA==\nnext NOOP\r\n");
	CHECK("a line of an exchange is what stands before its end",
	    parse_atom(&p, &first) == 0 && parse_end(&p) == 0 &&
	    parse_sasl(&p, STR("VQ=="), &first) == 0 &&
	    str_eq(first, STR("AGE{5+}")) && str_eq(sent(),
	    STR("+ VQ==\r\n")));
	CHECK("the next one has a challenge of its own, and LF will do",
	    parse_sasl(&p, STR(""), &second) == 0 &&
	    str_eq(second, STR("AA==")) &&
	    str_eq(sent(), STR("+ VQ==\r\n+ \r\n")));
	CHECK("then a command begins; nothing was a literal",
	    next_command());
	CLIENT("\r\nnext NOOP\r\n");
	CHECK("an empty line is one", parse_sasl(&p, STR(""), &first) == 0 &&
	    first.p != NULL && first.n == 0 && next_command());
}

static void
sasl_refused(void)
{
	struct str s;

	client(padded(STR(""), 'A', SASL_LINE_BYTES, STR("\r\n")));
	CHECK("a line may be this long", parse_sasl(&p, STR(""), &s) == 0 &&
	    s.n == SASL_LINE_BYTES);
	client(padded(STR(""), 'A', SASL_LINE_BYTES + 1,
	    STR("\r\nnext NOOP\r\n")));
	CHECK("but no longer", parse_sasl(&p, STR(""), &s) == -1 &&
	    code("LIMIT") && next_command());
	client(padded(STR(""), 'A', LINE_MAX_BYTES + 1,
	    STR("\r\nnext NOOP\r\n")));
	CHECK("one that is far too long is swallowed all the same",
	    parse_sasl(&p, STR(""), &s) == -1 && code("LIMIT") &&
	    next_command());
	client(padded(STR(""), 'A', LITERAL_DRAIN_BYTES + 1, STR("\r\n")));
	CHECK("one without end ends the connection",
	    parse_sasl(&p, STR(""), &s) == -1 && code("LIMIT") &&
	    p.fault == PARSE_FATAL);
	client(padded(STR("\rA"), '\0', 1, STR("A{5+}\r\nnext NOOP\r\n")));
	CHECK("whatever is in it, it ends at its LF",
	    parse_sasl(&p, STR(""), &s) == 0 && s.n == 8 && next_command());
	CLIENT("AAAA");
	CHECK("half a line is none", parse_sasl(&p, STR(""), &s) == -1 &&
	    p.fault == PARSE_ENDED);
}

int
main(void)
{
	tags();
	sasl_exchange();
	sasl_refused();
	atoms_and_strings();
	broken_strings();
	forbidden_bytes();
	line_ends();
	literals();
	literal_sizes();
	literal_limits();
	endless();
	many_literals();
	resync();
	numbers();
	sets();
	names_and_dates();
	literal_pieces();
	flag_lists();
	return unit_end();
}
