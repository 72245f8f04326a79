/* The callback for a connection's input: h2o's is replaced by the connection's own (input.on_read),
 * because h2o 2.2.5 has no hook there. h2o sets its own again whenever it begins to read.  Thread:
 * the connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_WATCH_H
#define SQ_BROKER_FRONT_DOOR_WATCH_H

#include "broker/front/door/part.h"

/* Puts the connection's callback back, if h2o has set its own.  Called after each step for which
 * h2o may have stopped reading; the rest is done at the end of each turn (sq_inputs_turn()). */
void sq_watch_conn(struct sq_conn *);
/* Whether h2o reads nothing from the connection until its request, which waits, is answered: so it is
 * over HTTP/1.1. Thousands may wait, and none of them is looked at in a turn. */
bool sq_watch_rests(const struct sq_conn *);
/* Resumes reading from a connection if it was the door, not h2o, that has stopped it. */
void sq_watch_again(struct sq_conn *);

#endif
