/* Requests for links and sessions that reach a broker which stands by: each is answered with who owns
 * the state (docs/link.md, "Several brokers").  A deliveries request with ?wait= is answered once there
 * is something to say: it is kept until its time is over, another broker owns, or this one serves,
 * which opens its link.
 *
 * Thread: the connection's or the worker's. */
#ifndef SQ_BROKER_FRONT_LINK_AWAY_H
#define SQ_BROKER_FRONT_LINK_AWAY_H

#include "broker/front/link/part.h"
#include "broker/front/link/route.h"

enum { SQ_AWAY_KEPT_MAX = 65536 /* of a worker; above, a request does not wait */ };

/* Answers the request, or keeps it.  'proof' as in struct sq_service_ops. */
void sq_away_answer(struct sq_link_part *, struct sq_conn *, h2o_req_t *, const struct sq_route *,
    const struct sq_place *, const struct sq_identity *who, const struct sq_proof *proof);
/* Answers those kept that wait no more. */
void sq_away_tick(struct sq_link_part *, uint64_t now_ms);

#endif
