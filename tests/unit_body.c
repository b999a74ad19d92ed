/*
 * unit_body.c - ENVELOPE, BODYSTRUCTURE and sections, as the client sees
 * them: the client is a file in memory. Most of it is one large message,
 * the "complex message" that RFC 3501 6.4.5 uses to explain part numbers.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../body.h"
#include "../lib/buf.h"
#include "unit.h"

static struct io io;
static struct reply r = { &io };
static struct pool *pool;

static void
begin(void)
{
	if (io.wfd > 0)
		close(io.wfd);
	io_init(&io, STDIN_FILENO, memfd_create("client", 0), NULL);
	pool_reset(pool);
}

/* All that was sent since begin(). */
static struct str
sent(void)
{
	static char bytes[1000000];
	ssize_t n;

	io_flush(&io);
	n = pread(io.wfd, bytes, sizeof(bytes), 0);
	return (struct str){ bytes, n < 0 ? 0 : (size_t)n };
}

static struct str
envelope(struct str header)
{
	begin();
	body_envelope(&r, pool, header);
	return sent();
}

static struct str
structure(struct str text, bool extended)
{
	size_t n = mime_header_end(text);

	begin();
	body_structure(&r, pool, mime_parse(pool, str_sub(text, 0, n),
	    str_from(text, n)), extended);
	return sent();
}

#define ANN	"((NIL NIL \"ann\" \"x.org\"))"
#define BOB	"((\"Bob\" NIL \"bob\" \"y.org\"))"

static const struct {
	const char *what, *header, *want;
} envelopes[] = {
	{ "a whole envelope",
	    "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n"
	    "From: ann@x.org\r\nSender: Bob <bob@y.org>\r\n"
	    "Reply-To: Bob <bob@y.org>\r\nTo: ann@x.org\r\n"
	    "Cc: Bob <bob@y.org>\r\nBcc: ann@x.org\r\n"
	    "Subject: a \"b\"\r\nIn-Reply-To: <1@x>\r\n"
	    "Message-ID: <2@y>\r\n\r\n",
	    "(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" \"a \\\"b\\\"\" "
	    ANN " " BOB " " BOB " " ANN " " BOB " " ANN
	    " \"<1@x>\" \"<2@y>\")" },
	{ "an empty header", "\n",
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "no header at all", "",
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "From stands in for Sender and Reply-To",
	    "From: ann@x.org\n\n",
	    "(NIL NIL " ANN " " ANN " " ANN " NIL NIL NIL NIL NIL)" },
	{ "also when they are empty",
	    "Sender:\nReply-To: (nobody), ;\nFrom: ann@x.org\n\n",
	    "(NIL NIL " ANN " " ANN " " ANN " NIL NIL NIL NIL NIL)" },
	{ "but not for To", "From: ann@x.org\nTo:\nCc: \n\n",
	    "(NIL NIL " ANN " " ANN " " ANN " NIL NIL NIL NIL NIL)" },
	{ "without From there is none to stand in", "Sender:\n\n",
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "empty strings are empty, absent ones NIL",
	    "Date:\nSubject: \nMessage-ID:\n\n",
	    "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")" },
	{ "a folded subject is one line", "Subject: a\n b\r\n\tc\n\n",
	    "(NIL \"a b\tc\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "encoded words stay, 8-bit text is a literal",
	    "Subject: =?utf-8?q?=C3=A4?=\nDate: \303\244\n\n",
	    "({2}\r\n\303\244 \"=?utf-8?q?=C3=A4?=\" "
	    "NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "of two subjects the first counts", "Subject: a\nSubject: b\n\n",
	    "(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "of two To fields both",
	    "To: ann@x.org\nSubject: a\nTO: Bob <bob@y.org>\n\n",
	    "(NIL \"a\" NIL NIL NIL ((NIL NIL \"ann\" \"x.org\")"
	    "(\"Bob\" NIL \"bob\" \"y.org\")) NIL NIL NIL NIL)" },
	{ "of two From fields both, wherever From is shown",
	    "From:\nFrom: ann@x.org\n\n",
	    "(NIL NIL " ANN " " ANN " " ANN " NIL NIL NIL NIL NIL)" },
	{ "a group has markers", "To: us: ann@x.org;, \"them\":;\n\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"us\" NIL)"
	    "(NIL NIL \"ann\" \"x.org\")(NIL NIL NIL NIL)"
	    "(NIL NIL \"them\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)" },
	{ "a group without a name does not look like its end", "To: :;\n\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"\" NIL)(NIL NIL NIL NIL)) "
	    "NIL NIL NIL NIL)" },
	{ "a source route", "To: <@a,@b:ann@x.org>\n\n",
	    "(NIL NIL NIL NIL NIL ((NIL \"@a,@b\" \"ann\" \"x.org\")) "
	    "NIL NIL NIL NIL)" },
	{ "an address without host is no group", "To: ann\n\n",
	    "(NIL NIL NIL NIL NIL ((NIL NIL \"ann\" "
	    "\".MISSING-HOST-NAME.\")) NIL NIL NIL NIL)" },
};

static void
test_envelopes(void)
{
	size_t i;

	for (i = 0; i < sizeof(envelopes) / sizeof(envelopes[0]); i++)
		CHECK_STR(envelopes[i].what,
		    envelope(str_c(envelopes[i].header)),
		    str_c(envelopes[i].want));
}

#define TEXT	"(\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\""
#define PLAIN	"\"TEXT\" \"PLAIN\" " TEXT

static const struct {
	const char *what, *text;
	bool extended;
	const char *want;
} structures[] = {
	{ "text is the default", "A: b\n\nhi\nyou\n", false,
	    "(" PLAIN " 9 2)" },
	{ "a last line without an end is no line", "\nhi", false,
	    "(" PLAIN " 2 0)" },
	{ "nothing is no line", "", false, "(" PLAIN " 0 0)" },
	{ "CRLF counts no more than LF", "\nhi\r\nyou\n", false,
	    "(" PLAIN " 9 2)" },
	{ "extension data are NIL when absent", "\nhi", true,
	    "(" PLAIN " 2 0 NIL NIL NIL NIL)" },
	{ "a charset that is there is left alone",
	    "Content-Type: text/html; Charset=utf-8\n\n", false,
	    "(\"text\" \"html\" (\"Charset\" \"utf-8\") NIL NIL \"7BIT\" "
	    "0 0)" },
	{ "so is one of RFC 2231",
	    "Content-Type: text/html; charset*=''utf-8\n\n", false,
	    "(\"text\" \"html\" (\"charset*\" \"''utf-8\") NIL NIL "
	    "\"7BIT\" 0 0)" },
	{ "a charset is said beside other parameters",
	    "Content-Type: text/plain; format=flowed\n\n", false,
	    "(\"text\" \"plain\" (\"format\" \"flowed\" \"CHARSET\" "
	    "\"US-ASCII\") NIL NIL \"7BIT\" 0 0)" },
	{ "other types have no lines and no charset",
	    "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"
	    "iVBO\n", false,
	    "(\"image\" \"png\" NIL NIL NIL \"base64\" 6)" },
	{ "all fields of a single part",
	    "Content-Type: a/b; c=\"d \\\"e\"\n"
	    "Content-ID: <i@d>\nContent-Description: some\n thing\n"
	    "Content-Transfer-Encoding: x-y\nContent-MD5: Q2h=\n"
	    "Content-Disposition: attachment; filename*0=f; filename*1=g\n"
	    "Content-Language: en, de\nContent-Location: http://x\n\nhi",
	    true,
	    "(\"a\" \"b\" (\"c\" \"d \\\"e\") \"<i@d>\" \"some thing\" "
	    "\"x-y\" 2 \"Q2h=\" (\"attachment\" (\"filename\" \"fg\")) "
	    "(\"en\" \"de\") \"http://x\")" },
	{ "none of the extension in BODY",
	    "Content-Type: a/b\nContent-MD5: Q2h=\n\nhi", false,
	    "(\"a\" \"b\" NIL NIL NIL \"7BIT\" 2)" },
	{ "a disposition without parameters",
	    "Content-Type: a/b\nContent-Disposition: inline\n\n", true,
	    "(\"a\" \"b\" NIL NIL NIL \"7BIT\" 0 NIL (\"inline\" NIL) NIL "
	    "NIL)" },
	{ "8-bit bytes in a parameter are a literal",
	    "Content-Type: a/b; c=\"\303\244\"\n\n", false,
	    "(\"a\" \"b\" (\"c\" {2}\r\n\303\244) NIL NIL \"7BIT\" 0)" },
	{ "a multipart",
	    "Content-Type: multipart/mixed; boundary=b\n\n"
	    "--b\n\none\n--b\n\ntwo\n\n--b--\n", false,
	    "((" PLAIN " 3 0)(" PLAIN " 5 1) \"mixed\")" },
	{ "its extension data",
	    "Content-Type: multipart/mixed; boundary=b\n"
	    "Content-Disposition: inline\nContent-Language: en\n"
	    "Content-Location: l\n\n--b\n\none\n--b--\n", true,
	    "((" PLAIN " 3 0 NIL NIL NIL NIL) \"mixed\" (\"boundary\" "
	    "\"b\") (\"inline\" NIL) (\"en\") \"l\")" },
	{ "a multipart of nothing has one body all the same",
	    "Content-Type: multipart/mixed; boundary=b\n\nhi\n", false,
	    "((" PLAIN " 0 0) \"mixed\")" },
	{ "a multipart without a boundary is text",
	    "Content-Type: multipart/mixed\n\nhi\n", false,
	    "(" PLAIN " 4 1)" },
	{ "a message",
	    "Content-Type: message/rfc822\n\nSubject: s\n\nhi\nyou", false,
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 21 "
	    "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(" PLAIN " 7 1) 3)" },
	{ "its extension data",
	    "Content-Type: message/rfc822\nContent-MD5: m\n\n\n", true,
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 2 "
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(" PLAIN " 0 0 NIL NIL NIL NIL) 1 \"m\" NIL NIL NIL)" },
	{ "a digest",
	    "Content-Type: multipart/digest; boundary=b\n\n--b\n\n\nhi\n"
	    "--b--", false,
	    "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 4 "
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(" PLAIN " 2 0) 1) \"digest\")" },
};

static void
test_structures(void)
{
	size_t i;

	for (i = 0; i < sizeof(structures) / sizeof(structures[0]); i++)
		CHECK_STR(structures[i].what,
		    structure(str_c(structures[i].text),
		    structures[i].extended), str_c(structures[i].want));
}

/* Each part of the complex message is named by its number. */
#define HEADER	"From: a@b\r\nMIME-Version: 1.0\r\nSubject: all\r\n" \
		"Content-Type: multipart/mixed; boundary=\"1\"\r\n\r\n"
#define HEADER3	"Subject: three\nTo: c@d\n" \
		"Content-Type: multipart/mixed; boundary=3\n\n"
#define TEXT3	"--3\n\n3.1\n" \
		"--3\nContent-Type: application/octet-stream\n\n3.2\n" \
		"--3--\n"
#define HEADER42 "Subject: four two\n" \
		"Content-Type: multipart/mixed; boundary=42\n\n"
#define MIME422	"Content-Type: multipart/alternative; boundary=422\n\n"
#define BODY422	"--422\n\n4.2.2.1\n" \
		"--422\nContent-Type: text/richtext\n\n4.2.2.2\n--422--"
#define TEXT42	"--42\n\n4.2.1\n--42\n" MIME422 BODY422 "\n--42--"
#define BODY4	"--4\nContent-Type: image/gif\n\n4.1\n" \
		"--4\nContent-Type: message/rfc822\n\n" HEADER42 TEXT42 "\n" \
		"--4--"
#define BODY	"preamble\r\n" \
		"--1\r\n\r\n1\r\n" \
		"--1\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n" \
		"--1\nContent-Type: message/rfc822\n\n" HEADER3 TEXT3 "\n" \
		"--1\nContent-Type: multipart/mixed; boundary=4\n\n" BODY4 \
		"\n--1--\n"

static const struct {
	const char *what;
	enum section_kind kind;
	uint32_t n, numbers[5];
	const char *want;
} sections[] = {
	{ "BODY[]", SECTION_ALL, 0, { 0 }, HEADER BODY },
	{ "HEADER", SECTION_HEADER, 0, { 0 }, HEADER },
	{ "TEXT", SECTION_TEXT, 0, { 0 }, BODY },
	{ "1", SECTION_PART, 1, { 1 }, "1" },
	{ "1.MIME", SECTION_MIME, 1, { 1 }, "\r\n" },
	{ "2", SECTION_PART, 1, { 2 }, "2" },
	{ "2.MIME", SECTION_MIME, 1, { 2 },
	    "Content-Type: application/octet-stream\r\n\r\n" },
	{ "3", SECTION_PART, 1, { 3 }, HEADER3 TEXT3 },
	{ "3.HEADER", SECTION_HEADER, 1, { 3 }, HEADER3 },
	{ "3.TEXT", SECTION_TEXT, 1, { 3 }, TEXT3 },
	{ "3.MIME", SECTION_MIME, 1, { 3 },
	    "Content-Type: message/rfc822\n\n" },
	{ "3.1", SECTION_PART, 2, { 3, 1 }, "3.1" },
	{ "3.2", SECTION_PART, 2, { 3, 2 }, "3.2" },
	{ "3.2.MIME", SECTION_MIME, 2, { 3, 2 },
	    "Content-Type: application/octet-stream\n\n" },
	{ "4", SECTION_PART, 1, { 4 }, BODY4 },
	{ "4.1", SECTION_PART, 2, { 4, 1 }, "4.1" },
	{ "4.1.MIME", SECTION_MIME, 2, { 4, 1 },
	    "Content-Type: image/gif\n\n" },
	{ "4.2.HEADER", SECTION_HEADER, 2, { 4, 2 }, HEADER42 },
	{ "4.2.TEXT", SECTION_TEXT, 2, { 4, 2 }, TEXT42 },
	{ "4.2.1", SECTION_PART, 3, { 4, 2, 1 }, "4.2.1" },
	{ "4.2.2", SECTION_PART, 3, { 4, 2, 2 }, BODY422 },
	{ "4.2.2.MIME", SECTION_MIME, 3, { 4, 2, 2 }, MIME422 },
	{ "4.2.2.1", SECTION_PART, 4, { 4, 2, 2, 1 }, "4.2.2.1" },
	{ "4.2.2.2", SECTION_PART, 4, { 4, 2, 2, 2 }, "4.2.2.2" },
	/* what is not there */
	{ "5 is NIL", SECTION_PART, 1, { 5 }, NULL },
	{ "5.MIME is NIL", SECTION_MIME, 1, { 5 }, NULL },
	{ "1.1 is NIL", SECTION_PART, 2, { 1, 1 }, NULL },
	{ "4.2.2.2.1 is NIL", SECTION_PART, 5, { 4, 2, 2, 2, 1 }, NULL },
	{ "1.HEADER is NIL: no message", SECTION_HEADER, 1, { 1 }, NULL },
	{ "4.TEXT is NIL: no message", SECTION_TEXT, 1, { 4 }, NULL },
	{ "9.HEADER is NIL", SECTION_HEADER, 1, { 9 }, NULL },
};

static struct str
section(const struct section *s, struct str text, struct part **parts)
{
	size_t n = mime_header_end(text);

	return body_section(s, pool, str_sub(text, 0, n), str_from(text, n),
	    text, parts);
}

static void
test_sections(void)
{
	const struct str text = STR(HEADER BODY);
	struct part *parts = NULL;
	uint32_t numbers[5];
	struct section s = { .numbers = numbers };
	struct str got;
	size_t i;

	pool_reset(pool);
	s.kind = SECTION_TEXT;
	section(&s, text, &parts);
	CHECK("the tree is not made before it is needed", parts == NULL);
	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		s.kind = sections[i].kind;
		s.n_numbers = sections[i].n;
		memcpy(numbers, sections[i].numbers, sizeof(numbers));
		got = section(&s, text, &parts);
		if (sections[i].want == NULL)
			CHECK(sections[i].what, got.p == NULL);
		else
			CHECK_STR(sections[i].what, got,
			    str_c(sections[i].want));
	}
}

/* A section of a message that is no multipart, or not even a message. */
static void
test_small(void)
{
	const struct str text = STR("Subject: x\n\nhi\n");
	uint32_t one[] = { 1 };
	struct section s = { .numbers = one, .n_numbers = 1 };
	struct part *parts = NULL;
	struct str empty;

	s.kind = SECTION_PART;
	CHECK_STR("1 of a message without parts is its text",
	    section(&s, text, &parts), STR("hi\n"));
	s.kind = SECTION_MIME;
	CHECK_STR("its MIME header is the header",
	    section(&s, text, &parts), STR("Subject: x\n\n"));
	s.kind = SECTION_HEADER;
	CHECK("1.HEADER is NIL there", section(&s, text, &parts).p == NULL);
	s.n_numbers = 0;
	s.kind = SECTION_TEXT;
	empty = section(&s, STR("Subject: x\n\n"), &parts);
	CHECK("an empty text is there", empty.p != NULL && empty.n == 0);
	empty = body_section(&s, pool, (struct str){ NULL, 0 },
	    (struct str){ NULL, 0 }, (struct str){ NULL, 0 }, &parts);
	CHECK("and of nothing too", empty.p != NULL && empty.n == 0);
}

static struct str
chosen(enum section_kind kind, struct str text, struct str a, struct str b)
{
	struct str names[] = { a, b };
	struct section s = { .kind = kind, .fields = names, .n_fields = 2 };
	struct part *parts = NULL;

	pool_reset(pool);
	return section(&s, text, &parts);
}

static void
test_fields(void)
{
	const struct str text = STR("To: a\nSubject: b\n c\nX: d\n"
	    "junk\nTO : e\n\nTo: body\n");
	const struct str no_body = STR("To: a\nX: d");
	struct str got;

	got = chosen(SECTION_FIELDS, text, STR("to"), STR("SUBJECT"));
	CHECK_STR("fields come as they are, in their order, with the blank "
	    "line", got, STR("To: a\nSubject: b\n c\nTO : e\n\n"));
	got = chosen(SECTION_FIELDS_NOT, text, STR("to"), STR("SUBJECT"));
	CHECK_STR("the others too, junk among them", got,
	    STR("X: d\njunk\n\n"));
	got = chosen(SECTION_FIELDS, text, STR("T"), STR("Too"));
	CHECK_STR("a part of a name is another name", got, STR("\n"));
	got = chosen(SECTION_FIELDS_NOT, text, STR("T"), STR("T"));
	CHECK("what lies together is not copied", got.p == text.p);
	got = chosen(SECTION_FIELDS, no_body, STR("x"), STR("y"));
	CHECK_STR("no blank line where the message has none", got,
	    STR("X: d"));
	got = chosen(SECTION_FIELDS, no_body, STR("y"), STR("z"));
	CHECK("then it may be empty, but not NIL",
	    got.p != NULL && got.n == 0);
	got = chosen(SECTION_FIELDS, STR("A: b\r\nC: d\r\n\r\n"), STR("c"),
	    STR("c"));
	CHECK_STR("a blank line of CRLF", got, STR("C: d\r\n\r\n"));
}

static void
test_fields_of_a_part(void)
{
	const struct str text = STR(HEADER BODY);
	uint32_t three[] = { 3 };
	struct str names[] = { STR("Subject") };
	struct section s = { .kind = SECTION_FIELDS, .fields = names,
	    .n_fields = 1, .numbers = three, .n_numbers = 1 };
	struct part *parts = NULL;

	CHECK_STR("3.HEADER.FIELDS is of the message inside",
	    section(&s, text, &parts), STR("Subject: three\n\n"));
	three[0] = 2;
	CHECK("2.HEADER.FIELDS is NIL: no message",
	    section(&s, text, &parts).p == NULL);
}

/* 20,000 names against 200,000 fields, half of them wanted: a day of work
 * when each is held against each. */
static void
test_many_fields(void)
{
	enum { NAMES = 20000, FIELDS = 200000 };
	struct str *names = xmalloc(NAMES * sizeof(*names));
	struct section s = { .kind = SECTION_FIELDS, .fields = names,
	    .n_fields = NAMES };
	struct buf text = BUF_MAX(1 << 24), name = BUF_MAX(64);
	struct part *parts = NULL;
	struct str got;
	unsigned i;

	pool_reset(pool);
	for (i = 0; i < NAMES; i++) {
		buf_clear(&name);
		buf_addf(&name, "x-name-%u", i);
		names[i] = pool_copy(pool, buf_str(&name));
	}
	for (i = 0; i < FIELDS; i++)
		buf_addf(&text, "X-Name-%05u: x\n", i * 2 % (2 * NAMES) +
		    10000);
	buf_addc(&text, '\n');
	got = section(&s, buf_str(&text), &parts);
	CHECK("many names, many fields", got.n == FIELDS / 4 *
	    (sizeof("X-Name-10000: x")) + 1);
	buf_free(&text);
	buf_free(&name);
	free(names);
}

int
main(void)
{
	pool = pool_new();
	test_envelopes();
	test_structures();
	test_sections();
	test_small();
	test_fields();
	test_fields_of_a_part();
	test_many_fields();
	pool_free(pool);
	return unit_end();
}
