#include "broker/set_limits.h"

#include "broker/broker.h"
#include "broker/shard/shard.h"
#include "broker/totals.h"
#include "core/msg.h"

struct sq_broker_cfg
sq_set_limits_cfg(const struct sq_broker_cfg *from)
{
	struct sq_broker_cfg cfg = *from;

	if (cfg.limits.topic_levels == 0)
		cfg.limits = sq_limits_unsaid;
	if (cfg.max_sub_bytes == 0)
		cfg.max_sub_bytes = UINT64_MAX;
	if (cfg.max_will == 0)
		cfg.max_will = UINT32_MAX;
	/* As a message says that it has none, so that publishing compares and no more. */
	if (cfg.expiry_default_s == 0)
		cfg.expiry_default_s = SQ_MSG_NO_EXPIRY;
	if (cfg.expiry_max_s == 0)
		cfg.expiry_max_s = SQ_MSG_NO_EXPIRY;
	return cfg;
}

void
sq_broker_set_limits(struct sq_broker *b, const struct sq_broker_cfg *from)
{
	const struct sq_broker_cfg now = sq_set_limits_cfg(from);
	struct sq_broker_cfg *c = &b->cfg;

	c->grace_ms = now.grace_ms;
	c->session_expiry_max_s = now.session_expiry_max_s;
	c->queue_expiry_s = now.queue_expiry_s;
	c->queue_expiry_max_s = now.queue_expiry_max_s;
	c->retained_max_msgs = now.retained_max_msgs;
	c->retained_max_bytes = now.retained_max_bytes;
	c->delayed_max_msgs = now.delayed_max_msgs;
	c->delayed_max_bytes = now.delayed_max_bytes;
	c->delayed_max_s = now.delayed_max_s;
	c->max_keys = now.max_keys;
	c->unknown_properties = now.unknown_properties;
	c->expiry_default_s = now.expiry_default_s;
	c->expiry_max_s = now.expiry_max_s;
	c->max_sessions = now.max_sessions;
	c->max_subs_per_session = now.max_subs_per_session;
	c->max_subs = now.max_subs;
	c->max_groups = now.max_groups;
	c->dead_total_msgs = now.dead_total_msgs;
	c->dead_total_bytes = now.dead_total_bytes;
	c->max_sub_bytes = now.max_sub_bytes;
	c->max_will = now.max_will;
	sq_totals_set(b->shares, c);
}
