/* Bridges of bridges.dir (bridge_dir.h), put in force while the broker runs. */
#ifndef SQ_BROKER_CONFIG_BRIDGE_LIVE_H
#define SQ_BROKER_CONFIG_BRIDGE_LIVE_H

#include <stdbool.h>

struct sq_bridge_live;
struct sq_bridges;
struct sq_bridges_cfg;
struct sq_broker_config;
struct sq_push_live;

/* Both outlive it. */
struct sq_bridge_live *
sq_bridge_live_new(const struct sq_broker_config *, const struct sq_push_live *);
/* Frees it and nulls the pointer, after the broker. */
void sq_bridge_live_free(struct sq_bridge_live **);
/* For the broker, which it outlives. */
const struct sq_bridges_cfg *sq_bridge_live_cfg(const struct sq_bridge_live *);
/* Looks at the folder, logs each fault, and puts in force what is declared now; 'asked' as in
 * sq_bridge_dir_look().  Thread: the one that looks. */
void sq_bridge_live_look(struct sq_bridge_live *, struct sq_bridges *, bool asked);
/* The same at the start, before anybody publishes, whose messages would pass the queues by: returns when
 * these are there, or at the '*end' of the program. */
void sq_bridge_live_begin(struct sq_bridge_live *, struct sq_bridges *, const _Atomic bool *end);

#endif
