/* The bridges of a file, as they were read: immutable and shared, as long as a bridge of them lives. */
#ifndef SQ_BROKER_BRIDGE_FILE_H
#define SQ_BROKER_BRIDGE_FILE_H

#include "broker/bridge/cfg.h"

struct sq_bridge_file;

/* Takes 'cfgs' over, and zeroes it; one reference. */
struct sq_bridge_file *sq_bridge_file_new(struct sq_bridge_cfgs *cfgs);
/* Thread: any, for all of the following. */
const struct sq_bridge_cfgs *sq_bridge_file_cfgs(const struct sq_bridge_file *);
struct sq_bridge_file *sq_bridge_file_ref(struct sq_bridge_file *);
/* Gives a reference back, if there is one, and nulls the pointer. */
void sq_bridge_file_unref(struct sq_bridge_file **);

#endif
