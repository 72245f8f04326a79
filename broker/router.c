/* Spaces, their bindings, and the way from a topic to these. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics.h"
#include "broker/router_priv.h"
#include "core/mem.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

enum {
	CACHE_SLOTS = 256,     /* power of two */
	CACHE_TOPIC_MAX = 128, /* longer topics are looked up each time */
	CACHE_ROUTES_MAX = 4096,
};

enum { VERSION_BITS = 40 }; /* of a space's version that count its changes */

static _Thread_local bool space_is_locked;

struct routes {
	struct sq_binding **v;
	size_t n, cap;
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
};

struct sq_router *
sq_router_new(const struct sq_router_cfg *cfg)
{
	struct sq_router *r = sq_xcalloc(1, sizeof *r);

	r->cfg = *cfg;
	r->metrics = *cfg->metrics;
	pthread_mutex_init(&r->spaces_lock, NULL);
	return r;
}

static void
space_free(struct sq_router *r, struct sq_space *s)
{
	assert(sq_topic_index_count(s->bindings) == 0);
	sq_retained_fini(r, s);
	sq_grants_fini(s);
	sq_topic_index_free(&s->bindings);
	sq_rwlock_fini(&s->lock);
	free(s->name);
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
	s->name = sq_xstrdup(name);
	s->home = home != NULL ? home : s;
	s->home->refs += home != NULL;
	s->version = ++r->n_spaces << VERSION_BITS;
	sq_rwlock_init(&s->lock);
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

size_t
sq_router_spaces(struct sq_router *r)
{
	size_t n;

	pthread_mutex_lock(&r->spaces_lock);
	n = r->spaces.n;
	pthread_mutex_unlock(&r->spaces_lock);
	return n;
}

const char *
sq_space_name(const struct sq_space *s)
{
	return s->name;
}

size_t
sq_space_bindings(const struct sq_space *s)
{
	return atomic_load_explicit(&s->n_bindings, memory_order_relaxed);
}

void
sq_space_rdlock(struct sq_space *s)
{
	assert(!sq_router_locked());
	sq_rwlock_read(&s->home->lock);
	space_is_locked = true;
}

void
sq_space_wrlock(struct sq_space *s)
{
	assert(!sq_router_locked());
	sq_rwlock_write(&s->home->lock);
	space_is_locked = true;
}

void
sq_space_unlock(struct sq_space *s)
{
	assert(space_is_locked);
	space_is_locked = false;
	sq_rwlock_unlock(&s->home->lock);
}

bool
sq_space_locked(void)
{
	return space_is_locked;
}

bool
sq_router_locked(void)
{
	return space_is_locked || sq_retained_locked();
}

void
sq_router_bind(
    struct sq_router *r, struct sq_space *s, const struct sq_topic_filter *f, struct sq_binding *b)
{
	b->space = s;
	b->sink->n_bindings++;
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
	sq_topic_index_remove(s->bindings, &b->entry);
	b->sink->n_bindings--;
	s->tagged -= b->tagged;
	s->version++;
	atomic_fetch_sub_explicit(&s->n_bindings, 1, memory_order_relaxed);
	sq_metric_add(&r->metrics, SQ_M_SUBSCRIPTIONS, -1);
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
	free(c);
}

static void
routes_add(struct sq_index_entry *e, void *arg)
{
	struct routes *to = arg;

	if (to->n == to->cap) {
		to->cap = to->cap > 0 ? to->cap * 2 : 4;
		to->v = sq_xrealloc(to->v, to->cap * sizeof(*to->v));
	}
	to->v[to->n++] = SQ_CONTAINER_OF(e, struct sq_binding, entry);
}

/* Adds the bindings that ask for one of the message's tags.  A binding has one tag, so each comes
 * once.  Tags beyond SQ_TAGS_MAX, which messages of older stores may have, select nothing. */
static void
routes_add_tagged(struct sq_space *s, const unsigned char *image, struct routes *to)
{
	struct sq_bytes topic = sq_image_topic(image);
	struct sq_tags tags;

	(void)sq_tags_read(sq_image_props(image), &tags);
	for (size_t i = 0; i < tags.n; i++)
		sq_topic_index_match_tag(s->bindings, tags.v[i], topic, routes_add, to);
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

struct sq_binding **
sq_router_match(struct sq_route_cache *c, struct sq_space *s, const unsigned char *image, size_t *n)
{
	struct sq_bytes topic = sq_image_topic(image);
	struct routes *to = &c->scratch;
	struct cache_slot *slot = NULL;

	if (topic.len <= CACHE_TOPIC_MAX && s->tagged == 0) {
		slot = cache_find(c, s, topic);
		to = &slot->routes;
		if (slot->version == s->version && slot->topic_len == topic.len &&
		    memcmp(slot->topic, topic.p, topic.len) == 0) {
			*n = to->n;
			return to->v;
		}
		slot->version = s->version;
		slot->topic_len = topic.len;
		memcpy(slot->topic, topic.p, topic.len);
	}
	to->n = 0;
	sq_topic_index_match(s->bindings, topic, routes_add, to);
	if (s->tagged > 0)
		routes_add_tagged(s, image, to);
	if (slot != NULL && to->n > CACHE_ROUTES_MAX)
		slot->version = 0; /* too large to keep */
	*n = to->n;
	return to->v;
}
