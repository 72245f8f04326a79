#include "broker/deed/remove.h"

#include "broker/deed/work.h"
#include "broker/session/life.h"
#include "proto/mqtt/reason.h"

static void
remove_done(struct sq_deed *d)
{
	sq_deed_end(d, SQ_DEED_DONE, NULL);
}

static void
remove_step(struct sq_deed *d)
{
	struct sq_session *s = sq_session_find(d->work.shard, &d->work.key);

	if (s == NULL) {
		sq_deed_end(d, SQ_DEED_MISSING, "there is no such session");
		return;
	}
	if (s->id.internal && !d->force) {
		sq_deed_end(d, SQ_DEED_REFUSED,
		    "the session is a sidecar's own, which makes it anew: \"force\" says that "
		    "this is meant");
		return;
	}
	d->n = 1;
	d->work.step = remove_done;
	sq_session_evict(s, SQ_MQTT_RC_ADMIN_ACTION, "an operator has removed the session",
	    SQ_VERDICT_EPOCH, sq_deed_txn(d));
	sq_deed_commit(d);
}

void
sq_deed_remove(struct sq_deed *d)
{
	if (sq_key_decode(sq_bytes_of(d->name), &d->work.key) != SQ_OK)
		sq_deed_end(d, SQ_DEED_MISSING, "that is no session's key");
	else if (sq_deed_may_session(d) != SQ_DEED_MAY)
		sq_deed_end(d, SQ_DEED_DENIED, NULL);
	else
		sq_deed_go(d,
		    &d->work.broker->shards[sq_key_hash(&d->work.key) % d->work.broker->n_shards],
		    remove_step);
}
