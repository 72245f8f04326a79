/* Authentication: the credential of a request on its way to broker/auth and back.
 *
 * A request of a hold's service without a credential has the hold's identity; one with the last
 * token that the hold has shown is not judged again.  Otherwise the answer may come later, and the
 * request is pending until then. */
#include "broker/front/door/ask.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/peer.h"
#include "broker/front/door/pending.h"
#include "broker/recent/refusals.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	ASK_PER_CONN = 256, /* requests of a connection that are with somebody */
	ASK_PEER_MAX = INET6_ADDRSTRLEN,
	ASK_LOOK_MS = 250,  /* between two looks at files and holds */
	ASK_CLOSE_MS = 500, /* from the end of a hold whose proof is gone to its connection's */
};

struct ask {
	struct sq_auth_request auth;
	struct sq_task task;
	struct sq_pending_req pending;
	struct sq_service *service; /* the request's */
	struct sq_proof proof;
};

/* Refusals. */

static void
ask_peer(const struct sq_conn *c, char out[ASK_PEER_MAX])
{
	struct sockaddr_storage peer = {0};

	strcpy(out, "?");
	if (c->sock != NULL)
		(void)h2o_socket_getpeername(c->sock, (struct sockaddr *)&peer);
	(void)inet_ntop(peer.ss_family,
	    peer.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&peer)->sin6_addr
				       : (const void *)&((struct sockaddr_in *)&peer)->sin_addr,
	    out, ASK_PEER_MAX);
}

/* The operator sees the caller and the reason of the refusal; the caller does not. */
static void
ask_refuse(
    struct sq_conn *c, h2o_req_t *req, struct sq_service *service, const struct sq_auth_request *r)
{
	unsigned status = sq_auth_reason_status(r->reason);
	size_t known = sq_buf_len(&r->known);
	char peer[ASK_PEER_MAX];

	ask_peer(c, peer);
	SQ_WARN("auth", "%s refused with %u, %s: %s%s%.*s%s", peer, status,
	    sq_auth_reason_name(r->reason), sq_auth_reason_text(r->reason), known > 0 ? " (" : "",
	    (int)known, known > 0 ? (const char *)sq_buf_data(&r->known) : "",
	    known > 0 ? ")" : "");
	sq_broker_refused(c->part->door->broker,
	    &(struct sq_refusal_seen){.who = sq_bytes_of(peer),
		.kind = service->ops->name,
		.reason = sq_auth_reason_name(r->reason),
		.text = sq_bytes_of(sq_auth_reason_text(r->reason)),
		.code = status});
	sq_door_count(c->part, SQ_M_AUTH_REFUSED(r->reason), 1);
	sq_door_count(c->part, SQ_M_BAD_REQUESTS, 1);
	if (status == 401)
		h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_WWW_AUTHENTICATE, NULL,
		    H2O_STRLIT("Bearer"));
	else
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
	service->ops->refuse(
	    service, req, status == 401 ? SQ_TURNED_CREDENTIAL : SQ_TURNED_AUTH_AWAY);
	sq_toll_spend(&c->input.toll, SQ_TOLL_REFUSED);
}

/* Answers. */

/* Continues with the request after the answer in 'a'. */
static void
ask_answered(struct ask *a, h2o_req_t *req)
{
	struct sq_conn *c = a->pending.conn;
	struct sq_auth *auth = c->part->door->cfg.auth;

	/* The basis of the identity may have gone while the answer was on its way. */
	if (a->auth.reason == SQ_AUTH_NONE && sq_auth_epoch(auth) != a->proof.epoch &&
	    !sq_auth_holds(auth, a->auth.basis))
		a->auth.reason = SQ_AUTH_UNKNOWN_KEY;
	if (a->auth.reason != SQ_AUTH_NONE) {
		ask_refuse(c, req, a->service, &a->auth);
		return;
	}
	a->proof.basis = a->auth.basis;
	sq_conn_known(c);
	a->service->ops->request(a->service, c, req, a->auth.identity, &a->proof);
}

static void
ask_end(struct ask *a)
{
	struct sq_pending_req pending = a->pending;

	sq_auth_request_fini(&a->auth);
	free(a);
	sq_pending_end(&pending);
}

/* On the connection's worker. */
static void
ask_run(struct sq_task *t)
{
	struct ask *a = SQ_CONTAINER_OF(t, struct ask, task);
	h2o_req_t *req = sq_pending_request(&a->pending);

	if (req != NULL)
		ask_answered(a, req);
	sq_conn_asked(a->pending.conn, false);
	ask_end(a);
}

/* On a thread of broker/auth. */
static void
ask_done(struct sq_auth_request *r)
{
	struct ask *a = SQ_CONTAINER_OF(r, struct ask, auth);

	a->task.run = ask_run;
	sq_worker_post(a->pending.conn->part->worker, &a->task);
}

/* Questions. */

static struct sq_bytes
ask_header(const h2o_req_t *req)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);
	h2o_iovec_t v = i >= 0 ? req->headers.entries[i].value : h2o_iovec_init(NULL, 0);

	return (struct sq_bytes){(const unsigned char *)v.base, v.len};
}

/* Whether the hold's identity was proven by this very token, and still is. */
static bool
ask_is_holds(const struct sq_conn_hold *h, const struct sq_proof *now)
{
	if (h->proof.epoch != now->epoch ||
	    !sq_secret_equal(h->proof.token, now->token, sizeof now->token))
		return false;
	return h->who->expires_s == 0 || (int64_t)(sq_clock_wall_ms() / 1000) < h->who->expires_s;
}

/* Asks, and keeps the request for an answer that comes later. */
static void
ask_judge(struct sq_conn *c, h2o_req_t *req, struct sq_service *service, struct sq_bytes header,
    const struct sq_proof *proof)
{
	struct ask *a = sq_xcalloc(1, sizeof *a);

	a->auth.credential = header;
	if (header.len == 0)
		(void)sq_peer_shown(c, &a->auth);
	a->auth.done = ask_done;
	a->service = service;
	a->proof = *proof;
	sq_pending_ask(&a->pending, c, req);
	if (!sq_auth_ask(c->part->door->cfg.auth, &a->auth)) {
		sq_conn_asked(
		    c, true); /* it may be answered by now, but ask_run() is not before us */
		return;
	}
	ask_answered(a, sq_pending_request(&a->pending));
	ask_end(a);
}

/* Nobody is asked. */
static void
ask_nobody(
    struct sq_conn *c, h2o_req_t *req, struct sq_service *service, const struct sq_proof *proof)
{
	const struct sq_identity *nobody = sq_identity_nobody();

	service->ops->request(service, c, req, nobody, proof);
	sq_identity_unref(&nobody);
}

void
sq_ask_start(struct sq_conn *c, h2o_req_t *req, struct sq_service *service)
{
	struct sq_auth *auth = c->part->door->cfg.auth;
	const struct sq_conn_hold *hold = sq_conn_hold_of(c, service);
	struct sq_bytes header = ask_header(req);
	struct sq_proof proof = {.epoch = auth != NULL ? sq_auth_epoch(auth) : 0};

	if (auth == NULL || !sq_auth_asks(auth)) {
		ask_nobody(c, req, service, &proof);
		return;
	}
	if (header.len > 0)
		sq_digest(&header, 1, proof.token);
	if (hold != NULL && (header.len == 0 || ask_is_holds(hold, &proof)))
		service->ops->request(service, c, req, hold->who, NULL);
	else if (c->running >= ASK_PER_CONN)
		service->ops->refuse(service, req, SQ_TURNED_BUSY);
	else
		ask_judge(c, req, service, header, &proof);
}

/* Holds whose proof no longer counts. */

static void
ask_doubt(struct sq_conn *c, uint64_t now_ms)
{
	struct sq_conn_hold *h = c->hold;
	char peer[ASK_PEER_MAX];

	if (h == NULL || sq_auth_holds(c->part->door->cfg.auth, h->proof.basis))
		return;
	ask_peer(c, peer);
	SQ_WARN("auth", "%s: a %s of %s ends: what proved it is gone", peer, h->service->ops->name,
	    h->who->name);
	sq_conn_move(c, 0);
	c->close_at_ms = now_ms + ASK_CLOSE_MS; /* a peer dials anew with what it has by now */
	h->service->ops->ended(h);
}

void
sq_ask_tick(struct sq_door_part *p, uint64_t now_ms)
{
	struct sq_auth *auth = p->door->cfg.auth;
	struct sq_auth_counts counts;

	if (auth == NULL || now_ms < p->looks.at_ms)
		return;
	p->looks.at_ms = now_ms + ASK_LOOK_MS;
	sq_auth_refresh(auth);
	if (sq_worker_index(p->worker) == 0) {
		counts = sq_auth_counts(auth);
		sq_metric_set(p->door->cfg.metrics, SQ_M_AUTH_KEYS, (int64_t)counts.keys);
		sq_metric_set(
		    p->door->cfg.metrics, SQ_M_AUTH_KEYS_AGE, (int64_t)(counts.stale_ms / 1000));
		sq_metric_set(p->door->cfg.metrics, SQ_M_AUTH_TOKENS, (int64_t)counts.tokens);
		sq_metric_set(p->door->cfg.metrics, SQ_M_AUTH_BAD_FILES, (int64_t)counts.bad_files);
		sq_metric_set(p->door->cfg.metrics, SQ_M_CLIENT_CRL_ENDS,
		    sq_clock_left_s(counts.lists_end_s));
	}
	if (p->looks.epoch == sq_auth_epoch(auth))
		return;
	p->looks.epoch = sq_auth_epoch(auth);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		ask_doubt(c, now_ms);
}
