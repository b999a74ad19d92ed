/*
 * cmd_login.c - LOGIN and AUTHENTICATE: from the client's bytes to a struct
 * login, and from the answer to words. Whether a password is right is asked
 * through ask.c; it is not kept, not logged and not sent anywhere else.
 */
#include "session.h"

#include "lib/codec.h"
#include "lib/params.h"

enum {
	/* RFC 4422 3.1: "from 1 to 20 characters in length". */
	MECHANISM_BYTES = 20,
};

struct mechanism {
	const char *name;
	enum wire_kind kind;
	/* From the initial response (p == NULL: none) to the credentials. */
	enum result (*run)(struct parser *p, struct str initial,
	    struct credentials *c);
};

/*
 * RFC 3501 6.2.2: "If the client wishes to cancel an authentication
 * exchange, it issues a line consisting of a single "*"." The BAD that it
 * asks for is NO here (VIOLATIONS); it costs no time and no try.
 */
static enum result
respond(struct parser *p, struct str challenge, struct str *out)
{
	if (parse_sasl(p, challenge, out) != 0)
		return RES_BAD;
	return str_eq(*out, STR("*")) ? RES_NO : RES_OK;
}

/* Decoded in the pool, which is wiped after each command. */
static enum result
decode(struct parser *p, struct str *text)
{
	struct buf b = BUF_MAX(SASL_LINE_BYTES);
	int r;

	/* One piece of memory, so that none is left behind by growing. */
	buf_grow(&b, text->n);
	r = base64_decode_strict(*text, &b);
	if (r == 0)
		*text = pool_copy(p->pool, buf_str(&b));
	if (b.p != NULL)
		login_wipe(b.p, b.room);
	buf_free(&b);
	return r == 0 ? RES_OK :
	    (parse_bad(p, "Invalid base64 data"), RES_BAD);
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 section 2) */
static enum result
plain(struct parser *p, struct str initial, struct credentials *c)
{
	struct str message = initial;
	enum result r = RES_OK;

	if (initial.p == NULL)
		r = respond(p, STR(""), &message);
	if (r == RES_OK)
		r = decode(p, &message);
	if (r != RES_OK)
		return r;
	c->authz = str_sub(message, 0, str_index(message, '\0'));
	message = str_from(message, c->authz.n + 1);
	c->user = str_sub(message, 0, str_index(message, '\0'));
	c->password = str_from(message, c->user.n + 1);
	return RES_OK;
}

/*
 * Never standardised. The challenges are the owner's: "User Name" and
 * "Password", a NUL behind each. An initial response is the user name, as
 * curl sends it and Dovecot takes it.
 */
static enum result
login(struct parser *p, struct str initial, struct credentials *c)
{
	enum result r = RES_OK;

	c->user = initial;
	if (initial.p == NULL)
		r = respond(p, STR("VXNlciBOYW1lAA=="), &c->user);
	if (r == RES_OK)
		r = decode(p, &c->user);
	if (r == RES_OK)
		r = respond(p, STR("UGFzc3dvcmQA"), &c->password);
	return r == RES_OK ? decode(p, &c->password) : r;
}

static const struct mechanism mechanisms[] = {
	{ "PLAIN", WIRE_PLAIN, plain },
	{ "LOGIN", WIRE_SASL_LOGIN, login },
};

/*
 * RFC 5530. A wrong password and an unknown user have one answer: RFC 3501
 * 11.2, "SHOULD NOT specify that the user name, as opposed to the password,
 * is invalid". The others are only given to who knew the password.
 */
static const char *const codes[] = {
	[LOGIN_NO] = "AUTHENTICATIONFAILED",
	[LOGIN_EXPIRED] = "EXPIRED",
	[LOGIN_NOT_AS] = "AUTHORIZATIONFAILED",
	[LOGIN_UNAVAILABLE] = "UNAVAILABLE",
};

static enum result
attempt(struct session *s, const struct credentials *c,
    enum wire_kind kind, struct outcome *o)
{
	enum login_answer answer;

	/* Nothing is sent while the monitor is asked, and that takes long. */
	io_flush(&s->io);
	answer = ask_login(&s->ask, kind, s->tls_on, s->tag, c);
	if (answer == LOGIN_YES)
		return RES_LOGIN;
	if (ask_is_over(&s->ask))
		s->goodbye = "Too many login failures";
	o->code = codes[answer];
	return RES_NO;
}

/*
 * Refused before its arguments are read, so that a password in a literal
 * stays where it is (RFC 5530: "The operation is not permitted due to a lack of
 * privacy").
 */
static enum result
no_privacy(struct outcome *o)
{
	o->code = "PRIVACYREQUIRED";
	return RES_NO;
}

enum result
cmd_login(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	struct credentials c = { .authz = STR("") };

	(void)uid;
	if (!s->plaintext)
		return no_privacy(o);
	if (parse_space(p) != 0 || parse_astring(p, &c.user) != 0 ||
	    parse_space(p) != 0 || parse_astring(p, &c.password) != 0 ||
	    parse_end(p) != 0)
		return RES_BAD;
	return attempt(s, &c, WIRE_LOGIN, o);
}

/* "AUTHENTICATE X failed", X being what can be the name of a mechanism and
 * nothing else that a client could make us say. */
static void
failed_words(struct outcome *o, struct str name)
{
	char word[MECHANISM_BYTES + 1];
	size_t i;

	for (i = 0; i < name.n && i < MECHANISM_BYTES; i++) {
		word[i] = name.p[i];
		if (ascii_alpha((unsigned char)word[i]))
			word[i] = (char)(word[i] & ~0x20);
		else if (!ascii_digit((unsigned char)word[i]) &&
		    word[i] != '-' && word[i] != '_')
			break;
	}
	if (i == 0 || i < name.n)
		return;
	word[i] = '\0';
	outcome_set(o, RES_NO, o->code, "AUTHENTICATE %s failed", word);
}

static const struct mechanism *
find(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (str_ieq(str_c(mechanisms[i].name), name))
			return &mechanisms[i];
	return NULL;
}

/* RFC 4959 section 3: "To send a zero-length initial response, the client
 * MUST send a single pad character ("=")." p is NULL where there is none. */
static int
initial_response(struct parser *p, struct str *out)
{
	*out = (struct str){ NULL, 0 };
	if (!parse_if(p, ' '))
		return parse_end(p);
	if (parse_atom(p, out) != 0 || parse_end(p) != 0)
		return -1;
	if (str_eq(*out, STR("=")))
		*out = STR("");
	return 0;
}

/* RFC 3501 6.2.2: "If the requested authentication mechanism is not
 * supported, the server SHOULD reject the AUTHENTICATE command by sending a
 * tagged NO response." */
enum result
cmd_authenticate(struct session *s, struct parser *p, struct outcome *o,
    bool uid)
{
	struct credentials c = { .authz = STR("") };
	const struct mechanism *mechanism;
	struct str name, initial;
	enum result r = RES_NO;

	(void)uid;
	if (parse_space(p) != 0 || parse_atom(p, &name) != 0)
		return RES_BAD;
	if (parse_peek(p) != ' ' && parse_peek(p) != '\n')
		return parse_bad(p, "Invalid mechanism"), RES_BAD;
	mechanism = find(name);
	if (mechanism != NULL && !s->plaintext)
		r = no_privacy(o);
	else if (mechanism != NULL) {
		if (initial_response(p, &initial) != 0)
			return RES_BAD;
		r = mechanism->run(p, initial, &c);
		if (r == RES_OK)
			r = attempt(s, &c, mechanism->kind, o);
	}
	if (r == RES_NO && o->text[0] == '\0')
		failed_words(o, name);
	return r;
}
