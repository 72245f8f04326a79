/* See broker/front/http/info.h. */
#include "broker/front/http/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/front/http/object.h"
#include "core/mem.h"
#include "proto/json/write.h"

static const char tag_form[] = "\"%016" PRIx64 "\"";

void
sq_http_info_etag(uint64_t revision, char out[SQ_HTTP_ETAG_MAX])
{
	(void)snprintf(out, SQ_HTTP_ETAG_MAX, tag_form, revision);
}

void
sq_http_info_match(struct sq_bytes text, uint64_t *revision)
{
	char copy[SQ_HTTP_ETAG_MAX], again[SQ_HTTP_ETAG_MAX];

	*revision = SQ_REVISION_NONE;
	if (text.len >= sizeof copy)
		return;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (sscanf(copy, "\"%16" SCNx64 "\"", revision) == 1)
		sq_http_info_etag(*revision, again);
	if (*revision == 0 || *revision >= SQ_REVISION_ANY || strcmp(copy, again) != 0)
		*revision = SQ_REVISION_NONE;
}

void
sq_http_info_json(const struct sq_queue_info *q, struct sq_buf *out)
{
	char tag[SQ_HTTP_ETAG_MAX];

	sq_http_info_etag(q->revision, tag);
	sq_buf_printf(out, "{\"name\":");
	sq_json_put_string(out, sq_bytes_of(q->name));
	sq_buf_printf(out, ",\"etag\":");
	sq_json_put_string(out, sq_bytes_of(tag));
	sq_buf_printf(out, ",\"declaredIn\":\"%s\",\"paused\":%s", q->in_file ? "file" : "api",
	    q->paused ? "true" : "false");
	if (q->pause_why != NULL) {
		sq_buf_printf(out, ",\"pauseReason\":");
		sq_json_put_string(out, sq_bytes_of(q->pause_why));
	}
	sq_buf_printf(out, ",\"settings\":{");
	sq_declaration_write_json(&q->decl, out);
	sq_buf_printf(out,
	    "},\"counts\":{\"ready\":%" PRIu64 ",\"readyBytes\":%" PRIu64 ",\"leased\":%" PRIu64
	    ",\"parked\":%" PRIu64 ",\"dead\":%" PRIu64 ",\"oldestAge\":",
	    q->ready, q->ready_bytes, q->leased, q->parked, q->dead);
	if (q->oldest_ms > 0)
		sq_buf_printf(out, "\"%" PRIu64 "ms\"", q->oldest_ms);
	else
		sq_buf_printf(out, "null");
	sq_buf_printf(
	    out, "},\"consumers\":{\"members\":%u,\"pollers\":%u}", q->members, q->pollers);
	if (sq_buf_len(&q->user) > 0)
		sq_buf_printf(out, ",\"push\":{%.*s}", (int)sq_buf_len(&q->user),
		    (const char *)sq_buf_data(&q->user));
	sq_buf_u8(out, '}');
}

void
sq_http_info_tested(const struct sq_queue_out *o, struct sq_buf *out)
{
	const struct sq_queue_tested *t = &o->tested;

	sq_buf_printf(out, "{\"taken\":%s,\"status\":", t->taken ? "true" : "false");
	if (t->status != 0)
		sq_buf_printf(out, "%u", t->status);
	else
		sq_buf_printf(out, "null");
	sq_buf_printf(out, ",\"took\":\"%" PRIu64 ".%03" PRIu64 "ms\",\"type\":", t->took_us / 1000,
	    t->took_us % 1000);
	sq_json_put_string(out, sq_buf_bytes(&t->type));
	sq_buf_printf(out, ",\"why\":");
	sq_json_put_string(out, sq_buf_bytes(&o->detail));
	sq_buf_u8(out, '}');
}

/* A member that may be left out, or null. */
static int
info_text(const struct sq_json_tokens *t, uint32_t i, const char *name, char **out,
    struct sq_http_fault *fault)
{
	if (i == 0 || t->at[i].type == SQ_JSON_NULL)
		return SQ_OK;
	return sq_http_object_text(t, i, name, out, fault);
}

int
sq_http_info_binding(
    struct sq_bytes body, struct sq_declared_binding *out, struct sq_http_fault *fault)
{
	static const char *const names[] = {"filter", "tag", "qos", NULL};
	struct sq_json_token at[8];
	struct sq_json_tokens t = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 1};
	uint32_t found[3] = {0};
	uint64_t qos = 1;

	if (sq_http_object_read(&t, body, names, found, fault) != SQ_OK ||
	    info_text(&t, found[0], names[0], &out->filter, fault) != SQ_OK ||
	    info_text(&t, found[1], names[1], &out->tag, fault) != SQ_OK ||
	    (found[2] != 0 &&
		sq_http_object_number(&t, found[2], names[2], 2, &qos, fault) != SQ_OK))
		return SQ_EINVAL;
	if (out->filter == NULL && out->tag == NULL)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "filter is missing, and tag as well");
	if (qos == 0)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY, "qos must be 1 or 2");
	out->qos = (uint8_t)qos;
	return SQ_OK;
}
