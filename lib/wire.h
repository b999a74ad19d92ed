/*
 * wire.h - what the front and the monitor say to each other: structs of fixed
 * size, one a datagram. There is nothing to be parsed, and all that is said
 * is checked by who hears it: a front that was taken over says what it likes.
 *
 *	front	request (a login)	->	monitor
 *		answer			<-
 *		rest (after a yes)	->
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "login.h"
#include "params.h"
#include "str.h"

/* The command that holds the login. */
enum wire_kind { WIRE_LOGIN, WIRE_PLAIN, WIRE_SASL_LOGIN, WIRE_KINDS };

enum { WIRE_NAME_BYTES = 64 };

/* A name for the log, cut to what is logged of it; any bytes. */
struct wire_name {
	uint32_t n;
	char bytes[WIRE_NAME_BYTES];
};

struct wire_request {
	uint32_t magic;
	uint32_t seq;		/* 1, 2, ... */
	uint32_t kind;		/* enum wire_kind */
	uint32_t tls;		/* 1: what follows comes through TLS */
	uint32_t tag_n;
	char tag[TAG_MAX_BYTES];
	struct wire_name user;
	struct wire_name authz;
	struct login login;
};

struct wire_answer {
	uint32_t magic;
	uint32_t seq;		/* of the request */
	uint32_t answer;	/* enum login_answer */
};

/* What the client has sent behind the command. */
struct wire_rest {
	uint32_t magic;
	uint32_t n;
	char bytes[IO_IN_BYTES];
};

/* Each fills all of the struct, padding included. */
void	wire_request_set(struct wire_request *q, uint32_t seq,
	    enum wire_kind kind, bool tls, struct str tag);
void	wire_name_set(struct wire_name *name, struct str s);
void	wire_answer_set(struct wire_answer *a, uint32_t seq,
	    enum login_answer answer);
void	wire_rest_set(struct wire_rest *r, struct str bytes);

/* Is it what the protocol allows, and nothing else in any byte of it? */
bool	wire_request_ok(const struct wire_request *q, uint32_t seq);
bool	wire_answer_ok(const struct wire_answer *a, uint32_t seq);
bool	wire_rest_ok(const struct wire_rest *r);

/* -1 when the other side is gone. */
int	wire_send(int fd, const void *p, size_t n);
/* Waits for one datagram: 1 when it has n bytes, 0 when the other side is
 * gone, -1 when it has another size. */
int	wire_receive(int fd, void *p, size_t n);

#endif
