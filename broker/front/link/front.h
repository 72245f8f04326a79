/* The front of links: sockets, connections, requests and deliveries responses of sidecars.
 *
 * It implements broker/port/front.h.  It knows HTTP/2 and the link's resources; the meaning of a
 * request to a session is the broker's (broker/broker.h). */
#ifndef SQ_BROKER_FRONT_LINK_FRONT_H
#define SQ_BROKER_FRONT_LINK_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/front.h"
#include "core/buf.h"
#include "core/metrics.h"

struct sq_auth;
struct sq_crew;

struct sq_link_front_cfg {
	const char *listen; /* see sq_listen_open() */
	const char
	    *cert_file; /* with key_file: TLS by them, also when they change; NULL: clear text */
	const char *key_file;
	const char *bundle_file;  /* authorities that sidecars are to trust; NULL or empty: none */
	struct sq_auth *auth;     /* authentication; outlives the front; NULL: none */
	struct sq_crew *crew;     /* outlives the front */
	uint32_t max_packet;      /* bytes; bodies may be SQ_BODY_SLACK larger */
	uint32_t max_inflight;    /* deliveries that a PUT may list besides */
	uint64_t idle_ms;         /* a connection without an open request is closed */
	uint64_t link_max_age_ms; /* then the link is asked to move; 0: never */
	uint64_t move_ms;         /* and so much later closed */
	uint64_t heartbeat_ms;    /* 0: SQ_HEARTBEAT_MS */
	uint64_t stall_ms;        /* a link that takes nothing for so long is closed */
	unsigned max_connections;
	/* Of connections without a link or a good token: */
	size_t unauthenticated_body;    /* bytes of a body; 0: 64 KiB */
	size_t unauthenticated_total;   /* bytes that all of them hold; 0: 16 MiB */
	unsigned strangers_per_address; /* 0: any number */
	const struct sq_metrics *metrics;
};

/* Binds the addresses; nothing is accepted before sq_front_serve().  'crew' outlives the front's
 * stop.  NULL with a line in 'err'.  Thread: main. */
struct sq_front *sq_link_front_open(const struct sq_link_front_cfg *, struct sq_buf *err);

#endif
