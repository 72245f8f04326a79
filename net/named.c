/* See net/named.h. */
#include "net/named.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/h2/answer.h"

enum { NAMED_AGE_MS = 3000 /* a lookup this young is not repeated */ };

/* A peer with texts of its own, as the name may be another by its end. */
struct named_peer {
	struct sq_peer peer; /* first: sq_peer_unref() frees it */
	char host[SQ_HOST_MAX + 1], authority[SQ_WHERE_ADDRESS];
};

struct sq_named {
	struct ev_loop *loop;
	struct sq_resolver *resolver; /* NULL before the first lookup */
	void (*changed)(void *owner);
	void *owner;
	char address[SQ_WHERE_ADDRESS], host[SQ_HOST_MAX + 1];
	uint16_t port;
	struct sq_list peers;      /* struct sq_peer, those that are gone among them */
	bool numeric, busy, again; /* again: the lookup under way is of another host */
	uint64_t asked_ms;         /* 0: never */
};

static void
named_add(struct sq_named *n, const struct sq_addr *addr)
{
	struct named_peer *p;

	SQ_LIST_FOR_EACH(it, &n->peers, struct sq_peer, node)
		if (sq_addr_equal(&it->addr, addr) && strcmp(it->authority, n->address) == 0) {
			it->gone = false;
			return;
		}
	p = sq_xcalloc(1, sizeof *p);
	(void)snprintf(p->host, sizeof p->host, "%s", n->host);
	(void)snprintf(p->authority, sizeof p->authority, "%s", n->address);
	p->peer.addr = *addr;
	p->peer.host = p->host;
	p->peer.authority = p->authority;
	sq_addr_text(addr, p->peer.text);
	sq_list_push_back(&n->peers, &p->peer.node);
}

/* The name leads to these addresses from now on. */
static void
named_replace(struct sq_named *n, const struct sq_addr *addrs, size_t count)
{
	SQ_LIST_FOR_EACH(p, &n->peers, struct sq_peer, node)
		p->gone = true;
	for (size_t i = 0; i < count; i++)
		named_add(n, &addrs[i]);
	SQ_LIST_FOR_EACH_SAFE(p, &n->peers, struct sq_peer, node) {
		sq_peer_ref(p); /* those that are gone and unused are freed */
		sq_peer_unref(p);
	}
}

static void
named_on_resolved(
    void *owner, void *tag, const struct sq_addr *addrs, size_t count, const char *error)
{
	struct sq_named *n = owner;

	(void)tag;
	n->busy = false;
	if (n->again) {
		n->again = false;
		n->asked_ms = 0;
		sq_named_refresh(n);
		if (n->busy)
			return;
	} else if (count > 0) {
		named_replace(n, addrs, count);
	} else {
		SQ_WARN("pool", "no address for %s, which a broker has named: %s", n->host, error);
	}
	n->changed(n->owner);
}

struct sq_named *
sq_named_new(struct ev_loop *loop, void (*changed)(void *owner), void *owner)
{
	struct sq_named *n = sq_xcalloc(1, sizeof *n);

	n->loop = loop;
	n->changed = changed;
	n->owner = owner;
	sq_list_init(&n->peers);
	return n;
}

void
sq_named_free(struct sq_named **np)
{
	struct sq_named *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	sq_resolver_free(&n->resolver);
	SQ_LIST_FOR_EACH_SAFE(p, &n->peers, struct sq_peer, node)
		free(p);
	free(n);
}

void
sq_named_set(struct sq_named *n, const char *address)
{
	struct sq_addr addr;
	int rc;

	if (strcmp(n->address, address) == 0)
		return;
	named_replace(n, NULL, 0);
	(void)snprintf(n->address, sizeof n->address, "%s", address);
	n->again = n->busy;
	n->asked_ms = 0;
	n->numeric = false;
	if (n->address[0] == '\0')
		return;
	rc = sq_addr_split(n->address, n->host, &n->port);
	assert(rc == 0);
	n->numeric = sq_addr_numeric(n->host, n->port, &addr) == 0;
	if (n->numeric)
		named_add(n, &addr);
	else
		sq_named_refresh(n);
}

const char *
sq_named_address(const struct sq_named *n)
{
	return n->address;
}

void
sq_named_refresh(struct sq_named *n)
{
	uint64_t now = sq_clock_ms();

	if (n->address[0] == '\0' || n->numeric || n->busy ||
	    (n->asked_ms != 0 && now - n->asked_ms < NAMED_AGE_MS))
		return;
	if (n->resolver == NULL)
		n->resolver = sq_resolver_new(n->loop, named_on_resolved, n);
	n->busy = true;
	n->asked_ms = now;
	sq_resolver_lookup(n->resolver, n->host, n->port, n);
}

bool
sq_named_busy(const struct sq_named *n)
{
	return n->busy;
}

struct sq_peer *
sq_named_peer(const struct sq_named *n)
{
	struct sq_peer *best = NULL;

	SQ_LIST_FOR_EACH(p, &n->peers, struct sq_peer, node)
		if (!p->gone && (best == NULL || p->failures < best->failures))
			best = p;
	return best;
}
