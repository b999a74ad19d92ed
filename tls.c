/*
 * tls.c - TLS for one connection; the only file that knows OpenSSL. The
 * library reads no configuration, and nothing at all once the keys are
 * there: the process that speaks TLS has no files. It never touches a
 * descriptor of the client's: io.c reads and writes for it, so that no call
 * of the library ever waits, and deadlines and signals hold in the handshake
 * as elsewhere.
 */
#include "tls.h"

#ifdef WITHOUT_TLS

const char *
tls_library(void)
{
	return NULL;
}

struct tls_keys *
tls_load(const char *cert, const char *key, struct why *why)
{
	(void)cert;
	(void)key;
	why_set(why, E_NOENT, "this program was built without TLS");
	return NULL;
}

void
tls_free(struct tls_keys *keys)
{
	(void)keys;
}

int
tls_accept(struct tls_keys *keys, struct io *io, struct why *why)
{
	(void)keys;
	why_set(why, E_NOENT, "this program was built without TLS");
	io->gone = true;
	return io->ended = IO_FAIL;
}

void
tls_close(struct io *io)
{
	(void)io;
}

int
tls_relay(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	return IO_FAIL;
}

#else

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "lib/await.h"
#include "lib/params.h"

/*
 * For TLS 1.2, ours first: a key of one connection that no later theft of
 * the certificate's key tells (ECDHE), and AES or ChaCha20. The CBC ones are
 * for the mail programs of ten years ago.
 */
static const char ciphers_12[] =
    "kEECDH+AESGCM:kEECDH+CHACHA20:kEECDH+AES:!aNULL";

struct tls_keys {
	SSL_CTX *context;
	BIO_METHOD *method;
};

/* One connection. */
struct tls {
	SSL *ssl;
	bool eof;		/* of the descriptor */
};

const char *
tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

/* The library's words for what failed first, without any of the client's. */
static const char *
library_words(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text != NULL ? text : "unknown failure";
}

static bool
refuse(struct why *why, const char *path, const char *text)
{
	why_set(why, E_PERM, "%s: %s", path, text);
	return false;
}

/* --- The bytes of the connection, for OpenSSL. --- */

static int
bio_read(BIO *bio, char *p, int n)
{
	struct io *io = BIO_get_data(bio);
	struct tls *tls = io->inner;
	ssize_t got = io_raw_read(io, p, (size_t)n);

	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	tls->eof |= got == 0;
	return (int)got;
}

static int
bio_write(BIO *bio, const char *p, int n)
{
	ssize_t put = io_raw_write(BIO_get_data(bio), p, (size_t)n);

	BIO_clear_retry_flags(bio);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)put;
}

/* Nothing is held back here, so a flush is done before it is asked for. */
static long
bio_ctrl(BIO *bio, int what, long n, void *p)
{
	(void)bio;
	(void)n;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *
bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() |
	    BIO_TYPE_SOURCE_SINK, "client");

	if (m != NULL && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* --- Keys. --- */

/* Nobody is there who could be asked for one. */
static int
no_password(char *out, int room, int writing, void *arg)
{
	(void)out;
	(void)room;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *
open_file(const char *path, struct why *why)
{
	BIO *bio;
	unsigned long e;
	int number;

	ERR_clear_error();
	bio = BIO_new_file(path, "r");
	if (bio != NULL)
		return bio;
	e = ERR_peek_error();
	number = ERR_GET_LIB(e) == ERR_LIB_SYS ? ERR_GET_REASON(e) : EIO;
	if (number == ENOENT)
		refuse(why, path, "no such file");
	else
		why_set(why, E_PERM, "%s: can not be read: %s", path,
		    strerror(number));
	return NULL;
}

/* What follows the certificate: those that signed it, up to the end. */
static bool
add_chain(SSL_CTX *context, BIO *bio, const char *path, struct why *why)
{
	X509 *x;

	ERR_clear_error();
	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		if (!SSL_CTX_add0_chain_cert(context, x)) {
			X509_free(x);
			return refuse(why, path, library_words());
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return refuse(why, path, "a certificate in it is damaged");
	return true;
}

/* The library may find it too weak. */
static bool
use_certificate(SSL_CTX *context, X509 *x, const char *path, struct why *why)
{
	ERR_clear_error();
	return SSL_CTX_use_certificate(context, x) == 1 ||
	    refuse(why, path, library_words());
}

/* A chain is that of the certificate that the context had before it. */
static X509 *
load_certificate(SSL_CTX *context, const char *path, struct why *why)
{
	BIO *bio = open_file(path, why);
	X509 *x;

	if (bio == NULL)
		return NULL;
	x = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	if (x == NULL)
		refuse(why, path, "no certificate in it");
	else if (!use_certificate(context, x, path, why) ||
	    !add_chain(context, bio, path, why)) {
		X509_free(x);
		x = NULL;
	}
	BIO_free(bio);
	return x;
}

static EVP_PKEY *
load_key(const char *path, struct why *why)
{
	BIO *bio = open_file(path, why);
	EVP_PKEY *key;

	if (bio == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (key == NULL)
		refuse(why, path,
		    "no key in it that needs no password");
	BIO_free(bio);
	return key;
}

static bool
out_of_date(const char *path, const char *what, const ASN1_TIME *date,
    struct why *why)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(date, &tm))
		return refuse(why, path, "its dates can not be read");
	why_set(why, E_PERM, "%s: %s %04d-%02d-%02d", path, what,
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	return false;
}

/* Every client would refuse it, one by one; better that we do so at once. */
static bool
is_valid_today(const X509 *x, const char *path, struct why *why)
{
	const ASN1_TIME *from = X509_get0_notBefore(x);
	const ASN1_TIME *to = X509_get0_notAfter(x);

	/* Above 0 is in the future, 0 is a date that is none. */
	if (X509_cmp_current_time(to) <= 0)
		return out_of_date(path, "expired on", to, why);
	if (X509_cmp_current_time(from) >= 0)
		return out_of_date(path, "not valid before", from, why);
	return true;
}

static bool
use(SSL_CTX *context, X509 *x, EVP_PKEY *key, const char *cert,
    const char *key_path, struct why *why)
{
	if (!is_valid_today(x, cert, why))
		return false;
	if (X509_check_private_key(x, key) != 1)
		return refuse(why, key_path,
		    "this key does not fit the certificate");
	return SSL_CTX_use_PrivateKey(context, key) == 1 ||
	    refuse(why, key_path, library_words());
}

static bool
load_files(SSL_CTX *context, const char *cert, const char *key,
    struct why *why)
{
	const char *key_path = key != NULL ? key : cert;
	EVP_PKEY *k = NULL;
	X509 *x = load_certificate(context, cert, why);
	bool good;

	if (x != NULL)
		k = load_key(key_path, why);
	good = k != NULL && use(context, x, k, cert, key_path, why);
	EVP_PKEY_free(k);
	X509_free(x);
	return good;
}

/*
 * Without tickets and sessions: this process ends with its connection, and
 * nobody could come back. Renegotiation and compression have been attacks
 * and nothing else.
 */
static bool
set_rules(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* One record, and we look at the clock again. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	/* Who is silent costs no buffers; a write may end in the middle. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE);
	return SSL_CTX_set_num_tickets(context, 0) &&
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
	    SSL_CTX_set_cipher_list(context, ciphers_12);
}

/* What the library would otherwise look up or read when it first needs it. */
static bool
prepare_library(void)
{
	unsigned char byte;

	return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) == 1 &&
	    RAND_bytes(&byte, 1) == 1;
}

struct tls_keys *
tls_load(const char *cert, const char *key, struct why *why)
{
	struct tls_keys *keys;

	if (!prepare_library() ||
	    (keys = OPENSSL_zalloc(sizeof(*keys))) == NULL) {
		why_set(why, E_IO, "OpenSSL does not start");
		return NULL;
	}
	keys->context = SSL_CTX_new(TLS_server_method());
	keys->method = bio_method();
	if (keys->context == NULL || keys->method == NULL ||
	    !set_rules(keys->context))
		why_set(why, E_IO, "OpenSSL: %s", library_words());
	else if (load_files(keys->context, cert, key, why)) {
		ERR_clear_error();
		return keys;
	}
	tls_free(keys);
	return NULL;
}

void
tls_free(struct tls_keys *keys)
{
	SSL_CTX_free(keys->context);
	BIO_meth_free(keys->method);
	OPENSSL_free(keys);
}

/* --- Behind io's buffers. --- */

/*
 * What a call of OpenSSL came to, as read(2) and write(2) say it. The end of
 * the connection without the client's word for it is an end like any other:
 * IMAP's lines and literals tell themselves whether they are whole.
 */
static ssize_t
result(struct io *io, int r, short events)
{
	struct tls *tls = io->inner;
	int e = SSL_get_error(tls->ssl, r);

	if (e == SSL_ERROR_NONE)
		return r;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		io->turned = (e == SSL_ERROR_WANT_READ) != (events == POLLIN);
		errno = EAGAIN;
		return -1;
	}
	if (e == SSL_ERROR_ZERO_RETURN || (tls->eof && events == POLLIN))
		return 0;
	errno = EPROTO;
	return -1;
}

static ssize_t
seam_read(struct io *io, char *p, size_t n)
{
	struct tls *tls = io->inner;

	ERR_clear_error();
	return result(io, SSL_read(tls->ssl, p, n > INT_MAX ? INT_MAX :
	    (int)n), POLLIN);
}

static ssize_t
seam_write(struct io *io, const char *p, size_t n)
{
	struct tls *tls = io->inner;

	ERR_clear_error();
	return result(io, SSL_write(tls->ssl, p, n > INT_MAX ? INT_MAX :
	    (int)n), POLLOUT);
}

static bool
seam_pending(const struct io *io)
{
	const struct tls *tls = io->inner;

	return SSL_pending(tls->ssl) > 0;
}

static const struct io_seam seam = { seam_read, seam_write, seam_pending };

/* --- The handshake, and the end. --- */

static void
tls_drop(struct tls *tls)
{
	SSL_free(tls->ssl);
	OPENSSL_free(tls);
}

static struct tls *
tls_new(const struct tls_keys *keys, struct io *io)
{
	struct tls *tls = OPENSSL_zalloc(sizeof(*tls));
	BIO *bio = BIO_new(keys->method);

	if (tls == NULL || bio == NULL ||
	    (tls->ssl = SSL_new(keys->context)) == NULL) {
		BIO_free(bio);
		OPENSSL_free(tls);
		return NULL;
	}
	BIO_set_data(bio, io);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	return tls;
}

/* Nothing in the clear may follow what has failed. */
static int
failed(struct io *io, int code, struct why *why, const char *text)
{
	why_set(why, E_IO, "%s", text);
	io->gone = true;
	return io->ended = code;
}

static int
failed_handshake(struct io *io, int code, struct why *why)
{
	switch (code) {
	case IO_EOF:
		return failed(io, code, why, "the client left");
	case IO_TIMEOUT:
		return failed(io, code, why, "it took too long");
	case IO_SIGNAL:
		return failed(io, code, why, "stopped by a signal");
	default:
		return failed(io, code, why, library_words());
	}
}

/* 0 or an IO_ code. */
static int
shake_hands(struct io *io, int64_t until)
{
	struct tls *tls = io->inner;
	ssize_t r;
	int code = 0;

	do {
		ERR_clear_error();
		r = result(io, SSL_accept(tls->ssl), POLLIN);
		if (r == 0)
			code = IO_EOF;
		else if (r < 0 && errno == EAGAIN)
			code = io_await_client(io, POLLIN, until);
		else if (r < 0)
			code = IO_FAIL;
	} while (r <= 0 && code == 0);
	return code;
}

int
tls_accept(struct tls_keys *keys, struct io *io, struct why *why)
{
	int64_t until = await_now() + TLS_TIMEOUT * INT64_C(1000);
	struct tls *tls;
	int code;

	io_flush(io);
	if (io->gone || io->ended)
		return failed_handshake(io, IO_EOF, why);
	if (io->in_at < io->in_n)
		return failed(io, IO_FAIL, why, "bytes in the clear before"
		    " the handshake");
	tls = tls_new(keys, io);
	if (tls == NULL)
		return failed_handshake(io, IO_FAIL, why);
	io->inner = tls;
	if (io->deadline != 0 && io->deadline < until)
		until = io->deadline;
	code = shake_hands(io, until);
	if (code == 0) {
		io->seam = &seam;
		return 0;
	}
	failed_handshake(io, code, why);
	io->inner = NULL;
	tls_drop(tls);
	return code;
}

/* The client's own word is not waited for: who has said LOGOUT may hang up
 * on us. */
void
tls_close(struct io *io)
{
	int64_t until = await_now() + TLS_END_TIMEOUT * INT64_C(1000);
	struct tls *tls = io->inner;
	int r;

	if (tls == NULL)
		return;
	while (!io->gone) {
		ERR_clear_error();
		r = SSL_shutdown(tls->ssl);
		if (r >= 0 || result(io, r, POLLOUT) == 0 ||
		    errno != EAGAIN ||
		    io_await_client(io, POLLOUT, until) != 0)
			io->gone = true;
	}
	io->ended = io->ended ? io->ended : IO_EOF;
	io->seam = NULL;
	io->inner = NULL;
	tls_drop(tls);
}

/* --- The relay. --- */

struct relay {
	struct io *io;		/* its input is the buffer on the way to fd */
	int fd;
	bool shut;		/* nothing goes to fd any more */
	bool closing;		/* fd's other end is closed; more may come */
	bool over;		/* nothing comes from fd any more */
	bool turned_in, turned_out;	/* io->turned, of each direction */
	size_t at, n;
	char out[IO_IN_BYTES];	/* on the way to the client */
};

static bool
take_from_client(struct relay *r)
{
	struct io *io = r->io;

	io->turned = false;
	io_ready(io);
	r->turned_in = io->turned;
	return io->in_at < io->in_n;
}

/* Each of the two: has anything moved? */
static bool
to_session(struct relay *r)
{
	struct io *io = r->io;
	ssize_t put;

	if (r->shut)
		return false;
	if (io->in_at == io->in_n && !take_from_client(r)) {
		if (io->ended) {
			shutdown(r->fd, SHUT_WR);
			r->shut = true;
		}
		return false;
	}
	put = send(r->fd, io->in + io->in_at, io->in_n - io->in_at,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put > 0)
		io->in_at += (size_t)put;
	else
		r->shut = errno != EAGAIN && errno != EINTR;
	return put > 0;
}

static bool
take_from_session(struct relay *r)
{
	ssize_t got = recv(r->fd, r->out, sizeof(r->out), MSG_DONTWAIT);

	r->at = r->n = 0;
	if (got > 0)
		r->n = (size_t)got;
	else
		r->over = got == 0 || (errno != EAGAIN && errno != EINTR);
	r->closing |= r->over;
	return got > 0;
}

static bool
to_client(struct relay *r)
{
	struct io *io = r->io;
	ssize_t put;

	if (r->at == r->n && (r->over || !take_from_session(r)))
		return false;
	io->turned = false;
	put = io->gone ? (ssize_t)(r->n - r->at) :
	    seam_write(io, r->out + r->at, r->n - r->at);
	r->turned_out = put < 0 && io->turned;
	if (put > 0)
		r->at += (size_t)put;
	else if (errno != EAGAIN) {
		/* What the session still says is dropped. */
		io->gone = true;
		io->ended = io->ended ? io->ended : IO_FAIL;
	}
	return put > 0 || io->gone;
}

/*
 * A descriptor of which nothing is wanted is left out: one that was hung up
 * would end every wait. When the session is over, even behind bytes that
 * there is no room for yet, the client may take its time only as long as it
 * takes anything.
 */
static int
wait_for_any(struct relay *r)
{
	const struct io *io = r->io;
	bool empty = io->in_at == io->in_n, full = r->at < r->n;
	bool reading = empty && !r->shut && !io->ended;
	bool in = (reading && !r->turned_in) || (full && r->turned_out);
	bool out = (full && !r->turned_out) || (reading && r->turned_in);
	short events = (short)((empty || r->shut ? 0 : POLLOUT) |
	    (full || r->over ? 0 : POLLIN) | (r->closing ? 0 : POLLRDHUP));
	struct pollfd pfd[] = {
		{ .fd = in ? io->rfd : -1, .events = POLLIN },
		{ .fd = out ? io->wfd : -1, .events = POLLOUT },
		{ .fd = events != 0 ? r->fd : -1, .events = events },
	};
	int code;

	code = io_await(r->io, pfd, 3, !r->closing ? 0 :
	    await_now() + TLS_END_TIMEOUT * INT64_C(1000));
	r->closing |= (pfd[2].revents & (POLLRDHUP | POLLHUP)) != 0;
	return code;
}

int
tls_relay(struct io *io, int fd)
{
	struct relay r = { .io = io, .fd = fd };
	bool moved;
	int code = 0;

	io->in_at = io->in_n = 0;
	do {
		moved = to_session(&r);
		moved |= to_client(&r);
		if (io->stop != NULL && *io->stop)
			code = IO_SIGNAL;
		else if (!moved && !(r.over && r.at == r.n))
			code = wait_for_any(&r);
	} while (code == 0 && !(r.over && r.at == r.n));
	/* It has not even taken what stands before. */
	io->gone |= code == IO_TIMEOUT;
	tls_close(io);
	return code;
}

#endif
