/*
 * log.h - one line per event to syslog (facility mail) or stderr, and the
 * two words for disaster. Passwords and mail never come here. Client bytes
 * pass log_clean first.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

#include "str.h"

enum log_to { LOG_TO_NONE, LOG_TO_SYSLOG, LOG_TO_STDERR };

void	log_open(enum log_to to);
/* Called once, with arg and a text for the client, before log_fatal and
 * log_bug exit; NULL takes it back. */
void	log_on_fatal(void (*last_words)(void *arg, const char *text),
	    void *arg);

void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The world failed (no memory): last words, exit status 70. */
_Noreturn void	log_fatal(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));
/* We are wrong: last words, abort. */
_Noreturn void	log_bug(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));

/*
 * Writes s into out (room bytes, NUL-ended) with every byte outside
 * printable ASCII, and space [ ] \ ", as \xNN; cut at 64 bytes of s.
 * Returns out. A user name so cleaned can not forge a log line.
 */
const char	*log_clean(struct str s, char *out, size_t room);

#endif
