/* Watches the pod's annotations for changes, as the kubelet makes them (a symlink "..data"
 * in their folder is swapped) and as editors do.  Knows nothing of what they say. */
#ifndef SQ_SIDECAR_DECLARED_ANNOTATIONS_WATCH_H
#define SQ_SIDECAR_DECLARED_ANNOTATIONS_WATCH_H

#include <ev.h>

#include "sidecar/declared/annotations_read.h"

struct sq_annotations_watch;

/* The content, valid during the call. */
typedef void sq_annotations_watch_fn(void *owner, const struct sq_annotations_content *);

/* Reads them and calls 'changed' before it returns, later from the loop whenever their
 * content (or the problem) is another one.  The place's path must stay. */
struct sq_annotations_watch *sq_annotations_watch_open(struct ev_loop *,
    const struct sq_annotations_place *, sq_annotations_watch_fn *changed, void *owner);
/* Looks whether they have changed; for where the watch is blind.  Call it about once a
 * second. */
void sq_annotations_watch_check(struct sq_annotations_watch *);
void sq_annotations_watch_close(struct sq_annotations_watch **);

#endif
