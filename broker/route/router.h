/* The router: the table of spaces, and the way from a topic to the sinks that get the message. */
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
 * it has a retained message, or a grant names it; a binding needs the reference of its owner.
 * Thread: any. */
struct sq_space *sq_router_space(struct sq_router *, const char *name);
/* The same; a space that is made so has the lock of 'home', which has one of its own: bindings in
 * both are under one lock. */
struct sq_space *
sq_router_space_beside(struct sq_router *, struct sq_space *home, const char *name);
/* Gives '*sp' back, if any, and nulls it.  Thread: any that has locked none. */
void sq_space_unref(struct sq_space **sp);
/* How many there are.  Thread: any. */
size_t sq_router_spaces(struct sq_router *);
/* Under the space's write lock.  'tag' and 'filter' as parsed; copied. */
void sq_router_bind(
    struct sq_router *, struct sq_space *, const struct sq_topic_filter *, struct sq_binding *);
void sq_router_unbind(struct sq_router *, struct sq_binding *);
/* Under the same lock: a member of the binding was changed by its owner. */
void sq_router_changed(struct sq_binding *);

/* Each worker has a cache of its own. */
struct sq_route_cache *sq_route_cache_new(void);
void sq_route_cache_free(struct sq_route_cache **);
/* Under the space's lock: the bindings that match the image's topic and tags, each once; valid
 * until the next lookup in this cache or the unlock.  Of one sink no more than 'max_matches':
 * among them is one of each QoS, with and without 'not_from', that matches, and of those the one
 * with the lowest 'scanned_upto'.  Bindings that are left out are counted. */
struct sq_binding **
sq_router_match(struct sq_route_cache *, struct sq_space *, const unsigned char *image, size_t *n);

#endif
