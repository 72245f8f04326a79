#include "broker/publish/dead_letters.h"

#include "broker/engine/traced.h"
#include "broker/group/group.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/letter.h"
#include "broker/shard/system_txn.h"
#include "core/clock.h"
#include "web/worker.h"

static void
dead_traced(const struct sq_msg *m, const char *queue, const char *reason)
{
	struct sq_trace t;
	struct sq_span *s = sq_traced(m->image, &t)
	    ? sq_traced_span(SQ_SPAN_DEAD_LETTER, &t, m->image, NULL, sq_clock_us())
	    : NULL;

	if (s == NULL)
		return;
	sq_span_text(s->queue, sizeof s->queue, sq_bytes_of(queue));
	sq_traced_fail(s, reason);
	sq_span_record(s);
}

void
sq_dead_letter(struct sq_broker *b, struct sq_tenant *tenant, struct sq_txn *txn,
    const struct sq_msg *m, const char *queue, const char *reason, const char *detail, bool assured)
{
	const struct sq_engine_ops *ops = b->engine->ops;
	struct sq_group *g = sq_dead_group(
	    b->dead, tenant, assured ? SQ_DEAD_ASSURED : SQ_DEAD_OTHERS);
	struct sq_system_txn *apart = NULL;
	struct sq_item item = {
	    .msg = sq_letter_new(m, queue, reason, detail),
	    .origin = sq_system_origin(b),
	};
	if (sq_traced_maybe(m->image))
		dead_traced(m, queue, reason);
	item.qos = sq_image_qos(item.msg.image) & 3u;
	/* Committed before what it is of has left: after a crash between the two there are
	 * both. */
	if (!ops->txn.room(txn, 1, sq_image_size(item.msg.image)))
		txn = sq_system_txn(&b->shards[sq_worker_index(txn->worker)], &apart);
	/* Others make room; of QoS 3 no more messages come in while its queue is full. */
	if (ops->txn.put(txn, g->sink.queue, &item) == SQ_OK)
		sq_count(b, SQ_M_DEAD_LETTERS, 1);
	else
		sq_count(b, SQ_M_DEAD_LETTERS_DROPPED, 1);
	sq_system_commit(&apart);
	sq_group_unref(&g);
}
