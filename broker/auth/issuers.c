/* The verifier of signed tokens; see broker/auth/issuers.h. */
#include "broker/auth/issuers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/digest.h"
#include "broker/auth/issuers_priv.h"
#include "broker/auth/jwt.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	ISSUERS_REFRESH_MS = 300000,
	ISSUERS_UNKNOWN_MS = 10000,
};

/* The way of a token. */

/* The issuer that a token names: by the name that its keys have, as servers say theirs. */
static struct sq_issuer *
issuers_find(struct sq_issuers *all, const char *name)
{
	for (unsigned n = 0; n < all->n; n++) {
		struct sq_issuer *i = &all->v[n];
		const char *known = i->keys != NULL ? sq_jwks_issuer(i->keys) : i->issuer;

		if (known != NULL && strcmp(known, name) == 0)
			return i;
	}
	for (unsigned n = 0; n < all->n; n++) /* one that has not said its name yet */
		if (all->v[n].keys == NULL && all->v[n].issuer == NULL)
			return &all->v[n];
	return NULL;
}

/* A token's judges: its issuer, and a reference to its keys. */
struct judge {
	const struct sq_issuer *issuer;
	struct sq_jwks *keys;
	const struct sq_jwk *key;
	bool waits; /* the request is the issuer's */
};

/* Finds who judges 't'; a reason: nobody. */
static enum sq_auth_reason
issuers_judge(struct sq_issuers *all, const struct sq_jwt *t, struct sq_auth_request *r,
    bool may_wait, struct judge *out)
{
	enum sq_auth_reason why = SQ_AUTH_NONE;
	struct sq_issuer *i;

	pthread_mutex_lock(&all->lock);
	i = issuers_find(all, sq_jwt_issuer(t));
	if (i != NULL && i->keys != NULL)
		out->key = sq_jwks_find(i->keys, sq_jwt_key_name(t), sq_jwt_key_kind(t));
	if (i == NULL) {
		why = SQ_AUTH_ISSUER;
	} else if (out->key != NULL) {
		out->issuer = i;
		out->keys = sq_jwks_ref(i->keys);
	} else if (i->server == NULL) {
		why = SQ_AUTH_UNKNOWN_KEY;
	} else {
		why = may_wait ? sq_issuer_server_wait(i, r) : sq_issuer_server_reason(i);
		out->waits = why == SQ_AUTH_NONE;
	}
	pthread_mutex_unlock(&all->lock);
	return why;
}

/* By a key that its issuer has. */
static enum sq_auth_reason
issuers_prove(struct sq_jwt *t, const struct judge *j, struct sq_auth_request *r)
{
	const struct sq_jwt_rules rules = {
	    .issuer = sq_jwks_issuer(j->keys),
	    .audience = j->issuer->audience,
	    .space = j->issuer->space,
	    .now_s = (int64_t)(sq_clock_wall_ms() / 1000),
	};
	enum sq_auth_reason why = SQ_AUTH_SIGNATURE;

	if (sq_jwt_verify(t, j->key))
		why = sq_jwt_identity(t, &rules, &r->identity);
	if (why == SQ_AUTH_NONE)
		r->basis.what = sq_jwk_number(j->key);
	return why;
}

static enum sq_verdict
issuers_try(struct sq_issuers *all, struct sq_auth_request *r, bool may_wait)
{
	struct judge j = {0};
	struct sq_jwt *t;
	enum sq_auth_reason why = sq_jwt_parse(r->token, &t);

	if (t == NULL) {
		if (r->reason == SQ_AUTH_NONE) /* else no other verifier knows it */
			r->reason = why;
		return SQ_VERDICT_NOT_MINE;
	}
	if (why == SQ_AUTH_NONE)
		why = issuers_judge(all, t, r, may_wait, &j);
	if (j.waits) {
		sq_jwt_free(&t);
		return SQ_VERDICT_LATER; /* it may be answered by now: not touched any more */
	}
	if (j.key != NULL)
		why = issuers_prove(t, &j, r);
	r->reason = why;
	if (why != SQ_AUTH_NONE)
		sq_jwt_describe(t, &r->known);
	sq_jwks_unref(&j.keys);
	sq_jwt_free(&t);
	return why == SQ_AUTH_NONE ? SQ_VERDICT_YES : SQ_VERDICT_NO;
}

static enum sq_verdict
issuers_verify(struct sq_verifier *v, struct sq_auth_request *r)
{
	return issuers_try(SQ_CONTAINER_OF(v, struct sq_issuers, base), r, true);
}

void
sq_issuers_answer(struct sq_issuers *all, struct sq_list *waiting)
{
	while (!sq_list_empty(waiting)) {
		struct sq_auth_request *r = SQ_LIST_FIRST(waiting, struct sq_auth_request, node);
		enum sq_verdict v;

		sq_list_remove(&r->node);
		v = issuers_try(all, r, false);
		assert(v == SQ_VERDICT_YES || v == SQ_VERDICT_NO);
		sq_auth_answer(r, r->reason);
	}
}

/* Keys. */

void
sq_issuer_set_keys(struct sq_issuer *i, struct sq_jwks *keys)
{
	bool same = keys != NULL && i->keys != NULL && sq_jwks_equal(i->keys, keys);

	sq_jwks_unref(&i->keys);
	i->keys = keys;
	if (!same)
		sq_auth_changed(i->all->auth);
}

static bool
issuers_holds(struct sq_verifier *v, const struct sq_basis *basis)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);
	bool found = false;

	pthread_mutex_lock(&all->lock);
	for (unsigned n = 0; n < all->n; n++)
		found = found ||
		    (all->v[n].keys != NULL && sq_jwks_has(all->v[n].keys, basis->what));
	pthread_mutex_unlock(&all->lock);
	return found;
}

static void
issuers_refresh(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);

	for (unsigned n = 0; n < all->n; n++)
		if (all->v[n].file != NULL)
			sq_issuer_file_refresh(&all->v[n]);
}

/* The cluster's own keys are what a broker can't be without. */
static bool
issuers_ready(struct sq_verifier *v, struct sq_buf *why)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);
	bool ready = true;

	pthread_mutex_lock(&all->lock);
	for (unsigned n = 0; n < all->n; n++) {
		const struct sq_issuer *i = &all->v[n];

		if (i->keys != NULL || i->issuer != NULL)
			continue;
		sq_buf_printf(why, "no keys to verify tokens with: %s: %s\n", i->key,
		    sq_buf_len(&i->trouble) > 0 ? (const char *)sq_buf_data(&i->trouble)
						: "the API server has not answered yet");
		ready = false;
	}
	pthread_mutex_unlock(&all->lock);
	return ready;
}

static void
issuers_count(struct sq_verifier *v, struct sq_auth_counts *c)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);
	uint64_t now = sq_clock_ms();

	pthread_mutex_lock(&all->lock);
	for (unsigned n = 0; n < all->n; n++) {
		const struct sq_issuer *i = &all->v[n];

		if (i->keys != NULL)
			c->keys += sq_jwks_count(i->keys);
		if (i->server != NULL && all->started && now - i->answered_ms > c->stale_ms)
			c->stale_ms = now - i->answered_ms;
	}
	pthread_mutex_unlock(&all->lock);
}

/* Life. */

static void
issuers_start(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);

	pthread_mutex_lock(&all->lock);
	assert(!all->started);
	all->started = true;
	for (unsigned n = 0; n < all->n; n++)
		all->v[n].answered_ms = sq_clock_ms();
	pthread_mutex_unlock(&all->lock);
	for (unsigned n = 0; n < all->n; n++)
		if (all->v[n].server != NULL)
			sq_issuer_server_start(&all->v[n]);
}

static void
issuers_stop(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);
	bool runs;

	pthread_mutex_lock(&all->lock);
	runs = all->started && !all->stopped;
	all->stopped = true;
	for (unsigned n = 0; n < all->n; n++)
		pthread_cond_signal(&all->v[n].wake);
	pthread_mutex_unlock(&all->lock);
	for (unsigned n = 0; n < all->n && runs; n++)
		if (all->v[n].server != NULL)
			sq_issuer_server_stop(&all->v[n]);
}

static void
issuers_free(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);

	for (unsigned n = 0; n < all->n; n++) {
		struct sq_issuer *i = &all->v[n];

		sq_jwks_unref(&i->keys);
		sq_key_fetch_free(&i->server);
		pthread_cond_destroy(&i->wake);
		sq_buf_fini(&i->trouble);
		free(i->issuer);
		free(i->audience);
		free(i->space);
		free(i->file);
	}
	pthread_mutex_destroy(&all->lock);
	free(all->cache_dir);
	free(all);
}

static const struct sq_verifier_ops issuers_ops = {
    .verify = issuers_verify,
    .holds = issuers_holds,
    .refresh = issuers_refresh,
    .ready = issuers_ready,
    .count = issuers_count,
    .start = issuers_start,
    .stop = issuers_stop,
    .free = issuers_free,
};

static char *
issuers_dup(const char *s)
{
	return s != NULL && *s != '\0' ? sq_xstrdup(s) : NULL;
}

static struct sq_issuer *
issuers_add(struct sq_issuers *all, const char *key, const char *audience)
{
	struct sq_issuer *i = &all->v[all->n++];
	pthread_condattr_t attr;

	i->all = all;
	i->key = key;
	i->audience = issuers_dup(audience);
	sq_list_init(&i->waiting);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&i->wake, &attr);
	pthread_condattr_destroy(&attr);
	return i;
}

static int
issuers_add_api(struct sq_issuers *all, const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	struct sq_issuer *i = issuers_add(all, "auth.kubernetes", cfg->audience);

	snprintf(i->cache_name, sizeof i->cache_name, "kubernetes");
	i->server = sq_key_fetch_api(cfg, err);
	if (i->server == NULL)
		return SQ_EINVAL;
	sq_issuer_server_load(i);
	return SQ_OK;
}

/* Adds one of the configuration. */
static int
issuers_add_issuer(struct sq_issuers *all, const struct sq_auth_cfg *cfg,
    const struct sq_auth_issuer *from, struct sq_buf *err)
{
	struct sq_issuer *i = issuers_add(
	    all, "auth.issuers", from->audience != NULL ? from->audience : cfg->audience);
	struct sq_bytes name = sq_bytes_of(from->issuer);

	i->issuer = sq_xstrdup(from->issuer);
	i->space = issuers_dup(from->space);
	i->file = issuers_dup(from->keys_file);
	if (i->file != NULL)
		return sq_issuer_file_open(i, err);
	snprintf(i->cache_name, sizeof i->cache_name, "issuer-%016llx",
	    (unsigned long long)sq_digest_u64(&name, 1));
	i->server = sq_key_fetch_url(from, err);
	if (i->server == NULL)
		return SQ_EINVAL;
	sq_issuer_server_load(i);
	return SQ_OK;
}

struct sq_verifier *
sq_issuers_verifier(const struct sq_auth_cfg *cfg, struct sq_auth *auth, struct sq_buf *err)
{
	struct sq_issuers *all = sq_xcalloc(1, sizeof *all);
	struct sq_buf why = {0};
	const char *key = "auth.kubernetes";
	int rc = SQ_OK;

	all->base.ops = &issuers_ops;
	all->auth = auth;
	all->cache_dir = issuers_dup(cfg->cache_dir);
	all->refresh_ms = cfg->refresh_ms > 0 ? cfg->refresh_ms : ISSUERS_REFRESH_MS;
	all->unknown_ms = cfg->unknown_ms > 0 ? cfg->unknown_ms : ISSUERS_UNKNOWN_MS;
	pthread_mutex_init(&all->lock, NULL);
	if (cfg->kubernetes)
		rc = issuers_add_api(all, cfg, &why);
	for (size_t n = 0; n < cfg->n_issuers && rc == SQ_OK; n++) {
		key = "auth.issuers";
		if (all->n == SQ_ISSUERS_MAX) {
			sq_buf_printf(&why, "more than %d", SQ_ISSUERS_MAX);
			rc = SQ_EINVAL;
		} else {
			rc = issuers_add_issuer(all, cfg, &cfg->issuers[n], &why);
		}
	}
	if (rc == SQ_OK)
		return &all->base;
	sq_buf_printf(err, "%s: %.*s", key, (int)sq_buf_len(&why), (char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	issuers_free(&all->base);
	return NULL;
}
