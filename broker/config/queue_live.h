/* Named queues of subscribers.dir (queue_dir.h), put in force while the broker runs. */
#ifndef SQ_BROKER_CONFIG_QUEUE_LIVE_H
#define SQ_BROKER_CONFIG_QUEUE_LIVE_H

#include <stdbool.h>

struct sq_queue_dir;
struct sq_subscribers;

/* Looks at the folder, logs each fault, and puts in force what is declared now; 'asked' as in
 * sq_queue_dir_look().  Thread: the one that looks. */
void sq_queue_live_look(struct sq_queue_dir *, struct sq_subscribers *, bool asked);
/* The same at the start, before anybody publishes, whose messages would pass the queues by: returns when
 * what is declared has been carried out, or at the '*end' of the program. */
void sq_queue_live_begin(struct sq_queue_dir *, struct sq_subscribers *, const _Atomic bool *end);

#endif
