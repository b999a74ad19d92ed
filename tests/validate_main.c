/*
 * validate_main.c - the validator as a filter:
 *
 *	validate [-b] [-c commands] [file ...]
 *
 * Each file (or the standard input) is all that a server said on one
 * connection. The first breach of each is printed as
 *
 *	file:line: byte N: expected WHAT, found "..."
 *
 * with N counted from 0. Exit status: 0 all good, 1 a breach, 2 trouble.
 *
 *	-b	BINARY answers and literal8 (RFC 3516) are allowed
 *	-c	a file of the client's commands in order, a line for each:
 *		the tag, a space, the command's name ("a7 UID FETCH"); what
 *		follows the name is ignored. A command's continuation lines
 *		and lines without a tag do not belong into it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "validate.h"

enum {
	EXIT_BREACH = 1,
	EXIT_TROUBLE = 2,
	EXCERPT_BYTES = 40,
	BLOCK_BYTES = 1 << 20,
};

struct bytes {
	char *p;
	size_t n;
};

static void
trouble(const char *what)
{
	fprintf(stderr, "validate: %s: %s\n", what, strerror(errno));
	exit(EXIT_TROUBLE);
}

/* A regular file's size is room enough from the start. */
static size_t
first_room(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
		return BLOCK_BYTES;
	return (size_t)st.st_size + 1;
}

static struct bytes
read_all(int fd, const char *name)
{
	struct bytes b = { NULL, 0 };
	size_t room = first_room(fd);
	ssize_t got;

	b.p = malloc(room);
	while (b.p != NULL && (got = read(fd, b.p + b.n, room - b.n)) != 0) {
		if (got < 0)
			trouble(name);
		b.n += (size_t)got;
		if (b.n == room) {
			room *= 2;
			b.p = realloc(b.p, room);
		}
	}
	if (b.p == NULL)
		trouble(name);
	return b;
}

static struct bytes
read_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct bytes b;

	if (fd < 0)
		trouble(name);
	b = read_all(fd, name);
	close(fd);
	return b;
}

static void
print_excerpt(const char *p, size_t n)
{
	if (n == 0) {
		printf("the end\n");
		return;
	}
	printf("\"");
	for (size_t i = 0; i < n && i < EXCERPT_BYTES; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c >= ' ' && c < 0x7f)
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	printf("\"%s\n", n > EXCERPT_BYTES ? "..." : "");
}

/* False, and a line about it, if the stream is not what it should be. */
static bool
check(struct bytes stream, const char *name,
    const struct validate_options *options)
{
	struct violation found;

	if (validate(stream.p, stream.n, options, &found))
		return true;
	printf("%s:%zu: byte %zu: expected %s, found ", name, found.line,
	    found.offset, found.expected);
	print_excerpt(stream.p + found.offset, stream.n - found.offset);
	return false;
}

int
main(int argc, char **argv)
{
	struct validate_options options = { .binary = false };
	struct bytes commands = { NULL, 0 };
	bool good = true;
	int option;

	while ((option = getopt(argc, argv, "bc:")) != -1) {
		switch (option) {
		case 'b':
			options.binary = true;
			break;
		case 'c':
			free(commands.p);
			commands = read_file(optarg);
			options.commands = commands.p;
			options.commands_n = commands.n;
			break;
		default:
			fprintf(stderr, "usage: validate [-b] [-c commands] "
			    "[file ...]\n");
			return EXIT_TROUBLE;
		}
	}
	if (optind == argc) {
		struct bytes b = read_all(STDIN_FILENO, "standard input");

		good = check(b, "standard input", &options);
		free(b.p);
	}
	for (int i = optind; i < argc; i++) {
		struct bytes b = read_file(argv[i]);

		good = check(b, argv[i], &options) && good;
		free(b.p);
	}
	free(commands.p);
	return good ? 0 : EXIT_BREACH;
}
