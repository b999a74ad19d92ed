/*
 * hash.h - SipHash-1-3, streaming, 64 bits: names a message by what does
 * not change in it. Keyed, so that a sender can not aim for a collision.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct hash_key {
	uint64_t k0, k1;
};

struct hash {
	uint64_t v0, v1, v2, v3;
	uint64_t n;		/* bytes so far */
	uint64_t tail;		/* those not yet mixed in */
};

void	 hash_init(struct hash *h, const struct hash_key *key);
void	 hash_add(struct hash *h, struct str s);
uint64_t hash_end(struct hash *h);

#endif
