/* Replies: from an answer to the message that is published; see broker/push/message.h. */
#include <stdio.h>
#include <string.h>

#include "broker/push/message.h"
#include "core/utf8.h"
#include "proto/headers/said.h"
#include "proto/media/media.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"

enum { REPLIES_MAX = 16 };

/* Takes the next header off '*rest'. */
static bool
reply_header(struct sq_bytes *rest, struct sq_bytes *name, struct sq_bytes *value)
{
	struct sq_bytes *const out[] = {name, value};

	for (size_t i = 0; i < 2; i++) {
		const unsigned char *end = rest->len > 0 ? memchr(rest->p, 0, rest->len) : NULL;

		if (end == NULL)
			return false;
		*out[i] = (struct sq_bytes){rest->p, (size_t)(end - rest->p)};
		*rest = (struct sq_bytes){end + 1, rest->len - out[i]->len - 1};
	}
	return true;
}

static struct sq_bytes
reply_type(const struct sq_push_answer_view *view)
{
	struct sq_bytes rest = view->headers, name, value;

	while (reply_header(&rest, &name, &value))
		if (sq_bytes_are(name, "content-type"))
			return value;
	return (struct sq_bytes){0};
}

static bool
reply_is_binary(const struct sq_push_answer_view *view)
{
	const size_t prefix = sizeof SQ_CE_HEADER_PREFIX - 1;
	struct sq_bytes rest = view->headers, name, value;

	while (reply_header(&rest, &name, &value))
		if (name.len > prefix && memcmp(name.p, SQ_CE_HEADER_PREFIX, prefix) == 0)
			return true;
	return false;
}

static int
reply_refuse(const struct sq_ce_error *err, struct sq_buf *why)
{
	sq_buf_printf(why, "the answer is no event: ");
	if (err->malformed)
		sq_buf_printf(why, "JSON, byte %zu: ", err->offset);
	else if (err->attribute[0] != '\0')
		sq_buf_printf(why, "attribute %s: ", err->attribute);
	sq_buf_printf(why, "%s", err->why);
	return SQ_EINVAL;
}

static int
reply_binary(const struct sq_push_answer_view *view, struct sq_bytes type, struct sq_ce *ce,
    struct sq_buf *why)
{
	struct sq_bytes rest = view->headers, name, value;
	struct sq_ce_error err;

	while (reply_header(&rest, &name, &value))
		if (sq_ce_header(ce, name, value, &err) != SQ_OK)
			return reply_refuse(&err, why);
	if (sq_ce_binary(ce, type, view->body, &err) != SQ_OK)
		return reply_refuse(&err, why);
	return SQ_OK;
}

/* Reads what the answer is; of one that is no event 'ce' has its type and its body alone. */
static int
reply_read(const struct sq_push_answer_view *view, struct sq_ce *ce, struct sq_buf *why)
{
	struct sq_bytes type = reply_type(view);
	struct sq_ce_error err;

	switch (sq_ce_form(type)) {
	case SQ_CE_STRUCTURED:
		return sq_ce_structured(ce, view->body, &err) == SQ_OK ? SQ_OK
								       : reply_refuse(&err, why);
	case SQ_CE_BATCH:
	case SQ_CE_UNKNOWN:
		sq_buf_printf(why,
		    "the answer is no event: of the formats of events a reply has " SQ_CE_TYPE_JSON
		    " alone");
		return SQ_EINVAL;
	default:
		break;
	}
	if (reply_is_binary(view))
		return reply_binary(view, type, ce, why);
	if (view->body.len == 0)
		return SQ_ENOTFOUND;
	if (sq_utf8_valid(type.p, type.len) && sq_utf8_plain(type.p, type.len))
		ce->content_type = type;
	ce->payload = view->body;
	return SQ_OK;
}

/* Of how many pushes a message is the reply, one of another; up to REPLIES_MAX. */
static unsigned
reply_count(const struct sq_msg *m)
{
	struct sq_bytes rest = sq_image_props(m->image), name, value;
	unsigned n = 0;

	while (sq_mqtt_user_next(&rest, &name, &value)) {
		if (!sq_bytes_are(name, SQ_PROP_REPLIES))
			continue;
		for (size_t i = 0; i < value.len && n < REPLIES_MAX; i++)
			n = value.p[i] >= '0' && value.p[i] <= '9' ? 10 * n + (value.p[i] - '0')
								   : REPLIES_MAX;
	}
	return n < REPLIES_MAX ? n : REPLIES_MAX;
}

static bool
reply_put_count(unsigned n, struct sq_buf *out)
{
	char text[12];

	(void)snprintf(text, sizeof text, "%u", n);
	return sq_mqtt_user_append(out, sq_bytes_of(SQ_PROP_REPLIES), sq_bytes_of(text)) == SQ_OK;
}

/* The property block; false: a part of it is too long. */
static bool
reply_props(const struct sq_ce *ce, const struct sq_taken *to, struct sq_buf *out)
{
	struct sq_said asked = sq_said_read(sq_image_props(to->msg->image), false);

	if (sq_media_is_characters(ce->content_type) &&
	    sq_utf8_valid(ce->payload.p, ce->payload.len)) {
		sq_buf_u8(out, SQ_MQTT_PROP_PAYLOAD_FORMAT);
		sq_buf_u8(out, 1);
	}
	if (sq_mqtt_prop_append(out, SQ_MQTT_PROP_CONTENT_TYPE, ce->content_type) != SQ_OK ||
	    sq_mqtt_prop_append(out, SQ_MQTT_PROP_CORRELATION_DATA, asked.correlation) != SQ_OK)
		return false;
	sq_ce_props(ce, out);
	return reply_put_count(reply_count(to->msg) + 1, out);
}

int
sq_push_reply(const struct sq_push_answer_view *view, const char *topic, const struct sq_taken *to,
    size_t max, struct sq_msg *out, struct sq_buf *why)
{
	unsigned qos = to->qos < 1 ? 1 : to->qos > 2 ? 2 : to->qos;
	struct sq_buf props = {0};
	struct sq_ce ce = {0};
	int rc = reply_read(view, &ce, why);
	size_t size;

	if (rc == SQ_OK && reply_count(to->msg) >= REPLIES_MAX) {
		sq_buf_printf(why, "a reply to a reply, %d times: a loop", REPLIES_MAX);
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK && !reply_props(&ce, to, &props))
		rc = SQ_ETOOBIG;
	size = SQ_MSG_HEADER + strlen(topic) + sq_buf_len(&props) + ce.payload.len;
	if (rc == SQ_ETOOBIG || (rc == SQ_OK && size > max)) {
		rc = SQ_ETOOBIG;
		sq_buf_printf(why, "the reply has %zu bytes, limits.max-packet is %zu", size, max);
	}
	if (rc == SQ_OK)
		*out = sq_msg_new(qos, false, sq_bytes_of(topic), sq_buf_bytes(&props),
		    SQ_MSG_NO_EXPIRY, ce.payload);
	sq_buf_fini(&props);
	sq_ce_fini(&ce);
	return rc;
}
