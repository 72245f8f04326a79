/* The structs of push, for its files alone:
 *
 *   pushes.c    all of a broker, what named queues call, and ticks
 *   push.c      the push of one queue: whether it asks for messages, and how many times
 *   send.c      from messages to a request that is sent
 *   settle.c    from an answer to a settlement
 *   told.c      what others are told of it: GET, metrics
 *   consent.c   whether the target wants pushes at all
 *   reply.c     the reply that an answer has
 *   proof.c     secrets, by which requests prove who pushes
 *   test.c      SQ_QUEUE_TEST
 *   trip.c      requests of HTTP, out and back
 *   request.c   requests: what each has, and where it is
 *   conf.c      what requests are made by, as long as one is out
 *
 * Each calls those below it.  On the worker that owns the queue, but where it is said. */
#ifndef SQ_BROKER_PUSH_PUSH_PRIV_H
#define SQ_BROKER_PUSH_PUSH_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/push/answer.h"
#include "broker/push/breaker.h"
#include "broker/push/message.h"
#include "broker/push/policy.h"
#include "broker/push/push.h"
#include "broker/push/rate.h"
#include "broker/push/secrets.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/taker.h"
#include "broker/subscriber/user.h"
#include "core/list.h"
#include "core/task.h"
#include "net/curl/out.h"

struct sq_push;

enum { SQ_PUSH_ANSWER_MAX = 64 << 10 }; /* bytes of an answer that is no reply */

enum sq_push_proof_of {
	SQ_PUSH_PROOF_BEARER,
	SQ_PUSH_PROOF_BASIC,
	SQ_PUSH_PROOF_VALUE,
	SQ_PUSH_PROOF_CERT,
	SQ_PUSH_PROOF_SIGN,
	SQ_PUSH_PROOFS,
};

/* Secrets as they are now: references. */
struct sq_push_proof {
	const struct sq_secret_value *v[SQ_PUSH_PROOFS]; /* NULL: none is named */
};

/* What requests are made by: a copy of the declaration, unchanged as long as one of them is out. */
struct sq_push_conf {
	struct sq_pushes *all;
	unsigned refs;                     /* on the worker */
	const struct sq_declaration *decl; /* a reference */
	enum sq_push_validate validate;    /* what it says, or what is required of it */
	char *space, *queue;
	struct sq_out_way way;
	uint64_t policy_version;       /* that says whether its host is trusted */
	char *host, *origin;           /* "https://host:443" */
	const struct sq_identity *who; /* with whose rights replies are published; NULL: none are */
	struct sq_breaker *breaker;
	struct sq_breaker_cfg breaker_cfg;
	struct {
		bool named; /* some are */
		struct sq_secret *v[SQ_PUSH_PROOFS];
		const struct sq_secret_value *cert; /* of 'way' */
	} proofs;
};

enum sq_push_at {
	SQ_PUSH_IDLE, /* of the pool */
	SQ_PUSH_ASKING,
	SQ_PUSH_OUT,
	SQ_PUSH_SETTLING,
	SQ_PUSH_AGAIN, /* its settlement waits to be tried again */
	SQ_PUSH_ATS,
};

/* The messages of a request. */
struct sq_push_taken {
	struct sq_taken *v;
	struct sq_msg *msgs; /* references of its own, to which 'v' points */
	struct sq_taker_outcome *outcomes;
	size_t n, room;
};

/* A request of HTTP on its way out and back. */
struct sq_push_trip {
	struct sq_out_request out;
	struct sq_push *push;
	void (*back)(struct sq_push_trip *); /* on the worker */
	struct sq_list node;                 /* of the push's */
	struct sq_list done;                 /* of the part's */
	bool is_done;                        /* under the part's lock */
};

struct sq_push_request {
	struct sq_push_trip trip;
	struct sq_push *push;
	enum sq_push_at at;
	struct sq_list node; /* of the push's requests that are 'at' the same */
	bool probe;          /* of the breaker */
	struct sq_taker_ask ask;
	struct sq_push_conf *conf; /* a reference, while it is neither idle nor asking */
	struct sq_push_taken taken;
	struct sq_push_message message;
	struct sq_push_judged judged;
	struct sq_taker_settlement settlement;
	uint64_t again_ms;
	bool blocked; /* there was no room for its reply, which waits */
};

/* Validation: the target is asked whether it wants pushes (CloudEvents, HTTP 1.1 Web Hooks, section 4). */
struct sq_push_consent {
	struct sq_push_trip trip;
	struct sq_push_conf *conf; /* of the trip */
	char *asked;               /* the URL of the trip */
	char *url;
	bool asking, given;
	bool over;         /* it is not wanted any more, and goes when the trip is back */
	unsigned refused;  /* times in a row */
	uint32_t rate;     /* given with it: requests a minute; 0: any number */
	uint64_t given_ms; /* since 1970 */
	uint64_t again_ms; /* not before */
};

/* Of one worker. */
struct sq_push_part {
	struct sq_pushes *all;
	struct sq_worker *worker;
	struct sq_list list;  /* struct sq_push.of_part */
	pthread_mutex_t lock; /* of the next two */
	struct sq_list done;  /* struct sq_push_trip.done */
	bool posted;
	struct sq_task task;
};

enum sq_push_outcome {
	SQ_PUSH_COUNT_OK,
	SQ_PUSH_COUNT_PARTLY,
	SQ_PUSH_COUNT_FAILED,
	SQ_PUSH_COUNT_LATER,
	SQ_PUSH_COUNT_REFUSED,
	SQ_PUSH_COUNT_CANCELLED,
	SQ_PUSH_COUNTS,
};

/* What others are told, on any thread. */
struct sq_push_told {
	_Atomic uint64_t requests[SQ_PUSH_COUNTS];
	_Atomic uint32_t out;
	atomic_bool on, paused;             /* on: something is pushed at all */
	pthread_mutex_t lock;               /* of what follows */
	unsigned last_status;               /* 0: none yet, or no answer */
	char *last_error;                   /* NULL: none yet */
	uint64_t last_ok_ms, last_error_ms; /* since 1970 */
	uint64_t waits_until_ms;            /* since 1970; 0: by no clock */
	const char *consent;                /* static; NULL: none is asked for */
	const char *waits;                  /* why it asks for nothing; static; NULL: it asks */
	enum sq_breaker_state breaker;
};

/* Why it asks for nothing just now. */
struct sq_push_holds {
	uint64_t until_ms; /* Retry-After */
	unsigned busy;     /* answers in a row that the target is busy */
	uint64_t look_ms;  /* when it looks again; UINT64_MAX: when something happens */
	bool unproven;     /* a secret is not there, which was said */
	bool away;         /* what sends is not, which was said */
	bool used;         /* something was pushed since its memory was let go of */
	uint64_t quiet_ms; /* when something happened last */
	unsigned blocked;  /* requests that are */
	unsigned tests;    /* that are out */
};

/* The push of one queue. */
struct sq_push {
	struct sq_pushes *all;
	struct sq_push_part *part;
	struct sq_subscriber *s; /* NULL: the queue is served no more */
	struct sq_pull *pull;    /* of it, as long as it is there */
	struct sq_broker *broker;
	struct sq_list of_part, of_all;
	uint64_t id;                     /* of the queue's group */
	bool stored;                     /* the queue is */
	struct sq_push_consent *consent; /* NULL: none is wanted */
	char *scope;                     /* of its log lines: "push/SPACE/NAME" */
	struct sq_push_conf *conf;       /* NULL: nothing is pushed from now on */
	/* Something of it has come to an end: it may ask for more, or go, which frees it. */
	void (*changed)(struct sq_push *);
	struct sq_taker taker;
	bool joined, paused;
	bool looking; /* see sq_push_look() */
	struct sq_rate rate;
	struct sq_push_holds holds;
	struct sq_list trips; /* struct sq_push_trip.node: out, or on its way back */
	struct {
		struct sq_list list;
		unsigned n;
	} at[SQ_PUSH_ATS];
	struct sq_push_told told;
};

/* The queue asks for nothing until then, on the clock of workers. */
static inline void
sq_push_hold(struct sq_push *p, uint64_t until_ms)
{
	if (until_ms > p->holds.until_ms)
		p->holds.until_ms = until_ms;
}

struct sq_pushes {
	struct sq_broker *broker;
	struct sq_push_cfg cfg;
	struct sq_breakers *breakers;
	struct sq_push_part *parts; /* by the index of the worker */
	struct sq_subscribers_user user;
	pthread_mutex_t lock; /* of 'list' */
	struct sq_list list;  /* struct sq_push.of_all */
	pthread_mutex_t policy_lock;
	struct sq_push_policy *policy;
	_Atomic uint64_t policy_version;
	struct sq_list
	    consents; /* of the store, of queues that are still to be declared at the start */
	bool loading; /* at the start */
};

/* conf.c */

/* A reference to the policy that is in force.  Thread: any.  Locks: its own. */
struct sq_push_policy *sq_push_policy_now(struct sq_pushes *);

/* A reference to that of a declaration. */
struct sq_push_conf *sq_push_conf_new(struct sq_pushes *, const struct sq_subscriber *);
struct sq_push_conf *sq_push_conf_ref(struct sq_push_conf *);
void sq_push_conf_unref(struct sq_push_conf **);

/* told.c */

/* Why it asks for nothing, and until when on the clock of workers (0: by no clock); NULL: it asks. */
void sq_push_tell_waits(struct sq_push *, const char *why, uint64_t until_ms, uint64_t now_ms);
/* How a request has ended; 'status' 0: without one. */
void sq_push_tell_end(struct sq_push *, const struct sq_push_judged *, unsigned status);
/* Nothing is posted for a reason of the broker's own: the last error for who asks. */
void sq_push_tell_error(struct sq_push *, const struct sq_buf *why);
/* Thread: any.  Locks: its own. */
void sq_push_describe(struct sq_push *, struct sq_buf *out);

/* proof.c */

void sq_push_proofs_open(struct sq_push_conf *);
void sq_push_proofs_close(struct sq_push_conf *);
/* What secrets are now; to be put back.  SQ_EAGAIN, SQ_ENOTFOUND with a reason: one is not there. */
int sq_push_proof_get(
    struct sq_push_conf *, struct sq_push_proof *out, struct sq_buf *why) SQ_MUST_CHECK;
void sq_push_proof_put(struct sq_push_proof *);
/* By what messages are made, as long as both are there. */
struct sq_push_message_cfg
sq_push_proven(const struct sq_push_conf *, const struct sq_push_proof *);

/* test.c */

/* Takes the call over. */
void sq_push_test(struct sq_push *, struct sq_call *);

/* request.c */

/* Moves the request: the one place that writes 'at'. */
void sq_push_request_set(struct sq_push_request *, enum sq_push_at);
struct sq_push_request *sq_push_request_new(struct sq_push *);
/* One that is idle. */
void sq_push_request_free(struct sq_push_request *);
/* It has these messages from now on. */
void sq_push_request_fill(struct sq_push_request *, const struct sq_taken *, size_t n);
/* Lets go of all that it has; idle from now on. */
void sq_push_request_over(struct sq_push_request *);

/* trip.c */

/* Fills 't->out' with a message, which is good until it is emptied. */
void sq_push_trip_post(struct sq_push_trip *, const struct sq_push_conf *,
    const struct sq_push_message *, size_t max_answer);
/* Wipes the answer of what was posted; it may be filled again. */
void sq_push_trip_empty(struct sq_push_trip *);
/* Sends 't->out', which is filled but for 'done'; 't->back' follows. */
void sq_push_trip_send(struct sq_push_trip *, struct sq_out *);
/* Has those that are out come back soon. */
void sq_push_trips_cancel(struct sq_push *);
/* Those that are back, on the part's worker. */
void sq_push_part_done(struct sq_task *);

/* send.c */

/* Makes the request of what was taken, and sends it; or settles it at once. */
void sq_push_send(struct sq_push_request *, const struct sq_taken *, size_t n);

/* settle.c */

/* Says of all its messages LATER, untried, in 'delay_ms'. */
void sq_push_untried(struct sq_push_request *, uint64_t delay_ms);
/* An answer, or that there was none. */
void sq_push_answered(struct sq_push_trip *);
/* Message 'culprit' can't be mapped. */
void sq_push_unmapped(struct sq_push_request *, size_t culprit, const struct sq_buf *why);
void sq_push_settled(struct sq_taker *, struct sq_taker_settlement *);
/* Tries settlements again. */
void sq_push_settle_again(struct sq_push *, uint64_t now_ms);

/* consent.c */

/* Reads what the store has; at the start. */
void sq_push_consents_load(struct sq_pushes *);
void sq_push_consents_free(struct sq_pushes *);
/* Forgets what is of queues that are not there.  On a worker, when it has its queues. */
void sq_push_consents_sweep(struct sq_pushes *);
/* Takes up what the declaration wants. */
void sq_push_consent_declared(struct sq_push *);
/* Whether pushes wait for it. */
bool sq_push_consent_holds(const struct sq_push *);
/* When a target that does not consent is asked again; 0: it is being asked. */
uint64_t sq_push_consent_again_ms(const struct sq_push *);
/* Sets the rate that declaration and consent say. */
void sq_push_set_rate(struct sq_push *);
/* Asks, if it is time. */
void sq_push_consent_look(struct sq_push *, uint64_t now_ms);
/* The queue has ended. */
void sq_push_consent_ended(struct sq_push *);
void sq_push_consent_free(struct sq_push *);

/* reply.c */

bool sq_push_wants_reply(const struct sq_declared_push *);
/* Puts the reply into the settlement, if the answer has one.  'detail' of what was judged says why what
 * it has is none; then the settlement goes without. */
void sq_push_reply_put(struct sq_push_request *);

/* push.c */

/* Takes up the declaration, and whether the queue is paused, as they are. */
void sq_push_declared(struct sq_push *);
/* Asks for as many messages as may go now, or for none.  Called when that may have changed. */
void sq_push_look(struct sq_push *);
struct sq_push *sq_push_new(struct sq_pushes *, struct sq_subscriber *);
void sq_push_ended(struct sq_push *);
void sq_push_tick(struct sq_push *, uint64_t now_ms);

#endif
