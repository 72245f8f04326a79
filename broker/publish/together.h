/* Messages that are published together: all of them in one transaction, or none.
 *
 * First a look at each in its turn, which changes nothing (look.h): rules, topic, tags, options, key,
 * and room in its queues, of the store and of the transaction.  Messages of the list count against
 * each other: two for one queue that has room for one, the same key twice.  If none is refused, all
 * are put, in the same turn.  The space and, where a message has a key, the table of keys are locked
 * from the first look to the last put, so that bindings and keys are what they were.  Other workers
 * may put into the same queues meanwhile: what a look has found room for is put all the same, and a
 * queue, or a share, may exceed its limit by what is in the list.  Copies for other spaces that may
 * read the messages are not judged: what finds no room there is dropped and counted, as always.
 *
 * On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_TOGETHER_H
#define SQ_BROKER_PUBLISH_TOGETHER_H

#include "broker/port/call.h"
#include "broker/publish/message.h"

struct sq_together {
	/* As for sq_publish_message(), of a publisher that is told; 'txn' may have something in it
	 * already.  'msg', 'origin', 'more', 'look' and 'from.match' are ours. */
	struct sq_publish *p;
	const struct sq_msg *msgs;           /* 'n' of them, of the publisher's tenant */
	const struct sq_publish_want *wants; /* of each; NULL: nothing */
	uint16_t n;
	/* What the caller adds to the transaction besides: as for sq_txn_ops.room. */
	uint64_t items, bytes;
	/* Called for message 'i', with its outcome as after sq_received_message(), before the lock of
	 * its space is given back (sq_received_explain()): in order for all that were put, or once for
	 * the one that was refused. */
	void (*outcome)(void *arg, struct sq_publish *, uint8_t code, uint16_t i);
	void *arg;
};

enum sq_together_end {
	SQ_TOGETHER_TAKEN,
	SQ_TOGETHER_REFUSED,   /* one was refused, and nothing has changed */
	SQ_TOGETHER_TOO_LARGE, /* the same: that one and those before it fit into no transaction */
};

/* Publishes the messages.  No space is locked at its end.  If they are taken, the caller puts the rest
 * into the transaction: settlements, which can't be undone, come after the messages, too.  In the
 * same turn it then publishes the receipts (sq_own_receipts()), commits, and calls
 * sq_publish_committed(), which releases the keys. */
enum sq_together_end sq_together_publish(const struct sq_together *);

#endif
