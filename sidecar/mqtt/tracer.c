/* Traces of publishes; see tracer.h.
 *
 * Spans that wait for their acknowledgement are in a table without chains: one has its place in a row
 * of few, and where that is full it is dropped and counted. */
#include "sidecar/mqtt/tracer.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/spans.h"
#include "proto/mqtt/props.h"
#include "proto/mqtt/reason.h"

enum {
	ROWS = 256, /* a power of two */
	ROW = 4,
};

struct open {
	const void *client; /* NULL: free */
	uint16_t packet_id;
	struct sq_traced traced;
	struct sq_span span; /* its texts and sizes alone */
};

struct sq_tracer {
	struct sq_trace_random random;
	uint64_t share;
	bool all;
	unsigned n_open;
	struct open *open; /* ROWS * ROW; NULL: none was ever open */
};

struct sq_tracer *
sq_tracer_new(uint64_t share, bool all)
{
	struct sq_tracer *t = sq_xcalloc(1, sizeof *t);

	sq_trace_seed(&t->random, sq_random_u64());
	t->share = share;
	t->all = all;
	return t;
}

void
sq_tracer_free(struct sq_tracer **tp)
{
	struct sq_tracer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	free(t->open);
	free(t);
}

/* --- the property --- */

/* Copies all properties but the trace's own. */
static void
props_without(struct sq_buf *out, struct sq_bytes from)
{
	struct sq_mqtt_prop p;

	while (sq_mqtt_prop_next(&from, &p)) {
		if (p.id != SQ_MQTT_PROP_USER_PROPERTY ||
		    (!sq_bytes_are(p.key, SQ_PROP_TRACEPARENT) &&
			!sq_bytes_are(p.key, SQ_PROP_TRACESTATE)))
			sq_buf_append(out, p.whole.p, p.whole.len);
	}
}

/* Has 'm' point to 'props', made of its own: without a bad trace, and with the new one, if any. */
static void
props_change(struct sq_lane_publish *m, enum sq_trace_found found, const struct sq_trace *new,
    struct sq_buf *props)
{
	char text[SQ_TRACEPARENT_LEN + 1];

	if (found == SQ_TRACE_BAD)
		props_without(props, m->props);
	else
		sq_buf_append(props, m->props.p, m->props.len);
	if (new != NULL) {
		sq_traceparent_format(new, text);
		if (sq_mqtt_user_append(
			props, sq_bytes_of(SQ_PROP_TRACEPARENT), sq_bytes_of(text)) != SQ_OK)
			abort(); /* both are short */
	}
	m->props = sq_buf_bytes(props);
}

/* Whether a message without a trace of the app's gets one. */
static bool
tracer_new_trace(struct sq_tracer *t, struct sq_trace *out)
{
	if (sq_trace_new(&t->random, t->share, out))
		return true;
	if (t->all)
		sq_trace_unsampled(&t->random, t->share, out);
	return t->all;
}

/* Trace Context, "Processing model": one that can't be parsed is replaced, and its tracestate goes. */
bool
sq_tracer_publish(struct sq_tracer *t, struct sq_lane_publish *m, bool room, struct sq_buf *props,
    struct sq_traced *out)
{
	enum sq_trace_found found = m->props.len == 0 ? SQ_TRACE_NONE
						      : sq_trace_find(m->props, &out->trace);
	bool made = found != SQ_TRACE_GOOD && room && tracer_new_trace(t, &out->trace);
	bool sampled = (made || found == SQ_TRACE_GOOD) && out->trace.sampled;

	if (!sampled && !made && found != SQ_TRACE_BAD)
		return false;
	if (found != SQ_TRACE_GOOD)
		props_change(m, found, made ? &out->trace : NULL, props);
	out->made = made;
	out->began_us = sampled && sq_spans_on() ? sq_clock_us() : 0;
	return true;
}

/* --- spans --- */

static struct open *
row_of(struct sq_tracer *t, const void *client, uint16_t packet_id)
{
	uint64_t h = ((uint64_t)(uintptr_t)client >> 4) + packet_id;

	return t->open + (h * UINT64_C(0x9e3779b97f4a7c15) >> 56) % ROWS * ROW;
}

/* The open span; a NULL client: a free place for that packet identifier of 'owner'. */
static struct open *
open_find(struct sq_tracer *t, const void *owner, uint16_t packet_id, const void *client)
{
	struct open *row = row_of(t, owner, packet_id);

	for (int i = 0; i < ROW; i++) {
		if (row[i].client == client && (client == NULL || row[i].packet_id == packet_id))
			return &row[i];
	}
	return NULL;
}

static void
span_fill(struct sq_span *s, const char *client_id, const struct sq_lane_publish *m)
{
	sq_span_message(s, m->topic, m->payload.len, sq_lane_publish_qos(m));
	sq_span_text(s->client, sizeof s->client, sq_bytes_of(client_id));
}

/* The span of a publish, without its message; NULL: it is dropped. */
static struct sq_span *
span_begin(const struct sq_traced *traced)
{
	struct sq_span *s = sq_span_new(SQ_SPAN_PUBLISH, &traced->trace, traced->began_us);

	if (s != NULL && traced->made) { /* the root; else the app's span is its parent */
		memcpy(s->id, traced->trace.span, sizeof s->id);
		memset(s->parent, 0, sizeof s->parent);
	}
	return s;
}

void
sq_tracer_taken(struct sq_tracer *t, const void *client, const char *client_id,
    const struct sq_lane_publish *m, const struct sq_traced *traced)
{
	struct sq_span *s;
	struct open *o;

	if (traced->began_us == 0)
		return;
	if (m->qos == 0) {
		s = span_begin(traced);
		if (s != NULL) {
			span_fill(s, client_id, m);
			sq_span_record(s);
		}
		return;
	}
	if (t->open == NULL)
		t->open = sq_xcalloc(ROWS * ROW, sizeof *t->open);
	o = open_find(t, client, m->packet_id, NULL);
	if (o == NULL) {
		sq_span_drop();
		return;
	}
	t->n_open++;
	*o = (struct open){.client = client, .packet_id = m->packet_id, .traced = *traced};
	span_fill(&o->span, client_id, m);
}

static void
open_end(struct sq_tracer *t, struct open *o, uint8_t reason, const char *failed)
{
	struct sq_span *s = span_begin(&o->traced);

	if (s != NULL) {
		s->body_bytes = o->span.body_bytes;
		s->qos = o->span.qos;
		s->reason = reason;
		memcpy(s->topic, o->span.topic, sizeof s->topic);
		memcpy(s->client, o->span.client, sizeof s->client);
		if (failed != NULL) {
			s->failed = true;
			sq_span_text(s->note, sizeof s->note, sq_bytes_of(failed));
		}
		sq_span_record(s);
	}
	o->client = NULL;
	t->n_open--;
}

void
sq_tracer_acked(struct sq_tracer *t, const void *client, uint16_t packet_id, uint8_t reason)
{
	struct open *o;

	if (t->n_open == 0)
		return;
	o = open_find(t, client, packet_id, client);
	if (o != NULL)
		open_end(t, o, reason, NULL);
}

void
sq_tracer_left(struct sq_tracer *t, const void *client)
{
	for (size_t i = 0; t->n_open > 0 && i < ROWS * ROW; i++) {
		if (t->open[i].client == client)
			open_end(t, &t->open[i], SQ_MQTT_RC_SUCCESS, "unacknowledged");
	}
}
