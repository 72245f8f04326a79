/* One link of the pool: its machine, its dials, and what becomes of them; see net/pool_priv.h. */
#include "net/pool_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/conn/bearer.h"
#include "net/conn/pair.h"
#include "net/trust.h"

enum {
	MEMBER_SOON_MS = 1000, /* what a broker that is about to own says */
	MEMBER_SPARED_MS =
	    5000, /* an owner that is away: how long only the scout asks the others */
};

static void member_act(struct sq_member *, enum sq_reconnect_action);

static void
member_arm(struct sq_member *m)
{
	uint64_t now = sq_clock_ms(), at = sq_reconnect_deadline(m->machine);

	ev_timer_stop(m->pool->loop, &m->timer);
	if (at == UINT64_MAX)
		return;
	ev_timer_set(&m->timer, at > now ? (double)(at - now) / 1e3 + 1e-3 : 0., 0.);
	ev_timer_start(m->pool->loop, &m->timer);
}

void
sq_member_free(struct sq_member *m)
{
	sq_list_remove(&m->node);
	ev_timer_stop(m->pool->loop, &m->timer);
	sq_uplink_free(&m->uplink);
	if (m->peer != NULL)
		sq_peer_unref(m->peer);
	sq_reconnect_free(&m->machine);
	free(m);
}

bool
sq_member_hastes(const struct sq_pool *p)
{
	return p->where.known && sq_clock_ms() < p->haste_ms;
}

/* After long without a link: a log that was restored from a back-up has lower epochs than were seen, and an
 * owner that has lost the state without knowing it has ended by now. */
static void
member_forget(struct sq_pool *p)
{
	uint64_t now = sq_clock_ms();

	if (p->lost_ms == 0 || !p->where.known || now < p->forget_at_ms)
		return;
	p->forget_at_ms = now + p->cfg.forget_ms;
	SQ_WARN("pool", "no broker owns what epoch %llu did, for long: a lower one will do",
	    (unsigned long long)p->where.epoch);
	sq_whereabouts_forget(&p->where);
}

static bool
member_any_up(const struct sq_pool *p)
{
	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node)
		if (m->up && !m->draining)
			return true;
	return false;
}

/* Writes down a dial that failed or a link that was lost. */
static void
member_log_end(struct sq_member *m, const char *why, bool wanted)
{
	const char *name = sq_uplink_name(m->uplink);

	if (m->up) {
		sq_peer_down(m->peer, why, !wanted);
		if (wanted)
			SQ_INFO(name, "link closed: %s", why);
		else
			SQ_WARN(name, "link lost: %s", why);
	} else if (sq_peer_failed(m->peer, why)) {
		SQ_WARN(name, "dial failed: %s", why);
	} else {
		SQ_DEBUG(name, "dial failed again: %s", why);
	}
}

void
sq_member_down(struct sq_member *m)
{
	struct sq_pool *p = m->pool;
	const struct sq_net_counts *counts = p->cfg.counts;
	unsigned retry_after_ms, status = sq_uplink_refused(m->uplink, &retry_after_ms);
	bool led;

	member_forget(p);
	led = status == 421 && p->user->led(p, m);
	if (!led && !m->draining)
		sq_whereabouts_failed(&p->where, m->peer->authority);
	if (retry_after_ms > (sq_member_hastes(p) ? MEMBER_SOON_MS : 0))
		sq_reconnect_retry_after(m->machine, retry_after_ms);
	(void)sq_reconnect_step(m->machine, SQ_RECONNECT_DOWN, sq_clock_ms());
	if (!led)
		member_log_end(m, sq_uplink_ended(m->uplink), sq_uplink_ended_well(m->uplink));
	m->turn = m->up ? 0 : m->turn + 1;
	sq_uplink_finish(m->uplink);
	if (m->up) {
		m->up = false;
		sq_net_count(counts, SQ_NET_LINKS, -1);
		sq_net_count(counts, SQ_NET_LINKS_LOST, 1);
		p->events.down(p->owner, m->uplink);
		sq_uplink_finish(m->uplink); /* requests that were sent meanwhile */
	}
	if (m->draining) {
		sq_member_free(m);
	} else {
		sq_uplink_free(&m->uplink);
		sq_peer_unref(m->peer);
		m->peer = NULL;
		member_arm(m);
	}
	if (led)
		p->user->aim(p);
	else if (!member_any_up(p))
		p->user->lost(p);
}

static void
member_on_ended(void *owner)
{
	struct sq_member *m = owner;

	ev_timer_start(m->pool->loop, &m->pool->reap);
}

/* The link is up, unless its broker has lost the state and does not know it. */
static void
member_up(struct sq_member *m)
{
	struct sq_pool *p = m->pool;

	if (!sq_whereabouts_opened(&p->where, sq_uplink_told(m->uplink))) {
		sq_net_count(p->cfg.counts, SQ_NET_REDIRECTS_IGNORED, 1);
		sq_uplink_end(m->uplink, "the broker has lost the state to another one");
		return;
	}
	p->lost_ms = 0;
	m->turn = 0;
	m->up = true;
	m->waited = false;
	m->up_ms = m->heard_ms = sq_clock_ms();
	(void)sq_reconnect_step(m->machine, SQ_RECONNECT_UP, m->up_ms);
	member_arm(m);
	sq_peer_up(m->peer);
	sq_net_count(p->cfg.counts, SQ_NET_LINKS, 1);
	SQ_INFO(sq_uplink_name(m->uplink), "link up");
	p->events.up(p->owner, m->uplink);
	if (sq_uplink_told(m->uplink)->shared)
		p->user->aim(p);
}

static void
member_on_up(void *owner)
{
	struct sq_member *m = owner;

	member_forget(m->pool);
	if (m->scout)
		m->pool->user->up(m);
	else
		member_up(m);
}

static void
member_on_refused(void *owner)
{
	struct sq_member *m = owner;

	member_forget(m->pool);
	m->pool->user->refused(m);
}

static void
member_on_standby(void *owner, const char *address)
{
	struct sq_member *m = owner;

	sq_whereabouts_standby(&m->pool->where, address);
	m->pool->user->aim(m->pool);
}

/* The broker asked to move. */
static void
member_on_draining(void *owner)
{
	struct sq_member *m = owner;
	uint64_t now = sq_clock_ms();

	sq_peer_drains(m->peer, now - m->up_ms);
	member_act(m, sq_reconnect_step(m->machine, SQ_RECONNECT_GOAWAY, now));
}

static void
member_on_trust(void *owner, uint64_t digest)
{
	struct sq_member *m = owner;

	if (m->pool->trust != NULL)
		sq_trust_fetch_told(&m->pool->fetch, m->uplink, digest);
}

static const struct sq_uplink_events member_events = {
    .up = member_on_up,
    .draining = member_on_draining,
    .refused = member_on_refused,
    .standby = member_on_standby,
    .trust = member_on_trust,
    .ended = member_on_ended,
};

/* Whether another link of the seat is up on the seat's broker, and stays. */
static bool
seat_shared(const struct sq_member *m)
{
	SQ_LIST_FOR_EACH(it, &m->pool->members, struct sq_member, node)
		if (it != m && it->seat == m->seat && it->up && !it->draining &&
		    it->peer == m->seat->peer)
			return true;
	return false;
}

/* Moves the seat to a better broker if there is one and nothing holds it here. */
static struct sq_peer *
seat_place(struct sq_member *m)
{
	struct sq_peers *ps = m->pool->peers;
	struct sq_seat *seat = m->seat;

	if (seat->peer == NULL)
		seat->peer = sq_peers_claim(ps, NULL);
	else if (sq_peers_better(ps, seat->peer) && (seat->peer->drains > 0 || !seat_shared(m)))
		seat->peer = sq_peers_claim(ps, seat->peer);
	return seat->peer;
}

void
sq_member_refresh_token(struct sq_pool *p)
{
	struct sq_buf err = {0};

	if (sq_bearer_refresh(p->env.token, &err) != 0)
		SQ_WARN("pool", "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

/* Before each dial: files that hold the token, authorities or the own certificate may be new. */
static void
member_refresh(struct sq_pool *p)
{
	sq_member_refresh_token(p);
	if (p->trust != NULL)
		sq_trust_refresh(p->trust);
	if (p->pair != NULL)
		sq_pair_refresh(p->pair);
}

void
sq_member_connect(struct sq_member *m, struct sq_peer *peer)
{
	struct sq_pool *p = m->pool;
	const char *server = p->cfg.server_name;
	char name[SQ_ADDR_TEXT + 16];
	struct sq_uplink_to to = {
	    .space = p->cfg.space,
	    .scout = m->scout,
	    .epoch = sq_whereabouts_epoch(&p->where),
	    .addr = &peer->addr,
	    .authority = peer->authority,
	    .name = name,
	    .server = server != NULL && *server != '\0' ? server : peer->host,
	};

	member_refresh(p);
	to.tls = p->trust != NULL ? sq_trust_context(p->trust) : NULL;
	to.pair = p->pair;
	(void)snprintf(name, sizeof name, "%s#%u", peer->text, m->index);
	sq_net_count(p->cfg.counts, SQ_NET_DIALS, 1);
	sq_peer_ref(peer);
	m->peer = peer;
	m->uplink = sq_uplink_new(&p->env, &to, &member_events, m);
}

/* Whether the standby is asked by the scout, and would say who owns: so that not all links of all sidecars
 * dial brokers which are about to have much to do. */
static bool
member_spares(const struct sq_pool *p)
{
	const struct sq_member *scout = p->scout;

	return p->lost_ms != 0 && sq_clock_ms() - p->lost_ms < MEMBER_SPARED_MS && scout != NULL &&
	    scout->uplink != NULL && sq_uplink_asks(scout->uplink);
}

/* Dials the owner, where that is known and not in vain of late; false: a configured broker is due. */
static bool
member_dial_owner(struct sq_member *m)
{
	struct sq_named *at = m->pool->owner_at;
	struct sq_peer *peer;

	if (sq_named_address(at)[0] == '\0' || (m->turn % 2 != 0 && !member_spares(m->pool)))
		return false;
	sq_named_refresh(at);
	peer = sq_named_peer(at);
	m->waiting = peer == NULL && sq_named_busy(at);
	if (peer == NULL)
		return m->waiting;
	sq_member_connect(m, peer);
	member_arm(m);
	return true;
}

void
sq_member_dial(struct sq_member *m)
{
	struct sq_pool *p = m->pool;
	struct sq_peer *peer;

	assert(m->uplink == NULL);
	if (member_spares(p) && strcmp(p->scout->peer->authority, p->where.owner) == 0) {
		(void)sq_reconnect_step(m->machine, SQ_RECONNECT_DOWN, sq_clock_ms());
		member_arm(m); /* the scout's link comes first */
		return;
	}
	if (member_dial_owner(m))
		return;
	sq_peers_refresh(p->peers);
	peer = seat_place(m);
	m->waiting = sq_peers_busy(p->peers) &&
	    (peer == NULL || (!m->waited && (peer->failures > 0 || peer->drains > 0)));
	if (m->waiting)
		return;
	if (peer != NULL) {
		sq_member_connect(m, peer);
	} else { /* the seat has lost its broker */
		m->turn++;
		(void)sq_reconnect_step(m->machine, SQ_RECONNECT_DOWN, sq_clock_ms());
	}
	member_arm(m);
}

/* No new attach: the owner moves its sessions, and a new member dials.  If that
 * is bound for a broker that sends everybody away, it takes its time. */
static void
member_drain(struct sq_member *m)
{
	struct sq_pool *p = m->pool;
	struct sq_peer *peer;
	uint64_t floor_ms = 0;

	m->draining = true;
	sq_uplink_drain(m->uplink);
	if (sq_whereabouts_moves(&p->where, sq_uplink_moves_to(m->uplink)) &&
	    p->where.away[0] != '\0')
		p->user->lost(p);
	peer = seat_place(m);
	if (peer != NULL && peer->drains > 0 && peer == m->peer) {
		floor_ms = p->cfg.backoff_min_ms;
		for (unsigned i = 1; i < peer->drains && floor_ms < p->cfg.backoff_max_ms; i++)
			floor_ms *= 2;
		if (floor_ms > p->cfg.backoff_max_ms)
			floor_ms = p->cfg.backoff_max_ms;
	}
	SQ_INFO(sq_uplink_name(m->uplink), "link draining");
	sq_member_new(p, m->seat, m->index, floor_ms);
	p->events.draining(p->owner, m->uplink);
	p->user->aim(p);
}

static void
member_drop(struct sq_member *m)
{
	const char *why = m->draining ? "it did not drain in time, or went silent"
	    : m->up                   ? "silent"
				      : "no answer in time";

	m->waited = m->waiting;
	m->turn += m->waiting;
	m->waiting = false;
	if (m->uplink != NULL)
		sq_uplink_end(m->uplink, why);
}

static void
member_act(struct sq_member *m, enum sq_reconnect_action action)
{
	switch (action) {
	case SQ_RECONNECT_WAIT:
		break;
	case SQ_RECONNECT_DIAL:
		sq_member_dial(m);
		break;
	case SQ_RECONNECT_PROBE:
		sq_uplink_ping(m->uplink);
		break;
	case SQ_RECONNECT_DRAIN:
		member_drain(m);
		break;
	case SQ_RECONNECT_DROP:
		member_drop(m);
		break;
	}
	member_arm(m);
}

static void
member_on_timer(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_member *m = SQ_CONTAINER_OF(w, struct sq_member, timer);
	uint64_t heard;

	(void)EV_A, (void)revents;
	if (m->uplink != NULL && sq_uplink_ended(m->uplink) != NULL) {
		sq_member_down(m); /* before the machine goes on to the next dial */
		return;
	}
	heard = m->uplink != NULL ? sq_uplink_heard_ms(m->uplink) : 0;
	if (heard > m->heard_ms) {
		m->heard_ms = heard;
		(void)sq_reconnect_step(m->machine, SQ_RECONNECT_HEARD, heard);
	}
	member_act(m, sq_reconnect_step(m->machine, SQ_RECONNECT_TICK, sq_clock_ms()));
}

void
sq_member_new(struct sq_pool *p, struct sq_seat *seat, unsigned index, uint64_t floor_ms)
{
	struct sq_member *m = sq_xcalloc(1, sizeof *m);

	m->pool = p;
	m->seat = seat;
	m->index = index;
	m->machine = sq_reconnect_new(&p->machine, sq_random_u64(), sq_clock_ms());
	if (floor_ms > 0)
		sq_reconnect_retry_after(m->machine, floor_ms);
	ev_timer_init(&m->timer, member_on_timer, 0., 0.);
	sq_list_push_back(&p->members, &m->node);
	member_arm(m);
}

void
sq_member_hurry(struct sq_member *m)
{
	if (m->scout || m->draining || m->uplink != NULL || m->waiting)
		return;
	m->turn = 0;
	sq_reconnect_hurry(m->machine, sq_clock_ms());
	member_arm(m);
}

void
sq_member_adopt(struct sq_member *m, struct sq_seat *seat, unsigned index)
{
	struct sq_pool *p = m->pool;
	uint64_t now = sq_clock_ms();
	enum sq_reconnect_action action;

	ev_timer_stop(p->loop, &m->timer);
	ev_set_cb(&m->timer, member_on_timer);
	m->scout = false;
	m->seat = seat;
	m->index = index;
	m->machine = sq_reconnect_new(&p->machine, sq_random_u64(), now);
	action = sq_reconnect_step(m->machine, SQ_RECONNECT_TICK, now);
	assert(action == SQ_RECONNECT_DIAL);
	sq_list_push_back(&p->members, &m->node);
	member_up(m);
}

void
sq_member_on_names(struct sq_pool *p)
{
	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node)
		if (m->waiting)
			sq_member_dial(m);
}
