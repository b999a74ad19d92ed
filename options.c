/*
 * options.c - reads the command line into struct start. Runs before anything
 * is known of the client, as root where root started us, and knows nothing
 * but argv.
 */
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/casemap.h"
#include "lib/charset.h"
#include "lib/params.h"
#include "tls.h"

static const char usage_text[] =
"usage: imapd [options] (started by inetd, xinetd, systemd, ssh or a shell)\n"
"  --inbox=PATH           INBOX file; %u is the user, a leading ~ the home\n"
"                         (default $MAIL, else /var/spool/mail/%u)\n"
"  --mail-dir=DIR         mailboxes live under ~/DIR (default: ~)\n"
"  --auth=pam|shadow|file:PATH  who knows the passwords; may be given more\n"
"                         than once, files first (default pam, else shadow)\n"
"  --plaintext=auto|yes|no  passwords without TLS: only from this host,\n"
"                         always, never (default auto: from this host)\n"
"  --tls-cert=FILE        certificate and its chain (PEM): clients may turn\n"
"                         TLS on with STARTTLS\n"
"  --tls-key=FILE         its key (default: in the same file)\n"
"  --tls                  TLS from the first byte on, as on port 993\n"
"  --login-timeout=SECONDS  until when somebody must be logged in (default\n"
"                         180)\n"
"  --preauth              serve the calling user on an internet socket, too\n"
"  --idle-timeout=SECONDS log out after so long without a command, 0 never\n"
"                         (default 1800; RFC 3501 wants no less)\n"
"  --expunge-on=LIST      what removes deleted messages, of expunge,close,\n"
"                         logout,select,check (default expunge,close,logout)\n"
"  --dotlock=try|require|no  MAILBOX.lock while a mailbox is written, where\n"
"                         it can be made, always, never (default try)\n"
"  --fsync=always|never   wait for the disk before saying OK (default always)\n"
"  --flags=later|now      write flags into the mailbox when there is time,\n"
"                         which all sessions know of, or at once (default\n"
"                         later)\n"
"  --chroot=DIR           make DIR the root of all paths, those of the\n"
"                         mailboxes and of --auth=file: too; needs root\n"
"  --log=syslog|stderr    where log lines go (default syslog)\n"
"  --check FILE           say what is wrong with a mailbox, and end\n"
"  --repair FILE          mend what can be mended without losing a byte of\n"
"                         text; the original is kept\n"
"  --keep=DIR             where it is kept (default ~/.imapd)\n"
"  --version  --help\n";

_Noreturn void
options_refuse(const struct start *start, int status, const char *fmt, ...)
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

/* Which of the words it is; `words` says them all to who wrote another. */
static unsigned
choose(const struct start *start, const char *option, const char *value,
    const char *words)
{
	struct str rest = str_c(words), word;
	unsigned n;

	for (n = 0; rest.n > 0; n++) {
		word = str_sub(rest, 0, str_index(rest, '|'));
		if (str_eq(word, str_c(value)))
			return n;
		rest = str_from(rest, word.n + 1);
	}
	options_refuse(start, EX_USAGE, "%s is one of %s", option, words);
}

static void
option_plaintext(struct start *start, const char *value)
{
	static const enum plaintext values[] = { PLAINTEXT_AUTO,
	    PLAINTEXT_YES, PLAINTEXT_NO };

	start->plaintext = values[choose(start, "--plaintext", value,
	    "auto|yes|no")];
}

static void
option_log(struct start *start, const char *value)
{
	static const enum log_to values[] = { LOG_TO_SYSLOG, LOG_TO_STDERR };

	start->log = values[choose(start, "--log", value, "syslog|stderr")];
	log_open(start->log);
}

static void
option_dotlock(struct start *start, const char *value)
{
	static const enum lock_dotlock values[] = { DOTLOCK_TRY,
	    DOTLOCK_REQUIRE, DOTLOCK_NO };

	start->options.dotlock = values[choose(start, "--dotlock", value,
	    "try|require|no")];
}

static void
option_fsync(struct start *start, const char *value)
{
	start->options.no_sync = choose(start, "--fsync", value,
	    "always|never") == 1;
}

static int
seconds_of(const struct start *start, const char *name, const char *value)
{
	uint32_t seconds;

	if (!str_u32(str_c(value), &seconds) || seconds > INT32_MAX / 1000)
		options_refuse(start, EX_USAGE, "%s needs seconds", name);
	return (int)seconds;
}

static void
option_flags(struct start *start, const char *value)
{
	start->options.flags_now = choose(start, "--flags", value,
	    "later|now");
}

/* Below the 30 minutes of RFC 3501 5.4 only for those who ask for it. */
static void
option_idle(struct start *start, const char *value)
{
	start->options.idle_timeout = seconds_of(start, "--idle-timeout",
	    value);
}

/* No limit at all would let anyone fill the host with connections. */
static void
option_login_timeout(struct start *start, const char *value)
{
	start->options.login_timeout = seconds_of(start, "--login-timeout",
	    value);
	if (start->options.login_timeout == 0)
		options_refuse(start, EX_USAGE, "--login-timeout can not be"
		    " 0");
}

static void
option_auth(struct start *start, const char *value)
{
	struct why why = { .text = "" };

	if (auth_add(&start->auth, value, &why) != E_OK)
		options_refuse(start, EX_USAGE, "--auth: %s", why.text);
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
			options_refuse(start, EX_USAGE, "--expunge-on is a"
			    " list of expunge,close,logout,select,check");
		start->options.expunge_on |= table[i].bit;
	}
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
option_tls(struct start *start, const char *value)
{
	(void)value;
	start->tls = true;
}

static void
option_tls_cert(struct start *start, const char *value)
{
	start->tls_cert = value;
}

static void
option_tls_key(struct start *start, const char *value)
{
	start->tls_key = value;
}

static void
option_preauth(struct start *start, const char *value)
{
	(void)value;
	start->preauth = true;
}

/* Relative to what, a service would not know. */
static void
option_chroot(struct start *start, const char *value)
{
	if (value[0] != '/')
		options_refuse(start, EX_USAGE, "--chroot needs the whole"
		    " path, from / on");
	start->chroot = value;
}

static void
option_check(struct start *start, const char *value)
{
	start->patient = value;
	start->repair = false;
}

static void
option_repair(struct start *start, const char *value)
{
	start->patient = value;
	start->repair = true;
}

static void
option_keep(struct start *start, const char *value)
{
	start->keep = value;
}

/* And what is built in. */
static void
option_version(struct start *start, const char *value)
{
	(void)start;
	(void)value;
	puts(IMAPD_NAME " " IMAPD_VERSION);
	printf("--auth: %s\n", auth_built_in());
	printf("charsets: UTF-8, those of one byte%s\n",
	    charset_known(STR("EUC-JP")) ? ", iconv's" : "");
	printf("SORT, THREAD: %s\n", casemap_known() ? "yes" : "no");
	printf("--tls: %s\n", tls_library() != NULL ? tls_library() : "no");
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
	{ "auth", required_argument, option_auth },
	{ "plaintext", required_argument, option_plaintext },
	{ "tls", no_argument, option_tls },
	{ "tls-cert", required_argument, option_tls_cert },
	{ "tls-key", required_argument, option_tls_key },
	{ "login-timeout", required_argument, option_login_timeout },
	{ "preauth", no_argument, option_preauth },
	{ "idle-timeout", required_argument, option_idle },
	{ "expunge-on", required_argument, option_expunge_on },
	{ "dotlock", required_argument, option_dotlock },
	{ "fsync", required_argument, option_fsync },
	{ "flags", required_argument, option_flags },
	{ "chroot", required_argument, option_chroot },
	{ "log", required_argument, option_log },
	{ "check", required_argument, option_check },
	{ "repair", required_argument, option_repair },
	{ "keep", required_argument, option_keep },
	{ "version", no_argument, option_version },
	{ "help", no_argument, option_help },
};

/* Who asked for TLS is not served without it. */
static void
check_tls(const struct start *start)
{
	if (!start->tls && start->tls_cert == NULL && start->tls_key == NULL)
		return;
	if (tls_library() == NULL)
		options_refuse(start, EX_CONFIG, "this program was built"
		    " without TLS");
	if (start->tls_cert == NULL)
		options_refuse(start, EX_CONFIG, "%s needs --tls-cert",
		    start->tls ? "--tls" : "--tls-key");
}

static void
set_defaults(struct start *start)
{
	*start = (struct start){
		.options.idle_timeout = IDLE_TIMEOUT,
		.options.login_timeout = LOGIN_TIMEOUT,
		.options.expunge_on = ON_EXPUNGE | ON_CLOSE | ON_LOGOUT,
		.log = LOG_TO_SYSLOG,
	};
	log_open(start->log);
}

void
options_read(struct start *start, int argc, char **argv)
{
	enum { OPTIONS = sizeof(option_table) / sizeof(option_table[0]) };
	struct option table[OPTIONS + 1] = { { .name = NULL } };
	int c;

	set_defaults(start);
	for (c = 0; c < OPTIONS; c++)
		table[c] = (struct option){ option_table[c].name,
		    option_table[c].argument, NULL, c };
	/* Its own words would not reach the log. */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c >= OPTIONS)
			options_refuse(start, EX_USAGE, "unknown option or"
			    " missing value; see --help");
		option_table[c].take(start, optarg);
	}
	if (optind < argc)
		options_refuse(start, EX_USAGE, "no arguments but options"
		    " are taken");
	check_tls(start);
	if (start->auth.n == 0)
		auth_default(&start->auth);
}
