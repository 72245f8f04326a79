/* The view's table of messages that wait (broker/view/table.h), whose rows come from all who have
 * queues: here those of groups.  And what names a message: its key and its origin. */
#ifndef SQ_BROKER_GROUP_MESSAGE_VIEW_H
#define SQ_BROKER_GROUP_MESSAGE_VIEW_H

#include "broker/shard/shard.h"
#include "broker/view/table.h"

/* X(symbol, name, type, unit, help) */
#define SQ_MESSAGE_COLUMNS(X) \
	X(QUEUE, "queue", TEXT, "", "in which it waits, as in `queues`") \
	X(SPACE, "space", TEXT, "", "") \
	X(NUMBER, "number", NUMBER, "", "its number there, which rises") \
	X(TOPIC, "topic", TEXT, "", "") \
	X(KEY, "key", TEXT, "", "`sqmqos-key`; null: it has none") \
	X(ORIGIN, "origin", TEXT, "", \
	    "who published it, and under which number (docs/link.md): the session's " \
	    "`incarnation`, " \
	    "`.`, run, `.`, number") \
	X(QOS, "qos", NUMBER, "", "of its delivery") \
	X(ASSURED, "assured", TRUTH, "", "QoS 3") \
	X(BYTES, "bytes", NUMBER, "bytes", "that it takes, properties and topic included") \
	X(AGE, "age", SPAN, "ms", "null: from before the broker's start") \
	X(EXPIRES, "expires", TIME, "ms", \
	    "null: never. One whose time is over leaves at its turn") \
	X(ATTEMPTS, "attempts", NUMBER, "", "how often its delivery was tried in vain")

#define SQ_MESSAGE_COLUMN(symbol, name, type, unit, help) SQ_MESSAGE_##symbol,
enum sq_message_column { SQ_MESSAGE_COLUMNS(SQ_MESSAGE_COLUMN) SQ_MESSAGE_COLUMN_COUNT };
#undef SQ_MESSAGE_COLUMN

extern const struct sq_view_table sq_message_view;

/* Makes rows of the messages that wait in a queue, from 'at.inner' on, and a last visit behind them;
 * false: the slice is full.  The caller keeps the queue. */
bool sq_messages_of(struct sq_view_slice *, const struct sq_sink *, struct sq_view_place at);
/* The rows of groups' queues, for sq_view_source; 'owner' is the broker. */
bool sq_group_messages_view(void *owner, unsigned worker, struct sq_view_slice *);

/* The idempotency key of an image; 'p' NULL: it has none. */
struct sq_bytes sq_message_key(const unsigned char *image);

enum { SQ_ORIGIN_TEXT_MAX = 64 };
/* Writes the text of an origin; returns 'out'. */
const char *sq_message_origin(const struct sq_origin *, char out[SQ_ORIGIN_TEXT_MAX]);

#endif
