/* Pull: the dispatcher of one named queue, its leases, and who waits for messages: requests, and takers
 * (taker.h).
 *
 * It is a consumer of the queue beside its MQTT members, in turns, and asks for what somebody waits
 * for.  On the worker that owns the queue. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_H
#define SQ_BROKER_SUBSCRIBER_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/subscriber/lease.h"
#include "proto/declaration/declaration.h"

struct sq_call;
struct sq_group;
struct sq_pull;
struct sq_pull_past;
struct sq_pulls;
struct sq_shard;

struct sq_pull_cfg {
	struct sq_pulls *all; /* outlives it: see pulls.h */
	struct sq_shard *shard;
	struct sq_group *group;            /* outlives it */
	const struct sq_declaration *decl; /* copied */
	bool paused;
	struct sq_pull_past *past; /* of the pull before, taken over; NULL: nothing is known */
	/* Nothing of it is left: no item, no transaction.  After sq_pull_end(). */
	void (*ended)(void *arg, struct sq_pull_past *);
	void *arg;
};

struct sq_pull_counts {
	uint64_t leased;
	uint64_t parked; /* wait for a retry, or block; also while their attempt is made durable */
	/* Of those that are free, how many more the pull has than the queue counts with those that
	 * wait, and bytes of their images; it counts what no consumer has had. */
	int64_t again, again_bytes;
	uint64_t oldest_ms; /* when the oldest that the pull has came, since 1970; 0: not known */
	uint32_t pollers;   /* RECEIVEs that wait */
	uint32_t takers;    /* see taker.h; of a queue that is paused: none */
	uint64_t stuck;     /* lanes */
};

struct sq_pull *sq_pull_new(const struct sq_pull_cfg *);
/* The declaration has changed: for what is handed out from now on.  What blocks has as many attempts
 * again. */
void sq_pull_declare(struct sq_pull *, const struct sq_declaration *);
void sq_pull_pause(struct sq_pull *, bool paused);
/* SQ_QUEUE_RECEIVE and SQ_QUEUE_SETTLE, which the rules allow; take the call over. */
void sq_pull_receive(struct sq_pull *, struct sq_call *);
void sq_pull_settle(struct sq_pull *, struct sq_call *);
void sq_pull_tick(struct sq_pull *, uint64_t now_ms);
/* The same of each of the shard's that the clock has something for: others cost nothing. */
void sq_pulls_tick(struct sq_pulls *, const struct sq_shard *, uint64_t now_ms);
/* Gives back to the queue what nobody has been handed, also what waits to be tried again. */
void sq_pull_release(struct sq_pull *);
/* Answers who waits, and hands nothing more to takers: the broker ends soon. */
void sq_pull_drain(struct sq_pull *);
/* Thread: any; as of the last change, and 'stuck' of the last tick. */
struct sq_pull_counts sq_pull_count(const struct sq_pull *);
/* Answers who waits (MISSING, or DRAINING as the broker ends), dismisses takers, gives items back,
 * and frees itself; 'ended' follows in a later turn, and takes what was settled of late over. */
void sq_pull_end(struct sq_pull *);

#endif
