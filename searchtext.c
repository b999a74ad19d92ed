/*
 * searchtext.c - finding a string in the text of one message. May not read
 * a mailbox, a client or anything but the bytes that it is given.
 *
 * Mail is large and most of it is plain, so the bytes as they stand are
 * asked first wherever their answer is the answer: see hopeless(), field_has()
 * and part_has(), which say why. Only the rest is decoded, into buffers that
 * serve all messages of a search.
 *
 * What of a text is ASCII stays as it is under the folding, but for letter
 * case; what is not may become ASCII: an accented letter that letter and an
 * accent, the Kelvin sign a "K". So a needle of ASCII that stands in the bytes
 * is found, and one that does not may be, unless all of them are ASCII.
 */
#include "searchtext.h"

#include <string.h>

#include "lib/casemap.h"
#include "lib/codec.h"
#include "lib/rfc822.h"
#include "lib/scan.h"
#include "lib/utf8.h"

enum {
	/*
	 * A part that needs decoding is searched as it stands when it is
	 * larger: no mail program makes such text, and a mail must not be
	 * able to make us hold several copies of a gigabyte.
	 */
	DECODE_MAX = 32 << 20,
	/* Conversion makes three bytes of one at the most. Folding mostly as
	 * many as there were; U+FDFA is no text of 32 MiB. */
	TEXT_MAX = 4 * DECODE_MAX,
};

/* SP, TAB, CR and LF, the bytes that unfolding may touch. */
static struct str
longest_run(struct str s)
{
	struct str best = { s.p, 0 };
	size_t i, from = 0;

	for (i = 0; i <= s.n; i++) {
		if (i < s.n && !ascii_space((unsigned char)s.p[i]))
			continue;
		if (i - from > best.n)
			best = str_sub(s, from, i - from);
		from = i + 1;
	}
	return best;
}

/* text with each CRLF as LF, in out; text itself when there is no CR. */
static struct str
without_cr(struct str text, struct buf *out)
{
	struct str line, rest = text;

	if (str_index(text, '\r') == text.n)
		return text;
	buf_clear(out);
	while (str_line(&rest, &line)) {
		buf_add(out, str_chomp(line));
		if (str_chomp(line).n < line.n)
			buf_addc(out, '\n');
	}
	return out->over ? text : buf_str(out);
}

static bool
is_ascii(struct str s)
{
	return ascii_prefix(s) == s.n;
}

/* In small letters, as scan_find wants it. */
static void
fold(struct str utf8, struct buf *out)
{
	size_t i;

	casemap_add(utf8, out);
	for (i = 0; i < out->n; i++)
		out->p[i] = (char)ascii_lower((unsigned char)out->p[i]);
}

void
searchtext_needle(struct pool *pool, struct str utf8, struct needle *out)
{
	struct buf line = BUF_MAX(TEXT_MAX), folded = BUF_MAX(TEXT_MAX);

	fold(without_cr(utf8, &line), &folded);
	out->folded = pool_copy(pool, buf_str(&folded));
	out->core = longest_run(out->folded);
	out->ascii = is_ascii(out->folded);
	out->spaced = out->core.n < out->folded.n;
	out->lined = str_index(out->folded, '\n') < out->folded.n;
	buf_free(&line);
	buf_free(&folded);
}

void
searchtext_begin(struct searchtext *t)
{
	const struct buf empty = BUF_MAX(TEXT_MAX);

	*t = (struct searchtext){
		.pool = pool_new(),
		.line = empty,
		.bytes = empty,
		.utf8 = empty,
		.folded = empty,
		.scratch = empty,
	};
}

void
searchtext_end(struct searchtext *t)
{
	charset_close(&t->charset);
	buf_free(&t->line);
	buf_free(&t->bytes);
	buf_free(&t->utf8);
	buf_free(&t->folded);
	buf_free(&t->scratch);
	pool_free(t->pool);
}

void
searchtext_set(struct searchtext *t, struct str header, struct str body)
{
	t->header = header;
	t->body = body;
	t->tree = NULL;
	pool_reset(t->pool);
}

/* s, a needle or of ASCII, stands in text. */
static bool
holds(struct str text, struct str s)
{
	return s.n == 0 ||
	    scan_find(text.p, text.n, 0, s.p, s.n) < text.n;
}

/*
 * RFC 3501 2.3.1 and 7.4.2 show a client CRLF at each line end; here most
 * are LF. So a needle with line ends is compared with LF alone.
 */
static bool
text_has(struct searchtext *t, struct str text, const struct needle *n)
{
	if (n->lined)
		text = without_cr(text, &t->line);
	return holds(text, n->folded);
}

/* text is UTF-8 in any case. */
static bool
utf8_has(struct searchtext *t, struct str text, const struct needle *n)
{
	if (!is_ascii(text)) {
		buf_clear(&t->folded);
		casemap_add(text, &t->folded);
		text = buf_str(&t->folded);
	}
	return text_has(t, text, n);
}

/*
 * The value without its folding, in t->line: as ENVELOPE shows it (RFC 5322
 * 2.2.3), or, with `one`, with one space where a line was folded, since the
 * program that folded it put the white space in place of one.
 */
static struct str
unfold(struct searchtext *t, struct str value, bool one)
{
	struct str line, rest = value;

	buf_clear(&t->line);
	while (str_line(&rest, &line)) {
		line = one ? str_trim(line) : str_chomp(line);
		if (one && line.n > 0 && t->line.n > 0)
			buf_addc(&t->line, ' ');
		buf_add(&t->line, line);
	}
	return buf_str(&t->line);
}

struct str
searchtext_words(struct searchtext *t, struct str text)
{
	struct word word;

	buf_clear(&t->utf8);
	while (word_next(&text, &t->scratch, &word))
		charset_to_utf8(&t->charset, word.charset, word.text,
		    &t->utf8);
	return buf_str(&t->utf8);
}

static bool
line_has(struct searchtext *t, struct str line, const struct needle *n,
    bool encoded)
{
	if (!encoded && is_ascii(line))
		return holds(line, n->folded);
	return utf8_has(t, searchtext_words(t, line), n);
}

/*
 * text: a field's value, or all of it. Without encoded words decoding
 * changes no ASCII byte and makes none, and unfolding changes white space
 * only: then a needle without white space stands in bytes of ASCII as they
 * are or nowhere.
 */
static bool
field_has(struct searchtext *t, struct str text, const struct needle *n)
{
	bool encoded = holds(text, STR("=?"));

	if (n->lined)
		return false;
	if (!encoded && is_ascii(text) && (!n->ascii || !n->spaced))
		return holds(text, n->folded);
	if (str_index(text, '\n') == text.n)
		return line_has(t, text, n, encoded);
	if (n->spaced && line_has(t, unfold(t, text, false), n, encoded))
		return true;
	return line_has(t, unfold(t, text, true), n, encoded);
}

/*
 * No field of the header can hold the needle. By the reasons given at
 * field_has its core must be there as it stands, or a byte that is not ASCII,
 * or an encoded word. One fast look at the
 * whole header spares most headers the walk from field to field.
 */
static bool
hopeless(struct str header, const struct needle *n)
{
	if (!is_ascii(header) || (n->ascii && holds(header, n->core)))
		return false;
	return !holds(header, STR("=?"));
}

bool
searchtext_field(struct searchtext *t, struct str name,
    const struct needle *n)
{
	struct str rest = t->header;
	struct field field;

	if (hopeless(t->header, n))
		return false;
	while (header_next(&rest, &field))
		if (str_ieq(field.name, name) &&
		    field_has(t, str_trim(field.value), n))
			return true;
	return false;
}

/*
 * RFC 3501 6.4.4: FROM and its kin ask for what "the envelope structure's
 * FROM field" contains, where quotes, escapes and comments are undone.
 */
static bool
addresses_have(struct searchtext *t, struct str value, const struct needle *n)
{
	struct addr_list list;
	struct addr a;

	buf_clear(&t->bytes);
	addr_begin(&list, t->pool, value);
	while (addr_next(&list, &a)) {
		buf_add(&t->bytes, a.name);
		buf_add(&t->bytes, STR(" <"));
		buf_add(&t->bytes, a.mailbox);
		if (a.host.n > 0)
			buf_addc(&t->bytes, '@');
		buf_add(&t->bytes, a.host);
		buf_add(&t->bytes, STR(">, "));
	}
	return field_has(t, buf_str(&t->bytes), n);
}

bool
searchtext_addresses(struct searchtext *t, struct str name,
    const struct needle *n)
{
	struct str rest = t->header;
	struct field field;

	if (searchtext_field(t, name, n))
		return true;
	/* Only escapes can make a run of bytes that the header lacks. */
	if (hopeless(t->header, n) && !holds(t->header, STR("\\")))
		return false;
	while (header_next(&rest, &field))
		if (str_ieq(field.name, name) &&
		    addresses_have(t, field.value, n))
			return true;
	return false;
}

static bool
header_has(struct searchtext *t, struct str header, const struct needle *n)
{
	struct field field;

	/* Not with encoded words, unless for line ends, which no word has. */
	if (n->ascii && (n->lined || !holds(header, STR("=?"))) &&
	    utf8_has(t, header, n))
		return true;
	if (hopeless(header, n))
		return false;
	while (header_next(&header, &field))
		if (field_has(t, str_trim(field.whole), n))
			return true;
	return false;
}

bool
searchtext_header(struct searchtext *t, const struct needle *n)
{
	return header_has(t, t->header, n);
}

/*
 * Does every ASCII byte of text in this charset mean itself, and every
 * other byte something else? Then an ASCII needle can be found without
 * converting. Not so where a second byte may be a letter (Shift_JIS, Big5,
 * GBK), where escapes change the meaning (ISO-2022), or where a letter and
 * a mark make one character (windows-1258). What is not listed is converted.
 */
static bool
keeps_ascii(struct str charset)
{
	static const struct str names[] = {
		{ "us-ascii", 8 }, { "utf-8", 5 }, { "ascii", 5 },
		{ "utf8", 4 }, { "latin1", 6 }, { "koi8-r", 6 },
		{ "koi8-u", 6 }, { "windows-1250", 12 },
		{ "windows-1251", 12 }, { "windows-1252", 12 },
		{ "windows-1253", 12 }, { "windows-1254", 12 },
		{ "windows-1256", 12 }, { "windows-1257", 12 },
	};
	size_t i;

	if (charset.n == 0 || str_istarts(charset, STR("iso-8859-")))
		return true;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(charset, names[i]))
			return true;
	return false;
}

/*
 * An encoding that nobody knows is taken for none: RFC 2045 6.4 would have
 * us take the part for no text, but what real mail says there is mostly a
 * misspelt "8bit".
 */
static struct str
decode_transfer(struct searchtext *t, const struct part *part)
{
	enum cte cte = cte_find(part->encoding);

	if (cte != CTE_QP && cte != CTE_BASE64)
		return part->body;
	buf_clear(&t->bytes);
	if (cte == CTE_QP)
		qp_decode(part->body, false, &t->bytes);
	else
		base64_decode(part->body, &t->bytes);
	return buf_str(&t->bytes);
}

static bool
part_has(struct searchtext *t, const struct part *part,
    const struct needle *n)
{
	struct str charset = param_find(part->params, STR("charset"));
	struct str text = part->body;

	if (text.n <= DECODE_MAX)
		text = decode_transfer(t, part);
	if (keeps_ascii(charset)) {
		if (n->ascii && text_has(t, text, n))
			return true;
		if (is_ascii(text))
			return false;
	}
	if (text.n > DECODE_MAX)
		return text_has(t, text, n);
	buf_clear(&t->utf8);
	charset_to_utf8(&t->charset, charset, text, &t->utf8);
	return utf8_has(t, buf_str(&t->utf8), n);
}

/* Delivery reports and the like are "message" without a message inside. */
static bool
is_text(const struct part *part)
{
	return part->child == NULL && (mime_is_text(part) ||
	    str_ieq(part->type, STR("message")));
}

/* The next part in the order of the message, or NULL. */
static const struct part *
next_part(const struct part *part)
{
	if (part->child != NULL)
		return part->child;
	while (part != NULL && part->next == NULL)
		part = part->up;
	return part == NULL ? NULL : part->next;
}

bool
searchtext_body(struct searchtext *t, const struct needle *n, bool mime)
{
	const struct part *part;

	if (n->folded.n == 0)
		return true;
	if (t->tree == NULL)
		t->tree = mime_parse(t->pool, t->header, t->body);
	for (part = t->tree; part != NULL; part = next_part(part)) {
		if (part->up != NULL && (mime || part->up->message) &&
		    header_has(t, part->header, n))
			return true;
		if (is_text(part) && part_has(t, part, n))
			return true;
	}
	return false;
}
