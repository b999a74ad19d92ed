/*
 * doctor_head.c - what a message's header says of the mailbox, for the
 * doctor: each metadata field (meta.h), where it stands, and whether it can
 * be believed (mbox.md 2.3). What counts for imapd in the end is lib/meta's
 * answer, which is asked beside. Text that clients see is not looked at.
 */
#include "doctor_own.h"

#include <string.h>

#include "lib/fs.h"
#include "lib/mem.h"

static const struct hash_key no_key;

static void
found(struct reading *r, enum fault fault, int64_t at, int64_t number)
{
	doctor_found(r, fault, at, r->n + 1, number);
	if (fault_words[fault].mend == MEND_STAMP)
		r->now.restamp = true;
}

void
doctor_head_begin(struct reading *r, struct str from_line)
{
	meta_begin(&r->meta, &no_key, from_line);
	r->field = META_NONE;
	r->run_at = r->length = -1;
	r->now_pseudo = r->middle = false;
	r->value_n = 0;
	memset(r->count, 0, sizeof(r->count));
	memset(r->field_bad, 0, sizeof(r->field_bad));
}

/* ---- fields ---- */

/* N and U are old programs' for "new" and "unread". */
static void
judge_letters(struct reading *r, struct str value)
{
	size_t i;

	for (i = 0; i < value.n; i++)
		if (str_index(STR("RONUDFAT"), value.p[i]) == 8)
			break;
	if (i < value.n)
		found(r, FAULT_LETTERS, r->field_at, 0);
}

/* Cuts the first word off *rest. */
static struct str
next_word(struct str *rest)
{
	struct str word;

	*rest = str_trim(*rest);
	word = str_sub(*rest, 0, str_index(*rest, ' '));
	*rest = str_from(*rest, word.n);
	return word;
}

static void
judge_base(struct reading *r, struct str value)
{
	uint32_t validity, last;

	if (str_u32(next_word(&value), &validity) && validity > 0 &&
	    validity <= INT32_MAX && str_u32(next_word(&value), &last) &&
	    last < INT32_MAX)
		return;
	r->field_bad[r->field] = true;
}

static void
judge_number(struct reading *r, struct str value)
{
	uint32_t uid;

	if (!str_u32(value, &uid) || uid == 0)
		r->field_bad[META_XUID] = true;
}

static void
judge_length(struct reading *r, struct str value)
{
	uint64_t n;

	r->length = str_u64(value, &n) && n <= INT64_MAX ? (int64_t)n :
	    INT64_MAX;
}

/* The field has ended. */
static void
settle(struct reading *r)
{
	struct str value = { r->value, r->value_n };

	value = str_trim(str_from(value, str_index(value, ':') + 1));
	switch (r->field) {
	case META_STATUS:
	case META_XSTATUS:
		judge_letters(r, value);
		break;
	case META_XUID:
		judge_number(r, value);
		break;
	case META_XIMAP:
	case META_XIMAPBASE:
		judge_base(r, value);
		break;
	case META_CONTENT_LENGTH:
		judge_length(r, value);
		break;
	default:
		break;
	}
	r->field = META_NONE;
	r->value_n = 0;
}

/* Content-Length is an MTA's as well, and stands where that put it. */
static void
begin_field(struct reading *r, int64_t at, struct str line)
{
	r->field = meta_which(line);
	r->field_at = at;
	if (r->field == META_NONE) {
		if (r->run_at >= 0 && !meta_transparent(line)) {
			found(r, FAULT_MIDDLE, r->run_at, 0);
			r->middle = true;
			r->run_at = -1;
		}
		return;
	}
	if (r->count[r->field]++ > 0)
		found(r, FAULT_TWICE, at, 0);
	else
		r->at_field[r->field] = at;
	if (r->run_at < 0 && r->field != META_CONTENT_LENGTH)
		r->run_at = at;
}

void
doctor_head_line(struct reading *r, int64_t at, struct str text, bool begins)
{
	bool folded = begins && r->meta.bytes > 0 &&
	    (text.p[0] == ' ' || text.p[0] == '\t') &&
	    str_chomp(text).n > 0;
	size_t n = str_chomp(text).n;

	if (begins && !folded) {
		settle(r);
		if (n > 0)
			begin_field(r, at, text);
	}
	if (begins)
		meta_line(&r->meta, text);
	else
		meta_more(&r->meta, text);
	if (r->field == META_NONE)
		return;
	if (n > sizeof(r->value) - r->value_n)
		n = sizeof(r->value) - r->value_n;
	memcpy(r->value + r->value_n, text.p, n);
	r->value_n += n;
}

/* ---- what they come to ---- */

static void
take_base(struct reading *r)
{
	struct str words = meta_base_keywords(&r->meta), word;

	r->based = true;
	r->uidvalidity = r->meta.uidvalidity;
	r->uidlast = r->meta.uidlast;
	while ((word = next_word(&words)).n > 0)
		keyword_add(&r->keywords, word);
}

/* The message in which UW and Dovecot keep the base field of a mailbox
 * without mail. */
static bool
is_pseudo(const struct reading *r)
{
	char text[64];
	const size_t n = meta_pseudo_body.n;

	return r->daemon && r->meta.base == META_XIMAP &&
	    r->meta.base_spelled && r->meta.base_count == 1 &&
	    r->meta.pseudo_subject &&
	    r->meta.uidlast < INT32_MAX - UIDS_LEFT &&
	    fs_pread(r->fd, text, n, r->now.body) == 0 &&
	    memcmp(text, meta_pseudo_body.p, n) == 0;
}

static void
judge_first_base(struct reading *r, int64_t at)
{
	const struct meta *m = &r->meta;

	r->now_pseudo = is_pseudo(r);
	if (r->now_pseudo || (m->base == META_XIMAPBASE && m->base_shaped &&
	    m->uid != 0 && m->uid <= m->uidlast)) {
		take_base(r);
		return;
	}
	r->base_told = true;
	/* What is wrong has been said where a field is there twice, or not
	 * at the end. */
	if (r->middle || r->count[META_XUID] > 1 ||
	    r->count[META_XIMAP] + r->count[META_XIMAPBASE] > 1)
		return;
	found(r, r->field_bad[META_XIMAP] || r->field_bad[META_XIMAPBASE] ?
	    FAULT_BASE_BAD : FAULT_BASE_ODD, at, 0);
}

static void
judge_bases(struct reading *r)
{
	bool old = r->count[META_XIMAPBASE] == 0;
	int64_t at = r->at_field[old ? META_XIMAP : META_XIMAPBASE];

	if (r->count[META_XIMAP] + r->count[META_XIMAPBASE] == 0)
		return;
	if (r->n == 0 && !r->pseudo)
		judge_first_base(r, at);
	else
		found(r, FAULT_BASE_SECOND, at, 0);
}

/* Those that were believed rise. */
static bool
uid_is_known(const struct reading *r, uint32_t uid)
{
	uint32_t low = 0, high = r->n_uids, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (r->uids[mid] < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->n_uids && r->uids[low] == uid;
}

static void
believe_uid(struct reading *r, uint32_t uid)
{
	if (r->n_uids == r->uids_room) {
		r->uids_room = r->uids_room * 2 + 64;
		r->uids = xrealloc(r->uids, r->uids_room, sizeof(*r->uids));
	}
	r->uids[r->n_uids++] = uid;
	r->now.uid = r->uid_before = uid;
}

/* An X-UID that is a number, alone, and at the header's end. */
static void
judge_uid(struct reading *r, uint32_t uid, int64_t at)
{
	if (!r->based) {
		if (!r->base_told && !r->uid_told)
			found(r, FAULT_UID_NO_BASE, at, uid);
		r->uid_told = true;
	} else if (uid > r->uidlast)
		found(r, FAULT_UID_ABOVE, at, uid);
	else if (uid <= r->uid_before)
		found(r, uid_is_known(r, uid) ? FAULT_UID_SAME :
		    FAULT_UID_FALLS, at, uid);
	else
		believe_uid(r, uid);
}

static void
judge_uids(struct reading *r)
{
	bool had = r->count[META_XUID] > 0;

	if (r->field_bad[META_XUID] && r->count[META_XUID] == 1)
		found(r, FAULT_UID_BAD, r->at_field[META_XUID], 0);
	else if (r->meta.uid != 0)
		judge_uid(r, r->meta.uid, r->at_field[META_XUID]);
	if (!had && r->unstamped < 0) {
		r->unstamped = r->now.start;
		r->unstamped_msg = r->n + 1;
	}
	if (r->now.uid != 0 && r->unstamped >= 0) {
		doctor_found(r, FAULT_UID_NONE, r->unstamped,
		    r->unstamped_msg, 0);
		r->unstamped = -1;
	}
}

static void
judge_keywords(struct reading *r)
{
	struct str words = meta_keywords(&r->meta), word;
	bool unknown = false;
	int i;

	while ((word = next_word(&words)).n > 0) {
		i = keyword_find(&r->keywords, word);
		if (i >= 0)
			r->now.keywords |= (uint32_t)1 << i;
		else
			unknown = true;
	}
	if (unknown)
		found(r, FAULT_KEYWORD, r->at_field[META_XKEYWORDS], 0);
}

void
doctor_head_end(struct reading *r)
{
	settle(r);
	meta_end(&r->meta);
	r->now.flags = r->meta.flags;
	r->now.quoted = r->meta.quoted;
	judge_bases(r);
	if (r->now_pseudo)
		return;
	judge_uids(r);
	judge_keywords(r);
	if (r->count[META_QUOTED] == 1 && !r->meta.quoted)
		found(r, FAULT_QUOTED, r->at_field[META_QUOTED], 0);
}

/*
 * Programs differ in whether the empty line behind the text counts, and line
 * ends may have been added: right is what ends among them.
 */
void
doctor_head_length(struct reading *r, int64_t next)
{
	int64_t n = next - r->now.body;
	int64_t least = r->solid > r->now.body ? r->solid - r->now.body : 0;

	if (r->now.from > 0 && r->count[META_CONTENT_LENGTH] == 1 &&
	    (r->length < least || r->length > n))
		found(r, FAULT_LENGTH, r->at_field[META_CONTENT_LENGTH],
		    r->now.end - r->now.body);
}
