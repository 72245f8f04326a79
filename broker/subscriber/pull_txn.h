/* The transactions of a pull, and the answers that wait for their commits. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_TXN_H
#define SQ_BROKER_SUBSCRIBER_PULL_TXN_H

#include "broker/subscriber/pull_priv.h"
#include "broker/subscriber/taker.h"

/* The pull has, or may soon have, something to do by the clock. */
void sq_pull_set_busy(struct sq_pull *);
/* Has the pull run, in this turn.  Called when something has changed that it may act on. */
void sq_pull_wake(struct sq_pull *);

void sq_pull_txns_init(struct sq_pull *);
/* The transaction under construction, with room for a few settlements and records. */
struct sq_pull_txn *sq_pull_txn(struct sq_pull *);
/* The same for struct sq_txn alone. */
struct sq_txn *sq_pull_changes(struct sq_pull *);
/* Has the key of leases be durable with the one under construction. */
void sq_pull_txn_keep_key(struct sq_pull *);
/* An empty one, which takes all that follows until the next commit, however much that is. */
struct sq_pull_txn *sq_pull_txn_whole(struct sq_pull *);
/* Drops the one under construction, which has nothing in it. */
void sq_pull_txn_drop(struct sq_pull *);
/* The settlement, which is good, is settled when all that was changed so far is durable. */
void sq_pull_settled(struct sq_pull *, struct sq_taker_settlement *);
/* Answers the call, which is good and has its contents, when all that was changed so far is durable. */
void sq_pull_answer(struct sq_pull *, struct sq_call *);
/* Commits what is under construction. */
void sq_pull_commit(struct sq_pull *);
/* Forgets up to 'most' of what was settled long ago, or is too much: 'forget' removes each with its
 * record, in 'txn', or with NULL in any that has room. */
void sq_pull_evict(struct sq_pull *, struct sq_settled *, unsigned most, struct sq_txn *txn,
    void (*forget)(struct sq_pull *, struct sq_txn *, struct sq_settled_entry *));
/* Whether nothing is under construction or on its way. */
bool sq_pull_txns_idle(const struct sq_pull *);
/* Ends a call that fails, with its contents. */
void sq_pull_refuse(struct sq_call *, enum sq_verdict, const char *detail);

#endif
