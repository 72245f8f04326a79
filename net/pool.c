/* The pool: seats, members and their machines; see net/pool.h.
 *
 *   seat    one of brokers_max; holds the claim on one broker
 *   member  one of links_per_broker of a seat: a reconnect machine, its timer,
 *           and the link while there is one.  A draining link stays with its
 *           member until its end, while a new member takes the place.
 *
 * Order within a loop turn: sockets and timers; the holds' prepare watcher (priority +1), which
 * makes requests; the pool's (priority -1), which writes each link once.  A link that has ended is
 * freed by a timer of zero, so that nothing is freed inside a callback, and the next turn flushes
 * requests that the owner makes then. */
#include "net/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/tls.h"
#include "proto/reconnect/reconnect.h"
#include "net/peers.h"
#include "net/trust.h"
#include "net/trust_fetch.h"
#include "net/conn/wire.h"
#include "net/conn/pair.h"
#include "net/conn/bearer.h"
#include "net/h2/h2.h"

#define POOL_UPKEEP_S 30. /* names of a pool with empty seats, and the token */

enum { POOL_PRIORITY = -1 };

struct seat {
	struct sq_peer *peer; /* claimed, or NULL */
	bool filled;          /* it has its members */
};

struct member {
	struct sq_list node;
	struct sq_pool *pool;
	struct seat *seat;
	unsigned index; /* within the seat, from 1 */
	struct sq_reconnect *machine;
	struct ev_timer timer;    /* the machine's deadline */
	struct sq_uplink *uplink; /* NULL between dials */
	struct sq_peer *peer;     /* of the uplink, with a reference */
	bool waiting;             /* for a name */
	bool waited;              /* in vain, the last time */
	bool up, draining;
	uint64_t up_ms, heard_ms;
};

struct sq_pool {
	struct sq_pool_cfg cfg;
	struct sq_pool_events events;
	void *owner;
	struct ev_loop *loop;
	struct sq_uplink_env env;
	struct sq_trust *trust; /* NULL: in the clear */
	struct sq_trust_fetch fetch;
	struct sq_pair *pair; /* NULL: none is shown */
	struct sq_reconnect_cfg machine;
	struct sq_peers *peers;
	struct sq_list members;
	struct seat *seats;
	struct ev_prepare flush;
	struct ev_timer reap, upkeep;
	uint64_t lot; /* state of sq_pool_pick()'s generator */
};

static void member_new(struct sq_pool *, struct seat *, unsigned index, uint64_t floor_ms);
static void member_act(struct member *, enum sq_reconnect_action);

static void
member_arm(struct member *m)
{
	uint64_t now = sq_clock_ms(), at = sq_reconnect_deadline(m->machine);

	ev_timer_stop(m->pool->loop, &m->timer);
	if (at == UINT64_MAX)
		return;
	ev_timer_set(&m->timer, at > now ? (double)(at - now) / 1e3 + 1e-3 : 0., 0.);
	ev_timer_start(m->pool->loop, &m->timer);
}

static void
member_free(struct member *m)
{
	sq_list_remove(&m->node);
	ev_timer_stop(m->pool->loop, &m->timer);
	sq_uplink_free(&m->uplink);
	if (m->peer != NULL)
		sq_peer_unref(m->peer);
	sq_reconnect_free(&m->machine);
	free(m);
}

/* Writes down a dial that failed or a link that was lost. */
static void
member_log_end(struct member *m, const char *why, bool wanted)
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

/* The member's link has ended: answers its requests, tells the owner, and goes on
 * with the machine. */
static void
member_down(struct member *m)
{
	struct sq_pool *p = m->pool;
	const struct sq_net_counts *counts = p->cfg.counts;
	unsigned retry_after_ms;

	if (sq_uplink_refused(m->uplink, &retry_after_ms) != 0 && retry_after_ms != 0)
		sq_reconnect_retry_after(m->machine, retry_after_ms);
	(void)sq_reconnect_step(m->machine, SQ_RECONNECT_DOWN, sq_clock_ms());
	member_log_end(m, sq_uplink_ended(m->uplink), sq_uplink_ended_well(m->uplink));
	sq_uplink_finish(m->uplink);
	if (m->up) {
		m->up = false;
		sq_net_count(counts, SQ_NET_LINKS, -1);
		sq_net_count(counts, SQ_NET_LINKS_LOST, 1);
		p->events.down(p->owner, m->uplink);
		sq_uplink_finish(m->uplink); /* requests that were sent meanwhile */
	}
	if (m->draining) {
		member_free(m);
		return;
	}
	sq_uplink_free(&m->uplink);
	sq_peer_unref(m->peer);
	m->peer = NULL;
	member_arm(m);
}

static void
pool_on_reap(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_pool *p = SQ_CONTAINER_OF(w, struct sq_pool, reap);

	(void)EV_A, (void)revents;
	ev_timer_stop(p->loop, w);
	SQ_LIST_FOR_EACH_SAFE(m, &p->members, struct member, node)
		if (m->uplink != NULL && sq_uplink_ended(m->uplink) != NULL)
			member_down(m);
}

static void
member_on_ended(void *owner)
{
	struct member *m = owner;

	ev_timer_start(m->pool->loop, &m->pool->reap);
}

static void
member_on_up(void *owner)
{
	struct member *m = owner;
	struct sq_pool *p = m->pool;

	m->up = true;
	m->waited = false;
	m->up_ms = m->heard_ms = sq_clock_ms();
	(void)sq_reconnect_step(m->machine, SQ_RECONNECT_UP, m->up_ms);
	member_arm(m);
	sq_peer_up(m->peer);
	sq_net_count(p->cfg.counts, SQ_NET_LINKS, 1);
	SQ_INFO(sq_uplink_name(m->uplink), "link up");
	p->events.up(p->owner, m->uplink);
}

/* The broker asked to move. */
static void
member_on_draining(void *owner)
{
	struct member *m = owner;
	uint64_t now = sq_clock_ms();

	sq_peer_drains(m->peer, now - m->up_ms);
	member_act(m, sq_reconnect_step(m->machine, SQ_RECONNECT_GOAWAY, now));
}

static void
member_on_trust(void *owner, uint64_t digest)
{
	struct member *m = owner;

	if (m->pool->trust != NULL)
		sq_trust_fetch_told(&m->pool->fetch, m->uplink, digest);
}

static const struct sq_uplink_events member_events = {
    .up = member_on_up,
    .draining = member_on_draining,
    .trust = member_on_trust,
    .ended = member_on_ended,
};

/* Whether another link of the seat is up on the seat's broker, and stays. */
static bool
seat_shared(const struct member *m)
{
	SQ_LIST_FOR_EACH(it, &m->pool->members, struct member, node)
		if (it != m && it->seat == m->seat && it->up && !it->draining &&
		    it->peer == m->seat->peer)
			return true;
	return false;
}

/* Moves the seat to a better broker if there is one and nothing holds it here. */
static struct sq_peer *
seat_place(struct member *m)
{
	struct sq_peers *ps = m->pool->peers;
	struct seat *seat = m->seat;

	if (seat->peer == NULL)
		seat->peer = sq_peers_claim(ps, NULL);
	else if (sq_peers_better(ps, seat->peer) && (seat->peer->drains > 0 || !seat_shared(m)))
		seat->peer = sq_peers_claim(ps, seat->peer);
	return seat->peer;
}

static bool
pool_named(const char *s)
{
	return s != NULL && *s != '\0';
}

static void
pool_refresh_token(struct sq_pool *p)
{
	struct sq_buf err = {0};

	if (sq_bearer_refresh(p->env.token, &err) != 0)
		SQ_WARN("pool", "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

/* Before each dial: files that hold the token, authorities or the own certificate may be new. */
static void
pool_refresh(struct sq_pool *p)
{
	pool_refresh_token(p);
	if (p->trust != NULL)
		sq_trust_refresh(p->trust);
	if (p->pair != NULL)
		sq_pair_refresh(p->pair);
}

static void
member_connect(struct member *m, struct sq_peer *peer)
{
	struct sq_pool *p = m->pool;
	const char *server = p->cfg.server_name;
	char name[SQ_ADDR_TEXT + 16];
	struct sq_uplink_to to = {
	    .addr = &peer->addr,
	    .authority = peer->authority,
	    .name = name,
	    .server = pool_named(server) ? server : peer->host,
	};

	pool_refresh(p);
	to.tls = p->trust != NULL ? sq_trust_context(p->trust) : NULL;
	to.pair = p->pair;
	(void)snprintf(name, sizeof name, "%s#%u", peer->text, m->index);
	sq_net_count(p->cfg.counts, SQ_NET_DIALS, 1);
	sq_peer_ref(peer);
	m->peer = peer;
	m->uplink = sq_uplink_new(&p->env, &to, &member_events, m);
}

/* Dials, or waits for a name if all that is known has failed of late. */
static void
member_dial(struct member *m)
{
	struct sq_pool *p = m->pool;
	struct sq_peer *peer;

	assert(m->uplink == NULL);
	sq_peers_refresh(p->peers);
	peer = seat_place(m);
	m->waiting = sq_peers_busy(p->peers) &&
	    (peer == NULL || (!m->waited && (peer->failures > 0 || peer->drains > 0)));
	if (m->waiting)
		return;
	if (peer != NULL)
		member_connect(m, peer);
	else
		(void)sq_reconnect_step(m->machine, SQ_RECONNECT_DOWN, sq_clock_ms());
	member_arm(m);
}

/* No new attach: the owner moves its sessions, and a new member dials.  If that
 * is bound for a broker that sends everybody away, it takes its time. */
static void
member_drain(struct member *m)
{
	struct sq_pool *p = m->pool;
	struct sq_peer *peer;
	uint64_t floor_ms = 0;

	m->draining = true;
	sq_uplink_drain(m->uplink);
	peer = seat_place(m);
	if (peer != NULL && peer->drains > 0 && peer == m->peer) {
		floor_ms = p->cfg.backoff_min_ms;
		for (unsigned i = 1; i < peer->drains && floor_ms < p->cfg.backoff_max_ms; i++)
			floor_ms *= 2;
		if (floor_ms > p->cfg.backoff_max_ms)
			floor_ms = p->cfg.backoff_max_ms;
	}
	SQ_INFO(sq_uplink_name(m->uplink), "link draining");
	member_new(p, m->seat, m->index, floor_ms);
	p->events.draining(p->owner, m->uplink);
}

static void
member_drop(struct member *m)
{
	const char *why = m->draining ? "it did not drain in time, or went silent"
	    : m->up                   ? "silent"
				      : "no answer in time";

	m->waited = m->waiting;
	m->waiting = false;
	if (m->uplink != NULL)
		sq_uplink_end(m->uplink, why);
}

static void
member_act(struct member *m, enum sq_reconnect_action action)
{
	switch (action) {
	case SQ_RECONNECT_WAIT:
		break;
	case SQ_RECONNECT_DIAL:
		member_dial(m);
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
	struct member *m = SQ_CONTAINER_OF(w, struct member, timer);
	uint64_t heard;

	(void)EV_A, (void)revents;
	if (m->uplink != NULL && sq_uplink_ended(m->uplink) != NULL) {
		member_down(m); /* before the machine goes on to the next dial */
		return;
	}
	heard = m->uplink != NULL ? sq_uplink_heard_ms(m->uplink) : 0;
	if (heard > m->heard_ms) {
		m->heard_ms = heard;
		(void)sq_reconnect_step(m->machine, SQ_RECONNECT_HEARD, heard);
	}
	member_act(m, sq_reconnect_step(m->machine, SQ_RECONNECT_TICK, sq_clock_ms()));
}

static void
member_new(struct sq_pool *p, struct seat *seat, unsigned index, uint64_t floor_ms)
{
	struct member *m = sq_xcalloc(1, sizeof *m);

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

/* Gives members to each seat for which there is a broker, and always to the
 * first, which keeps asking for names. */
static void
pool_fill(struct sq_pool *p)
{
	for (unsigned i = 0; i < p->cfg.brokers_max; i++) {
		struct seat *seat = &p->seats[i];

		if (seat->filled)
			continue;
		if (seat->peer == NULL)
			seat->peer = sq_peers_claim(p->peers, NULL);
		if (seat->peer == NULL && i > 0)
			continue;
		seat->filled = true;
		for (unsigned k = 1; k <= p->cfg.links_per_broker; k++)
			member_new(p, seat, k, 0);
	}
}

static void
pool_on_names(void *owner)
{
	struct sq_pool *p = owner;

	SQ_LIST_FOR_EACH(m, &p->members, struct member, node)
		if (m->waiting)
			member_dial(m);
	pool_fill(p);
}

static void
pool_on_upkeep(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_pool *p = SQ_CONTAINER_OF(w, struct sq_pool, upkeep);

	(void)EV_A, (void)revents;
	pool_refresh_token(p);
	for (unsigned i = 0; i < p->cfg.brokers_max; i++)
		if (!p->seats[i].filled) {
			sq_peers_refresh(p->peers);
			break;
		}
}

static void
pool_on_flush(EV_P_ struct ev_prepare *w, int revents)
{
	struct sq_pool *p = SQ_CONTAINER_OF(w, struct sq_pool, flush);

	(void)EV_A, (void)revents;
	SQ_LIST_FOR_EACH(m, &p->members, struct member, node)
		if (m->uplink != NULL)
			sq_uplink_flush(m->uplink);
}

static uint32_t
pool_ms(uint64_t ms, uint32_t min)
{
	return ms < min ? min : ms > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)ms;
}

static struct sq_reconnect_cfg
pool_machine(const struct sq_pool_cfg *cfg)
{
	struct sq_reconnect_cfg m = sq_reconnect_defaults;

	m.backoff_min_ms = pool_ms(cfg->backoff_min_ms, 1);
	m.backoff_max_ms = pool_ms(cfg->backoff_max_ms, m.backoff_min_ms);
	m.dial_timeout_ms = pool_ms(cfg->dial_timeout_ms, 1);
	m.drop_after_ms = pool_ms(cfg->silence_ms, 2);
	m.probe_after_ms = (uint32_t)((uint64_t)m.drop_after_ms * 65 / 100);
	m.max_age_ms = pool_ms(cfg->max_age_ms, 0);
	return m;
}

static void
pool_start(struct sq_pool *p)
{
	ev_prepare_init(&p->flush, pool_on_flush);
	ev_set_priority(&p->flush, POOL_PRIORITY);
	ev_prepare_start(p->loop, &p->flush);
	ev_timer_init(&p->reap, pool_on_reap, 0., 0.);
	ev_timer_init(&p->upkeep, pool_on_upkeep, POOL_UPKEEP_S, POOL_UPKEEP_S);
	ev_timer_start(p->loop, &p->upkeep);
	pool_fill(p);
}

static struct sq_trust *
pool_trust(const struct sq_pool_cfg *cfg, struct sq_buf *err)
{
	struct sq_trust_cfg trust = {
	    .ca_file = cfg->ca_file,
	    .ca = cfg->ca,
	    .dir = cfg->state_dir,
	};

	return sq_trust_new(&trust, err);
}

struct sq_pool *
sq_pool_new(struct ev_loop *loop, const struct sq_pool_cfg *cfg,
    const struct sq_pool_events *events, void *owner, struct sq_buf *err)
{
	struct sq_pool *p = sq_xcalloc(1, sizeof *p);

	p->cfg = *cfg;
	p->cfg.brokers_max = cfg->brokers_max > 0 ? cfg->brokers_max : 1;
	p->cfg.links_per_broker = cfg->links_per_broker > 0 ? cfg->links_per_broker : 1;
	p->events = *events;
	p->owner = owner;
	p->loop = loop;
	p->lot = sq_random_u64();
	p->machine = pool_machine(cfg);
	p->seats = sq_xcalloc(p->cfg.brokers_max, sizeof *p->seats);
	sq_list_init(&p->members);
	p->env = (struct sq_uplink_env){
	    .loop = loop,
	    .max_frame = cfg->max_frame,
	    .counts = cfg->counts,
	    .frames = events->frames,
	    .owner = owner,
	};
	p->env.io = sq_wire_io_new();
	p->env.h2 = sq_h2_env_new();
	if ((p->peers = sq_peers_new(loop, cfg->brokers, pool_on_names, p, err)) == NULL ||
	    (p->env.token = sq_bearer_open(cfg->token_file, err)) == NULL ||
	    (cfg->tls && (p->trust = pool_trust(cfg, err)) == NULL) ||
	    (cfg->tls && pool_named(cfg->cert_file) &&
		(p->pair = sq_pair_open(cfg->cert_file, cfg->key_file, err)) == NULL)) {
		sq_pool_free(&p);
		return NULL;
	}
	p->fetch = (struct sq_trust_fetch){.trust = p->trust, .counts = cfg->counts};
	p->env.credential = pool_named(cfg->token_file) ? SQ_CREDENTIAL_TOKEN
	    : p->pair != NULL                           ? SQ_CREDENTIAL_CERTIFICATE
							: SQ_CREDENTIAL_NONE;
	pool_start(p);
	return p;
}

void
sq_pool_free(struct sq_pool **pp)
{
	struct sq_pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(m, &p->members, struct member, node) {
		if (m->up)
			sq_net_count(p->cfg.counts, SQ_NET_LINKS, -1);
		member_free(m);
	}
	ev_prepare_stop(p->loop, &p->flush);
	ev_timer_stop(p->loop, &p->reap);
	ev_timer_stop(p->loop, &p->upkeep);
	sq_peers_free(&p->peers);
	sq_bearer_free(&p->env.token);
	sq_trust_free(&p->trust);
	sq_pair_free(&p->pair);
	sq_h2_env_free(&p->env.h2);
	sq_wire_io_free(&p->env.io);
	free(p->seats);
	free(p);
}

static uint64_t
pool_lot(struct sq_pool *p, uint64_t bound)
{
	p->lot ^= p->lot << 13;
	p->lot ^= p->lot >> 7;
	p->lot ^= p->lot << 17;
	return p->lot % bound;
}

/* The 'i'-th link that takes attaches. */
static struct sq_uplink *
pool_usable(struct sq_pool *p, uint64_t i)
{
	SQ_LIST_FOR_EACH(m, &p->members, struct member, node)
		if (m->uplink != NULL && sq_uplink_usable(m->uplink) && i-- == 0)
			return m->uplink;
	return NULL;
}

struct sq_uplink *
sq_pool_pick(struct sq_pool *p)
{
	struct sq_uplink *a, *b;
	uint64_t n = 0, i;

	while (pool_usable(p, n) != NULL)
		n++;
	if (n == 0)
		return NULL;
	i = pool_lot(p, n);
	a = pool_usable(p, i);
	if (n == 1)
		return a;
	b = pool_usable(p, (i + 1 + pool_lot(p, n - 1)) % n);
	return sq_uplink_load(b) < sq_uplink_load(a) ? b : a;
}

static void
pool_gauge_end(const struct sq_pool *p, enum sq_net_count gauge, int64_t end_s)
{
	sq_net_gauge(p->cfg.counts, gauge, sq_clock_left_s(end_s));
}

void
sq_pool_set_metrics(const struct sq_pool *p)
{
	struct sq_tls_ends ends = {0};

	if (p->trust != NULL)
		ends = sq_trust_ends(p->trust);
	pool_gauge_end(p, SQ_NET_TRUST_ENDS_FIRST, ends.first);
	pool_gauge_end(p, SQ_NET_TRUST_ENDS_LAST, ends.last);
	pool_gauge_end(p, SQ_NET_PAIR_ENDS, p->pair != NULL ? sq_pair_end(p->pair) : 0);
}

bool
sq_pool_ready(struct sq_pool *p, struct sq_buf *why)
{
	struct sq_buf brokers = {0};
	unsigned n = 0, up = 0;
	bool open = false;

	SQ_LIST_FOR_EACH(m, &p->members, struct member, node) {
		open = open || m->up;
		n += !m->draining;
		up += m->up && !m->draining;
	}
	sq_peers_report(p->peers, &brokers);
	if (up < n && (up == 0 || sq_buf_len(&brokers) > 0)) {
		sq_buf_printf(why, "links: %u of %u are up\n", up, n);
		sq_buf_append(why, sq_buf_data(&brokers), sq_buf_len(&brokers));
	}
	sq_buf_fini(&brokers);
	return open;
}

enum sq_credential
sq_pool_credential(const struct sq_pool *p)
{
	return p->env.credential;
}
