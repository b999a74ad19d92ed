/*
 * doctor_read.c - reads a mailbox from its first byte to its last, line by
 * line, for the doctor: where each message begins (mbox.md 1.3) and what is
 * wrong with its lines. Slow and simple on purpose, and none of it shared
 * with mbox_scan.c: what one of them gets wrong the other shows. Writes
 * nothing, locks nothing.
 */
#include "doctor_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fromline.h"
#include "lib/fs.h"
#include "lib/mem.h"

enum {
	BUF_BYTES = 262144,
	/* A longer line comes in pieces. More than any From_ line has. */
	PIECE = 131072,
	/* Longest From_ line with its end (struct msg). */
	FROM_MAX = 65534,
	PEEK = 1024,
};

static const struct str from_word = { "From ", 5 };

void
doctor_found(struct reading *r, enum fault fault, int64_t at, uint32_t msg,
    int64_t number)
{
	if (r->found == r->findings_room) {
		r->findings_room = r->findings_room * 2 + 64;
		r->findings = xrealloc(r->findings, r->findings_room,
		    sizeof(*r->findings));
	}
	r->findings[r->found] = (struct finding){ at, number, r->found, msg,
	    fault };
	r->found++;
}

/* Of the message that is being read. */
static void
found(struct reading *r, enum fault fault, int64_t at, int64_t number)
{
	doctor_found(r, fault, at, r->place == PLACE_BEFORE ? 0 : r->n + 1,
	    number);
}

/* The bytes at r->at, at least `want` unless the file ends; p NULL when it
 * can not be read. */
static struct str
look(struct reading *r, size_t want)
{
	size_t skip = (size_t)(r->at - r->base), n;

	if (r->have - skip < want && r->base + (int64_t)r->have < r->size) {
		memmove(r->buf, r->buf + skip, r->have - skip);
		r->base += (int64_t)skip;
		r->have -= skip;
		skip = 0;
		n = BUF_BYTES - r->have;
		if ((int64_t)n > r->size - r->base - (int64_t)r->have)
			n = (size_t)(r->size - r->base) - r->have;
		if (fs_pread(r->fd, r->buf + r->have, n,
		    r->base + (int64_t)r->have) != 0)
			return (struct str){ NULL, 0 };
		r->have += n;
	}
	return (struct str){ r->buf + skip, r->have - skip };
}

/* A line with its end, or a piece of one. A line is cut behind a NUL that
 * "From " follows: mail delivered behind a torn tail. */
static struct str
cut_piece(struct str rest)
{
	size_t n = str_index(rest, '\n'), i = 0;

	n += n < rest.n;
	if (n > PIECE)
		n = PIECE;
	while ((i += str_index(str_sub(rest, i, n - i), '\0')) < n)
		if (str_starts(str_from(rest, ++i), from_word))
			return str_sub(rest, 0, i);
	return str_sub(rest, 0, n);
}

static bool
is_ended(struct str piece)
{
	return piece.n > 0 && piece.p[piece.n - 1] == '\n';
}

static bool
is_empty(struct str line)
{
	return is_ended(line) && str_chomp(line).n == 0;
}

/* ---- what a line consists of ---- */

static void
count_byte(struct reading *r, int64_t at, char c)
{
	if (r->after_cr && c != '\n' && r->cr++ == 0)
		r->cr_at = at - 1;
	if (c == '\0' && r->nul++ == 0)
		r->nul_at = at;
	if (c == '\n') {
		r->crlf += r->after_cr;
		r->lf += !r->after_cr;
	}
	r->after_cr = c == '\r';
	if (c != '\n' && c != '\r')
		r->solid = at + 1;
}

/* The empty line behind a message is not its own: what it would count is
 * kept apart until it turns out to be one. */
static void
count_bytes(struct reading *r, struct str piece)
{
	size_t i;

	r->last_lf = r->lf;
	r->last_crlf = r->crlf;
	for (i = 0; i < piece.n; i++)
		count_byte(r, r->at + (int64_t)i, piece.p[i]);
}

static void
judge_bytes(struct reading *r, bool separated)
{
	int64_t lf = separated ? r->last_lf : r->lf;
	int64_t crlf = separated ? r->last_crlf : r->crlf;

	if (r->after_cr && r->cr++ == 0)
		r->cr_at = r->at - 1;
	if (r->nul > 0)
		found(r, FAULT_NUL, r->nul_at, r->nul);
	if (r->cr > 0)
		found(r, FAULT_CR, r->cr_at, r->cr);
	if (lf > 0 && crlf > 0)
		found(r, FAULT_MIXED, r->now.start, 0);
}

/* ---- messages ---- */

static void
add_message(struct reading *r)
{
	if (r->n == r->room) {
		r->room = r->room * 2 + 64;
		r->msgs = xrealloc(r->msgs, r->room, sizeof(*r->msgs));
	}
	r->msgs[r->n++] = r->now;
}

/* The message ends at r->at: behind it stands a From_ line, or nothing. */
static void
end_message(struct reading *r)
{
	bool separated;
	char tail[2];

	if (r->place == PLACE_BEFORE)
		return;
	if (r->place == PLACE_HEADER) {
		r->now.body = r->at;
		doctor_head_end(r);
		found(r, FAULT_OPEN, r->at, 0);
		r->now.restamp = !r->now.cut;
	}
	separated = r->blank && r->now.body < r->at;
	r->now.end = r->now.next = r->at;
	if (separated)
		r->now.end--;
	if (separated && r->now.end > r->now.body && fs_pread(r->fd, tail, 2,
	    r->at - 2) == 0 && tail[0] == '\r')
		r->now.end--;
	doctor_head_length(r, r->at);
	judge_bytes(r, separated);
	if (r->now_pseudo)
		r->pseudo = true;
	else
		add_message(r);
	r->place = PLACE_BEFORE;
}

static void
begin_message(struct reading *r, struct str line, enum fromline_kind kind,
    bool header)
{
	struct fromline from;
	/* An open header gets its empty line with its metadata. */
	bool glued = !r->blank && (r->place == PLACE_BODY ||
	    r->place == PLACE_PREFIX);

	if (glued)
		r->now.eol = r->torn ? 2 : 1;
	end_message(r);
	r->now = (struct patient){ .start = r->at,
	    .from = (uint32_t)line.n };
	r->place = PLACE_HEADER;
	r->nul = r->cr = r->lf = r->crlf = 0;
	r->after_cr = false;
	if (glued)
		found(r, FAULT_NO_BLANK, r->at, 0);
	if (kind == FROMLINE_LAX)
		found(r, FAULT_ODD_DATE, r->at, 0);
	else if (!header)
		found(r, FAULT_NO_HEADER, r->at, 0);
	fromline_read(line, &from);
	r->daemon = str_eq(from.sender, STR("MAILER-DAEMON")) ||
	    str_eq(from.sender, STR("MAILER_DAEMON"));
	doctor_head_begin(r, line);
}

/*
 * A mailbox may begin with empty lines and NULs. If anything but a From_
 * line follows them, all from the first byte on is a message without a
 * header.
 */
static void
before_line(struct reading *r, struct str piece)
{
	size_t i;

	for (i = 0; i < piece.n; i++)
		if (piece.p[i] != '\n' && piece.p[i] != '\r' &&
		    piece.p[i] != '\0')
			break;
	if (i == piece.n)
		return;
	r->now = (struct patient){ .start = 0 };
	r->now_pseudo = false;
	r->place = PLACE_PREFIX;
	found(r, FAULT_PREFIX, 0, 0);
}

/* ---- From_ lines ---- */

/* Does the line at `at` look like a header's first; may it be empty? */
static bool
header_at(const struct reading *r, int64_t at, bool or_empty)
{
	char text[PEEK];
	struct str line = { text, PEEK };
	size_t n;

	if (r->size - at < PEEK)
		line.n = (size_t)(r->size - at);
	if (line.n == 0 || fs_pread(r->fd, text, line.n, at) != 0)
		return false;
	n = str_index(line, '\n');
	line.n = n + (n < line.n);
	return fromline_header_like(line) &&
	    (or_empty || str_chomp(line).n > 0);
}

/* True when the piece, which begins with "From ", begins a message. */
static bool
is_boundary(struct reading *r, struct str piece)
{
	enum fromline_kind kind = FROMLINE_NOT;
	int64_t behind = r->at + (int64_t)piece.n;
	bool header = header_at(r, behind, true);
	bool blank = r->blank && !r->torn;

	if (piece.n <= FROM_MAX)
		kind = fromline_read(piece, NULL);
	if ((kind == FROMLINE_STRICT && (blank || header || r->torn)) ||
	    (kind == FROMLINE_LAX && blank && header)) {
		begin_message(r, piece, kind, header);
		return true;
	}
	if (r->place == PLACE_BEFORE)
		return false;
	if (kind != FROMLINE_NOT)
		found(r, FAULT_FROM, r->at, 0);
	else if (blank && header_at(r, behind, false))
		found(r, FAULT_NO_DATE, r->at, 0);
	return false;
}

/* Text that a mail program puts before what it quotes. */
static bool
is_quoting(struct str text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if (str_index(STR("> |:*\t"), text.p[i]) == 6)
			return false;
	return true;
}

/*
 * A whole line of text that ends in a From_ line with a sound date, and a
 * header behind it: a delivery behind a last line that had no end. Nobody
 * can be sure of it, so it is only told.
 */
static void
look_for_glued(struct reading *r, struct str line)
{
	struct fromline from;
	size_t i = line.n < from_word.n ? 0 : line.n - from_word.n;

	while (i > 0 && !str_starts(str_from(line, i), from_word))
		i--;
	if (i > 0 && !is_quoting(str_sub(line, 0, i)) &&
	    fromline_read(str_from(line, i), &from) == FROMLINE_STRICT &&
	    from.sender.n > 0 &&
	    str_index(from.sender, ' ') == from.sender.n &&
	    header_at(r, r->at + (int64_t)line.n, false))
		found(r, FAULT_GLUED, r->at + (int64_t)i, 0);
}

/* ---- the pass ---- */

static void
take_text(struct reading *r, struct str piece)
{
	if (r->place == PLACE_BEFORE)
		before_line(r, piece);
	if (r->place == PLACE_HEADER) {
		doctor_head_line(r, r->at, piece, r->begins);
		if (r->begins && is_empty(piece)) {
			r->now.body = r->at + (int64_t)piece.n;
			doctor_head_end(r);
			r->place = PLACE_BODY;
		}
	} else if (r->begins && is_ended(piece) && piece.n <= FROM_MAX)
		look_for_glued(r, piece);
}

/* A From_ line may hold NULs. */
static struct str
whole_line(struct str rest)
{
	size_t n = str_index(rest, '\n');

	return str_sub(rest, 0, n + 1);
}

static void
take_piece(struct reading *r, struct str rest)
{
	struct str piece = cut_piece(rest), line = whole_line(rest);
	bool torn;

	if (r->begins)
		r->line_at = r->at;
	if ((r->begins || r->torn) && str_starts(rest, from_word) &&
	    is_boundary(r, line))
		piece = line;
	else
		take_text(r, piece);
	torn = piece.p[piece.n - 1] == '\0' &&
	    str_starts(str_from(rest, piece.n), from_word);
	count_bytes(r, piece);
	r->blank = r->begins && is_empty(piece);
	r->begins = is_ended(piece);
	r->torn = torn;
	r->at += (int64_t)piece.n;
}

/*
 * Behind the last byte. A last line without an end that looks like a From_
 * line would begin a message if an empty line followed it.
 */
static void
finish(struct reading *r)
{
	bool from = r->found > 0 && r->findings[r->found - 1].fault ==
	    FAULT_FROM && r->findings[r->found - 1].at >= r->line_at;

	if ((r->place == PLACE_BODY || r->place == PLACE_PREFIX) &&
	    !r->begins) {
		r->now.eol = from ? 1 : 2;
		found(r, FAULT_LAST, r->size - 1, 0);
	}
	r->now.cut = r->place == PLACE_HEADER && !r->begins &&
	    r->now.start + r->now.from == r->size;
	if (r->now.cut)
		r->now.eol = 1;
	r->torn = false;
	end_message(r);
}

enum err
doctor_read(struct reading *r, struct why *why)
{
	struct str rest;
	bool leading = false;

	r->buf = xmalloc(BUF_BYTES);
	r->begins = r->blank = true;
	r->unstamped = r->run_at = r->length = -1;
	errno = 0;
	while (r->at < r->size) {
		rest = look(r, PIECE + from_word.n);
		if (rest.p == NULL)
			return why_set(why, E_IO, "cannot read the mailbox:"
			    " %s", errno ? strerror(errno) : "it shrank");
		take_piece(r, rest);
		leading = leading || r->place == PLACE_BEFORE;
		if (r->place == PLACE_PREFIX)
			leading = false;
	}
	finish(r);
	if (leading)
		doctor_found(r, FAULT_LEADING, 0, 0, 0);
	return E_OK;
}

void
doctor_read_free(struct reading *r)
{
	free(r->buf);
	free(r->msgs);
	free(r->findings);
	free(r->uids);
}
