#include "broker/push/push.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/push/push_priv.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/worker.h"

enum {
	ASKS_MAX = 32,   /* at a time */
	SECRET_MS = 250, /* between looks at a secret that is not there */
	QUIET_MS = 1000, /* behind which memory that is not needed goes */
};

/* Asks. */

static void
push_take_back(struct sq_push *p)
{
	while (p->at[SQ_PUSH_ASKING].n > 0) {
		struct sq_push_request *r = SQ_LIST_FIRST(
		    &p->at[SQ_PUSH_ASKING].list, struct sq_push_request, node);

		sq_taker_take_back(&r->ask);
		sq_push_request_set(r, SQ_PUSH_IDLE);
	}
}

static void
push_ask(struct sq_push *p)
{
	struct sq_push_request *r = sq_push_request_new(p);
	const struct sq_declared_push *push = &p->conf->decl->push;

	r->ask.n = push->batch.max;
	r->ask.bytes = push->batch.bytes;
	r->ask.linger_ms = push->batch.max > 1 ? push->batch.linger_ms : 0;
	sq_push_request_set(r, SQ_PUSH_ASKING);
	sq_taker_ask(&p->taker, &r->ask);
}

static void
push_take(struct sq_taker *t, struct sq_taker_ask *ask, const struct sq_taken *taken, size_t n)
{
	struct sq_push *p = SQ_CONTAINER_OF(t, struct sq_push, taker);

	p->holds.used = true;
	sq_push_send(SQ_CONTAINER_OF(ask, struct sq_push_request, ask), taken, n);
	sq_push_look(p);
}

/* Whether it asks. */

/* Whether its secrets are there. */
static bool
push_proven(struct sq_push *p)
{
	struct sq_push_proof proof;
	struct sq_buf why = {0};
	int err = SQ_OK;

	if (p->conf->proofs.named) {
		err = sq_push_proof_get(p->conf, &proof, &why);
		sq_push_proof_put(&proof);
	}
	if (err == SQ_ENOTFOUND && !p->holds.unproven)
		SQ_WARN(p->scope, "waits for a secret: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	if (err == SQ_ENOTFOUND)
		sq_push_tell_error(p, &why);
	else if (err == SQ_OK && p->holds.unproven)
		SQ_INFO(p->scope, "the secret is there");
	if (err != SQ_EAGAIN)
		p->holds.unproven = err != SQ_OK;
	sq_buf_fini(&why);
	return err == SQ_OK;
}

/* NULL: it may ask; else why not, and until when; 0: until something happens. */
static const char *
push_waits(struct sq_push *p, uint64_t now_ms, uint64_t *until_ms)
{
	*until_ms = 0;
	if (p->paused)
		return "paused";
	if (p->holds.until_ms > now_ms) {
		*until_ms = p->holds.until_ms;
		return "held";
	}
	if (!push_proven(p)) {
		*until_ms = now_ms + SECRET_MS;
		return "secret";
	}
	if (sq_push_consent_holds(p)) {
		*until_ms = sq_push_consent_again_ms(p);
		return "consent";
	}
	if (!sq_breaker_may(p->conf->breaker, now_ms, until_ms))
		return sq_breaker_state(p->conf->breaker) == SQ_BREAKER_HALF ? "half" : "open";
	if (sq_rate_may(&p->rate, now_ms) == 0) {
		*until_ms = sq_rate_next_ms(&p->rate);
		return "rate";
	}
	return NULL;
}

/* How many requests there may be: concurrency, as far as a fair share of memory has room for what they
 * may grow to, batches and replies.  There is always one, which takes messages out of the queue. */
static unsigned
push_most(const struct sq_push *p)
{
	const struct sq_declared_push *push = &p->conf->decl->push;
	uint64_t each = push->batch.max > 1 ? 3 * push->batch.bytes : 0, n;

	if (sq_push_wants_reply(push))
		each += 2 * (uint64_t)p->all->cfg.max_reply;
	if (sq_memory_level() >= SQ_MEMORY_PACED)
		return 1;
	n = each > 0 && sq_memory_limit() > 0 ? 1 + sq_memory_fair() / each : UINT32_MAX;
	return n < push->concurrency ? (unsigned)n : push->concurrency;
}

/* How many asks there should be now.  A request whose reply waits for room keeps its place. */
static unsigned
push_wants(struct sq_push *p, uint64_t now_ms)
{
	unsigned most = push_most(p), out = p->at[SQ_PUSH_OUT].n + p->holds.blocked;
	unsigned settling = p->at[SQ_PUSH_SETTLING].n + p->at[SQ_PUSH_AGAIN].n;
	unsigned n = 1 + out / 4, rate = sq_rate_may(&p->rate, now_ms);

	if (out >= most || settling >= 2 * most + ASKS_MAX)
		return 0;
	if (sq_breaker_state(p->conf->breaker) != SQ_BREAKER_CLOSED)
		return 1;
	n = n < ASKS_MAX ? n : ASKS_MAX;
	n = n < most - out ? n : most - out;
	return n < rate ? n : rate;
}

/* One more ask; false: there are as many as there should be. */
static bool
push_look(struct sq_push *p, uint64_t now_ms)
{
	uint64_t until_ms = 0;
	const char *why = push_waits(p, now_ms, &until_ms);

	sq_push_tell_waits(p, why, until_ms, now_ms);
	p->holds.look_ms = why != NULL && until_ms > 0 ? until_ms : UINT64_MAX;
	if (why != NULL) {
		push_take_back(p);
		return false;
	}
	if (p->at[SQ_PUSH_ASKING].n >= push_wants(p, now_ms))
		return false;
	push_ask(p);
	return true;
}

/* Asking may bring messages before it returns, which has it look again: one look goes on then. */
void
sq_push_look(struct sq_push *p)
{
	uint64_t now_ms = sq_worker_now_ms(p->part->worker);

	p->holds.quiet_ms = now_ms;
	if (p->looking || !p->joined || p->conf == NULL)
		return;
	p->looking = true;
	while (push_look(p, now_ms))
		continue;
	p->looking = false;
}

/* Its life. */

static void
push_dismissed(struct sq_taker *t)
{
	struct sq_push *p = SQ_CONTAINER_OF(t, struct sq_push, taker);

	p->joined = false;
	while (p->at[SQ_PUSH_ASKING].n > 0)
		sq_push_request_set(
		    SQ_LIST_FIRST(&p->at[SQ_PUSH_ASKING].list, struct sq_push_request, node),
		    SQ_PUSH_IDLE);
	while (p->at[SQ_PUSH_AGAIN].n > 0)
		sq_push_request_over(
		    SQ_LIST_FIRST(&p->at[SQ_PUSH_AGAIN].list, struct sq_push_request, node));
	sq_push_trips_cancel(p);
}

static const struct sq_taker_ops push_taker_ops = {
    .take = push_take, .settled = sq_push_settled, .dismissed = push_dismissed};

static bool
push_busy(const struct sq_push *p)
{
	return !sq_list_empty(&p->trips) ||
	    p->at[SQ_PUSH_OUT].n + p->at[SQ_PUSH_SETTLING].n + p->at[SQ_PUSH_AGAIN].n > 0;
}

static void
push_shrink(struct sq_push *p)
{
	while (p->at[SQ_PUSH_IDLE].n > 0)
		sq_push_request_free(
		    SQ_LIST_FIRST(&p->at[SQ_PUSH_IDLE].list, struct sq_push_request, node));
}

static void
push_free(struct sq_push *p)
{
	struct sq_broker *b = p->broker;

	assert(p->s == NULL && !p->joined && !push_busy(p) && p->at[SQ_PUSH_ASKING].n == 0);
	push_shrink(p);
	sq_push_consent_free(p);
	sq_list_remove(&p->of_part);
	sq_push_conf_unref(&p->conf);
	pthread_mutex_destroy(&p->told.lock);
	free(p->told.last_error);
	free(p->scope);
	free(p);
	sq_broker_object(b, -1);
}

/* Leaves the queue, of which nothing is out. */
static void
push_leave(struct sq_push *p)
{
	push_take_back(p);
	p->joined = false;
	sq_taker_leave(&p->taker);
}

/* Frees it if the queue is served no more, and nothing is out; else looks. */
static void
push_reap(struct sq_push *p)
{
	if (p->s == NULL && !push_busy(p))
		push_free(p);
	else if (p->conf == NULL && p->joined && !push_busy(p))
		push_leave(p);
	else
		sq_push_look(p);
}

struct sq_push *
sq_push_new(struct sq_pushes *all, struct sq_subscriber *s)
{
	struct sq_push *p = sq_xcalloc(1, sizeof *p);
	struct sq_buf scope = {0};

	p->all = all;
	p->s = s;
	p->pull = s->pull;
	p->broker = all->broker;
	p->id = s->id;
	p->stored = s->group->stored;
	p->part = &all->parts[sq_worker_index(s->shard->worker)];
	sq_buf_printf(&scope, "push/%s/%s", s->space, s->name);
	p->scope = sq_buf_take_text(&scope);
	p->changed = push_reap;
	p->taker.ops = &push_taker_ops;
	for (unsigned i = 0; i < SQ_PUSH_ATS; i++)
		sq_list_init(&p->at[i].list);
	sq_list_init(&p->trips);
	pthread_mutex_init(&p->told.lock, NULL);
	sq_list_push_back(&p->part->list, &p->of_part);
	pthread_mutex_lock(&all->lock);
	sq_list_push_back(&all->list, &p->of_all);
	pthread_mutex_unlock(&all->lock);
	sq_broker_object(p->broker, 1);
	return p;
}

void
sq_push_declared(struct sq_push *p)
{
	const struct sq_subscriber *s = p->s;
	const struct sq_declared_push *push = &s->decl->push;

	push_take_back(p);
	p->paused = s->paused;
	atomic_store(&p->told.on, push->url != NULL);
	sq_push_conf_unref(&p->conf);
	if (push->url != NULL) {
		p->conf = sq_push_conf_new(p->all, s);
		sq_push_consent_declared(p);
		sq_push_set_rate(p);
		if (!p->joined)
			sq_taker_join(&p->taker, p->pull);
		p->joined = true;
	} else if (p->joined && !push_busy(p)) {
		push_leave(p);
	}
	p->holds.look_ms = 0; /* at the next tick: locks are held here */
}

void
sq_push_ended(struct sq_push *p)
{
	pthread_mutex_lock(&p->all->lock);
	sq_list_remove(&p->of_all);
	p->s = NULL;
	pthread_mutex_unlock(&p->all->lock);
	assert(!p->joined); /* it was dismissed */
	sq_push_conf_unref(&p->conf);
	sq_push_consent_ended(p);
	sq_push_trips_cancel(p);
	push_reap(p);
}

void
sq_push_tick(struct sq_push *p, uint64_t now_ms)
{
	if (p->conf != NULL && p->conf->policy_version != atomic_load(&p->all->policy_version))
		sq_push_declared(p);
	sq_push_consent_look(p, now_ms);
	if (p->at[SQ_PUSH_AGAIN].n > 0)
		sq_push_settle_again(p, now_ms);
	if (p->holds.look_ms <= now_ms)
		sq_push_look(p);
	if (p->holds.used && !push_busy(p) && now_ms > p->holds.quiet_ms + QUIET_MS) {
		p->holds.used = false;
		push_take_back(p);
		push_shrink(p);
		sq_push_look(p);
	}
}
