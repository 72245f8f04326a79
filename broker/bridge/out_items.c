#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/carry.h"
#include "broker/bridge/outward_priv.h"
#include "broker/bridge/told.h"
#include "core/fault.h"
#include "core/mem.h"
#include "proto/topic/tags.h"

enum { POOL_MAX = 1024, HEX_ID = 16 };

void
sq_out_rules_open(struct sq_outward *o)
{
	const struct sq_bridge_cfg *c = o->cfg.bridge;

	o->rules = sq_xcalloc(c->out.n + 1, sizeof *o->rules);
	for (size_t i = 0; i < c->out.n; i++) {
		const struct sq_bridge_out *rule = sq_bridge_cfg_out(c, i);
		int err;

		o->rules[i].any = rule->filter == NULL;
		if (rule->filter == NULL)
			continue;
		err = sq_topic_filter_parse(sq_bytes_of(rule->filter), &o->rules[i].filter, NULL);
		assert(err == SQ_OK); /* by sq_bridge_cfg_check() */
	}
}

/* The first rule that the message matches; as many as there are: none. */
static unsigned
items_rule(const struct sq_outward *o, const unsigned char *image)
{
	const struct sq_bridge_cfg *c = o->cfg.bridge;
	unsigned i;

	for (i = 0; i < c->out.n; i++) {
		const struct sq_bridge_out *rule = sq_bridge_cfg_out(c, i);

		if (!o->rules[i].any &&
		    !sq_topic_match(o->rules[i].filter.filter, sq_image_topic(image)))
			continue;
		if (rule->tag == NULL ||
		    sq_tags_have(sq_image_props(image), sq_bytes_of(rule->tag)))
			break;
	}
	return i;
}

/* The hops of a message; the last property of that name counts. */
static struct sq_bytes
items_hops(const unsigned char *image)
{
	struct sq_bytes props = sq_image_props(image), name, value, hops = {0};

	while (sq_props_user_next(&props, &name, &value)) {
		if (sq_bytes_are(name, SQ_CARRY_HOPS))
			hops = value;
	}
	return hops;
}

static struct sq_out_item *
items_new(struct sq_outward *o)
{
	struct sq_out_item *it = SQ_LIST_FIRST(&o->pool.list, struct sq_out_item, node);

	if (it != NULL) {
		sq_list_remove(&it->node);
		o->pool.n--;
		return it;
	}
	return sq_xcalloc(1, sizeof *it);
}

void
sq_out_item_over(struct sq_outward *o, struct sq_out_item *it)
{
	sq_list_remove(&it->node);
	o->out.n--;
	o->out.bytes -= sq_image_size(it->msg.image);
	sq_msg_unref(&it->msg);
	sq_buf_drain(&it->hops, sq_buf_len(&it->hops));
	atomic_store_explicit(&o->cfg.told->out[SQ_BRIDGE_OUT], o->out.n, memory_order_relaxed);
	if (o->pool.n < POOL_MAX) {
		sq_list_push_back(&o->pool.list, &it->node);
		o->pool.n++;
		return;
	}
	sq_buf_fini(&it->hops);
	free(it);
}

void
sq_out_pool_free(struct sq_outward *o)
{
	struct sq_out_item *it;

	while ((it = SQ_LIST_FIRST(&o->pool.list, struct sq_out_item, node)) != NULL) {
		sq_list_remove(&it->node);
		sq_buf_fini(&it->hops);
		free(it);
	}
	o->pool.n = 0;
}

static void
items_origin(const struct sq_outward *o, const unsigned char *id, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strlen(o->cfg.origin);

	assert(n == SQ_INSTALL_HEX);
	memcpy(out, o->cfg.origin, n);
	out[n++] = '-';
	for (size_t i = 0; i < HEX_ID; i++) {
		out[n++] = hex[id[i] >> 4];
		out[n++] = hex[id[i] & 15];
	}
	out[n] = '\0';
}

static struct sq_out_item *
items_make(struct sq_outward *o, const struct sq_taken *m, unsigned rule, struct sq_bytes hops)
{
	struct sq_out_item *it = items_new(o);

	it->msg = sq_msg_ref(*m->msg);
	it->seq = m->seq;
	it->epoch = o->epoch;
	items_origin(o, m->id, it->origin);
	sq_hops_add(hops, o->env.install, o->cfg.bridge->record.name, &it->hops);
	sq_buf_u8(&it->hops, '\0');
	it->offered = (struct sq_offered){.msg = &it->msg,
	    .rule = rule,
	    .origin = it->origin,
	    .hops = (const char *)sq_buf_data(&it->hops),
	    .lane = m->lane,
	    .arrived_ms = m->arrived_ms,
	    .expires_ms = m->expires_ms,
	    .attempt = m->attempt,
	    .qos = m->qos,
	    .again = sq_out_is_unsure(o, m->seq)};
	sq_list_push_back(&o->out.list, &it->node);
	o->out.n++;
	o->out.bytes += sq_image_size(it->msg.image);
	return it;
}

/* It has gone round: it passed this bridge before. */
static void
items_passed(struct sq_outward *o, const struct sq_taken *m)
{
	sq_bridge_tell(o->cfg.told, SQ_BRIDGE_OUT, SQ_BRIDGE_LOOP, 1);
	sq_out_settle(o, &(struct sq_taker_outcome){.seq = m->seq, .how = SQ_DISPATCH_OK}, NULL);
}

static void
items_never(
    struct sq_outward *o, const struct sq_taken *m, enum sq_taker_never why, const char *detail)
{
	sq_bridge_tell(o->cfg.told, SQ_BRIDGE_OUT, SQ_BRIDGE_DEAD, 1);
	sq_bridge_tell_error(o->cfg.told, SQ_BRIDGE_OUT, detail);
	sq_out_settle(o,
	    &(struct sq_taker_outcome){.seq = m->seq, .how = SQ_DISPATCH_NEVER, .why = why},
	    detail);
}

static void
items_later(struct sq_outward *o, const struct sq_taken *m)
{
	sq_out_settle(o, &(struct sq_taker_outcome){.seq = m->seq, .how = SQ_DISPATCH_LATER}, NULL);
}

/* The offer of a message; NULL: none is made, and it is settled. */
static struct sq_offered *
items_of(struct sq_outward *o, const struct sq_taken *m)
{
	const struct sq_bridge_cfg *c = o->cfg.bridge;
	const unsigned char *image = m->msg->image;
	struct sq_bytes hops = items_hops(image);
	unsigned rule;

	if (hops.len > 0 && sq_hops_have_bridge(hops, o->env.install, c->record.name)) {
		items_passed(o, m);
		return NULL;
	}
	if (sq_hops_count(hops) >= c->max_hops) {
		items_never(o, m, SQ_NEVER_LOOP, "it has passed max-hops bridges");
		return NULL;
	}
	rule = items_rule(o, image);
	if (rule == c->out.n) {
		items_never(o, m, SQ_NEVER_UNMAPPABLE, "no rule of the bridge's out matches it");
		return NULL;
	}
	return &items_make(o, m, rule, hops)->offered;
}

void
sq_out_offer(struct sq_outward *o, const struct sq_taken *taken, size_t n)
{
	struct sq_offered **items = sq_xcalloc(n, sizeof *items);
	size_t room = o->forwarder->ops->room(o->forwarder), made = 0;

	for (size_t i = 0; i < n; i++) {
		struct sq_offered *it = NULL;

		if (made < room)
			it = items_of(o, &taken[i]);
		else /* it has less than when they were asked for */
			items_later(o, &taken[i]);
		if (it != NULL)
			items[made++] = it;
	}
	atomic_store_explicit(&o->cfg.told->out[SQ_BRIDGE_OUT], o->out.n, memory_order_relaxed);
	if (made > 0)
		o->forwarder->ops->offer(o->forwarder, items, made);
	SQ_FAULT_IF(made > 0, "broker-bridge-offered");
	free(items);
}
