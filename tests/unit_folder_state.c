/*
 * unit_folder_state.c - the memory of UIDVALIDITYs and the list of
 * subscriptions: what they say, whatever lies in their place, and when
 * several sessions change them at once.
 */
#include <sys/wait.h>
#include <time.h>

#include "disk.h"

/* ---- UIDVALIDITY ---- */

static void
test_uidvalidity(void)
{
	uint32_t v;

	begin(NULL);
	v = draw(0);
	CHECK("the first UIDVALIDITY is the time",
	    v >= (uint32_t)time(NULL) - 5 && v <= (uint32_t)time(NULL));
	CHECK("each one is larger", draw(0) > v && draw(0) > v + 1);
	CHECK("one can be asked for", draw(2000000000) == 2000000000);
	CHECK("and is not given again", draw(2000000000) == 2000000001 &&
	    draw(5) == 2000000002);
	CHECK_STR("the last one is on the disk",
	    file(".imapd/uidvalidity"), STR("2000000002\n"));
	text(".imapd/uidvalidity", "2147483646\n");
	CHECK("the largest is below 2^31", draw(0) == INT32_MAX);
	CHECK("when all are used up they begin anew", draw(0) < 2000000000 &&
	    draw(0) < 2000000000);
	CHECK("what is too large can not be asked for",
	    draw(UINT32_MAX) < 2000000000 && draw(INT32_MAX) == INT32_MAX);
	text(".imapd/uidvalidity", "no number\n");
	CHECK("a damaged memory is none", draw(0) >= v && draw(0) >= v);
	put(".imapd/uidvalidity", pseudo_end, sizeof(pseudo_end));
	CHECK("nor is one that is too long", draw(0) >= v);
	text(".imapd/uidvalidity.new", "left by a process that was killed");
	CHECK("what a killed process left is no hindrance",
	    draw(0) > v && !there(".imapd/uidvalidity.new"));
	begin(NULL);
	text(".imapd", "");
	CHECK("a file in the way means no memory, but a number",
	    draw(0) >= v && draw(2000000000) == 2000000000);
	begin(NULL);
	link_to(".imapd", "../elsewhere");
	CHECK("a link is not followed", draw(0) >= v &&
	    !there("../elsewhere/uidvalidity"));
	begin(NULL);
	CHECK("a name that is used again has a larger one",
	    create("x") == E_OK && (v = draw(0)) > 0 && delete("x") == E_OK
	    && draw(0) > v + 1);
}

static uint32_t
peek(void)
{
	uint32_t v = 0;

	return folder_uidvalidity_peek(&f, time(NULL), &v) == E_OK ? v : 0;
}

static int
use(uint32_t v)
{
	struct why why = { "" };

	return said(folder_uidvalidity_used(&f, v, &why), &why);
}

static void
test_peek(void)
{
	uint32_t now;

	begin(NULL);
	now = (uint32_t)time(NULL);
	CHECK("a look at the next UIDVALIDITY writes nothing",
	    peek() >= now && peek() < now + 60 && !there(".imapd"));
	draw(2000000000);
	CHECK("it is the one that would be drawn", peek() == 2000000001 &&
	    peek() == 2000000001 && draw(0) == 2000000001);
	begin(NULL);
	text(".imapd", "");
	CHECK("without a memory it is the time", peek() >= now);
	begin(NULL);
	dir(".imapd");
	text(".imapd/uidvalidity", "2000000000");
	chmod(in_home(".imapd/uidvalidity"), 0);
	become(65534);
	CHECK("and with one that is another's", peek() >= now &&
	    peek() < 2000000000);
	become(0);
}

/* Of how many calls the failure was told as E_FULL; 0 when one of them was
 * told as anything else. */
static unsigned
on_full_disk(void)
{
	unsigned n, full = 0, other = 0;
	int e;

	disk.fail_errno = ENOSPC;
	for (n = 1; n == 1 || disk.calls >= n - 1; n++) {
		begin(NULL);
		disk.calls = 0;
		disk.fail_at = n;
		disk.armed = true;
		e = use(2000000000);
		disk.armed = false;
		full += e == E_FULL;
		other += e != E_FULL && e != E_OK;
	}
	disk.fail_at = 0;
	return other == 0 ? full : 0;
}

static void
test_used(void)
{
	begin(NULL);
	CHECK("one that another program chose is remembered",
	    use(1999999999) == E_OK && peek() == 2000000000);
	disk.calls = 0;
	disk.armed = true;
	CHECK("once, and a smaller one not at all",
	    use(1999999999) == E_OK && use(5) == E_OK && disk.calls == 2 &&
	    peek() == 2000000000);
	disk.armed = false;
	CHECK("one beyond all that we give does not count",
	    use(UINT32_MAX) == E_OK && use(0) == E_OK && peek() ==
	    2000000000);
	begin(NULL);
	text(".imapd", "");
	CHECK("without a memory it can not be", use(2000000000) == E_OK &&
	    peek() < 2000000000);
	CHECK("a full disk is told",
	    on_full_disk() > 3);
}

/* ---- subscriptions ---- */

static void
test_subscribe(void)
{
	begin(NULL);
	CHECK("a name can be subscribed to before it exists",
	    subscribe("a/b") == E_OK && subscribe("inbox") == E_OK);
	CHECK_STR("and is in the list, INBOX in capitals",
	    file(".mailboxlist"), STR("a/b\nINBOX\n"));
	CHECK("the list is the user's alone",
	    mode_of(".mailboxlist") == (S_IFREG | 0600));
	disk.synced = 0;
	CHECK("subscribing again is all right, and writes nothing",
	    subscribe("a/b") == E_OK && subscribe("InBox") == E_OK &&
	    disk.synced == 0);
	text(".mailboxlist", "Entw\303\274rfe\n../x\r\n\n inbox\ninBox\nend");
	CHECK("a line in UTF-8 is its wire form",
	    subscribe("Entw&APw-rfe") == E_OK && subscribe("new") == E_OK);
	CHECK_STR("other lines stay as they are", file(".mailboxlist"),
	    STR("Entw\303\274rfe\n../x\r\n\n inbox\ninBox\nend\nnew\n"));
	CHECK("all spellings of INBOX go",
	    unsubscribe("INBOX") == E_OK && unsubscribe("Entw&APw-rfe") ==
	    E_OK && unsubscribe("end") == E_OK);
	CHECK_STR("and no other line", file(".mailboxlist"),
	    STR("../x\r\n\n inbox\nnew\n"));
	CHECK("what is not in the list can not be taken out",
	    unsubscribe("end") == E_NOENT && unsubscribe("ne") == E_NOENT);
	CHECK("a line that names no mailbox can",
	    unsubscribe("../x") == E_OK);
	CHECK("a forbidden name is not subscribed to",
	    subscribe("../x") == E_NAME && subscribe(".x") == E_NAME &&
	    subscribe("a/") == E_NAME && subscribe("") == E_NAME &&
	    subscribe("a\nb") == E_NAME && subscribe("{x}y") == E_NAME);
	CHECK("a spelling of the home is kept as it is",
	    subscribe("~/mail/x") == E_OK && unsubscribe("mail/x") ==
	    E_NOENT && unsubscribe("~/mail/x") == E_OK);
}

static void
test_subscriptions_of_dovecot(void)
{
	begin("mail");
	text("mail/.subscriptions", "V\t2\n\na\tb\nc\n");
	CHECK("what is not in Dovecot's list can not be taken out",
	    unsubscribe("x") == E_NOENT && !there(".mailboxlist"));
	CHECK("Dovecot's list is taken over with the first change",
	    unsubscribe("c") == E_OK && subscribe("d") == E_OK);
	CHECK_STR("whole", file(".mailboxlist"), STR("a/b\nd\n"));
	CHECK_STR("and left as it was", file("mail/.subscriptions"),
	    STR("V\t2\n\na\tb\nc\n"));
	CHECK("an empty list is one", unsubscribe("a/b") == E_OK &&
	    unsubscribe("d") == E_OK && unsubscribe("c") == E_NOENT &&
	    there(".mailboxlist"));
}

static void
test_odd_lists(void)
{
	char *big = malloc(1048576);

	begin(NULL);
	dir(".imapd");
	chmod(in_home(".imapd"), 0777);
	CHECK("where others may write no lock of ours is taken",
	    subscribe("a") == E_PERM && !there(".mailboxlist"));
	begin(NULL);
	link_to(".mailboxlist", "../elsewhere/list");
	CHECK("a list that is a link is left alone",
	    subscribe("a") == E_PERM && !there("../elsewhere/list"));
	unlink(in_home(".mailboxlist"));
	mkfifo(in_home(".mailboxlist"), 0600);
	CHECK("so is a FIFO", subscribe("a") == E_PERM);
	unlink(in_home(".mailboxlist"));
	dir(".mailboxlist");
	CHECK("so is a directory", subscribe("a") != E_OK);
	rmdir(in_home(".mailboxlist"));
	memset(big, 'x', 1048576);
	put(".mailboxlist", big, 1048576);
	CHECK("a list that is full takes no more",
	    subscribe("a") == E_LIMIT && file(".mailboxlist").n == 4096);
	put(".mailboxlist", big, 1048576 - 3);
	CHECK("and what fits, fits", subscribe("a") == E_OK &&
	    subscribe("b") == E_LIMIT);
	unlink(in_home(".imapd/lock"));
	rmdir(in_home(".imapd"));
	text(".imapd", "");
	CHECK("without a lock nothing is changed",
	    subscribe("c") == E_PERM);
	free(big);
}

/* ---- several at once ---- */

enum { CHILDREN = 6, TURNS = 20 };

/* Starts that many processes; a child gets its number from 1, the parent
 * 0 when all have ended well, else -1. */
static int
several(void)
{
	int i, status, r = 0;

	for (i = 1; i <= CHILDREN; i++)
		if (fork() == 0)
			return i;
	while (wait(&status) > 0)
		if (status != 0)
			r = -1;
	return r;
}

static int
number_order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
test_numbers_at_once(void)
{
	uint32_t v, all[CHILDREN * TURNS];
	int i, me, fds[2];
	bool good = true;

	begin(NULL);
	if (pipe(fds) == -1)
		exit(99);
	me = several();
	for (i = 0; me > 0 && i < TURNS; i++) {
		v = draw(0);
		if (v == 0 || write(fds[1], &v, sizeof(v)) != sizeof(v))
			_exit(1);
	}
	if (me > 0)
		_exit(0);
	close(fds[1]);
	for (i = 0; i < CHILDREN * TURNS; i++)
		if (read(fds[0], &all[i], sizeof(v)) != sizeof(v))
			exit(99);
	qsort(all, CHILDREN * TURNS, sizeof(v), number_order);
	for (i = 1; i < CHILDREN * TURNS; i++)
		good = good && all[i] > all[i - 1];
	CHECK("sessions at the same time draw different UIDVALIDITYs",
	    me == 0 && good);
	close(fds[0]);
}

static void
test_names_at_once(void)
{
	char name[32];
	struct str list;
	int i, me, e;

	begin(NULL);
	me = several();
	for (i = 0; me > 0 && i < TURNS; i++) {
		snprintf(name, sizeof(name), "%d/%02d", me, i);
		if (subscribe(name) != E_OK)
			_exit(1);
		e = create("race/x/y");
		if (e != E_OK && e != FOLDER_EXISTS)
			_exit(2);
	}
	if (me > 0)
		_exit(0);
	list = file(".mailboxlist");
	CHECK("of several that subscribe none is forgotten",
	    me == 0 && list.n == CHILDREN * TURNS * 5);
	CHECK("of several that make a mailbox one does",
	    look("race/x/y") == E_OK);
}

int
main(void)
{
	umask(077);
	home_make();
	test_uidvalidity();
	test_peek();
	test_used();
	test_subscribe();
	test_subscriptions_of_dovecot();
	test_odd_lists();
	test_numbers_at_once();
	test_names_at_once();
	home_remove();
	return unit_end();
}
