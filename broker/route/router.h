/* The router: the table of topic spaces, and the matching of a topic with the sinks that get the
 * message. */
#ifndef SQ_BROKER_ROUTE_ROUTER_H
#define SQ_BROKER_ROUTE_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/route/sink.h"
#include "broker/route/space.h"
#include "broker/share/share.h"
#include "core/metrics.h"
#include "core/msg.h"

struct sq_router;
struct sq_route_cache;

/* The minimum of limits.matches: one binding of each kind; see router.c. */
enum { SQ_MATCHES_MIN = 16 };

struct sq_router_cfg {
	const struct sq_metrics *metrics;
	/* The most bindings of one sink that a message matches, SQ_MATCHES_MIN or more; 0: any
	 * number. */
	uint32_t max_matches;
	/* Makes the account of a space's retained messages; the router owns it.  NULL: retained
	 * messages are not counted. */
	struct sq_account *(*new_account)(void *arg, const char *space);
	void *account_arg;
	/* Draws a number for a record; NULL: no records are written. */
	uint64_t (*new_id)(void *arg);
	void *id_arg;
};

struct sq_router *sq_router_new(const struct sq_router_cfg *);
/* Frees the router with its retained messages, and nulls the pointer; no binding is left. */
void sq_router_free(struct sq_router **);

/* The space of that name, made if it is missing, with a reference.  It exists while it has a
 * reference or a retained message, or a grant names it; a binding needs the reference of its owner.
 * Thread: any.  Locks: the router's. */
struct sq_space *sq_router_space(struct sq_router *, const char *name);
/* The space of that name, made if it is missing with the lock of 'home', which has a lock of its
 * own: bindings in both are under one lock.  Thread: any.  Locks: the router's. */
struct sq_space *
sq_router_space_beside(struct sq_router *, struct sq_space *home, const char *name);
/* Gives a reference back, if there is one, and nulls the pointer.  Thread: any that has locked no
 * space. */
void sq_space_unref(struct sq_space **sp);
/* The number of spaces.  Thread: any.  Locks: the router's. */
size_t sq_router_spaces(struct sq_router *);
/* For a walk over all spaces: moves '*place' to the first one there or behind; a reference.  NULL:
 * there is none.  Thread: any.  Locks: that of spaces. */
struct sq_space *sq_router_seek(struct sq_router *, uint64_t *place);
/* Binds a sink to the filter, which is copied; the binding's owner keeps it until
 * sq_router_unbind().  Locks: the space's write lock is held, for the next three. */
void sq_router_bind(
    struct sq_router *, struct sq_space *, const struct sq_topic_filter *, struct sq_binding *);
void sq_router_unbind(struct sq_router *, struct sq_binding *);
/* The owner has changed a member of the binding. */
void sq_router_changed(struct sq_binding *);

/* A cache of matches; each worker has one. */
struct sq_route_cache *sq_route_cache_new(void);
void sq_route_cache_free(struct sq_route_cache **);
/* The bindings that match the image's topic and tags, each once; '*n' gets their number.  Valid
 * until the next lookup in this cache or the unlock.  At most 'max_matches' of one sink: they
 * include a matching one of each QoS, with and without 'not_from', each with the lowest
 * 'scanned_upto'.  Bindings left out are counted.  Locks: the space's is held. */
struct sq_binding **
sq_router_match(struct sq_route_cache *, struct sq_space *, const unsigned char *image, size_t *n);

#endif
