#include "broker/group/group_load.h"

#include <stdlib.h>

#include "broker/engine/record.h"
#include "broker/group/group_declare.h"
#include "broker/group/group_store.h"
#include "broker/group/named.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/wallclock.h"

struct groups_load {
	struct sq_broker *broker;
	struct sq_group *last; /* bindings come group by group */
	uint64_t now_ms;
	int err;
};

/* A group's record. */
struct group_record {
	struct sq_group_cfg cfg; /* without pointers */
	bool waits;
	uint64_t expires_ms, since_ms;
	struct sq_bytes tenant, name, pod;
};

static bool
load_record(struct sq_reader *r, struct group_record *out)
{
	uint8_t version = sq_read8(r), flags = sq_read8(r);

	*out = (struct group_record){.cfg = {.durable = (flags & SQ_GROUP_STORE_DURABLE) != 0,
					 .share = (flags & SQ_GROUP_STORE_SHARE) != 0,
					 .named = (flags & SQ_GROUP_STORE_NAMED) != 0},
	    .waits = (flags & SQ_GROUP_STORE_WAITS) != 0};
	out->cfg.overflow = (enum sq_overflow)sq_read8(r);
	(void)sq_read8(r);
	out->cfg.expiry_s = sq_read32(r);
	out->cfg.max_length = sq_read32(r);
	out->cfg.max_attempts = sq_read32(r);
	out->expires_ms = sq_read64(r);
	out->tenant = sq_record_take_text(r);
	out->name = sq_record_take_text(r);
	if (version >= 2) {
		out->since_ms = sq_read64(r);
		out->pod = sq_record_take_text(r);
	}
	/* Brokers that know no named queues write their record without that flag. */
	out->cfg.named = out->cfg.named || sq_named_is(out->name);
	return !r->bad && (version == 1 || version == 2) && out->name.len > 0 &&
	    sq_reader_left(r) == 0;
}

/* Sets the end of the group: the recorded one, but not before the grace, and at most the granted
 * expiry from now, since limits or the clock may have changed. */
static void
load_expiry(const struct groups_load *l, struct sq_group *g, uint64_t expires_ms)
{
	uint64_t most_ms = l->now_ms + l->broker->cfg.queue_expiry_max_s * UINT64_C(1000);

	if (expires_ms > most_ms)
		expires_ms = most_ms;
	if (expires_ms > g->expires_ms)
		g->expires_ms = expires_ms;
}

static void
load_group(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct groups_load *l = arg;
	struct group_record rec;
	struct sq_options options;
	struct sq_group *g;
	char *text;

	if (!load_record(&r, &rec)) {
		SQ_ERROR("store", "the record of group %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		return;
	}
	text = sq_xmemdup0(rec.tenant.p, rec.tenant.len);
	rec.cfg.tenant = sq_tenant_get(l->broker->tenants, text);
	free(text);
	rec.cfg.name = text = sq_xmemdup0(rec.name.p, rec.name.len);
	g = sq_group_make(l->broker, &rec.cfg, key->id, true);
	sq_tenant_unref(&rec.cfg.tenant);
	free(text);
	options = sq_group_cfg_options(&rec.cfg);
	options.durable = rec.cfg.durable != rec.waits;
	sq_group_options_set(&g->options, &options, rec.since_ms, rec.pod, l->now_ms);
	sq_space_wrlock(sq_tenant_space(g->tenant));
	sq_group_declared(g, l->now_ms, NULL);
	sq_space_unlock(sq_tenant_space(g->tenant));
	/* So do those who take from it: till then it is not taken for abandoned. */
	g->awaited = rec.expires_ms == 0 && l->broker->cfg.recovery_ms > 0;
	/* Transient sessions' subscriptions come back, or not, within the grace. */
	g->expires_ms = l->now_ms + l->broker->cfg.grace_ms +
	    (rec.expires_ms == 0 && !rec.waits ? g->expiry_s * UINT64_C(1000) : 0);
	/* Else a broker that is started more often than that would keep it for ever. */
	if (rec.expires_ms == 0 && !rec.waits)
		g->undated_ms = l->now_ms + l->broker->cfg.grace_ms;
	if (rec.expires_ms != 0)
		load_expiry(l, g, sq_wallclock_to_mono(rec.expires_ms, l->now_ms));
}

static struct sq_group *
load_find(struct groups_load *l, uint64_t id)
{
	if (l->last == NULL || l->last->id != id) {
		struct sq_group *g = sq_group_by_id(l->broker, id);

		l->last = g;
		sq_group_unref(&g);
	}
	return l->last;
}

static void
load_binding(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct groups_load *l = arg;
	uint8_t version = sq_read8(&r), qos = sq_read8(&r);
	struct sq_bytes name = sq_record_take_text(&r);
	struct sq_topic_filter filter = {.tag = sq_record_take_text(&r)};
	struct sq_group *g = load_find(l, key->id);
	struct sq_group_binding *gb;
	char *text;

	filter.filter = sq_record_take_text(&r);
	if (r.bad || version != 1 || filter.filter.len == 0 || g == NULL || !g->listed) {
		SQ_ERROR("store", "the record of a binding of group %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		return;
	}
	text = sq_xmemdup0(name.p, name.len);
	sq_space_wrlock(sq_tenant_space(g->tenant));
	gb = sq_group_binding_make(g, &filter, text, qos);
	sq_space_unlock(sq_tenant_space(g->tenant));
	free(text);
	gb->number = (uint32_t)key->sub;
	if (gb->number > g->bound.next)
		g->bound.next = gb->number;
}

int
sq_groups_load(struct sq_broker *b, uint64_t now_ms)
{
	const struct sq_engine_ops *ops = b->engine->ops;
	struct groups_load l = {.broker = b, .now_ms = now_ms};
	int err = ops->start.load(b->engine, SQ_RECORD_GROUP, load_group, &l);

	if (err == SQ_OK)
		err = ops->start.load(b->engine, SQ_RECORD_BINDING, load_binding, &l);
	return err == SQ_OK ? l.err : err;
}
