/*
 * validate_text.c - resp-text and its codes, for every line that has one.
 * An extension's code is a row of the table and, if arguments follow, the
 * function that reads them.
 */
#include <string.h>

#include "validate_in.h"

/*
 * capability = ("AUTH=" auth-type) / atom
 * auth-type  = atom
 */
bool
v_capability(struct validator *v, struct slice *name)
{
	const char *at = v->p;

	*name = v_run(v, C_ATOM);
	if (name->n == 0)
		return v_fail(v, at, "capability");
	return !v_is(*name, "AUTH=") || v_fail(v, v->p, "auth-type");
}

/*
 * capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1"
 *                   *(SP capability)
 */
bool
v_capability_data(struct validator *v)
{
	struct slice name;
	bool rev1 = false;

	do {
		if (!v_sp(v) || !v_capability(v, &name))
			return false;
		rev1 = rev1 || v_is(name, "IMAP4rev1");
	} while (v_next(v, ' '));
	return rev1 || v_fail(v, v->p, "the capability IMAP4rev1");
}

/*
 * "BADCHARSET" [SP "(" astring *(SP astring) ")" ]
 */
static bool
badcharset(struct validator *v)
{
	if (!v_next(v, ' '))
		return true;
	if (!v_sp(v) || !v_byte(v, '(') || !v_astring(v))
		return false;
	while (v_next(v, ' ')) {
		v->p++;
		if (!v_astring(v))
			return false;
	}
	return v_byte(v, ')');
}

/*
 * "PERMANENTFLAGS" SP "(" [flag-perm *(SP flag-perm)] ")"
 */
static bool
permanentflags(struct validator *v)
{
	struct slice list;

	if (!v_sp(v))
		return false;
	list.p = v->p;
	if (!v_flags(v, FLAG_PERM))
		return false;
	list.n = (size_t)(v->p - list.p);
	return state_permanent(v, list);
}

/*
 * "UNSEEN" SP nz-number
 */
static bool
unseen(struct validator *v)
{
	const char *at = v->p;
	uint32_t number;

	if (!v_sp(v) || !v_nz_number(v, &number))
		return false;
	state_unseen(v, at, number);
	return true;
}

/*
 * RFC 4315: resp-code-apnd = "APPENDUID" SP nz-number SP append-uid
 *           append-uid     = uniqueid / uid-set
 *
 * "the UID set form [...] MUST NOT be used if only a single message was
 * appended. In particular, a server MUST NOT send a range such as 123:123."
 */
static bool
resp_code_apnd(struct validator *v)
{
	const char *at;
	uint64_t count;

	if (!v_sp_nz_number(v) || !v_sp(v))
		return false;
	at = v->p;
	if (!v_uid_set(v, &count))
		return false;
	return count > 1 || memchr(at, ':', (size_t)(v->p - at)) == NULL ||
	    v_fail(v, at, "one UID, not a set of one");
}

/*
 * RFC 4315: resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set
 *
 * "the destination UID set corresponds to the source UID set"
 */
static bool
resp_code_copy(struct validator *v)
{
	const char *at = v->p;
	uint64_t from, to;

	if (!v_sp_nz_number(v) || !v_sp(v) || !v_uid_set(v, &from) ||
	    !v_sp(v) || !v_uid_set(v, &to))
		return false;
	return from == to || v_fail(v, at, "as many UIDs in both sets");
}

/*
 * resp-text-code = "ALERT" / "BADCHARSET" ... / capability-data / "PARSE" /
 *                  "PERMANENTFLAGS" ... / "READ-ONLY" / "READ-WRITE" /
 *                  "TRYCREATE" / "UIDNEXT" SP nz-number /
 *                  "UIDVALIDITY" SP nz-number / "UNSEEN" SP nz-number /
 *                  atom [SP 1*<any TEXT-CHAR except "]">]
 *
 * then RFC 5530, the one of RFC 9051, RFC 4315, and the one of RFC 3516, RFC
 * 4469.
 */
static const struct row codes[] = {
	{ .name = "ALERT" },
	{ .name = "BADCHARSET", .read = badcharset },
	{ .name = "CAPABILITY", .read = v_capability_data },
	{ .name = "PARSE" },
	{ .name = "PERMANENTFLAGS", .read = permanentflags },
	{ .name = "READ-ONLY", .seen = SEEN_READ_ONLY },
	{ .name = "READ-WRITE" },
	{ .name = "TRYCREATE" },
	{ .name = "UIDNEXT", .read = v_sp_nz_number },
	{ .name = "UIDVALIDITY", .read = v_sp_nz_number },
	{ .name = "UNSEEN", .read = unseen },

	{ .name = "UNAVAILABLE" },
	{ .name = "AUTHENTICATIONFAILED" },
	{ .name = "AUTHORIZATIONFAILED" },
	{ .name = "EXPIRED" },
	{ .name = "PRIVACYREQUIRED" },
	{ .name = "CONTACTADMIN" },
	{ .name = "NOPERM" },
	{ .name = "INUSE" },
	{ .name = "EXPUNGEISSUED" },
	{ .name = "CORRUPTION" },
	{ .name = "SERVERBUG" },
	{ .name = "CLIENTBUG" },
	{ .name = "CANNOT" },
	{ .name = "LIMIT" },
	{ .name = "OVERQUOTA" },
	{ .name = "ALREADYEXISTS" },
	{ .name = "NONEXISTENT" },

	{ .name = "HASCHILDREN" },

	{ .name = "APPENDUID", .read = resp_code_apnd },
	{ .name = "COPYUID", .read = resp_code_copy },
	{ .name = "UIDNOTSTICKY" },

	{ .name = "UNKNOWN-CTE" },
	{ .name = "TOOBIG" },
};

/*
 * A code that is in the table, or the grammar's last alternative if it
 * begins with "X": RFC 3501 7.1, "Additional response codes [...] SHOULD be
 * prefixed with an "X" until they are added to a revision". A name that is
 * misspelt shall not pass as an extension.
 */
static bool
resp_text_code(struct validator *v)
{
	struct slice name = v_run(v, C_ATOM);
	const struct row *row = v_row(ROWS(codes), name);

	if (row != NULL) {
		v->state.seen |= row->seen;
		return row->read == NULL || row->read(v);
	}
	if (name.n == 0 || (*name.p != 'X' && *name.p != 'x'))
		return v_fail(v, name.p, "resp-text-code");
	if (!v_next(v, ' '))
		return true;
	v->p++;
	if (v_next(v, ']'))
		return v_fail(v, v->p, "TEXT-CHAR");
	while (v->p < v->end && *v->p != ']' && v_class(*v->p, C_TEXT))
		v->p++;
	return true;
}

/*
 * resp-text = ["[" resp-text-code "]" SP] text
 */
bool
v_resp_text(struct validator *v)
{
	if (v_next(v, '[')) {
		v->p++;
		if (!resp_text_code(v) || !v_byte(v, ']') || !v_sp(v))
			return false;
	}
	return v_text(v);
}

bool
v_sp_resp_text(struct validator *v)
{
	return v_sp(v) && v_resp_text(v);
}
