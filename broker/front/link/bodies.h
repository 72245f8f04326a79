/* Bodies of requests of good connections, while memory is short (core/memory.h).
 *
 * A body is in memory from its first byte to the request's answer, and a connection may have a
 * hundred of them under way.  While memory is short, a connection that has more than it may is
 * not read until answers have gone out; if it has as much all the same, and no answer is owed
 * to it, as its bodies never come to their end, it is ended with ENHANCE_YOUR_CALM: after 5 s
 * who has a quarter of what all have, others after 30 s.  What it may have:
 *
 *   memory     all have little     all together have an eighth of limits.memory
 *   FREE       any                 any
 *   FILLED     any                 one of the largest
 *   PACED      any                 one of the largest
 *   REFUSED    one of the largest  64 KiB
 *
 * So acknowledgements, which are small, pass by whoever behaves. */
#ifndef SQ_BROKER_FRONT_LINK_BODIES_H
#define SQ_BROKER_FRONT_LINK_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"

struct sq_conn;

/* How many bytes a connection may have, where all have 'together'; 'largest': of one body. */
size_t sq_bodies_most(enum sq_memory_level, size_t together, uint64_t limit, size_t largest);
/* How long one that has more may wait, unread, before it is ended. */
uint64_t sq_bodies_wait_ms(size_t bytes, size_t together);

/* Looks at what the connection has: after it was read, after answers, and each second.  Cheap
 * while memory is free.  Thread: the connection's. */
void sq_bodies_look(struct sq_conn *);
/* It is closed. */
void sq_bodies_gone(struct sq_conn *);

#endif
