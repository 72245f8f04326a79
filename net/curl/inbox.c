/* What other threads leave for that of sq_out, and the memory's life. */
#include <stdlib.h>

#include "net/curl/out_priv.h"

void
sq_out_inbox_init(struct sq_out *o)
{
	struct sq_out_inbox *in = &o->in;

	pthread_mutex_init(&in->lock, NULL);
	sq_list_init(&in->sent);
	sq_list_init(&in->cancelled);
	sq_list_init(&in->looked);
	in->refs = 1;
}

void
sq_out_wake(struct sq_out *o)
{
	if (o->in.asleep)
		(void)o->curl->multi_wakeup(o->multi);
	o->in.asleep = false;
}

void
sq_out_unref(struct sq_out *o)
{
	bool last;

	pthread_mutex_lock(&o->in.lock);
	last = --o->in.refs == 0;
	pthread_mutex_unlock(&o->in.lock);
	if (!last)
		return;
	pthread_mutex_destroy(&o->in.lock);
	free(o);
}
