/* The rule of brokers that share one log: what became of a step; see store/shared/rule.h. */
#include "store/shared/rule.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/shared/rule_priv.h"

#ifdef SQ_RULE_BROKEN
#define RULE_BROKEN(r, rule) ((r)->broken.rule)
#else
#define RULE_BROKEN(r, rule) false
#endif

static void
rule_follow(struct sq_rule *r, uint64_t now_ms)
{
	r->state = SQ_RULE_FOLLOWS;
	r->why[0] = '\0';
	r->conn.judged = false; /* silence begins anew */
	r->read_ms = now_ms;
}

/* R2 */
static void
rule_unknown(struct sq_rule *r)
{
	sq_rule_claim(r, SQ_RULE_RECLAIMS, r->nonce, false);
	sq_rule_disconnect(r);
}

/* The log contradicts what was applied, and 'why' says how.  One that may be an old server's gets some
 * time, in which others are dialled. */
static void
rule_contradicted(struct sq_rule *r, uint64_t now_ms, uint64_t epoch)
{
	bool old = epoch < r->newest_epoch;

	if (r->stale_ms == 0)
		r->stale_ms = rule_max(now_ms, 1);
	r->conn.good = false;
	if (r->state != SQ_RULE_DIVERGED && old && now_ms - r->stale_ms < SQ_RULE_STALE_MS)
		return;
	r->state = SQ_RULE_DIVERGED;
	r->dial_ms = now_ms + SQ_RULE_DIVERGED_MS;
}

static void
rule_owns(struct sq_rule *r, uint64_t now_ms)
{
	r->state = SQ_RULE_OWNS;
	r->owned = true;
	r->flight.there = false; /* not there, so it never will be */
	r->beat_ms = now_ms;
	r->retry_ms = 0;
}

/* Whether it has all of the log that its claim was answered for. */
static bool
rule_caught_up(const struct sq_rule *r)
{
	return r->state == SQ_RULE_CATCHES && r->applied >= r->claim.target &&
	    (r->conn.verified || r->applied == 0);
}

/* --- reads --- */

void
sq_rule_dialled(struct sq_rule *r, uint64_t now_ms, bool good)
{
	r->conn = (struct conn){.up = good};
	r->dial_ms = now_ms + SQ_RULE_DIAL_MS;
	r->read_ms = now_ms;
}

/* R6: whether the head fits what was applied. */
static bool
rule_fits(struct sq_rule *r, uint64_t now_ms, const struct sq_shared_head *h)
{
	if (h->store != r->cfg.store) {
		sq_rule_because(r, "it is the log of store %016" PRIx64 ", and this is %016" PRIx64,
		    h->store, r->cfg.store);
	} else if (h->last < rule_max(r->applied, r->cfg.needs)) {
		sq_rule_because(r,
		    "the log ends at record %" PRIu64 ", and records up to %" PRIu64
		    " were applied",
		    h->last, rule_max(r->applied, r->cfg.needs));
	} else if (h->first > r->applied + 1) {
		sq_rule_because(r,
		    "the log begins at record %" PRIu64 ", and records up to %" PRIu64
		    " were applied: needs a snapshot",
		    h->first, r->applied);
		if (h->epoch >= r->newest_epoch) {
			r->state = SQ_RULE_LOST;
			return false;
		}
	} else {
		return true;
	}
	rule_contradicted(r, now_ms, h->store != r->cfg.store ? UINT64_MAX : h->epoch);
	return false;
}

/* The head has been read: it is as it was, or silence begins anew. */
static void
rule_listen(struct sq_rule *r, uint64_t now_ms, const struct sq_shared_head *h)
{
	struct conn *c = &r->conn;
	bool same = c->judged && c->head.nonce == h->nonce && c->head.beats == h->beats &&
	    c->head.last == h->last && strcmp(c->head.holder, h->holder) == 0 &&
	    now_ms - c->heard_ms <= SQ_RULE_GAP_MS;

	c->idle = c->judged && c->head.last == h->last;
	c->head = *h;
	c->judged = true;
	c->heard_ms = now_ms;
	if (!same) {
		c->since_ms = now_ms;
		c->chance_ms = r->cfg.draw(r->cfg.arg);
	}
}

#ifdef SQ_RULE_BROKEN
static void
rule_peek(struct sq_rule *r, const struct sq_shared_head *h)
{
	r->conn.peeked = true;
	if (r->broken.no_expect) {
		r->claim.expected = h->nonce;
	} else if (h->nonce == r->nonce) {
		r->claim.nonce = r->nonce;
		r->claim.target = h->last;
		r->conn.sure = h->last;
		r->state = SQ_RULE_CATCHES;
	}
}
#endif

void
sq_rule_head(struct sq_rule *r, uint64_t now_ms, const struct sq_shared_head *h)
{
	struct conn *c = &r->conn;

	assert(c->up);
	c->bad = c->progress = false;
#ifdef SQ_RULE_BROKEN
	if (sq_rule_peeks(r))
		rule_peek(r, h);
#endif
	rule_listen(r, now_ms, h);
	c->good = rule_fits(r, now_ms, h);
	if (!c->good)
		return;
	r->newest_epoch = rule_max(r->newest_epoch, h->epoch);
	c->sure = rule_max(c->sure, h->sure);
	if (h->first > r->applied) /* the last one that was applied was dropped */
		c->verified = true;
}

void
sq_rule_sure(struct sq_rule *r, uint64_t sure)
{
	if (r->conn.good)
		r->conn.sure = rule_max(r->conn.sure, sure);
}

static enum sq_rule_verdict
rule_bad(struct sq_rule *r, uint64_t lsn, uint64_t epoch, const char *what)
{
	sq_rule_because(r, "record %" PRIu64 " of epoch %" PRIu64 " %s", lsn, epoch, what);
	r->conn.bad = true;
	return SQ_RULE_BAD;
}

/* A record that was applied already. */
static enum sq_rule_verdict
rule_compare(struct sq_rule *r, uint64_t lsn, uint64_t epoch, uint64_t chain)
{
	if (lsn < r->applied)
		return SQ_RULE_SKIP;
	if (r->chain != 0 && chain != r->chain)
		return rule_bad(r, lsn, epoch, "is not the one that was applied");
	r->chain = chain;
	r->conn.verified = r->conn.progress = true;
	return SQ_RULE_SKIP;
}

enum sq_rule_verdict
sq_rule_record(
    struct sq_rule *r, uint64_t lsn, uint64_t epoch, uint64_t sure, uint64_t chain, bool good)
{
	struct conn *c = &r->conn;
	const struct flight *f = &r->flight;
	bool ours = f->there && lsn == f->lsn && epoch == f->epoch && chain == f->chain;

	r->offered.lsn = 0;
	if (!c->good || c->bad || r->state == SQ_RULE_LOST)
		return SQ_RULE_LATER;
	sq_rule_sure(r, sure);
	if (lsn <= r->applied)
		return good ? rule_compare(r, lsn, epoch, chain)
			    : rule_bad(r, lsn, epoch, "is damaged");
	if (lsn != r->applied + 1 || (!c->verified && r->applied > 0))
		return SQ_RULE_LATER;
	if (!good)
		return rule_bad(r, lsn, epoch, "is damaged, or does not follow what was applied");
	if (r->state == SQ_RULE_CATCHES ? lsn > r->claim.target : r->state != SQ_RULE_FOLLOWS)
		return SQ_RULE_LATER;
	if (r->owned && !ours)
		return rule_bad(r, lsn, epoch, "is another's, and this broker owned the log");
	if (lsn > c->sure && !RULE_BROKEN(r, no_sure))
		return SQ_RULE_LATER;
	r->offered.lsn = lsn;
	r->offered.chain = chain;
	return ours ? SQ_RULE_OURS : SQ_RULE_APPLY;
}

void
sq_rule_applied(struct sq_rule *r, bool good)
{
	assert(r->offered.lsn == r->applied + 1);
	r->offered.lsn = 0;
	r->blocked = !good;
	if (!good)
		return;
	if (r->flight.there && r->flight.lsn == r->applied + 1)
		r->flight.there = false;
	r->applied++;
	r->chain = r->offered.chain;
	r->conn.verified = r->conn.progress = true;
	r->conn.idle = false;
}

void
sq_rule_read(struct sq_rule *r, uint64_t now_ms, enum sq_shared_result result)
{
	struct conn *c = &r->conn;

	assert(c->up);
	if (result != SQ_SHARED_DONE) {
		sq_rule_disconnect(r);
		return;
	}
	if (c->bad)
		rule_contradicted(r, now_ms, c->head.epoch);
	if (!c->good || sq_rule_final(r)) {
		sq_rule_disconnect(r);
		return;
	}
	r->answered_ms = now_ms;
	r->stale_ms = 0;
	if (r->state == SQ_RULE_DIVERGED)
		rule_follow(r, now_ms);
	if (rule_caught_up(r))
		rule_owns(r, now_ms);
	else if (r->state == SQ_RULE_CATCHES && r->blocked && !r->owned)
		rule_follow(r, now_ms);
	r->read_ms = now_ms;
	if (!c->progress || r->blocked || r->applied >= c->sure)
		r->read_ms += c->idle ? SQ_RULE_REST_MS : SQ_RULE_POLL_MS;
}

/* --- calls that write --- */

/* An owner's call was answered: 'proves' that nobody else owns the log. */
static void
rule_answered(struct sq_rule *r, uint64_t sent_ms, uint64_t now_ms, bool proves)
{
	r->answered_ms = now_ms;
	if (proves)
		r->lease_ms = rule_max(r->lease_ms, rule_max(sent_ms, 1));
}

static void
rule_refused(struct sq_rule *r, uint64_t now_ms)
{
	if (r->state == SQ_RULE_CLAIMS) {
		rule_follow(r, now_ms);
		return;
	}
	sq_rule_because(r, "another broker has claimed the log after record %" PRIu64, r->applied);
	sq_rule_fenced(r);
}

void
sq_rule_claimed(struct sq_rule *r, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result result,
    const struct sq_shared_head *h)
{
	struct conn *c = &r->conn;

	assert(r->state == SQ_RULE_CLAIMS || r->state == SQ_RULE_RECLAIMS);
	switch (result) {
	case SQ_SHARED_UNKNOWN:
		sq_rule_disconnect(r);
		return;
	case SQ_SHARED_REFUSED:
		rule_refused(r, now_ms);
		return;
	case SQ_SHARED_NOT_DONE:
		rule_answered(r, sent_ms, now_ms, false);
		r->retry_ms = now_ms + SQ_RULE_RETRY_MS;
		r->claim.roll = false;
		r->roll_ms = now_ms + SQ_RULE_ROLL_MS;
		if (r->state ==
		    SQ_RULE_CLAIMS) /* if an earlier one was done, its silence will be seen */
			rule_follow(r, now_ms);
		return;
	case SQ_SHARED_DONE:
		break;
	}
	rule_answered(r, sent_ms, now_ms, true);
	r->nonce = r->claim.nonce;
	r->epoch = h->epoch;
	r->claim.target = h->last;
	r->state = SQ_RULE_CATCHES;
	r->read_ms = now_ms;
	c->good = rule_fits(r, now_ms, h);
	if (!c->good) {
		sq_rule_disconnect(r);
		return;
	}
	r->newest_epoch = rule_max(r->newest_epoch, h->epoch);
	c->sure = rule_max(c->sure, h->last); /* L3: with the claim, all before it is durable */
	if (h->first > r->applied)
		c->verified = true;
	if (rule_caught_up(r))
		rule_owns(r, now_ms);
}

void
sq_rule_sealed(struct sq_rule *r, uint64_t chain)
{
	assert(r->state == SQ_RULE_OWNS && r->flight.there);
	r->flight.chain = chain;
}

void
sq_rule_appended(struct sq_rule *r, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result result)
{
	assert(r->state == SQ_RULE_OWNS && r->flight.there);
	switch (result) {
	case SQ_SHARED_DONE:
		rule_answered(r, sent_ms, now_ms, true);
		r->flight.there = false;
		r->applied = r->flight.lsn;
		r->chain = r->flight.chain;
		return;
	case SQ_SHARED_NOT_DONE:
		rule_answered(r, sent_ms, now_ms, false);
		r->retry_ms = now_ms + SQ_RULE_RETRY_MS;
		return;
	case SQ_SHARED_REFUSED:
	case SQ_SHARED_UNKNOWN:
		rule_unknown(r);
		return;
	}
	abort();
}

void
sq_rule_beaten(struct sq_rule *r, uint64_t sent_ms, uint64_t now_ms, enum sq_shared_result result)
{
	assert(r->state == SQ_RULE_OWNS);
	switch (result) {
	case SQ_SHARED_DONE:
		rule_answered(r, sent_ms, now_ms, true);
		r->beat_ms = sent_ms + SQ_RULE_BEAT_MS;
		if (r->yielding)
			r->state = SQ_RULE_YIELDED;
		return;
	case SQ_SHARED_NOT_DONE:
		rule_answered(r, sent_ms, now_ms, false);
		r->beat_ms = now_ms + SQ_RULE_RETRY_MS;
		r->retry_ms = r->yielding ? r->beat_ms : r->retry_ms;
		return;
	case SQ_SHARED_REFUSED:
	case SQ_SHARED_UNKNOWN:
		rule_unknown(r);
		return;
	}
	abort();
}

void
sq_rule_broke(struct sq_rule *r)
{
	if (r->state == SQ_RULE_OWNS)
		rule_unknown(r);
	else
		sq_rule_disconnect(r);
}
