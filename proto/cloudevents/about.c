/* Events of messages that are handed out: the one that a message is, or one about it. */
#include <assert.h>

#include "core/rfc3339.h"
#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/json/write.h"
#include "proto/media/media.h"

#define TOLD_LEASE "sqmqoslease"
#define TOLD_ATTEMPT "sqmqosattempt"
#define TOLD_TOPIC "sqmqostopic"

int
sq_ce_handed(struct sq_ce *ce, struct sq_bytes props, struct sq_bytes payload)
{
	struct sq_bytes rest, name, value;
	int rc = sq_ce_message(ce, props, payload);

	for (rest = sq_ce_attributes(ce); rc == SQ_OK && sq_ce_next(&rest, &name, &value);)
		if (sq_bytes_are(name, TOLD_LEASE) || sq_bytes_are(name, TOLD_ATTEMPT) ||
		    sq_bytes_are(name, TOLD_TOPIC))
			rc = SQ_ENOTFOUND;
	if (rc != SQ_OK)
		sq_ce_reset(ce);
	return rc;
}

/* Adds an attribute, if it can be one. */
static void
about_add(struct sq_ce *ce, const char *name, struct sq_bytes value,
    const char *(*wrong)(struct sq_bytes value))
{
	struct sq_ce_error ignored;
	int rc = SQ_OK;

	if (value.len > 0 && value.len <= UINT16_MAX && wrong(value) == NULL)
		rc = sq_ce_add(ce, sq_bytes_of(name), value, &ignored);
	(void)rc; /* nothing is wrong with it */
}

void
sq_ce_about(struct sq_ce *ce, const struct sq_ce_about *about)
{
	struct sq_ce_error ignored;
	char time[SQ_RFC3339_MAX] = "";
	int rc;

	if (about->time_ms > 0)
		sq_rfc3339_write((int64_t)about->time_ms, time);
	sq_ce_reset(ce);
	about_add(ce, "specversion", sq_bytes_of("1.0"), sq_ce_string_wrong);
	about_add(ce, "id", about->id, sq_ce_string_wrong);
	about_add(ce, "source", about->source, sq_ce_uri_reference_wrong);
	about_add(ce, "type", about->type, sq_ce_string_wrong);
	about_add(ce, "subject", about->subject, sq_ce_string_wrong);
	about_add(ce, "time", sq_bytes_of(time), sq_ce_time_wrong);
	about_add(ce, "partitionkey", about->order_key, sq_ce_string_wrong);
	about_add(ce, "traceparent", about->traceparent, sq_ce_string_wrong);
	about_add(ce, "tracestate", about->tracestate, sq_ce_string_wrong);
	if (sq_media_good(about->content_type))
		about_add(ce, SQ_CE_CONTENT_TYPE, about->content_type, sq_ce_media_type_wrong);
	rc = sq_ce_finish(ce, &ignored);
	assert(rc == SQ_OK);
	(void)rc;
	ce->payload = about->payload;
}

void
sq_ce_json_told(const struct sq_ce *ce, const struct sq_ce_told *told, struct sq_buf *out)
{
	sq_ce_json(ce, out);
	out->end--; /* its brace */
	if (told->attempt > 0) {
		sq_json_put_raw(out, ",\"" TOLD_ATTEMPT "\":");
		sq_json_put_number(out, told->attempt);
	}
	if (told->lease != NULL) {
		sq_json_put_raw(out, ",\"" TOLD_LEASE "\":");
		sq_json_put_plain(out, sq_bytes_of(told->lease));
	}
	sq_json_put_raw(out, ",\"" TOLD_TOPIC "\":");
	sq_json_put_string(out, told->topic);
	sq_json_put_raw(out, "}");
}
