/*
 * imapd.c - main: makes the process safe to speak, reads the options, finds
 * out in which mode it was started (DESIGN 4), and hands over to session.c.
 * Knows no command of the protocol; says no more than "BYE" itself.
 */
#include "options.h"

#include <fcntl.h>
#ifndef WITHOUT_NSS
#include <pwd.h>
#endif
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "front.h"
#include "jail.h"
#include "monitor.h"
#include "priv.h"
#include "lib/ending.h"
#include "lib/fs.h"
#include "lib/limit.h"
#include "lib/log.h"
#include "lib/params.h"
#include "lib/peer.h"

/* Why we should stop: set by the handler, looked at by io.c. The process's
 * signal flag: one of the two permitted globals. */
static volatile sig_atomic_t stop_signal;

/* Who the caller is, in PREAUTH mode. */
struct caller {
	const char *user;
	const char *home;
};

/* Sockets only: a terminal or a log file may well be shared. */
static bool
same_socket(const struct stat *a, int fd)
{
	struct stat b;

	return S_ISSOCK(a->st_mode) && fstat(fd, &b) == 0 &&
	    a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/*
 * A closed 0, 1 or 2 would be taken by the next file opened. xinetd hands
 * out the client's socket as descriptor 2 as well, and whatever a library
 * says there would reach the client as protocol. Nothing can be said here:
 * there is no safe place yet.
 */
static void
guard_descriptors(void)
{
	struct stat st;
	int fd, ends[2];

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			exit(EX_OSERR);
	if (fstat(2, &st) != 0)
		exit(EX_OSERR);
	if (!same_socket(&st, 0) && !same_socket(&st, 1))
		return;
	if (fs_nowhere(ends) != 0 || dup2(ends[1], 2) < 0)
		exit(EX_OSERR);
	close(ends[0]);
	if (ends[1] != ends[0])
		close(ends[1]);
}

/* Where the starter of a root process was, and what it left open, is none of
 * our users' business. */
static void
leave_starter(void)
{
	if (geteuid() != 0)
		return;
	if (chdir("/") != 0)
		exit(EX_OSERR);
	fs_close(3, INT_MAX);
}

/* No work in a handler: CVE-2024-6387 is what comes of it. */
static void
on_stop(int sig)
{
	stop_signal = sig;
}

/* Without SA_RESTART, so that no wait outlasts the signal. */
static void
set_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	/* Ignored, it would take away the ends of our own workers. */
	sigaction(SIGCHLD, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* No core with mail in it; no file that others can read; the zone file read
 * while it can be. */
static void
set_process(void)
{
	guard_descriptors();
	leave_starter();
	set_signals();
	umask(077);
	limit_set(RLIMIT_CORE, 0);
	tzset();
}

/* xinetd's wait = yes, or a systemd socket without Accept=yes. */
static bool
listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

/* Ways to be started in which serving would be a mistake. */
static void
check_start(const struct start *start)
{
	if (getauxval(AT_SECURE))
		options_refuse(start, EX_CONFIG, "installed setuid or setgid:"
		    " this program gets its rights from who starts it");
	if (listening(0))
		options_refuse(start, EX_CONFIG, "started on a listening"
		    " socket: set wait = no (or Accept=yes)");
	if (start->preauth && geteuid() == 0)
		options_refuse(start, EX_CONFIG, "--preauth would let anyone"
		    " in as root");
}

/* An empty variable is as good as none. */
static const char *
from_env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* The environment decides, so that tests and tunnels can choose; the
 * password file helps out. NULL where neither knows. */
static struct caller
find_caller(void)
{
	struct caller c = { from_env("USER"), from_env("HOME") };
#ifndef WITHOUT_NSS
	struct passwd *pw;

	if (c.user != NULL && c.home != NULL)
		return c;
	pw = getpwuid(geteuid());
	if (pw != NULL && c.user == NULL)
		c.user = pw->pw_name;
	if (pw != NULL && c.home == NULL)
		c.home = pw->pw_dir;
#endif
	return c;
}

/* RFC 3501 7.1.5: a BYE greeting says that "the server is not willing to
 * accept a connection from this client". */
static int
turn_away(struct session *s, const char *text)
{
	log_warn("turned away host=%s: %s", s->peer, text);
	reply_raw(&s->reply, STR("* BYE "));
	reply_text(&s->reply, text);
	reply_raw(&s->reply, STR("\r\n"));
	io_flush(&s->io);
	return 1;
}

/* PREAUTH: the caller is who the system says that it is, or says itself to
 * be; with the caller's own rights either is harmless. */
static int
serve_caller(struct session *s)
{
	struct caller caller = find_caller();
	struct why why = { .text = "" };
	enum ending end;
	char user[257];

	if (caller.user == NULL || caller.home == NULL)
		return turn_away(s, "can not tell who you are");
	if (!login_name_ok(str_c(caller.user)))
		return turn_away(s, "USER is not a user name");
	if (session_open(s, caller.user, caller.home, from_env("MAIL"),
	    &why) != E_OK)
		return turn_away(s, why.text);
	log_info("Preauthenticated user=%s host=%s",
	    log_clean(str_c(s->user), user, sizeof(user)), s->peer);
	session_close_in(s);
	end = session_run(s);
	ending_log(end, s->user, s->peer);
	return end == ENDING_LOGOUT ? 0 : 1;
}

/*
 * What inetd's own environment says is not about this session, and some of
 * it changes what libraries do (GCONV_PATH). The time zone stays; modules of
 * PAM look for their helpers.
 */
static void
clean_environment(void)
{
	const char *zone = from_env("TZ");
	char keep[64] = "";

	if (zone != NULL)
		snprintf(keep, sizeof(keep), "%s", zone);
	if (clearenv() != 0 || (zone != NULL && setenv("TZ", keep, 1) != 0) ||
	    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) != 0)
		log_fatal("can not clear the environment");
}

/* Is a password without TLS safe from listeners? */
static bool
may_send_passwords(const struct start *start, const struct peer *peer)
{
	if (start->plaintext != PLAINTEXT_AUTO)
		return start->plaintext == PLAINTEXT_YES;
	return !peer->internet || peer->here;
}

/* The command that is to be answered, as the client and the log know it. */
static const struct {
	const char *command;
	const char *mechanism;
} kinds[WIRE_KINDS] = {
	[WIRE_LOGIN] = { "LOGIN", NULL },
	[WIRE_PLAIN] = { "AUTHENTICATE", "PLAIN" },
	[WIRE_SASL_LOGIN] = { "AUTHENTICATE", "LOGIN" },
};

/* Behind a front that goes on the client is at the other end of `relay`. */
static void
take_descriptors(struct session *s, int relay)
{
	if (relay < 0)
		return;
	if (dup2(relay, 0) < 0 || dup2(relay, 1) < 0)
		log_fatal("can not take over the connection");
	close(relay);
	io_init(&s->io, 0, 1, &stop_signal);
}

/* Somebody is logged in: this process becomes that user's session. */
static int
serve_user(struct session *s, struct monitor *m, int relay)
{
	enum ending end;

	take_descriptors(s, m->tls ? relay : -1);
	io_give(&s->io, (struct str){ m->rest.bytes, m->rest.n });
	s->who = m->who;
	s->tls_on = m->tls;
	s->mechanism = kinds[m->kind].mechanism;
	end = session_resume(s, (struct str){ m->tag, m->tag_n },
	    kinds[m->kind].command);
	ending_log(end, s->user, s->peer);
	close(0);
	close(1);
	monitor_end(m);
	return end == ENDING_LOGOUT ? 0 : 1;
}

/* Only with TLS does a front go on. */
static void
make_relay(const struct start *start, int ends[2])
{
	if (start->tls_cert != NULL && socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		log_fatal("can not make a socket pair");
}

static int
serve_stranger(struct session *s, const struct start *start,
    const struct peer *peer)
{
	int relay[2] = { -1, -1 };
	struct front f = { .session = s, .start = start,
	    .monitor = getpid() };
	struct monitor m = { .auth = &start->auth, .peer = peer,
	    .timeout = start->options.login_timeout,
	    .may_tls = start->tls_cert != NULL, .stop = &stop_signal,
	    .front = front_run, .arg = &f };

	priv_hide();
	clean_environment();
	make_relay(start, relay);
	f.relay = relay[1];
	f.other = relay[0];
	s->plaintext = may_send_passwords(start, peer);
	if (!monitor_run(&m))
		return m.ending == ENDING_LOGOUT ? 0 : 1;
	if (relay[1] >= 0)
		close(relay[1]);
	return serve_user(s, &m, relay[0]);
}

/* A password file can list the caller, so that ordinary users can be served
 * by an xinetd of their own. */
static bool
has_file(const struct auth *auth)
{
	size_t i;

	for (i = 0; i < auth->n; i++)
		if (auth->methods[i].kind == AUTH_FILE)
			return true;
	return false;
}

/* The table of DESIGN 4. Root has nobody's mail to show before a login. */
static int
serve(struct session *s, const struct start *start, const struct peer *peer)
{
	bool root = geteuid() == 0;

	if (!root && (!peer->internet || start->preauth))
		return serve_caller(s);
	if (root || has_file(&start->auth))
		return serve_stranger(s, start, peer);
	return turn_away(s, "this server was not started as root and can not"
	    " log anyone in");
}

/* Our name without asking a resolver; only what can be one goes out. */
static void
find_host(char *host, size_t room)
{
	size_t i;

	if (gethostname(host, room - 1) != 0)
		host[0] = '\0';
	host[room - 1] = '\0';
	for (i = 0; host[i] != '\0'; i++)
		if (!ascii_alpha((unsigned char)host[i]) &&
		    !ascii_digit((unsigned char)host[i]) && host[i] != '.')
			host[i] = '-';
	if (host[0] == '\0')
		snprintf(host, room, "localhost");
}

/* No client is there whose mail could hang in the air: a signal ends it, and
 * a kill at any moment is harmless. */
static void
usual_signals(void)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };

	sigaction(SIGTERM, &usual, NULL);
	sigaction(SIGHUP, &usual, NULL);
	sigaction(SIGPIPE, &usual, NULL);
}

/* Why the caller may not have the file looked at, or NULL. Root would read,
 * and make files, with rights that its owner does not have. */
static const char *
refuse_patient(const char *path, char resolved[PATH_MAX])
{
	struct stat st;

	if (geteuid() == 0 && path[0] != '/')
		return "as root, give the whole path, from / on";
	if (realpath(path, resolved) == NULL || stat(resolved, &st) != 0)
		return "no such file, or none that you may look at";
	if (geteuid() == 0 && st.st_uid != 0)
		return "it belongs to another user: run this as its owner,"
		    " not as root";
	return S_ISREG(st.st_mode) ? NULL : "not a regular file";
}

/* --check and --repair: no session, but a caller with mailboxes. */
static int
see_doctor(struct session *s, const struct start *start)
{
	struct caller caller = find_caller();
	struct why why = { .text = "can not tell who you are" };
	char path[PATH_MAX];
	struct doctor d = { .path = path, .writer = &s->writer };
	const char *no = refuse_patient(start->patient, path);
	int status;

	usual_signals();
	if (no != NULL)
		return doctor_blind(start->patient, no);
	if (caller.user == NULL || caller.home == NULL ||
	    session_open(s, caller.user, caller.home, from_env("MAIL"),
	    &why) != E_OK)
		return doctor_blind(path, why.text);
	d.inbox = str_eq(str_c(path), str_c(s->folders.inbox));
	d.keep = start->keep != NULL ? start->keep : s->writer.dir;
	status = start->repair ? doctor_repair(&d) : doctor_check(&d);
	folder_free(&s->folders);
	return status;
}

int
main(int argc, char **argv)
{
	struct session s = { .state = STATE_NOT_AUTH };
	struct start start;
	struct peer peer;
	char host[256];
	int status;

	set_process();
	options_read(&start, argc, argv);
	check_start(&start);
	if (start.chroot != NULL)
		jail_enter(start.chroot);
	find_host(host, sizeof(host));
	s.options = &start.options;
	s.host = host;
	if (start.patient != NULL)
		return see_doctor(&s, &start);
	peer_find(&peer, 0);
	io_init(&s.io, 0, 1, &stop_signal);
	s.reply.io = &s.io;
	s.pool = pool_new();
	s.peer = peer.host;
	status = serve(&s, &start, &peer);
	folder_free(&s.folders);
	pool_free(s.pool);
	return status;
}
