/* The annotations of the running pod: reads and watches them in the configured place, checks them,
 * and passes each good set on.  A malformed or unreadable set changes nothing: the last good one
 * stays in force, with a state.dir also over a restart of the sidecar.  Faults are logged here.
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

/* A good set, of which the owner may take parts; the rest is freed.  'written_ms' is the time at
 * which the set was put there (wall-clock ms, at least 1).  Returns the time since which its
 * declarations are in force, which is 'written_ms' of the same set after a restart. */
typedef uint64_t
sq_pod_annotations_fn(void *owner, struct sq_annotations *set, uint64_t written_ms);

/* Reads the annotations.  Calls 'good' before it returns, if they are good or a good set was kept,
 * and later from the loop; never without a configured place.  'cfg' must stay. */
struct sq_pod_annotations *sq_pod_annotations_open(struct ev_loop *, const struct sq_sidecar_cfg *,
    const struct sq_metrics *, sq_pod_annotations_fn *good, void *owner);
/* Checks for changes; called about once a second. */
void sq_pod_annotations_sweep(struct sq_pod_annotations *);
/* Whether a good set is in force, or none are configured. */
bool sq_pod_annotations_in_force(const struct sq_pod_annotations *);
/* Appends a line for each reason why the present set is not in force or, for a set in force, for
 * each warning. */
void sq_pod_annotations_print(const struct sq_pod_annotations *, struct sq_buf *out);
void sq_pod_annotations_close(struct sq_pod_annotations **);

/* For --check-config: reads and checks the annotations once.  Appends each error to 'problems' and
 * each warning to 'notes', with "; " before it.  Returns the annotations' settings of the
 * outbox. */
struct sq_outbox_annotation sq_pod_annotations_verify(
    const struct sq_sidecar_cfg *, struct sq_buf *notes, struct sq_buf *problems);

#endif
