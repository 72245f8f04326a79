/* Calls of one half of a bridge, and whether its queues can be asked.
 *
 *   queue:  asked ──answer──▶ open ──fault──▶ waits (backoff) ──▶ asked ...
 *
 * A queue is asked for its URL at first, and again after each fault but a refused message: of that it is seen
 * whether the peer is there when nobody sends.  One that was denied is up when a call of the user's has
 * been answered.  All on the bridge's worker; done() of libcurl's thread only posts. */
#ifndef SQ_BROKER_BRIDGE_SQS_CLIENT_H
#define SQ_BROKER_BRIDGE_SQS_CLIENT_H

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/sqs/calls.h"
#include "broker/bridge/sqs/place.h"
#include "core/task.h"
#include "net/curl/out.h"

struct sq_sqs_client;

enum sq_sqs_open { SQ_SQS_ASKED, SQ_SQS_OPEN, SQ_SQS_WAITS };

struct sq_sqs_queue {
	struct sq_sqs_place place; /* 'url' is there once it was open */
	enum sq_sqs_open open;
	/* The client's. */
	uint64_t due_ms;  /* of WAITS */
	uint64_t slow_ms; /* throttled until then */
	unsigned failures;
	bool known, down, proof; /* up or down was said; a call has to prove that it is up */
	bool asking;             /* whether it is there: that call is under way */
	char why[SQ_BRIDGE_DETAIL_MAX];
};

struct sq_sqs_client_cfg {
	const struct sq_bridge_env *env;
	const struct sq_bridge_cfg *bridge;
	enum sq_bridge_half half;
	/* A queue can be asked now, or can't any more; after sq_sqs_client_stop(): no call is out any more,
	 * and the client may be freed. */
	void (*changed)(void *arg);
	void *arg;
};

/* Opens the queues of the half's rules.  NULL with a line in 'err'. */
struct sq_sqs_client *sq_sqs_client_open(const struct sq_sqs_client_cfg *, struct sq_buf *err);
/* No call is out. */
void sq_sqs_client_free(struct sq_sqs_client **);
/* The queue of a rule of the half; of rules that name the same it is the same. */
struct sq_sqs_queue *sq_sqs_client_queue(struct sq_sqs_client *, unsigned rule);
/* Whether the queue can be asked now. */
bool sq_sqs_queue_ready(const struct sq_sqs_queue *);
/* Milliseconds until what was put off is worth another try, drawn at random; more after each failure. */
uint32_t sq_sqs_queue_patience(const struct sq_sqs_queue *);
/* Asks no more by itself, and takes no new calls. */
void sq_sqs_client_stop(struct sq_sqs_client *);
/* Ends the calls that are out soon; those of RECEIVE alone, or all. */
void sq_sqs_client_cancel(struct sq_sqs_client *, bool receives_alone);
unsigned sq_sqs_client_calls(const struct sq_sqs_client *);
/* Appends members of a JSON object. */
void sq_sqs_client_status(const struct sq_sqs_client *, struct sq_buf *json_members);

/* A call, made zeroed. */
struct sq_sqs_call {
	enum sq_sqs_action action;
	struct sq_sqs_queue *queue;
	struct sq_buf body;
	unsigned timeout_ms;
	size_t max_answer;
	/* Reads 'answer' where SQS says that all is well; false: that is no answer of it.  NULL: any is. */
	bool (*good)(struct sq_sqs_call *);
	/* What became of it; 'answer' is good until it returns.  It may free the call. */
	void (*ended)(struct sq_sqs_call *);
	struct sq_sqs_said said;
	bool large; /* UNSURE, for the answer is larger than that */
	struct sq_bytes answer;
	void *arg;
	/* The client's. */
	struct sq_sqs_client *client;
	struct sq_out_request req;
	struct sq_task task;
	struct sq_list node;
};

/* Sends it; ended() follows, in a later turn.  SQ_EAGAIN: the queue can't be asked just now. */
int sq_sqs_call_send(struct sq_sqs_client *, struct sq_sqs_call *) SQ_MUST_CHECK;
/* Frees what is in it; it may be used again. */
void sq_sqs_call_fini(struct sq_sqs_call *);

/* Answers in a row that brought nothing, and did so at once: of a server that does not wait, or sends what
 * is damaged. */
struct sq_sqs_vain {
	unsigned n;
	uint64_t until_ms; /* it is not asked before */
};

void sq_sqs_vain(struct sq_sqs_vain *, bool in_vain);

#endif
