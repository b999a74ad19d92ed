/*
 * tls.h - TLS 1.2 and 1.3 for one connection: keys, the handshake, and a
 * relay. tls.c alone knows OpenSSL; above it a connection is a struct io,
 * with TLS or without. Built WITHOUT=tls nothing can be loaded, and the rest
 * is never called.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/io.h"

struct tls_keys;

/* The library by name and version, or NULL: built without it. */
const char	*tls_library(void);

/*
 * Reads certificate, chain and key from PEM files (key NULL: it is in the
 * file of the certificate). They must fit each other, and be valid today.
 * NULL, and why, when they can not be used. All that the library will ever
 * read or look up is read now: what comes later needs no file.
 */
struct tls_keys	*tls_load(const char *cert, const char *key, struct why *why);
void	tls_free(struct tls_keys *keys);

/*
 * Sends what was written in the clear, then shakes hands, until io's deadline
 * at the latest and TLS_TIMEOUT: 0, and from now on all of io goes through
 * TLS, or an IO_ code and why, in our words or the library's; then nothing
 * can be said or read any more. Input that has been taken in before is a
 * failure: it came in the clear.
 */
int	tls_accept(struct tls_keys *keys, struct io *io, struct why *why);
/* Tells the client that this is the end, if that takes no more than
 * TLS_END_TIMEOUT. What was written and not sent is lost. */
void	tls_close(struct io *io);

/*
 * Passes bytes between the client and the stream socket fd, holding no more
 * than two buffers: who does not read is not read for. The end of the
 * client's input is passed on; the end of fd's ends TLS. io's own input and
 * output must have been taken care of. 0 when all of fd's bytes have been
 * sent or the client was gone, else IO_TIMEOUT (it stopped reading) or
 * IO_SIGNAL.
 */
int	tls_relay(struct io *io, int fd);

#endif
