/* Queues by the names that the view shows, and the worker that owns them. */
#ifndef SQ_BROKER_DEED_FIND_H
#define SQ_BROKER_DEED_FIND_H

#include "broker/deed/deed.h"

struct sq_sink;

/* Goes to the worker that owns the named queue, and runs 'step' there; or ends the deed. */
void sq_deed_find_queue(struct sq_deed *, void (*step)(struct sq_deed *));
/* The queue's sink; NULL: it is gone. */
struct sq_sink *sq_deed_sink(struct sq_deed *);
/* The dead letters that the name is of ("dead~SPACE"): 0 or 1, and the space's name; -1: it is no
 * such name. */
int sq_deed_dead_name(const char *name, const char **space);

#endif
