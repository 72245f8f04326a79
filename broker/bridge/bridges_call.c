#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/bridge/bridges_priv.h"
#include "broker/port/bridge.h"
#include "broker/publish/authorize.h"
#include "broker/subscriber/ask.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

/* The bridge of that name, rather one that stays than one that goes.  Under the lock. */
static struct sq_bridge *
call_find(const struct sq_bridges *all, const char *name)
{
	struct sq_bridge *found = NULL;

	SQ_LIST_FOR_EACH(b, &all->list, struct sq_bridge, of_all) {
		if (strcmp(b->name, name) == 0 && (found == NULL || b->live))
			found = b;
	}
	return found;
}

/* Of one that the caller may see, whether it may see, or change it, by rules about its queue. */
static bool
call_may(const struct sq_broker *b, const struct sq_call *c, const struct sq_bridge *bridge,
    bool changes, struct sq_acl_verdict *why)
{
	const struct sq_acl_who who = {
	    .identity = c->in.bridge.who->name, .space = bridge->space, .own = true};
	struct sq_bytes queue = sq_bytes_of(bridge->queue);
	struct sq_acl_subject *subject;
	struct sq_acl *acl;
	uint64_t version;
	bool may;

	acl = sq_rules_get(b->rules, &version);
	subject = sq_acl_subject_new(acl, &who);
	may = (!changes && sq_acl_may(subject, SQ_ACL_CONSUME, queue, why)) ||
	    sq_acl_may(subject, SQ_ACL_MANAGE, queue, why);
	sq_acl_subject_free(&subject);
	sq_acl_unref(&acl);
	return may;
}

static void
call_answer(struct sq_call *c, enum sq_bridge_how how, const char *detail)
{
	c->out.bridge.how = how;
	if (detail != NULL)
		sq_buf_printf(&c->out.bridge.detail, "%s", detail);
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}

static void
call_missing(struct sq_call *c)
{
	call_answer(c, SQ_BRIDGE_MISSING, "there is no bridge of that name");
}

static void
call_denied(
    struct sq_broker *b, struct sq_call *c, const char *queue, const struct sq_acl_verdict *why)
{
	const char *who = c->in.bridge.who->name;
	struct sq_buf text = {0};

	sq_authorize_count(b, why);
	sq_buf_printf(&text, "not authorized to %s ", sq_acl_verb_name(why->verb));
	sq_authorize_say(&text, sq_bytes_of(queue), why);
	SQ_WARN("auth", "refused with 403: %s: %s", who[0] != '\0' ? who : "nobody",
	    (const char *)sq_buf_data(&text));
	call_answer(c, SQ_BRIDGE_DENIED, (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

static int
call_compare(const void *a, const void *b)
{
	const struct sq_bridge *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void
call_list(struct sq_bridges *all, struct sq_call *c)
{
	struct sq_bridge **v;
	struct sq_acl_verdict why;
	size_t n = 0;

	pthread_mutex_lock(&all->lock);
	v = sq_xcalloc(all->n + 1, sizeof(*v));
	SQ_LIST_FOR_EACH(b, &all->list, struct sq_bridge, of_all) {
		if (call_find(all, b->name) == b &&
		    sq_identity_has_space(c->in.bridge.who, b->space) &&
		    call_may(all->broker, c, b, false, &why))
			v[n++] = b;
	}
	qsort(v, n, sizeof(*v), call_compare);
	for (size_t i = 0; i < n; i++) {
		sq_buf_append(&c->out.bridge.json, ",", i > 0);
		sq_bridge_describe(v[i], &c->out.bridge.json);
	}
	pthread_mutex_unlock(&all->lock);
	free(v);
	call_answer(c, SQ_BRIDGE_DONE, NULL);
}

/* The commit of a pause is over. */
static void
call_durable(void *arg, int err)
{
	struct sq_call *c = arg;

	if (err == SQ_OK)
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
	else
		sq_call_answer(c, SQ_VERDICT_FAILED, "the commit failed");
}

static void
call_pause(struct sq_bridges *all, struct sq_shard *sh, struct sq_bridge *b, struct sq_call *c)
{
	bool paused = c->in.bridge.op == SQ_BRIDGE_PAUSE;
	struct sq_ask_txn *a = sq_ask_txn_new(sh, NULL);

	a->then = call_durable;
	a->arg = c;
	c->out.bridge.how = SQ_BRIDGE_DONE;
	if (b->paused != paused) {
		SQ_INFO(b->told.scope, "%s", paused ? "paused" : "resumed");
		sq_bridges_set_paused(all, b->name, paused, &a->txn);
		pthread_mutex_lock(&all->lock);
		b->paused = paused;
		pthread_mutex_unlock(&all->lock);
		sq_bridge_hold(b);
	}
	sq_ask_txn_commit(a);
}

/* Answers a call that names a bridge, but for one that changes a bridge of this worker, which it returns. */
static struct sq_bridge *
call_named(struct sq_bridges *all, struct sq_shard *sh, struct sq_call *c, bool changes)
{
	struct sq_acl_verdict why = {0};
	struct sq_bridge *b;
	char *queue = NULL;
	bool sees, may = false, here;

	pthread_mutex_lock(&all->lock);
	b = call_find(all, c->in.bridge.name);
	sees = b != NULL && sq_identity_has_space(c->in.bridge.who, b->space);
	if (sees)
		may = call_may(all->broker, c, b, changes, &why);
	if (sees && may && !changes)
		sq_bridge_describe(b, &c->out.bridge.json);
	if (sees)
		queue = sq_xstrdup(b->queue);
	here = b != NULL && b->part->shard == sh;
	pthread_mutex_unlock(&all->lock);
	if (!sees || (changes && !here)) /* not here: it has moved to another space meanwhile */
		call_missing(c);
	else if (!may)
		call_denied(all->broker, c, queue, &why);
	else if (!changes)
		call_answer(c, SQ_BRIDGE_DONE, NULL);
	free(queue);
	return changes && may && here ? b : NULL;
}

struct sq_shard *
sq_bridges_shard(struct sq_bridges *all, const struct sq_call *c)
{
	struct sq_broker *broker = c->broker;
	struct sq_shard *sh = &broker->shards[c->in.bridge.worker % broker->n_shards];
	struct sq_bridge *b;

	if (all == NULL || c->in.bridge.name == NULL)
		return sh;
	pthread_mutex_lock(&all->lock);
	b = call_find(all, c->in.bridge.name);
	if (b != NULL)
		sh = b->part->shard;
	pthread_mutex_unlock(&all->lock);
	return sh;
}

void
sq_bridges_call(struct sq_bridges *all, struct sq_shard *sh, struct sq_call *c)
{
	enum sq_bridge_op op = c->in.bridge.op;
	bool changes = op == SQ_BRIDGE_PAUSE || op == SQ_BRIDGE_RESUME;
	struct sq_bridge *b;

	c->out.bridge = (struct sq_bridge_answer){0};
	c->retry_after_s = 1;
	if (sq_broker_closing(sh->broker)) {
		sq_call_answer(c, SQ_VERDICT_DRAINING, "draining");
	} else if (op == SQ_BRIDGE_LIST && all == NULL) {
		call_answer(c, SQ_BRIDGE_DONE, NULL);
	} else if (op == SQ_BRIDGE_LIST) {
		call_list(all, c);
	} else if (all == NULL) {
		call_missing(c);
	} else if ((b = call_named(all, sh, c, changes)) != NULL) {
		call_pause(all, sh, b, c);
	}
}
