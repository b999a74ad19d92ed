/*
 * match.c - LIST patterns. The places in the name that the pattern read so
 * far can end at are kept as a set, and each byte of the pattern moves that
 * set one step: nothing is ever tried twice, so a pattern full of wildcards
 * costs its length times the name's and no more. The obvious recursive
 * matcher took 12 s for eleven stars.
 */
#include "match.h"

#include <string.h>

#include "params.h"

struct places {
	struct str name;
	size_t folded;		/* bytes at its start without case: INBOX */
	size_t low;		/* first place in the set */
	size_t high;		/* last one; low > high: there is none */
	bool on[NAME_MAX_BYTES + 1];	/* good between low and high only */
};

static bool
is_wild(char c)
{
	return c == '*' || c == '%';	/* list-wildcards */
}

/*
 * "*" is "zero or more characters at this position" (RFC 3501 6.3.8): from
 * the first place on, all of them.
 */
static void
step_star(struct places *set)
{
	set->high = set->name.n;
	memset(set->on + set->low, true, set->high - set->low + 1);
}

/* "%" is the same "but it does not match a hierarchy delimiter". */
static void
step_percent(struct places *set, char delimiter)
{
	size_t at;
	bool on = false;

	for (at = set->low; at <= set->name.n; at++) {
		if (at <= set->high)
			on = on || set->on[at];
		else if (!on)
			break;
		set->on[at] = on;
		if (at < set->name.n && set->name.p[at] == delimiter)
			on = false;
	}
	set->high = at - 1;
}

/* Does the byte of the name at `at` equal c? */
static inline bool
is_at(const struct places *set, size_t at, char c)
{
	if (at < set->folded)
		return ascii_lower((unsigned char)set->name.p[at]) ==
		    ascii_lower((unsigned char)c);
	return set->name.p[at] == c;
}

/* Any other byte stands for itself: each place moves on by one or dies. */
static void
step_byte(struct places *set, char c)
{
	size_t at;

	if (set->high < set->name.n)
		set->high++;
	for (at = set->high; at > set->low; at--)
		set->on[at] = set->on[at - 1] && is_at(set, at - 1, c);
	set->low++;
}

/* Draws low and high in to the places that are left. False: none is. */
static bool
tighten(struct places *set)
{
	while (set->low <= set->high && !set->on[set->low])
		set->low++;
	while (set->low <= set->high && !set->on[set->high])
		set->high--;
	return set->low <= set->high;
}

/*
 * RFC 3501 5.1: INBOX is "a special name reserved to mean "the primary
 * mailbox for this user on this server"", in any case; so is the first
 * level of what lies below it.
 */
static size_t
folded(struct str name, char delimiter)
{
	const struct str inbox = STR("INBOX");

	if (!str_istarts(name, inbox))
		return 0;
	return name.n == inbox.n || name.p[inbox.n] == delimiter ? inbox.n : 0;
}

/*
 * With `below`, true as soon as the name is used up and pattern is left,
 * for some longer name has what is left, whatever it is. A wildcard counts
 * as left even when it has taken bytes: it can take more. A name beyond
 * NAME_MAX_BYTES can be the argument of no command and matches nothing.
 */
static bool
run(struct str pattern, struct str name, char delimiter, bool below)
{
	struct places set;
	size_t i;

	if (name.n > NAME_MAX_BYTES)
		return false;
	set.name = name;
	set.folded = folded(name, delimiter);
	set.low = set.high = 0;
	set.on[0] = true;
	for (i = 0; i < pattern.n; i++) {
		if (below && set.high == name.n)
			return true;
		if (pattern.p[i] == '*')
			step_star(&set);
		else if (pattern.p[i] == '%')
			step_percent(&set, delimiter);
		else
			step_byte(&set, pattern.p[i]);
		if (!tighten(&set))
			return false;
		if (below && set.high == name.n && is_wild(pattern.p[i]))
			return true;
	}
	return !below && set.high == name.n;
}

bool
match_list(struct str pattern, struct str name, char delimiter)
{
	return run(pattern, name, delimiter, false);
}

bool
match_list_below(struct str pattern, struct str prefix, char delimiter)
{
	return run(pattern, prefix, delimiter, true);
}
