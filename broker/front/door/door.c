/* The door's life, and the way of a request to its service. */
#include "broker/front/door/door.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/front/door/ask.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/conns.h"
#include "broker/front/door/early.h"
#include "broker/front/door/input.h"
#include "broker/front/door/ledger.h"
#include "broker/front/door/owners.h"
#include "broker/front/door/peer.h"
#include "broker/front/door/pick.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"
#include "web/crew.h"

enum {
	DOOR_GRACE_MS = 500,  /* for peers to close after GOAWAY */
	DOOR_FORCE_MS = 5000, /* for sockets that were shut down to be noticed */
	DOOR_POLL_MS = 5,
	DOOR_FILES_MS = 1000, /* between two looks at the certificate */
	DOOR_STRANGER_BODY = 64 << 10,
	DOOR_TIME_MS = 70000, /* for a request to come, and for an answer to be taken */
	DOOR_SLACK_MS = 10000,
	DOOR_STRANGER_TOTAL = 16 << 20,
	DOOR_BODY_SLACK =
	    1 << 20, /* that h2o takes in a turn, before a body is found to be too large */
};

static struct sq_door *
door_of(const struct sq_front *f)
{
	return SQ_CONTAINER_OF(f, struct sq_door, front);
}

static struct sq_door_part *
part_of(struct sq_crew_slot *s)
{
	return SQ_CONTAINER_OF(s, struct sq_door_part, slot);
}

/* Has each worker do something, and waits for none: one that hangs keeps no other from it. */
static void
door_command(struct sq_door *d, void (*run)(void *part))
{
	for (unsigned i = 0; i < d->n_parts; i++)
		sq_worker_tell(d->parts[i].worker, run, &d->parts[i]);
}

/* Every request that h2o has taken in whole comes here. */
static int
door_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	(void)self;
	struct sq_conn *c = sq_conn_of(req);
	struct sq_service *service = sq_pick_service(&c->part->door->cfg,
	    (struct sq_bytes){(const unsigned char *)req->input.path.base, req->input.path.len});

	c->active_ms = sq_worker_now_ms(c->part->worker);
	c->times.last = service;
	sq_input_request(c, req);
	if (sq_early_refuse(c, req, service))
		return 0;
	if (service->ops->greet == NULL || !service->ops->greet(service, c, req))
		sq_ask_start(c, req, service);
	return 0;
}

/* Widens the bounds of h2o to those of a service. */
static void
door_fit(h2o_globalconf_t *conf, const struct sq_service *service)
{
	if (service->body_max > conf->max_request_entity_size)
		conf->max_request_entity_size = service->body_max;
	if (service->idle_ms > conf->http2.idle_timeout)
		conf->http2.idle_timeout = service->idle_ms;
}

static void
door_configure(struct sq_door *d)
{
	h2o_globalconf_t *conf = &d->conf;
	h2o_hostconf_t *host;

	h2o_config_init(conf);
	conf->server_name = h2o_iovec_init(H2O_STRLIT(""));
	conf->max_request_entity_size = 0;
	d->body_least = SIZE_MAX;
	/* Does not count while a request is open, as it always is with a hold. */
	conf->http2.idle_timeout = d->cfg.idle_ms;
	for (struct sq_service *const *at = d->cfg.services; *at != NULL; at++) {
		door_fit(conf, *at);
		d->plain |= (*at)->plain;
		if ((*at)->body_max < d->body_least)
			d->body_least = (*at)->body_max;
	}
	conf->max_request_entity_size += DOOR_BODY_SLACK;
	if (d->plain) /* ours come first (conn.c): h2o's begins with the wait for a request */
		conf->http1.req_timeout = conf->http2.idle_timeout + d->cfg.read_ms + DOOR_SLACK_MS;
	conf->http1.upgrade_to_http2 = 0; /* not by Upgrade; see sq_input_start() */
	host = h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	host->http2.reprioritize_blocking_assets = 0;
	h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req =
	    door_on_req;
}

/* All parts show the same certificate, so one of them has it measured. */
static void
part_set_end(const struct sq_door_part *p)
{
	int64_t end_s = p->certificate != NULL ? sq_tls_end(sq_certificate_context(p->certificate))
					       : 0;

	sq_metric_set(p->door->cfg.metrics, SQ_M_CERTIFICATE_ENDS, sq_clock_left_s(end_s));
}

/* Handshakes from now on are by the certificate that there is. */
static void
part_use_certificate(struct sq_door_part *p)
{
	const struct sq_auth *auth = p->door->cfg.auth;
	SSL_CTX *ctx = sq_certificate_context(p->certificate);
	bool alone;

	if (auth != NULL && sq_auth_asks_certificates(auth, &alone))
		sq_peer_ask(ctx, alone);
	p->accept.ssl_ctx = ctx;
}

/* Takes up a certificate that was replaced. */
static void
part_look_at_certificate(struct sq_door_part *p, uint64_t now_ms)
{
	if (p->certificate != NULL && sq_certificate_refresh(p->certificate, now_ms)) {
		part_use_certificate(p);
		if (sq_worker_index(p->worker) == 0)
			SQ_INFO("front", "tls.cert-file: %s read again", p->door->cfg.cert_file);
	}
	if (sq_worker_index(p->worker) == 0)
		part_set_end(p);
}

static void
part_tick_services(struct sq_door_part *p, uint64_t now_ms)
{
	for (struct sq_service *const *at = p->door->cfg.services; *at != NULL; at++)
		if ((*at)->ops->tick != NULL)
			(*at)->ops->tick(*at, sq_worker_index(p->worker), now_ms);
}

static void
part_tick(struct sq_crew_slot *s, uint64_t now_ms)
{
	struct sq_door_part *p = part_of(s);

	if (!p->serving)
		return;
	part_tick_services(p, now_ms);
	sq_conns_tick(p, now_ms);
	if (p->door->broker == NULL && p->door->owners != NULL && sq_worker_index(p->worker) == 0)
		sq_owners_tick(p->door->owners, now_ms);
	if (now_ms < p->files_ms)
		return;
	p->files_ms = now_ms + DOOR_FILES_MS;
	part_look_at_certificate(p, now_ms);
}

/* The certificate, for each worker. */
static int
door_tls(struct sq_door *d, struct sq_buf *err)
{
	for (unsigned i = 0; i < d->n_parts && d->cfg.cert_file != NULL; i++) {
		struct sq_door_part *p = &d->parts[i];

		p->certificate = sq_certificate_new(
		    "front", d->cfg.cert_file, d->cfg.key_file, err);
		if (p->certificate == NULL)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Ours is put back before the sockets are polled again. */
static void
part_turned(struct sq_crew_slot *s)
{
	sq_early_turn(part_of(s));
	sq_inputs_turn(part_of(s));
}

static void
part_opened(struct sq_crew_slot *s)
{
	struct sq_door_part *p = part_of(s);

	p->accept = (h2o_accept_ctx_t){.ctx = s->ctx, .hosts = p->door->conf.hosts};
	if (p->certificate != NULL)
		part_use_certificate(p);
	p->serving = true;
	sq_conns_listen(p, sq_worker_index(p->worker));
}

static const struct sq_crew_slot_user part_user = {
    .opened = part_opened,
    .tick = part_tick,
    .turned = part_turned,
};

static void
door_part(struct sq_door *d, unsigned i)
{
	struct sq_door_part *p = &d->parts[i];

	p->door = d;
	p->worker = sq_crew_workers(d->cfg.crew)[i];
	sq_list_init(&p->conns);
	sq_list_init(&p->unread);
	sq_list_init(&p->cutting);
}

static unsigned
door_port(const struct sq_front *base)
{
	return door_of(base)->listen.port;
}

/* Begins to accept. */
static void
door_open(struct sq_door *d)
{
	d->open = true;
	for (unsigned i = 0; i < d->n_parts; i++)
		sq_crew_slot_open(&d->parts[i].slot, d->parts[i].worker, &part_user, &d->conf);
}

static void
door_stand_by(struct sq_front *base)
{
	struct sq_door *d = door_of(base);

	assert(!d->open && d->broker == NULL);
	door_open(d);
}

/* Requests from now on are served, and those that services have kept for it. */
static void
part_serve(void *part)
{
	struct sq_door_part *p = part;

	part_tick_services(p, sq_worker_now_ms(p->worker));
}

static void
door_serve(struct sq_front *base, struct sq_broker *broker)
{
	struct sq_door *d = door_of(base);

	assert(d->broker == NULL);
	d->broker = broker;
	for (struct sq_service *const *at = d->cfg.services; *at != NULL; at++)
		(*at)->ops->serve(*at, broker);
	if (!d->open) {
		door_open(d);
		return;
	}
	for (unsigned i = 0; i < d->n_parts; i++)
		sq_worker_do(d->parts[i].worker, part_serve, &d->parts[i]);
}

static void
part_move(void *part)
{
	struct sq_door_part *p = part;

	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, p->door->cfg.move_ms);
}

static void
door_move(struct sq_front *base)
{
	door_command(door_of(base), part_move);
}

static void
part_drain(void *part)
{
	struct sq_door_part *p = part;

	sq_acceptor_close(&p->acceptor);
	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, 0);
}

static void
door_drain(struct sq_front *base)
{
	struct sq_door *d = door_of(base);

	atomic_store_explicit(&d->draining, true, memory_order_relaxed);
	door_command(d, part_drain);
}

static bool
door_idle(const struct sq_front *base)
{
	const struct sq_door *d = door_of(base);

	for (unsigned i = 0; i < d->n_parts; i++)
		if (atomic_load_explicit(&d->parts[i].running, memory_order_acquire) != 0)
			return false;
	return true;
}

static void
part_goaway(void *part)
{
	struct sq_door_part *p = part;

	p->serving = false;
	sq_acceptor_close(&p->acceptor);
	h2o_context_request_shutdown(p->slot.ctx);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node) {
		if (c->hold != NULL)
			c->hold->service->ops->ended(c->hold);
		if (c->pass != NULL)
			sq_conn_kill(c);
	}
}

static void
part_kill(void *part)
{
	struct sq_door_part *p = part;

	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		sq_conn_kill(c);
}

/* Waits until 'n' is 0, or 'ms' are over. */
static void
door_await(const atomic_uint *n, uint64_t ms)
{
	const struct timespec nap = {0, DOOR_POLL_MS * 1000000L};
	uint64_t until = sq_clock_ms() + ms;

	while (atomic_load_explicit(n, memory_order_acquire) != 0 && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
}

static void
door_stop(struct sq_front *base)
{
	struct sq_door *d = door_of(base);

	if (!d->open)
		return;
	d->open = false;
	door_command(d, part_goaway);
	door_await(&d->conns, DOOR_GRACE_MS);
	door_command(d, part_kill); /* also those that came before their worker heard of the end */
	door_await(&d->conns, DOOR_FORCE_MS);
	sq_crew_settle(d->cfg.crew);
}

static void
door_free(struct sq_front *base)
{
	struct sq_door *d = door_of(base);

	for (unsigned i = 0; i < d->n_parts; i++) {
		sq_certificate_free(&d->parts[i].certificate);
		sq_lingers_fini(&d->parts[i].lingers);
	}
	for (struct sq_service *const *at = d->cfg.services; *at != NULL; at++)
		(*at)->ops->free(*at);
	sq_owners_free(&d->owners);
	sq_strangers_free(&d->strangers);
	sq_ledger_free(&d->requests);
	sq_ledger_free(&d->places);
	sq_listen_close(&d->listen);
	h2o_config_dispose(&d->conf);
	free(d->parts);
	free(d);
}

static const struct sq_front_ops door_ops = {
    .name = "door",
    .stand_by = door_stand_by,
    .serve = door_serve,
    .port = door_port,
    .move = door_move,
    .drain = door_drain,
    .idle = door_idle,
    .stop = door_stop,
    .free = door_free,
};

struct sq_front *
sq_door_open(const struct sq_door_cfg *cfg, struct sq_buf *err)
{
	struct sq_door *d = sq_xcalloc(1, sizeof *d);
	const char *key = cfg->key != NULL ? cfg->key : "listen.address";

	assert(cfg->services[0] != NULL);
	d->front.ops = &door_ops;
	d->cfg = *cfg;
	d->n_parts = sq_crew_size(cfg->crew);
	if (d->cfg.unauthenticated_body == 0)
		d->cfg.unauthenticated_body = DOOR_STRANGER_BODY;
	if (d->cfg.unauthenticated_total == 0)
		d->cfg.unauthenticated_total = DOOR_STRANGER_TOTAL;
	if (d->cfg.read_ms == 0)
		d->cfg.read_ms = DOOR_TIME_MS;
	if (d->cfg.write_ms == 0)
		d->cfg.write_ms = DOOR_TIME_MS;
	if (cfg->passing.place != NULL)
		d->owners = sq_owners_new(&cfg->passing);
	d->requests = sq_ledger_new();
	d->places = sq_ledger_new();
	d->strangers = sq_strangers_new(&(struct sq_strangers_cfg){.workers = d->n_parts,
	    .max = cfg->max_connections,
	    .per_address = cfg->strangers_per_address,
	    .total = d->cfg.unauthenticated_total,
	    .wake = sq_conns_wake,
	    .owner = d});
	d->parts = sq_xcalloc(d->n_parts, sizeof *d->parts);
	for (unsigned i = 0; i < d->n_parts; i++)
		door_part(d, i);
	door_configure(d);
	if (door_tls(d, err) != SQ_OK ||
	    sq_listen_open(&d->listen, key, cfg->listen, d->n_parts, err) != SQ_OK) {
		door_free(&d->front);
		return NULL;
	}
	return &d->front;
}
