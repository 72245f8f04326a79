#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/group/group.h"
#include "broker/push/push_priv.h"
#include "broker/shard/system_txn.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/curl/shared.h"
#include "web/worker.h"

enum {
	VERSION = 1,
	DAY_MS = 24 * 3600 * 1000,
	SOON_MS = 1000,   /* behind what could not be asked */
	AGAIN_MS = 10000, /* behind a target that has not consented, at first */
	AGAIN_MAX_MS = 3600 * 1000,
	ANSWER_MAX = 4 << 10,
	TIMEOUT_MS = 30000,
	MINUTE_MS = 60000,
};

/* Consent that the store has from before. */
struct kept {
	struct sq_list node;
	uint64_t id, given_ms;
	uint32_t rate;
	char *url;
};

/* Records: u8 1, u64 the wall-clock ms of the consent, u32 requests a minute (0: any number), bytes16
 * the URL. */

static struct sq_record_key
consent_key(uint64_t id)
{
	return (struct sq_record_key){SQ_RECORD_CONSENT, id, 0};
}

static void
consent_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_pushes *all = arg;
	struct sq_reader r = sq_reader(value.p, value.len);
	struct kept *k = sq_xcalloc(1, sizeof *k);

	k->id = key->id;
	if (sq_read8(&r) == VERSION) {
		k->given_ms = sq_read64(&r);
		k->rate = sq_read32(&r);
	}
	k->url = sq_record_take_name(&r); /* what does not read is of no URL, and goes */
	sq_list_push_back(&all->consents, &k->node);
}

static void
kept_free(struct kept *k)
{
	sq_list_remove(&k->node);
	free(k->url);
	free(k);
}

void
sq_push_consents_load(struct sq_pushes *all)
{
	struct sq_engine *e = all->broker->engine;

	/* Without them targets are asked again. */
	if (e->ops->start.load(e, SQ_RECORD_CONSENT, consent_load, all) != SQ_OK)
		SQ_WARN("push", "consents of targets can't be read: they are asked again");
}

void
sq_push_consents_free(struct sq_pushes *all)
{
	while (!sq_list_empty(&all->consents))
		kept_free(SQ_LIST_FIRST(&all->consents, struct kept, node));
}

void
sq_push_consents_sweep(struct sq_pushes *all)
{
	struct sq_system_txn *own = NULL;
	struct kept *k;

	while ((k = SQ_LIST_FIRST(&all->consents, struct kept, node)) != NULL) {
		struct sq_record_key key = consent_key(k->id);

		sq_record_delete(sq_system_txn(sq_shard_here(all->broker), &own), &key);
		kept_free(k);
	}
	sq_system_commit(&own);
}

static void
consent_store(const struct sq_push *p, bool given)
{
	const struct sq_push_consent *c = p->consent;
	struct sq_record_key key = consent_key(p->id);
	struct sq_system_txn *own = NULL;
	struct sq_buf v = {0};

	if (!p->stored || sq_broker_closing(p->broker))
		return;
	if (given) {
		sq_buf_u8(&v, VERSION);
		sq_buf_u64(&v, c->given_ms);
		sq_buf_u32(&v, c->rate);
		sq_record_put_name(&v, c->url);
		sq_record_write(sq_system_txn(sq_shard_here(p->broker), &own), &key, &v);
	} else {
		sq_record_delete(sq_system_txn(sq_shard_here(p->broker), &own), &key);
	}
	sq_system_commit(&own);
}

/* What is asked: the URL up to its first template. */
static char *
consent_url(const char *url)
{
	size_t len = strcspn(url, "{");

	if (url[len] != '\0') {
		while (len > 0 && url[len - 1] != '/')
			len--;
	}
	return sq_xmemdup0(url, len);
}

static void
consent_tell(struct sq_push *p, const char *state)
{
	pthread_mutex_lock(&p->told.lock);
	p->told.consent = state;
	pthread_mutex_unlock(&p->told.lock);
}

void
sq_push_consent_free(struct sq_push *p)
{
	struct sq_push_consent *c = p->consent;

	p->consent = NULL;
	if (c == NULL)
		return;
	assert(!c->asking);
	free(c->url);
	sq_push_conf_unref(&c->conf);
	sq_out_request_fini(&c->trip.out);
	free(c);
	consent_tell(p, NULL);
}

/* Takes over what the store has of it. */
static void
consent_take_kept(struct sq_push *p)
{
	struct sq_push_consent *c = p->consent;

	SQ_LIST_FOR_EACH_SAFE(k, &p->all->consents, struct kept, node) {
		if (k->id != p->id)
			continue;
		c->given = strcmp(k->url, c->url) == 0 && k->given_ms > 0;
		c->given_ms = k->given_ms;
		c->rate = k->rate;
		kept_free(k);
	}
	if (c->given)
		consent_tell(p, "given");
}

void
sq_push_consent_declared(struct sq_push *p)
{
	enum sq_push_validate wanted = p->conf->validate;
	struct sq_push_consent *c = p->consent;
	char *url;

	if (wanted == SQ_PUSH_VALIDATE_OFF) {
		if (c != NULL && !c->asking)
			sq_push_consent_free(p);
		else if (c != NULL)
			c->over = true;
		return;
	}
	url = consent_url(p->conf->decl->push.url);
	if (c == NULL) {
		c = p->consent = sq_xcalloc(1, sizeof *c);
		c->trip.push = p;
	}
	c->over = false;
	if (!c->given) { /* somebody has resumed or changed the queue: at once, and it is said again */
		c->again_ms = 0;
		c->refused = 0;
	}
	if (c->url != NULL && strcmp(c->url, url) == 0) {
		free(url);
		return;
	}
	free(c->url);
	c->url = url;
	c->given = false;
	c->again_ms = 0;
	c->refused = 0;
	consent_tell(p, "asked");
	if (p->all->loading)
		consent_take_kept(p);
}

bool
sq_push_consent_holds(const struct sq_push *p)
{
	return p->consent != NULL && !p->consent->given &&
	    p->conf->validate == SQ_PUSH_VALIDATE_REQUIRED;
}

uint64_t
sq_push_consent_again_ms(const struct sq_push *p)
{
	return p->consent->asking ? 0 : p->consent->again_ms;
}

void
sq_push_set_rate(struct sq_push *p)
{
	const struct sq_push_consent *c = p->consent;
	uint32_t n = p->conf->decl->push.rate.n, per_ms = p->conf->decl->push.rate.per_ms;

	if (c != NULL && c->given && c->rate > 0 &&
	    (n == 0 || (uint64_t)n * MINUTE_MS > (uint64_t)c->rate * per_ms)) {
		n = c->rate;
		per_ms = MINUTE_MS;
	}
	sq_rate_set(&p->rate, n, per_ms, 0);
}

/* Answers. */

static bool
consent_origin(const struct sq_push *p, struct sq_bytes allowed)
{
	return allowed.p != NULL &&
	    (sq_bytes_are(allowed, "*") || sq_bytes_are(allowed, p->all->cfg.install));
}

/* Requests a minute; 0: any number. */
static uint32_t
consent_allowed_rate(struct sq_bytes v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 0;
		n = n > UINT32_MAX ? n : 10 * n + (uint64_t)(v.p[i] - '0');
	}
	return n < UINT32_MAX ? (uint32_t)n : 0;
}

static void
consent_given(struct sq_push *p)
{
	struct sq_push_consent *c = p->consent;

	if (!c->given || c->refused > 0)
		SQ_INFO(p->scope, "the target consents to pushes");
	c->given = true;
	c->refused = 0;
	c->given_ms = sq_clock_wall_ms();
	c->rate = consent_allowed_rate(sq_out_answer_header(&c->trip.out, "webhook-allowed-rate"));
	consent_tell(p, "given");
	consent_store(p, true);
}

/* Says why there is no consent, where it is shown and, once, in the log. */
static void
consent_tell_why(struct sq_push *p, bool said)
{
	const struct sq_push_consent *c = p->consent;
	struct sq_buf why = {0};

	if (said)
		sq_buf_printf(&why, "OPTIONS: status %u without webhook-allowed-origin: %s",
		    c->trip.out.status, p->all->cfg.install);
	else
		sq_buf_printf(&why, "OPTIONS: %s",
		    c->trip.out.end == SQ_OUT_FORBIDDEN ? "address not allowed by push.allow"
							: c->trip.out.why);
	if (c->refused == 0)
		SQ_WARN(p->scope, "the target does not consent to pushes (%.*s)%s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why),
		    sq_push_consent_holds(p) ? ": messages wait"
			: c->given && !said  ? ": what it said before holds"
					     : ": they go on without");
	sq_push_tell_error(p, &why);
	sq_buf_fini(&why);
}

/* 'said': the target has answered, and does not consent. */
static void
consent_not_given(struct sq_push *p, bool said)
{
	struct sq_push_consent *c = p->consent;
	uint64_t again_ms = (uint64_t)AGAIN_MS << (c->refused < 10 ? c->refused : 10);

	consent_tell_why(p, said);
	c->refused++;
	c->again_ms = sq_worker_now_ms(p->part->worker) +
	    (again_ms < AGAIN_MAX_MS ? again_ms : AGAIN_MAX_MS);
	if (!said)
		return;
	if (c->given)
		consent_store(p, false);
	c->given = false;
	consent_tell(p, "refused");
}

static void
consent_back(struct sq_push_trip *t)
{
	struct sq_push *p = t->push;
	struct sq_push_consent *c = p->consent;
	bool answered = t->out.end == SQ_OUT_ANSWERED || t->out.end == SQ_OUT_TOO_LARGE;
	bool same = strcmp(c->url, c->asked) == 0;

	c->asking = false;
	free(c->asked);
	c->asked = NULL;
	sq_push_conf_unref(&c->conf);
	if (p->s == NULL || p->conf == NULL || c->over) {
		sq_push_consent_free(p);
	} else if (t->out.end != SQ_OUT_CANCELLED && same) {
		if (answered &&
		    consent_origin(p, sq_out_answer_header(&t->out, "webhook-allowed-origin")))
			consent_given(p);
		else
			consent_not_given(p, answered);
		sq_push_set_rate(p);
	}
	p->changed(p);
}

/* Fills the request. */
static int
consent_make(struct sq_push *p, struct sq_out_request *out, const struct sq_push_proof *proof)
{
	const struct sq_push_message_cfg cfg = sq_push_proven(p->conf, proof);
	const struct sq_declared_push *push = cfg.push;
	char rate[24];
	int err;

	*out = (struct sq_out_request){.method = "OPTIONS",
	    .timeout_ms = push->timeout_ms < TIMEOUT_MS ? (uint32_t)push->timeout_ms : TIMEOUT_MS,
	    .max_answer = ANSWER_MAX,
	    .way = &p->conf->way};
	err = sq_out_header(out, "webhook-request-origin", sq_bytes_of(cfg.install));
	if (err == SQ_OK && push->rate.n > 0) {
		snprintf(rate, sizeof rate, "%llu",
		    (unsigned long long)((uint64_t)push->rate.n * MINUTE_MS / push->rate.per_ms));
		err = sq_out_header(out, "webhook-request-rate", sq_bytes_of(rate));
	}
	if (err == SQ_OK && cfg.authorization != NULL)
		err = sq_out_header(out, "authorization", sq_bytes_of(cfg.authorization));
	return err;
}

static void
consent_ask(struct sq_push *p, uint64_t now_ms)
{
	struct sq_push_consent *c = p->consent;
	struct sq_buf why = {0};
	struct sq_out *to = sq_out_shared_get(p->all->cfg.out, &why);
	struct sq_push_proof proof = {0};

	c->again_ms = now_ms + SOON_MS;
	sq_out_request_fini(&c->trip.out);
	if (to != NULL && sq_push_proof_get(p->conf, &proof, &why) == SQ_OK &&
	    consent_make(p, &c->trip.out, &proof) == SQ_OK) {
		c->conf = sq_push_conf_ref(p->conf);
		c->asked = sq_xstrdup(c->url);
		c->trip.out.url = c->asked;
		c->trip.back = consent_back;
		c->asking = true;
		sq_push_trip_send(&c->trip, to);
	}
	sq_push_proof_put(&proof);
	sq_buf_fini(&why);
}

void
sq_push_consent_look(struct sq_push *p, uint64_t now_ms)
{
	struct sq_push_consent *c = p->consent;
	uint64_t wall_ms;

	if (c == NULL || c->asking || p->conf == NULL || p->paused || now_ms < c->again_ms)
		return;
	wall_ms = sq_clock_wall_ms();
	if (!c->given || wall_ms < c->given_ms || wall_ms - c->given_ms >= DAY_MS)
		consent_ask(p, now_ms);
}

void
sq_push_consent_ended(struct sq_push *p)
{
	if (p->consent != NULL && p->consent->given)
		consent_store(p, false);
	if (p->consent != NULL && !p->consent->asking)
		sq_push_consent_free(p);
}
