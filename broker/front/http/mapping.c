/* See broker/front/http/mapping.h. */
#include "broker/front/http/mapping.h"

#include <assert.h>

#include "broker/auth/identity/allowed.h"
#include "broker/auth/identity/identity.h"
#include "broker/front/http/values.h"
#include "broker/port/verdict.h"
#include "core/mem.h"
#include "proto/link/refusal.h"
#include "proto/mqtt/reason.h"

static const struct sq_http_outcome outcomes[] = {
    [SQ_PUBLISHED_STORED] = {"stored", 200},
    [SQ_PUBLISHED_NO_MATCH] = {"no-subscribers", 200},
    [SQ_PUBLISHED_REPLAYED] = {"replayed", 200},
    [SQ_PUBLISHED_SCHEDULED] = {"scheduled", 202},
    [SQ_PUBLISHED_ACCEPTED] = {"accepted", 202},
};

static const enum sq_http_problem of_verdicts[] = {
    [SQ_VERDICT_OK] = SQ_HTTP_FAILED,
    [SQ_VERDICT_MALFORMED] = SQ_HTTP_MALFORMED,
    [SQ_VERDICT_DENIED] = SQ_HTTP_FORBIDDEN,
    [SQ_VERDICT_EPOCH] = SQ_HTTP_FAILED,
    [SQ_VERDICT_RUN] = SQ_HTTP_FAILED,
    [SQ_VERDICT_GAP] = SQ_HTTP_FAILED,
    [SQ_VERDICT_SUPERSEDED] = SQ_HTTP_FAILED,
    [SQ_VERDICT_GONE] = SQ_HTTP_FAILED,
    [SQ_VERDICT_TOO_LARGE] = SQ_HTTP_TOO_LARGE,
    [SQ_VERDICT_OVER_LIMIT] = SQ_HTTP_INVALID_PROPERTY,
    [SQ_VERDICT_FULL] = SQ_HTTP_QUOTA,
    [SQ_VERDICT_FAILED] = SQ_HTTP_FAILED,
    [SQ_VERDICT_BUSY] = SQ_HTTP_BUSY,
    [SQ_VERDICT_RECOVERING] = SQ_HTTP_RECOVERING,
    [SQ_VERDICT_DRAINING] = SQ_HTTP_DRAINING,
    [SQ_VERDICT_NO_STORE] = SQ_HTTP_STORE_STALLED,
};

static_assert(SQ_ARRAY_LEN(of_verdicts) == SQ_VERDICT_COUNT, "each has a problem");

static const enum sq_http_problem of_refusals[] = {
    [SQ_REFUSAL_NONE] = SQ_HTTP_FAILED,
    [SQ_REFUSAL_PROPERTY] = SQ_HTTP_INVALID_PROPERTY,
    [SQ_REFUSAL_TOPIC] = SQ_HTTP_INVALID_TOPIC,
    [SQ_REFUSAL_DENIED] = SQ_HTTP_FORBIDDEN,
    [SQ_REFUSAL_QUOTA] = SQ_HTTP_QUOTA,
    [SQ_REFUSAL_QUEUE_FULL] = SQ_HTTP_QUEUE_FULL,
    [SQ_REFUSAL_STORE_FULL] = SQ_HTTP_STORE_STALLED,
    [SQ_REFUSAL_DEAD_LETTERS_FULL] = SQ_HTTP_QUEUE_FULL,
    [SQ_REFUSAL_UNMATCHED] = SQ_HTTP_NO_SUBSCRIBERS,
    [SQ_REFUSAL_SESSIONS_FULL] = SQ_HTTP_BUSY,
    [SQ_REFUSAL_OTHER] = SQ_HTTP_FAILED,
    [SQ_REFUSAL_MEMORY] = SQ_HTTP_BUSY,
};

static_assert(SQ_ARRAY_LEN(of_refusals) == SQ_REFUSAL_COUNT, "each has a problem");

static const struct {
	enum sq_http_problem problem;
	const char *text; /* where there is no detail; NULL: the title says it */
} of_hows[] = {
    [SQ_QUEUE_MISSING] = {SQ_HTTP_NOT_FOUND, "there is no such queue, or binding"},
    [SQ_QUEUE_DENIED] = {SQ_HTTP_FORBIDDEN, NULL},
    [SQ_QUEUE_INVALID] = {SQ_HTTP_INVALID_PROPERTY, NULL},
    [SQ_QUEUE_CONFLICT] = {SQ_HTTP_CONFLICT, NULL},
    [SQ_QUEUE_NOT_EMPTY] = {SQ_HTTP_NOT_EMPTY,
	"the queue holds messages; ?with-messages=true deletes them, too"},
    [SQ_QUEUE_IN_FILE] = {SQ_HTTP_IN_FILE,
	"a file of subscribers.dir declares the queue, and the API can't change it"},
    [SQ_QUEUE_CHANGED] = {SQ_HTTP_CHANGED, "the queue is another than the condition says"},
    [SQ_QUEUE_LOST] = {SQ_HTTP_LEASE_LOST_ALL, "a lease has ended, or is another's"},
    [SQ_QUEUE_KEY_REUSED] = {SQ_HTTP_KEY_REUSED, "those leases were settled with another request"},
    [SQ_QUEUE_UNPUBLISHED] = {SQ_HTTP_FAILED, NULL},
    [SQ_QUEUE_TOO_LARGE] = {SQ_HTTP_TOO_LARGE, "it is more than one transaction holds"},
    [SQ_QUEUE_CROWDED] = {SQ_HTTP_TOO_MANY_WAITING, NULL},
    [SQ_QUEUE_NO_ROOM] = {SQ_HTTP_QUOTA, NULL},
};

const struct sq_http_outcome *
sq_http_outcome(enum sq_published_how how)
{
	return how < SQ_ARRAY_LEN(outcomes) ? &outcomes[how] : NULL;
}

void
sq_http_fault_of_call(
    struct sq_http_fault *f, const struct sq_call *c, const struct sq_identity *who)
{
	const char *text = c->detail;

	if (text == NULL && c->verdict == SQ_VERDICT_DENIED && c->denied != SQ_DENIED_NONE)
		text = sq_denied_text(c->denied, who);
	if (text == NULL)
		text = sq_verdict_row(c->verdict)->text;
	(void)sq_http_fault_say(f, of_verdicts[c->verdict], "%s", text);
	if (c->verdict == SQ_VERDICT_DENIED && c->denied == SQ_DENIED_SPACE) {
		sq_buf_printf(&f->detail, "; it may name ");
		sq_identity_say_spaces(who, &f->detail);
	}
	f->retry_after_s = c->retry_after_s;
}

void
sq_http_fault_of_published(struct sq_http_fault *f, const struct sq_published *p)
{
	enum sq_http_problem problem = SQ_HTTP_FAILED;

	if (p->how == SQ_PUBLISHED_KEY_REUSED)
		problem = SQ_HTTP_KEY_REUSED;
	else if (p->how == SQ_PUBLISHED_TOO_LARGE)
		problem = SQ_HTTP_TOO_LARGE;
	else if (p->refusal == SQ_REFUSAL_QUOTA && p->code == SQ_MQTT_RC_IMPLEMENTATION)
		problem = SQ_HTTP_TOO_LARGE; /* what never fits */
	else if (p->refusal < SQ_REFUSAL_COUNT)
		problem = of_refusals[p->refusal];
	if (p->note.len > 0)
		(void)sq_http_fault_say(
		    f, problem, "%.*s", (int)p->note.len, (const char *)p->note.p);
	else if (problem == SQ_HTTP_KEY_REUSED)
		(void)sq_http_fault_say(
		    f, problem, "the key is known with another topic or another body");
	else if (p->how == SQ_PUBLISHED_TOO_LARGE)
		(void)sq_http_fault_say(f, problem,
		    "with the messages before it, it is more than one transaction holds");
	else
		(void)sq_http_fault_say(f, problem, "%s", sq_mqtt_reason_name(p->code));
	f->queue = p->queue;
}

void
sq_http_fault_of_queue(
    struct sq_http_fault *f, const struct sq_call *c, const struct sq_identity *who)
{
	const struct sq_queue_out *o = &c->out.queue;
	const char *text;

	if (c->verdict != SQ_VERDICT_OK) {
		sq_http_fault_of_call(f, c, who);
		return;
	}
	if (o->how == SQ_QUEUE_UNPUBLISHED && o->published != NULL) {
		sq_http_fault_of_published(f, &o->published[o->culprit]);
		return;
	}
	text = of_hows[o->how].text;
	if (sq_buf_len(&o->detail) > 0)
		(void)sq_http_fault_say(f, of_hows[o->how].problem, "%.*s",
		    (int)sq_buf_len(&o->detail), (const char *)sq_buf_data(&o->detail));
	else
		(void)sq_http_fault_say(f, of_hows[o->how].problem, "%s", text != NULL ? text : "");
	f->retry_after_s = c->retry_after_s;
}

void
sq_http_refused_write(const struct sq_http_fault *fault, struct sq_buf *out)
{
	sq_buf_printf(out, "{\"outcome\":\"refused\",");
	sq_http_fault_write_short(fault, out);
	sq_buf_u8(out, '}');
}

void
sq_http_published_write(const struct sq_published *p, unsigned qos, struct sq_buf *out)
{
	const struct sq_http_outcome *o = sq_http_outcome((enum sq_published_how)p->how);
	struct sq_http_fault fault = {0};
	char id[SQ_HTTP_ID_TEXT];

	if (o == NULL) {
		sq_http_fault_of_published(&fault, p);
		sq_http_refused_write(&fault, out);
		sq_http_fault_fini(&fault);
		return;
	}
	sq_http_id(p->id, id);
	sq_buf_printf(out, "{\"id\":\"%s\",\"outcome\":\"%s\",\"matched\":%u,\"qos\":%u}", id,
	    o->word, p->matched, qos);
}
