/* Who asks: the way of a request's credential to broker/auth and back. */
#ifndef SQ_BROKER_FRONT_LINK_ASK_H
#define SQ_BROKER_FRONT_LINK_ASK_H

#include <h2o.h>
#include <stdint.h>

struct sq_conn;
struct sq_front_worker;
struct sq_identity;
struct sq_proof;

/* Goes on with a request of 'who'; NULL 'proof': it is the link's own. */
typedef void sq_ask_go_fn(
    struct sq_conn *, h2o_req_t *, const struct sq_identity *who, const struct sq_proof *proof);

/* Finds out who asks, then goes on, at once or later, or refuses.  Thread: the connection's. */
void sq_ask_start(struct sq_conn *, h2o_req_t *, sq_ask_go_fn *);
/* Each tick: now and then files of tokens and keys, and the links that rested on what is
 * gone, which end. */
void sq_ask_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
