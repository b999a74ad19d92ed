/*
 * fuzz.h - what libFuzzer's targets share: input taken apart byte by byte,
 * copies that end where memory ends, output caught, and the word that all
 * oracles end in. A target holds no state from one input to the next.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/buf.h"
#include "../../lib/io.h"
#include "../../lib/mem.h"
#include "../../lib/str.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int	LLVMFuzzerInitialize(int *argc, char ***argv);

/* What must be so of every input. */
#define MUST(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
		    __LINE__, #condition);				\
		abort();						\
	}								\
} while (0)

static inline struct str
fuzz_input(const uint8_t *data, size_t size)
{
	return (struct str){ size == 0 ? "" : (const char *)data, size };
}

/* The next byte, 0 at the end. */
static inline unsigned
fuzz_byte(struct str *in)
{
	unsigned c = in->n == 0 ? 0 : (unsigned char)in->p[0];

	*in = str_from(*in, 1);
	return c;
}

/* n bytes, the lowest first. */
static inline uint64_t
fuzz_number(struct str *in, unsigned n)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)fuzz_byte(in) << 8 * i;
	return v;
}

/* Up to the next byte c, which goes, or all. */
static inline struct str
fuzz_until(struct str *in, char c)
{
	struct str s = str_sub(*in, 0, str_index(*in, c));

	*in = str_from(*in, s.n + 1);
	return s;
}

/* To be freed; what is read behind it is seen by ASan. */
static inline char *
fuzz_copy(struct str s)
{
	char *p = xmalloc(s.n);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

/* Does the slice lie in that text? */
static inline bool
fuzz_inside(struct str s, struct str of)
{
	return s.n == 0 || (s.p >= of.p && s.p + s.n <= of.p + of.n);
}

/* --- A client that says these bytes and is gone, and one who listens. --- */

static struct buf fuzz_sent = BUF_MAX(1 << 26);

static inline ssize_t
fuzz_read(struct io *io, char *p, size_t n)
{
	(void)io;
	(void)p;
	(void)n;
	return 0;
}

static inline ssize_t
fuzz_write(struct io *io, const char *p, size_t n)
{
	if (io->inner != NULL)
		buf_add(io->inner, (struct str){ p, n });
	return (ssize_t)n;
}

static inline bool
fuzz_pending(const struct io *io)
{
	(void)io;
	return true;
}

/* At most IO_IN_BYTES; in_file: their end ends a line. */
static inline void
fuzz_client(struct io *io, struct str bytes, bool in_file)
{
	static const struct io_seam seam = { fuzz_read, fuzz_write,
	    fuzz_pending };

	io_init(io, -1, -1, NULL);
	io->seam = &seam;
	io->in_file = in_file;
	io_give(io, bytes);
}

/* What is written here can be read below. */
static inline void
fuzz_listen(struct io *io)
{
	fuzz_client(io, STR(""), true);
	io->inner = &fuzz_sent;
	buf_clear(&fuzz_sent);
}

static inline struct str
fuzz_output(struct io *io)
{
	io_flush(io);
	return buf_str(&fuzz_sent);
}

#endif
