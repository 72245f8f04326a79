/* The broker's program, from a checked configuration to its end. */
#ifndef SQ_BROKER_PROGRAM_PROGRAM_H
#define SQ_BROKER_PROGRAM_PROGRAM_H

#include <stdbool.h>

#include "core/program.h"
#include "telemetry/exporter.h"

struct sq_broker_config;
struct sq_config_live;

/* Serves until a signal ends it; returns the exit code.  The configuration's limits change when 'live'
 * finds others.  'forget': a directory that is another log's is cleared.  Thread: main, before there are
 * others. */
int sq_main_run(
    const struct sq_program *, struct sq_broker_config *, struct sq_config_live *live, bool forget);
/* Prints the log's schema. */
int sq_main_log_schema(const struct sq_program *, const struct sq_broker_config *);
/* Verifies the log, prints what was found; 0: sound. */
int sq_main_check_log(const struct sq_program *, const struct sq_broker_config *);

/* What the command line asks for of moves.h. */
struct sq_main_moves {
	bool import, export, accept;
};
int
sq_main_move(const struct sq_program *, struct sq_broker_config *, const struct sq_main_moves *);

/* How the spans of that configuration are exported. */
struct sq_exporter_cfg sq_main_exporter(const struct sq_broker_config *);

#endif
