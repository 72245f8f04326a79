/* The view's rows of sessions, of their queues and of the messages there (broker/view/table.h).
 *
 * On the worker of the sessions. */
#ifndef SQ_BROKER_SESSION_VIEW_H
#define SQ_BROKER_SESSION_VIEW_H

#include "broker/view/table.h"

extern const struct sq_view_table sq_session_view, sq_subscription_view, sq_delivery_view;

/* Walks of sq_view_source; 'owner' is the broker, and each worker has sessions. */
bool sq_sessions_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_session_queues_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_session_messages_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_deliveries_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_subscriptions_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
