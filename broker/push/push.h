/* Push: a subscriber is a URL, to which the messages of a named queue are posted (docs/push.md).
 *
 *   queue --taker--> push (the queue's worker) --net/curl--> the target
 *     ^                 |
 *     +--settlement, with the reply, in one transaction
 *
 * What is out is bounded by 'concurrency'; what fails waits in the queue's dispatcher.  An origin that
 * fails again and again is left alone for a while (breaker.h), for all queues that push to it. */
#ifndef SQ_BROKER_PUSH_PUSH_H
#define SQ_BROKER_PUSH_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_broker;
struct sq_out_shared;
struct sq_push_cfg;
struct sq_push_policy;
struct sq_pushes;
struct sq_secrets;
struct sq_subscribers_user;

struct sq_push_cfg {
	const char *install;           /* who pushes: webhook-request-origin */
	size_t metrics_queues;         /* subscribers that metrics show by name */
	size_t max_reply;              /* bytes of an answer where a reply is wanted */
	struct sq_push_policy *policy; /* which addresses */
	struct sq_secrets *secrets;    /* NULL: none */
	struct sq_out_shared *out;
};

/* Makes it, without a thread until a queue is pushed.  'b', and what 'cfg' points to, outlive it. */
struct sq_pushes *sq_pushes_new(struct sq_broker *b, const struct sq_push_cfg *cfg);
/* After the workers have ended. */
void sq_pushes_free(struct sq_pushes **);
/* What named queues call; of sq_subscribers_add_user(). */
const struct sq_subscribers_user *sq_pushes_user(struct sq_pushes *);
/* The queues of the start have been declared; before workers turn. */
void sq_pushes_loaded(struct sq_pushes *);
/* Another policy is in force from the next request on.  Thread: any. */
void sq_pushes_set_policy(struct sq_pushes *, struct sq_push_policy *);
/* Times that are over.  On each worker, each tick. */
void sq_pushes_tick(struct sq_pushes *, unsigned worker, uint64_t now_ms);
/* Appends metrics by queue. Thread: any. */
void sq_pushes_write_metrics(struct sq_pushes *, struct sq_buf *out);

#endif
