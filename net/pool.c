/* The pool's life; see net/pool.h and net/pool_priv.h.
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
#include "net/pool_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/tls.h"
#include "net/allowed.h"
#include "net/trust.h"
#include "net/conn/wire.h"
#include "net/conn/pair.h"
#include "net/conn/bearer.h"
#include "net/h2/h2.h"

#define POOL_UPKEEP_S 30. /* names of a pool with empty seats, and the token */

enum { POOL_PRIORITY = -1, FORGET_MS = 300000 };

static void
pool_on_reap(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_pool *p = SQ_CONTAINER_OF(w, struct sq_pool, reap);

	(void)EV_A, (void)revents;
	ev_timer_stop(p->loop, w);
	SQ_LIST_FOR_EACH_SAFE(m, &p->members, struct sq_member, node)
		if (m->uplink != NULL && sq_uplink_ended(m->uplink) != NULL)
			sq_member_down(m);
	if (p->scout != NULL && p->scout->uplink != NULL &&
	    sq_uplink_ended(p->scout->uplink) != NULL)
		sq_scout_down(p->scout);
}

static bool
pool_named(const char *s)
{
	return s != NULL && *s != '\0';
}

/* Gives members to each seat for which there is a broker, and always to the
 * first, which keeps asking for names. */
static void
pool_fill(struct sq_pool *p)
{
	for (unsigned i = 0; i < p->cfg.brokers_max; i++) {
		struct sq_seat *seat = &p->seats[i];

		if (seat->filled)
			continue;
		if (seat->peer == NULL)
			seat->peer = sq_peers_claim(p->peers, NULL);
		if (seat->peer == NULL && i > 0)
			continue;
		seat->filled = true;
		for (unsigned k = 1; k <= p->cfg.links_per_broker; k++)
			sq_member_new(p, seat, k, 0);
	}
}

static void
pool_on_names(void *owner)
{
	struct sq_pool *p = owner;

	sq_member_on_names(p);
	pool_fill(p);
}

static void
pool_on_named(void *owner)
{
	struct sq_pool *p = owner;

	sq_member_on_names(p);
	sq_scout_aim(p);
}

static void
pool_on_upkeep(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_pool *p = SQ_CONTAINER_OF(w, struct sq_pool, upkeep);

	(void)EV_A, (void)revents;
	sq_member_refresh_token(p);
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
	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node)
		if (m->uplink != NULL)
			sq_uplink_flush(m->uplink);
	if (p->scout != NULL && p->scout->uplink != NULL)
		sq_uplink_flush(p->scout->uplink);
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
	p->cfg.forget_ms = cfg->forget_ms > 0 ? cfg->forget_ms : FORGET_MS;
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
	p->user = &sq_scout_user;
	p->where = (struct sq_whereabouts){.allowed = cfg->allowed, .brokers = cfg->brokers};
	p->owner_at = sq_named_new(loop, pool_on_named, p);
	p->standby_at = sq_named_new(loop, pool_on_named, p);
	p->env.io = sq_wire_io_new();
	p->env.h2 = sq_h2_env_new();
	if ((cfg->allowed != NULL && sq_allowed_check(cfg->allowed, err) != 0) ||
	    (p->peers = sq_peers_new(loop, cfg->brokers, pool_on_names, p, err)) == NULL ||
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
	SQ_LIST_FOR_EACH_SAFE(m, &p->members, struct sq_member, node) {
		if (m->up)
			sq_net_count(p->cfg.counts, SQ_NET_LINKS, -1);
		sq_member_free(m);
	}
	if (p->scout != NULL)
		sq_member_free(p->scout);
	ev_prepare_stop(p->loop, &p->flush);
	ev_timer_stop(p->loop, &p->reap);
	ev_timer_stop(p->loop, &p->upkeep);
	sq_peers_free(&p->peers);
	sq_named_free(&p->owner_at);
	sq_named_free(&p->standby_at);
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
	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node)
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

	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node) {
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
