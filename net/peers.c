/* Names, addresses and their record; see net/peers.h. */
#include "net/peers.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	PEERS_AGE_MS = 3000,   /* a lookup this young is not repeated */
	PEERS_CALM_MS = 60000, /* a link that lived so long clears the drains */
	PEERS_SHUN_MS = 30000, /* one that asked to move is shunned for so long, */
	PEERS_SHUN = 3,        /* as if it had failed so often */
};

struct peers_name {
	const char *authority; /* the configuration's */
	char host[SQ_HOST_MAX + 1];
	uint16_t port;
	bool numeric, busy;
	uint64_t asked_ms; /* 0: never */
	char why[96];      /* empty: the last lookup was good */
};

struct sq_peers {
	struct sq_resolver *resolver; /* NULL without names */
	void (*changed)(void *owner);
	void *owner;
	struct sq_list all; /* struct sq_peer */
	struct peers_name *names;
	size_t n;
	unsigned busy;
};

static struct sq_peer *
peers_find(const struct sq_peers *ps, const struct sq_addr *addr)
{
	SQ_LIST_FOR_EACH(p, &ps->all, struct sq_peer, node)
		if (sq_addr_equal(&p->addr, addr))
			return p;
	return NULL;
}

static void
peers_add(struct sq_peers *ps, const struct peers_name *name, const struct sq_addr *addr)
{
	struct sq_peer *p = peers_find(ps, addr);

	if (p != NULL) {
		p->gone = false;
		return;
	}
	p = sq_xcalloc(1, sizeof *p);
	p->addr = *addr;
	p->host = name->host;
	p->authority = name->authority;
	sq_addr_text(addr, p->text);
	sq_list_push_back(&ps->all, &p->node);
}

static void
peers_reap(struct sq_peer *p)
{
	if (!p->gone || p->claimed || p->refs > 0)
		return;
	sq_list_remove(&p->node);
	free(p);
}

/* The name now leads to these addresses and to no others. */
static void
peers_replace(
    struct sq_peers *ps, const struct peers_name *name, const struct sq_addr *addrs, size_t n)
{
	SQ_LIST_FOR_EACH(p, &ps->all, struct sq_peer, node)
		if (p->host == name->host)
			p->gone = true;
	for (size_t i = 0; i < n; i++)
		peers_add(ps, name, &addrs[i]);
	SQ_LIST_FOR_EACH_SAFE(p, &ps->all, struct sq_peer, node)
		peers_reap(p);
}

static void
peers_on_resolved(void *owner, void *tag, const struct sq_addr *addrs, size_t n, const char *error)
{
	struct sq_peers *ps = owner;
	struct peers_name *name = tag;

	name->busy = false;
	name->asked_ms = sq_clock_ms();
	ps->busy--;
	if (n > 0) {
		name->why[0] = '\0';
		peers_replace(ps, name, addrs, n);
	} else { /* the addresses of before may still be good */
		if (name->why[0] == '\0')
			SQ_WARN("pool", "no address for %s: %s", name->host, error);
		(void)snprintf(name->why, sizeof name->why, "%s", error);
	}
	if (ps->busy == 0)
		ps->changed(ps->owner);
}

int
sq_peers_check(const struct sq_strings *list, struct sq_buf *err)
{
	char host[SQ_HOST_MAX + 1];
	uint16_t port;

	for (size_t i = 0; i < list->n; i++) {
		if (sq_addr_split(list->v[i], host, &port) == 0)
			continue;
		sq_buf_printf(err, "brokers: %s: not host:port nor [v6]:port", list->v[i]);
		return SQ_EINVAL;
	}
	if (list->n > 0)
		return 0;
	sq_buf_printf(err, "brokers: at least one is needed");
	return SQ_EINVAL;
}

struct sq_peers *
sq_peers_new(struct ev_loop *loop, const struct sq_strings *list, void (*changed)(void *owner),
    void *owner, struct sq_buf *err)
{
	struct sq_peers *ps;
	struct sq_addr addr;
	bool names = false;

	if (sq_peers_check(list, err) != 0)
		return NULL;
	ps = sq_xcalloc(1, sizeof *ps);
	ps->changed = changed;
	ps->owner = owner;
	ps->names = sq_xcalloc(list->n, sizeof *ps->names);
	sq_list_init(&ps->all);
	for (ps->n = 0; ps->n < list->n; ps->n++) {
		struct peers_name *name = &ps->names[ps->n];

		int rc;

		name->authority = list->v[ps->n];
		rc = sq_addr_split(name->authority, name->host, &name->port);
		assert(rc == 0);
		name->numeric = sq_addr_numeric(name->host, name->port, &addr) == 0;
		if (name->numeric)
			peers_add(ps, name, &addr);
		names = names || !name->numeric;
	}
	if (names)
		ps->resolver = sq_resolver_new(loop, peers_on_resolved, ps);
	return ps;
}

void
sq_peers_free(struct sq_peers **bsp)
{
	struct sq_peers *ps = *bsp;

	*bsp = NULL;
	if (ps == NULL)
		return;
	sq_resolver_free(&ps->resolver);
	SQ_LIST_FOR_EACH_SAFE(p, &ps->all, struct sq_peer, node)
		free(p);
	free(ps->names);
	free(ps);
}

void
sq_peers_refresh(struct sq_peers *ps)
{
	uint64_t now = sq_clock_ms();

	for (size_t i = 0; i < ps->n; i++) {
		struct peers_name *name = &ps->names[i];

		if (name->numeric || name->busy ||
		    (name->asked_ms != 0 && now - name->asked_ms < PEERS_AGE_MS))
			continue;
		name->busy = true;
		ps->busy++;
		sq_resolver_lookup(ps->resolver, name->host, name->port, name);
	}
}

bool
sq_peers_busy(const struct sq_peers *ps)
{
	return ps->busy > 0;
}

/* The lower the more promising. */
static unsigned
peer_score(const struct sq_peer *p, uint64_t now_ms)
{
	bool shunned = p->drained_ms != 0 && now_ms - p->drained_ms < PEERS_SHUN_MS;

	return p->failures + (shunned ? PEERS_SHUN : 0);
}

struct sq_peer *
sq_peers_claim(struct sq_peers *ps, struct sq_peer *from)
{
	struct sq_peer *best = NULL;
	uint64_t equals = 0, now = sq_clock_ms();
	unsigned least = UINT_MAX;

	if (from != NULL) {
		from->claimed = false;
		peers_reap(from);
	}
	SQ_LIST_FOR_EACH(p, &ps->all, struct sq_peer, node) {
		unsigned score = peer_score(p, now);

		if (p->claimed || p->gone || score > least)
			continue;
		equals = score < least ? 1 : equals + 1;
		if (score < least || sq_random_u64() % equals == 0)
			best = p;
		least = score;
	}
	if (best != NULL)
		best->claimed = true;
	return best;
}

bool
sq_peers_better(const struct sq_peers *ps, const struct sq_peer *p)
{
	uint64_t now = sq_clock_ms();

	SQ_LIST_FOR_EACH(other, &ps->all, struct sq_peer, node)
		if (!other->claimed && !other->gone &&
		    (p->gone || peer_score(other, now) < peer_score(p, now)))
			return true;
	return false;
}

void
sq_peer_ref(struct sq_peer *p)
{
	p->refs++;
}

void
sq_peer_unref(struct sq_peer *p)
{
	assert(p->refs > 0);
	p->refs--;
	peers_reap(p);
}

bool
sq_peer_failed(struct sq_peer *p, const char *why)
{
	char was[sizeof p->why];

	(void)snprintf(was, sizeof was, "%s", p->why);
	(void)snprintf(p->why, sizeof p->why, "%s", why);
	p->failures++;
	return strcmp(was, p->why) != 0;
}

void
sq_peer_up(struct sq_peer *p)
{
	p->links++;
	p->failures = 0;
	p->why[0] = '\0';
}

void
sq_peer_down(struct sq_peer *p, const char *why, bool lost)
{
	assert(p->links > 0);
	p->links--;
	if (lost)
		(void)sq_peer_failed(p, why);
}

void
sq_peer_drains(struct sq_peer *p, uint64_t age_ms)
{
	if (age_ms >= PEERS_CALM_MS)
		p->drains = 0;
	p->drains++;
	p->drained_ms = sq_clock_ms();
}

void
sq_peers_report(const struct sq_peers *ps, struct sq_buf *out)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->names[i].why[0] != '\0')
			sq_buf_printf(out, "broker %s: no address: %s\n", ps->names[i].host,
			    ps->names[i].why);
	SQ_LIST_FOR_EACH(p, &ps->all, struct sq_peer, node)
		if (p->why[0] != '\0')
			sq_buf_printf(out, "broker %s: %s\n", p->text, p->why);
}
