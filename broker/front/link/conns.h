/* The connections of a worker: accepted, looked at as they age, sent away.  Thread: the worker's, if
 * nothing else is said. */
#ifndef SQ_BROKER_FRONT_LINK_CONNS_H
#define SQ_BROKER_FRONT_LINK_CONNS_H

#include "broker/front/link/part.h"

/* Accepts at the worker's sockets from now on, until its acceptor is closed. */
void sq_conns_listen(struct sq_front_worker *, unsigned index);
/* Sends away the guests that must go; see sq_strangers_cfg.  Thread: any of the front's. */
void sq_conns_wake(void *front, unsigned worker);
/* Each tick: an acceptor that has paused; each second: ages. */
void sq_conns_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
