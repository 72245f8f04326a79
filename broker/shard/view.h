/* The view's tables of spaces, of retained messages (retained_view.c) and of the store (broker/view/table.h).
 *
 * On the first worker; 'owner' is the broker. */
#ifndef SQ_BROKER_SHARD_VIEW_H
#define SQ_BROKER_SHARD_VIEW_H

#include "broker/view/table.h"

struct sq_broker;
struct sq_tenant;

extern const struct sq_view_table sq_space_view, sq_retained_view, sq_store_view;

/* A walk over the tenants: 'row' is called for each in its turn, and makes a row of it or none. */
bool sq_view_walk_tenants(struct sq_view_slice *, struct sq_broker *,
    void (*row)(struct sq_view_slice *, const struct sq_broker *, const struct sq_tenant *));

bool sq_spaces_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_retained_walk(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_store_walk(void *owner, unsigned worker, struct sq_view_slice *);

#endif
