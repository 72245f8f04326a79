/* One pod's patch in the making: the data that its parts share.  Private to k8s/patch. */
#ifndef SQ_K8S_PATCH_MAKING_H
#define SQ_K8S_PATCH_MAKING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "k8s/patch/annotated.h"
#include "k8s/patch/edit.h"
#include "k8s/patch/patch.h"
#include "k8s/patch/target.h"
#include "proto/annotations/annotations.h"

enum { SQ_GRACE_DEFAULT_S = 30 };

#define SQ_VOLUME_POD "sqmqos-pod"
#define SQ_VOLUME_STATE "sqmqos-state"
#define SQ_VOLUME_OUTBOX "sqmqos-outbox"

struct sq_making {
	const struct sq_patch_request *rq;
	const struct sq_settings *settings;
	json_t *pod;                /* a copy, which is edited */
	const json_t *meta, *spec;  /* of the copy; 'meta' may be NULL */
	struct sq_annotations said; /* its annotations */
	char workload[SQ_WORKLOAD_NAME_MAX + 1];
	uint16_t port;             /* of MQTT, for the app */
	const json_t *present;     /* the sidecar's container that the pod has already; or NULL */
	bool foreign;              /* 'present' is of another version */
	const char *outbox_volume; /* the volume that has the outbox's claim already; NULL */
	struct sq_edit edit;
	struct sq_notes *reasons, *warnings;
};

/* --- check.c --- */

/* Adds all reasons and warnings except those about values of annotations.  Sets 'present',
 * 'foreign' and 'outbox_volume'. */
void sq_check_pod(struct sq_making *);

/* --- resources.c --- */

/* The container's "resources", a new reference; reasons and warnings where the annotations don't
 * agree with each other or with the pod. */
json_t *sq_resources_make(struct sq_making *);

/* --- container.c, volumes.c: new references --- */

json_t *sq_container_make(struct sq_making *, json_t *resources);
json_t *sq_volume_pod_make(const struct sq_making *);
json_t *sq_volume_state_make(void);
json_t *sq_volume_outbox_make(const struct sq_making *);
/* Whether the pod's fsGroup may be set, so that the sidecar can write its claim. */
bool sq_volumes_take_group(const struct sq_making *);
bool sq_making_has_disk(const struct sq_making *);

#endif
