/*
 * validate_state.c - what a stream proves beyond its grammar: message
 * numbers and sizes that agree with what was told before, and, when the
 * client's commands are known, that each was answered once, in order and
 * with the responses it requires. Sound rather than complete: a legal
 * stream is never refused, some illegal ones are not seen.
 *
 * Without the commands a SELECT shows itself only at its tagged line, yet
 * all numbers change meaning at some point before it. So a breach of the
 * numbers is first a doubt, and a violation only when the tagged line says
 * OK and no FLAGS response came, which RFC 3501 6.3.1 requires of a SELECT.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "validate_in.h"

enum {
	/* Messages above this number are not remembered: bounds memory. */
	MESSAGES_MAX = 1 << 22,
	/* How far a UID is compared with its neighbours'. */
	NEIGHBOURS = 64,
};

/* What was told of one message; it may not change, RFC 3501 2.3.1.1. */
struct message {
	uint32_t uid;		/* 0: nothing */
	uint64_t size;		/* in octets, plus one; 0: nothing */
};

/* Law that hangs on the command. */
struct command_rule {
	const char *name;
	unsigned needs;		/* SEEN_ responses before a tagged OK */
	bool selects;
	bool no_expunge;
	bool numbers;		/* its results are sequence numbers */
};

/*
 * Needs: the "REQUIRED untagged response" of the command's section, and of
 * EXAMINE its code: 6.3.2, "MUST begin with the "[READ-ONLY]" response code".
 * RFC 3501 7.4.1: EXPUNGE "MUST NOT be sent [...] while responding to a FETCH,
 * STORE, or SEARCH command"; RFC 5256 section 3 says so for SORT and THREAD.
 */
static const struct command_rule command_rules[] = {
	{ .name = "CAPABILITY", .needs = SEEN_CAPABILITY },
	{ .name = "LOGOUT", .needs = SEEN_BYE },
	{ .name = "SELECT", .selects = true,
	    .needs = SEEN_FLAGS | SEEN_EXISTS | SEEN_RECENT },
	{ .name = "EXAMINE", .selects = true,
	    .needs = SEEN_FLAGS | SEEN_EXISTS | SEEN_RECENT |
	    SEEN_READ_ONLY },
	{ .name = "STATUS", .needs = SEEN_STATUS },
	{ .name = "FETCH", .no_expunge = true },
	{ .name = "STORE", .no_expunge = true },
	{ .name = "SEARCH", .needs = SEEN_SEARCH, .no_expunge = true,
	    .numbers = true },
	{ .name = "UID SEARCH", .needs = SEEN_SEARCH },
	{ .name = "SORT", .needs = SEEN_SORT, .no_expunge = true,
	    .numbers = true },
	{ .name = "UID SORT", .needs = SEEN_SORT },
	{ .name = "THREAD", .needs = SEEN_THREAD, .no_expunge = true,
	    .numbers = true },
	{ .name = "UID THREAD", .needs = SEEN_THREAD },
	{ .name = "NAMESPACE", .needs = SEEN_NAMESPACE },
	{ .name = "ID", .needs = SEEN_ID },
};

static const struct command_rule authenticate = { .name = "AUTHENTICATE" };
static const struct command_rule any_other = { .name = "command" };

/* "UID" and its verb are one name; one word else. */
static struct slice
command_name(struct slice line)
{
	const char *end = line.p + line.n;
	const char *space = memchr(line.p, ' ', line.n);
	struct slice word = { line.p, 0 };

	word.n = (size_t)((space ? space : end) - line.p);
	if (space != NULL && v_is(word, "UID")) {
		space = memchr(space + 1, ' ', (size_t)(end - space - 1));
		word.n = (size_t)((space ? space : end) - line.p);
	}
	return word;
}

static const struct command_rule *
rule_find(struct slice name)
{
	size_t rows = sizeof(command_rules) / sizeof(*command_rules);

	for (size_t i = 0; i < rows; i++) {
		if (v_is(name, command_rules[i].name))
			return &command_rules[i];
	}
	return v_is(name, authenticate.name) ? &authenticate : &any_other;
}

static bool
commands_known(const struct validator *v)
{
	return v->options->commands != NULL;
}

/* The next line of the client's commands becomes the one in progress. */
static void
next_command(struct validator *v)
{
	struct state *s = &v->state;
	const char *end, *space, *lf;
	struct slice line;

	s->command = NULL;
	if (!commands_known(v))
		return;
	end = v->options->commands + v->options->commands_n;
	if (s->next_command == end)
		return;
	line.p = s->next_command;
	lf = memchr(line.p, '\n', (size_t)(end - line.p));
	line.n = (size_t)((lf ? lf : end) - line.p);
	s->next_command = lf ? lf + 1 : end;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	space = memchr(line.p, ' ', line.n);
	s->tag.p = line.p;
	s->tag.n = space ? (size_t)(space - line.p) : line.n;
	line.p += s->tag.n + (space != NULL);
	line.n -= s->tag.n + (space != NULL);
	s->command = rule_find(command_name(line));
}

void
state_start(struct validator *v)
{
	v->state.next_command = v->options->commands;
	next_command(v);
}

void
state_free(struct validator *v)
{
	free(v->state.messages);
}

/*
 * The numbers contradict each other: no breach during a SELECT, a doubt
 * when the command is not known.
 */
static bool
doubt(struct validator *v, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool
doubt(struct validator *v, const char *at, const char *fmt, ...)
{
	struct violation *found = &v->state.doubt;
	bool known = commands_known(v);
	va_list ap;

	if (known && v->state.command != NULL && v->state.command->selects)
		return true;
	if (!known && v->state.doubted)
		return true;
	v->state.doubted = true;
	va_start(ap, fmt);
	vsnprintf(found->expected, sizeof(found->expected), fmt, ap);
	va_end(ap);
	found->offset = (size_t)(at - v->start);
	if (known)
		*v->found = *found;
	return !known;
}

/* Room for message `number`; NULL if it is not to be remembered. */
static struct message *
message(struct state *s, uint32_t number)
{
	if (number == 0 || number > MESSAGES_MAX)
		return NULL;
	if (s->first + number > s->room) {
		size_t room = number < 512 ? 1024 : (size_t)number * 2;
		struct message *m = malloc(room * sizeof(*m));

		if (m == NULL)
			return NULL;
		if (s->n > 0)
			memcpy(m, s->messages + s->first, s->n * sizeof(*m));
		free(s->messages);
		s->messages = m;
		s->room = room;
		s->first = 0;
	}
	if (number > s->n) {
		memset(s->messages + s->first + s->n, 0,
		    (number - s->n) * sizeof(*s->messages));
		s->n = number;
	}
	return &s->messages[s->first + number - 1];
}

/* Moves the shorter side: a mailbox emptied from its start costs nothing. */
static void
message_remove(struct state *s, uint32_t number)
{
	struct message *m;
	size_t before = number - 1;

	if (number == 0 || number > s->n)
		return;
	m = s->messages + s->first;
	s->n--;
	if (before < s->n - before) {
		memmove(m + 1, m, before * sizeof(*m));
		s->first++;
	} else {
		memmove(m + before, m + number,
		    (s->n - before) * sizeof(*m));
	}
}

static void
forget_messages(struct state *s)
{
	s->first = s->n = 0;
}

/*
 * EXISTS "MUST be recorded by the client": RFC 3501 7.4.1 lets the number
 * fall by EXPUNGE only.
 */
bool
state_exists(struct validator *v, const char *at, uint32_t n)
{
	struct state *s = &v->state;
	uint32_t before = s->exists;

	s->exists = n;
	if (n < before) {
		forget_messages(s);
		return doubt(v, at, "EXISTS not below %u without an EXPUNGE",
		    before);
	}
	return true;
}

/* Both numbers may be told before EXISTS is, so they are kept. */
bool
state_recent(struct validator *v, const char *at, uint32_t n)
{
	v->state.recent = n;
	v->state.recent_at = at;
	return true;
}

void
state_unseen(struct validator *v, const char *at, uint32_t n)
{
	v->state.unseen = n;
	v->state.unseen_at = at;
	v->state.seen |= SEEN_UNSEEN;
}

/* Two that follow each other are both of the mailbox now selected. */
void
state_flags(struct validator *v, struct slice list)
{
	v->state.flags = list;
}

/* Of a list with parentheses, the next name from *at on. */
static bool
next_flag(struct slice list, size_t *at, struct slice *flag)
{
	while (*at < list.n && strchr("() ", list.p[*at]) != NULL)
		++*at;
	flag->p = list.p + *at;
	while (*at < list.n && strchr("() ", list.p[*at]) == NULL)
		++*at;
	flag->n = (size_t)(list.p + *at - flag->p);
	return flag->n > 0;
}

/*
 * RFC 3501 7.1, PERMANENTFLAGS: "indicates which of the known flags the
 * client can change permanently". Known is what FLAGS said just before.
 */
bool
state_permanent(struct validator *v, struct slice list)
{
	size_t at = 0, other;
	struct slice flag, known;

	if (!(v->state.seen & SEEN_FLAGS))
		return true;
	while (next_flag(list, &at, &flag)) {
		if (flag.n == 2 && memcmp(flag.p, "\\*", 2) == 0)
			continue;
		other = 0;
		while (next_flag(v->state.flags, &other, &known))
			if (known.n == flag.n &&
			    strncasecmp(known.p, flag.p, flag.n) == 0)
				break;
		if (known.n == 0)
			return v_fail(v, flag.p, "a flag of the FLAGS"
			    " response");
	}
	return true;
}

/* May messages vanish now? RFC 3501 7.4.1, RFC 7162 3.2.10.2. */
static bool
may_expunge(struct validator *v, const char *at)
{
	const struct command_rule *command = v->state.command;

	if (!commands_known(v))
		return true;
	if (command == NULL)
		return v_fail(v, at, "no EXPUNGE without a command");
	return !command->no_expunge ||
	    v_fail(v, at, "no EXPUNGE during %s", command->name);
}

bool
state_expunge(struct validator *v, const char *at, uint32_t number)
{
	struct state *s = &v->state;

	if (!may_expunge(v, at))
		return false;
	message_remove(s, number);
	if (number > s->exists)
		return doubt(v, at, "EXPUNGE of a number up to %u",
		    s->exists);
	s->exists--;
	return true;
}

/*
 * RFC 7162 3.2.10.2: "each UID listed in a VANISHED response results in
 * the client decrementing the message count by one".
 */
bool
state_vanished(struct validator *v, const char *at, uint64_t count)
{
	struct state *s = &v->state;

	if (!may_expunge(v, at))
		return false;
	forget_messages(s);
	if (count > s->exists)
		return doubt(v, at, "at most %u UIDs", s->exists);
	s->exists -= (uint32_t)count;
	return true;
}

/*
 * RFC 3501 2.3.1.1: UIDs "are assigned in a strictly ascending fashion".
 */
static bool
uid_fits(struct state *s, uint32_t number, uint32_t uid)
{
	const struct message *m = s->messages + s->first + number - 1;

	for (size_t i = 1; i < number && i <= NEIGHBOURS; i++) {
		if (m[-(ptrdiff_t)i].uid != 0) {
			if (m[-(ptrdiff_t)i].uid >= uid)
				return false;
			break;
		}
	}
	for (size_t i = 1; i <= s->n - number && i <= NEIGHBOURS; i++) {
		if (m[i].uid != 0)
			return m[i].uid > uid;
	}
	return true;
}

static bool
fetched_uid(struct validator *v, const char *at, uint32_t number,
    struct message *m, uint32_t uid)
{
	uint32_t before = m->uid;

	m->uid = uid;
	if (before != 0 && before != uid)
		return doubt(v, at, "UID %u of message %u, as told before",
		    before, number);
	if (before == 0 && !uid_fits(&v->state, number, uid))
		return doubt(v, at, "UIDs in the order of the messages");
	return true;
}

/* RFC822.SIZE and the octets of BODY[], of this answer or another. */
static bool
fetched_size(struct validator *v, const char *at, uint32_t number,
    struct message *m, uint64_t size)
{
	uint64_t before = m->size;

	if (size == UINT64_MAX)
		return true;
	m->size = size + 1;
	if (before != 0 && before != size + 1)
		return doubt(v, at,
		    "%ju octets of message %u, as told before",
		    (uintmax_t)before - 1, number);
	return true;
}

/* The sizes inside one answer: no other mailbox can excuse them. */
static bool
sizes_agree(struct validator *v, const char *at, const struct fetched *f)
{
	uint64_t whole = f->whole != UINT64_MAX ? f->whole : f->size;

	if (f->size != UINT64_MAX && f->size != whole)
		return v_fail(v, at, "RFC822.SIZE %ju, the octets of BODY[]",
		    (uintmax_t)whole);
	if (whole != UINT64_MAX && f->header != UINT64_MAX &&
	    f->text != UINT64_MAX && f->header + f->text != whole)
		return v_fail(v, at, "header and text of %ju octets together",
		    (uintmax_t)whole);
	return true;
}

bool
state_fetch(struct validator *v, const char *at, uint32_t number,
    const struct fetched *f)
{
	struct message *m;

	if (!sizes_agree(v, at, f))
		return false;
	if (number > v->state.exists)
		return doubt(v, at, "FETCH of a number up to %u",
		    v->state.exists);
	m = message(&v->state, number);
	if (m == NULL)
		return true;
	if (f->uid != UINT64_MAX &&
	    !fetched_uid(v, at, number, m, (uint32_t)f->uid))
		return false;
	return fetched_size(v, at, number, m, f->size) &&
	    fetched_size(v, at, number, m, f->whole);
}

/* A result of SEARCH, SORT or THREAD. */
bool
state_found(struct validator *v, const char *at, uint32_t number)
{
	const struct command_rule *command = v->state.command;

	if (command == NULL || !command->numbers ||
	    number <= v->state.exists)
		return true;
	return v_fail(v, at, "a number up to %u", v->state.exists);
}

/* RFC 4466 search-correlator: the tag of the command. */
bool
state_correlator(struct validator *v, const char *at, struct slice tag)
{
	const struct state *s = &v->state;

	if (s->command == NULL ||
	    (tag.n == s->tag.n && memcmp(tag.p, s->tag.p, tag.n) == 0))
		return true;
	return v_fail(v, at, "the tag \"%.*s\"", (int)s->tag.n, s->tag.p);
}

bool
state_authenticating(const struct validator *v)
{
	return v->state.command == &authenticate;
}

/* Before any untagged response. */
bool
state_untagged(struct validator *v)
{
	if (!v->state.bye)
		return true;
	return v_fail(v, v->p, v->state.closed ? "the end, after BYE" :
	    "a tagged line or the end, after BYE");
}

bool
state_continue(struct validator *v)
{
	if (commands_known(v) && v->state.command == NULL)
		return v_fail(v, v->p, "no \"+\" without a command");
	return state_untagged(v);
}

/* What stands in the way of a tagged OK; true if nothing does. */
static bool
answered(struct validator *v, const char *at)
{
	const struct command_rule *command = v->state.command;
	unsigned seen = v->state.seen;

	if (command != NULL && (seen & command->needs) != command->needs)
		return v_fail(v, at,
		    "the required untagged responses before OK to %s",
		    command->name);
	if (!(seen & SEEN_EXISTS) || (seen & SEEN_EXPUNGE))
		return true;
	if (seen & SEEN_RECENT && v->state.recent > v->state.exists)
		return v_fail(v, v->state.recent_at,
		    "RECENT not above EXISTS, %u", v->state.exists);
	if (seen & SEEN_UNSEEN && v->state.unseen > v->state.exists)
		return v_fail(v, v->state.unseen_at,
		    "UNSEEN not above EXISTS, %u", v->state.exists);
	return true;
}

/* Each command is answered once, in the order in which they came. */
static bool
in_turn(struct validator *v, struct slice tag)
{
	const struct state *s = &v->state;

	if (!commands_known(v))
		return true;
	if (s->command == NULL)
		return v_fail(v, tag.p, "no more tagged lines");
	return (tag.n == s->tag.n && memcmp(tag.p, s->tag.p, tag.n) == 0) ||
	    v_fail(v, tag.p, "an answer to \"%.*s\"", (int)s->tag.n,
	    s->tag.p);
}

/* A tagged line, read to its end. */
bool
state_tagged(struct validator *v, struct slice tag, bool ok)
{
	struct state *s = &v->state;
	unsigned seen = s->seen;
	bool selected;

	if (s->closed)
		return v_fail(v, tag.p, "the end, after BYE");
	if (!in_turn(v, tag))
		return false;
	selected = s->command != NULL ? s->command->selects :
	    seen & SEEN_FLAGS && seen & SEEN_EXISTS;
	if (s->doubted && ok && !(seen & SEEN_FLAGS)) {
		*v->found = s->doubt;
		return false;
	}
	if (ok && !answered(v, tag.p))
		return false;
	if (selected)
		forget_messages(s);
	s->doubted = false;
	s->seen = 0;
	s->closed = s->bye;
	next_command(v);
	return true;
}

/* After the last byte: is every command answered? */
bool
state_end(struct validator *v)
{
	const struct state *s = &v->state;

	if (s->command == NULL || s->bye)
		return true;
	return v_fail(v, v->p, "an answer to \"%.*s\"", (int)s->tag.n,
	    s->tag.p);
}
