#include <assert.h>
#include <string.h>

#include "broker/bridge/arrival.h"
#include "broker/bridge/carry.h"
#include "broker/bridge/inward_priv.h"
#include "broker/bridge/told.h"
#include "broker/publish/dead_letters.h"
#include "broker/publish/received.h"
#include "broker/shard/system_txn.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum { UNROUTED_WORK = 4 }; /* matches: as long takes a message that is not routed */

static struct sq_inward_entry *
entry_new(struct sq_inward_batch *b, struct sq_arrived *a)
{
	if (b->n == b->cap) {
		b->cap = b->cap > 0 ? b->cap * 2 : 16;
		b->v = sq_xrealloc(b->v, b->cap * sizeof *b->v);
	}
	b->v[b->n] = (struct sq_inward_entry){.of = a};
	return &b->v[b->n++];
}

/* Buries it.  False: there is no room for a letter now. */
static bool
entry_bury(struct sq_inward_batch *b, struct sq_publish *p, const struct sq_inward_entry *e,
    const char *reason, const char *detail)
{
	struct sq_inward *in = b->of;
	bool too_large = strcmp(reason, "too-large") == 0;
	struct sq_buf queue = {0};
	struct sq_msg letter;

	if (sq_memory_level() == SQ_MEMORY_REFUSED || sq_route_store_full(p))
		return false;
	letter = sq_arrival_letter(e->of, in->env.queue, too_large);
	/* As the queue's name is shown (broker/group/queue_view.h): a bridge has letters of one name,
	 * both ways. */
	sq_buf_printf(&queue, "queue~%s~%s", sq_tenant_name(in->tenant), in->env.queue);
	sq_buf_u8(&queue, '\0');
	sq_dead_letter(p->broker, in->tenant, p->txn, &letter, (const char *)sq_buf_data(&queue),
	    reason, detail, false);
	sq_buf_fini(&queue);
	sq_msg_unref(&letter);
	return true;
}

/* Explains the refusal, and tells of it; returns its text with a NUL, the caller's to free. */
static struct sq_buf
entry_explain(
    struct sq_inward_batch *b, struct sq_publish *p, const struct sq_inward_entry *e, uint8_t code)
{
	struct sq_buf text = {0};

	sq_received_explain(p, code, (uint16_t)(e - b->v), &b->notes);
	sq_buf_printf(&text, "%.*s", (int)sq_buf_len(&p->refused.text),
	    (const char *)sq_buf_data(&p->refused.text));
	sq_buf_u8(&text, '\0');
	sq_bridge_tell_error(b->of->cfg.told, SQ_BRIDGE_IN, (const char *)sq_buf_data(&text));
	return text;
}

/* Refuses it for good, as far as there is room for a letter. */
static enum sq_inward_how
entry_refuse(struct sq_inward_batch *b, struct sq_publish *p, struct sq_inward_entry *e,
    uint8_t code, const char *reason)
{
	struct sq_buf detail = entry_explain(b, p, e, code);
	bool buried = entry_bury(b, p, e, reason, (const char *)sq_buf_data(&detail));

	sq_buf_fini(&detail);
	return buried ? SQ_INWARD_LETTER : SQ_INWARD_LATER;
}

static bool
entry_is_large(const struct sq_publish *p, const struct sq_arrived *a)
{
	return a->too_large ||
	    sq_image_size(a->msg.image) > p->broker->cfg.max_packet + SQ_BODY_SLACK / 2;
}

/* What is wrong with it before it is published: its refusal is said, and the reason of its letter
 * returned; NULL: nothing. */
static const char *
entry_judge(const struct sq_inward *in, struct sq_publish *p, const struct sq_arrived *a)
{
	if (a->unmappable == NULL && entry_is_large(p, a)) {
		(void)sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_PACKET);
		return "too-large";
	}
	if (a->unmappable != NULL) {
		(void)sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", a->unmappable);
		return a->too_large ? "too-large" : "unmappable";
	}
	if (sq_hops_count(a->hops) > in->cfg.bridge->max_hops) {
		(void)sq_refused_say(&p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC,
		    "it has passed more bridges than max-hops says");
		return "loop";
	}
	return NULL;
}

static uint8_t
entry_traced(struct sq_inward_batch *b, struct sq_publish *p)
{
	uint64_t began_us = sq_traced_begin(p->msg->image);
	uint8_t code = sq_received_message(p);
	struct sq_span *span = NULL;

	if (began_us != 0)
		span = sq_traced_admitted(&b->traced, p->msg->image, p->origin, code, began_us);
	if (span != NULL)
		sq_span_text(span->client, sizeof span->client, sq_bytes_of(b->of->who->name));
	return code;
}

/* What its outcome makes of it. */
static enum sq_inward_how
entry_outcome(
    struct sq_inward_batch *b, struct sq_publish *p, struct sq_inward_entry *e, uint8_t code)
{
	struct sq_buf text = {0};

	if (!sq_mqtt_reason_failed(code)) {
		sq_received_explain(p, code, (uint16_t)(e - b->v), &b->notes);
		e->keyed &= code == SQ_MQTT_RC_SUCCESS; /* of what nobody has nothing is known */
		return SQ_INWARD_TAKEN;
	}
	if (!sq_refused_waits(&p->refused))
		return entry_refuse(b, p, e, code,
		    p->refused.refusal == SQ_REFUSAL_TOPIC ? "unmappable" : "refused");
	text = entry_explain(b, p, e, code);
	sq_buf_fini(&text);
	return SQ_INWARD_LATER;
}

/* Publishes it, or buries it. */
static enum sq_inward_how
entry_publish(struct sq_inward_batch *b, struct sq_publish *p, struct sq_inward_entry *e)
{
	struct sq_origin origin = sq_system_origin(p->broker);
	const char *reason = entry_judge(b->of, p, e->of);
	enum sq_inward_how how;
	struct sq_msg msg;

	p->origin = &origin;
	p->msg = &e->of->msg;
	if (reason != NULL)
		return entry_refuse(b, p, e, SQ_MQTT_RC_TOPIC_INVALID, reason);
	msg = sq_arrival_message(e->of, sq_bridge_cfg_in(b->of->cfg.bridge, e->of->rule));
	p->msg = &msg;
	how = entry_outcome(b, p, e, entry_traced(b, p));
	sq_msg_unref(&msg);
	return how;
}

static bool
entry_held(struct sq_inward *in, struct sq_inward_entry *e, uint64_t number)
{
	return sq_lane_holds_any(&in->lanes) &&
	    sq_lane_holds_back(&in->lanes, sq_arrival_lane(e->of), number);
}

void
sq_inward_take(
    struct sq_inward_batch *b, struct sq_publish *p, struct sq_arrived *a, uint64_t number)
{
	uint64_t now_ms = sq_worker_now_ms(b->of->cfg.shard->worker);
	struct sq_inward_entry *e = entry_new(b, a);
	struct sq_inward *in = b->of;
	size_t before = p->work;

	assert(a->rule < in->cfg.bridge->in.n);
	if (a->key.len > 0 && in->cfg.bridge->dedup != SQ_BRIDGE_DEDUP_NONE) {
		e->key = sq_dedup_key(in->dedup, a->key);
		e->keyed = true;
	}
	if (sq_hops_have(a->hops, in->cfg.env->install)) {
		e->how = SQ_INWARD_LOOP;
		e->keyed = false;
	} else if (e->keyed && sq_dedup_knows(in->dedup, &e->key, now_ms)) {
		e->how = SQ_INWARD_KNOWN;
		e->keyed = false;
	} else if (entry_held(in, e, number)) {
		e->how = SQ_INWARD_LATER;
		e->keyed = false;
	} else {
		e->how = (uint8_t)entry_publish(b, p, e);
		e->refused = e->how == SQ_INWARD_LATER;
		e->keyed &= !e->refused;
	}
	if (e->refused) {
		e->lane = sq_arrival_lane(a);
		sq_lane_holds_add(&in->lanes, e->lane);
	}
	if (e->keyed)
		b->early += sq_dedup_add(in->dedup, p->txn, &e->key, now_ms);
	if (p->work == before)
		p->work += UNROUTED_WORK;
	p->msg = NULL;
	p->origin = NULL;
	sq_publish_pause(p);
}
