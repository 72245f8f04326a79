/* sqmqos-sidecar: reads the configuration, opens the local sockets, starts the pool, and runs the
 * loop until a signal ends it. */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "core/notify.h"
#include "core/program.h"
#include "core/reload.h"
#include "core/stop.h"
#include "proto/annotations/table.h"
#include "proto/link/frame.h"
#include "sidecar/config/config.h"
#include "sidecar/config_check.h"
#include "sidecar/metrics/metrics.h"
#include "sidecar/app.h"
#include "sidecar/seccomp/seccomp.h"
#include "sidecar/status.h"
#include "telemetry/exporter.h"
#include "web/admin.h"
#include "web/probe.h"

/* Between two looks at what the service manager is to know. */
#define TELL_S 0.5

enum { SPANS = 512 }; /* that wait for the exporter */

struct program {
	struct sq_sidecar_cfg config;
	struct ev_loop *loop;
	struct sq_app *app;
	struct sq_status *status;
	struct sq_exporter *exporter; /* of spans; NULL: none */
	struct sq_admin *admin;
	struct sq_stop *stop;
	int argc;
	char **argv, **envp;
	struct sq_reload reload;
	ev_async told;  /* to stop */
	ev_async again; /* to read the configuration */
	struct sq_notify *notify;
	ev_timer deadline, poll, tell;
};

static const char usage[] =
    "usage: sqmqos-sidecar [--config FILE] [--KEY VALUE]...\n"
    "\n"
    "Plain MQTT on localhost for the apps of a pod, HTTP/2 to the brokers.  Keys come\n"
    "from the YAML file that --config or SQMQOS_CONFIG names, from the environment\n"
    "(SQMQOS_TLS_CA_FILE), and from flags (--tls.ca-file); later wins.\n"
    "\n"
    "  --help           this text\n"
    "  --help-markdown  the table of keys for the documentation\n"
    "  --help-annotations\n"
    "                   the table of a pod's annotations for the documentation\n"
    "  --version        the version\n"
    "  --check-config   read the configuration, check all that it needs (files,\n"
    "                   addresses, annotations), say so, then exit\n"
    "  --probe HOST:PORT\n"
    "                   print what /readyz of the admin endpoint there says, then exit: 0 ready,\n"
    "                   1 not; for health checks where there is no other program to ask\n"
    "\n"
    "Signals: SIGTERM and SIGINT tell the clients, send what they have published (at\n"
    "most shutdown.timeout) and end, whatever the disk does within 5 s more; a second\n"
    "one ends at once.  SIGHUP reads the configuration again: keys that are live count\n"
    "at once, others are named and wait for a restart.\n"
    "Exit code: 0 ended by a signal, 1 can't serve, 2 bad configuration, 3 ended at once\n"
    "by a second signal or because the disk did not let it end; nothing acknowledged is\n"
    "lost.\n"
    "\n";

/* As many descriptors as the hard limit gives: clients, links, and some more. */
static void
program_descriptors(const struct program *p)
{
	struct rlimit rl;
	rlim_t want = p->config.max_clients + 256;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= want)
		return;
	rl.rlim_cur = want < rl.rlim_max ? want : rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur < want)
		SQ_INFO("sidecar", "the limit of %llu descriptors is below limits.clients",
		    (unsigned long long)rl.rlim_cur);
}

/* Links that carry nothing live by the heartbeats, which may come a little late. */
static void
program_silence(const struct program *p)
{
	enum { LEAST_MS = SQ_HEARTBEAT_MS + 1000 };

	if (p->config.silence_ms < LEAST_MS)
		SQ_WARN("sidecar",
		    "pool.silence is %llu ms, and brokers send heartbeats every %d ms: idle links "
		    "will be dropped again and again; it should be at least %d ms",
		    (unsigned long long)p->config.silence_ms, SQ_HEARTBEAT_MS, LEAST_MS);
}

static void
program_on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	SQ_WARN("sidecar", "not everything could be sent before shutdown.timeout");
	ev_break(loop, EVBREAK_ALL);
}

static void
program_on_poll(struct ev_loop *loop, ev_timer *w, int events)
{
	struct program *p = w->data;

	(void)events;
	if (sq_app_idle(p->app))
		ev_break(loop, EVBREAK_ALL);
}

static void
program_on_told(struct ev_loop *loop, ev_async *w, int events)
{
	struct program *p = w->data;

	(void)events;
	SQ_INFO("sidecar", "stopping");
	sq_notify_set(p->notify, SQ_NOTIFY_STOPPING);
	sq_app_stop(p->app);
	ev_timer_init(
	    &p->deadline, program_on_deadline, (double)p->config.shutdown_ms / 1000.0, 0.0);
	ev_timer_start(loop, &p->deadline);
	ev_timer_init(&p->poll, program_on_poll, 0.0, 0.01);
	p->poll.data = p;
	ev_timer_start(loop, &p->poll);
}

/* Tells the service manager what /readyz says, and, by being called, that the loop turns. */
static void
program_on_tell(struct ev_loop *loop, ev_timer *w, int events)
{
	struct program *p = w->data;
	struct sq_buf why = {0};

	(void)loop;
	(void)events;
	if (sq_status_ready(p->status, &why) && sq_buf_len(&why) == 0)
		sq_buf_printf(&why, "serves clients, linked to brokers");
	sq_buf_u8(&why, '\0');
	sq_notify_status(p->notify, (const char *)sq_buf_data(&why));
	sq_notify_tick(p->notify, sq_clock_ms(), true);
	sq_buf_fini(&why);
}

/* The local port is open: apps need wait for no broker. */
static void
program_say_ready(struct program *p)
{
	sq_notify_set(p->notify, SQ_NOTIFY_READY);
	if (!sq_notify_wanted(p->notify))
		return;
	ev_timer_init(&p->tell, program_on_tell, 0.0, TELL_S);
	p->tell.data = p;
	ev_timer_start(p->loop, &p->tell);
}

/* Takes up what the configuration says now, as far as it is live. */
static void
program_on_again(struct ev_loop *loop, ev_async *w, int events)
{
	struct program *p = w->data;
	struct sq_sidecar_cfg now = {0};
	const char *file = sq_config_file(p->argc, p->argv, p->envp);
	const char *source = file != NULL ? file : "the configuration";
	struct sq_buf err = {0};

	(void)loop;
	(void)events;
	if (ev_is_active(&p->poll)) /* it stops */
		return;
	sq_notify_set(p->notify, SQ_NOTIFY_RELOADING);
	if (sq_sidecar_config(&now, p->argc, p->argv, p->envp, &err) == 0) {
		sq_log_set_level((enum sq_log_level)now.log_level);
		SQ_INFO("sidecar", "%s was read again", source);
		sq_reload_good(&p->reload, source, &p->config, &now);
	} else {
		sq_reload_bad(&p->reload, "all stays", &err);
	}
	sq_notify_set(p->notify, SQ_NOTIFY_READY);
	sq_sidecar_config_free(&now);
	sq_buf_fini(&err);
}

/* On the thread of the signals. */
static void
program_told(void *owner, int sig)
{
	struct program *p = owner;

	ev_async_send(p->loop, sig == SIGHUP ? &p->again : &p->told);
}

static void
program_signals(struct program *p)
{
	ev_async_init(&p->told, program_on_told);
	p->told.data = p;
	ev_async_start(p->loop, &p->told);
	ev_async_init(&p->again, program_on_again);
	p->again.data = p;
	ev_async_start(p->loop, &p->again);
	sq_reload_init(&p->reload, "sidecar", sq_sidecar_keys, sq_sidecar_keys_n,
	    &sq_sidecar_metrics, SQ_M_RELOAD_GOOD);
	signal(SIGPIPE, SIG_IGN);
	p->stop = sq_stop_start(&(struct sq_stop_cfg){.scope = "sidecar",
	    .within_ms = p->config.shutdown_ms + SQ_STOP_MS,
	    .also = {SIGHUP},
	    .told = program_told,
	    .owner = p});
}

/* Without it the sidecar serves as well: an older kernel, or a container's own filter that allows
 * no other. */
static void
program_filter(const struct program *p)
{
	struct sq_buf why = {0};

	if (p->config.seccomp && sq_seccomp_start(&why) != SQ_OK)
		SQ_INFO("sidecar", "security.seccomp: no filter: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

static struct sq_exporter_cfg
program_exporter(const struct sq_sidecar_cfg *cfg)
{
	return (struct sq_exporter_cfg){.endpoint = cfg->trace_endpoint,
	    .headers_file = cfg->trace_headers_file,
	    .ca_file = cfg->trace_ca,
	    .service = cfg->workload,
	    .pod = cfg->pod,
	    .node = cfg->node,
	    .per_thread = SPANS,
	    .metrics = &sq_sidecar_metrics,
	    .first_metric = SQ_M_SPANS_EXPORTED};
}

/* Everything up to the loop; 0, or an exit code with a line in 'err'. */
static int
program_start(struct program *p, struct sq_buf *err)
{
	const struct sq_sidecar_cfg *cfg = &p->config;
	struct sq_exporter_cfg exporter;

	program_descriptors(p);
	program_silence(p);
	exporter = program_exporter(cfg);
	if (sq_exporter_start(&p->exporter, &exporter, err) != SQ_OK)
		return SQ_EXIT_FAILED;
	p->app = sq_app_new(p->loop, cfg, err);
	if (p->app == NULL)
		return SQ_EXIT_FAILED;
	sq_app_declare(p->app);
	if (!sq_app_start(p->app, err))
		return SQ_EXIT_FAILED;
	p->status = sq_status_new(p->app, &p->reload);
	if (cfg->admin_listen != NULL && cfg->admin_listen[0] != '\0') {
		p->admin = sq_status_serve(p->status, cfg->admin_listen, err);
		if (p->admin == NULL)
			return SQ_EXIT_FAILED;
	}
	SQ_INFO("sidecar", "listening on port %llu, space %s, workload %s, pod %s%s%s",
	    (unsigned long long)cfg->listen_port, cfg->space, cfg->workload, cfg->pod,
	    cfg->node != NULL ? ", node " : "", cfg->node != NULL ? cfg->node : "");
	return 0;
}

/* True when the table of annotations was all that was asked. */
static bool
program_help_annotations(int *argc, char **argv)
{
	struct sq_buf text = {0};

	if (!sq_program_flag(argc, argv, "--help-annotations"))
		return false;
	sq_annotations_markdown(&text);
	(void)fwrite(sq_buf_data(&text), 1, sq_buf_len(&text), stdout);
	sq_buf_fini(&text);
	return true;
}

int
main(int argc, char **argv, char **envp)
{
	const struct sq_program self = {
	    "sqmqos-sidecar", usage, sq_sidecar_keys, sq_sidecar_keys_n};
	struct program p = {.argc = argc, .argv = argv, .envp = envp};
	struct sq_buf notes = {0}, err = {0};
	struct sq_exporter_cfg exporter;
	bool check_only;
	int rc;

	if (sq_program_help(&self, argc, argv) || program_help_annotations(&argc, argv))
		return 0;
	if (argc > 1 && strcmp(argv[1], "--probe") == 0)
		return sq_probe_main(self.name, argc, argv);
	check_only = sq_program_check_only(&argc, argv);
	p.argc = argc;
	if (sq_sidecar_config(&p.config, argc, argv, envp, &err) != 0) {
		sq_sidecar_config_free(&p.config);
		return sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	}
	sq_dumps_set(p.config.core_dumps);
	if (!check_only)
		sq_log_set_format((enum sq_log_format)p.config.log_format);
	sq_sidecar_config_check(&p.config, check_only, &notes, &err);
	exporter = program_exporter(&p.config);
	sq_exporter_check(&exporter, &err);
	rc = sq_program_checked(&self, check_only, &notes, &err);
	if (rc >= 0) {
		sq_sidecar_config_free(&p.config);
		return rc;
	}
	sq_log_set_level((enum sq_log_level)p.config.log_level);
	sq_memory_start();
	sq_memory_one_arena();
	p.notify = sq_notify_open("sidecar");
	sq_memory_limit_set(
	    p.config.memory != 0 ? p.config.memory : sq_memory_share(sq_memory_room(""), 2));
	p.loop = ev_default_loop(EVFLAG_AUTO);
	program_signals(&p);
	rc = program_start(&p, &err);
	if (rc == 0) {
		program_filter(&p);
		program_say_ready(&p);
		ev_run(p.loop, 0);
	}
	sq_admin_stop(&p.admin);
	sq_status_free(&p.status);
	sq_app_free(&p.app);
	sq_exporter_stop(&p.exporter);
	sq_sidecar_config_free(&p.config);
	sq_stop_done(&p.stop);
	sq_notify_close(&p.notify);
	sq_reload_fini(&p.reload);
	ev_loop_destroy(p.loop);
	return rc != 0 ? sq_program_fail(&self, rc, &err) : 0;
}
