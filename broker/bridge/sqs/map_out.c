/* See broker/bridge/sqs/map_out.h.
 *
 * Attributes, at most 10 of a message: nine at most are written here. */
#include "broker/bridge/sqs/map_out.h"

#include <stdlib.h>
#include <string.h>

#include "broker/bridge/carry.h"
#include "core/base64.h"
#include "core/rfc3339.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/headers/said.h"
#include "proto/json/write.h"
#include "proto/mapping/mapping.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/tags.h"

#define EVENT_TYPE "org.sqmqos.message" /* of an event about a message that is none */
#define EVENT_SOURCE "/sqmqos/"         /* and the space */
#define EMPTY_BODY "-"
#define INSTANT_MAX UINT64_C(253402300799999) /* of the year 9999 */

/* An entry that is being made. */
struct map {
	const struct sq_sqs_out *cfg;
	const struct sq_offered *of;
	struct sq_sqs_entry *out;
	struct sq_said said;
	struct sq_bytes topic, payload;
	const char *encoding; /* of the body; NULL: none */
	unsigned n_attributes;
	struct sq_buf text; /* for a moment */
};

/* A text in 'text', emptied for the next one. */
static struct sq_buf *
map_text(struct map *m)
{
	sq_buf_drain(&m->text, sq_buf_len(&m->text));
	return &m->text;
}

/* --- attributes --- */

static void
map_attribute(struct map *m, const char *name, struct sq_bytes value)
{
	const bool text = sq_sqs_text_good(value);
	const char *type = text ? "String" : "Binary";
	struct sq_buf *to = &m->out->json;

	if (value.len == 0)
		return;
	sq_buf_printf(to, "%s\"%s\":{\"DataType\":\"%s\",\"%sValue\":",
	    m->n_attributes++ == 0 ? ",\"MessageAttributes\":{" : ",", name, type, type);
	if (text) {
		sq_json_put_string(to, value);
	} else {
		sq_buf_u8(to, '"');
		sq_base64_put(to, value.p, value.len);
		sq_buf_u8(to, '"');
	}
	sq_buf_u8(to, '}');
	m->out->size += strlen(name) + strlen(type) + value.len;
}

static void
map_tags(struct map *m)
{
	struct sq_buf *to = map_text(m);
	struct sq_tags tags;

	(void)sq_tags_read(m->said.props, &tags);
	for (size_t i = 0; i < tags.n; i++) {
		sq_buf_u8(to, i == 0 ? '[' : ',');
		sq_json_put_string(to, tags.v[i]);
	}
	if (tags.n > 0)
		sq_buf_u8(to, ']');
	map_attribute(m, SQ_SQS_TAGS, sq_buf_bytes(to));
}

/* --- properties --- */

struct map_property {
	struct sq_bytes name, value;
	size_t at; /* its place among all */
};

/* By name; of one name by place. */
static int
map_property_order(const void *pa, const void *pb)
{
	const struct map_property *a = pa, *b = pb;
	int by = memcmp(
	    a->name.p, b->name.p, a->name.len < b->name.len ? a->name.len : b->name.len);

	if (by != 0)
		return by;
	if (a->name.len != b->name.len)
		return a->name.len < b->name.len ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static bool
map_same_name(const struct map_property *a, const struct map_property *b)
{
	return a->name.len == b->name.len && memcmp(a->name.p, b->name.p, a->name.len) == 0;
}

/* Those that go along, in their order; returns how many. */
static size_t
map_properties_read(const struct map *m, struct map_property **out)
{
	struct sq_bytes rest = m->said.props, name, value;
	struct map_property *v = NULL;
	size_t n = 0, cap = 0;

	while (sq_mqtt_user_next(&rest, &name, &value)) {
		if (sq_bytes_are(name, SQ_PROP_TAG) || name.len == 0 || !sq_carry_property(name))
			continue;
		if (n == cap) {
			cap = cap == 0 ? 16 : cap * 2;
			v = sq_xrealloc(v, cap * sizeof *v);
		}
		v[n] = (struct map_property){name, value, n};
		n++;
	}
	*out = v;
	return n;
}

static void
map_member(struct sq_buf *to, const char *name, const char *value)
{
	sq_buf_printf(to, "%s\"%s\":\"%s\"", sq_buf_len(to) == 0 ? "{" : ",", name, value);
}

/* What is ours of a message, and no property. */
static void
map_own(const struct map *m, struct sq_buf *to)
{
	struct sq_bytes rest = m->said.props;
	struct sq_mqtt_prop prop;
	char instant[SQ_RFC3339_MAX];

	if (sq_image_retain(m->of->msg->image))
		map_member(to, SQ_CARRY_RETAIN, "1");
	if (m->of->expires_ms > 0 && m->of->expires_ms <= INSTANT_MAX) {
		sq_rfc3339_write((int64_t)m->of->expires_ms, instant);
		map_member(to, SQ_SQS_EXPIRES, instant);
	}
	while (sq_mqtt_prop_next(&rest, &prop))
		if (prop.id == SQ_MQTT_PROP_PAYLOAD_FORMAT && prop.num == 1)
			map_member(to, SQ_CARRY_PAYLOAD_FORMAT, "1");
}

/* Several of one name are an array. */
static void
map_properties(struct map *m)
{
	struct sq_buf *to = map_text(m);
	struct map_property *v;
	size_t n = map_properties_read(m, &v);

	map_own(m, to);
	if (n > 0)
		qsort(v, n, sizeof *v, map_property_order);
	for (size_t i = 0; i < n; i++) {
		bool again = i > 0 && map_same_name(&v[i - 1], &v[i]);
		bool more = i + 1 < n && map_same_name(&v[i], &v[i + 1]);

		if (again) {
			sq_buf_u8(to, ',');
		} else {
			sq_buf_u8(to, sq_buf_len(to) == 0 ? '{' : ',');
			sq_json_put_string(to, v[i].name);
			sq_json_put_raw(to, more ? ":[" : ":");
		}
		sq_json_put_string(to, v[i].value);
		if (again && !more)
			sq_buf_u8(to, ']');
	}
	free(v);
	if (sq_buf_len(to) > 0)
		sq_buf_u8(to, '}');
	map_attribute(m, SQ_SQS_PROPERTIES, sq_buf_bytes(to));
}

/* --- the body --- */

static void
map_body(struct map *m, struct sq_bytes body)
{
	struct sq_buf *to = &m->out->json;

	sq_json_put_raw(to, "\"MessageBody\":");
	if (sq_sqs_text_good(body)) {
		sq_json_put_string(to, body);
		m->out->size += body.len;
	} else if (body.len == 0) {
		m->encoding = SQ_SQS_EMPTY;
		sq_json_put_raw(to, "\"" EMPTY_BODY "\"");
		m->out->size += sizeof EMPTY_BODY - 1;
	} else {
		m->encoding = SQ_SQS_BASE64;
		sq_buf_u8(to, '"');
		sq_base64_put(to, body.p, body.len);
		sq_buf_u8(to, '"');
		m->out->size += (body.len + 2) / 3 * 4;
	}
}

/* The event that the message is, or one about it. */
static void
map_event(struct map *m)
{
	struct sq_buf source = {0}, text = {0};
	struct sq_ce ce = {0};

	sq_buf_printf(&source, EVENT_SOURCE "%s", m->cfg->space);
	if (sq_ce_handed(&ce, m->said.props, m->payload) != SQ_OK)
		sq_ce_about(&ce,
		    &(const struct sq_ce_about){.id = sq_bytes_of(m->of->origin),
			.source = sq_buf_bytes(&source),
			.type = sq_bytes_of(EVENT_TYPE),
			.subject = m->topic,
			.order_key = m->said.order_key,
			.content_type = sq_said_type(&m->said),
			.time_ms = m->of->arrived_ms,
			.payload = m->payload});
	sq_ce_json_told(&ce, &(const struct sq_ce_told){.topic = m->topic}, &text);
	map_body(m, sq_buf_bytes(&text));
	sq_ce_fini(&ce);
	sq_buf_fini(&source);
	sq_buf_fini(&text);
}

/* --- the whole --- */

static void
map_raw(struct map *m)
{
	map_body(m, m->payload);
	map_attribute(m, SQ_CARRY_TOPIC, m->topic);
	map_attribute(m, SQ_SQS_TYPE, m->said.type);
	map_attribute(m, SQ_CARRY_CORRELATION, m->said.correlation);
	map_attribute(m, SQ_CARRY_RESPONSE, m->said.response_topic);
	map_tags(m);
	map_properties(m);
}

/* What goes to one group stays in order: the rule's, else by order key, else by topic. */
static int
map_group(struct map *m, struct sq_buf *why)
{
	struct sq_bytes by = m->said.order_key.len > 0 ? m->said.order_key : m->topic;
	const struct sq_mapping_from from = {.topic = m->topic,
	    .props = m->said.props,
	    .space = m->cfg->space,
	    .queue = m->cfg->queue};
	struct sq_buf *to = map_text(m);
	int rc = SQ_OK;

	if (m->cfg->rule->group != NULL) {
		rc = sq_mapping_fill(m->cfg->rule->group, SQ_MAPPING_TEXT, &from, to, why);
		by = sq_buf_bytes(to);
	}
	if (rc == SQ_OK && by.len == 0) {
		sq_buf_printf(why, "the group is empty");
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK)
		sq_sqs_group(by, m->out->group);
	return rc == SQ_OK ? SQ_OK : SQ_EINVAL;
}

static void
map_fifo(struct map *m)
{
	char id[SQ_SQS_GROUP_MAX + 1];
	struct sq_buf *to = &m->out->json;

	sq_sqs_group(sq_bytes_of(m->of->origin), id);
	sq_json_put_raw(to, ",\"MessageGroupId\":");
	sq_json_put_string(to, sq_bytes_of(m->out->group));
	sq_json_put_raw(to, ",\"MessageDeduplicationId\":");
	sq_json_put_string(to, sq_bytes_of(id));
}

int
sq_sqs_map_out(const struct sq_sqs_out *cfg, const struct sq_offered *of, struct sq_sqs_entry *out,
    struct sq_buf *why)
{
	const unsigned char *image = of->msg->image;
	struct map m = {.cfg = cfg,
	    .of = of,
	    .out = out,
	    .said = sq_said_read(sq_image_props(image), false),
	    .topic = sq_image_topic(image),
	    .payload = sq_image_payload(image)};
	int rc = SQ_OK;

	out->size = 0;
	out->group[0] = '\0';
	if (cfg->fifo)
		rc = map_group(&m, why);
	if (rc == SQ_OK && cfg->cfg->format == SQ_BRIDGE_FORMAT_CLOUDEVENTS)
		map_event(&m);
	else if (rc == SQ_OK)
		map_raw(&m);
	if (rc == SQ_OK) {
		map_attribute(&m, SQ_SQS_ENCODING, sq_bytes_of(m.encoding));
		map_attribute(&m, SQ_CARRY_ORIGIN, sq_bytes_of(of->origin));
		map_attribute(&m, SQ_CARRY_HOPS, sq_bytes_of(of->hops));
		if (m.n_attributes > 0)
			sq_buf_u8(&out->json, '}');
		if (cfg->fifo)
			map_fifo(&m);
	}
	if (rc == SQ_OK && out->size > cfg->cfg->max_size) {
		sq_buf_printf(why, "it has %zu bytes with its attributes, max-size is %llu",
		    out->size, (unsigned long long)cfg->cfg->max_size);
		rc = SQ_ETOOBIG;
	}
	sq_buf_fini(&m.text);
	return rc;
}

void
sq_sqs_entry_fini(struct sq_sqs_entry *e)
{
	sq_buf_fini(&e->json);
}
