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
	BROKERS_AGE_MS = 3000,   /* a lookup this young is not repeated */
	BROKERS_CALM_MS = 60000, /* a link that lived so long clears the drains */
	BROKERS_SHUN_MS = 30000, /* who asked to move is shunned for so long, */
	BROKERS_SHUN = 3,        /* as if it had failed so often */
};

struct brokers_name {
	const char *authority; /* the configuration's */
	char host[SQ_HOST_MAX + 1];
	uint16_t port;
	bool numeric, busy;
	uint64_t asked_ms; /* 0: never */
	char why[96];      /* empty: the last lookup was good */
};

struct sq_brokers {
	struct sq_resolver *resolver; /* NULL without names */
	void (*changed)(void *owner);
	void *owner;
	struct sq_list all; /* struct sq_broker */
	struct brokers_name *names;
	size_t n;
	unsigned busy;
};

static struct sq_broker *
brokers_find(const struct sq_brokers *bs, const struct sq_addr *addr)
{
	SQ_LIST_FOR_EACH(b, &bs->all, struct sq_broker, node)
		if (sq_addr_equal(&b->addr, addr))
			return b;
	return NULL;
}

static void
brokers_add(struct sq_brokers *bs, const struct brokers_name *name, const struct sq_addr *addr)
{
	struct sq_broker *b = brokers_find(bs, addr);

	if (b != NULL) {
		b->gone = false;
		return;
	}
	b = sq_xcalloc(1, sizeof *b);
	b->addr = *addr;
	b->host = name->host;
	b->authority = name->authority;
	sq_addr_text(addr, b->text);
	sq_list_push_back(&bs->all, &b->node);
}

static void
brokers_reap(struct sq_broker *b)
{
	if (!b->gone || b->claimed || b->refs > 0)
		return;
	sq_list_remove(&b->node);
	free(b);
}

/* The name now leads to these addresses and to no others. */
static void
brokers_replace(
    struct sq_brokers *bs, const struct brokers_name *name, const struct sq_addr *addrs, size_t n)
{
	SQ_LIST_FOR_EACH(b, &bs->all, struct sq_broker, node)
		if (b->host == name->host)
			b->gone = true;
	for (size_t i = 0; i < n; i++)
		brokers_add(bs, name, &addrs[i]);
	SQ_LIST_FOR_EACH_SAFE(b, &bs->all, struct sq_broker, node)
		brokers_reap(b);
}

static void
brokers_on_resolved(
    void *owner, void *tag, const struct sq_addr *addrs, size_t n, const char *error)
{
	struct sq_brokers *bs = owner;
	struct brokers_name *name = tag;

	name->busy = false;
	name->asked_ms = sq_clock_ms();
	bs->busy--;
	if (n > 0) {
		name->why[0] = '\0';
		brokers_replace(bs, name, addrs, n);
	} else { /* the addresses of before may still be good */
		if (name->why[0] == '\0')
			SQ_WARN("pool", "no address for %s: %s", name->host, error);
		(void)snprintf(name->why, sizeof name->why, "%s", error);
	}
	if (bs->busy == 0)
		bs->changed(bs->owner);
}

int
sq_brokers_check(const struct sq_strings *list, struct sq_buf *err)
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

struct sq_brokers *
sq_brokers_new(struct ev_loop *loop, const struct sq_strings *list, void (*changed)(void *owner),
    void *owner, struct sq_buf *err)
{
	struct sq_brokers *bs;
	struct sq_addr addr;
	bool names = false;

	if (sq_brokers_check(list, err) != 0)
		return NULL;
	bs = sq_xcalloc(1, sizeof *bs);
	bs->changed = changed;
	bs->owner = owner;
	bs->names = sq_xcalloc(list->n, sizeof *bs->names);
	sq_list_init(&bs->all);
	for (bs->n = 0; bs->n < list->n; bs->n++) {
		struct brokers_name *name = &bs->names[bs->n];

		int rc;

		name->authority = list->v[bs->n];
		rc = sq_addr_split(name->authority, name->host, &name->port);
		assert(rc == 0);
		name->numeric = sq_addr_numeric(name->host, name->port, &addr) == 0;
		if (name->numeric)
			brokers_add(bs, name, &addr);
		names = names || !name->numeric;
	}
	if (names)
		bs->resolver = sq_resolver_new(loop, brokers_on_resolved, bs);
	return bs;
}

void
sq_brokers_free(struct sq_brokers **bsp)
{
	struct sq_brokers *bs = *bsp;

	*bsp = NULL;
	if (bs == NULL)
		return;
	sq_resolver_free(&bs->resolver);
	SQ_LIST_FOR_EACH_SAFE(b, &bs->all, struct sq_broker, node)
		free(b);
	free(bs->names);
	free(bs);
}

void
sq_brokers_refresh(struct sq_brokers *bs)
{
	uint64_t now = sq_clock_ms();

	for (size_t i = 0; i < bs->n; i++) {
		struct brokers_name *name = &bs->names[i];

		if (name->numeric || name->busy ||
		    (name->asked_ms != 0 && now - name->asked_ms < BROKERS_AGE_MS))
			continue;
		name->busy = true;
		bs->busy++;
		sq_resolver_lookup(bs->resolver, name->host, name->port, name);
	}
}

bool
sq_brokers_busy(const struct sq_brokers *bs)
{
	return bs->busy > 0;
}

/* The lower the more promising. */
static unsigned
broker_score(const struct sq_broker *b, uint64_t now_ms)
{
	bool shunned = b->drained_ms != 0 && now_ms - b->drained_ms < BROKERS_SHUN_MS;

	return b->failures + (shunned ? BROKERS_SHUN : 0);
}

struct sq_broker *
sq_brokers_claim(struct sq_brokers *bs, struct sq_broker *from)
{
	struct sq_broker *best = NULL;
	uint64_t equals = 0, now = sq_clock_ms();
	unsigned least = UINT_MAX;

	if (from != NULL) {
		from->claimed = false;
		brokers_reap(from);
	}
	SQ_LIST_FOR_EACH(b, &bs->all, struct sq_broker, node) {
		unsigned score = broker_score(b, now);

		if (b->claimed || b->gone || score > least)
			continue;
		equals = score < least ? 1 : equals + 1;
		if (score < least || sq_random_u64() % equals == 0)
			best = b;
		least = score;
	}
	if (best != NULL)
		best->claimed = true;
	return best;
}

bool
sq_brokers_better(const struct sq_brokers *bs, const struct sq_broker *b)
{
	uint64_t now = sq_clock_ms();

	SQ_LIST_FOR_EACH(other, &bs->all, struct sq_broker, node)
		if (!other->claimed && !other->gone &&
		    (b->gone || broker_score(other, now) < broker_score(b, now)))
			return true;
	return false;
}

void
sq_broker_ref(struct sq_broker *b)
{
	b->refs++;
}

void
sq_broker_unref(struct sq_broker *b)
{
	assert(b->refs > 0);
	b->refs--;
	brokers_reap(b);
}

bool
sq_broker_failed(struct sq_broker *b, const char *why)
{
	char was[sizeof b->why];

	(void)snprintf(was, sizeof was, "%s", b->why);
	(void)snprintf(b->why, sizeof b->why, "%s", why);
	b->failures++;
	return strcmp(was, b->why) != 0;
}

void
sq_broker_up(struct sq_broker *b)
{
	b->links++;
	b->failures = 0;
	b->why[0] = '\0';
}

void
sq_broker_down(struct sq_broker *b, const char *why, bool lost)
{
	assert(b->links > 0);
	b->links--;
	if (lost)
		(void)sq_broker_failed(b, why);
}

void
sq_broker_drains(struct sq_broker *b, uint64_t age_ms)
{
	if (age_ms >= BROKERS_CALM_MS)
		b->drains = 0;
	b->drains++;
	b->drained_ms = sq_clock_ms();
}

void
sq_brokers_report(const struct sq_brokers *bs, struct sq_buf *out)
{
	for (size_t i = 0; i < bs->n; i++)
		if (bs->names[i].why[0] != '\0')
			sq_buf_printf(out, "broker %s: no address: %s\n", bs->names[i].host,
			    bs->names[i].why);
	SQ_LIST_FOR_EACH(b, &bs->all, struct sq_broker, node)
		if (b->why[0] != '\0')
			sq_buf_printf(out, "broker %s: %s\n", b->text, b->why);
}
