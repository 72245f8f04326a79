/* The keeper's thread; see k8s/injector/keeper.h. */
#include "k8s/injector/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "k8s/injector/keeper_priv.h"

enum {
	KEEPER_START_MS = 500, /* between two looks until all is there */
	KEEPER_AGAIN_MS = 50,  /* after somebody else wrote */
	KEEPER_API_MS = 5000,  /* for a request */
};

/* ---- settings ---- */

int
sq_keeper_read_settings(const char *file, struct sq_settings *out, struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc = sq_file_read(file, SQ_SETTINGS_SIZE_MAX, &text);

	if (rc != SQ_OK)
		sq_buf_printf(err, "settings.file: %s: %s", file, sq_file_reason(rc));
	else
		rc = sq_settings_parse(
		    file, (const char *)sq_buf_data(&text), sq_buf_len(&text), out, err);
	sq_buf_fini(&text);
	return rc == SQ_OK ? SQ_OK : SQ_EINVAL;
}

/* Whether settings are of the same installation, from whose names all else follows. */
static bool
keeper_is_ours(const struct sq_keeper *k, const struct sq_settings *s)
{
	const struct sq_names *n = k->cfg.names;

	return strcmp(s->space, n->space) == 0 && strcmp(s->fullname, n->fullname) == 0 &&
	    strcmp(s->cluster_domain, n->domain) == 0;
}

static void
keeper_settings(struct sq_keeper *k)
{
	struct sq_file_stamp stamp;
	struct sq_settings s;
	struct sq_buf why = {0};
	int rc;

	sq_file_stamp(k->cfg.config->settings_file, &stamp);
	if (sq_file_stamp_equal(&stamp, &k->settings))
		return;
	k->settings = stamp;
	rc = sq_keeper_read_settings(k->cfg.config->settings_file, &s, &why);
	if (rc == SQ_OK && !keeper_is_ours(k, &s)) {
		sq_settings_free(&s);
		sq_buf_printf(
		    &why, "namespace, fullname or clusterDomain are others: a start is needed");
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK) {
		k->cfg.settings(k->cfg.owner, &s);
		sq_state_good(k->cfg.state, SQ_STATE_SETTINGS);
	} else {
		sq_metric_add(&sq_injector_metrics, SQ_IM_SETTINGS_ERRORS, 1);
		sq_state_troubled(k->cfg.state, SQ_STATE_SETTINGS, "%.*s; the last ones stay",
		    (int)sq_buf_len(&why), sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

/* ---- looks ---- */

static void
keeper_look(struct sq_keeper *k)
{
	int64_t now_s = (int64_t)(sq_clock_wall_ms() / 1000);

	k->again = false;
	keeper_settings(k);
	if (k->cfg.config->mode == SQ_CERTS_MANAGED)
		sq_keeper_managed(k, now_s);
	else if (k->cfg.config->mode == SQ_CERTS_PROVIDED)
		sq_keeper_provided(k, now_s);
	else
		sq_keeper_files(k, now_s);
	if (k->api != NULL && k->cfg.config->ca_bundle)
		sq_keeper_webhooks(k);
}

/* What counts for being ready. */
static void
keeper_needs(const struct sq_keeper *k)
{
	const struct sq_injector_config *c = k->cfg.config;

	sq_state_need(k->cfg.state, SQ_STATE_SETTINGS);
	sq_state_need(k->cfg.state, SQ_STATE_SERVING);
	if (c->mode == SQ_CERTS_MANAGED) {
		sq_state_need(k->cfg.state, SQ_STATE_CA);
		sq_state_need(k->cfg.state, SQ_STATE_BROKER);
	}
	if (c->mode != SQ_CERTS_FILES && c->ca_bundle) {
		sq_state_need(k->cfg.state, SQ_STATE_MUTATING);
		sq_state_need(k->cfg.state, SQ_STATE_VALIDATING);
	}
}

/* ---- the thread ---- */

/* Waits; false when the keeper ends. */
static bool
keeper_wait(struct sq_keeper *k, uint64_t ms)
{
	uint64_t until_ms = sq_clock_ms() + ms;
	bool ended;

	pthread_mutex_lock(&k->lock);
	while (!k->ended && sq_cond_wait_until(&k->ending, &k->lock, until_ms))
		continue;
	ended = k->ended;
	pthread_mutex_unlock(&k->lock);
	return !ended;
}

static uint64_t
keeper_pause_ms(struct sq_keeper *k)
{
	uint64_t ms = k->cfg.config->interval_ms;
	struct sq_buf why = {0};
	bool ready = sq_state_ready(k->cfg.state, &why);

	sq_buf_fini(&why);
	if (k->again)
		return KEEPER_AGAIN_MS;
	return ready || ms < KEEPER_START_MS ? ms : KEEPER_START_MS;
}

static void *
keeper_main(void *arg)
{
	struct sq_keeper *k = arg;

	pthread_setname_np(pthread_self(), "keeper");
	do
		keeper_look(k);
	while (keeper_wait(k, keeper_pause_ms(k)));
	return NULL;
}

static void
keeper_free(struct sq_keeper *k)
{
	sq_kube_api_free(&k->api);
	sq_authority_free(&k->made);
	sq_pair_texts_fini(&k->taken);
	sq_buf_fini(&k->trusted);
	pthread_cond_destroy(&k->ending);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Fills 'api' and 'made', as the mode needs them. */
static int
keeper_open(struct sq_keeper *k, struct sq_buf *err)
{
	const struct sq_injector_config *c = k->cfg.config;
	const struct sq_names *n = k->cfg.names;

	if (c->mode == SQ_CERTS_FILES)
		return SQ_OK;
	k->api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){
		.server = c->api_server != NULL && *c->api_server != '\0' ? c->api_server : NULL,
		.token_file = c->token_file,
		.ca_file = c->api_ca_file,
		.timeout_ms = KEEPER_API_MS,
	    },
	    err);
	if (k->api == NULL)
		return SQ_EINVAL;
	if (c->mode == SQ_CERTS_MANAGED)
		k->made = sq_authority_new(&(struct sq_authority_cfg){
		    .name = n->title,
		    .broker_names = (const char *const *)n->broker,
		    .n_broker_names = n->n_broker,
		    .serving_names = (const char *const *)n->serving,
		    .n_serving_names = SQ_NAMES_SERVING,
		    .ca_s = (int64_t)(c->ca_ms / 1000),
		    .leaf_s = (int64_t)(c->leaf_ms / 1000),
		    .overlap_s = (int64_t)(c->overlap_ms / 1000),
		});
	return SQ_OK;
}

struct sq_keeper *
sq_keeper_start(const struct sq_keeper_cfg *cfg, struct sq_buf *err)
{
	struct sq_keeper *k = sq_xcalloc(1, sizeof *k);

	k->cfg = *cfg;
	pthread_mutex_init(&k->lock, NULL);
	sq_cond_init(&k->ending);
	if (keeper_open(k, err) != SQ_OK) {
		keeper_free(k);
		return NULL;
	}
	keeper_needs(k);
	sq_thread_start(&k->thread, keeper_main, k);
	return k;
}

void
sq_keeper_stop(struct sq_keeper **kp)
{
	struct sq_keeper *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	k->ended = true;
	pthread_cond_signal(&k->ending);
	pthread_mutex_unlock(&k->lock);
	if (k->api != NULL)
		sq_kube_api_stop(k->api);
	pthread_join(k->thread, NULL);
	keeper_free(k);
}

static void
keeper_set_end(enum sq_injector_metric m, int64_t end_s)
{
	sq_metric_set(&sq_injector_metrics, m, sq_clock_left_s(end_s));
}

void
sq_keeper_set_ends(const struct sq_keeper *k)
{
	keeper_set_end(SQ_IM_ENDS_CA, atomic_load(&k->ca_end_s));
	keeper_set_end(SQ_IM_ENDS_BROKER, atomic_load(&k->broker_end_s));
	keeper_set_end(SQ_IM_ENDS_SERVING, atomic_load(&k->serving_end_s));
}
