/* Decoding of CONNECT (§3.1) and CONNACK (§3.2). */
#include "proto/mqtt/mqtt_priv.h"

#include <string.h>

enum { /* Connect Flags, §3.1.2.3 */
	FLAG_RESERVED = 0x01,
	FLAG_CLEAN = 0x02,
	FLAG_WILL = 0x04,
	/* 0x18: will QoS */
	FLAG_WILL_RETAIN = 0x20,
	FLAG_PASSWORD = 0x40,
	FLAG_USERNAME = 0x80,
};

/* Reads protocol name and level; sets the version, also for an answer to one
 * that isn't supported (§3.1.2.1, §3.1.2.2). */
static int
connect_version(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_connect *con)
{
	struct sq_bytes name;
	bool mqtt, v31;
	uint8_t level;
	int rc = sq_mqtt_read_binary(d, r, &name);

	if (rc != 0)
		return rc;
	level = sq_read8(r);
	mqtt = name.len == 4 && memcmp(name.p, "MQTT", 4) == 0;
	v31 = name.len == 6 && memcmp(name.p, "MQIsdp", 6) == 0;
	if (r->bad || (!mqtt && !v31))
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_UNSUPPORTED_VERSION, "protocol name is not MQTT (MQTT 3.1.2.1)");
	/* Above 0x7f are private levels of bridges; they ask for the one below. */
	d->version = (level & 0x7f) < SQ_MQTT_V5 ? SQ_MQTT_V311 : SQ_MQTT_V5;
	if (mqtt ? level != SQ_MQTT_V311 && level != SQ_MQTT_V5 : level != SQ_MQTT_V31)
		return sq_mqtt_fail(d, SQ_MQTT_RC_UNSUPPORTED_VERSION,
		    "protocol version is not supported (MQTT 3.1.2.2)");
	d->version = con->version = level;
	return 0;
}

/* Checks how the Connect Flags go together (§3.1.2.3 to §3.1.2.9). */
static int
connect_flags(struct sq_mqtt_decoder *d, uint8_t flags, struct sq_mqtt_connect *con)
{
	con->clean_start = (flags & FLAG_CLEAN) != 0;
	con->has_will = (flags & FLAG_WILL) != 0;
	con->will_qos = flags >> 3 & 3;
	con->will_retain = (flags & FLAG_WILL_RETAIN) != 0;
	con->has_username = (flags & FLAG_USERNAME) != 0;
	con->has_password = (flags & FLAG_PASSWORD) != 0;
	if ((flags & FLAG_RESERVED) != 0 && d->version > SQ_MQTT_V31)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "CONNECT with the reserved flag set (MQTT 3.1.2.3)");
	if (con->will_qos == 3)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, "will with QoS 3 (MQTT 3.1.2.6)");
	if (!con->has_will && (con->will_qos != 0 || con->will_retain))
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "will QoS or will retain without a will (MQTT 3.1.2.6)");
	if (d->version < SQ_MQTT_V5 && con->has_password && !con->has_username)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "password without user name (MQTT 3.1.1, 3.1.2.9)");
	return 0;
}

static int
connect_will(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_connect *con)
{
	int rc = 0;

	if (d->version == SQ_MQTT_V5)
		rc = sq_mqtt_props_read(d, r, SQ_MQTT_WILL, &con->will_props);
	if (rc == 0)
		rc = sq_mqtt_read_topic(d, r, &con->will_topic);
	if (rc == 0 && con->will_topic.len == 0)
		rc = sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, "will with an empty topic (MQTT 4.7.3)");
	if (rc == 0)
		rc = sq_mqtt_read_binary(d, r, &con->will_payload);
	return rc;
}

/* Reads the payload: what the flags announce, in this order (§3.1.3).  In MQTT 3.1 user
 * name and password may be missing all the same (its §3.1). */
static int
connect_payload(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_connect *con)
{
	int rc = sq_mqtt_read_name(d, r, &con->client_id);

	if (rc == 0 && con->has_will)
		rc = connect_will(d, r, con);
	if (d->version == SQ_MQTT_V31 && sq_reader_left(r) == 0)
		con->has_username = con->has_password = false;
	if (rc == 0 && con->has_username)
		rc = sq_mqtt_read_name(d, r, &con->username);
	if (d->version == SQ_MQTT_V31 && sq_reader_left(r) == 0)
		con->has_password = false;
	if (rc == 0 && con->has_password)
		rc = sq_mqtt_read_binary(d, r, &con->password);
	return rc;
}

/* Authentication Data needs its method (§3.1.2.11.10, §3.2.2.3.18). */
static int
connect_auth(struct sq_mqtt_decoder *d, const struct sq_mqtt_props *props)
{
	if (sq_mqtt_has(props, SQ_MQTT_PROP_AUTH_DATA) &&
	    !sq_mqtt_has(props, SQ_MQTT_PROP_AUTH_METHOD))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "Authentication Data without Authentication Method (MQTT 3.1.2.11.10)");
	return 0;
}

int
sq_mqtt_read_connect(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	struct sq_mqtt_connect *con = &out->connect;
	uint8_t flags;
	int rc;

	*con = (struct sq_mqtt_connect){.will_props = sq_mqtt_props_none};
	out->props = sq_mqtt_props_none;
	rc = connect_version(d, r, con);
	if (rc != 0)
		return rc;
	flags = sq_read8(r);
	con->keep_alive_s = sq_read16(r);
	if (r->bad)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "CONNECT ends within its header (MQTT 3.1.2)");
	rc = connect_flags(d, flags, con);
	if (rc == 0 && d->version == SQ_MQTT_V5)
		rc = sq_mqtt_props_read(d, r, SQ_MQTT_CONNECT, &out->props);
	if (rc == 0)
		rc = connect_auth(d, &out->props);
	return rc != 0 ? rc : connect_payload(d, r, con);
}

int
sq_mqtt_read_connack(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	uint8_t flags = sq_read8(r), code = sq_read8(r);
	bool v5 = d->version == SQ_MQTT_V5;

	out->props = sq_mqtt_props_none;
	if (d->version == SQ_MQTT_V31)
		flags = 0; /* the byte is "not used" there (MQTT 3.1 §3.2) */
	out->connack.session_present = flags & 1;
	if ((flags & ~1u) != 0)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "CONNACK with reserved flags set (MQTT 3.2.2.1)");
	if (v5 ? !sq_mqtt_reason_allowed(code, SQ_MQTT_CONNACK, SQ_MQTT_SERVER) : code > 5)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "CONNACK with an unknown reason code (MQTT 3.2.2.2)");
	out->connack.reason = v5 ? code : sq_mqtt_reason_from_v3(code);
	if (code != 0 && out->connack.session_present)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "CONNACK with a failure and Session Present (MQTT 3.2.2.1.1)");
	if (v5) {
		int rc = sq_mqtt_props_read(d, r, SQ_MQTT_CONNACK, &out->props);

		return rc != 0 ? rc : connect_auth(d, &out->props);
	}
	return 0;
}
