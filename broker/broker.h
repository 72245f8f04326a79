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
#include "core/err.h"
#include "core/metrics.h"

struct sq_acl;
struct sq_bridges;
struct sq_broker;
struct sq_call;
struct sq_engine;
struct sq_engine_cfg;
struct sq_outlet;
struct sq_pushes;
struct sq_refusal_seen;
struct sq_replies;
struct sq_taps;
struct sq_subscribers;
struct sq_view;
struct sq_worker;

/* Opens the engine of the configuration, with its files and log; 'with' says what is not configured:
 * metrics, workers, and who is told the role.  NULL with a line in 'err'. */
struct sq_engine *sq_broker_open_engine(
    const struct sq_broker_cfg *, const struct sq_engine_cfg *with, struct sq_buf *err);
/* Makes a broker without any state.  'engine' owns (sq_start_ops.own), and is the broker's from now on,
 * to close.  'workers' live as long as the broker.  sq_broker_load() follows. */
struct sq_broker *sq_broker_new(const struct sq_broker_cfg *, struct sq_engine *engine,
    struct sq_worker *const *workers, size_t n_workers, const struct sq_metrics *metrics);
/* Gives a new broker the state of its engine.  What it makes has its place on the workers, but nothing
 * of theirs may run meanwhile: they do not turn yet, or are held (sq_crew_hold()).  Not SQ_OK: the state
 * can't be read, with a line in 'err'; sq_broker_stop() and sq_broker_free() follow, with workers that
 * turn. */
int sq_broker_load(struct sq_broker *, struct sq_buf *err) SQ_MUST_CHECK;
/* Ends all sessions without their wills, while the workers still turn; returns when no object of
 * theirs is left in memory.  Stored state stays for the next start.  No calls come any more.
 * Thread: any but a worker. */
void sq_broker_stop(struct sq_broker *);
/* Frees '*bp', after sq_broker_stop(). */
void sq_broker_free(struct sq_broker **bp);

/* Whether the engine works; false with a line in 'why'.  Thread: any. */
bool sq_broker_healthy(struct sq_broker *, struct sq_buf *why);

/* Appends metrics of the fullest queues, by name, and of the tenants' shares.  Thread: any. */
void sq_broker_write_queues(struct sq_broker *, struct sq_buf *out);

/* The named queues, for who declares some by files.  Thread: any. */
struct sq_subscribers *sq_broker_subscribers(const struct sq_broker *);
/* NULL: nothing is pushed. */
struct sq_pushes *sq_broker_pushes(const struct sq_broker *);
/* NULL: there are no bridges. */
struct sq_bridges *sq_broker_bridges(const struct sq_broker *);
/* Puts rules in force, also for existing sessions; takes over the reference.  Thread: any. */
void sq_broker_set_acl(struct sq_broker *, struct sq_acl *);

/* Puts the limits of this configuration in force that may change while the broker runs: the atomic
 * members.  What is there already stays, and more is judged by them.  Thread: one at a time. */
void sq_broker_set_limits(struct sq_broker *, const struct sq_broker_cfg *);

/* The rules in force; a reference.  Thread: any. */
struct sq_acl *sq_broker_acl(struct sq_broker *);

/* The tables of what the broker has (broker/view/view.h); its own.  Thread: any. */
struct sq_view *sq_broker_view(const struct sq_broker *);

/* Notes in the view what a front has refused by itself.  Thread: each worker. */
void sq_broker_refused(struct sq_broker *, const struct sq_refusal_seen *);

/* Taps of what passes (broker/publish/tap.h); its own.  Thread: any. */
struct sq_taps *sq_broker_taps(const struct sq_broker *);

/* Who waits for replies (broker/publish/replies.h); its own.  Thread: any. */
struct sq_replies *sq_broker_replies(const struct sq_broker *);

/* Takes over the call; its 'done' hands it back, possibly before this returns.  Thread: any. */
void sq_broker_call(struct sq_broker *, struct sq_call *);
/* Counts the connection of an outlet that opens in its tenant's share: the space of its identity,
 * or the first of several until the first attach names one; without an identity it is counted at
 * the first attach.  False: the share is used up, and the outlet must not open.  Thread: any. */
bool sq_broker_outlet_opens(struct sq_broker *, struct sq_outlet *);
/* The outlet has closed: its attachments go into grace.  Thread: any. */
void sq_broker_outlet_closed(struct sq_broker *, struct sq_outlet *);
/* The outlet has room again: sessions of the calling worker that waited for it continue.  Thread:
 * each worker. */
void sq_broker_outlet_writable(struct sq_broker *, struct sq_outlet *);
/* Runs grace, expiry, delayed wills and sweeps; each worker calls it about once in 100 ms. */
void sq_broker_tick(struct sq_broker *, struct sq_worker *);
/* Has attaches and messages refused with SQ_VERDICT_DRAINING from now on.  Thread: any. */
void sq_broker_drain(struct sq_broker *);
/* Whether no message is queued or unsettled for an attached session. */
bool sq_broker_drained(struct sq_broker *);

#endif
