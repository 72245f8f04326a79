/* Check of the sidecar's configuration against this machine: files and addresses. */
#ifndef SQ_SIDECAR_CONFIG_CHECK_H
#define SQ_SIDECAR_CONFIG_CHECK_H

#include <stdbool.h>

#include "core/buf.h"
#include "sidecar/config/config.h"

/* Checks everything that a start needs: that files exist and are well-formed, and that addresses
 * can be bound.  Each start calls it first, so that --check-config reports the same.  'all': also
 * checks things for which a start waits, the annotations and the directory of a disk outbox.  An
 * address in use is no error, since the sidecar itself may have it; it adds a remark to 'notes'.
 * Appends a line to 'problems' for each key at fault. */
void sq_sidecar_config_check(
    const struct sq_sidecar_cfg *, bool all, struct sq_buf *notes, struct sq_buf *problems);

#endif
