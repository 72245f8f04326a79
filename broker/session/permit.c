#include "broker/session/permit.h"

#include <stdlib.h>

#include "broker/publish/authorize.h"
#include "broker/publish/options.h"
#include "broker/publish/refused.h"
#include "broker/session/session.h"
#include "broker/session/wanted.h"
#include "broker/shard/rules.h"
#include "proto/mqtt/reason.h"

/* The subject of that identity's session under the rules in force. */
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

static void
permit_no_will(
    struct sq_broker *b, const struct sq_call *c, struct sq_bytes topic, struct sq_refused *refused)
{
	struct sq_buf name = {0};
	struct sq_refused_of of = {
	    .broker = b, .space = c->key->space, .identity = sq_outlet_identity(c->outlet)};

	sq_key_encode(&name, c->key);
	sq_buf_u8(&name, '\0');
	of.name = (const char *)sq_buf_data(&name);
	refused->topic = topic;
	sq_refused_untold(refused, &of, "will", SQ_MQTT_RC_NOT_AUTHORIZED);
	sq_buf_fini(&name);
}

bool
sq_permit_will(struct sq_broker *b, const struct sq_call *c, struct sq_bytes will)
{
	uint64_t version;
	struct sq_acl_subject *subject = permit_subject(
	    b, sq_outlet_identity(c->outlet), c->key, &version);
	struct sq_refused refused = {0};
	struct sq_publish_options asked;
	bool may = subject == NULL ||
	    sq_authorize_publish(b, subject, sq_image_topic(will.p), &refused);

	/* A will with a wrong option is refused when it is due. */
	if (may && subject != NULL && sq_publish_options_parse(will.p, &asked) &&
	    asked.receipt.len > 0)
		may = sq_authorize_publish(b, subject, asked.receipt, &refused);

	if (!may)
		permit_no_will(b, c, sq_image_topic(will.p), &refused);
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
	if (w->named)
		return w->queue;
	return w->e.flags & SQ_SUB_DECLARED ? w->e.group : w->filter.share;
}

bool
sq_permit_subscribe(struct sq_session *s, struct sq_wanted *w)
{
	struct sq_bytes queue = permit_queue(w);
	struct sq_acl_verdict why;
	struct sq_buf text = {0};

	if (s->permit.subject == NULL ||
	    (w->named ? sq_acl_may(s->permit.subject, SQ_ACL_CONSUME, queue, &why)
		      : sq_acl_may_subscribe(s->permit.subject, &w->filter, queue, &why)))
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

void
sq_permit_hold(struct sq_session *s, const struct sq_identity *who)
{
	sq_identity_unref(&s->permit.identity);
	s->permit.identity = sq_identity_ref(who);
	s->permit.version = 0;
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

void
sq_permit_fini(struct sq_permit *p)
{
	sq_acl_subject_free(&p->subject);
	sq_identity_unref(&p->identity);
}
