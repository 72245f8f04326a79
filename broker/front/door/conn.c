#include "broker/front/door/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/front/door/pass.h"
#include "broker/front/door/watch.h"
#include "core/clock.h"
#include "web/h2o.h"

enum {
	CONN_LINGER_MS = 2000,    /* from the end of the hold to the socket's */
	CONN_EXPIRED_MS = 30000,  /* from the end of a hold's token to the hold's */
	CONN_SKEW_S = 60,         /* that tokens are taken after their end */
	CONN_STRANGER_MS = 10000, /* from the accept to a hold or a good token */
	CONN_ASKED_MS = 30000,    /* the same, while a token is being verified */
	CONN_END_MS = 1000,       /* for a peer to take GOAWAY */
};

struct sq_conn *
sq_conn_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static_assert(SQ_CONN_ADDRESS_MAX >= INET6_ADDRSTRLEN, "each address fits");

unsigned
sq_conn_address(const struct sq_conn *c, char out[SQ_CONN_ADDRESS_MAX])
{
	struct sockaddr_storage peer = {0};
	const struct sockaddr_in6 *six = (const void *)&peer;
	const struct sockaddr_in *four = (const void *)&peer;
	bool is_six;

	strcpy(out, "?");
	if (c->sock != NULL)
		(void)h2o_socket_getpeername(c->sock, (struct sockaddr *)&peer);
	if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6)
		return 0;
	is_six = peer.ss_family == AF_INET6;
	(void)inet_ntop(peer.ss_family,
	    is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, out,
	    SQ_CONN_ADDRESS_MAX);
	return ntohs(is_six ? six->sin6_port : four->sin_port);
}

void
sq_conn_release(struct sq_conn *c)
{
	if (c->sock != NULL || c->running > 0 || c->input.turning)
		return;
	sq_ages_fini(&c->times.streams);
	free(c);
}

void
sq_conn_move(struct sq_conn *c, uint64_t after_ms)
{
	if (c->hold != NULL && c->hold->service->ops->moved != NULL)
		c->hold->service->ops->moved(c->hold);
	c->move_at_ms = 0;
	if (after_ms > 0 && c->close_at_ms == 0)
		c->close_at_ms = sq_worker_now_ms(c->part->worker) + after_ms;
}

void
sq_conn_kill(struct sq_conn *c)
{
	if (c->sock == NULL)
		return;
	if (c->pass != NULL) {
		sq_pass_end(c->pass);
		return;
	}
	shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
	if (c->bodies.over_ms != 0 || c->input.held_up) { /* h2o finds the end where it reads */
		c->bodies.over_ms = 0;
		c->input.held_up = false;
		sq_watch_again(c);
	}
}

void
sq_conn_count(struct sq_door_part *p, enum sq_end why)
{
	sq_door_count(p, SQ_M_ENDED(why), 1);
	p->ended.by_reason[why]++;
	p->ended.n++;
}

void
sq_conn_end(struct sq_conn *c, enum sq_end why)
{
	uint64_t now_ms = sq_worker_now_ms(c->part->worker);

	if (c->sock == NULL || c->kill_at_ms != 0)
		return;
	sq_conn_count(c->part, why);
	c->kill_at_ms = now_ms + CONN_END_MS;
	if (c->input.protocol != SQ_INPUT_HTTP2 || sq_h2o_closing(c->sock)) {
		sq_conn_kill(c);
		return;
	}
	sq_linger_add(&c->part->lingers, h2o_socket_get_fd(c->sock), now_ms);
	sq_h2o_calm(c->sock, sq_end_text(why));
}

/* Standings. */

static void
conn_stand(struct sq_conn *c, enum sq_standing standing)
{
	sq_strangers_stand(c->part->door->strangers, &c->guest, standing);
}

void
sq_conn_known(struct sq_conn *c)
{
	if (c->sock != NULL && c->guest.standing < SQ_STANDING_KNOWN)
		conn_stand(c, SQ_STANDING_KNOWN);
}

void
sq_conn_set_hold(struct sq_conn *c, struct sq_conn_hold *hold)
{
	c->hold = hold;
	c->active_ms = sq_worker_now_ms(c->part->worker);
	if (c->sock != NULL)
		conn_stand(c, hold != NULL ? SQ_STANDING_HELD : SQ_STANDING_KNOWN);
}

void
sq_conn_asked(struct sq_conn *c, bool asked)
{
	c->asked += asked ? 1 : -1u;
	if (c->sock != NULL && c->guest.standing < SQ_STANDING_KNOWN)
		conn_stand(c, c->asked > 0 ? SQ_STANDING_ASKED : SQ_STANDING_STRANGER);
}

int64_t
sq_conn_expires(int64_t expires_s)
{
	int64_t now_s = (int64_t)(sq_clock_wall_ms() / 1000);

	return expires_s == 0 || expires_s > now_s ? expires_s : expires_s + CONN_SKEW_S;
}

/* Whether the hold's token has come to its end.  By the wall clock each time: it may be
 * set, and who verifies tokens goes by it, too. */
static bool
conn_expired(const struct sq_conn *c)
{
	return c->hold != NULL && c->hold->expires_s != 0 &&
	    (int64_t)(sq_clock_wall_ms() / 1000) >= c->hold->expires_s;
}

/* A peer dials anew with the token that its file has by now. */
static void
conn_expire(struct sq_conn *c, uint64_t now_ms)
{
	c->hold->expires_s = 0;
	sq_conn_move(c, CONN_EXPIRED_MS);
	if (c->close_at_ms > now_ms + CONN_EXPIRED_MS) /* it was asked before */
		c->close_at_ms = now_ms + CONN_EXPIRED_MS;
}

enum { CONN_MOVING = 128 }; /* streams that are looked at; h2o has 100 at a time */

static void
conn_look_at_streams(struct sq_conn *c, uint64_t now_ms)
{
	struct sq_times *t = &c->times;
	struct sq_h2o_moving moving[CONN_MOVING];
	struct sq_age now[CONN_MOVING], coming, going;
	size_t n = sq_h2o_moving(c->sock, moving, CONN_MOVING);

	for (size_t i = 0; i < n; i++)
		now[i] = (struct sq_age){.stream = moving[i].stream, .going = moving[i].going};
	sq_ages_look(&t->streams, now, (unsigned)n, now_ms);
	coming = sq_ages_oldest(&t->streams, false);
	going = sq_ages_oldest(&t->streams, true);
	t->coming = coming.stream;
	t->coming_ms = coming.since_ms;
	t->going = going.stream;
	t->going_ms = going.since_ms;
}

/* Over HTTP/1.1 requests are noted when they begin to come (broker/front/door/input.c). */
static void
conn_look(struct sq_conn *c, uint64_t now_ms)
{
	struct sq_times *t = &c->times;
	uint32_t writing;

	if (c->input.protocol == SQ_INPUT_NEW || sq_h2o_closing(c->sock))
		return;
	if (c->input.protocol == SQ_INPUT_HTTP2) {
		conn_look_at_streams(c, now_ms);
		return;
	}
	writing = h2o_socket_is_writing(c->sock) != 0;
	if (t->going != writing)
		t->going_ms = now_ms;
	t->going = writing;
}

static bool
conn_slow(const struct sq_conn *c, uint64_t now_ms)
{
	const struct sq_door_cfg *cfg = &c->part->door->cfg;
	const struct sq_times *t = &c->times;

	return (t->coming != 0 && now_ms - t->coming_ms >= cfg->read_ms) ||
	    (t->going != 0 && now_ms - t->going_ms >= cfg->write_ms);
}

/* Whether it does nothing for which there is another time.  Over HTTP/2 h2o's own idle time comes
 * first. */
static bool
conn_idle(const struct sq_conn *c, uint64_t now_ms)
{
	const struct sq_service *last = c->times.last;
	bool plain = last == NULL || last->plain,
	     moves = c->times.coming != 0 || c->times.going != 0;
	uint64_t idle_ms = last != NULL && last->idle_ms > 0 ? last->idle_ms
							     : c->part->door->cfg.idle_ms;

	return c->running == 0 && !(plain && moves) &&
	    now_ms - c->active_ms >= idle_ms + CONN_LINGER_MS;
}

/* Whether it has had the time that there is for its standing; else why not. */
static enum sq_end
conn_overdue(struct sq_conn *c, uint64_t now_ms)
{
	if (c->guest.standing < SQ_STANDING_HELD && c->sock != NULL) {
		conn_look(c, now_ms);
		if (conn_slow(c, now_ms))
			return SQ_END_SLOW;
	}
	switch (c->guest.standing) {
	case SQ_STANDING_STRANGER:
		return now_ms - c->guest.began_ms >= CONN_STRANGER_MS ? SQ_END_TIME : SQ_END_NONE;
	case SQ_STANDING_ASKED:
		return now_ms - c->guest.began_ms >= CONN_ASKED_MS ? SQ_END_TIME : SQ_END_NONE;
	case SQ_STANDING_KNOWN:
		return conn_idle(c, now_ms) ? SQ_END_IDLE : SQ_END_NONE;
	case SQ_STANDING_HELD:
	default:
		return SQ_END_NONE;
	}
}

enum sq_conn_age
sq_conn_age(struct sq_conn *c, uint64_t now_ms, enum sq_end *why)
{
	if (c->kill_at_ms != 0)
		return now_ms >= c->kill_at_ms ? SQ_CONN_KILL : SQ_CONN_KEEP;
	*why = conn_overdue(c, now_ms);
	if (*why == SQ_END_IDLE && c->input.protocol == SQ_INPUT_HTTP1)
		return SQ_CONN_KILL; /* the usual end of one that is kept alive */
	if (*why != SQ_END_NONE)
		return SQ_CONN_END;
	if (conn_expired(c))
		conn_expire(c, now_ms);
	if (c->move_at_ms != 0 && now_ms >= c->move_at_ms)
		sq_conn_move(c, c->part->door->cfg.move_ms);
	if (c->close_at_ms == 0 || now_ms < c->close_at_ms)
		return SQ_CONN_KEEP;
	if (c->hold != NULL)
		return SQ_CONN_DRAIN;
	return c->running == 0 || now_ms >= c->close_at_ms + CONN_LINGER_MS ? SQ_CONN_KILL
									    : SQ_CONN_KEEP;
}
