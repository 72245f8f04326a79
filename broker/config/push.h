/* What the configuration says of pushes: the address policy, and the part of broker/push. */
#ifndef SQ_BROKER_CONFIG_PUSH_H
#define SQ_BROKER_CONFIG_PUSH_H

#include "core/buf.h"
#include "core/err.h"

struct sq_broker_config;
struct sq_push_policy;

/* Checks the keys about pushes.  SQ_EINVAL with a line in 'err'. */
int sq_broker_config_push_check(const struct sq_broker_config *, struct sq_buf *err) SQ_MUST_CHECK;
/* The address policy; the caller's reference.  The broker's own addresses are those that the machine's
 * interfaces have now.  NULL with a line in 'err'. */
struct sq_push_policy *sq_broker_config_policy(const struct sq_broker_config *, struct sq_buf *err);
/* Reads the folder of subscribers.dir once: 'err' has a line for each fault, URLs that the address policy
 * denies among them. */
void sq_broker_config_check_queues(const struct sq_broker_config *, struct sq_buf *err);

#endif
