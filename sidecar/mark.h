/* The ready mark: a file with the fact that the sidecar was ready, so that its restart while no
 * broker is reachable makes no ready pod unready.
 *
 * The file "ready" in a directory has the format, the machine's boot and the pod, a line each.  It
 * counts for the same pod in the same boot, the time in which the pod's containers can be
 * restarted; without a boot it does not count.  Knows no loop and no configuration. */
#ifndef SQ_SIDECAR_MARK_H
#define SQ_SIDECAR_MARK_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* The kernel's id of this boot; "" if it is not available.  Static. */
const char *sq_mark_boot(void);
/* Whether 'dir' has a mark of 'pod' and 'boot'.  Appends a line to 'why' if the file is unreadable
 * or malformed; none if it is missing, or of another pod or boot. */
bool sq_mark_read(const char *dir, const char *pod, const char *boot, struct sq_buf *why);
/* Writes the mark in place of an earlier one, atomically; makes 'dir' if it is missing.  SQ_EIO,
 * with a line in 'why'. */
int
sq_mark_write(const char *dir, const char *pod, const char *boot, struct sq_buf *why) SQ_MUST_CHECK;

#endif
