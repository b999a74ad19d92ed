/*
 * meta.c - reads a header as an mbox keeps it: what is hidden, what the
 * last run of metadata fields says, and the stable hash that names the
 * message whatever flags it bears. It believes nothing: which of these
 * values count is decided in mbox.c, where the other messages are known.
 */
#include "meta.h"

#include <string.h>

#include "flags.h"

static const struct str names[META_FIELDS] = {
	[META_STATUS] = { "Status", 6 },
	[META_XSTATUS] = { "X-Status", 8 },
	[META_XKEYWORDS] = { "X-Keywords", 10 },
	[META_XUID] = { "X-UID", 5 },
	[META_XIMAP] = { "X-IMAP", 6 },
	[META_XIMAPBASE] = { "X-IMAPbase", 10 },
	[META_CONTENT_LENGTH] = { "Content-Length", 14 },
	[META_QUOTED] = { "X-IMAPd-Quoted", 14 },
};

/*
 * The first field of each of these names is hashed. No program changes them
 * when it changes a flag; popa3d knows messages again in the same way.
 */
static const struct str stable[] = {
	{ "Received", 8 }, { "Message-ID", 10 }, { "Date", 4 },
	{ "From", 4 }, { "Subject", 7 }, { "Delivered-To", 12 },
};

const struct str meta_pseudo_subject = {
	"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", 49
};
const struct str meta_pseudo_body = {
	"This text is part of the internal format of your mail folder", 60
};

/*
 * The line's field name is `name`; obsolete white space may follow it. The
 * byte behind the name settles nearly every line of a header.
 */
static inline bool
is_named(struct str line, struct str name)
{
	size_t i = name.n;

	if (line.n <= i || (line.p[i] != ':' && line.p[i] != ' ' &&
	    line.p[i] != '\t') || !str_ieq(str_sub(line, 0, i), name))
		return false;
	/* The first piece of a long line must tell as much as the whole. */
	line = str_sub(line, 0, META_PIECE_MIN - 1);
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':';
}

enum meta_field
meta_which(struct str line)
{
	unsigned i;

	switch (line.n == 0 ? 0 : line.p[0] | 0x20) {
	case 's':
	case 'x':
	case 'c':
		break;
	default:
		return META_NONE;
	}
	for (i = META_NONE + 1; i < META_FIELDS; i++)
		if (is_named(line, names[i]))
			return (enum meta_field)i;
	return META_NONE;
}

/* True, and noted, when the line begins a field that the hash wants. */
static bool
begin_stable(struct meta *m, struct str line)
{
	unsigned i;

	switch (line.n == 0 ? 0 : line.p[0] | 0x20) {
	case 'r': case 'm': case 'd': case 'f': case 's':
		break;
	default:
		return false;
	}
	for (i = 0; i < sizeof(stable) / sizeof(stable[0]); i++)
		if (!(m->hashed & 1u << i) && is_named(line, stable[i])) {
			m->hashed |= 1u << i;
			return true;
		}
	return false;
}

void
meta_begin(struct meta *m, const struct hash_key *key, struct str from_line)
{
	/* The value buffers are not worth clearing for each message. */
	memset(m, 0, offsetof(struct meta, keywords));
	hash_init(&m->hash, key);
	hash_add(&m->hash, str_chomp(from_line));
}

/* Forgets a run of metadata fields that was not the last one. */
static void
begin_run(struct meta *m)
{
	m->flags = 0;
	m->uid = 0;
	m->base = META_NONE;
	m->keywords_n = 0;
	m->base_n = 0;
	m->before = META_NONE;
	m->mark = false;
	m->quoted = false;
	m->visible_after = false;
	memset(m->count, 0, sizeof(m->count));
}

/* Cuts the next SP-separated word off *rest; empty at the end. */
static struct str
next_word(struct str *rest)
{
	struct str word;
	size_t n;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = str_from(*rest, 1);
	n = str_index(*rest, ' ');
	word = str_sub(*rest, 0, n);
	*rest = str_from(*rest, n);
	return word;
}

/* "uidvalidity uidlast keyword...": sets what a sane value tells. */
static void
settle_base(struct meta *m, struct str value)
{
	struct str rest = value;

	m->base = META_NONE;
	if (!str_u32(next_word(&rest), &m->uidvalidity) ||
	    !str_u32(next_word(&rest), &m->uidlast) ||
	    m->uidvalidity == 0 || m->uidvalidity > INT32_MAX ||
	    m->uidlast >= INT32_MAX)
		return;
	m->base = m->field;
	m->base_n = rest.n;
	if (rest.n > 0)
		memcpy(m->base_words, rest.p, rest.n);
}

/* The field's lines are all in: reads its value. */
static void
settle(struct meta *m)
{
	struct str value = str_trim((struct str){ m->value, m->value_n });

	switch (m->field) {
	case META_STATUS:
	case META_XSTATUS:
		m->flags |= status_read(value);
		break;
	case META_XKEYWORDS:
		m->keywords_n = value.n;
		if (value.n > 0)
			memcpy(m->keywords, value.p, value.n);
		break;
	case META_XUID:
		if (m->count[META_XUID] > 1 || !str_u32(value, &m->uid))
			m->uid = 0;
		m->quoted = m->mark && m->uid != 0 &&
		    m->before == META_QUOTED;
		break;
	case META_QUOTED:
		m->mark = m->before == META_XKEYWORDS &&
		    str_eq(value, STR("rd"));
		m->quoted = false;
		break;
	case META_XIMAP:
	case META_XIMAPBASE:
		settle_base(m, value);
		break;
	default:
		break;
	}
	if (m->field != META_NONE)
		m->before = m->field;
	m->field = META_NONE;
}

bool
meta_transparent(struct str line)
{
	return is_named(line, STR("Lines"));
}

static void
begin_field(struct meta *m, struct str line)
{
	m->field = meta_which(line);
	m->hashing = m->field == META_NONE && begin_stable(m, line);
	m->value_n = 0;
	if (m->field == META_NONE) {
		if (!meta_transparent(line))
			m->visible_after = true;
		if (m->hashing && is_named(line, STR("Subject")))
			m->pseudo_subject = str_eq(meta_pseudo_subject,
			    str_trim(str_from(line, STR("Subject:").n)));
		return;
	}
	if (m->visible_after)
		begin_run(m);
	m->count[m->field]++;
	if (m->field == META_XIMAP || m->field == META_XIMAPBASE) {
		m->base_count++;
		/* UW writes it first; Dovecot, which expunged the first
		 * message, in front of an X-UID that stood there. */
		m->base_first = m->count[META_XUID] == 0;
		m->base_spelled = str_starts(line, names[m->field]);
	}
}

/* Adds bytes of the current field: a line, or a piece of a long one. */
static void
feed(struct meta *m, struct str bytes, bool value)
{
	struct str text = bytes;
	bool lf = bytes.n > 0 && bytes.p[bytes.n - 1] == '\n';
	bool bare;

	if (bytes.n > 1)
		m->cr = bytes.p[bytes.n - 2] == '\r';
	bare = lf && !m->cr;
	if (bytes.n > 0)
		m->cr = bytes.p[bytes.n - 1] == '\r';
	m->bytes += bytes.n;
	m->bare += bare;
	if (m->field == META_NONE)
		return;
	m->hidden += bytes.n;
	m->hidden_bare += bare;
	if (!value)
		text = str_from(text, str_index(text, ':') + 1);
	text = str_sub(str_chomp(text), 0, META_VALUE_MAX - m->value_n);
	if (text.n > 0)
		memcpy(m->value + m->value_n, text.p, text.n);
	/* Dovecot folds a long list of keywords with a TAB. */
	if (value && text.n > 0 && text.p[0] == '\t')
		m->value[m->value_n] = ' ';
	m->value_n += text.n;
}

bool
meta_line(struct meta *m, struct str line)
{
	struct str text = str_chomp(line);
	bool folded;

	folded = text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t') &&
	    m->bytes > 0;
	m->cr = false;
	if (!folded) {
		settle(m);
		m->hashing = false;
	}
	if (text.n == 0 && line.n > 0) {
		feed(m, line, false);
		m->ended = true;
		return true;
	}
	if (!folded)
		begin_field(m, line);
	/* However a long line is cut in pieces, its hash is the same: one
	 * byte less, for a piece may end between CR and LF. */
	if (m->hashing)
		hash_add(&m->hash, str_sub(text, 0, META_PIECE_MIN - 1));
	feed(m, line, folded);
	return false;
}

void
meta_more(struct meta *m, struct str piece)
{
	feed(m, piece, true);
}

uint64_t
meta_end(struct meta *m)
{
	settle(m);
	m->base_shaped = m->base != META_NONE && m->base_count == 1 &&
	    m->base_first && m->base_spelled && !m->visible_after;
	return hash_end(&m->hash);
}

struct str
meta_keywords(const struct meta *m)
{
	return (struct str){ m->keywords, m->keywords_n };
}

struct str
meta_base_keywords(const struct meta *m)
{
	return (struct str){ m->base_words, m->base_n };
}
