/* The tags of a message: its user properties named "tag" (MQTT 5.0 §3.3.2.3.7), which $tag
 * filters select by. */
#ifndef SQ_PROTO_TOPIC_TAGS_H
#define SQ_PROTO_TOPIC_TAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/msg.h"

enum { SQ_TAGS_MAX = 32 }; /* of a message */

/* Different ones, as views of the properties. */
struct sq_tags {
	size_t n;
	struct sq_bytes v[SQ_TAGS_MAX];
};

/* Takes each tag once, however often it is there; empty ones are none.  False: there are more
 * than SQ_TAGS_MAX, and 'out' has the first of them.  The work is in proportion to the bytes of
 * the properties. */
bool sq_tags_read(struct sq_bytes props, struct sq_tags *out);
/* Whether 'tag' is among them. */
bool sq_tags_have(struct sq_bytes props, struct sq_bytes tag);

#endif
