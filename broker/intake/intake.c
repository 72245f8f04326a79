#include "broker/intake/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/allowed.h"
#include "broker/engine/parts.h"
#include "broker/publish/outcome.h"
#include "broker/publish/own.h"
#include "broker/publish/received.h"
#include "broker/publish/together.h"
#include "broker/publish/traced.h"
#include "broker/shard/pace.h"
#include "broker/shard/sys_counts.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SLICE_MAX = 2048,  /* matches after which others have their turn */
	UNROUTED_WORK = 4, /* matches: as long takes a message that is not routed */
};

/* A call that is carried out.  It counts as an object of the broker. */
struct intake {
	struct sq_parts parts;
	struct sq_task task;
	struct sq_shard *shard;
	struct sq_call *call; /* NULL: it has been answered */
	const struct sq_call_publish *in;
	struct sq_tenant *tenant; /* a reference */
	struct sq_acl_subject *permit;
	struct sq_outcome_list outcomes;
	struct sq_traced_batch traced;
	uint16_t at; /* the first message that is not taken in */
	bool cut;    /* the broker ends before all of them are */
};

/* Answers the call. */
static void
intake_answer(struct intake *k, int err)
{
	struct sq_call *c = k->call;

	k->call = NULL;
	c->verdict = SQ_VERDICT_OK;
	if (err != SQ_OK) {
		c->verdict = SQ_VERDICT_FAILED;
		c->detail = "the commit failed";
	} else if (k->cut) {
		c->verdict = SQ_VERDICT_DRAINING;
		c->detail = "the broker ends, and has taken a part of it";
	} else {
		c->out.published = sq_outcome_end(&k->outcomes, c);
	}
	sq_pace_answer(c);
}

static void
intake_done(struct sq_parts *parts, int err)
{
	struct intake *k = SQ_CONTAINER_OF(parts, struct intake, parts);

	if (k->call != NULL) {
		SQ_FAULT("broker-intake-committed");
		intake_answer(k, err);
	}
	if (k->traced.n > 0)
		sq_traced_end(&k->traced, err == SQ_OK);
	sq_outcome_fini(&k->outcomes);
	sq_tenant_unref(&k->tenant);
	sq_broker_object(k->shard->broker, -1);
	free(k);
}

/* For struct sq_publish_more. */
static struct sq_txn *
intake_split(void *arg, uint64_t number)
{
	struct intake *k = arg;

	(void)number;
	return sq_parts_split(&k->parts) ? k->parts.txn : NULL;
}

static struct sq_txn *
intake_part(void *arg, uint64_t number)
{
	struct intake *k = arg;

	(void)number;
	sq_own_receipts(k->shard, k->parts.txn);
	sq_parts_next(&k->parts);
	return k->parts.txn;
}

static struct sq_publish
intake_publish(struct intake *k)
{
	struct sq_broker *b = k->shard->broker;
	const char *space = sq_tenant_name(k->tenant);

	return (struct sq_publish){.broker = b,
	    .home = k->shard,
	    .from = {.of = {.broker = b,
			 .space = space,
			 .name = space,
			 .identity = k->in->who,
			 .quiet_until_ms = &k->shard->intake_quiet_ms},
		.permit = k->permit,
		.told = true,
		.compares = true},
	    .tenant = k->tenant,
	    .txn = k->parts.txn,
	    .more = {intake_split, intake_part, k},
	    .copies.pass = true,
	    .pace.call = k->call};
}

static void
intake_traced(struct intake *k, const struct sq_publish *p, uint8_t code, uint64_t began_us)
{
	struct sq_span *span = sq_traced_admitted(
	    &k->traced, p->msg->image, p->origin, code, began_us);

	if (span != NULL)
		sq_span_text(span->client, sizeof span->client, sq_bytes_of(k->in->who->name));
}

static void
intake_message(struct intake *k, struct sq_publish *p)
{
	struct sq_origin origin = sq_system_origin(k->shard->broker);
	uint64_t began_us;
	size_t before = p->work;
	uint16_t i = k->at++;
	uint8_t code;

	p->msg = &k->in->msgs[i];
	p->origin = &origin;
	p->from.match = k->in->wants != NULL && k->in->wants[i].require_match;
	began_us = sq_traced_begin(p->msg->image);
	code = sq_received_message(p);
	sq_outcome_set(&k->outcomes, k->call, p, code, i);
	if (began_us != 0)
		intake_traced(k, p, code, began_us);
	if (p->work == before) /* refused, known already, kept for later */
		p->work += UNROUTED_WORK;
	sq_publish_pause(p);
}

/* The rules for the caller, who has no client id. */
static void
intake_permit(struct intake *k)
{
	const struct sq_acl_who who = {
	    .identity = k->in->who->name, .space = sq_tenant_name(k->tenant), .own = true};
	uint64_t version;
	struct sq_acl *acl = sq_rules_get(k->shard->broker->rules, &version);

	k->permit = sq_acl_subject_new(acl, &who);
	sq_acl_unref(&acl);
}

static void
intake_count(const struct intake *k)
{
	struct sq_sys_part *sys = sq_sys_counts_part(
	    k->shard->broker->sys_counts, k->tenant, (unsigned)sq_worker_index(k->shard->worker));
	int64_t bytes = 0;

	for (uint16_t i = 0; i < k->in->n; i++)
		bytes += sq_image_size(k->in->msgs[i].image);
	sq_sys_add(sys, SQ_SYS_RECEIVED, k->in->n);
	sq_sys_add(sys, SQ_SYS_RECEIVED_BYTES, bytes);
}

/* Commits what is taken in; no message follows. */
static void
intake_commit(struct intake *k)
{
	SQ_FAULT("broker-intake-admitted");
	sq_pace_memory(k->shard, k->call);
	sq_parts_commit(&k->parts);
}

static void
intake_outcome(void *arg, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct intake *k = arg;
	uint64_t began_us = sq_traced_begin(p->msg->image);

	k->at = i;
	sq_outcome_set(&k->outcomes, k->call, p, code, i);
	if (began_us != 0)
		intake_traced(k, p, code, began_us);
}

/* Takes all messages in, or none. */
static void
intake_together(struct intake *k)
{
	struct sq_publish p;
	struct sq_together list = {.p = &p,
	    .msgs = k->in->msgs,
	    .wants = k->in->wants,
	    .n = k->in->n,
	    .outcome = intake_outcome,
	    .arg = k};
	enum sq_together_end end;

	intake_permit(k);
	p = intake_publish(k);
	end = sq_together_publish(&list);
	if (end != SQ_TOGETHER_TAKEN)
		sq_outcome_refused(
		    &k->outcomes, k->call, k->in->n, k->at, end == SQ_TOGETHER_TOO_LARGE);
	sq_refused_fini(&p.refused);
	sq_own_receipts(k->shard, k->parts.txn);
	sq_acl_subject_free(&k->permit);
	intake_commit(k);
	sq_publish_committed(&p);
}

/* Takes messages in, until there are no more or it is others' turn.  True: no more follow. */
static bool
intake_slice(struct intake *k)
{
	struct sq_publish p;
	bool all;

	if (k->in->atomic) {
		intake_together(k);
		return true;
	}
	intake_permit(k);
	p = intake_publish(k);
	while (k->at < k->in->n && p.work < SLICE_MAX)
		intake_message(k, &p);
	sq_refused_fini(&p.refused);
	sq_route_unlock(&p);
	sq_own_receipts(k->shard, k->parts.txn);
	sq_acl_subject_free(&k->permit);
	all = k->at == k->in->n;
	if (all)
		intake_commit(k);
	else
		sq_parts_next(&k->parts);
	sq_publish_committed(&p);
	return all;
}

static void
intake_go_on(struct intake *k)
{
	if (sq_broker_closing(k->shard->broker)) {
		k->cut = true;
		sq_parts_commit(&k->parts);
	} else if (!intake_slice(k)) {
		sq_worker_post_later(&k->task);
	} else {
		intake_count(k);
		if (!k->outcomes.waits)
			intake_answer(k, SQ_OK);
	}
}

static void
intake_run(struct sq_task *t)
{
	intake_go_on(SQ_CONTAINER_OF(t, struct intake, task));
}

/* The space of the call; NULL: the call has been refused. */
static const char *
intake_space(struct sq_call *c)
{
	const struct sq_call_publish *in = &c->in.publish;
	const char *space = in->space;

	if (space == NULL && in->who->n_spaces == 1)
		return in->who->spaces[0];
	if (space == NULL)
		sq_call_answer(
		    c, SQ_VERDICT_MALFORMED, "it names no space, and the caller has several");
	else if (space[0] == '\0' || strlen(space) > SQ_KEY_PART_MAX)
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "that is no name of a space");
	else
		return space;
	return NULL;
}

/* The caller may not name that space. */
static void
intake_denied(struct sq_shard *sh, struct sq_call *c, const char *space)
{
	const struct sq_identity *who = c->in.publish.who;
	const char *text = sq_denied_text(SQ_DENIED_SPACE, who);
	struct sq_refusal_seen seen = {.space = sq_bytes_of(space),
	    .who = sq_bytes_of(space),
	    .identity = who->name[0] != '\0' ? who->name : NULL,
	    .kind = "publish",
	    .reason = sq_refusal_name(SQ_REFUSAL_DENIED),
	    .text = sq_bytes_of(text),
	    .code = sq_verdict_row(SQ_VERDICT_DENIED)->mqtt};
	struct sq_buf spaces = {0};

	sq_count(sh->broker, SQ_M_DENIED(SQ_DENIED_SPACE), 1);
	sq_identity_say_spaces(who, &spaces);
	SQ_WARN("auth", "refused with 403, %s: %s publishes to %s; it may name %.*s", text,
	    who->name[0] != '\0' ? who->name : "nobody", space, (int)sq_buf_len(&spaces),
	    (const char *)sq_buf_data(&spaces));
	sq_buf_fini(&spaces);
	sq_refusals_note(sh->refusals, &seen);
	c->denied = SQ_DENIED_SPACE;
	sq_call_answer(c, SQ_VERDICT_DENIED, text);
}

/* Whether the broker takes no messages now: the call has been refused. */
static bool
intake_closed(struct sq_shard *sh, struct sq_call *c, bool draining)
{
	c->retry_after_s = 1;
	if (draining || sq_broker_closing(sh->broker))
		sq_call_answer(c, SQ_VERDICT_DRAINING, "draining");
	else if (sq_broker_recovers(sh->broker, sq_worker_now_ms(sh->worker)))
		sq_call_answer(c, SQ_VERDICT_RECOVERING, "sessions are on their way back");
	else
		return false;
	return true;
}

void
sq_intake_call(struct sq_shard *sh, struct sq_call *c, bool draining)
{
	const char *space;
	struct intake *k;

	assert(sq_worker_self() == sh->worker && c->in.publish.n > 0);
	if (intake_closed(sh, c, draining) || (space = intake_space(c)) == NULL)
		return;
	if (!sq_identity_has_space(c->in.publish.who, space)) {
		intake_denied(sh, c, space);
		return;
	}
	k = sq_xcalloc(1, sizeof *k);
	k->shard = sh;
	k->call = c;
	k->in = &c->in.publish;
	k->tenant = sq_tenant_get(sh->broker->tenants, space);
	k->task.run = intake_run;
	k->parts.begun.worker = sh->worker;
	k->parts.begun.engine = sh->broker->engine;
	sq_parts_begin(&k->parts, intake_done);
	sq_broker_object(sh->broker, 1);
	sq_outcome_begin(c, c->in.publish.n);
	intake_go_on(k);
}
