/*
 * unit_scan.c - the vector loops of scan.c, their plain twins, and the
 * definitions in scan.h written down as naively as possible must agree, on
 * random text that is rich in what they look for, at every alignment.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/mem.h"
#include "../lib/scan.h"
#include "unit.h"
#include "twin_scan.h"

enum { ROUNDS = 120000, SPAN = 700 };

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

/* Text in which line ends, From_ lines and near misses are common. */
static void
fill(char *p, size_t n)
{
	static const struct { const char *s; size_t n; } bits[] = {
		{ "\nFrom ", 6 }, { "\r\nFrom ", 7 }, { "\0From ", 6 },
		{ "\nfrom ", 6 }, { "\nFro", 4 }, { "\nFF", 3 },
		{ "\r\r\n", 3 }, { "\n\n", 2 }, { "\r", 1 }, { "\n", 1 },
		{ "\0", 1 }, { "aAbB", 4 }, { "@`[{", 4 }, { "\xc1\xe1", 2 },
	};
	size_t at = 0, k, quiet = rnd(60);

	while (at < n) {
		k = rnd(sizeof(bits) / sizeof(bits[0]));
		if (rnd(60) < quiet) {
			p[at++] = (char)('a' + rnd(3));
			continue;
		}
		if (k < 3 && rnd(4) != 0)
			continue;
		memcpy(p + at, bits[k].s,
		    bits[k].n < n - at ? bits[k].n : n - at);
		at += bits[k].n;
	}
}

struct tally {
	unsigned from, lines, find;	/* disagreements */
	unsigned hits, misses;
};

static void
try_from(const char *p, size_t n, size_t at, struct tally *t)
{
	uint64_t want = 7, fast = 7, plain = 7;
	size_t i = naive_from(p, n, at, &want);

	t->from += scan_from(p, n, at, &fast) != i || fast != want;
	t->from += scan_from_plain(p, n, at, &plain) != i || plain != want;
	t->hits += i < n;
	t->misses += i == n;
}

static void
try_lines(const char *p, size_t n, struct tally *t)
{
	uint64_t lf = 0, bare = 0, a = 9, b = 9;
	size_t i;

	for (i = 0; i < n; i++) {
		lf += p[i] == '\n';
		bare += bare_at(p, i);
	}
	scan_lines(p, n, &a, &b);
	t->lines += a != lf || b != bare;
	scan_lines_plain(p, n, &a, &b);
	t->lines += a != lf || b != bare;
	a = b = 9;
	scan_lines(p, n, NULL, &b);
	scan_lines(p, n, &a, NULL);
	t->lines += a != lf || b != bare;
}

static void
try_find(const char *p, size_t n, size_t at, struct tally *t)
{
	char needle[SPAN];
	size_t i, m = rnd(rnd(2) ? 5 : 90);

	if (rnd(3) != 0 && m < n - at) {
		memcpy(needle, p + at + rnd((uint32_t)(n - at - m)), m);
		for (i = 0; i < m; i++)
			needle[i] = (char)ascii_lower(
			    (unsigned char)needle[i]);
	} else
		for (i = 0; i < m; i++)
			needle[i] = "abc\n@"[rnd(5)];
	i = naive_find(p, n, at, needle, m);
	t->find += scan_find(p, n, at, needle, m) != i;
	t->find += scan_find_plain(p, n, at, needle, m) != i;
	t->hits += i < n;
	t->misses += i == n;
}

/*
 * Each text ends right at the end of its allocation, so that under ASan a
 * block read beyond it is a failure.
 */
static void
random_rounds(struct tally *t)
{
	size_t n, at, round;
	char *p;

	for (round = 0; round < ROUNDS; round++) {
		n = rnd(rnd(4) ? 200 : SPAN);
		p = xmalloc(n + 1);
		fill(p + 1, n);
		at = rnd(4) ? 0 : rnd((uint32_t)n + 1);
		p[0] = '\r';
		try_from(p + 1, n, at, t);
		try_lines(p + 1, n, t);
		try_find(p + 1, n, at, t);
		free(p);
	}
}

/* Every position around two block edges, for each kind of candidate. */
static unsigned
edges(void)
{
	static const char *const what[] = { "\nFrom ", "\r\nFrom " };
	unsigned bad = 0, w;
	size_t at, n;
	char p[300];
	struct tally t = { 0 };

	for (w = 0; w < 2; w++)
		for (n = 60; n < 140; n++)
			for (at = 0; at + 7 < n; at++) {
				memset(p, 'F', sizeof(p));
				memcpy(p + at, what[w], 6 + w);
				try_from(p, n, 0, &t);
				try_lines(p, n, &t);
				bad += naive_find(p, n, 0, "from ", 5) !=
				    scan_find(p, n, 0, "from ", 5);
			}
	return bad + t.from + t.lines;
}

/*
 * All of a's and a needle that fails at its end: comparing at every place
 * would take 10^11 steps here. It ends at once or the test never does.
 */
static bool
hostile(void)
{
	enum { N = 4 << 20, M = 60000 };
	char *p = xmalloc(N), *needle = xmalloc(M);
	size_t miss, hit, plain;

	memset(p, 'A', N);
	memset(needle, 'a', M);
	needle[M / 2] = 'b';
	miss = scan_find(p, N, 0, needle, M);
	p[N - M + M / 2] = 'B';
	hit = scan_find(p, N, 0, needle, M);
	plain = scan_find_plain(p, N, 0, needle, M);
	free(p);
	free(needle);
	return miss == N && hit == N - M && plain == hit;
}

int
main(int argc, char **argv)
{
	struct tally t = { 0 };
	uint64_t bare = 0;

	rng = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	rng |= 1;
	printf("# seed %llu\n", (unsigned long long)rng);

	random_rounds(&t);
	printf("# %u hits, %u misses\n", t.hits, t.misses);
	CHECK("random texts hold both hits and misses",
	    t.hits > ROUNDS / 10 && t.misses > ROUNDS / 10);
	CHECK("From_ search and its twin give what the header says",
	    t.from == 0);
	CHECK("line counts and their twin give what the header says",
	    t.lines == 0);
	CHECK("text search and its twin give what the header says",
	    t.find == 0);
	CHECK("nothing is lost at block edges", edges() == 0);

	CHECK("a From_ cut off by the end is none",
	    scan_from("x\nFrom", 6, 0, &bare) == 6 && bare == 1);
	CHECK("a From_ after NUL is found and counts no line",
	    scan_from("x\0From ", 7, 0, &bare) == 1 && bare == 1);
	CHECK("an LF behind the CR before `at` is not bare",
	    scan_from("\r\nx", 3, 1, &bare) == 3 && bare == 1);
	CHECK("no text at all has no lines and no From_",
	    scan_from(NULL, 0, 0, &bare) == 0 && bare == 1);

	CHECK("an empty needle is found where the search begins",
	    scan_find("abc", 3, 2, "", 0) == 2);
	CHECK("a search that begins beyond the end finds nothing",
	    scan_find("abc", 3, 4, "", 0) == 3);
	CHECK("a needle longer than the text is not found",
	    scan_find("abc", 3, 0, "abcd", 4) == 3);
	CHECK("@ and ` are no letters", scan_find("@", 1, 0, "`", 1) == 1 &&
	    scan_find("[", 1, 0, "{", 1) == 1);
	CHECK("repetitive text can not make the search quadratic", hostile());
	return unit_end();
}
