/*
 * unit_pseudo.c - the pseudo message is UW's to the byte, with room for more
 * keywords, and is read back.
 */
#include "unit.h"
#include "../lib/meta.h"
#include "../lib/pseudo.h"
#include "../lib/stamp.h"

/* What mailutil(1) of UW's 2007f made in that second on a host named vm. */
static const char uw[] =
    "From MAILER-DAEMON Mon Nov 23 10:52:22 2026\n"
    "Date: 23 Nov 2026 10:52:22 +0000\n"
    "From: Mail System Internal Data <MAILER-DAEMON@vm>\n"
    "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    "X-IMAP: 1795431142 0000000000\n"
    "Status: RO\n"
    "\n"
    "This text is part of the internal format of your mail folder, and is "
    "not\n"
    "a real message.  It is created automatically by the mail system "
    "software.\n"
    "If deleted, important folder data will be lost, and it will be "
    "re-created\n"
    "with the data reset to initial values.\n"
    "\n";

static const struct keywords none;

static struct str
line_of(struct buf *b, unsigned n)
{
	struct str rest = buf_str(b), line = STR("");

	while (n-- > 0)
		str_line(&rest, &line);
	return str_chomp(line);
}

static void
test_dates(void)
{
	struct buf b = BUF_MAX(4096);
	struct date date = { 899438400 + 9 * 3600, -420 };

	pseudo_message(&b, STR("h"), &date, 1, 0, &none);
	CHECK_STR("the From_ line has the local time, its day set off by a "
	    "space", line_of(&b, 1),
	    STR("From MAILER-DAEMON Fri Jul  3 06:00:00 1998"));
	CHECK_STR("the Date field names the zone, and its day has two digits",
	    line_of(&b, 2), STR("Date: 03 Jul 1998 06:00:00 -0700"));
	buf_clear(&b);
	date = (struct date){ -86400, 0 };
	pseudo_message(&b, STR("h"), &date, 1, 0, &none);
	CHECK_STR("a time before 1970 has its weekday too", line_of(&b, 1),
	    STR("From MAILER-DAEMON Wed Dec 31 00:00:00 1969"));
	buf_free(&b);
}

static void
test_read_back(void)
{
	struct buf b = BUF_MAX(4096);
	struct date date = { 899438400, 0 };
	struct keywords names = { .n = 0 };
	struct hash_key key = { 0 };
	struct meta m;
	struct str rest, line;

	keyword_add(&names, STR("NonJunk"));
	keyword_add(&names, STR("$Label1"));
	pseudo_message(&b, STR("example.org"), &date, 7, 4294967, &names);
	CHECK_STR("numbers have ten digits, keywords follow",
	    str_trim(line_of(&b, 5)),
	    STR("X-IMAP: 0000000007 0004294967 NonJunk $Label1"));
	rest = buf_str(&b);
	str_line(&rest, &line);
	meta_begin(&m, &key, str_chomp(line));
	while (str_line(&rest, &line) && !meta_line(&m, line))
		continue;
	meta_end(&m);
	CHECK("what is written is read back", m.base == META_XIMAP &&
	    m.base_shaped && m.uidvalidity == 7 && m.uidlast == 4294967 &&
	    m.pseudo_subject);
	CHECK_STR("with its keywords", str_trim(meta_base_keywords(&m)),
	    STR("NonJunk $Label1"));
	CHECK("and its text", str_starts(rest, meta_pseudo_body));
	buf_free(&b);
}

/* The text without the blanks at its lines' ends. */
static void
strip(struct buf *b, struct buf *out)
{
	struct str rest = buf_str(b), line;

	while (str_line(&rest, &line)) {
		line = str_chomp(line);
		while (line.n > 0 && line.p[line.n - 1] == ' ')
			line.n--;
		buf_add(out, line);
		buf_addc(out, '\n');
	}
}

static void
test_bytes(void)
{
	struct buf b = BUF_MAX(4096), plain = BUF_MAX(4096);
	struct date date = { 1795431142, 0 };

	pseudo_message(&b, STR("vm"), &date, 1795431142, 0, &none);
	strip(&b, &plain);
	CHECK_STR("it is what UW's CREATE writes, but for blanks",
	    buf_str(&plain), str_c(uw));
	buf_free(&b);
	buf_free(&plain);
}

/* As many keywords as a mailbox may have, of usual length. */
static void
test_room(void)
{
	struct buf b = BUF_MAX(4096), patch = BUF_MAX(4096);
	struct date date = { 899438400, 0 };
	struct keywords names = { .n = 0 };
	struct stamp s = { .uidvalidity = 7, .uidlast = UINT32_MAX,
	    .names = &names };
	struct str header, line;
	size_t at, n;
	char word[] = "$KeywordA";

	pseudo_message(&b, STR("h"), &date, 7, 0, &none);
	header = buf_str(&b);
	str_line(&header, &line);
	n = header.n;
	for (; names.n < 20; word[8]++)
		keyword_add(&names, str_c(word));
	CHECK("twenty keywords and a new last UID find room in place",
	    stamp_patch_base(header, &s, &at, &patch) == 0 &&
	    patch.n == 10 + 20 * 10 && header.n == n);
	buf_free(&b);
	buf_free(&patch);
}

int
main(void)
{
	test_bytes();
	test_room();
	test_dates();
	test_read_back();
	return unit_end();
}
