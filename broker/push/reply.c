#include <stdio.h>

#include "broker/push/push_priv.h"
#include "core/log.h"
#include "proto/mapping/mapping.h"
#include "proto/mqtt/props.h"

bool
sq_push_wants_reply(const struct sq_declared_push *push)
{
	return push->reply.topic != NULL || push->reply.from_request;
}

/* The response topic of a message; empty: it has none. */
static struct sq_bytes
reply_asked(const struct sq_msg *m)
{
	struct sq_bytes rest = sq_image_props(m->image);
	struct sq_mqtt_prop prop;

	while (sq_mqtt_prop_next(&rest, &prop)) {
		if (prop.id == SQ_MQTT_PROP_RESPONSE_TOPIC)
			return prop.value;
	}
	return (struct sq_bytes){0};
}

/* Appends the topic of the reply; SQ_ENOTFOUND: there is to be none. */
static int
reply_topic(const struct sq_push_request *r, struct sq_buf *out, struct sq_buf *why)
{
	const struct sq_push_conf *c = r->conf;
	const struct sq_msg *m = &r->taken.msgs[0];
	struct sq_bytes asked;

	if (!c->decl->push.reply.from_request)
		return sq_mapping_fill(c->decl->push.reply.topic, SQ_MAPPING_TOPIC,
		    &(struct sq_mapping_from){.topic = sq_image_topic(m->image),
			.props = sq_image_props(m->image),
			.space = c->space,
			.queue = c->queue},
		    out, why);
	asked = reply_asked(m);
	if (asked.len == 0)
		return SQ_ENOTFOUND;
	sq_buf_append(out, asked.p, asked.len);
	return SQ_OK;
}

void
sq_push_reply_put(struct sq_push_request *r)
{
	const struct sq_out_request *out = &r->trip.out;
	struct sq_push_answer_view view = {
	    .headers = {sq_buf_data(&out->answer_headers), sq_buf_len(&out->answer_headers)},
	    .body = {sq_buf_data(&out->answer), sq_buf_len(&out->answer)}};
	struct sq_buf topic = {0}, why = {0};
	int err = reply_topic(r, &topic, &why);

	if (err == SQ_OK && out->end == SQ_OUT_TOO_LARGE) {
		sq_buf_printf(&why, "its body is longer than limits.max-packet");
		err = SQ_ETOOBIG;
	}
	sq_buf_u8(&topic, '\0');
	if (err == SQ_OK)
		err = sq_push_reply(&view, (const char *)sq_buf_data(&topic), &r->taken.v[0],
		    r->push->broker->cfg.max_packet, &r->settlement.reply, &why);
	if (err == SQ_OK)
		r->settlement.who = r->conf->who;
	else if (sq_buf_len(&why) > 0)
		SQ_WARN(r->push->scope, "an answer is no reply, and is not published: %.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&topic);
	sq_buf_fini(&why);
}
