/* What the fuzz targets of the MQTT decoder share: feeding a stream of packets,
 * and the check that what was accepted encodes to the same packet. */
#ifndef SQ_TEST_FUZZ_FUZZ_MQTT_H
#define SQ_TEST_FUZZ_FUZZ_MQTT_H

#include <stdlib.h>

#include "../support/mqtt_packets.h"
#include "proto/mqtt/encode.h"

#define FUZZ_CHECK(what) ((what) ? (void)0 : abort())

/* Reads every view of 'p' through its walk. */
static inline void
fuzz_walk(const struct sq_mqtt_packet *p)
{
	struct sq_bytes rest = p->props.raw, filter;
	struct sq_mqtt_prop prop;
	struct sq_mqtt_sub sub;
	uint32_t n = 0;
	size_t size = 0;

	while (sq_mqtt_prop_next(&rest, &prop))
		size += prop.whole.len;
	FUZZ_CHECK(size == p->props.raw.len);
	if (p->type == SQ_MQTT_SUBSCRIBE) {
		for (rest = p->subscribe.entries; sq_mqtt_sub_next(&rest, &sub); n++)
			FUZZ_CHECK(sub.filter.len > 0 && sub.qos <= 2 && sub.retain_handling <= 2);
		FUZZ_CHECK(n == p->subscribe.count && rest.len == 0);
	} else if (p->type == SQ_MQTT_UNSUBSCRIBE) {
		for (rest = p->unsubscribe.filters; sq_mqtt_filter_next(&rest, &filter); n++)
			FUZZ_CHECK(filter.len > 0);
		FUZZ_CHECK(n == p->unsubscribe.count && rest.len == 0);
	}
}

/* The way of a message: its forwardable block through the head of a PUBLISH. */
static inline void
fuzz_publish(const struct sq_mqtt_packet *p)
{
	unsigned char *block = malloc(p->props.raw.len + 1), *head;
	struct sq_mqtt_publish_out out = {.version = SQ_MQTT_V5,
	    .qos = p->publish.qos,
	    .packet_id = p->publish.packet_id,
	    .topic = p->publish.topic,
	    .topic_alias = p->props.topic_alias,
	    .expiry_s = p->props.expiry_s,
	    .payload_len = p->publish.payload.len};
	struct sq_mqtt_decoder d = {.role = SQ_MQTT_CLIENT, .version = SQ_MQTT_V5};
	struct sq_mqtt_packet again;
	size_t used, n;

	out.props = (struct sq_bytes){block, sq_mqtt_props_forward(p->props.raw, block)};
	FUZZ_CHECK(sq_mqtt_props_check(out.props) == 0);
	FUZZ_CHECK(!p->props.forwardable || out.props.len == p->props.raw.len);
	n = sq_mqtt_publish_head_size(&out);
	FUZZ_CHECK(n > 0);
	head = calloc(1, n + out.payload_len);
	FUZZ_CHECK(sq_mqtt_publish_head(head, n, &out) == n);
	FUZZ_CHECK(sq_mqtt_decode(&d, head, n + out.payload_len, &again, &used) == 0);
	FUZZ_CHECK(used == n + out.payload_len && again.publish.topic.len == out.topic.len);
	FUZZ_CHECK(again.props.expiry_s == out.expiry_s);
	free(head);
	free(block);
}

/* Encodes 'p', decodes that, and compares. */
static inline void
fuzz_round_trip(
    const struct sq_mqtt_decoder *before, uint8_t version, const struct sq_mqtt_packet *p)
{
	struct sq_mqtt_decoder d = {.role = before->role, .version = before->version};
	struct sq_mqtt_packet again;
	struct sq_buf b = {0};
	size_t used;

	FUZZ_CHECK(sq_mqtt_put(&b, version, p) == 0);
	FUZZ_CHECK(sq_mqtt_decode(&d, sq_buf_data(&b), sq_buf_len(&b), &again, &used) == 0);
	FUZZ_CHECK(used == sq_buf_len(&b) && packet_equal(p, &again));
	sq_buf_fini(&b);
}

/* Decodes a stream of packets.  Its first byte chooses version and limit. */
static inline void
fuzz_stream(enum sq_mqtt_role role, const unsigned char *p, size_t len)
{
	static const uint8_t server[] = {0, SQ_MQTT_V31, SQ_MQTT_V311, SQ_MQTT_V5};
	static const uint8_t client[] = {SQ_MQTT_V5, SQ_MQTT_V31, SQ_MQTT_V311, SQ_MQTT_V5};
	struct sq_mqtt_decoder d = {.role = role}, before;
	struct sq_mqtt_packet out;
	const char *why;
	size_t used;
	int rc;

	if (len == 0)
		return;
	d.version = role == SQ_MQTT_SERVER ? server[*p & 3] : client[*p & 3];
	d.max_packet = *p & 4 ? 128 : 0;
	for (p++, len--; len > 0; p += used, len -= used) {
		before = d;
		rc = len <= 512 ? packet_decode_splits(&d, p, len, &out, &used, &why)
				: sq_mqtt_decode(&d, p, len, &out, &used);
		FUZZ_CHECK(rc <= 0);
		if (rc != 0) {
			FUZZ_CHECK(
			    rc == SQ_EAGAIN ? d.need > len : d.error != NULL && d.reason >= 0x80);
			return;
		}
		FUZZ_CHECK(used >= 2 && used <= len && (d.max_packet == 0 || used <= d.max_packet));
		fuzz_walk(&out);
		fuzz_round_trip(&before, d.version, &out);
		if (out.type == SQ_MQTT_PUBLISH)
			fuzz_publish(&out);
	}
}

#endif
