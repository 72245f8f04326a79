#include "broker/bridge/sqs/unwrap.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/json/json.h"
#include "proto/mqtt/props.h"

enum { UNWRAP_TOKENS = 1024 };

/* An envelope that is read. */
struct unwrap {
	struct sq_json_tokens t;
	struct sq_buf text, header; /* for a moment */
	bool unfit;                 /* what it has is no property of MQTT */
};

static int
unwrap_read(struct unwrap *u, struct sq_bytes body, unsigned depth)
{
	struct sq_json_error err;

	u->t = (struct sq_json_tokens){.room = UNWRAP_TOKENS, .depth = depth};
	u->t.at = sq_xmalloc(UNWRAP_TOKENS * sizeof *u->t.at);
	return sq_json_read(&u->t, body, &err) == SQ_OK && u->t.at[0].type == SQ_JSON_OBJECT
	    ? SQ_OK
	    : SQ_EINVAL;
}

static void
unwrap_fini(struct unwrap *u)
{
	free(u->t.at);
	sq_buf_fini(&u->text);
	sq_buf_fini(&u->header);
}

/* The string at a token, good until the next one; empty: it is none. */
static struct sq_bytes
unwrap_string(struct unwrap *u, uint32_t at)
{
	sq_buf_drain(&u->text, sq_buf_len(&u->text));
	if (at != 0 && u->t.at[at].type == SQ_JSON_STRING)
		sq_json_unescape(&u->t, at, &u->text);
	return sq_buf_bytes(&u->text);
}

/* Adds a property, unless it is empty. */
static void
unwrap_property(struct unwrap *u, struct sq_buf *props, struct sq_bytes name, struct sq_bytes value)
{
	if (value.len > 0 &&
	    (!sq_utf8_valid(name.p, name.len) || !sq_utf8_valid(value.p, value.len) ||
		sq_mqtt_user_append(props, name, value) != SQ_OK))
		u->unfit = true;
}

/* The attributes of a notification's message: {"name":{"Type":"String","Value":"..."}}. */
static void
unwrap_sns_attributes(struct unwrap *u, uint32_t all, struct sq_buf *props)
{
	static const char *const value = "Value";
	struct sq_json_error err;
	struct sq_buf name = {0};
	uint32_t at, found;

	if (all == 0 || u->t.at[all].type != SQ_JSON_OBJECT)
		return;
	for (at = sq_json_first(&u->t, all); at != 0; at = sq_json_next(&u->t, all, at + 1)) {
		sq_buf_drain(&name, sq_buf_len(&name));
		sq_json_unescape(&u->t, at, &name);
		if (u->t.at[at + 1].type == SQ_JSON_OBJECT &&
		    sq_json_members(&u->t, at + 1, &value, 1, &found, &err) == SQ_OK)
			unwrap_property(u, props, sq_buf_bytes(&name), unwrap_string(u, found));
	}
	sq_buf_fini(&name);
}

int
sq_sqs_unwrap_sns(struct sq_bytes body, struct sq_sqs_unwrapped *out, struct sq_buf *why)
{
	static const char *const names[] = {"Type", "Message", "MessageId", "MessageAttributes",
	    "TopicArn", "Subject", "Timestamp"};
	static const char *const ours[] = {"sns-topic-arn", "sns-subject", "sns-timestamp"};
	struct sq_json_error err;
	struct unwrap u = {0};
	uint32_t f[7];
	int rc = unwrap_read(&u, body, 3);

	if (rc == SQ_OK &&
	    (sq_json_members(&u.t, 0, names, 7, f, &err) != SQ_OK || f[0] == 0 ||
		u.t.at[f[0]].type != SQ_JSON_STRING ||
		!sq_json_equals(&u.t, f[0], sq_bytes_of("Notification")) || f[1] == 0 ||
		u.t.at[f[1]].type != SQ_JSON_STRING))
		rc = SQ_EINVAL;
	if (rc == SQ_OK) {
		struct sq_bytes id = unwrap_string(&u, f[2]);

		sq_buf_append(&out->id, id.p, id.len);
		sq_json_unescape(&u.t, f[1], &out->payload);
		for (unsigned i = 0; i < 3; i++)
			unwrap_property(
			    &u, &out->props, sq_bytes_of(ours[i]), unwrap_string(&u, f[4 + i]));
		unwrap_sns_attributes(&u, f[3], &out->props);
	}
	if (rc != SQ_OK || u.unfit) {
		sq_buf_printf(why, "the body is no notification of SNS, or has too much in one");
		rc = SQ_EINVAL;
	}
	unwrap_fini(&u);
	return rc;
}

/* A member of the event as an attribute of a CloudEvent. */
static const struct {
	const char *member, *header;
	bool needed;
} unwrap_attributes[] = {
    {"id", "ce-id", true},
    {"source", "ce-source", true},
    {"detail-type", "ce-type", true},
    {"time", "ce-time", false},
    {"account", "ce-awsaccount", false},
    {"region", "ce-awsregion", false},
};

static int
unwrap_event(struct unwrap *u, struct sq_ce *ce, struct sq_bytes *detail)
{
	const char *names[SQ_ARRAY_LEN(unwrap_attributes) + 1] = {"detail"};
	uint32_t f[SQ_ARRAY_LEN(names)];
	struct sq_ce_error wrong;
	struct sq_json_error err;

	for (size_t i = 0; i < SQ_ARRAY_LEN(unwrap_attributes); i++)
		names[i + 1] = unwrap_attributes[i].member;
	if (sq_json_members(&u->t, 0, names, SQ_ARRAY_LEN(names), f, &err) != SQ_OK || f[0] == 0)
		return SQ_EINVAL;
	*detail = sq_json_raw(&u->t, f[0]);
	if (u->t.at[f[0]].type != SQ_JSON_OBJECT ||
	    sq_ce_header(ce, sq_bytes_of("ce-specversion"), sq_bytes_of("1.0"), &wrong) != SQ_OK)
		return SQ_EINVAL;
	for (size_t i = 0; i < SQ_ARRAY_LEN(unwrap_attributes); i++) {
		struct sq_bytes value = unwrap_string(u, f[i + 1]);

		if (value.len == 0 && !unwrap_attributes[i].needed)
			continue;
		sq_buf_drain(&u->header, sq_buf_len(&u->header));
		sq_ce_header_value(&u->header, value);
		if (sq_ce_header(ce, sq_bytes_of(unwrap_attributes[i].header),
			sq_buf_bytes(&u->header), &wrong) != SQ_OK)
			return SQ_EINVAL;
	}
	return sq_ce_binary(ce, sq_bytes_of("application/json"), *detail, &wrong);
}

int
sq_sqs_unwrap_eventbridge(struct sq_bytes body, struct sq_sqs_unwrapped *out, struct sq_buf *why)
{
	struct unwrap u = {0};
	struct sq_bytes detail;
	struct sq_ce ce = {0};
	int rc = unwrap_read(&u, body, 1);

	if (rc == SQ_OK)
		rc = unwrap_event(&u, &ce, &detail);
	if (rc == SQ_OK) {
		sq_buf_append(&out->payload, detail.p, detail.len);
		sq_buf_append(&out->id, ce.id.p, ce.id.len);
		sq_buf_append(&out->type, ce.content_type.p, ce.content_type.len);
		sq_ce_props(&ce, &out->props);
	} else {
		sq_buf_printf(why, "the body is no event of EventBridge");
	}
	sq_ce_fini(&ce);
	unwrap_fini(&u);
	return rc == SQ_OK ? SQ_OK : SQ_EINVAL;
}

void
sq_sqs_unwrapped_fini(struct sq_sqs_unwrapped *u)
{
	sq_buf_fini(&u->payload);
	sq_buf_fini(&u->type);
	sq_buf_fini(&u->props);
	sq_buf_fini(&u->id);
}
