#include "broker/deed/deed.h"

#include "broker/deed/purge.h"
#include "broker/deed/redrive.h"
#include "broker/deed/remove.h"
#include "broker/shard/shard.h"

void
sq_deed_ask(struct sq_broker *b, struct sq_deed *d)
{
	static void (*const first[])(struct sq_deed *) = {
	    [SQ_DEED_REMOVE] = sq_deed_remove,
	    [SQ_DEED_PURGE] = sq_deed_purge,
	    [SQ_DEED_REDRIVE] = sq_deed_redrive,
	};

	d->work.broker = b;
	sq_broker_object(b, 1);
	first[d->kind](d);
}
