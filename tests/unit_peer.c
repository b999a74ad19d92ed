/*
 * unit_peer.c - whose connection it is: IPv4, IPv6, IPv4 through a socket of
 * IPv6, this host by its own address, and what is no internet socket.
 */
#include "unit.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/peer.h"

/* A connection to `to`, on a port that is free; the accepted end, or -1
 * where this host has no such address. */
static int
connection(struct sockaddr *to, socklen_t n, int listen_family, int *client)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr *at = to;
	socklen_t at_n = n;
	int fd, off = 0, s = -1;

	*client = -1;
	fd = socket(listen_family, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	if (listen_family != to->sa_family) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		at = (struct sockaddr *)&any;
		at_n = sizeof(any);
	}
	if (bind(fd, at, at_n) != 0 || listen(fd, 1) != 0 ||
	    getsockname(fd, at, &at_n) != 0)
		goto out;
	if (at != to)
		((struct sockaddr_in *)to)->sin_port = any.sin6_port;
	*client = socket(to->sa_family, SOCK_STREAM, 0);
	if (*client >= 0 && connect(*client, to, n) == 0)
		s = accept(fd, NULL, NULL);
out:
	close(fd);
	return s;
}

static bool
is(struct sockaddr *to, socklen_t n, int listen_family, const char *address,
    const char *host)
{
	struct peer peer;
	int client, s = connection(to, n, listen_family, &client);
	bool good = s >= 0;

	if (good) {
		peer_find(&peer, s);
		good = peer.internet && peer.here &&
		    strcmp(peer.address, address) == 0 &&
		    strcmp(peer.host, host) == 0;
		close(s);
	}
	if (client >= 0)
		close(client);
	return good;
}

static struct sockaddr_in
v4(uint32_t address)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(address) };
}

static void
check_loopback(void)
{
	struct sockaddr_in a = v4(INADDR_LOOPBACK), b = v4(INADDR_LOOPBACK);
	struct sockaddr_in6 c = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 probe = c;
	bool six = fd >= 0 &&
	    bind(fd, (struct sockaddr *)&probe, sizeof(probe)) == 0;

	if (fd >= 0)
		close(fd);
	CHECK("an IPv4 client", is((struct sockaddr *)&a, sizeof(a), AF_INET,
	    "127.0.0.1", "[127.0.0.1]"));
	/* Without IPv6 on this host there is nothing to see. */
	CHECK("an IPv4 client of an IPv6 socket has its IPv4 address",
	    !six || is((struct sockaddr *)&b, sizeof(b), AF_INET6,
	    "127.0.0.1", "[127.0.0.1]"));
	CHECK("an IPv6 client", !six || is((struct sockaddr *)&c, sizeof(c),
	    AF_INET6, "::1", "[::1]"));
}

/* Connections to one's own address do not leave the host. */
static void
check_own_address(void)
{
	struct ifaddrs *list = NULL, *i;
	struct sockaddr_in a;
	char text[INET_ADDRSTRLEN], host[INET_ADDRSTRLEN + 2];
	bool good = true;

	if (getifaddrs(&list) != 0)
		list = NULL;
	for (i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) ||
		    i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&a, i->ifa_addr, sizeof(a));
		inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text));
		snprintf(host, sizeof(host), "[%s]", text);
		good &= is((struct sockaddr *)&a, sizeof(a), AF_INET, text,
		    host);
	}
	freeifaddrs(list);
	CHECK("an own address of this host is this host", good);
}

static void
check_no_internet(void)
{
	struct peer peer;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		abort();
	peer_find(&peer, fds[0]);
	CHECK("a local socket is no internet socket", !peer.internet &&
	    !peer.here && peer.address[0] == '\0' &&
	    strcmp(peer.host, "UNKNOWN") == 0);
	close(fds[0]);
	close(fds[1]);
	if (pipe(fds) != 0)
		abort();
	peer_find(&peer, fds[0]);
	CHECK("nor is a pipe", !peer.internet &&
	    strcmp(peer.host, "UNKNOWN") == 0);
	close(fds[0]);
	close(fds[1]);
}

/* Nobody to trust: the password would go to whom? */
static void
check_gone(void)
{
	struct sockaddr_in a = v4(INADDR_LOOPBACK);
	struct linger hard = { 1, 0 };
	struct peer peer;
	int client;
	int s = connection((struct sockaddr *)&a, sizeof(a), AF_INET,
	    &client);

	if (s < 0)
		abort();
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	while (recv(s, &peer, 1, 0) > 0)
		;
	peer_find(&peer, s);
	CHECK("who has hung up is not of this host", peer.internet &&
	    !peer.here && strcmp(peer.host, "UNKNOWN") == 0);
	close(s);
}

int
main(void)
{
	check_loopback();
	check_own_address();
	check_no_internet();
	check_gone();
	return unit_end();
}
