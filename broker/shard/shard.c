#include "broker/shard/shard.h"

#include <assert.h>

#include "core/log.h"
#include "web/worker.h"

enum { BOOT_SHIFT = 40 }; /* of ids: below stand those of one opening of the store */

void
sq_life_init(struct sq_broker *b)
{
	struct sq_life *l = &b->life;

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->gone, NULL);
	atomic_init(&l->next_id, ((uint64_t)b->engine->boot << BOOT_SHIFT) + 1);
}

void
sq_life_fini(struct sq_broker *b)
{
	assert(b->life.n_objects == 0);
	pthread_cond_destroy(&b->life.gone);
	pthread_mutex_destroy(&b->life.lock);
}

uint64_t
sq_broker_id(struct sq_broker *b)
{
	return atomic_fetch_add(&b->life.next_id, 1);
}

void
sq_broker_object(struct sq_broker *b, int by)
{
	struct sq_life *l = &b->life;

	pthread_mutex_lock(&l->lock);
	assert(by > 0 || l->n_objects >= (size_t)-by);
	l->n_objects += (size_t)(ptrdiff_t)by;
	if (l->n_objects == 0)
		pthread_cond_broadcast(&l->gone);
	pthread_mutex_unlock(&l->lock);
}

void
sq_broker_close(struct sq_broker *b)
{
	atomic_store(&b->life.closing, true);
}

bool
sq_broker_closing(const struct sq_broker *b)
{
	return atomic_load(&b->life.closing);
}

void
sq_broker_await(struct sq_broker *b)
{
	struct sq_life *l = &b->life;

	assert(sq_worker_self() == NULL);
	pthread_mutex_lock(&l->lock);
	while (l->n_objects > 0)
		pthread_cond_wait(&l->gone, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void
sq_broker_attaches(struct sq_broker *b, uint64_t now_ms)
{
	uint_fast64_t none = 0;

	if (b->cfg.recovery_ms > 0)
		atomic_compare_exchange_strong(
		    &b->life.recovered_ms, &none, now_ms + b->cfg.recovery_ms);
}

void
sq_broker_remade(struct sq_broker *b, uint64_t now_ms)
{
	uint64_t until_ms = atomic_load(&b->life.recovered_ms);

	if (now_ms < until_ms && !atomic_exchange(&b->life.recovering, true))
		SQ_INFO("broker",
		    "sessions come back from before the start: no messages for %llu ms",
		    (unsigned long long)(until_ms - now_ms));
}

bool
sq_broker_recovers(const struct sq_broker *b, uint64_t now_ms)
{
	return atomic_load_explicit(&b->life.recovering, memory_order_relaxed) &&
	    now_ms < atomic_load_explicit(&b->life.recovered_ms, memory_order_relaxed);
}

bool
sq_broker_recovered(const struct sq_broker *b, uint64_t now_ms)
{
	uint64_t until_ms = atomic_load(&b->life.recovered_ms);

	return until_ms != 0 && now_ms >= until_ms;
}

struct sq_shard *
sq_shard_here(const struct sq_broker *b)
{
	return &b->shards[sq_worker_index(sq_worker_self())];
}
