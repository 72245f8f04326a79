/* The view's rows of dead-letter queues and of delayed messages, in the table of queues
 * (broker/group/queue_view.h), and its tables of dead letters (letter_view.c) and
 * of idempotency keys (key_view.c).
 *
 * On the first worker; 'owner' is the broker. */
#ifndef SQ_BROKER_PUBLISH_VIEW_H
#define SQ_BROKER_PUBLISH_VIEW_H

#include "broker/view/table.h"

extern const struct sq_view_table sq_dead_letter_view, sq_key_view;

bool sq_dead_letters_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_keys_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_dead_queues_view(void *owner, unsigned worker, struct sq_view_slice *);
bool sq_delayed_queues_view(void *owner, unsigned worker, struct sq_view_slice *);

#endif
