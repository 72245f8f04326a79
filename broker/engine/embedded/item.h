/* Conversion of the tables' items into items of queues. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_ITEM_H
#define SQ_BROKER_ENGINE_EMBEDDED_ITEM_H

#include "broker/engine/embedded/table.h"
#include "broker/engine/item.h"

/* Whether a verified item of the tables is well-formed, so that it was once put. */
static inline bool
sq_table_item_good(const struct sq_table_item *stored)
{
	return (stored->qos == 1 || stored->qos == 2) &&
	    sq_image_check(stored->image.p, stored->image.len) == SQ_OK;
}

/* Makes a queue's item, with references of its own, from a good stored one. */
struct sq_item sq_item_from_table(const struct sq_table_item *stored);

#endif
