/* Keys of an issuer from its server, on a thread of its own; see
 * broker/auth/issuers_priv.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/auth/issuers_priv.h"
#include "broker/auth/key_cache.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	SERVER_RETRY_MIN_MS = 1000, /* after a failure, doubled each time */
	SERVER_RETRY_MAX_MS = 10000,
};

/* The volume. */

void
sq_issuer_server_load(struct sq_issuer *i)
{
	struct sq_buf issuer = {0}, text = {0}, why = {0};
	struct sq_jwks *keys = NULL;
	int rc = SQ_ENOTFOUND;

	if (i->all->cache_dir != NULL)
		rc = sq_key_cache_load(i->all->cache_dir, i->cache_name, &issuer, &text, &why);
	if (rc == SQ_OK)
		keys = sq_jwks_parse(
		    (char *)sq_buf_data(&issuer), sq_buf_data(&text), sq_buf_len(&text), &why);
	if (keys != NULL) {
		SQ_INFO("auth", "%s: %zu keys of %s from the last run", i->key, sq_jwks_count(keys),
		    sq_jwks_issuer(keys));
		sq_issuer_set_keys(i, keys);
	} else if (rc != SQ_ENOTFOUND) {
		SQ_WARN("auth", "%s: the last keys are not used: %.*s", i->key,
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	}
	sq_buf_fini(&issuer);
	sq_buf_fini(&text);
	sq_buf_fini(&why);
}

static void
server_save(struct sq_issuer *i, const char *issuer, const struct sq_buf *text)
{
	struct sq_buf why = {0};

	if (i->all->cache_dir != NULL &&
	    sq_key_cache_save(i->all->cache_dir, i->cache_name, issuer, text, &why) != SQ_OK)
		SQ_WARN("auth", "%s: the keys are not kept: %.*s", i->key, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

/* One look. */

/* Takes up what the server said, under the lock; false: these are the keys that we have. */
static bool
server_take(struct sq_issuer *i, struct sq_jwks *keys)
{
	bool changed = i->keys == NULL || !sq_jwks_equal(i->keys, keys);

	if (changed || i->failures > 0)
		SQ_INFO("auth", "%s: %zu keys of %s", i->key, sq_jwks_count(keys),
		    sq_jwks_issuer(keys));
	sq_issuer_set_keys(i, keys);
	i->failures = 0;
	i->answered_ms = sq_clock_ms();
	i->next_ms = i->answered_ms + i->all->refresh_ms;
	sq_buf_drain(&i->trouble, sq_buf_len(&i->trouble));
	return changed;
}

/* Keeps why there is no answer, under the lock, and says it, ever more seldom. */
static void
server_failed(struct sq_issuer *i, struct sq_buf *why)
{
	uint64_t wait = SERVER_RETRY_MIN_MS;

	if (i->all->stopped)
		return; /* that is no trouble */
	sq_buf_u8(why, 0);
	for (unsigned n = 0; n < i->failures && wait < SERVER_RETRY_MAX_MS; n++)
		wait *= 2;
	i->next_ms = sq_clock_ms() + (wait < SERVER_RETRY_MAX_MS ? wait : SERVER_RETRY_MAX_MS);
	i->failures++;
	if ((i->failures & (i->failures - 1)) == 0) /* an outage takes long, and is one */
		SQ_WARN("auth", "%s: %s; %s", i->key, (char *)sq_buf_data(why),
		    i->keys != NULL ? "the last keys stay" : "there are no keys yet");
	sq_buf_drain(&i->trouble, sq_buf_len(&i->trouble));
	sq_buf_append(&i->trouble, sq_buf_data(why), sq_buf_len(why));
}

/* Takes those who wait, under the lock: who comes later waits for the next look. */
static void
server_take_waiting(struct sq_issuer *i, struct sq_list *out)
{
	while (!sq_list_empty(&i->waiting)) {
		struct sq_auth_request *r = SQ_LIST_FIRST(
		    &i->waiting, struct sq_auth_request, node);

		sq_list_remove(&r->node);
		sq_list_push_back(out, &r->node);
		i->all->n_waiting--;
	}
}

/* Asks the server, which blocks for some seconds at most, and answers who waits. */
static void
server_look(struct sq_issuer *i)
{
	struct sq_buf issuer = {0}, text = {0}, why = {0};
	struct sq_jwks *keys = NULL;
	struct sq_list waiting;
	bool changed = false;

	sq_list_init(&waiting);
	if (sq_key_fetch_run(i->server, &issuer, &text, &why) == SQ_OK)
		keys = sq_jwks_parse(
		    (char *)sq_buf_data(&issuer), sq_buf_data(&text), sq_buf_len(&text), &why);
	if (keys != NULL && sq_jwks_count(keys) == 0) {
		sq_buf_printf(&why, "the set has no keys");
		sq_jwks_unref(&keys);
	}
	pthread_mutex_lock(&i->all->lock);
	if (keys != NULL)
		changed = server_take(i, keys);
	else
		server_failed(i, &why);
	i->running = false;
	server_take_waiting(i, &waiting);
	pthread_mutex_unlock(&i->all->lock);
	sq_issuers_answer(i->all, &waiting);
	if (changed)
		server_save(i, (char *)sq_buf_data(&issuer), &text);
	sq_buf_fini(&issuer);
	sq_buf_fini(&text);
	sq_buf_fini(&why);
}

/* The thread. */

/* Waits until 'until_ms' of sq_clock_ms(), or a wake; under the lock. */
static void
server_sleep(struct sq_issuer *i, uint64_t until_ms)
{
	const struct timespec until = {
	    (time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000L};

	(void)pthread_cond_timedwait(&i->wake, &i->all->lock, &until);
}

/* Waits until it is time for a look; false: the end. */
static bool
server_await(struct sq_issuer *i)
{
	struct sq_issuers *all = i->all;
	bool goes_on;

	pthread_mutex_lock(&all->lock);
	while (!all->stopped && !i->wanted && sq_clock_ms() < i->next_ms)
		server_sleep(i, i->next_ms);
	goes_on = !all->stopped;
	i->wanted = false;
	i->running = goes_on;
	i->begun_ms = sq_clock_ms();
	pthread_mutex_unlock(&all->lock);
	return goes_on;
}

static void *
server_run(void *arg)
{
	struct sq_issuer *i = arg;
	struct sq_list waiting;

	while (server_await(i))
		server_look(i);
	sq_list_init(&waiting);
	pthread_mutex_lock(&i->all->lock);
	server_take_waiting(i, &waiting);
	pthread_mutex_unlock(&i->all->lock);
	sq_issuers_answer(i->all, &waiting);
	return NULL;
}

void
sq_issuer_server_start(struct sq_issuer *i)
{
	sq_thread_start(&i->thread, server_run, i);
}

void
sq_issuer_server_stop(struct sq_issuer *i)
{
	sq_key_fetch_stop(i->server);
	pthread_join(i->thread, NULL);
	assert(sq_list_empty(&i->waiting));
}
