/* What the pulls of a broker share: the key of their leases, and bounds. */
#ifndef SQ_BROKER_SUBSCRIBER_PULLS_H
#define SQ_BROKER_SUBSCRIBER_PULLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

struct sq_broker;
struct sq_lease_prover;
struct sq_list;
struct sq_pulls;
struct sq_shard;
struct sq_txn;

/* 'b' outlives it. */
struct sq_pulls *sq_pulls_new(struct sq_broker *b);
void sq_pulls_free(struct sq_pulls **);
/* The key of leases is that of the store.  False: it is none. */
bool sq_pulls_restore_key(struct sq_pulls *, struct sq_bytes key);
struct sq_broker *sq_pulls_broker(const struct sq_pulls *);

/* --- for pulls.  Thread: any. */

/* Proves the leases of a shard.  Thread: the shard's. */
struct sq_lease_prover *sq_pulls_prover(struct sq_pulls *, const struct sq_shard *);
/* Has the key be durable with the transaction, whose leases are to be good behind a restart.  True: its
 * record is in it, and sq_pulls_kept() follows with the commit; until one has, each has the record. */
bool sq_pulls_keep(struct sq_pulls *, struct sq_txn *);
void sq_pulls_kept(struct sq_pulls *);
/* Leases of a queue at a time; for how long, in ms, what was settled is remembered. */
unsigned sq_pulls_max_leases(const struct sq_pulls *);
uint64_t sq_pulls_window_ms(const struct sq_pulls *);
/* The pulls of a shard that have something to do by the clock: struct sq_pull.busy.  On its worker. */
struct sq_list *sq_pulls_busy(struct sq_pulls *, const struct sq_shard *);

#endif
