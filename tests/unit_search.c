/*
 * unit_search.c - SEARCH commands as a client writes them, against a small
 * mailbox: what the grammar takes and refuses, and which messages match.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../parse.h"
#include "../search.h"
#include "unit.h"

static char path[] = "/tmp/unit_search.XXXXXX";
static struct mbox *mbox;
static struct view view;
static struct pool *pool;
static struct io io;
static time_t now;

/* Time is made here. */
time_t
time(time_t *t)
{
	if (t != NULL)
		*t = now;
	return now;
}

#define BASE	"X-IMAPbase: 1700000000 0000000009 Work later\n"
#define TAIL(uid)	"X-UID: " uid "\n"

/*
 * Five messages with the uids 2, 3, 5, 6, 9. The second is of the first of
 * February where it was stored and the second where it was sent; the fourth
 * has no Date and 44 bytes; the last is recent.
 */
static const char mail[] =
    "From a@x Mon Jan  1 23:30:00 2024\n"
    "From: \"Ann Bee\" <ann@example.org>\n"
    "To: Carl <carl@example.org>\n"
    "Subject: Green\n apples\n"
    "Date: Mon, 1 Jan 2024 23:30:00 +0000\n"
    BASE "Status: RO\n" TAIL("2") "\n"
    "One apple a day\n"
    "\n"
    "From b@x Thu Feb  1 12:00:00 2024\n"
    "From: bob@example.org\n"
    "Cc: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\n"
    "Subject: =?utf-8?q?K=C3=A4se?=\n"
    "Date: Fri, 2 Feb 2024 01:00:00 +1300\n"
    "Status: O\nX-Status: AF\n" TAIL("3") "\n"
    "Some cheese\n"
    "\n"
    "From c@x Fri Mar  1 12:00:00 2024\n"
    "From: carl@example.org\n"
    "Bcc: hidden@example.org\n"
    "Subject: red\n"
    "Date: Fri, 1 Mar 2024 12:00:00 +0000\n"
    "Status: RO\nX-Status: DT\nX-Keywords: Work\n" TAIL("5") "\n"
    "Some apples\n"
    "\n"
    "From d@x Sat Mar  2 12:00:00 2024\n"
    "From: dan@example.org\n"
    "X-Empty:\n"
    "Status: O\nX-Keywords: Work later\n" TAIL("6") "\n"
    "nothing\n"
    "\n"
    "From e@x Sun Mar  3 12:00:00 2024\n"
    "From: eve@example.org\n"
    "Subject: big\n"
    "Content-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: base64\n"
    TAIL("9") "\n"
    "R3LDvMOfZQ==\n"
    "\n";

static void
open_mailbox(void)
{
	struct why why = { "" };
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, mail, sizeof(mail) - 1) !=
	    (ssize_t)sizeof(mail) - 1 || close(fd) != 0)
		abort();
	if (mbox_open(&mbox, path, false, NULL, &why) != E_OK) {
		printf("Bail out! %s\n", why.text);
		exit(1);
	}
	view_init(&view, mbox);
	pool = pool_new();
}

static void
client(struct str line)
{
	int fd = memfd_create("client", 0);

	if (fd < 0 || write(fd, line.p, line.n) != (ssize_t)line.n ||
	    write(fd, "\r\n", 2) != 2 || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	io_init(&io, fd, open("/dev/null", O_WRONLY), NULL);
}

/* What search_run found, "2:3,5"; or what else happened. */
static struct str
answer(struct str line, bool uid)
{
	static char out[200];
	struct outcome o = { 0 };
	struct search s = { .pool = pool };
	struct parser p;
	struct set found;
	size_t i, n = 0;
	int r;

	pool_reset(pool);
	client(line);
	parse_begin(&p, &io, pool, 65536);
	r = search_parse(&p, &s);
	close(io.rfd);
	close(io.wfd);
	if (r != 0)
		return str_c("BAD");
	if (s.charset_unknown)
		return str_c("BADCHARSET");
	set_init(&found, pool);
	if (search_run(&s, mbox, &view, uid, &found, &o) != RES_OK)
		return str_c("NO");
	for (i = 0; i < found.n && n < sizeof(out) - 30; i++)
		n += (size_t)sprintf(out + n, found.at[i].lo ==
		    found.at[i].hi ? "%s%u" : "%s%u:%u", i > 0 ? "," : "",
		    found.at[i].lo, found.at[i].hi);
	return (struct str){ out, n };
}

struct query {
	const char *line;
	const char *want;
};

static const struct query flags[] = {
	{ "ALL", "1:5" },
	{ "answered", "2" },
	{ "UNANSWERED", "1,3:5" },
	{ "DELETED", "3" },
	{ "UNDELETED", "1:2,4:5" },
	{ "DRAFT", "3" },
	{ "UNDRAFT", "1:2,4:5" },
	{ "FLAGGED", "2" },
	{ "UNFLAGGED", "1,3:5" },
	{ "SEEN", "1,3" },
	{ "UNSEEN", "2,4:5" },
	{ "RECENT", "5" },
	{ "OLD", "1:4" },
	{ "NEW", "5" },
	{ "KEYWORD Work", "3:4" },
	{ "KEYWORD LATER", "4" },
	{ "KEYWORD none", "" },
	{ "UNKEYWORD work", "1:2,5" },
	{ "UNKEYWORD none", "1:5" },
};

static const struct query numbers[] = {
	{ "2:4", "2:4" },
	{ "4:2,1", "1:4" },
	{ "*", "5" },
	{ "*:4", "4:5" },
	{ "6:*", "5" },
	{ "7", "" },
	{ "4:99", "4:5" },
	{ "UID 3:6", "2:4" },
	{ "UID 4", "" },
	{ "UID *", "5" },
	{ "UID 100:*", "5" },
	{ "UID 1:4294967295", "1:5" },
	{ "LARGER 43", "1:5" },
	{ "LARGER 44", "1:3,5" },
	{ "SMALLER 44", "" },
	{ "SMALLER 45", "4" },
	{ "LARGER 0", "1:5" },
	{ "SMALLER 0", "" },
	{ "SMALLER 4294967295", "1:5" },
};

static const struct query dates[] = {
	{ "ON 1-Jan-2024", "1" },
	{ "BEFORE 1-Feb-2024", "1" },
	{ "BEFORE \"2-Feb-2024\"", "1:2" },
	{ "SINCE 1-Mar-2024", "3:5" },
	{ "SINCE 01-mar-2024 BEFORE 03-MAR-2024", "3:4" },
	{ "ON 2-Feb-2024", "" },
	{ "SENTON 2-Feb-2024", "2" },
	{ "SENTON 1-Feb-2024", "" },
	{ "SENTBEFORE 1-Feb-2024", "1" },
	{ "SENTSINCE 2-Feb-2024", "2:3" },
	{ "SENTSINCE 1-Jan-1970", "1:3" },
	{ "SENTBEFORE 1-Jan-2030", "1:3" },
	{ "NOT SENTBEFORE 1-Jan-2030", "4:5" },
};

static const struct query texts[] = {
	{ "FROM ANN", "1" },
	{ "FROM \"bee\\\" <\"", "1" },
	{ "TO carl", "1" },
	{ "CC joerg", "2" },
	{ "BCC hidden", "3" },
	{ "SUBJECT \"green apples\"", "1" },
	{ "HEADER subject apples", "1" },
	{ "HEADER x-empty \"\"", "4" },
	{ "SUBJECT \"\"", "1:3,5" },
	{ "HEADER x-none \"\"", "" },
	{ "BODY apple", "1,3" },
	{ "BODY \"\"", "1:5" },
	{ "TEXT apples", "1,3" },
	{ "TEXT \"\"", "1:5" },
	{ "TEXT x-uid", "" },
	{ "CHARSET UTF-8 SUBJECT \"k\xc3\x84se\"", "2" },
	{ "CHARSET utf-8 CC \"J\xc3\xb6RG\"", "2" },
	{ "CHARSET ISO-8859-1 SUBJECT \"k\xc4se\"", "2" },
	{ "CHARSET \"UTF-8\" BODY {5+}\r\nr\xc3\xbc\xc3\x9f", "5" },
	{ "SUBJECT \"k\xc3\xa4se\"", "2" },
	{ "SUBJECT \"k\xe4se\"", "2" },
	{ "CHARSET US-ASCII BODY cheese", "2" },
	{ "BODY {5+}\r\napple", "1,3" },
};

static const struct query combined[] = {
	{ "SEEN BODY apple SINCE 1-Mar-2024", "3" },
	{ "BODY apple NOT SEEN", "" },
	{ "NOT 2", "1,3:5" },
	{ "NOT NOT 2", "2" },
	{ "NOT BODY apple", "2,4:5" },
	{ "OR 1 2", "1:2" },
	{ "OR BODY cheese SEEN", "1:3" },
	{ "OR SUBJECT red BODY one", "1,3" },
	{ "NOT OR SUBJECT red BODY one", "2,4:5" },
	{ "NOT (BODY apple SEEN)", "2,4:5" },
	{ "(1:2)", "1:2" },
	{ "((1) (1 2))", "" },
	{ "OR (SEEN 1) (OR 4 (5 NEW))", "1,4:5" },
	{ "1:3 TEXT some FROM bob FLAGGED", "2" },
	{ "OR OR OR 1 2 3 4", "1:4" },
};

static const struct query refused[] = {
	{ "", "BAD" },
	{ " ALL", "BAD" },
	{ "ALL ", "BAD" },
	{ "ALL  SEEN", "BAD" },
	{ "ALLX", "BAD" },
	{ "FROB", "BAD" },
	{ "()", "BAD" },
	{ "( ALL)", "BAD" },
	{ "(ALL )", "BAD" },
	{ "(ALL", "BAD" },
	{ "ALL)", "BAD" },
	{ "NOT", "BAD" },
	{ "OR 1", "BAD" },
	{ "OR 1 ", "BAD" },
	{ "0", "BAD" },
	{ "1,", "BAD" },
	{ "1:", "BAD" },
	{ "4294967296", "BAD" },
	{ "UID", "BAD" },
	{ "UID ALL", "BAD" },
	{ "FROM", "BAD" },
	{ "FROM ", "BAD" },
	{ "FROM a b", "BAD" },
	{ "HEADER a", "BAD" },
	{ "BEFORE 1-Foo-2024", "BAD" },
	{ "BEFORE {10+}\r\n1-Jan-2024", "BAD" },
	{ "LARGER -1", "BAD" },
	{ "LARGER 4294967296", "BAD" },
	{ "KEYWORD \\Seen", "BAD" },
	{ "KEYWORD \"Work\"", "BAD" },
	{ "SUBJECT k\xc3\xa4se", "BAD" },
	{ "CHARSET UTF-8", "BAD" },
	{ "CHARSET UTF-8 ", "BAD" },
	{ "ALL CHARSET UTF-8", "BAD" },
	{ "CHARSET UTF-8 CHARSET UTF-8 ALL", "BAD" },
	{ "CHARSET X-NONE ALL", "BADCHARSET" },
	{ "CHARSET X-NONE SUBJECT \"\xff\"", "BADCHARSET" },
	{ "CHARSET UTF-8//IGNORE ALL", "BADCHARSET" },
	{ "CHARSET \"\" ALL", "BADCHARSET" },
	{ "CHARSET X-NONE FROB", "BAD" },
};

/* One test point for the table; what went wrong is shown. */
static void
group(const char *what, const struct query *q, size_t n)
{
	bool good = true;
	struct str got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = answer(str_c(q[i].line), false);
		if (str_eq(got, str_c(q[i].want)))
			continue;
		printf("# SEARCH %s: got <%.*s>, want <%s>\n", q[i].line,
		    (int)got.n, got.p, q[i].want);
		good = false;
	}
	CHECK(what, good);
}

#define GROUP(what, table)						\
	group((what), (table), sizeof(table) / sizeof((table)[0]))

/* `count` times `word`, then `end`. */
static struct str
nested(const char *word, unsigned count, const char *end)
{
	static char line[65536];
	size_t n = strlen(word);
	unsigned i;

	for (i = 0; i < count; i++)
		memcpy(line + i * n, word, n);
	strcpy(line + count * n, end);
	return str_c(line);
}

static void
nesting(void)
{
	CHECK_STR("a hundred NOTs are a hundred",
	    answer(nested("NOT ", 100, "2"), false), STR("2"));
	CHECK_STR("one more is refused",
	    answer(nested("NOT ", 101, "2"), false), STR("BAD"));
	CHECK_STR("ORs nest no deeper",
	    answer(nested("OR 1 ", 101, "2"), false), STR("BAD"));
	CHECK_STR("nor do parentheses",
	    answer(nested("(", 101, "2"), false), STR("BAD"));
	CHECK_STR("they count together",
	    answer(nested("NOT (", 51, "2"), false), STR("BAD"));
	CHECK_STR("what stands side by side does not count",
	    answer(nested("NOT 1 (2) ", 5000, "2"), false), STR("2"));
	CHECK_STR("thousands of text keys are asked in one search",
	    answer(nested("BODY a ", 9000, "NOT BODY b"), false),
	    STR("1,3"));
}

static void
write_mailbox(const char *a, size_t n, const char *b)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(a, 1, n, f) != n || fputs(b, f) < 0 ||
	    fclose(f) != 0)
		abort();
}

/* Another program takes the second message away and adds one. */
static void
moving(void)
{
	struct view_entry *second = &view.at[1];
	const char *cut = strstr(mail, "From b@x");
	const char *rest = strstr(mail, "From c@x");
	char after[sizeof(mail) + 100];
	bool changed;

	second->gone = true;
	CHECK_STR("a message marked gone does not match",
	    answer(STR("ALL"), false), STR("1,3:5"));
	second->gone = false;
	snprintf(after, sizeof(after), "%s%s", rest,
	    "From f@x Sun Mar  3 12:00:00 2024\nFrom: f@x\n\nSome more\n");
	write_mailbox(mail, (size_t)(cut - mail), after);
	CHECK_STR("a message that goes while it is read matches nothing",
	    answer(STR("2:5 NOT BODY some"), false), STR("4:5"));
	if (mbox_sync(mbox, &changed, NULL) != E_OK)
		abort();
	CHECK_STR("a message that left matches not even NOT",
	    answer(STR("NOT BODY some"), false), STR("1,4:5"));
	CHECK_STR("one the client has not been told of is not found",
	    answer(STR("BODY some"), true), STR("5"));
}

/* The file is no mailbox any more: whoever reads it is told NO. */
static void
breaking(void)
{
	write_mailbox("rubbish\n", 8, "");
	CHECK_STR("a mailbox that can not be read is not \"nothing found\"",
	    answer(STR("BODY some"), false), STR("NO"));
	CHECK_STR("what the list answers is answered without reading",
	    answer(STR("OR (BODY some UID 99) (SEEN NOT (FROM b ON "
	    "1-Jan-1999))"), false), STR("1,3"));
}

/* Recent is what this client was told is recent. */
static void
recent(void)
{
	view.at[0].flags |= FLAG_RECENT;
	CHECK_STR("a message that is recent and seen is recent",
	    answer(STR("RECENT"), false), STR("1,5"));
	CHECK_STR("but it is not new", answer(STR("NEW"), false), STR("5"));
	CHECK_STR("nor is it old", answer(STR("OLD"), false), STR("2:4"));
	view.at[0].flags &= (uint8_t)~FLAG_RECENT;
}

static void
emptiness(void)
{
	uint32_t n = view.n;

	view.n = 0;
	CHECK_STR("in an empty mailbox nothing is found, by no number",
	    answer(STR("OR * UID *"), false), STR(""));
	view.n = n;
}

static void
ages(void)
{
	now = 1709294400 + 100;		/* Mar  1 12:00:00 2024, and 100 s */
	CHECK("OLDER and YOUNGER are exact to the second",
	    str_eq(answer(STR("OLDER 99"), false), STR("1:3")) &&
	    str_eq(answer(STR("OLDER 100"), false), STR("1:3")) &&
	    str_eq(answer(STR("OLDER 101"), false), STR("1:2")) &&
	    str_eq(answer(STR("YOUNGER 101"), false), STR("3:5")) &&
	    str_eq(answer(STR("YOUNGER 100"), false), STR("3:5")) &&
	    str_eq(answer(STR("YOUNGER 99"), false), STR("4:5")));
	now++;
	CHECK("and as time goes on",
	    str_eq(answer(STR("NOT OLDER 101"), false), STR("4:5")) &&
	    str_eq(answer(STR("NOT YOUNGER 100"), false), STR("1:3")));
}

int
main(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	open_mailbox();

	GROUP("flags and keywords", flags);
	GROUP("sequence numbers, uids and sizes", numbers);
	GROUP("dates compare by the day as written", dates);
	GROUP("strings", texts);
	GROUP("keys are joined by AND, OR and NOT", combined);
	GROUP("what the grammar does not have is refused", refused);
	CHECK_STR("UID SEARCH answers uids", answer(STR("2:4"), true),
	    STR("3,5:6"));
	ages();
	nesting();
	recent();
	emptiness();
	moving();
	breaking();

	view_free(&view);
	mbox_close(mbox);
	pool_free(pool);
	unlink(path);
	return unit_end();
}
