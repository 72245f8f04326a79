#include "broker/publish/redrive.h"

#include "broker/publish/letter.h"
#include "broker/publish/own.h"
#include "broker/publish/publish.h"
#include "broker/shard/source.h"
#include "proto/mqtt/reason.h"

static struct sq_txn *
redrive_split(void *arg, uint64_t number)
{
	struct sq_redrive *r = arg;

	(void)number;
	r->txn = r->next(r->arg);
	return r->txn;
}

/* Whether the message is in a queue now, in 'r->txn'. */
static bool
redrive_message(struct sq_redrive *r, const struct sq_msg *m)
{
	struct sq_tenant *tenant = sq_source_tenant(r->dead->source);
	struct sq_origin origin = sq_system_origin(r->shard->broker);
	struct sq_publish p = sq_own_publish(r->shard, r->txn, tenant, m, &origin);
	uint8_t code;

	p.due = p.from.again = true;
	p.more = (struct sq_publish_more){.split = redrive_split, .arg = r};
	code = sq_publish_message(&p);
	sq_route_unlock(&p);
	sq_refused_fini(&p.refused);
	sq_own_receipts(r->shard, r->txn);
	return !sq_mqtt_reason_failed(code) && p.end.how != SQ_PUBLISH_HELD && p.taken > 0;
}

bool
sq_redrive_letter(struct sq_redrive *r, struct sq_item *letter)
{
	const struct sq_engine_ops *ops = r->dead->engine->ops;
	struct sq_msg m = sq_letter_original(&letter->msg, r->to);
	bool good = m.image != NULL && redrive_message(r, &m);

	sq_msg_unref(&m);
	if (!good) {
		ops->txn.settle(r->txn, r->dead->queue, letter, SQ_UNTRIED);
		return false;
	}
	ops->txn.settle(r->txn, r->dead->queue, letter, SQ_DONE);
	sq_item_fini(letter);
	sq_count(r->shard->broker, SQ_M_DEAD_LETTERS_REDRIVEN, 1);
	return true;
}
