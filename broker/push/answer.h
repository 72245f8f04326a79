/* What an answer means for the messages of a request, as a table says (docs/push.md, "Answers").
 * Pure.  Thread: any. */
#ifndef SQ_BROKER_PUSH_ANSWER_H
#define SQ_BROKER_PUSH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/subscriber/taker.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "net/curl/out.h"
#include "proto/declaration/push.h"

enum sq_push_verdict {
	SQ_PUSH_OK,
	SQ_PUSH_PARTLY, /* of a batch: some may have failed, see sq_push_failures() */
	SQ_PUSH_FAILED, /* an attempt */
	SQ_PUSH_LATER,  /* the target is busy, or nothing was sent: no attempt */
	SQ_PUSH_NEVER,  /* a dead letter, see 'why' */
	SQ_PUSH_PAUSE,  /* no attempt; the queue is paused */
};

struct sq_push_judged {
	enum sq_push_verdict verdict;
	bool unseen;       /* the origin was not asked: nothing is known of it */
	bool healthy;      /* it works: for the breaker */
	uint64_t after_ms; /* Retry-After of 429 and 503, for all of the queue; 0: none is said */
	enum sq_taker_never why; /* NEVER */
	char detail[160];        /* "status 503", "timeout": for logs, dead letters, GET */
};

/* Judges an ended request of messages.  'now_s': since 1970, for Retry-After as a date. */
struct sq_push_judged
sq_push_judge(const struct sq_declared_push *, const struct sq_out_request *, int64_t now_s);

/* The body {"batchItemFailures":[{"itemIdentifier":"id"}]} of a 2xx: calls 'failed' for each event that
 * has one of the ids.  'ids': those of the batch's 'n' events, each with a NUL behind it.  SQ_ENOTFOUND:
 * it is no such body, all were taken.  SQ_EINVAL: it is one, but does not read, or names what is no
 * event of the batch: all have failed, whatever failed() was called for. */
int sq_push_failures(struct sq_bytes body, struct sq_bytes ids, size_t n,
    void (*failed)(void *arg, size_t i), void *arg) SQ_MUST_CHECK;

/* Reads a value of Retry-After, seconds or a date (RFC 9110 §10.2.3): milliseconds from 'now_s' on.
 * SQ_EINVAL: it is none. */
int sq_push_retry_after(struct sq_bytes text, int64_t now_s, uint64_t *ms) SQ_MUST_CHECK;

#endif
