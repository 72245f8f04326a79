/* The response of GET /v1/links/{link}/deliveries: a link's buffer is written once per turn, in one
 * h2o_send().
 *
 * A stream is a link, and a hold of its connection.  It is in the request's pool, so it ends with the request:
 * by the end of the response, a reset of the stream or the loss of the connection. */
#include "broker/front/link/deliveries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/front/door/elsewhere.h"
#include "broker/front/link/answer.h"
#include "core/log.h"
#include "core/mem.h"

enum { VERSION_DIGITS = 9 };

struct sq_stream {
	h2o_generator_t generator; /* first: h2o hands it back */
	h2o_req_t *req;
	struct sq_conn_hold hold; /* of its connection, while the link is open */
	struct sq_link_part *part;
	struct sq_link *link; /* a reference */
	struct sq_hnode by_id;
	struct sq_list node; /* of its worker; not in it once ending */
	uint64_t since_ms;   /* of its begin */
	uint64_t active_ms;  /* of the last send, or look at a stalled one */
	uint64_t moved_ms;   /* when bytes last left */
	size_t moved_bytes;  /* how many had */
	struct sq_buf sending;
	bool in_flight; /* h2o has 'sending' */
	bool held, ending, ended;
};

/* Wakes the sessions of one worker that waited for room. */
struct wake {
	struct sq_task task;
	struct sq_broker *broker;
	struct sq_outlet *outlet; /* a reference */
};

static void
wake_run(struct sq_task *t)
{
	struct wake *w = SQ_CONTAINER_OF(t, struct wake, task);

	if (sq_outlet_open(w->outlet)) /* it is never open once the broker is gone */
		sq_broker_outlet_writable(w->broker, w->outlet);
	sq_outlet_unref(&w->outlet);
	free(w);
}

static void
stream_wake(struct sq_stream *s)
{
	struct sq_link_front *f = s->part->front;

	for (unsigned i = 0; i < f->n_parts; i++) {
		struct wake *w = sq_xcalloc(1, sizeof *w);

		w->task.run = wake_run;
		w->broker = f->broker;
		w->outlet = sq_outlet_ref(sq_link_outlet(s->link));
		sq_worker_post(f->parts[i].worker, &w->task);
	}
}

static void
stream_touch(struct sq_stream *s)
{
	s->active_ms = sq_worker_now_ms(s->part->worker);
	if (s->ending)
		return;
	sq_list_remove(&s->node);
	sq_list_push_back(&s->part->streams, &s->node);
}

/* Gives the buffer to h2o, unless h2o still has output. */
static void
stream_flush(void *stream)
{
	struct sq_stream *s = stream;
	h2o_iovec_t v;

	if (s->in_flight || s->ended)
		return;
	if (sq_link_take(s->link, &s->sending)) {
		s->in_flight = true;
		stream_touch(s);
		s->moved_ms = s->active_ms;
		v = h2o_iovec_init(sq_buf_data(&s->sending), sq_buf_len(&s->sending));
		sq_link_count(s->part, SQ_M_DELIVERY_BYTES, (int64_t)v.len);
		h2o_send(s->req, &v, 1, H2O_SEND_STATE_IN_PROGRESS);
		sq_conn_sent(s->hold.conn, v.len);
	} else if (s->ending) {
		s->ended = true;
		h2o_send(s->req, NULL, 0, H2O_SEND_STATE_FINAL);
	}
}

/* h2o has written its output. */
static void
stream_proceed(h2o_generator_t *g, h2o_req_t *req)
{
	struct sq_stream *s = SQ_CONTAINER_OF(g, struct sq_stream, generator);

	(void)req;
	if (s->in_flight) {
		s->in_flight = false;
		sq_buf_drain(&s->sending, sq_buf_len(&s->sending));
		sq_buf_trim(&s->sending, SQ_LINK_KEEP);
		if (sq_link_written(s->link))
			stream_wake(s);
	}
	stream_flush(s);
}

/* The link closes: for the broker, the registry and the connection. */
static void
stream_close(struct sq_stream *s)
{
	struct sq_link_front *f = s->part->front;

	if (!s->held)
		return;
	s->held = false;
	sq_conn_hold_end(&s->hold);
	s->ending = true;
	sq_list_remove(&s->node);
	sq_link_close(s->link);
	pthread_mutex_lock(&f->lock);
	sq_htab_remove(&f->links, &s->by_id);
	pthread_mutex_unlock(&f->lock);
	sq_link_count(s->part, SQ_M_LINKS, -1);
	SQ_DEBUG("link", "%016llx closed", (unsigned long long)sq_link_id(s->link));
	sq_broker_outlet_closed(f->broker, sq_link_outlet(s->link));
}

static void
stream_dispose(void *stream)
{
	struct sq_stream *s = stream;

	stream_close(s);
	sq_link_orphan(&s->link);
	sq_buf_fini(&s->sending);
}

/* Enters the link's id; false when it is open already. */
static bool
stream_enter(struct sq_link_front *f, struct sq_stream *s, uint64_t id)
{
	uint64_t hash = sq_hash(&id, sizeof id); /* peers choose ids */
	struct sq_hnode *n;

	pthread_mutex_lock(&f->lock);
	for (n = sq_htab_find(&f->links, hash); n != NULL; n = sq_htab_next_same(n))
		if (sq_link_id(SQ_CONTAINER_OF(n, struct sq_stream, by_id)->link) == id)
			break;
	if (n == NULL)
		sq_htab_insert(&f->links, &s->by_id, hash);
	pthread_mutex_unlock(&f->lock);
	return n == NULL;
}

/* The version that both speak, by the request's "sqmqos-link"; 0: it is no version. */
static unsigned
stream_version(const h2o_req_t *req)
{
	ssize_t at = h2o_find_header_by_str(&req->headers, H2O_STRLIT("sqmqos-link"), SIZE_MAX);
	const h2o_iovec_t *v;
	unsigned wanted = 0;

	if (at < 0)
		return SQ_LINK_VERSION_MIN;
	v = &req->headers.entries[at].value;
	if (v->len == 0 || v->len > VERSION_DIGITS)
		return 0;
	for (size_t i = 0; i < v->len; i++) {
		if (v->base[i] < '0' || v->base[i] > '9')
			return 0;
		wanted = wanted * 10 + (unsigned)(v->base[i] - '0');
	}
	return sq_link_version_both(wanted);
}

static void
stream_say_version(h2o_req_t *req, unsigned version)
{
	char *text = h2o_mem_alloc_pool(&req->pool, VERSION_DIGITS + 1);
	int n = snprintf(text, VERSION_DIGITS + 1, "%u", version);

	h2o_add_header_by_str(
	    &req->pool, &req->res.headers, H2O_STRLIT("sqmqos-link"), 0, NULL, text, (size_t)n);
}

static struct sq_stream *
stream_new(struct sq_link_part *p, struct sq_conn *c, h2o_req_t *req, const struct sq_link_cfg *cfg)
{
	struct sq_stream *s = h2o_mem_alloc_shared(&req->pool, sizeof *s, stream_dispose);

	*s = (struct sq_stream){
	    .generator = {stream_proceed, NULL}, .req = req, .hold = {.conn = c}, .part = p};
	s->link = sq_link_new(&(struct sq_link_cfg){.id = cfg->id,
	    .version = cfg->version,
	    .identity = cfg->identity,
	    .home = p->worker,
	    .flush = stream_flush,
	    .stream = s});
	sq_list_init(&s->node);
	return s;
}

/* The bundle of authorities that is served, if any. */
static void
stream_say_trust(struct sq_stream *s)
{
	uint64_t digest = sq_bundle_digest(s->part->bundle);

	if (digest != 0)
		sq_link_trust(s->link, digest);
}

void
sq_deliveries_trust(struct sq_link_part *p)
{
	SQ_LIST_FOR_EACH(s, &p->streams, struct sq_stream, node)
		stream_say_trust(s);
}

void
sq_deliveries_open(struct sq_link_part *p, struct sq_conn *c, h2o_req_t *req, uint64_t id,
    const struct sq_identity *who)
{
	struct sq_link_front *f = p->front;
	struct sq_link_cfg cfg = {.id = id, .version = stream_version(req), .identity = who};
	struct sq_place place;
	struct sq_stream *s;

	if (cfg.version < SQ_LINK_VERSION_MIN) {
		sq_answer_problem(req, 400, "sqmqos-link is not a version of the link");
		return;
	}
	if (sq_conn_leaving(c)) {
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
		sq_answer_problem(req, 503, "the broker or the connection is draining");
		return;
	}
	if (sq_conn_held(c)) {
		sq_answer_problem(req, 409, "the connection has a link already");
		return;
	}
	s = stream_new(p, c, req, &cfg);
	if (!sq_broker_outlet_opens(f->broker, sq_link_outlet(s->link))) {
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("10"));
		h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("sqmqos-full"), 0,
		    NULL, H2O_STRLIT("space"));
		sq_answer_problem(req, 503, "its tenant has as many connections as it may");
		return;
	}
	if (!stream_enter(f, s, id)) {
		sq_answer_problem(req, 409, "the link id is open already");
		return;
	}
	s->since_ms = sq_worker_now_ms(p->worker);
	s->held = true;
	sq_conn_hold_begin(&s->hold, &f->service, c, sq_outlet_identity(sq_link_outlet(s->link)));
	sq_link_count(p, SQ_M_LINKS, 1);
	SQ_DEBUG("link", "%016llx open, version %u", (unsigned long long)id, cfg.version);
	req->res.status = 200;
	req->res.reason = "OK";
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
	    H2O_STRLIT("application/octet-stream"));
	stream_say_version(req, cfg.version);
	place = sq_elsewhere_place(f->cfg.place);
	if (cfg.version >= 3)
		sq_elsewhere_headers(req, &place);
	h2o_start_response(req, &s->generator);
	sq_link_heartbeat(s->link); /* the first frame says that the link is open */
	stream_say_trust(s);
}

struct sq_link *
sq_deliveries_link(const struct sq_conn_hold *hold)
{
	return SQ_CONTAINER_OF(hold, struct sq_stream, hold)->link;
}

void
sq_deliveries_look_at_standby(struct sq_link_part *p)
{
	struct sq_place place;

	if (p->front->cfg.place == NULL || !sq_link_serves(p->front))
		return;
	place = sq_elsewhere_place(p->front->cfg.place);
	if (strcmp(place.standby, p->standby) == 0)
		return;
	memcpy(p->standby, place.standby, sizeof p->standby);
	SQ_LIST_FOR_EACH(s, &p->streams, struct sq_stream, node)
		sq_link_standby(s->link, p->standby);
}

/* One broker of several that ends names the next one; a link that is only to be renewed comes back. */
void
sq_deliveries_moved(struct sq_conn_hold *hold)
{
	const struct sq_stream *s = SQ_CONTAINER_OF(hold, struct sq_stream, hold);
	struct sq_place place = sq_elsewhere_place(s->part->front->cfg.place);
	const char *to = "";

	if (place.shared)
		to = sq_conn_draining(hold->conn) || !place.here ? place.standby : place.owner;
	sq_link_draining(s->link, to);
}

void
sq_deliveries_ended(struct sq_conn_hold *hold)
{
	struct sq_stream *s = SQ_CONTAINER_OF(hold, struct sq_stream, hold);

	stream_close(s);
	stream_flush(s);
}

bool
sq_deliveries_seek(struct sq_link_part *p, uint64_t *place, struct sq_deliveries_seen *out)
{
	struct sq_hnode *at;

	*out = (struct sq_deliveries_seen){0};
	pthread_mutex_lock(&p->front->lock);
	at = sq_htab_seek(&p->front->links, *place);
	if (at != NULL) {
		const struct sq_stream *s = SQ_CONTAINER_OF(at, struct sq_stream, by_id);

		*place = sq_hnode_place(at);
		if (s->part == p)
			*out = (struct sq_deliveries_seen){
			    s->hold.conn, s->link, s->since_ms, s->req->bytes_sent};
	}
	pthread_mutex_unlock(&p->front->lock);
	return at != NULL;
}

/* A stream that was not sent to for a while. */
static void
stream_silent(struct sq_stream *s, uint64_t now_ms)
{
	if (!s->in_flight) {
		sq_buf_trim(&s->sending, 0);
		sq_link_heartbeat(s->link);
		return;
	}
	if (s->req->bytes_sent != s->moved_bytes) {
		s->moved_bytes = s->req->bytes_sent;
		s->moved_ms = now_ms;
	} else if (now_ms - s->moved_ms >= s->part->front->cfg.stall_ms) {
		SQ_WARN("link", "%016llx takes nothing; closed",
		    (unsigned long long)sq_link_id(s->link));
		sq_conn_kill(s->hold.conn);
	}
}

void
sq_deliveries_tick(struct sq_link_part *p, uint64_t now_ms)
{
	for (;;) {
		struct sq_stream *s = SQ_LIST_FIRST(&p->streams, struct sq_stream, node);

		if (s == NULL || now_ms - s->active_ms < p->front->cfg.heartbeat_ms)
			return;
		stream_touch(s);
		stream_silent(s, now_ms);
	}
}
