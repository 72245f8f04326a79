#include "broker/shard/system_txn.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"

struct sq_system_txn {
	struct sq_txn txn;
	struct sq_broker *broker;
};

static void
system_done(struct sq_txn *txn, int err)
{
	struct sq_system_txn *own = SQ_CONTAINER_OF(txn, struct sq_system_txn, txn);

	(void)err; /* what did not become durable is found again at the next start */
	sq_broker_object(own->broker, -1);
	free(own);
}

struct sq_txn *
sq_system_txn(struct sq_shard *sh, struct sq_system_txn **own)
{
	if (*own == NULL) {
		*own = sq_xcalloc(1, sizeof **own);
		(*own)->broker = sh->broker;
		(*own)->txn.worker = sh->worker;
		(*own)->txn.engine = sh->broker->engine;
		(*own)->txn.done = system_done;
		sq_broker_object(sh->broker, 1);
	}
	return &(*own)->txn;
}

void
sq_system_commit(struct sq_system_txn **own)
{
	struct sq_system_txn *o = *own;

	*own = NULL;
	if (o != NULL)
		o->txn.engine->ops->txn.commit(&o->txn);
}

void
sq_system_init(struct sq_broker *b)
{
	b->system.origin = (struct sq_origin){
	    .incarnation = sq_random_u64(), .run = sq_random_u64()};
	atomic_init(&b->system.number, 1);
}

struct sq_origin
sq_system_origin(struct sq_broker *b)
{
	struct sq_origin origin = b->system.origin;

	origin.number = atomic_fetch_add(&b->system.number, 1);
	return origin;
}
