#include "broker/front/door/conns.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/front/door/ask.h"
#include "broker/front/door/bodies.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/input.h"
#include "broker/front/door/ledger.h"
#include "broker/front/door/owners.h"
#include "broker/front/door/pass.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	CONNS_USER_TIMEOUT_MS = 10000, /* docs/link.md, "Around the link" */
	CONNS_LINE = 400,
	CONNS_JUDGED_MS =
	    35000, /* by now a stranger would have been ended where it is passed on to */
};

static void
conns_on_close(void *data)
{
	struct sq_conn *c = data;

	sq_list_remove(&c->node);
	sq_list_remove(&c->input.unread);
	sq_list_remove(&c->input.cutting);
	sq_strangers_leave(c->part->door->strangers, &c->guest);
	sq_bodies_gone(c);
	sq_ledger_leave(c->part->door->places, &c->place);
	c->sock = NULL;
	if (c->pass != NULL)
		sq_door_count(c->part, SQ_M_PASSED, -1);
	atomic_fetch_sub_explicit(&c->part->door->conns, 1, memory_order_relaxed);
	sq_conn_release(c);
}

/* When a connection made now is asked to move: the age of the configuration,
 * give or take a tenth, so that peers that came together don't move together. */
static uint64_t
conns_move_at(const struct sq_door_part *p)
{
	uint64_t age = p->door->cfg.max_age_ms;

	return age == 0
	    ? 0
	    : sq_worker_now_ms(p->worker) + age - age / 10 + sq_random_u64() % (age / 5 + 1);
}

static void
conns_address(h2o_socket_t *sock, unsigned char out[SQ_STRANGER_ADDRESS_SIZE])
{
	struct sockaddr_storage peer = {0};

	(void)h2o_socket_getpeername(sock, (struct sockaddr *)&peer);
	sq_owners_map(&peer, out);
}

/* No address of the owner takes the connection: it hears of that as others do. */
static void
conns_not_passed(void *conn)
{
	struct sq_conn *c = conn;

	c->pass = NULL;
	sq_door_count(c->part, SQ_M_PASSED, -1);
	sq_owners_doubt(c->part->door->owners);
	sq_input_start(c);
}

/* Passes a new connection on to the broker that owns the state, if that is another one.  One of the
 * owner's own is not: where two brokers take each other for it, no connection goes round. */
static bool
conns_pass(struct sq_conn *c, const unsigned char address[SQ_STRANGER_ADDRESS_SIZE])
{
	struct sq_door *d = c->part->door;
	struct sq_owner_addresses to;

	if (d->broker != NULL || d->owners == NULL || !sq_owners_get(d->owners, &to) ||
	    sq_owners_have(&to, address))
		return false;
	c->pass = sq_pass_start(c->part->slot.ctx->loop, c->sock, &to, conns_not_passed, c);
	if (c->pass != NULL)
		sq_door_count(c->part, SQ_M_PASSED, 1);
	else
		sq_owners_doubt(d->owners);
	return c->pass != NULL;
}

static void
conns_accepted(void *part, h2o_socket_t *sock)
{
	struct sq_door_part *p = part;
	unsigned char address[SQ_STRANGER_ADDRESS_SIZE];
	uint64_t now_ms = sq_worker_now_ms(p->worker);
	unsigned timeout = CONNS_USER_TIMEOUT_MS;
	struct sq_conn *c = sq_xcalloc(1, sizeof *c);
	enum sq_end why;

	conns_address(sock, address);
	why = sq_strangers_enter(
	    p->door->strangers, &c->guest, sq_worker_index(p->worker), address, now_ms);
	if (why != SQ_END_NONE) {
		sq_conn_count(p, why);
		h2o_socket_close(sock);
		free(c);
		return;
	}
	atomic_fetch_add_explicit(&p->door->conns, 1, memory_order_relaxed);
	c->part = p;
	c->sock = sock;
	c->move_at_ms = conns_move_at(p);
	sq_list_push_back(&p->conns, &c->node);
	sq_list_init(&c->input.unread);
	sq_list_init(&c->input.cutting);
	sock->on_close.cb = conns_on_close;
	sock->on_close.data = c;
	setsockopt(
	    h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
	if (!conns_pass(c, address))
		sq_input_start(c);
}

void
sq_conns_listen(struct sq_door_part *p, unsigned index)
{
	p->acceptor = (struct sq_acceptor){
	    .scope = "front", .burst = SQ_ACCEPTOR_BURST, .accepted = conns_accepted, .owner = p};
	sq_acceptor_open(&p->acceptor, p->slot.ctx->loop, &p->door->listen, index);
}

/* Ages. */

static void
conns_leave(struct sq_task *t)
{
	struct sq_door_part *p = SQ_CONTAINER_OF(t, struct sq_door_part, leave);
	struct sq_guest *g;
	enum sq_end why;

	while ((g = sq_strangers_leaving(p->door->strangers, sq_worker_index(p->worker), &why)) !=
	    NULL)
		sq_conn_end(SQ_CONTAINER_OF(g, struct sq_conn, guest), why);
}

void
sq_conns_wake(void *door, unsigned worker)
{
	struct sq_door *f = door;

	f->parts[worker].leave.run = conns_leave;
	sq_worker_post(f->parts[worker].worker, &f->parts[worker].leave);
}

/* The other broker has bounds of time for what it reads; here one ends when it must go, or carries
 * nothing. */
static void
conns_age_passed(struct sq_conn *c, uint64_t now_ms)
{
	if (c->close_at_ms != 0 && now_ms >= c->close_at_ms) {
		sq_conn_kill(c);
		return;
	}
	if (now_ms >= c->guest.began_ms + CONNS_JUDGED_MS)
		sq_conn_known(c);
	sq_pass_look(c->pass, now_ms, c->part->door->cfg.passing.idle_ms);
}

/* Carries out the action that the connection's age requires. */
static void
conns_age(struct sq_conn *c, uint64_t now_ms)
{
	enum sq_end why;
	enum sq_conn_age age;

	if (c->pass != NULL) {
		conns_age_passed(c, now_ms);
		return;
	}
	age = sq_conn_age(c, now_ms, &why);
	if (age == SQ_CONN_KILL) {
		sq_conn_kill(c);
		return;
	}
	if (age == SQ_CONN_END) {
		sq_conn_end(c, why);
		return;
	}
	if (c->kill_at_ms != 0) /* it has ended, and has some time left */
		return;
	sq_input_account(c); /* what was answered is held no more */
	sq_bodies_look(c);
	if (age == SQ_CONN_DRAIN && c->hold != NULL)
		c->hold->service->ops->ended(c->hold);
}

/* The gauges are the sum of all doors'. */
static void
conns_count_strangers(const struct sq_door_part *p)
{
	struct sq_strangers_counts *seen = &p->door->seen;
	struct sq_strangers_counts now = sq_strangers_count(p->door->strangers);

	sq_door_count(p, SQ_M_STRANGERS, (int64_t)now.strangers - (int64_t)seen->strangers);
	sq_door_count(p, SQ_M_STRANGER_BYTES, (int64_t)now.bytes - (int64_t)seen->bytes);
	*seen = now;
}

/* Logs ended connections at most once a second, and counts strangers. */
static void
conns_say(struct sq_door_part *p)
{
	char line[CONNS_LINE];
	int len = 0;

	if (sq_worker_index(p->worker) == 0)
		conns_count_strangers(p);
	if (p->ended.n == 0)
		return;
	for (enum sq_end i = SQ_END_NONE + 1; i < SQ_END_COUNT; i++)
		if (p->ended.by_reason[i] > 0 && len < CONNS_LINE)
			len += snprintf(line + len, (size_t)(CONNS_LINE - len), "%s%u %s",
			    len > 0 ? ", " : "", p->ended.by_reason[i], sq_end_name(i));
	SQ_WARN("front", "connections ended or not taken, by reason: %s", line);
	p->ended = (struct sq_ended){0};
}

void
sq_conns_tick(struct sq_door_part *p, uint64_t now_ms)
{
	sq_acceptor_resume(&p->acceptor);
	sq_ask_tick(p, now_ms);
	sq_lingers_tick(&p->lingers, now_ms);
	if (now_ms < p->second_ms)
		return;
	p->second_ms = now_ms + 1000;
	conns_say(p);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		conns_age(c, now_ms);
}
