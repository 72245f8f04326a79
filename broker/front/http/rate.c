/* See broker/front/http/rate.h. */
#include "broker/front/http/rate.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/htab.h"
#include "core/mem.h"

struct bucket {
	struct sq_hnode node;
	uint64_t identity;
	uint64_t room; /* thousandths of a publish */
	uint64_t at_ms;
};

struct sq_http_rate {
	pthread_mutex_t lock;
	uint64_t per_second;
	struct sq_htab buckets;
	struct bucket shared; /* of those for whom the table has no place */
};

struct sq_http_rate *
sq_http_rate_new(uint64_t per_second)
{
	struct sq_http_rate *r = sq_xcalloc(1, sizeof *r);

	assert(per_second >= 1);
	pthread_mutex_init(&r->lock, NULL);
	r->per_second = per_second;
	r->shared.room = per_second * 1000;
	return r;
}

static struct bucket *
rate_bucket(struct sq_http_rate *r, uint64_t identity, uint64_t now_ms)
{
	uint64_t hash = sq_hash_u64(identity);
	struct sq_hnode *node = sq_htab_find(&r->buckets, hash);
	struct bucket *b;

	for (; node != NULL; node = sq_htab_next_same(node)) {
		b = SQ_CONTAINER_OF(node, struct bucket, node);
		if (b->identity == identity)
			return b;
	}
	if (r->buckets.n >= SQ_HTTP_RATE_IDENTITIES)
		return &r->shared;
	b = sq_xcalloc(1, sizeof *b);
	b->identity = identity;
	b->room = r->per_second * 1000;
	b->at_ms = now_ms;
	sq_htab_insert(&r->buckets, &b->node, hash);
	return b;
}

/* What has come in since the last time. */
static void
rate_fill(const struct sq_http_rate *r, struct bucket *b, uint64_t now_ms)
{
	const uint64_t whole = r->per_second * 1000;
	uint64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	b->at_ms += passed;
	if (passed >= 1000 || b->room + passed * r->per_second > whole)
		b->room = whole;
	else
		b->room += passed * r->per_second;
}

bool
sq_http_rate_take(struct sq_http_rate *r, uint64_t identity, uint64_t n, uint64_t now_ms)
{
	struct bucket *b;
	bool may;

	pthread_mutex_lock(&r->lock);
	b = rate_bucket(r, identity, now_ms);
	rate_fill(r, b, now_ms);
	may = n <= r->per_second && b->room >= n * 1000;
	if (may)
		b->room -= n * 1000;
	pthread_mutex_unlock(&r->lock);
	return may;
}

/* Drops the full ones, or all. */
static void
rate_drop(struct sq_http_rate *r, bool all, uint64_t now_ms)
{
	struct sq_hnode *at = sq_htab_walk(&r->buckets, NULL), *next;

	for (; at != NULL; at = next) {
		struct bucket *b = SQ_CONTAINER_OF(at, struct bucket, node);

		next = sq_htab_walk(&r->buckets, at);
		rate_fill(r, b, now_ms);
		if (!all && b->room < r->per_second * 1000)
			continue;
		sq_htab_remove(&r->buckets, at);
		free(b);
	}
}

void
sq_http_rate_sweep(struct sq_http_rate *r, uint64_t now_ms)
{
	pthread_mutex_lock(&r->lock);
	rate_drop(r, false, now_ms);
	pthread_mutex_unlock(&r->lock);
}

void
sq_http_rate_free(struct sq_http_rate **rp)
{
	struct sq_http_rate *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	rate_drop(r, true, 0);
	sq_htab_fini(&r->buckets);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
