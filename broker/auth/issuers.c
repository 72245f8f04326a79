/* The verifier of signed tokens; see broker/auth/issuers.h. */
#include "broker/auth/issuers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/digest.h"
#include "broker/auth/issuers_priv.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"
#include "net/curl/shared.h"

enum {
	ISSUERS_REFRESH_MS = 300000,
	ISSUERS_UNKNOWN_MS = 10000,
};

/* Keys. */

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

static bool
issuers_have_server(const struct sq_issuers *all)
{
	for (unsigned n = 0; n < all->n; n++)
		if (all->v[n].server != NULL)
			return true;
	return false;
}

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
	if (issuers_have_server(all))
		sq_issuer_servers_start(all);
}

static void
issuers_stop(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);
	bool runs;

	pthread_mutex_lock(&all->lock);
	runs = all->started && !all->stopped;
	all->stopped = true;
	pthread_cond_signal(&all->wake);
	pthread_mutex_unlock(&all->lock);
	if (runs && issuers_have_server(all))
		sq_issuer_servers_stop(all);
}

static void
issuers_free(struct sq_verifier *v)
{
	struct sq_issuers *all = SQ_CONTAINER_OF(v, struct sq_issuers, base);

	for (unsigned n = 0; n < all->n; n++) {
		struct sq_issuer *i = &all->v[n];

		sq_jwks_unref(&i->keys);
		sq_key_fetch_free(&i->server);
		sq_buf_fini(&i->trouble);
		free(i->issuer);
		free(i->audience);
		free(i->space);
		free(i->file);
	}
	if (all->own_out)
		sq_out_shared_free(&all->out);
	pthread_cond_destroy(&all->wake);
	pthread_mutex_destroy(&all->lock);
	free(all->cache_dir);
	free(all);
}

static const struct sq_verifier_ops issuers_ops = {
    .verify = sq_issuers_verify,
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

	i->all = all;
	i->key = key;
	i->audience = issuers_dup(audience);
	sq_list_init(&i->waiting);
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

static struct sq_issuers *
issuers_new(const struct sq_auth_cfg *cfg)
{
	struct sq_issuers *all = sq_xcalloc(1, sizeof *all);

	all->base.ops = &issuers_ops;
	all->cache_dir = issuers_dup(cfg->cache_dir);
	all->refresh_ms = cfg->refresh_ms > 0 ? cfg->refresh_ms : ISSUERS_REFRESH_MS;
	all->unknown_ms = cfg->unknown_ms > 0 ? cfg->unknown_ms : ISSUERS_UNKNOWN_MS;
	all->own_out = cfg->out == NULL;
	all->out = all->own_out ? sq_out_shared_new(&(struct sq_out_cfg){.user_agent = "sqmqos"})
				: cfg->out;
	pthread_mutex_init(&all->lock, NULL);
	sq_cond_init(&all->wake);
	return all;
}

struct sq_verifier *
sq_issuers_verifier(const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	struct sq_issuers *all = issuers_new(cfg);
	struct sq_buf why = {0};
	const char *key = "auth.kubernetes";
	int rc = SQ_OK;

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
