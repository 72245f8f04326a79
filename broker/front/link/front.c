/* The front's life, and the way of a request to its handler. */
#include "broker/front/link/front.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/auth/identity/allowed.h"
#include "broker/broker.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/ask.h"
#include "broker/front/link/calls.h"
#include "broker/front/link/conn.h"
#include "broker/front/link/conns.h"
#include "broker/front/link/deliveries.h"
#include "broker/front/link/input.h"
#include "broker/front/link/peer.h"
#include "broker/front/link/route.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"
#include "proto/link/frame.h"
#include "web/crew.h"
#include "web/reply.h"

enum {
	FRONT_GRACE_MS = 500,  /* for peers to close after GOAWAY */
	FRONT_FORCE_MS = 5000, /* for sockets that were shut down to be noticed */
	FRONT_POLL_MS = 5,
	FRONT_FILES_MS = 1000, /* between two looks at certificate and bundle */
	FRONT_STRANGER_BODY = 64 << 10,
	FRONT_STRANGER_TOTAL = 16 << 20,
};

static struct sq_link_front *
front_of(const struct sq_front *f)
{
	return SQ_CONTAINER_OF(f, struct sq_link_front, front);
}

static struct sq_front_worker *
part_of(struct sq_crew_slot *s)
{
	return SQ_CONTAINER_OF(s, struct sq_front_worker, slot);
}

/* Has each worker do something, and waits for none: one that hangs keeps no other from it. */
static void
front_command(struct sq_link_front *f, void (*run)(void *part))
{
	for (unsigned i = 0; i < f->n_parts; i++)
		sq_worker_tell(f->parts[i].worker, run, &f->parts[i]);
}

static void
front_refuse(const struct sq_front_worker *p, h2o_req_t *req, unsigned status, const char *allow,
    const char *detail)
{
	sq_front_count(p, SQ_M_BAD_REQUESTS, 1);
	if (allow != NULL)
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, allow, strlen(allow));
	sq_answer_problem(req, status, detail);
}

/* Whom sidecars are to trust. */
static void
front_answer_trust(struct sq_conn *c, h2o_req_t *req)
{
	struct sq_bytes text = sq_bundle_text(c->part->bundle);

	if (text.len == 0) {
		sq_answer_problem(req, 404, "this broker serves no bundle");
		return;
	}
	sq_conn_known(c);
	sq_reply_send(req, 200, "application/pem-certificate-chain", text.p, text.len);
}

static void
front_go(
    struct sq_conn *c, h2o_req_t *req, const struct sq_identity *who, const struct sq_proof *proof)
{
	struct sq_route route;
	unsigned status;

	status = sq_route_find(
	    (struct sq_bytes){(const unsigned char *)req->input.method.base, req->input.method.len},
	    (struct sq_bytes){(const unsigned char *)req->input.path.base, req->input.path.len},
	    &route);
	if (status == 0 && req->version < 0x200)
		status = 505;
	if (status != 0)
		front_refuse(
		    c->part, req, status, route.allow, status == 505 ? NULL : route.detail);
	else if (route.kind == SQ_ROUTE_DELIVERIES)
		sq_deliveries_open(c, req, route.link, who);
	else if (route.kind == SQ_ROUTE_TRUST)
		front_answer_trust(c, req);
	else
		sq_calls_start(c, req, &route, who);
	if (proof != NULL && c->stream != NULL &&
	    sq_allowed_again(sq_outlet_identity(sq_link_outlet(c->link)), who) == SQ_DENIED_NONE)
		c->proof = *proof;
}

/* Every request that h2o has taken in whole comes here. */
static int
front_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	(void)self;
	struct sq_conn *c = sq_conn_of(req);

	c->active_ms = sq_worker_now_ms(c->part->worker);
	sq_input_request(c, req);
	sq_ask_start(c, req, front_go);
	return 0;
}

static void
front_configure(struct sq_link_front *f)
{
	h2o_globalconf_t *conf = &f->conf;
	h2o_hostconf_t *host;

	h2o_config_init(conf);
	conf->server_name = h2o_iovec_init(H2O_STRLIT(""));
	/* h2o resets an HTTP/2 stream above its limit without a status, so ours,
	 * which answers 413, is a little lower. */
	conf->max_request_entity_size = (size_t)f->cfg.max_packet + 3 * SQ_BODY_SLACK +
	    (size_t)f->cfg.max_inflight * SQ_OPEN_ID_SIZE;
	/* Does not count while a request is open, as it always is on a link. */
	conf->http2.idle_timeout = f->cfg.idle_ms;
	conf->http1.upgrade_to_http2 = 0; /* not by Upgrade; see sq_input_start() */
	host = h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	host->http2.reprioritize_blocking_assets = 0;
	h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req =
	    front_on_req;
}

/* All parts show the same certificate, so one of them has it measured. */
static void
part_set_end(const struct sq_front_worker *p)
{
	int64_t end_s = p->certificate != NULL ? sq_tls_end(sq_certificate_context(p->certificate))
					       : 0;

	sq_metric_set(p->front->cfg.metrics, SQ_M_CERTIFICATE_ENDS, sq_clock_left_s(end_s));
}

/* Handshakes from now on are by the certificate that there is. */
static void
part_use_certificate(struct sq_front_worker *p)
{
	const struct sq_auth *auth = p->front->cfg.auth;
	SSL_CTX *ctx = sq_certificate_context(p->certificate);
	bool alone;

	if (auth != NULL && sq_auth_asks_certificates(auth, &alone))
		sq_peer_ask(ctx, alone);
	p->accept.ssl_ctx = ctx;
}

/* Takes up a certificate or a bundle that was replaced. */
static void
part_look_at_files(struct sq_front_worker *p, uint64_t now_ms)
{
	if (p->certificate != NULL && sq_certificate_refresh(p->certificate, now_ms)) {
		part_use_certificate(p);
		if (sq_worker_index(p->worker) == 0)
			SQ_INFO("front", "tls.cert-file: %s read again", p->front->cfg.cert_file);
	}
	if (sq_worker_index(p->worker) == 0)
		part_set_end(p);
	if (sq_bundle_refresh(p->bundle)) {
		if (sq_worker_index(p->worker) == 0)
			SQ_INFO("front", "tls.bundle-file: %s read again; the links are told",
			    p->front->cfg.bundle_file);
		sq_deliveries_trust(p);
	}
}

static void
part_tick(struct sq_crew_slot *s, uint64_t now_ms)
{
	struct sq_front_worker *p = part_of(s);

	if (!p->serving)
		return;
	sq_deliveries_tick(p, now_ms);
	sq_conns_tick(p, now_ms);
	if (now_ms < p->files_ms)
		return;
	p->files_ms = now_ms + FRONT_FILES_MS;
	part_look_at_files(p, now_ms);
}

/* The certificate and the bundle, for each worker. */
static int
front_tls(struct sq_link_front *f, struct sq_buf *err)
{
	for (unsigned i = 0; i < f->n_parts; i++) {
		struct sq_front_worker *p = &f->parts[i];

		p->bundle = sq_bundle_new(f->cfg.bundle_file);
		if (f->cfg.cert_file == NULL)
			continue;
		p->certificate = sq_certificate_new(
		    "front", f->cfg.cert_file, f->cfg.key_file, err);
		if (p->certificate == NULL)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Ours is put back before the sockets are polled again. */
static void
part_turned(struct sq_crew_slot *s)
{
	sq_inputs_turn(part_of(s));
}

static void
part_opened(struct sq_crew_slot *s)
{
	struct sq_front_worker *p = part_of(s);

	p->accept = (h2o_accept_ctx_t){.ctx = s->ctx, .hosts = p->front->conf.hosts};
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
front_part(struct sq_link_front *f, unsigned i)
{
	struct sq_front_worker *p = &f->parts[i];

	p->front = f;
	p->worker = sq_crew_workers(f->cfg.crew)[i];
	sq_list_init(&p->conns);
	sq_list_init(&p->unread);
	sq_list_init(&p->streams);
	sq_list_init(&p->calls.spare);
}

static unsigned
front_port(const struct sq_front *base)
{
	return front_of(base)->listen.port;
}

static void
front_serve(struct sq_front *base, struct sq_broker *broker)
{
	struct sq_link_front *f = front_of(base);

	f->broker = broker;
	f->serving = true;
	for (unsigned i = 0; i < f->n_parts; i++)
		sq_crew_slot_open(&f->parts[i].slot, f->parts[i].worker, &part_user, &f->conf);
}

static void
part_move(void *part)
{
	struct sq_front_worker *p = part;

	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, p->front->cfg.move_ms);
}

static void
front_move(struct sq_front *base)
{
	front_command(front_of(base), part_move);
}

static void
part_drain(void *part)
{
	struct sq_front_worker *p = part;

	sq_acceptor_close(&p->acceptor);
	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, 0);
}

static void
front_drain(struct sq_front *base)
{
	struct sq_link_front *f = front_of(base);

	atomic_store_explicit(&f->draining, true, memory_order_relaxed);
	front_command(f, part_drain);
}

static bool
front_idle(const struct sq_front *base)
{
	const struct sq_link_front *f = front_of(base);

	for (unsigned i = 0; i < f->n_parts; i++)
		if (atomic_load_explicit(&f->parts[i].calls.running, memory_order_acquire) != 0)
			return false;
	return true;
}

static void
part_goaway(void *part)
{
	struct sq_front_worker *p = part;

	p->serving = false;
	sq_acceptor_close(&p->acceptor);
	h2o_context_request_shutdown(p->slot.ctx);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node) {
		if (c->stream != NULL)
			sq_deliveries_end(c->stream);
	}
}

static void
part_kill(void *part)
{
	struct sq_front_worker *p = part;

	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		sq_conn_kill(c);
}

/* Waits until 'n' is 0, or 'ms' are over. */
static void
front_await(const atomic_uint *n, uint64_t ms)
{
	const struct timespec nap = {0, FRONT_POLL_MS * 1000000L};
	uint64_t until = sq_clock_ms() + ms;

	while (atomic_load_explicit(n, memory_order_acquire) != 0 && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
}

static void
front_stop(struct sq_front *base)
{
	struct sq_link_front *f = front_of(base);

	if (!f->serving)
		return;
	f->serving = false;
	front_command(f, part_goaway);
	front_await(&f->conns, FRONT_GRACE_MS);
	front_command(f, part_kill); /* also those that came before their worker heard of the end */
	front_await(&f->conns, FRONT_FORCE_MS);
	sq_crew_settle(f->cfg.crew);
}

static void
front_free(struct sq_front *base)
{
	struct sq_link_front *f = front_of(base);

	for (unsigned i = 0; i < f->n_parts; i++) {
		sq_certificate_free(&f->parts[i].certificate);
		sq_bundle_free(&f->parts[i].bundle);
		sq_lingers_fini(&f->parts[i].lingers);
		sq_calls_fini(&f->parts[i]);
	}
	sq_strangers_free(&f->strangers);
	sq_listen_close(&f->listen);
	h2o_config_dispose(&f->conf);
	sq_htab_fini(&f->links);
	pthread_mutex_destroy(&f->lock);
	free(f->parts);
	free(f);
}

static const struct sq_front_ops front_ops = {
    .name = "link",
    .serve = front_serve,
    .port = front_port,
    .move = front_move,
    .drain = front_drain,
    .idle = front_idle,
    .stop = front_stop,
    .free = front_free,
};

struct sq_front *
sq_link_front_open(const struct sq_link_front_cfg *cfg, struct sq_buf *err)
{
	struct sq_link_front *f = sq_xcalloc(1, sizeof *f);

	f->front.ops = &front_ops;
	f->cfg = *cfg;
	f->n_parts = sq_crew_size(cfg->crew);
	if (f->cfg.heartbeat_ms == 0)
		f->cfg.heartbeat_ms = SQ_HEARTBEAT_MS;
	if (f->cfg.unauthenticated_body == 0)
		f->cfg.unauthenticated_body = FRONT_STRANGER_BODY;
	if (f->cfg.unauthenticated_total == 0)
		f->cfg.unauthenticated_total = FRONT_STRANGER_TOTAL;
	f->strangers = sq_strangers_new(&(struct sq_strangers_cfg){.workers = f->n_parts,
	    .max = cfg->max_connections,
	    .per_address = cfg->strangers_per_address,
	    .total = f->cfg.unauthenticated_total,
	    .wake = sq_conns_wake,
	    .owner = f});
	f->parts = sq_xcalloc(f->n_parts, sizeof *f->parts);
	for (unsigned i = 0; i < f->n_parts; i++)
		front_part(f, i);
	pthread_mutex_init(&f->lock, NULL);
	front_configure(f);
	if (front_tls(f, err) != SQ_OK ||
	    sq_listen_open(&f->listen, "listen.address", cfg->listen, f->n_parts, err) != SQ_OK) {
		front_free(&f->front);
		return NULL;
	}
	return &f->front;
}
