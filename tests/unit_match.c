/*
 * unit_match.c - LIST patterns: cases in words, then the matcher against
 * the recursive definition of RFC 3501 6.3.8 on random small patterns.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/match.h"
#include "../lib/params.h"
#include "unit.h"
#include "twin_match.h"

enum { ROUNDS = 300000, BELOW_ROUNDS = 20000 };

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

static const struct {
	const char *pattern, *name;
	bool match, below;
} rows[] = {
	{ "", "", true, false },
	{ "", "a", false, false },
	{ "*", "", true, true },
	{ "*", "a/b/c", true, true },
	{ "%", "abc", true, true },
	{ "%", "a/b", false, false },
	{ "%", "a/", false, false },
	{ "%/%", "a/b", true, true },
	{ "%/%", "a/b/c", false, false },
	{ "%/%", "a/", true, true },
	{ "a/%", "a/", true, true },
	{ "a/%", "b/", false, false },
	{ "a/%", "a/b/", false, false },
	{ "a/%/c", "a/b/", false, true },
	{ "a/*", "a/b/c/", true, true },
	{ "a/", "a/", true, false },
	{ "abc", "abc", true, false },
	{ "abc", "ab", false, true },
	{ "abc", "abcd", false, false },
	{ "*%", "a/b", true, true },
	{ "%*", "a/b", true, true },
	{ "%b*", "ab/c", true, true },
	{ "%b*c", "a/b/c", false, false },
	/* The last "*" must be tried again after the last "%" gave up. */
	{ "*a%b", "a/xaxb", true, true },
	{ "*a%b", "axa/xb", false, true },
	{ "*a%b/%c", "ab/ab/xc", true, true },
	{ "*/x%y", "a/x/b/xy", true, true },
	/* INBOX in any case, and only it. */
	{ "inbox", "INBOX", true, false },
	{ "InBox", "INBOX", true, false },
	{ "INBOX", "inbox", true, false },
	{ "inb%", "INBOX", true, true },
	{ "*box", "INBOX", true, true },
	{ "inbox/%", "INBOX/Sent", true, true },
	{ "INBOX/sent", "INBOX/Sent", false, false },
	{ "inboxes", "INBOXes", false, false },
	{ "sent", "Sent", false, false },
	{ "a/inbox", "a/INBOX", false, false },
	{ "inbox/*", "INBOX/", true, true },
	/* A NUL, 8-bit bytes and the wire form are bytes like others. */
	{ "&AOQ-%", "&AOQ-/x", false, false },
	{ "\xff%", "\xff\xfe", true, true },
};

/* Is there a name that begins with prefix, is longer and matches? */
static bool
some_longer(struct str p, struct str prefix)
{
	static const char letters[] = "ab/";
	char name[16];
	int n, i, code, codes = 1;

	memcpy(name, prefix.p, prefix.n);
	for (n = 1; n <= 4; n++) {
		codes *= 3;
		for (code = 0; code < codes; code++) {
			int rest = code;

			for (i = 0; i < n; i++, rest /= 3)
				name[prefix.n + (size_t)i] = letters[rest % 3];
			if (slow(p, (struct str){ name,
			    prefix.n + (size_t)n }, 0, false))
				return true;
		}
	}
	return false;
}

/* Up to max - 1 random bytes of `from`. */
static struct str
random_text(char *to, uint32_t max, const char *from)
{
	uint32_t i, n = rnd(max), letters = (uint32_t)strlen(from);

	for (i = 0; i < n; i++)
		to[i] = from[rnd(letters)];
	return (struct str){ to, n };
}

static void
check_random(void)
{
	char pattern[24], name[24];
	struct str p, s;
	uint32_t i, bad = 0;

	for (i = 0; i < ROUNDS; i++) {
		p = random_text(pattern, 11, i % 2 ? "ab/*%" : "ab/%%*a/");
		s = random_text(name, 13, i % 3 ? "ab/" : "aab/");
		if (i % 16 == 0) {
			p = random_text(pattern, 8, "iNbBoOxX/*%");
			memcpy(name, i % 32 ? "INBOX/xi" : "inBoxOBx", 8);
			s.n = 3 + rnd(6);
		}
		bad += match_list(p, s, '/') != slow(p, s, 0, false);
		bad += match_list_below(p, s, '/') != slow(p, s, 0, true);
	}
	CHECK("random patterns match as defined", bad == 0);
	for (bad = i = 0; i < BELOW_ROUNDS; i++) {
		p = random_text(pattern, 5, "ab/*%");
		s = random_text(name, 5, "ab/");
		bad += match_list_below(p, s, '/') != some_longer(p, s);
	}
	CHECK("a directory is entered if and only if it can pay", bad == 0);
}

/* What takes a recursive matcher longer than the world lasts. */
static void
check_hostile(void)
{
	static char pattern[LINE_MAX_BYTES], name[NAME_MAX_BYTES + 1];
	size_t i;
	int n, bad = 0;

	memset(name, 'a', sizeof(name));
	for (i = 0; i < 200; i++)
		pattern[i] = i % 2 ? 'a' : i % 4 ? '*' : '%';
	pattern[199] = 'b';
	for (n = 0; n < 1000; n++)
		bad += match_list((struct str){ pattern, 200 },
		    (struct str){ name, 40 + (size_t)n % 900 }, '/');
	CHECK("100 wildcards over names up to 940 bytes end", bad == 0);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? '%' : '*';
	CHECK("64 KiB of wildcards match the longest name",
	    match_list((struct str){ pattern, sizeof(pattern) },
	    (struct str){ name, NAME_MAX_BYTES }, '/'));
	CHECK("a name that no command can hold matches nothing",
	    !match_list(STR("*"), (struct str){ name, sizeof(name) }, '/') &&
	    !match_list_below(STR("*"), (struct str){ name, sizeof(name) },
	    '/'));
}

int
main(void)
{
	struct str p, s;
	char what[80];
	size_t i;

	rng = (uint64_t)time(NULL) * 2654435761u | 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = str_c(rows[i].pattern);
		s = str_c(rows[i].name);
		snprintf(what, sizeof(what), "\"%s\" and \"%s\": %s, %s below",
		    rows[i].pattern, rows[i].name,
		    rows[i].match ? "match" : "no match",
		    rows[i].below ? "more" : "nothing");
		CHECK(what, match_list(p, s, '/') == rows[i].match &&
		    match_list_below(p, s, '/') == rows[i].below);
	}
	CHECK("NUL in a name is a byte",
	    match_list(STR("a%"), STR("a\0b"), '/') &&
	    !match_list(STR("a"), STR("a\0b"), '/'));
	CHECK("the delimiter is the one given",
	    match_list(STR("%"), STR("a/b"), '.') &&
	    !match_list(STR("%"), STR("a.b"), '.'));
	check_random();
	check_hostile();
	return unit_end();
}
