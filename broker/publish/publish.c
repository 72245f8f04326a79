#include "broker/publish/publish.h"

#include "broker/publish/assured.h"
#include "broker/publish/authorize.h"
#include "broker/publish/delayed.h"
#include "broker/publish/idempotency.h"
#include "broker/publish/options.h"
#include "broker/publish/put.h"
#include "broker/publish/receipts.h"
#include "broker/publish/replies.h"
#include "broker/publish/route_message.h"
#include "broker/publish/tap.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

enum { LOCKED_MAX = 512 }; /* matches after which those that wait for the lock come first */

void
sq_publish_part(struct sq_publish *p)
{
	p->txn = p->more.part(p->more.arg, p->origin->number + 1);
	sq_publish_committed(p);
}

void
sq_publish_pause(struct sq_publish *p)
{
	if (p->work - p->paused < LOCKED_MAX)
		return;
	p->paused = p->work;
	sq_route_unlock(p);
	if (p->keys_locked &&
	    p->more.part != NULL) /* they stay so until the commit of what they are of */
		sq_publish_part(p);
}

/* Takes the share of delayed messages: for a look, until its end. */
static bool
publish_take_delayed(struct sq_publish *p)
{
	if (sq_look_over(p->look)) {
		sq_delayed_force(p->tenant, p->msg);
		return true;
	}
	if (!sq_delayed_take(p->tenant, p->msg))
		return false;
	if (p->look != NULL) {
		p->look->delayed++;
		p->look->delayed_bytes += sq_image_size(p->msg->image);
	}
	return true;
}

/* Whether the message may wait for later.  Returns 0, or the code of its refusal. */
static uint8_t
publish_judge_later(struct sq_publish *p, uint32_t delay_s)
{
	if (delay_s > p->broker->cfg.delayed_max_s)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DELAY);
	if (sq_route_store_full(p))
		return sq_refused_store(&p->refused);
	if (sq_route_no_stay(p))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_MEMORY);
	if (!sq_put_make_room(p, NULL, 0))
		return sq_route_too_many(p, 0);
	return SQ_MQTT_RC_SUCCESS;
}

/* Keeps the message for later. */
static uint8_t
publish_later(struct sq_publish *p, uint32_t delay_s)
{
	uint64_t due_ms = sq_worker_now_ms(p->home->worker) + delay_s * UINT64_C(1000);
	uint8_t code = sq_look_over(p->look) ? SQ_MQTT_RC_SUCCESS : publish_judge_later(p, delay_s);

	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (!publish_take_delayed(p))
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_DELAYED,
		    sq_tenant_account(p->tenant), SQ_SHARE_DELAYED);
	if (!sq_look_only(p->look))
		sq_delayed_add(
		    p->broker->delayed, p->txn, p->tenant, p->msg, p->from.not_from, due_ms);
	p->end.how = SQ_PUBLISH_DELAYED;
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
publish_now_or_later(struct sq_publish *p, const struct sq_publish_options *asked)
{
	return asked->delay_s > 0 ? publish_later(p, asked->delay_s) : sq_route_message(p);
}

/* What is known of the key. */
static enum sq_key_state
publish_find_key(struct sq_publish *p, const struct sq_message_key *key, uint64_t now_ms)
{
	struct sq_keys *keys = p->broker->keys;
	enum sq_key_state state;

	if (!sq_look_only(p->look)) {
		state = sq_keys_find(keys, p->txn, p->tenant, key, now_ms);
		return state == SQ_KEY_FULL && sq_look_over(p->look) ? SQ_KEY_NEW : state;
	}
	state = sq_look_key(p->look, key);
	return state != SQ_KEY_NEW ? state
				   : sq_keys_look(keys, p->tenant, key, p->look->new_keys, now_ms);
}

/* A QoS 3 message with a key: stored once in its window. */
static uint8_t
publish_once(struct sq_publish *p, const struct sq_publish_options *asked)
{
	struct sq_message_key key = {.hash = sq_keys_hash(sq_tenant_name(p->tenant), asked->key),
	    .print = p->from.compares ? sq_keys_print(p->msg->image) : 0};
	uint64_t now_ms = sq_worker_now_ms(p->home->worker);
	struct sq_keys *keys = p->broker->keys;
	uint8_t code;

	p->end.keyed = true;
	p->end.key = key.hash;
	if (!p->keys_locked) {
		sq_route_unlock(p); /* who has the keys may wait for the space */
		sq_keys_lock(keys);
	}
	p->keys_locked = true;
	switch (publish_find_key(p, &key, now_ms)) {
	case SQ_KEY_KNOWN:
		if (!sq_look_only(p->look))
			sq_count(p->broker, SQ_M_DUPLICATES, 1);
		p->end.how = SQ_PUBLISH_KNOWN;
		return SQ_MQTT_RC_SUCCESS;
	case SQ_KEY_OTHER:
		p->end.how = SQ_PUBLISH_OTHER;
		return sq_refused_say(&p->refused, SQ_MQTT_RC_IMPLEMENTATION, SQ_REFUSAL_PROPERTY,
		    "the idempotency key is known with another topic or payload");
	case SQ_KEY_FULL:
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_KEYS,
		    sq_tenant_account(p->tenant), SQ_SHARE_KEYS);
	case SQ_KEY_NEW:
		if (!sq_look_over(p->look) && sq_route_store_full(p))
			return sq_refused_store(&p->refused);
		break;
	}
	code = publish_now_or_later(p, asked);
	if (code != SQ_MQTT_RC_SUCCESS) /* it is not stored: a retry shall be */
		return code;
	if (sq_look_only(p->look))
		sq_look_add_key(p->look, &key);
	else
		sq_keys_add(keys, p->txn, p->tenant, &key, now_ms);
	return code;
}

/* Whether it has no more tags than it may. */
static bool
publish_tags(const struct sq_publish *p)
{
	struct sq_tags tags;

	return sq_tags_read(sq_image_props(p->msg->image), &tags);
}

/* Whether the message may ask for that.  Returns 0, or the code of its refusal. */
static uint8_t
publish_judge_asked(struct sq_publish *p, const struct sq_publish_options *asked, bool good)
{
	uint8_t code = SQ_MQTT_RC_SUCCESS;

	if (!publish_tags(p))
		return sq_refused_say(&p->refused, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
		    "the message has more than %d different tags", SQ_TAGS_MAX);
	if (!good || asked->unknown.len > 0)
		code = sq_refused_options(&p->refused, &p->from.of, asked);
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (asked->receipt.len > 0 && p->from.permit != NULL &&
	    !sq_authorize_publish(p->broker, p->from.permit, asked->receipt, &p->refused))
		return SQ_MQTT_RC_NOT_AUTHORIZED;
	return SQ_MQTT_RC_SUCCESS;
}

/* Carries out the options in a message's properties. */
static uint8_t
publish_asked(struct sq_publish *p)
{
	struct sq_publish_options asked;
	bool good = sq_publish_options_parse(p->msg->image, &asked);
	uint8_t code = SQ_MQTT_RC_SUCCESS;

	p->assured = asked.assured;
	if (p->from.own) {
		code = sq_route_message(p);
		if (p->assured && p->n == 0 && !p->from.again)
			sq_receipts_add(p->home->receipts, p->tenant,
			    sq_assured_unmatched(p->broker, p->tenant, p->txn, p->msg));
		return code;
	}
	if (!sq_look_over(p->look))
		code = publish_judge_asked(p, &asked, good);
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (asked.assured && asked.key.len > 0)
		return publish_once(p, &asked);
	return publish_now_or_later(p, &asked);
}

/* Whether the message may be published, its options aside.  Returns 0, or the code of its refusal. */
static uint8_t
publish_judge(struct sq_publish *p)
{
	const unsigned char *image = p->msg->image;
	struct sq_bytes topic = sq_image_topic(image);
	const char *why = "the topic is not UTF-8";
	int rc = sq_topic_name_check_levels(topic, p->broker->cfg.limits.topic_levels, &why);

	if (rc == SQ_ETOOBIG)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_LEVELS);
	if (rc != SQ_OK)
		return sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", why);
	if (topic.p[0] == '$' && (why = sq_topic_closed(topic)) != NULL)
		return sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", why);
	/* Who knows the topic of a reply was asked for one. */
	if (p->from.permit != NULL && !sq_topic_is_reply(topic) &&
	    !sq_authorize_publish(p->broker, p->from.permit, topic, &p->refused))
		return SQ_MQTT_RC_NOT_AUTHORIZED;
	if (sq_image_size(image) > p->broker->cfg.max_packet + SQ_BODY_SLACK / 2)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_PACKET);
	if (p->qos == 2 && p->from.stores_ids && sq_route_store_full(p))
		return sq_refused_store(&p->refused); /* its packet id would be stored */
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
publish_checked(struct sq_publish *p)
{
	uint8_t code = sq_look_over(p->look) ? SQ_MQTT_RC_SUCCESS : publish_judge(p);

	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (sq_topic_is_reply(sq_image_topic(p->msg->image)))
		return sq_replies_publish(p->broker->replies, p);
	return sq_image_props(p->msg->image).len > 0 ? publish_asked(p) : sq_route_message(p);
}

/* The expiry of the message, or else the configured one; SQ_MSG_NO_EXPIRY, the greatest value:
 * none. */
static uint32_t
publish_expiry_s(const struct sq_publish *p)
{
	const struct sq_broker_cfg *cfg = &p->broker->cfg;
	uint32_t expiry_s = sq_image_expiry(p->msg->image);

	if (expiry_s == SQ_MSG_NO_EXPIRY)
		expiry_s = cfg->expiry_default_s;
	return expiry_s < cfg->expiry_max_s ? expiry_s : cfg->expiry_max_s;
}

static bool
publish_is_refused(const struct sq_publish *p, uint8_t code)
{
	return sq_mqtt_reason_failed(code) || p->end.how == SQ_PUBLISH_UNMATCHED;
}

static void
publish_count(const struct sq_publish *p, uint8_t code)
{
	sq_count(
	    p->broker, publish_is_refused(p, code) ? SQ_M_REFUSED : SQ_M_RECEIVED_QOS0 + p->qos, 1);
}

uint8_t
sq_publish_message(struct sq_publish *p)
{
	const unsigned char *image = p->msg->image;
	uint32_t expiry_s = publish_expiry_s(p);
	uint8_t code;

	p->qos = (uint8_t)sq_image_qos(image);
	p->retain = sq_image_retain(image);
	p->assured = false;
	p->n = p->taken = 0;
	p->end = (struct sq_publish_end){0};
	p->expires_ms = expiry_s == SQ_MSG_NO_EXPIRY
	    ? 0
	    : sq_worker_now_ms(p->home->worker) + expiry_s * UINT64_C(1000);
	code = publish_checked(p);
	if (p->end.how == SQ_PUBLISH_HELD ||
	    (sq_look_only(p->look) && !publish_is_refused(p, code)))
		return code;
	if (!p->from.again)
		publish_count(p, code);
	if (sq_taps_any(p->broker->taps))
		sq_taps_see(p->broker->taps, p, code);
	return code;
}

void
sq_publish_committed(struct sq_publish *p)
{
	if (p->keys_locked)
		sq_keys_unlock(p->broker->keys);
	p->keys_locked = false;
}
