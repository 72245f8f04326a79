/* The mark that a sidecar was ready, on disk, so that its restart while no broker can
 * be reached makes no ready pod unready.
 *
 * A file "ready" of a few lines in a directory: the format, the machine's boot, the
 * pod.  It counts for the same pod in the same boot, which is as long as the pod's
 * containers can be restarted; without a boot it counts for nobody.  Knows no
 * loop and no configuration. */
#ifndef SQ_SIDECAR_MARK_H
#define SQ_SIDECAR_MARK_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* The id of this boot, as the kernel says it; "" when that can't be had.  Static. */
const char *sq_mark_boot(void);
/* Whether 'dir' has a mark of 'pod' and 'boot'.  Appends a line to 'why' where there
 * is something that is no mark, or it can't be read; not where there is none, or
 * that of another pod or boot. */
bool sq_mark_read(const char *dir, const char *pod, const char *boot, struct sq_buf *why);
/* Puts the mark there, in the place of any other, as a whole or not at all; makes 'dir' if
 * need be.  SQ_EIO, with a line in 'why'. */
int
sq_mark_write(const char *dir, const char *pod, const char *boot, struct sq_buf *why) SQ_MUST_CHECK;

#endif
