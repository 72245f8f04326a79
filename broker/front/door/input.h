/* Input of a connection, checked before h2o sees it.
 *
 * h2o 2.2.5 has no hook there: the callback that it sets on its socket is replaced by the door's
 * own, which calls it. h2o sets its callback again whenever it begins to read, so the door's is
 * put back at the end of each turn, before the socket is polled.  The bytes are plain, also with
 * TLS.  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_INPUT_H
#define SQ_BROKER_FRONT_DOOR_INPUT_H

#include <h2o.h>

struct sq_conn;
struct sq_door_part;

/* Begins: finds the protocol by ALPN, or by the first bytes in clear text. */
void sq_input_start(struct sq_conn *);
/* Puts the callbacks back; called at the end of each turn of the loop. */
void sq_inputs_turn(struct sq_door_part *);
/* h2o has accepted a request. */
void sq_input_request(struct sq_conn *, h2o_req_t *);
/* Counts the bytes held by the connection, and ends a stranger with too many. */
void sq_input_account(struct sq_conn *);

#endif
