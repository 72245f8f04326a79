#include "broker/publish/delayed.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "web/worker.h"

struct sq_delayed {
	struct sq_broker *broker;
	pthread_mutex_t lock;
	struct sq_heap waiting;
	struct sq_list due; /* in their order; the first worker's */
};

struct sq_delayed *
sq_delayed_new(struct sq_broker *b)
{
	struct sq_delayed *d = sq_xcalloc(1, sizeof *d);

	d->broker = b;
	pthread_mutex_init(&d->lock, NULL);
	sq_list_init(&d->due);
	return d;
}

void
sq_delayed_give(struct sq_tenant *tenant, uint32_t n, uint64_t bytes)
{
	struct sq_account *a = sq_tenant_account(tenant);

	sq_share_give(a, SQ_SHARE_DELAYED, n);
	sq_share_give(a, SQ_SHARE_DELAYED_BYTES, bytes);
}

/* Frees a message that has left both lists; under the lock. */
static void
later_free(struct sq_delayed *d, struct sq_later *l)
{
	sq_delayed_give(l->tenant, 1, sq_image_size(l->msg.image));
	sq_count(d->broker, SQ_M_DELAYED, -1);
	sq_msg_unref(&l->msg);
	free(l);
}

void
sq_delayed_free(struct sq_delayed **dp)
{
	struct sq_delayed *d = *dp;
	struct sq_heap_node *node;

	*dp = NULL;
	if (d == NULL)
		return;
	while ((node = sq_heap_pop(&d->waiting, UINT64_MAX)) != NULL)
		later_free(d, node->owner);
	SQ_LIST_FOR_EACH_SAFE(l, &d->due, struct sq_later, due)
		later_free(d, l);
	sq_heap_fini(&d->waiting);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

bool
sq_delayed_take(struct sq_tenant *tenant, const struct sq_msg *m)
{
	struct sq_account *a = sq_tenant_account(tenant);

	if (!sq_share_take(a, SQ_SHARE_DELAYED, 1))
		return false;
	if (sq_share_take(a, SQ_SHARE_DELAYED_BYTES, sq_image_size(m->image)))
		return true;
	sq_share_give(a, SQ_SHARE_DELAYED, 1);
	return false;
}

/* Makes a message that the tenant's account has counted. */
static struct sq_later *
later_new(struct sq_delayed *d, uint64_t id, struct sq_tenant *tenant, const struct sq_msg *m,
    uint64_t not_from)
{
	struct sq_later *l = sq_xcalloc(1, sizeof *l);

	l->id = id;
	l->tenant = tenant;
	l->msg = sq_msg_clone(m);
	l->not_from = not_from;
	l->node.owner = l;
	sq_list_init(&l->due);
	sq_count(d->broker, SQ_M_DELAYED, 1);
	return l;
}

static struct sq_record_key
later_record(const struct sq_later *l)
{
	return (struct sq_record_key){SQ_RECORD_DELAYED, l->id, 0};
}

/* The record: u64 due time, wall-clock ms; u64 session whose subscriptions without
 * its own messages don't get it; u16 and the tenant; the image. */
static void
later_write(const struct sq_later *l, struct sq_txn *txn, uint64_t due_ms)
{
	struct sq_record_key key = later_record(l);
	struct sq_buf v = {0};

	sq_buf_u64(&v, sq_wallclock_from_mono(due_ms, sq_worker_now_ms(txn->worker)));
	sq_buf_u64(&v, l->not_from);
	sq_record_put_name(&v, sq_tenant_name(l->tenant));
	sq_record_put_image(&v, &l->msg);
	sq_record_write(txn, &key, &v);
}

void
sq_delayed_force(struct sq_tenant *tenant, const struct sq_msg *m)
{
	struct sq_account *a = sq_tenant_account(tenant);

	sq_share_force(a, SQ_SHARE_DELAYED, 1);
	sq_share_force(a, SQ_SHARE_DELAYED_BYTES, sq_image_size(m->image));
}

void
sq_delayed_add(struct sq_delayed *d, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_msg *m, uint64_t not_from, uint64_t due_ms)
{
	struct sq_later *l;

	pthread_mutex_lock(&d->lock);
	l = later_new(d, sq_broker_id(d->broker), tenant, m, not_from);
	later_write(l, txn, due_ms);
	sq_heap_set(&d->waiting, &l->node, due_ms);
	pthread_mutex_unlock(&d->lock);
}

/* Start. */

struct load {
	struct sq_delayed *delayed;
	uint64_t now_ms;
	unsigned bad;
};

static void
delayed_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader in = sq_reader(value.p, value.len);
	uint64_t wall_ms = sq_read64(&in), not_from = sq_read64(&in);
	char *tenant = sq_record_take_name(&in);
	struct sq_msg m = sq_record_take_image(&in);
	struct load *l = arg;
	struct sq_delayed *d = l->delayed;
	struct sq_tenant *owner;
	struct sq_later *at;

	if (in.bad) {
		free(tenant);
		l->bad++;
		return;
	}
	owner = sq_tenant_get(d->broker->tenants, tenant);
	free(tenant);
	sq_share_force(sq_tenant_account(owner), SQ_SHARE_DELAYED, 1);
	sq_share_force(sq_tenant_account(owner), SQ_SHARE_DELAYED_BYTES, sq_image_size(m.image));
	at = later_new(d, key->id, owner, &m, not_from);
	sq_tenant_unref(&owner);
	sq_heap_set(&d->waiting, &at->node, sq_wallclock_to_mono(wall_ms, l->now_ms));
}

int
sq_delayed_load(struct sq_delayed *d, uint64_t now_ms)
{
	struct sq_engine *e = d->broker->engine;
	struct load l = {d, now_ms, 0};
	int err = e->ops->start.load(e, SQ_RECORD_DELAYED, delayed_load, &l);

	return err == SQ_OK && l.bad > 0 ? SQ_EINVAL : err;
}

/* Due. */

static int
later_order(const void *a, const void *b)
{
	const struct sq_later *x = *(struct sq_later *const *)a, *y = *(struct sq_later *const *)b;

	if (x->node.due != y->node.due)
		return x->node.due < y->node.due ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

void
sq_delayed_collect(struct sq_delayed *d, uint64_t now_ms)
{
	struct sq_later **v = NULL;
	struct sq_heap_node *node; /* the heap does not keep the order of what is due at once */
	size_t n = 0, cap = 0;

	pthread_mutex_lock(&d->lock);
	while ((node = sq_heap_pop(&d->waiting, now_ms)) != NULL) {
		if (n == cap) {
			cap = cap > 0 ? cap * 2 : 64;
			v = sq_xrealloc(v, cap * sizeof(struct sq_later *));
		}
		v[n++] = node->owner;
	}
	pthread_mutex_unlock(&d->lock);
	if (n > 0)
		qsort(v, n, sizeof(struct sq_later *), later_order);
	for (size_t i = 0; i < n; i++)
		sq_list_push_back(&d->due, &v[i]->due);
	free(v);
}

struct sq_later *
sq_delayed_next(struct sq_delayed *d, const struct sq_later *behind)
{
	const struct sq_list *next = behind != NULL ? behind->due.next : d->due.next;

	return next != &d->due ? SQ_CONTAINER_OF(next, struct sq_later, due) : NULL;
}

void
sq_delayed_done(struct sq_delayed *d, struct sq_later *l, struct sq_txn *txn)
{
	struct sq_record_key key = later_record(l);

	sq_record_delete(txn, &key);
	sq_list_remove(&l->due);
	pthread_mutex_lock(&d->lock);
	later_free(d, l);
	pthread_mutex_unlock(&d->lock);
}
