/* Receiving; see cli/mqtt/sub.h. */
#include "cli/mqtt/sub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/mqtt/client.h"
#include "cli/mqtt/message.h"
#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/clock.h"
#include "core/utf8.h"
#include "proto/topic/topic.h"

enum {
	SUB_ANSWER_MS = 30000,
	SUB_RELEASE_MS = 5000, /* of the last messages, once there are enough */
	SUB_PACKET_ID = 1,
};

struct sub {
	const struct sq_sub_ask *ask;
	struct sq_mqtt_client *client;
	struct sq_buf *err;
	size_t n;
	bool subscribed;
	/* Packet ids of QoS 2 messages that are printed and not released (MQTT 5.0 §4.3.3). */
	uint8_t held[65536 / 8];
};

bool
sq_sub_good(const struct sq_sub_ask *a, struct sq_buf *why)
{
	const char *wrong = sq_mqtt_client_url_wrong(a->url);
	struct sq_topic_filter f;

	if (wrong != NULL) {
		sq_buf_printf(why, "%s", wrong);
		return false;
	}
	if (!sq_utf8_valid(a->filter, strlen(a->filter)))
		wrong = "it is not UTF-8";
	else if (sq_topic_filter_parse(sq_bytes_of(a->filter), &f, &wrong) == 0)
		return true;
	sq_safe_bad(why, "filter", a->filter, wrong);
	return false;
}

static int
sub_ack(struct sub *s, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	struct sq_buf out = {0};
	int rc;

	sq_mqtt_put_ack(&out, SQ_MQTT_V5, type, packet_id, reason);
	rc = sq_mqtt_client_send(s->client, &out, s->err);
	sq_buf_fini(&out);
	return rc;
}

/* Asks for the messages. */
static int
sub_subscribe(struct sub *s)
{
	struct sq_mqtt_sub one = {
	    .filter = sq_bytes_of(s->ask->filter),
	    .qos = (uint8_t)s->ask->qos,
	    .retain_as_published = true,
	};
	struct sq_buf out = {0};
	int rc = sq_mqtt_put_subscribe(&out, SQ_MQTT_V5, SUB_PACKET_ID, &one, 1, NULL);

	if (rc != 0)
		sq_buf_printf(s->err, "the filter is too long");
	else
		rc = sq_mqtt_client_send(s->client, &out, s->err);
	sq_buf_fini(&out);
	return rc;
}

static int
sub_answered(struct sub *s, const struct sq_mqtt_packet *a)
{
	uint8_t reason = a->suback.reasons.len > 0 ? a->suback.reasons.p[0]
						   : SQ_MQTT_RC_UNSPECIFIED;

	if (sq_mqtt_reason_failed(reason)) {
		sq_safe(s->err, s->ask->filter, strlen(s->ask->filter));
		sq_buf_printf(s->err, ": refused: ");
		sq_mqtt_client_reason(s->err, reason, &a->props);
		return SQ_EDENIED;
	}
	if (reason < s->ask->qos)
		fprintf(stderr, "sqmqos: granted with QoS %u only\n", reason);
	s->subscribed = true;
	return 0;
}

static int
sub_print(struct sub *s, const struct sq_mqtt_packet *m)
{
	struct sq_buf out = {0};
	size_t len;
	int rc = 0;

	if (s->ask->json)
		sq_message_json(&out, m, sq_clock_wall_ms());
	else
		sq_message_text(&out, m);
	len = sq_buf_len(&out);
	if (fwrite(sq_buf_data(&out), 1, len, stdout) != len || fflush(stdout) != 0) {
		sq_buf_printf(s->err, "standard output: %s", strerror(errno));
		rc = SQ_EIO;
	}
	sq_buf_fini(&out);
	s->n++;
	return rc;
}

/* A message: it is printed before it is acknowledged, once. */
static int
sub_message(struct sub *s, const struct sq_mqtt_packet *m)
{
	uint16_t id = m->publish.packet_id;
	uint8_t *held = &s->held[id / 8], bit = (uint8_t)(1u << id % 8);
	bool again = m->publish.qos == 2 && (*held & bit) != 0;
	int rc = again ? 0 : sub_print(s, m);

	if (rc != 0 || m->publish.qos == 0)
		return rc;
	if (m->publish.qos == 1)
		return sub_ack(s, SQ_MQTT_PUBACK, id, SQ_MQTT_RC_SUCCESS);
	*held |= bit;
	return sub_ack(s, SQ_MQTT_PUBREC, id, SQ_MQTT_RC_SUCCESS);
}

static int
sub_released(struct sub *s, uint16_t id)
{
	uint8_t *held = &s->held[id / 8], bit = (uint8_t)(1u << id % 8);
	bool known = (*held & bit) != 0;

	*held &= (uint8_t)~bit;
	return sub_ack(
	    s, SQ_MQTT_PUBCOMP, id, known ? SQ_MQTT_RC_SUCCESS : SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
}

static int
sub_packet(struct sub *s, const struct sq_mqtt_packet *m)
{
	if (m->type == SQ_MQTT_SUBACK)
		return sub_answered(s, m);
	if (m->type == SQ_MQTT_PUBLISH)
		return sub_message(s, m);
	return m->type == SQ_MQTT_PUBREL ? sub_released(s, m->ack.packet_id) : 0;
}

static bool
sub_holds(const struct sub *s)
{
	for (size_t i = 0; i < sizeof s->held; i++)
		if (s->held[i] != 0)
			return true;
	return false;
}

/* Receives until there is enough; the last message's release is awaited, too. */
static int
sub_run(struct sub *s)
{
	uint64_t now = sq_clock_ms(), answer = now + SUB_ANSWER_MS, release = 0;
	uint64_t until = s->ask->wait_ms > 0 ? now + s->ask->wait_ms : UINT64_MAX;
	struct sq_mqtt_packet m;
	int rc = sub_subscribe(s);

	while (rc == 0 && (s->ask->count == 0 || s->n < s->ask->count || sub_holds(s))) {
		bool all = s->ask->count > 0 && s->n >= s->ask->count;
		uint64_t end = !s->subscribed && answer < until ? answer : until;

		if (all && release == 0)
			release = sq_clock_ms() + SUB_RELEASE_MS;
		end = all && release < end ? release : end;
		rc = sq_mqtt_client_next(s->client, end, &m, s->err);
		if (rc == 0 && !(all && m.type == SQ_MQTT_PUBLISH))
			rc = sub_packet(s, &m);
		if (rc != SQ_EAGAIN)
			continue;
		if (sq_interrupted() || all)
			return 0;
		if (s->subscribed)
			return s->ask->count == 0 ? 0 : SQ_EAGAIN;
		sq_buf_printf(s->err, "no answer to SUBSCRIBE in time: there may be no broker");
	}
	return rc;
}

int
sq_sub(const struct sq_sub_ask *ask, struct sq_buf *err)
{
	static struct sub s;
	int rc = SQ_EIO;

	s = (struct sub){.ask = ask, .err = err};
	s.client = sq_mqtt_client_open(ask->url, ask->client_id, err);
	if (s.client != NULL)
		rc = sub_run(&s);
	if (rc == SQ_EAGAIN && sq_buf_len(err) == 0)
		sq_buf_printf(err, "%zu of %zu messages came in time", s.n, ask->count);
	sq_mqtt_client_close(&s.client);
	return rc;
}
