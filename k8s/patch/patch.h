/* The injector's change of a pod.  Pure: a pod and the settings in; a JSON patch (RFC 6902), or the
 * reasons of a denial, out.  The webhook, the command line and the tests share it.
 *
 *   patch.h      a pod's patch; the checks of workloads and of edited pods
 *   notes.h      reasons and warnings, each with its place
 *   settings.h   settings of the installation (settings.yaml)
 *   annotated.h  a pod's annotations, with notes about their faults
 *   target.h     the pod's place in an object, and the name of its workload
 *   yaml_json.h  YAML text to JSON values, with the place of each
 *   edit.h       a change of the pod, and its operation of the patch (private)
 *
 * An object may be any JSON: a value of a wrong type is a reason, never a crash. */
#ifndef SQ_K8S_PATCH_H
#define SQ_K8S_PATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "core/err.h"
#include "k8s/patch/notes.h"
#include "k8s/patch/settings.h"

#define SQ_SIDECAR_NAME "sqmqos-sidecar"
#define SQ_SIDECAR_LABEL "sqmqos.io/sidecar"
enum { SQ_SIDECAR_MQTT_PORT = 1883 }; /* of MQTT, for the app; an annotation may set another */

/* Whether the namespace asks for sidecars.  The pod's own label goes before it. */
enum sq_asks {
	SQ_ASKS_UNKNOWN, /* as with a file: the pod counts as asking */
	SQ_ASKS,         /* the webhook was called for this pod, so its selectors chose it */
	SQ_ASKS_NOT,
};

struct sq_patch_request {
	const json_t *pod; /* a Pod, or a template of one: "metadata" and "spec" are read */
	const char
	    *workload; /* a template's: the name of its owner to be; NULL: by the pod itself */
	const json_t *claim_templates; /* of a StatefulSet; NULL: none */
	const struct sq_settings *settings;
	const char *trust_bundle; /* PEM; NULL: none */
	enum sq_asks asks;
};

enum sq_patch_outcome {
	SQ_PATCH_UNTOUCHED, /* it does not ask for a sidecar */
	SQ_PATCH_MADE,      /* 'ops' may be empty: the sidecar is there already */
	SQ_PATCH_DENIED,
};

/* A zeroed struct is an empty result.  Warnings come with every outcome. */
struct sq_patch {
	enum sq_patch_outcome outcome;
	json_t *ops; /* the JSON patch, an array; NULL where there is none to apply */
	json_t *pod; /* the pod with 'ops' applied; NULL as 'ops' */
	struct sq_notes reasons, warnings;
};

/* '*out' needs no initialisation; free it. */
void sq_patch_make(const struct sq_patch_request *, struct sq_patch *out);
void sq_patch_free(struct sq_patch *);

/* Checks an object that makes pods (Deployment, StatefulSet, DaemonSet, ReplicaSet, Job,
 * CronJob, a List of such) or a Pod as sq_patch_make() would: reasons and warnings with paths
 * within the object, no patch.  Annotations of ours without the label are warned of unless
 * the namespace asks.  A Namespace's label is looked at for warnings.  Objects of other kinds,
 * and those, are SQ_PATCH_UNTOUCHED. */
void sq_patch_validate(
    const json_t *object, const struct sq_settings *, enum sq_asks, struct sq_patch *out);
/* Checks an edit of a running pod: reasons for malformed annotations that the edit adds or changes;
 * warnings for unknown ones, and for those that only count when the pod is made. */
void sq_patch_validate_edit(const json_t *old_pod, const json_t *pod, struct sq_patch *out);

#endif
