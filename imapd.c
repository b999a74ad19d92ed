/*
 * imapd.c - main: makes the process safe to speak, reads the options, finds
 * out in which mode it was started (DESIGN 4), and hands over to session.c.
 * Knows no command of the protocol; says no more than "BYE" itself.
 */
#include "session.h"

#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "lib/params.h"

/* Why we should stop: set by the handler, looked at by io.c. The process's
 * signal flag: one of the two permitted globals. */
static volatile sig_atomic_t stop_signal;

struct start {
	struct options options;
	enum log_to log;
	bool preauth;
};

/* Who the caller is, in PREAUTH mode. */
struct caller {
	const char *user;
	const char *home;
};

static const char usage_text[] =
"usage: imapd [options] (started by inetd, xinetd, systemd, ssh or a shell)\n"
"  --inbox=PATH           INBOX file; %u is the user, a leading ~ the home\n"
"                         (default $MAIL, else /var/spool/mail/%u)\n"
"  --mail-dir=DIR         mailboxes live under ~/DIR (default: ~)\n"
"  --preauth              serve the calling user on an internet socket, too\n"
"  --idle-timeout=SECONDS log out after so long without a command, 0 never\n"
"                         (default 1800; RFC 3501 wants no less)\n"
"  --expunge-on=LIST      what removes deleted messages, of expunge,close,\n"
"                         logout,select,check (default expunge,close,logout)\n"
"  --dotlock=try|require|no  MAILBOX.lock while a mailbox is written, where\n"
"                         it can be made, always, never (default try)\n"
"  --fsync=always|never   wait for the disk before saying OK (default always)\n"
"  --log=syslog|stderr    where log lines go (default syslog)\n"
"  --version  --help\n";

/* Refuses to start: our own words for the log and for a human who looks. */
static _Noreturn void __attribute__((format(printf, 3, 4)))
refuse(const struct start *start, int status, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s", text);
	if (start->log != LOG_TO_STDERR)
		fprintf(stderr, IMAPD_NAME ": %s\n", text);
	exit(status);
}

/* Sockets only: a terminal or a log file may well be shared. */
static bool
same_socket(const struct stat *a, int fd)
{
	struct stat b;

	return S_ISSOCK(a->st_mode) && fstat(fd, &b) == 0 &&
	    a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/*
 * Where writes to descriptor 2 vanish. A jail without /dev gets a pipe that
 * nobody reads, which works since SIGPIPE is ignored.
 */
static int
nowhere(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), ends[2];

	if (fd < 0 && pipe2(ends, O_CLOEXEC) == 0) {
		close(ends[0]);
		fd = ends[1];
	}
	return fd;
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
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			exit(EX_OSERR);
	if (fstat(2, &st) != 0)
		exit(EX_OSERR);
	if (!same_socket(&st, 0) && !same_socket(&st, 1))
		return;
	fd = nowhere();
	if (fd < 0 || dup2(fd, 2) < 0)
		exit(EX_OSERR);
	close(fd);
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
	sigset_t none;

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* No core with mail in it; no file that others can read; the zone file read
 * while it can be. */
static void
set_process(void)
{
	struct rlimit none = { 0, 0 };

	guard_descriptors();
	set_signals();
	umask(077);
	setrlimit(RLIMIT_CORE, &none);
	tzset();
}

/* Below the 30 minutes of RFC 3501 5.4 only for those who ask for it. */
static void
option_idle(struct start *start, const char *value)
{
	uint32_t seconds;

	if (!str_u32(str_c(value), &seconds) || seconds > INT32_MAX / 1000)
		refuse(start, EX_USAGE, "--idle-timeout needs seconds");
	start->options.idle_timeout = (int)seconds;
}

static void
option_log(struct start *start, const char *value)
{
	if (strcmp(value, "stderr") == 0)
		start->log = LOG_TO_STDERR;
	else if (strcmp(value, "syslog") == 0)
		start->log = LOG_TO_SYSLOG;
	else
		refuse(start, EX_USAGE, "--log is syslog or stderr");
	log_open(start->log);
}

/* An empty list is one, too: nothing ever removes mail but MOVE. */
static void
option_expunge_on(struct start *start, const char *value)
{
	static const struct {
		const char *name;
		unsigned bit;
	} table[] = {
		{ "expunge", ON_EXPUNGE },
		{ "close", ON_CLOSE },
		{ "logout", ON_LOGOUT },
		{ "select", ON_SELECT },
		{ "check", ON_CHECK },
	};
	struct str rest = str_c(value), name;
	size_t i;

	start->options.expunge_on = 0;
	while (rest.n > 0) {
		name = str_sub(rest, 0, str_index(rest, ','));
		rest = str_from(rest, name.n + 1);
		for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (str_eq(name, str_c(table[i].name)))
				break;
		if (i == sizeof(table) / sizeof(table[0]))
			refuse(start, EX_USAGE, "--expunge-on takes a list of"
			    " expunge,close,logout,select,check");
		start->options.expunge_on |= table[i].bit;
	}
}

static void
option_dotlock(struct start *start, const char *value)
{
	if (strcmp(value, "try") == 0)
		start->options.dotlock = DOTLOCK_TRY;
	else if (strcmp(value, "require") == 0)
		start->options.dotlock = DOTLOCK_REQUIRE;
	else if (strcmp(value, "no") == 0)
		start->options.dotlock = DOTLOCK_NO;
	else
		refuse(start, EX_USAGE, "--dotlock is try, require or no");
}

static void
option_fsync(struct start *start, const char *value)
{
	start->options.no_sync = strcmp(value, "never") == 0;
	if (!start->options.no_sync && strcmp(value, "always") != 0)
		refuse(start, EX_USAGE, "--fsync is always or never");
}

static void
option_inbox(struct start *start, const char *value)
{
	start->options.inbox = value;
}

static void
option_mail_dir(struct start *start, const char *value)
{
	start->options.mail_dir = value;
}

static void
option_preauth(struct start *start, const char *value)
{
	(void)value;
	start->preauth = true;
}

static void
option_version(struct start *start, const char *value)
{
	(void)start;
	(void)value;
	puts(IMAPD_NAME " " IMAPD_VERSION);
	exit(0);
}

static void
option_help(struct start *start, const char *value)
{
	(void)start;
	(void)value;
	fputs(usage_text, stdout);
	exit(0);
}

static const struct {
	const char *name;
	int argument;
	void (*take)(struct start *start, const char *value);
} option_table[] = {
	{ "inbox", required_argument, option_inbox },
	{ "mail-dir", required_argument, option_mail_dir },
	{ "preauth", no_argument, option_preauth },
	{ "idle-timeout", required_argument, option_idle },
	{ "expunge-on", required_argument, option_expunge_on },
	{ "dotlock", required_argument, option_dotlock },
	{ "fsync", required_argument, option_fsync },
	{ "log", required_argument, option_log },
	{ "version", no_argument, option_version },
	{ "help", no_argument, option_help },
};

static void
read_options(struct start *start, int argc, char **argv)
{
	enum { OPTIONS = sizeof(option_table) / sizeof(option_table[0]) };
	struct option table[OPTIONS + 1] = { { .name = NULL } };
	int c;

	for (c = 0; c < OPTIONS; c++)
		table[c] = (struct option){ option_table[c].name,
		    option_table[c].argument, NULL, c };
	/* Its own words would not reach the log. */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c >= OPTIONS)
			refuse(start, EX_USAGE, "unknown option or missing"
			    " value; see --help");
		option_table[c].take(start, optarg);
	}
	if (optind < argc)
		refuse(start, EX_USAGE, "no arguments but options are taken");
}

/* Fills peer with "[address]" and says whether fd is an internet socket. */
static bool
internet(int fd, char *peer, size_t room)
{
	struct sockaddr_storage addr;
	socklen_t n = sizeof(addr);
	char text[INET6_ADDRSTRLEN];
	const void *where;

	snprintf(peer, room, "UNKNOWN");
	if (getsockname(fd, (struct sockaddr *)&addr, &n) != 0 ||
	    (addr.ss_family != AF_INET && addr.ss_family != AF_INET6))
		return false;
	n = sizeof(addr);
	if (getpeername(fd, (struct sockaddr *)&addr, &n) != 0)
		return true;
	where = addr.ss_family == AF_INET ?
	    (const void *)&((struct sockaddr_in *)&addr)->sin_addr :
	    (const void *)&((struct sockaddr_in6 *)&addr)->sin6_addr;
	if (inet_ntop(addr.ss_family, where, text, sizeof(text)) != NULL)
		snprintf(peer, room, "[%s]", text);
	return true;
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
		refuse(start, EX_CONFIG, "installed setuid or setgid: this"
		    " program gets its rights from who starts it");
	if (listening(0))
		refuse(start, EX_CONFIG, "started on a listening socket: set"
		    " wait = no (or Accept=yes)");
	if (start->preauth && geteuid() == 0)
		refuse(start, EX_CONFIG, "--preauth would let anyone in as"
		    " root");
}

/* A name that can be part of a path and of a log line. */
static bool
user_is_sane(const char *user)
{
	const char *p;

	if (*user == '\0' || *user == '.' || strlen(user) > LOGIN_NAME_MAX)
		return false;
	for (p = user; *p != '\0'; p++)
		if (*p == '/' || (unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	return true;
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
	struct passwd *pw;

	if (c.user != NULL && c.home != NULL)
		return c;
	pw = getpwuid(geteuid());
	if (pw != NULL && c.user == NULL)
		c.user = pw->pw_name;
	if (pw != NULL && c.home == NULL)
		c.home = pw->pw_dir;
	return c;
}

/* --inbox: "%u" is the user, "%%" a percent sign, "~" in front the home. */
static void
expand(const char *template, const struct caller *caller, struct buf *out)
{
	const char *p = template;

	if (*p == '~') {
		buf_add(out, str_c(caller->home));
		p++;
	}
	for (; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 'u')
			buf_add(out, str_c(caller->user));
		else
			buf_addc(out, *p);
		if (p[0] == '%' && (p[1] == 'u' || p[1] == '%'))
			p++;
	}
	buf_addc(out, '\0');
}

/* The mailboxes of the caller. 0, or -1 with why. */
static int
open_folders(struct session *s, const struct caller *caller,
    struct why *why)
{
	const char *mail = from_env("MAIL");
	struct buf inbox = BUF_MAX(PATH_MAX);
	enum err e;

	if (s->options->inbox != NULL || mail == NULL)
		expand(s->options->inbox != NULL ? s->options->inbox :
		    "/var/spool/mail/%u", caller, &inbox);
	else
		buf_add(&inbox, (struct str){ mail, strlen(mail) + 1 });
	if (inbox.over)
		e = why_set(why, E_NAME, "the path of INBOX is too long");
	else
		e = folder_init(&s->folders, caller->home,
		    s->options->mail_dir, inbox.p, why);
	if (e == E_OK)
		snprintf(s->own_dir, sizeof(s->own_dir), "%s/.imapd",
		    s->folders.home);
	buf_free(&inbox);
	return e == E_OK ? 0 : -1;
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
	char user[257];
	int status;

	if (caller.user == NULL || caller.home == NULL)
		return turn_away(s, "can not tell who you are");
	if (!user_is_sane(caller.user))
		return turn_away(s, "USER is not a user name");
	if (open_folders(s, &caller, &why) != 0) {
		folder_free(&s->folders);
		return turn_away(s, why.text);
	}
	s->user = caller.user;
	session_writer(s);
	s->state = STATE_AUTH;
	log_info("Preauthenticated user=%s host=%s",
	    log_clean(str_c(s->user), user, sizeof(user)), s->peer);
	status = session_run(s);
	folder_free(&s->folders);
	return status;
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

int
main(int argc, char **argv)
{
	struct start start = {
		.options.idle_timeout = IDLE_TIMEOUT,
		.options.expunge_on = ON_EXPUNGE | ON_CLOSE | ON_LOGOUT,
		.log = LOG_TO_SYSLOG,
	};
	struct session s = { .state = STATE_NOT_AUTH };
	char host[256], peer[INET6_ADDRSTRLEN + 2];
	bool inet;
	int status;

	set_process();
	log_open(start.log);
	read_options(&start, argc, argv);
	check_start(&start);
	find_host(host, sizeof(host));
	inet = internet(0, peer, sizeof(peer));
	io_init(&s.io, 0, 1, &stop_signal);
	s.reply.io = &s.io;
	s.pool = pool_new();
	s.options = &start.options;
	s.host = host;
	s.peer = peer;
	/* Root has nobody's mail to show before a login. */
	if (geteuid() == 0)
		status = session_run(&s);
	else if (inet && !start.preauth)
		status = turn_away(&s, "this server was not started as root"
		    " and can not log anyone in");
	else
		status = serve_caller(&s);
	pool_free(s.pool);
	return status;
}
