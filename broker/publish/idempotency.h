/* Idempotency keys of QoS 3 messages (docs/user-guide.md) that were stored within the window.  A key is known by 128 bits of SHA-256 over its tenant and
 * its text; it takes about 72 bytes, and a record in the store.
 *
 * A lock guards the table.  A publisher that looks a key up and adds it keeps the lock until the
 * commit of the transaction: so a second publisher with that key commits later, and its answer
 * does not come before the first one's.  The keys of all tenants are under the lock, so a batch
 * lets go of it between two messages: see sq_publish_pause(). */
#ifndef SQ_BROKER_PUBLISH_IDEMPOTENCY_H
#define SQ_BROKER_PUBLISH_IDEMPOTENCY_H

#include "broker/engine/engine.h"

struct sq_keys;
struct sq_shard;
struct sq_tenant;
struct sq_tenants;

struct sq_key_hash {
	uint64_t hi, lo;
};

enum sq_key_state {
	SQ_KEY_NEW,
	SQ_KEY_KNOWN, /* stored within the window */
	SQ_KEY_FULL,  /* new, and the tenant has its share of keys */
};

struct sq_keys *sq_keys_new(uint64_t window_ms);
void sq_keys_free(struct sq_keys **);

struct sq_key_hash sq_keys_hash(const char *tenant, struct sq_bytes key);

void sq_keys_lock(struct sq_keys *);
void sq_keys_unlock(struct sq_keys *);

/* Under the lock.  A known key is written again by 'txn': its commit is then not
 * before that of the first. */
enum sq_key_state sq_keys_find(struct sq_keys *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_key_hash *, uint64_t now_ms);
/* Adds a key that sq_keys_find() has called new. */
void sq_keys_add(struct sq_keys *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_key_hash *, uint64_t now_ms);

/* --- these take the lock --- */

/* Reads what the store has; before any other use.  Returns the engine's error. */
int sq_keys_load(
    struct sq_keys *, struct sq_engine *, struct sq_tenants *, uint64_t now_ms) SQ_MUST_CHECK;
/* Forgets keys whose window is over, a bounded number per call; on the shard's worker. */
void sq_keys_sweep(struct sq_keys *, struct sq_shard *, uint64_t now_ms);
size_t sq_keys_count(struct sq_keys *);

#endif
