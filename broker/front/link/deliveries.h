/* The responses of GET /v1/links/{link}/deliveries.  Thread: the connection's or the worker's. */
#ifndef SQ_BROKER_FRONT_LINK_DELIVERIES_H
#define SQ_BROKER_FRONT_LINK_DELIVERIES_H

#include "broker/front/link/part.h"

/* Opens the connection's link, or refuses the request. */
void sq_deliveries_open(struct sq_conn *, h2o_req_t *, uint64_t id, const struct sq_identity *);
/* Announces the served bundle of authorities on each link of the worker. */
void sq_deliveries_trust(struct sq_front_worker *);
/* Writes the waiting output and ends the response; closes the link at once. */
void sq_deliveries_end(struct sq_stream *);
/* Sends heartbeats, and ends links that read nothing. */
void sq_deliveries_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
