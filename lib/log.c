/*
 * log.c - one line per event. It may not fail, block the protocol or write
 * to the client: stderr is used only when asked for by --log=stderr, since
 * inetd hands out the client's socket as descriptor 2.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "params.h"

/* The process's log state: one of the two permitted globals. */
static enum log_to log_to = LOG_TO_NONE;
static void (*log_last_words)(void *, const char *);
static void *log_last_arg;

void
log_open(enum log_to to)
{
	log_to = to;
	if (to == LOG_TO_SYSLOG)
		openlog(IMAPD_NAME, LOG_PID | LOG_NDELAY, LOG_MAIL);
	else
		closelog();
}

void
log_on_fatal(void (*last_words)(void *, const char *), void *arg)
{
	log_last_words = last_words;
	log_last_arg = arg;
}

static void
log_line(int level, const char *text)
{
	switch (log_to) {
	case LOG_TO_NONE:
		break;
	case LOG_TO_SYSLOG:
		syslog(level, "%s", text);
		break;
	case LOG_TO_STDERR:
		fprintf(stderr, "%s[%ld]: %s\n", IMAPD_NAME, (long)getpid(),
		    text);
		break;
	}
}

static void __attribute__((format(printf, 2, 0)))
log_args(int level, const char *fmt, va_list ap)
{
	/* Two names of 64 bytes, all of them \\xNN, and an address fit. */
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	log_line(level, text);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_args(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_args(LOG_WARNING, fmt, ap);
	va_end(ap);
}

/* The hook is cleared first: last words that fail must not come back here. */
static void
last_words(const char *text)
{
	void (*say)(void *, const char *) = log_last_words;

	log_last_words = NULL;
	if (say != NULL)
		say(log_last_arg, text);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_args(LOG_ERR, fmt, ap);
	va_end(ap);
	last_words("Server failed, try again later");
	_exit(EX_SOFTWARE);
}

void
log_bug(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(LOG_CRIT, "bug, please report:");
	log_line(LOG_CRIT, text);
	last_words("Server failed, please report this");
	abort();
}

const char *
log_clean(struct str s, char *out, size_t room)
{
	static const char hex[] = "0123456789abcdef";
	size_t i, n = 0;
	unsigned char c;

	for (i = 0; i < s.n && i < 64 && n + 5 <= room; i++) {
		c = (unsigned char)s.p[i];
		if (c > ' ' && c < 0x7f && c != '[' && c != ']' &&
		    c != '\\' && c != '"') {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	if (room > 0)
		out[n] = '\0';
	return out;
}
