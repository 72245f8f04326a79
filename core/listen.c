/* Listening sockets; see core/listen.h. */
#include "core/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"

#define LISTEN_BACKLOG 4096

/* Splits 'address' into host (NULL: every address) and port. */
static int
listen_split(const char *address, char *host, size_t host_cap, const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;

	if (colon == NULL || colon[1] == '\0' || len >= host_cap)
		return SQ_EINVAL;
	*port = colon + 1;
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	} else if (memchr(address, ':', len) != NULL) {
		return SQ_EINVAL;
	}
	memcpy(host, address, len);
	host[len] = '\0';
	return SQ_OK;
}

/* A bound socket, or -1 with errno. */
static int
listen_bind(const struct addrinfo *ai, unsigned port, bool share)
{
	struct sockaddr_storage ss = {0};
	int one = 1, saved;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
	if (ss.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&ss)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)(void *)&ss)->sin6_port = htons((uint16_t)port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&ss, ai->ai_addrlen) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static unsigned
listen_port(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof ss;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return 0;
	return ss.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port)
				       : ntohs(((struct sockaddr_in6 *)(void *)&ss)->sin6_port);
}

/* Binds address 'i' for every set.  A first bind without sharing finds another
 * program on the port, which a shared bind would silently join. */
static int
listen_address(struct sq_listen *l, const struct addrinfo *ai, unsigned i)
{
	int probe = listen_bind(ai, l->port, false);

	if (probe < 0)
		return SQ_EIO;
	if (l->port == 0)
		l->port = listen_port(probe);
	if (l->sets == 1) {
		l->fds[i] = probe;
		return listen(probe, LISTEN_BACKLOG) == 0 ? SQ_OK : SQ_EIO;
	}
	close(probe);
	for (unsigned set = 0; set < l->sets; set++) {
		int fd = listen_bind(ai, l->port, true);

		l->fds[set * SQ_LISTEN_ADDRS + i] = fd;
		if (fd < 0 || listen(fd, LISTEN_BACKLOG) != 0)
			return SQ_EIO;
	}
	return SQ_OK;
}

/* Whether the last error says that this machine lacks the address's family: a
 * host without IPv6 may still resolve names to it. */
static bool
listen_lacks(const struct addrinfo *ai)
{
	return errno == EAFNOSUPPORT || (errno == EADDRNOTAVAIL && ai->ai_family == AF_INET6);
}

static int
listen_all(struct sq_listen *l, const struct addrinfo *list)
{
	int err;

	for (const struct addrinfo *ai = list; ai != NULL && l->n < SQ_LISTEN_ADDRS;
	     ai = ai->ai_next) {
		err = listen_address(l, ai, l->n);
		if (err == SQ_OK)
			l->n++;
		else if (!listen_lacks(ai))
			return err;
	}
	return l->n > 0 ? SQ_OK : SQ_ENOTFOUND;
}

/* The addresses that 'address' names; the caller frees the list. */
static int
listen_resolve(const char *key, const char *address, struct addrinfo **list, unsigned *port_out,
    struct sq_buf *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	char host[256], *end;
	const char *port;
	unsigned long number;
	int rc;

	if (listen_split(address, host, sizeof host, &port) != SQ_OK || *port < '0' ||
	    *port > '9' || (number = strtoul(port, &end, 10)) > 65535 || *end != '\0') {
		sq_buf_printf(err, "%s: %s: not of the form host:port, [v6]:port, *:port or :port",
		    key, address);
		return SQ_EINVAL;
	}
	*port_out = (unsigned)number;
	rc = getaddrinfo(
	    host[0] == '\0' || strcmp(host, "*") == 0 ? NULL : host, "0", &hints, list);
	if (rc == 0)
		return SQ_OK;
	sq_buf_printf(
	    err, "%s: %s: %s", key, address, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	return SQ_EINVAL;
}

int
sq_listen_open(
    struct sq_listen *l, const char *key, const char *address, unsigned sets, struct sq_buf *err)
{
	struct addrinfo *list;
	int rc;

	*l = (struct sq_listen){.sets = sets};
	rc = listen_resolve(key, address, &list, &l->port, err);
	if (rc != SQ_OK)
		return rc;
	l->fds = sq_xmalloc(sets * SQ_LISTEN_ADDRS * sizeof *l->fds);
	for (unsigned i = 0; i < sets * SQ_LISTEN_ADDRS; i++)
		l->fds[i] = -1;
	rc = listen_all(l, list);
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s: %s", key, address, strerror(errno));
	freeaddrinfo(list);
	if (rc != SQ_OK)
		sq_listen_close(l);
	return rc;
}

void
sq_listen_close(struct sq_listen *l)
{
	for (unsigned i = 0; l->fds != NULL && i < l->sets * SQ_LISTEN_ADDRS; i++)
		if (l->fds[i] >= 0)
			close(l->fds[i]);
	free(l->fds);
	*l = (struct sq_listen){0};
}

static bool
listen_is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int
sq_listen_check(
    const char *key, const char *address, struct sq_listen_found *found, struct sq_buf *err)
{
	struct addrinfo *list;
	unsigned port;
	int rc, fd;

	*found = (struct sq_listen_found){0};
	rc = listen_resolve(key, address, &list, &port, err);
	if (rc != SQ_OK)
		return rc;
	rc = SQ_ENOTFOUND;
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		found->beyond = found->beyond || !listen_is_loopback(ai->ai_addr);
		fd = listen_bind(ai, port, false);
		if (fd >= 0)
			close(fd);
		else if (errno == EADDRINUSE)
			found->in_use = true;
		else if (listen_lacks(ai))
			continue;
		else
			rc = SQ_EIO;
		if (rc == SQ_EIO)
			break;
		rc = SQ_OK;
	}
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s: %s", key, address, strerror(errno));
	freeaddrinfo(list);
	return rc;
}
