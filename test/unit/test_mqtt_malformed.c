/* The MQTT decoder on what it must refuse: each rule of the standards on the
 * form of a packet, with the reason code that they name for it. */
#include <criterion/criterion.h>

#include "../support/mqtt_packets.h"
#include "core/mem.h"
#include "proto/mqtt/mqtt.h"

struct row {
	enum sq_mqtt_role role; /* who decodes */
	uint8_t version;        /* 0: before CONNECT */
	uint8_t reason;
	const char *bytes;
	const char *rule;
};

#define SRV SQ_MQTT_SERVER
#define CLI SQ_MQTT_CLIENT

static void
check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *row = &rows[i];
		struct sq_mqtt_decoder d = {.role = row->role, .version = row->version};
		struct sq_mqtt_packet out;
		struct sq_buf b = {0};
		const char *why;
		size_t used;
		int rc;

		packet_bytes(&b, row->bytes);
		rc = packet_decode_splits(&d, sq_buf_data(&b), sq_buf_len(&b), &out, &used, &why);
		cr_expect_null(why, "%s (%s): %s", row->rule, row->bytes, why);
		cr_expect_eq(rc, SQ_EINVAL, "%s (%s): outcome %d", row->rule, row->bytes, rc);
		if (rc == SQ_EINVAL) {
			cr_expect_eq(d.reason, row->reason, "%s (%s): reason 0x%02x, %s", row->rule,
			    row->bytes, d.reason, d.error);
			cr_expect_not_null(
			    strstr(d.error, "(MQTT "), "names no section: %s", d.error);
		}
		sq_buf_fini(&b);
	}
}

Test(mqtt_malformed, fixed_header)
{
	static const struct row rows[] = {
	    {SRV, 4, 0x81, "00 00", "type 0"},
	    {SRV, 4, 0x81, "f0 00", "AUTH in 3.1.1"},
	    {SRV, 5, 0x82, "20 03 00 00 00", "CONNACK from a client"},
	    {SRV, 5, 0x82, "90 04 0001 00 00", "SUBACK from a client"},
	    {SRV, 5, 0x82, "b0 04 0001 00 00", "UNSUBACK from a client"},
	    {SRV, 5, 0x82, "d0 00", "PINGRESP from a client"},
	    {CLI, 5, 0x82, "10 0d 0004 'MQTT' 05 02 0000 00 0000", "CONNECT from a server"},
	    {CLI, 5, 0x82, "82 07 0001 00 0001 'a' 00", "SUBSCRIBE from a server"},
	    {CLI, 5, 0x82, "a2 06 0001 00 0001 'a'", "UNSUBSCRIBE from a server"},
	    {CLI, 5, 0x82, "c0 00", "PINGREQ from a server"},
	    {CLI, 4, 0x82, "e0 00", "DISCONNECT from a server of 3.1.1"},
	    {SRV, 0, 0x82, "c0 00", "first packet is not CONNECT"},
	    {SRV, 0, 0x82, "f0 00", "first packet is AUTH"},
	    {SRV, 4, 0x82, "10 0c 0004 'MQTT' 04 00 0000 0000", "second CONNECT"},
	    {SRV, 0, 0x81, "11 0c 0004 'MQTT' 04 00 0000 0000", "flags of CONNECT"},
	    {CLI, 5, 0x81, "21 03 00 00 00", "flags of CONNACK"},
	    {SRV, 4, 0x81, "41 02 0001", "flags of PUBACK"},
	    {SRV, 4, 0x81, "52 02 0001", "flags of PUBREC"},
	    {SRV, 4, 0x81, "60 02 0001", "flags of PUBREL"},
	    {SRV, 4, 0x81, "6a 02 0001", "DUP in a PUBREL of 3.1.1"},
	    {SRV, 4, 0x81, "78 02 0001", "flags of PUBCOMP"},
	    {SRV, 4, 0x81, "80 06 0001 0001 'a' 00", "flags of SUBSCRIBE"},
	    {SRV, 3, 0x81, "84 06 0001 0001 'a' 00", "flags of SUBSCRIBE in 3.1"},
	    {CLI, 4, 0x81, "91 03 0001 00", "flags of SUBACK"},
	    {SRV, 4, 0x81, "a3 05 0001 0001 'a'", "flags of UNSUBSCRIBE"},
	    {CLI, 4, 0x81, "b1 02 0001", "flags of UNSUBACK"},
	    {SRV, 4, 0x81, "c1 00", "flags of PINGREQ"},
	    {CLI, 4, 0x81, "d8 00", "flags of PINGRESP"},
	    {SRV, 4, 0x81, "e2 00", "flags of DISCONNECT"},
	    {SRV, 5, 0x81, "f1 00", "flags of AUTH"},
	    {SRV, 4, 0x81, "30 ffffffff 01", "remaining length of five bytes"},
	    {SRV, 4, 0x81, "30 80808080", "remaining length that goes on"},
	    {SRV, 5, 0x81, "30 8600 0003 'a/b' 00", "padded remaining length"},
	    {SRV, 0, 0x81, "10 8d00 0004 'MQTT' 05 02 0000 00 0000", "padded, in CONNECT"},
	    {SRV, 4, 0x81, "c0 01 00", "PINGREQ with a body"},
	    {CLI, 4, 0x81, "d0 01 00", "PINGRESP with a body"},
	    {SRV, 4, 0x81, "e0 01 00", "DISCONNECT of 3.1.1 with a body"},
	    {SRV, 4, 0x81, "40 03 0001 00", "PUBACK of 3.1.1 with a reason"},
	    {SRV, 5, 0x81, "40 01 00", "PUBACK too short"},
	    {CLI, 4, 0x81, "20 03 00 00 00", "CONNACK of 3.1.1 too long"},
	    {CLI, 5, 0x81, "20 02 00 00", "CONNACK of 5 too short"},
	    {CLI, 4, 0x81, "b0 03 0001 00", "UNSUBACK of 3.1.1 with reasons"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, connect)
{
	static const struct row rows[] = {
	    {SRV, 0, 0x84, "10 0c 0004 'MQTX' 04 00 0000 0000", "protocol name"},
	    {SRV, 0, 0x84, "10 0c 0004 'mqtt' 04 00 0000 0000", "protocol name, case"},
	    {SRV, 0, 0x84, "10 0c 0004 'MQTT' 03 00 0000 0000", "level 3 of MQTT"},
	    {SRV, 0, 0x84, "10 0c 0004 'MQTT' 06 00 0000 0000", "level 6"},
	    {SRV, 0, 0x84, "10 0c 0004 'MQTT' 84 00 0000 0000", "private level of bridges"},
	    {SRV, 0, 0x84, "10 0e 0006 'MQIsdp' 04 00 0000 0000", "level 4 of MQIsdp"},
	    {SRV, 0, 0x81, "10 0a ffff 'MQTT' 04 00 0000", "name beyond the packet"},
	    {SRV, 0, 0x81, "10 09 0004 'MQTT' 04 00 00", "shorter than any CONNECT"},
	    {SRV, 0, 0x81, "10 0a 0004 'MQTT' 04 00 0000", "no client id"},
	    {SRV, 0, 0x81, "10 0b 0006 'MQIsdp' 03 00 00", "cut in the keep alive"},
	    {SRV, 0, 0x81, "10 0c 0004 'MQTT' 04 01 0000 0000", "reserved flag"},
	    {SRV, 0, 0x81, "10 12 0004 'MQTT' 04 1c 0000 0000 0001 'w' 0001 'x'", "will QoS 3"},
	    {SRV, 0, 0x81, "10 0c 0004 'MQTT' 04 08 0000 0000", "will QoS without will"},
	    {SRV, 0, 0x81, "10 0c 0004 'MQTT' 04 20 0000 0000", "will retain without will"},
	    {SRV, 0, 0x81, "10 0d 0004 'MQTT' 05 20 0000 00 0000", "will retain, in 5"},
	    {SRV, 0, 0x81, "10 0f 0004 'MQTT' 04 40 0000 0000 0001 'p'", "password alone"},
	    {SRV, 0, 0x81, "10 0c 0004 'MQTT' 04 80 0000 0000", "announced user name missing"},
	    {SRV, 0, 0x81, "10 0f 0004 'MQTT' 04 c0 0000 0000 0001 'u'", "password missing"},
	    {SRV, 0, 0x81, "10 0f 0004 'MQTT' 04 04 0000 0000 0001 'w'", "will payload missing"},
	    {SRV, 0, 0x81, "10 11 0004 'MQTT' 04 04 0000 0000 0000 0001 'x'", "empty will topic"},
	    {SRV, 0, 0x81, "10 12 0004 'MQTT' 04 04 0000 0000 0001 '#' 0001 'x'", "will wildcard"},
	    {SRV, 0, 0x81, "10 0d 0004 'MQTT' 04 00 0000 0001 ff", "client id not UTF-8"},
	    {SRV, 0, 0x81, "10 0f 0004 'MQTT' 04 80 0000 0000 0001 c0", "user name not UTF-8"},
	    {SRV, 0, 0x81, "10 0d 0004 'MQTT' 04 00 0000 0000 00", "bytes after the end"},
	    {SRV, 0, 0x81, "10 0f 0004 'MQTT' 05 02 0000 02 01 01 0000", "property of PUBLISH"},
	    {SRV, 0, 0x82, "10 10 0004 'MQTT' 05 02 0000 03 21 0000 0000", "receive maximum 0"},
	    {SRV, 0, 0x82, "10 12 0004 'MQTT' 05 02 0000 05 27 00000000 0000", "packet size 0"},
	    {SRV, 0, 0x82, "10 0f 0004 'MQTT' 05 02 0000 02 17 02 0000", "problem info 2"},
	    {SRV, 0, 0x82, "10 0f 0004 'MQTT' 05 02 0000 02 19 02 0000", "response info 2"},
	    {SRV, 0, 0x82, "10 11 0004 'MQTT' 05 02 0000 04 17 01 17 01 0000", "twice"},
	    {SRV, 0, 0x82, "10 11 0004 'MQTT' 05 02 0000 04 16 0001 'd' 0000", "data, no method"},
	    {SRV, 0, 0x82, "10 17 0004 'MQTT' 05 06 0000 00 0000 04 01 01 01 01 0001 'w' 0001 'x'",
		"will property twice"},
	    {SRV, 0, 0x81, "10 16 0004 'MQTT' 05 06 0000 00 0000 03 23 0001 0001 'w' 0001 'x'",
		"topic alias in a will"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, bad_connect_tells_in_which_version_to_answer)
{
	static const struct {
		const char *bytes;
		uint8_t version;
	} rows[] = {
	    {"10 0c 0004 'HTTP' 04 00 0000 0000", 0},
	    {"10 0c 0004 'MQTT' 03 00 0000 0000", 4},
	    {"10 0c 0004 'MQTT' 84 00 0000 0000", 4},
	    {"10 0c 0004 'MQTT' 06 00 0000 0000", 5},
	    {"10 0c 0004 'MQTT' 04 01 0000 0000", 4},
	    {"10 0c 0004 'MQTT' 05 01 0000 0000", 5},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_mqtt_decoder d = {.role = SRV};
		struct sq_mqtt_packet out;
		struct sq_buf b = {0};
		size_t used;

		packet_bytes(&b, rows[i].bytes);
		cr_expect_eq(
		    sq_mqtt_decode(&d, sq_buf_data(&b), sq_buf_len(&b), &out, &used), SQ_EINVAL);
		cr_expect_eq(d.version, rows[i].version, "%s: %u", rows[i].bytes, d.version);
		sq_buf_fini(&b);
	}
}

Test(mqtt_malformed, connack)
{
	static const struct row rows[] = {
	    {CLI, 4, 0x81, "20 02 02 00", "reserved flags"},
	    {CLI, 4, 0x82, "20 02 00 06", "return code 6"},
	    {CLI, 4, 0x82, "20 02 01 05", "session present and refused"},
	    {CLI, 5, 0x82, "20 03 01 87 00", "session present and refused, in 5"},
	    {CLI, 5, 0x82, "20 03 00 01 00", "reason of SUBACK"},
	    {CLI, 5, 0x82, "20 03 00 8e 00", "reason of DISCONNECT"},
	    {CLI, 5, 0x81, "20 04 00 00 00 00", "bytes after the end"},
	    {CLI, 5, 0x82, "20 05 00 00 02 24 02", "maximum QoS 2"},
	    {CLI, 5, 0x82, "20 05 00 00 02 25 02", "retain available 2"},
	    {CLI, 5, 0x82, "20 05 00 00 02 28 02", "wildcard available 2"},
	    {CLI, 5, 0x82, "20 05 00 00 02 29 02", "subscription id available 2"},
	    {CLI, 5, 0x82, "20 05 00 00 02 2a 02", "shared available 2"},
	    {CLI, 5, 0x81, "20 05 00 00 02 17 01", "property of CONNECT"},
	    {CLI, 5, 0x82, "20 07 00 00 04 16 0001 'd'", "data without method"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, publish)
{
	static const struct row rows[] = {
	    {SRV, 4, 0x81, "36 07 0003 'a/b' 0001", "QoS 3"},
	    {SRV, 5, 0x81, "36 08 0003 'a/b' 0001 00", "QoS 3, in 5"},
	    {SRV, 4, 0x81, "38 05 0003 'a/b'", "DUP with QoS 0"},
	    {SRV, 4, 0x82, "32 07 0003 'a/b' 0000", "packet identifier 0"},
	    {SRV, 4, 0x81, "32 06 0003 'a/b' 00", "cut in the packet identifier"},
	    {SRV, 4, 0x81, "30 05 0004 'a/b'", "topic beyond the packet"},
	    {SRV, 4, 0x81, "30 02 0000", "empty topic"},
	    {SRV, 5, 0x82, "30 03 0000 00", "empty topic without alias"},
	    {SRV, 4, 0x81, "30 05 0003 'a/+'", "plus in the topic"},
	    {SRV, 5, 0x81, "30 06 0003 'a/#' 00", "hash in the topic"},
	    {CLI, 5, 0x81, "30 06 0003 '+/a' 00", "plus, from a server"},
	    {SRV, 4, 0x81, "30 03 0001 00", "U+0000"},
	    {SRV, 4, 0x81, "30 04 0002 c080", "overlong U+0000"},
	    {SRV, 4, 0x81, "30 04 0002 c1bf", "overlong in two bytes"},
	    {SRV, 4, 0x81, "30 05 0003 e09fbf", "overlong in three bytes"},
	    {SRV, 4, 0x81, "30 06 0004 f08fbfbf", "overlong in four bytes"},
	    {SRV, 4, 0x81, "30 05 0003 eda080", "surrogate U+D800"},
	    {SRV, 4, 0x81, "30 05 0003 edbfbf", "surrogate U+DFFF"},
	    {SRV, 4, 0x81, "30 06 0004 f4908080", "above U+10FFFF"},
	    {SRV, 4, 0x81, "30 03 0001 80", "continuation byte alone"},
	    {SRV, 4, 0x81, "30 04 0002 e2 82", "character cut off"},
	    {SRV, 4, 0x81, "30 0d 000b 'abcdefghij' ff", "bad byte after eight good ones"},
	    {SRV, 5, 0x81, "30 05 0003 'a/b'", "no property length"},
	    {SRV, 5, 0x81, "30 06 0003 'a/b' 01", "property length beyond the packet"},
	    {SRV, 5, 0x81, "30 07 0003 'a/b' 8000", "padded property length"},
	    {SRV, 5, 0x81, "30 0a 0003 'a/b' 8080808001", "property length of five bytes"},
	    {SRV, 5, 0x81, "30 07 0003 'a/b' 01 01", "property without value"},
	    {SRV, 5, 0x81, "30 08 0003 'a/b' 02 7f 00", "unknown property"},
	    {SRV, 5, 0x81, "30 08 0003 'a/b' 02 8101", "property identifier in two bytes"},
	    {SRV, 5, 0x81, "30 08 0003 'a/b' 02 00 00", "property 0"},
	    {SRV, 5, 0x81, "30 09 0003 'a/b' 03 21 0001", "receive maximum in PUBLISH"},
	    {SRV, 5, 0x81, "30 0a 0003 'a/b' 04 15 0001 'm'", "auth method in PUBLISH"},
	    {SRV, 5, 0x82, "30 08 0003 'a/b' 02 01 02", "payload format 2"},
	    {SRV, 5, 0x82, "30 0a 0003 'a/b' 04 01 01 01 01", "payload format twice"},
	    {SRV, 5, 0x94, "30 09 0003 'a/b' 03 23 0000", "topic alias 0"},
	    {CLI, 5, 0x94, "30 09 0003 'a/b' 03 23 0000", "topic alias 0, from a server"},
	    {SRV, 5, 0x82, "30 0c 0003 'a/b' 06 23 0001 23 0001", "topic alias twice"},
	    {SRV, 5, 0x82, "30 08 0003 'a/b' 02 0b 01", "subscription id from a client"},
	    {CLI, 5, 0x82, "30 08 0003 'a/b' 02 0b 00", "subscription id 0"},
	    {CLI, 5, 0x81, "30 09 0003 'a/b' 03 0b 8100", "padded subscription id"},
	    {SRV, 5, 0x82, "30 0a 0003 'a/b' 04 08 0001 '#'", "wildcard in response topic"},
	    {SRV, 5, 0x82, "30 09 0003 'a/b' 03 08 0000", "empty response topic"},
	    {SRV, 5, 0x81, "30 0a 0003 'a/b' 04 03 0001 ff", "content type not UTF-8"},
	    {SRV, 5, 0x81, "30 0d 0003 'a/b' 07 26 0001 ff 0001 'v'", "user key not UTF-8"},
	    {SRV, 5, 0x81, "30 0d 0003 'a/b' 07 26 0001 'k' 0001 00", "U+0000 in user value"},
	    {SRV, 5, 0x81, "30 0d 0003 'a/b' 07 26 0001 'k' 0002 'v'", "user value cut off"},
	    {SRV, 5, 0x81, "30 09 0003 'a/b' 03 09 0001", "correlation data cut off"},
	    {SRV, 5, 0x81, "30 0a 0003 'a/b' 04 02 000001", "expiry cut off"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, acknowledgements)
{
	static const struct row rows[] = {
	    {SRV, 4, 0x82, "40 02 0000", "PUBACK for packet 0"},
	    {SRV, 5, 0x82, "62 02 0000", "PUBREL for packet 0"},
	    {SRV, 5, 0x82, "40 03 0001 01", "PUBACK with granted QoS"},
	    {SRV, 5, 0x82, "40 03 0001 92", "PUBACK with a reason of PUBREL"},
	    {SRV, 5, 0x82, "50 03 0001 ff", "PUBREC with no reason at all"},
	    {SRV, 5, 0x82, "62 03 0001 10", "PUBREL with a reason of PUBACK"},
	    {SRV, 5, 0x82, "70 03 0001 80", "PUBCOMP with a reason of PUBACK"},
	    {SRV, 5, 0x81, "40 05 0001 00 00 00", "bytes after the end"},
	    {SRV, 5, 0x81, "40 06 0001 00 02 01 01", "property of PUBLISH"},
	    {SRV, 5, 0x82, "40 0c 0001 00 08 1f 0001 'a' 1f 0001 'b'", "reason string twice"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, subscribe_and_unsubscribe)
{
	static const struct row rows[] = {
	    {SRV, 4, 0x82, "82 06 0000 0001 'a' 00", "packet identifier 0"},
	    {SRV, 4, 0x82, "82 02 0001", "no filter"},
	    {SRV, 5, 0x82, "82 03 0001 00", "no filter, in 5"},
	    {SRV, 4, 0x81, "82 05 0001 0001 'a'", "filter without options"},
	    {SRV, 4, 0x81, "82 05 0001 0000 00", "empty filter"},
	    {SRV, 4, 0x81, "82 06 0001 0001 ff 00", "filter not UTF-8"},
	    {SRV, 4, 0x82, "82 06 0001 0001 'a' 03", "QoS 3"},
	    {SRV, 4, 0x81, "82 06 0001 0001 'a' 04", "options of 5 in 3.1.1"},
	    {SRV, 5, 0x82, "82 07 0001 00 0001 'a' 03", "QoS 3, in 5"},
	    {SRV, 5, 0x81, "82 07 0001 00 0001 'a' 40", "reserved option 6"},
	    {SRV, 5, 0x81, "82 07 0001 00 0001 'a' 80", "reserved option 7"},
	    {SRV, 5, 0x82, "82 07 0001 00 0001 'a' 30", "retain handling 3"},
	    {SRV, 5, 0x82, "82 10 0001 00 000a '$share/g/a' 04", "no local when shared"},
	    {SRV, 5, 0x82, "82 09 0001 02 0b 00 0001 'a' 00", "subscription id 0"},
	    {SRV, 5, 0x82, "82 0b 0001 04 0b 01 0b 02 0001 'a' 00", "subscription id twice"},
	    {SRV, 5, 0x81, "82 0b 0001 04 1f 0001 'r' 0001 'a' 00", "reason string"},
	    {SRV, 4, 0x81, "82 0a 0001 0001 'a' 00 0005 'b' 00", "second filter cut off"},
	    {SRV, 4, 0x82, "a2 05 0000 0001 'a'", "UNSUBSCRIBE: packet identifier 0"},
	    {SRV, 4, 0x82, "a2 02 0001", "UNSUBSCRIBE: no filter"},
	    {SRV, 4, 0x81, "a2 04 0001 0000", "UNSUBSCRIBE: empty filter"},
	    {SRV, 4, 0x81, "a2 06 0001 0001 'a' 00", "UNSUBSCRIBE: half a filter"},
	    {SRV, 5, 0x81, "a2 08 0001 02 0b 01 0001 'a'", "UNSUBSCRIBE: subscription id"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, suback_and_unsuback)
{
	static const struct row rows[] = {
	    {CLI, 4, 0x82, "90 03 0000 00", "packet identifier 0"},
	    {CLI, 4, 0x82, "90 02 0001", "no codes"},
	    {CLI, 5, 0x82, "90 03 0001 00", "no codes, in 5"},
	    {CLI, 4, 0x82, "90 03 0001 03", "QoS 3"},
	    {CLI, 4, 0x82, "90 03 0001 87", "reason of 5 in 3.1.1"},
	    {CLI, 5, 0x82, "90 04 0001 00 11", "reason of UNSUBACK"},
	    {CLI, 5, 0x82, "b0 03 0001 00", "UNSUBACK: no codes"},
	    {CLI, 5, 0x82, "b0 04 0001 00 01", "UNSUBACK: reason of SUBACK"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, disconnect_and_auth)
{
	static const struct row rows[] = {
	    {SRV, 5, 0x82, "e0 01 8e", "reason that only servers send"},
	    {CLI, 5, 0x82, "e0 01 04", "reason that only clients send"},
	    {SRV, 5, 0x82, "e0 01 01", "reason of SUBACK"},
	    {SRV, 5, 0x82, "e0 06 00 04 1c 0001 's'", "server reference from a client"},
	    {CLI, 5, 0x82, "e0 07 00 05 11 00000001", "session expiry from a server"},
	    {SRV, 5, 0x81, "e0 03 00 00 00", "bytes after the end"},
	    {SRV, 5, 0x82, "f0 00", "AUTH with success from a client"},
	    {CLI, 5, 0x82, "f0 06 19 04 15 0001 'm'", "re-authenticate from a server"},
	    {SRV, 5, 0x82, "f0 02 18 00", "AUTH without method"},
	    {SRV, 5, 0x81, "f0 01 18", "AUTH without property length"},
	    {SRV, 5, 0x82, "f0 06 80 04 15 0001 'm'", "AUTH with a failure"},
	};

	check(rows, SQ_ARRAY_LEN(rows));
}

Test(mqtt_malformed, packets_above_the_limit_are_refused_on_their_header)
{
	struct sq_mqtt_decoder d = {.role = SRV, .version = SQ_MQTT_V5, .max_packet = 1000};
	unsigned char p[1000] = {0x30, 0xe5, 0x07, 0, 1, 'a'}; /* 3 + 997 */
	struct sq_mqtt_packet out;
	size_t used;

	cr_assert_eq(sq_mqtt_decode(&d, p, sizeof p, &out, &used), 0);
	cr_assert_eq(used, 1000);
	p[1]++;
	cr_assert_eq(sq_mqtt_decode(&d, p, 2, &out, &used), SQ_EAGAIN);
	cr_assert_eq(sq_mqtt_decode(&d, p, 3, &out, &used), SQ_ETOOBIG);
	cr_assert_eq(d.reason, SQ_MQTT_RC_PACKET_TOO_LARGE);
}

Test(mqtt_malformed, no_two_bytes_of_garbage_crash_or_hang)
{
	static const uint8_t versions[] = {0, 3, 4, 5};

	for (unsigned v = 0; v < 0x10000; v++) {
		for (unsigned k = 0; k < 4; k++) {
			unsigned char p[32] = {(unsigned char)(v >> 8), (unsigned char)v};
			struct sq_mqtt_decoder d = {.role = SRV, .version = versions[k]};
			struct sq_mqtt_packet out;
			size_t used = 0;
			int rc = sq_mqtt_decode(&d, p, sizeof p, &out, &used);

			cr_assert(rc == 0         ? used >= 2 && used <= sizeof p
				: rc == SQ_EAGAIN ? d.need > sizeof p
						  : d.error != NULL);
		}
	}
}
