#include "broker/session/traced.h"

#include <stdlib.h>

#include "broker/engine/traced.h"
#include "broker/session/session.h"
#include "broker/session/window.h"
#include "broker/shard/source.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/worker.h"

enum { BATCH_MAX = 1024 }; /* spans of a batch; more are dropped and counted */

/* A span that begins before its message is committed, for the message may be gone then. */
struct sq_traced_message {
	struct sq_trace trace;
	uint64_t began_us;
	struct sq_span span; /* of it what the message says */
};

static void
traced_client(struct sq_span *span, const struct sq_session *s)
{
	struct sq_key key;

	sq_session_key(s, &key);
	sq_span_text(span->client, sizeof span->client, sq_bytes_of(key.client));
}

void
sq_traced_admitted(struct sq_traced_batch *b, const struct sq_session *s,
    const unsigned char *image, const struct sq_origin *origin, uint8_t code, uint64_t began_us)
{
	struct sq_traced_message *m;
	struct sq_trace t;

	if (!sq_traced(image, &t))
		return;
	if (b->n == BATCH_MAX) {
		sq_span_drop();
		return;
	}
	if ((b->n & (b->n - 1)) == 0) /* a power of two is full */
		b->v = sq_xrealloc(b->v, (b->n > 0 ? b->n * 2u : 1u) * sizeof *b->v);
	m = &b->v[b->n++];
	*m = (struct sq_traced_message){.trace = t, .began_us = began_us};
	sq_span_message(
	    &m->span, sq_image_topic(image), sq_image_payload(image).len, sq_image_qos(image));
	traced_client(&m->span, s);
	m->span.reason = code;
	m->span.origin[0] = origin->incarnation;
	m->span.origin[1] = origin->run;
	m->span.origin[2] = origin->number;
}

static void
batch_record(const struct sq_traced_message *m, bool committed)
{
	struct sq_span *span = sq_span_new(SQ_SPAN_RECEIVE, &m->trace, m->began_us);

	if (span == NULL)
		return;
	span->body_bytes = m->span.body_bytes;
	span->qos = m->span.qos;
	span->reason = m->span.reason;
	memcpy(span->origin, m->span.origin, sizeof span->origin);
	memcpy(span->topic, m->span.topic, sizeof span->topic);
	memcpy(span->client, m->span.client, sizeof span->client);
	if (!committed)
		sq_traced_fail(span, "not committed");
	sq_span_record(span);
}

void
sq_traced_end(struct sq_traced_batch *b, bool committed)
{
	for (unsigned i = 0; i < b->n; i++)
		batch_record(&b->v[i], committed);
	free(b->v);
	*b = (struct sq_traced_batch){0};
}

/* The span of an item in this session's hands; NULL: there is none. */
static struct sq_span *
traced_item(struct sq_session *s, enum sq_span_what what, const struct sq_item *item,
    const struct sq_queue_ref *from, uint64_t began_us)
{
	struct sq_span *span = sq_traced_span(what, item->msg.image, &item->origin, began_us);
	const struct sq_sink *sink = sq_item_sink(&s->sink, from);

	if (span == NULL)
		return NULL;
	traced_client(span, s);
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

	if (item->put_ms == 0 || item->attempts > 0)
		return;
	age_us = sq_item_age_ms(item, sq_worker_now_ms(s->shard->worker)) * UINT64_C(1000);
	span = traced_item(s, SQ_SPAN_QUEUE, item, from, sq_clock_us() - age_us);
	if (span != NULL)
		sq_span_record(span);
}

void
sq_traced_sent(struct sq_session *s, const struct sq_item *item, const struct sq_queue_ref *from)
{
	struct sq_span *span = traced_item(s, SQ_SPAN_DELIVER, item, from, sq_clock_us());

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
	if (slot->item.msg.image != NULL && sq_traced(slot->item.msg.image, &t))
		slot->traced_us = sq_clock_us();
}

void
sq_traced_settled(struct sq_session *s, struct sq_slot *slot, uint8_t reason, const char *why)
{
	bool again = slot->traced_again || slot->item.attempts > 0;
	struct sq_span *span = traced_item(s, again ? SQ_SPAN_ATTEMPT : SQ_SPAN_DELIVER,
	    &slot->item, &slot->from, slot->traced_us);

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
