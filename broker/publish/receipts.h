/* Receipts that wait to be published: the queue of a shard.
 *
 * A receipt that is made under the lock of a space waits here, and is published behind that in the
 * transaction of its settlement or dead letter (own.h): a worker builds one transaction at a time
 * while it has a lock.  Receipts that nobody has published by the end of the turn, as those of a
 * transaction of the engine, go into one of their own. */
#ifndef SQ_BROKER_PUBLISH_RECEIPTS_H
#define SQ_BROKER_PUBLISH_RECEIPTS_H

#include "core/list.h"
#include "core/msg.h"

struct sq_receipts;
struct sq_shard;
struct sq_tenant;

enum { SQ_RECEIPTS_MAX = 4096 }; /* that wait */

struct sq_receipt {
	struct sq_list node;
	struct sq_tenant *tenant; /* whose queue it is of; a reference */
	struct sq_msg msg;
};

/* All on the shard's worker.  'left' publishes those that are left at the end of a turn. */
struct sq_receipts *sq_receipts_new(struct sq_shard *, void (*left)(struct sq_shard *));
/* No worker turns. */
void sq_receipts_free(struct sq_receipts **);
/* Queues one and takes the message; one without an image is none.  Beyond SQ_RECEIPTS_MAX it is
 * dropped, with a line in the log. */
void sq_receipts_add(struct sq_receipts *, struct sq_tenant *, struct sq_msg);
/* The oldest, which is the caller's now; NULL: none waits. */
struct sq_receipt *sq_receipts_take(struct sq_receipts *);
void sq_receipt_free(struct sq_receipt *);

#endif
