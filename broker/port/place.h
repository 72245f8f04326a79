/* Where the state of a log of several brokers is served: what a front needs to send peers there. */
#ifndef SQ_BROKER_PORT_PLACE_H
#define SQ_BROKER_PORT_PLACE_H

#include <stdbool.h>
#include <stdint.h>

enum { SQ_PLACE_ADDRESS = 256 };

struct sq_place {
	bool shared; /* there may be other brokers; else all else is unused */
	bool here;   /* this broker owns, and serves */
	uint64_t store, epoch;
	/* HOST:PORT of the broker that owns, and of the one that would next; "": not known, or none. */
	char owner[SQ_PLACE_ADDRESS], standby[SQ_PLACE_ADDRESS];
	char owner_admin[SQ_PLACE_ADDRESS]; /* where the owner's admin endpoint is */
};

/* Given to each front at its open; NULL there: this broker is the only one. */
struct sq_place_source {
	/* Thread: any.  Must not block. */
	void (*get)(const struct sq_place_source *, struct sq_place *out);
};

#endif
