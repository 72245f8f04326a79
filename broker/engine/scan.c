#include "broker/engine/scan.h"

#include <stdlib.h>

void
sq_scan_fini(struct sq_scan *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		sq_item_fini(&s->items[i]);
	free(s->items);
	s->items = NULL;
	s->n = 0;
}
