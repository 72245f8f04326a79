/* What credentials are at a time: the value, why there is none, and when it is fetched. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/rfc3339.h"
#include "net/cred/cred_priv.h"

enum {
	AHEAD_MS = 300000, /* of their end they are renewed, or half of the time that is left */
	LEAST_MS = 10000,  /* between two that went well */
	UNBOUNDED_MS = 3600000, /* those of a service that says no end */
	RETRY_MS = 1000,        /* the first bound of the time behind a failure; it doubles */
	RETRY_MAX_MS = 60000,
	RETRY_DOUBLES = 6,
	/* The instance's have had their end: so long at least, twice at most. */
	STALE_MS = 300000,
};

void
sq_cred_ask_fini(struct sq_cred_ask *ask)
{
	sq_out_request_fini(&ask->req);
	sq_buf_wipe(&ask->url);
	sq_buf_wipe(&ask->body);
}

void
sq_cred_unref(struct sq_cred *c)
{
	assert(c->refs > 0);
	if (--c->refs > 0)
		return;
	c->all->n--;
	sq_cred_ask_fini(&c->ask);
	sq_buf_wipe(&c->ask.token);
	sq_cred_kept_unref(c->base);
	sq_cred_kept_unref(c->value);
	sq_cred_source_fini(&c->source);
	free(c->ca_file);
	free(c->scope);
	free(c->why);
	free(c);
}

bool
sq_cred_good(const struct sq_cred *c)
{
	const struct sq_cred_kept *v = c->value;

	return v != NULL &&
	    (v->expires_ms == 0 || c->all->cfg.wall_ms() < v->expires_ms ||
		(c->source.from == SQ_CRED_INSTANCE && c->source.role == NULL));
}

/* A part of 'span' by chance, so that many do not ask at the same time. */
static uint64_t
state_chance(uint64_t span)
{
	return span > 0 ? sq_random_u64() % (span + 1) : 0;
}

/* It is due in that time; UINT64_MAX: never.  By both clocks, as one of them stops while a machine
 * sleeps. */
static void
state_due_in(struct sq_cred *c, uint64_t ms)
{
	bool never = ms == UINT64_MAX;

	c->due_ms = never ? ms : c->all->cfg.ms() + ms;
	c->due_wall_ms = never ? ms : c->all->cfg.wall_ms() + ms;
}

/* In how long a value is to be renewed; UINT64_MAX: never. */
static uint64_t
state_renewal(const struct sq_cred *c, const struct sq_cred_kept *v)
{
	uint64_t wall = c->all->cfg.wall_ms(), left, ahead;
	bool fetched = c->source.role != NULL ||
	    (c->source.from != SQ_CRED_FILES && c->source.from != SQ_CRED_ENVIRONMENT);

	if (!fetched)
		return UINT64_MAX;
	if (v->expires_ms == 0)
		return UNBOUNDED_MS;
	if (v->expires_ms <= wall)
		return STALE_MS + state_chance(STALE_MS);
	left = v->expires_ms - wall;
	ahead = left / 2 < AHEAD_MS ? left / 2 : AHEAD_MS;
	left -= ahead + state_chance(ahead / 10);
	return left > LEAST_MS ? left : LEAST_MS;
}

/* Whether the same was said of others of that scope: each half of a bridge has its own. */
static bool
state_is_said(const struct sq_cred *c)
{
	SQ_LIST_FOR_EACH(o, &c->all->open, struct sq_cred, node)
		if (o != c && strcmp(o->scope, c->scope) == 0 && o->source.from == c->source.from &&
		    sq_cred_good(o) == sq_cred_good(c) &&
		    (c->why == NULL ? o->said : o->why != NULL && strcmp(o->why, c->why) == 0))
			return true;
	return false;
}

/* One line for each change. */
static void
state_say(struct sq_cred *c, const char *was)
{
	char until[SQ_RFC3339_MAX] = "they are replaced";
	bool known = state_is_said(c);

	if (c->why == NULL) {
		if (!c->said && !known)
			SQ_INFO(c->scope, "AWS credentials are there, from %s%s",
			    sq_cred_from_name(c->source.from),
			    c->source.role != NULL ? ", with which the role is assumed" : "");
		c->said = true;
		return;
	}
	c->said = false;
	if (known || (was != NULL && strcmp(was, c->why) == 0))
		return;
	if (!sq_cred_good(c)) {
		SQ_WARN(c->scope, "no AWS credentials: %s", c->why);
		return;
	}
	if (c->value->expires_ms != 0)
		sq_rfc3339_write((int64_t)c->value->expires_ms, until);
	SQ_WARN(c->scope,
	    "AWS credentials can't be renewed: %s; those that are there are used until %s", c->why,
	    until);
}

void
sq_cred_ended(struct sq_cred *c, struct sq_cred_kept *v, char *why)
{
	char *was = c->why;

	assert((v == NULL) == (why != NULL));
	c->why = why;
	if (v != NULL) {
		sq_cred_kept_unref(c->value);
		c->value = v;
		c->failures = 0;
		state_due_in(c, state_renewal(c, v));
	} else if (c->source.from != SQ_CRED_NOWHERE) {
		unsigned doubles = c->failures < RETRY_DOUBLES ? c->failures : RETRY_DOUBLES;
		uint64_t bound = (uint64_t)RETRY_MS << doubles;

		bound = bound < RETRY_MAX_MS ? bound : RETRY_MAX_MS;
		c->failures++;
		state_due_in(c, bound / 2 + state_chance(bound / 2));
	}
	if (c->rebased)
		c->due_ms = 0;
	c->rebased = false;
	state_say(c, was);
	free(was);
}
