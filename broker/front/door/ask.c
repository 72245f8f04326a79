/* Authentication: the credential of a request on its way to broker/auth and back.
 *
 * A request of a hold's service without a credential has the hold's identity; one with the last
 * token that the hold has shown is not judged again.  Otherwise the answer may come later, and the
 * request is pending until then. */
#include "broker/front/door/ask.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/broker.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/ledger.h"
#include "broker/front/door/peer.h"
#include "broker/front/door/pending.h"
#include "broker/recent/refusals.h"
#include "core/base64.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	ASK_PER_CONN = 256, /* requests of a connection that are with somebody */
	ASK_LOOK_MS = 250,  /* between two looks at files and holds */
	ASK_CLOSE_MS = 500, /* for a peer to go, whose proof is gone, or who has no place */
};

struct ask {
	struct sq_auth_request auth;
	struct sq_task task;
	struct sq_pending_req pending;
	struct sq_service *service; /* the request's */
	struct sq_proof proof;
	bool early; /* of a request that has not come whole */
};

/* Refusals. */

/* Refuses a request that may be sent again. */
static void
ask_turn_away(h2o_req_t *req, struct sq_service *service, enum sq_turned why)
{
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
	service->ops->refuse(service, req, why);
}

/* The operator sees the caller and the reason of the refusal; the caller does not. */
static void
ask_refuse(
    struct sq_conn *c, h2o_req_t *req, struct sq_service *service, const struct sq_auth_request *r)
{
	struct sq_broker *broker = c->part->door->broker;
	unsigned status = sq_auth_reason_status(r->reason);
	size_t known = sq_buf_len(&r->known);
	char peer[SQ_CONN_ADDRESS_MAX];

	(void)sq_conn_address(c, peer);
	SQ_WARN("auth", "%s refused with %u, %s: %s%s%.*s%s", peer, status,
	    sq_auth_reason_name(r->reason), sq_auth_reason_text(r->reason), known > 0 ? " (" : "",
	    (int)known, known > 0 ? (const char *)sq_buf_data(&r->known) : "",
	    known > 0 ? ")" : "");
	if (broker != NULL)
		sq_broker_refused(broker,
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

/* The basis of the identity may have gone while the answer was on its way. */
static bool
ask_good(struct ask *a)
{
	struct sq_auth *auth = a->pending.conn->part->door->cfg.auth;

	if (a->auth.reason == SQ_AUTH_NONE && sq_auth_epoch(auth) != a->proof.epoch &&
	    !sq_auth_holds(auth, a->auth.basis))
		a->auth.reason = SQ_AUTH_UNKNOWN_KEY;
	return a->auth.reason == SQ_AUTH_NONE;
}

/* Whether the connection is one of that identity's, or has room among them. */
static bool
ask_counts(struct sq_conn *c, const struct sq_service *service, const struct sq_identity *who)
{
	struct sq_ledger *places = c->part->door->places;

	if (service->max_identity_conns == 0 || c->sock == NULL || c->hold != NULL ||
	    who->id == SQ_IDENTITY_NOBODY || (c->place != NULL && sq_ledger_is(c->place, who->id)))
		return true;
	sq_ledger_leave(places, &c->place);
	c->place = sq_ledger_enter(places, who->id, service->max_identity_conns);
	return c->place != NULL;
}

/* Continues with the connection, whose request is asked for again when it has come whole. */
static void
ask_answered_early(struct ask *a)
{
	struct sq_conn *c = a->pending.conn;

	if (ask_good(a) && ask_counts(c, a->service, a->auth.identity))
		sq_conn_known(c);
	else
		sq_toll_spend(&c->input.toll, SQ_TOLL_REFUSED);
}

/* Whether the connection counts as one of that identity's; else the service refuses the request, and it
 * ends. */
static bool
ask_place(
    struct sq_conn *c, h2o_req_t *req, struct sq_service *service, const struct sq_identity *who)
{
	if (ask_counts(c, service, who))
		return true;
	req->http1_is_persistent = 0;
	c->close_at_ms = sq_worker_now_ms(c->part->worker) + ASK_CLOSE_MS;
	ask_turn_away(req, service, SQ_TURNED_IDENTITY_CONNS);
	return false;
}

/* Whether there is room for one more request of that identity; else the service refuses it. */
static bool
ask_admit(const struct sq_conn *c, h2o_req_t *req, struct sq_service *service,
    const struct sq_identity *who)
{
	struct sq_ledger *requests = c->part->door->requests;

	if (service->max_identity_running == 0 ||
	    sq_ledger_count(requests, who->id) < service->max_identity_running)
		return true;
	ask_turn_away(req, service, SQ_TURNED_IDENTITY_BUSY);
	return false;
}

static void
ask_hand_over(struct sq_conn *c, h2o_req_t *req, struct sq_service *service,
    const struct sq_identity *who, const struct sq_proof *proof)
{
	if (ask_place(c, req, service, who) && ask_admit(c, req, service, who))
		service->ops->request(service, c, req, who, proof);
}

/* Continues with the request after the answer in 'a'. */
static void
ask_answered(struct ask *a, h2o_req_t *req)
{
	struct sq_conn *c = a->pending.conn;

	if (!ask_good(a)) {
		ask_refuse(c, req, a->service, &a->auth);
		return;
	}
	a->proof.basis = a->auth.basis;
	sq_conn_known(c);
	ask_hand_over(c, req, a->service, a->auth.identity, &a->proof);
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

	if (a->early)
		ask_answered_early(a);
	else if (req != NULL)
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

struct sq_bytes
sq_ask_header(const h2o_req_t *req)
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

static struct ask *
ask_new(const struct sq_conn *c, struct sq_service *service, struct sq_bytes header,
    const struct sq_proof *proof)
{
	struct ask *a = sq_xcalloc(1, sizeof *a);

	a->auth.credential = header;
	if (header.len == 0)
		(void)sq_peer_shown(c, &a->auth);
	a->auth.done = ask_done;
	a->service = service;
	a->proof = *proof;
	return a;
}

/* Asks; false: the answer comes later, and the credential is needed no more. */
static bool
ask_now(struct ask *a, struct sq_conn *c)
{
	if (sq_auth_ask(c->part->door->cfg.auth, &a->auth))
		return true;
	sq_conn_asked(c, true); /* it may be answered by now, but ask_run() is not before us */
	return false;
}

/* Asks, and keeps the request for an answer that comes later. */
static void
ask_judge(struct sq_conn *c, h2o_req_t *req, struct sq_service *service, struct sq_bytes header,
    const struct sq_proof *proof)
{
	struct ask *a = ask_new(c, service, header, proof);

	sq_pending_ask(&a->pending, c, req);
	if (!ask_now(a, c))
		return;
	ask_answered(a, sq_pending_request(&a->pending));
	ask_end(a);
}

/* "Bearer TOKEN" of "Basic BASE64(anybody:TOKEN)", which the caller frees; false: it is none. */
static bool
ask_basic(struct sq_bytes header, struct sq_buf *out)
{
	static const char scheme[] = "Basic ", bearer[] = "Bearer ";
	const size_t n = sizeof scheme - 1;
	struct sq_buf pair = {0};
	const unsigned char *colon = NULL;

	if (header.len <= n || strncasecmp((const char *)header.p, scheme, n) != 0)
		return false;
	if (sq_base64_take(&pair, (const char *)header.p + n, header.len - n) == SQ_OK)
		colon = memchr(sq_buf_data(&pair), ':', sq_buf_len(&pair));
	if (colon != NULL) {
		const unsigned char *end = sq_buf_data(&pair) + sq_buf_len(&pair);

		sq_buf_append(out, bearer, sizeof bearer - 1);
		sq_buf_append(out, colon + 1, (size_t)(end - colon - 1));
	}
	sq_buf_wipe(&pair);
	return colon != NULL;
}

void
sq_ask_early(struct sq_conn *c, struct sq_service *service, struct sq_bytes header)
{
	struct sq_auth *auth = c->part->door->cfg.auth;
	struct sq_buf basic = {0};
	struct sq_proof proof = {0};
	struct ask *a;

	if (auth == NULL || !sq_auth_asks(auth)) {
		sq_conn_known(c);
		return;
	}
	if (ask_basic(header, &basic))
		header = sq_buf_bytes(&basic);
	proof.epoch = sq_auth_epoch(auth);
	a = ask_new(c, service, header, &proof);
	a->early = true;
	sq_pending_ask(&a->pending, c, NULL);
	if (ask_now(a, c)) {
		ask_answered_early(a);
		ask_end(a);
	}
	sq_buf_wipe(&basic);
}

/* Nobody is asked. */
static void
ask_nobody(
    struct sq_conn *c, h2o_req_t *req, struct sq_service *service, const struct sq_proof *proof)
{
	const struct sq_identity *nobody = sq_identity_nobody();

	if (service->plain)
		sq_conn_known(c);
	ask_hand_over(c, req, service, nobody, proof);
	sq_identity_unref(&nobody);
}

void
sq_ask_start(struct sq_conn *c, h2o_req_t *req, struct sq_service *service)
{
	struct sq_auth *auth = c->part->door->cfg.auth;
	const struct sq_conn_hold *hold = sq_conn_hold_of(c, service);
	struct sq_bytes header = sq_ask_header(req);
	struct sq_proof proof = {.epoch = auth != NULL ? sq_auth_epoch(auth) : 0};
	struct sq_buf basic = {0};

	if (service->max_running > 0 && c->running >= service->max_running) {
		ask_turn_away(req, service, SQ_TURNED_BUSY);
		return;
	}
	if (auth == NULL || !sq_auth_asks(auth)) {
		ask_nobody(c, req, service, &proof);
		return;
	}
	if (service->plain && ask_basic(header, &basic))
		header = sq_buf_bytes(&basic);
	if (header.len > 0)
		sq_digest(&header, 1, proof.token);
	if (hold != NULL && (header.len == 0 || ask_is_holds(hold, &proof)))
		service->ops->request(service, c, req, hold->who, NULL);
	else if (c->running >= ASK_PER_CONN)
		ask_turn_away(req, service, SQ_TURNED_BUSY);
	else
		ask_judge(c, req, service, header, &proof);
	sq_buf_wipe(&basic);
}

/* Holds whose proof no longer counts. */

static void
ask_doubt(struct sq_conn *c, uint64_t now_ms)
{
	struct sq_conn_hold *h = c->hold;
	char peer[SQ_CONN_ADDRESS_MAX];

	if (h == NULL || sq_auth_holds(c->part->door->cfg.auth, h->proof.basis))
		return;
	(void)sq_conn_address(c, peer);
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
