/* What of the configuration has room in the program's memory. */
#ifndef SQ_BROKER_CONFIG_FIT_H
#define SQ_BROKER_CONFIG_FIT_H

struct sq_broker_cfg;

/* Bounds state that stays in memory for an unlimited time to a part of limits.memory, regardless of
 * its own keys, and logs which keys that makes smaller: otherwise one kind alone could fill the memory
 * for good.  The limit of memory is set. */
void sq_broker_config_fit(struct sq_broker_cfg *);

#endif
