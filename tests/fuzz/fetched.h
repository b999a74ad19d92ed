/*
 * fetched.h - a FETCH response as the server writes it, held against the strict
 * grammar of tests/validate.h.
 */
#ifndef FETCHED_H
#define FETCHED_H

#include "fuzz.h"
#include "../validate.h"
#include "../../reply.h"

static struct io fuzz_io;

static inline struct reply
fuzz_fetch_begin(const char *item)
{
	struct reply r = { &fuzz_io };

	fuzz_listen(&fuzz_io);
	reply_f(&r, "* PREAUTH x\r\n* 1 EXISTS\r\n* 0 RECENT\r\n"
	    "* FLAGS ()\r\na OK x\r\n* 1 FETCH (%s ", item);
	return r;
}

static inline void
fuzz_fetch_end(struct reply *r)
{
	static const char commands[] = "a SELECT\nb FETCH\nc LOGOUT\n";
	struct validate_options options = { .commands = commands,
	    .commands_n = sizeof(commands) - 1 };
	struct violation found = { 0 };
	struct str said;
	bool good;

	reply_raw(r, STR(")\r\nb OK x\r\n* BYE x\r\nc OK x\r\n"));
	said = fuzz_output(&fuzz_io);
	good = validate(said.p, said.n, &options, &found);
	if (!good)
		fprintf(stderr, "byte %zu: expected %s in:\n%.*s\n",
		    found.offset, found.expected, (int)said.n, said.p);
	MUST(good);
}

#endif
