/* See broker/port/outlet.h: references, the end, and which account counts the connection. */
#include "broker/port/outlet.h"

#include "broker/auth/identity/identity.h"
#include "broker/share/share.h"

void
sq_outlet_init(struct sq_outlet *o, const struct sq_outlet_ops *ops,
    const struct sq_identity *identity, unsigned can)
{
	static atomic_uint_fast64_t last;

	o->ops = ops;
	o->number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	o->identity = sq_identity_ref(identity);
	o->can = can;
	atomic_init(&o->refs, 1);
	atomic_init(&o->open, true);
	atomic_init(&o->full, false);
	atomic_init(&o->sessions, 0);
	atomic_init(&o->account, NULL);
	atomic_init(&o->first, NULL);
}

/* Ends the count of the connection in the account, if there is one. */
static void
outlet_uncount(_Atomic(struct sq_account *) *from)
{
	struct sq_account *account = atomic_exchange(from, NULL);

	if (account != NULL)
		sq_share_give(account, SQ_SHARE_CONNECTIONS, 1);
}

void
sq_outlet_close(struct sq_outlet *o)
{
	atomic_store_explicit(&o->open, false, memory_order_release);
	outlet_uncount(&o->account);
	outlet_uncount(&o->first);
}

void
sq_outlet_set_full(struct sq_outlet *o, bool full)
{
	atomic_store_explicit(&o->full, full, memory_order_release);
}

struct sq_outlet *
sq_outlet_ref(struct sq_outlet *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void
sq_outlet_unref(struct sq_outlet **op)
{
	struct sq_outlet *o = *op;

	*op = NULL;
	if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	outlet_uncount(&o->account); /* of a call that came by it and counted it after its close */
	outlet_uncount(&o->first);
	sq_identity_unref(&o->identity);
	o->ops->free(o);
}

bool
sq_outlet_count_first(struct sq_outlet *o, struct sq_account *account)
{
	if (!sq_share_take(account, SQ_SHARE_CONNECTIONS, 1))
		return false;
	atomic_store(&o->first, account);
	return true;
}

bool
sq_outlet_count(struct sq_outlet *o, struct sq_account *account)
{
	struct sq_account *none = NULL, *first = account;

	if (atomic_load_explicit(&o->account, memory_order_relaxed) != NULL)
		return true;
	/* If both accounts are the same, the first count becomes this one. */
	if (!atomic_compare_exchange_strong(&o->first, &first, NULL) &&
	    !sq_share_take(account, SQ_SHARE_CONNECTIONS, 1))
		return false;
	if (!atomic_compare_exchange_strong(&o->account, &none, account))
		sq_share_give(account, SQ_SHARE_CONNECTIONS, 1);
	outlet_uncount(&o->first);
	return true;
}
