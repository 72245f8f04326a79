#include "broker/subscriber/peek.h"

#include <stdlib.h>

#include "broker/engine/engine.h"
#include "broker/publish/id.h"
#include "broker/subscriber/ask.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "web/worker.h"

enum { BYTES_MAX = 4 << 20 }; /* of the messages of one look */

/* A look under way. */
struct peek {
	struct sq_scan scan;
	struct sq_shard *shard;
	struct sq_call *call;
	struct sq_group *group; /* a reference */
};

struct sq_pulled
sq_peek_item(const char *space, const struct sq_item *item, uint64_t now_ms)
{
	struct sq_pulled m = {.msg = sq_msg_ref(item->msg),
	    .seq = item->seq,
	    .enqueued_ms = item->arrived_ms,
	    .expires_ms = sq_wallclock_from_mono(item->expires_ms, now_ms),
	    .attempt = item->attempts + 1u,
	    .qos = item->assured ? 3 : (uint8_t)sq_image_qos(item->msg.image)};

	sq_message_id(space, item->msg.image, &item->origin, m.id);
	return m;
}

static void
peek_pulled(const struct peek *p, const struct sq_item *item)
{
	struct sq_pulled m = sq_peek_item(
	    sq_tenant_name(p->group->tenant), item, sq_worker_now_ms(p->shard->worker));

	sq_buf_append(&p->call->out.queue.pulled, &m, sizeof m);
}

static void
peek_done(struct sq_scan *scan, int err)
{
	struct peek *p = SQ_CONTAINER_OF(scan, struct peek, scan);
	struct sq_call *c = p->call;
	bool whole = err == SQ_OK || scan->n > 0;

	for (uint32_t i = 0; i < scan->n; i++)
		peek_pulled(p, &scan->items[i]);
	c->out.queue.more = scan->more || err == SQ_EIO;
	c->out.queue.how = SQ_QUEUE_DONE;
	sq_scan_fini(scan);
	sq_group_unref(&p->group);
	sq_broker_object(p->shard->broker, -1);
	free(p);
	if (whole)
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
	else if (err == SQ_ECLOSED)
		sq_ask_answer(c, SQ_QUEUE_MISSING, "the queue has ended");
	else
		sq_call_answer(c, SQ_VERDICT_BUSY, "the store can't be read now");
}

void
sq_peek_call(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	uint32_t max = c->in.queue.in.peek.max;
	struct peek *p;

	if (s == NULL || s->removing != NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	p = sq_xcalloc(1, sizeof *p);
	p->shard = sh;
	p->call = c;
	p->group = sq_group_ref(s->group);
	p->scan = (struct sq_scan){.worker = sh->worker,
	    .from = c->in.queue.in.peek.after + 1,
	    .max_items = max > 0 && max < SQ_PEEK_MAX ? max : SQ_PEEK_MAX,
	    .max_bytes = BYTES_MAX,
	    .done = peek_done};
	sq_broker_object(sh->broker, 1);
	p->group->sink.engine->ops->queue.scan(p->group->sink.queue, &p->scan);
}
