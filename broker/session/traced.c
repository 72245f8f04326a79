#include "broker/session/traced.h"

#include "broker/engine/traced.h"
#include "broker/session/session.h"
#include "broker/session/window.h"
#include "broker/shard/source.h"
#include "core/clock.h"
#include "web/worker.h"

void
sq_traced_client(struct sq_span *span, const struct sq_session *s)
{
	struct sq_key key;

	sq_session_key(s, &key);
	sq_span_text(span->client, sizeof span->client, sq_bytes_of(key.client));
}

/* The span of an item with this trace, in this session's hands; NULL: there is none. */
static struct sq_span *
traced_item(struct sq_session *s, enum sq_span_what what, const struct sq_trace *t,
    const struct sq_item *item, const struct sq_queue_ref *from, uint64_t began_us)
{
	struct sq_span *span = sq_traced_span(what, t, item->msg.image, &item->origin, began_us);
	const struct sq_sink *sink = sq_item_sink(&s->sink, from);

	if (span == NULL)
		return NULL;
	sq_traced_client(span, s);
	span->attempt = item->attempts;
	if (sink->source != NULL)
		sq_span_text(
		    span->queue, sizeof span->queue, sq_bytes_of(sq_source_name(sink->source)));
	return span;
}

void
sq_traced_taken(struct sq_session *s, const struct sq_item *item, const struct sq_queue_ref *from)
{
	uint64_t age_us;
	struct sq_span *span;
	struct sq_trace t;

	if (!sq_traced(item->msg.image, &t) || item->put_ms == 0 || item->attempts > 0)
		return;
	age_us = sq_item_age_ms(item, sq_worker_now_ms(s->shard->worker)) * UINT64_C(1000);
	span = traced_item(s, SQ_SPAN_QUEUE, &t, item, from, sq_clock_us() - age_us);
	if (span != NULL)
		sq_span_record(span);
}

void
sq_traced_sent(struct sq_session *s, const struct sq_item *item, const struct sq_queue_ref *from)
{
	struct sq_span *span;
	struct sq_trace t;

	if (!sq_traced(item->msg.image, &t))
		return;
	span = traced_item(s, SQ_SPAN_DELIVER, &t, item, from, sq_clock_us());
	if (span == NULL)
		return;
	span->qos = 0;
	sq_span_record(span);
}

void
sq_traced_sends(struct sq_session *s, struct sq_slot *slot)
{
	struct sq_trace t;

	if (slot->traced_us != 0)
		sq_traced_settled(s, slot, 0, "sent again");
	if (sq_traced(slot->item.msg.image, &t))
		slot->traced_us = sq_clock_us();
}

void
sq_traced_settled(struct sq_session *s, struct sq_slot *slot, uint8_t reason, const char *why)
{
	bool again = slot->traced_again || slot->item.attempts > 0;
	struct sq_span *span = NULL;
	struct sq_trace t;

	if (sq_traced(slot->item.msg.image, &t))
		span = traced_item(s, again ? SQ_SPAN_ATTEMPT : SQ_SPAN_DELIVER, &t, &slot->item,
		    &slot->from, slot->traced_us);
	slot->traced_us = 0;
	slot->traced_again = true;
	if (span == NULL)
		return;
	span->qos = slot->qos;
	span->reason = reason;
	if (why != NULL)
		sq_traced_fail(span, why);
	sq_span_record(span);
}
