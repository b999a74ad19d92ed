/*
 * cmd_tls.c - STARTTLS. What stands in the clear behind the command's line
 * may be anybody's, and must never be taken for what came through TLS
 * (CVE-2011-0411): then there is no TLS, and no connection any more.
 */
#include "session.h"

#include "tls.h"

/* RFC 3501 6.2.1: "A [TLS] negotiation begins immediately after the CRLF at
 * the end of the tagged OK response": cmd_tls_begin does it. */
enum result
cmd_starttls(struct session *s, struct parser *p, struct outcome *o, bool uid)
{
	(void)uid;
	if (parse_end(p) != 0)
		return RES_BAD;
	if (s->tls_on)
		return outcome_set(o, RES_BAD, NULL, "TLS is on already");
	if (s->tls == NULL)
		return outcome_set(o, RES_NO, NULL,
		    "STARTTLS is not available here");
	if (s->io.in_at < s->io.in_n) {
		s->goodbye = "Nothing may stand behind STARTTLS";
		s->injected = true;
		return outcome_set(o, RES_BAD, NULL, "%s", s->goodbye);
	}
	s->shake_hands = true;
	return outcome_set(o, RES_OK, NULL, "Begin TLS negotiation now");
}

/*
 * A command that comes behind the line later than it does is read by the
 * handshake, and ends that. What was known before stays as little as it was:
 * the count of bad commands, and of refused logins.
 */
enum ending
cmd_tls_begin(struct session *s)
{
	struct why why;
	int r = tls_accept(s->tls, &s->io, &why);

	s->shake_hands = false;
	if (r != 0)
		return r == IO_SIGNAL ? ENDING_CUT : ENDING_NO_TLS;
	s->tls_on = s->plaintext = true;
	return ENDING_NONE;
}
