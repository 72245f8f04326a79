/* Authentication of requests: passes a request's credential to broker/auth, and continues with the
 * identity. */
#ifndef SQ_BROKER_FRONT_LINK_ASK_H
#define SQ_BROKER_FRONT_LINK_ASK_H

#include <h2o.h>
#include <stdint.h>

struct sq_conn;
struct sq_front_worker;
struct sq_identity;
struct sq_proof;

/* Continues with a request of 'who'.  'proof' NULL: the identity is the link's own. */
typedef void sq_ask_go_fn(
    struct sq_conn *, h2o_req_t *, const struct sq_identity *who, const struct sq_proof *proof);

/* Authenticates the request, at once or later, and then calls 'go', or refuses the request.
 * Thread: the connection's. */
void sq_ask_start(struct sq_conn *, h2o_req_t *, sq_ask_go_fn *);
/* At intervals, checks files of tokens and keys, and ends links whose basis is gone; called in each
 * tick.  Thread: the worker's. */
void sq_ask_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
