#include "broker/publish/received.h"

#include "core/memory.h"
#include "proto/mqtt/reason.h"

uint8_t
sq_received_message(struct sq_publish *p)
{
	if (sq_look_over(p->look) || sq_memory_level() != SQ_MEMORY_REFUSED)
		return sq_publish_message(p);
	p->n = 0;
	p->end = (struct sq_publish_end){0};
	sq_count(p->broker, SQ_M_REFUSED, 1);
	return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_MEMORY);
}

void
sq_received_explain(struct sq_publish *p, uint8_t code, uint16_t i, struct sq_notes *notes)
{
	if (code == SQ_MQTT_RC_SUCCESS) {
		p->refused.queue = NULL;
		return;
	}
	p->refused.topic = sq_image_topic(p->msg->image);
	p->refused.props = sq_image_props(p->msg->image);
	if (sq_mqtt_reason_failed(code))
		sq_refused_tell(&p->refused, &p->from.of, "publish", code, i, notes);
	else if (p->assured || p->end.how == SQ_PUBLISH_UNMATCHED)
		sq_refused_unmatched(&p->refused, &p->from.of, i, notes);
	else
		sq_refused_nobody(&p->refused, &p->from.of);
}
