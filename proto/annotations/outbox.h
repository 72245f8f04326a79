/* sqmqos.io/outbox: "memory", "disk", or one of them with a size, as a string
 * ("disk: 1Gi") or a YAML map of one entry, which is the same text.  Pure. */
#ifndef SQ_PROTO_ANNOTATIONS_OUTBOX_H
#define SQ_PROTO_ANNOTATIONS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of an outbox. */
#define SQ_OUTBOX_SIZE_MIN UINT64_C(65536)
#define SQ_OUTBOX_SIZE_MAX (UINT64_C(1) << 44)

/* In the order of the configuration's choices. */
enum sq_outbox_mode { SQ_OUTBOX_MEMORY, SQ_OUTBOX_DISK };

struct sq_outbox_annotation {
	bool set; /* the annotation is there and not empty */
	enum sq_outbox_mode mode;
	uint64_t size; /* bytes; 0: not said */
};

#endif
