/* Values below $SYS, which broker and sidecar tell of themselves: all of them to a new
 * subscription, then to everybody those that have changed.  Pure. */
#ifndef SQ_PROTO_TOPIC_SYS_VALUE_H
#define SQ_PROTO_TOPIC_SYS_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

enum { SQ_SYS_TEXT_MAX = 64 };

/* How a value reads. */
enum sq_sys_kind {
	SQ_SYS_NUMBER,
	SQ_SYS_SECONDS,
	SQ_SYS_VERSION, /* this program's; the value is of no account */
};

/* What was told of a value.  Begins as sq_sys_untold. */
struct sq_sys_told {
	int64_t last; /* to everybody */
	bool changed; /* somebody has heard something else */
};

extern const struct sq_sys_told sq_sys_untold;

/* Whether the filter's first level is $SYS.  One that begins with a wildcard selects no such
 * topic (MQTT-4.7.2-1). */
bool sq_sys_filter(struct sq_bytes filter);
void sq_sys_text(char out[SQ_SYS_TEXT_MAX], enum sq_sys_kind, int64_t value);
/* A new subscription is told 'now'; 'only': nobody else has heard anything. */
void sq_sys_told_one(struct sq_sys_told *, int64_t now, bool only);
/* Whether everybody is to be told 'now'; from here on they are. */
bool sq_sys_tell_all(struct sq_sys_told *, int64_t now);

#endif
