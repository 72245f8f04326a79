/* The thread, its lists, and how requests end; see net/curl/out_priv.h. */
#include "net/curl/out.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/thread.h"
#include "net/curl/out_priv.h"

enum {
	OUT_PER_ORIGIN = 64,
	OUT_TOTAL = 1024,
	OUT_LOOKUPS = 32,
	OUT_CONNECT_MS = 5000,
	OUT_REST_MS = 120000,
};

/* Ends. */

static void
out_due(struct sq_out_transfer *t, uint64_t due_ms)
{
	t->due.owner = t;
	sq_heap_set(&t->out->dues, &t->due, due_ms);
}

static void
out_end(struct sq_out_transfer *t, enum sq_out_end end, const char *why)
{
	struct sq_out_request *req = t->req;

	assert(t->place != SQ_OUT_ENDED);
	sq_heap_remove(&t->out->dues, &t->due);
	sq_list_remove(&req->node);
	if (t->call != NULL)
		sq_out_call_stop(t);
	sq_out_origins_leave(t);
	sq_out_names_leave(t);
	t->place = SQ_OUT_ENDED;
	req->end = end;
	req->took_us = sq_clock_us() - t->sent_us;
	if (why != req->why)
		(void)snprintf(req->why, sizeof req->why, "%s", why);
	sq_list_push_back(&t->out->ended, &req->node);
}

/* Hands back what has ended. */
static void
out_hand_back(struct sq_out *o)
{
	struct sq_out_request *req;
	struct sq_list ended;

	if (sq_list_empty(&o->ended))
		return;
	sq_list_init(&ended);
	sq_list_splice(&ended, &o->ended);
	pthread_mutex_lock(&o->in.lock);
	SQ_LIST_FOR_EACH(r, &ended, struct sq_out_request, node) {
		sq_list_remove(&r->transfer->cancelled);
		free(r->transfer);
		r->transfer = NULL;
		atomic_fetch_sub(&o->n_requests, 1);
	}
	pthread_mutex_unlock(&o->in.lock);
	while ((req = SQ_LIST_FIRST(&ended, struct sq_out_request, node)) != NULL) {
		sq_list_remove(&req->node);
		req->done(req);
	}
}

/* The way of a request. */

static void
out_named(struct sq_out_transfer *t)
{
	t->named_ms = sq_clock_us() / 1000 - t->sent_us / 1000;
	out_due(t, t->until_ms);
	sq_out_origins_enter(t);
}

static void
out_answered(struct sq_out_transfer *t, const char *why)
{
	if (why != NULL)
		out_end(t, SQ_OUT_UNREACHABLE, why);
	else
		out_named(t);
}

/* Notes the host as the URL spells it, with the dot at its end that sq_out_url_check() takes off. */
static void
out_spell(struct sq_out_transfer *t)
{
	const char *at = strstr(t->req->url, "://") + 3;
	size_t len = strlen(t->host);

	if (*at != '[' && at[len] == '.' && len < SQ_OUT_HOST_MAX) {
		t->host[len] = '.';
		t->host[len + 1] = '\0';
	}
}

/* Whether a method may stand in a request's first line. */
static bool
out_is_method(const char *method)
{
	size_t len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_");

	return len > 0 && len <= 32 && method[len] == '\0';
}

static void
out_begin(struct sq_out_transfer *t)
{
	struct sq_out_request *req = t->req;
	uint64_t named_ms = t->sent_us / 1000 + t->connect_ms;
	struct sq_buf err = {0};

	if (sq_out_url_check(req->url, &t->https, t->host, sizeof t->host, &t->port, &err) !=
		SQ_OK ||
	    !out_is_method(req->method)) {
		(void)snprintf(req->why, sizeof req->why, "%.*s", (int)sq_buf_len(&err),
		    sq_buf_len(&err) > 0 ? (const char *)sq_buf_data(&err) : "");
		if (sq_buf_len(&err) == 0)
			(void)snprintf(req->why, sizeof req->why, "no method of HTTP");
		sq_buf_fini(&err);
		out_end(t, SQ_OUT_INVALID, req->why);
		return;
	}
	out_spell(t);
	t->proxied = t->out->proxy.url != NULL && !req->way->direct;
	if (sq_out_names_enter(t))
		out_named(t);
	else
		out_due(t, named_ms < t->until_ms ? named_ms : t->until_ms);
}

/* The thread. */

/* Takes up what others have left; false: it is the end. */
static bool
out_take(struct sq_out *o)
{
	struct sq_list sent, looked, cancelled;
	struct sq_out_request *req;
	struct sq_out_transfer *t;
	bool stopped;

	sq_list_init(&sent);
	sq_list_init(&looked);
	sq_list_init(&cancelled);
	pthread_mutex_lock(&o->in.lock);
	sq_list_splice(&sent, &o->in.sent);
	sq_list_splice(&looked, &o->in.looked);
	sq_list_splice(&cancelled, &o->in.cancelled);
	stopped = o->in.stopped;
	pthread_mutex_unlock(&o->in.lock);
	while ((req = SQ_LIST_FIRST(&sent, struct sq_out_request, node)) != NULL) {
		sq_list_remove(&req->node);
		if (stopped)
			out_end(req->transfer, SQ_OUT_CANCELLED, "cancelled");
		else
			out_begin(req->transfer);
	}
	/* From here on the lists have no nodes that others look at. */
	while ((t = SQ_LIST_FIRST(&cancelled, struct sq_out_transfer, cancelled)) != NULL) {
		sq_list_remove(&t->cancelled);
		if (t->place != SQ_OUT_ENDED)
			out_end(t, SQ_OUT_CANCELLED, "cancelled");
	}
	sq_out_names_answer(o, &looked, out_answered);
	return !stopped;
}

/* Ends those whose time has passed. */
static void
out_expire(struct sq_out *o)
{
	uint64_t now = sq_clock_ms();
	struct sq_heap_node *due;

	while ((due = sq_heap_pop(&o->dues, now)) != NULL) {
		struct sq_out_transfer *t = due->owner;

		if (t->place == SQ_OUT_AT_ORIGIN)
			out_end(t, SQ_OUT_CROWDED, "no connection has been free in time");
		else if (t->place == SQ_OUT_AT_NAME && !sq_out_name_looking(t->name))
			out_end(t, SQ_OUT_CROWDED, "too many other names are being looked up");
		else
			out_end(t, SQ_OUT_TIMEOUT,
			    t->place == SQ_OUT_AT_NAME ? "its name has not been looked up in time"
						       : "no answer in time");
	}
}

/* Starts requests whose turn it is. */
static void
out_start(struct sq_out *o)
{
	struct sq_out_transfer *t;

	while ((t = sq_out_origins_next(o)) != NULL) {
		/* What it has waited for its turn is not the target's time. */
		t->until_ms = sq_clock_ms() + t->req->timeout_ms;
		out_due(t, t->until_ms);
		if (!sq_out_call_start(t))
			out_end(t, SQ_OUT_INVALID, t->req->why);
	}
}

/* Lets libcurl do what it can, and takes up what it has ended. */
static void
out_perform(struct sq_out *o)
{
	struct sq_out_transfer *t;
	enum sq_out_end end;
	int running, left;
	const CURLMsg *m;
	CURLMcode rc;

	o->begun = false;
	rc = o->curl->multi_perform(o->multi, &running);
	assert(rc == CURLM_OK);
	while ((m = o->curl->multi_info_read(o->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		t = sq_out_call_ended(o, m->easy_handle, m->data.result, &end);
		if (t != NULL)
			out_end(t, end, t->req->why);
	}
}

/* Milliseconds until there is something to do without being woken. */
static int
out_patience(const struct sq_out *o, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	if (o->dues.n > 0)
		due = o->dues.v[0]->due;
	if (o->rested_ms != 0 && o->rested_ms + o->rest_ms < due)
		due = o->rested_ms + o->rest_ms;
	if (due == UINT64_MAX)
		return INT_MAX;
	return due <= now ? 0 : due - now < INT_MAX ? (int)(due - now) : INT_MAX;
}

static void
out_sleep(struct sq_out *o)
{
	int patience = out_patience(o, sq_clock_ms());
	bool sleeps;

	pthread_mutex_lock(&o->in.lock);
	sleeps = sq_list_empty(&o->in.sent) && sq_list_empty(&o->in.cancelled) &&
	    sq_list_empty(&o->in.looked) && !o->in.stopped;
	o->in.asleep = sleeps;
	pthread_mutex_unlock(&o->in.lock);
	if (!sleeps)
		return;
	(void)o->curl->multi_poll(o->multi, NULL, 0, patience, NULL);
	pthread_mutex_lock(&o->in.lock);
	o->in.asleep = false;
	pthread_mutex_unlock(&o->in.lock);
}

static CURLM *
out_multi(const struct sq_out *o)
{
	CURLM *m = o->curl->multi_init();

	if (m == NULL)
		abort(); /* without memory */
	/* None for a host: that is by owner, see origins.c, and libcurl does not know owners. */
	(void)o->curl->multi_setopt(m, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)o->total);
	(void)o->curl->multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)o->total);
	return m;
}

/* Closes connections that nobody has needed for a while: libcurl itself would with the next request
 * only. */
static void
out_rest(struct sq_out *o)
{
	uint64_t now = sq_clock_ms();
	CURLM *old = o->multi, *fresh;

	if (o->origins.running > 0 || atomic_load(&o->n_connections) == 0) {
		o->rested_ms = 0;
		return;
	}
	if (o->rested_ms == 0)
		o->rested_ms = now;
	if (now - o->rested_ms < o->rest_ms)
		return;
	o->rested_ms = 0;
	fresh = out_multi(o);
	pthread_mutex_lock(&o->in.lock);
	o->multi = fresh;
	pthread_mutex_unlock(&o->in.lock);
	(void)o->curl->multi_cleanup(old);
	sq_out_sockets_clear(o);
	sq_out_names_forget(o);
}

static void
out_cancel_all(struct sq_out *o)
{
	struct sq_heap_node *due;

	/* Each request that has not ended has its time in the heap. */
	while ((due = sq_heap_pop(&o->dues, UINT64_MAX)) != NULL)
		out_end(due->owner, SQ_OUT_CANCELLED, "cancelled");
}

static void *
out_run(void *arg)
{
	struct sq_out *o = arg;
	bool goes_on;

	do {
		goes_on = out_take(o);
		if (!goes_on)
			out_cancel_all(o);
		out_start(o);
		if (o->origins.running > 0)
			out_perform(o);
		out_expire(o);
		out_start(o);
		out_hand_back(o);
		out_rest(o);
		if (goes_on && !o->begun)
			out_sleep(o);
	} while (goes_on || atomic_load(&o->n_requests) > 0);
	return NULL;
}

/* From outside. */

static int
out_set_proxy(struct sq_out *o, const char *url, struct sq_buf *err)
{
	bool https;
	int rc;

	if (url == NULL)
		return SQ_OK;
	o->proxy.url = sq_xstrdup(url);
	rc = sq_out_url_check(
	    url, &https, o->proxy.host, sizeof o->proxy.host, &o->proxy.port, err);
	if (rc == SQ_OK && https) {
		sq_buf_printf(err, "%s: a proxy is one of http://", url);
		rc = SQ_EINVAL;
	}
	return rc;
}

/* Frees what the thread has had; lookups that are under way have the rest. */
static void
out_close(struct sq_out *o)
{
	struct sq_list looked;

	sq_list_init(&looked);
	sq_out_names_part(o);
	pthread_mutex_lock(&o->in.lock);
	o->in.closed = true;
	sq_list_splice(&looked, &o->in.looked);
	pthread_mutex_unlock(&o->in.lock);
	if (o->multi != NULL)
		(void)o->curl->multi_cleanup(o->multi);
	sq_out_sockets_clear(o);
	sq_out_calls_fini(o);
	sq_out_names_answer(o, &looked, out_answered);
	sq_out_names_fini(o);
	sq_out_origins_fini(o);
	sq_heap_fini(&o->dues);
	free(o->user_agent);
	free(o->proxy.url);
	sq_out_unref(o);
}

struct sq_out *
sq_out_new(const struct sq_out_cfg *cfg, struct sq_buf *err)
{
	const struct sq_curl *curl = sq_curl_load(err);
	struct sq_out *o;

	if (curl == NULL)
		return NULL;
	o = sq_xcalloc(1, sizeof *o);
	o->curl = curl;
	o->user_agent = cfg->user_agent != NULL ? sq_xstrdup(cfg->user_agent) : NULL;
	o->per_origin = cfg->per_origin > 0 ? cfg->per_origin : OUT_PER_ORIGIN;
	o->total = cfg->total > 0 ? cfg->total : OUT_TOTAL;
	o->rest_ms = cfg->rest_ms > 0 ? cfg->rest_ms : OUT_REST_MS;
	o->lookups = cfg->lookups > 0 ? cfg->lookups : OUT_LOOKUPS;
	sq_list_init(&o->ended);
	sq_out_inbox_init(o);
	sq_list_init(&o->calls.idle);
	sq_out_names_init(o);
	sq_out_origins_init(o);
	if (out_set_proxy(o, cfg->proxy, err) != SQ_OK || sq_out_calls_init(o, err) != SQ_OK) {
		out_close(o);
		return NULL;
	}
	o->multi = out_multi(o);
	sq_thread_start(&o->thread, out_run, o);
	return o;
}

void
sq_out_free(struct sq_out **op)
{
	struct sq_out *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	pthread_mutex_lock(&o->in.lock);
	o->in.stopped = true;
	sq_out_wake(o);
	pthread_mutex_unlock(&o->in.lock);
	pthread_join(o->thread, NULL);
	out_close(o);
}

void
sq_out_send(struct sq_out *o, struct sq_out_request *req)
{
	struct sq_out_transfer *t = sq_xcalloc(1, sizeof *t);

	assert(req->transfer == NULL && req->timeout_ms > 0);
	t->out = o;
	t->req = req;
	t->sent_us = sq_clock_us();
	t->until_ms = t->sent_us / 1000 + req->timeout_ms;
	t->connect_ms = req->connect_ms > 0 ? req->connect_ms : OUT_CONNECT_MS;
	sq_list_init(&t->cancelled);
	sq_list_init(&req->node);
	sq_buf_drain(&req->answer_headers, sq_buf_len(&req->answer_headers));
	sq_buf_drain(&req->answer, sq_buf_len(&req->answer));
	req->status = 0;
	req->why[0] = '\0';
	req->cancelled = false;
	atomic_fetch_add(&o->n_requests, 1);
	pthread_mutex_lock(&o->in.lock);
	req->transfer = t;
	sq_list_push_back(&o->in.sent, &req->node);
	sq_out_wake(o);
	pthread_mutex_unlock(&o->in.lock);
}

void
sq_out_cancel(struct sq_out *o, struct sq_out_request *req)
{
	pthread_mutex_lock(&o->in.lock);
	/* No transfer: it has just ended, and its done() is about to be called. */
	if (req->transfer != NULL && !req->cancelled) {
		req->cancelled = true;
		sq_list_push_back(&o->in.cancelled, &req->transfer->cancelled);
		sq_out_wake(o);
	}
	pthread_mutex_unlock(&o->in.lock);
}

struct sq_out_counts
sq_out_count(const struct sq_out *o)
{
	return (struct sq_out_counts){
	    .requests = atomic_load(&o->n_requests),
	    .connections = atomic_load(&o->n_connections),
	    .lookups = atomic_load(&o->n_lookups),
	};
}
