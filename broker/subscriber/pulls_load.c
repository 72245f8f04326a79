#include "broker/subscriber/pulls_load.h"

#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pulls.h"
#include "broker/subscriber/requests.h"
#include "core/log.h"

struct load {
	struct sq_pulls *pulls;
	const struct sq_pulls_find *find;
	uint64_t now_ms;
	int err;
};

static void
load_key(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct load *l = arg;

	(void)key;
	if (sq_pulls_restore_key(l->pulls, value))
		return;
	SQ_ERROR("store", "the record of the key of leases does not read");
	l->err = SQ_EINVAL;
}

static void
load_lease(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct load *l = arg;
	struct sq_pull *p = l->find->pull(l->find->arg, key->id);
	int err = p != NULL ? sq_pull_item_load(p, key->sub, value, l->now_ms) : SQ_OK;

	if (p == NULL)
		l->find->orphan(l->find->arg, key);
	if (err == SQ_OK)
		return;
	SQ_ERROR("store", "a lease of queue %016llx does not read", (unsigned long long)key->id);
	l->err = err;
}

static void
load_request(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct load *l = arg;
	uint64_t queue = sq_request_queue(value);
	struct sq_pull *p = queue != 0 ? l->find->pull(l->find->arg, queue) : NULL;

	if (p != NULL) {
		sq_request_load(p, key, value, l->now_ms);
	} else if (queue == 0) {
		SQ_ERROR("store", "the record of a settlement %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
	} else {
		l->find->orphan(l->find->arg, key);
	}
}

int
sq_pulls_load(struct sq_pulls *ps, const struct sq_pulls_find *find, uint64_t now_ms)
{
	struct load l = {.pulls = ps, .find = find, .now_ms = now_ms};
	struct sq_engine *e = sq_pulls_broker(ps)->engine;
	int err = e->ops->start.load(e, SQ_RECORD_LEASE_KEY, load_key, &l);

	if (err == SQ_OK)
		err = e->ops->start.load(e, SQ_RECORD_LEASE, load_lease, &l);
	if (err == SQ_OK)
		err = e->ops->start.load(e, SQ_RECORD_SETTLED, load_request, &l);
	return err != SQ_OK ? err : l.err;
}
