/*
 * scan.c - bytes looked at 64 at a time: From_ candidates, line feeds, and
 * a search without regard to ASCII case. Knows no mail, no file, no IMAP.
 *
 * Each loop is written once, over one question: which of these 64 bytes
 * equal c, as a 64-bit mask (bit 0 is the first byte). The question has an
 * answer for AVX2, SSE2, NEON and one in plain C; everything else is
 * arithmetic on masks, so the twins can not drift apart. The loops are
 * inlined into one function per kind, where the question is a constant.
 *
 * Nothing is remembered between calls: asking the CPU costs one load.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "scan.h"
#include "str.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2	__attribute__((target("avx2,popcnt,bmi")))
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE	inline __attribute__((always_inline))

enum { BLOCK = 64 };

/* Bit i: (p[i] | set) == c. With set 0x20 and c a small letter that is
 * "the same letter in either case", for 0x41..0x5A and 0x61..0x7A alone. */
typedef uint64_t eq_fn(const char *p, unsigned char set, unsigned char c);

/*
 * Eight bytes at a time. Adding 0x7F to the low seven bits carries into the
 * top bit unless they are all zero, so the top bits tell exactly which
 * bytes are zero; the product gathers them, first byte lowest.
 */
static inline uint64_t
eq_plain(const char *p, unsigned char set, unsigned char c)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), low = 0x7F * ones;
	uint64_t word, mask = 0;
	unsigned i;

	for (i = 0; i < BLOCK; i += 8) {
		memcpy(&word, p + i, 8);
		word = (le64toh(word) | ones * set) ^ ones * c;
		word = ~(((word & low) + low) | word | low);
		mask |= ((word >> 7) * UINT64_C(0x0102040810204080) >> 56)
		    << i;
	}
	return mask;
}

#if defined(__x86_64__)

static inline AVX2 uint64_t
eq_avx2(const char *p, unsigned char set, unsigned char c)
{
	const __m256i sets = _mm256_set1_epi8((char)set);
	const __m256i want = _mm256_set1_epi8((char)c);
	__m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i b = _mm256_loadu_si256(
	    (const __m256i *)(const void *)(p + 32));

	a = _mm256_cmpeq_epi8(_mm256_or_si256(a, sets), want);
	b = _mm256_cmpeq_epi8(_mm256_or_si256(b, sets), want);
	return (uint32_t)_mm256_movemask_epi8(a) |
	    (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
}

/* Every x86-64 has SSE2; virtual machines often show no more than that. */
static inline uint64_t
eq_base(const char *p, unsigned char set, unsigned char c)
{
	const __m128i sets = _mm_set1_epi8((char)set);
	const __m128i want = _mm_set1_epi8((char)c);
	uint64_t mask = 0;
	unsigned i;
	__m128i v;

	for (i = 0; i < BLOCK; i += 16) {
		v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		v = _mm_cmpeq_epi8(_mm_or_si128(v, sets), want);
		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << i;
	}
	return mask;
}

#elif defined(__aarch64__) && defined(__ARM_NEON)

/* NEON has no movemask: keep one bit per byte, add neighbours three times. */
static inline uint64_t
eq_base(const char *p, unsigned char set, unsigned char c)
{
	static const uint8_t bits[16] = {
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128
	};
	const uint8x16_t bit = vld1q_u8(bits);
	const uint8x16_t sets = vdupq_n_u8(set), want = vdupq_n_u8(c);
	uint8x16_t v[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		v[i] = vld1q_u8((const uint8_t *)p + 16 * i);
		v[i] = vceqq_u8(vorrq_u8(v[i], sets), want);
		v[i] = vandq_u8(v[i], bit);
	}
	v[0] = vpaddq_u8(vpaddq_u8(v[0], v[1]), vpaddq_u8(v[2], v[3]));
	v[0] = vpaddq_u8(v[0], v[0]);
	return vgetq_lane_u64(vreinterpretq_u64_u8(v[0]), 0);
}

#else
#define eq_base	eq_plain
#endif

/* Bits up to and including bit b. */
static INLINE uint64_t
through(unsigned b)
{
	return UINT64_MAX >> (63 - b);
}

static INLINE bool
is_from(const char *p, size_t n, size_t i)
{
	return n - i >= 6 && memcmp(p + i + 1, "From ", 5) == 0;
}

/*
 * A CR in one byte clears the LF bit of the next; `cr` carries the last
 * byte of one block over to the next.
 */
static INLINE size_t
from_loop(eq_fn *eq, const char *p, size_t n, size_t at, uint64_t *bare)
{
	uint64_t lf, crs, alone, hits, cr = at > 0 && p[at - 1] == '\r';
	size_t i = at;
	unsigned b;

	for (; n - i > BLOCK; i += BLOCK) {
		lf = eq(p + i, 0, '\n');
		crs = eq(p + i, 0, '\r');
		alone = lf & ~(crs << 1 | cr);
		hits = (lf | eq(p + i, 0, 0)) & eq(p + i + 1, 0, 'F');
		for (; hits != 0; hits &= hits - 1) {
			b = (unsigned)__builtin_ctzll(hits);
			if (!is_from(p, n, i + b))
				continue;
			*bare += (unsigned)__builtin_popcountll(
			    alone & through(b));
			return i + b;
		}
		*bare += (unsigned)__builtin_popcountll(alone);
		cr = crs >> 63;
	}
	for (; i < n; i++) {
		if (p[i] == '\n' && !cr)
			++*bare;
		if ((p[i] == '\n' || p[i] == '\0') && is_from(p, n, i))
			return i;
		cr = p[i] == '\r';
	}
	return n;
}

static INLINE void
lines_loop(eq_fn *eq, const char *p, size_t n, uint64_t *lf, uint64_t *bare)
{
	uint64_t lfs, crs, cr = 0, all = 0, alone = 0;
	size_t i = 0;

	for (; n - i >= BLOCK; i += BLOCK) {
		lfs = eq(p + i, 0, '\n');
		crs = eq(p + i, 0, '\r');
		all += (unsigned)__builtin_popcountll(lfs);
		alone += (unsigned)__builtin_popcountll(
		    lfs & ~(crs << 1 | cr));
		cr = crs >> 63;
	}
	for (; i < n; i++) {
		all += p[i] == '\n';
		alone += p[i] == '\n' && !cr;
		cr = p[i] == '\r';
	}
	if (lf != NULL)
		*lf = all;
	if (bare != NULL)
		*bare = alone;
}

static INLINE unsigned char
lower_at(const char *p, size_t i)
{
	return ascii_lower((unsigned char)p[i]);
}

/*
 * Knuth, Morris and Pratt: linear whatever the text and the needle are.
 * Only for what find_loop gives up on, since it looks at every byte.
 */
static __attribute__((noinline)) size_t
find_linear(const char *p, size_t n, size_t at, const char *needle, size_t m)
{
	/* back[k]: longest border of needle[0..k). */
	size_t *back = xrealloc(NULL, m + 1, sizeof(*back));
	size_t i, k = 0;

	back[0] = back[1] = 0;
	for (i = 1; i < m; i++) {
		while (k > 0 && needle[i] != needle[k])
			k = back[k];
		k += needle[i] == needle[k];
		back[i + 1] = k;
	}
	for (i = at, k = 0; i < n && k < m; i++) {
		while (k > 0 && lower_at(p, i) != (unsigned char)needle[k])
			k = back[k];
		k += lower_at(p, i) == (unsigned char)needle[k];
	}
	free(back);
	return k == m ? i - m : n;
}

/* How many bytes of the needle stand at p. */
static INLINE size_t
agree(const char *p, const char *needle, size_t m)
{
	size_t i;

	for (i = 0; i < m; i++)
		if (lower_at(p, i) != (unsigned char)needle[i])
			break;
	return i;
}

static INLINE unsigned char
case_bit(char c)
{
	return ascii_alpha((unsigned char)c) ? 0x20 : 0;
}

/*
 * Where the needle's first and last byte both stand right, the rest is
 * compared. Text like "aaaa" would make that quadratic, so the bytes spent
 * on vain comparisons are held to a few per byte passed.
 */
static INLINE size_t
find_loop(eq_fn *eq, const char *p, size_t n, size_t at, const char *needle,
    size_t m)
{
	unsigned char first, last, first_bit, last_bit;
	size_t i, k, same, end, spent = 0;
	uint64_t hits;

	if (at > n || m > n - at)
		return n;
	if (m == 0)
		return at;
	first = (unsigned char)needle[0];
	last = (unsigned char)needle[m - 1];
	first_bit = case_bit(needle[0]);
	last_bit = case_bit(needle[m - 1]);
	end = n - m + 1;
	for (i = at; i < end; i += BLOCK) {
		if (end - i >= BLOCK)
			hits = eq(p + i, first_bit, first) &
			    eq(p + i + m - 1, last_bit, last);
		else
			hits = through((unsigned)(end - i - 1));
		for (; hits != 0; hits &= hits - 1) {
			k = i + (unsigned)__builtin_ctzll(hits);
			same = agree(p + k, needle, m);
			if (same == m)
				return k;
			spent += same;
			if (spent > 4096 + 4 * (k - at))
				return find_linear(p, n, k + 1, needle, m);
		}
	}
	return n;
}

/* The kinds. */

size_t
scan_from_plain(const char *p, size_t n, size_t at, uint64_t *bare)
{
	return from_loop(eq_plain, p, n, at, bare);
}

void
scan_lines_plain(const char *p, size_t n, uint64_t *lf, uint64_t *bare)
{
	lines_loop(eq_plain, p, n, lf, bare);
}

size_t
scan_find_plain(const char *p, size_t n, size_t at, const char *needle,
    size_t needle_n)
{
	return find_loop(eq_plain, p, n, at, needle, needle_n);
}

#if defined(__x86_64__)

static AVX2 size_t
from_avx2(const char *p, size_t n, size_t at, uint64_t *bare)
{
	return from_loop(eq_avx2, p, n, at, bare);
}

static AVX2 void
lines_avx2(const char *p, size_t n, uint64_t *lf, uint64_t *bare)
{
	lines_loop(eq_avx2, p, n, lf, bare);
}

static AVX2 size_t
find_avx2(const char *p, size_t n, size_t at, const char *needle,
    size_t needle_n)
{
	return find_loop(eq_avx2, p, n, at, needle, needle_n);
}

static INLINE bool
has_avx2(void)
{
	return __builtin_cpu_supports("avx2") &&
	    __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");
}

#endif

size_t
scan_from(const char *p, size_t n, size_t at, uint64_t *bare)
{
#if defined(__x86_64__)
	if (has_avx2())
		return from_avx2(p, n, at, bare);
#endif
	return from_loop(eq_base, p, n, at, bare);
}

void
scan_lines(const char *p, size_t n, uint64_t *lf, uint64_t *bare)
{
#if defined(__x86_64__)
	if (has_avx2()) {
		lines_avx2(p, n, lf, bare);
		return;
	}
#endif
	lines_loop(eq_base, p, n, lf, bare);
}

size_t
scan_find(const char *p, size_t n, size_t at, const char *needle,
    size_t needle_n)
{
#if defined(__x86_64__)
	if (has_avx2())
		return find_avx2(p, n, at, needle, needle_n);
#endif
	return find_loop(eq_base, p, n, at, needle, needle_n);
}
