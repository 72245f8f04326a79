#include "broker/session/denied.h"

#include <assert.h>

#include "broker/port/outlet.h"
#include "core/log.h"
#include "proto/link/frame.h"
#include "proto/link/refusal.h"

static_assert(SQ_M_AUTH_REFUSED_WILL - SQ_M_AUTH_REFUSED_SPACE == SQ_DENIED_WILL - SQ_DENIED_SPACE,
    "the rows of the metrics follow those of the reasons");

enum { GROUP_MAX = 255 }; /* bytes of a group's name, by which a sidecar cuts that of a pod's */

static const char *
denied_or(const char *name, const char *none)
{
	return name[0] != '\0' ? name : none;
}

void
sq_denied_see(struct sq_broker *b, const struct sq_call *c, const char *reason, const char *text,
    unsigned code)
{
	static const char *const kinds[] = {
	    [SQ_CALL_ATTACH] = "attach",
	    [SQ_CALL_MESSAGES] = "publish",
	    [SQ_CALL_SETTLEMENTS] = "settlement",
	    [SQ_CALL_SUBSCRIPTIONS] = "subscription",
	    [SQ_CALL_DETACH] = "detach",
	};
	const struct sq_identity *who = sq_outlet_identity(c->outlet);
	struct sq_buf name = {0};
	struct sq_refusal_seen seen = {
	    .space = sq_bytes_of(c->key->space),
	    .identity = who->name[0] != '\0' ? who->name : NULL,
	    .kind = kinds[c->kind],
	    .reason = reason,
	    .text = sq_bytes_of(text),
	    .code = code,
	};

	sq_key_encode(&name, c->key);
	seen.who = sq_buf_bytes(&name);
	sq_refusals_note(sq_shard_here(b)->refusals, &seen);
	sq_buf_fini(&name);
}

void
sq_denied_answer(struct sq_broker *b, struct sq_call *c, enum sq_denied why)
{
	const struct sq_identity *who = sq_outlet_identity(c->outlet);
	struct sq_buf spaces = {0};

	assert(why != SQ_DENIED_NONE);
	sq_count(b, SQ_M_DENIED(why), 1);
	sq_identity_say_spaces(who, &spaces);
	SQ_WARN("auth",
	    "refused with 403, %s: %s asks for %s~%s~%s, pod %s; it may name %.*s, pod %s",
	    sq_denied_text(why, who), denied_or(who->name, "nobody"), c->key->space,
	    c->key->workload, c->key->client, denied_or(c->key->pod, "none"),
	    (int)sq_buf_len(&spaces), (const char *)sq_buf_data(&spaces),
	    denied_or(who->pod, "any"));
	sq_buf_fini(&spaces);
	if (why != SQ_DENIED_WILL) /* that has been noted, with its topic */
		sq_denied_see(b, c, sq_refusal_name(SQ_REFUSAL_DENIED), sq_denied_text(why, who),
		    sq_verdict_row(SQ_VERDICT_DENIED)->http);
	c->denied = why;
	sq_call_answer(c, SQ_VERDICT_DENIED, sq_denied_text(why, who));
}

bool
sq_denied_key(struct sq_broker *b, struct sq_call *c)
{
	enum sq_denied why = sq_allowed_key(sq_outlet_identity(c->outlet), c->key);

	if (why != SQ_DENIED_NONE)
		sq_denied_answer(b, c, why);
	return why != SQ_DENIED_NONE;
}

bool
sq_denied_declared(struct sq_broker *b, struct sq_call *c)
{
	const struct sq_subs *subs = &c->in.subs;
	struct sq_bytes entries = subs->entries;
	enum sq_denied why = SQ_DENIED_NONE;

	for (int i = 0; i < subs->n && why == SQ_DENIED_NONE; i++) {
		struct sq_sub e = subs->next(&entries);

		if (e.flags & SQ_SUB_DECLARED)
			why = sq_allowed_declared(
			    sq_outlet_identity(c->outlet), e.pod, e.group, GROUP_MAX);
	}
	if (why != SQ_DENIED_NONE)
		sq_denied_answer(b, c, why);
	return why != SQ_DENIED_NONE;
}
