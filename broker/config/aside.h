/* What the broker's program does aside from serving, and then ends.  Each returns the exit code. */
#ifndef SQ_BROKER_CONFIG_ASIDE_H
#define SQ_BROKER_CONFIG_ASIDE_H

#include "core/program.h"

struct sq_broker_config;

/* "--new-token NAME SPACE...", which needs no configuration. */
int sq_aside_new_token(const struct sq_program *, int argc, char **argv);
/* "--backup DIR" of the configuration's store.  Forks: to be called while the process has one
 * thread. */
int sq_aside_backup(const struct sq_program *, const struct sq_broker_config *, const char *dir);

#endif
