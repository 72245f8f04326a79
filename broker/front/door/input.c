/* See broker/front/door/input.h. */
#include "broker/front/door/input.h"

#include <h2o/http1.h>
#include <h2o/http2.h>
#include <string.h>

#include "broker/front/door/ask.h"
#include "broker/front/door/bodies.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/early.h"
#include "broker/front/door/head.h"
#include "broker/front/door/pick.h"
#include "broker/front/door/watch.h"
#include "web/h2o.h"

enum {
	INPUT_STRANGER_REQUESTS = 2,
	INPUT_STRANGER_HEADS = 65536, /* bytes in a turn: h2o makes up to 64 of one */
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, 3.4 */
#define PREFACE_SIZE (sizeof preface - 1)

static void input_on_read(h2o_socket_t *sock, const char *err);

/* Input. */

/* Charges the frames; false: the connection has ended. */
static bool
input_take_frames(struct sq_conn *c)
{
	struct sq_input *in = &c->input;
	const h2o_buffer_t *b = c->sock->input;
	size_t skip = 0;

	if (!in->preface) {
		if (b->size < PREFACE_SIZE)
			return true;
		in->preface = true;
		skip = PREFACE_SIZE;
	}
	sq_toll_take(&in->toll, (const unsigned char *)b->bytes + skip, b->size - skip);
	if (sq_toll_head_too_large(&in->toll) ||
	    (c->guest.standing < SQ_STANDING_KNOWN && in->toll.heads > INPUT_STRANGER_HEADS))
		sq_conn_end(c, SQ_END_HEAD);
	else if (!sq_toll_good(&in->toll, sq_worker_now_ms(c->part->worker)))
		sq_conn_end(c, SQ_END_FLOOD);
	else
		return true;
	return false;
}

/* Looks at a request's head as soon as it is whole; h2o doesn't do anything before.  What
 * must not be taken is spoilt: h2o then answers 400 and closes. */
static bool
input_take_head(struct sq_conn *c)
{
	struct sq_input *in = &c->input;
	h2o_buffer_t *b = c->sock->input;
	enum sq_head found;

	if (in->head > 0)
		return true;
	found = sq_head_scan(b->bytes, b->size, &in->head);
	if (found == SQ_HEAD_MANY ||
	    (found == SQ_HEAD_MORE ? b->size : in->head) > SQ_TOLL_HEAD_MAX) {
		sq_conn_count(c->part, SQ_END_HEAD);
		if (sq_early_blank_head(c))
			return true;
		sq_conn_kill(c);
		return false;
	}
	if (found == SQ_HEAD_ELSE) {
		sq_conn_end(c, SQ_END_FRAMING);
		return false;
	}
	if (found == SQ_HEAD_BAD) {
		sq_conn_count(c->part, SQ_END_FRAMING);
		b->bytes[0] = '\1'; /* no method has it */
	}
	if (found == SQ_HEAD_GOOD)
		sq_early_head(c);
	return true;
}

static bool
input_take(struct sq_conn *c)
{
	if (c->sock->input->size == 0)
		return true;
	if (c->input.protocol == SQ_INPUT_HTTP1 && c->times.coming == 0) {
		c->times.coming = 1;
		c->times.coming_ms = sq_worker_now_ms(c->part->worker);
	}
	return c->input.protocol == SQ_INPUT_HTTP2 ? input_take_frames(c) : input_take_head(c);
}

/* Bytes held by the connection. */

static struct sq_h2o_held
input_held(const struct sq_conn *c)
{
	const h2o_buffer_t *b = c->sock->input;
	struct sq_h2o_held held = {0};

	if (c->input.protocol == SQ_INPUT_HTTP2) {
		held = sq_h2o_held(c->sock);
		held.bytes += held.heads;
		return held;
	}
	held.bytes = b->bytes != NULL ? b->capacity : 0;
	held.body = b->size > SQ_TOLL_HEAD_FREE ? b->size - SQ_TOLL_HEAD_FREE : 0;
	return held;
}

/* A request of a stranger whose head has come. */
struct head {
	struct sq_service *service;
	struct sq_bytes credential;
	uint32_t stream; /* over HTTP/1.1: 1 */
	bool coming;     /* its body */
};

/* Over HTTP/1.1 h2o keeps the head in the input until the request is answered. */
static size_t
heads_of_http1(const struct sq_conn *c, struct head *out)
{
	const h2o_buffer_t *b = c->sock->input;
	size_t len = c->input.head;

	if (len == 0 || c->times.coming == 0 || b->size < len)
		return 0;
	*out = (struct head){sq_pick_service(&c->part->door->cfg, sq_head_target(b->bytes, len)),
	    sq_head_field(b->bytes, len, "authorization"), 1, true};
	return 1;
}

static size_t
heads_of_http2(const struct sq_conn *c, struct head out[INPUT_STRANGER_REQUESTS])
{
	struct sq_h2o_open open[INPUT_STRANGER_REQUESTS];
	size_t n = sq_h2o_open(c->sock, 0, open, INPUT_STRANGER_REQUESTS);

	for (size_t i = 0; i < n; i++) {
		h2o_iovec_t path = open[i].req->input.path;

		out[i] = (struct head){
		    sq_pick_service(&c->part->door->cfg,
			(struct sq_bytes){(const unsigned char *)path.base, path.len}),
		    sq_ask_header(open[i].req), open[i].stream, open[i].coming};
	}
	return n;
}

static size_t
input_heads(const struct sq_conn *c, struct head out[INPUT_STRANGER_REQUESTS])
{
	return c->input.protocol == SQ_INPUT_HTTP2 ? heads_of_http2(c, out)
						   : heads_of_http1(c, out);
}

/* Has the credential of a plain service's request judged while its body comes, once for each
 * request, so that its sender is no stranger meanwhile. */
static void
input_judge_heads(struct sq_conn *c)
{
	struct head heads[INPUT_STRANGER_REQUESTS];
	size_t n;

	if (c->guest.standing != SQ_STANDING_STRANGER || c->kill_at_ms != 0 ||
	    sq_h2o_closing(c->sock))
		return;
	n = input_heads(c, heads);
	for (size_t i = 0; i < n; i++) {
		if (!heads[i].coming || !heads[i].service->plain ||
		    heads[i].stream <= c->input.judged)
			continue;
		c->input.judged = heads[i].stream;
		sq_ask_early(c, heads[i].service, heads[i].credential);
	}
}

/* How many bytes of bodies a stranger may have: those of a plain service are bounded by the total of
 * all strangers. */
static size_t
input_most(const struct sq_conn *c, bool stranger)
{
	const struct sq_door *d = c->part->door;
	struct head heads[INPUT_STRANGER_REQUESTS];
	size_t n = stranger ? input_heads(c, heads) : 0, most = d->cfg.unauthenticated_body;

	if (!stranger)
		return d->conf.max_request_entity_size;
	for (size_t i = 0; i < n; i++)
		if (heads[i].service->plain && heads[i].service->body_max > most)
			most = heads[i].service->body_max;
	return most;
}

void
sq_input_account(struct sq_conn *c)
{
	const struct sq_door *f = c->part->door;
	bool stranger = c->guest.standing == SQ_STANDING_STRANGER;
	struct sq_h2o_held held;

	if (c->guest.standing >= SQ_STANDING_KNOWN || c->input.protocol == SQ_INPUT_NEW ||
	    sq_h2o_closing(c->sock))
		return;
	held = input_held(c);
	if (stranger && held.open > INPUT_STRANGER_REQUESTS)
		sq_conn_end(c, SQ_END_REQUESTS);
	else if (held.body > f->cfg.unauthenticated_body && held.body > input_most(c, stranger))
		sq_conn_end(c, SQ_END_BODY);
	else if (!sq_strangers_hold(f->strangers, &c->guest, held.bytes))
		sq_conn_end(c, SQ_END_MEMORY); /* before more of it comes */
}

/* A turn. */

void
sq_inputs_turn(struct sq_door_part *p)
{
	SQ_LIST_FOR_EACH_SAFE(c, &p->unread, struct sq_conn, input.unread)
		if (c->sock->_cb.read != NULL || sq_watch_rests(c))
			sq_watch_conn(c);
}

/* h2o's part of a turn. */
static void
input_pass(struct sq_conn *c, h2o_socket_t *sock, const char *err)
{
	struct sq_door_part *p = c->part;
	uint64_t errors;

	c->input.turning = true; /* keeps it */
	c->input.next(sock, err);
	c->input.turning = false;
	errors = sq_h2o_stream_errors(p->slot.ctx);
	if (errors != p->stream_errors) /* they come from here alone */
		sq_toll_spend(
		    &c->input.toll, (unsigned)(errors - p->stream_errors) * SQ_TOLL_ERROR);
	p->stream_errors = errors;
}

/* Over HTTP/1.1 much may come in one piece, and is a whole request at once: whether its sender may
 * have it is found out before. */
static bool
input_stays(struct sq_conn *c)
{
	if (c->input.protocol != SQ_INPUT_HTTP1 || c->input.early ||
	    c->sock->input->size <= c->part->door->cfg.unauthenticated_body)
		return true;
	input_judge_heads(c);
	sq_input_account(c);
	return c->kill_at_ms == 0;
}

static void
input_on_read(h2o_socket_t *sock, const char *err)
{
	struct sq_conn *c = sock->on_close.data;

	if (err == NULL && (!input_take(c) || !input_stays(c)))
		return;
	input_pass(c, sock, err);
	if (c->sock != NULL) {
		sq_watch_conn(c);
		sq_early_streams(c);
		input_judge_heads(c);
		sq_input_account(c);
		sq_bodies_look(c);
	}
	sq_conn_release(c);
}

void
sq_input_request(struct sq_conn *c, h2o_req_t *req)
{
	const h2o_buffer_t *b = c->sock->input;
	size_t used = c->input.head;

	if (c->input.protocol == SQ_INPUT_HTTP2) {
		if (c->guest.standing >= SQ_STANDING_KNOWN)
			sq_toll_earn(&c->input.toll, SQ_TOLL_REQUEST);
		return;
	}
	/* The next request is to pass by us, too: h2o begins with what it has already. */
	if (req->entity.base != NULL)
		used = (size_t)(req->entity.base + req->entity.len - b->bytes);
	if (b->size > used || c->close_at_ms != 0)
		req->http1_is_persistent = 0;
	c->input.head = 0;
	c->input.judged = 0;
	c->times.coming = c->times.going = 0;
}

/* The begin. */

/* Gives the socket to h2o, whose input comes only through this file. */
static void
input_accept(struct sq_conn *c, bool http2)
{
	struct sq_door_part *p = c->part;
	h2o_socket_t *sock = c->sock;
	h2o_buffer_t *come = sock->input;
	struct timeval now = *h2o_get_timestamp(p->accept.ctx, NULL, NULL);

	h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
	if (http2)
		h2o_http2_accept(&p->accept, sock, now);
	else
		h2o_http1_accept(&p->accept, sock, now);
	sock->input = come;
	c->input.on_read = input_on_read;
	c->input.protocol = http2 ? SQ_INPUT_HTTP2 : SQ_INPUT_HTTP1;
	sq_toll_init(&c->input.toll, sq_worker_now_ms(p->worker));
	sq_watch_conn(c);
	if (come->size > 0)
		input_on_read(sock, NULL);
}

static void
input_on_handshake(h2o_socket_t *sock, const char *err)
{
	h2o_iovec_t protocol;

	if (err != NULL) {
		h2o_socket_close(sock);
		return;
	}
	protocol = h2o_socket_ssl_get_selected_protocol(sock);
	input_accept(sock->on_close.data, protocol.len == 2 && memcmp(protocol.base, "h2", 2) == 0);
}

static void
input_on_first(h2o_socket_t *sock, const char *err)
{
	const h2o_buffer_t *b = sock->input;
	size_t n = b->size < PREFACE_SIZE ? b->size : PREFACE_SIZE;
	bool http2;

	if (err != NULL) {
		h2o_socket_close(sock);
		return;
	}
	http2 = memcmp(b->bytes, preface, n) == 0;
	if (!http2 || n == PREFACE_SIZE)
		input_accept(sock->on_close.data, http2);
}

void
sq_input_start(struct sq_conn *c)
{
	if (c->part->accept.ssl_ctx != NULL)
		h2o_socket_ssl_handshake(
		    c->sock, c->part->accept.ssl_ctx, NULL, input_on_handshake);
	else
		h2o_socket_read_start(c->sock, input_on_first);
}
