/* Requests to a broker that does not own the state (port/place.h).  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_HTTP_ELSEWHERE_H
#define SQ_BROKER_FRONT_HTTP_ELSEWHERE_H

#include "broker/front/http/part.h"

/* Says which broker owns: 503, or with ?redirect=1 a redirect to the same resource there; and has the peer
 * make its next request over another connection. */
sq_http_handler sq_http_elsewhere;

#endif
