/* Types of the values that the patch reads of a pod.  Private to k8s/patch. */
#ifndef SQ_K8S_PATCH_SHAPE_H
#define SQ_K8S_PATCH_SHAPE_H

#include <jansson.h>

#include "k8s/patch/notes.h"

/* Adds a reason for each value of a wrong type.  null counts as left out. */
void sq_shape_check(const json_t *pod, struct sq_notes *reasons);

#endif
