/* The door: a front (broker/port/front.h) that has the connections of a listener, from their accept
 * to their close, for the services that are spoken over them (service.h).
 *
 * It knows sockets, TLS, HTTP and who asks; it knows none of its services by name. */
#ifndef SQ_BROKER_FRONT_DOOR_DOOR_H
#define SQ_BROKER_FRONT_DOOR_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "broker/port/front.h"
#include "core/buf.h"
#include "core/metrics.h"

struct sq_auth;
struct sq_crew;
struct sq_place_source;
struct sq_service;

enum { SQ_DOOR_SERVICES = 4 }; /* the most of a door */

/* Where connections go while another broker owns the state. */
struct sq_door_passing {
	const struct sq_place_source *place; /* outlives the door; NULL: they go nowhere */
	const char *self; /* this broker's own HOST:PORT there; NULL: it has none */
	unsigned port;    /* of the same door at the owner's host */
	uint64_t idle_ms; /* one that carries nothing for so long is closed */
};

struct sq_door_cfg {
	const char *listen; /* see sq_listen_open() */
	const char *key;    /* of the configuration, for messages; NULL: listen.address */
	const char
	    *cert_file; /* with key_file: TLS by them, also when they change; NULL: clear text */
	const char *key_file;
	struct sq_auth *auth; /* authentication; outlives the door; NULL: none */
	struct sq_crew *crew; /* outlives the door */
	uint64_t idle_ms;     /* a connection without an open request is closed */
	uint64_t read_ms; /* and one without a hold, whose request takes so long to come; 0: 70 s */
	uint64_t write_ms;   /* or whose peer takes so long for a complete answer; 0: 70 s */
	uint64_t max_age_ms; /* then the peer is asked to move; 0: never */
	uint64_t move_ms;    /* and so much later closed */
	unsigned max_connections;
	/* Of connections without a hold or a good token: */
	size_t unauthenticated_body;    /* bytes of a body; 0: 64 KiB */
	size_t unauthenticated_total;   /* bytes that all of them hold; 0: 16 MiB */
	unsigned strangers_per_address; /* 0: any number */
	/* While the door stands by its connections are passed on to the owner's; where the owner, or its
	 * address, is not known, the services say so. */
	struct sq_door_passing passing;
	const struct sq_metrics *metrics;
	struct sq_service *services[SQ_DOOR_SERVICES + 1]; /* at least one; NULL ends them */
};

/* Binds the addresses; nothing is accepted before sq_front_serve().  'crew' outlives the door's
 * stop.  The services are the door's from now on, also when it fails: NULL with a line in 'err'.
 * Thread: main. */
struct sq_front *sq_door_open(const struct sq_door_cfg *, struct sq_buf *err);

#endif
