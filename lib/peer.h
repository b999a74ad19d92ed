/*
 * peer.h - who is at the other end of a descriptor, by address. Asks no
 * resolver: names are told by whoever owns the address.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <arpa/inet.h>

struct peer {
	bool internet;		/* by IPv4 or IPv6 */
	bool here;		/* from this host: nobody can listen between */
	char address[INET6_ADDRSTRLEN];	/* "192.0.2.7", or "" */
	char host[INET6_ADDRSTRLEN + 2];	/* "[192.0.2.7]", "UNKNOWN" */
};

/* Looks at a connected descriptor; one that is no socket is a peer, too. */
void	peer_find(struct peer *peer, int fd);

#endif
