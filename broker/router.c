#include "broker/router.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics.h"
#include "core/clock.h"
#include "core/htab.h"
#include "core/mem.h"

enum {
	CACHE_SLOTS = 256,     /* power of two */
	CACHE_TOPIC_MAX = 128, /* longer topics are looked up each time */
	CACHE_ROUTES_MAX = 4096,
	SCAN_SLICE = 1024,
};

struct sq_space {
	struct sq_hnode node;
	char *name;
	struct sq_topic_index *bindings;
	size_t tagged; /* bindings that ask for a tag */
	pthread_mutex_t retained_lock;
	struct sq_topic_index *retained;
	struct sq_list retained_list;
};

struct retained {
	struct sq_index_entry entry;
	struct sq_list node;
	struct sq_msg msg;
	struct sq_origin origin;
	uint64_t expires_ms;
};

struct sq_router {
	struct sq_router_cfg cfg;
	struct sq_metrics metrics;
	pthread_rwlock_t lock;
	struct sq_htab spaces; /* under 'spaces_lock' */
	pthread_mutex_t spaces_lock;
	uint64_t version; /* counts changes of bindings; under 'lock' */
	atomic_uint_fast64_t retained_msgs, retained_bytes;
};

struct routes {
	struct sq_binding **v;
	size_t n, cap;
};

struct cache_slot {
	const struct sq_space *space;
	uint64_t version;
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
	r->version = 1;
	pthread_rwlock_init(&r->lock, NULL);
	pthread_mutex_init(&r->spaces_lock, NULL);
	return r;
}

static void
retained_free(struct sq_router *r, struct sq_space *s, struct retained *kept)
{
	int64_t size = sq_image_size(kept->msg.image);

	atomic_fetch_sub(&r->retained_msgs, 1);
	atomic_fetch_sub(&r->retained_bytes, size);
	sq_metric_add(&r->metrics, SQ_M_RETAINED, -1);
	sq_topic_index_remove(s->retained, &kept->entry);
	sq_list_remove(&kept->node);
	sq_msg_unref(&kept->msg);
	free(kept);
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
		struct sq_space *s = SQ_CONTAINER_OF(at, struct sq_space, node);

		assert(sq_topic_index_count(s->bindings) == 0);
		sq_htab_remove(&r->spaces, at);
		SQ_LIST_FOR_EACH_SAFE(kept, &s->retained_list, struct retained, node)
			retained_free(r, s, kept);
		sq_topic_index_free(&s->bindings);
		sq_topic_index_free(&s->retained);
		pthread_mutex_destroy(&s->retained_lock);
		free(s->name);
		free(s);
	}
	sq_htab_fini(&r->spaces);
	pthread_mutex_destroy(&r->spaces_lock);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

static struct sq_space *
space_new(struct sq_router *r, const char *name, uint64_t hash)
{
	struct sq_space *s = sq_xcalloc(1, sizeof *s);

	s->name = sq_xstrdup(name);
	s->bindings = sq_topic_index_new();
	s->retained = sq_topic_index_new();
	sq_list_init(&s->retained_list);
	pthread_mutex_init(&s->retained_lock, NULL);
	sq_htab_insert(&r->spaces, &s->node, hash);
	return s;
}

struct sq_space *
sq_router_space(struct sq_router *r, const char *name)
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
		s = space_new(r, name, hash);
	pthread_mutex_unlock(&r->spaces_lock);
	return s;
}

void
sq_router_rdlock(struct sq_router *r)
{
	pthread_rwlock_rdlock(&r->lock);
}

void
sq_router_wrlock(struct sq_router *r)
{
	pthread_rwlock_wrlock(&r->lock);
}

void
sq_router_unlock(struct sq_router *r)
{
	pthread_rwlock_unlock(&r->lock);
}

void
sq_router_bind(
    struct sq_router *r, struct sq_space *s, const struct sq_topic_filter *f, struct sq_binding *b)
{
	b->space = s;
	b->sink->n_bindings++;
	b->tagged = f->tag.len > 0;
	s->tagged += b->tagged;
	r->version++;
	sq_topic_index_insert(s->bindings, f->tag, f->filter, &b->entry);
	sq_metric_add(&r->metrics, SQ_M_SUBSCRIPTIONS, 1);
}

void
sq_router_unbind(struct sq_router *r, struct sq_binding *b)
{
	if (!sq_index_entry_linked(&b->entry))
		return;
	sq_topic_index_remove(b->space->bindings, &b->entry);
	b->sink->n_bindings--;
	b->space->tagged -= b->tagged;
	r->version++;
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

/* A message may carry one tag twice; each binding is wanted once. */
static void
routes_unique(struct routes *to, size_t from)
{
	size_t n = from;

	for (size_t i = from; i < to->n; i++) {
		size_t seen = from;

		while (seen < n && to->v[seen] != to->v[i])
			seen++;
		if (seen == n)
			to->v[n++] = to->v[i];
	}
	to->n = n;
}

/* Adds the bindings that ask for one of the message's tags: its user
 * properties named "tag" (MQTT 5.0 §3.3.2.3.7). */
static void
routes_add_tagged(struct sq_space *s, const unsigned char *image, struct routes *to)
{
	struct sq_bytes props = sq_image_props(image), topic = sq_image_topic(image), name, value;
	size_t from = to->n;

	while (sq_props_user_next(&props, &name, &value)) {
		if (name.len == 3 && memcmp(name.p, "tag", 3) == 0 && value.len > 0)
			sq_topic_index_match_tag(s->bindings, value, topic, routes_add, to);
	}
	routes_unique(to, from);
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
sq_router_match(struct sq_router *r, struct sq_route_cache *c, struct sq_space *s,
    const unsigned char *image, size_t *n)
{
	struct sq_bytes topic = sq_image_topic(image);
	struct routes *to = &c->scratch;
	struct cache_slot *slot = NULL;

	if (topic.len <= CACHE_TOPIC_MAX && s->tagged == 0) {
		slot = cache_find(c, s, topic);
		to = &slot->routes;
		if (slot->space == s && slot->version == r->version &&
		    slot->topic_len == topic.len && memcmp(slot->topic, topic.p, topic.len) == 0) {
			*n = to->n;
			return to->v;
		}
		slot->space = s;
		slot->version = r->version;
		slot->topic_len = topic.len;
		memcpy(slot->topic, topic.p, topic.len);
	}
	to->n = 0;
	sq_topic_index_match(s->bindings, topic, routes_add, to);
	if (s->tagged > 0)
		routes_add_tagged(s, image, to);
	if (slot != NULL && to->n > CACHE_ROUTES_MAX)
		slot->space = NULL; /* too large to keep */
	*n = to->n;
	return to->v;
}

/* Retained messages. */

static void
retained_count(struct sq_router *r, int64_t msgs, int64_t bytes)
{
	atomic_fetch_add(&r->retained_msgs, msgs);
	atomic_fetch_add(&r->retained_bytes, bytes);
	sq_metric_add(&r->metrics, SQ_M_RETAINED, msgs);
}

static int
retained_put(struct sq_router *r, struct sq_space *s, struct retained *old, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms)
{
	uint32_t size = sq_image_size(m->image), old_size = 0;

	if (old != NULL)
		old_size = sq_image_size(old->msg.image);
	else if (atomic_load(&r->retained_msgs) >= r->cfg.retained_max_msgs)
		return SQ_ENOMEM;
	if (atomic_load(&r->retained_bytes) - old_size + size > r->cfg.retained_max_bytes)
		return SQ_ENOMEM;
	if (old == NULL) {
		old = sq_xcalloc(1, sizeof *old);
		sq_topic_index_insert(
		    s->retained, SQ_NO_TAG, sq_image_topic(m->image), &old->entry);
		sq_list_push_back(&s->retained_list, &old->node);
	} else {
		sq_msg_unref(&old->msg);
	}
	retained_count(r, old_size == 0 ? 1 : 0, (int64_t)size - old_size);
	old->msg = sq_msg_clone(m); /* it outlives its batch by far */
	old->origin = *origin;
	old->origin.copy = 1;
	old->expires_ms = expires_ms;
	return SQ_OK;
}

int
sq_router_retain(struct sq_router *r, struct sq_space *s, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms)
{
	struct sq_index_entry *e;
	struct retained *old;
	int err = SQ_OK;

	pthread_mutex_lock(&s->retained_lock);
	e = sq_topic_index_find(s->retained, SQ_NO_TAG, sq_image_topic(m->image));
	old = e != NULL ? SQ_CONTAINER_OF(e, struct retained, entry) : NULL;
	if (sq_image_payload(m->image).len > 0)
		err = retained_put(r, s, old, m, origin, expires_ms);
	else if (old != NULL)
		retained_free(r, s, old);
	pthread_mutex_unlock(&s->retained_lock);
	return err;
}

struct retained_walk {
	struct sq_router *router;
	struct sq_space *space;
	uint64_t now_ms;
	sq_retained_fn *fn;
	void *arg;
	bool stop;
};

static bool
retained_visit(struct sq_index_entry *e, void *arg)
{
	struct retained *kept = SQ_CONTAINER_OF(e, struct retained, entry);
	struct retained_walk *w = arg;

	if (kept->expires_ms != 0 && kept->expires_ms <= w->now_ms)
		retained_free(w->router, w->space, kept);
	else
		w->stop = !w->fn(&kept->msg, &kept->origin, kept->expires_ms, w->arg);
	return !w->stop;
}

void
sq_router_retained(struct sq_router *r, struct sq_space *s, struct sq_bytes filter, uint64_t now_ms,
    sq_retained_fn *fn, void *arg)
{
	struct retained_walk w = {r, s, now_ms, fn, arg, false};
	struct sq_topic_scan *scan;

	if (sq_topic_scan_open(s->retained, filter, &scan) != SQ_OK)
		return;
	while (sq_topic_scan_next(scan, SCAN_SLICE, retained_visit, &w) && !w.stop)
		continue;
	sq_topic_scan_close(&scan);
}
