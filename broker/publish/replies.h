/* Replies to requests: who has published a message and waits for the first answer (docs/http.md,
 * "Request").
 *
 *   sq_replies_open(): a topic, $reply/WORKER.SLOT.NONCE, which goes out as a response topic
 *     ──▶ a publish to it, of the same space ──▶ the wait's ended(), with the message
 *
 * Such a message is matched with no subscription, kept nowhere, and asked no rule: 128 bits that
 * nobody guesses prove that its publisher was asked.  What it says of retaining, delays, keys and
 * receipts does not count.  A second reply, and one that is late, has no receiver.  Thread: any, where
 * nothing else is said.  Locks: its own. */
#ifndef SQ_BROKER_PUBLISH_REPLIES_H
#define SQ_BROKER_PUBLISH_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"
#include "core/task.h"

struct sq_broker;
struct sq_publish;
struct sq_replies;
struct sq_worker;

enum {
	SQ_REPLIES_MAX = 4096,   /* that wait on one worker */
	SQ_REPLY_TOPIC_MAX = 64, /* bytes of a topic, with a NUL */
	SQ_REPLY_LOOK_MS = 1000, /* between two questions whether who waits is there */
};

enum sq_reply_end {
	SQ_REPLY_CAME,
	SQ_REPLY_NONE,     /* in time */
	SQ_REPLY_LEFT,     /* who waits is not there any more */
	SQ_REPLY_DRAINING, /* the broker ends: none comes any more */
};

/* Who waits.  Its owner's, zeroed, with the first members set, and kept until ended() has been called
 * or sq_replies_close() has said that it is not. */
struct sq_reply_wait {
	/* The end, on 'worker', in SQ_TURN_ANSWER; once. */
	void (*ended)(struct sq_reply_wait *);
	struct sq_worker *worker;
	uint64_t ends_ms; /* of sq_worker_now_ms() */
	/* Whether who waits is still there; NULL: it is.  On 'worker', with locks held: it calls nothing
	 * of this. */
	bool (*alive)(struct sq_reply_wait *);
	/* The end. */
	enum sq_reply_end end;
	struct sq_msg msg; /* a reference, the owner's to give back; of CAME */
	/* Its place; replies.c's. */
	struct sq_task task;
	struct sq_replies *all;
	uint64_t looked_ms;
	uint32_t slot;
};

struct sq_replies *sq_replies_new(struct sq_broker *, unsigned n_workers);
/* Nobody waits any more. */
void sq_replies_free(struct sq_replies **);

/* Waits for a message of the space (copied) to the topic that it writes.  SQ_ENOMEM: as many as may
 * wait do.  On the wait's worker. */
int sq_replies_open(struct sq_replies *, struct sq_reply_wait *, const char *space,
    char topic[SQ_REPLY_TOPIC_MAX]) SQ_MUST_CHECK;
/* Waits no more.  False: the end has come, and ended() follows.  On the wait's worker. */
bool sq_replies_close(struct sq_reply_wait *);

/* A message that is published below $reply; returns its outcome. */
uint8_t sq_replies_publish(struct sq_replies *, struct sq_publish *);

/* Ends those of a worker whose time is over, or who have left.  On that worker, each tick. */
void sq_replies_tick(struct sq_replies *, unsigned worker, uint64_t now_ms);
/* Ends all of a worker.  On that worker. */
void sq_replies_drain(struct sq_replies *, unsigned worker);

#endif
