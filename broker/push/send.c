#include "broker/push/push_priv.h"
#include "core/fault.h"
#include "core/log.h"
#include "net/curl/shared.h"
#include "web/worker.h"

enum {
	ANSWER_EACH = 64, /* bytes more for each message of a batch: its failures may be named */
	AWAY_MS = 1000,   /* until something that was not there is asked for again */
};

static void
send_out(struct sq_push_request *r, struct sq_out *to)
{
	size_t max = SQ_PUSH_ANSWER_MAX + ANSWER_EACH * r->taken.n;

	if (sq_push_wants_reply(&r->conf->decl->push))
		max = r->push->all->cfg.max_reply;
	sq_push_trip_post(&r->trip, r->conf, &r->message, max);
	r->trip.back = sq_push_answered;
	sq_push_request_set(r, SQ_PUSH_OUT);
	sq_push_trip_send(&r->trip, to);
	SQ_FAULT("broker-push-sent");
}

static int
send_make(struct sq_push_request *r, const struct sq_push_proof *proof, size_t *culprit,
    struct sq_buf *why)
{
	const struct sq_push_message_cfg cfg = sq_push_proven(r->conf, proof);

	return sq_push_message_make(&cfg, r->taken.v, r->taken.n, &r->message, culprit, why);
}

/* Whether the request may go as the breaker says; it has the probe, or else is settled. */
static bool
send_passes(struct sq_push_request *r, uint64_t now_ms)
{
	const struct sq_push_conf *c = r->conf;
	uint64_t until_ms = now_ms;

	if (sq_breaker_pass(c->breaker, &c->breaker_cfg, now_ms, &r->probe, &until_ms))
		return true;
	sq_push_untried(r, until_ms > now_ms ? until_ms - now_ms : 1);
	return false;
}

static void
send_unprobed(struct sq_push_request *r)
{
	if (r->probe)
		sq_breaker_unprobed(r->conf->breaker);
	r->probe = false;
}

/* What it needs is not there just now: libcurl, or a secret that was there a moment ago. */
static void
send_away(struct sq_push_request *r, const struct sq_buf *why)
{
	struct sq_push *p = r->push;

	if (sq_buf_len(why) > 0) {
		if (!p->holds.away)
			SQ_WARN(p->scope, "waits: %.*s", (int)sq_buf_len(why),
			    (const char *)sq_buf_data(why));
		p->holds.away = true;
		sq_push_tell_error(p, why);
	}
	send_unprobed(r);
	sq_push_hold(p, sq_worker_now_ms(p->part->worker) + AWAY_MS);
	sq_push_untried(r, AWAY_MS);
}

void
sq_push_send(struct sq_push_request *r, const struct sq_taken *taken, size_t n)
{
	struct sq_push *p = r->push;
	struct sq_push_proof proof = {0};
	struct sq_buf why = {0};
	struct sq_out *to;
	size_t culprit = 0;

	sq_push_request_fill(r, taken, n);
	r->conf = sq_push_conf_ref(p->conf);
	if (!send_passes(r, sq_worker_now_ms(p->part->worker)))
		return;
	to = sq_out_shared_get(p->all->cfg.out, &why);
	if (to == NULL || sq_push_proof_get(r->conf, &proof, &why) != SQ_OK) {
		send_away(r, &why);
	} else if (send_make(r, &proof, &culprit, &why) != SQ_OK) {
		send_unprobed(r);
		sq_push_unmapped(r, culprit, &why);
	} else {
		p->holds.away = false;
		sq_rate_take(&p->rate);
		send_out(r, to);
	}
	sq_push_proof_put(&proof);
	sq_buf_fini(&why);
}
