/* MQTT 5 properties: where each may stand, walking and forwarding them, and
 * the tables of properties and reason codes against the standard's. */
#include <criterion/criterion.h>

#include "../support/mqtt_packets.h"
#include "core/mem.h"
#include "proto/mqtt/mqtt.h"

static struct sq_buf input;

static struct sq_bytes
block(const char *text)
{
	sq_buf_fini(&input);
	input = (struct sq_buf){0};
	packet_bytes(&input, text);
	return sq_buf_bytes(&input);
}

static bool
is(struct sq_bytes b, const char *s)
{
	return b.len == strlen(s) && memcmp(b.p, s, b.len) == 0;
}

/* One well-formed value of each property, and the packets of table 2-4 that
 * may have it: from a client, from a server.  A letter per packet: k CONNECT,
 * n CONNACK, p PUBLISH, w will, a PUBACK and its kin, b SUBSCRIBE, s SUBACK,
 * q UNSUBSCRIBE, u UNSUBACK, d DISCONNECT, h AUTH. */
static const struct {
	const char *bytes, *client, *server;
} places[] = {
    {"01 01", "pw", "p"},
    {"02 00000001", "pw", "p"},
    {"03 0001 'x'", "pw", "p"},
    {"08 0001 'x'", "pw", "p"},
    {"09 0001 'x'", "pw", "p"},
    {"0b 01", "b", "p"},
    {"11 00000001", "kd", "n"},
    {"12 0001 'x'", "", "n"},
    {"13 0001", "", "n"},
    {"15 0001 'x'", "kh", "nh"},
    {"16 0001 'x'", "kh", "nh"},
    {"17 01", "k", ""},
    {"18 00000001", "w", ""},
    {"19 01", "k", ""},
    {"1a 0001 'x'", "", "n"},
    {"1c 0001 'x'", "", "nd"},
    {"1f 0001 'x'", "adh", "nasudh"},
    {"21 0001", "k", "n"},
    {"22 0001", "k", "n"},
    {"23 0001", "p", "p"},
    {"24 01", "", "n"},
    {"25 01", "", "n"},
    {"26 0001 'x' 0001 'y'", "kpwabqdh", "npasudh"},
    {"27 00000001", "k", "n"},
    {"28 01", "", "n"},
    {"29 01", "", "n"},
    {"2a 01", "", "n"},
};

/* A packet of MQTT 5 before and after its properties; 'auth': it needs a
 * method beside AUTH's own or the data. */
static const struct {
	char letter;
	bool client, server;
	const char *before, *after;
} packets[] = {
    {'k', true, false, "10 0004 'MQTT' 05 02 0000", "0000"},
    {'w', true, false, "10 0004 'MQTT' 05 06 0000 00 0000", "0001 't' 0000"},
    {'n', false, true, "20 00 00", ""},
    {'p', true, true, "30 0001 't'", "'payload'"},
    {'a', true, true, "40 0001 00", ""},
    {'a', true, true, "50 0001 00", ""},
    {'a', true, true, "62 0001 00", ""},
    {'a', true, true, "70 0001 00", ""},
    {'b', true, false, "82 0001", "0001 't' 00"},
    {'s', false, true, "90 0001", "00"},
    {'q', true, false, "a2 0001", "0001 't'"},
    {'u', false, true, "b0 0001", "00"},
    {'d', true, true, "e0 00", ""},
    {'h', true, true, "f0 18", ""},
};

/* Decodes packet 'k' with 'props' in it; returns the outcome. */
static int
place(size_t k, enum sq_mqtt_role sender, const char *props, struct sq_mqtt_decoder *d)
{
	struct sq_buf head = {0}, mid = {0}, b = {0};
	struct sq_mqtt_packet out;
	const char *why;
	size_t used;
	int rc;

	packet_bytes(&head, packets[k].before);
	packet_bytes(&mid, props);
	if (packets[k].letter == 'h' && strncmp(props, "15", 2) != 0)
		packet_bytes(&mid, "15 0001 'm'");
	if (packets[k].letter != 'h' && strncmp(props, "16", 2) == 0)
		packet_bytes(&mid, "15 0001 'm'");
	cr_assert_lt(sq_buf_len(&mid), 128);
	sq_buf_u8(&head, (uint8_t)sq_buf_len(&mid));
	sq_buf_append(&head, sq_buf_data(&mid), sq_buf_len(&mid));
	packet_bytes(&head, packets[k].after);
	sq_buf_append(&b, sq_buf_data(&head), 1);
	sq_buf_u8(&b, (uint8_t)(sq_buf_len(&head) - 1));
	sq_buf_append(&b, sq_buf_data(&head) + 1, sq_buf_len(&head) - 1);
	*d = (struct sq_mqtt_decoder){
	    .role = sender == SQ_MQTT_CLIENT ? SQ_MQTT_SERVER : SQ_MQTT_CLIENT,
	    .version = sq_buf_data(&b)[0] == 0x10 ? 0 : SQ_MQTT_V5};
	rc = packet_decode_splits(d, sq_buf_data(&b), sq_buf_len(&b), &out, &used, &why);
	cr_expect_null(why, "%s in %s: %s", props, packets[k].before, why);
	sq_buf_fini(&head);
	sq_buf_fini(&mid);
	sq_buf_fini(&b);
	return rc;
}

Test(mqtt_props, each_is_accepted_where_the_standard_has_it_and_nowhere_else)
{
	struct sq_mqtt_decoder d;

	for (size_t i = 0; i < SQ_ARRAY_LEN(places); i++) {
		for (size_t k = 0; k < 2 * SQ_ARRAY_LEN(packets); k++) {
			enum sq_mqtt_role sender = k % 2 ? SQ_MQTT_SERVER : SQ_MQTT_CLIENT;
			bool client = sender == SQ_MQTT_CLIENT, good, elsewhere;
			int rc;

			if (client ? !packets[k / 2].client : !packets[k / 2].server)
				continue;
			good = strchr(
			    client ? places[i].client : places[i].server, packets[k / 2].letter);
			elsewhere = strchr(
			    client ? places[i].server : places[i].client, packets[k / 2].letter);
			rc = place(k / 2, sender, places[i].bytes, &d);
			cr_expect_eq(rc, good ? 0 : SQ_EINVAL, "%s in %s: %d %s", places[i].bytes,
			    packets[k / 2].before, rc, d.error);
			if (rc == SQ_EINVAL)
				cr_expect_eq(d.reason, elsewhere ? 0x82 : 0x81, "%s in %s: 0x%02x",
				    places[i].bytes, packets[k / 2].before, d.reason);
		}
	}
}

Test(mqtt_props, walk_yields_identifiers_values_and_extents)
{
	struct sq_bytes rest = block(
	    "01 01 02 0000003c 26 0001 'k' 0002 'vv' 0b ffff7f 09 0002 beef");
	struct sq_mqtt_prop p;

	cr_assert(sq_mqtt_prop_next(&rest, &p) && p.id == 1 && p.num == 1 && p.forward);
	cr_assert(sq_mqtt_prop_next(&rest, &p) && p.id == 2 && p.num == 60 && !p.forward);
	cr_assert(sq_mqtt_prop_next(&rest, &p) && is(p.key, "k") && is(p.value, "vv"));
	cr_assert(p.whole.len == 8 && p.whole.p[0] == 0x26);
	cr_assert(sq_mqtt_prop_next(&rest, &p) && p.num == 2097151 && p.whole.len == 4);
	cr_assert(sq_mqtt_prop_next(&rest, &p) && is(p.value, "\xbe\xef"));
	cr_assert_not(sq_mqtt_prop_next(&rest, &p));
}

Test(mqtt_props, walk_of_a_bad_block_ends)
{
	static const char *const bad[] = {
	    "26 0001 'k' 0005 'v'", "7f", "01", "0b 808080", "02 0000"};
	struct sq_mqtt_prop p;

	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		struct sq_bytes rest = block(bad[i]);

		cr_assert_not(sq_mqtt_prop_next(&rest, &p), "%s", bad[i]);
		cr_assert_not(sq_mqtt_prop_next(&rest, &p), "%s", bad[i]);
	}
}

Test(mqtt_props, user_properties_keep_their_order_and_may_repeat)
{
	struct sq_bytes key, value, rest;
	struct sq_buf b = {0};

	rest = block("'tag'");
	cr_assert_eq(sq_mqtt_user_append(&b, rest, (struct sq_bytes){rest.p, 1}), 0);
	cr_assert_eq(sq_mqtt_user_append(&b, rest, (struct sq_bytes){NULL, 0}), 0);
	sq_buf_append(&b, "\x01\x01", 2);
	cr_assert_eq(sq_mqtt_user_append(&b, rest, rest), 0);
	cr_assert_eq(sq_mqtt_user_append(&b, rest, (struct sq_bytes){rest.p, 65536}), SQ_ETOOBIG);
	rest = sq_buf_bytes(&b);
	cr_assert(sq_mqtt_user_next(&rest, &key, &value) && is(key, "tag") && is(value, "t"));
	cr_assert(sq_mqtt_user_next(&rest, &key, &value) && is(key, "tag") && value.len == 0);
	cr_assert(sq_mqtt_user_next(&rest, &key, &value) && is(value, "tag"));
	cr_assert_not(sq_mqtt_user_next(&rest, &key, &value));
	sq_buf_fini(&b);
}

Test(mqtt_props, forwarding_drops_alias_expiry_and_identifiers_only)
{
	struct sq_bytes raw = block("23 0007 26 0001 'b' 0001 '1' 02 0000003c 01 01 0b 05"
				    "26 0001 'a' 0001 '2' 03 0001 't' 08 0001 'r' 09 0001 'c'");
	unsigned char out[64], want[64];
	struct sq_buf b = {0};
	size_t n = sq_mqtt_props_forward(raw, out);

	packet_bytes(&b,
	    "26 0001 'b' 0001 '1' 01 01 26 0001 'a' 0001 '2' 03 0001 't'"
	    "08 0001 'r' 09 0001 'c'");
	memcpy(want, sq_buf_data(&b), sq_buf_len(&b));
	cr_assert_eq(n, sq_buf_len(&b));
	cr_assert_eq(memcmp(out, want, n), 0);
	cr_assert_eq(sq_mqtt_props_check((struct sq_bytes){out, n}), 0);
	cr_assert_eq(sq_mqtt_props_check(raw), SQ_EINVAL);
	sq_buf_fini(&b);
}

Test(mqtt_props, check_refuses_what_a_message_can_not_carry)
{
	static const char *const bad[] = {"02 00000001", "23 0001", "0b 01", "01 02", "01 01 01 01",
	    "08 0001 '#'", "08 0000", "03 0001 ff", "26 0001 'k'", "7f", "18 00000001",
	    "26 0001 ff 0000"};

	cr_assert_eq(sq_mqtt_props_check(block("")), 0);
	cr_assert_eq(sq_mqtt_props_check(block("26 0000 0000 26 0000 0000 09 0001 00")), 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_assert_eq(sq_mqtt_props_check(block(bad[i])), SQ_EINVAL, "%s", bad[i]);
}

Test(mqtt_props, forwardable_is_told_so_that_the_block_is_used_as_it_is)
{
	static const struct {
		const char *bytes;
		bool forwardable;
	} rows[] = {
	    {"30 0c 0001 't' 08 26 0001 'k' 0002 'vv'", true},
	    {"30 0e 0001 't' 0a 01 00 26 0001 'k' 0002 'vv'", true},
	    {"30 09 0001 't' 05 02 00000001", false},
	    {"30 07 0001 't' 03 23 0001", false},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_mqtt_decoder d = {.version = SQ_MQTT_V5};
		struct sq_bytes p = block(rows[i].bytes);
		struct sq_mqtt_packet out;
		size_t used;

		cr_assert_eq(sq_mqtt_decode(&d, p.p, p.len, &out, &used), 0, "%s", d.error);
		cr_assert_eq(out.props.forwardable, rows[i].forwardable, "%s", rows[i].bytes);
	}
}

Test(mqtt_props, reason_codes_stand_where_table_2_6_has_them)
{
	/* Packets of a server, by the letters above; r PUBREL and PUBCOMP, a PUBACK and PUBREC. */
	static const struct {
		uint8_t code;
		const char *packets;
	} rows[] = {
	    {0x00, "narsudh"},
	    {0x01, "s"},
	    {0x02, "s"},
	    {0x10, "a"},
	    {0x11, "u"},
	    {0x18, "h"},
	    {0x80, "nasud"},
	    {0x81, "nd"},
	    {0x82, "nd"},
	    {0x83, "nasud"},
	    {0x84, "n"},
	    {0x85, "n"},
	    {0x86, "n"},
	    {0x87, "nasud"},
	    {0x88, "n"},
	    {0x89, "nd"},
	    {0x8a, "n"},
	    {0x8b, "d"},
	    {0x8c, "nd"},
	    {0x8d, "d"},
	    {0x8e, "d"},
	    {0x8f, "sud"},
	    {0x90, "nad"},
	    {0x91, "asu"},
	    {0x92, "r"},
	    {0x93, "d"},
	    {0x94, "d"},
	    {0x95, "nd"},
	    {0x96, "d"},
	    {0x97, "nasd"},
	    {0x98, "d"},
	    {0x99, "nad"},
	    {0x9a, "nd"},
	    {0x9b, "nd"},
	    {0x9c, "nd"},
	    {0x9d, "nd"},
	    {0x9e, "sd"},
	    {0x9f, "nd"},
	    {0xa0, "d"},
	    {0xa1, "sd"},
	    {0xa2, "sd"},
	};
	static const char letters[] = "--n-aarr-s-u--dh"; /* by type; '-' has no reason */

	for (unsigned code = 0, i = 0; code < 256; code++) {
		bool known = i < SQ_ARRAY_LEN(rows) && rows[i].code == code;

		for (unsigned type = 0; type < 16; type++) {
			bool want = known && letters[type] != '-' &&
			    strchr(rows[i].packets, letters[type]) != NULL;

			cr_expect_eq(sq_mqtt_reason_allowed((uint8_t)code, type, SQ_MQTT_SERVER),
			    want, "0x%02x in %s", code, sq_mqtt_type_name(type));
		}
		i += known;
	}
}

Test(mqtt_props, names_are_the_standards)
{
	cr_assert_str_eq(sq_mqtt_reason_name(0x00), "Success");
	cr_assert_str_eq(sq_mqtt_reason_name(0x8e), "Session taken over");
	cr_assert_str_eq(sq_mqtt_reason_name(0xa2), "Wildcard Subscriptions not supported");
	cr_assert_str_eq(sq_mqtt_reason_name(0x03), "Unknown reason code");
	cr_assert_str_eq(sq_mqtt_reason_name(0xff), "Unknown reason code");
	cr_assert_str_eq(sq_mqtt_type_name(SQ_MQTT_PUBLISH), "PUBLISH");
	cr_assert_str_eq(sq_mqtt_type_name(0), "reserved");
	cr_assert_str_eq(sq_mqtt_type_name(16), "reserved");
}
