/*
 * front.c - a process that gives up all it has and then speaks with a client
 * that nobody knows: the part of session.c before a login, and TLS. It may
 * not log, open files or ask for anything but a login; how it ended says its
 * exit status.
 */
#include "front.h"

#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "priv.h"
#include "sandbox.h"
#include "tls.h"
#include "lib/fs.h"
#include "lib/log.h"

/* While it may still read files. Without a certificate there is no STARTTLS,
 * and with --tls nothing at all. */
static bool
load_keys(struct front *f)
{
	const struct start *start = f->start;
	struct why why = { .text = "" };

	if (start->tls_cert == NULL)
		return true;
	f->session->tls = tls_load(start->tls_cert, start->tls_key, &why);
	if (f->session->tls == NULL)
		log_warn("no TLS: %s", why.text);
	return f->session->tls != NULL || !start->tls;
}

/*
 * The client, the monitor and the session: not the log on descriptor 2, nor
 * what libraries have opened. Nothing is opened from now on, so nothing can
 * get these numbers. A sanitizer reports on 2.
 */
static void
keep_only(int channel, int relay)
{
	const int low = relay < 0 || channel < relay ? channel : relay;
	const int high = channel < relay ? relay : channel;

#ifndef __SANITIZE_ADDRESS__
	close(2);
#endif
	fs_close(3, low - 1);
	fs_close(low + 1, high - 1);
	fs_close(high + 1, INT_MAX);
}

/* The monitor may have died before anybody was to be told of it. */
static void
give_up(const struct front *f, int channel)
{
	priv_front();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    getppid() != f->monitor)
		_exit(ENDING_STOPPED);
	sandbox_front();
	log_open(LOG_TO_NONE);
	keep_only(channel, f->relay);
}

static struct str
unread(const struct io *io)
{
	return (struct str){ io->in + io->in_at, io->in_n - io->in_at };
}

/* The login was right: from now on the session has the word. */
static enum ending
hand_over(struct front *f)
{
	struct session *s = f->session;

	io_flush(&s->io);
	if (ask_hand_over(&s->ask, unread(&s->io)) != 0)
		return ENDING_CUT;
	if (s->tls_on)
		tls_relay(&s->io, f->relay);
	return ENDING_LOGIN;
}

int
front_run(void *arg, int channel)
{
	struct front *f = arg;
	struct session *s = f->session;
	struct why why = { .text = "" };
	enum ending end;

	if (f->other >= 0)
		close(f->other);
	if (!load_keys(f))
		return ENDING_NO_TLS;
	give_up(f, channel);
	s->ask.channel = channel;
	if (f->start->tls) {
		io_deadline(&s->io, s->options->login_timeout);
		if (tls_accept(s->tls, &s->io, &why) != 0)
			return ENDING_NO_TLS;
		s->tls_on = s->plaintext = true;
	}
	end = session_run(s);
	if (end == ENDING_LOGIN)
		return hand_over(f);
	if (s->tls_on)
		tls_close(&s->io);
	return end;
}
