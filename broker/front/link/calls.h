/* Requests of links that the broker carries out. */
#ifndef SQ_BROKER_FRONT_LINK_CALLS_H
#define SQ_BROKER_FRONT_LINK_CALLS_H

#include "broker/front/link/part.h"
#include "broker/front/link/route.h"

/* Hands a request of 'who' to the broker, or refuses it.  Thread: the connection's. */
void sq_calls_start(struct sq_link_part *, struct sq_conn *, h2o_req_t *, const struct sq_route *,
    const struct sq_identity *who);
/* Frees memory that a load has left, after a second of few calls; called each second. */
void sq_calls_rest(struct sq_link_part *);
/* Frees calls that are kept for reuse. */
void sq_calls_fini(struct sq_link_part *);

#endif
