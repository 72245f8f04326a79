/* Sinks, the destinations of messages, and bindings, which connect a filter with a sink. */
#ifndef SQ_BROKER_ROUTE_SINK_H
#define SQ_BROKER_ROUTE_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "proto/topic/index.h"

struct sq_source;
struct sq_shard;
struct sq_space;
struct sq_watched_queue;

/* Messages that were refused because the queue, its store or its tenant's memory had no room. */
struct sq_sink_refused {
	atomic_uint queue_full, store_full, memory;
};

/* A destination of matched messages: the queue of a session or a group, which writes the struct,
 * except for members that name another file. */
struct sq_sink {
	struct sq_shard *shard; /* the shard of its queue's owner */
	/* Hands the item out at once if nothing waits before it; true: the item was taken.  NULL:
	 * all items go through the queue, as with a group. */
	bool (*pass)(struct sq_sink *, struct sq_txn *, struct sq_item *);
	/* Fetches into the cache what pass() will touch; on the shard's worker.  NULL with pass(). */
	void (*soon)(const struct sq_sink *);
	uint64_t taken_ms; /* when items last left; broker/shard/pace.c */
	struct sq_engine *engine;
	struct sq_queue *queue;
	struct sq_source *source;         /* the queue's */
	struct sq_watched_queue *watched; /* broker/group/watch.c; NULL: not watched */
	uint32_t n_bindings;              /* broker/route/router.c */
	uint32_t crowd;                   /* the same */
	bool reject;                      /* a full queue refuses the publish as a whole */
	bool durable;
	uint32_t ttl_s;                  /* an item's expiry is at most that far off; 0: any */
	uint8_t round;                   /* broker/session/order.c, under the space's lock */
	atomic_bool offline;             /* QoS 0 has no receiver at present */
	_Atomic uint64_t quiet_until_ms; /* broker/publish/refused.c */
	struct sq_sink_refused refused;  /* the same */
};

struct sq_binding {
	struct sq_index_entry entry; /* the router's */
	struct sq_space *space;      /* the router's */
	bool tagged;                 /* the router's */
	struct sq_sink *sink;
	uint64_t not_from;     /* session whose own messages are excluded (no local); 0: none */
	struct sq_block *subs; /* a subscription identifier, or NULL; the owner's reference */
	/* Retained messages with numbers up to this one come by a scan; 0: none do. */
	uint64_t scanned_upto;
	uint8_t max_qos;
	uint8_t min_qos;   /* 1: what is published at QoS 0 is stored at QoS 1 */
	bool as_published; /* retain flag stays (MQTT 5.0 §3.8.3.1) */
};

#endif
