/*
 * fromline.c - is this line a From_ line, what does it say, and how is one
 * written? Read from its end, word by word, since the sender in front may
 * hold anything, even spaces (mbox.md 1.3). Every candidate line of a
 * mailbox passes here: no allocation, and nothing but the tail of the line
 * is looked at. Whether a From_ line begins a message also hangs on the
 * lines around it, which only the caller sees.
 */
#include "fromline.h"

#include <string.h>

/* Longest line, with its end: struct msg keeps the length in 16 bits. */
enum { FROMLINE_MAX_BYTES = 65535 };

/* No mailbox is older than the one; a clock beyond the other is wrong. */
enum { YEAR_MIN = 1970, YEAR_MAX = 2199 };

/* A date as its words are found. */
struct stamp {
	int year;
	int month;
	int day;
	int seconds;
	int zone;
	bool has_zone;
	bool short_year;
};

/* Without its end; the CR stays behind when a caller has cut at the LF. */
static struct str
chomp(struct str line)
{
	line = str_chomp(line);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* Cuts the last word, and the spaces before it, off *line. Behind a space
 * at the very end of the line stands an empty word, which is no date. */
static struct str
word_back(struct str *line)
{
	size_t at = line->n;
	struct str word;

	while (at > 0 && line->p[at - 1] != ' ')
		at--;
	word = (struct str){ line->p + at, line->n - at };
	while (at > 0 && line->p[at - 1] == ' ')
		at--;
	line->n = at;
	return word;
}

/* ("+" / "-") 4DIGIT */
static bool
is_zone_number(struct str s)
{
	size_t i;

	if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-'))
		return false;
	for (i = 1; i < s.n; i++)
		if (!ascii_digit((unsigned char)s.p[i]))
			return false;
	return true;
}

/* 1*5ALPHA */
static bool
is_zone_name(struct str s)
{
	size_t i;

	if (s.n < 1 || s.n > 5)
		return false;
	for (i = 0; i < s.n; i++)
		if (!ascii_alpha((unsigned char)s.p[i]))
			return false;
	return true;
}

/*
 * zone = ("+" / "-") 4DIGIT / 1*5ALPHA [SP 3ALPHA], or nothing. A name that
 * date_zone does not know, and any of two words ("MET DST"), was written by
 * a program under this server's own zone, so it counts as none. Where two
 * zones are given the last one counts.
 */
static void
take_zone(struct str *line, struct stamp *d)
{
	struct str rest = *line, word, two;
	const char *end = line->p + line->n;

	/* Few lines have one: two bytes show that before any word is cut. */
	if (line->n < 5 || (!ascii_alpha((unsigned char)end[-1]) &&
	    end[-5] != '+' && end[-5] != '-'))
		return;
	word = word_back(&rest);
	two = rest;
	if (!is_zone_number(word) && !is_zone_name(word))
		return;
	if (word.n == 3 && is_zone_name(word_back(&two)))
		rest = two;
	else if (!d->has_zone)
		d->has_zone = date_zone(word, &d->zone);
	*line = rest;
}

/* Four digits in the range, or two of this or the last century. */
static bool
read_year(struct str word, struct stamp *d)
{
	uint32_t year;

	if ((word.n != 2 && word.n != 4) || !str_u32(word, &year))
		return false;
	d->short_year = word.n == 2;
	if (d->short_year)
		year += year < YEAR_MIN % 100 ? 2000 : 1900;
	d->year = (int)year;
	return year >= YEAR_MIN && year <= YEAR_MAX;
}

/* One or two digits, 1..31: UW-imapd looks no closer, nor do we. */
static bool
read_day(struct str word, struct stamp *d)
{
	uint32_t day;

	if (word.n > 2 || !str_u32(word, &day))
		return false;
	d->day = (int)day;
	return day >= 1 && day <= 31;
}

static bool
read_month(struct str word, struct stamp *d)
{
	d->month = word.n == 3 ? date_month(word) : 0;
	return d->month != 0;
}

/* DAY SP MON SP YEAR behind "DOW,", before a time: Dovecot reads these. */
static bool
read_mail_day(struct str *line, struct stamp *d)
{
	struct str dow;

	if (!read_year(word_back(line), d) || d->short_year ||
	    !read_month(word_back(line), d) || !read_day(word_back(line), d))
		return false;
	dow = word_back(line);
	return dow.n == 4 && dow.p[3] == ',' && date_weekday(dow) != 0;
}

/*
 * The date at the end of *line, which is cut off. What the last word is
 * tells the order: a time ends the order of mail fields, a year ctime's.
 */
static enum fromline_kind
read_date(struct str *line, struct stamp *d)
{
	struct str word;

	take_zone(line, d);
	word = word_back(line);
	if ((d->seconds = date_clock(word)) >= 0)
		return read_mail_day(line, d) ? FROMLINE_LAX : FROMLINE_NOT;
	if (!read_year(word, d))
		return FROMLINE_NOT;
	take_zone(line, d);
	if ((d->seconds = date_clock(word_back(line))) < 0 ||
	    !read_day(word_back(line), d) || !read_month(word_back(line), d))
		return FROMLINE_NOT;
	word = word_back(line);
	if (word.n != 3 || date_weekday(word) == 0)
		return FROMLINE_NOT;
	return d->short_year ? FROMLINE_LAX : FROMLINE_STRICT;
}

/* Cuts " remote from host" off, which UUCP put behind the date. */
static bool
cut_remote(struct str *line)
{
	struct str rest = *line;

	if (word_back(&rest).n == 0 ||
	    !str_eq(word_back(&rest), STR("from")) ||
	    !str_eq(word_back(&rest), STR("remote")))
		return false;
	*line = rest;
	return true;
}

/* "user at host", as archives disguise it. Bodies quote such lines, so
 * mbox.md 1.3 asks for the blank line before them. */
static bool
is_disguised(struct str sender)
{
	if (word_back(&sender).n == 0 ||
	    !str_eq(word_back(&sender), STR("at")))
		return false;
	return word_back(&sender).n > 0 && sender.n == 0;
}

/*
 * The date is tried first and "remote from" cut off only when it is not
 * there: hardly a mailbox has it, and every line would pay. Times and days
 * that no clock shows (25:00, the 32nd) make it body text: no program has
 * ever written them, so no mail is hidden by that.
 */
enum fromline_kind
fromline_read(struct str line, struct fromline *out)
{
	struct str rest, whole;
	struct stamp d = { 0 };
	enum fromline_kind kind;

	if (line.n > FROMLINE_MAX_BYTES || !str_starts(line, STR("From ")))
		return FROMLINE_NOT;
	line = str_from(chomp(line), 5);
	whole = rest = line;
	kind = read_date(&rest, &d);
	if (kind == FROMLINE_NOT && cut_remote(&whole)) {
		rest = whole;
		d = (struct stamp){ 0 };
		kind = read_date(&rest, &d);
	}
	if (kind == FROMLINE_NOT)
		return kind;
	rest = str_trim(rest);
	if (kind == FROMLINE_STRICT && is_disguised(rest))
		kind = FROMLINE_LAX;
	if (out != NULL) {
		out->sender = rest;
		out->wall = date_day(d.year, d.month, d.day) * 86400 +
		    d.seconds;
		out->zone = d.zone;
		out->has_zone = d.has_zone;
	}
	return kind;
}

void
fromline_date(const struct fromline *from, struct date *out)
{
	if (!from->has_zone) {
		date_from_local(from->wall, out);
		return;
	}
	out->zone = from->zone;
	out->time = from->wall - (int64_t)from->zone * 60;
}

/* Within the years of a From_ line, by the clock that the date names. */
static struct date
in_range(struct date d)
{
	int64_t zone = (int64_t)d.zone * 60;
	int64_t first = date_day(YEAR_MIN, 1, 1) * 86400 - zone;
	int64_t last = date_day(YEAR_MAX + 1, 1, 1) * 86400 - 1 - zone;

	if (d.time < first)
		d.time = first;
	if (d.time > last)
		d.time = last;
	return d;
}

/*
 * As ctime has it, by the server's clock, which all programs read, and
 * without a zone. Where that would not be read back as the same instant in
 * the same zone (another zone; an hour that comes twice) it is the clock of
 * the date's zone, and the zone behind it, as UW writes it (mbox.md 1.4).
 */
void
fromline_write(struct str sender, const struct date *date, struct buf *out)
{
	const struct date d = in_range(*date);
	struct date local;
	char imap[27];		/* "17-Jul-1996 02:44:25 -0700" */
	struct str text = { imap, 26 };
	/* The first day of 1970 was a Thursday. */
	size_t weekday = (size_t)(date_day_written(&d) + 3) % 7;

	date_to_imap(&d, imap);
	date_from_local(d.time + (int64_t)d.zone * 60, &local);
	buf_add(out, STR("From "));
	buf_add(out, sender);
	buf_addc(out, ' ');
	buf_add(out, str_sub(STR("MonTueWedThuFriSatSun"), weekday * 3, 3));
	buf_addc(out, ' ');
	buf_add(out, str_sub(text, 3, 3));
	buf_addc(out, ' ');
	buf_add(out, str_sub(text, 0, 2));
	buf_add(out, str_sub(text, 11, 10));
	buf_add(out, str_sub(text, 7, 4));
	if (local.time != d.time)
		buf_add(out, str_from(text, 20));
	buf_addc(out, '\n');
}

/*
 * RFC 5322 2.2: a field name is "printable US-ASCII characters (i.e.,
 * characters that have values between 33 and 126, inclusive), except
 * colon". White space before the colon (4.5, obsolete) is not allowed
 * here: prose has it too, and no delivered header begins with it.
 */
bool
fromline_header_like(struct str line)
{
	size_t i;
	unsigned char c;

	line = chomp(line);
	if (line.n == 0 || str_starts(line, STR(">From ")))
		return true;
	for (i = 0; i < line.n; i++) {
		c = (unsigned char)line.p[i];
		if (c < 33 || c > 126)
			return false;
		if (c == ':')
			return i > 0;
	}
	return false;
}
