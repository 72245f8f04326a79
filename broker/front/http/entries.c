/* See broker/front/http/entries.h. */
#include "broker/front/http/entries.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/front/http/entry.h"
#include "broker/front/http/values.h"
#include "core/mem.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/json/json.h"
#include "proto/media/media.h"

/* One reading. */
struct entries_reading {
	const struct sq_http_bounds *bounds;
	const struct sq_http_event_in *in;
	struct sq_http_entries *out;
	struct sq_http_fault *fault;
	size_t max;
	bool events;
};

enum sq_http_batch_form
sq_http_batch_form(struct sq_bytes type, struct sq_bytes body)
{
	if (type.len > 0) {
		if (sq_ce_form(type) == SQ_CE_BATCH)
			return SQ_HTTP_BATCH_EVENTS;
		if (sq_media_is(type, "application/json"))
			return SQ_HTTP_BATCH_ARRAY;
		return sq_media_is(type, "application/x-ndjson") ? SQ_HTTP_BATCH_LINES
								 : SQ_HTTP_BATCH_NONE;
	}
	while (body.len > 0 && strchr(" \t\r\n", body.p[0]) != NULL && body.p[0] != '\0')
		body.p++, body.len--;
	if (body.len > 0 && body.p[0] == '[')
		return SQ_HTTP_BATCH_ARRAY;
	return body.len > 0 && body.p[0] == '{' ? SQ_HTTP_BATCH_LINES : SQ_HTTP_BATCH_NONE;
}

/* An entry with its message, or its fault. */

static int
entries_object(struct entries_reading *r, struct sq_bytes text, struct sq_msg *msg,
    struct sq_http_fields *seen, struct sq_http_fault *fault)
{
	struct sq_http_entry e = {0};
	int rc = sq_http_entry_read(text, r->in->now_ms, &e, fault);

	if (rc == SQ_OK)
		rc = sq_http_message(r->bounds, &e.fields, e.topic, e.payload, msg, fault);
	seen->qos = e.fields.qos;
	seen->require_match = e.fields.require_match;
	sq_http_entry_fini(&e);
	return rc;
}

static int
entries_event(struct entries_reading *r, struct sq_bytes text, struct sq_msg *msg,
    struct sq_http_fields *seen, struct sq_http_fault *fault)
{
	struct sq_http_event_in in = *r->in;
	struct sq_http_event event = {0};
	struct sq_http_fields f = {0};
	int rc;

	in.body = text;
	in.element = true;
	rc = sq_http_fields_read(in.headers, in.n, in.now_ms, &f, fault);
	if (rc == SQ_OK)
		rc = sq_http_event_read(&in, &f, &event, fault);
	if (rc == SQ_OK)
		rc = sq_http_message(r->bounds, &f, event.topic, event.payload, msg, fault);
	seen->qos = f.qos;
	seen->require_match = f.require_match;
	sq_http_fields_fini(&f);
	sq_http_event_fini(&event);
	return rc;
}

/* Lists grow by doubling. */
static void
entries_room(struct sq_http_entries *out)
{
	size_t n = out->n, room = n == 0 ? 16 : 2 * n;

	if (n != 0 && (n < 16 || (n & (n - 1)) != 0))
		return;
	out->rc = sq_xrealloc(out->rc, room * sizeof *out->rc);
	out->faults = sq_xrealloc(out->faults, room * sizeof *out->faults);
	out->qos = sq_xrealloc(out->qos, room * sizeof *out->qos);
	out->msgs = sq_xrealloc(out->msgs, room * sizeof *out->msgs);
	out->wants = sq_xrealloc(out->wants, room * sizeof *out->wants);
}

static int
entries_take(struct entries_reading *r, struct sq_bytes text)
{
	struct sq_http_entries *out = r->out;
	struct sq_http_fields seen = {0};
	size_t i = out->n;

	if (i >= r->max)
		return sq_http_fault_say(
		    r->fault, SQ_HTTP_TOO_LARGE, "more entries than http.max-batch, %zu", r->max);
	entries_room(out);
	out->faults[i] = (struct sq_http_fault){0};
	out->rc[i] = (r->events ? entries_event : entries_object)(
	    r, text, &out->msgs[out->n_msgs], &seen, &out->faults[i]);
	out->qos[i] = seen.qos;
	out->n++;
	if (out->rc[i] != SQ_OK)
		return SQ_OK;
	out->wants[out->n_msgs] = (struct sq_publish_want){.require_match = seen.require_match};
	out->n_msgs++;
	return SQ_OK;
}

/* Forms. */

static int
entries_lines(struct entries_reading *r)
{
	struct sq_bytes rest = r->in->body;

	while (rest.len > 0) {
		const unsigned char *end = memchr(rest.p, '\n', rest.len);
		struct sq_bytes line = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.len};
		size_t used = line.len + (end != NULL);

		rest.p += used;
		rest.len -= used;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (sq_http_trim(line).len > 0 && entries_take(r, line) != SQ_OK)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
entries_array(struct entries_reading *r)
{
	struct sq_json_tokens t = {.room = (uint32_t)r->max + 2, .depth = 1};
	struct sq_json_error err;
	int rc;

	t.at = sq_xcalloc(t.room, sizeof *t.at);
	rc = sq_json_read(&t, r->in->body, &err);
	if (rc == SQ_ETOOBIG)
		rc = sq_http_fault_say(r->fault, SQ_HTTP_TOO_LARGE,
		    "JSON, byte %zu: %s; http.max-batch is %zu", err.offset, err.why, r->max);
	else if (rc != SQ_OK)
		rc = sq_http_fault_say(
		    r->fault, SQ_HTTP_MALFORMED, "JSON, byte %zu: %s", err.offset, err.why);
	else if (t.at[0].type != SQ_JSON_ARRAY)
		rc = sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED, "the body is no JSON array");
	for (uint32_t i = rc == SQ_OK ? sq_json_first(&t, 0) : 0; i != 0 && rc == SQ_OK;
	     i = sq_json_next(&t, 0, i)) {
		struct sq_bytes text = sq_json_raw(&t, i);

		if (t.at[i].type == SQ_JSON_STRING)
			text = sq_bytes_of("\"\""); /* no entry, as any that is no object */
		rc = entries_take(r, text);
	}
	free(t.at);
	return rc;
}

int
sq_http_entries_read(const struct sq_http_bounds *bounds, enum sq_http_batch_form form,
    const struct sq_http_event_in *in, size_t max, struct sq_http_entries *out,
    struct sq_http_fault *fault)
{
	struct entries_reading r = {.bounds = bounds,
	    .in = in,
	    .out = out,
	    .fault = fault,
	    .max = max,
	    .events = form == SQ_HTTP_BATCH_EVENTS};
	int rc;

	if (form == SQ_HTTP_BATCH_NONE)
		return sq_http_fault_say(fault, SQ_HTTP_MEDIA_TYPE,
		    "a batch is application/x-ndjson, application/json or " SQ_CE_TYPE_BATCH
		    "; one message needs its topic: /v1/publish/{topic}, or ?topic=");
	rc = form == SQ_HTTP_BATCH_LINES ? entries_lines(&r) : entries_array(&r);
	if (rc == SQ_OK && out->n == 0)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "the batch is empty");
	return rc;
}

void
sq_http_entries_fini(struct sq_http_entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		sq_http_fault_fini(&e->faults[i]);
	for (size_t i = 0; i < e->n_msgs; i++)
		sq_msg_unref(&e->msgs[i]);
	free(e->rc);
	free(e->faults);
	free(e->qos);
	free(e->msgs);
	free(e->wants);
	*e = (struct sq_http_entries){0};
}
