/*
 * validate_fetch.c - the FETCH answer's msg-att: envelopes, body structures,
 * sections and their texts. RFC 3501 section 9, RFC 3516 for BINARY. Tells
 * sizes and UIDs to its caller and remembers nothing.
 */
#include <string.h>

#include "validate_in.h"

/* Which text a section names, as far as sizes go. */
enum section_kind {
	SECTION_OTHER,
	SECTION_WHOLE,
	SECTION_HEADER,
	SECTION_TEXT,
};

/* One row of msg-att: `read` stands after the name. */
struct item {
	const char *name;
	bool (*read)(struct validator *v, struct fetched *f);
	bool binary;		/* only with RFC 3516 */
	bool many;		/* may stand in one answer more than once */
};

static bool	body(struct validator *v, bool extended);

/*
 * address      = "(" addr-name SP addr-adl SP addr-mailbox SP
 *                addr-host ")"
 * addr-name    = nstring
 * addr-adl     = nstring
 * addr-mailbox = nstring
 *      ; NIL indicates end of [RFC-2822] group; if non-NIL and addr-host is
 *      ; NIL, holds [RFC-2822] group name.
 * addr-host    = nstring
 *      ; NIL indicates [RFC-2822] group syntax.
 *
 * *group: are we inside a group?
 */
static bool
address(struct validator *v, bool *group)
{
	const char *at = v->p;
	struct slice name, adl, mailbox, host;

	if (!v_byte(v, '(') || !v_nstring(v, &name) || !v_sp(v) ||
	    !v_nstring(v, &adl) || !v_sp(v) || !v_nstring(v, &mailbox) ||
	    !v_sp(v) || !v_nstring(v, &host) || !v_byte(v, ')'))
		return false;
	if (host.p != NULL)
		return mailbox.p != NULL ||
		    v_fail(v, at, "an addr-mailbox where the host is not NIL");
	if (*group != (mailbox.p == NULL))
		return v_fail(v, at, *group ? "the end of the group first" :
		    "the start of a group before its end");
	*group = !*group;
	return true;
}

/*
 * env-from = "(" 1*address ")" / nil
 *
 * and so env-sender, env-reply-to, env-to, env-cc and env-bcc.
 */
static bool
env_addresses(struct validator *v, bool *nil)
{
	bool group = false;

	*nil = !v_next(v, '(');
	if (*nil)
		return v_nil(v);
	v->p++;
	do {
		if (!address(v, &group))
			return false;
	} while (v_next(v, '('));
	if (group)
		return v_fail(v, v->p, "the end of the group");
	return v_byte(v, ')');
}

/*
 * envelope = "(" env-date SP env-subject SP env-from SP
 *            env-sender SP env-reply-to SP env-to SP env-cc SP
 *            env-bcc SP env-in-reply-to SP env-message-id ")"
 * env-date, env-subject, env-in-reply-to, env-message-id = nstring
 */
static bool
envelope(struct validator *v)
{
	const char *at = v->p;
	struct slice unused;
	bool no_from, no_sender, no_reply_to, no;

	if (!v_byte(v, '(') || !v_nstring(v, &unused) || !v_sp(v) ||
	    !v_nstring(v, &unused) || !v_sp(v) ||
	    !env_addresses(v, &no_from) || !v_sp(v) ||
	    !env_addresses(v, &no_sender) || !v_sp(v) ||
	    !env_addresses(v, &no_reply_to) || !v_sp(v) ||
	    !env_addresses(v, &no) || !v_sp(v) ||
	    !env_addresses(v, &no) || !v_sp(v) ||
	    !env_addresses(v, &no) || !v_sp(v) ||
	    !v_nstring(v, &unused) || !v_sp(v) ||
	    !v_nstring(v, &unused) || !v_byte(v, ')'))
		return false;
	/*
	 * RFC 3501 7.4.2: "If the Sender or Reply-To lines are absent [...]
	 * the server sets the corresponding member of the envelope to be the
	 * same value as the from member".
	 */
	return no_from || (!no_sender && !no_reply_to) ||
	    v_fail(v, at, "env-sender and env-reply-to when env-from is there");
}

/*
 * body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
 */
static bool
body_fld_param(struct validator *v)
{
	struct slice unused;

	if (!v_next(v, '('))
		return v_nil(v);
	do {
		v->p++;		/* the parenthesis, then each SP */
		if (!v_string(v, &unused) || !v_sp(v) ||
		    !v_string(v, &unused))
			return false;
	} while (v_next(v, ' '));
	return v_byte(v, ')');
}

/*
 * body-fields     = body-fld-param SP body-fld-id SP body-fld-desc SP
 *                   body-fld-enc SP body-fld-octets
 * body-fld-id     = nstring
 * body-fld-desc   = nstring
 * body-fld-enc    = (DQUOTE ("7BIT" / "8BIT" / "BINARY" / "BASE64"/
 *                   "QUOTED-PRINTABLE") DQUOTE) / string
 * body-fld-octets = number
 */
static bool
body_fields(struct validator *v)
{
	struct slice unused;
	uint32_t octets;

	return body_fld_param(v) && v_sp(v) &&
	    v_nstring(v, &unused) && v_sp(v) &&
	    v_nstring(v, &unused) && v_sp(v) &&
	    v_string(v, &unused) && v_sp(v) && v_number(v, &octets);
}

/*
 * body-fld-dsp = "(" string SP body-fld-param ")" / nil
 */
static bool
body_fld_dsp(struct validator *v)
{
	struct slice unused;

	if (!v_next(v, '('))
		return v_nil(v);
	return v_byte(v, '(') && v_string(v, &unused) && v_sp(v) &&
	    body_fld_param(v) && v_byte(v, ')');
}

/*
 * body-fld-lang = nstring / "(" string *(SP string) ")"
 */
static bool
body_fld_lang(struct validator *v)
{
	struct slice unused;

	if (!v_next(v, '('))
		return v_nstring(v, &unused);
	do {
		v->p++;		/* the parenthesis, then each SP */
		if (!v_string(v, &unused))
			return false;
	} while (v_next(v, ' '));
	return v_byte(v, ')');
}

/*
 * body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang
 *                  [SP body-fld-loc *(SP body-extension)]]]
 * body-ext-mpart = body-fld-param [SP body-fld-dsp [SP body-fld-lang
 *                  [SP body-fld-loc *(SP body-extension)]]]
 * body-fld-loc   = nstring
 *
 * From the SP before body-fld-dsp on, which both have. "Server
 * implementations MUST NOT generate body-extension fields": none follow.
 */
static bool
body_ext(struct validator *v)
{
	struct slice unused;

	if (!v_next(v, ' '))
		return true;
	if (!v_sp(v) || !body_fld_dsp(v))
		return false;
	if (!v_next(v, ' '))
		return true;
	if (!v_sp(v) || !body_fld_lang(v))
		return false;
	if (!v_next(v, ' '))
		return true;
	return v_sp(v) && v_nstring(v, &unused);
}

/*
 * body-type-1part = (body-type-basic / body-type-msg / body-type-text)
 *                   [SP body-ext-1part]
 * body-type-basic = media-basic SP body-fields
 *      ; MESSAGE subtype MUST NOT be "RFC822"
 * body-type-msg   = media-message SP body-fields SP envelope
 *                   SP body SP body-fld-lines
 * body-type-text  = media-text SP body-fields SP body-fld-lines
 * media-basic     = ((DQUOTE ("APPLICATION" / "AUDIO" / "IMAGE" /
 *                   "MESSAGE" / "VIDEO") DQUOTE) / string) SP
 *                   media-subtype
 * media-message   = DQUOTE "MESSAGE" DQUOTE SP DQUOTE "RFC822" DQUOTE
 * media-text      = DQUOTE "TEXT" DQUOTE SP media-subtype
 * media-subtype   = string
 * body-fld-lines  = number
 * body-fld-md5    = nstring
 *
 * A literal {4} TEXT is a TEXT as well: the type decides, not its form.
 */
static bool
body_type_1part(struct validator *v, bool extended)
{
	struct slice type, subtype, unused;
	uint32_t lines;

	if (!v_string(v, &type) || !v_sp(v) || !v_string(v, &subtype) ||
	    !v_sp(v) || !body_fields(v))
		return false;
	if (v_is(type, "MESSAGE") && v_is(subtype, "RFC822")) {
		if (!v_sp(v) || !envelope(v) || !v_sp(v) ||
		    !body(v, extended) || !v_sp(v) || !v_number(v, &lines))
			return false;
	} else if (v_is(type, "TEXT")) {
		if (!v_sp(v) || !v_number(v, &lines))
			return false;
	}
	if (!extended || !v_next(v, ' '))
		return true;
	return v_sp(v) && v_nstring(v, &unused) && body_ext(v);
}

/*
 * body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
 */
static bool
body_type_mpart(struct validator *v, bool extended)
{
	struct slice subtype;

	do {
		if (!body(v, extended))
			return false;
	} while (v_next(v, '('));
	if (!v_sp(v) || !v_string(v, &subtype))
		return false;
	if (!extended || !v_next(v, ' '))
		return true;
	return v_sp(v) && body_fld_param(v) && body_ext(v);
}

/*
 * body = "(" (body-type-1part / body-type-mpart) ")"
 *
 * Extension data "MUST NOT be returned on non-extensible "BODY" fetch".
 */
static bool
body(struct validator *v, bool extended)
{
	bool good;

	if (!v_byte(v, '('))
		return false;
	if (++v->depth > DEPTH_MAX)
		return v_fail(v, v->p, "at most %d nested bodies", DEPTH_MAX);
	good = v_next(v, '(') ? body_type_mpart(v, extended) :
	    body_type_1part(v, extended);
	v->depth--;
	return good && v_byte(v, ')');
}

/*
 * header-list     = "(" header-fld-name *(SP header-fld-name) ")"
 * header-fld-name = astring
 */
static bool
header_list(struct validator *v)
{
	if (!v_byte(v, '(') || !v_astring(v))
		return false;
	while (v_next(v, ' ')) {
		v->p++;
		if (!v_astring(v))
			return false;
	}
	return v_byte(v, ')');
}

/*
 * section-part = nz-number *("." nz-number)
 *
 * Stops before a "." that no digit follows: section-text comes then.
 */
static bool
section_part(struct validator *v)
{
	uint32_t unused;

	if (!v_nz_number(v, &unused))
		return false;
	while (v->end - v->p >= 2 && v->p[0] == '.' &&
	    v_class(v->p[1], C_DIGIT)) {
		v->p++;
		if (!v_nz_number(v, &unused))
			return false;
	}
	return true;
}

/*
 * section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list /
 *                   "TEXT"
 * section-text    = section-msgtext / "MIME"
 */
static bool
section_text(struct validator *v, bool of_part, enum section_kind *kind)
{
	struct slice s = { v->p, 0 };

	while (v->p < v->end && *v->p != ']' && *v->p != ' ' &&
	    v_class(*v->p, C_ATOM))
		v->p++;
	s.n = (size_t)(v->p - s.p);
	if (v_is(s, "HEADER")) {
		*kind = SECTION_HEADER;
		return true;
	}
	if (v_is(s, "TEXT")) {
		*kind = SECTION_TEXT;
		return true;
	}
	if (v_is(s, "HEADER.FIELDS") || v_is(s, "HEADER.FIELDS.NOT"))
		return v_sp(v) && header_list(v);
	if (of_part && v_is(s, "MIME"))
		return true;
	return v_fail(v, s.p, "section-spec");
}

/*
 * section      = "[" [section-spec] "]"
 * section-spec = section-msgtext / (section-part ["." section-text])
 */
static bool
section(struct validator *v, enum section_kind *kind)
{
	*kind = SECTION_OTHER;
	if (!v_byte(v, '['))
		return false;
	if (v_next(v, ']')) {
		*kind = SECTION_WHOLE;
	} else if (v->p < v->end && v_class(*v->p, C_DIGIT)) {
		enum section_kind unused;

		if (!section_part(v))
			return false;
		if (v_next(v, '.')) {
			v->p++;
			if (!section_text(v, true, &unused))
				return false;
		}
	} else if (!section_text(v, false, kind)) {
		return false;
	}
	return v_byte(v, ']');
}

/*
 * The ["<" number ">"] of a section that was fetched in part.
 */
static bool
origin(struct validator *v, bool *partial)
{
	uint32_t unused;

	*partial = v_next(v, '<');
	if (!*partial)
		return true;
	return v_byte(v, '<') && v_number(v, &unused) && v_byte(v, '>');
}

/*
 * RFC 2822 2.1: "CR and LF MUST only occur together as CRLF". A mail may
 * hold a lone CR and keep it; a LF gets its CR from the server. A partial
 * text may begin between the two.
 */
static bool
crlf_lines(struct validator *v, struct slice text, bool partial)
{
	const char *p = text.p, *end = text.p + text.n, *lf;

	if (text.p == NULL)
		return true;
	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf == text.p ? !partial : lf[-1] != '\r')
			return v_fail(v, lf, "CR before LF in a text");
		p = lf + 1;
	}
	return true;
}

/*
 * nstring, of a text that counts as `kind` in *f.
 */
static bool
text(struct validator *v, struct fetched *f, enum section_kind kind,
    bool partial)
{
	struct slice s;

	if (!v_nstring(v, &s) || !crlf_lines(v, s, partial))
		return false;
	if (s.p == NULL || partial)
		return true;
	if (kind == SECTION_WHOLE)
		f->whole = s.n;
	else if (kind == SECTION_HEADER)
		f->header = s.n;
	else if (kind == SECTION_TEXT)
		f->text = s.n;
	return true;
}

/*
 * msg-att-static = "ENVELOPE" SP envelope / "INTERNALDATE" SP date-time /
 *                  "RFC822" [".HEADER" / ".TEXT"] SP nstring /
 *                  "RFC822.SIZE" SP number /
 *                  "BODY" ["STRUCTURE"] SP body /
 *                  "BODY" section ["<" number ">"] SP nstring /
 *                  "UID" SP uniqueid
 * msg-att-dynamic = "FLAGS" SP "(" [flag-fetch *(SP flag-fetch)] ")"
 *
 * One function each, from behind the name.
 */
static bool
att_envelope(struct validator *v, struct fetched *f)
{
	(void)f;
	return v_sp(v) && envelope(v);
}

static bool
att_internaldate(struct validator *v, struct fetched *f)
{
	(void)f;
	return v_sp(v) && v_date_time(v);
}

static bool
att_rfc822(struct validator *v, struct fetched *f)
{
	return v_sp(v) && text(v, f, SECTION_WHOLE, false);
}

static bool
att_rfc822_header(struct validator *v, struct fetched *f)
{
	return v_sp(v) && text(v, f, SECTION_HEADER, false);
}

static bool
att_rfc822_text(struct validator *v, struct fetched *f)
{
	return v_sp(v) && text(v, f, SECTION_TEXT, false);
}

static bool
att_rfc822_size(struct validator *v, struct fetched *f)
{
	uint32_t size;

	if (!v_sp(v) || !v_number(v, &size))
		return false;
	f->size = size;
	return true;
}

/* BODY without a section; BODY[...] has a row of its own. */
static bool
att_body(struct validator *v, struct fetched *f)
{
	(void)f;
	return v_sp(v) && body(v, false);
}

static bool
att_bodystructure(struct validator *v, struct fetched *f)
{
	(void)f;
	return v_sp(v) && body(v, true);
}

static bool
att_body_section(struct validator *v, struct fetched *f)
{
	enum section_kind kind;
	bool partial;

	return section(v, &kind) && origin(v, &partial) && v_sp(v) &&
	    text(v, f, kind, partial);
}

static bool
att_uid(struct validator *v, struct fetched *f)
{
	uint32_t uid;

	if (!v_sp(v) || !v_nz_number(v, &uid))
		return false;
	f->uid = uid;
	return true;
}

static bool
att_flags(struct validator *v, struct fetched *f)
{
	(void)f;
	return v_sp(v) && v_flags(v, FLAG_FETCH);
}

/*
 * RFC 3516: section-binary = "[" [section-part] "]"
 */
static bool
section_binary(struct validator *v)
{
	return v_byte(v, '[') && (v_next(v, ']') || section_part(v)) &&
	    v_byte(v, ']');
}

/*
 * RFC 3516: msg-att-static =/
 *     "BINARY" section-binary ["<" number ">"] SP (nstring / literal8)
 * RFC 4466: literal8 = "~{" number ["+"] "}" CRLF *OCTET
 *
 * The "+" is a client's.
 */
static bool
att_binary(struct validator *v, struct fetched *f)
{
	struct slice unused;
	bool partial;
	uint32_t n;

	(void)f;
	if (!section_binary(v) || !origin(v, &partial) || !v_sp(v))
		return false;
	if (!v_next(v, '~'))
		return v_nstring(v, &unused);
	v->p++;
	if (!v_byte(v, '{') || !v_number(v, &n) || !v_byte(v, '}') ||
	    !v_crlf(v))
		return false;
	if ((size_t)(v->end - v->p) < n)
		return v_fail(v, v->end, "the rest of a literal8");
	v->p += n;
	return true;
}

/*
 * RFC 3516: msg-att-static =/ "BINARY.SIZE" section-binary SP number
 */
static bool
att_binary_size(struct validator *v, struct fetched *f)
{
	uint32_t unused;

	(void)f;
	return section_binary(v) && v_sp(v) && v_number(v, &unused);
}

/* A name that ends in "[" is one that a section follows. */
static const struct item items[] = {
	{ .name = "FLAGS", .read = att_flags },
	{ .name = "UID", .read = att_uid },
	{ .name = "BODY[", .read = att_body_section, .many = true },
	{ .name = "RFC822.SIZE", .read = att_rfc822_size },
	{ .name = "INTERNALDATE", .read = att_internaldate },
	{ .name = "ENVELOPE", .read = att_envelope },
	{ .name = "BODYSTRUCTURE", .read = att_bodystructure },
	{ .name = "BODY", .read = att_body },
	{ .name = "RFC822", .read = att_rfc822 },
	{ .name = "RFC822.HEADER", .read = att_rfc822_header },
	{ .name = "RFC822.TEXT", .read = att_rfc822_text },
	{ .name = "BINARY[", .read = att_binary, .binary = true,
	    .many = true },
	{ .name = "BINARY.SIZE[", .read = att_binary_size, .binary = true,
	    .many = true },
};

enum {
	ITEMS = sizeof(items) / sizeof(*items),
};

/* The row of the name at v->p, or NULL; v->p goes behind the name. */
static const struct item *
item_find(struct validator *v)
{
	struct slice name = { v->p, 0 };

	while (v->p < v->end && *v->p != '[' && v_class(*v->p, C_ATOM))
		v->p++;
	name.n = (size_t)(v->p - name.p);
	if (v_next(v, '['))
		name.n++;
	for (size_t i = 0; i < ITEMS; i++) {
		if (v_is(name, items[i].name) &&
		    (!items[i].binary || v->options->binary))
			return &items[i];
	}
	v_fail(v, name.p, "the name of a msg-att");
	return NULL;
}

/*
 * msg-att = "(" (msg-att-dynamic / msg-att-static)
 *           *(SP (msg-att-dynamic / msg-att-static)) ")"
 */
bool
v_msg_att(struct validator *v, struct fetched *f)
{
	unsigned told = 0;

	*f = (struct fetched){ UINT64_MAX, UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, UINT64_MAX };
	if (!v_byte(v, '('))
		return false;
	for (;;) {
		const char *at = v->p;
		const struct item *item = item_find(v);

		if (item == NULL)
			return false;
		if (told & 1u << (item - items) && !item->many)
			return v_fail(v, at, "%s once", item->name);
		told |= 1u << (item - items);
		if (!item->read(v, f))
			return false;
		if (!v_next(v, ' '))
			break;
		v->p++;
	}
	return v_byte(v, ')');
}
