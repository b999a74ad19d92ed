/*
 * subject.c - the base subject (RFC 5256 2.1, the grammar in section 5): "All
 * servers and disconnected [...] clients MUST use exactly this algorithm".
 * Knows no mail, only text.
 */
#include "subject.h"

/* What is left of the subject, and what has been found out. */
struct base {
	struct str s;
	bool answer;
	bool plain;	/* no reply's mark stands behind the blobs in front */
};

/* Step 1: "Convert all tabs and continuations to space. Convert all multiple
 * spaces to a single space." */
static void
one_space(struct str text, struct buf *out)
{
	bool space = false;
	size_t i;

	buf_clear(out);
	for (i = 0; i < text.n; i++) {
		if (ascii_space((unsigned char)text.p[i])) {
			space = true;
			continue;
		}
		if (space)
			buf_addc(out, ' ');
		space = false;
		buf_addc(out, text.p[i]);
	}
	if (space)
		buf_addc(out, ' ');
}

static size_t
spaces(struct str s, size_t at)
{
	while (at < s.n && s.p[at] == ' ')
		at++;
	return at;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP, BLOBCHAR being all but brackets. Where
 * it ends, or `at` when none is there. */
static size_t
blob(struct str s, size_t at)
{
	size_t i = at;

	if (at >= s.n || s.p[at] != '[')
		return at;
	for (i++; i < s.n && s.p[i] != '[' && s.p[i] != ']'; i++)
		continue;
	return i < s.n && s.p[i] == ']' ? spaces(s, i + 1) : at;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static size_t
refwd(struct str s, size_t at)
{
	static const struct str marks[] = { { "re", 2 }, { "fwd", 3 },
	    { "fw", 2 } };
	const struct str rest = str_from(s, at);
	size_t i, n;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (!str_istarts(rest, marks[i]))
			continue;
		n = blob(s, spaces(s, at + marks[i].n));
		return n < s.n && s.p[n] == ':' ? n + 1 : at;
	}
	return at;
}

/* Step 2. subj-trailer = "(fwd)" / WSP */
static void
cut_trailers(struct base *b)
{
	const struct str fwd = STR("(fwd)");

	for (;;) {
		if (b->s.n > 0 && b->s.p[b->s.n - 1] == ' ') {
			b->s.n--;
		} else if (b->s.n >= fwd.n &&
		    str_ieq(str_from(b->s, b->s.n - fwd.n), fwd)) {
			b->s.n -= fwd.n;
			b->answer = true;
		} else {
			return;
		}
	}
}

/*
 * Step 3. subj-leader = (*subj-blob subj-refwd) / WSP. Blobs without a reply's
 * mark behind them are not looked through again, however many there are.
 */
static bool
cut_leader(struct base *b)
{
	size_t at = spaces(b->s, 0), end;

	if (at > 0) {
		b->s = str_from(b->s, at);
		return true;
	}
	if (b->plain)
		return false;
	while ((end = blob(b->s, at)) > at)
		at = end;
	end = refwd(b->s, at);
	b->plain = end == at;
	if (b->plain)
		return false;
	b->s = str_from(b->s, end);
	b->answer = true;
	return true;
}

/* Step 4: "If there is prefix text of the subject that matches the subj-blob
 * ABNF, and removing that prefix leaves a non-empty subj-base". */
static bool
cut_blob(struct base *b)
{
	size_t end = blob(b->s, 0);

	if (end == 0 || end == b->s.n)
		return false;
	b->s = str_from(b->s, end);
	return true;
}

/* Step 6. subj-fwd-hdr = "[fwd:", subj-fwd-trl = "]" */
static bool
cut_forward(struct base *b)
{
	const struct str fwd = STR("[fwd:");

	if (!str_istarts(b->s, fwd) || b->s.p[b->s.n - 1] != ']')
		return false;
	b->s = str_sub(b->s, fwd.n, b->s.n - fwd.n - 1);
	b->answer = true;
	return true;
}

struct str
subject_base(struct str utf8, struct buf *out, bool *answer)
{
	struct base b = { .answer = false };

	one_space(utf8, out);
	b.s = buf_str(out);
	do {
		cut_trailers(&b);
		b.plain = false;
		while (cut_leader(&b) || cut_blob(&b))
			continue;
	} while (cut_forward(&b));
	if (answer != NULL)
		*answer = b.answer;
	return b.s;
}
