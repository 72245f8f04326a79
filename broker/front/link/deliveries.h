/* The responses of GET /v1/links/{link}/deliveries.  Thread: the connection's or the worker's. */
#ifndef SQ_BROKER_FRONT_LINK_DELIVERIES_H
#define SQ_BROKER_FRONT_LINK_DELIVERIES_H

#include "broker/front/link/part.h"

/* Opens the connection's link, or refuses the request. */
void sq_deliveries_open(
    struct sq_link_part *, struct sq_conn *, h2o_req_t *, uint64_t id, const struct sq_identity *);
/* The link that a hold of the service is. */
struct sq_link *sq_deliveries_link(const struct sq_conn_hold *);
/* Announces the served bundle of authorities on each link of the worker. */
void sq_deliveries_trust(struct sq_link_part *);
/* Tells each link of the worker of another standby. */
void sq_deliveries_look_at_standby(struct sq_link_part *);
/* Asks the link to move. */
void sq_deliveries_moved(struct sq_conn_hold *);
/* Writes the waiting output and ends the response; closes the link at once. */
void sq_deliveries_ended(struct sq_conn_hold *);
/* What there is to see of an open link. */
struct sq_deliveries_seen {
	struct sq_conn *conn; /* NULL: another worker's, and the rest is not set */
	struct sq_link *link;
	uint64_t since_ms; /* on the worker's clock */
	uint64_t bytes;    /* written so far */
};

/* For a walk over all links of the service: moves '*place' to the first one there or behind.  False:
 * there is none.  Locks: the service's, for the moment. */
bool sq_deliveries_seek(struct sq_link_part *, uint64_t *place, struct sq_deliveries_seen *out);
/* Sends heartbeats, and ends links that read nothing. */
void sq_deliveries_tick(struct sq_link_part *, uint64_t now_ms);

#endif
