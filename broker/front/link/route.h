/* The resource of a request, from its method and path (docs/link.md, "Requests").  Pure: no
 * sockets, no h2o. */
#ifndef SQ_BROKER_FRONT_LINK_ROUTE_H
#define SQ_BROKER_FRONT_LINK_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

enum sq_route_kind {
	SQ_ROUTE_DELIVERIES,
	SQ_ROUTE_ATTACH,
	SQ_ROUTE_MESSAGES,
	SQ_ROUTE_SETTLEMENTS,
	SQ_ROUTE_SUBSCRIPTIONS,
	SQ_ROUTE_DETACH,
	SQ_ROUTE_TRUST, /* no further fields */
};

struct sq_route {
	enum sq_route_kind kind;
	uint64_t link;       /* SQ_ROUTE_DELIVERIES */
	bool has_space;      /* the same: the peer says for which space, and knows 421 */
	unsigned wait_s;     /* the same: how long the answer may wait for something to say */
	struct sq_bytes key; /* others: the segment of the path, unchecked */
	uint64_t epoch;    /* others but SQ_ROUTE_ATTACH; with wait_s: of the owner that is known */
	const char *allow; /* with 405: the method of the path */
	const char *detail; /* with an error: a fixed text for the problem body */
};

/* Returns 0, or the HTTP status that refuses the request: 400, 404, 405.
 * 'target' is the path with its query. */
unsigned sq_route_find(struct sq_bytes method, struct sq_bytes target, struct sq_route *out);

#endif
