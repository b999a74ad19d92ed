/*
 * What mbox.c makes of a mailbox file: each row is a file and the list of
 * messages that it must give. Then files that others change while we look.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/buf.h"
#include "../mbox.h"
#include "unit.h"

#define F1 "From a@b Thu Aug 22 12:36:23 2002\n"
#define F2 "From c@d Fri Aug 23 12:36:23 2002\n"
#define QUOTED "Status: RO\nX-Status: \nX-Keywords:   \n"		\
	"X-IMAPd-Quoted: rd\nX-UID: 3\n"
#define STAMP(n) "Status: RO\nX-Status: \nX-Keywords:          \nX-UID: " n "\n"
#define BASE "X-IMAPbase: 1000000000 0000000007 Junk $Work\n"
#define PSEUDO "From MAILER-DAEMON Thu Aug 22 12:36:23 2002\n"		\
	"Date: 22 Aug 2002 12:36:23 +0000\n"				\
	"From: Mail System Internal Data <MAILER-DAEMON@h>\n"		\
	"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"	\
	"Message-ID: <1@h>\n"						\
	"X-IMAP: 0937243866 0000000007 Junk\nStatus: RO\n\n"		\
	"This text is part of the internal format of your mail folder, " \
	"and is not\na real message.\n\n"

static char path[] = "/tmp/unit_mbox.XXXXXX";

static void
put(struct str text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n ||
	    close(fd) != 0) {
		perror(path);
		exit(1);
	}
}

/* "uid:size:flags:keywords:<text>" per message; LF as ~, CR as ^, NUL as @. */
static void
show(struct mbox *mbox, struct buf *out)
{
	static const char letters[] = "AFDTROr";
	struct mbox_text text;
	struct why why;
	uint32_t i;
	size_t j;
	char c;

	buf_clear(out);
	for (i = 0; i < mbox->n; i++) {
		buf_addf(out, "%s%u:%llu:", i ? " " : "", mbox->msgs[i].uid,
		    (unsigned long long)mbox->msgs[i].size);
		for (j = 0; j < 7; j++)
			if (mbox->msgs[i].flags & 1u << j)
				buf_addc(out, letters[j]);
		buf_addf(out, ":%x:<", mbox->msgs[i].keywords);
		if (mbox_text(mbox, mbox->msgs[i].uid, true, &text, &why))
			buf_add(out, str_c(why.text));
		for (j = 0; j < text.whole.n; j++) {
			c = text.whole.p[j];
			buf_addc(out, c == '\n' ? '~' : c == '\r' ? '^' :
			    c == '\0' ? '@' : c);
		}
		buf_addc(out, '>');
	}
}

struct row {
	const char *what;
	bool other;		/* not an INBOX */
	struct str text;
	const char *list;	/* NULL: refused */
	uint32_t uidvalidity;	/* 0: numbered for this session */
	uint32_t uidnext;
};

static const struct row rows[] = {
	{ "an empty file is an empty mailbox", true, { "", 0 }, "", 0, 1 },
	{ "one message", true, STR(F1 "S: x\n\nhi\n\n"),
	    "1:12:r:0:<S: x~~hi~>", 0, 2 },
	{ "two messages; the empty line between belongs to neither", true,
	    STR(F1 "S: x\n\nhi\n\n" F2 "S: y\n\nho\n"),
	    "1:12:r:0:<S: x~~hi~> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "CRLF ends are kept and counted once", true,
	    STR("From a@b Thu Aug 22 12:36:23 2002\r\nS: x\r\n\r\nhi\r\n\r\n"
	    "From a@b Thu Aug 22 12:36:23 2002\r\nS: y\r\n\r\nho\r\n\r\n"),
	    "1:12:r:0:<S: x^~^~hi^~> 2:12:r:0:<S: y^~^~ho^~>", 0, 3 },
	{ "mixed ends", true, STR(F1 "S: x\r\n\nhi\r\nho\n\n"),
	    "1:16:r:0:<S: x^~~hi^~ho~>", 0, 2 },
	{ "no newline at the end", true, STR(F1 "S: x\n\nhi"),
	    "1:10:r:0:<S: x~~hi>", 0, 2 },
	{ "a header cut off by the end of the file", true,
	    STR(F1 "S: x"), "1:4:r:0:<S: x>", 0, 2 },
	{ "a header cut off by the next message", true,
	    STR(F1 "S: x\n" F2 "S: y\n\nho\n\n"),
	    "1:6:r:0:<S: x~> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "an empty body", true, STR(F1 "S: x\n\n" F2 "S: y\n\n\n"),
	    "1:8:r:0:<S: x~~> 2:8:r:0:<S: y~~>", 0, 3 },
	{ "no header at all", true, STR(F1 "\nhi\n\n"),
	    "1:6:r:0:<~hi~>", 0, 2 },
	{ "only one of two empty lines is the separator", true,
	    STR(F1 "S: x\n\nhi\n\n\n" F2 "S: y\n\nho\n\n"),
	    "1:14:r:0:<S: x~~hi~~> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "a From_ line without an empty line before it, with a header behind",
	    true, STR(F1 "S: x\n\nhi\n" F2 "S: y\n\nho\n\n"),
	    "1:12:r:0:<S: x~~hi~> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "a From_ line in a paragraph is text", true,
	    STR(F1 "S: x\n\nhi\n" F2 "and no header\n\n"),
	    "1:62:r:0:<S: x~~hi~From c@d Fri Aug 23 12:36:23 2002~"
	    "and no header~>", 0, 2 },
	{ "From without a date is text even after an empty line", true,
	    STR(F1 "S: x\n\nhi\n\nFrom me to you\nS: y\n\n"),
	    "1:36:r:0:<S: x~~hi~~From me to you~S: y~>", 0, 2 },
	{ "NUL and 8-bit bytes stay", true, STR(F1 "S: x\n\na\0b\351\n\n"),
	    "1:14:r:0:<S: x~~a@b\351~>", 0, 2 },
	{ "a boundary behind a run of NULs", true,
	    STR(F1 "S: x\n\nhi\n\0\0\0" F2 "S: y\n\nho\n\n"),
	    "1:15:r:0:<S: x~~hi~@@@> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "a header torn by a power loss does not hide the next message",
	    true, STR(F1 "S: to\0\0\0\0" F2 "S: y\n\nho\n\n"),
	    "1:9:r:0:<S: to@@@@> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "a From_ line and no more", true,
	    STR("From a@b Thu Aug 22 12:36:23 2002"), "1:0:r:0:<>", 0, 2 },
	{ "a letter that begins with From is no mailbox", true,
	    STR("From Bob\n\nDear Alice\n"), NULL, 0, 0 },
	{ "keywords that Dovecot folded", true,
	    STR(F1 "S: x\nX-IMAPbase: 1000000000 0000000003 Junk\n\t$Work\n"
	    "X-UID: 3\nStatus: RO\nX-Keywords: $Work\n\tJunk   \n\nhi\n\n"),
	    "3:12:RO:3:<S: x~~hi~>", 1000000000, 4 },
	{ "empty lines and NULs before the first message", true,
	    STR("\n\r\n\0" F1 "S: x\n\nhi\n\n"),
	    "1:12:r:0:<S: x~~hi~>", 0, 2 },
	{ "another text is no mailbox", true, STR("hello\n\nhi\n"), NULL,
	    0, 0 },
	{ "but an INBOX always opens: its damaged head is message 1", false,
	    STR("hello\n\nhi\n\n" F1 "S: x\n\nhi\n\n"),
	    "1:13:r:0:<hello~~hi~> 2:12:r:0:<S: x~~hi~>", 0, 3 },
	{ "an INBOX that holds no message at all", false, STR("x"),
	    "1:1:r:0:<x>", 0, 2 },
	{ "UW's stamps are believed and hidden", true,
	    STR(F1 "S: x\n" BASE STAMP("3") "\nhi\n\n"
	    F2 "S: y\nStatus: O\nX-Status: DFAT\nX-Keywords: $Work Junk x  \n"
	    "X-UID: 5\n\nho\n\n"),
	    "3:12:RO:0:<S: x~~hi~> 5:12:AFDTO:3:<S: y~~ho~>", 1000000000,
	    8 },
	{ "Dovecot's order is believed", true,
	    STR(F1 "S: x\nX-IMAPbase: 1000000000 0000000003 Junk\n"
	    "X-UID: 3\nStatus: RO\nX-Keywords: Junk          \n"
	    "Content-Length: 3\n\nhi\n\n"),
	    "3:12:RO:1:<S: x~~hi~>", 1000000000, 4 },
	{ "mutt's Lines does not end the block and stays", true,
	    STR(F1 "S: x\n" BASE "X-Keywords:  \nX-UID: 3\nStatus: RO\n"
	    "Content-Length: 3\nLines: 1\n\nhi\n\n"),
	    "3:22:RO:0:<S: x~Lines: 1~~hi~>", 1000000000, 8 },
	{ "hidden in any case, at every place, folded", true,
	    STR(F1 "STATUS: R\nx-uid: 9\n\t9\nS: x\ncontent-LENGTH: 5\n\nhi\n"
	    "\n"), "1:12:r:0:<S: x~~hi~>", 0, 2 },
	{ "what we quoted comes back, and is not counted", true,
	    STR(F1 ">From z\nS: x\n" BASE QUOTED "\n>From a\n>>From b\n"
	    "> From c\n\n"),
	    "3:43:RO:0:<From z~S: x~~From a~>From b~> From c~>",
	    1000000000, 8 },
	{ "also in CRLF, and without a line end", true,
	    STR(F1 "S: x\r\n" BASE QUOTED "\n>From a\r\n>From b"),
	    "3:22:RO:0:<S: x^~~From a^~From b>", 1000000000, 8 },
	{ "and behind it the next message", true,
	    STR(F1 "S: x\n" BASE QUOTED "\n>From a\n\n" F2 "S: y\n"
	    STAMP("4") "\n>From b\n\n"),
	    "3:16:RO:0:<S: x~~From a~> 4:17:RO:0:<S: y~~>From b~>",
	    1000000000, 8 },
	{ "what others quoted stays quoted", true,
	    STR(F1 "S: x\nX-IMAPd-Quoted: rd\n\n>From a\n\n"),
	    "1:17:r:0:<S: x~~>From a~>", 0, 2 },
	{ "only the last run of metadata counts", true,
	    STR(F1 "Status: RO\nX-Status: D\nS: x\nX-Status: F\n\nhi\n\n"),
	    "1:12:Fr:0:<S: x~~hi~>", 0, 2 },
	{ "a new INBOX message can not delete itself", false,
	    STR(F1 "S: x\nX-Status: DF\n\nhi\n\n"),
	    "1:12:Fr:0:<S: x~~hi~>", 0, 2 },
	{ "a UID above uidlast costs the UIDs, not the mail", true,
	    STR(F1 "S: x\n" BASE STAMP("3") "\nhi\n\n"
	    F2 "S: y\nX-UID: 4294967295\n\nho\n\n"),
	    "1:12:RO:0:<S: x~~hi~> 2:12:r:0:<S: y~~ho~>", 0, 3 },
	{ "a base contradicted by its own message is not believed", true,
	    STR(F1 "S: x\n" BASE STAMP("8") "\nhi\n\n"),
	    "1:12:RO:0:<S: x~~hi~>", 0, 2 },
	{ "a base in a second message is not believed", true,
	    STR(F1 "S: x\n\nhi\n\n" F2 "S: y\n" BASE STAMP("3") "\nho\n\n"),
	    "1:12:r:0:<S: x~~hi~> 2:12:RO:0:<S: y~~ho~>", 0, 3 },
	{ "a base with numbers of 2^31 is not believed", true,
	    STR(F1 "S: x\nX-IMAPbase: 2147483648 0000000007\n" STAMP("3")
	    "\nhi\n\n"), "1:12:RO:0:<S: x~~hi~>", 0, 2 },
	{ "the pseudo message is honoured and hidden", true, STR(PSEUDO),
	    "", 937243866, 8 },
	{ "and so are the messages behind it", true,
	    STR(PSEUDO F1 "S: x\nX-Keywords: Junk \nX-UID: 7\n\nhi\n\n"),
	    "7:12:r:1:<S: x~~hi~>", 937243866, 8 },
	{ "a forged pseudo message is mail", false,
	    STR(F1 "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL "
	    "DATA\nX-IMAP: 5 6\n\nhi\n\n"),
	    "1:66:r:0:<Subject: DON'T DELETE THIS MESSAGE -- FOLDER "
	    "INTERNAL DATA~~hi~>", 0, 2 },
};

static void
check_row(const struct row *row, struct buf *out)
{
	struct mbox *mbox;
	struct why why;
	enum err e;

	put(row->text, O_TRUNC);
	e = mbox_open(&mbox, path, !row->other, NULL, &why);
	if (row->list == NULL) {
		CHECK(row->what, e == E_NOTMBOX);
		return;
	}
	if (e != E_OK) {
		CHECK_STR(row->what, str_c(why.text), str_c(row->list));
		return;
	}
	show(mbox, out);
	if (mbox->sticky != (row->uidvalidity != 0) ||
	    (mbox->sticky && mbox->uidvalidity != row->uidvalidity) ||
	    mbox->uidnext != row->uidnext)
		buf_addf(out, " sticky %d uidvalidity %u uidnext %u",
		    mbox->sticky, mbox->uidvalidity, mbox->uidnext);
	CHECK_STR(row->what, buf_str(out), str_c(row->list));
	mbox_close(mbox);
}

/* Until the clock has moved on from the last change (mbox.md 5.2). */
static void
settle(struct mbox *mbox)
{
	struct why why;

	while (mbox->state.racy && mbox_sync(mbox, NULL, &why) == E_OK)
		;
}

static void
check_synced(struct mbox *mbox, struct buf *out, const char *what,
    const char *list)
{
	struct why why = { "" };
	bool changed;

	if (mbox_sync(mbox, &changed, &why) != E_OK || !changed)
		CHECK_STR(what, str_c(why.text), STR("changed"));
	show(mbox, out);
	CHECK_STR(what, buf_str(out), str_c(list));
}

#define M1 F1 "Date: x\n\nhi\n"
#define M2 F2 "Date: y\n\nho\n"
#define M3 F2 "Date: z\n\nhu\n"

static void
check_changes(struct buf *out)
{
	struct mbox_text text;
	struct mbox *mbox;
	struct why why;

	unlink(path);
	if (!CHECK("a missing INBOX is empty",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK && mbox->n == 0))
		return;
	put(STR(M1), 0);
	check_synced(mbox, out, "its first message is seen",
	    "1:15:r:0:<Date: x~~hi~>");
	put(STR("\n" M2 "\n"), O_APPEND);
	check_synced(mbox, out,
	    "an appended message is seen; a newline first changes no size",
	    "1:15:r:0:<Date: x~~hi~> 2:15:r:0:<Date: y~~ho~>");
	put(STR("\n\n" M3), O_APPEND);
	check_synced(mbox, out, "another, behind two more newlines",
	    "1:15:r:0:<Date: x~~hi~> 2:15:r:0:<Date: y~~ho~> "
	    "3:15:r:0:<Date: z~~hu~>");
	CHECK("the whole file read anew gives the same sizes",
	    mbox_verify(mbox, NULL, &why) == E_OK && mbox->n == 3);
	show(mbox, out);
	CHECK_STR("and the same list", buf_str(out),
	    STR("1:15:r:0:<Date: x~~hi~> 2:15:r:0:<Date: y~~ho~> "
	    "3:15:r:0:<Date: z~~hu~>"));
	put(STR(M1 "\n" M3 "\n"), O_TRUNC);
	check_synced(mbox, out, "an expunge by another keeps the other UIDs",
	    "1:15:r:0:<Date: x~~hi~> 3:15:r:0:<Date: z~~hu~>");
	put(STR(M2 "\n" M3 "\n" M1 "\n"), O_TRUNC);
	check_synced(mbox, out,
	    "moved messages keep their UID, an inserted one gets a new one",
	    "1:15:r:0:<Date: x~~hi~> 3:15:r:0:<Date: z~~hu~> "
	    "4:15:r:0:<Date: y~~ho~>");
	put(STR(M2 "\n" F2 "Date: z\nStatus: R\nX-Status: F\n\nhu\n\n" M1),
	    O_TRUNC);
	check_synced(mbox, out, "flags that another program set",
	    "1:15:r:0:<Date: x~~hi~> 3:15:FRr:0:<Date: z~~hu~> "
	    "4:15:r:0:<Date: y~~ho~>");
	put(STR(M1 "hi\n\n" M3), O_TRUNC);
	check_synced(mbox, out, "a message with other text is another one",
	    "3:15:r:0:<Date: z~~hu~> 5:19:r:0:<Date: x~~hi~hi~>");
	put(STR("From odd\nS: glued\n\nx\n"), O_APPEND);
	check_synced(mbox, out,
	    "an odd From_ line at the old end begins a message",
	    "3:15:r:0:<Date: z~~hu~> 5:19:r:0:<Date: x~~hi~hi~> "
	    "6:15:r:0:<S: glued~~x~>");
	CHECK("and still does when the whole file is read",
	    mbox_verify(mbox, NULL, &why) == E_OK && mbox->n == 3);
	put(STR(M1 "hi\n\n"), O_TRUNC);
	CHECK("a message that left is gone",
	    mbox_text(mbox, 3, true, &text, &why) == E_GONE);
	CHECK("and the others are there",
	    mbox_text(mbox, 5, true, &text, &why) == E_OK);
	unlink(path);
	check_synced(mbox, out, "an INBOX whose file is removed is empty", "");
	put(STR(M1), 0);
	check_synced(mbox, out, "until mail comes again",
	    "7:15:r:0:<Date: x~~hi~>");
	mbox_close(mbox);
}

#define T(text) F1 "Date: x\n\n" text "\n\n"

/* What only shows when the state is old enough to be trusted. */
static void
check_settled(struct buf *out)
{
	static char nuls[300000];
	struct mbox *mbox;
	struct why why;

	put(STR(M1 "\n"), O_TRUNC);
	if (!CHECK("a mailbox opens",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK))
		return;
	settle(mbox);
	put(STR(M2 "\n"), O_APPEND);
	check_synced(mbox, out, "a delivery long after is seen",
	    "1:15:r:0:<Date: x~~hi~> 2:15:r:0:<Date: y~~ho~>");
	settle(mbox);
	put(STR(F1 "Date: x\nStatus: RO\n\nhi\n" F2 "Date: y\n\nho\n\n"
	    M3 "\n"), O_TRUNC);
	check_synced(mbox, out, "flags in the middle, and a delivery",
	    "1:15:ROr:0:<Date: x~~hi~> 2:15:r:0:<Date: y~~ho~> "
	    "3:15:r:0:<Date: z~~hu~>");
	put(STR(T("a") T("b") T("c")), O_TRUNC);
	check_synced(mbox, out, "three that differ in their text alone",
	    "4:14:r:0:<Date: x~~a~> 5:14:r:0:<Date: x~~b~> "
	    "6:14:r:0:<Date: x~~c~>");
	put(STR(T("b") T("c")), O_TRUNC);
	check_synced(mbox, out, "when one leaves none is taken for another",
	    "7:14:r:0:<Date: x~~b~> 8:14:r:0:<Date: x~~c~>");
	put((struct str){ nuls, sizeof(nuls) }, O_TRUNC);
	put(STR("garbage\n\n" M1), O_APPEND);
	CHECK("an INBOX behind many NULs opens",
	    mbox_sync(mbox, NULL, &why) == E_OK && mbox->n == 2);
	mbox_close(mbox);
}

/* Header and body of one message as "header|body", LF as ~. */
static void
check_text(struct mbox *mbox, uint32_t uid, bool body, const char *want)
{
	struct buf out = BUF_MAX(4096);
	struct mbox_text text;
	struct why why = { "" };
	size_t i;

	if (mbox_text(mbox, uid, body, &text, &why) == E_OK) {
		buf_add(&out, text.header);
		buf_addc(&out, '|');
		buf_add(&out, text.body);
	} else
		buf_add(&out, str_c(why.text));
	for (i = 0; i < out.n; i++)
		if (out.p[i] == '\n')
			out.p[i] = '~';
	CHECK_STR(want, buf_str(&out), str_c(want));
	buf_free(&out);
}

/* Stamped messages in any order, header and body in any order. */
static void
check_order(void)
{
	struct mbox *mbox;
	struct why why;

	put(STR(F1 "S: x\n" BASE STAMP("3") "\nhi\n\n"
	    F2 "S: y\nX-UID: 5\n\nho\n\n"), O_TRUNC);
	if (!CHECK("a stamped mailbox opens",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK))
		return;
	check_text(mbox, 3, false, "S: x~~|");
	check_text(mbox, 3, true, "S: x~~|hi~");
	check_text(mbox, 5, true, "S: y~~|ho~");
	check_text(mbox, 3, true, "S: x~~|hi~");
	check_text(mbox, 3, false, "S: x~~|");
	check_text(mbox, 5, false, "S: y~~|");
	check_text(mbox, 5, true, "S: y~~|ho~");
	mbox_rest(mbox);
	check_text(mbox, 5, true, "S: y~~|ho~");
	mbox_close(mbox);
}

/*
 * A quoted message whose lines lie across every piece in which it is read,
 * and its neighbours, in any order.
 */
static void
check_quoted(struct buf *out)
{
	static const char head[] = F1 "S: x\n" BASE QUOTED "\n";
	const uint32_t lines = 200000 / 8;
	struct buf b = BUF_MAX(SIZE_MAX / 2);
	struct mbox_text text;
	struct mbox *mbox;
	struct why why;
	uint32_t i;
	bool good;

	buf_add(&b, str_c(head));
	for (i = 0; i < lines; i++)
		buf_add(&b, STR(">From i\n"));
	buf_add(&b, STR("\n" F2 "S: y\n" STAMP("5") "\nho\n\n"));
	put(buf_str(&b), O_TRUNC);
	if (!CHECK("a big quoted message is found",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK && mbox->n == 2))
		return;
	CHECK("its size is that without the quoting",
	    mbox->msgs[0].size == 8 + lines * 8);
	good = mbox_text(mbox, 3, false, &text, &why) == E_OK &&
	    str_eq(text.whole, STR("S: x\n\n")) &&
	    mbox_text(mbox, 3, true, &text, &why) == E_OK &&
	    text.body.n == lines * 7 && text.whole.n == 6 + lines * 7;
	for (i = 0; i < lines && good; i++)
		good = str_eq(str_sub(text.body, i * 7, 7),
		    STR("From i\n"));
	CHECK("and so is its text", good);
	check_text(mbox, 5, true, "S: y~~|ho~");
	CHECK("again, after another",
	    mbox_text(mbox, 3, true, &text, &why) == E_OK &&
	    text.whole.n == 6 + lines * 7);
	CHECK_STR("the sender is told", mbox_sender(&text), STR("a@b"));
	mbox_close(mbox);
	put(STR(F1 ">From a\nS: x\n" BASE QUOTED "\n>From b\n\n"
	    F2 "S: y\n" STAMP("4") "\nho\n\n"), O_TRUNC);
	if (!CHECK("a small one is found",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK))
		return;
	check_text(mbox, 3, false, "From a~S: x~~|");
	check_text(mbox, 3, true, "From a~S: x~~|From b~");
	check_text(mbox, 3, true, "From a~S: x~~|From b~");
	check_text(mbox, 4, true, "S: y~~|ho~");
	check_text(mbox, 3, false, "From a~S: x~~|");
	check_text(mbox, 4, false, "S: y~~|");
	check_text(mbox, 3, true, "From a~S: x~~|From b~");
	put(STR(F1 ">From a\nS: x\nX-IMAPd-Quoted: rd\n" BASE STAMP("3")
	    "\n>From b\n\n"), O_TRUNC);
	check_synced(mbox, out, "what another program stamps is quoted again",
	    "3:26:RO:0:<>From a~S: x~~>From b~>");
	mbox_close(mbox);
	buf_free(&b);
}

int
main(void)
{
	struct buf out = BUF_MAX(65536);
	size_t i;
	int fd;

	setenv("TZ", "UTC", 1);
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i], &out);
	check_changes(&out);
	check_order();
	check_quoted(&out);
	check_settled(&out);
	unlink(path);
	buf_free(&out);
	return unit_end();
}
