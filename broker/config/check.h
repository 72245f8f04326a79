/* Checks of the machine for the broker's configuration: files, addresses. */
#ifndef SQ_BROKER_CONFIG_CHECK_H
#define SQ_BROKER_CONFIG_CHECK_H

#include "broker/config/config.h"

/* Checks all that a start needs: good files, free addresses, a usable directory of the store, and
 * credentials unless the configuration does without.  Each start runs these checks first, so
 * --check-config gives the same result.  A port or a store in use is no error, because the broker
 * itself may have it; a port adds a remark to 'notes'.  'problems' gets a line for each wrong key. */
void sq_broker_config_check(
    const struct sq_broker_config *, struct sq_buf *notes, struct sq_buf *problems);
/* Reads the folder of bridges.dir once, and the files that its bridges name: 'problems' gets a line for each
 * fault. */
void sq_broker_config_check_bridges(const struct sq_broker_config *, struct sq_buf *problems);

#endif
