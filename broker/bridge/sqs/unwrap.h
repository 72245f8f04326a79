/* Envelopes of other services of AWS around a message: an SNS notification, an event of EventBridge.
 * Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_UNWRAP_H
#define SQ_BROKER_BRIDGE_SQS_UNWRAP_H

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* What is within; a zeroed struct is an empty one. */
struct sq_sqs_unwrapped {
	struct sq_buf payload;
	struct sq_buf type;  /* the content type; empty: not said */
	struct sq_buf props; /* user properties, encoded */
	struct sq_buf id;    /* the message's there, the same in all copies */
};

/* SQ_EINVAL with a line in 'why': the body is no such envelope. */
int sq_sqs_unwrap_sns(
    struct sq_bytes body, struct sq_sqs_unwrapped *, struct sq_buf *why) SQ_MUST_CHECK;
/* The event as a CloudEvent: its detail as payload, the rest as attributes. */
int sq_sqs_unwrap_eventbridge(
    struct sq_bytes body, struct sq_sqs_unwrapped *, struct sq_buf *why) SQ_MUST_CHECK;
void sq_sqs_unwrapped_fini(struct sq_sqs_unwrapped *);

#endif
