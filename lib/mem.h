/*
 * mem.h - memory by lifetime: a pool is filled during one command (or one
 * open mailbox) and forgotten as a whole. Running out of memory is fatal
 * (log_fatal): disk state never depends on a clean end.
 */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

#include "str.h"

struct pool;

struct pool	*pool_new(void);
/* Forgets everything taken; keeps one chunk for the next command. */
void		 pool_reset(struct pool *pool);
void		 pool_free(struct pool *pool);
/* Zeroed, aligned for any type, valid until reset. n may be 0. */
void		*pool_alloc(struct pool *pool, size_t n);
/* The same for an array; the product is checked for overflow. */
void		*pool_array(struct pool *pool, size_t n, size_t size);
/* A copy of s (with a NUL behind it, for system calls). */
struct str	 pool_copy(struct pool *pool, struct str s);
/* Overwrites all that was taken: there was a password in it. */
void		 pool_wipe(struct pool *pool);
/* Bytes taken since the last reset, for caps. */
size_t		 pool_used(const struct pool *pool);

/* malloc and realloc that never return NULL and check n * size. */
void	*xmalloc(size_t n);
void	*xrealloc(void *p, size_t n, size_t size);

#endif
