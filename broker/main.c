/* sqmqos-broker: reads the configuration, starts front and broker, and waits for signals
 * (core/stop.h).  The main thread serves nothing itself. */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "broker/auth/acl/acl.h"
#include "broker/broker.h"
#include "broker/config/aside.h"
#include "broker/config/auth.h"
#include "broker/config/check.h"
#include "broker/config/config.h"
#include "broker/config/explain.h"
#include "broker/config/fit.h"
#include "broker/config/live.h"
#include "broker/config/usage.h"
#include "broker/config/who.h"
#include "broker/engine/embedded/check.h"
#include "broker/engine/engine.h"
#include "broker/engine/engines/engines.h"
#include "broker/front/access/pages.h"
#include "broker/front/console/pages.h"
#include "broker/deed/gate.h"
#include "broker/front/deeds/pages.h"
#include "broker/front/door/door.h"
#include "broker/front/http/front.h"
#include "broker/front/link/front.h"
#include "broker/front/link/view.h"
#include "broker/front/tap/tap.h"
#include "broker/front/view/pages.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "core/notify.h"
#include "core/program.h"
#include "core/reload.h"
#include "core/stop.h"
#include "store/journal/log_file.h"
#include "telemetry/exporter.h"
#include "web/admin.h"
#include "web/crew.h"
#include "web/probe.h"
#include "web/slot.h"
#include "web/worker.h"

enum {
	FRONTS = 2,
	PAGES = 3,      /* folders whose pages at the admin endpoint are for who may */
	LIVE_MS = 5000, /* a loop that has not turned for so long is stuck */
	DRAIN_POLL_MS = 20,
	LOOK_MS = 250,             /* between two looks at the configuration's file */
	HTTP_BODY_MORE = 64 << 10, /* bytes of a body above those of a packet */
	SPANS = 2048,              /* of each worker, that wait for the exporter */
};

/* The program's slot on a worker, which ticks parts without sockets. */
struct ticker {
	struct sq_crew_slot slot;
	const struct program *program;
};

struct program {
	struct sq_broker_config config;
	struct sq_config_live live;
	struct sq_reload reload;
	struct sq_crew *crew;
	struct ticker *tickers; /* one per worker, once the broker is there */
	struct sq_auth *auth;
	struct sq_broker *broker;
	struct sq_front *fronts[FRONTS];
	struct {
		struct sq_service *link, *http; /* http is NULL where it is off */
	} services;                             /* of the fronts, whose they are */
	struct sq_admin *admin;
	struct sq_exporter *exporter; /* of spans; NULL: none */
	const struct sq_admin_pages
	    *admin_pages[PAGES + 2]; /* with the console's; NULL behind the last */
	struct sq_callers *callers;
	struct sq_pages *pages[PAGES];
	_Atomic bool ticking, listening, draining;
	struct sq_stop *stop;
	struct sq_notify *notify; /* the main thread's */
	sem_t told;               /* of one of these */
	_Atomic bool end, move, again;
};

/* Problems that leave the program in service, and need attention. */
static void
program_notes(struct program *p, struct sq_buf *why)
{
	int64_t bad = sq_metric_get(&sq_broker_metrics, SQ_M_AUTH_BAD_FILES);

	if (bad > 0)
		sq_buf_printf(why,
		    "auth: %lld file%s; the last good content stays, the log says why\n",
		    (long long)bad,
		    bad > 1 ? "s can't be taken as they are" : " can't be taken as it is");
	if (sq_metric_get(&sq_broker_metrics, SQ_M_CLIENT_CRL_ENDS) < 0)
		sq_buf_printf(why, "auth.client-crl-file: a list has ended\n");
	if (sq_metric_get(&sq_broker_metrics, SQ_M_ACL_STALE) > 0)
		sq_buf_printf(why,
		    "configuration: the file can't be taken as it is; what was read last "
		    "stays, rules of acl too, the log says why\n");
	sq_reload_say(&p->reload, why);
}

static bool
program_ready(void *owner, struct sq_buf *why)
{
	struct program *p = owner;
	bool ready;

	if (!p->listening)
		sq_buf_printf(why, "not listening yet\n");
	if (p->draining)
		sq_buf_printf(why, "draining\n");
	program_notes(p, why);
	ready = sq_auth_ready(p->auth, why) && p->listening;
	return ready && sq_broker_healthy(p->broker, why) && !p->draining;
}

static void
program_more_metrics(void *owner, struct sq_buf *out)
{
	const struct program *p = owner;

	if (p->listening)
		sq_broker_write_queues(p->broker, out);
	if (p->services.http != NULL)
		sq_http_front_metrics(p->services.http, out);
}

static bool
program_live(void *owner, struct sq_buf *why)
{
	const struct program *p = owner;

	return sq_crew_live(p->crew, LIVE_MS, why);
}

static struct sq_service *
program_link(const struct program *p)
{
	const struct sq_broker_config *c = &p->config;

	return sq_link_front_open(&(struct sq_link_front_cfg){
	    .bundle_file = c->tls ? c->tls_bundle : NULL,
	    .crew = p->crew,
	    .max_packet = (uint32_t)c->max_packet,
	    .max_inflight = (uint32_t)c->max_inflight,
	    .stall_ms = c->link_stall_ms,
	    .metrics = &sq_broker_metrics,
	});
}

static struct sq_service *
program_http(const struct program *p)
{
	const struct sq_broker_config *c = &p->config;
	const size_t auto_body = (size_t)c->max_packet + HTTP_BODY_MORE;

	if (!c->http)
		return NULL;
	return sq_http_front_open(&(struct sq_http_front_cfg){
	    .max_body = c->http_max_body > 0 ? (size_t)c->http_max_body : auto_body,
	    .max_packet = (uint32_t)c->max_packet,
	    .idle_ms = c->http_idle_ms,
	    .max_requests = (unsigned)c->http_max_requests,
	    .max_identity = (unsigned)c->http_max_identity,
	    .rate = c->http_rate,
	    .events_topic = c->http_events_topic,
	    .limits = sq_limits_own(&c->limits),
	    .origins = (const char *const *)c->http_origins.v,
	    .n_origins = c->http_origins.n,
	    .metrics = &sq_broker_metrics,
	});
}

/* A door without services yet. */
static struct sq_door_cfg
program_door(const struct program *p, const char *key, const char *listen)
{
	const struct sq_broker_config *c = &p->config;

	return (struct sq_door_cfg){
	    .listen = listen,
	    .key = key,
	    .cert_file = c->tls ? c->tls_cert : NULL,
	    .key_file = c->tls_key,
	    .auth = p->auth,
	    .crew = p->crew,
	    .idle_ms = c->link_idle_ms,
	    .read_ms = c->http_read_ms,
	    .write_ms = c->http_write_ms,
	    .max_age_ms = c->link_max_age_ms,
	    .move_ms = c->drain_ms > 0 ? c->drain_ms : 1,
	    .max_connections = (unsigned)c->max_connections,
	    .strangers_per_address = (unsigned)c->strangers_per_address,
	    .unauthenticated_body = (size_t)c->unauthenticated_body,
	    .unauthenticated_total = (size_t)c->unauthenticated_total,
	    .metrics = &sq_broker_metrics,
	};
}

/* The doors: that of listen.address, which is named in the log, and one of the API alone if it has an
 * address of its own.  False with a line in 'err'. */
static bool
program_open_fronts(struct program *p, struct sq_buf *err)
{
	const struct sq_broker_config *c = &p->config;
	struct sq_door_cfg first = program_door(p, "listen.address", c->listen), second;
	bool apart = c->http && sq_config_is_set(c->http_listen);

	first.services[0] = p->services.link = program_link(p);
	if (!apart)
		first.services[1] = p->services.http = program_http(p);
	p->fronts[0] = sq_door_open(&first, err);
	if (p->fronts[0] == NULL || !apart)
		return p->fronts[0] != NULL;
	second = program_door(p, "http.listen", c->http_listen);
	second.services[0] = p->services.http = program_http(p);
	p->fronts[1] = sq_door_open(&second, err);
	return p->fronts[1] != NULL;
}

/* Has each front do that; those that were opened, when not all could be. */
static void
program_each_front(const struct program *p, void (*what)(struct sq_front *))
{
	for (unsigned i = 0; i < FRONTS && p->fronts[i] != NULL; i++)
		what(p->fronts[i]);
}

static bool
program_fronts_idle(const struct program *p)
{
	for (unsigned i = 0; i < FRONTS && p->fronts[i] != NULL; i++)
		if (!sq_front_idle(p->fronts[i]))
			return false;
	return true;
}

/* Every connection is a descriptor. */
static void
program_raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
ticker_tick(struct sq_crew_slot *s, uint64_t now_ms)
{
	struct ticker *t = SQ_CONTAINER_OF(s, struct ticker, slot);

	if (!t->program->ticking)
		return;
	sq_memory_tick(now_ms);
	if (sq_worker_index(s->worker) == 0)
		sq_memory_metrics(&sq_broker_metrics, SQ_M_MEMORY_BYTES);
	sq_broker_tick(t->program->broker, s->worker);
}

/* The first tick sets the figures before the first link comes. */
static void
program_tick_start(struct program *p)
{
	static const struct sq_crew_slot_user user = {.tick = ticker_tick};

	p->ticking = true;
	p->tickers = sq_xcalloc(sq_crew_size(p->crew), sizeof *p->tickers);
	for (unsigned i = 0; i < sq_crew_size(p->crew); i++) {
		p->tickers[i].program = p;
		sq_crew_slot_open(&p->tickers[i].slot, sq_crew_workers(p->crew)[i], &user, NULL);
	}
}

static struct sq_pages *
program_deed_pages(struct sq_callers *callers)
{
	static struct sq_deed_gate redrives;

	sq_deed_gate_init(&redrives);
	return sq_deed_pages_new(callers, &redrives);
}

static struct sq_pages *(*const program_pages[PAGES])(struct sq_callers *) = {
    sq_view_pages_new, sq_tap_pages_new, program_deed_pages};

/* The admin endpoint with what answers there; false with a line in 'err'. */
static bool
program_start_admin(struct program *p, struct sq_buf *err)
{
	const struct sq_admin_cfg cfg = {.listen = p->config.admin_listen,
	    .metrics = &sq_broker_metrics,
	    .more = program_more_metrics,
	    .ready = program_ready,
	    .live = program_live,
	    .pages = p->admin_pages,
	    .owner = p};
	unsigned n = 0;

	p->callers = sq_callers_new(p->auth, &sq_broker_metrics);
	for (; n < PAGES; n++) {
		p->pages[n] = program_pages[n](p->callers);
		p->admin_pages[n] = &p->pages[n]->admin;
	}
	if (p->config.console)
		p->admin_pages[n] = &sq_console_pages;
	p->admin = sq_admin_start(&cfg, err);
	return p->admin != NULL;
}

static struct sq_exporter_cfg
program_exporter(const struct sq_broker_config *c)
{
	return (struct sq_exporter_cfg){.endpoint = c->trace_endpoint,
	    .headers_file = c->trace_headers_file,
	    .ca_file = c->trace_ca,
	    .service = "sqmqos-broker",
	    .per_thread = SPANS,
	    .metrics = &sq_broker_metrics,
	    .first_metric = SQ_M_SPANS_EXPORTED};
}

/* The broker with its state; false with a line in 'err'. */
static bool
program_open_broker(struct program *p, struct sq_broker_cfg *cfg, struct sq_buf *err)
{
	const struct sq_engine_cfg with = {
	    .metrics = &sq_broker_metrics, .n_workers = sq_crew_size(p->crew)};
	struct sq_engine *engine = sq_broker_open_engine(cfg, &with, err);
	int rc;

	if (engine == NULL) {
		sq_acl_unref(&cfg->acl);
		return false;
	}
	p->broker = sq_broker_new(
	    cfg, engine, sq_crew_workers(p->crew), sq_crew_size(p->crew), &sq_broker_metrics);
	sq_crew_hold(p->crew);
	rc = sq_broker_load(p->broker, err);
	sq_crew_go(p->crew);
	return rc == SQ_OK;
}

/* Brings everything up; on error a line in 'err'. */
static int
program_start(struct program *p, struct sq_buf *err)
{
	const struct sq_broker_config *c = &p->config;
	struct sq_broker_cfg broker = sq_broker_config_cfg(c);
	struct sq_exporter_cfg exporter = program_exporter(c);
	struct sq_buf why = {0};

	sq_broker_config_fit(&broker);
	if (sq_exporter_start(&p->exporter, &exporter, err) != SQ_OK)
		return SQ_EIO;
	broker.engine = sq_engines[c->engine];
	broker.log = &sq_log_file;
	p->auth = sq_broker_config_auth(c, true, err);
	if (p->auth == NULL)
		return SQ_EINVAL;
	p->crew = sq_crew_new((unsigned)c->workers);
	if (!program_open_fronts(p, err))
		return SQ_EIO;
	if (sq_config_is_set(c->admin_listen) && !program_start_admin(p, err))
		return SQ_EIO;
	broker.acl = sq_broker_config_acl(c, err);
	if (broker.acl == NULL)
		return SQ_EINVAL;
	if (!program_open_broker(p, &broker, &why)) {
		sq_buf_printf(
		    err, "store.dir: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
		return SQ_EIO;
	}
	sq_auth_start(p->auth); /* keys are kept in the store's directory, which is locked now */
	program_tick_start(p);
	sq_link_front_view(p->services.link, sq_broker_view(p->broker));
	for (unsigned i = 0; i < FRONTS && p->fronts[i] != NULL; i++)
		sq_front_serve(p->fronts[i], p->broker);
	p->listening = true;
	if (p->callers != NULL)
		sq_callers_serve(p->callers, p->broker);
	SQ_INFO("broker", "version %s serves %s (port %u, %s), %u workers", SQ_VERSION, c->listen,
	    sq_front_port(p->fronts[0]), c->tls ? "TLS" : "clear text", (unsigned)c->workers);
	if (p->fronts[1] != NULL)
		SQ_INFO("broker", "the HTTP API is at %s (port %u)", c->http_listen,
		    sq_front_port(p->fronts[1]));
	sq_broker_config_say_who(c);
	if (sq_broker_config_open(c) && c->insecure)
		SQ_WARN("broker",
		    "auth.insecure: whoever reaches %s may read and publish everything", c->listen);
	if (!sq_engines[c->engine]->durable)
		SQ_INFO("broker", "engine %s: sessions and messages do not survive a restart",
		    sq_engines[c->engine]->name);
	return SQ_OK;
}

/* Links end, then sessions, then the threads that both work on; what these worked on is freed
 * while nothing turns. */
static void
program_stop(struct program *p)
{
	if (p->auth != NULL)
		sq_auth_stop(p->auth);
	sq_admin_stop(&p->admin); /* waits for pages, and these for credentials */
	for (unsigned i = 0; i < PAGES; i++)
		sq_pages_free(&p->pages[i]);
	sq_callers_free(&p->callers);
	p->ticking = false; /* one that runs ends before the fronts' stop does */
	program_each_front(p, sq_front_stop);
	if (p->broker != NULL)
		sq_broker_stop(p->broker);
	if (p->crew != NULL)
		sq_crew_stop(p->crew);
	sq_broker_free(&p->broker);
	sq_crew_free(&p->crew);
	free(p->tickers);
	for (unsigned i = 0; i < FRONTS; i++)
		sq_front_free(&p->fronts[i]);
	sq_auth_free(&p->auth);
	sq_exporter_stop(&p->exporter);
	sq_reload_fini(&p->reload);
}

/* On the thread of the signals. */
static void
program_told(void *owner, int sig)
{
	struct program *p = owner;

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
program_signals(struct program *p)
{
	signal(SIGPIPE, SIG_IGN);
	sem_init(&p->told, 0, 0);
	p->stop = sq_stop_start(&(struct sq_stop_cfg){.scope = "broker",
	    .within_ms = p->config.drain_ms + SQ_STOP_MS,
	    .also = {SIGUSR1, SIGHUP},
	    .told = program_told,
	    .owner = p});
}

/* Tells the service manager what /readyz says, and that the workers turn.  Asks also where nobody wants
 * to know: then log and metrics have what the engine finds out. */
static void
program_tell(struct program *p)
{
	struct sq_buf why = {0}, stuck = {0};
	bool ready = program_ready(p, &why);

	if (sq_notify_wanted(p->notify)) {
		if (ready && sq_buf_len(&why) == 0)
			sq_buf_printf(&why, "serves %s", p->config.listen);
		sq_buf_u8(&why, '\0');
		sq_notify_status(p->notify, (const char *)sq_buf_data(&why));
		sq_notify_tick(p->notify, sq_clock_ms(), program_live(p, &stuck));
	}
	sq_buf_fini(&why);
	sq_buf_fini(&stuck);
}

/* Serves until the queues are empty or the time is over. */
static void
program_drain(struct program *p)
{
	const struct timespec poll = {0, DRAIN_POLL_MS * 1000000L};
	uint64_t until = sq_clock_ms() + p->config.drain_ms;

	SQ_INFO("broker", "draining for at most %llu ms", (unsigned long long)p->config.drain_ms);
	p->draining = true;
	sq_notify_set(p->notify, SQ_NOTIFY_STOPPING);
	sq_broker_drain(p->broker);
	program_each_front(p, sq_front_drain);
	while (!program_fronts_idle(p) || !sq_broker_drained(p->broker)) {
		if (sq_clock_ms() >= until) {
			SQ_INFO("broker", "drain-timeout is over");
			break;
		}
		program_tell(p);
		nanosleep(&poll, NULL);
	}
}

static const char *
program_source(const struct program *p)
{
	return p->live.file != NULL ? p->live.file : "the configuration";
}

/* Puts in force what is live of a configuration that was read again. */
static void
program_take(struct program *p, const struct sq_broker_config *now, struct sq_acl *acl)
{
	struct sq_broker_cfg cfg = sq_broker_config_cfg(now);
	size_t n = sq_acl_rules(acl);

	sq_broker_config_fit(&cfg);
	sq_log_set_level((enum sq_log_level)now->log_level);
	sq_broker_set_limits(p->broker, &cfg);
	sq_broker_config_set_limits(&p->config, now);
	sq_broker_set_acl(p->broker, acl); /* before the log says so */
	SQ_INFO("broker", "%s was read again: %zu rule%s of acl in force", program_source(p), n,
	    n == 1 ? "" : "s");
	sq_reload_good(&p->reload, program_source(p), &p->config, now);
}

/* Takes up changes of the configuration that count while the broker runs; 'asked': of what there is,
 * changed or not. */
static void
program_look(struct program *p, bool asked)
{
	struct sq_broker_config now = {0};
	struct sq_acl *acl = NULL;
	struct sq_buf err = {0};
	int rc;

	if (asked)
		sq_notify_set(p->notify, SQ_NOTIFY_RELOADING);
	rc = sq_config_live_look(&p->live, asked, &now, &err);
	if (rc == SQ_OK)
		acl = sq_broker_config_acl(&now, &err);
	if (rc != SQ_EAGAIN)
		sq_metric_set(&sq_broker_metrics, SQ_M_ACL_STALE, acl == NULL);
	if (acl != NULL)
		program_take(p, &now, acl);
	else if (rc != SQ_EAGAIN)
		sq_reload_bad(&p->reload, "the rules of acl and all else stay", &err);
	sq_broker_config_free(&now);
	sq_buf_fini(&err);
}

/* Until the program is told something, or it is time for a look. */
static void
program_wait(struct program *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (sem_timedwait(&p->told, &until) != 0 && errno == EINTR)
		continue;
}

static void
program_run(struct program *p)
{
	sq_notify_set(p->notify, SQ_NOTIFY_READY);
	while (!p->end) {
		program_tell(p);
		program_wait(p);
		program_look(p, atomic_exchange(&p->again, false));
		sq_notify_set(p->notify, SQ_NOTIFY_READY);
		if (atomic_exchange(&p->move, false)) {
			SQ_INFO("broker", "every link is asked to move");
			program_each_front(p, sq_front_move);
		}
	}
	program_drain(p);
}

/* From a checked configuration to the end. */
static int
program_main(const struct sq_program *self, struct program *p)
{
	struct sq_buf err = {0};
	int code = 0;

	sq_memory_start();
	p->notify = sq_notify_open("broker");
	sq_reload_init(&p->reload, "broker", sq_broker_config_keys, sq_broker_config_n,
	    &sq_broker_metrics, SQ_M_RELOAD_GOOD);
	program_signals(p);
	program_raise_limits();
	sq_memory_limit_set(
	    p->config.memory != 0 ? p->config.memory : sq_memory_share(sq_memory_room(""), 3));
	if (program_start(p, &err) == SQ_OK)
		program_run(p);
	else
		code = sq_program_fail(self, SQ_EXIT_FAILED, &err);
	program_stop(p);
	if (code == 0)
		SQ_INFO("broker", "ended");
	sq_stop_done(&p->stop);
	sq_notify_close(&p->notify);
	return code;
}

/* Blocks signals until the program listens for them; an unblocked SIGUSR1 or SIGHUP would end it. */
static void
program_hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* What the command line asks for instead of serving. */
struct asked {
	struct sq_explain explain;
	const char *backup;
	bool check_only, check_store;
};

/* With the configuration read. */
static int
main_with(const struct sq_program *self, struct program *p, const struct asked *asked)
{
	struct sq_buf notes = {0}, err = {0};
	struct sq_exporter_cfg exporter = program_exporter(&p->config);
	int code;

	sq_dumps_set(p->config.core_dumps);
	if (asked->explain.identity != NULL) {
		code = sq_explain_run(&asked->explain, &p->config, stdout, &err);
		return code == SQ_EXIT_CONFIG ? sq_program_fail(self, code, &err) : code;
	}
	sq_log_set_level((enum sq_log_level)p->config.log_level);
	if (!asked->check_only)
		sq_log_set_format((enum sq_log_format)p->config.log_format);
	if (asked->check_store)
		return sq_store_check(p->config.store_dir, stdout);
	if (asked->backup != NULL)
		return sq_aside_backup(self, &p->config, asked->backup);
	sq_broker_config_check(&p->config, &notes, &err);
	sq_exporter_check(&exporter, &err);
	code = sq_program_checked(self, asked->check_only, &notes, &err);
	return code >= 0 ? code : program_main(self, p);
}

int
main(int argc, char **argv, char **envp)
{
	const struct sq_program self = {
	    "sqmqos-broker", sq_broker_usage, sq_broker_config_keys, sq_broker_config_n};
	struct program p = {0};
	struct asked asked;
	struct sq_buf err = {0};
	int code;

	if (sq_program_help(&self, argc, argv))
		return 0;
	if (argc > 1 && strcmp(argv[1], "--probe") == 0)
		return sq_probe_main(self.name, argc, argv);
	if (argc > 1 && strcmp(argv[1], "--new-token") == 0)
		return sq_aside_new_token(&self, argc, argv);
	program_hold_signals();
	asked.check_only = sq_program_check_only(&argc, argv);
	asked.check_store = sq_program_flag(&argc, argv, "--check-store");
	if (sq_program_value(&argc, argv, "--backup", &asked.backup, &err) != SQ_OK ||
	    sq_explain_take(&argc, argv, &asked.explain, &err) != SQ_OK)
		return sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	sq_config_live_init(&p.live, argc, argv, envp);
	code = sq_broker_config_load(&p.config, argc, argv, envp, &err) == SQ_OK
	    ? main_with(&self, &p, &asked)
	    : sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	sq_broker_config_free(&p.config);
	return code;
}
