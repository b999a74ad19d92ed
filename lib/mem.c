/*
 * mem.c - pools of chunks, and malloc that does not fail. Nothing is freed
 * one by one. Under ASan each allocation gets a chunk of its own, so that
 * overruns between neighbours are seen there too.
 */
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { CHUNK_BYTES = 32768 };

#if defined(__SANITIZE_ADDRESS__)
enum { CHUNK_SHARED = 0 };
#else
enum { CHUNK_SHARED = 1 };
#endif

struct chunk {
	struct chunk *next;
	size_t used;
	size_t room;
	_Alignas(max_align_t) char bytes[];
};

struct pool {
	struct chunk *first;	/* the one being filled */
	size_t used;
};

void *
xmalloc(size_t n)
{
	void *p = malloc(n == 0 ? 1 : n);

	if (p == NULL)
		log_fatal("out of memory");
	return p;
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    (p = realloc(p, bytes == 0 ? 1 : bytes)) == NULL)
		log_fatal("out of memory");
	return p;
}

static struct chunk *
chunk_new(size_t room)
{
	struct chunk *c;
	size_t bytes;

	if (__builtin_add_overflow(sizeof(*c), room, &bytes))
		log_fatal("out of memory");
	c = xmalloc(bytes);
	c->next = NULL;
	c->used = 0;
	c->room = room;
	return c;
}

struct pool *
pool_new(void)
{
	struct pool *pool = xmalloc(sizeof(*pool));

	pool->first = NULL;
	pool->used = 0;
	return pool;
}

/* Keeps one chunk of the usual size: the next command will want it. */
void
pool_reset(struct pool *pool)
{
	struct chunk *c, *next, *keep = NULL;

	for (c = pool->first; c != NULL; c = next) {
		next = c->next;
		if (keep == NULL && c->room == CHUNK_BYTES)
			keep = c;
		else
			free(c);
	}
	if (keep != NULL) {
		keep->next = NULL;
		keep->used = 0;
	}
	pool->first = keep;
	pool->used = 0;
}

void
pool_wipe(struct pool *pool)
{
	struct chunk *c;

	for (c = pool->first; c != NULL; c = c->next)
		explicit_bzero(c->bytes, c->used);
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_reset(pool);
	free(pool->first);
	free(pool);
}

void *
pool_alloc(struct pool *pool, size_t n)
{
	const size_t align = _Alignof(max_align_t);
	struct chunk *c = pool->first;
	size_t want;
	char *p;

	if (__builtin_add_overflow(n, align - 1, &want))
		log_fatal("out of memory");
	want -= want % align;
	if (c == NULL || c->room - c->used < want || !CHUNK_SHARED) {
		c = chunk_new(CHUNK_SHARED && want < CHUNK_BYTES ?
		    CHUNK_BYTES : (CHUNK_SHARED ? want : n));
		/* A large one goes behind, so that the first stays in use. */
		if (pool->first != NULL && c->room != CHUNK_BYTES) {
			c->next = pool->first->next;
			pool->first->next = c;
		} else {
			c->next = pool->first;
			pool->first = c;
		}
	}
	p = c->bytes + c->used;
	c->used += CHUNK_SHARED ? want : n;
	pool->used += want;
	memset(p, 0, n);
	return p;
}

void *
pool_array(struct pool *pool, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		log_fatal("out of memory");
	return pool_alloc(pool, bytes);
}

struct str
pool_copy(struct pool *pool, struct str s)
{
	char *p;
	size_t bytes;

	if (__builtin_add_overflow(s.n, 1, &bytes))
		log_fatal("out of memory");
	p = pool_alloc(pool, bytes);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

size_t
pool_used(const struct pool *pool)
{
	return pool->used;
}
