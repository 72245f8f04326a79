#include "broker/subscriber/remove.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/engine/record.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/declare.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/pull_past.h"
#include "broker/subscriber/record.h"
#include "broker/subscriber/serve.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum { FORGET_MAX = 1000 }; /* records in a transaction */

/* A queue that is about to end. */
struct sq_removal {
	struct sq_call *call; /* NULL: nobody asked */
	enum sq_ending_why why;
	bool with_messages;
};

/* How many messages the queue has, with those that somebody has in his hands. */
static uint64_t
remove_messages(const struct sq_subscriber *s)
{
	const struct sq_sink *sink = &s->group->sink;
	struct sq_queue_state q;

	sink->engine->ops->queue.state(sink->queue, &q);
	return q.n + q.coming + q.unsettled;
}

/* Whether the queue can't end: 'how' and 'why' say so. */
static bool
remove_refused(
    const struct sq_subscriber *s, bool with_messages, enum sq_queue_how *how, struct sq_buf *why)
{
	uint64_t n = remove_messages(s);

	if (sq_named_members(s->group) > 0) {
		*how = SQ_QUEUE_CONFLICT;
		sq_buf_printf(why, "%u MQTT clients have joined the queue, and leave it first",
		    sq_named_members(s->group));
		return true;
	}
	if (n > 0 && !with_messages) {
		*how = SQ_QUEUE_NOT_EMPTY;
		sq_buf_printf(why,
		    "the queue has %llu message%s, those that are leased or wait for a retry "
		    "included: "
		    "?with-messages=true ends it with them",
		    (unsigned long long)n, n == 1 ? "" : "s");
		return true;
	}
	return false;
}

/* Has those settle that waited until it was certain. */
static void
remove_settle(struct sq_shard *sh, struct sq_list *settles)
{
	struct sq_call *c;

	while ((c = SQ_LIST_FIRST(settles, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		sq_serve_settle(sh, c);
	}
}

/* Under the write lock of the space, which it gives back.  The queue stays after all. */
static void
remove_not(struct sq_subscriber *s, struct sq_space *space, enum sq_queue_how how)
{
	struct sq_removal *r = s->removing;
	struct sq_shard *sh = s->shard;
	struct sq_list settles;

	sq_list_init(&settles);
	sq_list_splice(&settles, &s->settles);
	s->removing = NULL;
	sq_named_close(s->group, false);
	sq_space_unlock(space);
	sq_subscriber_serve(s);
	if (r->call != NULL)
		sq_ask_answer(r->call, how, NULL);
	free(r);
	remove_settle(sh, &settles);
}

/* A transaction in which records are deleted. */
struct past_txn {
	struct sq_shard *shard;
	struct sq_ask_txn *now; /* NULL: none is under construction */
	unsigned n;
};

static void
past_commit(struct past_txn *t)
{
	if (t->now != NULL)
		sq_ask_txn_commit(t->now);
	t->now = NULL;
	t->n = 0;
}

static void
past_delete(struct past_txn *t, const struct sq_settled_entry *e, struct sq_record_key key)
{
	if (!e->stored)
		return;
	if (t->now == NULL)
		t->now = sq_ask_txn_new(t->shard, NULL);
	sq_record_delete(&t->now->txn, &key);
	if (++t->n == FORGET_MAX)
		past_commit(t);
}

/* Deletes the records of what the queue with that number had settled, and frees that. */
static void
past_forget(struct sq_pull_past *past, struct sq_shard *sh, uint64_t queue)
{
	struct past_txn t = {.shard = sh};

	if (past == NULL)
		return;
	SQ_LIST_FOR_EACH(e, &past->requests.by_age, struct sq_settled_entry, by_age)
		past_delete(&t, e, sq_request_record(&e->name));
	SQ_LIST_FOR_EACH(e, &past->acked.by_age, struct sq_settled_entry, by_age)
		past_delete(&t, e, sq_lease_record(queue, e->name.hi));
	past_commit(&t);
	sq_pull_past_free(&past);
}

/* Nobody has anything of it: it ends. */
static void
remove_finish(struct sq_subscriber *s)
{
	struct sq_removal *r = s->removing;
	struct sq_space *space = sq_tenant_space(s->group->tenant);
	struct sq_tenant *tenant = sq_tenant_ref(s->group->tenant); /* while the space is locked */
	struct sq_buf why = {0}, *detail = r->call != NULL ? &r->call->out.queue.detail : &why;
	enum sq_queue_how how = SQ_QUEUE_DONE;
	struct sq_shard *sh = s->shard;
	struct sq_pull_past *past;
	struct sq_list settles;
	uint64_t id = s->id;
	struct sq_ask_txn *a;

	sq_list_init(&settles);
	sq_space_wrlock(space);
	if (remove_refused(s, r->with_messages, &how, detail)) {
		remove_not(s, space, how);
	} else {
		s->removing = NULL;
		past = s->past;
		s->past = NULL;
		sq_list_splice(&settles, &s->settles);
		a = sq_ask_txn_new(sh, r->call);
		if (r->call != NULL)
			r->call->out.queue.how = SQ_QUEUE_DONE;
		else
			SQ_INFO("broker", "queue %s~%s ends: nobody has used it for %u s", s->space,
			    s->name, (unsigned)s->decl->expiry_s);
		sq_declared_unstore(s, &a->txn);
		sq_named_end(&s->group, r->why, &a->txn);
		sq_subscriber_free(&s);
		sq_ask_txn_commit(a);
		sq_space_unlock(space);
		past_forget(past, sh, id);
		remove_settle(sh, &settles);
		free(r);
	}
	sq_tenant_unref(&tenant);
	sq_buf_fini(&why);
}

void
sq_remove_dismissed(struct sq_subscriber *s)
{
	if (s->removing != NULL)
		remove_finish(s);
}

/* Begins to end the queue. */
static void
remove_begin(struct sq_subscriber *s, const struct sq_removal *as)
{
	s->removing = sq_xmalloc(sizeof *s->removing);
	*s->removing = *as;
	sq_subscriber_dismiss(s);
}

void
sq_remove_call(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	struct sq_removal r = {.call = c,
	    .why = SQ_ENDING_DELETED,
	    .with_messages = c->in.queue.in.remove.with_messages};
	struct sq_queue_out *out = &c->out.queue;
	struct sq_space *space;
	bool refused;

	if (s == NULL || s->removing != NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	if (!sq_revision_is(s, c->in.queue.in.remove.if_revision)) {
		sq_ask_answer(c, SQ_QUEUE_CHANGED, "the queue has another revision");
		return;
	}
	if (s->in_file) {
		sq_buf_printf(&out->detail, "it is declared at ");
		sq_declared_where(s, &out->detail);
		sq_ask_answer(c, SQ_QUEUE_IN_FILE, NULL);
		return;
	}
	space = sq_tenant_space(s->group->tenant);
	sq_space_wrlock(space);
	refused = remove_refused(s, r.with_messages, &out->how, &out->detail);
	if (!refused)
		sq_named_close(s->group, true);
	sq_space_unlock(space);
	if (refused)
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
	else
		remove_begin(s, &r);
}

static bool
remove_in_use(const struct sq_subscriber *s)
{
	struct sq_pull_counts n = sq_pull_count(s->pull);

	return sq_named_members(s->group) > 0 || n.pollers > 0 || n.takers > 0 ||
	    remove_messages(s) > 0;
}

void
sq_remove_unused(struct sq_subscriber *s, uint64_t now_ms)
{
	struct sq_removal r = {.why = SQ_ENDING_EXPIRED};
	struct sq_space *space;

	if (s->removing != NULL || s->in_file || s->decl->expiry_s == 0)
		return;
	space = sq_tenant_space(s->group->tenant);
	sq_space_wrlock(space);
	if (remove_in_use(s))
		s->used_ms = now_ms;
	if (now_ms < s->used_ms + s->decl->expiry_s * UINT64_C(1000)) {
		sq_space_unlock(space);
		return;
	}
	sq_named_close(s->group, true);
	sq_space_unlock(space);
	remove_begin(s, &r);
}

void
sq_remove_stop(struct sq_subscriber *s)
{
	struct sq_removal *r = s->removing;
	struct sq_call *c;

	s->removing = NULL;
	if (r == NULL)
		return;
	while ((c = SQ_LIST_FIRST(&s->settles, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		sq_call_answer(c, SQ_VERDICT_DRAINING, "the broker ends");
	}
	if (r->call != NULL)
		sq_call_answer(r->call, SQ_VERDICT_DRAINING, "the broker ends");
	free(r);
}
