/*
 * thread_forest.c - link-cut trees: who is whose ancestor, while links come
 * and go. Each path that was asked for last is a splay tree, sorted by depth,
 * whose own root knows the node above the path. Knows nothing of mail.
 */
#include "thread_own.h"

struct tie {
	uint32_t side[2];	/* in the splay tree: less deep, deeper */
	uint32_t up;		/* in it, or above the path */
};

struct thread_forest {
	struct tie *at;		/* at[0] is nobody */
};

struct thread_forest *
thread_forest_new(struct pool *pool, uint32_t n)
{
	struct thread_forest *f = pool_alloc(pool, sizeof(*f));

	f->at = pool_array(pool, (size_t)n + 1, sizeof(*f->at));
	return f;
}

/* Which child of its parent in the splay tree v is, or -1 where it is that
 * tree's root. */
static int
side_of(const struct tie *at, uint32_t v)
{
	const struct tie *up = &at[at[v].up];

	if (at[v].up == 0)
		return -1;
	return up->side[0] == v ? 0 : up->side[1] == v ? 1 : -1;
}

/* v takes its parent's place, which becomes its child. */
static void
rotate(struct tie *at, uint32_t v)
{
	uint32_t up = at[v].up, top = at[up].up, inner;
	int side = side_of(at, v), above = side_of(at, up);

	inner = at[v].side[!side];
	if (above >= 0)
		at[top].side[above] = v;
	at[v].up = top;
	at[v].side[!side] = up;
	at[up].up = v;
	at[up].side[side] = inner;
	if (inner != 0)
		at[inner].up = up;
}

static void
splay(struct tie *at, uint32_t v)
{
	uint32_t up;

	while (side_of(at, v) >= 0) {
		up = at[v].up;
		if (side_of(at, up) >= 0)
			rotate(at, side_of(at, v) == side_of(at, up) ? up :
			    v);
		rotate(at, v);
	}
}

/* The path from the root to v, and nothing below, becomes one splay tree, v
 * its root. */
static void
expose(struct tie *at, uint32_t v)
{
	uint32_t x, below = 0;

	for (x = v; x != 0; x = at[x].up) {
		splay(at, x);
		at[x].side[1] = below;
		below = x;
	}
	splay(at, v);
}

uint32_t
thread_forest_root(struct thread_forest *f, uint32_t v)
{
	expose(f->at, v);
	while (f->at[v].side[0] != 0)
		v = f->at[v].side[0];
	splay(f->at, v);
	return v;
}

void
thread_forest_link(struct thread_forest *f, uint32_t child, uint32_t up)
{
	expose(f->at, child);
	f->at[child].up = up;
}

void
thread_forest_cut(struct thread_forest *f, uint32_t v)
{
	uint32_t above;

	expose(f->at, v);
	above = f->at[v].side[0];
	if (above == 0)
		return;
	f->at[above].up = 0;
	f->at[v].side[0] = 0;
}
