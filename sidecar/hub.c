/* The hub: pool events to sessions, and what is done before the loop sleeps. */
#include "sidecar/hub.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/declared/declared.h"
#include "sidecar/mqtt/limits.h"
#include "sidecar/mqtt/listener.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/mqtt/password_check.h"
#include "sidecar/hold/room.h"
#include "sidecar/self.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/hold_priv.h"

struct sq_hub_link *
sq_hub_link_find(struct sq_hub *h, const struct sq_uplink *link)
{
	SQ_LIST_FOR_EACH(hl, &h->links, struct sq_hub_link, node) {
		if (hl->link == link)
			return hl;
	}
	return NULL;
}

/* --- from the pool --- */

static void
hub_up(void *owner, struct sq_uplink *link)
{
	struct sq_hub *h = owner;
	struct sq_hub_link *hl = sq_xcalloc(1, sizeof *hl);
	struct sq_list waiting;

	hl->link = link;
	sq_list_init(&hl->sessions);
	sq_list_push_back(&h->links, &hl->node);
	h->link_was_up = true;
	sq_list_init(&waiting);
	sq_list_splice(&waiting, &h->waiting);
	SQ_LIST_FOR_EACH_SAFE(s, &waiting, struct sq_hold, place) {
		sq_list_remove(&s->place);
		s->state = SQ_HOLD_DOWN;
		s->due_attach = 0;
		sq_hold_wake(s);
	}
	/* Sessions on a link that drains had nowhere to go until now. */
	SQ_LIST_FOR_EACH(other, &h->links, struct sq_hub_link, node) {
		if (other != hl && sq_uplink_draining(other->link)) {
			SQ_LIST_FOR_EACH_SAFE(s, &other->sessions, struct sq_hold, place)
				sq_hold_link_draining(s);
		}
	}
}

static void
hub_draining(void *owner, struct sq_uplink *link)
{
	struct sq_hub_link *hl = sq_hub_link_find(owner, link);

	if (hl == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(s, &hl->sessions, struct sq_hold, place)
		sq_hold_link_draining(s);
}

static void
hub_down(void *owner, struct sq_uplink *link)
{
	struct sq_hub_link *hl = sq_hub_link_find(owner, link);
	struct sq_hold *s;

	if (hl == NULL)
		return;
	while ((s = SQ_LIST_FIRST(&hl->sessions, struct sq_hold, place)) != NULL)
		sq_hold_link_down(s);
	sq_list_remove(&hl->node);
	free(hl);
}

static struct sq_hold *
hub_by_epoch(const struct sq_hub *h, uint64_t epoch, const struct sq_uplink *link)
{
	struct sq_hnode *n = sq_htab_find(&h->by_epoch, sq_hash_u64(epoch));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_hold *s = SQ_CONTAINER_OF(n, struct sq_hold, epoch_node);

		if (s->epoch == epoch && s->link == link)
			return s;
	}
	return NULL;
}

static void
hub_deliver(void *owner, struct sq_uplink *link, const struct sq_deliver *d, struct sq_block *block)
{
	struct sq_hub *h = owner;
	struct sq_bytes rest = d->targets;

	for (uint16_t i = 0; i < d->n; i++) {
		struct sq_target t = sq_target_next(&rest);
		struct sq_hold *s = hub_by_epoch(h, t.epoch, link);
		unsigned qos = t.flags & SQ_TARGET_QOS;

		if (qos > 2 || (qos > 0 && t.packet_id == 0)) {
			sq_uplink_fail(link, "it delivers with a bad QoS or packet id");
			return;
		}
		if (s != NULL)
			sq_hold_deliver(s, d, &t, block);
		else if (qos == 0)
			sq_hub_count(h, SQ_M_DROPPED_CUT, 1);
	}
}

static void
hub_detached(
    void *owner, struct sq_uplink *link, uint64_t epoch, uint8_t reason, struct sq_bytes text)
{
	struct sq_hold *s = hub_by_epoch(owner, epoch, link);

	if (s != NULL)
		sq_hold_detached(s, reason, text);
}

static void
hub_subscribed(void *owner, struct sq_uplink *link, const struct sq_frame *f)
{
	struct sq_hold *s = hub_by_epoch(owner, f->epoch, link);

	if (s != NULL)
		sq_hold_subscribed(s, f);
}

static void
hub_kept(void *owner, struct sq_uplink *link, const struct sq_frame *f)
{
	struct sq_hold *s = hub_by_epoch(owner, f->epoch, link);

	if (s != NULL)
		sq_hold_kept(s, f->last_kept, f->n_kept, f->kept);
}

static const struct sq_pool_events hub_pool_events = {
    .up = hub_up,
    .draining = hub_draining,
    .down = hub_down,
    .deliver = hub_deliver,
    .detached = hub_detached,
    .subscribed = hub_subscribed,
    .kept = hub_kept,
};

/* --- time --- */

static void
hub_on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	(void)loop;
	(void)events;
	sq_room_turn(w->data);
}

/* After a second without work: the memory of a load goes back to the system. */
static void
hub_rest(struct sq_hub *h)
{
	bool idle = h->loop->rounds == h->rounds_seen;

	h->rounds_seen = h->loop->rounds;
	if (idle && !h->rests)
		(void)sq_memory_allocator_trim();
	h->rests = idle;
}

static void
hub_on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_hub *h = w->data;
	uint64_t now_ms = sq_hub_now(h);

	(void)loop;
	(void)events;
	SQ_LIST_FOR_EACH_SAFE(c, &h->clients, struct sq_client, all)
		sq_client_sweep(c, now_ms);
	sq_declared_sweep(h->declared, now_ms);
	sq_outbox_sweep(h->outbox);
	sq_memory_metrics(h->metrics, SQ_M_MEMORY_BYTES);
	hub_rest(h);
}

/* --- life --- */

static struct sq_pool *
hub_pool(struct sq_hub *h, struct sq_buf *err)
{
	const struct sq_sidecar_cfg *cfg = h->cfg;
	struct sq_pool_cfg pc = {
	    .brokers = &cfg->brokers,
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
	    .max_frame = SQ_FRAME_MAX, /* whatever this sidecar takes from its clients */
	    .counts = &sq_sidecar_net_counts,
	};

	return sq_pool_new(h->loop->ev, &pc, &hub_pool_events, h, err);
}

void
sq_hub_told(struct sq_hub *h, const struct sq_attached *a)
{
	struct sq_limits own = sq_limits_own(&h->cfg->limits);
	struct sq_limits now = sq_limits_stricter(&own, &a->limits);
	struct sq_buf text = {0};

	h->broker_max_packet = a->max_packet;
	h->limits_told = true;
	if (memcmp(&now, &h->limits, sizeof now) == 0)
		return;
	h->limits = now;
	sq_limits_print(&now, &text);
	SQ_INFO("sidecar", "with the broker's limits clients may have: %.*s",
	    (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

static bool
hub_passwords(struct sq_hub *h, struct sq_buf *err)
{
	const char *file = h->cfg->password_file;

	if (file == NULL || file[0] == '\0')
		return true;
	h->passwords = sq_password_check_new(h->loop->ev, file, err);
	return h->passwords != NULL;
}

struct sq_hub *
sq_hub_new(struct ev_loop *loop, const struct sq_sidecar_cfg *cfg, struct sq_buf *err)
{
	struct sq_hub *h = sq_xcalloc(1, sizeof *h);
	struct sq_list *lists[] = {&h->sessions, &h->posts, &h->waiting, &h->links, &h->clients};

	for (size_t i = 0; i < SQ_ARRAY_LEN(lists); i++)
		sq_list_init(lists[i]);
	h->loop = sq_loop_new(loop);
	h->cfg = cfg;
	h->limits = sq_limits_own(&cfg->limits);
	h->metrics = &sq_sidecar_metrics;
	h->instance = sq_random_u64();
	h->outbox = sq_outbox_new(h);
	h->self = sq_self_new(h);
	ev_prepare_init(&h->prepare, hub_on_prepare);
	h->prepare.data = h;
	ev_prepare_start(loop, &h->prepare);
	ev_timer_init(&h->sweep, hub_on_sweep, 1.0, 1.0);
	h->sweep.data = h;
	ev_timer_start(loop, &h->sweep);
	sq_memory_metrics(h->metrics, SQ_M_MEMORY_BYTES);
	h->pool = hub_pool(h, err);
	if (h->pool == NULL || !hub_passwords(h, err))
		sq_hub_free(&h);
	return h;
}

void
sq_hub_free(struct sq_hub **hp)
{
	struct sq_hub *h = *hp;
	struct sq_client *c;
	struct sq_hold *s;

	*hp = NULL;
	if (h == NULL)
		return;
	sq_listener_close(&h->listener);
	sq_declared_free(&h->declared);
	while ((c = SQ_LIST_FIRST(&h->clients, struct sq_client, all)) != NULL)
		sq_client_free(c);
	sq_password_check_free(&h->passwords);
	while ((s = SQ_LIST_FIRST(&h->sessions, struct sq_hold, all)) != NULL)
		sq_hold_drop(s);
	sq_pool_free(&h->pool);
	sq_hold_fail_posts(h);
	sq_loop_reap(h->loop);
	sq_outbox_free(&h->outbox);
	sq_self_free(&h->self);
	SQ_LIST_FOR_EACH_SAFE(hl, &h->links, struct sq_hub_link, node)
		free(hl);
	ev_prepare_stop(h->loop->ev, &h->prepare);
	ev_timer_stop(h->loop->ev, &h->sweep);
	sq_htab_fini(&h->by_epoch);
	sq_htab_fini(&h->by_client);
	sq_output_cache_fini(&h->outputs);
	sq_loop_free(&h->loop);
	free(h);
}

void
sq_hub_stop(struct sq_hub *h)
{
	h->stopping = true;
	sq_listener_close(&h->listener);
	sq_declared_stop(h->declared);
	SQ_LIST_FOR_EACH_SAFE(c, &h->clients, struct sq_client, all)
		sq_client_end(c, SQ_END_SHUTDOWN);
	sq_outbox_stop(h->outbox);
}

bool
sq_hub_idle(const struct sq_hub *h)
{
	if (!sq_list_empty(&h->clients))
		return false;
	if (!sq_list_empty(&h->links))
		return sq_list_empty(&h->sessions);
	SQ_LIST_FOR_EACH(s, &h->sessions, struct sq_hold, all) {
		if (sq_hold_owes(s))
			return false;
	}
	return true;
}
