/* What services may do with connections; see broker/front/door/service.h. */
#include "broker/front/door/service.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/front/door/conn.h"
#include "broker/front/door/watch.h"
#include "web/h2o.h"

static const struct {
	unsigned status;
	const char *text;
} turned[] = {
#define TURNED_ROW(symbol, status, text) {status, text},
    SQ_TURNED(TURNED_ROW)
#undef TURNED_ROW
};

unsigned
sq_turned_status(enum sq_turned why)
{
	return turned[why].status;
}

const char *
sq_turned_text(enum sq_turned why)
{
	return turned[why].text;
}

/* Holds. */

void
sq_conn_hold_begin(struct sq_conn_hold *h, struct sq_service *service, struct sq_conn *c,
    const struct sq_identity *who)
{
	assert(c->hold == NULL && service->ops->ended != NULL);
	*h = (struct sq_conn_hold){.service = service,
	    .conn = c,
	    .who = who,
	    .expires_s = sq_conn_expires(who->expires_s)};
	sq_conn_set_hold(c, h);
}

void
sq_conn_hold_prove(struct sq_conn_hold *h, const struct sq_proof *proof)
{
	h->proof = *proof;
}

void
sq_conn_hold_end(struct sq_conn_hold *h)
{
	assert(h->conn->hold == h);
	sq_conn_set_hold(h->conn, NULL);
}

struct sq_conn_hold *
sq_conn_hold_of(const struct sq_conn *c, const struct sq_service *service)
{
	return c->hold != NULL && c->hold->service == service ? c->hold : NULL;
}

/* Connections. */

bool
sq_conn_held(const struct sq_conn *c)
{
	return c->hold != NULL;
}

struct sq_worker *
sq_conn_worker(const struct sq_conn *c)
{
	return c->part->worker;
}

unsigned
sq_conn_running(const struct sq_conn *c)
{
	return c->running;
}

unsigned
sq_conn_waiting(const struct sq_conn *c)
{
	return c->waiting;
}

bool
sq_conn_moved(const struct sq_conn *c)
{
	return c->close_at_ms != 0;
}

bool
sq_conn_draining(const struct sq_conn *c)
{
	return atomic_load_explicit(&c->part->door->draining, memory_order_relaxed);
}

bool
sq_conn_leaving(const struct sq_conn *c)
{
	return sq_conn_moved(c) || sq_conn_draining(c);
}

void
sq_conn_welcome(struct sq_conn *c)
{
	sq_conn_known(c);
}

void
sq_conn_leave(const struct sq_conn *c, h2o_req_t *req)
{
	if (c->hold != NULL || c->sock == NULL)
		return;
	if (c->input.protocol == SQ_INPUT_HTTP2)
		sq_h2o_leave(c->sock);
	else
		req->http1_is_persistent = 0;
}

void
sq_conn_sent(struct sq_conn *c, size_t bytes)
{
	sq_toll_earn(&c->input.toll, SQ_TOLL_SEND + bytes / SQ_TOLL_SENT_BYTES);
	sq_watch_conn(c);
}

void
sq_conn_peer(const struct sq_conn *c, char out[SQ_CONN_PEER_MAX])
{
	char address[SQ_CONN_ADDRESS_MAX];
	unsigned port = sq_conn_address(c, address);

	(void)snprintf(out, SQ_CONN_PEER_MAX, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u",
	    address, port);
}
