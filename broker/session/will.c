#include "broker/session/will.h"

#include <assert.h>

#include "broker/publish/own.h"
#include "broker/publish/publish.h"
#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/session.h"
#include "web/worker.h"

void
sq_will_set(struct sq_session *s, struct sq_bytes image, uint32_t delay_s)
{
	assert(s->will.msg.image == NULL);
	s->will.delay_s = delay_s;
	if (image.len == 0)
		return;
	s->will.msg.block = sq_block_copy(image.p, image.len);
	s->will.msg.image = s->will.msg.block->bytes;
}

void
sq_will_drop(struct sq_session *s)
{
	sq_heap_remove(&s->shard->sessions->timers, &s->will.timer);
	sq_msg_unref(&s->will.msg);
}

void
sq_will_later(struct sq_session *s, uint32_t after_s)
{
	if (s->will.msg.image != NULL)
		sq_heap_set(&s->shard->sessions->timers, &s->will.timer,
		    sq_worker_now_ms(s->shard->worker) + after_s * UINT64_C(1000));
}

void
sq_will_publish(struct sq_session *s)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_origin origin;
	struct sq_background_txn *background = NULL;
	struct sq_publish p;

	sq_heap_remove(&s->shard->sessions->timers, &s->will.timer);
	if (s->will.msg.image == NULL)
		return;
	origin = sq_system_origin(b);
	sq_permit_refresh(s);
	p = sq_own_publish(
	    s->shard, sq_background_txn(s, &background), s->id.tenant, &s->will.msg, &origin);
	p.from = (struct sq_publisher){.of = sq_session_refused(s),
	    .permit = s->permit.subject,
	    .not_from = s->id.incarnation};
	sq_own_untold(&p, "will");
	sq_own_receipts(s->shard, sq_background_txn(s, &background));
	sq_persist_will_gone(s, sq_background_txn(s, &background));
	sq_background_commit(&background);
	sq_publish_committed(&p);
	sq_count(b, SQ_M_WILLS, 1);
	sq_msg_unref(&s->will.msg);
}
