/* The view's rows of dead-letter queues and of delayed messages, in the table of queues
 * (broker/group/queue_view.h).
 *
 * On the first worker; 'owner' is the broker. */
#ifndef SQ_BROKER_PUBLISH_VIEW_H
#define SQ_BROKER_PUBLISH_VIEW_H

#include "broker/view/table.h"

bool sq_dead_queues_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_delayed_queues_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
