/*
 * io.h - the one connection: buffered input and output over two
 * descriptors, with deadlines. Only io.c reads or writes the client, with TLS
 * or without (struct io_seam). Output is flushed before any wait for input,
 * so nothing is ever held back from a client that waits for it.
 */
#ifndef IO_H
#define IO_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "await.h"
#include "params.h"
#include "str.h"

/* What reading returns instead of a byte; each is final. */
enum {
	IO_EOF = -1,		/* end of input */
	IO_TIMEOUT = -2,	/* the deadline passed */
	IO_FAIL = -3,		/* read failed, or the client stopped reading */
	IO_SIGNAL = -4,		/* SIGTERM, SIGHUP: *io.stop was set */
	/* Of io_wait alone. */
	IO_OTHER = -5,
};

struct io;

/*
 * What stands between the buffers and the descriptors: TLS (tls.c). No call
 * waits. Reading and writing return as read(2) and write(2) do on a
 * descriptor that does not block; with EAGAIN they say in io->turned whether
 * it is the other direction that must be ready first.
 */
struct io_seam {
	ssize_t (*read)(struct io *io, char *p, size_t n);
	ssize_t (*write)(struct io *io, const char *p, size_t n);
	/* Is there input that no wait for the descriptor would show? */
	bool (*pending)(const struct io *io);
};

struct io {
	int rfd;
	int wfd;
	int64_t deadline;	/* monotonic milliseconds, 0 is none */
	int patience;		/* seconds of one wait, 0: no limit */
	int ended;		/* 0, or the IO_ code that ended reading */
	bool gone;		/* writing failed: the client is not there */
	bool in_file;		/* input is a regular file */
	bool out_socket;
	const volatile sig_atomic_t *stop;	/* a handler's flag, or NULL */
	const struct io_seam *seam;	/* NULL: there is none */
	void *inner;		/* the seam's own */
	bool turned;
	size_t in_at, in_n;
	size_t out_n;
	char in[IO_IN_BYTES];
	char out[IO_OUT_BYTES];
};

void	io_init(struct io *io, int rfd, int wfd,
	    const volatile sig_atomic_t *stop);
/* Every later wait ends `seconds` from now at the latest; 0: no limit. What
 * io->patience says holds for each wait besides: a client that goes on
 * sending may take its time. */
void	io_deadline(struct io *io, int seconds);

/* Overwrites all input but what is still to be taken: there was a password
 * in it. */
void	io_wipe(struct io *io);

/* Input that another process has read already: the first to be taken, at
 * most IO_IN_BYTES. Nothing may have been read yet. */
void	io_give(struct io *io, struct str bytes);

/* Refills the input; 0 when there is at least one byte, else an IO_ code. */
int	io_fill(struct io *io);

/* The next byte without taking it, or an IO_ code. */
static inline int
io_peek(struct io *io)
{
	int r;

	if (io->in_at == io->in_n && (r = io_fill(io)) != 0)
		return r;
	return (unsigned char)io->in[io->in_at];
}

/* Takes the byte that io_peek just showed. */
static inline void
io_take(struct io *io)
{
	io->in_at++;
}

/*
 * Waits, after sending what was written, for input: 0, or for the descriptor
 * `other` (-1: none) to become readable: IO_OTHER, or until await_now() is
 * `until` (0: never): IO_TIMEOUT. Nothing is read, and only IO_FAIL and
 * IO_SIGNAL are final.
 */
int	io_wait(struct io *io, int other, int64_t until);

/* Reads exactly n bytes; 0 or an IO_ code. */
int	io_read(struct io *io, char *to, size_t n);
/* Reads and forgets exactly n bytes; 0 or an IO_ code. */
int	io_skip(struct io *io, uint64_t n);
/* True when a byte can be taken without waiting, or the end of input is
 * there. */
bool	io_ready(struct io *io);

/*
 * Adds bytes to the output. Failure is remembered in io->gone and makes
 * all later output silent: no caller need check, the session loop does.
 */
void	io_write(struct io *io, struct str s);
void	io_flush(struct io *io);
/*
 * Room for at least n (<= IO_OUT_BYTES) bytes of output, to be filled by the
 * caller, who then adds what it wrote to io->out_n.
 */
char	*io_room(struct io *io, size_t n);

/* For a seam. Read and write the client's descriptors themselves; neither
 * waits. */
ssize_t	io_raw_read(struct io *io, char *p, size_t n);
ssize_t	io_raw_write(struct io *io, const char *p, size_t n);
/* Waits for descriptors until `until` (0: without end) as all other waits do:
 * 0 or an IO_ code. */
int	io_await(struct io *io, struct pollfd *fds, nfds_t n, int64_t until);
/* Waits for the client as the seam's last call with EAGAIN wanted it;
 * `events` is POLLIN after reading and POLLOUT after writing. */
int	io_await_client(struct io *io, short events, int64_t until);

#endif
