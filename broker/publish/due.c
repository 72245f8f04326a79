#include "broker/publish/due.h"

#include "broker/publish/delayed.h"
#include "broker/publish/own.h"

enum {
	TICK_MAX = 1024, /* messages of one tick */
	TXN_MAX = 64,    /* and of one transaction */
};

/* Publishes the first ones in one transaction; returns how many. */
static int
due_publish(struct sq_shard *sh)
{
	struct sq_delayed *d = sh->broker->delayed;
	struct sq_system_txn *own = NULL;
	struct sq_later *l = sq_delayed_next(d, NULL), *next;
	int n = 0, held = 0;

	for (; l != NULL && n < TXN_MAX && held < TICK_MAX; l = next) {
		next = sq_delayed_next(d, l);
		if (!sq_own_due(sh, &own, l->tenant, &l->msg, l->not_from)) {
			held++; /* it keeps its place before later ones */
			continue;
		}
		sq_delayed_done(d, l, sq_system_txn(sh, &own));
		n++;
	}
	if (own != NULL)
		sq_own_receipts(sh, sq_system_txn(sh, &own));
	sq_system_commit(&own);
	return n;
}

void
sq_due_tick(struct sq_shard *sh, uint64_t now_ms)
{
	sq_delayed_collect(sh->broker->delayed, now_ms);
	for (int n = 0, more = 1; n < TICK_MAX && more > 0; n += more)
		more = due_publish(sh);
}
