#include "broker/session/permit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/publish/authorize.h"
#include "broker/publish/options.h"
#include "broker/publish/refused.h"
#include "broker/session/session.h"
#include "broker/session/wanted.h"
#include "broker/shard/rules.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"

enum {
	ENDED_AT_ONCE = 128, /* subscriptions that end under one lock of their space */
	SLICE_MS = 3,        /* of a tick, for sessions to ask again for */
	SLICE_LOOK = 32,     /* sessions between two looks at the clock */
	NOT_UTF8 = 0xff,     /* between the parts of a declared name: see wanted.c */
	DECLARED_PARTS = 4,
};

/* What the rules in force say of that identity's session. */
static struct sq_acl_subject *
permit_subject(
    struct sq_broker *b, const struct sq_identity *who, const struct sq_key *key, uint64_t *version)
{
	struct sq_acl *acl = sq_rules_get(b->rules, version);
	struct sq_acl_subject *subject = sq_acl_subject_new(acl,
	    &(const struct sq_acl_who){who->name, key->client, key->space,
		/* or it were refused before */ .own = true});

	sq_acl_unref(&acl);
	return subject;
}

bool
sq_permit_will(struct sq_broker *b, const struct sq_call *c, struct sq_bytes will)
{
	uint64_t version;
	struct sq_acl_subject *subject = permit_subject(
	    b, sq_outlet_identity(c->outlet), &c->key, &version);
	struct sq_refused refused = {0};
	struct sq_asked asked;
	bool may = subject == NULL ||
	    sq_authorize_publish(b, subject, sq_image_topic(will.p), &refused);

	/* What asks for something wrong is refused when it is due. */
	if (may && subject != NULL && sq_asked_parse(will.p, &asked) && asked.receipt.len > 0)
		may = sq_authorize_publish(b, subject, asked.receipt, &refused);

	if (!may)
		sq_refused_untold(&refused, b, c->key.client, "connection with a will",
		    SQ_MQTT_RC_NOT_AUTHORIZED);
	sq_refused_fini(&refused);
	sq_acl_subject_free(&subject);
	return may;
}

/* The queue of the subscription, as rules name it; empty: its own. */
static struct sq_bytes
permit_queue(const struct sq_wanted *w)
{
	if (w->dead)
		return sq_bytes_of(SQ_ACL_DEAD_QUEUE);
	return w->e.flags & SQ_SUB_DECLARED ? w->e.group : w->filter.share;
}

bool
sq_permit_subscribe(struct sq_session *s, struct sq_wanted *w)
{
	struct sq_bytes queue = permit_queue(w);
	struct sq_acl_verdict why;
	struct sq_buf text = {0};

	if (s->permit.subject == NULL ||
	    sq_acl_may_subscribe(s->permit.subject, &w->filter, queue, &why))
		return true;
	sq_authorize_count(s->shard->broker, &why);
	if (why.verb == SQ_ACL_CONSUME) {
		sq_buf_printf(&text, "not authorized to consume ");
		sq_authorize_say(&text, queue, &why);
	} else {
		sq_buf_printf(&text, "not authorized, ");
		sq_acl_verdict_print(&why, false, &text);
		sq_buf_u8(&text, '\0');
	}
	(void)sq_wanted_refuse(w, SQ_MQTT_RC_NOT_AUTHORIZED, (const char *)sq_buf_data(&text));
	w->refusal = SQ_REFUSAL_DENIED;
	sq_buf_fini(&text);
	return false;
}

/* Takes the parts of a declared subscription's name, or a twin's, apart. */
static size_t
permit_parts(const char *name, struct sq_bytes *parts)
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
permit_has(struct sq_session *s, const struct sq_subscription *sub)
{
	struct sq_bytes parts[DECLARED_PARTS], queue = {0}, text = sq_bytes_of(sub->name);
	struct sq_topic_filter f;
	struct sq_acl_verdict why;

	if (permit_parts(sub->name, parts) == DECLARED_PARTS) {
		if (parts[0].len > 0) /* a twin, which ends with the other */
			return true;
		/* group, tag, filter */
		queue = parts[1];
		text = parts[3].len > 0 ? parts[3] : sq_bytes_of("#");
	} else if (sub->twin != NULL) {
		queue = sq_bytes_of(SQ_ACL_DEAD_QUEUE);
	}
	if (sq_topic_filter_parse(text, &f, NULL) != SQ_OK)
		abort(); /* it was, when it was made */
	return sq_acl_may_subscribe(s->permit.subject, &f, queue, &why);
}

void
sq_permit_refresh(struct sq_session *s)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_key key;

	if (s->permit.identity == NULL || s->permit.version == sq_rules_version(b->rules))
		return;
	if (sq_key_decode(sq_bytes_of(s->id.key), &key) != SQ_OK)
		abort(); /* sq_key_encode() has made it */
	sq_acl_subject_free(&s->permit.subject);
	s->permit.subject = permit_subject(b, s->permit.identity, &key, &s->permit.version);
}

/* Those that the session has and may not have any more; NULL: none.  The caller frees it. */
static struct sq_subscription **
permit_denied(struct sq_session *s, size_t *n)
{
	struct sq_subscription **v = NULL;

	*n = 0;
	SQ_LIST_FOR_EACH(sub, &s->subs.list, struct sq_subscription, node) {
		if (permit_has(s, sub))
			continue;
		if (v == NULL)
			v = sq_xmalloc(s->subs.n * sizeof(*v));
		v[(*n)++] = sub;
	}
	return v;
}

/* Ends what it has and may not have any more. */
static void
permit_enforce(struct sq_session *s)
{
	size_t n;
	struct sq_subscription **v;

	if (s->permit.subject == NULL)
		return;
	v = permit_denied(s, &n);
	if (n == 0)
		return;
	sq_count(s->shard->broker, SQ_M_ACL_ENDED, (int64_t)n);
	SQ_WARN("session", "%s: %zu of its subscriptions end, the rules of acl deny them now",
	    s->id.key, n);
	for (size_t i = 0; i < n; i += ENDED_AT_ONCE)
		sq_subscribe_end(s, v + i, n - i < ENDED_AT_ONCE ? n - i : ENDED_AT_ONCE);
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
sq_permit_attached(struct sq_session *s, const struct sq_identity *who)
{
	if (s->permit.identity == NULL || strcmp(s->permit.identity->name, who->name) != 0) {
		sq_identity_unref(&s->permit.identity);
		s->permit.identity = sq_identity_ref(who);
		s->permit.version = 0;
	}
	sq_permit_refresh(s);
	permit_enforce(s);
}

void
sq_permit_fini(struct sq_session *s)
{
	sq_acl_subject_free(&s->permit.subject);
	sq_identity_unref(&s->permit.identity);
}

/* Asks again for some sessions, and puts them behind the others. */
static void
permit_slice(struct sq_shard *sh)
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
		permit_enforce(s);
	}
}

void
sq_permit_tick(struct sq_shard *sh)
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
		permit_slice(sh);
	while (sh->sessions->rules_left > 0 && sq_clock_ms() < until_ms);
}
