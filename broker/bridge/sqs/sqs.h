/* Bridges to Amazon SQS, and to what speaks its protocol (docs/bridges.md, "sqs").
 *
 *   forwarder.c, out_*.c  SendMessageBatch
 *   inlet.c, in_*.c       ReceiveMessage, DeleteMessageBatch, ChangeMessageVisibilityBatch
 *     client.c   calls by net/curl, signed; whether each queue can be asked
 *     place.c    where a queue is, and who may ask there
 *     map_out.c, map_in.c, unwrap.c, attributes.c  what a message becomes
 *     calls.c    what is asked and answered, in JSON */
#ifndef SQ_BROKER_BRIDGE_SQS_SQS_H
#define SQ_BROKER_BRIDGE_SQS_SQS_H

#include "broker/bridge/bridge.h"

extern const struct sq_bridge_kind sq_bridge_sqs;

#endif
