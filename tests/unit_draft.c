/*
 * What draft.c makes of messages: each row is a literal and the text that
 * stands for it in an mbox, whatever pieces it comes in. Then big ones, ones
 * that have no room, and any text of whole lines, which must come back.
 */
#include "../draft.h"
#include "../lib/buf.h"
#include "../lib/mem.h"
#include "../lib/params.h"
#include "../lib/quote.h"
#include "unit.h"

#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3000 };

static const struct date now = { .time = 760661884, .zone = -480 };
static char dir[] = "/tmp/unit_draft.XXXXXX";

static const struct row {
	const char *what;
	struct str in;
	struct str out;
	uint32_t head;
	uint64_t size;
	bool quoted;
} rows[] = {
	{ "lines end in LF", STR("A: 1\r\n\r\nhi\r\n"), STR("A: 1\n\nhi\n"),
	    6, 12, false },
	{ "a lone LF stays, and will be shown as CRLF",
	    STR("A: 1\n\nhi\n"), STR("A: 1\n\nhi\n"), 6, 12, false },
	{ "a lone CR stays", STR("A: 1\r\n\r\na\rb\r\n"),
	    STR("A: 1\n\na\rb\n"), 6, 13, false },
	{ "of CR CR LF nothing goes", STR("A: 1\r\n\r\na\r\r\nb\r\r\r\n"),
	    STR("A: 1\n\na\r\r\nb\r\r\r\n"), 6, 17, false },
	{ "CR CR LF is no empty line", STR("A: 1\r\n\r\r\nB: 2\r\n\r\n"),
	    STR("A: 1\n\r\r\nB: 2\n\n"), 14, 17, false },
	{ "NUL becomes 0x80", STR("A: 1\r\n\r\na\0b\0\r\n"),
	    STR("A: 1\n\na\200b\200\n"), 6, 14, false },
	{ "8-bit bytes stay", STR("A: \351\r\n\r\n\377\r\n"),
	    STR("A: \351\n\n\377\n"), 6, 11, false },
	{ "From_ lines are quoted, in the body",
	    STR("A: 1\r\n\r\nFrom x\r\n>From y\r\n From z\r\nFrom\r\n"),
	    STR("A: 1\n\n>From x\n>>From y\n From z\nFrom\n"), 6, 40, true },
	{ "and in the header", STR("From x\r\nA: 1\r\n>>From y\r\n\r\n"),
	    STR(">From x\nA: 1\n>>>From y\n\n"), 24, 26, true },
	{ "the body's first line", STR("\r\nFrom x\r\n"),
	    STR("\n>From x\n"), 1, 10, true },
	{ "an unfinished body is ended", STR("A: 1\r\n\r\nhi"),
	    STR("A: 1\n\nhi\n"), 6, 12, false },
	{ "also before its LF", STR("A: 1\r\n\r\nhi\r"),
	    STR("A: 1\n\nhi\n"), 6, 12, false },
	{ "an unfinished From_ line", STR("A: 1\r\n\r\nFrom "),
	    STR("A: 1\n\n>From \n"), 6, 15, true },
	{ "a header alone gets its empty line", STR("A: 1\r\n"),
	    STR("A: 1\n\n"), 6, 8, false },
	{ "also an unfinished one", STR("A: 1"), STR("A: 1\n\n"), 6, 8,
	    false },
	{ "and one that ends before its LF", STR("A: 1\r\n\r"),
	    STR("A: 1\n\n"), 6, 8, false },
	{ "no header at all", STR("\r\nhi\r\n"), STR("\nhi\n"), 1, 6,
	    false },
	{ "nothing at all", STR(""), STR("\n"), 1, 2, false },
	{ "empty lines at the end stay", STR("A: 1\r\n\r\n\r\n\r\n"),
	    STR("A: 1\n\n\n\n"), 6, 12, false },
};

/* One message in pieces of n bytes; NULL when it fails. */
static struct draft *
make(struct str in, size_t n)
{
	struct draft *d = draft_new(dir);
	struct why why;

	draft_begin(d, STR("a@b"), &now, 0, NULL);
	while (in.n > 0) {
		if (draft_add(d, str_sub(in, 0, n), &why) != E_OK)
			break;
		in = str_from(in, n);
	}
	if (in.n == 0 && draft_end(d, &why) == E_OK)
		return d;
	draft_free(d);
	return NULL;
}

static struct str
text_of(struct draft *d, uint32_t i)
{
	const struct draft_message *m = &d->messages[i];

	return str_sub(draft_text(d), (size_t)m->at, m->head +
	    (size_t)m->body);
}

static void
check_row(const struct row *row)
{
	const struct draft_message *m;
	bool same = true, told = true;
	struct draft *d;
	size_t n;

	for (n = 1; n <= row->in.n + 1; n++) {
		d = make(row->in, n);
		m = d->messages;
		same &= str_eq(text_of(d, 0), row->out);
		told &= m->head == row->head && m->size == row->size &&
		    m->quoted == row->quoted;
		if (!same || !told)
			printf("# pieces of %zu: head %u size %llu\n", n,
			    m->head, (unsigned long long)m->size);
		draft_free(d);
		if (!same || !told)
			break;
	}
	CHECK(row->what, same && told);
}

/* Adds text with LF as CRLF. */
static void
add_crlf(struct buf *b, struct str text)
{
	size_t i;

	for (i = 0; i < text.n; i++) {
		if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			buf_addc(b, '\r');
		buf_addc(b, text.p[i]);
	}
}

/* As a client gets it, from where quoting is taken out. */
static bool
comes_back(struct draft *d, struct str in)
{
	struct buf plain = BUF_MAX(SIZE_MAX / 2), b = BUF_MAX(SIZE_MAX / 2);
	bool same;

	buf_add(&plain, text_of(d, 0));
	if (d->messages[0].quoted)
		plain.n = quote_remove(plain.p, plain.n);
	add_crlf(&b, buf_str(&plain));
	same = str_eq(buf_str(&b), in) && d->messages[0].size == in.n;
	buf_free(&plain);
	buf_free(&b);
	return same;
}

static void
check_chance(void)
{
	static const char *const parts[] = { "From ", ">", ">From ", "\r\n",
	    "\r\n", "a", "\r\r\n", "X: y", "Fro", "\rz" };
	struct buf in = BUF_MAX(65536);
	unsigned round, bad = 0;
	struct draft *d;
	int i;

	srand((unsigned)time(NULL));
	for (round = 0; round < ROUNDS; round++) {
		buf_clear(&in);
		for (i = rand() % 40; i > 0; i--)
			buf_add(&in, str_c(parts[rand() % 10]));
		buf_add(&in, STR("x\r\n\r\n\r\nA"));
		for (i = rand() % 40; i > 0; i--)
			buf_add(&in, str_c(parts[rand() % 10]));
		buf_add(&in, STR("x\r\n"));
		d = make(buf_str(&in), 1 + (size_t)rand() % 30);
		bad += !comes_back(d, buf_str(&in));
		draft_free(d);
	}
	CHECK("text of whole lines comes back as it was", bad == 0);
	buf_free(&in);
}

static unsigned
files_in(const char *name)
{
	DIR *at = opendir(name);
	unsigned n = 0;

	while (at != NULL && readdir(at) != NULL)
		n++;
	if (at != NULL)
		closedir(at);
	return n;
}

static void
check_big(void)
{
	static const char line[] = "From here on 0123456789 and so on\r\n";
	struct buf in = BUF_MAX(SIZE_MAX / 2);
	struct draft *d;
	struct why why;

	buf_add(&in, STR("A: 1\r\n\r\n"));
	while (in.n < 3 * DRAFT_MEMORY)
		buf_add(&in, str_c(line));
	d = make(buf_str(&in), 65537);
	CHECK("a message bigger than memory comes back",
	    d != NULL && comes_back(d, buf_str(&in)));
	CHECK("its file has no name", files_in(dir) == 2);
	draft_free(d);
	d = make(buf_str(&in), SIZE_MAX);
	CHECK("so it does in one piece", comes_back(d, buf_str(&in)));
	draft_free(d);
	unsetenv("TMPDIR");
	d = draft_new("/nonexistent/here");
	draft_begin(d, STR("a@b"), &now, 0, NULL);
	CHECK("with no place for its file it is refused",
	    draft_add(d, buf_str(&in), &why) == E_LIMIT &&
	    draft_end(d, &why) == E_LIMIT);
	draft_free(d);
	setenv("TMPDIR", dir, 1);
	d = draft_new("/nonexistent/here");
	draft_begin(d, STR("a@b"), &now, 0, NULL);
	CHECK("but $TMPDIR is one", draft_add(d, buf_str(&in), &why) == E_OK
	    && draft_end(d, &why) == E_OK && comes_back(d, buf_str(&in)));
	draft_free(d);
	memset(in.p, 'x', in.n);
	CHECK("a header that never ends is refused",
	    make(buf_str(&in), 65536) == NULL);
	buf_free(&in);
}

/* Whatever of "From " stands where memory ends. */
static void
check_edge(void)
{
	struct buf in = BUF_MAX(SIZE_MAX / 2);
	struct draft *d;
	bool good = true;
	size_t k;
	char *p;
	int i;

	for (k = 0; k < 16; k++) {
		buf_clear(&in);
		buf_add(&in, STR("A: 1\r\n\r\n"));
		p = buf_grow(&in, DRAFT_MEMORY - 40 - k);
		memset(p, 'x', DRAFT_MEMORY - 40 - k);
		in.n += DRAFT_MEMORY - 40 - k;
		buf_add(&in, STR("\r\n"));
		for (i = 0; i < 20; i++)
			buf_add(&in, STR(">From \r\n"));
		d = make(buf_str(&in), 65536);
		good &= comes_back(d, buf_str(&in));
		draft_free(d);
	}
	CHECK("what is quoted at the end of memory comes back", good);
	buf_free(&in);
}

static struct str
sender_of(const struct draft *d, struct str text, uint32_t i)
{
	const struct draft_message *m = &d->messages[i];

	return str_sub(text, (size_t)m->at - m->sender, m->sender);
}

static void
check_messages(void)
{
	static const char *const many[] = { "alex@host", "", " \r\n\t",
	    "a b\r\nFrom c\177@\351" };
	struct draft *d = draft_new(dir);
	struct keywords names = { .n = 0 };
	struct str text;
	struct why why;
	char longer[600], word[8];
	unsigned i;

	memset(longer, 'x', sizeof(longer));
	keyword_add(&names, STR("$Junk"));
	for (i = 0; i < 4; i++) {
		keyword_add(&names, STR("Work"));
		draft_begin(d, str_c(many[i]), &now, FLAG_SEEN | FLAG_OLD,
		    i == 0 ? NULL : &names);
		draft_add(d, STR("A: 1\r\n\r\n"), &why);
		draft_end(d, &why);
	}
	draft_begin(d, (struct str){ longer, sizeof(longer) }, &now, 0,
	    NULL);
	draft_end(d, &why);
	text = draft_text(d);
	CHECK("five messages", d->n == 5);
	CHECK_STR("the sender", sender_of(d, text, 0), STR("alex@host"));
	CHECK_STR("of nobody", sender_of(d, text, 1), STR("MAILER-DAEMON"));
	CHECK_STR("of white space", sender_of(d, text, 2),
	    STR("MAILER-DAEMON"));
	CHECK_STR("blanks and controls are left out",
	    sender_of(d, text, 3), STR("abFromc@\351"));
	CHECK("a long one is cut", sender_of(d, text, 4).n ==
	    SENDER_MAX_BYTES);
	CHECK_STR("each has its text", text_of(d, 3), STR("A: 1\n\n"));
	CHECK("flags that a client may set", d->messages[0].flags ==
	    FLAG_SEEN);
	CHECK("keywords go by name", d->messages[0].keywords == 0 &&
	    d->messages[1].keywords == 3 && d->names.n == 2 &&
	    str_eq(keyword_name(&d->names, 1), STR("Work")));
	CHECK("the date", d->messages[0].date == now.time &&
	    d->messages[0].zone == now.zone);
	names.n = 0;
	for (i = 0; i < KEYWORDS_MAX; i++) {
		snprintf(word, sizeof(word), "k%u", i);
		keyword_add(&names, str_c(word));
	}
	CHECK("too many keywords begin no message",
	    !draft_begin(d, STR("a@b"), &now, 0, &names) &&
	    d->names.n == 2);
	draft_free(d);
	draft_free(NULL);
}

int
main(void)
{
	size_t i;

	if (mkdtemp(dir) == NULL)
		return 1;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
	check_chance();
	check_big();
	check_edge();
	check_messages();
	rmdir(dir);
	return unit_end();
}
