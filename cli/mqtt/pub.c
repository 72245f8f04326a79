/* Publishing; see cli/mqtt/pub.h. */
#include "cli/mqtt/pub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mqtt/client.h"
#include "cli/term/interrupt.h"
#include "cli/term/stdin.h"
#include "cli/view/safe.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum { PUB_TEXT_MAX = 65535 }; /* bytes of a name or a value, MQTT 5.0 §1.5.4 */

struct pub {
	const struct sq_pub_ask *ask;
	struct sq_mqtt_client *client;
	struct sq_buf props; /* of each message */
	struct sq_buf *err;
	uint16_t packet_id;
	size_t n; /* messages that are acknowledged */
	bool unmatched;
};

/* ---- what is asked for ---- */

static bool
pub_text_good(const char *text)
{
	return text == NULL || (strlen(text) <= PUB_TEXT_MAX && sq_utf8_valid(text, strlen(text)));
}

/* Appends what is wrong with the name of a topic; false: something is. */
static bool
pub_topic_good(const char *what, const char *topic, struct sq_buf *why)
{
	const char *wrong = "it is not UTF-8";

	if (sq_utf8_valid(topic, strlen(topic)) &&
	    sq_topic_name_check(sq_bytes_of(topic), &wrong) == 0)
		return true;
	sq_safe_bad(why, what, topic, wrong);
	return false;
}

bool
sq_pub_good(const struct sq_pub_ask *a, struct sq_buf *why)
{
	const char *wrong = sq_mqtt_client_url_wrong(a->url);

	if (wrong == NULL && (a->key != NULL || a->receipt != NULL) && a->qos != 3)
		wrong = "--key and --receipt are for --qos 3";
	else if (wrong == NULL && !pub_text_good(a->key))
		wrong = "--key is UTF-8 of at most 65535 bytes";
	for (size_t i = 0; i < a->n_properties && wrong == NULL; i++)
		if (!pub_text_good(a->properties[i].name) || !pub_text_good(a->properties[i].value))
			wrong = "properties and tags are UTF-8 of at most 65535 bytes";
	if (wrong != NULL) {
		sq_buf_printf(why, "%s", wrong);
		return false;
	}
	return pub_topic_good("topic", a->topic, why) &&
	    (a->receipt == NULL || pub_topic_good("--receipt", a->receipt, why));
}

static void
pub_property(struct pub *p, const char *name, const char *value)
{
	int rc = sq_mqtt_user_append(&p->props, sq_bytes_of(name), sq_bytes_of(value));

	assert(rc == 0); /* sq_pub_good() has looked */
	(void)rc;
}

static void
pub_properties(struct pub *p)
{
	const struct sq_pub_ask *a = p->ask;

	if (a->qos == 3)
		pub_property(p, SQ_PROP_QOS, "3");
	if (a->key != NULL)
		pub_property(p, SQ_PROP_KEY, a->key);
	if (a->receipt != NULL)
		pub_property(p, SQ_PROP_RECEIPT, a->receipt);
	for (size_t i = 0; i < a->n_properties; i++)
		pub_property(p, a->properties[i].name, a->properties[i].value);
}

/* ---- what is wrong ---- */

/* Begins a line of 'err': which message it is about. */
static void
pub_say(struct pub *p)
{
	if (p->ask->lines)
		sq_buf_printf(p->err, "line %zu: ", p->n + 1);
}

static int
pub_refused(struct pub *p, uint8_t reason, const struct sq_mqtt_props *props)
{
	pub_say(p);
	sq_buf_printf(p->err, "refused: ");
	sq_mqtt_client_reason(p->err, reason, props);
	return SQ_EDENIED;
}

static void
pub_late(struct pub *p)
{
	pub_say(p);
	if (sq_interrupted())
		sq_buf_printf(p->err, "interrupted before the acknowledgement");
	else
		sq_buf_printf(p->err,
		    "not acknowledged in time: the sidecar may hold it until a broker is there; "
		    "--timeout waits longer");
}

/* ---- one message ---- */

static int
pub_send(struct pub *p, struct sq_bytes payload)
{
	const struct sq_mqtt_client_limits *limits = sq_mqtt_client_limits(p->client);
	struct sq_mqtt_publish_out m = {
	    .version = SQ_MQTT_V5,
	    .qos = (uint8_t)(p->ask->qos > 2 ? 2 : p->ask->qos),
	    .retain = p->ask->retain,
	    .packet_id = p->packet_id,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = sq_bytes_of(p->ask->topic),
	    .props = {sq_buf_data(&p->props), sq_buf_len(&p->props)},
	    .payload_len = payload.len,
	};
	size_t head = sq_mqtt_publish_head_size(&m);
	struct sq_buf out = {0};
	int rc;

	if (head == 0 || head + payload.len > limits->max_packet) {
		pub_say(p);
		sq_buf_printf(p->err, "the message has %zu bytes, and a packet at most %u there",
		    payload.len, limits->max_packet);
		return SQ_ETOOBIG;
	}
	if (m.qos > limits->max_qos || (m.retain && !limits->retain)) {
		sq_buf_printf(p->err, "the other side takes no %s",
		    m.qos > limits->max_qos ? "such QoS" : "retained messages");
		return SQ_EINVAL;
	}
	(void)sq_buf_reserve(&out, head + payload.len);
	sq_buf_commit(&out, sq_mqtt_publish_head(sq_buf_data(&out), head, &m));
	sq_buf_append(&out, payload.p, payload.len);
	if (m.qos == 0) /* its answer tells that the message was read */
		sq_mqtt_put_pingreq(&out);
	rc = sq_mqtt_client_send(p->client, &out, p->err);
	sq_buf_fini(&out);
	return rc;
}

static int
pub_release(struct pub *p)
{
	struct sq_buf out = {0};
	int rc;

	sq_mqtt_put_ack(&out, SQ_MQTT_V5, SQ_MQTT_PUBREL, p->packet_id, SQ_MQTT_RC_SUCCESS);
	rc = sq_mqtt_client_send(p->client, &out, p->err);
	sq_buf_fini(&out);
	return rc;
}

/* One packet while an acknowledgement is awaited; '*done' at the last one. */
static int
pub_answer(struct pub *p, const struct sq_mqtt_packet *a, bool *done)
{
	unsigned last = p->ask->qos == 0 ? SQ_MQTT_PINGRESP
	    : p->ask->qos == 1           ? SQ_MQTT_PUBACK
					 : SQ_MQTT_PUBCOMP;
	bool about = a->type == SQ_MQTT_PINGRESP || a->type == SQ_MQTT_PUBACK ||
	    a->type == SQ_MQTT_PUBREC || a->type == SQ_MQTT_PUBCOMP;

	if (!about || (a->type != SQ_MQTT_PINGRESP && a->ack.packet_id != p->packet_id))
		return 0;
	*done = a->type == last;
	if (a->type == SQ_MQTT_PINGRESP)
		return 0;
	/* QoS 3 is refused where nobody is there: it is not stored then. */
	if (sq_mqtt_reason_failed(a->ack.reason) ||
	    (p->ask->qos == 3 && a->ack.reason == SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS))
		return pub_refused(p, a->ack.reason, &a->props);
	p->unmatched |= a->ack.reason == SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	return a->type == SQ_MQTT_PUBREC && last == SQ_MQTT_PUBCOMP ? pub_release(p) : 0;
}

static int
pub_one(struct pub *p, struct sq_bytes payload)
{
	uint64_t until = sq_clock_ms() + p->ask->wait_ms;
	struct sq_mqtt_packet answer;
	bool done = false;
	int rc;

	p->packet_id = (uint16_t)(p->packet_id % 65535 + 1);
	if ((rc = pub_send(p, payload)) != 0)
		return rc;
	while (!done) {
		rc = sq_mqtt_client_next(p->client, until, &answer, p->err);
		if (rc == 0)
			rc = pub_answer(p, &answer, &done);
		if (rc == SQ_EAGAIN)
			pub_late(p);
		if (rc != 0)
			return rc;
	}
	p->n++;
	return 0;
}

/* ---- standard input ---- */

/* Reads all of standard input as one message. */
static int
pub_whole(struct pub *p)
{
	struct sq_buf all = {0};
	int rc = sq_stdin_whole(&all, p->err);

	if (rc == 0)
		rc = pub_one(p, sq_buf_bytes(&all));
	sq_buf_fini(&all);
	return rc;
}

/* Takes a line of standard input, without its end. */
static int
pub_line(struct pub *p, struct sq_buf *line, bool *end)
{
	struct sq_buf why = {0};
	int rc = sq_stdin_line(line, end, &why);

	if (rc != 0) {
		pub_say(p);
		sq_buf_append(p->err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_fini(&why);
	return rc;
}

static int
pub_lines(struct pub *p)
{
	struct sq_buf line = {0};
	bool end = false;
	int rc;

	while ((rc = pub_line(p, &line, &end)) == 0 && !end && !sq_interrupted())
		if ((rc = pub_one(p, sq_buf_bytes(&line))) != 0)
			break;
	sq_buf_fini(&line);
	return rc;
}

int
sq_pub(const struct sq_pub_ask *ask, struct sq_buf *err)
{
	struct pub p = {.ask = ask, .err = err};
	int rc = SQ_EIO;

	pub_properties(&p);
	p.client = sq_mqtt_client_open(ask->url, ask->client_id, err);
	if (p.client != NULL)
		rc = ask->message != NULL ? pub_one(&p, sq_bytes_of(ask->message))
		    : ask->lines          ? pub_lines(&p)
					  : pub_whole(&p);
	if (rc == 0 && p.unmatched) {
		sq_buf_printf(err,
		    "acknowledged, but no subscription matches; more says: sqmqos why --topic '");
		sq_safe(err, ask->topic, strlen(ask->topic));
		sq_buf_printf(err, "'");
	}
	sq_mqtt_client_close(&p.client);
	sq_buf_fini(&p.props);
	return rc;
}
