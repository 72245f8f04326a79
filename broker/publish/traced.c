#include "broker/publish/traced.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { BATCH_MAX = 1024 }; /* spans of a batch; more are dropped and counted */

/* A span that begins before its message is committed, for the message may be gone then. */
struct sq_traced_message {
	struct sq_trace trace;
	uint64_t began_us;
	struct sq_span span; /* of it what the message says */
};

struct sq_span *
sq_traced_admitted(struct sq_traced_batch *b, const unsigned char *image,
    const struct sq_origin *origin, uint8_t code, uint64_t began_us)
{
	struct sq_traced_message *m;
	struct sq_trace t;

	if (!sq_traced(image, &t))
		return NULL;
	if (b->n == BATCH_MAX) {
		sq_span_drop();
		return NULL;
	}
	if ((b->n & (b->n - 1)) == 0) /* a power of two is full */
		b->v = sq_xrealloc(b->v, (b->n > 0 ? b->n * 2u : 1u) * sizeof *b->v);
	m = &b->v[b->n++];
	*m = (struct sq_traced_message){.trace = t, .began_us = began_us};
	sq_span_message(
	    &m->span, sq_image_topic(image), sq_image_payload(image).len, sq_image_qos(image));
	m->span.reason = code;
	m->span.origin[0] = origin->incarnation;
	m->span.origin[1] = origin->run;
	m->span.origin[2] = origin->number;
	return &m->span;
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
