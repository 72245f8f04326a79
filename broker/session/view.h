/* The view's rows of sessions, and of their queues (broker/view/table.h).
 *
 * On the worker of the sessions. */
#ifndef SQ_BROKER_SESSION_VIEW_H
#define SQ_BROKER_SESSION_VIEW_H

#include "broker/view/table.h"

extern const struct sq_view_table sq_session_view, sq_subscription_view;

/* Walks of sq_view_source; 'owner' is the broker, and each worker has sessions. */
bool sq_sessions_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_session_queues_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_subscriptions_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
