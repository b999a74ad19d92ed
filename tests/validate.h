/*
 * validate.h - is a server's output exactly the grammar? The strict reading
 * of RFC 3501 section 9 `response`, of the extensions whose rows stand in
 * the tables, and of what a stream alone proves about message numbers.
 * Shares no code with the server: a second reading of the law, so that one
 * misreading cannot hide another. Needs only libc; no globals.
 */
#ifndef VALIDATE_H
#define VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

struct validate_options {
	/*
	 * What the client sent, if known: a line "tag name" for each command
	 * in order ("a7 UID FETCH"; what follows the name is ignored). NULL
	 * switches off the rules that need to know the command.
	 */
	const char *commands;
	size_t commands_n;
	bool binary;		/* RFC 3516: BINARY items and literal8 */
};

/* The first breach. */
struct violation {
	size_t offset;		/* of the first byte that is wrong */
	size_t line;		/* that holds it, from 1 */
	char expected[160];	/* what should stand there, in words */
};

/*
 * The n bytes are all that a server said on one connection, from the
 * greeting on. Returns false with *found filled at the first breach.
 */
bool	validate(const char *stream, size_t n,
	    const struct validate_options *options, struct violation *found);

#endif
