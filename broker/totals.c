#include "broker/totals.h"

#include "broker/share/share.h"
#include "core/memory.h"

/* Of the store's size: above that it takes nothing that is new. */
enum { STORE_PARTS = 5, STORE_USED = 4 };
/* The part of limits.memory for messages in queues; the rest is for everything else. */
enum { MEMORY_PARTS = 2 };

/* Tests leave out totals that do not matter to them. */
static uint64_t
totals_any(uint64_t total)
{
	return total > 0 ? total : SQ_SHARE_UNBOUNDED;
}

static struct sq_shares_cfg
totals_cfg(const struct sq_broker_cfg *c)
{
	return (struct sq_shares_cfg){
	    .totals =
		{
		    [SQ_SHARE_SESSIONS] = c->max_sessions,
		    [SQ_SHARE_CONNECTIONS] = totals_any(c->max_connections),
		    [SQ_SHARE_GROUPS] = totals_any(c->max_groups),
		    [SQ_SHARE_SUBSCRIPTIONS] = totals_any(c->max_subs),
		    [SQ_SHARE_RETAINED] = c->retained_max_msgs,
		    [SQ_SHARE_RETAINED_BYTES] = c->retained_max_bytes,
		    [SQ_SHARE_DELAYED] = c->delayed_max_msgs,
		    [SQ_SHARE_DELAYED_BYTES] = c->delayed_max_bytes,
		    [SQ_SHARE_DEAD_LETTERS] = totals_any(c->dead_total_msgs),
		    [SQ_SHARE_DEAD_LETTERS_BYTES] = totals_any(c->dead_total_bytes),
		    [SQ_SHARE_KEYS] = c->max_keys,
		    /* One alone has what the store takes. */
		    [SQ_SHARE_STORED_BYTES] = totals_any(
			c->spaces > 1 ? c->store_max_size / STORE_PARTS * STORE_USED : 0),
		    [SQ_SHARE_MEMORY] = totals_any(
			c->spaces > 1 ? sq_memory_limit() / MEMORY_PARTS : 0),
		},
	    .spaces = c->spaces,
	};
}

struct sq_shares *
sq_totals_shares(const struct sq_broker_cfg *c)
{
	const struct sq_shares_cfg cfg = totals_cfg(c);

	return sq_shares_new(&cfg);
}

void
sq_totals_set(struct sq_shares *shares, const struct sq_broker_cfg *c)
{
	const struct sq_shares_cfg cfg = totals_cfg(c);

	sq_shares_set_totals(shares, cfg.totals);
}
