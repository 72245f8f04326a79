#include "broker/bridge/amqp/map_in.h"

#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/field.h"
#include "broker/bridge/amqp/names.h"
#include "broker/bridge/carry.h"
#include "core/base64.h"
#include "core/utf8.h"
#include "proto/mapping/mapping.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum { TEXT_MAX = 65535 }; /* bytes of a string of MQTT */

/* What is under way. */
struct in_work {
	const struct sq_amqp_delivery *from;
	const amqp_table_t *headers;
	struct sq_buf props; /* the block */
	struct sq_buf text;  /* of one value */
	struct sq_buf *why;
};

static const amqp_table_t no_headers;

static bool
in_has(const struct in_work *w, amqp_flags_t flag)
{
	return (w->from->props->_flags & flag) != 0;
}

/* A header that is text, as it is; .len 0: there is none. */
static struct sq_bytes
in_header(const struct in_work *w, const char *name)
{
	const amqp_field_value_t *v = sq_amqp_find(w->headers, sq_bytes_of(name));

	if (v == NULL || (v->kind != AMQP_FIELD_KIND_UTF8 && v->kind != AMQP_FIELD_KIND_BYTES))
		return (struct sq_bytes){0};
	return sq_amqp_bytes(v->value.bytes);
}

/* The text of a value, until the next one.  SQ_EINVAL with the reason. */
static int
in_text(struct in_work *w, const amqp_field_value_t *v, struct sq_bytes name, struct sq_bytes *out)
{
	sq_buf_drain(&w->text, sq_buf_len(&w->text));
	if (sq_amqp_field_text(v, &w->text) != SQ_OK) {
		sq_buf_printf(w->why, "header %.*s nests deeper than %d, or has a kind of its own",
		    (int)sq_utf8_cut(name.p, name.len, 64), (const char *)name.p,
		    SQ_AMQP_DEPTH_MAX);
		return SQ_EINVAL;
	}
	*out = sq_buf_bytes(&w->text);
	return SQ_OK;
}

/* User properties. */

static int
in_add(struct in_work *w, struct sq_bytes name, struct sq_bytes text)
{
	if (sq_mqtt_user_append(&w->props, name, text) == SQ_OK)
		return SQ_OK;
	sq_buf_printf(w->why, "header %.*s is longer than %d bytes",
	    (int)sq_utf8_cut(name.p, name.len, 64), (const char *)name.p, TEXT_MAX);
	return SQ_EINVAL;
}

static int
in_add_value(struct in_work *w, struct sq_bytes name, const amqp_field_value_t *v)
{
	struct sq_bytes text;
	int rc = in_text(w, v, name, &text);

	return rc == SQ_OK ? in_add(w, name, text) : rc;
}

/* A header as user properties of that name: each element of an array that has only scalars, or one. */
static int
in_add_header(struct in_work *w, struct sq_bytes name, const amqp_field_value_t *v)
{
	const amqp_array_t *a = &v->value.array;
	int rc = SQ_OK;

	if (v->kind != AMQP_FIELD_KIND_ARRAY)
		return in_add_value(w, name, v);
	for (int i = 0; i < a->num_entries; i++)
		if (!sq_amqp_is_scalar(&a->entries[i]))
			return in_add_value(w, name, v);
	for (int i = 0; i < a->num_entries && rc == SQ_OK; i++)
		rc = in_add_value(w, name, &a->entries[i]);
	return rc;
}

static int
in_headers(struct in_work *w, const struct sq_bridge_in *rule)
{
	const amqp_table_t *t = w->headers;
	bool tag = sq_config_is_set(rule->tag);
	int rc = tag ? in_add(w, sq_bytes_of(SQ_PROP_TAG), sq_bytes_of(rule->tag)) : SQ_OK;

	for (int i = 0; i < t->num_entries && rc == SQ_OK; i++) {
		struct sq_bytes name = sq_amqp_bytes(t->entries[i].key);
		const amqp_field_value_t *v = &t->entries[i].value;

		if (sq_bytes_are(name, SQ_AMQP_DELIVERY_COUNT)) {
			rc = in_add_value(w, sq_bytes_of(SQ_PROP_PEER_ATTEMPTS), v);
		} else if (sq_bytes_are(name, SQ_AMQP_TAGS)) {
			if (!tag)
				rc = in_add_header(w, sq_bytes_of(SQ_PROP_TAG), v);
		} else if (!sq_utf8_valid(name.p, name.len)) {
			sq_buf_printf(w->why, "the name of a header is no UTF-8");
			rc = SQ_EINVAL;
		} else if (sq_carry_property(name)) {
			rc = in_add_header(w, name, v);
		}
	}
	return rc;
}

/* Properties. */

static int
in_add_short(struct in_work *w, const char *name, amqp_flags_t flag, amqp_bytes_t value)
{
	struct sq_bytes v = sq_amqp_bytes(value);

	if (!in_has(w, flag) || v.len == 0)
		return SQ_OK;
	sq_buf_drain(&w->text, sq_buf_len(&w->text));
	sq_utf8_mend(&w->text, v.p, v.len);
	return in_add(w, sq_bytes_of(name), sq_buf_bytes(&w->text));
}

/* AMQP's properties that MQTT has none for.  A message id that is the origin is ours. */
static int
in_own(struct in_work *w)
{
	const amqp_basic_properties_t *p = w->from->props;
	struct sq_bytes origin = in_header(w, SQ_CARRY_ORIGIN), id = sq_amqp_bytes(p->message_id);
	bool ours = origin.len > 0 && origin.len == id.len && memcmp(origin.p, id.p, id.len) == 0;
	amqp_field_value_t v;
	int rc = SQ_OK;

	if (!ours)
		rc = in_add_short(
		    w, SQ_AMQP_PROP_MESSAGE_ID, AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id);
	if (rc == SQ_OK)
		rc = in_add_short(w, SQ_AMQP_PROP_TYPE, AMQP_BASIC_TYPE_FLAG, p->type);
	if (rc == SQ_OK)
		rc = in_add_short(w, SQ_AMQP_PROP_APP_ID, AMQP_BASIC_APP_ID_FLAG, p->app_id);
	if (rc == SQ_OK)
		rc = in_add_short(w, SQ_AMQP_PROP_USER_ID, AMQP_BASIC_USER_ID_FLAG, p->user_id);
	if (rc == SQ_OK)
		rc = in_add_short(w, SQ_AMQP_PROP_CONTENT_ENCODING,
		    AMQP_BASIC_CONTENT_ENCODING_FLAG, p->content_encoding);
	if (rc == SQ_OK && in_has(w, AMQP_BASIC_PRIORITY_FLAG)) {
		v = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_U8, .value.u8 = p->priority};
		rc = in_add_value(w, sq_bytes_of(SQ_AMQP_PROP_PRIORITY), &v);
	}
	if (rc == SQ_OK && in_has(w, AMQP_BASIC_TIMESTAMP_FLAG)) {
		v = (amqp_field_value_t){
		    .kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = p->timestamp};
		rc = in_add_value(w, sq_bytes_of(SQ_AMQP_PROP_TIMESTAMP), &v);
	}
	return rc;
}

static int
in_correlation(struct in_work *w)
{
	struct sq_bytes coded = in_header(w, SQ_CARRY_CORRELATION), data = {0};

	sq_buf_drain(&w->text, sq_buf_len(&w->text));
	if (coded.len > 0) {
		if (sq_base64_take(&w->text, (const char *)coded.p, coded.len) != SQ_OK) {
			sq_buf_printf(w->why, "header %s is no base64", SQ_CARRY_CORRELATION);
			return SQ_EINVAL;
		}
		data = sq_buf_bytes(&w->text);
	} else if (in_has(w, AMQP_BASIC_CORRELATION_ID_FLAG)) {
		data = sq_amqp_bytes(w->from->props->correlation_id);
	}
	if (sq_mqtt_prop_append(&w->props, SQ_MQTT_PROP_CORRELATION_DATA, data) == SQ_OK)
		return SQ_OK;
	sq_buf_printf(w->why, "header %s is longer than %d bytes", SQ_CARRY_CORRELATION, TEXT_MAX);
	return SQ_EINVAL;
}

/* A text that has a property of AMQP, or a header where it is too long for that. */
static struct sq_bytes
in_either(const struct in_work *w, const char *header, amqp_flags_t flag, amqp_bytes_t value)
{
	struct sq_bytes long_one = in_header(w, header);

	if (long_one.len > 0)
		return long_one;
	return in_has(w, flag) ? sq_amqp_bytes(value) : (struct sq_bytes){0};
}

static int
in_response(struct in_work *w)
{
	struct sq_bytes to = in_either(
	    w, SQ_CARRY_RESPONSE, AMQP_BASIC_REPLY_TO_FLAG, w->from->props->reply_to);

	if (to.len == 0)
		return SQ_OK;
	if (sq_topic_name_check(to, NULL) == SQ_OK && sq_utf8_valid(to.p, to.len))
		return sq_mqtt_prop_append(&w->props, SQ_MQTT_PROP_RESPONSE_TOPIC, to);
	sq_buf_drain(&w->text, sq_buf_len(&w->text));
	sq_utf8_mend(&w->text, to.p, to.len);
	return in_add(w, sq_bytes_of(SQ_AMQP_PROP_REPLY_TO), sq_buf_bytes(&w->text));
}

/* The property block. */
static int
in_props(struct in_work *w, const struct sq_bridge_in *rule)
{
	struct sq_bytes type = in_either(
	    w, SQ_AMQP_CONTENT_TYPE, AMQP_BASIC_CONTENT_TYPE_FLAG, w->from->props->content_type);
	struct sq_bytes body = w->from->body;
	int rc;

	if (sq_bytes_are(in_header(w, SQ_CARRY_PAYLOAD_FORMAT), "1") &&
	    sq_utf8_valid(body.p, body.len)) {
		sq_buf_u8(&w->props, SQ_MQTT_PROP_PAYLOAD_FORMAT);
		sq_buf_u8(&w->props, 1);
	}
	sq_utf8_mend(&w->text, type.p, type.len);
	if (sq_mqtt_prop_append(&w->props, SQ_MQTT_PROP_CONTENT_TYPE, sq_buf_bytes(&w->text)) !=
	    SQ_OK) {
		sq_buf_printf(w->why, "the content type is longer than %d bytes", TEXT_MAX);
		return SQ_EINVAL;
	}
	rc = in_response(w);
	if (rc == SQ_OK)
		rc = in_correlation(w);
	if (rc == SQ_OK)
		rc = in_own(w);
	return rc == SQ_OK ? in_headers(w, rule) : rc;
}

/* Milliseconds as text, as the seconds of MQTT, of which a part counts whole. */
static uint32_t
in_expiry(const struct in_work *w)
{
	struct sq_bytes t = sq_amqp_bytes(w->from->props->expiration);
	uint64_t ms = 0;

	if (!in_has(w, AMQP_BASIC_EXPIRATION_FLAG) || t.len == 0 || t.len > 15)
		return SQ_MSG_NO_EXPIRY;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return SQ_MSG_NO_EXPIRY;
		ms = ms * 10 + (t.p[i] - '0');
	}
	if (ms == 0)
		return 1;
	ms = (ms + 999) / 1000;
	return ms < SQ_MSG_NO_EXPIRY ? (uint32_t)ms : SQ_MSG_NO_EXPIRY - 1;
}

/* For templates. */
static struct sq_bytes
in_named(const void *arg, struct sq_bytes name)
{
	struct in_work *w = (struct in_work *)(uintptr_t)arg;
	const amqp_field_value_t *v = sq_amqp_find(w->headers, name);
	struct sq_buf why = {0}, *kept = w->why;
	struct sq_bytes text = {0};

	w->why = &why;
	if (v != NULL && in_text(w, v, name, &text) != SQ_OK)
		text = (struct sq_bytes){0};
	w->why = kept;
	sq_buf_fini(&why);
	return text;
}

static int
in_topic(struct in_work *w, const struct sq_bridge_cfg *cfg, const struct sq_bridge_in *rule,
    struct sq_buf *topic)
{
	const struct sq_mapping_from from = {
	    .topic = in_header(w, SQ_CARRY_TOPIC),
	    .space = cfg->space,
	    .queue = rule->queue,
	    .key = w->from->key,
	    .header = in_named,
	    .arg = w,
	};

	return sq_mapping_fill(rule->to, SQ_MAPPING_TOPIC, &from, topic, w->why) == SQ_OK
	    ? SQ_OK
	    : SQ_EINVAL;
}

/* What tells copies of one message from others: its origin, or its message id. */
static void
in_key(const struct in_work *w, unsigned dedup, struct sq_buf *key)
{
	struct sq_bytes origin = in_header(w, SQ_CARRY_ORIGIN);
	struct sq_bytes id = sq_amqp_bytes(w->from->props->message_id);
	const char *kind = "o:";

	if (dedup == SQ_BRIDGE_DEDUP_NONE)
		return;
	if (origin.len == 0 && dedup == SQ_BRIDGE_DEDUP_MESSAGE_ID &&
	    in_has(w, AMQP_BASIC_MESSAGE_ID_FLAG)) {
		origin = id;
		kind = "m:";
	}
	if (origin.len == 0 || origin.len > SQ_AMQP_ORIGIN_MAX)
		return;
	sq_buf_printf(key, "%s", kind);
	sq_buf_append(key, origin.p, origin.len);
}

static int
in_image(struct in_work *w, const struct sq_bridge_in *rule, size_t max_packet,
    const struct sq_buf *topic, struct sq_amqp_in *out)
{
	size_t size = SQ_MSG_HEADER + sq_buf_len(topic) + sq_buf_len(&w->props) + w->from->body.len;

	if (size > max_packet) {
		sq_buf_printf(w->why, "the message has %zu bytes, limits.max-packet is %zu", size,
		    max_packet);
		return SQ_ETOOBIG;
	}
	out->msg = sq_msg_new((unsigned)rule->qos, sq_bytes_are(in_header(w, SQ_CARRY_RETAIN), "1"),
	    sq_buf_bytes(topic), sq_buf_bytes(&w->props), in_expiry(w), w->from->body);
	return SQ_OK;
}

int
sq_amqp_map_in(const struct sq_amqp_delivery *from, const struct sq_bridge_cfg *cfg,
    const struct sq_bridge_in *rule, size_t max_packet, struct sq_amqp_in *out, struct sq_buf *why)
{
	struct in_work w = {.from = from, .headers = &no_headers, .why = why};
	struct sq_buf topic = {0};
	struct sq_bytes hops;
	int rc;

	if (in_has(&w, AMQP_BASIC_HEADERS_FLAG))
		w.headers = &from->props->headers;
	hops = in_header(&w, SQ_CARRY_HOPS);
	/* One that is cut still has too many. */
	sq_buf_append(
	    &out->hops, hops.p, hops.len <= SQ_CARRY_HOPS_MAX ? hops.len : SQ_CARRY_HOPS_MAX + 1);
	in_key(&w, cfg->dedup, &out->key);
	rc = in_topic(&w, cfg, rule, &topic);
	if (rc == SQ_OK)
		rc = in_props(&w, rule);
	if (rc == SQ_OK)
		rc = in_image(&w, rule, max_packet, &topic, out);
	sq_buf_fini(&topic);
	sq_buf_fini(&w.props);
	sq_buf_fini(&w.text);
	return rc;
}

struct sq_msg
sq_amqp_letter(
    const struct sq_bridge_cfg *cfg, const struct sq_bridge_in *rule, struct sq_bytes payload)
{
	return sq_msg_new((unsigned)rule->qos, false, sq_bytes_of(cfg->record.name),
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, payload);
}

void
sq_amqp_in_fini(struct sq_amqp_in *in)
{
	sq_msg_unref(&in->msg);
	sq_buf_fini(&in->key);
	sq_buf_fini(&in->hops);
	*in = (struct sq_amqp_in){0};
}
