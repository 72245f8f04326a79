/* The front's life, and the way of a request to its handler. */
#include "broker/front/link/front.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/auth/allowed.h"
#include "broker/broker.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/front_priv.h"
#include "broker/front/link/peer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "core/tls.h"
#include "proto/link/frame.h"

enum {
	FRONT_HEARTBEAT_MS = 5000, /* docs/link.md, "Deliveries" */
	FRONT_GRACE_MS = 500,      /* for peers to close after GOAWAY */
	FRONT_FORCE_MS = 5000,     /* for sockets that were shut down to be noticed */
	FRONT_POLL_MS = 5,
	FRONT_FILES_MS = 1000, /* between two looks at certificate and bundle */
	FRONT_ROUNDS = 4,      /* how far tasks may pass from worker to worker */
	FRONT_STRANGER_BODY = 64 << 10,
	FRONT_STRANGER_TOTAL = 16 << 20,
};

/* Something that a worker shall do. */
struct command {
	struct sq_task task;
	struct sq_front_worker *part;
	void (*run)(struct sq_front_worker *);
};

static void
command_run(struct sq_task *t)
{
	struct command *c = SQ_CONTAINER_OF(t, struct command, task);

	c->run(c->part);
	free(c);
}

static void
front_command(struct sq_front *f, void (*run)(struct sq_front_worker *))
{
	for (unsigned i = 0; i < f->cfg.workers; i++) {
		struct command *c = sq_xcalloc(1, sizeof *c);

		c->task.run = command_run;
		c->part = &f->parts[i];
		c->run = run;
		sq_worker_post(f->workers[i], &c->task);
	}
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
	req->res.status = 200;
	req->res.reason = "OK";
	sq_conn_known(c);
	req->res.content_length = text.len;
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
	    H2O_STRLIT("application/pem-certificate-chain"));
	h2o_send_inline(req, (const char *)text.p, text.len);
}

void
sq_front_go(
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
	sq_ask_start(c, req);
	return 0;
}

static void
front_configure(struct sq_front *f)
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

/* On one worker: all show the same. */
static void
part_set_end(const struct sq_front_worker *p)
{
	int64_t end_s = p->certificate != NULL ? sq_tls_end(sq_certificate_context(p->certificate))
					       : 0;

	if (sq_worker_index(p->worker) == 0)
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
	part_set_end(p);
	if (sq_bundle_refresh(p->bundle)) {
		if (sq_worker_index(p->worker) == 0)
			SQ_INFO("front", "tls.bundle-file: %s read again; the links are told",
			    p->front->cfg.bundle_file);
		sq_deliveries_trust(p);
	}
}

static void
part_tick(void *owner)
{
	struct sq_front_worker *p = owner;
	uint64_t now_ms;

	if (!p->serving)
		return;
	now_ms = sq_worker_now_ms(p->worker);
	sq_memory_tick(now_ms);
	if (sq_worker_index(p->worker) == 0)
		sq_memory_metrics(p->front->cfg.metrics, SQ_M_MEMORY_BYTES);
	sq_broker_tick(p->front->broker, p->worker);
	sq_deliveries_tick(p, now_ms);
	sq_conns_tick(p, now_ms);
	if (now_ms < p->files_ms)
		return;
	p->files_ms = now_ms + FRONT_FILES_MS;
	part_look_at_files(p, now_ms);
}

/* The certificate and the bundle, for each worker. */
static int
front_tls(struct sq_front *f, struct sq_buf *err)
{
	for (unsigned i = 0; i < f->cfg.workers; i++) {
		struct sq_front_worker *p = &f->parts[i];

		p->bundle = sq_bundle_new(f->cfg.bundle_file);
		if (f->cfg.cert_file == NULL)
			continue;
		p->certificate = sq_certificate_new(f->cfg.cert_file, f->cfg.key_file, err);
		if (p->certificate == NULL)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Ours is put back before the sockets are polled again. */
static void
part_turned(void *owner)
{
	sq_inputs_turn(owner);
}

static void
front_start(struct sq_front *f, unsigned i)
{
	struct sq_front_worker *p = &f->parts[i];

	p->front = f;
	sq_list_init(&p->conns);
	sq_list_init(&p->unread);
	sq_list_init(&p->streams);
	sq_list_init(&p->spare);
	p->worker = f->workers[i] = sq_worker_start(&(struct sq_worker_cfg){
	    .index = i, .conf = &f->conf, .tick = part_tick, .turned = part_turned, .owner = p});
}

struct sq_front *
sq_front_new(const struct sq_front_cfg *cfg, struct sq_buf *err)
{
	struct sq_front *f = sq_xcalloc(1, sizeof *f);

	assert(cfg->workers > 0);
	f->cfg = *cfg;
	if (f->cfg.heartbeat_ms == 0)
		f->cfg.heartbeat_ms = FRONT_HEARTBEAT_MS;
	if (f->cfg.unauthenticated_body == 0)
		f->cfg.unauthenticated_body = FRONT_STRANGER_BODY;
	if (f->cfg.unauthenticated_total == 0)
		f->cfg.unauthenticated_total = FRONT_STRANGER_TOTAL;
	f->strangers = sq_strangers_new(&(struct sq_strangers_cfg){.workers = cfg->workers,
	    .max = cfg->max_connections,
	    .per_address = cfg->strangers_per_address,
	    .total = f->cfg.unauthenticated_total,
	    .wake = sq_conns_wake,
	    .owner = f});
	f->parts = sq_xcalloc(cfg->workers, sizeof *f->parts);
	f->workers = sq_xcalloc(cfg->workers, sizeof(struct sq_worker *));
	pthread_mutex_init(&f->lock, NULL);
	front_configure(f);
	if (front_tls(f, err) != SQ_OK ||
	    sq_listen_open(&f->listen, "listen.address", cfg->listen, cfg->workers, err) != SQ_OK) {
		sq_front_free(&f);
		return NULL;
	}
	for (unsigned i = 0; i < cfg->workers; i++)
		front_start(f, i);
	return f;
}

struct sq_worker *const *
sq_front_workers(const struct sq_front *f)
{
	return f->workers;
}

unsigned
sq_front_port(const struct sq_front *f)
{
	return f->listen.port;
}

static void
part_serve(struct sq_front_worker *p)
{
	p->accept = (h2o_accept_ctx_t){
	    .ctx = sq_worker_context(p->worker), .hosts = p->front->conf.hosts};
	if (p->certificate != NULL)
		part_use_certificate(p);
	p->serving = true;
	part_tick(p); /* what it shows is right when the first link comes: 0 would be an expired
			 certificate, or no limit of memory */
	sq_conn_listen(p, sq_worker_index(p->worker));
}

void
sq_front_serve(struct sq_front *f, struct sq_broker *broker)
{
	f->broker = broker;
	front_command(f, part_serve);
}

static void
part_move(struct sq_front_worker *p)
{
	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, p->front->cfg.move_ms);
}

void
sq_front_move(struct sq_front *f)
{
	front_command(f, part_move);
}

static void
part_drain(struct sq_front_worker *p)
{
	sq_conn_unlisten(p);
	SQ_LIST_FOR_EACH(c, &p->conns, struct sq_conn, node)
		sq_conn_move(c, 0);
}

void
sq_front_drain(struct sq_front *f)
{
	atomic_store_explicit(&f->draining, true, memory_order_relaxed);
	front_command(f, part_drain);
}

bool
sq_front_idle(const struct sq_front *f)
{
	for (unsigned i = 0; i < f->cfg.workers; i++)
		if (atomic_load_explicit(&f->parts[i].running, memory_order_acquire) != 0)
			return false;
	return true;
}

bool
sq_front_live(const struct sq_front *f, uint64_t ms, struct sq_buf *why)
{
	uint64_t now = sq_clock_ms();
	bool live = true;

	for (unsigned i = 0; i < f->cfg.workers; i++) {
		if (now - sq_worker_turned_ms(f->workers[i]) <= ms)
			continue;
		sq_buf_printf(why, "worker %u: its loop has not turned for %llu ms\n", i,
		    (unsigned long long)(now - sq_worker_turned_ms(f->workers[i])));
		live = false;
	}
	return live;
}

static void
part_goaway(struct sq_front_worker *p)
{
	p->serving = false;
	sq_conn_unlisten(p);
	h2o_context_request_shutdown(sq_worker_context(p->worker));
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node) {
		if (c->stream != NULL)
			sq_deliveries_end(c->stream);
	}
}

static void
part_kill(struct sq_front_worker *p)
{
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		sq_conn_kill(c);
}

static void
part_barrier(struct sq_front_worker *p)
{
	atomic_fetch_sub_explicit(&p->front->barrier, 1, memory_order_release);
}

/* Waits until 'n' is 0; false after 'ms'. */
static bool
front_await(const atomic_uint *n, uint64_t ms)
{
	const struct timespec nap = {0, FRONT_POLL_MS * 1000000L};
	uint64_t until = sq_clock_ms() + ms;

	while (atomic_load_explicit(n, memory_order_acquire) != 0) {
		if (sq_clock_ms() >= until)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

/* Lets tasks that workers have posted to each other come to their end. */
static void
front_settle(struct sq_front *f)
{
	for (unsigned i = 0; i < FRONT_ROUNDS; i++) {
		atomic_store_explicit(&f->barrier, f->cfg.workers, memory_order_relaxed);
		front_command(f, part_barrier);
		front_await(&f->barrier, UINT64_MAX / 2);
	}
}

void
sq_front_stop(struct sq_front *f)
{
	front_command(f, part_goaway);
	if (!front_await(&f->conns, FRONT_GRACE_MS)) {
		front_command(f, part_kill);
		front_await(&f->conns, FRONT_FORCE_MS);
	}
	front_settle(f);
	if (f->broker != NULL)
		sq_broker_stop(f->broker);
	for (unsigned i = 0; i < f->cfg.workers; i++)
		sq_worker_stop(f->workers[i]);
}

void
sq_front_free(struct sq_front **fp)
{
	struct sq_front *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	for (unsigned i = 0; i < f->cfg.workers; i++) {
		sq_worker_free(&f->workers[i]);
		sq_certificate_free(&f->parts[i].certificate);
		sq_bundle_free(&f->parts[i].bundle);
		sq_lingers_fini(&f->parts[i].lingers);
		if (f->parts[i].front != NULL)
			sq_calls_fini(&f->parts[i]);
	}
	sq_strangers_free(&f->strangers);
	sq_listen_close(&f->listen);
	h2o_config_dispose(&f->conf);
	sq_htab_fini(&f->links);
	pthread_mutex_destroy(&f->lock);
	free(f->workers);
	free(f->parts);
	free(f);
}
