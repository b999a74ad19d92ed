/*
 * What lib/meta.c reads out of a header, and that its hash knows a message
 * again after every change that a mail program makes to metadata.
 */
#include "../lib/flags.h"
#include "../lib/meta.h"
#include "unit.h"

#define FROM_LINE "From a@b Thu Aug 22 12:36:23 2002"
#define FIELDS "Received: by x\nMessage-ID: <1@a>\nDate: d\nSubject: s\n"

static const struct hash_key key = { 1, 2 };
static struct meta m;

/* Feeds a header, each line cut into pieces of `piece` bytes at most. */
static uint64_t
feed(struct str header, size_t piece)
{
	struct str line;

	meta_begin(&m, &key, STR(FROM_LINE));
	while (str_line(&header, &line) && !m.ended) {
		meta_line(&m, str_sub(line, 0, piece));
		while ((line = str_from(line, piece)).n > 0)
			meta_more(&m, str_sub(line, 0, piece));
	}
	return meta_end(&m);
}

static uint64_t
whole(struct str header)
{
	return feed(header, SIZE_MAX);
}

static void
check_which(void)
{
	static const struct {
		const char *line;
		enum meta_field field;
	} rows[] = {
		{ "Status: R", META_STATUS }, { "status:", META_STATUS },
		{ "X-Status: D", META_XSTATUS }, { "STATUS :", META_STATUS },
		{ "X-Keywords:x", META_XKEYWORDS }, { "x-uid: 1", META_XUID },
		{ "X-IMAP: 1 2", META_XIMAP },
		{ "X-IMAPbase: 1 2", META_XIMAPBASE },
		{ "Content-Length: 5", META_CONTENT_LENGTH },
		{ "X-IMAPd-Quoted: rd", META_QUOTED },
		{ "Statuses: R", META_NONE }, { "Status", META_NONE },
		{ "X-UI: 1", META_NONE }, { "X-UIDL: 1", META_NONE },
		{ " Status: R", META_NONE }, { "", META_NONE },
		{ "Lines: 1", META_NONE }, { "Status R: x", META_NONE },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(rows[i].line, meta_which(str_c(rows[i].line)) ==
		    rows[i].field);
}

static void
check_counts(void)
{
	whole(STR("A: 1\r\nStatus: R\r\nB: 2\n\r\nbody"));
	CHECK("bytes end behind the empty line", m.bytes == 24 && m.ended);
	CHECK("only LFs without CR are bare", m.bare == 1);
	CHECK("hidden bytes", m.hidden == 11 && m.hidden_bare == 0);
	whole(STR("X-UID: 1\n 2\n\t3\nA: 1\n"));
	CHECK("continuations are hidden with their field",
	    m.hidden == 15 && m.hidden_bare == 3 && !m.ended);
	CHECK("and spoil a number", m.uid == 0);
}

static void
check_runs(void)
{
	whole(STR("Status: R\nA: 1\nX-Status: F\nX-UID: 7\n\n"));
	CHECK("only the last run is read",
	    m.flags == FLAG_FLAGGED && m.uid == 7);
	whole(STR("Status: RO\nLines: 4\nX-UID: 7\n\n"));
	CHECK("Lines does not part a run",
	    m.flags == (FLAG_SEEN | FLAG_OLD) && m.uid == 7);
	whole(STR("X-UID: 7\nX-UID: 8\n\n"));
	CHECK("two X-UIDs are none", m.uid == 0);
	whole(STR("X-UID: 4294967296\n\n"));
	CHECK("an X-UID of 33 bits is none", m.uid == 0);
	whole(STR("X-Keywords: a  b \n\n"));
	CHECK_STR("keywords come as words", meta_keywords(&m), STR("a  b"));
}

static void
check_base(void)
{
	whole(STR("A: 1\nX-IMAPbase: 5 0000000009 Junk $x \nX-UID: 9\n\n"));
	CHECK("a base as programs write it", m.base == META_XIMAPBASE &&
	    m.base_shaped && m.uidvalidity == 5 && m.uidlast == 9);
	CHECK_STR("its keywords", meta_base_keywords(&m), STR(" Junk $x"));
	whole(STR("X-IMAPbase: 5 9\nX-UID: 9\nA: 1\n\n"));
	CHECK("behind it no visible field may stand", !m.base_shaped);
	whole(STR("X-UID: 9\nX-IMAPbase: 5 9\n\n"));
	CHECK("nor an X-UID before it", !m.base_shaped);
	whole(STR("Status: R\nX-Keywords: a\nX-IMAPbase: 5 9 a\nX-UID: 9\n"
	    "\n"));
	CHECK("Dovecot puts it in front of an X-UID that stood there",
	    m.base_shaped);
	whole(STR("Content-Length: 3\nLines: 1\nX-IMAPbase: 5 9\nX-UID: 9\n"
	    "\n"));
	CHECK("Content-Length, which UW leaves, may stand before it",
	    m.base_shaped);
	whole(STR("x-imapbase: 5 9\n\n"));
	CHECK("it must be spelled so", !m.base_shaped);
	whole(STR("X-IMAPbase: 5 9\nA: 1\nX-IMAPbase: 5 9\n\n"));
	CHECK("it must stand once", !m.base_shaped);
	whole(STR("X-IMAPbase: 0 9\n\n"));
	CHECK("UIDVALIDITY 0 is none", m.base == META_NONE);
	whole(STR("X-IMAPbase: 2147483648 9\n\n"));
	CHECK("nor is 2^31", m.base == META_NONE);
	whole(STR("X-IMAPbase: 5\n\n"));
	CHECK("nor one number alone", m.base == META_NONE);
	whole(STR("Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL "
	    "DATA\nX-IMAP: 0000000005 0000000009\nStatus: RO\n\n"));
	CHECK("the pseudo message's base", m.base == META_XIMAP &&
	    m.pseudo_subject && m.uidvalidity == 5);
}

/* The block of a message that we stored with quoted lines. */
static void
check_quoted(void)
{
	static const struct {
		const char *what;
		const char *header;
		bool quoted;
	} rows[] = {
		{ "as we write it",
		    "A: 1\nStatus: R\nX-Status: \nX-Keywords:   \n"
		    "X-IMAPd-Quoted: rd\nX-UID: 7\n\n", true },
		{ "in CRLF", "A: 1\r\nX-Keywords:   \r\n"
		    "X-IMAPd-Quoted: rd\r\nX-UID: 7\r\n\r\n", true },
		{ "as mutt leaves it", "X-Keywords: \nX-IMAPd-Quoted: rd\n"
		    "X-UID: 7\nStatus: RO\nContent-Length: 4\nLines: 1\n\n",
		    true },
		{ "above the block that another program wrote",
		    "X-IMAPd-Quoted: rd\nStatus: R\nX-Status: \n"
		    "X-Keywords: \nX-UID: 7\n\n", false },
		{ "below it", "X-Keywords: \nX-UID: 7\n"
		    "X-IMAPd-Quoted: rd\n\n", false },
		{ "without X-Keywords before it",
		    "Status: R\nX-IMAPd-Quoted: rd\nX-UID: 7\n\n", false },
		{ "without X-UID behind it",
		    "X-Keywords: \nX-IMAPd-Quoted: rd\nStatus: R\n\n",
		    false },
		{ "with another field between it and X-UID",
		    "X-Keywords: \nX-IMAPd-Quoted: rd\nStatus: R\n"
		    "X-UID: 7\n\n", false },
		{ "with an X-UID that is no number", "X-Keywords: \n"
		    "X-IMAPd-Quoted: rd\nX-UID: x\n\n", false },
		{ "with two of them", "X-Keywords: \nX-IMAPd-Quoted: rd\n"
		    "X-UID: 7\nX-UID: 7\n\n", false },
		{ "twice", "X-Keywords: \nX-IMAPd-Quoted: rd\n"
		    "X-IMAPd-Quoted: rd\nX-UID: 7\n\n", false },
		{ "of another kind",
		    "X-Keywords: \nX-IMAPd-Quoted: qp\nX-UID: 7\n\n",
		    false },
		{ "in a block that is not the last", "X-Keywords: \n"
		    "X-IMAPd-Quoted: rd\nX-UID: 7\nA: 1\nStatus: R\n\n",
		    false },
		{ "parted by a visible field", "X-Keywords: \nA: 1\n"
		    "X-IMAPd-Quoted: rd\nX-UID: 7\n\n", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		whole(str_c(rows[i].header));
		CHECK(rows[i].what, m.quoted == rows[i].quoted);
	}
}

static void
check_hash(void)
{
	static char line[5000];
	struct str text = { line, sizeof(line) };
	uint64_t h = whole(STR(FIELDS "\n"));

	CHECK("flags do not change the hash",
	    whole(STR(FIELDS "Status: RO\nX-UID: 5\n\n")) == h);
	CHECK("nor does Lines", whole(STR(FIELDS "Lines: 3\n\n")) == h);
	CHECK("nor the line ends", whole(STR("Received: by x\r\nMessage-ID: "
	    "<1@a>\r\nDate: d\r\nSubject: s\r\n\r\n")) == h);
	CHECK("nor a second Received", whole(STR("Received: by x\n"
	    "Message-ID: <1@a>\nDate: d\nSubject: s\nReceived: by y\n\n"))
	    == h);
	CHECK("the subject does", whole(STR("Received: by x\nMessage-ID: "
	    "<1@a>\nDate: d\nSubject: t\n\n")) != h);
	memset(line, 'x', sizeof(line));
	memcpy(line, "Subject: ", 9);
	line[sizeof(line) - 1] = '\n';
	h = whole(text);
	CHECK("a long line is the same in any pieces",
	    feed(text, META_PIECE_MIN) == h && feed(text, 4096) == h);
	CHECK("its bytes are all counted", m.bytes == sizeof(line));
	memset(line, ' ', 1100);
	memcpy(line, "X-UID", 5);
	line[1100] = ':';
	whole(text);
	CHECK("a colon too far off makes no field", m.hidden == 0);
	memcpy(line, "X-UID: 77", 9);
	whole(text);
	CHECK("a long value is hidden, whatever it says",
	    m.hidden == sizeof(line) && m.uid == 0);
}

int
main(void)
{
	check_which();
	check_counts();
	check_runs();
	check_base();
	check_quoted();
	check_hash();
	return unit_end();
}
