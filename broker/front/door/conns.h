/* The connections of a worker: accepts, ages and ends them.  Thread: the worker's, unless a comment
 * says otherwise. */
#ifndef SQ_BROKER_FRONT_DOOR_CONNS_H
#define SQ_BROKER_FRONT_DOOR_CONNS_H

#include "broker/front/door/part.h"

/* Begins to accept at the worker's sockets, until its acceptor is closed. */
void sq_conns_listen(struct sq_door_part *, unsigned index);
/* Has the guests that must leave ended; see sq_strangers_cfg.  Thread: any of the door's. */
void sq_conns_wake(void *door, unsigned worker);
/* Resumes a paused acceptor in each tick, and checks ages each second. */
void sq_conns_tick(struct sq_door_part *, uint64_t now_ms);

#endif
