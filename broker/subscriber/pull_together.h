/* Messages that are published in the transaction of a settlement, by an identity and by its rules. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_TOGETHER_H
#define SQ_BROKER_SUBSCRIBER_PULL_TOGETHER_H

#include "broker/publish/together.h"
#include "broker/subscriber/pull_priv.h"

struct sq_identity;

struct sq_pull_together {
	const struct sq_identity *who; /* without a client id */
	const struct sq_msg *msgs;
	const struct sq_publish_want *wants; /* of each; NULL: nothing */
	uint16_t n;
	/* What is settled with them adds: see sq_pull_together_add(). */
	uint64_t items, bytes;
	/* As that of struct sq_together. */
	void (*outcome)(void *arg, struct sq_publish *, uint8_t code, uint16_t i);
	void *arg;
	/* Its own. */
	struct sq_pull *pull;
	struct sq_pull_txn *txn;
	struct sq_publish publish;
};

/* An item is settled in the transaction, too; 'done': acknowledged. */
void sq_pull_together_add(struct sq_pull_together *, const struct sq_pull_item *, bool done);
/* Puts the messages into the transaction, which does not split from then on if they are taken. */
enum sq_together_end
sq_pull_together(struct sq_pull_together *, struct sq_pull *, struct sq_pull_txn *);
/* The messages were taken, and the rest is said to the dispatcher: the transaction has all of it. */
void sq_pull_together_settle(struct sq_pull_together *);
/* The last call, of what was taken and of what was not: behind the commit, if a message may have a key. */
void sq_pull_together_end(struct sq_pull_together *);

#endif
