/*
 * unit_tls.h - one connection between a server, which is this process, and a
 * client, which is a process that uses OpenSSL itself; what the client finds
 * is its exit status. Reads, writes and waits of the server pass through
 * functions here, which cut them into bytes, count what is held back, and let
 * time go by at once where nobody will come.
 */
#ifndef UNIT_TLS_H
#define UNIT_TLS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "../session.h"
#include "../tls.h"
#include "../lib/params.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { MEGA = 1048576 };

/* --- The world between the server and the system. --- */

static struct {
	bool hurry;		/* a wait with an end comes to it at once */
	int64_t skew;		/* milliseconds that have gone by so */
	bool bytewise;		/* one byte a call, every other call none */
	unsigned calls;
	size_t first_read;	/* bytes of the next read, 0: as many */
	/* The relay: what is on its way, and the most that ever was. */
	bool counting;
	int client, session;
	long up, up_most, down, down_most;
	unsigned idle, idle_most;	/* waits after which nothing moved */
} world;

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	t->tv_sec += world.skew / 1000;
	return r;
}

int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *left,
    const sigset_t *mask)
{
	struct timespec none = { 0, 0 }, copy = { 0, 0 };
	int r;

	if (left != NULL)
		copy = *left;
	if (world.counting && ++world.idle > world.idle_most)
		world.idle_most = world.idle;
	if (world.hurry && left != NULL) {
		r = (int)syscall(SYS_ppoll, fds, n, &none, mask, 8);
		if (r == 0)
			world.skew += left->tv_sec * 1000 +
			    left->tv_nsec / 1000000 + 1000;
		return r;
	}
	return (int)syscall(SYS_ppoll, fds, n, left == NULL ? NULL : &copy,
	    mask, 8);
}

static bool
not_now(void)
{
	return world.bytewise && world.calls++ % 2 == 0;
}

static void
count(long *held, long *most, ssize_t n)
{
	if (n >= 0)
		world.idle = 0;
	if (world.counting && n > 0)
		*held += n;
	if (*held > *most)
		*most = *held;
}

int
poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	if (ms == 0 && not_now())
		return 0;
	return (int)syscall(SYS_ppoll, fds, n, ms < 0 ? NULL : &t, NULL, 8);
}

ssize_t
read(int fd, void *p, size_t n)
{
	ssize_t got;

	if (world.bytewise && n > 1)
		n = 1;
	if (world.first_read != 0 && n > world.first_read)
		n = world.first_read;
	world.first_read = 0;
	got = syscall(SYS_read, fd, p, n);
	if (fd == world.client)
		count(&world.up, &world.up_most, got);
	return got;
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	ssize_t put;

	if (not_now()) {
		errno = EAGAIN;
		return -1;
	}
	put = syscall(SYS_sendto, fd, p, world.bytewise && n > 1 ? 1 : n,
	    flags, NULL, 0);
	if (put > 0)
		world.idle = 0;
	if (put > 0 && world.counting && fd == world.session)
		world.up -= put;
	if (put > 0 && world.counting && fd == world.client)
		world.down -= put;
	return put;
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	ssize_t got = syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);

	if (fd == world.session)
		count(&world.down, &world.down_most, got);
	return got;
}

/* --- Keys. --- */

static char dir[] = "/tmp/unit_tls.XXXXXX";
static char paths[16][64];

/* The path of a file in the test's directory; good until 16 more. */
static const char *
at(const char *name)
{
	static unsigned n;
	char *path = paths[n++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static X509 *
certificate(EVP_PKEY *key, const char *name, long from, long to)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	return x;
}

static void
write_certificate(const char *file, const char *mode, EVP_PKEY *key,
    long from, long to)
{
	FILE *f = fopen(at(file), mode);
	X509 *x = certificate(key, file, from, to);

	PEM_write_X509(f, x);
	X509_free(x);
	fclose(f);
}

static void
write_key(const char *file, const char *mode, EVP_PKEY *key,
    const char *password)
{
	FILE *f = fopen(at(file), mode);
	size_t n = password == NULL ? 0 : str_c(password).n;

	PEM_write_PrivateKey(f, key, n == 0 ? NULL : EVP_aes_128_cbc(),
	    (const unsigned char *)password, (int)n, NULL, NULL);
	fclose(f);
}

enum { DAY = 86400 };

/* --- Clients. --- */

/* One connection: the server's end is io's, a client has the other. */
static struct link {
	int server, client;
	int tell, hear;		/* words between us and the client */
	pid_t pid;
	struct io io;
} link_;

static volatile sig_atomic_t stop;
static struct tls_keys *keys;

static void
connect_ends(struct link *l)
{
	int fds[2], words[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, words) != 0)
		abort();
	l->server = fds[0];
	l->client = fds[1];
	l->tell = words[0];
	l->hear = words[1];
	l->pid = -1;
	stop = 0;
	io_init(&l->io, fds[0], fds[0], &stop);
}

static void
disconnect(struct link *l)
{
	tls_close(&l->io);
	close(l->server);
	if (l->client >= 0)
		close(l->client);
	close(l->tell);
	if (l->hear >= 0)
		close(l->hear);
	world.hurry = world.bytewise = world.counting = false;
	world.skew = 0;
}

/* A word to the other side, and the wait for one. */
static void
say(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(99);
}

static void
hear(int fd)
{
	char c;

	if (syscall(SYS_read, fd, &c, 1) != 1)
		_exit(98);
}

static SSL *
client_ssl(int fd, int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	if (version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	return ssl;
}

/* Starts a client; `talk` returns 0 when all was as it should be, else
 * where it was not. */
static void
start(struct link *l, int version, int (*talk)(SSL *ssl, struct link *l))
{
	fflush(stdout);
	l->pid = fork();
	if (l->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(&world, 0, sizeof(world));
		world.client = world.session = -1;
		close(l->server);
		close(l->tell);
		_exit(talk(client_ssl(l->client, version), l));
	}
	close(l->client);
	close(l->hear);
	l->client = l->hear = -1;
}

static bool
went_well(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (status != 0)
		printf("# a client ended with %d\n", WIFEXITED(status) ?
		    WEXITSTATUS(status) : -WTERMSIG(status));
	return status == 0;
}

static int
accept_(struct link *l, struct why *why)
{
	why->text[0] = '\0';
	return tls_accept(keys, &l->io, why);
}

/* Connects, starts a client and shakes hands. */
static bool
begin(struct link *l, int version, int (*talk)(SSL *ssl, struct link *l))
{
	struct why why;

	connect_ends(l);
	start(l, version, talk);
	if (accept_(l, &why) == 0)
		return true;
	printf("# no handshake: %s\n", why.text);
	return false;
}

/* Bytes that tell where they belong. */
static char
pattern(size_t i)
{
	return (char)((i * UINT64_C(2654435761)) >> 16);
}

static bool
ended_well(SSL *ssl)
{
	char c;

	return SSL_get_error(ssl, SSL_read(ssl, &c, 1)) ==
	    SSL_ERROR_ZERO_RETURN;
}

static int
only_shake_hands(SSL *ssl, struct link *l)
{
	(void)l;
	return SSL_connect(ssl) == 1 && ended_well(ssl) ? 0 : 1;
}

static int
read_nothing(SSL *ssl, struct link *l)
{
	if (SSL_connect(ssl) != 1)
		return 1;
	hear(l->hear);
	return 0;
}

static void
clean_up(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlink(at(e->d_name));
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

/* In a directory of its own, without the host's configuration. */
static bool
begin_tests(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* A test that hangs is a test that fails. */
	alarm(300);
	world.client = world.session = -1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	return mkdtemp(dir) != NULL;
}

#endif
