/*
 * options.h - the command line. There is no configuration file: parsing one
 * would be the largest thing that runs as root.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "auth.h"
#include "session.h"
#include "lib/log.h"

/* Passwords over a connection without TLS: where nobody else can listen,
 * always, never. */
enum plaintext { PLAINTEXT_AUTO, PLAINTEXT_YES, PLAINTEXT_NO };

struct start {
	struct options options;
	struct auth auth;
	enum plaintext plaintext;
	enum log_to log;
	bool tls;		/* from the first byte on */
	const char *tls_cert, *tls_key;	/* NULL: none; in tls_cert */
	bool preauth;
	const char *patient;	/* --check or --repair: which file, or NULL */
	bool repair;
	const char *keep;	/* NULL: ~/.imapd */
	const char *chroot;	/* an absolute path, or NULL */
};

/* Fills *start with what the options say, or what holds without them; the
 * strings are argv's. Ends the process for one that is wrong, and for
 * --version and --help. */
void	options_read(struct start *start, int argc, char **argv);
/* Refuses to start: our own words for the log and for a human who looks. */
_Noreturn void	options_refuse(const struct start *start, int status,
		    const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));

#endif
