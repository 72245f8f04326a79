#include "broker/shard/system_txn.h"

#include <stdlib.h>

#include "core/mem.h"

struct sq_own_txn {
	struct sq_txn txn;
	struct sq_broker *broker;
};

static void
own_done(struct sq_txn *txn, int err)
{
	struct sq_own_txn *own = SQ_CONTAINER_OF(txn, struct sq_own_txn, txn);

	(void)err; /* what did not become durable is found again at the next start */
	sq_broker_object(own->broker, -1);
	free(own);
}

struct sq_txn *
sq_own_txn(struct sq_shard *sh, struct sq_own_txn **own)
{
	if (*own == NULL) {
		*own = sq_xcalloc(1, sizeof **own);
		(*own)->broker = sh->broker;
		(*own)->txn.worker = sh->worker;
		(*own)->txn.engine = sh->broker->engine;
		(*own)->txn.done = own_done;
		sq_broker_object(sh->broker, 1);
	}
	return &(*own)->txn;
}

void
sq_own_commit(struct sq_own_txn **own)
{
	struct sq_own_txn *o = *own;

	*own = NULL;
	if (o != NULL)
		o->txn.engine->ops->txn.commit(&o->txn);
}

struct sq_origin
sq_own_origin(struct sq_broker *b)
{
	struct sq_origin origin = b->own;

	origin.number = atomic_fetch_add(&b->own_number, 1);
	return origin;
}
