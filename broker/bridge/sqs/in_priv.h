/* The inner interface of the inlet: inlet.c is what the worker sees, in_receive.c brings messages,
 * in_tell.c tells the peer what became of them; all of them stand on in_items.c. */
#ifndef SQ_BROKER_BRIDGE_SQS_IN_PRIV_H
#define SQ_BROKER_BRIDGE_SQS_IN_PRIV_H

#include "broker/bridge/sqs/client.h"
#include "broker/bridge/sqs/map_in.h"
#include "web/worker.h"

enum { SQ_SQS_CALL_MS = 15000 }; /* beside the wait of a long poll */

/* A rule's queue. */
struct sq_sqs_in_source {
	struct sq_sqs_inlet *inlet;
	struct sq_sqs_queue *queue;
	unsigned rule;
	unsigned polls, polls_wanted;
	unsigned asked;  /* messages that calls which are out may bring */
	unsigned batch;  /* messages of a call; fewer for a while after an answer was too large */
	unsigned fitted; /* answers since 'batch' has changed */
	unsigned n;      /* items */
	struct sq_list deletes; /* items that are to be deleted */
	uint64_t deletes_ms;    /* not before that */
	struct sq_sqs_vain vain;
};

enum sq_sqs_in_place { SQ_SQS_IN_USER, SQ_SQS_IN_HELD, SQ_SQS_IN_DELETED, SQ_SQS_IN_BACK };

/* A message that is here. */
struct sq_sqs_in_item {
	struct sq_sqs_arrival arrival;
	struct sq_sqs_in_source *source;
	struct sq_list all;  /* of the inlet, in the order of arrival */
	struct sq_list node; /* sq_sqs_in_source.deletes */
	enum sq_sqs_in_place place;
	bool called; /* in a call that deletes it, or changes its visibility */
	unsigned laters;
	uint64_t held_ms;   /* HELD: until then */
	uint64_t hidden_ms; /* from others until then */
	uint64_t extend_ms; /* when that is made longer; UINT64_MAX: it can't be */
	struct sq_buf handle;
};

struct sq_sqs_inlet {
	struct sq_inlet inlet;
	const struct sq_bridge_env *env;
	const struct sq_bridge_cfg *cfg;
	struct sq_sqs_client *client;
	struct sq_sqs_in_source *sources;
	size_t n_sources;
	struct sq_list items;
	unsigned n_items, n_user, demand;
	unsigned n_tells; /* calls that tell */
	struct sq_alarm alarm;
	uint64_t alarm_ms; /* 0: none */
	struct sq_task task;
	bool posted, closing;
	uint64_t closing_ms;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* --- in_items.c --- */

/* Has the work done at the end of the turn: what is settled in it is told in one call. */
void sq_sqs_in_post(struct sq_sqs_inlet *);
/* Has it looked at then, or earlier; UINT64_MAX: never. */
void sq_sqs_in_alarm_at(struct sq_sqs_inlet *, uint64_t ms);

/* Frees it, unless a call has it. */
void sq_sqs_in_item_free(struct sq_sqs_inlet *, struct sq_sqs_in_item *);
/* It is hidden from others from then on, for the time of the configuration. */
void sq_sqs_in_item_hidden(struct sq_sqs_inlet *, struct sq_sqs_in_item *, uint64_t since_ms);
/* That time, in seconds. */
unsigned sq_sqs_in_visibility_s(const struct sq_sqs_inlet *);
/* Brings items to the user, in order; at most SQ_SQS_BATCH_MAX. */
void sq_sqs_in_bring(struct sq_sqs_inlet *, struct sq_sqs_in_item *const *, unsigned n);
/* Brings what was held, as far as it is wanted: never what came later before what came earlier. */
void sq_sqs_in_bring_held(struct sq_sqs_inlet *);

/* --- in_receive.c --- */

/* Asks for messages, as far as they are wanted. */
void sq_sqs_in_receive(struct sq_sqs_inlet *, struct sq_sqs_in_source *);

/* --- in_tell.c --- */

/* Deletes what is to be deleted. */
void sq_sqs_in_delete(struct sq_sqs_inlet *, struct sq_sqs_in_source *);
/* Makes the hidden time of a source's items longer where it is half over, or ('back') ends it. */
void sq_sqs_in_hide(struct sq_sqs_inlet *, struct sq_sqs_in_source *, bool back);

#endif
