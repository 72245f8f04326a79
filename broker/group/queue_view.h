/* The view's table of queues (broker/view/table.h), whose rows come from all who have queues: here
 * those of groups. */
#ifndef SQ_BROKER_GROUP_QUEUE_VIEW_H
#define SQ_BROKER_GROUP_QUEUE_VIEW_H

#include "broker/shard/shard.h"
#include "broker/view/table.h"

/* X(symbol, name, type, unit, help) */
#define SQ_QUEUE_COLUMNS(X) \
	X(QUEUE, "queue", TEXT, "", "its name, as in logs, metrics and `sqmqos-dead-queue`") \
	X(KIND, "kind", TEXT, "", \
	    "`session`, `share`, `declared`, `queue`, `dead`, `dead-others`, `delayed`") \
	X(SPACE, "space", TEXT, "", "") \
	X(DURABLE, "durable", TRUTH, "", "outlives its last consumer, and the broker") \
	X(DEPTH, "depth", NUMBER, "", "messages that wait") \
	X(BYTES, "bytes", NUMBER, "bytes", "of these") \
	X(COMING, "coming", NUMBER, "", "messages whose commit is under way") \
	X(UNACKNOWLEDGED, "unacknowledged", NUMBER, "", \
	    "messages of QoS 1 and 2 that a client has and has not finished") \
	X(LEASED, "leased", NUMBER, "", \
	    "messages of a [named queue](queues.md) that who pulls, or a push, has; null: of " \
	    "another queue") \
	X(PARKED, "parked", NUMBER, "", \
	    "messages of a named queue that have failed, and wait for a retry or block") \
	X(PAUSED, "paused", TRUTH, "", "nothing of a named queue is handed out") \
	X(AGE, "age", SPAN, "ms", \
	    "how long the oldest has been seen waiting: up to a second less than it has, not " \
	    "from " \
	    "before the broker's start; null: not watched, as queues of transient sessions") \
	X(MEMBERS, "members", NUMBER, "", \
	    "who is there to take: attached, or within the grace after a lost link; all who pull " \
	    "over HTTP are one, until 10 s after the last request") \
	X(LONELY, "lonely", SPAN, "ms", "how long nobody is; null: somebody is") \
	X(MAX_MESSAGES, "max_messages", NUMBER, "", "its limits") \
	X(MAX_BYTES, "max_bytes", NUMBER, "bytes", "") \
	X(MAX_ATTEMPTS, "max_attempts", NUMBER, "", "null: any number") \
	X(OVERFLOW, "overflow", TEXT, "", "`reject-publish`, `drop-oldest`, `drop-new`") \
	X(FULL, "full", TRUTH, "", "would have no room for a small message now") \
	X(EXPIRY, "expiry", NUMBER, "s", \
	    "how long a durable group is kept without members; null: no durable group") \
	X(EXPIRES, "expires", TIME, "ms", \
	    "when a group without subscriptions ends; null: it has some, or is none") \
	X(REFUSED, "refused", COUNTS, "", \
	    "publishes that were refused because of it, since the broker's start, by reason: " \
	    "`queue-full`, `store-full`, `memory`") \
	X(LEFT, "left", COUNTS, "", \
	    "messages that left undelivered since then: `expired`, `attempts`, `rejected`, " \
	    "`unfinished`, `overflow` (the oldest, for a newer one), `abandoned` (the same, of a " \
	    "queue without members), `no-room` (new ones, dropped)")

#define SQ_QUEUE_COLUMN(symbol, name, type, unit, help) SQ_QUEUE_##symbol,
enum sq_queue_column { SQ_QUEUE_COLUMNS(SQ_QUEUE_COLUMN) SQ_QUEUE_COLUMN_COUNT };
#undef SQ_QUEUE_COLUMN

extern const struct sq_view_table sq_queue_view;

/* Makes the row of an open queue, if it is wanted; the caller keeps the queue.  True: there is a
 * row, to which the caller adds. */
bool sq_queue_view_row(
    struct sq_view_slice *, struct sq_broker *, const struct sq_sink *, const char *kind);
/* The rows of groups' queues, for sq_view_source; 'owner' is the broker. */
bool sq_groups_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
