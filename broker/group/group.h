/* Groups: queues from which several sessions take, each message going to one.
 *
 * A group is a share name with its filter (MQTT 5.0 §4.8.2), or a queue that the pods of a workload
 * declare, or one that has a name of its own (named.h).  A group changes under the write lock of its tenant's space; the table of groups has a
 * lock of its own.  References are atomic, because slots on any worker hold them.
 *
 * With a durable engine, the queue of every share, and of every group declared durable, is durable
 * from the first subscription on, also from a transient session's: a durable session may join at
 * any time.  Group and bindings have records then; a share's are deleted with its last
 * subscription.  Subscriptions of transient sessions have none: after a restart the group waits for
 * them to come back. */
#ifndef SQ_BROKER_GROUP_GROUP_H
#define SQ_BROKER_GROUP_GROUP_H

#include "broker/group/group_options.h"
#include "broker/group/ending.h"
#include "broker/shard/shard.h"
#include "broker/shard/tenant.h"

/* One filter of a group, used by 'refs' subscriptions. */
struct sq_group_binding {
	struct sq_list node;
	struct sq_hnode by_name;
	struct sq_binding binding;
	unsigned refs;
	uint32_t number; /* of its record; 0: it has none */
	size_t tag_len, filter_len;
	char name[]; /* then the bound tag and filter */
};

struct sq_group_bindings {
	struct sq_list list;
	struct sq_htab by_name;
	size_t n_kept; /* bindings without a subscription */
	uint32_t next; /* number of the last record of one */
};

enum { SQ_GROUP_PARTS = 3 }; /* of a name, behind its kind */

struct sq_group_cfg {
	const char *name;
	struct sq_tenant *tenant;
	bool durable, share;
	bool named;           /* see named.h; of such a group alone: */
	bool ordered, closed; /* nobody joins it by MQTT */
	uint32_t expiry_s;    /* wanted; 0: the broker's default */
	uint32_t max_length, max_attempts;
	uint64_t max_bytes; /* of the queue; 0: the broker's */
	uint32_t ttl_s;     /* of a message there; 0: its own expiry alone */
	enum sq_overflow overflow;
};

/* The options that a group declares. */
static inline struct sq_options
sq_group_cfg_options(const struct sq_group_cfg *cfg)
{
	return (struct sq_options){.expiry_s = cfg->expiry_s,
	    .max_length = cfg->max_length,
	    .max_attempts = cfg->max_attempts,
	    .overflow = cfg->overflow,
	    .durable = cfg->durable};
}

/* Messages of a named queue that who pulls has, or that wait for another attempt; written by its worker. */
struct sq_group_pulled {
	_Atomic uint64_t leased, parked;
};

struct sq_group {
	struct sq_hnode node, by_id;
	struct sq_broker *broker;
	atomic_uint refs;
	char *name;
	uint64_t id; /* the queue, in targets */
	struct sq_sink sink;
	struct sq_worker *owner; /* of the queue */
	struct sq_group_bindings bound;
	struct sq_tenant *tenant;        /* a reference; of one in the table also in its account */
	struct sq_group_cfg cfg;         /* without pointers; limits and expiry in force */
	unsigned n_subs;                 /* subscriptions of live sessions */
	struct sq_group_options options; /* the pods' declarations, and the options in force */
	bool unsaved;                    /* its record has the options of an older pod */
	bool disagrees, waits;           /* counted in gauges: see group_declare.h */
	bool durable;                    /* outlives its last subscription by 'expiry_s' */
	bool stored;                     /* it and its bindings have records */
	uint32_t expiry_s;               /* granted; 0 if it is not durable */
	uint64_t expires_ms;             /* while n_subs is 0 */
	uint64_t undated_ms;             /* when the record is to get 'expires_ms'; 0: it has it */
	bool awaited; /* after a start: its queue counts a taker that is expected */
	bool listed;
	struct sq_group_pulled pulled;
	struct sq_ending *ending; /* of its queue, after it was removed from the table */
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

/* Gives a reference back, if there is one, and nulls the pointer; the last one ends the queue.
 * Thread: any worker. */
void sq_group_unref(struct sq_group **gp);

/* The groups of a broker; freed when all have been removed. */
struct sq_groups *sq_groups_new(void);
void sq_groups_free(struct sq_groups **);

/* Makes a group that is not found by name, for example of dead letters, and ends by
 * sq_group_free_pinned() alone.  Its queue has the configuration 'q'; 'txn' makes a new one.  One
 * reference. */
struct sq_group *sq_group_new_pinned(struct sq_broker *, struct sq_tenant *, uint64_t id,
    const struct sq_queue_cfg *q, struct sq_txn *txn);
/* Frees a pinned group without other references.  'txn' deletes the queue and its records; NULL:
 * both stay.  Nulls the pointer. */
void sq_group_free_pinned(struct sq_group **, struct sq_txn *txn);

/* Locks: the write lock of the tenant's space is held, for the functions below.  'txn' gets the
 * records; NULL: none are written. */

/* The group of that name, with a reference; NULL: there is none.  Thread: any worker.  Locks: its
 * own, none of these. */
struct sq_group *sq_group_find(struct sq_broker *, const char *name);
/* The same by a name as its source shows it, where a '~' may stand between two parts or in one: 'at'
 * has the places of the first 'n' that part it, and parts behind these are empty. */
struct sq_group *
sq_group_find_shown(struct sq_broker *, const char *shown, const size_t *at, size_t n);
/* The name that rules of acl have for its queue: that of the share, or of what is declared.  Valid as
 * long as the group, which is not of dead letters. */
struct sq_bytes sq_group_rule_name(const struct sq_group *);
/* The worker that owns, or would own, the queue of a group of that name.  Thread: any. */
struct sq_shard *sq_group_owner(const struct sq_broker *, const char *name);
/* Whether a group of that name exists. */
bool sq_group_there(struct sq_broker *, const char *name);
/* The group of that name, made if it is missing, with a reference and one more subscription.  An
 * existing one keeps its options until some are declared (group_declare.h). */
struct sq_group *sq_group_join(struct sq_broker *, const struct sq_group_cfg *, struct sq_txn *txn);
/* Counts one more subscription of a pinned group, of which the caller has a reference; ended by
 * sq_group_leave(). */
void sq_group_join_pinned(struct sq_group *);
/* Whether a group of that name exists and has that binding. */
bool sq_group_has(struct sq_broker *, const char *group, const char *binding);
/* Removes a subscription, with the reference of sq_group_join().  A group without subscriptions
 * ends at once, or soon if 'txn' is full; a durable one when it expires.  A group that has been
 * declared durable since it was made is replaced by a durable one with its bindings, and without
 * its messages. */
void sq_group_leave(struct sq_group **gp, uint64_t now_ms, struct sq_txn *txn);
/* Binds the group's queue to 'filter' in the tenant's topic space, at most at 'qos', for one more
 * subscription. */
struct sq_group_binding *sq_group_bind(struct sq_group *, const struct sq_topic_filter *filter,
    const char *name, uint8_t qos, struct sq_txn *txn);
/* The binding of that name; NULL: there is none. */
struct sq_group_binding *sq_group_binding_find(const struct sq_group *, const char *name);
/* Sets the maximum QoS of a binding. */
void
sq_group_set_qos(struct sq_group *, struct sq_group_binding *, uint8_t qos, struct sq_txn *txn);
/* Whether bindings of a session that ends are kept for later members. */
static inline bool
sq_group_keeps(const struct sq_group *g)
{
	return g->options.now.durable;
}

/* Removes a subscription from the binding.  'keep': the filter stays bound until the group ends or
 * is pruned. */
void sq_group_unbind(struct sq_group *, struct sq_group_binding *, bool keep, struct sq_txn *txn);
/* Drops kept bindings without a subscription, once members have declared theirs. */
void sq_group_prune(struct sq_group *, struct sq_txn *txn);
/* Removes expired durable groups in a part of the table with each call.  False: this was the last
 * part.  Locks: its own. */
bool sq_groups_expire(struct sq_broker *, uint64_t now_ms);
/* For a walk over all groups: moves '*place' to the first group there or behind; '*out' gets it, with
 * a reference, or NULL for a pinned one, which is its owner's to show.  False: there is none.
 * Thread: any worker.  Locks: its own. */
bool sq_groups_seek(struct sq_broker *, uint64_t *place, struct sq_group **out);
/* For named.h: takes the group out of the table, and ends its queue. */
void sq_group_unlist(struct sq_group *, enum sq_ending_why, struct sq_txn *txn);
/* Removes all groups at the end of the broker; records stay. */
void sq_groups_clear(struct sq_broker *);

/* For the start (group_load.h): make a group in the table, without its queue, and a binding of it
 * without a subscription. */
struct sq_group *
sq_group_make(struct sq_broker *, const struct sq_group_cfg *, uint64_t id, bool stored);
struct sq_group_binding *sq_group_binding_make(
    struct sq_group *, const struct sq_topic_filter *filter, const char *name, uint8_t qos);
/* Opens the queues of groups without one. */
void sq_groups_open(struct sq_broker *);
/* The group with that number, pinned ones included, with a reference; NULL: there is none.  At the
 * start. */
struct sq_group *sq_group_by_id(struct sq_broker *, uint64_t id);

#endif
