#include "broker/subscriber/letters.h"

#include <stdlib.h>

#include "broker/engine/engine.h"
#include "broker/group/group.h"
#include "broker/publish/dead_queues.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/peek.h"
#include "core/mem.h"
#include "web/worker.h"

enum { BYTES_MAX = 4 << 20 }; /* of the letters of one look */

static const char *const letters_kinds[] = {
    [SQ_DEAD_ASSURED] = "dead", [SQ_DEAD_OTHERS] = "dead-others"};

/* A look under way, at one queue after the other. */
struct letters {
	struct sq_scan scan;
	struct sq_shard *shard;
	struct sq_call *call;
	struct sq_tenant *tenant; /* a reference */
	struct sq_group *group;   /* of the queue that is looked at, a reference */
	unsigned queue;
	uint32_t room;  /* for so many more, */
	uint64_t bytes; /* of that */
};

static void
letters_end(struct letters *l)
{
	struct sq_call *c = l->call;

	sq_group_unref(&l->group);
	sq_tenant_unref(&l->tenant);
	sq_broker_object(l->shard->broker, -1);
	free(l);
	sq_ask_answer(c, SQ_QUEUE_DONE, NULL);
}

/* There is more behind that place, or may be. */
static void
letters_more(struct letters *l, uint64_t from)
{
	struct sq_queue_out *out = &l->call->out.queue;

	out->more = true;
	out->next.queue = l->queue;
	out->next.from = from;
	letters_end(l);
}

static void letters_done(struct sq_scan *scan, int err);

/* Looks at the queue, or at the next one that there is, from 'from' on. */
static void
letters_look(struct letters *l, uint64_t from)
{
	sq_group_unref(&l->group);
	for (; l->queue < SQ_DEAD_KINDS; l->queue++, from = 0) {
		l->group = sq_dead_there(
		    l->shard->broker->dead, l->tenant, (enum sq_dead_kind)l->queue);
		if (l->group != NULL)
			break;
	}
	if (l->group == NULL) {
		letters_end(l);
		return;
	}
	if (l->room == 0 || l->bytes == 0) {
		letters_more(l, from);
		return;
	}
	l->scan = (struct sq_scan){.worker = l->shard->worker,
	    .from = from,
	    .max_items = l->room,
	    .max_bytes = l->bytes,
	    .done = letters_done};
	l->group->sink.engine->ops->queue.scan(l->group->sink.queue, &l->scan);
}

/* The store can't be read now: what has been found is the answer, if there is any. */
static void
letters_unread(struct letters *l, uint64_t from)
{
	struct sq_call *c = l->call;

	if (sq_queue_out_pulled(&c->out.queue) > 0) {
		letters_more(l, from);
		return;
	}
	sq_group_unref(&l->group);
	sq_tenant_unref(&l->tenant);
	sq_broker_object(l->shard->broker, -1);
	free(l);
	sq_call_answer(c, SQ_VERDICT_BUSY, "the store can't be read now");
}

/* Appends a letter to the answer. */
static void
letters_pulled(struct letters *l, const struct sq_item *item)
{
	uint64_t bytes = sq_image_size(item->msg.image);
	struct sq_pulled m = sq_peek_item(
	    sq_tenant_name(l->tenant), item, sq_worker_now_ms(l->shard->worker));

	m.dead = letters_kinds[l->queue];
	if (l->queue == SQ_DEAD_ASSURED)
		m.qos = 3; /* its message was; it is not */
	sq_buf_append(&l->call->out.queue.pulled, &m, sizeof m);
	l->bytes -= bytes < l->bytes ? bytes : l->bytes;
}

static void
letters_done(struct sq_scan *scan, int err)
{
	struct letters *l = SQ_CONTAINER_OF(scan, struct letters, scan);
	uint64_t from = scan->from;
	bool more = scan->more;

	for (uint32_t i = 0; i < scan->n; i++) {
		letters_pulled(l, &scan->items[i]);
		from = scan->items[i].seq + 1;
	}
	l->room -= scan->n;
	if (more)
		from = scan->next;
	sq_scan_fini(scan);
	if (err == SQ_EIO) {
		letters_unread(l, from);
	} else if (more) {
		letters_more(l, from);
	} else {
		l->queue++;
		letters_look(l, 0);
	}
}

void
sq_letters_call(struct sq_shard *sh, struct sq_call *c)
{
	uint32_t max = c->in.queue.in.letters.max;
	struct letters *l = sq_xcalloc(1, sizeof *l);

	l->shard = sh;
	l->call = c;
	l->tenant = sq_tenant_get(sh->broker->tenants, sq_ask_space(c));
	l->queue = c->in.queue.in.letters.queue;
	l->room = max > 0 && max < SQ_PEEK_MAX ? max : SQ_PEEK_MAX;
	l->bytes = BYTES_MAX;
	sq_broker_object(sh->broker, 1);
	letters_look(l, c->in.queue.in.letters.from);
}
