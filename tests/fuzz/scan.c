/*
 * Text and a needle: the vector loops, their plain twins and the definition
 * must agree, wherever a block ends.
 */
#include "fuzz.h"
#include "../twin_scan.h"
#include "../../lib/scan.h"

#if defined(__x86_64__)
/* What __builtin_cpu_supports looks at: most CPUs of today would never show
 * the loops for the others. */
extern struct {
	unsigned vendor, type, subtype, features;
} __cpu_model __attribute__((visibility("hidden")));

enum { AVX2_BIT = 1 << 10 };

static void
use_avx2(bool use)
{
	static unsigned had;

	had |= __cpu_model.features & AVX2_BIT;
	__cpu_model.features &= ~(unsigned)AVX2_BIT;
	__cpu_model.features |= use ? had : 0;
}
#else
static void
use_avx2(bool use)
{
	(void)use;
}
#endif

static void
from_and_lines(const char *p, size_t n, size_t at)
{
	uint64_t want = 7, fast = 7, plain = 7, lf = 0, bare = 0, a, b;
	size_t i = naive_from(p, n, at, &want);

	MUST(scan_from(p, n, at, &fast) == i && fast == want);
	MUST(scan_from_plain(p, n, at, &plain) == i && plain == want);
	for (i = 0; i < n; i++) {
		lf += p[i] == '\n';
		bare += bare_at(p, i);
	}
	scan_lines(p, n, &a, &b);
	MUST(a == lf && b == bare);
	scan_lines_plain(p, n, &a, NULL);
	scan_lines_plain(p, n, NULL, &b);
	MUST(a == lf && b == bare);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = fuzz_input(data, size), needle;
	size_t at = fuzz_byte(&in), times = 1 + fuzz_byte(&in) % 64, i;
	int kind;
	char *small, *p;

	needle = str_sub(fuzz_until(&in, '\377'), 0, 300);
	small = fuzz_copy(needle);
	for (i = 0; i < needle.n; i++)
		small[i] = (char)ascii_lower((unsigned char)small[i]);
	/* Over and over: what makes a search quadratic. */
	if (in.n * times > 60000)
		times = 1;
	p = xmalloc(in.n * times);
	for (i = 0; i < times && in.n > 0; i++)
		memcpy(p + i * in.n, in.p, in.n);
	in.n *= times;
	at = at > in.n ? in.n : at;
	i = naive_find(p, in.n, at, small, needle.n);
	for (kind = 0; kind < 2; kind++) {
		use_avx2(kind == 0);
		from_and_lines(p, in.n, at);
		MUST(scan_find(p, in.n, at, small, needle.n) == i);
	}
	MUST(scan_find_plain(p, in.n, at, small, needle.n) == i);
	free(p);
	free(small);
	return 0;
}
