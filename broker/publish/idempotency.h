/* Idempotency keys of QoS 3 messages (docs/user-guide.md) that were stored within the window.  A
 * key is identified by 128 bits of SHA-256 over its tenant and its text; it takes about 80 bytes of
 * memory, and a record in the store.
 *
 * A publisher may have its keys compared: the key then has a print of the message that it first
 * came with.  Copies from publishers that do not, or of such a first message, are not compared.
 *
 * A lock guards the table of all tenants' keys.  A publisher looks a key up, adds it, and keeps the
 * lock until the commit of its transaction, so that a second publisher with the key commits later,
 * and is answered after the first.  A batch releases the lock between two messages: see
 * sq_publish_pause(). */
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

/* The key of a message that is published. */
struct sq_message_key {
	struct sq_key_hash hash;
	uint64_t print; /* sq_keys_print(); 0: it is not compared */
};

enum sq_key_state {
	SQ_KEY_NEW,
	SQ_KEY_KNOWN, /* stored within the window */
	SQ_KEY_OTHER, /* the same, with another print */
	SQ_KEY_FULL,  /* new, and the tenant's share of keys is used up */
};

struct sq_keys *sq_keys_new(uint64_t window_ms);
void sq_keys_free(struct sq_keys **);

struct sq_key_hash sq_keys_hash(const char *tenant, struct sq_bytes key);
/* 64 bits of SHA-256 over the topic and the payload of an image; never 0. */
uint64_t sq_keys_print(const unsigned char *image);

void sq_keys_lock(struct sq_keys *);
void sq_keys_unlock(struct sq_keys *);

/* Looks up a key, behind 'more' others that will be new.  Locks: the table's is held. */
enum sq_key_state sq_keys_look(const struct sq_keys *, const struct sq_tenant *,
    const struct sq_message_key *, size_t more, uint64_t now_ms);
/* Looks up a key.  'txn' writes a known key again, so that it commits after the first publisher.
 * Locks: the table's is held. */
enum sq_key_state sq_keys_find(struct sq_keys *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_message_key *, uint64_t now_ms);
/* When the window of a key ends, on the workers' clock; 0: it is not known.  Locks: takes the
 * table's. */
uint64_t sq_keys_expires_ms(struct sq_keys *, const struct sq_key_hash *, uint64_t now_ms);
uint64_t sq_keys_window_ms(const struct sq_keys *);
/* Adds a key for which sq_keys_find() returned SQ_KEY_NEW.  Locks: the table's is held. */
void sq_keys_add(struct sq_keys *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_message_key *, uint64_t now_ms);

/* --- these take the lock --- */

/* Reads the keys of the store; before any other use.  Returns the engine's error. */
int sq_keys_load(
    struct sq_keys *, struct sq_engine *, struct sq_tenants *, uint64_t now_ms) SQ_MUST_CHECK;
/* Removes a bounded number of keys whose window is over; on the shard's worker. */
void sq_keys_sweep(struct sq_keys *, struct sq_shard *, uint64_t now_ms);

#endif
