/* See broker/push/message.h. */
#include "broker/push/message.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base32.h"
#include "core/percent.h"
#include "core/trace.h"
#include "proto/headers/headers.h"
#include "proto/headers/said.h"
#include "proto/json/json.h"
#include "proto/mapping/mapping.h"
#include "proto/media/media.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"

#define EVENT_TYPE "org.sqmqos.message" /* of an event about a message that is none */
#define TEST_TYPE "org.sqmqos.push.test"
#define EVENT_SOURCE "/sqmqos/" /* and the space */
#define TYPE_JSON "application/json"
#define TYPE_ANY "application/octet-stream"
#define BAGGAGE "baggage"

enum { ID_SIZE = 16 };

/* A request that is being made. */
struct making {
	const struct sq_push_message_cfg *cfg;
	struct sq_push_message *out;
	const struct sq_taken *taken;
	size_t n;
	const char *type;   /* of an event about a message */
	struct sq_bytes id; /* of the request */
};

/* A message of it. */
struct made {
	const struct sq_taken *taken;
	struct sq_said said;
	struct sq_bytes topic, payload, id;
	struct sq_bytes type; /* of the payload, as said, else as it seems; never empty */
};

/* Without a content type, as apps of MQTT 3.1.1 have none, or with a text that is none, an object or a
 * list of JSON is JSON. */
static struct sq_bytes
made_type(const struct sq_said *s, struct sq_bytes payload)
{
	struct sq_bytes type = sq_said_type(s);
	struct sq_json_tokens none = {0};
	struct sq_json_error err;

	if (sq_media_good(type))
		return type;
	if (payload.len == 0 || (payload.p[0] != '{' && payload.p[0] != '[') ||
	    sq_json_read(&none, payload, &err) != SQ_OK)
		return sq_bytes_of(TYPE_ANY);
	return sq_bytes_of(TYPE_JSON);
}

static struct made
made_read(const struct sq_taken *t, struct sq_bytes id)
{
	const unsigned char *image = t->msg->image;
	struct made m = {.taken = t,
	    .said = sq_said_read(sq_image_props(image), false),
	    .topic = sq_image_topic(image),
	    .payload = sq_image_payload(image),
	    .id = id};

	m.type = made_type(&m.said, m.payload);
	return m;
}

/* The value of a user property, of the first of its name; empty: none. */
static struct sq_bytes
made_property(const struct made *m, const char *wanted)
{
	struct sq_bytes rest = m->said.props, name, value;

	while (sq_mqtt_user_next(&rest, &name, &value))
		if (sq_bytes_are(name, wanted))
			return value;
	return (struct sq_bytes){0};
}

/* The event that the message is, or one about it; returns whether it is one. */
static bool
make_event(const struct making *k, const struct made *m)
{
	struct sq_ce *ce = &k->out->event;
	struct sq_ce_about about = {.id = m->id,
	    .source = sq_buf_bytes(&k->out->source),
	    .type = sq_bytes_of(k->type),
	    .subject = m->topic,
	    .order_key = m->said.order_key,
	    .traceparent = made_property(m, SQ_PROP_TRACEPARENT),
	    .time_ms = m->taken->arrived_ms,
	    .payload = m->payload};

	if (sq_ce_handed(ce, m->said.props, m->payload) == SQ_OK)
		return true;
	if (about.traceparent.len > 0)
		about.tracestate = made_property(m, SQ_PROP_TRACESTATE);
	about.content_type = sq_ce_form(m->type) == SQ_CE_OTHER ? m->type : sq_bytes_of(TYPE_ANY);
	sq_ce_about(ce, &about);
	return false;
}

/* ---- bodies; each sets the body and puts the headers about it */

/* All of the message but its payload, as a raw pull has it. */
static void
make_said(const struct making *k, const struct made *m)
{
	struct sq_buf *h = &k->out->headers;

	sq_headers_number(h, SQ_PROP_QOS, m->taken->qos);
	sq_headers_time(h, "sqmqos-enqueued", m->taken->arrived_ms);
	sq_headers_time(h, "sqmqos-expires", m->taken->expires_ms);
	sq_said_lists(&m->said, h);
	sq_said_headers(&m->said, h);
	if (sq_image_retain(m->taken->msg->image))
		sq_headers_put(h, "sqmqos-retain", sq_bytes_of("true"));
}

static void
make_raw(const struct making *k, const struct made *m)
{
	k->out->body = m->payload;
	sq_headers_put(&k->out->headers, "content-type", m->type);
	make_said(k, m);
}

static void
make_structured(const struct making *k)
{
	sq_ce_json(&k->out->event, &k->out->text);
	k->out->body = sq_buf_bytes(&k->out->text);
	sq_headers_put(&k->out->headers, "content-type", sq_bytes_of(SQ_CE_TYPE_JSON));
}

static void
make_binary(const struct making *k, const struct made *m)
{
	const struct sq_ce *ce = &k->out->event;
	struct sq_buf *h = &k->out->headers;
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;

	k->out->body = ce->payload;
	sq_headers_put(h, "content-type", ce->content_type.len > 0 ? ce->content_type : m->type);
	while (sq_ce_next(&rest, &name, &value)) {
		if (value.len == 0) /* no header can say it */
			continue;
		sq_buf_append(h, SQ_CE_HEADER_PREFIX, sizeof SQ_CE_HEADER_PREFIX - 1);
		sq_buf_append(h, name.p, name.len);
		sq_buf_append(h, ": ", 2);
		sq_ce_header_value(h, value);
		sq_headers_end(h);
	}
}

static void
make_single(const struct making *k, const struct made *m)
{
	const struct sq_ce *ce = &k->out->event;
	bool is;

	if (k->cfg->push->format == SQ_PUSH_RAW) {
		make_raw(k, m);
		return;
	}
	is = make_event(k, m);
	/* A web hook has a body, and what has a type of CloudEvents would be taken for another event. */
	if (k->cfg->push->format == SQ_PUSH_STRUCTURED || ce->payload.len == 0 ||
	    sq_ce_form(ce->content_type) != SQ_CE_OTHER)
		make_structured(k);
	else
		make_binary(k, m);
	if (!is)
		make_said(k, m);
}

static void
make_batch(const struct making *k)
{
	struct sq_push_message *out = k->out;
	char id[SQ_PUSH_ID_TEXT];

	for (size_t i = 0; i < k->n; i++) {
		struct made m;

		sq_push_id_text(k->taken[i].id, id);
		m = made_read(&k->taken[i], k->n == 1 ? k->id : sq_bytes_of(id));
		(void)make_event(k, &m);
		sq_buf_u8(&out->text, i == 0 ? '[' : ',');
		sq_ce_json_told(
		    &out->event, &(const struct sq_ce_told){.topic = m.topic}, &out->text);
		sq_buf_append(&out->ids, out->event.id.p, out->event.id.len);
		sq_buf_u8(&out->ids, '\0');
	}
	sq_buf_u8(&out->text, ']');
	out->body = sq_buf_bytes(&out->text);
	sq_headers_put(&out->headers, "content-type", sq_bytes_of(SQ_CE_TYPE_BATCH));
}

/* ---- headers */

/* The id of the request: of the same messages the same. */
static void
make_id(const struct making *k, char out[SQ_PUSH_ID_TEXT])
{
	unsigned char ids[SQ_PUSH_BATCH_MAX * ID_SIZE], md[EVP_MAX_MD_SIZE];

	if (k->n == 1) {
		sq_push_id_text(k->taken->id, out);
		return;
	}
	for (size_t i = 0; i < k->n; i++)
		memcpy(ids + i * ID_SIZE, k->taken[i].id, ID_SIZE);
	if (EVP_Digest(ids, k->n * ID_SIZE, md, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* out of memory, or a broken library */
	sq_push_id_text(md, out);
}

static void
make_signed(const struct making *k)
{
	const struct sq_push_message_cfg *cfg = k->cfg;
	struct sq_buf *h = &k->out->headers;

	sq_headers_put(h, "webhook-id", k->id);
	sq_headers_number(h, "webhook-timestamp", (uint64_t)cfg->now_s);
	if (cfg->keys != NULL) {
		sq_headers_begin(h, "webhook-signature");
		sq_webhook_sign(cfg->keys, k->id, cfg->now_s, k->out->body, h);
		sq_headers_end(h);
	}
	sq_headers_string(h, "idempotency-key", k->id);
	if (cfg->validate != SQ_PUSH_VALIDATE_OFF)
		sq_headers_put(h, "webhook-request-origin", sq_bytes_of(cfg->install));
}

/* What the queue knows of the request; its attempt is that of the message that has most. */
static void
make_queued(const struct making *k)
{
	struct sq_buf *h = &k->out->headers;
	uint32_t attempt = 0;

	for (size_t i = 0; i < k->n; i++)
		if (k->taken[i].attempt > attempt)
			attempt = k->taken[i].attempt;
	sq_headers_put(h, "sqmqos-queue", sq_bytes_of(k->cfg->queue));
	sq_headers_number(h, "sqmqos-attempt", attempt);
}

static bool
make_is_plain(struct sq_bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] < 0x20 || value.p[i] > 0x7e)
			return false;
	return true;
}

/* What an event of a batch says itself, or can't. */
static void
make_about_message(const struct making *k, const struct made *m)
{
	static const char *const trace[] = {SQ_PROP_TRACEPARENT, SQ_PROP_TRACESTATE, BAGGAGE};
	struct sq_buf *h = &k->out->headers;

	sq_headers_begin(h, "sqmqos-topic"); /* as ce-subject has it */
	sq_ce_header_value(h, m->topic);
	sq_headers_end(h);
	for (size_t i = 0; i < sizeof trace / sizeof trace[0]; i++) {
		struct sq_bytes value = made_property(m, trace[i]);

		if (make_is_plain(value))
			sq_headers_put(h, trace[i], value);
	}
}

static int
make_templates(const struct making *k, const struct sq_mapping_from *from, struct sq_buf *why)
{
	const struct sq_declared_push *push = k->cfg->push;
	struct sq_buf *h = &k->out->headers;
	int rc = SQ_OK;

	for (size_t i = 0; i < push->n_headers && rc == SQ_OK; i++) {
		size_t before = h->end, bare;

		sq_headers_begin(h, push->headers[i].name);
		bare = h->end;
		rc = sq_mapping_fill(push->headers[i].value, SQ_MAPPING_HEADER, from, h, why);
		/* An empty one is none: libcurl would take it for the name of one to leave out. */
		if (rc != SQ_OK || h->end == bare)
			h->end = before;
		else
			sq_headers_end(h);
	}
	return rc;
}

/* Last of all, into memory that is there: growing would leave copies of a secret. */
static void
make_secret(const struct making *k)
{
	const struct sq_push_message_cfg *cfg = k->cfg;
	const char *name = cfg->push->auth.header;
	struct sq_bytes authorization = sq_bytes_of(cfg->authorization),
			value = sq_bytes_of(cfg->auth_value);
	struct sq_buf *h = &k->out->headers;

	if (name == NULL)
		value.len = 0;
	(void)sq_buf_reserve(h,
	    sizeof "authorization: " + authorization.len + value.len +
		(name != NULL ? strlen(name) : 0) + sizeof ": ");
	sq_headers_put(h, "authorization", authorization);
	sq_headers_put(h, name, value);
}

static int
make_url(const struct making *k, const struct sq_mapping_from *from, struct sq_buf *why)
{
	const char *url = k->cfg->push->url;
	int rc = SQ_OK;

	if (strpbrk(url, "{}") != NULL)
		rc = sq_mapping_fill(url, SQ_MAPPING_PATH, from, &k->out->url, why);
	else
		sq_buf_append(&k->out->url, url, strlen(url));
	sq_buf_u8(&k->out->url, '\0');
	return rc;
}

static int
make(const struct making *k, struct sq_buf *why)
{
	const struct sq_push_message_cfg *cfg = k->cfg;
	struct made first = made_read(k->taken, k->id);
	const struct sq_mapping_from from = {.topic = first.topic,
	    .props = first.said.props,
	    .space = cfg->space,
	    .queue = cfg->queue};
	bool batch = cfg->push->batch.max > 1;
	int rc;

	sq_push_message_reset(k->out);
	rc = make_url(k, &from, why);
	if (rc != SQ_OK)
		return rc;
	sq_buf_append(&k->out->source, EVENT_SOURCE, sizeof EVENT_SOURCE - 1);
	sq_percent_put(&k->out->source, cfg->space);
	if (batch)
		make_batch(k);
	else
		make_single(k, &first);
	make_signed(k);
	make_queued(k);
	if (!batch)
		make_about_message(k, &first);
	rc = make_templates(k, &from, why);
	if (rc == SQ_OK)
		make_secret(k);
	return rc;
}

int
sq_push_message_make(const struct sq_push_message_cfg *cfg, const struct sq_taken *taken, size_t n,
    struct sq_push_message *out, size_t *culprit, struct sq_buf *why)
{
	struct making k = {.cfg = cfg, .out = out, .taken = taken, .n = n, .type = EVENT_TYPE};
	char id[SQ_PUSH_ID_TEXT];

	assert(n > 0 && n <= SQ_PUSH_BATCH_MAX && (n == 1 || cfg->push->batch.max > 1));
	*culprit = 0;
	make_id(&k, id);
	k.id = sq_bytes_of(id);
	return make(&k, why);
}

int
sq_push_message_test(const struct sq_push_message_cfg *cfg, const char *id,
    struct sq_push_message *out, struct sq_buf *why)
{
	/* Templates may ask for any level that a message would have. */
	struct sq_bytes topic = sq_bytes_of("test/test/test/test/test/test/test/test");
	struct sq_msg msg = sq_msg_new(1, false, topic, (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    sq_bytes_of("{\"test\":true}"));
	const struct sq_taken taken = {
	    .msg = &msg, .arrived_ms = (uint64_t)cfg->now_s * 1000, .attempt = 1, .qos = 1};
	struct making k = {.cfg = cfg,
	    .out = out,
	    .taken = &taken,
	    .n = 1,
	    .type = TEST_TYPE,
	    .id = sq_bytes_of(id)};
	int rc = make(&k, why);

	if (rc == SQ_OK && out->body.p != sq_buf_data(&out->text)) {
		/* The payload outlives its message. */
		sq_buf_append(&out->text, out->body.p, out->body.len);
		out->body = sq_buf_bytes(&out->text);
	}
	sq_msg_unref(&msg);
	return rc;
}

void
sq_push_id_text(const unsigned char id[ID_SIZE], char out[SQ_PUSH_ID_TEXT])
{
	sq_base32_write(out, id, ID_SIZE);
}

/* Empties a buffer and keeps its memory, wiped. */
static void
reset_buf(struct sq_buf *b)
{
	if (b->base != NULL)
		explicit_bzero(b->base, b->end);
	b->start = b->end = 0;
}

void
sq_push_message_reset(struct sq_push_message *m)
{
	reset_buf(&m->url);
	reset_buf(&m->headers);
	reset_buf(&m->text);
	reset_buf(&m->ids);
	reset_buf(&m->source);
	sq_ce_reset(&m->event);
	m->body = (struct sq_bytes){0};
}

void
sq_push_message_fini(struct sq_push_message *m)
{
	sq_buf_wipe(&m->url);
	sq_buf_wipe(&m->headers);
	sq_buf_wipe(&m->text);
	sq_buf_fini(&m->ids);
	sq_buf_fini(&m->source);
	sq_ce_fini(&m->event);
	m->body = (struct sq_bytes){0};
}
