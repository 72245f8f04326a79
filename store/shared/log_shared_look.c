/* What the shared log knows of itself, its owner and its other brokers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "store/shared/log_shared_priv.h"

enum { RECORD_BYTES = 4096 }; /* of a record, as long as none was read */

static struct sq_log_shared *
look_of(const struct sq_log *l)
{
	return SQ_CONTAINER_OF((struct sq_log *)(uintptr_t)l, struct sq_log_shared, log);
}

void
sq_log_shared_answered(struct sq_log_shared *s, const char *why)
{
	struct sq_log_shared_run *run = &s->run;
	struct sq_log_shared_down *d = &run->down;
	uint64_t now_ms = sq_clock_ms();

	if (why == NULL) {
		if (d->since_ms == 0)
			return;
		if (now_ms - d->since_ms >= SQ_LOG_SHARED_LATE_MS)
			SQ_INFO("log", "the shared log answers again, after %" PRIu64 " ms",
			    now_ms - d->since_ms);
		*d = (struct sq_log_shared_down){0};
		run->why[0] = '\0';
		run->stale = true;
		return;
	}
	if (d->since_ms == 0)
		d->since_ms = now_ms;
	if (d->line_ms == 0 || now_ms - d->line_ms >= SQ_LOG_SHARED_LINE_MS) {
		d->line_ms = now_ms;
		SQ_WARN("log", "the shared log does not answer: %s", why);
	}
	run->stale |= strcmp(run->why, why) != 0;
	snprintf(run->why, sizeof run->why, "%s", why);
}

bool
sq_log_shared_is_full(struct sq_log_shared *s)
{
	bool full;

	pthread_mutex_lock(&s->lock);
	full = s->known.used.bytes >= s->shared.max_used;
	pthread_mutex_unlock(&s->lock);
	return full;
}

uint64_t
sq_log_shared_behind(const struct sq_log_shared *s)
{
	const struct sq_log_shared_run *run = &s->run;
	uint64_t applied = sq_rule_applied_lsn(run->rule);

	/* The last one may be held back until it is sure. */
	if (run->head.last <= applied + 1)
		return 0;
	return (run->head.last - applied) *
	    (run->record_bytes != 0 ? run->record_bytes : RECORD_BYTES);
}

/* Why the broker does not own the log; empty: it may. */
static void
look_why(const struct sq_log_shared *s, struct sq_log_shared_look *k)
{
	const struct sq_log_shared_run *run = &s->run;
	int64_t skew_ms = sq_skew_ms(&run->clock.skew, sq_clock_ms());

	if (k->role == SQ_LOG_FENCED || run->state == SQ_RULE_DIVERGED)
		snprintf(k->why, sizeof k->why, "%s", sq_rule_why(run->rule));
	else if (run->down.since_ms != 0 || run->refused != 0)
		snprintf(k->why, sizeof k->why, "%s", run->why);
	else if (run->head.moved)
		snprintf(k->why, sizeof k->why,
		    "the log has moved to the files of %s: nobody may own it any more",
		    run->head.holder);
	else if (run->twin)
		snprintf(k->why, sizeof k->why,
		    "another broker that owns the log has the same broker.id, %s",
		    run->head.holder);
	else if (!run->owned && (skew_ms > SQ_SKEW_CLAIM_MS || skew_ms < -SQ_SKEW_CLAIM_MS))
		snprintf(k->why, sizeof k->why, "the owner's clock differs by %" PRId64 " s",
		    skew_ms / 1000);
}

static enum sq_log_role
look_role(const struct sq_log_shared *s)
{
	switch (s->run.state) {
	case SQ_RULE_FENCED:
	case SQ_RULE_LOST:
		return SQ_LOG_FENCED;
	case SQ_RULE_DIVERGED:
		return s->run.owned ? SQ_LOG_FENCED : SQ_LOG_FOLLOWS;
	default:
		return s->run.owned ? SQ_LOG_OWNS : SQ_LOG_FOLLOWS;
	}
}

static void
look_peers(const struct sq_log_shared *s, uint64_t now_ms, struct sq_log_shared_look *k)
{
	const struct sq_log_peers *peers = s->run.crowd.peers;
	const struct sq_shared_peer *standby = sq_log_peers_first(peers, now_ms, k->owner);
	uint64_t kept = sq_log_peers_kept(peers, now_ms);

	k->peers = sq_log_peers_live(peers, now_ms);
	k->peers_kept = kept != UINT64_MAX ? kept : 0;
	k->format = sq_log_peers_format(peers, now_ms, s->cfg.format);
	if (standby != NULL) {
		snprintf(k->standby, sizeof k->standby, "%s", standby->id);
		snprintf(k->standby_link, sizeof k->standby_link, "%s", standby->link);
	}
}

/* All but the figures that change with each record. */
static void
look_take(const struct sq_log_shared *s, uint64_t now_ms, struct sq_log_shared_look *k)
{
	const struct sq_log_shared_run *run = &s->run;
	const struct sq_shared_head *h = &run->head;

	k->role = look_role(s);
	k->up = run->headed && run->down.since_ms == 0;
	k->yielded = k->role == SQ_LOG_OWNS && run->yielded;
	k->caught_up = k->role == SQ_LOG_OWNS ||
	    (run->head_wall_ms != 0 && !h->moved && run->state != SQ_RULE_DIVERGED &&
		run->refused == 0 && sq_log_shared_behind(s) <= s->shared.max_behind);
	k->diverged = run->state == SQ_RULE_DIVERGED;
	k->store = h->store;
	k->epoch = k->role == SQ_LOG_OWNS ? run->boot : h->boot;
	k->copies = h->copies;
	k->segments = h->segments;
	if (k->role == SQ_LOG_OWNS) {
		snprintf(k->owner, sizeof k->owner, "%s", s->shared.me.id);
		snprintf(k->owner_link, sizeof k->owner_link, "%s", s->shared.me.link);
		snprintf(k->owner_admin, sizeof k->owner_admin, "%s", s->shared.me.admin);
	} else {
		snprintf(k->owner, sizeof k->owner, "%s", h->holder);
		snprintf(k->owner_link, sizeof k->owner_link, "%s", h->link);
		snprintf(k->owner_admin, sizeof k->owner_admin, "%s", h->admin);
		k->clock_ms = sq_skew_ms(&run->clock.skew, sq_clock_ms());
	}
	look_peers(s, now_ms, k);
	look_why(s, k);
}

/* Whether something beside figures differs. */
static bool
look_differs(const struct sq_log_shared_look *a, const struct sq_log_shared_look *b)
{
	return a->role != b->role || a->up != b->up || a->caught_up != b->caught_up ||
	    a->store != b->store || a->epoch != b->epoch || a->copies != b->copies ||
	    a->peers != b->peers || a->format != b->format || strcmp(a->owner, b->owner) != 0 ||
	    strcmp(a->owner_link, b->owner_link) != 0 ||
	    strcmp(a->owner_admin, b->owner_admin) != 0 || strcmp(a->standby, b->standby) != 0 ||
	    strcmp(a->standby_link, b->standby_link) != 0 || strcmp(a->why, b->why) != 0;
}

/* Under the lock.  Of a follower: the newest record that it knew of, and when; once that is applied,
 * the next one. */
static void
look_lag(struct sq_log_shared *s, uint64_t now_ms)
{
	struct sq_log_shared_known *k = &s->known;

	if (k->behind_lsn != 0 && k->mark.lsn < k->behind_lsn)
		return;
	k->behind_lsn = 0;
	if (!s->run.owned && s->run.head.last > k->mark.lsn) {
		k->behind_lsn = s->run.head.last;
		k->behind_ms = now_ms;
	}
}

void
sq_log_shared_publish(struct sq_log_shared *s, uint64_t now_ms)
{
	struct sq_log_shared_known *k = &s->known;
	struct sq_log_shared_look look = {0};
	bool differs;

	if (!s->run.stale)
		return;
	s->run.stale = false;
	look_take(s, now_ms, &look);
	pthread_mutex_lock(&s->lock);
	differs = look_differs(&look, &k->look);
	look.last = s->run.head.last;
	k->look = look;
	look_lag(s, now_ms);
	pthread_mutex_unlock(&s->lock);
	if (differs && s->shared.changed != NULL)
		s->shared.changed(s->shared.owner);
}

void
sq_log_shared_look(const struct sq_log *l, struct sq_log_shared_look *out)
{
	struct sq_log_shared *s = look_of(l);
	struct sq_log_shared_known *k = &s->known;

	pthread_mutex_lock(&s->lock);
	*out = k->look;
	out->applied = k->mark.lsn;
	if (out->last < out->applied)
		out->last = out->applied;
	if (k->behind_lsn > k->mark.lsn)
		out->lag_ms = sq_clock_ms() - k->behind_ms;
	pthread_mutex_unlock(&s->lock);
	if (s->run.care.snapshots != NULL)
		out->snapshot_ms = sq_snapshots_age_ms(s->run.care.snapshots);
}

void
sq_log_shared_counts(const struct sq_log *l, struct sq_log_shared_counts *out)
{
	struct sq_log_shared *s = look_of(l);

	pthread_mutex_lock(&s->lock);
	*out = s->known.counts;
	pthread_mutex_unlock(&s->lock);
}
