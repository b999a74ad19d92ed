/*
 * peer.c - the addresses of both ends of a connection. An IPv4 address inside
 * an IPv6 one (RFC 4291 2.5.5.2) is an IPv4 address here, so that logs and
 * PAM modules see one form whichever socket it came through.
 */
#include "peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Both kinds as 16 bytes, IPv4 mapped. */
static bool
bytes_of(const struct sockaddr_storage *addr, struct in6_addr *out)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET6) {
		*out = v6->sin6_addr;
		return true;
	}
	if (addr->ss_family != AF_INET)
		return false;
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], &v4->sin_addr, 4);
	return true;
}

static bool
loopback(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) ||
	    (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

static void
name(struct peer *peer, const struct in6_addr *a)
{
	const char *text;

	text = IN6_IS_ADDR_V4MAPPED(a) ?
	    inet_ntop(AF_INET, &a->s6_addr[12], peer->address,
	    sizeof(peer->address)) :
	    inet_ntop(AF_INET6, a, peer->address, sizeof(peer->address));
	if (text != NULL)
		snprintf(peer->host, sizeof(peer->host), "[%s]", text);
}

/* A client that is gone already has no address: it is not from here. */
void
peer_find(struct peer *peer, int fd)
{
	struct sockaddr_storage addr;
	struct in6_addr ours, theirs;
	socklen_t n = sizeof(addr);

	*peer = (struct peer){ .host = "UNKNOWN" };
	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, (struct sockaddr *)&addr, &n) != 0 ||
	    !bytes_of(&addr, &ours))
		return;
	peer->internet = true;
	n = sizeof(addr);
	if (getpeername(fd, (struct sockaddr *)&addr, &n) != 0 ||
	    !bytes_of(&addr, &theirs))
		return;
	peer->here = loopback(&theirs) ||
	    memcmp(&ours, &theirs, sizeof(ours)) == 0;
	name(peer, &theirs);
}
