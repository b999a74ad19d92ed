/*
 * unit_view.c - the client's numbering against a mailbox that is moved about
 * by hand: what is told, in which order, and what is kept back.
 */
#include "unit.h"

#include "../view.h"
#include "../lib/mem.h"

/* A mailbox without a file, a view of it, and what was said last. */
struct world {
	struct mbox mbox;
	struct msg msgs[32];
	struct view view;
	struct reply reply;
	struct io io;
};

static void
touch(struct world *w)
{
	w->mbox.state.size++;
}

static void
arrive(struct world *w, uint32_t uid, uint8_t flags)
{
	struct msg *msg = &w->msgs[w->mbox.n++];

	memset(msg, 0, sizeof(*msg));
	msg->uid = uid;
	msg->flags = flags;
	touch(w);
}

static void
vanish(struct world *w, uint32_t uid)
{
	uint32_t i = 0;

	while (w->msgs[i].uid != uid)
		i++;
	memmove(&w->msgs[i], &w->msgs[i + 1],
	    (w->mbox.n - i - 1) * sizeof(w->msgs[0]));
	w->mbox.n--;
	touch(w);
}

/* n messages with uids 10, 20, 30 ... and no flags. */
static void
begin(struct world *w, uint32_t n)
{
	uint32_t i;

	memset(w, 0, sizeof(*w));
	w->mbox.msgs = w->msgs;
	w->reply.io = &w->io;
	io_init(&w->io, 0, 1, NULL);
	for (i = 1; i <= n; i++)
		arrive(w, i * 10, 0);
	view_init(&w->view, &w->mbox);
}

enum { EXPUNGE = 1, UID = 2 };

/* What the client is told now. */
static struct str
told(struct world *w, int how)
{
	w->io.out_n = 0;
	view_tell(&w->view, &w->mbox, &w->reply, how & EXPUNGE, how & UID);
	return (struct str){ w->io.out, w->io.out_n };
}

static void
nothing(void)
{
	struct world w;

	begin(&w, 3);
	CHECK_STR("an unchanged mailbox is worth no words",
	    told(&w, EXPUNGE), STR(""));
	touch(&w);
	CHECK_STR("nor is one whose file was only touched",
	    told(&w, EXPUNGE), STR(""));
	view_free(&w.view);
}

static void
growth(void)
{
	struct world w;

	begin(&w, 2);
	arrive(&w, 30, FLAG_RECENT | FLAG_OLD);
	CHECK_STR("new mail is told by number",
	    told(&w, 0), STR("* 3 EXISTS\r\n* 1 RECENT\r\n"));
	CHECK_STR("and once", told(&w, EXPUNGE), STR(""));
	CHECK("its uid is known", view_seq(&w.view, 30) == 3);
	view_free(&w.view);

	begin(&w, 0);
	arrive(&w, 5, 0);
	CHECK_STR("the first mail of an empty mailbox is told",
	    told(&w, 0), STR("* 1 EXISTS\r\n* 0 RECENT\r\n"));
	view_free(&w.view);
}

static void
expunge(void)
{
	struct world w;

	begin(&w, 6);
	vanish(&w, 20);
	vanish(&w, 30);
	vanish(&w, 60);
	CHECK_STR("where EXPUNGE is forbidden nothing is told",
	    told(&w, 0), STR(""));
	CHECK("and the numbers stay", view_seq(&w.view, 40) == 4);
	CHECK("the message is known to be gone", w.view.at[1].gone);
	CHECK_STR("later each EXPUNGE counts on the ones before",
	    told(&w, EXPUNGE), STR("* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n"
	    "* 4 EXPUNGE\r\n* 3 EXISTS\r\n* 0 RECENT\r\n"));
	CHECK("then the numbers move", view_seq(&w.view, 40) == 2 &&
	    view_seq(&w.view, 20) == 0 && w.view.n == 3);
	view_free(&w.view);

	begin(&w, 2);
	vanish(&w, 10);
	arrive(&w, 30, 0);
	CHECK_STR("new mail counts those whose end is not yet told",
	    told(&w, 0), STR("* 3 EXISTS\r\n* 0 RECENT\r\n"));
	CHECK_STR("who are told later",
	    told(&w, EXPUNGE), STR("* 1 EXPUNGE\r\n* 2 EXISTS\r\n"
	    "* 0 RECENT\r\n"));
	view_free(&w.view);
}

static void
comes_back(void)
{
	struct world w;

	begin(&w, 2);
	vanish(&w, 20);
	told(&w, 0);
	arrive(&w, 20, 0);
	CHECK_STR("what is back before its end was told was never gone",
	    told(&w, EXPUNGE), STR(""));
	CHECK("and has its number", view_seq(&w.view, 20) == 2 &&
	    !w.view.at[1].gone && w.view.gone == 0);
	view_free(&w.view);

	begin(&w, 3);
	vanish(&w, 10);
	vanish(&w, 20);
	vanish(&w, 30);
	CHECK_STR("a mailbox may be emptied", told(&w, EXPUNGE),
	    STR("* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"
	    "* 0 EXISTS\r\n* 0 RECENT\r\n"));
	view_free(&w.view);
}

static void
flags(void)
{
	struct world w;

	begin(&w, 3);
	w.msgs[1].flags = FLAG_SEEN;
	touch(&w);
	CHECK_STR("flags that others set are told", told(&w, 0),
	    STR("* 2 FETCH (FLAGS (\\Seen))\r\n"));
	w.msgs[1].flags = FLAG_OLD;
	touch(&w);
	CHECK_STR("and those they took away, with the UID in UID commands",
	    told(&w, UID), STR("* 2 FETCH (FLAGS () UID 20)\r\n"));
	w.msgs[1].flags = 0;
	touch(&w);
	CHECK_STR("what no client can see is not told", told(&w, 0), STR(""));
	w.msgs[2].flags = FLAG_DELETED;
	vanish(&w, 10);
	CHECK_STR("after EXPUNGE the number is the new one",
	    told(&w, EXPUNGE), STR("* 1 EXPUNGE\r\n* 2 EXISTS\r\n"
	    "* 0 RECENT\r\n* 2 FETCH (FLAGS (\\Deleted))\r\n"));
	w.msgs[0].flags = FLAG_SEEN;
	w.view.stale = true;
	CHECK_STR("a list that moved while the file looks the same is seen",
	    told(&w, EXPUNGE), STR("* 1 FETCH (FLAGS (\\Seen))\r\n"));
	view_free(&w.view);
}

static void
keywords(void)
{
	struct world w;

	begin(&w, 1);
	w.io.out_n = 0;
	keyword_add(&w.mbox.keywords, STR("Work"));
	view_tell_flags(&w.view, &w.mbox, &w.reply);
	CHECK_STR("FLAGS names all system flags and the keywords",
	    ((struct str){ w.io.out, w.io.out_n }),
	    STR("* FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen"
	    " Work)\r\n* OK [PERMANENTFLAGS ()] Permanent flags\r\n"));
	keyword_add(&w.mbox.keywords, STR("Home"));
	w.msgs[0].keywords = 2;
	touch(&w);
	CHECK_STR("a new keyword is named before a message has it",
	    told(&w, 0), STR("* FLAGS (\\Answered \\Flagged \\Deleted"
	    " \\Draft \\Seen Work Home)\r\n* OK [PERMANENTFLAGS ()]"
	    " Permanent flags\r\n* 1 FETCH (FLAGS (Home))\r\n"));
	view_free(&w.view);
}

/* "* OK [PERMANENTFLAGS ...", of what view_tell_flags says. */
static struct str
permanent(struct world *w)
{
	w->io.out_n = 0;
	view_tell_flags(&w->view, &w->mbox, &w->reply);
	return str_from((struct str){ w->io.out, w->io.out_n },
	    str_index((struct str){ w->io.out, w->io.out_n }, '\n') + 1);
}

static void
permanent_flags(void)
{
	struct world w;
	char word[] = "0";
	unsigned i;

	begin(&w, 1);
	w.view.writable = true;
	CHECK_STR("what can be changed, and new keywords", permanent(&w),
	    STR("* OK [PERMANENTFLAGS (\\* \\Answered \\Flagged \\Deleted"
	    " \\Draft \\Seen)] Permanent flags\r\n"));
	keyword_add(&w.mbox.keywords, STR("Work"));
	CHECK_STR("keywords stand behind the system's", permanent(&w),
	    STR("* OK [PERMANENTFLAGS (\\* \\Answered \\Flagged \\Deleted"
	    " \\Draft \\Seen Work)] Permanent flags\r\n"));
	for (i = w.mbox.keywords.n; i < KEYWORDS_MAX; i++, word[0]++)
		keyword_add(&w.mbox.keywords, (struct str){ word, 1 });
	CHECK("no new keyword is promised that has no room",
	    str_starts(permanent(&w), STR("* OK [PERMANENTFLAGS (\\Answered")));
	view_free(&w.view);
}

/* What a client knows without being told, and what it does not. */
static void
assumed(void)
{
	struct world w;

	begin(&w, 3);
	w.msgs[0].flags = w.msgs[1].flags = FLAG_SEEN;
	view_assume(&w.view, 0, FLAG_SEEN, 0, false);
	view_assume(&w.view, 1, FLAG_SEEN, 0, true);
	CHECK_STR("flags that are as assumed are told only if they are to be",
	    told(&w, 0), STR("* 2 FETCH (FLAGS (\\Seen))\r\n"));
	w.msgs[2].flags = FLAG_SEEN | FLAG_FLAGGED;
	view_assume(&w.view, 2, FLAG_SEEN, 0, false);
	CHECK_STR("what somebody else has changed is told",
	    told(&w, UID), STR("* 3 FETCH (FLAGS (\\Flagged \\Seen)"
	    " UID 30)\r\n"));
	view_assume(&w.view, 2, FLAG_SEEN, 0, true);
	view_assume(&w.view, 2, FLAG_FLAGGED, 0, true);
	CHECK_STR("once, and as it is", told(&w, 0),
	    STR("* 3 FETCH (FLAGS (\\Flagged \\Seen))\r\n"));
	CHECK_STR("and then no more", told(&w, 0), STR(""));
	view_free(&w.view);
}

static void
marks(void)
{
	struct world w;

	begin(&w, 3);
	w.msgs[0].flags = w.msgs[1].flags = FLAG_DELETED;
	view_assume(&w.view, 0, FLAG_DELETED, 0, false);
	view_assume(&w.view, 1, FLAG_DELETED, 0, false);
	w.view.at[0].marked = w.view.at[1].marked = true;
	told(&w, 0);
	CHECK("a mark stays with its flag", w.view.at[0].marked &&
	    w.view.at[1].marked && !w.view.at[2].marked);
	w.msgs[0].flags = 0;
	touch(&w);
	told(&w, 0);
	w.msgs[0].flags = FLAG_DELETED;
	touch(&w);
	told(&w, 0);
	CHECK("and goes with it: who sets it again is somebody else",
	    !w.view.at[0].marked && w.view.at[1].marked);
	vanish(&w, 10);
	told(&w, EXPUNGE);
	CHECK("it moves with its message", w.view.at[0].marked &&
	    !w.view.at[1].marked);
	view_free(&w.view);
}

/* The numbers that a walk gives, "1 2 5", in `text`. */
static struct str
walk(const struct view *view, struct set *set, bool uid, char *text)
{
	uint32_t at = 0, seq, n = 0;

	text[0] = '\0';
	while ((seq = view_next(view, set, uid, &at)) != 0)
		n += (uint32_t)snprintf(text + n, 64 - n, "%s%u",
		    n > 0 ? " " : "", seq);
	return str_c(text);
}

static void
walking(void)
{
	struct pool *pool = pool_new();
	struct world w;
	struct set set;
	char text[64];

	begin(&w, 6);
	set_init(&set, pool);
	CHECK_STR("an empty set names nothing", walk(&w.view, &set, false,
	    text), STR(""));
	set_add(&set, 5, 9);
	set_add(&set, 1, 2);
	set_resolve(&set, 6);
	CHECK_STR("sequence numbers rise, and end with the mailbox",
	    walk(&w.view, &set, false, text), STR("1 2 5 6"));
	CHECK_STR("as uids the same names nobody", walk(&w.view, &set, true,
	    text), STR(""));
	set_init(&set, pool);
	set_add(&set, 1, 5);
	set_add(&set, 11, 11);
	set_add(&set, 20, 20);
	set_add(&set, 21, 29);
	set_add(&set, 35, 4294967295);
	set_resolve(&set, 60);
	CHECK_STR("uids that do not exist are passed over",
	    walk(&w.view, &set, true, text), STR("2 4 5 6"));
	CHECK("the first at or above a uid", view_lower(&w.view, 21) == 2 &&
	    view_lower(&w.view, 20) == 1 && view_lower(&w.view, 61) == 6 &&
	    view_lower(&w.view, 0) == 0);
	vanish(&w, 20);
	told(&w, 0);
	CHECK_STR("gone messages keep their place in the walk",
	    walk(&w.view, &set, true, text), STR("2 4 5 6"));
	view_free(&w.view);
	pool_free(pool);
}

int
main(void)
{
	nothing();
	growth();
	expunge();
	comes_back();
	flags();
	keywords();
	permanent_flags();
	assumed();
	marks();
	walking();
	return unit_end();
}
