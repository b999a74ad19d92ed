/*
 * io.c - buffered bytes between us and the client. The only file that reads
 * from or writes to the client's descriptors. Waits in poll(2), so that a
 * deadline and a signal flag end every wait; the descriptors themselves may
 * be blocking, and may be a file, a pipe, a terminal or a socket.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t
io_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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
	io->deadline = seconds == 0 ? 0 : io_now() + (int64_t)seconds * 1000;
}

/*
 * Waits until one of n descriptors is ready or the deadline (0: none)
 * passes: 0 or an IO_ code. Signals are let in only inside ppoll(2), so that
 * none slips in between the look at the flag and the wait.
 */
static int
await(struct io *io, struct pollfd *pfd, nfds_t n, int64_t deadline)
{
	struct timespec left;
	sigset_t all, old;
	int64_t ms;
	int r, code = 0;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	do {
		r = 0;
		ms = deadline == 0 ? 0 : deadline - io_now();
		if (io->stop != NULL && *io->stop)
			code = IO_SIGNAL;
		else if (ms < 0)
			code = IO_TIMEOUT;
		else {
			left.tv_sec = ms / 1000;
			left.tv_nsec = ms % 1000 * 1000000;
			r = ppoll(pfd, n, deadline == 0 ? NULL : &left,
			    &old);
			if (r < 0 && errno != EINTR)
				code = IO_FAIL;
		}
	} while (r <= 0 && code == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return code;
}

static int
await_one(struct io *io, int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return await(io, &pfd, 1, deadline);
}

/* No descriptor is looked at, and no deadline: neither a client who is gone
 * nor one who chose his moment is told sooner. */
void
io_pause(struct io *io, int64_t until)
{
	io_flush(io);
	await(io, NULL, 0, until);
}

void
io_wipe(struct io *io)
{
	explicit_bzero(io->in, io->in_at);
	explicit_bzero(io->in + io->in_n, sizeof(io->in) - io->in_n);
}

/* When a wait that begins now and may take so long (0: no limit) must end. */
static int64_t
end_of_wait(const struct io *io, int seconds)
{
	int64_t end;

	if (seconds == 0)
		return io->deadline;
	end = io_now() + (int64_t)seconds * 1000;
	return io->deadline != 0 && io->deadline < end ? io->deadline : end;
}

int
io_fill(struct io *io)
{
	ssize_t n;
	int r;

	if (io->ended)
		return io->ended;
	io_flush(io);
	if (io->gone)
		return io->ended = IO_FAIL;
	io->in_at = io->in_n = 0;
	do {
		r = await_one(io, io->rfd, POLLIN,
		    end_of_wait(io, io->patience));
		if (r != 0)
			return io->ended = r;
		n = read(io->rfd, io->in, sizeof(io->in));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n <= 0)
		return io->ended = n == 0 ? IO_EOF : IO_FAIL;
	io->in_n = (size_t)n;
	return 0;
}

int
io_wait(struct io *io, int other, int64_t until)
{
	struct pollfd pfd[2] = {
		{ .fd = io->rfd, .events = POLLIN },
		{ .fd = other, .events = POLLIN },
	};
	int r;

	if (io->in_at < io->in_n)
		return 0;
	io_flush(io);
	if (io->ended || io->gone)
		return IO_FAIL;
	r = await(io, pfd, 2, until);
	return r != 0 ? r : pfd[0].revents != 0 ? 0 : IO_OTHER;
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

	return io->in_at < io->in_n ||
	    (!io->ended && poll(&pfd, 1, 0) > 0);
}

/* One write that does not wait for the reader (see unblock). */
static ssize_t
write_some(struct io *io, const char *p, size_t n)
{
	if (io->out_socket)
		return send(io->wfd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(io->wfd, p, n);
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
			r = await_one(io, io->wfd, POLLOUT,
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
