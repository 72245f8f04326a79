/* The records of groups and of their bindings; see group_store.h. */
#include "broker/group/group_store.h"

#include <string.h>

#include "broker/engine/record.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "web/worker.h"

static void
store_record(const struct sq_group *g, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    const struct sq_buf *value)
{
	struct sq_record_key key = {kind, g->id, sub};
	struct sq_bytes v = {0};

	if (value != NULL)
		v = sq_buf_bytes(value);
	g->sink.engine->ops->txn.record(txn, &key, v);
}

/* A group: u8 2, u8 flags (1 durable, 2 a share, 4 its options say the other of 1, 8 named), u8
 * overflow, u8 0, u32 expiry in s, u32 maximum length, u32 maximum attempts, u64 when it
 * expires (wall-clock ms, 0: it has subscriptions), bytes16 tenant, bytes16 name, u64 since
 * (wall-clock ms, 0: nobody said) and bytes16 pod of whom the options are.  Version 1 has
 * neither of these two, nor flag 4. */
void
sq_group_store(struct sq_group *g, struct sq_txn *txn)
{
	struct sq_buf v = {0};
	uint64_t expires_ms = 0;

	if (txn == NULL || !g->stored)
		return;
	if (g->n_subs == 0)
		expires_ms = sq_wallclock_from_mono(g->expires_ms, sq_worker_now_ms(txn->worker));
	sq_buf_u8(&v, 2);
	sq_buf_u8(&v,
	    (uint8_t)((g->durable ? SQ_GROUP_STORE_DURABLE : 0) |
		(g->cfg.share ? SQ_GROUP_STORE_SHARE : 0) |
		(g->cfg.named ? SQ_GROUP_STORE_NAMED : 0) |
		(g->options.now.durable != g->durable ? SQ_GROUP_STORE_WAITS : 0)));
	sq_buf_u8(&v, (uint8_t)g->cfg.overflow);
	sq_buf_u8(&v, 0);
	sq_buf_u32(&v, g->cfg.expiry_s);
	sq_buf_u32(&v, g->cfg.max_length);
	sq_buf_u32(&v, g->cfg.max_attempts);
	sq_buf_u64(&v, expires_ms);
	sq_record_put_name(&v, sq_tenant_name(g->tenant));
	sq_record_put_name(&v, g->name);
	sq_buf_u64(&v, g->options.since_ms);
	sq_record_put_name(&v, g->options.pod);
	store_record(g, txn, SQ_RECORD_GROUP, 0, &v);
	g->unsaved = false;
	sq_buf_fini(&v);
}

/* A binding: u8 1, u8 QoS, bytes16 name, bytes16 tag, bytes16 filter. */
void
sq_group_store_binding(struct sq_group *g, struct sq_group_binding *gb, struct sq_txn *txn)
{
	const char *tag = gb->name + strlen(gb->name) + 1;
	struct sq_buf v = {0};

	if (txn == NULL || !g->stored)
		return;
	if (gb->number == 0)
		gb->number = ++g->bound.next;
	sq_buf_u8(&v, 1);
	sq_buf_u8(&v, gb->binding.max_qos);
	sq_record_put_name(&v, gb->name);
	sq_record_put_text(&v, tag, gb->tag_len);
	sq_record_put_text(&v, tag + gb->tag_len, gb->filter_len);
	store_record(g, txn, SQ_RECORD_BINDING, gb->number, &v);
	sq_buf_fini(&v);
}

void
sq_group_unstore(const struct sq_group *g, struct sq_txn *txn)
{
	if (txn != NULL && g->stored)
		store_record(g, txn, SQ_RECORD_GROUP, 0, NULL);
}

void
sq_group_unstore_binding(
    const struct sq_group *g, const struct sq_group_binding *gb, struct sq_txn *txn)
{
	if (txn != NULL && gb->number != 0)
		store_record(g, txn, SQ_RECORD_BINDING, gb->number, NULL);
}
