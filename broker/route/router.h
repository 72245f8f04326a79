/* The router: from a topic to the sinks that get the message, and the retained
 * messages of each space.
 *
 * Many readers, rare writers: each space has a lock (core/rwlock.h), held for reading while
 * messages are routed.  Between lock and unlock the space's bindings and their sinks stay; so
 * does what else is the owner's under that lock: groups of its tenants, and what they declare.
 *
 * Nobody holds the locks of two spaces, nor one for long: for some hundred puts, binds or
 * unbinds, and what one message is put to.  So who waits, waits for these alone. */
#ifndef SQ_BROKER_ROUTE_ROUTER_H
#define SQ_BROKER_ROUTE_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "broker/share/share.h"
#include "core/metrics.h"
#include "core/msg.h"
#include "proto/topic/index.h"

struct sq_router;
struct sq_space;
struct sq_route_cache;
struct sq_dead_source;
struct sq_session;
struct sq_shard;
struct sq_watched;

/* Where matched messages go: the queue of a session or a group. */
struct sq_sink {
	struct sq_shard *shard;     /* where its items are taken */
	struct sq_session *session; /* whose own queue it is; NULL: a group's */
	uint64_t taken_ms;          /* when items last left; see broker/shard/pace.h; the shard's */
	struct sq_engine *engine;
	struct sq_queue *queue;
	struct sq_dead_source *dead; /* of that queue: see broker/publish/dead_letters.h */
	struct sq_watched *watched;  /* the same: see broker/group/watch.h; NULL: it is not */
	uint32_t n_bindings;         /* the router's */
	uint32_t crowd;              /* the same */
	bool reject;                 /* a full queue refuses the publish as a whole */
	bool durable;
	uint8_t round; /* of its bindings: see broker/session/order.h; under the space's lock */
	atomic_bool offline;             /* nobody is there for QoS 0 */
	_Atomic uint64_t quiet_until_ms; /* see broker/publish/refused.h */
};

struct sq_binding {
	struct sq_index_entry entry; /* the router's */
	struct sq_space *space;      /* the router's */
	bool tagged;                 /* the router's */
	struct sq_sink *sink;
	uint64_t not_from;     /* session whose own messages don't come (no local); 0: none */
	struct sq_block *subs; /* a subscription identifier, or NULL; the owner's reference */
	/* What was retained with numbers up to this one comes by a scan; 0: nothing does. */
	uint64_t scanned_upto;
	uint8_t max_qos;
	bool as_published; /* retain flag stays (MQTT 5.0 §3.8.3.1) */
};

/* The least of limits.matches: fewer are too few for one of each kind; see router.c. */
enum { SQ_MATCHES_MIN = 16 };

struct sq_router_cfg {
	const struct sq_metrics *metrics;
	/* Bindings of one sink that a message comes to, SQ_MATCHES_MIN or more; 0: any number. */
	uint32_t max_matches;
	/* The account of a space of that name, which becomes the router's, for its retained
	 * messages; NULL: they are not counted. */
	struct sq_account *(*new_account)(void *arg, const char *space);
	void *account_arg;
	/* Numbers for records; NULL: none are written. */
	uint64_t (*new_id)(void *arg);
	void *id_arg;
};

struct sq_router *sq_router_new(const struct sq_router_cfg *);
/* No binding is left.  Retained messages go with it. */
void sq_router_free(struct sq_router **);

/* The space of that name, made when missing, with a reference.  It lives while somebody has one,
 * it has a retained message, or a grant names it; bindings need the reference of their owner.
 * Thread: any. */
struct sq_space *sq_router_space(struct sq_router *, const char *name);
/* Gives '*sp' back, if any, and nulls it.  Thread: any that has locked none. */
void sq_space_unref(struct sq_space **sp);
/* As sq_router_space(); made, it has the lock of 'home', which has one of its own: what binds in
 * both is under one lock. */
struct sq_space *
sq_router_space_beside(struct sq_router *, struct sq_space *home, const char *name);
/* How many there are.  Thread: any. */
size_t sq_router_spaces(struct sq_router *);
const char *sq_space_name(const struct sq_space *);
/* How many bindings there are.  Thread: any. */
size_t sq_space_bindings(const struct sq_space *);
/* How many retained messages there are, and of how many bytes.  Thread: any.  Locks: that of
 * the space's retained messages. */
void sq_space_retained(struct sq_space *, uint64_t *n, uint64_t *bytes);
/* Of its retained messages; NULL: it never had any.  Thread: any. */
struct sq_account *sq_space_account(const struct sq_space *);

/* Thread: any that has locked none. */
void sq_space_rdlock(struct sq_space *);
void sq_space_wrlock(struct sq_space *);
void sq_space_unlock(struct sq_space *);
/* Whether this thread is between lock and unlock. */
bool sq_space_locked(void);
/* The same, or in a slice of retained messages (sq_retained_scan_next()): it may lock no space, so
 * what is to be published waits. */
bool sq_router_locked(void);

/* Under the space's write lock.  'tag' and 'filter' as parsed; copied. */
void sq_router_bind(
    struct sq_router *, struct sq_space *, const struct sq_topic_filter *, struct sq_binding *);
void sq_router_unbind(struct sq_router *, struct sq_binding *);
/* Under the same lock: what a binding says of itself has changed. */
void sq_router_changed(struct sq_binding *);

/* Grants: what is published in a space to topics that the filter selects goes to 'reader' as
 * well, under the same topic; nothing else crosses.  At the start, before any other thread is
 * there: 'filter' is a plain one, checked. */
void sq_space_grant(struct sq_space *reader, struct sq_space *from, struct sq_bytes filter);
struct sq_grant;
/* The next reader of what is published there to the topic, behind '*at', which begins as NULL;
 * each comes once.  NULL: that was the last one.  Thread: any. */
struct sq_space *
sq_space_reader(const struct sq_space *, struct sq_bytes topic, const struct sq_grant **at);

/* Each worker has a cache of its own. */
struct sq_route_cache *sq_route_cache_new(void);
void sq_route_cache_free(struct sq_route_cache **);
/* Under the space's lock: the bindings that match the image's topic and tags, each once; valid
 * until the next lookup in this cache or the unlock.  Of one sink no more than 'max_matches':
 * among them is one of each QoS, with and without 'not_from', that matches, and of those the one
 * with the lowest 'scanned_upto'.  What is left out is counted. */
struct sq_binding **
sq_router_match(struct sq_route_cache *, struct sq_space *, const unsigned char *image, size_t *n);

/* Keeps 'm' as the retained message of its topic; an empty payload removes it
 * (MQTT 5.0 §3.3.1.3).  Takes no reference of the caller's.  SQ_ENOMEM at the limit.
 * Its record is written by 'txn'; NULL: by none.  '*number' is its place among all that was
 * retained; 0: it was not. */
int sq_router_retain(struct sq_router *, struct sq_space *, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms, struct sq_txn *txn, uint64_t *number);
/* Reads what the store has, within the limits; before any other use.  Returns the
 * engine's error. */
int sq_router_load(struct sq_router *, struct sq_engine *, uint64_t now_ms) SQ_MUST_CHECK;
/* Removes what has expired by 'now_ms', and records that nobody needs, a bounded
 * number per call.  'txn' is asked for a transaction when there is one. */
void
sq_router_sweep(struct sq_router *, uint64_t now_ms, struct sq_txn *(*txn)(void *arg), void *arg);
/* Retained messages that a filter selects, in slices. */
struct sq_retained_scan;
/* Of those that the space has now, and of what it reads of others.  One that is replaced before
 * the scan has come to it is not of them any more: to what was bound under the same write lock it
 * is a live one.  NULL: the filter selects nothing.  Thread: any; one at a time, also of those
 * below.  The space must stay. */
struct sq_retained_scan *
sq_retained_scan_open(struct sq_router *, struct sq_space *, struct sq_bytes filter);
/* See struct sq_binding. */
uint64_t sq_retained_scan_upto(const struct sq_retained_scan *);
void sq_retained_scan_close(struct sq_retained_scan **);
/* Calls 'fn' for some of them that have not expired at 'now_ms', until it returns false; returns
 * whether there may be more.  Looks at no more than '*left' levels of topics, and takes off what
 * it has looked at.  'fn' is under the lock of the space's retained messages, so it locks no space:
 * see sq_router_locked(). */
typedef bool
sq_retained_fn(const struct sq_msg *, const struct sq_origin *, uint64_t expires_ms, void *arg);
bool sq_retained_scan_next(struct sq_retained_scan *, uint64_t now_ms, size_t *left,
    sq_retained_fn *fn, void *arg) SQ_MUST_CHECK;

#endif
