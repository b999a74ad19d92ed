/*
 * unit_fetch.c - the grammar of FETCH items, and the untagged answers over a
 * small mbox: their order, names and literals, and messages that another
 * program removed. The client is a file in memory, the mailbox one in /tmp.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../fetch.h"
#include "../lib/params.h"
#include "unit.h"

static struct io io;
static struct reply reply = { &io };
static struct pool *pool;

static int
memory_file(struct str bytes)
{
	int fd = memfd_create("client", 0);

	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

static struct parser
client(struct str bytes)
{
	struct parser p;

	if (pool == NULL)
		pool = pool_new();
	else {
		close(io.rfd);
		close(io.wfd);
	}
	pool_reset(pool);
	io_init(&io, memory_file(bytes), memory_file(STR("")), NULL);
	parse_begin(&p, &io, pool, LITERAL_MAX_BYTES);
	return p;
}

static struct str
sent(void)
{
	static char bytes[65536];
	ssize_t n;

	io_flush(&io);
	n = pread(io.wfd, bytes, sizeof(bytes), 0);
	return (struct str){ bytes, n < 0 ? 0 : (size_t)n };
}

static bool
legal(const char *items, struct fetch_plan *plan)
{
	struct parser p = client(str_c(items));

	return fetch_parse(&p, plan) == 0 && parse_end(&p) == 0;
}

static void
legal_items(void)
{
	static const char *const good[] = {
		"ALL", "fast", "Full", "FLAGS", "(FLAGS)", "BODY",
		"BODYSTRUCTURE", "RFC822", "RFC822.HEADER", "RFC822.TEXT",
		"(UID RFC822.SIZE INTERNALDATE ENVELOPE)", "BODY[]",
		"body.peek[]<0.1>", "BODY[TEXT]", "BODY[1]", "BODY[1.2.3]",
		"BODY[1.MIME]", "BODY[4.2.HEADER]",
		"BODY[1.TEXT]<5.4294967295>",
		"BODY[HEADER.FIELDS (Date)]",
		"BODY.PEEK[1.HEADER.FIELDS.NOT (\"x\" {4+}\r\nFrom)]<0.7>",
		"(BODY[] BODY[])", "(FLAGS FLAGS)",
	};
	struct fetch_plan plan;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!CHECK("FETCH items are read", legal(good[i], &plan)))
			printf("# %s\n", good[i]);
}

static void
illegal_items(void)
{
	static const char *const bad[] = {
		"", "()", "( FLAGS)", "(FLAGS )", "(FLAGS  UID)", "(FLAGS",
		"FLAGS)", "FLAGS UID", "(ALL)", "(FLAGS FAST)", "ALL FULL",
		"BODY.PEEK", "BODY.PEEK[", "BODY[", "BODY[)", "BODY[p",
		"BODY[0]", "BODY[01]", "BODY[1.]", "BODY[.1]", "BODY[1..2]",
		"BODY[4294967296]", "BODY[MIME]", "BODY[1.BODY]",
		"BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]",
		"BODY[HEADER.FIELDS (Date]", "BODY[HEADER.FIELDS Date]",
		"BODY[HEADER.FIELDS  (Date)]", "BODY[HEADER (Date)]",
		"BODY[HEADER.FIELDS (\"\")]", "BODY[HEADER.FIELDS (\"a b\")]",
		"BODY[HEADER.FIELDS (a:)]",
		"BODY[HEADER.FIELDS (\"\xc3\xa9\")]",
		"BODY[HEADER.FIELDS ({2+}\r\n\r\n)]",
		"BODY[]<0>", "BODY[]<0.0>", "BODY[]<.1>", "BODY[]<0.1",
		"BODY[]<-1.1>", "BODY[]<0.4294967296>", "BODY[] <0.1>",
		"BODY<0.1>", "RFC822<0.1>", "RFC822[]", "RFC822.PEEK",
		"RFC822.HEADER.LINES", "BODYSTRUCTURE[]", "MODSEQ", "X",
	};
	struct fetch_plan plan;
	size_t i;
	char deep[MIME_DEPTH_MAX * 3] = "BODY[1";
	size_t n = 6;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!CHECK("what is no FETCH item is refused",
		    !legal(bad[i], &plan)))
			printf("# %s\n", bad[i]);
	for (i = 0; i < MIME_DEPTH_MAX + 1; i++, n += 2)
		memcpy(deep + n, ".1", 2);
	deep[n] = ']';
	CHECK("a part deeper than any message is refused",
	    !legal(deep, &plan));
}

static void
plans(void)
{
	struct fetch_plan plan;
	const struct section *s;

	CHECK("FULL is what RFC 3501 says", legal("FULL", &plan) &&
	    plan.items == (FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE |
	    FETCH_ENVELOPE | FETCH_BODY) && plan.sections == NULL);
	CHECK("BODY[] sets \\Seen", legal("BODY[]", &plan) &&
	    plan.sets_seen);
	CHECK("BODY.PEEK[] and RFC822.HEADER do not",
	    legal("(BODY.PEEK[] RFC822.HEADER)", &plan) && !plan.sets_seen);
	CHECK("BODY does not, and is no section", legal("BODY", &plan) &&
	    !plan.sets_seen && plan.sections == NULL &&
	    plan.items == FETCH_BODY);
	CHECK("a section is read", legal(
	    "BODY[3.2.HEADER.FIELDS.NOT (a b c d e f g h i)]<5.6>", &plan));
	s = plan.sections;
	CHECK("with its numbers", s->n_numbers == 2 && s->numbers[0] == 3 &&
	    s->numbers[1] == 2 && s->kind == SECTION_FIELDS_NOT);
	CHECK("its names", s->n_fields == 9 &&
	    str_eq(s->fields[8], STR("i")) && str_eq(s->fields[0], STR("a")));
	CHECK("and its part", s->partial && s->first == 5 && s->count == 6);
}

/* Messages one, two and three; two is multipart. */
static const char one[] =
    "From a@b Mon Jan  1 10:00:00 2024\n"
    "Date: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: eins\n"
    "Status: RO\nX-UID: 1\n\nfirst\nline\n\n";
static const char two[] =
    "From a@b Mon Jan  1 11:00:00 2024\n"
    "Subject: zwei\nContent-Type: multipart/mixed; boundary=x\n"
    "MIME-Version: 1.0\n\n"
    "--x\n\nalpha\n--x\nContent-Type: text/html\n\n<b>\n--x--\n\n";
static const char three[] =
    "From a@b Mon Jan  1 12:00:00 2024\nSubject: drei\n\n\n";

static char path[] = "/tmp/unit_fetch.XXXXXX";

static void
mailbox(const char *a, const char *b, const char *c)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		abort();
	fprintf(f, "%s%s%s", a, b, c);
	fclose(f);
}

/* What FETCH answers; *result and *o tell how it ended. */
static struct str
fetch(struct mbox *mbox, struct view *view, const char *command, bool uid,
    enum result *result, struct outcome *o)
{
	struct parser p = client(str_c(command));
	struct fetch_plan plan;
	struct set set;

	if (parse_set(&p, &set) != 0 || parse_space(&p) != 0 ||
	    fetch_parse(&p, &plan) != 0 || parse_end(&p) != 0)
		return STR("cannot be parsed");
	set_resolve(&set, uid ? view->at[view->n - 1].uid : view->n);
	memset(o, 0, sizeof(*o));
	*result = fetch_run(&plan, mbox, view, &reply, &set, uid, o);
	return sent();
}

static void
answers(struct mbox *mbox, struct view *view)
{
	static const struct {
		const char *command;
		bool uid;
		const char *want;
	} cases[] = {
		{ "1 (RFC822.SIZE FLAGS UID)", false,
		    "* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 68)\r\n" },
		{ "3 FLAGS", true,
		    "* 3 FETCH (UID 3 FLAGS (\\Recent))\r\n" },
		{ "1 BODY[]", false, "* 1 FETCH (BODY[] {68}\r\n"
		    "Date: Mon, 1 Jan 2024 10:00:00 +0000\r\n"
		    "Subject: eins\r\n\r\nfirst\r\nline\r\n)\r\n" },
		{ "1 (BODY.PEEK[TEXT]<5.4> RFC822.TEXT)", false,
		    "* 1 FETCH (BODY[TEXT]<5> {4}\r\n\r\nli "
		    "RFC822.TEXT {13}\r\nfirst\r\nline\r\n)\r\n" },
		{ "1 BODY[TEXT]<6.1>", false,
		    "* 1 FETCH (BODY[TEXT]<6> {1}\r\n\n)\r\n" },
		{ "1 BODY[]<68.10>", false,
		    "* 1 FETCH (BODY[]<68> \"\")\r\n" },
		{ "2,1 BODY[header.fields (SUBJECT \"x\" {4+}\r\nFrom)]",
		    false,
		    "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT x From)] {17}\r\n"
		    "Subject: eins\r\n\r\n)\r\n"
		    "* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT x From)] {17}\r\n"
		    "Subject: zwei\r\n\r\n)\r\n" },
		{ "2 (BODY[1] BODY[2.MIME] BODY[3] BODY[1.1])", false,
		    "* 2 FETCH (BODY[1] {5}\r\nalpha BODY[2.MIME] {27}\r\n"
		    "Content-Type: text/html\r\n\r\n BODY[3] NIL "
		    "BODY[1.1] NIL)\r\n" },
		{ "3 RFC822.HEADER", false, "* 3 FETCH (RFC822.HEADER "
		    "{17}\r\nSubject: drei\r\n\r\n)\r\n" },
		{ "* ENVELOPE", false, "* 3 FETCH (ENVELOPE (NIL \"drei\" "
		    "NIL NIL NIL NIL NIL NIL NIL NIL))\r\n" },
		{ "3 BODY", false, "* 3 FETCH (BODY (\"TEXT\" \"PLAIN\" "
		    "(\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0))\r\n" },
	};
	enum result result;
	struct outcome o;
	struct str got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = fetch(mbox, view, cases[i].command, cases[i].uid,
		    &result, &o);
		CHECK_STR("a FETCH is answered", got,
		    str_c(cases[i].want));
		CHECK("and completed", result == RES_OK);
	}
}

static void
changed_flags(struct mbox *mbox, struct view *view)
{
	enum result result;
	struct outcome o;
	char flagged[sizeof(one) + 16];
	int n = (int)(strstr(one, "X-UID") - one);

	snprintf(flagged, sizeof(flagged), "%.*sX-Status: F\n%s", n, one,
	    one + n);
	mailbox(flagged, two, three);
	mbox_sync(mbox, NULL, NULL);
	CHECK_STR("flags are those of the mailbox now",
	    fetch(mbox, view, "1 FLAGS", false, &result, &o),
	    STR("* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\n"));
	client(STR(""));
	view_tell(view, mbox, &reply, true, false);
	CHECK_STR("and what FETCH told is not told again", sent(), STR(""));
}

static void
gone_messages(struct mbox *mbox, struct view *view)
{
	enum result result;
	struct outcome o;
	struct str got;

	mailbox(one, "", three);
	mbox_sync(mbox, NULL, NULL);
	got = fetch(mbox, view, "1:3 RFC822.SIZE", false, &result, &o);
	CHECK_STR("the others are answered under their old numbers", got,
	    STR("* 1 FETCH (RFC822.SIZE 68)\r\n"
	    "* 3 FETCH (RFC822.SIZE 17)\r\n"));
	CHECK("a message that is gone is told by a NO",
	    result == RES_NO && strcmp(o.code, "EXPUNGEISSUED") == 0);
	got = fetch(mbox, view, "1:3 BODY[1]", false, &result, &o);
	CHECK("also when the file must be read", result == RES_NO &&
	    strcmp(o.code, "EXPUNGEISSUED") == 0 && got.n > 50);
	fetch(mbox, view, "1:3 UID", true, &result, &o);
	CHECK("a uid that does not exist is no error", result == RES_OK);
}

static void
interrupted(struct mbox *mbox, struct view *view)
{
	struct parser p = client(STR("UID"));
	struct fetch_plan plan;
	struct outcome o = { 0 };
	volatile sig_atomic_t stop = 1;
	struct set set;

	set_init(&set, pool);
	set_add(&set, 1, 3);
	CHECK("a plan is read", fetch_parse(&p, &plan) == 0);
	io.stop = &stop;
	CHECK("a signal ends a FETCH, and it is not called complete",
	    fetch_run(&plan, mbox, view, &reply, &set, false, &o) == RES_NO);
}

int
main(void)
{
	struct mbox *mbox;
	struct view view;
	struct why why = { "" };
	int fd = mkstemp(path);

	setenv("TZ", "UTC", 1);
	legal_items();
	illegal_items();
	plans();
	mailbox(one, two, three);
	if (!CHECK("a mailbox opens",
	    mbox_open(&mbox, path, false, NULL, &why) == E_OK)) {
		printf("# %s\n", why.text);
		return unit_end();
	}
	view_init(&view, mbox);
	answers(mbox, &view);
	changed_flags(mbox, &view);
	gone_messages(mbox, &view);
	interrupted(mbox, &view);
	view_free(&view);
	mbox_close(mbox);
	close(fd);
	unlink(path);
	return unit_end();
}
