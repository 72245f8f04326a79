/* The last good set of annotations, kept in a directory (state.dir) for a restart of the sidecar in
 * its pod.  A restart needs it in place of a set that is malformed by then, and for the age of the
 * set, which the files do not tell (the kubelet writes them anew with each token).
 *
 * The file "annotations" has a line (format, since when, pod) and then the annotations in the form
 * of the downward API.  Knows no loop and no configuration. */
#ifndef SQ_SIDECAR_DECLARED_ANNOTATIONS_KEPT_H
#define SQ_SIDECAR_DECLARED_ANNOTATIONS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/file.h"

/* Reads the set that 'pod' has kept in 'dir'; the caller frees '*out'.  False: there is none, and
 * '*out' is empty.  Appends a line to 'why' if the file is unreadable or malformed; none if it is
 * another pod's. */
bool sq_annotations_kept_read(const char *dir, const char *pod, struct sq_annotation_pairs *out,
    uint64_t *since_ms, struct sq_buf *why);
/* Keeps the set in place of an earlier one, atomically; makes 'dir' if it is missing.  SQ_EIO, with
 * a line in 'why'. */
int sq_annotations_kept_write(const char *dir, const char *pod, const struct sq_annotation_pairs *,
    uint64_t since_ms, struct sq_buf *why) SQ_MUST_CHECK;

#endif
