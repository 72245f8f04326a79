/* The broker proper: sessions, router, queues and engine behind the fronts (broker/port/).
 *
 *   front --sq_broker_call()--> session (owner worker) --txn--> engine
 *     ^                             |  ^                          |
 *     +---- the call's done() ------+  +------ consumer <---------+
 *     ^                             |
 *     +---- the outlet's deliver() -+
 */
#ifndef SQ_BROKER_BROKER_H
#define SQ_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/shard/cfg.h"
#include "core/buf.h"
#include "core/metrics.h"

struct sq_acl;
struct sq_broker;
struct sq_call;
struct sq_outlet;
struct sq_worker;

/* 'workers' live as long as the broker, and turn only after this: it brings back what the
 * store has.  NULL: the store can't be opened or read, with a line in
 * 'err'. */
struct sq_broker *sq_broker_new(const struct sq_broker_cfg *, struct sq_worker *const *workers,
    size_t n_workers, const struct sq_metrics *metrics, struct sq_buf *err);
/* Ends all sessions without their wills, while the workers still turn; returns
 * when nothing of theirs is left in memory.  What is in the store stays there, for the
 * next start.  No call comes any more.  Not from a worker. */
void sq_broker_stop(struct sq_broker *);
/* After sq_broker_stop().  Frees '*bp'. */
void sq_broker_free(struct sq_broker **bp);

/* False with a line in 'why' while the engine can't make anything durable.  Any thread. */
bool sq_broker_healthy(struct sq_broker *, struct sq_buf *why);

/* Appends metrics of the fullest queues by their names, and of what tenants have.  Any thread. */
void sq_broker_write_queues(struct sq_broker *, struct sq_buf *out);

/* Puts other rules in force, also for what sessions have already; the reference is taken
 * over.  Any thread. */
void sq_broker_set_acl(struct sq_broker *, struct sq_acl *);

/* Takes the call over; it is handed back by its 'done', maybe before this returns.  Thread: any. */
void sq_broker_call(struct sq_broker *, struct sq_call *);
/* An outlet opens.  Where its identity names one space, its connection counts as that tenant's;
 * where it names several, as the first one's until the first attach says whose it is; where no
 * identity was asked for, from the first attach on.  False: the tenant has its share of
 * connections, and the outlet is not to open.  Thread: any. */
bool sq_broker_outlet_opens(struct sq_broker *, struct sq_outlet *);
/* The outlet has closed: its attachments go into grace.  Thread: any. */
void sq_broker_outlet_closed(struct sq_broker *, struct sq_outlet *);
/* The outlet has room again: sessions of the worker that calls, which waited for that, go on.
 * Thread: each worker. */
void sq_broker_outlet_writable(struct sq_broker *, struct sq_outlet *);
/* Each worker calls it about once in 100 ms: grace, expiry, delayed wills. */
void sq_broker_tick(struct sq_broker *, struct sq_worker *);
/* From now on attaches and messages are answered SQ_VERDICT_DRAINING.  Thread: any. */
void sq_broker_drain(struct sq_broker *);
/* True when nothing is queued or unsettled for an attached session. */
bool sq_broker_drained(struct sq_broker *);

#endif
