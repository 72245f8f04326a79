/* sqmqos-broker: reads the command line and the configuration, and does what they ask for, which is
 * mostly to serve (program/program.h). */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "broker/config/aside.h"
#include "broker/config/check.h"
#include "broker/config/lint.h"
#include "broker/config/config.h"
#include "broker/config/explain.h"
#include "broker/config/live.h"
#include "broker/config/push.h"
#include "broker/config/usage.h"
#include "broker/engine/embedded/check.h"
#include "broker/program/program.h"
#include "core/dumps.h"
#include "core/log.h"
#include "core/program.h"
#include "telemetry/exporter.h"
#include "web/probe.h"

/* Blocks signals until the program listens for them; an unblocked SIGUSR1 or SIGHUP would end it. */
static void
main_hold_signals(void)
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
	bool check_only, check_store, check_log, log_schema, forget;
	struct sq_main_moves moves;
};

/* With the configuration read. */
static int
main_with(const struct sq_program *self, struct sq_broker_config *c, struct sq_config_live *live,
    const struct asked *asked)
{
	struct sq_buf notes = {0}, err = {0};
	struct sq_exporter_cfg exporter = sq_main_exporter(c);
	int code;

	sq_dumps_set(c->core_dumps);
	if (asked->explain.identity != NULL) {
		code = sq_explain_run(&asked->explain, c, stdout, &err);
		return code == SQ_EXIT_CONFIG ? sq_program_fail(self, code, &err) : code;
	}
	sq_log_set_level((enum sq_log_level)c->log_level);
	if (!asked->check_only)
		sq_log_set_format((enum sq_log_format)c->log_format);
	if (asked->check_store)
		return sq_store_check(c->store_dir, stdout);
	if (asked->log_schema)
		return sq_main_log_schema(self, c);
	if (asked->check_log)
		return sq_main_check_log(self, c);
	if (asked->moves.import || asked->moves.export || asked->moves.accept)
		return sq_main_move(self, c, &asked->moves);
	if (asked->backup != NULL)
		return sq_aside_backup(self, c, asked->backup);
	sq_broker_config_check(c, &notes, &err);
	if (asked->check_only) { /* a start goes on without a file that is not good */
		sq_broker_config_check_queues(c, &err);
		sq_broker_config_check_bridges(c, &err);
	}
	sq_exporter_check(&exporter, &err);
	code = sq_program_checked(self, asked->check_only, &notes, &err);
	return code >= 0 ? code : sq_main_run(self, c, live, asked->forget);
}

int
main(int argc, char **argv, char **envp)
{
	const struct sq_program self = {
	    "sqmqos-broker", sq_broker_usage, sq_broker_config_keys, sq_broker_config_n};
	struct sq_broker_config config = {0};
	struct sq_config_live live;
	struct asked asked;
	struct sq_buf err = {0};
	int code;

	if (sq_program_help(&self, argc, argv))
		return 0;
	if (argc > 1 && strcmp(argv[1], "--probe") == 0)
		return sq_probe_main(self.name, argc, argv);
	if (argc > 1 && strcmp(argv[1], "--new-token") == 0)
		return sq_aside_new_token(&self, argc, argv);
	if (argc > 1 && strcmp(argv[1], "--lint") == 0)
		return sq_lint_run((const char *const *)argv + 2, (size_t)argc - 2);
	main_hold_signals();
	asked.check_only = sq_program_check_only(&argc, argv);
	asked.check_store = sq_program_flag(&argc, argv, "--check-store");
	asked.check_log = sq_program_flag(&argc, argv, "--check-log");
	asked.log_schema = sq_program_flag(&argc, argv, "--log-schema");
	asked.moves.import = sq_program_flag(&argc, argv, "--log-import");
	asked.moves.export = sq_program_flag(&argc, argv, "--log-export");
	asked.moves.accept = sq_program_flag(&argc, argv, "--accept-loss");
	asked.forget = sq_program_flag(&argc, argv, "--forget");
	if (sq_program_value(&argc, argv, "--backup", &asked.backup, &err) != SQ_OK ||
	    sq_explain_take(&argc, argv, &asked.explain, &err) != SQ_OK)
		return sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	sq_config_live_init(&live, argc, argv, envp);
	code = sq_broker_config_load(&config, argc, argv, envp, &err) == SQ_OK
	    ? main_with(&self, &config, &live, &asked)
	    : sq_program_fail(&self, SQ_EXIT_CONFIG, &err);
	sq_broker_config_free(&config);
	return code;
}
