/* Readiness and liveness; see status.h.
 *
 * Ready means that the declared subscriptions are in place and a link has been up.  Readiness
 * latches: an outage of brokers never makes running pods unready, nor does a restart of the sidecar
 * in an outage, with a directory for its ready mark.  The disk of an outbox does not latch: while
 * it accepts nothing, the pod can publish nothing, with or without brokers. */
#include "sidecar/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/reload.h"
#include "sidecar/declared/declared.h"
#include "sidecar/app.h"
#include "sidecar/mark.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/seccomp/seccomp.h"

enum { FULL_MS = 60000, STUCK_MS = 10000, MARK_AGAIN_MS = 30000 };

struct sq_status {
	struct sq_app *app;
	struct sq_reload *reload;
	ev_timer timer;
	atomic_uint_fast64_t turned_ms; /* when the loop last turned */
	const char *boot;
	bool latched, marked;
	uint64_t mark_due_ms; /* when to try again to leave the mark */
	pthread_mutex_t lock; /* of what follows */
	bool ready;
	struct sq_buf why; /* what is missing, and what else there is to know */
};

static void
status_say(struct sq_status *s, bool ready, struct sq_buf *why)
{
	struct sq_buf old;

	pthread_mutex_lock(&s->lock);
	s->ready = ready;
	old = s->why;
	s->why = *why;
	pthread_mutex_unlock(&s->lock);
	sq_buf_fini(&old);
}

/* Whether it has all it needs to be ready for the first time; else says why not. */
static bool
status_complete(const struct sq_app *a, struct sq_buf *why)
{
	bool complete = sq_declared_ready(a->declared, why);

	if (a->holds->link_was_up)
		return complete;
	sq_buf_printf(why, "no broker has been reached yet\n");
	return false;
}

static bool
status_has_dir(const struct sq_status *s)
{
	const char *dir = s->app->holds->cfg->state_dir;

	return dir != NULL && dir[0] != '\0';
}

/* Whether the sidecar before this one, in the same pod, was ready. */
static void
status_recall(struct sq_status *s)
{
	struct sq_buf why = {0};

	if (!status_has_dir(s))
		return;
	s->boot = sq_mark_boot();
	s->latched = s->marked = sq_mark_read(
	    s->app->holds->cfg->state_dir, s->app->holds->cfg->pod, s->boot, &why);
	if (s->latched)
		SQ_INFO("sidecar", "ready, as it was before it was started again");
	if (sq_buf_len(&why) != 0)
		SQ_WARN("sidecar", "state.dir: %.*s; it doesn't count", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

/* Leaves the mark for the next one.  A directory that takes none is warned of once, and
 * tried again. */
static void
status_mark(struct sq_status *s, uint64_t now_ms)
{
	struct sq_buf why = {0};

	if (!s->latched || s->marked || !status_has_dir(s) || now_ms < s->mark_due_ms)
		return;
	s->marked = sq_mark_write(
			s->app->holds->cfg->state_dir, s->app->holds->cfg->pod, s->boot, &why) == 0;
	if (!s->marked && s->mark_due_ms == 0)
		SQ_WARN("sidecar",
		    "state.dir: %.*s; started again while no broker is there, this pod is not "
		    "ready",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	s->mark_due_ms = now_ms + MARK_AGAIN_MS;
	sq_buf_fini(&why);
}

/* A line while a broker has no room for sessions, as far as is known. */
static void
status_full(const struct sq_holds *h, uint64_t now_ms, struct sq_buf *why)
{
	if (h->told.full_ms == 0 || now_ms - h->told.full_ms >= FULL_MS)
		return;
	sq_holds_say_full(h, h->told.full, why);
	sq_buf_printf(
	    why, "; new clients are refused with 0x97, sessions that were there before wait\n");
}

static void
status_update(struct sq_status *s)
{
	struct sq_buf why = {0};
	uint64_t now_ms = sq_clock_ms();
	bool outbox_ready = sq_outbox_ready(s->app->outbox, &why);

	atomic_store(&s->turned_ms, now_ms);
	if (!s->latched && status_complete(s->app, &why) && outbox_ready) {
		SQ_INFO("sidecar", "ready");
		s->latched = true;
	}
	status_mark(s, now_ms);
	sq_pool_set_metrics(s->app->holds->pool);
	sq_seccomp_report(s->app->holds->metrics, now_ms);
	(void)sq_pool_ready(s->app->holds->pool, &why);
	sq_declared_notes(s->app->declared, &why);
	status_full(s->app->holds, now_ms, &why);
	status_say(s, s->latched && outbox_ready, &why);
}

static void
status_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	status_update(w->data);
}

bool
sq_status_ready(struct sq_status *s, struct sq_buf *why)
{
	bool ready;

	pthread_mutex_lock(&s->lock);
	ready = s->ready;
	sq_buf_append(why, sq_buf_data(&s->why), sq_buf_len(&s->why));
	pthread_mutex_unlock(&s->lock);
	sq_reload_say(s->reload, why);
	return ready;
}

/* The two below run on the admin endpoint's thread. */
static bool
status_ready(void *owner, struct sq_buf *why)
{
	return sq_status_ready(owner, why);
}

static bool
status_live(void *owner, struct sq_buf *why)
{
	struct sq_status *s = owner;
	uint64_t age_ms = sq_clock_ms() - atomic_load(&s->turned_ms);

	if (age_ms < STUCK_MS)
		return true;
	sq_buf_printf(
	    why, "the loop has not turned for %llu s\n", (unsigned long long)(age_ms / 1000));
	return false;
}

struct sq_status *
sq_status_new(struct sq_app *app, struct sq_reload *reload)
{
	struct sq_status *s = sq_xcalloc(1, sizeof *s);

	s->app = app;
	s->reload = reload;
	pthread_mutex_init(&s->lock, NULL);
	ev_timer_init(&s->timer, status_on_timer, 0.1, 0.5);
	s->timer.data = s;
	ev_timer_start(app->loop->ev, &s->timer);
	status_recall(s);
	status_update(s);
	return s;
}

void
sq_status_free(struct sq_status **sp)
{
	struct sq_status *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	ev_timer_stop(s->app->loop->ev, &s->timer);
	pthread_mutex_destroy(&s->lock);
	sq_buf_fini(&s->why);
	free(s);
}

struct sq_admin *
sq_status_serve(struct sq_status *s, const char *listen, struct sq_buf *err)
{
	struct sq_admin_cfg cfg = {
	    .listen = listen,
	    .metrics = s->app->holds->metrics,
	    .ready = status_ready,
	    .live = status_live,
	    .owner = s,
	};

	return sq_admin_start(&cfg, err);
}
