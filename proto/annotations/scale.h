/* sqmqos.io/scale: how many pods a workload has, by what waits for them:
 * {min: 0, max: 20, per: 100}.  Nothing here scales: the command line makes a ScaledObject for
 * KEDA of it (k8s/cli/scaled.h).  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_SCALE_H
#define SQ_PROTO_ANNOTATIONS_SCALE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SQ_SCALE_MIN_DEFAULT = 1,
	SQ_SCALE_PER_DEFAULT = 100,
	SQ_SCALE_PODS_MAX = 1000000,
};

struct sq_scale {
	bool set;          /* the annotation is there and not empty */
	uint32_t min, max; /* pods; min <= max, and max is at least 1 */
	uint32_t per;      /* messages for which one pod is wanted; at least 1 */
};

#endif
