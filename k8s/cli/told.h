/* The meaning of a pod's annotations, in words. */
#ifndef SQ_K8S_CLI_TOLD_H
#define SQ_K8S_CLI_TOLD_H

#include "core/buf.h"
#include "proto/annotations/annotations.h"

/* Appends the queues with their bindings and limits, each line with two spaces before it. */
void sq_told_subscriptions(const struct sq_annotations *, const char *workload, struct sq_buf *out);
/* Appends the publish rules. */
void sq_told_publish(const struct sq_annotations *, struct sq_buf *out);
/* Appends by what the workload is scaled, if it is. */
void sq_told_scale(const struct sq_annotations *, struct sq_buf *out);
/* Appends the place where publishes wait. */
void sq_told_outbox(const struct sq_annotations *, struct sq_buf *out);

#endif
