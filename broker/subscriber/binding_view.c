/* A binding's place is that of its queue and, in it, its index: while bindings are changed, a walk may
 * have one twice, or miss one. */
#include "broker/subscriber/binding_view.h"

#include "broker/group/group.h"
#include "broker/shard/shard.h"
#include "broker/shard/source.h"
#include "broker/subscriber/table.h"

/* X(symbol, name, type, unit, help) */
#define BINDING_COLUMNS(X) \
	X(QUEUE, "queue", TEXT, "", "into which its messages go, as in `queues`") \
	X(SPACE, "space", TEXT, "", "") \
	X(ID, "id", TEXT, "", "its name in the queue") \
	X(FILTER, "filter", TEXT, "", "null: any topic") \
	X(TAG, "tag", TEXT, "", "null: any message") \
	X(QOS, "qos", NUMBER, "", "the greatest")

#define BINDING_COLUMN(symbol, name, type, unit, help) BINDING_##symbol,
enum binding_column { BINDING_COLUMNS(BINDING_COLUMN) BINDING_COLUMN_COUNT };
#undef BINDING_COLUMN

static const struct sq_view_column binding_columns[] = {BINDING_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_binding_view = {
    .name = "bindings",
    .help = "What comes into named queues, whoever takes from them.",
    .named = "queue",
    .columns = binding_columns,
    .n_columns = BINDING_COLUMN_COUNT,
};

static void
binding_row(struct sq_view_slice *v, const struct sq_subscriber *s, const char *queue,
    const struct sq_declared_binding *b)
{
	sq_view_row(v);
	sq_view_text(v, BINDING_QUEUE, queue);
	sq_view_text(v, BINDING_SPACE, s->space);
	sq_view_text(v, BINDING_ID, b->id);
	if (b->filter != NULL)
		sq_view_text(v, BINDING_FILTER, b->filter);
	if (b->tag != NULL)
		sq_view_text(v, BINDING_TAG, b->tag);
	sq_view_number(v, BINDING_QOS, b->qos);
}

/* Those of one queue from 'at' on, and a visit of the queue itself behind them. */
static bool
bindings_of(struct sq_view_slice *v, struct sq_hnode *of, struct sq_view_place at)
{
	const struct sq_subscriber *s = SQ_CONTAINER_OF(of, struct sq_subscriber, by_id);
	const char *queue = sq_source_name(s->group->sink.source);

	if (sq_view_wants(v, s->space, queue)) {
		for (; at.inner < s->decl->n_bindings; at.inner++) {
			if (!sq_view_visit(v, at))
				return false;
			binding_row(v, s, queue, &s->decl->bindings[at.inner]);
		}
	}
	at.inner = UINT64_MAX;
	return sq_view_visit(v, at);
}

bool
sq_bindings_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_subscribers *all = ((const struct sq_broker *)owner)->subscribers;
	bool last;

	(void)worker;
	pthread_mutex_lock(&all->lock);
	last = sq_view_walk_htab_rows(v, &all->by_id, bindings_of);
	pthread_mutex_unlock(&all->lock);
	return last;
}
