/* Groups: queues that several sessions take from, each message going to one.
 *
 * A group is a share name with its filter (MQTT 5.0 §4.8.2), or what the pods
 * of a workload declare.  What a group is changes under the write lock of its tenant's space,
 * and its place in the table under one of the table's own; references are atomic, because slots
 * on any worker hold them.
 *
 * Where the engine is durable, so is the queue of every share and of every group that
 * is declared so, from its first subscription on, a transient session's too: a durable session
 * may join at any time.  Group and bindings then have records; a share's go with its last
 * subscription.  Subscriptions of transient sessions have none: after a restart such a
 * group waits for them to come back. */
#ifndef SQ_BROKER_GROUP_GROUP_H
#define SQ_BROKER_GROUP_GROUP_H

#include "broker/group/group_options.h"
#include "broker/group/ending.h"
#include "broker/shard/shard.h"
#include "broker/shard/tenant.h"

/* One filter of a group, wanted by 'refs' subscriptions. */
struct sq_group_binding {
	struct sq_list node;
	struct sq_hnode by_name;
	struct sq_binding binding;
	unsigned refs;
	uint32_t number; /* of its record; 0: it has none */
	size_t tag_len, filter_len;
	char name[]; /* then the tag and the filter, as they are bound */
};

struct sq_group_bindings {
	struct sq_list list;
	struct sq_htab by_name;
	size_t n_kept; /* of them, that nobody wants */
	uint32_t next; /* number of the last record of one */
};

struct sq_group_cfg {
	const char *name;
	struct sq_tenant *tenant;
	bool durable, share;
	uint32_t expiry_s; /* as it was asked for; 0: the broker's */
	uint32_t max_length, max_attempts;
	enum sq_overflow overflow;
};

/* What of it is declared. */
static inline struct sq_options
sq_group_cfg_options(const struct sq_group_cfg *cfg)
{
	return (struct sq_options){.expiry_s = cfg->expiry_s,
	    .max_length = cfg->max_length,
	    .max_attempts = cfg->max_attempts,
	    .overflow = cfg->overflow,
	    .durable = cfg->durable};
}

struct sq_group {
	struct sq_hnode node, by_id;
	struct sq_broker *broker;
	atomic_uint refs;
	char *name;
	uint64_t id; /* the queue, in targets */
	struct sq_sink sink;
	struct sq_worker *owner; /* of the queue */
	struct sq_group_bindings bound;
	struct sq_tenant *tenant; /* a reference; of one in the table also in its account */
	struct sq_group_cfg cfg;  /* without pointers; limits and expiry are those in force */
	unsigned n_subs;          /* subscriptions of live sessions */
	struct sq_group_options options; /* what its pods declare, and what is in force */
	bool unsaved;                    /* its record says an older pod's word */
	bool disagrees, waits;           /* as the gauges have it: see group_declare.h */
	bool durable;                    /* outlives its last subscription by 'expiry_s' */
	bool stored;                     /* it and its bindings have records */
	uint32_t expiry_s;               /* as it is granted; 0 where it is not durable */
	uint64_t expires_ms;             /* while n_subs is 0 */
	uint64_t undated_ms; /* when its record is to say that, if nobody came; 0: it does */
	bool awaited;        /* after a start: its queue was told that somebody is there */
	bool listed;
	struct sq_ending *ending; /* of its queue, once it is not listed */
};

static inline struct sq_group *
sq_group_ref(struct sq_group *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

/* Whether this thread has the write lock of the tenant's space, under which a group changes. */
static inline bool
sq_group_held(const struct sq_group *g)
{
	return sq_space_held(sq_tenant_space(g->tenant), true);
}

/* Gives '*gp' back, if any, and nulls it; the last one gives the queue up. */
void sq_group_unref(struct sq_group **gp);

/* All of a broker's groups, and their end: all were removed. */
struct sq_groups *sq_groups_new(void);
void sq_groups_free(struct sq_groups **);

/* A group that no name leads to, and that ends with sq_group_free_pinned() alone: of dead
 * letters, say.  Its queue is that of 'q', made by 'txn' where it is new; one reference. */
struct sq_group *sq_group_new_pinned(struct sq_broker *, struct sq_tenant *, uint64_t id,
    const struct sq_queue_cfg *q, struct sq_txn *txn);
/* Nobody else has a reference.  'txn' deletes the queue and what is stored of it; NULL: that
 * stays.  Nulls the pointer. */
void sq_group_free_pinned(struct sq_group **, struct sq_txn *txn);

/* All under the write lock of the tenant's space.  Records go into 'txn'; NULL: the store stays as
 * it is. */

/* Whether the group of that name is there. */
bool sq_group_there(struct sq_broker *, const char *name);
/* The group of that name, made when missing, with a reference and one more
 * subscription.  An existing one keeps its options until one is declared
 * (group_declare.h). */
struct sq_group *sq_group_join(struct sq_broker *, const struct sq_group_cfg *, struct sq_txn *txn);
/* Whether there is a group of that name with a binding of that. */
bool sq_group_has(struct sq_broker *, const char *group, const char *binding);
/* One subscription less; takes the reference of sq_group_join() back.  A group
 * that nobody wants goes at once, or soon where 'txn' is full; a durable one when it expires.
 * One whose options say durable by now is made anew so, with its bindings, and without its
 * messages. */
void sq_group_leave(struct sq_group **gp, uint64_t now_ms, struct sq_txn *txn);
/* Wants 'filter', in the tenant's topic space, in the group's queue, at most at 'qos'. */
struct sq_group_binding *sq_group_bind(struct sq_group *, const struct sq_topic_filter *filter,
    const char *name, uint8_t qos, struct sq_txn *txn);
/* Wants it at most at 'qos' from now on. */
void
sq_group_set_qos(struct sq_group *, struct sq_group_binding *, uint8_t qos, struct sq_txn *txn);
/* Whether what a session that ends has bound is kept for those that come. */
static inline bool
sq_group_keeps(const struct sq_group *g)
{
	return g->options.now.durable;
}

/* Wants it no longer.  'keep': stays bound until the group goes or is pruned. */
void sq_group_unbind(struct sq_group *, struct sq_group_binding *, bool keep, struct sq_txn *txn);
/* Drops kept bindings that nobody wants: members have declared theirs. */
void sq_group_prune(struct sq_group *, struct sq_txn *txn);
/* Removes durable groups that are empty for too long, those of a part of the table in each call;
 * takes the locks itself.  False: that was the last part. */
bool sq_groups_expire(struct sq_broker *, uint64_t now_ms);
/* At the end of the broker: removes all; what is stored of them stays. */
void sq_groups_clear(struct sq_broker *);

/* Start (group_load.h): a group in the table, without its queue, and a binding of it that
 * nobody wants yet. */
struct sq_group *
sq_group_make(struct sq_broker *, const struct sq_group_cfg *, uint64_t id, bool stored);
struct sq_group_binding *sq_group_binding_make(
    struct sq_group *, const struct sq_topic_filter *filter, const char *name, uint8_t qos);
/* Opens the queues of all that have none. */
void sq_groups_open(struct sq_broker *);
/* By the number that targets have, with a reference, a pinned one, too; NULL: there is none.
 * At the start. */
struct sq_group *sq_group_by_id(struct sq_broker *, uint64_t id);

#endif
