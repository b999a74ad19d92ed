/*
 * unit_rfc822.c - header fields and addresses. An address list is compared
 * as one line: name|route|mailbox|host for each address, "-" for NIL,
 * "{name" and "}" around a group, blanks between items written as " + ".
 */
#include <stdlib.h>

#include "../lib/buf.h"
#include "../lib/rfc822.h"
#include "unit.h"

static struct pool *pool;
static struct buf shown = BUF_MAX(1 << 28);

static void
show(struct str s)
{
	buf_add(&shown, s.p == NULL ? STR("-") : s);
}

/* The whole list as text, good until the next call. */
static struct str
walk(struct str value)
{
	struct addr_list list;
	struct addr a;

	pool_reset(pool);
	buf_clear(&shown);
	addr_begin(&list, pool, value);
	while (addr_next(&list, &a)) {
		if (shown.n > 0)
			buf_add(&shown, STR(" + "));
		if (a.kind == ADDR_GROUP_END) {
			buf_addc(&shown, '}');
			continue;
		}
		if (a.kind == ADDR_GROUP_BEGIN) {
			buf_addc(&shown, '{');
			show(a.mailbox);
			continue;
		}
		show(a.name);
		buf_addc(&shown, '|');
		show(a.route);
		buf_addc(&shown, '|');
		show(a.mailbox);
		buf_addc(&shown, '|');
		show(a.host);
	}
	return buf_str(&shown);
}

static const struct {
	const char *what, *value, *want;
} addresses[] = {
	/* RFC 5322 3.4 */
	{ "a plain address", "a@b.c", "-|-|a|b.c" },
	{ "an address in brackets", "<a@b.c>", "-|-|a|b.c" },
	{ "a name of atoms", "Ann  Lee <a@b>", "Ann Lee|-|a|b" },
	{ "a quoted name keeps its comma", "\"Lee, Ann\" <a@b>",
	    "Lee, Ann|-|a|b" },
	{ "escapes in a quoted name are undone", "\"A \\\"x\\\\\" <a@b>",
	    "A \"x\\|-|a|b" },
	{ "atoms and quoted strings mix", "Ann \"B.\" Lee <a@b>",
	    "Ann B. Lee|-|a|b" },
	{ "no white space, no space", "A\"b\"C<a@b>", "AbC|-|a|b" },
	{ "a comma between addresses", "a@b, c@d", "-|-|a|b + -|-|c|d" },
	{ "a quoted local part loses its quotes", "\"a b\"@c", "-|-|a b|c" },
	{ "an empty quoted local part is one", "\"\"@c", "-|-||c" },
	{ "a domain literal keeps its brackets", "a@[1.2.3.4]",
	    "-|-|a|[1.2.3.4]" },
	{ "colons of a domain literal are no group",
	    "a@[IPv6:::1], b@c", "-|-|a|[IPv6:::1] + -|-|b|c" },
	{ "the same in brackets", "x <a@[IPv6:::1]>", "x|-|a|[IPv6:::1]" },
	{ "white space in a domain literal goes", "a@[ 1.2\r\n .3.4 ]",
	    "-|-|a|[1.2.3.4]" },
	{ "encoded words stay as they are",
	    "=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?= <a@b>",
	    "=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?=|-|a|b" },
	{ "8-bit bytes are plain", "J\303\266rg <\303\266@b>",
	    "J\303\266rg|-|\303\266|b" },
	{ "folding is a space", "Ann\r\n\tLee\n <a@b>", "Ann Lee|-|a|b" },
	{ "folding in quotes leaves its white space",
	    "\"Ann\r\n Lee\" <a@b>", "Ann Lee|-|a|b" },
	/* comments */
	{ "a comment is the name of a bare address", "a@b (Ann Lee)",
	    "Ann Lee|-|a|b" },
	{ "so is one before it", "(Ann) a@b", "Ann|-|a|b" },
	{ "and one inside it", "a(Ann)@b", "Ann|-|a|b" },
	{ "of two the last counts", "a@b (Ann) (Lee)", "Lee|-|a|b" },
	{ "an empty one does not", "a@b (Ann) ( )", "Ann|-|a|b" },
	{ "a comment names brackets without a phrase", "<a@b> (Ann)",
	    "Ann|-|a|b" },
	{ "a phrase is better than a comment", "Ann <a@b> (Lee)",
	    "Ann|-|a|b" },
	{ "a comment in a phrase is a space", "Ann(x)Lee <a@b>",
	    "Ann Lee|-|a|b" },
	{ "comments nest, and keep what is inside", "a@b (x (y) z)",
	    "x (y) z|-|a|b" },
	{ "escapes in a comment are undone", "a@b (x\\)y)", "x)y|-|a|b" },
	{ "each address has its own comment", "a@b (A), c@d, e@f (E)",
	    "A|-|a|b + -|-|c|d + E|-|e|f" },
	{ "a folded comment is one line", "a@b (Ann\r\n Lee)",
	    "Ann Lee|-|a|b" },
	/* groups */
	{ "a group", "us: a@b, Cee <c@d>;",
	    "{us + -|-|a|b + Cee|-|c|d + }" },
	{ "an empty group", "undisclosed-recipients:;",
	    "{undisclosed-recipients + }" },
	{ "a group's name is a phrase", "\"All: of\" us : a@b;",
	    "{All: of us + -|-|a|b + }" },
	{ "addresses around groups", "x@y, g:a@b;, h: ; z@w",
	    "-|-|x|y + {g + -|-|a|b + } + {h + } + -|-|z|w" },
	{ "a group that is not closed ends at the end", "g: a@b",
	    "{g + -|-|a|b + }" },
	{ "groups do not nest", "g: h: a@b; c@d",
	    "{g + -|-|h: a|b + } + -|-|c|d" },
	{ "a colon in a group may be in a name", "g: h: i <a@b>;",
	    "{g + h: i|-|a|b + }" },
	{ "a group without a name is a group", ": a@b;",
	    "{ + -|-|a|b + }" },
	/* RFC 5322 4.4 */
	{ "a source route", "<@x,@y.z:a@b>", "-|@x,@y.z|a|b" },
	{ "a source route with space and empty members",
	    "Ann < , @x , , @y : a@b>", "Ann|@x,@y|a|b" },
	{ "a route of nothing is none", "<,a@b>", "-|-|a|b" },
	{ "dots in a phrase", "J. R. Hacker <a@b>", "J. R. Hacker|-|a|b" },
	{ "space around the dots of an address", "a . b @ c . d",
	    "-|-|a.b|c.d" },
	{ "the same in brackets", "<a . b @ c .d>", "-|-|a.b|c.d" },
	{ "words and dots in a local part", "\"a b\".c@d", "-|-|a b.c|d" },
	{ "empty members", ", a@b,, ,c@d,", "-|-|a|b + -|-|c|d" },
	/* what real mail has beside that */
	{ "no host", "postmaster", "-|-|postmaster|.MISSING-HOST-NAME." },
	{ "no host, with a comment", "root (Cron)",
	    "Cron|-|root|.MISSING-HOST-NAME." },
	{ "no host in brackets", "Ann <root>",
	    "Ann|-|root|.MISSING-HOST-NAME." },
	{ "nothing behind the at sign", "a@", "-|-|a|.MISSING-HOST-NAME." },
	{ "nothing before it", "@b", "-|-|INVALID_ADDRESS|b" },
	{ "nothing at all in brackets", "Ann <>",
	    "Ann|-|INVALID_ADDRESS|.SYNTAX-ERROR." },
	{ "a route and no more", "<@x:>",
	    "-|@x|INVALID_ADDRESS|.SYNTAX-ERROR." },
	{ "a lone at sign", "@", "-|-|INVALID_ADDRESS|.SYNTAX-ERROR." },
	{ "an unquoted address as name", "a@b.c <a@b.c>", "a@b.c|-|a|b.c" },
	{ "brackets in a name", "[List] Ann <a@b>", "[List] Ann|-|a|b" },
	{ "and what is in them is text", "[My List, a] x@y",
	    "-|-|[My List|.MISSING-HOST-NAME. + -|-|a] x|y" },
	{ "an empty name is none", "\"\" <a@b>", "-|-|a|b" },
	{ "semicolons outside a group", "a@b; c@d;", "-|-|a|b + -|-|c|d" },
	{ "missing commas", "a@b c@d (C) e@f",
	    "-|-|a|b + C|-|c|d + -|-|e|f" },
	{ "missing commas between brackets", "A <a@b> C <c@d>",
	    "A|-|a|b + C|-|c|d" },
	{ "dots at the ends of a local part", ".a..b.@c", "-|-|.a..b.|c" },
	{ "a bracket that is not closed", "A <a@b, C <c@d>",
	    "A|-|a|b + C|-|c|d" },
	{ "a group in brackets, as a server completes it",
	    "<none:;@x.org>, <none:;>", "-|-|none:;|x.org + "
	    "-|-|none:;|.MISSING-HOST-NAME." },
	{ "a bracket that is not closed in a group", "g: <a; b@c",
	    "{g + -|-|a|.MISSING-HOST-NAME. + } + -|-|b|c" },
	{ "one inside the other", "A <a@b <c@d>", "A|-|a|b + -|-|c|d" },
	{ "one bracket too many", "<a@b>>, c@d>", "-|-|a|b + -|-|c|d" },
	{ "junk in brackets", "<a@b junk>, c@d", "-|-|a|b + -|-|c|d" },
	{ "a quote that is not closed", "\"Ann <a@b>, c@d",
	    "-|-|Ann <a@b>, c@d|.MISSING-HOST-NAME." },
	{ "a comment that is not closed", "a@b (Ann, c@d",
	    "Ann, c@d|-|a|b" },
	{ "a literal that is not closed", "a@[1.2, b@c",
	    "-|-|a|[1.2 + -|-|b|c" },
	{ "a backslash ends a comment", "a@b (Ann\\", "Ann\\|-|a|b" },
	{ "a backslash ends a quoted string", "\"Ann\\",
	    "-|-|Ann\\|.MISSING-HOST-NAME." },
	{ "two at signs", "a@b@c", "-|-|a|b + -|-|INVALID_ADDRESS|c" },
	{ "an empty list", "", "" },
	{ "a list of nothing", " ,;, (x) ", "" },
	{ "a list of line ends", "\r\n ", "" },
	{ "a closing bracket of a comment alone", "a) <b@c>",
	    "a)|-|b|c" },
};

static void
test_addresses(void)
{
	size_t i;

	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		CHECK_STR(addresses[i].what, walk(str_c(addresses[i].value)),
		    str_c(addresses[i].want));
	CHECK_STR("a NUL is a byte like others", walk(STR("a\0b <a\0@b\0>")),
	    STR("a\0b|-|a\0|b\0"));
	CHECK_STR("a NUL in junk ends nothing", walk(STR("<a@b \0x>, c@d")),
	    STR("-|-|a|b + -|-|c|d"));
}

/* Every shape is read in one piece of memory as long as the value; ASan and
 * the walk's end watch over this. */
static void
test_random(void)
{
	static const char bits[] = "aab..@@<>(),;:\"\\[] \r\n";
	char text[64], *copy;
	unsigned rng = 1, round, i, n;
	uint64_t items = 0;
	bool good = true;
	struct addr_list list;
	struct addr a;

	for (round = 0; round < 200000; round++) {
		rng = rng * 1103515245u + 12345;
		n = (rng >> 16) % sizeof(text);
		for (i = 0; i < n; i++) {
			rng = rng * 1103515245u + 12345;
			text[i] = bits[(rng >> 16) % (sizeof(bits) - 1)];
		}
		copy = malloc(n + 1);
		memcpy(copy, text, n);
		pool_reset(pool);
		addr_begin(&list, pool, (struct str){ copy, n });
		for (i = 0; addr_next(&list, &a); i++) {
			good &= i <= 2 * n;
			good &= a.kind == ADDR_GROUP_END ||
			    a.mailbox.p != NULL;
			good &= (a.kind == ADDR_ONE) == (a.host.n > 0);
			good &= a.name.p == NULL || a.name.n > 0;
		}
		items += i;
		good &= list.rest.n == 0 && !list.in_group;
		free(copy);
	}
	CHECK("random lists end, balanced, with a mailbox each", good);
	CHECK("and have addresses in them", items > 100000);
}

/* A value of n times the same, and how many items come out of it. */
static uint64_t
many(const char *bit, size_t n)
{
	struct buf b = BUF_MAX(1 << 28);
	struct addr_list list;
	struct addr a;
	uint64_t items = 0;
	size_t i;

	for (i = 0; i < n; i++)
		buf_add(&b, str_c(bit));
	pool_reset(pool);
	addr_begin(&list, pool, buf_str(&b));
	while (addr_next(&list, &a))
		items++;
	buf_free(&b);
	return items;
}

/* None of these comes to an end within a day in quadratic time. */
static void
test_many(void)
{
	const size_t n = 1000000;

	CHECK("a million addresses", many("Ann <a@b.c>, ", n) == n);
	CHECK("a million without commas", many("a@b ", n) == n);
	CHECK("a million at signs", many("@", n) == n);
	CHECK("a million open comments", many("(", n) == 0);
	CHECK("a million open brackets", many("<", n) == n);
	CHECK("a million open brackets of literals", many("@[", n) == 1);
	CHECK("a million open groups", many("g:", n) == 3);
	CHECK("a million groups", many("g:;", n) == 2 * n);
	CHECK("a million words", many("word ", n) == 1);
	CHECK("a million commas", many(",", n) == 0);
	CHECK("a million escapes in a comment", many("(\\", n) == 0);
	CHECK("a million route members", many("<@a,", n) == n);
}

static void
test_fields(void)
{
	struct str rest = STR("A: one\r\nB :two\n \tmore\nC:\nno field\n"
	    "x y: z\n\nbody: no\n");
	struct field f;

	CHECK("there is a field", header_next(&rest, &f));
	CHECK_STR("its name", f.name, STR("A"));
	CHECK_STR("its value", f.value, STR(" one"));
	CHECK_STR("all of it", f.whole, STR("A: one\r\n"));
	CHECK("a folded field", header_next(&rest, &f));
	CHECK_STR("space before the colon is not the name's", f.name,
	    STR("B"));
	CHECK_STR("the value is folded still", f.value,
	    STR("two\n \tmore"));
	CHECK_STR("all of its lines", f.whole, STR("B :two\n \tmore\n"));
	CHECK("an empty field", header_next(&rest, &f));
	CHECK("its value is there and empty", f.name.n == 1 &&
	    f.value.p != NULL && f.value.n == 0);
	CHECK("a line without a colon comes too", header_next(&rest, &f));
	CHECK("without a name", f.name.n == 0);
	CHECK_STR("as a value", f.value, STR("no field"));
	CHECK("a name with a space in it is none",
	    header_next(&rest, &f) && f.name.n == 0);
	CHECK("the empty line ends it", !header_next(&rest, &f));
	CHECK_STR("and stays", rest, STR("\nbody: no\n"));

	rest = STR(" lost\n more\nA: b");
	CHECK("a continuation of nothing is no field",
	    header_next(&rest, &f) && f.name.n == 0);
	CHECK_STR("but one piece", f.whole, STR(" lost\n more\n"));
	CHECK("a last line without an end", header_next(&rest, &f));
	CHECK_STR("is whole", f.value, STR(" b"));
	CHECK("then there is no more", !header_next(&rest, &f));
	rest = STR("A: b\n\tc\nD: e\n");
	CHECK("a tab continues a field", header_next(&rest, &f));
	CHECK_STR("like a space", f.value, STR(" b\n\tc"));
	rest = STR("\r\nA: b\n");
	CHECK("CRLF ends a header as well", !header_next(&rest, &f));
	rest = STR("\rA: b\n");
	CHECK("a lone CR does not",
	    header_next(&rest, &f) && f.name.n == 0);
	rest = STR(":x\n");
	CHECK("a colon alone names nothing",
	    header_next(&rest, &f) && f.name.n == 0);
	rest = STR("\303\244: x\n");
	CHECK("nor do 8-bit bytes", header_next(&rest, &f) && f.name.n == 0);

	CHECK("a field is found without case",
	    header_find(STR("a: 1\nSUBJECT: x\nsubject: y\n\n"),
	    STR("Subject"), &f));
	CHECK_STR("the first one", f.value, STR(" x"));
	CHECK("the body is not looked at",
	    !header_find(STR("a: 1\n\nSubject: x\n"), STR("Subject"), &f));
	CHECK("a longer name is another",
	    !header_find(STR("Subjects: x\n"), STR("Subject"), &f));
}

static void
test_unfold(void)
{
	struct str plain = STR("  one  two \t");

	CHECK("what is not folded is borrowed",
	    header_unfold(pool, plain).p == plain.p + 2);
	CHECK_STR("and trimmed", header_unfold(pool, plain),
	    STR("one  two"));
	CHECK_STR("line ends go, white space stays",
	    header_unfold(pool, STR("\r\n one\r\n\t two\n  three\r\n \r\n")),
	    STR("one\t two  three"));
	CHECK_STR("a lone CR stays", header_unfold(pool, STR("a\rb\n c")),
	    STR("a\rb c"));
	CHECK("nothing stays something",
	    header_unfold(pool, STR(" ")).p != NULL);
	CHECK("and NIL stays NIL",
	    header_unfold(pool, (struct str){ NULL, 0 }).p == NULL);
}

static void
test_envelope(void)
{
	struct envelope e;

	envelope_read(STR("DATE: d\nsubject:\nSubject: 2\nFrom: f\n"
	    "Sender: s\nReply-to: r\nTO: t\nCc: c\nBcc: b\n"
	    "In-Reply-To: i\nMessage-ID: m\nX-Date: x\n\nTo: z\n"), &e);
	CHECK_STR("date", e.date, STR(" d"));
	CHECK("the first subject counts, empty as it is",
	    e.subject.p != NULL && e.subject.n == 0);
	CHECK_STR("from", e.from, STR(" f"));
	CHECK_STR("sender", e.sender, STR(" s"));
	CHECK_STR("reply-to", e.reply_to, STR(" r"));
	CHECK_STR("to", e.to, STR(" t"));
	CHECK_STR("cc", e.cc, STR(" c"));
	CHECK_STR("bcc", e.bcc, STR(" b"));
	CHECK_STR("in-reply-to", e.in_reply_to, STR(" i"));
	CHECK_STR("message-id", e.message_id, STR(" m"));
	CHECK("a second subject is not told", !e.repeated);
	envelope_read(STR("To: a\nCc: b\nto: c\n\n"), &e);
	CHECK("a second address field is", e.repeated);
	CHECK_STR("and the first is here", e.to, STR(" a"));
	CHECK("what is absent is NIL", e.from.p == NULL && e.date.p == NULL);
}

int
main(void)
{
	pool = pool_new();
	test_fields();
	test_unfold();
	test_envelope();
	test_addresses();
	test_random();
	test_many();
	buf_free(&shown);
	pool_free(pool);
	return unit_end();
}
