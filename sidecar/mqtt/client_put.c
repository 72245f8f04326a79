/* Packets into the output of a client; the bottom of its files. */
#include <assert.h>
#include <string.h>

#include "proto/mqtt/encode.h"
#include "sidecar/mqtt/client_priv.h"

enum { HEAD_SLACK = 64 }; /* of a PUBLISH head: all but topic, properties, identifiers */

void
sq_client_touch(struct sq_client *c)
{
	if (c->state != SQ_CLIENT_DEAD)
		sq_loop_post(c->of->loop, SQ_TURN_WRITE, &c->writer);
}

bool
sq_client_takes(const struct sq_client *c, size_t size)
{
	return c->out.max_packet == 0 || size <= c->out.max_packet;
}

bool
sq_client_put(struct sq_client *c, const struct sq_buf *packet)
{
	size_t len = sq_buf_len(packet);

	if (c->state >= SQ_CLIENT_CLOSING || !sq_client_takes(c, len))
		return false;
	memcpy(sq_output_reserve(&c->out.queue, &c->of->outputs, len), sq_buf_data(packet), len);
	sq_output_commit(&c->out.queue, len);
	sq_client_touch(c);
	return true;
}

void
sq_client_put_ack(struct sq_client *c, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	unsigned char *p;

	if (c->state >= SQ_CLIENT_CLOSING)
		return;
	p = sq_output_reserve(&c->out.queue, &c->of->outputs, SQ_MQTT_ACK_MAX);
	sq_output_commit(
	    &c->out.queue, sq_mqtt_ack(p, c->in.decoder.version, type, packet_id, reason));
	sq_client_touch(c);
}

struct sq_mqtt_props
sq_client_words(const struct sq_client *c, struct sq_bytes text)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;

	if (c->out.wants_words && text.len > 0) {
		props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_REASON_STRING);
		props.reason_string = text;
	}
	return props;
}

void
sq_client_put_disconnect(struct sq_client *c, uint8_t reason, struct sq_bytes text)
{
	struct sq_mqtt_props props = sq_client_words(c, text);
	struct sq_buf b = {0};
	int rc;

	if (c->in.decoder.version != SQ_MQTT_V5)
		return;
	rc = sq_mqtt_put_disconnect(&b, SQ_MQTT_V5, reason, &props);
	if (rc == 0 && !sq_client_takes(c, sq_buf_len(&b))) { /* without words (MQTT-3.14.2-3) */
		sq_buf_fini(&b);
		rc = sq_mqtt_put_disconnect(&b, SQ_MQTT_V5, reason, NULL);
	}
	if (rc == 0)
		(void)sq_client_put(c, &b);
	sq_buf_fini(&b);
}

void
sq_client_say(struct sq_client *c, struct sq_mqtt_publish_out *out, const char *text)
{
	size_t cap = HEAD_SLACK + out->topic.len + 5 * out->sub_ids_n, head;
	struct sq_buf b = {0};

	if (c->state != SQ_CLIENT_OPEN || sq_output_len(&c->out.queue) > c->of->cfg->output_bytes)
		return;
	out->version = c->in.decoder.version;
	out->payload_len = strlen(text);
	head = sq_mqtt_publish_head(sq_buf_reserve(&b, cap), cap, out);
	assert(head != 0);
	sq_buf_commit(&b, head);
	sq_buf_append(&b, text, out->payload_len);
	(void)sq_client_put(c, &b);
	sq_buf_fini(&b);
}
