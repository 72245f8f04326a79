/* The connections of a worker: accepts, ages and ends them.  Thread: the worker's, unless a comment
 * says otherwise. */
#ifndef SQ_BROKER_FRONT_LINK_CONNS_H
#define SQ_BROKER_FRONT_LINK_CONNS_H

#include "broker/front/link/part.h"

/* Begins to accept at the worker's sockets, until its acceptor is closed. */
void sq_conns_listen(struct sq_front_worker *, unsigned index);
/* Has the guests that must leave ended; see sq_strangers_cfg.  Thread: any of the front's. */
void sq_conns_wake(void *front, unsigned worker);
/* Resumes a paused acceptor in each tick, and checks ages each second. */
void sq_conns_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
