/* A call: a request of a peer on its way from a front to the owner of its session and back; that of a
 * publisher without a session (SQ_CALL_PUBLISH) goes to the worker that it names, and one about a named
 * queue (SQ_CALL_QUEUE, broker/port/queue.h) to the queue's, about a bridge (SQ_CALL_BRIDGE,
 * broker/port/bridge.h) to the bridge's.
 *
 * The front allocates a call and keeps it until it is answered, also when the request has ended
 * meanwhile: a reset stream only drops the answer.  Each call is answered exactly once. */
#ifndef SQ_BROKER_PORT_CALL_H
#define SQ_BROKER_PORT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/bridge.h"
#include "broker/port/queue.h"
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
struct sq_identity;
struct sq_msg;
struct sq_outlet;
struct sq_sink;

enum sq_call_kind {
	SQ_CALL_ATTACH,
	SQ_CALL_MESSAGES,
	SQ_CALL_SETTLEMENTS,
	SQ_CALL_SUBSCRIPTIONS,
	SQ_CALL_DETACH,
	SQ_CALL_PUBLISH,
	SQ_CALL_QUEUE,
	SQ_CALL_BRIDGE,
};

/* The body of SQ_CALL_SUBSCRIPTIONS: 'n' entries, in a layout of the front's. */
struct sq_subs {
	struct sq_subs_head head;
	struct sq_bytes entries;
	uint16_t n;
	/* Takes the next of the 'n' entries; the front's.  Pure. */
	struct sq_sub (*next)(struct sq_bytes *entries);
};

/* What a publisher without a session asks for beside the options in a message's properties. */
struct sq_publish_want {
	/* Where nobody subscribes, a message is refused and nothing of it is stored.  Not one that is
	 * retained, as it is kept for those who come; nor one that is delayed, which is routed when
	 * it is due. */
	bool require_match;
};

/* The body of SQ_CALL_PUBLISH: messages of a peer that has no session, in their order.  Such a call
 * has no outlet, no key and no epoch; it is carried out on the worker that 'worker' names, where it
 * is handed over, so that calls that follow each other keep their order.  All that it points to is
 * the front's until done(). */
struct sq_call_publish {
	const struct sq_identity *who; /* the caller */
	unsigned worker;               /* index of the worker */
	uint16_t n;                    /* messages, at least 1 */
	const char *space;             /* name of the tenant; NULL: the caller's own, of one */
	/* Images that sq_image_check() takes, of topics in UTF-8 and valid property blocks. */
	const struct sq_msg *msgs;
	const struct sq_publish_want *wants; /* of each message; NULL: nothing */
	/* All messages are published, in one transaction, or none: broker/publish/together.h. */
	bool atomic;
};

/* What became of a message. */
enum sq_published_how {
	SQ_PUBLISHED_STORED,     /* in the queues that it matches, or retained */
	SQ_PUBLISHED_NO_MATCH,   /* taken, and nobody has it */
	SQ_PUBLISHED_REPLAYED,   /* its key is known: the first one is stored, and durable */
	SQ_PUBLISHED_SCHEDULED,  /* delayed, and durable */
	SQ_PUBLISHED_ACCEPTED,   /* QoS 0 */
	SQ_PUBLISHED_REFUSED,    /* with 'code', 'refusal' and 'note'; nothing of it is stored */
	SQ_PUBLISHED_KEY_REUSED, /* its key is known with another topic or payload; as REFUSED */
	/* Of an atomic list alone: */
	SQ_PUBLISHED_TOO_LARGE, /* with those before it, it fits into no transaction; as REFUSED */
	SQ_PUBLISHED_NOT, /* another message of the list was refused: nothing of it is stored */
};

struct sq_published {
	uint8_t code;     /* of MQTT 5 */
	uint8_t refusal;  /* enum sq_refusal */
	uint8_t how;      /* enum sq_published_how */
	uint32_t matched; /* queues of its space that have it now */
	/* The message's id: equal for all that come with its idempotency key, where it has one. */
	unsigned char id[16];
	struct sq_bytes note; /* text for people of a refusal, UTF-8, without payload; or empty */
	const char *queue;    /* of a refusal: the full queue; NULL: none */
};

/* The wait of a call whose answer is held back, so that its peer slows down.  Zeroed: none. */
struct sq_call_pace {
	struct sq_sink *sink; /* the sink to wait for; NULL: memory, or none */
	uint64_t since_ms;
	bool waits;
	bool answered; /* the answer is ready, and waits for the end of the wait */
};

/* The decoded request, by kind: views into the call's 'body'. */
union sq_call_in {
	struct sq_attach attach;
	struct sq_batch batch;
	struct sq_settlements settle;
	struct sq_subs subs;
	struct sq_detach detach;
	struct sq_call_publish publish;
	struct sq_call_queue queue;
	struct sq_call_bridge bridge;
};

/* The contents of a good answer.  Settlements, a detach and Subscriptions with a mark have none. */
union sq_call_out {
	struct sq_attached attached;
	struct sq_outcomes outcomes;
	struct sq_codes codes;                /* of Subscriptions */
	const struct sq_published *published; /* 'n' of a publish; committed, but for QoS 0 */
	struct sq_queue_out queue;            /* the front ends it by sq_queue_out_fini() */
	struct sq_bridge_answer bridge;       /* the same, by sq_bridge_answer_fini() */
};

struct sq_call {
	struct sq_broker *broker; /* its broker, after it was handed over */
	struct sq_task task;      /* for the present holder of the call */
	struct sq_list node;      /* for the present holder, too */
	enum sq_call_kind kind;
	const struct sq_key
	    *key;          /* the session's, the front's until done(); NULL: of PUBLISH and QUEUE */
	uint64_t key_hash; /* sq_key_hash() of 'key': picks the owner */
	uint64_t epoch;    /* 0 for an attach */
	/* The call's reference; its identity is the caller's.  NULL: of PUBLISH and QUEUE. */
	struct sq_outlet *outlet;
	struct sq_block *body; /* the call's reference, as long as 'in' is used */
	union sq_call_in in;
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
