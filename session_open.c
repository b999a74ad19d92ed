/*
 * session_open.c - whose session it is: the way from a name and a home to
 * mailboxes, and after a login from root to that user. Reads nothing from
 * the client.
 */
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "priv.h"
#include "sandbox.h"
#include "lib/buf.h"
#include "lib/log.h"

/* --inbox: "%u" is the user, "%%" a percent sign, "~" in front the home. */
static void
expand(const char *template, const char *user, const char *home,
    struct buf *out)
{
	const char *p = template;

	if (*p == '~') {
		buf_add(out, str_c(home));
		p++;
	}
	for (; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 'u')
			buf_add(out, str_c(user));
		else
			buf_addc(out, *p);
		if (p[0] == '%' && (p[1] == 'u' || p[1] == '%'))
			p++;
	}
}

static void
set_writer(struct session *s)
{
	snprintf(s->own_dir, sizeof(s->own_dir), "%s/.imapd",
	    s->folders.home);
	s->writer = (struct mbox_writer){
		.folders = &s->folders, .dir = s->own_dir,
		.user = s->user, .host = s->host,
		.dotlock = s->options->dotlock,
		.sync = !s->options->no_sync,
		.flags_now = s->options->flags_now,
	};
}

enum err
session_open(struct session *s, const char *user, const char *home,
    const char *mail, struct why *why)
{
	const char *template = s->options->inbox;
	struct buf inbox = BUF_MAX(PATH_MAX);
	enum err e;

	if (template == NULL && mail != NULL)
		buf_add(&inbox, str_c(mail));
	else
		expand(template != NULL ? template : "/var/spool/mail/%u",
		    user, home, &inbox);
	buf_addc(&inbox, '\0');
	if (inbox.over)
		e = why_set(why, E_NAME, "the path of INBOX is too long");
	else
		e = folder_init(&s->folders, home, s->options->mail_dir,
		    inbox.p, why);
	buf_free(&inbox);
	if (e != E_OK) {
		folder_free(&s->folders);
		return e;
	}
	s->user = user;
	set_writer(s);
	s->state = STATE_AUTH;
	return E_OK;
}

void
session_close_in(const struct session *s)
{
	const struct folders *f = &s->folders;
	const char *slash = strrchr(f->inbox, '/');
	char spool[PATH_MAX];
	const struct sandbox_dir dirs[] = { { f->home, true },
	    { f->root, true }, { spool, true } };

	snprintf(spool, sizeof(spool), "%.*s",
	    slash > f->inbox ? (int)(slash - f->inbox) : 1, f->inbox);
	sandbox_session(dirs, sizeof(dirs) / sizeof(dirs[0]));
}

static void
log_accepted(const struct session *s)
{
	char user[257];

	log_clean(str_c(s->who.user), user, sizeof(user));
	if (s->mechanism == NULL)
		log_info("Login user=%s host=%s", user, s->peer);
	else
		log_info("Authenticated user=%s host=%s mech=%s", user,
		    s->peer, s->mechanism);
}

/* The deadline was for those who are not logged in. */
enum result
session_become(struct session *s, struct outcome *o)
{
	struct why why = { .text = "" };
	char user[257];

	priv_become(&s->who);
	log_accepted(s);
	if (session_open(s, s->who.user, s->who.home, NULL, &why) == E_OK) {
		session_close_in(s);
		io_deadline(&s->io, 0);
		o->code = cmd_any_capabilities(s);
		return RES_OK;
	}
	log_warn("no session for %s: %s", log_clean(str_c(s->who.user), user,
	    sizeof(user)), why.text);
	s->user = s->who.user;
	s->goodbye = "The mailboxes of this user can not be served";
	return outcome_set(o, RES_NO, "CONTACTADMIN", "%s", why.text);
}
