/* The user of one forwarder or one inlet, as a bridge is, without a broker: struct sq_bridge_env on a
 * mailbox.  All of it on the test's thread, but post(); tasks run inside bridge_user_until() alone. */
#ifndef SQ_TEST_SUPPORT_BRIDGE_USER_H
#define SQ_TEST_SUPPORT_BRIDGE_USER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"

enum { BRIDGE_USER_MAX = 4096, BRIDGE_USER_TEXT = 256 };

/* An offer, and how it ended. */
struct user_offer {
	struct sq_offered offered;
	struct sq_msg msg;
	char origin[64];
	unsigned ends; /* 1 in the end */
	struct sq_offer_end end;
	char why[SQ_BRIDGE_DETAIL_MAX];
	size_t ended_at; /* the how manieth to end, from 0 */
};

struct bridge_user {
	struct sq_bridge_env env;
	const struct sq_bridge_kind *kind;
	struct sq_forwarder *forwarder;
	struct sq_inlet *inlet;
	struct user_offer offers[BRIDGE_USER_MAX];
	size_t n_offers, n_ended;
	struct sq_arrived *arrived[BRIDGE_USER_MAX]; /* in order; NULL: settled */
	size_t n_arrived, n_unsettled;
	unsigned rooms;  /* calls of room() */
	unsigned states; /* calls of state() */
	bool up, closed;
	char why[SQ_BRIDGE_DETAIL_MAX];
	/* For http(): NULL: there is none. */
	struct sq_out *(*http)(void *owner, struct sq_buf *err);
	pthread_mutex_t lock; /* of 'tasks' */
	pthread_cond_t cond;
	struct sq_list tasks;
};

void bridge_user_init(struct bridge_user *, const struct sq_bridge_kind *);
/* What it has opened is closed. */
void bridge_user_fini(struct bridge_user *);
/* Opens a half; fails the test if it can't be. */
void bridge_user_open(struct bridge_user *, enum sq_bridge_half, const struct sq_bridge_cfg *);
/* Closes it, and runs until it has closed. */
void bridge_user_close(struct bridge_user *, enum sq_bridge_half, unsigned within_ms);
/* Runs tasks until 'over'; false when it is not within a minute. */
bool bridge_user_until(struct bridge_user *, bool (*over)(struct bridge_user *));
/* Runs the tasks that are there. */
void bridge_user_run(struct bridge_user *);
/* Makes an offer of a message of QoS 1: 'topic', 'payload', and its lane; origins are made of 'name' and
 * the number.  It is offered by bridge_user_hand(). */
struct user_offer *
bridge_user_offer(struct bridge_user *, const char *topic, const char *payload, uint64_t lane);
/* Offers anew what has ended with LATER or FAILED. */
void bridge_user_again(struct bridge_user *, struct user_offer *);
/* Hands over offers from 'first' on, 'n' of them, as room() allows; runs until all are. */
void bridge_user_hand(struct bridge_user *, struct user_offer *first, size_t n);
/* Settles the i-th that arrived. */
void bridge_user_settle(struct bridge_user *, size_t i, enum sq_arrival);

#endif
