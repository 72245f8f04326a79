/* What named queues are and have: GET and LIST.  They change nothing. */
#ifndef SQ_BROKER_SUBSCRIBER_LOOK_H
#define SQ_BROKER_SUBSCRIBER_LOOK_H

#include "broker/subscriber/table.h"
#include "core/buf.h"

struct sq_call;

/* Appends a struct sq_queue_info; without 'push' it says nothing of a push, whose URL may be a secret
 * in itself.  Locks: the space is held, and the table's. */
void sq_look_info(const struct sq_subscriber *, bool push, struct sq_buf *infos);

/* Carry calls out, and take them over. */
void sq_get_call(struct sq_shard *, struct sq_call *);
void sq_list_call(struct sq_shard *, struct sq_call *);

#endif
