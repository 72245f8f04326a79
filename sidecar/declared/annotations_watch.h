/* Watches the pod's annotations for changes, as made by the kubelet (it swaps a symlink "..data" in
 * their folder) and by editors.  Knows nothing of their meaning.  On the loop's thread. */
#ifndef SQ_SIDECAR_DECLARED_ANNOTATIONS_WATCH_H
#define SQ_SIDECAR_DECLARED_ANNOTATIONS_WATCH_H

#include <ev.h>

#include "sidecar/declared/annotations_read.h"

struct sq_annotations_watch;

/* The content, valid during the call. */
typedef void sq_annotations_watch_fn(void *owner, const struct sq_annotations_content *);

/* Reads the annotations and calls 'changed' before it returns, then from the loop whenever the
 * content or the problem has changed.  The place's path must stay. */
struct sq_annotations_watch *sq_annotations_watch_open(struct ev_loop *,
    const struct sq_annotations_place *, sq_annotations_watch_fn *changed, void *owner);
/* Checks for changes that the watch has missed; called about once a second. */
void sq_annotations_watch_check(struct sq_annotations_watch *);
void sq_annotations_watch_close(struct sq_annotations_watch **);

#endif
