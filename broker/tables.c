#include "broker/tables.h"

#include "broker/group/message_view.h"
#include "broker/group/queue_view.h"
#include "broker/publish/view.h"
#include "broker/recent/gone.h"
#include "broker/session/view.h"
#include "broker/shard/view.h"
#include "broker/subscriber/binding_view.h"

static bool
tables_refusals(void *owner, unsigned worker, struct sq_view_slice *v)
{
	return sq_refusals_walk(((const struct sq_broker *)owner)->shards[worker].refusals, v);
}

static bool
tables_gone(void *owner, unsigned worker, struct sq_view_slice *v)
{
	return sq_gone_walk(((const struct sq_broker *)owner)->shards[worker].gone, v);
}

struct sq_view *
sq_tables_view(struct sq_broker *b, struct sq_worker *const *workers, size_t n_workers)
{
	const struct sq_view_source sources[] = {
	    {&sq_session_view, sq_sessions_view, b, true},
	    {&sq_queue_view, sq_groups_view, b, false},
	    {&sq_queue_view, sq_dead_queues_view, b, false},
	    {&sq_queue_view, sq_delayed_queues_view, b, false},
	    {&sq_queue_view, sq_session_queues_view, b, true},
	    {&sq_subscription_view, sq_subscriptions_view, b, true},
	    {&sq_binding_view, sq_bindings_view, b, false},
	    {&sq_message_view, sq_group_messages_view, b, false},
	    {&sq_message_view, sq_session_messages_view, b, true},
	    {&sq_delivery_view, sq_deliveries_view, b, true},
	    {&sq_dead_letter_view, sq_dead_letters_view, b, false},
	    {&sq_space_view, sq_spaces_view, b, false},
	    {&sq_retained_view, sq_retained_walk, b, false},
	    {&sq_key_view, sq_keys_view, b, false},
	    {&sq_refusal_view, tables_refusals, b, true},
	    {&sq_gone_view, tables_gone, b, true},
	    {&sq_store_view, sq_store_walk, b, false},
	};
	struct sq_view *v = sq_view_new(workers, n_workers);

	for (size_t i = 0; i < SQ_ARRAY_LEN(sources); i++)
		sq_view_add(v, &sources[i]);
	return v;
}
