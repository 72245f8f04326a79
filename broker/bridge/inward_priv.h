/* What the files of the in half have in common.
 *
 *   inward.c         its life: what has arrived and waits, the demand, the end
 *   inward_batch.c   batches of it: their transactions, and how they are settled
 *   inward_entry.c   what becomes of one message
 *
 * On the bridge's worker. */
#ifndef SQ_BROKER_BRIDGE_INWARD_PRIV_H
#define SQ_BROKER_BRIDGE_INWARD_PRIV_H

#include "broker/auth/identity/identity.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/dedup.h"
#include "broker/bridge/inward.h"
#include "broker/bridge/lane_holds.h"
#include "broker/engine/parts.h"
#include "broker/publish/publish.h"
#include "broker/publish/traced.h"

/* What becomes of a message. */
enum sq_inward_how {
	SQ_INWARD_TAKEN,
	SQ_INWARD_KNOWN,
	SQ_INWARD_LOOP,
	SQ_INWARD_LETTER,
	SQ_INWARD_LATER,
	SQ_INWARD_HOWS,
};

struct sq_inward_entry {
	struct sq_arrived *of;
	uint8_t how;  /* enum sq_inward_how */
	bool keyed;   /* its key is new, and in the transaction: */
	bool refused; /* LATER: it was tried, and holds its lane: */
	struct sq_dedup_key key;
	uint64_t lane;
};

/* Messages of one turn, and their transactions.  It counts as an object of the broker. */
struct sq_inward_batch {
	struct sq_list node;
	struct sq_inward *of;
	struct sq_parts parts;
	struct sq_call pace; /* waits as one for queues that run behind; no more of it is used */
	struct sq_notes notes;
	struct sq_traced_batch traced;
	int err;
	bool ready;   /* committed, and has waited */
	bool doubted; /* an earlier one, whose keys it knew, was not committed */
	size_t n, cap;
	struct sq_inward_entry *v;
	unsigned early; /* keys forgotten early */
};

/* What has arrived, and is in no batch. */
struct sq_inward_waiting {
	struct sq_arrived **v; /* a ring */
	size_t n, at, cap;
	uint64_t number; /* of the last one that has arrived */
};

/* What the inlet is asked for. */
struct sq_inward_asks {
	unsigned window; /* the most, by the configuration */
	unsigned demand;
	uint32_t size; /* of the largest messages of late */
	size_t out;    /* arrived and not settled */
};

struct sq_inward_end {
	bool begun, closes, closed; /* of the inlet's: close() was called, is done */
	uint64_t until_ms;
	void (*done)(void *arg);
	void *arg;
};

struct sq_inward {
	struct sq_inward_cfg cfg;
	struct sq_bridge_env env; /* the inlet's */
	struct sq_inlet *inlet;   /* NULL: it closes, or is closed */
	struct sq_tenant *tenant; /* a reference */
	const struct sq_identity *who;
	struct sq_dedup *dedup;
	struct sq_inward_waiting waiting;
	struct sq_list batches; /* the oldest first: settled in this order */
	struct sq_lane_holds lanes;
	struct sq_inward_asks asks;
	struct sq_inward_end end;
	struct sq_task task;
	bool posted, paused;
	unsigned ticks;
	_Atomic uint64_t quiet_until_ms;
	void (*settled)(struct sq_inward *); /* inward.c's: batches have been settled */
};

static inline struct sq_broker *
sq_inward_broker(const struct sq_inward *in)
{
	return in->cfg.shard->broker;
}

/* Takes the oldest out of what waits, which is not empty, and its number. */
static inline struct sq_arrived *
sq_inward_next(struct sq_inward_waiting *w, uint64_t *number)
{
	struct sq_arrived *a = w->v[w->at];

	*number = w->number - (w->n - 1);
	w->at = (w->at + 1) & (w->cap - 1);
	w->n--;
	return a;
}

/* inward_batch.c */

/* Takes messages in, until there are no more or it is others' turn, and commits. */
void sq_inward_slice(struct sq_inward *);
void sq_inward_tell_out(struct sq_inward *);

/* inward_entry.c */

/* Takes in message 'number' of all that have arrived; it is the batch's last entry. */
void
sq_inward_take(struct sq_inward_batch *, struct sq_publish *, struct sq_arrived *, uint64_t number);

#endif
