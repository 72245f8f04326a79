/* Limits that change while the broker runs: the atomic members of its configuration. */
#ifndef SQ_BROKER_SET_LIMITS_H
#define SQ_BROKER_SET_LIMITS_H

#include "broker/shard/cfg.h"

/* The configuration with defaults in place of zeros. */
struct sq_broker_cfg sq_set_limits_cfg(const struct sq_broker_cfg *);

#endif
