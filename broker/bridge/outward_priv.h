/* The structs of the out half, for its files alone:
 *
 *   outward.c      whether it asks for messages, and how many; its life
 *   out_ended.c    from ends of offers to outcomes
 *   out_items.c    from messages of the queue to offers
 *   out_settle.c   from outcomes to settlements
 *
 * Each calls those below it. */
#ifndef SQ_BROKER_BRIDGE_OUTWARD_PRIV_H
#define SQ_BROKER_BRIDGE_OUTWARD_PRIV_H

#include "broker/bridge/cfg.h"
#include "broker/bridge/install.h"
#include "broker/bridge/outward.h"
#include "broker/subscriber/taker.h"
#include "core/htab.h"
#include "core/task.h"
#include "proto/topic/topic.h"

enum { SQ_OUT_ORIGIN_MAX = SQ_INSTALL_HEX + 1 + 32 };

/* A message that is offered, or in the pool. */
struct sq_out_item {
	struct sq_offered offered;
	struct sq_list node; /* of 'out' or 'pool' */
	struct sq_msg msg;   /* a reference */
	uint64_t seq;
	uint64_t epoch; /* of the pull that it was taken from */
	char origin[SQ_OUT_ORIGIN_MAX + 1];
	struct sq_buf hops; /* with its NUL */
};

/* Outcomes of a turn, or of those in which others were settled. */
struct sq_out_settle {
	struct sq_taker_settlement settlement;
	struct sq_outward *of;
	struct sq_list node; /* of 'settling' */
	struct sq_taker_outcome *v;
	size_t n, room;
};

/* A message that the peer may have, as an offer of it ended so. */
struct sq_out_unsure {
	struct sq_hnode by_seq;
	struct sq_list by_age;
	uint64_t seq;
};

/* A rule of 'out'; views into the configuration. */
struct sq_out_rule {
	struct sq_topic_filter filter;
	bool any; /* it names a tag alone */
};

/* Items, with the forwarder or in the pool. */
struct sq_out_items {
	struct sq_list list;
	unsigned n;
	uint64_t bytes; /* of those with the forwarder */
};

/* What is on its way to be settled. */
struct sq_out_settling {
	struct sq_out_settle *now; /* to be handed over; NULL: nothing has ended */
	struct sq_list list;       /* handed over: one, and those of pulls before */
	unsigned n;                /* outcomes of all */
};

struct sq_out_unsures {
	struct sq_htab by_seq;
	struct sq_list by_age;
};

/* What is done at the end of a turn: it settles, and looks. */
struct sq_out_turn {
	struct sq_task task;
	bool posted;
};

/* Who is told that it has closed; fn NULL: it is open. */
struct sq_out_closed {
	void (*fn)(void *arg);
	void *arg;
};

struct sq_outward {
	struct sq_outward_cfg cfg;
	struct sq_bridge_env env;       /* the forwarder's */
	struct sq_forwarder *forwarder; /* NULL: it has closed */
	struct sq_out_rule *rules;      /* as many as the configuration has */
	struct sq_taker taker;
	struct sq_taker_ask ask;
	bool joined, asking, looking;
	bool paused;
	uint64_t epoch;      /* counts pulls */
	uint64_t held_until; /* it asks for nothing before */
	struct sq_out_items out, pool;
	unsigned laters; /* ends with LATER since the last one with anything else */
	struct sq_out_settling settling;
	struct sq_out_unsures unsure;
	struct sq_out_turn turn;
	struct sq_out_closed closed;
};

static inline bool
sq_outward_is_closing(const struct sq_outward *o)
{
	return o->closed.fn != NULL;
}

/* out_ended.c */

/* How an offer has ended. */
void sq_out_ended(struct sq_outward *, struct sq_out_item *, const struct sq_offer_end *);

/* out_items.c */

void sq_out_rules_open(struct sq_outward *);
/* Makes offers of what was taken and hands them to the forwarder; what none is made of is settled. */
void sq_out_offer(struct sq_outward *, const struct sq_taken *, size_t n);
/* The item is offered no more. */
void sq_out_item_over(struct sq_outward *, struct sq_out_item *);
void sq_out_pool_free(struct sq_outward *);

/* out_settle.c */

/* Has 'turn' run at the end of this turn: it settles, and looks. */
void sq_out_later(struct sq_outward *);
/* Adds an outcome to those that are handed over next; 'detail' is copied. */
void sq_out_settle(struct sq_outward *, const struct sq_taker_outcome *, const char *detail);
/* Hands over what has ended, once what was handed over before is settled. */
void sq_out_settle_hand(struct sq_outward *);
void sq_out_settled(struct sq_taker *, struct sq_taker_settlement *);
/* Forgets what was to be settled: the queue has its messages back. */
void sq_out_settle_drop(struct sq_outward *);
/* Whether the peer may have the message; and says whether it may. */
bool sq_out_is_unsure(const struct sq_outward *, uint64_t seq);
void sq_out_set_unsure(struct sq_outward *, uint64_t seq, bool unsure);
void sq_out_unsure_free(struct sq_outward *);

#endif
