/* A request about a named queue: on its way to a call of the broker (broker/port/queue.h), and back.
 *
 * queue.c declares, shows and empties queues; pull.c takes messages out of them.  Many thousands of
 * these may wait, so what only some need is apart.  Thread: the connection's, but for done and alive. */
#ifndef SQ_BROKER_FRONT_HTTP_ASKED_H
#define SQ_BROKER_FRONT_HTTP_ASKED_H

#include "broker/front/door/pending.h"
#include "broker/front/door/presence.h"
#include "broker/front/http/mapping.h"
#include "broker/front/http/part.h"
#include "broker/front/http/settle.h"

enum sq_http_form { SQ_HTTP_FORM_JSON, SQ_HTTP_FORM_EVENTS, SQ_HTTP_FORM_RAW };

/* What a request said beside the path, of those that say something. */
struct sq_http_said {
	struct sq_buf body; /* the bytes that the rest has views of */
	struct sq_http_settle settle;
	struct sq_lease_entry entry;
	struct sq_declaration decl;
	bool declares; /* 'decl' is there */
	char *filter, *tag, *id;
};

struct sq_http_ask {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_presence presence; /* of one that waits */
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	/* Answers a call that went well. */
	void (*answer)(struct sq_http_ask *, h2o_req_t *);
	struct sq_http_said *said; /* NULL: nothing */
	enum sq_http_form form;
	bool waits;
	char *texts[2]; /* the queue's name, and LIST's place; NULL: none */
	char *space;    /* NULL: the caller's own */
};

/* Makes the call of a request, and says who answers; SQ_EINVAL: see the fault. */
typedef int sq_http_prepare(
    struct sq_http_ask *, h2o_req_t *, const struct sq_http_route *, struct sq_http_fault *);

/* Carries out a request about a queue whose call 'prepare' makes. */
void sq_http_ask(struct sq_http_request *, struct sq_conn *, h2o_req_t *,
    const struct sq_http_route *, const struct sq_identity *who, sq_http_prepare *prepare);
/* What the request says; made at the first time. */
struct sq_http_said *sq_http_ask_said(struct sq_http_ask *);
/* The queue's part of the call. */
static inline struct sq_call_queue *
sq_http_ask_in(struct sq_http_ask *a)
{
	return &a->call.in.queue;
}

#endif
