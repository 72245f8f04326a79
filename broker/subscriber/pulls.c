#include "broker/subscriber/pulls.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "broker/subscriber/lease.h"
#include "core/mem.h"

enum { MAX_LEASES = 20000, WINDOW_MS = 3600 * 1000 }; /* where the configuration names none */

struct sq_pulls {
	struct sq_broker *broker;
	unsigned char key[SQ_LEASE_KEY];
	atomic_bool kept;                 /* the key's record is durable */
	struct sq_list *busy;             /* by the index of the worker */
	struct sq_lease_prover **provers; /* of each shard; NULL: not needed yet */
};

struct sq_pulls *
sq_pulls_new(struct sq_broker *b)
{
	struct sq_pulls *ps = sq_xcalloc(1, sizeof *ps);

	ps->broker = b;
	ps->busy = sq_xcalloc(b->n_shards, sizeof *ps->busy);
	for (size_t i = 0; i < b->n_shards; i++)
		sq_list_init(&ps->busy[i]);
	if (RAND_bytes(ps->key, sizeof ps->key) != 1)
		abort(); /* no secret can be made */
	ps->provers = sq_xcalloc(b->n_shards, sizeof(*ps->provers));
	return ps;
}

void
sq_pulls_free(struct sq_pulls **pp)
{
	struct sq_pulls *ps = *pp;

	*pp = NULL;
	if (ps == NULL)
		return;
	for (size_t i = 0; i < ps->broker->n_shards; i++)
		sq_lease_prover_free(&ps->provers[i]);
	free(ps->provers);
	free(ps->busy);
	OPENSSL_cleanse(ps->key, sizeof ps->key);
	free(ps);
}

struct sq_lease_prover *
sq_pulls_prover(struct sq_pulls *ps, const struct sq_shard *sh)
{
	struct sq_lease_prover **at = &ps->provers[sh - ps->broker->shards];

	if (*at == NULL)
		*at = sq_lease_prover_new(ps->key);
	return *at;
}

bool
sq_pulls_keep(struct sq_pulls *ps, struct sq_txn *txn)
{
	static const struct sq_record_key key = {SQ_RECORD_LEASE_KEY, 0, 0};

	if (atomic_load_explicit(&ps->kept, memory_order_relaxed))
		return false;
	/* Others may write it meanwhile: it is the same. */
	txn->engine->ops->txn.record(txn, &key, (struct sq_bytes){ps->key, sizeof ps->key});
	return true;
}

void
sq_pulls_kept(struct sq_pulls *ps)
{
	atomic_store_explicit(&ps->kept, true, memory_order_relaxed);
}

unsigned
sq_pulls_max_leases(const struct sq_pulls *ps)
{
	uint32_t n = ps->broker->cfg.pull_max_leases;

	return n > 0 ? n : MAX_LEASES;
}

uint64_t
sq_pulls_window_ms(const struct sq_pulls *ps)
{
	uint64_t ms = ps->broker->cfg.pull_settle_window_ms;

	return ms > 0 ? ms : WINDOW_MS;
}

struct sq_list *
sq_pulls_busy(struct sq_pulls *ps, const struct sq_shard *sh)
{
	return &ps->busy[sh - ps->broker->shards];
}

bool
sq_pulls_restore_key(struct sq_pulls *ps, struct sq_bytes key)
{
	if (key.len != SQ_LEASE_KEY)
		return false;
	memcpy(ps->key, key.p, SQ_LEASE_KEY);
	atomic_store(&ps->kept, true);
	return true;
}

struct sq_broker *
sq_pulls_broker(const struct sq_pulls *ps)
{
	return ps->broker;
}
