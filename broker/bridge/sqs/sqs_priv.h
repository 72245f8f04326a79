/* The two halves; their operations are those of broker/bridge/bridge.h, whose types stand for each kind's
 * own. */
#ifndef SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H
#define SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H

#include "broker/bridge/bridge.h"

/* forwarder.c */
struct sq_forwarder *sq_sqs_forwarder_open(
    const struct sq_bridge_env *, const struct sq_bridge_cfg *, struct sq_buf *err);
unsigned sq_sqs_forwarder_room(const struct sq_forwarder *);
void sq_sqs_forwarder_offer(struct sq_forwarder *, struct sq_offered *const *items, size_t n);
void sq_sqs_forwarder_status(const struct sq_forwarder *, struct sq_buf *json_members);
void sq_sqs_forwarder_close(
    struct sq_forwarder *, unsigned within_ms, void (*closed)(void *arg), void *arg);

/* inlet.c */
struct sq_inlet *
sq_sqs_inlet_open(const struct sq_bridge_env *, const struct sq_bridge_cfg *, struct sq_buf *err);
void sq_sqs_inlet_demand(struct sq_inlet *, unsigned n);
void sq_sqs_inlet_settled(struct sq_inlet *, struct sq_arrived *, enum sq_arrival);
void sq_sqs_inlet_status(const struct sq_inlet *, struct sq_buf *json_members);
void
sq_sqs_inlet_close(struct sq_inlet *, unsigned within_ms, void (*closed)(void *arg), void *arg);

#endif
