#include "broker/subscriber/pull_together.h"

#include "broker/auth/identity/identity.h"
#include "broker/group/group.h"
#include "broker/publish/own.h"
#include "broker/publish/publish.h"
#include "broker/shard/sys_counts.h"
#include "broker/subscriber/pull_run.h"
#include "web/worker.h"

enum {
	ENTRY_ITEMS = 4,   /* that a settlement adds: with records, a letter, a receipt */
	ENTRY_BYTES = 512, /* and, without a message's */
};

void
sq_pull_together_add(struct sq_pull_together *g, const struct sq_pull_item *it, bool done)
{
	g->items += ENTRY_ITEMS;
	g->bytes += ENTRY_BYTES;
	if (!done || it->item.assured) /* a letter, a receipt */
		g->bytes += 2 * (uint64_t)it->d.bytes;
}

static struct sq_publish
together_publish(const struct sq_pull_together *g, struct sq_acl_subject *permit)
{
	struct sq_shard *sh = g->pull->shard;
	const char *space = sq_tenant_name(g->pull->group->tenant);

	return (struct sq_publish){.broker = sh->broker,
	    .home = sh,
	    .from = {.of = {.broker = sh->broker,
			 .space = space,
			 .name = space,
			 .identity = g->who,
			 .quiet_until_ms = &sh->intake_quiet_ms},
		.permit = permit,
		.told = true,
		.compares = true},
	    .tenant = g->pull->group->tenant,
	    .txn = &g->txn->txn,
	    .copies = {.pass = true}};
}

/* The rules for who publishes, without a client id. */
static struct sq_acl_subject *
together_permit(const struct sq_pull_together *g)
{
	const struct sq_acl_who who = {
	    .identity = g->who->name, .space = sq_tenant_name(g->pull->group->tenant), .own = true};
	struct sq_acl_subject *permit;
	uint64_t version;
	struct sq_acl *acl = sq_rules_get(g->pull->shard->broker->rules, &version);

	permit = sq_acl_subject_new(acl, &who);
	sq_acl_unref(&acl);
	return permit;
}

static void
together_outcome(void *arg, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct sq_pull_together *g = arg;
	uint64_t began_us = sq_traced_begin(p->msg->image);
	struct sq_span *span = NULL;

	g->outcome(g->arg, p, code, i);
	if (began_us != 0)
		span = sq_traced_admitted(
		    &g->txn->traced, p->msg->image, p->origin, code, began_us);
	if (span != NULL)
		sq_span_text(span->client, sizeof span->client, sq_bytes_of(g->who->name));
}

static void
together_count(const struct sq_pull_together *g)
{
	struct sq_shard *sh = g->pull->shard;
	struct sq_sys_part *sys = sq_sys_counts_part(
	    sh->broker->sys_counts, g->pull->group->tenant, (unsigned)sq_worker_index(sh->worker));
	int64_t bytes = 0;

	for (uint16_t i = 0; i < g->n; i++)
		bytes += sq_image_size(g->msgs[i].image);
	sq_sys_add(sys, SQ_SYS_RECEIVED, g->n);
	sq_sys_add(sys, SQ_SYS_RECEIVED_BYTES, bytes);
}

enum sq_together_end
sq_pull_together(struct sq_pull_together *g, struct sq_pull *p, struct sq_pull_txn *t)
{
	struct sq_together together = {.p = &g->publish,
	    .msgs = g->msgs,
	    .wants = g->wants,
	    .n = g->n,
	    .items = g->items,
	    .bytes = g->bytes,
	    .outcome = together_outcome,
	    .arg = g};
	struct sq_acl_subject *permit;
	enum sq_together_end end;

	g->pull = p;
	g->txn = t;
	permit = together_permit(g);
	g->publish = together_publish(g, permit);
	end = sq_together_publish(&together);
	sq_refused_fini(&g->publish.refused);
	sq_acl_subject_free(&permit);
	g->publish.from.permit = NULL;
	t->whole |= end == SQ_TOGETHER_TAKEN;
	return end;
}

void
sq_pull_together_settle(struct sq_pull_together *g)
{
	sq_pull_run_owed(g->pull);
	together_count(g);
	sq_own_receipts(g->pull->shard, &g->txn->txn);
	g->txn->settles = true;
}

void
sq_pull_together_end(struct sq_pull_together *g)
{
	sq_publish_committed(&g->publish);
}
