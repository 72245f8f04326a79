/* Keys of issuers from their servers: one thread begins looks, and takes up what comes of them; see
 * broker/auth/issuers_priv.h.  Parsing and the volume are its work, not that of the thread of requests. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/issuers_priv.h"
#include "broker/auth/key_cache.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "net/curl/shared.h"

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

/* Takes up the end of a look: keys, or with SQ_OK not 'rc' why there are none; and answers who waits. */
static void
server_end(struct sq_issuer *i, int rc, const struct sq_buf *issuer, const struct sq_buf *text,
    struct sq_buf *why)
{
	struct sq_jwks *keys = NULL;
	struct sq_list waiting;
	bool changed = false;

	sq_list_init(&waiting);
	if (rc == SQ_OK)
		keys = sq_jwks_parse(
		    (char *)sq_buf_data(issuer), sq_buf_data(text), sq_buf_len(text), why);
	if (keys != NULL && sq_jwks_count(keys) == 0) {
		sq_buf_printf(why, "the set has no keys");
		sq_jwks_unref(&keys);
	}
	pthread_mutex_lock(&i->all->lock);
	if (keys != NULL)
		changed = server_take(i, keys);
	else
		server_failed(i, why);
	i->running = false;
	server_take_waiting(i, &waiting);
	pthread_mutex_unlock(&i->all->lock);
	sq_issuers_answer(i->all, &waiting);
	if (changed)
		server_save(i, (char *)sq_buf_data(issuer), text);
}

/* The server has answered.  On the thread of requests. */
static void
server_on_come(void *arg)
{
	struct sq_issuer *i = arg;

	pthread_mutex_lock(&i->all->lock);
	i->came = true;
	pthread_cond_signal(&i->all->wake);
	pthread_mutex_unlock(&i->all->lock);
}

static void
server_begin(struct sq_issuer *i)
{
	struct sq_buf why = {0};
	struct sq_out *out = sq_out_shared_get(i->all->out, &why);
	int rc = SQ_EIO;

	if (out != NULL)
		rc = sq_key_fetch_begin(i->server, out, server_on_come, i, &why);
	if (rc != SQ_OK)
		server_end(i, rc, NULL, NULL, &why);
	sq_buf_fini(&why);
}

static void
server_go_on(struct sq_issuer *i)
{
	struct sq_buf issuer = {0}, text = {0}, why = {0};
	int rc = sq_key_fetch_go_on(i->server, &issuer, &text, &why);

	if (rc != SQ_EAGAIN)
		server_end(i, rc, &issuer, &text, &why);
	sq_buf_fini(&issuer);
	sq_buf_fini(&text);
	sq_buf_fini(&why);
}

/* The thread of all of them. */

/* Takes the next step of an issuer that has one, under the lock, which is not held meanwhile; false: it
 * has none. */
static bool
server_step(struct sq_issuer *i)
{
	struct sq_issuers *all = i->all;
	bool came = i->came;

	if (!came && (i->running || (!i->wanted && sq_clock_ms() < i->next_ms)))
		return false;
	i->came = false;
	if (!came) {
		i->running = true;
		i->wanted = false;
		i->begun_ms = sq_clock_ms();
	}
	pthread_mutex_unlock(&all->lock);
	if (came)
		server_go_on(i);
	else
		server_begin(i);
	pthread_mutex_lock(&all->lock);
	return true;
}

/* Waits until a look is due, or a wake; under the lock. */
static void
servers_sleep(struct sq_issuers *all)
{
	uint64_t until_ms = UINT64_MAX;

	for (unsigned n = 0; n < all->n; n++)
		if (all->v[n].server != NULL && !all->v[n].running && all->v[n].next_ms < until_ms)
			until_ms = all->v[n].next_ms;
	if (until_ms == UINT64_MAX) {
		(void)pthread_cond_wait(&all->wake, &all->lock);
		return;
	}
	(void)sq_cond_wait_until(&all->wake, &all->lock, until_ms);
}

/* Ends the requests that are out, and answers who waits; under the lock. */
static void
servers_end(struct sq_issuers *all)
{
	struct sq_list waiting;

	sq_list_init(&waiting);
	for (unsigned n = 0; n < all->n; n++) {
		struct sq_issuer *i = &all->v[n];

		if (i->running && !i->came)
			sq_key_fetch_cancel(i->server);
		while (i->running && !i->came)
			(void)pthread_cond_wait(&all->wake, &all->lock);
		i->running = i->came = false;
		server_take_waiting(i, &waiting);
	}
	pthread_mutex_unlock(&all->lock);
	sq_issuers_answer(all, &waiting);
	pthread_mutex_lock(&all->lock);
}

static void *
servers_run(void *arg)
{
	struct sq_issuers *all = arg;
	bool stepped;

	pthread_mutex_lock(&all->lock);
	while (!all->stopped) {
		stepped = false;
		for (unsigned n = 0; n < all->n && !all->stopped; n++)
			if (all->v[n].server != NULL)
				stepped = server_step(&all->v[n]) || stepped;
		if (!stepped && !all->stopped)
			servers_sleep(all);
	}
	servers_end(all);
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

void
sq_issuer_servers_start(struct sq_issuers *all)
{
	sq_thread_start(&all->thread, servers_run, all);
}

void
sq_issuer_servers_stop(struct sq_issuers *all)
{
	pthread_join(all->thread, NULL);
	for (unsigned n = 0; n < all->n; n++)
		assert(sq_list_empty(&all->v[n].waiting));
}
