/* Decoding of SUBSCRIBE (§3.8), SUBACK (§3.9), UNSUBSCRIBE (§3.10) and
 * UNSUBACK (§3.11), and the walks over their entries.
 *
 * Entries are checked here once, all of them, and then read again by the
 * walks, so that no list has to be kept. */
#include "proto/mqtt/mqtt_priv.h"

#include <string.h>

#include "proto/mqtt/options.h"

enum { OPTION_RESERVED_V3 = 0xfc }; /* MQTT 3.1.1 §3.8.3 */

static bool
subscribe_is_shared(struct sq_bytes filter)
{
	return filter.len >= 7 && memcmp(filter.p, "$share/", 7) == 0;
}

/* Reads a topic filter; its grammar is proto/topic's. */
static int
subscribe_filter(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_bytes *out)
{
	int rc = sq_mqtt_read_name(d, r, out);

	if (rc == 0 && out->len == 0)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, "topic filter is empty (MQTT 4.7.3)");
	return rc;
}

static int
subscribe_options(struct sq_mqtt_decoder *d, uint8_t opts, struct sq_bytes filter)
{
	uint8_t reserved = d->version == SQ_MQTT_V5 ? SQ_OPTION_RESERVED : OPTION_RESERVED_V3;

	if ((opts & reserved) != 0)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "reserved subscription options are set (MQTT 3.8.3.1)");
	if ((opts & SQ_OPTION_QOS) == SQ_OPTION_QOS)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_PROTOCOL_ERROR, "subscription with QoS 3 (MQTT 3.8.3.1)");
	if ((opts & SQ_OPTION_RETAIN) == SQ_OPTION_RETAIN)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "subscription with Retain Handling 3 (MQTT 3.8.3.1)");
	if ((opts & SQ_OPTION_NO_LOCAL) != 0 && subscribe_is_shared(filter))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "No Local on a shared subscription (MQTT 3.8.3.1)");
	return 0;
}

/* Reads packet identifier and properties, which all four begin with. */
static int
subscribe_head(
    struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out, uint16_t *id)
{
	int rc = sq_mqtt_read_packet_id(d, r, id);

	out->props = sq_mqtt_props_none;
	if (rc == 0 && d->version == SQ_MQTT_V5)
		rc = sq_mqtt_props_read(d, r, out->type, &out->props);
	return rc;
}

int
sq_mqtt_read_subscribe(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	struct sq_bytes filter;
	uint8_t opts;
	int rc = subscribe_head(d, r, out, &out->subscribe.packet_id);

	if (rc != 0)
		return rc;
	out->subscribe.entries = (struct sq_bytes){r->p, sq_reader_left(r)};
	out->subscribe.count = 0;
	if (sq_reader_left(r) == 0)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_PROTOCOL_ERROR, "SUBSCRIBE without a topic filter (MQTT 3.8.3)");
	for (; sq_reader_left(r) > 0; out->subscribe.count++) {
		rc = subscribe_filter(d, r, &filter);
		if (rc != 0)
			return rc;
		opts = sq_read8(r);
		if (r->bad)
			return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
			    "topic filter without its options (MQTT 3.8.3)");
		rc = subscribe_options(d, opts, filter);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
sq_mqtt_read_unsubscribe(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	struct sq_bytes filter;
	int rc = subscribe_head(d, r, out, &out->unsubscribe.packet_id);

	if (rc != 0)
		return rc;
	out->unsubscribe.filters = (struct sq_bytes){r->p, sq_reader_left(r)};
	out->unsubscribe.count = 0;
	if (sq_reader_left(r) == 0)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "UNSUBSCRIBE without a topic filter (MQTT 3.10.3)");
	for (; sq_reader_left(r) > 0; out->unsubscribe.count++) {
		rc = subscribe_filter(d, r, &filter);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
sq_mqtt_read_suback(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	bool v5 = d->version == SQ_MQTT_V5;
	struct sq_bytes reasons;
	int rc = subscribe_head(d, r, out, &out->suback.packet_id);

	if (rc != 0)
		return rc;
	reasons.len = sq_reader_left(r);
	reasons.p = sq_read_bytes(r, reasons.len);
	out->suback.reasons = reasons;
	if (reasons.len == 0 && (v5 || out->type == SQ_MQTT_SUBACK))
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_PROTOCOL_ERROR, "no reason codes (MQTT 3.9.3, 3.11.3)");
	for (size_t i = 0; i < reasons.len; i++) {
		uint8_t code = reasons.p[i];

		if (v5 ? !sq_mqtt_reason_allowed(code, out->type, SQ_MQTT_SERVER)
		       : code > 2 && code != SQ_MQTT_RC_UNSPECIFIED)
			return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
			    "reason code that this packet can't have (MQTT 3.9.3, 3.11.3)");
	}
	return 0;
}

bool
sq_mqtt_filter_next(struct sq_bytes *rest, struct sq_bytes *filter)
{
	struct sq_reader r;

	if (rest->len == 0)
		return false;
	r = sq_reader(rest->p, rest->len);
	filter->len = sq_read16(&r);
	filter->p = sq_read_bytes(&r, filter->len);
	*rest = (struct sq_bytes){r.p, r.bad ? 0 : sq_reader_left(&r)};
	return !r.bad;
}

bool
sq_mqtt_sub_next(struct sq_bytes *rest, struct sq_mqtt_sub *out)
{
	uint8_t opts;

	if (!sq_mqtt_filter_next(rest, &out->filter) || rest->len == 0)
		return false;
	opts = *rest->p++;
	rest->len--;
	out->qos = opts & SQ_OPTION_QOS;
	out->no_local = (opts & SQ_OPTION_NO_LOCAL) != 0;
	out->retain_as_published = (opts & SQ_OPTION_AS_PUBLISHED) != 0;
	out->retain_handling = (uint8_t)sq_option_retain(opts);
	return true;
}
