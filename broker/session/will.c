#include "broker/session/will.h"

#include "broker/publish/own.h"
#include "broker/publish/publish.h"
#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/session.h"

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
