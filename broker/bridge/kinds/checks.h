/* What each kind of peer says of a configuration; also of kinds that are not built in. */
#ifndef SQ_BROKER_BRIDGE_KINDS_CHECKS_H
#define SQ_BROKER_BRIDGE_KINDS_CHECKS_H

#include "broker/bridge/cfg.h"

/* The check of its kind, for sq_bridge_cfgs_read().  Pure. */
int sq_bridge_kind_check(const struct sq_bridge_cfg *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
