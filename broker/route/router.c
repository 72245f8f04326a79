/* The table of spaces, their bindings, and the matching of topics with them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics/metrics.h"
#include "broker/route/grants.h"
#include "broker/route/retained.h"
#include "broker/route/space_priv.h"
#include "core/mem.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

enum {
	CACHE_SLOTS = 256,     /* power of two */
	CACHE_TOPIC_MAX = 128, /* longer topics are looked up each time */
	CACHE_ROUTES_MAX = 4096,
};

enum { VERSION_BITS = 40 }; /* of a space's version that count its changes */

struct routes {
	struct sq_binding **v;
	size_t n, cap;
	size_t left_out;
};

/* Kinds of bindings that a message may have to know of: by QoS, and whether the publisher is
 * excepted. */
enum { KINDS = 6 };

/* The bindings collected for a sink with more of them than 'max_matches'. */
struct crowd {
	size_t n;
	size_t of_kind[KINDS]; /* among the last places: index + 1 */
};

struct cache_slot {
	uint64_t version; /* of a space; 0: nothing */
	size_t topic_len;
	unsigned char topic[CACHE_TOPIC_MAX];
	struct routes routes;
};

struct sq_route_cache {
	struct cache_slot *slots[CACHE_SLOTS];
	struct routes scratch;
	struct crowd *crowds; /* of the space that is looked up in */
	size_t cap_crowds;
};

struct sq_router *
sq_router_new(const struct sq_router_cfg *cfg)
{
	struct sq_router *r = sq_xcalloc(1, sizeof *r);

	assert(cfg->max_matches == 0 || cfg->max_matches >= SQ_MATCHES_MIN);
	r->cfg = *cfg;
	r->metrics = *cfg->metrics;
	pthread_mutex_init(&r->spaces_lock, NULL);
	return r;
}

static void
space_free(struct sq_router *r, struct sq_space *s)
{
	assert(sq_topic_index_count(s->bindings) == 0 && s->n_crowded == 0);
	sq_retained_fini(r, s);
	sq_grants_fini(s);
	sq_topic_index_free(&s->bindings);
	free(s->crowded);
	sq_space_fini(s);
	free(s);
}

void
sq_router_free(struct sq_router **rp)
{
	struct sq_router *r = *rp;
	struct sq_hnode *at;

	*rp = NULL;
	if (r == NULL)
		return;
	while ((at = sq_htab_walk(&r->spaces, NULL)) != NULL) {
		sq_htab_remove(&r->spaces, at);
		space_free(r, SQ_CONTAINER_OF(at, struct sq_space, node));
	}
	sq_htab_fini(&r->spaces);
	free(r->stale);
	pthread_mutex_destroy(&r->spaces_lock);
	free(r);
}

static struct sq_space *
space_new(struct sq_router *r, struct sq_space *home, const char *name, uint64_t hash)
{
	struct sq_space *s = sq_xcalloc(1, sizeof *s);

	s->router = r;
	sq_space_init(s, home, name);
	s->home->refs += home != NULL;
	s->version = ++r->n_spaces << VERSION_BITS;
	s->bindings = sq_topic_index_new();
	sq_retained_init(s);
	sq_list_init(&s->readers);
	sq_list_init(&s->reads);
	sq_htab_insert(&r->spaces, &s->node, hash);
	return s;
}

struct sq_space *
sq_router_space_beside(struct sq_router *r, struct sq_space *home, const char *name)
{
	uint64_t hash = sq_hash(name, strlen(name));
	struct sq_space *s = NULL;

	pthread_mutex_lock(&r->spaces_lock);
	for (struct sq_hnode *n = sq_htab_find(&r->spaces, hash); n != NULL;
	     n = sq_htab_next_same(n)) {
		s = SQ_CONTAINER_OF(n, struct sq_space, node);
		if (strcmp(s->name, name) == 0)
			break;
		s = NULL;
	}
	if (s == NULL)
		s = space_new(r, home, name, hash);
	s->refs++;
	pthread_mutex_unlock(&r->spaces_lock);
	return s;
}

struct sq_space *
sq_router_space(struct sq_router *r, const char *name)
{
	return sq_router_space_beside(r, NULL, name);
}

/* Under the lock of spaces: one reference less; returns whether nothing is left of it, and nobody
 * finds it any more. */
static bool
space_gone(struct sq_space *s)
{
	assert(s->refs > 0);
	if (--s->refs > 0 || sq_retained_count(s) > 0 || !sq_list_empty(&s->readers) ||
	    !sq_list_empty(&s->reads))
		return false;
	sq_htab_remove(&s->router->spaces, &s->node);
	return true;
}

void
sq_space_unref(struct sq_space **sp)
{
	struct sq_space *s = *sp, *home;
	struct sq_router *r;
	bool gone;

	*sp = NULL;
	if (s == NULL)
		return;
	r = s->router;
	home = s->home != s ? s->home : NULL;
	pthread_mutex_lock(&r->spaces_lock);
	gone = space_gone(s);
	pthread_mutex_unlock(&r->spaces_lock);
	if (!gone)
		return;
	space_free(r, s);
	sq_space_unref(&home);
}

struct sq_space *
sq_router_seek(struct sq_router *r, uint64_t *place)
{
	struct sq_space *s = NULL;
	struct sq_hnode *at;

	pthread_mutex_lock(&r->spaces_lock);
	at = sq_htab_seek(&r->spaces, *place);
	if (at != NULL) {
		*place = sq_hnode_place(at);
		s = SQ_CONTAINER_OF(at, struct sq_space, node);
		s->refs++;
	}
	pthread_mutex_unlock(&r->spaces_lock);
	return s;
}

size_t
sq_router_spaces(struct sq_router *r)
{
	size_t n;

	pthread_mutex_lock(&r->spaces_lock);
	n = r->spaces.n;
	pthread_mutex_unlock(&r->spaces_lock);
	return n;
}

/* A sink has come to have more bindings than a message comes to, or no longer has. */

static void
crowd_enter(struct sq_space *home, struct sq_sink *sink)
{
	if (home->n_crowded == home->cap_crowded) {
		home->cap_crowded = home->cap_crowded > 0 ? home->cap_crowded * 2 : 4;
		home->crowded = sq_xrealloc(
		    home->crowded, home->cap_crowded * sizeof(*home->crowded));
	}
	home->crowded[home->n_crowded++] = sink;
	sink->crowd = (uint32_t)home->n_crowded;
}

static void
crowd_leave(struct sq_space *home, struct sq_sink *sink)
{
	struct sq_sink *last = home->crowded[--home->n_crowded];

	home->crowded[sink->crowd - 1] = last;
	last->crowd = sink->crowd;
	sink->crowd = 0;
}

static void
space_count(const struct sq_router *r, struct sq_space *s, struct sq_sink *sink, int change)
{
	bool crowded;

	sink->n_bindings += (uint32_t)change;
	crowded = r->cfg.max_matches > 0 && sink->n_bindings > r->cfg.max_matches;
	if (crowded && sink->crowd == 0)
		crowd_enter(s->home, sink);
	else if (!crowded && sink->crowd != 0)
		crowd_leave(s->home, sink);
}

void
sq_router_bind(
    struct sq_router *r, struct sq_space *s, const struct sq_topic_filter *f, struct sq_binding *b)
{
	assert(sq_space_held(s, true));
	b->space = s;
	space_count(r, s, b->sink, 1);
	b->tagged = f->tag.len > 0;
	s->tagged += b->tagged;
	s->version++;
	atomic_fetch_add_explicit(&s->n_bindings, 1, memory_order_relaxed);
	sq_topic_index_insert(s->bindings, f->tag, f->filter, &b->entry);
	sq_metric_add(&r->metrics, SQ_M_SUBSCRIPTIONS, 1);
}

void
sq_router_unbind(struct sq_router *r, struct sq_binding *b)
{
	struct sq_space *s = b->space;

	if (!sq_index_entry_linked(&b->entry))
		return;
	assert(sq_space_held(s, true));
	sq_topic_index_remove(s->bindings, &b->entry);
	space_count(r, s, b->sink, -1);
	s->tagged -= b->tagged;
	s->version++;
	atomic_fetch_sub_explicit(&s->n_bindings, 1, memory_order_relaxed);
	sq_metric_add(&r->metrics, SQ_M_SUBSCRIPTIONS, -1);
}

void
sq_router_changed(struct sq_binding *b)
{
	assert(sq_space_held(b->space, true));
	b->space->version++;
}

/* Matching. */

struct sq_route_cache *
sq_route_cache_new(void)
{
	return sq_xcalloc(1, sizeof(struct sq_route_cache));
}

void
sq_route_cache_free(struct sq_route_cache **cp)
{
	struct sq_route_cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		if (c->slots[i] != NULL)
			free(c->slots[i]->routes.v);
		free(c->slots[i]);
	}
	free(c->scratch.v);
	free(c->crowds);
	free(c);
}

/* Of one lookup. */
struct collect {
	struct routes *to;
	struct crowd *crowds;
	size_t max; /* of a sink */
};

static void
routes_add(struct routes *to, struct sq_binding *b)
{
	if (to->n == to->cap) {
		to->cap = to->cap > 0 ? to->cap * 2 : 4;
		to->v = sq_xrealloc(to->v, to->cap * sizeof(*to->v));
	}
	to->v[to->n++] = b;
}

static void
collect_any(struct sq_index_entry *e, void *arg)
{
	struct collect *c = arg;

	routes_add(c->to, SQ_CONTAINER_OF(e, struct sq_binding, entry));
}

/* Where some sinks are crowded: of such a one those that come first, and in the places that are
 * left one of each kind, so that none misses its QoS and no message its sink. */
static void
collect_some(struct sq_index_entry *e, void *arg)
{
	struct sq_binding *b = SQ_CONTAINER_OF(e, struct sq_binding, entry);
	struct collect *c = arg;
	struct crowd *crowd = b->sink->crowd > 0 ? &c->crowds[b->sink->crowd - 1] : NULL;
	size_t *at;

	if (crowd == NULL || crowd->n < c->max - KINDS) {
		routes_add(c->to, b);
		if (crowd != NULL)
			crowd->n++;
		return;
	}
	at = &crowd->of_kind[b->max_qos % 3 + (b->not_from != 0 ? 3 : 0)];
	if (*at == 0) {
		routes_add(c->to, b);
		*at = c->to->n;
		return;
	}
	c->to->left_out++;
	if (b->scanned_upto < c->to->v[*at - 1]->scanned_upto)
		c->to->v[*at - 1] = b;
}

/* Makes room to collect bindings of the space's crowded sinks. */
static struct crowd *
cache_crowds(struct sq_route_cache *c, const struct sq_space *home)
{
	if (home->n_crowded > c->cap_crowds) {
		c->cap_crowds = home->cap_crowded;
		free(c->crowds);
		c->crowds = sq_xmalloc(c->cap_crowds * sizeof(*c->crowds));
	}
	memset(c->crowds, 0, home->n_crowded * sizeof(*c->crowds));
	return c->crowds;
}

/* Adds the bindings that ask for one of the message's tags.  A binding has one tag, so each comes
 * once.  Tags beyond SQ_TAGS_MAX, which messages of older stores may have, select nothing. */
static void
routes_add_tagged(struct sq_space *s, const unsigned char *image,
    void (*fn)(struct sq_index_entry *, void *arg), struct collect *to)
{
	struct sq_bytes topic = sq_image_topic(image);
	struct sq_tags tags;

	(void)sq_tags_read(sq_image_props(image), &tags);
	for (size_t i = 0; i < tags.n; i++)
		sq_topic_index_match_tag(s->bindings, tags.v[i], topic, fn, to);
}

static struct cache_slot *
cache_find(struct sq_route_cache *c, const struct sq_space *s, struct sq_bytes topic)
{
	uint64_t hash = (uint64_t)(uintptr_t)s;
	struct cache_slot **slot;

	for (size_t i = 0; i < topic.len; i++) /* a collision costs a look-up, no more */
		hash = (hash ^ topic.p[i]) * UINT64_C(0x100000001b3);
	slot = &c->slots[sq_hash_u64(hash) & (CACHE_SLOTS - 1)];
	if (*slot == NULL)
		*slot = sq_xcalloc(1, sizeof **slot);
	return *slot;
}

static void
routes_collect(
    struct sq_route_cache *c, struct sq_space *s, const unsigned char *image, struct routes *to)
{
	bool crowded = s->home->n_crowded > 0;
	void (*fn)(struct sq_index_entry *, void *) = crowded ? collect_some : collect_any;
	struct collect all = {.to = to, .max = s->router->cfg.max_matches};

	if (crowded)
		all.crowds = cache_crowds(c, s->home);
	to->n = to->left_out = 0;
	sq_topic_index_match(s->bindings, sq_image_topic(image), fn, &all);
	if (s->tagged > 0)
		routes_add_tagged(s, image, fn, &all);
}

/* The bindings found; counts those left out. */
static struct sq_binding **
routes_found(struct sq_router *r, const struct routes *found, size_t *n)
{
	if (found->left_out > 0)
		sq_metric_add(&r->metrics, SQ_M_MATCHES_LEFT_OUT, (int64_t)found->left_out);
	*n = found->n;
	return found->v;
}

struct sq_binding **
sq_router_match(struct sq_route_cache *c, struct sq_space *s, const unsigned char *image, size_t *n)
{
	struct sq_bytes topic = sq_image_topic(image);
	struct routes *to = &c->scratch;
	struct cache_slot *slot = NULL;

	assert(sq_space_held(s, false));
	if (topic.len <= CACHE_TOPIC_MAX && s->tagged == 0) {
		slot = cache_find(c, s, topic);
		to = &slot->routes;
		if (slot->version == s->version && slot->topic_len == topic.len &&
		    memcmp(slot->topic, topic.p, topic.len) == 0)
			return routes_found(s->router, to, n);
		slot->version = s->version;
		slot->topic_len = topic.len;
		memcpy(slot->topic, topic.p, topic.len);
	}
	routes_collect(c, s, image, to);
	if (slot != NULL && to->n > CACHE_ROUTES_MAX)
		slot->version = 0; /* too large to keep */
	return routes_found(s->router, to, n);
}
