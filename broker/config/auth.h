/* The judge of credentials, by the broker's configuration. */
#ifndef SQ_BROKER_CONFIG_AUTH_H
#define SQ_BROKER_CONFIG_AUTH_H

#include <stdbool.h>

#include "broker/auth/auth.h"
#include "broker/config/config.h"

/* Makes the judge, with the keys of the last run if 'cached'; 'out', which outlives what it starts,
 * NULL: nothing is shared; see sq_auth_new(). */
struct sq_auth *sq_broker_config_auth(
    const struct sq_broker_config *, bool cached, struct sq_out_shared *out, struct sq_buf *err);

#endif
