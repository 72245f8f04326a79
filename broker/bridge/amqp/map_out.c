#include "broker/bridge/amqp/map_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/names.h"
#include "broker/bridge/carry.h"
#include "core/base64.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/mapping/mapping.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"

enum {
	TEXT_ROOM = 90 * 1024, /* base64 of 64 KiB, and numbers: 'text' never moves */
	PROPERTIES_ROOM = 256, /* above what properties take without texts and headers */
};

struct sq_amqp_out *
sq_amqp_out_new(void)
{
	return sq_xcalloc(1, sizeof(struct sq_amqp_out));
}

void
sq_amqp_out_free(struct sq_amqp_out **op)
{
	struct sq_amqp_out *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	sq_buf_fini(&o->exchange_text);
	sq_buf_fini(&o->key_text);
	sq_buf_fini(&o->text);
	free(o);
}

static amqp_bytes_t
out_bytes(struct sq_bytes b)
{
	return (amqp_bytes_t){.len = b.len, .bytes = (void *)(uintptr_t)b.p};
}

/* Headers. */

static uint32_t
out_hash(struct sq_bytes name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ name.p[i]) * 16777619u;
	return h;
}

/* The header of that name, a new one if there is none; NULL: there are too many. */
static struct sq_amqp_header *
out_header(struct sq_amqp_out *o, struct sq_bytes name)
{
	uint32_t hash = out_hash(name);

	for (unsigned i = 0; i < o->n_headers; i++) {
		struct sq_amqp_header *h = &o->headers[i];

		if (h->hash == hash && h->name.len == name.len &&
		    memcmp(h->name.p, name.p, name.len) == 0)
			return h;
	}
	if (o->n_headers == SQ_AMQP_HEADERS_MAX)
		return NULL;
	o->headers[o->n_headers] = (struct sq_amqp_header){.name = name, .hash = hash};
	o->bytes += name.len + 16;
	return &o->headers[o->n_headers++];
}

static int
out_add(struct sq_amqp_out *o, struct sq_bytes name, struct sq_bytes text, bool array,
    struct sq_buf *why)
{
	struct sq_amqp_header *h;

	if (name.len > SQ_AMQP_SHORT_MAX) {
		sq_buf_printf(why, "the name of a user property has %zu bytes, AMQP's have %d",
		    name.len, SQ_AMQP_SHORT_MAX);
		return SQ_EINVAL;
	}
	h = out_header(o, name);
	if (h == NULL || o->n_values == SQ_AMQP_VALUES_MAX) {
		sq_buf_printf(why, "more than %d user properties, or %d names", SQ_AMQP_VALUES_MAX,
		    SQ_AMQP_HEADERS_MAX);
		return SQ_ETOOBIG;
	}
	o->values[o->n_values] = (struct sq_amqp_value){.text = text};
	if (h->n > 0)
		o->values[h->last].next = o->n_values;
	else
		h->first = o->n_values;
	h->last = o->n_values++;
	h->n++;
	h->array |= array;
	o->bytes += text.len + 8;
	return SQ_OK;
}

static int
out_add_named(struct sq_amqp_out *o, const char *name, struct sq_bytes text, struct sq_buf *why)
{
	return out_add(o, sq_bytes_of(name), text, false, why);
}

static amqp_field_value_t
out_field(struct sq_bytes text)
{
	return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = out_bytes(text)};
}

/* Lays the headers out as a table of AMQP. */
static void
out_table(struct sq_amqp_out *o)
{
	unsigned used = 0;

	for (unsigned i = 0; i < o->n_headers; i++) {
		const struct sq_amqp_header *h = &o->headers[i];
		amqp_table_entry_t *e = &o->entries[i];
		unsigned begin = used, at = h->first;

		e->key = out_bytes(h->name);
		for (unsigned k = 0; k < h->n; k++, at = o->values[at].next)
			o->fields[used++] = out_field(o->values[at].text);
		if (h->n == 1 && !h->array) {
			e->value = o->fields[begin];
			continue;
		}
		e->value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY,
		    .value.array = {.num_entries = (int)h->n, .entries = &o->fields[begin]}};
	}
	o->props.headers = (amqp_table_t){.num_entries = (int)o->n_headers, .entries = o->entries};
	if (o->n_headers > 0)
		o->props._flags |= AMQP_BASIC_HEADERS_FLAG;
}

/* Properties. */

/* Sets a property that is a short string.  False: the text is none. */
static bool
out_short(struct sq_amqp_out *o, amqp_bytes_t *to, amqp_flags_t flag, struct sq_bytes text)
{
	if (text.len > SQ_AMQP_SHORT_MAX || !sq_utf8_valid(text.p, text.len))
		return false;
	*to = out_bytes(text);
	o->props._flags |= flag;
	o->bytes += text.len;
	return true;
}

static bool
out_priority(struct sq_amqp_out *o, struct sq_bytes text)
{
	unsigned n = 0;

	if (text.len == 0 || text.len > 3)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		n = n * 10 + (text.p[i] - '0');
	}
	if (n > UINT8_MAX)
		return false;
	o->props.priority = (uint8_t)n;
	o->props._flags |= AMQP_BASIC_PRIORITY_FLAG;
	return true;
}

/* Whether a user property became one of AMQP. */
static bool
out_own(struct sq_amqp_out *o, struct sq_bytes name, struct sq_bytes text)
{
	amqp_basic_properties_t *p = &o->props;
	const struct {
		const char *name;
		amqp_bytes_t *to;
		amqp_flags_t flag;
	} own[] = {
	    {SQ_AMQP_PROP_MESSAGE_ID, &p->message_id, AMQP_BASIC_MESSAGE_ID_FLAG},
	    {SQ_AMQP_PROP_TYPE, &p->type, AMQP_BASIC_TYPE_FLAG},
	    {SQ_AMQP_PROP_APP_ID, &p->app_id, AMQP_BASIC_APP_ID_FLAG},
	    {SQ_AMQP_PROP_CONTENT_ENCODING, &p->content_encoding, AMQP_BASIC_CONTENT_ENCODING_FLAG},
	    {SQ_AMQP_PROP_REPLY_TO, &p->reply_to, AMQP_BASIC_REPLY_TO_FLAG},
	};

	if (name.len < 5 || memcmp(name.p, "amqp-", 5) != 0)
		return false;
	if (sq_bytes_are(name, SQ_AMQP_PROP_PRIORITY))
		return out_priority(o, text);
	for (size_t i = 0; i < SQ_ARRAY_LEN(own); i++)
		if (sq_bytes_are(name, own[i].name))
			return (p->_flags & own[i].flag) == 0 &&
			    out_short(o, own[i].to, own[i].flag, text);
	return false;
}

/* A user property: one of AMQP's properties, a tag, or a header. */
static int
out_user(struct sq_amqp_out *o, struct sq_bytes name, struct sq_bytes text, struct sq_buf *why)
{
	if (sq_bytes_are(name, SQ_PROP_TAG))
		return out_add(o, sq_bytes_of(SQ_AMQP_TAGS), text, true, why);
	if (!sq_carry_property(name) || out_own(o, name, text))
		return SQ_OK;
	/* RabbitMQ routes by these, and closes the channel where they are no arrays. */
	if (sq_bytes_are(name, "CC") || sq_bytes_are(name, "BCC")) {
		sq_buf_printf(why, "a user property is named CC or BCC, by which RabbitMQ routes");
		return SQ_EINVAL;
	}
	return out_add(o, name, text, false, why);
}

/* base64 of bytes, in 'text'. */
static struct sq_bytes
out_base64(struct sq_amqp_out *o, struct sq_bytes data)
{
	size_t at = sq_buf_len(&o->text);

	sq_base64_put(&o->text, data.p, data.len);
	return (struct sq_bytes){sq_buf_data(&o->text) + at, sq_buf_len(&o->text) - at};
}

static int
out_property(struct sq_amqp_out *o, const struct sq_mqtt_prop *prop, struct sq_buf *why)
{
	amqp_basic_properties_t *p = &o->props;
	struct sq_bytes v = prop->value;

	switch (prop->id) {
	case SQ_MQTT_PROP_CONTENT_TYPE:
		return out_short(o, &p->content_type, AMQP_BASIC_CONTENT_TYPE_FLAG, v)
		    ? SQ_OK
		    : out_add_named(o, SQ_AMQP_CONTENT_TYPE, v, why);
	case SQ_MQTT_PROP_RESPONSE_TOPIC:
		return out_short(o, &p->reply_to, AMQP_BASIC_REPLY_TO_FLAG, v)
		    ? SQ_OK
		    : out_add_named(o, SQ_CARRY_RESPONSE, v, why);
	case SQ_MQTT_PROP_CORRELATION_DATA:
		return out_short(o, &p->correlation_id, AMQP_BASIC_CORRELATION_ID_FLAG, v)
		    ? SQ_OK
		    : out_add_named(o, SQ_CARRY_CORRELATION, out_base64(o, v), why);
	case SQ_MQTT_PROP_PAYLOAD_FORMAT:
		return prop->num == 1
		    ? out_add_named(o, SQ_CARRY_PAYLOAD_FORMAT, sq_bytes_of("1"), why)
		    : SQ_OK;
	case SQ_MQTT_PROP_USER_PROPERTY:
		return out_user(o, prop->key, v, why);
	default:
		return SQ_OK;
	}
}

/* What the broker says of the message: origin, hops, topic, time, expiry. */
static int
out_about(struct sq_amqp_out *o, const struct sq_offered *it, uint64_t now_ms, struct sq_buf *why)
{
	amqp_basic_properties_t *p = &o->props;
	const unsigned char *image = it->msg->image;
	size_t at;

	p->delivery_mode = it->qos > 0 ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
	p->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
	if ((p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) == 0)
		(void)out_short(
		    o, &p->message_id, AMQP_BASIC_MESSAGE_ID_FLAG, sq_bytes_of(it->origin));
	if (it->arrived_ms != 0) {
		p->timestamp = it->arrived_ms / 1000;
		p->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
	}
	if (it->expires_ms != 0) {
		at = sq_buf_len(&o->text);
		sq_buf_printf(&o->text, "%llu",
		    it->expires_ms > now_ms ? (unsigned long long)(it->expires_ms - now_ms) : 1ull);
		p->expiration = (amqp_bytes_t){
		    .len = sq_buf_len(&o->text) - at, .bytes = sq_buf_data(&o->text) + at};
		p->_flags |= AMQP_BASIC_EXPIRATION_FLAG;
	}
	if (out_add_named(o, SQ_CARRY_ORIGIN, sq_bytes_of(it->origin), why) != SQ_OK ||
	    out_add_named(o, SQ_CARRY_HOPS, sq_bytes_of(it->hops), why) != SQ_OK ||
	    out_add_named(o, SQ_CARRY_TOPIC, sq_image_topic(image), why) != SQ_OK)
		return SQ_ETOOBIG;
	if (sq_image_retain(image))
		return out_add_named(o, SQ_CARRY_RETAIN, sq_bytes_of("1"), why);
	return SQ_OK;
}

/* Where it goes. */

/* The text of a template as a short string. */
static int
out_fill(const char *tmpl, const char *what, const struct sq_mapping_from *from, struct sq_buf *to,
    amqp_bytes_t *out, struct sq_buf *why)
{
	int rc;

	sq_buf_drain(to, sq_buf_len(to));
	rc = sq_mapping_fill(tmpl, SQ_MAPPING_TEXT, from, to, why);
	if (rc != SQ_OK)
		return SQ_EINVAL;
	if (sq_buf_len(to) > SQ_AMQP_SHORT_MAX) {
		sq_buf_printf(why, "the %s has %zu bytes, AMQP's have at most %d", what,
		    sq_buf_len(to), SQ_AMQP_SHORT_MAX);
		return SQ_EINVAL;
	}
	*out = out_bytes(sq_buf_bytes(to));
	return SQ_OK;
}

static int
out_way(struct sq_amqp_out *o, const struct sq_offered *it, const struct sq_bridge_out *rule,
    const char *space, const char *queue, struct sq_buf *why)
{
	const struct sq_mapping_from from = {.topic = sq_image_topic(it->msg->image),
	    .props = sq_image_props(it->msg->image),
	    .space = space,
	    .queue = queue};
	/* '.' is what '/' is to MQTT. */
	const char *key = sq_config_is_set(rule->key) ? rule->key : "{topic.*:.}";
	const char *exchange = rule->exchange != NULL ? rule->exchange : "";
	int rc = out_fill(exchange, "exchange's name", &from, &o->exchange_text, &o->exchange, why);

	return rc == SQ_OK ? out_fill(key, "routing key", &from, &o->key_text, &o->key, why) : rc;
}

int
sq_amqp_map_out(struct sq_amqp_out *o, const struct sq_offered *it,
    const struct sq_bridge_out *rule, const char *space, const char *queue, size_t frame_max,
    uint64_t now_ms, struct sq_buf *why)
{
	struct sq_bytes rest = sq_image_props(it->msg->image);
	struct sq_mqtt_prop prop;
	int rc = out_way(o, it, rule, space, queue, why);

	memset(&o->props, 0, sizeof o->props);
	o->n_headers = o->n_values = 0;
	o->bytes = PROPERTIES_ROOM;
	sq_buf_drain(&o->text, sq_buf_len(&o->text));
	(void)sq_buf_reserve(&o->text, TEXT_ROOM);
	while (rc == SQ_OK && sq_mqtt_prop_next(&rest, &prop))
		rc = out_property(o, &prop, why);
	if (rc == SQ_OK)
		rc = out_about(o, it, now_ms, why);
	if (rc != SQ_OK)
		return rc;
	if (o->bytes > frame_max) {
		sq_buf_printf(why, "its properties have about %zu bytes, the peer takes %zu",
		    o->bytes, frame_max);
		return SQ_ETOOBIG;
	}
	out_table(o);
	o->body = out_bytes(sq_image_payload(it->msg->image));
	return SQ_OK;
}
