#include "broker/publish/view.h"

#include "broker/group/group.h"
#include "broker/group/queue_view.h"
#include "broker/publish/dead_queues.h"
#include "broker/shard/view.h"

bool
sq_dead_queues_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	static const char *const kinds[] = {
	    [SQ_DEAD_ASSURED] = "dead", [SQ_DEAD_OTHERS] = "dead-others"};
	struct sq_broker *b = owner;
	struct sq_view_place at = {sq_view_from(v).of, 0};
	struct sq_group *groups[SQ_DEAD_KINDS];

	(void)worker;
	while (sq_dead_seek(b->dead, &at.of, groups)) {
		if (!sq_view_visit(v, at))
			return false;
		for (size_t kind = 0; kind < SQ_DEAD_KINDS; kind++) {
			if (groups[kind] != NULL)
				(void)sq_queue_view_row(v, b, &groups[kind]->sink, kinds[kind]);
		}
		if (++at.of == 0)
			break;
	}
	return true;
}

/* The row of a tenant that has delayed messages, which are in no queue of the engine. */
static void
delayed_row(struct sq_view_slice *v, const struct sq_broker *b, const struct sq_tenant *t)
{
	const struct sq_account *a = sq_tenant_account(t);
	uint64_t n = sq_share_used(a, SQ_SHARE_DELAYED);
	struct sq_buf name = {0};

	sq_buf_printf(&name, "delayed~%s", sq_tenant_name(t));
	sq_buf_u8(&name, '\0');
	if (n > 0 && sq_view_wants(v, sq_tenant_name(t), (const char *)sq_buf_data(&name))) {
		sq_view_row(v);
		sq_view_text(v, SQ_QUEUE_QUEUE, (const char *)sq_buf_data(&name));
		sq_view_text(v, SQ_QUEUE_KIND, "delayed");
		sq_view_text(v, SQ_QUEUE_SPACE, sq_tenant_name(t));
		sq_view_truth(v, SQ_QUEUE_DURABLE, b->engine->ops->durable);
		sq_view_number(v, SQ_QUEUE_DEPTH, n);
		sq_view_number(v, SQ_QUEUE_BYTES, sq_share_used(a, SQ_SHARE_DELAYED_BYTES));
		sq_view_number(v, SQ_QUEUE_MAX_MESSAGES, b->cfg.delayed_max_msgs);
		sq_view_number(v, SQ_QUEUE_MAX_BYTES, b->cfg.delayed_max_bytes);
		sq_view_truth(v, SQ_QUEUE_FULL,
		    sq_share_room(a, SQ_SHARE_DELAYED) == 0 ||
			sq_share_room(a, SQ_SHARE_DELAYED_BYTES) == 0);
	}
	sq_buf_fini(&name);
}

bool
sq_delayed_queues_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	(void)worker;
	return sq_view_walk_tenants(v, owner, delayed_row);
}
