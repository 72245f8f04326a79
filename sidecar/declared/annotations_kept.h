/* The last good set of annotations, kept in a directory (state.dir), so that a sidecar that
 * is started again in its pod knows it: for when what is there now is malformed, and for how
 * old it is, which the files do not say (the kubelet writes them anew with each token).
 *
 * A file "annotations" of a line (the format, since when, the pod) and the annotations as
 * the downward API writes them.  Knows no loop and no configuration. */
#ifndef SQ_SIDECAR_DECLARED_ANNOTATIONS_KEPT_H
#define SQ_SIDECAR_DECLARED_ANNOTATIONS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/file.h"

/* Reads what 'pod' has kept in 'dir'; false: nothing, and '*out' is empty.  Appends a line to
 * 'why' where there is something that can't be read or is no such file; not where it is
 * another pod's. */
bool sq_annotations_kept_read(const char *dir, const char *pod, struct sq_annotation_pairs *out,
    uint64_t *since_ms, struct sq_buf *why);
/* Keeps it, in the place of any other, as a whole or not at all; makes 'dir' if need be.
 * SQ_EIO, with a line in 'why'. */
int sq_annotations_kept_write(const char *dir, const char *pod, const struct sq_annotation_pairs *,
    uint64_t since_ms, struct sq_buf *why) SQ_MUST_CHECK;

#endif
