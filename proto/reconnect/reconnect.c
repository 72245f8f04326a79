/* The reconnect machine; see proto/reconnect/reconnect.h. */
#include "proto/reconnect/reconnect.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

enum state {
	S_BACKOFF,
	S_DIALING,
	S_UP,
	S_PROBING,
	S_DRAINING,
	S_DRAIN_PROBING,
	S_ENDED,
};

static const char *const state_names[] = {
    [S_BACKOFF] = "backoff",
    [S_DIALING] = "dialing",
    [S_UP] = "up",
    [S_PROBING] = "probing",
    [S_DRAINING] = "draining",
    [S_DRAIN_PROBING] = "draining, probing",
    [S_ENDED] = "ended",
};

struct sq_reconnect {
	struct sq_reconnect_cfg cfg;
	uint64_t random; /* state of the generator */
	enum state state;
	unsigned failures;       /* since the last stable link */
	uint64_t since_ms;       /* when 'state' was entered */
	uint64_t wait_ms;        /* length of this S_BACKOFF */
	uint64_t retry_after_ms; /* floor of the next S_BACKOFF */
	uint64_t up_ms;          /* when the dial came through */
	uint64_t heard_ms;
	uint64_t age_end_ms;
	uint64_t drain_end_ms;
};

const struct sq_reconnect_cfg sq_reconnect_defaults = {
    .backoff_min_ms = 100,
    .backoff_max_ms = 15000,
    .stable_ms = 10000,
    .dial_timeout_ms = 10000,
    .probe_after_ms = 6500, /* one missed heartbeat of 5 s */
    .drop_after_ms = 10000,
    .max_age_ms = 30 * 60 * 1000,
    .drain_ms = 30000,
    .retry_after_max_ms = 5 * 60 * 1000,
};

/* A number in [0, bound], by splitmix64; the bias is far below what jitter needs. */
static uint64_t
reconnect_random(struct sq_reconnect *r, uint64_t bound)
{
	uint64_t x = r->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % (bound + 1);
}

/* Full jitter: anything between nothing and the bound, which doubles with each
 * failure in a row.  So a thousand links that fell together come back spread. */
static uint64_t
reconnect_backoff(struct sq_reconnect *r)
{
	uint64_t bound = r->cfg.backoff_min_ms;

	for (unsigned i = 1; i < r->failures && bound < r->cfg.backoff_max_ms; i++)
		bound *= 2;
	return reconnect_random(r, bound < r->cfg.backoff_max_ms ? bound : r->cfg.backoff_max_ms);
}

/* The only writer of 'state'. */
static void
reconnect_enter(struct sq_reconnect *r, enum state to, uint64_t now_ms)
{
	bool fresh = to == S_UP && r->state == S_DIALING;

	if (to == S_BACKOFF) {
		bool stable = r->state != S_DIALING && now_ms - r->up_ms >= r->cfg.stable_ms;

		r->failures = stable ? 1 : r->failures + 1;
		r->wait_ms = r->retry_after_ms + reconnect_backoff(r);
		r->retry_after_ms = 0;
	} else if (fresh) {
		r->up_ms = r->heard_ms = now_ms;
		r->age_end_ms = r->cfg.max_age_ms == 0
		    ? UINT64_MAX
		    : now_ms + r->cfg.max_age_ms - reconnect_random(r, r->cfg.max_age_ms / 4);
	} else if (to == S_DRAINING && r->state != S_DRAIN_PROBING) {
		r->drain_end_ms = now_ms + r->cfg.drain_ms;
	}
	r->state = to;
	r->since_ms = now_ms;
}

static uint64_t
reconnect_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
sq_reconnect_deadline(const struct sq_reconnect *r)
{
	/* A probe's time runs from the probe and not from the last byte: a process
	 * that was stopped for a while must ask before it judges. */
	uint64_t answer_ms = r->since_ms + r->cfg.drop_after_ms - r->cfg.probe_after_ms;

	switch (r->state) {
	case S_BACKOFF:
		return r->since_ms + r->wait_ms;
	case S_DIALING:
		return r->since_ms + r->cfg.dial_timeout_ms;
	case S_UP:
		return reconnect_min(r->heard_ms + r->cfg.probe_after_ms, r->age_end_ms);
	case S_PROBING:
		return answer_ms;
	case S_DRAINING:
		return reconnect_min(r->heard_ms + r->cfg.probe_after_ms, r->drain_end_ms);
	case S_DRAIN_PROBING:
		return reconnect_min(answer_ms, r->drain_end_ms);
	case S_ENDED:
		return UINT64_MAX;
	}
	abort();
}

/* The state's time is up. */
static enum sq_reconnect_action
reconnect_expire(struct sq_reconnect *r, uint64_t now_ms)
{
	switch (r->state) {
	case S_BACKOFF:
		reconnect_enter(r, S_DIALING, now_ms);
		return SQ_RECONNECT_DIAL;
	case S_UP:
		if (now_ms >= r->age_end_ms) {
			reconnect_enter(r, S_DRAINING, now_ms);
			return SQ_RECONNECT_DRAIN;
		}
		reconnect_enter(r, S_PROBING, now_ms);
		return SQ_RECONNECT_PROBE;
	case S_DIALING:
	case S_PROBING:
		reconnect_enter(r, S_BACKOFF, now_ms);
		return SQ_RECONNECT_DROP;
	case S_DRAINING:
		if (now_ms < r->drain_end_ms) {
			reconnect_enter(r, S_DRAIN_PROBING, now_ms);
			return SQ_RECONNECT_PROBE;
		}
		reconnect_enter(r, S_ENDED, now_ms);
		return SQ_RECONNECT_DROP;
	case S_DRAIN_PROBING:
		reconnect_enter(r, S_ENDED, now_ms);
		return SQ_RECONNECT_DROP;
	case S_ENDED:
		return SQ_RECONNECT_WAIT;
	}
	abort();
}

static enum sq_reconnect_action
reconnect_heard(struct sq_reconnect *r, uint64_t now_ms)
{
	r->heard_ms = now_ms;
	if (r->state == S_PROBING)
		reconnect_enter(r, S_UP, now_ms);
	else if (r->state == S_DRAIN_PROBING)
		reconnect_enter(r, S_DRAINING, now_ms);
	return SQ_RECONNECT_WAIT;
}

static enum sq_reconnect_action
reconnect_goaway(struct sq_reconnect *r, uint64_t now_ms)
{
	if (r->state == S_DIALING) { /* it carries nothing yet */
		reconnect_enter(r, S_BACKOFF, now_ms);
		return SQ_RECONNECT_DROP;
	}
	if (r->state != S_UP && r->state != S_PROBING)
		return SQ_RECONNECT_WAIT;
	reconnect_enter(r, S_DRAINING, now_ms);
	return SQ_RECONNECT_DRAIN;
}

static enum sq_reconnect_action
reconnect_down(struct sq_reconnect *r, uint64_t now_ms)
{
	if (r->state == S_DRAINING || r->state == S_DRAIN_PROBING)
		reconnect_enter(r, S_ENDED, now_ms);
	else if (r->state != S_BACKOFF && r->state != S_ENDED)
		reconnect_enter(r, S_BACKOFF, now_ms);
	return SQ_RECONNECT_WAIT;
}

enum sq_reconnect_action
sq_reconnect_step(struct sq_reconnect *r, enum sq_reconnect_event ev, uint64_t now_ms)
{
	switch (ev) {
	case SQ_RECONNECT_TICK:
		return now_ms < sq_reconnect_deadline(r) ? SQ_RECONNECT_WAIT
							 : reconnect_expire(r, now_ms);
	case SQ_RECONNECT_UP:
		assert(r->state == S_DIALING);
		reconnect_enter(r, S_UP, now_ms);
		return SQ_RECONNECT_WAIT;
	case SQ_RECONNECT_HEARD:
		return reconnect_heard(r, now_ms);
	case SQ_RECONNECT_GOAWAY:
		return reconnect_goaway(r, now_ms);
	case SQ_RECONNECT_DOWN:
		return reconnect_down(r, now_ms);
	}
	abort();
}

void
sq_reconnect_retry_after(struct sq_reconnect *r, uint64_t ms)
{
	uint64_t floor_ms = reconnect_min(ms, r->cfg.retry_after_max_ms);

	if (r->state != S_BACKOFF)
		r->retry_after_ms = floor_ms;
	else if (r->wait_ms < floor_ms)
		r->wait_ms = floor_ms + reconnect_backoff(r);
}

void
sq_reconnect_hurry(struct sq_reconnect *r, uint64_t now_ms)
{
	if (r->state != S_BACKOFF)
		return;
	r->since_ms = now_ms;
	r->wait_ms = 0;
}

struct sq_reconnect *
sq_reconnect_new(const struct sq_reconnect_cfg *cfg, uint64_t seed, uint64_t now_ms)
{
	struct sq_reconnect *r = sq_xcalloc(1, sizeof *r);

	assert(cfg->backoff_min_ms > 0 && cfg->backoff_max_ms >= cfg->backoff_min_ms);
	assert(cfg->probe_after_ms > 0 && cfg->drop_after_ms > cfg->probe_after_ms);
	r->cfg = *cfg;
	r->random = seed;
	r->state = S_BACKOFF;
	r->since_ms = now_ms;
	return r;
}

void
sq_reconnect_free(struct sq_reconnect **rp)
{
	free(*rp);
	*rp = NULL;
}

bool
sq_reconnect_usable(const struct sq_reconnect *r)
{
	return r->state == S_UP || r->state == S_PROBING;
}

unsigned
sq_reconnect_failures(const struct sq_reconnect *r)
{
	return r->failures;
}

const char *
sq_reconnect_state(const struct sq_reconnect *r)
{
	return state_names[r->state];
}
