/*
 * err.c - fills the sentence that goes with a failure.
 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

enum err
why_set(struct why *why, enum err e, const char *fmt, ...)
{
	va_list ap;

	if (why != NULL) {
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
	}
	return e;
}
