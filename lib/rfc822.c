/*
 * rfc822.c - header fields, and the addresses in them. Everything here was
 * written by strangers: no input fails, each byte is looked at a bounded
 * number of times, and nothing recurses. It may not decode encoded words
 * (codec.h) and knows no MIME.
 */
#include "rfc822.h"

#include <string.h>

bool
header_ends(struct str text)
{
	return str_starts(text, STR("\n")) || str_starts(text, STR("\r\n"));
}

/* RFC 5322 3.6.8: "ftext = %d33-57 / %d59-126". */
static bool
is_name(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < 33 || s.p[i] > 126)
			return false;
	return s.n > 0;
}

/* The length of the first line of text, its end included. */
static size_t
line_length(struct str text)
{
	return str_sub(text, 0, str_index(text, '\n') + 1).n;
}

/*
 * A line of white space only goes on with the field, as RFC 5322 4.2 has it
 * ("a line which makes up a folded header field could be composed entirely
 * of white space"); only a line with nothing in it ends the header. Where a
 * name is missing the line is kept, so that no byte of a header gets lost.
 */
bool
header_next(struct str *rest, struct field *out)
{
	struct str line;
	size_t n, colon;

	if (rest->n == 0 || header_ends(*rest))
		return false;
	n = line_length(*rest);
	line = str_sub(*rest, 0, n);
	while (n < rest->n && (rest->p[n] == ' ' || rest->p[n] == '\t'))
		n += line_length(str_from(*rest, n));
	out->whole = str_sub(*rest, 0, n);
	*rest = str_from(*rest, n);

	colon = str_index(line, ':');
	out->name = str_sub(line, 0, colon);
	while (out->name.n > 0 && (out->name.p[out->name.n - 1] == ' ' ||
	    out->name.p[out->name.n - 1] == '\t'))
		out->name.n--;
	if (colon == line.n || !is_name(out->name)) {
		out->name.n = 0;
		out->value = str_chomp(out->whole);
	} else {
		out->value = str_chomp(str_from(out->whole, colon + 1));
	}
	return true;
}

bool
header_find(struct str header, struct str name, struct field *out)
{
	while (header_next(&header, out))
		if (str_ieq(out->name, name))
			return true;
	return false;
}

/*
 * RFC 5322 2.2.3: "Unfolding is accomplished by simply removing any CRLF
 * that is immediately followed by WSP." Inside a field every line end is,
 * or the field would have ended there. Runs of white space are the sender's
 * own and stay: a Subject is no structured field.
 */
struct str
header_unfold(struct pool *pool, struct str value)
{
	struct str line, out;
	char *to;

	value = str_trim(value);
	if (value.n == 0 || memchr(value.p, '\n', value.n) == NULL)
		return value;
	to = pool_alloc(pool, value.n);
	out = (struct str){ to, 0 };
	while (str_line(&value, &line)) {
		line = str_chomp(line);
		memcpy(to + out.n, line.p, line.n);
		out.n += line.n;
	}
	return out;
}

/*
 * *rest begins with "(". Comments nest, so they are counted. A backslash
 * may be the last byte there is.
 */
static struct str
comment_take(struct str *rest)
{
	struct str inside;
	size_t i, depth = 0;

	for (i = 0; i < rest->n; i++) {
		if (rest->p[i] == '\\')
			i++;
		else if (rest->p[i] == '(')
			depth++;
		else if (rest->p[i] == ')' && --depth == 0)
			break;
	}
	inside = i < rest->n ? str_sub(*rest, 1, i - 1) : str_from(*rest, 1);
	*rest = str_from(*rest, i + 1);
	return inside;
}

bool
lex_space(struct str *rest, struct str *comment)
{
	const char *begin = rest->p;
	struct str inside;

	while (rest->n > 0) {
		if (ascii_space((unsigned char)*rest->p)) {
			rest->p++;
			rest->n--;
		} else if (*rest->p == '(') {
			inside = comment_take(rest);
			if (comment != NULL && str_trim(inside).n > 0)
				*comment = inside;
		} else {
			break;
		}
	}
	return rest->p != begin;
}

/* The quote that ends it is the first one without a backslash before it. */
struct str
lex_quoted(struct str *rest)
{
	struct str inside;
	size_t i;

	for (i = 1; i < rest->n && rest->p[i] != '"'; i++)
		if (rest->p[i] == '\\')
			i++;
	inside = str_sub(*rest, 1, i - 1);
	*rest = str_from(*rest, i + 1);
	return inside;
}

/*
 * RFC 5322 3.2.4: "the "\" in any quoted-pair and the CRLF in any FWS/CFWS
 * that appears within the quoted-string are semantically "invisible"". A
 * lone CR or LF goes as well: it could only have been meant as one.
 */
size_t
lex_unquote(char *to, struct str raw)
{
	size_t i, n = 0;

	for (i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\' && i + 1 < raw.n)
			i++;
		if (raw.p[i] != '\r' && raw.p[i] != '\n')
			to[n++] = raw.p[i];
	}
	return n;
}

/*
 * Addresses. An item is looked at as a phrase first, up to the "<", ":", ","
 * or ";" that says what it is; when it is no phrase it is read again as an
 * addr-spec. Text goes to one piece of memory as long as the value, which
 * is enough: each byte of it comes from another byte of the value.
 */
enum run { PHRASE, LOCAL, BRACKETED, DOMAIN };

/* What ends a run of plain bytes; all else, 8-bit bytes too, is plain. */
static const bool special[256] = {
	[' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true,
	['('] = true, ['"'] = true, [','] = true, [':'] = true,
	[';'] = true, ['<'] = true, ['>'] = true, ['@'] = true,
	['['] = true,
};

/*
 * Does what comes next end this run of words? There is something next. In a
 * phrase an "@" is taken as a letter: programs write the address itself as
 * its name and forget the quotes.
 */
static bool
stops(const struct addr_list *list, enum run run)
{
	switch (*list->rest.p) {
	case ',':
	case '<':
		return true;
	case ';':
		/* "<undisclosed-recipients:;@host>" is of one piece. */
		return run != BRACKETED || list->in_group;
	case ':':
		return run == DOMAIN || (run == PHRASE && !list->in_group);
	case '>':
	case '@':
		return run != PHRASE;
	default:
		return false;
	}
}

static bool
at(const struct addr_list *list, char c)
{
	return list->rest.n > 0 && *list->rest.p == c;
}

/* Over one byte, if there is one. */
static void
skip(struct addr_list *list)
{
	list->rest = str_from(list->rest, 1);
}

/*
 * A domain-literal, with its brackets. Its colons are none of a group. One
 * that is not closed may not swallow the addresses behind it.
 */
static void
literal(struct addr_list *list)
{
	struct str *rest = &list->rest;
	char c;

	do {
		c = *rest->p;
		if (c == ',' || c == ';' || c == '<' || c == '>' || c == '"')
			return;
		if (!ascii_space((unsigned char)c))
			*list->out++ = c;
		skip(list);
	} while (rest->n > 0 && c != ']');
}

/*
 * Takes one token and returns its last byte; `last` is the one before. What
 * is special here but stops no run (a ":" in a group, a stray "[") is one
 * with the text behind it.
 */
static char
token(struct addr_list *list, char last)
{
	struct str *rest = &list->rest;
	size_t n = 1;
	char c;

	if (*rest->p == '"') {
		list->out += lex_unquote(list->out, lex_quoted(rest));
		return '"';
	}
	if (*rest->p == '[' && last == '@') {
		literal(list);
		return ']';
	}
	while (n < rest->n && !special[(unsigned char)rest->p[n]])
		n++;
	memcpy(list->out, rest->p, n);
	list->out += n;
	c = rest->p[n - 1];
	*rest = str_from(*rest, n);
	return c;
}

/*
 * Words and dots as one text; p == NULL when there is none. RFC 5322 3.2.2:
 * "Runs of FWS, comment, or CFWS that occur between lexical tokens [...] are
 * semantically interpreted as a single space character"; around the dots of
 * an addr-spec (4.4) they are nothing, and in a domain they end it.
 */
static struct str
words(struct addr_list *list, enum run run)
{
	struct str text = { NULL, 0 };
	char *begin = list->out;
	char last = run == DOMAIN ? '@' : '\0';
	bool space;

	for (;;) {
		space = lex_space(&list->rest, &list->comment);
		if (list->rest.n == 0 || stops(list, run))
			break;
		if (space && text.p != NULL && (run == PHRASE ||
		    (last != '.' && *list->rest.p != '.'))) {
			if (run == DOMAIN)
				break;
			*list->out++ = ' ';
		}
		text.p = begin;
		last = token(list, last);
	}
	text.n = (size_t)(list->out - begin);
	return text;
}

/* run is what the local part is: LOCAL or BRACKETED. */
static void
addr_spec(struct addr_list *list, enum run run, struct addr *out)
{
	out->mailbox = words(list, run);
	if (at(list, '@')) {
		skip(list);
		out->host = words(list, DOMAIN);
	}
}

/* obs-domain-list ":"; a comma is kept only where the input has one, so
 * that the text does not grow. */
static struct str
route(struct addr_list *list)
{
	struct str text = { list->out, 0 };
	bool comma = false;

	for (;;) {
		lex_space(&list->rest, &list->comment);
		if (at(list, '@')) {
			if (comma && list->out > text.p)
				*list->out++ = ',';
			*list->out++ = '@';
			comma = false;
		} else if (at(list, ',')) {
			comma = true;
		} else {
			break;
		}
		skip(list);
		if (!comma)
			words(list, DOMAIN);
	}
	if (at(list, ':'))
		skip(list);
	text.n = (size_t)(list->out - text.p);
	return text.n > 0 ? text : (struct str){ NULL, 0 };
}

/* *rest begins with "<". When the ">" is missing, the next separator
 * counts as one: the addresses behind it are whole. */
static void
angle(struct addr_list *list, struct addr *out)
{
	skip(list);
	lex_space(&list->rest, &list->comment);
	if (at(list, '@') || at(list, ','))
		out->route = route(list);
	addr_spec(list, BRACKETED, out);
	while (list->rest.n > 0 && !at(list, '>') && !at(list, ',') &&
	    !at(list, ';') && !at(list, '<'))
		skip(list);
	if (at(list, '>'))
		skip(list);
	lex_space(&list->rest, &list->comment);
}

/*
 * What RFC 3501 7.4.2 wants said, whatever stood there. The comment as name
 * is the old "simple form where the addr-spec appears without the angle
 * brackets, but included the name of the recipient in parentheses as a
 * comment following the addr-spec" (RFC 5322 3.4).
 */
static void
complete(struct addr_list *list, struct addr *out)
{
	struct str comment;

	if (out->name.n == 0 && list->comment.n > 0) {
		comment.p = list->out;
		comment.n = lex_unquote(list->out, list->comment);
		list->out += comment.n;
		out->name = str_trim(comment);
	}
	if (out->name.n == 0)
		out->name.p = NULL;
	if (out->host.n == 0)
		out->host = out->mailbox.p == NULL ?
		    STR(".SYNTAX-ERROR.") : STR(".MISSING-HOST-NAME.");
	if (out->mailbox.p == NULL)
		out->mailbox = STR("INVALID_ADDRESS");
}

/* One allocation for all addresses of a field: mail with 10^6 of them is
 * sent to find out how they are kept. */
void
addr_begin(struct addr_list *list, struct pool *pool, struct str value)
{
	*list = (struct addr_list){ .rest = value };
	list->out = pool_alloc(pool, value.n);
}

/* To the next item, over empty ones (obs-addr-list) and stray brackets. */
static void
separators(struct addr_list *list)
{
	do {
		list->comment.n = 0;
		lex_space(&list->rest, &list->comment);
		if (!at(list, ',') && !at(list, '>') &&
		    !(at(list, ';') && !list->in_group))
			return;
		skip(list);
	} while (list->rest.n > 0);
}

/* *rest begins with the ":" behind a display-name. A name there must be:
 * RFC 3501 7.4.2 tells the begin of a group from its end by it. */
static void
group(struct addr_list *list, struct addr *out)
{
	skip(list);
	list->in_group = true;
	out->kind = ADDR_GROUP_BEGIN;
	out->mailbox = out->name.p == NULL ? STR("") : out->name;
	out->name = (struct str){ NULL, 0 };
}

/* All that is no group's end; there is at least one byte of it. */
static void
item(struct addr_list *list, struct addr *out)
{
	struct addr_list begin = *list;

	/* Several addresses may stand in one stretch without a comma: only
	 * the first of them has to look through all of it. */
	if (list->plain == NULL || list->rest.p >= list->plain) {
		out->name = words(list, PHRASE);
		if (at(list, ':')) {
			group(list, out);
			return;
		}
		if (at(list, '<')) {
			angle(list, out);
			complete(list, out);
			return;
		}
		begin.plain = list->rest.p;
		*list = begin;
		out->name = (struct str){ NULL, 0 };
	}
	addr_spec(list, LOCAL, out);
	complete(list, out);
}

/* The end of the value ends an open group too: a client that saw the begin
 * marker waits for the other one. */
bool
addr_next(struct addr_list *list, struct addr *out)
{
	*out = (struct addr){ .kind = ADDR_ONE };
	separators(list);
	if (list->rest.n > 0 && !at(list, ';')) {
		item(list, out);
		return true;
	}
	if (!list->in_group)
		return false;
	skip(list);
	list->in_group = false;
	out->kind = ADDR_GROUP_END;
	return true;
}

/* RFC 5322 3.6 permits each of these once; what a second one may mean
 * differs between texts and addresses. */
static const struct slot {
	struct str name;
	size_t at;
	bool addresses;
} slots[] = {
	{ { "Date", 4 }, offsetof(struct envelope, date), false },
	{ { "Subject", 7 }, offsetof(struct envelope, subject), false },
	{ { "From", 4 }, offsetof(struct envelope, from), true },
	{ { "Sender", 6 }, offsetof(struct envelope, sender), true },
	{ { "Reply-To", 8 }, offsetof(struct envelope, reply_to), true },
	{ { "To", 2 }, offsetof(struct envelope, to), true },
	{ { "Cc", 2 }, offsetof(struct envelope, cc), true },
	{ { "Bcc", 3 }, offsetof(struct envelope, bcc), true },
	{ { "In-Reply-To", 11 }, offsetof(struct envelope, in_reply_to),
	    false },
	{ { "Message-ID", 10 }, offsetof(struct envelope, message_id), false },
};

void
envelope_read(struct str header, struct envelope *out)
{
	const struct slot *slot, *end = slots + sizeof(slots) / sizeof(*slots);
	struct field f;
	struct str *value;

	memset(out, 0, sizeof(*out));
	while (header_next(&header, &f)) {
		for (slot = slots; slot < end; slot++)
			if (slot->name.n == f.name.n &&
			    str_ieq(slot->name, f.name))
				break;
		if (slot == end)
			continue;
		value = (struct str *)(void *)((char *)out + slot->at);
		if (value->p == NULL)
			*value = f.value;
		else
			out->repeated |= slot->addresses;
	}
}
