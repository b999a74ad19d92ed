/*
 * flags.c - one table of system flags, and the keywords of a mailbox. It
 * decides only what a legal name is; whether a keyword found in a delivered
 * message is to be believed is decided elsewhere.
 */
#include "flags.h"

#include <string.h>

/*
 * RFC 3501 2.3.2 for the names; mbox.md 2.1 for the letters, as UW-imapd
 * and Dovecot write them in Status (R, O) and X-Status (D, F, A, T).
 */
static const struct {
	unsigned bit;
	struct str name;	/* empty: no client ever sees it */
	char letter;		/* 0: no file ever holds it */
} flags[] = {
	{ FLAG_ANSWERED, { "\\Answered", 9 }, 'A' },
	{ FLAG_FLAGGED, { "\\Flagged", 8 }, 'F' },
	{ FLAG_DELETED, { "\\Deleted", 8 }, 'D' },
	{ FLAG_DRAFT, { "\\Draft", 6 }, 'T' },
	{ FLAG_SEEN, { "\\Seen", 5 }, 'R' },
	{ FLAG_OLD, { "", 0 }, 'O' },
	{ FLAG_RECENT, { "\\Recent", 7 }, 0 },
};

enum { FLAGS = sizeof(flags) / sizeof(flags[0]) };

unsigned
flag_find(struct str name)
{
	size_t i;

	for (i = 0; i < FLAGS; i++)
		if (name.n > 0 && str_ieq(flags[i].name, name))
			return flags[i].bit;
	return 0;
}

struct str
flag_name(unsigned bit)
{
	size_t i;

	for (i = 0; i < FLAGS; i++)
		if (flags[i].bit == bit)
			return flags[i].name;
	return STR("");
}

unsigned
status_read(struct str value)
{
	unsigned found = 0;
	size_t at, i;

	for (at = 0; at < value.n; at++)
		for (i = 0; i < FLAGS; i++)
			if (flags[i].letter != 0 &&
			    flags[i].letter == value.p[at])
				found |= flags[i].bit;
	return found;
}

/*
 * RFC 3501 section 9: ATOM-CHAR is "any CHAR except atom-specials", and
 * those are "(" ")" "{" SP CTL list-wildcards quoted-specials
 * resp-specials.
 */
static bool
is_atom_char(unsigned char c)
{
	static const char specials[] = "(){%*\"\\]";

	return c > ' ' && c < 0x7f &&
	    memchr(specials, c, sizeof(specials) - 1) == NULL;
}

bool
keyword_valid(struct str s)
{
	size_t i;

	if (s.n == 0 || s.n > KEYWORD_MAX_BYTES)
		return false;
	for (i = 0; i < s.n; i++)
		if (!is_atom_char((unsigned char)s.p[i]))
			return false;
	return true;
}

int
keyword_find(const struct keywords *k, struct str s)
{
	unsigned i;

	for (i = 0; i < k->n; i++)
		if (str_ieq(keyword_name(k, i), s))
			return (int)i;
	return -1;
}

int
keyword_add(struct keywords *k, struct str s)
{
	int at = keyword_find(k, s);

	if (at >= 0)
		return at;
	if (!keyword_valid(s) || k->n == KEYWORDS_MAX)
		return -1;
	memcpy(k->name[k->n], s.p, s.n);
	k->len[k->n] = (uint8_t)s.n;
	return (int)k->n++;
}

struct str
keyword_name(const struct keywords *k, unsigned i)
{
	return (struct str){ k->name[i], k->len[i] };
}
