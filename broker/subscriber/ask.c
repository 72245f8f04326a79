#include "broker/subscriber/ask.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/allowed.h"
#include "broker/publish/authorize.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

/* What a subscriber of all dead letters asks for. */
#define LETTERS_FILTER SQ_ACL_DEAD_QUEUE "/#"

enum { QUIET_MS = 1000, TEXT_MAX = 512 };

void
sq_ask_answer(struct sq_call *c, enum sq_queue_how how, const char *fmt, ...)
{
	struct sq_buf *detail = &c->out.queue.detail;
	char text[TEXT_MAX];
	va_list ap;
	int n;

	c->out.queue.how = how;
	if (fmt != NULL) {
		va_start(ap, fmt);
		n = vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		if (n > 0)
			sq_buf_append(
			    detail, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
	}
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}

const char *
sq_ask_space(const struct sq_call *c)
{
	const struct sq_call_queue *in = &c->in.queue;

	return in->space == NULL && in->who->n_spaces == 1 ? in->who->spaces[0] : in->space;
}

/* What is refused, in the view. */
static void
ask_refused(struct sq_shard *sh, const struct sq_call *c, const char *reason, struct sq_bytes text)
{
	const struct sq_call_queue *in = &c->in.queue;
	const char *space = sq_ask_space(c);
	struct sq_refusal_seen seen = {.space = sq_bytes_of(space),
	    .who = sq_bytes_of(space),
	    .identity = in->who->name[0] != '\0' ? in->who->name : NULL,
	    .kind = "queue",
	    .queue = in->name,
	    .reason = reason,
	    .text = text,
	    .code = sq_verdict_row(SQ_VERDICT_DENIED)->mqtt};

	sq_refusals_note(sh->refusals, &seen);
}

/* Whether a line may be logged now: one in a while is. */
static bool
ask_logs(struct sq_shard *sh)
{
	struct sq_subscribers_part *part = sq_subscribers_part(sh);
	uint64_t now_ms = sq_worker_now_ms(sh->worker);

	if (now_ms < part->quiet_ms)
		return false;
	part->quiet_ms = now_ms + QUIET_MS;
	return true;
}

static const char *
ask_who(const struct sq_call *c)
{
	return c->in.queue.who->name[0] != '\0' ? c->in.queue.who->name : "nobody";
}

/* The caller may not name that space. */
static void
ask_denied_space(struct sq_shard *sh, struct sq_call *c, const char *space)
{
	const char *text = sq_denied_text(SQ_DENIED_SPACE, c->in.queue.who);

	sq_count(sh->broker, SQ_M_DENIED(SQ_DENIED_SPACE), 1);
	if (ask_logs(sh))
		SQ_WARN("auth", "refused with 403, %s: %s asks for a queue of %s", text, ask_who(c),
		    space);
	ask_refused(sh, c, sq_refusal_name(SQ_REFUSAL_DENIED), sq_bytes_of(text));
	c->denied = SQ_DENIED_SPACE;
	sq_call_answer(c, SQ_VERDICT_DENIED, text);
}

bool
sq_ask_named(struct sq_shard *sh, struct sq_call *c)
{
	const struct sq_call_queue *in = &c->in.queue;
	const char *space = sq_ask_space(c);

	if (space == NULL) {
		sq_call_answer(
		    c, SQ_VERDICT_MALFORMED, "it names no space, and the caller has several");
		return false;
	}
	if (space[0] == '\0' || strlen(space) > SQ_KEY_PART_MAX) {
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "that is no name of a space");
		return false;
	}
	if (!sq_identity_has_space(in->who, space)) {
		ask_denied_space(sh, c, space);
		return false;
	}
	if (in->op != SQ_QUEUE_LIST && in->op != SQ_QUEUE_LETTERS &&
	    !sq_queue_name_good(sq_bytes_of(in->name))) {
		sq_ask_answer(c, SQ_QUEUE_INVALID,
		    "the name of a queue must be 1 to 128 of A-Z a-z 0-9 . _ -");
		return false;
	}
	return true;
}

struct sq_acl_subject *
sq_ask_subject(struct sq_shard *sh, const struct sq_call *c)
{
	const struct sq_acl_who who = {
	    .identity = c->in.queue.who->name, .space = sq_ask_space(c), .own = true};
	uint64_t version;
	struct sq_acl *acl = sq_rules_get(sh->broker->rules, &version);
	struct sq_acl_subject *subject = sq_acl_subject_new(acl, &who);

	sq_acl_unref(&acl);
	return subject;
}

bool
sq_ask_may_see(struct sq_acl_subject *subject, const char *name)
{
	struct sq_acl_verdict why;

	return sq_acl_may(subject, SQ_ACL_CONSUME, sq_bytes_of(name), &why) ||
	    sq_ask_may_see_push(subject, name);
}

bool
sq_ask_may_see_push(struct sq_acl_subject *subject, const char *name)
{
	struct sq_acl_verdict why;

	return sq_acl_may(subject, SQ_ACL_MANAGE, sq_bytes_of(name), &why) ||
	    sq_acl_may(subject, SQ_ACL_PUSH, sq_bytes_of(name), &why);
}

/* Whether the call declares a push that is not there so: who may not push could have what comes into
 * the queue go to another place, or with another's secret. */
static bool
ask_pushes(const struct sq_shard *sh, const struct sq_call *c)
{
	const struct sq_declaration *d = c->in.queue.in.declare.decl;
	const struct sq_subscriber *s;

	if (c->in.queue.op != SQ_QUEUE_DECLARE || d->push.url == NULL)
		return false;
	s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	return s == NULL || !sq_declaration_push_equal(s->decl, d);
}

static bool
ask_may(struct sq_acl_subject *subject, const struct sq_call *c, struct sq_acl_verdict *why)
{
	struct sq_bytes name = sq_bytes_of(c->in.queue.name);

	switch (c->in.queue.op) {
	case SQ_QUEUE_RECEIVE:
	case SQ_QUEUE_SETTLE:
	case SQ_QUEUE_PEEK:
		return sq_acl_may(subject, SQ_ACL_CONSUME, name, why);
	case SQ_QUEUE_GET:
		return sq_acl_may(subject, SQ_ACL_CONSUME, name, why) ||
		    sq_acl_may(subject, SQ_ACL_PUSH, name, why) ||
		    sq_acl_may(subject, SQ_ACL_MANAGE, name, why);
	case SQ_QUEUE_LETTERS:
		return sq_acl_may(subject, SQ_ACL_SUBSCRIBE, sq_bytes_of(LETTERS_FILTER), why) &&
		    sq_acl_may(subject, SQ_ACL_CONSUME, sq_bytes_of(SQ_ACL_DEAD_QUEUE), why);
	case SQ_QUEUE_TEST:
		return sq_acl_may(subject, SQ_ACL_PUSH, name, why);
	case SQ_QUEUE_LIST:
		return true; /* it shows what the caller may see */
	case SQ_QUEUE_DECLARE:
	case SQ_QUEUE_PATCH:
	case SQ_QUEUE_DELETE:
	case SQ_QUEUE_BIND:
	case SQ_QUEUE_UNBIND:
	case SQ_QUEUE_PURGE:
	case SQ_QUEUE_PAUSE:
	case SQ_QUEUE_RESUME:
		break;
	}
	return sq_acl_may(subject, SQ_ACL_MANAGE, name, why);
}

/* Who binds a topic reads it: whether the rules would let the caller subscribe to that. */
static bool
ask_may_bind(struct sq_acl_subject *subject, const struct sq_declared_binding *b,
    struct sq_acl_verdict *why, struct sq_bytes *object)
{
	struct sq_topic_filter f;

	*object = sq_bytes_of(b->filter != NULL ? b->filter : "#");
	return sq_topic_filter_parse(*object, &f, NULL) != SQ_OK || /* refused later, as invalid */
	    sq_acl_may_subscribe(subject, &f, (struct sq_bytes){0}, why);
}

/* Whether a patch leaves the binding as it is. */
static bool
ask_is_bound(
    const struct sq_shard *sh, const struct sq_call *c, const struct sq_declared_binding *b)
{
	const struct sq_declared_binding *there;
	const struct sq_subscriber *s;

	if (c->in.queue.in.declare.patch.p == NULL)
		return false;
	s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	there = s != NULL ? sq_declaration_binding(s->decl, b->id) : NULL;
	return there != NULL && sq_declared_binding_equal(there, b);
}

static bool
ask_may_bind_all(struct sq_shard *sh, struct sq_acl_subject *subject, const struct sq_call *c,
    struct sq_acl_verdict *why, struct sq_bytes *object)
{
	const struct sq_declaration *d = c->in.queue.in.declare.decl;

	if (c->in.queue.op == SQ_QUEUE_BIND)
		return ask_may_bind(subject, &c->in.queue.in.bind.binding, why, object);
	for (size_t i = 0; c->in.queue.op == SQ_QUEUE_DECLARE && i < d->n_bindings; i++) {
		if (!ask_is_bound(sh, c, &d->bindings[i]) &&
		    !ask_may_bind(subject, &d->bindings[i], why, object))
			return false;
	}
	return true;
}

/* What the verb that was decided last is about, of what names no topics itself. */
static struct sq_bytes
ask_object(const struct sq_call *c, const struct sq_acl_verdict *why)
{
	if (c->in.queue.op != SQ_QUEUE_LETTERS)
		return sq_bytes_of(c->in.queue.name);
	return sq_bytes_of(why->verb == SQ_ACL_SUBSCRIBE ? LETTERS_FILTER : SQ_ACL_DEAD_QUEUE);
}

/* The rules deny it: 'object' of 'why'. */
static void
ask_denied(struct sq_shard *sh, struct sq_call *c, struct sq_bytes object,
    const struct sq_acl_verdict *why)
{
	struct sq_buf text = {0};

	sq_authorize_count(sh->broker, why);
	sq_buf_printf(&text, "not authorized to %s %s", sq_acl_verb_name(why->verb),
	    why->verb == SQ_ACL_SUBSCRIBE ? "to " : "");
	sq_authorize_say(&text, object, why);
	if (ask_logs(sh))
		SQ_WARN("auth", "refused with 403: %s in %s: %s", ask_who(c), sq_ask_space(c),
		    (const char *)sq_buf_data(&text));
	ask_refused(sh, c, sq_refusal_name(SQ_REFUSAL_DENIED),
	    (struct sq_bytes){sq_buf_data(&text), sq_buf_len(&text) - 1});
	sq_ask_answer(c, SQ_QUEUE_DENIED, "%s", (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

bool
sq_ask_allowed(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_acl_subject *subject = sq_ask_subject(sh, c);
	struct sq_acl_verdict why;
	bool may = ask_may(subject, c, &why);
	struct sq_bytes object = ask_object(c, &why);

	may = may && ask_may_bind_all(sh, subject, c, &why, &object);
	if (may && ask_pushes(sh, c)) {
		object = sq_bytes_of(c->in.queue.name);
		may = sq_acl_may(subject, SQ_ACL_PUSH, object, &why);
	}

	if (!may)
		ask_denied(sh, c, object, &why);
	sq_acl_subject_free(&subject);
	return may;
}

/* Transactions. */

static void
ask_txn_done(struct sq_txn *txn, int err)
{
	struct sq_ask_txn *a = SQ_CONTAINER_OF(txn, struct sq_ask_txn, txn);
	struct sq_broker *b = a->shard->broker;

	if (a->then != NULL) {
		a->then(a->arg, err);
	} else if (a->call != NULL && err == SQ_OK) {
		sq_call_answer(a->call, SQ_VERDICT_OK, NULL);
	} else if (a->call != NULL) {
		sq_queue_out_fini(&a->call->out.queue);
		sq_call_answer(a->call, SQ_VERDICT_FAILED, "the commit failed");
	}
	sq_broker_object(b, -1);
	free(a);
}

struct sq_ask_txn *
sq_ask_txn_new(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_ask_txn *a = sq_xcalloc(1, sizeof *a);

	a->shard = sh;
	a->call = c;
	a->txn.worker = sh->worker;
	a->txn.engine = sh->broker->engine;
	a->txn.done = ask_txn_done;
	sq_broker_object(sh->broker, 1);
	return a;
}

void
sq_ask_txn_commit(struct sq_ask_txn *a)
{
	a->txn.engine->ops->txn.commit(&a->txn);
}

void
sq_ask_txn_drop(struct sq_ask_txn **ap)
{
	struct sq_ask_txn *a = *ap;

	*ap = NULL;
	sq_broker_object(a->shard->broker, -1);
	free(a);
}
