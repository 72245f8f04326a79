/* Dead letters that are published again. */
#ifndef SQ_BROKER_PUBLISH_REDRIVE_H
#define SQ_BROKER_PUBLISH_REDRIVE_H

#include "broker/shard/shard.h"

struct sq_sink;

struct sq_redrive {
	struct sq_shard *shard; /* of this worker */
	struct sq_sink *dead;   /* the queue of letters */
	struct sq_txn *txn;     /* the present one; with the last letter in it */
	const char *to; /* the topic, in place of the one that the message had; NULL: that */
	/* Commits the present transaction and begins the next, for a message without room. */
	struct sq_txn *(*next)(void *arg);
	void *arg;
};

/* Publishes a letter that was drawn from the queue, to the topic that it was published to, or 'to', with its
 * properties and without those of the letter, to all who are bound there now; the letter leaves in
 * the transaction that has the message.  Its options are not carried out again, but for those of
 * QoS 3.  Takes over the item.  False: nobody takes it, a queue refuses it, or its topic is not
 * known; it waits again where it was.  Locks: no space is locked. */
bool sq_redrive_letter(struct sq_redrive *, struct sq_item *letter);

#endif
