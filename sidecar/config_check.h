/* What the sidecar's configuration needs from this machine: files, addresses. */
#ifndef SQ_SIDECAR_CONFIG_CHECK_H
#define SQ_SIDECAR_CONFIG_CHECK_H

#include <stdbool.h>

#include "core/buf.h"
#include "sidecar/config/config.h"

/* Checks all that a start needs: that files are there and hold what they should, and
 * that addresses can be had.  Every start asks it first, so that --check-config tells
 * the same.  With 'all', also what a start does not insist on and waits for: the
 * annotations and the directory of a disk outbox.  An address that is in use is no
 * error, for the sidecar itself may have it; it adds a remark to 'notes'.  A line
 * comes into 'problems' for each key that is to blame. */
void sq_sidecar_config_check(
    const struct sq_sidecar_cfg *, bool all, struct sq_buf *notes, struct sq_buf *problems);

#endif
