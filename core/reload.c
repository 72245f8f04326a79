#include "core/reload.h"

#include <string.h>
#include <time.h>

#include "core/log.h"

enum { WAITS_NAMED = 8 };

/* In the order of SQ_RELOAD_METRICS. */
enum { GOOD, WHEN, FAILURES, WAITING };

static void
reload_taken(struct sq_reload *r)
{
	sq_metric_set(r->metrics, r->first + GOOD, 1);
	sq_metric_set(r->metrics, r->first + WHEN, time(NULL));
}

void
sq_reload_init(struct sq_reload *r, const char *scope, const struct sq_config_key *keys, size_t n,
    const struct sq_metrics *metrics, size_t first)
{
	*r = (struct sq_reload){
	    .scope = scope, .keys = keys, .n = n, .metrics = metrics, .first = first};
	pthread_mutex_init(&r->lock, NULL);
	reload_taken(r);
}

void
sq_reload_fini(struct sq_reload *r)
{
	pthread_mutex_destroy(&r->lock);
	sq_buf_fini(&r->waits);
}

static bool
reload_same(const struct sq_buf *a, const struct sq_buf *b)
{
	size_t len = sq_buf_len(a);

	return len == sq_buf_len(b) &&
	    (len == 0 || memcmp(sq_buf_data(a), sq_buf_data(b), len) == 0);
}

void
sq_reload_good(struct sq_reload *r, const char *source, const void *running, const void *now)
{
	struct sq_buf waits = {0}, was;
	size_t n = sq_config_differ(running, now, r->keys, r->n, WAITS_NAMED, &waits);

	reload_taken(r);
	sq_metric_set(r->metrics, r->first + WAITING, (int64_t)n);
	if (n > 0 && !reload_same(&waits, &r->waits))
		SQ_WARN(r->scope, "%s: what has changed of %.*s counts from the next start on",
		    source, (int)sq_buf_len(&waits), (const char *)sq_buf_data(&waits));
	pthread_mutex_lock(&r->lock);
	was = r->waits;
	r->waits = waits;
	pthread_mutex_unlock(&r->lock);
	sq_buf_fini(&was);
}

void
sq_reload_bad(struct sq_reload *r, const char *what, const struct sq_buf *err)
{
	sq_metric_set(r->metrics, r->first + GOOD, 0);
	sq_metric_add(r->metrics, r->first + FAILURES, 1);
	SQ_ERROR(r->scope, "%.*s; %s as before", (int)sq_buf_len(err),
	    (const char *)sq_buf_data(err), what);
}

void
sq_reload_say(struct sq_reload *r, struct sq_buf *out)
{
	pthread_mutex_lock(&r->lock);
	if (sq_buf_len(&r->waits) > 0)
		sq_buf_printf(out, "waits for a restart: %.*s\n", (int)sq_buf_len(&r->waits),
		    (const char *)sq_buf_data(&r->waits));
	pthread_mutex_unlock(&r->lock);
}
