/* CloudEvents in requests, and the message of them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "broker/front/http/events.h"
#include "core/mem.h"
#include "proto/mqtt/props.h"

#define NOW_MS INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */
#define TEMPLATE "events/{ce.type}"
#define NEEDED "\"specversion\":\"1.0\",\"type\":\"a/b\",\"source\":\"/s\",\"id\":\"1\""
#define HEADERS "ce-specversion: 1.0\nce-type: a/b\nce-source: /s\nce-id: 1\n"
#define STRUCTURED "content-type: application/cloudevents+json\n"

enum { HEADERS_MAX = 16 };

struct got {
	struct sq_http_header headers[HEADERS_MAX];
	char *text;
	struct sq_http_fields f;
	struct sq_http_event e;
	struct sq_http_fault fault;
	int rc;
};

/* Of headers, lines "name: value", a body, and the path's topic. */
static struct got
get(const char *headers, const char *body, const char *topic)
{
	struct got g = {.text = strdup(headers)};
	struct sq_http_event_in in = {.headers = g.headers,
	    .body = sq_bytes_of(body),
	    .topic = topic,
	    .tmpl = TEMPLATE,
	    .now_ms = NOW_MS};
	char *line, *save = NULL;

	for (line = strtok_r(g.text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *value = strstr(line, ": ");

		cr_assert(value != NULL && in.n < HEADERS_MAX);
		*value = '\0';
		g.headers[in.n++] = (struct sq_http_header){
		    sq_bytes_of(line), sq_bytes_of(value + 2)};
	}
	g.rc = sq_http_fields_read(g.headers, in.n, NOW_MS, &g.f, &g.fault);
	cr_assert(g.rc == SQ_OK);
	g.rc = sq_http_event_read(&in, &g.f, &g.e, &g.fault);
	sq_buf_u8(&g.fault.detail, '\0');
	return g;
}

static void
end(struct got *g)
{
	sq_http_fields_fini(&g->f);
	sq_http_event_fini(&g->e);
	sq_http_fault_fini(&g->fault);
	free(g->text);
}

/* What the message says: topic, content type, user properties, payload, a line each. */
static void
is_message(struct got *g, const char *expected)
{
	struct sq_msg msg = sq_http_fields_message(&g->f, g->e.topic, g->e.payload);
	struct sq_bytes topic = sq_image_topic(msg.image), rest = sq_image_props(msg.image);
	struct sq_bytes payload = sq_image_payload(msg.image);
	struct sq_buf out = {0};
	struct sq_mqtt_prop p;

	sq_buf_printf(&out, "%.*s\n", (int)topic.len, topic.p);
	while (sq_mqtt_prop_next(&rest, &p))
		if (p.id == SQ_MQTT_PROP_CONTENT_TYPE)
			sq_buf_printf(&out, "%.*s\n", (int)p.value.len, p.value.p);
		else if (p.id == SQ_MQTT_PROP_USER_PROPERTY)
			sq_buf_printf(&out, "%.*s: %.*s\n", (int)p.key.len, p.key.p,
			    (int)p.value.len, p.value.p);
	sq_buf_printf(&out, "%.*s%c", (int)payload.len, payload.p, 0);
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
	sq_msg_unref(&msg);
}

static void
is_refused(const char *headers, const char *body, enum sq_http_problem problem, const char *detail)
{
	struct got g = get(headers, body, NULL);

	cr_assert(g.rc == SQ_EINVAL, "%s%s", headers, body);
	cr_expect(g.fault.problem == problem, "%s%s", headers, body);
	cr_expect(strstr((char *)sq_buf_data(&g.fault.detail), detail) != NULL, "%s",
	    (char *)sq_buf_data(&g.fault.detail));
	end(&g);
}

Test(http_events, headers_are_an_event)
{
	struct got g = get(HEADERS "content-type: text/plain\nce-subject: a%20b\n", "hi", NULL);

	cr_assert(g.rc == SQ_OK, "%s", (char *)sq_buf_data(&g.fault.detail));
	is_message(&g,
	    "events/a_b\ntext/plain\nspecversion: 1.0\ntype: a/b\nsource: /s\nid: 1\n"
	    "subject: a b\nhi");
	end(&g);
}

Test(http_events, json_is_one_whose_data_is_the_payload)
{
	struct got g = get(STRUCTURED, "{" NEEDED ",\"data\": {\"n\": 1.50}}", NULL);

	cr_assert(g.rc == SQ_OK, "%s", (char *)sq_buf_data(&g.fault.detail));
	is_message(&g,
	    "events/a_b\napplication/json\nspecversion: 1.0\ntype: a/b\nsource: /s\n"
	    "id: 1\n{\"n\": 1.50}");
	end(&g);
}

Test(http_events, the_topic_is_the_paths_then_the_events_then_the_templates)
{
	struct got g = get(STRUCTURED, "{" NEEDED ",\"sqmqostopic\":\"x/y\"}", "p");

	cr_expect(g.rc == SQ_OK && sq_bytes_are(g.e.topic, "p"));
	end(&g);
	g = get(STRUCTURED, "{" NEEDED ",\"sqmqostopic\":\"x/y\"}", NULL);
	cr_expect(g.rc == SQ_OK && sq_bytes_are(g.e.topic, "x/y"));
	end(&g);
}

Test(http_events, a_request_without_an_event_is_as_it_was)
{
	struct got g = get("content-type: text/plain\nsqmqos-tag: eu\n", "hi", "p");

	cr_assert(g.rc == SQ_OK && !g.e.is);
	is_message(&g, "p\ntext/plain\ntag: eu\nhi");
	end(&g);
	is_refused(
	    "content-type: application/json\n", "{}", SQ_HTTP_CLOUDEVENT_INVALID, "no event");
	is_refused("content-type: application/cloudevents-batch+json\n", "[]", SQ_HTTP_MEDIA_TYPE,
	    "application/cloudevents-batch+json");
	is_refused("content-type: application/cloudevents+avro\n", "", SQ_HTTP_MEDIA_TYPE, "+json");
}

Test(http_events, extensions_ask_where_no_header_does)
{
	struct got g = get(STRUCTURED,
	    "{" NEEDED ",\"sqmqosttl\":\"5m\",\"sqmqosdelay\":30,\"sqmqostags\":\"eu, x\"}", NULL);

	cr_assert(g.rc == SQ_OK, "%s", (char *)sq_buf_data(&g.fault.detail));
	cr_expect(g.f.expiry_s == 300 && g.f.delay_s == 30);
	is_message(&g,
	    "events/a_b\nsqmqos-delay: 30\nspecversion: 1.0\ntype: a/b\nsource: /s\n"
	    "id: 1\ntag: eu\ntag: x\n");
	end(&g);
	g = get(STRUCTURED "sqmqos-ttl: 7\nsqmqos-delay: 8\n",
	    "{" NEEDED ",\"sqmqosttl\":\"5m\",\"sqmqosdelay\":30,"
	    "\"expirytime\":\"2027-01-15T09:00:00Z\"}",
	    NULL);
	cr_expect(g.rc == SQ_OK && g.f.expiry_s == 7 && g.f.delay_s == 8);
	end(&g);
	is_refused(STRUCTURED, "{" NEEDED ",\"sqmqosttl\":\"soon\"}", SQ_HTTP_CLOUDEVENT_INVALID,
	    "sqmqosttl must be a duration");
	is_refused(STRUCTURED, "{" NEEDED ",\"sqmqostags\":\"a/b\"}", SQ_HTTP_CLOUDEVENT_INVALID,
	    "sqmqostags: ");
	is_refused(STRUCTURED, "{" NEEDED ",\"sqmqosqos\":\"3\"}", SQ_HTTP_CLOUDEVENT_INVALID,
	    "\"sqmqosqos\": there is no such extension");
	is_refused(HEADERS "ce-sqmqosdely: 5s\n", "", SQ_HTTP_CLOUDEVENT_INVALID,
	    "\"sqmqosdely\": there is no such extension");
}

Test(http_events, the_order_key_is_the_headers_or_ours_or_the_partition)
{
	static const struct {
		const char *headers, *more, *want;
	} rows[] = {
	    {"", ",\"partitionkey\":\"p\"", "partitionkey: p\nsqmqos-order-key: p\n"},
	    {"", ",\"partitionkey\":\"p\",\"sqmqosorderkey\":\"o\"",
		"partitionkey: p\nsqmqosorderkey: o\nsqmqos-order-key: o\n"},
	    {"sqmqos-order-key: h\n", ",\"partitionkey\":\"p\"",
		"partitionkey: p\nsqmqos-order-key: h\n"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		char headers[128], body[256], want[256];
		struct got g;

		snprintf(headers, sizeof headers, STRUCTURED "%s", rows[i].headers);
		snprintf(body, sizeof body, "{" NEEDED "%s}", rows[i].more);
		snprintf(want, sizeof want,
		    "events/a_b\nspecversion: 1.0\ntype: a/b\nsource: /s\nid: 1\n%s", rows[i].want);
		g = get(headers, body, NULL);
		cr_assert(g.rc == SQ_OK, "%s", (char *)sq_buf_data(&g.fault.detail));
		is_message(&g, want);
		end(&g);
	}
}

Test(http_events, an_order_key_that_is_too_long_names_its_extension)
{
	char key[SQ_HTTP_KEY_MAX + 2], body[1024];

	memset(key, 'k', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "partitionkey" : "sqmqosorderkey";
		char want[64];

		snprintf(body, sizeof body, "{" NEEDED ",\"%s\":\"%s\"}", name, key);
		snprintf(want, sizeof want, "%s must have 1 to 256 bytes", name);
		is_refused(STRUCTURED, body, SQ_HTTP_CLOUDEVENT_INVALID, want);
	}
}

Test(http_events, an_event_expires_at_its_time)
{
	struct got g = get(
	    STRUCTURED, "{" NEEDED ",\"expirytime\":\"2027-01-15T08:00:01.5Z\"}", NULL);

	cr_expect(g.rc == SQ_OK && g.f.expiry_s == 2);
	end(&g);
	g = get(STRUCTURED, "{" NEEDED ",\"expirytime\":\"9999-01-15T08:00:01.5Z\"}", NULL);
	cr_expect(g.rc == SQ_OK && g.f.expiry_s == SQ_MSG_NO_EXPIRY);
	end(&g);
	is_refused(STRUCTURED, "{" NEEDED ",\"expirytime\":\"2027-01-15T08:00:00Z\"}",
	    SQ_HTTP_CLOUDEVENT_INVALID, "expirytime: is over");
}

Test(http_events, qos_3_takes_what_is_unique_to_the_event_for_its_key)
{
	struct sq_buf id = {0};
	struct got g = get(HEADERS "sqmqos-qos: 3\n", "", NULL);

	cr_assert(g.rc == SQ_OK);
	is_message(&g,
	    "events/a_b\nsqmqos-key: /s 1\nspecversion: 1.0\ntype: a/b\nsource: /s\n"
	    "id: 1\n");
	end(&g);
	g = get(HEADERS "idempotency-key: mine\n", "", NULL);
	cr_expect(g.rc == SQ_OK && sq_buf_len(&g.f.key) == 4);
	end(&g);
	g = get(HEADERS, "", NULL);
	cr_expect(g.rc == SQ_OK && g.f.qos == 1 && sq_buf_len(&g.f.key) == 0);
	end(&g);
	sq_buf_printf(&id, "sqmqos-qos: 3\nce-specversion: 1.0\nce-type: t\nce-source: s\nce-id: ");
	for (int i = 0; i < 255; i++)
		sq_buf_u8(&id, 'i');
	sq_buf_u8(&id, 0);
	is_refused((char *)sq_buf_data(&id), "", SQ_HTTP_CLOUDEVENT_INVALID, "idempotency-key");
	sq_buf_fini(&id);
}

Test(http_events, of_one_name_the_events_attribute_counts_and_tags_add_up)
{
	struct got g = get(HEADERS
	    "traceparent: header\ntracestate: header\nsqmqos-tag: a\n"
	    "sqmqos-property: Name=v,type=t\nce-traceparent: event\nce-tag: b\n",
	    "", NULL);

	cr_assert(g.rc == SQ_OK);
	is_message(&g,
	    "events/a_b\nspecversion: 1.0\ntype: a/b\nsource: /s\nid: 1\n"
	    "traceparent: event\ntag: b\ntracestate: header\ntag: a\nName: v\n");
	end(&g);
}

Test(http_events, what_is_wrong_is_named)
{
	is_refused(STRUCTURED, "{" NEEDED ",}", SQ_HTTP_MALFORMED, "JSON, byte 5");
	is_refused(STRUCTURED, "[]", SQ_HTTP_CLOUDEVENT_INVALID, "object");
	is_refused(STRUCTURED, "{" NEEDED ",\"time\":\"now\"}", SQ_HTTP_CLOUDEVENT_INVALID,
	    "attribute \"time\": is no time of RFC 3339");
	is_refused(
	    "ce-id: 1\n", "", SQ_HTTP_CLOUDEVENT_INVALID, "attribute \"specversion\": is missing");
	is_refused(HEADERS "ce-x: %zz\n", "", SQ_HTTP_CLOUDEVENT_INVALID, "attribute \"x\": ");
}
