/* What a pull does when something has changed: carries out the dispatcher's actions, commits them, and
 * asks the queue for as much as somebody waits for. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_RUN_H
#define SQ_BROKER_SUBSCRIBER_PULL_RUN_H

#include "broker/subscriber/pull_priv.h"

/* Sets up the consumer, which takes nothing yet, and the task. */
void sq_pull_run_init(struct sq_pull *);
/* Carries everything out.  Within itself, for a call that an answer has brought, it does so later. */
void sq_pull_run(struct sq_pull *);
/* Carries out what is owed for what was said of items, and hands nothing out. */
void sq_pull_run_owed(struct sq_pull *);
/* Has the dispatcher know of all that wait, but while the queue is paused or the broker ends, or of
 * none. */
void sq_pull_grant(struct sq_pull *, bool granted);
/* Has the queue hand nothing out here, until somebody waits again. */
void sq_pull_stop_taking(struct sq_pull *);
/* The settings of the declaration: another dispatcher where the order is another. */
void sq_pull_configure(struct sq_pull *, const struct sq_declaration *);
/* Has the dispatcher end: what is not out by a lease that stays goes back, in its order. */
void sq_pull_give_back(struct sq_pull *);
/* Tells counts and metrics. */
void sq_pull_tell(struct sq_pull *, bool lanes);

#endif
