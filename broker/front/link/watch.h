/* h2o's callback for what comes in on a connection, replaced by the connection's own
 * (input.on_read): h2o 2.2.5 has no hook there.  h2o sets its own whenever it begins to read
 * again.  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_LINK_WATCH_H
#define SQ_BROKER_FRONT_LINK_WATCH_H

#include "broker/front/link/part.h"

/* Puts ours back, where h2o has set its own.  After whatever h2o may have stopped to read for; the
 * rest is done at the end of each turn (sq_inputs_turn()). */
void sq_watch_conn(struct sq_conn *);
/* Reads again from a connection that was stopped by us, not by h2o. */
void sq_watch_read(struct sq_conn *);

#endif
