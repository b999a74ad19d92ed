/*
 * date.h - RFC 5322, IMAP and From_ dates. Instants are seconds since 1970
 * UTC plus the zone they were written in; all years 1..9999 are good.
 */
#ifndef DATE_H
#define DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct date {
	int64_t time;		/* seconds since 1970-01-01 00:00:00 UTC */
	int zone;		/* minutes east of UTC, as written */
};

/* Days since 1970-01-01 of a calendar day (proleptic Gregorian). */
int64_t	date_day(int year, int month, int day);
/* The calendar day as written: local to d->zone. Days since 1970. */
int64_t	date_day_written(const struct date *d);
/* 1..12 for an English month name's first three letters, any case, else 0.
 * What follows them is not looked at. */
int	date_month(struct str s);
/* 1 (Mon) .. 7 (Sun) for a weekday's first three letters, likewise. */
int	date_weekday(struct str s);

/* "hh:mm" or "hh:mm:ss", all of s: seconds since midnight, or -1. A second
 * may be 60, the leap second (RFC 5322 3.3). */
int	date_clock(struct str s);
/* "+hhmm", "-hhmm" or a zone name of RFC 5322 4.3 or "UTC", all of s, to
 * minutes east. False for any other, and for no possible number. */
bool	date_zone(struct str s, int *minutes);

/*
 * Reads the value of a Date field: [day-of-week ","] date time zone with
 * obsolete forms (RFC 5322 3.3, 4.3): 2- and 3-digit years, named zones,
 * comments, missing seconds, missing zone (then UTC, "-0000"). 0 or -1.
 */
int	date_from_822(struct str value, struct date *out);

/* date-time of APPEND without its quotes: dd-Mon-yyyy hh:mm:ss +zzzz, the
 * day one digit with a leading SP or two (RFC 3501 section 9). 0 or -1. */
int	date_from_imap(struct str s, struct date *out);
/* date-text of SEARCH: d-Mon-yyyy. Days since 1970 into *day. 0 or -1. */
int	date_day_from_imap(struct str s, int64_t *day);
/* INTERNALDATE without quotes, 26 bytes: "17-Jul-1996 02:44:25 -0700". */
void	date_to_imap(const struct date *d, char out[27]);

/*
 * Wall clock in the server's zone to an instant: sets both fields. Cheap on
 * repeated days (it keeps the offsets of days it has seen).
 */
void	date_from_local(int64_t wall_seconds, struct date *out);
/* An instant in the server's zone: fills d->zone for d->time. */
void	date_to_local(struct date *d);

#endif
