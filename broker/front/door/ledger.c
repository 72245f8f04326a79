#include "broker/front/door/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

struct sq_ledger_entry {
	struct sq_hnode node;
	const struct sq_identity *who; /* a reference; of the first of them */
	unsigned n;
};

struct sq_ledger {
	pthread_mutex_t lock;
	struct sq_htab by_name;
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
	assert(sq_htab_walk(&l->by_name, NULL) == NULL);
	sq_htab_fini(&l->by_name);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* A new token of the same account is the same identity. */
static struct sq_ledger_entry *
ledger_find(struct sq_ledger *l, const struct sq_identity *who, uint64_t hash)
{
	struct sq_hnode *n;

	for (n = sq_htab_find(&l->by_name, hash); n != NULL; n = sq_htab_next_same(n)) {
		struct sq_ledger_entry *found = SQ_CONTAINER_OF(n, struct sq_ledger_entry, node);

		if (strcmp(found->who->name, who->name) == 0)
			return found;
	}
	return NULL;
}

struct sq_ledger_entry *
sq_ledger_enter(struct sq_ledger *l, const struct sq_identity *who)
{
	uint64_t hash = sq_hash(who->name, strlen(who->name));
	struct sq_ledger_entry *entry;

	pthread_mutex_lock(&l->lock);
	entry = ledger_find(l, who, hash);
	if (entry == NULL) {
		entry = sq_xcalloc(1, sizeof *entry);
		entry->who = sq_identity_ref(who);
		sq_htab_insert(&l->by_name, &entry->node, hash);
	}
	entry->n++;
	pthread_mutex_unlock(&l->lock);
	return entry;
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
		sq_htab_remove(&l->by_name, &entry->node);
	pthread_mutex_unlock(&l->lock);
	if (entry == NULL)
		return;
	sq_identity_unref(&entry->who);
	free(entry);
}

unsigned
sq_ledger_running(struct sq_ledger *l, const struct sq_identity *who)
{
	uint64_t hash = sq_hash(who->name, strlen(who->name));
	const struct sq_ledger_entry *entry;
	unsigned n;

	pthread_mutex_lock(&l->lock);
	entry = ledger_find(l, who, hash);
	n = entry != NULL ? entry->n : 0;
	pthread_mutex_unlock(&l->lock);
	return n;
}
