#include "broker/front/door/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/htab.h"
#include "core/mem.h"

struct sq_ledger_entry {
	struct sq_hnode node;
	uint64_t identity;
	unsigned n;
};

struct sq_ledger {
	pthread_mutex_t lock;
	struct sq_htab entries; /* by identity */
};

struct sq_ledger *
sq_ledger_new(void)
{
	struct sq_ledger *l = sq_xcalloc(1, sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void
sq_ledger_free(struct sq_ledger **lp)
{
	struct sq_ledger *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	assert(sq_htab_walk(&l->entries, NULL) == NULL);
	sq_htab_fini(&l->entries);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* Under the lock. */
static struct sq_ledger_entry *
ledger_find(struct sq_ledger *l, uint64_t identity)
{
	struct sq_hnode *n = sq_htab_find(&l->entries, sq_hash_u64(identity));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_ledger_entry *found = SQ_CONTAINER_OF(n, struct sq_ledger_entry, node);

		if (found->identity == identity)
			return found;
	}
	return NULL;
}

struct sq_ledger_entry *
sq_ledger_enter(struct sq_ledger *l, uint64_t identity, unsigned max)
{
	struct sq_ledger_entry *entry;

	pthread_mutex_lock(&l->lock);
	entry = ledger_find(l, identity);
	if (entry == NULL) {
		entry = sq_xcalloc(1, sizeof *entry);
		entry->identity = identity;
		sq_htab_insert(&l->entries, &entry->node, sq_hash_u64(identity));
	}
	if (max == 0 || entry->n < max)
		entry->n++;
	else
		entry = NULL;
	pthread_mutex_unlock(&l->lock);
	return entry;
}

bool
sq_ledger_is(const struct sq_ledger_entry *entry, uint64_t identity)
{
	return entry->identity == identity;
}

void
sq_ledger_leave(struct sq_ledger *l, struct sq_ledger_entry **ep)
{
	struct sq_ledger_entry *entry = *ep;

	*ep = NULL;
	if (entry == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	if (--entry->n > 0)
		entry = NULL;
	else
		sq_htab_remove(&l->entries, &entry->node);
	pthread_mutex_unlock(&l->lock);
	free(entry);
}

unsigned
sq_ledger_count(struct sq_ledger *l, uint64_t identity)
{
	const struct sq_ledger_entry *entry;
	unsigned n;

	pthread_mutex_lock(&l->lock);
	entry = ledger_find(l, identity);
	n = entry != NULL ? entry->n : 0;
	pthread_mutex_unlock(&l->lock);
	return n;
}
