/* Receipts that wait to be published: the queue of a shard.
 *
 * A receipt made under the lock of a space waits here.  It is published later in the transaction of
 * its settlement or dead letter (own.h): a worker builds one transaction at a time while it has a
 * lock.  Receipts left at the end of the turn, for example those of a transaction of the engine, go
 * into a transaction of their own.  On the shard's worker. */
#ifndef SQ_BROKER_PUBLISH_RECEIPTS_H
#define SQ_BROKER_PUBLISH_RECEIPTS_H

#include "core/list.h"
#include "core/msg.h"

struct sq_receipts;
struct sq_shard;
struct sq_tenant;

enum { SQ_RECEIPTS_MAX = 4096 }; /* waiting receipts */

struct sq_receipt {
	struct sq_list node;
	struct sq_tenant *tenant; /* of the item's queue; a reference */
	struct sq_msg msg;
};

/* Makes a queue; 'left' publishes the receipts left at the end of a turn. */
struct sq_receipts *sq_receipts_new(struct sq_shard *, void (*left)(struct sq_shard *));
/* Frees the queue, with its receipts, and nulls the pointer; no worker turns. */
void sq_receipts_free(struct sq_receipts **);
/* Queues a receipt and takes over the message; nothing for a message without an image.  Beyond
 * SQ_RECEIPTS_MAX the receipt is dropped, with a line in the log. */
void sq_receipts_add(struct sq_receipts *, struct sq_tenant *, struct sq_msg);
/* Removes and returns the oldest receipt, which the caller frees; NULL: none waits. */
struct sq_receipt *sq_receipts_take(struct sq_receipts *);
void sq_receipt_free(struct sq_receipt *);

#endif
