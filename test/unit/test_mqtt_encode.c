/* The MQTT encoders: bytes against the standards' text, and round trips of
 * every packet in every version through the decoder. */
#include <criterion/criterion.h>

#include "../support/mqtt_packets.h"
#include "core/mem.h"
#include "proto/mqtt/encode.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

/* Whether the buffer holds just these bytes; empties it. */
static bool
wrote(struct sq_buf *b, const char *bytes)
{
	struct sq_buf want = {0};
	bool same;

	packet_bytes(&want, bytes);
	same = sq_buf_len(b) == sq_buf_len(&want) &&
	    memcmp(sq_buf_data(b), sq_buf_data(&want), sq_buf_len(b)) == 0;
	sq_buf_drain(b, sq_buf_len(b));
	sq_buf_fini(&want);
	return same;
}

Test(mqtt_encode, acknowledgements_take_the_short_form_for_success)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	sq_mqtt_put_ack(&b, SQ_MQTT_V311, SQ_MQTT_PUBACK, 0x1234, 0);
	cr_assert(wrote(&b, "40 02 1234"));
	sq_mqtt_put_ack(&b, SQ_MQTT_V311, SQ_MQTT_PUBREC, 1, SQ_MQTT_RC_QUOTA_EXCEEDED);
	cr_assert(wrote(&b, "50 02 0001"));
	sq_mqtt_put_ack(&b, SQ_MQTT_V5, SQ_MQTT_PUBREL, 1, 0);
	cr_assert(wrote(&b, "62 02 0001"));
	sq_mqtt_put_ack(&b, SQ_MQTT_V5, SQ_MQTT_PUBCOMP, 1, SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
	cr_assert(wrote(&b, "70 03 0001 92"));
	cr_assert_eq(sq_mqtt_put_ack_props(&b, SQ_MQTT_V5, SQ_MQTT_PUBACK, 1, 0, NULL), 0);
	cr_assert_eq(sq_mqtt_put_ack_props(&b, SQ_MQTT_V5, SQ_MQTT_PUBACK, 1, 0, &props), 0);
	cr_assert(wrote(&b, "40 02 0001 40 02 0001"));
	props.reason_string = text("no");
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_REASON_STRING);
	cr_assert_eq(sq_mqtt_put_ack_props(&b, SQ_MQTT_V5, SQ_MQTT_PUBREC, 2, 0x80, &props), 0);
	cr_assert(wrote(&b, "50 09 0002 80 05 1f 0002 'no'"));
	cr_assert_eq(sq_mqtt_put_ack_props(&b, SQ_MQTT_V311, SQ_MQTT_PUBREC, 2, 0x80, &props), 0);
	cr_assert(wrote(&b, "50 02 0002"));
	sq_buf_fini(&b);
}

Test(mqtt_encode, connect_in_each_version)
{
	struct sq_mqtt_connect con = {.version = SQ_MQTT_V311,
	    .clean_start = true,
	    .keep_alive_s = 10,
	    .has_will = true,
	    .will_qos = 1,
	    .has_username = true,
	    .has_password = true,
	    .client_id = text("cid"),
	    .will_topic = text("will"),
	    .will_payload = text("bye"),
	    .username = text("u"),
	    .password = text("p"),
	    .will_props = sq_mqtt_props_none};
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	cr_assert_eq(sq_mqtt_put_connect(&b, &con, NULL), 0);
	cr_assert(wrote(&b,
	    "10 20 0004 'MQTT' 04 ce 000a 0003 'cid' 0004 'will' 0003 'bye'"
	    "0001 'u' 0001 'p'"));
	con.version = SQ_MQTT_V5;
	con.will_props.will_delay_s = 5;
	con.will_props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_WILL_DELAY);
	props.receive_maximum = 20;
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_RECEIVE_MAXIMUM);
	cr_assert_eq(sq_mqtt_put_connect(&b, &con, &props), 0);
	cr_assert(wrote(&b,
	    "10 2a 0004 'MQTT' 05 ce 000a 03 21 0014 0003 'cid' 05 18 00000005"
	    "0004 'will' 0003 'bye' 0001 'u' 0001 'p'"));
	con = (struct sq_mqtt_connect){.version = SQ_MQTT_V31, .client_id = text("a")};
	cr_assert_eq(sq_mqtt_put_connect(&b, &con, &props), 0);
	cr_assert(wrote(&b, "10 0f 0006 'MQIsdp' 03 00 0000 0001 'a'"));
	sq_buf_fini(&b);
}

Test(mqtt_encode, connack_speaks_return_codes_to_older_clients)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V31, true, 0, NULL), 0);
	cr_assert(wrote(&b, "20 02 00 00"));
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V311, true, 0, NULL), 0);
	cr_assert(wrote(&b, "20 02 01 00"));
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V311, true, SQ_MQTT_RC_BANNED, NULL), 0);
	cr_assert(wrote(&b, "20 02 00 05"));
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V311, false, SQ_MQTT_RC_SERVER_BUSY, NULL), 0);
	cr_assert(wrote(&b, "20 02 00 03"));
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V5, false, SQ_MQTT_RC_BANNED, NULL), 0);
	cr_assert(wrote(&b, "20 03 00 8a 00"));
	props.assigned_client_id = text("id");
	props.topic_alias_maximum = 8;
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_ASSIGNED_CLIENT_ID) |
	    SQ_MQTT_HAS(SQ_MQTT_PROP_TOPIC_ALIAS_MAXIMUM);
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V5, false, 0, &props), 0);
	cr_assert(wrote(&b, "20 0b 00 00 08 12 0002 'id' 22 0008"));
	sq_buf_fini(&b);
}

Test(mqtt_encode, subscribe_and_its_answer)
{
	const struct sq_mqtt_sub subs[] = {
	    {.filter = text("a/b"), .qos = 1},
	    {.filter = text("c"),
		.qos = 2,
		.no_local = true,
		.retain_as_published = true,
		.retain_handling = 2},
	};
	const struct sq_bytes filters[] = {text("a/b"), text("c")};
	const uint8_t reasons[] = {0x02, 0x87};
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	props.subscription_id = 300;
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_SUBSCRIPTION_ID);
	cr_assert_eq(sq_mqtt_put_subscribe(&b, SQ_MQTT_V311, 10, subs, 2, &props), 0);
	cr_assert(wrote(&b, "82 0c 000a 0003 'a/b' 01 0001 'c' 02"));
	cr_assert_eq(sq_mqtt_put_subscribe(&b, SQ_MQTT_V5, 10, subs, 2, &props), 0);
	cr_assert(wrote(&b, "82 10 000a 03 0b ac02 0003 'a/b' 01 0001 'c' 2e"));
	cr_assert_eq(sq_mqtt_put_suback(&b, SQ_MQTT_V311, SQ_MQTT_SUBACK, 10, reasons, 2, NULL), 0);
	cr_assert(wrote(&b, "90 04 000a 02 80"));
	cr_assert_eq(sq_mqtt_put_suback(&b, SQ_MQTT_V5, SQ_MQTT_SUBACK, 10, reasons, 2, NULL), 0);
	cr_assert(wrote(&b, "90 05 000a 00 02 87"));
	cr_assert_eq(sq_mqtt_put_unsubscribe(&b, SQ_MQTT_V311, 10, filters, 2, NULL), 0);
	cr_assert(wrote(&b, "a2 0a 000a 0003 'a/b' 0001 'c'"));
	cr_assert_eq(
	    sq_mqtt_put_suback(&b, SQ_MQTT_V311, SQ_MQTT_UNSUBACK, 10, reasons, 2, NULL), 0);
	cr_assert(wrote(&b, "b0 02 000a"));
	cr_assert_eq(
	    sq_mqtt_put_suback(&b, SQ_MQTT_V5, SQ_MQTT_UNSUBACK, 10, reasons + 1, 1, NULL), 0);
	cr_assert(wrote(&b, "b0 04 000a 00 87"));
	sq_buf_fini(&b);
}

Test(mqtt_encode, pings_disconnect_and_auth)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	sq_mqtt_put_pingreq(&b);
	sq_mqtt_put_pingresp(&b);
	cr_assert(wrote(&b, "c0 00 d0 00"));
	cr_assert_eq(sq_mqtt_put_disconnect(&b, SQ_MQTT_V311, SQ_MQTT_RC_TAKEN_OVER, NULL), 0);
	cr_assert(wrote(&b, "e0 00"));
	cr_assert_eq(sq_mqtt_put_disconnect(&b, SQ_MQTT_V5, SQ_MQTT_RC_TAKEN_OVER, NULL), 0);
	cr_assert(wrote(&b, "e0 01 8e"));
	cr_assert_eq(sq_mqtt_put_disconnect(&b, SQ_MQTT_V5, 0, &props), 0);
	cr_assert(wrote(&b, "e0 00"));
	props.auth_method = text("m");
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_AUTH_METHOD);
	cr_assert_eq(sq_mqtt_put_auth(&b, SQ_MQTT_RC_CONTINUE_AUTH, &props), 0);
	cr_assert(wrote(&b, "f0 06 18 04 15 0001 'm'"));
	cr_assert_eq(sq_mqtt_put_auth(&b, 0, NULL), 0);
	cr_assert(wrote(&b, "f0 00"));
	sq_buf_fini(&b);
}

/* The head of 'pub' in a block of its exact size, as bytes. */
static bool
head_is(const struct sq_mqtt_publish_out *pub, const char *bytes)
{
	size_t size = sq_mqtt_publish_head_size(pub);
	struct sq_buf b = {0};
	unsigned char *exact;

	cr_assert_gt(size, 0);
	exact = sq_xmalloc(size);
	cr_assert_eq(sq_mqtt_publish_head(exact, size - 1, pub), 0, "written past its room");
	cr_assert_eq(sq_mqtt_publish_head(exact, size, pub), size);
	sq_buf_append(&b, exact, size);
	free(exact);
	size = wrote(&b, bytes);
	sq_buf_fini(&b);
	return size;
}

Test(mqtt_encode, publish_head_in_both_versions)
{
	static const unsigned char block[] = {0x01, 0x01, 0x26, 0, 1, 'k', 0, 1, 'v'};
	const uint32_t ids[] = {1, 268435455};
	struct sq_mqtt_publish_out pub = {.version = SQ_MQTT_V311,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = text("a/b"),
	    .payload_len = 2};

	cr_assert(head_is(&pub, "30 07 0003 'a/b'"));
	pub.version = SQ_MQTT_V5;
	cr_assert(head_is(&pub, "30 08 0003 'a/b' 00"));
	pub.qos = 2;
	pub.dup = pub.retain = true;
	pub.packet_id = 10;
	pub.props = (struct sq_bytes){block, sizeof block};
	cr_assert(head_is(&pub, "3d 13 0003 'a/b' 000a 09 01 01 26 0001 'k' 0001 'v'"));
	pub.expiry_s = 60;
	pub.topic_alias = 7;
	pub.sub_ids = ids;
	pub.sub_ids_n = 2;
	cr_assert(head_is(&pub,
	    "3d 22 0003 'a/b' 000a 18 02 0000003c 23 0007 0b 01 0b ffffff7f"
	    "01 01 26 0001 'k' 0001 'v'"));
	pub.version = SQ_MQTT_V311;
	cr_assert(head_is(&pub, "3d 09 0003 'a/b' 000a"));
	pub = (struct sq_mqtt_publish_out){.version = SQ_MQTT_V5,
	    .topic_alias = 1,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .payload_len = 1 << 20};
	cr_assert(head_is(&pub, "30 868040 0000 03 23 0001"));
}

Test(mqtt_encode, publish_head_of_an_expired_message_says_zero)
{
	struct sq_mqtt_publish_out pub = {.version = SQ_MQTT_V5, .topic = text("t")};

	cr_assert(head_is(&pub, "30 09 0001 't' 05 02 00000000"));
}

Test(mqtt_encode, what_does_not_fit_is_refused_and_writes_nothing)
{
	static unsigned char big[65536];
	const struct sq_bytes over = {big, 65536};
	const struct sq_mqtt_sub sub = {.filter = over};
	struct sq_mqtt_connect con = {.version = SQ_MQTT_V5, .client_id = over};
	struct sq_mqtt_publish_out pub = {.version = SQ_MQTT_V5, .topic = over};
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	cr_assert_eq(sq_mqtt_publish_head_size(&pub), 0);
	cr_assert_eq(sq_mqtt_publish_head(big, sizeof big, &pub), 0);
	pub.topic = text("t");
	pub.expiry_s = SQ_MSG_NO_EXPIRY;
	pub.payload_len = SQ_MQTT_MAX_REMAINING - 4;
	cr_assert_eq(sq_mqtt_publish_head_size(&pub), 9);
	pub.payload_len++;
	cr_assert_eq(sq_mqtt_publish_head_size(&pub), 0);
	pub.payload_len = SIZE_MAX;
	cr_assert_eq(sq_mqtt_publish_head_size(&pub), 0);
	props.reason_string = over;
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_REASON_STRING);
	cr_assert_eq(sq_mqtt_put_connect(&b, &con, NULL), SQ_ETOOBIG);
	cr_assert_eq(sq_mqtt_put_connack(&b, SQ_MQTT_V5, false, 0x87, &props), SQ_ETOOBIG);
	cr_assert_eq(sq_mqtt_put_disconnect(&b, SQ_MQTT_V5, 0x87, &props), SQ_ETOOBIG);
	cr_assert_eq(
	    sq_mqtt_put_ack_props(&b, SQ_MQTT_V5, SQ_MQTT_PUBACK, 1, 0x87, &props), SQ_ETOOBIG);
	cr_assert_eq(sq_mqtt_put_subscribe(&b, SQ_MQTT_V311, 1, &sub, 1, NULL), SQ_ETOOBIG);
	cr_assert_eq(sq_mqtt_put_unsubscribe(&b, SQ_MQTT_V311, 1, &over, 1, NULL), SQ_ETOOBIG);
	cr_assert_eq(sq_buf_len(&b), 0);
	sq_buf_fini(&b);
}

/* Packets that the round trip goes through: who decodes, version, bytes. */
static const struct {
	enum sq_mqtt_role role;
	uint8_t version;
	const char *bytes;
} trips[] = {
    {SQ_MQTT_SERVER, 0, "10 11 0006 'MQIsdp' 03 02 003c 0003 'abc'"},
    {SQ_MQTT_SERVER, 0,
	"10 20 0004 'MQTT' 04 ee 000a 0003 'cid' 0004 'will' 0003 'bye' 0001 'u' 0001 'p'"},
    {SQ_MQTT_SERVER, 0,
	"10 2a 0004 'MQTT' 05 c6 000a 0a 11 0000000a 17 00 21 0005 0002 'c1'"
	"07 26 0001 'k' 0001 'v' 0001 't' 0000 0000 0000"},
    {SQ_MQTT_CLIENT, 4, "20 02 01 00"},
    {SQ_MQTT_CLIENT, 4, "20 02 00 04"},
    {SQ_MQTT_CLIENT, 5, "20 11 00 00 0e 26 0001 'k' 0001 'v' 24 01 11 00000000"},
    {SQ_MQTT_SERVER, 4, "3b 08 0003 'a/b' 000a 'x'"},
    {SQ_MQTT_SERVER, 3, "30 03 0001 'a'"},
    {SQ_MQTT_CLIENT, 5,
	"34 21 0001 'a' 0001 1a 26 0001 'k' 0001 'v' 0b 01 26 0001 'k' 0001 'v' 0b 8001"
	"02 00000000 01 00"
	"'x'"},
    {SQ_MQTT_SERVER, 4, "40 02 0001"},
    {SQ_MQTT_SERVER, 5, "50 0b 0001 80 07 26 0001 'k' 0001 'v'"},
    {SQ_MQTT_SERVER, 5, "62 03 0001 92"},
    {SQ_MQTT_CLIENT, 5, "70 02 0001"},
    {SQ_MQTT_SERVER, 4, "82 06 0001 0001 'a' 01"},
    {SQ_MQTT_SERVER, 5, "82 10 0001 09 0b 01 26 0001 'k' 0001 'v' 0001 'a' 2d"},
    {SQ_MQTT_SERVER, 5, "a2 06 0001 00 0001 'a'"},
    {SQ_MQTT_CLIENT, 4, "90 04 0001 01 80"},
    {SQ_MQTT_CLIENT, 5, "90 09 0001 04 1f 0001 'r' 01 8f"},
    {SQ_MQTT_CLIENT, 4, "b0 02 0001"},
    {SQ_MQTT_CLIENT, 5, "b0 05 0001 00 00 11"},
    {SQ_MQTT_SERVER, 4, "c0 00"},
    {SQ_MQTT_CLIENT, 4, "d0 00"},
    {SQ_MQTT_SERVER, 4, "e0 00"},
    {SQ_MQTT_CLIENT, 5, "e0 06 9c 04 1c 0001 's'"},
    {SQ_MQTT_SERVER, 5, "f0 0a 19 08 16 0001 'd' 15 0001 'm'"},
};

Test(mqtt_encode, what_is_decoded_encodes_to_the_same_packet)
{
	unsigned seen = 0;

	for (size_t i = 0; i < SQ_ARRAY_LEN(trips); i++) {
		struct sq_mqtt_decoder d = {.role = trips[i].role, .version = trips[i].version};
		struct sq_mqtt_decoder d2 = d;
		struct sq_mqtt_packet first, second;
		struct sq_buf in = {0}, out = {0}, again = {0};
		size_t used;
		int rc;

		packet_bytes(&in, trips[i].bytes);
		rc = sq_mqtt_decode(&d, sq_buf_data(&in), sq_buf_len(&in), &first, &used);
		cr_assert_eq(rc, 0, "%s: %s", trips[i].bytes, d.error);
		cr_assert_eq(sq_mqtt_put(&out, d.version, &first), 0);
		rc = sq_mqtt_decode(&d2, sq_buf_data(&out), sq_buf_len(&out), &second, &used);
		cr_assert_eq(rc, 0, "%s: %s", trips[i].bytes, d2.error);
		cr_assert_eq(used, sq_buf_len(&out));
		cr_assert(packet_equal(&first, &second), "%s", trips[i].bytes);
		cr_assert_eq(sq_mqtt_put(&again, d.version, &second), 0);
		cr_assert_eq(sq_buf_len(&again), sq_buf_len(&out));
		cr_assert_eq(memcmp(sq_buf_data(&again), sq_buf_data(&out), sq_buf_len(&out)), 0);
		seen |= 1u << first.type;
		sq_buf_fini(&in);
		sq_buf_fini(&out);
		sq_buf_fini(&again);
	}
	cr_assert_eq(seen, 0xfffe, "types left out: %04x", 0xfffe & ~seen);
}
