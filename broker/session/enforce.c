#include "broker/session/enforce.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/session/life.h"
#include "broker/session/permit.h"
#include "broker/session/session.h"
#include "broker/session/subscription.h"
#include "broker/shard/rules.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/queue.h"

enum {
	ENDED_AT_ONCE = 128, /* subscriptions that end under one lock of their space */
	SLICE_MS = 3,        /* of a tick, for sessions to ask again for */
	SLICE_LOOK = 32,     /* sessions between two looks at the clock */
	NOT_UTF8 = 0xff,     /* between the parts of a declared name: see wanted.c */
	DECLARED_PARTS = 4,
};

/* Takes the parts of a declared subscription's name, or a twin's, apart. */
static size_t
enforce_parts(const char *name, struct sq_bytes *parts)
{
	size_t n = 0;

	for (const char *at = name; at != NULL && n < DECLARED_PARTS; n++) {
		const char *end = strchr(at, NOT_UTF8);

		parts[n] = (struct sq_bytes){
		    (const unsigned char *)at, end != NULL ? (size_t)(end - at) : strlen(at)};
		at = end != NULL ? end + 1 : NULL;
	}
	return n;
}

/* Whether it may still have one that it has. */
static bool
enforce_has(struct sq_session *s, const struct sq_subscription *sub)
{
	struct sq_bytes parts[DECLARED_PARTS], queue = {0}, text = sq_bytes_of(sub->name);
	struct sq_topic_filter f;
	struct sq_acl_verdict why;

	if (enforce_parts(sub->name, parts) == DECLARED_PARTS) {
		if (parts[0].len > 0) /* a twin, which ends with the other */
			return true;
		/* group, tag, filter */
		queue = parts[1];
		text = parts[3].len > 0 ? parts[3] : sq_bytes_of("#");
	} else if (sub->twin != NULL) {
		queue = sq_bytes_of(SQ_ACL_DEAD_QUEUE);
	}
	if (sq_topic_queue_filter(text, &queue)) /* named ones have rules of their own */
		return sq_acl_may(s->permit.subject, SQ_ACL_CONSUME, queue, &why);
	if (sq_topic_filter_parse(text, &f, NULL) != SQ_OK)
		abort(); /* it was, when it was made */
	return sq_acl_may_subscribe(s->permit.subject, &f, queue, &why);
}

/* The session's subscriptions that the rules no longer allow; NULL: none.  The caller frees the
 * array. */
static struct sq_subscription **
enforce_denied(struct sq_session *s, size_t *n)
{
	struct sq_subscription **v = NULL;

	*n = 0;
	SQ_LIST_FOR_EACH(sub, &s->subs.list, struct sq_subscription, node) {
		if (enforce_has(s, sub))
			continue;
		if (v == NULL)
			v = sq_xmalloc(s->subs.n * sizeof(*v));
		v[(*n)++] = sub;
	}
	return v;
}

/* Ends the session's subscriptions that the rules no longer allow. */
static void
enforce_session(struct sq_session *s)
{
	size_t n;
	struct sq_subscription **v;

	if (s->permit.subject == NULL)
		return;
	v = enforce_denied(s, &n);
	if (n == 0)
		return;
	sq_count(s->shard->broker, SQ_M_ACL_ENDED, (int64_t)n);
	SQ_WARN("session", "%s: %zu of its subscriptions end, the rules of acl deny them now",
	    s->id.key, n);
	for (size_t i = 0; i < n; i += ENDED_AT_ONCE)
		sq_subscriptions_end(s, v + i, n - i < ENDED_AT_ONCE ? n - i : ENDED_AT_ONCE);
	free(v);
	if (s->id.internal && s->state == SQ_SESSION_ATTACHED) {
		/* A sidecar's own: it comes again, declares again and hears why not, so that
		 * it says so, and tries until it may. */
		sq_outlet_detached(s->at.outlet, s->at.epoch, SQ_MQTT_RC_NOT_AUTHORIZED,
		    "rules of acl deny what is declared");
		sq_session_link_lost(s);
	}
}

void
sq_enforce_attached(struct sq_session *s, const struct sq_identity *who)
{
	if (s->permit.identity == NULL || strcmp(s->permit.identity->name, who->name) != 0)
		sq_permit_hold(s, who);
	sq_permit_refresh(s);
	enforce_session(s);
}

/* Asks again for some sessions, and puts them behind the others. */
static void
enforce_slice(struct sq_shard *sh)
{
	for (unsigned i = 0; i < SLICE_LOOK && sh->sessions->rules_left > 0; i++) {
		struct sq_session *s;

		if (sq_list_empty(&sh->sessions->all)) {
			sh->sessions->rules_left = 0;
			return;
		}
		s = SQ_CONTAINER_OF(sh->sessions->all.next, struct sq_session, id.node);
		sq_list_remove(&s->id.node);
		sq_list_push_back(&sh->sessions->all, &s->id.node);
		sh->sessions->rules_left--;
		if (s->permit.identity == NULL || s->permit.version == sh->sessions->rules_version)
			continue;
		sq_permit_refresh(s);
		enforce_session(s);
	}
}

void
sq_enforce_tick(struct sq_shard *sh)
{
	uint64_t version = sq_rules_version(sh->broker->rules), until_ms;

	if (version != sh->sessions->rules_version) {
		sh->sessions->rules_version = version;
		sh->sessions->rules_left = sh->sessions->n;
	}
	if (sh->sessions->rules_left == 0)
		return;
	until_ms = sq_clock_ms() + SLICE_MS;
	do
		enforce_slice(sh);
	while (sh->sessions->rules_left > 0 && sq_clock_ms() < until_ms);
}
