/* ScaledObjects: what KEDA scales a workload by, from its annotation sqmqos.io/scale. */
#ifndef SQ_K8S_CLI_SCALED_H
#define SQ_K8S_CLI_SCALED_H

#include <jansson.h>

#include "core/buf.h"
#include "k8s/patch/settings.h"
#include "k8s/patch/target.h"

/* What a ScaledObject is made of. */
struct sq_scaled_request {
	const json_t *object;           /* the workload */
	const struct sq_target *target; /* of it */
	const char *space;              /* its namespace, where the object says none; NULL */
	const struct sq_settings *settings;
};

/* Returns the workload's ScaledObject (keda.sh/v1alpha1), a new reference: its triggers read the
 * backlog of each queue that the pods share, at the broker's admin endpoint (docs/view.md).  NULL:
 * the annotation does not ask for one, or its pods would be refused, and 'why' stays empty; or 'why'
 * has a line about what is missing. */
json_t *sq_scaled_object(const struct sq_scaled_request *, struct sq_buf *why);

#endif
