/* The retained messages of all spaces: read at the start, and removed when they have expired. */
#include <stdlib.h>

#include "broker/engine/record.h"
#include "broker/route/retained.h"
#include "broker/route/space_priv.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "proto/topic/topic.h"

enum {
	SWEEP_MAX = 1000,  /* retained messages removed in one call */
	SWEEP_SPACES = 64, /* looked up at a time */
	SWEEP_PARTS = 32,  /* of these in one call */
};

/* Start. */

struct load {
	struct sq_router *router;
	uint64_t now_ms;
};

static void
retained_stale(struct sq_router *r, uint64_t id)
{
	if (r->n_stale == r->cap_stale) {
		r->cap_stale = r->cap_stale > 0 ? r->cap_stale * 2 : 16;
		r->stale = sq_xrealloc(r->stale, r->cap_stale * sizeof(*r->stale));
	}
	r->stale[r->n_stale++] = id;
}

/* Reads a record; false when it does not read. */
static bool
retained_read(struct sq_bytes value, uint64_t *wall_ms, struct sq_origin *origin,
    struct sq_bytes *space, const unsigned char **image)
{
	struct sq_reader in = sq_reader(value.p, value.len);

	*wall_ms = sq_read64(&in);
	*origin = sq_origin_get(&in);
	*space = sq_record_take_text(&in);
	*image = sq_record_take_image(&in).image;
	return !in.bad && space->len > 0;
}

static void
retained_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	const struct load *l = arg;
	struct sq_origin origin;
	struct sq_bytes name;
	const unsigned char *image;
	struct sq_retained *kept;
	struct sq_space *s;
	struct sq_msg m;
	uint64_t wall_ms;
	char *text;

	if (!retained_read(value, &wall_ms, &origin, &name, &image) ||
	    sq_topic_reserved(sq_image_topic(image)) != NULL) { /* older brokers took such */
		retained_stale(l->router, key->id);
		return;
	}
	text = sq_xmemdup0(name.p, name.len);
	s = sq_router_space(l->router, text);
	free(text);
	m = (struct sq_msg){NULL, image};
	kept = sq_retained_find(s, image);
	if (kept != NULL) /* removed and made again; only this survived */
		retained_stale(l->router, kept->id);
	(void)sq_retained_put(l->router, s, &m, true, &kept);
	kept->id = key->id;
	kept->origin = origin;
	sq_retained_set_expiry(s, kept, sq_wallclock_to_mono(wall_ms, l->now_ms));
	sq_space_unref(&s);
}

int
sq_router_load(struct sq_router *r, struct sq_engine *e, uint64_t now_ms)
{
	struct load l = {r, now_ms};

	return e->ops->start.load(e, SQ_RECORD_RETAINED, retained_load, &l);
}

/* Removes expired messages of a space, 'most' at most; returns how many. */
static int
retained_sweep(
    struct sq_space *s, int most, uint64_t now_ms, struct sq_txn *(*txn)(void *arg), void *arg)
{
	struct sq_heap_node *due;
	int n = 0;

	pthread_mutex_lock(&s->retained_lock);
	for (; n < most && (due = sq_heap_pop(&s->expiries, now_ms)) != NULL; n++)
		sq_retained_remove(s->router, s, due->owner, txn(arg));
	pthread_mutex_unlock(&s->retained_lock);
	return n;
}

/* Some spaces, with a reference each. */
struct sweep_part {
	struct sq_space *v[SWEEP_SPACES];
	size_t n;
};

static void
sweep_add(struct sq_hnode *at, void *arg)
{
	struct sq_space *s = SQ_CONTAINER_OF(at, struct sq_space, node);
	struct sweep_part *part = arg;

	if (part->n == SWEEP_SPACES) /* of a chain that long: the next round comes */
		return;
	s->refs++;
	part->v[part->n++] = s;
}

/* The next of them; false: these are the last ones of the round. */
static bool
sweep_next(struct sq_router *r, struct sweep_part *part)
{
	part->n = 0;
	pthread_mutex_lock(&r->spaces_lock);
	do
		r->swept = sq_htab_slice(&r->spaces, r->swept, sweep_add, part);
	while (r->swept != 0 && part->n < SWEEP_SPACES / 2);
	pthread_mutex_unlock(&r->spaces_lock);
	return r->swept != 0;
}

void
sq_router_sweep(struct sq_router *r, uint64_t now_ms, struct sq_txn *(*txn)(void *arg), void *arg)
{
	int left = SWEEP_MAX;
	struct sweep_part part;
	bool more = true;

	for (; left > 0 && r->n_stale > 0; left--) {
		struct sq_record_key key = sq_retained_record(r->stale[--r->n_stale]);
		struct sq_txn *t = txn(arg);

		sq_record_delete(t, &key);
	}
	for (int parts = 0; more && left > 0 && parts < SWEEP_PARTS; parts++) {
		more = sweep_next(r, &part);
		for (size_t i = 0; i < part.n; i++) {
			left -= retained_sweep(part.v[i], left, now_ms, txn, arg);
			sq_space_unref(&part.v[i]); /* it may have been the last one */
		}
	}
}
