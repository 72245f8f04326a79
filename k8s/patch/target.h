/* The place of the pod in an object of Kubernetes, and the workload of the pod. */
#ifndef SQ_K8S_PATCH_TARGET_H
#define SQ_K8S_PATCH_TARGET_H

#include <jansson.h>
#include <stdbool.h>

#include "core/err.h"

enum { SQ_WORKLOAD_NAME_MAX = 253 };

/* A pod, or the template of pods, within an object. */
struct sq_target {
	json_t *pod;      /* borrowed */
	const char *path; /* JSON pointer of 'pod' within the object; "": the object itself */
	const json_t *claim_templates; /* of a StatefulSet; NULL */
	bool is_template;
	bool scales; /* has a number of pods that may be changed while it runs */
	char workload[SQ_WORKLOAD_NAME_MAX + 1]; /* a template's; empty: not known */
};

/* Finds the pod by the object's kind.  SQ_ENOTFOUND: another kind of object, or it has no pod. */
int sq_target_find(json_t *object, struct sq_target *out) SQ_MUST_CHECK;

/* The name of a pod's workload by its owner: a ReplicaSet's without the hash of its template, a Job's
 * or its CronJob's, another owner's own.  A pod without an owner has its own name, or the start of
 * its generated one.  Empty where there is neither. */
void sq_workload_of_pod(const json_t *pod, char out[SQ_WORKLOAD_NAME_MAX + 1]);
/* The name of the workload of an owner by kind and name; 'labels' are its pods', or NULL. */
void sq_workload_of_owner(
    const char *kind, const char *name, const json_t *labels, char out[SQ_WORKLOAD_NAME_MAX + 1]);

#endif
