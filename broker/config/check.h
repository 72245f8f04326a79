/* What the broker's configuration needs from this machine: files, addresses. */
#ifndef SQ_BROKER_CONFIG_CHECK_H
#define SQ_BROKER_CONFIG_CHECK_H

#include "broker/config/config.h"

/* Checks all that a start needs: that files are there and hold what they should, that
 * addresses can be had, that the store's directory is usable, and that nobody
 * unknown is let in by oversight.  Every start asks it first, so that --check-config
 * tells the same.  A port or a store that is in use is no error, for the broker
 * itself may have it; a port adds a remark to 'notes'.  A line comes into
 * 'problems' for each key that is to blame. */
void sq_broker_config_check(
    const struct sq_broker_config *, struct sq_buf *notes, struct sq_buf *problems);

#endif
