/* See broker/bridge/sqs/map_in.h. */
#include "broker/bridge/sqs/map_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/bridge/carry.h"
#include "broker/bridge/sqs/attributes.h"
#include "broker/bridge/sqs/unwrap.h"
#include "core/base64.h"
#include "core/mem.h"
#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/mapping/mapping.h"
#include "proto/media/media.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

#define OWN_PREFIX "sqs-" /* of properties that a message gets here */
#define TRACEPARENT "traceparent"

enum { PROPERTIES_TOKENS = 4096 };

/* A message that is being mapped. */
struct map {
	const struct sq_sqs_in *cfg;
	struct sq_sqs_attributes attributes;
	struct sq_bytes body;
	/* What is known so far. */
	struct sq_buf topic_said; /* by the peer; empty: nothing */
	struct sq_buf payload, type, props;
	struct sq_buf copies; /* an id of copies beside SQS' own; empty: none */
	bool retain, utf8, ordered, traced;
	uint32_t expiry_s;
	struct sq_buf *why; /* not empty: it can't be published */
	bool too_large;
};

static struct sq_bytes
map_find(const struct map *m, const char *name)
{
	return sq_sqs_attribute_find(&m->attributes, sq_bytes_of(name));
}

static void
map_refuse(struct map *m, const char *why)
{
	if (sq_buf_len(m->why) == 0)
		sq_buf_printf(m->why, "%s", why);
}

static bool
map_begins(struct sq_bytes name, const char *with)
{
	size_t len = strlen(with);

	return name.len >= len && strncasecmp((const char *)name.p, with, len) == 0;
}

static void
map_put(struct map *m, struct sq_bytes name, struct sq_bytes value)
{
	if (!sq_utf8_valid(name.p, name.len) || !sq_utf8_valid(value.p, value.len) ||
	    sq_mqtt_user_append(&m->props, name, value) != SQ_OK)
		map_refuse(m, "a property is no text, or longer than 65,535 bytes");
}

/* A property that the message has had where it comes from. */
static void
map_property(struct map *m, struct sq_bytes name, struct sq_bytes value)
{
	if (name.len == 0 || !sq_carry_property(name) || map_begins(name, OWN_PREFIX) ||
	    sq_bytes_are(name, SQ_PROP_TAG))
		return;
	m->ordered = m->ordered || sq_bytes_are(name, SQ_PROP_ORDER_KEY);
	m->traced = m->traced || sq_bytes_are(name, TRACEPARENT);
	map_put(m, name, value);
}

/* --- what SQMQOS has written --- */

static void
map_expires(struct map *m, struct sq_bytes instant)
{
	int64_t ms, left;

	if (sq_rfc3339_read(instant, &ms) != SQ_OK)
		return;
	left = (ms - (int64_t)m->cfg->wall_ms + 999) / 1000;
	m->expiry_s = left <= 0 ? 0 : left < SQ_MSG_NO_EXPIRY ? (uint32_t)left : SQ_MSG_NO_EXPIRY;
}

/* A member of sqmqos-properties: a property, or what is ours of the message. */
static void
map_member(struct map *m, struct sq_bytes name, struct sq_bytes value)
{
	if (sq_bytes_are(name, SQ_CARRY_RETAIN))
		m->retain = sq_bytes_are(value, "1");
	else if (sq_bytes_are(name, SQ_CARRY_PAYLOAD_FORMAT))
		m->utf8 = sq_bytes_are(value, "1");
	else if (sq_bytes_are(name, SQ_SQS_EXPIRES))
		map_expires(m, value);
	else
		map_property(m, name, value);
}

/* Strings at 'at', one or an array of them; false: it is neither. */
static bool
map_strings(struct map *m, const struct sq_json_tokens *t, uint32_t at, struct sq_bytes name,
    void (*each)(struct map *, struct sq_bytes name, struct sq_bytes value))
{
	const bool many = t->at[at].type == SQ_JSON_ARRAY;
	struct sq_buf value = {0};
	bool good = true;

	for (uint32_t i = many ? sq_json_first(t, at) : at; i != 0 && good;
	     i = many ? sq_json_next(t, at, i) : 0) {
		good = t->at[i].type == SQ_JSON_STRING;
		sq_buf_drain(&value, sq_buf_len(&value));
		if (good)
			sq_json_unescape(t, i, &value);
		if (good)
			each(m, name, sq_buf_bytes(&value));
	}
	sq_buf_fini(&value);
	return good;
}

static bool
map_members(struct map *m, const struct sq_json_tokens *t)
{
	struct sq_buf name = {0};
	bool good = t->at[0].type == SQ_JSON_OBJECT;

	for (uint32_t i = good ? sq_json_first(t, 0) : 0; i != 0 && good;
	     i = sq_json_next(t, 0, i + 1)) {
		sq_buf_drain(&name, sq_buf_len(&name));
		sq_json_unescape(t, i, &name);
		good = map_strings(m, t, i + 1, sq_buf_bytes(&name), map_member);
	}
	sq_buf_fini(&name);
	return good;
}

/* Reads an attribute that has JSON. */
static void
map_json(
    struct map *m, const char *attribute, bool (*take)(struct map *, const struct sq_json_tokens *))
{
	struct sq_bytes text = map_find(m, attribute);
	struct sq_json_token *room;
	struct sq_json_tokens t = {.room = PROPERTIES_TOKENS, .depth = 2};
	struct sq_json_error err;

	if (text.len == 0)
		return;
	room = sq_xmalloc(PROPERTIES_TOKENS * sizeof *room);
	t.at = room;
	if (sq_json_read(&t, text, &err) != SQ_OK || !take(m, &t)) {
		char why[96];

		(void)snprintf(
		    why, sizeof why, "attribute %s is not as SQMQOS writes it", attribute);
		map_refuse(m, why);
	}
	free(room);
}

static bool
map_tags(struct map *m, const struct sq_json_tokens *t)
{
	return t->at[0].type == SQ_JSON_ARRAY &&
	    map_strings(m, t, 0, sq_bytes_of(SQ_PROP_TAG), map_put);
}

/* --- bodies --- */

static void
map_append(struct sq_buf *to, struct sq_bytes from)
{
	sq_buf_append(to, from.p, from.len);
}

static void
map_raw(struct map *m)
{
	struct sq_bytes encoding = map_find(m, SQ_SQS_ENCODING);

	if (encoding.len == 0)
		map_append(&m->payload, m->body);
	else if (sq_bytes_are(encoding, SQ_SQS_BASE64)) {
		if (sq_base64_take(&m->payload, (const char *)m->body.p, m->body.len) != SQ_OK)
			map_refuse(
			    m, "the body is not base64, as attribute " SQ_SQS_ENCODING " says");
	} else if (!sq_bytes_are(encoding, SQ_SQS_EMPTY))
		map_refuse(m, "attribute " SQ_SQS_ENCODING " has no encoding that is known");
	map_append(&m->type, map_find(m, SQ_SQS_TYPE));
}

/* An event in its structured form, which may be in base64. */
static void
map_event(struct map *m)
{
	struct sq_ce ce = {0};
	struct sq_ce_error err;
	struct sq_buf json = m->payload;

	m->payload = (struct sq_buf){0};
	if (sq_ce_structured(&ce, sq_buf_bytes(&json), &err) == SQ_OK) {
		map_append(&m->payload, ce.payload);
		map_append(&m->topic_said, ce.asked.topic);
		sq_buf_drain(&m->type, sq_buf_len(&m->type));
		map_append(&m->type, ce.content_type);
		sq_ce_props(&ce, &m->props);
		if (ce.asked.order_key.len > 0)
			map_property(m, sq_bytes_of(SQ_PROP_ORDER_KEY), ce.asked.order_key);
	} else {
		map_refuse(m, "the body is no CloudEvent");
		map_append(&m->payload, sq_buf_bytes(&json));
	}
	sq_ce_fini(&ce);
	sq_buf_fini(&json);
}

static void
map_unwrap(struct map *m)
{
	struct sq_sqs_unwrapped u = {0};
	int rc = m->cfg->rule->unwrap == SQ_BRIDGE_UNWRAP_SNS
	    ? sq_sqs_unwrap_sns(m->body, &u, m->why)
	    : sq_sqs_unwrap_eventbridge(m->body, &u, m->why);

	if (rc == SQ_OK) {
		sq_buf_drain(&m->payload, sq_buf_len(&m->payload));
		map_append(&m->payload, sq_buf_bytes(&u.payload));
		sq_buf_drain(&m->type, sq_buf_len(&m->type));
		map_append(&m->type, sq_buf_bytes(&u.type));
		map_append(&m->props, sq_buf_bytes(&u.props));
		map_append(&m->copies, sq_buf_bytes(&u.id));
	}
	sq_sqs_unwrapped_fini(&u);
}

/* --- properties --- */

/* Whether the attribute is one of those that become something else than a property. */
static bool
map_is_ours(struct sq_bytes name)
{
	return map_begins(name, SQ_PROP_PREFIX) || sq_bytes_are(name, SQ_SQS_TYPE);
}

/* Attributes that others have written are properties; binary ones in base64. */
static void
map_foreign(struct map *m)
{
	struct sq_buf text = {0};

	for (size_t i = 0; i < m->attributes.n; i++) {
		const struct sq_sqs_attribute *a = &m->attributes.v[i];
		struct sq_bytes name = sq_sqs_attribute_name(&m->attributes, a);
		struct sq_bytes value = sq_sqs_attribute_value(&m->attributes, a);

		if (a->system || map_is_ours(name))
			continue;
		sq_buf_drain(&text, sq_buf_len(&text));
		if (a->binary)
			sq_base64_put(&text, value.p, value.len);
		map_property(m, name, a->binary ? sq_buf_bytes(&text) : value);
	}
	sq_buf_fini(&text);
}

/* "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1" as a traceparent. */
static void
map_trace(struct map *m)
{
	struct sq_bytes h = map_find(m, "AWSTraceHeader");
	unsigned char text[128];
	char epoch[9], random[25], parent[17], out[56];
	const char *sampled;

	if (m->traced || h.len == 0 || h.len >= sizeof text)
		return;
	memcpy(text, h.p, h.len);
	text[h.len] = '\0';
	if (sscanf((const char *)text, "Root=1-%8[0-9a-f]-%24[0-9a-f];Parent=%16[0-9a-f]", epoch,
		random, parent) != 3 ||
	    strlen(epoch) != 8 || strlen(random) != 24 || strlen(parent) != 16)
		return;
	sampled = strstr((const char *)text, "Sampled=1") != NULL ? "01" : "00";
	(void)snprintf(out, sizeof out, "00-%s%s-%s-%s", epoch, random, parent, sampled);
	map_put(m, sq_bytes_of(TRACEPARENT), sq_bytes_of(out));
}

static void
map_own(struct map *m, struct sq_bytes id)
{
	static const struct {
		const char *attribute, *property;
	} own[] = {
	    {"SentTimestamp", OWN_PREFIX "sent-timestamp"},
	    {"ApproximateReceiveCount", SQ_PROP_PEER_ATTEMPTS},
	};
	struct sq_bytes group = map_find(m, "MessageGroupId");

	map_put(m, sq_bytes_of(OWN_PREFIX "message-id"), id);
	for (size_t i = 0; i < SQ_ARRAY_LEN(own); i++) {
		struct sq_bytes value = map_find(m, own[i].attribute);

		if (value.len > 0)
			map_put(m, sq_bytes_of(own[i].property), value);
	}
	/* What is in order there stays so here; of SQMQOS it has its own. */
	if (!m->ordered && group.len > 0 && map_find(m, SQ_CARRY_ORIGIN).len == 0)
		map_put(m, sq_bytes_of(SQ_PROP_ORDER_KEY), group);
	map_trace(m);
}

/* Puts what is no user property before them. */
static void
map_head(struct map *m, struct sq_buf *out)
{
	struct sq_bytes type = sq_buf_bytes(&m->type), response = map_find(m, SQ_CARRY_RESPONSE);
	struct sq_bytes payload = sq_buf_bytes(&m->payload);

	if ((m->utf8 || sq_media_is_characters(type)) && sq_utf8_valid(payload.p, payload.len)) {
		sq_buf_u8(out, SQ_MQTT_PROP_PAYLOAD_FORMAT);
		sq_buf_u8(out, 1);
	}
	if (sq_utf8_valid(type.p, type.len) &&
	    sq_mqtt_prop_append(out, SQ_MQTT_PROP_CONTENT_TYPE, type) != SQ_OK)
		map_refuse(m, "the content type is too long");
	if (sq_topic_name_check(response, NULL) == SQ_OK &&
	    sq_mqtt_prop_append(out, SQ_MQTT_PROP_RESPONSE_TOPIC, response) != SQ_OK)
		map_refuse(m, "the response topic is too long");
	if (sq_mqtt_prop_append(
		out, SQ_MQTT_PROP_CORRELATION_DATA, map_find(m, SQ_CARRY_CORRELATION)) != SQ_OK)
		map_refuse(m, "the correlation data is too long");
}

/* --- the whole --- */

static struct sq_bytes
map_header(const void *arg, struct sq_bytes name)
{
	const struct map *m = arg;

	return sq_sqs_attribute_find(&m->attributes, name);
}

static void
map_topic(struct map *m, struct sq_buf *out)
{
	const struct sq_mapping_from from = {.topic = sq_buf_bytes(&m->topic_said),
	    .props = sq_buf_bytes(&m->props), /* for the tag */
	    .space = m->cfg->space,
	    .queue = m->cfg->queue,
	    .key = map_find(m, "MessageGroupId"),
	    .header = map_header,
	    .arg = m};
	struct sq_buf why = {0};

	if (sq_mapping_fill(m->cfg->rule->to, SQ_MAPPING_TOPIC, &from, out, &why) != SQ_OK) {
		sq_buf_u8(&why, '\0');
		map_refuse(m, (const char *)sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

/* Makes the image; of what can't be published one that a letter can have. */
static void
map_image(struct map *m, struct sq_msg *out)
{
	struct sq_buf topic = {0}, props = {0};
	struct sq_bytes payload = sq_buf_bytes(&m->payload);
	size_t size;

	map_topic(m, &topic);
	map_head(m, &props);
	map_append(&props, sq_buf_bytes(&m->props));
	if (sq_buf_len(&topic) == 0)
		map_append(&topic, sq_bytes_of(m->cfg->cfg->record.name));
	size = SQ_MSG_HEADER + sq_buf_len(&topic) + sq_buf_len(&props) + payload.len;
	if (size > m->cfg->max_packet) {
		char why[96];

		(void)snprintf(why, sizeof why, "it has %zu bytes, limits.max-packet is %zu", size,
		    m->cfg->max_packet);
		m->too_large = sq_buf_len(m->why) == 0;
		map_refuse(m, why);
		payload.len = 0;
	}
	if (sq_buf_len(m->why) > 0)
		sq_buf_drain(&props, sq_buf_len(&props));
	*out = sq_msg_new((unsigned)m->cfg->rule->qos, m->retain, sq_buf_bytes(&topic),
	    sq_buf_bytes(&props), m->expiry_s, payload);
	sq_buf_fini(&topic);
	sq_buf_fini(&props);
}

/* Whether a text can be a key: visible ASCII. */
static bool
map_is_key(struct sq_bytes text, size_t max)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return false;
	return text.len > 0 && text.len <= max;
}

/* Copies of one message have one key: where SQMQOS has sent it its origin, else the id in its envelope,
 * else SQS' own. */
static void
map_key(const struct map *m, struct sq_bytes id, struct sq_buf *out)
{
	const struct {
		char kind;
		struct sq_bytes text;
	} keys[] = {
	    {'o', map_find(m, SQ_CARRY_ORIGIN)}, {'e', sq_buf_bytes(&m->copies)}, {'m', id}};

	if (m->cfg->cfg->dedup == SQ_BRIDGE_DEDUP_NONE)
		return;
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++)
		if (map_is_key(keys[i].text, SQ_BRIDGE_KEY_MAX - 2)) {
			sq_buf_printf(out, "%c:", keys[i].kind);
			map_append(out, keys[i].text);
			return;
		}
}

static void
map_read(struct map *m, struct sq_bytes id)
{
	map_append(&m->topic_said, map_find(m, SQ_CARRY_TOPIC));
	map_raw(m);
	if (m->cfg->rule->unwrap != SQ_BRIDGE_UNWRAP_NONE)
		map_unwrap(m);
	else if (m->cfg->cfg->format == SQ_BRIDGE_FORMAT_CLOUDEVENTS)
		map_event(m);
	if (m->cfg->rule->tag != NULL)
		map_put(m, sq_bytes_of(SQ_PROP_TAG), sq_bytes_of(m->cfg->rule->tag));
	else
		map_json(m, SQ_SQS_TAGS, map_tags);
	map_json(m, SQ_SQS_PROPERTIES, map_members);
	map_foreign(m);
	map_own(m, id);
}

void
sq_sqs_map_in(const struct sq_sqs_in *cfg, const struct sq_sqs_messages *messages,
    const struct sq_sqs_received *r, struct sq_sqs_arrival *out)
{
	struct map m = {.cfg = cfg, .why = &out->why, .expiry_s = SQ_MSG_NO_EXPIRY};
	struct sq_buf body = {0}, id = {0};

	if (sq_sqs_attributes_read(messages, r, &m.attributes) != SQ_OK)
		map_refuse(&m, "its attributes are none of SQS, or too many");
	sq_json_unescape(&messages->tokens, r->body, &body);
	sq_json_unescape(&messages->tokens, r->id, &id);
	m.body = sq_buf_bytes(&body);
	map_read(&m, sq_buf_bytes(&id));
	map_image(&m, &out->arrived.msg);
	map_key(&m, sq_buf_bytes(&id), &out->key);
	map_append(&out->hops, map_find(&m, SQ_CARRY_HOPS));
	out->arrived.key = sq_buf_bytes(&out->key);
	out->arrived.hops = sq_buf_bytes(&out->hops);
	out->arrived.too_large = m.too_large;
	out->arrived.again = map_find(&m, "ApproximateReceiveCount").len > 0 &&
	    !sq_bytes_are(map_find(&m, "ApproximateReceiveCount"), "1");
	if (sq_buf_len(&out->why) > 0) {
		sq_buf_u8(&out->why, '\0');
		out->arrived.unmappable = (const char *)sq_buf_data(&out->why);
	}
	sq_sqs_attributes_fini(&m.attributes);
	sq_buf_fini(&m.topic_said);
	sq_buf_fini(&m.payload);
	sq_buf_fini(&m.type);
	sq_buf_fini(&m.props);
	sq_buf_fini(&m.copies);
	sq_buf_fini(&body);
	sq_buf_fini(&id);
}

void
sq_sqs_arrival_fini(struct sq_sqs_arrival *a)
{
	sq_msg_unref(&a->arrived.msg);
	sq_buf_fini(&a->key);
	sq_buf_fini(&a->hops);
	sq_buf_fini(&a->why);
}
