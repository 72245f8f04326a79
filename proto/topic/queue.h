/* Names of named queues, and the filter that joins one: "$queue/NAME".  Pure. */
#ifndef SQ_PROTO_TOPIC_QUEUE_H
#define SQ_PROTO_TOPIC_QUEUE_H

#include <stdbool.h>

#include "core/msg.h"

#define SQ_TOPIC_QUEUE_PREFIX "$queue/"
/* What a name is, for people; behind "must be". */
#define SQ_TOPIC_QUEUE_NAME_RULE "1 to 128 of A-Z a-z 0-9 . _ -"

enum { SQ_TOPIC_QUEUE_NAME_MAX = 128 }; /* bytes */

/* Whether 'name' can be a queue's. */
bool sq_topic_queue_name(struct sq_bytes name);
/* Whether 'filter' begins with "$queue/"; '*name' is then what follows, which need not be a name. */
bool sq_topic_queue_filter(struct sq_bytes filter, struct sq_bytes *name);

#endif
