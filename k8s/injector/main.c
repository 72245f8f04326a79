/* sqmqos-injector: reads the configuration, starts server and keeper, and waits to be
 * told to end (core/stop.h).  The main thread serves nothing itself. */
#include <errno.h>
#include <jansson.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/dumps.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/program.h"
#include "core/reload.h"
#include "core/stop.h"
#include "k8s/injector/config.h"
#include "k8s/injector/config_check.h"
#include "k8s/injector/desk.h"
#include "k8s/injector/keeper.h"
#include "k8s/injector/metrics.h"
#include "k8s/injector/review.h"
#include "k8s/injector/server.h"
#include "web/admin.h"

enum { LIVE_MS = 5000 }; /* a loop that has not turned for so long is stuck */

struct program {
	struct sq_injector_config config;
	struct sq_names names;
	struct sq_state state;
	struct sq_desk *desk;
	struct sq_server *server;
	struct sq_keeper *keeper;
	struct sq_admin *admin;
	struct sq_stop *stop;
	int argc;
	char **argv, **envp;
	struct sq_reload reload;
	_Atomic bool end, ending, again;
	sem_t told; /* to end, or to read the configuration again */
};

static const char usage[] =
    "usage: sqmqos-injector [--config FILE] [--KEY VALUE]...\n"
    "\n"
    "The webhook that gives labelled pods their sidecar, and the keeper of certificates.\n"
    "Keys come from the YAML file that --config or SQMQOS_CONFIG names, from the\n"
    "environment (SQMQOS_SETTINGS_FILE), and from flags (--settings.file); later wins.\n"
    "\n"
    "  --help           this text\n"
    "  --help-markdown  the table of keys for the documentation\n"
    "  --version        the version\n"
    "  --check-config   read the configuration, check all that a start needs (files,\n"
    "                   addresses), say so, then exit\n"
    "\n"
    "Signals: SIGTERM and SIGINT end it: requests still come for shutdown.lame-duck, then\n"
    "those that are running are finished; a second one ends at once.  SIGHUP reads the\n"
    "configuration again: keys that are live count at once, others are named and wait\n"
    "for a restart.\n"
    "Exit code: 0 ended by a signal, 1 can't serve, 2 bad configuration, 3 ended at once.\n"
    "\n";

static bool
program_ready(void *owner, struct sq_buf *why)
{
	struct program *p = owner;

	if (p->ending)
		sq_buf_printf(why, "ending\n");
	sq_reload_say(&p->reload, why);
	return sq_state_ready(&p->state, why) && !p->ending;
}

static bool
program_live(void *owner, struct sq_buf *why)
{
	const struct program *p = owner;

	return sq_server_live(p->server, LIVE_MS, why);
}

static void
program_more_metrics(void *owner, struct sq_buf *out)
{
	(void)owner;
	sq_injector_write_times(out);
}

/* ---- what the keeper hands over ---- */

static void
program_serve(void *owner, SSL_CTX *ctx)
{
	const struct program *p = owner;

	sq_server_use(p->server, ctx);
}

static void
program_trust(void *owner, const struct sq_buf *bundle)
{
	const struct program *p = owner;

	sq_desk_take_bundle(p->desk, bundle);
}

static void
program_settings(void *owner, struct sq_settings *s)
{
	const struct program *p = owner;

	sq_desk_take_settings(p->desk, s);
}

/* ---- start ---- */

/* Names follow from the settings that are there now. */
static int
program_names(struct program *p, struct sq_buf *err)
{
	struct sq_settings s;

	if (sq_keeper_read_settings(p->config.settings_file, &s, err) != SQ_OK)
		return SQ_EINVAL;
	sq_names_make(&p->names, &s, &p->config);
	sq_settings_free(&s);
	return SQ_OK;
}

static int
program_serve_start(struct program *p, struct sq_buf *err)
{
	p->desk = sq_desk_new();
	p->server = sq_server_start(
	    &(struct sq_server_cfg){
		.listen = p->config.listen,
		.max_body = SQ_REVIEW_BODY_MAX,
		.max_connections = (unsigned)p->config.max_connections,
		.max_waiting = p->config.max_waiting,
		.metrics = &sq_injector_metrics,
		.answer = sq_desk_answer,
		.owner = p->desk,
	    },
	    err);
	if (p->server == NULL)
		return SQ_EIO;
	sq_desk_set_server(p->desk, p->server);
	return SQ_OK;
}

static int
program_keep_start(struct program *p, struct sq_buf *err)
{
	p->keeper = sq_keeper_start(
	    &(struct sq_keeper_cfg){
		.config = &p->config,
		.names = &p->names,
		.state = &p->state,
		.serve = program_serve,
		.trust = program_trust,
		.settings = program_settings,
		.owner = p,
	    },
	    err);
	return p->keeper != NULL ? SQ_OK : SQ_EIO;
}

static void
program_refresh(void *owner)
{
	const struct program *p = owner;

	sq_keeper_set_ends(p->keeper);
}

static int
program_admin_start(struct program *p, struct sq_buf *err)
{
	const char *listen = p->config.admin_listen;

	if (listen == NULL || *listen == '\0')
		return SQ_OK;
	p->admin = sq_admin_start(
	    &(struct sq_admin_cfg){
		.listen = listen,
		.metrics = &sq_injector_metrics,
		.refresh = program_refresh,
		.more = program_more_metrics,
		.ready = program_ready,
		.live = program_live,
		.owner = p,
	    },
	    err);
	return p->admin != NULL ? SQ_OK : SQ_EIO;
}

/* Brings everything up; on error a line in 'err'. */
static int
program_start(struct program *p, struct sq_buf *err)
{
	if (program_names(p, err) != SQ_OK || program_serve_start(p, err) != SQ_OK ||
	    program_keep_start(p, err) != SQ_OK || program_admin_start(p, err) != SQ_OK)
		return SQ_EIO;
	SQ_INFO("injector", "version %s serves %s (port %u) for %s", SQ_VERSION, p->config.listen,
	    sq_server_port(p->server), p->names.title);
	return SQ_OK;
}

/* ---- end ---- */

static void
program_stop(struct program *p)
{
	sq_admin_stop(&p->admin);
	sq_keeper_stop(&p->keeper);
	sq_server_free(&p->server);
	sq_desk_free(&p->desk);
	sq_names_free(&p->names);
	sq_injector_config_free(&p->config);
}

/* On the thread of the signals. */
static void
program_told(void *owner, int sig)
{
	struct program *p = owner;

	if (sig == SIGHUP)
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
	p->stop = sq_stop_start(&(struct sq_stop_cfg){.scope = "injector",
	    .within_ms = p->config.lame_ms + p->config.drain_ms + SQ_STOP_MS,
	    .also = {SIGHUP},
	    .told = program_told,
	    .owner = p});
}

/* Takes up what the configuration says now, as far as it is live. */
static void
program_again(struct program *p)
{
	struct sq_injector_config now = {0};
	const char *file = sq_config_file(p->argc, p->argv, p->envp);
	const char *source = file != NULL ? file : "the configuration";
	struct sq_buf err = {0};

	if (sq_injector_config_load(&now, p->argc, p->argv, p->envp, &err) == SQ_OK) {
		sq_log_set_level((enum sq_log_level)now.log_level);
		SQ_INFO("injector", "%s was read again", source);
		sq_reload_good(&p->reload, source, &p->config, &now);
	} else {
		sq_reload_bad(&p->reload, "all stays", &err);
	}
	sq_injector_config_free(&now);
	sq_buf_fini(&err);
}

static void
program_run(struct program *p)
{
	struct timespec lame = {
	    (time_t)(p->config.lame_ms / 1000), (long)(p->config.lame_ms % 1000) * 1000000};

	while (!p->end) {
		while (sem_wait(&p->told) != 0 && errno == EINTR)
			continue;
		if (atomic_exchange(&p->again, false))
			program_again(p);
	}
	SQ_INFO("injector", "ending: requests still come for %llu ms",
	    (unsigned long long)p->config.lame_ms);
	p->ending = true;
	sq_server_part(p->server);
	while (nanosleep(&lame, &lame) != 0 && errno == EINTR)
		continue;
	sq_server_drain(p->server, p->config.drain_ms);
}

/* From a checked configuration to the end. */
static int
program_main(const struct sq_program *self, struct program *p)
{
	struct sq_buf err = {0};
	int code = 0;

	sq_reload_init(&p->reload, "injector", sq_injector_config_keys, sq_injector_config_n,
	    &sq_injector_metrics, SQ_IM_RELOAD_GOOD);
	program_signals(p);
	sq_state_init(&p->state);
	if (program_start(p, &err) == SQ_OK)
		program_run(p);
	else
		code = sq_program_fail(self, SQ_EXIT_FAILED, &err);
	program_stop(p);
	sq_state_fini(&p->state);
	if (code == 0)
		SQ_INFO("injector", "ended");
	sq_stop_done(&p->stop);
	sq_reload_fini(&p->reload);
	return code;
}

int
main(int argc, char **argv, char **envp)
{
	const struct sq_program self = {
	    "sqmqos-injector", usage, sq_injector_config_keys, sq_injector_config_n};
	struct program p = {.argv = argv, .envp = envp};
	struct sq_buf notes = {0}, err = {0};
	bool check_only;
	int code;

	json_set_alloc_funcs(sq_xmalloc, free);
	if (sq_program_help(&self, argc, argv))
		return 0;
	check_only = sq_program_check_only(&argc, argv);
	p.argc = argc;
	if (sq_injector_config_load(&p.config, argc, argv, envp, &err) != SQ_OK) {
		sq_injector_config_free(&p.config);
		return sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	}
	sq_dumps_set(p.config.core_dumps);
	sq_log_set_level((enum sq_log_level)p.config.log_level);
	sq_log_set_format((enum sq_log_format)p.config.log_format);
	sq_injector_config_check(&p.config, &notes, &err);
	code = sq_program_checked(&self, check_only, &notes, &err);
	if (code >= 0) {
		sq_injector_config_free(&p.config);
		return code;
	}
	return program_main(&self, &p);
}
