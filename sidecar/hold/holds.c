/* All holds: their life, and the events of the pool. */
#include "sidecar/hold/table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/hold_priv.h"

/* --- from the pool --- */

static void
holds_up(void *owner, struct sq_uplink *link)
{
	struct sq_holds *h = owner;
	struct sq_hold_link *hl = sq_xcalloc(1, sizeof *hl);

	hl->link = link;
	sq_list_init(&hl->holds);
	sq_list_push_back(&h->links, &hl->node);
	h->link_was_up = true;
	sq_holds_attach_waiting(h);
	/* Sessions on a link that drains had nowhere to go until now. */
	SQ_LIST_FOR_EACH(other, &h->links, struct sq_hold_link, node) {
		if (other != hl && sq_uplink_draining(other->link)) {
			SQ_LIST_FOR_EACH_SAFE(hold, &other->holds, struct sq_hold, at.place)
				sq_hold_link_draining(hold);
		}
	}
}

static void
holds_draining(void *owner, struct sq_uplink *link)
{
	struct sq_hold_link *hl = sq_holds_link(owner, link);

	if (hl == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(hold, &hl->holds, struct sq_hold, at.place)
		sq_hold_link_draining(hold);
}

static void
holds_down(void *owner, struct sq_uplink *link)
{
	struct sq_hold_link *hl = sq_holds_link(owner, link);
	struct sq_hold *hold;

	if (hl == NULL)
		return;
	while ((hold = SQ_LIST_FIRST(&hl->holds, struct sq_hold, at.place)) != NULL)
		sq_hold_link_down(hold);
	sq_list_remove(&hl->node);
	free(hl);
}

static struct sq_hold *
holds_by_epoch(const struct sq_holds *h, uint64_t epoch, const struct sq_uplink *link)
{
	struct sq_hnode *n = sq_htab_find(&h->by_epoch, sq_hash_u64(epoch));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_hold *hold = SQ_CONTAINER_OF(n, struct sq_hold, at.epoch_node);

		if (hold->at.epoch == epoch && hold->at.link == link)
			return hold;
	}
	return NULL;
}

/* Delivers to one target; false: the link has failed. */
static bool
holds_deliver_to(struct sq_holds *h, struct sq_uplink *link, const struct sq_delivery *d,
    const struct sq_target *t, struct sq_hold *hold)
{
	unsigned qos = t->flags & SQ_TARGET_QOS;

	if (qos > 2 || (qos > 0 && t->packet_id == 0)) {
		sq_uplink_fail(link, "it delivers with a bad QoS or packet id");
		return false;
	}
	if (hold != NULL)
		sq_hold_deliver(hold, d, t);
	else if (qos == 0)
		sq_holds_count(h, SQ_M_DROPPED_CUT, 1);
	return true;
}

/* A few targets at a time are looked up before the first of them gets the message, so that the
 * processor fetches what they are from memory side by side. */
static void
holds_deliver(
    void *owner, struct sq_uplink *link, const struct sq_deliver *d, struct sq_block *block)
{
	enum { AT_A_TIME = 8 };
	struct sq_holds *h = owner;
	const struct sq_delivery delivery = {.message = d, .block = block, .frame = ++h->frames};
	struct sq_bytes rest = d->targets, ahead = d->targets;
	struct sq_hold *hold[AT_A_TIME];

	if (d->n == 1) { /* there is nothing to look up beside it */
		struct sq_target t = sq_target_next(&rest);

		(void)holds_deliver_to(h, link, &delivery, &t, holds_by_epoch(h, t.epoch, link));
		return;
	}
	for (unsigned left = d->n; left > 0;) {
		unsigned n = left < AT_A_TIME ? left : AT_A_TIME;

		for (unsigned i = 0; i < n; i++) {
			struct sq_target t = sq_target_next(&ahead);

			hold[i] = holds_by_epoch(h, t.epoch, link);
			if (hold[i] != NULL)
				sq_inbox_expect(hold[i]->inbox, t.packet_id);
		}
		for (unsigned i = 0; i < n; i++) {
			struct sq_target t = sq_target_next(&rest);

			if (!holds_deliver_to(h, link, &delivery, &t, hold[i]))
				return;
		}
		left -= n;
	}
}

static void
holds_detached(
    void *owner, struct sq_uplink *link, uint64_t epoch, uint8_t reason, struct sq_bytes text)
{
	struct sq_hold *hold = holds_by_epoch(owner, epoch, link);

	if (hold != NULL)
		sq_hold_detached(hold, reason, text);
}

static void
holds_subscribed(void *owner, struct sq_uplink *link, const struct sq_frame *f)
{
	struct sq_hold *hold = holds_by_epoch(owner, f->epoch, link);

	if (hold != NULL)
		sq_hold_subscribed(hold, f);
}

static void
holds_kept(void *owner, struct sq_uplink *link, const struct sq_frame *f)
{
	struct sq_hold *hold = holds_by_epoch(owner, f->epoch, link);

	if (hold != NULL)
		sq_hold_kept(hold, f->last_kept, f->n_kept, f->kept);
}

const struct sq_pool_events sq_holds_events = {
    .up = holds_up,
    .draining = holds_draining,
    .down = holds_down,
    .frames =
	{
	    .deliver = holds_deliver,
	    .detached = holds_detached,
	    .subscribed = holds_subscribed,
	    .kept = holds_kept,
	},
};

/* --- life --- */

enum { PUBLISHES_MAX = 8 << 20 }; /* until the outbox says another bound */

static void
holds_on_paused(struct sq_budget_share *share)
{
	sq_holds_count(SQ_CONTAINER_OF(share, struct sq_hold, share)->holds, SQ_M_OUTBOX_PAUSED, 1);
}

static void
holds_on_writable(struct sq_budget_share *share)
{
	sq_hold_writable(SQ_CONTAINER_OF(share, struct sq_hold, share));
}

static const struct sq_budget_user holds_budget_user = {
    .paused = holds_on_paused,
    .writable = holds_on_writable,
};

struct sq_holds *
sq_holds_new(
    struct sq_loop *loop, const struct sq_sidecar_cfg *cfg, const struct sq_metrics *metrics)
{
	struct sq_holds *h = sq_xcalloc(1, sizeof *h);

	h->loop = loop;
	h->cfg = cfg;
	h->metrics = metrics;
	h->told.limits = sq_limits_own(&cfg->limits);
	h->instance = sq_random_u64();
	sq_budget_init(
	    &h->budget, &holds_budget_user, PUBLISHES_MAX, cfg->lane_bytes, cfg->credit_bytes);
	h->over = sq_hold_over;
	sq_list_init(&h->all);
	sq_list_init(&h->posts);
	sq_list_init(&h->waiting);
	sq_list_init(&h->links);
	return h;
}

int
sq_holds_dial(struct sq_holds *h, struct sq_buf *err)
{
	const struct sq_sidecar_cfg *cfg = h->cfg;
	struct sq_pool_cfg pc = {
	    .brokers = &cfg->brokers,
	    .allowed = &cfg->brokers_allowed,
	    .space = cfg->space,
	    .links_per_broker = (unsigned)cfg->links_per_broker,
	    .brokers_max = (unsigned)cfg->brokers_max,
	    .tls = cfg->tls,
	    .ca_file = cfg->ca_file,
	    .ca = cfg->ca,
	    .state_dir = cfg->state_dir,
	    .server_name = cfg->server_name,
	    .cert_file = cfg->cert_file,
	    .key_file = cfg->key_file,
	    .token_file = cfg->token_file,
	    .backoff_min_ms = cfg->backoff_min_ms,
	    .backoff_max_ms = cfg->backoff_max_ms,
	    .dial_timeout_ms = cfg->dial_timeout_ms,
	    .silence_ms = cfg->silence_ms,
	    .max_age_ms = cfg->max_age_ms,
	    .max_frame = SQ_FRAME_MAX, /* independent of the sidecar's own limit */
	    .counts = &sq_sidecar_net_counts,
	};

	assert(h->pool == NULL);
	h->pool = sq_pool_new(h->loop->ev, &pc, &sq_holds_events, h, err);
	return h->pool != NULL ? SQ_OK : SQ_EINVAL;
}

void
sq_holds_end(struct sq_holds *h)
{
	struct sq_hold *hold;

	while ((hold = SQ_LIST_FIRST(&h->all, struct sq_hold, all)) != NULL)
		sq_hold_drop(hold);
	sq_pool_free(&h->pool);
	sq_hold_fail_posts(h);
	sq_loop_reap(h->loop);
}

void
sq_holds_free(struct sq_holds **hp)
{
	struct sq_holds *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	assert(sq_list_empty(&h->all) && sq_list_empty(&h->posts) && sq_list_empty(&h->waiting));
	assert(h->n == 0 && h->by_epoch.n == 0 && h->by_client.n == 0);
	assert(h->budget.held == 0 && h->budget.windows == 0);
	SQ_LIST_FOR_EACH_SAFE(hl, &h->links, struct sq_hold_link, node)
		free(hl);
	sq_htab_fini(&h->by_epoch);
	sq_htab_fini(&h->by_client);
	free(h);
}

bool
sq_holds_idle(const struct sq_holds *h)
{
	if (!sq_list_empty(&h->links))
		return sq_list_empty(&h->all);
	SQ_LIST_FOR_EACH(hold, &h->all, struct sq_hold, all) {
		if (sq_hold_owes(hold))
			return false;
	}
	return true;
}
