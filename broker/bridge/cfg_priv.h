/* The inner interface of the configuration of bridges: its table. */
#ifndef SQ_BROKER_BRIDGE_CFG_PRIV_H
#define SQ_BROKER_BRIDGE_CFG_PRIV_H

#include "broker/bridge/cfg.h"

extern const struct sq_config_key sq_bridge_keys[];
extern const size_t sq_bridge_keys_n;

/* Says of the first key that is given, and that its kind has not.  SQ_EINVAL as sq_bridge_cfg_check(). */
int sq_bridge_cfg_check_kind(const struct sq_bridge_cfg *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
