/* Messages in words; see cli/mqtt/message.h. */
#include "cli/mqtt/message.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"
#include "core/base64.h"
#include "core/utf8.h"

void
sq_message_text(struct sq_buf *out, const struct sq_mqtt_packet *m)
{
	sq_safe(out, (const char *)m->publish.topic.p, m->publish.topic.len);
	if (m->publish.payload.len > 0)
		sq_buf_u8(out, ' ');
	sq_safe(out, (const char *)m->publish.payload.p, m->publish.payload.len);
	sq_buf_u8(out, '\n');
}

static json_t *
message_string(struct sq_bytes b)
{
	return json_stringn((const char *)b.p, b.len);
}

/* Sets 'name' where the bytes are UTF-8, 'name'_base64 else. */
static void
message_bytes(json_t *o, const char *name, const char *name_base64, struct sq_bytes b)
{
	struct sq_buf coded = {0};

	if (b.len == 0 || sq_utf8_valid(b.p, b.len)) {
		json_object_set_new(o, name, b.len > 0 ? message_string(b) : json_string(""));
		return;
	}
	sq_base64_put(&coded, b.p, b.len);
	json_object_set_new(
	    o, name_base64, json_stringn((char *)sq_buf_data(&coded), sq_buf_len(&coded)));
	sq_buf_fini(&coded);
}

static void
message_props(json_t *o, const struct sq_mqtt_props *p)
{
	struct sq_bytes rest = p->raw, key, value;
	json_t *users = json_array();

	while (sq_mqtt_user_next(&rest, &key, &value))
		json_array_append_new(
		    users, json_pack("[o, o]", message_string(key), message_string(value)));
	json_object_set_new(o, "properties", users);
	if (sq_mqtt_has(p, SQ_MQTT_PROP_CONTENT_TYPE))
		json_object_set_new(o, "content_type", message_string(p->content_type));
	if (sq_mqtt_has(p, SQ_MQTT_PROP_RESPONSE_TOPIC))
		json_object_set_new(o, "response_topic", message_string(p->response_topic));
	if (sq_mqtt_has(p, SQ_MQTT_PROP_CORRELATION_DATA))
		message_bytes(o, "correlation", "correlation_base64", p->correlation_data);
	if (sq_mqtt_has(p, SQ_MQTT_PROP_MESSAGE_EXPIRY))
		json_object_set_new(o, "expiry_s", json_integer(p->expiry_s));
}

void
sq_message_json(struct sq_buf *out, const struct sq_mqtt_packet *m, uint64_t now_ms)
{
	const struct sq_mqtt_publish *p = &m->publish;
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "time", json_integer((json_int_t)now_ms));
	json_object_set_new(o, "topic", message_string(p->topic));
	message_bytes(o, "payload", "payload_base64", p->payload);
	json_object_set_new(o, "bytes", json_integer((json_int_t)p->payload.len));
	json_object_set_new(o, "qos", json_integer(p->qos));
	json_object_set_new(o, "retain", json_boolean(p->retain));
	json_object_set_new(o, "duplicate", json_boolean(p->dup));
	message_props(o, &m->props);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text != NULL)
		sq_safe(out, text, strlen(text));
	free(text);
	sq_buf_u8(out, '\n');
}
