/* The inner interface of the forwarder: forwarder.c is what the worker sees, out_send.c the calls and
 * their answers, which stands on out_ends.c: lanes, and how messages end. */
#ifndef SQ_BROKER_BRIDGE_SQS_OUT_PRIV_H
#define SQ_BROKER_BRIDGE_SQS_OUT_PRIV_H

#include "broker/bridge/sqs/client.h"
#include "broker/bridge/sqs/map_out.h"
#include "core/htab.h"
#include "web/worker.h"

/* Messages of a queue. */
struct sq_sqs_out_line {
	struct sq_sqs_queue *queue;
	struct sq_list waiting;
};

/* Lanes, and groups: those that have messages here. */
struct sq_sqs_out_key {
	struct sq_hnode node;
	struct sq_list items; /* of a lane, in order */
	unsigned n;           /* messages that hold it */
	bool busy;            /* of a group: it is in a call */
};

enum sq_sqs_out_place { SQ_SQS_OUT_WAITS, SQ_SQS_OUT_SENT, SQ_SQS_OUT_ENDED };

struct sq_sqs_out_item {
	struct sq_offered *of;
	struct sq_sqs_out_line *line;
	struct sq_sqs_out_key *lane, *group; /* 'group' NULL: the queue is none of FIFO */
	struct sq_list in_line, in_lane;
	enum sq_sqs_out_place place;
	bool alone; /* a call with others was refused: it is sent by itself */
	struct sq_sqs_entry entry;
	struct sq_offer_end end;
	char *why;
};

struct sq_sqs_forwarder {
	struct sq_forwarder forwarder;
	const struct sq_bridge_env *env;
	const struct sq_bridge_cfg *cfg;
	struct sq_sqs_client *client;
	struct sq_sqs_out_line *lines;
	size_t n_lines, next_line;
	struct sq_htab lanes, groups;
	unsigned n_items, n_calls;
	bool full;    /* the user has been told that there is no room */
	bool working; /* within sq_sqs_out_work(): no other begins */
	bool closing;
	struct sq_alarm patience;
	struct sq_task last;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* --- out_ends.c --- */

/* The lane, or group, of that hash, held once more. */
struct sq_sqs_out_key *sq_sqs_out_key_get(struct sq_htab *, uint64_t hash);
/* NULL: nothing. */
void sq_sqs_out_key_put(struct sq_htab *, struct sq_sqs_out_key *);
/* Ends a message here, with 'why' copied unless it is NULL; the user hears of it by
 * sq_sqs_out_report(). */
void sq_sqs_out_end(struct sq_sqs_out_item *, const struct sq_offer_end *, const char *why);
/* What of its lane waits comes later, too: nothing passes what was put off. */
void sq_sqs_out_hold_lane(struct sq_sqs_out_item *);
/* Ends it and what waits of its lane with LATER. */
void sq_sqs_out_later(struct sq_sqs_out_item *, uint32_t after_ms, bool uncertain, const char *why);
void sq_sqs_out_never(struct sq_sqs_out_item *, enum sq_offer_never, const char *why);
/* Tells the user of what has ended at the head of a lane, and frees it.  The user may offer more
 * meanwhile. */
void sq_sqs_out_report(struct sq_sqs_forwarder *, struct sq_sqs_out_key *lane);

/* --- out_send.c --- */

/* Sends what can be sent, and gives back what can't. */
void sq_sqs_out_work(struct sq_sqs_forwarder *);
/* How many more messages it takes now. */
unsigned sq_sqs_out_room(const struct sq_sqs_forwarder *);
/* What waits for a queue that is away goes back. */
void sq_sqs_out_give_back(struct sq_sqs_forwarder *, struct sq_sqs_out_line *, const char *why);

#endif
