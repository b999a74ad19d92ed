/*
 * lib/quote.c against mboxrd quoting as one says it: a line that is ">"s
 * and "From " has one ">" too many. Each text whole and in pieces of every
 * size, for a piece may end anywhere.
 */
#include "../lib/quote.h"
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 20000, ROOM = 256 };

static const struct {
	const char *what;
	const char *text;
	const char *found;	/* "f" at each place, "m" if it is marked */
	const char *removed;
} rows[] = {
	{ "an empty text", "", "", "" },
	{ "From at the start", "From x\n", "f", "From x\n" },
	{ "one mark", ">From x\n", "m", "From x\n" },
	{ "many marks", ">>>>From x\n", "m", ">>>From x\n" },
	{ "behind an empty line", "\n>From ", "m", "\nFrom " },
	{ "in the middle of a line it is text", "x >From y\n", "",
	    "x >From y\n" },
	{ "behind a blank it is text", " >From y\n", "", " >From y\n" },
	{ "a blank among the marks", "> >From y\n", "", "> >From y\n" },
	{ "without its blank it is text", ">From\n>From:\n>Fromx", "",
	    ">From\n>From:\n>Fromx" },
	{ "in small letters it is text", ">from x\n", "", ">from x\n" },
	{ "begun anew in the same line", ">FrFrom x\n", "", ">FrFrom x\n" },
	{ "a line end in the middle", ">Fro\n>From x\n", "m",
	    ">Fro\nFrom x\n" },
	{ "marks behind letters", ">F>From x\n", "", ">F>From x\n" },
	{ "line after line", ">From a\n>>From b\nFrom c\n>From d\n", "mmfm",
	    "From a\n>From b\nFrom c\nFrom d\n" },
	{ "CRLF", ">From a\r\n>From b\r\n", "mm", "From a\r\nFrom b\r\n" },
	{ "a lone CR ends no line", "\r>From a", "", "\r>From a" },
	{ "twice in a line counts once", ">From >From \n", "m",
	    "From >From \n" },
};

/* What is found in pieces of n bytes, as in rows; with the places. */
static void
find(struct str text, size_t n, char *found, size_t *places)
{
	struct quote q = { .at = 0 };
	size_t from, at, k = 0;
	struct str piece;

	for (from = 0; from < text.n; from += n) {
		piece = str_sub(text, from, n);
		at = 0;
		while (quote_find(&q, piece, &at)) {
			places[k] = from + at;
			found[k++] = q.marked ? 'm' : 'f';
		}
	}
	found[k] = '\0';
}

static bool
in_pieces(struct str text, const char *found)
{
	size_t n, k, places[ROOM];
	char got[ROOM];

	for (n = 1; n <= text.n + 1; n++) {
		find(text, n, got, places);
		if (strcmp(got, found) != 0)
			return false;
		for (k = 0; got[k] != '\0'; k++)
			if (places[k] < 5 || memcmp(text.p + places[k] - 5,
			    "From ", 5) != 0)
				return false;
	}
	return true;
}

static void
check_rows(void)
{
	char bytes[ROOM];
	size_t i, n;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = strlen(rows[i].text);
		CHECK(rows[i].what, in_pieces((struct str){ rows[i].text, n },
		    rows[i].found));
		memcpy(bytes, rows[i].text, n);
		n = quote_remove(bytes, n);
		CHECK_STR(rows[i].what, ((struct str){ bytes, n }),
		    str_c(rows[i].removed));
	}
}

/* The plain way: line by line. */
static size_t
plain_quote(struct str text, char *out)
{
	struct str line;
	size_t i, n = 0;

	while (str_line(&text, &line)) {
		for (i = 0; i < line.n && line.p[i] == '>'; i++)
			;
		if (str_starts(str_from(line, i), STR("From ")))
			out[n++] = '>';
		memcpy(out + n, line.p, line.n);
		n += line.n;
	}
	return n;
}

/* Any text, quoted the plain way, comes back. */
static void
check_chance(void)
{
	static const char *const parts[] = { ">", "From ", "\n", "F", "Fro",
	    "m ", "x", "\r\n", ">From ", "\nFrom " };
	char text[ROOM], quoted[2 * ROOM];
	unsigned round, bad = 0;
	size_t n, m;
	const char *part;

	srand((unsigned)time(NULL));
	for (round = 0; round < ROUNDS; round++) {
		for (n = 0; n < ROOM / 2; n += strlen(part)) {
			part = parts[rand() % 10];
			memcpy(text + n, part, strlen(part));
		}
		m = plain_quote((struct str){ text, n }, quoted);
		m = quote_remove(quoted, m);
		bad += m != n || memcmp(text, quoted, n) != 0;
	}
	CHECK("what is quoted line by line comes back", bad == 0);
}

int
main(void)
{
	check_rows();
	check_chance();
	return unit_end();
}
