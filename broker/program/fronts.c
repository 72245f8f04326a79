/* The doors, and the services behind them. */
#include "broker/program/main_priv.h"

#include <stdlib.h>
#include <string.h>

#include "broker/front/door/door.h"
#include "broker/front/http/front.h"
#include "broker/front/link/front.h"
#include "broker/metrics/metrics.h"
#include "broker/program/shared.h"

enum {
	HTTP_BODY_MORE = 64 << 10, /* bytes of a body above those of a packet */
	PASSED_SLACK_MS = 30000, /* by which the owner ends a connection before who passes it on */
	IDENTITY_PARTS = 4,      /* of link.max-connections: those of one identity */
};

static const struct sq_place_source *
main_place(const struct sq_main *p)
{
	return p->shared != NULL ? sq_main_shared_place(p->shared) : NULL;
}

static struct sq_service *
main_link(const struct sq_main *p)
{
	const struct sq_broker_config *c = p->config;

	return sq_link_front_open(&(struct sq_link_front_cfg){
	    .bundle_file = c->tls ? c->tls_bundle : NULL,
	    .crew = p->crew,
	    .max_packet = (uint32_t)c->max_packet,
	    .max_inflight = (uint32_t)c->max_inflight,
	    .stall_ms = c->link_stall_ms,
	    .place = main_place(p),
	    .metrics = &sq_broker_metrics,
	});
}

/* One identity leaves places for others, however few there are. */
static unsigned
main_identity_connections(const struct sq_broker_config *c)
{
	uint64_t part = c->max_connections / IDENTITY_PARTS;

	if (part == 0)
		part = 1;
	return (unsigned)(c->http_max_conns < part ? c->http_max_conns : part);
}

/* Where the API is at each broker, if not where links are: the ports of all are the same. */
static unsigned
main_api_port(const struct sq_broker_config *c)
{
	const char *colon = sq_config_is_set(c->http_listen) ? strrchr(c->http_listen, ':') : NULL;

	return colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

static struct sq_service *
main_http(struct sq_main *p)
{
	const struct sq_broker_config *c = p->config;
	const size_t auto_body = (size_t)c->max_packet + HTTP_BODY_MORE;

	if (!c->http)
		return NULL;
	return sq_http_front_open(&(struct sq_http_front_cfg){
	    .max_body = c->http_max_body > 0 ? (size_t)c->http_max_body : auto_body,
	    .max_packet = (uint32_t)c->max_packet,
	    .idle_ms = c->http_idle_ms,
	    .max_requests = (unsigned)c->http_max_requests,
	    .max_identity = (unsigned)c->http_max_identity,
	    .max_connections = main_identity_connections(c),
	    .redrives = &p->redrives,
	    .max_wait_ms = c->http_wait_ms,
	    .max_batch = (uint32_t)c->http_max_batch,
	    .rate = c->http_rate,
	    .events_topic = c->http_events_topic,
	    .limits = sq_limits_own(&c->limits),
	    .origins = (const char *const *)c->http_origins.v,
	    .n_origins = c->http_origins.n,
	    .place = main_place(p),
	    .owner_port = main_api_port(c),
	    .metrics = &sq_broker_metrics,
	});
}

/* A door without services yet. */
static struct sq_door_cfg
main_door(const struct sq_main *p, const char *key, const char *listen)
{
	const struct sq_broker_config *c = p->config;

	return (struct sq_door_cfg){
	    .listen = listen,
	    .key = key,
	    .cert_file = c->tls ? c->tls_cert : NULL,
	    .key_file = c->tls_key,
	    .auth = p->auth,
	    .crew = p->crew,
	    .idle_ms = c->link_idle_ms,
	    .read_ms = c->http_read_ms,
	    .write_ms = c->http_write_ms,
	    .max_age_ms = c->link_max_age_ms,
	    .move_ms = c->drain_ms > 0 ? c->drain_ms : 1,
	    .max_connections = (unsigned)c->max_connections,
	    .strangers_per_address = (unsigned)c->strangers_per_address,
	    .unauthenticated_body = (size_t)c->unauthenticated_body,
	    .unauthenticated_total = (size_t)c->unauthenticated_total,
	    .metrics = &sq_broker_metrics,
	};
}

/* How the API's own door passes connections on to that of the owner.  A request may wait there without a
 * byte. */
static struct sq_door_passing
main_passing(const struct sq_main *p)
{
	const struct sq_broker_config *c = p->config;
	uint64_t idle_ms = c->http_idle_ms > c->http_wait_ms ? c->http_idle_ms : c->http_wait_ms;

	return (struct sq_door_passing){
	    .place = main_place(p),
	    .self = sq_config_text(c->log.advertise),
	    .port = main_api_port(c),
	    .idle_ms = idle_ms + PASSED_SLACK_MS,
	};
}

bool
sq_main_open_fronts(struct sq_main *p, struct sq_buf *err)
{
	const struct sq_broker_config *c = p->config;
	struct sq_door_cfg first = main_door(p, "listen.address", c->listen), second;
	bool apart = c->http && sq_config_is_set(c->http_listen);

	first.services[0] = p->services[SQ_MAIN_LINK] = main_link(p);
	if (!apart)
		first.services[1] = p->services[SQ_MAIN_HTTP] = main_http(p);
	p->fronts[0] = sq_door_open(&first, err);
	if (p->fronts[0] == NULL || !apart)
		return p->fronts[0] != NULL;
	second = main_door(p, "http.listen", c->http_listen);
	second.passing = main_passing(p);
	second.services[0] = p->services[SQ_MAIN_HTTP] = main_http(p);
	p->fronts[1] = sq_door_open(&second, err);
	return p->fronts[1] != NULL;
}

void
sq_main_each_front(const struct sq_main *p, void (*what)(struct sq_front *))
{
	for (unsigned i = 0; i < SQ_MAIN_FRONTS && p->fronts[i] != NULL; i++)
		what(p->fronts[i]);
}

bool
sq_main_fronts_idle(const struct sq_main *p)
{
	for (unsigned i = 0; i < SQ_MAIN_FRONTS && p->fronts[i] != NULL; i++)
		if (!sq_front_idle(p->fronts[i]))
			return false;
	return true;
}
