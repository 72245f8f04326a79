/* What services say of the broker that owns the state, where that is another one (port/place.h;
 * docs/link.md, "Several brokers").  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_ELSEWHERE_H
#define SQ_BROKER_FRONT_DOOR_ELSEWHERE_H

#include <h2o.h>

#include "broker/port/place.h"

/* Where the state is; from no source: here, and nowhere else. */
struct sq_place sq_elsewhere_place(const struct sq_place_source *);
/* Adds sqmqos-owner, sqmqos-standby, sqmqos-epoch and sqmqos-store to the answer that follows, as far
 * as they are known. */
void sq_elsewhere_headers(h2o_req_t *, const struct sq_place *);
#endif
