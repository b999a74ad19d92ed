/*
 * parse.c - the IMAP grammar over io: takes a command byte by byte and
 * simply waits when more of it must come, so no state is kept between reads.
 * What a client may make us hold is bounded here: the line, each literal,
 * all literals together, nesting. Touches no mailbox, and sends nothing but
 * the "+" that a literal waits for.
 */
#include "parse.h"

#include <string.h>

#include "reply.h"
#include "lib/date.h"
#include "lib/params.h"

/* How much of "{", digits, "+", "}" the bytes taken last spell. */
enum announce { ANNOUNCE_NOT, ANNOUNCE_OPEN, ANNOUNCE_SIZE, ANNOUNCE_PLUS,
	ANNOUNCE_DONE };

/* What a byte may stand in (RFC 3501 section 9). */
enum {
	IN_ATOM = 1,
	IN_ASTRING = 2,		/* atom and resp-specials */
	IN_LIST = 4,		/* that and list-wildcards */
	IN_TAG = 8,
	IN_WORD = 16,
};

static const char MISSING[] = "Missing or invalid argument";

void
parse_begin(struct parser *p, struct io *io, struct pool *pool,
    uint32_t literal_max)
{
	*p = (struct parser){
		.io = io,
		.pool = pool,
		.literal_max = literal_max,
		.literals_left = LITERALS_MAX_BYTES,
		.line_left = LINE_MAX_BYTES,
		.drain_left = LITERAL_DRAIN_BYTES,
	};
}

static int
fault(struct parser *p, enum parse_fault what, const char *code,
    const char *why)
{
	p->fault = what;
	p->code = code;
	p->why = why;
	return -1;
}

/* The first complaint stands: later ones only follow from it. */
int
parse_bad(struct parser *p, const char *why)
{
	if (p->fault == PARSE_FINE)
		fault(p, PARSE_SYNTAX, NULL, why);
	return -1;
}

int
parse_limit(struct parser *p, const char *why)
{
	return fault(p, PARSE_TOO_BIG, "LIMIT", why);
}

static int
ended(struct parser *p)
{
	return fault(p, PARSE_ENDED, NULL, "Command was cut off");
}

/*
 * The end of a regular file ends its last line too. On a connection it does
 * not: half a command, cut off by the network, must not run.
 */
static bool
ends_line(const struct parser *p, int c)
{
	return c == '\n' || (c == IO_EOF && p->io->in_file);
}

int
parse_peek(struct parser *p)
{
	int c;

	if (p->fault != PARSE_FINE)
		return -1;
	if (p->at_end)
		return '\n';
	c = io_peek(p->io);
	if (c == '\r') {
		io_take(p->io);
		c = io_peek(p->io);
		if (c >= 0 && c != '\n') {
			p->announce = ANNOUNCE_NOT;
			return parse_bad(p, "Bare CR in command");
		}
	}
	if (ends_line(p, c))
		return '\n';
	if (c < 0)
		return ended(p);
	if (c == '\0')
		return parse_bad(p, "NUL in command");
	if (p->line_left == 0)
		return parse_limit(p, "Command line too long");
	return c;
}

/*
 * RFC 7888 section 3: the receiver "MUST check the end of every received
 * line for an open brace ('{') followed by an octet count, a plus ('+'), and
 * a close brace ('}')", whatever the grammar made of the line. So every byte
 * of it passes here. The size saturates: all that is too big is alike.
 */
static void
watch(struct parser *p, int c)
{
	unsigned was = p->announce;

	p->announce = ANNOUNCE_NOT;
	if (c == '{') {
		p->announce = ANNOUNCE_OPEN;
		p->announced = 0;
	} else if (c >= '0' && c <= '9' &&
	    (was == ANNOUNCE_OPEN || was == ANNOUNCE_SIZE)) {
		p->announce = ANNOUNCE_SIZE;
		if (__builtin_mul_overflow(p->announced, 10, &p->announced) ||
		    __builtin_add_overflow(p->announced, (unsigned)(c - '0'),
		    &p->announced))
			p->announced = UINT64_MAX;
	} else if (c == '+' && was == ANNOUNCE_SIZE)
		p->announce = ANNOUNCE_PLUS;
	else if (c == '}' && was == ANNOUNCE_PLUS)
		p->announce = ANNOUNCE_DONE;
}

/* Takes the byte c that parse_peek just returned; never a line end. */
static void
take(struct parser *p, int c)
{
	io_take(p->io);
	p->line_left--;
	watch(p, c);
}

/* Takes the line end that parse_peek just returned. */
static void
take_line_end(struct parser *p)
{
	if (io_peek(p->io) == '\n')
		io_take(p->io);
	p->announce = ANNOUNCE_NOT;
}

static unsigned
class_of(int c)
{
	/* atom-specials but "]", SP and CTL; 8-bit bytes are no CHAR. */
	if (c <= ' ' || c >= 0x7f || memchr("(){\"\\", c, 5) != NULL)
		return 0;
	if (c == '%' || c == '*')
		return IN_LIST;
	if (c == ']')
		return IN_LIST | IN_ASTRING | IN_TAG;
	if (c == '+')
		return IN_LIST | IN_ASTRING | IN_ATOM;
	if (ascii_alpha((unsigned char)c) || ascii_digit((unsigned char)c) ||
	    c == '.' || c == '-')
		return IN_LIST | IN_ASTRING | IN_TAG | IN_ATOM | IN_WORD;
	return IN_LIST | IN_ASTRING | IN_TAG | IN_ATOM;
}

/* Bytes gathered in the pool; what outgrown rooms waste is less than it. */
struct token {
	char *p;
	size_t n;
	size_t room;
};

static void
token_add(struct parser *p, struct token *t, int c)
{
	char *more;

	if (t->n == t->room) {
		t->room = t->room == 0 ? 32 : t->room * 2;
		more = pool_alloc(p->pool, t->room);
		if (t->n > 0)
			memcpy(more, t->p, t->n);
		t->p = more;
	}
	t->p[t->n++] = (char)c;
}

/* A run of at least one byte of the class. */
static int
run(struct parser *p, unsigned class, struct str *out)
{
	struct token t = { 0 };
	int c;

	while ((class_of(c = parse_peek(p)) & class) != 0) {
		take(p, c);
		token_add(p, &t, c);
	}
	if (t.n == 0)
		return parse_bad(p, MISSING);
	*out = (struct str){ t.p, t.n };
	return p->fault == PARSE_FINE ? 0 : -1;
}

/*
 * *tag is set only to what may be sent back: legal characters, and not too
 * many. "tag = 1*<any ASTRING-CHAR except "+">".
 */
int
parse_tag(struct parser *p, struct str *tag)
{
	struct str s;
	int c;

	*tag = (struct str){ NULL, 0 };
	if (parse_peek(p) == '\n')
		return parse_bad(p, "Null command");
	if (run(p, IN_TAG, &s) != 0)
		return -1;
	if (s.n > TAG_MAX_BYTES)
		return parse_bad(p, "Excessively long tag");
	c = parse_peek(p);
	if (c != ' ' && c != '\n')
		return parse_bad(p, "Invalid tag");
	*tag = s;
	return 0;
}

int
parse_char(struct parser *p, char c)
{
	int next = parse_peek(p);

	if (next != (unsigned char)c)
		return parse_bad(p, MISSING);
	take(p, next);
	return 0;
}

/* Section 9, note (2): "In all cases, SP refers to exactly one space." */
int
parse_space(struct parser *p)
{
	return parse_char(p, ' ');
}

bool
parse_if(struct parser *p, char c)
{
	int next = parse_peek(p);

	if (next != (unsigned char)c)
		return false;
	take(p, next);
	return true;
}

int
parse_end(struct parser *p)
{
	if (parse_peek(p) != '\n')
		return parse_bad(p, "Argument given when none expected");
	if (!p->at_end)
		take_line_end(p);
	p->at_end = true;
	return 0;
}

/*
 * The line is no command: whatever is in it, it ends at its LF, and nothing
 * announces a literal.
 */
int
parse_sasl(struct parser *p, struct str challenge, struct str *out)
{
	struct reply reply = { p->io };
	struct token t = { 0 };
	size_t n;
	int c;

	reply_raw(&reply, STR("+ "));
	reply_raw(&reply, challenge);
	reply_raw(&reply, STR("\r\n"));
	p->at_end = false;
	for (n = 0; !ends_line(p, c = io_peek(p->io)); n++) {
		if (c < 0)
			return ended(p);
		if (n == LITERAL_DRAIN_BYTES)
			return fault(p, PARSE_FATAL, "LIMIT",
			    "Response is far too long");
		io_take(p->io);
		if (t.n < SASL_LINE_BYTES + 2)
			token_add(p, &t, c);
	}
	take_line_end(p);
	p->at_end = true;
	if (t.n > 0 && t.p[t.n - 1] == '\r')
		t.n--;
	*out = (struct str){ t.n == 0 ? "" : t.p, t.n };
	return t.n <= SASL_LINE_BYTES ? 0 :
	    parse_limit(p, "Response is too long");
}

void
parse_again(struct parser *p)
{
	p->at_end = false;
	p->line_left = LINE_MAX_BYTES;
}

int
parse_atom(struct parser *p, struct str *out)
{
	return run(p, IN_ATOM, out);
}

int
parse_word(struct parser *p, struct str *out)
{
	return run(p, IN_WORD, out);
}

/* 8-bit bytes pass, as RFC 9051 allows and as searches of today hold them;
 * RFC 3501 has none there, so no legal command changes its meaning. */
static int
quoted(struct parser *p, struct str *out)
{
	struct token t = { 0 };
	int c;

	if (parse_char(p, '"') != 0)
		return -1;
	while ((c = parse_peek(p)) != '"') {
		if (c == '\n')
			return parse_bad(p, "Quoted string has no end");
		if (c < 0)
			return -1;
		take(p, c);
		if (c == '\\') {
			c = parse_peek(p);
			if (c != '"' && c != '\\')
				return parse_bad(p, "Invalid quoted string");
			take(p, c);
		}
		token_add(p, &t, c);
	}
	take(p, c);
	*out = (struct str){ t.n == 0 ? "" : t.p, t.n };
	return 0;
}

/* Throws away n bytes that the client sends whether we like it or not. */
static int
drain(struct parser *p, uint64_t n, const char *code, const char *why)
{
	if (n > p->drain_left)
		return fault(p, PARSE_FATAL, code, why);
	p->drain_left -= (uint32_t)n;
	return io_skip(p->io, n) == 0 ? 0 : ended(p);
}

/*
 * "{" number ["+"] "}" CRLF. RFC 3501 would allow leading zeros; no client
 * sends them, and where two readers could differ about what is literal and
 * what is command the line is refused.
 */
static int
literal_head(struct parser *p, uint64_t *size, bool *plus)
{
	int c;

	if (parse_char(p, '{') != 0)
		return -1;
	do {
		c = parse_peek(p);
		if (!(c >= '0' && c <= '9') ||
		    (p->announce == ANNOUNCE_SIZE && p->announced == 0))
			return parse_bad(p, "Invalid literal size");
		take(p, c);
		c = parse_peek(p);
	} while (c != '+' && c != '}');
	*size = p->announced;
	*plus = parse_if(p, '+');
	if (parse_char(p, '}') != 0 || parse_peek(p) != '\n')
		return parse_bad(p, "Invalid literal size");
	take_line_end(p);
	return 0;
}

int
parse_literal(struct parser *p, struct literal *out)
{
	bool plus = false;

	out->left = 0;
	out->binary = parse_if(p, '~');
	if (literal_head(p, &out->left, &plus) != 0)
		return -1;
	out->waits = !plus;
	return 0;
}

int
parse_literal_read(struct parser *p, struct literal *l, char *to,
    size_t room, size_t *n)
{
	struct reply reply = { p->io };

	if (l->waits) {
		reply_raw(&reply, STR("+ Ready for argument\r\n"));
		io_flush(p->io);
		l->waits = false;
	}
	*n = l->left < room ? (size_t)l->left : room;
	l->left -= *n;
	return io_read(p->io, to, *n) == 0 ? 0 : ended(p);
}

/* RFC 7888 section 4 leaves the choice: read it, or close the connection. */
int
parse_literal_refuse(struct parser *p, struct literal *l)
{
	p->at_end = p->refused = l->waits;
	return l->waits ? 0 : drain(p, l->left, "TOOBIG", "Literal too big");
}

static int
literal(struct parser *p, struct str *out)
{
	struct literal l;
	char *bytes;
	size_t n;

	if (parse_literal(p, &l) != 0)
		return -1;
	if (l.left > p->literal_max || l.left > p->literals_left) {
		if (parse_literal_refuse(p, &l) != 0)
			return -1;
		return fault(p, PARSE_TOO_BIG, "TOOBIG", "Literal too big");
	}
	p->literals_left -= (uint32_t)l.left;
	bytes = pool_alloc(p->pool, (size_t)l.left);
	if (parse_literal_read(p, &l, bytes, (size_t)l.left, &n) != 0)
		return -1;
	/* "CHAR8 = any OCTET except NUL" */
	if (memchr(bytes, '\0', n) != NULL)
		return parse_bad(p, "NUL in literal");
	*out = (struct str){ bytes, n };
	return 0;
}

int
parse_string(struct parser *p, struct str *out)
{
	int c = parse_peek(p);

	if (c == '"')
		return quoted(p, out);
	if (c == '{')
		return literal(p, out);
	return parse_bad(p, MISSING);
}

/* A string, or a run of the class. */
static int
string_or(struct parser *p, unsigned class, struct str *out)
{
	int c = parse_peek(p);

	if (c == '"' || c == '{')
		return parse_string(p, out);
	return run(p, class, out);
}

int
parse_astring(struct parser *p, struct str *out)
{
	return string_or(p, IN_ASTRING, out);
}

int
parse_nstring(struct parser *p, struct str *out)
{
	int c = parse_peek(p);

	if (c == '"' || c == '{')
		return parse_string(p, out);
	if (run(p, IN_ATOM, out) != 0 || !str_ieq(*out, STR("NIL")))
		return parse_bad(p, MISSING);
	*out = (struct str){ NULL, 0 };
	return 0;
}

/* "Unsigned 32-bit integer", leading zeros allowed. */
int
parse_number(struct parser *p, uint32_t *out)
{
	uint32_t n = 0;
	int c = parse_peek(p);

	if (!(c >= '0' && c <= '9'))
		return parse_bad(p, MISSING);
	do {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (unsigned)(c - '0'), &n))
			return parse_bad(p, "Number too big");
		take(p, c);
		c = parse_peek(p);
	} while (c >= '0' && c <= '9');
	*out = n;
	return p->fault == PARSE_FINE ? 0 : -1;
}

/* "nz-number = digit-nz *DIGIT": no zero in front either. */
int
parse_nz_number(struct parser *p, uint32_t *out)
{
	if (parse_peek(p) == '0')
		return parse_bad(p, MISSING);
	return parse_number(p, out);
}

static int
seq_number(struct parser *p, uint32_t *out)
{
	if (parse_if(p, '*')) {
		*out = SET_STAR;
		return 0;
	}
	return parse_nz_number(p, out);
}

int
parse_set(struct parser *p, struct set *out)
{
	uint32_t lo, hi;

	set_init(out, p->pool);
	do {
		if (seq_number(p, &lo) != 0)
			return -1;
		hi = lo;
		if (parse_if(p, ':') && seq_number(p, &hi) != 0)
			return -1;
		set_add(out, lo, hi);
	} while (parse_if(p, ','));
	return p->fault == PARSE_FINE ? 0 : -1;
}

/* "date = date-text / DQUOTE date-text DQUOTE": no literal. */
int
parse_date(struct parser *p, int64_t *day)
{
	struct str s = { NULL, 0 };
	int r;

	r = parse_peek(p) == '"' ? quoted(p, &s) : run(p, IN_WORD, &s);
	if (r != 0 || date_day_from_imap(s, day) != 0)
		return parse_bad(p, "Invalid date");
	return 0;
}

int
parse_date_time(struct parser *p, struct date *out)
{
	struct str s = { NULL, 0 };

	if (quoted(p, &s) != 0 || date_from_imap(s, out) != 0)
		return parse_bad(p, "Invalid date-time");
	return 0;
}

/* Its bit, of the name without its backslash; 0 for a flag-extension. */
static unsigned
system_flag(struct str name)
{
	unsigned bit;

	for (bit = 1; bit <= FLAG_RECENT; bit <<= 1)
		if (str_ieq(str_from(flag_name(bit), 1), name))
			return bit;
	return 0;
}

/* flag = "\" atom / atom */
static int
flag(struct parser *p, struct flag_list *out)
{
	bool keyword = !parse_if(p, '\\');
	struct str name;
	unsigned bit;

	if (parse_atom(p, &name) != 0)
		return -1;
	if (keyword) {
		out->over |= keyword_add(&out->names, name) < 0;
		return 0;
	}
	bit = system_flag(name);
	if (bit == FLAG_RECENT)
		return parse_bad(p, "\\Recent can not be changed");
	out->flags |= bit;
	return 0;
}

int
parse_flags(struct parser *p, struct flag_list *out)
{
	bool list = parse_peek(p) == '(';

	memset(out, 0, sizeof(*out));
	if (list && parse_open(p) != 0)
		return -1;
	if (list && parse_peek(p) == ')')
		return parse_close(p);
	do {
		if (flag(p, out) != 0)
			return -1;
	} while (parse_if(p, ' '));
	return list ? parse_close(p) : 0;
}

static int
name_check(struct parser *p, struct str name)
{
	if (name.n > NAME_MAX_BYTES)
		return parse_limit(p, "Mailbox name too long");
	return 0;
}

/* "INBOX is case-insensitive. All case variants of INBOX MUST be
 * interpreted as INBOX not as an astring." */
int
parse_mailbox(struct parser *p, struct str *out)
{
	if (parse_astring(p, out) != 0 || name_check(p, *out) != 0)
		return -1;
	if (out->n == 0)
		return parse_bad(p, "Empty mailbox name");
	if (str_ieq(*out, STR("INBOX")))
		*out = STR("INBOX");
	return 0;
}

int
parse_list_mailbox(struct parser *p, struct str *out)
{
	if (string_or(p, IN_LIST, out) != 0)
		return -1;
	return name_check(p, *out);
}

int
parse_open(struct parser *p)
{
	if (parse_char(p, '(') != 0)
		return -1;
	if (++p->depth > NEST_MAX)
		return parse_limit(p, "Parentheses nested too deep");
	return 0;
}

int
parse_close(struct parser *p)
{
	if (parse_char(p, ')') != 0)
		return -1;
	p->depth--;
	return 0;
}

/*
 * The line ended. Behind an announced literal it goes on; behind a
 * synchronising one the client waits for a "+" that will not come, and
 * takes the tagged answer for the end of the command.
 */
static int
resync_line_end(struct parser *p)
{
	bool more = p->announce == ANNOUNCE_DONE;

	take_line_end(p);
	p->at_end = !more;
	return more ? drain(p, p->announced, "TOOBIG", "Literal too big") : 0;
}

/* A CR is looked through only where it belongs to the line end. */
static void
resync_byte(struct parser *p, int c)
{
	if (drain(p, 1, "LIMIT", "Command line too long") != 0)
		return;
	if (c != '\r' || !ends_line(p, io_peek(p->io)))
		watch(p, c);
}

int
parse_resync(struct parser *p)
{
	int c;

	while (!p->at_end) {
		if (p->fault == PARSE_FATAL || p->fault == PARSE_ENDED)
			return -1;
		c = io_peek(p->io);
		if (ends_line(p, c))
			resync_line_end(p);
		else if (c < 0)
			ended(p);
		else
			resync_byte(p, c);
	}
	return 0;
}
