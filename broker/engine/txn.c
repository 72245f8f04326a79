#include "broker/engine/txn.h"

#include <stdlib.h>

#include "core/mem.h"
#include "web/worker.h"

static void
unattended_done(struct sq_txn *txn, int err)
{
	(void)err;
	free(txn);
}

struct sq_txn *
sq_txn_unattended(struct sq_engine *engine, struct sq_worker *worker)
{
	struct sq_txn *txn = sq_xcalloc(1, sizeof *txn);

	txn->engine = engine;
	txn->worker = worker;
	txn->done = unattended_done;
	return txn;
}

void
sq_txn_post(struct sq_txn *txn, void (*run)(struct sq_task *))
{
	txn->task.run = run;
	if (txn->worker != NULL)
		sq_worker_post(txn->worker, &txn->task);
	else
		run(&txn->task);
}
