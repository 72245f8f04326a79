/* The life of the program.  The main thread serves nothing itself: it starts, looks after what changes,
 * and ends. */
#include "broker/program/program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/auth.h"
#include "broker/broker.h"
#include "broker/config/auth.h"
#include "broker/config/bridge_live.h"
#include "broker/config/fit.h"
#include "broker/config/live.h"
#include "broker/config/push_live.h"
#include "broker/config/queue_dir.h"
#include "broker/config/queue_live.h"
#include "broker/config/who.h"
#include "broker/engine/engine.h"
#include "broker/engine/engines/engines.h"
#include "broker/front/access/pages.h"
#include "broker/front/link/view.h"
#include "broker/metrics/metrics.h"
#include "broker/program/main_priv.h"
#include "broker/program/shared.h"
#include "core/clock.h"
#include "core/cpus.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "core/notify.h"
#include "core/stop.h"
#include "store/journal/log_file.h"
#include "store/shared/log_shared.h"
#include "web/crew.h"
#include "web/slot.h"
#include "web/worker.h"

enum {
	DRAIN_POLL_MS = 20,
	HAND_OVER_MS = 500, /* for answers that are under way, where another broker goes on */
	LOOK_MS = 250,      /* between two looks at the configuration's file */
	SPANS = 2048,       /* of each worker, that wait for the exporter */
};

struct sq_main_ticker {
	struct sq_crew_slot slot;
	const struct sq_main *main;
};

static void
ticker_tick(struct sq_crew_slot *s, uint64_t now_ms)
{
	struct sq_main_ticker *t = SQ_CONTAINER_OF(s, struct sq_main_ticker, slot);

	if (!t->main->ticking)
		return;
	sq_memory_tick(now_ms);
	if (sq_worker_index(s->worker) == 0)
		sq_memory_metrics(&sq_broker_metrics, SQ_M_MEMORY_BYTES);
	sq_broker_tick(t->main->broker, s->worker);
}

/* The first tick sets the figures before the first link comes. */
static void
main_tick_start(struct sq_main *p)
{
	static const struct sq_crew_slot_user user = {.tick = ticker_tick};

	p->ticking = true;
	p->tickers = sq_xcalloc(sq_crew_size(p->crew), sizeof *p->tickers);
	for (unsigned i = 0; i < sq_crew_size(p->crew); i++) {
		p->tickers[i].main = p;
		sq_crew_slot_open(&p->tickers[i].slot, sq_crew_workers(p->crew)[i], &user, NULL);
	}
}

struct sq_exporter_cfg
sq_main_exporter(const struct sq_broker_config *c)
{
	return (struct sq_exporter_cfg){.endpoint = c->trace_endpoint,
	    .headers_file = c->trace_headers_file,
	    .ca_file = c->trace_ca,
	    .service = "sqmqos-broker",
	    .per_thread = SPANS,
	    .metrics = &sq_broker_metrics,
	    .first_metric = SQ_M_SPANS_EXPORTED};
}

/* There is something to look at.  Thread: any. */
static void
main_wake(void *owner)
{
	struct sq_main *p = owner;

	sem_post(&p->told);
}

/* What the broker is made of; its rules are not there yet. */
static struct sq_broker_cfg
main_cfg(const struct sq_main *p)
{
	struct sq_broker_cfg cfg = sq_broker_config_cfg(p->config);

	sq_broker_config_fit(&cfg);
	cfg.engine = sq_engines[p->config->engine];
	cfg.log = p->shared != NULL ? &sq_log_shared : &sq_log_file;
	cfg.shared = p->shared != NULL ? sq_main_shared_log(p->shared) : NULL;
	cfg.push = sq_push_live_cfg(p->push);
	cfg.bridges = sq_bridge_live_cfg(p->dirs.bridges);
	return cfg;
}

/* SQ_EIO, with what 'why' says in 'err'; frees it. */
static int
main_store_fails(struct sq_buf *why, struct sq_buf *err)
{
	sq_buf_printf(err, "store.dir: %.*s", (int)sq_buf_len(why), (const char *)sq_buf_data(why));
	sq_buf_fini(why);
	return SQ_EIO;
}

static int
main_open_engine(struct sq_main *p, struct sq_buf *err)
{
	const struct sq_engine_cfg with = {.metrics = &sq_broker_metrics,
	    .n_workers = sq_crew_size(p->crew),
	    .role = p->shared != NULL ? sq_main_shared_role : NULL,
	    .owner = p->shared};
	const struct sq_broker_cfg cfg = main_cfg(p);
	struct sq_buf why = {0};

	p->engine = sq_broker_open_engine(&cfg, &with, &why);
	if (p->engine == NULL)
		return main_store_fails(&why, err);
	sq_auth_start(p->auth); /* keys are kept in the store's directory, which is locked now */
	return SQ_OK;
}

/* Makes the broker of an engine that owns its state. */
static int
main_make_broker(struct sq_main *p, struct sq_buf *err)
{
	struct sq_broker_cfg cfg = main_cfg(p);
	struct sq_buf why = {0};
	int rc;

	cfg.acl = sq_broker_config_acl(p->config, err);
	if (cfg.acl == NULL)
		return SQ_EINVAL;
	if (p->shared != NULL) {
		cfg.recovery_ms = sq_broker_config_recovery_ms(
		    p->config, sq_main_shared_yielded(p->shared));
		p->engine->ops->start.own(p->engine);
	}
	sq_crew_hold(p->crew);
	SQ_FAULT_IF(p->shared != NULL, "broker-owns");
	p->broker = sq_broker_new(
	    &cfg, p->engine, sq_crew_workers(p->crew), sq_crew_size(p->crew), &sq_broker_metrics);
	rc = sq_broker_load(p->broker, &why);
	sq_crew_go(p->crew);
	return rc == SQ_OK ? SQ_OK : main_store_fails(&why, err);
}

/* How many workers there are.  'auto': one for each two CPUs that a control group leaves the
 * process, since a message that passes from worker to worker costs more; one where no limit says
 * how many are ours. */
static unsigned
main_workers(const struct sq_broker_config *c)
{
	struct sq_cpus cpus;
	unsigned n;

	if (c->workers != 0)
		return (unsigned)c->workers;
	cpus = sq_cpus("");
	n = cpus.limited ? cpus.n / 2 : 1;
	return n < 1 ? 1 : n > SQ_BROKER_WORKERS_MAX ? SQ_BROKER_WORKERS_MAX : n;
}

/* Says why 'auto' is so many; once the broker serves, as a start that fails says one line. */
static void
main_say_workers(unsigned n)
{
	struct sq_cpus cpus = sq_cpus("");

	if (cpus.limited)
		SQ_INFO("broker",
		    "workers: auto is %u, by a control group's limit, which leaves %u CPUs", n,
		    cpus.n);
	else
		SQ_INFO("broker", "workers: auto is %u, as no control group limits the %u CPUs", n,
		    cpus.n);
}

/* What there is before any state. */
static int
main_prepare(struct sq_main *p, struct sq_buf *err)
{
	const struct sq_broker_config *c = p->config;
	struct sq_exporter_cfg exporter = sq_main_exporter(c);

	if (sq_exporter_start(&p->exporter, &exporter, err) != SQ_OK)
		return SQ_EIO;
	p->dirs.queues = sq_queue_dir_new(c->subscribers_dir);
	p->push = sq_push_live_new(c, main_wake, p, err);
	if (p->push == NULL)
		return SQ_EINVAL;
	p->dirs.bridges = sq_bridge_live_new(c, p->push);
	p->auth = sq_broker_config_auth(c, true, sq_push_live_out(p->push), err);
	if (p->auth == NULL)
		return SQ_EINVAL;
	p->crew = sq_crew_new(main_workers(c));
	return sq_main_open_fronts(p, err) && sq_main_start_admin(p, err) ? SQ_OK : SQ_EIO;
}

static void
main_say(const struct sq_main *p)
{
	const struct sq_broker_config *c = p->config;

	SQ_INFO("broker", "version %s serves %s (port %u, %s), %u workers", SQ_VERSION, c->listen,
	    sq_front_port(p->fronts[0]), c->tls ? "TLS" : "clear text", sq_crew_size(p->crew));
	if (c->workers == 0)
		main_say_workers(sq_crew_size(p->crew));
	if (p->fronts[1] != NULL)
		SQ_INFO("broker", "the HTTP API is at %s (port %u)", c->http_listen,
		    sq_front_port(p->fronts[1]));
	sq_broker_config_say_who(c);
}

/* Serves the state that the engine owns; on error a line in 'err'. */
static int
main_serve(struct sq_main *p, struct sq_buf *err)
{
	int rc = main_make_broker(p, err);

	if (rc != SQ_OK)
		return rc;
	if (p->changed)
		(void)sq_main_look(p, true);
	main_tick_start(p);
	sq_queue_live_begin(p->dirs.queues, sq_broker_subscribers(p->broker), &p->end);
	sq_bridge_live_begin(p->dirs.bridges, sq_broker_bridges(p->broker), &p->end);
	sq_link_front_view(p->services[SQ_MAIN_LINK], sq_broker_view(p->broker));
	for (unsigned i = 0; i < SQ_MAIN_FRONTS && p->fronts[i] != NULL; i++)
		sq_front_serve(p->fronts[i], p->broker);
	p->listening = true;
	if (p->admin.callers != NULL)
		sq_callers_serve(p->admin.callers, p->broker);
	main_say(p);
	return SQ_OK;
}

/* The end of the state.  A log of several brokers is let go of by it. */
static void
main_close(struct sq_main *p)
{
	if (p->shared != NULL)
		sq_main_shared_engine(p->shared, NULL);
	if (p->broker != NULL)
		sq_broker_free(&p->broker);
	else if (p->engine != NULL)
		p->engine->ops->close(p->engine);
	p->engine = NULL;
}

/* Links end, then sessions, then the threads that both work on; what these worked on is freed
 * while nothing turns. */
static void
main_stop(struct sq_main *p)
{
	if (p->auth != NULL)
		sq_auth_stop(p->auth);
	sq_main_stop_admin(p);
	p->ticking = false; /* one that runs ends before the fronts' stop does */
	sq_main_each_front(p, sq_front_stop);
	if (p->broker != NULL)
		sq_broker_stop(p->broker);
	if (p->crew != NULL)
		sq_crew_stop(p->crew);
	main_close(p);
	sq_bridge_live_free(&p->dirs.bridges);
	sq_push_live_free(&p->push);
	sq_crew_free(&p->crew);
	free(p->tickers);
	for (unsigned i = 0; i < SQ_MAIN_FRONTS; i++)
		sq_front_free(&p->fronts[i]);
	sq_queue_dir_free(&p->dirs.queues);
	sq_auth_free(&p->auth);
	sq_exporter_stop(&p->exporter);
	sq_reload_fini(&p->reload);
	sq_main_shared_free(&p->shared);
}

/* On the thread of the signals. */
static void
main_told(void *owner, int sig)
{
	struct sq_main *p = owner;

	if (sig == SIGUSR1)
		p->move = true;
	else if (sig == SIGHUP)
		p->again = true;
	else
		p->end = true;
	sem_post(&p->told);
}

/* From now on nothing that the program waits for keeps it from ending. */
static void
main_signals(struct sq_main *p)
{
	signal(SIGPIPE, SIG_IGN);
	sq_deed_gate_init(&p->redrives);
	sem_init(&p->told, 0, 0);
	p->stop = sq_stop_start(&(struct sq_stop_cfg){.scope = "broker",
	    .within_ms = p->config->drain_ms + SQ_STOP_MS,
	    .also = {SIGUSR1, SIGHUP},
	    .told = main_told,
	    .owner = p});
}

/* Tells the service manager what /readyz says, and that the workers turn.  Asks also where nobody wants
 * to know: then log and metrics have what the engine finds out. */
static void
main_tell(struct sq_main *p)
{
	struct sq_buf why = {0}, stuck = {0};
	bool ready = sq_main_ready(p, &why);

	if (sq_notify_wanted(p->notify)) {
		if (ready && sq_buf_len(&why) == 0)
			sq_buf_printf(&why, "serves %s", p->config->listen);
		sq_buf_u8(&why, '\0');
		sq_notify_status(p->notify, (const char *)sq_buf_data(&why));
		sq_notify_tick(p->notify, sq_clock_ms(), sq_main_live(p, &stuck));
	}
	sq_buf_fini(&why);
	sq_buf_fini(&stuck);
}

/* Serves until the queues are empty or the time is over. */
static void
main_drain(struct sq_main *p)
{
	const struct timespec poll = {0, DRAIN_POLL_MS * 1000000L};
	uint64_t within_ms = p->config->drain_ms;
	uint64_t until;

	if (p->shared != NULL && within_ms > HAND_OVER_MS)
		within_ms = HAND_OVER_MS; /* another serves what waits, and soon */
	until = sq_clock_ms() + within_ms;
	SQ_INFO("broker", "draining for at most %llu ms", (unsigned long long)within_ms);
	sq_broker_drain(p->broker);
	sq_main_each_front(p, sq_front_drain);
	while (!sq_main_fronts_idle(p) || !sq_broker_drained(p->broker)) {
		if (sq_clock_ms() >= until) {
			SQ_INFO("broker", "drain-timeout is over");
			break;
		}
		main_tell(p);
		nanosleep(&poll, NULL);
	}
}

/* Until the program is told something, or it is time for a look. */
static void
main_wait(struct sq_main *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (sem_timedwait(&p->told, &until) != 0 && errno == EINTR)
		continue;
}

/* A turn of the main thread, before and after it serves. */
static void
main_turn(struct sq_main *p)
{
	bool asked;

	main_tell(p);
	main_wait(p);
	asked = atomic_exchange(&p->again, false);
	asked = sq_main_look(p, asked) || asked; /* queues that were denied may be good now */
	if (p->broker != NULL) {
		sq_queue_live_look(p->dirs.queues, sq_broker_subscribers(p->broker), asked);
		sq_bridge_live_look(p->dirs.bridges, sq_broker_bridges(p->broker), asked);
	}
	sq_push_live_look(p->push, sq_clock_ms());
	sq_notify_set(p->notify, SQ_NOTIFY_READY);
	if (atomic_exchange(&p->move, false)) {
		SQ_INFO("broker", "every link is asked to move");
		sq_main_each_front(p, sq_front_move);
	}
}

/* Follows a log of several brokers until this one owns it, or ends; on error a line in 'err'. */
static int
main_follow(struct sq_main *p, struct sq_buf *err)
{
	int rc = SQ_EAGAIN;

	while (!p->end && rc == SQ_EAGAIN) {
		rc = sq_main_shared_find(p->shared, err);
		if (rc == SQ_EAGAIN)
			main_turn(p);
	}
	if (p->end)
		return SQ_OK;
	if (rc == SQ_OK)
		rc = main_open_engine(p, err);
	if (rc != SQ_OK)
		return rc;
	sq_main_shared_engine(p->shared, p->engine);
	sq_main_each_front(p, sq_front_stand_by);
	SQ_INFO("broker", "version %s stands by at %s (port %u), as %s", SQ_VERSION,
	    p->config->listen, sq_front_port(p->fronts[0]), p->config->log.id);
	while (!p->end && !sq_main_shared_owns(p->shared))
		main_turn(p);
	return SQ_OK;
}

/* To the end; on error a line in 'err'. */
static int
main_run(struct sq_main *p, struct sq_buf *err)
{
	int rc = main_prepare(p, err);

	if (rc == SQ_OK)
		rc = p->shared != NULL ? main_follow(p, err) : main_open_engine(p, err);
	if (rc == SQ_OK && (p->shared == NULL || !p->end))
		rc = main_serve(p, err);
	if (rc != SQ_OK)
		return rc;
	sq_notify_set(p->notify, SQ_NOTIFY_READY);
	while (!p->end)
		main_turn(p);
	sq_notify_set(p->notify, SQ_NOTIFY_STOPPING);
	if (p->broker != NULL)
		main_drain(p);
	return SQ_OK;
}

static bool
main_ending(void *owner)
{
	const struct sq_main *p = owner;

	return p->end;
}

/* While a snapshot is read. */
static void
main_working(void *owner)
{
	main_tell(owner);
}

static int
main_shared(struct sq_main *p, bool forget, struct sq_buf *err)
{
	const struct sq_main_shared_cfg cfg = {.config = p->config,
	    .forget = forget,
	    .wake = main_wake,
	    .working = main_working,
	    .ending = main_ending,
	    .owner = p};

	if (p->config->log.kind == SQ_BROKER_LOG_LOCAL)
		return SQ_OK;
	p->shared = sq_main_shared_new(&cfg, err);
	return p->shared != NULL ? SQ_OK : SQ_EINVAL;
}

int
sq_main_run(const struct sq_program *self, struct sq_broker_config *c, struct sq_config_live *live,
    bool forget)
{
	struct sq_main main = {.config = c, .live = live}, *p = &main;
	struct sq_buf err = {0};
	int code = 0;

	sq_memory_start();
	p->notify = sq_notify_open("broker");
	sq_reload_init(&p->reload, "broker", sq_broker_config_keys, sq_broker_config_n,
	    &sq_broker_metrics, SQ_M_RELOAD_GOOD);
	main_signals(p);
	sq_program_raise_files(); /* every connection is one */
	sq_main_memory(c);
	if (main_shared(p, forget, &err) != SQ_OK)
		code = sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	else if (main_run(p, &err) != SQ_OK)
		code = sq_program_fail(self, SQ_EXIT_FAILED, &err);
	main_stop(p);
	if (code == 0)
		SQ_INFO("broker", "ended");
	sq_stop_done(&p->stop);
	sq_notify_close(&p->notify);
	return code;
}
