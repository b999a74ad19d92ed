/*
 * cmd_any.c - the commands that need no mailbox: CAPABILITY, NOOP, LOGOUT,
 * ID and NAMESPACE. What NOOP tells is told by session.c, which also tells
 * after every command.
 */
#include "session.h"

#include "lib/buf.h"
#include "lib/casemap.h"
#include "lib/params.h"

enum {
	/* RFC 2971 3.3: "MUST NOT be longer than 30 octets", "1024 octets",
	 * "MUST NOT send more than 30 field-value pairs". */
	ID_PAIRS_MAX = 30,
	ID_FIELD_MAX = 30,
	ID_VALUE_MAX = 1024,

	CAPABILITIES_MAX = 1024,
};

/*
 * Only what is whole, and what can be done now. RFC 3501 7.2.1: "The
 * LOGINDISABLED capability indicates that the LOGIN command is disabled, and
 * that the server will respond with a tagged NO response".
 */
const char *
cmd_any_capabilities(struct session *s)
{
	struct buf b = BUF_MAX(CAPABILITIES_MAX);
	struct str text;

	buf_addf(&b, "CAPABILITY IMAP4rev1 LITERAL+ ID NAMESPACE CHILDREN"
	    " IDLE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY WITHIN"
	    " APPENDLIMIT=%d",
	    APPEND_MAX_BYTES);
	if (casemap_known())
		buf_add(&b, STR(" SORT THREAD=ORDEREDSUBJECT"
		    " THREAD=REFERENCES"));
	if (s->state == STATE_NOT_AUTH && s->tls != NULL && !s->tls_on)
		buf_add(&b, STR(" STARTTLS"));
	if (s->state == STATE_NOT_AUTH)
		buf_add(&b, s->plaintext ?
		    STR(" SASL-IR AUTH=PLAIN AUTH=LOGIN") :
		    STR(" LOGINDISABLED"));
	text = pool_copy(s->pool, buf_str(&b));
	buf_free(&b);
	return text.p;
}

enum result
cmd_capability(struct session *s, struct parser *p, struct outcome *o,
    bool uid)
{
	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	reply_raw(&s->reply, STR("* "));
	reply_raw(&s->reply, str_c(cmd_any_capabilities(s)));
	reply_raw(&s->reply, STR("\r\n"));
	return RES_OK;
}

enum result
cmd_noop(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	if (s->state == STATE_SELECTED)
		session_tell_idle(s);
	return RES_OK;
}

/*
 * RFC 3501 6.1.3: "MUST send a BYE untagged response before the (tagged) OK
 * response". 6.4.2 has LOGOUT close the mailbox "without doing an expunge";
 * what this session marked goes all the same, where --expunge-on says so.
 */
enum result
cmd_logout(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	mbox_leave(s->mbox, true);
	if (s->options->expunge_on & ON_LOGOUT)
		cmd_expunge_marked(s);
	reply_raw(&s->reply, STR("* BYE "));
	reply_text(&s->reply, s->host);
	reply_raw(&s->reply, STR(" IMAP4rev1 server terminating"
	    " connection\r\n"));
	return RES_BYE;
}

static int
id_pair(struct parser *p)
{
	struct str field, value;

	if (parse_string(p, &field) != 0 || parse_space(p) != 0 ||
	    parse_nstring(p, &value) != 0)
		return -1;
	if (field.n > ID_FIELD_MAX)
		return parse_bad(p, "ID field name is too long");
	if (value.n > ID_VALUE_MAX)
		return parse_bad(p, "ID value is too long");
	return 0;
}

/* id_params_list: NIL, or pairs in parentheses, perhaps none. */
static int
id_list(struct parser *p)
{
	struct str nil;
	unsigned n;

	if (parse_peek(p) != '(') {
		if (parse_word(p, &nil) != 0)
			return -1;
		return str_ieq(nil, STR("NIL")) ? 0 :
		    parse_bad(p, "ID takes a list or NIL");
	}
	if (parse_open(p) != 0)
		return -1;
	for (n = 0; parse_peek(p) != ')'; n++) {
		if (n == ID_PAIRS_MAX)
			return parse_bad(p, "Too many ID fields");
		if ((n > 0 && parse_space(p) != 0) || id_pair(p) != 0)
			return -1;
	}
	return parse_close(p);
}

/*
 * What the client says is read and forgotten. RFC 2971 3: "MUST NOT make
 * operational changes based on the data sent".
 */
enum result
cmd_id(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)o;
	(void)uid;
	if (parse_space(p) != 0 || id_list(p) != 0 || parse_end(p) != 0)
		return RES_BAD;
	reply_raw(&s->reply, STR("* ID (\"name\" \"" IMAPD_NAME "\""
	    " \"version\" \"" IMAPD_VERSION "\")\r\n"));
	return RES_OK;
}

/* One personal namespace without a prefix: old clients' prefixes ("mail/",
 * "~/mail/") are names in it (DESIGN 6). */
enum result
cmd_namespace(struct session *s, struct parser *p, struct outcome *o,
    bool uid)
{
	(void)o;
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	reply_raw(&s->reply, STR("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"));
	return RES_OK;
}
