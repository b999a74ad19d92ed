/*
 * inproc.h - whole sessions inside the test's own process, thousands in a
 * second: input from a memory file, output into another, which the strict
 * validator then reads. For the fuzzing harnesses.
 */
#ifndef INPROC_H
#define INPROC_H

#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/buf.h"
#include "../lib/fs.h"
#include "../session.h"
#include "unit.h"
#include "validate.h"

struct inproc {
	char home[64];
	char inbox[96];
	char box[96];		/* a mailbox "box", when a harness makes it */
	int in;
	int out;
	struct session session;
	struct buf output;
};

/* xorshift64*: the seed, which is printed, tells all that follows. */
static inline uint64_t
inproc_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(2685821657736338717);
}

static inline uint32_t
inproc_below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)((inproc_random(seed) >> 32) * n >> 32);
}

static void
inproc_die(const char *what)
{
	perror(what);
	exit(2);
}

static inline void
inproc_begin(struct inproc *ip)
{
	snprintf(ip->home, sizeof(ip->home), "/tmp/imapd-fuzz.XXXXXX");
	if (mkdtemp(ip->home) == NULL)
		inproc_die("mkdtemp");
	snprintf(ip->inbox, sizeof(ip->inbox), "%s/inbox", ip->home);
	snprintf(ip->box, sizeof(ip->box), "%s/box", ip->home);
	ip->in = memfd_create("in", 0);
	ip->out = memfd_create("out", 0);
	if (ip->in < 0 || ip->out < 0)
		inproc_die("memfd_create");
	ip->output = (struct buf)BUF_MAX(SIZE_MAX / 2);
}

static inline int
inproc_remove(const char *path, const struct stat *st, int kind,
    struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void
inproc_end(struct inproc *ip)
{
	nftw(ip->home, inproc_remove, 16, FTW_DEPTH | FTW_PHYS);
	close(ip->in);
	close(ip->out);
	buf_free(&ip->output);
}

static inline void
inproc_put(int fd, struct str text)
{
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text.p, text.n, 0) !=
	    (ssize_t)text.n || lseek(fd, 0, SEEK_SET) != 0)
		inproc_die("write");
}

/* Runs one session over the input; its output is in ip->output. */
static inline int
inproc_run(struct inproc *ip, struct str input)
{
	/* What is written need not outlast a power cut here. */
	static const struct options options = {
		.idle_timeout = 60,
		.no_sync = true,
		.expunge_on = ON_EXPUNGE | ON_CLOSE | ON_LOGOUT,
	};
	struct session *s = &ip->session;
	struct why why = { "" };
	off_t n;
	char *to;
	int status;

	inproc_put(ip->in, input);
	inproc_put(ip->out, (struct str){ "", 0 });
	memset(s, 0, offsetof(struct session, io));
	io_init(&s->io, ip->in, ip->out, NULL);
	s->reply = (struct reply){ .io = &s->io };
	s->pool = pool_new();
	s->options = &options;
	s->host = "host.example";
	s->peer = "UNKNOWN";
	s->mbox = s->other = NULL;
	s->bad = 0;
	s->goodbye = NULL;
	if (session_open(s, "fuzz", ip->home, ip->inbox, &why) != E_OK)
		inproc_die(why.text);
	status = session_run(s) == ENDING_LOGOUT ? 0 : 1;
	folder_free(&s->folders);
	pool_free(s->pool);
	n = lseek(ip->out, 0, SEEK_END);
	buf_clear(&ip->output);
	to = buf_grow(&ip->output, (size_t)n);
	if (to == NULL || fs_pread(ip->out, to, (size_t)n, 0) != 0)
		inproc_die("read");
	ip->output.n = (size_t)n;
	return status;
}

/* Keeps what made it fail where a person finds it, and ends the test. */
static inline void
inproc_fail(const struct inproc *ip, const char *what, uint64_t seed,
    struct str input, struct str mailbox)
{
	FILE *f;

	printf("not ok 1 - %s (seed %" PRIu64 ")\n1..1\n", what, seed);
	f = fopen("/tmp/imapd-fuzz.failed", "w");
	if (f != NULL) {
		fprintf(f, "--- mailbox\n");
		fwrite(mailbox.p, 1, mailbox.n, f);
		fprintf(f, "--- input\n");
		fwrite(input.p, 1, input.n, f);
		fprintf(f, "--- output\n");
		fwrite(ip->output.p, 1, ip->output.n, f);
		fclose(f);
		printf("# see /tmp/imapd-fuzz.failed\n");
	}
	exit(1);
}

/* The validator's word on the last run. */
static inline void
inproc_validate(const struct inproc *ip, uint64_t seed, struct str input,
    struct str commands, struct str mailbox)
{
	struct validate_options options = { .commands = commands.p,
	    .commands_n = commands.n };
	struct violation found;
	char what[300];

	if (validate(ip->output.p, ip->output.n, &options, &found))
		return;
	snprintf(what, sizeof(what), "output line %zu, byte %zu: expected %s",
	    found.line, found.offset, found.expected);
	inproc_fail(ip, what, seed, input, mailbox);
}

#endif
