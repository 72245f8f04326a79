/* See broker/front/http/mapping.h. */
#include "broker/front/http/mapping.h"

#include <assert.h>

#include "broker/auth/identity/allowed.h"
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
    [SQ_VERDICT_BUSY] = SQ_HTTP_RECOVERING, /* a publish's only */
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
	f->retry_after_s = c->retry_after_s;
}

void
sq_http_fault_of_published(struct sq_http_fault *f, const struct sq_published *p)
{
	enum sq_http_problem problem = SQ_HTTP_FAILED;

	if (p->how == SQ_PUBLISHED_KEY_REUSED)
		problem = SQ_HTTP_KEY_REUSED;
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
	else
		(void)sq_http_fault_say(f, problem, "%s", sq_mqtt_reason_name(p->code));
	f->queue = p->queue;
}
