/* The view's tables of spaces, of retained messages (retained_view.c) and of the store (broker/view/table.h).
 *
 * On the first worker; 'owner' is the broker. */
#ifndef SQ_BROKER_SHARD_VIEW_H
#define SQ_BROKER_SHARD_VIEW_H

#include "broker/view/table.h"

extern const struct sq_view_table sq_space_view, sq_retained_view, sq_store_view;

bool sq_spaces_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_retained_walk(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_store_walk(void *owner, unsigned worker, struct sq_view_slice *);

#endif
