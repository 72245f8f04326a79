#include "broker/session/table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_session_table *
sq_session_table_new(void)
{
	struct sq_session_table *t = sq_xcalloc(1, sizeof *t);

	sq_list_init(&t->all);
	return t;
}

void
sq_session_table_free(struct sq_session_table **tp)
{
	struct sq_session_table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	assert(sq_list_empty(&t->all) && t->n == 0 && t->links.n == 0);
	sq_htab_fini(&t->by_key);
	sq_htab_fini(&t->by_epoch);
	sq_htab_fini(&t->links);
	sq_heap_fini(&t->timers);
	free(t);
}
