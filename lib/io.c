/*
 * io.c - buffered bytes between us and the client. The only file that reads
 * from or writes to the client's descriptors. Waits in poll(2), so that a
 * deadline and a signal flag end every wait; the descriptors themselves may
 * be blocking, and may be a file, a pipe, a terminal or a socket.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "await.h"
#include "log.h"

/* Of more() alone: nothing has come yet. */
enum { NOT_YET = -6 };

/*
 * A pipe or terminal that blocks would keep us in write(2) for as long as
 * its reader likes. It may be shared with other programs, whose writes must
 * not change their ways, so it is opened once more, for us alone. Where
 * /proc is missing or the open refused, it stays as it was: then only a
 * signal in the middle of a write ends that.
 */
static void
unblock(int fd, const struct stat *st)
{
	char path[64];
	int own;

	if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return;
	dup2(own, fd);
	close(own);
}

void
io_init(struct io *io, int rfd, int wfd, const volatile sig_atomic_t *stop)
{
	struct stat st;

	memset(io, 0, offsetof(struct io, in));
	io->rfd = rfd;
	io->wfd = wfd;
	io->stop = stop;
	io->in_file = fstat(rfd, &st) == 0 && S_ISREG(st.st_mode);
	if (fstat(wfd, &st) == 0) {
		io->out_socket = S_ISSOCK(st.st_mode);
		unblock(wfd, &st);
	}
}

void
io_deadline(struct io *io, int seconds)
{
	io->deadline = seconds == 0 ? 0 : await_now() + (int64_t)seconds * 1000;
}

int
io_await(struct io *io, struct pollfd *fds, nfds_t n, int64_t until)
{
	switch (await_fds(fds, n, until, io->stop, NULL)) {
	case 0:
		return 0;
	case AWAIT_TIMEOUT:
		return IO_TIMEOUT;
	case AWAIT_STOPPED:
		return IO_SIGNAL;
	default:
		return IO_FAIL;
	}
}

int
io_await_client(struct io *io, short events, int64_t until)
{
	bool in = (events == POLLIN) != io->turned;
	struct pollfd pfd = { .fd = in ? io->rfd : io->wfd,
	    .events = in ? POLLIN : POLLOUT };

	return io_await(io, &pfd, 1, until);
}

void
io_wipe(struct io *io)
{
	explicit_bzero(io->in, io->in_at);
	explicit_bzero(io->in + io->in_n, sizeof(io->in) - io->in_n);
}

void
io_give(struct io *io, struct str bytes)
{
	if (bytes.n > sizeof(io->in) || io->in_n > 0)
		log_bug("%zu bytes given to a client's input", bytes.n);
	if (bytes.n > 0)
		memcpy(io->in, bytes.p, bytes.n);
	io->in_n = bytes.n;
}

/* When a wait that begins now and may take so long (0: no limit) must end. */
static int64_t
end_of_wait(const struct io *io, int seconds)
{
	int64_t end;

	if (seconds == 0)
		return io->deadline;
	end = await_now() + (int64_t)seconds * 1000;
	return io->deadline != 0 && io->deadline < end ? io->deadline : end;
}

static bool
pending(const struct io *io)
{
	return io->seam != NULL && io->seam->pending(io);
}

/* What there is, into the empty buffer; without a seam this may wait. */
static int
more(struct io *io)
{
	ssize_t n;

	io->in_at = io->in_n = 0;
	if (io->seam != NULL)
		n = io->seam->read(io, io->in, sizeof(io->in));
	else
		n = read(io->rfd, io->in, sizeof(io->in));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return NOT_YET;
	if (n <= 0)
		return io->ended = n == 0 ? IO_EOF : IO_FAIL;
	io->in_n = (size_t)n;
	return 0;
}

int
io_fill(struct io *io)
{
	int r;

	if (io->ended)
		return io->ended;
	io_flush(io);
	if (io->gone)
		return io->ended = IO_FAIL;
	io->turned = false;
	do {
		r = pending(io) ? 0 : io_await_client(io, POLLIN,
		    end_of_wait(io, io->patience));
		if (r != 0)
			return io->ended = r;
		r = more(io);
	} while (r == NOT_YET);
	return r;
}

int
io_wait(struct io *io, int other, int64_t until)
{
	struct pollfd pfd[2] = {
		{ .fd = io->rfd, .events = POLLIN },
		{ .fd = other, .events = POLLIN },
	};
	int r;

	if (io->in_at < io->in_n || pending(io))
		return 0;
	io_flush(io);
	if (io->ended || io->gone)
		return IO_FAIL;
	do {
		r = io_await(io, pfd, 2, until);
		if (r != 0)
			return r;
		if (pfd[0].revents == 0)
			return IO_OTHER;
		/* Of TLS it may be what no client said, or half of it. */
	} while (io->seam != NULL && !io_ready(io));
	return 0;
}

int
io_read(struct io *io, char *to, size_t n)
{
	size_t have;
	int r;

	while (n > 0) {
		if (io->in_at == io->in_n && (r = io_fill(io)) != 0)
			return r;
		have = io->in_n - io->in_at;
		if (have > n)
			have = n;
		memcpy(to, io->in + io->in_at, have);
		io->in_at += have;
		to += have;
		n -= have;
	}
	return 0;
}

int
io_skip(struct io *io, uint64_t n)
{
	size_t have;
	int r;

	while (n > 0) {
		if (io->in_at == io->in_n && (r = io_fill(io)) != 0)
			return r;
		have = io->in_n - io->in_at;
		if (have > n)
			have = (size_t)n;
		io->in_at += have;
		n -= have;
	}
	return 0;
}

bool
io_ready(struct io *io)
{
	struct pollfd pfd = { .fd = io->rfd, .events = POLLIN };

	if (io->in_at < io->in_n)
		return true;
	if (io->ended)
		return false;
	return io->seam != NULL ? more(io) != NOT_YET : poll(&pfd, 1, 0) > 0;
}

/* Whether the descriptor blocks is not ours to say (see unblock). */
ssize_t
io_raw_read(struct io *io, char *p, size_t n)
{
	struct pollfd pfd = { .fd = io->rfd, .events = POLLIN };
	int r = poll(&pfd, 1, 0);

	if (r > 0)
		return read(io->rfd, p, n);
	errno = r == 0 ? EAGAIN : errno;
	return -1;
}

ssize_t
io_raw_write(struct io *io, const char *p, size_t n)
{
	if (io->out_socket)
		return send(io->wfd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(io->wfd, p, n);
}

/* One write that does not wait for the reader. */
static ssize_t
write_some(struct io *io, const char *p, size_t n)
{
	io->turned = false;
	return io->seam != NULL ? io->seam->write(io, p, n) :
	    io_raw_write(io, p, n);
}

/* A client that takes nothing for COMMAND_TIMEOUT is gone. */
static void
put(struct io *io, const char *p, size_t n)
{
	ssize_t done;
	int r = 0;

	while (n > 0 && !io->gone) {
		done = write_some(io, p, n);
		if (done >= 0) {
			p += done;
			n -= (size_t)done;
			/* Cut short by the signal, or by a full pipe. */
			if (n > 0 && io->stop != NULL && *io->stop)
				io->gone = true;
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			r = io_await_client(io, POLLOUT,
			    end_of_wait(io, COMMAND_TIMEOUT));
		else if (errno != EINTR)
			r = IO_FAIL;
		if (r != 0 || (io->stop != NULL && *io->stop))
			io->gone = true;
	}
}

void
io_flush(struct io *io)
{
	put(io, io->out, io->out_n);
	io->out_n = 0;
}

void
io_write(struct io *io, struct str s)
{
	if (s.n == 0 || io->gone)
		return;
	if (s.n > sizeof(io->out) - io->out_n)
		io_flush(io);
	if (s.n >= sizeof(io->out)) {
		put(io, s.p, s.n);
		return;
	}
	memcpy(io->out + io->out_n, s.p, s.n);
	io->out_n += s.n;
}

char *
io_room(struct io *io, size_t n)
{
	if (n > sizeof(io->out) - io->out_n)
		io_flush(io);
	return io->out + io->out_n;
}
