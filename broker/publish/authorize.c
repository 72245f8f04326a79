#include "broker/publish/authorize.h"

#include <assert.h>

#include "core/utf8.h"
#include "proto/mqtt/reason.h"

enum { SHOWN_MAX = 128 }; /* bytes of a topic or filter in a text */

static_assert(SQ_M_ACL_DENIED_PUSH - SQ_M_ACL_DENIED_PUBLISH == SQ_ACL_PUSH - SQ_ACL_PUBLISH,
    "the rows of the metrics follow the verbs");

void
sq_authorize_count(struct sq_broker *b, const struct sq_acl_verdict *why)
{
	assert(why->verb <= SQ_ACL_PUSH);
	sq_count(b, SQ_M_ACL_DENIED_PUBLISH + why->verb, 1);
}

void
sq_authorize_say(struct sq_buf *out, struct sq_bytes object, const struct sq_acl_verdict *why)
{
	sq_buf_append(out, object.p, sq_utf8_cut(object.p, object.len, SHOWN_MAX));
	sq_buf_printf(out, "%s: ", object.len > SHOWN_MAX ? "..." : "");
	sq_acl_verdict_print(why, false, out);
	sq_buf_u8(out, '\0');
}

bool
sq_authorize_publish(struct sq_broker *b, struct sq_acl_subject *subject, struct sq_bytes topic,
    struct sq_refused *refused)
{
	struct sq_acl_verdict why;
	struct sq_buf text = {0};

	if (sq_acl_may_publish(subject, topic, &why))
		return true;
	sq_authorize_count(b, &why);
	sq_authorize_say(&text, topic, &why);
	(void)sq_refused_say(refused, SQ_MQTT_RC_NOT_AUTHORIZED, SQ_REFUSAL_DENIED,
	    "not authorized to publish to %s", (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	return false;
}
