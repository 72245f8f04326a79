/* Messages of ours as messages of AMQP 0.9.1, and back: each row of the table in docs/bridges.md. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/field.h"
#include "broker/bridge/amqp/map_in.h"
#include "broker/bridge/amqp/map_out.h"
#include "core/mem.h"
#include "proto/mqtt/props.h"

#define ORIGIN "0123456789abcdef-00000000000000000000000000000001"
#define HOPS "here-0123456789abcdef/b"
#define NOW UINT64_C(1700000000000)

/* A message, on its way. */
struct world {
	struct sq_buf props, why;
	struct sq_msg msg;
	struct sq_offered offered;
	struct sq_bridge_out rule;
	struct sq_bridge_cfg cfg;
	struct sq_bridge_in in_rule;
	struct sq_amqp_out *out;
	struct sq_amqp_in in;
	size_t frame_max;
};

static struct world
world_make(void)
{
	return (struct world){
	    .offered = {.origin = ORIGIN, .hops = HOPS, .arrived_ms = NOW - 2500, .qos = 1},
	    .rule = {.exchange = (char *)"e"},
	    .cfg = {.space = (char *)"shop"},
	    .in_rule = {.to = (char *)"in/{key:/}", .queue = (char *)"q", .qos = 1},
	    .out = sq_amqp_out_new(),
	    .frame_max = 131072,
	};
}

static void
world_end(struct world *w)
{
	sq_buf_fini(&w->props);
	sq_buf_fini(&w->why);
	sq_msg_unref(&w->msg);
	sq_amqp_out_free(&w->out);
	sq_amqp_in_fini(&w->in);
}

static void
world_user(struct world *w, const char *name, const char *value)
{
	cr_assert(sq_mqtt_user_append(&w->props, sq_bytes_of(name), sq_bytes_of(value)) == SQ_OK);
}

static int
world_out(struct world *w, const char *topic, bool retain)
{
	sq_msg_unref(&w->msg);
	w->msg = sq_msg_new(1, retain, sq_bytes_of(topic), sq_buf_bytes(&w->props),
	    SQ_MSG_NO_EXPIRY, sq_bytes_of("payload"));
	w->offered.msg = &w->msg;
	sq_buf_drain(&w->why, sq_buf_len(&w->why));
	return sq_amqp_map_out(
	    w->out, &w->offered, &w->rule, "shop", "bridge.b", w->frame_max, NOW, &w->why);
}

static int
world_in(struct world *w, const amqp_basic_properties_t *props, const char *key, size_t max)
{
	const struct sq_amqp_delivery from = {
	    .key = sq_bytes_of(key), .props = props, .body = sq_bytes_of("payload")};

	sq_amqp_in_fini(&w->in);
	sq_buf_drain(&w->why, sq_buf_len(&w->why));
	return sq_amqp_map_in(&from, &w->cfg, &w->in_rule, max, &w->in, &w->why);
}

static bool
is(amqp_bytes_t b, const char *text)
{
	return sq_bytes_are(sq_amqp_bytes(b), text);
}

static bool
header_is(const struct world *w, const char *name, const char *text)
{
	const amqp_field_value_t *v = sq_amqp_find(&w->out->props.headers, sq_bytes_of(name));

	return text == NULL
	    ? v == NULL
	    : v != NULL && v->kind == AMQP_FIELD_KIND_UTF8 && is(v->value.bytes, text);
}

/* The values of a user property of what came in, a ';' behind each. */
static bool
user_is(const struct world *w, const char *name, const char *values)
{
	struct sq_bytes rest = sq_image_props(w->in.msg.image), key, value;
	struct sq_buf all = {0};
	bool same;

	while (sq_mqtt_user_next(&rest, &key, &value))
		if (sq_bytes_are(key, name))
			sq_buf_printf(&all, "%.*s;", (int)value.len, (const char *)value.p);
	same = sq_bytes_are(sq_buf_bytes(&all), values);
	if (!same)
		fprintf(stderr, "%s is %.*s\n", name, (int)sq_buf_len(&all),
		    (const char *)sq_buf_data(&all));
	sq_buf_fini(&all);
	return same;
}

static bool
prop_is(const struct world *w, unsigned id, const char *text)
{
	struct sq_bytes rest = sq_image_props(w->in.msg.image);
	struct sq_mqtt_prop p;

	while (sq_mqtt_prop_next(&rest, &p))
		if (p.id == id)
			return text != NULL && sq_bytes_are(p.value, text);
	return text == NULL;
}

/* Out. */

Test(amqp_out, where_it_goes)
{
	struct world w = world_make();

	cr_assert(world_out(&w, "orders/eu/1", false) == SQ_OK);
	cr_assert(is(w.out->exchange, "e") && is(w.out->key, "orders.eu.1"));
	cr_assert(is(w.out->body, "payload"));
	w.rule.exchange = NULL;
	w.rule.key = (char *)"to-{topic.2}-{space}-{queue}";
	cr_assert(world_out(&w, "orders/eu/1", false) == SQ_OK);
	cr_assert(is(w.out->exchange, "") && is(w.out->key, "to-eu-shop-bridge.b"));
	cr_assert(world_out(&w, "orders", false) == SQ_EINVAL, "a level that is not there");
	world_end(&w);
}

Test(amqp_out, what_the_broker_says_of_it)
{
	struct world w = world_make();
	const amqp_basic_properties_t *p = &w.out->props;

	cr_assert(world_out(&w, "a/b", false) == SQ_OK);
	cr_assert(header_is(&w, "sqmqos-origin", ORIGIN) && header_is(&w, "sqmqos-hops", HOPS));
	cr_assert(header_is(&w, "sqmqos-topic", "a/b") && header_is(&w, "sqmqos-retain", NULL));
	cr_assert(is(p->message_id, ORIGIN) && p->delivery_mode == 2);
	cr_assert((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 && p->timestamp == 1699999997);
	cr_assert((p->_flags & AMQP_BASIC_EXPIRATION_FLAG) == 0);
	w.offered.expires_ms = NOW + 1500;
	w.offered.qos = 0;
	w.offered.arrived_ms = 0;
	cr_assert(world_out(&w, "a/b", true) == SQ_OK);
	cr_assert(is(p->expiration, "1500") && p->delivery_mode == 1);
	cr_assert((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) == 0);
	cr_assert(header_is(&w, "sqmqos-retain", "1"));
	w.offered.expires_ms = NOW - 1;
	cr_assert(world_out(&w, "a/b", true) == SQ_OK);
	cr_assert(is(p->expiration, "1"), "0 would be no time at all");
	world_end(&w);
}

Test(amqp_out, properties_have_properties_and_else_headers)
{
	struct world w = world_make();
	const amqp_basic_properties_t *p = &w.out->props;
	char longer[300];

	memset(longer, 'r', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	cr_assert(
	    !sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of("text/plain")));
	cr_assert(!sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_RESPONSE_TOPIC, sq_bytes_of("r/1")));
	cr_assert(!sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_CORRELATION_DATA, sq_bytes_of("c1")));
	world_user(&w, "amqp-message-id", "m1");
	world_user(&w, "amqp-type", "t1");
	world_user(&w, "amqp-priority", "7");
	cr_assert(world_out(&w, "a", false) == SQ_OK);
	cr_assert(is(p->content_type, "text/plain") && is(p->reply_to, "r/1"));
	cr_assert(is(p->correlation_id, "c1") && is(p->message_id, "m1") && is(p->type, "t1"));
	cr_assert(p->priority == 7 && header_is(&w, "amqp-priority", NULL));
	sq_buf_drain(&w.props, sq_buf_len(&w.props));
	cr_assert(!sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_RESPONSE_TOPIC, sq_bytes_of(longer)));
	cr_assert(
	    !sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_CORRELATION_DATA, sq_bytes_of("\xff\x01")));
	world_user(&w, "amqp-priority", "256");
	cr_assert(world_out(&w, "a", false) == SQ_OK);
	cr_assert((p->_flags & (AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG)) == 0);
	cr_assert(header_is(&w, "sqmqos-response", longer));
	cr_assert(header_is(&w, "sqmqos-correlation", "/wE="));
	cr_assert(header_is(&w, "amqp-priority", "256"), "none of AMQP's");
	world_end(&w);
}

Test(amqp_out, user_properties_are_headers_tags_an_array)
{
	struct world w = world_make();
	const amqp_field_value_t *v;

	world_user(&w, "a", "1");
	world_user(&w, "tag", "red");
	world_user(&w, "b", "2");
	world_user(&w, "a", "3");
	world_user(&w, "sqmqos-delay", "60");
	world_user(&w, "sqmqos-order-key", "k");
	cr_assert(world_out(&w, "a", false) == SQ_OK);
	v = sq_amqp_find(&w.out->props.headers, sq_bytes_of("a"));
	cr_assert(v->kind == AMQP_FIELD_KIND_ARRAY && v->value.array.num_entries == 2);
	cr_assert(is(v->value.array.entries[0].value.bytes, "1"));
	cr_assert(is(v->value.array.entries[1].value.bytes, "3"));
	v = sq_amqp_find(&w.out->props.headers, sq_bytes_of("tags"));
	cr_assert(v->kind == AMQP_FIELD_KIND_ARRAY && v->value.array.num_entries == 1);
	cr_assert(header_is(&w, "b", "2") && header_is(&w, "tag", NULL));
	cr_assert(header_is(&w, "sqmqos-delay", NULL), "it was carried out here");
	cr_assert(header_is(&w, "sqmqos-order-key", "k"));
	world_end(&w);
}

Test(amqp_out, bounds_are_told)
{
	struct world w = world_make();
	char text[70000];

	memset(text, 'k', sizeof text);
	text[256] = '\0';
	w.rule.key = (char *)"{topic}";
	cr_assert(world_out(&w, text, false) == SQ_EINVAL);
	w.rule.key = (char *)"k";
	cr_assert(world_out(&w, text, false) == SQ_OK);
	world_user(&w, text, "v");
	cr_assert(world_out(&w, "a", false) == SQ_EINVAL, "a name of 256 bytes");
	sq_buf_drain(&w.props, sq_buf_len(&w.props));
	world_user(&w, "CC", "elsewhere");
	cr_assert(world_out(&w, "a", false) == SQ_EINVAL, "RabbitMQ would route by it");
	sq_buf_drain(&w.props, sq_buf_len(&w.props));
	text[256] = 'k';
	text[65535] = '\0';
	world_user(&w, "a", text);
	cr_assert(world_out(&w, "a", false) == SQ_OK);
	world_user(&w, "b", text);
	cr_assert(world_out(&w, "a", false) == SQ_ETOOBIG, "more than a frame");
	w.frame_max = 1 << 20;
	cr_assert(world_out(&w, "a", false) == SQ_OK);
	for (int i = 0; i < SQ_AMQP_HEADERS_MAX; i++) {
		char name[8];

		snprintf(name, sizeof name, "n%d", i);
		world_user(&w, name, "v");
	}
	cr_assert(world_out(&w, "a", false) == SQ_ETOOBIG, "too many names");
	sq_buf_drain(&w.props, sq_buf_len(&w.props));
	for (int i = 0; i <= SQ_AMQP_VALUES_MAX; i++)
		world_user(&w, "n", "v");
	cr_assert(world_out(&w, "a", false) == SQ_ETOOBIG, "too many values");
	world_end(&w);
}

/* In. */

static amqp_table_entry_t
entry(const char *name, amqp_field_value_t v)
{
	return (amqp_table_entry_t){.key = amqp_cstring_bytes(name), .value = v};
}

#define FIELD(KIND, MEMBER, VALUE) \
	((amqp_field_value_t){.kind = AMQP_FIELD_KIND_##KIND, .value.MEMBER = (VALUE)})
#define TEXT(S) FIELD(UTF8, bytes, amqp_cstring_bytes(S))

static amqp_basic_properties_t
headers(amqp_table_entry_t *entries, int n)
{
	return (amqp_basic_properties_t){
	    ._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {.num_entries = n, .entries = entries}};
}

Test(amqp_in, each_kind_of_header_is_text)
{
	struct world w = world_make();
	amqp_field_value_t two[] = {FIELD(I32, i32, -1), FIELD(BOOLEAN, boolean, 1)};
	amqp_table_entry_t inner[] = {entry("q\"", TEXT("x\n")), entry("n", FIELD(VOID, i32, 0)),
	    entry("d", FIELD(F64, f64, 0.5))};
	amqp_field_value_t deaths[] = {
	    {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {.num_entries = 3, .entries = inner}}};
	amqp_table_entry_t all[] = {entry("b", FIELD(BOOLEAN, boolean, 0)),
	    entry("i8", FIELD(I8, i8, -8)), entry("u8", FIELD(U8, u8, 200)),
	    entry("i16", FIELD(I16, i16, -300)), entry("u16", FIELD(U16, u16, 60000)),
	    entry("u32", FIELD(U32, u32, 4000000000u)), entry("i64", FIELD(I64, i64, INT64_MIN)),
	    entry("u64", FIELD(U64, u64, UINT64_MAX)), entry("f", FIELD(F32, f32, 0.1f)),
	    entry("d", FIELD(F64, f64, 0.1)),
	    entry("dec", FIELD(DECIMAL, decimal, ((amqp_decimal_t){2, 1999}))),
	    entry("t", FIELD(TIMESTAMP, u64, 1)), entry("v", FIELD(VOID, i32, 0)),
	    entry("x", FIELD(BYTES, bytes, ((amqp_bytes_t){2, (void *)(uintptr_t) "\xff\x01"}))),
	    entry("many", FIELD(ARRAY, array, ((amqp_array_t){2, two}))),
	    entry("x-death", FIELD(ARRAY, array, ((amqp_array_t){1, deaths}))),
	    entry("x-delivery-count", FIELD(I64, i64, 3)), entry("sqmqos-delay", TEXT("60"))};
	amqp_basic_properties_t p = headers(all, SQ_ARRAY_LEN(all));

	cr_assert(world_in(&w, &p, "a.b", 1 << 20) == SQ_OK);
	cr_assert(sq_bytes_are(sq_image_topic(w.in.msg.image), "in/a/b"));
	cr_assert(user_is(&w, "b", "false;") && user_is(&w, "i8", "-8;"));
	cr_assert(user_is(&w, "u8", "200;") && user_is(&w, "i16", "-300;"));
	cr_assert(user_is(&w, "u16", "60000;") && user_is(&w, "u32", "4000000000;"));
	cr_assert(user_is(&w, "i64", "-9223372036854775808;"));
	cr_assert(user_is(&w, "u64", "18446744073709551615;"));
	cr_assert(user_is(&w, "f", "0.1;") && user_is(&w, "d", "0.1;"));
	cr_assert(user_is(&w, "dec", "1999e-2;") && user_is(&w, "v", ";"));
	cr_assert(user_is(&w, "t", "1970-01-01T00:00:01.000Z;") && user_is(&w, "x", "/wE=;"));
	cr_assert(user_is(&w, "many", "-1;true;"));
	cr_assert(user_is(&w, "x-death", "[{\"q\\\"\":\"x\\n\",\"n\":null,\"d\":0.5}];"));
	cr_assert(user_is(&w, "sqmqos-peer-attempts", "3;") && user_is(&w, "x-delivery-count", ""));
	cr_assert(user_is(&w, "sqmqos-delay", ""), "it is none of the peer's to say");
	world_end(&w);
}

Test(amqp_in, properties_of_amqp)
{
	struct world w = world_make();
	amqp_basic_properties_t p = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG |
		AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
		AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
		AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_USER_ID_FLAG,
	    .content_type = amqp_cstring_bytes("text/plain"),
	    .reply_to = amqp_cstring_bytes("r/1"),
	    .correlation_id = amqp_cstring_bytes("c1"),
	    .expiration = amqp_cstring_bytes("1500"),
	    .message_id = amqp_cstring_bytes("m1"),
	    .user_id = amqp_cstring_bytes("u1"),
	    .timestamp = 1,
	    .priority = 3};

	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_OK);
	cr_assert(prop_is(&w, SQ_MQTT_PROP_CONTENT_TYPE, "text/plain"));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_RESPONSE_TOPIC, "r/1"));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_CORRELATION_DATA, "c1"));
	cr_assert(sq_image_expiry(w.in.msg.image) == 2 && sq_image_qos(w.in.msg.image) == 1);
	cr_assert(user_is(&w, "amqp-message-id", "m1;") && user_is(&w, "amqp-user-id", "u1;"));
	cr_assert(user_is(&w, "amqp-timestamp", "1970-01-01T00:00:01.000Z;"));
	cr_assert(user_is(&w, "amqp-priority", "3;"));
	cr_assert(sq_buf_len(&w.in.key) == 0, "an app sets a message id at will");
	w.cfg.dedup = SQ_BRIDGE_DEDUP_MESSAGE_ID;
	p.reply_to = amqp_cstring_bytes("a/#");
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_OK);
	cr_assert(sq_bytes_are(sq_buf_bytes(&w.in.key), "m:m1"));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_RESPONSE_TOPIC, NULL));
	cr_assert(user_is(&w, "amqp-reply-to", "a/#;"), "it is no topic");
	world_end(&w);
}

Test(amqp_in, bounds_are_told)
{
	struct world w = world_make();
	amqp_table_entry_t deep[SQ_AMQP_DEPTH_MAX + 1];
	amqp_basic_properties_t p = headers(deep, 1);
	static char big[70000];
	amqp_table_entry_t one[] = {entry("big", TEXT("")), entry("bad\xff", TEXT("v"))};

	for (int i = 0; i <= SQ_AMQP_DEPTH_MAX; i++)
		deep[i] = entry("d",
		    FIELD(TABLE, table,
			((amqp_table_t){i < SQ_AMQP_DEPTH_MAX ? 1 : 0, &deep[i + 1]})));
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_EINVAL, "too deep");
	p.headers.entries = &deep[1];
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_OK);
	memset(big, 'b', sizeof big);
	one[0].value.value.bytes = (amqp_bytes_t){65536, big};
	p.headers.entries = one;
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_EINVAL, "longer than MQTT's");
	one[0].value.value.bytes.len = 65535;
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_OK);
	cr_assert(world_in(&w, &p, "a", 65535) == SQ_ETOOBIG, "above max-packet");
	p.headers.entries = &one[1];
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_EINVAL, "a name that is no UTF-8");
	p.headers.num_entries = 0;
	w.in_rule.to = (char *)"{header:none}";
	cr_assert(world_in(&w, &p, "a", 1 << 20) == SQ_EINVAL, "a topic that is none");
	world_end(&w);
}

/* Out and in again: what another installation gets. */
Test(amqp_map, there_and_back)
{
	struct world w = world_make();
	char longer[300];

	memset(longer, 'r', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	sq_buf_u8(&w.props, SQ_MQTT_PROP_PAYLOAD_FORMAT);
	sq_buf_u8(&w.props, 1);
	cr_assert(!sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of(longer)));
	cr_assert(!sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_RESPONSE_TOPIC, sq_bytes_of(longer)));
	cr_assert(
	    !sq_mqtt_prop_append(&w.props, SQ_MQTT_PROP_CORRELATION_DATA, sq_bytes_of("\xff\x01")));
	world_user(&w, "a", "1");
	world_user(&w, "a", "2");
	world_user(&w, "tag", "red");
	world_user(&w, "sqmqos-order-key", "k");
	w.in_rule.to = (char *)"{topic}";
	cr_assert(world_out(&w, "a.b/c", true) == SQ_OK);
	cr_assert(world_in(&w, &w.out->props, "a.b.c", 1 << 20) == SQ_OK);
	cr_assert(sq_bytes_are(sq_image_topic(w.in.msg.image), "a.b/c"), "its own topic");
	cr_assert(sq_bytes_are(sq_image_payload(w.in.msg.image), "payload"));
	cr_assert(sq_image_retain(w.in.msg.image));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_CONTENT_TYPE, longer));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_RESPONSE_TOPIC, longer));
	cr_assert(prop_is(&w, SQ_MQTT_PROP_CORRELATION_DATA, "\xff\x01"));
	cr_assert(!prop_is(&w, SQ_MQTT_PROP_PAYLOAD_FORMAT, NULL));
	cr_assert(user_is(&w, "a", "1;2;") && user_is(&w, "tag", "red;"));
	cr_assert(user_is(&w, "sqmqos-order-key", "k;") && user_is(&w, "amqp-message-id", ""));
	cr_assert(user_is(&w, "sqmqos-origin", "") && user_is(&w, "sqmqos-hops", ""));
	cr_assert(sq_bytes_are(sq_buf_bytes(&w.in.key), "o:" ORIGIN));
	cr_assert(sq_bytes_are(sq_buf_bytes(&w.in.hops), HOPS));
	cr_assert(sq_mqtt_props_check(sq_image_props(w.in.msg.image)) == SQ_OK);
	w.in_rule.tag = (char *)"blue";
	w.cfg.dedup = SQ_BRIDGE_DEDUP_NONE;
	cr_assert(world_in(&w, &w.out->props, "a", 1 << 20) == SQ_OK);
	cr_assert(user_is(&w, "tag", "blue;") && sq_buf_len(&w.in.key) == 0);
	world_end(&w);
}
