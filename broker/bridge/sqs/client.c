#include "broker/bridge/sqs/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "net/cred/cred.h"
#include "web/worker.h"

enum {
	CALL_MS = 15000,      /* for GetQueueUrl */
	CALL_ANSWER = 65536,  /* bytes of its answer */
	CREDENTIALS_MS = 100, /* until credentials are looked at again that are being fetched */
	BACKOFF_MIN_MS = 200, /* the bound of the first wait; each failure doubles it */
	BACKOFF_MAX_MS = 15000,
	VAIN_MS = 100, /* after an answer in vain; each next one doubles it */
	VAIN_MAX_MS = 1000,
	PROBES = 2, /* faults that may pass, before a queue counts as away */
	LARGES = 6, /* the same of answers that are too large: less is asked for each time */
};

#define SERVICE "sqs"
#define CONTENT_TYPE "application/x-amz-json-1.0"

struct sq_sqs_client {
	struct sq_sqs_client_cfg cfg;
	struct sq_out *out;
	struct sq_out_way way;
	struct sq_cred *cred;
	struct sq_sqs_queue *queues; /* different ones */
	struct sq_sqs_call *probes;  /* of each */
	size_t n_queues;
	unsigned *of_rule; /* the index of its queue */
	struct sq_list calls;
	unsigned n_calls;
	struct sq_alarm alarm;
	bool stopped, said, up;
};

/* --- up and down --- */

/* Says it once it changes: up when all queues are, down when one is. */
static void
client_say(struct sq_sqs_client *c)
{
	const char *why = NULL;
	bool all = true;

	for (size_t i = 0; i < c->n_queues; i++) {
		if (c->queues[i].down && why == NULL)
			why = c->queues[i].why;
		all = all && c->queues[i].known;
	}
	if ((why == NULL && !all) || (c->said && c->up == (why == NULL)))
		return;
	c->said = true;
	c->up = why == NULL;
	c->cfg.env->state(c->cfg.env->owner, c->cfg.half, c->up, why);
}

static void
queue_up(struct sq_sqs_client *c, struct sq_sqs_queue *q)
{
	q->known = true;
	q->down = q->proof = false;
	client_say(c);
}

static void
queue_down(struct sq_sqs_client *c, struct sq_sqs_queue *q, const char *why)
{
	(void)snprintf(q->why, sizeof q->why, "queue %s: %s", q->place.name, why);
	q->known = q->down = true;
	client_say(c);
}

/* --- time --- */

static uint32_t
client_backoff(unsigned failures)
{
	uint64_t bound = BACKOFF_MIN_MS;

	while (failures-- > 1 && bound < BACKOFF_MAX_MS)
		bound *= 2;
	if (bound > BACKOFF_MAX_MS)
		bound = BACKOFF_MAX_MS;
	return 1 + (uint32_t)(sq_random_u64() % bound);
}

static void
client_arm(struct sq_sqs_client *c)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < c->n_queues; i++) {
		const struct sq_sqs_queue *q = &c->queues[i];
		uint64_t at = q->open == SQ_SQS_WAITS ? q->due_ms : q->slow_ms;

		if (at != 0 && at < due)
			due = at;
	}
	if (due == UINT64_MAX || c->stopped)
		sq_worker_alarm_off(&c->alarm);
	else
		sq_worker_alarm(&c->alarm, due);
}

static void
queue_wait(struct sq_sqs_client *c, struct sq_sqs_queue *q, uint32_t ms)
{
	bool was = q->open == SQ_SQS_OPEN;

	q->open = SQ_SQS_WAITS;
	q->due_ms = sq_clock_ms() + ms;
	client_arm(c);
	if (was && !c->stopped)
		c->cfg.changed(c->cfg.arg);
}

bool
sq_sqs_queue_ready(const struct sq_sqs_queue *q)
{
	return q->open == SQ_SQS_OPEN && q->slow_ms == 0;
}

uint32_t
sq_sqs_queue_patience(const struct sq_sqs_queue *q)
{
	return client_backoff(q->failures + 1);
}

void
sq_sqs_vain(struct sq_sqs_vain *v, bool in_vain)
{
	uint64_t ms = (uint64_t)VAIN_MS << (v->n < 4 ? v->n : 4);

	v->n = in_vain ? v->n + 1 : 0;
	if (in_vain)
		v->until_ms = sq_clock_ms() + (ms < VAIN_MAX_MS ? ms : VAIN_MAX_MS);
}

/* --- calls --- */

/* Thread: sq_out's. */
static void
call_done(struct sq_out_request *req)
{
	struct sq_sqs_call *call = SQ_CONTAINER_OF(req, struct sq_sqs_call, req);
	const struct sq_bridge_env *env = call->client->cfg.env;

	env->post(env->owner, &call->task);
}

/* What became of a request; one that was never sent is certain. */
static void
call_read(struct sq_sqs_call *call)
{
	const struct sq_out_request *req = &call->req;

	call->answer = sq_buf_bytes(&req->answer);
	call->large = req->end == SQ_OUT_TOO_LARGE;
	if (req->end == SQ_OUT_ANSWERED) {
		sq_sqs_read_fault(req->status, call->answer, &call->said);
		if (call->said.fault == SQ_SQS_DONE && call->good != NULL && !call->good(call))
			call->said = (struct sq_sqs_said){
			    .fault = SQ_SQS_UNSURE, .code = "what answers is not SQS"};
		return;
	}
	call->said = (struct sq_sqs_said){.fault = SQ_SQS_UNSURE};
	if (req->end == SQ_OUT_UNREACHABLE || req->end == SQ_OUT_FORBIDDEN ||
	    req->end == SQ_OUT_INVALID || req->end == SQ_OUT_CROWDED)
		call->said.fault = SQ_SQS_AWAY;
	(void)snprintf(call->said.code, sizeof call->said.code, "%s", sq_out_end_name(req->end));
}

/* Why, for people. */
static const char *
call_why(const struct sq_sqs_call *call)
{
	return call->req.end != SQ_OUT_ANSWERED && call->req.why[0] != '\0' ? call->req.why
									    : call->said.code;
}

/* Who may send, or receive, need not be allowed to ask for a URL that is known. */
static bool
queue_let_be(const struct sq_sqs_call *call)
{
	return call->action == SQ_SQS_QUEUE_URL && call->said.fault == SQ_SQS_DENIED &&
	    call->queue->place.url != NULL;
}

/* It is asked less often. */
static void
queue_slow(struct sq_sqs_client *c, struct sq_sqs_queue *q)
{
	q->failures++;
	q->slow_ms = sq_clock_ms() + client_backoff(q->failures);
	client_arm(c);
}

/* The outcome of a call is not known. */
static void
queue_unsure(struct sq_sqs_client *c, const struct sq_sqs_call *call)
{
	struct sq_sqs_queue *q = call->queue;

	if (call->large)
		queue_slow(c, q);
	else
		q->failures++;
	if (q->failures > (call->large ? LARGES : PROBES)) {
		q->proof = true;
		queue_down(c, q, call_why(call));
	}
	if (!call->large)
		queue_wait(c, q, client_backoff(q->failures));
}

/* What a fault says of the queue. */
static void
call_note(struct sq_sqs_client *c, const struct sq_sqs_call *call)
{
	struct sq_sqs_queue *q = call->queue;
	const enum sq_sqs_fault fault = call->said.fault;
	const bool probe = call->action == SQ_SQS_QUEUE_URL;

	if (c->stopped || call->req.end == SQ_OUT_CANCELLED || queue_let_be(call))
		return;
	switch (fault) {
	case SQ_SQS_DONE:
		if (!probe) {
			q->failures = 0;
			queue_up(c, q);
		}
		break;
	case SQ_SQS_MESSAGE:
	case SQ_SQS_LARGE:
	case SQ_SQS_GONE:
		break;
	case SQ_SQS_THROTTLED:
		queue_slow(c, q);
		break;
	case SQ_SQS_UNSURE:
		queue_unsure(c, call);
		break;
	default:
		q->failures++;
		q->proof = fault == SQ_SQS_DENIED || fault == SQ_SQS_REFUSED;
		queue_down(c, q, call_why(call));
		queue_wait(c, q, client_backoff(q->failures));
	}
}

static void
call_run(struct sq_task *task)
{
	struct sq_sqs_call *call = SQ_CONTAINER_OF(task, struct sq_sqs_call, task);
	struct sq_sqs_client *c = call->client;

	sq_list_remove(&call->node);
	c->n_calls--;
	call_read(call);
	call_note(c, call);
	call->ended(call);
	if (c->stopped && c->n_calls == 0)
		c->cfg.changed(c->cfg.arg);
}

static int
call_prepare(struct sq_sqs_client *c, struct sq_sqs_call *call, const struct sq_cred_value *who)
{
	const struct sq_out_signer signer = {.region = call->queue->place.region,
	    .service = SERVICE,
	    .key_id = who->key_id,
	    .secret = who->secret,
	    .token = who->token};
	struct sq_out_request *req = &call->req;
	int rc;

	sq_out_request_fini(req);
	req->url = call->queue->place.base;
	req->method = "POST";
	req->body = sq_buf_bytes(&call->body);
	req->way = &c->way;
	req->timeout_ms = call->timeout_ms;
	req->max_answer = call->max_answer;
	req->done = call_done;
	rc = sq_out_header(req, "Content-Type", sq_bytes_of(CONTENT_TYPE));
	if (rc == SQ_OK)
		rc = sq_out_header(req, "X-Amz-Target", sq_bytes_of(sq_sqs_target(call->action)));
	return rc == SQ_OK ? sq_out_sign(req, &signer) : rc;
}

/* Sends what may be sent: with credentials. */
static int
call_out(struct sq_sqs_client *c, struct sq_sqs_call *call)
{
	struct sq_sqs_queue *q = call->queue;
	const struct sq_cred_value *who = NULL;
	struct sq_buf why = {0};
	int rc = sq_cred_get(c->cred, &who, &why);

	if (rc == SQ_OK && call_prepare(c, call, who) != SQ_OK) {
		sq_buf_printf(&why, "the credentials have characters that none have");
		rc = SQ_EINVAL;
	}
	sq_cred_value_put(&who);
	if (rc == SQ_OK) {
		call->client = c;
		call->task.run = call_run;
		sq_list_init(&call->node);
		sq_list_push_back(&c->calls, &call->node);
		c->n_calls++;
		sq_out_send(c->out, &call->req);
	} else if (rc == SQ_EAGAIN) {
		queue_wait(c, q, CREDENTIALS_MS);
	} else {
		sq_buf_u8(&why, '\0');
		q->failures++;
		queue_down(c, q, (const char *)sq_buf_data(&why));
		queue_wait(c, q, client_backoff(q->failures));
	}
	sq_buf_fini(&why);
	return rc == SQ_OK ? SQ_OK : SQ_EAGAIN;
}

int
sq_sqs_call_send(struct sq_sqs_client *c, struct sq_sqs_call *call)
{
	/* While it closes what is taken is still told. */
	if (call->queue->place.url == NULL || (!c->stopped && !sq_sqs_queue_ready(call->queue)))
		return SQ_EAGAIN;
	return call_out(c, call);
}

void
sq_sqs_call_fini(struct sq_sqs_call *call)
{
	sq_out_request_fini(&call->req);
	sq_buf_fini(&call->body);
}

/* --- whether a queue is there --- */

static void
queue_open(struct sq_sqs_client *c, struct sq_sqs_queue *q)
{
	q->open = SQ_SQS_OPEN;
	q->due_ms = 0;
	if (!q->proof)
		queue_up(c, q);
	c->cfg.changed(c->cfg.arg);
}

/* The answer to the question for a queue's URL. */
static void
queue_asked(struct sq_sqs_call *call)
{
	struct sq_sqs_client *c = call->client;
	struct sq_sqs_queue *q = call->queue;

	q->asking = false;
	if (c->stopped)
		return;
	if (call->said.fault == SQ_SQS_DONE || queue_let_be(call))
		queue_open(c, q);
	else if (q->open == SQ_SQS_ASKED) /* a fault that says nothing of the queue */
		queue_wait(c, q, client_backoff(++q->failures));
}

static bool
queue_answers(struct sq_sqs_call *call)
{
	struct sq_sqs_queue *q = call->queue;
	struct sq_buf url = {0};
	bool good = sq_sqs_read_queue_url(call->answer, &url) == SQ_OK;

	if (good && q->place.url == NULL)
		q->place.url = sq_xstrdup((const char *)sq_buf_data(&url));
	sq_buf_fini(&url);
	return good;
}

static void
queue_ask(struct sq_sqs_client *c, struct sq_sqs_queue *q)
{
	struct sq_sqs_call *call = &c->probes[q - c->queues];

	q->open = SQ_SQS_ASKED;
	q->due_ms = 0;
	/* Another call has failed meanwhile: that which is under way is the question. */
	if (q->asking)
		return;
	sq_buf_drain(&call->body, sq_buf_len(&call->body));
	sq_sqs_put_queue_url(
	    &call->body, q->place.name, q->place.account[0] != '\0' ? q->place.account : NULL);
	call->action = SQ_SQS_QUEUE_URL;
	call->queue = q;
	call->timeout_ms = CALL_MS;
	call->max_answer = CALL_ANSWER;
	call->good = queue_answers;
	call->ended = queue_asked;
	q->asking = call_out(c, call) == SQ_OK; /* without credentials it waits */
}

static void
client_alarm(struct sq_alarm *a)
{
	struct sq_sqs_client *c = SQ_CONTAINER_OF(a, struct sq_sqs_client, alarm);
	uint64_t now = sq_clock_ms();
	bool changed = false;

	for (size_t i = 0; i < c->n_queues && !c->stopped; i++) {
		struct sq_sqs_queue *q = &c->queues[i];

		if (q->slow_ms != 0 && q->slow_ms <= now) {
			q->slow_ms = 0;
			changed = changed || q->open == SQ_SQS_OPEN;
		}
		if (q->open == SQ_SQS_WAITS && q->due_ms <= now)
			queue_ask(c, q);
	}
	client_arm(c);
	if (changed && !c->stopped)
		c->cfg.changed(c->cfg.arg);
}

/* --- life --- */

static size_t
client_rules(const struct sq_sqs_client_cfg *cfg)
{
	return cfg->half == SQ_BRIDGE_OUT ? cfg->bridge->out.n : cfg->bridge->in.n;
}

/* Finds where the queue of a rule is, or that another has it already. */
static int
client_add(struct sq_sqs_client *c, unsigned rule, struct sq_buf *err)
{
	const struct sq_bridge_cfg *b = c->cfg.bridge;
	const bool out = c->cfg.half == SQ_BRIDGE_OUT;
	const char *queue = out ? sq_bridge_cfg_out(b, rule)->queue
				: sq_bridge_cfg_in(b, rule)->queue;
	const char *account = out ? sq_bridge_cfg_out(b, rule)->account
				  : sq_bridge_cfg_in(b, rule)->account;
	struct sq_sqs_queue *q = &c->queues[c->n_queues];

	if (sq_sqs_place_find(
		b, queue, account, sq_cred_region(c->cfg.env->creds), &q->place, err) != SQ_OK) {
		sq_sqs_place_fini(&q->place);
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->n_queues; i++) {
		const struct sq_sqs_place *other = &c->queues[i].place;

		if (strcmp(other->name, q->place.name) != 0 ||
		    strcmp(other->account, q->place.account) != 0 ||
		    strcmp(other->base, q->place.base) != 0)
			continue;
		sq_sqs_place_fini(&q->place);
		c->of_rule[rule] = (unsigned)i;
		return SQ_OK;
	}
	c->of_rule[rule] = (unsigned)c->n_queues++;
	return SQ_OK;
}

static void
client_set(struct sq_sqs_client *c)
{
	const struct sq_bridge_cfg *b = c->cfg.bridge;

	c->way = (struct sq_out_way){.ca_file = b->ca_file,
	    .cert_file = b->cert_file,
	    .key_file = b->key_file,
	    .owner = c->cfg.env->scope};
	c->cred = sq_cred_open(c->cfg.env->creds,
	    &(const struct sq_cred_cfg){.scope = c->cfg.env->scope,
		.access_key_file = b->access_key_file,
		.secret_key_file = b->secret_key_file,
		.session_token_file = b->session_token_file,
		.role_arn = b->role_arn,
		.region = c->queues[0].place.region,
		.sts_endpoint = b->sts_endpoint});
}

struct sq_sqs_client *
sq_sqs_client_open(const struct sq_sqs_client_cfg *cfg, struct sq_buf *err)
{
	size_t n = client_rules(cfg);
	struct sq_sqs_client *c = sq_xcalloc(1, sizeof *c);
	int rc = SQ_OK;

	assert(n > 0);
	c->cfg = *cfg;
	c->alarm.run = client_alarm;
	sq_list_init(&c->calls);
	c->queues = sq_xcalloc(n, sizeof *c->queues);
	c->probes = sq_xcalloc(n, sizeof *c->probes);
	c->of_rule = sq_xcalloc(n, sizeof *c->of_rule);
	for (unsigned i = 0; i < n && rc == SQ_OK; i++)
		rc = client_add(c, i, err);
	if (rc == SQ_OK)
		c->out = cfg->env->http(cfg->env->owner, err);
	if (c->out == NULL) {
		sq_sqs_client_free(&c);
		return NULL;
	}
	client_set(c);
	/* In a turn of its own: the user has not got it yet. */
	for (size_t i = 0; i < c->n_queues; i++)
		queue_wait(c, &c->queues[i], 0);
	return c;
}

void
sq_sqs_client_free(struct sq_sqs_client **cp)
{
	struct sq_sqs_client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	assert(c->n_calls == 0);
	sq_worker_alarm_off(&c->alarm);
	sq_cred_close(&c->cred);
	for (size_t i = 0; i < c->n_queues; i++) {
		sq_sqs_place_fini(&c->queues[i].place);
		sq_sqs_call_fini(&c->probes[i]);
	}
	free(c->queues);
	free(c->probes);
	free(c->of_rule);
	free(c);
}

struct sq_sqs_queue *
sq_sqs_client_queue(struct sq_sqs_client *c, unsigned rule)
{
	return &c->queues[c->of_rule[rule]];
}

void
sq_sqs_client_stop(struct sq_sqs_client *c)
{
	c->stopped = true;
	sq_worker_alarm_off(&c->alarm);
	SQ_LIST_FOR_EACH(call, &c->calls, struct sq_sqs_call, node)
		if (call->action == SQ_SQS_QUEUE_URL)
			sq_out_cancel(c->out, &call->req);
}

void
sq_sqs_client_cancel(struct sq_sqs_client *c, bool receives_alone)
{
	SQ_LIST_FOR_EACH(call, &c->calls, struct sq_sqs_call, node)
		if (!receives_alone || call->action == SQ_SQS_RECEIVE)
			sq_out_cancel(c->out, &call->req);
}

unsigned
sq_sqs_client_calls(const struct sq_sqs_client *c)
{
	return c->n_calls;
}

void
sq_sqs_client_status(const struct sq_sqs_client *c, struct sq_buf *json)
{
	unsigned open = 0;

	for (size_t i = 0; i < c->n_queues; i++)
		open += c->queues[i].open == SQ_SQS_OPEN;
	sq_buf_printf(
	    json, "\"queues\":%zu,\"open\":%u,\"calls\":%u", c->n_queues, open, c->n_calls);
}
