/*
 * A line of rules, then what a client says: what the parser takes from it,
 * written by the server's own printer, must be read again as the same. And
 * where the next command begins, whatever was wrong with this one, is held
 * against the law of literals alone.
 */
#include "fuzz.h"
#include "../../parse.h"
#include "../../reply.h"
#include "../../lib/params.h"

enum { MOST = 16000 };

static struct io io, printed;
static struct reply out = { .io = &printed };
static bool one_line;		/* no command of several lines so far */

static void
print_set(struct set *set)
{
	char text[64];
	size_t i;

	for (i = 0; i < set->n; i++) {
		const uint32_t *ends[] = { &set->at[i].lo, &set->at[i].hi };

		snprintf(text, sizeof(text), "%.0u%s:%.0u%s%s", *ends[0],
		    *ends[0] == SET_STAR ? "*" : "", *ends[1],
		    *ends[1] == SET_STAR ? "*" : "", i + 1 < set->n ? "," : "");
		reply_raw(&out, str_c(text));
	}
}

static void
print_day(int64_t day)
{
	struct date date = { .time = day * 86400 };
	char text[27];

	date_to_imap(&date, text);
	if (text[0] == ' ')
		text[0] = '0';
	reply_string(&out, (struct str){ text, 11 });
}

/* A literal of any size, by pieces; or nobody wants it. */
static int
literal(struct parser *p, bool wanted)
{
	struct buf all = BUF_MAX(1 << 20);
	struct literal l;
	char piece[7];
	size_t n;
	int r = parse_literal(p, &l);

	if (r == 0 && !wanted)
		r = parse_literal_refuse(p, &l) == 0 ? 1 : -1;
	else if (r == 0) {
		do {
			r = parse_literal_read(p, &l, piece, sizeof(piece), &n);
			MUST(n <= sizeof(piece));
			if (r == 0)
				buf_add(&all, (struct str){ piece, n });
		} while (r == 0 && n > 0);
		if (r == 0) {
			reply_f(&out, "{%zu+}\r\n", all.n);
			reply_raw(&out, buf_str(&all));
		}
	}
	buf_free(&all);
	return r;
}

/* One that takes a text, and what prints it: an atom as such where something
 * else follows. */
static int
text_rule(struct parser *p, char rule, char next)
{
	static const struct {
		char rule;
		int (*parse)(struct parser *, struct str *);
		void (*print)(struct reply *, struct str);
	} rows[] = {
		{ 't', parse_tag, reply_raw }, { 'a', parse_atom, reply_raw },
		{ 'w', parse_word, reply_raw },
		{ 's', parse_string, reply_string },
		{ 'A', parse_astring, reply_astring },
		{ 'N', parse_nstring, reply_nstring },
		{ 'm', parse_mailbox, reply_astring },
		{ 'l', parse_list_mailbox, reply_string },
	};
	struct str s;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].rule != rule)
			continue;
		if (rows[i].parse(p, &s) != 0)
			return -1;
		if (rows[i].print == reply_astring && next != ' ' &&
		    next != 'e')
			reply_string(&out, s);
		else
			rows[i].print(&out, s);
		return 0;
	}
	return -2;
}

static int
other_rule(struct parser *p, char rule)
{
	struct flag_list flags;
	struct set set;
	struct date date;
	struct str s;
	uint32_t n;
	int64_t day;
	bool ended;
	int r = -1;

	switch (rule) {
	case 'n':
	case 'z':
		r = rule == 'n' ? parse_number(p, &n) : parse_nz_number(p, &n);
		if (r == 0)
			reply_number(&out, n);
		return r;
	case 'S':
		if ((r = parse_set(p, &set)) == 0)
			print_set(&set);
		return r;
	case 'd':
		if ((r = parse_date(p, &day)) == 0)
			print_day(day);
		return r;
	case 'D':
		if ((r = parse_date_time(p, &date)) == 0)
			reply_date(&out, &date);
		return r;
	case 'f':
		if ((r = parse_flags(p, &flags)) == 0 && !flags.over)
			reply_flags(&out, flags.flags, (uint32_t)
			    ((UINT64_C(1) << flags.names.n) - 1), &flags.names);
		else if (r == 0)
			return 1;
		return r;
	case 'c':
	case 'r':
		return literal(p, rule == 'c');
	case '(':
		if ((r = parse_open(p)) == 0)
			reply_raw(&out, STR("("));
		return r;
	case ')':
		if ((r = parse_close(p)) == 0)
			reply_raw(&out, STR(")"));
		return r;
	case '?':
		if (parse_if(p, ','))
			reply_raw(&out, STR(","));
		return p->fault == PARSE_FINE ? 0 : -1;
	case 'x':
		one_line = false;
		if (!p->at_end)
			return 1;
		if (parse_sasl(p, STR("Kw=="), &s) != 0)
			return -1;
		reply_raw(&out, s);
		reply_raw(&out, STR("\r\n"));
		return 0;
	case 'g':
		one_line = false;
		parse_again(p);
		return 0;
	case 'e':
		ended = p->at_end;
		if ((r = parse_end(p)) == 0 && !ended)
			reply_raw(&out, STR("\r\n"));
		return r;
	default:
		if ((r = parse_space(p)) == 0)
			reply_raw(&out, STR(" "));
		return r;
	}
}

/* 0 when all rules were kept, else -1, or 1 for what can not be printed. */
static int
run(struct parser *p, struct str rules)
{
	int r = 0;

	for (one_line = true; rules.n > 0 && r == 0;) {
		r = text_rule(p, rules.p[0], rules.n > 1 ? rules.p[1] : 0);
		if (r == -2)
			r = other_rule(p, rules.p[0]);
		rules = str_from(rules, 1);
	}
	MUST((r == -1) == (p->fault != PARSE_FINE) || p->refused);
	return r;
}

static size_t
position(struct str said)
{
	return io.ended ? said.n : io.in_at;
}

/*
 * Places where a command that begins at 0 may end: behind a line, unless that
 * says at its end that a literal follows; behind one that waits for a "+" it
 * may or may not.
 */
static bool
ends_at(struct str said, size_t end)
{
	size_t at = 0, lf, i;
	uint64_t n;
	bool plus;

	for (;;) {
		lf = at + str_index(str_from(said, at), '\n');
		if (lf >= said.n)
			return end == said.n;
		i = lf - (lf > at && said.p[lf - 1] == '\r');
		plus = i > at + 1 && said.p[i - 2] == '+';
		if (i < at + 3 || said.p[i - 1] != '}')
			return end == lf + 1;
		for (i -= 1 + plus; i > at && ascii_digit((unsigned char)
		    said.p[i - 1]); i--)
			continue;
		if (i == at || said.p[i - 1] != '{' ||
		    !ascii_digit((unsigned char)said.p[i]))
			return end == lf + 1;
		if (!plus && end == lf + 1)
			return true;
		for (n = 0; ascii_digit((unsigned char)said.p[i]) &&
		    n < 1000000; i++)
			n = n * 10 + (uint64_t)(said.p[i] - '0');
		if (n > said.n - lf - 1)
			return end == said.n || !plus;
		at = lf + 1 + n;
	}
}

static void
again(struct str rules, struct pool *pool)
{
	struct buf first = BUF_MAX(1 << 20);
	struct parser p;

	buf_add(&first, fuzz_output(&printed));
	if (first.n <= IO_IN_BYTES) {
		fuzz_listen(&printed);
		fuzz_client(&io, buf_str(&first), true);
		parse_begin(&p, &io, pool, LITERAL_MAX_BYTES);
		MUST(run(&p, rules) == 0);
		MUST(position(buf_str(&first)) == first.n);
		MUST(str_eq(fuzz_output(&printed), buf_str(&first)));
	}
	buf_free(&first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = fuzz_input(data, size), rules, said;
	unsigned how = fuzz_byte(&in);
	struct pool *pool = pool_new();
	struct parser p;
	bool plain;
	int r;

	rules = str_sub(fuzz_until(&in, '\n'), 0, 200);
	said = str_sub(in, 0, MOST);
	fuzz_listen(&printed);
	fuzz_client(&io, said, how & 1);
	parse_begin(&p, &io, pool, how & 2 ? 40 : LITERAL_MAX_BYTES);
	if (how & 4)
		p.line_left = 100;
	if (how & 8)
		p.literals_left = 60;
	if (how & 16)
		p.drain_left = 90;
	r = run(&p, rules);
	plain = one_line && p.fault != PARSE_ENDED;
	if (r != 0 && !p.at_end && parse_resync(&p) != 0)
		plain = false;
	if (plain && p.at_end)
		MUST(ends_at(said, position(said)));
	if (r == 0)
		again(rules, pool);
	pool_free(pool);
	return 0;
}
