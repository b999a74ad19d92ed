/*
 * thread.c - what THREAD (RFC 5256) has to know of each message, read once,
 * and ORDEREDSUBJECT; REFERENCES is thread_refs.c's. Shows nothing to the
 * client and changes nothing.
 */
#include "thread_own.h"

#include <stdlib.h>

#include "searchtext.h"
#include "sort.h"
#include "lib/msgid.h"
#include "lib/rfc822.h"

enum {
	/* Of a message, the last ones: its nearest ancestors. Mail programs
	 * write some dozens at most. */
	REFS_MAX = 1000,
};

/* Grows by doubling; the room for what is counted in 32 bits. */
static void
add_ref(struct thread_mail *mail, uint32_t *room, struct str id)
{
	if (mail->n_refs == *room) {
		*room = *room == 0 ? 1024 : *room * 2;
		mail->refs = xrealloc(mail->refs, *room,
		    sizeof(*mail->refs));
	}
	mail->refs[mail->n_refs++] = id;
}

static struct str
field_of(struct str header, struct str name)
{
	struct field field;

	return header_find(header, name, &field) ? field.value : STR("");
}

/*
 * "If a message does not contain a References header line, or the References
 * header line does not contain any valid Message IDs, then use the first (if
 * any) valid Message ID found in the In-Reply-To header line".
 */
static void
read_refs(struct thread_mail *mail, uint32_t *room, struct str header,
    struct thread_message *m)
{
	struct str rest = field_of(header, STR("References")), id;
	uint32_t over;

	m->ref = mail->n_refs;
	while (mail->n_refs < UINT32_MAX / 4 &&
	    msgid_next(mail->pool, &rest, &id))
		add_ref(mail, room, id);
	m->n_refs = mail->n_refs - m->ref;
	if (m->n_refs > REFS_MAX) {
		over = m->n_refs - REFS_MAX;
		memmove(mail->refs + m->ref, mail->refs + m->ref + over,
		    REFS_MAX * sizeof(*mail->refs));
		mail->n_refs -= over;
		m->n_refs = REFS_MAX;
	}
	rest = field_of(header, STR("In-Reply-To"));
	if (m->n_refs == 0 && msgid_next(mail->pool, &rest, &id)) {
		add_ref(mail, room, id);
		m->n_refs = 1;
	}
}

static enum err
read_message(struct thread_mail *mail, uint32_t *room, struct searchtext *t,
    struct mbox *mbox, uint32_t uid, struct why *why)
{
	struct thread_message *m = &mail->at[mail->n];
	int64_t at = mbox_find(mbox, uid), arrival;
	struct mbox_text text;
	struct str rest;
	enum err e;

	if (at < 0)
		return E_GONE;
	arrival = mbox->msgs[at].date;
	if ((e = mbox_text(mbox, uid, false, &text, why)) != E_OK)
		return e;
	searchtext_set(t, text.header, STR(""));
	*m = (struct thread_message){ .number = m->number };
	m->sent = sort_sent(t, arrival);
	m->subject = sort_subject(t, mail->pool, &m->answer);
	rest = field_of(text.header, STR("Message-ID"));
	msgid_next(mail->pool, &rest, &m->id);
	read_refs(mail, room, text.header, m);
	return E_OK;
}

static enum err
read_all(struct thread_mail *mail, struct mbox *mbox,
    const struct view *view, const struct set *found, bool uid,
    struct why *why)
{
	uint32_t seq, at = 0, room = 0;
	struct searchtext t;
	enum err e = E_OK;

	searchtext_begin(&t);
	while (e == E_OK && (seq = view_next(view, found, false, &at)) != 0) {
		mail->at[mail->n].number = uid ? view->at[seq - 1].uid : seq;
		e = read_message(mail, &room, &t, mbox,
		    view->at[seq - 1].uid, why);
		if (e == E_OK)
			mail->n++;
		else if (e == E_GONE)
			e = E_OK;
	}
	searchtext_end(&t);
	mbox_rest(mbox);
	return e;
}

static int
compare_order(const void *a, const void *b)
{
	const struct thread_order *x = a, *y = b;

	if (x->sent != y->sent)
		return x->sent > y->sent ? 1 : -1;
	return (x->first > y->first) - (x->first < y->first);
}

void
thread_children(struct thread *thread, uint32_t up,
    struct thread_order *order, uint32_t n)
{
	uint32_t i, *link = &thread->at[up].child;

	if (n > 1)
		qsort(order, n, sizeof(*order), compare_order);
	for (i = 0; i < n; i++) {
		*link = order[i].node;
		thread->at[order[i].node].up = up;
		link = &thread->at[order[i].node].next;
	}
	*link = 0;
}

struct by_subject {
	const struct thread_message *m;
	uint32_t at;
};

static int
compare_subject(const void *a, const void *b)
{
	const struct by_subject *x = a, *y = b;
	int r = sort_compare(x->m->subject, y->m->subject);

	if (r == 0 && x->m->sent != y->m->sent)
		r = x->m->sent > y->m->sent ? 1 : -1;
	return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

/*
 * "The searched messages are sorted by base subject and then by the sent
 * date. The messages are then split into separate threads, with each thread
 * containing messages with the same base subject text. Finally, the threads
 * are sorted by the sent date of the first message in the thread. [...] The
 * second message of a thread is the child of the first message, and
 * subsequent messages of the thread are siblings of the second".
 */
void
thread_by_subject(const struct thread_mail *mail, struct thread *thread)
{
	struct by_subject *all = pool_array(mail->pool, mail->n,
	    sizeof(*all));
	struct thread_order *top = pool_array(mail->pool, mail->n,
	    sizeof(*top));
	uint32_t i, n = 0, *link = NULL, node;

	thread->at = pool_array(mail->pool, (size_t)mail->n + 1,
	    sizeof(*thread->at));
	for (i = 0; i < mail->n; i++) {
		all[i] = (struct by_subject){ &mail->at[i], i };
		thread->at[i + 1].number = mail->at[i].number;
	}
	if (mail->n > 0)
		qsort(all, mail->n, sizeof(*all), compare_subject);
	for (i = 0; i < mail->n; i++) {
		node = all[i].at + 1;
		if (i == 0 || !str_eq(all[i].m->subject,
		    all[i - 1].m->subject)) {
			top[n++] = (struct thread_order){ all[i].m->sent,
			    all[i].at, node };
			link = &thread->at[node].child;
			continue;
		}
		thread->at[node].up = top[n - 1].node;
		*link = node;
		link = &thread->at[node].next;
	}
	thread_children(thread, 0, top, n);
}

enum result
thread_run(enum thread_how how, struct pool *pool, struct mbox *mbox,
    const struct view *view, const struct set *found, bool uid,
    struct thread *thread, struct outcome *o)
{
	struct thread_mail mail = { .pool = pool };
	struct why why = { .text = "" };
	enum err e;

	mail.at = pool_array(pool, (size_t)set_count(found),
	    sizeof(*mail.at));
	e = read_all(&mail, mbox, view, found, uid, &why);
	if (e == E_OK && how == THREAD_REFERENCES)
		thread_by_references(&mail, thread);
	else if (e == E_OK)
		thread_by_subject(&mail, thread);
	free(mail.refs);
	return e == E_OK ? RES_OK : outcome_err(o, e, &why);
}
