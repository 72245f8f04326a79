#include "sidecar_cfg.h"

struct sq_sidecar_cfg
sidecar_cfg(void)
{
	return (struct sq_sidecar_cfg){.space = (char *)"space",
	    .limits = {.topic_levels = 128,
		.client_id = 256,
		.max_qos = 2,
		.retain = true,
		.wildcard = true,
		.shared = true,
		.sub_ids = true},
	    .workload = (char *)"work",
	    .pod = (char *)"pod",
	    .max_subscriptions = 10000,
	    .max_packet = 10000,
	    .lane_bytes = 1 << 20,
	    .credit_msgs = 100,
	    .credit_bytes = 1 << 20,
	    .linger_ms = 60000};
}
