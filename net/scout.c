/* Where the owner of the state is, where several brokers share it (docs/link.md, "Several brokers"): goes by
 * what they say (net/whereabouts.h), and keeps a connection to the standby, the scout, which asks
 * there whether it owns: a question that the broker keeps open until there is something to say.  See net/pool_priv.h. */
#include "net/pool_priv.h"

#include <assert.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	SCOUT_SLOW_MS = 5000,   /* from an answer to the next question while there is an owner */
	SCOUT_SOON_MS = 100,    /* before a question for which there is a new reason */
	SCOUT_NEXT_MS = 500,    /* from an answer to the next question in haste */
	SCOUT_HASTE_MS = 10000, /* how long haste is made */
	SCOUT_AFTER_MS = 1000,  /* and after it */
	SCOUT_FAILED_MS = 500,  /* after a dial that failed, twice that after the next one, ... */
	SCOUT_FAILED_MAX_MS = 16000,
};

/* Sets the timer: half of 'ms', and as much again by chance at the most. */
static void
scout_arm(struct sq_member *m, uint64_t ms)
{
	uint64_t wait = ms / 2 + sq_random_u64() % (ms / 2 + 1);

	ev_timer_stop(m->pool->loop, &m->timer);
	ev_timer_set(&m->timer, (double)wait / 1e3, 0.);
	ev_timer_start(m->pool->loop, &m->timer);
}

/* Sets it to when an answer is overdue. */
static void
scout_await(struct sq_member *m)
{
	m->asked = true;
	m->up_ms = sq_clock_ms();
	ev_timer_stop(m->pool->loop, &m->timer);
	ev_timer_set(
	    &m->timer, (double)(m->pool->cfg.dial_timeout_ms + SQ_UPLINK_WAIT_MS) / 1e3, 0.);
	ev_timer_start(m->pool->loop, &m->timer);
}

static uint64_t
scout_wait_ms(const struct sq_pool *p)
{
	if (p->lost_ms == 0)
		return SCOUT_SLOW_MS;
	return sq_member_hastes(p) ? SCOUT_NEXT_MS : SCOUT_AFTER_MS;
}

static void
scout_dial(struct sq_member *m)
{
	struct sq_named *at = m->pool->standby_at;
	struct sq_peer *peer;

	if (sq_named_address(at)[0] == '\0')
		return; /* sq_scout_aim() goes on */
	sq_named_refresh(at);
	peer = sq_named_peer(at);
	if (peer == NULL) {
		scout_arm(m, SCOUT_AFTER_MS);
		return;
	}
	sq_member_connect(m, peer);
	scout_await(m);
}

static void
scout_on_timer(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_member *m = SQ_CONTAINER_OF(w, struct sq_member, timer);

	(void)EV_A, (void)revents;
	if (m->uplink == NULL) {
		scout_dial(m);
	} else if (sq_uplink_ended(m->uplink) != NULL) {
		return; /* sq_scout_down() is due */
	} else if (m->asked) {
		sq_uplink_end(m->uplink, "no answer in time");
	} else {
		sq_uplink_ask(m->uplink, sq_whereabouts_epoch(&m->pool->where));
		scout_await(m);
	}
}

static void
scout_new(struct sq_pool *p)
{
	struct sq_member *m = sq_xcalloc(1, sizeof *m);

	m->pool = p;
	m->scout = true;
	sq_list_init(&m->node);
	ev_timer_init(&m->timer, scout_on_timer, 0., 0.);
	p->scout = m;
}

/* The scout goes to who is the standby now. */
static void
scout_look(struct sq_pool *p)
{
	const char *to = sq_named_address(p->standby_at);

	if (p->scout == NULL && to[0] == '\0')
		return;
	if (p->scout == NULL)
		scout_new(p);
	if (p->scout->uplink != NULL) {
		if (strcmp(p->scout->peer->authority, to) != 0)
			sq_uplink_end(p->scout->uplink, "another broker is the standby");
		else if (p->lost_ms != 0 && !p->scout->asked &&
		    ev_timer_remaining(p->loop, &p->scout->timer) * 1e3 > SCOUT_SOON_MS)
			scout_arm(p->scout, SCOUT_SOON_MS);
	} else if (to[0] != '\0' && !ev_is_active(&p->scout->timer)) {
		scout_arm(p->scout, SCOUT_SOON_MS);
	}
}

void
sq_scout_aim(struct sq_pool *p)
{
	if (!p->where.known)
		return;
	sq_named_set(p->owner_at, p->where.owner);
	sq_named_set(p->standby_at, p->where.standby);
	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node) {
		if (m->up && sq_whereabouts_old(&p->where, sq_uplink_told(m->uplink)))
			sq_uplink_end(m->uplink, "another broker owns the state");
		sq_member_hurry(m);
	}
	scout_look(p);
}

static bool
scout_led(struct sq_pool *p, const struct sq_member *m)
{
	const struct sq_where *told = sq_uplink_told(m->uplink);
	enum sq_whereabouts_verdict v = sq_whereabouts_told(&p->where, told);
	bool led = v == SQ_WHEREABOUTS_FOLLOW;

	sq_net_count(p->cfg.counts, led ? SQ_NET_REDIRECTS : SQ_NET_REDIRECTS_IGNORED, 1);
	if (led || v == SQ_WHEREABOUTS_WAIT ||
	    (v == SQ_WHEREABOUTS_HOPS_ALL && sq_member_hastes(p))) /* it is known to be away */
		SQ_DEBUG(sq_uplink_name(m->uplink), "the owner is %s: %s", told->owner,
		    sq_whereabouts_word(v));
	else
		SQ_WARN(sq_uplink_name(m->uplink), "it says that the owner is %s: %s",
		    told->owner[0] != '\0' ? told->owner : "nobody", sq_whereabouts_word(v));
	return led;
}

static void
scout_lost(struct sq_pool *p)
{
	if (p->lost_ms != 0)
		return;
	p->lost_ms = sq_clock_ms();
	p->haste_ms = p->lost_ms + SCOUT_HASTE_MS;
	p->forget_at_ms = p->lost_ms + p->cfg.forget_ms;
	if (p->scout != NULL)
		scout_look(p);
}

/* The standby says, in passing, who owns. */
static void
scout_refused(struct sq_member *m)
{
	struct sq_pool *p = m->pool;

	m->asked = false;
	sq_peer_up(m->peer);
	sq_peer_down(m->peer, "", false);
	if (sq_whereabouts_heard(&p->where, sq_uplink_told(m->uplink)))
		sq_scout_aim(p);
	scout_arm(m, sq_clock_ms() - m->up_ms >= SCOUT_SLOW_MS ? SCOUT_SOON_MS : scout_wait_ms(p));
}

/* A member whose place the scout takes: one without a link, else any that does not drain. */
static struct sq_member *
scout_replaces(const struct sq_pool *p)
{
	struct sq_member *any = NULL;

	SQ_LIST_FOR_EACH(m, &p->members, struct sq_member, node) {
		if (m->draining)
			continue;
		if (!m->up)
			return m;
		any = m;
	}
	return any;
}

/* The standby owns by now. */
static void
scout_up(struct sq_member *m)
{
	struct sq_pool *p = m->pool;
	struct sq_member *old = scout_replaces(p);
	struct sq_seat *seat;
	unsigned index;

	if (sq_whereabouts_old(&p->where, sq_uplink_told(m->uplink)) || old == NULL) {
		sq_uplink_end(m->uplink, "it does not own the state");
		return;
	}
	seat = old->seat;
	index = old->index;
	if (old->up) { /* at a broker that has lost the state */
		old->draining = true;
		sq_uplink_end(old->uplink, "another broker owns the state");
	} else {
		sq_member_free(old);
	}
	p->scout = NULL;
	sq_member_adopt(m, seat, index);
}

void
sq_scout_down(struct sq_member *m)
{
	const struct sq_pool *p = m->pool;
	uint64_t wait = SCOUT_FAILED_MS;

	SQ_DEBUG(sq_uplink_name(m->uplink), "standby: %s", sq_uplink_ended(m->uplink));
	m->turn++;
	(void)sq_peer_failed(m->peer, sq_uplink_ended(m->uplink));
	sq_uplink_finish(m->uplink);
	sq_uplink_free(&m->uplink);
	for (unsigned i = 1; i < m->peer->failures && wait < SCOUT_FAILED_MAX_MS; i++)
		wait *= 2;
	sq_peer_unref(m->peer);
	m->peer = NULL;
	m->asked = false;
	scout_arm(m, p->lost_ms != 0 && sq_member_hastes(p) ? SCOUT_NEXT_MS : wait);
}

const struct sq_member_user sq_scout_user = {
    .aim = sq_scout_aim,
    .led = scout_led,
    .lost = scout_lost,
    .up = scout_up,
    .refused = scout_refused,
};
