/* The service of links (broker/front/door/service.h): requests and deliveries responses of sidecars.
 *
 * It knows the link's resources; the meaning of a request to a session is the broker's
 * (broker/broker.h). */
#ifndef SQ_BROKER_FRONT_LINK_FRONT_H
#define SQ_BROKER_FRONT_LINK_FRONT_H

#include <stdint.h>

#include "core/metrics.h"

struct sq_crew;
struct sq_place_source;
struct sq_service;

struct sq_link_front_cfg {
	const char *bundle_file; /* authorities that sidecars are to trust; NULL or empty: none */
	struct sq_crew *crew;    /* of the door; outlives it */
	uint32_t max_packet;     /* bytes; bodies may be SQ_BODY_SLACK larger */
	uint32_t max_inflight;   /* deliveries that a PUT may list besides */
	uint64_t heartbeat_ms;   /* 0: SQ_HEARTBEAT_MS */
	uint64_t stall_ms;       /* a link that takes nothing for so long is closed */
	const struct sq_place_source *place; /* outlives it; NULL: the broker is the only one */
	const struct sq_metrics *metrics;
};

/* Makes the service, which its door frees.  Thread: main. */
struct sq_service *sq_link_front_open(const struct sq_link_front_cfg *);

#endif
