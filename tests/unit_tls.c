/*
 * unit_tls.c - keys, handshakes, io through TLS, the relay and STARTTLS. The
 * clients are processes that use OpenSSL themselves; what they find is their
 * exit status. Reads, writes and waits of the server pass through functions
 * here, which cut them into bytes, count what is held back, and let time go
 * by at once where nobody will come.
 */
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

#ifdef WITHOUT_TLS

int
main(void)
{
	struct why why = { .text = "" };

	CHECK("there is no library", tls_library() == NULL);
	CHECK("no keys are loaded", tls_load("/dev/null", NULL, &why) == NULL);
	CHECK_STR("and it says why", str_c(why.text),
	    STR("this program was built without TLS"));
	return unit_end();
}

#else

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { MEGA = 1048576, RELAYED = 10 * MEGA };

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

static void
write_text(const char *file, const char *mode, const char *text)
{
	FILE *f = fopen(at(file), mode);

	fputs(text, f);
	fclose(f);
}

enum { DAY = 86400 };

static void
make_files(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	EVP_PKEY *weak = EVP_RSA_gen(512);

	write_certificate("cert", "w", key, -DAY, DAY);
	write_key("key", "w", key, NULL);
	write_certificate("both", "w", key, -DAY, DAY);
	write_certificate("both", "a", other, -DAY, DAY);
	write_key("both", "a", key, NULL);
	write_key("other", "w", other, NULL);
	write_key("locked", "w", key, "secret");
	write_certificate("old", "w", key, -3 * DAY, -2 * DAY);
	write_certificate("new", "w", key, 2 * DAY, 3 * DAY);
	write_certificate("weak", "w", weak, -DAY, DAY);
	write_key("weak", "a", weak, NULL);
	write_text("text", "w", "no certificate\n");
	write_text("torn", "w", "-----BEGIN CERTIFICATE-----\nMIIB!\n");
	write_certificate("torn-chain", "w", key, -DAY, DAY);
	write_text("torn-chain", "a", "-----BEGIN CERTIFICATE-----\nMIIB!\n"
	    "-----END CERTIFICATE-----\n");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(weak);
}

/* Is it refused, with this behind the file's name? */
static void
refused(const char *what, const char *cert, const char *key,
    const char *words)
{
	struct why why = { .text = "" };
	struct tls_keys *keys = tls_load(at(cert), key == NULL ? NULL :
	    at(key), &why);

	if (!CHECK(what, keys == NULL && strstr(why.text, words) != NULL))
		printf("# said: %s\n", why.text);
	if (keys != NULL)
		tls_free(keys);
}

static void
test_keys(void)
{
	char words[64];
	time_t then = time(NULL) - 2 * DAY;

	refused("a certificate that is not there", "none", "key",
	    "/none: no such file");
	refused("a key that is not there", "cert", "none",
	    "/none: no such file");
	refused("a file that can not be opened", "cert/x", "key",
	    "/x: can not be read: Not a directory");
	refused("a file without a certificate", "key", "key",
	    "/key: no certificate in it");
	refused("a file of something else", "text", "key",
	    "/text: no certificate in it");
	refused("a torn certificate", "torn", "key",
	    "/torn: no certificate in it");
	refused("a torn certificate behind a good one", "torn-chain", "key",
	    "/torn-chain: a certificate in it is damaged");
	refused("a file without a key", "cert", NULL,
	    "/cert: no key in it that needs no password");
	refused("a key with a password, which nobody is asked for", "cert",
	    "locked", "/locked: no key in it that needs no password");
	refused("a key of another certificate", "cert", "other",
	    "/other: this key does not fit the certificate");
	strftime(words, sizeof(words), "/old: expired on %Y-%m-%d",
	    gmtime(&then));
	refused("a certificate that is too old", "old", "key", words);
	refused("one that is not valid yet", "new", "key",
	    "/new: not valid before ");
	refused("a key that can be broken", "weak", NULL, "too small");
	if (geteuid() != 0) {
		chmod(at("other"), 0);
		refused("a key that may not be read", "cert", "other",
		    "/other: can not be read: Permission denied");
	}
}

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

static int
read_all(SSL *ssl, char *to, size_t n)
{
	int got;

	while (n > 0) {
		got = SSL_read(ssl, to, (int)n);
		if (got <= 0)
			return -1;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

static bool
ended_well(SSL *ssl)
{
	char c;

	return SSL_get_error(ssl, SSL_read(ssl, &c, 1)) ==
	    SSL_ERROR_ZERO_RETURN;
}

/* --- Handshakes. --- */

static int
only_shake_hands(SSL *ssl, struct link *l)
{
	(void)l;
	return SSL_connect(ssl) == 1 && ended_well(ssl) ? 0 : 1;
}

static void
test_version(int version, const char *name)
{
	struct link *l = &link_;
	char what[80], text[64];

	snprintf(what, sizeof(what), "a handshake with %s", name);
	if (!CHECK(what, begin(l, version, only_shake_hands)))
		return;
	tls_name(&l->io, text, sizeof(text));
	CHECK("it knows the version", str_starts(str_c(text), str_c(name)));
	CHECK("and the cipher", strstr(text, "AES") != NULL &&
	    strstr(text, "GCM") != NULL);
	tls_close(&l->io);
	CHECK("the client is told of the end", went_well(l->pid));
	disconnect(l);
}

static int
be_refused(SSL *ssl, struct link *l)
{
	(void)l;
	return SSL_connect(ssl) == 1;
}

static void
test_old_version(void)
{
	struct link *l = &link_;
	struct why why;

	connect_ends(l);
	start(l, TLS1_1_VERSION, be_refused);
	CHECK("TLS 1.1 is refused", accept_(l, &why) == IO_FAIL);
	CHECK_STR("in the library's words", str_c(why.text),
	    STR("unsupported protocol"));
	CHECK("nothing more is said", l->io.gone && l->io.ended == IO_FAIL);
	CHECK("the client knows", went_well(l->pid));
	disconnect(l);
}

static int
prefer_old_ciphers(SSL *ssl, struct link *l)
{
	(void)l;
	SSL_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-SHA:"
	    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384");
	if (SSL_connect(ssl) != 1 || !ended_well(ssl))
		return 1;
	return strcmp(SSL_get_cipher_name(ssl),
	    "ECDHE-ECDSA-AES256-GCM-SHA384") != 0;
}

static int
want_tickets(SSL *ssl, struct link *l)
{
	(void)l;
	if (SSL_connect(ssl) != 1 || !ended_well(ssl))
		return 1;
	if (SSL_SESSION_has_ticket(SSL_get_session(ssl)))
		return 2;
	return SSL_SESSION_is_resumable(SSL_get_session(ssl)) ? 3 : 0;
}

static int
want_chain(SSL *ssl, struct link *l)
{
	(void)l;
	if (SSL_connect(ssl) != 1)
		return 1;
	return sk_X509_num(SSL_get_peer_cert_chain(ssl)) != 2;
}

static int
renegotiate(SSL *ssl, struct link *l)
{
	(void)l;
	if (SSL_connect(ssl) != 1 || SSL_renegotiate(ssl) != 1)
		return 1;
	return SSL_do_handshake(ssl) == 1 ? 2 : 0;
}

static void
test_choices(void)
{
	struct link *l = &link_;
	struct why why;

	begin(l, TLS1_2_VERSION, prefer_old_ciphers);
	tls_close(&l->io);
	CHECK("the server chooses the cipher", went_well(l->pid));
	disconnect(l);
	begin(l, TLS1_2_VERSION, want_tickets);
	tls_close(&l->io);
	CHECK("TLS 1.2 leaves no session", went_well(l->pid));
	disconnect(l);
	begin(l, TLS1_3_VERSION, want_tickets);
	tls_close(&l->io);
	CHECK("TLS 1.3 gives no tickets", went_well(l->pid));
	disconnect(l);
	begin(l, TLS1_2_VERSION, renegotiate);
	io_fill(&l->io);
	CHECK("no second handshake", went_well(l->pid));
	disconnect(l);

	tls_free(keys);
	keys = tls_load(at("both"), NULL, &why);
	CHECK("one file with the key and a chain", keys != NULL);
	begin(l, TLS1_3_VERSION, want_chain);
	CHECK("the client gets the chain", went_well(l->pid));
	disconnect(l);
}

/* The first bytes that a client would send. */
static size_t
client_hello(char *to, size_t room)
{
	SSL *ssl = client_ssl(-1, TLS1_3_VERSION);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, out);
	SSL_connect(ssl);
	n = BIO_read(out, to, (int)room);
	SSL_CTX_free(SSL_get_SSL_CTX(ssl));
	SSL_free(ssl);
	return n > 0 ? (size_t)n : 0;
}

/* A client that says only this, and then leaves or stays. */
static int
accept_bytes(struct link *l, const char *p, size_t n, bool leave,
    int deadline, struct why *why)
{
	connect_ends(l);
	if (n > 0 && write(l->client, p, n) != (ssize_t)n)
		abort();
	if (leave)
		shutdown(l->client, SHUT_WR);
	io_deadline(&l->io, deadline);
	world.hurry = true;
	return accept_(l, why);
}

static void
test_stalls(void)
{
	struct link *l = &link_;
	char hello[2048];
	size_t n = client_hello(hello, sizeof(hello));
	struct why why;

	CHECK("a client that says nothing is cut off",
	    accept_bytes(l, "", 0, false, 180, &why) == IO_TIMEOUT);
	CHECK("after a minute", world.skew / 1000 >= TLS_TIMEOUT &&
	    world.skew / 1000 <= TLS_TIMEOUT + 2);
	CHECK_STR("in words", str_c(why.text), STR("it took too long"));
	CHECK("and stays so", l->io.ended == IO_TIMEOUT && l->io.gone);
	disconnect(l);
	CHECK("one that stops in the middle is, too",
	    accept_bytes(l, hello, n / 2, false, 180, &why) == IO_TIMEOUT);
	disconnect(l);
	CHECK("one that stops half way through the handshake is, too",
	    accept_bytes(l, hello, n, false, 180, &why) == IO_TIMEOUT);
	disconnect(l);
	CHECK("a deadline that comes sooner holds",
	    accept_bytes(l, hello, 9, false, 10, &why) == IO_TIMEOUT &&
	    world.skew / 1000 <= 12);
	disconnect(l);
	CHECK("a client that leaves in the middle",
	    accept_bytes(l, hello, n / 2, true, 180, &why) == IO_EOF);
	CHECK_STR("in words", str_c(why.text), STR("the client left"));
	disconnect(l);
	CHECK("one that speaks IMAP is refused",
	    accept_bytes(l, "a NOOP\r\n", 8, false, 180, &why) == IO_FAIL);
	CHECK("in the library's words", why.text[0] != '\0' &&
	    strcmp(why.text, "unknown failure") != 0);
	io_write(&l->io, STR("* BYE\r\n"));
	io_flush(&l->io);
	n = (size_t)recv(l->client, hello, sizeof(hello), MSG_DONTWAIT);
	CHECK("nothing is said in the clear then", n == (size_t)-1 ||
	    memmem(hello, n, "BYE", 3) == NULL);
	disconnect(l);
	connect_ends(l);
	stop = 1;
	CHECK("a signal ends it", accept_(l, &why) == IO_SIGNAL);
	disconnect(l);
	connect_ends(l);
	io_give(&l->io, STR("a NOOP\r\n"));
	CHECK("bytes in the clear are not taken over",
	    accept_(l, &why) == IO_FAIL &&
	    strstr(why.text, "in the clear") != NULL);
	disconnect(l);
}

/* --- io through TLS. --- */

static const size_t sizes[] = { 1, 1, 1, 2, 100, 16383, 16384, 16385, 40000 };

static int
hear_echo(SSL *ssl, struct link *l)
{
	static char out[40000], in[40000];
	size_t i, j;

	(void)l;
	if (SSL_connect(ssl) != 1)
		return 1;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (j = 0; j < sizes[i]; j++)
			out[j] = pattern(i * 100 + j);
		if (SSL_write(ssl, out, (int)sizes[i]) != (int)sizes[i] ||
		    read_all(ssl, in, sizes[i]) != 0 ||
		    memcmp(in, out, sizes[i]) != 0)
			return 2 + (int)i;
		if (SSL_version(ssl) == TLS1_3_VERSION && sizes[i] < 40000 &&
		    SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
			return 20;
	}
	if (SSL_shutdown(ssl) < 0)
		return 21;
	return ended_well(ssl) ? 0 : 22;
}

static void
echo(struct link *l)
{
	while (io_fill(&l->io) == 0) {
		io_write(&l->io, (struct str){ l->io.in + l->io.in_at,
		    l->io.in_n - l->io.in_at });
		l->io.in_at = l->io.in_n;
	}
}

static void
test_echo(int version, const char *what, bool bytewise)
{
	struct link *l = &link_;

	world.bytewise = bytewise;
	if (!CHECK(what, begin(l, version, hear_echo)))
		return;
	echo(l);
	CHECK("the client says when it ends", l->io.ended == IO_EOF &&
	    !l->io.gone);
	tls_close(&l->io);
	CHECK("all came back, and the end", went_well(l->pid));
	disconnect(l);
}

static int
hear_much(SSL *ssl, struct link *l)
{
	static char in[MEGA];
	size_t i;

	(void)l;
	if (SSL_connect(ssl) != 1)
		return 1;
	for (i = 0; i < 1000; i++)
		if (read_all(ssl, in + i, 1) != 0)
			return 2;
	if (read_all(ssl, in + i, MEGA - i) != 0)
		return 3;
	for (i = 0; i < MEGA; i++)
		if (in[i] != pattern(i))
			return 4;
	/* Without a word. */
	return 0;
}

static void
test_much(void)
{
	static char out[MEGA];
	struct link *l = &link_;
	size_t i;

	for (i = 0; i < MEGA; i++)
		out[i] = pattern(i);
	begin(l, TLS1_3_VERSION, hear_much);
	io_write(&l->io, (struct str){ out, MEGA });
	io_flush(&l->io);
	CHECK("a megabyte at once", went_well(l->pid) && !l->io.gone);
	CHECK("a connection that ends without a word has ended",
	    io_fill(&l->io) == IO_EOF);
	disconnect(l);
}

static int
talk_nonsense(SSL *ssl, struct link *l)
{
	if (SSL_connect(ssl) != 1)
		return 1;
	return write(l->client, "a NOOP\r\na NOOP\r\n", 16) != 16;
}

static void
test_nonsense(void)
{
	struct link *l = &link_;

	begin(l, TLS1_3_VERSION, talk_nonsense);
	CHECK("what is not TLS ends it", io_fill(&l->io) == IO_FAIL);
	CHECK("and was sent", went_well(l->pid));
	disconnect(l);
}

/* Both commands in one record, of which half comes first. */
static int
send_halves(SSL *ssl, struct link *l)
{
	BIO *mem = BIO_new(BIO_s_mem());
	char record[256];
	int n;

	if (SSL_connect(ssl) != 1)
		return 1;
	SSL_set0_wbio(ssl, mem);
	SSL_write(ssl, "a NOOP\r\nb NOOP\r\n", 16);
	n = BIO_read(mem, record, sizeof(record));
	if (n < 16 || write(l->client, record, (size_t)n / 2) != n / 2)
		return 2;
	say(l->hear);
	hear(l->hear);
	if (write(l->client, record + n / 2, (size_t)(n - n / 2)) != n - n / 2)
		return 3;
	say(l->hear);
	hear(l->hear);
	return 0;
}

static void
test_pending(void)
{
	struct link *l = &link_;
	char first[4] = "";

	begin(l, TLS1_3_VERSION, send_halves);
	hear(l->tell);
	world.hurry = true;
	CHECK("half a record wakes nobody", io_wait(&l->io, -1,
	    io_now() + 5000) == IO_TIMEOUT);
	CHECK("nor is it ready", !io_ready(&l->io));
	world.hurry = false;
	say(l->tell);
	hear(l->tell);
	CHECK("a whole one is", io_wait(&l->io, -1, io_now() + 60000) == 0 &&
	    io_ready(&l->io));
	CHECK("both commands come at once", io_peek(&l->io) == 'a' &&
	    l->io.in_n == 16);
	say(l->tell);
	CHECK("and were sent", went_well(l->pid));
	disconnect(l);

	begin(l, TLS1_2_VERSION, send_halves);
	hear(l->tell);
	say(l->tell);
	hear(l->tell);
	CHECK("some of a record", l->io.seam->read(&l->io, first, 3) == 3 &&
	    memcmp(first, "a N", 3) == 0);
	CHECK("the rest needs no descriptor", l->io.seam->pending(&l->io));
	world.hurry = true;
	CHECK("it wakes", io_wait(&l->io, -1, io_now() + 5000) == 0);
	CHECK("it is ready", io_ready(&l->io) && l->io.in_n == 13);
	l->io.in_at = l->io.in_n;
	say(l->tell);
	CHECK("and was sent", went_well(l->pid));
	disconnect(l);
}

/* A seam of which the descriptor shows nothing. */
static ssize_t
fake_read(struct io *io, char *p, size_t n)
{
	unsigned *left = io->inner;

	if (*left == 0 || n == 0) {
		errno = EAGAIN;
		return -1;
	}
	(*left)--;
	*p = 'x';
	return 1;
}

static ssize_t
fake_write(struct io *io, const char *p, size_t n)
{
	unsigned *left = io->inner;

	(void)p;
	/* Only when something comes in can it go on. */
	if (*left < 10) {
		*left = 10;
		io->turned = true;
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)n;
}

static bool
fake_pending(const struct io *io)
{
	return *(const unsigned *)io->inner > 0;
}

static void
test_seam(void)
{
	static const struct io_seam fake = { fake_read, fake_write,
	    fake_pending };
	struct link *l = &link_;
	unsigned left = 2;

	connect_ends(l);
	l->io.seam = &fake;
	l->io.inner = &left;
	io_deadline(&l->io, 60);
	world.hurry = true;
	CHECK("what is pending needs no wait", io_fill(&l->io) == 0 &&
	    l->io.in_n == 1 && world.skew == 0);
	l->io.in_at = l->io.in_n;
	CHECK("neither here", io_wait(&l->io, -1, io_now() + 1000) == 0);
	CHECK("nor here", io_fill(&l->io) == 0 && world.skew == 0);
	l->io.in_at = l->io.in_n;
	CHECK("what is not, does", io_fill(&l->io) == IO_TIMEOUT &&
	    world.skew >= 60000);
	disconnect((l->io.inner = NULL, l));

	connect_ends(l);
	left = 0;
	l->io.seam = &fake;
	l->io.inner = &left;
	io_write(&l->io, STR("x"));
	/* The descriptor could be written to at once, but is not waited for. */
	world.hurry = true;
	io_flush(&l->io);
	CHECK("a write may have to wait for input", l->io.gone &&
	    world.skew >= COMMAND_TIMEOUT * 1000);
	disconnect((l->io.inner = NULL, l));
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
test_full_close(void)
{
	static const char zeros[16384];
	struct link *l = &link_;

	begin(l, TLS1_3_VERSION, read_nothing);
	while (l->io.seam->write(&l->io, zeros, sizeof(zeros)) > 0)
		;
	world.hurry = true;
	tls_close(&l->io);
	CHECK("the end waits a little for who does not read",
	    world.skew / 1000 >= TLS_END_TIMEOUT &&
	    world.skew / 1000 <= TLS_END_TIMEOUT + 2);
	CHECK("then nothing goes out in the clear", l->io.gone &&
	    l->io.ended == IO_EOF);
	say(l->tell);
	went_well(l->pid);
	disconnect(l);
}

/* --- The relay. --- */

/* Sends what is left of RELAYED bytes, as many as go now. */
struct flow {
	size_t sent, got;
	size_t to_send, to_get;
	size_t slow;		/* single bytes are read before this one */
	bool wrong;
};

static bool
flow_check(struct flow *f, const char *p, ssize_t n)
{
	ssize_t i;

	for (i = 0; i < n; i++)
		f->wrong |= p[i] != pattern(f->got + (size_t)i);
	f->got += n > 0 ? (size_t)n : 0;
	return !f->wrong;
}

static size_t
flow_next(const struct flow *f, char *p, size_t room)
{
	size_t i, n = f->to_send - f->sent;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++)
		p[i] = pattern(f->sent + i);
	return n;
}

/* One side of a session; ssl NULL: the session's own, in the clear. */
static int
flow_run(struct flow *f, SSL *ssl, int fd)
{
	char buf[20000];
	struct pollfd pfd = { .fd = fd };
	ssize_t put, got;
	size_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (ssl != NULL)
		SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
		    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (f->sent < f->to_send || f->got < f->to_get) {
		n = flow_next(f, buf, sizeof(buf));
		put = n == 0 ? 0 : ssl != NULL ? SSL_write(ssl, buf, (int)n) :
		    send(fd, buf, n, MSG_NOSIGNAL);
		f->sent += put > 0 ? (size_t)put : 0;
		n = f->got == f->to_get ? 0 : f->got < f->slow ? 1 :
		    sizeof(buf);
		got = n == 0 ? -1 : ssl != NULL ? SSL_read(ssl, buf, (int)n) :
		    recv(fd, buf, n, 0);
		if (!flow_check(f, buf, got))
			return 10;
		if (got == 0)
			return 11;
		pfd.events = (short)((f->got < f->to_get ? POLLIN : 0) |
		    (f->sent < f->to_send ? POLLOUT : 0));
		if (got < 0 && put <= 0 && pfd.events != 0 &&
		    poll(&pfd, 1, -1) < 0)
			return 12;
	}
	fcntl(fd, F_SETFL, 0);
	return 0;
}

static struct flow client_flow, session_flow;

/* The session's side of a relay, as a process. */
static pid_t
start_session(struct link *l, int *fd, int (*talk)(int fd, struct link *l))
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		abort();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(&world, 0, sizeof(world));
		world.client = world.session = -1;
		close(l->server);
		close(l->tell);
		close(ends[0]);
		_exit(talk(ends[1], l));
	}
	close(ends[1]);
	*fd = ends[0];
	world.session = *fd;
	world.client = l->server;
	world.up = world.up_most = world.down = world.down_most = 0;
	world.idle = world.idle_most = 0;
	world.counting = true;
	return pid;
}

static int
flow_client(SSL *ssl, struct link *l)
{
	int r;

	if (SSL_connect(ssl) != 1)
		return 1;
	r = flow_run(&client_flow, ssl, l->client);
	if (r != 0)
		return r;
	/* Now the session may end. */
	if (SSL_shutdown(ssl) < 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
flow_session(int fd, struct link *l)
{
	int r = flow_run(&session_flow, NULL, fd);
	char c;

	(void)l;
	if (r != 0)
		return r;
	return recv(fd, &c, 1, 0) == 0 ? 0 : 20;
}

static size_t
memory(void)
{
	long pages = 0, own = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%ld %ld", &pages, &own) != 2)
		own = 0;
	if (f != NULL)
		fclose(f);
	return (size_t)own * 4096;
}

static void
test_flow(const char *what, struct flow client, struct flow session,
    int version)
{
	struct link *l = &link_;
	size_t before;
	pid_t pid;
	int fd;

	client_flow = client;
	session_flow = session;
	begin(l, version, flow_client);
	pid = start_session(l, &fd, flow_session);
	before = memory();
	CHECK(what, tls_relay(&l->io, fd) == 0);
	close(fd);
	CHECK("the client has all of it", went_well(l->pid));
	CHECK("the session has all of it", went_well(pid));
	CHECK("one buffer is held each way, and a record",
	    world.up_most < 3 * 16384 && world.down_most < 3 * 16384);
	CHECK("no wait is in vain", world.idle_most <= 2);
#ifndef __SANITIZE_ADDRESS__
	CHECK("memory does not grow", memory() < before + MEGA);
#else
	(void)before;
#endif
	disconnect(l);
}

/* Ends of one side while the other has more to say. */
static int
leave_at_once(int fd, struct link *l)
{
	char c;

	(void)l;
	session_flow = (struct flow){ .to_send = 300000 };
	if (flow_run(&session_flow, NULL, fd) != 0)
		return 1;
	shutdown(fd, SHUT_WR);
	/* The client's command is not waited for, but taken. */
	while (recv(fd, &c, 1, 0) > 0)
		;
	return 0;
}

static int
hear_rest(SSL *ssl, struct link *l)
{
	client_flow = (struct flow){ .to_get = 300000, .slow = 100 };
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, "x", 1) != 1)
		return 1;
	if (flow_run(&client_flow, ssl, l->client) != 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
close_first(SSL *ssl, struct link *l)
{
	client_flow = (struct flow){ .to_get = 300000 };
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, "x", 1) != 1 ||
	    SSL_shutdown(ssl) != 0)
		return 1;
	if (flow_run(&client_flow, ssl, l->client) != 0)
		return 2;
	return ended_well(ssl) ? 0 : 3;
}

static int
answer_the_end(int fd, struct link *l)
{
	char c[2];

	(void)l;
	if (recv(fd, c, 2, 0) != 1 || recv(fd, c, 1, 0) != 0)
		return 1;
	session_flow = (struct flow){ .to_send = 300000 };
	return flow_run(&session_flow, NULL, fd);
}

static int
vanish(SSL *ssl, struct link *l)
{
	(void)l;
	return SSL_connect(ssl) != 1;
}

/* Says ten megabytes to nobody, and hears that nobody is there. */
static int
talk_to_nobody(int fd, struct link *l)
{
	char c;

	(void)l;
	if (recv(fd, &c, 1, 0) != 0)
		return 1;
	session_flow = (struct flow){ .to_send = RELAYED };
	fcntl(fd, F_SETFL, 0);
	while (session_flow.sent < RELAYED) {
		static char zeros[20000];
		ssize_t n = send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);

		if (n <= 0)
			return 2;
		session_flow.sent += (size_t)n;
	}
	return 0;
}

/* What fits into the way to the relay, and not into that to the client. */
static int
say_and_go(int fd, struct link *l)
{
	session_flow = (struct flow){ .to_send = 100000 };
	(void)l;
	return flow_run(&session_flow, NULL, fd);
}

static int
wait_for_end(int fd, struct link *l)
{
	char c;

	(void)l;
	return recv(fd, &c, 1, 0) == 0 ? 0 : 1;
}

static void
test_ends(const char *what, int (*client)(SSL *, struct link *),
    int (*session)(int, struct link *), int want, bool hurry)
{
	struct link *l = &link_;
	pid_t pid;
	int fd, r, small = 4096;

	begin(l, TLS1_3_VERSION, client);
	setsockopt(l->server, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	pid = start_session(l, &fd, session);
	world.hurry = hurry;
	if (want == IO_SIGNAL)
		stop = 1;
	r = tls_relay(&l->io, fd);
	if (!CHECK(what, r == want))
		printf("# it returned %d\n", r);
	close(fd);
	if (hurry)
		CHECK("after ten seconds", world.skew / 1000 >=
		    TLS_END_TIMEOUT && world.skew / 1000 <=
		    TLS_END_TIMEOUT + 2);
	CHECK("it is the end of TLS", l->io.gone && l->io.inner == NULL);
	if (client == read_nothing)
		say(l->tell);
	CHECK("the client agrees", went_well(l->pid));
	CHECK("so does the session", went_well(pid));
	disconnect(l);
}

static void
test_relay(void)
{
	struct flow all = { .to_send = RELAYED, .to_get = RELAYED };
	struct flow slow = { .to_send = RELAYED, .to_get = RELAYED,
	    .slow = 200000 };

	test_flow("ten megabytes each way", all, all, TLS1_3_VERSION);
	test_flow("also with TLS 1.2", all, all, TLS1_2_VERSION);
	test_flow("a session that is slow to read", all, slow,
	    TLS1_3_VERSION);
	test_flow("a client that is slow to read", slow, all,
	    TLS1_3_VERSION);
	test_ends("a session that ends is heard to the end", hear_rest,
	    leave_at_once, 0, false);
	test_ends("a client that ends hears the answer", close_first,
	    answer_the_end, 0, false);
	test_ends("to one who is gone nothing is said, but all is taken",
	    vanish, talk_to_nobody, 0, false);
	test_ends("one who does not read the end does not keep us",
	    read_nothing, say_and_go, IO_TIMEOUT, true);
	test_ends("a signal ends a relay", only_shake_hands, wait_for_end,
	    IO_SIGNAL, false);
}

/* --- STARTTLS. --- */

static const struct options options = { .login_timeout = 180,
    .idle_timeout = 1800 };

static enum ending
serve(struct link *l, struct tls_keys *k)
{
	static struct session s;
	enum ending end;

	memset(&s, 0, sizeof(s));
	memcpy(&s.io, &l->io, sizeof(s.io));
	s.reply.io = &s.io;
	s.pool = pool_new();
	s.state = STATE_NOT_AUTH;
	s.options = &options;
	s.host = "host";
	s.peer = "[192.0.2.7]";
	s.tls = k;
	end = session_run(&s);
	tls_close(&s.io);
	pool_free(s.pool);
	return end;
}

/* What the other side hears of a session in the clear. */
static enum ending
serve_text(const char *text, struct tls_keys *k, size_t first, char *heard,
    size_t room)
{
	struct link *l = &link_;
	struct str s = str_c(text);
	enum ending end;
	ssize_t n;

	connect_ends(l);
	if (write(l->client, s.p, s.n) != (ssize_t)s.n)
		abort();
	shutdown(l->client, SHUT_WR);
	world.first_read = first;
	end = serve(l, k);
	n = recv(l->client, heard, room - 1, MSG_DONTWAIT);
	heard[n > 0 ? n : 0] = '\0';
	disconnect(l);
	return end;
}

static void
test_injection(void)
{
	static const char text[] = "a STARTTLS\r\nb NOOP\r\nc LOGOUT\r\n";
	enum { LINE = 12 };
	char heard[4096];
	enum ending end;
	unsigned fine = 0;
	size_t k;

	for (k = 1; k < sizeof(text); k++) {
		end = serve_text(text, keys, k, heard, sizeof(heard));
		/* With the line alone there is an OK, and what comes then is
		 * no handshake. */
		if (strstr(heard, "\r\nb ") == NULL &&
		    strstr(heard, "\r\nc ") == NULL &&
		    (strstr(heard, "\r\na BAD ") != NULL ?
		    end == ENDING_INJECTED &&
		    strstr(heard, "\r\n* BYE ") != NULL :
		    k <= LINE && end == ENDING_NO_TLS &&
		    strstr(heard, "\r\na OK ") != NULL))
			fine++;
		else
			printf("# at %zu: %d <%s>\n", k, end, heard);
	}
	CHECK("what stands behind STARTTLS is never run, however it comes",
	    fine == sizeof(text) - 1);
	end = serve_text("a STARTTLS\r\n", keys, 0, heard, sizeof(heard));
	CHECK("a client that leaves instead", end == ENDING_NO_TLS);
	CHECK("it was offered", strstr(heard, " STARTTLS ") != NULL);
}

static void
test_refusals(void)
{
	char heard[4096];
	enum ending end;

	end = serve_text("a STARTTLS\r\nb LOGOUT\r\n", NULL, 0, heard,
	    sizeof(heard));
	CHECK("without a certificate it is not there",
	    strstr(heard, "\r\na NO ") != NULL);
	CHECK("nor offered", strstr(heard, "* OK ") == heard &&
	    strstr(heard, " STARTTLS ") == strstr(heard, " STARTTLS is"));
	CHECK("and the session goes on", end == ENDING_LOGOUT);
	end = serve_text("a STARTTLS x\r\nb LOGOUT\r\n", keys, 0, heard,
	    sizeof(heard));
	CHECK("it takes no argument", end == ENDING_LOGOUT &&
	    strstr(heard, "\r\na BAD ") != NULL);
	end = serve_text("a BAD\r\nb BAD\r\nc STARTTLS\r\n", keys, 0, heard,
	    sizeof(heard));
	CHECK("it may come late", strstr(heard, "\r\nc OK ") != NULL);
}

/* Sends a line, and reads until the answer to it. */
static bool
command(SSL *ssl, const char *line, const char *answer, char *heard,
    size_t room)
{
	struct str s = str_c(line);
	size_t n = 0;
	int got;

	if (SSL_write(ssl, s.p, (int)s.n) != (int)s.n)
		return false;
	do {
		got = SSL_read(ssl, heard + n, (int)(room - n - 1));
		if (got <= 0)
			return false;
		n += (size_t)got;
		heard[n] = '\0';
	} while (strstr(heard, answer) == NULL && n < room - 1);
	return strstr(heard, answer) != NULL;
}

static bool
until_line(int fd, const char *word)
{
	char line[1024];
	size_t n = 0;

	do {
		if (n == sizeof(line) - 1 ||
		    syscall(SYS_read, fd, line + n, 1) != 1)
			return false;
	} while (line[n++] != '\n');
	line[n] = '\0';
	return strstr(line, word) != NULL;
}

static int
use_starttls(SSL *ssl, struct link *l)
{
	char heard[4096];

	if (!until_line(l->client, " STARTTLS LOGINDISABLED] "))
		return 1;
	if (write(l->client, "x BAD\r\n", 7) != 7 ||
	    !until_line(l->client, "x BAD "))
		return 2;
	if (write(l->client, "a STARTTLS\r\n", 12) != 12 ||
	    !until_line(l->client, "a OK Begin TLS negotiation now\r\n"))
		return 3;
	if (SSL_connect(ssl) != 1)
		return 4;
	if (!command(ssl, "b CAPABILITY\r\n", "b OK ", heard, 4096) ||
	    strstr(heard, " SASL-IR AUTH=PLAIN AUTH=LOGIN") == NULL ||
	    strstr(heard, "STARTTLS") != NULL ||
	    strstr(heard, "LOGINDISABLED") != NULL)
		return 5;
	if (!command(ssl, "c STARTTLS\r\n", "c BAD TLS is on", heard, 4096))
		return 6;
	if (!command(ssl, "d LOGOUT\r\n", "d OK ", heard, 4096))
		return 7;
	return ended_well(ssl) ? 0 : 8;
}

/* Three in a row are too many, TLS or not. */
static int
be_bad(SSL *ssl, struct link *l)
{
	char heard[4096];

	if (!until_line(l->client, " STARTTLS ") ||
	    write(l->client, "x BAD\r\ny BAD\r\n", 14) != 14 ||
	    !until_line(l->client, "x BAD ") ||
	    !until_line(l->client, "y BAD ") ||
	    write(l->client, "a STARTTLS\r\n", 12) != 12 ||
	    !until_line(l->client, "a OK ") || SSL_connect(ssl) != 1)
		return 1;
	return command(ssl, "z BAD\r\n", "* BYE ", heard, 4096) ? 0 : 2;
}

static void
test_starttls(void)
{
	struct link *l = &link_;
	enum ending end;

	connect_ends(l);
	start(l, TLS1_3_VERSION, use_starttls);
	end = serve(l, keys);
	CHECK("STARTTLS", end == ENDING_LOGOUT);
	CHECK("and what is offered then", went_well(l->pid));
	disconnect(l);
	connect_ends(l);
	start(l, TLS1_2_VERSION, be_bad);
	end = serve(l, keys);
	CHECK("what was counted before is not forgotten",
	    end == ENDING_REFUSED);
	CHECK("and the client hears it", went_well(l->pid));
	disconnect(l);
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

int
main(void)
{
	struct why why = { .text = "" };

	signal(SIGPIPE, SIG_IGN);
	/* A test that hangs is a test that fails. */
	alarm(300);
	world.client = world.session = -1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mkdtemp(dir) == NULL)
		return 2;
	/* As the program: without the host's configuration. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	make_files();
	CHECK("there is a library", tls_library() != NULL);
	test_keys();
	keys = tls_load(at("cert"), at("key"), &why);
	if (!CHECK("a certificate and its key", keys != NULL)) {
		printf("# %s\n", why.text);
		return unit_end();
	}
	test_version(TLS1_2_VERSION, "TLSv1.2");
	test_version(TLS1_3_VERSION, "TLSv1.3");
	test_old_version();
	test_choices();
	/* From here on no file is there to be read any more. */
	clean_up();
	test_stalls();
	test_echo(TLS1_2_VERSION, "bytes both ways, TLS 1.2", false);
	test_echo(TLS1_3_VERSION, "bytes both ways, TLS 1.3", false);
	test_echo(TLS1_2_VERSION, "byte by byte, TLS 1.2", true);
	test_echo(TLS1_3_VERSION, "byte by byte, TLS 1.3", true);
	test_much();
	test_nonsense();
	test_pending();
	test_seam();
	test_full_close();
	test_relay();
	test_injection();
	test_refusals();
	test_starttls();
	tls_free(keys);
	return unit_end();
}

#endif
