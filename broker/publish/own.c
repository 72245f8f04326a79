#include "broker/publish/own.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/publish/publish.h"
#include "broker/publish/put.h"
#include "broker/publish/receipts.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"

/* A transaction of the broker's own, in the place of one that has no room. */
struct own_apart {
	struct sq_shard *shard;
	struct sq_system_txn *txn;
};

static struct sq_txn *
own_split(void *arg, uint64_t number)
{
	struct own_apart *apart = arg;

	(void)number;
	return sq_system_txn(apart->shard, &apart->txn);
}

void
sq_own_untold(struct sq_publish *p, const char *what)
{
	struct own_apart apart = {.shard = p->home};
	uint8_t code;

	if (p->more.split == NULL)
		p->more = (struct sq_publish_more){.split = own_split, .arg = &apart};
	code = sq_publish_message(p);
	p->refused.topic = sq_image_topic(p->msg->image);
	p->refused.props = sq_image_props(p->msg->image);
	if (sq_mqtt_reason_failed(code))
		sq_refused_untold(&p->refused, &p->from.of, what, code);
	sq_route_unlock(p);
	sq_refused_fini(&p->refused);
	sq_system_commit(&apart.txn);
}

struct sq_publish
sq_own_publish(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_msg *m, const struct sq_origin *origin)
{
	return (struct sq_publish){.broker = sh->broker,
	    .home = sh,
	    .from = {.of = {.broker = sh->broker,
			 .space = sq_tenant_name(tenant),
			 .name = sq_tenant_name(tenant)},
		.own = true},
	    .tenant = tenant,
	    .txn = txn,
	    .msg = m,
	    .origin = origin};
}

/* The transaction of '*own' goes on in the next one. */
struct own_due {
	struct sq_shard *shard;
	struct sq_system_txn **own;
};

static struct sq_txn *
own_due_split(void *arg, uint64_t number)
{
	struct own_due *due = arg;

	(void)number;
	sq_system_commit(due->own);
	return sq_system_txn(due->shard, due->own);
}

bool
sq_own_due(struct sq_shard *sh, struct sq_system_txn **own, struct sq_tenant *tenant,
    const struct sq_msg *m, uint64_t not_from)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = sq_own_publish(sh, sq_system_txn(sh, own), tenant, m, &origin);
	struct own_due due = {sh, own};

	p.due = true;
	p.more = (struct sq_publish_more){.split = own_due_split, .arg = &due};
	p.from.not_from = not_from;
	sq_own_untold(&p, "a message of the broker's own");
	return p.end.how != SQ_PUBLISH_HELD;
}

/* Nobody is to lose a message for one of these, and no queue to fill with them. */
static bool
own_fits(const struct sq_sink *sink, uint32_t size)
{
	struct sq_queue_state q;

	sink->engine->ops->queue.state(sink->queue, &q);
	return q.takers > 0 && q.n + q.coming < q.max_msgs &&
	    q.bytes + q.coming_bytes + size <= q.max_bytes;
}

void
sq_own_sys(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant,
    struct sq_space *space, const struct sq_msg *m)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = sq_own_publish(sh, txn, tenant, m, &origin);
	size_t n, left = 0;
	struct sq_binding **v, **fit;

	sq_route_lock(&p, space);
	v = sq_router_match(sh->routes, space, m->image, &n);
	p.retain = sq_image_retain(m->image);
	fit = sq_xmalloc((n + 1) * sizeof(*fit));
	for (size_t i = 0; i < n; i++) {
		if (own_fits(v[i]->sink, sq_image_size(m->image)))
			fit[left++] = v[i];
	}
	sq_put_all(&p, fit, left);
	free(fit);
	sq_route_unlock(&p);
}

/* Receipts. */

static void
own_receipt(
    struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant, const struct sq_msg *m)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = sq_own_publish(sh, txn, tenant, m, &origin);

	sq_own_untold(&p, "a message of the broker's own");
	sq_count(sh->broker, SQ_M_RECEIPTS, 1);
}

void
sq_own_receipt(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant, struct sq_msg m)
{
	own_receipt(sh, txn, tenant, &m);
	sq_msg_unref(&m);
	sq_own_receipts(sh, txn);
}

void
sq_own_receipts(struct sq_shard *sh, struct sq_txn *txn)
{
	struct sq_receipt *r;

	assert(!sq_router_locked());
	while ((r = sq_receipts_take(sh->receipts)) != NULL) {
		own_receipt(sh, txn, r->tenant, &r->msg);
		sq_receipt_free(r);
	}
}

void
sq_own_receipts_left(struct sq_shard *sh)
{
	struct sq_system_txn *own = NULL;

	sq_own_receipts(sh, sq_system_txn(sh, &own));
	sq_system_commit(&own);
}
