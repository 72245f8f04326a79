/* The attributes of a received message, its own and those of SQS, by name.  Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_ATTRIBUTES_H
#define SQ_BROKER_BRIDGE_SQS_ATTRIBUTES_H

#include "broker/bridge/sqs/calls.h"

enum { SQ_SQS_ATTRIBUTES_MAX = 64 }; /* SQS itself gives at most 10 and some */

struct sq_sqs_attribute {
	size_t name, name_len, value, value_len; /* places in 'text' */
	bool system;                             /* SQS' own */
	bool binary;
};

/* A zeroed struct is an empty one. */
struct sq_sqs_attributes {
	struct sq_buf text;
	struct sq_sqs_attribute v[SQ_SQS_ATTRIBUTES_MAX];
	size_t n;
};

/* SQ_EINVAL: they are no attributes, or too many. */
int sq_sqs_attributes_read(const struct sq_sqs_messages *, const struct sq_sqs_received *,
    struct sq_sqs_attributes *) SQ_MUST_CHECK;
struct sq_bytes
sq_sqs_attribute_name(const struct sq_sqs_attributes *, const struct sq_sqs_attribute *);
struct sq_bytes
sq_sqs_attribute_value(const struct sq_sqs_attributes *, const struct sq_sqs_attribute *);
/* The value of that name, the message's own before SQS'; .len 0: none. */
struct sq_bytes sq_sqs_attribute_find(const struct sq_sqs_attributes *, struct sq_bytes name);
void sq_sqs_attributes_fini(struct sq_sqs_attributes *);

#endif
