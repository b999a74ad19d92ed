/*
 * ending.c - how a connection ended, in the words that programs which read
 * the log know.
 */
#include "ending.h"

#include "log.h"

static const char *const words[ENDINGS] = {
	[ENDING_LOGOUT] = "Logout",
	[ENDING_CUT] = "Connection closed",
	[ENDING_REFUSED] = "Refused",
	[ENDING_TIMEOUT] = "Autologout",
	[ENDING_STOPPED] = "Killed (terminated)",
	[ENDING_NO_TLS] = "TLS handshake failed",
	[ENDING_INJECTED] = "Refused (commands behind STARTTLS)",
};

void
ending_log(enum ending ending, const char *user, const char *host)
{
	char name[257];

	if (ending <= ENDING_NONE || ending >= ENDINGS ||
	    words[ending] == NULL)
		log_bug("no ending: %d", (int)ending);
	log_info("%s user=%s host=%s", words[ending], user == NULL ? "???" :
	    log_clean(str_c(user), name, sizeof(name)), host);
}
