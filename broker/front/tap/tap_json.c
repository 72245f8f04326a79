/* Taps as JSON; see broker/front/tap/tap_json.h. */
#include "broker/front/tap/tap_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/json_bounds.h"
#include "core/utf8.h"
#include "proto/link/key.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"

enum { TAP_DEPTH_MAX = 2, TAP_VALUES_MAX = 16, TAP_CHARACTER_MAX = 4 };

/* ---- requests ---- */

/* What is wrong with a member; NULL: nothing. */
static const char *
tap_json_member(const char *name, const json_t *value, struct sq_tap_cfg *cfg)
{
	const char *text = json_string_value(value);

	if (strcmp(name, "payload") == 0) {
		cfg->payloads = json_is_true(value);
		return json_is_boolean(value) ? NULL : "payload is true or false";
	}
	if (strcmp(name, "filter") == 0) {
		cfg->filter = text;
		return text != NULL ? NULL : "filter is a text";
	}
	if (strcmp(name, "space") != 0)
		return "members are filter, space and payload";
	cfg->space = text;
	return json_is_null(value) ||
		(text != NULL && *text != '\0' && strlen(text) <= SQ_KEY_PART_MAX)
	    ? NULL
	    : "space is a text as a space's name, or null";
}

bool
sq_tap_json_read(struct sq_bytes body, struct sq_tap_cfg *cfg, json_t **root, const char **why)
{
	struct sq_topic_filter parsed;
	const char *name;
	json_t *value;

	*why = "the body is no JSON object";
	if (body.len == 0 || !sq_json_bounded(body.p, body.len, TAP_DEPTH_MAX, TAP_VALUES_MAX))
		return false;
	*root = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*root)) {
		json_decref(*root);
		return false;
	}
	*why = NULL;
	json_object_foreach(*root, name, value) if (*why == NULL) *why = tap_json_member(
	    name, value, cfg);
	if (*why == NULL && cfg->filter == NULL)
		*why = "filter is missing";
	if (*why == NULL && sq_topic_filter_parse(sq_bytes_of(cfg->filter), &parsed, why) == 0 &&
	    parsed.share.len > 0)
		*why = "a tap shares nothing: give the filter behind $share/NAME/";
	if (*why == NULL)
		return true;
	json_decref(*root);
	return false;
}

/* ---- messages ---- */

static json_t *
tap_json_text(struct sq_bytes b)
{
	json_t *text = b.len > 0 ? json_stringn((const char *)b.p, b.len) : NULL;

	return text != NULL ? text : json_null();
}

/* As "payload" where it is UTF-8, else as "payload_base64". */
static void
tap_json_payload(json_t *o, const struct sq_tapped *m)
{
	struct sq_buf coded = {0};
	size_t len = m->payload.len;

	/* A character that is cut off does not make a text bytes. */
	for (size_t i = 0; m->cut && i < TAP_CHARACTER_MAX && !sq_utf8_valid(m->payload.p, len);
	     i++)
		len--;
	if (len == 0 || sq_utf8_valid(m->payload.p, len)) {
		json_object_set_new(o, "payload",
		    len > 0 ? json_stringn((const char *)m->payload.p, len) : json_string(""));
	} else {
		sq_base64_put(&coded, m->payload.p, m->payload.len);
		json_object_set_new(o, "payload_base64",
		    json_stringn((const char *)sq_buf_data(&coded), sq_buf_len(&coded)));
		sq_buf_fini(&coded);
	}
	json_object_set_new(o, "cut", json_boolean(m->cut));
}

static json_t *
tap_json_message(const struct sq_tapped *m, bool payloads)
{
	json_t *o = json_object();

	json_object_set_new(o, "time", json_integer((json_int_t)m->wall_ms));
	json_object_set_new(o, "space", tap_json_text(m->space));
	json_object_set_new(o, "topic", tap_json_text(m->topic));
	json_object_set_new(o, "qos", json_integer(m->qos));
	json_object_set_new(o, "retain", json_boolean(m->retain));
	json_object_set_new(o, "bytes", json_integer(m->bytes));
	json_object_set_new(o, "payload_bytes", json_integer(m->payload_bytes));
	json_object_set_new(o, "identity", tap_json_text(m->identity));
	json_object_set_new(o, "session", tap_json_text(m->session));
	json_object_set_new(o, "key", tap_json_text(m->key));
	json_object_set_new(o, "queues", json_integer((json_int_t)m->targets));
	json_object_set_new(o, "reason", json_integer(m->reason));
	json_object_set_new(o, "outcome", json_string(sq_mqtt_reason_name(m->reason)));
	if (payloads)
		tap_json_payload(o, m);
	return o;
}

void
sq_tap_json_write(struct sq_buf *out, const struct sq_list *all, uint64_t lost, bool payloads)
{
	const char *separator = "";

	sq_buf_printf(out, "{\"messages\":[");
	SQ_LIST_FOR_EACH(m, all, const struct sq_tapped, node) {
		json_t *o = tap_json_message(m, payloads);
		char *text = json_dumps(o, JSON_COMPACT);

		json_decref(o);
		if (text == NULL)
			continue;
		sq_buf_printf(out, "%s\n", separator);
		sq_buf_append(out, text, strlen(text));
		separator = ",";
		free(text);
	}
	sq_buf_printf(out, "\n],\"lost\":%llu}\n", (unsigned long long)lost);
}
