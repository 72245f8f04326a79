/* A call: a request of a peer on its way from a front to the owner of its session and back.
 *
 * The front allocates a call and keeps it until it is answered, also when the request has ended
 * meanwhile: a reset stream only drops the answer.  Each call is answered exactly once. */
#ifndef SQ_BROKER_PORT_CALL_H
#define SQ_BROKER_PORT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/verdict.h"
#include "core/block.h"
#include "core/buf.h"
#include "core/list.h"
#include "core/task.h"
#include "proto/link/answer.h"
#include "proto/link/frame.h"
#include "proto/link/key.h"
#include "proto/link/subs.h"

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

/* The body of SQ_CALL_SUBSCRIPTIONS: 'n' entries, in a layout of the front's. */
struct sq_subs {
	struct sq_subs_head head;
	struct sq_bytes entries;
	uint16_t n;
	/* Takes the next of the 'n' entries; the front's.  Pure. */
	struct sq_sub (*next)(struct sq_bytes *entries);
};

/* The wait of a call whose answer is held back, so that its peer slows down.  Zeroed: none. */
struct sq_call_pace {
	struct sq_sink *sink; /* the sink to wait for; NULL: memory, or none */
	uint64_t since_ms;
	bool waits;
	bool answered; /* the answer is ready, and waits for the end of the wait */
};

/* The contents of a good answer.  Settlements, a detach and Subscriptions with a mark have none. */
union sq_call_out {
	struct sq_attached attached;
	struct sq_outcomes outcomes;
	struct sq_codes codes; /* of Subscriptions */
};

struct sq_call {
	struct sq_broker *broker; /* its broker, after it was handed over */
	struct sq_task task;      /* for the present holder of the call */
	struct sq_list node;      /* for the present holder, too */
	enum sq_call_kind kind;
	struct sq_key key;
	uint64_t key_hash;        /* sq_key_hash() of 'key': picks the owner */
	uint64_t epoch;           /* 0 for an attach */
	struct sq_outlet *outlet; /* the call's reference; its identity is the caller's */
	struct sq_block *body;    /* the call's reference, as long as 'in' is used */
	/* The decoded request, by kind: views into 'body'. */
	union {
		struct sq_attach attach;
		struct sq_batch batch;
		struct sq_settlements settle;
		struct sq_subs subs;
		struct sq_detach detach;
	} in;
	bool malformed; /* 'in' is invalid: the broker refuses the call in its turn */

	struct sq_call_pace pace; /* broker/shard/pace.c */

	/* The answer. */
	enum sq_verdict verdict;
	uint64_t last;          /* with GAP */
	unsigned retry_after_s; /* with a retryable verdict; 0: 1 */
	enum sq_full full;      /* with FULL: the kind, if a session has no room */
	enum sq_denied denied;  /* with DENIED: the reason */
	const char *detail;     /* static text for people, or NULL: the verdict's */
	union sq_call_out out;  /* with OK, by kind: views into 'store', for the front to encode */
	struct sq_buf store;    /* empty when the front hands the call over */

	/* Takes the answered call back; set by the front.  Thread: any worker. */
	void (*done)(struct sq_call *);
};

/* The bytes of the store from 'at' on: valid until more is appended. */
static inline struct sq_bytes
sq_call_stored(const struct sq_call *c, size_t at)
{
	size_t len = sq_buf_len(&c->store) - at;

	return len > 0 ? (struct sq_bytes){sq_buf_data(&c->store) + at, len} : (struct sq_bytes){0};
}

/* Hands the answered call back to its front; the caller must not use it afterwards.  Thread: any
 * worker. */
static inline void
sq_call_done(struct sq_call *c)
{
	c->done(c);
}

/* Answers with a verdict and static text for people, or NULL. */
static inline void
sq_call_answer(struct sq_call *c, enum sq_verdict verdict, const char *detail)
{
	c->verdict = verdict;
	c->detail = detail;
	sq_call_done(c);
}

static inline void
sq_call_refuse(struct sq_call *c, enum sq_verdict why)
{
	sq_call_answer(c, why, NULL);
}

#endif
