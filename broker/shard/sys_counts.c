#include "broker/shard/sys_counts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/now.h"
#include "broker/route/router.h"
#include "broker/shard/tenant.h"
#include "core/htab.h"
#include "core/mem.h"
#include "proto/topic/sys_value.h"
#include "proto/topic/topic.h"

/* Names of spaces for $SYS begin with it: it is in no UTF-8, see tenant.c. */
enum { MARK = SQ_TENANT_SYS_MARK };

struct counted {
	struct sq_hnode node;
	struct sq_tenant *tenant;
	struct sq_sys_part *parts; /* one for each shard */
	_Atomic int64_t dropped, maximum;
	struct sq_space *space; /* under the lock; NULL: nobody has ever subscribed */
};

struct sq_sys_counts {
	struct sq_router *router;
	size_t n_shards;
	uint64_t interval_ms;
	atomic_uint_fast64_t due_ms; /* the next round; 0: nobody has subscribed */
	pthread_mutex_t lock;        /* of the table */
	struct sq_htab tenants;
};

struct sq_sys_counts *
sq_sys_counts_new(struct sq_router *r, size_t n_shards, uint64_t interval_ms)
{
	struct sq_sys_counts *c = sq_xcalloc(1, sizeof *c);

	c->router = r;
	c->n_shards = n_shards;
	c->interval_ms = interval_ms;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void
counted_free(struct sq_sys_counts *c, struct counted *t)
{
	sq_htab_remove(&c->tenants, &t->node);
	free(t->parts);
	free(t);
}

void
sq_sys_counts_free(struct sq_sys_counts **cp)
{
	struct sq_sys_counts *c = *cp;
	struct sq_hnode *at;

	*cp = NULL;
	if (c == NULL)
		return;
	while ((at = sq_htab_walk(&c->tenants, NULL)) != NULL)
		counted_free(c, SQ_CONTAINER_OF(at, struct counted, node));
	sq_htab_fini(&c->tenants);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Under the lock, as the next one. */
static struct counted *
counts_find(const struct sq_sys_counts *c, const struct sq_tenant *tenant)
{
	struct sq_hnode *n = sq_htab_find(&c->tenants, sq_hash(&tenant, sizeof tenant));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct counted *t = SQ_CONTAINER_OF(n, struct counted, node);

		if (t->tenant == tenant)
			return t;
	}
	return NULL;
}

static struct counted *
counts_of(struct sq_sys_counts *c, struct sq_tenant *tenant)
{
	size_t size = c->n_shards * sizeof(struct sq_sys_part);
	struct counted *t = counts_find(c, tenant);

	if (t != NULL)
		return t;
	t = sq_xcalloc(1, sizeof *t);
	t->tenant = tenant;
	t->parts = sq_xcalloc_aligned(_Alignof(struct sq_sys_part), size);
	sq_htab_insert(&c->tenants, &t->node, sq_hash(&tenant, sizeof tenant));
	return t;
}

/* The same; it stays where it is as long as the tenant. */
static struct counted *
counts_of_locked(struct sq_sys_counts *c, struct sq_tenant *tenant)
{
	struct counted *t;

	pthread_mutex_lock(&c->lock);
	t = counts_of(c, tenant);
	pthread_mutex_unlock(&c->lock);
	return t;
}

struct sq_sys_part *
sq_sys_counts_part(struct sq_sys_counts *c, struct sq_tenant *tenant, unsigned index)
{
	return &counts_of_locked(c, tenant)->parts[index];
}

_Atomic int64_t *
sq_sys_counts_dropped(struct sq_sys_counts *c, struct sq_tenant *tenant)
{
	return &counts_of_locked(c, tenant)->dropped;
}

void
sq_sys_counts_forget(struct sq_sys_counts *c, const struct sq_tenant *tenant)
{
	struct counted *t;

	pthread_mutex_lock(&c->lock);
	t = counts_find(c, tenant);
	if (t != NULL) {
		sq_space_unref(&t->space); /* at the end it is the router's */
		counted_free(c, t);
	}
	pthread_mutex_unlock(&c->lock);
}

static int64_t
counted_sum(const struct sq_sys_counts *c, const struct counted *t, enum sq_sys_count which)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->n_shards; i++)
		sum += atomic_load_explicit(&t->parts[i].v[which], memory_order_relaxed);
	return sum;
}

void
sq_sys_counts_sum(struct sq_sys_counts *c, struct sq_tenant *tenant, struct sq_sys_sums *out)
{
	struct counted *t;

	pthread_mutex_lock(&c->lock);
	t = counts_of(c, tenant);
	for (int i = 0; i < SQ_SYS_COUNTS; i++)
		out->v[i] = counted_sum(c, t, (enum sq_sys_count)i);
	out->dropped = atomic_load_explicit(&t->dropped, memory_order_relaxed);
	out->maximum = atomic_load_explicit(&t->maximum, memory_order_relaxed);
	out->space = t->space;
	pthread_mutex_unlock(&c->lock);
}

void
sq_sys_counts_connected(struct sq_sys_counts *c, struct sq_tenant *tenant, struct sq_sys_part *part)
{
	struct counted *t = counts_of_locked(c, tenant);
	int64_t now, most = atomic_load_explicit(&t->maximum, memory_order_relaxed);

	sq_sys_add(part, SQ_SYS_CONNECTED, 1);
	now = counted_sum(c, t, SQ_SYS_CONNECTED);
	while (now > most &&
	    !atomic_compare_exchange_weak_explicit(
		&t->maximum, &most, now, memory_order_relaxed, memory_order_relaxed))
		continue;
}

struct sq_space *
sq_sys_counts_space(
    struct sq_sys_counts *c, struct sq_tenant *tenant, const struct sq_topic_filter *f)
{
	const char *name = sq_tenant_name(tenant);
	uint_fast64_t none = 0;
	struct counted *t;

	if (!sq_sys_filter(f->filter))
		return sq_tenant_space(tenant);
	atomic_compare_exchange_strong(&c->due_ms, &none, sq_engine_now_ms() + c->interval_ms);
	pthread_mutex_lock(&c->lock);
	t = counts_of(c, tenant);
	if (t->space == NULL) {
		struct sq_buf text = {0};

		sq_buf_u8(&text, MARK);
		sq_buf_append(&text, name, strlen(name) + 1);
		t->space = sq_router_space_beside(
		    c->router, sq_tenant_space(tenant), (const char *)sq_buf_data(&text));
		sq_buf_fini(&text);
	}
	pthread_mutex_unlock(&c->lock);
	return t->space;
}

bool
sq_sys_counts_wanted(const struct sq_sys_counts *c)
{
	return atomic_load_explicit(&c->due_ms, memory_order_relaxed) != 0;
}

struct sq_tenant **
sq_sys_counts_round(struct sq_sys_counts *c, uint64_t now_ms, size_t *n)
{
	uint64_t due_ms = atomic_load_explicit(&c->due_ms, memory_order_relaxed);
	struct sq_hnode *at = NULL;
	struct sq_tenant **v;

	if (c->interval_ms == 0 || due_ms == 0 || now_ms < due_ms)
		return NULL;
	*n = 0;
	pthread_mutex_lock(&c->lock);
	v = sq_xcalloc(c->tenants.n + 1, sizeof(*v));
	while ((at = sq_htab_walk(&c->tenants, at)) != NULL) {
		const struct counted *t = SQ_CONTAINER_OF(at, struct counted, node);

		if (t->space != NULL && sq_space_bindings(t->space) > 0)
			v[(*n)++] = t->tenant;
	}
	pthread_mutex_unlock(&c->lock);
	atomic_store(&c->due_ms, *n > 0 ? now_ms + c->interval_ms : 0);
	return v;
}
