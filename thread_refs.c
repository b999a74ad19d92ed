/*
 * thread_refs.c - THREAD REFERENCES: the six steps of RFC 5256 section 3, by
 * their numbers. Nothing recurs and nothing is looked for twice, so that a
 * hundred thousand answers to one another are no more work than as many
 * letters. Reads no mail.
 */
#include "thread_own.h"

#include <stdlib.h>

#include "sort.h"

/* A text, and what it stands for: Message IDs, later subjects. */
struct named {
	struct str text;
	uint32_t at;
};

struct refs {
	const struct thread_mail *mail;
	struct thread *thread;
	struct thread_node *at;	/* thread->at */
	uint32_t n;		/* nodes in use, the root besides */
	uint32_t *of_ref;	/* the node of each reference */
	struct thread_order *order;	/* for siblings to be sorted in */
	struct thread_order *top;	/* the threads, as they are found */
	uint32_t n_top;
};

static int
compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int r = sort_compare(x->text, y->text);

	return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

/*
 * Step 1: who is meant by each Message ID. "If two or more messages have the
 * same Message ID, then only use that Message ID in the first [...]. If no
 * message can be found with a given Message ID, create a dummy message". Of
 * equal ones the messages stand first: their places are the lower ones.
 */
static void
find_ids(struct refs *r)
{
	const struct thread_mail *mail = r->mail;
	struct named *all = pool_array(mail->pool,
	    (size_t)mail->n + mail->n_refs, sizeof(*all));
	uint32_t i, n = 0, node = 0;

	for (i = 0; i < mail->n; i++)
		if (mail->at[i].id.p != NULL)
			all[n++] = (struct named){ mail->at[i].id, i };
	for (i = 0; i < mail->n_refs; i++)
		all[n++] = (struct named){ mail->refs[i], mail->n + i };
	if (n > 0)
		qsort(all, n, sizeof(*all), compare_named);
	for (i = 0; i < n; i++) {
		if (i == 0 || !str_eq(all[i].text, all[i - 1].text))
			node = all[i].at < mail->n ? all[i].at + 1 :
			    ++r->n;
		if (all[i].at >= mail->n)
			r->of_ref[all[i].at - mail->n] = node;
	}
}

/* "Do not create a parent/child link if creating that link would introduce a
 * loop." The child has no parent. */
static void
link_to(struct refs *r, struct thread_forest *f, uint32_t child,
    uint32_t up)
{
	if (thread_forest_root(f, up) == child)
		return;
	thread_forest_link(f, child, up);
	r->at[child].up = up;
}

/* Steps 1.A and 1.B. */
static void
link_message(struct refs *r, struct thread_forest *f, uint32_t i)
{
	const struct thread_message *m = &r->mail->at[i];
	const uint32_t *refs = r->of_ref + m->ref;
	uint32_t k;

	/* "If a message already has a parent, don't change the existing
	 * link." */
	for (k = 1; k < m->n_refs; k++)
		if (r->at[refs[k]].up == 0)
			link_to(r, f, refs[k], refs[k - 1]);
	/* "break the current parent/child link before creating the new
	 * correct one." */
	if (r->at[i + 1].up != 0) {
		thread_forest_cut(f, i + 1);
		r->at[i + 1].up = 0;
	}
	if (m->n_refs > 0)
		link_to(r, f, i + 1, refs[m->n_refs - 1]);
}

/* All nodes, each behind its parent, which the root comes before. */
static uint32_t *
from_above(const struct refs *r)
{
	uint32_t *list = pool_array(r->mail->pool, (size_t)r->n + 1,
	    sizeof(*list));
	uint32_t i, n = 1, child;

	for (i = 0; i < n; i++)
		for (child = r->at[list[i]].child; child != 0;
		    child = r->at[child].next)
			list[n++] = child;
	return list;
}

/* Makes lists of children, as they stand in the mailbox, of the parents. */
static void
gather(struct refs *r)
{
	uint32_t i;

	for (i = r->n; i > 0; i--) {
		r->at[i].next = r->at[r->at[i].up].child;
		r->at[r->at[i].up].child = i;
	}
}

/*
 * Step 3 for one node whose children have been pruned: "If it is a dummy
 * message with NO children, delete it. If it is a dummy message with children,
 * delete it, but promote its children to the current level." ends[] has the
 * last of each list, so that one is put into another in one step.
 */
static void
prune(struct refs *r, uint32_t up, uint32_t *ends)
{
	struct thread_node *at = r->at;
	uint32_t child, next, *link = &at[up].child;

	ends[up] = 0;
	for (child = at[up].child; child != 0; child = next) {
		next = at[child].next;
		/* "Do not promote the children if doing so would make them
		 * children of the root, unless there is only one child." */
		if (at[child].number == 0 && (up != 0 ||
		    at[child].child == 0 ||
		    at[child].child == ends[child])) {
			if (at[child].child == 0)
				continue;
			*link = at[child].child;
			at[child].child = 0;
			ends[up] = ends[child];
		} else {
			*link = child;
			ends[up] = child;
		}
		link = &at[ends[up]].next;
	}
	*link = 0;
}

static void
prune_all(struct refs *r)
{
	uint32_t *list = from_above(r), i;
	uint32_t *ends = pool_array(r->mail->pool, (size_t)r->n + 1,
	    sizeof(*ends));

	for (i = r->n + 1; i > 0; i--)
		prune(r, list[i - 1], ends);
}

static struct thread_order
order_of(const struct refs *r, uint32_t node)
{
	const struct thread_message *m = &r->mail->at[node - 1];

	return (struct thread_order){ m->sent, node - 1, node };
}

/* Step 6 for the children of one node. A dummy's place is its first child's,
 * and dummies are children of the root alone. */
static void
sort_children(struct refs *r, uint32_t up)
{
	uint32_t n = 0, child;

	for (child = r->at[up].child; child != 0; child = r->at[child].next)
		r->order[n++] = order_of(r, child);
	thread_children(r->thread, up, r->order, n);
}

/* The message that stands for a thread: itself, or a dummy's first child,
 * whose children are sorted. */
static uint32_t
first_of(const struct refs *r, uint32_t node)
{
	return r->at[node].number != 0 ? node : r->at[node].child;
}

/* Steps 2 and 4: the threads, sorted. */
static void
sort_threads(struct refs *r)
{
	uint32_t node;

	r->n_top = 0;
	for (node = r->at[0].child; node != 0; node = r->at[node].next) {
		r->top[r->n_top] = order_of(r, first_of(r, node));
		r->top[r->n_top++].node = node;
	}
	thread_children(r->thread, 0, r->top, r->n_top);
}

/* ---- step 5 ---- */

struct table {
	uint32_t *group;	/* of each thread: its subject's, 0: none */
	uint32_t *chosen;	/* the subject table: thread by group */
};

/* 5.A, 5.B.i and ii: equal subjects have one number. */
static void
find_groups(const struct refs *r, struct table *t)
{
	struct pool *pool = r->mail->pool;
	struct named *all = pool_array(pool, r->n_top, sizeof(*all));
	const struct thread_message *m;
	uint32_t i, n = 0, group = 0;

	for (i = 0; i < r->n_top; i++) {
		m = &r->mail->at[r->top[i].first];
		if (m->subject.n > 0)
			all[n++] = (struct named){ m->subject, i };
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), compare_named);
	t->group = pool_array(pool, r->n_top, sizeof(*t->group));
	t->chosen = pool_array(pool, (size_t)n + 1, sizeof(*t->chosen));
	for (i = 0; i < n; i++) {
		group += i == 0 || !str_eq(all[i].text, all[i - 1].text);
		t->group[all[i].at] = group;
	}
}

static bool
is_answer(const struct refs *r, uint32_t node)
{
	return r->at[node].number != 0 && r->mail->at[node - 1].answer;
}

/* 5.B.iii and iv */
static void
choose(const struct refs *r, struct table *t)
{
	uint32_t i, node, *chosen;

	for (i = 0; i < r->n_top; i++) {
		node = r->top[i].node;
		chosen = &t->chosen[t->group[i]];
		if (t->group[i] == 0)
			continue;
		if (*chosen == 0 || (r->at[*chosen].number != 0 &&
		    (r->at[node].number == 0 || (is_answer(r, *chosen) &&
		    !is_answer(r, node)))))
			*chosen = node;
	}
}

/* Puts a list of siblings in front of the children of `up`. */
static void
adopt(struct refs *r, uint32_t up, uint32_t first)
{
	uint32_t node = first;

	for (;;) {
		r->at[node].up = up;
		if (r->at[node].next == 0)
			break;
		node = r->at[node].next;
	}
	r->at[node].next = r->at[up].child;
	r->at[up].child = first;
}

static void
adopt_one(struct refs *r, uint32_t up, uint32_t node)
{
	r->at[node].next = 0;
	adopt(r, up, node);
}

/* 5.C for one thread; what becomes of it, or of the one in the table. */
static void
merge(struct refs *r, uint32_t node, uint32_t *chosen)
{
	const uint32_t with = *chosen;
	uint32_t dummy;

	if (with == node)
		return;
	r->at[node].up = with;
	if (r->at[with].number == 0 && r->at[node].number == 0) {
		adopt(r, with, r->at[node].child);
		r->at[node].child = 0;
	} else if (r->at[with].number == 0 ||
	    (is_answer(r, node) && !is_answer(r, with))) {
		adopt_one(r, with, node);
	} else {
		dummy = *chosen = ++r->n;
		r->at[dummy].up = 0;
		adopt_one(r, dummy, with);
		adopt_one(r, dummy, node);
	}
}

/* The threads anew: those that are nobody's by now, and the new dummies. The
 * ones that were deleted have neither message nor children. */
static void
list_threads(struct refs *r, uint32_t before)
{
	uint32_t i, node, first = 0;

	for (i = r->n_top; i > 0; i--) {
		node = r->top[i - 1].node;
		if (r->at[node].up != 0)
			continue;
		r->at[node].next = first;
		first = node;
	}
	for (node = before + 1; node <= r->n; node++) {
		r->at[node].next = first;
		first = node;
	}
	r->at[0].child = first;
}

static void
merge_subjects(struct refs *r)
{
	const uint32_t before = r->n;
	struct table t;
	uint32_t i;

	find_groups(r, &t);
	choose(r, &t);
	for (i = 0; i < r->n_top; i++)
		if (t.group[i] != 0)
			merge(r, r->top[i].node, &t.chosen[t.group[i]]);
	list_threads(r, before);
}

/* ---- all of it ---- */

static void
link_all(struct refs *r)
{
	struct thread_forest *f = thread_forest_new(r->mail->pool, r->n);
	uint32_t i;

	for (i = 0; i < r->mail->n; i++)
		link_message(r, f, i);
}

static void
sort_all(struct refs *r)
{
	uint32_t i;

	for (i = 1; i <= r->n; i++)
		sort_children(r, i);
}

void
thread_by_references(const struct thread_mail *mail, struct thread *thread)
{
	/* Of messages, of references that name none, of merged threads. */
	const size_t room = 2 * (size_t)mail->n + mail->n_refs + 1;
	struct refs r = { .mail = mail, .thread = thread, .n = mail->n };

	r.at = thread->at = pool_array(mail->pool, room, sizeof(*r.at));
	r.of_ref = pool_array(mail->pool, mail->n_refs, sizeof(*r.of_ref));
	r.order = pool_array(mail->pool, room, sizeof(*r.order));
	r.top = pool_array(mail->pool, room, sizeof(*r.top));
	for (uint32_t i = 0; i < mail->n; i++)
		r.at[i + 1].number = mail->at[i].number;
	find_ids(&r);
	link_all(&r);
	gather(&r);
	prune_all(&r);
	for (uint32_t i = 0; i <= r.n; i++)
		for (uint32_t c = r.at[i].child; c != 0; c = r.at[c].next)
			r.at[c].up = i;
	sort_all(&r);
	sort_threads(&r);
	merge_subjects(&r);
	sort_all(&r);
	sort_threads(&r);
}
