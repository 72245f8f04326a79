/* The hold's packets for its client, written together at the end of the loop's turn. */
#include "sidecar/mqtt/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/fault.h"
#include "core/mem.h"
#include "proto/mqtt/encode.h"
#include "proto/mqtt/reason.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/hold/hold.h"

enum {
	REF_MIN = 8192,       /* payloads below are copied */
	FORM_HEAD_MAX = 1024, /* topic and properties of a message of which a form is made */
};

/* A refusal with words, where the client wants them and has room (MQTT-3.4.2-2,
 * MQTT-3.5.2-2); else false. */
static bool
client_put_refusal(struct sq_client *c, enum sq_mqtt_type type, const struct sq_lane_outcome *o)
{
	struct sq_mqtt_props props = sq_client_words(c, o->text);
	struct sq_buf b = {0};
	bool put;

	if (props.has == 0 || c->in.decoder.version != SQ_MQTT_V5)
		return false;
	put = sq_mqtt_put_ack_props(&b, SQ_MQTT_V5, type, o->packet_id, o->reason, &props) == 0 &&
	    sq_client_put(c, &b);
	sq_buf_fini(&b);
	return put;
}

void
sq_client_acked(struct sq_client *c, const struct sq_lane_outcome *o)
{
	bool ends = o->kind == SQ_ENTRY_RELEASE || o->qos == 1 || sq_mqtt_reason_failed(o->reason);
	enum sq_mqtt_type type = o->kind == SQ_ENTRY_RELEASE ? SQ_MQTT_PUBCOMP
	    : o->qos == 1                                    ? SQ_MQTT_PUBACK
							     : SQ_MQTT_PUBREC;

	if (c->of->tracer != NULL && o->kind == SQ_ENTRY_MESSAGE)
		sq_tracer_acked(c->of->tracer, c, o->packet_id, o->reason);
	if (ends && c->in.unfinished > 0)
		c->in.unfinished--;
	if (!sq_mqtt_reason_failed(o->reason) || !client_put_refusal(c, type, o))
		sq_client_put_ack(
		    c, type, o->packet_id, c->in.decoder.version == SQ_MQTT_V5 ? o->reason : 0);
	SQ_FAULT_LATER(o->kind == SQ_ENTRY_RELEASE, "sidecar-pubcomp-written", c);
	SQ_FAULT_LATER(o->kind != SQ_ENTRY_RELEASE && o->qos == 2, "sidecar-pubrec-written", c);
}

void
sq_client_pubrel(struct sq_client *c, uint16_t packet_id, uint8_t reason)
{
	sq_client_put_ack(c, SQ_MQTT_PUBREL, packet_id, reason); /* 3.1.1: without it */
	SQ_FAULT_LATER(true, "sidecar-pubrel-written", c);
}

void
sq_client_suback(struct sq_client *c, const struct sq_sub_answer *a)
{
	struct sq_mqtt_props props = sq_client_words(c, a->text);
	uint8_t version = c->in.decoder.version;
	struct sq_buf b = {0};
	int rc = sq_mqtt_put_suback(&b, version, a->type, a->packet_id, a->codes, a->n, &props);

	if (rc == 0 && !sq_client_takes(c, sq_buf_len(&b))) { /* without words (MQTT-3.9.2-2) */
		sq_buf_fini(&b);
		rc = sq_mqtt_put_suback(&b, version, a->type, a->packet_id, a->codes, a->n, NULL);
	}
	if (rc == 0)
		(void)sq_client_put(c, &b);
	sq_buf_fini(&b);
}

/* The alias for 'topic': '*known' when the client has it already, else it is
 * learnt with this packet in place of the one used longest ago.  0: none. */
static uint16_t
deliver_alias(struct sq_client *c, struct sq_bytes topic, bool *known)
{
	struct sq_alias *oldest;

	*known = false;
	if (c->out.alias_max == 0 || topic.len < 4)
		return 0;
	if (c->out.aliases == NULL)
		c->out.aliases = sq_xcalloc(SQ_ALIAS_OUT_MAX, sizeof *c->out.aliases);
	oldest = &c->out.aliases[0];
	for (uint16_t i = 0; i < c->out.alias_max; i++) {
		struct sq_alias *a = &c->out.aliases[i];

		if (a->len == topic.len && memcmp(a->topic, topic.p, topic.len) == 0) {
			a->used = ++c->out.alias_clock;
			*known = true;
			return (uint16_t)(i + 1);
		}
		if (a->used < oldest->used)
			oldest = a;
	}
	if (topic.len > SQ_ALIAS_OUT_BYTES_MAX)
		return 0;
	free(oldest->topic);
	oldest->topic = sq_xmemdup0(topic.p, topic.len);
	oldest->len = (uint16_t)topic.len;
	oldest->used = ++c->out.alias_clock;
	return (uint16_t)(oldest - c->out.aliases + 1);
}

/* Forgets an alias that the client never got to see. */
static void
deliver_unlearn(struct sq_client *c, uint16_t alias)
{
	struct sq_alias *a = &c->out.aliases[alias - 1];

	free(a->topic);
	*a = (struct sq_alias){0};
}

/* The PUBLISH of a message for a target, by a topic alias if that is not 0; 'known': the client knows
 * it.  'ids' has room for its subscription identifiers. */
static struct sq_mqtt_publish_out
deliver_out(const struct sq_client *c, const struct sq_deliver *d, const struct sq_target *t,
    uint16_t alias, bool known, uint32_t *ids)
{
	struct sq_mqtt_publish_out out = {.version = c->in.decoder.version,
	    .qos = t->flags & SQ_TARGET_QOS,
	    .retain = (t->flags & SQ_TARGET_RETAIN) != 0,
	    .packet_id = t->packet_id,
	    .expiry_s = d->expiry_s,
	    .topic = sq_image_topic(d->image),
	    .topic_alias = alias,
	    .props = sq_image_props(d->image),
	    .sub_ids = ids,
	    .sub_ids_n = t->n_subs,
	    .payload_len = sq_image_payload(d->image).len};

	out.dup = out.qos > 0 && (t->flags & SQ_TARGET_REDELIVERED) != 0;
	if (known)
		out.topic.len = 0;
	for (unsigned i = 0; i < t->n_subs; i++)
		ids[i] = sq_get32(t->subs + 4 * i);
	return out;
}

/* Encodes the head, and the payload if it is to be copied, into the output.  False: it is too
 * large. */
static bool
deliver_encode(
    struct sq_client *c, struct sq_mqtt_publish_out *out, bool known, struct sq_bytes copy)
{
	size_t cap = sq_mqtt_publish_head_room(out), head;
	unsigned char *p = sq_output_reserve(&c->out.queue, &c->of->outputs, cap + copy.len);

	head = sq_mqtt_publish_head(p, cap, out);
	if (out->topic_alias != 0 && !known && !sq_client_takes(c, head + out->payload_len)) {
		deliver_unlearn(c, out->topic_alias); /* it may fit without */
		out->topic_alias = 0;
		head = sq_mqtt_publish_head(p, cap, out);
	}
	if (head == 0 || !sq_client_takes(c, head + out->payload_len))
		return false;
	if (copy.len > 0)
		memcpy(p + head, copy.p, copy.len);
	sq_output_commit(&c->out.queue, head + copy.len);
	return true;
}

/* The same by the form of the message, which is made if it is not there. */
static bool
deliver_by_form(struct sq_client *c, const struct sq_delivery *d, const struct sq_target *t,
    uint16_t alias, struct sq_bytes copy)
{
	const struct sq_form_kind kind = {
	    .frame = d->frame, .client = sq_form_client(c->in.decoder.version, t->flags, alias)};
	struct sq_form *form = &c->of->form;
	size_t len, apart = sq_image_payload(d->message->image).len - copy.len;

	if (!sq_form_is(form, &kind)) {
		struct sq_mqtt_publish_out out = deliver_out(
		    c, d->message, t, alias, alias != 0, NULL);

		if (!sq_form_make(form, &kind, &out, copy))
			return false;
	}
	len = sq_buf_len(&form->bytes);
	if (!sq_client_takes(c, len + apart))
		return false;
	sq_form_write(form, t->packet_id, sq_output_reserve(&c->out.queue, &c->of->outputs, len));
	sq_output_commit(&c->out.queue, len);
	return true;
}

/* Whether it is worth a form: others get the same bytes, and they are not many. */
static bool
deliver_wants_form(const struct sq_deliver *m, const struct sq_target *t, struct sq_bytes copy)
{
	return m->n > 1 && t->n_subs == 0 && copy.len < REF_MIN &&
	    sq_image_topic(m->image).len + sq_image_props(m->image).len <= FORM_HEAD_MAX;
}

int
sq_client_deliver(struct sq_client *c, const struct sq_delivery *d, const struct sq_target *t)
{
	const struct sq_deliver *m = d->message;
	struct sq_bytes payload = sq_image_payload(m->image), copy;
	unsigned qos = t->flags & SQ_TARGET_QOS;
	uint16_t alias;
	bool known, put;

	if (c->state != SQ_CLIENT_OPEN)
		return SQ_ECLOSED;
	alias = deliver_alias(c, sq_image_topic(m->image), &known);
	copy = d->block == NULL || payload.len < REF_MIN ? payload : (struct sq_bytes){0};
	if ((alias == 0 || known) && deliver_wants_form(m, t, copy)) {
		put = deliver_by_form(c, d, t, alias, copy);
	} else {
		uint32_t ids[UINT8_MAX];
		struct sq_mqtt_publish_out out = deliver_out(c, m, t, alias, known, ids);

		put = deliver_encode(c, &out, known, copy);
	}
	if (!put) {
		sq_holds_count(c->of->holds, SQ_M_DROPPED_TOO_LARGE, 1);
		return SQ_ETOOBIG;
	}
	if (copy.len < payload.len)
		sq_output_ref(&c->out.queue, d->block, payload.p, payload.len);
	if (qos == 0)
		sq_output_mark(&c->out.queue, sq_image_size(m->image));
	sq_holds_count(c->of->holds, SQ_M_SENT_QOS0 + qos, 1);
	c->taker.taken += t->queue != 0 && (qos == 0 || (t->flags & SQ_TARGET_REDELIVERED) == 0);
	sq_client_did(c, SQ_TAKER_RECEIVED);
	sq_client_touch(c);
	SQ_FAULT_LATER(qos == 2, "sidecar-publish-written", c);
	return 0;
}

/* The client takes no more.  It may have closed after a DISCONNECT, or after
 * acknowledgements, that are still to be read: its end comes behind them. */
static void
client_broken(struct sq_client *c, uint64_t *msgs, uint64_t *bytes)
{
	uint64_t m, b;

	if (c->state == SQ_CLIENT_OPEN && !c->in.blocked) {
		sq_output_drop(&c->out.queue, &m, &b);
		*msgs += m;
		*bytes += b;
		return;
	}
	sq_client_end(c, SQ_END_IO);
	sq_client_enter(c, SQ_CLIENT_DEAD);
}

void
sq_client_write(struct sq_client *c)
{
	size_t limit = c->of->cfg->output_bytes + c->of->cfg->credit_bytes;
	bool full = sq_output_len(&c->out.queue) > limit;
	uint64_t msgs, bytes, before = c->out.queue.written;
	int rc;

	if (c->state == SQ_CLIENT_DEAD)
		return;
	rc = sq_output_write(&c->out.queue, &c->of->outputs, c->in.io.fd, &msgs, &bytes);
	c->of->bytes_sent += c->out.queue.written - before;
	SQ_FAULT_WRITTEN(c);
	if (rc != 0 && rc != SQ_EAGAIN)
		client_broken(c, &msgs, &bytes);
	if (c->hold != NULL && msgs != 0)
		sq_hold_written(c->hold, msgs, bytes);
	if (rc == SQ_EAGAIN) {
		ev_io_start(c->of->loop->ev, &c->out.io);
	} else if (rc == 0 && c->state == SQ_CLIENT_CLOSING) {
		(void)shutdown(c->in.io.fd, SHUT_WR); /* the rest is read until the end */
	}
	if (c->state == SQ_CLIENT_DEAD)
		sq_client_bury(c);
	else if ((full || c->in.blocked) && sq_output_len(&c->out.queue) <= limit)
		sq_client_resume(c);
}
