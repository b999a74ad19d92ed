/*
 * validate_rules.c - the ground of the response validator: classes of bytes,
 * the lexical rules of RFC 3501 section 9, and the rules that more than one
 * of the other files needs. Knows no response and keeps no state.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "validate_in.h"

enum {
	/* A line's free bytes, and an atom's: nearly all bytes are one. */
	FREE = C_TEXT | C_QUOTED,
	PLAIN = FREE | C_ATOM | C_ASTRING | C_TAG,
	/* Flags of one list that are compared with each other. */
	FLAGS_COMPARED = 64,
};

/*
 * CHAR is %x01-7f (RFC 5234 appendix B.1), so the controls but CR and LF
 * are TEXT-CHARs; a byte that is not named here has no class.
 */
static const unsigned char classes[256] = {
	[0x01 ... 0x09] = FREE,
	[0x0b ... 0x0c] = FREE,
	[0x0e ... 0x1f] = FREE,
	[' '] = FREE,
	['!'] = PLAIN,
	['"'] = C_TEXT,
	['#' ... '$'] = PLAIN,
	['%'] = FREE,
	['&' ... '\''] = PLAIN,
	['(' ... '*'] = FREE,
	['+'] = FREE | C_ATOM | C_ASTRING | C_BASE64,
	[',' ... '.'] = PLAIN,
	['/'] = PLAIN | C_BASE64,
	['0' ... '9'] = PLAIN | C_DIGIT | C_BASE64,
	[':' ... '@'] = PLAIN,
	['A' ... 'Z'] = PLAIN | C_BASE64,
	['['] = PLAIN,
	['\\'] = C_TEXT,
	[']'] = FREE | C_ASTRING | C_TAG,
	['^' ... '`'] = PLAIN,
	['a' ... 'z'] = PLAIN | C_BASE64,
	['{'] = FREE,
	['|' ... '~'] = PLAIN,
	[0x7f] = FREE,
};

bool
v_class(char c, unsigned class)
{
	return classes[(unsigned char)c] & class;
}

/* Notes what was expected at `at`. Always false, for `return v_fail(...)`. */
bool
v_fail(struct validator *v, const char *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->found->expected, sizeof(v->found->expected), fmt, ap);
	va_end(ap);
	v->found->offset = (size_t)(at - v->start);
	return false;
}

/* s is the name, in any case. */
bool
v_is(struct slice s, const char *name)
{
	return strnlen(name, s.n + 1) == s.n &&
	    strncasecmp(s.p, name, s.n) == 0;
}

const struct row *
v_row(const struct row *table, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++) {
		if (v_is(name, table[i].name))
			return &table[i];
	}
	return NULL;
}

bool
v_next(const struct validator *v, char c)
{
	return v->p < v->end && *v->p == c;
}

bool
v_byte(struct validator *v, char c)
{
	if (!v_next(v, c))
		return v_fail(v, v->p, "\"%c\"", c);
	v->p++;
	return true;
}

/* RFC 3501 section 9: "In all cases, SP refers to exactly one space." */
bool
v_sp(struct validator *v)
{
	if (!v_next(v, ' '))
		return v_fail(v, v->p, "SP");
	v->p++;
	return true;
}

bool
v_crlf(struct validator *v)
{
	if (v->end - v->p < 2 || v->p[0] != '\r' || v->p[1] != '\n')
		return v_fail(v, v->p, "CRLF");
	v->p += 2;
	return true;
}

/* A fixed word, in any case. */
bool
v_word(struct validator *v, const char *word)
{
	size_t i;

	for (i = 0; word[i]; i++) {
		if (v->p + i == v->end || strncasecmp(v->p + i, word + i, 1))
			return v_fail(v, v->p, "\"%s\"", word);
	}
	v->p += i;
	return true;
}

/* All bytes of that class that follow; perhaps none. */
struct slice
v_run(struct validator *v, unsigned class)
{
	struct slice s = { v->p, 0 };

	while (v->p < v->end && v_class(*v->p, class))
		v->p++;
	s.n = (size_t)(v->p - s.p);
	return s;
}

/*
 * number = 1*DIGIT ; Unsigned 32-bit integer (0 <= n < 4,294,967,296)
 */
bool
v_number(struct validator *v, uint32_t *n)
{
	struct slice s = v_run(v, C_DIGIT);
	uint64_t value = 0;

	for (size_t i = 0; i < s.n; i++) {
		value = value * 10 + (uint64_t)(s.p[i] - '0');
		if (value > UINT32_MAX)
			return v_fail(v, s.p, "a number below 4294967296");
	}
	if (s.n == 0)
		return v_fail(v, s.p, "number");
	*n = (uint32_t)value;
	return true;
}

/*
 * nz-number = digit-nz *DIGIT
 */
bool
v_nz_number(struct validator *v, uint32_t *n)
{
	const char *at = v->p;

	if (v_next(v, '0'))
		return v_fail(v, at, "nz-number, which starts with 1 to 9");
	return v_number(v, n);
}

/*
 * "UIDNEXT" SP nz-number / "UIDVALIDITY" SP nz-number
 */
bool
v_sp_nz_number(struct validator *v)
{
	uint32_t unused;

	return v_sp(v) && v_nz_number(v, &unused);
}

/*
 * quoted      = DQUOTE *QUOTED-CHAR DQUOTE
 * QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> /
 *               "\" quoted-specials
 */
static bool
quoted(struct validator *v, struct slice *content)
{
	const char *start = v->p + 1;
	size_t escapes = 0;

	if (!v_byte(v, '"'))
		return false;
	for (;;) {
		v_run(v, C_QUOTED);
		if (!v_next(v, '\\'))
			break;
		if (v->end - v->p < 2 || (v->p[1] != '"' && v->p[1] != '\\'))
			return v_fail(v, v->p + 1,
			    "'\"' or \"\\\" after \"\\\" in a quoted string");
		v->p += 2;
		escapes++;
	}
	if (!v_next(v, '"'))
		return v_fail(v, v->p, "QUOTED-CHAR or the closing '\"'");
	content->p = start;
	content->n = (size_t)(v->p - start) - escapes;
	v->p++;
	return true;
}

/*
 * literal = "{" number "}" CRLF *CHAR8
 * CHAR8   = %x01-ff
 */
bool
v_literal(struct validator *v, struct slice *content)
{
	const char *nul;
	uint32_t n;

	if (!v_byte(v, '{') || !v_number(v, &n) || !v_byte(v, '}') ||
	    !v_crlf(v))
		return false;
	if ((size_t)(v->end - v->p) < n)
		return v_fail(v, v->end, "%zu more octets of a literal",
		    n - (size_t)(v->end - v->p));
	nul = memchr(v->p, '\0', n);
	if (nul != NULL)
		return v_fail(v, nul, "CHAR8, which is never NUL");
	content->p = v->p;
	content->n = n;
	v->p += n;
	return true;
}

/*
 * string = quoted / literal
 *
 * content->n counts the octets meant; content->p has the escapes still in.
 */
bool
v_string(struct validator *v, struct slice *content)
{
	if (v_next(v, '"'))
		return quoted(v, content);
	if (v_next(v, '{'))
		return v_literal(v, content);
	return v_fail(v, v->p, "string");
}

/*
 * nil = "NIL"
 */
bool
v_nil(struct validator *v)
{
	return v_word(v, "NIL");
}

/*
 * nstring = string / nil
 */
bool
v_nstring(struct validator *v, struct slice *content)
{
	if (v_next(v, '"') || v_next(v, '{'))
		return v_string(v, content);
	if (!v_next(v, 'N') && !v_next(v, 'n'))
		return v_fail(v, v->p, "nstring");
	*content = (struct slice){ 0 };
	return v_nil(v);
}

/*
 * astring      = 1*ASTRING-CHAR / string
 * ASTRING-CHAR = ATOM-CHAR / resp-specials
 */
bool
v_astring(struct validator *v)
{
	struct slice content;

	if (v_next(v, '"') || v_next(v, '{'))
		return v_string(v, &content);
	if (v_run(v, C_ASTRING).n == 0)
		return v_fail(v, v->p, "astring");
	return true;
}

/*
 * text = 1*TEXT-CHAR
 */
bool
v_text(struct validator *v)
{
	if (v_run(v, C_TEXT).n == 0)
		return v_fail(v, v->p, "text");
	return true;
}

/*
 * flag           = "\Answered" / "\Flagged" / "\Deleted" /
 *                  "\Seen" / "\Draft" / flag-keyword / flag-extension
 * flag-extension = "\" atom
 * flag-keyword   = atom
 * flag-fetch     = flag / "\Recent"
 * flag-perm      = flag / "\*"
 *
 * "Server implementations MUST NOT generate flag-extension flags except as
 * defined by future standard [...] revisions": there are none.
 */
static bool
flag(struct validator *v, enum flag_kind kind)
{
	static const char *const system_flags[] = {
		"Answered", "Flagged", "Deleted", "Seen", "Draft",
	};
	const char *at = v->p;
	struct slice name;

	if (!v_next(v, '\\'))
		return v_run(v, C_ATOM).n > 0 || v_fail(v, at, "flag");
	v->p++;
	if (kind == FLAG_PERM && v_next(v, '*')) {
		v->p++;
		return true;
	}
	name = v_run(v, C_ATOM);
	if (kind == FLAG_FETCH && v_is(name, "Recent"))
		return true;
	for (size_t i = 0; i < sizeof(system_flags) / sizeof(*system_flags);
	    i++) {
		if (v_is(name, system_flags[i]))
			return true;
	}
	return v_fail(v, at, "a system flag that may stand here");
}

/*
 * flag-list = "(" [flag *(SP flag)] ")"
 *
 * A set: the same flag twice is refused too.
 */
bool
v_flags(struct validator *v, enum flag_kind kind)
{
	struct slice seen[FLAGS_COMPARED];
	size_t n = 0;

	if (!v_byte(v, '('))
		return false;
	while (!v_next(v, ')')) {
		struct slice s;

		if (n > 0 && !v_sp(v))
			return false;
		s.p = v->p;
		if (!flag(v, kind))
			return false;
		s.n = (size_t)(v->p - s.p);
		for (size_t i = 0; i < n && i < FLAGS_COMPARED; i++) {
			if (s.n == seen[i].n &&
			    strncasecmp(s.p, seen[i].p, s.n) == 0)
				return v_fail(v, s.p, "each flag once");
		}
		if (n < FLAGS_COMPARED)
			seen[n] = s;
		n++;
	}
	return v_byte(v, ')');
}

/*
 * uid-set   = (uniqueid / uid-range) *("," uid-set)
 * uid-range = (uniqueid ":" uniqueid)
 *
 * RFC 4315, and the sets of other responses too, none of which may hold
 * "*". *count is how many numbers the set names.
 */
bool
v_uid_set(struct validator *v, uint64_t *count)
{
	uint32_t first, last;

	*count = 0;
	for (;;) {
		if (!v_nz_number(v, &first))
			return false;
		last = first;
		if (v_next(v, ':')) {
			v->p++;
			if (!v_nz_number(v, &last))
				return false;
		}
		*count += first < last ? (uint64_t)last - first + 1 :
		    (uint64_t)first - last + 1;
		if (!v_next(v, ','))
			return true;
		v->p++;
	}
}

/* Exactly n digits, the value not above max. */
static bool
digits(struct validator *v, unsigned n, unsigned max, unsigned *value)
{
	const char *at = v->p;

	*value = 0;
	for (unsigned i = 0; i < n; i++, v->p++) {
		if (v->p == v->end || !v_class(*v->p, C_DIGIT))
			return v_fail(v, v->p, "DIGIT");
		*value = *value * 10 + (unsigned)(*v->p - '0');
	}
	return *value <= max || v_fail(v, at, "at most %u", max);
}

/*
 * date-day-fixed = (SP DIGIT) / 2DIGIT
 */
static bool
date_day_fixed(struct validator *v, unsigned *day)
{
	unsigned wide = 2;

	if (v_next(v, ' ')) {
		v->p++;
		wide = 1;
	}
	return digits(v, wide, 31, day);
}

/*
 * date-month = "Jan" / "Feb" / "Mar" / "Apr" / "May" / "Jun" /
 *              "Jul" / "Aug" / "Sep" / "Oct" / "Nov" / "Dec"
 */
static bool
date_month(struct validator *v, unsigned *month)
{
	static const char *const names[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};

	for (*month = 0; *month < 12; ++*month) {
		if (v->end - v->p >= 3 &&
		    strncasecmp(v->p, names[*month], 3) == 0) {
			v->p += 3;
			return true;
		}
	}
	return v_fail(v, v->p, "date-month");
}

/* Is there such a day? The month counts from 0. */
static bool
day_exists(unsigned day, unsigned month, unsigned year)
{
	static const unsigned char days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
	};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return day >= 1 && day <= days[month] + (month == 1 && leap ? 1u : 0);
}

/*
 * time = 2DIGIT ":" 2DIGIT ":" 2DIGIT ; Hours minutes seconds
 *
 * 60 is a leap second's number.
 */
static bool
time_of_day(struct validator *v)
{
	unsigned unused;

	return digits(v, 2, 23, &unused) && v_byte(v, ':') &&
	    digits(v, 2, 59, &unused) && v_byte(v, ':') &&
	    digits(v, 2, 60, &unused);
}

/*
 * zone = ("+" / "-") 4DIGIT ; hhmm
 */
static bool
zone(struct validator *v)
{
	unsigned unused;

	if (!v_next(v, '+') && !v_next(v, '-'))
		return v_fail(v, v->p, "zone");
	v->p++;
	return digits(v, 2, 23, &unused) && digits(v, 2, 59, &unused);
}

/*
 * date-time = DQUOTE date-day-fixed "-" date-month "-" date-year
 *             SP time SP zone DQUOTE
 * date-year = 4DIGIT
 */
bool
v_date_time(struct validator *v)
{
	const char *at = v->p;
	unsigned day, month, year;

	if (!v_byte(v, '"') || !date_day_fixed(v, &day) || !v_byte(v, '-') ||
	    !date_month(v, &month) || !v_byte(v, '-') ||
	    !digits(v, 4, 9999, &year) || !v_sp(v) || !time_of_day(v) ||
	    !v_sp(v) || !zone(v) || !v_byte(v, '"'))
		return false;
	return day_exists(day, month, year) ||
	    v_fail(v, at, "a day that this month has");
}
