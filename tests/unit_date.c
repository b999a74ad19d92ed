/*
 * unit_date.c - the calendar walked day by day, Date fields as mail holds
 * them, IMAP dates, and the server's clock around changes of its offset.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/date.h"
#include "unit.h"

enum { DAY = 86400, GARBAGE = 100000 };

static uint64_t rng;

static uint32_t
rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % below;
}

/* NULL: must be refused. Else what INTERNALDATE would show. */
struct row {
	const char *value;
	const char *want;
};

static const struct row mail[] = {
	/* RFC 5322 and its appendix A. */
	{ "Fri, 21 Nov 1997 09:55:06 -0600", "21-Nov-1997 09:55:06 -0600" },
	{ "Thu, 22 Aug 2002 07:36:16 +0000 (UTC)",
	    "22-Aug-2002 07:36:16 +0000" },
	{ "1 Jul 2003 10:52 +0200", " 1-Jul-2003 10:52:00 +0200" },
	{ "Sat, 1 Jul 2023 10:52:37 -0000", " 1-Jul-2023 10:52:37 +0000" },
	{ "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
	    "               -0330 (Newfoundland Time)",
	    "13-Feb-1969 23:32:00 -0330" },
	{ "21 Nov 97 09:55:06 GMT", "21-Nov-1997 09:55:06 +0000" },
	{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
	    "21-Nov-1997 09:55:06 -0600" },
	{ "(a (b (c) \\) d) e) Fri (x), 21 (y)Nov(z) 1997 09:55:06 -0600",
	    "21-Nov-1997 09:55:06 -0600" },
	{ "(1 (2 Feb 1990) 3 \\) (4) Mar 1991) Fri, 21 Nov 1997 09:55:06",
	    "21-Nov-1997 09:55:06 +0000" },
	{ "Sun, 31 Dec 2016 23:59:60 +0000", " 1-Jan-2017 00:00:00 +0000" },
	{ "29 Feb 2000 00:00:00 +0000", "29-Feb-2000 00:00:00 +0000" },
	{ "1 Jan 0001 00:00:00 +0000", " 1-Jan-0001 00:00:00 +0000" },
	{ "31 Dec 9999 23:59:59 -2359", "31-Dec-9999 23:59:59 -2359" },

	/* Years of two and three digits (RFC 5322 4.3). */
	{ "1 Jan 00 00:00 GMT", " 1-Jan-2000 00:00:00 +0000" },
	{ "1 Jan 49 00:00 GMT", " 1-Jan-2049 00:00:00 +0000" },
	{ "1 Jan 50 00:00 GMT", " 1-Jan-1950 00:00:00 +0000" },
	{ "1 Jan 99 00:00 GMT", " 1-Jan-1999 00:00:00 +0000" },
	{ "1 Jan 102 00:00 GMT", " 1-Jan-2002 00:00:00 +0000" },

	/* Zones. */
	{ "1 Jul 2003 10:52:37 EDT", " 1-Jul-2003 10:52:37 -0400" },
	{ "1 Jul 2003 10:52:37 est", " 1-Jul-2003 10:52:37 -0500" },
	{ "1 Jul 2003 10:52:37 PST", " 1-Jul-2003 10:52:37 -0800" },
	{ "1 Jul 2003 10:52:37 UT", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 Z", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 A", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 MEZ", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 \"GMT\"", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 GMT+0200", " 1-Jul-2003 10:52:37 +0200" },
	{ "1 Jul 2003 10:52:37 +02:30", " 1-Jul-2003 10:52:37 +0230" },
	{ "1 Jul 2003 10:52:37 +2", " 1-Jul-2003 10:52:37 +0200" },
	{ "1 Jul 2003 10:52:37+0200", " 1-Jul-2003 10:52:37 +0200" },
	{ "1 Jul 2003 10:52:37 +0099", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 -9900", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 +020000", " 1-Jul-2003 10:52:37 +0000" },
	{ "1 Jul 2003 10:52:37 +02000", " 1-Jul-2003 10:52:37 +0000" },
	{ "Tue Jul 1 10:52:37 +0200 EST 2003", " 1-Jul-2003 10:52:37 +0200" },
	{ "Tue Jul 1 10:52:37 EST GMT 2003", " 1-Jul-2003 10:52:37 -0500" },
	{ "Tue Jul 1 10:52:37 +0200 -0500 2003",
	    " 1-Jul-2003 10:52:37 +0200" },
	{ "1 Jul 2003 10:52:37 +0200 [77777] 12:3",
	    " 1-Jul-2003 10:52:37 +0200" },

	/* Other orders and punctuation that mailers have sent. */
	{ "Thu Aug 22 07:36:16 2002", "22-Aug-2002 07:36:16 +0000" },
	{ "Thu Aug  2 07:36:16 2002 +0100", " 2-Aug-2002 07:36:16 +0100" },
	{ "Thu Aug 22 07:36:16.123 2002", "22-Aug-2002 07:36:16 +0000" },
	{ "Thu Aug 22 07:36:16 EDT 2002", "22-Aug-2002 07:36:16 -0400" },
	{ "Thursday, 22-Aug-02 07:36:16 GMT", "22-Aug-2002 07:36:16 +0000" },
	{ "Thursday, August 22, 2002 7:36", "22-Aug-2002 07:36:00 +0000" },
	{ "Thu, 22 August, 2002 07.36.16 +0200",
	    "22-Aug-2002 07:36:16 +0200" },
	{ "Do, 22. Aug 2002 07:36:16.123 +0200",
	    "22-Aug-2002 07:36:16 +0200" },
	{ "mar, 5 nov 2002 07:36:16 +0100", " 5-Nov-2002 07:36:16 +0100" },
	{ "Thu,22 Aug 2002 07:36:16 -0400", "22-Aug-2002 07:36:16 -0400" },
	{ "22Aug2002 07:36:16", "22-Aug-2002 07:36:16 +0000" },
	{ "07:36:16 22 Aug 2002", "22-Aug-2002 07:36:16 +0000" },
	{ "22 Aug 2002", "22-Aug-2002 00:00:00 +0000" },
	{ "\"Thu, 22 Aug 2002 07:36:16 -0400\"",
	    "22-Aug-2002 07:36:16 -0400" },

	/* No date, or one that does not exist. */
	{ "", NULL },
	{ "Thu, 22 Aug", NULL },
	{ "22 Oug 2002 07:36:16 -0400", NULL },
	{ "0 Aug 2002 07:36:16 -0400", NULL },
	{ "32 Aug 2002 07:36:16 -0400", NULL },
	{ "31 Apr 2002 07:36:16 -0400", NULL },
	{ "29 Feb 2001 07:36:16 -0400", NULL },
	{ "29 Feb 1900 07:36:16 -0400", NULL },
	{ "1 Jan 10000 00:00 GMT", NULL },
	{ "1 Jan 0000 00:00 GMT", NULL },
	{ "1 Jan 2002 24:00:00 GMT", " 1-Jan-2002 00:00:00 +0000" },
	{ "1 Jan 2002 12:60:00 GMT", " 1-Jan-2002 00:00:00 +0000" },
	{ "1 Jan 2002 12:00:61 GMT", " 1-Jan-2002 00:00:00 +0000" },
	{ "1 Jan 2002 12:000 GMT", " 1-Jan-2002 00:00:00 +0000" },
	{ "1 Jan 2002 12: GMT", " 1-Jan-2002 00:00:00 +0000" },
	{ "2002-08-22T07:36:16Z", NULL },
	{ "22/08/2002 07:36", NULL },
	{ "22.08.2002 07:36", NULL },
	{ "(22 Aug 2002 07:36:16 -0400", NULL },
	{ "(22 Aug 2002 07:36:16 -0400\\", NULL },
	{ "99999999999999999999 Aug 2002", NULL },
};

static const struct row imap[] = {
	{ "17-Jul-1996 02:44:25 -0700", "17-Jul-1996 02:44:25 -0700" },
	{ " 7-JUL-1996 02:44:25 +0545", " 7-Jul-1996 02:44:25 +0545" },
	{ "07-jul-1996 23:59:60 +0000", " 8-Jul-1996 00:00:00 +0000" },
	{ "29-Feb-2024 00:00:00 -0000", "29-Feb-2024 00:00:00 +0000" },
	{ "01-Jan-0001 00:00:00 +1400", " 1-Jan-0001 00:00:00 +1400" },
	{ "", NULL },
	{ "7-Jul-1996 02:44:25 -0700", NULL },
	{ " 17-Jul-1996 02:44:25 -0700", NULL },
	{ " 0-Jul-1996 02:44:25 -0700", NULL },
	{ "32-Jul-1996 02:44:25 -0700", NULL },
	{ "30-Feb-1996 02:44:25 -0700", NULL },
	{ "17-Jux-1996 02:44:25 -0700", NULL },
	{ "17 Jul 1996 02:44:25 -0700", NULL },
	{ "17-Jul-0000 02:44:25 -0700", NULL },
	{ "17-Jul-+996 02:44:25 -0700", NULL },
	{ "17-Jul-1996 24:44:25 -0700", NULL },
	{ "17-Jul-1996 02:60:25 -0700", NULL },
	{ "17-Jul-1996 02:44:61 -0700", NULL },
	{ "17-Jul-1996 02.44.25 -0700", NULL },
	{ "17-Jul-1996 02:44:25 -0760", NULL },
	{ "17-Jul-1996 02:44:25 +2400", NULL },
	{ "17-Jul-1996 02:44:25  0700", NULL },
	{ "17-Jul-1996 02:44:25   GMT", NULL },
	{ "17-Jul-1996 02:44:25x-0700", NULL },
	{ "17-Jul-1996\t02:44:25 -0700", NULL },
	{ "17-Jul-1996 02:44:25 -07000", NULL },
};

static const struct row days[] = {
	{ "17-Jul-1996", "17-Jul-1996" }, { "1-feb-1994", " 1-Feb-1994" },
	{ "01-Feb-1994", " 1-Feb-1994" },
	{ "29-FEB-2000", "29-Feb-2000" }, { "31-Dec-9999", "31-Dec-9999" },
	{ "", NULL }, { "0-Feb-1994", NULL }, { "00-Feb-1994", NULL },
	{ "30-Feb-1994", NULL }, { "1-Feb-94", NULL },
	{ "1-Feb-019", NULL }, { "1-Feb-01994", NULL },
	{ " 1-Feb-1994", NULL }, { "\"1-Feb-1994\"", NULL },
	{ "1-Februar-1994", NULL }, { "-1-Feb-1994", NULL },
	{ "1 Feb 1994", NULL }, { "1-Feb_1994", NULL },
};

/*
 * Reads the row from memory of its exact size, and each shorter start of it
 * too, so that a read beyond the end is seen.
 */
static void
check_row(const struct row *row, int (*read)(struct str, struct date *))
{
	struct str all = str_c(row->value), s;
	struct date d = { 0 };
	char text[27];
	char *p;
	int good = -1;

	for (s.n = 0; s.n <= all.n; s.n++) {
		p = malloc(s.n + 1);
		memcpy(p + 1, all.p, s.n);
		s.p = p + 1;
		good = read(s, &d);
		free(p);
	}
	if (row->want == NULL) {
		CHECK(*row->value ? row->value : "nothing", good == -1);
		return;
	}
	date_to_imap(&d, text);
	CHECK("read without a fault", good == 0);
	CHECK_STR(row->want, str_sub(str_c(text), 0, strlen(row->want)),
	    str_c(row->want));
}

static int
read_day(struct str s, struct date *d)
{
	int64_t day;

	if (date_day_from_imap(s, &day) != 0)
		return -1;
	*d = (struct date){ day * DAY, 0 };
	return 0;
}

/* Counts every day from 1-Jan-0001 on by hand. */
static void
check_calendar(void)
{
	static const int lengths[] =
	    { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t day = date_day(1, 1, 1), bad = 0;
	int y, m, d, last;
	struct date back, date = { 0 };
	char text[27];

	for (y = 1; y <= 9999; y++)
		for (m = 1; m <= 12; m++) {
			last = lengths[m - 1] + (m == 2 && y % 4 == 0 &&
			    (y % 100 != 0 || y % 400 == 0));
			for (d = 1; d <= last; d++, day++)
				bad += date_day(y, m, d) != day;
			date.time = day * DAY - 1;
			date_to_imap(&date, text);
			bad += date_from_imap(str_c(text), &back) != 0 ||
			    back.time != date.time;
		}
	CHECK("each day of 9999 years follows the one before", bad == 0);
	CHECK("1-Jan-1970 is day 0", date_day(1970, 1, 1) == 0);
	CHECK("29-Feb-2000 is day 11016", date_day(2000, 2, 29) == 11016);
}

static void
check_small(void)
{
	struct date d;
	char text[27];
	int zone = 1;

	CHECK("months have any case", date_month(STR("oCT")) == 10 &&
	    date_month(STR("January")) == 1 && date_month(STR("Dec")) == 12);
	CHECK("what is no month is none", date_month(STR("Okt")) == 0 &&
	    date_month(STR("Ja")) == 0 && date_month(STR("")) == 0 &&
	    date_month(STR("\x0a""an")) == 0);
	CHECK("weekdays run from Monday", date_weekday(STR("mon")) == 1 &&
	    date_weekday(STR("SUN")) == 7 && date_weekday(STR("Son")) == 0);
	CHECK("a clock shows 00:00 to 23:59:60", date_clock(STR("00:00")) == 0
	    && date_clock(STR("23:59:60")) == DAY &&
	    date_clock(STR("24:00")) == -1 && date_clock(STR("1:00")) == -1 &&
	    date_clock(STR("01:00:0")) == -1 &&
	    date_clock(STR("01:00.00")) == -1 && date_clock(STR("")) == -1);
	CHECK("a zone unknown leaves the answer alone",
	    !date_zone(STR("MEST"), &zone) && !date_zone(STR("+1260"), &zone)
	    && !date_zone(STR(""), &zone) && !date_zone(STR("+12a0"), &zone)
	    && zone == 1);
	d = (struct date){ -1, 60 };
	CHECK("the day as written is local to the zone",
	    date_day_written(&d) == 0);
	d.zone = -60;
	CHECK("days before 1970 round down", date_day_written(&d) == -1);
	d = (struct date){ INT64_MAX, 1439 };
	date_to_imap(&d, text);
	CHECK_STR("time without end is the last second that can be written",
	    str_c(text), STR("31-Dec-9999 23:59:59 +2359"));
	d = (struct date){ INT64_MIN, -1439 };
	date_to_imap(&d, text);
	CHECK_STR("and before all time the first", str_c(text),
	    STR(" 1-Jan-0001 00:00:00 -2359"));
	date_to_local(&d);
	CHECK("an instant that no clock shows is UTC", d.zone == 0);
}

/* Random pieces of dates: nothing is read beyond the end, and what is
 * taken for a date can be written and read again. */
static void
check_garbage(void)
{
	static const char *const pieces[] = {
		"Thu", ", ", " ", "22", "Aug", "2002", "07", ":", "36", "+",
		"-", "0400", "EST", "(", ")", "\\", ".", "\n ", "9", "\xff",
	};
	struct date d, back;
	char text[27], *p;
	size_t n, m, k, i, bad = 0;

	for (i = 0; i < GARBAGE; i++) {
		char all[128];

		for (n = k = 0; k < 16; k++) {
			const char *piece = pieces[rnd(20)];

			m = strlen(piece);
			memcpy(all + n, piece, m);
			n += m;
		}
		p = malloc(n);
		memcpy(p, all, n);
		if (date_from_822((struct str){ p, n }, &d) == 0) {
			date_to_imap(&d, text);
			bad += date_from_imap(str_c(text), &back) != 0 ||
			    back.time != d.time || back.zone != d.zone;
		}
		free(p);
	}
	CHECK("pieces of dates in any order do no harm", bad == 0);
}

static int
gmtoff(int64_t t)
{
	time_t clock = (time_t)t;
	struct tm tm;

	return localtime_r(&clock, &tm) == NULL ? 0 : (int)tm.tm_gmtoff;
}

/* mktime where it has but one answer. */
static int64_t
by_mktime(int64_t wall)
{
	time_t as_utc = (time_t)wall;
	struct tm tm;

	gmtime_r(&as_utc, &tm);
	tm.tm_isdst = -1;
	return mktime(&tm);
}

/*
 * Is date_from_local right, where the clock knows the offsets a and b
 * (a first)? The first instant that shows the wall time; with none, the
 * one that the offset a gives.
 */
static bool
local_good(int64_t wall, int a, int b)
{
	bool by_a = gmtoff(wall - a) == a, by_b = gmtoff(wall - b) == b;
	int want = by_a || !by_b ? a : b;
	struct date d;

	date_from_local(wall, &d);
	if (d.time != wall - want || d.zone != want / 60)
		return false;
	return (a != b && by_a == by_b) || by_mktime(wall) == d.time;
}

/* Three days around each change of offset, and noon of every day. */
static unsigned
zone_faults(unsigned *changes)
{
	int64_t day, last = date_day(2031, 1, 1), at;
	unsigned bad = 0;
	int a, b;

	for (day = date_day(1990, 1, 1); day < last; day++) {
		a = gmtoff(day * DAY);
		b = gmtoff(day * DAY + DAY);
		bad += a == b && !local_good(day * DAY + 43200,
		    gmtoff(day * DAY - DAY), gmtoff(day * DAY + 2 * DAY));
		if (a == b)
			continue;
		++*changes;
		for (at = day * DAY - DAY; at < day * DAY + 2 * DAY; at += 599)
			bad += !local_good(at, a, b);
	}
	return bad;
}

static const struct {
	const char *what, *tz;
	unsigned changes;	/* at least, 1990 to 2030 */
} zones[] = {
	{ "UTC", "UTC0", 0 },
	{ "Berlin", "Europe/Berlin", 80 },
	{ "New York", "America/New_York", 80 },
	{ "Kolkata", "Asia/Kolkata", 0 },
	{ "Casablanca, where winter is the exception",
	    "Africa/Casablanca", 30 },
	{ "Lord Howe, which moves by half an hour",
	    "Australia/Lord_Howe", 80 },
	{ "Apia, which skipped a day", "Pacific/Apia", 10 },
	{ "Beirut, where midnight comes twice", "Asia/Beirut", 70 },
	{ "rules without a file, west", "XST9:30XDT,M3.2.0,M11.1.0", 80 },
	{ "rules without a file, east", "<+14>-14", 0 },
};

/* In a process of its own, as the cache is good for one zone only. */
static bool
zone_good(const char *tz, unsigned want)
{
	unsigned bad, changes = 0;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setenv("TZ", tz, 1);
		tzset();
		bad = zone_faults(&changes);
		/* Without zone files every name is UTC: nothing to see. */
		if (changes < want && access("/usr/share/zoneinfo/UTC",
		    R_OK) == 0)
			bad++;
		printf("# %s: %u changes, %u faults\n", tz, changes, bad);
		fflush(stdout);
		_exit(bad != 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
check_local(void)
{
	struct date d, again;
	int64_t wall;
	size_t i;

	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		CHECK(zones[i].what, zone_good(zones[i].tz, zones[i].changes));
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	wall = date_day(2024, 10, 27) * DAY + 2 * 3600 + 1800;
	date_from_local(wall, &d);
	by_mktime(wall + 30 * DAY);
	date_from_local(wall, &again);
	CHECK("an hour that comes twice is always the first one",
	    d.zone == 120 && again.zone == 120 && d.time == again.time);
	date_from_local(date_day(2024, 3, 31) * DAY + 2 * 3600 + 1800, &d);
	CHECK("an hour that never comes goes by the old offset",
	    d.zone == 60);
	d.time = date_day(2024, 7, 1) * DAY;
	date_to_local(&d);
	CHECK("an instant gets the zone of its season", d.zone == 120);
}

int
main(void)
{
	size_t i;

	rng = (uint64_t)time(NULL) * 2654435761u | 1;
	printf("# seed %llu\n", (unsigned long long)rng);
	check_calendar();
	check_small();
	for (i = 0; i < sizeof(mail) / sizeof(mail[0]); i++)
		check_row(&mail[i], date_from_822);
	for (i = 0; i < sizeof(imap) / sizeof(imap[0]); i++)
		check_row(&imap[i], date_from_imap);
	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		check_row(&days[i], read_day);
	check_garbage();
	check_local();
	return unit_end();
}
