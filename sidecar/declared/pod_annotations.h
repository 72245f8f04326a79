/* The pod's annotations in the running pod: reads and watches them where the configuration
 * says, checks them, and hands each good set on.  A malformed one, or one that can't be
 * read, changes nothing: the last good set stays in force, over a restart of the sidecar,
 * too, where there is a state.dir.  What is wrong is said here, all of it.
 *
 *   annotations_read.h   the file or the folder
 *   annotations_watch.h  its changes
 *   annotations_kept.h   the last good set, in state.dir */
#ifndef SQ_SIDECAR_DECLARED_POD_ANNOTATIONS_H
#define SQ_SIDECAR_DECLARED_POD_ANNOTATIONS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/metrics.h"
#include "proto/annotations/annotations.h"
#include "sidecar/config/config.h"

struct sq_pod_annotations;

/* A good set, of which the owner may take parts; the rest is freed.  'written_ms' is when it
 * was put there (wall-clock ms, at least 1).  Returns since when what it declares is in
 * force, which is what 'written_ms' will be for the same set after a restart. */
typedef uint64_t
sq_pod_annotations_fn(void *owner, struct sq_annotations *set, uint64_t written_ms);

/* Reads them and calls 'good' before it returns, if they are good or a good set was kept;
 * later from the loop.  Where none are configured, it is never called.  'cfg' must stay. */
struct sq_pod_annotations *sq_pod_annotations_open(struct ev_loop *, const struct sq_sidecar_cfg *,
    const struct sq_metrics *, sq_pod_annotations_fn *good, void *owner);
/* Call it about once a second. */
void sq_pod_annotations_sweep(struct sq_pod_annotations *);
/* Whether a good set is in force, or none are configured. */
bool sq_pod_annotations_in_force(const struct sq_pod_annotations *);
/* Appends a line for each reason why what is there is not in force, or, if it is, for each
 * warning of it. */
void sq_pod_annotations_print(const struct sq_pod_annotations *, struct sq_buf *out);
void sq_pod_annotations_close(struct sq_pod_annotations **);

/* For --check-config: reads and checks them once.  A line comes into 'problems' for each
 * error, and into 'notes' for each warning, with "; " before it.  Returns what they say of
 * the outbox. */
struct sq_outbox_annotation sq_pod_annotations_verify(
    const struct sq_sidecar_cfg *, struct sq_buf *notes, struct sq_buf *problems);

#endif
