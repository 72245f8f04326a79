/* The MQTT decoder on well-formed packets: bytes written by hand from the
 * standards' text, each decoded whole, byte by byte and from every truncation. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/mqtt_packets.h"
#include "core/buf.h"
#include "core/mem.h"
#include "proto/mqtt/mqtt.h"

static struct sq_buf input; /* each test runs in a process of its own */

/* Decodes 'text' in all splits; all of it must be one good packet. */
static struct sq_mqtt_packet
decode(enum sq_mqtt_role role, uint8_t version, const char *text)
{
	struct sq_mqtt_decoder d = {.role = role, .version = version};
	struct sq_mqtt_packet out;
	const char *why;
	size_t used;
	int rc;

	sq_buf_fini(&input);
	input = (struct sq_buf){0};
	packet_bytes(&input, text);
	rc = packet_decode_splits(&d, sq_buf_data(&input), sq_buf_len(&input), &out, &used, &why);
	cr_assert_null(why, "%s: %s", text, why);
	cr_assert_eq(rc, 0, "%s: %d, %s", text, rc, d.error);
	cr_assert_eq(used, sq_buf_len(&input), "%s", text);
	return out;
}

static bool
is(struct sq_bytes b, const char *s)
{
	return b.len == strlen(s) && memcmp(b.p, s, b.len) == 0;
}

Test(mqtt_decode, connect_311_with_all_fields)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_SERVER, 0,
	    "10 20 0004 'MQTT' 04 ce 000a 0003 'cid' 0004 'will' 0003 'bye' 0001 'u' 0001 'p'");

	cr_assert_eq(p.type, SQ_MQTT_CONNECT);
	cr_assert_eq(p.connect.version, SQ_MQTT_V311);
	cr_assert(p.connect.clean_start && p.connect.has_will && !p.connect.will_retain);
	cr_assert_eq(p.connect.will_qos, 1);
	cr_assert_eq(p.connect.keep_alive_s, 10);
	cr_assert(is(p.connect.client_id, "cid"));
	cr_assert(is(p.connect.will_topic, "will") && is(p.connect.will_payload, "bye"));
	cr_assert(p.connect.has_username && is(p.connect.username, "u"));
	cr_assert(p.connect.has_password && is(p.connect.password, "p"));
	cr_assert_eq(p.props.has, 0);
	cr_assert_eq(p.props.receive_maximum, 65535);
}

Test(mqtt_decode, connect_311_with_an_empty_client_id)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_SERVER, 0, "10 0c 0004 'MQTT' 04 00 0000 0000");

	cr_assert(!p.connect.clean_start && !p.connect.has_will && !p.connect.has_username);
	cr_assert_eq(p.connect.client_id.len, 0);
}

Test(mqtt_decode, connect_of_31_under_its_old_name)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, 0, "10 11 0006 'MQIsdp' 03 02 003c 0003 'abc'");

	cr_assert_eq(p.connect.version, SQ_MQTT_V31);
	cr_assert_eq(p.connect.keep_alive_s, 60);
	cr_assert(is(p.connect.client_id, "abc"));
}

/* In 3.1 bit 0 of the flags is not used, and what user name and password flags announce
 * may be missing. */
Test(mqtt_decode, connect_of_31_is_not_checked_as_that_of_311)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, 0, "10 11 0006 'MQIsdp' 03 c3 003c 0003 'abc'");

	cr_assert(!p.connect.has_username && !p.connect.has_password);
	p = decode(SQ_MQTT_SERVER, 0, "10 14 0006 'MQIsdp' 03 c2 003c 0003 'abc' 0001 'u'");
	cr_assert(p.connect.has_username && !p.connect.has_password);
	cr_assert(is(p.connect.username, "u"));
	p = decode(
	    SQ_MQTT_SERVER, 0, "10 17 0006 'MQIsdp' 03 c2 003c 0003 'abc' 0001 'u' 0001 'p'");
	cr_assert(is(p.connect.username, "u") && is(p.connect.password, "p"));
}

Test(mqtt_decode, connect_5_with_properties_of_its_own_and_of_the_will)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_SERVER, 0,
	    "10 45 0004 'MQTT' 05 f6 000a"
	    "   05 11 0000000a"
	    "   0002 'c1'"
	    "   22 18 00000005 01 01 02 0000001e 03 0001 'x' 08 0003 'r/t' 09 0002 beef"
	    "      26 0001 'k' 0001 'v'"
	    "   0003 'w/t' 0001 '!' 0001 'u' 0001 'p'");
	const struct sq_mqtt_props *w = &p.connect.will_props;

	cr_assert_eq(p.connect.version, SQ_MQTT_V5);
	cr_assert_eq(p.props.has, SQ_MQTT_HAS(SQ_MQTT_PROP_SESSION_EXPIRY));
	cr_assert_eq(p.props.session_expiry_s, 10);
	cr_assert_eq(p.props.maximum_packet_size, UINT32_MAX);
	cr_assert(p.connect.will_retain);
	cr_assert_eq(p.connect.will_qos, 2);
	cr_assert_eq(w->will_delay_s, 5);
	cr_assert_eq(w->payload_format, 1);
	cr_assert_eq(w->expiry_s, 30);
	cr_assert(is(w->content_type, "x") && is(w->response_topic, "r/t"));
	cr_assert(is(w->correlation_data, "\xbe\xef"));
	cr_assert(sq_mqtt_has(w, SQ_MQTT_PROP_USER_PROPERTY) && !w->forwardable);
	cr_assert(is(p.connect.will_topic, "w/t") && is(p.connect.will_payload, "!"));
	cr_assert(is(p.connect.username, "u") && is(p.connect.password, "p"));
}

Test(mqtt_decode, connect_5_may_have_a_password_without_user_name)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, 0, "10 10 0004 'MQTT' 05 42 0000 00 0000 0001 'p'");

	cr_assert(!p.connect.has_username && p.connect.has_password);
	cr_assert(is(p.connect.password, "p"));
}

Test(mqtt_decode, connack_31_has_no_session_present)
{
	static const char *const texts[] = {"20 02 00 00", "20 02 01 00", "20 02 ff 00"};

	for (unsigned i = 0; i < SQ_ARRAY_LEN(texts); i++)
		cr_assert_not(
		    decode(SQ_MQTT_CLIENT, SQ_MQTT_V31, texts[i]).connack.session_present);
}

Test(mqtt_decode, connack_311_return_codes_become_reason_codes)
{
	static const uint8_t reasons[] = {0x00, 0x84, 0x85, 0x88, 0x86, 0x87};
	struct sq_mqtt_packet p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V311, "20 02 01 00");
	char text[32];

	cr_assert(p.connack.session_present);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(reasons); i++) {
		snprintf(text, sizeof text, "20 02 00 %02x", i);
		p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V311, text);
		cr_assert_eq(p.connack.reason, reasons[i]);
		cr_assert_eq(sq_mqtt_reason_to_v3(reasons[i]), i);
	}
}

Test(mqtt_decode, connack_5_with_every_property_it_can_have)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V5,
	    "20 41 01 00 3e 11 00000e10 12 0002 'id' 13 003c 21 000a 22 0005 24 01 25 00"
	    "   27 00001000 28 00 29 00 2a 00 1f 0002 'ok' 26 0001 'a' 0001 'b' 1a 0001 'i'"
	    "   1c 0001 's' 15 0001 'm' 16 0001 'd'");
	const struct sq_mqtt_props *q = &p.props;

	cr_assert(p.connack.session_present && p.connack.reason == 0);
	cr_assert_eq(q->session_expiry_s, 3600);
	cr_assert_eq(q->server_keep_alive_s, 60);
	cr_assert_eq(q->receive_maximum, 10);
	cr_assert_eq(q->topic_alias_maximum, 5);
	cr_assert_eq(q->maximum_qos, 1);
	cr_assert_eq(q->maximum_packet_size, 4096);
	cr_assert(!q->retain_available && !q->wildcard_available);
	cr_assert(!q->subscription_id_available && !q->shared_available);
	cr_assert(is(q->assigned_client_id, "id") && is(q->reason_string, "ok"));
	cr_assert(is(q->response_info, "i") && is(q->server_reference, "s"));
	cr_assert(is(q->auth_method, "m") && is(q->auth_data, "d"));
}

Test(mqtt_decode, connack_5_defaults_are_the_standards)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "20 03 00 87 00");

	cr_assert_eq(p.connack.reason, SQ_MQTT_RC_NOT_AUTHORIZED);
	cr_assert_eq(p.props.maximum_qos, 2);
	cr_assert_eq(p.props.receive_maximum, 65535);
	cr_assert(p.props.retain_available && p.props.shared_available);
}

Test(mqtt_decode, publish_311)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, SQ_MQTT_V311, "32 09 0003 'a/b' 000a 'hi'");

	cr_assert_eq(p.type, SQ_MQTT_PUBLISH);
	cr_assert(p.publish.qos == 1 && !p.publish.dup && !p.publish.retain);
	cr_assert_eq(p.publish.packet_id, 10);
	cr_assert(is(p.publish.topic, "a/b") && is(p.publish.payload, "hi"));
	cr_assert_eq(p.props.expiry_s, SQ_MSG_NO_EXPIRY);
	p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V311, "31 05 0003 'a/b'");
	cr_assert(p.publish.qos == 0 && p.publish.retain && p.publish.payload.len == 0);
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V31, "3c 08 0003 'a/b' ffff 'x'");
	cr_assert(p.publish.qos == 2 && p.publish.dup && p.publish.packet_id == 65535);
}

Test(mqtt_decode, publish_5)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "30 06 0003 'a/b' 00");

	cr_assert(p.props.forwardable && p.props.raw.len == 0 && p.publish.payload.len == 0);
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5,
	    "32 19 0003 'a/b' 000a 0f 02 0000003c 23 0007 26 0001 'k' 0001 'v' 'hi'");
	cr_assert_eq(p.props.expiry_s, 60);
	cr_assert_eq(p.props.topic_alias, 7);
	cr_assert_eq(p.props.raw.len, 15);
	cr_assert(!p.props.forwardable && is(p.publish.payload, "hi"));
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "30 06 0000 03 23 0001");
	cr_assert(p.publish.topic.len == 0 && p.props.topic_alias == 1);
}

Test(mqtt_decode, publish_5_from_a_server_has_several_subscription_identifiers)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_CLIENT, SQ_MQTT_V5, "30 09 0001 'a' 05 0b 01 0b 8001");
	struct sq_bytes rest = p.props.raw;
	struct sq_mqtt_prop prop;

	cr_assert_eq(p.props.subscription_id, 1);
	cr_assert(sq_mqtt_prop_next(&rest, &prop) && prop.num == 1);
	cr_assert(sq_mqtt_prop_next(&rest, &prop) && prop.num == 128);
	cr_assert_not(sq_mqtt_prop_next(&rest, &prop));
}

Test(mqtt_decode, topic_with_every_length_of_utf8)
{
	/* The example of 1.5.4, then U+0001, U+07FF, U+FFFF and U+10FFFF. */
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, SQ_MQTT_V311, "30 11 000f 'A' f0aa9b94 01 dfbf efbfbf f48fbfbf");

	cr_assert_eq(p.publish.topic.len, 15);
}

Test(mqtt_decode, acknowledgements_in_all_their_forms)
{
	static const struct {
		uint8_t version;
		const char *text;
		uint8_t type, reason;
		uint16_t packet_id;
	} rows[] = {
	    {SQ_MQTT_V311, "40 02 1234", SQ_MQTT_PUBACK, 0, 0x1234},
	    {SQ_MQTT_V311, "50 02 0001", SQ_MQTT_PUBREC, 0, 1},
	    {SQ_MQTT_V311, "62 02 0001", SQ_MQTT_PUBREL, 0, 1},
	    {SQ_MQTT_V31, "6a 02 0001", SQ_MQTT_PUBREL, 0, 1},
	    {SQ_MQTT_V311, "70 02 ffff", SQ_MQTT_PUBCOMP, 0, 65535},
	    {SQ_MQTT_V5, "40 02 1234", SQ_MQTT_PUBACK, 0, 0x1234},
	    {SQ_MQTT_V5, "40 03 0001 10", SQ_MQTT_PUBACK, 0x10, 1},
	    {SQ_MQTT_V5, "40 04 0001 97 00", SQ_MQTT_PUBACK, 0x97, 1},
	    {SQ_MQTT_V5, "50 09 0001 80 05 1f 0002 'no'", SQ_MQTT_PUBREC, 0x80, 1},
	    {SQ_MQTT_V5, "62 03 0001 92", SQ_MQTT_PUBREL, 0x92, 1},
	    {SQ_MQTT_V5, "70 0b 0001 92 07 26 0001 'k' 0001 'v'", SQ_MQTT_PUBCOMP, 0x92, 1},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		for (enum sq_mqtt_role role = SQ_MQTT_SERVER; role <= SQ_MQTT_CLIENT; role++) {
			struct sq_mqtt_packet p = decode(role, rows[i].version, rows[i].text);

			cr_assert_eq(p.type, rows[i].type, "%s", rows[i].text);
			cr_assert_eq(p.ack.packet_id, rows[i].packet_id, "%s", rows[i].text);
			cr_assert_eq(p.ack.reason, rows[i].reason, "%s", rows[i].text);
		}
	}
}

Test(mqtt_decode, subscribe_entries_one_by_one)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, SQ_MQTT_V311, "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02");
	struct sq_bytes rest = p.subscribe.entries;
	struct sq_mqtt_sub sub;

	cr_assert_eq(p.subscribe.packet_id, 10);
	cr_assert_eq(p.subscribe.count, 2);
	cr_assert(sq_mqtt_sub_next(&rest, &sub) && is(sub.filter, "a/b") && sub.qos == 1);
	cr_assert(sq_mqtt_sub_next(&rest, &sub) && is(sub.filter, "c/d") && sub.qos == 2);
	cr_assert_not(sq_mqtt_sub_next(&rest, &sub));
	p = decode(
	    SQ_MQTT_SERVER, SQ_MQTT_V5, "82 17 000a 03 0b 8001 0003 'a/#' 2e 0008 '$share/g' 10");
	rest = p.subscribe.entries;
	cr_assert_eq(p.props.subscription_id, 128);
	cr_assert(sq_mqtt_sub_next(&rest, &sub) && is(sub.filter, "a/#") && sub.qos == 2);
	cr_assert(sub.no_local && sub.retain_as_published && sub.retain_handling == 2);
	cr_assert(sq_mqtt_sub_next(&rest, &sub) && is(sub.filter, "$share/g") && sub.qos == 0);
	cr_assert(!sub.no_local && !sub.retain_as_published && sub.retain_handling == 1);
	cr_assert_not(sq_mqtt_sub_next(&rest, &sub));
}

Test(mqtt_decode, unsubscribe_filters_one_by_one)
{
	struct sq_mqtt_packet p = decode(
	    SQ_MQTT_SERVER, SQ_MQTT_V311, "a2 0c 000a 0003 'a/b' 0003 'c/d'");
	struct sq_bytes rest = p.unsubscribe.filters, filter;

	cr_assert_eq(p.unsubscribe.count, 2);
	cr_assert(sq_mqtt_filter_next(&rest, &filter) && is(filter, "a/b"));
	cr_assert(sq_mqtt_filter_next(&rest, &filter) && is(filter, "c/d"));
	cr_assert_not(sq_mqtt_filter_next(&rest, &filter));
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "a2 0d 000a 07 26 0001 'k' 0001 'v' 0001 'a'");
	cr_assert_eq(p.unsubscribe.count, 1);
}

Test(mqtt_decode, suback_and_unsuback)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V311, "90 06 000a 00 01 02 80");

	cr_assert(p.suback.packet_id == 10 && is(p.suback.reasons, "") == false);
	cr_assert_eq(p.suback.reasons.len, 4);
	cr_assert_eq(memcmp(p.suback.reasons.p, "\x00\x01\x02\x80", 4), 0);
	p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "90 06 000a 00 02 8f a2");
	cr_assert_eq(memcmp(p.suback.reasons.p, "\x02\x8f\xa2", 3), 0);
	p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V311, "b0 02 000a");
	cr_assert(p.type == SQ_MQTT_UNSUBACK && p.suback.reasons.len == 0);
	p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "b0 05 000a 00 00 11");
	cr_assert(p.suback.reasons.len == 2 && p.suback.reasons.p[1] == 0x11);
}

Test(mqtt_decode, pings_disconnect_and_auth)
{
	struct sq_mqtt_packet p = decode(SQ_MQTT_SERVER, SQ_MQTT_V311, "c0 00");

	cr_assert_eq(p.type, SQ_MQTT_PINGREQ);
	cr_assert_eq(decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "d0 00").type, SQ_MQTT_PINGRESP);
	cr_assert_eq(decode(SQ_MQTT_SERVER, SQ_MQTT_V311, "e0 00").type, SQ_MQTT_DISCONNECT);
	cr_assert_eq(decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "e0 00").disconnect.reason, 0);
	cr_assert_eq(decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "e0 01 04").disconnect.reason, 4);
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "e0 07 00 05 11 0000000a");
	cr_assert_eq(p.props.session_expiry_s, 10);
	p = decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "e0 06 9d 04 1c 0001 's'");
	cr_assert(p.disconnect.reason == SQ_MQTT_RC_SERVER_MOVED);
	cr_assert(is(p.props.server_reference, "s"));
	p = decode(SQ_MQTT_SERVER, SQ_MQTT_V5, "f0 0a 19 08 15 0001 'm' 16 0001 'd'");
	cr_assert(p.auth.reason == SQ_MQTT_RC_REAUTHENTICATE && is(p.props.auth_method, "m"));
	cr_assert_eq(decode(SQ_MQTT_CLIENT, SQ_MQTT_V5, "f0 00").auth.reason, 0);
}

Test(mqtt_decode, remaining_length_at_the_edges_of_its_sizes)
{
	static const struct {
		uint32_t payload;
		unsigned char head[5];
		size_t head_len;
	} rows[] = {
	    {127 - 3, {0x30, 0x7f}, 2},
	    {128 - 3, {0x30, 0x80, 0x01}, 3},
	    {16383 - 3, {0x30, 0xff, 0x7f}, 3},
	    {16384 - 3, {0x30, 0x80, 0x80, 0x01}, 4},
	    {2097151 - 3, {0x30, 0xff, 0xff, 0x7f}, 4},
	    {2097152 - 3, {0x30, 0x80, 0x80, 0x80, 0x01}, 5},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_mqtt_decoder d = {.version = SQ_MQTT_V311};
		size_t total = rows[i].head_len + 3 + rows[i].payload, used;
		unsigned char *p = sq_xcalloc(1, total);
		struct sq_mqtt_packet out;

		memcpy(p, rows[i].head, rows[i].head_len);
		memcpy(p + rows[i].head_len, "\0\1a", 3);
		cr_assert_eq(sq_mqtt_decode(&d, p, rows[i].head_len, &out, &used), SQ_EAGAIN);
		cr_assert_eq(d.need, total);
		cr_assert_eq(sq_mqtt_decode(&d, p, total - 1, &out, &used), SQ_EAGAIN);
		cr_assert_eq(sq_mqtt_decode(&d, p, total, &out, &used), 0);
		cr_assert(used == total && out.publish.payload.len == rows[i].payload);
		cr_assert_eq(d.need, 0);
		free(p);
	}
}

Test(mqtt_decode, older_versions_may_pad_the_remaining_length)
{
	decode(SQ_MQTT_SERVER, SQ_MQTT_V311, "30 8500 0003 'a/b'");
	decode(SQ_MQTT_SERVER, 0, "10 8c00 0004 'MQTT' 04 00 0000 0000");
}

Test(mqtt_decode, packets_in_a_row_each_say_where_they_end)
{
	static const uint8_t types[] = {
	    SQ_MQTT_CONNECT, SQ_MQTT_PUBLISH, SQ_MQTT_PINGREQ, SQ_MQTT_DISCONNECT};
	struct sq_mqtt_decoder d = {.role = SQ_MQTT_SERVER};
	struct sq_mqtt_packet out;
	struct sq_buf b = {0};
	size_t used;

	packet_bytes(&b, "10 0d 0004 'MQTT' 05 02 0000 00 0000  30 05 0001 'a' 00 'x'  c000  e000");
	for (size_t i = 0; i < SQ_ARRAY_LEN(types); i++) {
		cr_assert_eq(sq_mqtt_decode(&d, sq_buf_data(&b), sq_buf_len(&b), &out, &used), 0);
		cr_assert_eq(out.type, types[i]);
		sq_buf_drain(&b, used);
	}
	cr_assert_eq(sq_buf_len(&b), 0);
	cr_assert_eq(d.version, SQ_MQTT_V5);
	sq_buf_fini(&b);
}
