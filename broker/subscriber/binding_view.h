/* The view's table of what comes into named queues: their bindings. */
#ifndef SQ_BROKER_SUBSCRIBER_BINDING_VIEW_H
#define SQ_BROKER_SUBSCRIBER_BINDING_VIEW_H

#include "broker/view/table.h"

extern const struct sq_view_table sq_binding_view;

/* The rows, for sq_view_source; 'owner' is the broker. */
bool sq_bindings_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
