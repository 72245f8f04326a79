/* Groups: queues that several sessions take from, each message going to one.
 *
 * A group is a share name with its filter (MQTT 5.0 §4.8.2), or what the pods
 * of a workload declare.  The table and the bindings change under the router's
 * write lock; references are atomic, because slots on any worker hold them. */
#ifndef SQ_BROKER_GROUP_H
#define SQ_BROKER_GROUP_H

#include "broker/shard.h"

/* One filter of a group, wanted by 'refs' subscriptions. */
struct sq_group_binding {
	struct sq_list node;
	struct sq_binding binding;
	unsigned refs;
	char name[];
};

struct sq_group {
	struct sq_hnode node;
	struct sq_broker *broker;
	atomic_uint refs;
	char *name;
	uint64_t id; /* the queue, in targets */
	struct sq_sink sink;
	struct sq_worker *owner; /* of the queue */
	struct sq_list bindings;
	unsigned n_subs; /* subscriptions of live sessions */
	bool durable;    /* outlives its last subscription by 'expiry_s' */
	uint32_t expiry_s;
	uint64_t empty_since_ms; /* while n_subs is 0 */
	bool listed;
};

struct sq_group_cfg {
	const char *name;
	struct sq_space *space;
	bool durable;
	uint32_t expiry_s, max_length, max_attempts;
	enum sq_overflow overflow;
};

static inline struct sq_group *
sq_group_ref(struct sq_group *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

/* Gives '*gp' back, if any, and nulls it; the last one deletes the queue. */
void sq_group_unref(struct sq_group **gp);

/* All under the router's write lock. */

/* The group of that name, made when missing, with a reference and one more
 * subscription.  An existing one keeps its limits. */
struct sq_group *sq_group_join(struct sq_broker *, const struct sq_group_cfg *);
/* One subscription less; takes the reference of sq_group_join() back.  A group
 * that nobody wants goes at once, a durable one when it expires. */
void sq_group_leave(struct sq_group **gp, uint64_t now_ms);
/* Wants 'filter' in the group's queue, at most at 'qos'. */
struct sq_group_binding *sq_group_bind(struct sq_group *, struct sq_space *,
    const struct sq_topic_filter *filter, const char *name, uint8_t qos);
/* Wants it no longer.  'keep': stays bound until the group goes or is pruned. */
void sq_group_unbind(struct sq_group *, struct sq_group_binding *, bool keep);
/* Drops kept bindings that nobody wants: members have declared theirs. */
void sq_group_prune(struct sq_group *);
/* Removes durable groups that are empty for too long; takes the lock itself. */
void sq_groups_expire(struct sq_broker *, uint64_t now_ms);
/* At the end of the broker: removes all. */
void sq_groups_clear(struct sq_broker *);

#endif
