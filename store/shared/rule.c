/* The rule of brokers that share one log: what is next; see store/shared/rule.h. */
#include "store/shared/rule.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"
#include "store/shared/rule_priv.h"

#ifdef SQ_RULE_BROKEN
void
sq_rule_break(struct sq_rule *r, const struct sq_rule_broken *broken)
{
	r->broken = *broken;
}
#endif

struct sq_rule *
sq_rule_new(const struct sq_rule_cfg *cfg)
{
	struct sq_rule *r = sq_xcalloc(1, sizeof *r);

	r->cfg = *cfg;
	r->applied = cfg->applied;
	r->chain = cfg->chain;
	return r;
}

void
sq_rule_free(struct sq_rule **rp)
{
	free(*rp);
	*rp = NULL;
}

void SQ_PRINTF(2, 3) sq_rule_because(struct sq_rule *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, args);
	va_end(args);
}

bool
sq_rule_final(const struct sq_rule *r)
{
	return r->state == SQ_RULE_FENCED || r->state == SQ_RULE_YIELDED ||
	    r->state == SQ_RULE_LOST || (r->state == SQ_RULE_DIVERGED && r->owned);
}

void
sq_rule_disconnect(struct sq_rule *r)
{
	r->conn = (struct conn){.up = false};
	if (r->state ==
	    SQ_RULE_CATCHES) /* another server may have other records: it claims there, too */
		r->state = r->owned ? SQ_RULE_RECLAIMS : SQ_RULE_CLAIMS;
}

void
sq_rule_claim(struct sq_rule *r, enum sq_rule_state state, uint64_t expected, bool roll)
{
	r->state = state;
	r->claim = (struct claim){
	    .expected = expected, .nonce = r->cfg.draw(r->cfg.arg), .roll = roll};
	assert(r->claim.nonce != 0);
	r->retry_ms = 0;
}

void
sq_rule_fenced(struct sq_rule *r)
{
	r->state = SQ_RULE_FENCED;
	sq_rule_disconnect(r);
}

static void
rule_rest(struct sq_rule_step *out, uint64_t until_ms)
{
	*out = (struct sq_rule_step){.what = SQ_RULE_REST, .until_ms = until_ms};
}

static void
rule_dial(struct sq_rule *r, uint64_t now_ms, struct sq_rule_step *out)
{
	if (now_ms < r->dial_ms) {
		rule_rest(out, r->dial_ms);
		return;
	}
	*out = (struct sq_rule_step){.what = SQ_RULE_DIAL};
}

/* The last record that was applied is read, too, until it has been compared. */
static void
rule_read(struct sq_rule *r, uint64_t now_ms, struct sq_rule_step *out)
{
	bool again = !r->conn.verified && r->applied > 0;

	if (now_ms < r->read_ms) {
		rule_rest(out, r->read_ms);
		return;
	}
	*out = (struct sq_rule_step){.what = SQ_RULE_READ, .from = r->applied - again};
}

static void
rule_ask(struct sq_rule *r, uint64_t now_ms, struct sq_rule_step *out)
{
	if (now_ms < r->retry_ms) {
		rule_rest(out, r->retry_ms);
		return;
	}
	*out = (struct sq_rule_step){.what = SQ_RULE_CLAIM,
	    .expected = r->claim.expected,
	    .nonce = r->claim.nonce,
	    .roll = r->claim.roll};
}

/* R5: whether nobody seems to own the log, as far as answered reads of this connection say. */
static bool
rule_vacant(const struct sq_rule *r, bool next)
{
	const struct conn *c = &r->conn;
	bool held = c->head.holder[0] != '\0' && c->head.nonce != 0;
	uint64_t chance_ms = c->chance_ms % (held ? SQ_RULE_CHANCE_MS : SQ_RULE_HURRY_MS);

	return c->judged && c->good && !c->head.moved &&
	    c->heard_ms - c->since_ms >=
	    (held ? SQ_RULE_SILENCE_MS : 0) + (next ? chance_ms / 8 : chance_ms);
}

static void
rule_next_follow(
    struct sq_rule *r, uint64_t now_ms, const struct sq_rule_wish *wish, struct sq_rule_step *out)
{
	if (wish->may_claim && !r->blocked && r->state == SQ_RULE_FOLLOWS &&
	    rule_vacant(r, wish->next)) {
		sq_rule_claim(r, SQ_RULE_CLAIMS, r->conn.head.nonce, false);
		rule_ask(r, now_ms, out);
		return;
	}
	rule_read(r, now_ms, out);
}

static void
rule_next_own(
    struct sq_rule *r, uint64_t now_ms, const struct sq_rule_wish *wish, struct sq_rule_step *out)
{
	struct flight *f = &r->flight;

	if (now_ms < r->retry_ms) {
		rule_rest(out, r->retry_ms);
		return;
	}
	if (now_ms >= r->beat_ms) {
		r->yielding = false;
		*out = (struct sq_rule_step){.what = SQ_RULE_BEAT};
	} else if (f->there) {
		*out = (struct sq_rule_step){.what = SQ_RULE_APPEND, .lsn = f->lsn, .again = true};
	} else if (wish->roll && now_ms >= r->roll_ms) {
		sq_rule_claim(r, SQ_RULE_RECLAIMS, r->nonce, true);
		rule_ask(r, now_ms, out);
		return;
	} else if (wish->append) {
		*f = (struct flight){.there = true, .lsn = r->applied + 1, .epoch = r->epoch};
		*out = (struct sq_rule_step){.what = SQ_RULE_APPEND, .lsn = f->lsn};
	} else if (wish->yield) {
		r->yielding = true;
		*out = (struct sq_rule_step){.what = SQ_RULE_BEAT, .yields = true};
	} else {
		rule_rest(out, r->beat_ms);
		return;
	}
	out->nonce = r->nonce;
	out->epoch = r->epoch;
	out->sure = r->applied;
}

/* An owner whom the log has not answered for long; its clients must find another. */
static bool
rule_isolated(struct sq_rule *r, uint64_t now_ms)
{
	if (!r->owned || r->cfg.isolated_ms == 0 || now_ms - r->answered_ms < r->cfg.isolated_ms)
		return false;
	sq_rule_because(r, "the log has not answered for %" PRIu64 " ms", now_ms - r->answered_ms);
	sq_rule_fenced(r);
	return true;
}

bool
sq_rule_peeks(const struct sq_rule *r)
{
#ifdef SQ_RULE_BROKEN
	return r->state == SQ_RULE_RECLAIMS && (r->broken.no_barrier || r->broken.no_expect) &&
	    !r->conn.peeked;
#else
	(void)r;
	return false;
#endif
}

void
sq_rule_next(
    struct sq_rule *r, uint64_t now_ms, const struct sq_rule_wish *wish, struct sq_rule_step *out)
{
	if (wish->yield && !r->owned && !sq_rule_final(r) && r->state != SQ_RULE_CATCHES)
		r->state = SQ_RULE_YIELDED;
	if (sq_rule_final(r) || rule_isolated(r, now_ms)) {
		*out = (struct sq_rule_step){.what = SQ_RULE_STOP};
		return;
	}
	if (!r->conn.up) {
		rule_dial(r, now_ms, out);
		return;
	}
	if (sq_rule_peeks(r)) {
		*out = (struct sq_rule_step){.what = SQ_RULE_READ, .from = r->applied};
		return;
	}
	switch (r->state) {
	case SQ_RULE_FOLLOWS:
	case SQ_RULE_DIVERGED:
		rule_next_follow(r, now_ms, wish, out);
		return;
	case SQ_RULE_CATCHES:
		rule_read(r, now_ms, out);
		return;
	case SQ_RULE_CLAIMS:
	case SQ_RULE_RECLAIMS:
		rule_ask(r, now_ms, out);
		return;
	case SQ_RULE_OWNS:
		rule_next_own(r, now_ms, wish, out);
		return;
	case SQ_RULE_FENCED:
	case SQ_RULE_YIELDED:
	case SQ_RULE_LOST:
		break;
	}
	abort();
}

enum sq_rule_state
sq_rule_state(const struct sq_rule *r)
{
	return r->state;
}

bool
sq_rule_in_flight(const struct sq_rule *r)
{
	return r->flight.there;
}

uint64_t
sq_rule_applied_lsn(const struct sq_rule *r)
{
	return r->applied;
}

uint64_t
sq_rule_chain(const struct sq_rule *r)
{
	return r->chain;
}

uint64_t
sq_rule_epoch(const struct sq_rule *r)
{
	return r->epoch;
}

bool
sq_rule_leased(const struct sq_rule *r, uint64_t now_ms)
{
	return r->owned && !sq_rule_final(r) && r->lease_ms != 0 &&
	    now_ms - r->lease_ms < SQ_RULE_LEASE_MS;
}

const char *
sq_rule_why(const struct sq_rule *r)
{
	return r->why;
}
