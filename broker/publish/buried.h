/* The burial of broker/shard/source.h: dead letters and receipts, in the transaction at hand. */
#ifndef SQ_BROKER_PUBLISH_BURIED_H
#define SQ_BROKER_PUBLISH_BURIED_H

#include "broker/shard/source.h"

extern const struct sq_burial sq_buried;

#endif
