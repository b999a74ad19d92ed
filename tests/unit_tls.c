/*
 * unit_tls.c - keys, handshakes, and io through TLS. unit_tls.h has the
 * clients; what is built upon it has unit_tls_session.c.
 */
#include "unit.h"
#include "../tls.h"
#include "../lib/await.h"

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

#include "unit_tls.h"

/* --- Keys. --- */

static void
write_text(const char *file, const char *mode, const char *text)
{
	FILE *f = fopen(at(file), mode);

	fputs(text, f);
	fclose(f);
}

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
	struct tls_keys *k = tls_load(at(cert), key == NULL ? NULL : at(key),
	    &why);

	if (!CHECK(what, k == NULL && strstr(why.text, words) != NULL))
		printf("# said: %s\n", why.text);
	if (k != NULL)
		tls_free(k);
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

/* --- Handshakes. --- */

static void
test_version(int version, const char *name)
{
	struct link *l = &link_;
	char what[80];

	snprintf(what, sizeof(what), "a handshake with %s", name);
	if (!CHECK(what, begin(l, version, only_shake_hands)))
		return;
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
	    await_now() + 5000) == IO_TIMEOUT);
	CHECK("nor is it ready", !io_ready(&l->io));
	world.hurry = false;
	say(l->tell);
	hear(l->tell);
	CHECK("a whole one is", io_wait(&l->io, -1, await_now() + 60000) == 0 &&
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
	CHECK("it wakes", io_wait(&l->io, -1, await_now() + 5000) == 0);
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
	CHECK("neither here", io_wait(&l->io, -1, await_now() + 1000) == 0);
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

int
main(void)
{
	struct why why = { .text = "" };

	if (!begin_tests())
		return 2;
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
	tls_free(keys);
	return unit_end();
}

#endif
