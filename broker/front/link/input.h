/* What comes in on a connection, looked at before h2o sees it.
 *
 * h2o 2.2.5 has no hook there: the callback that it sets on its socket is replaced by ours,
 * which calls it.  h2o sets it anew whenever it begins to read again, so ours is put back
 * at the end of each turn, before the socket is polled.  The bytes are plain, also with
 * TLS. */
#ifndef SQ_BROKER_FRONT_LINK_INPUT_H
#define SQ_BROKER_FRONT_LINK_INPUT_H

#include <h2o.h>

struct sq_conn;
struct sq_front_worker;

/* Begins: by TLS and ALPN, or in the clear by what comes first. */
void sq_input_start(struct sq_conn *);
/* At the end of each turn of the loop. */
void sq_inputs_turn(struct sq_front_worker *);
/* h2o has taken in a request. */
void sq_input_request(struct sq_conn *, h2o_req_t *);
/* Says what the connection holds, and ends it where a stranger may not hold that. */
void sq_input_account(struct sq_conn *);

#endif
