#include "telemetry/exporter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/program.h"
#include "core/spans.h"
#include "core/spans_metrics.h"
#include "core/thread.h"
#include "telemetry/otlp.h"
#include "telemetry/post.h"

enum {
	BATCH = 512, /* spans of a request */
	LOOK_MS = 250,
	TIMEOUT_MS = 10000,
	BACKOFF_MIN_MS = 1000,
	BACKOFF_MAX_MS = 30000,
	NAMESPACE_MAX = 256,
};

#define NAMESPACE_FILE "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

#define METRIC_ROW(sym, name, labels, type, help) ROW_##sym,
enum { SQ_SPANS_METRICS(METRIC_ROW) };

struct sq_exporter {
	char *endpoint, *headers_file, *ca_file, *service, *pod, *node, *namespace, *host;
	const struct sq_metrics *metrics;
	size_t first_metric;
	struct sq_post *post;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* CLOCK_MONOTONIC */
	bool stop;           /* under the lock */

	/* The thread's. */
	struct sq_span batch[BATCH];
	size_t n;
	struct sq_buf body; /* of the first 'n_body' spans of the batch */
	size_t n_body;
	uint64_t next_ms, backoff_ms; /* of the next request after a failed one */
	bool away;                    /* the last request failed, and the log says so */
};

/* --- the thread --- */

static void
exporter_count(const struct sq_exporter *e, size_t row, uint64_t by)
{
	sq_metric_add(e->metrics, e->first_metric + row, (int64_t)by);
}

static bool
may_come_again(int status)
{
	return status == 0 || status == 429 || (status >= 502 && status <= 504);
}

static void
exporter_taken(struct sq_exporter *e, const struct sq_post_answer *a)
{
	uint64_t rejected = sq_otlp_rejected(sq_buf_data(&a->body), sq_buf_len(&a->body));

	if (rejected > e->n)
		rejected = e->n;
	exporter_count(e, ROW_SPANS_EXPORTED, e->n - rejected);
	exporter_count(e, ROW_SPANS_REFUSED, rejected);
	if (e->away)
		SQ_INFO("tracing", "%s takes spans again", e->endpoint);
	e->away = false;
	e->n = 0;
	e->backoff_ms = 0;
}

/* OTLP: these answers, and none at all, are for another try; the others are not. */
static void
exporter_failed(struct sq_exporter *e, const struct sq_post_answer *a)
{
	struct sq_buf why = {0};

	if (a->status != 0)
		sq_buf_printf(&why, "status %d", a->status);
	else
		sq_buf_printf(&why, "%s", a->reason);
	if (!may_come_again(a->status)) {
		SQ_WARN("tracing", "%s refuses %zu spans, which are dropped: %.*s", e->endpoint,
		    e->n, (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		exporter_count(e, ROW_SPANS_REFUSED, e->n);
		e->n = 0;
	} else {
		exporter_count(e, ROW_SPANS_FAILURES, 1);
		if (!e->away)
			SQ_WARN("tracing",
			    "%s takes no spans, messages go on without: %.*s; it is tried again",
			    e->endpoint, (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		e->away = true;
	}
	e->backoff_ms = e->backoff_ms == 0 ? BACKOFF_MIN_MS : 2 * e->backoff_ms;
	if (e->backoff_ms > BACKOFF_MAX_MS)
		e->backoff_ms = BACKOFF_MAX_MS;
	/* Half of it at least, so that many sidecars do not come at one time. */
	e->next_ms = sq_clock_ms() + e->backoff_ms / 2 + sq_random_u64() % (e->backoff_ms / 2);
	if (e->next_ms < sq_clock_ms() + a->retry_after_s * UINT64_C(1000))
		e->next_ms = sq_clock_ms() + a->retry_after_s * UINT64_C(1000);
	sq_buf_fini(&why);
}

/* Posts the batch; whether it was taken. */
static bool
exporter_post(struct sq_exporter *e)
{
	const struct sq_otlp_resource who = {.service = e->service,
	    .pod = e->pod,
	    .namespace = e->namespace,
	    .node = e->node,
	    .host = e->host};
	struct sq_post_answer a;
	bool taken;

	if (e->n_body != e->n) {
		sq_buf_drain(&e->body, sq_buf_len(&e->body));
		sq_otlp_write(&e->body, &who, e->batch, e->n);
		e->n_body = e->n;
	}
	sq_post(e->post, &e->body, TIMEOUT_MS, &a);
	taken = a.status >= 200 && a.status < 300;
	if (taken)
		exporter_taken(e, &a);
	else
		exporter_failed(e, &a);
	if (e->n == 0)
		e->n_body = 0;
	sq_buf_fini(&a.body);
	return taken;
}

/* One look at the rings: posts what there is, a batch at a time, until there is no more or one is not
 * taken. */
static void
exporter_turn(struct sq_exporter *e)
{
	sq_metric_set(e->metrics, e->first_metric + ROW_SPANS_FULL, (int64_t)sq_spans_dropped());
	do
		e->n += sq_spans_take(e->batch + e->n, BATCH - e->n);
	while (e->n > 0 && sq_clock_ms() >= e->next_ms && exporter_post(e));
	if (e->n == 0) /* its memory is for all batches of a look, not for the time between looks */
		sq_buf_fini(&e->body);
}

/* Waits for the next look; false: it is the last one. */
static bool
exporter_wait(struct sq_exporter *e)
{
	uint64_t until_ms = sq_clock_ms() + LOOK_MS;
	bool stop;

	pthread_mutex_lock(&e->lock);
	while (!e->stop && sq_cond_wait_until(&e->wake, &e->lock, until_ms))
		continue;
	stop = e->stop;
	pthread_mutex_unlock(&e->lock);
	return !stop;
}

static void *
exporter_run(void *arg)
{
	struct sq_exporter *e = arg;
	size_t left;

	while (exporter_wait(e))
		exporter_turn(e);
	e->next_ms = 0; /* the last try is now */
	exporter_turn(e);
	for (left = e->n; (e->n = sq_spans_take(e->batch, BATCH)) > 0;)
		left += e->n;
	exporter_count(e, ROW_SPANS_AT_END, left);
	if (left > 0)
		SQ_INFO("tracing", "%zu spans did not get to %s", left, e->endpoint);
	return NULL;
}

/* --- life --- */

static char *
copy(const char *s)
{
	return sq_config_is_set(s) ? sq_xstrdup(s) : NULL;
}

/* What is known of the place: in a cluster a pod and its namespace, else the host. */
static void
exporter_place(struct sq_exporter *e, const struct sq_exporter_cfg *cfg)
{
	struct sq_buf text = {0};
	char host[256] = "";

	(void)gethostname(host, sizeof host - 1);
	if (getenv("KUBERNETES_SERVICE_HOST") == NULL) {
		e->host = copy(host);
		return;
	}
	e->pod = copy(sq_config_is_set(cfg->pod) ? cfg->pod : host);
	e->node = copy(cfg->node);
	if (sq_file_read(NAMESPACE_FILE, NAMESPACE_MAX, &text) == SQ_OK && sq_buf_len(&text) > 0)
		e->namespace = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
}

static struct sq_post_cfg
exporter_post_cfg(const struct sq_exporter_cfg *cfg)
{
	return (struct sq_post_cfg){.endpoint = cfg->endpoint,
	    .headers_file = sq_config_text(cfg->headers_file),
	    .ca_file = sq_config_text(cfg->ca_file)};
}

static int
exporter_check(const struct sq_exporter_cfg *cfg, struct sq_buf *err)
{
	const struct sq_post_cfg post = exporter_post_cfg(cfg);

	return sq_config_is_set(cfg->endpoint) ? sq_post_check(&post, err) : SQ_OK;
}

void
sq_exporter_check(const struct sq_exporter_cfg *cfg, struct sq_buf *problems)
{
	struct sq_buf why = {0};

	if (exporter_check(cfg, &why) != SQ_OK)
		sq_program_problem(problems, &why);
}

static void
exporter_free(struct sq_exporter *e)
{
	sq_post_free(&e->post);
	sq_buf_fini(&e->body);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e->endpoint);
	free(e->headers_file);
	free(e->ca_file);
	free(e->service);
	free(e->pod);
	free(e->node);
	free(e->namespace);
	free(e->host);
	free(e);
}

int
sq_exporter_start(struct sq_exporter **out, const struct sq_exporter_cfg *cfg, struct sq_buf *err)
{
	struct sq_exporter *e;
	struct sq_post_cfg post;
	int rc = exporter_check(cfg, err);

	*out = NULL;
	if (rc != SQ_OK || !sq_config_is_set(cfg->endpoint))
		return rc;
	e = sq_xcalloc(1, sizeof *e);
	e->endpoint = copy(cfg->endpoint);
	e->headers_file = copy(cfg->headers_file);
	e->ca_file = copy(cfg->ca_file);
	e->service = copy(cfg->service);
	e->metrics = cfg->metrics;
	e->first_metric = cfg->first_metric;
	exporter_place(e, cfg);
	post = (struct sq_post_cfg){e->endpoint, e->headers_file, e->ca_file};
	e->post = sq_post_new(&post, err);
	pthread_mutex_init(&e->lock, NULL);
	sq_cond_init(&e->wake);
	if (e->post == NULL) {
		exporter_free(e);
		return SQ_EIO;
	}
	sq_spans_start(cfg->per_thread);
	sq_thread_start(&e->thread, exporter_run, e);
	SQ_INFO("tracing", "spans of sampled messages go to %s", e->endpoint);
	*out = e;
	return SQ_OK;
}

/* A name server may hold the thread for longer than its time: then it is left to the end of the
 * process, with all that it uses. */
void
sq_exporter_stop(struct sq_exporter **ep)
{
	struct sq_exporter *e = *ep;
	struct timespec until;

	*ep = NULL;
	if (e == NULL)
		return;
	atomic_store(&sq_spans_are_on, false);
	sq_post_until(e->post, sq_clock_ms() + SQ_EXPORTER_FLUSH_MS);
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SQ_EXPORTER_FLUSH_MS / 1000 + 1;
	if (pthread_timedjoin_np(e->thread, NULL, &until) != 0)
		return;
	sq_spans_stop();
	exporter_free(e);
}
