/* See broker/front/http/events.h. */
#include "broker/front/http/events.h"

#include <string.h>

#include "proto/mqtt/props.h"
#include "proto/props/names.h"

/* Says what is wrong with an event; a name from outside is shown in quotes. */
static int
event_refuse(struct sq_http_fault *fault, const struct sq_ce_error *err)
{
	if (err->malformed)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "JSON, byte %zu: %s", err->offset, err->why);
	if (err->attribute[0] == '\0')
		return sq_http_fault_say(fault, SQ_HTTP_CLOUDEVENT_INVALID, "%s", err->why);
	(void)sq_http_fault_say(fault, SQ_HTTP_CLOUDEVENT_INVALID, "attribute ");
	sq_http_fault_name(fault, sq_bytes_of(err->attribute));
	sq_buf_printf(&fault->detail, ": %s", err->why);
	return SQ_EINVAL;
}

static bool
event_in_header(struct sq_bytes name)
{
	const size_t prefix = sizeof SQ_CE_HEADER_PREFIX - 1;

	return name.len >= prefix && memcmp(name.p, SQ_CE_HEADER_PREFIX, prefix) == 0;
}

static int
event_binary(const struct sq_http_event_in *in, struct sq_bytes type, struct sq_http_event *out,
    struct sq_http_fault *fault)
{
	struct sq_ce_error err;

	for (size_t i = 0; i < in->n; i++)
		if (sq_ce_header(&out->ce, in->headers[i].name, in->headers[i].value, &err) !=
		    SQ_OK)
			return event_refuse(fault, &err);
	if (sq_ce_binary(&out->ce, type, in->body, &err) != SQ_OK)
		return event_refuse(fault, &err);
	return SQ_OK;
}

/* The event's attributes, then what the headers made; of one name the event's counts, but tags add
 * up. */
static void
event_properties(const struct sq_ce *ce, struct sq_http_fields *f)
{
	struct sq_bytes rest = sq_buf_bytes(&f->user), before = rest, name, value;
	struct sq_buf all = {0};
	struct sq_bytes of_event;
	size_t n;

	sq_ce_props(ce, &all);
	n = sq_buf_len(&all);
	for (; sq_mqtt_user_next(&rest, &name, &value); before = rest) {
		of_event = (struct sq_bytes){sq_buf_data(&all), n};
		if (sq_bytes_are(name, SQ_PROP_TAG) || !sq_props_user_has(of_event, name))
			sq_buf_append(&all, before.p, before.len - rest.len);
	}
	sq_buf_fini(&f->user);
	f->user = all;
}

static int
event_key(const struct sq_ce *ce, struct sq_http_fields *f, struct sq_http_fault *fault)
{
	if (f->qos != SQ_HTTP_ASSURED || sq_buf_len(&f->key) > 0)
		return SQ_OK;
	sq_ce_key(ce, &f->key);
	if (sq_buf_len(&f->key) <= SQ_HTTP_KEY_MAX)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_CLOUDEVENT_INVALID,
	    "attributes source and id are together longer than a key, %d bytes; "
	    "send an idempotency-key",
	    SQ_HTTP_KEY_MAX);
}

static int
event_expiry(
    const struct sq_ce *ce, int64_t now_ms, struct sq_http_fields *f, struct sq_http_fault *fault)
{
	int64_t left_ms;

	if (ce->expires_ms == INT64_MAX || f->expiry_s != SQ_MSG_NO_EXPIRY)
		return SQ_OK;
	left_ms = ce->expires_ms - now_ms;
	if (left_ms <= 0)
		return sq_http_fault_say(
		    fault, SQ_HTTP_CLOUDEVENT_INVALID, "attribute expirytime: is over");
	if (left_ms < (int64_t)SQ_MSG_NO_EXPIRY * 1000)
		f->expiry_s = (uint32_t)((left_ms + 999) / 1000);
	return SQ_OK;
}

static int
event_ask(struct sq_http_fields *f, const char *header, const char *attribute,
    struct sq_bytes value, struct sq_http_fault *fault)
{
	if (value.len == 0 || sq_http_fields_ask(f, header, attribute, value, fault) == SQ_OK)
		return SQ_OK;
	fault->problem = SQ_HTTP_CLOUDEVENT_INVALID;
	return SQ_EINVAL;
}

static int
event_order_key(const struct sq_ce *ce, struct sq_http_fields *f, struct sq_http_fault *fault)
{
	const char *own = "sqmqosorderkey";
	bool named = sq_props_user_has(sq_ce_attributes(ce), sq_bytes_of(own));

	if (sq_props_user_has(sq_buf_bytes(&f->user), sq_bytes_of(SQ_PROP_ORDER_KEY)))
		return SQ_OK;
	return event_ask(
	    f, SQ_PROP_ORDER_KEY, named ? own : "partitionkey", ce->asked.order_key, fault);
}

/* What one asks for that is misspelt is not lost in silence. */
static int
event_stray(const struct sq_ce *ce, struct sq_http_fault *fault)
{
	struct sq_bytes name = sq_ce_stray(ce);

	if (name.len == 0)
		return SQ_OK;
	(void)sq_http_fault_say(fault, SQ_HTTP_CLOUDEVENT_INVALID, "attribute ");
	sq_http_fault_name(fault, name);
	sq_buf_printf(&fault->detail, ": there is no such extension");
	return SQ_EINVAL;
}

/* What the extensions ask for, where no header has asked. */
static int
event_asked(
    const struct sq_ce *ce, int64_t now_ms, struct sq_http_fields *f, struct sq_http_fault *fault)
{
	const struct sq_ce_asked *a = &ce->asked;
	int err = event_stray(ce, fault);

	if (err == SQ_OK && f->expiry_s == SQ_MSG_NO_EXPIRY)
		err = event_ask(f, "sqmqos-ttl", "sqmqosttl", a->ttl, fault);
	if (err == SQ_OK && f->delay_s == 0)
		err = event_ask(f, SQ_PROP_DELAY, "sqmqosdelay", a->delay, fault);
	if (err == SQ_OK)
		err = event_ask(f, "sqmqos-tag", "sqmqostags", a->tags, fault);
	if (err == SQ_OK)
		err = event_order_key(ce, f, fault);
	if (err == SQ_OK)
		err = event_expiry(ce, now_ms, f, fault);
	return err;
}

/* The path's topic, else the event's, else the template's. */
static int
event_topic(
    const struct sq_http_event_in *in, struct sq_http_event *out, struct sq_http_fault *fault)
{
	if (in->topic != NULL)
		return SQ_OK;
	if (out->ce.asked.topic.len > 0) {
		out->topic = out->ce.asked.topic;
		return SQ_OK;
	}
	if (sq_ce_topic(&out->ce, in->tmpl, &out->template_topic) != SQ_OK)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC,
		    "the topic of http.events-topic is longer than 65535 bytes");
	out->topic = sq_buf_bytes(&out->template_topic);
	return SQ_OK;
}

/* Reads the event in the form that the request has; out->is says whether there is one. */
static int
event_form(const struct sq_http_event_in *in, struct sq_bytes type, struct sq_http_event *out,
    struct sq_http_fault *fault)
{
	struct sq_ce_error err;

	switch (in->element ? SQ_CE_STRUCTURED : sq_ce_form(type)) {
	case SQ_CE_STRUCTURED:
		out->is = true;
		return sq_ce_structured(&out->ce, in->body, &err) == SQ_OK
		    ? SQ_OK
		    : event_refuse(fault, &err);
	case SQ_CE_BATCH:
	case SQ_CE_UNKNOWN:
		return sq_http_fault_say(fault, SQ_HTTP_MEDIA_TYPE,
		    "an event is " SQ_CE_TYPE_JSON ", and several are " SQ_CE_TYPE_BATCH);
	default:
		break;
	}
	for (size_t i = 0; i < in->n && !out->is; i++)
		out->is = event_in_header(in->headers[i].name);
	if (out->is)
		return event_binary(in, type, out, fault);
	return in->topic != NULL
	    ? SQ_OK
	    : sq_http_fault_say(fault, SQ_HTTP_CLOUDEVENT_INVALID,
		  "the request has no event: neither headers ce-* nor " SQ_CE_TYPE_JSON);
}

int
sq_http_event_read(const struct sq_http_event_in *in, struct sq_http_fields *f,
    struct sq_http_event *out, struct sq_http_fault *fault)
{
	int err = event_form(in, f->content_type, out, fault);

	out->topic = sq_bytes_of(in->topic);
	out->payload = in->body;
	if (err != SQ_OK || !out->is)
		return err;
	err = event_topic(in, out, fault);
	if (err == SQ_OK)
		err = event_asked(&out->ce, in->now_ms, f, fault);
	if (err == SQ_OK)
		err = event_key(&out->ce, f, fault);
	if (err != SQ_OK)
		return err;
	event_properties(&out->ce, f);
	f->content_type = out->ce.content_type;
	out->payload = out->ce.payload;
	return SQ_OK;
}

void
sq_http_event_fini(struct sq_http_event *e)
{
	sq_ce_fini(&e->ce);
	sq_buf_fini(&e->template_topic);
}
