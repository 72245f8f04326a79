/* The annotations of a pod in JSON: checked and parsed, with notes about their faults.
 * proto/annotations has their meaning. */
#ifndef SQ_K8S_PATCH_ANNOTATED_H
#define SQ_K8S_PATCH_ANNOTATED_H

#include <jansson.h>

#include "k8s/patch/notes.h"
#include "proto/annotations/annotations.h"

/* Parses the annotations of a pod's "metadata" into '*said', which the caller frees; with errors it is
 * empty.  Errors go to 'reasons', other notes to 'warnings', each with its place within the pod.
 * 'workload' is the name of the default group; NULL: not known. */
void sq_annotated_check(const json_t *meta, const char *workload, struct sq_annotations *said,
    struct sq_notes *reasons, struct sq_notes *warnings);

#endif
