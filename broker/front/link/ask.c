/* Authentication: the credential of a request on its way to broker/auth and back.
 *
 * A request without a credential has its link's identity; one with the last token that its link has
 * shown is not judged again.  Otherwise the answer may come later: like a call, a question outlives
 * its request, by a guard in the request's pool. */
#include "broker/front/link/ask.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/conn.h"
#include "broker/front/link/deliveries.h"
#include "broker/front/link/peer.h"
#include "broker/front/link/watch.h"
#include "broker/recent/refusals.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	ASK_PER_CONN = 256, /* requests of a connection that are with somebody */
	ASK_PEER_MAX = INET6_ADDRSTRLEN,
	ASK_LOOK_MS = 250,  /* between two looks at files and links */
	ASK_CLOSE_MS = 500, /* from the end of a link whose proof is gone to its connection's */
};

struct guard;

struct ask {
	struct sq_auth_request auth;
	struct sq_task task;
	struct sq_conn *conn; /* counted in its 'running' */
	struct guard *guard;  /* NULL once the request is gone */
	struct sq_proof proof;
	sq_ask_go_fn *go;
};

/* In the request's pool. */
struct guard {
	struct ask *owner; /* NULL once answered */
	h2o_req_t *req;
};

static void
guard_dispose(void *p)
{
	struct guard *g = p;

	if (g->owner != NULL)
		g->owner->guard = NULL;
}

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
ask_refuse(struct sq_conn *c, h2o_req_t *req, const struct sq_auth_request *r)
{
	unsigned status = sq_auth_reason_status(r->reason);
	size_t known = sq_buf_len(&r->known);
	char peer[ASK_PEER_MAX];

	ask_peer(c, peer);
	SQ_WARN("auth", "%s refused with %u, %s: %s%s%.*s%s", peer, status,
	    sq_auth_reason_name(r->reason), sq_auth_reason_text(r->reason), known > 0 ? " (" : "",
	    (int)known, known > 0 ? (const char *)sq_buf_data(&r->known) : "",
	    known > 0 ? ")" : "");
	sq_broker_refused(c->part->front->broker,
	    &(struct sq_refusal_seen){.who = sq_bytes_of(peer),
		.kind = "link",
		.reason = sq_auth_reason_name(r->reason),
		.text = sq_bytes_of(sq_auth_reason_text(r->reason)),
		.code = status});
	sq_front_count(c->part, SQ_M_AUTH_REFUSED(r->reason), 1);
	sq_front_count(c->part, SQ_M_BAD_REQUESTS, 1);
	if (status == 401)
		h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_WWW_AUTHENTICATE, NULL,
		    H2O_STRLIT("Bearer"));
	else
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
	sq_answer_problem(req, status, NULL);
	sq_toll_spend(&c->input.toll, SQ_TOLL_REFUSED);
}

/* Answers. */

/* Continues with the request after the answer in 'a'. */
static void
ask_answered(struct ask *a, h2o_req_t *req)
{
	struct sq_auth *auth = a->conn->part->front->cfg.auth;

	/* The basis of the identity may have gone while the answer was on its way. */
	if (a->auth.reason == SQ_AUTH_NONE && sq_auth_epoch(auth) != a->proof.epoch &&
	    !sq_auth_holds(auth, a->auth.basis))
		a->auth.reason = SQ_AUTH_UNKNOWN_KEY;
	if (a->auth.reason != SQ_AUTH_NONE) {
		ask_refuse(a->conn, req, &a->auth);
		return;
	}
	a->proof.basis = a->auth.basis;
	sq_conn_known(a->conn);
	a->go(a->conn, req, a->auth.identity, &a->proof);
}

static void
ask_free(struct ask *a)
{
	sq_auth_request_fini(&a->auth);
	free(a);
}

/* On the connection's worker. */
static void
ask_run(struct sq_task *t)
{
	struct ask *a = SQ_CONTAINER_OF(t, struct ask, task);
	struct sq_conn *conn = a->conn;

	if (a->guard != NULL) {
		a->guard->owner = NULL;
		ask_answered(a, a->guard->req);
	}
	ask_free(a);
	conn->running--;
	sq_conn_asked(conn, false);
	sq_watch_conn(conn);
	sq_conn_release(conn);
}

/* On a thread of broker/auth. */
static void
ask_done(struct sq_auth_request *r)
{
	struct ask *a = SQ_CONTAINER_OF(r, struct ask, auth);

	a->task.run = ask_run;
	sq_worker_post(a->conn->part->worker, &a->task);
}

/* Questions. */

static struct sq_bytes
ask_header(const h2o_req_t *req)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);
	h2o_iovec_t v = i >= 0 ? req->headers.entries[i].value : h2o_iovec_init(NULL, 0);

	return (struct sq_bytes){(const unsigned char *)v.base, v.len};
}

/* Whether the link's identity was proven by this very token, and still is. */
static bool
ask_is_links(const struct sq_conn *c, const struct sq_proof *now)
{
	const struct sq_identity *who;

	if (c->stream == NULL || c->proof.epoch != now->epoch ||
	    !sq_secret_equal(c->proof.token, now->token, sizeof now->token))
		return false;
	who = sq_outlet_identity(sq_link_outlet(c->link));
	return who->expires_s == 0 || (int64_t)(sq_clock_wall_ms() / 1000) < who->expires_s;
}

/* Asks, and keeps the request for an answer that comes later. */
static void
ask_judge(struct sq_conn *c, h2o_req_t *req, struct sq_bytes header, const struct sq_proof *proof,
    sq_ask_go_fn *go)
{
	struct ask *a = sq_xcalloc(1, sizeof *a);

	a->auth.credential = header;
	if (header.len == 0)
		(void)sq_peer_shown(c, &a->auth);
	a->auth.done = ask_done;
	a->conn = c;
	a->proof = *proof;
	a->go = go;
	a->guard = h2o_mem_alloc_shared(&req->pool, sizeof *a->guard, guard_dispose);
	*a->guard = (struct guard){a, req};
	c->running++;
	if (!sq_auth_ask(c->part->front->cfg.auth, &a->auth)) {
		sq_conn_asked(
		    c, true); /* it may be answered by now, but ask_run() is not before us */
		return;
	}
	a->guard->owner = NULL;
	ask_answered(a, req);
	ask_free(a);
	c->running--;
	sq_conn_release(c);
}

/* Nobody is asked. */
static void
ask_nobody(struct sq_conn *c, h2o_req_t *req, const struct sq_proof *proof, sq_ask_go_fn *go)
{
	const struct sq_identity *nobody = sq_identity_nobody();

	go(c, req, nobody, proof);
	sq_identity_unref(&nobody);
}

void
sq_ask_start(struct sq_conn *c, h2o_req_t *req, sq_ask_go_fn *go)
{
	struct sq_auth *auth = c->part->front->cfg.auth;
	struct sq_bytes header = ask_header(req);
	struct sq_proof proof = {.epoch = auth != NULL ? sq_auth_epoch(auth) : 0};

	if (auth == NULL || !sq_auth_asks(auth)) {
		ask_nobody(c, req, &proof, go);
		return;
	}
	if (header.len > 0)
		sq_digest(&header, 1, proof.token);
	if (c->stream != NULL && (header.len == 0 || ask_is_links(c, &proof)))
		go(c, req, sq_outlet_identity(sq_link_outlet(c->link)), NULL);
	else if (c->running >= ASK_PER_CONN)
		sq_answer_problem(req, 429, "too many requests of this connection are not done");
	else
		ask_judge(c, req, header, &proof, go);
}

/* Links whose proof no longer holds. */

static void
ask_doubt(struct sq_conn *c, uint64_t now_ms)
{
	const struct sq_link_front *f = c->part->front;
	char peer[ASK_PEER_MAX];

	if (c->stream == NULL || sq_auth_holds(f->cfg.auth, c->proof.basis))
		return;
	ask_peer(c, peer);
	SQ_WARN("auth", "%s: a link of %s ends: what proved it is gone", peer,
	    sq_outlet_identity(sq_link_outlet(c->link))->name);
	sq_conn_move(c, 0);
	c->close_at_ms = now_ms + ASK_CLOSE_MS; /* a sidecar dials anew with what it has by now */
	sq_deliveries_end(c->stream);
}

void
sq_ask_tick(struct sq_front_worker *p, uint64_t now_ms)
{
	struct sq_auth *auth = p->front->cfg.auth;
	struct sq_auth_counts counts;

	if (auth == NULL || now_ms < p->looks.at_ms)
		return;
	p->looks.at_ms = now_ms + ASK_LOOK_MS;
	sq_auth_refresh(auth);
	if (sq_worker_index(p->worker) == 0) {
		counts = sq_auth_counts(auth);
		sq_metric_set(p->front->cfg.metrics, SQ_M_AUTH_KEYS, (int64_t)counts.keys);
		sq_metric_set(
		    p->front->cfg.metrics, SQ_M_AUTH_KEYS_AGE, (int64_t)(counts.stale_ms / 1000));
		sq_metric_set(p->front->cfg.metrics, SQ_M_AUTH_TOKENS, (int64_t)counts.tokens);
		sq_metric_set(
		    p->front->cfg.metrics, SQ_M_AUTH_BAD_FILES, (int64_t)counts.bad_files);
		sq_metric_set(p->front->cfg.metrics, SQ_M_CLIENT_CRL_ENDS,
		    sq_clock_left_s(counts.lists_end_s));
	}
	if (p->looks.epoch == sq_auth_epoch(auth))
		return;
	p->looks.epoch = sq_auth_epoch(auth);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		ask_doubt(c, now_ms);
}
