#include "broker/front/door/early.h"

#include <string.h>

#include "broker/front/door/conn.h"
#include "broker/front/door/head.h"
#include "broker/front/door/pick.h"
#include "broker/front/door/watch.h"
#include "web/h2o.h"

enum { EARLY_END_MS = 1000 }; /* for a peer to read the answer before its connection is shut */

static struct sq_service *
early_service(const struct sq_conn *c, const char *path, size_t len)
{
	return sq_pick_service(
	    &c->part->door->cfg, (struct sq_bytes){(const unsigned char *)path, len});
}

/* A length in digits, as large as there may be; false: it is none. */
static bool
early_length(struct sq_bytes text, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		n = n > (UINT64_MAX - 9) / 10 ? UINT64_MAX / 10 - 1 : n * 10 + (text.p[i] - '0');
	}
	*out = n;
	return true;
}

static void
early_mark(struct sq_conn *c, enum sq_turned why)
{
	c->input.early = true;
	c->input.why = why;
}

void
sq_early_head(struct sq_conn *c)
{
	static const char name[] = "content-length";
	h2o_buffer_t *b = c->sock->input;
	struct sq_bytes target = sq_head_target(b->bytes, c->input.head);
	uint64_t len;

	if (!early_length(sq_head_field(b->bytes, c->input.head, name), &len) ||
	    len <= early_service(c, (const char *)target.p, target.len)->body_max)
		return;
	sq_head_hide(b->bytes, c->input.head, name);
	early_mark(c, SQ_TURNED_TOO_LARGE);
}

bool
sq_early_blank_head(struct sq_conn *c)
{
	h2o_buffer_t *b = c->sock->input;

	if (c->input.head == 0)
		c->input.head = b->size;
	if (!sq_head_blank(b->bytes, c->input.head))
		return false;
	early_mark(c, SQ_TURNED_HEADERS);
	return true;
}

/* The next one whose body is too large. */
static bool
early_next(const struct sq_conn *c, struct sq_h2o_open *out)
{
	uint32_t after = 0;

	while (sq_h2o_coming(c->sock, after, c->part->door->body_least, out)) {
		h2o_iovec_t path = out->req->input.path;

		if (out->body > early_service(c, path.base, path.len)->body_max)
			return true;
		after = out->stream;
	}
	return false;
}

/* One at a time; the next one follows in early_ended(). */
void
sq_early_streams(struct sq_conn *c)
{
	struct sq_h2o_open next;

	if (c->input.protocol != SQ_INPUT_HTTP2 || c->input.cut != 0 || c->kill_at_ms != 0 ||
	    sq_h2o_closing(c->sock) || !early_next(c, &next))
		return;
	early_mark(c, SQ_TURNED_TOO_LARGE);
	c->input.cut = next.stream;
	sq_list_push_back(&c->part->cutting, &c->input.cutting);
	c->input.held_up = sq_h2o_cut(c->sock, next.stream);
	sq_watch_conn(c);
}

bool
sq_early_refuse(struct sq_conn *c, h2o_req_t *req, struct sq_service *service)
{
	uint64_t now_ms = sq_worker_now_ms(c->part->worker);

	if (c->input.protocol == SQ_INPUT_HTTP2 && c->input.toll.n_trailed > 0 &&
	    sq_toll_trailed(&c->input.toll, sq_h2o_stream(req)))
		early_mark(c, SQ_TURNED_TRAILERS);
	if (!c->input.early)
		return false;
	c->input.early = false;
	if (c->input.protocol == SQ_INPUT_HTTP1) {
		req->http1_is_persistent = 0;
		c->kill_at_ms = now_ms + EARLY_END_MS;
		sq_linger_add(&c->part->lingers, h2o_socket_get_fd(c->sock), now_ms);
	}
	sq_door_count(c->part, SQ_M_BAD_REQUESTS, 1);
	sq_toll_spend(&c->input.toll, SQ_TOLL_REFUSED);
	service->ops->refuse(service, req, c->input.why);
	return true;
}

void
sq_early_turn(struct sq_door_part *p)
{
	SQ_LIST_FOR_EACH_SAFE(c, &p->cutting, struct sq_conn, input.cutting) {
		if (!sq_h2o_closing(c->sock) && !sq_h2o_cut_ends(c->sock, c->input.cut))
			continue;
		sq_list_remove(&c->input.cutting);
		c->input.cut = 0;
		c->input.held_up = false;
		sq_early_streams(c);
		if (!c->input.held_up && c->bodies.over_ms == 0 && !sq_h2o_closing(c->sock))
			sq_watch_again(c);
	}
}
