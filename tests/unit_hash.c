/*
 * unit_hash.c - SipHash-1-3 against its published vectors, against a byte
 * by byte version of its description, and against itself cut anywhere.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/hash.h"
#include "unit.h"

enum { SPAN = 600, SPLITS = 20000 };

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

/* Of the bytes 00 01 02 .. under the key 00 01 .. 0f, by their number. */
static const uint64_t vectors[] = {
	0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d,
	0x8bf80ab8e7ddf7fb, 0xcf75576088d38328, 0xdef9d52f49533b67,
	0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e,
	0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
	0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34,
	0xd320d86d2a519956, 0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c,
};

static const struct hash_key plain_key = {
	0x0706050403020100, 0x0f0e0d0c0b0a0908
};

static uint64_t
once(const struct hash_key *key, const char *p, size_t n)
{
	struct hash h;

	hash_init(&h, key);
	hash_add(&h, (struct str){ p, n });
	return hash_end(&h);
}

static void
rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
		v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
		v[0] = v[0] << 32 | v[0] >> 32;
		v[2] += v[1];
		v[0] += v[3];
		v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
		v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
		v[2] = v[2] << 32 | v[2] >> 32;
	}
}

/* The paper's section 2, with c = 1 and d = 3. */
static uint64_t
naive(const struct hash_key *key, const char *p, size_t n)
{
	uint64_t v[4] = {
		key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
		key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573,
	};
	uint64_t word = 0;
	size_t i, end = n / 8 * 8 + 8;

	for (i = 0; i < end; i++) {
		if (i < n)
			word |= (uint64_t)(unsigned char)p[i] << i % 8 * 8;
		else if (i == end - 1)
			word |= (uint64_t)(n & 0xff) << 56;
		if (i % 8 < 7)
			continue;
		v[3] ^= word;
		rounds(v, 1);
		v[0] ^= word;
		word = 0;
	}
	v[2] ^= 0xff;
	rounds(v, 3);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void
check_vectors(void)
{
	char bytes[64];
	size_t i, bad = 0;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		bad += once(&plain_key, bytes, i) != vectors[i];
	CHECK("the published values come out", bad == 0);
}

/* Fresh memory of the exact size, so that a read beyond it is seen. */
static void
check_naive(void)
{
	struct hash_key key = { ((uint64_t)rnd(1u << 31) << 32) | rnd(99), 7 };
	size_t n, i, bad = 0;
	char *p;

	for (n = 0; n < SPAN; n++) {
		p = malloc(n + 1);
		for (i = 0; i < n; i++)
			p[1 + i] = (char)rnd(256);
		bad += once(&key, p + 1, n) != naive(&key, p + 1, n);
		free(p);
	}
	CHECK("every length agrees with the description", bad == 0);
}

static void
check_splits(void)
{
	struct hash h;
	char bytes[SPAN];
	size_t i, at, n, step, bad = 0;

	for (i = 0; i < SPAN; i++)
		bytes[i] = (char)rnd(256);
	for (i = 0; i < SPLITS; i++) {
		n = rnd(SPAN);
		hash_init(&h, &plain_key);
		for (at = 0; at < n; at += step) {
			step = rnd(i % 2 ? 12 : 80);
			if (step > n - at)
				step = n - at;
			hash_add(&h, (struct str){ bytes + at, step });
		}
		bad += hash_end(&h) != once(&plain_key, bytes, n);
	}
	CHECK("bytes added in any pieces hash as one", bad == 0);
}

int
main(void)
{
	struct hash_key other = plain_key;

	rng = (uint64_t)time(NULL) * 2654435761u | 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	check_vectors();
	check_naive();
	check_splits();
	CHECK("nothing added, not even NULL, is the empty text",
	    once(&plain_key, NULL, 0) == vectors[0]);
	other.k1 ^= 1;
	CHECK("one bit of the key changes the answer",
	    once(&plain_key, "x", 1) != once(&other, "x", 1));
	CHECK("bytes of 0x80 and more count as unsigned",
	    once(&plain_key, "\xff\x80\xfe", 3) ==
	    naive(&plain_key, "\xff\x80\xfe", 3));
	return unit_end();
}
