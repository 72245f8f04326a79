/* A request of the link on its way from the HTTP front to the owner of its
 * session and back.
 *
 * The front allocates it and keeps it until it was answered, whether or not
 * the HTTP request still lives then: a stream that is reset takes only the
 * answer with it.  Each call is answered exactly once. */
#ifndef SQ_BROKER_PORT_CALL_H
#define SQ_BROKER_PORT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "web/worker.h"
#include "core/block.h"
#include "core/buf.h"
#include "core/list.h"
#include "proto/link/answer.h"
#include "proto/link/key.h"

struct sq_broker;
struct sq_outlet;
struct sq_sink;

enum sq_call_kind {
	SQ_CALL_ATTACH,
	SQ_CALL_MESSAGES,
	SQ_CALL_SETTLEMENTS,
	SQ_CALL_SUBSCRIPTIONS,
	SQ_CALL_DETACH,
};

struct sq_call {
	struct sq_broker *broker; /* whose it is, once it was handed over */
	struct sq_task task;      /* for whoever holds the call */
	struct sq_list node;      /* likewise */
	enum sq_call_kind kind;
	struct sq_key key;
	uint64_t key_hash;        /* sq_key_hash() of 'key': picks the owner */
	uint64_t epoch;           /* 0 for an attach */
	struct sq_outlet *outlet; /* the call's reference; its identity is the caller's */
	struct sq_block *body;    /* the call's reference; freed with the call */

	/* The broker's: see broker/shard/pace.h. */
	struct sq_sink *pace; /* what the answer waits for; NULL: memory, or nothing */
	uint64_t pace_ms;     /* since when */
	bool paces;           /* it waits */
	bool pace_answered;   /* it only waits for that */

	/* The answer. */
	unsigned status;           /* HTTP */
	enum sq_conflict conflict; /* with 409 */
	uint64_t last;             /* with SQ_CONFLICT_GAP */
	unsigned retry_after_s;    /* with 429 and 503 */
	enum sq_full full;         /* with 429, of a session for which there is no room */
	enum sq_denied denied;     /* with 403: why */
	const char *detail;        /* static text for the problem body, or NULL */
	struct sq_buf out;         /* body of a 200 */

	/* Set by the front that made the call; takes it back, answered.  Thread: any worker. */
	void (*done)(struct sq_call *);
};

/* Hands the answered call back to its front.  The caller must not touch it afterwards.
 * Thread: any worker. */
static inline void
sq_call_done(struct sq_call *c)
{
	c->done(c);
}

static inline void
sq_call_answer(struct sq_call *c, unsigned status, const char *detail)
{
	c->status = status;
	c->detail = detail;
	sq_call_done(c);
}

static inline void
sq_call_refuse(struct sq_call *c, enum sq_conflict why)
{
	c->conflict = why;
	sq_call_answer(c, 409, NULL);
}

#endif
