/* The HTTP API: what apps and scripts without a sidecar speak (docs/http.md).
 *
 *   door ──▶ front (route, headers) ─┬▶ publish, batch, request ┬─ sq_call ──▶ broker ──▶ answer
 *                                    ├▶ asked ─┬─▶ queue, pull ─┘
 *                                    └▶ about
 *
 * It is a service of a door (broker/front/door), which has the connections and judges credentials. */
#ifndef SQ_BROKER_FRONT_HTTP_FRONT_H
#define SQ_BROKER_FRONT_HTTP_FRONT_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/metrics.h"
#include "proto/link/limits.h"

struct sq_deed_gate;
struct sq_place_source;
struct sq_service;

struct sq_http_front_cfg {
	size_t max_body;               /* bytes of a request's body */
	uint32_t max_packet;           /* bytes of a message as an MQTT packet */
	uint64_t idle_ms;              /* of a connection */
	unsigned max_requests;         /* at work, of a connection; 0: any number */
	unsigned max_identity;         /* and of an identity; 0: any number */
	unsigned max_connections;      /* of an identity; 0: any number */
	struct sq_deed_gate *redrives; /* all who have dead letters published again; outlives it */
	uint64_t max_wait_ms;          /* of a request for messages */
	uint32_t max_batch;            /* entries of a batch, at most SQ_RECEIVE_MAX */
	uint64_t rate;                 /* publishes of an identity in a second; 0: any number */
	struct sq_limits limits;       /* of topics, QoS and features, as clients have them */
	const char *events_topic;      /* of events that say none: a template (sq_ce_topic()) */
	const char *const *origins;    /* whose pages may ask (CORS); "*": all */
	size_t n_origins;
	const struct sq_place_source *place; /* outlives it; NULL: the broker is the only one */
	unsigned owner_port; /* of the API at the broker that owns; 0: that of its links */
	const struct sq_metrics *metrics;
};

/* Makes the service; the texts of the configuration outlive it.  The door frees it. */
struct sq_service *sq_http_front_open(const struct sq_http_front_cfg *);
/* Appends sqmqos_http_requests_total and sqmqos_http_waiting.  Thread: any, until the door is freed. */
void sq_http_front_metrics(const struct sq_service *, struct sq_buf *out);

#endif
