/*
 * doctor.c - imapd --check FILE: takes the read lock, reads the file by
 * doctor_read.c, asks the server's own scan whether it sees the same
 * messages, and says in words what is wrong. Changes nothing, and prints
 * offsets and numbers but never a byte of mail.
 */
#include "doctor_own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lock.h"
#include "lib/params.h"

void
doctor_tell(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void
doctor_say(struct report *report, const char *fmt, ...)
{
	va_list ap;

	report->faults++;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

int
doctor_blind(const char *path, const char *why)
{
	printf("%s: %s\n", path, why);
	return DOCTOR_BLIND;
}

static int
by_place(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void
say_finding(struct report *report, const struct finding *f)
{
	const struct fault_words *words = &fault_words[f->fault];
	char number[64] = "", msg[32] = "before all messages";

	if (words->number != NULL)
		snprintf(number, sizeof(number), " (%s %lld)", words->number,
		    (long long)f->number);
	if (f->msg > 0)
		snprintf(msg, sizeof(msg), "message %lu",
		    (unsigned long)f->msg);
	doctor_say(report, "byte %lld, %s: %s%s; %s", (long long)f->at, msg,
	    words->what, number, words->does);
}

/* Where the server's scan sees another list than we do. */
static void
compare(struct reading *r, const struct mbox *mbox)
{
	const struct patient *p;
	const struct msg *msg;
	uint32_t i;

	for (i = 0; i < r->n && i < mbox->n; i++) {
		p = &r->msgs[i];
		msg = &mbox->msgs[i];
		if (msg->start != p->start || msg->end != p->end ||
		    msg->from != p->from ||
		    msg->start + msg->from + msg->head != p->body)
			break;
	}
	if (i < r->n)
		doctor_found(r, FAULT_DIFFERS, r->msgs[i].start, i + 1, 0);
	else if (i < mbox->n)
		doctor_found(r, FAULT_DIFFERS, mbox->msgs[i].start, i + 1, 0);
}

/* Another program may have changed the file between the server's scan and
 * our lock: then once more. */
static enum err
lock_same(struct mbox *mbox, struct stat *st, struct why *why)
{
	unsigned tries;
	enum err e;

	for (tries = 0; tries < 5; tries++) {
		if ((e = mbox_verify(mbox, NULL, why)) != E_OK)
			return e;
		if (mbox->fd < 0)
			return why_set(why, E_NOENT, "no such file");
		if ((e = lock_read(mbox->fd, LOCK_TIMEOUT, why)) != E_OK)
			return e;
		if (fstat(mbox->fd, st) == 0 &&
		    st->st_size == mbox->state.size &&
		    st->st_mtim.tv_sec == mbox->state.mtime.tv_sec &&
		    st->st_mtim.tv_nsec == mbox->state.mtime.tv_nsec)
			return E_OK;
		lock_drop(mbox->fd);
	}
	return why_set(why, E_INUSE, "another program keeps changing it");
}

static void
say_all(const struct doctor *d, struct reading *r, const struct stat *st,
    struct report *report)
{
	uint32_t i;

	doctor_place(d, st, report);
	if (r->found > 0)
		qsort(r->findings, r->found, sizeof(*r->findings),
		    by_place);
	for (i = 0; i < r->found; i++)
		say_finding(report, &r->findings[i]);
	printf("%s: %lu message%s, %lld bytes, ", d->path,
	    (unsigned long)r->n, r->n == 1 ? "" : "s", (long long)r->size);
	if (report->faults == 0)
		printf("no faults\n");
	else
		printf("%lu fault%s\n", (unsigned long)report->faults,
		    report->faults == 1 ? "" : "s");
}

/* Who can not be told has not been told. */
static int
verdict(const struct report *report)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return DOCTOR_BLIND;
	return report->faults == 0 ? DOCTOR_SOUND : DOCTOR_FAULTS;
}

static int
cannot(const struct doctor *d, enum err e, const struct why *why)
{
	struct report report = { 0 };
	struct stat st;

	if (e == E_INUSE && stat(d->path, &st) == 0) {
		doctor_place(d, &st, &report);
		doctor_holders(&st);
	}
	return doctor_blind(d->path, why->text);
}

/* As an INBOX, which always opens, whatever the file looks like. */
int
doctor_check(const struct doctor *d)
{
	struct report report = { 0 };
	struct why why = { .text = "" };
	struct reading r = { .n = 0 };
	struct mbox *mbox;
	struct stat st;
	enum err e;

	e = mbox_open(&mbox, d->path, true, NULL, &why);
	if (e == E_OK)
		e = lock_same(mbox, &st, &why);
	if (e == E_OK) {
		r.fd = mbox->fd;
		r.size = st.st_size;
		e = doctor_read(&r, &why);
		lock_drop(mbox->fd);
	}
	if (e == E_OK) {
		compare(&r, mbox);
		say_all(d, &r, &st, &report);
	}
	mbox_close(mbox);
	doctor_read_free(&r);
	return e == E_OK ? verdict(&report) : cannot(d, e, &why);
}
