/* Taps: copies of what passes, for an operator who looks on.
 *
 * A message is shown once, with its outcome, when publishing it has ended; with no tap open that
 * costs one relaxed load.  A tap is no subscription: it is never a match, and holds nothing up: what
 * it has no room for is counted, and not shown.  It ends by itself where nobody asks for what it
 * has. */
#ifndef SQ_BROKER_PUBLISH_TAP_H
#define SQ_BROKER_PUBLISH_TAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/list.h"
#include "core/msg.h"

enum {
	SQ_TAPS_MAX = 4,
	SQ_TAPS_SPACE_MAX = SQ_TAPS_MAX / 2, /* of one space */
	SQ_TAP_MESSAGES_MAX = 1000,          /* that wait in a tap */
	SQ_TAP_BYTES_MAX = 1 << 20,          /* of these, with their texts and payloads */
	SQ_TAP_PAYLOAD_MAX = 64 << 10,       /* bytes of a payload that are shown */
	SQ_TAP_IDLE_MS = 10000,              /* without a question */
};

struct sq_publish;

struct sq_taps {
	atomic_uint open;
	struct sq_taps_kept *kept; /* the taps */
};

struct sq_tap_cfg {
	const char *owner;  /* who looks on, for logs */
	const char *filter; /* that sq_topic_filter_parse() takes, without $share */
	const char *space;  /* the publisher's; NULL: any */
	bool payloads;
};

/* A message as it has passed.  The texts are views into 'text'; empty: there is none. */
struct sq_tapped {
	struct sq_list node;
	uint64_t wall_ms;
	size_t targets;   /* queues that it went to */
	uint32_t bytes;   /* with topic and properties */
	uint8_t qos;      /* 3, too */
	uint8_t reason;   /* the outcome: a reason code of MQTT */
	bool retain, cut; /* 'payload' is a part of it only */
	uint32_t payload_bytes;
	struct sq_bytes space, topic, identity, session, key, payload;
	size_t size; /* of 'text' */
	unsigned char text[];
};

struct sq_taps *sq_taps_new(void);
void sq_taps_free(struct sq_taps **);

/* Whether there is anybody to show a message to.  Thread: any. */
static inline bool
sq_taps_any(const struct sq_taps *t)
{
	return t != NULL && atomic_load_explicit(&t->open, memory_order_relaxed) > 0;
}
/* Shows the message that was published with this outcome.  Thread: a worker.  Locks: its own, also
 * while a space is locked. */
void sq_taps_see(struct sq_taps *, const struct sq_publish *, uint8_t reason);

/* Opens a tap.  SQ_ENOMEM: as many as may be are open, in all or of its space; SQ_EINVAL: the
 * filter.  Thread: any. */
int sq_taps_open(
    struct sq_taps *, const struct sq_tap_cfg *, uint64_t now_ms, uint64_t *id) SQ_MUST_CHECK;
/* Whether the tap is there; '*cfg' has copies then, for sq_tap_cfg_fini().  Thread: any. */
bool sq_taps_look(struct sq_taps *, uint64_t id, struct sq_tap_cfg *cfg);
void sq_tap_cfg_fini(struct sq_tap_cfg *);
/* Moves messages of at most that many bytes, one at least, to 'out', and says how many there was no
 * room for since the last time.  False: there is no such tap.  Thread: any. */
bool sq_taps_take(struct sq_taps *, uint64_t id, uint64_t now_ms, size_t bytes, struct sq_list *out,
    uint64_t *lost);
void sq_tapped_free(struct sq_list *all);
/* Thread: any. */
bool sq_taps_close(struct sq_taps *, uint64_t id);
/* Ends the taps that nobody has asked for long.  Thread: any. */
void sq_taps_tick(struct sq_taps *, uint64_t now_ms);

#endif
