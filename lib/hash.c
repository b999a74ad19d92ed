/*
 * hash.c - SipHash-1-3 (Aumasson and Bernstein 2012, with one round per
 * word and three at the end). It names messages; it signs nothing, and no
 * value of it is kept where the key is not kept too. Any cutting of the
 * same bytes into calls gives the same answer.
 */
#include "hash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(struct hash *h)
{
	h->v0 += h->v1;
	h->v1 = rotate(h->v1, 13) ^ h->v0;
	h->v0 = rotate(h->v0, 32);
	h->v2 += h->v3;
	h->v3 = rotate(h->v3, 16) ^ h->v2;
	h->v0 += h->v3;
	h->v3 = rotate(h->v3, 21) ^ h->v0;
	h->v2 += h->v1;
	h->v1 = rotate(h->v1, 17) ^ h->v2;
	h->v2 = rotate(h->v2, 32);
}

static inline void
mix(struct hash *h, uint64_t word)
{
	h->v3 ^= word;
	sip_round(h);
	h->v0 ^= word;
}

static inline uint64_t
load(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* n < 8 bytes as a word; the two reads of each kind may overlap. */
static inline uint64_t
load_some(const char *p, size_t n)
{
	uint32_t low, high;

	if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		return le32toh(low) | (uint64_t)le32toh(high) << 8 * (n - 4);
	}
	if (n == 0)
		return 0;
	return (uint64_t)(unsigned char)p[0] |
	    (uint64_t)(unsigned char)p[n / 2] << 8 * (n / 2) |
	    (uint64_t)(unsigned char)p[n - 1] << 8 * (n - 1);
}

void
hash_init(struct hash *h, const struct hash_key *key)
{
	/* The algorithm's own constants: "somepseudorandomlygeneratedbytes". */
	*h = (struct hash){
		.v0 = key->k0 ^ 0x736f6d6570736575,
		.v1 = key->k1 ^ 0x646f72616e646f6d,
		.v2 = key->k0 ^ 0x6c7967656e657261,
		.v3 = key->k1 ^ 0x7465646279746573,
	};
}

/*
 * The bytes held in tail sit below those of the next word read: each word
 * is split at `shift` bits. A shift by 64 is undefined in C, hence >> 1
 * first. The state is worked on in a copy, since s might point anywhere
 * and the compiler would else store the state after every word.
 */
void
hash_add(struct hash *h, struct str s)
{
	struct hash v = *h;
	unsigned shift = 8 * (v.n & 7);
	size_t n = s.n;
	uint64_t word;

	v.n += n;
	for (; n >= 8; s.p += 8, n -= 8) {
		word = load(s.p);
		mix(&v, v.tail | word << shift);
		v.tail = word >> 1 >> (63 - shift);
	}
	word = load_some(s.p, n);
	v.tail |= word << shift;
	if (shift + 8 * n >= 64) {
		mix(&v, v.tail);
		v.tail = word >> 1 >> (63 - shift);
	}
	*h = v;
}

uint64_t
hash_end(struct hash *h)
{
	int i;

	mix(h, h->n << 56 | h->tail);
	h->v2 ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(h);
	return h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
}
