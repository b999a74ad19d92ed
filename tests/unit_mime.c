/*
 * unit_mime.c - the part tree. A tree is compared as one line: each leaf is
 * subtype<body>, a multipart subtype(child child), a message subtype[child].
 */
#include <stdlib.h>

#include "../lib/buf.h"
#include "../lib/mime.h"
#include "../lib/params.h"
#include "unit.h"
#include "twin_mime.h"

static struct pool *pool;
static struct buf shown = BUF_MAX(1 << 28);

static void
show(const struct part *part)
{
	const struct part *child;

	buf_add(&shown, part->subtype);
	if (part->message) {
		buf_addc(&shown, '[');
		show(part->child);
		buf_addc(&shown, ']');
	} else if (part->multipart) {
		buf_addc(&shown, '(');
		for (child = part->child; child != NULL; child = child->next) {
			if (child != part->child)
				buf_addc(&shown, ' ');
			show(child);
		}
		buf_addc(&shown, ')');
	} else {
		buf_addc(&shown, '<');
		buf_add(&shown, part->body);
		buf_addc(&shown, '>');
	}
}

static struct part *
parse(struct str text)
{
	size_t n = mime_header_end(text);

	return mime_parse(pool, str_sub(text, 0, n), str_from(text, n));
}

static struct str
tree(struct str text)
{
	pool_reset(pool);
	buf_clear(&shown);
	show(parse(text));
	return buf_str(&shown);
}

/* A multipart/mixed with boundary "b" and that body. */
#define MIXED	"Content-Type: multipart/mixed; boundary=b\n\n"
#define HTML	"Content-Type: text/html\n\n"
#define INNER	"Content-Type: multipart/alternative; boundary=i\n\n"
#define MESSAGE	"Content-Type: message/rfc822\n\n"

static const struct {
	const char *what, *text, *want;
} trees[] = {
	{ "no fields: text/plain", "A: b\n\nhi\n", "PLAIN<hi\n>" },
	{ "no body", "A: b\n\n", "PLAIN<>" },
	{ "no empty line", "A: b\n", "PLAIN<>" },
	{ "nothing at all", "", "PLAIN<>" },
	{ "no header", "\nhi", "PLAIN<hi>" },
	{ "two parts", MIXED "--b\n\none\n--b\n" HTML "two\n--b--\n",
	    "mixed(PLAIN<one> html<two>)" },
	{ "preamble and epilogue are no parts",
	    MIXED "pre\n\n--b\n\none\n--b--\nepi\n", "mixed(PLAIN<one>)" },
	{ "the line end before a delimiter is its own, one only",
	    MIXED "--b\n\none\n\n--b--\n", "mixed(PLAIN<one\n>)" },
	{ "CRLF line ends",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\n\r\none\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
	    "mixed(PLAIN<one\r\n> PLAIN<two>)" },
	{ "mixed line ends", MIXED "--b\r\n\none\r\n--b\n\r\ntwo\n--b--",
	    "mixed(PLAIN<one> PLAIN<two>)" },
	{ "white space behind a boundary is no matter",
	    MIXED "--b \t\n\none\n--b--  \n\n--b\n\n", "mixed(PLAIN<one>)" },
	{ "delimiters are at the begin of a line",
	    MIXED "--b\n\none --b\n --b\n>--b\n--b--",
	    "mixed(PLAIN<one --b\n --b\n>--b>)" },
	{ "no closing delimiter", MIXED "--b\n\none\n--b\n\ntwo\n",
	    "mixed(PLAIN<one> PLAIN<two\n>)" },
	{ "a delimiter at the very end", MIXED "--b\n\none\n--b",
	    "mixed(PLAIN<one> PLAIN<>)" },
	{ "a header without an empty line, then a delimiter",
	    MIXED "--b\nContent-Type: text/html\n--b\n\ntwo\n--b--",
	    "mixed(html<> PLAIN<two>)" },
	{ "a header without an empty line, then the end",
	    MIXED "--b\nContent-Type: text/html\n", "mixed(html<>)" },
	{ "a header, its empty line, then a delimiter",
	    MIXED "--b\n" HTML "--b--", "mixed(html<>)" },
	{ "a part of nothing", MIXED "--b\n--b\n\n--b--",
	    "mixed(PLAIN<> PLAIN<>)" },
	{ "a part of one empty line", MIXED "--b\n\n\n--b--",
	    "mixed(PLAIN<>)" },
	{ "no part: an empty one stands in", MIXED "only a preamble\n",
	    "mixed(PLAIN<>)" },
	{ "the same when it is closed", MIXED "--b--\n", "mixed(PLAIN<>)" },
	{ "the same with no body", MIXED, "mixed(PLAIN<>)" },
	{ "no boundary: text", "Content-Type: multipart/mixed\n\n--b\n",
	    "PLAIN<--b\n>" },
	{ "an empty boundary: text",
	    "Content-Type: multipart/mixed; boundary=\"  \"\n\n--\n\n",
	    "PLAIN<--\n\n>" },
	{ "a boundary with a space, folded",
	    "Content-Type: multipart/mixed; boundary=\"a\n b \"\n\n"
	    "--a b\n\none\n--a b--", "mixed(PLAIN<one>)" },
	{ "an unquoted boundary with specials",
	    "Content-Type: multipart/mixed; boundary=--=_a:b@c/d?\n\n"
	    "----=_a:b@c/d?\n\none\n----=_a:b@c/d?--",
	    "mixed(PLAIN<one>)" },
	{ "a boundary in pieces, RFC 2231",
	    "Content-Type: multipart/mixed; boundary*1=\"y\"; boundary*0=x\n"
	    "\n--xy\n\none\n--xy--", "mixed(PLAIN<one>)" },
	{ "boundaries mind the case", MIXED "--B\n\none\n--b--",
	    "mixed(PLAIN<>)" },
	{ "more may stand behind a boundary",
	    MIXED "--box\n\none\n--b--junk\nepi\n", "mixed(PLAIN<one>)" },
	/* nesting */
	{ "a multipart in a multipart",
	    MIXED "--b\n" INNER "--i\n\none\n--i\n" HTML "two\n--i--\n"
	    "epi\n--b\n\nthree\n--b--",
	    "mixed(alternative(PLAIN<one> html<two>) PLAIN<three>)" },
	{ "the inner one is not closed",
	    MIXED "--b\n" INNER "--i\n\none\n--b\n\ntwo\n--b--",
	    "mixed(alternative(PLAIN<one>) PLAIN<two>)" },
	{ "the outer one ends in the inner one's header",
	    MIXED "--b\n" INNER "--i\nA: b\n--b\n\ntwo\n--b--",
	    "mixed(alternative(PLAIN<>) PLAIN<two>)" },
	{ "the outer one ends before the inner one begins",
	    MIXED "--b\nContent-Type: multipart/alternative; boundary=i\n"
	    "--b\n\ntwo\n--b--", "mixed(alternative(PLAIN<>) PLAIN<two>)" },
	{ "what is closed is closed",
	    MIXED "--b\n" INNER "--i\n\none\n--i--\n--i\n\nno\n--b--\n--b\n",
	    "mixed(alternative(PLAIN<one>))" },
	{ "the outer boundary begins the inner one",
	    MIXED "--b\nContent-Type: multipart/x; boundary=bb\n\n"
	    "--bb\n\none\n--bb\n\ntwo\n--bb--\n--b\n\nthree\n--b--",
	    "mixed(x(PLAIN<one> PLAIN<two>) PLAIN<three>)" },
	{ "the inner boundary begins the outer one",
	    "Content-Type: multipart/mixed; boundary=bb\n\n"
	    "--bb\nContent-Type: multipart/x; boundary=b\n\n"
	    "--b\n\none\n--bb\n\ntwo\n--bb--",
	    "mixed(x(PLAIN<one>) PLAIN<two>)" },
	{ "of two that a line begins with, the longer one counts",
	    "Content-Type: multipart/mixed; boundary=bb\n\n"
	    "--bb\nContent-Type: multipart/x; boundary=b\n\n"
	    "--b\n\none\n--bbx\n\ntwo\n--bb--",
	    "mixed(x(PLAIN<one>) PLAIN<two>)" },
	{ "a whole line is better than the begin of one",
	    MIXED "--b\nContent-Type: multipart/x; boundary=b-\n\n"
	    "--b-\n\none\n--b--\nepi",
	    "mixed(x(PLAIN<one>))" },
	{ "the same boundary twice: the inner one first",
	    MIXED "--b\nContent-Type: multipart/x; boundary=b\n\n"
	    "--b\n\none\n--b--\n--b\n\ntwo\n--b--",
	    "mixed(x(PLAIN<one>) PLAIN<two>)" },
	/* messages */
	{ "a message in a multipart",
	    MIXED "--b\n" MESSAGE "Subject: x\n" HTML "one\n--b\n\ntwo\n",
	    "mixed(rfc822[html<one>] PLAIN<two\n>)" },
	{ "a multipart in a message in a multipart",
	    MIXED "--b\n" MESSAGE INNER "--i\n\none\n--b\n\ntwo\n--b--",
	    "mixed(rfc822[alternative(PLAIN<one>)] PLAIN<two>)" },
	{ "a message of nothing", MIXED "--b\n" MESSAGE "--b--",
	    "mixed(rfc822[PLAIN<>])" },
	{ "a message that ends in its header",
	    MIXED "--b\n" MESSAGE "A: b\n--b\n\ntwo\n--b--",
	    "mixed(rfc822[PLAIN<>] PLAIN<two>)" },
	{ "a message whose part's header has no end",
	    MIXED "--b\nContent-Type: message/rfc822\n--b\n\ntwo\n--b--",
	    "mixed(rfc822[PLAIN<>] PLAIN<two>)" },
	{ "and the next part has no header either",
	    MIXED "--b\nContent-Type: message/rfc822\n--b\n--b\n\ntwo\n"
	    "--b--", "mixed(rfc822[PLAIN<>] PLAIN<> PLAIN<two>)" },
	{ "a message is the whole body", MESSAGE MESSAGE "\none\n",
	    "rfc822[rfc822[PLAIN<one\n>]]" },
	{ "an encoded message is read as it stands",
	    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64"
	    "\n\nQQ==\n", "rfc822[PLAIN<>]" },
	{ "other kinds of message are opaque",
	    "Content-Type: message/partial\n\nA: b\n\nx", "partial<A: b\n\nx>"
	},
	{ "a digest is of messages",
	    "Content-Type: multipart/Digest; boundary=b\n\n"
	    "--b\n\nA: b\n\none\n--b\n" HTML "two\n--b--",
	    "Digest(RFC822[PLAIN<one>] html<two>)" },
	{ "but what is in these is not",
	    "Content-Type: multipart/digest; boundary=b\n\n"
	    "--b\n\n" INNER "--i\n\none\n--b--",
	    "digest(RFC822[alternative(PLAIN<one>)])" },
};

static void
test_trees(void)
{
	size_t i;

	for (i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		CHECK_STR(trees[i].what, tree(str_c(trees[i].text)),
		    str_c(trees[i].want));
	CHECK_STR("a NUL is a byte of a body",
	    tree(STR(MIXED "--b\n\no\0e\n--b--")), STR("mixed(PLAIN<o\0e>)"));
}

/* Type, subtype and parameters of one Content-Type value. */
static struct str
type(struct str value)
{
	struct buf header = BUF_MAX(1 << 20);
	const struct param *param;
	struct part *part;

	pool_reset(pool);
	buf_clear(&shown);
	buf_add(&header, STR("Content-Type:"));
	buf_add(&header, value);
	buf_add(&header, STR("\n\n"));
	part = mime_header(pool, pool_copy(pool, buf_str(&header)), false);
	buf_free(&header);
	buf_add(&shown, part->type);
	buf_addc(&shown, '/');
	buf_add(&shown, part->subtype);
	for (param = part->params; param != NULL; param = param->next) {
		buf_addc(&shown, ' ');
		buf_add(&shown, param->name);
		buf_addc(&shown, '=');
		buf_add(&shown, param->value);
	}
	return buf_str(&shown);
}

static const struct {
	const char *what, *value, *want;
} types[] = {
	{ "a type stays as written", " Text/HTML", "Text/HTML" },
	{ "a parameter", " a/b; C=d", "a/b C=d" },
	{ "a quoted one", " a/b; c=\"d; e\"", "a/b c=d; e" },
	{ "its escapes are undone", " a/b; c=\"d\\\"\\\\e\"", "a/b c=d\"\\e" },
	{ "comments and folding between all of it",
	    " (x) a (y) / (z)\n b (;) ;\r\n\tc (x) = (y) d (z) ; e=f (g)",
	    "a/b c=d e=f" },
	{ "the comment of RFC 2045 5.1",
	    " text/plain; charset=us-ascii (Plain text)",
	    "text/plain charset=us-ascii" },
	{ "a comment right behind a value", " a/b; c=d(e)", "a/b c=d" },
	{ "folding in a quoted value", " a/b; c=\"d\r\n e\"", "a/b c=d e" },
	{ "pieces of RFC 2231 are joined, escapes stay",
	    " a/b; c*0*=utf-8''%41; c*1=d; e*=f", "a/b c*=utf-8''%41d"
	    " e*=f" },
	{ "in the order of their numbers",
	    " a/b; c*2=z; c*0=x; d=e; c*1=y", "a/b c=xyz d=e" },
	{ "a plain piece behind a coded one holds no escape",
	    " a/b; c*0*=''x; c*1=\"5%20\"", "a/b c*=''x5%2520" },
	{ "one piece alone", " a/b; c*0=x", "a/b c=x" },
	{ "pieces without a first stay", " a/b; c*1=x", "a/b c*1=x" },
	{ "unquoted specials in a value", " a/b; c=d=:/[x]@y,?; e=f",
	    "a/b c=d=:/[x]@y,? e=f" },
	{ "an unquoted encoded word", " a/b; name==?utf-8?q?x_y?=",
	    "a/b name==?utf-8?q?x_y?=" },
	{ "8-bit bytes in a value", " a/b; c=\303\244", "a/b c=\303\244" },
	{ "an empty value", " a/b; c=; d=\"\"", "a/b c= d=" },
	{ "empty parameters", " a/b;; ;c=d;", "a/b c=d" },
	{ "a missing semicolon", " a/b c=d e=f", "a/b c=d e=f" },
	{ "junk before a semicolon", " a/b x y; c=d z; e=f", "a/b c=d e=f" },
	{ "junk that looks like a value", " a/b; =x; c=d", "a/b c=d" },
	{ "a quote that is not closed", " a/b; c=\"d; e=f",
	    "a/b c=d; e=f" },
	{ "a backslash at the end", " a/b; c=\"d\\", "a/b c=d\\" },
	{ "a type without subtype is text/plain", " text; charset=x",
	    "TEXT/PLAIN charset=x" },
	{ "so is an empty subtype", " image/; a=b", "TEXT/PLAIN a=b" },
	{ "so is an empty type", " /html", "TEXT/PLAIN" },
	{ "so is nothing", "", "TEXT/PLAIN" },
	{ "so is junk", " <b@d>; c=d", "TEXT/PLAIN c=d" },
	{ "so are 8-bit bytes", " \303\244/b", "TEXT/PLAIN" },
	{ "so is a multipart without boundary", " multipart/mixed; c=d",
	    "TEXT/PLAIN c=d" },
};

static void
test_types(void)
{
	struct part *part;
	struct buf b = BUF_MAX(1 << 20);
	const struct param *param;
	unsigned i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		CHECK_STR(types[i].what, type(str_c(types[i].value)),
		    str_c(types[i].want));
	part = mime_header(pool, STR("A: b\n\n"), true);
	CHECK("the default in a digest", part->message);
	part = mime_header(pool, STR("Content-Type: x\n\n"), true);
	CHECK_STR("but not of what is broken there", part->subtype,
	    STR("PLAIN"));
	part = mime_header(pool, STR("content-type: a/b\n"
	    "Content-Type: c/d\n\n"), false);
	CHECK_STR("of two fields the first counts", part->type, STR("a"));

	buf_add(&b, STR("Content-Type: a/b"));
	for (i = 0; i < 5000; i++)
		buf_add(&b, STR("; c*1=d"));
	part = mime_header(pool, buf_str(&b), false);
	for (i = 0, param = part->params; param != NULL; param = param->next)
		i++;
	CHECK("of thousands of parameters some are kept",
	    i == MIME_PARAMS_MAX);
	buf_free(&b);
}

static void
test_fields(void)
{
	struct part *part;

	part = mime_header(pool, STR(
	    "Content-Transfer-Encoding: Base64 (x)\n"
	    "Content-ID: <a@\n b>\n"
	    "Content-Description: x\n  y\n"
	    "Content-MD5: Q2hl==\n"
	    "Content-Disposition: Inline; filename=\"a b\"\n"
	    "Content-Language: en (English), de-AT,, fr\n"
	    "Content-Location: http://x/\n"
	    "X-Content-ID: no\n\n"), false);
	CHECK_STR("encoding", part->encoding, STR("Base64"));
	CHECK_STR("id", part->id, STR("<a@ b>"));
	CHECK_STR("description", part->description, STR("x  y"));
	CHECK_STR("md5", part->md5, STR("Q2hl=="));
	CHECK_STR("disposition", part->disposition, STR("Inline"));
	CHECK_STR("its parameter", param_find(part->disposition_params,
	    STR("FileName")), STR("a b"));
	CHECK("languages", part->n_languages == 3);
	CHECK_STR("one of them", part->languages[1], STR("de-AT"));
	CHECK_STR("location", part->location, STR("http://x/"));

	part = mime_header(pool, STR("Content-Description:\n"
	    "Content-Transfer-Encoding: ?\n"
	    "Content-Disposition: ; filename=x\n"
	    "Content-Language: ,\n\n"), false);
	CHECK("an empty field is there and empty",
	    part->description.p != NULL && part->description.n == 0);
	CHECK_STR("a broken encoding is the default", part->encoding,
	    STR("7BIT"));
	CHECK("a broken disposition is none", part->disposition.p == NULL &&
	    part->disposition_params == NULL);
	CHECK("no language is none", part->n_languages == 0);
	CHECK("absent fields are NIL", part->id.p == NULL &&
	    part->md5.p == NULL && part->location.p == NULL);
	CHECK("an absent parameter is NIL",
	    param_find(part->params, STR("x")).p == NULL);
}

static void
test_find(void)
{
	const struct str text = STR(MIXED
	    "--b\n\none\n"
	    "--b\n" MESSAGE "A: b\n" INNER "--i\n\ntwo\n--i\n" HTML "three\n"
	    "--i--\n"
	    "--b\n" MESSAGE "C: d\n\nfour\n"
	    "--b\n" MESSAGE MESSAGE "\nfive\n"
	    "--b--\n");
	static const struct {
		const char *what;
		uint32_t n, numbers[4];
		const char *want;
	} finds[] = {
		{ "1", 1, { 1 }, "one" },
		{ "1.1 of a leaf is none", 2, { 1, 1 }, NULL },
		{ "0 is none", 1, { 0 }, NULL },
		{ "5 is none", 1, { 5 }, NULL },
		{ "2.1 is in the message's multipart", 2, { 2, 1 }, "two" },
		{ "2.2", 2, { 2, 2 }, "three" },
		{ "2.3 is none", 2, { 2, 3 }, NULL },
		{ "3.1 is the message's text", 2, { 3, 1 }, "four" },
		{ "3.2 is none", 2, { 3, 2 }, NULL },
		{ "3.1.1 is none", 3, { 3, 1, 1 }, NULL },
		{ "4.1 is a message again", 2, { 4, 1 }, "\nfive" },
		{ "4.1.1 is its text", 3, { 4, 1, 1 }, "five" },
	};
	struct part *root = parse(text), *part;
	const uint32_t one[] = { 1, 1 };
	size_t i;

	for (i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		part = mime_find(root, finds[i].numbers, finds[i].n);
		if (finds[i].want == NULL)
			CHECK(finds[i].what, part == NULL);
		else
			CHECK_STR(finds[i].what, part == NULL ? STR("") :
			    part->body, str_c(finds[i].want));
	}
	part = mime_find(root, (const uint32_t[]){ 2 }, 1);
	CHECK("2 is the message itself", part->message &&
	    str_eq(part->child->header, STR("A: b\n" INNER)));
	part = mime_find(parse(STR(MIXED "--b\n" MESSAGE INNER "--i\n\none\n"
	    "--i--\r\n--b--")), one, 1);
	CHECK_STR("a message ends before the line end of the delimiter",
	    part->body, STR(INNER "--i\n\none\n--i--"));
	root = parse(STR(MIXED "--b\n" MESSAGE "A: b\r\n\r\n--b--"));
	CHECK_STR("a header before a delimiter has no empty line",
	    root->child->child->header, STR("A: b\r\n"));
	CHECK_STR("nor has the message of that header", root->child->body,
	    STR("A: b\r\n"));
	CHECK("their lines are counted so", root->child->lines == 1 &&
	    root->child->size == 6);
	root = parse(STR(MIXED "--b\nC: d\n--b--"));
	CHECK_STR("a header without empty line gives its line end",
	    root->child->header, STR("C: d"));
	root = parse(STR("A: b\n\nhi"));
	CHECK("1 of a message without parts is its body",
	    mime_find(root, one, 1) == root);
	CHECK("and no more", mime_find(root, one, 2) == NULL);
	root = parse(STR(MESSAGE "\nhi"));
	CHECK("1 of a message that is a message", mime_find(root, one, 1) ==
	    root && mime_find(root, one, 2) == root->child);
}

static void
test_random(void)
{
	static const char *const bits[] = {
		"--a\n", "--a\r\n", "--b\n", "--ab\n", "--a--\n", "--ab--\r\n",
		"\n", "\n", "\r\n", "x\n", "text\r\n", "-", "--", "y", "\r",
		"Content-Type: multipart/x; boundary=a\n\n",
		"Content-Type: multipart/x; boundary=b\n\n",
		"Content-Type: multipart/digest; boundary=ab\r\n\r\n",
		"Content-Type: message/rfc822\n", MESSAGE, HTML,
	};
	const unsigned n_bits = sizeof(bits) / sizeof(bits[0]);
	unsigned rng = 7, round, i, parts, all = 0;
	struct buf b = BUF_MAX(1 << 20);
	struct part *root;
	char *copy;
	bool good = true;

	for (round = 0; round < 30000; round++) {
		buf_clear(&b);
		buf_add(&b, STR("Content-Type: multipart/x; boundary=a\n\n"));
		for (i = 0; i < 40; i++) {
			rng = rng * 1103515245u + 12345;
			buf_add(&b, str_c(bits[(rng >> 16) % n_bits]));
		}
		copy = malloc(b.n);
		memcpy(copy, b.p, b.n);
		pool_reset(pool);
		root = parse((struct str){ copy, b.n });
		parts = 0;
		good &= sound(root, 0, &parts);
		all += parts;
		free(copy);
	}
	CHECK("random trees nest, and count what they hold", good);
	CHECK("and have parts", all > 100000);
	buf_free(&b);
}

/* head, n times bit; the tree must be sound and have that many parts. */
static void
deep(const char *what, const char *head, const char *bit, size_t n,
    unsigned want)
{
	struct buf b = BUF_MAX(1 << 28);
	struct part *root;
	unsigned parts = 0;
	size_t i;

	buf_add(&b, str_c(head));
	for (i = 0; i < n; i++)
		buf_add(&b, str_c(bit));
	pool_reset(pool);
	root = parse(buf_str(&b));
	CHECK(what, sound(root, 0, &parts) && parts == want);
	if (parts != want)
		printf("# %u parts\n", parts);
	buf_free(&b);
}

/* None of these comes to an end within a day in quadratic time. */
static void
test_hostile(void)
{
	struct buf b = BUF_MAX(1 << 28), same = BUF_MAX(1 << 20);
	unsigned i, parts = 0;
	struct part *root;

	deep("100,000 messages in each other", "", MESSAGE, 100000,
	    MIME_DEPTH_MAX + 1);
	deep("100,000 multiparts in each other", MIXED, "--b\n" MIXED, 100000,
	    MIME_PARTS_MAX + 1);
	deep("100,000 parts", MIXED, "--b\n\nx\n", 100000,
	    MIME_PARTS_MAX + 1);
	deep("100,000 multiparts, all closed", MIXED,
	    "--b\n" INNER "--i\n\nx\n--i--\n", 100000, MIME_PARTS_MAX + 1);
	deep("100,000 messages beside each other", MIXED,
	    "--b\n" MESSAGE "\nx\n", 100000, MIME_PARTS_MAX + 1);
	deep("a million lines that begin like delimiters", MIXED, "--\n",
	    1000000, 2);

	/* The deepest nesting, boundaries that are long and differ only at
	 * the end, and lines that match all of them but for that. */
	for (i = 0; i < 999; i++)
		buf_addc(&same, 'x');
	for (i = 0; i < MIME_DEPTH_MAX; i++) {
		buf_add(&b, STR("Content-Type: multipart/x; boundary="));
		buf_add(&b, buf_str(&same));
		buf_addf(&b, "%02u\n\n--", i);
		buf_add(&b, buf_str(&same));
		buf_addf(&b, "%02u\n", i);
	}
	for (i = 0; i < 2000; i++) {
		buf_add(&b, STR("--"));
		buf_add(&b, buf_str(&same));
		buf_addc(&b, '\n');
	}
	pool_reset(pool);
	root = parse(buf_str(&b));
	CHECK("long boundaries, nearly matched, at all depths",
	    sound(root, 0, &parts) && parts == MIME_DEPTH_MAX + 1);
	buf_clear(&b);
	buf_add(&b, STR("Content-Type: multipart/x; boundary="));
	for (i = 0; i < 1000000; i++)
		buf_addc(&b, 'x');
	buf_add(&b, STR("\n\n--"));
	for (i = 0; i < 1000000; i++)
		buf_addc(&b, 'x');
	buf_add(&b, STR("\n\none\n"));
	pool_reset(pool);
	root = parse(buf_str(&b));
	CHECK("a boundary of a million bytes", root->multipart &&
	    str_eq(root->child->body, STR("one\n")));
	buf_free(&same);
	buf_free(&b);
}

static void
test_rest(void)
{
	CHECK("a header ends behind its empty line",
	    mime_header_end(STR("A: b\n\nc\n\n")) == 6);
	CHECK("with CRLF too", mime_header_end(STR("A: b\r\n\r\nc")) == 8);
	CHECK("at the very begin", mime_header_end(STR("\nA: b\n\n")) == 1);
	CHECK("white space is no empty line",
	    mime_header_end(STR("A: b\n \nc\n")) == 9);
	CHECK("or all of it is header", mime_header_end(STR("A: b\n")) == 5);
	CHECK("or none", mime_header_end(STR("")) == 0);
	CHECK("text is text", mime_is_text(mime_header(pool,
	    STR("Content-Type: TEXT/html\n\n"), false)));
	CHECK("an image is not", !mime_is_text(mime_header(pool,
	    STR("Content-Type: image/png\n\n"), false)));
	CHECK("a message is", mime_is_text(mime_header(pool, STR(MESSAGE),
	    false)));
	CHECK("NIL is as good as empty", mime_parse(pool,
	    (struct str){ NULL, 0 }, (struct str){ NULL, 0 })->body.p != NULL);
}

int
main(void)
{
	pool = pool_new();
	test_trees();
	test_types();
	test_fields();
	test_find();
	test_rest();
	test_random();
	test_hostile();
	buf_free(&shown);
	pool_free(pool);
	return unit_end();
}
