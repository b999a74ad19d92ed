/*
 * date.c - calendar days, and dates as mail, IMAP and the server's clock
 * write them. All arithmetic on days is our own; only the rules of the
 * server's zone come from the C library (localtime_r, which reads zoneinfo
 * files: the process must have called tzset before it loses sight of them).
 * The cache of local_offset is the only thing in this file that changes.
 */
#include "date.h"

#include <string.h>
#include <time.h>

enum {
	MINUTE = 60,
	HOUR = 3600,
	DAY = 86400,
	ZONE_MAX = 23 * 60 + 59,
};

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59: what four digits can say. */
static const int64_t first_second = -62135596800;
static const int64_t last_second = 253402300799;

/* Division that rounds down, for times before 1970. */
static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * A year is counted from March, so that the leap day is its last; then the
 * days of months 0.. add up to (153 * month + 2) / 5. 719468 days lie
 * between 0000-03-01 and 1970-01-01.
 */
int64_t
date_day(int year, int month, int day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int m = (month + 9) % 12;

	return 365 * y + floor_div(y, 4) - floor_div(y, 100) +
	    floor_div(y, 400) + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* The inverse of date_day, in eras of 400 years (146097 days). */
static void
calendar(int64_t days, int *year, int *month, int *day)
{
	int64_t era, of_era, y, of_year, m;

	days += 719468;
	era = floor_div(days, 146097);
	of_era = days - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(y + era * 400 + (*month <= 2));
}

/*
 * RFC 5322 3.3: "the numeric day-of-month MUST be between 1 and the number
 * of days allowed for the specified month (in the specified year)".
 */
static bool
is_day(int year, int month, int day)
{
	static const int lengths[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= lengths[month - 1] + (month == 2 && leap);
}

/*
 * Seconds on the clock that the date was written by, kept within the years
 * that can be shown: the mtime of a file may be any number.
 */
static int64_t
written(const struct date *d)
{
	int64_t wall;

	if (__builtin_add_overflow(d->time, (int64_t)d->zone * MINUTE, &wall))
		wall = d->time;
	if (wall < first_second)
		return first_second;
	return wall > last_second ? last_second : wall;
}

int64_t
date_day_written(const struct date *d)
{
	return floor_div(written(d), DAY);
}

#define LETTERS(a, b, c)	((uint32_t)(a) << 16 | (b) << 8 | (c))

/*
 * Index + 1 of the first three letters of s, or 0. Setting bit 0x20 makes
 * a lower-case letter of no byte but that letter in either case.
 */
static int
letters_find(struct str s, const uint32_t *table, int n)
{
	uint32_t letters;
	int i;

	if (s.n < 3)
		return 0;
	letters = LETTERS((unsigned char)s.p[0] | 0x20,
	    (unsigned char)s.p[1] | 0x20, (unsigned char)s.p[2] | 0x20);
	for (i = 0; i < n; i++)
		if (table[i] == letters)
			return i + 1;
	return 0;
}

int
date_month(struct str s)
{
	static const uint32_t months[] = {
		LETTERS('j', 'a', 'n'), LETTERS('f', 'e', 'b'),
		LETTERS('m', 'a', 'r'), LETTERS('a', 'p', 'r'),
		LETTERS('m', 'a', 'y'), LETTERS('j', 'u', 'n'),
		LETTERS('j', 'u', 'l'), LETTERS('a', 'u', 'g'),
		LETTERS('s', 'e', 'p'), LETTERS('o', 'c', 't'),
		LETTERS('n', 'o', 'v'), LETTERS('d', 'e', 'c'),
	};

	return letters_find(s, months, 12);
}

int
date_weekday(struct str s)
{
	static const uint32_t days[] = {
		LETTERS('m', 'o', 'n'), LETTERS('t', 'u', 'e'),
		LETTERS('w', 'e', 'd'), LETTERS('t', 'h', 'u'),
		LETTERS('f', 'r', 'i'), LETTERS('s', 'a', 't'),
		LETTERS('s', 'u', 'n'),
	};

	return letters_find(s, days, 7);
}

/* The two digits at p, or -1. */
static int
two_digits(const char *p)
{
	if (!ascii_digit((unsigned char)p[0]) ||
	    !ascii_digit((unsigned char)p[1]))
		return -1;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* The time of day, or -1 when there is none such. */
static int
seconds_of(int hour, int minute, int second)
{
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
	    second < 0 || second > 60)
		return -1;
	return hour * HOUR + minute * MINUTE + second;
}

int
date_clock(struct str s)
{
	if ((s.n != 5 && s.n != 8) || s.p[2] != ':')
		return -1;
	if (s.n == 5)
		return seconds_of(two_digits(s.p), two_digits(s.p + 3), 0);
	if (s.p[5] != ':')
		return -1;
	return seconds_of(two_digits(s.p), two_digits(s.p + 3),
	    two_digits(s.p + 6));
}

/*
 * Names of RFC 5322 4.3, and UTC. Its military letters are left out but for
 * Z: they "SHOULD all be considered equivalent to "-0000"", as must every
 * unknown name, and that is for the caller to say.
 */
static bool
zone_name(struct str s, int *minutes)
{
	static const struct {
		struct str name;
		int hours;
	} zones[] = {
		{ { "GMT", 3 }, 0 }, { { "UT", 2 }, 0 }, { { "UTC", 3 }, 0 },
		{ { "Z", 1 }, 0 }, { { "EST", 3 }, -5 }, { { "EDT", 3 }, -4 },
		{ { "CST", 3 }, -6 }, { { "CDT", 3 }, -5 },
		{ { "MST", 3 }, -7 }, { { "MDT", 3 }, -6 },
		{ { "PST", 3 }, -8 }, { { "PDT", 3 }, -7 },
	};
	size_t i;

	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (str_ieq(zones[i].name, s)) {
			*minutes = zones[i].hours * 60;
			return true;
		}
	return false;
}

/* RFC 5322 3.3: "the last two digits of the zone MUST be within the range
 * 00 through 59"; no zone is a day or more away. */
static bool
zone_number(char sign, int hours, int minutes, int *out)
{
	if (hours < 0 || minutes < 0 || minutes > 59 ||
	    hours * 60 + minutes > ZONE_MAX)
		return false;
	*out = hours * 60 + minutes;
	if (sign == '-')
		*out = -*out;
	return true;
}

bool
date_zone(struct str s, int *minutes)
{
	if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-'))
		return zone_name(s, minutes);
	return zone_number(s.p[0], two_digits(s.p + 1), two_digits(s.p + 3),
	    minutes);
}

/*
 * Date fields. What mail holds is RFC 5322, its obsolete forms, asctime
 * ("Thu Aug 22 07:36:16 2002"), RFC 850 ("Thursday, 22-Aug-02") and every
 * mixture. All have the day before the year and the month in letters, so
 * the parts are told by their looks and may come in any order.
 */
struct reading {
	struct str rest;
	int year, month, day;	/* 0: not seen yet */
	int seconds;		/* -1: not seen yet */
	int zone;
	bool named;		/* zone came as a name */
	bool numbered;		/* zone came as a number, which wins */
};

/* White space and comments, which nest: counted, not recursed into. */
static void
skip_cfws(struct str *rest)
{
	size_t i, depth = 0;
	unsigned char c;

	for (i = 0; i < rest->n; i++) {
		c = (unsigned char)rest->p[i];
		if (c == '(')
			depth++;
		else if (depth == 0 && !ascii_space(c))
			break;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\' && i + 1 < rest->n)
			i++;
	}
	*rest = str_from(*rest, i);
}

/* Cuts a run of digits off and returns its length. The value is -1 when it
 * is too long for any part of a date. */
static size_t
take_digits(struct str *rest, int *value)
{
	size_t n = 0;

	*value = 0;
	for (; n < rest->n && ascii_digit((unsigned char)rest->p[n]); n++)
		*value = n < 4 ? *value * 10 + rest->p[n] - '0' : -1;
	*rest = str_from(*rest, n);
	return n;
}

/* One or two digits, as hours, minutes and seconds have. */
static bool
take_pair(struct str *rest, int *value)
{
	size_t digits = take_digits(rest, value);

	return digits == 1 || digits == 2;
}

/* Is the next byte c? Takes it if so. */
static bool
take(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_from(*rest, 1);
	return true;
}

static bool
digit_at(struct str s, size_t at)
{
	return at < s.n && ascii_digit((unsigned char)s.p[at]);
}

/* ":" with white space allowed around it; or the "." before a digit that
 * some mailers write. */
static bool
take_colon(struct str *rest)
{
	struct str after = *rest;

	if (digit_at(after, 1) && take(&after, '.')) {
		*rest = after;
		return true;
	}
	skip_cfws(&after);
	if (!take(&after, ':'))
		return false;
	skip_cfws(&after);
	*rest = after;
	return true;
}

/* minute [ ":" second ], behind the hour and its colon. */
static bool
read_time(struct reading *r, int hour)
{
	int minute, second = 0, fraction;

	if (!take_pair(&r->rest, &minute))
		return false;
	if (take_colon(&r->rest) && !take_pair(&r->rest, &second))
		return false;
	if (digit_at(r->rest, 1) && take(&r->rest, '.'))
		take_digits(&r->rest, &fraction);
	r->seconds = seconds_of(hour, minute, second);
	return r->seconds >= 0;
}

/*
 * RFC 5322 4.3: two digits 00 to 49 mean 2000 to 2049; from 50 on, and for
 * any three digits, "the year is interpreted by adding 1900".
 */
static int
full_year(int year, size_t digits)
{
	if (digits == 2 && year < 50)
		return year + 2000;
	return digits < 4 ? year + 1900 : year;
}

static bool
read_number(struct reading *r)
{
	int value;
	size_t digits = take_digits(&r->rest, &value);

	if (value < 0)
		return false;
	if (r->seconds < 0 && digits <= 2 && take_colon(&r->rest))
		return read_time(r, value);
	if (r->day == 0 && digits <= 2)
		r->day = value;
	else if (r->year == 0 && digits > 1)
		r->year = full_year(value, digits);
	return true;
}

/*
 * "+hhmm"; also "+hh" and "+hh:mm". The first one counts; what is no
 * possible zone is UTC, as RFC 5322 4.3 says of unknown names.
 */
static void
read_zone(struct reading *r, char sign)
{
	int hours, minutes = 0, zone = 0;
	size_t digits = take_digits(&r->rest, &hours);

	if (digits <= 2) {
		if (digit_at(r->rest, 1) && take(&r->rest, ':'))
			take_digits(&r->rest, &minutes);
	} else if (hours >= 0) {
		minutes = hours % 100;
		hours /= 100;
	}
	zone_number(sign, hours, minutes, &zone);
	if (!r->numbered)
		r->zone = zone;
	r->numbered = true;
}

static void
read_word(struct reading *r)
{
	struct str word = r->rest;
	size_t n = 0;

	while (n < word.n && ascii_alpha((unsigned char)word.p[n]))
		n++;
	word.n = n;
	r->rest = str_from(r->rest, n);
	skip_cfws(&r->rest);
	if (r->day == 0 && take(&r->rest, ','))
		return;		/* a weekday, in whatever language */
	if (r->month == 0 && (r->month = date_month(word)) != 0)
		return;
	if (r->seconds >= 0 && !r->named && !r->numbered)
		r->named = date_zone(word, &r->zone);
}

/* Nothing that follows can say more: it is not looked at. */
static bool
is_whole(const struct reading *r)
{
	return r->numbered && r->day != 0 && r->month != 0 && r->year != 0;
}

int
date_from_822(struct str value, struct date *out)
{
	struct reading r = { .rest = value, .seconds = -1 };
	char c;

	for (skip_cfws(&r.rest); r.rest.n > 0 && !is_whole(&r);
	    skip_cfws(&r.rest)) {
		c = r.rest.p[0];
		if (ascii_alpha((unsigned char)c)) {
			read_word(&r);
		} else if (ascii_digit((unsigned char)c)) {
			/* "disregarding time and timezone": the day may
			 * be whole though the time is none. */
			if (!read_number(&r))
				break;
		} else {
			r.rest = str_from(r.rest, 1);
			if ((c == '+' || c == '-') && r.seconds >= 0 &&
			    digit_at(r.rest, 0))
				read_zone(&r, c);
		}
	}
	if (!is_day(r.year, r.month, r.day))
		return -1;
	if (r.seconds < 0)
		r.seconds = 0;
	out->zone = r.zone;
	out->time = date_day(r.year, r.month, r.day) * DAY + r.seconds -
	    r.zone * MINUTE;
	return 0;
}

/* "-Mon-yyyy" behind the day; 9 bytes at p. */
static int
read_month_year(const char *p, int day, int64_t *out)
{
	int month = date_month((struct str){ p + 1, 3 });
	int century = two_digits(p + 5), year = two_digits(p + 7);

	if (p[0] != '-' || p[4] != '-' || century < 0 || year < 0 ||
	    !is_day(century * 100 + year, month, day))
		return -1;
	*out = date_day(century * 100 + year, month, day);
	return 0;
}

int
date_day_from_imap(struct str s, int64_t *day)
{
	if (s.n == 11)
		return read_month_year(s.p + 2, two_digits(s.p), day);
	if (s.n == 10 && ascii_digit((unsigned char)s.p[0]))
		return read_month_year(s.p + 1, s.p[0] - '0', day);
	return -1;
}

/*
 * RFC 3501 section 9, date-time without its quotes. Strict, for only
 * programs write it, and a wrong guess would stay with the message for
 * ever. date-day-fixed is (SP DIGIT) / 2DIGIT, so every width is fixed.
 */
int
date_from_imap(struct str s, struct date *out)
{
	int64_t day;
	int seconds, zone;
	struct str text = str_sub(s, 0, 11);

	if (s.n != 26 || s.p[11] != ' ' || s.p[20] != ' ' ||
	    (s.p[21] != '+' && s.p[21] != '-'))
		return -1;
	seconds = date_clock(str_sub(s, 12, 8));
	if (s.p[0] == ' ')
		text = str_from(text, 1);
	if (seconds < 0 || date_day_from_imap(text, &day) != 0 ||
	    !date_zone(str_from(s, 21), &zone))
		return -1;
	out->zone = zone;
	out->time = day * DAY + seconds - zone * MINUTE;
	return 0;
}

static void
put_two(char *p, int value)
{
	p[0] = (char)('0' + value / 10);
	p[1] = (char)('0' + value % 10);
}

/* By hand: a FETCH may ask for 50,000 of these, and printf costs more than
 * finding the message does. */
void
date_to_imap(const struct date *d, char out[27])
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t wall = written(d), days = floor_div(wall, DAY);
	int seconds = (int)(wall - days * DAY);
	int year, month, day, zone = d->zone < 0 ? -d->zone : d->zone;

	calendar(days, &year, &month, &day);
	memcpy(out, "  -Mon-yyyy hh:mm:ss +zzzz", 27);
	put_two(out, day);
	if (out[0] == '0')
		out[0] = ' ';	/* date-day-fixed pads with SP */
	memcpy(out + 3, names + 3 * (month - 1), 3);
	put_two(out + 7, year / 100);
	put_two(out + 9, year % 100);
	put_two(out + 12, seconds / HOUR);
	put_two(out + 15, seconds / MINUTE % 60);
	put_two(out + 18, seconds % 60);
	out[21] = d->zone < 0 ? '-' : '+';
	put_two(out + 22, zone / 60 % 100);
	put_two(out + 24, zone % 60);
}

/* Seconds that the server's clock is ahead of UTC at an instant. */
static int
offset_at(int64_t t)
{
	time_t clock = (time_t)t;
	struct tm tm;

	if (localtime_r(&clock, &tm) == NULL)
		return 0;
	return (int)tm.tm_gmtoff;
}

/*
 * The offset under which the server's clock showed `wall`. No zone changes
 * twice within two days, so it is that of the day before or of the day
 * after. Where the clock was put back and `wall` came twice the first time
 * counts; where it was put forward and `wall` never came the old offset
 * does. mktime would say neither for certain: its answer there hangs on
 * what it was asked before, and an internal date may never change.
 */
static int
offset_of_wall(int64_t wall)
{
	int before = offset_at(wall - DAY), after = offset_at(wall + DAY);

	if (before == after || offset_at(wall - before) == before)
		return before;
	return offset_at(wall - after) == after ? after : before;
}

/*
 * The same, remembering days on which the offset does not change, since
 * localtime_r costs more than all the rest of reading a message: the
 * messages of a mailbox share few days. This cache is the one permitted
 * mutable static here; it has a fixed size, and its content is a pure
 * function of the zone, which does not change while a process runs.
 */
static int
local_offset(int64_t wall)
{
	static struct {
		int64_t day;
		int offset;
		enum { UNKNOWN, STEADY, CHANGING } state;
	} cache[256], *slot;
	int64_t day = floor_div(wall, DAY);

	slot = &cache[(uint64_t)day % 256];
	if (slot->state == UNKNOWN || slot->day != day) {
		slot->day = day;
		slot->offset = offset_of_wall(day * DAY);
		slot->state = slot->offset ==
		    offset_of_wall(day * DAY + DAY - 1) ? STEADY : CHANGING;
	}
	return slot->state == STEADY ? slot->offset : offset_of_wall(wall);
}

void
date_from_local(int64_t wall_seconds, struct date *out)
{
	int offset = local_offset(wall_seconds);

	out->time = wall_seconds - offset;
	out->zone = offset / MINUTE;
}

void
date_to_local(struct date *d)
{
	d->zone = offset_at(d->time) / MINUTE;
}
