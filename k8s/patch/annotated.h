/* The annotations of a pod as JSON has them: checked, taken apart, and what is wrong with
 * them as notes.  proto/annotations says what they mean. */
#ifndef SQ_K8S_PATCH_ANNOTATED_H
#define SQ_K8S_PATCH_ANNOTATED_H

#include <jansson.h>

#include "k8s/patch/notes.h"
#include "proto/annotations/annotations.h"

/* What the annotations of a pod's "metadata" say, into '*said', which is empty with errors; free
 * it.  Errors go to 'reasons', the rest to 'warnings', each with its place within the pod.
 * 'workload': the name of the default group; NULL where it is not known. */
void sq_annotated_check(const json_t *meta, const char *workload, struct sq_annotations *said,
    struct sq_notes *reasons, struct sq_notes *warnings);

#endif
