/*
 * unit_fromline.c - the From_ lines of every program that writes an mbox,
 * what only looks like one, and all of it mutated, against the grammar of
 * mbox.md 1.3 written as a regular expression.
 */
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/fromline.h"
#include "../lib/mem.h"
#include "unit.h"

enum { MUTANTS = 100000, NONE = 9999 };

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

struct row {
	const char *what, *line, *sender, *wall;
	int zone;		/* NONE: the server's */
};

static const struct row strict[] = {
	{ "Postfix writes two spaces",
	    "From joe@example.org  Thu Aug 22 12:36:23 2002\n",
	    "joe@example.org", "22-Aug-2002 12:36:23", NONE },
	{ "Postfix pads the day with a space",
	    "From joe@example.org  Thu Aug  1 12:36:23 2002\n",
	    "joe@example.org", " 1-Aug-2002 12:36:23", NONE },
	{ "Postfix writes MAILER-DAEMON for the null sender",
	    "From MAILER-DAEMON  Thu Aug 22 12:36:23 2002\n",
	    "MAILER-DAEMON", "22-Aug-2002 12:36:23", NONE },
	{ "Postfix quotes a sender with spaces",
	    "From \"joe the plumber\"@example.org  "
	    "Thu Aug 22 12:36:23 2002\n",
	    "\"joe the plumber\"@example.org", "22-Aug-2002 12:36:23", NONE },
	{ "Exim pads the day with a zero",
	    "From joe@example.org Thu Aug 01 12:36:23 2002\n",
	    "joe@example.org", " 1-Aug-2002 12:36:23", NONE },
	{ "procmail writes ctime behind two spaces",
	    "From joe@example.org  Fri Dec 31 23:59:59 1999\n",
	    "joe@example.org", "31-Dec-1999 23:59:59", NONE },
	{ "maildrop writes ctime",
	    "From joe@example.org Sun Feb 29 00:00:00 2004\n",
	    "joe@example.org", "29-Feb-2004 00:00:00", NONE },
	{ "mail.local writes ctime and local names",
	    "From root Mon Jan  5 03:02:01 1970\n",
	    "root", " 5-Jan-1970 03:02:01", NONE },
	{ "UW writes the zone behind the year",
	    "From joe@shadrach Thu Aug 22 12:36:23 2002 -0700\n",
	    "joe@shadrach", "22-Aug-2002 12:36:23", -420 },
	{ "UW's pseudo message",
	    "From MAILER-DAEMON Thu Aug 22 12:36:23 2002\n",
	    "MAILER-DAEMON", "22-Aug-2002 12:36:23", NONE },
	{ "Dovecot's pseudo message",
	    "From MAILER_DAEMON  Thu Aug 22 12:36:23 2002\n",
	    "MAILER_DAEMON", "22-Aug-2002 12:36:23", NONE },
	{ "Dovecot pads the day with a zero behind two spaces",
	    "From joe@example.org  Thu Aug 01 12:36:23 2002\n",
	    "joe@example.org", " 1-Aug-2002 12:36:23", NONE },
	{ "mutt keeps the day unpadded where it was so",
	    "From joe@example.org Thu Aug 1 12:36:23 2002\n",
	    "joe@example.org", " 1-Aug-2002 12:36:23", NONE },
	{ "mblaze writes Greenwich time without saying so",
	    "From joe@example.org Thu Aug 22 10:36:23 2002\n",
	    "joe@example.org", "22-Aug-2002 10:36:23", NONE },
	{ "UUCP adds remote from",
	    "From joe Thu Aug 22 12:36:23 2002 remote from seismo\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "a host named like a zone is none",
	    "From joe Thu Aug 22 12:36:23 2002 remote from UT\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "UUCP with a zone before the year",
	    "From joe Thu Aug 22 12:36:23 EDT 2002 remote from seismo\n",
	    "joe", "22-Aug-2002 12:36:23", -240 },
	{ "a sender may hold spaces without quotes",
	    "From Joe Plumber <joe@example.org> Thu Aug 22 12:36:23 2002\n",
	    "Joe Plumber <joe@example.org>", "22-Aug-2002 12:36:23", NONE },
	{ "a sender may look like a date",
	    "From Mon Jan  5 03:02:01 1970 Thu Aug 22 12:36:23 2002\n",
	    "Mon Jan  5 03:02:01 1970", "22-Aug-2002 12:36:23", NONE },
	{ "a sender may be the word from",
	    "From remote from Thu Aug 22 12:36:23 2002\n",
	    "remote from", "22-Aug-2002 12:36:23", NONE },
	{ "a sender may hold NUL, 8-bit bytes and TAB",
	    "From a\t\xff\xc3 Thu Aug 22 12:36:23 2002\n",
	    "a\t\xff\xc3", "22-Aug-2002 12:36:23", NONE },
	{ "there need be no sender",
	    "From Thu Aug 22 12:36:23 2002\n",
	    "", "22-Aug-2002 12:36:23", NONE },
	{ "nor with more spaces",
	    "From   Thu Aug 22 12:36:23 2002\n",
	    "", "22-Aug-2002 12:36:23", NONE },
	{ "seconds may be missing, as UW allows",
	    "From joe Thu Aug 22 12:36 2002\n",
	    "joe", "22-Aug-2002 12:36:00", NONE },
	{ "a leap second is one",
	    "From joe Sat Dec 31 23:59:60 2016\n",
	    "joe", " 1-Jan-2017 00:00:00", NONE },
	{ "names have any case",
	    "From joe THU aug 22 12:36:23 2002\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "a zone name before the year",
	    "From joe Thu Aug 22 12:36:23 PST 2002\n",
	    "joe", "22-Aug-2002 12:36:23", -480 },
	{ "a zone name behind the year",
	    "From joe Thu Aug 22 12:36:23 2002 GMT\n",
	    "joe", "22-Aug-2002 12:36:23", 0 },
	{ "a zone number before the year",
	    "From joe Thu Aug 22 12:36:23 +0530 2002\n",
	    "joe", "22-Aug-2002 12:36:23", 330 },
	{ "a zone name in two words is the server's",
	    "From joe Thu Aug 22 12:36:23 MET DST 2002\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "also behind the year",
	    "From joe Thu Aug 22 12:36:23 2002 MET DST\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "a zone name unknown is the server's",
	    "From joe Thu Aug 22 12:36:23 CEST 2002\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "zones on both sides: the last one counts",
	    "From joe Thu Aug 22 12:36:23 PDT 2002 +0200\n",
	    "joe", "22-Aug-2002 12:36:23", 120 },
	{ "an impossible zone is the server's",
	    "From joe Thu Aug 22 12:36:23 2002 +9999\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "a day that its month lacks is the next month's",
	    "From joe Thu Feb 31 12:36:23 2002\n",
	    "joe", " 3-Mar-2002 12:36:23", NONE },
	{ "the wrong weekday is no fault",
	    "From joe Mon Aug 22 12:36:23 2002\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "spaces may be many",
	    "From joe   Thu   Aug   22   12:36:23   2002   +0200\n",
	    "joe", "22-Aug-2002 12:36:23", 120 },
	{ "CRLF ends a line", "From joe Thu Aug 22 12:36:23 2002\r\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "so does nothing", "From joe Thu Aug 22 12:36:23 2002",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "and a CR whose LF was cut", "From joe Thu Aug 22 12:36:23 2002\r",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "1970 is the first year", "From joe Thu Jan  1 00:00:00 1970\n",
	    "joe", " 1-Jan-1970 00:00:00", NONE },
	{ "2199 is the last year", "From joe Tue Dec 31 23:59:59 2199\n",
	    "joe", "31-Dec-2199 23:59:59", NONE },
};

static const struct row lax[] = {
	{ "the order of mail, as Dovecot reads it",
	    "From joe@example.org Thu, 22 Aug 2002 12:36:23 +0200\n",
	    "joe@example.org", "22-Aug-2002 12:36:23", 120 },
	{ "the order of mail without a zone",
	    "From joe Thu,  1 Aug 2002 12:36\n",
	    "joe", " 1-Aug-2002 12:36:00", NONE },
	{ "the order of mail with a zone name",
	    "From joe Thu, 1 Aug 2002 12:36:23 EST\n",
	    "joe", " 1-Aug-2002 12:36:23", -300 },
	{ "a year of two digits is this century's",
	    "From joe Thu Aug 22 12:36:23 02\n",
	    "joe", "22-Aug-2002 12:36:23", NONE },
	{ "or the last one's from 70 on",
	    "From joe Thu Aug 22 12:36:23 EST 70\n",
	    "joe", "22-Aug-1970 12:36:23", -300 },
	{ "an archive disguises the sender",
	    "From joe at example.org  Thu Aug 22 12:36:23 2002\n",
	    "joe at example.org", "22-Aug-2002 12:36:23", NONE },
};

static const char *const not[] = {
	"From the beginning of time it was so.\n",
	"From me Mon Foo 22 12:36:23 2002\n",
	"From me Man Aug 22 12:36:23 2002\n",
	"From me Thursday Aug 22 12:36:23 2002\n",
	"From me Thu August 22 12:36:23 2002\n",
	"From me Thu Aug 0 12:36:23 2002\n",
	"From me Thu Aug 00 12:36:23 2002\n",
	"From me Thu Aug 32 12:36:23 2002\n",
	"From me Thu Aug 022 12:36:23 2002\n",
	"From me Thu Aug -2 12:36:23 2002\n",
	"From me Thu Aug 12:36:23 2002\n",
	"From me Thu 22 Aug 12:36:23 2002\n",
	"From me Thu Aug 22 24:00:00 2002\n",
	"From me Thu Aug 22 25:36:23 2002\n",
	"From me Thu Aug 22 12:60:23 2002\n",
	"From me Thu Aug 22 12:36:61 2002\n",
	"From me Thu Aug 22 2:36:23 2002\n",
	"From me Thu Aug 22 12:36:3 2002\n",
	"From me Thu Aug 22 12:36:23.5 2002\n",
	"From me Thu Aug 22 12.36.23 2002\n",
	"From me Thu Aug 22 12:36:23\n",
	"From me Thu Aug 22 12:36:23 1969\n",
	"From me Thu Aug 22 12:36:23 2200\n",
	"From me Thu Aug 22 12:36:23 202\n",
	"From me Thu Aug 22 12:36:23 20022\n",
	"From me Thu Aug 22 12:36:23 2002.\n",
	"From me Thu Aug 22 12:36:23 2002 \n",
	"From me Thu Aug 22 12:36:23 2002 and so on\n",
	"From me Thu Aug 22 12:36:23 2002 +02000\n",
	"From me Thu Aug 22 12:36:23 2002 +020\n",
	"From me Thu Aug 22 12:36:23 2002 SUMMER\n",
	"From me Thu Aug 22 12:36:23 2002 remote from\n",
	"From me Thu Aug 22 12:36:23 2002 from host\n",
	"From me Thu Aug 22 12:36:23 2002 Remote from host\n",
	"From me Thu Aug 22 12:36:23 2002 remote from two hosts\n",
	"From me Thu\tAug 22 12:36:23 2002\n",
	"From me\tThu Aug 22 12:36:23 2002\n",
	"From meThu Aug 22 12:36:23 2002\n",
	"From me Thu, 22 Aug 02 12:36:23\n",
	"From me Thu 22 Aug 2002 12:36:23\n",
	"From me Thu,22 Aug 2002 12:36:23\n",
	"From Thu, Aug 22 2002 12:36:23\n",
	"FromThu Aug 22 12:36:23 2002\n",
	"from me Thu Aug 22 12:36:23 2002\n",
	"FROM me Thu Aug 22 12:36:23 2002\n",
	">From me Thu Aug 22 12:36:23 2002\n",
	" From me Thu Aug 22 12:36:23 2002\n",
	"From\tme Thu Aug 22 12:36:23 2002\n",
	"From: me Thu Aug 22 12:36:23 2002\n",
	"From \n", "From\n", "From ", "Fr", "\n", "", "From 2002\n",
	"From remote from x\n", "From +0200\n",
};

static void
check_row(const struct row *row, enum fromline_kind kind)
{
	struct fromline from = { 0 };
	struct str line = str_c(row->line);
	struct date d;
	char text[27];

	CHECK(row->what, fromline_read(line, &from) == kind &&
	    fromline_read(line, NULL) == kind);
	CHECK_STR("its sender", from.sender, str_c(row->sender));
	d = (struct date){ from.wall, 0 };
	date_to_imap(&d, text);
	CHECK_STR("its date", str_sub(str_c(text), 0, 20), str_c(row->wall));
	CHECK("its zone", row->zone == NONE ? !from.has_zone :
	    from.has_zone && from.zone == row->zone);
}

static void
check_tables(void)
{
	struct fromline from;
	size_t i;

	for (i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		check_row(&strict[i], FROMLINE_STRICT);
	for (i = 0; i < sizeof(lax) / sizeof(lax[0]); i++)
		check_row(&lax[i], FROMLINE_LAX);
	for (i = 0; i < sizeof(not) / sizeof(not[0]); i++) {
		char what[80];

		snprintf(what, sizeof(what), "no From_ line: %.*s",
		    (int)strcspn(not[i], "\r\n"), not[i]);
		CHECK(what, fromline_read(str_c(not[i]), &from) ==
		    FROMLINE_NOT);
	}
}

/* A line of n bytes with its LF, in memory of exactly that size. */
static bool
long_line(size_t n, char fill, const char *date, enum fromline_kind want)
{
	size_t m = strlen(date);
	char *p = xmalloc(n);
	struct fromline from;
	enum fromline_kind kind;
	bool good;

	memset(p, fill, n);
	memcpy(p, "From ", 5);
	memcpy(p + n - m, date, m);
	kind = fromline_read((struct str){ p, n }, &from);
	good = kind == want;
	if (kind != FROMLINE_NOT && fill != ' ')
		good = good && from.sender.n == n - m - 5;
	free(p);
	return good;
}

static void
check_long(void)
{
	static const char date[] = " Thu Aug 22 12:36:23 2002\n";

	CHECK("a line of 65,535 bytes is a From_ line",
	    long_line(65535, 'a', date, FROMLINE_STRICT));
	CHECK("one more byte and it is none, for want of bits",
	    long_line(65536, 'a', date, FROMLINE_NOT));
	CHECK("64 KiB of spaces are no sender",
	    long_line(65535, ' ', date, FROMLINE_STRICT));
	CHECK("64 KiB of NUL are one",
	    long_line(65535, '\0', date, FROMLINE_STRICT));
	CHECK("64 KiB of a word are no date",
	    long_line(65535, 'a', "\n", FROMLINE_NOT));
	CHECK("64 KiB of digits are no year",
	    long_line(65535, '2', "\n", FROMLINE_NOT));
	CHECK("64 KiB of words are no date",
	    long_line(65535, ' ', "a\n", FROMLINE_NOT));
}

/* The grammar of mbox.md 1.3. */
#define DOW	"(mon|tue|wed|thu|fri|sat|sun)"
#define MON	"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
#define MDAY	"(0?[1-9]|[12][0-9]|3[01])"
#define CLOCK	"([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60))?"
#define YEAR	"(19[7-9][0-9]|2[01][0-9][0-9])"
#define ZONE	"( +([+-][0-9]{4}|[a-z]{1,5}( +[a-z]{3})?))?"
#define HEAD	"^from (.* )? *"

static const char *const grammar[] = {
	HEAD DOW " +" MON " +" MDAY " +" CLOCK ZONE " +" YEAR ZONE "$",
	HEAD DOW " +" MON " +" MDAY " +" CLOCK ZONE " +[0-9][0-9]" ZONE "$",
	HEAD DOW ", +" MDAY " +" MON " +" YEAR " +" CLOCK ZONE "$",
};
static regex_t compiled[3], remote;

/* Three words, the second of them "at". */
static bool
is_disguised(struct str s)
{
	struct str word[4];
	size_t n = 0, at;

	while (n < 4 && (s = str_trim(s)).n > 0) {
		at = str_index(s, ' ');
		word[n++] = str_sub(s, 0, at);
		s = str_from(s, at);
	}
	return n == 3 && str_eq(word[1], STR("at"));
}

/* What the grammar says of a line that has no NUL and no end. */
static enum fromline_kind
by_grammar(const char *text, struct str sender)
{
	char cut[200];
	regmatch_t m;

	if (strncmp(text, "From ", 5) != 0)
		return FROMLINE_NOT;
	if (regexec(&compiled[0], text, 0, NULL, 0) == 0)
		return is_disguised(sender) ? FROMLINE_LAX : FROMLINE_STRICT;
	if (regexec(&compiled[1], text, 0, NULL, 0) == 0 ||
	    regexec(&compiled[2], text, 0, NULL, 0) == 0)
		return FROMLINE_LAX;
	if (regexec(&remote, text, 1, &m, 0) != 0)
		return FROMLINE_NOT;
	snprintf(cut, sizeof(cut), "%.*s", (int)m.rm_so, text);
	return by_grammar(cut, sender);
}

/* A row with one to three bytes changed, added or lost. */
static size_t
mutate(char *to, const char *line)
{
	static const char bytes[] = " 0123456789:+-,aAtFrom\"xMonThu";
	size_t n = strcspn(line, "\r\n"), at;
	uint32_t times = rnd(3) + 1;

	memcpy(to, line, n);
	while (times-- > 0) {
		at = 5 + rnd((uint32_t)n - 5);
		switch (rnd(3)) {
		case 0:
			to[at] = bytes[rnd(sizeof(bytes) - 1)];
			break;
		case 1:
			memmove(to + at + 1, to + at, n++ - at);
			to[at] = bytes[rnd(sizeof(bytes) - 1)];
			break;
		default:
			memmove(to + at, to + at + 1, --n - at);
		}
	}
	to[n] = '\0';
	return n;
}

static void
check_mutants(void)
{
	enum { STRICTS = sizeof(strict) / sizeof(strict[0]),
	    LAXES = sizeof(lax) / sizeof(lax[0]) };
	struct fromline from;
	char text[200], *p;
	unsigned i, which, bad = 0, found = 0;
	size_t n;
	enum fromline_kind kind, want;

	for (i = 0; i < 3; i++)
		if (regcomp(&compiled[i], grammar[i],
		    REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
			abort();
	if (regcomp(&remote, " +remote +from +[^ ]+$", REG_EXTENDED) != 0)
		abort();
	for (i = 0; i < MUTANTS; i++) {
		which = rnd(STRICTS + LAXES);
		n = mutate(text, which < STRICTS ? strict[which].line :
		    lax[which - STRICTS].line);
		p = xmalloc(n);
		memcpy(p, text, n);
		from = (struct fromline){ 0 };
		kind = fromline_read((struct str){ p, n }, &from);
		want = by_grammar(text, from.sender);
		if (kind != want && bad++ < 5)
			printf("# %d, not %d: %s\n", kind, want, text);
		found += kind != FROMLINE_NOT;
		free(p);
	}
	for (i = 0; i < 3; i++)
		regfree(&compiled[i]);
	regfree(&remote);
	printf("# %u of %d mutants are From_ lines\n", found, MUTANTS);
	CHECK("mutated lines are what the grammar says", bad == 0);
}

static const struct {
	struct str line;
	bool like;
} headers[] = {
	{ { "Received: from x\n", 17 }, true },
	{ { "X:\n", 3 }, true },
	{ { "Subject:no space", 16 }, true },
	{ { "a!#$%&'*+-/=?^_`{|}~.09Z:\r\n", 27 }, true },
	{ { ">From joe Thu Aug 22 12:36:23 2002\n", 35 }, true },
	{ { "\n", 1 }, true }, { { "\r\n", 2 }, true }, { { "", 0 }, true },
	{ { "\r", 1 }, true },
	{ { ":\n", 2 }, false },
	{ { "Subject : x\n", 12 }, false },
	{ { " folded: x\n", 11 }, false },
	{ { "\ttab: x\n", 8 }, false },
	{ { "no colon\n", 9 }, false },
	{ { "word\n", 5 }, false },
	{ { "it was so: then\n", 16 }, false },
	{ { "caf\xc3\xa9: x\n", 9 }, false },
	{ { "a\x7f: x\n", 6 }, false },
	{ { "a\0b: x\n", 7 }, false },
	{ { "From joe Thu Aug 22 12:36:23 2002\n", 34 }, false },
	{ { ">>From x\n", 9 }, false },
	{ { ">Fro", 4 }, false },
};

static void
check_instants(void)
{
	static const char with[] = "From x Thu Aug 22 12:36:23 2002 -0700";
	static const char without[] = "From x Thu Aug 22 12:36:23 2002";
	struct fromline from;
	struct date d;
	char text[27];

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	fromline_read(str_c(with), &from);
	fromline_date(&from, &d);
	date_to_imap(&d, text);
	CHECK_STR("a zone given is used", str_c(text),
	    STR("22-Aug-2002 12:36:23 -0700"));
	fromline_read(str_c(without), &from);
	fromline_date(&from, &d);
	date_to_imap(&d, text);
	CHECK_STR("else the clock is the server's", str_c(text),
	    STR("22-Aug-2002 12:36:23 +0200"));
}

/* A line is written and read; true when it says the same. */
static bool
comes_back(struct buf *b, struct str sender, const struct date *date)
{
	struct fromline from;
	struct date d;

	buf_clear(b);
	fromline_write(sender, date, b);
	if (fromline_read(buf_str(b), &from) != FROMLINE_STRICT ||
	    b->p[b->n - 1] != '\n')
		return false;
	fromline_date(&from, &d);
	return str_eq(from.sender, sender) && d.time == date->time &&
	    d.zone == date->zone;
}

static void
check_written(struct buf *b)
{
	static const struct {
		const char *what;
		struct date date;
		const char *line;
	} lines[] = {
		{ "in the server's zone it is as ctime has it",
		    { 1030012583, 120 },
		    "From a@b Thu Aug 22 12:36:23 2002\n" },
		{ "a day of one digit is padded with a blank",
		    { 1028198183, 120 },
		    "From a@b Thu Aug  1 12:36:23 2002\n" },
		{ "another zone stands behind the year",
		    { 1030044983, -420 },
		    "From a@b Thu Aug 22 12:36:23 2002 -0700\n" },
		{ "so does the second of an hour that comes twice",
		    { 1035682200, 60 },
		    "From a@b Sun Oct 27 02:30:00 2002 +0100\n" },
		{ "but not the first", { 1035678600, 120 },
		    "From a@b Sun Oct 27 02:30:00 2002\n" },
		{ "the first year", { 0, 0 },
		    "From a@b Thu Jan  1 00:00:00 1970 +0000\n" },
		{ "before it", { -1, 0 },
		    "From a@b Thu Jan  1 00:00:00 1970 +0000\n" },
		{ "before it by the clock alone", { 0, -60 },
		    "From a@b Thu Jan  1 00:00:00 1970 -0100\n" },
		{ "beyond the last", { 253402300799, 60 },
		    "From a@b Tue Dec 31 23:59:59 2199\n" },
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		buf_clear(b);
		fromline_write(STR("a@b"), &lines[i].date, b);
		CHECK_STR(lines[i].what, buf_str(b), str_c(lines[i].line));
	}
}

static void
check_writing(void)
{
	static const char *const zones[] = { "CET-1CEST,M3.5.0,M10.5.0/3",
	    "UTC", "EST5EDT,M3.2.0,M11.1.0", "AAA-5:45", "BBB+3:30:17",
	    "LHST-10:30LHDT-11,M10.1.0,M4.1.0" };
	struct buf b = BUF_MAX(65536);
	struct date d;
	unsigned z, i, bad;
	int zone;

	for (z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		setenv("TZ", zones[z], 1);
		tzset();
		if (z == 0)
			check_written(&b);
		bad = 0;
		for (zone = -1439; zone <= 1439; zone++) {
			d = (struct date){ 86400 + (int64_t)rnd(3000000000),
			    zone };
			bad += !comes_back(&b, STR("joe@example.org"), &d);
		}
		for (i = 0; i < 20000; i++) {
			d.time = 86400 + (int64_t)rnd(3000000000);
			date_to_local(&d);
			bad += !comes_back(&b, STR("MAILER-DAEMON"), &d);
		}
		CHECK(zones[z], bad == 0);
	}
	buf_free(&b);
}

int
main(void)
{
	size_t i;

	rng = (uint64_t)time(NULL) * 2654435761u | 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	check_tables();
	check_long();
	check_mutants();
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		CHECK(headers[i].like ? "a header may begin so" :
		    "no header begins so", fromline_header_like(
		    headers[i].line) == headers[i].like);
	check_instants();
	check_writing();
	return unit_end();
}
