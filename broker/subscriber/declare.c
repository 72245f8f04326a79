#include "broker/subscriber/declare.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/publish/refused.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/file_set.h"
#include "broker/subscriber/look.h"
#include "broker/subscriber/owned.h"
#include "broker/subscriber/record.h"
#include "broker/subscriber/serve.h"
#include "broker/subscriber/user.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/declaration/kept.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

enum { RECORDS = 8, HEAD_BYTES = 1024, BINDING_BYTES = 128 };

struct sq_group_cfg
sq_declared_group(const struct sq_declaration *d, const char *group, struct sq_tenant *tenant)
{
	return (struct sq_group_cfg){.name = group,
	    .tenant = tenant,
	    .durable = true,
	    .named = true,
	    .ordered = d->order != SQ_ORDER_NONE,
	    .max_length = d->max_messages,
	    .max_bytes = d->max_bytes,
	    .max_attempts = d->blocks ? 0 : d->max_attempts,
	    .overflow = d->overflow,
	    .ttl_s = d->ttl_s};
}

struct sq_topic_filter
sq_declared_filter(const struct sq_declared_binding *b)
{
	struct sq_topic_filter f;
	int err = sq_topic_filter_parse(sq_bytes_of(b->filter != NULL ? b->filter : "#"), &f, NULL);

	assert(err == SQ_OK); /* sq_declaration_bind() has checked it */
	f.tag = sq_bytes_of(b->tag);
	return f;
}

static size_t
declare_binding_bytes(const struct sq_declared_binding *b)
{
	return BINDING_BYTES + strlen(b->id) + (b->filter != NULL ? strlen(b->filter) : 1) +
	    (b->tag != NULL ? strlen(b->tag) : 0);
}

/* Whether a transaction holds the change of 'old' (NULL: none) to 'now'. */
static bool
declare_fits(
    const struct sq_txn *txn, const struct sq_declaration *old, const struct sq_declaration *now)
{
	size_t records = RECORDS + now->n_bindings, bytes = HEAD_BYTES + sq_declared_bytes(now);

	for (size_t i = 0; i < now->n_bindings; i++)
		bytes += declare_binding_bytes(&now->bindings[i]);
	if (old != NULL) {
		records += old->n_bindings;
		bytes += BINDING_BYTES * old->n_bindings;
	}
	return txn->engine->ops->txn.room(txn, records, bytes);
}

/* Limits of the configuration that a declaration may be above, and replies that would come back. */
static enum sq_queue_how
declare_within(const struct sq_broker *b, const struct sq_declare *in, struct sq_buf *why)
{
	const struct sq_declaration *d = in->decl;

	for (size_t i = 0; i < d->n_bindings; i++) {
		struct sq_topic_filter f = sq_declared_filter(&d->bindings[i]);

		if (b->cfg.limits.topic_levels != 0 && f.levels > b->cfg.limits.topic_levels) {
			sq_buf_printf(why,
			    "bindings[%zu].filter: has more than %u levels (limits.topic-levels)",
			    i, (unsigned)b->cfg.limits.topic_levels);
			return SQ_QUEUE_INVALID;
		}
	}
	return sq_declaration_check_reply(d, sq_tenant_name(in->tenant), in->name, why) == SQ_OK
	    ? SQ_QUEUE_DONE
	    : SQ_QUEUE_INVALID;
}

/* Whether a push is declared that is not there so. */
static bool
declare_pushes(const struct sq_subscriber *s, const struct sq_declaration *now)
{
	return now->push.url != NULL && (s == NULL || !sq_declaration_push_equal(s->decl, now));
}

/* What users of the queues say of a push that is declared. */
static enum sq_queue_how
declare_judge(const struct sq_subscribers *all, const struct sq_declare *in, struct sq_buf *why)
{
	int err = SQ_OK;

	if (!in->in_file && sq_declaration_push_has_files(in->decl)) {
		sq_buf_printf(
		    why, "push: it names a file, which files of subscribers.dir alone may");
		return SQ_QUEUE_INVALID;
	}
	for (unsigned i = 0; i < SQ_SUBSCRIBERS_USERS && err == SQ_OK; i++) {
		const struct sq_subscribers_user *user = all->users[i];

		if (user != NULL && user->judge != NULL)
			err = user->judge(user->arg, sq_tenant_name(in->tenant), in->decl, why);
	}
	if (err == SQ_OK)
		return SQ_QUEUE_DONE;
	return err == SQ_EDENIED ? SQ_QUEUE_DENIED : SQ_QUEUE_INVALID;
}

/* With whose rights the push of the queue replies. */
static char *
declare_who(const struct sq_declare *in)
{
	struct sq_buf who = {0};

	if (in->who != NULL)
		return sq_xstrdup(in->who);
	sq_buf_printf(&who, "subscriber:%s/%s", sq_tenant_name(in->tenant), in->name);
	return sq_buf_take_text(&who);
}

/* How many bindings of 'now' are not in 'old' (NULL: none is). */
static size_t
declare_new_bindings(const struct sq_declaration *old, const struct sq_declaration *now)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n_bindings; i++)
		n += old == NULL || sq_declaration_binding(old, now->bindings[i].id) == NULL;
	return n;
}

/* Whether there is room for something new: in the store, in memory, in the tenant's share.  With DONE
 * the share of 'groups' and 'bindings' is taken. */
static enum sq_queue_how
declare_room(struct sq_broker *b, struct sq_tenant *tenant, size_t groups, size_t bindings,
    struct sq_buf *why)
{
	struct sq_account *a = sq_tenant_account(tenant);

	if (sq_engine_full(b->engine)) {
		sq_buf_printf(why, "%s", SQ_REFUSED_STORE);
		return SQ_QUEUE_NO_ROOM;
	}
	if (sq_memory_level() >= SQ_MEMORY_FILLED) {
		sq_buf_printf(why, "the broker's memory is nearly used up (limits.memory)");
		return SQ_QUEUE_NO_ROOM;
	}
	if (!sq_share_take(a, SQ_SHARE_GROUPS, groups)) {
		sq_share_explain(a, SQ_SHARE_GROUPS, why);
		return SQ_QUEUE_NO_ROOM;
	}
	if (!sq_share_take(a, SQ_SHARE_SUBSCRIPTIONS, bindings)) {
		sq_share_give(a, SQ_SHARE_GROUPS, groups);
		sq_share_explain(a, SQ_SHARE_SUBSCRIPTIONS, why);
		return SQ_QUEUE_NO_ROOM;
	}
	return SQ_QUEUE_DONE;
}

/* What was taken counts by itself now. */
static void
declare_give(struct sq_tenant *tenant, size_t groups, size_t bindings)
{
	struct sq_account *a = sq_tenant_account(tenant);

	sq_share_give(a, SQ_SHARE_GROUPS, groups);
	sq_share_give(a, SQ_SHARE_SUBSCRIPTIONS, bindings);
}

static void
declare_bind(struct sq_group *g, const struct sq_declared_binding *b, struct sq_txn *txn)
{
	struct sq_topic_filter f = sq_declared_filter(b);

	(void)sq_group_bind(g, &f, b->id, b->qos, txn);
}

static void
declare_unbind(struct sq_group *g, const char *id, struct sq_txn *txn)
{
	sq_group_unbind(g, sq_group_binding_find(g, id), false, txn);
}

static enum sq_queue_how
declare_make(struct sq_shard *sh, const struct sq_declare *in, struct sq_subscriber **out,
    struct sq_buf *why)
{
	struct sq_broker *b = sh->broker;
	enum sq_queue_how how;
	struct sq_group_cfg cfg;
	struct sq_declaration copy;
	struct sq_group *g;
	char *name;

	how = declare_room(b, in->tenant, 1, in->decl->n_bindings, why);
	if (how != SQ_QUEUE_DONE)
		return how;
	name = sq_named_group(sq_tenant_name(in->tenant), sq_bytes_of(in->name));
	cfg = sq_declared_group(in->decl, name, in->tenant);
	g = sq_group_join(b, &cfg, in->txn);
	free(name);
	for (size_t i = 0; i < in->decl->n_bindings; i++)
		declare_bind(g, &in->decl->bindings[i], in->txn);
	declare_give(in->tenant, 1, in->decl->n_bindings);
	sq_declaration_copy(&copy, in->decl);
	*out = sq_subscriber_new(b->subscribers, g, &copy, sq_broker_id(b));
	(*out)->in_file = in->in_file;
	(*out)->owned = in->owned;
	(*out)->declarer = declare_who(in);
	(*out)->used_ms = sq_worker_now_ms(sh->worker);
	sq_declared_store(*out, in->txn);
	sq_subscriber_serve(*out);
	return SQ_QUEUE_CREATED;
}

/* Why a queue can't be declared so as it is now; DONE: it can. */
static enum sq_queue_how
declare_conflict(
    const struct sq_subscriber *s, const struct sq_declaration *now, struct sq_buf *why)
{
	const struct sq_sink *sink = &s->group->sink;
	const char *loses = sq_declaration_loses(s->decl, now);
	struct sq_queue_state q;

	sink->engine->ops->queue.state(sink->queue, &q);
	if (loses != NULL &&
	    ((now->max_messages != 0 && q.n + q.coming > now->max_messages) ||
		(now->max_bytes != 0 && q.bytes + q.coming_bytes > now->max_bytes))) {
		sq_buf_printf(why, "%s than what waits: %llu messages of %llu bytes", loses,
		    (unsigned long long)(q.n + q.coming),
		    (unsigned long long)(q.bytes + q.coming_bytes));
		return SQ_QUEUE_CONFLICT;
	}
	if (now->order != SQ_ORDER_NONE && s->decl->order == SQ_ORDER_NONE &&
	    sq_named_members(s->group) > 0) {
		sq_buf_printf(why,
		    "order: %u MQTT clients have joined the queue, which take from queues without "
		    "one",
		    sq_named_members(s->group));
		return SQ_QUEUE_CONFLICT;
	}
	return SQ_QUEUE_DONE;
}

/* Has the group's bindings be those of 'now'. */
static void
declare_rebind(struct sq_subscriber *s, const struct sq_declaration *now, struct sq_txn *txn)
{
	const struct sq_declaration *old = s->decl;

	for (size_t i = 0; i < old->n_bindings; i++) {
		const struct sq_declared_binding *b = &old->bindings[i];
		const struct sq_declared_binding *stays = sq_declaration_binding(now, b->id);

		if (stays == NULL || !sq_declared_binding_equal(b, stays))
			declare_unbind(s->group, b->id, txn);
	}
	for (size_t i = 0; i < now->n_bindings; i++) {
		const struct sq_declared_binding *b = &now->bindings[i];
		struct sq_group_binding *there = sq_group_binding_find(s->group, b->id);

		if (there != NULL)
			sq_group_set_qos(s->group, there, b->qos, txn);
		else
			declare_bind(s->group, b, txn);
	}
}

/* The declaration is that of 'in' from here on. */
static void
declare_swap(struct sq_subscriber *s, const struct sq_declare *in)
{
	const struct sq_declaration *old, *now;
	struct sq_declaration copy;
	char *who = NULL;

	if (declare_pushes(s, in->decl) || (in->in_file && !s->in_file) || s->declarer == NULL)
		who = declare_who(in);
	sq_declaration_copy(&copy, in->decl);
	now = sq_declaration_keep(&copy);
	pthread_mutex_lock(&s->all->lock);
	old = s->decl;
	s->decl = now;
	s->in_file = in->in_file;
	s->owned = in->owned;
	if (who != NULL) {
		free(s->declarer);
		s->declarer = who;
	}
	s->revision = sq_broker_id(s->all->broker);
	pthread_mutex_unlock(&s->all->lock);
	sq_declaration_unref(&old);
}

static enum sq_queue_how
declare_change(struct sq_subscriber *s, const struct sq_declare *in, struct sq_buf *why)
{
	struct sq_broker *b = s->all->broker;
	size_t bindings = declare_new_bindings(s->decl, in->decl);
	enum sq_queue_how how = declare_conflict(s, in->decl, why);
	struct sq_group_cfg cfg;

	if (how != SQ_QUEUE_DONE)
		return how;
	if (bindings > 0 && (how = declare_room(b, in->tenant, 0, bindings, why)) != SQ_QUEUE_DONE)
		return how;
	declare_rebind(s, in->decl, in->txn);
	declare_give(in->tenant, 0, bindings);
	cfg = sq_declared_group(in->decl, NULL, NULL);
	sq_named_set(s->group, &cfg, in->txn);
	declare_swap(s, in);
	sq_declared_store(s, in->txn);
	sq_subscriber_serve_so(s);
	return SQ_QUEUE_DONE;
}

/* Whether who declares it may, beside a file or an owner. */
static bool
declare_may(const struct sq_subscriber *s, const struct sq_declare *in, struct sq_buf *why)
{
	if (in->owned || in->releases)
		return true;
	if (s == NULL && strncmp(in->name, SQ_QUEUE_OF_BRIDGES, strlen(SQ_QUEUE_OF_BRIDGES)) == 0) {
		sq_buf_printf(why,
		    "names that begin with " SQ_QUEUE_OF_BRIDGES
		    " are those of the queues of bridges");
		return false;
	}
	if (s == NULL || !s->in_file || (in->in_file && !s->owned))
		return true;
	sq_buf_printf(why, "it is declared at ");
	sq_declared_where(s, why);
	return false;
}

enum sq_queue_how
sq_declare(struct sq_shard *sh, const struct sq_declare *in, struct sq_subscriber **out,
    struct sq_buf *why)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_tenant_name(in->tenant), in->name);
	enum sq_queue_how how = declare_within(sh->broker, in, why);

	*out = s;
	if (how != SQ_QUEUE_DONE)
		return how;
	if (s != NULL && s->removing != NULL) {
		sq_buf_printf(why, "the queue is about to end");
		return SQ_QUEUE_CONFLICT;
	}
	if (s != NULL && s->in_file == in->in_file && s->owned == in->owned &&
	    sq_declaration_equal(s->decl, in->decl))
		return SQ_QUEUE_DONE;
	if (!declare_may(s, in, why))
		return SQ_QUEUE_IN_FILE;
	if (!declare_fits(in->txn, s != NULL ? s->decl : NULL, in->decl)) {
		sq_buf_printf(why, "bindings: more than a transaction of the store holds");
		return SQ_QUEUE_INVALID;
	}
	if (declare_pushes(s, in->decl))
		how = declare_judge(sh->broker->subscribers, in, why);
	if (how != SQ_QUEUE_DONE)
		return how;
	return s != NULL ? declare_change(s, in, why) : declare_make(sh, in, out, why);
}

void
sq_declare_release(struct sq_subscriber *s, struct sq_txn *txn)
{
	pthread_mutex_lock(&s->all->lock);
	s->in_file = false;
	s->revision = sq_broker_id(s->all->broker);
	pthread_mutex_unlock(&s->all->lock);
	sq_declared_store(s, txn);
}

void
sq_declared_where(const struct sq_subscriber *s, struct sq_buf *out)
{
	if (s->owned)
		sq_buf_printf(out, "a file of bridges.dir, by its bridge");
	else
		sq_declared_files_where(s->all, s->space, s->name, out);
}

/* Calls. */

/* Declares what the call asks for, and answers. */
static void
declare_for(struct sq_shard *sh, struct sq_call *c, const struct sq_declaration *decl,
    enum sq_queue_how done)
{
	struct sq_ask_txn *a = sq_ask_txn_new(sh, c);
	struct sq_declare in = {
	    .name = c->in.queue.name, .decl = decl, .who = c->in.queue.who->name, .txn = &a->txn};
	struct sq_queue_out *out = &c->out.queue;
	struct sq_subscriber *s;

	in.tenant = sq_tenant_get(sh->broker->tenants, sq_ask_space(c));
	sq_space_wrlock(sq_tenant_space(in.tenant));
	out->how = sq_declare(sh, &in, &s, &out->detail);
	if (out->how == SQ_QUEUE_DONE)
		out->how = done;
	if (out->how == SQ_QUEUE_DONE || out->how == SQ_QUEUE_CREATED) {
		pthread_mutex_lock(&s->all->lock);
		sq_look_info(s, true, &out->infos);
		pthread_mutex_unlock(&s->all->lock);
		sq_ask_txn_commit(a); /* before somebody else's change of the same group */
	}
	sq_space_unlock(sq_tenant_space(in.tenant));
	sq_tenant_unref(&in.tenant);
	if (out->how != SQ_QUEUE_DONE && out->how != SQ_QUEUE_CREATED) {
		sq_ask_txn_drop(&a);
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
	}
}

void
sq_declare_call(struct sq_shard *sh, struct sq_call *c)
{
	const struct sq_queue_declare *in = &c->in.queue.in.declare;
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	struct sq_buf *why = &c->out.queue.detail;

	if (in->must_be_new && s != NULL)
		sq_ask_answer(c, SQ_QUEUE_CHANGED, "there is a queue of that name");
	else if (!sq_revision_is(s, in->if_revision))
		sq_ask_answer(c, SQ_QUEUE_CHANGED,
		    s == NULL ? "there is no queue of that name"
			      : "the queue has another revision");
	else if (sq_declaration_check(in->decl, why) != SQ_OK)
		sq_ask_answer(c, SQ_QUEUE_INVALID, NULL);
	else
		declare_for(sh, c, in->decl, SQ_QUEUE_DONE);
}

void
sq_patch_call(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_queue_declare *in = &c->in.queue.in.declare;
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	struct sq_declaration decl;

	if (s == NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	if (!sq_revision_is(s, in->if_revision)) {
		sq_ask_answer(c, SQ_QUEUE_CHANGED, "the queue has another revision");
		return;
	}
	sq_declaration_copy(&decl, s->decl);
	if (sq_declaration_read_json(&decl, in->patch, &c->out.queue.detail) != SQ_OK) {
		sq_ask_answer(c, SQ_QUEUE_INVALID, NULL);
	} else {
		c->in.queue.op = SQ_QUEUE_DECLARE;
		in->decl = &decl;
		if (sq_ask_allowed(sh, c))
			declare_for(sh, c, &decl, SQ_QUEUE_DONE);
	}
	sq_declaration_fini(&decl);
}

void
sq_bind_call(struct sq_shard *sh, struct sq_call *c)
{
	const struct sq_declared_binding *b = &c->in.queue.in.bind.binding;
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	bool binds = c->in.queue.op == SQ_QUEUE_BIND;
	struct sq_declaration decl;
	size_t n;

	if (s == NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	sq_declaration_copy(&decl, s->decl);
	n = decl.n_bindings;
	if (binds && sq_declaration_bind(&decl, b, &c->out.queue.detail) != SQ_OK)
		sq_ask_answer(c, SQ_QUEUE_INVALID, NULL);
	else if (!binds && !sq_declaration_unbind(&decl, b->id))
		sq_ask_answer(c, SQ_QUEUE_MISSING, "the queue has no binding of that id");
	else
		declare_for(sh, c, &decl, decl.n_bindings > n ? SQ_QUEUE_CREATED : SQ_QUEUE_DONE);
	sq_declaration_fini(&decl);
}
