/* What others are told of a bridge: how many messages went and came, and whether its peer can be spoken
 * to.  Counted on the bridge's worker; read on any thread. */
#ifndef SQ_BROKER_BRIDGE_TOLD_H
#define SQ_BROKER_BRIDGE_TOLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/bridge/bridge.h"
#include "core/buf.h"

/* What became of a message, of either half. */
enum sq_bridge_outcome {
	SQ_BRIDGE_OK,     /* out: the peer has it; in: it was published */
	SQ_BRIDGE_LATER,  /* not now: it is tried again; no attempt */
	SQ_BRIDGE_FAILED, /* out: an attempt */
	SQ_BRIDGE_DEAD,   /* a dead letter */
	SQ_BRIDGE_LOOP,   /* out: it has passed this bridge; in: it has passed this installation */
	SQ_BRIDGE_DUPLICATE, /* in: its key is known */
	SQ_BRIDGE_OUTCOMES,
};

struct sq_bridge_told {
	char *scope; /* of lines in the log: "bridge/NAME" */
	_Atomic uint64_t messages[SQ_BRIDGE_HALVES][SQ_BRIDGE_OUTCOMES];
	_Atomic uint64_t uncertain;   /* offers whose end is not known */
	_Atomic uint64_t dedup_early; /* keys that were forgotten younger than dedup.for says */
	_Atomic uint32_t out[SQ_BRIDGE_HALVES]; /* messages that are not done */
	atomic_bool has[SQ_BRIDGE_HALVES];      /* whether the bridge has that half */
	atomic_bool up[SQ_BRIDGE_HALVES];
	pthread_mutex_t lock; /* of what follows */
	struct {
		char why
		    [SQ_BRIDGE_DETAIL_MAX]; /* why it is down, or was last; "": nothing is known */
		uint64_t since_ms;          /* of 'up' as it is, since 1970; 0: from the start */
		char error[SQ_BRIDGE_DETAIL_MAX]; /* of a message, the last one; "": none yet */
		uint64_t error_ms;                /* since 1970 */
		/* The worker's alone: of what goes out. */
		bool fails; /* the log says that a message has failed, and none was taken since */
		uint64_t fails_ms; /* when that was said last; 0: never */
	} state[SQ_BRIDGE_HALVES];
};

/* 'scope' is copied. */
void sq_bridge_told_init(struct sq_bridge_told *, const char *scope);
void sq_bridge_told_fini(struct sq_bridge_told *);

/* Counts 'n' messages of a half. */
static inline void
sq_bridge_tell(
    struct sq_bridge_told *t, enum sq_bridge_half half, enum sq_bridge_outcome outcome, uint64_t n)
{
	atomic_fetch_add_explicit(&t->messages[half][outcome], n, memory_order_relaxed);
}

/* What went wrong with a message of a half last; cut to SQ_BRIDGE_DETAIL_MAX. */
void sq_bridge_tell_error(struct sq_bridge_told *, enum sq_bridge_half, const char *why);
/* The peer has taken a message that goes out, or has failed one, which is tried again, and why (NULL: no
 * reason is known).  Logs each change between the two, failures once a minute at most.  'now_ms': the
 * worker's clock.  Thread: the half's worker. */
void sq_bridge_tell_tried(struct sq_bridge_told *, bool taken, const char *why, uint64_t now_ms);
/* Whether messages of a half can end so. */
bool sq_bridge_outcome_is_of(enum sq_bridge_outcome, enum sq_bridge_half);
/* A half is up, or down, and why (NULL: nothing to say); logs it if that has changed, and keeps the last
 * reason. */
void sq_bridge_tell_state(struct sq_bridge_told *, enum sq_bridge_half, bool up, const char *why);
/* The half is closed: it is neither, without a line, and has nothing out. */
void sq_bridge_tell_closed(struct sq_bridge_told *, enum sq_bridge_half);

/* The word of an outcome, and of a half, in metrics and JSON. */
const char *sq_bridge_outcome_name(enum sq_bridge_outcome);
const char *sq_bridge_half_name(enum sq_bridge_half);
/* Appends members of a JSON object that say what is known of a half.  Thread: any. */
void sq_bridge_told_describe(struct sq_bridge_told *, enum sq_bridge_half, struct sq_buf *out);

#endif
