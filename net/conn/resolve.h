/* Addresses of brokers: parsing, and lookups of names by c-ares on the loop.
 *
 * Never blocks.  A numeric address needs no resolver. c-ares is initialized with the first lookup
 * and freed with the last, so that an idle process has none of it, and a changed resolv.conf is
 * read. */
#ifndef SQ_NET_RESOLVE_H
#define SQ_NET_RESOLVE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/err.h"

enum {
	SQ_HOST_MAX = 253, /* bytes of a host name */
	SQ_ADDRS_MAX = 64, /* addresses of a name; further ones are ignored */
	SQ_ADDR_TEXT = 64, /* "[v6]:port" and NUL */
};

struct sq_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* Splits "host:port" or "[v6]:port"; removes the brackets.  SQ_EINVAL. */
int sq_addr_split(const char *text, char host[SQ_HOST_MAX + 1], uint16_t *port) SQ_MUST_CHECK;
/* Fills 'out' from a numeric address; else SQ_EINVAL. */
int sq_addr_numeric(const char *host, uint16_t port, struct sq_addr *out) SQ_MUST_CHECK;
bool sq_addr_equal(const struct sq_addr *, const struct sq_addr *);
/* "10.0.0.7:7443", "[::1]:7443" */
void sq_addr_text(const struct sq_addr *, char out[SQ_ADDR_TEXT]);

struct sq_resolver;

/* Called from the loop, once per lookup.  With n == 0 'error' is the reason; else it is NULL.
 * 'addrs' is valid during the call. */
typedef void
sq_resolved_fn(void *owner, void *tag, const struct sq_addr *addrs, size_t n, const char *error);

struct sq_resolver *sq_resolver_new(struct ev_loop *, sq_resolved_fn *done, void *owner);
/* Frees the resolver; lookups in progress are dropped without a call. */
void sq_resolver_free(struct sq_resolver **);
/* Looks up all addresses of 'host', IPv4 and IPv6; 'tag' is passed to 'done'. */
void sq_resolver_lookup(struct sq_resolver *, const char *host, uint16_t port, void *tag);

#endif
